"""Finding the watermark: where the tile begins, how the picture was turned and scaled, and what it says."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, UInt8

from gesso.marks.watermark.carrier import RING, RINGS, TILE, Waves, carrier, coefficients, moved, signs
from gesso.marks.watermark.code import decoded, encoded
from gesso.marks.watermark.view import Plane, folded, lightness, resized, whitened

__all__ = ["Found", "detect", "read", "soft"]

SMALLEST = 64  # pixels of a picture's shorter side, below which there is nothing to look for
LARGEST = 2048  # of which the middle is looked at
WINDOW = 512  # pixels of the middle that are looked at at every scale, in the mark's own pixels
GATE = 5.0  # standard deviations of the pilot, below which a message is not even read
SURE = 0.63  # mean of the message's signs over their deviation: of noise read as a message it is less
LIKELY = (0.5, 0.75, 2.0, 1.5, 2 / 3, 0.25, 1 / 3, 3.0, 4.0)
SCALES = np.exp(np.arange(np.log(0.4), np.log(2.2), 0.006))
TRIES = 5  # of the best of those
LOUD = 1.5  # a wave counts no more than this many root mean squares of its ring


class Found(NamedTuple):
    """A watermark that was read."""

    payload: int
    score: float  # how many standard deviations the pilot stands above what no mark would give, at most 22.6
    scale: float  # the picture's size over its size when it was marked
    turned: int  # quarter turns against the clock, after mirroring
    mirrored: bool  # left and right


class Place(NamedTuple):
    """Where the pilot fits best."""

    score: float
    way: int  # of the eight
    down: float
    right: float
    waves: Waves


def detect(image: UInt8[np.ndarray, "h w c"]) -> Found | None:
    """The watermark of a picture, None where there is none that can be read.

    image: 1, 3 or 4 channels, premultiplied. First as it is, then at likely scales, then at all from 0.4 to 2.2.
    An unmarked picture passes for a marked one with a probability below 10⁻⁶: at most 15 messages are read, and the
    checksum of a random one is right once in 2²⁴.
    """
    if min(image.shape[:2]) < SMALLEST:
        return None
    light = _middle(lightness(image), LARGEST, LARGEST)
    if (found := read(light)) is not None:
        return found
    for scale in LIKELY:
        part = _middle(light, *(max(round(3 * WINDOW * scale), SMALLEST),) * 2)
        if (found := read(part, (scale, scale))) is not None:
            return found
    for scales in _refined(light):
        if (found := read(light, scales)) is not None:
            return found
    return None


def read(light: Plane, scales: tuple[float, float] = (1.0, 1.0)) -> Found | None:
    """The watermark at a scale of height and width, None where there is none."""
    high, wide = (round(n / scale) for n, scale in zip(light.shape, scales, strict=True))
    if min(high, wide) < SMALLEST or max(high, wide) > 2 * LARGEST:
        return None
    place = best_place(coefficients(folded(whitened(resized(light, high, wide)))))
    if place.score < GATE:
        return None
    said = soft(moved(place.waves, *refined(place)))
    payload = decoded(said)
    if payload is None or certainty(said, payload) < SURE:
        return None
    scale = float(np.sqrt(scales[0] * scales[1]))
    return Found(payload, round(float(place.score), 2), scale, place.way % 4, place.way >= 4)


def certainty(said: Float[np.ndarray, "n"], payload: int) -> float:
    """Mean over standard deviation of soft signs, each turned as the payload says."""
    right = said * encoded(payload)
    return float(right.mean() / max(right.std(), 1e-9))


def best_place(ways: Complex[np.ndarray, "k 1024"]) -> Place:
    """The way and shift at which the pilot fits best, by its correlation with the waves at all shifts.

    Each wave is divided by the root mean square of its ring and clipped, so that no host's own waves, however loud,
    can make a peak: over random phases of the pilot the score is close to normal, whatever the picture.
    """
    key = carrier()
    even = np.stack([_even(waves) for waves in ways])
    pilot = even[:, key.pilot]
    surface = np.zeros((len(even), TILE, TILE // 2 + 1), np.complex64)
    surface[:, key.rows[key.pilot], key.columns[key.pilot]] = pilot * key.phases.conj()
    height = np.fft.irfft2(surface, (TILE, TILE)).reshape(len(even), -1) * (TILE * TILE / 2)
    height /= np.sqrt(np.sum(np.abs(pilot) ** 2, axis=1, keepdims=True) / 2) + 1e-9
    way, peak = divmod(int(height.argmax()), TILE * TILE)
    return Place(float(height[way, peak]), way, peak // TILE, peak % TILE, even[way])


def refined(place: Place) -> tuple[float, float]:
    """A place's shift to a quarter of a pixel."""
    key = carrier()
    steps = np.arange(-3, 4) / 4
    pilot = place.waves[key.pilot] * key.phases.conj()
    down = np.exp(2j * np.pi / TILE * np.outer(place.down + steps, key.rows[key.pilot]))
    right = np.exp(2j * np.pi / TILE * np.outer(place.right + steps, key.columns[key.pilot]))
    fit = np.real((down * pilot) @ right.T)
    y, x = divmod(int(fit.argmax()), steps.size)
    return place.down + steps[y], place.right + steps[x]


def soft(waves: Waves) -> Float[np.ndarray, "n"]:
    """How much waves in their place speak for each sign of the message, as log-likelihood ratios.

    Rings weigh as much as the pilot is seen in them: amplitude over the variance of what is not the pilot.
    """
    key = carrier()
    seen = np.real(waves[key.pilot] * key.phases.conj())
    amplitude = np.bincount(key.ring[key.pilot], seen) / (key.pilot.size // RINGS)
    amplitude = np.maximum(np.convolve(np.pad(amplitude, 1, "edge"), (0.25, 0.5, 0.25), "valid"), 0.02) / np.sqrt(2)
    power = np.bincount(key.ring, np.abs(waves) ** 2) / (2 * RING) + 1e-9
    weights = amplitude / np.maximum(power - amplitude**2, 0.05 * power)
    return signs(waves * weights[key.ring]).sum(axis=0)


def _even(waves: Waves) -> Waves:
    ring = carrier().ring
    size = np.abs(waves)
    usual = np.sqrt(np.bincount(ring, size**2) / RING)[ring] + 1e-9
    return waves / np.maximum(usual, size / LOUD)


def _refined(light: Plane) -> Iterator[tuple[float, float]]:
    """Scales of height and width at which the pilot stands out most in the middle of a picture, the likeliest first."""
    levels: dict[float, Plane] = {}
    for level, largest in ((2.0, 0.72), (1.0, 1.43), (0.5, 2.2)):
        part = _middle(light, *(round(WINDOW * largest) + 2,) * 2)
        levels[level] = whitened(resized(part, *(max(round(n * level), SMALLEST // 2) for n in part.shape)))

    def score(high: float, wide: float) -> float:
        level = 2.0 if high < 0.71 else 1.0 if high < 1.42 else 0.5
        plane = _middle(levels[level], round(WINDOW * high * level), round(WINDOW * wide * level))
        shape = round(plane.shape[0] / (high * level)), round(plane.shape[1] / (wide * level))
        return best_place(coefficients(folded(resized(plane, *shape)))).score

    first = sorted(((score(scale, scale), scale) for scale in SCALES), reverse=True)
    taken: list[float] = []
    for _, scale in first:
        if len(taken) < TRIES and all(abs(np.log(scale / other)) > 0.013 for other in taken):
            taken.append(scale)
    for scale in taken:
        best, sides = max((score(s, s), (s, s)) for s in scale * np.exp(np.array((-3.0, -1.5, 0.0, 1.5, 3.0)) / 1000))
        for step in (0.002, 0.001):
            y, x = sides
            near = [(y * (1 + step), x), (y * (1 - step), x), (y, x * (1 + step)), (y, x * (1 - step))]
            best, sides = max([(best, sides), *((score(*pair), pair) for pair in near)])
        yield sides


def _middle(plane: Plane, height: int, width: int) -> Plane:
    top, left = max(plane.shape[0] - height, 0) // 2, max(plane.shape[1] - width, 0) // 2
    return plane[top : top + height, left : left + width]
