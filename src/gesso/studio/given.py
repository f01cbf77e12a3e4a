"""What pages give: uploads, files to import, and references to these in a job's options, made paths."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import sqlalchemy as sa

from gesso.errors import GessoError
from gesso.files import write_json
from gesso.studio.again import from_recipe
from gesso.studio.database import Database, pictures, uploads
from gesso.studio.folders import Folders, Missing, emptied, new_id, now
from gesso.studio.forms import KEEPERS, form
from gesso.studio.pixels import Pool, reencode, settings

__all__ = ["Given", "slugged"]


class Given:
    """Uploads and stages of a home folder, and what jobs are given of them."""

    def __init__(self, database: Database, folders: Folders, pool: Pool):
        self._database, self._folders, self._pool = database, folders, pool

    def upload(self, path: Path, name: str) -> dict[str, Any]:
        """Keep the pixels of a file that was sent; raises GessoError when it is no picture."""
        key = new_id()
        target = self._folders.upload(key)
        found = self._pool.do(reencode, str(path), name, str(target))
        row = {"id": key, "name": name[:200], "created": now(), **found}
        with self._database.change() as connection:
            connection.execute(uploads.insert().values(**row))
        return row

    def uploaded(self, key: str) -> dict[str, Any]:
        """An upload; raises GessoError where there is none."""
        row = self._database.row(sa.select(uploads).where(uploads.c.id == key))
        if row is None or not self._folders.upload(key).is_file():
            raise Missing("That upload is no longer there.", "Choose the picture once more.")
        return row

    def settings(self, path: Path) -> dict[str, Any] | None:
        """How a picture was made, by what it says itself, in Gesso's words or another tool's; None where it is silent.

        options: what its task takes, where it was made by Gesso from what is here.
        """
        found = self._pool.do(settings, str(path))
        if found is None or found["tool"] != "gesso":
            return found
        once_more = from_recipe(self._database, found["raw"])
        return {**found, **(once_more or {"task": found["raw"].get("task"), "options": None})}

    def begin_stage(self) -> str:
        """A new, empty stage."""
        key = new_id()
        self._folders.stage(key).mkdir(parents=True)
        return key

    def staged(self, key: str, path: str) -> Path:
        """Where a file of a stage goes: in folders of the names it came with, as far as these are harmless.

        Raises GessoError for a stage that there is not, and for a path that leads nowhere.
        """
        root = self._folders.stage(key)
        if not root.is_dir():
            raise Missing("That import was begun too long ago.", "Choose the files once more.")
        parts = [safe(part) for part in PurePosixPath(path.replace("\\", "/")).parts if part not in ("/", ".", "..")]
        if not parts or len(parts) > 12:
            raise GessoError(f"'{path[:80]}' is no name of a file.")
        return root.joinpath(*parts)

    def end_stage(self, key: str) -> None:
        """Remove a stage."""
        shutil.rmtree(self._folders.stage(key), ignore_errors=True)

    def check(self, task: str, options: Mapping[str, Any]) -> None:
        """Raises GessoError where options do not fit, or name what is not there: before anyone waits for it."""
        asked = form(task)

        def folder(refs: Sequence[str]) -> Path:
            places = [self.path(ref) for ref in refs]
            return places[0].parent

        def scene(values: Mapping[str, Any]) -> Path:
            self._named(values, {})
            return Path("scene.json")

        asked.task.Options.of(asked.resolved(options, self.path, folder, scene))

    def resolved(self, job: str, task: str, options: Mapping[str, Any], results: Path) -> dict[str, Any]:
        """Options as the task takes them: references as files in the job's own folder, and where results go."""
        inside = emptied(self._folders.job(job) / "given")
        linked = dict[str, Path]()

        def file(ref: str) -> Path:
            if ref.startswith("stage:"):
                return self._import_source(ref)
            if ref not in linked:
                linked[ref] = _linked(self.path(ref), inside, self._name(ref))
            return linked[ref]

        def folder(refs: Sequence[str]) -> Path:
            place = emptied(inside / "pictures")
            for ref in refs:
                _linked(self.path(ref), place, self._name(ref))
            return place

        def scene(values: Mapping[str, Any]) -> Path:
            files = {ref: file(ref).name for ref in self._named(values, {})}
            write_json(inside / "scene.json", _replaced(values, files))
            return inside / "scene.json"

        asked = form(task)
        out = asked.resolved(options, file, folder, scene)
        if "out" in asked.task.Options.model_fields and task not in KEEPERS:
            results.mkdir(parents=True, exist_ok=True)
            out["out"] = str(results)
        return out

    def path(self, ref: str) -> Path:
        """The file that a reference names; raises GessoError where it is gone."""
        kind, _, key = ref.partition(":")
        if kind == "upload":
            self.uploaded(key)
            return self._folders.upload(key)
        if kind == "stage":
            return self._import_source(ref)
        row = self._database.row(sa.select(pictures.c.path).where(pictures.c.id == key, ~pictures.c.thrown))
        path = self._folders.home / row["path"] if row is not None else None
        if path is None or not path.is_file():
            raise GessoError("That picture is no longer in the gallery.", "Choose another.")
        return path

    def _import_source(self, ref: str) -> Path:
        root = self._folders.stage(ref.partition(":")[2])
        files = [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
        if not files:
            raise GessoError("No file has come to be imported.", "Choose the files once more.")
        alone = files[0] if len(files) == 1 else root
        return alone if alone.is_dir() or alone.suffix.lower() in (".zip", ".npz", ".gz", ".tar", ".tgz") else root

    def _name(self, ref: str) -> str:
        kind, _, key = ref.partition(":")
        if kind == "upload":
            return Path(slugged(Path(self.uploaded(key)["name"]).stem)).name + ".png"
        return self.path(ref).name

    def _named(self, values: Any, found: dict[str, Path]) -> dict[str, Path]:
        """Every reference within a scene, and the file that it names."""
        if isinstance(values, str) and values.startswith(("picture:", "upload:")):
            found[values] = self.path(values)
        elif isinstance(values, Mapping):
            for inner in values.values():
                self._named(inner, found)
        elif isinstance(values, list | tuple):
            for inner in values:
                self._named(inner, found)
        return found


def slugged(text: str) -> str:
    """A text as a harmless name of a file, without its suffix."""
    words = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text)[:60].strip("-")
    return words or "picture"


def safe(part: str) -> str:
    """A part of a path as a harmless name: what people see of it stays, what systems read into it goes."""
    name = "".join("_" if ord(letter) < 32 or letter in '<>:"/\\|?*' else letter for letter in part)
    name = name.lstrip(".").rstrip(". ") or "_"
    while len(name.encode(errors="replace")) > 200:
        stem, dot, suffix = name.rpartition(".")
        name = (stem[: len(stem) * 3 // 4] + dot + suffix[:10]) if dot and stem else name[:60]
    return name


def _linked(path: Path, folder: Path, name: str) -> Path:
    """The same file under a name in another folder."""
    target, number = folder / name, 1
    while target.exists():
        number += 1
        target = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return target


def _replaced(values: Any, names: Mapping[str, str]) -> Any:
    if isinstance(values, str):
        return names.get(values, values)
    if isinstance(values, Mapping):
        return {key: _replaced(inner, names) for key, inner in values.items()}
    return [_replaced(inner, names) for inner in values] if isinstance(values, list | tuple) else values
