"""Pictures as numbers between which distances mean something: what the primer sees of them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.primer.frozen import SMALLEST, as_rgba, load

__all__ = ["seen"]

CHUNK = 64
PARTS = 2  # of a side: what is seen is told apart by where it is, so finely


@torch.inference_mode()
def seen(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m"]:
    """Of pictures in [-1, 1]: what the primer's maps answer in each of four parts, every map of length one.

    Pictures that are too small for the primer are looked at pixel by pixel, at 8 × 8.
    """
    if min(images.shape[2:]) < SMALLEST:
        return F.adaptive_avg_pool2d(images, 8).flatten(1).clone()
    out = list[Tensor]()
    for some in images.split(CHUNK):
        maps = load().maps(as_rgba(some))
        out.append(torch.cat([F.normalize(F.adaptive_avg_pool2d(m, PARTS).flatten(1).sqrt(), dim=1) for m in maps], 1))
    return torch.cat(out).clone()
