"""The studio as a web application: the API, the pages, and what is said when something is wrong."""

import gzip
import mimetypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp

from gesso import __version__
from gesso.data.editing import Changed
from gesso.errors import GessoError
from gesso.studio.folders import Missing
from gesso.studio.guard import Guard, own_hosts
from gesso.studio.house import House
from gesso.studio.routes import routers
from gesso.studio.routes.common import FOREVER, MISTAKES
from gesso.studio.routes.uploads import TooLarge

__all__ = ["STATIC", "made", "pages"]

STATIC = Path(__file__).parent / "static"
PAGES = ("pictures", "train", "explore", "canvas", "gallery", "verify", "jobs")
UNBUILT = "The pages of the studio are not built. Build them: make studio. Its API is at /api/docs."


def made(house: House, work: bool = True) -> ASGIApp:
    """The application, guarded. work: False leaves jobs waiting (for tests)."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with house.lived_in(work):
            yield

    app = FastAPI(
        title="Gesso", version=__version__, lifespan=life, docs_url=None, redoc_url=None,
        openapi_url="/api/openapi.json", responses=MISTAKES,
    )  # fmt: skip
    app.state.house = house
    for router in routers():
        app.include_router(router)
    pages(app)
    _mistakes(app)
    return Guard(app, house.keys, own_hosts(house.settings.host, house.settings.port))


def pages(app: FastAPI) -> None:
    """The front end: one page for every address, and its files."""

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(name: str, request: Request) -> Response:
        path = STATIC / "assets" / name
        if path.parent != STATIC / "assets" or not path.is_file():
            raise HTTPException(404)
        headers = {**FOREVER, "vary": "accept-encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(path, headers=headers)
        kind = mimetypes.guess_type(name)[0]
        return Response(_smaller(path), media_type=kind, headers={**headers, "content-encoding": "gzip"})

    @app.get("/{path:path}", include_in_schema=False)
    def page(path: str) -> Response:
        first = path.partition("/")[0]
        alone = STATIC / path
        if path and "/" not in path and alone.suffix and alone.parent == STATIC and alone.is_file():
            return FileResponse(alone, headers={"cache-control": "no-cache"})
        if first and first not in PAGES:
            raise HTTPException(404)
        if not (STATIC / "index.html").is_file():
            return Response(UNBUILT, 503, media_type="text/plain")
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


@lru_cache(64)
def _smaller(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)


def _mistakes(app: FastAPI) -> None:
    """Every mistake is one sentence, and what to do."""

    @app.exception_handler(GessoError)
    def mistaken(_: Request, error: GessoError) -> JSONResponse:
        status = 404 if isinstance(error, Missing) else 409 if isinstance(error, Changed) else 422
        if isinstance(error, TooLarge):
            status = 413
        elif "could not be written" in error.problem:
            status = 507
        return _said(status, error.problem, error.remedy, _field(error))

    @app.exception_handler(RequestValidationError)
    def unfit(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
        reason = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")
        name = ".".join(where) or "What was sent"
        if first["type"] == "missing":
            return _said(422, f"{name} is missing.", "", where[0] if where else None)
        if first["type"] == "extra_forbidden":
            return _said(422, f"There is no '{name}' here.", "", where[0] if where else None)
        return _said(422, f"{name} does not fit: {reason}.", "", where[0] if where else None)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        said = {404: "There is nothing at this address.", 405: "That cannot be done at this address."}
        return _said(error.status_code, said.get(error.status_code, str(error.detail)), "", None, error.headers)

    @app.exception_handler(Exception)
    def faulty(_: Request, error: Exception) -> JSONResponse:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".: ")
        return _said(500, f"Gesso met a fault of its own ({said}).", "What was there before is untouched.")


def _field(error: GessoError) -> str | None:
    """The option that a sentence begins with, where it does: `name = value does not fit`."""
    name, equals, _ = error.problem.partition(" = ")
    return name if equals and name.isidentifier() else None


def _said(status: int, problem: str, remedy: str, field: str | None = None, headers: Any = None) -> JSONResponse:
    return JSONResponse({"problem": problem, "remedy": remedy, "field": field}, status, headers=headers)
