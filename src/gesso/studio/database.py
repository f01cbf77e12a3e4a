"""The studio's database: what pictures there are, their boards, uploads, jobs and what these said.

SQLite in HOME/studio unless another is named; PostgreSQL by its URL. Written so that a kill leaves the old or the new
(WAL, `synchronous=FULL`); looked over at every start, and copied before it is migrated.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Connection, Engine, Float, ForeignKey, Index, Integer, MetaData, String, Table
from sqlalchemy.event import listen
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import BigInteger, Text, TypeDecorator

from gesso.errors import GessoError

__all__ = ["Database", "boards", "held", "inputs", "jobs", "lines", "open_database", "pictures", "previews", "uploads"]


Query = Any  # a SELECT: its columns are no part of its type here


class Plain(TypeDecorator[Any]):
    """Plain JSON values as text, in every database alike."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """To text."""
        return None if value is None else json.dumps(value, ensure_ascii=True, allow_nan=False)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """From text."""
        return None if value is None else json.loads(value)


meta = MetaData()

jobs = Table(
    "jobs", meta,
    Column("id", String(32), primary_key=True),
    Column("task", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("options", Plain, nullable=False),  # as they were asked for
    Column("going", Plain),  # by which the work goes on, once it told a checkpoint
    Column("status", String(16), nullable=False, index=True),  # waiting running paused done failed cancelled
    Column("wish", String(16)),  # pause or cancel, asked for and not yet come
    Column("lane", String(16), nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("place", Float, nullable=False),  # lowest first among equals
    Column("created", String(40), nullable=False),
    Column("started", String(40)),
    Column("ended", String(40)),
    Column("worker", String(64)),  # the workflow that has taken it
    Column("tries", Integer, nullable=False, default=0),  # since it last got further
    Column("progress", Plain),
    Column("message", Text, nullable=False, default=""),
    Column("result", Plain),
    Column("error", Plain),
    Column("run", Text),
)  # fmt: skip

lines = Table(
    "lines", meta,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", String(40), nullable=False),
    Column("level", String(16), nullable=False),
    Column("text", Text, nullable=False),
)  # fmt: skip

previews = Table(
    "previews", meta,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("path", Text, nullable=False),
)  # fmt: skip

pictures = Table(
    "pictures", meta,
    Column("id", String(32), primary_key=True),
    Column("path", Text, nullable=False, unique=True),  # within the home folder
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),  # picture film page file
    Column("width", Integer),
    Column("height", Integer),
    Column("bytes", BigInteger, nullable=False),
    Column("stamp", BigInteger, nullable=False),  # when the file last changed, ns
    Column("sha256", String(64), nullable=False, index=True),
    Column("created", String(40), nullable=False, index=True),
    Column("task", String(64), index=True),
    Column("run", Integer, index=True),
    Column("run_name", Text),
    Column("family", String(64)),
    Column("seed", BigInteger),
    Column("label", Text),
    Column("text", Text),
    Column("recipe", Plain),
    Column("colours", Plain, nullable=False),
    *(Column(f"{axis}{number}", Float) for number in (1, 2, 3) for axis in "lab"),
    Column("starred", Boolean, nullable=False, default=False),
    Column("note", Text, nullable=False, default=""),
    Column("job", String(32)),
    Column("thrown", Boolean, nullable=False, default=False),
)  # fmt: skip

inputs = Table(
    "inputs", meta,
    Column("picture", String(32), ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), primary_key=True, index=True),
    Column("name", Text, nullable=False),
)  # fmt: skip

boards = Table(
    "boards", meta,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created", String(40), nullable=False),
)  # fmt: skip

held = Table(
    "held", meta,
    Column("board", String(32), ForeignKey("boards.id", ondelete="CASCADE"), primary_key=True),
    Column("picture", String(32), ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True, index=True),
)  # fmt: skip

uploads = Table(
    "uploads", meta,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("created", String(40), nullable=False),
    Column("notes", Plain, nullable=False),
)  # fmt: skip

Index("pictures_shown", pictures.c.thrown, pictures.c.created)


class Database:
    """An opened database; any thread may use it."""

    def __init__(self, engine: Engine):
        self.engine = engine

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing. Raises GessoError when the disk is full."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except OperationalError as error:
            reason = str(error.orig).lower()
            if not any(words in reason for words in ("disk is full", "disk i/o error", "readonly", "no space left")):
                raise
            problem = f"The studio's database could not be written: {reason[:200].rstrip('.')}."
            raise GessoError(problem, "Make room on the disk, then try again; nothing was changed.") from None

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """What a query finds, as dictionaries."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def row(self, query: Query) -> dict[str, Any] | None:
        """The first that a query finds."""
        found = self.rows(query.limit(1))
        return found[0] if found else None

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def open_database(home: Path, url: str | None = None) -> Database:
    """The database of a home folder, made or migrated where that is needed.

    Raises GessoError for one that is damaged, was made by a newer Gesso, or cannot be reached.
    """
    if url is None:
        path = home / "studio" / "studio.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        _look_over(path)
        engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        listen(engine, "connect", _on_connect)
    else:
        path, engine = None, sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        _migrate(engine, path)
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0][:200].rstrip(".")
        raise GessoError(f"The database cannot be opened: {reason}.", "See that it runs, and its address.") from None
    return Database(engine)


def _on_connect(connection: sqlite3.Connection, _: Any) -> None:
    for line in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {line}")


def _look_over(path: Path) -> None:
    """Raises GessoError where the file is there, and damaged."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise GessoError(
            f"{path} is damaged: {str(found)[:200]}.",
            f"Move it away: the studio makes a new one and finds the pictures again; or restore {path.name}.before.",
        )


def _migrate(engine: Engine, path: Path | None) -> None:
    """Bring the tables to what this version needs, all of it or nothing; SQLite's file is copied before."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present == newest:
        return
    if path is not None and present is not None:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(f"{path}.part")) as target:
            source.backup(target)
        shutil.move(f"{path}.part", f"{path}.before")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise GessoError("The studio's database was made by a newer Gesso.", "Update Gesso.") from None
