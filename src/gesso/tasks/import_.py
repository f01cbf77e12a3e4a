"""Pictures in: a folder or an archive becomes a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from gesso.contract.task import Event, Task
from gesso.data.choices import ImportOptions

__all__ = ["Import", "ImportOptions"]


class Import(Task[ImportOptions]):
    """Turn a folder or an archive of pictures into a data set."""

    name: ClassVar[str] = "import"
    Options = ImportOptions
    positional: ClassVar[tuple[str, ...]] = ("source",)
    example: ClassVar[str] = "gesso import my-pictures --size 64"

    def run(self, options: ImportOptions, home: Path) -> Iterator[Event]:
        """Read, decode and pack the pictures; the Result names the data set's folder, its sheet and its facts."""
        from gesso.data.importing import import_pictures

        yield from import_pictures(options, home)
