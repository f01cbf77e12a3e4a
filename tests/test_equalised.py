import pytest
import torch
import torch.nn.functional as F

from gesso.nn.equalised import EqualConv2d, EqualLinear, minibatch_deviation, pixel_norm


def plain(layer, sampling):
    """A layer of the same numbers, with another sampling."""
    out, inside, size, _ = layer.weight.shape
    other = EqualConv2d(inside, out, size, sampling=sampling)
    other.load_state_dict(layer.state_dict())
    return other


@pytest.mark.parametrize("size", [1, 3, 5])
def test_enlarging_and_convolving_are_one(size):
    layer = EqualConv2d(3, 5, size, sampling="up")
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(layer(x), plain(layer, "")(F.interpolate(x, scale_factor=2.0)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_convolving_and_averaging_are_one(size):
    layer = EqualConv2d(3, 5, size, sampling="down")
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 6)
    torch.testing.assert_close(layer(x), F.avg_pool2d(plain(layer, "")(x), 2), rtol=1e-4, atol=1e-5)


def test_the_spread_is_that_of_he():
    """With weights of N(0, 1), the output's spread is the gain times the input's, for every number of inputs."""
    x = torch.randn(4000, 300)
    for layer, expected in ((EqualLinear(300, 200), 2**0.5), (EqualLinear(300, 200, gain=1.0, rate=0.01), 1.0)):
        assert layer(x).std().item() == pytest.approx(expected, rel=0.02)
    assert EqualConv2d(32, 64, 3)(torch.randn(8, 32, 16, 16))[:, :, 1:-1, 1:-1].std().item() == pytest.approx(
        2**0.5, rel=0.03
    )


def test_a_step_of_adam_weighs_the_constant():
    """Adam's first step moves a weight by its rate; what the layer uses moves by He's constant times that."""
    for inside in (4, 400):
        layer = EqualLinear(inside, 1)
        before = layer(torch.ones(1, inside))
        step = torch.optim.Adam([layer.weight], lr=0.1)
        layer(torch.ones(1, inside)).sum().backward()
        step.step()
        moved = layer(torch.ones(1, inside)) - before
        assert moved.item() == pytest.approx(-0.1 * inside * (2 / inside) ** 0.5, rel=1e-3)


def test_biases_begin_and_learn_at_the_rate():
    layer = EqualLinear(4, 2, rate=0.01, bias=1.0)
    assert torch.allclose(layer(torch.zeros(1, 4)), torch.ones(1, 2))
    layer(torch.zeros(1, 4)).sum().backward()
    assert torch.allclose(layer.bias.grad, torch.full((2,), 0.01))


def test_every_place_has_unit_length():
    x = 7 * torch.randn(2, 5, 3, 4)
    y = pixel_norm(x)
    assert torch.allclose(y.square().mean(1), torch.ones(2, 3, 4), atol=1e-5)
    assert torch.allclose(F.cosine_similarity(x, y, 1), torch.ones(2, 3, 4), atol=1e-5)
    assert torch.equal(pixel_norm(torch.zeros(1, 5)), torch.zeros(1, 5))


def test_deviation_is_of_each_group():
    """Two groups of two: pictures of 0 and 2 everywhere deviate by 1, equal ones not at all."""
    x = torch.tensor([0.0, 2.0, 5.0, 5.0]).reshape(4, 1, 1, 1).expand(4, 3, 2, 2)
    y = minibatch_deviation(x, group=2)
    assert torch.equal(y[:, :3], x)
    assert torch.allclose(y[:, 3], torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(4, 1, 1).expand(4, 2, 2), atol=2e-4)
    assert minibatch_deviation(torch.randn(6, 3, 2, 2), group=4)[:, 3, 0, 0].unique().numel() == 2  # groups of three
    assert minibatch_deviation(torch.randn(1, 3, 2, 2)).shape == (1, 4, 2, 2)


def test_deviation_has_gradients_where_pictures_are_equal():
    x = torch.zeros(4, 1, 2, 2, requires_grad=True)
    minibatch_deviation(x).sum().backward()
    assert torch.isfinite(x.grad).all()
