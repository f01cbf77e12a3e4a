"""Which pictures of a data set are nearly the same, as the import found it and as numbers."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from gesso.data.duplicates import find_duplicates, perceptual_hash
from gesso.data.pack import Pack

__all__ = ["alike", "duplicates_of", "read_pairs", "where"]


def duplicates_of(pack: Pack) -> list[tuple[int, int]]:
    """Near-duplicates as numbers of pictures (earlier, later), in order; pictures that are gone are left out.

    The list names files. Where one file became several pictures (tiles), those of the files that are named are
    compared again.
    """
    numbers, found, several = where(pack.items), set[tuple[int, int]](), set[frozenset[str]]()
    for pair in read_pairs(pack.path):
        first, again = numbers.get(pair["first"], []), numbers.get(pair["again"], [])
        if len(first) == len(again) == 1 and first != again:
            found.add((min(first[0], again[0]), max(first[0], again[0])))
        elif first and again:
            several.add(frozenset((pair["first"], pair["again"])))
    rows = sorted({i for names in several for name in names for i in numbers[name]})
    for a, b, _ in alike(pack.images, rows):
        if frozenset((_source(pack.items[a]), _source(pack.items[b]))) in several:
            found.add((a, b))
    return sorted(found)


def read_pairs(folder: Path) -> list[dict[str, Any]]:
    """The lines of duplicates.jsonl that name two files; none where there is no such list."""
    try:
        lines = (folder / "duplicates.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    out = []
    for line in lines:
        try:
            pair = json.loads(line)
        except ValueError:
            continue
        if isinstance(pair, dict) and isinstance(pair.get("first"), str) and isinstance(pair.get("again"), str):
            out.append(pair)
    return out


def where(items: Iterable[dict[str, Any]]) -> dict[str, list[int]]:
    """The numbers of the pictures that came from each file."""
    out = defaultdict[str, list[int]](list)
    for i, item in enumerate(items):
        out[_source(item)].append(i)
    return dict(out)


def alike(images: np.ndarray, rows: Sequence[int]) -> list[tuple[int, int, float]]:
    """Near-duplicates among some pictures, `n h w c`, as the import finds them: (earlier, later, mean difference)."""
    if len(rows) < 2:
        return []
    some = _Seen(images, np.asarray(rows))
    hashes, digests = np.zeros(len(rows), np.uint64), np.zeros(len(rows), np.uint64)
    for place in range(len(rows)):
        pixels = some[place]
        hashes[place] = perceptual_hash(pixels)
        digests[place] = np.frombuffer(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), np.uint64)[0]
    found = find_duplicates(cast(np.ndarray, some), hashes, digests)
    return [(int(rows[a]), int(rows[b]), apart) for a, b, apart in found]


class _Seen:
    """Some pictures with four channels, premultiplied, made when they are asked for."""

    def __init__(self, images: np.ndarray, rows: np.ndarray):
        self.images, self.rows = images, rows
        self.shape = (len(rows), *images.shape[1:3], 4)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        found = np.asarray(self.images[self.rows[which]])
        if found.shape[-1] == 4:
            return found
        out = np.full((*found.shape[:-1], 4), 255, np.uint8)
        out[..., :3] = found
        return out


def _source(item: dict[str, Any]) -> str:
    return str(item.get("source", ""))
