"""A first layout of a texture: blocks of the sample, each fitted to what lies there already.

Efros and Freeman, SIGGRAPH 2001; the engine's votes mend what is left of the borders of blocks.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int32

__all__ = ["quilted"]


AMONG = 1.1  # a block is drawn among those whose misfit is at most so many times the least
Fixed = tuple[Float[np.ndarray, "a b c"], Bool[np.ndarray, "a b"]]


def quilted(
    sample: Float[np.ndarray, "h w c"], high: int, wide: int, wrap: tuple[bool, bool], block: int,
    rng: np.random.Generator, still: tuple[float, float] = (0.0, 0.0), bold: float = 0.0, fixed: Fixed | None = None,
) -> Int32[np.ndarray, "a b 2"]:  # fmt: skip
    """For every pixel of a texture the row and column of the sample that it is taken from.

    block: side of a block in pixels; a third of it overlaps its neighbours, also across the borders where it wraps.
    still: what it costs to move a block down and across, by its own side. bold: how much luck counts beside fitting,
    against the middle misfit: without any, a block goes on with its neighbour where it can. fixed: a picture of the
    texture's size and what of it stays: blocks are fitted to that, too.
    """
    block = min(block, *sample.shape[:2])
    overlap = max(block // 3, 1)
    places = np.zeros((high, wide, 2), np.int32)
    canvas = np.zeros((high, wide, sample.shape[2]), np.float32) if fixed is None else fixed[0].copy()
    stays = np.zeros((high, wide), bool) if fixed is None else fixed[1]
    filled = stays.copy()
    used = np.zeros((sample.shape[0] - block + 1, sample.shape[1] - block + 1), np.float32)
    for y in _starts(high, block, overlap, wrap[0]):
        for x in _starts(wide, block, overlap, wrap[1]):
            ys, xs = (np.arange(y, y + block) % high)[:, None], (np.arange(x, x + block) % wide)[None]
            there, known = canvas[ys, xs], filled[ys, xs]
            misfit = _misfit(sample, there, known.astype(np.float32))
            down, across = (np.arange(n) - at for n, at in zip(misfit.shape, (y, x), strict=True))
            misfit += still[0] * np.square(down / block)[:, None] + still[1] * np.square(across / block)[None]
            if bold:
                misfit += bold * np.median(misfit) * rng.random(misfit.shape, np.float32)
            misfit = (misfit + 1e-5) * (1 + 0.2 * used)
            choices = np.flatnonzero(misfit <= misfit.min() * AMONG + 1e-9)
            top, left = np.unravel_index(choices[rng.integers(len(choices))], misfit.shape)
            near = block // 4
            used[max(top - near, 0) : top + near, max(left - near, 0) : left + near] += 1
            piece = sample[top : top + block, left : left + block]
            own = _cut(np.where(known, np.square(piece - there).sum(2), 0), overlap, known) | ~known
            at = np.moveaxis(np.mgrid[top : top + block, left : left + block], 0, -1)
            places[ys, xs] = np.where((own | stays[ys, xs])[..., None], at, places[ys, xs])
            canvas[ys, xs] = np.where((own & ~stays[ys, xs])[..., None], piece, there)
            filled[ys, xs] = True
    return places


def _misfit(
    sample: Float[np.ndarray, "h w c"], there: Float[np.ndarray, "p p c"], known: Float[np.ndarray, "p p"]
) -> Float[np.ndarray, "a b"]:
    """For every place of a block its mean squared difference from what is known there."""
    mask = np.repeat(known[..., None], sample.shape[2], axis=2)
    out = np.zeros((sample.shape[0] - len(there) + 1, sample.shape[1] - len(there) + 1), np.float32)
    if known.any():
        for c in range(sample.shape[2]):
            plane, part = np.ascontiguousarray(sample[..., c]), np.ascontiguousarray(there[..., c], np.float32)
            out += cv2.matchTemplate(plane, part, cv2.TM_SQDIFF, mask=np.ascontiguousarray(mask[..., c]))
        out /= known.sum() * sample.shape[2]
    return np.maximum(out, 0)


def _cut(wrong: Float[np.ndarray, "p p"], overlap: int, known: Bool[np.ndarray, "p p"]) -> Bool[np.ndarray, "p p"]:
    """What a block keeps of itself where others lie: on every side that is known, what is within the least visible
    cut. wrong: how different the block is from what lies there.
    """
    own = np.ones(known.shape, bool)
    for turn in range(4):  # the cut from top to bottom through the left overlap, of the block turned
        error, lies = np.rot90(wrong, turn)[:, :overlap], np.rot90(known, turn)[:, :overlap]
        if lies.mean() < 0.5:
            continue
        least = error.copy()
        for y in range(1, len(least)):
            above = np.pad(least[y - 1], 1, constant_values=np.inf)
            least[y] += np.minimum(np.minimum(above[:-2], above[1:-1]), above[2:])
        at = int(least[-1].argmin())
        kept = np.ones(known.shape, bool)
        for y in range(len(least) - 1, -1, -1):
            first = max(at - 1, 0)
            at = first + int(least[y, first : at + 2].argmin()) if y < len(least) - 1 else at
            kept[y, :at] = False
        own &= np.rot90(kept, -turn)
    return own


def _starts(length: int, block: int, overlap: int, wraps: bool) -> list[int]:
    """Where blocks begin along one side."""
    if block >= length:
        return [0]
    stride = block - overlap
    if wraps:
        count = -(-length // stride)
        return [round(i * length / count) for i in range(count)]
    count = -(-(length - block) // stride) + 1
    return [round(i * (length - block) / max(count - 1, 1)) for i in range(count)]
