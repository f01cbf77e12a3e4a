"""How unlike pictures look, within a label and in pairs: closed forms, and what they refuse."""

import math

import numpy as np
import pytest
import torch

from gesso.errors import GessoError
from gesso.measure.perceptual import diversity, paired
from gesso.measure.pixels import psnr, ssim
from gesso.primer.distance import Distance


def light(x, y):
    """A distance whose figures are known: the difference of the means."""
    return (x.mean((1, 2, 3)) - y.mean((1, 2, 3))).abs()


def flat(values):
    return np.broadcast_to(np.asarray(values, np.uint8)[:, None, None, None], (len(values), 16, 16, 3))


def test_labels_count_the_same_and_pairs_share_no_picture():
    """One label of equal pictures, one of as many black as white ones: half of the pairs differ, by two."""
    white = np.random.default_rng(0).permutation(np.repeat([0, 255], 400))
    images, numbers = flat([*[7] * 20, *white]), np.repeat([4, 9], [20, 800])
    found = diversity(images, numbers, light, pairs=400)
    assert found.value == pytest.approx(0.5, abs=0.05)  # the mean of 0 and 1
    half = 1.96 * math.sqrt(1 / 400) / 2  # of 400 pairs, each 0 or 2
    assert found.high - found.value == pytest.approx(half, rel=0.02)
    assert diversity(images, np.where(numbers == 4, -1, numbers), light, pairs=400).value > 0.9
    seen = []

    def kept(x, y):
        seen.extend([*x[:, 0, 0, 0].tolist(), *y[:, 0, 0, 0].tolist()])
        return light(x, y)

    diversity(flat(range(130)), None, kept)
    assert len(seen) == len(set(seen)) == 130


def test_diversity_by_the_primer():
    rng = np.random.default_rng(1)
    various = rng.integers(0, 256, (24, 1, 1, 3)) + rng.integers(-9, 9, (24, 24, 20, 3))
    images = various.clip(0, 255).astype(np.uint8)
    alike = (various[:1] + rng.integers(-9, 9, (24, 24, 20, 3))).clip(0, 255).astype(np.uint8)
    unlike = Distance()
    assert diversity(images, None, unlike).value > 1.5 * diversity(alike, None, unlike).value
    assert diversity(images, None, unlike) == diversity(images, None, unlike)


def test_pairs():
    rng = torch.Generator().manual_seed(2)
    true = torch.rand(7, 3, 20, 24, generator=rng) * 2 - 1
    made = (true + 0.1 * torch.randn(true.shape, generator=rng)).clamp(-1, 1)
    unlike = Distance()
    found = paired(zip(made.split(3), true.split(3), strict=True), unlike)
    each = (psnr(made, true), ssim(made, true), unlike(made, true).double())
    for estimate, values in zip(found, each, strict=True):
        half = 1.96 * values.std().item() / math.sqrt(7)
        expected = values.mean().item()
        assert estimate == pytest.approx((expected, expected - half, expected + half), rel=1e-4)
    same = paired([(true, true)], unlike)
    assert same.psnr.value == 100
    assert same.ssim.value == pytest.approx(1)
    assert same.unlike.value == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: diversity(flat([1, 2, 3]), None, light), "No label has the four"),
        (lambda: diversity(flat([1, 2, 3, 4]), np.array([0, 0, 1, -1]), light), "No label has the four"),
        (lambda: paired([], light), "at least two pairs; there are 0"),
        (lambda: paired([(torch.zeros(3, 3, 20, 20), torch.zeros(3, 1, 20, 20))], light), "cannot be compared"),
        (lambda: paired([(torch.zeros(3, 3, 20, 20) / 0, torch.zeros(3, 3, 20, 20))], light), "not finite"),
    ],
)
def test_what_they_refuse(call, says):
    with pytest.raises(GessoError, match=says):
        call()
