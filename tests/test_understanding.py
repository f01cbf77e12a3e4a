"""What units answer to, what of a latent mattered, and the map: against families whose insides are known."""

import pytest
import torch
from torch import nn

from gesso import tasks
from gesso.contract.family import Facts
from gesso.errors import GessoError
from gesso.explore import Space
from gesso.explore.ablate import usually, with_labels, without_layers, without_numbers, without_words
from gesso.explore.atlas import cells, laid_out, map_of
from gesso.explore.dissect import concepts, dissect, switched
from gesso.explore.layers import layer_of
from gesso.explore.seeing import seen
from gesso.text import Vocabulary


class Discs(nn.Module):
    """Draws a disc at a place that the first two numbers of a latent tell, on a ground. Of its five units 0 paints the
    disc, 1 the ground, and of the others nothing comes.
    """

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(5, 5, 1, bias=False)
        self.maps.weight.data = torch.eye(5)[:, :, None, None]

    def forward(self, z):
        y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
        at = 0.3 * z[:, :2].clamp(-1, 1)
        disc = ((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2 < 0.25).float()
        noise = torch.sin(z[:, 2:5, None, None] * 9 + 40 * x * y)
        maps = self.maps(torch.stack([disc, 1 - disc, noise[:, 0], noise[:, 1], noise[:, 2]], 1))
        red = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
        white = torch.tensor([0.95, 0.95, 0.95])[:, None, None]
        picture = maps[:, :1] * red + maps[:, 1:2] * white
        return nn.functional.interpolate(picture, scale_factor=2.0) * 2 - 1


@pytest.fixture
def discs():
    kind = tasks.family("gan")
    facts = Facts(channels=3, height=32, width=32, count=32)
    family = kind(kind.Config.of({"width": 4, "critic_width": 4, "latent": 8}), facts)
    family.parts["generator"] = Discs()
    return Space(family.requires_grad_(False))


def test_units_are_named_by_what_they_paint(discs):
    units = dissect(discs, discs.points(range(60)))
    assert units.layer.units == 5
    assert units.layer.size == (16, 16)
    disc, ground = units.best(0), units.best(1)
    assert disc[0] in ("subject", "red")
    assert disc[1] > 0.9
    assert ground[0] in ("ground", "white")
    assert ground[1] > 0.95
    assert float(units.lead[2:].max()) < 0.3, "what paints nothing answers to nothing"
    assert units.chance[units.names.index("red")] == pytest.approx(0.2, abs=0.05)


def test_a_unit_that_is_switched_off_paints_no_more(discs):
    units, point = dissect(discs, discs.points(range(60))), discs.points([3])
    before = discs.pictures(point)
    red = concepts(before)["red"]
    assert red.any()
    with switched(units, [0], 0.0):
        off = discs.pictures(point)
    assert not concepts(off)["red"].any()
    assert torch.equal(off[:, :, ~red[0]], before[:, :, ~red[0]])
    with switched(units, [2, 3], 0.0):
        assert torch.equal(discs.pictures(point), before), "nothing comes of these"
    with switched(units, [0], 1.0):
        torch.testing.assert_close(discs.pictures(point), before)
    assert torch.equal(discs.pictures(point), before), "afterwards all is as it was"


def test_numbers_that_nothing_comes_of_do_not_matter(discs):
    found = without_numbers(discs, discs.points([5]), discs.points(range(100, 150)), 1.0, most=8)
    assert {one.name for one in found[:2]} == {"number 1", "number 2"}, "which tell the place"
    assert found[0].looks > 0
    assert all(one.looks == 0 for one in found[2:])


def small(name, **more):
    kind, facts = tasks.family(name), {"channels": 3, "height": 16, "width": 16, "count": 32, **more}
    torch.manual_seed(1)
    sizes = {"width": 8, "critic_width": 8, "latent": 16, "style": 16, "eye": 8, "captions": "captions" in more}
    config = {key: value for key, value in sizes.items() if key in kind.Config.model_fields}
    return Space(kind(kind.Config.of(config), Facts.of(facts)).requires_grad_(False))


@pytest.mark.parametrize("name", ["gan", "stylegan", "progan", "vae"])
def test_families_with_maps_have_units(name):
    space = small(name)
    layer = layer_of(space, space.points([1]))
    assert layer.size == (8, 8)
    units = dissect(space, space.points(range(20)))
    assert units.found.shape == (layer.units, len(units.names))
    assert bool((units.low <= units.middle).all())
    assert bool((units.middle <= units.high).all())


@pytest.mark.parametrize("name", ["flow", "tokens"])
def test_families_that_draw_in_steps_say_so(name):
    space = small(name)
    with pytest.raises(GessoError, match="many steps"):
        layer_of(space, space.points([1]))


def test_layers_are_set_to_what_is_usual_one_by_one():
    space = small("stylegan")
    point, usual = space.points([1]), space.points(range(30))
    found = without_layers(space, point, usual, 1.0)
    assert [one.name for one in found] == [f"layer {i}" for i in range(point.codes.shape[1])]
    codes = point.codes.clone()
    codes[:, 1] = usual.codes.mean(0)[1]
    torch.testing.assert_close(found[1].picture, space.pictures(point.at(codes)), atol=1e-5, rtol=0)
    assert not without_layers(small("vae"), small("vae").points([1]), small("vae").points(range(9)), 1.0)


def test_words_are_left_out_one_by_one():
    vocabulary = Vocabulary.learn(["a small red disc", "a large dark disc"] * 20).dump()
    space = small("gan", vocabulary=vocabulary, captions=("a small red disc",))
    point = space.points([1])
    found = without_words(space, point, 1.0)
    assert [one.name for one in found] == ["a", "small", "red", "disc"]
    rest = space.pictures(space.of(point.z, None, ("a small disc",)))
    torch.testing.assert_close(found[2].picture, rest, atol=1e-5, rtol=0)
    assert not without_words(small("gan"), small("gan").points([1]), 1.0)


def test_a_layout_keeps_groups_apart():
    rng = torch.Generator().manual_seed(0)
    keys = torch.randn(90, 12, generator=rng) * 0.2
    keys[:30, 0] += 4
    keys[30:60, 1] += 4
    place = laid_out(torch.cdist(keys, keys), keys[:, :2])
    group = torch.arange(90) // 30
    away = torch.cdist(place, place).fill_diagonal_(float("inf"))
    assert bool((group[away.argmin(1)] == group).all())
    again = laid_out(torch.cdist(keys, keys), keys[:, :2])
    assert torch.equal(place, again)


def test_a_map_tells_what_is_never_drawn():
    rng = torch.Generator().manual_seed(0)
    learned = torch.randn(60, 6, generator=rng) * 0.3
    learned[40:, 0] += 6
    drawn = torch.randn(50, 6, generator=rng) * 0.3
    drawn[45:, 1] -= 9
    atlas = map_of(drawn, learned)
    assert bool((atlas.apart[40:] > 1).all())
    assert float((atlas.apart[:40] <= 1).float().mean()) > 0.6
    assert 0.4 < atlas.reached <= 40 / 60
    assert bool((atlas.strange[45:] > 1).all())
    assert atlas.likely <= 45 / 50
    assert int(atlas.strange.argmax()) >= 45
    assert atlas.drawn.tolist() == [True] * 50 + [False] * 60
    assert float(atlas.place.min()) == 0
    assert float(atlas.place.max()) == 1


def test_cells_hold_the_picture_nearest_to_their_middle():
    place = torch.tensor([[0.1, 0.1], [0.26, 0.24], [0.9, 0.9], [1.0, 1.0]])
    grid = cells(place, 2, 2)
    assert grid.tolist() == [[1, -1], [-1, 2]]


def test_what_is_seen_of_small_and_of_large_pictures():
    for side in (8, 16, 32):
        x = torch.rand(3, 3, side, side) * 2 - 1
        keys = seen(torch.cat([x, x[:1]]))
        assert torch.equal(keys[0], keys[3])
        assert float((keys[0] - keys[1]).norm()) > 0.01


def test_another_label_is_drawn_from_the_same_latent():
    space = small("gan", labels=("a", "b", "c"))
    point = space.points([1], 1)
    found = with_labels(space, point, ("a", "b", "c"), 1.0)
    assert [one.name for one in found] == ["a", "c"]
    other = space.pictures(space.of(point.z, torch.tensor([2])))
    torch.testing.assert_close(found[1].picture, other, atol=1e-5, rtol=0)
    assert not with_labels(small("gan"), small("gan").points([1]), (), 1.0)


def test_two_pictures_usually_differ_by_one():
    images = torch.rand(9, 3, 16, 16) * 2 - 1
    assert usually(images) == pytest.approx(float(torch.pdist(seen(images)).mean()))
