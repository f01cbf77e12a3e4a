"""`gesso replay`: pictures made again from their recipes, and whether they are identical."""

from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options


class ReplayOptions(Options):
    """Make pictures again from the recipes that they carry, and tell whether they are identical.

    What a picture was made from is looked for beside it, in the gallery, where the ledger last knew it, and in folders
    that you name. Where the recipe was taken out of a picture, the ledger has it, by its bytes or by its watermark.
    """

    pictures: tuple[Path, ...] = Field(min_length=1, description="Pictures and films, or folders of pictures.")
    look: tuple[Path, ...] = Field(default=(), description="Folders to look in for what they were made from.")
    keep: Path | None = Field(default=None, description="Folder for what was made again; it is not kept if not given.")


class Replay(Task[ReplayOptions]):
    """The task."""

    name = "replay"
    Options = ReplayOptions
    positional = ("pictures",)
    example = "gesso replay out.png"
    pace = "minutes"

    def run(self, options: ReplayOptions, home: Path) -> Iterator[Event]:
        """Make, compare, tell; the Result has a line for each."""
        from gesso import tasks

        paths, told = tasks.pictures_in(options.pictures), list[dict[str, object]]()
        for number, path in enumerate(paths, 1):
            if not path.is_file():
                raise GessoError(f"There is no file {path}.")
            found: tasks.Replayed | None = None
            try:
                for event in tasks.replayed(path, tasks.recipe_of(path, home), home, options.look, options.keep):
                    if isinstance(event, tasks.Replayed):
                        found = event
            except GessoError as error:
                found = tasks.Replayed(None, error.problem)
            assert found is not None
            yield Message(f"{path.name}: {found.words}", "info" if found.identical else "warning")
            told.append({"file": str(path), **found.plain()})
            yield Progress(number, len(paths), "pictures")
        same = sum(one["identical"] is True for one in told)
        text = f"{same:,} of {len(told):,} identical to the pixel." if len(told) > 1 else str(told[0]["words"])
        kept = tuple(Path(str(one["made"])) for one in told if one["made"])
        yield Result(text[:1].upper() + text[1:], kept, {"identical": same, "count": len(told), "pictures": told})
