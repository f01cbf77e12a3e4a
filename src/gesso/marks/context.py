"""For which home something is written: a context, which whoever runs a task sets around each of its steps.

What is written is written in someone's name, and not every function that draws can be told in whose.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from gesso.files import find_home

__all__ = ["current", "falling_back", "imprinting"]

_current: ContextVar[tuple[Path, Mapping[str, Any]] | None] = ContextVar("imprint", default=None)


@contextmanager
def imprinting(home: Path, **changes: Any) -> Iterator[None]:
    """Let what is written meanwhile carry the marks of a home.

    changes: of its settings (`imprint.MarkChoices`), beside those of an outer context of the same home; None changes
    nothing.
    """
    before = _current.get()
    kept = before[1] if before is not None and before[0] == home else {}
    wanted = {name: value for name, value in changes.items() if value is not None}
    token = _current.set((home, {**kept, **wanted}))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def falling_back(home: Path | None) -> Iterator[None]:
    """The same where nothing else was set; None leaves it at the default home."""
    token = _current.set((home, {})) if home is not None and _current.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _current.reset(token)


def current() -> tuple[Path, Mapping[str, Any]]:
    """The home of the context, else the default one, and what is changed of its settings."""
    return _current.get() or (find_home(), {})
