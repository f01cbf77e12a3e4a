"""Styles: the quick form of modulated layers is the papers'; drawing and learning do with styles what is asked."""

import pytest
import torch
import torch.nn.functional as F
from bench.modulated import grouped

from gesso.contract.family import Batch, Clock, Condition
from gesso.errors import GessoError
from gesso.families.stylegan import StyleGAN
from gesso.nn.style import Mapping, Modulated, path_lengths


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


@pytest.fixture
def family(facts):
    """A StyleGAN that has seen nothing, with noise that shows and a mean style of its own."""
    config = {"width": 4, "critic_width": 4, "latent": 16, "style": 16, "noise": True}
    made = StyleGAN(StyleGAN.Config.of(config), facts).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(0.5)
        made.generator.mean.normal_()
    return made


def drawn(family, z, **knobs):
    with torch.inference_mode():
        *_, image = family.sample(z, Condition(label=torch.zeros(len(z), dtype=torch.long)), family.Knobs.of(knobs))
    return image


def latents(family, n=4):
    return family.prior(n, torch.Generator().manual_seed(0))


def test_truncated_to_nothing_all_are_the_mean(family):
    z = latents(family)
    still = drawn(family, z, truncation=0, noise=False)
    torch.testing.assert_close(still, still[:1].expand_as(still))
    spread = [drawn(family, z, truncation=psi, noise=False).std(0).mean() for psi in (0.3, 0.6, 1.0)]
    assert 0 < spread[0] < spread[1] < spread[2]
    coarse = drawn(family, z, truncation=0, truncate_layers=1, noise=False)
    assert coarse.std(0).mean() > 0
    assert not torch.equal(coarse, drawn(family, z, noise=False))


def test_noise_comes_from_its_seed_and_is_every_pictures_own(family):
    z = latents(family)
    assert torch.equal(drawn(family, z), drawn(family, z, noise_seed=0))
    assert not torch.equal(drawn(family, z), drawn(family, z, noise_seed=1))
    assert not torch.equal(drawn(family, z), drawn(family, z, noise=False))
    flat = drawn(family, z, truncation=0)
    assert not torch.equal(flat[0], flat[1])


def test_the_mixed_noise_has_unit_variance(family):
    """Whatever the latents; and it is another for each."""
    seen = []
    family.generator.forward = lambda styles, noises: seen.extend(noises) or torch.zeros(len(styles), 3, 16, 16)
    drawn(family, 9 * latents(family, 4096))
    last = seen[-1]
    assert last.shape[2:] == family.generator.shapes[-1]
    torch.testing.assert_close(last.var(0).mean(), torch.tensor(1.0), rtol=0.1, atol=0)


def test_fine_layers_follow_the_second_latent(family):
    """From layer 1 on nearly all does, from the last one little; and coarse layers are each picture's own."""
    z = latents(family)
    whole = drawn(family, z, noise=False)
    near = [(drawn(family, z, noise=False, mix_seed=5, mix_from=layer) - whole).abs().mean() for layer in (1, 2)]
    assert near[0] > near[1] > 0
    assert not torch.equal(drawn(family, z, mix_seed=5, mix_from=1), drawn(family, z, mix_seed=6, mix_from=1))


@pytest.mark.parametrize("knobs", [{"mix_seed": 1, "mix_from": 3}, {"truncate_layers": 4}])
def test_a_layer_that_there_is_not(family, knobs):
    with pytest.raises(GessoError, match="has 3 layers"):
        drawn(family, latents(family), **knobs)


@pytest.mark.parametrize("truncation", [-0.5, 2.5])
def test_a_truncation_beyond_its_range(truncation):
    with pytest.raises(GessoError, match="truncation"):
        StyleGAN.Knobs.of({"truncation": truncation})


def test_paths_and_penalties_have_turns_of_their_own(facts):
    config = {**StyleGAN.presets["paper"], "width": 4, "critic_width": 4, "latent": 16, "style": 16, "batch": 8}
    family = StyleGAN(StyleGAN.Config.of(config), facts)
    turns = {turn.name: turn for turn in family.turns(Clock(0, 0, 100))}
    assert turns["path"].parts == ("generator",)
    assert turns["path"].every == family.config.path_every
    assert turns["penalty"].every == 16
    assert family.config.r1 == pytest.approx(0.0002 * 16 * 16 / 8)
    batch = Batch(torch.randn(8, 3, 16, 16), torch.zeros(8, dtype=torch.long))
    loss = family.losses(turns["path"], batch, Clock(0, 0, 100), torch.Generator().manual_seed(0))["path"]
    loss.backward()
    assert family.generator.length > 0
    assert family.generator.mapping.layers[0].weight.grad.abs().sum() > 0


def test_some_pictures_learn_with_two_styles(facts):
    """As many as asked for; every one of those crosses once, from coarse to fine."""
    for mixing in (0.0, 0.5, 1.0):
        config = {"width": 4, "critic_width": 4, "latent": 16, "style": 16, "mixing": mixing, "labels": False}
        family = StyleGAN(StyleGAN.Config.of(config), facts)
        styles = family._styles(400, (), torch.Generator().manual_seed(0))
        changes = (styles[:, 1:] != styles[:, :-1]).any(2).sum(1)
        assert changes.max() <= 1
        assert changes.float().mean() == pytest.approx(mixing, abs=0.1)
