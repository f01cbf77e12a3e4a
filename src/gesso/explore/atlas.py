"""A map on which what a model draws lies beside what it learned from: like beside like, so that gaps can be seen.

Pictures are laid out in a plane by t-SNE (van der Maaten & Hinton 2008), exactly and with the same start every time:
what the primer sees of them, on their first principal axes, is also where they begin.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Atlas", "cells", "laid_out", "map_of"]

AXES = 40  # principal axes that distances are taken along
PERPLEXITY = 20.0
STEPS, EARLY = 300, 80  # of the layout; of these, with distances held together
HELD = 6.0  # how much stronger, then
NEAR = 0.9  # quantile of how far learned pictures are from each other's nearest, that still counts as near


@dataclass(frozen=True)
class Atlas:
    """place: of each picture in [0, 1]², x and y, drawn ones first. apart: how far each learned one is from the nearest
    drawn one; strange: how far each drawn one is from the nearest learned one. Both are 1 where it is as far as learned
    ones are, at most, from each other's nearest.
    """

    place: Float[Tensor, "n 2"]
    apart: Float[Tensor, " r"]
    strange: Float[Tensor, " d"]

    @property
    def drawn(self) -> Bool[Tensor, " n"]:
        """Which of the places are of drawn ones."""
        return torch.arange(len(self.place)) < len(self.strange)

    @property
    def reached(self) -> float:
        """The share of the learned ones that have a drawn one near."""
        return float((self.apart <= 1).float().mean())

    @property
    def likely(self) -> float:
        """The share of the drawn ones that have a learned one near."""
        return float((self.strange <= 1).float().mean())


def map_of(drawn: Float[Tensor, "d m"], learned: Float[Tensor, "r m"]) -> Atlas:
    """Of what is seen of drawn and of learned pictures (`seen`), at least eight of each."""
    keys = torch.cat([drawn, learned])
    keys = keys - keys.mean(0)
    _, vectors = torch.linalg.eigh((keys @ keys.T).double())  # of inner products: there are fewer pictures than numbers
    keys = keys @ F.normalize(keys.T @ vectors.flip(1)[:, :AXES].float(), dim=0)
    away = torch.cdist(keys, keys, compute_mode="donot_use_mm_for_euclid_dist")
    d = len(drawn)
    among = away[d:, d:].clone().fill_diagonal_(math.inf).min(1).values
    near = float(torch.quantile(among, NEAR))
    between = away[d:, :d]
    apart, strange = (between.min(axis).values / max(near, 1e-9) for axis in (1, 0))
    place = laid_out(away, keys[:, :2])
    low, high = place.min(0).values, place.max(0).values
    return Atlas((place - low) / (high - low).clamp(min=1e-9), apart, strange)


def laid_out(away: Float[Tensor, "n n"], begin: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Places in a plane where near ones stay near (there eq. 1, 4 and 5). away: distances; begin: a first guess."""
    n = len(away)
    wanted = _chances(away.square() / away.square().mean(), min(PERPLEXITY, (n - 1) / 3))
    wanted = (wanted + wanted.T).clamp(min=1e-12) / (2 * n)
    y = begin / begin.std().clamp(min=1e-9) * 1e-2
    moving, gains = torch.zeros_like(y), torch.ones_like(y)
    rate = max(n / HELD / 4, 50.0)
    for step in range(STEPS):
        length = y.square().sum(1)
        close = (1 + length[:, None] + length - 2 * y @ y.T).reciprocal_().fill_diagonal_(0)
        pull = (wanted * (HELD if step < EARLY else 1.0)).sub_(close / close.sum()).mul_(close)
        slope = 4 * (pull.sum(1)[:, None] * y - pull @ y)
        same = slope.sign() == moving.sign()
        gains = torch.where(same, gains * 0.8, gains + 0.2).clamp(min=0.01)
        moving = (0.5 if step < EARLY else 0.8) * moving - rate * gains * slope
        y = y + moving
        y = y - y.mean(0)
    return y


def _chances(squares: Float[Tensor, "n n"], perplexity: float) -> Float[Tensor, "n n"]:
    """For each row what it takes others for its neighbours with; the widths are found by halving."""
    n = len(squares)
    low, high = squares.new_full((n, 1), -40.0), squares.new_full((n, 1), 40.0)  # logarithms of precisions
    free = squares.clone().fill_diagonal_(math.inf)
    chances = squares
    for _ in range(40):
        middle = (low + high) / 2
        chances = torch.softmax(-free * middle.exp(), 1)
        entropy = -torch.xlogy(chances, chances).sum(1, keepdim=True)
        wide = entropy > math.log(perplexity)
        low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
    return chances


def cells(place: Float[Tensor, "n 2"], columns: int, rows: int) -> Int[Tensor, "rows columns"]:
    """For each cell of a grid the number of the picture nearest to its middle among those that lie in it, else -1."""
    grid = torch.full((rows, columns), -1)
    at = (place * torch.tensor([columns, rows])).clamp(min=0)
    column, row = at[:, 0].long().clamp(max=columns - 1), at[:, 1].long().clamp(max=rows - 1)
    off = (at - torch.stack([column, row], 1) - 0.5).norm(dim=1)
    for number in off.argsort(descending=True).tolist():
        grid[row[number], column[number]] = number
    return grid
