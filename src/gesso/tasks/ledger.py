"""`gesso ledger`: the log of what was made: checked, searched, exported."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from gesso.contract.task import Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

COLUMNS = ("at", "id", "task", "run", "model", "seed", "label", "text", "suffix", "source", "signed", "sha256")


class LedgerOptions(Options):
    """Check, search and export the log of what was made here: each line vouches for those before it.

    The log never leaves the machine. Its last hash, noted elsewhere, shows later that nothing was cut off.
    """

    find: str = Field(default="", max_length=4096, description="An id, the beginning of a SHA-256, or a file.")
    since: date | None = Field(default=None, description="First day, UTC.")
    until: date | None = Field(default=None, description="Last day, UTC.")
    out: Path | None = Field(default=None, description="File to export to: .jsonl with all, .csv for tables.")


class Ledger(Task[LedgerOptions]):
    """The task."""

    name = "ledger"
    Options = LedgerOptions
    positional = ("find",)
    example = "gesso ledger --since 2026-11-01 --out made.csv"

    def run(self, options: LedgerOptions, home: Path) -> Iterator[Event]:
        """Check the chain; find or export what was asked for."""
        from gesso.marks.imprint import Imprint, read_choices

        ledger = Imprint(home, read_choices(home)).ledger
        checked = ledger.check()
        yield from (Message(problem, "warning") for problem in checked.problems[:20])
        more = len(checked.problems) - 20
        if more > 0:
            yield Message(f"And {more:,} more.", "warning")
        facts: dict[str, Any] = {"entries": checked.entries, "problems": checked.problems, "head": checked.head}
        if options.find:
            entry = _find(ledger, options.find)
            text = json.dumps(entry, indent=1, ensure_ascii=False).encode(errors="backslashreplace").decode()
            yield Result(text, (), facts | {"entry": entry})
            return
        whole = "All hold together" if not checked.problems else f"{len(checked.problems):,} problems"
        text = f"{checked.entries:,} entries. {whole}. The last hash: {checked.head}."
        paths: tuple[Path, ...] = ()
        if options.out is not None:
            count = _export(ledger, options)
            paths, text = (options.out.expanduser(),), f"{text}\n{count:,} exported to {options.out}."
            facts["exported"] = count
        yield Result(text, paths, facts)


def _find(ledger: Any, wanted: str) -> dict[str, Any]:
    """The latest entry of an id, of a SHA-256 or its beginning, or of a file."""
    from gesso.files import sha256_of

    with suppress(OSError, RuntimeError, ValueError):  # words that no path can be
        place = Path(wanted).expanduser()
        if place.is_file():
            wanted = sha256_of(place)
    entry = ledger.find(wanted) or ledger.find(wanted, "sha256")
    if entry is None and len(wanted) >= 8:
        for one in ledger.entries():
            entry = one if str(one.get("sha256", "")).startswith(wanted.lower()) else entry
    if entry is None:
        raise GessoError(f"The ledger knows nothing of '{wanted}'.", "Ids and sums are in `gesso verify PICTURE`.")
    return entry


def _export(ledger: Any, options: LedgerOptions) -> int:
    from gesso.files import write_bytes

    assert options.out is not None
    if options.out.expanduser().resolve().parent == ledger.folder.resolve():
        raise GessoError("The ledger itself is in that folder.", "Name a file elsewhere with --out.")
    suffix, entries = options.out.suffix.lower(), list(ledger.entries(options.since, options.until))
    if suffix == ".jsonl":
        data = "".join(json.dumps(entry) + "\n" for entry in entries)
    elif suffix == ".csv":
        page = io.StringIO()
        writer = csv.writer(page, lineterminator="\n")
        writer.writerow(COLUMNS)
        for entry in entries:
            known = {**(entry.get("recipe") or {}), **entry}
            writer.writerow([_cell(known.get(name)) for name in COLUMNS])
        data = page.getvalue()
    else:
        raise GessoError(f"{options.out.name} is no .jsonl and no .csv file.", "Name one of these with --out.")
    write_bytes(options.out.expanduser(), data.encode())
    return len(entries)


def _cell(value: object) -> str:
    """A value that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
