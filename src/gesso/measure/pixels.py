"""Distances of pictures by their pixels: of pairs, and of two sets by their patches; each names its paper.

Pictures are n × c × h × w in [-1, 1]; figures of pairs come one for each pair.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.errors import GessoError

__all__ = ["ms_ssim", "psnr", "sliced_wasserstein", "ssim"]

RANGE = 2.0  # from black to white
WINDOW, SPREAD = 11, 1.5  # pixels of SSIM's Gaussian window
STABLE = ((0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2)  # SSIM's C1 and C2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # how much each counts in MS-SSIM, finest first
PATCH, PATCHES, WAYS = 7, 64, 512  # pixels of a patch's side; patches a picture and level; directions
SMALLEST = 16  # pixels of the shorter side at the coarsest level of the pyramid

Pictures = Float[Tensor, "n c h w"]


def psnr(a: Pictures, b: Pictures) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio in decibels: 10 log₁₀(range² / mean squared difference); infinite for equal ones."""
    _alike(a, b, 1)
    return 10 * torch.log10(RANGE**2 / (a.double() - b.double()).square().mean((1, 2, 3)))


def ssim(a: Pictures, b: Pictures) -> Float[Tensor, " n"]:
    """Structural similarity, 1 for equal pictures (Wang et al. 2004, eq. 13, Gaussian window), mean over channels.

    Raises GessoError for pictures below 11 pixels.
    """
    _alike(a, b, WINDOW)
    light, structure = _similarity(a.double() + 1, b.double() + 1)
    return (light * structure).mean((1, 2, 3))


def ms_ssim(a: Pictures, b: Pictures) -> Float[Tensor, " n"]:
    """Structural similarity over scales, 1 for equal pictures (Wang et al. 2003, eq. 7).

    As many of the paper's five scales as keep 11 pixels, so two at 32 pixels and five from 176 on, their exponents
    scaled to a sum of one; figures of different sizes cannot be compared. What is negative at a scale counts as zero.
    Raises GessoError for pictures below 11 pixels.
    """
    _alike(a, b, WINDOW)
    a, b = a.double() + 1, b.double() + 1
    count = 1
    while count < len(SCALES) and min(a.shape[2:]) >> count >= WINDOW:
        count += 1
    whole, figure = sum(SCALES[:count]), torch.ones(len(a), a.shape[1], dtype=torch.float64, device=a.device)
    for i, weight in enumerate(SCALES[:count]):
        light, structure = _similarity(a, b)
        found = light * structure if i == count - 1 else structure
        figure = figure * found.mean((2, 3)).clamp(min=0) ** (weight / whole)
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return figure.mean(1)


def _similarity(a: Pictures, b: Pictures) -> tuple[Tensor, Tensor]:
    """Of luminance, and of contrast and structure, wherever a window fits (Wang et al. 2004, eq. 13).

    a, b: from 0 to RANGE.
    """
    channels = a.shape[1]
    line = torch.exp(-(torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2).square() / (2 * SPREAD**2))
    line = (line / line.sum()).expand(channels, 1, 1, WINDOW)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, line, groups=channels), line.transpose(2, 3), groups=channels)

    mean_a, mean_b = mean(a), mean(b)
    spread_a, spread_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    together = mean(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + STABLE[0]) / (mean_a**2 + mean_b**2 + STABLE[0])
    return light, (2 * together + STABLE[1]) / (spread_a + spread_b + STABLE[1])


def sliced_wasserstein(real: Pictures, made: Pictures, seed: int = 0) -> list[float]:
    """Sliced Wasserstein distance × 1000 of patches at each level of a Laplacian pyramid.

    Karras et al. 2018, section 5. Finest level first, down to what remains at 16 pixels. Patches are scaled by the mean
    and the spread of the real ones, channel by channel, so that lost contrast shows (the paper scales each set by its
    own). Sets of unequal size are cut to the smaller. Raises GessoError for pictures below 16 pixels, of different
    sizes, or none.
    """
    count = min(len(real), len(made))
    real, made = real[:count], made[:count]
    _alike(real, made, SMALLEST)
    rng, out = torch.Generator().manual_seed(seed), []
    a, b = real.float(), made.float()
    while min(a.shape[2:]) >= 2 * SMALLEST:
        smaller = [F.avg_pool2d(x, 2) for x in (a, b)]
        bands = [x - F.interpolate(y, size=x.shape[2:], mode="bilinear") for x, y in zip((a, b), smaller, strict=True)]
        out.append(_of_patches(bands[0], bands[1], rng))
        a, b = smaller
    return [*out, _of_patches(a, b, rng)]


def _of_patches(a: Pictures, b: Pictures, rng: torch.Generator) -> float:
    rows, columns = (torch.randint(side - PATCH + 1, (len(a), PATCHES), generator=rng) for side in a.shape[2:])
    x, y = _patches(a, rows, columns), _patches(b, rows, columns)
    mean, spread = x.mean((0, 2)), x.std((0, 2)) + 1e-8
    x, y = (((z - mean[:, None]) / spread[:, None]).flatten(1) for z in (x, y))
    ways = F.normalize(torch.randn(x.shape[1], WAYS, generator=rng), dim=0)
    total = sum(
        ((x @ way).sort(0).values - (y @ way).sort(0).values).abs().mean(0).sum().item() for way in ways.split(64, 1)
    )
    return 1000 * total / WAYS


def _patches(x: Pictures, rows: Tensor, columns: Tensor) -> Float[Tensor, "m c p"]:
    step = torch.arange(PATCH)
    number = torch.arange(len(x))[:, None, None, None]
    found = x.permute(0, 2, 3, 1)[number, rows[:, :, None, None] + step[:, None], columns[:, :, None, None] + step]
    return found.flatten(0, 1).flatten(1, 2).transpose(1, 2)


def _alike(a: Pictures, b: Pictures, smallest: int) -> None:
    if not len(a):
        raise GessoError("There are no pictures to compare.", "Draw or import some.")
    if a.shape != b.shape:
        sizes = ["×".join(map(str, (*x.shape[:1:-1], x.shape[1]))) for x in (a, b)]
        raise GessoError(
            f"Pictures of {sizes[0]} and {sizes[1]} cannot be compared.", "Bring them to one size and mode."
        )
    if min(a.shape[2:]) < smallest:
        raise GessoError(
            f"Pictures of {a.shape[3]}×{a.shape[2]} pixels are too small.", f"It takes {smallest} each way."
        )
    if not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise GessoError("Some pictures hold values that are not finite numbers.", "Leave the damaged ones out.")
