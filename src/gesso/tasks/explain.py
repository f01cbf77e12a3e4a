"""`gesso explain`: what the critic, or a classifier, looks at in pictures."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gesso.sample import Model
    from gesso.store import Run
    from gesso.tasks import Learned


class ExplainOptions(Options):
    """Show what the critic, or a classifier of the labels, looks at in pictures.

    Under every picture stands its map: red is what speaks for it, blue what speaks against it. For the critic that is
    how real a picture looks; for the classifier, that it shows its label. Made pictures come first, learned ones after.
    """

    run: str = Field(default="", description="The run: its number, its name, or its data set for the latest.")
    images: Path | None = Field(default=None, description="A folder of pictures, or one, instead of made ones.")
    judge: Literal["critic", "labels"] = Field(
        default="critic", description="Whose judgement: the run's critic, or a classifier that learns the labels."
    )
    method: Literal["occlusion", "gradients"] = Field(
        default="occlusion",
        description="occlusion: hide a part and see what changes; gradients: integrated gradients, finer and noisier.",
    )
    count: int = Field(default=10, ge=1, le=100, description="How many pictures, made and learned each.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the first made one; the others count on.")
    out: Path | None = Field(default=None, description="The sheet, a PNG; in the run's folder if not given.")


class Explain(Task[ExplainOptions]):
    """The task."""

    name = "explain"
    Options = ExplainOptions
    positional = ("run",)
    example = "gesso explain flowers --method gradients"

    def run(self, options: ExplainOptions, home: Path) -> Iterator[Event]:
        """Judge and map; the Result names the sheet, its facts hold the judgements."""
        import numpy as np

        from gesso import tasks
        from gesso.marks.picture import write_sheet
        from gesso.measure.features import floats
        from gesso.store import Run

        if not options.run:
            raise GessoError("No run is named.", "For example: gesso explain flowers. `gesso list` shows the runs.")
        folder = Run.open(home, options.run)
        model, learned = tasks.load(str(folder.root), home, "cpu"), tasks.learned(folder, home)
        yield from (Message(note, "warning") for note in model.notes)
        made, numbers, notes = _pictures(options, folder, model)
        yield from (Message(note, "warning") for note in notes)
        pick = np.random.default_rng(0).permutation(len(learned.images))[: options.count]
        if options.judge == "labels":
            yield Message("Learning a classifier of the labels, unless it is there; about a minute …")
        judge = _critic(model) if options.judge == "critic" else _classifier(learned, folder)
        groups = [("made" if options.images is None else "given", made, numbers)]
        groups.append(("learned", learned.images[pick], learned.numbers[pick]))
        rows, under, captions = [], [], []
        facts: dict[str, Any] = {"run": folder.root.name, "judge": options.judge, "method": options.method}
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
        target = options.out or folder.root / f"explain-{options.judge}.png"
        title = f"{folder.root.name}: what the {'critic' if options.judge == 'critic' else 'classifier'} looks at"
        write_sheet(target, rows, title=title, captions=captions, under=under,
                    source="compositeWithTrainedAlgorithmicMedia")  # fmt: skip
        yield Preview(target, "what it looks at")
        yield Result(_words(options, facts), (target,), facts)


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


def _mapped(score: Any, x: "Tensor", method: str) -> "np.ndarray":
    from gesso.measure.saliency import integrated_gradients, occlusion, plain

    way = occlusion if method == "occlusion" else integrated_gradients
    return next(way(score, x, plain(x))).numpy()


def _critic(model: "Model") -> Any:
    """A picture → what the critic says, in words, and the map."""
    import torch

    from gesso.contract.family import Condition, Judge

    family = model.family
    if not isinstance(family, Judge):
        raise GessoError(
            f"The family {family.name} has no critic to be explained.", "Choose --judge labels, or a run of a GAN."
        )

    def judge(x: "Tensor", number: int, method: str) -> tuple[float, str, Any]:
        def score(many: "Tensor", label: int = number) -> "Tensor":
            asked = torch.full((len(many),), label) if model.labels else None
            return family.judge(many, Condition(label=asked)).float()

        with torch.no_grad():
            if number < 0 and model.labels:  # as what it looks most real
                number = max(range(len(model.labels)), key=lambda label: float(score(x, label)))
            value = float(score(x, number))
        return value, f"{value:+.2f}", _mapped(lambda many: score(many, number), x, method)

    return judge


def _classifier(learned: "Learned", folder: "Run") -> Any:
    """A picture → how sure the classifier is of its label, or of the likeliest, in words, and the map."""
    import torch

    from gesso.measure.own import Own, own_of

    names = folder.record["facts"]["labels"]
    see = own_of(learned.images, learned.numbers, learned.pack.path, learned.pack.fingerprint)
    network = see.network
    if len(names) < 2 or not isinstance(network, Own) or not network.labels:
        raise GessoError("These pictures have no labels that a classifier could learn.", "Import them with labels.")

    def judge(x: "Tensor", number: int, method: str) -> tuple[float, str, Any]:
        with torch.no_grad():
            chances = network.logits(network.features(x)).softmax(1)[0]
        asked = number if number >= 0 else int(chances.argmax())

        def score(many: "Tensor") -> "Tensor":
            return network.logits(network.features(many)).log_softmax(1)[:, asked]

        value = float(chances[asked])
        return value, f"{names[asked]} {value:.0%}", _mapped(score, x, method)

    return judge


def heat(image: "np.ndarray", found: "np.ndarray") -> "np.ndarray":
    """A picture, pale and grey, under its map: red where that is above zero, blue where below. found: in [-1, 1]."""
    import numpy as np

    opaque = image[..., :3].astype(float)
    if image.shape[2] == 4:
        opaque = opaque + 255 - image[..., 3:].astype(float)
    grey = 255 - (255 - opaque.mean(2)) * 0.45
    strength = np.abs(found).clip(0, 1)[..., None] ** 0.7 * 0.85
    colour = np.where(found[..., None] > 0, np.array([200, 30, 40]), np.array([20, 80, 190]))
    return (grey[..., None] * (1 - strength) + colour * strength).round().astype(np.uint8)


def _words(options: ExplainOptions, facts: dict[str, Any]) -> str:
    first = "made" if "made" in facts else "given"
    means = [sum(facts[key]) / len(facts[key]) for key in (first, "learned")]
    if options.judge == "critic":
        return f"The critic's judgement is {means[0]:+.2f} of {first} pictures and {means[1]:+.2f} of learned ones."
    return (
        f"The classifier is {means[0]:.0%} sure of the labels of {first} pictures and {means[1]:.0%} of learned ones'."
    )
