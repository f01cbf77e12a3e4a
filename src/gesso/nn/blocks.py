"""Layers that more than one family uses, beside torch's own."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gesso.errors import GessoError


def levels(height: int, width: int, smallest: int = 4) -> int:
    """How many times both sides can be halved before the shorter falls below `smallest` pixels.

    Raises GessoError when they cannot be halved at all.
    """
    count = 0
    while min(height, width) >= 2 * smallest and height % 2 == 0 and width % 2 == 0:
        height, width, count = height // 2, width // 2, count + 1
    if not count:
        raise GessoError(
            f"Pictures of {width}×{height} pixels cannot be halved, as networks do.",
            "Choose sides that 8 divides, such as --size 32.",
        )
    return count


def channels_at(base: int, level: int, most: int = 4) -> int:
    """Channels of a network of width `base`, `level` halvings away from the full size: 1, 2, 4, … `most` times."""
    return base * min(2 ** max(level - 1, 0), most)


class Scaled(nn.Module):
    """A module whose first input is scaled by constants of the graph."""

    scale: Tensor

    def __init__(self, module: nn.Module, scale: float | Float[Tensor, " d"]):
        super().__init__()
        self.module = module
        self.register_buffer("scale", torch.as_tensor(scale), persistent=False)

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Tensor:
        """What the module makes of it."""
        return self.module(z * self.scale, *given)


def normalised(layer: nn.Module, spectral: bool) -> nn.Module:
    """The layer with its spectral norm held at one (Miyato et al. 2018, eq. 8), or as it is."""
    return spectral_norm(layer) if spectral else layer


def dcgan_init(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), batch-norm gains from N(1, 0.02²) (Radford et al. 2016, section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d) and module.weight is not None:
        nn.init.normal_(module.weight, 1.0, 0.02)


class AskedNorm(nn.Module):
    """Batch norm whose gain and bias depend on what is asked for (conditional batch norm; Dumoulin et al. 2017, eq. 5).

    With nothing to ask for (asked = 0) it is plain batch norm. asked: numbers of the conditions' vector.
    """

    def __init__(self, channels: int, asked: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not asked)
        self.modulate = nn.Linear(asked, 2 * channels) if asked else None
        if self.modulate is not None:
            nn.init.normal_(self.modulate.weight, 0.0, 0.02)
            with torch.no_grad():
                self.modulate.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))

    def forward(self, x: Float[Tensor, "n c h w"], vector: Float[Tensor, "n d"] | None) -> Float[Tensor, "n c h w"]:
        """The normalised map, scaled and shifted."""
        x = self.norm(x)
        if self.modulate is None:
            return x
        gain, bias = self.modulate(vector)[:, :, None, None].chunk(2, dim=1)
        return x * gain + bias


class Doubling(nn.ConvTranspose2d):
    """Transposed 4×4 convolution of stride 2 that leaves no checkerboard: what is even stays even.

    Each of the four pixels that come of one sees its own quarter of the kernel; all four quarters are held to the same
    sum (Sugawara et al. 2018, "Super-Resolution Using Convolutional Neural Networks Without Any Checkerboard
    Artifacts").
    """

    def __init__(self, inside: int, outside: int):
        super().__init__(inside, outside, 4, stride=2, padding=1)
        row, column = torch.meshgrid(torch.arange(4) % 2, torch.arange(4) % 2, indexing="ij")
        quarter = F.one_hot((2 * row + column).flatten(), 4).float()
        self.register_buffer("even", torch.eye(16) - quarter @ quarter.T / 4 + 1 / 16, persistent=False)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o H W"]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """H = 2h, W = 2w."""
        taps = self.weight.permute(0, 2, 3, 1).flatten(1, 2)  # i o 4 4 -> i 16 o
        with torch.autocast(x.device.type, enabled=False):
            even = self.get_buffer("even") @ taps  # each less the mean of its quarter, plus the mean of all
        return F.conv_transpose2d(x, even.unflatten(1, (4, 4)).permute(0, 3, 1, 2), self.bias, 2, 1)


class UpBlock(nn.Module):
    """Residual block that doubles height and width: norm, ReLU, transposed 4×4 convolution, beside a 1×1 shortcut.

    The transposed convolution costs less than half of a 3×3 one on the enlarged map; the shortcut convolves before
    it enlarges, at a quarter of the cost and with the same result. Both enlarge without seams: a critic that looks for
    what a picture shows lets squares and checkerboards pass.
    """

    def __init__(self, inside: int, outside: int, asked: int = 0):
        super().__init__()
        self.norm = AskedNorm(inside, asked)
        self.conv = Doubling(inside, outside)
        self.skip = nn.Conv2d(inside, outside, 1)

    def forward(
        self, x: Float[Tensor, "n i h w"], vector: Float[Tensor, "n d"] | None = None
    ) -> Float[Tensor, "n o H W"]:
        """H = 2h, W = 2w."""
        y = self.conv(F.relu(self.norm(x, vector)))
        return y + F.interpolate(self.skip(x), scale_factor=2.0, mode="bilinear")


class Decoder(nn.Module):
    """z → linear → small map → residual blocks that double it → transposed convolution → tanh.

    The last doubling paints the picture: a map of many channels at the full size would cost most of the time. What it
    paints with is never all zero (leaky ReLU), which would be flat patches of one colour.
    """

    def __init__(self, latent: int, width: int, shape: tuple[int, int, int], asked: int = 0):
        """shape: channels, height and width of the pictures; width: the channels that every level multiplies; asked:
        numbers of the conditions' vector.
        """
        super().__init__()
        channels, h, w = shape
        n = levels(h, w)
        widths = [channels_at(width, level) for level in range(n, 0, -1)]
        self.start = (widths[0], h >> n, w >> n)
        self.linear = nn.Linear(latent, math.prod(self.start))
        self.blocks = nn.ModuleList(UpBlock(a, b, asked) for a, b in pairwise(widths))
        self.norm = AskedNorm(widths[-1], asked)
        self.paint = Doubling(widths[-1], channels)

    def forward(self, z: Float[Tensor, "n d"], vector: Float[Tensor, "n v"] | None = None) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        x = self.linear(z).reshape(-1, *self.start)  # n d -> n c h/2^k w/2^k
        for block in self.blocks:
            x = block(x, vector)  # n c h w -> n c' 2h 2w
        return torch.tanh(self.paint(F.leaky_relu(self.norm(x, vector), 0.2)))


class DownBlock(nn.Module):
    """Residual block that halves height and width; critics carry no norm but the weights' own.

    Its second convolution halves as it goes (4×4, stride 2), at a quarter of the cost of averaging afterwards.
    """

    def __init__(self, inside: int, outside: int, spectral: bool, gain: float = 1.0):
        super().__init__()
        self.first = normalised(nn.Conv2d(inside, inside, 3, padding=1), spectral)
        self.second = normalised(nn.Conv2d(inside, outside, 4, stride=2, padding=1), spectral)
        self.skip = normalised(nn.Conv2d(inside, outside, 1, bias=False), spectral)
        self.gain = gain

    def forward(self, x: Float[Tensor, "n i H W"]) -> Float[Tensor, "n o h w"]:
        """h = H / 2, w = W / 2."""
        y = self.first(F.leaky_relu(x, 0.2))
        y = self.second(F.leaky_relu(y, 0.2))
        return self.gain * y + self.skip(F.avg_pool2d(x, 2))


class Match(nn.Module):
    """What a critic takes the inner product of its features with, to judge whether they are what was asked for.

    Miyato & Koyama 2018, eq. 3, with a linear map of the conditions' vector in the place of the class's. Where norms
    are spectral, what it gives has at most length one, as the linear judgement beside it has: divided by the root of
    the number of features, as befits weights of the usual spread, it would hardly be heard.
    """

    def __init__(self, asked: int, features: int, spectral: bool):
        super().__init__()
        self.linear = normalised(nn.Linear(asked, features, bias=False), spectral)
        self.spectral = spectral

    def forward(self, vector: Float[Tensor, "n d"]) -> Float[Tensor, "n f"]:
        """vector: of the conditions."""
        if self.spectral:
            return self.linear(F.normalize(vector, dim=1))
        y = self.linear(vector)
        return y / y.shape[1] ** 0.5


class Project(nn.Module):
    """A critic's last layer: a linear judgement, plus how well the features match what was asked for."""

    def __init__(self, features: int, asked: int, spectral: bool):
        super().__init__()
        self.linear = normalised(nn.Linear(features, 1), spectral)
        self.match = Match(asked, features, spectral) if asked else None

    def forward(self, x: Float[Tensor, "n f"], vector: Float[Tensor, "n d"] | None) -> Float[Tensor, " n"]:
        """One judgement per picture."""
        y = self.linear(x)[:, 0]
        return y if self.match is None else y + (self.match(vector) * x).sum(1)


class ScaleGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied per sample by what `factor` holds when the backward pass comes by."""

    @staticmethod
    def forward(ctx, x: Tensor, factor: list[Tensor]) -> Tensor:
        """x passes unchanged; factor is a list that gets its one entry, of shape n, before the backward pass."""
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        """The gradient times the factor."""
        (grad,) = grads
        (factor,) = ctx.factor
        return grad * factor.to(grad.dtype).reshape(-1, *[1] * (grad.dim() - 1)), None


def scale_gradient(x: Tensor, factor: list[Tensor]) -> Tensor:
    """x itself; its gradient will be multiplied, per sample, by the tensor that `factor` holds by then."""
    out = ScaleGradient.apply(x, factor)
    assert isinstance(out, Tensor)
    return out
