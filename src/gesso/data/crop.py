"""A picture of any shape -> one of the shape asked for: cut, padded or squeezed; enlarged or reduced.

Everything is computed with alpha multiplied in, so that no colour bleeds out of what is transparent.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image

__all__ = ["Crop", "Fitted", "fit"]

Crop = Literal["auto", "centre", "smart", "pad", "none"]
Box = tuple[float, float, float, float]

WHITE = (255, 255, 255)
SEEN = 250  # alpha below this is transparency that an eye can see
PIXEL_ART_COLOURS = 256
LOOK = 96  # pixels of the long side at which the smart crop looks


@dataclass
class Fitted:
    """A picture in its final shape.

    pixels: `h w 4` uint8, premultiplied. ground: RGB to lay under it when alpha is not kept, or None for
    the set's background. transparent: whether it had transparency of its own (padding does not count).
    """

    pixels: np.ndarray
    transparent: bool
    ground: tuple[int, int, int] | None = None
    notes: list[str] = field(default_factory=list)


def fit(image: Image.Image, width: int, height: int, crop: Crop = "auto", like: Image.Image | None = None) -> Fitted:
    """Bring a picture (mode L, RGB or RGBA) to width x height.

    crop: 'centre' cuts the largest window from the middle; 'smart' moves that window to where the
    picture has the most to show; 'pad' keeps all and fills the rest; 'none' keeps all and squeezes it;
    'auto' is 'pad' for pictures with transparency (nothing of an icon is lost), else 'centre'. like: a
    picture of the same size that 'auto' and 'smart' look at instead, so that both are cut alike.
    """
    image, transparent = _multiplied(image)
    looked_at, clear = (image, transparent) if like is None else _multiplied(like)
    if crop == "auto":
        crop = "pad" if clear else "centre"
    if crop == "pad":
        return _pad(image, width, height, transparent)
    box = (0.0, 0.0, float(image.width), float(image.height))
    if crop == "centre":
        box = _window(image.size, width / height, 0.5)
    elif crop == "smart":
        box = _window(image.size, width / height, interest(looked_at, width / height))
    notes: list[str] = []
    pixels = _rgba(_resize(image, width, height, box, notes))
    return Fitted(pixels, transparent, None, notes)


def _multiplied(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture with its alpha multiplied in (mode RGBa), or without (L, RGB), and whether it has transparency."""
    if image.mode != "RGBA":
        return image, False
    lowest = image.getchannel("A").getextrema()[0]
    transparent = isinstance(lowest, int | float) and lowest < SEEN
    return image.convert("RGBa" if transparent else "RGB"), transparent


def _window(size: tuple[int, int], aspect: float, place: float) -> Box:
    """The largest window of an aspect (width / height) in a picture; place: 0 left or top, 1 right or bottom."""
    across, down = size
    wide, high = min(across, down * aspect), min(down, across / aspect)
    left, top = (across - wide) * place, (down - high) * place
    if abs(wide - round(wide)) < 1e-6 and abs(high - round(high)) < 1e-6:
        # Whole pixels in, whole pixels out: pixel art is cut between its pixels.
        wide, high, left, top = round(wide), round(high), int(left), int(top)
    return float(left), float(top), float(min(left + wide, across)), float(min(top + high, down))


def interest(image: Image.Image, aspect: float) -> float:
    """Where the smart crop puts its window: 0 left or top, 0.5 the middle, 1 right or bottom.

    What is interesting: edges (the local change of colour) and colours far from that of the picture's
    border; what is transparent is not. Both are summed along the direction in which the window can
    move; it goes where it holds the most, and stays near the middle where that makes little difference.
    """
    scale = LOOK / max(image.size)
    small = image.resize(
        (max(8, round(image.width * scale)), max(8, round(image.height * scale))), Image.Resampling.BOX
    )
    rgba = _rgba(small).astype(np.float32) / 255
    colour, alpha = rgba[..., :3], rgba[..., 3]
    change = np.abs(np.diff(rgba, axis=0, append=rgba[-1:])).sum(2) + np.abs(
        np.diff(rgba, axis=1, append=rgba[:, -1:])
    ).sum(2)
    rim = np.concatenate([colour[0], colour[-1], colour[:, 0], colour[:, -1]])
    distance = np.sqrt(((colour - np.median(rim, axis=0)) ** 2).sum(2))
    worth = (change / (change.mean() + 1e-6) + distance / (distance.mean() + 1e-6)) * alpha
    sideways = image.width / image.height > aspect
    line = worth.sum(axis=0 if sideways else 1)
    share = (image.height * aspect / image.width) if sideways else (image.width / aspect / image.height)
    window = max(1, min(len(line), round(len(line) * share)))
    total = np.concatenate([[0.0], np.cumsum(line, dtype=np.float64)])
    held = total[window:] - total[:-window]
    if len(held) < 2 or held.max() <= 0:
        return 0.5
    place = np.linspace(0, 1, len(held))
    best = held / held.max() - 0.1 * (2 * place - 1) ** 2
    top = np.flatnonzero(best >= best.max() - 1e-9)
    return float(place[top].mean())


def _pad(image: Image.Image, width: int, height: int, transparent: bool) -> Fitted:
    """All of the picture in the middle of a transparent canvas."""
    scale = min(width / image.width, height / image.height)
    across, down = min(width, max(1, round(image.width * scale))), min(height, max(1, round(image.height * scale)))
    notes: list[str] = []
    inner = _rgba(_resize(image, across, down, (0.0, 0.0, float(image.width), float(image.height)), notes))
    if (across, down) == (width, height):
        return Fitted(inner, transparent, None, notes)
    pixels = np.zeros((height, width, 4), np.uint8)
    top, left = (height - down) // 2, (width - across) // 2
    pixels[top : top + down, left : left + across] = inner
    notes.append("padded")
    rim = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])[:, :3]
    red, green, blue = (int(n) for n in np.rint(rim.mean(axis=0)))
    return Fitted(pixels, transparent, None if transparent else (red, green, blue), notes)


def _resize(image: Image.Image, width: int, height: int, box: Box, notes: list[str]) -> Image.Image:
    """The window `box` of a picture at width x height: Lanczos; whole multiples of pixel art stay crisp."""
    across, down = box[2] - box[0], box[3] - box[1]
    if (across, down) == (width, height) and all(edge == int(edge) for edge in box):
        whole = (int(box[0]), int(box[1]), int(box[2]), int(box[3]))
        return image if whole == (0, 0, *image.size) else image.crop(whole)
    if width > across or height > down:
        notes.append("enlarged")
        if width % across == 0 and height % down == 0 and _is_pixel_art(image):
            return image.resize((width, height), Image.Resampling.NEAREST, box)
    return image.resize((width, height), Image.Resampling.LANCZOS, box, reducing_gap=2.0)


def _is_pixel_art(image: Image.Image) -> bool:
    """Few colours for its size: drawn pixel by pixel."""
    most = min(PIXEL_ART_COLOURS, max(4, image.width * image.height // 4))
    return image.getcolors(most) is not None


def _rgba(image: Image.Image) -> np.ndarray:
    """`h w 4` uint8, premultiplied, from mode L, RGB or RGBa. Lanczos may overshoot: no colour exceeds its alpha."""
    if image.mode == "RGBa":
        pixels = np.array(image)
        np.minimum(pixels[..., :3], pixels[..., 3:], out=pixels[..., :3])
        return pixels
    pixels = np.full((image.height, image.width, 4), 255, np.uint8)
    values = np.asarray(image)
    pixels[..., :3] = values[..., None] if values.ndim == 2 else values
    return pixels
