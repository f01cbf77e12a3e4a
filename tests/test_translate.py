"""Translators as filters: any size, and tiles that equal the whole."""

import pytest
import torch

from gesso.contract.family import Batch, Clock, Facts
from gesso.errors import GessoError
from gesso.families.cut import CUT
from gesso.families.pix2pix import Pix2Pix
from gesso.translation import ResidualTranslator, UNet, as_channels, continued, mirrored, unfollowed


def network(kind, deep, kept=0):
    """A small one in evaluation mode, whose norms have statistics and gains as after learning."""
    torch.manual_seed(0)
    made = kind(3, 3, 8, deep, 4, kept)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.2, 0.5)
    return made.eval().requires_grad_(False)


NETWORKS = [(UNet, 1, 0), (UNet, 2, 3), (UNet, 3, 0), (ResidualTranslator, 1, 0), (ResidualTranslator, 3, 3)]


@pytest.mark.parametrize(("kind", "deep", "kept"), NETWORKS)
def test_a_tile_with_its_margin_is_a_piece_of_the_whole(kind, deep, kept):
    made, vector = network(kind, deep, kept), torch.randn(1, 4)
    margin = -(-made.reach // made.step) * made.step
    first, side = 2 * margin, 4 * made.step
    picture = torch.rand(1, 3, first + side + 2 * margin, first + side + 2 * margin) * 2 - 1
    whole = made(picture, vector)
    part = slice(first - margin, first + side + margin)
    tile = made(picture[:, :, part, part], vector)[:, :, margin:-margin, margin:-margin]
    torch.testing.assert_close(tile, whole[:, :, first : first + side, first : first + side], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "deep", "kept"), NETWORKS)
def test_nothing_further_than_the_reach_matters_and_what_is_nearer_does(kind, deep, kept):
    """From a change of one row on, all rows within most of `reach` change, and none beyond."""
    made, vector = network(kind, deep, kept), torch.randn(1, 4)
    height = 2 * (-(-made.reach // made.step) + 2) * made.step
    picture = torch.rand(1, 3, height, 4 * made.step) * 2 - 1
    changed = picture.clone()
    row = height // 2
    changed[:, :, row] += 100 * torch.randn(1, 3, 4 * made.step)
    apart = (made(picture, vector) - made(changed, vector)).abs().amax((0, 1, 3))
    touched = apart.nonzero()[:, 0]
    assert row - made.reach <= touched.min()
    assert touched.max() <= row + made.reach
    assert touched.max() - touched.min() > made.reach


@pytest.mark.parametrize(("kind", "deep"), [(UNet, 3), (ResidualTranslator, 2)])
@pytest.mark.parametrize("size", [(8, 8), (8, 41), (19, 23)])
def test_any_size_is_translated(kind, deep, size):
    out = network(kind, deep)(torch.rand(2, 3, *size), torch.randn(2, 4))
    assert out.shape == (2, 3, *size)
    assert out.abs().max() <= 1


def test_pictures_go_on_by_reflection():
    assert mirrored(3, 8).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert mirrored(1, 3).tolist() == [0, 0, 0]
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert continued(x, 4)[0, 0].tolist() == [[0, 1, 2, 1], [3, 4, 5, 4], [0, 1, 2, 1], [3, 4, 5, 4]]


def test_other_forms_of_pictures():
    clear, red = torch.full((1, 4, 2, 2), -1.0), torch.tensor([1.0, -1, -1, 1]).reshape(1, 4, 1, 1)
    assert torch.equal(as_channels(clear, 3), torch.ones(1, 3, 2, 2))
    assert as_channels(red, 3).flatten().tolist() == [1, -1, -1]
    assert as_channels(red, 1).item() == pytest.approx(2 * 0.299 - 1)
    assert as_channels(torch.zeros(1, 1, 1, 1), 4).flatten().tolist() == [0, 0, 0, 1]


def test_another_look_moves_no_statistics():
    made = network(ResidualTranslator, 2).train()
    before = {k: v.clone() for k, v in made.state_dict().items() if "running" in k}
    with unfollowed(made):
        made(torch.rand(2, 3, 16, 16), torch.randn(2, 4))
    assert all(torch.equal(made.state_dict()[k], v) for k, v in before.items())
    made(torch.rand(2, 3, 16, 16), torch.randn(2, 4))
    assert not any(torch.equal(made.state_dict()[k], v) for k, v in before.items())


def facts(**more):
    return Facts(**{"channels": 3, "height": 16, "width": 16, "source": 3, "count": 8, **more})


@pytest.mark.parametrize(("channels", "source"), [(3, 1), (4, 3), (1, 4), (3, 4)])
@pytest.mark.parametrize("family", [Pix2Pix, CUT])
def test_sources_and_pictures_may_differ_in_form(family, channels, source):
    small = {"width": 8, "critic_width": 8, "blocks": 1, "patches": 8}
    for preset in family.presets.values():
        config = family.Config.of({**preset, **{k: v for k, v in small.items() if k in family.Config.model_fields}})
        made, rng = family(config, facts(channels=channels, source=source)), torch.Generator().manual_seed(0)
        batch = Batch(torch.rand(4, channels, 16, 16), source=torch.rand(4, source, 16, 16))
        for turn in made.turns(Clock(0, 0, 100)):
            losses = made.losses(turn, batch, Clock(0, 0, 100), rng)
            assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_model_that_keeps_begins_near_its_source():
    """What is damaged stays as it is until something better is known."""
    made = Pix2Pix(Pix2Pix.Config.of({**Pix2Pix.presets["restore"], "width": 8, "blocks": 1}), facts())
    source = torch.rand(1, 3, 16, 16) * 2 - 1
    image = made.parts["generator"](torch.randn(1, 8), source)
    plain = Pix2Pix(Pix2Pix.Config.of({"width": 8, "blocks": 1}), facts()).parts["generator"](torch.randn(1, 8), source)
    assert (image - source).abs().mean() < 0.7 * (plain - source).abs().mean()


def test_contrast_is_low_where_every_patch_is_in_its_place():
    torch.manual_seed(0)
    made, rng = CUT(CUT.Config.of({"width": 8, "blocks": 1}), facts()), torch.Generator().manual_seed(0)
    source, vector = torch.rand(2, 3, 16, 16) * 2 - 1, torch.zeros(2, 64)
    stages = made.parts["generator"].network.stages(source, vector)
    same, shifted = (float(made._contrast(stages, x, vector, rng).detach()) for x in (source, source.roll(5, 3)))
    assert same < shifted - 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(GessoError, match="leave colour out of augment"):
        Pix2Pix.Config.of({"augment": ["colour"]})
    assert Pix2Pix.Config.of({"augment": ["colour"], "critic": "primer"})
    with pytest.raises(GessoError, match="none to begin with"):
        Pix2Pix(Pix2Pix.Config.of({}), facts(source=0))
