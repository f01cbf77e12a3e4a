"""Colours from their differences: the field whose steps from pixel to pixel are as near as can be to wanted ones.

Seamless cloning (Pérez, Gangnet and Blake 2003, eq. 7) minimises the sum over neighbouring pixels p, q of
(f_q − f_p − v_pq)², where f is known outside a region. The normal equations are solved by conjugate gradients, with
one V-cycle of aggregation multigrid (Braess 1995) as the preconditioner: regions of any shape, floats, any size.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gesso.compiled import compiled

__all__ = ["fill", "steps"]

Field3 = Float[np.ndarray, "h w c"]
OVER = 1.8  # how far coarse corrections are trusted: those of piecewise constants are too small (Braess 1995)
TOLERANCE = 5e-6  # of the error's energy a pixel, in units of [0, 1]
MOST_ROUNDS = 100


class _Level(NamedTuple):
    """One grid. right, down: weights of the steps to those neighbours; own: the sum of a pixel's weights, 0 outside."""

    right: np.ndarray
    down: np.ndarray
    own: np.ndarray


def steps(field: Field3) -> tuple[Field3, Field3]:
    """The steps of a field from each pixel to its right and to its lower neighbour; 0 at the last ones."""
    right, down = np.zeros_like(field), np.zeros_like(field)
    right[:, :-1] = field[:, 1:] - field[:, :-1]
    down[:-1] = field[1:] - field[:-1]
    return right, down


def fill(
    field: Field3,
    inside: Bool[np.ndarray, "h w"],
    right: Field3,
    down: Field3,
    absent: Bool[np.ndarray, "h w"] | None = None,
) -> Field3:
    """The field with its inside made anew, so that its steps are as near as can be to those that are wanted.

    field: float32; known outside, a first guess inside. right, down: the wanted steps to the right and lower
    neighbours. absent: pixels whose value nobody knows, which hold nothing. Where a part of the inside touches nothing
    that is known, it keeps its mean. Accurate to about a thousandth.
    """
    if not inside.any():
        return field
    there = np.ones_like(inside) if absent is None else ~absent
    wanted = np.where(inside[..., None], _balance(field, inside, there, right, down), 0).astype(np.float32)
    error = _conjugate(_levels(inside, there), wanted)
    return field + np.where(inside[..., None], error, 0)


def _weights(inside: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 for every step between two pixels that are there and of which one is inside."""
    right, down = np.zeros(inside.shape, np.float32), np.zeros(inside.shape, np.float32)
    right[:, :-1] = there[:, 1:] & there[:, :-1] & (inside[:, 1:] | inside[:, :-1])
    down[:-1] = there[1:] & there[:-1] & (inside[1:] | inside[:-1])
    return right, down


def _balance(field: Field3, inside: np.ndarray, there: np.ndarray, right: Field3, down: Field3) -> Field3:
    """What the field's steps lack at each pixel, of those that are wanted."""
    across, along = _weights(inside, there)
    have_right, have_down = steps(field)
    x, y = across[..., None] * (have_right - right), along[..., None] * (have_down - down)
    out = x + y
    out[:, 1:] -= x[:, :-1]
    out[1:] -= y[:-1]
    return out


def _levels(inside: np.ndarray, there: np.ndarray) -> list[_Level]:
    """The grids from the finest to one of a few pixels; each pixel of a coarser one is two by two of the finer."""
    right, down = _weights(inside, there)
    own = right + down
    own[:, 1:] += right[:, :-1]
    own[1:] += down[:-1]
    own *= inside
    right[:, :-1] *= inside[:, 1:] & inside[:, :-1]  # steps to known pixels count in `own` alone
    down[:-1] *= inside[1:] & inside[:-1]
    out = [_Level(right, down, own)]
    while max(own.shape) > 4:
        fine = out[-1]
        right, down, own = (np.pad(plane, [(0, side % 2) for side in plane.shape]) for plane in fine)
        across = right[0::2, 1::2] + right[1::2, 1::2]  # from one pair to the next; those within it vanish
        along = down[1::2, 0::2] + down[1::2, 1::2]
        within = 2 * (right[0::2, 0::2] + right[1::2, 0::2] + down[0::2, 0::2] + down[0::2, 1::2])
        own = own[0::2, 0::2] + own[1::2, 0::2] + own[0::2, 1::2] + own[1::2, 1::2] - within
        out.append(_Level(across, along, own))
    return out


def _conjugate(levels: list[_Level], wanted: Field3) -> Field3:
    """Solve by preconditioned conjugate gradients, each channel on its own step length."""
    error, rest = np.zeros_like(wanted), wanted.copy()
    pixels = max(int((levels[0].own > 0).sum()), 1)
    direction, before = np.zeros_like(wanted), np.zeros(wanted.shape[2])
    for _ in range(MOST_ROUNDS):
        better = _cycle(levels, 0, rest)
        now = np.einsum("hwc,hwc->c", rest, better, dtype=np.float64)
        if (now <= TOLERANCE**2 * pixels).all():
            break
        direction = better + (now / np.where(before > 0, before, np.inf)).astype(np.float32) * direction
        applied = np.empty_like(direction)
        _apply(*levels[0], direction, applied)
        length = now / np.maximum(np.einsum("hwc,hwc->c", direction, applied, dtype=np.float64), 1e-30)
        error += length.astype(np.float32) * direction
        rest -= length.astype(np.float32) * applied
        before = now
    return error


def _cycle(levels: list[_Level], depth: int, wanted: Field3) -> Field3:
    """One V-cycle from zero: smooth, correct on the coarser grid, smooth the other way round."""
    level, out = levels[depth], np.zeros_like(wanted)
    if depth == len(levels) - 1:
        for _ in range(8):
            _smooth(*level, wanted, out, True)
            _smooth(*level, wanted, out, False)
        return out
    _smooth(*level, wanted, out, True)
    rest = np.empty_like(wanted)
    _apply(*level, out, rest)
    rest = wanted - rest
    high, wide = rest.shape[:2]
    padded = np.pad(rest, [(0, high % 2), (0, wide % 2), (0, 0)])
    coarse = padded[0::2, 0::2] + padded[1::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 1::2]
    _add(level.own, _cycle(levels, depth + 1, coarse), out)
    _smooth(*level, wanted, out, False)
    return out


@compiled
def _add(own: np.ndarray, coarse: np.ndarray, out: np.ndarray) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            if own[y, x] > 0:
                for c in range(out.shape[2]):
                    out[y, x, c] += np.float32(OVER) * coarse[y // 2, x // 2, c]


@compiled
def _apply(right: np.ndarray, down: np.ndarray, own: np.ndarray, field: np.ndarray, out: np.ndarray) -> None:
    """The left side of the equations: own · f minus the neighbours, inside; 0 outside."""
    high, wide, channels = field.shape
    for y in range(high):
        for x in range(wide):
            for c in range(channels):
                total = own[y, x] * field[y, x, c]
                if own[y, x] > 0:
                    if x + 1 < wide:
                        total -= right[y, x] * field[y, x + 1, c]
                    if x > 0:
                        total -= right[y, x - 1] * field[y, x - 1, c]
                    if y + 1 < high:
                        total -= down[y, x] * field[y + 1, x, c]
                    if y > 0:
                        total -= down[y - 1, x] * field[y - 1, x, c]
                out[y, x, c] = total


@compiled
def _smooth(
    right: np.ndarray, down: np.ndarray, own: np.ndarray, wanted: np.ndarray, field: np.ndarray, forth: bool
) -> None:
    """One sweep of Gauss and Seidel in place, from the first pixel to the last or back."""
    high, wide, channels = field.shape
    for i in range(high):
        y = i if forth else high - 1 - i
        for j in range(wide):
            x = j if forth else wide - 1 - j
            if own[y, x] > 0:
                for c in range(channels):
                    total = wanted[y, x, c]
                    if x + 1 < wide:
                        total += right[y, x] * field[y, x + 1, c]
                    if x > 0:
                        total += right[y, x - 1] * field[y, x - 1, c]
                    if y + 1 < high:
                        total += down[y, x] * field[y + 1, x, c]
                    if y > 0:
                        total += down[y - 1, x] * field[y - 1, x, c]
                    field[y, x, c] = total / own[y, x]
