"""Scenes: how they are read, placed, blended and written; cut-outs; sprite sheets."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gesso
from gesso import memory
from gesso.errors import GessoError
from gesso.marks.credentials import same as same_file
from gesso.marks.recipe import Work, read_recipe, read_source
from gesso.scene import CutOptions, Files, cut_out, plans, read_scene, render, scene_of
from gesso.scene.blending import lay, over
from gesso.scene.fonts import face, lacking, opened
from gesso.scene.harmonise import harmonised, stroked
from gesso.scene.layers import KINDS, Format, Scene, Shadow
from gesso.scene.pixels import as_bytes, as_layered, blurred, filled, gradient, resized, rotated
from gesso.scene.placing import Placed
from gesso.scene.poisson import fill, steps
from gesso.scene.rendering import Rendered, Step
from gesso.scene.text import lines_of
from gesso.scene.units import PRESETS, colour, measured, paper

RNG = np.random.default_rng(0)
TEXT = {"kind": "text", "text": "A", "font": "DejaVu Sans"}


def save(path: Path, image: np.ndarray) -> Path:
    Image.fromarray(image).save(path)
    return path


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), dtype=np.uint8)


def done(values: dict, folder: Path, **more) -> list[Rendered]:
    found = render(scene_of(values), Files(folder), **more)
    return [event for event in found if isinstance(event, Rendered)]


def one(layers: list[dict], folder: Path, **more) -> np.ndarray:
    (found,) = done({"layers": layers, **more}, folder)
    return found.image


# ---- words


@pytest.mark.parametrize(
    ("text", "means"),
    [("40", (40, 0, 0)), ("-12.5px", (-12.5, 0, 0)), ("50%", (0, 0, 0.5)), ("25.4mm", (0, 1, 0)), ("72pt", (0, 1, 0)),
     ("100% - 40px", (-40, 0, 1)), ("1in+5%+2", (2, 1, 0.05))],
)  # fmt: skip
def test_lengths(text, means):
    assert measured(text) == pytest.approx(means)


@pytest.mark.parametrize("text", ["", " ", "5 5", "%", "1..2", "px", "1e5", "--3", "1px 2px", "9999999999", "nan"])
def test_no_lengths(text):
    with pytest.raises(ValueError, match="length is"):
        measured(text)


def test_sizes_and_colours():
    assert paper("1080x1350") == (1080, 1350, False)
    assert paper("story") == (1080, 1920, False)
    assert paper("25.4 x 50.8mm") == pytest.approx((1, 2, True))
    for wrong in ("0x100", "10", "10x", "10mm x 20px", "1.5x2", "10x99999999", "1..2x3"):
        with pytest.raises(ValueError, match=r"size|side"):
            paper(wrong)
    assert colour("#ff000080") == pytest.approx((1, 0, 0, 128 / 255))
    with pytest.raises(ValueError, match="Did you mean 'crimson'"):
        colour("crimsn")


# ---- what is wrong is said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "A scene is an object with 'layers'."),
        ({}, "The scene has no layers."),
        ({"layers": []}, "The scene has no layers."),
        ({"layers": [3]}, "Layer 1 is no object."),
        ({"layers": [{"kind": "txt"}]}, "Layer 1: there is no kind 'txt'. Did you mean 'text'?"),
        ({"layers": [TEXT, {"id": "logo"}]}, "Layer 2 ('logo') has no kind."),
        ({"layers": [{**TEXT, "id": "headline", "colr": "red"}]},
         "Layer 1 ('headline'): there is no option 'colr'. Did you mean 'colour'?"),
        ({"layers": [{**TEXT, "colour": "rde"}]}, "Did you mean 'red'?"),
        ({"layers": [{**TEXT, "shadow": {"blurr": 3}}]}, "no option 'shadow.blurr'. Did you mean 'blur'?"),
        ({"layers": [{**TEXT, "opacity": 2}]}, "Layer 1: opacity = 2 does not fit"),
        ({"layers": [{**TEXT, "x": "left"}]}, "a length is a number of pixels"),
        ({"layers": [{"kind": "colour"}]}, "Layer 1 needs one colour, or a gradient"),
        ({"layers": [TEXT], "formats": {"storey": {}}}, "The format 'storey' has no size. Give its 'size'. "
         "Did you mean 'story'?"),
        ({"layers": [TEXT], "formats": {"a": "0x5"}}, "both sides of a size are more than zero"),
        ({"layers": [{**TEXT, "id": "headline"}], "formats": {"story": {"layers": {"hedline": {}}}}},
         "The format 'story' changes a layer 'hedline' that is not there. Did you mean 'headline'?"),
        ({"layers": [{**TEXT, "id": "a"}], "variants": {"v": {"a": {"size": -1, "sise": 1}}}}, "In the variant 'v'"),
        ({"layers": [{**TEXT, "id": "a"}], "variants": {"v": {"a": {"kind": "colour"}}}}, "changes the kind"),
        ({"layers": [{**TEXT, "id": "a"}, {**TEXT, "id": "a"}]}, "Two layers are named 'a'."),
        ({"layers": [TEXT], "size": 5}, "Scene: size = 5 does not fit"),
        ({"layers": [TEXT], "sizes": "a4"}, "no option 'sizes'. Did you mean 'size'?"),
        ({"layers": [{"kind": "sheet", "pictures": ["a"], "rotation": 5}]}, "a sprite sheet is not turned"),
    ],
)  # fmt: skip
def test_wrong_scenes(values, said):
    with pytest.raises(GessoError) as caught:
        scene_of(values)
    assert said in str(caught.value)


def test_wrong_files(tmp_path):
    with pytest.raises(GessoError, match="There is no file"):
        read_scene(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(GessoError, match="it is not JSON"):
        read_scene(tmp_path / "a.json")
    with pytest.raises(GessoError, match="is a folder"):
        read_scene(tmp_path)
    save(tmp_path / "beach.png", noise(4, 4))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    for name, said in (("beech.png", "Did you mean 'beach.png'"), ("bad.png", "cannot be read"), (".", "is a folder")):
        with pytest.raises(GessoError, match=r"^Layer 1 \('sky'\)") as caught:
            one([{"kind": "picture", "id": "sky", "picture": name}], tmp_path)
        assert said in str(caught.value)
    with pytest.raises(GessoError, match="Layer 1: there is no font 'DejaVu Sanz'"):
        one([{**TEXT, "font": "DejaVu Sanz"}], tmp_path, size="9x9")
    for name, said in (("x/none.ttf", "there is no font file"), ("bad.png.ttf", "is no font")):
        (tmp_path / "bad.png.ttf").write_bytes(b"abc")
        with pytest.raises(GessoError, match=said):
            one([{**TEXT, "font": name}], tmp_path, size="9x9")
    with pytest.raises(GessoError, match="The scene has no size"):
        one([TEXT], tmp_path)
    with pytest.raises(GessoError, match="nobody here can draw"):
        one([{"kind": "generated", "run": "x"}], tmp_path, size="9x9")
    save(tmp_path / "m.png", noise(4, 5))
    with pytest.raises(GessoError, match=r"the mask m.png is 5×4, the picture 4×4"):
        one([{"kind": "picture", "picture": "beach.png", "mask": "m.png"}], tmp_path)


def test_memory_is_said_before_it_is_taken(tmp_path, monkeypatch):
    with pytest.raises(GessoError, match=r"The format 'wall' is 900,000×900,000 pixels, which needs about .* TB"):
        done({"layers": [TEXT], "formats": {"wall": "900000x900000"}}, tmp_path)
    save(tmp_path / "a.png", noise(4, 4))
    with pytest.raises(GessoError, match=r"Layer 1: it is .* pixels, which needs"):
        one([{"kind": "picture", "picture": "a.png", "width": 900000}], tmp_path, size="9x9")
    monkeypatch.setattr("gesso.scene.rendering.LARGE", 100)
    notes = list(render(scene_of({"layers": [TEXT], "size": "20x10"}), Files(tmp_path)))
    assert any(isinstance(event, Step) and "of memory" in event.note for event in notes)
    assert memory.said(3_200_000_000) == "3.2 GB"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["text", "colour", "picture", "sheet", "50%", "red", "story", "a4", "-1", "0x0"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([
        "kind", "id", "layers", "formats", "variants", "text", "picture", "size", "x", "width", "colour", "gradient",
        "shadow", "blur", "story", "bleed", "opacity", "font", "pictures", "cell", "focus", "a",
    ]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150)
@given(json_values)
def test_any_json_is_a_scene_or_a_sentence(values):
    for tried in (
        values,
        {"layers": [values]},
        {"layers": [{**TEXT, "id": "a"}], "formats": values, "variants": values},
    ):
        with suppress(GessoError):
            scene_of(tried)


# ---- pixels


def test_bytes_stay_as_they_are():
    image = noise(16, 16, 4)
    back = as_bytes(as_layered(image))
    seen = image[..., 3] > 0
    assert (back[seen] == image[seen]).all()
    assert (as_bytes(as_layered(noise(9, 9))) == noise(9, 9)).all()


def test_over_is_what_porter_and_duff_say():
    a, b, c = (as_layered(noise(8, 8 + i, 4)[:, :8]) for i in range(3))
    assert np.allclose(over(a, over(b, c)), over(over(a, b), c), atol=1e-6)
    clear, solid = filled(8, 8, (0, 0, 0, 0)), as_layered(noise(8, 8))
    assert (over(clear, a) == a).all()
    assert (over(solid, a) == solid).all()


def test_blends():
    white, black, grey = (filled(5, 5, (v, v, v, 1)) for v in (1, 0, 0.5))
    for blend, top, same in (("multiply", white, True), ("screen", black, True), ("multiply", black, False)):
        canvas = as_layered(noise(5, 5))
        before = canvas.copy()
        lay(canvas, Placed(top, 0, 0), blend)
        assert np.allclose(canvas, before if same else top, atol=1e-6)
    for blend, value in (("multiply", 0.25), ("screen", 0.75), ("normal", 0.5)):
        canvas = grey.copy()
        lay(canvas, Placed(grey, 0, 0), blend)
        assert np.allclose(canvas[..., :3], value)
        lay(canvas, Placed(white, 9, 9), blend)  # beside the canvas
        lay(canvas, Placed(white, 0, 0), blend, opacity=0)
        assert np.allclose(canvas[..., :3], value)
    bare = filled(5, 5, (0, 0, 0, 0))
    lay(bare, Placed(grey, 0, 0), "multiply")  # nothing to multiply with
    assert np.allclose(bare, grey)


def test_poisson_finds_a_known_field_again():
    field = blurred(RNG.random((61, 47, 3)).astype(np.float32), 2)
    inside = np.zeros((61, 47), bool)
    inside[5:50, 3:40] = True
    inside[20:30, 10:15] = False
    start = np.where(inside[..., None], 0.5, field).astype(np.float32)
    assert np.abs(fill(start, inside, *steps(field)) - field).max() < 1e-3
    lifted = fill(start, inside, *steps(field + 0.3))  # only differences count
    assert np.abs(lifted - field).max() < 1e-3


def test_poisson_between_walls_is_a_ramp():
    field = np.zeros((6, 33, 1), np.float32)
    field[:, -1] = 1
    inside = np.zeros((6, 33), bool)
    inside[:, 1:-1] = True
    nothing = np.zeros_like(field)
    assert np.abs(fill(field, inside, nothing, nothing)[..., 0] - np.linspace(0, 1, 33)).max() < 1e-3
    free = fill(np.full_like(field, 0.3), np.ones_like(inside), nothing, nothing)
    assert np.allclose(free, 0.3)


def test_seamless_takes_the_colours_of_the_scene():
    scene = gradient(40, 40, [(0.2, 0.3, 0.4, 1), (0.7, 0.6, 0.5, 1)], 30)
    dark = scene[10:30, 10:30] * np.array([0.8, 0.8, 0.8, 1], np.float32) + np.array([0.05, 0.1, 0, 0], np.float32)
    for mixed in (False, True):
        canvas = scene.copy()
        lay(
            canvas, Placed(scene[10:30, 10:30] - np.array([0.1, 0.1, 0.1, 0], np.float32), 10, 10), "seamless", 1, mixed
        )
        assert np.abs(canvas - scene).max() < 2e-3  # the same gradients, another lightness: nothing is to be seen
    canvas = scene.copy()
    lay(canvas, Placed(dark, 10, 10), "seamless")
    assert np.abs(canvas[10, 10:30] - scene[10, 10:30]).max() < 2e-3
    canvas = filled(20, 20, (0, 0, 0, 0))
    lay(canvas, Placed(dark, 0, 0), "seamless")  # nothing holds it
    assert np.allclose(canvas, dark)


def test_resizing_and_turning():
    image = as_layered(noise(8, 6, 4))
    assert resized(image, 8, 6) is image
    assert (resized(image, 16, 12, "pixel")[::2, ::2] == image).all()
    assert (rotated(image, 90) == np.rot90(image, -1)).all()
    flat = filled(10, 20, (0.2, 0.4, 0.6, 0.5))
    assert np.allclose(resized(flat, 33, 7), flat[0, 0], atol=1e-5)
    assert rotated(flat, 45).shape[0] >= 20
    wide = np.zeros((301, 301), np.float32)
    wide[150, 150] = 1
    soft = blurred(wide, 20)
    y = np.arange(301) - 150
    assert soft.sum() == pytest.approx(1, abs=0.01)
    assert np.sqrt((soft.sum(axis=1) * y**2).sum()) == pytest.approx(20, rel=0.05)


def test_harmonise_goes_towards_the_scene():
    thing = as_layered(noise(40, 40) // 4 + 120)
    scene = filled(40, 40, (0.2, 0.3, 0.8, 1))
    assert harmonised(thing, scene, 0) is thing
    far = [
        np.abs(harmonised(thing, scene, amount)[..., :3].mean((0, 1)) - (0.2, 0.3, 0.8)).sum() for amount in (0, 0.5, 1)
    ]
    assert far[0] > far[1] > far[2]
    assert harmonised(thing, filled(40, 40, (0, 0, 0, 0)), 1) is thing


# ---- layers


def test_a_picture_at_its_own_size_is_untouched(tmp_path):
    image = noise(30, 40)
    save(tmp_path / "a.png", image)
    layer = {"kind": "picture", "picture": "a.png"}
    assert (one([layer], tmp_path) == image).all()
    out = one(
        [{"kind": "colour", "colour": "white"}, {**layer, "x": 7, "y": 5, "anchor": "top-left"}], tmp_path, size="60x50"
    )
    assert (out[5:35, 7:47] == image).all()
    assert (out[:5] == 255).all()
    assert (one([{**layer, "flip": "vertical", "rotation": 180}], tmp_path) == image[:, ::-1]).all()


def test_grey_deep_and_transparent_pictures(tmp_path):
    grey = noise(6, 6, 1)[..., 0]
    save(tmp_path / "grey.png", grey)
    assert (one([{"kind": "picture", "picture": "grey.png"}], tmp_path) == grey[..., None]).all()
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    files = Files(tmp_path)
    *_, last = render(scene_of({"layers": [{"kind": "picture", "picture": "deep.png"}]}), files)
    assert isinstance(last, Rendered)
    assert (last.image == grey[..., None]).all()
    assert files.notes == ["deep.png: 16 bits to 8."]
    clear = noise(6, 6, 4)
    clear[..., 3] |= 1
    save(tmp_path / "clear.png", clear)
    assert (one([{"kind": "picture", "picture": "clear.png"}], tmp_path) == clear).all()


@pytest.mark.parametrize(("anchor", "box"), [("centre", (40, 15)), ("top-left", (50, 25)), ("bottom-right", (30, 5))])
def test_anchors(tmp_path, anchor, box):
    layer = {"kind": "colour", "colour": "red", "width": 20, "height": 20, "anchor": anchor}
    out = one([layer], tmp_path, size="100x50")
    x, y = box
    assert (out[y : y + 20, x : x + 20, 3] == 255).all()
    assert out[..., 3].sum() == 255 * 400


def test_fits(tmp_path):
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 30:] = 255
    save(tmp_path / "a.png", image)
    layer = {"kind": "picture", "picture": "a.png", "width": "100%", "height": "100%"}
    contained = one([{**layer, "fit": "contain"}], tmp_path, size="40x40")
    assert (contained[..., 3] > 0).sum() == 40 * 20
    covered = one([{**layer, "fit": "cover", "focus": ["100%", "50%"]}], tmp_path, size="20x20")
    assert (covered == image[:, 20:]).all()
    stretched = one([{**layer, "fit": "stretch", "resample": "pixel"}], tmp_path, size="40x40")
    assert (stretched == image.repeat(2, axis=0)).all()
    masked = one([{**layer, "mask": "a.png"}], tmp_path, size="40x20")
    assert (masked[..., 3] == image[..., 0]).all()
    round_ = one([{**layer, "fit": "stretch", "crop": "circle"}], tmp_path, size="40x40")
    assert (round_[..., 3].astype(float) / 255).sum() == pytest.approx(np.pi * 400, rel=0.01)


def test_formats_variants_bleed_and_scale(tmp_path):
    mark = {
        "kind": "colour",
        "id": "mark",
        "colour": "red",
        "width": "50%",
        "height": 10,
        "x": "100%",
        "anchor": "right",
    }
    values = {
        "size": "100x100", "ground": "white", "layers": [mark],
        "formats": {
            "square": "100x100", "story": "200x400",
            "own": {"size": "400x100", "layers": {"mark": {"width": "50%", "height": 20}}},
            "none": {"size": "50x50", "layers": {"mark": {"hidden": True}}},
            "a": {"size": "25.4mm x 50.8mm", "dpi": 100, "bleed": "2.54mm"},
        },
        "variants": {"red": {}, "blue": {"mark": {"colour": "blue"}}},
    }  # fmt: skip
    found = {made.plan.name: made for made in done(values, tmp_path)}
    assert len(found) == 10
    red = {name.removeprefix("red-"): (one.image[..., 1] == 0) for name, one in found.items() if name.startswith("red")}
    assert [int(red[name].sum()) for name in ("square", "story", "own", "none")] == [500, 100 * 20, 200 * 20, 0]
    assert red["story"][190:210, 100:].all()
    assert found["red-a"].image.shape == (220, 120, 3)
    assert red["a"][105:115, 60:].all()  # what touches the edge goes on through the bleed
    assert found["red-a"].dpi == 100
    assert found["red-square"].dpi is None
    assert (found["blue-square"].image[50, 90] == (0, 0, 255)).all()
    assert {one.plan.name for one in done(values, tmp_path, only=("red-story",))} == {"red-story"}
    assert [plan.name for plan in plans(scene_of(values), Files(tmp_path))][:2] == ["red-square", "red-story"]


def test_shadows(tmp_path):
    box = {"kind": "colour", "colour": "white", "width": 20, "height": 20, "y": 60}
    ground = {"kind": "colour", "colour": "white"}
    plain = one([ground, box], tmp_path, size="100x100")
    assert (plain == 255).all()
    fallen = one([ground, {**box, "shadow": {"x": 10, "y": 10, "blur": 4}}], tmp_path, size="100x100")
    assert fallen[78, 68].max() < 215
    assert fallen[40, 40].min() == 255
    stood = one([ground, {**box, "shadow": {"opacity": 0, "contact": 1}}], tmp_path, size="100x100")
    assert stood[71, 50].max() < 240
    assert stood[45, 50].min() == 255
    cast = one([ground, {**box, "shadow": {"opacity": 0, "cast": 1, "lean": 45}}], tmp_path, size="100x100")
    assert cast[66, 63].max() < 250
    assert cast[66, 36].min() > 250


def striped(height: int, width: int) -> np.ndarray:
    """Waves in two colours, with something of noise: what strokes can be taken from."""
    y, x = np.mgrid[:height, :width]
    share = 0.5 + 0.5 * np.sin((x + 3 * np.sin(y / 5)) / 2)[..., None]
    colours = share * np.array([30, 60, 150]) + (1 - share) * np.array([230, 200, 90])
    return np.clip(colours + noise(height, width) / 8 - 16, 0, 255).astype(np.uint8)


def test_strokes_of_the_scene(tmp_path):
    save(tmp_path / "ground.png", striped(64, 80))
    save(tmp_path / "thing.png", np.tile(np.linspace(40, 200, 32).astype(np.uint8)[:, None, None], (1, 32, 3)))
    layers = [
        {"kind": "picture", "picture": "ground.png"},
        {"kind": "picture", "picture": "thing.png", "crop": "circle", "stroke": 0.5},
    ]
    bare, plain = one(layers[:1], tmp_path), one([layers[0], {**layers[1], "stroke": 0}], tmp_path)
    made, again, other = (done({"layers": layers}, tmp_path, seed=seed)[0].image for seed in (0, 0, 7))
    y, x = np.mgrid[:64, :80]
    outside = np.hypot(y - 31.5, x - 39.5) > 17
    assert (made[outside] == bare[outside]).all()
    assert np.abs(made[~outside].astype(int) - plain[~outside]).mean() > 4
    assert np.ptp(made[32, 28:52].astype(int), axis=0).max() > np.ptp(plain[32, 28:52].astype(int), axis=0).max() + 20
    assert (made == again).all()
    assert (made != other).any()
    nothing = filled(32, 32, (0, 0, 0, 0))
    thing = as_layered(striped(32, 32))
    assert stroked(thing, nothing, 0.5, 0) is thing  # nothing to take strokes from
    half = nothing.copy()
    half[:, 16:] = as_layered(striped(32, 16))
    assert stroked(thing, half, 1, 0)[..., :3].max(axis=2).min() > 0.08  # no black where the scene was nothing


def test_retargeted_backgrounds(tmp_path):
    image, sign = striped(60, 40), noise(14, 14) // 2
    image[20:34, 12:26] = sign
    mark = np.zeros((60, 40), np.uint8)
    mark[20:34, 12:26] = 255
    save(tmp_path / "a.png", image)
    save(tmp_path / "mark.png", mark)
    layer = {
        "kind": "picture", "picture": "a.png", "width": "100%", "height": "100%", "fit": "retarget",
        "protect": "mark.png",
    }  # fmt: skip

    def holds(made: np.ndarray, piece: np.ndarray) -> bool:
        windows = np.lib.stride_tricks.sliding_window_view(made, piece.shape).reshape(-1, *piece.shape)
        return bool((windows == piece).all(axis=(1, 2, 3)).any())

    assert (one([layer], tmp_path, size="40x60") == image).all()
    turned, mirrored = (
        one([layer], tmp_path, size="60x40"),
        one([{**layer, "flip": "horizontal"}], tmp_path, size="60x40"),
    )
    assert turned.shape == mirrored.shape == (40, 60, 3)  # filled, and opaque
    assert holds(turned, sign)  # as many pixels as before, so nothing is scaled
    assert holds(mirrored, sign[:, ::-1])
    small = one([layer], tmp_path, size="48x48")
    assert small.shape == (48, 48, 3)
    assert not holds(one([{**layer, "fit": "stretch"}], tmp_path, size="60x40"), sign)
    assert (one([layer], tmp_path, size="60x40") == turned).all()
    save(tmp_path / "clear.png", np.dstack([image, mark]))
    with pytest.raises(GessoError, match="without transparency"):
        one([{**layer, "picture": "clear.png"}], tmp_path, size="60x40")


# ---- text


def test_lines():
    font = opened(face("DejaVu Sans", Path()), 20)
    assert lines_of("a b\nc", font, None) == ["a b", "c"]
    for text in ("one two three four five", "画布上的底色，画家先涂上它。然后“开始”画", "a-b-c-d-e-f-g-h"):
        lines = lines_of(text, font, 100)
        assert len(lines) > 1
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(font.getlength(line) <= 100 for line in lines)
        assert not any(line[0] in "，。”" or line[-1] == "“" for line in lines)
    assert lines_of("unbreakable", font, 30)[0] == "unbreakable"
    assert all(font.getlength(line) <= 30 for line in lines_of("unbreakable", font, 30, anywhere=True))


def test_text_fits_its_box(tmp_path):
    ground = {"kind": "colour", "colour": "white"}
    words = {**TEXT, "text": "Fresh bread every morning", "width": 120, "height": 50, "size": 60}
    ink = np.argwhere(one([ground, words], tmp_path, size="200x100")[..., 0] < 128)
    assert len(ink) > 200
    assert (ink.min(axis=0) >= (24, 38)).all()
    assert (ink.max(axis=0) <= (82, 162)).all()  # descenders hang a little below
    outlined = one([ground, {**words, "outline": 2, "outline_colour": "red"}], tmp_path, size="200x100")
    assert (outlined[..., 0] > outlined[..., 1] + 100).sum() > 200
    spaced = one([ground, {**TEXT, "text": "mmm", "size": 20, "tracking": 0.5}], tmp_path, size="200x100")
    assert np.ptp(np.argwhere(spaced[..., 0] < 128)[:, 1]) > 70


def test_letters_that_a_font_lacks_are_named(tmp_path):
    found = face("dejavu sans", Path())
    assert lacking(found, "Aé ж\n国") == "国"
    values = {"size": "90x40", "layers": [{**TEXT, "text": "A国", "id": "word"}]}
    notes = [
        event.note for event in render(scene_of(values), Files(tmp_path)) if isinstance(event, Step) and event.note
    ]
    assert notes == ["Layer 1 ('word'): the font DejaVu Sans has no letters for: 国. Name a font that has them."]
    tight = {"size": "90x40", "layers": [{**TEXT, "text": "unbreakable", "width": 10}]}
    notes = [event.note for event in render(scene_of(tight), Files(tmp_path)) if isinstance(event, Step) and event.note]
    assert "does not fit into its box" in notes[0]
    assert done({"size": "90x40", "layers": [{"kind": "text", "text": "plain"}]}, tmp_path)[0].image[..., 3].any()


# ---- cut-outs


def shot(wide: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A red disc with a hole, its edge a few pixels soft, on a graded noisy ground; and its true alpha."""
    y, x = np.mgrid[:120, :160].astype(np.float32)
    far = np.hypot(y - 60, x - 80)
    alpha = np.clip((40 - far) / wide + 0.5, 0, 1) * np.clip((far - 12) / wide + 0.5, 0, 1)
    back = np.array([0.75, 0.8, 0.7]) + (x / 160)[..., None] * 0.12 - ((y / 120) ** 2)[..., None] * 0.08
    colours = np.array([0.7, 0.15, 0.1]) * alpha[..., None] + back * (1 - alpha[..., None])
    colours += np.random.default_rng(5).normal(0, 0.006, colours.shape)
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8), alpha


@pytest.mark.parametrize("wide", [1.0, 4.0])
def test_a_cut_out_has_no_halo(wide):
    image, alpha = shot(wide)
    cut = cut_out(image, CutOptions(holes=True, crop=False))
    found = cut.image[..., 3].astype(float) / 255
    assert np.abs(found - alpha).mean() < 0.01
    assert np.abs(found - alpha).max() < 0.35
    seen = found > 0.1
    assert np.abs(cut.image[..., :3][seen] / 255 - (0.7, 0.15, 0.1)).max() < 0.15
    solid = cut_out(image, CutOptions(holes=False))
    assert solid.image[solid.image.shape[0] // 2, solid.image.shape[1] // 2, 3] == 255
    assert 80 <= solid.image.shape[0] <= 92
    assert (solid.left, solid.top) == (pytest.approx(39, abs=4), pytest.approx(19, abs=4))
    hard = cut_out(image, CutOptions(feather=0))
    assert set(np.unique(hard.image[..., 3])) == {0, 255}


def test_corners_that_lenses_darken_are_ground(tmp_path):
    y, x = np.mgrid[:120, :160].astype(np.float32)
    far = np.hypot((y - 60) / 60, (x - 80) / 80)
    image = np.repeat((200 - 60 * np.clip(far - 1.1, 0, 1))[..., None], 3, axis=2)
    image[30:90, 50:110] = (180, 40, 30)
    image[50:70, 70:90] = 200
    cut = cut_out(image.astype(np.uint8), CutOptions(crop=False))
    assert cut.image[0, 0, 3] == cut.image[-1, -1, 3] == 0
    image[90:, 140:] = (20, 20, 120)  # no shade: a thing that the frame cuts off
    assert cut_out(image.astype(np.uint8), CutOptions(crop=False)).image[-1, -1, 3] == 255
    save(tmp_path / "a.png", image.astype(np.uint8))
    layer = {"kind": "picture", "picture": "a.png", "cutout": True}
    solid, pierced = (one([{**layer, "holes": holes}], tmp_path)[..., 3] > 127 for holes in (False, True))
    assert int(solid.sum()) - int(pierced.sum()) == pytest.approx(400, abs=45)


def test_what_cannot_be_cut_out():
    with pytest.raises(GessoError, match=r"is not plain: its border strays from one smooth colour by \d+\.\d ΔE"):
        cut_out(noise(50, 50))
    with pytest.raises(GessoError, match="looks like its background"):
        cut_out(np.full((50, 50, 3), 90, np.uint8))
    with pytest.raises(GessoError, match="too small"):
        cut_out(noise(5, 50))
    free = np.zeros((50, 50, 4), np.uint8)
    free[20:30, 20:30] = 255
    with pytest.raises(GessoError, match="stands free already"):
        cut_out(free)
    half = np.full((50, 50, 3), 200, np.uint8)
    half[:, 20:] = noise(50, 30) // 3
    with pytest.raises(GessoError, match="is not plain"):
        cut_out(half)


# ---- the tasks


def test_compose_writes_formats_with_recipes_and_dots_an_inch(tmp_path):
    save(tmp_path / "a.png", noise(30, 40))
    scene = {
        "layers": [
            {"kind": "picture", "picture": "a.png", "width": "100%", "height": "100%", "fit": "cover"},
            {**TEXT, "id": "headline", "colour": "white"},
        ],
        "formats": {
            "card": {"size": "25.4mm x 20mm", "dpi": 200}, "small": {"size": "64x48", "file": "jpg", "quality": 80},
            "web": {"size": "64x48", "file": "webp", "dpi": 150},
        },
    }  # fmt: skip
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    result = gesso.run("compose", home=tmp_path, scene=tmp_path / "scene.json", out=tmp_path / "out")
    assert [path.name for path in result.paths] == ["card.png", "small.jpg", "web.webp"]
    with Image.open(result.paths[0]) as image:
        assert image.size == (200, 157)
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    with Image.open(result.paths[2]) as image:
        assert image.getexif()[0x011A] == 150
    recipe = read_recipe(result.paths[0])
    assert isinstance(recipe, Work)
    assert recipe.task == "compose"
    assert set(recipe.inputs) >= {"a.png", "scene.json"}
    assert scene_of(recipe.options["scene"]) == read_scene(tmp_path / "scene.json")
    assert read_source(result.paths[0]) is None
    before = result.paths[0].read_bytes()
    gesso.run("compose", home=tmp_path, scene=tmp_path / "scene.json", out=tmp_path / "out", only=["card"])
    assert same_file(result.paths[0].read_bytes(), before)
    with pytest.raises(GessoError, match=r"no format 'crd'. Did you mean 'card'"):
        gesso.run("compose", home=tmp_path, scene=tmp_path / "scene.json", only=["crd"])


@pytest.mark.parametrize(
    ("mark", "blend", "source"),
    [(None, "seamless", "composite"), ("composite", "normal", "composite"),
     ("trainedAlgorithmicMedia", "normal", "compositeWithTrainedAlgorithmicMedia")],
)  # fmt: skip
def test_compose_marks_what_machines_made(tmp_path, mark, blend, source):
    from gesso.marks.picture import write_picture

    write_picture(tmp_path / "a.png", noise(10, 10), source=mark)
    layers = [{"kind": "colour", "colour": "red"}, {"kind": "picture", "picture": "a.png", "blend": blend}]
    (tmp_path / "s.json").write_text(json.dumps({"size": "20x20", "layers": layers}))
    result = gesso.run("compose", home=tmp_path, scene=tmp_path / "s.json")
    assert result.paths[0] == tmp_path / "gallery" / "s" / "scene.png"
    assert read_source(result.paths[0]) == source


def test_sprite_sheets_come_with_an_atlas(tmp_path):
    (tmp_path / "walk").mkdir()
    sprites = []
    for i in range(5):
        sprite = np.zeros((12, 10, 4), np.uint8)
        sprite[2 : 8 + i % 3, 3:7] = (40 * i + 20, 90, 200, 255)
        sprites.append(sprite)
        save(tmp_path / "walk" / f"{i}.png", sprite)
    for trim in (False, True):
        layer = {"kind": "sheet", "pictures": ["walk/*.png"], "columns": 3, "gap": 2, "margin": 1, "trim": trim}
        (tmp_path / "s.json").write_text(json.dumps({"layers": [layer]}))
        result = gesso.run("compose", home=tmp_path, scene=tmp_path / "s.json", out=tmp_path / "o")
        picture, table = result.paths
        image, atlas = np.asarray(Image.open(picture)), json.loads(table.read_text())
        assert atlas["meta"]["size"] == {"w": image.shape[1], "h": image.shape[0]}
        assert list(atlas["frames"]) == ["0", "1", "2", "3", "4"]
        for sprite, found in zip(sprites, atlas["frames"].values(), strict=True):
            at, off = found["frame"], found["spriteSourceSize"]
            again = np.zeros_like(sprite)
            piece = image[at["y"] : at["y"] + at["h"], at["x"] : at["x"] + at["w"]]
            again[off["y"] : off["y"] + off["h"], off["x"] : off["x"] + off["w"]] = piece
            assert (again == sprite).all()
            assert found["sourceSize"] == {"w": 10, "h": 12}
            assert found["trimmed"] == trim
    with pytest.raises(GessoError, match="no file in"):
        one([{"kind": "sheet", "pictures": ["run/*.png"]}], tmp_path)


def test_cutout_task(tmp_path):
    save(tmp_path / "mug.png", shot()[0])
    result = gesso.run("cutout", home=tmp_path, picture=tmp_path / "mug.png", holes=True, margin=4)
    assert result.paths == (tmp_path / "mug-cutout.png",)
    recipe = read_recipe(result.paths[0])
    assert isinstance(recipe, Work)
    assert recipe.options["holes"] is True
    layers = [{"kind": "colour", "colour": "navy"}, {"kind": "picture", "picture": "mug.png", "cutout": True}]
    out = one(layers, tmp_path, size="160x120")
    assert (out[5, 5] == (0, 0, 128)).all()
    assert out[60, 52, 0] > 150
    with pytest.raises(GessoError, match="JPEG"):
        gesso.run("cutout", home=tmp_path, picture=tmp_path / "mug.png", out=tmp_path / "m.jpg")


def test_the_page_on_scenes_says_it_all(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "scenes.md").read_text()
    for kind in (*KINDS.values(), Shadow, Format, Scene):
        missing = [name for name in kind.model_fields if f"`{name}`" not in page and name != "kind"]
        assert not missing, f"{kind.__name__}: {missing}"
    assert not [name for name in (*KINDS, *PRESETS) if f"`{name}`" not in page]
    (tmp_path / "spring.json").write_text(page.split("```json\n")[1].split("```")[0])
    scene = read_scene(tmp_path / "spring.json")
    assert len(plans(scene, Files(tmp_path))) == 6
    result = gesso.run("compose", home=tmp_path, scene=tmp_path / "spring.json", out=tmp_path, only=["dark-banner"])
    assert result.facts["dark-banner"]["width"] == 1500


def test_the_example_scene(tmp_path):
    scene = Path(__file__).parents[1] / "examples" / "advert.json"
    result = gesso.run("compose", home=tmp_path, scene=scene, out=tmp_path, only=["square", "leaderboard"])
    assert {(one["width"], one["height"]) for one in result.facts.values()} == {(1080, 1080), (728, 90)}
