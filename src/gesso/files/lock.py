"""One holder at a time, by the system's own file locks: a dead holder's lock frees itself."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from gesso.errors import GessoError
from gesso.files import explained

__all__ = ["holder", "locked"]

PATIENCE = 0.3  # seconds: a glance of `holder` at the lock must not turn a rightful holder away
PAUSE = 0.01  # seconds between two tries

_held: set[int] = set()  # handles of locks that this process holds


def _let_go() -> None:
    """A forked child (a data worker) keeps no lock alive after its parent has died."""
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def locked(path: Path, busy: Callable[[dict[str, Any]], GessoError], wait: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file `path`, which then tells pid, host and start as JSON.

    Waits up to `wait` seconds for another holder, then raises what `busy` makes of the holder's JSON.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    owner = os.getpid()
    try:
        until = time.monotonic() + wait
        while not _take(handle, path):
            if time.monotonic() >= until:
                raise busy(_read(path))
            time.sleep(PAUSE)
        _held.add(handle)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        told = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started})
        with explained(path, len(told)):
            os.ftruncate(handle, 0)
            os.write(handle, told.encode())
        yield
    finally:
        if os.getpid() == owner:  # in a forked child the handle is closed already, and its number may be another's
            _held.discard(handle)
            os.close(handle)  # which frees the lock


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock file: pid, host and started; None when no one does."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return None if _take(handle, path) else _read(path)
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, Any]:
    """What the holder wrote; unknown where it has not yet."""
    told: Any = None
    with suppress(OSError, ValueError):
        told = json.loads(path.read_bytes())
    unknown = {"pid": "unknown", "host": "unknown", "started": "unknown"}
    return {**unknown, **told} if isinstance(told, dict) else unknown


if sys.platform == "win32":

    def _take(handle: int, path: Path) -> bool:
        import msvcrt

        os.lseek(handle, 1 << 30, os.SEEK_SET)  # far behind the text, which others must be able to read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:

    def _take(handle: int, path: Path) -> bool:
        """Try to lock; raises GessoError on a disk that cannot lock files."""
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            problem = f"{path} cannot be locked: {error.strerror}."
            raise GessoError(problem, "Choose a disk of this machine with --home.") from error
        return True
