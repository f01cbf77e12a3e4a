"""Pictures within a scene: `h w 4` floats in [0, 1], sRGB as it is coded, colours multiplied by alpha."""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

__all__ = ["Layered", "as_bytes", "as_layered", "blurred", "filled", "gradient", "resized", "rotated", "unmultiplied"]

Layered = Float[np.ndarray, "h w 4"]  # premultiplied
Plane = Float[np.ndarray, "h w"]
Resampling = Literal["smooth", "pixel"]


def as_layered(image: UInt8[np.ndarray, "h w c"]) -> Layered:
    """Bytes as they are in files (colours not multiplied by alpha; c = 1, 3 or 4) → premultiplied floats."""
    if image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    out = np.ones((*image.shape[:2], 4), np.float32)
    out[..., : image.shape[2]] = image.astype(np.float32) / np.float32(255)
    if image.shape[2] == 4:
        out[..., :3] *= out[..., 3:]
    return out


def as_bytes(image: Layered) -> UInt8[np.ndarray, "h w c"]:
    """Premultiplied floats → bytes as they are in files; three channels where all is opaque.

    The inverse of `as_layered`, bit for bit where alpha is not zero: there the colour is nothing.
    """
    rounded = np.rint(np.clip(unmultiplied(image), 0, 1) * 255).astype(np.uint8)
    alpha = np.rint(np.clip(image[..., 3], 0, 1) * 255).astype(np.uint8)
    if (alpha == 255).all():
        return np.ascontiguousarray(rounded)
    rounded[alpha == 0] = 0
    return np.dstack([rounded, alpha])


def unmultiplied(image: Layered) -> Float[np.ndarray, "h w 3"]:
    """Colours divided by alpha; black where alpha is zero."""
    alpha = image[..., 3:]
    return np.where(alpha > 0, image[..., :3] / np.maximum(alpha, 1e-6), np.float32(0))


def filled(height: int, width: int, rgba: tuple[float, float, float, float]) -> Layered:
    """One colour, not multiplied by its alpha, everywhere."""
    out = np.empty((height, width, 4), np.float32)
    out[...] = (*(value * rgba[3] for value in rgba[:3]), rgba[3])
    return out


def gradient(height: int, width: int, stops: list[tuple[float, float, float, float]], angle: float) -> Layered:
    """Colours blended evenly along a line. angle: degrees; 0 is from left to right, 90 from top to bottom.

    Half a level of ordered noise (Bayer 1973) breaks the bands that 8 bits would show.
    """
    turn = np.deg2rad(angle)
    x, y = (np.arange(side, dtype=np.float32) + 0.5 - side / 2 for side in (width, height))
    across, down = float(np.cos(turn)), float(np.sin(turn))
    reach = max(abs(across) * width + abs(down) * height, 1e-6)
    t = np.clip((x[None] * across + y[:, None] * down) / reach + 0.5, 0, 1)
    places = np.linspace(0, 1, len(stops))
    colours = np.array([[*(v * stop[3] for v in stop[:3]), stop[3]] for stop in stops])
    out = np.stack([np.interp(t, places, colours[:, i]) for i in range(4)], axis=2).astype(np.float32)
    noise = _bayer()[np.arange(height)[:, None] % 8, np.arange(width)[None] % 8]
    inside = (out[..., 3:] > 0) & (out[..., 3:] < 1)
    out[..., :3] = np.clip(out[..., :3] + noise[..., None] * out[..., 3:], 0, out[..., 3:])
    out[..., 3:] = np.where(inside, np.clip(out[..., 3:] + noise[..., None], 0, 1), out[..., 3:])
    return out


def _bayer() -> Float[np.ndarray, "8 8"]:
    """Ordered noise between minus and plus half a level of 8 bits."""
    matrix = np.zeros((1, 1))
    for _ in range(3):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return ((matrix + 0.5) / 64 - 0.5).astype(np.float32) / 255


def resized(image: Layered, height: int, width: int, how: Resampling = "smooth") -> Layered:
    """A picture at another size: Lanczos, or `pixel`, where every pixel becomes a sharp block (nearest neighbour)."""
    if image.shape[:2] == (height, width):
        return image
    if how == "pixel":
        rows = (np.arange(height) * 2 + 1) * image.shape[0] // (2 * height)
        columns = (np.arange(width) * 2 + 1) * image.shape[1] // (2 * width)
        return image[rows[:, None], columns[None]]
    planes = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[..., i])).resize((width, height), Image.Resampling.LANCZOS)
        )
        for i in range(4)
    ]
    out = np.stack(planes, axis=2)
    out[..., 3] = np.clip(out[..., 3], 0, 1)
    out[..., :3] = np.clip(out[..., :3], 0, out[..., 3:])  # Lanczos rings beyond what colours can be
    return out


def rotated(image: Layered, degrees: float, how: Resampling = "smooth") -> Layered:
    """A picture turned clockwise about its middle, on a canvas that holds all of it; quarter turns stay exact."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, -round(degrees / 90) % 4))
    high, wide = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), -degrees, 1.0)
    c, s = abs(turn[0, 0]), abs(turn[0, 1])
    new_wide, new_high = int(np.ceil(wide * c + high * s)) + 2, int(np.ceil(wide * s + high * c)) + 2
    turn[:, 2] += ((new_wide - wide) / 2, (new_high - high) / 2)
    flags = cv2.INTER_NEAREST if how == "pixel" else cv2.INTER_CUBIC
    out = np.asarray(cv2.warpAffine(image, turn, (new_wide, new_high), flags=flags, borderMode=cv2.BORDER_CONSTANT))
    out[..., 3] = np.clip(out[..., 3], 0, 1)
    out[..., :3] = np.clip(out[..., :3], 0, out[..., 3:])
    return out


def blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    """A plane (h w, or h w c) blurred by a Gaussian of that standard deviation, in pixels; beyond the edge is zero.

    Wide blurs are computed on a smaller plane: a Gaussian holds nothing that it would lose.
    """
    if sigma < 0.05:
        return plane
    factor = max(int(sigma // 4), 1)
    if factor == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT))
    high, wide = plane.shape[:2]
    spare = [(0, -high % factor), (0, -wide % factor), *[(0, 0)] * (plane.ndim - 2)]
    padded = np.pad(plane, spare)
    small = np.asarray(
        cv2.resize(padded, (padded.shape[1] // factor, padded.shape[0] // factor), interpolation=cv2.INTER_AREA)
    )
    # The box of shrinking and the tent of enlarging blur too: factor² · (1/12 + 1/6) of variance.
    rest = np.sqrt(max(sigma**2 - factor**2 / 4, 0.0)) / factor
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), rest, borderType=cv2.BORDER_CONSTANT))
    large = cv2.resize(small, (padded.shape[1], padded.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large)[:high, :wide]
