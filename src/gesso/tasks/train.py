"""`gesso train`: from a data set to a generator, or on from where a run stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from gesso.contract.task import Checkpoint, Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from gesso.contract.family import Facts, Family
    from gesso.data import Pack
    from gesso.measure.health import Health
    from gesso.store import Run
    from gesso.train import Batches


class TrainOptions(Options):
    """Train a generator on a data set.

    Without options it picks family, preset and size from the data and the budget, and says why. A few seconds of
    timing fix the number of steps, so that the whole run follows from its seed. Ctrl-C saves and stops; --resume
    goes on to the very same weights.
    """

    dataset: str = Field(default="", description="Name of the data set, as `gesso list` shows it.")
    resume: str = Field(default="", description="Go on with this run (its number or name) instead of beginning one.")
    fork: str = Field(
        default="",
        description="Begin with what this run (its number or name) has learned: its family, choices and weights.",
    )
    family: str = Field(
        default="", description="Model family; `gesso families` tells what there is. Picked when not given."
    )
    source: str = Field(
        default="",
        description="Another data set: its pictures are what is translated (cut), or what lies behind (regions).",
    )
    preset: str | None = Field(
        default=None, description="Choices of the family that belong together; picked when not given."
    )
    minutes: float | None = Field(
        default=None, gt=0, le=100_000, description="How long to train, in minutes (10 if not given)."
    )
    images: str | None = Field(default=None, description="How many pictures to show instead, such as 200k or 1.5M.")
    size: str | None = Field(
        default=None, description="Size to learn in pixels, such as 64 or 64x48; the data set's at most."
    )
    set: tuple[str, ...] = Field(
        default=(), description="A choice of the family, name=value, such as lr=1e-3; may be repeated."
    )
    hold_out: float = Field(
        default=0.0, ge=0, le=0.5, description="Share of the pictures to keep from learning, to judge originality by."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="The run's seed: the same seed gives the same run.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Numbers in convolutions; auto takes what is fastest."
    )
    threads: int | None = Field(default=None, ge=1, le=1024, description="CPU threads a process; timed when not given.")
    accumulate: int = Field(
        default=1, ge=1, le=1024, description="Cut every batch into so many pieces, to save memory."
    )
    save_every: float = Field(default=60, gt=0, le=86400, description="Seconds between two saves.")
    preview_every: float = Field(default=60, gt=0, le=86400, description="Seconds between two grids of pictures.")
    watch: bool = Field(default=True, description="Look at the pictures with every grid, and warn of what goes wrong.")
    keep: Literal["last", "best"] = Field(
        default="last", description="Which model draws in the end: the last, or the best of those looked at."
    )
    best_by: Literal["fd", "coverage"] = Field(
        default="fd",
        description="What is best: the lowest Fréchet distance from the data, or the highest coverage of it.",
    )
    patience: int | None = Field(
        default=None, ge=1, le=100_000, description="Stop after so many looks in a row without a better one."
    )
    tensorboard: bool = Field(
        default=False, description="Also write figures for TensorBoard (needs gesso[tensorboard])."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.dataset) == bool(self.resume):
            raise ValueError("give either the name of a data set or --resume RUN")
        if self.fork and (self.family or self.preset is not None):
            raise ValueError("a fork has the family and the preset of its run; leave --family and --preset out")
        if self.minutes is not None and self.images is not None:
            raise ValueError("give --minutes or --images, not both")
        if self.images is not None:
            read_count(self.images)
        if not self.watch and (self.keep == "best" or self.patience is not None):
            raise ValueError("--keep best and --patience need the watch; leave --no-watch out")
        return self

    def going_on(self, run: str) -> dict[str, Any]:
        """The options by which a run that was begun with these goes on."""
        kept = {"device", "threads", "save_every", "preview_every", "watch", "tensorboard"}
        return {**self.model_dump(mode="json", include=kept & self.model_fields_set), "resume": run}


class Train(Task[TrainOptions]):
    """The task."""

    name = "train"
    Options = TrainOptions
    positional = ("dataset",)
    example = "gesso train flowers --minutes 10"
    pace = "hours"
    resumable = True

    def run(self, options: TrainOptions, home: Path) -> Iterator[Event]:
        """Plan, record, train; the Result names the run."""
        from gesso.store import Run
        from gesso.train import launch, pick_device, together

        resumed = Run.open(home, options.resume) if options.resume else None
        fabric = launch(resumed.record["engine"]["device"] if resumed else pick_device(options.device))
        with together(fabric):
            folder = resumed or (yield from self._begin(options, home, fabric))
            yield Checkpoint(options.going_on(folder.root.name))
            yield from self._train(options, folder, home, fabric)

    def _begin(self, options: TrainOptions, home: Path, fabric: "Fabric") -> Iterator[Event]:
        """Decide everything, and write it into the record of a new run."""
        from gesso import tasks
        from gesso.data import open_pack
        from gesso.store import Run
        from gesso.train import Subject, plan
        from gesso.train.provenance import Provenance

        pack = open_pack(options.dataset, home)
        parent = Run.open(home, options.fork) if options.fork else None
        family, picked = (tasks.family(parent.family), "") if parent else _family(options, pack)
        preset, why = options.preset, ""
        if parent is not None:
            preset, why = parent.record["preset"], f"It begins with what run {parent.root.name} has learned."
            parent.load_model()  # which says so where there is none
        elif preset is None:
            paired = "" if options.source else pack.pairs
            preset, why = plan.pick_preset(family, round((1 - options.hold_out) * pack.count), paired)
        if preset not in family.presets:
            from gesso.errors import nearest

            raise GessoError(
                f"The family {family.name} has no preset '{preset}'.", nearest(preset, filter(None, family.presets))
            )
        base = parent.record["config"] if parent else family.presets[preset]
        config = family.Config.from_pairs(options.set, base=base)
        other = open_pack(options.source, home) if options.source else None
        subject = Subject.of(family, config, pack, other, options.hold_out)
        facts, view, held = subject.facts(), subject.view, subject.held
        kept = f" ({len(held):,} are held out)" if len(held) else ""
        yield Message(f"Learning from {len(subject.rows):,} pictures of '{pack.name}'{kept}; timing this machine …")
        images = read_count(options.images) if options.images else None
        made = plan.make(
            family, config, facts, view, fabric,
            seconds=None if images else 60 * (options.minutes or 10), images=images,
            engine=wanted_engine(options, fabric.device.type), threads=options.threads,
            wish=read_size(options.size or (parent and size_of(parent)), pack.height, pack.width),
            accumulate=options.accumulate,
        )  # fmt: skip
        kind = f"Family {family.name}." + (f" One class of {len(facts.labels)} at a time." if facts.labels else "")
        kind += f" From {len(set(view.captions)):,} different captions." if facts.vocabulary else ""
        kind += f" With pictures of '{other.name}'." if other else f" From {pack.pairs}." if facts.source else ""
        reasons = [reason for reason in (kind, picked, *subject.remarks, why, *made.reasons) if reason]
        yield from (Message(reason) for reason in reasons)
        origin = Provenance.of(subject, parent)
        record: dict[str, Any] = {
            "preset": preset, "config": made.config.model_dump(), "facts": made.facts.model_dump(),
            "engine": made.engine.model_dump(), "seed": options.seed, "total": made.total, "reasons": reasons,
            "accumulate": options.accumulate, "processes": fabric.world_size,
            "data": {
                "name": pack.name, "fingerprint": pack.fingerprint, "count": len(subject.rows),
                "pairs": pack.pairs, "held_out": options.hold_out, "rights": origin.data,
            },
            "source": other and {
                "name": other.name, "fingerprint": other.fingerprint, "count": other.count, "rights": origin.source,
            },
            **({"rights": origin.whole} if origin.whole else {}),
            "watch": plan_watch(options, made.facts), "fork": parent and parent.root.name,
        }  # fmt: skip
        if parent is not None:
            forked(family(made.config, made.facts), parent)  # which says so where it does not fit
        root = fabric.broadcast(
            str(Run.create(home, pack.name, family.name, record, origin.seen).root) if fabric.is_global_zero else ""
        )
        return Run.open(home, Path(root))

    def _train(self, options: TrainOptions, folder: "Run", home: Path, fabric: "Fabric") -> Iterator[Event]:
        """Build what the record says, and learn to its end."""
        import torch

        from gesso import tasks
        from gesso.contract.family import Facts
        from gesso.store import Run
        from gesso.train import Batches, Engine, Learner, Schedule, Subject, run
        from gesso.train.card import write_card

        record = folder.record
        family = tasks.family(folder.family)
        facts, config = Facts.of(record["facts"]), family.Config.of(record["config"])
        engine = Engine.of(record["engine"])
        pack = unchanged(record["data"], folder, home)
        other = unchanged(record["source"], folder, home) if record.get("source") else None
        if record["processes"] != fabric.world_size:
            raise GessoError(
                f"Run {folder.root.name} learns on {record['processes']} processes, not {fabric.world_size}.",
                f"Resume it with torchrun --nproc-per-node {record['processes']} -m gesso train --resume ….",
            )
        subject = Subject.of(family, config, pack, other, record["data"].get("held_out", 0.0))
        engine.apply()
        torch.manual_seed(record["seed"])
        begun = family(config, facts)
        if record.get("fork") and folder.load_state() is None:
            forked(begun, Run.open(home, record["fork"]))
        learner = Learner(begun, fabric, engine, record["accumulate"])
        batches = Batches(subject.view, facts, record["seed"], config.batch, config.flip)
        how, note = still_comparable(record.get("watch"))
        if note:
            yield Message(note, "warning")
        best = bool(how and how["keep"] == "best")
        schedule = Schedule(record["total"], save=options.save_every, preview=options.preview_every, best=best)
        watch = open_watch(how, batches, learner.family) if how and fabric.is_global_zero else None
        board = open_board(folder.root) if options.tensorboard and fabric.is_global_zero else None
        yield Message(f"Run {folder.root.name}: {schedule.total:,} pictures to show.")
        try:
            yield from run(folder, learner, batches, schedule, record["seed"], board, watch)
        except (MemoryError, RuntimeError) as error:  # torch's own MemoryErrors are RuntimeErrors
            if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
                raise
            raise GessoError(
                f"There is not enough memory on {engine.device} for a batch of {config.batch} at this size.",
                f"Train anew with --accumulate 4, --set batch={max(config.batch // 4, 1)} or a smaller --size; the "
                "last saved state is kept.",
            ) from None
        finally:
            if fabric.is_global_zero and folder.model.exists():
                write_card(folder, family.paper)
        number = folder.number
        yield Result(
            f"Run {number} is trained. Draw with it: gesso sample {number} -n 16",
            paths=(folder.root,),
            facts={"run": folder.root.name, "number": number, "total": schedule.total},
        )


def forked(family: "Family", parent: "Run") -> None:
    """Give a family the weights of a run; raises GessoError where they do not fit."""
    try:
        family.load_state_dict(parent.load_model()[0])
    except RuntimeError:
        raise GessoError(
            f"What run {parent.root.name} has learned does not fit: size, channels, labels or captions are others.",
            "Fork it with its own data set and size, and leave out choices of the network's shape.",
        ) from None


def size_of(run: "Run") -> str:
    """The size that a run draws, as --size takes it."""
    return f"{run.record['facts']['width']}x{run.record['facts']['height']}"


def unchanged(data: dict[str, Any], folder: "Run", home: Path) -> "Pack":
    """A data set that a run learns from; raises GessoError where it has changed since the run began."""
    from gesso.data import open_pack

    pack = open_pack(data["name"], home)
    if pack.fingerprint != data["fingerprint"]:
        raise GessoError(
            f"The data set '{pack.name}' has changed since run {folder.root.name} began.",
            "Import the old pictures again, or train a new run.",
        )
    return pack


def _family(options: TrainOptions, pack: "Pack") -> "tuple[type[Family], str]":
    """The family that is named, or else the one that suits data and budget, and why.

    Where choices are made that only another family has, it is that one.
    """
    from gesso import tasks
    from gesso.train import plan

    if options.family:
        return tasks.family(options.family), ""
    images = read_count(options.images) if options.images else None
    count = round((1 - options.hold_out) * pack.count)
    names, why = plan.pick_family(count, options.minutes or 10, images, bool(pack.pairs or options.source))
    chosen = {pair.partition("=")[0].partition(".")[0].strip().replace("-", "_") for pair in options.set}
    for family in map(tasks.family, names):
        if (options.preset or "") in family.presets and chosen <= set(family.Config.model_fields):
            return family, why if family.name == names[0] else ""
    return tasks.family(names[0]), why


def read_count(text: str) -> int:
    """Pictures from words like 200000, 200k, 1.5M; raises GessoError when it is none."""
    units = {"k": 1_000, "m": 1_000_000}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        count = int(float(number) * unit)
    except (ValueError, OverflowError):
        count = 0
    if count < 1:
        raise GessoError(f"--images {text} is no number of pictures.", "Write for example --images 200k.")
    return count


def read_size(text: str | None, height: int, width: int) -> tuple[int, int] | None:
    """Height and width from words like 64 or 64x48 (width first); raises GessoError when the data is smaller."""
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if not (1 <= len(parts) <= 2 and all(part.isdigit() and 8 <= int(part) <= 2048 for part in parts)):
        raise GessoError(f"--size {text} is no size.", "Write one side or width×height in pixels: 64 or 64x48.")
    w, h = (int(parts[0]), int(parts[-1])) if len(parts) == 2 else (None, None)
    if w is None or h is None:  # one number: the shorter side, at the data's own proportions
        scale = int(parts[0]) / min(height, width)
        h, w = round(height * scale), round(width * scale)
    if h > height or w > width:
        raise GessoError(
            f"The data set has {width}×{height} pixels a picture, fewer than --size {text}.",
            "Import it again at a larger size.",
        )
    return h, w


def wanted_engine(options: TrainOptions, device: str) -> Any:
    """The engine that was asked for, None to have it timed."""
    from gesso.train import Engine

    if options.precision == "auto":
        return None
    import torch

    return Engine.of(
        {"device": device, "precision": options.precision, "threads": options.threads or torch.get_num_threads()}
    )


def plan_watch(options: TrainOptions, facts: "Facts") -> dict[str, Any] | None:
    """How a run is looked after, for its record: who sees, and what is kept; None where that is not wanted.

    Raises GessoError when the best is asked for and the pictures are too small to be looked at.
    """
    from gesso.measure.features import extractor
    from gesso.primer.frozen import SMALLEST

    if not options.watch:
        return None
    seen = min(facts.height, facts.width) >= SMALLEST
    if not seen and (options.keep == "best" or options.patience is not None):
        raise GessoError(
            f"Pictures below {SMALLEST} pixels are too small to be looked at.", "Leave --keep and --patience out."
        )
    see = extractor() if seen else None
    return {
        "extractor": see.name if see else None, "sha256": see.sha256 if see else None,
        "keep": options.keep, "best_by": options.best_by, "patience": options.patience,
    }  # fmt: skip


def still_comparable(how: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
    """How a run is looked after from now on, and a sentence where that changes since another primer came with Gesso."""
    from gesso.measure.features import extractor

    if how is None or how["extractor"] is None or extractor(how["extractor"]).sha256 == how["sha256"]:
        return how, ""
    note = "This Gesso has another primer than the one that looked after this run: their figures cannot be compared, so"
    return (
        {**how, "extractor": None, "keep": "last", "patience": None},
        f"{note} none are made, and the newest model is kept.",
    )


def open_watch(how: dict[str, Any], batches: "Batches", family: "Family") -> "Health":
    """Who looks after a run, with a sample of its pictures to compare with, the same in every life of the run."""
    import numpy as np

    from gesso.measure.features import extractor
    from gesso.measure.health import REAL, Eye, Health
    from gesso.train.batches import to_float

    see = extractor(how["extractor"]) if how["extractor"] else None
    pictures, facts = batches.pictures, batches.facts
    count = len(pictures.images)
    chosen = np.random.default_rng(0).permutation(count)[:REAL]
    known = "label" in family.asks
    labels = [facts.labels[i] for i in np.random.default_rng(1).permutation(pictures.label_ids)[:REAL]] if known else []
    parts = np.array_split(chosen, max(len(chosen) // 50, 1))
    sources = batches.some_sources(REAL) if "source" in family.asks else None
    eye = Eye(see, lambda: (to_float(pictures.images[part], facts) for part in parts), labels, sources=sources)
    return Health(eye, how["best_by"], how["patience"])


def open_board(root: Path) -> Any:
    """TensorBoard's writer; raises GessoError when it is not installed."""
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise GessoError(
            "TensorBoard is not installed.", "Install it with: pip install -c constraints.txt 'gesso[tensorboard]'"
        ) from None
    return SummaryWriter(str(root / "tensorboard"))
