"""Sliders: what is seen of pictures, where families are steered, and directions that do what their names say."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import gesso
from gesso import tasks
from gesso.contract.family import Condition, Facts
from gesso.contract.steer import Styled
from gesso.errors import GessoError
from gesso.explore import (
    ATTRIBUTES,
    Attribute,
    Look,
    Points,
    Space,
    again,
    attributes,
    called,
    chosen,
    find,
    keep,
    kept,
)
from gesso.explore.attributes import oklab
from gesso.explore.sliders import corrected, principal, regressed, separated
from gesso.families.gan import GAN
from gesso.marks.credentials import same as same_file
from gesso.marks.recipe import read_recipe
from gesso.sample import draw
from tests.conftest import CAPTIONS
from tests.test_families import WORDS, made_for

FAMILIES = [name for name, family in tasks.families().items() if not family.needs & {"pair", "source"}]


def disc(side=48, x=0.5, y=0.5, radius=0.25, colour=(0.8, 0.1, 0.1), ground=(0.9, 0.9, 0.9), lobes=0, tall=1.0):
    """A soft disc, or a flower of so many lobes, on a plain ground: 1 3 h w in [-1, 1]."""
    v, u = np.mgrid[:side, :side]
    v, u = (v + 0.5) / side - y, (u + 0.5) / side - x
    outline = radius * (1 + 0.25 * np.cos(lobes * np.arctan2(v, u))) if lobes else radius
    inside = np.clip((outline - np.hypot(u * tall**0.5, v / tall**0.5)) * side + 0.5, 0, 1)[..., None]
    picture = inside * np.array(colour) + (1 - inside) * np.array(ground)
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] * 2 - 1


def seen(**what):
    return {name: float(value) for name, value in attributes(disc(**what)).items()}


def test_colours_are_oklab():
    """White, black, and red as in Ottosson's table."""
    colours = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]])[:, :, None, None]
    expected = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0.62796, 0.22486, 0.12585]])
    torch.testing.assert_close(oklab(colours)[:, :, 0, 0], expected, atol=2e-4, rtol=0)


def test_a_disc_is_seen_as_it_was_drawn():
    one = seen(x=0.6, y=0.4, radius=0.2)
    assert one["right"] == pytest.approx(0.6, abs=0.01)
    assert one["low"] == pytest.approx(0.4, abs=0.01)
    assert one["size"] == pytest.approx(math.pi**0.5 * 0.2, rel=0.08)
    assert one["tall"] == pytest.approx(0, abs=0.02)
    light, red, yellow = oklab(torch.tensor([0.8, 0.1, 0.1])[None, :, None, None]).flatten().tolist()
    assert one["light"] == pytest.approx(light, abs=0.02)
    assert one["red"] == pytest.approx(red, abs=0.02)
    assert one["yellow"] == pytest.approx(yellow, abs=0.02)
    assert one["ground light"] == pytest.approx(float(oklab(torch.full((1, 3, 1, 1), 0.9))[0, 0]), abs=0.02)


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("size", {"radius": 0.15}, {"radius": 0.3}),
        ("right", {"x": 0.4}, {"x": 0.5}),
        ("low", {"y": 0.5}, {"y": 0.55}),
        ("tall", {"tall": 1.0}, {"tall": 1.4}),
        ("round", {"lobes": 6}, {"lobes": 0}),
        ("parts", {"lobes": 5}, {"lobes": 9}),
        ("symmetry", {"lobes": 7, "tall": 1.2}, {"lobes": 8, "tall": 1.2}),
        ("light", {"colour": (0.4, 0.1, 0.1)}, {"colour": (0.8, 0.5, 0.5)}),
        ("red", {"colour": (0.3, 0.6, 0.3)}, {"colour": (0.7, 0.3, 0.3)}),
        ("yellow", {"colour": (0.2, 0.2, 0.8)}, {"colour": (0.7, 0.7, 0.2)}),
        ("colourful", {"colour": (0.5, 0.4, 0.4)}, {"colour": (0.9, 0.1, 0.1)}),
        ("ground light", {"ground": (0.3, 0.3, 0.3)}, {"ground": (0.7, 0.7, 0.7)}),
        ("ground red", {"ground": (0.6, 0.7, 0.6)}, {"ground": (0.8, 0.6, 0.6)}),
        ("ground yellow", {"ground": (0.6, 0.6, 0.8)}, {"ground": (0.8, 0.8, 0.6)}),
        ("ground colourful", {"ground": (0.7, 0.7, 0.7)}, {"ground": (0.5, 0.7, 0.9)}),
    ],
)
def test_what_is_more_is_seen_as_more(name, less, more):
    assert seen(**more)[name] > seen(**less)[name]


def test_detail_is_seen_inside_of_the_subject():
    plain = disc()
    rng = np.random.default_rng(0)
    rough = plain + 0.2 * torch.from_numpy(rng.standard_normal((1, 1, 48, 48)).astype(np.float32)) * (plain[:, 1:2] < 0)
    assert float(attributes(rough)["detail"]) > 2 * float(attributes(plain)["detail"])


def test_pictures_have_the_figures_that_their_channels_allow():
    grey, free = disc()[:, :1], torch.cat([disc(), disc()[:, :1] * -1], 1)
    assert "red" not in attributes(grey)
    assert not any(name.startswith("ground") for name in attributes(free))
    assert {*attributes(disc())} == {one.name for one in ATTRIBUTES}
    assert all(torch.isfinite(value).all() for value in attributes(torch.zeros(2, 3, 16, 16)).values())


def test_transparency_tells_the_subject_where_there_is_some():
    """Of each picture by itself: an opaque one is looked at as if it had no alpha."""
    opaque = torch.cat([disc(x=0.6), torch.ones(1, 1, 48, 48)], 1)
    inside = (disc(x=0.4)[:, 1:2] < 0).float()
    free = torch.cat([(disc(x=0.4) + 1) * inside - 1, 2 * inside - 1], 1)
    both = attributes(torch.cat([opaque, free]))
    torch.testing.assert_close(both["right"], torch.tensor([0.6, 0.4]), atol=0.01, rtol=0)
    torch.testing.assert_close(both["size"][0], attributes(disc(x=0.6))["size"][0])


def test_a_hole_in_the_subject_is_the_subject():
    """A ring of the ground's colour inside it changes its size by little."""
    y, x = np.mgrid[:48, :48]
    ring = torch.from_numpy(np.hypot(x - 24, y - 24) < 5)
    hollow = torch.where(ring, torch.tensor(0.8), disc())
    assert float(attributes(hollow)["size"]) == pytest.approx(seen()["size"], rel=0.05)


def test_slopes_are_found_and_ways_are_free_of_each_other():
    rng = torch.Generator().manual_seed(0)
    codes = torch.randn(800, 12, generator=rng)
    slopes = torch.randn(3, 12, generator=rng)
    found, explained = regressed(codes, codes @ slopes.T + 0.1 * torch.randn(800, 3, generator=rng))
    torch.testing.assert_close(found, slopes, atol=0.15, rtol=0.1)
    assert (explained > 0.95).all()
    _, nothing = regressed(codes, torch.randn(800, 1, generator=rng))
    assert float(nothing) < 0.1
    ways = separated(slopes * 10, [0, 1, 2])
    torch.testing.assert_close(10 * slopes @ ways.T, torch.eye(3), atol=0.02, rtol=0)


def test_labels_are_not_taken_for_codes():
    """What a label changes is not laid to a code that goes with it."""
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(2, (600,), generator=rng)
    codes = torch.randn(600, 2, generator=rng) + 0.5 * label[:, None]
    figures = 2.0 * label[:, None] + codes[:, :1]
    found, _ = regressed(codes, figures, label)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0]]), atol=0.1, rtol=0)
    assert float(regressed(codes, figures)[0][0, 1]) > 0.2


def test_ways_are_corrected_by_what_they_do():
    """Effects that leak into each other leak less."""
    effects = torch.tensor([[1.0, 0.4], [-0.3, 0.8]])
    after = corrected(torch.eye(2), effects) @ effects
    torch.testing.assert_close(after.diagonal(), torch.ones(2))
    assert abs(float(after[0, 1])) < 0.1
    assert abs(float(after[1, 0])) < 0.1


class Painted(GAN):
    """Discs whose place, size and lightness are four of the latents, mixed; the others do nothing."""

    def sample(self, z, condition, knobs):
        mixed = z[:, :4] @ torch.tensor([[0.6, 0.8, 0, 0], [-0.8, 0.6, 0, 0], [0, 0, 0.6, 0.8], [0, 0, -0.8, 0.6]])
        x, y, size, light = mixed.clamp(-3, 3).T.tolist()
        yield torch.cat([
            disc(32, 0.5 + 0.05 * a, 0.5 + 0.05 * b, 0.2 + 0.03 * c, [0.5 + 0.12 * d] * 3, (0.05, 0.05, 0.2))
            for a, b, c, d in zip(x, y, size, light, strict=True)
        ])  # fmt: skip


def found_in(space, **how):
    steps = find(space, **how)
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value, told


class Same(GAN):
    """Always the same picture."""

    def sample(self, z, condition, knobs):
        yield disc(32).expand(len(z), -1, -1, -1)


def test_where_nothing_changes_there_are_no_sliders():
    torch.manual_seed(0)
    family = Same(GAN.Config(width=8, critic_width=8, latent=8), Facts(channels=3, height=32, width=32))
    assert found_in(Space(family), count=200)[0] == []


def painted():
    torch.manual_seed(0)
    return Painted(GAN.Config(width=8, critic_width=8, latent=8), Facts(channels=3, height=32, width=32)).eval()


def test_sliders_are_what_the_pictures_were_made_of():
    """All four are found, named, free of each other, and go as far as they say."""
    sliders, told = found_in(Space(painted()), count=400)
    names = {one.attribute.name: one for one in sliders}
    assert {"right", "low", "size", "light"} <= {*names}
    assert all(before[0] < after[0] for before, after in pairwise(told))
    assert told[-1][0] == told[-1][1]
    expected = {
        "right": [0.6, -0.8, 0, 0],
        "low": [0.8, 0.6, 0, 0],
        "size": [0, 0, 0.6, -0.8],
        "light": [0, 0, 0.8, 0.6],
    }
    for name, way in expected.items():
        one = names[name]
        assert one.correlation > 0.95
        assert one.low <= -2 < 2 <= one.high
        assert one.effect == pytest.approx(1, abs=0.25)
        assert abs(one.beside()[1]) < 1 / 3
        direction = one.direction[0] / one.direction.norm()
        assert float(direction[:4] @ torch.tensor(way)) > 0.9


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_place_to_steer_by(name):
    """Codes draw what their latents draw; elsewhere they draw something else."""
    torch.manual_seed(0)
    config, facts, _ = made_for(name)
    family = tasks.family(name)(config, facts).eval()
    space = Space(family)
    points = space.points(range(5))
    assert points.codes.ndim == 3
    drawn = space.pictures(points)
    condition = points[range(5)].condition
    with torch.inference_mode():
        *_, expected = family.sample(points.z, condition, family.Knobs())
    tolerance = 2e-2 if family.geometry == "uniform" else 1e-5
    torch.testing.assert_close(drawn, expected.clamp(-1, 1), atol=tolerance, rtol=0)
    other = space.pictures(points.at(points.codes + 0.5 * torch.ones_like(points.codes)))
    assert float((other - drawn).abs().max()) > 1e-3
    assert isinstance(family, Styled) == (name in ("stylegan", "vae"))


def test_points_are_seeds_as_sample_takes_them():
    """The same labels and texts are the seeds' own."""
    torch.manual_seed(0)
    config, _, _ = made_for("flow", captions=True)
    facts = Facts(
        channels=3, height=16, width=16, labels=("small", "large"), count=32, vocabulary=WORDS, captions=CAPTIONS
    )
    for some in (facts, facts.model_copy(update={"vocabulary": "", "captions": ()})):
        family = tasks.family("flow")(config, some).eval()
        points, drawn = Space(family).points(range(6)), [*draw(family, range(6))]
        if some.captions:
            assert [*points.text] == [one.text for one in drawn]
        else:
            assert [some.labels[i] for i in points.label.tolist()] == [one.label for one in drawn]


def test_translators_have_no_sliders():
    config, facts, _ = made_for("pix2pix")
    with pytest.raises(GessoError, match="translates"):
        Space(tasks.family("pix2pix")(config, facts))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with the sliders of painted discs."""
    root = tmp_path_factory.mktemp("home") / "runs" / "0007-discs-gan"
    root.mkdir(parents=True)
    family = painted()
    sliders, _ = found_in(Space(family), count=300)
    keep(root, sliders, "a" * 64, {"count": 300})
    return root, family, sliders


def test_sliders_are_kept_and_draw(run):
    root, family, sliders = run
    again_ = kept(root, "a" * 64)
    assert [one.attribute for one in again_] == [one.attribute for one in sliders]
    assert [one.others for one in again_] == [one.others for one in sliders]
    torch.testing.assert_close(again_[0].direction, sliders[0].direction)
    steering = chosen(root, "a" * 64, ["Larger=1.5", "further-left=1"])
    assert steering.moved.sliders == {"larger": 1.5, "further-left": 1.0}
    moved = attributes_of(draw(family, range(8), how=steering.way(family)))
    plain = attributes_of(draw(family, range(8)))
    assert ((moved["size"] - plain["size"]) > 0).all()
    assert ((moved["right"] - plain["right"]) < 0).all()
    assert again(root, "a" * 64, steering.moved).moved == steering.moved
    with pytest.raises(GessoError, match="found anew"):
        again(root, "a" * 64, steering.moved.model_copy(update={"file": "b" * 64}))


def attributes_of(drawn):
    images = np.stack([one.image for one in drawn])
    return attributes(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("larger=9", "larger works from"),
        ("larger", "does not say how far"),
        ("larger=wide", "does not say how far"),
        ("larger=nan", "larger works from"),
        ("lager=1", "Did you mean 'larger'"),
        ("=1", "no slider"),
    ],
)
def test_what_cannot_be_wished_for_is_said(run, wish, said):
    with pytest.raises(GessoError) as told:
        chosen(run[0], "a" * 64, [wish])
    assert said in f"{told.value}"


def test_sliders_of_another_model_are_not_used(run, tmp_path):
    with pytest.raises(GessoError, match="learned on"):
        kept(run[0], "b" * 64)
    with pytest.raises(GessoError, match="gesso directions"):
        kept(tmp_path, "a" * 64)


def test_directions_of_a_run(tmp_path):
    """From nothing to a picture with a slider moved, and that picture again."""
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=tmp_path)
    gesso.run("train", dataset="few", family="vae", images="2k", set=("width=8", "latent=8"), home=tmp_path)
    old = tmp_path / "runs" / "0001-few-vae" / "sliders" / "wilder.png"
    old.parent.mkdir()
    old.touch()
    result = gesso.run("directions", run="few", count=200, rows=2, home=tmp_path)
    assert not old.exists()
    one = result.facts["sliders"][0]
    assert all(path.is_file() for path in result.paths)
    assert len(result.paths) == len(result.facts["sliders"])
    wish = f"{one['name']}={min(one['high'], 1)}"
    moved = gesso.run("sample", run="few", count=1, seed=1, slide=(wish,), out=tmp_path / "a.png", home=tmp_path)
    plain = gesso.run("sample", run="few", count=1, seed=1, out=tmp_path / "b.png", home=tmp_path)
    assert moved.paths[0].read_bytes() != plain.paths[0].read_bytes()
    assert read_recipe(moved.paths[0]).moved.sliders == {one["name"]: min(one["high"], 1)}
    same = gesso.run("sample", like=moved.paths[0], out=tmp_path / "c.png", home=tmp_path)
    assert same_file(same.paths[0].read_bytes(), moved.paths[0].read_bytes())
    with pytest.raises(GessoError, match="takes everything"):
        gesso.run("sample", like=moved.paths[0], slide=(wish,), home=tmp_path)


def test_a_condition_travels_with_its_point():
    label, text = torch.arange(3), ("a", "b", "c")
    some = Points(torch.zeros(3, 2), torch.zeros(3, 1, 2), label, text)[1:]
    assert some.condition == Condition(label=some.label, text=["b", "c"])
    assert len(some) == 2


class Coded(Painted):
    """The same with codes, which differ most in what is the size."""

    wide = torch.tensor([1.0, 1.0, 4.0, 1.0])

    def codes(self, z, condition, knobs):
        return (z[:, :4] * self.wide)[:, None]

    def of_codes(self, codes, z, condition, knobs):
        x, y, size, light = (codes[:, 0] / self.wide).clamp(-3, 3).T.tolist()
        yield torch.cat([
            disc(32, 0.5 + 0.05 * a, 0.5 + 0.05 * b, 0.2 + 0.03 * c, [0.5 + 0.12 * d] * 3, (0.05, 0.05, 0.2))
            for a, b, c, d in zip(x, y, size, light, strict=True)
        ])  # fmt: skip


def test_the_widest_way_is_called_by_what_it_does(tmp_path):
    torch.manual_seed(0)
    family = Coded(GAN.Config(width=8, critic_width=8, latent=8), Facts(channels=3, height=32, width=32)).eval()
    sliders, told = found_in(Space(family), count=300, ways=1)
    (way,) = (one for one in sliders if one.attribute.name.startswith("way"))
    assert way.attribute.more.startswith("way 1, larger")
    assert way.attribute.less.startswith("way 1, smaller")
    assert way.correlation > 0.95
    assert "size" not in way.others
    direction = way.direction[0] / way.direction.norm()
    assert float(direction[2]) > 0.95
    assert all(before[0] <= after[0] for before, after in pairwise(told))
    assert told[-1][0] == told[-1][1]
    keep(tmp_path, sliders, "0" * 64, {})
    again = kept(tmp_path, "0" * 64)
    assert [one.attribute for one in again] == [one.attribute for one in sliders]
    steering = chosen(tmp_path, "0" * 64, [f"{called(way.attribute.more)}=1"])
    assert steering.moves[0][1] == 1


def test_ways_of_latents_go_with_what_differs_most_in_the_maps():
    """A number of which the first map is made ten times as strongly as of the others is most of the first way."""
    torch.manual_seed(0)
    family = GAN(GAN.Config(width=8, critic_width=8, latent=8), Facts(channels=3, height=32, width=32)).eval()
    first = next(one for one in family.parts["generator"].modules() if isinstance(one, torch.nn.Linear))
    with torch.no_grad():
        first.weight[:, 3] *= 30
    space = Space(family)
    ways = principal(space, space.points(range(300)), 2)
    assert int(ways[0].abs().argmax()) == 3
    assert float(ways[0].norm()) == pytest.approx(1, abs=0.35), "as long as latents usually are along it"


def test_other_things_can_be_looked_at():
    def figures(images):
        return {"bright": images.mean((1, 2, 3))}

    look = Look((Attribute("bright", "brighter", "duller"),), figures)
    sliders, _ = found_in(Space(painted()), count=300, look=look)
    assert [one.attribute.more for one in sliders] == ["brighter"]
    assert sliders[0].beside(look.attributes) is None


def test_sliders_towards_labels(tmp_path, monkeypatch):
    """A classifier of the labels looks on; a model that is asked by its labels needs none."""
    from gesso.measure import own

    monkeypatch.setattr(own, "STEPS", 60)
    monkeypatch.setattr(own, "PATCHES", 3000)
    gesso.run("import", source="blossoms", count=120, size="16", name="some", home=tmp_path)
    small = {"dataset": "some", "images": "3k", "home": tmp_path}
    gesso.run("train", family="vae", set=("width=8", "latent=8", "labels=false"), **small)
    result = gesso.run("directions", run="1", count=200, rows=1, labels=True, ways=2, home=tmp_path)
    others = {name for one in result.facts["sliders"] for name in one["others"]}
    assert any(name.startswith("label ") for name in others), "what each slider does to them is told"
    plain = gesso.run("directions", run="1", count=200, rows=1, home=tmp_path)
    assert not any(name.startswith("label ") for one in plain.facts["sliders"] for name in one["others"])
    gesso.run("train", family="gan", set=("width=8", "critic_width=8", "latent=8"), **{**small, "images": "64"})
    with pytest.raises(GessoError, match="asked by its labels"):
        gesso.run("directions", run="2", labels=True, home=tmp_path)


def test_what_is_asked_can_be_held_fixed(monkeypatch):
    """Of pictures of one label alone: no other is drawn."""
    space, asked = Space(painted()), list[object]()
    plain = space.points

    def points(seeds, label=None, text=None):
        asked.append((label, text))
        return plain(seeds)

    monkeypatch.setattr(space, "points", points)
    sliders, _ = found_in(space, count=200, label=1)
    assert sliders
    assert {*asked} == {(1, None)}


def test_directions_of_one_label(few):
    with pytest.raises(GessoError, match="no labels"):
        gesso.run("directions", run="1", label="rose", home=few)
