"""What draws pictures region by region: layers laid on each other, and small CNNs that see their region alone.

Regions are the colours of a layout or the cells of a grid (LGGAN; Tang et al. 2020, its local generators), or a
foreground and a background (LR-GAN; Yang et al. 2017).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.nn.blocks import AskedNorm, Decoder

__all__ = ["Coloured", "Gridded", "Layers", "Painter", "RegionCNNs", "colours", "composite", "over", "premultiplied"]

SOFTNESS = 0.05  # squared distance of colours in [-1, 1] at which a region's share falls to a third
OVERLAP = 4  # pixels that a cell of the grid sees of its neighbours


class Layers(NamedTuple):
    """What a layered picture is made of, in [-1, 1]. foreground: colours, premultiplied, and alpha; pasted: it over the
    background; whole: the same after fusion. c: 1 or 3 colours; l: one more.
    """

    foreground: Float[Tensor, "n l h w"]
    background: Float[Tensor, "n c h w"]
    pasted: Float[Tensor, "n c h w"]
    whole: Float[Tensor, "n c h w"]


def premultiplied(raw: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Any numbers → premultiplied colours and, last, alpha, in [-1, 1]; no colour exceeds its alpha."""
    share = (torch.tanh(raw) + 1) / 2
    return 2 * torch.cat([share[:, :-1] * share[:, -1:], share[:, -1:]], 1) - 1


def over(front: Float[Tensor, "n l h w"], ground: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """A premultiplied layer of l = c + 1 channels laid over an opaque one (Porter & Duff 1984), in [-1, 1]."""
    return front[:, :-1] + (1 - front[:, -1:]) / 2 * (ground + 1)


def composite(
    front: Float[Tensor, "n l h w"], ground: Float[Tensor, "n c h w"], shadow: float, light: float
) -> Float[Tensor, "n c h w"]:
    """A layer over a ground, in its light and with a soft shadow below it, both in [0, 1]; 0 and 0 is `over`."""
    reach = max(front.shape[2] // 16, 1)
    alpha = (front[:, -1:] + 1) / 2
    cast = F.avg_pool2d(F.pad(alpha, (0, 0, reach, 0))[:, :, : alpha.shape[2]], 2 * reach + 1, 1, reach)
    behind = (ground + 1) / 2
    tone = 1 - light / 2 + light * behind.mean((2, 3), keepdim=True)
    lit = torch.minimum((front[:, :-1] + 1) / 2 * tone, alpha)
    return 2 * (lit + (1 - alpha) * behind * (1 - shadow * cast)) - 1


def colours(x: Float[Tensor, "n s h w"], count: int) -> Float[Tensor, "n c h w"]:
    """Pictures of any channels as 1 or 3 opaque colours; what is transparent becomes black."""
    x = x[:, :3]
    return x.mean(1, keepdim=True) if count == 1 else x.expand(-1, 3, -1, -1)


class Painter(Decoder):
    """The decoder of `nn.py`, whose last map can be had before it is painted."""

    def features(self, z: Float[Tensor, "n d"], vector: Float[Tensor, "n v"] | None) -> Float[Tensor, "n f y x"]:
        """What `paint` takes."""
        x = self.linear(z).reshape(-1, *self.start)
        for block in self.blocks:
            x = block(x, vector)
        return F.leaky_relu(self.norm(x, vector), 0.2)


class RegionCNNs(nn.Module):
    """Small CNNs beside each other, one a region: grouped convolutions, so that none sees what is another's.

    Grouped, they learn in about two thirds of the time of one after the other (32 pixels, on a CPU).
    """

    def __init__(self, count: int, inside: int, latent: int, width: int, asked: int):
        """count: of regions; inside: channels of each region's picture; latent: numbers of each region's latent."""
        super().__init__()
        few, many = count * width, 2 * count * width
        self.first = nn.Conv2d(count * inside, few, 4, 2, 1, groups=count)
        self.second = nn.Conv2d(few, many, 4, 2, 1, groups=count)
        self.seed = nn.Conv2d(count * latent, many, 1, groups=count)
        self.norm = AskedNorm(many, asked)
        self.third = nn.Conv2d(many, many, 3, padding=1, groups=count)
        self.back = nn.Conv2d(many, few, 3, padding=1, groups=count)
        self.count = count

    def forward(
        self, x: Float[Tensor, "n ki h w"], z: Float[Tensor, "n kd"], vector: Float[Tensor, "n v"] | None
    ) -> Float[Tensor, "n k f y x"]:
        """x: every region's own picture; z: every region's own latent."""
        near = F.leaky_relu(self.first(x), 0.2)
        far = self.norm(self.second(near) + self.seed(z[:, :, None, None]), vector)
        far = far + self.third(F.leaky_relu(far, 0.2))
        far = F.interpolate(F.leaky_relu(far, 0.2), scale_factor=2.0, mode="bilinear")
        return (near + self.back(far)).unflatten(1, (self.count, -1))


class Coloured(nn.Module):
    """The regions of a layout: every pixel belongs to the nearest of a few colours, softly.

    The colours are learned from the layouts as the middles of their clusters, from corners of the colour cube.
    """

    def __init__(self, count: int, source: int, latent: int, width: int, asked: int):
        """source: channels of the layout; the rest as of `RegionCNNs`."""
        super().__init__()
        corners = torch.tensor([[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
        there = torch.ones(count, 1)
        there[0] = 0.0  # the first colour is nothing, where there is alpha
        first = (
            torch.linspace(0, 1, count)[:, None] if source == 1 else torch.cat([corners[:count], there], 1)[:, :source]
        )
        self.palette = nn.Parameter(1.6 * first - 0.8)
        self.networks = RegionCNNs(count, source + 1, latent, width, asked)

    def masks(self, source: Float[Tensor, "n s h w"]) -> Float[Tensor, "n k h w"]:
        """The share of each region in every pixel; they add up to one."""
        return torch.softmax(-self._distances(source, self.palette.detach()) / SOFTNESS, 1)

    def spread(self, source: Float[Tensor, "n s h w"]) -> Tensor:
        """How far pixels lie from their colours, squared: what the palette minimises (soft k-means)."""
        distances = self._distances(source, self.palette)
        return (torch.softmax(-distances.detach() / SOFTNESS, 1) * distances).sum(1).mean()

    @staticmethod
    def _distances(source: Tensor, palette: Tensor) -> Float[Tensor, "n k h w"]:
        return (source[:, None].float() - palette[None, :, :, None, None]).square().sum(2)

    def forward(self, source: Tensor, z: Tensor, vector: Tensor | None) -> Float[Tensor, "n f y x"]:
        """The features of all regions, each within its mask."""
        masks = self.masks(source)
        shown = torch.cat([source, torch.ones_like(source[:, :1])], 1)
        features = self.networks((masks[:, :, None] * shown[:, None]).flatten(1, 2), z, vector)
        return (F.avg_pool2d(masks, 2)[:, :, None] * features).sum(1)


class Gridded(nn.Module):
    """The cells of a grid, each of which sees a little of its neighbours."""

    def __init__(self, grid: int, source: int, latent: int, width: int, asked: int):
        """grid: rows, and columns; source: channels of the picture; the rest as of `RegionCNNs`."""
        super().__init__()
        self.grid, self.networks = grid, RegionCNNs(grid**2, source, latent, width, asked)

    def cells(self, source: Float[Tensor, "n s h w"]) -> Float[Tensor, "n ks y x"]:
        """What each cell sees; sides of y - 8 and x - 8 pixels lie beside each other, and border pixels go on."""
        (h, w), g = source.shape[2:], self.grid
        high, wide = (-(-side // (4 * g)) * 4 for side in (h, w))
        around = (OVERLAP, g * wide - w + OVERLAP, OVERLAP, g * high - h + OVERLAP)
        padded = F.pad(source, around, mode="replicate")
        cut = padded.unfold(2, high + 2 * OVERLAP, high).unfold(3, wide + 2 * OVERLAP, wide)  # n s g g y x
        return cut.permute(0, 2, 3, 1, 4, 5).flatten(1, 3)

    def forward(self, source: Tensor, z: Tensor, vector: Tensor | None) -> Float[Tensor, "n f y x"]:
        """The features of all cells, put back."""
        (h, w), half = source.shape[2:], OVERLAP // 2
        features = self.networks(self.cells(source), z, vector)[..., half:-half, half:-half]
        there = features.unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 4, 2, 5)  # n f g y g x
        return there.flatten(4, 5).flatten(2, 3)[:, :, : h // 2, : w // 2]
