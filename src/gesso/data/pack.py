"""A packed data set on disk, and how it is opened.

`HOME/datasets/NAME/` holds:

    pack.json        what it is: shape, labels, fingerprint, how it was imported, what happened on the way
    images.npy       n h w c, uint8, memory-mapped; c = 1 grey, 3 RGB, 4 RGB premultiplied by alpha + alpha
    sources.npy      n h w s, uint8, memory-mapped: what each picture is to be made from (only in a set of pairs)
    items.jsonl      a line a picture: source, sha256, size, label, text, licence, creator, consent, …
    rejected.jsonl   a line a file that was left out, with the reason
    duplicates.jsonl a line a pair of near-duplicates (only where there are some)
    sheet.png        some of the pictures at a glance
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gesso.errors import GessoError, nearest

__all__ = ["FORMAT", "VERSION", "Pack", "Some", "check_name", "list_packs", "make_name", "open_pack", "pack_names"]

FORMAT = "gesso-pack"
VERSION = 1
LONGEST_NAME = 64
# Names that Windows keeps for devices, whatever their suffix.
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}
REPAIR = "Import it again with --replace."


@dataclass(frozen=True)
class Pack:
    """An opened data set. Only pack.json and the headers of the arrays are read before they are needed.

    name: as the person calls it. path: its folder. meta: all of pack.json.
    """

    name: str
    path: Path
    meta: dict[str, Any]

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return self.meta["count"]

    @property
    def channels(self) -> int:
        """1 grey, 3 RGB, 4 RGB premultiplied by alpha + alpha."""
        return self.meta["channels"]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.meta["height"]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.meta["width"]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; empty when there are none."""
        return tuple(self.meta["labels"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over pixels, labels and sources, made at the import: 64 hexadecimal digits."""
        return self.meta["fingerprint"]

    @cached_property
    def images(self) -> np.ndarray:
        """All pictures, `n h w c` uint8 in [0, 255], memory-mapped and read-only."""
        return _mapped(self.path, "images.npy")

    @property
    def pairs(self) -> str:
        """How the sources of the pictures came: folders, side-by-side, edges, …; "" where there are none."""
        return self.meta["pairs"]["kind"] if "pairs" in self.meta else ""

    @property
    def source_channels(self) -> int:
        """Of the sources: 1 grey, 3 RGB, 4 RGB premultiplied by alpha + alpha; 0 where there are none."""
        return self.meta["pairs"]["channels"] if "pairs" in self.meta else 0

    @cached_property
    def sources(self) -> np.ndarray | None:
        """What each picture is made from, `n h w s` uint8 in [0, 255], memory-mapped; None where there are none."""
        return _mapped(self.path, "sources.npy") if self.pairs else None

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """What is known of each picture, in the order of `images`; read when first asked for."""
        try:
            with (self.path / "items.jsonl").open(encoding="utf-8") as lines:
                items = [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise _damaged(self.path, f"items.jsonl cannot be read ({error})") from None
        if len(items) != self.count or not all(isinstance(item, dict) for item in items):
            raise _damaged(self.path, f"items.jsonl has {len(items)} lines for {self.count} pictures")
        return items

    @cached_property
    def label_ids(self) -> np.ndarray:
        """The number of each picture's class, `n` int64 in [0, len(labels)); -1 where it has none."""
        number = {label: i for i, label in enumerate(self.labels)}
        if not number:
            return np.full(self.count, -1, np.int64)
        return np.array([number.get(item.get("label") or "", -1) for item in self.items], np.int64)

    @cached_property
    def captions(self) -> list[str]:
        """The text of each picture; an empty string where it has none."""
        return [str(item.get("text") or "") for item in self.items]

    @cached_property
    def withdrawn(self) -> np.ndarray:
        """Which pictures were withdrawn and must not be used again, `n` bool: items with `"withdrawn": true`."""
        return np.array([item.get("withdrawn") is True for item in self.items], bool)

    def split(self, held: float) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the pictures to learn from, and of those held out, both in order; always the same for a share.

        held: share that is held out, in [0, 1). At least one picture is learned from.
        """
        count = min(round(held * self.count), self.count - 1)
        order = np.random.default_rng(0).permutation(self.count)
        return np.sort(order[count:]), np.sort(order[:count])

    def rights(self) -> dict[str, Any]:
        """What its licences come to: how many pictures are under which, by whom, with consent (`Report.facts`)."""
        from gesso.data.terms import report_of

        return report_of(self.items, self.name, self.fingerprint).facts()

    @property
    def sheet(self) -> Path:
        """The contact sheet, a PNG."""
        return self.path / "sheet.png"

    def verify(self) -> None:
        """Read everything and compare it with the fingerprint; raises GessoError when a byte has changed."""
        sources = None if self.sources is None else chunks(self.sources)
        if fingerprint(chunks(self.images), self.label_ids, sources) != self.fingerprint:
            what = "pictures or labels" if sources is None else "pictures, sources or labels"
            raise _damaged(self.path, f"its {what} are not those that were imported")


@dataclass(frozen=True)
class Some:
    """Some pictures of a pack, read when they are asked for. rows: their numbers, in order."""

    images: np.ndarray
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """n h w c."""
        return (len(self.rows), *self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        return self.images[self.rows[chosen]]


def open_pack(ref: str | Path, home: Path) -> Pack:
    """Open a data set by its name in `home`, or by the path of its folder.

    Raises GessoError when there is none of that name (with the nearest), when it was made by a newer
    Gesso, and when its files are missing or do not fit each other.
    """
    folder = Path(home) / "datasets" / str(ref) if _is_name(str(ref)) else Path(ref)
    if not (folder / "pack.json").is_file() and (Path(ref) / "pack.json").is_file():
        folder = Path(ref)
    if not (folder / "pack.json").is_file():
        names = pack_names(home)
        if str(ref) in names:
            raise _damaged(folder, "pack.json is missing")
        remedy = nearest(str(ref), names) or "Make one first: gesso import FOLDER."
        raise GessoError(f"There is no data set '{ref}' in {Path(home) / 'datasets'}.", remedy)
    try:
        meta = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"pack.json cannot be read ({error})") from None
    _check(meta, folder)
    return Pack(name=folder.resolve().name, path=folder, meta=meta)


def pack_names(home: Path) -> list[str]:
    """The names of all data sets in `home`, whole or damaged, in alphabetical order."""
    folder = Path(home) / "datasets"
    try:
        found = [entry.name for entry in folder.iterdir() if entry.is_dir() and _is_name(entry.name)]
    except OSError:
        return []
    return sorted(found, key=str.casefold)


def list_packs(home: Path) -> list[Pack]:
    """All data sets in `home` that can be opened, in alphabetical order; `pack_names` also has the damaged ones."""
    packs = []
    for name in pack_names(home):
        try:
            packs.append(open_pack(name, home))
        except GessoError:
            continue
    return packs


def check_name(name: str) -> str:
    """A name that is safe as a folder on every system, composed (NFC); raises GessoError when it is not."""
    name = unicodedata.normalize("NFC", name)
    if not _is_name(name):
        shown = name if name.isprintable() and len(name) <= LONGEST_NAME else ascii(name[:LONGEST_NAME])
        suggestion = make_name(name)
        raise GessoError(
            f"'{shown}' cannot be the name of a data set: letters, digits, '-', '_' and '.' may be in one, "
            f"at most {LONGEST_NAME} of them, a letter or digit first.",
            f"Try --name {suggestion}.",
        )
    return name


def make_name(text: str) -> str:
    """A safe name made from any text: what is not a letter or digit becomes '-'."""
    text = unicodedata.normalize("NFC", text)
    name = re.sub(r"[^\w.]+", "-", text)[:LONGEST_NAME].strip("-._").lower()
    while len(name.encode(errors="replace")) > 3 * LONGEST_NAME:
        name = name[:-1]
    return name if _is_name(name) else "pictures"


def _is_name(name: str) -> bool:
    """Whether a name may be a folder of Gesso's: no separators, no leading dot, nothing a system reserves."""
    return (
        0 < len(name) <= LONGEST_NAME
        and len(name.encode(errors="replace")) <= 3 * LONGEST_NAME
        and re.fullmatch(r"[^\W_][\w.\-]*", name) is not None
        and unicodedata.is_normalized("NFC", name)
        and name[-1] != "."
        and name.split(".")[0].casefold() not in RESERVED
    )


def chunks(images: np.ndarray, bytes_each: int = 1 << 24) -> Iterator[np.ndarray]:
    """The pictures in order, some megabytes at a time."""
    step = max(1, bytes_each // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images), step):
        yield images[start : start + step]


def fingerprint(parts: Iterator[np.ndarray], label_ids: np.ndarray, sources: Iterator[np.ndarray] | None = None) -> str:
    """SHA-256 over pixels (uint8, in order), labels (int64, little-endian), and sources where there are some."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    digest.update(np.ascontiguousarray(label_ids, "<i8").data)
    for part in sources or ():
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _check(meta: Any, folder: Path) -> None:
    """Raise unless pack.json is ours, of this version, and the arrays are what it says."""
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise _damaged(folder, "pack.json is not that of a data set")
    version = meta.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise GessoError(
            f"The data set in {folder} was made by a newer Gesso (format {version}; this one reads up to {VERSION}).",
            "Update Gesso, or import the pictures again with this version.",
        )
    shape = tuple(meta.get(key) for key in ("count", "height", "width", "channels"))
    if not all(type(n) is int and n > 0 for n in shape) or shape[3] not in (1, 3, 4):
        raise _damaged(folder, "pack.json does not say the shape of its pictures")
    labels = meta.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise _damaged(folder, "pack.json does not list its labels")
    if not isinstance(meta.get("fingerprint"), str):
        raise _damaged(folder, "pack.json has no fingerprint")
    arrays = {"images.npy": shape}
    if "pairs" in meta:
        pairs = meta["pairs"]
        if not isinstance(pairs, dict) or not isinstance(pairs.get("kind"), str) or not pairs["kind"]:
            raise _damaged(folder, "pack.json does not say what its pairs are")
        if type(pairs.get("channels")) is not int or pairs["channels"] not in (1, 3, 4):
            raise _damaged(folder, "pack.json does not say the shape of its sources")
        arrays["sources.npy"] = (*shape[:3], pairs["channels"])
    for name, shape in arrays.items():
        found = _mapped(folder, name)
        if found.shape != shape or found.dtype != np.uint8:
            raise _damaged(folder, f"{name} holds {found.dtype} of shape {found.shape}, not uint8 of {shape}")
    if not (folder / "items.jsonl").is_file():
        raise _damaged(folder, "items.jsonl is missing")


def _mapped(folder: Path, name: str) -> np.ndarray:
    """An array of the data set, memory-mapped and read-only."""
    try:
        return np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(folder, f"{name} cannot be read ({error})") from None


def _damaged(folder: Path, what: str) -> GessoError:
    return GessoError(f"The data set in {folder} is damaged: {what}.", REPAIR)
