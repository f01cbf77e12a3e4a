"""What rebuilt pictures are judged by, autoencoders' parts, and the learned prior."""

import pytest
import torch
from torch import nn

from gesso.nn.autoencode import Looking, Painting, shrinkage
from gesso.nn.coupling import Couplings
from gesso.reconstruction import Likeness, Rebuilding, patch_critic


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("asked", [0, 3])
def test_couplings_come_back_and_know_their_density(asked):
    """Against the determinant of the Jacobian, by automatic differentiation."""
    torch.manual_seed(0)
    prior = Couplings(7, 4, hidden=16, asked=asked)
    e, vector = torch.randn(5, 7), torch.randn(5, asked) if asked else None
    torch.testing.assert_close(prior(e, vector), e[:, compose(prior)])  # at first it only reorders
    for p in prior.parameters():
        nn.init.normal_(p, 0, 0.3)
    x = prior(e, vector)
    back, density = prior.whence(x, vector)
    torch.testing.assert_close(back, e, atol=1e-5, rtol=0)
    for i in range(2):
        told = None if vector is None else vector[i : i + 1]
        jacobian = torch.func.jacrev(lambda one, told=told: prior(one[None], told)[0])(e[i])
        expected = torch.distributions.Normal(0, 1).log_prob(e[i]).sum() - jacobian.slogdet()[1]
        torch.testing.assert_close(density[i], expected, atol=1e-4, rtol=1e-4)


def compose(prior):
    order = torch.arange(7)
    for step in prior.get_buffer("orders"):
        order = order[step]
    return order


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_the_critic_has_the_share_that_it_is_given(share):
    """Slopes at the picture: with it, less without it, are `share` times as long as without it."""
    torch.manual_seed(0)
    plain, judged = Rebuilding(perceptual=0.0, adversarial=0.0), Rebuilding(perceptual=0.0, adversarial=share)
    critic = patch_critic(judged, 3, 16, 16)["critic"]
    assert not patch_critic(plain, 3, 16, 16)
    real, made = (torch.rand(4, 3, 16, 16, generator=seeded(s)) * 2 - 1 for s in (1, 2))
    slopes = []
    for config, judge in ((plain, None), (judged, critic)):
        at = made.clone().requires_grad_()
        losses = Likeness(config)(real, at, judge)
        total = torch.stack([loss for loss in losses.values() if loss.requires_grad]).sum()
        slopes.append(torch.autograd.grad(total, at)[0])
    apart = slopes[1] - slopes[0]
    assert float(apart.norm() / slopes[0].norm()) == pytest.approx(share, rel=1e-3)


def test_the_critic_learns_from_its_own_loss_alone():
    torch.manual_seed(0)
    config = Rebuilding(perceptual=0.0, adversarial=0.5)
    critic = patch_critic(config, 3, 16, 16)["critic"]
    real, made = (torch.rand(4, 3, 16, 16, generator=seeded(s)) for s in (1, 2))
    losses = Likeness(config)(real, made.requires_grad_(), critic)
    grads = torch.autograd.grad(losses["likeness"], [*critic.parameters()], retain_graph=True, allow_unused=True)
    assert all(g is None for g in grads)
    assert float(losses["likeness"].detach()) == pytest.approx(float(losses["pixels"]))
    losses["critic"].backward()
    assert made.grad is None
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in critic.parameters())


@pytest.mark.parametrize(
    ("height", "width", "side", "shrink"),
    [(32, 32, 8, 4), (64, 64, 8, 8), (16, 24, 8, 2), (64, 48, 8, 8), (30, 30, 8, 2)],
)
def test_maps_of_about_the_side_that_is_wanted(height, width, side, shrink):
    assert shrinkage(height, width, side) == shrink
    looking, painting = Looking(3, 8, shrink, 5), Painting(3, 8, shrink, 5)
    x = torch.rand(2, 3, height, width)
    seen = looking(x)
    assert seen.shape == (2, 5, height // shrink, width // shrink)
    assert painting(seen).shape == x.shape


def test_the_primer_looks_from_another_place_every_time():
    """Pictures that are the same stay so; others differ by other figures, which the generator alone decides."""
    torch.manual_seed(0)
    likeness = Likeness(Rebuilding())
    real, made = (torch.rand(2, 3, 32, 32, generator=seeded(s)) * 2 - 1 for s in (1, 2))
    assert float(likeness(real, real, rng=seeded(5))["perceptual"]) == 0
    rng = seeded(5)
    figures = [float(likeness(real, made, rng=rng)["perceptual"]) for _ in range(6)]
    assert len(set(figures)) > 3
    assert float(likeness(real, made, rng=seeded(5))["perceptual"]) == figures[0]
    assert likeness(real, made, rng=seeded(5))["pixels"] == likeness(real, made)["pixels"]
