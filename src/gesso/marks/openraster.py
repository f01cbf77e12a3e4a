"""Pictures in layers, as files that Krita, GIMP and MyPaint open: OpenRaster 0.0.5 (openraster.org)."""

import io
import zipfile
from collections.abc import Sequence
from typing import Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gesso.marks.picture import as_pil, encode
from gesso.marks.recipe import Recipe

__all__ = ["Sheet", "open_raster", "shading"]

LARGEST = 256  # pixels of a side of the small picture by which file managers show it
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # so that the same layers are the same bytes


class Sheet(NamedTuple):
    """A layer. image: h w c, premultiplied where c = 4; blend: how it is laid on those below it."""

    name: str
    image: UInt8[np.ndarray, "h w c"]
    blend: Literal["svg:src-over", "svg:multiply", "svg:plus"] = "svg:src-over"


def shading(
    whole: UInt8[np.ndarray, "h w 3"], pasted: UInt8[np.ndarray, "h w 3"]
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]]:
    """What to multiply with pasted layers, then what to add, so that the whole comes of it, to a step of 256."""
    share = np.minimum(whole / np.maximum(pasted, 1), 1.0)
    shade = np.where(pasted > 0, np.ceil(share * 255), 255).astype(np.uint8)
    dimmed = np.round(pasted / 255 * shade)
    return shade, np.clip(whole - dimmed, 0, 255).astype(np.uint8)


def open_raster(whole: UInt8[np.ndarray, "h w c"], layers: Sequence[Sheet], recipe: Recipe | None = None) -> bytes:
    """A layered picture as the bytes of a file (.ora). layers: the lowest first; whole: what they make together, which
    carries the recipe.
    """
    height, width = whole.shape[:2]
    stack = ElementTree.Element("image", version="0.0.5", w=str(width), h=str(height))
    inner = ElementTree.SubElement(stack, "stack")
    pictures: dict[str, bytes] = {}
    for number, layer in reversed([*enumerate(layers)]):
        place = f"data/layer{number}.png"
        pictures[place] = encode(layer.image, "png", bare=True)
        ElementTree.SubElement(
            inner, "layer", {"name": layer.name, "src": place, "composite-op": layer.blend, "x": "0", "y": "0"}
        )
    small, shown = io.BytesIO(), as_pil(whole)
    shown.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    shown.save(small, "PNG")
    pictures |= {
        "mergedimage.png": encode(whole, "png", recipe, bare=True),
        "Thumbnails/thumbnail.png": small.getvalue(),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        parts = {"mimetype": b"image/openraster", "stack.xml": ElementTree.tostring(stack, "utf-8"), **pictures}
        for name, data in parts.items():  # stored as they are, the kind first: so the format wants it
            file.writestr(zipfile.ZipInfo(name, LONG_AGO), data)
    return out.getvalue()
