"""`gesso redraw`: given pictures drawn again, more or less changed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gesso.contract.given import GivenChoices
from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    from gesso.data.picture import Opened
    from gesso.sample import Drawn, Model


class RedrawOptions(GivenChoices):
    """Draw given pictures again, more or less changed, with a generator that can look at them.

    Families flow, vae and tokens can. With --text or --label the change goes towards what is said; a sketch of a few
    flat colours becomes a picture of the collection with --strength 0.6 and more.
    """

    count: int = Field(default=4, ge=1, le=10_000, description="Drawings of each picture; their seeds count on.")
    strength: float = Field(
        default=0.5, ge=0, le=1, description="How much may change: 0 nothing, as far as the model can, 1 everything."
    )
    guidance: float | None = Field(
        default=None, ge=0, le=20,
        description="How much more than learned it is to be what is said; 1: as learned; the family's if not given.",
    )  # fmt: skip
    negative: str = Field(default="", description="A text that drawings are led away from, with guidance above 1.")


class Redraw(Task[RedrawOptions]):
    """The task."""

    name = "redraw"
    Options = RedrawOptions
    positional = ("run", "picture")
    example = 'gesso redraw emoji sketch.png --text "a red apple" --strength 0.7'

    def run(self, options: RedrawOptions, home: Path) -> Iterator[Event]:
        """Load, read, draw, write; the Result names the pictures."""
        from gesso import tasks
        from gesso.data.picture import open_picture
        from gesso.redraw import Asked, at_model, redrawn

        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        files = tasks.pictures_in(options.picture, "_redrawn_seed")
        many = len(options.picture) > 1 or any(path.expanduser().is_dir() for path in options.picture)
        target = tasks.destination(options.out, home, len(files) * options.count > 1)
        wanted = options.text is not None or options.label is not None
        knobs = tasks.knobs_of(model, options.set, wanted, options.guidance, options.negative)
        asked = Asked(range(options.seed, options.seed + options.count), options.label, options.text, knobs)
        begun, paths, left_out, total = time.monotonic(), list[Path](), list[str](), len(files) * options.count
        for number, file in enumerate(files):
            try:
                opened = open_picture(file)
                pixels, notes = at_model(opened, model.family.facts)
            except GessoError as error:
                if not many:
                    raise
                left_out.append(f"{file.name}: {error.problem}")
                yield Message(f"{file.name} is left out: {error.problem}", "warning")
                continue
            yield from (Message(note) for note in notes)
            for drawn in redrawn(model.family, pixels, options.strength, asked):
                paths.append(_write(options, target, opened, model, drawn, knobs))
                done = number * options.count + drawn.seed - options.seed + 1
                yield Progress(done, total, "pictures", (time.monotonic() - begun) / done * (total - done))
        if not paths:
            raise GessoError("None of these pictures could be drawn again.", f"The first: {left_out[0]}")
        yield Preview(paths[-1], "drawn again")
        what = f"{len(paths):,} pictures in {paths[0].parent}" if len(paths) > 1 else f"{paths[0]}"
        said = f"{what}, by {model.run}, step {model.step:,}."
        if left_out:
            said += f" Left out: {len(left_out):,}."
        facts = {"run": model.run, "count": len(paths), "left_out": len(left_out), "strength": options.strength}
        yield Result(said, tuple(paths), facts)


def _write(
    options: RedrawOptions, target: Path, opened: "Opened", model: "Model", drawn: "Drawn", knobs: Options
) -> Path:
    """One drawing as a file, with its recipe and its mark; returns where it is."""
    from gesso.marks.picture import encode
    from gesso.sample import place

    suffix, path = target.suffix.lstrip(".").lower(), target
    if not target.suffix or target.is_dir():
        path, suffix = target / f"{opened.path.stem}_redrawn_seed{drawn.seed:010d}.{options.format}", options.format
    how = model.recipe(drawn, knobs).model_copy(
        update={
            "task": "redraw", "inputs": {opened.path.name: opened.sha256}, "options": {"strength": options.strength}
        }
    )  # fmt: skip
    source = "compositeWithTrainedAlgorithmicMedia"
    data = encode(
        drawn.image, suffix, how, tell=options.recipe, source=source, quality=options.quality, parents=[opened.path]
    )
    return place(path, data)
