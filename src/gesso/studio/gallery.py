"""The gallery: every picture below HOME/gallery, found again by what it is and by how it was made."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa

from gesso.errors import GessoError
from gesso.studio.database import Database, boards, held, inputs, pictures, uploads
from gesso.studio.events import Events
from gesso.studio.folders import Folders, Missing, new_id, now
from gesso.studio.pixels import Pool, lab, look

__all__ = ["Gallery"]

SEEN = pictures.c.kind.in_(("picture", "film"))  # what a gallery shows, unless other files are asked for
NEAR = 26.0  # in CIELAB: colours that people call by one name
SHOWN = (
    "id", "name", "kind", "width", "height", "bytes", "created", "task", "run", "run_name", "family", "seed", "label",
    "text", "starred", "note", "colours",
)  # fmt: skip
ORDERS = {
    "newest": (pictures.c.created.desc(), pictures.c.path.desc()),
    "oldest": (pictures.c.created, pictures.c.path),
    "largest": ((pictures.c.width * pictures.c.height).desc(), pictures.c.created.desc()),
}


class Gallery:
    """All pictures of a home folder. Any thread may ask."""

    def __init__(self, database: Database, events: Events, folders: Folders, pool: Pool):
        self._database, self._events, self._folders, self._pool = database, events, folders, pool
        self._entering = Lock()  # a job's pictures may be found by a look around at the same time

    def take_in(self, paths: Iterable[str], job: str | None = None) -> tuple[list[str], list[dict[str, Any]]]:
        """Enter files; returns the pictures among those below the gallery, and what else is for the person."""
        made, files = list[str](), list[dict[str, Any]]()
        for place in map(Path, paths):
            if place.is_dir():
                continue
            if not place.is_relative_to(self._folders.gallery):
                files.append({"name": place.name, "path": str(place), "bytes": _size(place)})
                continue
            row = self._enter(place, job)
            if row is not None and row["kind"] in ("picture", "film"):
                made.append(row["id"])
            else:
                files.append({"name": place.name, "path": str(place), "bytes": _size(place)})
        return made, files

    def look_around(self) -> int:
        """Enter what came by other ways, as from the command line; returns how many were new."""
        known = {row["path"] for row in self._database.rows(sa.select(pictures.c.path))}
        new = 0
        for folder, _, names in os.walk(self._folders.gallery):
            for name in sorted(names):
                place = Path(folder) / name
                path = place.relative_to(self._folders.home).as_posix()
                if path not in known and not name.startswith(".") and place.suffix.lower() != ".json":
                    new += self._enter(place, None) is not None
        return new

    def search(self, wish: Mapping[str, Any], order: str, offset: int, limit: int) -> dict[str, Any]:
        """Pictures that fit all wishes (see the route), some of them, and how many there are."""
        where = [~pictures.c.thrown, *_conditions(wish)]
        query = sa.select(pictures).where(*where).order_by(*ORDERS[order])
        with self._database.engine.connect() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(pictures).where(*where)) or 0
        return {"total": total, "pictures": self._shown(self._database.rows(query.offset(offset).limit(limit)))}

    def get(self, key: str) -> dict[str, Any]:
        """One picture as pages see it; raises GessoError where there is none."""
        return self._shown([self.row(key)])[0]

    def some(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Several, in the order of their ids; those that are gone are left out."""
        found = {one["id"]: one for one in self._shown(self._database.rows(
            sa.select(pictures).where(pictures.c.id.in_([*keys]), ~pictures.c.thrown)
        ))}  # fmt: skip
        return [found[key] for key in keys if key in found]

    def whole(self, key: str) -> dict[str, Any]:
        """One picture with its recipe, what it was made from and what was made from it."""
        row = self.row(key)
        given = self._database.rows(sa.select(inputs).where(inputs.c.picture == key))
        near = self._database.rows(sa.select(pictures).where(
            pictures.c.sha256.in_([one["sha256"] for one in given]), ~pictures.c.thrown
        ))  # fmt: skip
        sums = [one["sha256"] for one in given]
        sent = self._database.rows(sa.select(uploads.c.sha256, uploads.c.name).where(uploads.c.sha256.in_(sums)))
        parents = {one["sha256"]: dict(one) for one in sent}  # masks and the like, which are in no gallery
        parents |= {one["sha256"]: one for one in self._shown(near, "sha256")}
        children = sa.select(pictures).join(inputs, inputs.c.picture == pictures.c.id)
        made = self._database.rows(children.where(inputs.c.sha256 == row["sha256"], ~pictures.c.thrown).limit(200))
        return {
            **self.get(key), "recipe": row["recipe"], "job": row["job"], "sha256": row["sha256"],
            "parents": sorted(
                (parents.get(one["sha256"], {"name": one["name"], "sha256": one["sha256"]}) for one in given),
                key=lambda one: "id" not in one,
            ),
            "children": self._shown(made),
        }  # fmt: skip

    def path(self, key: str) -> Path:
        """Its file; raises GessoError where that is gone."""
        path = self._folders.home / self.row(key)["path"]
        if not path.is_file():
            raise Missing(f"The file {path.name} is no longer there.", "Restore it from a backup, or remove it here.")
        return path

    def parameters(self, key: str) -> str:
        """The line that most tools read, as its file has it; empty where it has none."""
        from gesso.marks.recipe import read_parameters

        try:
            return read_parameters(self.path(key)) or ""
        except GessoError:
            return ""

    def row(self, key: str) -> dict[str, Any]:
        """All that is kept of it; raises GessoError where there is none."""
        row = self._database.row(sa.select(pictures).where(pictures.c.id == key))
        if row is None:
            raise Missing("There is no such picture in the gallery.", "It may have been removed.")
        return row

    def change(self, key: str, starred: bool | None, note: str | None, on: Sequence[str] | None) -> dict[str, Any]:
        """Change what people say of it; None leaves."""
        self.row(key)
        values = {name: value for name, value in (("starred", starred), ("note", note)) if value is not None}
        with self._database.change() as connection:
            if values:
                connection.execute(pictures.update().where(pictures.c.id == key).values(**values))
            if on is not None:
                known = {row.id for row in connection.execute(sa.select(boards.c.id))}
                connection.execute(held.delete().where(held.c.picture == key))
                for board in dict.fromkeys(on):
                    if board not in known:
                        raise Missing("That board is no longer there.", "Choose another.")
                    connection.execute(held.insert().values(board=board, picture=key))
        return self._told(key)

    def mark(self, keys: Sequence[str], starred: bool | None, add: str | None, remove: str | None) -> int:
        """The same for several at once; returns how many there are."""
        if add is not None:
            self._board(add)
        with self._database.change() as connection:
            known = [row.id for row in connection.execute(sa.select(pictures.c.id).where(pictures.c.id.in_([*keys])))]
            if starred is not None:
                connection.execute(pictures.update().where(pictures.c.id.in_(known)).values(starred=starred))
            for board in filter(None, (add, remove)):
                connection.execute(held.delete().where(held.c.board == board, held.c.picture.in_(known)))
            for key in known if add is not None else ():
                connection.execute(held.insert().values(board=add, picture=key))
        for key in known:
            self._told(key)
        if add or remove:
            self._events.tell("boards", {})
        return len(known)

    def throw(self, key: str, away: bool = True) -> None:
        """Into the trash, or out of it: its file moves, and is not deleted."""
        row = self.row(key)
        here, there = self._folders.home / row["path"], self._folders.trash / row["path"]
        before, after = (here, there) if away else (there, here)
        if before.is_file():
            after.parent.mkdir(parents=True, exist_ok=True)
            before.replace(after)
        with self._database.change() as connection:
            connection.execute(pictures.update().where(pictures.c.id == key).values(thrown=away))
        if away:
            self._events.tell("gone", {"kind": "picture", "id": key})
        else:
            self._told(key)

    def boards(self) -> list[dict[str, Any]]:
        """All boards by name, with how many pictures each holds and the newest four."""
        out = []
        for row in self._database.rows(sa.select(boards).order_by(sa.func.lower(boards.c.name))):
            on = sa.select(pictures.c.id).join(held, held.c.picture == pictures.c.id)
            on = on.where(held.c.board == row["id"], ~pictures.c.thrown, SEEN).order_by(pictures.c.created.desc())
            keys = [one["id"] for one in self._database.rows(on)]
            cover = [f"/api/pictures/{key}/thumb" for key in keys[:4]]
            out.append({"id": row["id"], "name": row["name"], "count": len(keys), "cover": cover})
        return out

    def add_board(self, name: str) -> dict[str, Any]:
        """A new, empty board."""
        row = {"id": new_id(), "name": name, "created": now()}
        with self._database.change() as connection:
            connection.execute(boards.insert().values(**row))
        self._events.tell("boards", {})
        return {"id": row["id"], "name": name, "count": 0, "cover": []}

    def rename_board(self, key: str, name: str) -> None:
        """Call it otherwise."""
        self._board(key)
        with self._database.change() as connection:
            connection.execute(boards.update().where(boards.c.id == key).values(name=name))
        self._events.tell("boards", {})

    def drop_board(self, key: str) -> None:
        """Remove a board; its pictures stay."""
        self._board(key)
        with self._database.change() as connection:
            connection.execute(held.delete().where(held.c.board == key))
            connection.execute(boards.delete().where(boards.c.id == key))
        self._events.tell("boards", {})

    def _board(self, key: str) -> None:
        if self._database.row(sa.select(boards).where(boards.c.id == key)) is None:
            raise Missing("That board is no longer there.", "Choose another.")

    def _told(self, key: str) -> dict[str, Any]:
        found = self.get(key)
        self._events.tell("picture", found)
        return found

    def _enter(self, place: Path, job: str | None) -> dict[str, Any] | None:
        """Into the table, or what is there of it, where the file is still the same."""
        try:
            found = place.stat()
            path = place.relative_to(self._folders.home).as_posix()
            before = self._database.row(sa.select(pictures).where(pictures.c.path == path))
            stamp = found.st_mtime_ns, found.st_size
            if before is not None and (before["stamp"], before["bytes"]) == stamp and job in (None, before["job"]):
                return before
            seen = self._pool.do(look, str(place))
        except (OSError, GessoError):  # gone again, or nothing that can be read
            return None
        made = datetime.fromtimestamp(found.st_mtime).astimezone().isoformat(timespec="milliseconds")
        row = {
            "path": path, "name": place.name, "bytes": found.st_size, "stamp": found.st_mtime_ns, "job": job,
            "created": made, "thrown": False, **{key: seen[key] for key in ("kind", "width", "height", "sha256")},
            "colours": seen["colours"], **_coordinates(seen["lab"]), **_told_by(seen["recipe"]),
        }  # fmt: skip
        with self._entering, self._database.change() as connection:
            known = sa.select(pictures.c.id, pictures.c.job).where(pictures.c.path == path)
            entered = connection.execute(known).first()
            if entered is None:
                row |= {"id": new_id(), "starred": False, "note": ""}
                connection.execute(pictures.insert().values(**row))
            else:
                row |= {"id": entered.id, "job": job or entered.job}
                connection.execute(pictures.update().where(pictures.c.id == entered.id).values(**row))
                connection.execute(inputs.delete().where(inputs.c.picture == entered.id))
            for name, digest in ((seen["recipe"] or {}).get("inputs") or {}).items():
                there = sa.select(inputs.c.picture).where(inputs.c.picture == row["id"], inputs.c.sha256 == digest)
                if connection.scalar(there) is None:
                    connection.execute(inputs.insert().values(picture=row["id"], sha256=digest, name=name))
        self._told(row["id"])
        return row

    def _shown(self, rows: Sequence[Mapping[str, Any]], *more: str) -> list[dict[str, Any]]:
        on = dict[str, list[str]]()
        ids = [row["id"] for row in rows]
        for one in self._database.rows(sa.select(held).where(held.c.picture.in_(ids))) if ids else ():
            on.setdefault(one["picture"], []).append(one["board"])
        return [
            {
                **{name: row[name] for name in (*SHOWN, *more)}, "boards": on.get(row["id"], []),
                "url": f"/api/pictures/{row['id']}/file?v={row['sha256'][:8]}",
                "thumb": f"/api/pictures/{row['id']}/thumb?v={row['sha256'][:8]}",
                "missing": not (self._folders.home / row["path"]).is_file(),
            }
            for row in rows
        ]  # fmt: skip


def _conditions(wish: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """What a search asks, for the database."""
    table, out = pictures.c, list[sa.ColumnElement[bool]]()
    if wish.get("kind") is None:
        out.append(SEEN)
    for word in str(wish.get("q") or "").split()[:12]:
        like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        words = (table.name, table.text, table.label, table.note, table.run_name, table.family, table.task)
        found = [column.ilike(like, escape="\\") for column in words]
        out.append(sa.or_(*found, sa.cast(table.seed, sa.String) == word))
    for name in ("task", "run", "family", "seed", "kind"):
        if wish.get(name) is not None:
            out.append(table[name] == wish[name])
    if wish.get("starred"):
        out.append(table.starred)
    if wish.get("board"):
        out.append(table.id.in_(sa.select(held.c.picture).where(held.c.board == wish["board"])))
    if wish.get("min_side"):
        out += [table.width >= wish["min_side"], table.height >= wish["min_side"]]
    if wish.get("max_side"):
        out += [table.width <= wish["max_side"], table.height <= wish["max_side"]]
    if shape := wish.get("shape"):
        wide, tall = table.width * 10 > table.height * 11, table.height * 10 > table.width * 11
        out.append({"wide": wide, "tall": tall, "square": ~wide & ~tall}[shape])
    if colour := wish.get("colour"):
        at = lab(*bytes.fromhex(colour.lstrip("#")))
        near = [
            sum(((table[f"{axis}{number}"] - value) * (table[f"{axis}{number}"] - value)
                 for axis, value in zip("lab", at, strict=True)), sa.literal(0.0)) < NEAR**2
            for number in (1, 2)
        ]  # fmt: skip
        out.append(sa.or_(*near))
    return out


def _coordinates(found: Sequence[Sequence[float]]) -> dict[str, float | None]:
    filled = [*found, *[[None] * 3] * 3][:3]
    return {f"{axis}{i}": value for i, one in enumerate(filled, 1) for axis, value in zip("lab", one, strict=True)}


def _told_by(recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a recipe says that people search by."""
    said = recipe or {}
    return {
        "recipe": recipe, "task": said.get("task"), "run": said.get("number") or None, "run_name": said.get("run"),
        **{name: said.get(name) for name in ("family", "seed", "label", "text")},
    }  # fmt: skip


def _size(place: Path) -> int:
    return place.stat().st_size if place.is_file() else 0
