"""The label that people see: "AI生成" or "AI-generated" on a calm dark plate in a corner or on the lower edge.

Letters are as high as GB 45438-2025 (5.2) asks, 5 % of the picture's shorter side, measured at the capital A; Chinese
characters are a little higher. They are drawn from strokes of our own with plain arithmetic, so that a picture has the
same pixels on every machine.
"""

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8, UInt32

from gesso.errors import GessoError, nearest
from gesso.marks.strokes import CAPITAL, CHINESE, SQUARE, Stroke, glyph, unknown

__all__ = ["CORNERS", "TEXTS", "Corner", "check_label", "height_of", "label", "label_frames"]

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right", "bottom"]
CORNERS: tuple[str, ...] = get_args(Corner)
TEXTS = {"cn": "AI生成", "eu": "AI-generated"}  # by profile

SHARE = 20  # a letter's height is at least the shorter side divided by this: GB 45438-2025
READABLE = 9  # pixels of a capital's height, where the picture has room
LONGEST = 15  # of a plate, in heights of its capitals: what a square picture holds, from about 128 pixels
PEN, THINNEST = 0.108, 1.2  # width of strokes, of a capital's height; in pixels, of the smallest letters
DENSE, DENSER, SMALL = "智能容图", 0.82, 30  # characters of many strokes have thinner ones, where pixels allow it
DOT = 1.2  # a point's size, of a stroke's width
TALLER = 1.17  # Chinese characters, against capitals
GAP, SPACE = 0.24, 0.26  # between two letters with upright sides, and a space, of a capital's height
SIDES = (  # letters that want less room on their left, on their right
    (0.4, "AJTVWXYZfjstvwxyzł1247-–·.,'’/+", "AEFKLTVWXYZcfkrstvwxyzł27-–·.,'’/+"),
    (0.75, "CGOQScadegoqøØ035689(©", "BCDGOPQSbaeopøØß035689)©"),
)
CHINESE_SIDE = 0.55  # what a Chinese character wants of the gap
SIDE, ROOM, MARGIN, CORNER = 0.6, 0.44, 0.55, 0.42  # of a capital's height: beside and above the text, around, corners
HANGING = 0.55  # of what hangs below the base line, as much is added to the plate
PLATE, LETTERS, COVER = (22, 22, 24), 255, 176  # colours; how much of the ground the plate covers, of 255

Picture = UInt8[np.ndarray, "h w c"]
Plane = Float[np.ndarray, "h w"]


def label(image: Picture, text: str, corner: Corner = "bottom-right") -> Picture:
    """A copy of a picture that says what it is.

    image: `h w c` with c = 1, 3 or 4, premultiplied where c = 4; becomes opaque as far as the plate covers it.
    text: Latin letters, digits, and the Chinese characters that such labels need. Raises GessoError for others, for an
    empty or too long text, and for an unknown corner. Pictures too small for it have it as large as fits.
    """
    return label_frames([image], text, corner)[0]


def label_frames(frames: Sequence[Picture], text: str, corner: Corner = "bottom-right") -> list[Picture]:
    """Copies of a film's pictures, each with the same label in the same place: from its first second to its last."""
    text = check_label(text)
    if corner not in CORNERS:
        raise GessoError(f"A label has no place '{corner}'.", nearest(str(corner), CORNERS))
    return [_laid(frame, text, corner) for frame in frames]


def check_label(text: str) -> str:
    """The text of a label in the form in which it is drawn; raises GessoError where it cannot be."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if not text:
        raise GessoError("A label needs a text.", f"Common are: {', '.join(TEXTS.values())}.")
    strange = unknown(text)
    if strange:
        raise GessoError(
            f"The label cannot draw '{strange}' (U+{ord(strange):04X}).",
            "Use Latin letters and digits, or characters of 本图片作品由人工智能生成合成内容.",
        )
    if _measures(text, 100)[0] > 100 * LONGEST:
        raise GessoError(f"The label '{text}' is too long for a square picture.", "Use about twenty letters or fewer.")
    return text


def height_of(shape: tuple[int, ...], text: str = TEXTS["cn"]) -> int:
    """Height in pixels of a capital of the label on a picture of this shape (`h w` or `h w c`).

    At least 5 % of the shorter side, and 9 pixels where the text has room. Pictures so small that a plate with letters
    of 5 % would be larger than they are have the largest that fits: none of 64 pixels and more with the usual texts.
    """
    high, wide = shape[:2]
    least = max(math.ceil(min(high, wide) / SHARE), 1)
    size = max(least, READABLE)
    while size > 1 and not _fits(text, size, high, wide):
        size -= 1
    return size


# --- where it lies ---


def _laid(image: Picture, text: str, corner: str) -> Picture:
    """One picture with its plate: colour · (1 − cover) + plate · cover, then letters over it, in whole numbers."""
    out = image.copy()
    high, wide, channels = image.shape
    size = height_of(image.shape, text)
    plate, ink = (plane[:high, :wide] for plane in _plate(text, size))
    tall, long = plate.shape[:2]
    margin = min(round(MARGIN * size), (high - tall) // 2, (wide - long) // 2)
    top = margin if corner.startswith("top") else high - tall - margin
    left = margin if corner.endswith("left") else wide - long - margin
    left = (wide - long) // 2 if corner == "bottom" else left
    part = out[top : top + tall, left : left + long]
    colours = min(channels, 3)
    tint = np.array(PLATE if colours == 3 else [round(sum(PLATE) / 3)], np.uint32)
    cover = (plate * COVER + 127) // 255
    ground = (part[..., :colours] * (255 - cover) + tint * cover + 127) // 255
    part[..., :colours] = (ground * (255 - ink) + LETTERS * ink + 127) // 255
    if channels == 4:
        part[..., 3:] = (part[..., 3:] * (255 - plate) + 255 * plate + 127) // 255
    return out


def _fits(text: str, size: int, high: int, wide: int) -> bool:
    """Whether a plate with capitals of this height lies within a picture."""
    long, tall, _ = _measures(text, size)
    return long <= wide and tall <= high


# --- the plate, in pixels ---


@lru_cache(maxsize=64)
def _plate(text: str, size: int) -> tuple[UInt32[np.ndarray, "h w 1"], UInt32[np.ndarray, "h w 1"]]:
    """How much the plate, and the letters on it, cover each pixel, of 255. size: of a capital."""
    long, tall, base = _measures(text, size)
    plate, ink = _rounded(tall, long, CORNER * size), np.zeros((tall, long))
    for letter, left in _places(text, size)[0]:
        pen = max(PEN * size, _pen(size), THINNEST) * (DENSER if letter in DENSE and size > SMALL else 1)
        for stroke in _strokes(letter, size):
            radius = pen / 2 if len(set(stroke)) > 1 else pen / 2 * DOT
            for begin, end in zip(stroke, stroke[1:] or stroke, strict=False):
                _draw(ink, (begin[0] + left, begin[1] + base), (end[0] + left, end[1] + base), radius)
    solid, ink = np.rint(plate * 255).astype(np.uint32), np.rint(np.minimum(ink, plate) * 255).astype(np.uint32)
    return solid[..., None], ink[..., None]


@lru_cache(maxsize=256)
def _measures(text: str, size: int) -> tuple[int, int, int]:
    """A plate's width and height, and how far below its upper edge capitals begin."""
    places, long = _places(text, size)
    heights = [y for letter, _ in places for stroke in _strokes(letter, size) for _, y in stroke]
    above = max(_pen(size) / 2 - min(heights, default=0.0), 0.0)
    below = max(max(heights, default=0.0) + _pen(size) / 2 - size, 0.0)
    base = math.ceil(ROOM * size + above)
    return long, base + size + math.ceil(ROOM * size + below * HANGING), base


@lru_cache(maxsize=256)
def _places(text: str, size: int) -> tuple[tuple[tuple[str, int], ...], int]:
    """Each letter and where it begins, and the plate's width."""
    places, left, before = list[tuple[str, int]](), max(round(SIDE * size), 1), ""
    for letter in text:
        if before:
            left += max(round(GAP * size * (_side(before, 2) + _side(letter, 1)) / 2), 1)
        places.append((letter, left))
        left += _width(letter, size)
        before = letter
    return tuple(places), left + max(round(SIDE * size), 1)


def _pen(size: int) -> int:
    """Width of strokes in whole pixels, by which they are laid along rows and columns so that they are sharp."""
    return max(round(PEN * size), 1)


def _width(letter: str, size: int) -> int:
    strokes = _strokes(letter, size)
    if not strokes:
        return round(SPACE * size)
    return math.ceil(max(x for stroke in strokes for x, _ in stroke) + _pen(size) / 2)


def _side(letter: str, side: int) -> float:
    """How much of the gap a letter wants on its left (1) or right (2), against one with an upright stroke there."""
    if letter in CHINESE:
        return CHINESE_SIDE
    base = unicodedata.normalize("NFD", letter)[0]
    return next((share for share, *letters in SIDES if base in letters[side - 1]), 1.0)


@lru_cache(maxsize=1024)
def _strokes(letter: str, size: int) -> tuple[Stroke, ...]:
    """A letter's strokes in pixels, from its left edge and a capital's top; upright and level ones on whole pixels."""
    strokes, wide, chinese = glyph(letter) or ((), 0.0, False)
    pen = _pen(size)
    high = max(round(TALLER * size), size) if chinese else size
    scale = (high - pen) / (SQUARE if chinese else CAPITAL)
    pairs = [pair for stroke in strokes for pair in pairwise(stroke)]
    across = _grid({a[0] for a, b in pairs if a[0] == b[0]} | {0.0, wide}, scale)
    down = _grid({a[1] for a, b in pairs if a[1] == b[1]} | {0.0, SQUARE if chinese else CAPITAL}, scale)
    rise = (high - size) // 2
    return tuple(
        tuple((_at(x, across, scale) + pen / 2, _at(y, down, scale) + pen / 2 - rise) for x, y in stroke)
        for stroke in strokes
    )


def _grid(lines: set[float], scale: float) -> tuple[tuple[float, int], ...]:
    """A letter's upright or level lines in order, each with the whole pixel nearest to it."""
    return tuple((line, math.floor(line * scale + 0.5)) for line in sorted(lines))


def _at(value: float, grid: tuple[tuple[float, int], ...], scale: float) -> float:
    """A coordinate in pixels: on a line of the grid, or between two as far as it was; beyond them by its scale."""
    if value <= grid[0][0]:
        return grid[0][1] + (value - grid[0][0]) * scale
    for (low, first), (high, second) in pairwise(grid):
        if value <= high:
            return first + (second - first) * (value - low) / (high - low)
    return grid[-1][1] + (value - grid[-1][0]) * scale


def _draw(ink: Plane, begin: tuple[float, float], end: tuple[float, float], radius: float) -> None:
    """Draw a straight piece with a round pen: a pixel is covered as far as the pen reaches over its middle."""
    (x0, y0), (x1, y1) = begin, end
    reach = radius + 1
    top, left = max(int(min(y0, y1) - reach), 0), max(int(min(x0, x1) - reach), 0)
    part = ink[top : int(max(y0, y1) + reach) + 1, left : int(max(x0, x1) + reach) + 1]
    y = np.arange(part.shape[0])[:, None] + (top + 0.5 - y0)
    x = np.arange(part.shape[1])[None, :] + (left + 0.5 - x0)
    dx, dy = x1 - x0, y1 - y0
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    x, y = x - along * dx, y - along * dy
    np.maximum(part, np.clip(radius + 0.5 - np.sqrt(x * x + y * y), 0, 1), out=part)


def _rounded(high: int, wide: int, radius: float) -> Plane:
    """A rectangle with round corners that fills its plane."""
    radius = min(radius, high / 2, wide / 2)
    y = np.maximum(np.abs(np.arange(high)[:, None] + 0.5 - high / 2) - (high / 2 - radius), 0)
    x = np.maximum(np.abs(np.arange(wide)[None, :] + 0.5 - wide / 2) - (wide / 2 - radius), 0)
    return np.clip(radius + 0.5 - np.sqrt(x * x + y * y), 0, 1)
