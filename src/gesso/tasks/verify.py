"""`gesso verify`: what files say of where they are from, and whether it holds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from gesso.contract.task import Event, Message, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options


class VerifyOptions(Options):
    """Tell what files say of where they are from, and whether it holds: signatures, labels, recipes, watermarks.

    trusted: signed by one who is trusted here, and unchanged; valid: signed by someone else, and unchanged; changed:
    not as it was signed; marked: not signed, but it says something, which anyone may have written; unmarked: it says
    nothing; unreadable.
    """

    files: tuple[Path, ...] = Field(min_length=1, description="Files, or folders of pictures.")
    watermark: bool = Field(default=True, description="Look for a watermark in the pixels.")
    replay: bool = Field(default=False, description="Make pictures again from their recipes, and compare.")
    form: Literal["words", "json"] = Field(default="words", description="How it is told: sentences, or all as JSON.")


class Verify(Task[VerifyOptions]):
    """The task."""

    name = "verify"
    Options = VerifyOptions
    positional = ("files",)
    example = "gesso verify picture.png"

    def run(self, options: VerifyOptions, home: Path) -> Iterator[Event]:
        """Look at each; the Result's facts have all that is known of each."""
        from gesso import tasks
        from gesso.marks.imprint import Imprint, read_choices
        from gesso.marks.verify import verify

        by, told = Imprint(home, read_choices(home)), list[dict[str, Any]]()
        paths = tasks.pictures_in(options.files)
        for number, path in enumerate(paths, 1):
            if not path.is_file():
                raise GessoError(f"There is no file {path}.")
            found = verify(path, by, _pixels(path) if options.watermark else None)
            if options.replay and found.recipe is not None:
                from dataclasses import replace

                found = replace(found, replay=_replay(path, home))
            plain = found.plain()
            told.append(plain)
            if len(paths) > 1 and options.form == "words":
                yield Message(f"{path}: {found.verdict}. {found.words[0]}")
            yield Progress(number, len(paths), "files")
        text = "\n".join([f"{paths[0].name}: {told[0]['verdict']}.", *told[0]["words"]])
        if len(told) > 1:
            counts = {
                kind: sum(one["verdict"] == kind for one in told)
                for kind in dict.fromkeys(one["verdict"] for one in told)
            }
            text = f"{len(told):,} files: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) + "."
        if options.form == "json":
            text = json.dumps(told, indent=1, ensure_ascii=False, default=str)
            text = text.encode(errors="backslashreplace").decode()  # of file names that are no UTF-8
        yield Result(text, (), {"files": json.loads(json.dumps(told, default=str))})


def _pixels(path: Path) -> Any:
    """The pixels of a picture; None where it is none that can be read."""
    from gesso import tasks

    try:
        return tasks.pixels_of(path)
    except GessoError:
        return None


def _replay(path: Path, home: Path) -> dict[str, Any]:
    from gesso import tasks

    try:
        *_, last = tasks.replayed(path, tasks.recipe_of(path, home), home)
    except GessoError as error:
        return tasks.Replayed(None, error.problem).plain()
    assert isinstance(last, tasks.Replayed)
    return last.plain()
