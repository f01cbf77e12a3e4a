"""The folder of a data set, while it is changed: held alone, known again, its files linked into a new one."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gesso import files
from gesso.data.pack import pack_names
from gesso.errors import GessoError, nearest
from gesso.files.lock import locked

__all__ = ["Changed", "alone", "changed", "folder_of", "kept_of", "link", "stamp_of", "still"]

PATIENCE = 10.0  # seconds that one who changes a data set waits for another


class Changed(GessoError):
    """The data set is not the one that the edits were made for."""


def folder_of(home: Path, name: str) -> Path:
    """Where a data set of that name is; raises GessoError when there is none."""
    names = pack_names(home)
    if name not in names:
        problem = f"There is no data set '{name}' in {Path(home) / 'datasets'}."
        raise GessoError(problem, nearest(name, names) or "Import one first.")
    return (Path(home) / "datasets" / name).resolve()


@contextmanager
def alone(folder: Path, name: str) -> Iterator[None]:
    """No one else edits the data set meanwhile."""

    def busy(who: dict[str, Any]) -> GessoError:
        problem = f"The data set '{name}' is being edited by process {who['pid']} on {who['host']}."
        return GessoError(problem, "Try again when that is done.")

    with locked(folder.with_name(f".{folder.name}.lock"), busy, PATIENCE):
        yield


def stamp_of(folder: Path) -> tuple[int, int]:
    """What tells a folder from another that took its place, as that of an import does."""
    try:
        facts = folder.stat()
    except OSError:
        return 0, 0
    return facts.st_dev, facts.st_ino


def still(folder: Path, stamp: tuple[int, int], name: str) -> None:
    """Raise Changed unless the folder is the one that it was."""
    if stamp_of(folder) != stamp:
        raise changed(name)


def changed(name: str) -> Changed:
    """What is said of a data set that is another one by now."""
    return Changed(f"The data set '{name}' was changed meanwhile.", "Load it again.")


def kept_of(folder: Path, but: Sequence[str]) -> list[Path]:
    """All that lies in a folder, but for names of some patterns and what someone is just writing."""
    temporary = (f"{files.TEMPORARY}*", f"{files.ASIDE}*")
    return [entry for entry in sorted(folder.iterdir()) if not any(entry.match(one) for one in (*but, *temporary))]


def link(source: Path, target: Path) -> None:
    """The same file or folder in another place; copied where it cannot be linked. Gesso changes none in place."""
    if source.is_dir():
        target.mkdir()
        for inner in kept_of(source, ()):
            link(inner, target / inner.name)
        return
    try:
        if source.is_symlink():
            raise OSError("a link is not linked again")
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
