"""Figures of what a generator draws while it learns, against a fixed sample of the pictures it learns from.

They must be cheap, so they are of few pictures, brought down to SIDE pixels. They compare the looks of one run with
each other; figures that stand beside those of other runs take more pictures, at their own size.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.contract.family import Family
from gesso.measure.distances import checked
from gesso.measure.features import Extractor, features
from gesso.sample import Drawn, draw

__all__ = ["GRID", "MADE", "REAL", "SIDE", "Eye", "effective_number", "frechet_of_few"]

GRID = 64  # pictures of the grid, from seeds 0 to 63
MADE = 256  # pictures more, from the seeds that follow: those of the distance
REAL = 1000  # pictures of the data at most
SIDE = 32  # pixels of the shorter side that the extractor sees at most
SECONDS = 2.0  # that drawing MADE pictures may take; of a slower family it is fewer, in whole grids
BALL = 5  # neighbours that a ball of coverage reaches to
COPY = 0.5  # of the usual way to the nearest neighbour: what is nearer than that to a learned picture is a copy of it

Pictures = Float[Tensor, "n c h w"]
Features = Float[Tensor, "n d"]


class Eye:
    """Looks at pictures, again and again, beside the same real ones.

    see: whose features; None leaves out all that needs some. real: gives the sample of the data, at most REAL pictures
    in [-1, 1], in batches and in no particular order; asked once, at the first look. labels: what the MADE pictures are
    asked to be, as often as in the data; empty where the family knows none. made: how many, where that is settled.
    sources: n h w s bytes, what pictures are made of where the family translates.
    """

    def __init__(
        self,
        see: Extractor | None,
        real: Callable[[], Iterable[Pictures]],
        labels: Sequence[str] = (),
        made: int | None = None,
        sources: np.ndarray | None = None,
    ):
        self.see, self.labels, self.made, self.sources = see, labels, made, sources
        self._real = real
        self._known: _Known | None = None

    def __call__(self, family: Family, grid: Sequence[Drawn]) -> dict[str, float]:
        """Figures of a family that draws, the most telling first; grid: GRID pictures from the same latents as ever.

        `contrast` and `saturation`: of the grid, as shares of the real pictures' own. `kinds`: effective number of
        kinds of pictures in the grid, `kinds_real` in as many real ones, or all. `fd_NAME`, `coverage_NAME`: Fréchet
        distance (lower is better) and coverage (higher is) of `looked_at` made pictures, in the features of the
        extractor of that name. `copied`: share of the made pictures that lie nearer to a learned one than half of the
        way that learned pictures usually have to their nearest neighbour; `copied_real`: the like of learned pictures.
        """
        if self._known is None:
            self._known = _Known(self.see, self._real())
        known, shown = self._known, _floats(grid)
        contrast, saturation = _contrast(shown), _saturation(shown)
        plain = {"contrast": contrast / max(known.contrast, 1e-9)}
        if known.saturation > 0.02:  # pictures without colour have none to lose
            plain["saturation"] = saturation / known.saturation
        if self.see is None or known.features is None:
            return plain
        small = self.see(_small(shown))
        made = self.see(_small(_floats(self._draw(family))))
        return {
            f"fd_{self.see.name}": frechet_of_few(made, known.features),
            "kinds": effective_number(small, known.usual),
            "kinds_real": known.kinds,
            f"coverage_{self.see.name}": known.covered(made),
            "copied": known.copied(torch.cat([small, made])),
            "copied_real": known.own,
            **plain,
            "looked_at": float(len(made)),
        }

    def _draw(self, family: Family) -> list[Drawn]:
        """The MADE pictures, or as many grids of them as there was time for at the first look."""
        out: list[Drawn] = []
        begun, most = time.monotonic(), MADE if self.made is None else self.made
        for first in range(GRID, GRID + most, GRID):
            labels = [self.labels[i % len(self.labels)] for i in range(first, first + GRID)] if self.labels else None
            given = None if self.sources is None else self.sources[np.arange(first, first + GRID) % len(self.sources)]
            out += draw(family, range(first, first + GRID), labels, family.Knobs.of(family.alike), sources=given)
            spent = time.monotonic() - begun
            if self.made is None and spent * (len(out) + GRID) / len(out) > SECONDS:
                break
        if self.made is None:
            self.made = len(out)
        return out


class _Known:
    """What is remembered of the real pictures. usual: the squared distance of two of them, by the median."""

    def __init__(self, see: Extractor | None, batches: Iterable[Pictures]):
        self.features: Features | None = None
        contrasts, saturations, small = [], [], []
        for batch in batches:
            contrasts += [_contrast(batch)] * len(batch)
            saturations += [_saturation(batch)] * len(batch)
            small.append(_small(batch))
        self.contrast, self.saturation = float(np.mean(contrasts)), float(np.mean(saturations))
        if see is None or len(contrasts) <= BALL:
            return
        self.features = features(see, small)
        apart = _squares(self.features, self.features)
        self.usual = max(apart[~torch.eye(len(apart), dtype=torch.bool)].median().item(), 1e-9)
        grids = self.features.split(GRID)[: max(len(self.features) // GRID, 1)]  # whole ones
        self.kinds = float(np.mean([effective_number(grid, self.usual) for grid in grids]))
        near = apart.fill_diagonal_(math.inf).sort(1).values
        self.reach = near[:, BALL - 1]
        self.near = COPY**2 * near[:, 0].median()
        self.own = (near[:, 0] < self.near).float().mean().item()

    def covered(self, made: Features) -> float:
        """Share of real pictures in whose ball a made one lies (coverage; Naeem et al. 2020, eq. 4)."""
        assert self.features is not None
        return (_squares(self.features, made).min(1).values <= self.reach).float().mean().item()

    def copied(self, made: Features) -> float:
        """Share of made pictures that lie very near to a real one."""
        assert self.features is not None
        return (_squares(made, self.features).min(1).values < self.near).float().mean().item()


def effective_number(x: Features, usual: float) -> float:
    """How many kinds of pictures there are: the exponential of the entropy of their similarities' eigenvalues.

    Friedman & Dieng 2023, eq. 3 (the Vendi score), with the similarity exp(-2 d² / usual): two pictures as far apart as
    two real ones usually are count as almost two kinds, and equal ones as one.
    """
    alike = torch.exp(-2 * _squares(x, x) / usual).double() / len(x)
    power = torch.linalg.eigvalsh(alike).clamp(min=1e-12)
    return math.exp(-(power * power.log()).sum().item())


def frechet_of_few(a: Features, b: Features) -> float:
    """Fréchet distance (Heusel et al. 2017, eq. 6), as `distances.frechet` gives it, of fewer pictures than numbers.

    tr (A½ B A½)½ is the sum of the singular values of X Yᵀ, where X and Y are the centred features, so that no matrix
    is larger than the pictures are many. Raises GessoError below two pictures of either.
    """
    x, y = checked(a, 2), checked(b, 2)
    apart = (x.mean(0) - y.mean(0)).square().sum()
    x, y = ((z - z.mean(0)) / math.sqrt(len(z) - 1) for z in (x, y))
    both = torch.linalg.svdvals(x @ y.T).sum()
    return max((apart + x.square().sum() + y.square().sum() - 2 * both).item(), 0.0)


def _squares(x: Features, y: Features) -> Float[Tensor, "n m"]:
    return (
        torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist" if len(x) < 8 else "use_mm_for_euclid_dist") ** 2
    )


def _floats(drawn: Sequence[Drawn]) -> Pictures:
    return torch.from_numpy(np.stack([one.image for one in drawn])).permute(0, 3, 1, 2).float() / 127.5 - 1


def _small(x: Pictures) -> Pictures:
    """Averaged down until the shorter side has SIDE pixels."""
    h, w = x.shape[2:]
    scale = SIDE / min(h, w)
    return F.interpolate(x, (round(h * scale), round(w * scale)), mode="area") if scale < 1 else x


def _contrast(x: Pictures) -> float:
    """Mean standard deviation within a picture."""
    return x.flatten(2).std(2, correction=0).mean().item()


def _saturation(x: Pictures) -> float:
    """Mean distance of a pixel's strongest colour from its weakest; 0 for grey."""
    colours = x[:, :3]
    return (colours.amax(1) - colours.amin(1)).mean().item()
