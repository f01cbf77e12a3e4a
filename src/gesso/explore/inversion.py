"""Given pictures found again among what a model draws (inversion), so that they can be changed as its own are.

A family that looks at pictures says where they are (`Encoder.encode`). Elsewhere they are sought downhill, from where
pictures are nearest to them, in numbers of even spread: latents, or codes along their principal axes. What holds the
search near where the model's own codes are keeps what is found open to change: no further out than usual, and codes of
all layers near each other (after Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation", section 3.2).
"""

from collections.abc import Generator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.contract.family import Condition, Encoder
from gesso.contract.steer import Styled
from gesso.explore.seeing import seen
from gesso.explore.space import Points, Space
from gesso.primer.distance import Distance
from gesso.primer.frozen import SMALLEST

__all__ = ["Axes", "Found", "Likeness", "invert"]

LOOKED_AT = 1024  # pictures that the search begins with the nearest of
LOOKED_AT_LESS = 128  # where there will be no search, and they only tell what is usual
STARTS = 6  # from which it goes on
SIEVED = 0.3  # share of the steps after which only the best start goes on
LR = 0.12  # of the numbers of even spread
EYE = 0.05  # what looks unlike costs, beside the mean squared error
OUT, APART = 0.02, 0.02  # what lying further out than usual costs, and layers that are apart
NARROW = 1e-2  # axes along which codes hardly differ are taken to be that wide, as a share of the widest
AT_ONCE = 64  # pictures between two reports
STEP = 4  # pictures for which a step of the search counts


class Likeness:
    """How unlike pictures are to one that is given: to the pixel, at three sizes, and to the eye of the primer."""

    def __init__(self, target: Float[Tensor, "1 c h w"]):
        self.target = target
        self.eye = Distance(look="quick").to(target.device).eval() if min(target.shape[2:]) >= SMALLEST else None

    def __call__(self, images: Float[Tensor, "n c h w"], rng: torch.Generator | None = None) -> Float[Tensor, " n"]:
        """The less, the more alike; with gradients. rng: moves both by a few pixels, against a grain."""
        a, b, total = images, self.target.expand(len(images), -1, -1, -1), images.new_zeros(len(images))
        unlike = 0 if self.eye is None else EYE * self.eye(images.clamp(-1, 1), b, rng)
        for _ in range(3):
            total = total + (a - b).square().mean((1, 2, 3)) / 3
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        return total + unlike


@dataclass(frozen=True)
class Axes:
    """Codes as numbers of mean zero and even spread, of each layer by itself. mean: d; ways: d d, scaled."""

    mean: Float[Tensor, " d"]
    ways: Float[Tensor, "d d"]
    back: Float[Tensor, "d d"]

    @classmethod
    def of(cls, space: Space, points: Points) -> "Axes":
        """The principal axes of the codes of many points; latents, which are even by themselves, as they are."""
        d = points.codes.shape[2]
        if not isinstance(space.family, Styled):
            one = torch.eye(d, device=points.codes.device)
            return cls(one.new_zeros(d), one, one)
        rows = points.codes.flatten(0, 1).double()
        mean = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        wide = values.clamp(min=0).sqrt()
        wide = wide.clamp(min=float(wide.max()) * NARROW)
        return cls(mean.float(), (vectors * wide).T.float(), (vectors / wide).float())

    def numbers(self, codes: Float[Tensor, "n l d"]) -> Float[Tensor, "n l d"]:
        """Of codes."""
        return (codes - self.mean) @ self.back

    def codes(self, numbers: Float[Tensor, "n l d"]) -> Float[Tensor, "n l d"]:
        """Back."""
        return self.mean + numbers @ self.ways


@dataclass(frozen=True)
class Found:
    """Where a picture was found. points: one; picture: what is drawn there, in [-1, 1].

    far: how much further the picture is from what the model draws than its own pictures are from each other: about 1
    for one that it might have drawn.
    """

    points: Points
    picture: Float[Tensor, "1 c h w"]
    far: float


def invert(
    space: Space,
    target: Float[Tensor, "1 c h w"],
    label: int | None = None,
    text: str | None = None,
    steps: int = 300,
    layers: bool = True,
    seed: int = 0,
    count: int | None = None,
) -> Generator[tuple[int, int], None, Found]:
    """Find a picture, in [-1, 1], of the size that the model draws; yields how many steps are done, and of how many.

    label, text: what it is asked to be; if not given, what suits it best. layers: the codes of layers may differ from
    each other (W+ of Abdal et al. 2019), where there are several. seed, count: of the pictures that the search begins
    with the nearest of.
    """
    family, target = space.family, target.to(space.device)
    exact = isinstance(family, Encoder) and family.exact
    likeness, looked = Likeness(target), count or (LOOKED_AT_LESS if exact else LOOKED_AT)
    own = space.points(range(seed, seed + looked), label, text)
    drawn = list[Tensor]()
    for first in range(0, looked, AT_ONCE):
        drawn.append(space.pictures(own[first : first + AT_ONCE]))
        yield min(first + AT_ONCE, looked), looked + STEP * steps
    images = torch.cat(drawn)
    far = _far(target.cpu(), images)
    with torch.no_grad():
        unlike = torch.cat([likeness(some.to(space.device)) for some in images.split(64)])
    order = unlike.argsort().tolist()
    starts = own[order[:STARTS]]
    if isinstance(family, Encoder):
        best = _looked(space, family, target, starts, likeness, label, text)
        if exact:
            return Found(best, space.pictures(best), far)
        starts = best
    if not steps:
        return Found(starts[[0]], space.pictures(starts[[0]]), far)
    points = yield from _sought(space, starts, Axes.of(space, own), likeness, steps, layers, seed, looked)
    return Found(points, space.pictures(points), far)


def _looked(
    space: Space, family: Encoder, target: Tensor, near: Points, likeness: Likeness, label: int | None, text: str | None
) -> Points:
    """What the family itself says, asked what is asked, or what the pictures that are nearest are asked."""
    asked = [(label, text)]
    if label is None and text is None:
        labels = [] if near.label is None else near.label.tolist()
        asked += [(number, None) for number in dict.fromkeys(labels)]
        asked += [(None, words) for words in dict.fromkeys(near.text or ())]
        asked = asked[1:] or asked
    best: tuple[float, Points] | None = None
    for number, words in asked:
        numbers = None if number is None else torch.tensor([number], device=space.device)
        said = None if words is None else (words,)
        with torch.inference_mode():
            z = family.encode(target, Condition(label=numbers, text=None if said is None else [*said]))
        points = space.of(z.clone(), numbers, said)
        with torch.no_grad():
            unlike = float(likeness(space.pictures(points).to(space.device)))
        if best is None or unlike < best[0]:
            best = unlike, points
    assert best is not None
    return best[1]


def _sought(
    space: Space,
    starts: Points,
    axes: Axes,
    likeness: Likeness,
    steps: int,
    layers: bool,
    seed: int,
    looked: int,
) -> Generator[tuple[int, int], None, Points]:
    """Downhill from all starts, then from the best of them alone."""
    rng = torch.Generator(space.device).manual_seed(seed)
    points, numbers = starts, axes.numbers(starts.codes).clone().requires_grad_()
    optimizer = torch.optim.Adam([numbers], LR, betas=(0.9, 0.95))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * min(1.0, 4 * (1 - step / steps))
        costs = _costs(space, points, axes, numbers, likeness, layers, rng)
        (numbers.grad,) = torch.autograd.grad(costs.sum(), numbers)
        if not layers:
            numbers.grad = numbers.grad.mean(1, keepdim=True).expand_as(numbers).clone()
        optimizer.step()
        if len(points) > 1 and step >= SIEVED * steps:
            best = int(costs.argmin())
            points = points[[best]]
            state = {key: value[best : best + 1] if value.dim() else value for key, value in
                     optimizer.state[numbers].items()}  # fmt: skip
            numbers = numbers.detach()[best : best + 1].clone().requires_grad_()
            optimizer = torch.optim.Adam([numbers], LR, betas=(0.9, 0.95))
            optimizer.state[numbers] = state
        if (step + 1) % 10 == 0:
            yield looked + STEP * (step + 1), looked + STEP * steps
    codes = axes.codes(numbers.detach())
    if isinstance(space.family, Styled):
        return points.at(codes)
    return Points(space.gathered(codes[:, 0], points.z), codes, points.label, points.text)


def _costs(
    space: Space, points: Points, axes: Axes, numbers: Tensor, likeness: Likeness, layers: bool, rng: torch.Generator
) -> Float[Tensor, " n"]:
    """Unlikeness, and what keeps codes among the model's own."""
    *_, drawn = space.stream(points.at(axes.codes(numbers)))
    out = F.relu(numbers.square().mean(2) - 1).square().mean(1)
    apart = (numbers - numbers.mean(1, keepdim=True)).square().mean((1, 2))
    return likeness(drawn.float(), rng) + OUT * out + APART * apart


def _far(target: Float[Tensor, "1 c h w"], images: Float[Tensor, "n c h w"]) -> float:
    """How far a picture is from the nearest of many, as a share of what is usual among them."""
    keys, key = seen(images), seen(target)
    among = torch.cdist(keys, keys).fill_diagonal_(float("inf")).min(1).values.median()
    return float(torch.cdist(key, keys).min() / among.clamp(min=1e-6))
