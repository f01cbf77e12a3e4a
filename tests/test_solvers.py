"""Solvers against equations whose solutions are known."""

import math
from itertools import pairwise

import pytest
import torch

from gesso.solvers import SOLVERS, adaptive, euler, heun


def falls(x, t):
    """dx/dt = -x cos t, whose solution is x(0) exp(-sin t)."""
    return -x * torch.cos(t)[:, None]


def last(stream):
    *_, x = stream
    return x


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (heun, 2)])
def test_errors_fall_with_the_order(solver, order):
    """Twice the steps, 2^order times less error; forwards and backwards."""
    x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    for begin, end in ((0.0, 1.5), (1.5, 0.0)):
        truth = x * math.exp(-math.sin(end) + math.sin(begin))
        errors = [(last(solver(falls, x, begin, end, n)) - truth).abs().max().item() for n in (32, 64, 128)]
        for one, two in pairwise(errors):
            assert math.log2(one / two) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("begin", "end"), [(0.0, 1.5), (1.5, 0.0)])
def test_an_adaptive_solver_keeps_to_its_tolerance(begin, end):
    x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    truth = x * math.exp(-math.sin(end) + math.sin(begin))
    errors, steps = [], []
    for tolerance in (1e-2, 1e-4, 1e-6):
        states = [*adaptive(falls, x, begin, end, tolerance)]
        errors.append((states[-1] - truth).abs().max().item())
        steps.append(len(states))
        assert errors[-1] < 10 * tolerance
    assert steps == sorted(steps)
    assert math.log(errors[0] / errors[2]) / math.log(steps[2] / steps[0]) > 2  # of third order, about


def test_pictures_do_not_wait_for_each_others_steps():
    """A stiff one beside an easy one: each comes out as it does alone."""
    speed = torch.tensor([[0.5], [40.0]], dtype=torch.float64)
    x = torch.ones(2, 1, dtype=torch.float64)
    both = last(adaptive(lambda y, t: -speed * y, x, 0.0, 1.0, 1e-3))
    for i in range(2):
        alone = last(adaptive(lambda y, t, i=i: -speed[i : i + 1] * y, x[:1], 0.0, 1.0, 1e-3))
        torch.testing.assert_close(both[i : i + 1], alone)
    torch.testing.assert_close(both, (-speed).exp(), atol=3e-3, rtol=0)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_constant_velocity_is_followed_exactly(name):
    x, how = torch.randn(3, 2, 4, 4), 1e-2 if name == "adaptive" else 7
    torch.testing.assert_close(last(SOLVERS[name](lambda y, t: torch.ones_like(y), x, 1.0, 0.0, how)), x - 1)
