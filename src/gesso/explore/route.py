"""Ways through what a model draws, and how fast to go along them."""

import itertools
from collections.abc import Generator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.contract.steer import Styled
from gesso.errors import GessoError
from gesso.explore.space import Points, Space
from gesso.explore.timing import Change, Pace

__all__ = ["Curve", "Route", "frames_of"]

Curve = Literal["smooth", "straight"]
AT_ONCE = 32  # pictures between two reports
ROUNDS = 2  # of drawing all frames and moving them to where equal times mean equal change
STEADY = Pace()


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
        self.keys, self.loop = keys, loop
        self.curve: Curve = curve
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


def frames_of(
    space: Space,
    path: Route,
    count: int,
    even: bool = True,
    moves: Float[Tensor, "n l d"] | None = None,
    pace: Pace = STEADY,
    truncation: Float[Tensor, " n"] | None = None,
) -> Generator[tuple[int, int], None, Float[Tensor, "n c h w"]]:
    """So many pictures along a path, in [-1, 1]; yields how many are drawn, and of how many.

    Of a path that does not return, the last picture is its end; of one that does, the one before its beginning.
    even: where the pace is the same, every picture is as unlike the next as all others are (root mean square of
    pixels). moves: what is added to the codes of each, such as sliders that move. pace: where keys have their frames,
    how it goes from key to key. truncation: the knob of that name at each picture; raises GessoError where the family
    has none.
    """
    if truncation is not None and "truncation" not in type(space.knobs).model_fields:
        raise GessoError(f"The family {space.family.name} has no truncation.", "Leave --truncation out.")
    rounds, end = ROUNDS if even and count > 2 else 0, count if path.loop else max(count - 1, 1)
    times = pace.times(path.parts, end)
    for number in range(rounds + 1):
        points, painters = _places(space, path, times[:count], truncation)
        points = points if moves is None else points.at(points.codes + moves.to(points.codes))
        images, done = list[Tensor](), 0
        for painter, some in painters:
            for first in range(0, len(some), AT_ONCE):
                images.append(painter.pictures(points[some[first : first + AT_ONCE]]))
                done += len(images[-1])
                yield number * count + done, count * (rounds + 1)
        drawn = torch.cat(images)
        if number == rounds:
            return drawn
        change = (drawn - drawn.roll(-1, 0)).square().mean((1, 2, 3)).sqrt()
        last = end if path.loop or pace.last is None else pace.last
        times = pace.times(path.parts, end, Change(times[: last + 1], change[:last]))
    raise AssertionError("the last round returns")


def _places(
    space: Space, path: Route, times: Float[Tensor, " n"], truncation: Float[Tensor, " n"] | None
) -> tuple[Points, list[tuple[Space, range]]]:
    """The points of a path at times; and which of them are to be drawn together, by which space.

    Where truncation changes, the path leads through its keys as each truncation has them. Codes that a family makes of
    latents are truncated already, so that they can be drawn together.
    """
    count = len(times)
    if truncation is None:
        return path.at(times), [(space, range(count))]
    points, painters, first = list[Points](), list[tuple[Space, range]](), 0
    for value, same in itertools.groupby(truncation.tolist()):
        some = range(first, first + len([*same]))
        first = some.stop
        tamed = Space(space.family, space.knobs.model_copy(update={"truncation": value}))
        keys = path.keys if path.round else tamed.of(path.keys.z, path.keys.label, path.keys.text)
        points.append(Route(tamed, keys, path.loop, path.curve).at(times[some.start : some.stop]))
        painters.append((tamed, some))
    one = points[0]
    z, codes = torch.cat([some.z for some in points]), torch.cat([some.codes for some in points])
    label = None if one.label is None else one.label[:1].expand(count)
    everything = Points(z, codes, label, None if one.text is None else one.text[:1] * count)
    return everything, painters if path.round else [(space, range(count))]
