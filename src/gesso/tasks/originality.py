"""`gesso originality`: whether what a model draws is new, or its learned pictures again."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.measure.originality import Found
    from gesso.store import Run
    from gesso.tasks import Learned

COLUMNS = 12
MOST = 10_000  # learned pictures whose features are compared


class OriginalityOptions(Options):
    """Tell whether pictures are new, or learned ones again.

    Each picture is laid over the learned pictures, mirrored, moved, cropped and recoloured, and gets a likeness to
    its nearest, from 0 to 1. What counts as near is learned from the collection itself. The sheet shows the pictures
    that are most like learned ones, each with its nearest and with what is different between them.
    """

    run: str = Field(default="", description="The run: its number, its name, or its data set for the latest.")
    images: Path | None = Field(
        default=None, description="A folder of pictures to look at, or one picture, instead of new ones of the run."
    )
    count: int = Field(default=256, ge=10, le=100_000, description="How many pictures to draw.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the first; the others count on.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    by: str = Field(
        default="primer",
        description="Features of the two tests of the model: primer, random, own, or a file of a network.",
    )
    shown: int = Field(default=24, ge=1, le=240, description="How many pictures the sheet shows.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to draw.")


class Originality(Task[OriginalityOptions]):
    """The task."""

    name = "originality"
    Options = OriginalityOptions
    positional = ("run",)
    example = "gesso originality flowers"
    pace = "minutes"

    def run(self, options: OriginalityOptions, home: Path) -> Iterator[Event]:
        """Draw or read, compare, tell; the Result names the sheet, and its facts are those of originality.json."""
        from gesso import tasks
        from gesso.files import write_json
        from gesso.measure.nearest import Collection
        from gesso.measure.originality import known_scale
        from gesso.store import Run

        if not options.run:
            raise GessoError("No run is named.", "For example: gesso originality flowers. `gesso list` shows the runs.")
        folder = Run.open(home, options.run)
        learned = tasks.learned(folder, home)
        if options.images is None:
            images, names, step = yield from _drawn(options, home)
            where = folder.root / "originality"
        else:
            images, names, notes = _read(options.images, folder)
            step = None
            yield from (Message(note, "warning") for note in notes)
            where = folder.root / "originality" / (options.images.expanduser().resolve().stem or "pictures")
        yield Message(f"Comparing {len(images):,} pictures with the {len(learned.images):,} learned ones …")
        collection = Collection.of(learned.images)
        kept = yield from _watched(known_scale(collection, learned.images, learned.pack.path, learned.pack.fingerprint))
        seen = yield from _found(collection, images, kept)
        facts = _figures(seen, kept) | ({"step": step} if step is not None else {})
        if len(learned.held):
            held = yield from _found(collection, learned.held[:1000], kept)
            facts["held_out_copies"] = float(held.copies.mean())
        facts |= _tests(options.by, learned, images, folder)
        sheet = _sheet(where, folder, collection, learned.images, images, seen, facts, options.shown)
        order = (-seen.likeness).argsort(kind="stable")
        listed = [
            {
                "picture": names[i], "likeness": round(float(seen.likeness[i]), 4), "copy": bool(seen.copies[i]),
                "nearest": learned.sources[int(seen.near.which[i])] if int(seen.near.which[i]) >= 0 else None,
            }
            for i in order.tolist()
        ]  # fmt: skip
        write_json(where / "originality.json", {**facts, "pictures": listed})
        if options.images is None:
            folder.update(originality=facts)
            _card(folder)
        yield Preview(sheet, "most like learned pictures")
        yield Result(_verdict(facts), (sheet, where / "originality.json"), {**facts, "pictures": listed})


def _found(collection: Any, images: "np.ndarray", kept: Any) -> Any:
    from gesso.measure.originality import found

    return (yield from _watched(found(collection, images, kept)))


def _watched(work: Any) -> Any:
    """Yield the progress of something that tells how many pictures are done; return what it found."""
    begun = time.monotonic()
    while True:
        try:
            done, total = next(work)
        except StopIteration as end:
            return end.value
        yield Progress(done, total, "pictures", (total - done) * (time.monotonic() - begun) / max(done, 1))


def _drawn(options: OriginalityOptions, home: Path) -> Any:
    """Yields what drawing yields; returns n h w c bytes, their names, and the model's step."""
    import numpy as np

    from gesso import tasks

    model = tasks.load(options.run, home, options.device)
    seeds = range(options.seed, options.seed + options.count)
    drawn = yield from tasks.drawing(
        model, seeds, knobs=model.family.Knobs.from_pairs(options.set, model.family.alike), home=home
    )
    return np.stack([one.image for one in drawn]), [f"seed {one.seed}" for one in drawn], model.step


def _read(place: Path, folder: "Run") -> tuple["np.ndarray", list[str], list[str]]:
    """Pictures of a folder, their names, and what is to be said of them."""
    from gesso.data.reading import read_pictures

    facts = folder.record["facts"]
    width, height = facts["width"], facts["height"]
    read = read_pictures(place, width, height, facts["channels"])
    notes = read.problems[:5]
    if len(read.problems) > 5:
        notes.append(f"{len(read.problems) - 5:,} more files are left out, too.")
    others = {size: count for size, count in read.sizes.items() if size != (width, height)}
    if others:
        size = max(others, key=lambda size: others[size])
        notes.append(
            f"{sum(others.values()):,} pictures are of other sizes (most of them {size[0]}×{size[1]}); they are "
            f"compared at the run's {width}×{height}."
        )
    return read.images, [path.name for path in read.paths], notes


def _figures(seen: "Found", kept: Any) -> dict[str, Any]:
    from gesso.measure.originality import share_of

    share, low, high = share_of(seen.copies)
    return {
        "count": len(seen.copies), "copies": int(seen.copies.sum()), "share": round(share, 4),
        "interval": [round(low, 4), round(high, 4)], "limit": round(kept.limit, 4),
        "median_likeness": round(float(sorted(seen.likeness.tolist())[len(seen.copies) // 2]), 4),
        "learned_share": round(kept.usual, 4) if kept.among else None,
    }  # fmt: skip


def _tests(by: str, learned: "Learned", images: "np.ndarray", folder: "Run") -> dict[str, Any]:
    """The two tests of the model, by features; none where there are too few pictures for one."""
    import numpy as np

    from gesso.measure.copying import authenticity, data_copying
    from gesso.measure.features import features_of
    from gesso.measure.own import extractor_for

    some = np.sort(np.random.default_rng(0).permutation(len(learned.images))[:MOST])
    see = extractor_for(by, learned.images, learned.numbers, learned.pack.path, learned.pack.fingerprint)
    x, y = features_of(see, learned.images[some]), features_of(see, images)
    z = features_of(see, learned.held) if len(learned.held) >= 10 else None
    out: dict[str, Any] = {"by": see.mark, "held_out": len(learned.held)}
    for name, test in (("data_copying", lambda: data_copying(x, z, y)), ("authenticity", lambda: authenticity(x, y))):
        try:
            out[name] = round(test(), 4)
        except GessoError:
            out[name] = None
    return out


def _sheet(
    where: Path, folder: "Run", collection: Any, learned: "np.ndarray", images: "np.ndarray", seen: "Found",
    facts: dict[str, Any], shown: int,
) -> Path:  # fmt: skip
    """Pictures most like learned ones, their nearest, and what is different; of each learned one the likest first."""
    import numpy as np

    from gesso.marks.picture import write_sheet
    from gesso.measure.nearest import Near
    from gesso.measure.originality import residuals

    order = (-seen.likeness).argsort(kind="stable")
    first = np.sort(np.unique(seen.near.which.numpy()[order], return_index=True)[1])  # the likest of every learned one
    order = order[[*first, *np.setdiff1d(np.arange(len(order)), first)]][:shown]
    rows, under, captions = [], [], []
    grey = np.full((*images.shape[1:3], 1), 128, np.uint8)
    for start in range(0, len(order), COLUMNS):
        part = order[start : start + COLUMNS]
        near = Near(*(column[part.copy()] for column in seen.near))
        nearest = [learned[int(i)] if int(i) >= 0 else grey for i in near.which]
        rows += [[images[i] for i in part], nearest, residuals(collection, images[part], near)]
        words = [f"{seen.likeness[i]:.2f}{' copy' if seen.copies[i] else ''}" for i in part]
        under += [words, [""] * len(part), [""] * len(part)]
        captions += ["made, and how like their nearest", "the nearest learned ones", "what is different"]
    title = (
        f"{folder.root.name}: {facts['copies']} of {facts['count']:,} are near-copies (from {facts['limit']:.2f} on)"
    )
    return write_sheet(
        where / "sheet.png", rows, title=title, captions=captions, under=under,
        source="compositeWithTrainedAlgorithmicMedia",
    )  # fmt: skip


def _verdict(facts: dict[str, Any]) -> str:
    """The figures in words."""
    low, high = facts["interval"]
    lines = [
        f"{facts['copies']:,} of {facts['count']:,} pictures ({facts['share']:.1%}, {low:.1%} to {high:.1%} with 95 % "
        f"confidence) are near-copies of learned ones: likeness {facts['limit']:.2f} or more."
    ]
    if facts.get("held_out_copies") is not None:
        lines.append(f"Of pictures that it did not learn from, {facts['held_out_copies']:.1%} are as near.")
    if facts["learned_share"]:
        lines.append(f"Of the learned pictures themselves {facts['learned_share']:.1%} have another that is as near.")
    if facts["data_copying"] is not None:
        score = facts["data_copying"]
        word = "the model copies" if score < -3 else "no copying beyond chance"
        against = "those held out" if facts["held_out"] >= 10 else "learned ones among each other"
        lines.append(f"Test of data copying: {score:+.1f} against {against} ({word}).")
    if facts["authenticity"] is not None:
        lines.append(f"Authentic: {facts['authenticity']:.1%} (about 50 % where a model draws as the data came about).")
    return "\n".join(lines)


def _card(folder: "Run") -> None:
    """The model card anew, with what was found."""
    from gesso import tasks
    from gesso.train.card import write_card

    write_card(folder, tasks.family(folder.family).paper)
