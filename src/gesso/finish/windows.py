"""What is looked for in a collection: pictures, halves and quarters of them, each described by its blurred colours.

A *window* is a part of a picture of its own proportions: the whole of it, half of its sides or a quarter, in steps of
half a window. It is described by its colours, averaged to CELLS × CELLS.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from gesso.patch.pyramid import blurred, resized

__all__ = ["CELLS", "PARTS", "Windows", "count_of", "turned_windows", "windows_of", "windows_of_all"]

CELLS = 8  # each way, of what a window is described by
PARTS = (1, 2, 4)  # windows a side, of each kind
SOFT = 0.7  # cells by which pictures are blurred, so that what lies a little elsewhere is still found
Picture = Float[np.ndarray, "h w c"]


class Windows(NamedTuple):
    """Windows of one picture. colours: n d, d = CELLS² channels. boxes: n 4, top, left, height, width in [0, 1]."""

    colours: Float[np.ndarray, "n d"]
    boxes: Float[np.ndarray, "n 4"]


def count_of(part: int) -> int:
    """How many windows of a kind a picture has, where it is of the collection's own proportions."""
    return (2 * part - 1) ** 2


def windows_of(picture: Picture, part: int, unit: tuple[float, float] = (1.0, 1.0)) -> Windows:
    """The windows of one kind of a picture with values in [0, 1], row by row.

    unit: height and width, as shares of the picture's, of what counts as one whole picture of the collection.
    """
    rows, columns = (max(round(CELLS * part / share), CELLS) for share in unit)
    small = blurred(resized(picture, rows, columns), SOFT)
    ys, xs = _starts(rows), _starts(columns)
    cut = np.lib.stride_tricks.sliding_window_view(small, (CELLS, CELLS), (0, 1))[ys][:, xs]
    colours = np.ascontiguousarray(cut.transpose(0, 1, 3, 4, 2), np.float32).reshape(len(ys) * len(xs), -1)
    tops, lefts = np.meshgrid(ys / rows, xs / columns, indexing="ij")
    sides = np.broadcast_to(np.array([CELLS / rows, CELLS / columns]), (len(colours), 2))
    return Windows(colours, np.concatenate([tops.reshape(-1, 1), lefts.reshape(-1, 1), sides], axis=1))


def windows_of_all(images: UInt8[np.ndarray, "n h w c"], part: int) -> Float[np.ndarray, "n m d"]:
    """The colours of all windows of one kind of many pictures, as `windows_of` gives them."""
    side = CELLS * part
    out = np.empty((len(images), count_of(part), CELLS * CELLS * images.shape[3]), np.float32)
    for number, image in enumerate(images):
        small = cv2.resize(
            image, (side, side), interpolation=cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
        )
        out[number] = windows_of(small.reshape(side, side, -1).astype(np.float32) / 255, part).colours
    return out


def turned_windows(colours: Float[np.ndarray, "n d"], turn: int) -> Float[np.ndarray, "n d"]:
    """The same windows, turned as `turned` numbers it: quarters 0 to 3, and 4 to 7 for those mirrored."""
    grid = colours.reshape(len(colours), CELLS, CELLS, -1)
    grid = np.rot90(grid, turn % 4, (1, 2))
    grid = grid[:, :, ::-1] if turn >= 4 else grid
    return np.ascontiguousarray(grid).reshape(len(colours), -1)


def _starts(length: int) -> Int[np.ndarray, " n"]:
    """Where windows begin along a side: every half of one, the last at the end."""
    return np.array(sorted({*range(0, length - CELLS + 1, CELLS // 2), length - CELLS}))
