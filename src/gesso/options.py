"""The base of every options class: declared once, it becomes JSON, `--set`, the web form and the docs.

A field's annotation is its type, `Field(description=...)` its sentence (with its unit), and
`ge`, `le`, `Literal` its bounds. Nothing of this is ever written a second time.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gesso.errors import GessoError, nearest

__all__ = ["Field", "Options"]


class Options(BaseModel):
    """Frozen choices, checked when made. Unknown names and values out of bounds raise GessoError in `of`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def of(cls, values: Mapping[str, Any] | None = None) -> Self:
        """Make options from plain values; raises GessoError, naming the nearest right name, when one does not fit."""
        try:
            return cls.model_validate(dict(values or {}))
        except ValidationError as error:
            raise _explain(cls, error) from None

    @classmethod
    def from_pairs(cls, pairs: Iterable[str], base: Mapping[str, Any] | None = None) -> Self:
        """Make options from `name=value` words (those of `--set`), on top of `base`.

        Values are read as JSON where that is possible (`1e-3`, `true`, `[1, 2]`), else as text; a dotted
        name (`a.b=1`) reaches into options within options.
        """
        values: dict[str, Any] = json.loads(json.dumps(dict(base or {})))
        for pair in pairs:
            name, equals, text = pair.partition("=")
            if not equals or not name.strip():
                raise GessoError(f"--set {pair} is not of the form name=value.", "Write for example --set lr=0.001.")
            *parents, leaf = name.strip().replace("-", "_").split(".")
            place = values
            for parent in parents:
                place = place.setdefault(parent, {})
                if not isinstance(place, dict):
                    raise GessoError(f"--set {pair}: '{parent}' holds no further options.")
            place[leaf] = _read(text.strip())
        return cls.of(values)

    @classmethod
    def document(cls) -> list[tuple[str, str, str, str]]:
        """One row a field: name, type, default, sentence: what the docs and the help show."""
        rows = []
        for name, field in cls.model_fields.items():
            kind = field.annotation.__name__ if isinstance(field.annotation, type) else str(field.annotation)
            default = "" if field.is_required() else str(field.get_default(call_default_factory=True))
            rows.append((name, kind.replace("typing.", ""), default, field.description or ""))
        return rows


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _within(cls: type[Options], parents: list[str]) -> type[Options]:
    """The options that a dotted name's parents lead to."""
    for parent in parents:
        inner = cls.model_fields[parent].annotation
        cls = inner if isinstance(inner, type) and issubclass(inner, Options) else cls
    return cls


def _explain(cls: type[Options], error: ValidationError) -> GessoError:
    """Turn pydantic's report into one sentence about the first thing that was wrong."""
    first = error.errors()[0]
    *parents, leaf = [str(part) for part in first["loc"]] or ["?"]
    name = ".".join([*parents, leaf])
    if first["type"] == "extra_forbidden":
        return GessoError(f"There is no option '{name}'.", nearest(leaf, _within(cls, parents).model_fields))
    if first["type"] == "missing":
        return GessoError(f"The option '{name}' is missing.", f"Give a value for {name}.")
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")
    said = first.get("input")
    if not first["loc"]:  # choices that do not go together
        return GessoError(f"{reason[:1].upper()}{reason[1:]}.")
    if first["type"] == "value_error":
        return GessoError(f"{name} = {said!r}: {reason}.")
    return GessoError(f"{name} = {said!r} does not fit: it should be {reason}.")
