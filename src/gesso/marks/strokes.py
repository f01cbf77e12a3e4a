"""Letters as strokes of a round pen: the visible label's own, so that it is the same picture on every machine.

A path is a word of commands with absolute coordinates, y downwards: M moves, L draws a line, h and v a quarter of an
ellipse that begins horizontal or vertical, C a cubic curve. Coordinates are those of the pen's middle. Of Latin, 0 is
the capitals' top, 20 the base line, 6 the small letters' top, 26 the lowest; Chinese characters lie within 1 to 23.
"""

import re
import unicodedata
from functools import cache

__all__ = ["CAPITAL", "CHINESE", "SQUARE", "Stroke", "glyph", "unknown"]

CAPITAL, SQUARE = 20.0, 22.0  # height of a capital, side of a Chinese character, between the pen's middles
Stroke = tuple[tuple[float, float], ...]  # the corners of a line of straight pieces
PIECES = 12  # straight pieces of a curve
ROUND = 0.57  # how far a quarter's handles reach: a circle's is 0.552, this one is a little fuller

LATIN = {
    "A": "M0 20L7.6 0L15.2 20M2.7 13L12.5 13",
    "B": "M0 9.6L6.8 9.6h11.4 4.8v6.8 0L0 0L0 20L7.3 20h12.6 14.8v7.3 9.6L6.8 9.6",
    "C": "M14.6 4.5C13.1 1.7 10.8 0 8 0h0 10v8 20C10.8 20 13.1 18.3 14.6 15.5",
    "D": "M0 0L0 20L5.4 20h14.4 10v5.4 0L0 0",
    "E": "M11 0L0 0L0 20L11.2 20M0 9.7L10 9.7",
    "F": "M11 0L0 0L0 20M0 10L9.6 10",
    "G": "M14.6 4.3C13.1 1.6 10.9 0 8 0h0 10v8 20h15.2 13L15.2 10.8L9 10.8",
    "H": "M0 0L0 20M13.2 0L13.2 20M0 9.7L13.2 9.7",
    "I": "M0 0L0 20",
    "J": "M8.4 0L8.4 14.6v3.9 20h0 16.4",
    "K": "M0 0L0 20M12 0L0 12.4M4.5 7.8L12.8 20",
    "L": "M0 0L0 20L10.4 20",
    "M": "M0 20L0 0L8.3 14L16.6 0L16.6 20",
    "N": "M0 20L0 0L13.2 20L13.2 0",
    "O": "M8.2 0h0 10v8.2 20h16.4 10v8.2 0",
    "P": "M0 20L0 0L6.8 0h12.2 5.7v6.8 11.4L0 11.4",
    "Q": "M8.2 0h0 10v8.2 20h16.4 10v8.2 0M10.8 14.8L16.2 20.4",
    "R": "M0 20L0 0L6.8 0h12.2 5.5v6.8 11L0 11M6.4 11L12.8 20",
    "S": "M11.7 4C10.7 1.5 8.7 0 6.2 0h0.7 5C0.7 8.2 3 9 6.4 9.8C10.2 10.7 12.5 11.8 12.5 15v6.2 20"
    "C3.2 20 1 18.4 0 15.7",
    "T": "M0 0L13.4 0M6.7 0L6.7 20",
    "U": "M0 0L0 13.4v6.5 20h13 13.4L13 0",
    "V": "M0 0L7.3 20L14.6 0",
    "W": "M0 0L5.2 20L10.6 2L16 20L21.2 0",
    "X": "M0.4 0L12.8 20M12.8 0L0.4 20",
    "Y": "M0 0L6.9 10.4L13.8 0M6.9 10.4L6.9 20",
    "Z": "M0.4 0L12.4 0L0 20L12.8 20",
    "a": "M0.8 8.9C1.5 7.1 3.1 6 5.3 6h9.6 10.4L9.6 20M9.6 12.2L5 12.2C1.8 12.2 0 13.6 0 16.1v4.3 20"
    "C7.2 20 9.6 18.4 9.6 15.6",
    "b": "M0 0L0 20M5.5 6h0 13v5.5 20h11 13v5.5 6",
    "c": "M10 8.9C9 7.1 7.4 6 5.5 6h0 13v5.5 20C7.5 20 9.1 18.9 10.1 17.1",
    "d": "M11 0L11 20M5.5 6h0 13v5.5 20h11 13v5.5 6",
    "e": "M0 12.8L10.8 12.8v5.5 6h0 13v5.6 20C7.6 20 9.2 19.1 10.2 17.4",
    "f": "M6.9 0L6.5 0h2.7 4L2.7 20M0 6L6.7 6",
    "g": "M11 6L11 20.6v5.6 26C3.4 26 1.7 25.1 0.7 23.4M5.5 6h0 13v5.5 20h11 13v5.5 6",
    "h": "M0 0L0 20M0 12v5.2 6h9.9 11.2L9.9 20",
    "i": "M0 6L0 20M0 0.6L0 0.6",
    "j": "M2.2 6L2.2 22.4v-1.2 26M2.2 0.6L2.2 0.6",
    "k": "M0 0L0 20M9.2 6L0 14.8M3.9 11.1L9.8 20",
    "l": "M0 0L0 16.8v3 20L3.6 20",
    "m": "M0 6L0 20M0 11.4v4.7 6h8.7 10.8L8.7 20M8.7 11.4v13.4 6h17.4 10.8L17.4 20",
    "n": "M0 6L0 20M0 12v5.2 6h9.9 11.2L9.9 20",
    "o": "M5.7 6h0 13v5.7 20h11.4 13v5.7 6",
    "p": "M0 6L0 26M5.5 6h0 13v5.5 20h11 13v5.5 6",
    "q": "M11 6L11 26M5.5 6h0 13v5.5 20h11 13v5.5 6",
    "r": "M0 6L0 20M0 12v5.2 6L6.2 6",
    "s": "M8.9 8.7C8.1 7 6.6 6 4.7 6h0.5 9.6C0.5 11.8 2.3 12.4 4.8 12.9C7.6 13.5 9.4 14.3 9.4 16.4v4.7 20"
    "C2.5 20 0.8 18.9 0 17.1",
    "t": "M2.9 1.8L2.9 16.2v6.5 20L7.2 20M0 6L6.9 6",
    "u": "M0 6L0 14.8v4.7 20h9.9 14M9.9 6L9.9 20",
    "v": "M0 6L5.3 20L10.6 6",
    "w": "M0 6L4 20L8 7.6L12 20L16 6",
    "x": "M0.3 6L9.9 20M9.9 6L0.3 20",
    "y": "M0 6L5.5 20M10.8 6L4.9 22.2C4 24.7 2.9 26 0.6 26",
    "z": "M0.3 6L9.4 6L0 20L9.8 20",
    "ß": "M0 20L0 5.2v4.9 0h9.4 4.4C9.4 8 5.4 8.6 5.4 11C5.4 13.2 10.8 13 10.8 16.4v6.6 20L4.8 20",
    "ø": "M5.7 6h0 13v5.7 20h11.4 13v5.7 6M0.6 21L10.8 5",
    "Ø": "M8.2 0h0 10v8.2 20h16.4 10v8.2 0M1.6 21L14.8 -1",
    "ł": "M2.2 0L2.2 20M-0.6 12L5 8.4",
    "ı": "M0 6L0 20",
    "0": "M6.3 0h0 10v6.3 20h12.6 10v6.3 0",
    "1": "M0 3.8L4.8 0L4.8 20",
    "2": "M0.5 5.2C1 1.9 3.2 0 6.2 0h12 5.2C12 8.4 9 11.2 0 20L12.6 20",
    "3": "M0.7 3.6C1.8 1.3 3.7 0 6.1 0h11.5 4.8v6.1 9.5L4.6 9.5M6.1 9.5h12.3 14.7v6.1 20C3.3 20 1.2 18.8 0 16.4",
    "4": "M9.6 20L9.6 0L0 14.2L13.2 14.2",
    "5": "M11 0L1.9 0L1.1 9C2.4 7.9 4 7.3 5.9 7.3h12.1 13.6v5.9 20C3.3 20 1.2 18.8 0 16.6",
    "6": "M9.8 0C4 1.6 0 6.6 0 13.7v6.2 20h12.4 13.8v6.2 7.6h0 13.7",
    "7": "M0 0L12.2 0L4.6 20",
    "8": "M6.3 0h0.8 4.7v6.3 9.4h11.8 4.7v6.3 0M6.3 9.4h0 14.7v6.3 20h12.6 14.7v6.3 9.4",
    "9": "M2.6 20C8.4 18.4 12.4 13.4 12.4 6.3v6.2 0h0 6.2v6.2 12.4h12.4 6.3",
    "-": "M0 12.6L6 12.6",
    "–": "M0 12.6L10 12.6",
    "·": "M0 11L0 11",
    ".": "M0 20L0 20",
    ",": "M1 20L-0.2 23.6",
    ":": "M0 8L0 8M0 20L0 20",
    "!": "M0 0L0 13.4M0 20L0 20",
    "?": "M0 4.6C0.5 1.8 2.5 0 5.1 0h10.2 4.8C10.2 8.6 5.4 8.8 5.4 13.6M5.4 20L5.4 20",
    "'": "M0 0L0 4.4",
    "’": "M0.6 0L-0.2 4.4",
    "(": "M4 -2C1.4 1.6 0 5.6 0 10C0 14.4 1.4 18.4 4 22",
    ")": "M0 -2C2.6 1.6 4 5.6 4 10C4 14.4 2.6 18.4 0 22",
    "/": "M0 22L8 -2",
    "+": "M5.6 5.4L5.6 17.4M-0.4 11.4L11.6 11.4",
    "©": "M10 0h0 10v10 20h20 10v10 0M13.6 7.4C12.8 6.1 11.5 5.3 10 5.3h5.4 10v10 14.7C11.5 14.7 12.8 13.9 13.6 12.6",
}  # fmt: skip

CHINESE = {
    "生": "M6.6 2C5.8 5.8 4.2 8.8 1.8 11.4M5 7.2L21.4 7.2M4.2 14.6L20.4 14.6M1 22.8L23 22.8M12.4 0.8L12.4 22.8",
    "成": "M3.4 5.6L22.6 5.6M3.4 5.6L3.4 11.6C3.4 16.4 2.8 20 1 23M3.6 11.2L10.6 11.2C10.6 14.6 10.5 16.6 10.2 17.8"
    "C9.9 19 8.8 19 6.8 18.8M13.4 0.8C13.4 10.4 15.6 18.4 19 21.8C20.8 23.4 22.2 22.6 22.8 18.4"
    "M20.8 9.6C19.2 14.8 16.2 19.6 11.4 22.8M17.4 0.9C18.6 1.5 19.6 2.1 20.6 3",
    "由": "M3 6.4L21 6.4L21 22.6L3 22.6L3 6.4M3 14.2L21 14.2M12 0.8L12 22.6",
    "人": "M12 1C12 10.6 8.4 18.6 1.2 22.8M12.2 7C13.2 14 17 19.8 22.8 22.8",
    "工": "M2.6 3.6L21.4 3.6M12 3.6L12 20.8M1 20.8L23 20.8",
    "智": "M5.2 0.8C4.6 3 3.4 4.8 1.8 6.2M4.4 3.4L12 3.4M1 7.6L12.6 7.6M7.2 3.4L7.2 7.6C6.6 10 4.6 11.8 1.4 13"
    "M8.2 9.4C9.8 10.4 11 11.4 12 12.6M15.2 2.6L22 2.6L22 11.2L15.2 11.2L15.2 2.6M5 15L19 15L19 23L5 23L5 15"
    "M5 19L19 19",
    "能": "M5.8 0.8C4.8 3.4 3.6 5.6 2 7.4L11.2 6.6M8.6 3.6C9.8 5 10.8 6.4 11.6 8.2M2.6 23L2.6 11L11 11L11 20.6"
    "C11 22.4 10.2 22.8 7.8 22.6M2.6 14.8L11 14.8M2.6 18.6L11 18.6M14.8 0.8L14.8 8.2C14.8 9.8 15.6 10.2 17.2 10.2"
    "L20.6 10.2C22.4 10.2 22.8 9.2 23 6.8M21.8 2.8C19.8 4.2 17.4 5.2 14.8 6M14.8 12.8L14.8 20.6"
    "C14.8 22.4 15.6 22.8 17.2 22.8"
    "L20.6 22.8C22.4 22.8 22.8 21.6 23 19M21.8 15C19.8 16.4 17.4 17.6 14.8 18.4",
    "合": "M12 0.8C9.4 5.2 5.8 8.6 1 11.2M12 0.8C14.6 5.2 18.2 8.6 23 11.2M7 10L17 10M4.6 14.6L19.4 14.6L19.4 23"
    "L4.6 23L4.6 14.6",
    "内": "M3 23L3 5.4L21 5.4L21 20.8C21 22.6 20.2 23 16.6 22.8M12 0.8L12 6C11.8 11 10 14.6 6 17.6M12.2 9.4"
    "C14.6 11.6 16.6 13.6 18.2 16",
    "容": "M12 0.4L12 2.6M2.4 6.8L2.4 3.4L21.6 3.4L21.6 6.8M8.6 5.8C7.4 7.6 6 9 4 10.2M15.2 5.8C17 7 18.6 8.4 20 10"
    "M12 8C9.4 11.8 5.8 14.6 1 16.6M12 8C14.6 11.8 18.2 14.6 23 16.6M6.6 16L17.4 16L17.4 23L6.6 23L6.6 16",
    "本": "M1.2 6L22.8 6M12 0.8L12 23M11.6 6C9.6 11.4 6 15.6 1 18.6M12.4 6C14.4 11.4 18 15.6 23 18.6M7 17.6L17 17.6",
    "片": "M5.6 1.2L5.6 9.8C5.6 15.4 4.6 19.6 1.6 23M5.6 8.2L22 8.2M13.8 0.8L13.8 8.2M5.4 14L17.4 14L17.4 23",
    "作": "M7.2 0.8C5.6 5.6 3.6 9 1 12M5 7.4L5 23M12.4 0.8C11.4 4.6 9.8 7.8 7.8 10.4M11.2 5.4L23 5.4M14.4 5.4L14.4 23"
    "M14.4 11.2L21.8 11.2M14.4 17L21.8 17",
    "品": "M7 1.4L17 1.4L17 9.4L7 9.4L7 1.4M2 13.6L9.8 13.6L9.8 23L2 23L2 13.6M14.2 13.6L22 13.6L22 23L14.2 23"
    "L14.2 13.6",
    "图": "M2.4 1.6L21.6 1.6L21.6 22.6L2.4 22.6L2.4 1.6M10.2 4C9 6.6 7.2 8.6 5 10.2M9.4 6.2L16.6 6.2"
    "C14.6 10.2 10.6 13 5.4 14.6"
    "M8.4 8.6C10.8 11.2 14.2 13.2 18.8 14.4M10.4 14.8C12 15.2 13.4 15.8 14.6 16.6M7.6 18.2"
    "C10.4 18.6 13.2 19.4 16 20.6",
}  # fmt: skip

MARKS = {  # around x = 0, above small letters; capitals have them seven units higher
    "\u0300": "M-2.2 0L1.2 3",
    "\u0301": "M2.2 0L-1.2 3",
    "\u0302": "M-3.2 3L0 0L3.2 3",
    "\u0303": "M-4 2.6C-2.8 -0.6 -0.8 0.6 0 1.4C0.9 2.3 2.8 3.2 4 0.2",
    "\u0308": "M-3 1.4L-3 1.4M3 1.4L3 1.4",
    "\u030a": "M0 -1h-2.4 1.2v0 3.4h2.4 1.2v0 -1",
    "\u030c": "M-3.2 0L0 3L3.2 0",
    "\u0304": "M-3.4 1.6L3.4 1.6",
    "\u0307": "M0 1.2L0 1.2",
    "\u0327": "M0.2 20L0.2 22.2C2.6 22.2 3 26 -1.6 25.2",
    "\u0328": "M0 20C-2.4 22.4 -2 25.6 1.6 25",
}
ABOVE = 7.0  # a mark is so much higher above a capital
WORD = re.compile(r"([MLhvC])((?:\s*-?\d+(?:\.\d+)?)+)")


def unknown(text: str) -> str:
    """The first character of a text that cannot be drawn; empty when all can."""
    return next((letter for letter in unicodedata.normalize("NFC", text) if glyph(letter) is None), "")


@cache
def glyph(letter: str) -> tuple[tuple[Stroke, ...], float, bool] | None:
    """A character's strokes, its width between the pen's middles, whether it is Chinese; None for unknown ones."""
    if letter == " ":
        return (), 5.0, False
    if letter in CHINESE:
        strokes = _strokes(CHINESE[letter])
        return tuple(tuple((x - 1, y - 0.8) for x, y in stroke) for stroke in strokes), SQUARE, True
    if letter in LATIN:
        strokes = _strokes(LATIN[letter])
        return strokes, max(x for stroke in strokes for x, _ in stroke), False
    base, *marks = unicodedata.normalize("NFD", letter)
    if not marks or base not in LATIN or any(mark not in MARKS for mark in marks):
        return None
    base = "ı" if base == "i" and marks[0] not in "\u0327\u0328" else base
    strokes = _strokes(LATIN[base])
    wide = max(x for stroke in strokes for x, _ in stroke)
    up = ABOVE if base.isupper() else 0.0
    for mark in marks:
        rise = 0.0 if mark in "\u0327\u0328" else up
        added = _strokes(MARKS[mark])
        strokes += tuple(tuple((x + wide / 2, y - rise) for x, y in stroke) for stroke in added)
    return strokes, wide, False


@cache
def _strokes(path: str) -> tuple[Stroke, ...]:
    """A path's strokes, curves as straight pieces. By arithmetic alone: sines differ between machines."""
    strokes: list[list[tuple[float, float]]] = []
    for command, numbers in WORD.findall(path):
        values = [float(number) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "M":
            strokes.append(points)
            continue
        line = strokes[-1]
        if command == "L":
            line += points
            continue
        begin, end = line[-1], points[-1]
        if command == "C":
            first, second = points[0], points[1]
        elif command == "h":
            first = (begin[0] + (end[0] - begin[0]) * ROUND, begin[1])
            second = (end[0], end[1] - (end[1] - begin[1]) * ROUND)
        else:
            first = (begin[0], begin[1] + (end[1] - begin[1]) * ROUND)
            second = (end[0] - (end[0] - begin[0]) * ROUND, end[1])
        line += [_cubic(begin, first, second, end, number / PIECES) for number in range(1, PIECES + 1)]
    return tuple(tuple(stroke) for stroke in strokes)


def _cubic(
    a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], d: tuple[float, float], t: float
) -> tuple[float, float]:
    """Bernstein's form at t in [0, 1]."""
    s = 1 - t
    weights = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
    x, y = (sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) for axis in (0, 1))
    return x, y
