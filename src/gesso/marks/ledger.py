"""What was made, when, by which model: a log that is only ever added to, each line of which vouches for those before.

A file a month, a JSON object a line: `prev` is the hash of the line before, `hash` the SHA-256 over `prev` and the rest
of the line in canonical JSON. So a line that is changed, taken out or put in between is found; only the newest lines
can be cut off unnoticed, unless their hash was noted elsewhere. Nothing leaves the machine.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from gesso.errors import GessoError
from gesso.files import explained, fsync_folder
from gesso.files.lock import locked

__all__ = ["FIRST", "Checked", "Ledger"]

FIRST = "0" * 64  # the `prev` of the very first line
MONTH = re.compile(r"\d{4}-\d{2}\.jsonl")
TAIL = 1 << 16  # bytes at the end of a file, in which its last line begins nearly always
BLOCK = 1 << 24  # bytes that are searched at once
LONGEST = 1 << 20  # bytes of a line
PATIENCE = 30.0  # seconds to wait for others who write


class Checked(NamedTuple):
    """What became of a check. entries: how many hold together; problems: sentences; head: hash of the last line."""

    entries: int
    problems: list[str]
    head: str


class Ledger:
    """The log in a folder. keep: days for which entries are kept, whole months at a time; 0: for ever."""

    def __init__(self, folder: Path, keep: int = 0):
        self.folder, self.keep = folder, keep

    def add(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Append an entry, with the time (`at`, UTC) and its place in the chain; returns it as it stands there.

        Raises GessoError when the disk refuses; then nothing was added.
        """
        with locked(self.folder / "lock", self._busy, PATIENCE):
            now = datetime.now(UTC)
            path, months = self.folder / f"{now:%Y-%m}.jsonl", self.months()
            if months and path.name < months[-1].name:
                path = months[-1]  # the clock was set back: the chain goes on where it is
            last = next((found for one in reversed(months) if (found := _last(one)) is not None), None)
            head = FIRST if last is None else str(last["hash"])
            lines = [dict(entry)]
            gone = [] if path in months else self._outlived(months, now.date())
            if gone:
                ends = [str(one["hash"]) for month in gone if (one := _last(month)) is not None]
                lines.insert(0, {"kind": "expired", "months": [month.stem for month in gone], "ends": ends})
            made, data = dict[str, Any](), b""
            for line in lines:
                made = {"at": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z", **line, "prev": head}
                head = made["hash"] = digest(made)
                data += json.dumps(made, ensure_ascii=True, allow_nan=False).encode() + b"\n"
            _append(path, data)
            for month in gone:
                with suppress(OSError):  # it goes with the next ones
                    month.unlink()
        return made

    def find(self, value: str, key: str = "id") -> dict[str, Any] | None:
        """The latest entry with that value, of the id if nothing else is said; None where there is none."""
        wanted = f"{json.dumps(key)}: {json.dumps(value)}".encode()
        for path in reversed(self.months()):
            for line in reversed([*_holding(path, wanted)]):
                entry = _read(line)
                if entry is not None and entry.get(key) == value:
                    return entry
        return None

    def entries(self, since: date | None = None, until: date | None = None) -> Iterator[dict[str, Any]]:
        """All that can be read, oldest first. since, until: days (UTC), both included."""
        for path in self.months():
            if since is not None and path.stem < str(since)[:7]:
                continue  # a later month may have earlier days, where the clock was set back
            with path.open("rb") as file:
                for line in file:
                    entry = _read(line)
                    day = str(entry["at"])[:10] if entry is not None and "at" in entry else ""
                    if entry is not None and not (since and day < str(since)) and not (until and day > str(until)):
                        yield entry

    def check(self) -> Checked:
        """Follow the whole chain; never raises for what is in it."""
        count, problems, head, before = 0, list[str](), "", False
        begins = {FIRST}  # of which lines before the first is known that they went when their time was over
        for entry in self.entries():
            if entry.get("kind") == "expired" and isinstance(entry.get("ends"), list):
                begins |= {str(end) for end in entry["ends"]}
        for path in self.months():
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    entry, where = _read(line), f"{path.name}, line {number}"
                    if entry is None:
                        torn = "is not whole: a write was cut short" if not line.endswith(b"\n") else "cannot be read"
                        problems.append(f"{where} {torn}.")
                        continue
                    if digest(entry) != entry.get("hash"):
                        problems.append(f"{where} was changed.")
                    elif entry.get("prev") not in ({head} if before else begins):
                        problems.append(
                            f"{where} does not follow the line before it: lines are missing, or were added."
                        )
                    else:
                        count += 1
                    head, before = str(entry.get("hash")), True
        return Checked(count, problems, head or FIRST)

    def months(self) -> list[Path]:
        """Its files, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if MONTH.fullmatch(path.name))

    def _outlived(self, months: list[Path], today: date) -> list[Path]:
        """Months all days of which are older than what is kept."""
        if not self.keep:
            return []
        begin = f"{today - timedelta(days=self.keep):%Y-%m}"
        return [path for path in months if path.stem < begin]

    def _busy(self, who: dict[str, Any]) -> GessoError:
        problem = f"The ledger in {self.folder} is held by process {who['pid']} on {who['host']}."
        return GessoError(problem, "Try again in a moment, or stop that process.")


def digest(entry: Mapping[str, Any]) -> str:
    """The SHA-256 of an entry but for its own hash, as canonical JSON: sorted keys, no spaces, ASCII."""
    plain = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _append(path: Path, data: bytes) -> None:
    """Add whole lines to a file, or none of them; a torn line that a kill has left is cut first."""
    with explained(path, len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            end = _whole(handle)
            os.ftruncate(handle, end)
            os.lseek(handle, end, os.SEEK_SET)
            left = memoryview(data)
            try:
                while left:
                    left = left[os.write(handle, left) :]
            except OSError:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        if new:
            fsync_folder(path.parent)


def _whole(handle: int) -> int:
    """Where a file's last whole line ends."""
    end = os.lseek(handle, 0, os.SEEK_END)
    while end:
        begin = max(0, end - TAIL)
        os.lseek(handle, begin, os.SEEK_SET)
        found = os.read(handle, end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _last(path: Path) -> dict[str, Any] | None:
    """The last entry of a file that can be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            reach = TAIL
            while True:
                file.seek(max(0, size - reach))
                lines = file.read(reach).split(b"\n")
                whole = lines if reach >= size else lines[1:]  # the first may have begun before
                for line in reversed(whole[:-1]):
                    entry = _read(line)
                    if entry is not None and isinstance(entry.get("hash"), str):
                        return entry
                if reach >= size:
                    return None
                reach *= 8
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {error.strerror}.") from None


def _holding(path: Path, wanted: bytes) -> Iterator[bytes]:
    """The lines of a file in which some bytes are, without reading the others as JSON."""
    with path.open("rb") as file:
        rest = b""
        while block := file.read(BLOCK):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            yield from (line for line in lines if wanted in line)
        if wanted in rest:
            yield rest


def _read(line: bytes) -> dict[str, Any] | None:
    if len(line) > LONGEST:
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
