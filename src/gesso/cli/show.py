"""What the command line shows: pages of help, events as they come, results, and what went wrong."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso import __version__
from gesso.tasks import TASKS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from gesso.contract.task import Event, Progress, Result

TITLE = "From a folder of your own pictures to an image generator that you own."
ANYWHERE = [
    ("--home DIR", "The folder of your data sets, runs and pictures; else $GESSO_HOME, else ~/gesso."),
    ("--profile LAW", "Whose law the visible label of made pictures follows: none, eu or cn; else by the settings."),
    ("--help", "Show this page, or that of a command: gesso sample --help."),
    ("--version", "Show the version."),
]
STUDIO = "studio"  # the one command that is no task
QUIET = 10.0  # seconds between two plain lines of progress
FIRST = 2.0  # seconds until the first
SHOWN = 6  # paths of a result that are all named; of more, the first two are


def console(stderr: bool = False) -> "Console":
    """A Rich console that leaves broken pipes to `main`; colours follow the terminal and NO_COLOR."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Screen(stderr=stderr, highlight=False)


def front_page() -> None:
    """`gesso --help`, from the table alone."""
    screen = console()
    screen.print(f"[bold]gesso[/] {__version__}  {TITLE}\n\n  [bold]gesso COMMAND[/] …\n")
    width = max(len(name) for name in [*TASKS, *(name for name, _ in ANYWHERE)])
    for group in dict.fromkeys(entry.group for entry in TASKS.values()):
        pairs = [(name, entry.summary) for name, entry in TASKS.items() if entry.group == group]
        pairs += [(STUDIO, "Open the studio in the browser.")] if group == "Begin" else []
        rows(group, pairs, screen=screen, width=width)
    rows("Anywhere", ANYWHERE, screen=screen, width=width)
    rows("Example", [("[dim]$[/] gesso demo", "")], screen=screen, wide=True)


def rows(
    title: str,
    pairs: Iterable[tuple[Any, Any]],
    *,
    screen: "Console | None" = None,
    width: int | None = None,
    wide: bool = False,
) -> None:
    """A titled block of two columns, the second of which wraps within its own. wide: the first alone, as it is."""
    from rich.padding import Padding
    from rich.table import Table

    screen = screen or console()
    screen.print(title, style="bold")
    if wide:
        for left, _ in pairs:
            screen.print(f"  {left}", soft_wrap=True)
        return
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="cyan", min_width=width, max_width=30)
    table.add_column(max_width=84)
    for left, right in pairs:
        table.add_row(left, right)
    screen.print(Padding(table, (0, 0, 1, 2), expand=False))


def complain(problem: str, remedy: str = "", colour: str = "red") -> None:
    """One sentence on stderr about what went wrong, and what to do."""
    from rich.text import Text

    screen = console(stderr=True)
    screen.print(Text.assemble((problem, colour), " " if remedy else "", remedy), soft_wrap=not screen.is_terminal)


def conclude(result: "Result") -> None:
    """The summary and the paths of what came out, on stdout."""
    screen = console()
    screen.print(result.text, style="green" if result.paths else "", markup=False, soft_wrap=True)
    few = result.paths if len(result.paths) <= SHOWN else result.paths[:2]
    for path in few:
        screen.print(f"  {near(path)}", markup=False, soft_wrap=True)
    if len(few) < len(result.paths):
        screen.print(
            f"  … and {len(result.paths) - len(few):,} more in {near(result.paths[-1].parent)}", soft_wrap=True
        )


def near(path: Path) -> str:
    """A path as short as it can be pasted: relative where it lies below the working folder."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class Show:
    """Shows events on stderr: one live bar on a terminal, else plain lines, one of progress every QUIET seconds."""

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.terminal = self.console.is_terminal and not self.console.is_dumb_terminal and sys.stderr.isatty()
        self.live: Any = None
        self.due: float | None = None
        self.picture = ""

    def __enter__(self) -> "Show":
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def __call__(self, event: "Event") -> None:
        """Show one event (Progress, Preview or Message)."""
        from gesso.contract.task import Message, Preview, Progress

        if isinstance(event, Message):
            self.say(event.text, {"good": "green", "warning": "yellow"}.get(event.level, ""))
        elif isinstance(event, Preview):
            self.picture = f"{event.title or 'preview'}: {near(event.path)}"
        elif isinstance(event, Progress) and self.terminal:
            self._move(event)
        elif isinstance(event, Progress) and self._due():
            self.say("  ".join(filter(None, [_count(event), _share(event), _left(event), _facts(event), self.picture])))
            self.picture = ""

    def say(self, text: str, style: str = "") -> None:
        """A line of its own, above the bar."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def _due(self) -> bool:
        """Whether it is time for a plain line of progress."""
        now = time.monotonic()
        if self.due is None:
            self.due = now + FIRST
        if now < self.due:
            return False
        self.due = now + QUIET
        return True

    def _move(self, event: "Progress") -> None:
        if self.live is None:
            from rich.live import Live

            self.live = Live(console=self.console, refresh_per_second=8)
            self.live.start()
        self.live.update(self._bar(event))

    def _bar(self, event: "Progress") -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=max(event.total, 1e-9), completed=event.done, width=28, complete_style="cyan")
        line.add_row(bar, f"[bold]{_share(event):>4}[/]", _count(event), Text(_left(event), style="cyan"))
        said = filter(None, [_facts(event), self.picture])
        below = [Text(text, style="dim", no_wrap=True, overflow="ellipsis") for text in said]
        return Group(line, *below)


def _count(event: "Progress") -> str:
    if event.total == 1 and not event.unit:  # a share of one work, which its percents say
        return ""
    number = "{:,.0f}" if float(event.total).is_integer() else "{:,.1f}"
    return f"{number.format(event.done)} of {number.format(event.total)} {event.unit}".strip()


def _share(event: "Progress") -> str:
    return f"{min(event.done / event.total, 1):.0%}" if event.total else ""


def _left(event: "Progress") -> str:
    if event.left is None:
        return ""
    minutes, seconds = divmod(round(event.left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"


def _facts(event: "Progress") -> str:
    return " · ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in event.facts.items())


def _short(value: float) -> str:
    """A figure for the eye: three digits, or all before the point where there are more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
