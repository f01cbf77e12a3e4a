"""From vectors to numbers of codes and back."""

from math import prod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["Quantised", "Scalars", "VectorQuantiser"]


class Quantised(NamedTuple):
    """vectors: of the codes, with the gradient of what was quantised; codes: their numbers; loss: to be added."""

    vectors: Float[Tensor, "n d *place"]
    codes: Int[Tensor, "n *place"]
    loss: Float[Tensor, ""]


class Scalars(nn.Module):
    """Finite scalar quantisation (Mentzer et al. 2024, section 3.1): every channel is rounded to one of a few values.

    No code can die, and nothing but the identity's gradient is needed. levels: values of each channel.
    """

    def __init__(self, levels: tuple[int, ...] = (8, 5, 5, 5)):
        super().__init__()
        self.width, self.count = len(levels), prod(levels)
        self.register_buffer("levels", torch.tensor(levels))
        self.register_buffer("strides", torch.tensor([prod(levels[:i]) for i in range(len(levels))]))

    def _column(self, name: str, x: Tensor) -> Tensor:
        return self.get_buffer(name).reshape(1, -1, *[1] * (x.dim() - 2))

    def forward(self, x: Float[Tensor, "n d *place"], follow: bool = False) -> Quantised:
        """d: as many as levels. follow: nothing here does."""
        levels = self._column("levels", x)
        half = (levels - 1) / 2
        inside = half * torch.tanh(x.float())  # in [-half, half]
        shift = torch.where(levels % 2 == 0, 0.5, 0.0)  # an even number of values lies between the whole numbers
        near = torch.round(inside - shift) + shift
        near = torch.minimum(torch.maximum(near, -half), half)
        codes = ((near + half).round().long() * self._column("strides", x)).sum(1)
        through = inside + (near - inside).detach()
        return Quantised(through / half, codes, x.new_zeros(()))

    def vectors(self, codes: Int[Tensor, "n *place"]) -> Float[Tensor, "n d *place"]:
        """Of codes, as `forward` gives them."""
        x = codes[:, None]
        half = (self._column("levels", x) - 1) / 2
        return (x // self._column("strides", x) % self._column("levels", x) - half) / half


class VectorQuantiser(nn.Module):
    """The nearest of a book of vectors (van den Oord et al. 2017, eq. 1 and 3), which follow what they stand for.

    They are running means of the vectors that chose them (appendix A.1), and one that is hardly chosen any more begins
    again at a vector of the batch (Dhariwal et al. 2020, section 3.1). commitment: weight of the third term of eq. 3.
    """

    def __init__(self, count: int = 512, width: int = 16, commitment: float = 0.25, decay: float = 0.99):
        super().__init__()
        self.count, self.width, self.commitment, self.decay = count, width, commitment, decay
        self.register_buffer("book", torch.randn(count, width))
        self.register_buffer("uses", torch.ones(count))
        self.register_buffer("sums", self.get_buffer("book").clone())

    def forward(self, x: Float[Tensor, "n d *place"], follow: bool = False) -> Quantised:
        """d: the width of the book. follow: the book does."""
        flat = x.float().movedim(1, -1).reshape(-1, self.width)
        book = self.get_buffer("book")
        apart = flat.square().sum(1)[:, None] - 2 * flat @ book.T + book.square().sum(1)
        chosen = apart.argmin(1)
        near = book[chosen]
        if follow:
            self._follow(flat.detach(), chosen)
        loss = self.commitment * F.mse_loss(flat, near)
        through = (flat + (near - flat).detach()).reshape(*x.movedim(1, -1).shape).movedim(-1, 1)
        return Quantised(through, chosen.reshape(x.shape[0], *x.shape[2:]), loss)

    @torch.no_grad()
    def _follow(self, flat: Float[Tensor, "m d"], chosen: Int[Tensor, " m"]) -> None:
        uses, sums = self.get_buffer("uses"), self.get_buffer("sums")
        fresh = torch.zeros_like(uses).index_add_(0, chosen, torch.ones_like(flat[:, 0]))
        uses.lerp_(fresh, 1 - self.decay)
        sums.lerp_(torch.zeros_like(sums).index_add_(0, chosen, flat), 1 - self.decay)
        dead = uses < 0.03 * len(flat) / self.count
        places = torch.arange(self.count, device=flat.device) * 7919 % len(flat)  # spread over the batch
        uses.copy_(torch.where(dead, torch.ones_like(uses), uses))
        sums.copy_(torch.where(dead[:, None], flat[places], sums))
        self.get_buffer("book").copy_(sums / uses[:, None].clamp(min=1e-6))

    def vectors(self, codes: Int[Tensor, "n *place"]) -> Float[Tensor, "n d *place"]:
        """Of codes, as `forward` gives them."""
        return self.get_buffer("book")[codes].movedim(-1, 1)
