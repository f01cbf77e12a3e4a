"""What is heard in a sound, in figures: how loud it is, and where something begins."""

import math

import numpy as np
from jaxtyping import Float

__all__ = ["heard", "loudness", "onsets"]

WINDOW = 0.1  # seconds in which loudness is measured
SMOOTH = 0.3  # seconds over which it is smoothed
FLAT = 0.01  # a loudness that changes by less than that share of its highest does not change
STEP, LOOK = 0.01, 0.023  # seconds between two spectra, and of sound in each
AROUND, APART = 0.5, 0.05  # seconds of the median to either side; and in which an onset is the highest
ABOVE, LEAST = 1.5, 0.05  # a peak is that many medians high, and that share of the highest besides
STILL = 0.01  # growth of a smaller share of the loudest spectrum is no beginning
BLOCK = 1024  # spectra at once


def loudness(
    sound: Float[np.ndarray, "n c"], rate: int, times: Float[np.ndarray, " m"], width: float = WINDOW
) -> Float[np.ndarray, " m"]:
    """Root mean square of all channels, in windows around times in seconds; of a sine, its amplitude / √2.

    width: seconds of a window; at the ends only what there is of it counts. Beyond the sound it is silent: 0.
    """
    power = np.concatenate([[0.0], np.square(sound, dtype=np.float64).mean(1).cumsum()])
    length = len(sound)
    begin = np.floor((times - width / 2) * rate).clip(0, length).astype(int)
    end = np.ceil((times + width / 2) * rate).clip(0, length).astype(int)
    return np.sqrt((power[end] - power[begin]).clip(0) / np.maximum(end - begin, 1))


def heard(loud: Float[np.ndarray, " m"], fps: float, loop: bool = False) -> Float[np.ndarray, " m"]:
    """How much is heard at each frame, smoothed: 0 where least is, 1 where most is; always 1 where that is the same.

    loud: loudness at each frame. loop: smooth from the end on to the beginning, too, so that they meet.
    """
    reach = max(round(SMOOTH * fps / 2), 1)
    window = np.hanning(2 * reach + 3)[1:-1]
    wide = np.pad(loud, reach, mode="wrap" if loop else "edge")
    smooth = np.convolve(wide, window / window.sum(), mode="valid")
    low, high = float(smooth.min()), float(smooth.max())
    return np.ones(len(loud)) if high - low <= FLAT * high else (smooth - low) / (high - low)


def onsets(sound: Float[np.ndarray, "n c"], rate: int) -> Float[np.ndarray, " k"]:
    """Where something begins, in seconds, to about a hundredth: beats, notes, consonants; not what goes on from before.

    Spectral flux, by how much all magnitudes grow from spectrum to spectrum (Dixon 2006, "Onset detection revisited",
    section 2.2); its highest points, where they stand out above its median around them (Bello et al. 2005, "A tutorial
    on onset detection in music signals", section III.C).
    """
    size, step = max(2 ** round(math.log2(LOOK * rate)), 2), max(round(STEP * rate), 1)
    if len(sound) < size:
        return np.zeros(0)
    flux, most = _flux(sound, size, step)
    if flux.max() <= STILL * most:
        return np.zeros(0)
    flux = flux / flux.max()
    apart, around = round(APART / STEP), round(AROUND / STEP)
    tops = np.lib.stride_tricks.sliding_window_view(np.pad(flux, apart), 2 * apart + 1).max(1)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(flux, around), 2 * around + 1), axis=1)
    peaks = np.flatnonzero((flux == tops) & (flux > ABOVE * medians + LEAST))
    first = np.diff(peaks, prepend=-apart - 1) > apart  # of equal ones side by side
    return (size / 2 + peaks[first] * step) / rate


def _flux(sound: Float[np.ndarray, "n c"], size: int, step: int) -> tuple[Float[np.ndarray, " m"], float]:
    """How much the magnitudes of each spectrum are above those of the one before; and the largest sum of magnitudes."""
    parts = np.lib.stride_tricks.sliding_window_view(sound, size, axis=0)[::step]
    window, out, most = np.hamming(size), list[np.ndarray](), 0.0
    before = np.abs(np.fft.rfft(parts[:1] * window, axis=-1)).mean(1)
    for first in range(0, len(parts), BLOCK):
        magnitudes = np.abs(np.fft.rfft(parts[first : first + BLOCK] * window, axis=-1)).mean(1)
        out.append(np.diff(magnitudes, axis=0, prepend=before).clip(0).sum(1))
        before, most = magnitudes[-1:], max(most, float(magnitudes.sum(1).max()))
    return np.concatenate(out), most
