"""What a scene's words for lengths, sizes and colours mean, in pixels and in [0, 1]."""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

from PIL import ImageColor
from pydantic import AfterValidator, BeforeValidator, StringConstraints

from gesso.errors import nearest

__all__ = ["PRESETS", "Colour", "Length", "Measured", "Paper", "Size", "colour", "measured", "paper"]

LARGEST = 1_000_000  # pixels of one length; a canvas is bounded by the memory there is

PRESETS = {
    "square": "1080x1080",
    "portrait": "1080x1350",
    "story": "1080x1920",
    "landscape": "1920x1080",
    "banner": "1500x500",
    "leaderboard": "728x90",
    "skyscraper": "160x600",
    "rectangle": "300x250",
    "link": "1200x630",
    "thumbnail": "1280x720",
    "icon": "512x512",
    "a3": "297mm x 420mm",
    "a4": "210mm x 297mm",
    "a5": "148mm x 210mm",
    "postcard": "148mm x 105mm",
}

TERM = re.compile(r"\s*([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*(px|%|mm|cm|in|pt)?\s*")
INCH = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0, "pt": 1 / 72}
SIZE = re.compile(r"\s*([\d.]+)\s*(px|mm|cm|in|pt)?\s*[x×*]\s*([\d.]+)\s*(px|mm|cm|in|pt)?\s*", re.IGNORECASE)


class Measured(NamedTuple):
    """A length: so many pixels of the scene, inches of paper, and a share of a side of the canvas."""

    pixels: float
    inches: float
    share: float


class Paper(NamedTuple):
    """A canvas: its sides, in pixels (dpi 1) or in inches."""

    width: float
    height: float
    physical: bool


@lru_cache(maxsize=4096)
def measured(text: str) -> Measured:
    """A length in words, such as 40, 12px, 50%, 3mm or 100% - 40px; raises ValueError when it is none."""
    sums, place = {"px": 0.0, "inch": 0.0, "%": 0.0}, 0
    while place < len(text) or place == 0:
        found = TERM.match(text, place)
        if found is None or found.end() == place or (place and not found[1]):
            raise ValueError("a length is a number of pixels, or like 50%, 3mm, 100% - 40px")
        sign, number, unit = -1 if found[1] == "-" else 1, float(found[2]), found[3] or "px"
        if unit in INCH:
            sums["inch"] += sign * number * INCH[unit]
        else:
            sums[unit] += sign * number / (100 if unit == "%" else 1)
        place = found.end()
    if max(abs(sums["px"]), abs(sums["%"]) * 100, abs(sums["inch"]) * 300) > LARGEST:
        raise ValueError(f"a length is at most {LARGEST:,} pixels")
    return Measured(sums["px"], sums["inch"], sums["%"])


@lru_cache(maxsize=1024)
def paper(text: str) -> Paper:
    """A canvas in words: 1080x1080, 210mm x 297mm, or a preset's name; raises ValueError when it is none."""
    found = SIZE.fullmatch(PRESETS.get(text.strip().lower(), text))
    if found is None:
        raise ValueError(f"a size is like 1080x1350 or 210mm x 297mm, or a name. {nearest(text, PRESETS)}".rstrip(". "))
    try:
        wide, high = float(found[1]), float(found[3])
    except ValueError:
        raise ValueError("a size is two numbers, like 1080x1350") from None
    units = [(unit or "").lower() for unit in (found[2] or found[4], found[4] or found[2])]
    physical = [unit in INCH for unit in units]
    if physical[0] != physical[1]:
        raise ValueError("both sides of a size are in pixels, or both on paper")
    if physical[0]:
        wide, high = wide * INCH[units[0]], high * INCH[units[1]]
    elif not (wide.is_integer() and high.is_integer()):
        raise ValueError("a size in pixels is two whole numbers")
    if min(wide, high) <= 0:
        raise ValueError("both sides of a size are more than zero")
    if max(wide, high) * (300 if physical[0] else 1) > LARGEST:
        raise ValueError(f"a side is at most {LARGEST:,} pixels")
    return Paper(wide, high, physical[0])


@lru_cache(maxsize=1024)
def colour(text: str) -> tuple[float, float, float, float]:
    """Red, green, blue and alpha in [0, 1], sRGB, of a colour in CSS words; raises ValueError when it is none."""
    word = text.strip().lower()
    if word == "transparent":
        return 0.0, 0.0, 0.0, 0.0
    try:
        found = ImageColor.getrgb(word)
    except ValueError:
        near = "" if word.startswith(("#", "rgb", "hs")) else f" {nearest(word, ImageColor.colormap)}"
        if "Known are" in near:
            near = ""
        raise ValueError(f"a colour is like #1a2b3c, rgb(26, 43, 60) or navy.{near}".rstrip(".")) from None
    r, g, b, a = (*found, 255)[:4]
    return r / 255, g / 255, b / 255, a / 255


def _worded(value: Any) -> Any:
    """A bare number as the word for so many pixels."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a length is a number of pixels, or like 50%, 3mm, 100% - 40px")
    if isinstance(value, str):
        return value
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"a length is at most {LARGEST:,} pixels")
    return format(value, "f").rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _checked(read: Callable[[str], Any]) -> Callable[[str], str]:
    def check(text: str) -> str:
        read(text)
        return text

    return check


Word = StringConstraints(max_length=100)
Length = Annotated[str, Word, BeforeValidator(_worded), AfterValidator(_checked(measured))]
Size = Annotated[str, Word, AfterValidator(_checked(paper))]
Colour = Annotated[str, Word, AfterValidator(_checked(colour))]
