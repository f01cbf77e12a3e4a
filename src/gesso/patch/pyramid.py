"""Pictures at several sizes: what is coarse is settled before what is fine."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

__all__ = ["blurred", "resized", "resized_mask", "scales", "soften"]

Picture = Float[np.ndarray, "h w c"]


def scales(shorter: int, coarse: int, ratio: float, start: float | None = None) -> list[float]:
    """Scales from the coarsest to 1, each `ratio` of the next; the coarsest leaves the shorter side at least `coarse`
    pixels, and is not below `start` where that is given.
    """
    out = [1.0]
    while shorter * out[-1] * ratio >= coarse and (start is None or out[-1] * ratio >= start - 1e-6):
        out.append(out[-1] * ratio)
    return out[::-1]


def resized(picture: Float[np.ndarray, "..."], height: int, width: int) -> Float[np.ndarray, "..."]:
    """A picture at another size: averaged where it shrinks, cubic where it grows; a copy where it has that size."""
    if picture.shape[:2] == (height, width):
        return picture.copy()
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    source = np.ascontiguousarray(picture, np.float32)
    flat = source.ndim == 3 and source.shape[2] > 4  # OpenCV resizes at most four channels at once
    if flat:
        parts = [source[..., i : i + 4] for i in range(0, source.shape[2], 4)]
        return np.concatenate([np.atleast_3d(resized(np.ascontiguousarray(p), height, width)) for p in parts], axis=2)
    out = cv2.resize(source, (width, height), interpolation=how)
    return out[..., None] if picture.ndim == 3 and out.ndim == 2 else out


def resized_mask(mask: Bool[np.ndarray, "h w"], height: int, width: int, *, whole: bool) -> Bool[np.ndarray, "a b"]:
    """A mask at another size: True where all of what a pixel covers is True (whole), or where any of it is."""
    if mask.shape == (height, width):
        return mask.copy()
    share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return share >= 1 - 1e-3 if whole else share > 1e-3


def blurred(picture: Float[np.ndarray, "..."], sigma: float) -> Float[np.ndarray, "..."]:
    """A Gaussian blur of so many pixels, mirrored at the borders."""
    out = cv2.GaussianBlur(np.ascontiguousarray(picture, np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return out[..., None] if picture.ndim == 3 and out.ndim == 2 else out


def soften(picture: Picture, ratio: float, least: int) -> Picture:
    """A picture as blurry as one that was enlarged from `ratio` of its size."""
    high, wide = picture.shape[:2]
    small = resized(picture, max(round(high * ratio), least), max(round(wide * ratio), least))
    return resized(small, high, wide)
