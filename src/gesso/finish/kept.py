"""The index of a data set, kept beside it: made when it is first needed, read through the memory map afterwards."""

import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from gesso.data.pack import Pack
from gesso.files import new_folder, read_json, write_json
from gesso.finish.index import DEPTH, Index, Kind, make_index
from gesso.finish.windows import CELLS, PARTS, count_of

__all__ = ["FOLDER", "index_of", "known_index"]

FOLDER = "index"  # within the data set's
VERSION = 1
ARRAYS = ("codes", "middle", "axes", "unit", "centres", "order", "starts")


def index_of(pack: Pack) -> Generator[tuple[int, int], None, Index]:
    """The index of a data set: the kept one where it fits, else made anew and kept; yields windows done, of how many.

    Where the pictures' file was touched since, all of it is compared with the data set's fingerprint: raises GessoError
    when the pictures are not those that were imported.
    """
    index = known_index(pack)
    if index is not None:
        return index
    if (pack.path / FOLDER).exists():  # of other pictures, or damaged, or they were touched
        pack.verify()
    for made in make_index(pack.images):
        if isinstance(made, Index):
            _keep(pack, made)
            return made
        yield made
    raise RuntimeError("no index was made")


def known_index(pack: Pack) -> Index | None:
    """The kept index of a data set; None where there is none, or it is not that of the pictures as they are now."""
    folder = pack.path / FOLDER
    try:
        if read_json(folder / "index.json") != _mark(pack):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kinds = tuple(_read(folder, part) for part in PARTS)
        return Index(kinds, pack.count) if all(_whole(kind, pack) for kind in kinds) else None
    except Exception:  # numpy raises almost anything on damaged files
        return None


def _whole(kind: Kind, pack: Pack) -> bool:
    """Whether the arrays of a kind fit the data set and each other."""
    wide, windows = CELLS * CELLS * pack.channels, pack.count * count_of(kind.part)
    shapes = {
        "codes": (pack.count, count_of(kind.part), DEPTH), "axes": (DEPTH, wide), "middle": (wide,),
        "order": (windows,), "starts": (len(kind.centres) + 1,), "centres": (len(kind.centres), DEPTH),
    }  # fmt: skip
    if any(getattr(kind, name).shape != shape for name, shape in shapes.items()):
        return False
    rising = kind.starts[0] == 0 and kind.starts[-1] == windows and (np.diff(kind.starts) >= 0).all()
    return bool(rising and kind.order.min() >= 0 and kind.order.max() < windows)


def _mark(pack: Pack) -> dict[str, Any]:
    """What an index is known by: the pictures, and their file as it was when they were looked at."""
    facts = (pack.path / "images.npy").stat()
    return {
        "version": VERSION, "fingerprint": pack.fingerprint, "bytes": facts.st_size, "changed": facts.st_mtime_ns
    }  # fmt: skip


def _keep(pack: Pack, index: Index) -> None:
    needed = sum(array.nbytes for kind in index.kinds for array in kind.arrays().values())
    with new_folder(pack.path / FOLDER, replace=True, needed=needed) as folder:
        for kind in index.kinds:
            for name, array in kind.arrays().items():
                np.save(folder / f"{name}-{kind.part}.npy", array, allow_pickle=False)
        write_json(folder / "index.json", _mark(pack))


def _read(folder: Path, part: int) -> Kind:
    found = {
        name: np.load(folder / f"{name}-{part}.npy", mmap_mode="r" if name in ("codes", "order") else None,
                      allow_pickle=False)
        for name in ARRAYS
    }  # fmt: skip
    return Kind(part, **{**found, "unit": float(found["unit"][0])})
