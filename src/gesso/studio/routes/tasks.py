"""One route a task: whatever can be asked for on the command line can be asked for here."""

import gzip
import json
from functools import cache
from typing import Any

from fastapi import APIRouter, Query, Request, Response

from gesso.studio.forms import Form, forms
from gesso.studio.routes.common import Here
from gesso.tasks import TASKS

__all__ = ["router"]


def router() -> APIRouter:
    """Its routes, made from the table of tasks."""
    routes = APIRouter(prefix="/api", tags=["tasks"])

    @routes.get("/tasks", response_model=list[dict[str, Any]])
    def tasks(request: Request) -> Response:
        """Everything that can be asked for, with its form."""
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(_described(), media_type="application/json")
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(_squeezed(), media_type="application/json", headers=headers)

    @routes.get("/families")
    async def families(here: Here) -> list[dict[str, Any]]:
        """The families of models, with their choices when training (config) and when drawing (knobs)."""
        return (await here.drawer.ask({"do": "families"})).json["families"]

    for name, one in forms().items():
        _add(routes, name, one)
    return routes


@cache
def _described() -> bytes:
    """All forms as JSON: the first thing that pages ask for, and the largest."""
    described = [
        {
            "name": name, "group": TASKS[name].group, "summary": TASKS[name].summary, "example": one.task.example,
            "long": one.task.pace == "hours", "resumable": one.task.resumable, "schema": one.schema,
        }
        for name, one in forms().items()
    ]  # fmt: skip
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def _squeezed() -> bytes:
    return gzip.compress(_described(), 9, mtime=0)


def _add(routes: APIRouter, name: str, one: Form) -> None:
    def ask(here: Here, body: Any, priority: int = Query(0, ge=-10, le=10)) -> dict[str, Any]:
        return here.jobs.submit(name, body.model_dump(mode="json", exclude_unset=True), priority)

    ask.__annotations__["body"] = one.body
    ask.__name__ = name
    ask.__doc__ = one.task.Options.__doc__
    routes.add_api_route(
        f"/tasks/{name}",
        ask,
        methods=["POST"],
        status_code=202,
        summary=TASKS[name].summary,
        operation_id=f"ask_{name}",
    )
