"""Layers of generators that are steered by styles: a mapping network, and convolutions that a style modulates.

Karras et al. 2019, "A Style-Based Generator Architecture"; Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN".
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.nn.blocks import normalised
from gesso.nn.equalised import EqualConv2d, EqualLinear, pixel_norm

__all__ = [
    "Bias", "Constant", "Double", "Halving", "Level", "Mapping", "Modulated", "Noise", "halving", "path_lengths",
    "settled", "twice",
]  # fmt: skip

Some = TypeVar("Some", bound=nn.Module)

Double = Literal["nearest", "bilinear"] | None  # how a map is enlarged to twice its sides; None: it is not

BOXES = {None: 0, "nearest": 1, "bilinear": 3}  # how often 2 × 2 are averaged, for (1, 1) or (1, 3, 3, 1) each way


class Mapping(nn.Module):
    """Latents, and what is asked for, → style vectors w (Karras et al. 2019, section 2).

    Both are brought to unit length and stand side by side. rate: how fast it learns, as a share of the other layers'.
    """

    def __init__(self, latent: int, width: int, layers: int, asked: int = 0, rate: float = 1.0):
        """asked: numbers of the conditions' vector; 0: none."""
        super().__init__()
        sides = [latent + asked, *[width] * layers]
        self.layers = nn.ModuleList(EqualLinear(a, b, rate=rate) for a, b in pairwise(sides))

    def forward(self, z: Float[Tensor, "n l"], vector: Float[Tensor, "n v"] | None = None) -> Float[Tensor, "n d"]:
        """Style vectors of latents from N(0, 1)."""
        x = pixel_norm(z) if vector is None else torch.cat([pixel_norm(z), pixel_norm(vector.float())], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x


class Modulated(nn.Module):
    """A convolution whose input channels a style scales, and whose outputs have unit variance again.

    In the papers' form every picture has weights of its own, w'_ijk = s_i w_ijk / sqrt(Σ_ik (s_i w_ijk)²) (Karras et
    al. 2020, eqs. 1 and 3). Scaling commutes with convolving, so here the inputs are scaled by s, all pictures
    convolved by the same weights, and the outputs scaled by the root's inverse: the same numbers, of one ordinary
    convolution, which is quicker on a CPU and is a plain graph to export.

    double: the map is enlarged to twice its sides first, each pixel to the nearest four or bilinearly. Enlarging and
    convolving are one transposed convolution, by the weights convolved with the enlargement's filter: at 4/9 of the
    cost (nearest) or at the same (bilinear), without a map of the larger size in between, and without a checkerboard.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int,
        style: int,
        double: Double = None,
        demodulate: bool = True,
    ):
        """style: numbers of a style vector. kernel: 1 or 3."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside, kernel, kernel))
        self.gain = (inside * kernel * kernel) ** -0.5
        self.affine = EqualLinear(style, inside, gain=1.0, bias=1.0)
        self.demodulate = demodulate
        self.boxes = BOXES[double]
        self.constants: tuple[Tensor, Tensor] | None = None

    def taps(self) -> Float[Tensor, "o i k k"]:
        """The weights, equalised, and convolved with the enlargement's filter."""
        weight = self.weight * (self.gain * (4 if self.boxes else 1))
        for _ in range(self.boxes):
            weight = F.avg_pool2d(F.pad(weight, [1] * 4), 2, 1)  # o i k k -> o i k+1 k+1
        return weight

    def kernel(self) -> tuple[Float[Tensor, "..."], Float[Tensor, "o i"]]:
        """The weights as the convolution takes them, and the power of each, which demodulation undoes."""
        if self.constants is not None:
            return self.constants
        weight = self.taps()
        power = weight.square().sum((2, 3)) / (4 if self.boxes else 1)  # each of four pixels made of one sees a quarter
        return (weight.flip(2, 3).transpose(0, 1) if self.boxes else weight), power

    def settle(self) -> None:
        """Compute them once and for all: for weights that learn no more, on the device where they are."""
        weight, power = self.kernel()
        self.constants = weight.detach().clone(memory_format=torch.contiguous_format), power.detach().clone()

    def forward(self, x: Float[Tensor, "n i h w"], style: Float[Tensor, "n d"]) -> Float[Tensor, "n o H W"]:
        """Without a bias. H, W: h, w or twice as much."""
        with torch.autocast(x.device.type, enabled=False):
            s, (weight, power) = self.affine(style.float()), self.kernel()
            back = torch.rsqrt(s.square() @ power.T + 1e-8) if self.demodulate else None
        x = x * s[:, :, None, None].to(x.dtype)
        if self.boxes:
            x = F.conv_transpose2d(x, weight, stride=2, padding=weight.shape[-1] // 2 - 1)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        return x if back is None else x * back[:, :, None, None].to(x.dtype)


def settled(module: Some) -> Some:
    """A copy that draws and learns no more: what its modulated convolutions make of their weights is computed once."""
    module = copy.deepcopy(module).eval().requires_grad_(False)
    for one in module.modules():
        if isinstance(one, Modulated):
            one.settle()
    return module


class Constant(nn.Module):
    """A learned map, the same for all styles (Karras et al. 2019, section 2). shape: channels, height, width."""

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.map = nn.Parameter(torch.randn(1, *shape))

    def forward(self, style: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """One for each style."""
        return self.map.expand(len(style), -1, -1, -1)


class Bias(nn.Module):
    """A number for each channel, added: where maps have no norm."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """x + bias."""
        return x + self.bias.to(x.dtype)


class Noise(nn.Module):
    """Noise, the same for all channels, of a strength that is learned (Karras et al. 2019, section 2)."""

    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "n c h w"], noise: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n c h w"]:
        """noise: from N(0, 1)."""
        return x + (self.strength * noise).to(x.dtype)


def twice(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c H W"]:
    """The map enlarged bilinearly to twice its sides."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


class Level(nn.Module):
    """One size of a synthesis: modulated convolutions with norm and noise, and a painting of what they made.

    double: how the map is enlarged first; None at the smallest. paints: channels of the painting; 0: there is none.
    residual: the map goes around the convolutions, too, where it is enlarged.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        style: int,
        double: Double,
        paints: int,
        convolutions: int = 1,
        noise: bool = False,
        batch_norm: bool = False,
        residual: bool = False,
    ):
        """style: numbers of a style vector. convolutions: 1 or 2, of which the smallest level has one."""
        super().__init__()
        ways: list[Double] = [double, None] if double and convolutions == 2 else [double]
        ends = pairwise([inside, *[outside] * len(ways)])
        convs = [Modulated(a, b, 3, style, way) for (a, b), way in zip(ends, ways, strict=True)]
        self.convs = nn.ModuleList(convs)
        self.noises = nn.ModuleList(Noise() for _ in ways) if noise else None
        self.norms = nn.ModuleList((nn.BatchNorm2d if batch_norm else Bias)(outside) for _ in ways)
        self.around = EqualConv2d(inside, outside, 1, gain=1.0) if residual and double else None
        self.paint = Modulated(outside, paints, 1, style, None, False) if paints else None

    def forward(
        self, x: Float[Tensor, "n i h w"], picture: Tensor | None, styles: Sequence[Tensor], noises: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "n o H W"], Tensor | None]:
        """The map, and the picture so far. styles: n d, one a convolution; noises: n 1 H W, likewise, or none."""
        y = x
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y, styles[number]))
            if self.noises is not None and noises:
                y = self.noises[number](y, noises[number])
            y = F.leaky_relu(y, 0.2)
        if self.around is not None:
            y = (y + twice(self.around(x))) * 0.5**0.5
        if self.paint is not None:
            painted = self.paint(y, styles[-1])
            picture = painted if picture is None else twice(picture) + painted
        return y, picture


def halving(inside: int, outside: int, spectral: bool) -> nn.Module:
    """A convolution that halves: of 4 × 4 and spectral norm one, or of 3 × 3, averaged, at an equalised rate."""
    if spectral:
        return normalised(nn.Conv2d(inside, outside, 4, 2, 1), True)
    return EqualConv2d(inside, outside, 3, sampling="down")


class Halving(nn.Module):
    """A critic's level that halves: leaky ReLU, convolution; residual: one more before, and a way around both."""

    def __init__(self, inside: int, outside: int, spectral: bool, residual: bool):
        super().__init__()
        self.halve = halving(inside, outside, spectral)
        self.first = self.around = None
        if residual and spectral:
            self.first = normalised(nn.Conv2d(inside, inside, 3, padding=1), True)
            self.around = normalised(nn.Conv2d(inside, outside, 1, bias=False), True)
        elif residual:
            self.first, self.around = EqualConv2d(inside, inside, 3), EqualConv2d(inside, outside, 1, gain=1.0)

    def forward(self, x: Float[Tensor, "n i H W"]) -> Float[Tensor, "n o h w"]:
        """h = H / 2, w = W / 2."""
        y = F.leaky_relu(x, 0.2)
        if self.first is None or self.around is None:
            return self.halve(y)
        y = self.halve(F.leaky_relu(self.first(y), 0.2))
        return (y + self.around(F.avg_pool2d(x, 2))) * 0.5**0.5


def path_lengths(
    pictures: Float[Tensor, "n c h w"], styles: Float[Tensor, "n l d"], rng: torch.Generator
) -> Float[Tensor, " n"]:
    """How far a picture moves when its styles move by one, in a random direction of pictures: ‖J^T y‖.

    (Karras et al. 2020, section 3.2, eq. 4, per layer's styles in the root of the mean.) y is noise of unit length on
    the mean, so that the lengths do not depend on the size. With gradients of their own.
    """
    noise = torch.randn(pictures.shape, generator=rng, device=pictures.device) / math.sqrt(pictures[0, 0].numel())
    (slope,) = torch.autograd.grad((pictures.float() * noise).sum(), styles, create_graph=True)
    return slope.float().square().sum(2).mean(1).add(1e-8).sqrt()
