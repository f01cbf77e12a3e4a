"""Pictures of pictures: blends, crosses, children and neighbours stay where the family's latents lie."""

import pytest
import torch
from PIL import Image

import gesso
from gesso import tasks
from gesso.contract.family import Facts
from gesso.errors import GessoError
from gesso.explore import Space, blended, bred, crossed, near
from gesso.marks.credentials import same
from gesso.marks.recipe import read_recipe
from tests.test_families import SMALL

FAMILIES = ["gan", "stylegan", "vae", "flow", "tokens"]


def space_of(name, labels=()):
    torch.manual_seed(0)
    family = tasks.family(name)
    return Space(family(family.Config.of(SMALL[name]), Facts(channels=3, height=16, width=16, labels=labels)))


@pytest.mark.parametrize("name", FAMILIES)
def test_children_of_every_family(name):
    """Each number is from the mother or the father; drawn anew in part; the same seed gives the same."""
    space = space_of(name)
    parents = space.points([3, 4])
    child = bred(space, parents, 6, 0.0, seed=1)
    z, a, b = (space.spread(some.z) for some in (child, *(parents[[i]] for i in (0, 1))))
    from_a, from_b = ((z - parent).abs() < 1e-4 for parent in (a, b))
    assert (from_a | from_b).all()
    assert 0.2 < float(from_a.float().mean()) < 0.8
    torch.testing.assert_close(bred(space, parents, 6, 0.3, 1).z, bred(space, parents, 6, 0.3, 1).z)
    assert not torch.equal(bred(space, parents, 6, 0.3, 1).z, bred(space, parents, 6, 0.3, 2).z)
    assert space.pictures(child).shape == (6, 3, 16, 16)


@pytest.mark.parametrize("name", FAMILIES)
def test_neighbours_are_as_far_as_is_said(name):
    """At no change the parent itself; at all of it anywhere, with the spread that latents have."""
    space = space_of(name)
    parents = space.points([3, 4])
    same = near(space, parents, 4, 0.0, seed=1)
    torch.testing.assert_close(same.z, parents[[0, 1, 0, 1]].z, atol=1e-5, rtol=0)
    z, some, other = (
        space.spread(x.z) for x in (parents[[0] * 60], *(near(space, parents[[0]], 60, c, 1) for c in (0.3, 1.0)))
    )
    assert float((some - z).square().mean()) < 0.5 * float((other - z).square().mean())
    assert float(other.std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", FAMILIES)
def test_blends_lie_between(name):
    """All weight on one is that one; latents keep their length."""
    space = space_of(name)
    parents = space.points([3, 4, 5])
    torch.testing.assert_close(blended(space, parents, [0.0, 1.0, 0.0]).codes, parents[[1]].codes, atol=1e-5, rtol=1e-5)
    middle = blended(space, parents, [1.0, 1.0, 2.0])
    if name in ("gan", "flow"):
        long = parents.codes.flatten(1).norm(dim=1) @ torch.tensor([0.25, 0.25, 0.5])
        assert float(middle.codes.norm()) == pytest.approx(float(long), rel=1e-5)
    else:
        assert torch.isfinite(space.pictures(middle)).all()
    for wrong in ([1.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0]):
        with pytest.raises(GessoError, match="as many weights"):
            blended(space, parents, wrong)


def test_crosses_have_layers_of_both():
    space = space_of("stylegan")
    parents = space.points([3, 4, 5])
    one, two = crossed(space, parents, 1)
    torch.testing.assert_close(one.codes[0, 0], parents.codes[0, 0])
    torch.testing.assert_close(one.codes[0, 1:], parents.codes[1, 1:])
    torch.testing.assert_close(two.codes[0, 1:], parents.codes[2, 1:])
    with pytest.raises(GessoError, match="layers: --layer"):
        crossed(space, parents, 99)
    with pytest.raises(GessoError, match="not made layer by layer"):
        crossed(space_of("gan"), space_of("gan").points([3, 4]), 1)


def test_children_are_asked_to_be_what_a_parent_is():
    space = space_of("gan", ("a", "b"))
    parents = space.points(range(6))
    assert {*bred(space, parents, 12, 0.1, 0).label.tolist()} <= {*parents.label.tolist()}
    assert near(space, parents[[2]], 3, 0.1, 0).label.tolist() == parents.label[[2, 2, 2]].tolist()


@pytest.mark.parametrize(("how", "count"), [("blend", 1), ("breed", 5), ("near", 5)])
def test_pictures_of_a_run_are_mixed(few, tmp_path, how, count):
    result = gesso.run("mix", run="few", seeds="3,4", how=how, count=5, out=tmp_path, home=few)
    page, *pictures = result.paths
    assert len(pictures) == count
    with Image.open(page) as opened:
        assert opened.width > 100
    recipe = read_recipe(pictures[0])
    assert recipe.task == "mix"
    assert recipe.options["how"] == how
    again = gesso.run("mix", run="few", seeds="3,4", how=how, count=5, out=tmp_path / "b", home=few)
    assert all(same(a.read_bytes(), b.read_bytes()) for a, b in zip(again.paths, result.paths, strict=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seeds": "3"}, "two seeds or more to breed"),
        ({"seeds": "3;4"}, "names no seeds"),
        ({"seeds": "3", "how": "join"}, "two seeds or more to join"),
        ({"how": "join", "mask": "none.png"}, "There is no file"),
        ({"how": "cross"}, "not made layer by layer"),
        ({"how": "blend", "weights": "1"}, "as many weights"),
        ({"how": "blend", "weights": "1,x"}, "are no weights"),
        ({"label": "tree"}, "knows no labels"),
    ],
)
def test_what_cannot_be_mixed_is_said(few, options, said):
    with pytest.raises(GessoError) as told:
        gesso.run("mix", **({"run": "few", "seeds": "3,4"} | options), home=few)
    assert said in f"{told.value}"


def test_pictures_of_a_run_are_joined(few, tmp_path):
    """The first with each other, by a region or a mask; the same command gives the same bytes."""
    left = Image.new("L", (16, 16), 0)
    left.paste(255, (0, 0, 8, 16))
    left.save(tmp_path / "mask.png")
    how = {"run": "few", "seeds": "3,4,5", "how": "join", "home": few}
    page, *pictures = gesso.run("mix", region="left", out=tmp_path / "a", **how).paths
    _, *masked = gesso.run("mix", mask=tmp_path / "mask.png", out=tmp_path / "b", **how).paths
    again = gesso.run("mix", region="left", out=tmp_path / "c", **how).paths
    assert len(pictures) == 2
    assert all(same(a.read_bytes(), b.read_bytes()) for a, b in zip(again, (page, *pictures), strict=True))
    for one, other in zip(pictures, masked, strict=True):
        with Image.open(one) as a, Image.open(other) as b:
            assert a.tobytes() == b.tobytes()
    recipe, named = read_recipe(pictures[1]), read_recipe(masked[0])
    assert recipe.options | {"how": "join", "region": "left", "edge": 0.2, "number": 2} == recipe.options
    assert recipe.inputs is None
    assert [*named.inputs] == ["mask.png"]
