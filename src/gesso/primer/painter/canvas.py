"""How things, grounds and light become pixels: everything that is done to a picture of `h w 4` floats.

Red, green and blue in [0, 1] lie beside the cover; they are multiplied by it only when the picture is done.
"""

import math
from typing import NamedTuple

import numpy as np

from gesso.compiled import Record, Records, compiled, inlined
from gesso.primer.painter.dice import bell, between, likely, one_of
from gesso.primer.painter.materials import colour_at, fractal
from gesso.primer.painter.shapes import distance, local

__all__ = [
    "SCENE", "SHAPE", "STUFF", "THING", "Haze", "Light", "Pose", "cast_shadow", "finish", "lay_ground",
    "lay_landscape", "lay_thing",
]  # fmt: skip


THING, SHAPE, STUFF, SCENE = range(4)  # what is told of a pixel: numbers of its thing, its part's shape, …


class Light(NamedTuple):
    """Where the light comes from: a unit vector, z towards who looks."""

    x: float
    y: float
    z: float


class Pose(NamedTuple):
    """How a thing lies in the picture: its middle, its size, cosine and sine of its turn, its side, its stretch."""

    x: float
    y: float
    size: float
    c: float
    s: float
    flip: float
    stretch: float


class Haze(NamedTuple):
    """How much of the distance's colour lies over a thing, and that colour."""

    much: float
    r: float
    g: float
    b: float


@compiled
def lay_ground(canvas: np.ndarray, m: Record, zoom: float, dx: float, dy: float, tilt: float, light: Light) -> None:
    """A material all over the picture, lit from one side."""
    size = canvas.shape[0]
    c, s = math.cos(tilt) / zoom, math.sin(tilt) / zoom
    fall = between(0, 0.5) if likely(0.6) else 0.0
    for j in range(size):
        for i in range(size):
            x, y = (i + 0.5) / size - 0.5, (j + 0.5) / size - 0.5
            r, g, b, turned = colour_at(m, c * (x - dx) + s * (y - dy), c * (y - dy) - s * (x - dx))
            k = 1 + fall * (x * light.x + y * light.y) + 0.5 * turned
            canvas[j, i, 0], canvas[j, i, 1], canvas[j, i, 2], canvas[j, i, 3] = r * k, g * k, b * k, 1.0


@compiled
def lay_landscape(canvas: np.ndarray, ground: Record, sky: Record, horizon: float, aside: float) -> None:
    """A plain in perspective under a sky; a ridge of hills between them, sometimes."""
    size = canvas.shape[0]
    hills = between(0.02, 0.25) if likely(0.5) else 0.0
    rough, seed = between(1, 5), one_of(1 << 20)
    glow = between(0, 0.5)
    for i in range(size):
        x = (i + 0.5) / size - 0.5
        ridge = (
            horizon - hills * (0.5 + 0.5 * fractal(rough * (x + aside), 0.0, seed, 0.5, 4)) if hills > 0 else horizon
        )
        for j in range(size):
            y = (j + 0.5) / size
            if y > horizon:
                deep = 0.25 / (y - horizon + 0.03)
                r, g, b, turned = colour_at(ground, (x + 0.3 * aside) * deep, deep)
                blur = min(deep * ground.scale / (4 * size) * 3, 1.0)  # what is too fine to see is its mean
                r += blur * (0.5 * (ground.r0 + ground.r2) - r)
                g += blur * (0.5 * (ground.g0 + ground.g2) - g)
                b += blur * (0.5 * (ground.b0 + ground.b2) - b)
                light = 1 + 0.4 * turned * (1 - blur)
            elif y > ridge:
                k = 0.45 + 0.3 * (y - ridge) / (hills + 1e-6)
                r, g, b, turned = colour_at(ground, 3 * x, 3 * y)
                r, g, b = r * k + 0.35 * sky.r0, g * k + 0.35 * sky.g0, b * k + 0.35 * sky.b0
                light = 0.85
            else:
                r, g, b, turned = colour_at(sky, x + aside, y)
                light = 1 + glow * (y / max(horizon, 0.1) - 0.5)
            canvas[j, i, 0], canvas[j, i, 1], canvas[j, i, 2], canvas[j, i, 3] = r * light, g * light, b * light, 1.0


@compiled
def _over(canvas: np.ndarray, j: int, i: int, r: float, g: float, b: float, a: float) -> None:
    """Lay a colour over a pixel; the canvas keeps plain colours beside its cover."""
    under = canvas[j, i, 3]
    total = a + under * (1 - a)
    if total > 1e-6:
        w = a / total
        canvas[j, i, 0] += w * (r - canvas[j, i, 0])
        canvas[j, i, 1] += w * (g - canvas[j, i, 1])
        canvas[j, i, 2] += w * (b - canvas[j, i, 2])
        canvas[j, i, 3] = total


@inlined
def _into(pose: Pose, part: Record, px: float, py: float, turned: float) -> tuple[float, float]:
    """A point of the picture in a part's own axes; turned: 1 or -1, the side that the part is on."""
    x, y = (px - pose.x) / pose.size, (py - pose.y) / pose.size
    return local(part, (pose.c * x + pose.s * y) * turned / pose.stretch, (pose.c * y - pose.s * x) * pose.stretch)


@compiled
def _box(pose: Pose, part: Record, turned: float, size: int, dx: float, dy: float) -> tuple[int, int, int, int]:
    """The pixels that a part can touch: first and last column, first and last row."""
    reach = max(part.rx, part.ry) * 1.6
    if part.fold > 1:
        reach += abs(part.gap) * (1.0 if part.gap < 0 else part.fold / 2)
    reach *= pose.size * max(pose.stretch, 1 / pose.stretch)
    mx, my = part.x * turned * pose.stretch, part.y / pose.stretch
    x = pose.x + pose.size * (pose.c * mx - pose.s * my) + dx
    y = pose.y + pose.size * (pose.s * mx + pose.c * my) + dy
    return (
        max(int((x - reach) * size), 0),
        min(int((x + reach) * size) + 2, size),
        max(int((y - reach) * size), 0),
        min(int((y + reach) * size) + 2, size),
    )


@compiled
def cast_shadow(canvas: np.ndarray, part: Record, pose: Pose, light: Light, strength: float) -> None:
    """What a thing's body keeps of the light from what lies behind it."""
    size = canvas.shape[0]
    dx, dy = -0.25 * pose.size * light.x, (0.1 - 0.25 * light.y) * pose.size
    i0, i1, j0, j1 = _box(pose, part, pose.flip, size, dx, dy)
    for j in range(j0, j1):
        for i in range(i0, i1):
            u, v = _into(pose, part, (i + 0.5) / size - dx, (j + 0.5) / size - dy, pose.flip)
            dark = strength * min(max(0.5 - 2 * distance(part, u, v), 0.0), 1.0)
            if dark > 0:
                _over(canvas, j, i, 0.05, 0.04, 0.08, 0.5 * dark * canvas[j, i, 3])


@compiled
def lay_thing(
    canvas: np.ndarray,
    shown: np.ndarray,
    parts: Records,
    materials: Records,
    pose: Pose,
    light: Light,
    haze: Haze,
    pen: float,
    number: int,
) -> None:
    """Lay one thing, part after part: painted, or where `pen`, the width of a line, is above zero, drawn."""
    size = canvas.shape[0]
    ink = materials[2]
    for k in range(len(parts)):
        part = parts[k]
        for side in range(1 + part.mirror):
            turned = pose.flip if side == 0 else -pose.flip
            i0, i1, j0, j1 = _box(pose, part, turned, size, 0.0, 0.0)
            for j in range(j0, j1):
                for i in range(i0, i1):
                    px, py = (i + 0.5) / size, (j + 0.5) / size
                    u, v = _into(pose, part, px, py, turned)
                    d = distance(part, u, v)
                    if pen > 0:
                        cover = _drawn(part, pose, light, px, py, u, d, pen, size)
                    else:
                        cover = min(max(0.5 - d * size * pose.size, 0.0), 1.0)
                    if cover <= 0:
                        continue
                    r, g, b = 0.3 * ink.r0, 0.3 * ink.g0, 0.3 * ink.b0
                    if pen == 0:
                        r, g, b = _painted(part, materials, pose, light, haze, px, py, turned, u, v, d)
                    _over(canvas, j, i, r, g, b, cover)
                    if cover > 0.5:
                        shown[j, i, THING], shown[j, i, SHAPE] = number, part.kind + 1
                        shown[j, i, STUFF] = 0 if pen > 0 else materials[part.material].kind


@compiled
def _painted(
    part: Record,
    materials: Records,
    pose: Pose,
    light: Light,
    haze: Haze,
    px: float,
    py: float,
    turned: float,
    u: float,
    v: float,
    d: float,
) -> tuple[float, float, float]:
    """The colour of a point on a part: its material, as light and haze leave it."""
    m = materials[part.material]
    r, g, b, relief = colour_at(m, 0.35 * u, 0.35 * v)
    bright, gleam = 1.0 + 0.5 * relief, 0.0
    rounded = part.bevel * min(part.rx, part.ry)
    if rounded > 0:
        facing = _facing(part, pose, light, px, py, turned, d, rounded)
        bright *= 0.4 + 0.75 * facing
        if m.shine > 0:
            gleam = m.shine * facing**18
    if -d < min(part.outline, 0.25 * min(part.rx, part.ry)):
        bright, gleam = bright * 0.25, 0.0
    r, g, b = r * bright + gleam, g * bright + gleam, b * bright + gleam
    return r + haze.much * (haze.r - r), g + haze.much * (haze.g - g), b + haze.much * (haze.b - b)


@compiled
def _drawn(
    part: Record, pose: Pose, light: Light, px: float, py: float, u: float, d: float, pen: float, size: int
) -> float:
    """How much ink lies on a point: a line at the edge, and hatching where the part turns from the light."""
    cover = min(max(0.5 - (abs(d) - pen / pose.size) * size * pose.size, 0.0), 1.0)
    hatched = math.sin((px + 0.6 * py) * 22 / pose.size) > 1.1 - 0.9 * part.bevel * (0.5 + u * light.x)
    return max(cover, 0.55) if d < 0 and hatched else cover


@compiled
def _facing(
    part: Record, pose: Pose, light: Light, px: float, py: float, turned: float, d: float, rounded: float
) -> float:
    """How much a rounded surface faces the light, in [0, 1]: near its edge it falls off like a quarter of a circle."""
    e = 0.02 * pose.size
    t = min(max(-d / rounded, 0.0), 1.0)
    slope = (1 - t) / math.sqrt(1 - (1 - t) * (1 - t) + 0.08) if t < 1 else 0.0
    ua, va = _into(pose, part, px + e, py, turned)
    ub, vb = _into(pose, part, px, py + e, turned)
    gx, gy = (distance(part, ua, va) - d) / 0.02 * slope, (distance(part, ub, vb) - d) / 0.02 * slope
    return max((gx * light.x + gy * light.y + light.z) / math.sqrt(gx * gx + gy * gy + 1), 0.0)


@compiled
def finish(canvas: np.ndarray, spare: np.ndarray, clear: bool) -> None:
    """What a lens, a film and a hand do to it: light, focus, grain."""
    size = canvas.shape[0]
    gain, lift = math.exp(0.18 * bell()), 0.05 * bell()
    warm = 0.05 * bell()
    grain = abs(bell()) * 0.03 if likely(0.25) and not clear else 0.0
    for j in range(size):
        for i in range(size):
            canvas[j, i, 0] = canvas[j, i, 0] * gain * (1 + warm) + lift
            canvas[j, i, 1] = canvas[j, i, 1] * gain + lift
            canvas[j, i, 2] = canvas[j, i, 2] * gain * (1 - warm) + lift
    if likely(0.35) and not clear:
        times = 1 + one_of(2)
        for _ in range(times):  # binomial, so nearly Gaussian
            _soften(canvas, spare)
    if grain > 0:
        for j in range(size):
            for i in range(size):
                k = grain * bell()
                for c in range(3):
                    canvas[j, i, c] += k + 0.4 * grain * bell()


@compiled
def _soften(canvas: np.ndarray, spare: np.ndarray) -> None:
    size = canvas.shape[0]
    for j in range(size):
        for i in range(size):
            a, b = max(i - 1, 0), min(i + 1, size - 1)
            for c in range(4):
                spare[j, i, c] = 0.25 * canvas[j, a, c] + 0.5 * canvas[j, i, c] + 0.25 * canvas[j, b, c]
    for j in range(size):
        a, b = max(j - 1, 0), min(j + 1, size - 1)
        for i in range(size):
            for c in range(4):
                canvas[j, i, c] = 0.25 * spare[a, i, c] + 0.5 * spare[j, i, c] + 0.25 * spare[b, i, c]
