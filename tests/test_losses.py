"""Closed forms and reference implementations for the mathematics."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gesso.losses import ADVERSARIAL, gaussian_kl, generator_share, gradient_penalty, r1_penalty

REAL, FAKE = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([-0.7, 0.4, 1.1])


def log_sigmoid(x):
    return math.log(1 / (1 + math.exp(-x)))


@pytest.mark.parametrize(("r", "f"), list(zip(REAL.tolist(), FAKE.tolist(), strict=True)))
def test_games_are_the_papers_equations(r, f):
    real, fake = torch.tensor([r], dtype=torch.float64), torch.tensor([f], dtype=torch.float64)
    expected = {
        "minimax": (-log_sigmoid(r) - math.log(1 - 1 / (1 + math.exp(-f))), math.log(1 - 1 / (1 + math.exp(-f)))),
        "non-saturating": (-log_sigmoid(r) - math.log(1 - 1 / (1 + math.exp(-f))), -log_sigmoid(f)),
        "hinge": (max(0, 1 - r) + max(0, 1 + f), -f),
        "wasserstein": (f - r, -f),
        "relativistic": (-log_sigmoid(r - f), -log_sigmoid(f - r)),
    }
    assert set(expected) == set(ADVERSARIAL)
    for name, (critic, generator) in expected.items():
        game = ADVERSARIAL[name]
        assert game.critic(real, fake).item() == pytest.approx(critic, rel=1e-9)
        assert game.generator(real, fake).item() == pytest.approx(generator, rel=1e-9)


@pytest.mark.parametrize("name", ["minimax", "non-saturating", "wasserstein", "relativistic"])
def test_one_backward_pass_serves_both(name):
    """The generator's gradient through the shared pass equals that of its own loss in a pass of its own."""
    from gesso.nn import scale_gradient

    game = ADVERSARIAL[name]
    critic = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 36, 1)).double()
    real, fake = torch.randn(5, 3, 8, 8, dtype=torch.float64), torch.randn(5, 3, 8, 8, dtype=torch.float64)

    alone = fake.clone().requires_grad_()
    game.generator(critic(real)[:, 0].detach(), critic(alone)[:, 0]).mean().backward()
    critic.zero_grad()
    game.critic(critic(real)[:, 0], critic(fake)[:, 0]).mean().backward()
    of_critic = [p.grad.clone() for p in critic.parameters()]
    critic.zero_grad()

    together = fake.clone().requires_grad_()
    share: list[torch.Tensor] = []
    judged = critic(torch.cat([real, scale_gradient(together, share)]))[:, 0]
    share.append(generator_share(game, *judged.chunk(2)))
    game.critic(*judged.chunk(2)).mean().backward()
    torch.testing.assert_close(together.grad, alone.grad, rtol=1e-5, atol=1e-9)
    for p, expected in zip(critic.parameters(), of_critic, strict=True):
        torch.testing.assert_close(p.grad, expected)


def test_r1_of_a_linear_critic_is_its_squared_weight():
    weight = torch.randn(3 * 4 * 4)
    penalty = r1_penalty(lambda x: x.flatten(1) @ weight, torch.randn(6, 3, 4, 4))
    torch.testing.assert_close(penalty, weight.square().sum().expand(6))


def test_r1_of_a_quadratic_critic():
    x = torch.randn(6, 3, 4, 4)
    penalty = r1_penalty(lambda x: x.square().sum((1, 2, 3)), x)
    torch.testing.assert_close(penalty, 4 * x.square().sum((1, 2, 3)))


def test_gradient_penalty_vanishes_for_a_critic_of_slope_one():
    weight = F.normalize(torch.randn(48), dim=0)
    rng = torch.Generator().manual_seed(0)
    critics = {1.0: lambda x: x.flatten(1) @ weight, 3.0: lambda x: 3 * x.flatten(1) @ weight}
    for slope, critic in critics.items():
        penalty = gradient_penalty(critic, torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), rng)
        torch.testing.assert_close(penalty, torch.full((5,), (slope - 1) ** 2), rtol=1e-4, atol=1e-6)


def test_gaussian_kl_agrees_with_torch():
    mean, log_variance = torch.randn(4, 7), torch.randn(4, 7)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)
