"""A first filling of a hole, from its border inwards: where lines run into it, they are continued first."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int32

from gesso.patch.field import inside
from gesso.patch.kernels import misfits

__all__ = ["filled_inwards"]

Picture = Float[np.ndarray, "h w c"]


def filled_inwards(
    picture: Picture, hole: Bool[np.ndarray, "h w"], allowed: Bool[np.ndarray, "h w"], size: int,
    rng: np.random.Generator, luck: float = 0.0,
) -> Int32[np.ndarray, "h w 2"]:  # fmt: skip
    """For every pixel of a small picture the row and column that it is taken from; outside the hole its own.

    Criminisi, Pérez, Toyama (IEEE TIP 2004), algorithm of table 1: of the patches on the border the one is filled next
    that is best known and that the strongest edge runs into. allowed: h w, what may be taken. luck: a patch is drawn
    among those whose misfit is at most so much above the least, as a share of it.
    """
    height, width = hole.shape
    half = size // 2
    values, unknown = picture.astype(np.float32).copy(), hole.copy()
    places = np.moveaxis(np.mgrid[:height, :width], 0, -1).astype(np.int32)
    sure = np.where(hole, 0, 1).astype(np.float32)
    bad = ~inside(allowed & ~hole, size)
    while unknown.any():
        y, x = _next(values, unknown, sure, half)
        y, x = min(max(y, half), height - half - 1), min(max(x, half), width - half - 1)
        around = slice(y - half, y + half + 1), slice(x - half, x + half + 1)
        there, missing = values[around], unknown[around]
        misfit = np.where(bad, np.inf, _misfit(values, there, ~missing))
        least = float(misfit.min())
        choices = np.flatnonzero(misfit <= least * (1 + luck) + 1e-7 * (luck > 0))
        top, left = np.unravel_index(
            int(choices[rng.integers(len(choices))]) if luck else int(misfit.argmin()), misfit.shape
        )
        piece = slice(int(top), int(top) + size), slice(int(left), int(left) + size)
        values[around] = np.where(missing[..., None], values[piece], there)
        places[around] = np.where(missing[..., None], places[piece], places[around])
        sure[around] = np.where(missing, sure[around].mean(), sure[around])
        unknown[around] = False
    return places


def _next(values: Picture, unknown: np.ndarray, sure: np.ndarray, half: int) -> tuple[int, int]:
    """The pixel on the border of the unknown whose patch comes next."""
    known = (~unknown).astype(np.float32)
    border = unknown & (cv2.dilate(known, np.ones((3, 3))) > 0)
    if not border.any():  # all of it is unknown but a part that is not reached
        border = unknown
    side = 2 * half + 1
    trust = cv2.blur(sure, (side, side), borderType=cv2.BORDER_CONSTANT)
    light = values.mean(axis=2)
    inner = cv2.erode(known, np.ones((3, 3)))
    edge = [cv2.Sobel(light, -1, *way, ksize=3) / 8 * inner for way in ((1, 0), (0, 1))]
    away = [cv2.Sobel(cv2.blur(known, (3, 3)), -1, *way, ksize=3) for way in ((1, 0), (0, 1))]
    length = np.maximum(np.hypot(*away), 1e-6)
    # the strongest edge in the patch, and how straight it runs into the unknown
    runs = np.abs(-edge[1] * away[0] / length + edge[0] * away[1] / length)
    strength = cv2.dilate(np.where(inner > 0, np.hypot(*edge), 0).astype(np.float32), np.ones((side, side)))
    runs = np.maximum(cv2.dilate(runs.astype(np.float32), np.ones((3, 3))), 0.25 * strength)
    worth = np.where(border, trust * (runs + 1e-3), -1)
    y, x = np.unravel_index(int(worth.argmax()), worth.shape)
    return int(y), int(x)


def _misfit(
    values: Picture, there: Float[np.ndarray, "p p c"], known: Bool[np.ndarray, "p p"]
) -> Float[np.ndarray, "a b"]:
    """For every place of a patch its mean squared difference from what is known."""
    out = np.zeros((values.shape[0] - len(there) + 1, values.shape[1] - len(there) + 1), np.float32)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    misfits(planes, np.ascontiguousarray(there.transpose(2, 0, 1), np.float32), np.ascontiguousarray(known), out)
    return out / max(int(known.sum()), 1)
