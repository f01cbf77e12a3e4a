"""Many pictures in one file: a ZIP, sprites, a contact sheet, a film."""

import hashlib
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import gesso
from gesso.errors import GessoError
from gesso.marks.picture import write_picture
from gesso.marks.recipe import Recipe, Work, read_recipe, read_source
from gesso.tasks.gather import Gather

TRAINED, COMPOSITE = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
RECIPE = Recipe(
    gesso="0.1.0", run="0007-emoji-gan", number=7, model="ab" * 32, step=12, family="gan", seed=42, width=16, height=12
)


def picture(seed, high=12, wide=16, channels=3):
    image = np.random.default_rng(seed).integers(0, 256, (high, wide, channels), np.uint8)
    if channels == 4:
        image[..., 3] = np.where(image[..., 3] > 127, 255, 0)
        image[..., :3] *= image[..., 3:] // 255
    return image


@pytest.fixture
def drawn(tmp_path):
    """Four pictures that a model drew, the last with transparency, of one size."""
    folder = tmp_path / "in"
    return [
        write_picture(
            folder / f"{i}.png", picture(i, channels=3 if i < 3 else 4), RECIPE.model_copy(update={"seed": i})
        )
        for i in range(4)
    ]


def gather(home, *pictures, **options):
    return gesso.run("gather", home=home, pictures=pictures, **options)


def pixels(path, mode="RGBA"):
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


# --- ZIP ---


def test_a_zip_holds_the_files_as_they_are(tmp_path, drawn):
    plain = tmp_path / "plain.JPG"
    Image.fromarray(picture(9)).save(plain, "JPEG")
    result = gather(tmp_path, *drawn, plain, out=tmp_path / "all.zip")
    assert result.paths == (tmp_path / "all.zip",)
    with zipfile.ZipFile(result.paths[0]) as file:
        assert file.testzip() is None
        assert file.namelist() == ["0.png", "1.png", "2.png", "3.png", "plain.JPG", "pictures.json"]
        for path in (*drawn, plain):
            assert file.read(path.name) == path.read_bytes()
        listed = json.loads(file.read("pictures.json"))["pictures"]
    assert [one["sha256"] for one in listed] == [hashlib.sha256(p.read_bytes()).hexdigest() for p in (*drawn, plain)]
    assert [Recipe.of(one["recipe"]).seed for one in listed[:4]] == [0, 1, 2, 3]
    assert "recipe" not in listed[4]
    bare = gather(tmp_path, *drawn, out=tmp_path / "bare.zip", recipe=False)
    with zipfile.ZipFile(bare.paths[0]) as file:
        assert not any("recipe" in one for one in json.loads(file.read("pictures.json"))["pictures"])


def test_names_in_a_zip_are_unlike(tmp_path, drawn):
    for name in ("b/0.png", "c/0.PNG", "c/0_2.png", "pictures.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    more = [tmp_path / name for name in ("b/0.png", "c/0.PNG", "c/0_2.png", "pictures.json")]
    with zipfile.ZipFile(gather(tmp_path, drawn[0], *more).paths[0]) as file:
        names = file.namelist()
        assert len({name.casefold() for name in names}) == 6
        assert file.read("0_2.png") == b"b/0.png"
        assert [one["name"] for one in json.loads(file.read("pictures.json"))["pictures"]] == names[:-1]


def test_a_zip_is_streamed_and_nothing_half_is_left(tmp_path):
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(bytes(8 << 20))
    options = Gather.Options.of(
        {"pictures": [tmp_path / f"{i}.png" for i in range(8)], "out": tmp_path / "out" / "a.zip"}
    )
    tracemalloc.start()
    try:
        list(Gather().run(options, tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    steps = Gather().run(options, tmp_path)
    next(steps)
    steps.close()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.zip"]


def test_what_is_there_stays(tmp_path, drawn):
    first = gather(tmp_path, *drawn).paths[0]
    second = gather(tmp_path, drawn[0], drawn[1], *drawn[2:]).paths[0]
    assert first.parent.parent == tmp_path / "gallery"
    assert (first.name, second.name) == ("pictures-4.zip", "pictures-4_2.zip")
    before = drawn[0].read_bytes()
    made = gather(tmp_path, *drawn, form="sprites", out=drawn[0])
    assert made.paths[0].name == "0_2.png"
    assert drawn[0].read_bytes() == before


# --- sprites ---


def test_sprites_and_their_atlas(tmp_path, drawn):
    small = write_picture(tmp_path / "in" / "small.png", picture(5, 6, 10, 4))
    image, atlas = gather(tmp_path, *drawn, small, form="sprites", padding=3, columns=3, out=tmp_path / "s.png").paths
    assert (image.name, atlas.name) == ("s.png", "s.json")
    told = json.loads(atlas.read_text())
    page = pixels(image)
    assert page.shape == (12 * 2 + 3, 16 * 3 + 6, 4)
    assert told["meta"]["size"] == {"w": 54, "h": 27}
    assert told["meta"]["image"] == "s.png"
    assert list(told["frames"]) == ["0.png", "1.png", "2.png", "3.png", "small.png"]
    seen = np.zeros(page.shape[:2], bool)
    for path in (*drawn, small):
        x, y, w, h = (told["frames"][path.name]["frame"][key] for key in "xywh")
        np.testing.assert_array_equal(page[y : y + h, x : x + w], pixels(path))
        seen[y : y + h, x : x + w] = True
    assert not page[~seen].any()
    assert told["frames"]["small.png"]["frame"] == {"x": 22, "y": 18, "w": 10, "h": 6}
    assert told["frames"]["0.png"]["trimmed"] is False


@pytest.mark.parametrize(("side", "size"), [(32, (24, 32)), (8, (6, 8))])
def test_sprites_of_another_size(tmp_path, drawn, side, size):
    image, atlas = gather(tmp_path, drawn[0], form="sprites", side=side).paths
    page = pixels(image, "RGB")
    assert page.shape[:2] == size
    if side == 32:  # whole multiples stay as sharp as they are
        np.testing.assert_array_equal(page[::2, ::2], pixels(drawn[0], "RGB"))
    assert json.loads(atlas.read_text())["frames"]["0.png"]["sourceSize"] == {"w": size[1], "h": size[0]}


def test_sprites_that_no_sheet_holds(tmp_path):
    wide = tmp_path / "wide.png"
    Image.new("RGB", (9000, 8)).save(wide)
    with pytest.raises(GessoError, match="18,000×8 pixels"):
        gather(tmp_path, wide, wide, form="sprites", columns=2)


# --- contact sheets ---


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_contact_sheet(tmp_path, drawn, suffix):
    sheet = gather(tmp_path, *drawn, form="sheet", format=suffix).paths[0]
    named = gather(tmp_path, *drawn, form="sheet", names=True, out=tmp_path / f"named.{suffix}").paths[0]
    assert sheet.suffix == f".{suffix}"
    assert pixels(named).shape[0] > pixels(sheet).shape[0] > 24
    recipe = read_recipe(named)
    assert isinstance(recipe, Work)
    assert recipe.task == "gather"
    assert list(recipe.inputs) == ["0.png", "1.png", "2.png", "3.png"]
    assert recipe.options["names"] is True
    assert read_recipe(gather(tmp_path, *drawn, form="sheet", format=suffix, recipe=False).paths[0]) is None


def test_a_sheet_of_many_large_pictures_is_no_larger_than_a_page(tmp_path):
    Image.new("RGB", (1400, 900), (90, 30, 60)).save(tmp_path / "a.png")
    sheet = gather(tmp_path, *[tmp_path / "a.png"] * 9, form="sheet").paths[0]
    high, wide = pixels(sheet).shape[:2]
    assert 2300 < wide < 2600
    assert 1400 < high < 1800
    assert len(read_recipe(sheet).inputs) == 9


def test_so_many_that_a_recipe_cannot_name_them(tmp_path):
    for i in range(300):
        Image.new("L", (8, 8), i % 256).save(tmp_path / f"a picture with a long name {i:03d}.png")
    sheet = gather(tmp_path, tmp_path, form="sheet", out=tmp_path / "out.png").paths[0]
    assert list(read_recipe(sheet).inputs) == ["300 pictures"]


# --- films ---


def shown(path):
    with Image.open(path) as film:
        return [(np.asarray(frame.convert("RGBA")), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]


@pytest.mark.parametrize("suffix", ["webp", "gif", "apng"])
def test_a_film(tmp_path, drawn, suffix):
    frames = shown(gather(tmp_path, *drawn, form="film", fps=4, out=tmp_path / f"a.{suffix}").paths[0])
    assert [round(length) for _, length in frames] == [250] * 4
    if suffix != "gif":
        for (image, _), path in zip(frames, drawn, strict=True):
            np.testing.assert_array_equal(image, pixels(path))


@pytest.mark.parametrize("suffix", ["webp", "apng"])
def test_pictures_are_held(tmp_path, drawn, suffix):
    frames = shown(gather(tmp_path, *drawn, form="film", hold=1.5, format=suffix).paths[0])
    assert [round(length) for _, length in frames] == [1500] * 4


def test_pictures_fade(tmp_path):
    for name, grey in (("a", 0), ("b", 200)):
        Image.new("RGB", (16, 16), (grey,) * 3).save(tmp_path / f"{name}.png")
    film = gather(tmp_path, tmp_path / "a.png", tmp_path / "b.png", form="film", fps=10, hold=0.2, fade=0.3).paths[0]
    greys = [int(image[0, 0, 0]) for image, length in shown(film) for _ in range(round(length / 100))]
    assert greys == [0, 0, 50, 100, 150, 200, 200]


def test_pictures_of_several_sizes_lie_in_the_middle(tmp_path, drawn):
    small = write_picture(tmp_path / "in" / "small.png", picture(5, 6, 10))
    (image, _), (other, _) = shown(gather(tmp_path, drawn[0], small, form="film").paths[0])
    assert image.shape == other.shape == (12, 16, 4)
    np.testing.assert_array_equal(other[3:9, 3:13], pixels(small))
    assert not other[:3].any()


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_a_video(tmp_path, drawn, suffix):
    av = pytest.importorskip("av")
    film = gather(tmp_path, *drawn, form="film", fps=4, hold=0.5, format=suffix).paths[0]
    with av.open(str(film)) as found:
        told = {key.lower(): value for key, value in found.metadata.items()}
        assert sum(1 for _ in found.decode(video=0)) == 8
    assert TRAINED in told["comment"]
    assert json.loads(told["gesso"])["task"] == "gather"


# --- marks ---


MARKS = [
    ((TRAINED, TRAINED), TRAINED),
    ((TRAINED, None), COMPOSITE),
    ((COMPOSITE, COMPOSITE), COMPOSITE),
    (("composite", TRAINED), COMPOSITE),
    (("composite", None), "composite"),
    (("algorithmicallyEnhanced", "algorithmicallyEnhanced"), "algorithmicallyEnhanced"),
    (("algorithmicallyEnhanced", None), None),
    ((None, None), None),
]


@pytest.mark.parametrize("form", ["sprites", "sheet", "film"])
@pytest.mark.parametrize(("given", "mark"), MARKS)
def test_the_mark_of_machines_is_kept(tmp_path, form, given, mark):
    paths = [write_picture(tmp_path / f"{i}.png", picture(i), source=one) for i, one in enumerate(given)]
    assert read_source(gather(tmp_path, *paths, form=form).paths[0]) == mark


# --- what cannot be ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pictures": ()}, "pictures"),
        ({"out": "a.png"}, "A ZIP cannot be written as '.png'"),
        ({"form": "sprites", "out": "a.jpg"}, "A sprite sheet cannot be written as '.jpg'"),
        ({"form": "sheet", "format": "mp4"}, "A contact sheet cannot be written as '.mp4'"),
        ({"form": "film", "format": "jpg"}, "A film cannot be written as '.jpg'"),
        ({"form": "film", "hold": 600, "fps": 60, "format": "gif", "fade": 1}, "frames"),
        ({"pictures": (Path("nowhere.png"),)}, "There is no file nowhere.png"),
        ({"form": "sheet", "pictures": (Path(__file__),)}, "cannot be read"),
    ],
)
def test_what_cannot_be_made(tmp_path, drawn, options, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GessoError, match=said):
        gesso.run("gather", home=tmp_path, **{"pictures": tuple(drawn), **options})
    assert not list(tmp_path.glob("a.*"))
    assert not (tmp_path / "gallery").exists() or not list((tmp_path / "gallery").glob("*/*"))


def test_more_than_there_is_memory_for(tmp_path, drawn, monkeypatch):
    monkeypatch.setattr("gesso.memory.free", lambda: 1000)
    with pytest.raises(GessoError, match="A sprite sheet of 4 pictures needs about"):
        gather(tmp_path, *drawn, form="sprites")


def test_a_folder_is_its_pictures_in_order(tmp_path, drawn):
    (tmp_path / "in" / "10.png").write_bytes(drawn[0].read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    with zipfile.ZipFile(io.BytesIO(gather(tmp_path, tmp_path / "in").paths[0].read_bytes())) as file:
        assert file.namelist()[:-1] == ["0.png", "1.png", "2.png", "3.png", "10.png"]
