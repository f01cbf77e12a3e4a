"""What the primer is shown of a painting: a part of it, mirrored or not, in other colours now and then.

Colours change strongly only in a share of the views: where all views change, a network learns to ignore colour, and
where none does, it learns nothing else.
"""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gesso.compiled import compiled
from gesso.primer.painter.dice import bell, between, likely, seed

__all__ = ["View", "look"]

TAPS = 4  # pixels that a pixel of a view is made of, in each direction: enough to halve


class View(NamedTuple):
    """How paintings are looked at."""

    size: int = 32  # pixels of what is seen
    least: float = 0.3  # the smallest part of a painting's area that is seen
    strong: float = 0.7  # share of the views whose colours change much


def look(paintings: Sequence[np.ndarray], how: View, number: int, threads: int = 0) -> Float[Tensor, "n 4 s s"]:
    """A view of each painting, in [-1, 1] and channels last.

    paintings: n arrays `h w 4` uint8, premultiplied, as the painter gives them. number: seed of the views. threads: 0
    is one a core; the views are the same for any number.
    """
    n = len(paintings)
    seen = np.empty((n, how.size, how.size, 4), np.float32)
    threads = threads or os.cpu_count() or 1
    edges = np.linspace(0, n, min(threads, n) + 1).astype(int)

    def some(part: int) -> None:
        for i in range(edges[part], edges[part + 1]):
            _view(paintings[i], how.least, how.strong, number * 1_000_003 + i, seen[i])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, range(len(edges) - 1)))
    return torch.from_numpy(seen).permute(0, 3, 1, 2)


@compiled
def _view(painting: np.ndarray, least: float, strong: float, number: int, out: np.ndarray) -> None:
    seed(number)
    side, shape = math.sqrt(math.exp(between(math.log(least), 0.0))), math.exp(between(-0.2, 0.2))
    across, down = min(side * shape, 1.0), min(side / shape, 1.0)
    left, top = between(0.0, 1.0 - across), between(0.0, 1.0 - down)
    mirrored = likely(0.5)
    size, h, w = out.shape[0], painting.shape[0], painting.shape[1]
    first, share = _taps(left * w, across * w, size, w, mirrored)
    upper, weight = _taps(top * h, down * h, size, h, False)
    rows = np.zeros((h, size, 4), np.float32)
    for y in range(upper.min(), min(upper.max() + TAPS, h)):
        for x in range(size):
            for k in range(TAPS):
                for c in range(4):
                    rows[y, x, c] += share[x, k] * painting[y, min(first[x] + k, w - 1), c]
    for y in range(size):
        out[y] = 0
        for k in range(TAPS):
            at = min(upper[y] + k, h - 1)
            for x in range(size):
                for c in range(4):
                    out[y, x, c] += weight[y, k] / 255 * rows[at, x, c]
    _recolour(out, likely(strong))


@compiled
def _taps(start: float, length: float, size: int, most: int, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel, and the weights of it and the next, of each of `size` steps along a stretch of a painting."""
    first, weight = np.zeros(size, np.int64), np.zeros((size, TAPS), np.float32)
    step = length / size
    wide = max(step, 1.0)  # tents as wide as a step: a mean where it shrinks, bilinear where it grows
    for i in range(size):
        centre = start + (size - i - 0.5 if mirrored else i + 0.5) * step - 0.5
        first[i] = min(max(math.ceil(centre - wide), 0), most - TAPS)
        total = 0.0
        for k in range(TAPS):
            weight[i, k] = max(1 - abs(first[i] + k - centre) / wide, 0.0)
            total += weight[i, k]
        for k in range(TAPS):
            weight[i, k] /= total
    return first, weight


@compiled
def _recolour(x: np.ndarray, much: bool) -> None:
    """Contrast, saturation, hue, tint, brightness and grain; `x` goes from [0, 1] to [-1, 1]."""
    contrast = 1 + (between(-0.5, 0.4) if much else 0.0)
    saturation = 1 + (between(-0.8, 0.5) if much else 0.0)
    if much and likely(0.2):
        saturation = 0.0
    angle = between(-0.9, 0.9) if much else 0.0
    spread = 0.25 if much else 0.05
    tint = np.array([1 + between(-spread, spread) for _ in range(3)], np.float32)
    brighter = between(-0.18, 0.18) if much else between(-0.03, 0.03)
    grain = between(0.0, 0.06) if likely(0.3) else 0.0
    turn, other, third = math.cos(angle), math.sin(angle) / math.sqrt(3.0), (1 - math.cos(angle)) / 3
    light, cover = 0.0, 0.0
    for y in range(x.shape[0]):
        for i in range(x.shape[1]):
            light += (x[y, i, 0] + x[y, i, 1] + x[y, i, 2]) / 3
            cover += x[y, i, 3]
    mean = light / max(cover, 1e-6)
    for y in range(x.shape[0]):
        for i in range(x.shape[1]):
            r, g, b, a = x[y, i, 0], x[y, i, 1], x[y, i, 2], x[y, i, 3]
            grey = (r + g + b) / 3
            r, g, b = grey + saturation * (r - grey), grey + saturation * (g - grey), grey + saturation * (b - grey)
            r, g, b = (  # a rotation about the grey axis (Rodrigues)
                (turn + third) * r + (third - other) * g + (third + other) * b,
                (third + other) * r + (turn + third) * g + (third - other) * b,
                (third - other) * r + (third + other) * g + (turn + third) * b,
            )
            lit = (r, g, b)
            for c in range(3):
                value = tint[c] * (mean * a + contrast * (lit[c] - mean * a)) + a * brighter
                if grain > 0:
                    value += a * grain * bell()
                x[y, i, c] = 2 * min(max(value, 0.0), a) - 1  # premultiplied: no more light than cover
            x[y, i, 3] = 2 * a - 1
