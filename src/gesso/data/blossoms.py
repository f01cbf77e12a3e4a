"""The built-in set: flowers that Gesso paints itself, no one's work but its own.

Each picture is made from known factors (species, petals, colours, size, place, ground, stem), so that what
a generator learned can be compared with what there was to learn. The same seed paints the same
flowers, and the first of many are the first of few.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np

from gesso.data.brush import Canvas, Petal, oklch
from gesso.data.containers import Container
from gesso.data.layouts import Source
from gesso.data.worker import Entry

__all__ = ["SPECIES", "Blossom", "blossom_source", "paint_blossoms"]

# Colours by name: lightness, chroma and hue (OKLCH) at the tip of a petal.
COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (0.965, 0.012, 90),
    "cream": (0.935, 0.050, 92),
    "yellow": (0.875, 0.165, 92),
    "apricot": (0.810, 0.125, 62),
    "orange": (0.735, 0.175, 52),
    "coral": (0.700, 0.165, 28),
    "red": (0.580, 0.210, 25),
    "crimson": (0.480, 0.185, 16),
    "pink": (0.795, 0.120, 355),
    "magenta": (0.625, 0.215, 350),
    "lilac": (0.745, 0.115, 310),
    "violet": (0.530, 0.180, 298),
    "blue": (0.610, 0.155, 262),
    "sky blue": (0.765, 0.105, 240),
}
# Grounds by name: above and below, and whether they are dark.
GROUNDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], bool]] = {
    "cream": ((0.965, 0.022, 88), (0.915, 0.042, 80), False),
    "blush": ((0.935, 0.032, 20), (0.885, 0.055, 12), False),
    "pale blue": ((0.930, 0.032, 235), (0.870, 0.058, 238), False),
    "mint": ((0.945, 0.035, 165), (0.885, 0.060, 160), False),
    "lavender": ((0.915, 0.035, 300), (0.850, 0.060, 298), False),
    "sand": ((0.900, 0.035, 75), (0.835, 0.055, 68), False),
    "sage": ((0.800, 0.045, 150), (0.700, 0.060, 152), False),
    "teal": ((0.520, 0.075, 200), (0.390, 0.070, 208), True),
    "forest green": ((0.420, 0.070, 158), (0.300, 0.060, 162), True),
    "night blue": ((0.380, 0.085, 268), (0.260, 0.075, 275), True),
    "plum": ((0.390, 0.085, 335), (0.270, 0.070, 330), True),
    "charcoal": ((0.380, 0.010, 260), (0.270, 0.012, 260), True),
}
SPECIES: dict[str, tuple[str, ...]] = {
    "daisy": ("white", "white", "cream", "pink", "yellow", "lilac", "sky blue", "orange", "magenta"),
    "lily": ("white", "cream", "pink", "apricot", "orange", "coral", "magenta", "yellow"),
    "poppy": ("red", "red", "coral", "orange", "crimson", "apricot", "white", "violet"),
    "primrose": ("yellow", "cream", "pink", "lilac", "violet", "blue", "sky blue", "white", "magenta"),
    "rose": ("red", "crimson", "pink", "coral", "apricot", "cream", "white", "lilac", "yellow"),
    "tulip": ("red", "yellow", "orange", "pink", "magenta", "violet", "white", "coral", "crimson"),
}
PETALS = {"daisy": (11, 21), "lily": (6, 6), "poppy": (4, 6), "primrose": (5, 5), "rose": (16, 26), "tulip": (6, 6)}
SCENES = ("plain", "plain", "glow", "bokeh")
ROSE = (6, 6, 4, 4, 4, 2)  # petals of a rose, ring by ring from the outermost
GOLDEN = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Blossom:
    """One picture that is still to be painted: cheap to hand to another process, which paints it."""

    index: int
    seed: int
    width: int
    height: int

    def paint(self) -> tuple[np.ndarray, dict[str, Any]]:
        """(`h w 3` uint8, its factors)."""
        rng = np.random.default_rng([self.seed, self.index])
        factors = _choose(rng)
        canvas = Canvas(self.width, self.height)
        _paint_ground(canvas, factors, rng)
        PAINTERS[factors["species"]](canvas, factors, rng)
        return canvas.picture(), factors


def paint_blossoms(n: int, size: int | tuple[int, int], seed: int = 0) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Paint n flowers: (`n h w 3` uint8, the factors of each, with its `label` and its caption under `text`).

    size: pixels of a side, or (width, height). Picture i depends on seed and i alone.
    """
    width, height = size if isinstance(size, tuple) else (size, size)
    images = np.empty((n, height, width, 3), np.uint8)
    factors = []
    for i in range(n):
        images[i], known = Blossom(i, seed, width, height).paint()
        factors.append(known)
    return images, factors


def blossom_source(count: int, size: tuple[int, int], seed: int) -> Source:
    """The flowers as a source for the import; each is painted by the worker that takes it."""

    def entries() -> Iterator[Entry]:
        for i in range(count):
            yield Entry(f"blossom-{seed}-{i:06d}", Blossom(i, seed, *size))

    return Source("flowers painted by Gesso", count, entries(), _Nowhere())


class _Nowhere(Container):
    """A source that is no place."""

    kind = "painted"

    def read(self, name: str, most: int = 0) -> bytes:
        """There is nothing to read."""
        raise KeyError(name)


def _choose(rng: np.random.Generator) -> dict[str, Any]:
    """Draw the factors of one picture."""
    species = _pick(rng, tuple(SPECIES))
    colour = _pick(rng, SPECIES[species])
    lightness, _, hue = COLOURS[colour]
    grounds = _grounds_for(colour)
    ground = _pick(rng, grounds)
    two_tone = bool(rng.random() < 0.35)
    others = [name for name in SPECIES[species] if name != colour]
    stem = species == "tulip" or bool(rng.random() < 0.5)
    radius = float(rng.uniform(0.24, 0.41)) * (0.86 if stem else 1.0)
    petals = int(rng.integers(PETALS[species][0], PETALS[species][1] + 1))
    if species == "rose":  # it has whole rings of them
        petals = next(total for total in accumulate(ROSE) if total >= petals)
    size = "small" if radius < 0.27 else "large" if radius > 0.34 else "medium-sized"
    second = _pick(rng, others) if two_tone else ""
    factors = {
        "species": species,
        "petals": petals,
        "colour": colour,
        "hue": round(float(hue + rng.normal(0, 5)) % 360, 2),
        "lightness": round(float(np.clip(lightness + rng.normal(0, 0.015), 0, 0.98)), 4),
        "second": second,
        "radius": round(radius, 4),
        "x": round(float(rng.normal(0.5, 0.035)), 4),
        "y": round(float(rng.normal(0.4 if stem else 0.5, 0.03)), 4),
        "turn": round(float(rng.uniform(0, 2 * math.pi)), 4),
        "tilt": round(float(rng.uniform(0.78, 1.0)), 4),
        "lean": round(float(rng.uniform(0, math.pi)), 4),
        "ground": ground,
        "scene": _pick(rng, SCENES),
        "stem": stem,
        "leaves": int(rng.integers(1, 3)) if stem else 0,
    }
    article = "an" if size[0] in "aeiou" else "a"
    count = f" with {petals} petals" if species in ("daisy", "lily", "poppy", "primrose") else ""
    tones = f"{colour} and {second}" if second else colour
    factors["label"] = species
    factors["text"] = f"{article} {size} {tones} {species}{count}{' on a stem' if stem else ''} on {ground}"
    return factors


def _pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


@cache
def _grounds_for(colour: str) -> list[str]:
    """The grounds on which a flower of that colour is seen at once (distance in OKLab)."""
    flower = _lab(*COLOURS[colour])
    return [name for name, (above, _, _) in GROUNDS.items() if math.dist(flower, _lab(*above)) > 0.13]


def _lab(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    return lightness, chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))


def _paint_ground(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    above, below, dark = GROUNDS[f["ground"]]
    canvas.fill(oklch(*above), oklch(*below))
    lighter = oklch(min(above[0] + (0.16 if dark else 0.05), 0.985), above[1] * 0.9, above[2] + 8)
    if f["scene"] != "plain":
        canvas.glow(f["x"] - 0.1, f["y"] - 0.15, 0.5, lighter, 0.8)
    if f["scene"] == "bokeh":
        for _ in range(int(rng.integers(5, 9))):
            tint = oklch(
                min(above[0] + (0.2 if dark else 0.03), 0.985), above[1] + 0.02, above[2] + float(rng.normal(0, 25))
            )
            x, y = rng.uniform(-0.05, 1.05, 2)
            canvas.disc(float(x), float(y), float(rng.uniform(0.04, 0.13)), tint, float(rng.uniform(0.2, 0.5)), 0.02)


def _tones(f: dict[str, Any], deeper: float = 0.1, warmer: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Colours at the base and the tip of a petal."""
    _, chroma, _ = COLOURS[f["colour"]]
    outer = oklch(f["lightness"], chroma, f["hue"])
    if f["second"]:
        return oklch(*COLOURS[f["second"]]), outer
    return oklch(max(f["lightness"] - deeper, 0.1), min(chroma + 0.035, 0.25), f["hue"] + warmer), outer


def _paint_stem(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator, top: float = 0.0) -> None:
    """The stem with its leaves, under the flower."""
    if not f["stem"]:
        return
    dark = GROUNDS[f["ground"]][2]
    green = oklch(0.60 if dark else 0.52, 0.105, 140 + float(rng.normal(0, 6)))
    light = oklch(0.71 if dark else 0.63, 0.120, 135 + float(rng.normal(0, 6)))
    x, y, bend = f["x"], f["y"] + top, float(rng.normal(0, 0.035))
    foot = x + float(rng.normal(0, 0.04))
    canvas.stem(x, y, foot, bend, 0.0135 + 0.012 * f["radius"], green)
    below = y + f["radius"]
    first = int(rng.integers(0, 2))
    for i in range(f["leaves"]):
        side = 1 if (i + first) % 2 else -1
        start = below + (1 - below) * float(rng.uniform(0.25, 0.7))
        t = (start - y) / (1 - y)
        sx = x + (foot - x) * t + bend * math.sin(math.pi * t)
        angle = -math.pi / 2 + side * float(rng.uniform(0.6, 0.95))
        canvas.leaf(
            sx, start, angle, float(rng.uniform(0.24, 0.32)), Petal(0.17, 0.8, 0.9), green, light, 1.0, 0.0, side * 0.25
        )


def _daisy(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    _paint_stem(canvas, f, rng)
    inner, outer = _tones(f, 0.07)
    view = canvas.view(f["x"], f["y"], 1.25 * f["radius"], f["tilt"], f["lean"])
    n, turn, radius = f["petals"], f["turn"], f["radius"]
    shape = Petal(min(0.9 * math.pi / n, 0.24), 0.42, 0.22)
    canvas.whorl(view, n, turn + math.pi / n, radius * 0.97, shape, inner, outer, rng, 0.86, 0.0)
    canvas.whorl(view, n, turn, radius, shape, inner, outer, rng, 1.0, 0.32)
    warm = f["colour"] in ("yellow", "orange")
    heart = oklch(0.40, 0.075, 55) if warm else oklch(0.845, 0.165, 88)
    rim = oklch(0.30, 0.060, 50) if warm else oklch(0.735, 0.155, 68)
    canvas.button(view, radius * 0.30, heart, rim, 0.10)


def _lily(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    _paint_stem(canvas, f, rng)
    inner, outer = _tones(f, 0.13)
    view = canvas.view(f["x"], f["y"], 1.25 * f["radius"], f["tilt"], f["lean"])
    turn, radius = f["turn"], f["radius"] * 1.08
    canvas.whorl(view, 3, turn + math.pi / 3, radius, Petal(0.25, 0.75, 0.85), inner, outer, rng, 0.9, 0.0)
    canvas.whorl(view, 3, turn, radius, Petal(0.31, 0.75, 0.85), inner, outer, rng, 1.02, 0.4)
    canvas.button(view, radius * 0.10, oklch(0.80, 0.13, 118), oklch(0.72, 0.13, 122), 0.0)
    bead = oklch(0.47, 0.115, 45)
    canvas.stamens(view, 6, turn + math.pi / 6, radius * 0.43, radius * 0.055, oklch(0.90, 0.08, 112), bead)


def _poppy(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    _paint_stem(canvas, f, rng)
    inner, outer = _tones(f, 0.16)
    view = canvas.view(f["x"], f["y"], 1.25 * f["radius"], f["tilt"], f["lean"])
    n, turn, radius = f["petals"], f["turn"], f["radius"]
    shape = Petal({4: 0.78, 5: 0.66, 6: 0.60}[n], 0.62, 0.20)
    # Each petal lies over the one before; the dark blotch at the base is the species' own.
    for i in [*range(0, n, 2), *range(1, n, 2)]:
        canvas.whorl(
            view, 1, turn + 2 * math.pi * i / n, radius * (1.0 - 0.02 * (i % 2)), shape, inner, outer, rng,
            0.94 + 0.06 * (i % 2), 0.3, 0.03, 0.5,
        )  # fmt: skip
    dark = oklch(0.24, 0.035, 310)
    canvas.stamens(view, 16, turn, radius * 0.33, radius * 0.042, dark, oklch(0.30, 0.03, 300))
    canvas.stamens(view, 12, turn + 0.2, radius * 0.25, radius * 0.036, dark, oklch(0.38, 0.03, 300))
    canvas.button(view, radius * 0.16, oklch(0.72, 0.115, 125), oklch(0.55, 0.100, 130), 0.10)


def _primrose(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    _paint_stem(canvas, f, rng)
    inner, outer = _tones(f, 0.04)
    view = canvas.view(f["x"], f["y"], 1.25 * f["radius"], f["tilt"], f["lean"])
    turn, radius = f["turn"], f["radius"] * 0.95
    shape = Petal(0.47, 0.72, 0.20, 0.16)
    for i in (0, 2, 4, 1, 3):
        canvas.whorl(
            view,
            1,
            turn + 2 * math.pi * i / 5,
            radius,
            shape,
            inner,
            outer,
            rng,
            0.97 + 0.03 * (i % 2),
            0.22,
            0.02,
            0.22,
        )
    yellow = f["colour"] in ("yellow", "cream")
    eye = oklch(0.80, 0.165, 72) if yellow else oklch(0.90, 0.155, 98)
    canvas.whorl(view, 5, turn, radius * 0.40, Petal(0.33, 0.5, 0.7), eye, eye, rng, 1.0, 0.0, 0.0, 0.0)
    canvas.button(view, radius * 0.09, oklch(0.62, 0.12, 118), oklch(0.70, 0.13, 110), 0.0)


def _rose(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    _paint_stem(canvas, f, rng)
    inner, outer = _tones(f, 0.10, -4)
    view = canvas.view(f["x"], f["y"], 1.25 * f["radius"], 0.5 + 0.5 * f["tilt"], f["lean"])
    left, turn, layer = f["petals"], f["turn"], 0
    radius = f["radius"] * 0.94
    rings = 1 + sum(left > sum(ROSE[: i + 1]) for i in range(len(ROSE)))
    shrink = 0.20 ** (1 / rings)  # however many rings there are, the heart is a fifth of the flower
    dark = 0.80 + 0.12 * max(f["lightness"] - 0.6, 0)
    while left > 0 and layer < len(ROSE):
        n = ROSE[layer]
        deep = min(0.15 + 0.15 * layer, 1)
        mixed = inner * deep + outer * (1 - deep)
        shape = Petal((0.60, 0.60, 0.86, 0.86, 0.86, 1.0, 1.0, 1.0)[min(layer, 7)], 0.80, 0.26)
        for half in (0, 1):
            canvas.whorl(
                view, n // 2, turn + half * 2 * math.pi / n, radius * (1 - 0.03 * half), shape, inner * dark, mixed,
                rng, 0.97 + 0.04 * half, 0.38, 0.015, 0.40,
            )  # fmt: skip
        left -= n
        layer += 1
        turn += GOLDEN
        radius *= shrink
    canvas.button(view, radius * 0.75, inner * 0.80, inner * 0.95, 0.0)


def _tulip(canvas: Canvas, f: dict[str, Any], rng: np.random.Generator) -> None:
    inner, outer = _tones(f, 0.14)
    radius, x = f["radius"], f["x"]
    base = f["y"] + radius * 0.78
    _paint_stem(canvas, f, rng, radius * 0.7)
    long, up = radius * 1.62, -math.pi / 2
    sway = float(rng.normal(0, 0.05))
    spread = 0.30 + float(rng.uniform(-0.04, 0.06))
    back, front = Petal(0.27, 0.55, 0.42), Petal(0.345, 0.46, 0.46)
    for side in (-1, 1):
        canvas.leaf(x, base, up + sway + side * 0.16, long * 0.98, back, inner, outer, 0.80, 0.0, 0.0, 0.25)
    canvas.leaf(x, base, up + sway, long * 0.95, back, inner, outer, 0.86, 0.3, 0.0, 0.25)
    for side in (-1, 1):
        canvas.leaf(x, base, up + sway + side * spread, long, front, inner, outer, 0.95, 0.32, -side * 0.30, 0.30)
    canvas.leaf(x, base, up + sway, long * 0.90, Petal(0.33, 0.48, 0.52), inner, outer, 1.03, 0.38, 0.0, 0.30)


PAINTERS = {"daisy": _daisy, "lily": _lily, "poppy": _poppy, "primrose": _primrose, "rose": _rose, "tulip": _tulip}
