"""Layers of progressive growing (Karras et al. 2018): equalised learning rates, pixel norm, minibatch deviation.

With an equalised learning rate, weights begin as N(0, 1) and are multiplied by He's constant whenever they are used
(section 4.1 of the paper): every weight of every layer then has the same range, and Adam, whose steps do not depend on
the size of a gradient, teaches all layers at the same speed.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["EqualConv2d", "EqualLinear", "minibatch_deviation", "pixel_norm"]

HE = 2**0.5  # gain before a rectifier (He et al. 2015, eq. 10); 1 before none
TINY = 1e-8


class EqualLinear(nn.Module):
    """A linear map with an equalised learning rate.

    gain: of the output's spread over the input's. rate: how many times as fast as others it learns (a style network's
    0.01; Karras et al. 2019, appendix C). bias: what every bias begins as.
    """

    def __init__(self, inside: int, outside: int, gain: float = HE, rate: float = 1.0, bias: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside) / rate)
        self.bias = nn.Parameter(torch.full((outside,), bias / rate))
        self.scale, self.rate = gain * inside**-0.5 * rate, rate

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """W x + b, with He's constant."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv2d(nn.Module):
    """A convolution with an equalised learning rate, that keeps height and width, doubles or halves them.

    size: pixels of the kernel's side, odd. gain: of the output's spread over the input's. sampling: "up" enlarges the
    map before it (nearest neighbour), "down" averages it by 2 × 2 after it. Both are done in one step, with the kernel
    averaged over 2 × 2 places: the same numbers, of which fewer than half as many are multiplied.
    """

    def __init__(
        self, inside: int, outside: int, size: int, gain: float = HE, sampling: Literal["", "up", "down"] = ""
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside, size, size))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.scale, self.sampling, self.margin = gain * (inside * size**2) ** -0.5, sampling, size // 2

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o H W"]:
        """H, W: h, w, or twice or half as much."""
        kernel = self.weight * self.scale
        if not self.sampling:
            return F.conv2d(x, kernel, self.bias, padding=self.margin)
        spread = F.avg_pool2d(F.pad(kernel, [1] * 4), 2, 1)  # o i k k -> o i k+1 k+1
        if self.sampling == "down":
            return F.conv2d(x, spread, self.bias, 2, self.margin)
        return F.conv_transpose2d(x, 4 * spread.flip(2, 3).transpose(0, 1), self.bias, 2, self.margin)


def pixel_norm(x: Float[Tensor, "n c *place"]) -> Float[Tensor, "n c *place"]:
    """Every place's vector of channels at a mean square of one (Karras et al. 2018, section 4.2)."""
    return x * (x.square().mean(1, keepdim=True) + TINY).rsqrt()


def minibatch_deviation(x: Float[Tensor, "n c h w"], group: int = 4) -> Float[Tensor, "n _ h w"]:
    """A further map that tells how much pictures of a group differ (Karras et al. 2018, section 3).

    Its one number a group is the standard deviation over the group, the mean over channels and places: a critic that
    sees it can ask for variety. Groups are of pictures that follow each other, as many as `group` or the largest number
    below that n can be divided by. It couples a batch: what a critic with it says of a picture depends on the others,
    so that real and made pictures must be judged apart, and no gradient of one judgement is a single picture's.
    """
    n, _, h, w = x.shape
    group = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    variance = x.float().unflatten(0, (-1, group)).var(1, correction=0)  # n/g c h w
    deviation = (variance + TINY).sqrt().mean((1, 2, 3)).repeat_interleave(group)
    return torch.cat([x, deviation.to(x.dtype).reshape(n, 1, 1, 1).expand(n, 1, h, w)], 1)
