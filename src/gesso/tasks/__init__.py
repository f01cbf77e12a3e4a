"""The one table of what a user can ask for, and of the families that can be asked to do it.

The command line, `gesso.run`, the studio and the docs are all made from `TASKS`. A new task is one line here
and one file beside it; a new family is one line in `FAMILIES`. Nothing is imported before it is needed, so
that `gesso --help` answers at once: a test keeps each summary equal to the task's own words.
"""

import importlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gesso.errors import GessoError, nearest

if TYPE_CHECKING:
    import numpy as np
    import torch

    from gesso.contract.family import Family
    from gesso.contract.task import Event, Result, Task
    from gesso.data import Pack
    from gesso.finish import Collection
    from gesso.finish.draw import Drawing
    from gesso.marks.recipe import Original
    from gesso.options import Options
    from gesso.patch.synthesis import Step
    from gesso.sample import Drawn, Model
    from gesso.store import Run

Stage = TypeVar("Stage", bound="Step | Drawing")

LARGEST = 16_384  # pixels of a side of a work on a single picture
SHOWN_EVERY = 2.0  # seconds between two previews of a work on a single picture


class Entry(NamedTuple):
    """A line of the table: where the task lives, and how the front page of the help introduces it."""

    place: str  # "module:Class"
    group: str
    summary: str  # the first sentence of the task's Options


TASKS: dict[str, Entry] = {
    "demo": Entry(
        "gesso.tasks.demo:Demo", "Begin", "Make a generator from the built-in pictures and show what it draws."
    ),
    "import": Entry("gesso.tasks.import_:Import", "Make", "Turn a folder or an archive of pictures into a data set."),
    "train": Entry("gesso.tasks.train:Train", "Make", "Train a generator on a data set."),
    "sample": Entry("gesso.tasks.sample:Sample", "Make", "Draw new pictures with a trained generator."),
    "translate": Entry(
        "gesso.tasks.translate:Translate",
        "Make",
        "Translate pictures with a generator that learned from pairs, or from two sets.",
    ),
    "measure": Entry("gesso.tasks.measure:Measure", "Look", "Measure how good and how various a model's pictures are."),
    "compare": Entry(
        "gesso.tasks.compare:Compare",
        "Look",
        "Compare runs of one data set: figures, curves of quality, pictures from the same seeds.",
    ),
    "originality": Entry(
        "gesso.tasks.originality:Originality", "Look", "Tell whether pictures are new, or learned ones again."
    ),
    "explain": Entry(
        "gesso.tasks.explain:Explain",
        "Look",
        "Show what the critic, or a classifier of the labels, looks at in pictures.",
    ),
    "finish": Entry(
        "gesso.tasks.finish:Finish",
        "Make",
        "Draw rough drafts again, large and crisp, with the patches of a collection.",
    ),
    "style": Entry(
        "gesso.tasks.style:Style",
        "Work",
        "Paint a picture in the manner of others: their strokes and colours, its own forms.",
    ),
    "texture": Entry(
        "gesso.tasks.texture:Texture",
        "Work",
        "Make material of any size from a sample: seamless where wished, with maps for game engines.",
    ),
    "retarget": Entry(
        "gesso.tasks.retarget:Retarget",
        "Work",
        "Bring a picture to another shape without cropping or squeezing what is in it.",
    ),
    "variations": Entry(
        "gesso.tasks.variations:Variations", "Work", "Make other pictures with the same things in them, arranged anew."
    ),
    "inpaint": Entry(
        "gesso.tasks.inpaint:Inpaint",
        "Work",
        "Fill what a mask covers with what is around it: objects removed, holes closed.",
    ),
    "outpaint": Entry("gesso.tasks.outpaint:Outpaint", "Work", "Continue a picture beyond its borders."),
    "compose": Entry(
        "gesso.tasks.compose:Compose",
        "Work",
        "Compose pictures, colour and text into one scene, in many formats at once.",
    ),
    "cutout": Entry(
        "gesso.tasks.cutout:Cutout", "Work", "Take an object off its plain background, with a soft edge and no halo."
    ),
    "restore": Entry(
        "gesso.tasks.restore:Restore",
        "Work",
        "Find and heal scratches, cracks, dust and holes in a picture; correct noise, fading and yellowing in part.",
    ),
    "upscale": Entry("gesso.tasks.upscale:Upscale", "Work", "Make a picture 2 to 8 times larger, without halos."),
    "families": Entry(
        "gesso.tasks.catalogue:Families",
        "Look",
        "List the model families, or tell all about one: what it is, needs, costs here, and its choices.",
    ),
    "list": Entry("gesso.tasks.runs:List", "Look", "List the data sets and the runs of your home folder."),
}

FAMILIES: dict[str, str] = {
    "gan": "gesso.families.gan:GAN",
    "progan": "gesso.families.progan:ProGAN",
    "stylegan": "gesso.families.stylegan:StyleGAN",
    "stackgan": "gesso.families.stackgan:StackGAN",
    "pix2pix": "gesso.families.pix2pix:Pix2Pix",
    "cut": "gesso.families.cut:CUT",
    "vae": "gesso.families.vae:VAE",
    "regions": "gesso.families.regions:Regions",
}


def _fetch(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def task(name: str) -> "Task[Any]":
    """The task of that name; raises GessoError with the nearest right name."""
    if name not in TASKS:
        raise GessoError(f"There is no command '{name}'.", nearest(name, TASKS))
    return _fetch(TASKS[name].place)()


def family(name: str) -> "type[Family]":
    """The family of that name; raises GessoError with the nearest right name. Imports torch."""
    if name not in FAMILIES:
        raise GessoError(f"There is no family '{name}'.", nearest(name, FAMILIES))
    return _fetch(FAMILIES[name])


def families() -> "dict[str, type[Family]]":
    """Every family by its name. Imports torch."""
    return {name: _fetch(place) for name, place in FAMILIES.items()}


def find_home(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds datasets/, runs/ and gallery/: the one given, else $GESSO_HOME, else ~/gesso."""
    return Path(given or os.environ.get("GESSO_HOME") or "~/gesso").expanduser().absolute()


def run(
    name: str,
    /,
    *,
    home: str | os.PathLike[str] | None = None,
    on_event: "Callable[[Event], object] | None" = None,
    **options: Any,
) -> "Result":
    """Do a task from Python and return its Result: `gesso.run("sample", run="emoji", count=64)`.

    name: as on the command line. options: the task's options, checked as there. on_event: called with every
    event (Progress, Preview, Message, Result) as it comes. Raises GessoError for a user's mistake.
    """
    from gesso.contract.task import Result

    asked = task(name)
    result = Result("")
    for event in asked.run(asked.Options.of(options), find_home(home)):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Result):
            result = event
    return result


def load(ref: "str | int | Path", home: str | os.PathLike[str] | None = None, device: str = "auto") -> "Model":
    """A trained generator, ready to draw: `gesso.load("emoji").sample(n=64, seed=7)`.

    ref: a run's number, its folder's name or a beginning of it, a path, or a data set, which means its latest run.
    device: auto, cpu, cuda or mps. Raises GessoError when there is no such run, device or whole model.
    """
    import torch

    from gesso.contract.family import Facts
    from gesso.files import sha256_of
    from gesso.sample import Model
    from gesso.store import Run

    place = find_device(device)
    found = Run.open(find_home(home), ref)
    tensors, facts = found.load_model()
    kind = family(found.family)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, then replaced: the caller's luck stays
        drawer = kind(kind.Config.of(found.record.get("config")), Facts.of(found.record.get("facts")))
    try:
        drawer.load_state_dict(tensors)
    except RuntimeError:
        problem = f"The weights of run {found.root.name} do not fit its record."
        raise GessoError(problem, "Restore both from a backup, or train it anew.") from None
    weights = found.root / "state" / "model-before.safetensors" if facts["notes"] else found.model
    drawer = drawer.to(place).eval().requires_grad_(False)
    return Model(drawer, found.root.name, found.number, sha256_of(weights), facts["step"], facts["notes"])


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
    pack = open_pack(data["name"], find_home(home))
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
    run = Run.open(find_home(home), model.run)
    pack, rows = learned_rows(run, home)
    if run.record.get("source"):
        images, order = open_pack(run.record["source"]["name"], find_home(home)).images, np.arange(count)
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
            yield Preview(write_picture(home / "previews" / f"{name}.png", to_bytes(step.picture)), "so far")
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


def find_device(name: str) -> "torch.device":
    """The device of that name; 'auto' is the fastest there is. Raises GessoError for one that is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there.get(name.partition(":")[0], False):
        raise GessoError(f"There is no device '{name}' here.", f"Choose {' or '.join(k for k in there if there[k])}.")
    return torch.device(name)
