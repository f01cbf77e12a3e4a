"""`gesso compare`: several runs of one data set beside each other."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    from gesso.store import Run

COLUMNS = 12  # pictures of each run on the sheet, from the same seeds


class CompareOptions(Options):
    """Compare runs of one data set: figures, curves of quality, pictures from the same seeds.

    What has not been measured yet, or not in the same way as the others, is measured first. Of each row the best run
    has a star; differences smaller than the intervals say nothing.
    """

    runs: tuple[str, ...] = Field(default=(), description="The runs, two or more: numbers, names or beginnings.")
    count: int = Field(default=2000, ge=20, le=100_000, description="How many pictures of each are measured.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the first picture; the others count on.")
    by: str = Field(default="primer", description="Whose features: as for gesso measure.")
    out: Path | None = Field(default=None, description="Folder for sheet and plot; HOME/gallery/DATE if not given.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to draw.")


class Compare(Task[CompareOptions]):
    """The task."""

    name = "compare"
    Options = CompareOptions
    positional = ("runs",)
    example = "gesso compare 7 8"
    pace = "minutes"

    def run(self, options: CompareOptions, home: Path) -> Iterator[Event]:
        """Measure what is not measured, then show; the Result's facts hold `reports`, one of each run."""
        from gesso.files import read_json
        from gesso.measure.plot import curves, draw_curves
        from gesso.measure.report import NAMES, comparable, table
        from gesso.store import Run

        if len(options.runs) < 2:
            raise GessoError("A comparison needs two runs or more.", "For example: gesso compare 7 8.")
        folders = [Run.open(home, ref) for ref in options.runs]
        names = [folder.root.name for folder in folders]
        if len(set(names)) < len(names):
            raise GessoError("The same run is named twice.", "Name different ones.")
        _alike(folders)
        reports: list[dict[str, Any]] = []
        for folder in folders:
            path = folder.root / "measures.json"
            known = read_json(path) if path.exists() else None
            if known is None or not _fits(known, options, folder):
                yield Message(f"Measuring {folder.root.name} …")
                yield from _measured(options, folder, home)
                known = read_json(path)
            reports.append(known)
        for one in reports[1:]:
            if why := comparable(reports[0], one):
                raise GessoError(f"These runs cannot be compared. {why}", "Measure them alike.")
        out = options.out or home / "gallery" / date.today().isoformat()
        name = "compare-" + "-".join(f"{folder.number:04d}" for folder in folders)
        found = {folder.root.name: curves(folder.read_log()) for folder in folders}
        paths = draw_curves(found, out / name, "Quality over time")
        sheet = _sheet(out / f"{name}-pictures.png", folders, options, home)
        yield Preview(sheet, "from the same seeds")
        yield Result(table(reports, NAMES), (sheet, *paths), {"reports": reports})


def _alike(folders: "list[Run]") -> None:
    """Raise GessoError unless the runs learned the same pictures at one size."""
    first = folders[0]
    for other in folders[1:]:
        if other.record["data"]["fingerprint"] != first.record["data"]["fingerprint"]:
            raise GessoError(
                f"Run {first.root.name} learned from '{first.name}', run {other.root.name} from other pictures.",
                "Only runs of one data set can be compared.",
            )
        sizes = [(run.record["facts"]["width"], run.record["facts"]["height"]) for run in (first, other)]
        if sizes[0] != sizes[1]:
            (a, b), (c, d) = sizes
            raise GessoError(
                f"Run {first.root.name} draws {a}×{b} pixels, run {other.root.name} {c}×{d}.",
                "Only runs of one size can be compared.",
            )


def _fits(known: dict[str, Any], options: CompareOptions, folder: "Run") -> bool:
    """Whether a report says what is asked for, of the model as it is now."""
    from gesso import tasks
    from gesso.files import sha256_of
    from gesso.measure.features import extractor

    right = (known.get("count"), known.get("seed")) == (options.count, options.seed)
    right = right and bool(known.get("figures")) and known.get("model") == sha256_of(folder.model)
    plain = tasks.family(folder.family).Knobs().model_dump(mode="json")
    right = right and known.get("knobs") == plain  # not drawn in a way of its own
    if options.by == "own":
        return right and str(known.get("extractor", "")).startswith("own:")
    return right and known.get("sha256") == extractor(options.by).sha256


def _measured(options: CompareOptions, folder: "Run", home: Path) -> Iterator[Event]:
    """The events of measuring a run, but for the last."""
    from gesso import tasks

    asked = tasks.task("measure")
    chosen = {"run": str(folder.root), **{key: getattr(options, key) for key in ("count", "seed", "by", "device")}}
    for event in asked.run(asked.Options.of(chosen), home):
        if not isinstance(event, Result | Preview):
            yield event


def _sheet(path: Path, folders: "list[Run]", options: CompareOptions, home: Path) -> Path:
    """Pictures of each run from the same seeds, a row each."""
    from gesso import tasks
    from gesso.marks.picture import write_sheet
    from gesso.sample import draw

    rows = []
    for folder in folders:
        model = tasks.load(str(folder.root), home, options.device)
        labels = [model.labels[i % len(model.labels)] for i in range(COLUMNS)] if model.labels else None
        seeds, given = range(options.seed, options.seed + COLUMNS), tasks.sources(model, COLUMNS, home)
        rows.append([drawn.image for drawn in draw(model.family, seeds, labels, sources=given)])
    return write_sheet(path, rows, title="From the same seeds", captions=[folder.root.name for folder in folders])
