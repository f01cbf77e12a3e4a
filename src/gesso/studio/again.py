"""A picture once more: the task and the options that its recipe comes to."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gesso.errors import GessoError
from gesso.studio.database import Database, jobs, pictures, uploads
from gesso.studio.forms import form
from gesso.tasks import TASKS

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
    task = str(recipe.get("task") or "")
    if task not in TASKS:
        return None
    if task == "sample":
        options = _sampled(recipe)
    else:
        options = _worked(database, task, recipe)
    if options is None:
        return None
    asked = form(task)
    known = {key: value for key, value in options.items() if key in asked.kinds and value is not None}
    try:
        asked.body.model_validate(known)
    except ValueError:
        return None
    return {"task": task, "options": known}


def _sampled(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a model drew of a seed, with the sliders that were moved and the patches it was finished with."""
    taken = recipe.get("taken")
    options: dict[str, Any] = {
        "run": recipe["run"], "count": 1, "seed": recipe["seed"], "label": recipe.get("label"),
        "text": [recipe["text"]] if recipe.get("text") else None, "finish": taken is not None, **_drawn(recipe),
    }  # fmt: skip
    if taken is not None:
        options |= {**taken["options"], "size": min(recipe["width"], recipe["height"])}
    return options


def _drawn(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Choices of drawing and sliders, as tasks take them."""
    sliders = (recipe.get("moved") or {}).get("sliders") or {}
    return {
        "set": [f"{name}={json.dumps(value)}" for name, value in (recipe.get("knobs") or {}).items()],
        "slide": [f"{name}={value!r}" for name, value in sliders.items()],
    }


def _worked(database: Database, task: str, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of what was made from pictures: by their SHA-256 these are found again, wherever they are now."""
    asked = form(task)
    options = {"seed": recipe.get("seed"), **(recipe.get("options") or {})}
    if "run" in asked.kinds and recipe.get("run"):
        told = {"run": recipe["run"], "label": recipe.get("label"), "text": recipe.get("text"), **_drawn(recipe)}
        options = {**told, **options}
    digests = dict(recipe.get("inputs") or {})
    for name, kind in asked.kinds.items():
        value = options.get(name)
        if value is None or kind not in ("picture", "mask", "pictures"):
            continue
        refs = [_found(database, digests.get(str(one))) for one in (value if isinstance(value, list) else [value])]
        if None in refs:
            return None
        options[name] = refs if kind == "pictures" else refs[0]
    missing = [name for name, kind in asked.kinds.items() if kind in ("folder", "scene", "stage") and options.get(name)]
    return None if missing else options


def _found(database: Database, digest: str | None) -> str | None:
    if digest is None:
        return None
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
