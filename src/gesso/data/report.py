"""What is told of an import: in pack.json, and to the person who waits."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gesso.contract.task import Message
from gesso.data import duplicates
from gesso.data.choices import BUILT_IN, ImportOptions
from gesso.data.layouts import Source
from gesso.data.pack import FORMAT, VERSION
from gesso.data.write import Written
from gesso.errors import GessoError

__all__ = ["Tally", "describe", "messages", "nothing_accepted", "sentence", "shape_of"]


COLOURS = {1: "grey", 3: "RGB", 4: "RGB with transparency"}
SOURCES = {
    "folders": "the file of the same name in the other folder",
    "side-by-side": "the other half of its file",
    "edges": "a line drawing made from it",
    "grey": "the picture without its colours",
    "low": "the picture at a quarter of its resolution",
    "noise": "the picture with noise on it",
    "scratches": "the picture with scratches and dust on it",
    "masks": "the picture with holes in it",
    "layout": "its layout in at most six flat colours",
}


@dataclass
class Tally:
    """What happened on the way."""

    accepted: int = 0
    converted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    marked: int = 0
    used_marked: int = 0
    withdrawn: int = 0
    blank: int = 0
    hashes: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)


def nothing_accepted(options: ImportOptions, source: Source, tally: Tally) -> GessoError:
    """Why no picture was accepted."""
    where = f"No picture in {options.source} could be used"
    if tally.marked and not tally.rejected:
        return GessoError(
            f"{where}: all {tally.marked:,} are marked as not for training.", "Ask their makers for consent."
        )
    if tally.withdrawn and not tally.rejected:
        return GessoError(f"{where}: {tally.withdrawn:,} were withdrawn.", "Leave them out, or choose other pictures.")
    if tally.rejected:
        reason, count = tally.rejected.most_common(1)[0]
        return GessoError(
            f"{where}: {count:,} of {sum(tally.rejected.values()):,} files: {reason}", "Put pictures there."
        )
    return GessoError(f"{where}: there are no files in it.", "Put pictures there, as PNG or JPEG.")


def describe(
    name: str,
    options: ImportOptions,
    source: Source,
    tally: Tally,
    written: Written,
    size: tuple[int, int],
    alike: list[tuple[int, int, float]],
) -> dict[str, Any]:
    """What pack.json says."""
    summary = {
        "accepted": written.count,
        "converted": dict(tally.converted.most_common()),
        "rejected": sum(tally.rejected.values()),
        "reasons": dict(tally.rejected.most_common(50)),
        "marked": tally.marked,
        "marked_but_used": tally.used_marked,
        "withdrawn": tally.withdrawn,
        "blank_tiles": tally.blank,
        "duplicates": len(alike),
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
        **({"pairs": {"kind": options.pairs, "channels": written.source_channels}} if written.source_channels else {}),
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


def shape_of(meta: dict[str, Any]) -> dict[str, Any]:
    """The shape, the number of labels, the fingerprint and the pairs, from what pack.json says."""
    shape = {key: meta[key] for key in ("count", "height", "width", "channels", "fingerprint")}
    pairs = {"pairs": meta["pairs"]["kind"], "source_channels": meta["pairs"]["channels"]} if "pairs" in meta else {}
    return {**shape, "labels": len(meta["labels"]), **pairs}


def messages(source: Source, tally: Tally, meta: dict[str, Any], final: Path) -> Iterator[Message]:
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
    if tally.withdrawn:
        yield Message(f"{tally.withdrawn:,} pictures were passed over because they were withdrawn.", "warning")
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


def sentence(meta: dict[str, Any]) -> str:
    """The data set in one sentence."""
    colours = COLOURS[meta["channels"]]
    labels = f", {len(meta['labels'])} labels" if meta["labels"] else ""
    size = f"{meta['width']}x{meta['height']} pixels"
    pairs = ""
    if "pairs" in meta:
        pairs = f", each with a source ({COLOURS[meta['pairs']['channels']]}): {SOURCES[meta['pairs']['kind']]}"
    return f"The data set '{meta['name']}' has {meta['count']:,} pictures of {size}, {colours}{labels}{pairs}."
