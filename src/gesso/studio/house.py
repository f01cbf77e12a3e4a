"""All that one studio is made of, opened together and closed together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gesso.errors import GessoError
from gesso.studio.database import Database, open_database
from gesso.studio.events import Events
from gesso.studio.folders import Folders
from gesso.studio.gallery import Gallery
from gesso.studio.given import Given
from gesso.studio.guard import Keys
from gesso.studio.jobs.queue import Jobs
from gesso.studio.live.process import Drawer
from gesso.studio.pixels import Pool

__all__ = ["House", "Settings", "opened"]

LOOK = 30.0  # seconds between two looks for pictures that came by other ways


@dataclass(frozen=True)
class Settings:
    """What a studio is told when it begins. database: a URL of PostgreSQL; SQLite in the home folder if not given."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 7788
    password: str | None = None
    database: str | None = None


@dataclass(frozen=True)
class House:
    """An opened studio."""

    settings: Settings
    keys: Keys
    folders: Folders
    database: Database
    events: Events
    pool: Pool
    given: Given
    gallery: Gallery
    jobs: Jobs
    drawer: Drawer

    @asynccontextmanager
    async def lived_in(self, work: bool = True) -> AsyncIterator[None]:
        """Within the running loop: events are told, jobs worked on, pictures drawn. work: False leaves jobs waiting."""
        self.events.begin()
        looking = asyncio.create_task(self._look_around())
        begun = self.jobs.working(self.settings.database) if work else _nothing()
        await asyncio.to_thread(begun.__enter__)
        await self.drawer.start()
        try:
            yield
        finally:
            self.events.close()
            looking.cancel()
            await self.drawer.stop()
            await asyncio.to_thread(begun.__exit__, None, None, None)

    async def _look_around(self) -> None:
        while True:
            await asyncio.to_thread(self.gallery.look_around)
            await asyncio.sleep(LOOK)


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    """A studio's parts; raises GessoError where its database is damaged, or another studio has this home."""
    from gesso.files.lock import locked

    def busy(who: dict[str, Any]) -> GessoError:
        problem = f"A studio of {settings.home} runs already, as process {who['pid']} since {who['started']}."
        return GessoError(problem, "Use that one, stop it first, or name another --home.")

    folders = Folders(settings.home)
    with locked(folders.studio / "lock", busy):
        for place in (folders.uploads, folders.stages, folders.thumbs, folders.jobs, folders.gallery):
            place.mkdir(parents=True, exist_ok=True)
        database, events, pool = open_database(settings.home, settings.database), Events(), Pool()
        try:
            given = Given(database, folders, pool)
            gallery = Gallery(database, events, folders, pool)
            jobs = Jobs(database, events, folders, gallery, given)
            keys = Keys(folders.studio / "token", settings.port, settings.password)
            drawer = Drawer(settings.home)
            yield House(settings, keys, folders, database, events, pool, given, gallery, jobs, drawer)
        finally:
            pool.close()
            database.close()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
