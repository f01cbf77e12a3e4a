"""The studio: Gesso in the browser, and the client of its API.

`gesso studio` serves it (`command`). What there is: the house that is opened (`house`), its database, gallery, jobs
(`jobs/`), what pages give (`given`, `forms`), the events that they hear, live drawing (`live/`), the API (`routes/`),
and who may use it (`guard`). `static/` is built from `web/`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gesso.studio.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Fetch the client when it is first used."""
    if name == "Client":
        from gesso.studio.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
