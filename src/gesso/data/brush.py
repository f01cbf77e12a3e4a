"""The brush that the blossoms are painted with: smooth shapes from distance functions, laid over each other.

Everything is `h w` float32 in units of the picture's shorter side, at twice the final resolution; edges are
anti-aliased by the distance to them, and again when the picture is reduced.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["Canvas", "Petal", "oklch"]

FINER = 2  # painted at this many times the final resolution
LIGHT = (-0.53, -0.85)  # where the light comes from: above, a little to the left
Colour = np.ndarray  # 3 float32, sRGB in [0, 1]


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """A colour of even lightness and colourfulness -> sRGB in [0, 1] (OKLab; Ottosson 2020).

    lightness in [0, 1], chroma in [0, 0.3], hue in degrees. Chroma is reduced where a screen cannot show it.
    """
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0):
        a = chroma * scale * np.cos(np.radians(hue))
        b = chroma * scale * np.sin(np.radians(hue))
        lms = np.array([1.0, 1.0, 1.0]) * lightness + [
            0.3963377774 * a + 0.2158037573 * b,
            -0.1055613458 * a - 0.0638541728 * b,
            -0.0894841775 * a - 1.2914855480 * b,
        ]
        linear = _LMS_TO_RGB @ lms**3
        if linear.min() >= -1e-3 and linear.max() <= 1.001:
            break
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


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

    def half_width(self, u: np.ndarray) -> np.ndarray:
        """Half the width at u in [0, 1] from base to tip."""
        widest = self.rise / (self.rise + self.fall)
        most = widest**self.rise * (1 - widest) ** self.fall
        inside = np.clip(u, 1e-4, 1 - 1e-4)
        return (self.width / most) * np.exp(self.rise * np.log(inside) + self.fall * np.log1p(-inside))


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
        d2 = (self.x - x) ** 2 + (self.y - y) ** 2
        self.lay(np.exp(-d2 / (radius * radius)) * np.float32(strength), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, strength: float, soft: float) -> None:
        """A round patch of light with an edge of width `soft`."""
        d = np.hypot(self.x - x, self.y - y) - radius
        self.lay(np.clip(0.5 - d / max(soft, float(self.pixel)), 0, 1) * np.float32(strength), colour)

    def lay(self, cover: np.ndarray, colour: Colour | np.ndarray) -> None:
        """Lay a colour (3, or `3 h w`) over what is there, as far as `cover` (`h w` in [0, 1]) says."""
        colour = colour[:, None, None] if colour.ndim == 1 else colour
        self.colour += (colour - self.colour) * cover

    def polar(self, x: float, y: float, tilt: float = 1.0, lean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Distance and angle from a point; tilt < 1 shows the flower from the side, leaning in that direction."""
        dx, dy = self.x - x, self.y - y
        if tilt != 1.0:
            c, s = np.float32(np.cos(lean)), np.float32(np.sin(lean))
            along, across = (dx * c + dy * s) / tilt, dy * c - dx * s
            dx, dy = along * c - across * s, along * s + across * c
        return np.hypot(dx, dy), np.arctan2(dy, dx)

    def whorl(
        self,
        polar: tuple[np.ndarray, np.ndarray],
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
        ruffle: float = 0.0,
        depth: float = 0.35,
    ) -> None:
        """A ring of petals that do not reach over their neighbours; a denser one is laid in two.

        turn: angle of the first petal. inner, outer: colours at base and tip. shade: brightness of all;
        shadow: what they cast on petals below; uneven: how much their lengths differ; ruffle: of their tips.
        """
        r, angle = polar
        sector = np.float32(2 * np.pi / count)
        place = (angle - np.float32(turn)) / sector + np.float32(0.5)
        index = np.floor(place)
        t = (place - index - np.float32(0.5)) * sector
        number = index.astype(np.int32) % count
        lengths = (radius * (1 + uneven * rng.standard_normal(count))).astype(np.float32)[number]
        tones = (1 + 0.5 * uneven * rng.standard_normal(count)).astype(np.float32)[number] * np.float32(shade)
        if ruffle:
            lengths = lengths * (1 + np.float32(ruffle) * np.sin(t * np.float32(9 * count / 2 + 4) + number * 2.1))
        along, across = np.cos(t), np.sin(t)
        u, v = r * along / lengths, r * across / lengths
        self._petal(u, v, lengths, index * sector + np.float32(turn), petal, inner, outer, tones, shadow, depth)

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
        dx, dy = (self.x - x) / length, (self.y - y) / length
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        u, v = dx * c + dy * s, dy * c - dx * s
        if bend:
            v = v - np.float32(bend) * u * (1 - u)
        self._petal(u, v, length, np.float32(angle), petal, inner, outer, np.float32(shade), shadow, depth)

    def _petal(
        self,
        u: np.ndarray,
        v: np.ndarray,
        length: float | np.ndarray,
        angle: np.ndarray | np.float32,
        petal: Petal,
        inner: Colour,
        outer: Colour,
        tone: np.ndarray | np.float32,
        shadow: float,
        depth: float,
    ) -> None:
        """Lay petals given by coordinates along (u, 0 to 1) and across (v) them."""
        if petal.notch:
            u = u / (1 - np.float32(petal.notch) * np.exp(-((v / (0.45 * petal.width)) ** 2)))
        half = petal.half_width(u)
        beyond = np.maximum(u - 1, 0) + np.maximum(-u, 0)
        d = (np.abs(v) - half + 3 * beyond) * length
        cover = np.clip(0.5 - d / (1.5 * self.pixel), 0, 1)
        if shadow:
            near = np.clip(1 - d / np.float32(0.055), 0, 1)
            self.colour *= 1 - np.float32(shadow) * near * near * self.flower
        side = np.clip(v / half, -1, 1)
        # Each petal is a shallow trough: its sides and its tip turn a little towards the light or away.
        c, s = np.cos(angle), np.sin(angle)
        lit = side * (c * LIGHT[1] - s * LIGHT[0]) * 0.10 + (c * LIGHT[0] + s * LIGHT[1]) * 0.05
        edge = side * side
        w = np.clip(u, 0, 1)
        light = tone * (1 + lit + 0.06 * edge - np.float32(depth) * (1 - w) ** 2 - 0.05 * np.exp(-((side / 0.12) ** 2)) * (1 - w))
        blend = w * w * (3 - 2 * w)
        colour = (inner[:, None, None] * (1 - blend) + outer[:, None, None] * blend) * light
        self.lay(cover, np.clip(colour, 0, 1))
        np.maximum(self.flower, cover, out=self.flower)

    def button(self, polar: tuple[np.ndarray, np.ndarray], radius: float, colour: Colour, rim: Colour, grain: float) -> None:
        """The domed middle of a flower, with a grain as of seeds."""
        r, angle = polar
        d = r - radius
        near = np.clip(1 - d / np.float32(0.05), 0, 1)
        self.colour *= 1 - np.float32(0.35) * near * near * self.flower
        w = np.clip(r / radius, 0, 1)
        lit = (np.cos(angle) * LIGHT[0] + np.sin(angle) * LIGHT[1]) * w
        seeds = np.sin(r / radius * 14 + angle * 3) * np.sin(r / radius * 11 - angle * 5)
        light = 1.04 + 0.22 * lit - 0.1 * w**4 + np.float32(grain) * seeds * w
        blend = w**3
        mixed = (colour[:, None, None] * (1 - blend) + rim[:, None, None] * blend) * light
        self.lay(np.clip(0.5 - d / self.pixel, 0, 1), np.clip(mixed, 0, 1))

    def stamens(
        self, polar: tuple[np.ndarray, np.ndarray], count: int, turn: float, reach: float, bead: float, thread: Colour, tip: Colour
    ) -> None:
        """Threads with a bead at their ends, in a ring."""
        r, angle = polar
        sector = np.float32(2 * np.pi / count)
        place = (angle - np.float32(turn)) / sector + np.float32(0.5)
        t = (place - np.floor(place) - np.float32(0.5)) * sector
        u, v = r * np.cos(t), r * np.sin(t)
        line = np.maximum(np.abs(v) - 0.005, np.maximum(u - reach, -u))
        self.lay(np.clip(0.5 - line / (1.5 * self.pixel), 0, 1) * np.float32(0.85), thread)
        self.lay(np.clip(0.5 - (np.hypot(u - reach, v) - bead) / (1.5 * self.pixel), 0, 1), tip)

    def stem(self, x: float, y: float, foot: float, bend: float, thick: float, colour: Colour) -> None:
        """A stem from a flower at (x, y) down to x = foot at the lower edge, bent by `bend` on the way."""
        bottom = self.height * self.pixel
        t = np.clip((self.y - y) / (bottom - y), 0, 1)
        middle = x + (foot - x) * t + bend * np.sin(t * np.float32(np.pi))
        off = self.x - middle
        d = np.abs(off) - thick
        inside = (self.y > y).astype(np.float32)
        light = 1 - 0.25 * np.clip(off / thick, -1, 1) - 0.15 * np.exp(-((t / 0.08) ** 2))
        self.lay(np.clip(0.5 - d / (1.5 * self.pixel), 0, 1) * inside, colour[:, None, None] * light)

    def picture(self) -> np.ndarray:
        """What was painted, `h w 3` uint8."""
        pixels = self.colour.reshape(3, self.height // FINER, FINER, self.width // FINER, FINER).mean(axis=(2, 4))
        return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0).copy()
