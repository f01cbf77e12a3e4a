"""Pictures that were withdrawn: HOME/marks/withdrawn.jsonl, a line a file, by its SHA-256.

Later imports pass over the same bytes. The list is only ever added to.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gesso.files as files
from gesso.data.keeping import alone, changed, folder_of
from gesso.data.pack import open_pack
from gesso.errors import GessoError
from gesso.files.lock import locked

__all__ = ["hashes_of", "note", "remove", "withdrawn_in"]

PATIENCE = 10.0  # seconds to wait for another who withdraws


def hashes_of(item: Mapping[str, Any], paired: bool = True) -> set[str]:
    """The SHA-256 of the file of a picture, and of the file that is its source where `paired` asks for that, too."""
    names = ("sha256", "paired_sha256") if paired else ("sha256",)
    return {item[name] for name in names if isinstance(item.get(name), str)}


def withdrawn_in(home: Path) -> dict[str, dict[str, Any]]:
    """What was withdrawn, by SHA-256: source, data, at, reason, runs; raises GessoError where the list is damaged."""
    path = _list(home)
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    found = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            sha256 = entry["sha256"]
            found[sha256.lower()] = entry
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            problem = f"{path}, line {number}, is damaged, so it is not known what was withdrawn."
            raise GessoError(problem, "Restore it from a backup, or take that line out.") from None
    return found


def note(home: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Add to the list, wholly or not at all. entries: with sha256, source, data, at, reason and runs each.

    One that is there already is noted again: the newest line counts.
    """
    path = _list(home)

    def busy(who: dict[str, Any]) -> GessoError:
        return GessoError(
            f"Process {who['pid']} on {who['host']} is withdrawing pictures.", "Try again when it is done."
        )

    with locked(path.with_name(".withdrawn.lock"), busy, PATIENCE):
        withdrawn_in(home)  # nothing is added to a damaged list
        before = path.read_bytes() if path.exists() else b""
        if before and not before.endswith(b"\n"):
            before += b"\n"
        files.write_bytes(path, before + b"".join(json.dumps(dict(entry)).encode() + b"\n" for entry in entries))


def remove(home: Path, name: str, fingerprint: str) -> None:
    """Remove a data set of which every picture is withdrawn; raises Changed when it is another one by now."""
    folder = folder_of(home, name)
    with alone(folder, name):
        if open_pack(name, home).fingerprint != fingerprint:
            raise changed(name)
        aside = files.temporary_beside(folder)  # which is swept where this process is killed
        with files.explained(folder):
            folder.rename(aside)
            files.fsync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _list(home: Path) -> Path:
    return Path(home) / "marks" / "withdrawn.jsonl"
