"""`gesso directions`: sliders with names, found in what a model draws."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gesso.explore import Look, Points, Slider, Space
    from gesso.sample import Model
    from gesso.store import Run

EACH = 3  # strengths on a sheet to each side of none
ASIDE = 0.33  # of a slider's effect: what moves more beside it is told


class DirectionsOptions(Options):
    """Find sliders with names: larger, redder, further right, on a darker ground.

    Pictures are drawn and looked at; of what is seen to differ, each thing that the model can change by itself becomes
    a slider, tried out and measured. They are written beside the run, with a sheet for each: rows are seeds, columns
    strengths. Then draw with them: gesso sample RUN --slide larger=1.5.

    --ways adds those along which pictures differ most, called by what they were seen to do; --labels those towards the
    labels of the data set.
    """

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    count: int = Field(default=1500, ge=200, le=100_000, description="How many pictures are looked at.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the first of them; the others count on.")
    ways: int = Field(
        default=0, ge=0, le=64,
        description="Also try so many of the ways along which pictures differ most, whatever that is.",
    )  # fmt: skip
    labels: bool = Field(
        default=False,
        description="Also find sliders towards the data set's labels, of a model that is not asked by them.",
    )
    label: str | None = Field(default=None, description="What all of them are to show; each seed's own if not given.")
    text: str | None = Field(default=None, description="What all of them are to show; each seed's own if not given.")
    rows: int = Field(default=5, ge=1, le=50, description="Seeds on each sheet.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")


class Directions(Task[DirectionsOptions]):
    """The task."""

    name = "directions"
    Options = DirectionsOptions
    positional = ("run",)
    example = "gesso directions emoji"
    pace = "minutes"

    def run(self, options: DirectionsOptions, home: Path) -> Iterator[Event]:
        """Draw, find, try, write; the Result's text is the table of sliders."""
        from gesso import tasks
        from gesso.explore import LOOK, Space, called, find, keep
        from gesso.files import write_bytes
        from gesso.marks.picture import encode, sheet
        from gesso.store import Run

        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        if not model.number:
            raise GessoError("A pretrained pipeline is no run, beside which sliders could be kept.", "Name a run.")
        asked = tasks.asked_of(model, options.label, options.text)
        knobs = tasks.knobs_of(model, options.set, any(one is not None for one in asked))
        folder = Run.open(home, model.run)
        space, root, look = Space(model.family, knobs), folder.root, LOOK
        if options.labels:
            yield Message("Learning a classifier of the labels, unless it is there; about a minute …")
            look = _with_labels(model, folder, home)
        work = find(space, options.count, options.seed, look, options.ways, *asked)
        sliders = yield from tasks.counted(work, "pictures")
        if not sliders:
            raise GessoError(
                f"Nothing of the {options.count:,} pictures changes along a direction that could be found.",
                "Train longer, look at more pictures (--count 5000), or hold fixed what is asked: --label or --text.",
            )
        how = options.model_dump(include={"count", "seed", "ways", "labels", "label", "text"}, mode="json")
        how["knobs"] = knobs.model_dump(mode="json")
        keep(root, sliders, model.sha256, how)
        first = options.seed + options.count + 1000
        paths, seeds = list[Path](), range(first, first + options.rows)
        for slider in sliders:
            rows, under = _rows(space, slider, space.points(seeds, *asked))
            page = sheet(rows, title=f"{slider.attribute.less.capitalize()} to {slider.attribute.more}", under=under)
            path = root / "sliders" / f"{called(slider.attribute.more)}.png"
            write_bytes(path, encode(page, "png"))
            paths.append(path)
        for old in {*(root / "sliders").glob("*.png")} - {*paths}:  # of sliders that there were before
            old.unlink()
        yield Preview(paths[0], sliders[0].attribute.more)
        facts: dict[str, Any] = {"run": model.run, "seed": options.seed, "count": options.count}
        facts["sliders"] = [
            {
                "name": called(one.attribute.more), "opposite": called(one.attribute.less), "low": one.low,
                "high": one.high, "correlation": round(one.correlation, 3), "effect": round(one.effect, 3),
                "others": one.others,
            }
            for one in sliders
        ]  # fmt: skip
        said = f"{len(sliders)} sliders of {model.run}, with a sheet each in {root / 'sliders'}:\n\n"
        said += "\n".join(_line(one, look) for one in sliders)
        slide = f"{called(sliders[0].attribute.more)}={min(sliders[0].high, 1.5):g}"
        fixed = f" --text '{options.text}'" if options.text else f" --label '{options.label}'" if options.label else ""
        said += f"\n\nDraw with them: gesso sample {model.number} --slide {slide}{fixed}"
        yield Result(said, tuple(paths), facts)


def _with_labels(model: "Model", folder: "Run", home: Path) -> "Look":
    """What is always looked at, and how sure a classifier is of each label; raises GessoError where there are none."""
    import torch

    from gesso import tasks
    from gesso.explore import LOOK, Attribute, Look
    from gesso.measure.own import Own, own_of
    from gesso.train.plan import classes

    if "label" in model.family.asks:
        raise GessoError("This model is asked by its labels, and needs no sliders towards them.", "Leave out --labels.")
    learned = tasks.learned(folder, home)
    network = own_of(learned.images, learned.numbers, learned.pack.path, learned.pack.fingerprint).network
    names, _, _ = classes(learned.pack.labels, learned.pack.label_ids)
    if len(names) < 2 or not isinstance(network, Own) or not network.labels:
        raise GessoError("These pictures have no labels that a classifier could learn.", "Leave out --labels.")
    told = [Attribute(f"label {name}", f"more like {name}", f"less like {name}", "label", 0.2) for name in names]

    def figures(images: "Tensor") -> "dict[str, Tensor]":
        with torch.inference_mode():
            parts = [network.logits(network.features(some)).float() for some in images.split(100)]
        chances = torch.cat(parts).log_softmax(1)
        odds = chances - torch.log1p(-chances.exp().clamp(max=1 - 1e-4))
        return LOOK.figures(images) | {one.name: odds[:, i].clone() for i, one in enumerate(told)}

    return Look((*LOOK.attributes, *told), figures)


def _line(slider: "Slider", look: "Look") -> str:
    """A slider in the table."""
    from gesso.explore import called

    ends = f"{called(slider.attribute.more)} / {called(slider.attribute.less)}"
    line = f"  {ends:52} {slider.low:+4.1f} … {slider.high:+4.1f}   sure {slider.correlation:.2f}"
    beside = slider.beside(look.attributes)
    if beside is None or abs(beside[1]) < ASIDE:
        return line
    return f"{line}   also {beside[0].more if beside[1] > 0 else beside[0].less}"


def _rows(space: "Space", slider: "Slider", base: "Points") -> "tuple[list[list[np.ndarray]], list[list[str]]]":
    """Pictures of the same points at strengths that the slider works at, and what to write under the last of them."""
    from gesso.marks.picture import to_uint8

    strengths = [slider.low * (EACH - i) / EACH for i in range(EACH + 1)]
    strengths += [slider.high * (i + 1) / EACH for i in range(EACH)]
    columns = [to_uint8(space.pictures(base.at(base.codes + s * slider.direction.to(base.codes)))) for s in strengths]
    rows = [[column[i] for column in columns] for i in range(len(base))]
    return rows, [[""] * len(strengths)] * (len(rows) - 1) + [[f"{s:+.1f}" if s else "0" for s in strengths]]
