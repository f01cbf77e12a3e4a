"""What routes share: the house that they belong to, answers that they may give, files that they serve."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends
from fastapi import Path as InPath
from fastapi.requests import HTTPConnection
from pydantic import BaseModel, ConfigDict
from starlette.responses import FileResponse, Response

from gesso.studio.folders import Missing
from gesso.studio.house import House

__all__ = ["FOREVER", "MISTAKES", "Body", "Here", "Key", "Missing", "Named", "Number", "Refusal", "house_of", "served"]

FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
INERT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"  # of pages that Gesso wrote
KINDS = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif",
    ".gif": "image/gif", ".apng": "image/apng", ".mp4": "video/mp4", ".webm": "video/webm", ".json": "application/json",
    ".html": "text/html; charset=utf-8", ".zip": "application/zip", ".csv": "text/csv; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}  # fmt: skip


class Refusal(BaseModel):
    """Why not, and what to do."""

    problem: str
    remedy: str = ""
    field: str | None = None


class Body(BaseModel):
    """A body: nothing that it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


MISTAKES: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (400, 401, 403, 404, 409, 413, 422, 507)
}


def house_of(connection: HTTPConnection) -> House:
    """The house that a request has come to."""
    return connection.app.state.house


Here = Annotated[House, Depends(house_of)]
Key = Annotated[str, InPath(pattern=r"^[0-9a-z]{1,64}$")]
Number = Annotated[int, InPath(ge=1, le=10**9)]
Named = Annotated[str, InPath(min_length=1, max_length=200, pattern=r"^[^/\\\x00]+$")]


def served(path: Path, cache: dict[str, str] | None = None, name: str | None = None) -> Response:
    """A file of Gesso's making. name: it is to be kept under that, not shown."""
    if not path.is_file():
        raise Missing(f"The file {path.name} is no longer there.")
    headers, kind = dict(cache or {"cache-control": "no-cache"}), KINDS.get(path.suffix.lower())
    if kind is not None and kind.startswith("text/html"):
        headers["content-security-policy"] = INERT
    return FileResponse(path, media_type=kind or "application/octet-stream", headers=headers, filename=name)
