"""A scene, declared once: its layers, where they lie, how they are blended, and the formats it is made in.

    {"layers": [{"kind": "picture", "picture": "beach.jpg", "width": "100%", "height": "100%", "fit": "cover"},
                {"kind": "text", "id": "headline", "text": "Sun, now", "size": "12%", "y": "15%"}],
     "formats": {"square": {}, "story": {"layers": {"headline": {"y": "10%"}}}}}

Layers lie on each other in their order, the first lowest. A length is a number of pixels (of the scene's own size;
in other formats it scales with the shorter side), a share of the canvas such as 50%, a measure of paper such as 3mm,
or a sum of them: 100% - 40px. A size of 100% always reaches from edge to edge; a smaller share is of the canvas's
side or, where a format is longer than the scene's own shape scaled to its shorter side, of that shape: so a picture
that fills half of a square's height is not twice as large in a story. Shares that a format itself chooses are of its
own sides.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, JsonValue, StringConstraints

from gesso.options import Field, Options
from gesso.scene.units import PRESETS, Colour, Length, Size

__all__ = [
    "KINDS",
    "Anchor",
    "ColourLayer",
    "Format",
    "GeneratedLayer",
    "Layer",
    "PictureLayer",
    "Scene",
    "Shadow",
    "SheetLayer",
    "TextLayer",
    "merged",
]

Anchor = Literal[
    "centre", "top", "bottom", "left", "right", "top-left", "top-right", "bottom-left", "bottom-right"
]  # fmt: skip
Blend = Literal["normal", "multiply", "screen", "seamless"]
Fit = Literal["contain", "cover", "stretch", "retarget"]

NAME = r"^[^/\\\x00-\x1f]{1,80}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]


def _known_size(text: str) -> str:
    return PRESETS.get(text.strip().lower(), text) if isinstance(text, str) else text


class Shadow(Options):
    """The soft shadow of a layer, from its alpha, and the dark line where it stands on a floor."""

    x: Length = Field(default="0", description="How far to the right it falls, a length.")
    y: Length = Field(default="1.2%", description="How far down it falls, a length; percents are of the shorter side.")
    blur: Length = Field(default="2%", description="How soft it is: twice the blur's standard deviation, a length.")
    colour: Colour = Field(default="#101018", description="Its colour.")
    opacity: float = Field(default=0.35, ge=0, le=1, description="How dark it is; 0 is none.")
    contact: float = Field(
        default=0,
        ge=0,
        le=1,
        description="How dark the floor is right below the layer, as if it stood there; 0 is none.",
    )
    cast: float = Field(
        default=0, ge=0, le=1, description="How dark the shadow is that it casts along the floor; 0 is none."
    )
    lean: float = Field(
        default=35, ge=-80, le=80, description="Degrees by which the cast shadow leans to the right from straight back."
    )


class Layer(Options):
    """What every layer has: a name, a place, a size, and how it is laid on what lies below."""

    id: Name | None = Field(default=None, description="Its name, by which formats and variants speak of it.")
    hidden: bool = Field(default=False, description="Leave it out.")
    x: Length = Field(default="50%", description="Where its anchor lies from the left, a length.")
    y: Length = Field(default="50%", description="Where its anchor lies from the top, a length.")
    anchor: Anchor = Field(default="centre", description="The point of the layer that lies at x, y.")
    width: Length | None = Field(default=None, description="Its width, a length; by its own shape if not given.")
    height: Length | None = Field(default=None, description="Its height, a length; by its own shape if not given.")
    opacity: float = Field(default=1, ge=0, le=1, description="How opaque it is.")
    rotation: float = Field(default=0, ge=-360, le=360, description="Degrees that it is turned clockwise.")
    blend: Blend = Field(
        default="normal",
        description="How it meets what lies below; seamless keeps its gradients and takes the colours there.",
    )
    shadow: Shadow = Field(default=Shadow(opacity=0), description="Its shadow; none if not given.")


class _Pictured(Layer):
    """What all layers of pixels have in common."""

    fit: Fit = Field(
        default="contain",
        description="How it fills width and height: whole within, cut to cover, stretched, or retargeted.",
    )
    focus: tuple[Length, Length] = Field(
        default=("50%", "50%"), description="The point of the picture that stays in sight when it is cut."
    )
    crop: Literal["", "circle"] = Field(default="", description="circle: only the ellipse within its box is shown.")
    radius: Length = Field(default="0", description="Radius of its rounded corners, a length.")
    flip: Literal["none", "horizontal", "vertical"] = Field(default="none", description="How it is mirrored.")
    resample: Literal["smooth", "pixel"] = Field(
        default="smooth", description="How it is enlarged: smooth, or pixel, for pixel art."
    )
    mask: Path | None = Field(
        default=None, description="A picture of the same shape: only where it is white is the layer seen."
    )
    protect: Path | None = Field(
        default=None, description="A picture of the same shape, white on what retargeting must not bend."
    )
    mixed: bool = Field(
        default=False, description="Blend seamless: keep the stronger of both gradients, so that texture shows through."
    )
    harmonise: float = Field(
        default=0, ge=0, le=1, description="How far its colours go towards those of the scene around it."
    )
    stroke: float = Field(
        default=0, ge=0, le=1, description="How freely it is painted anew with the strokes of the scene below it."
    )


class PictureLayer(_Pictured):
    """A picture from a file."""

    kind: Literal["picture"] = Field(default="picture", description="What it is.")
    picture: Path = Field(description="The file, seen from the scene's folder.")
    cutout: bool = Field(default=False, description="Take the object off its plain background.")
    holes: bool = Field(default=False, description="With cutout: off the background seen through holes, too.")


class GeneratedLayer(_Pictured):
    """A picture that a trained generator draws."""

    kind: Literal["generated"] = Field(default="generated", description="What it is.")
    run: str = Field(
        min_length=1, max_length=200, description="The run: its number, its name, or its data set for the latest."
    )
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the picture.")
    label: str | None = Field(default=None, max_length=200, description="What to draw; by the seed if not given.")
    cutout: bool = Field(default=False, description="Take the object off its plain background.")
    holes: bool = Field(default=False, description="With cutout: off the background seen through holes, too.")


class ColourLayer(Layer):
    """One colour, or a gradient of several, in a box; the whole canvas if no size is given."""

    kind: Literal["colour"] = Field(default="colour", description="What it is.")
    colour: Colour | None = Field(default=None, description="The colour.")
    gradient: tuple[Colour, ...] = Field(
        default=(), max_length=16, description="Two colours or more, blended evenly from the first to the last."
    )
    angle: float = Field(
        default=90, ge=-360, le=360, description="Degrees of the gradient: 0 is to the right, 90 downwards."
    )
    radius: Length = Field(default="0", description="Radius of its rounded corners, a length; 50% makes a pill.")
    width: Length | None = Field(default="100%", description="Its width, a length.")
    height: Length | None = Field(default="100%", description="Its height, a length.")


class TextLayer(Layer):
    """Words in a real font, wrapped to a width and made smaller until they fit into a height."""

    kind: Literal["text"] = Field(default="text", description="What it is.")
    text: str = Field(min_length=1, max_length=5000, description="The words; a line break begins a new line.")
    font: Path | None = Field(
        default=None,
        description="A font file, seen from the scene's folder, or a family's name with its style: DejaVu Sans Bold.",
    )
    size: Length = Field(default="6%", description="Height of the letters' square, a length of the shorter side.")
    colour: Colour = Field(default="black", description="Colour of the letters.")
    align: Literal["left", "centre", "right"] = Field(default="centre", description="Where the lines begin.")
    spacing: float = Field(default=1.2, ge=0.5, le=5, description="From line to line, in sizes of the letters.")
    tracking: float = Field(default=0, ge=-0.2, le=2, description="Space between letters, in sizes of the letters.")
    balance: bool = Field(default=True, description="Break lines so that they are about equally long.")
    smallest: Length = Field(default="8", description="The size below which letters are not made smaller, a length.")
    outline: Length = Field(default="0", description="Width of the line around the letters, a length.")
    outline_colour: Colour = Field(default="white", description="Colour of the line around the letters.")


class SheetLayer(Layer):
    """A sprite sheet: many pictures on a grid, with an atlas that tells where each lies."""

    kind: Literal["sheet"] = Field(default="sheet", description="What it is.")
    pictures: tuple[Path, ...] = Field(
        min_length=1,
        max_length=4096,
        description="The files, or patterns such as walk/*.png, seen from the scene's folder.",
    )
    columns: int | None = Field(
        default=None, ge=1, le=4096, description="How many in a row; about a square if not given."
    )
    cell: Size | None = Field(
        default=None, description="Width and height of a cell, pixels; the largest picture's if not given."
    )
    gap: int = Field(default=0, ge=0, le=1000, description="Pixels between cells.")
    margin: int = Field(default=0, ge=0, le=1000, description="Pixels around them all.")
    trim: bool = Field(default=False, description="Cut transparent edges off every picture first.")
    cutout: bool = Field(default=False, description="Take the objects off their plain backgrounds.")
    holes: bool = Field(default=False, description="With cutout: off the background seen through holes, too.")
    resample: Literal["smooth", "pixel"] = Field(
        default="smooth", description="How pictures larger than a cell are made smaller."
    )


KINDS: dict[str, type[Layer]] = {
    "picture": PictureLayer,
    "generated": GeneratedLayer,
    "colour": ColourLayer,
    "text": TextLayer,
    "sheet": SheetLayer,
}


class Format(Options):
    """One of the shapes that a scene is made in."""

    size: Annotated[Size, BeforeValidator(_known_size)] | None = Field(
        default=None, description="Width and height, such as 1080x1350 or 210mm x 297mm, or a name such as story."
    )
    dpi: float | None = Field(
        default=None, ge=10, le=2400, description="Dots an inch; 300 on paper if not given, unsaid on screens."
    )
    bleed: Length = Field(default="0", description="What is added on every side to be cut off, a length such as 3mm.")
    file: Literal["png", "jpg", "webp", "avif"] | None = Field(
        default=None, description="Kind of file; the task's if not given."
    )
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Of jpg, webp, avif; webp is lossless if not given."
    )
    layers: dict[Name, dict[str, JsonValue]] = Field(
        default={}, description="What is otherwise in this format: choices of layers, by the layers' names."
    )


class Scene(Options):
    """Layers, and the formats that they are made in."""

    size: Annotated[Size, BeforeValidator(_known_size)] | None = Field(
        default=None,
        description="The scene's own size: the first format's, else the first picture's or sheet's, if not given.",
    )
    ground: Colour = Field(default="transparent", description="The colour below all layers.")
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=1000, description="The layers, the lowest first.")
    formats: dict[Name, Format] = Field(
        default={}, description="The formats by their names; one, 'scene', if not given."
    )
    variants: dict[Name, dict[Name, dict[str, JsonValue]]] = Field(
        default={}, description="Named sets of choices of layers, by the layers' names; all formats are made of each."
    )


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Choices with others laid over them, within choices of choices too."""
    out = dict(base)
    for key, value in change.items():
        inner = out.get(key)
        out[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return out
