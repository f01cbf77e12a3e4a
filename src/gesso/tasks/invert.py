"""`gesso invert`: given pictures found among what a model draws, and changed by its sliders."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gesso.data.picture import Opened
    from gesso.explore import Space, Wish
    from gesso.explore.inverted import Kept
    from gesso.sample import Model

FAR = 1.5  # from which on a picture is unlike what the model draws
SEARCH = {"label", "text", "steps", "fit", "styles", "seed", "set"}  # choices that what is found depends on


class InvertOptions(Options):
    """Find given pictures among what a model draws, and change them by its sliders.

    A family that can look at pictures says where they are, others search. Then the part that paints is fitted to each,
    a little, so that it is drawn to the detail (--fit 0 leaves that out). What is found is kept beside the run: to
    change the same picture otherwise takes no search. `gesso directions` finds the sliders.
    """

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    picture: tuple[Path, ...] = Field(min_length=1, description="Pictures to find, or folders of them.")
    slide: tuple[str, ...] = Field(
        default=(),
        description="A slider and its strengths, such as larger=-1,1: a picture of each; may be repeated.",
    )
    label: str | None = Field(default=None, description="What it shows, where the model knows labels; it is tried out.")
    text: str | None = Field(default=None, description="What it shows, where the model knows texts; it is tried out.")
    steps: int = Field(default=300, ge=0, le=10_000, description="Steps of the search, where there is one.")
    fit: int = Field(default=300, ge=0, le=10_000, description="Steps by which the part that paints is fitted.")
    styles: Literal["own", "shared"] = Field(
        default="own", description="Of a stylegan: a style for each layer, nearer; or one for all, easier to change."
    )
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the pictures that a search begins with.")
    out: Path | None = Field(default=None, description="Folder; HOME/gallery/DATE if not given.")
    format: Literal["png", "jpg", "webp", "avif"] = Field(default="png", description="Kind of file.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    recipe: bool = Field(default=True, description="Write into each picture how to make it again.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")


@dataclass(frozen=True)
class Edit:
    """A picture that was changed: by which slider, how far, and what came of it."""

    name: str
    strength: float
    image: "np.ndarray"


class Invert(Task[InvertOptions]):
    """The task."""

    name = "invert"
    Options = InvertOptions
    positional = ("run", "picture")
    example = "gesso invert emoji photo.png --slide larger=-1,1"
    pace = "minutes"

    def run(self, options: InvertOptions, home: Path) -> Iterator[Event]:
        """Find, fit, change, write; the Result names the sheet and the pictures, its facts tell how near they come."""
        from gesso import tasks
        from gesso.data.picture import open_picture
        from gesso.explore import Space, wished
        from gesso.marks.picture import encode, sheet
        from gesso.redraw import at_model
        from gesso.sample import place
        from gesso.store import Run

        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        if not model.number:
            raise GessoError("A pretrained pipeline is no run, beside which pictures could be kept.", "Name a run.")
        root, asked = Run.open(home, model.run).root, options.label is not None or options.text is not None
        wishes = wished(root, model.sha256, options.slide) if options.slide else []
        knobs = tasks.knobs_of(model, options.set, asked)
        space, (label, text) = Space(model.family, knobs), tasks.asked_of(model, options.label, options.text)
        folder, files = tasks.destination(options.out, home, True), tasks.pictures_in(options.picture, "_inverted")
        rows, captions, paths, told = list[Any](), list[str](), list[Path](), list[dict[str, Any]]()
        for file in files:
            try:
                opened = open_picture(file)
                pixels, notes = at_model(opened, model.family.facts)
            except GessoError as error:
                if len(files) == 1:
                    raise
                yield Message(f"{file.name} is left out: {error.problem}", "warning")
                continue
            yield from (Message(note) for note in notes)
            found = yield from _found(options, model, space, root, opened, pixels, label, text)
            facts = _told(found, pixels) | {"file": file.name}
            told.append(facts)
            if found.far > FAR:
                yield Message(_unlike(file.name, found.far, model.run), "warning")
            edits = _edits(found, space, wishes)
            for edit in [Edit("", 0.0, found.image), *edits]:
                how = _recipe(options, model, knobs, opened, found, edit)
                name = f"{file.stem}_inverted{edit.name and f'_{edit.name}{edit.strength:+g}'}.{options.format}"
                data = encode(
                    edit.image, options.format, how, tell=options.recipe, parents=[file],
                    source="compositeWithTrainedAlgorithmicMedia",
                )  # fmt: skip
                paths.append(place(folder / name, data))
            rows.append([pixels, found.image, *(edit.image for edit in edits)])
            captions.append(f"{facts['psnr']:.1f} dB, {file.name}")
        if not rows:
            raise GessoError("None of these pictures could be read.", "Name pictures, or a folder of them.")
        names = ["given", "found", *(f"{wish.name} {strength:+g}" for wish in wishes for strength in wish.given)]
        page = encode(sheet(rows[:64], captions=captions[:64], under=[names] * len(rows[:64])), "png")
        first = place(folder / f"{model.title}_inverted_{files[0].stem}.png", page)
        yield Preview(first, "given, found and changed")
        mean = sum(one["psnr"] for one in told) / len(told)
        what = f"{len(told):,} pictures found" if len(told) > 1 else f"{told[0]['file']} found"
        facts = {"run": model.run, "count": len(told), "psnr": round(mean, 2), "pictures": told}
        yield Result(f"{what}, drawn again at {mean:.1f} dB, by {model.run}: {first}.", (first, *paths), facts)


def _found(
    options: InvertOptions, model: "Model", space: "Space", root: Path, opened: "Opened", pixels: "np.ndarray",
    label: int | None, text: str | None,
) -> "Generator[Event, None, Kept]":  # fmt: skip
    """Where a picture is, as it was kept, or found now."""
    import torch

    from gesso import tasks
    from gesso.explore.fit import fitted, painter_of
    from gesso.explore.inversion import invert
    from gesso.explore.inverted import Kept, keep_found, kept_found

    how = options.model_dump(include=SEARCH, mode="json") | {"model": model.sha256, "picture": opened.sha256}
    known = kept_found(root, opened.sha256, how, space)
    if known is not None:
        return known
    target = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    work = invert(space, target, label, text, options.steps, options.styles == "own", options.seed)
    found = yield from tasks.counted(work, "steps")
    part, weights = None, dict[str, "Tensor"]()
    if options.fit:
        painter = painter_of(space, found.points)
        if painter is None:
            yield Message(f"The family {model.family.name} has no part that could be fitted to a picture.", "warning")
        else:
            part = painter.name
            weights = yield from tasks.counted(
                fitted(space, found.points, painter, target, options.fit, options.seed), "steps of the fit"
            )
    new = Kept.of(found, space, part, weights)
    keep_found(root, opened.sha256, how, new)
    return new


def _edits(found: "Kept", space: "Space", wishes: "list[Wish]") -> list[Edit]:
    """A picture for each strength of each slider."""
    from gesso.marks.picture import to_uint8

    there, out = found.space(space), list[Edit]()
    for wish in wishes:
        for strength, given in zip(wish.strengths, wish.given, strict=True):
            codes = found.points.codes + strength * wish.slider.direction.to(found.points.codes)
            out.append(Edit(wish.name, given, to_uint8(there.pictures(found.points.at(codes)))[0]))
    return out


def _told(found: "Kept", pixels: "np.ndarray") -> dict[str, Any]:
    """How near it is drawn again."""
    import torch

    from gesso.measure.pixels import psnr, ssim

    a, b = (torch.from_numpy(x).permute(2, 0, 1)[None].float() / 127.5 - 1 for x in (pixels, found.image))
    alike = round(float(ssim(a, b)), 4) if min(a.shape[2:]) > 10 else None
    return {"psnr": round(min(float(psnr(a, b)), 99.0), 2), "ssim": alike, "far": round(found.far, 2)}


def _unlike(name: str, far: float, run: str) -> str:
    return (
        f"{name} is {far:.1f} times as far from what {run} draws as its own pictures are from each other: what sliders "
        "do to it may be anything."
    )


def _recipe(options: InvertOptions, model: "Model", knobs: Any, opened: "Opened", found: "Kept", edit: Edit) -> Any:
    """How a picture was made: of which one, found how, changed by what."""
    from gesso.sample import Drawn

    label = None if found.points.label is None else model.labels[int(found.points.label[0])]
    text = found.points.text[0] if found.points.text else None
    drawn = Drawn(options.seed, label, edit.image, text=text)
    kept = options.model_dump(include={"steps", "fit", "styles"}, mode="json")
    kept |= {"slide": f"{edit.name}={edit.strength:g}"} if edit.name else {}
    more = {"task": "invert", "inputs": {opened.path.name[-1000:]: opened.sha256}, "options": kept}
    return model.recipe(drawn, knobs).model_copy(update=more)
