"""Pictures joined of two by regions, and points dragged to a place."""

import pytest
import torch
from PIL import Image
from torch import nn

import gesso
from gesso import tasks
from gesso.contract.family import Facts
from gesso.errors import GessoError
from gesso.explore import Space, dragged, joined, region
from gesso.explore.drag import _away
from gesso.families.gan import GAN
from gesso.marks.credentials import same as same_file
from gesso.marks.recipe import read_recipe
from tests.test_families import made_for

FAMILIES = [name for name, family in tasks.families().items() if not family.needs & {"pair"} and name != "cut"]
DRAGGED = ["gan", "progan", "stylegan", "stackgan", "vae", "regions"]


def space_of(name):
    torch.manual_seed(0)
    config, facts, _ = made_for(name)
    return Space(tasks.family(name)(config, facts))


def end_of(steps):
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value, told


@pytest.mark.parametrize("name", FAMILIES)
def test_each_parent_is_seen_in_its_region(name):
    """Nearer to either parent in its own region than the other parent is; the two ways round differ."""
    space, mask = space_of(name), region("left", 16, 16)
    parents = space.points([3, 4])
    a, b = space.pictures(parents)
    (one,), (other,) = joined(space, parents, mask), joined(space, parents, 1 - mask)

    def apart(x, y, where):
        return float(((x - y).abs() * where).mean())

    assert apart(one, b, mask) < 0.8 * apart(a, b, mask)
    assert apart(one, a, 1 - mask) < 0.8 * apart(a, b, 1 - mask)
    assert apart(other, a, mask) < 0.8 * apart(a, b, mask)
    torch.testing.assert_close(joined(space, parents, mask), one[None])


@pytest.mark.parametrize("name", ["gan", "stylegan", "flow"])
def test_all_of_one_is_that_one(name):
    """Nothing is left of the hooks, either."""
    space = space_of(name)
    parents = space.points([3, 4])
    pictures = space.pictures(parents)
    for share in (0, 1):
        whole = joined(space, parents, torch.full((16, 16), float(share)))
        torch.testing.assert_close(whole[0], pictures[share], atol=1e-5, rtol=0)
    torch.testing.assert_close(space.pictures(parents), pictures, atol=0, rtol=0)


def test_layers_paint_over_the_seam():
    """Across it the picture changes less suddenly than where two are laid beside each other."""
    space, mask = space_of("gan"), region("right", 16, 16)
    for seeds in ([1, 2], [3, 4], [5, 6]):
        parents = space.points(seeds)
        a, b = space.pictures(parents)
        seam = joined(space, parents, mask, edge=0.0)[0].diff(dim=2).abs().mean((0, 1))[7]
        assert float(seam) < float((b[:, :, 8] - a[:, :, 7]).abs().mean())


def test_regions_are_where_their_names_say():
    middle = region("middle", 20, 40)
    assert middle[10, 20] == 1
    assert middle[0, 20] == middle[10, 0] == 0
    assert float(middle.mean()) == pytest.approx(0.6**2 * torch.pi / 4, abs=0.02)
    for name, opposite in (("left", "right"), ("top", "bottom")):
        assert torch.equal(region(name, 8, 12) + region(opposite, 8, 12), torch.ones(8, 12))
    assert region("left", 8, 12)[0, 0] == region("top", 8, 12)[0, 0] == 1


def test_what_cannot_be_joined_is_said():
    space, mask = space_of("gan"), region("left", 16, 16)
    with pytest.raises(GessoError, match="joined of two"):
        joined(space, space.points([3]), mask)
    with pytest.raises(GessoError, match="mask is 8×16, the picture 16×16"):
        joined(space, space.points([3, 4]), mask[:, :8])
    with pytest.raises(GessoError, match="no region 'lift'"):
        region("lift", 16, 16)
    space.family.parts["generator"] = Flat()
    with pytest.raises(GessoError, match="without maps"):
        joined(space, space.points([3, 4]), mask)


class Flat(nn.Module):
    """Pictures that no layer painted."""

    def forward(self, z, *given):
        return (z @ z.new_ones(z.shape[1], 3 * 16 * 16) / 16).tanh().unflatten(1, (3, 16, 16))


class Map(nn.Module):
    """Blobs in a map of half of the picture's size. The first two numbers of a latent say where the one is; another is
    carried along with it, if the next two do not say otherwise.
    """

    def forward(self, z):
        y, x = torch.meshgrid(torch.arange(16) * 2 + 0.5, torch.arange(16) * 2 + 0.5, indexing="ij")
        first = 15.5 + 8 * z[:, :2]
        second = first + torch.tensor([10.0, 8.0]) + 8 * z[:, 2:4]
        one, other = (
            (-((x - place[:, :1, None]) ** 2 + (y - place[:, 1:, None]) ** 2) / wide).exp()
            for place, wide in ((first, 60), (second, 20))
        )
        return torch.stack([one, one**2, 1 - one, one**3, one**4, other, other**2, 1 - other], 1)


class Painter(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = Map()

    def forward(self, z, *given):
        maps = self.map(z)
        return nn.functional.interpolate(maps[:, :3], scale_factor=2.0, mode="bilinear") * 2 - 1


def blobs():
    """A family of which we know where everything is."""
    torch.manual_seed(0)
    family = GAN(GAN.Config(width=8, critic_width=8, latent=8), Facts(channels=3, height=32, width=32))
    family.parts["generator"] = Painter()
    space = Space(family)
    point = space.points([0])
    codes = torch.tensor([[[-0.4, 0.2, 0, 0, 1, 1, -1, 1.0]]])
    return space, point.at(codes), 15.5 + 8 * codes[0, 0, :2]


@pytest.mark.parametrize("way", [(6.0, 0.0), (0.0, -5.0), (5.0, -4.0)])
def test_a_blob_is_brought_to_its_target(way):
    """Where the codes say that it is after, and where it was found, are within 1.5 pixels of the target."""
    space, point, handle = blobs()
    target = handle + torch.tensor(way)
    found, told = end_of(dragged(space, point, handle[None], target[None]))
    really = 15.5 + 8 * found.point.codes[0, 0, :2]
    assert float((really - target).norm()) < 1.5
    assert float((found.places[0] - really).norm()) < 1.0
    assert float(found.point.codes.norm()) == pytest.approx(float(point.codes.norm()), rel=1e-4)
    assert 3 < len(told) < 200
    assert told[0] == (1, 200)
    again, _ = end_of(dragged(space, point, handle[None], target[None]))
    assert torch.equal(again.point.codes, found.point.codes)


def test_what_shall_stay_stays():
    """A blob that would be carried along is held by a mask; where the target is the handle, nothing moves."""
    space, point, handle = blobs()
    keep = torch.zeros(32, 32)
    keep[18:, 14:] = 1
    moved = []
    for mask in (torch.zeros(32, 32), keep):
        found, _ = end_of(dragged(space, point, handle[None], handle[None] + torch.tensor([2.0, -5.0]), mask))
        change = 8 * (found.point.codes - point.codes)[0, 0]
        assert float(change[:2].norm()) > 4
        moved.append(float((change[:2] + change[2:4]).norm()))
    free, held = moved
    assert held < 0.6 * free
    still, told = end_of(dragged(space, point, handle[None], handle[None]))
    assert told == []
    torch.testing.assert_close(still.point.codes, point.codes)


def test_what_is_far_stays_where_no_mask_says_otherwise():
    """Nothing within 0.4 of the shorter side of the way from handle to target is held."""
    near = _away(torch.tensor([[8.0, 8.0]]), torch.tensor([[24.0, 8.0]]), 32, 64)
    assert near[8, 8] == near[8, 16] == near[20, 16] == near[8, 36] == 0
    assert near[22, 16] == near[8, 37] == near[31, 63] == 1


@pytest.mark.parametrize("name", DRAGGED)
def test_every_family_with_maps_is_dragged(name):
    """Codes change, and of styles the coarse layers alone."""
    space = space_of(name)
    point = space.points([3])
    found, told = end_of(dragged(space, point, torch.tensor([[6.0, 8.0]]), torch.tensor([[11.0, 8.0]]), steps=4))
    assert told[-1] == (4, 4) or len(told) < 4
    changed = (found.point.codes - point.codes).abs().sum(2)[0] > 0
    if name == "stylegan":
        assert changed[0]
        assert not changed[-1]
    assert torch.isfinite(space.pictures(found.point)).all()


@pytest.mark.parametrize("name", ["flow", "tokens"])
def test_families_without_maps_say_so(name):
    space = space_of(name)
    with pytest.raises(GessoError, match=f"family {name} draws in many steps"):
        next(dragged(space, space.points([3]), torch.zeros(1, 2), torch.ones(1, 2)))


def test_points_and_masks_must_fit():
    space = space_of("gan")
    point, inside, outside = space.points([3]), torch.zeros(1, 2), torch.tensor([[3.0, 16.0]])
    for ends in ((inside, outside), (outside, inside)):
        with pytest.raises(GessoError, match="point 3,16 is outside"):
            next(dragged(space, point, *ends))
    with pytest.raises(GessoError, match="mask is 16×8, the picture 16×16"):
        next(dragged(space, point, inside, inside + 3, torch.zeros(8, 16)))


def test_a_run_is_dragged(few, tmp_path):
    """The picture has a recipe; the same command gives the same bytes; the sheet shows both."""
    keep = tmp_path / "keep.png"
    Image.new("L", (16, 16), 0).save(keep)
    how = {"run": "few", "seed": 3, "move": ("6,8:9,8", "2,2:2,2"), "keep": keep, "steps": 5, "home": few}
    result = gesso.run("drag", out=tmp_path / "a", **how)
    picture, page = result.paths
    with Image.open(page) as opened:
        assert opened.width > 2 * 300
    recipe = read_recipe(picture)
    assert recipe.task == "drag"
    assert recipe.options == {"seed": 3, "move": ["6,8:9,8", "2,2:2,2"], "steps": 5}
    assert [*recipe.inputs] == ["keep.png"]
    again = gesso.run("drag", out=tmp_path / "b", **how)
    assert all(
        same_file(one.read_bytes(), other.read_bytes()) for one, other in zip(again.paths, result.paths, strict=True)
    )
    before = gesso.load("few", few).sample(n=1, seed=3)
    assert picture.read_bytes() != before.save(tmp_path / "c")[0].read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"move": ()}, "Nothing is to be moved"),
        ({"move": ("6,8",)}, "is no point and its target"),
        ({"move": ("6,8:a,b",)}, "is no point and its target"),
        ({"move": ("6,8:9,16",)}, "outside of the picture"),
        ({"move": ("6,8:nan,8",)}, "outside of the picture"),
        ({"move": ("6,8:9,8",), "keep": "none.png"}, "no file"),
        ({"move": ("6,8:9,8",), "keep": "large.png"}, "The mask large.png is 20×16"),
    ],
)
def test_what_cannot_be_dragged_is_said(few, tmp_path, options, said):
    Image.new("L", (20, 16), 255).save(tmp_path / "large.png")
    if "keep" in options:
        options = options | {"keep": tmp_path / options["keep"]}
    with pytest.raises(GessoError) as told:
        gesso.run("drag", **({"run": "few", "seed": 3, "home": few} | options))
    assert said in f"{told.value}"
