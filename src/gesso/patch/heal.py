"""What is missing in a picture, made of what is there: holes filled, pictures continued beyond their borders."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gesso.errors import GessoError
from gesso.patch.bands import each, threads
from gesso.patch.field import Places, inside
from gesso.patch.greedy import filled_inwards
from gesso.patch.level import How, Source, Target
from gesso.patch.pyramid import resized, resized_mask, scales
from gesso.patch.synthesis import Step, synthesise

__all__ = ["candidates", "check_hole", "fill_smoothly", "inpaint", "outpaint", "reshuffle"]

Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]
HOW = How(patch=9, ratio=0.7, coarse=27, first=8, steps=(8, 3), trust=1.2, sharp=1.0)
LUCK = 0.5  # of further candidates
ALIKE = 0.02  # mean difference in the hole below which two candidates are the same
STARTS = 2  # first fillings of which the best goes on
MORE = 4  # seeds that are tried beyond those asked for
DEEP = 1.3  # of a patch: so deep is the hole at most at the first level


def inpaint(
    picture: Picture, hole: Mask, *, avoid: Mask | None = None, luck: float = 0.0, seed: int = 0
) -> Iterator[Step]:
    """Fill a hole with patches of what is around it; yields its surroundings as they become, then the whole picture.

    picture: h w c in [0, 1]; hole: h w. luck: how much chance there is in the first filling, so that other seeds find
    others; without it, several are begun, and the one whose energy is least on the first level goes on. avoid: h w,
    what must not be copied into it. Pixels outside the hole are untouched. Wexler, Shechtman, Irani (PAMI 2007), with
    guides of roughness (Newson et al., SIAM Journal on Imaging Sciences, 2014). Raises GessoError for a hole that is
    all or nothing, or leaves too little to fill it from.
    """
    check_hole(hole)
    deep = float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).max())
    start = min(1.0, HOW.patch * DEEP / deep)
    margin = HOW.patch * 2 + int(2 / start)
    ys, xs = np.nonzero(hole)
    top, left = max(int(ys.min()) - margin, 0), max(int(xs.min()) - margin, 0)
    window = slice(top, int(ys.max()) + 1 + margin), slice(left, int(xs.max()) + 1 + margin)
    begin = fill_smoothly(picture, hole)
    guide = _grain(picture, hole, int(2 ** max(1.0, np.log2(1 / start) - 1)) * 2 + 1)
    part = begin[window]
    allowed = ~hole if avoid is None else ~(hole | avoid)
    first = scales(min(hole.shape), HOW.coarse, HOW.ratio, start)[0]
    target = Target(*part.shape[:2], begin=part, guide=guide[window], fixed=~hole[window])
    source, how = Source(begin, guide, allowed=allowed), replace(HOW, start=first, coarse=1)
    tried: dict[int, tuple[Step, Iterator[Step]]] = {}

    def try_once(number: int) -> None:
        rng = np.random.default_rng([seed, number] if number else seed)
        with threads(1):
            places = _first(begin, guide, hole, allowed, window, first, luck or (LUCK if number else 0.0), rng)
            steps = synthesise(source, replace(target, places=places), how, seed)
            tried[number] = next(steps), steps

    each(range(1 if luck else STARTS), try_once)
    best, rest = min((tried[number] for number in sorted(tried)), key=lambda one: one[0].energy)
    for step in chain([best], rest):
        if step.done < 1:
            yield step
            continue
        out = picture.copy()
        out[window] = np.where(hole[window][..., None], step.picture, picture[window])
        yield step._replace(picture=out)


def _first(
    begin: Picture, guide: Picture, hole: Mask, allowed: Mask, window: tuple[slice, slice], scale: float, luck: float,
    rng: np.random.Generator,
) -> Places:  # fmt: skip
    """Where every pixel of the window comes from, at the first level."""
    least, (height, width) = HOW.patch + 1, hole.shape
    high, wide = max(round(height * scale), least), max(round(width * scale), least)
    small = np.concatenate([resized(begin, high, wide), resized(guide, high, wide)], axis=2)
    missing = resized_mask(hole, high, wide, whole=False)
    usable = resized_mask(allowed, high, wide, whole=True)
    if min(high, wide) < HOW.patch or not inside(usable, HOW.patch).any():
        raise GessoError("The mask leaves too little of the picture to fill it from.", "Make the white part smaller.")
    places = filled_inwards(small, missing, usable, HOW.patch, rng, luck)
    # patches at the border of the hole go with the nearest pixel in it
    _, labels = cv2.distanceTransformWithLabels(
        (~missing).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(labels, np.int64)
    at = np.zeros((int(labels.max()) + 1, 2), np.int32)
    ys, xs = np.nonzero(missing)
    at[labels[ys, xs]] = np.stack([ys, xs], axis=1)
    near = at[labels]
    own = np.moveaxis(np.mgrid[:high, :wide], 0, -1).astype(np.int32)
    places = own + places[near[..., 0], near[..., 1]] - near
    rows, columns = (
        _within(part, n, size, scale, least)
        for part, n, size in zip(window, (height, width), (high, wide), strict=True)
    )
    return np.clip(places[rows][:, columns], 0, np.array([high, wide]) - 1).astype(np.int32)


def _within(part: slice, length: int, size: int, scale: float, least: int) -> np.ndarray:
    """Which lines of the small picture the small window has."""
    begin, end, _ = part.indices(length)
    count = max(round((end - begin) * scale), least)
    at = (begin + (np.arange(count) + 0.5) / count * (end - begin)) / length * size
    return np.clip(at.astype(int), 0, size - 1)


def check_hole(hole: Mask) -> None:
    """Raise GessoError for a mask that leaves nothing to do, or nothing to do it from."""
    if hole.all() or not hole.any():
        raise GessoError(
            "The mask is all white: nothing is left to fill it from." if hole.all() else "The mask is all black.",
            "White is what is to be filled, black what stays.",
        )


def candidates(picture: Picture, hole: Mask, count: int, seed: int = 0) -> Iterator[Step]:
    """Several fillings of a hole that really differ; a Step each, done counting up; order them by their energy.

    The first begins smoothly, the others by luck; one that is nearly the same as another is left out while a few more
    seeds are tried for it.
    """
    found: list[Step] = []
    tries = count + MORE
    for number in range(tries):
        *_, step = inpaint(picture, hole, luck=LUCK if number else 0.0, seed=seed + number)
        new = all(np.abs(step.picture - other.picture)[hole].mean() > ALIKE for other in found)
        if new or tries - number <= count - len(found):
            found.append(step._replace(done=(len(found) + 1) / count))
            yield found[-1]
        if len(found) == count:
            return


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
    return 0.5 * fill_smoothly(mean, known < 0.5)


def outpaint(picture: Picture, height: int, width: int, top: int, left: int, *, seed: int = 0) -> Iterator[Step]:
    """Continue a picture beyond its borders; yields pictures of height × width with the given one at top, left."""
    high, wide = picture.shape[:2]
    hole = np.ones((height, width), bool)
    hole[top : top + high, left : left + wide] = False
    sides = ((top, height - high - top), (left, width - wide - left), (0, 0))
    yield from inpaint(np.pad(picture, sides, mode="edge"), hole, seed=seed)


def reshuffle(picture: Picture, what: Mask, down: int, right: int, *, seed: int = 0) -> Iterator[Step]:
    """Move what a mask covers to another place, close the gap, and mend its new surroundings; yields pictures.

    what: h w. The moved pixels are untouched, and so is all that is far from both places. Raises GessoError where
    nothing of it stays in the picture.
    """
    check_hole(what)
    ys, xs = np.nonzero(what)
    new_y, new_x = ys + down, xs + right
    stays = (new_y >= 0) & (new_y < what.shape[0]) & (new_x >= 0) & (new_x < what.shape[1])
    if not stays.any():
        raise GessoError(f"Moved by {right}, {down} nothing of it is in the picture.", "Move it less far.")
    ring = max(3, round(0.01 * min(what.shape)))
    begin, there = picture.copy(), np.zeros_like(what)
    begin[new_y[stays], new_x[stays]] = picture[ys[stays], xs[stays]]
    there[new_y[stays], new_x[stays]] = True
    edge = cv2.dilate(there.astype(np.uint8), np.ones((2 * ring + 1,) * 2, np.uint8)) > 0
    hole = (cv2.dilate(what.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) | edge
    yield from inpaint(begin, hole & ~there, avoid=there, seed=seed)
