"""Distances between two sets of pictures, by their features; each names its paper and equation.

Features are n × d, float64 within; where they come from is the business of whoever calls. Nothing here holds a matrix
of more than CHUNK rows of one set against the other, so that ten thousand pictures need no more memory than a thousand.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.errors import GessoError

__all__ = [
    "Estimate",
    "Moments",
    "density_coverage",
    "frechet",
    "frechet_infinity",
    "kid",
    "precision_recall",
]

CHUNK = 1000  # rows of one set that are held against all of the other at a time
Features = Float[Tensor, "n d"]


class Estimate(NamedTuple):
    """A figure and the interval that it lies in with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Moments:
    """Mean and scatter of features, gathered in parts and by any number of processes: parts are added.

    scatter: the sum of products of deviations, d × d; divided by count - 1 it is the covariance.
    """

    count: int
    mean: Float[Tensor, " d"]
    scatter: Float[Tensor, "d d"]

    @classmethod
    def of(cls, features: Features) -> "Moments":
        """Of one part. Raises GessoError for none at all, and for numbers that are not finite."""
        x = checked(features, 1)
        mean = x.mean(0)
        return cls(len(x), mean, (x - mean).T @ (x - mean))

    def __add__(self, other: "Moments") -> "Moments":
        """Of both parts together (Chan et al. 1979, eq. 2.1)."""
        count = self.count + other.count
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, self.mean + apart * (other.count / count), scatter)

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """Unbiased. Raises GessoError below two pictures."""
        if self.count < 2:
            raise GessoError("A spread needs at least two pictures.", "Draw or import more.")
        return self.scatter / (self.count - 1)


def frechet(a: Moments, b: Moments) -> float:
    """Fréchet distance of the two Gaussians that have these moments (Heusel et al. 2017, eq. 6).

    |mean_a - mean_b|² + tr(A + B - 2 (A½ B A½)½). With few pictures it is too large: see `frechet_infinity`.
    """
    first, second = a.covariance, b.covariance
    root = _root(first)
    both = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + first.trace() + second.trace() - 2 * both
    return max(distance.item(), 0.0)


def _root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric square root of a symmetric matrix that is nowhere negative."""
    power, axes = torch.linalg.eigh(matrix)
    return (axes * power.clamp(min=0).sqrt()) @ axes.T


def frechet_infinity(features: Features, reference: Moments, blocks: int = 10) -> Estimate:
    """Fréchet distance as it would be of endlessly many made pictures (Chong & Forsyth 2020, section 4).

    The distance of n pictures exceeds that of endlessly many by about c / n. It is taken of all, of halves and of
    thirds, and the line through the three is followed to 1 / n = 0; with fewer pictures than features have numbers the
    excess falls more slowly, and a part of it remains. The interval comes from leaving each of `blocks`
    parts out (jackknife; Tukey 1958). Pictures must come in no particular order. Raises GessoError below 10 pictures a
    block.
    """
    x, root = checked(features, 10 * blocks), _root(reference.covariance)
    parts = x.tensor_split(blocks)
    without = [_at_infinity(torch.cat([*parts[:i], *parts[i + 1 :]]), reference, root) for i in range(blocks)]
    return _jackknife(_at_infinity(x, reference, root), without)


def _at_infinity(x: Features, reference: Moments, root: Float[Tensor, "d d"]) -> float:
    value = [sum(_frechet_of(x[i::m], reference, root) for i in range(m)) / m for m in (1, 2, 3)]
    return (4 * value[0] + value[1] - 2 * value[2]) / 3  # least squares through 1 / n, 2 / n, 3 / n, at zero


def _frechet_of(x: Features, reference: Moments, root: Float[Tensor, "d d"]) -> float:
    """As `frechet`, from few features: (A½ B A½)½ has the eigenvalues of a matrix of only as many rows as pictures."""
    mean = x.mean(0)
    centred = (x - mean) / math.sqrt(len(x) - 1)
    seen = centred @ root
    both = torch.linalg.eigvalsh(seen @ seen.T if len(x) < x.shape[1] else seen.T @ seen).clamp(min=0).sqrt().sum()
    spread = centred.square().sum() + reference.covariance.trace()
    return ((mean - reference.mean).square().sum() + spread - 2 * both).item()


def kid(a: Features, b: Features, blocks: int = 10) -> Estimate:
    """Kernel distance: unbiased squared MMD with the kernel (x·y / d + 1)³ (Bińkowski et al. 2018, sec. 3, eq. 4).

    Of all pairs at once, which is what the mean over random subsets, as it is often given, estimates. The interval
    comes from leaving each of `blocks` parts of both sets out (jackknife; Tukey 1958), so pictures must come in no
    particular order. It may fall below zero. Raises GessoError below two pictures a block.
    """
    x, y = checked(a, 2 * blocks), checked(b, 2 * blocks)
    xs, ys = x.tensor_split(blocks), y.tensor_split(blocks)
    n, m = (torch.tensor([len(part) for part in parts]) for parts in (xs, ys))
    pairs = ((xs, xs), (ys, ys), (xs, ys))
    sums = torch.tensor([[[_kernel(p, q) for q in right] for p in left] for left, right in pairs], dtype=torch.float64)
    alone = torch.tensor([[_kernel_of_itself(part) for part in parts] for parts in (xs, ys)], dtype=torch.float64)

    def over(keep: Tensor) -> float:
        xx, yy, xy = (square[keep][:, keep].sum() for square in sums)
        n_, m_ = n[keep].sum(), m[keep].sum()
        within = (xx - alone[0][keep].sum()) / (n_ * (n_ - 1)) + (yy - alone[1][keep].sum()) / (m_ * (m_ - 1))
        return (within - 2 * xy / (n_ * m_)).item()

    everything = torch.ones(blocks, dtype=torch.bool)
    without = [over(torch.arange(blocks) != i) for i in range(blocks)]
    return _jackknife(over(everything), without)


def _jackknife(value: float, without: list[float]) -> Estimate:
    """A figure with its interval, from the figures that leaving each of some equal parts out gives."""
    found = torch.tensor(without, dtype=torch.float64)
    spread = math.sqrt((len(found) - 1) / len(found) * (found - found.mean()).square().sum().item())
    return Estimate(value, value - 1.96 * spread, value + 1.96 * spread)


def _kernel(x: Features, y: Features) -> float:
    return sum(((part @ y.T / x.shape[1] + 1) ** 3).sum().item() for part in x.split(CHUNK))


def _kernel_of_itself(x: Features) -> float:
    return ((x.square().sum(1) / x.shape[1] + 1) ** 3).sum().item()


def precision_recall(real: Features, made: Features, k: int = 3) -> tuple[float, float]:
    """Share of made pictures within the real manifold, and of real ones within the made one.

    Kynkäänniemi et al. 2019, eqs. 1 and 2. A set's manifold is the union of balls around its pictures, each reaching
    to its k-th neighbour in the set.
    Raises GessoError with k pictures or fewer.
    """
    x, y = checked(real, k + 1), checked(made, k + 1)
    reach_real, reach_made = reach(x, k), reach(y, k)
    inside, covered = torch.zeros(len(y), dtype=torch.bool), torch.zeros(len(x), dtype=torch.bool)
    for first, part in _apart(x, y):  # rows real, columns made
        rows = slice(first, first + len(part))
        inside |= (part <= reach_real[rows, None]).any(0)
        covered[rows] = (part <= reach_made).any(1)
    return inside.double().mean().item(), covered.double().mean().item()


def density_coverage(real: Features, made: Features, k: int = 5) -> tuple[float, float]:
    """In how many of the k real balls one expects a made picture lies; share of real balls that hold one.

    Naeem et al. 2020, eqs. 3 and 4; a ball reaches to the k-th neighbour. Raises GessoError with k pictures or fewer.
    """
    x, y = checked(real, k + 1), checked(made, 1)
    radius = reach(x, k)
    balls, covered = 0, 0
    for first, part in _apart(x, y):
        hits = part <= radius[first : first + len(part), None]
        balls += int(hits.sum())
        covered += int(hits.any(1).sum())
    return balls / (k * len(y)), covered / len(x)


def reach(x: Features, k: int) -> Float[Tensor, " n"]:
    """Squared distance of each to its k-th neighbour among the others."""
    return torch.cat([part.kthvalue(k + 1, dim=1).values for _, part in _apart(x, x)])


def _apart(x: Features, y: Features) -> Iterator[tuple[int, Tensor]]:
    """Number of the first row, and the squared distances of so many rows of x from all of y."""
    lengths = y.square().sum(1)
    for first in range(0, len(x), CHUNK):
        part = x[first : first + CHUNK]
        squares = torch.addmm(part.square().sum(1)[:, None] + lengths, part, y.T, alpha=-2)
        yield first, squares.clamp_(min=0)


def checked(features: Features, least: int) -> Features:
    """The features in double precision.

    Raises GessoError for fewer than `least`, and for numbers that are not finite.
    """
    if len(features) < least:
        raise GessoError(f"This figure needs at least {least} pictures; there are {len(features)}.", "Draw more.")
    x = features.detach().double()
    if not bool(torch.isfinite(x).all()):
        raise GessoError("Some features are not finite numbers.", "Look at the pictures: some may be damaged.")
    return x
