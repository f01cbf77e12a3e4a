"""A task's options as they come from a page: the body of its route, its form, and the files that it names.

Pages know no paths. What is a file on the command line is a reference here ("picture:ID", "upload:ID", "stage:ID"), and
where results go is not asked. A field's name means the same in every task, so what kind of field it is follows from it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, StringConstraints, create_model

from gesso.contract.task import Task
from gesso.data.choices import BUILT_IN
from gesso.tasks import TASKS, task

__all__ = ["KEEPERS", "Form", "form", "forms"]

Ref = Annotated[str, StringConstraints(pattern=r"^(picture|upload):[0-9a-z]{1,64}$")]
Stage = Annotated[str, StringConstraints(pattern=rf"^(stage:[0-9a-z]{{1,64}}|{BUILT_IN})$")]
Name = Annotated[str, StringConstraints(pattern=r"^[^/\\:]*$", max_length=120)]  # no path, no place on a network
MaybeRef = Annotated[str | None, StringConstraints(pattern=r"^(picture|upload):[0-9a-z]{1,64}$")]
MaybeRefs = Annotated[tuple[Ref, ...] | None, Len(1)]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{0,64}$")]
Scene = dict[str, Any]

HIDDEN = {"out", "prompts", "network", "audio", "on_beats", "workers", "processes", "tensorboard", "layers"}
HIDDEN_OF = {  # paths where others have names, and paths that are said on the command line alone
    "demo": {"data"}, "marks": {"key", "certificate", "anchors"}, "replay": {"look", "keep"},
}  # fmt: skip
KEEPERS = {"ledger"}  # tasks whose `out` is a file to export to, which has a route of its own
KINDS = {  # what a field holds, where its type does not tell
    "run": "run", "runs": "runs", "fork": "run", "resume": "run", "dataset": "dataset", "data": "dataset",
    "seeds": "seeds", "seed": "seed", "size": "size", "to": "size", "set": "settings", "mask": "mask",
    "protect": "mask", "scene": "scene", "images": "folder", "slide": "slides", "family": "family",
}  # fmt: skip
MASKS = {"style": {"keep"}, "drag": {"keep"}, "retarget": {"move"}}  # words that elsewhere mean something else
MAIN = {"minutes", "count", "text", "faithful", "size", "how", "name", "mask", "label", "factor", "different", "data"}


class Form(NamedTuple):
    """A task as pages see it. body: of its route; kinds: of each field; schema: JSON, with kinds and main fields."""

    task: Task[Any]
    body: type[BaseModel]
    kinds: dict[str, str]
    schema: dict[str, Any]

    def resolved(self, options: Mapping[str, Any], file: Callable[[str], Path], folder: Callable[[Sequence[str]], Path],
                 scene: Callable[[Scene], Path]) -> dict[str, Any]:  # fmt: skip
        """Options with paths for references. file: of one; folder: that holds several; scene: of a scene's values."""
        out = dict(options)
        for name, value in options.items():
            kind = self.kinds.get(name)
            if value is None or value == "":
                continue
            if kind in ("picture", "mask") or (kind == "stage" and value.startswith("stage:")):
                out[name] = str(file(value))
            elif kind == "pictures":
                out[name] = [str(file(one)) for one in value]
            elif kind == "folder":
                out[name] = str(folder(value))
            elif kind == "scene":
                out[name] = str(scene(value))
        return out


def form(name: str) -> Form:
    """The form of a task; raises GessoError for one that there is not."""
    return _FORMS[name] if name in _FORMS else _FORMS.setdefault(name, _made(name))


def forms() -> dict[str, Form]:
    """All of them, by the names of their tasks."""
    return {name: form(name) for name in TASKS}


_FORMS: dict[str, Form] = {}


def _made(name: str) -> Form:
    found = task(name)
    kinds, fields = dict[str, str](), dict[str, Any]()
    for key, field in found.Options.model_fields.items():
        if key in HIDDEN or key in HIDDEN_OF.get(name, ()):
            continue
        kind, annotation = _kind(name, key, field.annotation)
        kinds[key] = kind
        fields[key] = (annotation, copy(field))
    title = "".join(part.capitalize() for part in re.split(r"\W+", name)) + "Body"
    body = create_model(title, __config__=ConfigDict(extra="forbid"), __doc__=found.Options.__doc__, **fields)
    schema = body.model_json_schema()
    for key, values in schema.get("properties", {}).items():
        values["kind"] = kinds[key]
        if key in found.positional or key in MAIN or found.Options.model_fields[key].is_required():
            values["main"] = True
    return Form(found, body, kinds, schema)


def _kind(name: str, key: str, annotation: Any) -> tuple[str, Any]:
    """What kind of field it is, and its type in the body."""
    said = str(annotation)
    optional, files, many = "None" in said or "Optional" in said, "Path" in said, said.startswith("tuple")
    kind = "mask" if key in MASKS.get(name, ()) else KINDS.get(key)
    if name == "import" and key == "source":
        return "stage", Stage
    if name == "ledger" and key == "find":
        return "text", Digits
    if name == "train" and key == "source":
        return "dataset", Name
    if kind == "scene":
        return kind, Scene
    if kind == "folder" and files:
        return kind, MaybeRefs
    kind = None if kind == "folder" else kind
    if files:
        kind = "mask" if kind == "mask" else "pictures" if many else "picture"
        return kind, tuple[Ref, ...] if many else MaybeRef if optional else Ref
    if kind in ("run", "dataset"):
        return kind, Name
    if kind == "runs":
        return kind, tuple[Name, ...]
    if kind is not None:
        return kind, annotation
    if many:
        return "words", annotation
    if "bool" in said:
        return "switch", annotation
    if "Literal" in said:
        return "choice", annotation
    return ("number" if "int" in said or "float" in said else "text"), annotation
