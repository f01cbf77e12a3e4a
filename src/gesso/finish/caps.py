"""Honesty about copying: which picture every pixel is from, and no more from one than is allowed.

A pixel is from the picture whose patches had the most to say about it. A *piece* is a connected part that is taken
from one picture in one go: between neighbours what it is shifted by changes by a pixel at most.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from gesso.patch.field import Field, Places
from gesso.patch.level import Level

Weight = Float[np.ndarray, "a b"]

__all__ = ["Caps", "Copied", "copied", "keep_below", "pieces", "votes_by_picture"]

ROUNDS = 12  # of giving up parts
PART = 0.4  # of what is too much that moves at a time
FEWEST = 0.03  # of a picture: of less, what is taken is not worth counting
SLACK = 0.01  # of a share, since the last vote moves borders a little
NEARLY = 0.03  # below its cap a picture counts as full: it would only have to give up in turn
SMOOTH = 2.0  # patches over which what giving up costs is averaged, so that whole parts are given up
SWEEPS = 4  # in which what is given up finds another place


@dataclass(frozen=True)
class Caps:
    """What may come from one picture, as shares of the drawn area. share: in all; piece: in one go."""

    share: float = 0.5
    piece: float = 0.35


@dataclass(frozen=True)
class Copied:
    """sources: h w, the number of the picture that each pixel is from, -1 where nothing is drawn.

    numbers: of the pictures in their collection; sources count within them. shares: of each, as parts of the drawn
    area. piece: the largest piece, as such a part.
    """

    sources: Int[np.ndarray, "h w"]
    shares: Float[np.ndarray, " k"]
    piece: float
    numbers: tuple[int, ...] = ()


def votes_by_picture(level: Level, count: int, weight: Weight | None = None) -> Float[np.ndarray, "k h w"]:
    """How much the patches of every picture say about each pixel. weight: the level's, where it is known already."""
    own, patch = _owners(level), level.how.patch
    weight = level.weight() if weight is None else weight
    (high, wide), more = weight.shape, patch - 1
    much = np.zeros((count, high + 2 * more, wide + 2 * more), np.float32)
    ys, xs = np.mgrid[:high, :wide]
    much[own, ys + more, xs + more] = weight
    out = np.zeros((count, high + more, wide + more), np.float32)
    for number in np.unique(own):
        sums = cv2.boxFilter(much[number], -1, (patch, patch), anchor=(0, 0), normalize=False)
        out[number] = sums[: high + more, : wide + more]
    return out


def pieces(level: Level, sources: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """The number of the piece that each pixel belongs to, -1 where nothing is drawn. sources: as `copied` has them."""
    places, half = level.places.places, level.how.patch // 2
    high, wide = places.shape[:2]
    shift = places - np.moveaxis(np.mgrid[:high, :wide], 0, -1)
    rest = [(half, n - m - half) for n, m in zip(sources.shape, (high, wide), strict=True)]
    full = np.pad(shift, (*rest, (0, 0)), mode="edge")
    ok = sources >= 0
    down = ok[1:] & ok[:-1] & (sources[1:] == sources[:-1]) & (np.abs(full[1:] - full[:-1]).max(2) <= 1)
    across = ok[:, 1:] & ok[:, :-1] & (sources[:, 1:] == sources[:, :-1])
    across &= np.abs(full[:, 1:] - full[:, :-1]).max(2) <= 1
    return _joined(ok, down, across)


def copied(
    level: Level, count: int, drawn: Bool[np.ndarray, "h w"], weight: Weight | None = None, whole: bool = True
) -> Copied:
    """What of a level's picture is from where. drawn: the pixels that count; whole: whether pieces are looked at."""
    sources = np.where(drawn, votes_by_picture(level, count, weight).argmax(0), -1)
    area = _area(drawn)
    shares = np.bincount(sources[drawn], minlength=count)[:count] / area
    if not whole:
        return Copied(sources, shares, 0.0)
    numbers = pieces(level, sources)
    largest = int(np.bincount(numbers[numbers >= 0]).max()) if (numbers >= 0).any() else 0
    return Copied(sources, shares, largest / area)


def keep_below(level: Level, count: int, drawn: Bool[np.ndarray, "h w"], caps: Caps) -> Copied:
    """Let parts of a picture that has too much find their places in others, those first that lose least by it.

    Where there are no others the picture keeps what it has: look at what is returned.
    """
    share, piece = (cap - SLACK if cap < 1 else 1.0 for cap in (caps.share, caps.piece))
    weight, area = level.weight(), _area(drawn)
    found = copied(level, count, drawn, weight)
    for number in range(ROUNDS):
        worst = int(found.shares.argmax())
        whole = found.shares[worst] <= share
        if not whole:
            mine, too_much = found.sources == worst, lambda now, who=worst: float(now.shares[who]) - share
        elif found.piece > piece:
            numbers = pieces(level, found.sources)
            mine = numbers == int(np.bincount(numbers[numbers >= 0]).argmax())
            worst, too_much = int(found.sources[mine][0]), lambda now: now.piece - piece
        else:
            break
        around = np.ones(2 * [2 * min(number // 2, level.how.patch // 2) + 1], np.uint8)
        mine = cv2.dilate(mine.astype(np.uint8), around) > 0  # in the end those beside move, too: they have a say
        full = np.union1d(np.flatnonzero(found.shares >= share - NEARLY), [worst])
        ways = _ways_out(level, mine, worst, full) or _ways_out(level, mine, worst, np.array([worst]))
        if ways is None:
            break
        start = 0
        while start < len(ways.ys) and (much := too_much(found)) > 0:  # a part at a time: more may follow than moved
            some = slice(start, start + max(round(PART * much * area), 1))
            at = ways.ys[some], ways.xs[some]
            level.places.places[at] = ways.places[at]  # what moves keeps its say: outvoted, it had moved for nothing
            start = some.stop
            found = copied(level, count, drawn, weight, whole)
        if not whole:
            found = copied(level, count, drawn, weight)
    return found


def _area(drawn: Bool[np.ndarray, "h w"]) -> float:
    """What shares are of: the drawn area; where hardly anything is drawn, a little of the picture."""
    return max(float(drawn.sum()), FEWEST * drawn.size)


class _Ways(NamedTuple):
    """Where patches can go: places, of all, and rows and columns of those that can, what loses least first."""

    places: Places
    ys: Int[np.ndarray, " n"]
    xs: Int[np.ndarray, " n"]


def _ways_out(level: Level, mine: Bool[np.ndarray, "h w"], worst: int, full: Int[np.ndarray, " f"]) -> _Ways | None:
    """Where the worst picture's patches within some pixels can go, to pictures that are not full; None for nowhere."""
    field, half = level.places, level.how.patch // 2
    high, wide = field.distance.shape
    allowed = level.allowed & ~np.isin(_groups(level), full)
    own = mine[half : half + high, half : half + wide] & field.active & (_owners(level) == worst)
    if not (allowed.any() and own.any()):
        return None
    rng = np.random.default_rng(int(own.sum()))
    other = Field(_elsewhere(field, own, allowed, rng), np.zeros_like(field.distance), own)
    target, source = level.compared()
    for _ in range(SWEEPS):
        other.refine(target, source, allowed, level.how.patch)
    wide_as = SMOOTH * level.how.patch / 2
    lost = cv2.GaussianBlur(np.where(own, other.distance - field.distance, 0), (0, 0), wide_as)
    lost /= cv2.GaussianBlur(own.astype(np.float32), (0, 0), wide_as) + 1e-3
    ys, xs = np.nonzero(own & (other.distance < target.shape[2] * level.how.patch**2))  # not into another region
    order = np.argsort(lost[ys, xs], kind="stable")
    return _Ways(other.places, ys[order], xs[order])


def _elsewhere(
    field: Field, own: np.ndarray, allowed: np.ndarray, rng: np.random.Generator
) -> Int[np.ndarray, "h w 2"]:
    """For patches that must move, where the nearest one that need not goes on; where that is not allowed, anywhere."""
    out = Field.random(own, allowed, rng).places
    stays = ~own & allowed[field.places[..., 0], field.places[..., 1]]
    if stays.any():
        _, found = cv2.distanceTransformWithLabels(
            (~stays).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        label = found.astype(np.int64)
        where = np.zeros((int(label.max()) + 1, 2), np.int64)
        ys, xs = np.nonzero(stays)
        where[label[ys, xs]] = np.stack([ys, xs], axis=1)
        near = where[label]
        here = np.moveaxis(np.mgrid[: own.shape[0], : own.shape[1]], 0, -1)
        place = field.places[near[..., 0], near[..., 1]] + here - near
        inside = (place >= 0).all(2) & (place < np.array(allowed.shape)).all(2)
        place = np.clip(place, 0, np.array(allowed.shape) - 1)
        good = inside & allowed[place[..., 0], place[..., 1]]
        out = np.where(good[..., None], place, out)
    return np.where(own[..., None], out, field.places).astype(np.int32)


def _owners(level: Level) -> Int[np.ndarray, "h w"]:
    """The picture that every patch is from."""
    return _groups(level)[level.places.places[..., 0], level.places.places[..., 1]]


def _groups(level: Level) -> Int[np.ndarray, "a b"]:
    assert level.group is not None
    return level.group


def _joined(
    ok: Bool[np.ndarray, "h w"], down: Bool[np.ndarray, "h1 w"], across: Bool[np.ndarray, "h w1"]
) -> Int[np.ndarray, "h w"]:
    """Connected components of pixels, -1 for those that are not `ok`. down, across: whether neighbours belong together.

    On a canvas of twice the size: pixels at even places, links between them.
    """
    high, wide = ok.shape
    canvas = np.zeros((2 * high - 1, 2 * wide - 1), np.uint8)
    canvas[::2, ::2], canvas[1::2, ::2], canvas[::2, 1::2] = ok, down, across
    _, numbers = cv2.connectedComponents(canvas, connectivity=4)
    return np.where(ok, numbers[::2, ::2] - 1, -1)
