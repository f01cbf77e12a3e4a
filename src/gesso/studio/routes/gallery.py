"""The gallery and its boards."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gesso.studio.again import again, needed
from gesso.studio.pixels import thumb
from gesso.studio.routes.common import FOREVER, Body, Here, Key, served

__all__ = ["router"]

Id = Annotated[str, Field(pattern="^[0-9a-z]{1,64}$")]
Word = Annotated[str | None, Query(max_length=300)]
Side = Annotated[int | None, Query(ge=1, le=100_000)]


class Said(Body):
    """What people say of a picture; null leaves it."""

    starred: bool | None = None
    note: str | None = Field(default=None, max_length=10_000)
    boards: list[Id] | None = Field(default=None, max_length=1000)


class Marked(Body):
    """The same for several."""

    pictures: list[Id] = Field(max_length=100_000)
    starred: bool | None = None
    add: Id | None = Field(default=None, description="A board to put them on.")
    remove: Id | None = Field(default=None, description="A board to take them off.")


class Board(Body):
    """A board's name."""

    name: str = Field(min_length=1, max_length=120)


class Seeded(Body):
    """A seed; null for a new one. Without it, the same."""

    seed: int | None = Field(default=None, ge=0, lt=2**62)


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["gallery"])

    @routes.get("/pictures")
    def pictures(
        here: Here, q: Word = None, task: Word = None, run: Annotated[int | None, Query(ge=0, le=10**9)] = None,
        family: Word = None, seed: Annotated[int | None, Query(ge=0, lt=2**63)] = None, board: Word = None,
        starred: bool = False, colour: Annotated[str | None, Query(pattern="^#?[0-9a-fA-F]{6}$")] = None,
        min_side: Side = None, max_side: Side = None, shape: Literal["wide", "tall", "square"] | None = None,
        kind: Literal["picture", "film", "page", "file"] | None = None,
        sort: Literal["newest", "oldest", "largest"] = "newest",
        offset: Annotated[int, Query(ge=0, le=10**7)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:  # fmt: skip
        """Pictures that fit all of what is asked. q: words in texts, names and notes, or a seed."""
        wish = {
            "q": q, "task": task, "run": run, "family": family, "seed": seed, "board": board, "starred": starred,
            "colour": colour, "min_side": min_side, "max_side": max_side, "shape": shape, "kind": kind,
        }  # fmt: skip
        return here.gallery.search(wish, sort, offset, limit)

    @routes.post("/pictures/mark")
    def mark(here: Here, body: Marked) -> dict[str, int]:
        """Star several, put them on a board, or take them off."""
        return {"changed": here.gallery.mark(body.pictures, body.starred, body.add, body.remove)}

    @routes.get("/pictures/{key}")
    def picture(here: Here, key: Key) -> dict[str, Any]:
        """One picture, with how it was made, from what, and what was made from it."""
        found = here.gallery.whole(key)
        once_more = again(here.database, here.gallery.row(key))
        return {**found, "again": once_more, "parameters": here.gallery.parameters(key)}

    @routes.get("/pictures/{key}/file", response_class=Response)
    def file(here: Here, key: Key, save: bool = False) -> Response:
        """Its file. save: to be kept, not shown."""
        path = here.gallery.path(key)
        return served(path, FOREVER, path.name if save else None)

    @routes.get("/pictures/{key}/thumb", response_class=Response)
    async def small(here: Here, key: Key) -> Response:
        """A WebP of at most 256 pixels a side."""
        row = await asyncio.to_thread(here.gallery.row, key)
        path = here.folders.thumbs / f"{row['sha256'][:32]}.webp"
        if not path.is_file():
            place = await asyncio.to_thread(here.gallery.path, key)
            await asyncio.to_thread(here.pool.do, thumb, str(place), str(path))
        return served(path, FOREVER)

    @routes.patch("/pictures/{key}")
    def change(here: Here, key: Key, body: Said) -> dict[str, Any]:
        """Star it, note something, put it on boards."""
        return here.gallery.change(key, body.starred, body.note, body.boards)

    @routes.post("/pictures/{key}/again", status_code=202)
    def once_more(here: Here, key: Key, body: Seeded) -> dict[str, Any]:
        """Make it again as it was made; with another seed where one is given, a new one where it is null."""
        found = needed(again(here.database, here.gallery.row(key)))
        options = dict(found["options"])
        if "seed" in body.model_fields_set:
            options["seed"] = body.seed
        return here.jobs.submit(found["task"], options)

    @routes.delete("/pictures/{key}", status_code=204)
    def throw(here: Here, key: Key) -> Response:
        """Into the trash."""
        here.gallery.throw(key)
        return Response(status_code=204)

    @routes.post("/pictures/{key}/undelete")
    def restore(here: Here, key: Key) -> dict[str, Any]:
        """Out of the trash."""
        here.gallery.throw(key, away=False)
        return here.gallery.get(key)

    @routes.get("/boards")
    def boards(here: Here) -> list[dict[str, Any]]:
        """All boards."""
        return here.gallery.boards()

    @routes.post("/boards", status_code=201)
    def add(here: Here, body: Board) -> dict[str, Any]:
        """A new one."""
        return here.gallery.add_board(body.name)

    @routes.patch("/boards/{key}")
    def rename(here: Here, key: Key, body: Board) -> list[dict[str, Any]]:
        """Call it otherwise."""
        here.gallery.rename_board(key, body.name)
        return here.gallery.boards()

    @routes.delete("/boards/{key}", status_code=204)
    def drop(here: Here, key: Key) -> Response:
        """Remove it; its pictures stay."""
        here.gallery.drop_board(key)
        return Response(status_code=204)

    return routes
