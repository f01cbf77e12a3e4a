"""Many pictures as one, those that are alike near each other."""

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

__all__ = ["COLUMNS", "LARGEST", "arranged", "laid", "looks", "reduced"]

COLUMNS = 8
LARGEST = 128  # pixels of a cell's side: larger pictures are made smaller
GRAIN = 8  # pixels each way, by which pictures are compared
NEAR = 1.2  # cells over which neighbours should be alike
SWAPS = 1000


def looks(pictures: Float[Tensor, "n c h w"]) -> Float[np.ndarray, "n d"]:
    """What pictures are compared by: their colours, averaged to a few cells."""
    return F.adaptive_avg_pool2d(pictures.float(), GRAIN).flatten(1).cpu().numpy().astype(np.float64)


def reduced(pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Pictures no larger than a cell may be, averaged down; their shape stays."""
    longer = max(pictures.shape[2:])
    if longer <= LARGEST:
        return pictures
    high, wide = (max(round(side * LARGEST / longer), 1) for side in pictures.shape[2:])
    return F.adaptive_avg_pool2d(pictures, (high, wide))


def arranged(looks: Float[np.ndarray, "n d"], columns: int = COLUMNS) -> Int[np.ndarray, " n"]:
    """For every cell, row by row, the number of the picture that lies in it, so that like lies beside like.

    Begins with the order along the two principal axes; then pictures change places as long as that brings down the sum
    of their distances, weighted by how near their cells are (a quadratic assignment, by steepest descent).
    """
    count = len(looks)
    if count < 3:
        return np.arange(count)
    away = np.sqrt(np.maximum(np.square(looks[:, None] - looks[None]).sum(2), 0))
    cells = np.stack(np.divmod(np.arange(count), columns), 1).astype(float)
    near = np.exp(-np.square(cells[:, None] - cells[None]).sum(2) / (2 * NEAR**2))
    np.fill_diagonal(near, 0)
    order = _begun(looks, columns)
    for _ in range(SWAPS):
        here = away[np.ix_(order, order)]
        both = near @ here
        own = np.diagonal(both)
        change = both + both.T - own[:, None] - own[None] + 2 * near * here
        one, other = np.unravel_index(int(change.argmin()), change.shape)
        if change[one, other] > -1e-9 * (1 + abs(own.sum())):
            break
        order[[one, other]] = order[[other, one]]
    return order


def laid(pictures: UInt8[np.ndarray, "n h w c"], columns: int = COLUMNS) -> UInt8[np.ndarray, "H W c"]:
    """Pictures side by side, row by row; what is left of the last row is 0."""
    count, high, wide, channels = pictures.shape
    rows = -(-count // columns)
    full = np.zeros((rows * columns, high, wide, channels), np.uint8)
    full[:count] = pictures
    grid = full.reshape(rows, columns, high, wide, channels).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * high, columns * wide, channels)


def _begun(looks: np.ndarray, columns: int) -> Int[np.ndarray, " n"]:
    """Rows by the first principal axis, and within them columns by the second."""
    centred = looks - looks.mean(0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    first, second = (vectors[:, -axis] * np.sqrt(max(values[-axis], 0)) for axis in (1, 2))
    order = np.argsort(first, kind="stable")
    rows = [order[start : start + columns] for start in range(0, len(order), columns)]
    return np.concatenate([row[np.argsort(second[row], kind="stable")] for row in rows])
