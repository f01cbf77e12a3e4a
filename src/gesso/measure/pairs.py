"""All pairs of pictures, once: what the kernel distance and the manifolds of `distances` are counted from.

No more than CHUNK rows of one set are held against as many of another. Products are in double precision for sets of up
to EXACT pictures; for larger ones in single precision, about the mean of the real ones, and their sums in double.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gesso.errors import GessoError

__all__ = ["Between", "Cloud", "Within", "between", "changing", "clouds", "same_width", "within"]

CHUNK = 1000  # rows of one set that are held against as many of another at a time
EXACT = 2000  # pictures of a set up to which pairs are computed in double precision


@dataclass(frozen=True)
class Cloud:
    """Features about a point, in the precision of their products, cut into chunks that lie within one block each.

    x: but for the numbers that never change; width: how many there were with them. lengths: squares of the norms.
    offset: what, with that of another picture, makes (x·y / d + 1) of a product / d. alone: of each block, the kernel's
    sum over its pictures with themselves.
    """

    x: Tensor
    width: int
    lengths: Tensor
    offset: Tensor
    alone: Tensor
    sizes: Tensor
    chunks: list[tuple[int, slice]]


def clouds(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"], blocks: int = 1) -> tuple[Cloud, Cloud]:
    """Two sets about the mean of the first, each in so many blocks of consecutive pictures.

    Raises GessoError where their features are not of one width.
    """
    same_width(a, b)
    middle, live = a.mean(0), changing(a, b)
    precision = torch.float64 if max(len(a), len(b)) <= EXACT else torch.float32
    return _cloud(a, middle, live, precision, blocks), _cloud(b, middle, live, precision, blocks)


def changing(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Bool[Tensor, " d"]:
    """Which numbers are not the same in all pictures of both sets, one at least: the others add to no distance."""
    live = (a != a[:1]).any(0) | (b != a[:1]).any(0)
    live[:1] |= ~live.any()
    return live


def same_width(a: Float[Tensor, "*n d"], b: Float[Tensor, "*m e"]) -> None:
    """Raise GessoError unless features are of as many numbers."""
    if a.shape[-1] != b.shape[-1]:
        raise GessoError(
            f"Features of {a.shape[-1]} and of {b.shape[-1]} numbers cannot be compared.",
            "Measure both with one extractor.",
        )


def _cloud(x: Float[Tensor, "n d"], middle: Tensor, live: Tensor, precision: torch.dtype, blocks: int) -> Cloud:
    d, parts, first, chunks = x.shape[1], x.tensor_split(blocks), 0, []
    for block, part in enumerate(parts):
        for size in (len(piece) for piece in part.split(CHUNK) if len(piece)):
            chunks.append((block, slice(first, first + size)))
            first += size
    about = (x - middle)[:, live]
    offset = (about @ middle[live] + middle.square().sum() / 2) / d + 0.5
    alone = torch.stack([((part.square().sum(1) / d + 1) ** 3).sum() for part in parts])
    about = about.to(precision)
    lengths = about.square().sum(1)
    return Cloud(about, d, lengths, offset.to(precision), alone, torch.tensor([len(p) for p in parts]), chunks)


class Within(NamedTuple):
    """Of a set with itself: the kernel's sums over pairs of blocks; squared distances to the nearest, itself first."""

    sums: Float[Tensor, "b b"]
    nearest: Float[Tensor, "n k"]


class Between(NamedTuple):
    """Of real pictures with made ones: the kernel's sums, and who lies in whose ball."""

    sums: Float[Tensor, "b b"]
    inside: Tensor  # made pictures in a real ball
    held: Tensor  # real pictures in a made ball
    covered: Tensor  # real balls that hold a made picture
    hits: int  # pairs of a real ball and a made picture in it


def within(x: Cloud, k: int) -> Within:
    """k: neighbours besides itself."""
    sums = torch.zeros(len(x.sizes), len(x.sizes), dtype=torch.float64)
    nearest = torch.full((len(x.x), k + 1), math.inf, dtype=x.x.dtype)
    for (i, rows), (j, columns) in combinations_with_replacement(x.chunks, 2):
        products = x.x[rows] @ x.x[columns].T
        total = _kernel(products, x.offset[rows], x.offset[columns], x.width)
        squares = _squares(products, x.lengths[rows], x.lengths[columns])
        sums[i, j] += total
        _nearer(nearest, rows, squares)
        if rows != columns:
            sums[j, i] += total
            _nearer(nearest, columns, squares.T)
    return Within(sums, nearest)


def between(
    x: Cloud, y: Cloud, of_real: Tensor | None = None, of_made: Tensor | None = None, ball: Tensor | None = None
) -> Between:
    """x: real, y: made. of_real, of_made, ball: squared radii; without them nothing is said of who lies where."""
    sums = torch.zeros(len(x.sizes), len(y.sizes), dtype=torch.float64)
    inside, held, covered = (torch.zeros(len(z.x), dtype=torch.bool) for z in (y, x, x))
    hits = 0
    for (i, rows), (j, columns) in product(x.chunks, y.chunks):
        products = x.x[rows] @ y.x[columns].T
        sums[i, j] += _kernel(products, x.offset[rows], y.offset[columns], x.width)
        squares = _squares(products, x.lengths[rows], y.lengths[columns])
        if of_real is not None and of_made is not None:
            inside[columns] |= (squares - of_real[rows, None]).amin(0) <= 0
            held[rows] |= (squares - of_made[columns]).amin(1) <= 0
        if ball is not None:
            covered[rows] |= squares.amin(1) <= ball[rows]
            hits += int((squares <= ball[rows, None]).count_nonzero())
    return Between(sums, inside, held, covered, hits)


def _kernel(products: Tensor, rows: Tensor, columns: Tensor, width: int) -> float:
    """The sum of (x·y / d + 1)³ over all pairs."""
    u = (rows[:, None] + columns).add_(products, alpha=1 / width)
    return u.square().mul_(u).sum(dtype=torch.float64).item()


def _squares(products: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return (rows[:, None] + columns).sub_(products, alpha=2).clamp_(min=0)


def _nearer(nearest: Tensor, rows: slice, squares: Tensor) -> None:
    """Take the nearest of those known and of others, in ascending order."""
    count = min(nearest.shape[1], squares.shape[1])
    found = squares.topk(count, dim=1, largest=False).values
    nearest[rows] = torch.cat([nearest[rows], found], 1).sort(1).values[:, : nearest.shape[1]]
