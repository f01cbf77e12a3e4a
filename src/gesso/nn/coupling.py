"""A distribution that learns its shape: Gaussian numbers, moved by steps that can be taken back exactly."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Couplings"]

MOST = 2.0  # natural logarithm of the most that one step stretches a number


class Coupling(nn.Module):
    """One half of the numbers is stretched and shifted by what a small network makes of the other half.

    Dinh et al. 2017, eqs. 7 and 8. asked: numbers of a vector that the network is told besides, 0 for none.
    """

    def __init__(self, size: int, hidden: int, asked: int, second: bool):
        super().__init__()
        self.first, self.second = size // 2, second
        still, moved = (size - self.first, self.first) if second else (self.first, size - self.first)
        self.look = nn.Linear(still + asked, hidden)
        self.deeper, self.say = nn.Linear(hidden, hidden), nn.Linear(hidden, 2 * moved)
        nn.init.zeros_(self.say.weight)
        nn.init.zeros_(self.say.bias)

    def forward(
        self, x: Float[Tensor, "n d"], vector: Float[Tensor, "n a"] | None, back: bool
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """The numbers, moved there or back, and the logarithm of how much they were stretched."""
        first, last = x[:, : self.first], x[:, self.first :]
        still, moved = (last, first) if self.second else (first, last)
        seen = still if vector is None else torch.cat([still, vector], 1)
        stretch, shift = self.say(F.silu(self.deeper(F.silu(self.look(seen))))).chunk(2, 1)
        stretch = MOST * torch.tanh(stretch / MOST)
        moved = (moved - shift) * (-stretch).exp() if back else moved * stretch.exp() + shift
        total = stretch.sum(1)
        halves = (moved, still) if self.second else (still, moved)
        return torch.cat(halves, 1), -total if back else total


class Couplings(nn.Module):
    """Gaussian numbers → others, n d each, and back (RealNVP; Dinh et al. 2017). At first it changes nothing.

    depth: steps; before each the numbers change places, always in the same way.
    """

    def __init__(self, size: int, depth: int, hidden: int = 128, asked: int = 0):
        super().__init__()
        self.steps = nn.ModuleList(Coupling(size, hidden, asked, bool(i % 2)) for i in range(depth))
        rng = torch.Generator().manual_seed(0)
        orders = torch.stack([torch.randperm(size, generator=rng) for _ in range(depth)])
        self.register_buffer("orders", orders, persistent=False)
        self.register_buffer("back", orders.argsort(1), persistent=False)

    def forward(self, e: Float[Tensor, "n d"], vector: Float[Tensor, "n a"] | None = None) -> Float[Tensor, "n d"]:
        """From Gaussian numbers. vector: what the networks are told."""
        for step, order in zip(self.steps, self.get_buffer("orders"), strict=True):
            e = step(e[:, order], vector, False)[0]
        return e

    def whence(
        self, x: Float[Tensor, "n d"], vector: Float[Tensor, "n a"] | None = None
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """The Gaussian numbers that become x, and the logarithm of the density of x."""
        dense = x.new_zeros(len(x))
        for step, order in zip(reversed(self.steps), reversed(self.get_buffer("back")), strict=True):
            x, stretched = step(x, vector, True)
            x, dense = x[:, order], dense + stretched
        return x, dense - 0.5 * (x.square() + math.log(2 * math.pi)).sum(1)
