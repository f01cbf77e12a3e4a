"""What happens, as it happens."""

from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from gesso.studio.routes.common import Here

__all__ = ["router"]

Last = Annotated[str | None, Header(max_length=80)]


def router() -> APIRouter:
    """Its route."""
    routes = APIRouter(prefix="/api", tags=["events"])

    @routes.get("/events", response_class=StreamingResponse)
    async def events(
        here: Here, last_event_id: Annotated[str | None, Header(max_length=80)] = None
    ) -> StreamingResponse:
        """Server-sent events: job, progress, preview, picture, gone, boards, datasets, runs, queue; hello, reset."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(here.events.listen(last_event_id), media_type="text/event-stream", headers=headers)

    return routes
