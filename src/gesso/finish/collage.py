"""A layout of coloured blobs, each drawn with the pictures that a word names, at the blob's own size."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import ImageColor

from gesso.contract.finishing import FinishChoices
from gesso.errors import GessoError
from gesso.finish.collection import Collection, many
from gesso.finish.draw import Manner, Regions

__all__ = ["Laid", "Wanted", "laid_out", "read_regions"]

NEAR = 40  # of 255: how far a pixel may be from a region's colour, in any channel
ROOM = 0.06  # of a blob's sides: how far beyond it its pictures reach
FEWEST = 3  # pictures of a region
Picture = Float[np.ndarray, "h w c"]


class Wanted(NamedTuple):
    """A region as a person names it. colour: of its blob in the draft, bytes; word: of its pictures."""

    colour: tuple[int, int, int]
    word: str


class Laid(NamedTuple):
    """Pictures for all regions, at the sizes that they are used at, their numbers, and which is for which region."""

    pictures: list[Picture]
    numbers: list[int]
    regions: Regions


def read_regions(texts: Sequence[str]) -> list[Wanted]:
    """Regions from words like `#d03030=apple` or `red=apple`; raises GessoError for others."""
    out = []
    for text in texts:
        colour, equals, word = text.partition("=")
        try:
            rgb = ImageColor.getrgb(colour.strip())[:3]
        except ValueError:
            rgb = ()
        if not equals or not word.strip() or len(rgb) != 3 or max(rgb) > 255:
            raise GessoError(f"--region {text} is not of the form colour=word.", "Write for example '#d03030=apple'.")
        out.append(Wanted((rgb[0], rgb[1], rgb[2]), word.strip()))
    return out


def laid_out(
    image: UInt8[np.ndarray, "h w c"], draft: Picture, wanted: Sequence[Wanted], height: int, width: int,
    collection: Collection, choices: FinishChoices, manner: Manner, seed: int,
) -> Laid:  # fmt: skip
    """Choose pictures for every region of a draft, and for the rest of it.

    image: the draft as it was painted, bytes; draft: in the collection's form. Raises GessoError where a region's
    colour is not in the draft, its word in no picture, or its blob too small.
    """
    number = _numbered(image, wanted)
    each = max((choices.pictures or many(draft.shape[0], height)) // (len(wanted) + 1), FEWEST)
    scale = height / draft.shape[0]
    pictures, numbers, of = list[Picture](), list[int](), list[int]()
    for region in range(len(wanted) + 1):
        if region:
            one = wanted[region - 1]
            box = _box(number == region, one)
            part = draft[box] * (number == region)[box][..., None] if draft.shape[2] == 4 else draft[box]
            allowed = collection.named(one.word)
        else:
            part, allowed = draft, None
        high, wide = (max(round(n * scale), 1) for n in part.shape[:2])
        unit = collection.unit(high, wide)
        if min(unit) < 2 * manner.patch:
            raise GessoError(
                f"The blob of '{wanted[region - 1].word}' is only {wide}×{high} pixels in the new picture.",
                "Paint it larger, or give a larger --size.",
            )
        chosen = collection.choose([part], high, wide, each, choices.turns, allowed, seed)
        pictures += collection.pictures(chosen, unit)
        numbers += [one.number for one in chosen]
        of += [region] * len(chosen)
    return Laid(pictures, numbers, Regions(number, tuple(of)))


def _numbered(image: UInt8[np.ndarray, "h w c"], wanted: Sequence[Wanted]) -> np.ndarray:
    """The region of every pixel: 1, 2, … for those wanted, 0 for the rest."""
    far = np.stack([np.abs(image[..., :3].astype(int) - one.colour).max(2) for one in wanted])
    if image.shape[2] == 4:
        far = np.where(image[..., 3] >= 128, far, 255)
    return np.where(far.min(0) <= NEAR, far.argmin(0) + 1, 0)


def _box(mask: Bool[np.ndarray, "h w"], wanted: Wanted) -> tuple[slice, slice]:
    """What a blob covers, and a little room around it."""
    if not mask.any():
        name = "#" + "".join(f"{value:02x}" for value in wanted.colour)
        raise GessoError(f"No part of the draft has the colour {name}.", "Give colours as they were painted.")
    out = []
    for where, length in zip(np.nonzero(mask), mask.shape, strict=True):
        first, last = int(where.min()), int(where.max()) + 1
        room = round(ROOM * (last - first))
        out.append(slice(max(first - room, 0), min(last + room, length)))
    return out[0], out[1]
