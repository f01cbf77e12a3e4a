"""A rough draft drawn again, large and crisp, with the patches of given pictures.

The engine's search and vote (`gesso.patch`), begun with the draft at a scale that leaves its shapes and forgets its
grain, and guided by its blurred colours. A margin around pictures with transparency keeps what is drawn within them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from gesso.finish.caps import Caps, Copied, copied, keep_below
from gesso.patch.atlas import atlas
from gesso.patch.level import How, Level, Source, Target
from gesso.patch.pyramid import blurred, resized, scales

__all__ = ["Drawing", "Manner", "Plan", "Regions", "draw", "drawn_of", "prepare", "shown"]

Picture = Float[np.ndarray, "h w c"]
LEARNED = 1200  # patches from which axes are learned
FEW = 64  # pixels below which patches are small already
PATCHES = ((64, 7), (24, 5), (0, 3))  # sides of new pictures, and of patches that suit them
AT_HOME = 0.6  # of the new picture's scale: drafts count as no finer than that
FINE = 0.7  # from so faithful on, patches are smaller
BLOB = 32  # pixels of a blob at the scale at which a layout counts as at home
APART = 3.0  # what the code of a region is multiplied by
COARSE = 8  # pixels: no level's shorter side is below that


@dataclass(frozen=True)
class Manner:
    """How a draft is finished. Lengths are in pixels, shares of 1.

    begin: of the scale that the draft has, that of the first level: the lower, the freer. guide: how much the draft's
    blurred colours count in the search. soft: by which share of the shorter side they are blurred. searched: the last
    scale at which pictures are searched.
    """

    patch: int = 7
    begin: float = 0.4
    guide: float = 0.35
    soft: float = 1 / 24
    ratio: float = 0.75
    first: int = 8
    steps: tuple[int, int] = (8, 3)
    searched: float = 0.45
    complete: float = 0.0
    even: float = 0.0
    caps: Caps = field(default_factory=Caps)

    @classmethod
    def of(
        cls, shorter: int, faithful: float = 0.5, patch: int | None = None, complete: float = 0.0, even: float = 0.0,
        caps: Caps | None = None,
    ) -> "Manner":  # fmt: skip
        """From what a person chooses. shorter: side of the new picture; faithful: 0 to the collection, 1 the draft."""
        own = next(size for side, size in PATCHES if shorter >= side) - 2 * (shorter >= FEW and faithful >= FINE)
        return cls(
            patch=own if patch is None else patch, begin=0.2 * 4**faithful, guide=0.15 * 5.4**faithful,
            soft=1 / 24 / 2 ** max(2 * faithful - 1, 0), complete=complete, even=even, caps=caps or Caps(),
        )  # fmt: skip


class Drawing(NamedTuple):
    """A picture on its way, in [0, 1], the share of the work that is done, and how unlike its sources its patches are.

    copied: with the last alone, what of it is from where.
    """

    picture: Picture
    done: float
    energy: float = 0.0
    copied: Copied | None = None


class Regions(NamedTuple):
    """Parts of a draft that are drawn with pictures of their own.

    number: h w, of the draft's size, the region of every pixel. of: the region of each of the pictures.
    """

    number: Int[np.ndarray, "h w"]
    of: tuple[int, ...]


def draw(
    draft: Picture, pictures: Sequence[Picture], height: int, width: int, manner: Manner, *,
    numbers: Sequence[int] = (), regions: Regions | None = None, seed: int = 0,
) -> Iterator[Drawing]:  # fmt: skip
    """Draw a draft anew at a size; yields it after every level, the last is the answer.

    draft: of any size, of as many channels as the pictures. pictures: at the scale that they are used at, premultiplied
    where they have four channels. numbers: of the pictures in their collection, the same for one and its mirror image;
    0, 1, … if not given.
    """
    rng = np.random.default_rng(seed)
    plan = prepare(draft, pictures, height, width, manner, numbers or range(len(pictures)), regions)
    level: Level | None = None
    for number, scale in enumerate(plan.sizes):
        level = Level(plan.source, plan.target, plan.how, scale, level, rng)
        yield plan.work(level, number, rng, soft=number > 0)


@dataclass(frozen=True)
class Plan:
    """All that levels need. sizes: their scales; margin: pixels around the picture; numbers: as in `Copied`."""

    source: Source
    target: Target
    how: How
    sizes: list[float]
    margin: int
    numbers: tuple[int, ...]
    caps: Caps

    def work(self, level: Level, number: int, rng: np.random.Generator, soft: bool) -> Drawing:
        """Search and vote at one level, the one of that number, and keep below the caps.

        soft: whether the level begins with a picture enlarged from the one before it.
        """
        last, count = number == len(self.sizes) - 1, self.how.steps_at(number, len(self.sizes))
        for step in range(count):
            level.match(rng, soft=soft and step == 0)
            if step == count - 1:
                keep_below(level, len(self.numbers), drawn_of(shown(level.picture)), self.caps)
            level.vote(last=last and step == count - 1)
        for again in range(1, ROUNDS if last else 0):  # the last vote has moved borders
            found = copied(level, len(self.numbers), drawn_of(shown(level.picture)))
            if found.shares.max(initial=0) <= self.caps.share and found.piece <= self.caps.piece:
                break
            stricter = replace(
                self.caps, share=self.caps.share * TIGHTER**again, piece=self.caps.piece * TIGHTER**again
            )
            keep_below(level, len(self.numbers), drawn_of(shown(level.picture)), stricter)
            level.vote(last=True)
        if not last:
            return Drawing(
                _within(shown(level.picture), round(self.margin * self.sizes[number])),
                self._done(number),
                level.energy,
            )
        found = copied(level, len(self.numbers), drawn_of(shown(level.picture)))
        found = replace(found, sources=_within(found.sources, self.margin), numbers=self.numbers)
        return Drawing(_within(shown(level.picture), self.margin), 1.0, level.energy, found)

    def _done(self, number: int) -> float:
        work = [s * s * self.how.steps_at(i, len(self.sizes)) for i, s in enumerate(self.sizes)]
        return sum(work[: number + 1]) / sum(work)


def prepare(
    draft: Picture, pictures: Sequence[Picture], height: int, width: int, manner: Manner, numbers: Sequence[int],
    regions: Regions | None = None,
) -> Plan:  # fmt: skip
    """Lay the pictures side by side and decide on scales. See `draw`."""
    drafted = min(draft.shape[0] / height, AT_HOME)
    if regions is not None:  # a blob stands for something, and is nothing by itself
        units = [min(p.shape[:2]) for p, region in zip(pictures, regions.of, strict=True) if region]
        drafted = min(drafted, BLOB / max(min(units), 1))
    sizes = scales(min(height, width), COARSE, manner.ratio, min(drafted * manner.begin, 1.0))
    margin = max(round(1 / sizes[0]), manner.patch) if draft.shape[2] == 4 else 0  # a pixel at the first level
    around = ((margin, margin), (margin, margin), (0, 0))
    sigma = manner.soft * min(height, width)
    begin = shown(resized(draft, height, width))
    own, group = np.unique(np.asarray(numbers), return_inverse=True)

    def guide(picture: Picture, code: np.ndarray | None) -> Picture:
        out = manner.guide * blurred(picture, sigma)
        return np.pad(out if code is None else np.concatenate([out, code], axis=2), around)

    codes: list[np.ndarray | None] = [None] * len(pictures)
    code = None
    if regions is not None:
        codes = [_code(np.full(p.shape[:2], r), regions) for p, r in zip(pictures, regions.of, strict=True)]
        number = cv2.resize(regions.number.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        code = _code(number.astype(np.int64), regions)
    laid = atlas([np.pad(picture, around) for picture in pictures], sizes[0])
    guides = atlas([guide(picture, one) for picture, one in zip(pictures, codes, strict=True)], sizes[0])
    outside = np.pad(np.zeros((height, width), bool), margin, constant_values=True) if margin else None
    how = How(
        patch=manner.patch, ratio=manner.ratio, coarse=1, steps=manner.steps, first=manner.first,
        complete=manner.complete, even=manner.even, searched=manner.searched,
        guided=manner.searched if regions is None else 1.0, central=True,
        learned=LEARNED,
    )  # fmt: skip
    return Plan(
        Source(laid.picture, guides.picture, laid.allowed, group[laid.number]),
        Target(height + 2 * margin, width + 2 * margin, np.pad(begin, around), guide(begin, code), outside),
        how, sizes, margin, tuple(int(n) for n in own), manner.caps,
    )  # fmt: skip


def shown(picture: Picture) -> Picture:
    """A picture within its bounds: in [0, 1], colours not beyond alpha."""
    if picture.shape[2] != 4:
        return picture.clip(0, 1)
    alpha = picture[..., 3:].clip(0, 1)
    return np.concatenate([picture[..., :3].clip(0, alpha), alpha], axis=2)


def _code(number: Int[np.ndarray, "h w"], regions: Regions) -> Float[np.ndarray, "h w r"]:
    """A channel a region, so strong that no patch is like one of another region."""
    count = max(int(regions.number.max()), *regions.of) + 1
    return (np.float32(APART) * (number[..., None] == np.arange(count))).astype(np.float32)


SEEN = 0.06  # of alpha from which on something is drawn
CALM = 0.02  # of light or colour by which neighbours differ in a ground at most
ROUNDS, TIGHTER = 12, 0.97  # of looking again whether caps are kept, and of what they are then
PLAIN = 0.6  # share of the border that is calm, where there is a ground


def drawn_of(picture: Picture) -> Bool[np.ndarray, "h w"]:
    """The pixels that are drawn: those that are not transparent or, where nothing is, not of the ground.

    Ground is what is calm, without lines or texture, and goes on to the border, where most of that is.
    """
    if picture.shape[2] == 4:
        return picture[..., 3] > SEEN
    cross = np.ones((3, 3), np.uint8)
    varied = np.atleast_3d(cv2.dilate(picture, cross) - cv2.erode(picture, cross)).max(2)
    calm = varied < CALM
    border = np.zeros_like(calm)
    border[[0, -1]] = border[:, [0, -1]] = True
    if calm[border].mean() < PLAIN:
        return np.ones_like(calm)
    _, part = cv2.connectedComponents(calm.astype(np.uint8), connectivity=4)
    drawn = ~(calm & np.isin(part, part[border & calm]))
    return drawn if drawn.any() else np.ones_like(calm)


def _within(picture: Float[np.ndarray, "..."] | Int[np.ndarray, "..."], margin: int) -> np.ndarray:
    return picture[margin : picture.shape[0] - margin, margin : picture.shape[1] - margin] if margin else picture
