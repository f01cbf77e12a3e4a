"""Shapes that the painter lays on a picture, as signed distances: negative inside, in units of the picture's side.

Every part of a thing is one of `KINDS`, with a place, an angle, two radii and two numbers (`a`, `b`) that mean
something else to each kind. Distances need not be exact: they anti-alias edges, round surfaces and draw outlines.
"""

import math

import numpy as np

from gesso.compiled import Record, compiled, inlined

__all__ = ["KINDS", "PART", "distance", "local"]

KINDS = (
    "ellipse", "box", "star", "blob", "stroke", "ring", "crescent", "leaf", "wedge", "glyph",
)  # fmt: skip
ELLIPSE, BOX, STAR, BLOB, STROKE, RING, CRESCENT, LEAF, WEDGE, GLYPH = range(len(KINDS))

PART = np.dtype(
    [
        ("kind", np.int32),
        ("x", np.float32), ("y", np.float32), ("c", np.float32), ("s", np.float32),  # its place and turn
        ("rx", np.float32), ("ry", np.float32),  # its radii
        ("a", np.float32), ("b", np.float32),
        ("mirror", np.int32),  # drawn again on the other side of the thing's axis
        ("fold", np.int32), ("gap", np.float32),  # repeated `fold` times: around (gap < 0) or in a row, `gap` apart
        ("seed", np.int32),
        ("material", np.int32),
        ("bevel", np.float32),  # how far from its edge a surface is round; 0 is flat
        ("outline", np.float32),  # width of the line around it
    ]
)  # fmt: skip


@inlined
def mixed(n: int) -> int:
    """A whole number stirred into another of 31 bits."""
    n = (n ^ (n >> 16)) * 0x2545F4914F6CDD1D
    n = (n ^ (n >> 32)) * 0x2545F4914F6CDD1D
    return (n >> 24) & 0x7FFFFFFF


@inlined
def chance(seed: int, n: int) -> float:
    """The n-th number in [0, 1) of a seed."""
    return mixed(seed * 7919 + n * 104729 + 12345) / 2147483648.0


@inlined
def segment(x: float, y: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Distance to the segment from a to b."""
    px, py, dx, dy = x - ax, y - ay, bx - ax, by - ay
    t = (px * dx + py * dy) / (dx * dx + dy * dy + 1e-12)
    t = min(max(t, 0.0), 1.0)
    return math.hypot(px - t * dx, py - t * dy)


@compiled
def _stroke(seed: int, x: float, y: float, reach: float, thick: float, bend: float, pieces: int) -> float:
    """A line that wanders: from the left to the right, turning by up to `bend` radians at every joint."""
    step = 2 * reach / pieces
    ax, ay, way = -reach, 0.0, (chance(seed, 0) - 0.5) * bend
    best = 1e9
    for i in range(pieces):
        bx, by = ax + step * math.cos(way), ay + step * math.sin(way)
        taper = thick * (1.0 - 0.6 * i / pieces) if chance(seed, 99) < 0.5 else thick
        best = min(best, segment(x, y, ax, ay, bx, by) - taper)
        ax, ay = bx, by
        way += (chance(seed, i + 1) - 0.5) * bend
    return best


@compiled
def _glyph(seed: int, x: float, y: float, rx: float, ry: float, thick: float) -> float:
    """A mark like a letter: two to four strokes between the knots of a 3 × 3 lattice, some of them bows."""
    best = 1e9
    for i in range(2 + mixed(seed) % 3):
        p, q = mixed(seed * 31 + i) % 9, mixed(seed * 37 + i + 7) % 9
        if p == q:
            q = (p + 3) % 9
        ax, ay = (p % 3 - 1) * rx, (p // 3 - 1) * ry
        bx, by = (q % 3 - 1) * rx, (q // 3 - 1) * ry
        if chance(seed, i + 50) < 0.35:  # a bow: two pieces over a middle that is pushed aside
            mx, my = (ax + bx) / 2 - (by - ay) * 0.35, (ay + by) / 2 + (bx - ax) * 0.35
            best = min(best, segment(x, y, ax, ay, mx, my), segment(x, y, mx, my, bx, by))
        else:
            best = min(best, segment(x, y, ax, ay, bx, by))
    return best - thick


@inlined
def local(part: Record, x: float, y: float) -> tuple[float, float]:
    """A point of the thing in the part's own axes, its repetitions folded onto the first."""
    x, y = x - part.x, y - part.y
    x, y = part.c * x + part.s * y, part.c * y - part.s * x
    if part.fold > 1:
        if part.gap < 0:  # around its middle, -gap away from it
            turn = 2 * math.pi / part.fold
            angle = math.atan2(y, x)
            angle -= turn * math.floor(angle / turn + 0.5)
            r = math.hypot(x, y)
            x, y = r * math.cos(angle) + part.gap, r * math.sin(angle)
        else:
            half = (part.fold - 1) / 2
            x -= part.gap * (min(max(math.floor(x / part.gap + half + 0.5), 0.0), part.fold - 1.0) - half)
    return x, y


@compiled
def distance(part: Record, x: float, y: float) -> float:
    """Signed distance from a point in the part's own axes to its edge."""
    kind, rx, ry = part.kind, part.rx, part.ry
    if kind == ELLIPSE:
        k = math.hypot(x / rx, y / ry)
        return k * (k - 1) / (math.hypot(x / (rx * rx), y / (ry * ry)) + 1e-9)
    if kind == BOX:
        corner = part.a * min(rx, ry)
        qx, qy = abs(x) - rx + corner, abs(y) - ry + corner
        return math.hypot(max(qx, 0.0), max(qy, 0.0)) + min(max(qx, qy), 0.0) - corner
    if kind == STAR:  # a: its points, 3 to 12; b: the inner radius over the outer one
        y *= rx / ry
        n = max(int(part.a), 3)
        turn = math.pi / n
        angle = abs(math.atan2(y, x)) % (2 * turn)
        angle = 2 * turn - angle if angle > turn else angle
        r = math.hypot(x, y)
        px, py = r * math.cos(angle) - rx, r * math.sin(angle)
        ex, ey = part.b * rx * math.cos(turn) - rx, part.b * rx * math.sin(turn)
        return (px * ey - py * ex) / (math.hypot(ex, ey) + 1e-9) * min(1.0, ry / rx)
    if kind == BLOB:  # a: how uneven
        y *= rx / ry
        angle = math.atan2(y, x)
        r = rx
        for k in range(2, 6):
            r += rx * part.a / k * math.cos(k * angle + 6.28 * chance(part.seed, k)) * (chance(part.seed, k + 9) + 0.3)
        return (math.hypot(x, y) - r) * min(1.0, ry / rx)
    if kind == STROKE:  # ry: half of its thickness; a: its bend
        return _stroke(part.seed, x, y, rx, ry, part.a, 4)
    if kind == RING:  # a: its thickness over the radius
        y *= rx / ry
        return (abs(math.hypot(x, y) - rx * (1 - part.a)) - rx * part.a) * min(1.0, ry / rx)
    if kind == CRESCENT:  # a: how far the bite's middle is
        y *= rx / ry
        return max(math.hypot(x, y) - rx, rx * part.b - math.hypot(x - part.a * rx, y)) * min(1.0, ry / rx)
    if kind == LEAF:  # two circles through both tips
        ratio = min(ry / rx, 0.95)
        big = rx * (1 + ratio * ratio) / (2 * ratio)
        return math.hypot(x, abs(y) + big - rx * ratio) - big
    if kind == WEDGE:  # a: the width of its far end over that of its near end
        width = ry * (1 + (part.a - 1) * min(max(0.5 + 0.5 * x / rx, 0.0), 1.0))
        return max(abs(x) - rx, (abs(y) - width) * 0.95)
    return _glyph(part.seed, x, y, rx, ry, part.a * rx)
