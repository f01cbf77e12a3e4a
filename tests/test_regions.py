"""Regions: what belongs to one stays in it, layers add up to the whole, and each can be held."""

import pytest
import torch

from gesso.contract.family import Batch, Clock, Condition, Facts
from gesso.errors import GessoError
from gesso.families.regions import LayeredGenerator, Regions
from gesso.nn.regional import Coloured, Gridded, colours, composite, over, premultiplied
from gesso.train import Engine, Learner
from gesso.train.plan import pick_preset

TINY = {"width": 8, "region_width": 4, "critic_width": 8, "latent": 8, "batch": 4}


def regions(channels=4, labels=(), source=3, height=16, width=16, **choices):
    """A family whose fusion has an effect from the start."""
    torch.manual_seed(0)
    facts = Facts(channels=channels, height=height, width=width, labels=labels, count=32, source=source)
    family = Regions(Regions.Config.of({**TINY, **choices}), facts).eval()
    for parameter in family.parts["generator"].parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    return family


def drawn(family, z, condition=None, **knobs):
    with torch.inference_mode():
        *_, image = family.sample(z, condition or Condition(), family.Knobs.of(knobs))
    return image


def latents(family, n=3, seed=1):
    return family.prior(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_layers_add_up_to_what_is_pasted(channels):
    family = regions(channels)
    generator, z = family.parts["generator"], latents(family)
    assert isinstance(generator, LayeredGenerator)
    with torch.inference_mode():
        layers = generator.layers(z)
    alpha = (layers.foreground[:, -1:] + 1) / 2
    front = (layers.foreground[:, :-1] + 1) / 2
    assert (front <= alpha + 1e-6).all()  # premultiplied
    behind = (layers.background + 1) / 2
    torch.testing.assert_close((layers.pasted + 1) / 2, front + (1 - alpha) * behind)
    assert (layers.whole - layers.pasted).abs().mean() > 1e-3  # fusion does something
    assert (layers.whole - layers.pasted).abs().max() <= 0.5


@pytest.mark.parametrize(("channels", "divide", "alike"), [(4, "alpha", True), (3, "alpha", False), (4, "grid", False)])
def test_figures_are_compared_without_a_ground(channels, divide, alike):
    """What was learned from has one only where pictures are opaque, or where they are made of a source."""
    assert regions(channels, divide=divide).alike == ({"layer": "foreground"} if alike else {})


def test_fusion_begins_as_pasting_and_learns(fabric):
    torch.manual_seed(0)
    family = Regions(Regions.Config.of(TINY), Facts(channels=4, height=16, width=16))
    layers = family.parts["generator"].layers(latents(family))
    assert torch.equal(layers.whole, layers.pasted.clamp(-1, 1))
    learner = Learner(family, fabric, Engine())
    batch = Batch(premultiplied(torch.randn(4, 4, 16, 16)), source=2 * torch.rand(4, 3, 16, 16) - 1)
    for step in range(3):
        learner.step(batch, Clock(step, 4 * step, 400), seed=0)
    layers = family.parts["generator"].layers(latents(family))
    assert (layers.whole - layers.pasted).abs().max() > 1e-3


def test_each_layer_is_drawn():
    family = regions()
    z = latents(family)
    whole, front, behind = (drawn(family, z, layer=layer) for layer in ("whole", "foreground", "background"))
    layers = family.parts["generator"].layers(z)
    assert torch.equal(whole[:, :3], layers.whole)
    assert torch.equal(front, layers.foreground)
    assert torch.equal(behind[:, :3], layers.background)
    assert (whole[:, 3] == 1).all()
    assert (behind[:, 3] == 1).all()
    assert torch.equal(drawn(family, z), whole)


def test_half_of_a_picture_can_be_held():
    """A seed's foreground on every picture's own background, and the other way round."""
    family = regions()
    z, seven = latents(family), latents(family, 1, 7)
    front, behind = drawn(family, seven, layer="foreground"), drawn(family, seven, layer="background")
    held = drawn(family, z, layer="foreground", foreground_seed=7)
    torch.testing.assert_close(held, front.expand_as(held))
    kept = drawn(family, z, layer="background", foreground_seed=7)
    assert torch.equal(kept, drawn(family, z, layer="background"))
    torch.testing.assert_close(drawn(family, z, layer="background", background_seed=7), behind.expand_as(held))
    both = drawn(family, z, foreground_seed=7, background_seed=7)
    torch.testing.assert_close(both, drawn(family, seven).expand_as(both))
    tame = drawn(family, z, truncation=0.5, foreground_seed=7, layer="foreground")
    torch.testing.assert_close(tame, drawn(family, seven, truncation=0.5, layer="foreground").expand_as(tame))


def test_only_the_foreground_has_a_class():
    family = regions(labels=("a", "b"))
    z = latents(family, 2)
    one, other = (Condition(label=torch.tensor([k, k])) for k in (0, 1))
    assert not torch.equal(drawn(family, z, one, layer="foreground"), drawn(family, z, other, layer="foreground"))
    assert torch.equal(drawn(family, z, one, layer="background"), drawn(family, z, other, layer="background"))


def test_a_layout_has_no_layers():
    family = regions(divide="layout")
    for knobs in ({"layer": "foreground"}, {"background_seed": 3}):
        with pytest.raises(GessoError, match="no layers"):
            drawn(family, latents(family), **knobs)


def test_what_is_needed_and_asked_for():
    needs = {divide: Regions.needed(Regions.Config.of({"divide": divide})) for divide in ("alpha", "layout", "grid")}
    assert needs == {"alpha": {"source"}, "layout": {"pair"}, "grid": {"pair"}}
    assert regions().asks == set()
    assert regions(labels=("a", "b"), divide="grid").asks == {"label", "source"}
    with pytest.raises(GessoError, match="source"):
        regions(source=0, divide="layout")
    with pytest.raises(GessoError, match="colour"):
        Regions.Config.of({"divide": "grid", "augment": ["colour"]})


@pytest.mark.parametrize("source", [1, 3, 4])
def test_masks_add_up_to_one(source):
    torch.manual_seed(0)
    local = Coloured(6, source, 8, 4, 0)
    masks = local.masks(2 * torch.rand(2, source, 8, 8) - 1)
    assert masks.shape == (2, 6, 8, 8)
    torch.testing.assert_close(masks.sum(1), torch.ones(2, 8, 8))
    colour = local.palette.detach()[2].reshape(1, source, 1, 1).expand(1, source, 8, 8)
    assert (local.masks(colour)[:, 2] > 0.7).all()


def test_a_palette_finds_the_colours_of_layouts():
    local = Coloured(3, 3, 8, 4, 0)
    truth = torch.tensor([[-0.2, -0.9, -0.4], [0.9, 0.5, 0.7], [-0.5, 0.2, -0.1]])
    layout = truth[torch.randint(3, (4, 8, 8), generator=torch.Generator().manual_seed(0))].permute(0, 3, 1, 2)
    optimizer = torch.optim.Adam([local.palette], 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        local.spread(layout).backward()
        optimizer.step()
    nearest = torch.cdist(local.palette.detach(), truth).min(1).values
    assert (nearest < 0.05).all()


def test_no_colour_sees_another():
    """Where a pixel's region is another one, a region's CNN does not notice what it looks like."""
    torch.manual_seed(0)
    local = Coloured(2, 3, 8, 4, 0).eval()
    seen = []
    local.networks.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    features = []
    local.networks.register_forward_hook(lambda _, given, out: features.append(out))
    dark, bright = local.palette.detach()
    layout = torch.where(torch.arange(16) < 8, dark[:, None, None], bright[:, None, None]).expand(1, 3, 16, 16)
    other = layout.clone()
    other[..., 8:] += 0.1 * torch.rand(1, 3, 16, 8)
    z = torch.randn(1, 16)
    with torch.inference_mode():
        local(layout, z, None)
        local(other, z, None)
        local(layout, torch.cat([z[:, :8], -z[:, 8:]], 1), None)
    once, then, turned = features
    torch.testing.assert_close(then[:, 0], once[:, 0], rtol=0, atol=1e-4)  # the soft masks are not quite hard
    assert (then[:, 1] - once[:, 1]).abs().max() > 1e-2
    assert torch.equal(turned[:, 0], once[:, 0])  # each has a latent of its own
    assert not torch.equal(turned[:, 1], once[:, 1])
    assert seen[0].shape == (1, 2 * 4, 16, 16)


@pytest.mark.parametrize("grid", [2, 3])
def test_no_cell_sees_farther_than_its_overlap(grid):
    torch.manual_seed(0)
    local = Gridded(grid, 3, 8, 4, 0).eval()
    picture, z = torch.rand(1, 3, 32, 24), torch.randn(1, 8 * grid**2)
    cell = {2: (16, 12), 3: (12, 8)}[grid]
    other = picture.clone()
    other[..., cell[1] + 4 :] = 0
    with torch.inference_mode():
        once, then = local(picture, z, None), local(other, z, None)
    assert once.shape == (1, 4, 16, 12)
    assert torch.equal(then[..., : cell[1] // 2], once[..., : cell[1] // 2])
    assert not torch.equal(then[..., cell[1] // 2 :], once[..., cell[1] // 2 :])


def test_a_composite_without_shadow_and_light_is_pasted():
    torch.manual_seed(0)
    front, ground = premultiplied(torch.randn(2, 4, 16, 16)), 2 * torch.rand(2, 3, 16, 16) - 1
    torch.testing.assert_close(composite(front, ground, 0.0, 0.0), over(front, ground))


def test_a_composite_has_a_shadow_below_and_the_ground_s_light():
    front = -torch.ones(1, 4, 32, 32)
    front[:, :, 8:20, 8:20] = 0.5  # a grey square; its alpha, too, is 3/4
    ground = torch.zeros(1, 3, 32, 32)
    shaded = composite(front, ground, 0.5, 0.0)
    assert shaded[0, 0, 21, 14] < -0.1  # below it
    assert shaded[0, 0, 30, 14] == 0  # farther down
    assert (shaded[0, :, 22, 14] < shaded[0, :, 6, 14]).all()
    night = composite(front, ground - 0.9, 0.0, 1.0)
    assert night[0, 0, 14, 14] < over(front, ground - 0.9)[0, 0, 14, 14]


def test_colours_of_any_source():
    assert colours(torch.zeros(2, 1, 8, 8), 3).shape == (2, 3, 8, 8)
    assert colours(torch.zeros(2, 4, 8, 8), 3).shape == (2, 3, 8, 8)
    assert colours(torch.zeros(2, 3, 8, 8), 1).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("divide", ["layout", "grid"])
def test_a_source_of_any_size(divide):
    """What is convolutional draws pictures larger than it learned from, and of sides that nothing divides."""
    family = regions(3, divide=divide)
    for height, width in ((16, 16), (40, 24), (23, 18)):
        asked = Condition(source=torch.rand(2, 3, height, width))
        assert drawn(family, latents(family, 2), asked).shape == (2, 3, height, width)


def test_critics_see_each_layer():
    """Real wholes are composites; a critic of backgrounds sees the other set, one of foregrounds sees them bare."""
    family = regions(shadow=0.0, light=0.0)
    torch.manual_seed(1)
    batch = Batch(premultiplied(torch.randn(4, 4, 16, 16)), source=2 * torch.rand(4, 3, 16, 16) - 1)
    whole, front, behind = family.real(batch, (), Clock(0, 0, 100))
    assert torch.equal(front, batch.image)
    assert torch.equal(behind, batch.source)
    torch.testing.assert_close(whole, over(batch.image, batch.source))
    made = family.make(batch, (), Clock(0, 0, 100), torch.Generator().manual_seed(0))
    assert [view.shape[1] for view in made.views] == [3, 4, 3]
    assert len(family.judged(made.views, ())) == 3
    assert family.judge(batch.image, Condition()).shape == (4,)


def test_latents_that_matter_cost_less():
    """The term for variety is what the paper says, and a generator that ignores its latents pays the most."""
    family = regions(3, divide="layout", variety=1.0)
    batch = Batch(torch.rand(4, 3, 16, 16), source=torch.rand(4, 3, 16, 16))
    alive = family.make(batch, (), Clock(0, 0, 100), torch.Generator().manual_seed(0)).more()["variety"]
    torch.nn.init.zeros_(family.parts["generator"].local.networks.seed.weight)
    deaf = family.make(batch, (), Clock(0, 0, 100), torch.Generator().manual_seed(0)).more()["variety"]
    z = family.prior(6, torch.Generator().manual_seed(0))
    torch.testing.assert_close(deaf, (z[4:] - z[:2]).abs().mean() / 0.02)
    assert alive < deaf
    quiet = regions(3, divide="layout", variety=0.0)
    assert "variety" not in quiet.make(batch, (), Clock(0, 0, 100), torch.Generator().manual_seed(0)).more()


@pytest.mark.parametrize(("pairs", "preset"), [("layout", "layout"), ("edges", ""), ("", "")])
def test_pictures_with_layouts_are_learned_from_them(pairs, preset):
    chosen, why = pick_preset(Regions, 10_000, pairs)
    assert chosen == preset
    assert bool(why) == bool(preset)
