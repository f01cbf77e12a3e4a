"""One job in a process of its own: begun, listened to, stopped; begun again where it died."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Nursery", "Process", "Said"]

GRACE = 20.0  # seconds between asking a process to stop and ending it
PAUSE = 2.0  # seconds after which the next process is prepared
TAIL = 40  # last lines of what it wrote, kept for its log


@dataclass
class Said:
    """How a process ended. how: done, failed, stopped or died; more: its last line; code: its exit code."""

    how: str
    more: dict[str, Any]
    code: int
    tail: list[str] = field(default_factory=list)


class Nursery:
    """One process that has imported what works need, and waits to be told its job: most begin at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: subprocess.Popen[bytes] | None = None
        self._closed = False

    def prepare(self) -> None:
        """Have one that waits."""
        with self._lock:
            if not self._closed and (self._waiting is None or self._waiting.poll() is not None):
                self._waiting = _born()

    def take(self) -> "subprocess.Popen[bytes]":
        """The one that waits, or a new one; another is prepared a little later, when the job has begun."""
        with self._lock:
            found, self._waiting = self._waiting, None
            later = threading.Timer(PAUSE, self.prepare)
            later.daemon = True
            later.start()
        return found if found is not None and found.poll() is None else _born()

    def close(self) -> None:
        """End the one that waits."""
        with self._lock:
            self._closed = True
            if self._waiting is not None:
                _silenced(self._waiting)
                self._waiting = None


def _born() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "gesso.studio.jobs.child"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def _silenced(child: "subprocess.Popen[bytes]") -> None:
    """End a process that was told nothing yet."""
    with suppress(OSError):
        child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


class Process:
    """The process of a job. `follow` it in one thread; `stop` it from any."""

    def __init__(
        self, child: "subprocess.Popen[bytes]", task: str, options: Mapping[str, Any], home: Path, folder: Path
    ):  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        asked = {"task": task, "options": dict(options), "home": str(home), "lock": str(folder / "lock")}
        self._child = child
        assert self._child.stdin is not None
        with suppress(OSError):
            self._child.stdin.write(json.dumps(asked).encode() + b"\n")
            self._child.stdin.flush()
        self._tail = list[str]()
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    def follow(self, hear: Callable[[dict[str, Any]], object]) -> Said:
        """Hear every line until it ends. Whatever `hear` raises ends it, and is raised."""
        assert self._child.stdout is not None
        last: dict[str, Any] = {}
        try:
            for line in self._child.stdout:
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(value, dict):  # something printed, not said
                    continue
                if "end" in value:
                    last = value
                else:
                    hear(value)
        except BaseException:
            with suppress(OSError):
                self._child.kill()
            raise
        finally:
            code = self._child.wait()
            self._reader.join(2)
            with suppress(OSError):
                for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
                    assert stream is not None
                    stream.close()
        return Said(last.pop("end", "died"), last, code, self._tail)

    def stop(self, grace: float = GRACE) -> None:
        """Ask it to end, and end it where it does not within so many seconds. Returns at once."""
        with suppress(OSError):
            self._child.terminate()
        threading.Thread(target=self._end, args=(grace,), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        until = time.monotonic() + seconds
        while self._child.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        return self._child.poll() is not None

    def _end(self, grace: float) -> None:
        if not self.wait(grace):
            with suppress(OSError):
                self._child.kill()

    def _read_errors(self) -> None:
        assert self._child.stderr is not None
        for line in self._child.stderr:
            self._tail.append(line.decode(errors="replace").rstrip()[:1000])
            del self._tail[:-TAIL]
