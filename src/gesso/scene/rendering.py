"""A scene made in all its formats: layers laid on each other, one stream of steps and finished pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from gesso.errors import GessoError
from gesso.memory import said
from gesso.scene.blending import lay
from gesso.scene.content import COPIES, SEAMLESS, afford, made, natural, sheet_pictures
from gesso.scene.harmonise import harmonised, stroked
from gesso.scene.layers import Format, GeneratedLayer, Layer, PictureLayer, Scene, SheetLayer
from gesso.scene.loading import Loader
from gesso.scene.pixels import Layered, as_bytes, as_layered, filled
from gesso.scene.placing import Canvas, Placed, canvas_of, window
from gesso.scene.reading import begun, called, changed
from gesso.scene.shadow import shadow_of
from gesso.scene.sprites import Frame, grid
from gesso.scene.units import Paper, colour, paper

__all__ = ["Plan", "Rendered", "Step", "plans", "render"]

LARGE = 1 << 30  # bytes from which on it is said how many are taken


@dataclass(frozen=True)
class Step:
    """How far the work has come, in layers of all formats; note: a sentence to be said, a warning where `warns`."""

    done: int
    total: int
    note: str = ""
    warns: bool = False


@dataclass(frozen=True)
class Plan:
    """One picture that a scene asks for. memory: bytes that it takes while it is made."""

    name: str
    format: Format
    canvas: Canvas
    layers: tuple[Layer, ...]
    memory: int


@dataclass
class Rendered:
    """A finished picture. image: h w c bytes, c = 3, or 4 with colours not multiplied by alpha. dpi: None if unsaid.

    frames: of the sprite sheets in it.
    """

    plan: Plan
    image: UInt8[np.ndarray, "h w c"]
    frames: list[Frame] = field(default_factory=list)

    @property
    def dpi(self) -> float | None:
        """Dots an inch, where the format says so or is a measure of paper."""
        return self.plan.canvas.dpi or None


def plans(scene: Scene, loader: Loader) -> list[Plan]:
    """Every picture that a scene asks for, variants and formats, with the memory that it needs.

    Raises GessoError when there is less memory, or the scene's size cannot be told.
    """
    formats = dict(scene.formats)
    own = _own_size(scene, loader)
    if not formats:
        formats["scene"] = Format(size=_size(own))
    out = []
    for variant, change in (scene.variants or {"": {}}).items():
        for name, form in formats.items():
            assert form.size is not None
            title = f"{variant}-{name}" if variant else name
            sheet = paper(form.size)
            canvas = canvas_of(sheet, own, form.dpi, form.bleed)
            layers = changed(scene, change, form.layers)
            copies = SEAMLESS if any(layer.blend == "seamless" for layer in layers) else COPIES
            memory = afford(canvas.width, canvas.height, f"The format '{name}'", copies)
            out.append(Plan(title, form, canvas, layers, memory))
    return out


def render(scene: Scene, loader: Loader, seed: int = 0, only: tuple[str, ...] = ()) -> Iterator[Step | Rendered]:
    """Make a scene in all its formats, or only in those named; the same scene, files and seed give the same bits.

    Yields a Step a layer, sentences included, and a Rendered a picture. Raises GessoError naming the layer.
    """
    asked = [plan for plan in plans(scene, loader) if not only or plan.name in only]
    total, done = sum(len(plan.layers) for plan in asked), 0
    noted = set[str]()
    for plan in asked:
        canvas = filled(plan.canvas.height, plan.canvas.width, colour(scene.ground))
        frames: list[Frame] = []
        if plan.memory > LARGE:
            size = f"{plan.canvas.width:,}×{plan.canvas.height:,}"
            yield Step(done, total, f"'{plan.name}' is {size} pixels: about {said(plan.memory)} of memory.")
        for number, layer in enumerate(plan.layers, 1):
            done += 1
            if not layer.hidden:
                try:
                    shape = plan.canvas.chosen(plan.format.layers.get(layer.id or "", ()))
                    notes = _add(canvas, layer, shape, loader, seed + number, frames)
                except GessoError as error:
                    raise _at(number, layer, error) from None
                except MemoryError:
                    raise GessoError(
                        f"There is not enough memory for {called(number, layer)} of '{plan.name}'."
                    ) from None
                for note in notes:
                    sentence = f"{begun(called(number, layer))}: {note[:1].lower()}{note[1:]}"
                    if sentence not in noted:
                        noted.add(sentence)
                        yield Step(done, total, sentence, True)
            yield Step(done, total)
        yield Rendered(plan, as_bytes(canvas), frames)


def _add(canvas: Layered, layer: Layer, shape: Canvas, loader: Loader, seed: int, frames: list[Frame]) -> list[str]:
    """Lay one layer on the canvas, in place; returns what is to be said of it."""
    one = made(layer, shape, loader, seed)
    frames += one.frames
    thing = one.thing
    if isinstance(layer, PictureLayer | GeneratedLayer) and (layer.harmonise or layer.stroke):
        thing = _belonging(canvas, thing, layer, seed)
    shadow = shadow_of(thing, layer.shadow, shape)
    if shadow is not None:
        lay(canvas, shadow, "normal", layer.opacity)
    mixed = isinstance(layer, PictureLayer | GeneratedLayer) and layer.mixed
    lay(canvas, thing, layer.blend, layer.opacity, mixed)
    return one.notes


def _belonging(canvas: Layered, thing: Placed, layer: PictureLayer | GeneratedLayer, seed: int) -> Placed:
    """A layer harmonised with what lies below and around it."""
    room = max(thing.image.shape[:2]) // 4
    around = np.pad(thing.image, [(room, room), (room, room), (0, 0)])
    left, top = thing.left - room, thing.top - room
    found = window(canvas, top, left, *around.shape[:2])
    if found is None:
        return thing
    rows, columns, y, x = found
    piece, scene = around[y, x], canvas[rows, columns]
    piece = stroked(harmonised(piece, scene, layer.harmonise), scene, layer.stroke, seed)
    return Placed(piece, left + x.start, top + y.start)


def _own_size(scene: Scene, loader: Loader) -> Paper:
    """The scene's own size: as given, else its first format's, else that of its first picture or sheet."""
    first = next(iter(scene.formats.values()), None)
    size = scene.size or (first.size if first else None)
    if size is not None:
        return paper(size)
    for number, layer in enumerate(scene.layers, 1):
        try:
            if isinstance(layer, SheetLayer):
                pictures = sheet_pictures(layer, loader)
                high, wide = grid(layer, [(name, as_layered(image)) for name, image in pictures]).image.shape[:2]
                return Paper(wide, high, False)
            image = natural(layer, loader)
        except GessoError as error:
            raise _at(number, layer, error) from None
        if image is not None:
            return Paper(image.shape[1], image.shape[0], False)
    raise GessoError("The scene has no size.", "Give its 'size', such as 1080x1080, or 'formats'.")


def _at(number: int, layer: Layer, error: GessoError) -> GessoError:
    """A mistake with its layer before the sentence; paths keep their case."""
    problem = error.problem if error.problem.startswith("/") else error.problem[:1].lower() + error.problem[1:]
    return GessoError(f"{begun(called(number, layer))}: {problem}", error.remedy)


def _size(own: Paper) -> str:
    if own.physical:
        return f"{own.width * 25.4:.3f}mm x {own.height * 25.4:.3f}mm"
    return f"{own.width:.0f}x{own.height:.0f}"
