"""The one table of what a user can ask for, and of the families that can be asked to do it.

The command line, `gesso.run`, the studio and the docs are all made from `TASKS`. A new task is one line here
and one file beside it; a new family is one line in `FAMILIES`. Nothing is imported before it is needed, so
that `gesso --help` answers at once: a test keeps each summary equal to the task's own words. What several tasks do
alike is in `shared`, and is had from here.
"""

import importlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gesso.errors import GessoError, nearest
from gesso.files import find_home
from gesso.tasks.again import remake
from gesso.tasks.replaying import Replayed, pixels_of, recipe_of, replayed
from gesso.tasks.shared import (
    LARGEST,
    Learned,
    asked_of,
    collection,
    comparer,
    counted,
    destination,
    drawing,
    following,
    knobs_of,
    learned,
    learned_rows,
    pictures_in,
    read_pixels,
    seeds_of,
    sources,
    working,
)

if TYPE_CHECKING:
    import torch

    from gesso.contract.family import Family
    from gesso.contract.task import Event, Result, Task
    from gesso.sample import Model

__all__ = [
    "FAMILIES", "LARGEST", "TASKS", "Entry", "Learned", "Replayed", "asked_of", "collection", "comparer", "counted",
    "destination", "drawing", "events", "families", "family", "find_device", "find_home",
    "following", "knobs_of", "learned", "learned_rows", "load", "pictures_in", "pixels_of", "read_pixels",
    "recipe_of", "remake", "replayed", "run", "seeds_of", "sources", "task", "working",
]  # fmt: skip


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
    "mix": Entry(
        "gesso.tasks.mix:Mix", "Make", "Draw new pictures from those of a few seeds: between them, or like them."
    ),
    "drag": Entry(
        "gesso.tasks.drag:Drag", "Make", "Drag points of a picture that a generator drew to where they shall be."
    ),
    "animate": Entry(
        "gesso.tasks.animate:Animate", "Make", "Make a film of a way through what a generator draws, from seed to seed."
    ),
    "translate": Entry(
        "gesso.tasks.translate:Translate",
        "Make",
        "Translate pictures with a generator that learned from pairs, or from two sets.",
    ),
    "redraw": Entry(
        "gesso.tasks.redraw:Redraw",
        "Make",
        "Draw given pictures again, more or less changed, with a generator that can look at them.",
    ),
    "invert": Entry(
        "gesso.tasks.invert:Invert",
        "Make",
        "Find given pictures among what a model draws, and change them by its sliders.",
    ),
    "directions": Entry(
        "gesso.tasks.directions:Directions",
        "Look",
        "Find sliders with names: larger, redder, further right, on a darker ground.",
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
        "Tell how a picture of a seed came to be, as a page with pictures that everybody can read.",
    ),
    "finish": Entry(
        "gesso.tasks.finish:Finish",
        "Make",
        "Draw rough drafts again, large and crisp, with the patches of a collection.",
    ),
    "gather": Entry(
        "gesso.tasks.gather:Gather",
        "Make",
        "Gather pictures into a ZIP, a sprite sheet, a contact sheet or a film.",
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
    "verify": Entry(
        "gesso.tasks.verify:Verify",
        "Rights",
        "Tell what files say of where they are from, and whether it holds: signatures, labels, recipes, watermarks.",
    ),
    "replay": Entry(
        "gesso.tasks.replay:Replay",
        "Rights",
        "Make pictures again from the recipes that they carry, and tell whether they are identical.",
    ),
    "marks": Entry(
        "gesso.tasks.marks:Marks",
        "Rights",
        "Show and change what marks pictures get: whose law their label follows, who signs, what is kept.",
    ),
    "ledger": Entry(
        "gesso.tasks.ledger:Ledger",
        "Rights",
        "Check, search and export the log of what was made here: each line vouches for those before it.",
    ),
    "rights": Entry(
        "gesso.tasks.rights:RightsTask",
        "Rights",
        "Tell what may be done with a data set and what is made of it, as its licences say.",
    ),
    "withdraw": Entry(
        "gesso.tasks.withdraw:Withdraw",
        "Rights",
        "Withdraw pictures: take them out of a data set, and list the runs that learned from them.",
    ),
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
    "flow": "gesso.families.flow:Flow",
    "tokens": "gesso.families.tokens:Tokens",
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


def events(asked: "Task[Any]", options: Any, home: Path, profile: str | None = None) -> "Generator[Event]":
    """The events of a task; what it writes meanwhile carries the marks of that home. Closing it closes the task."""
    from gesso.marks.context import imprinting

    stream = iter(asked.run(options, home))
    try:
        while True:
            with imprinting(home, profile=profile):
                event = next(stream, None)
            if event is None:
                return
            yield event
    finally:
        if (close := getattr(stream, "close", None)) is not None:
            with imprinting(home, profile=profile):
                close()


def run(
    name: str,
    /,
    *,
    home: str | os.PathLike[str] | None = None,
    on_event: "Callable[[Event], object] | None" = None,
    profile: str | None = None,
    **options: Any,
) -> "Result":
    """Do a task from Python and return its Result: `gesso.run("sample", run="emoji", count=64)`.

    name: as on the command line. options: the task's options, checked as there. on_event: called with every
    event (Progress, Preview, Message, Result) as it comes. profile: of the visible label (none, eu, cn), by the home's
    settings if not given. Raises GessoError for a user's mistake.
    """
    from gesso.contract.task import Result

    asked = task(name)
    if profile is not None and "profile" in asked.Options.model_fields:  # of the task that keeps settings
        options, profile = {**options, "profile": profile}, None
    result = Result("")
    for event in events(asked, asked.Options.of(options), find_home(home), profile):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Result):
            result = event
    return result


def load(
    ref: "str | int | Path",
    home: str | os.PathLike[str] | None = None,
    device: str = "auto",
    *,
    download: bool = True,
) -> "Model":
    """A trained generator, ready to draw: `gesso.load("emoji").sample(n=64, seed=7)`.

    ref: a run's number, its folder's name or a beginning of it, a path, or a data set, which means its latest run; or
    "diffusers:PLACE" for a pretrained pipeline, a folder or a name on the Hub. device: auto, cpu, cuda or mps.
    download: whether a pipeline on the Hub may be fetched, once. Raises GessoError when there is no such run, pipeline,
    device or whole model.
    """
    import torch

    from gesso.contract.family import Facts
    from gesso.data.terms import of_record
    from gesso.files import sha256_of
    from gesso.sample import Model
    from gesso.store import PRETRAINED, Run

    place = find_device(device)
    if str(ref).startswith(PRETRAINED):
        return _pipeline(str(ref).removeprefix(PRETRAINED).strip(), place, download)
    place_of = find_home(home)
    found = Run.open(place_of, ref)
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
    terms = of_record(found.record)
    rights = terms.short() if terms else None
    digest = sha256_of(weights)
    return Model(drawer, found.root.name, found.number, digest, facts["step"], facts["notes"], rights, place_of)


def _pipeline(name: str, device: "torch.device", download: bool) -> "Model":
    """A pretrained pipeline, ready to draw."""
    import torch

    from gesso import pretrained
    from gesso.families.pipeline import Pipeline
    from gesso.sample import Model
    from gesso.store import PRETRAINED

    with torch.random.fork_rng(devices=[]):
        found = pretrained.read(name, download)
        drawer = Pipeline(found.pipeline).to(device).eval().requires_grad_(False)
    return Model(drawer, PRETRAINED + found.place, 0, found.sha256, 0)


def find_device(name: str) -> "torch.device":
    """The device of that name; 'auto' is the fastest there is. Raises GessoError for one that is not there."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there.get(name.partition(":")[0], False):
        raise GessoError(f"There is no device '{name}' here.", f"Choose {' or '.join(k for k in there if there[k])}.")
    return torch.device(name)
