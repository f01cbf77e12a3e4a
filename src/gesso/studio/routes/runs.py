"""Runs: looked at, compared, removed."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gesso.errors import GessoError
from gesso.store import Run
from gesso.studio import collections
from gesso.studio.folders import Missing
from gesso.studio.house import House
from gesso.studio.routes.common import FOREVER, Here, Number, served

__all__ = ["router"]


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["runs"])

    @routes.get("/runs")
    def runs(here: Here) -> list[dict[str, Any]]:
        """All of them, newest first."""
        return collections.runs(here.folders.home, _jobs(here))

    @routes.get("/runs/{number}")
    def run(here: Here, number: Number) -> dict[str, Any]:
        """One, with how it was begun and the grids that it drew on its way."""
        return collections.whole_run(_open(here, number), _jobs(here))

    @routes.get("/runs/{number}/drawing")
    async def drawing(here: Here, number: Number) -> dict[str, Any]:
        """What it can be asked to draw: its knobs, sliders, labels. The first answer takes a moment."""
        await asyncio.to_thread(_open, here, number)
        return (await here.drawer.ask({"do": "knobs", "run": number})).json

    @routes.get("/runs/{number}/log")
    def log(here: Here, number: Number, after: Annotated[int, Query(ge=-1, le=10**12)] = -1) -> dict[str, Any]:
        """Figures of its training, from the step after one on."""
        lines = _open(here, number).read_log()
        return {"lines": [line for line in lines if isinstance(line.get("step"), int | float) and line["step"] > after]}

    @routes.get("/runs/{number}/samples/{name}", response_class=Response)
    def sample(here: Here, number: Number, name: str) -> Response:
        """One of its grids."""
        for path in _open(here, number).samples.glob("*.png"):
            if path.name == name:
                return served(path, FOREVER)
        raise Missing("There is no such grid.")

    @routes.get("/runs/{number}/card", response_class=Response)
    def card(here: Here, number: Number) -> Response:
        """Its model card, in Markdown."""
        return served(_open(here, number).root / "README.md")

    @routes.delete("/runs/{number}", status_code=204)
    async def drop(here: Here, number: Number) -> Response:
        """Remove it, and with it its model."""
        found = await asyncio.to_thread(_open, here, number)
        if found.holder() is not None:
            raise GessoError(f"Run {number} is being trained.", "Stop it first.")
        await asyncio.to_thread(collections.drop, found.root, here.folders.trash / "runs")
        here.events.tell("gone", {"kind": "run", "id": number})
        return Response(status_code=204)

    return routes


def _open(here: House, number: int) -> Run:
    try:
        return Run.open(here.folders.home, number)
    except GessoError as error:
        if "There is no run" in error.problem:
            raise Missing(error.problem, "Look at the list of runs.") from None
        raise


def _jobs(here: House) -> dict[str, str]:
    """The jobs that train runs, by the run's folder."""
    found = here.jobs.all(["running", "waiting", "paused"], 1000)
    return {job["run"]: job["id"] for job in found if job["run"]}
