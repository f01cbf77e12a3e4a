"""How pictures are spoilt, from hardly at all to badly: what the perceptual distance learns from, is measured by."""

import io
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

__all__ = ["KINDS", "distort"]

Pictures = Float[Tensor, "n 3 h w"]
Strength = Float[Tensor, " n"]


def distort(x: Pictures, kind: str, strength: Strength, rng: torch.Generator) -> Pictures:
    """Pictures in [-1, 1], spoilt in one way (see KINDS), each by its strength: 0 is hardly visible, 1 is bad.

    Lengths go with the pictures' size, so that a strength looks alike at any.
    """
    return KINDS[kind](x, strength, rng).clamp(-1, 1)


def _between(low: float, high: float, strength: Strength) -> Strength:
    """Geometric steps."""
    return low * (high / low) ** strength


def _blur(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    scale = min(x.shape[2:]) / 64
    out = []
    for picture, sigma in zip(x, _between(0.4, 3.5, strength) * scale, strict=True):
        reach = max(math.ceil(3 * float(sigma)), 1)
        at = torch.arange(-reach, reach + 1, dtype=x.dtype)
        taps = torch.exp(-(at**2) / (2 * sigma**2))
        taps = (taps / taps.sum()).expand(3, 1, -1)
        y = F.pad(picture[None], [reach] * 4, mode="replicate")
        y = F.conv2d(F.conv2d(y, taps[:, :, None], groups=3), taps[:, :, :, None], groups=3)
        out.append(y)
    return torch.cat(out)


def _noise(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    spread = _between(0.03, 0.6, strength)[:, None, None, None]
    return x + spread * torch.randn(x.shape, generator=rng)


def _jpeg(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    out = []
    for picture, quality in zip(x, _between(90, 3, strength), strict=True):
        data = ((picture + 1) * 127.5 + 0.5).clamp(0, 255).byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(data).save(file, "JPEG", quality=round(float(quality)))
        out.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 127.5 - 1)
    return torch.stack(out)


def _moved(x: Pictures, by: Float[Tensor, "n h w 2"]) -> Pictures:
    """Each pixel from elsewhere, `by` being in pixels, right and down; the border goes on."""
    h, w = x.shape[2:]
    here = torch.stack(torch.meshgrid(torch.arange(w) + 0.5, torch.arange(h) + 0.5, indexing="xy"), -1)
    grid = 2 * (here + by) / torch.tensor([w, h]) - 1
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _direction(n: int, rng: torch.Generator) -> Float[Tensor, "n 2"]:
    angle = 2 * math.pi * torch.rand(n, generator=rng)
    return torch.stack([angle.cos(), angle.sin()], 1)


def _shift(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    far = _between(1, 10, strength) * min(x.shape[2:]) / 64
    by = (_direction(len(x), rng) * far[:, None]).round()  # whole pixels: a shift does not blur
    return _moved(x, by[:, None, None].expand(-1, *x.shape[2:], -1))


def _warp(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    far = _between(0.5, 4, strength) * min(x.shape[2:]) / 64
    field = torch.randn(len(x), 2, 5, 5, generator=rng)
    field = F.interpolate(field, size=x.shape[2:], mode="bicubic", align_corners=True)
    return _moved(x, field.permute(0, 2, 3, 1) * far[:, None, None, None])


def _turn(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    """Hue: a rotation about the grey axis (Rodrigues)."""
    way = torch.randint(0, 2, (len(x),), generator=rng) * 2 - 1
    angle = way * _between(8, 160, strength) * math.pi / 180
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None] / math.sqrt(3)
    one, skew = torch.eye(3), torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = c * one + s * skew + (1 - c) / 3
    return torch.einsum("nij,njhw->nihw", turn, x)


def _fade(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    """Saturation towards none."""
    grey = x.mean(1, keepdim=True)
    return x + _between(0.08, 1.0, strength)[:, None, None, None] * (grey - x)


def _flatten(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    """Contrast towards none."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return x + _between(0.08, 0.8, strength)[:, None, None, None] * (mean - x)


def _blot(x: Pictures, strength: Strength, rng: torch.Generator) -> Pictures:
    """A square of one colour lies on it."""
    n, _, h, w = x.shape
    side = _between(0.06, 0.5, strength)
    corner = torch.rand(n, 2, generator=rng) * (1 - side[:, None])
    y, z = torch.arange(h)[None, :, None] / h, torch.arange(w)[None, None] / w
    (top, left), far = corner.T[:, :, None, None], side[:, None, None]
    inside = (y >= top) & (y < top + far) & (z >= left) & (z < left + far)
    colour = 2 * torch.rand(n, 3, 1, 1, generator=rng) - 1
    return torch.where(inside[:, None], colour, x)


KINDS: dict[str, Callable[[Pictures, Strength, torch.Generator], Pictures]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "shift": _shift,
    "warp": _warp,
    "hue": _turn,
    "saturation": _fade,
    "contrast": _flatten,
    "blot": _blot,
}
