"""Given pictures found among what a model draws: by search, by an encoder, and by a fit of the part that paints."""

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso import tasks
from gesso.contract.family import Encoder, Facts
from gesso.errors import GessoError
from gesso.explore import Space, invert
from gesso.explore.fit import fitted, painter_of, with_weights
from gesso.explore.inversion import Axes, Likeness
from gesso.explore.inverted import Kept, keep_found, kept_found
from gesso.marks.recipe import Recipe, read_recipe

SMALL = {
    "gan": {"width": 8, "critic_width": 8, "latent": 8},
    "stylegan": {"width": 8, "critic_width": 8, "latent": 16, "style": 16},
    "progan": {"width": 8, "critic_width": 8, "latent": 16},
    "vae": {"width": 8, "latent": 8},
    "flow": {"width": 8, "eye": 8},
    "tokens": {"width": 8},
}
SEARCHED = ["gan", "stylegan", "progan", "vae"]
FITTED = [*SEARCHED, "flow"]


def space_of(name, **more):
    kind = tasks.family(name)
    torch.manual_seed(1)
    config = {key: value for key, value in SMALL[name].items() if key in kind.Config.model_fields}
    family = kind(kind.Config.of(config), Facts(channels=3, height=16, width=16, count=32, **more))
    return Space(family.requires_grad_(False))


def done(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def unlike(a, b):
    return float((a - b).square().mean())


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_comes_nearer_than_the_nearest_of_many(name):
    space = space_of(name)
    target = space.pictures(space.points([90_001]))
    nearest, sought = (done(invert(space, target, steps=steps, count=64)) for steps in (0, 80))
    assert unlike(sought.picture, target) < 0.7 * unlike(nearest.picture, target)
    assert torch.equal(sought.picture, space.pictures(sought.points)), "what is told is what is drawn there"
    again = done(invert(space, target, steps=80, count=64))
    assert torch.equal(again.points.codes, sought.points.codes)


def test_one_style_for_all_layers_stays_one():
    space = space_of("stylegan")
    target = space.pictures(space.points([90_001]))
    codes = done(invert(space, target, steps=20, layers=False, count=64)).points.codes
    assert torch.allclose(codes, codes[:, :1].expand_as(codes), atol=1e-5)
    apart = done(invert(space, target, steps=20, count=64)).points.codes
    assert not torch.allclose(apart, apart[:, :1].expand_as(apart), atol=1e-3)


@pytest.mark.parametrize("name", ["flow", "tokens"])
def test_a_family_that_looks_exactly_is_asked_and_not_searched(name):
    space = space_of(name)
    assert isinstance(space.family, Encoder)
    assert space.family.exact
    target = space.pictures(space.points([5]))
    found = done(invert(space, target, steps=50, count=64))
    with torch.inference_mode():
        z = space.family.encode(target, found.points.condition)
    assert torch.allclose(space.spread(z), space.spread(found.points.z), atol=1e-4)


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_draws_the_picture_and_leaves_the_space_alone(name):
    space = space_of(name)
    target, points = space.pictures(space.points([90_001])), space.points([3])
    before = space.pictures(space.points([3, 4]))
    painter = painter_of(space, points)
    assert painter is not None
    weights = done(fitted(space, points, painter, target, 120))
    there = Space(with_weights(space.family, painter.name, weights), space.knobs)
    assert unlike(there.pictures(points), target) < 0.7 * unlike(before[:1], target)
    assert torch.equal(space.pictures(space.points([3, 4])), before)


def test_tokens_have_no_part_that_gives_out_the_picture():
    space = space_of("tokens")
    assert painter_of(space, space.points([1])) is None


def test_axes_spread_codes_evenly_and_lead_back():
    space = space_of("stylegan")
    points = space.points(range(200))
    axes = Axes.of(space, points)
    numbers = axes.numbers(points.codes)
    assert torch.allclose(axes.codes(numbers), points.codes, atol=1e-3)
    flat = numbers.flatten(0, 1)
    assert torch.allclose(flat.mean(0), torch.zeros(16), atol=1e-3)
    assert float(flat.var(0).max()) < 1.01


def test_likeness_is_least_for_the_picture_itself():
    target = torch.rand(1, 3, 16, 16) * 2 - 1
    likeness = Likeness(target)
    rows = torch.cat([target, target + 0.1, torch.rand(1, 3, 16, 16)])
    found = likeness(rows)
    assert float(found[0]) < 1e-5
    assert found.argsort().tolist() == [0, 1, 2]


def test_what_is_far_from_what_is_drawn_is_told():
    space = space_of("gan")
    own = done(invert(space, space.pictures(space.points([90_001])), steps=0, count=64)).far
    noise = done(invert(space, torch.rand(1, 3, 16, 16).round() * 2 - 1, steps=0, count=64)).far
    assert own < 1.6 < noise


def test_the_best_label_is_found_where_none_is_given():
    space = space_of("vae", labels=("a", "b", "c"))
    target = space.pictures(space.points([5], 2))
    found = done(invert(space, target, steps=0, count=64))
    asked = [done(invert(space, target, label, steps=0, count=64)) for label in range(3)]
    errors = [float(Likeness(target)(one.picture)) for one in asked]
    assert found.points.label is not None
    assert float(Likeness(target)(found.picture)) == pytest.approx(min(errors), rel=1e-3)


def test_what_was_found_is_kept_and_read_again(tmp_path):
    space = space_of("gan")
    target, how, sha = space.pictures(space.points([7])), {"steps": 10}, "0" * 64
    found = done(invert(space, target, steps=10, count=64))
    painter = painter_of(space, found.points)
    assert painter is not None
    weights = done(fitted(space, found.points, painter, target, 10))
    kept = Kept.of(found, space, painter.name, weights)
    keep_found(tmp_path, sha, how, kept)
    again = kept_found(tmp_path, sha, how, space)
    assert again is not None
    assert np.array_equal(again.image, kept.image)
    assert torch.equal(again.points.codes, kept.points.codes)
    assert kept_found(tmp_path, sha, {"steps": 11}, space) is None
    next((tmp_path / "inverted").iterdir()).write_bytes(b"damaged")
    assert kept_found(tmp_path, sha, how, space) is None


def test_the_task_finds_keeps_and_tells(few, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(tmp_path / "odd.png")
    said = []
    given = {"run": "1", "picture": (tmp_path / "odd.png",), "steps": 4, "fit": 4, "out": tmp_path / "out", "home": few}
    result = gesso.run("invert", **given, on_event=said.append)
    assert [path.suffix for path in result.paths] == [".png", ".png"]
    told = result.facts["pictures"][0]
    assert told["file"] == "odd.png"
    assert told["psnr"] == pytest.approx(result.facts["psnr"])
    recipe = read_recipe(result.paths[1])
    assert isinstance(recipe, Recipe)
    assert (recipe.task, recipe.options) == ("invert", {"steps": 4, "fit": 4, "styles": "own"})
    assert recipe.inputs is not None
    assert [*recipe.inputs] == ["odd.png"]
    assert any("times as far" in getattr(event, "text", "") for event in said)
    searched = sum(getattr(event, "unit", "") == "steps" for event in said)
    said.clear()
    again = gesso.run("invert", **given, on_event=said.append)
    assert searched
    assert not any(getattr(event, "unit", "") == "steps" for event in said), "what was found is kept"
    assert again.paths == result.paths


def test_bad_input_gets_a_sentence(few, tmp_path):
    with pytest.raises(GessoError, match="no sliders yet"):
        gesso.run("invert", run="1", picture=(tmp_path / "x.png",), slide=("larger=1",), home=few)
    with pytest.raises(GessoError, match=r"x\.png"):
        gesso.run("invert", run="1", picture=(tmp_path / "x.png",), home=few)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(GessoError):
        gesso.run("invert", run="1", picture=(tmp_path / "bad.png",), home=few)
    with pytest.raises(GessoError, match="no label"):
        gesso.run("invert", run="1", picture=(tmp_path / "bad.png",), label="tree", home=few)
