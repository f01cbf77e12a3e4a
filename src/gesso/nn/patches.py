"""Critics that judge every patch of a picture for itself."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.nn.blocks import Match, normalised

__all__ = ["PatchCritic"]


class PatchCritic(nn.Module):
    """A judgement of every patch (Isola et al. 2017, section 3.3), at several scales of the picture (Wang et al. 2018).

    Its weights have spectral norm one, where the papers normalise over batches or pictures: so each patch is judged for
    itself. A patch has 26 pixels of a side at the first scale, twice as many at each further one.
    """

    def __init__(self, channels: int, width: int, scales: int, asked: nn.Module | None, vector: int):
        """asked: a network whose answer to the conditions has a `vector` of so many numbers."""
        super().__init__()
        self.asked = asked
        self.scales = nn.ModuleList(Patches(channels, width, vector if asked is not None else 0) for _ in range(scales))

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> list[Float[Tensor, "n 1 _ _"]]:
        """How real each patch looks, a map a scale."""
        vector = self.asked(*given).vector if self.asked is not None else None
        out: list[Tensor] = []
        for number, scale in enumerate(self.scales):
            x = F.avg_pool2d(x, 2) if number else x
            out.append(scale(x, vector))
        return out


class Patches(nn.Module):
    """Two halvings and a 3×3 convolution → a judgement a place; what is asked for enters by projection."""

    def __init__(self, channels: int, width: int, asked: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside, size, stride in (
            (channels, width, 4, 2), (width, 2 * width, 4, 2), (2 * width, 4 * width, 3, 1)
        ):  # fmt: skip
            layers += [normalised(nn.Conv2d(inside, outside, size, stride, 1), True), nn.LeakyReLU(0.2)]
        self.layers, self.judge = nn.Sequential(*layers), normalised(nn.Conv2d(4 * width, 1, 3, padding=1), True)
        self.match = Match(asked, 4 * width, True) if asked else None

    def forward(self, x: Float[Tensor, "n c h w"], vector: Float[Tensor, "n v"] | None) -> Float[Tensor, "n 1 _ _"]:
        """The map of judgements (projection: Miyato & Koyama 2018, eq. 3)."""
        x = self.layers(x)
        y = self.judge(x)
        if self.match is not None:
            y = y + (x * self.match(vector)[:, :, None, None]).sum(1, keepdim=True)
        return y
