"""The command line, made from the table of tasks.

`gesso COMMAND …` makes one command, by cyclopts, from that task's options (`words`); the events of the task become
a progress bar on a terminal and plain lines elsewhere (`show`). Whatever goes wrong ends as one sentence and an
exit code: 0 done, 1 a fault of Gesso, 2 a user's mistake, 130 stopped by Ctrl-C. cyclopts, pydantic and torch are
imported only once a command has been chosen.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso import __version__
from gesso.cli.show import STUDIO, Show, complain, conclude, front_page
from gesso.errors import GessoError
from gesso.tasks import events, find_home, task

if TYPE_CHECKING:
    from gesso.contract.task import Task

__all__ = ["main"]

WORDS = {"--home": "folder", "--profile": "law"}  # that may stand before the command, and what they need


def main(arguments: list[str] | None = None) -> int:
    """Do what the words of the command line ask (those of the process unless given) and return its exit code."""
    try:
        if arguments is None:
            for stream in (sys.stdout, sys.stderr):  # an old terminal shows '?' for what it cannot, and goes on
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        code = _main(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except GessoError as error:
        complain(error.problem, error.remedy)
        return 2
    except BrokenPipeError:  # whoever read our output has gone, and needs nothing more
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        complain("Stopped.", "What was finished is kept.", "yellow")
        return 130
    except Exception as error:
        if os.environ.get("GESSO_DEBUG"):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".: ")
        complain(f"Gesso met a fault of its own ({said}).", "Set GESSO_DEBUG=1 and repeat to see where.")
        return 1


def _main(words: list[str]) -> int:
    before: dict[str, str] = {}
    while words and (option := words[0].partition("=")[0]) in WORDS:
        _, equals, value = words.pop(0).partition("=")
        if not equals:
            if not words:
                example = "Write for example gesso --home ~/pictures list."
                raise GessoError(f"{option} needs a {WORDS[option]}.", example)
            value = words.pop(0)
        before[option] = value
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if not words or words[0] in ("--help", "-h"):
        front_page()
        return 0
    if words[0] == "--version":
        print(f"gesso {__version__}")
        return 0
    name, *rest = words
    if name.startswith("-"):
        raise GessoError(f"'{name}' stands where a command should.", "Write the command first: gesso COMMAND …")
    asked = _command(name)

    from gesso.cli.words import read

    chosen = read(name, asked, rest)
    if chosen is not None:
        folder, profile = find_home(chosen.pop("home", None) or before.get("--home")), before.get("--profile")
        if "profile" not in asked.Options.model_fields:
            profile = chosen.pop("profile", None) or profile
        _perform(asked, asked.Options.of(chosen), folder, profile)
    return 0


def _command(name: str) -> "Task[Any]":
    """What a command does: a task, or the studio, which offers the tasks in the browser."""
    if name != STUDIO:
        return task(name)
    from gesso.studio.command import Studio

    return Studio()


def _perform(asked: "Task[Any]", options: Any, home: Path, profile: str | None) -> None:
    """Run a task and show its events; raises KeyboardInterrupt when it was stopped before its end."""
    from gesso.contract.task import Result

    result = None
    with Show() as show, _stopping(show) as stopped:
        stream = events(asked, options, home, profile)
        try:
            for event in stream:
                if isinstance(event, Result):
                    result = event
                elif os.environ.get("RANK", "0") == "0":  # of several processes under torchrun, one speaks
                    show(event)
                if stopped and result is None:
                    raise KeyboardInterrupt
        finally:
            stream.close()  # cancelling a task is closing it: it cleans up before we go on
    if result is not None and os.environ.get("RANK", "0") == "0":
        conclude(result)


@contextmanager
def _stopping(show: Show) -> Iterator[list[int]]:
    """The first Ctrl-C (or SIGTERM) lets the step at hand finish and fills the list; a second interrupts at once."""
    stopped: list[int] = []

    def handle(number: int, _: Any) -> None:
        if stopped:
            raise KeyboardInterrupt
        stopped.append(number)
        with suppress(RuntimeError, OSError):  # the signal may have come in the middle of a write
            show.say("Stopping when this step is done; press Ctrl-C again to stop at once.", "yellow")

    before = {}
    with suppress(ValueError):  # only the main thread of a process may listen to signals
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
