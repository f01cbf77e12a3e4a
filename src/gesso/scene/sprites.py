"""Sprite sheets: many pictures on a grid, and the atlas that tells where each lies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gesso import __version__
from gesso.errors import GessoError
from gesso.scene.layers import SheetLayer
from gesso.scene.pixels import Layered, resized
from gesso.scene.units import paper

__all__ = ["Frame", "Grid", "atlas", "grid"]


@dataclass(frozen=True)
class Frame:
    """One picture of a sheet, in pixels. x, y, width, height: what of the sheet it takes, without trimmed edges.

    trimmed: left and top of what was kept of the picture. source: the picture's own width and height.
    """

    name: str
    x: int
    y: int
    width: int
    height: int
    trimmed: tuple[int, int]
    source: tuple[int, int]


@dataclass
class Grid:
    """A sheet, and where every picture of it lies."""

    image: Layered
    frames: list[Frame]


def _sheet_size(layer: SheetLayer, sizes: Sequence[tuple[int, int]]) -> tuple[int, int, int, int, int]:
    """Width and height of a sheet, of its cells, and its columns. sizes: width and height of the pictures, pixels."""
    if layer.cell is None:
        wide, high = max(size[0] for size in sizes), max(size[1] for size in sizes)
    else:
        cell = paper(layer.cell)
        if cell.physical:
            raise GessoError(f"The sheet's cell {layer.cell} is a measure of paper.", "Give pixels, such as 64x64.")
        wide, high = int(cell.width), int(cell.height)
    columns = min(layer.columns or math.ceil(math.sqrt(len(sizes) * high / wide)), len(sizes))
    rows = math.ceil(len(sizes) / columns)
    across = columns * (wide + layer.gap) - layer.gap + 2 * layer.margin
    down = rows * (high + layer.gap) - layer.gap + 2 * layer.margin
    return across, down, wide, high, columns


def _trimmed(image: Layered) -> tuple[Layered, int, int]:
    """A picture without its transparent edges, and left and top of what was kept; at least one pixel."""
    seen = image[..., 3] > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return image[:1, :1], 0, 0
    top, left = int(rows[0]), int(columns[0])
    return image[top : rows[-1] + 1, left : columns[-1] + 1], left, top


def grid(layer: SheetLayer, pictures: Sequence[tuple[str, Layered]]) -> Grid:
    """Pictures, each with a name, in the middle of their cells; larger ones are made smaller to fit."""
    cut = [(*_trimmed(image), image.shape) if layer.trim else (image, 0, 0, image.shape) for _, image in pictures]
    across, down, wide, high, columns = _sheet_size(layer, [(one[0].shape[1], one[0].shape[0]) for one in cut])
    out, frames = np.zeros((down, across, 4), np.float32), list[Frame]()
    for number, ((name, _), (image, left, top, shape)) in enumerate(zip(pictures, cut, strict=True)):
        scale = min(wide / image.shape[1], high / image.shape[0], 1.0)
        size = [max(round(side * scale), 1) for side in image.shape[:2]]
        image = resized(image, size[0], size[1], layer.resample)
        x = layer.margin + (number % columns) * (wide + layer.gap) + (wide - size[1]) // 2
        y = layer.margin + (number // columns) * (high + layer.gap) + (high - size[0]) // 2
        out[y : y + size[0], x : x + size[1]] = image
        source = (round(shape[1] * scale), round(shape[0] * scale))
        frames.append(Frame(name, x, y, size[1], size[0], (round(left * scale), round(top * scale)), source))
    return Grid(out, frames)


def atlas(frames: Sequence[Frame], image: str, width: int, height: int) -> dict[str, Any]:
    """The atlas as plain values, in the form that TexturePacker calls a JSON hash and that game engines read."""
    return {
        "frames": {
            one.name: {
                "frame": {"x": one.x, "y": one.y, "w": one.width, "h": one.height},
                "rotated": False,
                "trimmed": (one.width, one.height) != one.source,
                "spriteSourceSize": {"x": one.trimmed[0], "y": one.trimmed[1], "w": one.width, "h": one.height},
                "sourceSize": {"w": max(one.source[0], one.width), "h": max(one.source[1], one.height)},
            }
            for one in frames
        },
        "meta": {
            "app": "gesso", "version": __version__, "image": image, "format": "RGBA8888",
            "size": {"w": width, "h": height}, "scale": "1",
        },
    }  # fmt: skip
