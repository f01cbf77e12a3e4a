"""The network of the primer while it learns: a wide shallow look at a picture, and a narrow deep one.

The wide look is one convolution that is not learned by gradient but fitted to paintings in closed form (`Fine.fit`):
its filters are the directions that many whitened patches share (spherical k-means; Coates & Ng 2012), and both signs
of each answer are kept. Pooled, its map tells more of a picture than many a deep network's, and it holds colours and
fine texture. The deep look is a small residual network that learns from views of paintings (see `learn`).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["FINE", "INNER", "THRESHOLD", "WIDTHS", "Primer", "both_signs", "folded"]

FINE = 128  # filters of the wide look
WIDTHS = (32, 128, 288)  # channels of the deep look's maps at 1/2, 1/4 and 1/8 of a picture's size
INNER = (64, 96)  # channels within the blocks that halve
THRESHOLD = 0.25  # what an answer of the wide look must exceed, in units of its spread


def both_signs(y: Float[Tensor, "n c h w"]) -> Float[Tensor, "n C h w"]:
    """What exceeds the threshold above zero, then what does below."""
    return torch.cat([F.relu(y - THRESHOLD), F.relu(-y - THRESHOLD)], 1)


class Fine(nn.Module):
    """6×6 filters at every other pixel: what exceeds a threshold on either side of zero (Coates & Ng 2012)."""

    def __init__(self, filters: int):
        super().__init__()
        self.conv = nn.Conv2d(4, filters, 6, 2, 2).requires_grad_(False)

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> Float[Tensor, "n c H W"]:
        """H = h / 2, W = w / 2, c: twice as many as the filters."""
        return both_signs(self.conv(x))

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


class Keeping(nn.Module):
    """A 3×3 convolution beside the map itself (He et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The map, with what its surroundings say added."""
        return F.relu(x + self.norm(self.conv(x)))


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


class Primer(nn.Module):
    """Pictures → maps of features at 1/2, 1/4 and 1/8 of their size, every value at least zero."""

    def __init__(self, fine: int = FINE, widths: tuple[int, ...] = WIDTHS, inner: tuple[int, ...] = INNER):
        super().__init__()
        self.widths = widths
        self.fine = Fine(fine)
        self.stem, self.norm = nn.Conv2d(4, widths[0], 4, 2, 1, bias=False), nn.BatchNorm2d(widths[0])
        self.keep = Keeping(widths[0])
        self.blocks = nn.ModuleList(Halving(a, m, b) for a, m, b in zip(widths, inner, widths[1:], strict=False))

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> list[Tensor]:
        """The deep look's maps, fine to coarse. x: pictures in [-1, 1], premultiplied, with alpha."""
        maps = [self.keep(F.relu(self.norm(self.stem(x))))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps


@torch.no_grad()
def folded(primer: Primer) -> dict[str, Tensor]:
    """The weights and biases of its convolutions, each batch norm taken into the one before it (see `frozen`)."""
    assert primer.fine.conv.bias is not None
    tensors = {"fine.weight": primer.fine.conv.weight.clone(), "fine.bias": primer.fine.conv.bias.clone()}

    def fold(name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        tensors[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
        tensors[f"{name}.bias"] = norm.bias - norm.running_mean * scale

    fold("stem", primer.stem, primer.norm)
    fold("keep", primer.keep.conv, primer.keep.norm)
    for i, block in enumerate(primer.blocks):
        assert isinstance(block, Halving)
        fold(f"block{i}.first", block.first, block.norm1)
        fold(f"block{i}.second", block.second, block.norm2)
        fold(f"block{i}.widen", block.widen, block.norm3)
        tensors[f"block{i}.skip.weight"] = block.skip.weight.clone()
    return tensors
