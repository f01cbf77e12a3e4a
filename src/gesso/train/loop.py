"""A run, from its first step to its last, through stops, kills and full disks."""

import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch

from gesso.contract.family import Clock, Family
from gesso.contract.task import Event, Message, Preview, Progress
from gesso.marks.picture import write_sheet
from gesso.sample import Drawn, draw
from gesso.store import Run, compare_fingerprints, fingerprint
from gesso.train.batches import Batches
from gesso.train.learner import Learner
from gesso.train.spent import Meter

PREVIEWS = 64  # pictures of the grid, always from the same seeds
SHOWN = 2  # figures of a look that there is room for beside the others
FIRST = 10.0  # seconds until the first look; those that follow come at twice the time, until they are regular
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Schedule:
    """When things happen, and which model is kept.

    total: pictures of the whole run; save and preview: seconds between two, the first previews come sooner; log: steps.
    best: the model that draws is the best that was seen, not the newest.
    """

    total: int
    save: float = 60.0
    preview: float = 60.0
    log: int = 20
    best: bool = False


class Board(Protocol):
    """Where figures may also be shown (TensorBoard's SummaryWriter)."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """One figure at one step."""


class Watch(Protocol):
    """Who looks after a run (`gesso.measure.health`). All that it says is in the log, so a resumed run goes on with it.

    A note is a line for the log: `warning` or `over`, the name of a trouble that began or ended; `best`, the value of
    the pictures just looked at, better than all before; or `stop`, why it is time to. Where a note has a `text`, the
    person hears it.
    """

    def recall(self, log: Sequence[Line]) -> None:
        """Take up where a log ends."""

    def look(self, family: Family, grid: Sequence[Drawn]) -> dict[str, float]:
        """Figures of what the family draws, the most telling first. grid: from the same latents as ever."""
        ...

    def read(self, line: Line) -> list[dict[str, Any]]:
        """Notes on a line that the log has just got, with the losses of some steps or the figures of a look."""
        ...


def run(
    folder: Run,
    learner: Learner,
    batches: Batches,
    schedule: Schedule,
    seed: int,
    board: Board | None = None,
    watch: Watch | None = None,
) -> Iterator[Event]:
    """Train to the end of the schedule, from the last saved state where there is one, or until the watch says stop.

    Yields Progress, Preview and Message. Closing the generator, Ctrl-C and SIGTERM save and stop; the two
    signals then raise KeyboardInterrupt. Only the first of several processes writes and watches.
    The record gets `warnings` and, where there are such, `best` and `stopped`: the watch's notes as they now stand.
    """
    writes = learner.fabric.is_global_zero
    with folder.lock() if writes else nullcontext(), _signals() as stop:
        step = 0
        state = folder.load_state()
        if state is not None:
            learner.load(state.tensors)
            step = state.step
            yield from (Message(note, "warning") for note in state.notes)
            yield from _compare(folder, learner, state.facts)
        log: list[dict[str, Any]] = []
        if writes:
            folder.rewind_log(step)
            log = folder.read_log()
            if watch is not None:
                watch.recall(log)
            log = [line for line in log if NOTES & line.keys() and "stop" not in line]  # it goes on after all
            folder.update(status="training", **_standing(log))
        trip = _Trip(folder, learner, batches, schedule, seed, board, step, watch if writes else None, log)
        try:
            yield from trip.travel(stop)
        except GeneratorExit:
            trip.save()
            raise
        if writes:
            folder.update(status="stopped" if stop else "finished")
    if stop:
        again = f"go on with: gesso train --resume {folder.number}"
        yield Message(f"Stopped at {trip.clock.fraction:.0%}; everything is saved; {again}", "good")
        raise KeyboardInterrupt


class _Trip:
    """The steps from one start to the next stop."""

    def __init__(
        self,
        folder: Run,
        learner: Learner,
        batches: Batches,
        schedule: Schedule,
        seed: int,
        board: Board | None,
        step: int,
        watch: Watch | None,
        notes: list[dict[str, Any]],
    ):
        self.folder, self.learner, self.batches, self.schedule = folder, learner, batches, schedule
        self.seed, self.board, self.step, self.watch = seed, board, step, watch
        self.steps = math.ceil(schedule.total / batches.batch)
        self.writes = learner.fabric.is_global_zero
        self.saved = step or -1
        self.notes = notes
        self.meter = Meter(folder.record.get("spent"))
        self.over = False  # whether the watch said stop
        self.looked = -1  # step of the last look
        self.losses: list[dict[str, float]] = []
        self.figures: dict[str, float] = {}  # of the last line, and of the last look

    @property
    def clock(self) -> Clock:
        return Clock(self.step, self.step * self.batches.batch, self.steps * self.batches.batch)

    def travel(self, stop: list[int]) -> Iterator[Event]:
        fabric = self.learner.fabric
        first, begun = self.step, time.monotonic()
        told = saved = begun
        drawn = begun
        self.learner.watch()
        while self.step < self.steps and not self._agree(stop):
            batch = self.batches.at(self.step, fabric.device, fabric.global_rank, fabric.world_size)
            self.losses.append(self.learner.step(batch, self.clock, self.seed))
            self.step += 1
            now = time.monotonic()
            if self.writes and (self.step % self.schedule.log == 0 or self.step == self.steps):
                yield from self._log((self.step - first) * self.batches.batch / max(now - begun, 1e-9))
            if self.writes and now - saved > self.schedule.save:
                self.save()
                saved = time.monotonic()
            soon = max(FIRST, (now - begun) / 2)
            if self.writes and now - drawn > min(self.schedule.preview, soon) and self.step < self.steps:
                yield from self.preview()
                drawn = time.monotonic()
            if now - told > 0.2:
                yield self._progress((now - begun) / (self.step - first))
                told = now
        self.save()
        if self.writes and self.step > first and not stop:
            if self.looked != self.step:
                yield from self.preview()
            yield self._progress((time.monotonic() - begun) / max(self.step - first, 1))

    def save(self, best: bool = False) -> None:
        """State and model, all or nothing; where the best model is kept, a new one only when there is a better."""
        if self.writes and (best or self.saved != self.step):
            place = {"step": self.step, "seen": self.clock.seen, "total": self.clock.total}
            mark = fingerprint(self.learner.fabric.device.type)
            kept = self.schedule.best and not best and any("best" in note for note in self.notes)
            model = None if kept else self.learner.model()
            self.folder.save_state(self.step, self.learner.state(), {**place, "fingerprint": mark}, model, place)
            self.folder.update(spent=self.meter.read())
            self.saved = self.step

    def preview(self) -> Iterator[Event]:
        """The grid of pictures from the same latents as ever, and what the watch says of it."""
        family = self.learner.drawer().cpu()
        labels = family.facts.labels if "label" in family.asks else ()
        wanted = [labels[i * len(labels) // PREVIEWS] for i in range(PREVIEWS)] if labels else None
        sources = self.batches.some_sources(PREVIEWS) if "source" in family.asks else None
        pictures = list(draw(family, range(PREVIEWS), labels=wanted, sources=sources))
        path = self.folder.samples / f"{self.clock.seen:09d}.png"
        rows = [[drawn.image for drawn in pictures[i : i + 8]] for i in range(0, PREVIEWS, 8)]
        if sources is not None:  # above each row what it is made of
            rows = [row for i, drawn in enumerate(rows) for row in ([*sources[8 * i : 8 * i + 8]], drawn)]
        write_sheet(path, rows)
        self.looked = self.step
        if self.watch is not None:
            if family.alike:
                pictures = list(draw(family, range(PREVIEWS), wanted, family.Knobs.of(family.alike), sources=sources))
            figures = self.watch.look(family, pictures)
            self._show(figures, SHOWN)
            yield from self._write(figures)
        yield Preview(path, f"after {self.clock.seen:,} pictures")

    def _progress(self, seconds_a_step: float) -> Progress:
        clock = self.clock
        return Progress(
            clock.seen, clock.total, "pictures", (self.steps - self.step) * seconds_a_step,
            {"pictures/s": self.batches.batch / seconds_a_step, **self.figures, **_plain(self._means())},
        )  # fmt: skip

    def _means(self) -> dict[str, float]:
        recent = self.losses[-self.schedule.log :]
        names = dict.fromkeys(name for losses in recent for name in losses)
        return {name: float(np.mean([losses[name] for losses in recent if name in losses])) for name in names}

    def _log(self, rate: float) -> Iterator[Event]:
        means = self._means()
        self.losses.clear()
        self.learner.watch()
        self._show(means)
        yield from self._write({"pictures/s": round(rate, 1), **means})

    def _show(self, figures: Mapping[str, float], most: int | None = None) -> None:
        self.figures |= dict(islice(_plain(figures).items(), most))
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(name, value, self.clock.seen)

    def _write(self, figures: Mapping[str, float]) -> Iterator[Event]:
        """A line of the log, and the watch's notes on it; these also go to the record and to the person."""
        place = {"step": self.step, "seen": self.clock.seen}
        line = {**place, **figures}
        self.folder.log(line)
        notes = [{**place, **note} for note in self.watch.read(line)] if self.watch is not None else []
        for note in notes:
            self.folder.log(note)
            self.notes.append(note)
            self.over |= "stop" in note
        if notes:
            self.folder.update(**_standing(self.notes))
        if self.schedule.best and any("best" in note for note in notes):
            self.save(best=True)
        for note in notes:
            if "text" in note:
                yield Message(note["text"], "warning" if "warning" in note else "info")

    def _agree(self, stop: list[int]) -> bool:
        """Whether any process was told to stop, or the first one's watch says so."""
        fabric = self.learner.fabric
        if fabric.world_size > 1:
            told = torch.tensor([float(len(stop)), float(self.over)], device=fabric.device)
            total = fabric.all_reduce(told, reduce_op="sum")
            assert isinstance(total, torch.Tensor)
            if total[0] > 0 and not stop:
                stop.append(signal.SIGTERM)
            self.over = bool(total[1] > 0)
        return bool(stop) or self.over


NOTES = {"warning", "over", "best", "stop"}


def _plain(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that a line on a screen has room for: all but those of the parts' steps."""
    return {name: value for name, value in figures.items() if "/" not in name and name != "rate"}


def _standing(log: Sequence[Line]) -> dict[str, Any]:
    """Entries for the record: the warnings of a log, with the pictures seen when each came and ended; the best; why it
    stopped."""
    warnings: list[dict[str, Any]] = []
    best: dict[str, Any] | None = None
    stopped: str | None = None
    for line in log:
        if "warning" in line:
            warnings.append({"rule": line["warning"], "text": line["text"], "seen": line["seen"], "over": None})
        elif "over" in line:
            for warning in warnings:
                if warning["rule"] == line["over"] and warning["over"] is None:
                    warning["over"] = line["seen"]
        elif "best" in line:
            best = {key: value for key, value in line.items() if key != "text"}
        elif "stop" in line:
            stopped = line["stop"]
    return {"warnings": warnings, "best": best, "stopped": stopped}


def _compare(folder: Run, learner: Learner, facts: dict) -> Iterator[Event]:
    """Warn, and remember, when the place of a run has changed: it then goes on, but not to the same bits."""
    differ = compare_fingerprints(fingerprint(learner.fabric.device.type), facts.get("fingerprint", {}))
    if differ:
        yield Message(f"Going on elsewhere, not bit for bit the same as undisturbed ({'; '.join(differ)}).", "warning")
        if learner.fabric.is_global_zero:
            moves = [*folder.record.get("moves", []), {"step": facts.get("step"), "changes": differ}]
            folder.update(bit_exact=False, moves=moves)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM are noted in a list, and acted upon between two steps; a second Ctrl-C stops at once."""
    stop: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        if stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.append(number)
        earlier = before.get(number)
        if callable(earlier) and earlier is not signal.default_int_handler:
            earlier(number, frame)  # whoever listened before us hears of it too

    with suppress(ValueError):  # not the main thread, where nobody presses Ctrl-C
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
