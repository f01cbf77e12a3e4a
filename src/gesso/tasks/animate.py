"""`gesso animate`: a way through what a generator draws, as a film."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from torch import Tensor

    from gesso.explore import Points, Slider, Space
    from gesso.explore.timing import Course, Pace
    from gesso.marks.recipe import Recipe
    from gesso.marks.sound import Sound
    from gesso.sample import Model

MOST = 36_000  # frames
WIDEST = 16_384  # pixels of a side of a sprite sheet
SECONDS = 8.0  # of a film whose length nothing says


class AnimateOptions(Options):
    """Make a film of a way through what a generator draws, from seed to seed.

    Every frame is as unlike the next as all others are, whatever lies between the seeds; with --loop the way leads back
    to its first, and the film can run for ever. Sliders that `gesso directions` found may move on the way: --slide
    larger=-1,2 begins smaller and ends larger. Seeds and strengths may have their times: --seeds 1@0,5@2.5,9@4. With
    --audio the film follows a sound: the louder, the faster. MP4 and WebM need PyAV (pip install 'gesso[video]').
    """

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    seeds: str = Field(
        default="1,2,3,4", description="Seeds to pass, with commas; all with their seconds, as 1@0,5@2.5."
    )
    seconds: float | None = Field(
        default=None, gt=0, le=3600, description="Length of the film; the sound's, else up to the last time, else 8."
    )
    fps: float = Field(default=30.0, ge=1, le=120, description="Pictures a second.")
    loop: bool = Field(default=False, description="Go on from the last seed back to the first.")
    curve: Literal["smooth", "straight"] = Field(
        default="smooth", description="Past the seeds in a curve, or straight from each to the next."
    )
    even: bool = Field(
        default=True, description="Equal times show equal changes; without, each way between two seeds takes as long."
    )
    ease: Literal["linear", "in-out"] = Field(
        default="linear", description="From key to key at one pace, or slowly out of each and into the next."
    )
    label: str | None = Field(default=None, description="What to draw; the first seed's own label if not given.")
    text: str | None = Field(default=None, description="What to draw; the first seed's own caption if not given.")
    slide: tuple[str, ...] = Field(
        default=(),
        description="A slider and its strengths over the film: larger=-1,2; at their seconds: larger=-1@0,2@1.5; or by "
        "the sound, from quiet to loud: larger=-1..2; may be repeated.",
    )
    truncation: str | None = Field(
        default=None, description="Truncation over the film, as strengths of a slider: 1,0.5,1."
    )
    audio: Path | None = Field(
        default=None, description="A sound that the film follows: WAV; MP3, FLAC and others with PyAV."
    )
    on_beats: bool = Field(default=False, description="Reach seeds where beats are heard, at every k-th.")
    out: Path | None = Field(default=None, description="The film, or a folder for it; HOME/gallery/DATE if not given.")
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
    pace = "minutes"

    def run(self, options: AnimateOptions, home: Path) -> Iterator[Event]:
        """Draw all frames, write; the Result names the film."""
        from gesso import tasks
        from gesso.explore import Space
        from gesso.marks.film import SOUNDING, encode_film
        from gesso.marks.picture import to_uint8
        from gesso.marks.sound import read_sound
        from gesso.sample import Drawn, place

        sound = None if options.audio is None else read_sound(options.audio.expanduser())
        plan = _plan(options, sound)
        model = tasks.load(options.run, home, options.device)
        yield from (Message(note, "warning") for note in model.notes)
        seeds, target, count = plan.seeds, _target(options, plan.seeds, model, home, sound is not None), plan.frames
        facts = model.family.facts
        _check(options, count, facts.height * facts.width * facts.channels)
        if sound is not None and target.suffix.lstrip(".").lower() not in SOUNDING:
            yield Message(
                f"A {target.suffix} film is silent; {' and '.join(SOUNDING)} carry the sound, too.", "warning"
            )
        asked = options.label is not None or options.text is not None
        knobs = tasks.knobs_of(model, options.set, asked)
        sliders = _sliders(plan, model, home)
        _check_truncation(options, plan.truncation, knobs)
        space = Space(model.family, knobs)
        label, text = _asked(space, seeds[0], options, model)
        keys = space.points(seeds, label, text)
        images = yield from _drawn(space, keys, options, plan, sliders)
        frames = [*to_uint8(images)]
        told = {"fps", "loop", "curve", "even", "ease", "slide", "truncation", "on_beats", "scale"}
        kept = options.model_dump(include=told, mode="json")
        kept |= {"seeds": seeds, "times": plan.times, "seconds": plan.seconds, "audio": sound and sound.name}
        first = Drawn(seeds[0], None if label is None else facts.labels[label], frames[0], text=text)
        more = {"task": "animate", "options": kept, "inputs": sound and {sound.name: sound.sha256}}
        how = model.recipe(first, knobs).model_copy(update=more)
        data = encode_film(frames, target.suffix, options.fps, how, options.scale, sound, tell=options.recipe)
        path = place(target, data)
        paths = [path, *(_sheet(path, frames, how, options.recipe) if options.sheet else [])]
        change = images.diff(dim=0).square().mean((1, 2, 3)).sqrt() if count > 1 else images.new_zeros(1)
        figures: dict[str, Any] = {"run": model.run, "seeds": seeds, "frames": count, "seconds": count / options.fps}
        figures["spread"] = round(float(change.std(unbiased=False) / change.mean().clamp(min=1e-9)), 4)
        if plan.pace.keys is not None:
            figures["keys"] = [round(key / options.fps, 3) for key in plan.pace.keys]
        yield Preview(path, "the film")
        way = "→".join(map(str, [*seeds, seeds[0]] if options.loop else seeds))
        said = f"{path}: {count:,} frames, {count / options.fps:g} s, seeds {way}, by {model.run}."
        yield Result(said, tuple(paths), figures)


class _Plan(NamedTuple):
    """What a film is to show when. heard: of the sound, at each frame, 0 to 1."""

    seeds: list[int]
    times: list[float] | None
    seconds: float
    frames: int
    pace: "Pace"
    slides: "dict[str, Course]"
    truncation: "Course | None"
    heard: "Float[np.ndarray, ' n'] | None"


def _plan(options: AnimateOptions, sound: "Sound | None") -> _Plan:
    """What the options ask for; raises GessoError for keys and lengths that cannot be."""
    import numpy as np

    from gesso import tasks
    from gesso.explore.sound import heard, loudness, onsets
    from gesso.explore.timing import Course, Pace, frames_at, keys_on_beats, timed

    names, times = timed(options.seeds, "--seeds")
    seeds = tasks.seeds_of(",".join(names))
    parts = {words: words.partition("=") for words in options.slide}
    slides = {words: Course.of(strengths, f"--slide {name}") for words, (name, _, strengths) in parts.items()}
    truncation = None if options.truncation is None else Course.of(options.truncation, "--truncation")
    courses = [*slides.values(), *([truncation] if truncation else [])]
    last = max([0.0, *(times or ()), *(time for course in courses for time in course.at or ())])
    returns = options.loop and len(seeds) > 2 and seeds[0] == seeds[-1]
    if options.seconds is not None or sound is not None:
        seconds = options.seconds or (sound.seconds if sound else SECONDS)
    elif last and options.loop and not (returns and times and times[-1] == last):
        remedy = f"Say --seconds, or name seed {seeds[0]} again at the end: {seeds[0]}@{last + 1:g}."
        raise GessoError("When this loop leads back to its first seed is not said.", remedy)
    else:
        seconds = last or SECONDS
    if returns and (times is None or times[-1] == seconds):
        seeds, times = seeds[:-1], times and times[:-1]
    if len(seeds) < 2:
        raise GessoError("A way of one seed goes nowhere.", "Name two or more: --seeds 1,5.")
    count = round(seconds * options.fps)
    if not 2 <= count <= MOST:
        raise GessoError(f"That makes {count:,} frames; a film has 2 to {MOST:,}.", "Choose other --seconds or --fps.")
    keys = None if times is None else frames_at(times, options.fps, count, options.loop)
    loud = None
    if sound is not None:
        at = (np.arange(count) + 0.5) / options.fps
        loud = heard(loudness(sound.samples, sound.rate, at), options.fps, options.loop)
    if options.on_beats:
        if sound is None or keys is not None:
            raise GessoError(
                "Beats are of a sound, and take the place of times.", "Give --audio, and no times of seeds."
            )
        beats = onsets(sound.samples, sound.rate).tolist()
        keys = keys_on_beats(beats, len(seeds), options.fps, count, options.loop)
    pace = Pace(None if keys is None else tuple(keys), options.ease, loud)
    return _Plan(seeds, times, seconds, count, pace, slides, truncation, loud)


def _asked(space: "Space", seed: int, options: AnimateOptions, model: "Model") -> tuple[int | None, str | None]:
    """What all frames show: what is asked for, else what the first seed would."""
    from gesso import tasks

    label, text = tasks.asked_of(model, options.label, options.text)
    if label is not None or text is not None:
        return label, text
    own = space.points([seed])
    return None if own.label is None else int(own.label[0]), None if own.text is None else own.text[0]


def _drawn(
    space: "Space",
    keys: "Points",
    options: AnimateOptions,
    plan: _Plan,
    sliders: "list[tuple[Slider, Course]]",
) -> "Generator[Event, None, Tensor]":
    """All frames; yields how many are drawn."""
    from gesso import tasks
    from gesso.explore import Route, frames_of

    def over(course: "Course") -> "Tensor":
        return course.over(plan.frames, options.fps, options.loop, options.ease, plan.heard)

    path, moves = Route(space, keys, options.loop, options.curve), None
    for slider, course in sliders:
        more = over(course)[:, None, None] * slider.direction
        moves = more if moves is None else moves + more
    tamed = None if plan.truncation is None else over(plan.truncation)
    steps = frames_of(space, path, plan.frames, options.even, moves, plan.pace, tamed)
    return (yield from tasks.counted(steps, "frames"))


def _target(options: AnimateOptions, seeds: list[int], model: "Model", home: Path, sound: bool) -> Path:
    """Where the film goes; raises GessoError for what is no film."""
    from gesso import tasks
    from gesso.marks.film import check_film

    out = tasks.destination(None, home, True) if options.out is None else options.out.expanduser()
    if options.out is None or out.is_dir():
        check_film(options.format, sound)
        name = "-".join(map(str, seeds[:8]))
        return out / f"{model.title}_seeds{name}.{options.format}"
    check_film(out.suffix, sound)
    return out


def _sliders(plan: _Plan, model: "Model", home: Path) -> "list[tuple[Slider, Course]]":
    """The sliders that move, and how."""
    from gesso.explore import wished
    from gesso.store import Run

    if not plan.slides:
        return []
    if not model.number:
        raise GessoError("A pretrained pipeline has no sliders.", "Leave out --slide.")
    wishes = [
        f"{words.partition('=')[0]}={','.join(map(repr, course.values))}" for words, course in plan.slides.items()
    ]
    found = wished(Run.open(home, model.run).root, model.sha256, wishes)
    courses = plan.slides.values()
    return [(one.slider, how._replace(values=tuple(one.strengths))) for one, how in zip(found, courses, strict=True)]


def _check_truncation(options: AnimateOptions, course: "Course | None", knobs: "Options") -> None:
    """Raises GessoError for a truncation that is chosen twice, that the family has not, or beyond its bounds."""
    if course is None:
        return
    if any(word.partition("=")[0].strip() == "truncation" for word in options.set):
        raise GessoError("Truncation is chosen twice.", "Leave out --set truncation, or --truncation.")
    for value in course.values if "truncation" in type(knobs).model_fields else ():  # else drawing says so
        type(knobs).of(knobs.model_dump() | {"truncation": value})


def _check(options: AnimateOptions, count: int, values: int) -> None:
    """Raises GessoError for a film that does not fit into memory."""
    from gesso.memory import afford

    needed = count * values * (4 * 4 + 2 * options.scale**2)
    afford(needed, f"A film of {count:,} frames", "Make it shorter, or --scale smaller.")


def _sheet(path: Path, frames: "list[np.ndarray]", how: "Recipe", tell: bool) -> list[Path]:
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
    picture = place(path.with_name(f"{path.stem}-sheet.png"), encode(page, "png", how, tell=tell))
    names = json.dumps(atlas(told, picture.name, page.shape[1], page.shape[0]), indent=1)
    return [picture, place(picture.with_suffix(".json"), names.encode())]
