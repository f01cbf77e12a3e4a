"""The index of a collection: for any part of a picture, the parts of the collection's pictures that are most like it.

Windows of each kind are described by a few coordinates on their principal axes, rounded to bytes. They lie in *cells*
(k-means); a question looks into the few nearest cells only (an inverted file: Jégou, Douze and Schmid, TPAMI 2011,
section III), so that it takes hardly longer in a large collection than in a small one. Made once, it is kept beside
the pack and read where it is needed, through the memory map.

The library's own, in numpy, since the same collection must give the same index and the same answers anywhere: a
picture's recipe holds only as long as its pieces are found again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Int32

from gesso.finish.windows import PARTS, count_of, windows_of_all
from gesso.patch.field import leading

__all__ = ["DEPTH", "Found", "Index", "Kind", "make_index"]

DEPTH = 32  # coordinates of a window
SAMPLE = 20_000  # windows from which axes are learned
FEW = 4096  # windows that are all looked at
MOST_CELLS = 4096
ROUNDS = 8  # of k-means
PROBES = 8  # cells that a question looks into
CHUNK = 256  # pictures that are described at a time


class Found(NamedTuple):
    """What is most like each of some windows, the nearest first. Where there are fewer than asked for: number -1.

    number: m k, of pictures. window: m k, which of their windows. distance: m k, mean squared difference of colours.
    """

    number: Int[np.ndarray, "m k"]
    window: Int[np.ndarray, "m k"]
    distance: Float[np.ndarray, "m k"]


@dataclass(frozen=True)
class Kind:
    """The windows of one kind of all pictures.

    codes: n m DEPTH. middle, axes: from colours to coordinates. unit: what 1 of a code is. centres: of cells, c DEPTH.
    order: numbers of windows, cell by cell; starts: c+1, where each cell begins in it. width: numbers of colours.
    """

    part: int
    codes: Int8[np.ndarray, "n m d"]
    middle: Float[np.ndarray, " w"]
    axes: Float[np.ndarray, "d w"]
    unit: float
    centres: Float[np.ndarray, "c d"]
    order: Int32[np.ndarray, " nm"]
    starts: Int[np.ndarray, " c1"]

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, to be kept."""
        return {
            "codes": self.codes, "middle": self.middle, "axes": self.axes, "unit": np.array([self.unit]),
            "centres": self.centres, "order": self.order, "starts": self.starts,
        }  # fmt: skip

    def find(
        self, colours: Float[np.ndarray, "q w"], count: int, allowed: Bool[np.ndarray, " n"] | None = None
    ) -> Found:
        """For each of some windows, given by their colours, so many of the most alike among allowed pictures."""
        wanted = (colours - self.middle) @ self.axes.T
        windows = self.codes.shape[1]
        flat = self.codes.reshape(-1, DEPTH)
        near = _squared(wanted, self.centres)
        listed = None
        if allowed is not None and allowed.sum() * windows <= max(FEW, len(flat) // 16):
            listed = (np.flatnonzero(allowed)[:, None] * windows + np.arange(windows)).ravel()
        numbers = np.full((len(wanted), count), -1, np.int64)
        which, distance = numbers.copy(), np.full((len(wanted), count), np.inf)
        for i, question in enumerate(wanted):
            some = self._looked_at(near[i], allowed, count) if listed is None else listed
            if not len(some):
                continue
            far = np.square(flat[some].astype(np.float32) * np.float32(self.unit) - question).sum(1)
            best = np.argpartition(far, min(count, len(far)) - 1)[:count]
            best = best[np.lexsort((some[best], far[best]))]
            numbers[i, : len(best)], which[i, : len(best)] = np.divmod(some[best], windows)
            distance[i, : len(best)] = far[best] / len(self.middle)
        return Found(numbers, which, distance)

    def _looked_at(self, near: np.ndarray, allowed: np.ndarray | None, count: int) -> np.ndarray:
        """Numbers of windows in the nearest cells: of PROBES, and of more where these have too few allowed ones."""
        cells, parts, have = np.argsort(near, kind="stable"), [], 0
        for looked, cell in enumerate(cells):
            if looked >= PROBES and have >= count:
                break
            some = self.order[self.starts[cell] : self.starts[cell + 1]]
            if allowed is not None:
                some = some[allowed[some // self.codes.shape[1]]]
            parts.append(some)
            have += len(some)
        return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True)
class Index:
    """Of a collection: its windows of every kind, and how many pictures there are."""

    kinds: tuple[Kind, ...]
    count: int


def make_index(images: np.ndarray, seed: int = 0) -> Iterator[tuple[int, int] | Index]:
    """Make it of n h w c bytes, premultiplied where c is 4; yields how many windows are described of how many, and
    last the index. The same pictures give the same index.
    """
    kinds, done, total = list[Kind](), 0, len(images) * sum(count_of(part) for part in PARTS)
    for part in PARTS:
        rng = np.random.default_rng(seed)
        few = np.sort(rng.permutation(len(images))[: max(SAMPLE // count_of(part), 200)])
        some = np.concatenate([c.reshape(-1, c.shape[2]) for _, c in _described(images, part, few)])[:SAMPLE]
        middle = some.mean(0)
        axes = np.zeros((DEPTH, some.shape[1]), np.float32)
        own = leading(np.cov((some - middle).T, ddof=0).astype(np.float64), DEPTH, rng)
        axes[: len(own)] = own
        unit = float(np.abs((some - middle) @ axes.T).max()) / 100 + 1e-9
        codes = np.empty((len(images), count_of(part), DEPTH), np.int8)
        for rows, colours in _described(images, part, np.arange(len(images))):
            codes[rows] = np.clip(np.rint((colours - middle) @ axes.T / unit), -127, 127)
            done += len(rows) * count_of(part)
            yield done, total
        kinds.append(Kind(part, codes, middle, axes, unit, *_cells(codes.reshape(-1, DEPTH), unit, rng)))
    yield Index(tuple(kinds), len(images))


def _described(images: np.ndarray, part: int, rows: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        yield some, windows_of_all(np.asarray(images[some]), part)


def _cells(codes: np.ndarray, unit: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, the order of windows cell by cell, and where each cell begins: by Lloyd's k-means."""
    count = 1 if len(codes) <= FEW else min(round(4 * len(codes) ** 0.5), MOST_CELLS)
    some = codes[np.sort(rng.permutation(len(codes))[: 12 * count])].astype(np.float32) * np.float32(unit)
    centres = some[np.sort(rng.permutation(len(some))[:count])].copy()
    for _ in range(ROUNDS if count > 1 else 0):
        own = _nearest(some, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, own, some)
        have = np.bincount(own, minlength=count)
        centres = np.where(have[:, None] > 0, sums / np.maximum(have, 1)[:, None], centres).astype(np.float32)
    own = np.empty(len(codes), np.int32)
    for start in range(0, len(codes), 1 << 16):
        own[start : start + (1 << 16)] = _nearest(codes[start : start + (1 << 16)].astype(np.float32) * unit, centres)
    order = np.argsort(own, kind="stable").astype(np.int32)
    return centres, order, np.concatenate([[0], np.bincount(own, minlength=count).cumsum()])


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    step = max((1 << 24) // len(centres), 1)
    return np.concatenate([_squared(points[i : i + step], centres).argmin(1) for i in range(0, len(points), step)])


def _squared(points: np.ndarray, centres: np.ndarray) -> Float[np.ndarray, "p c"]:
    """Squared distances, but for what is the same for all centres."""
    return np.square(centres).sum(1) - 2 * points.astype(np.float32) @ centres.T.astype(np.float32)
