"""Thin damage, such as scratches, cracks and dust, filled by regression on the patches most like its surroundings.

Every small patch that is damaged is predicted from its intact pixels by ridge regression on the patches of the picture
that are most like it: the Gaussian conditional mean of Lebrun, Buades & Morel (SIAM J. Imaging Sciences 2013, "A
nonlocal Bayesian image denoising algorithm", equation 3) in the dual form, for missing pixels instead of noisy ones.
What is predicted is not laid down as it is, but bent so that it meets the intact pixels around smoothly: its
bi-Laplacian is kept, and the biharmonic equation solved for the rest. Where nothing alike is found, the prediction is
flat, and the biharmonic filling remains.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gesso.errors import GessoError
from gesso.patch.bands import BAND, bands, each, each_band
from gesso.patch.heal import fill_smoothly
from gesso.patch.pyramid import blurred
from gesso.patch.thin_kernels import biharmonic_of, predict

__all__ = ["WIDEST", "biharmonic", "heal_thin"]

Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]
WIDEST = 12.0  # pixels: what is wider is better filled by `gesso.patch.heal.inpaint`
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
TOLERANCE, MOST = 1e-4, 600  # of the solver: of the residual, and iterations


@dataclass(frozen=True)
class Look:
    """How patches of one size are predicted; see `predict`. Lengths are pixels."""

    size: int  # side of a patch
    stride: int  # from one patch to the next
    deeper: float  # only where the hole is deeper than this
    radius: int = 24
    strays: int = 400
    count: int = 80
    doubt: float = 0.1
    ridge: float = 0.5
    sharp: float = 1.0


LOOKS = (Look(7, 3, 0.0), Look(13, 5, 3.0))
FLAT, BLUR = 0.9, 3.0  # so much of a blur of so many pixels is taken off before patches are compared


def biharmonic(picture: Picture, hole: Mask) -> Picture:
    """A hole filled with the smoothest surface that meets what is around it in height and slope: ∆²u = 0.

    picture: h w c, any range; hole: h w, True where it is filled. The Laplacian is the five-point one, reflected at
    the picture's borders: Damelin & Hoang, "On surface completion and image inpainting by biharmonic functions", 2018.
    """
    height, width = hole.shape
    out = np.ascontiguousarray(picture, np.float32).copy()
    one = cv2.dilate(hole.astype(np.uint8), CROSS)
    two = cv2.dilate(one, CROSS)
    places = [np.flatnonzero(hole), np.flatnonzero(one > hole), np.flatnonzero(two > one)]
    order, missing = np.concatenate(places), len(places[0])
    inner = missing + len(places[1])
    number = np.full((height + 2, width + 2), -1, np.int32)
    number[1:-1, 1:-1][np.divmod(order, width)] = np.arange(len(order), dtype=np.int32)
    ys, xs = np.divmod(order[:inner], width)
    beside = [number[ys + 1 + dy, xs + 1 + dx] for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    beside = np.ascontiguousarray(np.stack(beside, axis=1))
    flat = fill_smoothly(out, hole).reshape(-1, out.shape[2])
    values = np.ascontiguousarray(flat[order].T.astype(np.float64))

    each(list(values), lambda plane: biharmonic_of(plane, beside, missing, inner, TOLERANCE, MOST))
    out.reshape(-1, out.shape[2])[places[0]] = values[:, :missing].T
    return out


def heal_thin(picture: Picture, hole: Mask, seed: int = 0) -> Picture:
    """Fill thin damage with what its surroundings make likely; what is not in the hole stays as it is.

    picture: h w c in [0, 1], what is in the hole has no influence. hole: h w, up to WIDEST pixels wide; wider ones are
    filled too, but smoothly. seed: of the places tried far away. The same arguments give the same bits, on any number
    of threads. Raises GessoError when the hole is all of the picture.
    """
    if hole.all():
        raise GessoError("The mask is all white: nothing is left to fill it from.", "Leave black what stays.")
    if not hole.any():
        return picture.astype(np.float32)
    picture = np.where(hole[..., None], np.float32(0), picture).astype(np.float32)
    begin = biharmonic(picture, hole).clip(0, 1)
    guess = _predicted(begin - FLAT * blurred(begin, BLUR), hole, seed)
    ring = cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rest = np.where((ring & ~hole)[..., None], picture - guess, 0).astype(np.float32)
    return np.where(hole[..., None], (guess + biharmonic(rest, hole)).clip(0, 1), picture).astype(np.float32)


def _predicted(detail: Picture, hole: Mask, seed: int) -> Picture:
    """What patches say that the damaged places look like; elsewhere, the picture as it is."""
    height, width, channels = detail.shape
    total = np.zeros((height, width * channels), np.float32)
    weights = np.zeros((height, width), np.float32)
    rows = np.ascontiguousarray(detail.reshape(height, -1))
    deep = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    for look in LOOKS:
        part = hole & (deep > look.deeper)
        if min(height, width) <= look.size or not part.any():
            continue
        holes, wanted = _sums(hole, look.size), _sums(part, look.size) > 0
        on = [np.unique(np.append(np.arange(0, n, look.stride), n - 1)) for n in holes.shape]
        grid = np.zeros_like(wanted)
        grid[np.ix_(*on)] = True
        tops, lefts = np.nonzero(wanted & grid)
        bounds = np.searchsorted(tops, [start for start, _ in bands(height)] + [height])
        sums: dict[int, tuple[np.ndarray, np.ndarray]] = {}

        def work(
            start: int, end: int, look: Look = look, holes: np.ndarray = holes, tops: np.ndarray = tops,
            lefts: np.ndarray = lefts, bounds: np.ndarray = bounds, sums: dict = sums,
        ) -> None:  # fmt: skip
            first, last = bounds[start // BAND], bounds[start // BAND + 1]
            if first == last:
                return
            high = min(end + look.size, height) - start
            mine = np.zeros((high, width * channels), np.float32), np.zeros((high, width), np.float32)
            predict(
                rows, hole, holes, tops, lefts, first, last, look.size, channels, look.radius, look.strays, look.count,
                np.float32(look.doubt), np.float32(look.ridge), np.float32(look.sharp), seed, start, *mine,
            )  # fmt: skip
            sums[start] = mine

        each_band(height, work)
        for start in sorted(sums):
            some, much = sums[start]
            total[start : start + len(some)] += some
            weights[start : start + len(much)] += much
    out = total.reshape(detail.shape) / np.maximum(weights, 1e-12)[..., None]
    return np.where((weights > 0)[..., None], out, detail)


def _sums(mask: Mask, size: int) -> np.ndarray:
    """How many pixels of every patch are in a mask, by the patch's first pixel."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    sums[1:, 1:] = mask.astype(np.int32).cumsum(0).cumsum(1)
    return sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
