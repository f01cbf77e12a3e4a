"""A scene from JSON, or the sentence that says where it is wrong."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gesso.errors import GessoError, nearest
from gesso.files import read_json
from gesso.options import Options
from gesso.scene.layers import KINDS, ColourLayer, Format, Layer, Scene, SheetLayer, merged
from gesso.scene.units import PRESETS

__all__ = ["begun", "called", "changed", "read_scene", "scene_of"]

LONGEST = 300  # characters of what is said of one mistake
MANY = 10_000  # pictures of one scene, all variants and formats together


def read_scene(path: str | Path) -> Scene:
    """The scene in a JSON file; raises GessoError saying where it is wrong and what would be right."""
    place = Path(path).expanduser()
    if place.is_dir():
        raise GessoError(f"{place} is a folder; the scene is one JSON file.", "Name a scene in it.")
    return scene_of(read_json(place))


def scene_of(values: Any) -> Scene:
    """The scene in plain values, such as JSON gives; raises GessoError saying where it is wrong."""
    if not isinstance(values, Mapping):
        raise GessoError(
            "A scene is an object with 'layers'.", 'For example: {"layers": [{"kind": "text", "text": "A"}]}.'
        )
    listed = values.get("layers")
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes) or not listed:
        raise GessoError("The scene has no layers.", "Give a list of at least one as 'layers'.")
    layers = tuple(_layer(number, layer) for number, layer in enumerate(listed, 1))
    names = [layer.id for layer in layers if layer.id is not None]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise GessoError(f"Two layers are named '{twice}'.", "Give each layer an id of its own.")
    formats = {str(name): _format(name, given) for name, given in _items(values.get("formats", {}), "formats")}
    variants = {
        str(name): dict(_items(given, f"variant '{name}'"))
        for name, given in _items(values.get("variants", {}), "variants")
    }
    scene = _within("scene", Scene, {**values, "layers": layers, "formats": formats, "variants": variants})
    _check_changes(scene)
    return scene


def called(number: int, layer: Layer) -> str:
    """How people call a layer: its number, counted from the lowest as 1, and its name."""
    return f"layer {number}" + (f" ('{layer.id}')" if layer.id else "")


def begun(text: str) -> str:
    """A text as a sentence begins."""
    return text[:1].upper() + text[1:]


def changed(scene: Scene, *changes: Mapping[str, Mapping[str, Any]]) -> tuple[Layer, ...]:
    """The layers with choices laid over them, by their names: first a variant's, then a format's."""
    out = []
    for number, layer in enumerate(scene.layers, 1):
        for change in changes:
            if layer.id is not None and layer.id in change:
                values = merged(layer.model_dump(exclude_unset=True), dict(change[layer.id]))
                layer = _within(called(number, layer), type(layer), values)
                _consistent(number, layer)
        out.append(layer)
    return tuple(out)


def _layer(number: int, values: Any) -> Layer:
    if isinstance(values, Layer):
        return values
    if not isinstance(values, Mapping):
        raise GessoError(
            f"layer {number} is no object.".capitalize(), 'Write for example {"kind": "text", "text": "A"}.'
        )
    name = values.get("id")
    where = f"layer {number}" + (f" ('{name[:80]}')" if isinstance(name, str) else "")
    kind = values.get("kind")
    if not isinstance(kind, str):
        problem = "has no kind" if kind is None else "has a kind that is no word"
        raise GessoError(f"{begun(where)} {problem}.", f"Give its 'kind': {', '.join(KINDS)}.")
    if kind not in KINDS:
        raise GessoError(f"{begun(where)}: there is no kind '{kind[:80]}'.", nearest(kind[:80], KINDS))
    layer = _within(where, KINDS[kind], values)
    _consistent(number, layer)
    return layer


def _consistent(number: int, layer: Layer) -> None:
    """Raises GessoError for choices that do not go together."""
    where = begun(called(number, layer))
    if isinstance(layer, ColourLayer) and (layer.colour is None) == (len(layer.gradient) < 2):
        raise GessoError(f"{where} needs one colour, or a gradient of two or more.", "Give 'colour' or 'gradient'.")
    if isinstance(layer, SheetLayer) and layer.rotation % 360:
        raise GessoError(f"{where}: a sprite sheet is not turned.", "Leave out 'rotation'.")


def _format(name: Any, values: Any) -> Format:
    where = f"format '{str(name)[:80]}'"
    if isinstance(values, Format):
        return values
    made = _within(where, Format, {"size": values} if isinstance(values, str) else values)
    if made.size is None:
        if str(name) not in PRESETS:
            raise GessoError(
                f"The {where} has no size.", f"Give its 'size'. {nearest(str(name)[:80], PRESETS)}".strip()
            )
        made = made.model_copy(update={"size": PRESETS[str(name)]})
    return made


def _check_changes(scene: Scene) -> None:
    """Raises GessoError where formats or variants change layers that are not there, or in ways that do not fit."""
    if max(len(scene.formats), 1) * max(len(scene.variants), 1) > MANY:
        raise GessoError(f"The scene asks for more than {MANY:,} pictures.", "Make it in several scenes.")
    known = [layer.id for layer in scene.layers if layer.id is not None]
    sets = [(f"format '{name}'", form.layers) for name, form in scene.formats.items()]
    sets += [(f"variant '{name}'", change) for name, change in scene.variants.items()]
    for where, change in sets:
        for name, values in change.items():
            if name not in known:
                remedy = nearest(name, known) or "Give the layer an 'id' by which it can be changed."
                raise GessoError(f"The {where} changes a layer '{name}' that is not there.", remedy)
            fixed = next((key for key in ("kind", "id") if key in values), None)
            if fixed:
                raise GessoError(f"The {where} changes the {fixed} of layer '{name}'.", "Make another layer of it.")
        try:
            changed(scene, change)
        except GessoError as error:
            raise GessoError(f"In the {where}: {error.problem}", error.remedy) from None


def _items(values: Any, what: str) -> list[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        raise GessoError(f"The scene's {what} are no object.", 'Write {"name": {…}, …}.')
    return list(values.items())


def _within(where: str, kind: type[Options], values: Any) -> Any:
    """Options of plain values; raises GessoError with its place before the sentence."""
    if not isinstance(values, Mapping):
        raise GessoError(f"The {where} is no object.", "Write {…} around its choices.")
    try:
        return kind.of(values)
    except GessoError as error:
        problem = error.problem if len(error.problem) <= LONGEST else error.problem[:LONGEST] + " …"
        raise GessoError(f"{begun(where)}: {problem[:1].lower()}{problem[1:]}", error.remedy) from None


def as_plain(scene: Scene) -> dict[str, Any]:
    """A scene as plain values, as short as it was written."""
    values = scene.model_dump(exclude_unset=True, exclude={"layers"})
    values["layers"] = [
        {"kind": getattr(layer, "kind", ""), **layer.model_dump(exclude_unset=True)} for layer in scene.layers
    ]
    return json.loads(json.dumps(values))
