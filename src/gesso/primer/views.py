"""What the primer is shown of a painting: a part of it, mirrored or not, in other colours now and then.

Colours change strongly only in a share of the views: where all views change, a network learns to ignore colour, and
where none does, it learns nothing else.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

__all__ = ["crop", "recolour"]


def crop(
    paintings: UInt8[Tensor, "n h w 4"], size: int, least: float, rng: torch.Generator
) -> Float[Tensor, "n 4 s s"]:
    """Parts of `least` to all of each painting's area, of uneven shape, half of them mirrored, at `size` pixels."""
    n = len(paintings)
    x = paintings.permute(0, 3, 1, 2).float() / 127.5 - 1

    def even(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=rng)

    side, shape = torch.exp(even(math.log(least), 0) / 2), torch.exp(even(-0.2, 0.2))
    across, down = (side * shape).clamp(max=1), (side / shape).clamp(max=1)
    flip, zero = torch.where(even(0, 1) < 0.5, -1.0, 1.0), torch.zeros(n)
    rows = torch.stack(
        [
            torch.stack([across * flip, zero, even(-1, 1) * (1 - across)], 1),
            torch.stack([zero, down, even(-1, 1) * (1 - down)], 1),
        ],
        1,
    )
    where = F.affine_grid(rows, [n, 4, size, size], align_corners=False)
    if size < x.shape[-1]:  # a little blur instead of aliasing, where it shrinks
        x = F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)
    return F.grid_sample(x, where, padding_mode="reflection", align_corners=False)


def recolour(x: Float[Tensor, "n 4 h w"], strong: float, rng: torch.Generator) -> Float[Tensor, "n 4 h w"]:
    """Contrast, saturation, hue, tint, brightness and grain: much in a `strong` share of the pictures, else little."""
    n = len(x)

    def even(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=rng)

    cover, light = (x[:, 3:] + 1) / 2, (x[:, :3] + 1) / 2
    much = (even(0, 1) < strong).float()
    mean = light.mean((1, 2, 3), keepdim=True) * cover
    light = mean + (light - mean) * (1 + much * even(-0.5, 0.4))
    grey = light.mean(1, keepdim=True)
    saturation = torch.where((even(0, 1) < 0.2) & (much > 0), torch.zeros_like(much), 1 + much * even(-0.8, 0.5))
    light = grey + (light - grey) * saturation
    light = torch.einsum("nij,njhw->nihw", _hue_turns((much * even(-0.9, 0.9)).reshape(n)), light)
    tint = 2 * torch.rand(n, 3, 1, 1, generator=rng) - 1
    light = light * (1 + (0.05 + 0.2 * much) * tint) + cover * (0.03 + 0.15 * much) * even(-1, 1)
    grain = torch.randn(light.shape, generator=rng) * even(0, 0.08) * (even(0, 1) < 0.3)
    light = (light + cover * grain).clamp(min=0).minimum(cover)  # premultiplied: no more light than cover
    return torch.cat([2 * light - 1, x[:, 3:]], 1)


def _hue_turns(angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Rotations of RGB about the grey axis (Rodrigues)."""
    c, s, third = torch.cos(angle), torch.sin(angle) / math.sqrt(3), (1 - torch.cos(angle)) / 3
    same, on, back = c + third, third - s, third + s
    return torch.stack([same, on, back, back, same, on, on, back, same], 1).view(-1, 3, 3)
