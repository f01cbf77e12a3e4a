"""A transformer over a sequence, some of which may be seen by all and some in order (Vaswani et al. 2017)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["Cache", "Sequence"]

Cache = list[tuple[Tensor, Tensor]]  # of every layer the keys and values of what was read, n heads t d each


class Step(nn.Module):
    """Attention and a wide layer, norms first."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.three, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wider, self.narrower = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Float[Tensor, "n t c"], seen: Bool[Tensor, "n #t s"], past: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "n t c"], tuple[Tensor, Tensor]]:
        """seen: what each place may look at, of what was read before and of these places."""
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in self.three(self.before(x)).chunk(3, 2))
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        y = F.scaled_dot_product_attention(q, k, v, seen[:, None])
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.narrower(F.gelu(self.wider(self.after(x)))), (k, v)


class Sequence(nn.Module):
    """Vectors → vectors."""

    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.steps = nn.ModuleList(Step(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "n t c"], seen: Bool[Tensor, "n #t s"], past: Cache | None = None
    ) -> tuple[Float[Tensor, "n t c"], Cache]:
        """Of the places that are new, and keys and values of all."""
        kept: Cache = []
        for number, step in enumerate(self.steps):
            x, pair = step(x, seen, past[number] if past else None)
            kept.append(pair)
        return self.norm(x), kept
