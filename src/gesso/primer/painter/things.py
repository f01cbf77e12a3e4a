"""What the painter invents: palettes, materials, and things put together from parts, as nature and people make them.

Everything is drawn from NumPy's generator of the calling thread, which the painter has seeded with the number of
the plan: the same number, the same things.
"""

import math

import numpy as np

from gesso.compiled import Record, Records, compiled
from gesso.primer.painter.dice import bell, between, likely, one_of, unit
from gesso.primer.painter.materials import oklab
from gesso.primer.painter.shapes import BLOB, BOX, CRESCENT, ELLIPSE, GLYPH, LEAF, RING, STAR, STROKE, WEDGE

__all__ = ["PLACE", "invent_material", "invent_palette", "invent_thing"]

PLACE = np.dtype(  # where a thing stands
    [
        ("thing", np.int32), ("x", np.float32), ("y", np.float32), ("size", np.float32), ("angle", np.float32),
        ("flip", np.float32), ("haze", np.float32), ("shadow", np.float32),
    ]
)  # fmt: skip


@compiled
def invent_palette(palette: np.ndarray) -> None:
    """Fill k 3 with colours that go together: hues near one or two others, lightnesses spread out, mostly muted."""
    hue, spread = between(0, 6.2832), between(0.1, 1.2)
    other = hue + (3.1416 if likely(0.4) else between(0, 6.2832))
    vivid = 0.03 + abs(bell()) * 0.1
    light = between(0.4, 0.8)
    for i in range(len(palette)):
        h = (hue if likely(0.65) else other) + spread * bell()
        chroma = min(vivid * between(0.2, 1.6), 0.25)
        lightness = min(max(light + 0.24 * bell(), 0.03), 0.99)
        r, g, b = oklab(lightness, chroma * math.cos(h), chroma * math.sin(h))
        palette[i, 0], palette[i, 1], palette[i, 2] = r, g, b


@compiled
def invent_material(m: Record, palette: np.ndarray, plain: float) -> None:
    """A material from the palette's colours; plain: the probability that it has no pattern."""
    m.kind = 0 if unit() < plain else 1 + one_of(11)
    m.wave = one_of(3) if likely(0.6) else 0
    angle = between(0, 6.2832) if likely(0.5) else 1.5708 * one_of(4)
    m.c, m.s = math.cos(angle), math.sin(angle)
    m.scale = math.exp(between(math.log(1.5), math.log(14)))
    m.warp = between(0, 0.8) if likely(0.5) else 0.0
    m.gain = between(0.35, 0.75)
    m.rough = abs(bell()) * 0.12 if likely(0.5) else 0.0
    m.relief = between(0.5, 4) if likely(0.4) else 0.0
    m.shine = between(0, 0.8) if likely(0.35) else 0.0
    m.seed = one_of(1 << 20)
    i, j, k = one_of(len(palette)), one_of(len(palette)), one_of(len(palette))
    near = between(0.1, 1.0)  # how far the pattern's colours are from the first
    m.r0, m.g0, m.b0 = palette[i, 0], palette[i, 1], palette[i, 2]
    m.r1, m.g1, m.b1 = (
        m.r0 + near * (palette[j, 0] - m.r0),
        m.g0 + near * (palette[j, 1] - m.g0),
        m.b0 + near * (palette[j, 2] - m.b0),
    )
    m.r2, m.g2, m.b2 = (
        m.r0 + near * (palette[k, 0] - m.r0),
        m.g0 + near * (palette[k, 1] - m.g0),
        m.b0 + near * (palette[k, 2] - m.b0),
    )


@compiled
def _shape(part: Record, solid: bool) -> None:
    """A kind and its numbers; solid: one that can carry others."""
    kinds = (ELLIPSE, ELLIPSE, BOX, BLOB, WEDGE, LEAF, STAR, ELLIPSE, BOX, BLOB, STROKE, RING, CRESCENT, STROKE, GLYPH)
    part.kind = kinds[one_of(8 if solid else len(kinds))]
    part.a, part.b, part.seed = unit(), between(0.3, 0.95), one_of(1 << 20)
    if part.kind == STAR:
        part.a = 3 + one_of(8)
    elif part.kind == BLOB:
        part.a = between(0.1, 0.45)
    elif part.kind == STROKE:
        part.a, part.ry = between(0, 2.5), part.rx * between(0.06, 0.3)
    elif part.kind == RING:
        part.a = between(0.08, 0.4)
    elif part.kind == CRESCENT:
        part.a, part.b = between(0.3, 0.9), between(0.6, 1.0)
    elif part.kind == GLYPH:
        part.a = between(0.1, 0.25)


@compiled
def invent_thing(parts: Records, first: int, most: int, materials: int, palette: np.ndarray) -> int:
    """Put a thing of radius about 1 together from 1 to `most` parts, each on or in one before it. Returns their number.

    materials: how many there are to choose from.
    """
    count = 1 if likely(0.2) else 1 + one_of(most)
    flat = likely(0.35)  # a thing is flat, or all of it is round
    line = between(0.02, 0.09) if likely(0.3) else 0.0
    body, accent = one_of(materials), one_of(materials)
    even = likely(0.7)  # the same on both sides, as most living and made things are
    for i in range(count):
        part = parts[first + i]
        part.mirror, part.fold, part.gap = 0, 1, 0.0
        part.bevel = 0.0 if flat else between(0.3, 1.0)
        part.outline = line
        part.material = body if likely(0.5) else accent if likely(0.7) else one_of(materials)
        if i == 0:
            angle = 1.5708 * one_of(2) if even else between(0, 6.2832)
            part.x, part.y, part.c, part.s = 0.0, 0.0, math.cos(angle), math.sin(angle)
            part.rx, part.ry = between(0.5, 0.9), between(0.25, 0.9)
            part.material = body
            _shape(part, True)
            continue
        base = parts[first + one_of(i)]
        size = math.exp(between(math.log(0.12), math.log(0.75)))
        reach = between(0, 0.6) if likely(0.5) else between(0.7, 1.2)
        way = between(0, 6.2832)
        part.x = base.x + base.rx * reach * math.cos(way)
        part.y = base.y + base.ry * reach * math.sin(way)
        angle = way if likely(0.6) else 1.5708 * one_of(4)
        part.rx = max(base.rx * size, 0.06)
        part.ry = part.rx * between(0.25, 1.2)
        _shape(part, likely(0.4))
        if even:
            if likely(0.35):
                part.x, angle = 0.0, 1.5708 * one_of(4)
            else:
                part.mirror = 1
        part.c, part.s = math.cos(angle), math.sin(angle)
        if likely(0.2):
            part.fold = 2 + one_of(6)
            part.gap = -part.rx * between(1.0, 2.0) if likely(0.5) else part.rx * between(1.1, 2.6)
    return count
