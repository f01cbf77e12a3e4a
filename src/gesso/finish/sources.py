"""Which pictures a finished one is from, to be shown and written down."""

import colorsys
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gesso.data.pack import Pack
from gesso.errors import GessoError
from gesso.finish.caps import Copied
from gesso.marks.recipe import Part, Taken

__all__ = ["changed_since", "colour_of", "main_sources", "source_map", "taken_of"]

NAMED = 120  # letters of a name, its last ones
LISTED = 24  # pictures that are named in a recipe
STRENGTH = 0.65  # of the colours of the map, over the picture in grey
GOLDEN = 0.618034  # of a turn of the colour circle between one picture and the next


def main_sources(copied: Copied) -> list[tuple[int, float]]:
    """Numbers of the pictures in their collection and their shares, the largest first; those that have any."""
    order = np.argsort(-copied.shares, kind="stable")
    return [(copied.numbers[i], float(copied.shares[i])) for i in order if copied.shares[i] > 0]


def colour_of(rank: int) -> tuple[float, float, float]:
    """The colour, in [0, 1], by which the map shows the picture of that rank."""
    return colorsys.hls_to_rgb((0.58 + rank * GOLDEN) % 1, 0.55, 0.75)


def source_map(copied: Copied, picture: Float[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """A colour for each picture that something is from, laid over the finished picture in grey."""
    colours = picture[..., :3] + (1 - picture[..., 3:] if picture.shape[2] == 4 else 0)
    grey = colours.mean(2, keepdims=True) * np.ones(3)
    shade = 0.45 + 0.55 * grey
    rank = np.empty(len(copied.shares), int)
    rank[np.argsort(-copied.shares, kind="stable")] = np.arange(len(copied.shares))
    tints = np.array([colour_of(int(number)) for number in rank])
    tint = np.where((copied.sources >= 0)[..., None], tints[np.maximum(copied.sources, 0)] * shade, grey)
    out = np.where((copied.sources >= 0)[..., None], STRENGTH * tint + (1 - STRENGTH) * grey, 1)
    return (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)


def taken_of(copied: Copied, pack: Pack, options: dict) -> Taken:
    """What a recipe says of it. options: all that was chosen."""
    parts = [
        Part(source=str(pack.items[number].get("source", number))[-NAMED:], share=round(share, 4))
        for number, share in main_sources(copied)[:LISTED]
    ]
    return Taken(
        data=pack.name, fingerprint=pack.fingerprint, usable=int((~pack.withdrawn).sum()),
        share=round(float(copied.shares.max(initial=0)), 4), piece=round(min(copied.piece, 1.0), 4),
        parts=tuple(parts), options=options,
    )  # fmt: skip


def changed_since(taken: Taken, pack: Pack, made: Path, remedy: str) -> str:
    """What is to be said where pictures of a collection were withdrawn since one was made of them; empty where none.

    Raises GessoError, with the remedy, where that one is partly from a picture that must not be used again.
    """
    gone = {str(item.get("source"))[-NAMED:] for item, away in zip(pack.items, pack.withdrawn, strict=True) if away}
    for part in taken.parts:
        if part.source in gone:
            raise GessoError(f"{part.source}, which {made} is partly from, was withdrawn.", remedy)
    same = taken.usable == int((~pack.withdrawn).sum())
    return "" if same else "Pictures of the collection were withdrawn since: it may come out otherwise."
