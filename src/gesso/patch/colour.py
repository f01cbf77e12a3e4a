"""Colours of one picture in another, and what follows a picture's edges while it is smoothed."""

import cv2
import numpy as np
from jaxtyping import Float

from gesso.patch.bands import each_band

__all__ = ["grey", "guided", "like_colours", "ranked"]

Picture = Float[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w"]
Move = tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]  # three axes; for each the knots of a curve, its values
TURNS = 24  # of the axes along which colours are moved
STRIDE = 0.7  # how far they are moved at once
SIDE = 33  # of the table of colours
SAMPLED = 16_384  # colours from which distributions are learned
QUANTILES = np.linspace(0, 1, 257)


def grey(picture: Picture) -> Plane:
    """Luma of an sRGB picture, after ITU-R BT.601."""
    return cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2GRAY)


def guided(guide: Plane, plane: Float[np.ndarray, "h w c"], radius: int, eps: float) -> Float[np.ndarray, "h w c"]:
    """The guided filter: smooth, but with the edges of the guide. He, Sun, Tang, ECCV 2010, equations 5 to 8."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(z: np.ndarray) -> np.ndarray:
        return cv2.blur(z, side, borderType=cv2.BORDER_REFLECT)

    middle, plain = mean(guide), mean(plane)
    varies = (mean(guide * guide) - middle**2 + eps)[..., None]
    slope = (mean(plane * guide[..., None]) - plain * middle[..., None]) / varies
    return mean(slope) * guide[..., None] + mean(plain - slope * middle[..., None])


def like_colours(picture: Picture, other: Picture, seed: int = 0) -> Picture:
    """A picture in the colours of another: the distribution of its colours moved to that of the other.

    Sliced optimal transport (Pitié et al., 2007; Rabin et al., 2011): one-dimensional distributions along turned axes
    are moved to each other in turns. What moves is then smoothed along the picture's own edges, so that no grain comes
    up. Both are in [0, 1]; so is the result.
    """
    rng = np.random.default_rng(seed)
    here, there = (_some(p.reshape(-1, 3).astype(np.float32), rng) for p in (picture, other))
    moves: list[Move] = []
    for _ in range(TURNS):
        axes = np.round(np.linalg.qr(rng.normal(size=(3, 3)))[0], 6).astype(np.float32)
        along, aim = here @ axes, there @ axes
        curves = [(np.quantile(along[:, k], QUANTILES), np.quantile(aim[:, k], QUANTILES)) for k in range(3)]
        moves.append((axes, curves))
        here = _moved(here, moves[-1])
    table = np.stack(np.meshgrid(*[np.linspace(0, 1, SIDE, dtype=np.float32)] * 3, indexing="ij"), axis=-1)
    table = table.reshape(-1, 3)
    for move in moves:
        table = _moved(table, move)
    shift = _looked_up(table.reshape(SIDE, SIDE, SIDE, 3), picture) - picture
    radius = max(4, min(picture.shape[:2]) // 32)
    return np.clip(picture + guided(grey(picture), shift, radius, 1e-3), 0, 1).astype(np.float32)


def _some(colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """So many colours at most that their distribution is still seen."""
    return colours if len(colours) <= SAMPLED else colours[rng.choice(len(colours), SAMPLED, replace=False)]


def _moved(colours: np.ndarray, move: Move) -> np.ndarray:
    """Colours n 3 moved along three axes, most of the way; beyond the ends of a curve by as much as at its end."""
    axes, curves = move
    along = colours @ axes
    step = np.empty_like(along)
    for k, (knots, values) in enumerate(curves):
        x = along[:, k]
        beyond = np.minimum(x - knots[0], 0) + np.maximum(x - knots[-1], 0)
        step[:, k] = np.interp(x, knots, values) + beyond - x
    return colours + np.float32(STRIDE) * step @ axes.T


def _looked_up(table: np.ndarray, picture: Picture) -> Picture:
    """What a table of colours says of every pixel, trilinearly; band by band, for the memory."""
    out = np.empty_like(picture, np.float32)

    def work(start: int, end: int) -> None:
        place = np.clip(picture[start:end], 0, 1) * np.float32(SIDE - 1)
        low = np.minimum(place.astype(np.int32), SIDE - 2)
        part = place - low
        total = np.zeros_like(place)
        for corner in range(8):
            bits = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
            weight = np.where(bits, part, 1 - part).prod(axis=2, keepdims=True)
            at = low + bits
            total += weight * table[at[..., 0], at[..., 1], at[..., 2]]
        out[start:end] = total

    each_band(len(picture), work)
    return out


def ranked(plane: Plane, other: Plane) -> Plane:
    """A plane with the distribution of another's values: its ranks kept, its values theirs."""
    knots = np.quantile(plane, QUANTILES)
    return np.interp(plane, knots, np.quantile(other, QUANTILES)).astype(np.float32)
