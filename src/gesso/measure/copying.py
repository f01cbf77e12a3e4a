"""Whether a model copies what it learned from: two tests on the distances of features.

Both compare how near made pictures are to learned ones with how near others are, which no model made: pictures held
out, or else learned ones beside the other learned ones.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.distances import checked, reach
from gesso.measure.pairs import same_width

__all__ = ["authenticity", "cells", "data_copying", "nearest"]

CELL = 40  # learned pictures a cell, on average
MOST_CELLS = 10
FEWEST = 5  # pictures of either kind that a cell needs to be counted

Features = Float[Tensor, "n d"]


def nearest(x: Features, learned: Features) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Distance of each to the nearest learned one, and which that is."""
    same_width(x, learned)
    found = [torch.cdist(part, learned).min(1) for part in x.double().split(500)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def authenticity(learned: Features, made: Features) -> float:
    """Share of made pictures that are authentic (Alaa et al. 2022, section 4.3, eq. 10).

    One is not where it lies nearer to its nearest learned picture than that one does to any other learned one; of
    pictures drawn from where the learned ones come from, about half are. Raises GessoError below two learned pictures
    or without a made one.
    """
    x, y = checked(learned, 2), checked(made, 1)
    apart, which = nearest(y, x)
    return (apart**2 > reach(x, 1)[which]).double().mean().item()


def data_copying(learned: Features, others: Features | None, made: Features) -> float:
    """The test of data copying C_T (Meehan, Chaudhuri & Dasgupta 2020, section 3.2): far below 0 where a model copies.

    others: of pictures that the model did not learn from; None compares with each learned one beside the other learned
    ones. In each of some cells of the learned pictures (k-means) the Mann-Whitney statistic says how often a made
    picture lies farther from the learned ones than another does, as a standard score; C_T is the mean of the cells'
    scores, weighted by the learned pictures (or the others, where there are such) in them. Below -3 is copying beyond
    chance, above 3 underfitting. Raises GessoError for fewer than 10 pictures of each, and where no cell has enough.
    """
    x, y = checked(learned, 10), checked(made, 10)
    if others is None:
        far = reach(x, 1).clamp(min=0).sqrt()
        middles, place = cells(x, max(1, min(MOST_CELLS, len(x) // CELL)))
        home = place
    else:
        z = checked(others, 10)
        far = nearest(z, x)[0]
        middles, _ = cells(x, max(1, min(MOST_CELLS, len(z) // CELL)))
        home = torch.cdist(z, middles).argmin(1)
    near, at = nearest(y, x)[0], torch.cdist(y, middles).argmin(1)
    scores, weights = [], []
    for cell in range(len(middles)):
        a, b = far[home == cell], near[at == cell]
        if len(a) >= FEWEST and len(b) >= FEWEST:
            scores.append(_standard_score(a, b))
            weights.append(len(a))
    if not scores:
        raise GessoError("No part of the learned pictures has enough made ones in it to be judged.", "Draw more.")
    return sum(s * w for s, w in zip(scores, weights, strict=True)) / sum(weights)


def _standard_score(a: Float[Tensor, " n"], b: Float[Tensor, " m"]) -> float:
    """Of the number of pairs in which b's is the larger (Mann & Whitney 1947); a tie is half of one."""
    n, m = len(a), len(b)
    larger = (b[:, None] > a[None]).double().sum() + 0.5 * (b[:, None] == a[None]).double().sum()
    ties = torch.cat([a, b]).unique(return_counts=True)[1].double()
    spread = n * m / 12 * (n + m + 1 - ((ties**3 - ties).sum() / ((n + m) * (n + m - 1))).item())
    return (larger.item() - n * m / 2) / math.sqrt(max(spread, 1e-9))


def cells(x: Features, count: int, rounds: int = 20) -> tuple[Float[Tensor, "k d"], Int[Tensor, " n"]]:
    """Lloyd's k-means from a spread-out start (Arthur & Vassilvitskii 2007), from a fixed seed: middles, and whose."""
    rng = torch.Generator().manual_seed(0)
    middles = x[torch.randint(len(x), (1,), generator=rng)]
    while len(middles) < count:
        apart = torch.cdist(x, middles).min(1).values ** 2
        if float(apart.sum()) == 0:
            break
        middles = torch.cat([middles, x[torch.multinomial(apart, 1, generator=rng)]])
    place = torch.cdist(x, middles).argmin(1)
    for _ in range(rounds):
        middles = torch.stack([_mean(x, place == k, middles[k]) for k in range(len(middles))])
        new = torch.cdist(x, middles).argmin(1)
        if bool((new == place).all()):
            break
        place = new
    return middles, place


def _mean(x: Features, mine: Bool[Tensor, " n"], before: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    return x[mine].mean(0) if bool(mine.any()) else before
