"""`gesso translate`: pictures made from pictures, by a generator that learned how."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso.contract.given import GivenChoices
from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.data.picture import Opened
    from gesso.sample import Drawn, Model

RESTORING = {"noise", "scratches", "masks", "low"}  # kinds of pairs whose translation gives a picture back
AT_ONCE = 1 << 22  # pixels of the translations of one picture that are held at once


class TranslateOptions(GivenChoices):
    """Translate pictures with a generator that learned from pairs, or from two sets.

    Pictures of any size, and all pictures of a folder. Things are translated at the scale that they have: --size brings
    the picture to the scale of those that were learned from first.
    """

    size: int | None = Field(
        default=None, ge=8, le=8192,
        description="Bring the shorter side to so many pixels first; as it is if not given.",
    )  # fmt: skip
    from_picture: bool = Field(
        default=False,
        description="They are finished pictures: make sources of them first, as was done with the data set's.",
    )


class Translate(Task[TranslateOptions]):
    """The task."""

    name = "translate"
    Options = TranslateOptions
    positional = ("run", "picture")
    example = "gesso translate emoji-edges sketch.png -n 4 -o drawn/"

    def run(self, options: TranslateOptions, home: Path) -> Iterator[Event]:
        """Load, read, translate, write; the Result names the pictures."""
        from gesso import tasks
        from gesso.data.picture import open_picture

        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        kind = _kind(model, home)
        if "source" not in model.family.asks:
            raise GessoError(
                f"Run {model.run} translates no pictures: its family is {model.family.name}.",
                f"Draw with it: gesso sample {options.run}. Translators are of the families pix2pix and cut.",
            )
        if options.from_picture and not _made(kind):
            raise GessoError(
                f"The sources that run {model.run} learned from were not made from its pictures.",
                "Leave --from-picture out.",
            )
        files = tasks.pictures_in(options.picture, "_translated_seed")
        many = len(options.picture) > 1 or any(path.expanduser().is_dir() for path in options.picture)
        target = tasks.destination(options.out, home, len(files) * options.count > 1)
        knobs = model.family.Knobs.from_pairs(options.set)
        begun, paths, told, left_out = time.monotonic(), list[Path](), set[str](), list[str]()
        for done, file in enumerate(files, 1):
            try:
                opened = open_picture(file)
                source, notes = _source(options, opened, model, kind)
            except GessoError as error:
                if not many:
                    raise
                left_out.append(file.name)
                yield Message(f"{file.name} is left out: {error.problem}", "warning")
                continue
            yield from (Message(f"{file.name} {said}.") for what, said in notes.items() if what not in told)
            told |= {*notes}
            for drawn in _drawn(options, model, source, knobs):
                if not isinstance(drawn, Progress):
                    paths.append(_write(options, target, opened, model, drawn, knobs, kind))
                elif len(files) == 1:
                    yield drawn
            if len(files) > 1:
                yield Progress(done, len(files), "pictures", (time.monotonic() - begun) / done * (len(files) - done))
        if not paths:
            raise GessoError("None of these pictures could be translated.", f"The first: {left_out[0]}.")
        yield Preview(paths[-1], "translated")
        what = f"{len(paths):,} pictures in {paths[0].parent}" if len(paths) > 1 else f"{paths[0]}"
        said = f"Translated by {model.run}, step {model.step:,}: {what}."
        if left_out:
            said += f" {len(left_out):,} left out."
        facts = {"run": model.run, "seed": options.seed, "count": len(paths), "left_out": left_out}
        yield Result(said, tuple(paths), facts)


def _kind(model: "Model", home: Path) -> str:
    """What the sources of a run's data set are; "" where it had none of its own."""
    from gesso.store import Run

    return (Run.open(home, model.run).record.get("data") or {}).get("pairs", "")


def _made(kind: str) -> bool:
    """Whether sources of that kind can be made from pictures."""
    from gesso.data.degrade import KINDS

    return kind in KINDS


def _source(
    options: TranslateOptions, opened: "Opened", model: "Model", kind: str
) -> "tuple[np.ndarray, dict[str, str]]":
    """What is translated, h w s bytes in the form that the model knows, and by its kind what is to be said of it."""
    from gesso import tasks
    from gesso.data.degrade import degrade_picture
    from gesso.memory import afford
    from gesso.patch.pyramid import resized
    from gesso.redraw import in_form
    from gesso.translate import SMALLEST

    facts = model.family.facts
    high, wide = opened.image.shape[:2]
    scale = options.size / min(high, wide) if options.size else 1.0
    height, width = round(high * scale), round(wide * scale)
    if min(height, width) < SMALLEST:
        raise GessoError(
            f"{opened.path.name} is {width}×{height}: at least {SMALLEST} pixels a side are translated.",
            "Give a larger picture, or --size 64.",
        )
    if max(height, width) > tasks.LARGEST:
        raise GessoError(
            f"{opened.path.name} would be {width}×{height}: at most {tasks.LARGEST:,} pixels a side are translated.",
            "Give a smaller --size.",
        )
    afford(1e9 + 64 * height * width, f"Translating {width}×{height} pixels", "Give a smaller --size.")
    notes = {note: f"was converted: {note}" for note in opened.notes}
    learned = min(facts.height, facts.width)
    if options.size is None and min(height, width) > 2 * learned:
        notes["scale"] = (
            f"is {width}×{height}, and the model learned from {facts.width}×{facts.height}; where that shows less of a "
            f"thing than it learned from, bring it to its scale with --size {learned}"
        )
    picture = resized(opened.premultiplied, height, width)
    form, more = in_form(picture, facts.channels if options.from_picture else facts.source)
    if options.from_picture:
        form = degrade_picture(kind, form, options.seed)
    return form, notes | more


def _drawn(
    options: TranslateOptions, model: "Model", source: "np.ndarray", knobs: Options
) -> "Iterator[Drawn | Progress]":
    """The translations of one picture, and how far they are."""
    from gesso.translate import translating

    begun, each = time.monotonic(), max(min(AT_ONCE // (source.shape[0] * source.shape[1]), 64), 1)
    for first in range(0, options.count, each):
        seeds = range(options.seed + first, options.seed + min(first + each, options.count))
        work = translating(model.family, source, seeds, knobs, options.label, options.text)
        while True:
            try:
                done, total = next(work)
            except StopIteration as end:
                yield from end.value
                break
            share = (first + len(seeds) * done / total) / options.count
            yield Progress(share, 1.0, "", (time.monotonic() - begun) * (1 - share) / share)


def _write(
    options: TranslateOptions, target: Path, opened: "Opened", model: "Model", drawn: "Drawn", knobs: Options, kind: str
) -> Path:
    """One translation as a file, with its recipe and its mark; returns where it is."""
    from gesso.marks.picture import encode
    from gesso.marks.work import mark_of
    from gesso.sample import place

    suffix = target.suffix.lstrip(".").lower() if target.suffix else options.format
    path = target
    if not target.suffix or target.is_dir():
        path, suffix = target / f"{opened.path.stem}_translated_seed{drawn.seed:010d}.{options.format}", options.format
    chosen: dict[str, Any] = {"size": options.size, "from_picture": options.from_picture}
    how = model.recipe(drawn, knobs).model_copy(
        update={"task": "translate", "inputs": {opened.path.name: opened.sha256}, "options": chosen}
    )
    source = "trainedAlgorithmicMedia"
    if kind in RESTORING and not options.from_picture:
        source = mark_of("algorithmicallyEnhanced", [opened.path])
    data = encode(
        drawn.image, suffix, how, tell=options.recipe, source=source, quality=options.quality, parents=[opened.path]
    )
    return place(path, data)
