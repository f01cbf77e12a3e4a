"""Several pictures as one source: side by side, with a gap that no patch may cross."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["Atlas", "atlas", "turned"]

Picture = Float[np.ndarray, "h w c"]


class Atlas(NamedTuple):
    """picture: h w c. number: which of the pictures each pixel is of. allowed: whether it is of any."""

    picture: Picture
    number: Int[np.ndarray, "h w"]
    allowed: Bool[np.ndarray, "h w"]


def atlas(pictures: Sequence[Picture], start: float = 1.0) -> Atlas:
    """Lay pictures side by side. start: the scale of the first level, at which the gap must still be seen."""
    gap = int(np.ceil(2 / start)) + 1
    high = max(picture.shape[0] for picture in pictures)
    wide = sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1)
    out = np.zeros((high, wide, pictures[0].shape[2]), np.float32)
    number, allowed, x = np.zeros((high, wide), np.int64), np.zeros((high, wide), bool), 0
    for i, picture in enumerate(pictures):
        place = slice(0, picture.shape[0]), slice(x, x + picture.shape[1])
        out[place], number[place], allowed[place] = picture, i, True
        x += picture.shape[1] + gap
    return Atlas(out, number, allowed)


def turned(picture: Picture) -> list[Picture]:
    """A picture as it is, by quarter turns, and all of them mirrored."""
    turns = [np.rot90(picture, quarter) for quarter in range(4)]
    return [np.ascontiguousarray(p) for p in [*turns, *(turn[:, ::-1] for turn in turns)]]
