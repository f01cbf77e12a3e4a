"""What is missing in a picture, made of what is there: holes filled, pictures continued beyond their borders."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gesso.errors import GessoError
from gesso.patch.level import How, Source, Target
from gesso.patch.synthesis import Step, synthesise

__all__ = ["fill_smoothly", "inpaint"]

Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]
HOW = How(patch=9, ratio=0.5, coarse=27, first=20, steps=(12, 4), trust=1.2, sharp=1.0, exact=0)
DEEP = 0.6  # of a patch: so deep is the hole at most at the first level


def inpaint(picture: Picture, hole: Mask, *, seed: int = 0) -> Iterator[Step]:
    """Fill a hole with patches of what is around it."""
    if hole.all() or not hole.any():
        raise GessoError(
            "The mask is all white: nothing is left to fill it from." if hole.all() else "The mask is all black.",
            "White is what is to be filled, black what stays.",
        )
    deep = float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).max())
    start = min(1.0, HOW.patch * DEEP / deep)
    margin = HOW.patch * 2 + int(2 / start)
    ys, xs = np.nonzero(hole)
    top, left = max(ys.min() - margin, 0), max(xs.min() - margin, 0)
    window = slice(top, ys.max() + 1 + margin), slice(left, xs.max() + 1 + margin)
    begin = fill_smoothly(picture, hole)
    guide = _grain(picture, hole, int(2 ** max(1.0, np.log2(1 / start) - 1)) * 2 + 1)
    source = Source(picture, guide, allowed=~hole)
    part = begin[window]
    target = Target(*part.shape[:2], begin=part, guide=guide[window], fixed=~hole[window])
    for step in synthesise(source, target, replace(HOW, start=start), seed):
        if step.done < 1:
            yield step
            continue
        out = picture.copy()
        out[window] = np.where(hole[window][..., None], step.picture, picture[window])
        yield Step(out, 1.0)


def fill_smoothly(picture: Picture, hole: Mask) -> Picture:
    """A hole filled by what surrounds it, averaged over ever wider surroundings (push and pull)."""
    known = (~hole).astype(np.float32)
    stack: list[tuple[np.ndarray, np.ndarray]] = [(picture * known[..., None], known)]
    while min(stack[-1][1].shape) > 2 and (stack[-1][1] <= 0).any():
        total, weight = stack[-1]
        size = -(-weight.shape[1] // 2), -(-weight.shape[0] // 2)
        smaller = cv2.resize(total, size, interpolation=cv2.INTER_AREA)
        share = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA))
        stack.append((smaller.reshape(*smaller.shape[:2], -1), share))
    total, weight = stack[-1]
    out = total / np.maximum(weight, 1e-6)[..., None]
    for total, weight in stack[-2::-1]:
        wide = cv2.resize(out, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        sure = np.minimum(weight * 4, 1)[..., None]
        out = total / np.maximum(weight, 1e-6)[..., None] * sure + wide.reshape(total.shape) * (1 - sure)
    return np.where(hole[..., None], out, picture).astype(np.float32)


def _grain(picture: Picture, hole: Mask, side: int) -> Float[np.ndarray, "h w 2"]:
    """How rough the surroundings of each pixel are, across and down; in the hole as around it."""
    light = picture.mean(axis=2)
    known = cv2.erode((~hole).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    rough = [np.abs(np.diff(light, axis=axis, prepend=light.take([0], axis=axis))) for axis in (1, 0)]
    share = np.maximum(cv2.blur(known, (side, side)), 1e-3)
    mean = np.dstack([cv2.blur(r * known, (side, side)) / share for r in rough])
    return 4 * fill_smoothly(mean, known < 0.5)
