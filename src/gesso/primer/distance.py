"""How unlike two pictures look, by what the primer sees in them.

Maps are scaled to length one at each place, and the squares of their differences are weighed channel by channel (Zhang
et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", eq. 1). People's judgements,
which the paper learns the weights from, Gesso has none of; its weights learn to put paintings that are spoilt in any
way (see `distort`) in the order of how badly they are.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.errors import GessoError
from gesso.primer.distort import KINDS, distort
from gesso.primer.frozen import Frozen, as_rgba, load
from gesso.primer.network import Look
from gesso.primer.own import OwnNetwork

__all__ = ["Distance", "differences", "spoilt", "weigh"]

GRID = 8  # pixels after which the places repeat, of those maps that a quick look takes


class Distance(nn.Module):
    """Pairs of pictures → how unlike they look: 0 for equal ones, the same both ways round, with gradients.

    primer: Gesso's unless given; nothing in it learns. look: the deep one sees more, the quick one is cheaper, for
    losses. A network of the user's own has but one, and no learned weights: there every channel counts the same, and
    so do all maps.
    """

    look: Look

    def __init__(self, primer: Frozen | OwnNetwork | None = None, look: Look = "deep"):
        super().__init__()
        self.primer, self.look = primer or load(), look
        widths = self.primer.widths
        even = torch.ones(sum(widths)) / len(widths)
        weights = even if isinstance(self.primer, OwnNetwork) else self.primer.get_buffer(f"unlike_{look}")
        self.register_buffer("weights", weights, persistent=False)

    def forward(
        self, x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"], rng: torch.Generator | None = None
    ) -> Float[Tensor, " n"]:
        """Of pictures in [-1, 1], of 1, 3 or 4 channels (alpha premultiplied), from 16 pixels.

        rng: moves both by a few pixels, round the edges. The primer looks at every second or third place, and what
        learns to please it at always the same places gets a grain that repeats with them.

        Raises GessoError where the shapes differ, and for pictures that the primer cannot look at.
        """
        if rng is not None:
            by = torch.randint(GRID, (2,), generator=rng, device=rng.device).tolist()
            x, y = x.roll(by, (2, 3)), y.roll(by, (2, 3))
        return differences(self.primer, x, y, self.look) @ self.get_buffer("weights")


def differences(
    primer: Frozen | OwnNetwork, x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"], look: Look = "deep"
) -> Float[Tensor, "n d"]:
    """The mean squared difference of each channel of each map, scaled to length one at each place."""
    if x.shape != y.shape:
        raise GessoError(
            f"Pictures of {_size(x)} and of {_size(y)} cannot be compared.", "Bring both to one size and one form."
        )
    maps, means = primer if look == "quick" else primer.maps, []
    for a, b in zip(_directions(maps, x), _directions(maps, y), strict=True):
        means.append((a - b).square().mean((2, 3)))
    return torch.cat(means, 1)


def _directions(maps: Callable[[Tensor], list[Tensor]], x: Tensor) -> Iterator[Tensor]:
    """The maps, scaled to length one at each place."""
    for m in maps(as_rgba(x).contiguous(memory_format=torch.channels_last)):
        m = m.float()
        yield m * (m.square().sum(1, keepdim=True) + 1e-6).rsqrt()


def _size(x: Tensor) -> str:
    return f"{x.shape[3]}×{x.shape[2]} pixels, {x.shape[1]} channels"


@torch.no_grad()
def spoilt(
    primer: Frozen, look: Look, x: Float[Tensor, "n 3 h w"], times: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`differences` of each picture from itself spoilt so many times (n times d), and how badly (n times)."""
    kinds, n = list(KINDS), len(x)
    strength = torch.rand(times, n, generator=rng)
    rows = []
    for turn in range(times):
        kind = torch.randint(len(kinds), (n,), generator=rng)
        bad = x.clone()
        for i, name in enumerate(kinds):
            some = kind == i
            if some.any():
                bad[some] = distort(x[some], name, strength[turn, some], rng)
        parts = zip(x.split(100), bad.split(100), strict=True)
        rows.append(torch.cat([differences(primer, a, b, look) for a, b in parts]))
    return torch.stack(rows, 1), strength.T


@torch.enable_grad()
def weigh(unlike: Float[Tensor, "n t d"], strength: Float[Tensor, "n t"], steps: int = 400) -> Float[Tensor, " d"]:
    """Weights, none below zero, by which of two spoilt pictures the worse one is the farther (logistic ranking)."""
    spread = unlike.mean((0, 1))
    spread = spread.clamp(min=1e-2 * float(spread.mean()))  # what hardly ever answers must not count for much
    unlike = unlike / spread
    log = torch.zeros(unlike.shape[-1], requires_grad=True)
    optimizer = torch.optim.Adam([log], 0.05)
    worse = (strength[:, :, None] - strength[:, None]) > 0.1
    for _ in range(steps):
        far = (unlike @ log.exp() + 1e-9).log()
        lead = (far[:, :, None] - far[:, None])[worse]
        loss = F.softplus(-4 * lead).mean() + 1e-3 * log.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = log.detach().exp() / spread
    return weights / (unlike * spread @ weights).mean()
