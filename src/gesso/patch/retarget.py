"""The same picture in another shape, with what matters unharmed; and other pictures with the same things in them."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gesso.errors import GessoError
from gesso.patch.colour import grey
from gesso.patch.level import How, Source, Target
from gesso.patch.pyramid import blurred, resized, resized_mask, scales
from gesso.patch.quilt import quilted
from gesso.patch.synthesis import Step, synthesise

__all__ = ["retarget", "variation"]

Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]
HOW = How(ratio=0.7, first=6, steps=(5, 3), complete=0.5, keen=0.95, sharp=0.5, calm=0.03)
BASE, BLOCK = 64, 26  # of variations: pixels of the shorter side at the first level, and of a block there
UPRIGHT, STILL = 0.006, 0.002  # what it costs to move a block down, and across where little may differ
COARSE = 40  # pixels of the shorter side at the first level of retargeting
NARROWEST = 0.1  # of its width, a column that nothing is in
SACRED = 1e6  # weight of what is protected


def retarget(
    picture: Picture, height: int, width: int, *, protect: Mask | None = None, seed: int = 0
) -> Iterator[Step]:
    """A picture brought to another shape by leaving out and adding what matters least; yields better and better ones.

    protect: h w, what stays as it is: where the picture need not be scaled, to the bit. First rows and columns are
    stretched by how much is in them (Wang et al., SIGGRAPH Asia 2008, along the axes), then patches mend what that did
    to forms (Simakov et al., CVPR 2008). Raises GessoError where what is protected does not fit.
    """
    scale = _scale(picture.shape[:2], (height, width))
    size = [max(round(n * scale), HOW.patch + 1) for n in picture.shape[:2]]
    base = resized(picture, *size).clip(0, 1)
    sacred = np.zeros(base.shape[:2], bool) if protect is None else resized_mask(protect, *size, whole=False)
    matters = _importance(base)
    rows = _stretch(matters.mean(axis=1), np.asarray(sacred.any(axis=1)), height, "high")
    columns = _stretch(matters.mean(axis=0), np.asarray(sacred.any(axis=0)), width, "wide")
    begin = _warped(base, rows, columns, height, width)
    fixed = np.zeros((height, width), bool)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(sacred.astype(np.uint8))
    for i in range(1, count):
        left, top, wide, high = (int(v) for v in boxes[i, :4])
        y, x = min(round(float(rows[top])), height - high), min(round(float(columns[left])), width - wide)
        piece, there = labels[top : top + high, left : left + wide] == i, (slice(y, y + high), slice(x, x + wide))
        begin[there] = np.where(piece[..., None], base[top : top + high, left : left + wide], begin[there])
        fixed[there] |= piece
    first = scales(min(size), COARSE, HOW.ratio)[0]
    source = Source(base, important=1 + 4 * sacred.astype(np.float32))
    target = Target(height, width, begin=begin, fixed=fixed if fixed.any() else None)
    target = replace(target, places=_places(rows, columns, size, (height, width), first))
    for step in synthesise(source, target, replace(HOW, start=first, coarse=1), seed):
        done = step.done == 1 and fixed.any()
        yield Step(np.where(fixed[..., None], begin, step.picture), 1.0) if done else step


def variation(picture: Picture, *, different: float = 0.5, seed: int = 0) -> Iterator[Step]:
    """Another picture of the same things, arranged anew; yields better and better ones of the same size.

    different: 0 to 1, from details to the whole arrangement; what is above stays above. Large blocks of a small copy
    are laid out by how they fit and by luck, then patches mend what is between them, with all of them kept in use.
    """
    height, width = picture.shape[:2]
    scale = scales(min(height, width), BASE, HOW.ratio)[0]
    high, wide = (max(round(n * scale), HOW.patch + 1) for n in (height, width))
    places = quilted(
        resized(picture, high, wide).astype(np.float32), high, wide, (False, False), BLOCK,
        np.random.default_rng(seed), still=(UPRIGHT, STILL * (1 - different)), bold=different,
    )  # fmt: skip
    rows = np.arange(height, dtype=np.float32) / max(height, width)
    guide = np.repeat(0.2 * rows[:, None, None], width, axis=1)
    how = replace(HOW, start=scale, coarse=1, first=8)
    yield from synthesise(Source(picture, guide), Target(height, width, guide=guide, places=places), how, seed)


def _scale(old: tuple[int, ...], new: tuple[int, int]) -> float:
    """How much the picture is scaled as a whole: not at all, if one side may grow and the other shrink."""
    ratios = sorted(n / o for n, o in zip(new, old, strict=True))
    return min(max(1.0, ratios[0]), ratios[1])


def _importance(picture: Picture) -> Float[np.ndarray, "h w"]:
    """How much there is to see around each pixel: edges of light, smoothed."""
    light = grey(picture[..., :3]) if picture.shape[2] >= 3 else picture[..., 0]
    edges = np.hypot(*(cv2.Sobel(light, -1, *way, ksize=3) for way in ((1, 0), (0, 1))))
    return blurred(edges.astype(np.float32), max(1.0, min(light.shape) / 100))


def _stretch(matters: np.ndarray, sacred: np.ndarray, length: int, word: str) -> Float[np.ndarray, " n"]:
    """Where each row (or column) begins in the new picture: n + 1 places, from 0 to its length.

    The least sum of weight · (stretch − 1)² with stretches that add up; no line becomes narrower than a tenth.
    """
    keep = int(sacred.sum())
    if keep > length:
        raise GessoError(
            f"What is protected is {keep} pixels {word}, the new picture only {length}.",
            "Protect less, or ask for a larger size.",
        )
    weight = matters / max(float(matters.mean()), 1e-6) + 0.1
    weight = np.where(sacred, SACRED, weight**2)
    low, high, stretch = -1e3, 1e3, np.ones_like(weight)
    for _ in range(100):
        middle = (low + high) / 2
        stretch = np.maximum(1 + middle / weight, NARROWEST)
        low, high = (middle, high) if stretch.sum() < length else (low, middle)
    stretch = np.where(sacred, 1.0, stretch)
    free = stretch[~sacred].sum()
    stretch[~sacred] *= (length - keep) / max(free, 1e-9)
    return np.concatenate([[0.0], np.cumsum(stretch)])


def _back(starts: np.ndarray, length: int) -> np.ndarray:
    """For the middle of each new line its place among the old ones, in pixels."""
    return np.interp(np.arange(length) + 0.5, starts, np.arange(len(starts))) - 0.5


def _warped(picture: Picture, rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> Picture:
    """The picture with its rows and columns where they are to be."""
    x, y = np.meshgrid(_back(columns, width).astype(np.float32), _back(rows, height).astype(np.float32))
    out = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(height, width, -1)


def _places(rows: np.ndarray, columns: np.ndarray, old: list[int], new: tuple[int, int], scale: float) -> np.ndarray:
    """The same at the scale of the first level: which pixel of the small source each pixel of the small target is."""
    least, out = HOW.patch + 1, []
    for starts, before, after in zip((rows, columns), old, new, strict=True):
        small, wanted = max(round(before * scale), least), max(round(after * scale), least)
        at = _back(starts, after)[np.minimum(((np.arange(wanted) + 0.5) / wanted * after).astype(int), after - 1)]
        out.append(np.clip((at + 0.5) / before * small, 0, small - 1).astype(np.int32))
    return np.stack(np.meshgrid(*out, indexing="ij"), axis=-1)
