"""A small U-Net that is told a time, and what is asked for (Ronneberger et al. 2015; Ho et al. 2020, appendix B).

It works on patches: what a convolution at the full size would cost most of the time, one on a quarter of the places
with four times the channels does as well. Norms are root mean squares over a place's channels, which cost a tenth of
what group norms do where channels lie together in memory.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gesso.nn.equalised import pixel_norm

__all__ = ["UNet", "waves"]

FASTEST = 30.0  # radians that the fastest wave turns from time 0 to 1; with many more, jumps learn from their noise


def waves(t: Float[Tensor, " n"], width: int) -> Float[Tensor, "n width"]:
    """A time in [0, 1] as sines and cosines of many speeds (Vaswani et al. 2017, section 3.5)."""
    half = width // 2
    speed = torch.exp(torch.linspace(0, math.log(FASTEST), half, device=t.device, dtype=t.dtype))
    angle = t[:, None] * speed
    return torch.cat([angle.sin(), angle.cos()], 1)


class Block(nn.Module):
    """Residual block: norm, SiLU, 3×3, twice; the second norm is scaled and shifted by what the network is told."""

    def __init__(self, inside: int, outside: int, told: int):
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, padding=1)
        self.told = nn.Linear(told, 2 * outside)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Float[Tensor, "n i h w"], told: Float[Tensor, "n d"]) -> Float[Tensor, "n o h w"]:
        """told: a vector a picture."""
        y = self.first(F.silu(pixel_norm(x)))
        gain, bias = self.told(told)[:, :, None, None].chunk(2, 1)
        return self.skip(x) + self.second(F.silu(pixel_norm(y) * (1 + gain) + bias))


class Look(nn.Module):
    """Every place looks at all others, and at the words of a text where there are some (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, channels: int, words: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.three = nn.Conv2d(channels, 3 * channels, 1)
        self.words = nn.Linear(words, 2 * channels) if words else None
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, x: Float[Tensor, "n c h w"], words: Float[Tensor, "n t e"] | None, there: Bool[Tensor, "n t"] | None
    ) -> Float[Tensor, "n c h w"]:
        """there: which words exist."""
        q, k, v = (y.flatten(2).unflatten(1, (self.heads, -1)) for y in self.three(pixel_norm(x)).chunk(3, 1))
        if self.words is not None and words is not None and there is not None:
            more = self.words(words).transpose(1, 2).unflatten(1, (2, self.heads, -1))  # n 2 heads d t
            k, v = torch.cat([k, more[:, 0].to(k.dtype)], 3), torch.cat([v, more[:, 1].to(v.dtype)], 3)
        fit = (q.transpose(2, 3) @ k).float() * q.shape[2] ** -0.5  # n heads hw hw+t
        if words is not None and there is not None:
            hidden = torch.cat([there.new_zeros(len(there), fit.shape[2]), ~there], 1)
            fit = fit.masked_fill(hidden[:, None, None], -1e4)
        mixed = v @ fit.softmax(3).to(v.dtype).transpose(2, 3)  # n heads d hw
        return x + self.out(mixed.flatten(1, 2).unflatten(2, x.shape[2:]))


class UNet(nn.Module):
    """Pictures → a map of patches → levels that halve it, and back up with what each level saw → pictures.

    widths: channels of each level. patch: pixels of a side of a patch. told: numbers of the vector that it is told.
    words: numbers of a word; 0: there are none.
    """

    def __init__(self, channels: int, widths: Sequence[int], patch: int, told: int, words: int = 0):
        super().__init__()
        self.patch = patch
        self.enter = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        last = widths[0]
        for width in widths:
            self.down.append(Block(last, width, told))
            last = width
        self.middle = nn.ModuleList([Block(last, last, told), Look(last, words), Block(last, last, told)])
        for width in reversed(widths):
            self.up.append(Block(last + width, width, told))
            last = width
        self.leave = nn.Conv2d(last, channels * patch**2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        told: Float[Tensor, "n d"],
        words: Float[Tensor, "n t e"] | None = None,
        there: Bool[Tensor, "n t"] | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """As large as what came in; sides are multiples of patch × 2^(levels - 1)."""
        y = self.enter(F.pixel_unshuffle(x, self.patch))
        seen: list[Tensor] = []
        for number, block in enumerate(self.down):
            y = block(F.avg_pool2d(y, 2) if number else y, told)
            seen.append(y)
        first, look, second = self.middle
        y = second(look(first(y, told), words, there), told)
        for number, block in enumerate(self.up):
            y = F.interpolate(y, scale_factor=2.0) if number else y
            y = block(torch.cat([y, seen.pop()], 1), told)
        return F.pixel_shuffle(self.leave(F.silu(pixel_norm(y))), self.patch)
