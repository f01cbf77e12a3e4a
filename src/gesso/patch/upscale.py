"""Pictures made larger: cubic, then corrected until they shrink to what was given, with no halo at edges."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from gesso.errors import GessoError
from gesso.patch.bands import each_band
from gesso.patch.pyramid import blurred

__all__ = ["enlarged", "shrunk", "upscale"]

Picture = Float[np.ndarray, "h w c"]
ROUNDS = 8  # of back-projection
TAPS = 4  # cubic's
SIDE = 32_768  # pixels a side at most


def _weights(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For every new pixel the old ones that it is made of, and how much of each; mirrored at the ends.

    Keys, "Cubic convolution interpolation for digital image processing", IEEE ASSP 1981, equation 15, a = -1/2.
    """
    at = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(at).astype(int) - 1
    places = first[:, None] + np.arange(TAPS)
    far = np.abs(at[:, None] - places)
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    wide = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    weight = np.where(far <= 1, near, np.where(far < 2, wide, 0))
    period = max(2 * old, 1)
    folded = np.mod(places, period)
    return np.where(folded < old, folded, period - 1 - folded), weight.astype(np.float32)


def enlarged(picture: Picture, height: int, width: int) -> Picture:
    """Keys's cubic convolution to a larger size; may overshoot [0, 1] at edges."""
    rows, much = _weights(picture.shape[0], height)
    columns, more = _weights(picture.shape[1], width)
    source = np.ascontiguousarray(picture, np.float32)
    out = np.empty((height, width, picture.shape[2]), np.float32)

    def work(start: int, end: int) -> None:
        tall = np.zeros((end - start, *source.shape[1:]), np.float32)
        for k in range(TAPS):
            tall += much[start:end, k, None, None] * source[rows[start:end, k]]
        part = out[start:end]
        part[:] = 0
        for k in range(TAPS):
            part += more[None, :, k, None] * tall[:, columns[:, k]]

    each_band(height, work)
    return out


def shrunk(picture: Picture, height: int, width: int) -> Picture:
    """What a camera of fewer pixels would see: every new pixel is the mean of what it covers."""
    planes = [
        cv2.resize(np.ascontiguousarray(picture[..., i]), (width, height), interpolation=cv2.INTER_AREA)
        for i in range(picture.shape[2])
    ]
    return np.stack(planes, axis=2)


def upscale(
    picture: Picture, height: int, width: int, *, rounds: int = ROUNDS, sharp: float = 0.0, calm: bool = True
) -> Picture:
    """A picture made larger, so that made small again it is the one that was given.

    picture: h w c in [0, 1]; colours with alpha premultiplied by it. Cubic, then iterative back-projection: Irani &
    Peleg, "Improving resolution by image registration", CVGIP 1991, section 4, with one picture and the cubic kernel
    for its back-projection. sharp: 0 to 1, of an unsharp mask before the last rounds. calm: keep every pixel within
    the range of the given ones around it, so that edges have no halos.
    Raises GessoError for a size that is not larger, or too large.
    """
    old_height, old_width = picture.shape[:2]
    if height < old_height or width < old_width:
        raise GessoError(f"{width}×{height} is smaller than the picture, {old_width}×{old_height}.", "Ask for more.")
    if max(height, width) > SIDE:
        raise GessoError(f"{width}×{height} is too large: a side has {SIDE:,} pixels at most.", "Ask for less.")
    source = np.ascontiguousarray(picture, np.float32)
    if (height, width) == (old_height, old_width):
        return source
    out = enlarged(source, height, width)
    low = high = None
    if calm:
        square = np.ones((3, 3), np.uint8)
        least, most = (_filtered(how, source, square) for how in (cv2.erode, cv2.dilate))
        # a little more than what is there: back-projection lives from it
        room = 0.1 * (most - least)
        low, high = (_bounds(p, height, width) for p in (least - room, most + room))
    for number in range(rounds):
        if sharp and number == rounds // 2:
            out = out + np.float32(sharp) * (out - blurred(out, 0.5 * height / old_height))
        out += enlarged(source - shrunk(out, old_height, old_width), height, width)
        if low is not None and high is not None:
            np.clip(out, low, high, out=out)
    return out.clip(0, 1)


def _filtered(how: Callable[..., np.ndarray], picture: Picture, square: np.ndarray) -> Picture:
    return np.stack([how(np.ascontiguousarray(picture[..., i]), square) for i in range(picture.shape[2])], axis=2)


def _bounds(plane: Picture, height: int, width: int) -> Picture:
    """Bounds at the larger size, between the given ones linearly."""
    parts = [
        cv2.resize(np.ascontiguousarray(plane[..., i]), (width, height), interpolation=cv2.INTER_LINEAR)
        for i in range(plane.shape[2])
    ]
    return np.stack(parts, axis=2)
