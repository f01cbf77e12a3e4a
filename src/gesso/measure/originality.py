"""Is this new, or is it a learned picture again? A likeness for every picture, and what counts as near.

The likeness is that of `alignment`, to the nearest learned picture. What is near depends on the collection: one tulip
is much like another, whoever drew them. So the limit is what different pictures of the collection reach among each
other: of some learned pictures the likeness to the nearest other one is taken, and those that are hardly different
(the same figure in another colour, say) are left out; nineteen of twenty of the rest lie below the limit.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gesso.errors import GessoError
from gesso.files import read_json, write_json
from gesso.measure.alignment import difference
from gesso.measure.nearest import Collection, Near, ready

__all__ = [
    "VERSION",
    "Found",
    "Scale",
    "Working",
    "finished",
    "found",
    "known_scale",
    "limit_of",
    "residuals",
    "scale",
    "share_of",
]

VERSION = 2  # of the likenesses that are kept
SAMPLE = 200  # learned pictures that the scale is taken from
VARIANT = 0.9  # likeness from which two pictures of the collection are the same one, changed
BELOW = 0.95  # share of pairs of different pictures that are below the limit
LIMITS = (0.6, 0.8)  # it lies between these

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
    among = yield from _nearest(collection, images[some], [[int(i)] for i in some])
    return _scale([round(value, 4) for value in among.likeness.tolist()])


def _scale(among: list[float]) -> Scale:
    return Scale(limit_of(torch.tensor(among)), among)


def known_scale(collection: Collection, images: np.ndarray, folder: Path, fingerprint: str) -> Working[Scale]:
    """The scale of a collection as `scale` gives it, kept in a folder (the data set's): read where it lies there.

    fingerprint: of the data set; another's scale is not taken.
    """
    path = folder / f"near-{images.shape[2]}x{images.shape[1]}-{len(images)}.json"
    mark = {"version": VERSION, "fingerprint": fingerprint}
    try:
        known = read_json(path)
        if all(known[name] == value for name, value in mark.items()):
            return _scale([float(value) for value in known["among"]])
    except (GessoError, KeyError, TypeError, ValueError, OSError):
        pass  # not there yet, or damaged: it is found again
    new = yield from scale(collection, images)
    write_json(path, {**mark, "among": new.among})
    return new


def limit_of(likeness: Float[Tensor, " n"]) -> float:
    """From which likeness on a picture is a near-copy. likeness: of a collection's pictures to their nearest others."""
    different = likeness[likeness < VARIANT]
    level = float(torch.quantile(different, BELOW)) if len(different) else LIMITS[1]
    return round(min(max(level, LIMITS[0]), LIMITS[1]), 4)


def found(collection: Collection, images: np.ndarray, scale: Scale) -> Working[Found]:
    """Of each of some pictures, n h w c bytes of the collection's shape, whether it is a near-copy, and of which."""
    near = yield from _nearest(collection, images, None)
    return Found(near, (near.likeness >= scale.limit).numpy())


def _nearest(collection: Collection, images: np.ndarray, but: list[list[int]] | None) -> Working[Near]:
    parts: list[Near] = []
    for part in collection.nearest(images, but):
        parts.append(part)
        yield sum(len(near.which) for near in parts), len(images)
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
