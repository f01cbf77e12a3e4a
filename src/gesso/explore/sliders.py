"""Sliders with names: directions in which one thing of the pictures changes, found in what a model draws.

Pictures are drawn and looked at (`attributes`); what each attribute owes to each number of the codes is regressed, and
for each attribute the shortest way is sought that moves it and leaves the others alone (after Shen et al. 2020,
"InterFaceGAN", section 3.3, which makes ways orthogonal to each other). The ways are tried out, corrected by what they
were seen to do, and tried again: what a slider really does, what else it moves and how far it works is measured.

Ways along which a model's pictures differ most, whatever that is, can be sought, too (Härkönen et al. 2020, "GANSpace",
sections 2.1 and 2.2): they are tried out likewise, and called by what they are seen to do.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gesso.contract.steer import Styled
from gesso.explore.attributes import LOOK, Attribute, Look
from gesso.explore.dissect import answers
from gesso.explore.layers import layer_of
from gesso.explore.space import Points, Space

__all__ = ["Slider", "find", "principal", "regressed", "separated"]

LEAST = 0.15  # share of an attribute's variance that the codes must explain
RIDGE = 0.03  # of the number of pictures
COST = 3.0  # of moving another attribute by one, beside that of going one usual difference of the codes
TRIED = 32  # points from which a way is tried
FURTHEST, STEPS = 3.0, 9  # strengths that are tried, and how many
WORKS = 0.6  # correlation of strength and attribute, from which on a slider is kept
FADES = 0.25  # of the slope in the middle: where there is less, the slider ends
STRENGTHS = torch.linspace(-FURTHEST, FURTHEST, STEPS)
AT_ONCE = 100  # pictures between two reports
SMALL = 8  # pixels of the map by which ways of latents are told
SAID = 0.6  # of what a way moves most: what moves so much belongs into its name
VISIBLE = 0.3  # standard deviations that a way moves something at a strength of one, or it does nothing to be seen


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

    def beside(self, known: Sequence[Attribute] = LOOK.attributes) -> tuple[Attribute, float] | None:
        """What moves most beside it, of what could stay; None where there is nothing else."""
        free = [one for one in known if one.name in self.others and not one.goes_with(self.attribute)]
        if not free:
            return None
        most = max(free, key=lambda one: abs(self.others[one.name]))
        return most, self.others[most.name]


@dataclass(frozen=True)
class Usual:
    """What is usual of pictures, by a look: names of attributes, their means and standard deviations."""

    look: Look
    names: list[str]
    mean: Float[Tensor, " k"]
    spread: Float[Tensor, " k"]

    @classmethod
    def of(cls, look: Look, found: dict[str, Float[Tensor, " n"]]) -> "tuple[Usual, Float[Tensor, 'n k']]":
        """Of pictures' attributes, and how far each picture is from it. Attributes that do not differ are left out."""
        names = [one.name for one in look.attributes if one.name in found and float(found[one.name].std()) > one.least]
        if not names:
            return cls(look, [], torch.zeros(0), torch.zeros(0)), torch.zeros(0, 0)
        figures = torch.stack([found[name] for name in names], 1)
        usual = cls(look, names, figures.mean(0), figures.std(0))
        return usual, (figures - usual.mean) / usual.spread

    def apart(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """How far pictures are from it, in standard deviations."""
        found = self.look.figures(images)
        return (torch.stack([found[name] for name in self.names], 1) - self.mean) / self.spread


def find(
    space: Space,
    count: int = 1500,
    seed: int = 0,
    look: Look = LOOK,
    ways: int = 0,
    label: int | None = None,
    text: str | None = None,
) -> Generator[tuple[int, int], None, list[Slider]]:
    """The sliders of a model, the surest first; yields how many pictures are drawn, and of how many.

    count: pictures that are looked at; seed: of the first. look: what of them is measured. ways: how many of those
    along which pictures differ most are tried, too. label, text: what all pictures are asked to be; each seed's own if
    not given. Those that do nothing to be seen are left out. Raises GessoError
    where ways are wanted of a family that draws in many steps.
    """
    points, seen = space.points(range(seed, seed + count), label, text), list[dict[str, Tensor]]()
    each = TRIED * (STEPS + 2)
    total = count + each * len(look.attributes) + TRIED * STEPS * ways
    for first in range(0, count, AT_ONCE):
        seen.append(look.figures(space.pictures(points[first : first + AT_ONCE])))
        yield min(first + AT_ONCE, count), total
    usual, figures = Usual.of(look, {name: torch.cat([some[name] for some in seen]) for name in seen[0]})
    if not usual.names:
        return []
    tried = space.points(range(seed + count, seed + count + TRIED), label, text)
    total = count + TRIED * STEPS * ways
    named = yield from _of_attributes(points, tried, usual, figures, space, count, total)
    total += each * len(look.attributes)
    widest = principal(space, points, ways) if ways else torch.zeros(0, points.codes[0].numel())
    others = list[Slider]()
    for number, way in enumerate(widest, 1):
        one = _called_by_effect(space, tried, way, usual, number)
        others += [one] if one is not None else []
        yield total - TRIED * STEPS * (ways - number), total
    return [*sorted((one for one in named if one.correlation >= WORKS), key=lambda one: -one.correlation), *others]


def _of_attributes(
    points: Points, tried: Points, usual: Usual, figures: Tensor, space: Space, done: int, total: int
) -> Generator[tuple[int, int], None, list[Slider]]:
    """Sliders of what is measured, one for each attribute that the codes explain."""
    each = TRIED * (STEPS + 2)
    slopes, explained = regressed(points.codes.flatten(1).cpu(), figures, points.label)
    kept = [number for number, share in enumerate(explained.tolist()) if share >= LEAST]
    if not kept:
        return []
    step = points.codes.flatten(1).std(0).cpu().clamp(min=1e-6)
    ways, total, effects = separated(slopes * step, kept) * step, total + each * len(kept), list[Tensor]()
    for way in ways:
        back, forth = (usual.apart(space.pictures(moved(tried, way, strength))) for strength in (-1.0, 1.0))
        effects.append((forth - back).mean(0) / 2)
        done += 2 * TRIED
        yield done, total
    ways, out = corrected(ways, torch.stack(effects)[:, kept]), list[Slider]()
    for way, number in zip(ways, kept, strict=True):
        shape = points.codes.shape[1:]
        out.append(_measured(_rows(space, tried, way, usual), number, usual, way.unflatten(0, shape)))
        done += STEPS * TRIED
        yield done, total
    return out


def principal(space: Space, points: Points, count: int) -> Float[Tensor, "p m"]:
    """Ways along which a model's pictures differ most, as long as the codes' usual spread along them.

    Of styles, their principal axes; of latents, which are even in all directions, those that go with the principal axes
    of a small map of features. Raises GessoError for a family that draws in many steps.
    """
    codes = points.codes.flatten(1).cpu()
    codes = codes - codes.mean(0)
    if isinstance(space.family, Styled):
        rows = codes
    else:
        layer = layer_of(space, points, SMALL / space.family.facts.height)
        maps = [answers(space, layer, points[i : i + AT_ONCE])[0].flatten(1) for i in range(0, len(points), AT_ONCE)]
        rows = torch.cat(maps)
        rows = rows - rows.mean(0)
    _, values, axes = torch.linalg.svd(rows, full_matrices=False)
    count = min(count, int((values > 1e-3 * values[0]).sum()))
    along = rows @ axes[:count].T
    if isinstance(space.family, Styled):
        return axes[:count] * along.std(0)[:, None]
    return (along / along.std(0)).T @ codes / len(codes)


def _called_by_effect(space: Space, tried: Points, way: Tensor, usual: Usual, number: int) -> Slider | None:
    """A way as a slider, called by what it moves most; None where that is nothing."""
    rows, shape = _rows(space, tried, way, usual), tried.codes.shape[1:]
    change = (rows - rows[len(rows) // 2]).mean(1)
    moves = STRENGTHS @ change / (STRENGTHS @ STRENGTHS)
    most = int(moves.abs().argmax())
    if abs(float(moves[most])) < VISIBLE:
        return None
    sign = 1 if moves[most] > 0 else -1
    found = _measured(rows if sign > 0 else rows.flip(0), most, usual, sign * way.unflatten(0, shape))
    if found.correlation < WORKS:
        return None
    by_name = {one.name: one for one in usual.look.attributes}
    order = [i for i in moves.abs().argsort(descending=True).tolist() if abs(moves[i]) >= SAID * abs(moves[most])]
    said = [(by_name[usual.names[i]], sign * float(moves[i]) > 0) for i in order[:2]]
    ends = [" and ".join(one.more if up == forth else one.less for one, up in said) for forth in (True, False)]
    called = Attribute(f"way {number}", f"way {number}, {ends[0]}", f"way {number}, {ends[1]}")
    others = {name: share for name, share in found.others.items() if name not in {one.name for one, _ in said}}
    return replace(found, attribute=called, others=others)


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


def _rows(space: Space, tried: Points, way: Tensor, usual: Usual) -> Float[Tensor, "s n k"]:
    """How far pictures are from what is usual, at each strength."""
    return torch.stack([usual.apart(space.pictures(moved(tried, way, float(strength)))) for strength in STRENGTHS])


def _measured(rows: Float[Tensor, "s n k"], number: int, usual: Usual, way: Tensor) -> Slider:
    """rows: how far pictures are from what is usual, at each strength."""
    named, middle, strengths = {one.name: one for one in usual.look.attributes}, len(rows) // 2, STRENGTHS
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
