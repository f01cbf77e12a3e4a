"""The label that people see: high enough, inside, readable on any ground, the same everywhere, its letters its own."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.errors import GessoError
from gesso.marks.strokes import CHINESE, LATIN
from gesso.marks.visible import CORNERS, TEXTS, check_label, height_of, label, label_frames

SHAPES = [(64, 64), (128, 96), (96, 128), (180, 180), (181, 300), (256, 256), (512, 384), (333, 512), (1024, 1025)]


def plain(shape, value=0, channels=3):
    return np.full((*shape, channels), value, np.uint8)


def changed(before, after):
    """The box of what was drawn: top, bottom, left, right."""
    rows, columns = np.nonzero((before != after).any(2))
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def brightness(colour):
    """Relative luminance of sRGB in 0 to 255 (WCAG 2.2)."""
    share = np.asarray(colour, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("text", ["A", "I", "生", "成"])
@pytest.mark.parametrize("shape", SHAPES)
def test_letters_are_five_per_cent_of_the_shorter_side(shape, text):
    rows = (label(plain(shape), text)[..., 0] >= 128).any(1).nonzero()[0]
    high = rows.max() + 1 - rows.min()
    assert high >= 0.05 * min(shape)
    assert 9 <= high <= max(9, 0.05 * min(shape) + 1) * 1.25


@pytest.mark.parametrize("text", TEXTS.values())
@pytest.mark.parametrize("shape", SHAPES)
def test_the_height_told_is_five_per_cent(shape, text):
    assert height_of(shape, text) >= 0.05 * min(shape)
    assert height_of((*shape, 4), text) == height_of(shape, text)
    if min(shape) >= 96:
        assert height_of(shape, text) >= 9


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_lies_where_it_was_asked_for(shape, corner):
    before = plain(shape, 200)
    top, bottom, left, right = changed(before, label(before, TEXTS["cn"], corner))
    above, below, before_it, behind = top, shape[0] - bottom, left, shape[1] - right
    near = height_of(shape)
    assert min(above, below, before_it, behind) >= 1
    assert (above if "top" in corner else below) <= near
    if corner == "bottom":
        assert abs(before_it - behind) <= 1
    else:
        assert (before_it if "left" in corner else behind) <= near


@pytest.mark.parametrize("text", TEXTS.values())
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 40), (40, 1), (2, 3), (8, 8), (16, 16), (31, 32), (48, 48), (9, 500), (700, 20)]
)
def test_small_pictures_keep_their_shape(shape, text):
    before = plain(shape, 90)
    after = label(before, text)
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert (after != before).any()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nothing_else_is_touched(channels):
    before = np.random.default_rng(1).integers(0, 120, (200, 240, channels), dtype=np.uint8)
    before[..., -1] = 255 if channels == 4 else before[..., -1]
    kept = before.copy()
    after = label(before, TEXTS["eu"])
    assert np.array_equal(before, kept)
    top, bottom, left, right = changed(before, after)
    assert (bottom - top) * (right - left) < before.shape[0] * before.shape[1] / 4
    outside = np.ones(before.shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert np.array_equal(before[outside], after[outside])


def test_it_makes_transparent_pictures_opaque_where_it_lies():
    after = label(plain((200, 200), 0, 4), TEXTS["cn"])
    alpha = after[..., 3]
    assert alpha[0, 0] == 0
    assert alpha.max() == 255
    top, bottom, left, right = changed(plain((200, 200), 0, 4), after)
    assert (alpha[top + 5 : bottom - 5, left + 5 : right - 5] == 255).all()
    assert (after[..., :3] <= alpha[..., None]).all(), "colours stay premultiplied"


def test_grey_and_colour_look_the_same():
    grey, colour = label(plain((128, 128), 140, 1), "AI"), label(plain((128, 128), 140, 3), "AI")
    assert np.abs(grey.astype(int) - colour).max() <= 2


@given(ground=st.tuples(*[st.integers(0, 255)] * 3))
def test_letters_stand_out_from_any_ground(ground):
    picture = np.zeros((96, 96, 3), np.uint8) + np.array(ground, np.uint8)
    after = label(picture, "I", "bottom-left")
    top, bottom, left, right = changed(picture, after)
    inside = after[top + 3 : bottom - 3, left + 3 : right - 3].reshape(-1, 3)
    letters, plate = inside[inside.min(1) == 255], inside[0]
    assert len(letters) >= 9
    assert (brightness(letters[0]) + 0.05) / (brightness(plate) + 0.05) >= 4.5


@pytest.mark.parametrize(
    "text", ["AI生成", "AI-generated", "人工智能生成", "由AI生成", "Généré par IA", "KI-generiert", "©"]
)
def test_the_same_pixels_each_time(text):
    picture = np.random.default_rng(2).integers(0, 256, (150, 170, 3), dtype=np.uint8)
    assert np.array_equal(label(picture, text), label(picture.copy(), text))


@pytest.mark.parametrize(
    ("text", "digest"),
    [("AI生成", "1634d3b19bb1e71a"), ("AI-generated", "2de41da03d966925")],
)
def test_the_same_pixels_on_every_machine(text, digest):
    """Fails when a letter, a size or a colour changes: recipes promise pixels, so such a change is told of."""
    pixels = label(plain((300, 400), 180), text).tobytes()
    assert hashlib.sha256(pixels).hexdigest()[:16] == digest


def test_every_letter_is_its_own():
    seen = {}
    for letter in [*LATIN, *CHINESE, *"éüñçÅŠ"]:
        ink = label(plain((400, 400)), letter).tobytes()
        assert letter in "'’" or ink not in seen, f"{letter} looks like {seen.get(ink)}"
        seen[ink] = letter


@pytest.mark.parametrize("text", ["", "   ", "🤖", "AI生成的", "Сделано", "AI\x00", "x" * 60])
def test_what_cannot_be_drawn_is_said(text):
    with pytest.raises(GessoError) as told:
        label(plain((64, 64)), text)
    assert told.value.problem.endswith(".")
    assert told.value.remedy.endswith(".")


def test_an_unknown_corner_is_said():
    with pytest.raises(GessoError, match="Did you mean 'top-left'"):
        label(plain((64, 64)), "AI", "topleft")  # pyright: ignore[reportArgumentType]


def test_texts_are_put_in_one_form():
    assert check_label("  Ge\u0301ne\u0301re\u0301 \n par IA ") == "Généré par IA"


def test_films_have_it_on_every_picture():
    frames = [plain((90, 120), value, channels) for value, channels in ((10, 3), (200, 3), (120, 1), (77, 4))]
    for before, after in zip(frames, label_frames(frames, TEXTS["cn"], "bottom"), strict=True):
        assert np.array_equal(after, label(before, TEXTS["cn"], "bottom"))
        assert (after != before).any()
    assert label_frames([], "AI") == []
