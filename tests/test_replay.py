"""Pictures made again from their recipes: fifty across families, knobs and edits, identical to the pixel."""

import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import gesso
from gesso.errors import GessoError
from gesso.marks.context import imprinting
from gesso.marks.recipe import read_recipe

TINY = {
    "gan": ("width=8", "critic_width=8", "latent=8"),
    "stylegan": ("width=8", "critic_width=8", "latent=8", "mapping=2"),
    "vae": ("width=8", "latent=4"),
    "flow": ("width=8",),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with runs of four families that have learned next to nothing."""
    place = tmp_path_factory.mktemp("home")
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=place)
    for family, options in TINY.items():
        known = {line.partition("=")[0] for line in options}
        fields = gesso.tasks.family(family).Config.model_fields
        chosen = tuple(option for option in options if option.partition("=")[0] in fields)
        assert chosen, known
        gesso.run("train", dataset="few", family=family, images="32", set=chosen, home=place)
    return place


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Pictures to work on: a large one and a small one with masks, a thing on a plain ground."""
    place, rng = tmp_path_factory.mktemp("given"), np.random.default_rng(0)
    y, x = np.mgrid[:48, :64]
    waves = np.stack([127 + 100 * np.sin(x / a + y / b) for a, b in ((5, 9), (8, 4), (6, 6))], 2)
    large = (waves + rng.normal(0, 6, waves.shape)).clip(0, 255).astype(np.uint8)
    thing = np.full((48, 64, 3), 240, np.uint8)
    thing[(y - 24) ** 2 + (x - 32) ** 2 < 200] = (200, 30, 40)
    hole = ((abs(y - 20) < 6) & (abs(x - 30) < 8)).astype(np.uint8) * 255
    for name, image in {
        "large.png": large, "other.png": large[::-1, ::-1], "thing.png": thing, "hole.png": hole,
        "small.png": large[:16, :16], "mark.png": hole[14:30, 22:38],
    }.items():  # fmt: skip
        Image.fromarray(np.ascontiguousarray(image)).save(place / name)
    return place


SAMPLES = [
    (4, {"run": "1", "count": 4, "seed": 3, "finish": False}),
    (4, {"run": "2", "count": 4, "seed": 3, "finish": False, "format": "jpg", "quality": 80}),
    (4, {"run": "2", "count": 4, "seed": 90, "finish": False, "set": ("truncation=0.7",)}),
    (3, {"run": "3", "count": 3, "seed": 9, "finish": False, "format": "webp", "quality": 50}),
    (3, {"run": "3", "count": 3, "seed": 9, "finish": False, "format": "avif"}),
    (3, {"run": "4", "count": 3, "seed": 1, "finish": False, "set": ("steps=3",)}),
    (2, {"run": "1", "count": 2, "seed": 7, "size": 32}),
]
OTHERS = [
    ("mix", 3, {"run": "1", "seeds": "1,2", "count": 3}),
    ("mix", 2, {"run": "4", "seeds": "1,2", "how": "near", "count": 2, "change": 0.5}),
    ("mix", 1, {"run": "2", "seeds": "1,2", "how": "cross"}),
    ("drag", 1, {"run": "1", "seed": 3, "move": ("5,5:7,5",), "steps": 2}),
    ("animate", 1, {"run": "1", "seeds": "1,2", "seconds": 0.3, "fps": 10, "out": "a.gif"}),
    ("animate", 1, {"run": "1", "seeds": "1@0,2@0.2", "seconds": 0.3, "fps": 10, "out": "a.webp"}),
    ("redraw", 2, {"run": "3", "picture": ("small.png",), "strength": 0.4, "count": 2}),
    ("invert", 1, {"run": "1", "picture": ("small.png",), "steps": 5}),
    ("restore", 1, {"run": "4", "picture": "small.png", "do": "fill", "mask": "mark.png", "count": 1}),
    ("restore", 1, {"picture": "large.png", "out": "a.png"}),
    ("style", 1, {"content": "large.png", "style": ("other.png",), "keep": "hole.png", "out": "a.png"}),
    ("texture", 1, {"sample": "large.png", "size": "64x64", "tile": True, "out": "a.png"}),
    ("retarget", 1, {"picture": "large.png", "size": "52x48", "protect": "hole.png", "out": "a.png"}),
    ("variations", 2, {"picture": "large.png", "count": 2, "out": "a.png"}),
    ("inpaint", 2, {"picture": "large.png", "mask": "hole.png", "count": 2, "out": "a.png"}),
    ("outpaint", 1, {"picture": "large.png", "to": "80x48", "out": "a.png"}),
    ("cutout", 1, {"picture": "thing.png", "out": "a.png"}),
    ("upscale", 1, {"picture": "small.png", "factor": 2, "out": "a.jpg"}),
    ("finish", 1, {"draft": ("small.png",), "data": "few", "size": "32", "out": "a.png"}),
    ("gather", 1, {"pictures": ("large.png", "other.png"), "form": "sprites", "out": "a.png"}),
    ("gather", 1, {"pictures": ("large.png", "other.png"), "form": "sheet", "out": "a.jpg"}),
]
FILES = {"picture", "mask", "keep", "protect", "content", "style", "sample", "draft", "pictures"}


def made(home, given, folder, task, options):
    """What a task writes with a recipe."""

    def place(name, value):
        if name == "out":
            return folder / value
        if name in FILES:
            return tuple(given / one for one in value) if isinstance(value, tuple) else given / value
        return value

    chosen = {name: place(name, value) for name, value in options.items()}
    result = gesso.run(task, home=home, **({"out": folder} | chosen))
    return [path for path in result.paths if path.suffix != ".json" and read_recipe(path) is not None]


@pytest.mark.parametrize(("task", "count", "options"), [("sample", *one) for one in SAMPLES] + OTHERS)
def test_identical(task, count, options, home, given, tmp_path):
    paths = made(home, given, tmp_path, task, options)
    assert len(paths) == count
    result = gesso.run("replay", home=home, pictures=paths)
    assert [one["words"] for one in result.facts["pictures"] if not one["identical"]] == []
    assert result.facts["identical"] == count


def test_it_is_fifty():
    assert sum(count for count, _ in SAMPLES) + sum(count for _, count, _ in OTHERS) >= 50


def test_marks_in_the_pixels_are_made_again(home, given, tmp_path):
    with imprinting(home, profile="cn"):
        paths = made(home, given, tmp_path, "sample", {"run": "1", "count": 1, "seed": 7, "size": 128})
    how = read_recipe(paths[0]).written
    assert how.label == "AI生成"
    assert gesso.run("replay", home=home, pictures=paths).facts["identical"] == 1
    assert gesso.run("replay", home=home, pictures=paths, keep=tmp_path / "kept").paths[0].is_file()


def test_a_changed_picture_is_told(home, given, tmp_path):
    (path,) = made(home, given, tmp_path, "sample", {"run": "1", "count": 1, "seed": 3, "finish": False})
    recipe = read_recipe(path)
    with Image.open(path) as image:
        pixels = np.asarray(image).copy()
    pixels[3, 4] ^= 255
    from gesso.marks.picture import write_picture

    with imprinting(home, ledger=False):
        write_picture(tmp_path / "changed.png", pixels, recipe)
    (found,) = gesso.run("replay", home=home, pictures=[tmp_path / "changed.png"]).facts["pictures"]
    assert found["identical"] is False
    assert found["share"] == pytest.approx(1 / 256)


def test_without_its_recipe_the_ledger_tells(home, given, tmp_path):
    options = {"run": "1", "count": 1, "seed": 77, "finish": False}
    path = gesso.run("sample", home=home, out=tmp_path, recipe=False, **options).paths[0]
    assert read_recipe(path) is None
    assert gesso.run("replay", home=home, pictures=[path]).facts["identical"] == 1


def test_what_cannot_be_made_again_is_said(home, given, tmp_path):
    (path,) = made(home, given, tmp_path, "cutout", {"picture": "thing.png", "out": "a.png"})
    Image.new("RGB", (16, 16)).save(tmp_path / "plain.png")
    said = gesso.run("replay", home=home, pictures=[tmp_path / "plain.png"]).facts["pictures"][0]
    assert (said["identical"], "no recipe" in said["words"]) == (None, True)
    moved = tmp_path / "moved"
    moved.mkdir()
    (given / "thing.png").rename(moved / "thing.png")
    gone = gesso.run("replay", home=home, pictures=[path]).facts["pictures"][0]
    there = gesso.run("replay", home=home, pictures=[path], look=[moved]).facts["pictures"][0]
    (moved / "thing.png").rename(given / "thing.png")
    assert (gone["identical"], "not to be found" in gone["words"]) == (None, True)
    assert there["identical"] is True
    with pytest.raises(GessoError, match="There is no file"):
        gesso.run("replay", home=home, pictures=[tmp_path / "gone.png"])


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("sample", {}, "does not fit"),
        ("animate", {"seeds": [1, 2], "times": [1]}, "does not fit"),
        ("withdraw", {"data": "few", "pictures": ["1.png"]}, "makes no pictures"),
        ("ledger", {}, "makes no pictures"),
        ("nothing", {}, "no task"),
    ],
)
def test_recipes_that_strangers_wrote(task, options, words, home, tmp_path):
    values = {"gesso": "1", "task": task, "seed": 1, "width": 16, "height": 16, "options": options}
    texts = PngImagePlugin.PngInfo()
    texts.add_text("gesso", json.dumps(values))
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png", pnginfo=texts)
    for found in (
        gesso.run("replay", home=home, pictures=[tmp_path / "a.png"]).facts["pictures"][0],
        gesso.run("verify", home=home, files=[tmp_path / "a.png"], replay=True).facts["files"][0]["replay"],
    ):
        assert (found["identical"], words in found["words"]) == (None, True), found


def test_no_pipeline_is_fetched_for_a_picture(home, tmp_path, monkeypatch):
    asked = []

    def read(name, download=True):
        asked.append((name, download))
        raise GessoError("It is not here.")

    monkeypatch.setattr("gesso.pretrained.read", read)
    values = {"gesso": "1", "run": "diffusers:some/one", "number": 0, "model": "ab" * 32, "step": 0, "family": "x"}
    texts = PngImagePlugin.PngInfo()
    texts.add_text("gesso", json.dumps(values | {"seed": 1, "width": 16, "height": 16}))
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png", pnginfo=texts)
    (found,) = gesso.run("replay", home=home, pictures=[tmp_path / "a.png"]).facts["pictures"]
    assert (found["identical"], asked) == (None, [("some/one", False)])


def test_a_label_on_what_no_model_drew_is_made_again(home, given, tmp_path):
    with imprinting(home, profile="cn"):
        paths = made(home, given, tmp_path, "retarget", {"picture": "large.png", "size": "52x48", "out": "a.png"})
    assert read_recipe(paths[0]).written.label
    assert gesso.run("replay", home=home, pictures=paths).facts["identical"] == 1
