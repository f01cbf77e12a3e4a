"""A run, from its first step to its last, through stops, kills and full disks."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch

from gesso.contract.family import Clock
from gesso.contract.task import Event, Message, Preview, Progress
from gesso.marks.picture import write_sheet
from gesso.sample import draw
from gesso.store import Run, compare_fingerprints, fingerprint
from gesso.train.batches import Batches
from gesso.train.learner import Learner

PREVIEWS = 64  # pictures of the grid, always from the same seeds


@dataclass(frozen=True)
class Schedule:
    """When things happen. total: pictures of the whole run; save and preview: seconds between two; log: steps."""

    total: int
    save: float = 60.0
    preview: float = 60.0
    log: int = 20


class Board(Protocol):
    """Where figures may also be shown (TensorBoard's SummaryWriter)."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """One figure at one step."""


def run(
    folder: Run, learner: Learner, batches: Batches, schedule: Schedule, seed: int, board: Board | None = None
) -> Iterator[Event]:
    """Train to the end of the schedule, from the last saved state where there is one.

    Yields Progress, Preview and Message. Closing the generator, Ctrl-C and SIGTERM save and stop; the two
    signals then raise KeyboardInterrupt. Only the first of several processes writes.
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
        if writes:
            folder.rewind_log(step)
            folder.update(status="training")
        trip = _Trip(folder, learner, batches, schedule, seed, board, step)
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
    ):
        self.folder, self.learner, self.batches, self.schedule = folder, learner, batches, schedule
        self.seed, self.board, self.step = seed, board, step
        self.steps = math.ceil(schedule.total / batches.batch)
        self.writes = learner.fabric.is_global_zero
        self.saved = step or -1
        self.losses: list[dict[str, float]] = []

    @property
    def clock(self) -> Clock:
        return Clock(self.step, self.step * self.batches.batch, self.steps * self.batches.batch)

    def travel(self, stop: list[int]) -> Iterator[Event]:
        fabric = self.learner.fabric
        first, begun = self.step, time.monotonic()
        told = saved = begun
        drawn = begun - self.schedule.preview + min(self.schedule.preview, 10)  # an early look, ten seconds in
        while self.step < self.steps and not self._agree(stop):
            batch = self.batches.at(self.step, fabric.device, fabric.global_rank, fabric.world_size)
            self.losses.append(self.learner.step(batch, self.clock, self.seed))
            self.step += 1
            now = time.monotonic()
            if self.writes and (self.step % self.schedule.log == 0 or self.step == self.steps):
                self._log((self.step - first) * self.batches.batch / max(now - begun, 1e-9))
            if self.writes and now - saved > self.schedule.save:
                self.save()
                saved = time.monotonic()
            if self.writes and now - drawn > self.schedule.preview and self.step < self.steps:
                yield self.preview()
                drawn = time.monotonic()
            if now - told > 0.2:
                yield self._progress((now - begun) / (self.step - first))
                told = now
        self.save()
        if self.writes and self.step > first and not stop:
            yield self.preview()
            yield self._progress((time.monotonic() - begun) / max(self.step - first, 1))

    def save(self) -> None:
        """State and model, all or nothing."""
        if self.writes and self.saved != self.step:
            place = {"step": self.step, "seen": self.clock.seen, "total": self.clock.total}
            mark = fingerprint(self.learner.fabric.device.type)
            self.folder.save_state(
                self.step, self.learner.state(), {**place, "fingerprint": mark}, self.learner.model(), place
            )
            self.saved = self.step

    def preview(self) -> Preview:
        """The grid of pictures from the same latents as ever."""
        family = self.learner.drawer().cpu()
        labels = family.facts.labels if "label" in family.needs | family.takes else ()
        wanted = [labels[i * len(labels) // PREVIEWS] for i in range(PREVIEWS)] if labels else None
        pictures = [drawn.image for drawn in draw(family, range(PREVIEWS), labels=wanted)]
        path = self.folder.samples / f"{self.clock.seen:09d}.png"
        write_sheet(path, [pictures[i : i + 8] for i in range(0, PREVIEWS, 8)])
        return Preview(path, f"after {self.clock.seen:,} pictures")

    def _progress(self, seconds_a_step: float) -> Progress:
        clock = self.clock
        return Progress(
            clock.seen, clock.total, "pictures", (self.steps - self.step) * seconds_a_step,
            {"pictures/s": self.batches.batch / seconds_a_step, **self._means()},
        )  # fmt: skip

    def _means(self) -> dict[str, float]:
        recent = self.losses[-self.schedule.log :]
        names = dict.fromkeys(name for losses in recent for name in losses)
        return {name: float(np.mean([losses[name] for losses in recent if name in losses])) for name in names}

    def _log(self, rate: float) -> None:
        means = self._means()
        self.losses.clear()
        self.losses.append(means)
        self.folder.log({"step": self.step, "seen": self.clock.seen, "pictures/s": round(rate, 1), **means})
        if self.board is not None:
            for name, value in means.items():
                self.board.add_scalar(name, value, self.clock.seen)

    def _agree(self, stop: list[int]) -> bool:
        """Whether any process was told to stop."""
        fabric = self.learner.fabric
        if fabric.world_size > 1:
            count = fabric.all_reduce(torch.tensor(float(len(stop)), device=fabric.device), reduce_op="sum")
            if isinstance(count, torch.Tensor) and count > 0 and not stop:
                stop.append(signal.SIGTERM)
        return bool(stop)


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
