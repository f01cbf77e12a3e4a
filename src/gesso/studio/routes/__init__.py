"""The studio's API, a file a thing that it is about."""

from fastapi import APIRouter

from gesso.studio.routes import datasets, events, gallery, jobs, live, marks, runs, session, tasks, uploads

__all__ = ["routers"]


def routers() -> list[APIRouter]:
    """All routes below /api."""
    return [one.router() for one in (session, tasks, jobs, events, uploads, datasets, runs, gallery, marks, live)]
