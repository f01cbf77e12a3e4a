"""Settings out of pictures: by AUTOMATIC1111 and what writes its form, InvokeAI, ComfyUI, Fooocus, and by Gesso.

Where each writes them: AUTOMATIC1111 a text `parameters` (in JPEG and WebP EXIF's UserComment); InvokeAI JSON in
`invokeai_metadata`, before version 3 in `sd-metadata`; ComfyUI its graph as JSON in `prompt`; Fooocus JSON, or
AUTOMATIC1111's form, in `parameters`, beside `fooocus_scheme`. All of it is treated as written by a stranger.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from gesso.errors import GessoError
from gesso.marks.nodes import drawn_by
from gesso.marks.recipe import LONGEST, USER_COMMENT, Recipe, Told, Work, comment_of, read_recipe, told_by
from gesso.options import Field, Options

__all__ = ["Settings", "read_settings", "settings_of"]

MOST = 1 << 20  # characters of settings
DEEPEST = 64  # levels of JSON within JSON
PAIRS = 256  # of AUTOMATIC1111's last line
ENOUGH = 3  # pairs that make a line one of settings, where it does not begin with Steps
WORDS = 1000  # characters of names
LARGEST = 1 << 20  # pixels of a side, steps
DESCRIPTION, MAKE, MODEL, SOFTWARE, MAKER_NOTE = 0x010E, 0x010F, 0x0110, 0x0131, 0x927C
DAMAGED = "Give the settings yourself."

Tool = Literal["gesso", "a1111", "invokeai", "comfyui", "fooocus"]
Fields = dict[str, Any]


class Settings(Options):
    """How a picture was made, in words that tools share. raw: all that was found, as its tool calls it."""

    tool: Tool = Field(description="What made it.")
    text: str = Field(default="", max_length=LONGEST, description="What it was to show.")
    negative: str = Field(default="", max_length=LONGEST, description="What it was not to show.")
    seed: int | None = Field(default=None, ge=0, lt=2**64, description="Seed.")
    steps: int | None = Field(default=None, ge=0, le=LARGEST, description="Steps of drawing.")
    guidance: float | None = Field(default=None, ge=-1e6, le=1e6, description="How strictly the text was followed.")
    sampler: str | None = Field(default=None, max_length=WORDS, description="Name of the sampler.")
    model: str | None = Field(default=None, max_length=WORDS, description="Name of the model.")
    width: int | None = Field(default=None, ge=1, le=LARGEST, description="Width, pixels.")
    height: int | None = Field(default=None, ge=1, le=LARGEST, description="Height, pixels.")
    raw: dict[str, JsonValue] = Field(default={}, description="All that was found.")


def read_settings(path: str | Path) -> Settings | None:
    """The settings in a PNG, JPEG, WebP or AVIF file; None when it carries none that are known.

    Raises GessoError when the file is no such picture, or all that it carries is damaged.
    """
    recipe = read_recipe(path)
    if recipe is not None:
        return _ours(recipe)
    try:
        return _first(_texts(told_by(path)))
    except GessoError as error:
        raise GessoError(f"{path}: {error.problem}", error.remedy) from None


def settings_of(text: str) -> Settings | None:
    """The settings in a text as pictures carry it, in AUTOMATIC1111's form or as JSON; None when there are none.

    Raises GessoError for damaged JSON and for what is longer than any settings.
    """
    names = ("prompt", "invokeai_metadata", "sd-metadata") if text.lstrip()[:1] == "{" else ()
    return _first({"parameters": text} | dict.fromkeys(names, text))


def _first(texts: Mapping[str, str]) -> Settings | None:
    """What the first tool wrote that is known; raises GessoError where all that was written is damaged."""
    problem = None
    for read in (_invoke, _older_invoke, _fooocus, _comfy, _lines):
        try:
            found = read(texts)
        except GessoError as error:
            problem = problem or error
            continue
        if found is not None:
            return found
    if problem is not None:
        raise problem
    return None


def _texts(told: Told) -> dict[str, str]:
    """What tools wrote, by the names of PNG's texts, wherever a format keeps it."""
    out = {key.lower(): value for key, value in told.texts.items() if isinstance(key, str) and isinstance(value, str)}
    comment = comment_of(told.exif.get(USER_COMMENT), MOST + 1)
    if comment:
        out.setdefault("parameters", comment)
    scheme = told.exif.get(MAKER_NOTE)
    scheme = scheme[:64].decode(errors="replace") if isinstance(scheme, bytes) else scheme
    if isinstance(scheme, str) and scheme.strip("\0 ") in ("fooocus", "a1111"):
        out.setdefault("fooocus_scheme", scheme.strip("\0 "))
    if str(told.exif.get(SOFTWARE, ""))[:7].lower() == "fooocus":
        out.setdefault("fooocus_scheme", "")
    for tag in (DESCRIPTION, MAKE, MODEL):
        value = told.exif.get(tag)
        if isinstance(value, str) and value[:7].lower() == "prompt:":
            out.setdefault("prompt", value[7:].rstrip("\0"))
    return out


# --- one reader for each tool ---


def _ours(recipe: Recipe | Work) -> Settings:
    """What a recipe of Gesso's says."""
    fields: Fields = {name: getattr(recipe, name) for name in ("seed", "width", "height")}
    if isinstance(recipe, Recipe):
        knobs = recipe.knobs
        fields |= {"text": recipe.text or recipe.label, "model": recipe.run, "steps": knobs.get("steps")}
        fields |= {"negative": knobs.get("negative"), "guidance": knobs.get("guidance"), "sampler": knobs.get("solver")}
    return _settings("gesso", fields, recipe.model_dump(mode="json", exclude_none=True))


def _invoke(texts: Mapping[str, str]) -> Settings | None:
    data = _json(texts.get("invokeai_metadata"), "InvokeAI")
    if data is None or not data.keys() & {"positive_prompt", "app_version", "generation_mode", "cfg_scale"}:
        return None
    model = data.get("model")
    if isinstance(model, dict):
        model = model.get("name") or model.get("model_name")
    fields = {name: data.get(name) for name in ("seed", "steps", "width", "height")} | {"model": model}
    guidance = data.get("cfg_scale") if data.get("guidance") is None else data.get("guidance")
    fields |= {"text": data.get("positive_prompt"), "negative": data.get("negative_prompt"), "guidance": guidance}
    return _settings("invokeai", fields | {"sampler": data.get("scheduler")}, data)


def _older_invoke(texts: Mapping[str, str]) -> Settings | None:
    """InvokeAI before version 3, which wrote what was not wanted in square brackets within the prompt."""
    data = _json(texts.get("sd-metadata"), "InvokeAI")
    image = (data or {}).get("image")
    if data is None or not isinstance(image, dict):
        return None
    parts = image.get("prompt")
    parts = parts if isinstance(parts, list) else [parts]
    said = [part.get("prompt") if isinstance(part, dict) else part for part in parts[:WORDS]]
    text = " ".join(part for part in said if isinstance(part, str))[:LONGEST]
    fields = {name: image.get(name) for name in ("seed", "steps", "width", "height", "sampler")}
    fields |= {"guidance": image.get("cfg_scale"), "model": data.get("model_weights") or data.get("model")}
    fields["negative"] = ", ".join(re.findall(r"\[([^\[\]]*)\]", text))
    return _settings("invokeai", fields | {"text": re.sub(r"\s*\[[^\[\]]*\]", "", text)}, data)


def _fooocus(texts: Mapping[str, str]) -> Settings | None:
    text = texts.get("parameters", "")
    if text.lstrip()[:1] != "{":
        return None
    data = _json(text, "Fooocus")
    known = {key.lower().replace(" ", "_"): value for key, value in (data or {}).items()}
    if data is None or not known.keys() & {"base_model", "metadata_scheme", "full_prompt", "performance"}:
        return None
    size = re.findall(r"\d{1,7}", str(known.get("resolution"))[:WORDS])
    fields = {name: known.get(name) for name in ("seed", "steps", "sampler")}
    fields |= {"text": known.get("prompt"), "negative": known.get("negative_prompt")}
    fields |= {"guidance": known.get("guidance_scale"), "model": known.get("base_model")}
    return _settings("fooocus", fields | (dict(zip(("width", "height"), size, strict=False))), data)


def _comfy(texts: Mapping[str, str]) -> Settings | None:
    """Where a node wrote AUTOMATIC1111's form as well, that says what the graph does not."""
    given = [texts.get(name, "") for name in ("prompt", "parameters")]
    text = next((one for one in given if one.lstrip()[:1] == "{" and '"class_type"' in one), None)
    data = _json(text, "ComfyUI")
    fields = drawn_by(data) if data is not None else None
    if data is None or fields is None:
        return None
    found = _settings("comfyui", fields, data)
    other = _lines(texts) if given[1] and given[1] is not text else None
    gaps = {name for name in type(found).model_fields if getattr(found, name) in (None, "")}
    return found if other is None else found.model_copy(update={name: getattr(other, name) for name in gaps})


def _lines(texts: Mapping[str, str]) -> Settings | None:
    """AUTOMATIC1111's form: the prompt, `Negative prompt: …`, and a last line of `Key: value, …`."""
    text = texts.get("parameters", "")
    if len(text) > MOST:
        raise GessoError("Its settings are too long to be such.", DAMAGED)
    lines = [_clean(line) for line in text.replace("\r", "").strip().split("\n")]
    last, values = _last(lines)
    begin = next(
        (i for i, line in enumerate(lines[:last]) if line.lstrip().lower().startswith("negative prompt:")), None
    )
    if not values and begin is None:
        return None
    positive, negative = lines[: last if begin is None else begin], lines[begin:last] if begin is not None else []
    negative = "\n".join(negative).partition(":")[2]
    known = {key.lower(): value for key, value in values.items()}
    size = re.match(r"(\d{1,7})\s*[x×]\s*(\d{1,7})", known.get("size", ""))
    guidance = known.get("cfg scale")
    if "distilled cfg scale" in known and _number(guidance) in (None, 1):
        guidance = known["distilled cfg scale"]
    sampler, schedule = known.get("sampler"), known.get("schedule type", "")
    if sampler and schedule and schedule.lower() not in ("automatic", *sampler.lower().split()):
        sampler = f"{sampler} {schedule}"
    fields: Fields = {"text": "\n".join(positive), "negative": negative, "guidance": guidance, "sampler": sampler}
    fields |= {"seed": known.get("seed"), "steps": known.get("steps"), "model": known.get("model")}
    fields |= {"width": size[1], "height": size[2]} if size else {}
    fooocus = "fooocus_scheme" in texts or known.get("version", "").lower().startswith("fooocus")
    ours = known.get("generator", "").startswith("Gesso ")
    return _settings("gesso" if ours else "fooocus" if fooocus else "a1111", fields, values)


def _last(lines: list[str]) -> tuple[int, dict[str, str]]:
    """Which line holds the settings, and what they are; the number of lines and nothing where none does."""
    for i in range(len(lines) - 1, -1, -1):
        if lines[i].lstrip().lower().startswith("steps:"):
            return i, _pairs(lines[i])
    found = _pairs(lines[-1])
    return (len(lines) - 1, found) if len(found) >= ENOUGH else (len(lines), {})


def _pairs(line: str) -> dict[str, str]:
    """`Key: value, …` as a dictionary. Values that hold commas are JSON: in quotes, brackets or braces."""
    out: dict[str, str] = {}
    at, decode = 0, json.JSONDecoder().raw_decode
    for _ in range(PAIRS):
        colon = line.find(":", at)
        if colon < 0:
            break
        key, at = line[at:colon].rpartition(",")[2].strip(), colon + 1
        while line[at : at + 1].isspace():
            at += 1
        value, end = None, at
        if line[at : at + 1] in ('"', "[", "{"):
            try:
                value, end = decode(line, at)
            except (ValueError, RecursionError):  # a value that only begins like JSON
                value = None
        if value is None:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
        said = value if isinstance(value, str) else line[at:end].strip()
        if key and len(key) <= WORDS:
            out.setdefault(key, _clean(said))
        comma = line.find(",", end)
        if comma < 0:
            break
        at = comma + 1
    return out


# --- what strangers write ---


def _json(text: str | None, tool: str) -> dict[str, Any] | None:
    """JSON that is a dictionary, of a sane depth and without numbers that are none; None for other JSON, and no text.

    Raises GessoError for what is no JSON, and for what is too long or deep.
    """
    if text is None:
        return None
    problem = f"What {tool} wrote into it is damaged"
    if len(text) > MOST:
        raise GessoError(f"{problem}: it is too long.", DAMAGED)
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except (ValueError, RecursionError):
        raise GessoError(f"{problem}: it is not JSON.", DAMAGED) from None
    if not _shallow(value):
        raise GessoError(f"{problem}: it is nested too deep.", DAMAGED)
    return _plain(value) if isinstance(value, dict) else None


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _shallow(value: Any) -> bool:
    """Whether it is nested no deeper than is sane."""
    level = [value]
    for _ in range(DEEPEST):
        level = [one for many in level if isinstance(many, list | dict)
                 for one in (many.values() if isinstance(many, dict) else many)]  # fmt: skip
        if not level:
            return True
    return False


def _plain(value: Any) -> Any:
    """The same with text that every encoding holds, and without numbers beyond 64 bits."""
    if isinstance(value, dict):
        return {_clean(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, int) and abs(value) >= 2**64:
        return str(value)
    return _clean(value) if isinstance(value, str) else value


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _settings(tool: Tool, fields: Fields, raw: Mapping[str, Any]) -> Settings:
    """Settings from values of any kind: those that do not fit are left out."""
    kinds: dict[str, Callable[[Any], Any]] = {"guidance": _number}
    kinds |= dict.fromkeys(("seed", "steps", "width", "height"), _whole)
    kinds |= {name: lambda value: _word(value, LONGEST) or "" for name in ("text", "negative")}
    kinds |= {name: lambda value: _word(value, WORDS) for name in ("sampler", "model")}
    values: Fields = {name: kinds[name](value) for name, value in fields.items()}
    try:
        return Settings.model_validate({**values, "tool": tool, "raw": dict(raw)})
    except ValidationError as error:
        wrong = {str(one["loc"][0]) for one in error.errors()}
        return Settings.model_validate(
            {k: v for k, v in values.items() if k not in wrong} | {"tool": tool, "raw": dict(raw)}
        )


def _word(value: Any, most: int) -> str | None:
    return value.strip()[:most] or None if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """A finite number, also as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value[:64] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _whole(value: Any) -> int | None:
    """A whole number, exactly, also as a text or a float."""
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,20}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None
