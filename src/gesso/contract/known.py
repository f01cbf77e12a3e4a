"""What is known of a picture that a model shall make whole, and the contract of families that can do so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gesso.contract.family import Condition

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass
class Known:
    """What is known of pictures.

    image: the pictures, in [-1, 1], with a guess where nothing is known of them. mask: where they are known; None:
    everywhere. factor: pixels of a side of squares of which the means alone are known. grey: of the colours, the
    brightness alone is known. noise: standard deviation of the noise in them, in units of [-1, 1].
    """

    image: Float[Tensor, "n c h w"]
    mask: Bool[Tensor, "n 1 h w"] | None = None
    factor: int = 1
    grey: bool = False
    noise: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether everything is known, but for noise."""
        return self.mask is None and self.factor == 1 and not self.grey

    def fitted(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The pictures nearest to x in which everything is as it is known, but for noise (Wang et al. 2023, eq. 12)."""
        y = self.image
        if self.factor > 1:
            y = x + F.interpolate(F.avg_pool2d(y - x, self.factor), scale_factor=float(self.factor))
        if self.grey and x.shape[1] > 1:
            luma = torch.tensor(LUMA, device=x.device, dtype=x.dtype)
            apart = torch.einsum("nchw,c->nhw", (y - x)[:, :3], luma)[:, None]
            colours = x[:, :3] + apart * (luma / luma.square().sum())[None, :, None, None]
            y = torch.cat([colours, y[:, 3:].expand(len(x), -1, -1, -1)], 1)
        return y if self.mask is None else torch.where(self.mask, y, x)


@runtime_checkable
class Restorer(Protocol):
    """A family that can draw what is not known of a picture, as such pictures are."""

    def restore(self, z: Tensor, known: Known, condition: Condition, knobs: Any) -> Iterator[Float[Tensor, "n c h w"]]:
        """Draw, as a stream of better and better pictures; other latents give another answer.

        Raises GessoError for a kind of knowledge that the family cannot draw from.
        """
        ...

    def varied(
        self, z: Tensor, image: Float[Tensor, "n c h w"], strength: float, condition: Condition, knobs: Any
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """Draw pictures like others: 0 gives back what they are, as nearly as the family can, 1 forgets them."""
        ...
