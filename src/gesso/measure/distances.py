"""Distances between two sets of pictures, by their features; each names its paper and equation.

Features are n × d; where they come from is the business of whoever calls. Moments are in double precision, pairs are
counted in parts (see `pairs`), so that ten thousand pictures need hardly more memory than a thousand.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.pairs import Cloud, between, clouds, same_width, within

__all__ = [
    "Estimate",
    "Figures",
    "Moments",
    "blockwise",
    "checked",
    "density_coverage",
    "figures",
    "frechet",
    "frechet_infinity",
    "kid",
    "precision_recall",
]

Features = Float[Tensor, "n d"]


class Estimate(NamedTuple):
    """A figure and the interval that it lies in with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """Mean and scatter of features, gathered in parts and by any number of processes: parts are added.

    scatter: the sum of products of deviations, d × d; divided by count - 1 it is the covariance. seen_by: the mark of
    the extractor whose features they are; moments of different ones are not put together, nor compared.
    """

    count: int
    mean: Float[Tensor, " d"]
    scatter: Float[Tensor, "d d"]
    seen_by: str = ""

    @classmethod
    def of(cls, features: Features) -> "Moments":
        """Of one part. Raises GessoError for none at all, and for numbers that are not finite."""
        x = checked(features, 1)
        mean = x.mean(0)
        apart = x - mean
        return cls(len(x), mean, apart.T @ apart)

    def __add__(self, other: "Moments") -> "Moments":
        """Of both parts together (Chan et al. 1979, eq. 2.1). Raises GessoError where others' features are in them."""
        _alike(self, other)
        count = self.count + other.count
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, self.mean + apart * (other.count / count), scatter, self.seen_by or other.seen_by)

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """Unbiased. Raises GessoError below two pictures."""
        if self.count < 2:
            raise GessoError("A spread needs at least two pictures.", "Draw or import more.")
        return self.scatter / (self.count - 1)


def frechet(a: Moments, b: Moments) -> float:
    """Fréchet distance of the two Gaussians that have these moments (Heusel et al. 2017, eq. 6).

    |mean_a - mean_b|² + tr(A + B - 2 (A½ B A½)½). With few pictures it is too large: see `frechet_infinity`. Raises
    GessoError below two pictures, and for features of different extractors.
    """
    _alike(a, b)
    first, second = a.covariance, b.covariance
    root = _root(first)
    both = torch.linalg.eigvalsh(root.T @ second @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + first.trace() + second.trace() - 2 * both
    return max(distance.item(), 0.0)


def _alike(a: Moments, b: Moments) -> None:
    if a.seen_by and b.seen_by and a.seen_by != b.seen_by:
        raise GessoError(
            f"Features of {a.seen_by} and of {b.seen_by} cannot be compared.", "Measure both with one extractor."
        )
    same_width(a.mean, b.mean)


def _root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """R with R Rᵀ = the matrix, which is symmetric and nowhere negative: Cholesky's, or the symmetric square root."""
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if not int(failed):
        return lower
    power, axes = torch.linalg.eigh(matrix)
    return (axes * power.clamp(min=0).sqrt()) @ axes.T


def frechet_infinity(features: Features, reference: Moments) -> Estimate:
    """Fréchet distance as it would be of endlessly many made pictures (Chong & Forsyth 2020, section 4).

    The distance of n pictures exceeds that of endlessly many by about c / n. It is taken of all and of both halves, and
    the line through the two is followed to 1 / n = 0; with fewer pictures than features have numbers the excess falls
    more slowly, and a part of it remains. The interval comes from the influence of each picture on the distance
    (infinitesimal jackknife; Jaeckel 1972; Efron 1982, chapter 6). Pictures must come in no particular order. Raises
    GessoError below 100 pictures.
    """
    return _infinity(checked(features, 100), reference)[1]


def _infinity(x: Features, reference: Moments) -> tuple[float, Estimate]:
    """The distance of all, and of endlessly many.

    With z = (x - m) R, m being the reference's mean and R Rᵀ its covariance A, the covariance of z is Rᵀ B R, and has
    the eigenvalues of A½ B A½.
    """
    same_width(x, reference.mean)
    root, trace = _root(reference.covariance), reference.covariance.trace().item()
    about = x - reference.mean
    z = about @ root
    halves = [slice(0, len(x) // 2), slice(len(x) // 2, len(x))]
    gathered = [_Part.of(about[half], z[half]) for half in halves]
    whole = gathered[0] + gathered[1]
    at_halves = sum(part.distance(z[half], trace) for half, part in zip(halves, gathered, strict=True)) / 2
    power, axes = torch.linalg.eigh(whole.products_of(z) / (len(x) - 1))
    at_all = whole.apart + trace - 2 * power.clamp(min=0).sqrt().sum().item()
    few = sum(1 / part.count for part in gathered) / 2
    value = at_all - (at_halves - at_all) / len(x) / (few - 1 / len(x))
    error = 1.96 * _influence(about, z, power, axes).std().item() / math.sqrt(len(x))
    return max(at_all, 0.0), Estimate(value, value - error, value + error)


def _influence(about: Features, z: Features, power: Float[Tensor, " k"], axes: Float[Tensor, "k k"]) -> Tensor:
    """By how much, to the first order, each picture moves the distance, times the number of pictures; up to a constant.

    The trace of M½ moves by tr(M^-½ dM) / 2. power, axes: of the covariance of z, or of the products of its pictures.
    """
    mean = about.mean(0)
    apart, centred = about - mean, z - z.mean(0)
    kept = power > 1e-12 * power[-1].clamp(min=1e-300)
    if len(axes) == z.shape[1]:
        turned = axes[:, kept] / power[kept] ** 0.25
        shared = (centred.float() @ turned.float()).square_().sum(1)  # six digits are enough for an interval
    else:  # of products of pictures: M^-½ of the covariance is reached through them
        shared = (axes[:, kept] ** 2 * power[kept].sqrt()).sum(1) * (len(z) - 1)
    return 2 * (apart @ mean) + apart.square().sum(1) - shared


@dataclass(frozen=True)
class _Part:
    """Some pictures: the sum of their features less the reference's mean, of its squares, of z, and of z's products."""

    count: int
    total: Tensor
    squares: float
    reached: Tensor
    products: Tensor

    @classmethod
    def of(cls, about: Tensor, z: Tensor) -> "_Part":
        return cls(len(z), about.sum(0), about.square().sum().item(), z.sum(0), z.T @ z)

    def __add__(self, other: "_Part") -> "_Part":
        products = self.products + other.products
        squares, reached = self.squares + other.squares, self.reached + other.reached
        return _Part(self.count + other.count, self.total + other.total, squares, reached, products)

    @property
    def apart(self) -> float:
        """The squared difference of the means, and the trace of the covariance."""
        square = self.total.square().sum().item() / self.count
        return square / self.count + (self.squares - square) / (self.count - 1)

    def products_of(self, z: Tensor) -> Tensor:
        """Of z about its mean: of its numbers, or of its pictures where they are fewer."""
        if self.count < z.shape[1]:
            centred = z - self.reached / self.count
            return centred @ centred.T
        return self.products - torch.outer(self.reached, self.reached / self.count)

    def distance(self, z: Tensor, trace: float) -> float:
        """Fréchet distance from the reference, the trace of whose covariance is given."""
        power = torch.linalg.eigvalsh(self.products_of(z) / (self.count - 1))
        return self.apart + trace - 2 * power.clamp(min=0).sqrt().sum().item()


def kid(a: Features, b: Features, blocks: int = 10) -> Estimate:
    """Kernel distance: unbiased squared MMD with the kernel (x·y / d + 1)³ (Bińkowski et al. 2018, sec. 3, eq. 4).

    Of all pairs at once, which is what the mean over random subsets, as it is often given, estimates. The interval
    comes from leaving each of `blocks` parts of both sets out (jackknife; Tukey 1958), so pictures must come in no
    particular order. It may fall below zero. Raises GessoError below two pictures a block.
    """
    x, y = clouds(checked(a, 2 * blocks), checked(b, 2 * blocks), blocks)
    return _kid(x, y, within(x, 0).sums, within(y, 0).sums, between(x, y).sums)


def _kid(x: Cloud, y: Cloud, xx: Tensor, yy: Tensor, xy: Tensor) -> Estimate:
    def over(keep: Tensor) -> float:
        inside = [
            (sums[keep][:, keep].sum() - cloud.alone[keep].sum())
            / (cloud.sizes[keep].sum() * (cloud.sizes[keep].sum() - 1))
            for cloud, sums in ((x, xx), (y, yy))
        ]
        return (sum(inside) - 2 * xy[keep][:, keep].sum() / (x.sizes[keep].sum() * y.sizes[keep].sum())).item()

    blocks = torch.arange(len(x.sizes))
    return _jackknife(over(blocks >= 0), [over(blocks != i) for i in blocks])


def blockwise(figure: Callable[[Tensor], float], count: int, blocks: int = 10) -> Estimate:
    """Any figure of some rows (their numbers) of `count`, with its interval from leaving each part out."""
    parts = torch.arange(count).tensor_split(blocks)
    without = [figure(torch.cat([*parts[:i], *parts[i + 1 :]])) for i in range(blocks)]
    return _jackknife(figure(torch.arange(count)), without)


def _jackknife(value: float, without: list[float]) -> Estimate:
    """A figure with its interval, from the figures that leaving each of some equal parts out gives."""
    found = torch.tensor(without, dtype=torch.float64)
    spread = math.sqrt((len(found) - 1) / len(found) * (found - found.mean()).square().sum().item())
    return Estimate(value, value - 1.96 * spread, value + 1.96 * spread)


def precision_recall(real: Features, made: Features, k: int = 3) -> tuple[float, float]:
    """Share of made pictures within the real manifold, and of real ones within the made one.

    Kynkäänniemi et al. 2019, eqs. 1 and 2. A set's manifold is the union of balls around its pictures, each reaching
    to its k-th neighbour in the set. Raises GessoError with k pictures or fewer.
    """
    x, y = clouds(checked(real, k + 1), checked(made, k + 1))
    found = between(x, y, within(x, k).nearest[:, k], within(y, k).nearest[:, k])
    return found.inside.double().mean().item(), found.held.double().mean().item()


def density_coverage(real: Features, made: Features, k: int = 5) -> tuple[float, float]:
    """In how many of the k real balls one expects a made picture lies; share of real balls that hold one.

    Naeem et al. 2020, eqs. 3 and 4; a ball reaches to the k-th neighbour. Raises GessoError with k pictures or fewer.
    """
    x, y = clouds(checked(real, k + 1), checked(made, 1))
    found = between(x, y, ball=within(x, k).nearest[:, k])
    return found.hits / (k * len(made)), found.covered.double().mean().item()


def reach(x: Features, k: int) -> Float[Tensor, " n"]:
    """Squared distance of each to its k-th neighbour among the others."""
    return within(clouds(x.double(), x.double())[0], k).nearest[:, k].double()


class Figures(NamedTuple):
    """All distances of two sets; none where there are too few pictures for one (100 made, 20 of each, 6 of each)."""

    frechet: float
    frechet_infinity: Estimate | None
    kid: Estimate | None
    precision: float | None
    recall: float | None
    density: float | None
    coverage: float | None


def figures(real: Features, made: Features) -> Figures:
    """Each as the function of its name gives it, from one pass over all pairs of pictures.

    Raises GessoError below two pictures of each, and for features that are not finite.
    """
    a, b = checked(real, 2), checked(made, 2)
    reference, few = Moments.of(a), min(len(a), len(b))
    infinity = kernel = None
    if len(b) >= 100:
        distance, infinity = _infinity(b, reference)
    else:
        distance = frechet(reference, Moments.of(b))
    if few <= 5:
        return Figures(distance, None, None, None, None, None, None)
    x, y = clouds(a, b, 10 if few >= 20 else 1)
    xx, yy = within(x, 5), within(y, 3)
    xy = between(x, y, xx.nearest[:, 3], yy.nearest[:, 3], xx.nearest[:, 5])
    if few >= 20:
        kernel = _kid(x, y, xx.sums, yy.sums, xy.sums)
    shares = [share.double().mean().item() for share in (xy.inside, xy.held, xy.covered)]
    return Figures(distance, infinity, kernel, shares[0], shares[1], xy.hits / (5 * len(b)), shares[2])


def checked(features: Features, least: int) -> Features:
    """The features in double precision.

    Raises GessoError for fewer than `least`, and for numbers that are not finite.
    """
    if len(features) < least:
        raise GessoError(f"This figure needs at least {least} pictures; there are {len(features)}.", "Draw more.")
    x = features.detach().double()
    if not math.isfinite(x.sum().item()):  # a single one that is not finite makes the sum so
        raise GessoError("Some features are not finite numbers.", "Look at the pictures: some may be damaged.")
    return x
