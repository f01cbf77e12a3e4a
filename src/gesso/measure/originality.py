"""Is this new, or is it a learned picture again? A likeness for every picture, and what counts as near.

The likeness is that of `alignment`, to the nearest learned picture. What is near depends on the collection: discs are
alike whoever drew them. So the limit is what strangers reach: learned pictures that were turned by a quarter, each
beside the others, are as simple or rich as before, and no copies. Those that are as like as that all the same
are turned copies, which some collections hold, and are left out.
"""

import math
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from gesso.measure.alignment import difference
from gesso.measure.nearest import Collection, Near, ready

__all__ = ["VERSION", "Found", "Scale", "Working", "finished", "found", "residuals", "scale", "share_of"]

VERSION = 1  # of what is near
SAMPLE = 200  # learned pictures that the scale is taken from
STRANGERS = 0.99  # share of strangers that are below the limit
LIMITS = (0.5, 0.7)  # it lies between these
TURNED_COPY = 0.75  # likeness from which a turned picture is taken for a copy of another

Out = TypeVar("Out")
Working = Generator[tuple[int, int], None, Out]  # yields how many pictures are done, of how many; returns what it found


@dataclass(frozen=True)
class Scale:
    """What near means in a collection.

    limit: likeness from which a picture is a near-copy. among: likeness of some of its pictures to the nearest other.
    """

    limit: float
    among: list[float]

    @property
    def usual(self) -> float:
        """Share of the collection's own pictures that are near-copies of another of them."""
        return float(np.mean([likeness >= self.limit for likeness in self.among]))

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class Found(NamedTuple):
    """For each picture: its nearest, how like it is and how it lies on it; and whether it is a near-copy."""

    near: Near
    copies: np.ndarray

    @property
    def likeness(self) -> np.ndarray:
        """n numbers in [0, 1]."""
        return self.near.likeness.numpy()


def finished(work: Working[Out]) -> Out:
    """What it returns in the end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def scale(collection: Collection, images: np.ndarray) -> Working[Scale]:
    """Of a collection. images: those it was made of, n h w c bytes.

    With fewer than three pictures the limit is the upper one. It is the same for the same pictures.
    """
    count = len(images)
    if count < 3:
        return Scale(LIMITS[1], [])
    some = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
    but, total = [[int(i)] for i in some], 2 * len(some)
    among = yield from _nearest(collection, images[some], but, 0, total)
    apart = yield from _nearest(collection, _turned(images[some]), but, len(some), total)
    strangers = apart.likeness[(apart.which >= 0) & (apart.likeness < TURNED_COPY)]
    level = float(torch.quantile(strangers, STRANGERS)) if len(strangers) else LIMITS[1]
    return Scale(min(max(level, LIMITS[0]), LIMITS[1]), [round(value, 4) for value in among.likeness.tolist()])


def _turned(images: np.ndarray) -> np.ndarray:
    """By a quarter; of pictures that are not square, their middle square."""
    h, w = images.shape[1:3]
    side = min(h, w)
    rows, columns = (slice((n - side) // 2, (n - side) // 2 + side) for n in (h, w))
    out = images.copy()
    out[:, rows, columns] = np.rot90(images[:, rows, columns], axes=(1, 2))
    return out


def found(collection: Collection, images: np.ndarray, scale: Scale) -> Working[Found]:
    """Of each of some pictures, n h w c bytes of the collection's shape, whether it is a near-copy, and of which."""
    near = yield from _nearest(collection, images, None, 0, len(images))
    return Found(near, (near.likeness >= scale.limit).numpy())


def _nearest(
    collection: Collection, images: np.ndarray, but: list[list[int]] | None, before: int, total: int
) -> Working[Near]:
    parts: list[Near] = []
    for part in collection.nearest(images, but):
        parts.append(part)
        yield before + sum(len(near.which) for near in parts), total
    return Near(*(torch.cat(column) for column in zip(*parts, strict=True)))


def residuals(collection: Collection, images: np.ndarray, near: Near) -> list[np.ndarray]:
    """What is left of each picture when its nearest is laid under it, with the best change of colours: h w 1 bytes.

    White is nothing, black as much as the picture itself varies; grey where the two do not overlap.
    """
    out = []
    for i in range(len(images)):
        if int(near.which[i]) < 0:
            out.append(np.full((*collection.pictures.shape[2:], 1), 128, np.uint8))
            continue
        x, y = ready(images[i : i + 1]), collection.picture(int(near.which[i]))
        moved = [int(column[i]) for column in near[2:]]
        left, seen = difference(x, y, *moved)
        shown = np.where(seen, 255 - 255 * np.clip(left, 0, 1), 200)
        out.append(shown.round().astype(np.uint8)[..., None])
    return out


def share_of(flags: np.ndarray) -> tuple[float, float, float]:
    """A share with its interval of 95 % confidence (Wilson 1927)."""
    n = len(flags)
    p, z = float(np.mean(flags)), 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return p, max(middle - half, 0.0), min(middle + half, 1.0)
