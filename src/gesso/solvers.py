"""Ways to follow a velocity from one time to another: solvers of ordinary differential equations dx/dt = v(x, t).

Each is a stream of states, of which the last is the answer. Times are one a picture, and no picture's steps depend on
those of another.
"""

from collections.abc import Callable, Iterator
from math import gcd
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["SOLVERS", "Method", "Velocity", "adaptive", "constrained", "euler", "heun"]

Velocity = Callable[[Float[Tensor, "n *p"], Float[Tensor, " n"]], Float[Tensor, "n *p"]]
Method = Literal["euler", "heun", "adaptive"]

GOLDEN = 0.618
LONGEST = 5.0  # times that a step may grow at once, and shrink
SAFE = 0.9
MOST = 500  # steps after which an adaptive solver gives up getting nearer


def _times(x: Tensor, value: float) -> Float[Tensor, " n"]:
    return torch.full((len(x),), value, device=x.device, dtype=x.dtype)


def euler(
    v: Velocity, x: Float[Tensor, "n *p"], begin: float, end: float, steps: int
) -> Iterator[Float[Tensor, "n *p"]]:
    """Steps along the velocity where they begin; the error falls with the first power of their length (Euler 1768)."""
    h = (end - begin) / steps
    for i in range(steps):
        x = x + h * v(x, _times(x, begin + i * h))
        yield x


def heun(
    v: Velocity, x: Float[Tensor, "n *p"], begin: float, end: float, steps: int
) -> Iterator[Float[Tensor, "n *p"]]:
    """Steps along the mean of the velocities at both of their ends; of second order (Heun 1900).

    Two looks at the velocity a step.
    """
    h = (end - begin) / steps
    for i in range(steps):
        first = v(x, _times(x, begin + i * h))
        second = v(x + h * first, _times(x, begin + (i + 1) * h))
        x = x + 0.5 * h * (first + second)
        yield x


def adaptive(
    v: Velocity, x: Float[Tensor, "n *p"], begin: float, end: float, tolerance: float = 1e-2
) -> Iterator[Float[Tensor, "n *p"]]:
    """Steps as long as the error allows: of third order, with one of second order inside (Bogacki & Shampine 1989).

    tolerance: of a step's error, absolute and relative, as a root mean square over a picture. Each picture has a time
    and a step of its own; one that has arrived waits for the others.
    """
    shape = (-1, *[1] * (x.dim() - 1))
    t, h = _times(x, begin), _times(x, (end - begin) / 8)
    way = 1.0 if end > begin else -1.0
    k1 = v(x, t)
    for _ in range(MOST):
        left = (end - t) * way
        if not (left > 1e-6).any():
            return
        h = way * torch.minimum(h.abs(), left.clamp(min=0))
        s = h.reshape(shape)
        k2 = v(x + 0.5 * s * k1, t + 0.5 * h)
        k3 = v(x + 0.75 * s * k2, t + 0.75 * h)
        y = x + s * (2 * k1 + 3 * k2 + 4 * k3) / 9
        k4 = v(y, t + h)
        error = s * (-5 / 72 * k1 + k2 / 12 + k3 / 9 - k4 / 8)
        allowed = tolerance * (1 + torch.maximum(x.abs(), y.abs()))
        size = (error / allowed).square().flatten(1).mean(1).sqrt()
        good = size <= 1
        kept = good.reshape(shape)
        x, k1, t = torch.where(kept, y, x), torch.where(kept, k4, k1), torch.where(good, t + h, t)
        h = h * (SAFE * size.clamp(min=1e-9) ** (-1 / 3)).clamp(1 / LONGEST, LONGEST)
        h = torch.where(h == 0, way * torch.full_like(h, 1e-3), h)
        yield x


def constrained(
    v: Velocity,
    x: Float[Tensor, "n *p"],
    luck: Float[Tensor, "n *p"],
    fitted: Callable[[Float[Tensor, "n *p"], float], Float[Tensor, "n *p"]],
    begin: float,
    steps: int,
    fresh: float = 0.85,
) -> Iterator[Float[Tensor, "n *p"]]:
    """From time `begin` to pictures of which something is known: what each step aims at is fitted to that.

    For straight lines between pictures (time 0) and noise (time 1), after Wang et al. 2023 ("DDNM", algorithm 1).
    fitted: the nearest pictures in which everything is as it is known, and the time for which they are wanted. fresh:
    share of the noise that each step draws anew; it is `luck`, moved on each time, so that the answer is a pure
    function of what is given.
    """
    count = x[0].numel()
    far = next(k for k in range(round(GOLDEN * count), 2 * count + 2) if gcd(k, count) == 1)  # visits every place once
    for i in range(steps):
        t, rest = begin * (1 - i / steps), begin * (1 - (i + 1) / steps)
        aim = fitted(x - t * v(x, _times(x, t)), t)
        noise = (x - (1 - t) * aim) / t
        luck = luck.flatten(1).roll(far, 1).reshape(x.shape)
        x = (1 - rest) * aim + rest * ((1 - fresh**2) ** 0.5 * noise + fresh * luck)
        yield aim


SOLVERS: dict[str, Callable[..., Iterator[Tensor]]] = {"euler": euler, "heun": heun, "adaptive": adaptive}
