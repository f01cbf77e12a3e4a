"""Data sets: looked at, edited, removed."""

import asyncio
import io
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath
from pydantic import Field

from gesso.data import open_pack
from gesso.data.editing import Edit, copy, duplicates_of, edit
from gesso.studio import collections
from gesso.studio.folders import Missing
from gesso.studio.routes.common import FOREVER, Body, Here, Named

__all__ = ["router"]


class Edits(Body):
    """Edits of a data set as it was read."""

    fingerprint: str = Field(max_length=64)
    edits: list[Annotated[Edit, Field(discriminator="kind")]] = Field(min_length=1, max_length=10_000)


class Copy(Body):
    """What the copy is called."""

    name: str = Field(min_length=1, max_length=64)


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["datasets"])

    @routes.get("/datasets")
    def datasets(here: Here) -> list[dict[str, Any]]:
        """All of them."""
        return collections.datasets(here.folders.home)

    @routes.get("/datasets/{name}")
    def dataset(here: Here, name: Named) -> dict[str, Any]:
        """One, with the report of its import."""
        return collections.whole_dataset(open_pack(known(here, name), here.folders.home))

    @routes.get("/datasets/{name}/pictures")
    def pictures(
        here: Here, name: Named, offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
        limit: Annotated[int, Query(ge=1, le=2000)] = 200, label: Annotated[str | None, Query(max_length=300)] = None,
        q: Annotated[str | None, Query(max_length=300)] = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Some of its pictures, with what is known of each. q: words in captions, names, licences."""
        pack = open_pack(known(here, name), here.folders.home)
        words = (q or "").casefold().split()
        chosen = [
            index for index, item in enumerate(pack.items)
            if (label is None or (item.get("label") or "") == label) and all(word in _said(item) for word in words)
        ]  # fmt: skip
        some = [collections.item(pack, index) for index in chosen[offset : offset + limit]]
        return {"total": len(chosen), "fingerprint": pack.fingerprint, "pictures": some}

    @routes.get("/datasets/{name}/pictures/{index}", response_class=Response)
    def picture(
        here: Here, name: Named, index: Annotated[int, InPath(ge=0, le=10**7)],
        size: Annotated[int | None, Query(ge=16, le=1024)] = None,
    ) -> Response:  # fmt: skip
        """One of them, a PNG. size: of its longer side, at most."""
        pack = open_pack(known(here, name), here.folders.home)
        if index >= pack.count:
            raise Missing(f"The data set '{name}' has {pack.count} pictures.")
        return Response(_png(pack.images[index], size), media_type="image/png", headers=FOREVER)

    @routes.get("/datasets/{name}/duplicates")
    def duplicates(here: Here, name: Named) -> dict[str, Any]:
        """Pairs of pictures that people would call the same."""
        pairs = duplicates_of(open_pack(known(here, name), here.folders.home))
        return {"pairs": [{"a": a, "b": b} for a, b in pairs]}

    @routes.patch("/datasets/{name}")
    def change(here: Here, name: Named, body: Edits) -> dict[str, Any]:
        """All edits or none; 409 where it was changed since it was read."""
        changed = edit(here.folders.home, known(here, name), body.fingerprint, body.edits)
        here.events.tell("datasets", {})
        return collections.whole_dataset(changed)

    @routes.post("/datasets/{name}/copy", status_code=201)
    def duplicate(here: Here, name: Named, body: Copy) -> dict[str, Any]:
        """The same under another name: runs that learned from the first keep it."""
        made = copy(here.folders.home, known(here, name), body.name)
        here.events.tell("datasets", {})
        return collections.whole_dataset(made)

    @routes.delete("/datasets/{name}", status_code=204)
    async def drop(here: Here, name: Named) -> Response:
        """Remove it."""
        folder = here.folders.home / "datasets" / known(here, name)
        await asyncio.to_thread(collections.drop, folder, here.folders.trash / "datasets")
        here.events.tell("gone", {"kind": "dataset", "id": name})
        return Response(status_code=204)

    return routes


def known(here: Here, name: str) -> str:
    """The same name, of a data set that is there; raises Missing otherwise."""
    from gesso.data import pack_names

    if name not in pack_names(here.folders.home):
        raise Missing(f"There is no data set '{name[:80]}'.", "Import pictures first.")
    return name


def _said(item: dict[str, Any]) -> str:
    return " ".join(str(item.get(key) or "") for key in ("text", "label", "source", "licence", "creator")).casefold()


def _png(image: Any, size: int | None) -> bytes:
    from gesso.marks.picture import as_pil

    shown, out = as_pil(image), io.BytesIO()
    if size is not None and max(shown.size) > size:
        shown.thumbnail((size, size))
    shown.save(out, "PNG", compress_level=1)
    return out.getvalue()
