"""Ways through what a model draws, and how fast to go along them."""

from collections.abc import Generator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.contract.steer import Styled
from gesso.errors import GessoError
from gesso.explore.space import Points, Space

__all__ = ["Curve", "Route", "evenly", "frames_of"]

Curve = Literal["smooth", "straight"]
AT_ONCE = 32  # pictures between two reports
ROUNDS = 2  # of drawing all frames and moving them to where equal times mean equal change


class Route:
    """A way through keys, from the first to the last, or round and back to the first.

    smooth: a cubic through the keys (Catmull & Rom 1974), without a jerk at them; straight: from each to the next.
    Latents from a normal distribution lie near a sphere, on which the way stays (White 2016, section 2.1); styles do
    not. Raises GessoError where there are fewer than two keys, or they are not asked to be the same.
    """

    def __init__(self, space: Space, keys: Points, loop: bool = False, curve: Curve = "smooth"):
        if len(keys) < 2:
            raise GessoError("A path of one key goes nowhere.", "Name two seeds or more: --seeds 1,5,9.")
        labels = set() if keys.label is None else {*keys.label.tolist()}
        if len(labels) > 1 or len({*(keys.text or ())}) > 1:
            raise GessoError("A path leads through pictures of one label or text.", "Name it: --label or --text.")
        self.keys, self.loop, self.curve = keys, loop, curve
        self.parts = len(keys) if loop else len(keys) - 1
        self.round = not isinstance(space.family, Styled)

    def at(self, times: Float[Tensor, " n"]) -> Points:
        """The points at times in [0, 1], of the whole way."""
        device, rows = self.keys.codes.device, [0] * len(times)
        on = (times.to(device) * self.parts).clamp(0, self.parts)
        part = on.floor().long().clamp(max=self.parts - 1)
        codes = self._between(self.keys.codes.flatten(1), part, on - part, self.round)
        z = self._between(self.keys.z.flatten(1), part, on - part, True) if not self.round else codes
        like = self.keys[rows]
        return Points(z.reshape(like.z.shape), codes.reshape(like.codes.shape), like.label, like.text)

    def _between(self, keys: Float[Tensor, "k m"], part: Tensor, share: Tensor, round_: bool) -> Float[Tensor, "n m"]:
        count, t = len(keys), share[:, None]

        def key(step: int) -> Tensor:
            where = part + step
            return keys[where % count if self.loop else where.clamp(0, count - 1)]

        a, b = key(0), key(1)
        if self.curve == "straight":
            return _slerp(a, b, t) if round_ else torch.lerp(a, b, t)
        before, after = key(-1), key(2)
        x = a + 0.5 * t * (b - before + t * (2 * before - 5 * a + 4 * b - after + t * (3 * (a - b) + after - before)))
        if not round_:
            return x
        length = torch.lerp(a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True), t)
        return x * (length / x.norm(dim=1, keepdim=True).clamp(min=1e-6))


def _slerp(a: Float[Tensor, "n m"], b: Float[Tensor, "n m"], t: Float[Tensor, "n 1"]) -> Float[Tensor, "n m"]:
    """Along the great circle, lengths changing evenly (Shoemake 1985, section 3.3)."""
    long_a, long_b = (x.norm(dim=1, keepdim=True).clamp(min=1e-6) for x in (a, b))
    angle = ((a / long_a) * (b / long_b)).sum(1, keepdim=True).clamp(-1, 1).acos()
    small = angle < 1e-4
    sine = angle.sin().clamp(min=1e-6)
    mixed = ((1 - t) * angle).sin() / sine * (a / long_a) + (t * angle).sin() / sine * (b / long_b)
    return torch.where(small, torch.lerp(a, b, t), mixed * torch.lerp(long_a, long_b, t))


def evenly(times: Float[Tensor, " n"], change: Float[Tensor, " n"], end: float = 1.0) -> Float[Tensor, " n"]:
    """Times moved so that the same happens between any two. change: between each and the next, the last and `end`."""
    whole = torch.cat([change.new_zeros(1), change.double().cumsum(0)])
    marks = torch.cat([times.double(), times.new_tensor([end], dtype=torch.float64)])
    wanted = torch.linspace(0, float(whole[-1]), len(times) + 1, dtype=torch.float64)[:-1]
    after = torch.searchsorted(whole, wanted, right=True).clamp(1, len(times))
    step = (whole[after] - whole[after - 1]).clamp(min=1e-12)
    share = ((wanted - whole[after - 1]) / step).clamp(0, 1)
    return torch.lerp(marks[after - 1], marks[after], share).float()


def frames_of(
    space: Space, path: Route, count: int, even: bool = True, moves: Float[Tensor, "n l d"] | None = None
) -> Generator[tuple[int, int], None, Float[Tensor, "n c h w"]]:
    """So many pictures along a path, in [-1, 1]; yields how many are drawn, and of how many.

    Of a path that does not return, the last picture is its end; of one that does, the one before its beginning.
    even: every picture is as unlike the next as all others are (root mean square of pixels). moves: what is added to
    the codes of each, such as sliders that move.
    """
    rounds = ROUNDS if even and count > 2 else 0
    times = torch.arange(count) / (count if path.loop else max(count - 1, 1))
    for number in range(rounds + 1):
        points, images = path.at(times), list[Tensor]()
        points = points if moves is None else points.at(points.codes + moves.to(points.codes))
        for first in range(0, count, AT_ONCE):
            images.append(space.pictures(points[first : first + AT_ONCE]))
            yield number * count + min(first + AT_ONCE, count), count * (rounds + 1)
        if number == rounds:
            return torch.cat(images)
        drawn = torch.cat(images)
        change = (drawn - drawn.roll(-1, 0)).square().mean((1, 2, 3)).sqrt()
        if path.loop:
            times = evenly(times, change)
        else:  # the end stays the end
            times = torch.cat([evenly(times[:-1], change[:-1]), times[-1:]])
    raise AssertionError("the last round returns")
