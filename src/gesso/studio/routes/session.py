"""Who one is, and what this is."""

import shutil
from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from gesso import __version__
from gesso.errors import GessoError
from gesso.studio.guard import with_cookie
from gesso.studio.routes.common import Body, Here
from gesso.tasks import TASKS

__all__ = ["router"]


class Password(Body):
    """What was agreed on when the studio began."""

    password: str = Field(max_length=1000)


def router() -> APIRouter:
    """Its routes."""
    routes = APIRouter(prefix="/api", tags=["session"])

    @routes.post("/session", status_code=204)
    def sign_in(body: Password, here: Here) -> Response:
        """Sign this browser in."""
        if not here.keys.is_password(body.password):
            raise GessoError("That is not the password.", "Try again.")
        return with_cookie(Response(status_code=204), here.keys)

    @routes.get("/about")
    def about(here: Here) -> dict[str, Any]:
        """This studio: its version, home and room on the disk, in bytes."""
        import os

        free = shutil.disk_usage(here.settings.home)
        return {
            "version": __version__, "home": str(here.settings.home), "free_bytes": free.free, "used_bytes": free.used,
            "cores": os.cpu_count(), "tasks": len(TASKS), "boot": here.events.boot,
        }  # fmt: skip

    return routes
