"""One level of the pyramid: a source and a target at one scale, their field, one search and one vote."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from gesso.patch.field import FORBIDDEN, SAMPLED, Axes, Field, Places, inside, scaled_field
from gesso.patch.kernels import usage
from gesso.patch.pyramid import resized, resized_mask, soften
from gesso.patch.votes import Votes

__all__ = ["How", "Level", "Source", "Target"]

MOST = 2_800_000  # patches of source and target together that are described: 128 bytes each
Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class How:
    """How the engine works. Lengths are pixels."""

    patch: int = 7  # side of a patch
    ratio: float = 0.75  # between two levels
    coarse: int = 20  # at least so long is the source's shorter side at the first level
    start: float | None = None  # at least such is the scale of the first level
    steps: tuple[int, int] = (10, 3)  # of search and vote: at the second level and at the last
    first: int = 1  # at the first level
    sweeps: int = 2  # of PatchMatch in a step
    complete: float = 0.0  # weight of the source's own votes, so that all of it is used
    even: float = 0.0  # cost of using a place more often than others
    keen: float = 1.0  # below 1, neighbours stay together: see `kernels.search`
    wrap: tuple[bool, bool] = (False, False)  # whether the picture goes on at the other side, in y and x
    sharp: float = 1.0  # how narrow the weights of votes are, against the third quarter of distances
    calm: float = 0.0  # the least width of weights, as a share of how different the source's patches are
    trust: float = 1.0  # above 1, what is deeper in the unknown by a pixel counts less by so much
    guided: float = 1.0  # the last scale at which guides are heard
    faint: float = 1.0  # how much of the pull is left beyond that scale
    central: bool = False  # whether guides are compared in the middle of patches only, which is quicker
    learned: int = SAMPLED  # patches from which it is learned on what axes patches differ
    searched: float = 1.0  # the last scale at which the source is searched; beyond, places are only refined

    def steps_at(self, number: int, levels: int) -> int:
        """How many steps the level of that number makes."""
        if number == 0:
            return self.first
        return round(self.steps[0] + (self.steps[1] - self.steps[0]) * number / max(levels - 1, 1))


@dataclass(frozen=True)
class Source:
    """What patches come from.

    guide: h w g, what they are found by besides their colours. allowed: h w, the pixels that may be used. group: h w,
    a number a pixel, and shares: how much of the target the pixels of each number should make, in all 1. important:
    h w, how much of a vote each pixel has in completeness, 1 in the middle.
    """

    picture: Picture
    guide: Picture | None = None
    allowed: Mask | None = None
    group: Int[np.ndarray, "h w"] | None = None
    shares: tuple[float, ...] = ()
    important: Float[np.ndarray, "h w"] | None = None


@dataclass(frozen=True)
class Target:
    """What is to be made.

    begin: what it begins with, of its size (the source, resized, if not given). guide: as the source's. fixed: h w, the
    pixels that stay as they are in `begin`. places: a b 2, at the scale of the first level, where in the source every
    pixel comes from, as `quilted` gives them. pull: h w, how strongly the picture is drawn towards `begin` after every
    vote but the last: 1 is half the way.
    """

    height: int
    width: int
    begin: Picture | None = None
    guide: Picture | None = None
    fixed: Mask | None = None
    places: Places | None = None
    pull: Float[np.ndarray, "h w"] | None = None


class Level:
    """Source and target at one scale. picture: the target as it is now, h w c."""

    picture: Picture

    def __init__(
        self, source: Source, target: Target, how: How, scale: float, before: "Level | None", rng: np.random.Generator
    ):
        self.how, self.shares, least = how, source.shares, how.patch + 1
        high, wide = (max(round(n * scale), least) for n in source.picture.shape[:2])
        self.high, self.wide = max(round(target.height * scale), least), max(round(target.width * scale), least)
        self._bring_source(source, high, wide, scale)
        self._bring_target(target, scale)
        if before is not None:
            self.picture = resized(before.picture, self.high, self.wide)
        elif target.places is not None:
            self.picture = self.values[target.places[..., 0], target.places[..., 1]]
        else:
            self.picture = resized(self.values if self.begin is None else self.begin, self.high, self.wide)
        shape = tuple(n + (how.patch - 1) * (w - 1) for n, w in zip((self.high, self.wide), how.wrap, strict=True))
        active = np.ones(shape, bool)
        self.known: np.ndarray | None = None
        if self.fixed is not None:
            active = ~inside(self.fixed, how.patch) if not any(how.wrap) else active
            deep = cv2.distanceTransform((~self.fixed).astype(np.uint8), cv2.DIST_L2, 5)
            certain = np.maximum(np.power(np.float32(how.trust), -deep), np.float32(0.01))
            certain = cv2.blur(certain, (how.patch, how.patch))
            half = how.patch // 2
            certain = np.pad(certain, [(0, how.patch) if w else (0, 0) for w in how.wrap], mode="wrap")
            self.known = certain[half : half + shape[0], half : half + shape[1]]
        self.places = self._field(active, before, target.places, rng)
        self.back = self._field_back(shape, before, rng) if how.complete else None
        self.bias = np.zeros(len(source.shares), np.float32) if before is None else before.bias
        self.light = scale > how.searched + 1e-6 or self.places.distance.size + self.allowed.size > MOST
        keys, apart = _apart(self.values, self.guide_of_source, how.central)
        self.axes = None if self.light else Axes.of(keys, how.patch, rng, apart, how.learned)
        self.described = self.wanted = np.empty(0)
        self.soft: bool | None = None  # whether what is described are softened pixels
        self.least = 0.0
        self._keep()

    def _bring_source(self, source: Source, high: int, wide: int, scale: float) -> None:
        how = self.how
        self.values = resized(source.picture, high, wide).astype(np.float32, copy=False)
        heard = source.guide is not None and scale <= how.guided + 1e-6
        self.guide_of_source = resized(source.guide, high, wide) if heard and source.guide is not None else None
        allowed = np.ones((high, wide), bool)
        if source.allowed is not None:
            allowed = resized_mask(source.allowed, high, wide, whole=True)
        self.allowed = inside(allowed, how.patch)
        if not self.allowed.any():
            raise ValueError("no patch of the source is allowed")
        self.votes = Votes(self.values, how.patch)
        middle = slice(how.patch // 2, how.patch // 2 - how.patch + 1)
        self.group = None
        if source.group is not None:
            nearest = cv2.resize(source.group.astype(np.float32), (wide, high), interpolation=cv2.INTER_NEAREST)
            self.group = nearest[middle, middle].astype(np.int64)
        self.important = np.float32(1)
        if source.important is not None:
            self.important = resized(source.important, high, wide)[middle, middle]

    def _bring_target(self, target: Target, scale: float) -> None:
        size = self.high, self.wide
        heard = scale <= self.how.guided + 1e-6
        self.guide = resized(target.guide, *size) if heard and target.guide is not None else None
        self.begin = None if target.begin is None else resized(target.begin, *size).astype(np.float32, copy=False)
        self.fixed = None if target.fixed is None else resized_mask(target.fixed, *size, whole=True)
        self.pull = None
        if target.pull is not None:
            self.pull = resized(target.pull, *size)[..., None] * np.float32(1 if heard else self.how.faint)

    def _field(
        self, active: np.ndarray, before: "Level | None", laid: Places | None, rng: np.random.Generator
    ) -> Field:
        """From the target to the source."""
        shape, half = active.shape, self.how.patch // 2
        far = np.zeros(shape, np.float32)
        if before is not None:
            old = before.places.places
            return Field(scaled_field(old, shape, self.allowed, before.allowed.shape, rng), far, active)
        if laid is None:
            return Field.random(active, self.allowed, rng)
        if laid.shape[:2] != (self.high, self.wide):
            raise ValueError(f"places for {laid.shape[:2]} pixels, where the first level has {self.high, self.wide}")
        middle = np.pad(laid, ((0, self.how.patch), (0, self.how.patch), (0, 0)), mode="wrap")
        middle = middle[half : half + shape[0], half : half + shape[1]] - half
        middle = np.clip(middle, 0, np.array(self.allowed.shape) - 1).astype(np.int32)
        lost = ~self.allowed[middle[..., 0], middle[..., 1]]
        return Field(np.where(lost[..., None], Field.random(active, self.allowed, rng).places, middle), far, active)

    def _field_back(self, shape: tuple[int, ...], before: "Level | None", rng: np.random.Generator) -> Field:
        """From the source to the target."""
        every, here = np.ones(shape, bool), self.allowed.shape
        if before is None or before.back is None:
            return Field.random(self.allowed, every, rng)
        places = scaled_field(before.back.places, here, every, before.places.places.shape[:2], rng)
        return Field(places, np.zeros(here, np.float32), self.allowed)

    def match(self, rng: np.random.Generator, soft: bool = False) -> None:
        """Find for every patch of the target what is most alike in the source. soft: where the target is blurry."""
        how = self.how
        if self.axes is None:
            self.places.refine(*self.compared(soft), self.allowed, how.patch)
            return
        if self.soft is not soft:
            keys, apart = _apart(self._values(soft), self.guide_of_source, how.central)
            self.described = self.axes.describe(keys, self.described if self.described.size else None, apart)
            self.described[..., -1] = np.where(self.allowed, np.float32(0), np.float32(FORBIDDEN))
            self.soft = soft
            self.least = how.calm * float(np.square(self.described[self.allowed]).sum(1).mean()) if how.calm else 0.0
        target, apart = (
            None if one is None else _wrapped(one, how.wrap, how.patch)
            for one in _apart(self.picture, self.guide, how.central)
        )  # fmt: skip
        assert target is not None
        self.wanted = self.axes.describe(target, self.wanted if self.wanted.size else None, apart)
        priced = how.even > 0 or len(self.shares) > 1
        for _ in range(how.sweeps):
            if priced:
                self._price()
            self.places.improve(self.wanted, self.described, 1, rng, how.keen)
        if priced:
            self.described[..., -1] = np.where(self.allowed, np.float32(0), np.float32(FORBIDDEN))
        if self.back is not None:
            self.back.improve(self.described, self.wanted, how.sweeps, rng, how.keen)

    def compared(self, soft: bool = False) -> tuple[Picture, Picture]:
        """The pixels of target and source, with their guides, as patches of them are compared."""
        target = _wrapped(_beside(self.picture, self.guide), self.how.wrap, self.how.patch)
        return target, _beside(self._values(soft), self.guide_of_source)

    def _values(self, soft: bool) -> Picture:
        return soften(self.values, self.how.ratio, self.how.patch + 1) if soft else self.values

    def _price(self) -> None:
        """What using each place costs: more where it is used often, and in groups that are used more than wished."""
        price = np.zeros(self.allowed.shape, np.float32)
        patch = self.how.patch
        if self.how.even:
            used = np.zeros(self.allowed.shape, np.float32)
            usage(self.places.places, self.places.active, used)
            used = cv2.blur(used, (patch, patch)) / (self.places.distance.size / self.allowed.sum())
            price += self.how.even * patch * patch * np.maximum(used - 1, 0)
        if len(self.shares) > 1 and self.group is not None:
            of = self.group[self.places.places[..., 0], self.places.places[..., 1]]
            have = np.bincount(of.ravel(), minlength=len(self.shares)) / of.size
            typical = float(np.median(self.places.distance)) + 1e-3
            self.bias += np.float32(0.5 * typical) * (have - np.asarray(self.shares)).astype(np.float32)
            self.bias -= self.bias.min()
            price += self.bias[self.group]
        self.described[..., -1] = np.where(self.allowed, np.sqrt(price), np.float32(FORBIDDEN))

    @property
    def energy(self) -> float:
        """How unlike the source the target's patches are, a pixel."""
        return float(self.places.distance[self.places.active].mean()) / self.how.patch**2

    def vote(self, last: bool = False) -> None:
        """Make the target anew of what was found. last: whether nothing pulls any more."""
        how = self.how
        weight = self.weight()
        total, weights = self.votes.cast(self.places.places, weight)
        if self.back is not None and not self.light:
            much = _trust(self.back, how.sharp, self.least) * self.important
            much *= np.float32(how.complete * weight.sum() / max(float(much.sum()), 1e-9))
            self.votes.cast_back(self.back.places, much, total, weights)
        for axis, (wraps, length) in enumerate(zip(how.wrap, (self.high, self.wide), strict=True)):
            if wraps:
                total, weights = _folded(total, length, axis), _folded(weights, length, axis)
        total /= np.maximum(weights, 1e-9)[..., None]
        self.picture = total
        if self.pull is not None and self.begin is not None and not last:
            self.picture = (self.picture + self.pull * self.begin) / (1 + self.pull)
        self._keep()

    def weight(self) -> np.ndarray:
        """How much the vote of every patch counts."""
        weight = _trust(self.places, self.how.sharp, self.least)
        return weight if self.known is None else weight * self.known

    def _keep(self) -> None:
        if self.fixed is not None and self.begin is not None:
            self.picture = np.where(self.fixed[..., None], self.begin, self.picture)


def _trust(field: Field, sharp: float, least: float) -> np.ndarray:
    """How much each vote counts: less where the patch found is far, compared with most and with `least`."""
    spread = max(float(np.percentile(field.distance[field.active], 75)) * sharp, least) + 1e-8
    weight = np.exp(field.distance / np.float32(-2 * spread))
    weight += np.float32(1e-6)
    return np.where(field.active, weight, np.float32(0))


def _beside(picture: Picture, guide: Picture | None) -> Picture:
    return picture if guide is None else np.concatenate([picture, guide], axis=2)


def _apart(picture: Picture, guide: Picture | None, central: bool) -> tuple[Picture, Picture | None]:
    """What is compared with all pixels of patches, and what with their middles alone."""
    return (picture, guide) if central else (_beside(picture, guide), None)


def _wrapped(picture: Picture, wrap: tuple[bool, bool], patch: int) -> Picture:
    """A picture that goes on at its other side by a patch less one pixel."""
    if not any(wrap):
        return picture
    return np.pad(picture, ((0, (patch - 1) * wrap[0]), (0, (patch - 1) * wrap[1]), (0, 0)), mode="wrap")


def _folded(sums: np.ndarray, length: int, axis: int) -> np.ndarray:
    """What went beyond an end added to where it goes on."""
    sums = np.moveaxis(sums, axis, 0)
    out, beyond = sums[:length].copy(), sums[length:]
    out[: len(beyond)] += beyond
    return np.moveaxis(out, 0, axis)
