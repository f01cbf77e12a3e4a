"""What the painter paints with: noise, patterns and colours, each a function of a point.

Noise is a sum of octaves whose weights fall by `gain` (fractal Brownian motion; Perlin 1985), which gives the
1/f statistics of natural pictures for a gain near a half.
"""

import math

import numpy as np

from gesso.compiled import Record, compiled, inlined
from gesso.primer.painter.shapes import chance

__all__ = ["MATERIAL", "PATTERNS", "colour_at", "field", "fractal", "oklab"]

PATTERNS = (
    "plain", "stripes", "checks", "bricks", "dots", "gradient", "rings", "clouds", "veins", "cells", "scales", "grain",
)  # fmt: skip
PLAIN, STRIPES, CHECKS, BRICKS, DOTS, GRADIENT, RINGS, CLOUDS, VEINS, CELLS, SCALES, GRAIN = range(len(PATTERNS))

MATERIAL = np.dtype(
    [
        ("kind", np.int32),
        ("wave", np.int32),  # how the pattern's value becomes a place between the colours: soft, hard, steps
        ("c", np.float32), ("s", np.float32),  # cosine and sine of its turn
        ("scale", np.float32),  # repetitions over the picture's side
        ("warp", np.float32),  # how much noise pushes it about
        ("gain", np.float32),
        ("rough", np.float32),  # strength of the finest noise in its brightness
        ("relief", np.float32),  # how much the light catches its pattern
        ("shine", np.float32),
        ("seed", np.int32),
        ("r0", np.float32), ("g0", np.float32), ("b0", np.float32),
        ("r1", np.float32), ("g1", np.float32), ("b1", np.float32),
        ("r2", np.float32), ("g2", np.float32), ("b2", np.float32),
    ]
)  # fmt: skip


@compiled
def oklab(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """OKLab (Ottosson 2020) -> sRGB, clipped to [0, 1]."""
    x = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    y = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    z = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encoded(4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z),
        _encoded(-1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z),
        _encoded(-0.0041960863 * x - 0.7034186147 * y + 1.7076147010 * z),
    )


@inlined
def _encoded(value: float) -> float:
    """Linear light -> sRGB (IEC 61966-2-1)."""
    value = min(max(value, 0.0), 1.0)
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


@inlined
def _knot(i: int, j: int, seed: int) -> float:
    n = (i * 0x1B873593CC9E2D51) ^ (j * 0x38495AB5E6546B64 + j) ^ (seed * 0x165667B19E3779F9)
    n = (n ^ (n >> 32)) * 0x2545F4914F6CDD1D
    return ((n >> 32) & 0xFFFFF) / 524288.0 - 1.0


@compiled
def noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in [-1, 1] with one knot a unit."""
    fx, fy = math.floor(x), math.floor(y)
    i, j = int(fx), int(fy)
    u, v = x - fx, y - fy
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    top = _knot(i, j, seed) * (1 - u) + _knot(i + 1, j, seed) * u
    low = _knot(i, j + 1, seed) * (1 - u) + _knot(i + 1, j + 1, seed) * u
    return top * (1 - v) + low * v


@compiled
def fractal(x: float, y: float, seed: int, gain: float, octaves: int) -> float:
    """Octaves of noise, about in [-1, 1]."""
    total, weight, norm = 0.0, 1.0, 0.0
    for k in range(octaves):
        total += weight * noise(x, y, seed + k)
        norm += weight
        weight *= gain
        x, y = 2 * x + 17.3, 2 * y - 9.1
    return 1.6 * total / norm


@compiled
def _cells(x: float, y: float, seed: int) -> tuple[float, float]:
    """Distances to the nearest and the second nearest of scattered points, one a unit square (Worley 1996)."""
    i, j = math.floor(x), math.floor(y)
    near, next_ = 9.0, 9.0
    for dj in range(-1, 2):
        for di in range(-1, 2):
            px = i + di + 0.5 + 0.45 * _knot(i + di, j + dj, seed)
            py = j + dj + 0.5 + 0.45 * _knot(i + di, j + dj, seed + 1)
            d = math.hypot(px - x, py - y)
            if d < near:
                near, next_ = d, near
            elif d < next_:
                next_ = d
    return near, next_


@compiled
def field(m: Record, x: float, y: float) -> float:
    """The pattern's value at a point, in [0, 1]."""
    kind, scale, seed = m.kind, m.scale, m.seed
    if kind == PLAIN:
        return 0.0
    u, v = (m.c * x + m.s * y) * scale, (m.c * y - m.s * x) * scale
    if m.warp > 0:
        u += m.warp * fractal(2 * x * scale**0.5, 2 * y * scale**0.5, seed + 11, 0.5, 2)
        v += m.warp * fractal(2 * x * scale**0.5, 2 * y * scale**0.5, seed + 23, 0.5, 2)
    if kind == STRIPES:
        t = 0.5 + 0.5 * math.sin(6.2832 * u)
    elif kind == CHECKS:
        t = 0.5 + 0.5 * math.tanh(6 * math.sin(3.1416 * u) * math.sin(3.1416 * v))
    elif kind == BRICKS:
        row = math.floor(v)
        p, q = (u * 0.5 + 0.5 * (row % 2)) % 1.0, v % 1.0
        t = min(1.0, 8 * min(min(p, 1 - p) * 2, min(q, 1 - q))) * (
            0.75 + 0.25 * _knot(math.floor(u * 0.5 + 0.5 * (row % 2)), int(row), seed)
        )
    elif kind == DOTS:
        t = min(max(1.2 - 3 * math.hypot(u % 1.0 - 0.5, v % 1.0 - 0.5) * (1 + chance(seed, 1)), 0.0), 1.0)
    elif kind == GRADIENT:
        t = 0.5 + 0.5 * math.tanh(2 * (u / scale - 0.5))
    elif kind == RINGS:
        t = 0.5 + 0.5 * math.sin(6.2832 * math.hypot(u - chance(seed, 1) * scale, v - chance(seed, 2) * scale))
    elif kind == CLOUDS:
        t = 0.5 + 0.5 * fractal(u, v, seed, m.gain, 4)
    elif kind == VEINS:
        t = 1 - abs(fractal(u, v, seed, m.gain, 4)) * 2.2
    elif kind == CELLS:
        near, next_ = _cells(u, v, seed)
        t = min(1.0, 3 * (next_ - near)) if chance(seed, 3) < 0.5 else near
    elif kind == SCALES:
        row = math.floor(v)
        p = (u + 0.5 * (row % 2)) % 1.0 - 0.5
        q = v % 1.0
        t = q if p * p + (q - 0.1) * (q - 0.1) < 0.3 else 1.0 - 0.4 * q
    else:  # grain: threads in one direction
        t = 0.5 + 0.5 * fractal(u * 0.3, v * 3, seed, m.gain, 3)
    return min(max(t, 0.0), 1.0)


@compiled
def colour_at(m: Record, x: float, y: float) -> tuple[float, float, float, float]:
    """Red, green, blue in [0, 1] of a material at a point, and its relief: how far it turns from the light."""
    t = field(m, x, y)
    turned = 0.0
    if m.relief > 0 and m.kind != PLAIN:
        turned = m.relief * (t - field(m, x + 0.012, y + 0.016))
    if m.wave == 1:
        t = 0.5 + 0.5 * math.tanh(8 * (t - 0.5))
    elif m.wave == 2:
        t = math.floor(t * 3.999) / 3
    if t < 0.5:
        w = 2 * t
        r, g, b = m.r0 + w * (m.r1 - m.r0), m.g0 + w * (m.g1 - m.g0), m.b0 + w * (m.b1 - m.b0)
    else:
        w = 2 * t - 1
        r, g, b = m.r1 + w * (m.r2 - m.r1), m.g1 + w * (m.g2 - m.g1), m.b1 + w * (m.b2 - m.b1)
    if m.rough > 0:
        k = 1 + m.rough * fractal(14 * x + 3.7, 14 * y, m.seed + 5, 0.65, 2)
        r, g, b = r * k, g * k, b * k
    return r, g, b, turned
