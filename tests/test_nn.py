import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gesso.errors import GessoError
from gesso.nn import (
    AskedNorm,
    Decoder,
    Doubling,
    DownBlock,
    Project,
    UpBlock,
    channels_at,
    levels,
    normalised,
    scale_gradient,
)


def test_levels():
    assert [levels(side, side) for side in (8, 16, 32, 64, 128)] == [1, 2, 3, 4, 5]
    assert levels(48, 64) == 3
    with pytest.raises(GessoError, match="33×33"):
        levels(33, 33)


def test_channels():
    assert [channels_at(32, level) for level in range(6)] == [32, 32, 64, 128, 128, 128]


def test_spectral_norm_is_one():
    layer = normalised(nn.Conv2d(8, 12, 3), True).train()
    for _ in range(60):
        layer(torch.zeros(1, 8, 4, 4))
    torch.testing.assert_close(
        torch.linalg.matrix_norm(layer.weight.flatten(1), 2), torch.tensor(1.0), rtol=1e-3, atol=0
    )


def test_label_norm_is_batch_norm_scaled_by_the_class():
    norm, vector = AskedNorm(5, 3), torch.randn(4, 3)
    x = torch.randn(4, 5, 6, 6)
    gain, bias = (vector @ norm.modulate.weight.T + norm.modulate.bias)[:, :, None, None].chunk(2, 1)
    torch.testing.assert_close(norm(x, vector), nn.BatchNorm2d(5)(x) * gain + bias)


def test_without_a_vector_it_is_plain_batch_norm():
    x = torch.randn(4, 5, 6, 6)
    torch.testing.assert_close(AskedNorm(5, 3)(x, torch.zeros(4, 3)), nn.BatchNorm2d(5)(x))
    torch.testing.assert_close(AskedNorm(5, 0)(x, None), nn.BatchNorm2d(5)(x))


def test_projection_adds_the_inner_product():
    head = Project(16, 4, spectral=False)
    x, vector = torch.randn(3, 16), torch.randn(3, 4)
    expected = head.linear(x)[:, 0] + (vector @ head.match.linear.weight.T * x).sum(1) / 4
    torch.testing.assert_close(head(x, vector), expected)


def test_what_is_asked_is_heard_as_loudly_as_how_real_it_looks():
    """With spectral norms, whatever the number of features and the length of the vector."""
    for features, length in ((16, 0.1), (2048, 10.0)):
        head = Project(features, 8, spectral=True)
        for _ in range(20):  # power iterations
            head(torch.randn(2, features), torch.randn(2, 8))
        toward = head.eval().match(length * torch.randn(50, 8))
        assert toward.norm(dim=1).max() < 1.05
        assert toward.norm(dim=1).mean() > 0.4


def test_doubling_keeps_what_is_even():
    """Of a map that is even, within the border; any other kernel would leave a pattern of two pixels."""
    layer, x = Doubling(5, 3), torch.randn(2, 5, 1, 1).expand(2, 5, 6, 7)
    y = layer(x)
    assert y.shape == (2, 3, 12, 14)
    inside = y[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside, inside[:, :, :1, :1].expand_as(inside))
    plain = F.conv_transpose2d(x, layer.weight, layer.bias, 2, 1)[:, :, 1:-1, 1:-1]
    assert plain.std((2, 3)).min() > 1e-3
    torch.testing.assert_close(inside.mean((2, 3)), plain.mean((2, 3)))


def test_doubling_is_a_transposed_convolution():
    """Where all quarters of a kernel have the same sum already, it is the plain one."""
    layer = Doubling(4, 2)
    with torch.no_grad():
        layer.weight -= layer.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean((2, 4)).repeat(1, 1, 2, 2)
    x = torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(layer(x), F.conv_transpose2d(x, layer.weight, layer.bias, 2, 1))


@pytest.mark.parametrize("asked", [0, 3])
def test_blocks_double_and_halve(asked):
    x, vector = torch.randn(2, 6, 4, 8), torch.randn(2, asked) if asked else None
    assert UpBlock(6, 5, asked)(x, vector).shape == (2, 5, 8, 16)
    assert DownBlock(6, 5, spectral=False)(x).shape == (2, 5, 2, 4)
    assert Decoder(7, 8, (4, 48, 64), asked)(torch.randn(2, 7), vector).shape == (2, 4, 48, 64)


def test_a_gradient_is_scaled_per_sample():
    x, factor = torch.ones(3, 2, requires_grad=True), []
    y = scale_gradient(x, factor)
    assert torch.equal(y, x)
    factor.append(torch.tensor([1.0, -2.0, 0.0]))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([[1.0, 1.0], [-2.0, -2.0], [0.0, 0.0]]))
