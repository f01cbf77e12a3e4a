"""Where layers lie: lengths, shares and anchors become pixels of a format's canvas."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from gesso.scene.layers import Layer
from gesso.scene.pixels import Layered
from gesso.scene.units import Paper, measured

__all__ = ["Canvas", "Placed", "boxed", "canvas_of", "placed", "window"]

PAPER_DPI, SCREEN_DPI = 300.0, 96.0


@dataclass(frozen=True)
class Canvas:
    """A format in pixels. trim: width and height that remain when the bleed is cut off.

    scale: pixels of this canvas for one of the scene's own, shorter side to shorter side. reach: what shares of the
    width and of the height below 1 are of: the scene's own shape at that scale, where that is shorter than the canvas.
    dpi: dots an inch, 0 where nobody said.
    """

    trim: tuple[int, int]
    scale: float
    reach: tuple[float, float]
    bleed: int = 0
    dpi: float = 0.0

    @property
    def width(self) -> int:
        """Pixels from edge to edge, bleed included."""
        return self.trim[0] + 2 * self.bleed

    @property
    def height(self) -> int:
        """Pixels from top to bottom, bleed included."""
        return self.trim[1] + 2 * self.bleed

    def chosen(self, names: Collection[str]) -> "Canvas":
        """The canvas for a layer whose width or height was chosen for this format: those are of its own sides."""
        reach = [
            float(side) if name in names else reach
            for name, side, reach in zip(("width", "height"), self.trim, self.reach, strict=True)
        ]
        return replace(self, reach=(reach[0], reach[1]))

    def side(self, length: str, axis: int) -> float:
        """A layer's width (axis 0) or height (1) in pixels; a share of 1 reaches from edge to edge, bleed included."""
        said, whole = measured(length), self.trim[axis]
        if said.share >= 1:
            shared = said.share * whole + (2 * self.bleed if said.share == 1 and said.pixels == said.inches == 0 else 0)
        else:
            shared = said.share * self.reach[axis]
        return shared + said.pixels * self.scale + said.inches * (self.dpi or SCREEN_DPI)

    def point(self, length: str, axis: int) -> float:
        """A place across (axis 0) or down (1), in pixels from the canvas's edge, bleed included."""
        said = measured(length)
        inside = said.share * self.trim[axis] + said.pixels * self.scale + said.inches * (self.dpi or SCREEN_DPI)
        return self.bleed + inside

    def short(self, length: str, side: float | None = None) -> float:
        """A length whose share is of the shorter side, or of the one that is given, in pixels."""
        said = measured(length)
        of = min(self.trim) if side is None else side
        return said.share * of + said.pixels * self.scale + said.inches * (self.dpi or SCREEN_DPI)


def canvas_of(paper: Paper, own: Paper, dpi: float | None, bleed: str) -> Canvas:
    """The canvas of a format of that size, in a scene of its own size."""
    dots = dpi or (PAPER_DPI if paper.physical else 0.0)
    wide, high = (max(round(side * dots if paper.physical else side), 1) for side in paper[:2])
    resolution = dots or PAPER_DPI
    shape = tuple(side * resolution if own.physical else side for side in own[:2])
    scale = min(wide, high) / min(shape)
    bare = Canvas((wide, high), scale, (min(wide, shape[0] * scale), min(high, shape[1] * scale)), 0, dots)
    return replace(bare, bleed=max(round(bare.short(bleed)), 0))


@dataclass
class Placed:
    """A picture and where its upper left corner lies on the canvas."""

    image: Layered
    left: int
    top: int


def boxed(layer: Layer, canvas: Canvas, natural: tuple[float, float], fit: str) -> tuple[int, int]:
    """Width and height in pixels of a layer whose own are `natural`; for `contain`, of what lies in the box."""
    wide, high = natural
    if layer.width is None and layer.height is None:
        return max(round(wide * canvas.scale), 1), max(round(high * canvas.scale), 1)
    asked_wide = None if layer.width is None else canvas.side(layer.width, 0)
    asked_high = None if layer.height is None else canvas.side(layer.height, 1)
    if asked_wide is not None and asked_high is not None:
        if fit != "contain":
            return max(round(asked_wide), 1), max(round(asked_high), 1)
        scale = min(asked_wide / wide, asked_high / high)
    elif asked_wide is not None:
        scale = asked_wide / wide
    else:
        assert asked_high is not None
        scale = asked_high / high
    return max(round(wide * scale), 1), max(round(high * scale), 1)


def placed(layer: Layer, canvas: Canvas, width: float, height: float) -> tuple[int, int]:
    """Left and top in whole pixels of a box of that size, by the layer's anchor."""
    left, top = canvas.point(layer.x, 0), canvas.point(layer.y, 1)
    across = 0.0 if "left" in layer.anchor else 1.0 if "right" in layer.anchor else 0.5
    down = 0.0 if "top" in layer.anchor else 1.0 if "bottom" in layer.anchor else 0.5
    return round(left - across * width), round(top - down * height)


def window(canvas: Layered, top: int, left: int, height: int, width: int) -> tuple[slice, slice, slice, slice] | None:
    """Where a box meets the canvas: rows and columns of the canvas, then of the box; None where it does not."""
    high, wide = canvas.shape[:2]
    y0, y1, x0, x1 = max(top, 0), min(top + height, high), max(left, 0), min(left + width, wide)
    if y0 >= y1 or x0 >= x1:
        return None
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
