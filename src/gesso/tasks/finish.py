"""`gesso finish`: rough drafts drawn again, large and crisp, with the patches of a collection."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from gesso.contract.finishing import FinishChoices
from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.contract.work import WorkOptions
from gesso.errors import GessoError
from gesso.options import Field

if TYPE_CHECKING:
    import numpy as np

    from gesso.data.picture import Opened
    from gesso.finish import Collection, Drawing

SMALLEST, LARGEST = 16, 4096  # pixels of a side of a finished picture
FURTHEST = 16  # times that a draft is enlarged with good reason


class FinishOptions(WorkOptions, FinishChoices):
    """Draw rough drafts again, large and crisp, with the patches of a collection.

    A draft is any coarse picture: a generator's, a thumbnail, blobs painted with a brush. No model is needed. Nothing
    is taken from one picture beyond --most-share and --most-piece, and the recipe says what is from where.
    """

    draft: tuple[Path, ...] = Field(default=(), description="The drafts: pictures, or folders of them.")
    data: str = Field(default="", description="The data set whose pictures it is drawn with.")
    size: str = Field(
        default="", description="Shorter side of the new picture in pixels, or 640x480; the collection's if not given."
    )
    count: int = Field(default=1, ge=1, le=1000, description="How many candidates of each, seeds counting on.")
    region: tuple[str, ...] = Field(
        default=(), max_length=16,
        description="A colour of the draft and the pictures it is drawn with, such as #d03030=apple; may be repeated.",
    )  # fmt: skip
    film: bool = Field(default=False, description="The drafts are frames of one film: nothing flickers.")
    loop: bool = Field(default=False, description="The film's last frame goes on with its first.")
    map: bool = Field(default=False, description="Also write a picture of what is from which picture.")
    originality: bool = Field(
        default=False, description="Compare each with the collection; its recipe then says how like it is."
    )
    like: Path | None = Field(
        default=None, description="Finish the drafts as this picture was, by the recipe that it carries."
    )

    @model_validator(mode="after")
    def _fits(self) -> "FinishOptions":
        if self.loop and not self.film:
            raise ValueError("--loop is for a --film")
        if self.film and (self.count > 1 or self.region):
            raise ValueError("a film is finished once, without --count and --region")
        if not self.draft:
            raise ValueError("name a draft, for example: gesso finish sketch.png --data flowers")
        if not self.data and self.like is None:
            raise ValueError("name the data set to draw with, for example: gesso finish sketch.png --data flowers")
        return self


@dataclass
class Draft:
    """A draft as it was read. picture: in the collection's channels; height, width: of what is made of it."""

    opened: "Opened"
    picture: "np.ndarray"
    height: int
    width: int


class Finish(Task[FinishOptions]):
    """The task."""

    name = "finish"
    Options = FinishOptions
    positional = ("draft",)
    example = "gesso finish sketch.png --data flowers --size 512"

    def run(self, options: FinishOptions, home: Path) -> Iterator[Event]:
        """Read, find, draw, write; the Result names the pictures."""
        from gesso import tasks
        from gesso.data import open_pack
        from gesso.patch import threads

        files = tasks.pictures_in(options.draft)
        if options.like is not None:
            options = yield from _again(options, home)
        pack = open_pack(options.data, home)
        targets = _targets(options, files)
        begun = time.monotonic()
        with threads(options.threads):
            collection = yield from tasks.collection(pack)
            look = None
            if options.originality:
                sources = [str(item.get("source", "")) for item in pack.items]
                look = yield from tasks.comparer(pack.images, sources, pack)
            if options.film:
                yield from _film(options, files, targets, collection, look)
                return
            paths, facts = list[Path](), list[dict[str, Any]]()
            for number, (file, own) in enumerate(zip(files, targets, strict=True)):
                draft, notes = _read(options, file, collection)
                yield from (Message(note, "warning" if "larger" in note else "info") for note in notes)
                for place, seed in zip(own, range(options.seed, options.seed + options.count), strict=True):
                    drawing = yield from _drawn(options, draft, collection, seed, home, len(files) * options.count == 1)
                    made, said = _write(options, place, draft, drawing, collection, seed, look)
                    paths += made
                    facts.append(said)
                    if len(files) * options.count > 1:
                        done, total = len(facts), len(files) * options.count
                        left = (time.monotonic() - begun) / done * (total - done)
                        yield Progress(done, total, "pictures", left)
                yield Preview(own[-1], f"finished, {number + 1} of {len(files)}")
        yield Result(_verdict(options, facts, paths), tuple(paths), {"pictures": facts})


def _targets(options: FinishOptions, files: list[Path]) -> list[list[Path]]:
    """Where the candidates of each draft go: beside it, into a folder, or the one file that was named.

    Those of a folder go into another beside it, so that finished pictures are no drafts the next time.
    """
    from gesso.marks.picture import SUFFIXES
    from gesso.marks.work import target_of

    out = options.out.expanduser() if options.out is not None else None
    if len(files) * options.count > 1 and out is not None and out.suffix.lower().lstrip(".") in SUFFIXES:
        raise GessoError(f"Several pictures do not fit into the one file {out}.", "Name a folder with --out.")
    if out is not None and (out.is_dir() or out.suffix == ""):
        if out.exists() and not out.is_dir():
            raise GessoError(f"{out} is a file, not a folder.", "Name another with --out.")
        folder = out
        named = [target_of(folder / f"{file.stem}-finished.png", file, "finished") for file in files]
    elif out is not None:
        named = [target_of(out, file, "finished") for file in files]
    else:
        named = []
        for file in files:
            inside = any(one.expanduser().is_dir() and one.expanduser() == file.parent for one in options.draft)
            folder = file.parent.with_name(f"{file.parent.resolve().name}-finished") if inside else file.parent
            named.append(target_of(folder / f"{file.stem}-finished.png", file, "finished"))
    if len({*named}) < len(named):
        raise GessoError("Two of the drafts have the same name.", "Finish them one after another, or rename one.")
    seeds = range(options.seed, options.seed + options.count)
    out_of = [[path.with_stem(f"{path.stem}-{seed}") for seed in seeds] if len(seeds) > 1 else [path] for path in named]
    for path in [one for own in out_of for one in own]:
        for place in (path, _map_of(path)) if options.map else (path,):
            target_of(place, files[0], "finished", files)
    return out_of


def _map_of(path: Path) -> Path:
    """Where the map of a finished picture's sources goes."""
    return path.with_stem(f"{path.stem}-sources").with_suffix(".png")


def _again(options: FinishOptions, home: Path) -> "Generator[Event, None, FinishOptions]":
    """The choices of a finished picture's recipe; raises GessoError where it cannot be made again."""
    from gesso import tasks
    from gesso.data import open_pack
    from gesso.files import sha256_of
    from gesso.finish.sources import changed_since
    from gesso.marks.recipe import Work, read_recipe

    assert options.like is not None
    own = {"draft", "like", "out", "recipe", "quality", "threads", "map", "originality", "data"}
    chosen = sorted(options.model_fields_set - own)
    if chosen:
        raise GessoError(f"--like takes everything from the picture, --{chosen[0]} too.", f"Leave out --{chosen[0]}.")
    recipe = read_recipe(options.like)
    if not isinstance(recipe, Work) or recipe.task != "finish" or recipe.taken is None:
        raise GessoError(f"{options.like} was not made by `gesso finish`.", "Give the choices yourself.")
    taken = recipe.taken
    pack = open_pack(options.data or taken.data, home)
    if pack.fingerprint != taken.fingerprint:
        raise GessoError(
            f"The data set '{pack.name}' is not the one that {options.like} was drawn with, or has changed since.",
            "Import the old pictures again, or finish anew without --like.",
        )
    note = changed_since(taken, pack, options.like, "Finish anew without --like.")
    if not {sha256_of(file) for file in tasks.pictures_in(options.draft)} & {*recipe.inputs.values()}:
        raise GessoError(f"{options.like} was not made of this draft.", "Name its own draft, or leave --like out.")
    if recipe.options.get("film") and len(tasks.pictures_in(options.draft)) == 1:
        raise GessoError(f"{options.like} is a frame of a film.", "Name all of the film's drafts, in order.")
    if note:
        yield Message(note, "warning")
    values = {name: value for name, value in recipe.options.items() if name in FinishOptions.model_fields}
    mine = options.model_dump(include=own)
    return FinishOptions.of({**values, **mine, "data": options.data or taken.data, "seed": recipe.seed, "count": 1})


def _read(options: FinishOptions, file: Path, collection: "Collection") -> tuple[Draft, list[str]]:
    """A draft in the collection's channels, the size of what is made of it, and what is to be said."""
    from gesso.data.picture import open_picture
    from gesso.finish.form import formed

    opened = open_picture(file, "draft")
    high, wide = opened.image.shape[:2]
    height, width = _size(options.size, high, wide, collection)
    picture, notes = formed(opened, collection)
    notes = [f"{file.name}: {note}." for note in [*opened.notes, *notes]]
    unit = collection.unit(height, width)
    if unit.height > collection.pack.height:
        notes.append(
            f"{width}×{height} is larger than the collection's {collection.pack.width}×{collection.pack.height}: its "
            "pictures are enlarged, and have no finer detail."
        )
    if height > FURTHEST * high:
        notes.append(f"{file.name} is made {height / high:.0f} times larger: much of it is the collection's idea.")
    collection.afford(options, high, height, width)
    return Draft(opened, picture, height, width), notes


def _size(text: str, high: int, wide: int, collection: "Collection") -> tuple[int, int]:
    """Height and width of what is made of a draft."""
    shorter = min(collection.pack.height, collection.pack.width)
    parts = text.lower().replace("×", "x").split("x") if text else [str(shorter)]
    plain = all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts)
    if not (1 <= len(parts) <= 2 and plain):
        raise GessoError(f"--size {text} is no size.", "Write the shorter side in pixels, or 640x480, width first.")
    if len(parts) == 2:
        width, height = int(parts[0]), int(parts[1])
        if max(height, 1) * wide / (max(width, 1) * high) > 1.1 or max(width, 1) * high / (max(height, 1) * wide) > 1.1:
            raise GessoError(
                f"The draft is {wide}×{high}, of another shape than --size {text}.", "Give the shorter side alone."
            )
    else:
        scale = int(parts[0]) / min(high, wide)
        height, width = round(high * scale), round(wide * scale)
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise GessoError(
            f"A finished picture of {width}×{height}: a side has {SMALLEST} to {LARGEST:,} pixels.",
            "Give another --size.",
        )
    return height, width


def _drawn(
    options: FinishOptions, draft: Draft, collection: "Collection", seed: int, home: Path, told: bool
) -> "Generator[Event, None, Drawing]":
    """The finished picture. told: whether every step is worth an event."""
    from gesso import tasks

    manner = collection.manner(options, draft.height, draft.width)
    size = draft.height, draft.width
    if options.region:
        from gesso.finish.collage import laid_out, read_regions
        from gesso.finish.draw import draw

        wanted = read_regions(options.region)
        laid = laid_out(draft.opened.image, draft.picture, wanted, *size, collection, options, manner, seed)
        steps = draw(
            draft.picture, laid.pictures, *size, manner, numbers=laid.numbers, regions=laid.regions, seed=seed
        )  # fmt: skip
    else:
        steps = collection.finish(
            draft.picture, *size, manner, count=options.pictures, turns=options.turns, seed=seed
        )  # fmt: skip
    if told:
        return (yield from tasks.following(steps, home, "finish"))
    *_, last = steps
    return last


def _write(
    options: FinishOptions, place: Path, draft: Draft, drawing: "Drawing", collection: "Collection", seed: int,
    look: Any,
) -> tuple[list[Path], dict[str, Any]]:  # fmt: skip
    """Write a finished picture and, where wished, the map of its sources; what is to be said of it."""
    from gesso.finish.sources import main_sources, source_map, taken_of
    from gesso.marks.picture import write_picture
    from gesso.marks.work import to_bytes, write_work

    assert drawing.copied is not None
    choices = options.model_dump(include={*FinishChoices.model_fields})
    taken = taken_of(drawing.copied, collection.pack, choices)
    original = look(to_bytes(drawing.picture)) if look is not None else None
    inputs = {draft.opened.path: draft.opened.sha256, Path(f"data set {collection.pack.name}"): taken.fingerprint}
    dumped = options.model_dump(exclude={"draft", "like", "count", "map", "originality"}) | {"data": taken.data}
    write_work(
        place, drawing.picture, "finish", inputs, dumped, seed=seed, quality=options.quality, recipe=options.recipe,
        original=original, taken=taken,
    )  # fmt: skip
    paths = [place]
    if options.map:
        paths.append(_map_of(place))
        write_picture(paths[-1], source_map(drawing.copied, drawing.picture), source="composite")
    return paths, {
        "picture": str(place), "share": taken.share, "piece": taken.piece, "over": taken.share > options.most_share,
        "sources": [
            {"source": collection.pack.items[n].get("source"), "share": round(share, 4)}
            for n, share in main_sources(drawing.copied)
        ],
        **({"likeness": original.likeness, "copy": original.copied} if original is not None else {}),
    }  # fmt: skip


def _film(
    options: FinishOptions, files: list[Path], targets: list[list[Path]], collection: "Collection", look: Any
) -> Iterator[Event]:
    """Every frame, in order, into the folder or beside its draft."""
    from gesso.finish.frames import finish_frames

    read = [_read(options, file, collection) for file in files]
    drafts = [one for one, _ in read]
    yield from (Message(note, "warning" if "larger" in note else "info") for note in read[0][1])
    first = drafts[0]
    for one in drafts:
        if (one.height, one.width) != (first.height, first.width):
            raise GessoError(f"{one.opened.path.name} has another shape than {first.opened.path.name}.")
    begun, paths, facts = time.monotonic(), list[Path](), list[dict[str, Any]]()
    made = finish_frames(
        collection, [one.picture for one in drafts], first.height, first.width,
        collection.manner(options, first.height, first.width), count=options.pictures, turns=options.turns,
        loop=options.loop, seed=options.seed,
    )  # fmt: skip
    for done, (draft, own, drawing) in enumerate(zip(drafts, targets, made, strict=True), 1):
        written, said = _write(options, own[0], draft, drawing, collection, options.seed, look)
        paths += written
        facts.append(said)
        yield Progress(done, len(files), "frames", (time.monotonic() - begun) / done * (len(files) - done))
    yield Preview(targets[-1][0], "the last frame")
    yield Result(f"{len(files)} frames.\n{_verdict(options, facts, paths)}", tuple(paths), {"pictures": facts})


def _verdict(options: FinishOptions, facts: list[dict[str, Any]], paths: list[Path]) -> str:
    """What was made, and how much of it is from one picture."""
    worst = max(facts, key=lambda fact: fact["share"])
    what = f"{len(facts):,} finished pictures in {paths[0].parent}" if len(facts) > 1 else f"Finished: {paths[0]}"
    said = f"{what}. At most {worst['share']:.0%} of what is drawn is from one picture"
    if len(facts) == 1 and worst["sources"]:
        said += f" ({Path(str(worst['sources'][0]['source'])).name})"
    said += f", at most {max(fact['piece'] for fact in facts):.0%} in one piece."
    if worst["over"]:
        said += f" That is more than {options.most_share:.0%}: the collection has too few other pictures."
    if any("copy" in fact for fact in facts):
        said += f" Near-copies of the collection's pictures: {sum(fact['copy'] for fact in facts):,}."
    return said
