"""A picture → a small map of vectors, and back: what tokens and flows in latents work on.

Its first step halves the picture, as patches do for the U-Net of flows, and its norms are those of a place's channels:
no picture of a batch has a say in another.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.nn.blocks import Doubling
from gesso.nn.equalised import pixel_norm

__all__ = ["Looking", "Painting", "shrinkage"]


def shrinkage(height: int, width: int, side: int) -> int:
    """By what power of two pictures shrink, so that the shorter side of the map is about `side` places; at least 2."""
    shrink = 2
    while min(height, width) / (2 * shrink) > 0.7 * side and height % (2 * shrink) == width % (2 * shrink) == 0:
        shrink *= 2
    return shrink


def _widths(width: int, shrink: int) -> list[int]:
    """Channels of the levels, from half the size of the picture on."""
    return [min(width * 2**level, 4 * width) for level in range(shrink.bit_length() - 1)]


class Residual(nn.Module):
    """Two 3×3 convolutions beside the identity, after norms of a place's channels."""

    def __init__(self, width: int):
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """As large as what came in."""
        return x + self.two(F.silu(pixel_norm(self.one(F.silu(pixel_norm(x))))))


class Looking(nn.Module):
    """A picture → a map, `shrink` times smaller, of `outside` numbers a place."""

    def __init__(self, channels: int, width: int, shrink: int, outside: int, blocks: int = 1):
        super().__init__()
        widths = _widths(width, shrink)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), Residual(widths[0])]
        for a, b in pairwise(widths):
            layers += [nn.SiLU(), nn.Conv2d(a, b, 4, 2, 1), Residual(b)]
        self.layers = nn.Sequential(*layers, *(Residual(widths[-1]) for _ in range(blocks - 1)))
        self.out = nn.Conv2d(widths[-1], outside, 1)

    def forward(self, x: Float[Tensor, "n c H W"]) -> Float[Tensor, "n d h w"]:
        """h = H / shrink, w = W / shrink."""
        return self.out(F.silu(pixel_norm(self.layers(x))))


class Painting(nn.Module):
    """A map of `inside` numbers a place → a picture, `shrink` times larger, in [-1, 1]."""

    def __init__(self, channels: int, width: int, shrink: int, inside: int, blocks: int = 1):
        super().__init__()
        widths = _widths(width, shrink)[::-1]
        layers: list[nn.Module] = [nn.Conv2d(inside, widths[0], 3, padding=1)]
        layers += [Residual(widths[0]) for _ in range(blocks)]
        for a, b in pairwise(widths):
            layers += [Doubling(a, b), Residual(b)]
        self.layers, self.paint = nn.Sequential(*layers), Doubling(widths[-1], channels)

    def forward(self, x: Float[Tensor, "n d h w"]) -> Float[Tensor, "n c H W"]:
        """H = h · shrink, W = w · shrink."""
        return torch.tanh(self.paint(F.silu(pixel_norm(self.layers(x)))))
