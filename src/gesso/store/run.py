"""A run: one training of one family on one data set, in one folder."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gesso.errors import GessoError, nearest
from gesso.files import (
    explained,
    fsync_folder,
    new_folder,
    read_json,
    sweep,
    temporary_beside,
    write_bytes,
    write_json,
    write_text,
)
from gesso.files.lock import holder, locked
from gesso.store.record import FORMAT, PRETRAINED, check_format, find, folders, number, read_record, slug
from gesso.store.seen import FILE, Seen
from gesso.store.tensors import Damaged, Scalar, load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 2  # states: the newest and the one before
PATIENCE = 10.0  # seconds to wait for another process that makes a run or changes a record


@dataclass
class State:
    """What a run resumes from. step: optimizer steps done; notes: sentences about what had to be passed over."""

    step: int
    tensors: "dict[str, Tensor]"
    facts: dict[str, Any]
    notes: list[str] = field(default_factory=list)


@dataclass
class Run:
    """A run's folder and its record, the values of run.json as they were when it was opened or last updated."""

    root: Path
    record: dict[str, Any]

    @classmethod
    def create(
        cls, home: str | Path, name: str, family: str, record: Mapping[str, Any] | None = None, seen: Seen | None = None
    ) -> "Run":
        """Make the next run of the data set `name`; its folder appears complete, with a number of its own.

        record: plain JSON values (config, facts, seed, total, …). seen: the pictures that it will learn from. Two
        processes never get one number.
        """
        runs = Path(home) / "runs"
        with locked(runs / ".lock", _busy(runs), wait=PATIENCE):
            sweep(runs)
            next_ = max((number(path) for path in runs.iterdir()), default=0) + 1
            root = runs / f"{next_:04d}-{slug(name, 'set')}-{slug(family, 'model')}"
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            full = {"format": FORMAT, "number": next_, "name": name, "family": family, "created": now, "status": "new"}
            full |= {key: value for key, value in dict(record or {}).items() if key not in ("format", "number")}
            with new_folder(root) as folder:
                (folder / "state").mkdir()
                (folder / "samples").mkdir()
                write_json(folder / "run.json", full)
                if seen is not None:
                    write_text(folder / FILE, seen.text())
        return cls(root, full)

    @classmethod
    def open(cls, home: str | Path, ref: str | int | Path) -> "Run":
        """The run that `ref` names: '7', '0007', its folder's name or a unique beginning of it, a path, or a data set.

        A data set's name means its latest run. Raises GessoError when there is none, when several fit,
        when a newer Gesso wrote it, and when its record is damaged.
        """
        runs, text = Path(home) / "runs", str(ref).strip()
        if text.startswith(PRETRAINED):
            problem = f"'{text[:200]}' is a pretrained pipeline, which is drawn from, and no run that was trained here."
            raise GessoError(problem, f"Draw with it: gesso sample {text[:200]}, or give a run.")
        fits = find(runs, text)
        if len(fits) == 1:
            return cls(fits[0], read_record(fits[0]))
        if fits:
            shown = ", ".join(path.name for path in fits[:6]) + (", …" if len(fits) > 6 else "")
            raise GessoError(f"'{text}' could be any of these runs: {shown}.", "Give its number.")
        known = [path.name for path in folders(runs)]
        if not known:
            raise GessoError(f"There is no run yet in {runs}.", "Make one with: gesso train DATASET.")
        names = dict.fromkeys([*(run.name for run in list_runs(home)), *known])
        raise GessoError(f"There is no run '{text[:80]}' in {runs}.", nearest(text[:80], names))

    @property
    def number(self) -> int:
        """The run's number, 1 and up."""
        return int(self.record["number"])

    @property
    def name(self) -> str:
        """The data set's true name."""
        return str(self.record["name"])

    @property
    def family(self) -> str:
        """The family's name."""
        return str(self.record["family"])

    @property
    def samples(self) -> Path:
        """The folder of pictures drawn while training."""
        return self.root / "samples"

    @property
    def model(self) -> Path:
        """The weights that draw, a safetensors file (there only after the first save)."""
        return self.root / "model.safetensors"

    def update(self, **changes: Any) -> None:
        """Change entries of run.json, atomically, on top of what other processes wrote meanwhile."""
        with locked(self.root / "state" / "record.lock", _busy(self.root), wait=PATIENCE):
            record = {**read_record(self.root), **changes}
            write_json(self.root / "run.json", record)
        self.record = record

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the run's only trainer; raises GessoError naming the holder when another one is at it.

        Sweeps what killed processes left half-written. A dead holder's lock frees itself.
        """

        def busy(who: dict[str, Any]) -> GessoError:
            problem = f"Run {self.root.name} is being trained by process {who['pid']} on {who['host']}"
            return GessoError(
                f"{problem}, since {who['started']}.", "Wait until it is done, or stop that process first."
            )

        with locked(self.root / "state" / "lock", busy):
            for folder in (self.root.parent, self.root, self.root / "state", self.samples):
                sweep(folder)
            yield

    def holder(self) -> dict[str, Any] | None:
        """Who is training this run now: pid, host and started; None when no one is."""
        return holder(self.root / "state" / "lock")

    def save_state(
        self,
        step: int,
        tensors: "Mapping[str, Tensor | Scalar]",
        facts: Mapping[str, Any],
        model: "Mapping[str, Tensor | Scalar] | None",
        model_facts: Mapping[str, Any],
    ) -> None:
        """Save what resumes the run and what draws; a kill at any point leaves for each the old or the new one.

        facts, model_facts: JSON values; they come back equal, but tuples as lists. model: None leaves the present one.
        Keeps the two newest states and the model before this one. Raises GessoError when the disk refuses; all old
        files stay.
        """
        folder = self.root / "state"
        path = folder / f"{step:08d}.safetensors"
        sha256 = save_tensors(path, tensors, {"format": FORMAT, "step": step, "facts": dict(facts)})
        if model is not None:
            self._keep_model()
            save_tensors(self.model, model, {"format": FORMAT, "step": step, "facts": dict(model_facts)})
        latest = {"format": FORMAT, "step": step, "file": path.name, "sha256": sha256, "facts": _finite(dict(facts))}
        write_json(folder / "latest.json", latest)
        # What is newer than this state belongs to a course that was given up: the run resumed from before it.
        before = [old for then, old in self._states() if then < step]
        for _, old in self._states():
            if old != path and old not in before[: KEPT - 1]:
                with suppress(OSError):
                    old.unlink()

    def load_state(self) -> State | None:
        """The newest whole state, None before the first save; its notes tell of damaged ones that were passed over.

        Each file's SHA-256 is verified. Raises GessoError when states are there and none is whole.
        """
        states, notes = self._states(), []
        first = self._latest(notes)
        if first is not None:
            if first not in dict(states):
                notes.append(f"The state of step {first} is missing.")
            # A newer one than latest.json names is whole too, but its save was interrupted: it comes last.
            states.sort(key=lambda state: (state[0] == first, state[0] < first, state[0]), reverse=True)
        for step, path in states:
            try:
                tensors, facts, step = _load(path)
            except Damaged as error:
                notes.append(f"{error.problem} The state of step {step} is passed over.")
                continue
            return State(step, tensors, facts, notes)
        if notes:
            raise GessoError(f"Run {self.root.name} has no whole state to resume from. {notes[0]}", "Train it anew.")
        return None

    def load_model(self) -> "tuple[dict[str, Tensor], dict[str, Any]]":
        """The weights that draw, on the CPU, and their facts with two more: 'step' and 'notes', a list of sentences.

        A damaged model gives way to the one before it, and a note says so. Raises GessoError when none is whole.
        """
        notes: list[str] = []
        for path in (self.model, self._model_before):
            try:
                tensors, facts, step = _load(path)
            except Damaged as error:
                notes.append(error.problem)
                continue
            if notes:
                notes = [f"{notes[0]} The model of step {step} is used instead."]
            return tensors, {**facts, "step": step, "notes": notes}
        if not self.model.exists() and not self._model_before.exists():
            raise GessoError(f"Run {self.root.name} has no model yet.", "Train it until its first save.")
        remedy = "Resume the training: its next save writes the model anew." if self._states() else "Train it anew."
        raise GessoError(f"Run {self.root.name} has no whole model. {notes[0]}", remedy)

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append a line to log.jsonl, at once; NaN and infinity, which JSON lacks, become null."""
        line = json.dumps(_finite(dict(entry)), allow_nan=False) + "\n"
        with explained(self._log, len(line)), self._log.open("ab+") as file:
            _cut_torn(file)
            file.write(line.encode())

    def read_log(self) -> list[dict[str, Any]]:
        """The entries of log.jsonl, oldest first; a torn or damaged line is passed over."""
        return [entry for _, entry in self._lines()]

    def rewind_log(self, step: int) -> None:
        """Drop the entries whose 'step' is greater than `step`, atomically: what a resumed run will live again."""
        kept = [line for line, entry in self._lines() if not _beyond(entry, step)]
        if self._log.exists():
            write_bytes(self._log, b"".join(line + b"\n" for line in kept))

    @property
    def _log(self) -> Path:
        return self.root / "log.jsonl"

    @property
    def _model_before(self) -> Path:
        return self.root / "state" / "model-before.safetensors"

    def _keep_model(self) -> None:
        """Give the present model a second name, under which it outlives its successor's arrival."""
        if not self.model.exists():
            return
        spare = temporary_beside(self._model_before)
        try:
            os.link(self.model, spare)
            spare.replace(self._model_before)
            fsync_folder(spare.parent)
        except OSError:  # a disk without hard links keeps no earlier model
            pass
        # A rename between two names of one file does nothing: after a kill the model may be the one kept already.
        spare.unlink(missing_ok=True)

    def _latest(self, notes: list[str]) -> int | None:
        """The step that latest.json names; None before the first save, and, with a note, when it is damaged."""
        path = self.root / "state" / "latest.json"
        if not path.exists():
            return None
        try:
            return int(read_json(path)["step"])
        except (GessoError, KeyError, TypeError, ValueError):
            notes.append(f"{path} is damaged; the newest whole state is taken.")
            return None

    def _states(self) -> list[tuple[int, Path]]:
        """The files of states, newest first."""
        found = (self.root / "state").glob("*.safetensors")
        return sorted(((int(path.stem), path) for path in found if path.stem.isdecimal()), reverse=True)

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        try:
            data = self._log.read_bytes()
        except FileNotFoundError:
            return
        for line in data.split(b"\n"):
            with suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield line, entry


def list_runs(home: str | Path, problems: list[str] | None = None) -> list[Run]:
    """All readable runs, by number; what is wrong with the others is added to `problems`, a sentence each."""
    runs = []
    for root in folders(Path(home) / "runs"):
        try:
            runs.append(Run(root, read_record(root)))
        except GessoError as error:
            if problems is not None:
                problems.append(str(error))
    return runs


def _load(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any], int]":
    """Tensors, facts and step of a file that `save_state` wrote; raises Damaged, or GessoError when it is too new."""
    tensors, note = load_tensors(path)
    check_format(note, str(path))
    step, facts = note.get("step"), note.get("facts")
    if not isinstance(step, int) or not isinstance(facts, dict):
        raise Damaged(f"{path} is not a file of this run.")
    return tensors, facts, step


def _busy(folder: Path) -> Callable[[dict[str, Any]], GessoError]:
    """The error for a folder that another process keeps changing."""

    def busy(who: dict[str, Any]) -> GessoError:
        problem = f"{folder} is being changed by process {who['pid']} on {who['host']}, since {who['started']}."
        return GessoError(problem, "Try again in a moment, or stop that process.")

    return busy


def _finite(value: Any) -> Any:
    """The same JSON values with null for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _beyond(entry: dict[str, Any], step: int) -> bool:
    """Whether an entry of the log belongs to a later step."""
    then = entry.get("step")
    return isinstance(then, int | float) and then > step


def _cut_torn(file: BinaryIO) -> None:
    """Cut a last line without its end, which a kill in the middle of a write leaves."""
    size = file.seek(0, os.SEEK_END)
    end = size
    while end and file.seek(end - 1) == end - 1 and file.read(1) != b"\n":
        end -= 1
    if end < size:
        file.truncate(end)
