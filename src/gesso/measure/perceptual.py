"""How unlike pictures look: those of one label to each other, and made ones to the true ones of their pairs."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.distances import Estimate
from gesso.measure.features import floats
from gesso.measure.pixels import psnr, ssim

__all__ = ["Paired", "diversity", "paired"]

Unlike = Callable[[Tensor, Tensor], Tensor]  # n c h w, n c h w -> n, as gesso.primer.distance.Distance
BATCH = 50  # pairs at a time
MOST = 100.0  # decibels that equal pictures count as


def diversity(
    images: UInt8[np.ndarray, "n h w c"],
    numbers: Int[np.ndarray, " n"] | None,
    unlike: Unlike,
    pairs: int = 100,
    seed: int = 0,
) -> Estimate:
    """Mean distance of two pictures of one label, and its interval (Zhu et al. 2017, "BicycleGAN", section 5).

    numbers: of the labels; pictures with a negative one are left out; None where all are of one kind. unlike: of pairs,
    `gesso.primer.distance.Distance` say, where the paper takes LPIPS. pairs: of each label, none of which share a
    picture, so there may be fewer; every label counts the same. Low where a model draws the same again and again.
    Raises GessoError where no label has four pictures.
    """
    rng, kinds = np.random.default_rng(seed), np.zeros(len(images), np.int64) if numbers is None else numbers
    means, errors = [], []
    for kind in np.unique(kinds[kinds >= 0]):
        those = rng.permutation(np.flatnonzero(kinds == kind))
        count = min(len(those) // 2, pairs)
        if count < 2:
            continue
        sides = zip(
            *(np.array_split(half, -(-count // BATCH)) for half in those[: 2 * count].reshape(2, -1)), strict=True
        )
        with torch.inference_mode():
            found = torch.cat([unlike(floats(images[a]), floats(images[b])).double() for a, b in sides])
        means.append(found.mean().item())
        errors.append(found.var().item() / count)
    if not means:
        raise GessoError("No label has the four pictures that a mean of distances needs.", "Draw more of each.")
    value, error = sum(means) / len(means), sum(errors) ** 0.5 / len(means)
    return Estimate(value, value - 1.96 * error, value + 1.96 * error)


class Paired(NamedTuple):
    """Means over pairs, with their intervals: in decibels, from -1 to 1, and from zero up."""

    psnr: Estimate
    ssim: Estimate
    unlike: Estimate


@torch.inference_mode()
def paired(pairs: Iterable[tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]], unlike: Unlike) -> Paired:
    """How far made pictures are from true ones, of held-out pairs: for translation and restoration.

    pairs: batches of made and true pictures in [-1, 1], from 16 pixels. Equal pictures, whose PSNR is infinite, count
    as 100 dB. Raises GessoError below two pairs, where sizes or channels differ, and for values that are not finite.
    """
    rows = [torch.stack([psnr(a, b).clamp(max=MOST), ssim(a, b), unlike(a, b).double()]) for a, b in pairs]
    found = torch.cat(rows, 1) if rows else torch.empty(3, 0)
    if found.shape[1] < 2:
        raise GessoError(f"This figure needs at least two pairs; there are {found.shape[1]}.", "Hold more pairs out.")
    error = 1.96 * found.std(1) / found.shape[1] ** 0.5
    means = zip(found.mean(1).tolist(), error.tolist(), strict=True)
    return Paired(*(Estimate(mean, mean - half, mean + half) for mean, half in means))
