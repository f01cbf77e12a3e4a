"""Sliders with names: directions in which one thing of the pictures changes, found in what a model draws.

Pictures are drawn and looked at (`attributes`); what each attribute owes to each number of the codes is regressed, and
for each attribute the shortest way is sought that moves it and leaves the others alone (after Shen et al. 2020,
"InterFaceGAN", section 3.3, which makes ways orthogonal to each other). The ways are tried out, corrected by what they
were seen to do, and tried again: what a slider really does, what else it moves and how far it works is measured.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gesso.explore.attributes import ATTRIBUTES, Attribute, attributes
from gesso.explore.space import Points, Space

__all__ = ["Slider", "find", "regressed", "separated"]

LEAST = 0.15  # share of an attribute's variance that the codes must explain
RIDGE = 0.03  # of the number of pictures
COST = 3.0  # of moving another attribute by one, beside that of going one usual difference of the codes
TRIED = 32  # points from which a way is tried
FURTHEST, STEPS = 3.0, 9  # strengths that are tried, and how many
WORKS = 0.6  # correlation of strength and attribute, from which on a slider is kept
FADES = 0.25  # of the slope in the middle: where there is less, the slider ends
AT_ONCE = 100  # pictures between two reports


@dataclass(frozen=True)
class Slider:
    """A direction and what it does, measured.

    direction: of the codes, l d, for a strength of one, which moves the attribute by about its standard deviation over
    what the model draws. effect: by how much it really does. correlation: of strength and attribute, over points and
    strengths. low, high: strengths between which it works. others: how far each other attribute moves beside it, in
    its own standard deviation, as a share of the effect.
    """

    attribute: Attribute
    direction: Float[Tensor, "l d"]
    effect: float
    correlation: float
    low: float
    high: float
    others: dict[str, float]

    @property
    def beside(self) -> tuple[Attribute, float] | None:
        """What moves most beside it, of what could stay; None where there is nothing else."""
        free = [one for one in ATTRIBUTES if one.name in self.others and not one.goes_with(self.attribute)]
        if not free:
            return None
        most = max(free, key=lambda one: abs(self.others[one.name]))
        return most, self.others[most.name]


@dataclass(frozen=True)
class Usual:
    """What is usual of pictures: names of attributes, their means and standard deviations."""

    names: list[str]
    mean: Float[Tensor, " k"]
    spread: Float[Tensor, " k"]

    @classmethod
    def of(cls, found: dict[str, Float[Tensor, " n"]]) -> "tuple[Usual, Float[Tensor, 'n k']]":
        """Of pictures' attributes, and how far each picture is from it. Attributes that do not differ are left out."""
        names = [one.name for one in ATTRIBUTES if one.name in found and float(found[one.name].std()) > one.least]
        if not names:
            return cls([], torch.zeros(0), torch.zeros(0)), torch.zeros(0, 0)
        figures = torch.stack([found[name] for name in names], 1)
        usual = cls(names, figures.mean(0), figures.std(0))
        return usual, (figures - usual.mean) / usual.spread

    def apart(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """How far pictures are from it, in standard deviations."""
        found = attributes(images)
        return (torch.stack([found[name] for name in self.names], 1) - self.mean) / self.spread


def find(space: Space, count: int = 1500, seed: int = 0) -> Generator[tuple[int, int], None, list[Slider]]:
    """The sliders of a model, the surest first; yields how many pictures are drawn, and of how many.

    count: pictures that are looked at; seed: of the first. Those that do nothing to be seen are left out.
    """
    points, seen, each = space.points(range(seed, seed + count)), list[dict[str, Tensor]](), TRIED * (STEPS + 2)
    total = count + each * len(ATTRIBUTES)
    for first in range(0, count, AT_ONCE):
        seen.append(attributes(space.pictures(points[first : first + AT_ONCE])))
        yield min(first + AT_ONCE, count), total
    usual, figures = Usual.of({name: torch.cat([some[name] for some in seen]) for name in seen[0]})
    if not usual.names:
        return []
    slopes, explained = regressed(points.codes.flatten(1).cpu(), figures, points.label)
    kept = [number for number, share in enumerate(explained.tolist()) if share >= LEAST]
    if not kept:
        return []
    step = points.codes.flatten(1).std(0).cpu().clamp(min=1e-6)
    ways, done, total = separated(slopes * step, kept) * step, count, count + each * len(kept)
    tried, effects = space.points(range(seed + count, seed + count + TRIED)), list[Tensor]()
    for way in ways:
        back, forth = (usual.apart(space.pictures(moved(tried, way, strength))) for strength in (-1.0, 1.0))
        effects.append((forth - back).mean(0) / 2)
        done += 2 * TRIED
        yield done, total
    ways, out = corrected(ways, torch.stack(effects)[:, kept]), list[Slider]()
    strengths = torch.linspace(-FURTHEST, FURTHEST, STEPS)
    for way, number in zip(ways, kept, strict=True):
        rows = [usual.apart(space.pictures(moved(tried, way, float(strength)))) for strength in strengths]
        out.append(_measured(torch.stack(rows), strengths, number, usual, way.unflatten(0, points.codes.shape[1:])))
        done += STEPS * TRIED
        yield done, total
    return sorted((one for one in out if one.correlation >= WORKS), key=lambda one: -one.correlation)


def moved(points: Points, way: Float[Tensor, " m"], strength: float) -> Points:
    """Points, a strength's stretch along a way."""
    return points.at(points.codes + strength * way.to(points.codes).unflatten(0, points.codes.shape[1:]))


def regressed(
    codes: Float[Tensor, "n m"], figures: Float[Tensor, "n k"], label: Int[Tensor, " n"] | None = None
) -> tuple[Float[Tensor, "k m"], Float[Tensor, " k"]]:
    """How figures change with each number of the codes, and the share of their variance that this explains.

    By ridge regression; the share is that of every fifth row, with slopes learned from the others. What labels change
    is learned beside it, so that it is not taken for an effect of the codes.
    """
    x, y = codes.double(), figures.double()
    if label is not None:
        x = torch.cat([x, F.one_hot(label.cpu()).double()], 1)
    centre, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    x, tests = (x - centre) / scale, torch.arange(len(x)) % 5 == 0

    def learned(rows: Tensor) -> Tensor:
        some, wanted = x[rows], y[rows] - y[rows].mean(0)
        inner = some.T @ some + RIDGE * len(some) * torch.eye(some.shape[1], dtype=some.dtype)
        return torch.linalg.solve(inner, some.T @ wanted)

    wrong = (y - x @ learned(~tests))[tests]
    explained = 1 - wrong.var(0) / y[tests].var(0).clamp(min=1e-12)
    slopes = (learned(torch.ones_like(tests)) / scale[:, None]).T
    return slopes[:, : codes.shape[1]].float(), explained.float()


def separated(slopes: Float[Tensor, "k m"], kept: Sequence[int]) -> Float[Tensor, "p m"]:
    """For each attribute that is kept the cheapest way that moves it by one: length costs, and so do the others.

    Of w with slope · w = 1, the one with the least |w|² + COST Σ (other slope · w)².
    """
    out = list[Tensor]()
    for number in kept:
        others = torch.cat([slopes[:number], slopes[number + 1 :]])
        way = torch.linalg.solve(torch.eye(slopes.shape[1]) + COST * others.T @ others, slopes[number])
        out.append(way / (slopes[number] @ way))
    return torch.stack(out)


def corrected(ways: Float[Tensor, "p m"], effects: Float[Tensor, "p p"]) -> Float[Tensor, "p m"]:
    """Ways mixed so that, by what each was seen to do to all, each moves its own by one and the others less."""
    mix = torch.linalg.solve(effects @ effects.T + 0.1 * torch.eye(len(ways)), effects).T
    own = (mix @ effects).diagonal()[:, None]
    return torch.where(own > 0.2, mix / own.clamp(min=0.2), torch.eye(len(ways))) @ ways


def _measured(
    rows: Float[Tensor, "s n k"], strengths: Float[Tensor, " s"], number: int, usual: Usual, way: Tensor
) -> Slider:
    """rows: how far pictures are from what is usual, at each strength."""
    named, middle = {one.name: one for one in ATTRIBUTES}, len(rows) // 2
    change = rows - rows[middle]
    x = strengths[:, None].expand(-1, rows.shape[1])
    correlation = torch.corrcoef(torch.stack([x.flatten(), change[..., number].flatten()]))[0, 1]
    mean = change.mean(1)
    slope = (strengths @ mean) / (strengths @ strengths)
    steps = mean.diff(dim=0)[:, number]
    least, low, high = FADES * float(steps[middle - 1 : middle + 1].mean()), middle - 1, middle + 1
    while high < len(rows) - 1 and steps[high] > least:
        high += 1
    while low > 0 and steps[low - 1] > least:
        low -= 1
    shares = {name: round(float(share), 3) for name, share in zip(usual.names, slope / slope[number], strict=True)}
    name = usual.names[number]
    return Slider(
        named[name], way, float(slope[number]), float(correlation.nan_to_num()), float(strengths[low]),
        float(strengths[high]), {other: share for other, share in shares.items() if other != name},
    )  # fmt: skip
