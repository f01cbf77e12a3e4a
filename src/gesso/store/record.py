"""The names of runs and the record in run.json: finding, reading, checking."""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gesso.errors import GessoError
from gesso.files import read_json

FORMAT = 1  # of run.json and all beside it; raised when an older Gesso could not read them
NUMBERED = re.compile(r"([0-9]{4,})-(.+)")
PRETRAINED = "diffusers:"  # begins what names a pretrained pipeline, where a run could be named


def slug(text: str, fallback: str) -> str:
    """A name for the disk, of a-z, 0-9 and single hyphens, 40 at most; `fallback` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or fallback


def folders(runs: Path) -> list[Path]:
    """The folders of runs, by number; empty where there is none."""
    try:
        found = [path for path in runs.iterdir() if NUMBERED.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return []
    return sorted(found, key=lambda path: (number(path), path.name))


def number(path: Path) -> int:
    """The number that a run's folder begins with."""
    match = NUMBERED.fullmatch(path.name)
    return int(match[1]) if match else 0


def read_record(root: Path) -> dict[str, Any]:
    """The record of a run; raises GessoError when it is damaged or a newer Gesso wrote it."""
    record = read_json(root / "run.json")
    if isinstance(record, dict):
        check_format(record, f"Run {root.name}")
        kinds = {"format": int, "number": int, "name": str, "family": str}
        if all(isinstance(record.get(key), kind) for key, kind in kinds.items()):
            return record
    raise GessoError(f"{root / 'run.json'} is damaged: it is not the record of a run.", "Restore it from a backup.")


def check_format(values: dict[str, Any], what: str) -> None:
    """Raise GessoError when a newer Gesso wrote something."""
    written = values.get("format")
    if isinstance(written, int) and written > FORMAT:
        problem = f"{what} was written by a newer Gesso (format {written}; this one reads up to {FORMAT})."
        raise GessoError(problem, "Update Gesso: pip install --upgrade gesso.")


def find(runs: Path, ref: str) -> list[Path]:
    """The folders of runs that `ref` may mean; one when it is clear, none when nothing fits."""
    known = folders(runs)
    if re.fullmatch(r"#?[0-9]+", ref):
        return [path for path in known if path.name.split("-")[0].lstrip("0") == ref.lstrip("#").lstrip("0")]
    for path in known:
        if path.name == ref:
            return [path]
    with suppress(OSError):  # a name too long for the disk
        place = Path(ref).expanduser()
        if ref and (place / "run.json").is_file():
            return [place]
    return _named(known, ref.lower()) if ref else []


def _named(known: Iterable[Path], ref: str) -> list[Path]:
    """The latest run of the data set `ref`; else those whose folder begins so, the latest where all are of one set."""
    names: dict[Path, str] = {}
    for path in known:
        names[path] = path.name.partition("-")[2]
        with suppress(GessoError):
            names[path] = read_record(path)["name"]
    fits = [path for path, name in names.items() if ref in (name.strip().lower(), slug(name, "set"))]
    if fits:
        return fits[-1:]
    fits = [path for path in names if path.name.startswith(ref) or path.name.partition("-")[2].startswith(ref)]
    return fits[-1:] if len({names[path] for path in fits}) == 1 else fits
