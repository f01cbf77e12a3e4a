"""Each kind of layer as pixels at its place: fitted, cut, mirrored, rounded, turned."""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from gesso import memory
from gesso.errors import GessoError
from gesso.scene.choices import CutOptions
from gesso.scene.cutout import cut_out
from gesso.scene.layers import ColourLayer, GeneratedLayer, Layer, PictureLayer, SheetLayer, TextLayer
from gesso.scene.loading import Bytes, Loader
from gesso.scene.pixels import Layered, as_layered, filled, gradient, resized, rotated, unmultiplied
from gesso.scene.placing import Canvas, Placed, boxed, placed
from gesso.scene.sprites import Frame, grid
from gesso.scene.text import set_text
from gesso.scene.units import colour

__all__ = ["Made", "afford", "made"]

COPIES, SEAMLESS = 10, 18  # of a canvas's floats that are in memory at once, at most, as measured at 12 megapixels
BYTES = 16  # of a pixel: four floats


@dataclass
class Made:
    """A layer as pixels. notes: sentences to be said of it; frames: of a sprite sheet, on the canvas."""

    thing: Placed
    notes: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


def made(layer: Layer, canvas: Canvas, loader: Loader, seed: int) -> Made:
    """A layer as pixels at its place on the canvas, without opacity, shadow and blending; raises GessoError."""
    if isinstance(layer, PictureLayer | GeneratedLayer):
        return Made(_turned(layer, canvas, _picture(layer, canvas, loader, seed), layer.resample))
    if isinstance(layer, ColourLayer):
        return Made(_coloured(layer, canvas))
    if isinstance(layer, TextLayer):
        return _text(layer, canvas, loader)
    assert isinstance(layer, SheetLayer)
    return _sheet(layer, canvas, loader)


def afford(width: float, height: float, what: str, copies: int = COPIES) -> int:
    """The bytes that so many pixels need; raises GessoError, before they are taken, when fewer are free."""
    needed = int(width * height) * BYTES * copies
    memory.afford(needed, f"{what} is {width:,.0f}×{height:,.0f} pixels, which", "Make it smaller, or lower its dpi.")
    return needed


def natural(layer: Layer, loader: Loader) -> Bytes | None:
    """A picture layer's own pixels, off their background where that is asked; None for other kinds."""
    if isinstance(layer, PictureLayer):
        image = loader.picture(layer.picture)
        return cut_out(image, CutOptions(holes=layer.holes), layer.picture).image if layer.cutout else image
    if isinstance(layer, GeneratedLayer):
        image = loader.drawn(layer.run, layer.seed, layer.label)
        named = f"seed {layer.seed} of {layer.run}"
        return cut_out(image, CutOptions(holes=layer.holes), named).image if layer.cutout else image
    return None


def _picture(layer: PictureLayer | GeneratedLayer, canvas: Canvas, loader: Loader, seed: int) -> Layered:
    """A picture masked, fitted to its box, mirrored and rounded."""
    pixels = natural(layer, loader)
    assert pixels is not None
    image = as_layered(pixels)
    if layer.mask is not None:
        image = image * _mask(loader, layer.mask, image.shape[:2])[..., None]
    if layer.flip != "none":
        image = image[:, ::-1] if layer.flip == "horizontal" else image[::-1]
    high, wide = image.shape[:2]
    width, height = boxed(layer, canvas, (wide, high), layer.fit)
    afford(width, height, "It")
    both = layer.width is not None and layer.height is not None
    if layer.fit == "cover" and both:
        image = resized(_covering(image, width, height, layer.focus), height, width, layer.resample)
    elif layer.fit == "retarget" and both:
        image = _retargeted(image, height, width, layer, loader, seed)
    else:
        image = resized(image, height, width, layer.resample)
    radius = canvas.short(layer.radius, min(width, height))
    return _rounded(image, min(width, height) if layer.crop == "circle" else radius, layer.crop == "circle")


def _mask(loader: Loader, name: str, shape: tuple[int, int]) -> np.ndarray:
    """How white a mask is, in [0, 1], h w; it must be of the picture's size."""
    image = as_layered(loader.picture(name))
    if image.shape[:2] != shape:
        raise GessoError(
            f"The mask {name} is {image.shape[1]}×{image.shape[0]}, the picture {shape[1]}×{shape[0]}.",
            "Make the mask at the picture's size.",
        )
    return image[..., :3].mean(axis=2)


def _covering(image: Layered, width: int, height: int, focus: tuple[str, str]) -> Layered:
    """The largest piece of a picture that has the box's shape, as near as can be to having the focus in its middle."""
    high, wide = image.shape[:2]
    piece_wide = min(wide, max(round(high * width / height), 1))
    piece_high = min(high, max(round(wide * height / width), 1))
    own = Canvas((wide, high), 1.0, (wide, high))
    left = min(max(round(own.point(focus[0], 0) - piece_wide / 2), 0), wide - piece_wide)
    top = min(max(round(own.point(focus[1], 1) - piece_high / 2), 0), high - piece_high)
    return image[top : top + piece_high, left : left + piece_wide]


def _retargeted(
    image: Layered, height: int, width: int, layer: PictureLayer | GeneratedLayer, loader: Loader, seed: int
) -> Layered:
    """A picture brought to another shape by the patch engine, from a size halfway between `contain` and `cover`."""
    if (image[..., 3] < 1).any():
        raise GessoError("Only pictures without transparency can be retargeted.", "Choose fit cover or contain.")
    from gesso.patch import final, retarget

    high, wide = image.shape[:2]
    scale = math.sqrt(width / wide * height / high)
    size = (max(round(high * scale), 1), max(round(wide * scale), 1))
    protect = None
    if layer.protect is not None:
        mask = _mask(loader, layer.protect, (high, wide)).astype(np.float32)
        protect = np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)) > 0.5
        if layer.flip != "none":
            protect = protect[:, ::-1] if layer.flip == "horizontal" else protect[::-1]
    found = final(retarget(unmultiplied(resized(image, *size)), height, width, protect=protect, seed=seed))
    return np.dstack([found, np.ones((height, width), np.float32)]).astype(np.float32)


def _rounded(image: Layered, radius: float, ellipse: bool = False) -> Layered:
    """A picture with round corners, or only the ellipse within it; edges one pixel soft."""
    if radius <= 0 and not ellipse:
        return image
    high, wide = image.shape[:2]
    x = np.abs(np.arange(wide, dtype=np.float32) + 0.5 - wide / 2)[None]
    y = np.abs(np.arange(high, dtype=np.float32) + 0.5 - high / 2)[:, None]
    if ellipse:
        far = np.hypot(x / (wide / 2), y / (high / 2))
        steep = np.hypot(x / (wide / 2) ** 2, y / (high / 2) ** 2) / np.maximum(far, 1e-6)
        cover = np.clip((1 - far) / np.maximum(steep, 1e-6) + 0.5, 0, 1)
    else:
        r = min(radius, wide / 2, high / 2)
        dx, dy = np.maximum(x - (wide / 2 - r), 0), np.maximum(y - (high / 2 - r), 0)
        cover = np.clip(r - np.hypot(dx, dy) + 0.5, 0, 1)
        cover = np.where((dx > 0) & (dy > 0), cover, 1)
    return image * cover[..., None].astype(np.float32)


def _turned(layer: Layer, canvas: Canvas, image: Layered, how: str = "smooth") -> Placed:
    """A picture at its place, turned about its middle."""
    high, wide = image.shape[:2]
    left, top = placed(layer, canvas, wide, high)
    if layer.rotation % 360 == 0:
        return Placed(image, left, top)
    turned = rotated(image, layer.rotation % 360, "pixel" if how == "pixel" else "smooth")
    return Placed(turned, left - round((turned.shape[1] - wide) / 2), top - round((turned.shape[0] - high) / 2))


def _coloured(layer: ColourLayer, canvas: Canvas) -> Placed:
    """A box of colour; sides that reach the edge of what remains of a print go on through its bleed."""
    width, height = boxed(layer, canvas, canvas.trim, "stretch")
    left, top = placed(layer, canvas, width, height)
    if canvas.bleed and layer.rotation % 360 == 0:
        right, bottom = left + width, top + height
        left = 0 if left <= canvas.bleed else left
        top = 0 if top <= canvas.bleed else top
        right = canvas.width if right >= canvas.width - canvas.bleed else right
        bottom = canvas.height if bottom >= canvas.height - canvas.bleed else bottom
        width, height = max(right - left, 1), max(bottom - top, 1)
    afford(width, height, "It")
    if layer.colour is not None:
        image = filled(height, width, colour(layer.colour))
    else:
        image = gradient(height, width, [colour(stop) for stop in layer.gradient], layer.angle)
    image = _rounded(image, canvas.short(layer.radius, min(width, height)))
    if layer.rotation % 360 == 0:
        return Placed(image, left, top)
    return _turned(layer, canvas, image)


def _text(layer: TextLayer, canvas: Canvas, loader: Loader) -> Made:
    """Set words at their place."""
    found, missing = loader.font(layer.font, layer.text)
    size = canvas.short(layer.size)
    lines = layer.text.count("\n") + 1
    afford(size * max(len(line) for line in layer.text.split("\n")), size * lines * layer.spacing, "Its text")
    block = set_text(layer, found, canvas)
    notes = []
    if missing:
        shown = " ".join(missing[:12]) + (" …" if len(missing) > 12 else "")
        notes.append(f"The font {layer.font or 'at hand'} has no letters for: {shown}. Name a font that has them.")
    if not block.fits:
        notes.append(
            f"The text does not fit into its box, even at {block.size:.0f} pixels: give more room or fewer words."
        )
    left, top = placed(layer, canvas, block.width, block.height)
    image = block.image
    if layer.rotation % 360 == 0:
        return Made(Placed(image, left - block.margin, top - block.margin), notes)
    turned = rotated(image, layer.rotation % 360)
    centre_x = left - block.margin + image.shape[1] / 2
    centre_y = top - block.margin + image.shape[0] / 2
    return Made(Placed(turned, round(centre_x - turned.shape[1] / 2), round(centre_y - turned.shape[0] / 2)), notes)


def sheet_pictures(layer: SheetLayer, loader: Loader) -> list[tuple[str, Bytes]]:
    """The pictures of a sheet, each with its name, off their backgrounds where that is asked."""
    found = loader.pictures(layer.pictures)
    if not layer.cutout:
        return found
    chosen = CutOptions(holes=layer.holes)
    return [(name, cut_out(image, chosen, name).image) for name, image in found]


def _sheet(layer: SheetLayer, canvas: Canvas, loader: Loader) -> Made:
    """A sprite sheet at its place, and its frames as they lie on the canvas."""
    sheet = grid(layer, [(name, as_layered(image)) for name, image in sheet_pictures(layer, loader)])
    high, wide = sheet.image.shape[:2]
    width, height = boxed(layer, canvas, (wide, high), "contain")
    afford(width, height, "It")
    left, top = placed(layer, canvas, width, height)
    across, down = width / wide, height / high
    frames = [
        Frame(
            one.name, left + round(one.x * across), top + round(one.y * down),
            round(one.width * across), round(one.height * down),
            (round(one.trimmed[0] * across), round(one.trimmed[1] * down)),
            (round(one.source[0] * across), round(one.source[1] * down)),
        )
        for one in sheet.frames
    ]  # fmt: skip
    return Made(Placed(resized(sheet.image, height, width, layer.resample), left, top), frames=frames)
