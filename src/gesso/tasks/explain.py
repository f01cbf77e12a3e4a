"""`gesso explain`: how a picture came to be, as a page; or what a critic, or a classifier, looks at in many."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.explain.judging import Judging
    from gesso.explore import Slider
    from gesso.sample import Model
    from gesso.store import Run
    from gesso.tasks import Learned


class ExplainOptions(Options):
    """Tell how a picture of a seed came to be, as a page with pictures that everybody can read.

    Whether it is new, what is special about it, which words and numbers mattered, which parts of the network draw what,
    and where it stands among what the model learned from and draws. What `gesso directions` found is used, too.

    With --judge: a sheet of what the critic, or a classifier of the labels, looks at. Under every picture stands its
    map: red is what speaks for it, blue what speaks against it. Made pictures come first, learned ones after.
    """

    run: str = Field(default="", description="The run: its number, its name, or its data set for the latest.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the picture; of a sheet, of the first made one.")
    label: str | None = Field(default=None, description="What it shows; the seed's own label if not given.")
    text: str | None = Field(default=None, description="What it shows; the seed's own caption if not given.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    judge: Literal["critic", "labels"] | None = Field(
        default=None, description="A sheet of whose judgement: the critic's, or a classifier's that learns the labels."
    )
    images: Path | None = Field(default=None, description="Of a sheet: pictures, or a folder, instead of made ones.")
    method: Literal["occlusion", "gradients"] = Field(
        default="occlusion",
        description="occlusion: hide a part and see what changes; gradients: integrated gradients, finer and noisier.",
    )
    count: int = Field(default=10, ge=1, le=100, description="Of a sheet: how many pictures, made and learned each.")
    out: Path | None = Field(
        default=None, description="The page, or the sheet (a PNG), or a folder for it; in the run's if not given."
    )


class Explain(Task[ExplainOptions]):
    """The task."""

    name = "explain"
    Options = ExplainOptions
    positional = ("run",)
    example = "gesso explain flowers --seed 7"
    pace = "minutes"

    def run(self, options: ExplainOptions, home: Path) -> Iterator[Event]:
        """Find out and write; the Result names the page, or the sheet."""
        from gesso import tasks
        from gesso.store import Run

        if not options.run:
            raise GessoError("No run is named.", "For example: gesso explain flowers. `gesso list` shows the runs.")
        folder = Run.open(home, options.run)
        model, learned = tasks.load(str(folder.root), home, "cpu"), tasks.learned(folder, home)
        yield from (Message(note, "warning") for note in model.notes)
        if options.judge is None and options.images is None:
            yield from _page(options, folder, model, learned)
        else:
            yield from _sheet(options, folder, model, learned)


def _page(options: ExplainOptions, folder: "Run", model: "Model", learned: "Learned") -> Iterator[Event]:
    """The story of one picture."""
    from gesso import tasks
    from gesso.explain import page_of, story_of
    from gesso.explain.story import Learned
    from gesso.explore import Space
    from gesso.files import write_bytes

    target = _target(options.out, folder.root / "explain" / f"seed-{options.seed}.html")
    if target.suffix.lower() not in (".html", ".htm"):
        raise GessoError(f"The page is an HTML file, and {target.name} is none.", "Name one: --out picture.html.")
    asked = options.label is not None or options.text is not None
    space = Space(model.family, tasks.knobs_of(model, options.set, asked))
    point = space.points([options.seed], *tasks.asked_of(model, options.label, options.text))
    sliders, told = _sliders(folder, model)
    if told:
        yield Message(told)
    look = yield from tasks.comparer(learned.images, learned.sources, learned.pack)
    known = Learned(learned.images, learned.sources, learned.pack.name)
    story = yield from tasks.counted(story_of(model, space, point, options.seed, known, look, sliders), "parts")
    write_bytes(target, page_of(story).encode())
    paths, facts = [target], _facts(story)
    if story.table is not None:
        table = target.with_name(f"{target.stem}-units.csv")
        write_bytes(table, _csv(story.table).encode())
        paths.append(table)
    new = "" if story.original is None else " It is a near-copy." if story.original.copied else " It is new."
    yield Result(f"How picture {options.seed} of {model.run} came to be: {target}.{new}", tuple(paths), facts)


def _sliders(folder: "Run", model: "Model") -> "tuple[list[Slider], str]":
    """Those that were found, or why there are none."""
    from gesso.explore import kept

    try:
        return kept(folder.root, model.sha256), ""
    except GessoError as error:
        return [], f"{error.problem} The page says more with some: {error.remedy.removeprefix('Find them: ')}"


def _facts(story: Any) -> dict[str, Any]:
    """What the page tells, as figures."""
    out: dict[str, Any] = {"run": story.model.run, "seed": story.seed, "label": story.label, "text": story.text}
    if story.original is not None:
        out["original"] = story.original.model_dump(mode="json")
    out["traits"] = {one.attribute.name: round(one.away, 3) for one in story.traits}
    for name in ("words", "labels", "layers", "causes"):
        out[name] = [[one.name, round(one.looks, 4)] for one in getattr(story, name)]
    out["units"] = [[one.number, one.concept, round(one.share, 3), round(one.chance, 3)] for one in story.units]
    if story.atlas is not None:
        out["reached"] = round(story.atlas.reached, 4)
        out["likely"] = round(story.atlas.likely, 4)
    return out


def _csv(table: Any) -> str:
    """Units × what they answer to: of each unit's strongest places, the share that shows it; the last row is chance."""
    lines = [",".join(["unit", *table.names])]
    lines += [",".join([str(i), *(f"{v:.4f}" for v in row)]) for i, row in enumerate(table.found.tolist())]
    lines.append(",".join(["chance", *(f"{v:.4f}" for v in table.chance.tolist())]))
    return "\n".join(lines) + "\n"


def _sheet(options: ExplainOptions, folder: "Run", model: "Model", learned: "Learned") -> Iterator[Event]:
    """What a judge looks at, in many pictures."""
    import numpy as np

    from gesso.explain.judging import heat
    from gesso.marks.picture import write_sheet
    from gesso.measure.features import floats

    made, numbers, notes = _pictures(options, folder, model)
    yield from (Message(note, "warning") for note in notes)
    pick = np.random.default_rng(0).permutation(len(learned.images))[: options.count]
    if options.judge == "labels":
        yield Message("Learning a classifier of the labels, unless it is there; about a minute …")
    judge = _judging(options, folder, model, learned)
    groups = [("made" if options.images is None else "given", made, numbers)]
    groups.append(("learned", learned.images[pick], learned.numbers[pick]))
    rows, under, captions = [], [], []
    said_by = options.judge or "critic"
    facts: dict[str, Any] = {"run": folder.root.name, "judge": said_by, "method": options.method}
    total, begun, done = sum(len(images) for _, images, _ in groups), time.monotonic(), 0
    for what, images, known in groups:
        maps, said, words = [], [], []
        for i in range(len(images)):
            x = floats(images[i : i + 1])
            value, word, found = judge(x, int(known[i]), options.method)
            said.append(round(value, 4))
            words.append(word)
            maps.append(found)
            done += 1
            yield Progress(done, total, "pictures", (total - done) * (time.monotonic() - begun) / done)
        facts[what] = said
        strongest = max(float(np.abs(found).max()) for found in maps) or 1.0
        rows += [list(images), [heat(x, found / strongest) for x, found in zip(images, maps, strict=True)]]
        under += [words, [""] * len(images)]
        captions += [f"{what}, and what is said of them", "for it: red; against it: blue"]
    target = _target(options.out, folder.root / f"explain-{said_by}.png")
    title = f"{folder.root.name}: what the {'critic' if said_by == 'critic' else 'classifier'} looks at"
    write_sheet(target, rows, title=title, captions=captions, under=under,
                source="compositeWithTrainedAlgorithmicMedia")  # fmt: skip
    yield Preview(target, "what it looks at")
    yield Result(_words(said_by, facts), (target,), facts)


def _judging(options: ExplainOptions, folder: "Run", model: "Model", learned: "Learned") -> "Judging":
    from gesso.explain.judging import by_classifier, by_critic
    from gesso.measure.own import own_of

    if options.judge != "labels":
        return by_critic(model.family, model.labels)
    see = own_of(learned.images, learned.numbers, learned.pack.path, learned.pack.fingerprint)
    return by_classifier(see.network, folder.record["facts"]["labels"])


def _pictures(options: ExplainOptions, folder: "Run", model: "Model") -> "tuple[np.ndarray, np.ndarray, list[str]]":
    """Pictures to explain, the numbers of their labels, -1 for none, and what is to be said of them."""
    import numpy as np

    from gesso.data.reading import read_pictures
    from gesso.sample import draw

    if options.images is not None:
        facts = folder.record["facts"]
        read = read_pictures(options.images, facts["width"], facts["height"], facts["channels"])
        images = read.images[: options.count]
        return images, np.full(len(images), -1), read.problems[:5]
    if "source" in model.family.asks:
        raise GessoError(
            f"Run {model.run} translates pictures, and its critic sees them beside what they are made of.",
            "Explain a run that draws by itself.",
        )
    drawn = list(draw(model.family, range(options.seed, options.seed + options.count)))
    numbers = [model.labels.index(one.label) if one.label is not None else -1 for one in drawn]
    return np.stack([one.image for one in drawn]), np.array(numbers), []


def _words(judge: str, facts: dict[str, Any]) -> str:
    first = "made" if "made" in facts else "given"
    means = [sum(facts[key]) / len(facts[key]) for key in (first, "learned")]
    if judge == "critic":
        return f"The critic's judgement is {means[0]:+.2f} of {first} pictures and {means[1]:+.2f} of learned ones."
    return (
        f"The classifier is {means[0]:.0%} sure of the labels of {first} pictures and {means[1]:.0%} of learned ones'."
    )


def _target(out: Path | None, own: Path) -> Path:
    """The file that was named, that of its own name in a folder that was named, or its own."""
    return own if out is None else out / own.name if out.is_dir() else out
