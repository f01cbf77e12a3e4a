"""Distances of pixels: other libraries, closed forms, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gesso.errors import GessoError
from gesso.measure.pixels import ms_ssim, psnr, sliced_wasserstein, ssim


def smooth(n, channels, height, width, seed):
    rng = torch.Generator().manual_seed(seed)
    small = torch.randn(n, channels, height // 4, width // 4, generator=rng)
    return torch.tanh(torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic"))


@pytest.fixture
def pairs():
    a = smooth(3, 3, 40, 56, 0)
    return a, (a + 0.2 * torch.randn(a.shape, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)


def test_as_scikit_image_has_it(pairs):
    for a, b, decibels, alike in zip(*pairs, psnr(*pairs), ssim(*pairs), strict=True):
        x, y = a.double().numpy() + 1, b.double().numpy() + 1  # its formula is for light from zero up
        assert decibels.item() == pytest.approx(peak_signal_noise_ratio(x, y, data_range=2), rel=1e-9)
        expected = structural_similarity(
            x, y, data_range=2, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert alike.item() == pytest.approx(expected, rel=1e-9)


def test_equal_pictures(pairs):
    a, _ = pairs
    assert psnr(a, a).tolist() == [math.inf] * 3
    torch.testing.assert_close(ssim(a, a), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(ms_ssim(a, a), torch.ones(3, dtype=torch.float64))
    assert sliced_wasserstein(a, a) == [0.0] * len(sliced_wasserstein(a, a))


def test_ms_ssim_of_one_scale_is_ssim():
    """Below 22 pixels there is but one scale."""
    a, b = smooth(2, 1, 20, 20, 2), smooth(2, 1, 20, 20, 2) * 0.8
    torch.testing.assert_close(ms_ssim(a, b), ssim(a, b))


def test_ms_ssim_in_closed_form():
    noise = 0.5 * torch.randn(1, 1, 352, 352, generator=torch.Generator().manual_seed(3)).sign()
    assert ms_ssim(noise, -noise).item() == 0  # opposite structure is negative, and counts as zero
    flat = torch.full((1, 1, 352, 352), 0.5)
    light = (2 * 1.5 * 1.25 + 4e-4) / (1.5**2 + 1.25**2 + 4e-4)  # no structure; light counts at the last of five scales
    assert ms_ssim(flat, flat / 2).item() == pytest.approx(light ** (0.1333 / 1.0001), rel=1e-9)


def test_ms_ssim_of_two_scales_by_hand():
    """32 pixels: contrast and structure at the first, all of it at the second, from windows one by one."""
    a, b = smooth(1, 1, 32, 32, 9), smooth(1, 1, 32, 32, 9) * 0.5 + 0.2
    line = np.exp(-((np.arange(11) - 5) ** 2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2
    figure = 1.0
    for scale, weight in enumerate((0.0448, 0.2856)):
        x, y = (torch.nn.functional.avg_pool2d(z.double() + 1, 2**scale)[0, 0].numpy() for z in (a, b))
        found = []
        for i in range(len(x) - 10):
            for j in range(len(x) - 10):
                p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq, both = (
                    (window * u * v).sum() for u, v in ((p - mp, p - mp), (q - mq, q - mq), (p - mp, q - mq))
                )
                light = (2 * mp * mq + 4e-4) / (mp**2 + mq**2 + 4e-4) if scale else 1
                found.append(light * (2 * both + 3.6e-3) / (vp + vq + 3.6e-3))
        figure *= np.mean(found) ** (weight / (0.0448 + 0.2856))
    assert ms_ssim(a, b).item() == pytest.approx(figure, rel=1e-9)


def test_sliced_wasserstein_in_closed_form():
    """All patches of one set shifted by a colour: at the coarsest level the mean of |way · shift|, else nothing."""
    real = smooth(60, 3, 64, 64, 4)
    found = sliced_wasserstein(real, real + 0.3)
    assert len(found) == 3
    assert found[0] == pytest.approx(0, abs=0.01)
    assert found[1] == pytest.approx(0, abs=0.01)
    spread = torch.nn.functional.avg_pool2d(real, 4).std((0, 2, 3))
    length = ((0.3 / spread).square().sum() * 49).sqrt().item()
    expected = 1000 * length * math.sqrt(2 / math.pi / 147)  # E|u · s| of a random direction u of 147 numbers
    assert found[2] == pytest.approx(expected, rel=0.15)


def test_sliced_wasserstein_tells_what_is_wrong():
    """Blur shows at the fine level, lost contrast at all; other pictures of the kind are near."""
    real, others = smooth(200, 3, 32, 32, 5), smooth(200, 3, 32, 32, 6)
    near = sliced_wasserstein(real, others)
    blurred = torch.nn.functional.avg_pool2d(others, 3, 1, 1)
    blur, dull = sliced_wasserstein(real, blurred), sliced_wasserstein(real, 0.6 * others)
    assert blur[0] > 3 * near[0]
    assert all(worse > 1.5 * close for worse, close in zip(dull, near, strict=True))
    assert sliced_wasserstein(real, others) == near


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: psnr(torch.zeros(0, 3, 8, 8), torch.zeros(0, 3, 8, 8)), "no pictures"),
        (lambda: psnr(torch.zeros(1, 3, 8, 9), torch.zeros(1, 1, 8, 9)), "9×8×3 and 9×8×1 cannot be compared"),
        (lambda: ssim(torch.zeros(1, 3, 8, 20), torch.zeros(1, 3, 8, 20)), "20×8 pixels are too small"),
        (lambda: ms_ssim(torch.zeros(1, 3, 20, 20) / 0, torch.zeros(1, 3, 20, 20)), "not finite"),
        (lambda: sliced_wasserstein(torch.zeros(2, 3, 12, 12), torch.zeros(2, 3, 12, 12)), "too small"),
    ],
)
def test_what_they_refuse(call, says):
    with pytest.raises(GessoError, match=says):
        call()


def test_grey_pictures_and_odd_sizes():
    a, b = smooth(4, 1, 36, 44, 7), smooth(4, 1, 36, 44, 8)
    assert len(sliced_wasserstein(a, b)) == 2
    assert np.isfinite(ms_ssim(a[:, :, :35, :43], b[:, :, :35, :43]).numpy()).all()
