"""Layers that a style modulates: the quick form is the papers' form, in values and gradients."""

import pytest
import torch
import torch.nn.functional as F
from bench.modulated import grouped

from gesso.style import Mapping, Modulated, path_lengths


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("demodulate", [True, False])
def test_the_quick_form_is_the_papers(demodulate):
    """Scale, convolve, scale: the numbers of weights of each picture's own (Karras et al. 2020, eqs. 1 and 3)."""
    layer = Modulated(6, 5, 3, 8, demodulate=demodulate)
    x, style = torch.randn(3, 6, 7, 9), torch.randn(3, 8)
    found = []
    for form in (layer, lambda x, style: grouped(x, layer.taps(), layer.affine(style), demodulate)):
        inputs = [x.clone().requires_grad_(), style.clone().requires_grad_()]
        y = form(*inputs)
        slopes = torch.autograd.grad(y.sin().sum(), [*inputs, layer.weight, layer.affine.weight])
        found.append([y, *slopes])
    for quick, slow in zip(*found, strict=True):
        torch.testing.assert_close(quick, slow, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ["nearest", "bilinear"])
def test_doubling_is_enlarging_and_convolving(way):
    """Within the border, where a transposed convolution sees what enlarging made of the edge."""
    layer = Modulated(4, 3, 3, 8, double=way, demodulate=False)
    x, style = torch.randn(2, 4, 8, 6), torch.randn(2, 8)
    large = F.interpolate(x * layer.affine(style)[:, :, None, None], scale_factor=2.0, mode=way)
    slow = F.conv2d(large, layer.weight * layer.gain, padding=1)
    quick = layer(x, style)
    assert quick.shape == (2, 3, 16, 12)
    torch.testing.assert_close(quick[..., 2:-2, 2:-2], slow[..., 2:-2, 2:-2], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("double", [None, "nearest", "bilinear"])
def test_demodulated_outputs_have_unit_variance(double):
    """Whatever the style: its strength does not reach the next layer."""
    layer = Modulated(48, 32, 3, 8, double=double)
    x = torch.randn(8, 48, 24, 24)
    for strength in (0.1, 1.0, 10.0):
        y = layer(x, strength * torch.randn(8, 8))[..., 2:-2, 2:-2]
        torch.testing.assert_close(y.var((0, 2, 3)).mean(), torch.tensor(1.0), rtol=0.03, atol=0)
        assert (y.var((0, 2, 3)) - 1).abs().max() < 0.25


def test_a_flat_map_stays_flat_when_it_is_doubled():
    """All four pixels that come of one get the same: no checkerboard."""
    for way in ("nearest", "bilinear"):
        y = Modulated(4, 3, 3, 8, double=way)(torch.ones(1, 4, 6, 6), torch.randn(1, 8))[..., 3:-3, 3:-3]
        torch.testing.assert_close(y, y.mean((2, 3), keepdim=True).expand_as(y))


def test_a_mapping_knows_directions_alone_and_what_is_asked():
    mapping = Mapping(8, 16, 2, asked=4)
    z, vector = torch.randn(3, 8), torch.randn(3, 4)
    torch.testing.assert_close(mapping(z, vector), mapping(5 * z, 7 * vector), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(mapping(z, vector), mapping(z, vector.flip(0)))


def test_a_mapping_learns_at_its_own_rate():
    """The same map to begin with; Adam, whose steps have one length, moves it a tenth as far."""
    moved = []
    for rate in (1.0, 0.1):
        torch.manual_seed(0)
        mapping, z = Mapping(8, 16, 1, rate=rate), torch.randn(3, 8)
        before = mapping(z).detach()
        optimizer = torch.optim.Adam(mapping.parameters(), 0.01)
        mapping(z).sum().backward()
        optimizer.step()
        moved.append((mapping(z) - before).abs().mean())
    torch.testing.assert_close(moved[1], 0.1 * moved[0], rtol=0.05, atol=0)


def test_path_lengths_of_a_linear_painter():
    """Pictures that are styles, times three: every path is three times as long, on the mean over the noise."""
    rng = torch.Generator().manual_seed(0)
    styles = torch.randn(512, 1, 48, requires_grad=True)
    lengths = path_lengths(3 * styles.reshape(512, 3, 4, 4), styles, rng)
    torch.testing.assert_close(lengths.square().mean(), torch.tensor(9.0 * 3), rtol=0.05, atol=0)
