"""What a user can ask for.

Everything that a person can do with Gesso is one `Task`, declared once. The command line, the Python
call, the studio's routes and forms and the page in the docs are all made from that declaration, and
all show the same stream of events. A task is thin: it reads, calls the library, yields, writes.

A task's module imports nothing heavy at its top (no torch, no numpy): `gesso --help` imports every one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from gesso.options import Options


@dataclass(frozen=True)
class Progress:
    """How far the work has come. done and total count `unit`; left is seconds, None while unknown."""

    done: float
    total: float
    unit: str = ""
    left: float | None = None
    facts: dict[str, float] = field(default_factory=dict)  # live figures: losses, images a second


@dataclass(frozen=True)
class Preview:
    """A picture of the work so far, already written to `path`."""

    path: Path
    title: str = ""


@dataclass(frozen=True)
class Message:
    """One sentence for the person who waits. level: 'info', 'good' or 'warning'."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Result:
    """What came out, the last event. paths: files for the person; facts: plain JSON values; text: a summary."""

    text: str
    paths: tuple[Path, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """Cut short, the work goes on from here: by the same task with these options instead of the first ones."""

    options: dict[str, Any]


Event = Progress | Preview | Message | Checkpoint | Result

Choices = TypeVar("Choices", bound=Options)


class Task(ABC, Generic[Choices]):
    """One thing that a user can ask for.

    name: the verb on the command line, the route, the name of the form.
    Options: the choices; each field has a sentence, bounds and a unit. Its docstring is the help.
    positional: the fields that the command line also takes by place, in order. One last field that is
    a tuple takes all the words that remain.
    example: one command that works, shown in the help.
    pace: how long it usually takes; where works queue, each pace has a line of its own.
    resumable: whether it tells Checkpoints: stopped, it goes on from where it was.
    """

    name: ClassVar[str]
    Options: type[Choices]
    positional: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[str] = ""
    pace: ClassVar[Literal["moments", "minutes", "hours"]] = "moments"
    resumable: ClassVar[bool] = False

    @abstractmethod
    def run(self, options: Choices, home: Path) -> Iterator[Event]:
        """Do the work as a plain generator of events, the last of which is a Result.

        home: the folder that holds datasets/, runs/ and gallery/. Closing the generator cancels the
        work cleanly. A user's mistake raises GessoError.
        """
