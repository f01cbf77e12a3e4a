"""One picture of several: regions of it are from one seed, and the rest from another.

Both are painted side by side, and after every layer their maps are blended by the mask, as large as it is there, with a
soft edge. So small maps, which say where things are, are joined as well as large ones, which say what they look like,
and each layer paints over the seam of the last. (After the feature blending of Suzuki et al. 2018, "Spatially
Controllable Image Synthesis with Internal Representation Collaging".)

Seeking codes whose picture is like the one here and like the other there was tried, too: its pictures were more of a
piece, but like one of the parents alone, and took some hundred times as long.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.errors import GessoError, nearest
from gesso.explore.space import Points, Space

__all__ = ["Region", "joined", "region"]

Region = Literal["left", "right", "top", "bottom", "middle"]
MIDDLE = 0.6  # of the sides: the axes of the ellipse in the middle


def region(name: str, height: int, width: int) -> Float[Tensor, "h w"]:
    """A part of a picture by its name, 1 within and 0 without: left, right, top, bottom or middle, an ellipse.

    Raises GessoError, with the nearest right name, for another.
    """
    if name not in get_args(Region):
        raise GessoError(f"There is no region '{name}'.", nearest(name, get_args(Region)))
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    within = {
        "left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5,
        "middle": (x - 0.5).square() + (y - 0.5).square() < (MIDDLE / 2) ** 2,
    }  # fmt: skip
    return within[name].float()


def joined(space: Space, parents: Points, mask: Float[Tensor, "h w"], edge: float = 0.2) -> Float[Tensor, "1 c h w"]:
    """A picture that shows the first of two points where the mask is 0, and the second where it is 1, in [-1, 1].

    edge: how far one passes into the other, as a share of the shorter side; 0 for no further than the layers do it by
    themselves. Each is asked to be what it is. It works with every family that paints with maps.

    Raises GessoError for other than two points, for a mask of another size than the picture, and for a family whose
    layers make no maps.
    """
    size = space.family.facts.height, space.family.facts.width
    if len(parents) != 2:
        raise GessoError("A picture is joined of two.", "Name two seeds: --seeds 3,8.")
    if mask.shape != size:
        raise GessoError(
            f"The mask is {mask.shape[1]}×{mask.shape[0]}, the picture {size[1]}×{size[0]}.",
            "Make it as large as the picture.",
        )
    share, met = _soft(mask.float().to(space.device), edge * min(size))[None, None], list[bool]()

    def blend(module: nn.Module, given: tuple, out: object) -> Tensor | None:
        if not isinstance(out, Tensor) or out.ndim != 4 or len(out) % 2:
            return None
        met.append(out.shape[1] > space.family.facts.channels)  # the picture itself is no map
        first, second = out.unflatten(0, (-1, 2)).unbind(1)  # led drawings have the two there twice
        both = torch.lerp(first, second, F.interpolate(share, out.shape[2:], mode="area").to(out))
        return torch.stack([both, both], 1).flatten(0, 1)

    hooks = [module.register_forward_hook(blend) for module in space.family.parts.modules()]
    try:
        first, second = space.pictures(parents).split(1)
    finally:
        for hook in hooks:
            hook.remove()
    if not any(met):
        raise GessoError(
            f"The family {space.family.name} paints without maps, which could be joined.",
            "Mix its pictures otherwise: --how breed, --how blend.",
        )
    return torch.lerp(first, second, share.cpu())


def _soft(mask: Float[Tensor, "h w"], wide: float) -> Float[Tensor, "h w"]:
    """The mask with edges about so many pixels wide: averaged twice over half of that."""
    reach = round(wide / 4)
    for _ in range(2 if reach else 0):
        around = F.pad(mask[None, None], [reach] * 4, mode="replicate")
        mask = F.avg_pool2d(around, 2 * reach + 1, 1)[0, 0]
    return mask
