"""`gesso measure`: how good and how various a model's pictures are."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.store import Run

MOST = 10_000  # learned pictures that are compared with
MANY = 2000  # pictures from which features are computed by several processes, unless told
FEWEST_HELD = 100  # pictures held out, from which their own figures stand beside the model's


class MeasureOptions(Options):
    """Measure how good and how various a model's pictures are.

    Draws pictures and compares them with those that the run learned from: Fréchet distance and KID (how alike both
    sets are), precision and density (how many made pictures look real), recall and coverage (how much of the real
    variety is there), sliced Wasserstein distance (colours and textures), diversity. Figures go with the network that
    saw them, and with the number of pictures: they compare runs of one data set, not papers.
    """

    run: str = Field(default="", description="The run: its number, its name, or its data set for the latest.")
    images: Path | None = Field(default=None, description="A folder of pictures to measure instead of new ones.")
    count: int = Field(default=2000, ge=20, le=100_000, description="How many pictures to draw.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the first; the others count on.")
    by: str = Field(
        default="primer",
        description="Whose features: primer, own (learns from these pictures, a minute), random, inception:FILE, "
        "clean:FILE, or a file of a network.",
    )
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    processes: int = Field(default=0, ge=0, le=256, description="Processes that look at pictures; 0 picks.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to draw.")


class Measure(Task[MeasureOptions]):
    """The task."""

    name = "measure"
    Options = MeasureOptions
    positional = ("run",)
    example = "gesso measure flowers"
    pace = "minutes"

    def run(self, options: MeasureOptions, home: Path) -> Iterator[Event]:
        """Draw or read, measure, write; the Result's facts are those of measures.json."""
        import numpy as np

        from gesso import tasks
        from gesso.files import write_json
        from gesso.measure.own import extractor_for
        from gesso.measure.report import NAMES, Set, report, table, within
        from gesso.primer.distance import Distance
        from gesso.store import Run

        if not options.run:
            raise GessoError("No run is named.", "For example: gesso measure flowers. `gesso list` shows the runs.")
        folder = Run.open(home, options.run)
        learned = tasks.learned(folder, home)
        if options.by == "own":
            yield Message("Learning a network of these pictures' own, unless it is there; about a minute …")
        see = extractor_for(options.by, learned.images, learned.numbers, learned.pack.path, learned.pack.fingerprint)
        made, facts = yield from (
            _read(options, folder) if options.images else _drawn(options, folder, learned.numbers, home)
        )
        order = np.random.default_rng(0).permutation(len(learned.images))[:MOST]
        labels = len(folder.record["facts"]["labels"])
        real = Set(learned.images[order], learned.numbers[order] if labels else None)
        yield Message(f"Comparing with {len(order):,} learned pictures, by {see.mark} …")
        unlike, workers = Distance(look="quick").eval(), options.processes or _workers(len(order) + len(made.images))
        figures = report(real, made, see, unlike, labels, workers)
        beside = within(Set(real.images, None if made.numbers is None else real.numbers), unlike)
        if len(learned.held) >= FEWEST_HELD:
            held = Set(np.asarray(learned.held)[np.random.default_rng(0).permutation(len(learned.held))])
            apart = report(Set(real.images), held, see, unlike, 0, workers)
            beside |= {name: apart[name] for name in ("frechet_infinity", "kid")}  # the others go with the number
        out = {
            "run": folder.root.name, "data": folder.record["data"]["fingerprint"][:12],
            "size": f"{made.images.shape[2]}×{made.images.shape[1]}", "extractor": see.mark, "sha256": see.sha256,
            "count": len(made.images), "learned": len(order), **facts,
            "when": datetime.now().astimezone().isoformat(timespec="seconds"), "figures": figures, "real": beside,
        }  # fmt: skip
        paths: list[Path] = []
        if options.images is None:
            write_json(folder.root / "measures.json", out)
            folder.update(measures=_brief(out))
            write_card(folder)
            paths = plotted(folder)
            yield from (Preview(path, "quality over time") for path in paths[:1])
            paths.insert(0, folder.root / "measures.json")
        yield Result(table([out], NAMES), tuple(paths), out)


def _workers(count: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if count >= MANY else 1


def _drawn(options: MeasureOptions, folder: "Run", numbers: "np.ndarray", home: Path) -> Any:
    """Yields what drawing yields; returns the pictures and what is to be known of them. numbers: learned labels."""
    import numpy as np

    from gesso import tasks
    from gesso.measure.report import Set

    model = tasks.load(str(folder.root), home, options.device)
    knobs = model.family.Knobs.from_pairs(options.set, model.family.alike)
    asked = _as_often(numbers, model.labels, options.count) if model.labels else None
    drawn = yield from tasks.drawing(model, range(options.seed, options.seed + options.count), asked, knobs, home)
    seen = np.array([model.labels.index(one.label) for one in drawn]) if model.labels else None
    return Set(np.stack([one.image for one in drawn]), seen), {
        "seed": options.seed, "knobs": knobs.model_dump(mode="json"), "step": model.step, "model": model.sha256,
    }  # fmt: skip


def _as_often(numbers: "np.ndarray", names: Sequence[str], count: int) -> list[str | None]:
    """Labels to ask for, as often as the learned pictures have them, in an order drawn once."""
    import numpy as np

    picked = np.random.default_rng(1).permutation(numbers)
    return [names[int(picked[i % len(picked)])] for i in range(count)]


def _read(options: MeasureOptions, folder: "Run") -> Any:
    """Yields Messages; returns pictures of a folder, in an order drawn once, and where they are from."""
    import numpy as np

    from gesso.data.reading import read_pictures
    from gesso.measure.report import Set

    facts = folder.record["facts"]
    width, height = facts["width"], facts["height"]
    assert options.images is not None
    read = read_pictures(options.images, width, height, facts["channels"])
    yield from (Message(problem, "warning") for problem in read.problems[:5])
    others = sum(count for size, count in read.sizes.items() if size != (width, height))
    if others:
        raise GessoError(
            f"{others:,} pictures in {options.images} are not of {width}×{height} pixels, as run {folder.root.name}'s.",
            "Figures of other sizes say something else: bring them to that size first.",
        )
    images = read.images[np.random.default_rng(0).permutation(len(read.images))]
    return Set(images), {"images": str(options.images)}


def _brief(out: dict[str, Any]) -> dict[str, Any]:
    """What the record and the model card keep."""
    kept = {key: out[key] for key in ("extractor", "count", "step", "when")}
    return {**kept, "figures": {name: figure["value"] for name, figure in out["figures"].items()}}


def plotted(folder: "Run") -> list[Path]:
    """Curves of the run's looks as PNG and SVG; none where it has not been looked at."""
    from gesso.measure.plot import curves, draw_curves

    found = {folder.root.name: curves(folder.read_log())}
    return draw_curves(found, folder.root / "measures", f"{folder.root.name}: quality over time")


def write_card(folder: "Run") -> None:
    """The model card anew."""
    from gesso import tasks
    from gesso.train import card

    card.write_card(folder, tasks.family(folder.family).paper)
