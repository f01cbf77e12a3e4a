"""Endless varied pictures that a program paints: nobody's work, and the school of the primer.

A picture has a *plan* (what is in it: things, materials, colours, how they lie) and a *view* (how it is seen: from
where, in what light, before what ground). Two views of a plan are different pictures of the same things, which is
what a network can learn from without being told anything.
"""

import math
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gesso.compiled import Records, compiled
from gesso.primer.painter.canvas import (
    SCENE,
    SHAPE,
    STUFF,
    Haze,
    Light,
    Pose,
    cast_shadow,
    finish,
    lay_ground,
    lay_landscape,
    lay_thing,
)
from gesso.primer.painter.dice import bell, between, likely, one_of, seed, unit
from gesso.primer.painter.materials import CLOUDS, GRADIENT, GRAIN, MATERIAL, PATTERNS, STRIPES, VEINS
from gesso.primer.painter.shapes import GLYPH, KINDS, PART
from gesso.primer.painter.things import PLACE, invent_material, invent_palette, invent_thing

__all__ = ["INGREDIENTS", "SCENES", "TOLD", "paint"]

SCENES = ("collage", "outdoors", "icon", "closeup", "drawing", "marks", "texture")
COLLAGE, OUTDOORS, ICON, CLOSEUP, DRAWING, MARKS, TEXTURE = range(len(SCENES))
SHARES = (0.22, 0.2, 0.16, 0.22, 0.07, 0.05, 0.08)  # how often each is painted
INGREDIENTS = ("shading", "patterns", "noise", "parts", "repetition", "grounds")  # may be left out, to see their worth
SHADING, PATTERNED, NOISE, JOINED, REPETITION, GROUNDS = range(len(INGREDIENTS))
TOLD = (len(KINDS) + 2, len(PATTERNS), len(SCENES))  # of shapes, with the ground and the sky; of materials; of scenes
SKY = len(KINDS) + 1
THINGS, PARTS, MATERIALS, PLACES = 6, 9, 10, 48  # at most: a plan's things, their parts, materials; a picture's places


def paint(
    plans: np.ndarray,
    views: np.ndarray,
    size: int = 64,
    shares: Sequence[float] = SHARES,
    without: Collection[str] = (),
    threads: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """One picture for each pair of numbers: `n size size 4` uint8, premultiplied, and what each of its pixels shows.

    plans, views: n whole numbers each, seeds of what is painted and of how it is seen. The second array is
    `n size size 4` uint8: the thing (0: the ground), the shape of its part (0: the ground, the last of KINDS: the
    sky), its material and the scene. shares: how often each of SCENES is painted. without: INGREDIENTS that
    are left out. threads: 0 is one a core; the pictures are the same for any number.
    """
    n = len(plans)
    pixels = np.zeros((n, size, size, 4), np.uint8)
    shown = np.zeros((n, size, size, 4), np.uint8)
    bounds = np.cumsum(np.asarray(shares, np.float64) / sum(shares))
    plain = np.array([ingredient in without for ingredient in INGREDIENTS])
    threads = threads or os.cpu_count() or 1
    edges = np.linspace(0, n, min(4 * threads, n) + 1).astype(int)

    def some(i: int) -> None:
        part = slice(edges[i], edges[i + 1])
        _paint_all(plans[part].astype(np.int64), views[part].astype(np.int64), bounds, plain, pixels[part], shown[part])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, range(len(edges) - 1)))
    return pixels, shown


@compiled
def _paint_all(
    plans: np.ndarray, views: np.ndarray, bounds: np.ndarray, plain: np.ndarray, pixels: np.ndarray, shown: np.ndarray
) -> None:
    size = pixels.shape[1]
    parts = np.zeros(THINGS * PARTS, PART)
    counts = np.zeros(THINGS, np.int64)
    materials = np.zeros(MATERIALS, MATERIAL)
    places = np.zeros(PLACES, PLACE)
    canvas = np.zeros((size, size, 4), np.float32)
    spare = np.zeros((size, size, 4), np.float32)
    for i in range(len(plans)):
        seed(plans[i])
        scene = 0
        dice = unit()
        while scene < len(bounds) - 1 and dice > bounds[scene]:
            scene += 1
        things = _plan(scene, parts, counts, materials)
        _leave_out(plain, things, parts, counts, materials)
        n = _arrange(scene, things, places)
        seed(plans[i] * 1000003 + views[i] * 7919 + 17)
        _view(scene, n, parts, counts, materials, places, canvas, spare, shown[i], plain)
        for y in range(size):
            for x in range(size):
                cover = min(max(canvas[y, x, 3], 0.0), 1.0)
                for c in range(3):
                    pixels[i, y, x, c] = np.uint8(min(max(canvas[y, x, c], 0.0), 1.0) * cover * 255 + 0.5)
                pixels[i, y, x, 3] = np.uint8(cover * 255 + 0.5)


@compiled
def _plan(scene: int, parts: Records, counts: np.ndarray, materials: Records) -> int:
    """Invent materials (0 the ground's, 1 the sky's or the wall's, the rest the things') and things."""
    palette = np.zeros((6, 3), np.float32)
    invent_palette(palette)
    for k in range(MATERIALS):
        if k == 2 and likely(0.6):  # things often have colours of their own
            invent_palette(palette)
        plain = 0.5 if k > 1 else 0.15 if scene != ICON else 0.7
        invent_material(materials[k], palette, plain)
    if scene in (CLOSEUP, OUTDOORS):  # soft grounds
        for k in range(2):
            if likely(0.5):
                materials[k].kind, materials[k].wave = CLOUDS if likely(0.6) else GRADIENT, 0
                materials[k].scale = min(materials[k].scale, 5.0)
    things = 1 if scene in (ICON, CLOSEUP) else 1 + one_of(THINGS)
    for k in range(things):
        counts[k] = invent_thing(parts, k * PARTS, 3 if scene == COLLAGE else PARTS, MATERIALS - 2, palette)
        for p in range(k * PARTS, k * PARTS + counts[k]):
            parts[p].material += 2
    if scene == MARKS:
        for k in range(THINGS):
            counts[k] = 1
            part = parts[k * PARTS]
            part.kind, part.x, part.y, part.c, part.s, part.rx, part.ry = GLYPH, 0.0, 0.0, 1.0, 0.0, 0.6, 0.85
            part.a, part.seed, part.material, part.mirror, part.fold = 0.0, one_of(1 << 20), 2, 0, 1
            part.bevel, part.outline = 0.0, 0.0
        thick = between(0.08, 0.28)
        for k in range(THINGS):
            parts[k * PARTS].a = thick
        things = THINGS
    return things


@compiled
def _simplify(plain: np.ndarray, materials: Records) -> None:
    """Materials without what is to be left out."""
    for k in range(len(materials)):
        m = materials[k]
        if plain[SHADING]:
            m.relief = m.shine = 0.0
        if plain[NOISE]:
            m.rough = m.warp = 0.0
            if m.kind in (CLOUDS, VEINS, GRAIN):
                m.kind = STRIPES
        if plain[PATTERNED]:
            m.kind = 0


@compiled
def _leave_out(plain: np.ndarray, things: int, parts: Records, counts: np.ndarray, materials: Records) -> None:
    """The plan without what is to be left out."""
    _simplify(plain, materials)
    for k in range(things):
        if plain[JOINED]:
            counts[k] = 1
    for k in range(len(parts)):
        if plain[SHADING]:
            parts[k].bevel = 0.0
        if plain[REPETITION]:
            parts[k].fold = 1


@compiled
def _arrange(scene: int, things: int, places: Records) -> int:
    """Where the things stand, in units of the picture's side. Returns how many places there are."""
    n = 1
    if scene in (ICON, CLOSEUP):
        p = places[0]
        p.thing, p.x, p.y = 0, 0.5, 0.5
        p.size = between(0.24, 0.4) if scene == ICON else between(0.35, 0.75)
        p.angle = 0.0 if likely(0.6) else between(-3.14, 3.14)
        p.haze, p.shadow = 0.0, 1.0 if likely(0.4) else 0.0
    elif scene in (MARKS, TEXTURE):
        if scene == TEXTURE and likely(0.5):
            return 0
        across = 1 + one_of(6)
        down = 1 + one_of(min(6, 2 * across))
        staggered = 0.5 if likely(0.4) else 0.0
        turned = between(-0.4, 0.4) if likely(0.5) else 0.0
        same = likely(0.5)
        n = min(across * down, PLACES)
        for i in range(n):
            p = places[i]
            row, column = i // across, i % across
            p.thing = 0 if same and scene == TEXTURE else one_of(things)
            p.x, p.y = (column + 0.5 + staggered * (row % 2)) / across, (row + 0.5) / down
            p.size, p.angle = between(0.36, 0.42) / max(across, down), turned
            p.haze, p.shadow = 0.0, 0.0
    else:
        n = 1 + one_of(4 if likely(0.6) else 12)
        crowd = likely(0.3)  # the same thing many times
        for i in range(n):
            p = places[i]
            p.thing = 0 if crowd else one_of(things)
            p.x, p.y = between(-0.05, 1.05), between(-0.05, 1.05)
            p.size = math.exp(between(math.log(0.06), math.log(0.45)))
            p.angle = between(-3.14, 3.14)
            p.haze, p.shadow = 0.0, 1.0 if scene == COLLAGE and likely(0.4) else 0.0
    for i in range(n):
        places[i].flip = 1.0 if scene == MARKS or likely(0.5) else -1.0
    return n


@compiled
def _view(
    scene: int,
    n: int,
    parts: Records,
    counts: np.ndarray,
    materials: Records,
    places: Records,
    canvas: np.ndarray,
    spare: np.ndarray,
    shown: np.ndarray,
    plain: np.ndarray,
) -> None:
    """Paint the plan as it is seen from here."""
    size = canvas.shape[0]
    palette = np.zeros((6, 3), np.float32)
    if likely(0.4) and scene not in (TEXTURE, MARKS):  # before another ground
        invent_palette(palette)
        invent_material(materials[0], palette, 0.3)
        invent_material(materials[1], palette, 0.3)
        _simplify(plain, materials[:2])
    if plain[GROUNDS]:
        materials[0].kind = materials[1].kind = 0
    shown[:] = 0
    shown[:, :, STUFF], shown[:, :, SCENE] = materials[0].kind, scene
    zoom, dx, dy = math.exp(between(-0.25, 0.25)), between(-0.1, 0.1), between(-0.1, 0.1)
    tilt = between(-0.25, 0.25)
    way, height = between(0, 6.2832), between(0.4, 1.6)
    lx, ly, lz = math.cos(way), math.sin(way), height
    norm = math.sqrt(lx * lx + ly * ly + lz * lz)
    light = Light(lx / norm, ly / norm, lz / norm)
    horizon = between(0.15, 0.75)
    if scene == OUTDOORS:
        lay_landscape(canvas, materials[0], materials[1], horizon, between(-1, 1))
        shown[: int(horizon * size), :, SHAPE] = SKY
        shown[: int(horizon * size), :, STUFF] = materials[1].kind
    else:
        lay_ground(canvas, materials[0], zoom, dx, dy, tilt, light)
    clear = scene == ICON and likely(0.5)
    if clear:
        canvas[:] = 0
        shown[:, :, STUFF] = 0
    pen = between(0.006, 0.02) if scene == DRAWING else 0.0
    row = min(int(horizon * size), size - 1)
    hr, hg, hb = canvas[row, size // 2, 0], canvas[row, size // 2, 1], canvas[row, size // 2, 2]
    for i in range(n):  # what stands low is near: it is large, and painted last
        p = places[i]
        angle = p.angle + tilt
        if scene == OUTDOORS:
            deep = (i + 0.5) / n
            near = horizon + (1.05 - horizon) * deep
            p.size = min(0.75 * (near - horizon) / (1 - horizon) * (0.5 + p.size), 0.5) + 0.02
            p.y = near - 0.6 * p.size if likely(0.85) else horizon * between(0.1, 0.9)
            p.haze, p.shadow = 0.6 * (1 - deep) * (1 - deep), 1.0
            angle = 0.15 * p.angle + 0.3 * tilt
        wobble = 0.03 if n > 1 else 0.0
        x = 0.5 + (p.x - 0.5 + wobble * bell()) * zoom + dx
        y = (0.5 + (p.y - 0.5 + wobble * bell()) * zoom + dy) if scene != OUTDOORS else p.y
        turn = angle + 0.1 * bell()
        pose = Pose(x, y, p.size * zoom, math.cos(turn), math.sin(turn), p.flip, math.exp(0.12 * bell()))
        first = p.thing * PARTS
        its = parts[first : first + counts[p.thing]]
        if p.shadow > 0 and pen == 0 and not plain[SHADING]:
            cast_shadow(canvas, parts[first], pose, light, p.shadow)
        lay_thing(canvas, shown, its, materials, pose, light, Haze(p.haze, hr, hg, hb), pen, i + 1)
    finish(canvas, spare, clear)
