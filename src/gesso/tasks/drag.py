"""`gesso drag`: points of a drawn picture, brought to where they shall be."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SHOWN = 320  # pixels of the shorter side of a picture on the sheet, at least
FROM, TO, CAME = (225, 45, 45), (40, 100, 235), (250, 190, 20)  # colours of points
COME = 2.0  # pixels from its target, within which a point has come


class DragOptions(Options):
    """Drag points of a picture that a generator drew to where they shall be.

    The model is asked for another picture of its own, in which what was at each point is at its target: a flower
    further left, a mouth wider open. So it goes only as far as pictures do that it learned from. Beside the picture
    comes a sheet of before and after, with the points: red where they were, blue where they shall be, yellow where they
    came.
    """

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    seed: int = Field(ge=0, lt=2**62, description="Seed of the picture.")
    move: tuple[str, ...] = Field(
        default=(),
        description="A point and its target, x,y:x,y in pixels from the top left, such as 20,32:40,32; may be "
        "repeated. What shall stay is its own target.",
    )
    keep: Path | None = Field(
        default=None,
        description="A picture of this model's size, white where the drawn one shall stay as it is, as far as it can; "
        "if not given, what is far from all points shall.",
    )
    steps: int = Field(default=200, ge=1, le=10_000, description="How long to try, at most.")
    label: str | None = Field(default=None, description="What to draw; the seed's own label if not given.")
    text: str | None = Field(default=None, description="What to draw; the seed's own caption if not given.")
    out: Path | None = Field(default=None, description="Folder; HOME/gallery/DATE if not given.")
    format: Literal["png", "jpg", "webp", "avif"] = Field(default="png", description="Kind of file.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    recipe: bool = Field(default=True, description="Write into the picture how to make it again.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")


class Drag(Task[DragOptions]):
    """The task."""

    name = "drag"
    Options = DragOptions
    positional = ("run",)
    example = "gesso drag emoji --seed 7 --move 20,32:26,32"

    def run(self, options: DragOptions, home: Path) -> Iterator[Event]:
        """Drag, draw, write; the Result names the picture and the sheet."""
        import torch

        from gesso import tasks
        from gesso.data.picture import open_mask
        from gesso.explore import Space, dragged
        from gesso.files import sha256_of
        from gesso.marks.picture import encode, sheet, to_uint8
        from gesso.sample import Drawn, place

        moves = _moves(options.move)
        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        folder, facts = tasks.destination(options.out, home, True), model.family.facts
        knobs = tasks.knobs_of(model, options.set, options.label is not None or options.text is not None)
        space, keep, inputs = Space(model.family, knobs), None, None
        if options.keep is not None:
            keep = torch.from_numpy(open_mask(options.keep, facts.height, facts.width)).float()
            inputs = {options.keep.name: sha256_of(options.keep.expanduser())}
        point = space.points([options.seed], *tasks.asked_of(model, options.label, options.text))
        handles, targets = torch.tensor(moves).unbind(1)
        found = yield from tasks.counted(dragged(space, point, handles, targets, keep, options.steps), "steps")
        before, after = (to_uint8(space.pictures(some))[0] for some in (point, found.point))
        kept = options.model_dump(include={"seed", "move", "steps"}, mode="json")
        label = None if point.label is None else facts.labels[int(point.label[0])]
        drawn = Drawn(options.seed, label, after, text=point.text[0] if point.text else None)
        recipe = model.recipe(drawn, knobs).model_copy(update={"task": "drag", "options": kept, "inputs": inputs})
        name = f"{model.title}_drag{options.seed}"
        data = encode(after, options.format, recipe, tell=options.recipe)
        picture = place(folder / f"{name}.{options.format}", data)
        shown = [_marked(before, handles, targets, FROM), _marked(after, found.places, targets, CAME)]
        page = place(folder / f"{name}_sheet.png", encode(sheet([shown], under=[["before", "after"]]), "png"))
        yield Preview(page, "before and after")
        left = (targets - found.places.cpu()).norm(dim=1).tolist()
        if max(left) > COME:
            yield Message(
                f"The model came no nearer than {max(left):.1f} pixels: it draws no such picture near this one. Drag "
                "less far, take another seed, or train on pictures that differ so.",
                "warning",
            )
        told: dict[str, Any] = {"run": model.run, "seed": options.seed, "left": [round(one, 2) for one in left]}
        told["places"] = [[round(one, 2) for one in row] for row in found.places.tolist()]
        came = "; ".join(
            f"{x:g},{y:g} came to {u:g},{v:g}" for (x, y), (u, v) in zip(handles.tolist(), told["places"], strict=True)
        )
        yield Result(f"{picture}: {came}, by {model.run}.", (picture, page), told)


def _moves(words: Sequence[str]) -> list[list[list[float]]]:
    """Points and targets; raises GessoError where there are none, or words say no such thing."""
    how = "Write for example --move 20,32:40,32, x before y."
    if not words:
        raise GessoError("Nothing is to be moved.", how)
    out = list[list[list[float]]]()
    for word in words:
        try:
            ends = [[float(number) for number in end.split(",")] for end in word.split(":")]
        except ValueError:
            ends = []
        if [len(end) for end in ends] != [2, 2]:
            raise GessoError(f"--move {word} is no point and its target.", how)
        out.append(ends)
    return out


def _marked(image: "np.ndarray", places: "Tensor", targets: "Tensor", colour: tuple[int, int, int]) -> "np.ndarray":
    """A picture, enlarged, with the way from points to their targets."""
    import numpy as np
    from PIL import Image, ImageDraw

    times = max(-(-SHOWN // min(image.shape[:2])), 1)
    large = image.repeat(times, 0).repeat(times, 1)
    large = np.repeat(large, 3, axis=2) if large.shape[2] == 1 else large
    canvas = Image.fromarray(large)
    pen, size = ImageDraw.Draw(canvas), max(min(large.shape[:2]) // 48, 3)
    for place, target in zip(places.tolist(), targets.tolist(), strict=True):
        (x, y), (u, v) = ([(one + 0.5) * times for one in end] for end in (place, target))
        pen.line((x, y, u, v), (255, 255, 255), max(size // 2, 1))
        for a, b, inside in ((u, v, TO), (x, y, colour)):
            pen.ellipse((a - size, b - size, a + size, b + size), inside, (255, 255, 255), max(size // 3, 1))
    return np.asarray(canvas)
