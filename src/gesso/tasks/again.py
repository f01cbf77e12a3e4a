"""A recipe as what was asked for: the task and the options that make its picture once more.

What it was made from is found by its SHA-256, wherever it is now; whoever asks says how.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gesso.errors import GessoError

__all__ = ["remake"]

Find = Callable[[str, str], Any]  # name, SHA-256 → what stands for that file; None where it is not to be found
DRAWING = ("Make", "Work")  # groups of tasks of which some write pictures
NEVER = {"out", "like", "prompts"}  # files that a picture was not made from


def _file_fields(task: str) -> dict[str, bool]:
    """The options of a task that name files it works from, and whether each takes several."""
    from gesso import tasks

    fields = tasks.task(task).Options.model_fields
    said = {name: str(field.annotation) for name, field in fields.items() if name not in NEVER}
    return {name: text.startswith("tuple") for name, text in said.items() if "Path" in text}


def remake(recipe: Mapping[str, Any], find: Find) -> tuple[str, dict[str, Any]]:
    """Task and options. recipe: as JSON has it. Raises GessoError where it does not tell, or a file is gone."""
    from gesso import tasks

    task = str(recipe.get("task") or "")
    if task not in tasks.TASKS:
        raise GessoError(f"Its recipe is of '{task[:40]}', which is no task of this Gesso.", "Update Gesso.")
    known = tasks.task(task).Options.model_fields
    if tasks.TASKS[task].group not in DRAWING or "out" not in known:  # anyone may have written that recipe
        raise GessoError(f"Its recipe is of '{task}', which makes no pictures.", "Nothing can be done.")
    try:
        options = _sampled(recipe) if task == "sample" else _worked(task, recipe, find)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise GessoError(f"Its recipe does not fit 'gesso {task}'.", "Make it again by hand.") from None
    return task, {
        name: value for name, value in options.items() if name in known and name not in NEVER and value is not None
    }


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
        "slide": [f"{name}={value!r}" for name, value in sliders.items()] or None,
    }


def _worked(task: str, recipe: Mapping[str, Any], find: Find) -> dict[str, Any]:
    """Of what was made from files, by a model or without one."""
    from gesso import tasks

    fields = tasks.task(task).Options.model_fields
    chosen = dict(recipe.get("options") or {})  # what was left alone, too: a label of None was not asked for
    options: dict[str, Any] = {"seed": recipe.get("seed"), **chosen}
    if "run" in fields and recipe.get("run"):
        told = {"run": recipe["run"], "label": recipe.get("label"), "text": recipe.get("text"), **_drawn(recipe)}
        options = {**told, **options}
    if "count" in fields and recipe.get("run") and chosen.get("count") is None:
        options["count"] = 1
    if task == "animate":
        options["seeds"] = _seeds(chosen)
    digests = {str(name): str(digest) for name, digest in (recipe.get("inputs") or {}).items() if name != _data(recipe)}
    several = _file_fields(task)
    first = next(iter(several), None)
    if first is not None and options.get(first) is None and (fields[first].is_required() or several[first]):
        given = [name for name in digests if name not in _named(options, several)]
        options[first] = given if several[first] else next(iter(given), None)
    for name, many in several.items():
        value = options.get(name)
        if value is None or value == []:
            continue
        found = [_there(str(one), digests, find) for one in (value if isinstance(value, list | tuple) else [value])]
        options[name] = found if many else found[0]
    return options


def _data(recipe: Mapping[str, Any]) -> str:
    """How an input is called that is a data set, no file."""
    return f"data set {(recipe.get('taken') or {}).get('data')}"


def _seeds(chosen: Mapping[str, Any]) -> str | None:
    """Seeds of a film as words: with their seconds where these were chosen."""
    seeds, times = chosen.get("seeds"), chosen.get("times")
    if not isinstance(seeds, list):
        return None
    return (
        ",".join(f"{seed}@{at}" for seed, at in zip(seeds, times, strict=True)) if times else ",".join(map(str, seeds))
    )


def _named(options: Mapping[str, Any], several: Mapping[str, bool]) -> set[str]:
    """Files that an option names already."""
    values = [options[name] for name in several if options.get(name) is not None]
    return {str(one) for value in values for one in (value if isinstance(value, list | tuple) else [value])}


def _there(name: str, digests: Mapping[str, str], find: Find) -> Any:
    digest = digests.get(name)
    if digest is None:
        raise GessoError(f"Its recipe does not tell what {name[:80]} was.", "Make it again by hand.")
    found = find(name, digest)
    if found is None:
        raise GessoError(
            f"{name[:80]}, from which it was made, is not to be found.", "Name the folder that it is in: --look FOLDER."
        )
    return found
