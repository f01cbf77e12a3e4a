"""Words set in a font: broken into lines, balanced, made smaller until they fit, drawn with an outline.

Lines break at spaces and hyphens, and between ideographs, but not before what closes or after what opens, as
typesetting in Chinese and Japanese asks (JIS X 4051; GB/T 15834).
"""

import unicodedata
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from gesso.scene.fonts import Face, Font, opened
from gesso.scene.layers import TextLayer
from gesso.scene.pixels import Layered
from gesso.scene.placing import Canvas
from gesso.scene.units import colour

__all__ = ["Block", "lines_of", "set_text"]

CLOSING = "!%),.:;?]}¢°·’”…‰′″›℃、。〉》」』】〕〗〞︰！％），．：；？］｝～”’"
OPENING = "([{£¥‘“〈《「『【〔〖（［｛￡￥"
STEPS = 14  # halvings in search of the largest size that fits


@dataclass
class Block:
    """Set words. width, height: of the box from the first line's capitals to the last line's foot, in pixels.

    image: the drawn letters, larger than the box by `margin` on every side. fits: whether all lies within the box.
    """

    image: Layered
    width: float
    height: float
    margin: int
    size: float
    fits: bool


def set_text(layer: TextLayer, face: Face, canvas: Canvas) -> Block:
    """The words of a layer, at the largest size up to the asked one at which they fit into its width and height."""
    wide = None if layer.width is None else canvas.side(layer.width, 0)
    high = None if layer.height is None else canvas.side(layer.height, 1)
    asked = max(canvas.short(layer.size), 1.0)
    least = min(max(canvas.short(layer.smallest), 1.0), asked)
    fitting = partial(_fitting, layer, face, wide, high)
    size, lines = asked, fitting(asked)
    if lines is None:
        low, top = least, asked
        for _ in range(STEPS):
            size = (low + top) / 2
            low, top = (low, size) if fitting(size) is None else (size, top)
        size = low
        lines = fitting(size)
    fits = lines is not None
    if lines is None:
        lines = lines_of(layer.text, opened(face, size), wide, layer.tracking * size, anywhere=True)
    if layer.balance and wide is not None:
        lines = _balanced(layer.text, opened(face, size), wide, layer.tracking * size, lines)
    return _drawn(layer, face, canvas, size, lines, wide, fits)


def lines_of(text: str, font: Font, wide: float | None, tracking: float = 0, anywhere: bool = False) -> list[str]:
    """The text in lines no wider than so many pixels, where its words allow; `anywhere` breaks words that do not."""
    out = []
    for paragraph in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if wide is None:
            out.append(paragraph.strip())
            continue
        line = ""
        for piece in _pieces(paragraph):
            if not line or _length(font, (line + piece).rstrip(), tracking) <= wide:
                line += piece
            else:
                out.append(line.strip())
                line = piece.lstrip()
            while anywhere and len(line) > 1 and _length(font, line.rstrip(), tracking) > wide:
                cut = next(
                    n for n in range(len(line) - 1, 0, -1) if n == 1 or _length(font, line[:n], tracking) <= wide
                )
                out.append(line[:cut].strip())
                line = line[cut:]
        out.append(line.strip())
    return out


def _pieces(paragraph: str) -> list[str]:
    """What must not be broken, with the spaces after it."""
    out, piece = [], ""
    for before, letter in zip(" " + paragraph, paragraph, strict=False):
        wide = _ideograph(before) or _ideograph(letter)
        ends = (before.isspace() and not letter.isspace()) or (before == "-" and letter.isalpha()) or wide
        if piece and ends and letter not in CLOSING and before not in OPENING and not letter.isspace():
            out.append(piece)
            piece = ""
        piece += letter
    return [*out, piece] if piece else out


def _ideograph(letter: str) -> bool:
    """Whether lines may break beside a letter: those as wide as they are high, Hangul (which has spaces) aside."""
    return unicodedata.east_asian_width(letter) in "WF" and not "\uac00" <= letter <= "\ud7a3"


def _length(font: Font, line: str, tracking: float) -> float:
    return font.getlength(line) + tracking * max(len(line) - 1, 0)


def _fitting(layer: TextLayer, face: Face, wide: float | None, high: float | None, size: float) -> list[str] | None:
    """The lines at a size, None where they are too wide or too many."""
    font, tracking = opened(face, size), layer.tracking * size
    lines = lines_of(layer.text, font, wide, tracking)
    if wide is not None and any(_length(font, line, tracking) > wide for line in lines):
        return None
    top, foot = _reach(font, layer.text)
    return None if high is not None and top + foot + (len(lines) - 1) * layer.spacing * size > high else lines


def _balanced(text: str, font: Font, wide: float, tracking: float, lines: list[str]) -> list[str]:
    """As many lines, as even as can be: those of the narrowest box that needs no more."""
    if len(lines) < 2:
        return lines
    low, top = max(wide / len(lines) / 2, 1.0), wide
    for _ in range(10):
        middle = (low + top) / 2
        tried = lines_of(text, font, middle, tracking)
        if len(tried) <= len(lines) and all(_length(font, line, tracking) <= middle for line in tried):
            lines, top = tried, middle
        else:
            low = middle
    return lines


def _reach(font: Font, text: str) -> tuple[float, float]:
    """How far letters reach above the baseline (as H does, or an ideograph), and below (as an ideograph does)."""
    sample = "国" if any(_ideograph(letter) for letter in text) else "H"
    box = font.getbbox(sample, anchor="ls")
    return float(-box[1]), max(float(box[3]), 0.0)


def _drawn(
    layer: TextLayer, face: Face, canvas: Canvas, size: float, lines: list[str], wide: float | None, fits: bool
) -> Block:
    font, tracking, outline = opened(face, size), layer.tracking * size, max(canvas.short(layer.outline), 0.0)
    lengths = [_length(font, line, tracking) for line in lines]
    width = max(wide or 0.0, *lengths)
    top, foot = _reach(font, layer.text)
    height = top + foot + (len(lines) - 1) * layer.spacing * size
    margin = int(np.ceil(size * 0.6 + outline + 2))  # accents, descenders and slanted letters reach out of the box
    shape = (int(np.ceil(width)) + 2 * margin, int(np.ceil(height)) + 2 * margin)
    start = {"left": 0.0, "centre": 0.5, "right": 1.0}[layer.align]
    starts = [
        (margin + (width - length) * start, margin + top + number * layer.spacing * size)
        for number, length in enumerate(lengths)
    ]

    def covered(stroke: float) -> np.ndarray:
        page = Image.new("L", shape)
        pen = ImageDraw.Draw(page)
        for line, (x, y) in zip(lines, starts, strict=True):
            _write(pen, line, x, y, font, tracking, stroke)
        return np.asarray(page).astype(np.float32) / 255

    letters = _tinted(covered(0.0), layer.colour)
    if outline > 0:
        below = _tinted(covered(outline), layer.outline_colour)
        letters = letters + (1 - letters[..., 3:]) * below
    return Block(letters, width, height, margin, size, fits)


def _write(pen: Any, line: str, x: float, y: float, font: Font, tracking: float, stroke: float) -> None:
    """One line, from its baseline's left end; letter by letter, kerned, where space lies between them."""
    if not tracking:
        pen.text((x, y), line, fill=255, font=font, anchor="ls", stroke_width=stroke)
        return
    for i, letter in enumerate(line):
        place = font.getlength(line[: i + 1]) - font.getlength(letter) + i * tracking
        pen.text((x + place, y), letter, fill=255, font=font, anchor="ls", stroke_width=stroke)


def _tinted(cover: np.ndarray, tint: str) -> Layered:
    r, g, b, a = colour(tint)
    return (cover[..., None] * a * np.array([r, g, b, 1], np.float32)).astype(np.float32)
