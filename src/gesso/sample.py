"""Seeds to latents to images, in batches, as a stream.

**A picture depends on its seed alone.** Its latent comes from a generator of its own, and the networks see it in a
batch of a fixed size, filled up where pictures are missing. The size must be fixed: oneDNN picks other kernels
for other batch sizes, whose sums differ in the last bits, and now and then a byte of a picture with them (measured
on five kinds of networks, channels first and last, batches of 1 to 64: up to 12 bytes of 800,000). Within one size,
neither the place in the batch nor the neighbours changed a single bit. Four is within a third of the best pace of
small networks on a CPU, and the best for larger ones; a GPU needs more to be busy.
"""

import math
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import UInt8

from gesso import __version__
from gesso.contract.family import Condition, Family
from gesso.errors import GessoError, nearest
from gesso.files import write_bytes
from gesso.marks.context import falling_back
from gesso.marks.credentials import same
from gesso.marks.picture import as_pil, encode, sheet, to_uint8
from gesso.marks.recipe import Moved, Original, Recipe, Rights, Taken
from gesso.options import Options
from gesso.text import Vocabulary

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Drawn", "Model", "Pictures", "draw", "fresh_seed", "of_seed", "place", "slug", "unread"]

CHUNK = {"cpu": 4}
CHUNK_ELSEWHERE = 32
Way = Callable[[torch.Tensor, Condition, Options], Iterator[torch.Tensor]]  # latents → better and better pictures
SEEDS = 2**32  # a fresh seed is below this, so that it can be read aloud; any below 2**63 may be asked for


@dataclass(frozen=True)
class Drawn:
    """A picture that was drawn. image: `h w c` uint8, premultiplied where c = 4; label, text: asked for or drawn.

    original: how like it is to learned pictures, where that was looked at. taken: what is from which of them, where
    it was finished. moved: the sliders that were moved.
    """

    seed: int
    label: str | None
    image: UInt8[np.ndarray, "h w c"]
    original: Original | None = None
    taken: Taken | None = None
    text: str | None = None
    moved: Moved | None = None

    @property
    def pil(self) -> "Image":
        """The picture for Pillow: L, RGB, or RGBA with straight alpha."""
        return as_pil(self.image)


def draw(
    family: Family,
    seeds: Sequence[int],
    labels: Sequence[str | None] | str | None = None,
    knobs: Options | None = None,
    texts: Sequence[str | None] | str | None = None,
    sources: Sequence[UInt8[np.ndarray, "h w s"]] | UInt8[np.ndarray, "n h w s"] | None = None,
    how: "Way | None" = None,
    own: bool = True,
) -> Iterator[Drawn]:
    """Draw one picture a seed, in order, on the family's device; the same seed gives the same picture in any company.

    labels, texts: one for all, or one a seed; None leaves it to the seed where the model knows some. sources: what each
    is to be made of, where the model translates. knobs: of the family's Knobs. how: another way to draw than the
    family's own. own: whether a seed has a label or a text of its own where none is asked for. Raises GessoError, with
    the nearest right one, for a label that the data does not have and for words that no caption has.
    """
    wanted = _numbers(family, _each(labels, len(seeds), "labels"))
    said = _captions(family, _each(texts, len(seeds), "texts"))
    if "source" in family.asks and (sources is None or len(sources) != len(seeds)):
        raise GessoError("This model translates pictures.", "Give it some: gesso translate RUN PICTURE.")
    knobs = knobs or family.Knobs()
    device = next(family.parameters()).device
    size = CHUNK.get(device.type, CHUNK_ELSEWHERE)
    for start in range(0, len(seeds), size):
        chunk = [*seeds[start : start + size]]
        numbers, words = wanted[start : start + size], said[start : start + size]
        latents = []
        for i, seed in enumerate(chunk):
            latent, number, text = of_seed(family, seed)
            latents.append(latent)
            if (
                own and numbers[i] is None and words[i] is None
            ):  # what is asked by the one, the other must not contradict
                numbers[i], words[i] = number, text
        fill = [*range(len(chunk)), *[len(chunk) - 1] * (size - len(chunk))]
        asked = Condition()
        if "label" in family.asks:
            null = len(family.facts.labels)
            which = [null if (number := numbers[i]) is None else number for i in fill]
            asked.label = torch.tensor(which, dtype=torch.long, device=device)
        if "text" in family.asks and any(words[i] for i in fill):
            asked.text = [words[i] or "" for i in fill]
        if "source" in family.asks and sources is not None:
            given = np.stack([sources[start + i] for i in fill])
            asked.source = torch.from_numpy(given).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(device)
        z = torch.cat([latents[i] for i in fill]).to(device)
        images = _images(family, (how or family.sample)(z, asked, knobs))
        for i, seed in enumerate(chunk):
            number = numbers[i]
            label = None if number is None else family.facts.labels[number]
            yield Drawn(seed, label, images[i], text=words[i])


def of_seed(family: Family, seed: int) -> tuple[torch.Tensor, int | None, str | None]:
    """A seed's latent, 1 d, and what it draws where nothing is asked for: the number of a label, or a text."""
    rng, facts = torch.Generator().manual_seed(seed), family.facts
    latent = family.prior(1, rng)
    if facts.captions and "text" in family.asks:
        return latent, None, facts.captions[int(torch.randint(len(facts.captions), (), generator=rng))]
    if "label" in family.asks:
        return latent, int(torch.randint(len(facts.labels), (), generator=rng)), None
    return latent, None, None


def _each(wish: Sequence[str | None] | str | None, count: int, what: str) -> list[str | None]:
    """One wish a seed."""
    wishes = [wish] * count if wish is None or isinstance(wish, str) else [*wish]
    if len(wishes) != count:
        raise ValueError(f"{count} seeds, but {len(wishes)} {what}")
    return wishes


def _images(family: Family, drawing: Iterator[torch.Tensor]) -> UInt8[np.ndarray, "n h w c"]:
    """The last word of a stream of pictures; the family's mode and the caller's stay as they were."""
    learning = family.training
    last: torch.Tensor | None = None
    family.eval()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(next(family.parameters()).device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            for image in drawing:
                last = image
    finally:
        family.train(learning)
    if last is None:
        raise RuntimeError(f"{type(family).__name__}.sample yielded no picture")
    return to_uint8(last)


def _numbers(family: Family, labels: Sequence[str | None]) -> list[int | None]:
    """The numbers of labels; None for those that are the seed's to choose."""
    known = {name: number for number, name in enumerate(family.facts.labels)}
    for label in {label for label in labels if label is not None}:
        if "label" not in family.asks:
            raise GessoError(f"This model knows no labels, so none can be '{label}'.", "Leave the label out.")
        if label not in known:
            raise GessoError(f"The model knows no label '{label}'.", nearest(label, known))
    return [None if label is None else known[label] for label in labels]


def _captions(family: Family, texts: Sequence[str | None]) -> list[str | None]:
    """The texts asked for, checked; None for those that are the seed's to choose."""
    asked = sorted({text for text in texts if text is not None})
    if asked and "text" not in family.asks:
        raise GessoError(
            "This model does not draw from text.",
            "Leave the text out, or train with captions: gesso train SET --family flow --set captions=true.",
        )
    if asked:
        family.inputs(Condition(text=asked), len(asked))  # says which words it does not know
    return [*texts]


def unread(family: Family, texts: Sequence[str]) -> list[str]:
    """A sentence for each text of which the end is not read, being longer than nearly all captions."""
    if "text" not in family.asks or not family.facts.vocabulary:
        return []
    beyond = {text: Vocabulary.of(family.facts.vocabulary).unread(text) for text in texts}
    return [
        f"The text '{text[:60]}' is longer than what this model reads: the last {count} pieces of words are left out."
        for text, count in beyond.items()
        if count
    ]


def fresh_seed(count: int = 1) -> int:
    """A seed that nobody chose, the first of `count` in a row."""
    return secrets.randbelow(max(SEEDS - count, 1))


@dataclass
class Model:
    """A trained generator, ready to draw.

    family: with the weights that draw. run: name of the run's folder; number: the run's. sha256: of the file of
    weights; step: when they were saved. notes: sentences about what had to be passed over when it was loaded. rights:
    what the licences of its pictures come to, where that is known. home: where it was found, whose marks its pictures
    get where nothing else is said.
    A pretrained pipeline is of no run: its number is 0, and run is what loads it, "diffusers:PLACE".
    """

    family: Family
    run: str
    number: int
    sha256: str
    step: int
    notes: list[str] = field(default_factory=list)
    rights: Rights | None = None
    home: Path | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can be asked for by name; empty when it knows no labels."""
        return self.family.facts.labels if "label" in self.family.asks else ()

    @property
    def device(self) -> str:
        """The kind of device it draws on: cpu, cuda or mps."""
        return next(self.family.parameters()).device.type

    @property
    def title(self) -> str:
        """How its files are called: data set, family, number: 'emoji-gan-0007'; of a pipeline 'diffusers-NAME'."""
        if not self.number:
            kind, _, place = self.run.partition(":")
            return f"{kind}-{slug(PurePath(place).name)}"
        return f"{self.run.partition('-')[2] or self.run}-{self.number:04d}"

    def sample(
        self, n: int = 1, seed: int | None = None, label: str | None = None, text: str | None = None, **knobs: Any
    ) -> "Pictures":
        """Draw n pictures, with the seeds seed, seed + 1, …; without a seed, new ones every time.

        label: one of `labels`; text: what to draw, in words of the captions; without them every seed has its own.
        knobs: of the family's Knobs, such as truncation=0.7. Raises GessoError for a label, a word or a knob that the
        model does not know.
        """
        first = fresh_seed(n) if seed is None else seed
        known = self.family.obedient if label is not None or text is not None else {}
        chosen = self.family.Knobs.of({**known, **knobs})
        return Pictures(self, chosen, list(draw(self.family, range(first, first + n), label, chosen, text)))

    def recipe(self, drawn: Drawn, knobs: Options) -> Recipe:
        """How to make a picture of this model again."""
        height, width = drawn.image.shape[:2]
        return Recipe(
            gesso=__version__, run=self.run, number=self.number, model=self.sha256, step=self.step,
            family=self.family.name, seed=drawn.seed, label=drawn.label, text=drawn.text,
            knobs=knobs.model_dump(mode="json"), width=width, height=height, device=self.device,
            original=drawn.original, taken=drawn.taken, moved=drawn.moved,
            rights=self.rights,
        )  # fmt: skip


class Pictures(Sequence[Drawn]):
    """Pictures that a model drew, with all that is needed to save them with their recipes."""

    def __init__(self, model: Model, knobs: Options, drawn: Sequence[Drawn]):
        self.model, self.knobs, self._drawn = model, knobs, list(drawn)

    @overload
    def __getitem__(self, index: int) -> Drawn: ...
    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...
    def __getitem__(self, index: int | slice) -> "Drawn | Pictures":
        if isinstance(index, slice):
            return Pictures(self.model, self.knobs, self._drawn[index])
        return self._drawn[index]

    def __len__(self) -> int:
        return len(self._drawn)

    def __repr__(self) -> str:
        return f"<{len(self)} pictures by {self.model.title}>"

    @property
    def images(self) -> "list[Image]":
        """The pictures for Pillow."""
        return [drawn.pil for drawn in self._drawn]

    @property
    def array(self) -> UInt8[np.ndarray, "n h w c"]:
        """The pictures as one array, premultiplied where c = 4."""
        return np.stack([drawn.image for drawn in self._drawn])

    def grid(self) -> UInt8[np.ndarray, "h w 3"]:
        """All in one picture, about as wide as high."""
        least = math.ceil(len(self) ** 0.5)
        columns = next((c for c in range(least, 2 * least) if len(self) % c == 0), least)  # full rows where they can be
        images = [drawn.image for drawn in self._drawn]
        return sheet([images[i : i + columns] for i in range(0, len(images), columns)])

    def save(
        self, folder: str | Path, *, suffix: str = "png", recipe: bool = True, quality: int | None = None
    ) -> list[Path]:
        """Write each to `folder` under the name of its model and seed; returns the paths. Nothing is ever replaced."""
        paths = []
        for drawn in self._drawn:
            data = self.encode(drawn, suffix, recipe=recipe, quality=quality)
            said = "_" + slug(drawn.text) if drawn.text else ""
            paths.append(place(Path(folder) / f"{self.model.title}{said}_seed{drawn.seed:010d}.{suffix}", data))
        return paths

    def encode(self, drawn: Drawn, suffix: str, *, recipe: bool = True, quality: int | None = None) -> bytes:
        """One of the pictures as the bytes of a file, with its recipe unless that is not wanted."""
        how = self.model.recipe(drawn, self.knobs)
        source = "trainedAlgorithmicMedia" if drawn.taken is None else "compositeWithTrainedAlgorithmicMedia"
        with falling_back(self.model.home):
            return encode(drawn.image, suffix, how, tell=recipe, source=source, quality=quality)


def slug(text: str, most: int = 40) -> str:
    """A text as part of a file's name: letters and digits, at most so many characters, whole words where it can be."""
    words = re.sub(r"[^\w]+", "-", text.casefold()).strip("-_")
    return words if len(words) <= most else (words[: most + 1].rpartition("-")[0] or words[:most])


def place(path: Path, data: bytes) -> Path:
    """Write bytes to `path`, or beside it (`name_2.png`, …) where a different file has the name; returns where.

    A file that holds the same bytes, but for its signature, is left as it is: the same picture with the same recipe is
    one file.
    """
    stem, number = path.stem, 1
    while path.exists():
        if path.is_file() and path.stat().st_size == len(data) and same(path.read_bytes(), data):
            return path
        number += 1
        path = path.with_name(f"{stem}_{number}{path.suffix}")
    write_bytes(path, data)
    return path
