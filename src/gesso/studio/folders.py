"""Where the studio keeps things, below the home folder: every path here is made by Gesso."""

import re
import secrets
import shutil
from datetime import datetime
from pathlib import Path

from gesso.errors import GessoError

__all__ = ["Folders", "Missing", "emptied", "new_id", "now"]


class Missing(GessoError):
    """There is no such thing."""


def new_id() -> str:
    """A new name: 16 letters and digits."""
    return secrets.token_hex(8)


def now() -> str:
    """The time, for people and for order among days; within a start of the server, order is by numbers."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


class Folders:
    """The places of one home."""

    def __init__(self, home: Path):
        self.home, self.studio, self.gallery = home, home / "studio", home / "gallery"
        self.uploads, self.stages, self.thumbs = (self.studio / name for name in ("uploads", "stages", "thumbs"))
        self.jobs, self.trash = self.studio / "jobs", self.studio / "trash"

    def upload(self, name: str) -> Path:
        """The re-encoded picture of an upload."""
        return self.uploads / f"{checked(name)}.png"

    def stage(self, name: str) -> Path:
        """A folder of files that wait to be imported."""
        return self.stages / checked(name)

    def job(self, name: str) -> Path:
        """What belongs to one job: what it was given, its log, its lock."""
        return self.jobs / checked(name)

    def results(self, name: str, created: str) -> Path:
        """Where a job's pictures go."""
        return self.gallery / created[:10] / checked(name)[:8]


def checked(name: str) -> str:
    """A name that Gesso made; raises GessoError for any other."""
    if not re.fullmatch(r"[0-9a-z]{1,64}", name):
        raise Missing(f"'{name[:80]}' names nothing here.")
    return name


def emptied(folder: Path) -> Path:
    """A folder that is there, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
