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
from gesso.measure.pairs import Cloud, between, changing, clouds, same_width, within

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
    return max(_distance(b, a, _root(a.covariance)), 0.0)


def _distance(one: Moments, reference: Moments, root: Float[Tensor, "d d"]) -> float:
    power = torch.linalg.eigvalsh(_both(one, root))
    return _apart(one, reference) - 2 * power.clamp(min=0).sqrt().sum().item()


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
    """The distance of all, and of endlessly many."""
    same_width(x, reference.mean)
    root = _root(reference.covariance)
    halves = [Moments.of(half) for half in x.tensor_split([len(x) // 2])]
    whole = halves[0] + halves[1]
    at_halves = sum(_distance(half, reference, root) for half in halves) / 2
    roots, axes = _roots(whole, root)
    at_all = _apart(whole, reference) - 2 * roots.sum().item()
    few = sum(1 / half.count for half in halves) / 2
    value = at_all - (at_halves - at_all) / len(x) / (few - 1 / len(x))
    error = 1.96 * _influence(x, whole, reference, root, roots, axes).std().item() / math.sqrt(len(x))
    return max(at_all, 0.0), Estimate(value, value - error, value + error)


def _apart(one: Moments, reference: Moments) -> float:
    """What does not come from the root: the squared difference of the means, and both traces."""
    between = (one.mean - reference.mean).square().sum()
    return (between + one.covariance.trace() + reference.covariance.trace()).item()


def _roots(one: Moments, root: Float[Tensor, "d d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Square roots of the eigenvalues of Rᵀ B R, ascending, and its eigenvectors.

    With R Rᵀ = A, they are those of A½ B A½, whose trace's root the distance needs.
    """
    power, axes = torch.linalg.eigh(_both(one, root))
    return power.clamp(min=0).sqrt(), axes


def _both(one: Moments, root: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    return root.T @ one.covariance @ root


def _influence(
    x: Features,
    whole: Moments,
    reference: Moments,
    root: Float[Tensor, "d d"],
    roots: Float[Tensor, " d"],
    axes: Float[Tensor, "d d"],
) -> Float[Tensor, " n"]:
    """By how much, to the first order, each picture moves the distance, times the number of pictures; up to a constant.

    With M = Rᵀ B R, the trace of M½ moves by tr(M^-½ dM) / 2. In single precision: it is for an interval.
    """
    kept = roots > 1e-6 * roots[-1].clamp(min=1e-150)
    turned = root @ (axes[:, kept] / roots[kept].sqrt())
    apart = (x - whole.mean).float()
    shared = (apart @ turned.float()).square_().sum(1)
    return 2 * (apart @ (whole.mean - reference.mean).float()) + apart.square_().sum(1) - shared


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
    same_width(a, b)
    live, few = changing(a, b), min(len(a), len(b))
    reference = Moments.of(a[:, live])
    infinity = kernel = None
    if len(b) >= 100:
        distance, infinity = _infinity(b[:, live], reference)
    else:
        distance = frechet(reference, Moments.of(b[:, live]))
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
