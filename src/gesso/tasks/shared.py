"""What several tasks do alike: what a run learned from, drawing and working while telling how far it is, comparing."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gesso import tasks
from gesso.errors import GessoError

if TYPE_CHECKING:
    import numpy as np

    from gesso.contract.task import Event
    from gesso.data import Pack
    from gesso.finish import Collection
    from gesso.finish.draw import Drawing
    from gesso.marks.recipe import Original
    from gesso.options import Options
    from gesso.patch.synthesis import Step
    from gesso.sample import Drawn, Model
    from gesso.store import Run

Stage = TypeVar("Stage", bound="Step | Drawing")
Made = TypeVar("Made")

LARGEST = 16_384  # pixels of a side of a work on a single picture
SHOWN_EVERY = 2.0  # seconds between two previews of a work on a single picture


class Learned(NamedTuple):
    """What a run learned from, at the size that it draws. images, held: n h w c bytes, those that it learned from and
    those held out; numbers, held_numbers: of their labels among the run's, -1 for none; sources: names of the files.
    """

    pack: "Pack"
    images: "np.ndarray"
    held: "np.ndarray"
    numbers: "np.ndarray"
    held_numbers: "np.ndarray"
    sources: list[str]


def learned(run: "Run", home: str | os.PathLike[str] | None = None) -> Learned:
    """The pictures of a run's data set; raises GessoError where that is gone, or has changed since the run began."""
    from gesso.data.reading import at_size
    from gesso.train.plan import classes

    data, facts = run.record["data"], run.record["facts"]
    pack, rows = learned_rows(run, home)
    _, held = pack.split(data.get("held_out", 0.0))
    _, numbers, _ = classes(pack.labels, pack.label_ids)
    size = (facts["height"], facts["width"])
    sources = [str(pack.items[i].get("source", "")) for i in rows]
    images, apart = (at_size(pack.images[some], *size) for some in (rows, held))
    return Learned(pack, images, apart, numbers[rows], numbers[held], sources)


def learned_rows(run: "Run", home: str | os.PathLike[str] | None = None) -> "tuple[Pack, np.ndarray]":
    """The data set of a run, and the numbers of the pictures that it learned from; raises GessoError as `learned`."""
    from gesso.data import open_pack

    data = run.record.get("data")
    if data is None:
        raise GessoError(f"Run {run.root.name} does not say which data set it learned from.")
    pack = open_pack(data["name"], tasks.find_home(home))
    if pack.fingerprint != data["fingerprint"]:
        raise GessoError(
            f"The data set '{pack.name}' has changed since run {run.root.name} learned from it.",
            "Import the old pictures again, or train a new run.",
        )
    return pack, pack.split(data.get("held_out", 0.0))[0]


def sources(model: "Model", count: int, home: str | os.PathLike[str] | None = None) -> "np.ndarray | None":
    """What a model that translates is given to draw so many pictures, n h w s bytes; None for a model that needs none.

    Sources of its data set, those held out first; raises GessoError where that is gone, or has changed.
    """
    import numpy as np

    from gesso.data import open_pack
    from gesso.data.reading import at_size
    from gesso.store import Run

    if "source" not in model.family.asks:
        return None
    run = Run.open(tasks.find_home(home), model.run)
    pack, rows = learned_rows(run, home)
    if run.record.get("source"):
        images, order = open_pack(run.record["source"]["name"], tasks.find_home(home)).images, np.arange(count)
    else:
        assert pack.sources is not None
        _, held = pack.split(run.record["data"].get("held_out", 0.0))
        images, order = pack.sources, np.concatenate([held, rows])
    chosen = np.resize(order, count) % len(images)
    return at_size(images[chosen], model.family.facts.height, model.family.facts.width)


def drawing(
    model: "Model",
    seeds: range,
    labels: "Sequence[str | None] | None" = None,
    knobs: "Options | None" = None,
    home: str | os.PathLike[str] | None = None,
) -> "Generator[Event, None, list[Drawn]]":
    """Draw one picture a seed; yields what is to be said and how far it is, and returns the pictures."""
    import time

    from gesso.contract.task import Message, Progress
    from gesso.sample import draw

    yield from (Message(note, "warning") for note in model.notes)
    out, begun, total = [], time.monotonic(), len(seeds)
    for drawn in draw(model.family, seeds, labels, knobs, sources=sources(model, total, home)):
        out.append(drawn)
        left = (total - len(out)) * (time.monotonic() - begun) / len(out)
        yield Progress(len(out), total, "pictures drawn", left)
    return out


def knobs_of(
    model: "Model", pairs: "Sequence[str]", asked: bool, guidance: float | None = None, negative: str = ""
) -> Any:
    """The choices of drawing, by name=value and by options of their own; raises GessoError for what a family lacks.

    asked: whether a label or a text is asked for.
    """
    given = {"guidance": guidance, "negative": negative or None}
    chosen = {name: value for name, value in given.items() if value is not None}
    family = model.family
    for name in chosen:
        if name not in family.Knobs.model_fields:
            raise GessoError(f"The family {family.name} has no {name}.", f"Leave --{name} out.")
    return family.Knobs.from_pairs(pairs, (family.obedient if asked else {}) | chosen)


def counted(steps: "Generator[tuple[int, int], None, Made]", unit: str) -> "Generator[Event, None, Made]":
    """Follow work that yields how much is done, and of how much; tells so with the time left, returns what it made."""
    import time

    from gesso.contract.task import Progress

    begun = time.monotonic()
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            return end.value
        pace = (time.monotonic() - begun) / done
        yield Progress(done, total, unit, (total - done) * pace, {f"{unit}/s": 1 / max(pace, 1e-9)})


def seeds_of(text: str, option: str = "--seeds") -> list[int]:
    """Seeds from words like 1,5,9; raises GessoError for others."""
    try:
        seeds = [int(word) for word in text.split(",")]
    except ValueError:
        seeds = [-1]
    if not all(0 <= seed < 2**62 for seed in seeds):
        raise GessoError(f"{option} {text} names no seeds.", f"Write for example {option} 1,5,9.")
    return seeds


def asked_of(model: "Model", label: str | None, text: str | None) -> tuple[int | None, str | None]:
    """What is asked for, as the number of a label and a text; raises GessoError for what the model does not know."""
    from gesso.sample import draw

    if label is not None or text is not None:
        next(draw(model.family, [0], label, None, text))  # which says what it does not know
    return None if label is None else model.labels.index(label), text


def working(steps: "Iterator[Step]", home: Path, name: str) -> "Generator[Event, None, np.ndarray]":
    """Follow a work on a single picture; yields how far it is, now and then what it looks like, and returns it."""
    return (yield from following(steps, home, name)).picture


def following(steps: "Iterator[Stage]", home: Path, name: str) -> "Generator[Event, None, Stage]":
    """As `working`, and returns the last step whole."""
    import time

    from gesso.contract.task import Preview, Progress
    from gesso.marks.picture import write_picture
    from gesso.marks.work import to_bytes

    begun = shown = time.monotonic()
    last = None
    for step in steps:
        last, now = step, time.monotonic()
        yield Progress(step.done, 1.0, "", (now - begun) * (1 - step.done) / max(step.done, 1e-9))
        if step.done < 1 and now - shown > SHOWN_EVERY and step.picture.shape[2] in (1, 3, 4):
            yield Preview(write_picture(home / "previews" / f"{name}.png", to_bytes(step.picture), bare=True), "so far")
            shown = now
    assert last is not None
    return last


def collection(pack: "Pack", rows: "np.ndarray | None" = None) -> "Generator[Event, None, Collection]":
    """A data set as something to draw with; yields how far its index is where it has none yet.

    rows: numbers of the pictures that may be used, all if not given.
    """
    from gesso.contract.task import Message, Progress
    from gesso.finish import Collection, index_of, known_index

    if known_index(pack) is None:
        yield Message(f"Making the index of '{pack.name}', once …")
    making = index_of(pack)
    while True:
        try:
            done, total = next(making)
        except StopIteration as end:
            return Collection.of(pack, end.value, rows)
        yield Progress(done, total, "parts of pictures")


def comparer(
    images: "np.ndarray", sources: "Sequence[str]", pack: "Pack"
) -> "Generator[Event, None, Callable[[np.ndarray], Original]]":
    """Yields what is being done; returns what tells of a picture, h w c bytes, how like it is to some of a data set.

    images: n h w c bytes of the size that pictures are compared in; sources: names of their files.
    """
    from gesso.contract.task import Message
    from gesso.data.reading import at_size
    from gesso.marks.recipe import Original
    from gesso.measure.nearest import Collection
    from gesso.measure.originality import finished, found, known_scale

    yield Message(f"Comparing with {len(images):,} pictures of '{pack.name}' …")
    known = Collection.of(images)
    kept = finished(known_scale(known, images, pack.path, pack.fingerprint))

    def look(image: "np.ndarray") -> Original:
        seen = finished(found(known, at_size(image[None], *images.shape[1:3]), kept))
        which = int(seen.near.which[0])
        return Original(
            likeness=round(float(seen.likeness[0]), 4), limit=kept.limit, copied=bool(seen.copies[0]),
            nearest=sources[which][-1000:] if which >= 0 else None,
        )  # fmt: skip

    return look


def read_pixels(text: str, option: str = "--size") -> tuple[int, int]:
    """Width and height from words like 1920x1080 or 512; raises GessoError for others, and for sizes beyond reason."""
    parts = text.lower().replace("×", "x").split("x")
    try:
        sides = [int(part) for part in parts]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise GessoError(f"{option} {text} is no size.", f"Write {option} 1920x1080, width first.")
    width, height = sides[0], sides[-1]
    if not (16 <= width <= LARGEST and 16 <= height <= LARGEST):
        raise GessoError(
            f"{option} {text}: a side has 16 to {LARGEST:,} pixels.", f"Write for example {option} 1024x768."
        )
    return width, height


def pictures_in(given: "Sequence[Path]", but: str = "") -> list[Path]:
    """Files as they are named, and the pictures of folders in the order of their names, but for names with `but`.

    Raises GessoError for a folder without any.
    """
    from gesso.data.reading import SUFFIXES
    from gesso.data.write import natural

    out = list[Path]()
    for path in given:
        place = path.expanduser()
        if not place.is_dir():
            out.append(place)
            continue
        inside = [one for one in place.iterdir() if one.suffix.lower().lstrip(".") in SUFFIXES and one.is_file()]
        inside = [one for one in inside if not but or but not in one.name]
        if not inside:
            raise GessoError(f"There is no picture in {place}.", "Name pictures, or a folder of them.")
        out += sorted(inside, key=lambda one: natural(one.name))
    return out


def destination(out: Path | None, home: Path, several: bool) -> Path:
    """Where drawn pictures go: the gallery's folder of today, a folder that was named, or the file of a single picture.

    Raises GessoError where several do not fit into a file, or where a file is in a folder's place.
    """
    from gesso.marks.picture import SUFFIXES

    if out is None:
        return home / "gallery" / date.today().isoformat()
    out = out.expanduser()
    if out.suffix.lstrip(".").lower() in SUFFIXES and not out.is_dir():
        if several:
            raise GessoError(f"Several pictures do not fit into the one file {out}.", "Name a folder with --out.")
        return out
    if out.exists() and not out.is_dir():
        raise GessoError(f"{out} is a file, not a folder.", "Name a folder, or a new picture, with --out.")
    return out
