"""Changing a data set by hand: what is said of pictures, which there are, and which part of them is kept.

An edit makes the whole new state beside the old one and puts it in its place in one step; what did not change is
linked, not copied. Pixels, labels and sources make the fingerprint, and a run remembers the fingerprint of what it
learned from: to go on serving such a run, `copy` a data set first and edit the copy. Texts, licences, makers and
consent are not in it.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import field_validator

import gesso.files as files
from gesso.data.keeping import Changed, alone, changed, folder_of, kept_of, link, stamp_of, still
from gesso.data.kin import alike, duplicates_of, read_pairs, where
from gesso.data.pack import Pack, check_name, chunks, fingerprint, open_pack, pack_names
from gesso.data.palette import palette
from gesso.data.sheet import contact_sheet
from gesso.data.write import natural
from gesso.errors import GessoError
from gesso.options import Field, Options

__all__ = ["Changed", "Crop", "Drop", "Edit", "Set", "copy", "duplicates_of", "edit", "palette"]

WORDS = ("label", "text", "licence", "creator", "origin", "consent")
CACHES = ("own-*.safetensors", "own-*.json", "near-*.json", "index")  # beside the pictures, made from them
FEW_COLOURS = 256  # of pixel art, which stays crisp where it is enlarged by whole numbers
WHY = {"dropped": "dropped by hand", "withdrawn": "It was withdrawn."}
BLOCK = 1 << 24  # bytes that are written at once

Box = tuple[float, float, float, float]
Number = Annotated[int, Field(ge=0)]


class _Edit(Options):
    pictures: tuple[Number, ...] = Field(min_length=1, description="Numbers of the pictures, as they were read.")


class Set(_Edit):
    """Say something else of pictures: what is None stays, and an empty text takes away what was said."""

    kind: Literal["set"] = Field(default="set", description="What is done.")
    label: str | None = Field(default=None, max_length=200, description="Their class.")
    text: str | None = Field(default=None, max_length=8000, description="What is on them, in words.")
    licence: str | None = Field(default=None, max_length=500, description="Under which licence they are.")
    creator: str | None = Field(default=None, max_length=500, description="Who made them.")
    origin: str | None = Field(default=None, max_length=500, description="Where they come from.")
    consent: str | None = Field(default=None, max_length=500, description="Whose consent there is for training.")

    @field_validator("label", "licence", "creator", "origin", "consent")
    @classmethod
    def _line(cls, value: str | None) -> str | None:
        return None if value is None else " ".join(value.split())

    @field_validator("text")
    @classmethod
    def _text(cls, value: str | None) -> str | None:
        return None if value is None else value.strip()


class Drop(_Edit):
    """Take pictures out of the data set."""

    kind: Literal["drop"] = Field(default="drop", description="What is done.")
    why: Literal["dropped", "withdrawn"] = Field(default="dropped", description="By hand, or as withdrawn.")


class Crop(_Edit):
    """Cut a part out of pictures and bring it to the data set's size; sources are cut alike."""

    kind: Literal["crop"] = Field(default="crop", description="What is done.")
    box: Box = Field(description="Left, top, width and height of what is kept, as shares (0 to 1) of the picture.")

    @field_validator("box")
    @classmethod
    def _inside(cls, value: Box) -> Box:
        left, top, width, height = value
        if min(left, top) < 0 or min(width, height) <= 0 or max(left + width, top + height) > 1 + 1e-6:
            raise ValueError("a box lies within the picture: left, top, width and height as shares of it")
        return value


Edit = Set | Drop | Crop


@dataclass
class _Plan:
    """What edits come to. items: all of them, as they will be; boxes: of numbers that are cut; dropped: why."""

    items: list[dict[str, Any]]
    boxes: dict[int, Box] = field(default_factory=dict)
    dropped: dict[int, str] = field(default_factory=dict)
    said: bool = False

    @property
    def kept(self) -> np.ndarray:
        """Numbers of the pictures that stay."""
        return np.array([i for i in range(len(self.items)) if i not in self.dropped], np.int64)


def edit(home: Path, name: str, fingerprint: str, edits: Sequence[Edit]) -> Pack:
    """Make a data set as edits want it, wholly or not at all; returns it as it is then.

    fingerprint: of the data set that the edits were made for. Numbers of pictures are those of that data set in all
    edits, whatever is dropped. Raises Changed when the data set is another one by now, and GessoError for numbers that
    there are not, parts of less than a pixel, when nothing would be left, and while someone else edits it.
    """
    folder = folder_of(home, name)
    with alone(folder, name):
        files.sweep(folder.parent)
        stamp, pack = stamp_of(folder), open_pack(name, home)
        if pack.fingerprint != fingerprint:
            raise changed(name)
        plan = _planned(pack, name, edits)
        if plan.said or plan.boxes or plan.dropped:
            _write(pack, plan, folder, lambda: still(folder, stamp, name))
    return open_pack(name, home)


def copy(home: Path, name: str, new: str) -> Pack:
    """The same data set under another name as well; files are linked where the disk can, so that it takes no room.

    Raises GessoError for a name that cannot be one or is taken, and when there is no such data set.
    """
    folder, new = folder_of(home, name), check_name(new)
    taken = next((other for other in pack_names(home) if other.casefold() == new.casefold()), None)
    if taken is not None:
        raise GessoError(f"There is a data set '{taken}' already.", "Choose another name.")
    with alone(folder, name):
        stamp, pack = stamp_of(folder), open_pack(name, home)
        with files.new_folder(folder.parent / new) as into:
            for entry in kept_of(folder, ("pack.json",)):
                link(entry, into / entry.name)
            told = {"from": pack.name, "at": _now()}
            files.write_json(into / "pack.json", {**pack.meta, "name": new, "copied": told})
            still(folder, stamp, name)
    return open_pack(new, home)


# --- what the edits come to ---


def _planned(pack: Pack, name: str, edits: Sequence[Edit]) -> _Plan:
    plan = _Plan([dict(item) for item in pack.items])
    for one in edits:
        wrong = next((i for i in one.pictures if i >= pack.count), None)
        if wrong is not None:
            problem = f"There is no picture {wrong:,} in '{name}': it has {pack.count:,}, counted from 0."
            raise GessoError(problem, "Load it again.")
        for i in dict.fromkeys(one.pictures):
            if isinstance(one, Drop):
                plan.dropped[i] = one.why
            elif isinstance(one, Set):
                _say(plan, i, one)
            else:
                _cut(plan, i, one.box, pack)
    if len(plan.dropped) == pack.count:
        raise GessoError(f"Nothing would be left of the data set '{name}'.", "Keep a picture, or remove all of it.")
    for i in plan.dropped:
        plan.boxes.pop(i, None)
    return plan


def _say(plan: _Plan, i: int, edit: Set) -> None:
    """Say something else of one picture, and note that it was done by hand."""
    item = plan.items[i]
    for key in WORDS:
        value = getattr(edit, key)
        if value is None or value == (item.get(key) or ""):
            continue
        if value:
            item[key] = value
        else:
            del item[key]
        _note(item, key)
        plan.said = True


def _cut(plan: _Plan, i: int, box: Box, pack: Pack) -> None:
    """Keep a part of one picture, or a part of the part that is kept of it."""
    if box[2] >= 1 and box[3] >= 1:
        return
    left, top, width, height = plan.boxes.get(i, (0.0, 0.0, 1.0, 1.0))
    inner = (left + box[0] * width, top + box[1] * height, box[2] * width, box[3] * height)
    if inner[2] * pack.width < 1 - 1e-6 or inner[3] * pack.height < 1 - 1e-6:
        raise GessoError(f"Less than a pixel would be kept of picture {i:,}.", "Choose a larger part.")
    plan.boxes[i] = inner
    item = plan.items[i]
    item["cropped"] = [*_listed(item, "cropped"), [round(value, 6) for value in box]]
    _note(item, "crop")


def _note(item: dict[str, Any], what: str) -> None:
    item["edited"] = sorted({*_listed(item, "edited"), what})


def _listed(item: dict[str, Any], key: str) -> list[Any]:
    """What was noted before; a column of the same name that came with the pictures gives way."""
    return item[key] if isinstance(item.get(key), list) else []


# --- writing ---


def _write(pack: Pack, plan: _Plan, folder: Path, check: Callable[[], None]) -> None:
    """Make the new state and put it in the old one's place. check: raises when that is not what it was any more."""
    kept, pixels = plan.kept, bool(plan.boxes or plan.dropped)
    items = [plan.items[i] for i in kept]
    labels, ids = _labels(items)
    arrays = [("images.npy", pack.images), *([] if pack.sources is None else [("sources.npy", pack.sources)])]
    needed = sum(array.nbytes for _, array in arrays) * len(kept) // pack.count if pixels else None
    with files.new_folder(folder, replace=True, needed=needed) as into:
        mark = pack.fingerprint
        if pixels:
            saved = [_saved(into / name, array, kept, plan.boxes) for name, array in arrays]
            mark = fingerprint(saved[0], ids, saved[1] if saved[1:] else None)
        elif not np.array_equal(ids, pack.label_ids):
            sources = None if pack.sources is None else chunks(pack.sources)
            mark = fingerprint(chunks(pack.images), ids, sources)
        _write_lines(into / "items.jsonl", items)
        gone = [{"source": plan.items[i].get("source", ""), "kind": why, "reason": WHY[why]}
                for i, why in sorted(plan.dropped.items())]  # fmt: skip
        _write_lines(into / "rejected.jsonl", gone, after=folder / "rejected.jsonl")
        written = {"pack.json", "items.jsonl", "rejected.jsonl"}
        if pixels:
            written |= {"duplicates.jsonl", "sheet.png", *(name for name, _ in arrays)}
            made = {name: np.load(into / name, mmap_mode="r") for name, _ in arrays}
            _relist(pack, plan, kept, made["images.npy"], into / "duplicates.jsonl")
            sheet = contact_sheet(made["images.npy"], sources=made.get("sources.npy"))
            Image.fromarray(sheet).save(into / "sheet.png")
        for entry in kept_of(folder, (*written, *(CACHES if mark != pack.fingerprint else ()))):
            link(entry, into / entry.name)
        meta = {**pack.meta, "count": len(kept), "labels": list(labels), "fingerprint": mark}
        summary = dict(pack.meta.get("summary") or {})
        summary["duplicates"] = len(read_pairs(into))
        away = sum(one["kind"] == "withdrawn" for one in gone)
        summary["dropped_by_hand"] = summary.get("dropped_by_hand", 0) + len(gone) - away
        if away:
            summary["withdrawn"] = summary.get("withdrawn", 0) + away
        times = (pack.meta.get("edited") or {}).get("times", 0)
        files.write_json(
            into / "pack.json", {**meta, "summary": summary, "edited": {"times": times + 1, "last": _now()}}
        )
        check()


def _labels(items: Iterable[dict[str, Any]]) -> tuple[tuple[str, ...], np.ndarray]:
    """The labels in the order of their numbers, as at an import, and the number of each item's, -1 for none."""
    said = [item.get("label") or "" for item in items]
    labels = tuple(sorted({label for label in said if label}, key=natural))
    number = {label: i for i, label in enumerate(labels)}
    return labels, np.array([number.get(label, -1) for label in said], np.int64)


def _saved(path: Path, images: np.ndarray, kept: np.ndarray, boxes: dict[int, Box]) -> Iterator[np.ndarray]:
    """Write the pictures that stay, cut where a part is kept; yields them as they are written, some at a time."""
    shape = images.shape[1:]
    step = max(1, BLOCK // int(np.prod(shape)))
    with path.open("wb") as file:
        facts = {"descr": "|u1", "fortran_order": False, "shape": (len(kept), *shape)}
        np.lib.format.write_array_header_1_0(file, facts)
        for start in range(0, len(kept), step):
            which = kept[start : start + step]
            block = np.array(images[which])
            for place, i in enumerate(which.tolist()):
                if i in boxes:
                    block[place] = _part(block[place], boxes[i])
            file.write(block.data)
            yield block


def _part(image: np.ndarray, box: Box) -> np.ndarray:
    """A part of a picture at the picture's own size, `h w c` uint8, premultiplied where c = 4."""
    high, wide, channels = image.shape
    left, top = box[0] * wide, box[1] * high
    edges = [left, top, min(left + box[2] * wide, wide), min(top + box[3] * high, high)]
    edges = [float(round(edge)) if abs(edge - round(edge)) < 1e-3 else edge for edge in edges]
    across, down = edges[2] - edges[0], edges[3] - edges[1]
    mode = {1: "L", 3: "RGB", 4: "RGBa"}[channels]
    whole = Image.frombytes(mode, (wide, high), np.ascontiguousarray(image).tobytes())
    crisp = all(edge == int(edge) for edge in edges) and wide % across == 0 and high % down == 0
    crisp = crisp and whole.getcolors(min(FEW_COLOURS, max(4, wide * high // 4))) is not None
    how = Image.Resampling.NEAREST if crisp else Image.Resampling.LANCZOS
    out = np.array(whole.resize((wide, high), how, (edges[0], edges[1], edges[2], edges[3])))
    if channels == 4:  # Lanczos may overshoot: no colour exceeds its alpha
        np.minimum(out[..., :3], out[..., 3:], out=out[..., :3])
    return out.reshape(image.shape)


def _relist(pack: Pack, plan: _Plan, kept: np.ndarray, images: np.ndarray, path: Path) -> None:
    """Near-duplicates, after the edit: where one of several that were alike is gone or cut, they are compared anew."""
    pairs, numbers = read_pairs(pack.path), where(pack.items)
    touched = {*plan.dropped, *plan.boxes}
    names = {name for pair in pairs for name in (pair["first"], pair["again"]) if touched & set(numbers.get(name, ()))}
    count = -1
    while count != len(names):  # those alike to them, and those alike to these
        count = len(names)
        names |= {name for pair in pairs if names & {pair["first"], pair["again"]} for name in
                  (pair["first"], pair["again"])}  # fmt: skip
    now = {int(old): new for new, old in enumerate(kept)}
    rows = sorted(now[i] for name in names for i in numbers.get(name, ()) if i in now)
    source = [str(plan.items[i].get("source", "")) for i in kept]
    lines = [pair for pair in pairs if pair["first"] not in names and pair["again"] not in names]
    lines += [{"first": source[a], "again": source[b], "apart": apart} for a, b, apart in alike(images, rows)]
    if lines:
        _write_lines(path, lines)


def _write_lines(path: Path, lines: Iterable[dict[str, Any]], after: Path | None = None) -> None:
    """JSON lines into a new file. after: a file whose lines come first, where it is there."""
    with path.open("wb") as file:
        if after is not None and after.is_file():
            with after.open("rb") as old:
                shutil.copyfileobj(old, file)
        for line in lines:
            file.write(json.dumps(line).encode() + b"\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
