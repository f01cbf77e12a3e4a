"""A picture once more: the task and the options that its recipe comes to."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gesso.errors import GessoError
from gesso.studio.database import Database, jobs, pictures, uploads
from gesso.studio.forms import form
from gesso.tasks.again import remake

__all__ = ["again", "from_recipe", "needed"]


def again(database: Database, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Task and options of a picture's row; None where it does not tell, or what it was made from is gone."""
    found = from_recipe(database, row["recipe"]) if row["recipe"] else None
    if found is not None or row["job"] is None:
        return found
    job = database.row(sa.select(jobs.c.task, jobs.c.options).where(jobs.c.id == row["job"]))
    return {"task": job["task"], "options": job["options"]} if job is not None else None


def from_recipe(database: Database, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """Task and options of a recipe; None where what it was made from is not here."""
    try:
        task, options = remake(recipe, lambda _, digest: _found(database, digest))
        asked = form(task)
        known = {key: value for key, value in options.items() if key in asked.kinds}
        if any(kind in ("folder", "scene", "stage") and known.get(key) for key, kind in asked.kinds.items()):
            return None
        asked.body.model_validate(known)
    except (GessoError, KeyError, TypeError, ValueError):
        return None
    return {"task": task, "options": known}


def _found(database: Database, digest: str) -> str | None:
    for kind, table in (("picture", pictures), ("upload", uploads)):
        row = database.row(sa.select(table.c.id).where(table.c.sha256 == digest))
        if row is not None:
            return f"{kind}:{row['id']}"
    return None


def needed(found: dict[str, Any] | None) -> dict[str, Any]:
    """The same, where there is one; raises GessoError where there is none."""
    if found is None:
        problem = "This picture does not tell how it was made, or what it was made from is no longer here."
        raise GessoError(problem, "Begin from the task's own form.")
    return found
