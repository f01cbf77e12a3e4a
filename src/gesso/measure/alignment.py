"""How much of one picture is in another, whatever shift, mirroring, change of size and change of colours lie between.

Two pictures are laid over each other, and one is predicted from the other by the best linear change of colours (a
matrix and an offset), in two bands: outlines and fine detail, and what remains of the picture when that is taken away.
The share of the variance that is predicted is 1 for a copy and 0 for strangers. It is taken both ways round, since a
plain disc is in many pictures, and they are not in it, and in both bands, since a mean of many pictures, as a blurred
drawing is one, shares only the coarse band with each of them. The geometric mean of these four shares is the likeness.

Where they fit best is searched at 32 pixels, at all shifts at once by Fourier transforms, for the picture and its
mirror image at several sizes; the best few are then compared exactly at up to 64 pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["SCALES", "Fit", "difference", "fits", "opaque", "place", "shrunk"]

SEARCHED, COMPARED = 32, 64  # pixels of the longer side at which places are searched and pictures are compared
SHIFT = 1 / 8  # of the side: the largest shift
SCALES = (1.0, 0.9, 1.12, 0.8, 1.25)  # of the made picture before it is laid on the other
FINER = 2  # pixels around a place found that are searched again when compared
NOISE = 2e-5  # variance of a channel that counts as none, of [-1, 1]: half a step of 255
RIM = 1  # pixels at the borders of a moved picture that are not compared
RIDGE = 1e-2  # of a channel's variance, so that faint channels do not explain strong ones
PAIRS = 256  # pairs that are compared at a time

Pictures = Float[Tensor, "n c h w"]


class Fit(NamedTuple):
    """How pairs fit. likeness: in [0, 1]; mirrored, scale (number in SCALES), down and right: pixels of the
    shrunk picture by which the first was moved to lie on the second.
    """

    likeness: Float[Tensor, " p"]
    mirrored: Int[Tensor, " p"]
    scale: Int[Tensor, " p"]
    down: Int[Tensor, " p"]
    right: Int[Tensor, " p"]


def opaque(x: Pictures) -> Pictures:
    """Pictures with alpha laid on middle grey; others as they are. In [-1, 1], alpha too."""
    if x.shape[1] != 4:
        return x
    colour, alpha = (x[:, :3] + 1) / 2, (x[:, 3:] + 1) / 2
    return 2 * (colour + 0.5 * (1 - alpha)) - 1


def shrunk(x: Pictures, side: int) -> Pictures:
    """Pictures whose longer side has at most so many pixels, each the mean of what it covers."""
    largest = max(x.shape[2:])
    if largest <= side:
        return x
    h, w = (max(round(n * side / largest), 8) for n in x.shape[2:])
    return F.interpolate(x, (h, w), mode="area")


def place(x: Pictures, mirrored: int, scale: int) -> Pictures:
    """Pictures mirrored or not, at one of the sizes, cut or filled up with their borders to the size they had."""
    x = x.flip(3) if mirrored else x
    if SCALES[scale] == 1:
        return x
    theta = torch.tensor([[1 / SCALES[scale], 0, 0], [0, 1 / SCALES[scale], 0]], dtype=x.dtype, device=x.device)
    grid = F.affine_grid(theta.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(-1, 1)


def fits(x: Pictures, y: Pictures, tops: int = 4) -> Fit:
    """Of each picture of x the best of its k candidates: y is n × k pictures one after the other, n k in all.

    Both opaque, of one shape. `tops`: how many places of each are compared exactly. likeness and the rest are n × k
    flattened; candidates that the search leaves behind have the likeness 0.
    """
    k = len(y) // len(x)
    found = _searched(shrunk(x, SEARCHED), shrunk(y, SEARCHED), k)
    a, b = shrunk(x, COMPARED), shrunk(y, COMPARED)
    likeness = torch.zeros(len(y))
    down, right = found.down.clone(), found.right.clone()
    keep = found.likeness.view(len(x), k).topk(min(tops, k), dim=1).indices + k * torch.arange(len(x))[:, None]
    ratio = [a.shape[i] / shrunk(x[:1], SEARCHED).shape[i] for i in (2, 3)]
    for mirrored in (0, 1):
        for scale in range(len(SCALES)):
            pick = keep.flatten()
            pick = pick[(found.mirrored[pick] == mirrored) & (found.scale[pick] == scale)]
            for part in pick.split(PAIRS) if len(pick) else ():
                placed = place(a[part // k], mirrored, scale)
                rows = (found.down[part] * ratio[0]).round().long()
                columns = (found.right[part] * ratio[1]).round().long()
                likeness[part], down[part], right[part] = _compared(placed, b[part], rows, columns)
    return Fit(likeness, found.mirrored, found.scale, down, right)


def _bands(x: Pictures) -> Float[Tensor, "n b c h w"]:
    """Outlines and detail, and the rest: all but the mean of what binomial weights over nine pixels leave."""
    kernel = x.new_tensor([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 256
    rows = kernel.view(1, 1, 9, 1).expand(x.shape[1], 1, 9, 1)
    padded = F.pad(x, (4, 4, 4, 4), mode="replicate")
    coarse = F.conv2d(F.conv2d(padded, rows, groups=x.shape[1]), rows.transpose(2, 3), groups=x.shape[1])
    return torch.stack([x - coarse, coarse - coarse.mean((2, 3), keepdim=True)], 1)


def _white(bands: Float[Tensor, "n b c h w"]) -> Float[Tensor, "n b c h w"]:
    """Each band turned so that its channels have variance one and none with each other."""
    pixels = bands.shape[3] * bands.shape[4]
    among = torch.einsum("nbihw,nbjhw->nbij", bands, bands) / pixels
    eye = torch.eye(bands.shape[2], device=bands.device)
    mean = among.diagonal(dim1=2, dim2=3).mean(-1)[..., None, None]
    lower = torch.linalg.cholesky(among + eye * (RIDGE * mean + NOISE))
    return torch.linalg.solve_triangular(lower, bands.flatten(3), upper=False).view_as(bands)


def _searched(x: Pictures, y: Pictures, k: int) -> Fit:
    """Where each fits best: how it is placed, and by how much it is moved. Likenesses are near, not exact."""
    h, w = x.shape[2:]
    up, across = max(round(h * SHIFT), 1), max(round(w * SHIFT), 1)
    size = (h + up, w + across)
    rows, columns = torch.arange(-up, up + 1), torch.arange(-across, across + 1)
    overlap = (h - rows.abs())[:, None] * (w - columns.abs())[None] / (h * w)
    bands = _bands(y)
    known = [torch.fft.rfft2(z, s=size).conj() for z in (bands, _white(bands))]
    power = bands.square().mean((3, 4)).sum(2)  # p b
    best = Fit(torch.full((len(y),), -1.0), *(torch.zeros(len(y), dtype=torch.long) for _ in range(4)))
    for mirrored in (0, 1):
        for scale in range(len(SCALES)):
            mine = _bands(place(x, mirrored, scale))
            seen = [torch.fft.rfft2(z, s=size) for z in (_white(mine), mine)]
            strong = mine.square().mean((3, 4)).sum(2)
            for start in range(0, len(y), PAIRS):
                part = slice(start, start + PAIRS)
                whose = torch.arange(start, min(start + PAIRS, len(y))) // k
                both = []
                for i, against in ((0, power[part]), (1, strong[whose])):
                    cross = torch.einsum("pbihw,pbjhw->pbijhw", seen[i][whose], known[i][part])
                    at = torch.fft.irfft2(cross, s=size)[..., -rows % size[0], :][..., -columns % size[1]]
                    explained = at.square().sum((2, 3)) / (h * w) ** 2 / overlap.square()
                    both.append(explained / (against[..., None, None] + x.shape[1] * NOISE))
                likeness, where = _together(*both).flatten(1).max(1)
                better = likeness > best.likeness[part]
                place_ = (mirrored, scale, rows[where // len(columns)], columns[where % len(columns)])
                for old, new in zip(best, (likeness, *place_), strict=True):
                    old[part] = torch.where(better, torch.as_tensor(new, dtype=old.dtype), old[part])
    return best


def _compared(x: Pictures, y: Pictures, down: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The likeness and the shift, searched anew near the one given, exactly, of what the pictures have in common."""
    a, b = _bands(x), _bands(y)
    best, best_down, best_right = torch.full((len(x),), -1.0), down.clone(), right.clone()
    for dy in range(-FINER, FINER + 1):
        for dx in range(-FINER, FINER + 1):
            likeness = _together(*_explained(*_laid(a, b, down + dy, right + dx)))
            better = likeness > best
            best = torch.where(better, likeness, best)
            best_down = torch.where(better, down + dy, best_down)
            best_right = torch.where(better, right + dx, best_right)
    return best.clamp(0, 1), best_down, best_right


def _together(one: Float[Tensor, "n b *at"], other: Float[Tensor, "n b *at"]) -> Float[Tensor, "n *at"]:
    """The geometric mean of shares, both ways and of both bands."""
    return (one * other).clamp(min=0).prod(1) ** (1 / (2 * one.shape[1]))


def _laid(a: Tensor, b: Tensor, down: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bands of the first moved onto those of the second, and where both are, but for a rim: n b c p, n b c p, n p."""
    h, w = a.shape[3:]
    rows, columns = torch.arange(h) - down[:, None], torch.arange(w) - right[:, None]

    def within(at: Tensor, side: int, moved: Tensor) -> Tensor:
        place_ = torch.arange(side)
        rim = RIM * (moved != 0)[:, None]  # what was moved may have been cut or filled up at its borders
        return (at >= rim) & (at < side - rim) & (place_ >= rim) & (place_ < side - rim)

    mask = within(rows, h, down)[:, :, None] & within(columns, w, right)[:, None]
    where = rows.clamp(0, h - 1)[:, :, None] * w + columns.clamp(0, w - 1)[:, None]
    where = where.flatten(1)[:, None, None].expand(*a.shape[:3], h * w)
    return a.flatten(3).gather(3, where), b.flatten(3), mask.flatten(1).float()


def _explained(
    u: Float[Tensor, "n b c p"], v: Float[Tensor, "n b c p"], mask: Float[Tensor, "n p"]
) -> tuple[Float[Tensor, "n b"], Float[Tensor, "n b"]]:
    """Share of variance of one that the other predicts by the best change of colours, and the other way round."""
    weight = (mask / mask.sum(1, keepdim=True))[:, None, None]
    u, v = (z - (z * weight).sum(3, keepdim=True) for z in (u, v))
    uw, eye = u * weight, torch.eye(u.shape[2], device=u.device)
    uu, uv, vv = uw @ u.transpose(2, 3), uw @ v.transpose(2, 3), (v * weight) @ v.transpose(2, 3)

    def share(inner: Tensor, cross: Tensor, outer: Tensor) -> Tensor:
        mean = inner.diagonal(dim1=2, dim2=3).mean(-1)[..., None, None]
        solved = torch.linalg.solve(inner + eye * (RIDGE * mean + NOISE), cross)
        explained = (cross * solved).sum((2, 3))
        return explained / (outer.diagonal(dim1=2, dim2=3).sum(-1) + NOISE * len(eye))

    return share(uu, uv, vv), share(vv, uv.transpose(2, 3), uu)


def difference(
    x: Pictures, y: Pictures, mirrored: int, scale: int, down: int, right: int
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """What of one picture the other does not explain, laid on it as `Fit` says, by the best matrix and offset of
    colours: as a share of the spread of y's colours, where both are; and where both are. x, y: 1 c h w, of one shape.
    """
    a, b = place(x, mirrored, scale)[0], y[0]
    h, w = a.shape[1:]
    a = a.roll((down, right), (1, 2))
    rows, columns = torch.arange(h), torch.arange(w)
    seen = ((rows - down >= 0) & (rows - down < h))[:, None] & ((columns - right >= 0) & (columns - right < w))
    u = torch.cat([a.flatten(1), torch.ones(1, h * w)]).T[seen.flatten()]
    v = b.flatten(1).T
    matrix = torch.linalg.lstsq(u, v[seen.flatten()], driver="gelsd").solution
    guess = torch.cat([a.flatten(1), torch.ones(1, h * w)]).T @ matrix
    left = (v - guess).abs().mean(1) / (v.std(0).mean() + NOISE**0.5)
    return left.view(h, w).numpy(), seen.numpy()
