"""Pictures of any size through a translator: whole where they are small, else in tiles that fit without seams.

A generator that is a filter (`translation.Translator`) paints within a tile what it paints within the whole picture, as
long as the tile begins at a multiple of its `step` and shows `reach` pixels more on each side. So memory is that of a
tile, and no seam has to be hidden.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from gesso.contract.family import Family
from gesso.errors import GessoError
from gesso.options import Options
from gesso.sample import Drawn, draw
from gesso.translation import Painter, mirrored

__all__ = ["SMALLEST", "translated", "translating"]

SMALLEST = 8  # pixels of a side
TILE = 512  # pixels of a tile's side, unless more are needed for what it has to see
Windows = list[tuple[slice, slice]]  # of each, where it looks, and which part of that it paints


def translated(
    family: Family,
    picture: UInt8[np.ndarray, "h w s"],
    seeds: Sequence[int],
    knobs: Options | None = None,
    label: str | None = None,
    text: str | None = None,
    tile: int = TILE,
) -> list[Drawn]:
    """One translation a seed, each of the size of the picture; the same seed gives the same one.

    picture: in the channels that the family translates (`facts.source`), premultiplied where s is 4. label, text: what
    to make of it, where the model knows some. tile: pixels of a side from which on the work is done in parts.
    Raises GessoError for a family that does not translate, another form or a size below SMALLEST.
    """
    work = translating(family, picture, seeds, knobs, label, text, tile)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def translating(
    family: Family,
    picture: UInt8[np.ndarray, "h w s"],
    seeds: Sequence[int],
    knobs: Options | None = None,
    label: str | None = None,
    text: str | None = None,
    tile: int = TILE,
) -> Generator[tuple[int, int], None, list[Drawn]]:
    """As `translated`; yields how many tiles are done, and of how many, and returns the pictures."""
    high, wide, channels = picture.shape
    if "source" not in family.asks:
        raise GessoError(f"A model of the family {family.name} translates no pictures.", "Draw with it: gesso sample.")
    if channels != family.facts.source:
        raise GessoError(f"This model translates pictures of {family.facts.source} channels, not of {channels}.")
    if min(high, wide) < SMALLEST:
        raise GessoError(f"{wide}×{high} pixels are too few: a picture has at least {SMALLEST} a side.")
    painter = family.parts["generator"]
    step, reach = (painter.network.step, painter.network.reach) if isinstance(painter, Painter) else (1, high + wide)
    full = [-(-side // step) * step for side in (high, wide)]
    whole = picture[mirrored(high, full[0]).numpy()][:, mirrored(wide, full[1]).numpy()]
    rows, columns = (windows(side, step, reach, tile) for side in full)
    places = [(row, column) for row in rows for column in columns]
    shown = [whole[row[0], column[0]] for row, column in places]
    total, out = len(shown) * len(seeds), list[Drawn]()
    every = [seed for seed in seeds for _ in shown]
    for done, drawn in enumerate(draw(family, every, label, knobs, text, shown * len(seeds))):
        (row, row_part), (column, column_part) = places[done % len(places)]
        if done % len(places) == 0:
            out.append(replace(drawn, image=np.empty((*full, family.facts.channels), np.uint8)))
        part = drawn.image[row_part, column_part]
        out[-1].image[_within(row, row_part), _within(column, column_part)] = part
        yield done + 1, total
    return [replace(drawn, image=np.ascontiguousarray(drawn.image[:high, :wide])) for drawn in out]


def windows(side: int, step: int, reach: int, tile: int) -> Windows:
    """Stretches of a side (a multiple of `step`) that are looked at, all equally long, and the part of each to paint.

    The parts cover the side without overlap, and each is `reach` pixels or more from where its stretch is cut off.
    """
    margin = -(-reach // step) * step
    long = -(-max(tile, 3 * margin, 1) // step) * step
    if side <= long:
        return [(slice(0, side), slice(0, side))]
    out: Windows = []
    begin = 0
    while begin < side:
        first = min(max(begin - margin, 0), side - long)
        end = side if first + long == side else first + long - margin
        out.append((slice(first, first + long), slice(begin - first, end - first)))
        begin = end
    return out


def _within(stretch: slice, part: slice) -> slice:
    """A part of a stretch, counted from where the side begins."""
    return slice(stretch.start + part.start, stretch.start + part.stop)
