"""Which pictures of a collection are most in a given one: a few candidates by keys, then by laying them over it.

Two keys propose candidates, since each alone misses some copies: what the primer sees of a picture without its colours
(robust against shifts and compression), and its outlines at 16 × 16 (robust against changes of colour, which may turn
light into dark), tried at small shifts. Both are asked for the picture and for its mirror image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.alignment import COMPARED, fits, opaque, shrunk
from gesso.primer.frozen import SMALLEST, Frozen, as_rgba, load

__all__ = ["Collection", "Near"]

LUMA = (0.299, 0.587, 0.114)
KEYS = 512  # numbers of a picture's key, projected from what the primer sees (Johnson & Lindenstrauss 1984)
OUTLINES = 16  # cells of the outlines' key, each way
CANDIDATES = 8  # by each key
CHUNK = 50  # pictures that are looked for at a time
PLAIN = 1e-3  # variance below which a picture is of one colour, of [-1, 1]: 4 of 255


class Near(NamedTuple):
    """For each picture: how like its nearest it is, in [0, 1]; the number of the nearest, -1
    for a picture of one colour, of which nothing can be said; and how the picture is laid on it, as `alignment.Fit`.
    """

    likeness: Float[Tensor, " n"]
    which: Int[Tensor, " n"]
    mirrored: Int[Tensor, " n"]
    scale: Int[Tensor, " n"]
    down: Int[Tensor, " n"]
    right: Int[Tensor, " n"]


@dataclass
class Collection:
    """Pictures among which others are looked for. pictures: n c h w bytes, at most 64 pixels; outlines, seen: keys."""

    pictures: Tensor
    outlines: Float[Tensor, "n o"]
    seen: Float[Tensor, "n s"]
    primer: Frozen

    @classmethod
    def of(cls, images: np.ndarray) -> "Collection":
        """Of n h w c bytes, premultiplied where c is 4; a few hundred a second.

        Raises GessoError for no pictures, and for those that have fewer than 16 pixels either way.
        """
        if not len(images):
            raise GessoError("There are no pictures to look among.", "Import some.")
        primer, parts, outlines, seen = load(), [], [], []
        for start in range(0, len(images), CHUNK):
            x = ready(images[start : start + CHUNK])
            parts.append(((x + 1) * 127.5).round().byte())
            outlines.append(_outlines(x))
            seen.append(_seen(primer, x))
        return cls(torch.cat(parts), torch.cat(outlines), torch.cat(seen), primer)

    def __len__(self) -> int:
        return len(self.pictures)

    def picture(self, number: int) -> Float[Tensor, "1 c h w"]:
        """One of them as it is compared, in [-1, 1]."""
        return self.pictures[number : number + 1].float() / 127.5 - 1

    @torch.inference_mode()
    def nearest(self, images: np.ndarray, but: list[list[int]] | None = None) -> Iterator[Near]:
        """The nearest of each, in parts of CHUNK. images: m h w c bytes, of the shape of the collection's.

        but: numbers of pictures, a list for each, that are not to be found (itself, for one of the collection).
        """
        for start in range(0, len(images), CHUNK):
            x = ready(images[start : start + CHUNK])
            hidden = None if but is None else but[start : start + CHUNK]
            found = self._candidates(x, hidden)
            k = found.shape[1]
            fit = fits(x, self.pictures[found.flatten()].float() / 127.5 - 1)
            likeness, best = fit.likeness.view(-1, k).max(1)
            plain = x.var((2, 3)).mean(1) < PLAIN
            at = best + k * torch.arange(len(x))
            which = torch.where(plain, -1, found.flatten()[at])
            yield Near(torch.where(plain, 0.0, likeness), which, *(figure[at] for figure in fit[1:]))

    def _candidates(self, x: Tensor, hidden: list[list[int]] | None) -> Int[Tensor, "n k"]:
        """Numbers of those that the keys propose."""
        by_sight = torch.full((len(x), len(self)), -torch.inf)
        by_outline = by_sight.clone()
        for placed in (x, x.flip(3)):
            by_sight = torch.maximum(by_sight, -torch.cdist(_seen(self.primer, placed), self.seen))
            cells = _cells(placed)
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    alike = _standard(cells.roll((down, right), (2, 3))) @ self.outlines.T
                    by_outline = torch.maximum(by_outline, alike)
        for row, numbers in enumerate(hidden or []):
            by_sight[row, numbers] = by_outline[row, numbers] = -torch.inf
        fewest = len(self) - max((len(numbers) for numbers in hidden or []), default=0)
        count = min(CANDIDATES, fewest)
        return torch.cat([key.topk(count, dim=1).indices for key in (by_sight, by_outline)], 1)


def ready(images: np.ndarray) -> Float[Tensor, "n c h w"]:
    """Bytes n h w c as they are compared: opaque, in [-1, 1], at most 64 pixels. Raises GessoError below 16 pixels."""
    if min(images.shape[1:3]) < SMALLEST:
        size = f"{images.shape[2]}×{images.shape[1]}"
        raise GessoError(f"Pictures of {size} pixels are too small to be told apart.", "It takes 16 each way.")
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    x = shrunk(opaque(x), COMPARED)
    short = min(x.shape[2:])
    if short < SMALLEST:  # long, narrow pictures
        x = F.interpolate(x, [round(n * SMALLEST / short) for n in x.shape[2:]], mode="bilinear")
    return x


def _grey(x: Tensor) -> Float[Tensor, "n 1 h w"]:
    if x.shape[1] == 1:
        return x
    return (x * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def _seen(primer: Frozen, x: Tensor) -> Float[Tensor, "n s"]:
    """What the primer sees of pictures without their colours, in four parts of each, projected."""
    with torch.inference_mode():
        maps = primer.maps(as_rgba(_grey(x)))
    parts = [F.normalize(F.adaptive_avg_pool2d(m, 2).flatten(1).sqrt(), dim=1) for m in maps]
    long = torch.cat(parts, 1)
    rng = torch.Generator().manual_seed(0)
    return long @ (torch.randn(long.shape[1], KEYS, generator=rng) / KEYS**0.5)


def _cells(x: Tensor) -> Float[Tensor, "n 1 o o"]:
    """How strong the outlines are in each cell, of any channel."""
    across = F.pad(x[..., 1:] - x[..., :-1], (0, 1))
    down = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    strength = (across.square() + down.square()).sum(1, keepdim=True).sqrt()
    return F.adaptive_avg_pool2d(strength, OUTLINES).sqrt()


def _standard(cells: Tensor) -> Float[Tensor, "n o"]:
    flat = cells.flatten(1)
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=1)


def _outlines(x: Tensor) -> Float[Tensor, "n o"]:
    return _standard(_cells(x))
