"""`gesso animate`: a way through what a generator draws, as a film."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gesso.explore import Points, Space, Wish
    from gesso.marks.recipe import Recipe
    from gesso.sample import Model

MOST = 36_000  # frames
WIDEST = 16_384  # pixels of a side of a sprite sheet


class AnimateOptions(Options):
    """Make a film of a way through what a generator draws, from seed to seed.

    Every frame is as unlike the next as all others are, whatever lies between the seeds; with --loop the way leads back
    to its first, and the film can run for ever. Sliders that `gesso directions` found may move on the way: --slide
    larger=-1,2 begins smaller and ends larger. MP4 and WebM need PyAV (pip install 'gesso[video]').
    """

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    seeds: str = Field(default="1,2,3,4", description="Seeds to pass, with commas.")
    seconds: float = Field(default=8.0, gt=0, le=3600, description="Length of the film.")
    fps: float = Field(default=30.0, ge=1, le=120, description="Pictures a second.")
    loop: bool = Field(default=False, description="Go on from the last seed back to the first.")
    curve: Literal["smooth", "straight"] = Field(
        default="smooth", description="Past the seeds in a curve, or straight from each to the next."
    )
    even: bool = Field(
        default=True, description="Equal times show equal changes; without, each way between two seeds takes as long."
    )
    label: str | None = Field(default=None, description="What to draw; the first seed's own label if not given.")
    text: str | None = Field(default=None, description="What to draw; the first seed's own caption if not given.")
    slide: tuple[str, ...] = Field(
        default=(),
        description="A slider and its strengths over the film, name=from,to, such as larger=-1,2; may be repeated.",
    )
    out: Path | None = Field(default=None, description="The film; in HOME/gallery/DATE if not given.")
    format: Literal["mp4", "webm", "webp", "gif", "apng"] = Field(
        default="webp", description="Kind of film, where --out does not say it."
    )
    scale: int = Field(default=1, ge=1, le=32, description="Pixels of a side for each pixel that is drawn.")
    sheet: bool = Field(default=False, description="Also write all frames in one picture with an atlas, for games.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    recipe: bool = Field(default=True, description="Write into the film how to make it again.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")


class Animate(Task[AnimateOptions]):
    """The task."""

    name = "animate"
    Options = AnimateOptions
    positional = ("run",)
    example = "gesso animate emoji --seeds 1,5,9 --seconds 6 --loop --out walk.mp4"

    def run(self, options: AnimateOptions, home: Path) -> Iterator[Event]:
        """Draw all frames, write; the Result names the film."""
        from gesso import tasks
        from gesso.explore import Space
        from gesso.marks.film import encode_film
        from gesso.marks.picture import to_uint8
        from gesso.sample import Drawn, place

        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        seeds, target, count = _seeds(options), _target(options, model, home), round(options.seconds * options.fps)
        facts = model.family.facts
        _check(options, count, facts.height * facts.width * facts.channels)
        asked = options.label is not None or options.text is not None
        knobs = tasks.knobs_of(model, options.set, asked)
        wishes = _wishes(options, model, home)
        space = Space(model.family, knobs)
        label, text = _asked(space, seeds[0], options, model)
        images = yield from _drawn(space, space.points(seeds, label, text), count, options, wishes)
        frames = [*to_uint8(images)]
        how: Recipe | None = None
        if options.recipe:
            kept = options.model_dump(
                include={"seconds", "fps", "loop", "curve", "even", "slide", "scale"}, mode="json"
            ) | {"seeds": seeds}  # fmt: skip
            first = Drawn(seeds[0], None if label is None else facts.labels[label], frames[0], text=text)
            how = model.recipe(first, knobs).model_copy(update={"task": "animate", "options": kept})
        path = place(target, encode_film(frames, target.suffix, options.fps, how, options.scale))
        paths = [path, *(_sheet(path, frames, how) if options.sheet else [])]
        change = images.diff(dim=0).square().mean((1, 2, 3)).sqrt() if count > 1 else images.new_zeros(1)
        told: dict[str, Any] = {"run": model.run, "seeds": seeds, "frames": count, "seconds": count / options.fps}
        told["spread"] = round(float(change.std(unbiased=False) / change.mean().clamp(min=1e-9)), 4)
        yield Preview(path, "the film")
        way = "→".join(map(str, [*seeds, seeds[0]] if options.loop else seeds))
        said = f"{path}: {count:,} frames, {count / options.fps:g} s, seeds {way}, by {model.run}."
        yield Result(said, tuple(paths), told)


def _asked(space: "Space", seed: int, options: AnimateOptions, model: "Model") -> tuple[int | None, str | None]:
    """What all frames show: what is asked for, else what the first seed would."""
    from gesso import tasks

    label, text = tasks.asked_of(model, options.label, options.text)
    if label is not None or text is not None:
        return label, text
    own = space.points([seed])
    return None if own.label is None else int(own.label[0]), None if own.text is None else own.text[0]


def _drawn(
    space: "Space", keys: "Points", count: int, options: AnimateOptions, wishes: "list[Wish]"
) -> "Generator[Event, None, Tensor]":
    """All frames; yields how many are drawn."""
    from gesso import tasks
    from gesso.explore import Route, frames_of

    path, moves = Route(space, keys, options.loop, options.curve), None
    for wish in wishes:
        strengths = _over(wish.strengths, count, options.loop)[:, None, None]
        more = strengths * wish.slider.direction
        moves = more if moves is None else moves + more
    return (yield from tasks.counted(frames_of(space, path, count, options.even, moves), "frames"))


def _over(strengths: list[float], count: int, loop: bool) -> "Tensor":
    """A strength for each frame: evenly from each to the next, of a loop back to the first."""
    import numpy as np
    import torch

    marks = [*strengths, strengths[0]] if loop else strengths
    times = np.arange(count) / max(count if loop else count - 1, 1)
    return torch.from_numpy(np.interp(times, np.linspace(0, 1, len(marks)), marks).astype(np.float32))


def _seeds(options: AnimateOptions) -> list[int]:
    """The seeds to pass; of a loop that names its first one again at the end, that one once."""
    from gesso import tasks

    seeds = tasks.seeds_of(options.seeds)
    seeds = seeds[:-1] if options.loop and len(seeds) > 2 and seeds[0] == seeds[-1] else seeds
    if len(seeds) < 2:
        raise GessoError("A way of one seed goes nowhere.", "Name two or more: --seeds 1,5.")
    return seeds


def _target(options: AnimateOptions, model: "Model", home: Path) -> Path:
    """Where the film goes; raises GessoError for what is no film."""
    from gesso import tasks
    from gesso.marks.film import check_film

    if options.out is None:
        check_film(options.format)
        name = "-".join(options.seeds.replace(" ", "").split(",")[:8])
        return tasks.destination(None, home, True) / f"{model.title}_seeds{name}.{options.format}"
    out = options.out.expanduser()
    if out.is_dir():
        raise GessoError(f"{out} is a folder, not a film.", f"Name a file in it: {out / 'film.webp'}.")
    check_film(out.suffix)
    return out


def _wishes(options: AnimateOptions, model: "Model", home: Path) -> "list[Wish]":
    """The sliders that move."""
    from gesso.explore import wished
    from gesso.store import Run

    if not options.slide:
        return []
    if not model.number:
        raise GessoError("A pretrained pipeline has no sliders.", "Leave out --slide.")
    return wished(Run.open(home, model.run).root, model.sha256, options.slide)


def _check(options: AnimateOptions, count: int, values: int) -> None:
    """Raises GessoError for a film that is too short or too long, or does not fit into memory."""
    from gesso.memory import afford

    if not 2 <= count <= MOST:
        raise GessoError(f"That makes {count:,} frames; a film has 2 to {MOST:,}.", "Choose other --seconds or --fps.")
    needed = count * values * (4 * 4 + 2 * options.scale**2)
    afford(needed, f"A film of {count:,} frames", "Make it shorter, or --scale smaller.")


def _sheet(path: Path, frames: "list[np.ndarray]", how: "Recipe | None") -> list[Path]:
    """All frames in one picture, and its atlas in TexturePacker's form."""
    import json
    import math

    import numpy as np

    from gesso.marks.picture import encode
    from gesso.sample import place
    from gesso.scene.sprites import Frame, atlas

    high, wide = frames[0].shape[:2]
    columns = math.ceil(math.sqrt(len(frames) * high / wide))
    rows = math.ceil(len(frames) / columns)
    if max(columns * wide, rows * high) > WIDEST:
        raise GessoError(f"{len(frames):,} frames do not fit into a sheet of {WIDEST:,} pixels.", "Make fewer.")
    page = np.zeros((rows * high, columns * wide, frames[0].shape[2]), np.uint8)
    told = list[Frame]()
    for number, frame in enumerate(frames):
        x, y = number % columns * wide, number // columns * high
        page[y : y + high, x : x + wide] = frame
        told.append(Frame(f"{path.stem}-{number:05d}", x, y, wide, high, (0, 0), (wide, high)))
    picture = place(path.with_name(f"{path.stem}-sheet.png"), encode(page, "png", how))
    names = json.dumps(atlas(told, picture.name, page.shape[1], page.shape[0]), indent=1)
    return [picture, place(picture.with_suffix(".json"), names.encode())]
