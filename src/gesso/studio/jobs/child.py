"""The process of one job: does a task, and tells its events as lines of JSON.

`python -m gesso.studio.jobs.child`: imports what works need, reads {"task", "options", "home", "lock"} as one line, and
listens on: when that pipe ends, the studio has died, and the work stops as by SIGTERM: a training saves. Whoever begins
the job again waits for the lock, so that no two ever do it.
"""

import importlib
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from gesso.errors import GessoError

__all__ = ["main"]

PATIENCE = 60.0  # seconds that an orphan gets to end, and that its successor waits
PAUSE = 0.5  # seconds between two lines of progress


def main() -> int:
    """Do the job; returns 0 done, 2 a user's mistake, 130 stopped, 1 a fault of Gesso."""
    tell = _Teller(os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1))
    os.dup2(2, 1)  # what libraries print is no event
    _warm()
    line = sys.stdin.readline()
    if not line:  # the studio has gone before it had a job
        return 0
    asked = json.loads(line)
    threading.Thread(target=_follow, daemon=True).start()
    try:
        return _work(asked, tell)
    except GessoError as error:
        tell.end("failed", problem=error.problem, remedy=error.remedy)
        return 2
    except KeyboardInterrupt:
        tell.end("stopped")
        return 130
    except BaseException as error:
        import traceback

        traceback.print_exc()
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
            tell.end(
                "failed", problem="There was not enough memory.", remedy="Choose a smaller size, or fewer at once."
            )
        else:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".: ")
            tell.end("failed", problem=f"Gesso met a fault of its own ({said}).", remedy="The log tells where.")
        return 1


def _warm() -> None:
    """Import what most works need, before there is one."""
    for name in ("numpy", "cv2", "numba", "torch", "gesso.sample", "gesso.patch", "gesso.data", "gesso.marks.picture"):
        with suppress(ImportError):
            importlib.import_module(name)


def _work(asked: dict[str, Any], tell: "_Teller") -> int:
    from gesso.files.lock import locked
    from gesso.tasks import events, task

    def busy(who: dict[str, Any]) -> GessoError:
        return GessoError(f"Process {who['pid']} is still at this job.", "Wait until it has ended, or stop it.")

    with locked(Path(asked["lock"]), busy, PATIENCE):
        stopped = list[int]()

        def stop(number: int, _: FrameType | None) -> None:
            stopped.append(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        found = task(asked["task"])
        stream = events(found, found.Options.of(asked["options"]), Path(asked["home"]))
        try:
            for event in stream:
                tell(event)
                if stopped and not tell.result:
                    raise KeyboardInterrupt
        finally:
            stream.close()
    tell.end("done")
    return 0


class _Teller:
    """Writes events as lines. A studio that has gone hears nothing, and nothing breaks."""

    def __init__(self, stream: TextIO):
        self._stream, self._due, self.result = stream, 0.0, False

    def __call__(self, event: Any) -> None:
        from gesso.contract.task import Checkpoint, Message, Preview, Progress, Result

        if isinstance(event, Progress):
            now = time.monotonic()
            if now < self._due and event.done < event.total:
                return
            self._due = now + PAUSE
            values = {name: getattr(event, name) for name in ("done", "total", "unit", "left", "facts")}
            self._write({"progress": values})
        elif isinstance(event, Message):
            self._write({"message": event.text, "level": event.level})
        elif isinstance(event, Preview):
            self._write({"preview": str(event.path), "title": event.title})
        elif isinstance(event, Checkpoint):
            self._write({"checkpoint": event.options})
        elif isinstance(event, Result):
            self.result = True
            paths = [str(path) for path in event.paths]
            self._write({"result": {"text": event.text, "paths": paths, "facts": event.facts}})

    def end(self, how: str, **more: str) -> None:
        """The last line."""
        self._write({"end": how, **more})

    def _write(self, value: dict[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(_finite(value), default=str) + "\n")
        except (OSError, ValueError):
            self._stream = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _finite(value: Any) -> Any:
    """The same with null for what JSON cannot say."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _follow() -> None:
    """Stop when the studio has gone."""
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE / 2)
    os._exit(130)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # at once: tearing down what libraries keep takes a second
