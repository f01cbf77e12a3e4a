"""The perceptual distance: a distance in form, and in the order of how badly pictures are spoilt."""

import math

import numpy as np
import pytest
import torch

from gesso.errors import GessoError
from gesso.primer.distance import Distance, weigh
from gesso.primer.distort import KINDS, distort
from gesso.primer.frozen import load
from gesso.primer.network import Look


@pytest.fixture(scope="module")
def pictures():
    """Smooth fields with an edge: something to blur, to shift and to turn."""
    rng = torch.Generator().manual_seed(0)
    x = torch.nn.functional.interpolate(torch.randn(6, 3, 6, 6, generator=rng), size=(48, 40), mode="bicubic")
    x[:, :, 10:30, 12:28] = -x[:, :, 10:30, 12:28]
    return x.clamp(-1, 1)


@pytest.fixture(scope="module", params=["deep", "quick"])
def distance(request):
    return Distance(look=request.param)


@pytest.mark.parametrize("kind", KINDS)
def test_stronger_is_farther(distance, pictures, kind):
    """Of every kind, on average and nearly always; in mean squared error too, so that strengths are what they say."""
    far, error = [], []
    for strength in (0.1, 0.5, 0.9):
        rng = torch.Generator().manual_seed(1)
        bad = distort(pictures, kind, torch.full((6,), strength), rng)
        assert bad.shape == pictures.shape
        assert bad.abs().max() <= 1
        far.append(distance(pictures, bad))
        error.append((bad - pictures).square().mean())
    assert 0 < error[0] < error[1] < error[2]
    assert 0 < far[0].mean() < far[1].mean() < far[2].mean()
    assert (far[2] > far[0]).float().mean() >= 0.8


def test_each_picture_is_spoilt_by_its_own_strength(pictures):
    bad = distort(pictures, "contrast", torch.tensor([0.0, 1.0] * 3), torch.Generator())
    kept = bad.std((1, 2, 3)) / pictures.std((1, 2, 3))
    assert kept.tolist() == pytest.approx([0.92, 0.2] * 3, abs=1e-3)


def test_a_turn_of_hue_in_closed_form():
    """A hundred and twenty degrees about the grey axis takes each colour to the next; greys stay."""
    strength = math.log(120 / 8) / math.log(160 / 8)
    red, grey = torch.tensor([1.0, -1, -1]), torch.full((3,), 0.3)
    x = torch.stack([red, grey])[:, :, None, None].expand(-1, -1, 4, 4)
    turned = distort(x, "hue", torch.full((2,), strength), torch.Generator().manual_seed(0))[:, :, 0, 0]
    assert any(torch.allclose(turned[0], red.roll(way), atol=1e-4) for way in (1, 2))
    assert torch.allclose(turned[1], grey, atol=1e-5)


def test_a_shift_keeps_every_pixel_it_keeps(pictures):
    bad = distort(pictures[:1], "shift", torch.tensor([0.5]), torch.Generator().manual_seed(0))
    kept = {tuple(p) for p in pictures[0].flatten(1).T.round(decimals=4).tolist()}
    assert all(tuple(p) in kept for p in bad[0].flatten(1).T.round(decimals=4).tolist())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_distance_in_form(distance, channels):
    rng = torch.Generator().manual_seed(2)
    x, y = (torch.rand(3, channels, 32, 20, generator=rng) * 2 - 1 for _ in range(2))
    assert distance(x, x).tolist() == pytest.approx([0.0] * 3, abs=1e-6)
    torch.testing.assert_close(distance(x, y), distance(y, x))
    assert (distance(x, y) > 0).all()
    x.requires_grad_()
    distance(x, y).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum((1, 2, 3)) > 0).all()
    assert torch.isfinite(x.grad).all()


def test_what_cannot_be_compared(distance):
    with pytest.raises(GessoError, match="32×16 pixels, 3 channels and of 16×32"):
        distance(torch.zeros(1, 3, 16, 32), torch.zeros(1, 3, 32, 16))


def test_weights_learn_which_channels_tell():
    """Of three channels one goes with the strength, one does not, and one goes against it."""
    rng = torch.Generator().manual_seed(0)
    strength = torch.rand(80, 6, generator=rng)
    noise = torch.rand(80, 6, generator=rng)
    unlike = torch.stack([0.1 + strength, 0.1 + noise, 1.2 - strength], -1)
    weights = weigh(unlike, strength)
    assert (weights >= 0).all()
    assert weights[0] > 5 * weights[1:].max()
    assert (torch.stack([strength + 0.1, noise + 0.1, 1.2 - strength], -1) @ weights).mean() == pytest.approx(
        1.0, rel=1e-4
    )


@pytest.mark.parametrize("look", ["deep", "quick"])
def test_the_shipped_weights_are_for_all_channels(look: Look):
    primer = load()
    unlike = primer.get_buffer(f"unlike_{look}").numpy()
    see = primer.maps if look == "deep" else primer
    seen = sum(m.shape[1] for m in see(torch.zeros(1, 4, 16, 16)))
    assert unlike.shape == (seen,)
    assert np.isfinite(unlike).all()
    assert (unlike >= 0).all()
