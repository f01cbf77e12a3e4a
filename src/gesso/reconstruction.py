"""How far pictures that were put together again are from what they were: pixel by pixel, to the eye, and to a critic.

For every network that looks at a picture and draws it again. Errors of pixels alone make soft pictures, since they
prefer the mean of all that might be there; what the primer sees, and a critic of patches, want one of them (Larsen et
al. 2016; Esser et al. 2021, section 3.1).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.losses import ADVERSARIAL
from gesso.nn.patches import PatchCritic
from gesso.options import Field, Options
from gesso.primer.distance import Distance

__all__ = ["SMALL", "Likeness", "Rebuilding", "patch_critic"]

GAME = ADVERSARIAL["hinge"]
LIFT = 4096.0
SMALL = 8  # pictures of a step that suit networks which only rebuild: many steps teach them more than large ones


class Rebuilding(Options):
    """Choices of what rebuilt pictures are judged by, beside the errors of their pixels."""

    perceptual: float = Field(default=0.5, ge=0, description="Weight of how unlike pictures look to the primer.")
    adversarial: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="How much a critic of patches has to say, as a share of all else; 0: there is none.",
    )
    critic_from: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Share of the time after which the critic is heard; before, it would mislead.",
    )

    def heard(self, share: float) -> tuple[str, ...]:
        """The critic's part, once it is heard. share: of the time in which rebuilding is learned, that is over."""
        return ("critic",) if self.adversarial and share >= self.critic_from else ()


def patch_critic(config: Rebuilding, channels: int, height: int, width: int) -> dict[str, nn.Module]:
    """The part of a family that judges, as far as one is wanted: of 32 channels, at as many scales as have patches."""
    scales = 1 if min(height, width) < 32 else 2
    return {"critic": PatchCritic(channels, 32, scales, None, 0)} if config.adversarial else {}


class Likeness(nn.Module):
    """Real pictures and rebuilt ones → named losses of both networks, the one that rebuilds and its critic."""

    def __init__(self, config: Rebuilding):
        super().__init__()
        self.config = config
        self.distance = Distance(look="quick") if config.perceptual else None

    def forward(
        self,
        real: Float[Tensor, "n c h w"],
        made: Float[Tensor, "n c h w"],
        critic: nn.Module | None = None,
        errors: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """errors: the loss of pixels, of a made and a real picture. rng: moves the places at which the primer looks.

        One pass through the critic serves both networks. What it says to the one that rebuilds is scaled at every
        batch, so that its slopes at the pictures are as long as `adversarial` says beside those of all else (after
        Esser et al. 2021, eq. 7, which measures them at the last layer).
        """
        if critic is None:
            return self._unlike(real, made.float(), errors, rng)
        seen = made.detach().float().requires_grad_()
        unlike = self._unlike(real, seen, errors, rng)
        judged = critic(torch.cat([real, seen]))
        of_real, of_made = (torch.cat([m.float().flatten(1) for m in half], 1) for half in _halves(judged))
        wanted = _slope(torch.stack([*unlike.values()]).sum(), seen)
        away = _slope(GAME.generator(of_real, of_made).mean(), seen)
        share = self.config.adversarial * wanted.norm() / away.norm().clamp(min=1e-12)
        moved = (made.float() * (wanted + share * away)).sum()
        return {
            **{name: loss.detach() for name, loss in unlike.items()},
            "likeness": moved - moved.detach() + torch.stack([*unlike.values()]).sum().detach(),
            "critic": GAME.critic(of_real, of_made).mean(),
        }

    def _unlike(
        self, real: Tensor, made: Tensor, errors: Callable[[Tensor, Tensor], Tensor], rng: torch.Generator | None
    ) -> dict[str, Tensor]:
        unlike = {"pixels": errors(made, real)}
        if self.distance is not None:
            unlike["perceptual"] = self.config.perceptual * self.distance(made, real, rng).mean()
        return unlike


def _halves(judged: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What is said of the first half of a batch, and of the second."""
    pairs = [m.chunk(2) for m in judged]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _slope(loss: Tensor, at: Tensor) -> Tensor:
    """Lifted by a power of two on its way back, without which small slopes would be lost in float16."""
    return torch.autograd.grad(LIFT * loss, at, retain_graph=True)[0] / LIFT
