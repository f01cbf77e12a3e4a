"""A critic that stands on the primer (projected GAN; Sauer et al. 2021), with a light eye for pixels beside it.

The primer is frozen: it tells what is in a picture, and small heads learn from few pictures what is wrong with it.
Its maps are mixed by fixed random convolutions across channels and from coarse to fine (section 3.2 of the paper), so
that no head can rely on a few channels. What the primer overlooks, exact colours and the grain of pixels, a small
network on the picture itself looks after. It sees the pictures as they are, never shifted: a generator leaves its
traces at fixed places of its grid, which are plain only to who knows where the grid lies.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.nn import Match, normalised
from gesso.primer.frozen import Frozen, as_rgba
from gesso.primer.own import OwnNetwork

__all__ = ["PrimerCritic"]

SHARP = 6.0  # how much steeper than the heads the eye for pixels may judge
Part = tuple[slice, slice]
WHOLE: Part = (slice(None), slice(None))
GRID = 8  # pixels between the places where a part may begin: the generator's coarser grids, too, lie alike in each
HEAD = 4  # pixels of a map's side below which a head judges the whole of it


def for_maps(channels: int, halvings: int) -> nn.Sequential:
    """4×4 stride-2 convolutions, and a 3×3 one."""
    layers = [_layer(channels, channels, 4, 2) for _ in range(halvings)]
    return nn.Sequential(*layers, _layer(channels, channels, 3, 1))


def for_pixels(channels: int, width: int) -> nn.Sequential:
    """A judgement at every fourth pixel, from 12 × 12 of them: exact colours, and how fine the grain is."""
    return nn.Sequential(_layer(4 * channels, width // 2, 3, 1), _layer(width // 2, width, 4, 2))


def _layer(inside: int, outside: int, size: int, stride: int) -> nn.Sequential:
    return nn.Sequential(normalised(nn.Conv2d(inside, outside, size, stride, 1), True), nn.LeakyReLU(0.2))


class Head(nn.Module):
    """A map → a judgement at every place that its body leaves."""

    def __init__(self, body: nn.Module, width: int, asked: int):
        super().__init__()
        self.body, self.judge = body, normalised(nn.Conv2d(width, 1, 1), True)
        self.match = Match(asked, width, True) if asked else None

    def forward(self, x: Float[Tensor, "n c h w"], vector: Float[Tensor, "n d"] | None) -> Float[Tensor, "n k"]:
        """k: places of the last map. What is asked for enters by projection (Miyato & Koyama 2018, eq. 3)."""
        x = self.body(x)
        y = self.judge(x)
        if self.match is not None:
            y = y + (x * self.match(vector)[:, :, None, None]).sum(1, keepdim=True)
        return y.flatten(1)


class PrimerCritic(nn.Module):
    """Judgements at every scale of the primer, and of pixels.

    primer: Gesso's, or a network of the user's own. width: channels that its coarsest map is mixed to, half as many for
    each finer one. pixels: channels of the eye for pixels, 0 for none. size: height and width of the pictures, of which
    a judgement at every place of every head comes back, as one row. asked: a network whose answer to the conditions,
    where there are some, has a `vector` of `width` numbers.
    """

    def __init__(
        self,
        primer: Frozen | OwnNetwork,
        size: tuple[int, int],
        channels: int,
        width: int,
        pixels: int,
        asked: nn.Module | None = None,
    ):
        super().__init__()
        self.primer, self.asked = primer, asked
        vector = width if asked is not None else 0
        rng = torch.Generator().manual_seed(0)  # the mixing is the same in every run, and is not learned
        widths = [width >> i for i in reversed(range(len(primer.widths)))]  # fewer, the finer the map
        for i, (c, to) in enumerate(zip(primer.widths, widths, strict=True)):
            self._fix(f"mix{i}", c, to, rng, primer.spreads[i])
            if i + 1 < len(widths):
                self._fix(f"lift{i}", widths[i + 1], to, rng, 1.0)
        heads: list[nn.Module] = []
        for stride, to in zip(primer.strides, widths, strict=True):
            halvings, side = 0, min(size) // stride
            while side > HEAD and side % 2 == 0:
                side, halvings = side // 2, halvings + 1
            heads.append(Head(for_maps(to, halvings), to, vector))
        self.heads = nn.ModuleList(heads)
        self.eye = Head(for_pixels(channels, pixels), pixels, vector) if pixels else None

    def _fix(self, name: str, inside: int, outside: int, rng: torch.Generator, spread: float) -> None:
        weight = torch.randn(outside, inside, 1, 1, generator=rng) / (inside**0.5 * spread)
        self.register_buffer(name, weight, persistent=False)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> list[Float[Tensor, "n _"]]:
        """The judgements of each head, on pictures in [-1, 1]."""
        return self.judge(self.see(x, x), *given)

    def part(self, x: Float[Tensor, "n c h w"], rng: torch.Generator) -> Part:
        """Which quarter of the pictures those heads see in one step that look closest, at a quarter of the cost.

        It begins at a multiple of GRID pixels.
        """
        sides = [max(side // 4, 2) * 2 for side in x.shape[2:]]
        room = [(side - inside) // GRID + 1 for side, inside in zip(x.shape[2:], sides, strict=True)]
        firsts = [GRID * int(torch.randint(places, (), generator=rng, device=rng.device)) for places in room]
        rows, columns = (slice(first, first + side) for first, side in zip(firsts, sides, strict=True))
        return rows, columns

    def see(self, x: Float[Tensor, "n c h w"], plain: Float[Tensor, "n c h w"], part: Part = WHOLE) -> list[Tensor]:
        """What the heads look at: the primer's maps, mixed, and pixels in cells of 2 × 2. Nothing in here learns.

        x: for the primer; plain: the same pictures before any augmentation, for the eye. part: the rows and columns
        that are shown to the head on the finest map and to the eye.
        """
        rows, columns = part
        maps = self.primer(as_rgba(x))
        mixed = [F.conv2d(seen, self.get_buffer(f"mix{i}")) for i, seen in enumerate(maps)]
        for i in reversed(range(len(mixed) - 1)):
            above = F.conv2d(mixed[i + 1], self.get_buffer(f"lift{i}"))
            mixed[i] = mixed[i] + F.interpolate(above, size=mixed[i].shape[2:])
        mixed[0] = mixed[0][:, :, _halved(rows), _halved(columns)]
        return [*mixed, SHARP * F.pixel_unshuffle(plain[:, :, rows, columns], 2)] if self.eye else mixed

    def judge(self, seen: Sequence[Tensor], *given: Tensor) -> list[Float[Tensor, "n _"]]:
        """The judgements of each head on what `see` gave. given: the conditions, one row a picture."""
        heads = [*self.heads, self.eye] if self.eye else self.heads
        vector = self.asked(*given).vector if self.asked is not None else None
        return [head(x, vector) for head, x in zip(heads, seen, strict=True)]


def _halved(stretch: slice) -> slice:
    return slice(*(None if end is None else end // 2 for end in (stretch.start, stretch.stop)))
