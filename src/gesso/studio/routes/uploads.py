"""What pages send: pictures, and files to be imported. Nothing of it is served as it came."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gesso.errors import GessoError
from gesso.files import explained
from gesso.studio.routes.common import FOREVER, Here, Key, served

__all__ = ["MOST", "RAW", "Name", "TooLarge", "received", "router"]

MOST = 64 << 20  # bytes of a picture
MOST_STAGED = 4 << 30  # bytes of a file to be imported, such as an archive
Name = Annotated[str, Query(min_length=1, max_length=1000)]
RAW = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
    "type": "string", "format": "binary"}}}}}  # fmt: skip


class TooLarge(GessoError):
    """More than is taken: 413."""


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["uploads"])

    @routes.post("/uploads", status_code=201, openapi_extra=RAW)
    async def upload(here: Here, request: Request, name: Name) -> dict[str, Any]:
        """A picture of any format, its bytes as the body: its pixels are kept, and what its recipe tells."""
        with tempfile.TemporaryDirectory(dir=here.folders.uploads, prefix=".coming-") as folder:
            path = Path(folder) / "file"
            await received(request, path, MOST, here.folders.home)
            row = await asyncio.to_thread(here.given.upload, path, name)
            recipe = await asyncio.to_thread(here.given.settings, path)
        return {**row, "url": f"/api/uploads/{row['id']}", "recipe": recipe}

    @routes.get("/uploads/{key}", response_class=Response)
    def uploaded(here: Here, key: Key) -> Response:
        """Its pixels, a PNG."""
        here.given.uploaded(key)
        return served(here.folders.upload(key), FOREVER)

    @routes.post("/recipes", openapi_extra=RAW)
    async def recipe(here: Here, request: Request, name: Name) -> dict[str, Any]:
        """How a picture was made, by what it says itself; nothing is kept."""
        with tempfile.TemporaryDirectory(dir=here.folders.uploads, prefix=".coming-") as folder:
            path = Path(folder) / "file"
            await received(request, path, MOST, here.folders.home)
            return {"recipe": await asyncio.to_thread(here.given.settings, path)}

    @routes.post("/stages", status_code=201)
    def begin(here: Here) -> dict[str, str]:
        """A place for files that will be imported together."""
        return {"id": here.given.begin_stage()}

    @routes.put("/stages/{key}/files", status_code=204, openapi_extra=RAW)
    async def put(here: Here, request: Request, key: Key, path: Name) -> Response:
        """One of them, its bytes as the body. path: its name, with those of the folders that it is in."""
        target = here.given.staged(key, path)
        await asyncio.to_thread(_prepare, target)
        await received(request, target, MOST_STAGED, here.folders.home)
        return Response(status_code=204)

    @routes.delete("/stages/{key}", status_code=204)
    def end(here: Here, key: Key) -> Response:
        """Import none of it."""
        here.given.end_stage(key)
        return Response(status_code=204)

    return routes


def _prepare(target: Path) -> None:
    """Raises GessoError where a file is in a folder's place, or the other way round."""
    try:
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise GessoError(f"A file and a folder of this import are both called {target.parent.name}.") from None
    if target.is_dir():
        raise GessoError(f"A file and a folder of this import are both called {target.name}.")


async def received(request: Request, path: Path, most: int, home: Path) -> None:
    """Write the body to a file, piece by piece; raises TooLarge, and GessoError when the disk is full."""
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > most:
        raise TooLarge(f"This is larger than {most >> 20:,} MB.", "Make it smaller.")
    try:
        with explained(path), path.open("wb") as file:
            count = 0
            async for chunk in _bytes(request):
                count += len(chunk)
                if count > most:
                    raise TooLarge(f"This is larger than {most >> 20:,} MB.", "Make it smaller.")
                await asyncio.to_thread(file.write, chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def _bytes(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of a megabyte or so, so that the disk is not asked for every packet."""
    gathered = bytearray()
    async for chunk in request.stream():
        gathered += chunk
        if len(gathered) > 1 << 20:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
