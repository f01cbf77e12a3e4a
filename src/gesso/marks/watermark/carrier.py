"""The waves that carry the watermark: a tile of 128 × 128 pixels, repeated over the picture, known by its DFT.

A periodic pattern survives shifts and crops: the picture folded modulo the tile adds all repetitions up, and a shift is
a linear phase (Kutter 1998; Kalker et al. 1999). Of 1024 waves, 256 are a pilot whose phases are fixed, and 768 carry
two signs each: every sign of the coded message lies on four waves, one in each quarter of the spectrum.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex128, Float, Int

from gesso.marks.watermark.code import CODED

__all__ = ["BANDS", "COPIES", "RING", "RINGS", "TILE", "Carrier", "carrier", "coefficients", "moved", "signs", "spread"]

TILE = 128  # pixels of a side
RINGS, RING = 8, 128  # rings of waves by their frequency, and waves of each
PILOTS = 32  # of each ring
COPIES = 4  # waves that carry one sign
LOWEST = 6.0  # cycles of a tile: slower waves would be seen as blotches
BANDS = (9.0, 17.0)  # cycles of a tile that part the three octaves
KEY = b"gesso watermark 1"  # not a secret: everyone may look for the mark

Waves = Complex128[np.ndarray, "1024"]


class Carrier(NamedTuple):
    """Frequencies and roles of the waves, ordered by frequency; the same on every machine."""

    rows: Int[np.ndarray, "1024"]  # cycles of a tile from top to bottom, −64 to 63
    columns: Int[np.ndarray, "1024"]  # and from left to right, 1 to 64
    ring: Int[np.ndarray, "1024"]
    band: Int[np.ndarray, "1024"]  # octave: 0 slow, 1, 2 fast
    pilot: Int[np.ndarray, "256"]  # places of the pilot's waves
    phases: Complex128[np.ndarray, "256"]
    data: Int[np.ndarray, "768"]  # places of the others
    slots: Int[np.ndarray, "4 n"]  # for each sign of the message its real and imaginary parts, counted 0 to 1535
    scramble: Int[np.ndarray, "4 n"]  # what the signs are multiplied by there
    turned: Int[np.ndarray, "8 2 1024"]  # rows and columns of each wave after k quarter turns, k + 4 mirrored before


@cache
def carrier() -> Carrier:
    """The waves, chosen by the key."""
    numbers = iter(np.frombuffer(hashlib.shake_256(KEY).digest(1 << 16), "<u4").tolist())
    rows, columns = (n.ravel() for n in np.mgrid[-TILE // 2 : TILE // 2, 0 : TILE // 2 + 1])
    radius = np.hypot(rows, columns)
    keep = np.flatnonzero((radius >= LOWEST) & (rows != 0) & (columns != 0))  # edges and frames lie on the axes
    keep = keep[np.lexsort((columns[keep], rows[keep], radius[keep]))][: RINGS * RING]
    rows, columns, radius = rows[keep], columns[keep], radius[keep]
    ring = np.arange(RINGS * RING) // RING
    chosen = np.concatenate([start + _shuffled(RING, numbers)[:PILOTS] for start in range(0, ring.size, RING)])
    pilot = np.sort(chosen)
    data = np.setdiff1d(np.arange(ring.size), pilot)
    phases = np.exp(0.5j * np.pi * (_drawn(pilot.size, numbers) % 4 + 0.5))
    slots = np.stack([copy * CODED + _shuffled(CODED, numbers) for copy in range(COPIES)])
    scramble = 2 * (_drawn(COPIES * CODED, numbers) % 2).reshape(COPIES, CODED) - 1
    turned = []
    for mirrored in (1, -1):
        y, x = rows, mirrored * columns
        for _ in range(4):
            turned.append((y, x))
            y, x = -x, y
    band = np.searchsorted(BANDS, radius)
    return Carrier(rows, columns, ring, band, pilot, phases, data, slots, scramble, np.array(turned))


def spread(message: Float[np.ndarray, "n"], weights: Float[np.ndarray, "n"] | float = 1.0, pilot: float = 1.0) -> Waves:
    """The waves, of size 1 each, that carry signs; weights: of each sign. pilot: the size of the pilot's."""
    key = carrier()
    waves, parts = np.empty(key.rows.size, np.complex128), np.empty(2 * key.data.size)
    parts[key.slots] = key.scramble * (message * weights) / np.sqrt(2)
    waves[key.pilot] = pilot * key.phases
    waves[key.data] = parts.view(np.complex128)
    return waves


def signs(waves: Waves) -> Float[np.ndarray, "4 n"]:
    """What the waves say about each sign of the message, in each of its four places."""
    key = carrier()
    return waves[key.data].view(np.float64)[key.slots] * key.scramble


def moved(waves: Waves, down: float, right: float) -> Waves:
    """The waves of a tile that began so many pixels further down and to the right, moved back to its beginning."""
    key = carrier()
    return waves * np.exp(2j * np.pi / TILE * (key.rows * down + key.columns * right))


def coefficients(folded: Float[np.ndarray, "128 128"]) -> Complex128[np.ndarray, "8 1024"]:
    """The waves of a folded picture, for each of the eight ways in which the picture may have been turned."""
    rows, columns = carrier().turned.transpose(1, 0, 2)
    return np.fft.fft2(folded)[rows, columns]


def _drawn(count: int, numbers: Iterator[int]) -> Int[np.ndarray, "n"]:
    return np.array([next(numbers) for _ in range(count)])


def _shuffled(count: int, numbers: Iterator[int]) -> Int[np.ndarray, "n"]:
    return np.argsort(_drawn(count, numbers), kind="stable")
