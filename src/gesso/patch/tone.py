"""Noise, fading and yellowing: estimated, told in figures, and corrected in part; what is clean stays as it is.

Everything here works on h w c in [0, 1], c = 1 or 3, and is a pure function. A correction that is not needed returns
the very array that it was given.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from gesso.patch.bands import each_band
from gesso.patch.pyramid import resized

__all__ = ["Changed", "denoised", "noise_of", "unfaded", "unyellowed"]

Picture = Float[np.ndarray, "h w c"]
LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
NOISY = 4.0 / 255  # a standard deviation below which noise is left alone
WINDOW, PATCH, BLUR = (
    5,
    2,
    0.4,
)  # of non-local means: how far it looks, and half a patch less one, in pixels; how unlike they may be
FADED, FULL = 0.55, 0.8  # a range of lightness below which a picture is faded; towards which it is stretched
MOST = 1.35  # by which contrast is stretched at most
YELLOW = 0.25  # of blue is missing: below that nothing is yellowed


class Changed(NamedTuple):
    """A picture, and what was changed, in figures; empty where nothing was."""

    picture: Picture
    figures: dict[str, float]


def _rough(picture: Picture) -> float:
    """Immerkær's estimate on the calmest tenth of blocks of 16 pixels; flat ones, clipped or drawn, do not count."""
    height, width = picture.shape[0] // 16, picture.shape[1] // 16
    if height < 1 or width < 1:
        return 0.0
    grey = np.ascontiguousarray(picture.mean(axis=2), np.float32)
    answer = np.abs(cv2.filter2D(grey, -1, LAPLACE, borderType=cv2.BORDER_REFLECT))[: height * 16, : width * 16]
    blocks = answer.reshape(height, 16, width, 16).mean(axis=(1, 3))
    level = grey[: height * 16, : width * 16].reshape(height, 16, width, 16).mean(axis=(1, 3))
    told = blocks[(level > 0.03) & (level < 0.97) & (blocks > 0)]
    if len(told) < max(4, 0.05 * blocks.size):
        return 0.0
    of_mean = np.sqrt(picture.shape[2])  # the mean of channels has less noise than each
    return float(np.quantile(told, 0.1)) * float(np.sqrt(np.pi / 2)) / 6 * float(of_mean)


def noise_of(picture: Picture) -> float:
    """The standard deviation of the noise, in [0, 1]; 0 for pictures smaller than 32 pixels a side.

    Immerkær, "Fast noise variance estimation", CVIU 1996: the answer of a mask to which planes and edges along the axes
    are nothing. What answers may be texture, too: noise halves where four pixels become one, texture does not, so that
    of σ² at full and τ² at half size (σ² − τ²) / (1 − 1/4) is believed to be noise.
    """
    if min(picture.shape[:2]) < 32:
        return 0.0
    full = _rough(picture)
    half = _rough(resized(picture, picture.shape[0] // 2, picture.shape[1] // 2))
    return float(np.sqrt(max(full**2 - half**2, 0.0) / 0.75))


def _means(padded: Picture, window: int, noise: float, start: int, end: int, out: Picture) -> None:
    """Non-local means of rows start to end of out. padded: the picture, wider by window + PATCH at every side."""
    height, width, more = end - start, out.shape[1], window + PATCH
    rows, side = padded[start : end + 2 * more], 2 * PATCH + 1
    middle = rows[window : window + height + 2 * PATCH, window : window + width + 2 * PATCH]
    total, most = (np.zeros((height, width), np.float32) for _ in range(2))
    sums = np.zeros((height, width, out.shape[2]), np.float32)
    for dy in range(-window, window + 1):
        for dx in range(-window, window + 1):
            if dy == 0 and dx == 0:
                continue
            other = rows[window + dy :, window + dx :][: height + 2 * PATCH, : width + 2 * PATCH]
            far = np.square(middle - other).mean(axis=2)
            far = cv2.boxFilter(far, -1, (side, side))[PATCH:-PATCH, PATCH:-PATCH]
            weight = np.exp(-np.maximum(far - np.float32(2 * noise**2), 0) / np.float32((BLUR * noise) ** 2))
            np.maximum(most, weight, out=most)
            total += weight
            sums += weight[..., None] * other[PATCH:-PATCH, PATCH:-PATCH]
    most = np.maximum(most, np.float32(1e-6))[..., None]
    own = middle[PATCH:-PATCH, PATCH:-PATCH]
    out[start:end] = (sums + most * own) / (total[..., None] + most)


def denoised(picture: Picture, strength: float = 0.5) -> Changed:
    """Noise reduced by a share of it, 0 to 1; edges and grain stay.

    Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005, with the distances of Lebrun's and
    their IPOL paper of 2011 (max(d² − 2σ², 0)); the result is mixed with the picture, so that of the noise a share
    remains. Nothing is done below 4/255. figures: noise before and after, of 255.
    """
    noise = noise_of(picture)
    if noise < NOISY or strength <= 0:
        return Changed(picture, {})
    more = WINDOW + PATCH
    source = np.ascontiguousarray(picture, np.float32)
    padded = np.pad(source, ((more, more), (more, more), (0, 0)), mode="symmetric")
    out = np.empty_like(source)
    each_band(len(out), lambda start, end: _means(padded, WINDOW, noise, start, end, out))
    mixed = (source + np.float32(min(strength, 1.0)) * (out - source)).clip(0, 1)
    return Changed(mixed, {"before": round(255 * noise, 2), "after": round(255 * noise_of(mixed), 2)})


def unfaded(picture: Picture, strength: float = 0.7) -> Changed:
    """Contrast stretched where the darkest and the lightest parts are far from black and white.

    Lightness between its 0.5 % and 99.5 % quantiles is taken for its range; below FADED it is
    stretched towards FULL, by `strength` of the way and MOST at most, about its middle. All channels move alike, so
    that no colour turns. figures: the range before and after, the factor.
    """
    low, high = (float(q) for q in np.quantile(picture.mean(axis=2), [0.005, 0.995]))
    if high - low >= FADED or high - low < 0.05 or strength <= 0:
        return Changed(picture, {})
    factor = min(1 + strength * (FULL / (high - low) - 1), MOST)
    # the ends move outwards, as far as there is room on each side
    room_low, room_high = low, 1 - high
    grows = (factor - 1) * (high - low)
    down = grows * room_low / max(room_low + room_high, 1e-6)
    out = ((picture - low) * np.float32(factor) + np.float32(low - down)).clip(0, 1).astype(np.float32)
    figures = {"before": round(high - low, 3), "after": round((high - low) * factor, 3), "factor": round(factor, 3)}
    return Changed(out, figures)


def _linear(values: np.ndarray) -> np.ndarray:
    """Light, from sRGB values (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def unyellowed(picture: Picture, strength: float = 0.6) -> Changed:
    """A yellow cast, as of old varnish or paper, taken back by a share of it, 0 to 1.

    The cast is told from the lightest tenth of what is nearly neutral: varnish is seen there first. It is yellow when
    blue is missing against red and green, most, and not red against green. Each channel is divided by what it lost, in
    linear light (von Kries), lightness kept. figures: the cast before (share of blue that is missing) and after.
    """
    if picture.shape[2] == 1 or strength <= 0:
        return Changed(picture, {})
    flat = picture.reshape(-1, picture.shape[2]).astype(np.float64)
    spread, light = flat.max(axis=1) - flat.min(axis=1), flat.mean(axis=1)
    pale = (spread < 0.4) & (light > 0.25) & (flat.max(axis=1) < 0.995)
    if pale.mean() < 0.02:
        return Changed(picture, {})
    chosen = flat[pale & (light >= np.quantile(light[pale], 0.9))]
    red, green, blue = np.median(_linear(chosen), axis=0)
    cast = 1 - blue / max((red + green) / 2, 1e-6)
    yellow = cast > YELLOW and green > blue and 0.85 < red / max(green, 1e-6) < 1.6
    # a cast lies over everything: nearly no pale pixel is bluer than neutral
    cool = float((flat[pale][:, 2] > flat[pale][:, :2].mean(axis=1)).mean())
    dark = flat[(light > 0.03) & (light <= max(float(np.quantile(light, 0.1)), 0.05))]
    if len(dark):  # it takes as much from what is dark
        red_, green_, blue_ = np.median(_linear(dark), axis=0)
        yellow = yellow and 1 - blue_ / max((red_ + green_) / 2, 1e-6) > 0.5 * cast
    if not yellow or cool > 0.02:
        return Changed(picture, {})
    gains = (np.array([green, green, green]) / np.array([red, green, blue])) ** min(strength, 1.0)
    gains /= float(gains @ np.array([0.2126, 0.7152, 0.0722]))
    lit = _linear(picture.astype(np.float64)) * gains
    out = np.where(lit <= 0.0031308, lit * 12.92, 1.055 * np.maximum(lit, 0.0031308) ** (1 / 2.4) - 0.055)
    left = 1 - blue * gains[2] / ((red * gains[0] + green * gains[1]) / 2)
    return Changed(out.clip(0, 1).astype(np.float32), {"before": round(float(cast), 3), "after": round(float(left), 3)})
