"""All that is found out about one picture: what it is like, what made it so, and where it lies among others."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gesso.contract.family import Judge
from gesso.errors import GessoError
from gesso.explain.judging import criticised, heat
from gesso.explore import ATTRIBUTES, Attribute, Points, Slider, Space, attributes
from gesso.explore.ablate import Without, usually, with_labels, without_layers, without_numbers, without_words
from gesso.explore.atlas import Atlas, map_of
from gesso.explore.dissect import Units, answers, dissect, switched
from gesso.explore.seeing import seen
from gesso.marks.picture import to_uint8
from gesso.marks.recipe import Original
from gesso.sample import Model

__all__ = ["Learned", "Story", "Trait", "Unit", "story_of"]

USUAL = 400  # pictures that this one is compared with
FIRST = 1_000_000  # seed of the first of them
DISSECTED = 200  # of them, by which units are told apart
TRAITS, CAUSES, UNITS, NEAREST, ENDS = 6, 6, 6, 6, 8  # of each, as many are shown
LABELS = 24  # labels that are tried
APART = 0.8  # standard deviations from the mean from which on a trait is worth telling
LEAD = 0.15  # of a unit's best concept, from chance to all: below it answers to nothing that has a name
AT_ONCE = 50

Picture = UInt8[np.ndarray, "h w c"]


@dataclass(frozen=True)
class Learned:
    """What the model learned from, at its size: n h w c bytes; names of the files; the data set's name."""

    images: UInt8[np.ndarray, "n h w c"]
    sources: Sequence[str]
    name: str


@dataclass(frozen=True)
class Trait:
    """Something that can be seen of the picture. share: of the model's pictures, that have less of it.

    without: the picture as it would be with as much as usual, where a slider can do that.
    """

    attribute: Attribute
    share: float
    away: float
    without: Picture | None


@dataclass(frozen=True)
class Unit:
    """A unit of the network: its number, what it answers to, the share of its places that show it, and what chance
    would be; where it answers in this picture, and the picture without it, and with twice as much of it.
    """

    number: int
    concept: str
    share: float
    chance: float
    where: Picture
    off: Picture
    twice: Picture


@dataclass
class Story:
    """What is known of the picture of a seed. numbers: of its latent. Lists may be empty: not all families have all."""

    model: Model
    seed: int
    label: str | None
    text: str | None
    image: Picture
    learned: Learned
    numbers: int
    sliders: bool = False  # whether some were found
    nearest: list[tuple[Picture, str]] = field(default_factory=list)
    original: Original | None = None
    traits: list[Trait] = field(default_factory=list)
    words: list[Without] = field(default_factory=list)
    labels: list[Without] = field(default_factory=list)
    layers: list[Without] = field(default_factory=list)
    causes: list[Without] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    table: Units | None = None
    no_units: str = ""
    critic: tuple[float, Picture] | None = None  # share of the others that look less real to it; what it looks at
    atlas: Atlas | None = None
    around: UInt8[np.ndarray, "n h w c"] | None = None  # the pictures on the map, drawn ones first; the first is this
    missed: list[Picture] = field(default_factory=list)
    strange: list[Picture] = field(default_factory=list)


def story_of(
    model: Model,
    space: Space,
    point: Points,
    seed: int,
    learned: Learned,
    look: Callable[[Picture], Original],
    sliders: Sequence[Slider] = (),
) -> Generator[tuple[int, int], None, Story]:
    """Find out all about the picture of one point; yields how many of its parts are done, and of how many.

    look: tells how like a picture is to the learned ones. sliders: of the model, where they were found.
    """
    base = space.pictures(point)
    label = None if point.label is None else model.labels[int(point.label[0])]
    story = Story(
        model,
        seed,
        label,
        point.text[0] if point.text else None,
        to_uint8(base)[0],
        learned,
        point.z[0].numel(),
        bool(sliders),
    )
    drawn, total = list[Tensor](), USUAL // AT_ONCE + 5
    usual = space.points(range(FIRST, FIRST + USUAL))
    for first in range(0, USUAL, AT_ONCE):
        drawn.append(space.pictures(usual[first : first + AT_ONCE]))
        yield len(drawn), total
    images = torch.cat(drawn)
    story.original = look(story.image)
    story.traits = _traits(space, point, base, images, sliders)
    yield total - 4, total
    scale = usually(images)
    story.words = without_words(space, point, scale)
    story.labels = with_labels(space, point, model.labels[:LABELS], scale)
    story.layers = without_layers(space, point, usual, scale)
    story.causes = without_numbers(space, point, usual, scale, CAUSES)
    yield total - 3, total
    try:
        story.table = dissect(space, usual[:DISSECTED])
        story.units = _units(space, point, base, story.table) if story.table.names else []
    except GessoError as error:
        story.no_units = error.problem
    yield total - 2, total
    if isinstance(model.family, Judge):
        story.critic = criticised(model.family, base, point.label, images, usual.label)
    yield total - 1, total
    _place(story, base, images)
    yield total, total
    return story


def _traits(space: Space, point: Points, base: Tensor, images: Tensor, sliders: Sequence[Slider]) -> list[Trait]:
    """What is unusual of it, the most so first."""
    own, others, out = attributes(base), attributes(images), list[Trait]()
    by_name = {slider.attribute.name: slider for slider in sliders}
    for one in ATTRIBUTES:
        if one.name not in others or float(others[one.name].std()) <= one.least:
            continue
        value, figures = float(own[one.name]), others[one.name]
        away = (value - float(figures.mean())) / float(figures.std())
        if abs(away) < APART:
            continue
        slider, without = by_name.get(one.name), None
        if slider is not None:
            strength = min(max(-away / max(slider.effect, 0.2), slider.low), slider.high)
            codes = point.codes + strength * slider.direction.to(point.codes)
            without = to_uint8(space.pictures(point.at(codes)))[0]
        out.append(Trait(one, float((figures < value).float().mean()), away, without))
    return sorted(out, key=lambda trait: -abs(trait.away))[:TRAITS]


def _units(space: Space, point: Points, base: Tensor, units: Units) -> list[Unit]:
    """Those that matter most to this picture, of the ones that answer to something; at most two to the same."""
    maps, _ = answers(space, units.layer, point)
    lead = units.lead.max(1).values
    keys, effects = seen(base), list[tuple[float, int, Tensor]]()
    for number in range(units.layer.units):
        if float(lead[number]) < LEAD:
            continue
        with switched(units, [number], 0.0):
            off = space.pictures(point)
        effects.append((float((seen(off) - keys).norm()), number, off))
    out, count = list[Unit](), dict[str, int]()
    for _, number, off in sorted(effects, key=lambda one: -one[0]):
        concept, share, chance = units.best(number)
        count[concept] = count.get(concept, 0) + 1
        if count[concept] > 2 or len(out) == UNITS:
            continue
        with switched(units, [number], 2.0):
            twice = space.pictures(point)
        span = (units.high[number] - units.middle[number]).clamp(min=1e-6)
        shine = ((maps[0, number] - units.middle[number]) / span).clamp(0, 1)
        image = to_uint8(base)[0]
        shine = torch.nn.functional.interpolate(shine[None, None], image.shape[:2], mode="bilinear")[0, 0]
        out.append(
            Unit(number, concept, share, chance, heat(image, shine.numpy()), to_uint8(off)[0], to_uint8(twice)[0])
        )
    return out


def _place(story: Story, base: Tensor, images: Tensor) -> None:
    """Where it lies among drawn and learned pictures; what these never come to, and what those made up."""
    all_learned = story.learned.images
    every = torch.from_numpy(np.ascontiguousarray(all_learned)).permute(0, 3, 1, 2).float() / 127.5 - 1
    learned_keys, own = seen(every), seen(base)
    near = torch.cdist(own, learned_keys)[0].argsort()[:NEAREST].tolist()
    story.nearest = [(all_learned[i], str(story.learned.sources[i])) for i in near]
    some = np.sort(np.random.default_rng(0).permutation(len(all_learned))[:USUAL])
    if len(some) < 8:
        return
    atlas = map_of(torch.cat([own, seen(images)]), learned_keys[some])
    story.atlas = atlas
    drawn = to_uint8(torch.cat([base, images]))
    story.around = np.concatenate([drawn, all_learned[some]])
    story.missed = _ends(atlas.apart, all_learned[some])
    story.strange = _ends(atlas.strange, drawn)


def _ends(away: Float[Tensor, " n"], images: UInt8[np.ndarray, "n h w c"]) -> list[Picture]:
    """Those furthest away, as far as they are no longer near."""
    order = away.argsort(descending=True)[:ENDS].tolist()
    return [images[i] for i in order if float(away[i]) > 1]
