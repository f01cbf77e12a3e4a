"""Two folders of pairs: which source belongs to which picture, by their names."""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gesso.errors import GessoError

__all__ = ["SPLITS", "Couple", "Couples", "find_couples"]

SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLITS |= dict.fromkeys(("val", "valid", "validation"), "test")
SIDE = re.compile(rf"(?P<part>{'|'.join(SPLITS)})?[_-]?(?P<side>a|b)|(?P<word>source|target)", re.IGNORECASE)
FIRST = {"a", "source"}


@dataclass(frozen=True)
class Couple:
    """A picture and its source, by their names in the container. below: the picture's place within its folder."""

    picture: str
    source: str
    below: str


@dataclass
class Couples:
    """The pairs that were found, in the order of their pictures. refused: (name, reason) of what has no partner.

    aside: how many files are of another part than the one asked for.
    """

    found: list[Couple] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    aside: int = 0


def find_couples(names: Sequence[str], inner: Callable[[str], str], split: str, title: str, swap: bool) -> Couples:
    """Pair the files of two folders, A and B (also trainA and trainB, source and target, within train or test too).

    names: of all files; inner: a name below the folder that holds everything; split: 'train', 'test' or 'all', where
    the folders come in parts; swap: the pictures are in A, else in B. Partners have the same place in their folders
    and the same name but for its suffix. Raises GessoError when there are no two such folders, or not that part.
    """
    out = Couples()
    sides: tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]] = ({}, {})
    places: dict[str, str] = {}
    for name in names:
        place = _place(inner(name))
        if place is None:
            out.refused.append((name, "It is in neither of the two folders of pairs."))
            continue
        side, part, places[name] = place
        key = part, posixpath.splitext(places[name])[0]
        if sides[side].setdefault(key, name) != name:
            out.refused.append((name, "Another file in its folder has the same name but for the suffix."))
    if not all(sides):
        raise GessoError(
            f"{title} does not hold two folders of pairs.",
            "Put the sources into a folder A and the pictures into a folder B there, under the same file names (or the "
            "other way round, with --swap).",
        )
    parts = {part for part, _ in (*sides[0], *sides[1])}
    choose = split != "all" and "" not in parts
    if choose and split not in parts:
        raise GessoError(f"There is no {split} part in {title}.", "Ask for another part with --split.")
    sources, pictures = sides[::-1] if swap else sides
    for key, name in pictures.items():
        if choose and key[0] != split:
            out.aside += 1
        elif key in sources:
            out.found.append(Couple(name, sources[key], places[name]))
        else:
            out.refused.append((name, "It has no partner: no file of the other folder has its name."))
    for key, name in sources.items():
        if choose and key[0] != split:
            out.aside += 1
        elif key not in pictures:
            out.refused.append((name, "It has no partner: no file of the other folder has its name."))
    return out


def _place(inner: str) -> tuple[int, str, str] | None:
    """(0 in A or 1 in B, 'train', 'test' or '', the path below) of a file; None when it is in neither."""
    rest = inner.split("/")
    side, part = None, ""
    while len(rest) > 1 and (side is None or not part):
        match = SIDE.fullmatch(rest[0])
        if side is None and match:
            side = 0 if (match["side"] or match["word"]).lower() in FIRST else 1
            part = SPLITS.get((match["part"] or "").lower(), part)
        elif not part and rest[0].lower() in SPLITS:
            part = SPLITS[rest[0].lower()]
        else:
            break
        rest = rest[1:]
    return None if side is None else (side, part, "/".join(rest))
