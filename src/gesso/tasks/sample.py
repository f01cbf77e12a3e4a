"""`gesso sample`: new pictures by a trained generator, or one that it drew before, once more."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.finishing import FinishChoices
from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field

if TYPE_CHECKING:
    from gesso.explore import Steering
    from gesso.finish import Collection
    from gesso.marks.recipe import Recipe
    from gesso.sample import Drawn, Model

CHART = 256  # pictures at most in one grid


class SampleOptions(FinishChoices):
    """Draw new pictures with a trained generator.

    A picture depends on its seed alone: the same model, seed and options give the same picture, whatever it is
    drawn together with. Each carries the recipe to make it again, which --like reads.

    Where the data set's pictures are larger than what the generator draws, its drafts are finished at that size with
    patches of the collection, at most half of one from a single picture; --no-finish leaves them as they are.
    """

    run: str = Field(
        default="",
        description="The run: its number, its name, or its data set for the latest; diffusers:PLACE for a pretrained "
        "pipeline.",
    )
    count: int = Field(default=16, ge=1, le=1_000_000, description="How many pictures.")
    seed: int | None = Field(
        default=None, ge=0, lt=2**62, description="Seed of the first; the others count on. A new one if not given."
    )
    label: str | None = Field(default=None, description="What to draw; every seed has its own label if not given.")
    text: tuple[str, ...] = Field(
        default=(),
        description="What to draw, in words of the captions; may be repeated: each is drawn from the same seeds. Every "
        "seed has a caption of its own if not given.",
    )
    prompts: Path | None = Field(default=None, description="File of texts to draw, one a line.")
    guidance: float | None = Field(
        default=None, ge=0, le=20,
        description="How much more than learned it is to be what is asked; 1: as learned; the family's if not given.",
    )  # fmt: skip
    negative: str = Field(default="", description="A text that pictures are led away from, with guidance above 1.")
    grid: bool = Field(default=False, description=f"Also write one picture with all (the first {CHART}).")
    out: Path | None = Field(
        default=None, description="Folder, or the file of a single picture; HOME/gallery/DATE if not given."
    )
    format: Literal["png", "jpg", "webp", "avif"] = Field(default="png", description="Kind of file.")
    layers: bool = Field(
        default=False,
        description="Also write each in layers, as an OpenRaster file: background, foreground, shade, light.",
    )
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Of jpg, webp, avif; webp is lossless if not given."
    )
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    slide: tuple[str, ...] = Field(
        default=(),
        description="Move a slider that `gesso directions` found, name=strength, such as larger=1.5; may be repeated.",
    )
    like: Path | None = Field(default=None, description="Draw this picture again, from the recipe that it carries.")
    finish: bool = Field(
        default=True, description="Finish each with the collection's patches, where that makes it larger."
    )
    size: int | None = Field(
        default=None, ge=16, le=4096,
        description="Shorter side of finished pictures in pixels; the data set's if not given.",
    )  # fmt: skip
    recipe: bool = Field(default=True, description="Write into each picture how to make it again.")
    originality: bool = Field(
        default=False, description="Compare each with the learned pictures; its recipe then says how like it is."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")


class Sample(Task[SampleOptions]):
    """The task."""

    name = "sample"
    Options = SampleOptions
    positional = ("run",)
    example = "gesso sample emoji -n 64 --seed 7 --grid"

    def run(self, options: SampleOptions, home: Path) -> Iterator[Event]:
        """Load, draw, write; the Result names the pictures."""
        from gesso import tasks
        from gesso.sample import Pictures, draw, fresh_seed, place, unread

        asked = (*options.text, *_lines(options.prompts))
        several = options.grid or len(asked) > 1 or (options.count > 1 and options.like is None)
        target = tasks.destination(options.out, home, several)
        suffix = target.suffix.lstrip(".").lower() if target.suffix else options.format
        if options.like is not None:
            model, recipe = _again(options, home)
            knobs, first, label = model.family.Knobs.of(recipe.knobs), recipe.seed, recipe.label
            texts: tuple[str | None, ...] = (recipe.text,)
            if recipe.device != model.device:
                yield Message(f"It was drawn on {recipe.device}, now on {model.device}: bytes may differ.", "warning")
        else:
            model = _load(options.run, home, options.device)
            knobs = tasks.knobs_of(
                model, options.set, bool(asked) or options.label is not None, options.guidance, options.negative
            )
            label, recipe = options.label, None
            texts = asked or (None,)
            first = fresh_seed(options.count) if options.seed is None else options.seed
        yield from (Message(note, "warning") for note in model.notes)
        yield from (Message(said, "warning") for said in unread(model.family, asked))
        steering = _steering(options, model, recipe, home)
        finisher = yield from _finisher(options, model, recipe, home)
        look = None
        if options.originality:
            from gesso.store import Run

            learned = tasks.learned(Run.open(home, model.run), home)
            look = yield from tasks.comparer(learned.images, learned.sources, learned.pack)

        paths: list[Path] = []
        shown = []
        each, begun, copies = 1 if options.like else options.count, time.monotonic(), 0
        count, last = each * len(texts), first + each - 1
        seeds, wanted = [*range(first, last + 1)] * len(texts), [text for text in texts for _ in range(each)]
        how = None if steering is None else steering.way(model.family)
        for done, drawn in enumerate(draw(model.family, seeds, label, knobs, wanted, how=how), 1):
            if steering is not None:
                drawn = replace(drawn, moved=steering.moved)
            layered = _in_layers(model, drawn, knobs, options.recipe) if options.layers else b""
            if finisher is not None:
                drawn = finisher.finished(drawn)
            if look is not None:
                drawn = replace(drawn, original=look(drawn.image))
                copies += bool(drawn.original and drawn.original.copied)
            elif recipe is not None:
                drawn = replace(drawn, original=recipe.original)
            one = Pictures(model, knobs, [drawn])
            if target.suffix:  # the file of a single picture
                data = one.encode(drawn, suffix, recipe=options.recipe, quality=options.quality)
                paths.append(place(target, data))
            else:
                paths += one.save(target, suffix=suffix, recipe=options.recipe, quality=options.quality)
            if layered:
                paths.append(place(paths[-1].with_suffix(".ora"), layered))
            if options.grid and done <= CHART:
                shown.append(drawn)
            pace = (time.monotonic() - begun) / done
            yield Progress(done, count, "pictures", (count - done) * pace, {"pictures/s": 1 / max(pace, 1e-9)})
        facts: dict[str, Any] = {"run": model.run, "seed": first, "count": count, "label": label}
        if steering is not None:
            facts["slide"] = steering.moved.sliders
        if asked:
            facts["text"] = [*asked]
        if shown:
            grid = _grid(Pictures(model, knobs, shown), target, asked, each, suffix)
            paths.insert(0, grid)
            facts["grid"] = str(grid)
            yield Preview(grid, f"seeds {first} to {last}")
        what = f"{count:,} pictures, seeds {first} to {last}" if count > 1 else f"One picture, seed {first}"
        said = f"{what}, by {model.run}, step {model.step:,}." if model.number else f"{what}, by {model.run}."
        if finisher is not None:
            facts |= {"finished": finisher.size, "largest_share": finisher.most}
            said += f" Finished with patches of '{finisher.collection.pack.name}': at most {finisher.most:.0%} of one "
            said += "is from a single picture."
        if look is not None:
            facts["copies"] = copies
            said += f" Near-copies of learned pictures: {copies:,}."
        yield Result(said, tuple(paths), facts)


def _lines(path: Path | None) -> list[str]:
    """The texts of a file, one a line, but for empty lines; raises GessoError where there is none."""
    if path is None:
        return []
    try:
        lines = path.expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GessoError(f"{path} cannot be read: {error}.", "Give a text file in UTF-8, one text a line.") from None
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise GessoError(f"{path} holds no text.", "Write one text a line.")
    return texts


def _load(ref: str, home: Path, device: str) -> "Model":
    from gesso import tasks

    if not ref:
        raise GessoError("No run is named.", "For example: gesso sample emoji. `gesso list` shows the runs.")
    return tasks.load(ref, home, device)


def _steering(options: SampleOptions, model: "Model", recipe: "Recipe | None", home: Path) -> "Steering | None":
    """The sliders that are moved, by what was asked or by a recipe; raises GessoError for what cannot be."""
    moved = recipe.moved if recipe is not None else None
    if not options.slide and moved is None:
        return None
    from gesso.explore import again, chosen
    from gesso.store import Run

    if not model.number:
        raise GessoError("A pretrained pipeline has no sliders.", "Leave out --slide.")
    if options.layers:
        raise GessoError("Layers are drawn without sliders.", "Leave out --layers, or --slide.")
    root = Run.open(home, model.run).root
    return again(root, model.sha256, moved) if moved else chosen(root, model.sha256, options.slide)


def _in_layers(model: "Model", drawn: "Drawn", knobs: Any, recipe: bool) -> bytes:
    """A drawn picture as layers that make it up, as the bytes of an OpenRaster file."""
    import numpy as np

    from gesso.marks.openraster import Sheet, open_raster, shading
    from gesso.sample import draw

    if "layer" not in model.family.Knobs.model_fields or model.family.facts.channels != 4:
        raise GessoError(
            "This model draws no layers.", "Train one with --family regions on pictures with transparency."
        )

    def layer(name: str) -> "np.ndarray":
        asked = knobs.model_copy(update={"layer": name})
        return next(draw(model.family, [drawn.seed], drawn.label, asked, drawn.text)).image

    whole, behind, front = (layer(name) for name in ("whole", "background", "foreground"))
    pasted = front[..., :3] + np.round((1 - front[..., 3:] / 255) * behind[..., :3]).astype(np.uint8)
    shade, light = shading(whole[..., :3], pasted)
    layers = Sheet("Background", behind), Sheet("Foreground", front)
    more = Sheet("Shade", shade, "svg:multiply"), Sheet("Light", light, "svg:plus")
    return open_raster(whole, [*layers, *more], model.recipe(drawn, knobs) if recipe else None)


@dataclass
class Finisher:
    """Draws the drafts of a model anew. size: of the finished pictures, h w; most: the largest share so far."""

    collection: "Collection"
    choices: FinishChoices
    size: tuple[int, int]
    most: float = 0.0

    def finished(self, drawn: "Drawn") -> "Drawn":
        """A drawn picture, finished, with what was taken from where."""
        from gesso.finish.sources import taken_of
        from gesso.marks.work import to_bytes

        draft = drawn.image.astype("float32") / 255
        how = self.choices
        *_, last = self.collection.finish(
            draft, *self.size, self.collection.manner(how, *self.size), count=how.pictures, turns=how.turns
        )
        assert last.copied is not None
        options = how.model_dump(include={*FinishChoices.model_fields})
        taken = taken_of(last.copied, self.collection.pack, options)
        self.most = max(self.most, taken.share)
        return replace(drawn, image=to_bytes(last.picture), taken=taken)


def _finisher(
    options: SampleOptions, model: "Model", recipe: "Recipe | None", home: Path
) -> "Generator[Event, None, Finisher | None]":
    """What finishes the drafts of a model; None where that was not wanted, or would not make them larger."""
    from gesso import tasks
    from gesso.finish.sources import changed_since
    from gesso.store import Run

    facts, taken = model.family.facts, recipe.taken if recipe is not None else None
    asked = options.size is not None or taken is not None
    if not options.finish or (recipe is not None and taken is None):
        if options.size is not None:
            raise GessoError("--size is that of finished pictures.", "Leave out --no-finish, or --size.")
        return None
    if not model.number:
        if asked:
            raise GessoError("A pretrained pipeline has no data set to finish its pictures with.", "Leave out --size.")
        return None
    run = Run.open(home, model.run)
    if "data" not in run.record and not asked:
        return None
    try:
        pack, rows = tasks.learned_rows(run, home)
    except GessoError as error:
        if asked:
            raise
        yield Message(f"The drafts are not finished: {error.problem}", "warning")
        return None
    scale = (options.size or min(pack.height, pack.width)) / min(facts.height, facts.width)
    size = round(facts.height * scale), round(facts.width * scale)
    choices: FinishChoices = options
    if recipe is not None and taken is not None:
        size, choices = (recipe.height, recipe.width), FinishChoices.of(taken.options)
        assert options.like is not None
        note = changed_since(taken, pack, options.like, "Draw a new picture.")
        if note:
            yield Message(note, "warning")
    if size[0] <= facts.height and size[1] <= facts.width and not asked:
        return None
    collection = yield from tasks.collection(pack, rows)
    collection.afford(choices, facts.height, *size)
    collection.manner(choices, *size)  # what cannot be done is said before anything is drawn
    yield Message(f"Finishing at {size[1]}×{size[0]} with patches of '{pack.name}'; --no-finish leaves drafts rough.")
    return Finisher(collection, choices, size)


def _again(options: SampleOptions, home: Path) -> "tuple[Model, Recipe]":
    """The recipe of a picture, and the very model that drew it; raises GessoError when that is no longer there."""
    from gesso import tasks
    from gesso.files import sha256_of
    from gesso.marks.recipe import Work, read_recipe
    from gesso.store import PRETRAINED, list_runs

    assert options.like is not None
    chosen = [
        f"--{name}"
        for name in (
            "seed",
            "label",
            "text",
            "prompts",
            "guidance",
            "negative",
            "set",
            "slide",
            "size",
            *FinishChoices.model_fields,
        )
        if name in options.model_fields_set
    ]
    if chosen:
        raise GessoError(f"--like takes everything from the picture, {chosen[0]} too.", f"Leave out {chosen[0]}.")
    recipe = read_recipe(options.like)
    if isinstance(recipe, Work):
        raise GessoError(f"{options.like} was drawn by no model, but made by `gesso {recipe.task}`.")
    if recipe is not None and recipe.task != "sample":
        raise GessoError(f"{options.like} was made by `gesso {recipe.task}`, not drawn.", "Make it again with that.")
    if recipe is None:
        raise GessoError(f"{options.like} carries no recipe.", "Give the run and the seed yourself, if you know them.")
    if recipe.run.startswith(PRETRAINED):
        model = tasks.load(recipe.run, home, options.device, download=False)  # anyone may have written that recipe
        if model.sha256 == recipe.model:
            return model, recipe
        problem = f"The pipeline {recipe.run} has changed since it drew {options.like}."
        raise GessoError(problem, f"It now draws seed {recipe.seed} differently, but you may ask for it.")
    runs = [run for run in list_runs(home) if run.model.is_file()]
    runs.sort(key=lambda run: run.root.name != recipe.run)  # the one of that name first
    found = next((run for run in runs if sha256_of(run.model) == recipe.model), None)
    if found is not None:
        return _load(str(found.root), home, options.device), recipe
    if runs and runs[0].root.name == recipe.run:
        problem = f"Run {recipe.run} has learned on since step {recipe.step:,}, when it drew {options.like}."
        raise GessoError(problem, f"Its present model draws seed {recipe.seed} differently, but you may ask for it.")
    raise GessoError(
        f"The run {recipe.run}, which drew {options.like}, is not in {home / 'runs'}.",
        "Name the home folder that it is in, with --home.",
    )


def _grid(pictures: Any, target: Path, texts: tuple[str, ...], each: int, suffix: str) -> Path:
    """One picture with all of them, beside them; where texts were asked for, a row each, with the text above it."""
    from gesso.marks.picture import encode, sheet
    from gesso.sample import place, slug

    first, last = pictures[0].seed, pictures[min(each, len(pictures)) - 1].seed
    said = "_" + slug(texts[0] if len(texts) == 1 else f"{len(texts)} texts") if texts else ""
    name = f"{pictures.model.title}{said}_seeds{first:010d}-{last:010d}.{suffix}"
    if not texts:
        return place(target / name, encode(pictures.grid(), suffix))
    images = [drawn.image for drawn in pictures]
    rows = [images[i : i + each] for i in range(0, len(images), each)]
    return place(target / name, encode(sheet(rows, captions=texts[: len(rows)]), suffix))
