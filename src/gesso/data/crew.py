"""Many files at once: child processes that decode, results in order, and no file that can take the work down."""

import math
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue

from gesso.data.decode import guarded
from gesso.data.worker import Entry, Outcome, Recipe, prepare, receive, send
from gesso.errors import GessoError

__all__ = ["Crew", "prepare_all"]

FEW = 64  # fewer pictures than this are prepared in this process: starting others takes longer
CHUNK = 32  # entries sent to a worker at once
CHUNK_BYTES = 8 << 20  # or fewer, when they are large
PATIENCE = 120.0  # seconds that one file may take
CALL = "from gesso.data.worker import main; main()"


def prepare_all(entries: Iterable[Entry], recipe: Recipe, workers: int) -> Iterator[Outcome]:
    """The outcome of every entry, in order; workers: how many child processes, 1 for none.

    Entries are taken as they are needed: memory holds a few chunks of them a worker, whatever their number.
    """
    entries = iter(entries)
    first = list(islice(entries, FEW))
    if workers <= 1 or len(first) < FEW:
        for entry in chain(first, entries):
            with guarded():  # not around the yield: what the caller does with its own warnings is its own affair
                outcome = prepare(entry, recipe)
            yield outcome
        return
    with Crew(recipe, workers) as crew:
        yield from crew.run(chain(first, entries))


class Crew:
    """Child processes that prepare pictures. Use as a context manager: leaving it ends them at once.

    The processes are started with Python's own executable and talk through their standard streams, so
    that the program which uses Gesso is not imported again in each (as `multiprocessing` would).
    """

    def __init__(self, recipe: Recipe, workers: int, patience: float = PATIENCE):
        self.recipe, self.workers, self.patience = recipe, workers, patience
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="gesso-import")
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        self._deadline: dict[subprocess.Popen[bytes], float] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._over = threading.Event()

    def __enter__(self) -> "Crew":
        """Start to watch the clock; no process is started before there is work."""
        threading.Thread(target=self._watch, name="gesso-import-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every process, whatever it is doing."""
        self._over.set()
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in list(self._all):
            self._bury(process)

    def run(self, entries: Iterable[Entry]) -> Iterator[Outcome]:
        """The outcome of every entry, in order; an entry that kills or stalls its process has a reason that says so."""
        pending: deque[Future[list[Outcome]]] = deque()
        for chunk in _chunks(entries):
            pending.append(self._threads.submit(self._do, chunk))
            # Some chunks lie ready while the slowest is awaited; not more, or memory would grow.
            while len(pending) > 2 * self.workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()

    def _do(self, chunk: list[Entry]) -> list[Outcome]:
        """Have one chunk prepared, by as many processes as it takes."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(chunk):
            rest = chunk[len(outcomes) :]
            process = self._hire()
            try:
                assert process.stdin
                assert process.stdout
                self._deadline[process] = time.monotonic() + self.patience
                send(process.stdin, rest)
                for _ in rest:
                    self._deadline[process] = time.monotonic() + self.patience
                    outcomes.append(receive(process.stdout))
                self._deadline.pop(process, None)
                self._idle.put(process)
            except (EOFError, OSError):  # the process is gone, and the first file without an answer did it
                self._bury(process)
                if self._closed:
                    return outcomes
                late = time.monotonic() > self._deadline.pop(process, math.inf)
                why = f"Decoding it took more than {self.patience:.0f} seconds" if late else "It made its decoder crash"
                outcomes.append(Outcome(chunk[len(outcomes)].source, reason=f"{why}.", lost=True))
        return outcomes

    def _watch(self) -> None:
        """End processes that have been at one file for too long."""
        while not self._over.wait(min(1.0, self.patience / 4)):
            now = time.monotonic()
            for process, deadline in list(self._deadline.items()):
                if now > deadline:
                    process.kill()

    def _hire(self) -> "subprocess.Popen[bytes]":
        try:
            return self._idle.get_nowait()
        except Empty:
            pass
        package = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        # -P: a file in the user's folder that is called like a library is not imported in its place.
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", CALL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        with self._lock:
            self._all.add(process)
            if self._closed:
                process.kill()
        assert process.stdin
        assert process.stdout
        try:
            send(process.stdin, self.recipe)
            receive(process.stdout)  # it says that it is there: from now on, only a file can be what ends it
        except (EOFError, OSError):
            if not self._closed:
                raise GessoError("A process that decodes pictures could not be started.", "Try --workers 1.") from None
        return process

    def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        for stream in (process.stdin, process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:  # what was still to be written has no reader any more
                pass
        process.wait()
        with self._lock:
            self._all.discard(process)


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in groups of CHUNK, or fewer when their bytes are many."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        chunk.append(entry)
        size += entry.weight
        if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
