"""The one door for pictures: formats, alpha, recipes, marks, sheets."""

import io
import json
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from gesso.errors import GessoError
from gesso.marks.credentials import same
from gesso.marks.label import packet
from gesso.marks.picture import encode, on_ground, sheet, straight, to_uint8, write_picture, write_sheet
from gesso.marks.recipe import LONGEST, Recipe, as_json, parameters, read_parameters, read_recipe, read_source

FORMATS = ["png", "jpg", "jpeg", "webp", "avif"]
RECIPE = Recipe(
    gesso="0.1.0", run="0007-emoji-gan", number=7, model="ab" * 32, step=1200, family="gan", seed=42, label="rose",
    knobs={"truncation": 0.7, "steps": 8}, width=16, height=12,
)  # fmt: skip


def picture(channels=3, height=12, width=16):
    y, x = np.mgrid[:height, :width]
    planes = [255 * x // (width - 1), 255 * y // (height - 1), 128 + 0 * x, 255 * (x > 3)]
    image = np.stack(planes if channels == 4 else planes[:channels], 2).astype(np.uint8)
    if channels == 4:
        image[..., :3] = image[..., :3].astype(int) * image[..., 3:] // 255
    return image


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)
recipes = st.builds(
    Recipe,
    gesso=st.just("0.1.0"), task=words, run=words, number=st.integers(0, 10**9), model=st.just("0f" * 32),
    step=st.integers(0, 10**12), family=words, seed=st.integers(0, 2**63 - 1), label=st.none() | words,
    knobs=st.dictionaries(words, st.booleans() | st.integers(-9, 2**60) | st.floats(-1e9, 1e9) | words, max_size=4),
    width=st.integers(1, 4096), height=st.integers(1, 4096), device=words, precision=words,
)  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=25)
@given(recipe=recipes)
def test_any_recipe_comes_back(suffix, recipe, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"one.{suffix}"
    write_picture(path, picture(), recipe)
    assert read_recipe(path) == recipe
    assert read_parameters(path) == parameters(recipe).encode(errors="replace").decode()


@pytest.mark.parametrize("suffix", FORMATS)
def test_recipe_and_mark(tmp_path, suffix):
    path = write_picture(tmp_path / f"a.{suffix}", picture(), RECIPE)
    assert read_recipe(path) == RECIPE
    assert read_source(path) == "trainedAlgorithmicMedia"
    bare = write_picture(tmp_path / f"b.{suffix}", picture(), None)
    assert read_recipe(bare) is None
    assert read_parameters(bare) is None
    assert read_source(bare) == "trainedAlgorithmicMedia", "the mark stays where the recipe is left out"
    real = write_picture(tmp_path / f"c.{suffix}", picture(), None, source=None)
    assert read_source(real) is None
    assert same(encode(picture(), suffix, RECIPE), path.read_bytes())


def test_parameters_are_read_as_the_field_writes_them():
    assert parameters(RECIPE) == (
        "rose\nSteps: 8, Seed: 42, Size: 16x12, Model hash: ababababab, Model: 0007-emoji-gan, Truncation: 0.7, "
        "Generator: Gesso 0.1.0"
    )
    odd = RECIPE.model_copy(update={"run": "a, b: c", "label": None})
    assert parameters(odd).startswith("Steps: 8")
    assert 'Model: "a, b: c"' in parameters(odd)


def test_png_texts_are_where_other_tools_look(tmp_path):
    with Image.open(write_picture(tmp_path / "a.png", picture(), RECIPE)) as image:
        texts = image.info
    assert texts["parameters"] == parameters(RECIPE)
    assert json.loads(texts["gesso"])["seed"] == 42
    assert "Iptc4xmpExt:DigitalSourceType" in texts["XML:com.adobe.xmp"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_survive(tmp_path, suffix, channels):
    image = picture(channels)
    with Image.open(write_picture(tmp_path / f"a.{suffix}", image)) as file:
        written = file.copy()
    assert written.size == (16, 12)
    if suffix in ("png", "webp"):  # lossless
        modes = {1: "RGB" if suffix == "webp" else "L", 3: "RGB", 4: "RGBA"}
        assert written.mode == modes[channels]
        got = np.atleast_3d(np.asarray(written))
        assert np.array_equal(got if channels > 1 else got[..., :1], straight(image))
    elif channels == 4 and suffix != "avif":
        assert written.mode == "RGB"
        assert np.asarray(written)[:, :2].min() > 230, "white ground under what was clear"
    elif channels == 4:
        assert written.mode == "RGBA"
        assert np.abs(np.asarray(written)[..., 3].astype(int) - image[..., 3]).max() < 12


@given(st.integers(0, 255), st.integers(0, 255))
def test_alpha_is_divided_out(colour, alpha):
    premultiplied = (colour * alpha + 127) // 255
    got = straight(np.array([[[premultiplied] * 3 + [alpha]]], np.uint8))[0, 0]
    assert got[3] == alpha
    assert alpha == 0 or abs(int(got[0]) - colour) <= 255 / alpha
    assert on_ground(np.array([[[premultiplied] * 3 + [alpha]]], np.uint8), np.uint8(255)).shape == (1, 1, 3)


def test_bytes_are_rounded_to_the_nearest():
    values = torch.tensor([-9.0, -1.0, -1 + 1 / 255, 0.0, 1.0, 9.0]).view(1, 1, 1, 6)
    assert to_uint8(values).ravel().tolist() == [0, 0, 0, 128, 255, 255]
    every = torch.arange(256).float() / 127.5 - 1
    assert to_uint8(every.view(1, 1, 16, 16)).ravel().tolist() == list(range(256))
    assert to_uint8(torch.zeros(2, 3, 4, 5)).shape == (2, 4, 5, 3)


def test_unknown_formats_are_named(tmp_path):
    with pytest.raises(GessoError, match=r"'.jpgg'. Did you mean 'jpg'"):
        write_picture(tmp_path / "a.jpgg", picture())
    with pytest.raises(GessoError, match="cannot be written as"):
        write_picture(tmp_path / "a", picture())
    with pytest.raises(ValueError, match="h w c uint8"):
        encode(np.zeros((4, 4, 2), np.uint8), "png")
    assert not list(tmp_path.iterdir())


def test_a_recipe_too_long_costs_nothing(tmp_path):
    path = write_picture(tmp_path / "a.png", picture(), RECIPE)
    kept = path.read_bytes()
    long = RECIPE.model_copy(update={"knobs": {"x": "y" * LONGEST}})
    with pytest.raises(GessoError, match="characters long"):
        write_picture(path, picture(), long)
    assert path.read_bytes() == kept


def png_with(**texts):
    out, info = io.BytesIO(), PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_itxt(key, value)
    Image.new("RGB", (2, 2)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


HOSTILE = [
    "", "null", "[]", "{}", "1", '"x"', "{", "[" * 20_000, '{"seed": ' + "9" * 5000 + "}", "NaN", "\ud7ff" * 40_000,
    pickle.dumps(print, 0).decode(), json.dumps({**RECIPE.model_dump(), "seed": "nine"}),
    json.dumps({**RECIPE.model_dump(), "seed": -1}), json.dumps({**RECIPE.model_dump(), "model": "../../x"}),
    json.dumps({**RECIPE.model_dump(), "width": 1e400}), json.dumps({**RECIPE.model_dump(), "run": "x" * 2000}),
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_recipes_are_refused(tmp_path, text):
    path = tmp_path / "a.png"
    path.write_bytes(png_with(gesso=text))
    with pytest.raises(GessoError, match=r"recipe in .* is damaged"):
        read_recipe(path)


def test_a_recipe_of_a_newer_gesso_is_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_with(gesso=json.dumps({**RECIPE.model_dump(), "invented": 1})))
    assert read_recipe(path) == RECIPE


@settings(max_examples=60)
@given(text=st.text(max_size=200) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps))
def test_any_text_is_a_recipe_or_a_sentence(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "hostile.png"
    try:
        path.write_bytes(png_with(gesso=text))
    except UnicodeEncodeError:
        return
    with pytest.raises(GessoError):
        read_recipe(path)


@settings(max_examples=60)
@given(data=st.binary(max_size=300), suffix=st.sampled_from(["png", "jpg", "webp", "avif"]), at=st.integers(0, 400))
def test_any_bytes_are_a_picture_or_a_sentence(data, suffix, at, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"bytes.{suffix}"
    whole = encode(picture(), suffix, RECIPE)
    for content in (data, whole[:at] + data + whole[at:], whole[:at]):
        path.write_bytes(content)
        try:
            found = read_recipe(path)
        except GessoError:
            continue
        assert found is None or isinstance(found, Recipe)


def test_a_text_that_explodes_is_refused(tmp_path):
    body = b"gesso\0\0" + zlib.compress(b"x" * (64 << 20))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    whole = png_with()
    path = tmp_path / "bomb.png"
    path.write_bytes(whole[:33] + chunk + whole[33:])
    with pytest.raises(GessoError, match=r"cannot be read|damaged"):
        read_recipe(path)


def test_xmp_is_well_formed():
    from xml.etree import ElementTree

    tree = ElementTree.fromstring(
        packet("1", "trainedAlgorithmicMedia", recipe=as_json(RECIPE.model_copy(update={"label": "<&>]]>"})))
    )
    texts = [node.text for node in tree.iter() if node.text]
    assert "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia" in texts
    assert any('"label": "<&>]]>"' in text for text in texts)


def test_small_pictures_are_enlarged_by_whole_numbers():
    page = sheet([[picture(height=16, width=16)] * 3] * 2)
    cell, gap = 96, 4
    assert page.shape == (2 * cell + 3 * gap, 3 * cell + 4 * gap, 3)
    assert np.array_equal(page[gap : gap + cell : 6, gap : gap + cell : 6], picture(height=16, width=16))
    assert (page[:gap] == 255).all()


def test_sheets_hold_what_they_are_given(tmp_path):
    plain = sheet([[picture()] * 2, [picture()]])
    titled = sheet([[picture()] * 2, [picture()]], title="From real to made", captions=["real", "made"])
    named = sheet([[picture()] * 2, [picture()]], under=[["rose", "a name far too long to fit below it"], ["玫瑰"]])
    assert titled.shape[0] > plain.shape[0]
    assert named.shape[0] > plain.shape[0]
    assert sheet([[picture(4)], [picture(1), picture(3, 9, 30)]]).shape[2] == 3
    wide = sheet([[picture(4, 600, 600)] * 8])
    assert 2400 <= wide.shape[1] < 2600
    path = write_sheet(tmp_path / "s.png", [[picture()]], source="compositeWithTrainedAlgorithmicMedia")
    assert read_source(path) == "compositeWithTrainedAlgorithmicMedia"
    with pytest.raises(ValueError, match="needs a picture"):
        sheet([[]])
