"""Writing that never costs what was there: a reader sees the old file or the new one, never half of one.

Every write follows one order: temporary name beside the target → write → fsync → rename → fsync the folder.
Temporary names carry the process that made them, so that `sweep` can tell what a dead one left behind.
"""

import ctypes
import errno
import hashlib
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gesso.errors import GessoError

__all__ = [
    "explained",
    "find_home",
    "fsync_folder",
    "new_folder",
    "read_json",
    "sha256_of",
    "sweep",
    "temporary_beside",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]

TEMPORARY = ".gesso-tmp-"  # + host-pid-start-random: being written
ASIDE = ".gesso-old-"  # + host-pid-start-random-NAME: the folder NAME, moved aside while another takes its place
STRANGER_DAYS = 1.0  # leftovers of other machines are swept when this old: whether their writer lives cannot be asked

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ABOUT_THE_DISK = FULL | {errno.EROFS, errno.EIO}
UNTOUCHED = "What was there before is untouched."


def find_home(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds datasets/, runs/ and gallery/: the one given, else $GESSO_HOME, else ~/gesso."""
    return Path(given or os.environ.get("GESSO_HOME") or "~/gesso").expanduser().absolute()


def write_bytes(path: str | Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file atomically and durably, making its folder where needed; raises GessoError when the disk refuses.

    mode: who may read and write it, less what the umask takes.
    """
    path = Path(path)
    with explained(path, len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(path)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        try:
            try:
                left = memoryview(data).cast("B")
                while left:  # a full disk or a file size limit may cut a write short before it fails
                    left = left[os.write(handle, left) :]
                _fsync(handle)
            finally:
                os.close(handle)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        fsync_folder(path.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, atomically, line ends as they are; raises GessoError when the disk refuses."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write plain values as readable JSON, atomically; raises ValueError on NaN and infinity, which JSON lacks."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        data = text.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8 arrives as lone surrogates; \u escapes carry them
        data = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    write_bytes(path, data)


def read_json(path: str | Path) -> Any:
    """The values in a JSON file; raises GessoError naming the file when it is missing, unreadable or damaged."""
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise GessoError(f"There is no file {path}.") from None
    except OSError as error:
        raise GessoError(f"{path} could not be read: {_reason(error)}.") from None
    except (ValueError, RecursionError):
        raise GessoError(f"{path} is damaged: it is not JSON.", "Restore it from a backup, or remove it.") from None


@contextmanager
def writing(path: str | Path, needed: int | None = None) -> Iterator[Path]:
    """A temporary path for a library that writes a file itself; on success it takes the place of `path`.

    The temporary file has the same name in a temporary folder beside the target: libraries that go by
    the suffix find it, and whatever else they leave behind is swept with the folder. needed: bytes, for
    the message when the disk is full. An error in the body leaves the old file; a full disk raises GessoError.
    """
    path = Path(path)
    with explained(path, needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = temporary_beside(path)
        folder.mkdir()
    temporary = folder / path.name
    try:
        with explained(path, needed, within=folder):
            yield temporary
        with explained(path, needed):
            handle = os.open(temporary, os.O_RDWR)
            try:
                _fsync(handle)
            finally:
                os.close(handle)
            # Some writers make private files (0600); the folder's mode tells what the umask allows.
            temporary.chmod(folder.stat().st_mode & 0o666)
            temporary.replace(path)
            fsync_folder(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_folder(final: str | Path, *, replace: bool = False, needed: int | None = None) -> Iterator[Path]:
    """A temporary folder to fill; on success all in it is made durable and it becomes `final` in one step.

    replace: an existing `final` stays until the new one is complete, then they change places; without
    it, an existing one raises GessoError. An error in the body removes the temporary folder.
    """
    final = Path(final)
    taken = GessoError(f"{final} exists already.", "Choose another name, or remove it first.")
    if final.exists() and not replace:
        raise taken
    with explained(final, needed):
        final.parent.mkdir(parents=True, exist_ok=True)
        folder = temporary_beside(final)
        folder.mkdir()
    try:
        try:
            with explained(final, needed, within=folder):
                yield folder
        except GessoError as error:  # the person knows the folder by its final name
            error.problem = error.problem.replace(str(folder), str(final))
            raise
        with explained(final, needed):
            _fsync_tree(folder)
            try:
                folder.rename(final)
            except OSError as error:
                if (
                    error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EACCES)
                    or not final.exists()
                ):
                    raise
                if not replace:
                    raise taken from None
                _swap(folder, final)
            fsync_folder(final.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is left: nothing, half a folder, or the one that was replaced


def sweep(folder: str | Path) -> list[Path]:
    """Remove what dead processes left half-written in a folder; returns what was removed.

    Living processes' files stay, and so do other machines' for a day. A folder that a dead process had
    moved aside goes back to its place if that is empty. A folder that is missing or may not be written is no error.
    """
    folder = Path(folder)
    removed = []
    try:
        entries = [entry for entry in folder.iterdir() if entry.name.startswith((TEMPORARY, ASIDE))]
    except OSError:
        return []
    # Folders moved aside come first: while their successor's temporary name still exists, nothing is lost.
    for entry in sorted(entries, key=lambda e: not e.name.startswith(ASIDE)):
        if not _orphan(entry):
            continue
        with suppress(OSError):
            if entry.name.startswith(ASIDE):
                home = folder / entry.name.removeprefix(ASIDE).split("-", 4)[4]
                if not home.exists():
                    entry.rename(home)
                    fsync_folder(folder)
                    continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
            removed.append(entry)
    return removed


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits; raises OSError when it cannot be read."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def temporary_beside(path: str | Path) -> Path:
    """An unused name in the folder of `path`, which `sweep` removes once this process is gone."""
    return Path(path).parent / (TEMPORARY + _token())


@contextmanager
def explained(path: str | Path, needed: int | None = None, within: Path | None = None) -> Iterator[None]:
    """Turn the system's refusals to write `path` into a GessoError that names it and the bytes needed.

    within: where given, only errors about the disk, or about files in that folder, are turned; others
    are the body's own and pass.
    """
    try:
        yield
    except OSError as error:
        about_us = within is None or str(error.filename or "").startswith(str(within))
        if not about_us and error.errno not in ABOUT_THE_DISK:
            raise
        raise _refusal(Path(path), needed, error) from error


def fsync_folder(folder: str | Path) -> None:
    """Make the renames in a folder durable; does nothing where the system cannot (Windows, some network disks)."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def _fsync(handle: int) -> None:
    if sys.platform == "darwin":  # there, fsync stops at the drive's cache
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def _fsync_tree(folder: Path) -> None:
    """Make every file and folder below durable, leaves first."""
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(here, name)
            if path.is_file() and not path.is_symlink():
                handle = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
                try:
                    _fsync(handle)
                finally:
                    os.close(handle)
        fsync_folder(here)


def _swap(new: Path, final: Path) -> None:
    """Put `new` in the place of `final`; afterwards nothing or the old one has the name `new`."""
    if _exchange(new, final):
        return
    aside = final.parent / f"{ASIDE}{_token()}-{final.name}"
    final.rename(aside)
    try:
        new.rename(final)
    except OSError:
        aside.rename(final)
        raise
    fsync_folder(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step (Linux, renameat2 with RENAME_EXCHANGE); False where that is unknown."""
    if sys.platform != "linux":
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _token() -> str:
    """host-pid-start-random: who is writing, so that others can tell whether it still lives."""
    return f"{_host()}-{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(4)}"


def _host() -> str:
    """Six digits that differ where process numbers mean something else: another machine, another container."""
    numbers = ""
    with suppress(OSError):
        numbers = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{socket.gethostname()} {numbers}".encode()).hexdigest()[:6]


def _started(pid: int) -> int:
    """When a process began, in ticks since the machine did; tells a pid from a later one of the same number.

    0 where the system does not say (all but Linux).
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def _orphan(entry: Path) -> bool:
    """Whether the process that made a temporary name is gone."""
    try:
        host, pid, start, _ = entry.name.removeprefix(TEMPORARY).removeprefix(ASIDE).split("-")[:4]
        if host != _host():
            return time.time() - entry.lstat().st_mtime > STRANGER_DAYS * 86400
        now = _started(int(pid))
        return not _alive(int(pid)) or (0 not in (now, int(start)) and now != int(start))
    except (ValueError, OSError):
        return False  # not a name of ours, or gone meanwhile


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill would end it
        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _refusal(path: Path, needed: int | None, error: OSError) -> GessoError:
    """The sentence for a write that the system refused."""
    bytes_needed = "" if needed is None else f"{needed:,} bytes needed"
    if error.errno in FULL:
        free = _free(path)
        room = ", ".join(filter(None, [bytes_needed, "" if free is None else f"{free:,} free"]))
        why = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "your disk quota is used up"}
        reason = why.get(error.errno or 0, "it would be larger than the system allows a file to be (ulimit -f)")
        what = (
            "Raise that limit" if error.errno == errno.EFBIG else "Free some space, or choose another disk with --home"
        )
        return GessoError(f"{path} could not be written: {reason} ({room}).", f"{what}, then try again. {UNTOUCHED}")
    room = f" ({bytes_needed})" if bytes_needed else ""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Choose a folder that you may write to, with --home. {UNTOUCHED}"
    elif error.errno == errno.EIO:
        remedy = f"The disk may be failing: copy what matters to another one. {UNTOUCHED}"
    else:
        remedy = UNTOUCHED
    return GessoError(f"{path} could not be written{room}: {_reason(error)}.", remedy)


def _reason(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _free(path: Path) -> int | None:
    """Free bytes on the disk of the nearest folder that exists."""
    for folder in path.absolute().parents:
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None
