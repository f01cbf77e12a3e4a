"""The import from end to end: a source in, events on the way, a data set under its name or nothing at all."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor

import gesso.files as files
from gesso.contract.task import Event, Message, Preview, Progress, Result
from gesso.data.choices import ImportOptions, pair_of
from gesso.data.crew import prepare_all
from gesso.data.decode import peek_size
from gesso.data.duplicates import find_duplicates
from gesso.data.layouts import Source, open_source
from gesso.data.pack import FORMAT, VERSION, check_name, make_name, pack_names
from gesso.data.sheet import contact_sheet
from gesso.data.worker import Entry, Outcome, Recipe
from gesso.data.write import PackWriter, Written
from gesso.errors import GessoError

__all__ = ["import_pictures"]

BUILT_IN = "blossoms"
DEFAULT_SIZE = 64
LOOKED_AT = 64  # pictures whose headers decide on --size auto
MOST_AUTO = 256
PAUSE = 0.1  # seconds between reports of progress
WHITE = (255, 255, 255)


@dataclass
class _Tally:
    """What happened on the way."""

    accepted: int = 0
    converted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    marked: int = 0
    used_marked: int = 0
    blank: int = 0
    hashes: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)


def import_pictures(options: ImportOptions, home: Path) -> Iterator[Event]:
    """Import a source into `home`; yields Progress, Message and Preview events and a Result at the end.

    The data set appears under its name when it is complete; when the import fails, is closed or killed,
    nothing does. Raises GessoError for what the person can put right.
    """
    name = _free_name(options, home)
    background = _colour(options.background)
    final = Path(home) / "datasets" / name
    files.sweep(final.parent)
    source = _source(options)
    try:
        head, entries = _look_ahead(source.entries)
        width, height = _size(options, head)
        recipe = Recipe(
            width, height, options.crop, pair_of(options.tile) if options.tile else None, options.use_marked
        )
        tally = _Tally()
        yield Message(
            f"Reading {source.total:,} pictures from {options.source} ({source.kind}) at {width}x{height} pixels."
        )
        with files.new_folder(final, replace=options.replace) as folder:
            writer = PackWriter(folder, height, width)
            try:
                yield from _stream(entries, source, recipe, options, background or WHITE, writer, folder, tally)
                if not writer.count:
                    raise _nothing(options, source, tally)
                pairs, keep = _duplicates(writer, tally, options, folder)
                written = writer.finish(writer.choose(options.channels, keep), keep)
            finally:
                writer.close()
            Image.fromarray(contact_sheet(np.load(folder / "images.npy", mmap_mode="r"))).save(folder / "sheet.png")
            meta = _meta(name, options, source, tally, written, (width, height), pairs)
            files.write_json(folder / "pack.json", meta)
    finally:
        source.close()
    yield from _messages(source, tally, meta, final)
    yield Preview(final / "sheet.png", name)
    yield Result(_summary(meta), (final, final / "sheet.png"), {**meta["summary"], "name": name, **_shape(meta)})


def _free_name(options: ImportOptions, home: Path) -> str:
    """The name of the new data set; raises GessoError when it is not a good one, or taken."""
    if options.name:
        name = check_name(options.name)
    elif options.source == BUILT_IN:
        name = BUILT_IN
    else:
        stem = Path(os.path.normpath(Path(options.source).expanduser().absolute())).name
        for suffix in (".gz", ".tgz", ".tar", ".zip", "-idx3-ubyte"):
            stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
        name = make_name(stem)
    # On some disks two names that differ only in case are one.
    taken = next((other for other in pack_names(home) if other.casefold() == name.casefold()), None)
    if taken is not None and not options.replace:
        raise GessoError(
            f"There is a data set '{taken}' already.", "Choose another with --name, or add --replace to replace it."
        )
    return taken or name


def _colour(text: str) -> tuple[int, int, int] | None:
    if text == "auto":
        return None
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise GessoError(f"'{text}' is no colour.", "Write a name such as white, or a code such as #f4f0e8.") from None


def _source(options: ImportOptions) -> Source:
    if options.source == BUILT_IN:
        from gesso.data.blossoms import blossom_source

        side = DEFAULT_SIZE if options.size == "auto" else options.size
        return blossom_source(options.count, pair_of(str(side)), options.seed)
    return open_source(Path(options.source).expanduser(), options.label_column, options.split)


def _look_ahead(entries: Iterator[Entry]) -> tuple[list[Entry], Iterator[Entry]]:
    """The first entries, and all of them again."""
    head = list(islice(entries, LOOKED_AT))
    return head, chain(head, entries)


def _size(options: ImportOptions, head: list[Entry]) -> tuple[int, int]:
    """Width and height of every picture: as asked, else that of the tiles, else the one that the first share."""
    if options.size != "auto":
        return pair_of(options.size)
    if options.tile:
        width, height = pair_of(options.tile)
        return max(width, 8), max(height, 8)
    sizes = set()
    for entry in head:
        if isinstance(entry.data, np.ndarray):
            sizes.add((entry.data.shape[1], entry.data.shape[0]))
            continue
        try:
            data = (
                entry.data
                if isinstance(entry.data, bytes)
                else _start(entry.data)
                if isinstance(entry.data, Path)
                else b""
            )
        except OSError:
            continue
        size = peek_size(data, entry.source)
        if size is not None:
            sizes.add(size)
    if len(sizes) == 1 and min(shared := sizes.pop()) >= 8 and max(shared) <= MOST_AUTO:
        return shared
    return DEFAULT_SIZE, DEFAULT_SIZE


def _start(path: Path) -> bytes:
    """The first part of a file, enough for its header; nothing of what is no ordinary file."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(1 << 18)


def _stream(
    entries: Iterable[Entry],
    source: Source,
    recipe: Recipe,
    options: ImportOptions,
    background: tuple[int, int, int],
    writer: PackWriter,
    folder: Path,
    tally: _Tally,
) -> Iterator[Event]:
    """Prepare every entry and write it, or the reason why not, to disk."""
    started = shown = time.monotonic()
    workers = options.workers or _cores()
    plain = options.background == "auto"
    with (folder / "rejected.jsonl").open("w", encoding="utf-8", newline="\n") as rejected:
        for name, reason in source.refused:
            _refuse(rejected, tally, name, reason, "rejected")
        for done, outcome in enumerate(prepare_all(entries, recipe, workers), 1):
            tally.blank += outcome.blank
            if outcome.reason:
                _refuse(rejected, tally, outcome.source, outcome.reason, "marked" if outcome.marked else "rejected")
            _keep(outcome, options, background, plain, writer, tally)
            now = time.monotonic()
            if now - shown >= PAUSE or done == source.total:
                shown = now
                left = (now - started) / done * max(source.total - done, 0)
                yield Progress(
                    done,
                    max(source.total, done),
                    "pictures",
                    left,
                    {"pictures a second": done / max(now - started, 1e-6)},
                )


def _keep(
    outcome: Outcome,
    options: ImportOptions,
    background: tuple[int, int, int],
    plain: bool,
    writer: PackWriter,
    tally: _Tally,
) -> None:
    """Write the pictures of one entry, with the rights that the person gave where it has none of its own."""
    for ready in outcome.ready:
        item = ready.item
        for key in ("licence", "creator", "consent"):
            if getattr(options, key):
                item.setdefault(key, getattr(options, key))
        writer.add(
            ready.pixels, item, ready.ground if plain and ready.ground else background, ready.transparent, ready.grey
        )
        tally.accepted += 1
        tally.converted.update(item.get("converted", ()))
        tally.used_marked += "marks" in item
        tally.hashes.append(ready.phash)
        tally.digests.append(ready.digest)


def _refuse(file: Any, tally: _Tally, name: str, reason: str, kind: str) -> None:
    file.write(json.dumps({"source": name, "kind": kind, "reason": reason}) + "\n")
    if kind == "marked":
        tally.marked += 1
    else:
        tally.rejected[reason] += 1


def _duplicates(
    writer: PackWriter, tally: _Tally, options: ImportOptions, folder: Path
) -> tuple[list[tuple[int, int, float]], np.ndarray | None]:
    """Find near-duplicates, write the list of them, and say which pictures to keep (`n` bool, None for all)."""
    images = writer.flush()
    hashes = np.array(tally.hashes, np.uint64)
    digests = np.frombuffer(b"".join(tally.digests), np.uint64)
    pairs = find_duplicates(images, hashes, digests)
    del images
    if not pairs:
        return pairs, None
    wanted = {i for pair in pairs for i in pair[:2]}
    with (folder / "items.jsonl").open(encoding="utf-8") as lines:
        sources = {i: json.loads(line)["source"] for i, line in enumerate(lines) if i in wanted}
    with (folder / "duplicates.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for a, b, apart in pairs:
            file.write(json.dumps({"first": sources[a], "again": sources[b], "apart": apart}) + "\n")
    if not options.drop_duplicates:
        return pairs, None
    keep = np.ones(writer.count, bool)
    keep[[b for _, b, _ in pairs]] = False
    with (folder / "rejected.jsonl").open("a", encoding="utf-8", newline="\n") as file:
        for a, b, _ in pairs:
            reason = f"It is nearly the same as {sources[a]}."
            file.write(json.dumps({"source": sources[b], "kind": "duplicate", "reason": reason}) + "\n")
    return pairs, keep


def _nothing(options: ImportOptions, source: Source, tally: _Tally) -> GessoError:
    """Why no picture was accepted."""
    where = f"No picture in {options.source} could be used"
    if tally.marked and not tally.rejected:
        return GessoError(
            f"{where}: all {tally.marked:,} are marked as not for training.", "Ask their makers for consent."
        )
    if tally.rejected:
        reason, count = tally.rejected.most_common(1)[0]
        return GessoError(
            f"{where}: {count:,} of {sum(tally.rejected.values()):,} files: {reason}", "Put pictures there."
        )
    return GessoError(f"{where}: there are no files in it.", "Put pictures there, as PNG or JPEG.")


def _meta(
    name: str,
    options: ImportOptions,
    source: Source,
    tally: _Tally,
    written: Written,
    size: tuple[int, int],
    pairs: list[tuple[int, int, float]],
) -> dict[str, Any]:
    """What pack.json says."""
    from gesso.data import duplicates

    summary = {
        "accepted": written.count,
        "converted": dict(tally.converted.most_common()),
        "rejected": sum(tally.rejected.values()),
        "reasons": dict(tally.rejected.most_common(50)),
        "marked": tally.marked,
        "marked_but_used": tally.used_marked,
        "blank_tiles": tally.blank,
        "duplicates": len(pairs),
        "duplicates_dropped": tally.accepted - written.count,
    }
    chosen = options.model_dump(
        exclude={"workers", "replace"} | (set() if options.source == BUILT_IN else {"count", "seed"})
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "count": written.count,
        "height": size[1],
        "width": size[0],
        "channels": written.channels,
        "alpha": "premultiplied" if written.channels == 4 else None,
        "labels": list(written.labels),
        "fingerprint": written.fingerprint,
        "source": source.kind,
        "options": {**chosen, "source": Path(options.source).name or options.source},
        "summary": summary,
        "duplicates": {
            "bits": duplicates.MOST_BITS,
            "mean_apart": duplicates.MEAN_APART,
            "most_apart": duplicates.MOST_APART,
        },
    }


def _shape(meta: dict[str, Any]) -> dict[str, Any]:
    return {key: meta[key] for key in ("count", "height", "width", "channels", "fingerprint")} | {
        "labels": len(meta["labels"])
    }


def _messages(source: Source, tally: _Tally, meta: dict[str, Any], final: Path) -> Iterator[Message]:
    """What the person should know, a sentence each."""
    for note in source.notes:
        yield Message(note)
    if tally.converted:
        yield Message("Converted: " + _listed(tally.converted) + ".")
    if tally.blank:
        yield Message(f"{tally.blank:,} tiles were left out because there is nothing on them.")
    if tally.rejected:
        report = final / "rejected.jsonl"
        yield Message(
            f"{sum(tally.rejected.values()):,} files were left out (see {report}): {_listed(tally.rejected)}.",
            "warning",
        )
    if tally.marked:
        yield Message(
            f"{tally.marked:,} pictures were left out because their makers say that no model may learn from them.",
            "warning",
        )
    if tally.used_marked:
        yield Message(
            f"{tally.used_marked:,} pictures were taken although they are marked as not for training.", "warning"
        )
    summary = meta["summary"]
    if summary["duplicates_dropped"]:
        yield Message(f"{summary['duplicates_dropped']:,} near-duplicates were left out.")
    elif summary["duplicates"]:
        yield Message(
            f"{summary['duplicates']:,} pictures are nearly the same as another; --drop-duplicates leaves them out."
        )
    if len(meta["labels"]) > max(20, meta["count"] // 2):
        yield Message(
            f"There are {len(meta['labels']):,} labels for {meta['count']:,} pictures: few learn from so many.",
            "warning",
        )


def _listed(counts: Counter[str]) -> str:
    shown = [f"{count:,} × {what.rstrip('.')}" for what, count in counts.most_common(5)]
    return "; ".join(shown) + (f"; and {len(counts) - 5} other kinds" if len(counts) > 5 else "")


def _summary(meta: dict[str, Any]) -> str:
    colours = {1: "grey", 3: "RGB", 4: "RGB with transparency"}[meta["channels"]]
    labels = f", {len(meta['labels'])} labels" if meta["labels"] else ""
    size = f"{meta['width']}x{meta['height']} pixels"
    return f"The data set '{meta['name']}' has {meta['count']:,} pictures of {size}, {colours}{labels}."


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
