"""A picture as the watermark sees it: its lightness, what hides a pattern there, and what is left without shapes."""

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from gesso.marks.watermark.carrier import TILE

__all__ = ["Plane", "activities", "flattened", "folded", "lightness", "masks", "octaves", "resized", "whitened"]

SIGMAS = (0.5, 1.4, 3.0, 6.4)  # of the blurs whose differences are the octaves, in pixels
NEAR = (19, 11, 7)  # sides of the squares within which an octave, slow to fast, is made even
WIDE = (7, 5, 3)  # and of those within which its activity is felt, in squares of 4 pixels
NOISE = 1.0  # contrast below which nothing is raised, in steps of 256
LOUDEST = 2.5  # of an evened octave, in its own deviations: edges weigh no more than this
FLOOR = (0.32, 0.36, 0.38)  # root mean squares of the mark's octaves on flat ground, in steps of 256
GAIN = (0.08, 0.20, 0.30)  # and what they gain with the picture's own
CEILING = (3.0, 4.0, 5.0)
SHADE = ((0, 1, 24, 225, 254, 255), (0.0, 0.3, 1.0, 1.0, 0.3, 0.0))  # pure black and white stay as they are
SQUARE = np.ones((3, 3), np.uint8)

Plane = Float32[np.ndarray, "h w"]


def lightness(image: UInt8[np.ndarray, "h w c"]) -> Plane:
    """Rec. 601 luma of a picture of 1, 3 or 4 channels (premultiplied, laid on white), in [0, 255]."""
    if image.shape[2] == 1:
        return image[..., 0].astype(np.float32)
    colour = np.ascontiguousarray(image[..., :3], np.float32)
    grey = cv2.transform(colour, np.array([[0.299, 0.587, 0.114]], np.float32)).reshape(image.shape[:2])
    return grey + (255 - image[..., 3].astype(np.float32)) if image.shape[2] == 4 else grey


def resized(plane: Plane, height: int, width: int) -> Plane:
    """A plane at another size."""
    if plane.shape == (height, width):
        return plane
    smaller = height * width < plane.size
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(plane, (width, height), interpolation=how), np.float32)


def octaves(light: Plane) -> tuple[list[Plane], Plane]:
    """Three octaves of a lightness from slow to fast, and the lightness blurred; wide blurs on smaller planes."""
    fine, middle = _blurred(light, SIGMAS[0]), _blurred(light, SIGMAS[1])
    coarse = _blurred_small(middle, (SIGMAS[2] ** 2 - SIGMAS[1] ** 2) ** 0.5, 2)
    ground = _blurred_small(coarse, (SIGMAS[3] ** 2 - SIGMAS[2] ** 2) ** 0.5, 4)
    return [coarse - ground, middle - coarse, fine - middle], coarse


def flattened(bands: list[Plane]) -> Plane:
    """Octaves divided by their own strength nearby, and clipped: a picture whose textures and edges weigh the same."""
    out = np.zeros_like(bands[0])
    for band, side in zip(bands, NEAR, strict=True):
        power = cv2.boxFilter(band * band, -1, (side, side), borderType=cv2.BORDER_REFLECT)
        out += np.clip(band / np.sqrt(np.maximum(power, 0) + NOISE**2), -LOUDEST, LOUDEST)
    return out


def whitened(light: Plane) -> Plane:
    """`flattened` of a lightness."""
    return flattened(octaves(light)[0])


def folded(plane: Plane) -> Float64[np.ndarray, "128 128"]:
    """All tiles of a plane added up, from its upper left corner; what is missing of the last ones counts as 0."""
    high, wide = (-(-n // TILE) for n in plane.shape)
    padded = np.zeros((high * TILE, wide * TILE), np.float32)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    return padded.reshape(high, TILE, wide, TILE).sum(axis=(0, 2), dtype=np.float64)


def activities(bands: list[Plane], light: Plane) -> list[Plane]:
    """How lively each octave is around a pixel, where a pattern would hide.

    The mean of an octave's roots, squared, which many strokes raise more than one edge; the least of it nearby, so
    that no pattern shows on flat ground beside an edge; and less where pixels are equal, as in drawings and pixel art.
    """
    height, width = bands[0].shape
    small = (-(-width // 4), -(-height // 4))
    steps = np.clip(np.rint(light), 0, 255).astype(np.uint8)
    equal = (cv2.dilate(steps, SQUARE) - cv2.erode(steps, SQUARE) <= 1).astype(np.float32)
    uneven = 1 - _mean(cv2.resize(equal, small, interpolation=cv2.INTER_AREA), WIDE[0])
    out = []
    for band, side in zip(bands, WIDE, strict=True):
        mean = _mean(cv2.resize(np.sqrt(np.abs(band)), small, interpolation=cv2.INTER_AREA), side)
        least = _mean(cv2.erode(mean, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REFLECT), 3)
        whole = cv2.resize(least * least * uneven, (width, height), interpolation=cv2.INTER_LINEAR)
        out.append(np.asarray(whole, np.float32))
    return out


def masks(active: list[Plane], light: Plane, strength: float) -> list[Plane]:
    """How much of a pattern each octave hides, as a root mean square in steps of 256.

    An octave hides patterns of its own scale (Legge & Foley 1980), so the mask grows with its activity. light: blurred;
    near black and white there is less room. strength: of what textures add.
    """
    dark = cv2.resize(light, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    shade = np.interp(dark, *SHADE).astype(np.float32)
    shade = cv2.resize(shade, light.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return [
        np.minimum(floor + np.float32(strength * gain) * plane, most) * shade
        for plane, floor, gain, most in zip(active, FLOOR, GAIN, CEILING, strict=True)
    ]


def _mean(plane: Plane, side: int) -> Plane:
    return np.asarray(cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _blurred(plane: Plane, sigma: float) -> Plane:
    side = 2 * int(np.ceil(2.6 * sigma)) + 1
    return np.asarray(cv2.GaussianBlur(plane, (side, side), sigma, borderType=cv2.BORDER_REFLECT), np.float32)


def _blurred_small(plane: Plane, sigma: float, times: int) -> Plane:
    """A plane that has nothing finer, blurred on a plane that is smaller by some times."""
    height, width = plane.shape
    small = cv2.resize(plane, (-(-width // times), -(-height // times)), interpolation=cv2.INTER_AREA)
    blurred = _blurred(np.asarray(small, np.float32), sigma / times)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
