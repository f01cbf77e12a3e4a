"""Works on single pictures, as a user asks for them: files in, files out, sentences for what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gesso
from gesso.errors import GessoError
from gesso.marks.recipe import Recipe, Work, read_parameters, read_recipe, read_source
from gesso.marks.work import mark_of, target_of, write_work


def save(path: Path, image: np.ndarray, **options) -> Path:
    Image.fromarray(image).save(path, **options)
    return path


def picture(height=64, width=72, seed=0, channels=3):
    dice = np.random.default_rng(seed)
    small = dice.integers(0, 255, (height // 6 + 1, width // 6 + 1, channels), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def place(tmp_path):
    save(tmp_path / "a.png", picture())
    save(tmp_path / "b.png", picture(80, 70, 1))
    mask = np.zeros((64, 72), np.uint8)
    mask[24:40, 20:40] = 255
    save(tmp_path / "m.png", mask)
    return tmp_path


def work(name, place, **options):
    return gesso.run(name, home=place / "home", **options)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def mode_of(path):
    with Image.open(path) as image:
        return image.mode


ASKED = {
    "style": lambda p: {"content": p / "a.png", "style": (p / "b.png",), "keep": p / "m.png"},
    "texture": lambda p: {"sample": p / "a.png", "size": "48x40", "tile": True},
    "retarget": lambda p: {"picture": p / "a.png", "size": "60x64", "protect": p / "m.png"},
    "variations": lambda p: {"picture": p / "a.png", "count": 1},
    "inpaint": lambda p: {"picture": p / "a.png", "mask": p / "m.png"},
    "outpaint": lambda p: {"picture": p / "a.png", "to": "90x70"},
}
SIZES = {"texture": (40, 48), "retarget": (64, 60), "outpaint": (70, 90)}


@pytest.mark.parametrize("name", ASKED)
def test_a_work_is_written_with_its_recipe_and_mark(name, place):
    before = {path.name: path.read_bytes() for path in place.glob("*.png")}
    result = work(name, place, seed=5, **ASKED[name](place))
    made = result.paths[0]
    assert made.parent == place
    assert pixels(made).shape[:2] == SIZES.get(name, (64, 72))
    recipe = read_recipe(made)
    assert isinstance(recipe, Work)
    assert (recipe.task, recipe.seed) == (name, 5)
    assert (recipe.height, recipe.width) == pixels(made).shape[:2]
    assert "a.png" in recipe.inputs
    assert f"Task: {name}" in (read_parameters(made) or "")
    assert read_source(made) == "composite"
    again = work(name, place, seed=5, out=place / "again.webp", threads=1, recipe=False, **ASKED[name](place))
    np.testing.assert_array_equal(pixels(again.paths[0]), pixels(made))
    assert read_recipe(again.paths[0]) is None
    assert all((place / file).read_bytes() == data for file, data in before.items())


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "P"])
def test_other_kinds_of_pictures(mode, place):
    image = Image.fromarray(picture())
    if mode == "I;16":
        Image.fromarray(picture()[..., 0].astype(np.uint16) * 257).save(place / "c.png")
    elif mode == "RGBA":
        image.putalpha(Image.fromarray(picture(seed=3)[..., 0]))
        image.save(place / "c.png")
    else:
        image.convert(mode).save(place / "c.png")
    made = work("inpaint", place, picture=place / "c.png", mask=place / "m.png").paths[0]
    assert mode_of(made) == ("RGBA" if mode == "RGBA" else "RGB")
    styled = work("style", place, content=place / "c.png", style=(place / "c.png",)).paths[0]
    assert mode_of(styled) == ("RGBA" if mode == "RGBA" else "RGB")
    if mode == "RGBA":
        np.testing.assert_array_equal(pixels(styled)[..., 3], pixels(place / "c.png")[..., 3])


@pytest.mark.parametrize("transparent", [False, True])
def test_pixels_outside_a_mask_are_untouched_to_the_bit(transparent, place):
    image = picture(seed=7)
    if transparent:
        image = np.dstack([image, picture(seed=8)[..., 0]])
        image[0, 0] = (200, 100, 50, 0)  # a colour that nobody sees is kept, too
    save(place / "c.png", image)
    hole = pixels(place / "m.png") > 0
    for path in work("inpaint", place, picture=place / "c.png", mask=place / "m.png", count=3).paths:
        np.testing.assert_array_equal(pixels(path)[~hole], image[~hole])
    wide = work("outpaint", place, picture=place / "c.png", to="80x80", across="left", down="bottom").paths[0]
    np.testing.assert_array_equal(pixels(wide)[16:, :72], image)
    put = work("outpaint", place, picture=place / "c.png", to="80x80", at="3,10").paths[0]
    np.testing.assert_array_equal(pixels(put)[10:74, 3:75], image)


def test_candidates_are_written_best_first(place):
    result = work("inpaint", place, picture=place / "a.png", mask=place / "m.png", count=3, grow=2)
    assert [path.name for path in result.paths] == ["a-inpaint.png", "a-inpaint-2.png", "a-inpaint-3.png"]
    assert result.facts["energies"] == sorted(result.facts["energies"])
    grown = (pixels(result.paths[0]) != pixels(place / "a.png")).any(2)
    assert grown[22:24, 22:38].any()


def test_variations_have_seeds_of_their_own(place):
    both = work("variations", place, picture=place / "a.png", count=2, seed=3).paths
    one = work("variations", place, picture=place / "a.png", count=1, seed=4, out=place / "v.png").paths[0]
    np.testing.assert_array_equal(pixels(both[1]), pixels(one))
    assert [read_recipe(path).seed for path in both] == [3, 4]


def test_textures_come_with_maps(place):
    rough = save(place / "rough.png", picture(seed=9))
    result = work("texture", place, sample=place / "a.png", size="48", maps=True, map=(rough,))
    names = ["a-texture.png", "a-texture-rough.png", "a-texture-height.png", "a-texture-normal.png"]
    assert [path.name for path in result.paths] == names
    assert pixels(result.paths[3])[..., 2].min() >= 127  # normals look outwards


def test_wang_tiles_are_one_sheet_and_a_table(place):
    save(place / "s.png", picture(90, 90))
    result = work("texture", place, sample=place / "s.png", size="40", wang=True)
    sheet, table = result.paths
    assert pixels(sheet).shape[:2] == (160, 160)
    listed = json.loads(table.read_text())
    assert listed["image"] == sheet.name
    assert len({(t["north"], t["east"], t["south"], t["west"]) for t in listed["tiles"]}) == 16


def test_panorama(place):
    made = work("texture", place, sample=place / "a.png", size="128x64", panorama=True).paths[0]
    assert pixels(made).shape == (64, 128, 3)


def test_things_are_moved(place):
    result = work("retarget", place, picture=place / "a.png", move=place / "m.png", by="20,-10")
    np.testing.assert_array_equal(pixels(result.paths[0])[14:30, 40:60], picture()[24:40, 20:40])


def test_frames_of_a_film(place):
    folder = place / "film"
    folder.mkdir()
    wide = picture(48, 90)
    for i in (2, 10, 1):
        save(folder / f"f{i}.png", np.ascontiguousarray(wide[:, i : i + 60]))
    result = work("style", place, content=folder, style=(place / "b.png",), size=80)
    assert [path.name for path in result.paths] == ["f1.png", "f2.png", "f10.png"]
    assert pixels(result.paths[0]).shape == (64, 80, 3)
    assert result.paths[0].parent == place / "film-style"


def test_regions_and_size(place):
    grey = np.zeros((64, 72), np.uint8)
    grey[:, 36:] = 200
    save(place / "r.png", grey)
    styles = (place / "a.png", place / "b.png")
    made = work("style", place, content=place / "a.png", style=styles, regions=place / "r.png", size=96).paths[0]
    assert pixels(made).shape == (85, 96, 3)


def test_a_network_may_refine_a_style(place):
    from tests.test_patch import vgg

    network = vgg(place / "w.safetensors")
    asked = {"content": place / "a.png", "style": (place / "b.png",)}
    plain = work("style", place, out=place / "p.png", **asked).paths[0]
    made = work("style", place, network=network, network_steps=3, **asked).paths[0]
    assert (pixels(made) != pixels(plain)).any()
    assert "w.safetensors" in read_recipe(made).inputs


def test_a_picture_of_a_machine_stays_one(place):
    given = write_work(place / "w.png", picture(), "style", {}, {}, seed=0, source="trainedAlgorithmicMedia")
    assert mark_of("composite", [given]) == "compositeWithTrainedAlgorithmicMedia"
    made = work("inpaint", place, picture=given, mask=place / "m.png").paths[0]
    assert read_source(made) == "compositeWithTrainedAlgorithmicMedia"
    for name in ("upscale", "restore"):
        assert read_source(work(name, place, picture=given).paths[0]) == "compositeWithTrainedAlgorithmicMedia"


def test_recipes_without_a_model_are_told_from_those_with_one(place):
    made = write_work(place / "w.jpg", picture(), "style", {place / "a.png": "ab"}, {"out": Path("x")}, seed=2)
    found = read_recipe(made)
    assert isinstance(found, Work)
    assert not isinstance(found, Recipe)
    assert found.options == {}
    with pytest.raises(GessoError, match="was drawn by no model, but made by `gesso style`"):
        work("sample", place, like=made)


def test_targets():
    assert target_of(None, Path("x/a.jpg"), "style") == Path("x/a-style.png")
    with pytest.raises(GessoError, match=r"a\.doc names no kind of picture"):
        target_of(Path("a.doc"), Path("x.png"), "style")


SAID = [
    ("inpaint", {"mask": "small.png"}, "The mask small.png is 10×10, the picture 72×64"),
    ("inpaint", {"mask": "white.png"}, "The mask is all white"),
    ("inpaint", {"mask": "black.png"}, "The mask is all black"),
    ("inpaint", {"picture": "none.png"}, "There is no file .*none.png"),
    ("inpaint", {"picture": "."}, "is a folder; the picture is one file"),
    ("inpaint", {"picture": "text.png"}, "cannot be read"),
    ("inpaint", {"out": "a.png"}, "is a picture that this is made from"),
    ("inpaint", {"count": 0}, "count = 0 does not fit"),
    ("style", {"style": ("small.png",)}, "The style 1 is 10×10 pixels: too small"),
    ("style", {"style": ()}, "style"),
    ("style", {"weight": (1.0, 2.0)}, "2 weights are given for 1 styles"),
    ("style", {"keep": "black.png"}, "The mask black.png is all black"),
    ("style", {"regions": "m.png"}, "have 2 flat greys for 1 styles"),
    ("style", {"regions": "small.png"}, "Make them 72×64, as the content"),
    ("style", {"content": "empty"}, "There is no picture in"),
    ("style", {"content": "empty", "network": "a.png"}, "A film is not refined by a network"),
    ("texture", {"sample": "small.png"}, "The sample is 10×10 pixels: too small"),
    ("texture", {"size": "0x10"}, "a side has 16 to 16,384 pixels"),
    ("texture", {"size": "wide"}, "--size wide is no size"),
    ("texture", {"size": "100x100", "panorama": True}, "twice as wide as high"),
    ("texture", {"map": ("b.png",)}, "The map b.png is 70×80, the sample 72×64"),
    ("texture", {"size": "16384x16384"}, "needs about .* of memory; .* are free"),
    ("retarget", {"size": None}, "Neither a new size nor what to move is given"),
    ("retarget", {"move": "m.png", "by": "up"}, "--by up is no way"),
    ("outpaint", {"to": "40x40"}, "does not go beyond it"),
    ("outpaint", {"to": "100x100", "at": "left"}, "--at left is no place"),
    ("outpaint", {"to": "100x100", "at": "80,0"}, "not within the new one"),
]


@pytest.mark.parametrize(("name", "wrong", "said"), SAID)
def test_what_does_not_fit_is_said(name, wrong, said, place, monkeypatch):
    save(place / "small.png", picture(10, 10))
    save(place / "white.png", np.full((64, 72), 255, np.uint8))
    save(place / "black.png", np.zeros((64, 72), np.uint8))
    (place / "text.png").write_text("no picture")
    (place / "empty").mkdir()
    monkeypatch.setattr("gesso.memory.free", lambda: 4 << 30)
    files = {
        key: tuple(place / v for v in value) if isinstance(value, tuple) and key != "weight"
        else place / value if isinstance(value, str) and key not in ("size", "by", "to", "at") else value
        for key, value in wrong.items()
    }  # fmt: skip
    with pytest.raises(GessoError, match=said):
        work(name, place, **(ASKED[name](place) | files))
