"""Gesso turns a folder of your own pictures into an image generator that you own.

`gesso.run("train", dataset="emoji")` does what `gesso train emoji` does; `gesso.load("emoji").sample(n=64, seed=7)`
draws. Nothing heavy is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gesso.errors import GessoError
    from gesso.tasks import load, run

__all__ = ["GessoError", "__version__", "load", "run"]

__version__ = "0.1.0"

_PLACES = {"GessoError": "gesso.errors", "load": "gesso.tasks", "run": "gesso.tasks"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'gesso' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
