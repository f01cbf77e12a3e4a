"""The network of the primer while it learns: a wide look at a picture, a deep one behind it, and a quick one.

The wide look is one convolution that is not learned by gradient but fitted to paintings in closed form (`Fine.fit`):
its filters are the directions that many whitened patches share (spherical k-means; Coates & Ng 2012), and both signs
of each answer are kept. Pooled, its map tells more of a picture than many a deep network's, and it holds colours and
fine texture. The deep look is a residual network on that map; the two together are the primer's features. Critics need
another: whitening amplifies the finest detail, and a critic behind it learns slowly. The quick look sees the pixels
themselves, and costs a quarter. Both learn from views of paintings (see `learn`).
"""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["THRESHOLD", "Look", "Primer", "folded"]

Look = Literal["deep", "quick"]
Widths = tuple[tuple[int, int], ...]
FINE = 128  # filters of the wide look
DEEP: Widths = ((64, 128), (96, 288), (128, 512))  # channels within and behind each block: maps at 1/4, 1/8 and 1/16
QUICK: Widths = ((0, 32), (32, 128), (64, 256))  # likewise: maps at 1/2, 1/4 and 1/8
THRESHOLD = 0.25  # what an answer of the wide look must exceed, in units of its spread


class Fine(nn.Module):
    """6×6 filters at every other pixel: what exceeds a threshold on either side of zero (Coates & Ng 2012)."""

    def __init__(self, filters: int):
        super().__init__()
        self.conv = nn.Conv2d(4, filters, 6, 2, 2).requires_grad_(False)

    def both(self) -> tuple[Tensor, Tensor]:
        """Weights and biases of the filters, and of their opposites, each less the threshold."""
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        return torch.cat([weight, -weight]), torch.cat([bias, -bias]) - THRESHOLD

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> Float[Tensor, "n c H W"]:
        """H = h / 2, W = w / 2, c: twice as many as the filters."""
        return F.relu_(F.conv2d(x, *self.both(), stride=2, padding=2))

    @torch.no_grad()
    def fit(self, x: Float[Tensor, "n 4 h w"], rng: torch.Generator, patches: int = 120_000, rounds: int = 8) -> None:
        """Set the filters from pictures: whiten their patches, find directions that many patches share."""
        count, size = len(self.conv.weight), self.conv.kernel_size[0]
        rows = F.unfold(x.contiguous(), size, stride=3).transpose(1, 2).reshape(-1, 4 * size**2)
        rows = rows[torch.randperm(len(rows), generator=rng)[:patches]]
        mean = rows.mean(0)
        rows = rows - mean
        power, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
        whiten = axes * (power.clamp(min=0) + 0.1 * power.mean()).rsqrt()
        white = rows @ whiten
        means = F.normalize(white[torch.randperm(len(white), generator=rng)[:count]], dim=1)
        for _ in range(rounds):
            sums = 1e-4 * means
            for part in white.split(20_000):
                answers = part @ means.T
                best = answers.abs().argmax(1)
                sums.index_add_(0, best, part * answers.gather(1, best[:, None]))
            means = F.normalize(sums, dim=1)
        filters = means @ whiten.T
        filters = filters / (rows @ filters.T).std(0)[:, None]
        self.conv.weight.copy_(filters.view_as(self.conv.weight))
        assert self.conv.bias is not None
        self.conv.bias.copy_(-(filters @ mean))


class Halving(nn.Module):
    """Halves a map: two narrow 3×3 convolutions and a wide 1×1 one, beside the mean of four pixels.

    The bottleneck of He et al. 2016 with the shortcut of ResNet-D (He et al. 2019).
    """

    def __init__(self, inside: int, inner: int, outside: int):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(inside, inner, 3, 2, 1, bias=False), nn.BatchNorm2d(inner)
        self.second, self.norm2 = nn.Conv2d(inner, inner, 3, 1, 1, bias=False), nn.BatchNorm2d(inner)
        self.widen, self.norm3 = nn.Conv2d(inner, outside, 1, bias=False), nn.BatchNorm2d(outside)
        self.skip = nn.Conv2d(inside, outside, 1, bias=False)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o H W"]:
        """H = ⌈h / 2⌉, W = ⌈w / 2⌉."""
        y = F.relu(self.norm2(self.second(F.relu(self.norm1(self.first(x))))))
        return F.relu(self.norm3(self.widen(y)) + self.skip(F.avg_pool2d(x, 2, ceil_mode=True)))


class Keeping(nn.Module):
    """A 3×3 convolution beside the map itself (He et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The map, with what its surroundings say added."""
        return F.relu(x + self.norm(self.conv(x)))


class Primer(nn.Module):
    """Pictures → maps of the deep look at 1/4, 1/8 and 1/16 of their size, of the quick look at 1/2, 1/4 and 1/8."""

    def __init__(self, fine: int = FINE, deep: Widths = DEEP, quick: Widths = QUICK):
        super().__init__()
        self.widths: dict[Look, list[int]] = {"deep": [c for _, c in deep], "quick": [c for _, c in quick]}
        self.fine = Fine(fine)
        self.deep = nn.ModuleList(_blocks(2 * fine, deep))
        stem = quick[0][1]
        self.stem, self.norm = nn.Conv2d(4, stem, 4, 2, 1, bias=False), nn.BatchNorm2d(stem)
        self.keep = Keeping(stem)
        self.quick = nn.ModuleList(_blocks(stem, quick[1:]))

    def forward(self, x: Float[Tensor, "n 4 h w"], look: Look) -> list[Tensor]:
        """The learned maps of one look, fine to coarse, every value at least zero.

        x: pictures in [-1, 1], premultiplied, with alpha.
        """
        if look == "deep":
            return self._through(self.deep, self.fine(x))[1:]
        return self._through(self.quick, self.keep(F.relu(self.norm(self.stem(x)))))

    def _through(self, blocks: nn.ModuleList, x: Tensor) -> list[Tensor]:
        maps = [x]
        for block in blocks:
            maps.append(block(maps[-1]))
        return maps


def _blocks(inside: int, widths: Widths) -> Iterator[Halving]:
    for inner, outside in widths:
        yield Halving(inside, inner, outside)
        inside = outside


@torch.no_grad()
def folded(primer: Primer) -> dict[str, Tensor]:
    """The weights and biases of its convolutions, each batch norm taken into the one before it (see `frozen`)."""
    weight, bias = primer.fine.both()
    tensors = {"fine.weight": weight, "fine.bias": bias}

    def fold(name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        tensors[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
        tensors[f"{name}.bias"] = norm.bias - norm.running_mean * scale

    fold("stem", primer.stem, primer.norm)
    fold("keep", primer.keep.conv, primer.keep.norm)
    for look, blocks in (("deep", primer.deep), ("quick", primer.quick)):
        for i, block in enumerate(blocks):
            assert isinstance(block, Halving)
            fold(f"{look}{i}.first", block.first, block.norm1)
            fold(f"{look}{i}.second", block.second, block.norm2)
            fold(f"{look}{i}.widen", block.widen, block.norm3)
            tensors[f"{look}{i}.skip.weight"] = block.skip.weight.clone()
    return tensors
