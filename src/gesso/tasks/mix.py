"""`gesso mix`: new pictures from those of a few seeds."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gesso.explore import Points, Space, Steering
    from gesso.sample import Model

# Choices that a recipe tells.
KEPT = {"how", "seeds", "weights", "layer", "count", "change", "seed", "region", "edge", "label", "text"}
COLUMNS = 8  # pictures in a row of the sheet


class MixOptions(Options):
    """Draw new pictures from those of a few seeds: between them, or like them.

    blend: one picture between all of them, by weights. breed: children, each of two of them, a little changed. near:
    neighbours, more or less far away. cross: coarse layers of the first with the fine ones of each other (stylegan).
    join: the first, but for a region, which is from each other. Beside the pictures comes a sheet, with those of the
    seeds above.
    """

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    seeds: str = Field(description="Seeds of the pictures to begin with, with commas.")
    how: Literal["blend", "breed", "near", "cross", "join"] = Field(
        default="breed", description="What to make of them."
    )
    count: int = Field(default=8, ge=1, le=10_000, description="How many children or neighbours.")
    change: float = Field(
        default=0.3, ge=0, le=1, description="How much of children and neighbours is new: 0 nothing, 1 all."
    )
    weights: str = Field(default="", description="Of a blend: how much of each seed, with commas; alike if not given.")
    layer: int = Field(default=2, ge=1, description="Of a cross: the first layer of the others, counted from 0.")
    region: Literal["left", "right", "top", "bottom", "middle"] = Field(
        default="right", description="Of a join: the part that is from the others; the rest is from the first."
    )
    mask: Path | None = Field(
        default=None, description="Instead of a region: a picture of this model's size, white where it is."
    )
    edge: float = Field(
        default=0.2, ge=0, le=1, description="Of a join: how far one passes into the other, as a share of the side."
    )
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of what is new in children and neighbours.")
    label: str | None = Field(default=None, description="What to draw; each seed's own label if not given.")
    text: str | None = Field(default=None, description="What to draw; each seed's own caption if not given.")
    out: Path | None = Field(default=None, description="Folder; HOME/gallery/DATE if not given.")
    format: Literal["png", "jpg", "webp", "avif"] = Field(default="png", description="Kind of file.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    slide: tuple[str, ...] = Field(
        default=(),
        description="Move a slider that `gesso directions` found, name=strength, such as larger=1.5; may be repeated.",
    )
    recipe: bool = Field(default=True, description="Write into each picture how to make it again.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")


class Mix(Task[MixOptions]):
    """The task."""

    name = "mix"
    Options = MixOptions
    positional = ("run",)
    example = "gesso mix emoji --seeds 7,12 -n 8"

    def run(self, options: MixOptions, home: Path) -> Iterator[Event]:
        """Find the points, draw, write; the Result names the sheet and the pictures."""
        from gesso import tasks
        from gesso.explore import Space
        from gesso.marks.picture import encode, sheet, to_uint8
        from gesso.sample import Drawn, place

        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        seeds, folder = tasks.seeds_of(options.seeds), tasks.destination(options.out, home, True)
        asked = options.label is not None or options.text is not None
        knobs = tasks.knobs_of(model, options.set, asked)
        space = Space(model.family, knobs)
        parents = space.points(seeds, *tasks.asked_of(model, options.label, options.text))
        steering = _steering(model, options, home)
        children, inputs = _children(space, parents, steering, options), _inputs(options)
        shown, paths = [*to_uint8(space.pictures(parents))], list[Path]()
        named = "-".join(map(str, seeds[:8]))
        made = list["np.ndarray"]()
        for number, (child, picture) in enumerate(children, 1):
            image = to_uint8(picture())[0]
            kept = options.model_dump(include=KEPT, mode="json") | {"number": number, "mask": next(iter(inputs), None)}
            said = child.text[0] if child.text else None
            moved = steering.moved if steering else None
            drawn = Drawn(seeds[0], _label(model, child), image, text=said, moved=moved)
            recipe = model.recipe(drawn, knobs).model_copy(
                update={"task": "mix", "options": kept, "inputs": inputs or None}
            )
            data = encode(image, options.format, recipe, tell=options.recipe)
            name = f"{model.title}_{options.how}{named}_{number:04d}.{options.format}"
            paths.append(place(folder / name, data))
            made.append(image)
            yield Progress(number, len(children), "pictures")
        rows = [made[first : first + COLUMNS] for first in range(0, min(len(made), 256), COLUMNS)]
        captions = [f"seeds {', '.join(map(str, seeds[:COLUMNS]))}", options.how]
        page = encode(sheet([shown[:COLUMNS], *rows], captions=captions), "png")
        first = place(folder / f"{model.title}_{options.how}{named}.png", page)
        yield Preview(first, "the seeds, and what became of them")
        facts: dict[str, Any] = {"run": model.run, "seeds": seeds, "how": options.how, "count": len(paths)}
        what = f"{len(paths):,} pictures" if len(paths) > 1 else "One picture"
        yield Result(f"{what} of the seeds {options.seeds}, by {model.run}.", (first, *paths), facts)


def _steering(model: "Model", options: MixOptions, home: Path) -> "Steering | None":
    """The sliders that are moved, of what comes out; of a join, of both its parts."""
    from gesso.explore import chosen
    from gesso.store import Run

    return chosen(Run.open(home, model.run).root, model.sha256, options.slide) if options.slide else None


def _children(
    space: "Space", parents: "Points", steering: "Steering | None", options: MixOptions
) -> "list[tuple[Points, Callable[[], Tensor]]]":
    """What to draw: points, each with the way to its picture."""
    led = steering.led if steering else lambda points: points
    if options.how == "join":
        return _joins(space, led(parents), options)
    return [(point, partial(space.pictures, led(point))) for point in _points(space, parents, options)]


def _points(space: "Space", parents: "Points", options: MixOptions) -> "list[Points]":
    from gesso.explore import blended, bred, crossed, near

    if options.how == "blend":
        return [blended(space, parents, _weights(options, len(parents)))]
    if options.how != "near":
        _several(parents, options)
    if options.how == "cross":
        return crossed(space, parents, options.layer)
    make = bred if options.how == "breed" else near
    some = make(space, parents, options.count, options.change, options.seed)
    return [some[[number]] for number in range(options.count)]


def _joins(space: "Space", parents: "Points", options: MixOptions) -> "list[tuple[Points, Callable[[], Tensor]]]":
    """The first joined with each other."""
    import torch

    from gesso.data.picture import open_mask
    from gesso.explore import joined, region

    _several(parents, options)
    size = space.family.facts.height, space.family.facts.width
    mask = (
        region(options.region, *size)
        if options.mask is None
        else torch.from_numpy(open_mask(options.mask, *size)).float()
    )
    others = range(1, len(parents))
    return [(parents[[0]], partial(joined, space, parents[[0, other]], mask, options.edge)) for other in others]


def _several(parents: "Points", options: MixOptions) -> None:
    if len(parents) < 2:
        raise GessoError(f"It takes two seeds or more to {options.how}.", "Name them: --seeds 7,12.")


def _inputs(options: MixOptions) -> dict[str, str]:
    """The mask, by its name, as a recipe tells it."""
    from gesso.files import sha256_of

    if options.how != "join" or options.mask is None:
        return {}
    return {options.mask.name: sha256_of(options.mask.expanduser())}


def _weights(options: MixOptions, count: int) -> list[float]:
    if not options.weights:
        return [1.0] * count
    try:
        return [float(word) for word in options.weights.split(",")]
    except ValueError:
        raise GessoError(f"--weights {options.weights} are no weights.", "Write for example --weights 2,1.") from None


def _label(model: "Model", point: "Points") -> str | None:
    return None if point.label is None else model.family.facts.labels[int(point.label[0])]
