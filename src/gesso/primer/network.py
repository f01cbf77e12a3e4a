"""The network of the primer: residual blocks that halve, from half of a picture's size on, with maps at every scale.

It is small and strides early: what stands on it is to cost little.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.errors import GessoError

__all__ = ["SMALLEST", "WIDTHS", "Primer", "as_rgba"]

WIDTHS = (32, 64, 128, 288)  # channels at 1/2, 1/4, 1/8 and 1/16 of a picture's size
SMALLEST = 16  # pixels of the shorter side


class Block(nn.Module):
    """Halves a map: two 3×3 convolutions beside the mean of four pixels (He et al. 2016; the shortcut of ResNet-D)."""

    def __init__(self, inside: int, outside: int):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(inside, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside)
        self.second, self.norm2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        self.skip = nn.Conv2d(inside, outside, 1, bias=False)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o H W"]:
        """H = ⌈h / 2⌉, W = ⌈w / 2⌉."""
        y = self.norm2(self.second(F.relu(self.norm1(self.first(x)))))
        return F.relu(y + self.skip(F.avg_pool2d(x, 2, ceil_mode=True)))


class Primer(nn.Module):
    """Pictures → maps of features at 1/2, 1/4, 1/8 and 1/16 of their size, every value at least zero."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__()
        self.widths = widths
        self.stem, self.norm = nn.Conv2d(4, widths[0], 4, 2, 1, bias=False), nn.BatchNorm2d(widths[0])
        self.blocks = nn.ModuleList(Block(a, b) for a, b in pairwise(widths))

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> list[Tensor]:
        """x: pictures as `as_rgba` gives them."""
        maps = [F.relu(self.norm(self.stem(x)))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps


def as_rgba(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 4 h w"]:
    """Pictures in [-1, 1] of 1 (grey), 3 (RGB) or 4 channels (RGB and premultiplied alpha) as the primer takes them.

    Raises GessoError for other channels and for pictures below 16 pixels.
    """
    n, c, h, w = x.shape
    if min(h, w) < SMALLEST:
        raise GessoError(f"Pictures of {w}×{h} pixels are too small for the primer.", "It needs 16 pixels each way.")
    if c == 4:
        return x
    if c not in (1, 3):
        raise GessoError(f"The primer cannot look at pictures of {c} channels.", "Give it grey, RGB or RGBA.")
    return torch.cat([x.expand(n, 3, h, w), x.new_ones(n, 1, h, w)], 1)
