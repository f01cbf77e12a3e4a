"""The import from end to end: a source in, events on the way, a data set under its name or nothing at all."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor

import gesso.files as files
from gesso.contract.task import Event, Message, Preview, Progress, Result
from gesso.data.choices import BUILT_IN, FOUND, MADE, ImportOptions, pair_of
from gesso.data.crew import prepare_all
from gesso.data.decode import peek_size
from gesso.data.duplicates import find_duplicates
from gesso.data.layouts import Source, open_source
from gesso.data.pack import check_name, make_name, pack_names
from gesso.data.report import Tally, describe, messages, nothing_accepted, sentence, shape_of
from gesso.data.sheet import contact_sheet
from gesso.data.withdrawn import withdrawn_in
from gesso.data.worker import Entry, Outcome, Recipe
from gesso.data.write import PackWriter
from gesso.errors import GessoError

__all__ = ["import_pictures"]

DEFAULT_SIZE = 64
LOOKED_AT = 64  # pictures whose headers decide on --size auto
MOST_AUTO = 256
PAUSE = 0.1  # seconds between reports of progress
WHITE = (255, 255, 255)


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
            width,
            height,
            options.crop,
            pair_of(options.tile) if options.tile else None,
            options.use_marked,
            options.pairs == "side-by-side",
            options.swap,
            frozenset(withdrawn_in(home)),
        )
        tally = Tally()
        yield Message(
            f"Reading {source.total:,} pictures from {options.source} ({source.kind}) at {width}x{height} pixels."
        )
        needed = source.total * width * height * (4 if options.pairs == "none" else 8)
        with files.new_folder(final, replace=options.replace, needed=needed) as folder:
            writer = PackWriter(folder, height, width, options.pairs in FOUND)
            try:
                yield from _stream(entries, source, recipe, options, background or WHITE, writer, folder, tally)
                if not writer.count:
                    raise nothing_accepted(options, source, tally)
                alike, keep = _duplicates(writer, tally, options, folder)
                writer.settle(writer.choose(options.channels, keep), keep)
                if options.pairs in MADE:
                    yield from _make_sources(writer, options, writer.count if keep is None else int(keep.sum()))
                written = writer.finish()
            finally:
                writer.close()
            _save_sheet(folder)
            meta = describe(name, options, source, tally, written, (width, height), alike)
            files.write_json(folder / "pack.json", meta)
    finally:
        source.close()
    yield from messages(source, tally, meta, final)
    yield Preview(final / "sheet.png", name)
    yield Result(sentence(meta), (final, final / "sheet.png"), {**meta["summary"], "name": name, **shape_of(meta)})


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
    return open_source(
        Path(options.source).expanduser(), options.label_column, options.split, options.pairs, options.swap
    )


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
    beside = 2 if options.pairs == "side-by-side" else 1
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
            sizes.add((size[0] // beside, size[1]))
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
    tally: Tally,
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
                kind = "marked" if outcome.marked else "withdrawn" if outcome.withdrawn else "rejected"
                _refuse(rejected, tally, outcome.source, outcome.reason, kind)
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
    tally: Tally,
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
        if ready.source:
            other = ready.source
            under = other.ground if plain and other.ground else background
            writer.add_source(other.pixels, under, other.transparent, other.grey)
        tally.accepted += 1
        tally.converted.update(item.get("converted", ()))
        tally.used_marked += "marks" in item
        tally.hashes.append(ready.phash)
        tally.digests.append(ready.digest)


def _make_sources(writer: PackWriter, options: ImportOptions, total: int) -> Iterator[Event]:
    """Make the source of every picture kept."""
    started = shown = time.monotonic()
    for done in writer.make_sources(options.pairs, options.workers or _cores()):
        now = time.monotonic()
        if now - shown >= PAUSE or done == total:
            shown = now
            yield Progress(done, total, "sources", (now - started) / done * (total - done))


def _save_sheet(folder: Path) -> None:
    """Some of the pictures, each beside its source where it has one, as sheet.png."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    sources = np.load(folder / "sources.npy", mmap_mode="r") if (folder / "sources.npy").exists() else None
    Image.fromarray(contact_sheet(images, sources=sources)).save(folder / "sheet.png")


def _refuse(file: Any, tally: Tally, name: str, reason: str, kind: str) -> None:
    file.write(json.dumps({"source": name, "kind": kind, "reason": reason}) + "\n")
    if kind == "marked":
        tally.marked += 1
    elif kind == "withdrawn":
        tally.withdrawn += 1
    else:
        tally.rejected[reason] += 1


def _duplicates(
    writer: PackWriter, tally: Tally, options: ImportOptions, folder: Path
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


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
