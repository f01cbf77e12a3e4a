"""The brush that the blossoms are painted with: smooth shapes from distance functions, laid over each other.

Everything is `h w` float32 in units of the picture's shorter side, at twice the final resolution; edges are
anti-aliased by the distance to them, and again when the picture is reduced.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["Canvas", "Petal", "oklch"]

FINER = 2  # painted at this many times the final resolution
LIGHT = (-0.53, -0.85)  # where the light comes from: above, a little to the left
Colour = np.ndarray  # 3 float32, sRGB in [0, 1]


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """A colour of even lightness and colourfulness -> sRGB in [0, 1] (OKLab; Ottosson 2020).

    lightness in [0, 1], chroma in [0, 0.3], hue in degrees. Chroma is reduced where a screen cannot show it.
    """
    c, s = math.cos(math.radians(hue)), math.sin(math.radians(hue))
    rgb = [0.0, 0.0, 0.0]
    for tenths in range(10, -1, -1):  # plain numbers: arrays of three would take ten times as long
        a, b = chroma * tenths / 10 * c, chroma * tenths / 10 * s
        lms = [(lightness + p * a + q * b) ** 3 for p, q in _LAB_TO_LMS]
        rgb = [x * lms[0] + y * lms[1] + z * lms[2] for x, y, z in _LMS_TO_RGB]
        if min(rgb) >= -1e-3 and max(rgb) <= 1.001:
            break
    return np.array([_encoded(min(max(value, 0.0), 1.0)) for value in rgb], np.float32)


def _encoded(value: float) -> float:
    """Linear light -> sRGB (IEC 61966-2-1)."""
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


_LAB_TO_LMS = ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.2914855480))
_LMS_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
ALL = (slice(None), slice(None))


@dataclass(frozen=True)
class View:
    """A part of the picture (rows, columns) seen from a flower's middle: place, distance and angle of its pixels."""

    part: tuple[slice, slice]
    dx: np.ndarray
    dy: np.ndarray
    r: np.ndarray
    angle: np.ndarray


@dataclass(frozen=True)
class Petal:
    """The shape of a petal of length 1: half its width, where it is widest, how blunt its tip is.

    rise: how slowly it widens from its base (small: at once). fall: how slowly it narrows to its tip
    (small: blunt). notch: depth of the cut in the middle of the tip.
    """

    width: float
    rise: float = 0.7
    fall: float = 0.5
    notch: float = 0.0

    def outline(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half the width at u in [0, 1] from base to tip, and its derivative."""
        widest = self.rise / (self.rise + self.fall)
        most = widest**self.rise * (1 - widest) ** self.fall
        inside = np.clip(u, 1e-3, 1 - 1e-3)
        half = np.exp(self.rise * np.log(inside) + self.fall * np.log(1 - inside))
        half *= self.width / most
        return half, half * (self.rise / inside - self.fall / (1 - inside))


@lru_cache(maxsize=4)
def _grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centres of all pixels; the shorter side is from 0 to 1."""
    unit = min(width, height)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (x + 0.5) / unit, (y + 0.5) / unit


class Canvas:
    """A picture being painted. width, height: of the final picture, in pixels."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width * FINER, height * FINER
        self.x, self.y = _grid(self.width, self.height)
        self.pixel = np.float32(1 / min(self.width, self.height))
        self.colour = np.zeros((3, self.height, self.width), np.float32)
        self.flower = np.zeros((self.height, self.width), np.float32)  # where petals already lie

    def fill(self, top: Colour, bottom: Colour) -> None:
        """The ground: from one colour above to another below."""
        t = (self.y * (min(self.width, self.height) / self.height))[None]
        t = t * t * (3 - 2 * t)
        self.colour = top[:, None, None] * (1 - t) + bottom[:, None, None] * t

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """A soft light around a point."""
        d2 = (self.x - np.float32(x)) ** 2 + (self.y - np.float32(y)) ** 2
        self.lay(np.exp(d2 * np.float32(-1 / radius**2)) * np.float32(strength), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, strength: float, soft: float) -> None:
        """A round patch of light with an edge of width `soft`."""
        part = self._part(x - radius - soft, y - radius - soft, x + radius + soft, y + radius + soft)
        d = np.hypot(self.x[part] - np.float32(x), self.y[part] - np.float32(y)) - radius
        self.lay(np.clip(0.5 - d / max(soft, float(self.pixel)), 0, 1) * np.float32(strength), colour, part)

    def lay(self, cover: np.ndarray, colour: Colour | np.ndarray, part: tuple[slice, slice] = ALL) -> None:
        """Lay a colour (3, or `3 h w`) over what is there, as far as `cover` (`h w` in [0, 1]) says."""
        colour = colour[:, None, None] if colour.ndim == 1 else colour
        under = self.colour[:, part[0], part[1]]
        under += (colour - under) * cover

    def view(self, x: float, y: float, reach: float, tilt: float = 1.0, lean: float = 0.0) -> "View":
        """The part of the picture within `reach` of a point, with distance and angle from it.

        tilt < 1 shows the flower from the side, leaning in that direction.
        """
        part = self._part(x - reach, y - reach, x + reach, y + reach)
        dx, dy = self.x[part] - np.float32(x), self.y[part] - np.float32(y)
        if tilt != 1.0:
            c, s = np.float32(np.cos(lean)), np.float32(np.sin(lean))
            along, across = (dx * c + dy * s) / np.float32(tilt), dy * c - dx * s
            dx, dy = along * c - across * s, along * s + across * c
        return View(part, dx, dy, np.sqrt(dx * dx + dy * dy), np.arctan2(dy, dx))

    def _part(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """The rows and columns that hold a rectangle, at least one of each."""
        unit = min(self.width, self.height)
        first, last = max(0, int(top * unit) - 2), min(self.height, int(bottom * unit) + 3)
        begin, end = max(0, int(left * unit) - 2), min(self.width, int(right * unit) + 3)
        first, begin = min(first, self.height - 1), min(begin, self.width - 1)
        return slice(first, max(last, first + 1)), slice(begin, max(end, begin + 1))

    def whorl(
        self,
        view: "View",
        count: int,
        turn: float,
        radius: float,
        petal: Petal,
        inner: Colour,
        outer: Colour,
        rng: np.random.Generator,
        shade: float = 1.0,
        shadow: float = 0.3,
        uneven: float = 0.06,
        depth: float = 0.35,
    ) -> None:
        """A ring of petals that do not reach over their neighbours; a denser one is laid in two.

        turn: angle of the first petal. inner, outer: colours at base and tip. shade: brightness of all;
        shadow: what they cast on petals below; uneven: how much their lengths differ; depth: how much darker
        their bases are.
        """
        lengths = radius * (1 + uneven * rng.standard_normal(count))
        tones = shade * (1 + 0.5 * uneven * rng.standard_normal(count))
        axes = turn + np.arange(count) * (2 * np.pi / count)
        c, s = np.cos(axes), np.sin(axes)
        table = np.stack([c / lengths, s / lengths, *_lit(c, s, tones)]).astype(np.float32)
        along, across, tone, side = _nearest(table, view.angle, turn)
        u, v = view.dx * along + view.dy * across, view.dy * along - view.dx * across
        self._petal(view.part, u, v, np.float32(radius), petal, inner, outer, tone, side, shadow, depth)

    def leaf(
        self,
        x: float,
        y: float,
        angle: float,
        length: float,
        petal: Petal,
        inner: Colour,
        outer: Colour,
        shade: float = 1.0,
        shadow: float = 0.3,
        bend: float = 0.0,
        depth: float = 0.35,
    ) -> None:
        """One petal or leaf from a point, pointing to `angle` (0 right, -pi/2 up), bent to one side by `bend`."""
        reach, room = length * 1.05, length * (petal.width + abs(bend) / 4 + 0.1)
        across, down = x + reach * float(np.cos(angle)), y + reach * float(np.sin(angle))
        part = self._part(min(x, across) - room, min(y, down) - room, max(x, across) + room, max(y, down) + room)
        c, s = float(np.cos(angle)) / length, float(np.sin(angle)) / length
        dx, dy = self.x[part] - np.float32(x), self.y[part] - np.float32(y)
        u, v = dx * c + dy * s, dy * c - dx * s
        if bend:
            v = v - np.float32(bend) * u * (1 - u)
        tone, side = _lit(np.cos(angle), np.sin(angle), np.float64(shade))
        self._petal(
            part, u, v, np.float32(length), petal, inner, outer, np.float32(tone), np.float32(side), shadow, depth
        )

    def _petal(
        self,
        part: tuple[slice, slice],
        u: np.ndarray,
        v: np.ndarray,
        length: np.float32,
        petal: Petal,
        inner: Colour,
        outer: Colour,
        tone: np.ndarray | np.float32,
        slant: np.ndarray | np.float32,
        shadow: float,
        depth: float,
    ) -> None:
        """Lay petals given by coordinates along (u, 0 to 1) and across (v) them.

        length: of the petals, about. tone: brightness of each; slant: by how much one of its sides is brighter.
        """
        if petal.notch:
            u = u / (1 - np.float32(petal.notch) * np.exp(-((v / np.float32(0.45 * petal.width)) ** 2)))
        half, slope = petal.outline(u)
        off = (np.abs(v) - half + 3 * (np.maximum(u - 1, 0) + np.maximum(-u, 0))) * length
        # Where an outline is blunt, its slope says little of the distance to it.
        slope = np.minimum(slope * slope, 4)
        cover = np.clip(0.5 - off / np.sqrt(1 + slope) * (1 / (1.5 * self.pixel)), 0, 1)
        colour, flower = self.colour[:, part[0], part[1]], self.flower[part]
        if shadow:
            near = np.clip(1 - off * np.float32(1 / 0.055), 0, 1)
            colour *= 1 - np.float32(shadow) * near * near * flower
        # Each petal is a shallow trough with a crease along its middle.
        side = np.clip(v / half, -1, 1)
        w = np.clip(u, 0, 1)
        base = 1 - w
        crease = np.maximum(1 - 5 * np.abs(side), 0)
        light = tone + slant * side + 0.06 * side * side - base * (np.float32(depth) * base + 0.05 * crease)
        painted = (outer - inner)[:, None, None] * (w * w * (3 - 2 * w))
        painted += inner[:, None, None]
        painted *= light
        np.minimum(painted, 1, out=painted)
        painted -= colour
        painted *= cover
        colour += painted
        np.maximum(flower, cover, out=flower)

    def button(self, view: "View", radius: float, colour: Colour, rim: Colour, grain: float) -> None:
        """The domed middle of a flower, with a grain as of seeds."""
        r, angle = view.r, view.angle
        d = r - radius
        near = np.clip(1 - d / np.float32(0.05), 0, 1)
        under = self.colour[:, view.part[0], view.part[1]]
        under *= 1 - np.float32(0.35) * near * near * self.flower[view.part]
        w = np.clip(r / radius, 0, 1)
        lit = np.clip((view.dx * LIGHT[0] + view.dy * LIGHT[1]) / radius, -1, 1)
        seeds = np.sin(r / radius * 14 + angle * 3) * np.sin(r / radius * 11 - angle * 5)
        light = 1.04 + 0.22 * lit - 0.1 * w * w + np.float32(grain) * seeds * w
        blend = w * w * w
        mixed = (colour[:, None, None] * (1 - blend) + rim[:, None, None] * blend) * light
        self.lay(np.clip(0.5 - d / self.pixel, 0, 1), np.clip(mixed, 0, 1), view.part)

    def stamens(
        self, view: "View", count: int, turn: float, reach: float, bead: float, thread: Colour, tip: Colour
    ) -> None:
        """Threads with a bead at their ends, in a ring."""
        axes = turn + np.arange(count) * (2 * np.pi / count)
        c, s = _nearest(np.stack([np.cos(axes), np.sin(axes)]).astype(np.float32), view.angle, turn)
        u, v = view.dx * c + view.dy * s, view.dy * c - view.dx * s
        line = np.maximum(np.abs(v) - 0.005, np.maximum(u - reach, -u))
        self.lay(np.clip(0.5 - line / (1.5 * self.pixel), 0, 1) * np.float32(0.85), thread, view.part)
        self.lay(np.clip(0.5 - (np.sqrt((u - reach) ** 2 + v * v) - bead) / (1.5 * self.pixel), 0, 1), tip, view.part)

    def stem(self, x: float, y: float, foot: float, bend: float, thick: float, colour: Colour) -> None:
        """A stem from a flower at (x, y) down to x = foot at the lower edge, bent by `bend` on the way."""
        bottom = float(self.height * self.pixel)
        part = self._part(min(x, foot) - abs(bend) - thick, y, max(x, foot) + abs(bend) + thick, bottom)
        down = self.y[part]
        t = np.clip((down - y) / (bottom - y), 0, 1)
        off = self.x[part] - (x + (foot - x) * t + bend * np.sin(t * np.float32(np.pi)))
        light = 1 - 0.25 * np.clip(off / thick, -1, 1) - 0.15 * np.exp(-((t / 0.08) ** 2))
        cover = np.clip(0.5 - (np.abs(off) - thick) / (1.5 * self.pixel), 0, 1) * (down > y)
        self.lay(cover, colour[:, None, None] * light, part)

    def picture(self) -> np.ndarray:
        """What was painted, `h w 3` uint8."""
        fine = self.colour
        pixels = (fine[:, ::2, ::2] + fine[:, 1::2, ::2] + fine[:, ::2, 1::2] + fine[:, 1::2, 1::2]) / (FINER * FINER)
        return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0).copy()


def _nearest(table: np.ndarray, angle: np.ndarray, turn: float) -> Sequence[np.ndarray | np.float32]:
    """The columns of a table (`k n`, one a petal) for each pixel: those of the petal whose axis is nearest."""
    count = table.shape[1]
    if count == 1:
        return list(table[:, 0])
    place = angle * np.float32(count / (2 * np.pi)) + np.float32(0.5 + count - turn % (2 * np.pi) * count / (2 * np.pi))
    # The angle is in [-pi, pi], so the place is above -count: three rounds of the table save a slow remainder.
    index = (np.floor(place) + count).astype(np.intp)
    return np.take(np.tile(table, 4), index, axis=1, mode="clip")  # type: ignore[return-value]


def _lit(c: Any, s: Any, tone: Any) -> tuple[Any, Any]:
    """Brightness of petals pointing to (c, s), and by how much one of their sides is brighter."""
    return tone * (1 + 0.05 * (c * LIGHT[0] + s * LIGHT[1])), tone * 0.10 * (c * LIGHT[1] - s * LIGHT[0])
