"""The queue."""

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gesso.studio.collections import size_of
from gesso.studio.routes.common import Body, Here, Key, Missing, served

__all__ = ["router"]

Status = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]


class Place(Body):
    """Where to."""

    before: str | None = Field(default=None, pattern="^[0-9a-z]{1,64}$", description="A job; null for the end.")


class Priority(Body):
    """How soon."""

    priority: int = Field(ge=-10, le=10)


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["jobs"])

    @routes.get("/jobs")
    def jobs(
        here: Here, status: Annotated[str | None, Query(pattern="^[a-z,]{1,80}$")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> dict[str, Any]:  # fmt: skip
        """Those that run, those that wait in their order, the others by age. status: some, separated by commas."""
        return {"jobs": here.jobs.all(status.split(",") if status else None, limit)}

    @routes.get("/jobs/{job}")
    def get(here: Here, job: Key) -> dict[str, Any]:
        """One job."""
        return here.jobs.get(job)

    @routes.get("/jobs/{job}/log")
    def log(here: Here, job: Key) -> dict[str, Any]:
        """What it said, oldest first."""
        return {"lines": here.jobs.log(job)}

    @routes.get("/jobs/{job}/previews")
    def previews(here: Here, job: Key) -> dict[str, Any]:
        """Pictures on the way, oldest first."""
        found = here.jobs.previews(job)
        return {"previews": [
            {"url": f"/api/jobs/{job}/previews/{one['id']}", "title": one["title"], "at": one["at"]} for one in found
        ]}  # fmt: skip

    @routes.get("/jobs/{job}/previews/{number}", response_class=Response)
    def preview(here: Here, job: Key, number: int) -> Response:
        """One of them."""
        for one in here.jobs.previews(job):
            if one["id"] == number:
                return served(Path(one["path"]))
        raise Missing("There is no such preview.")

    @routes.get("/jobs/{job}/files/{number}", response_class=Response)
    def file(here: Here, job: Key, number: int, save: bool = False) -> Response:
        """A file that came out, beside pictures. save: to be kept, not shown."""
        path = here.jobs.file(job, number)
        return served(path, name=path.name if save else None)

    @routes.post("/jobs/{job}/pause")
    def pause(here: Here, job: Key) -> dict[str, Any]:
        """Stop it for now; a training saves."""
        return here.jobs.pause(job)

    @routes.post("/jobs/{job}/resume")
    def resume(here: Here, job: Key) -> dict[str, Any]:
        """Let it go on."""
        return here.jobs.resume(job)

    @routes.post("/jobs/{job}/cancel")
    def cancel(here: Here, job: Key) -> dict[str, Any]:
        """Stop it for good; what it finished is kept."""
        return here.jobs.cancel(job)

    @routes.post("/jobs/{job}/retry")
    def retry(here: Here, job: Key) -> dict[str, Any]:
        """Begin it again, from its last checkpoint where it has one."""
        return here.jobs.retry(job)

    @routes.post("/jobs/{job}/move")
    def move(here: Here, job: Key, body: Place) -> dict[str, Any]:
        """Before another, or to the end."""
        return here.jobs.move(job, body.before)

    @routes.post("/jobs/{job}/priority")
    def priority(here: Here, job: Key, body: Priority) -> dict[str, Any]:
        """Higher ones are begun first."""
        return here.jobs.set_priority(job, body.priority)

    @routes.delete("/jobs/{job}", status_code=204)
    def forget(here: Here, job: Key) -> Response:
        """Remove one that is over from the list; what it made stays."""
        here.jobs.forget(job)
        return Response(status_code=204)

    @routes.get("/queue")
    def queue(here: Here) -> dict[str, Any]:
        """How it stands with the queue, and with the disk, in bytes."""
        counts = here.jobs.counts()
        used = {name: size_of(here.folders.home / name) for name in ("datasets", "runs", "gallery", "studio")}
        return {
            "paused": here.jobs.halted, "running": counts.get("running", 0), "waiting": counts.get("waiting", 0),
            "free_bytes": shutil.disk_usage(here.folders.home).free, "used_bytes": used,
        }  # fmt: skip

    @routes.post("/queue/pause")
    def halt(here: Here) -> dict[str, Any]:
        """Begin nothing new; what runs goes on."""
        here.jobs.halt(True)
        return queue(here)

    @routes.post("/queue/resume")
    def go_on(here: Here) -> dict[str, Any]:
        """Begin what waits."""
        here.jobs.halt(False)
        return queue(here)

    return routes
