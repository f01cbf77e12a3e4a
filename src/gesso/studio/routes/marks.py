"""Rights and marks: what any file says of where it is from, and what is put onto pictures here."""

import asyncio
import tempfile
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from gesso.errors import GessoError
from gesso.marks.visible import Corner
from gesso.studio.given import safe
from gesso.studio.house import House
from gesso.studio.marks import changed, labelled, settings_of, unread, verified
from gesso.studio.routes.common import Body, Here, Key
from gesso.studio.routes.uploads import MOST, RAW, Name, received

__all__ = ["router"]

DIED = "it took too much memory or time"  # of `pixels.Pool`: what its process did not survive


class Choices(Body):
    """What marks pictures get; what is left out stays as it is. Keys are named on the command line alone."""

    profile: Literal["none", "eu", "cn"] | None = None
    text: str | None = Field(default=None, max_length=40, description="Words of the visible label; empty: the law's.")
    corner: Corner | None = None
    producer: str | None = Field(default=None, max_length=200)
    creator: str | None = Field(default=None, max_length=200)
    rights: str | None = Field(default=None, max_length=500)
    credentials: bool | None = None
    watermark: bool | None = None
    ledger: bool | None = None
    keep_days: int | None = Field(default=None, ge=0, le=36_500)


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["marks"])

    @routes.post("/verify", openapi_extra=RAW)
    async def verify(here: Here, request: Request, name: Name, watermark: bool = True) -> dict[str, Any]:
        """All that a file of any kind says, and whether it holds; nothing of it is kept.

        watermark: look for one in the pixels, which takes a second or two where there is none.
        """
        shown = PurePosixPath(name.replace("\\", "/")).name or name
        with tempfile.TemporaryDirectory(dir=here.folders.uploads, prefix=".coming-") as folder:
            path = Path(folder) / safe(shown)
            await received(request, path, MOST, here.folders.home)
            return await asyncio.to_thread(_verified, here, path, shown, watermark)

    @routes.get("/pictures/{key}/verify")
    def verify_picture(here: Here, key: Key, watermark: bool = True) -> dict[str, Any]:
        """The same of a picture of the gallery."""
        path = here.gallery.path(key)
        return _verified(here, path, path.name, watermark)

    @routes.post("/pictures/{key}/replay", status_code=202)
    def replay(here: Here, key: Key) -> dict[str, Any]:
        """Make it again from its recipe, and compare: a job, whose facts tell whether it is identical."""
        here.gallery.path(key)
        return here.jobs.submit("replay", {"pictures": [f"picture:{key}"]})

    @routes.get("/marks")
    def marks(here: Here) -> dict[str, Any]:
        """What marks pictures get, who signs, and the words that laws ask for."""
        return settings_of(here.folders.home)

    @routes.put("/marks")
    def change(here: Here, body: Choices) -> dict[str, Any]:
        """Change some of it, for all that is made from then on."""
        return changed(here.folders.home, body.model_dump(exclude_none=True))

    @routes.get("/marks/label", response_class=Response)
    def label(here: Here, text: Annotated[str, Query(max_length=40)] = "", corner: Corner = "bottom-right") -> Response:
        """A small picture with the visible label as it would be drawn, a PNG."""
        return Response(labelled(text, corner), media_type="image/png", headers={"cache-control": "no-cache"})

    @routes.get("/marks/certificate", response_class=Response)
    def certificate(here: Here) -> Response:
        """The certificates of who signs, a PEM file: whoever trusts them trusts what is signed here."""
        from gesso.marks.imprint import Imprint, read_choices

        who = Imprint(here.folders.home, read_choices(here.folders.home)).identity
        headers = {"content-disposition": f'attachment; filename="gesso-{who.print}.pem"', "cache-control": "no-cache"}
        return Response(who.chain, media_type="application/x-pem-file", headers=headers)

    @routes.get("/marks/ledger", response_class=Response)
    def ledger(here: Here, form: Annotated[Literal["csv", "jsonl"], Query()] = "csv") -> Response:
        """The log of what was made here, as a table or with all that it has."""
        from gesso.tasks import run

        with tempfile.TemporaryDirectory(dir=here.folders.uploads, prefix=".coming-") as folder:
            path = Path(folder) / f"ledger.{form}"
            run("ledger", home=here.folders.home, out=path)
            kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
            headers = {"content-disposition": f'attachment; filename="{path.name}"', "cache-control": "no-cache"}
            return Response(path.read_bytes(), media_type=kind, headers=headers)

    return routes


def _verified(here: House, path: Path, name: str, watermark: bool) -> dict[str, Any]:
    """What is known of a file; where it kills the process that looks at it, just that."""
    try:
        return here.pool.do(verified, str(path), name, str(here.folders.home), watermark)
    except GessoError as error:
        if DIED not in error.problem:
            raise
        return unread(str(path), name, error.problem)
