"""Which pictures of a collection a draft is drawn with: those that together have something like every part of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gesso.finish.index import Index
from gesso.finish.windows import turned_windows, windows_of

__all__ = ["Chosen", "choose"]

PER_WINDOW = 24  # pictures that are asked for a window
WEIGHTS = {1: 1.0, 2: 1.0, 4: 1.0}  # of all windows of a kind together
VARIED = 0.5  # how much luck counts in the choice for another candidate: of the logarithm of distances
Picture = Float[np.ndarray, "h w c"]


class Chosen(NamedTuple):
    """A picture of a collection. turn: how it is used: 0 as it is, 1 to 3 quarter turns, 4 to 7 the same, mirrored."""

    number: int
    turn: int


def choose(
    index: Index, drafts: Sequence[Picture], count: int, *, unit: tuple[float, float] = (1.0, 1.0),
    allowed: Bool[np.ndarray, " n"] | None = None, turns: Sequence[int] = (0,), seed: int = 0,
) -> list[Chosen]:  # fmt: skip
    """Choose so many pictures at most for some drafts (several, where they are frames of one film).

    Greedily those that bring every window's distance to its nearest chosen picture down most (Nemhauser, Wolsey and
    Fisher 1978: at least 63 % of what the best choice would). unit: see `windows_of`. allowed: which pictures may be
    used. turns: ways in which they may be. seed: 0 for the best choice, others for others nearly as good.
    """
    rows: dict[Chosen, dict[int, float]] = {}
    most, weight = list[float](), list[float]()
    for draft in drafts:
        for kind in index.kinds:
            colours = windows_of(draft, kind.part, unit).colours
            first = len(most)
            most += [0.0] * len(colours)
            weight += [WEIGHTS[kind.part] / len(colours)] * len(colours)
            for turn in turns:  # the picture turned is like the draft where the draft turned back is like the picture
                found = kind.find(turned_windows(colours, _back(turn)), PER_WINDOW, allowed)
                for i, (numbers, far) in enumerate(zip(found.number, found.distance, strict=True)):
                    known = numbers >= 0
                    most[first + i] = max(most[first + i], float(far[known].max(initial=0)))
                    for number, distance in zip(numbers[known].tolist(), far[known].tolist(), strict=True):
                        own = rows.setdefault(Chosen(number, turn), {})
                        own[first + i] = min(own.get(first + i, np.inf), distance)
    names = sorted(rows)
    distances = np.full((len(names), len(most)), np.inf)
    for row, name in enumerate(names):
        distances[row, list(rows[name])] = list(rows[name].values())
    if seed:
        distances *= np.exp(VARIED * np.random.default_rng(seed).normal(size=(len(names), 1)))
    return [names[row] for row in _greedy(distances, np.array(most), np.array(weight), count)]


def _greedy(
    distances: Float[np.ndarray, "p r"], most: Float[np.ndarray, " r"], weight: Float[np.ndarray, " r"], count: int
) -> list[int]:
    chosen, now = list[int](), most.copy()
    left = np.ones(len(distances), bool)
    for _ in range(min(count, len(distances))):
        gain = np.where(left, (np.maximum(now - distances, 0) * weight).sum(1), -1)
        if gain.max() <= 0:  # nothing brings anything: the next best for everything, were those chosen not there
            now = most.copy()
            gain = np.where(left, (np.maximum(now - distances, 0) * weight).sum(1), -1)
        best = int(gain.argmax())
        chosen.append(best)
        left[best] = False
        now = np.minimum(now, distances[best])
    return chosen


def _back(turn: int) -> int:
    """The turn that undoes one; those mirrored undo themselves."""
    return -turn % 4 if turn < 4 else turn
