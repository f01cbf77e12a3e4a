"""Adversarial losses and gradient penalties: one unweighted value a picture; the caller averages and weighs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Judgement = Float[Tensor, " n"]
Critic = Callable[[Tensor], Tensor]


class Adversarial(NamedTuple):
    """A game of two: what the critic and what the generator minimise, from the judgements of real and made pictures."""

    critic: Callable[[Judgement, Judgement], Judgement]
    generator: Callable[[Judgement, Judgement], Judgement]


MINIMAX = Adversarial(  # Goodfellow et al. 2014, eq. 1
    critic=lambda real, fake: F.softplus(-real) + F.softplus(fake),
    generator=lambda real, fake: -F.softplus(fake),
)
NON_SATURATING = Adversarial(  # Goodfellow et al. 2014, section 3
    critic=MINIMAX.critic,
    generator=lambda real, fake: F.softplus(-fake),
)
HINGE = Adversarial(  # Lim & Ye 2017; Miyato et al. 2018, eqs. 16 and 17
    critic=lambda real, fake: F.relu(1 - real) + F.relu(1 + fake),
    generator=lambda real, fake: -fake,
)
WASSERSTEIN = Adversarial(  # Arjovsky et al. 2017, eq. 3
    critic=lambda real, fake: fake - real,
    generator=lambda real, fake: -fake,
)
RELATIVISTIC = Adversarial(  # Jolicoeur-Martineau 2018, section 4.1, on pairs; Huang et al. 2024, eq. 2
    critic=lambda real, fake: F.softplus(fake - real),
    generator=lambda real, fake: F.softplus(real - fake),
)

ADVERSARIAL: dict[str, Adversarial] = {
    "minimax": MINIMAX,
    "non-saturating": NON_SATURATING,
    "hinge": HINGE,
    "wasserstein": WASSERSTEIN,
    "relativistic": RELATIVISTIC,
}


def generator_share(game: Adversarial, real: Judgement, fake: Judgement) -> Judgement:
    """The generator's gradient at each made picture, as a multiple of the critic's.

    Both losses reach a made picture through the same judgement, so one backward pass through the critic
    serves both networks: ∂L_G/∂x = (∂L_G/∂D) / (∂L_C/∂D) · ∂L_C/∂x. Exact only where the critic couples no
    samples of a batch, and where ∂L_C/∂D ≠ 0 (not for a saturated hinge).
    """
    with torch.enable_grad():
        real, fake = real.detach().float(), fake.detach().float().requires_grad_()
        (critic,) = torch.autograd.grad(game.critic(real, fake).sum(), fake)
        (generator,) = torch.autograd.grad(game.generator(real, fake).sum(), fake)
    return generator / torch.where(critic.abs() < 1e-12, torch.full_like(critic, 1e-12), critic)


@torch.no_grad()
def rightly_ranked(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """Share of all pairs of a real and a made picture in which the real one is judged the more real; a tie is half.

    1 for a critic that is never wrong, 0.5 for one that guesses: the area under its ROC curve (Mann & Whitney 1947),
    which needs no judgement that means "as likely as not", and so suits every game.
    """
    apart = real[:, None] - fake[None]
    return (apart.sign().mean() + 1) / 2


def led_past(loss: Tensor, stops: Sequence[Tensor], ways: Sequence[Tensor]) -> Tensor:
    """The loss, whose gradients at `stops` flow on into `ways` and into nothing else.

    So one pass through a critic serves two losses, and the networks between do not learn from this one. stops: leaves
    of the graph, n … each. ways: for each stop the same values, or the last m of them, with a history.
    """
    lift = 4096  # a power of two, so exact; in float16 small slopes would be lost
    slopes = torch.autograd.grad(lift * loss, stops, retain_graph=True)
    onward = [(way * (slope[-len(way) :] / lift)).sum() for way, slope in zip(ways, slopes, strict=True)]
    flow = torch.stack(onward).sum()
    return loss.detach() + flow - flow.detach()


def _squared_gradient(critic: Critic, images: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, " n"], Tensor]:
    images = images.detach().requires_grad_()
    judgement = critic(images)
    (gradient,) = torch.autograd.grad(judgement.sum(), images, create_graph=True)
    return gradient.float().square().sum((1, 2, 3)), judgement


def r1_penalty(critic: Critic, real: Float[Tensor, "n c h w"]) -> Judgement:
    """Squared gradient norm of the critic at real images (R1; Mescheder et al. 2018, eq. 9).

    real: pixels in [-1, 1]. At made images the same is R2 (eq. 10). Returns one unweighted value per image;
    the caller multiplies by gamma / 2. Needs a double backward: keep fused kernels out of the critic.
    """
    return _squared_gradient(critic, real)[0]


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> Judgement:
    """Squared distance of the gradient norm from one, between real and made images (Gulrajani et al. 2017, eq. 3).

    real, fake: n c h w pixels in [-1, 1]. Returns one unweighted value per pair; the paper's weight is 10.
    """
    mix = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
    squared, _ = _squared_gradient(critic, torch.lerp(real, fake.detach(), mix))
    return ((squared + 1e-12).sqrt() - 1).square()


def gaussian_kl(mean: Float[Tensor, "n d"], log_variance: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Divergence (Kullback–Leibler) of N(mean, variance) from N(0, 1), a dimension (Kingma & Welling 2014, app. B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
