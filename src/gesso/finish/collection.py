"""A data set as something to draw with: its pictures found, brought to a size and used for one draft after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gesso.contract.finishing import FinishChoices
from gesso.data.pack import Pack
from gesso.errors import GessoError
from gesso.finish.caps import Caps
from gesso.finish.choose import Chosen, choose
from gesso.finish.draw import Drawing, Manner, draw
from gesso.finish.index import Index
from gesso.memory import afford
from gesso.patch.atlas import turned
from gesso.patch.pyramid import resized
from gesso.patch.synthesis import needed

__all__ = ["Collection", "Unit", "many"]

TURNS = {"none": (0,), "mirror": (0, 4), "all": tuple(range(8))}
EVENEST = 0.1  # of the engine's cost of using a place often, where a person asks for the most
COUNTS = (12, 24)  # pictures that a coarse and a fine draft are drawn with
HALVES = (0, 2, 4, 6)  # turns that keep the sides of a picture that is not square
Picture = Float[np.ndarray, "h w c"]


class Unit(NamedTuple):
    """How large one picture of the collection is in the new one, in pixels."""

    height: int
    width: int


@dataclass
class Collection:
    """Pictures to draw with. pack: the data set; index: its; usable: n, those that may be used."""

    pack: Pack
    index: Index
    usable: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, pack: Pack, index: Index, rows: Int[np.ndarray, " m"] | None = None) -> "Collection":
        """Of a data set, without what was withdrawn; raises GessoError where nothing is left.

        rows: numbers of the pictures that may be used, all if not given.
        """
        usable = ~pack.withdrawn
        if rows is not None:
            usable &= np.isin(np.arange(pack.count), rows)
        if not usable.any():
            raise GessoError(f"Every picture of '{pack.name}' was withdrawn.", "Name another data set.")
        return cls(pack, index, usable)

    def manner(self, choices: FinishChoices, height: int, width: int) -> Manner:
        """How a new picture of that size is drawn; raises GessoError where a patch does not fit into a picture."""
        unit = self.unit(height, width)
        manner = Manner.of(
            min(height, width), choices.faithful, choices.patch, choices.complete, EVENEST * choices.even,
            Caps(choices.most_share, choices.most_piece),
        )  # fmt: skip
        if min(unit) < 2 * manner.patch:
            raise GessoError(
                f"The pictures of '{self.pack.name}' are {unit.width}×{unit.height} in the new one, too small for "
                f"patches of {manner.patch} pixels.",
                "Give a smaller --patch, or a larger --size.",
            )
        return manner

    def afford(self, choices: FinishChoices, drafted: int, height: int, width: int) -> None:
        """Raise GessoError where a picture of that size takes more memory than is free. drafted: height of drafts."""
        unit = self.unit(height, width)
        count = choices.pictures or many(drafted, height)
        taken = needed(count * unit.height * unit.width, height * width, 2 * self.pack.channels)
        afford(taken, f"A finished picture of {width}×{height}", "Give a smaller --size, or fewer --pictures.")

    def unit(self, height: int, width: int) -> Unit:
        """How large its pictures are used in a new picture of that size: as large as fits."""
        scale = min(height / self.pack.height, width / self.pack.width)
        return Unit(max(round(self.pack.height * scale), 1), max(round(self.pack.width * scale), 1))

    def named(self, word: str) -> Bool[np.ndarray, " n"]:
        """The usable pictures whose label, group or text has a word; raises GessoError where there are none."""
        wanted = word.casefold().strip()

        def has(item: dict) -> bool:
            exact = (str(item.get(key) or "").casefold() for key in ("label", "group", "subgroup"))
            words = str(item.get("text") or "").casefold()
            return (
                wanted in exact or f" {wanted} " in f" {' '.join(words.replace(':', ' ').replace(',', ' ').split())} "
            )

        found = np.array([has(item) for item in self.pack.items], bool) & self.usable
        if not found.any():
            raise GessoError(
                f"No picture of '{self.pack.name}' has '{word}' as its label, group or a word of its text.",
                f"See what there is in {self.pack.path / 'items.jsonl'}.",
            )
        return found

    def choose(
        self, drafts: Sequence[Picture], height: int, width: int, count: int, turns: str = "none",
        allowed: Bool[np.ndarray, " n"] | None = None, seed: int = 0,
    ) -> list[Chosen]:  # fmt: skip
        """The pictures that drafts of a new picture of that size are drawn with. See `gesso.finish.choose`."""
        unit = self.unit(height, width)
        ways = TURNS[turns]
        if self.pack.height != self.pack.width:
            ways = tuple(turn for turn in ways if turn in HALVES)
        usable = self.usable if allowed is None else allowed
        share = unit.height / height, unit.width / width
        return choose(
            self.index, drafts, count, unit=share, allowed=None if usable.all() else usable, turns=ways, seed=seed
        )

    def pictures(self, chosen: Sequence[Chosen], unit: Unit) -> list[Picture]:
        """Chosen pictures at the size that they are used at, in [0, 1]."""
        out = []
        for number, turn in chosen:
            picture = self.pack.images[number].astype(np.float32) / 255
            picture = resized(picture, unit.height, unit.width).clip(0, 1)
            out.append(turned(picture)[turn] if turn else picture)
        return out

    def finish(
        self, draft: Picture, height: int, width: int, manner: Manner, *, count: int | None = None,
        turns: str = "none", seed: int = 0,
    ) -> Iterator[Drawing]:  # fmt: skip
        """Draw a draft anew at a size; yields better and better pictures, the last is the answer. See `draw`.

        count: pictures that it is drawn with, as `many` says if not given.
        """
        count = count or many(draft.shape[0], height)
        chosen = self.choose([draft], height, width, count, turns, seed=seed)
        pictures = self.pictures(chosen, self.unit(height, width))
        yield from draw(draft, pictures, height, width, manner, numbers=[one.number for one in chosen], seed=seed)


def many(drafted: int, height: int) -> int:
    """How many pictures a draft of one height is drawn with at another: a fine one shows more."""
    return COUNTS[2 * drafted >= height]
