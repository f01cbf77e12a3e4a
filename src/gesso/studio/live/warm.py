"""Models kept warm: what a seed, sliders and choices come to, drawn one picture after the other.

With the choices that a run is mostly looked at, an `Explorer` draws, by a graph where that is quicker. Writing a graph
takes a second or so: it is done when nothing is asked, and of other choices only when they have stayed for a while.
Until then these are drawn as they are, so that a choice can be dragged like a slider. Choices that change codes alone
need no explorer of their own.
"""

import io
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gesso import tasks
from gesso.contract.family import Condition
from gesso.contract.steer import Staged
from gesso.errors import GessoError, nearest
from gesso.explore import Explorer, Points, Slider, Space, blended, called, kept
from gesso.marks.picture import as_pil, straight, to_uint8
from gesso.options import Options
from gesso.store import Run
from gesso.studio.live.frames import Answer
from gesso.studio.live.maps import COLUMNS, arranged, laid, looks, reduced
from gesso.studio.live.wishes import Asked, Draw, Map

__all__ = ["Models", "Warm", "as_rgba", "as_webp", "encoded"]

MOST_MODELS = 2
MOST_KNOBS = 3  # choices of one model for which an explorer is kept
STAYED = 8  # pictures drawn with the same choices, after which an explorer is made for them
RAW = 256  # pixels of a side up to which pictures go as they are
SAME = 1e-4  # of 2 from black to white, by which two drawings of the same differ
QUALITY, METHOD = 85, 0  # of WebP: good, and as quick as can be
MAPPED, AT_ONCE = 64, 8  # pictures of a map, and of them between two looks at what else is asked
Where = tuple[int | tuple[tuple[int, float], ...], int | None, str | None]  # seed or mix, label, text


@dataclass
class Steady:
    """An explorer, and where it stands. tried: whether a graph was tried."""

    explorer: Explorer
    tried: bool = False
    where: object = None


class Warm:
    """A run's model and its sliders. Raises GessoError as `gesso.load`."""

    def __init__(self, number: int, home: Path):
        self.root = Run.open(home, str(number)).root
        self._weights, self._slider_file = self._marks()
        self.model = tasks.load(str(number), home)
        self.family = self.model.family
        self._plain = self.family.Knobs()
        self._own = self._plain.model_dump_json()
        self._seen = dict[frozenset[str], bool]()
        self._find_sliders()

    def fresh(self) -> bool:
        """Whether its weights are still those of the run; new sliders are taken over."""
        weights, sliders = self._marks()
        if weights is None or weights != self._weights:
            return False
        if sliders != self._slider_file:
            self._slider_file = sliders
            self._find_sliders()
        return True

    @property
    def exported(self) -> bool:
        """Whether pictures of the family's own choices are drawn by a graph now."""
        own = self._steady.get(self._own)
        return own is not None and own.explorer.exported

    def begin(self) -> None:
        """Be ready to draw; raises GessoError for a model that draws from given pictures."""
        self._default()

    def layers(self) -> int:
        """How many layers the codes have that sliders move; 0 for a model that is given pictures."""
        return 0 if "source" in self.family.asks else self._default().explorer.points.codes.shape[1]

    def draw(self, wish: Draw) -> Float[Tensor, "c h w"]:
        """A picture in [-1, 1]; raises GessoError for what the model does not know, and cannot do."""
        knobs = self._knobs(wish)
        key, where = knobs.model_dump_json(), self._where(wish)
        default, steady = self._default(), self._steady.get(key)
        if steady is not None:
            self._steady.move_to_end(key)
            self._go(steady, steady.explorer.space, key, where)
            _slide(steady.explorer, wish.slides)
            self._stayed = (key, knobs, 0)
            return steady.explorer.draw(wish.half)
        space = Space(self.family, knobs)
        self._go(default, space, key, where)  # which knows the sliders
        _slide(default.explorer, wish.slides)
        if self._of_codes(space, default.explorer):
            return default.explorer.draw(wish.half)
        before, _, times = self._stayed
        self._stayed = (key, knobs, times + 1 if before == key else 1)
        picture = space.pictures(default.explorer.points)[0]
        return F.avg_pool2d(picture, 2) if wish.half else picture

    def map(self, wish: Map) -> Iterator[Answer | None]:
        """Many pictures in one, as a WebP; yields None while they are drawn, at last the answer.

        Its JSON says which seed lies in which cell and, around a seed, as which `mix` a cell is drawn alone.
        """
        space, (_, label, text) = Space(self.family, self._knobs(wish)), self._where(wish)
        shown, free = wish.map, self._free(wish.seed)
        seeds = [*shown.seeds] if shown.seeds is not None else free
        places: list[int] | list[tuple[tuple[int, float], ...]] = seeds
        if shown.seeds is None and shown.around is not None:
            own, other = (1 - shown.change**2) ** 0.5, shown.change
            places = [((shown.around, own), (seed, other)) for seed in seeds]
        default, pictures, delta = self._default(), list[Tensor](), None
        for first in range(0, len(places), AT_ONCE):
            points = _together([_begun(space, place, label, text) for place in places[first : first + AT_ONCE]])
            if delta is None:
                self._go(default, space, None, points[[0]])
                _slide(default.explorer, wish.slides)
                delta = default.explorer.points.codes - points[[0]].codes
            pictures.append(reduced(space.pictures(points.at(points.codes + delta))))
            yield None
        drawn = torch.cat(pictures)
        order = range(len(seeds)) if shown.seeds is not None else arranged(looks(drawn)).tolist()
        image = laid(to_uint8(drawn[[*order]]))
        high, wide = drawn.shape[2:]
        values: dict[str, Any] = {
            "width": image.shape[1], "height": image.shape[0], "kind": "webp", "cell": [wide, high],
            "columns": COLUMNS, "seeds": [seeds[i] for i in order],
        }  # fmt: skip
        if shown.seeds is None and shown.around is not None:
            values["mix"] = [places[i] for i in order]
        yield Answer(values, as_webp(image))

    def idle(self) -> bool:
        """Make an explorer where one is worth it and none is there; whether there was something to do."""
        if "source" in self.family.asks:
            return False
        key, knobs, times = self._stayed
        default = self._default()
        if not default.tried:
            self._keep(self._own, self._plain)
        elif times >= STAYED and key not in self._steady:
            self._keep(key, knobs)
        else:
            return False
        return True

    def _keep(self, key: str, knobs: Options) -> None:
        made = Explorer(Space(self.family, knobs), self.sliders, graph="auto")
        self._steady[key] = Steady(made, tried=True)
        while len(self._steady) > MOST_KNOBS:
            del self._steady[next(name for name in self._steady if name != self._own)]

    def _of_codes(self, space: Space, explorer: Explorer) -> bool:
        """Whether choices change no more than the codes, so that the explorer of the family's own draws with them.

        It is seen once for all choices that differ from the family's own in the same names: of a StyleGAN, truncation
        and mixing are such, noise is not.
        """
        if not isinstance(self.family, Staged):
            return False
        plain = self._plain.model_dump()
        names = frozenset(name for name, value in space.knobs.model_dump().items() if value != plain[name])
        if names not in self._seen:
            both = [one.pictures(explorer.points) for one in (space, explorer.space)]
            self._seen[names] = bool((both[0] - both[1]).abs().max() <= SAME)
        return self._seen[names]

    def _default(self) -> Steady:
        """That of the family's own choices, at first without a graph."""
        if self._own not in self._steady:
            self._steady[self._own] = Steady(Explorer(Space(self.family, self._plain), self.sliders, graph="off"))
        return self._steady[self._own]

    def _find_sliders(self) -> None:
        try:
            self.sliders: list[Slider] = kept(self.root, self.model.sha256)
        except GessoError:  # none yet, or of an earlier model
            self.sliders = []
        self._steady = OrderedDict[str, Steady]()
        self._stayed: tuple[str, Options, int] = (self._own, self._plain, 0)

    def _marks(self) -> tuple[object, object]:
        """What the files of weights and of sliders are known by; None for one that is not there."""
        marks = list[object]()
        for name in ("model.safetensors", "sliders.safetensors"):
            try:
                facts = (self.root / name).stat()
                marks.append((facts.st_mtime_ns, facts.st_size, facts.st_ino))
            except OSError:
                marks.append(None)
        return marks[0], marks[1]

    def _knobs(self, wish: Asked) -> Options:
        """As `gesso sample` has them: the family's own, those that obey best where something is asked, the chosen."""
        obedient = self.family.obedient if wish.label is not None or wish.text is not None else {}
        return self.family.Knobs.of({**obedient, **wish.knobs})

    def _where(self, wish: Asked) -> Where:
        label, text, family = wish.label, wish.text, self.family
        number = None
        if label is not None:
            if "label" not in family.asks:
                raise GessoError(f"This model knows no labels, so none can be '{label}'.", "Leave the label out.")
            if label not in family.facts.labels:
                raise GessoError(f"The model knows no label '{label}'.", nearest(label, family.facts.labels))
            number = family.facts.labels.index(label)
        if text is not None:
            if "text" not in family.asks:
                raise GessoError("This model does not draw from text.", "Leave the text out.")
            family.inputs(Condition(text=[text]), 1)  # says which words it does not know
        mix = wish.mix if isinstance(wish, Draw) else None
        return mix or wish.seed, number, text

    def _go(self, steady: Steady, space: Space, key: str | None, where: "Where | Points") -> None:
        if isinstance(where, Points):
            steady.explorer.go(where)
            steady.where = None
        elif steady.where != (key, where):
            steady.explorer.go(_begun(space, *where))
            steady.where = (key, where)

    @staticmethod
    def _free(seed: int) -> list[int]:
        """Seeds drawn by lot."""
        return np.random.default_rng(seed).choice(2**32, MAPPED, replace=False).tolist()


class Models:
    """The few models that were asked for last."""

    def __init__(self, home: Path):
        self._home, self._kept = home, OrderedDict[int, Warm]()

    def of(self, number: int) -> Warm:
        """A run's model as it is now; raises GessoError where there is none."""
        found = self._kept.pop(number, None)
        if found is None or not found.fresh():
            found = None  # let go before another is loaded
            while len(self._kept) >= MOST_MODELS:
                self._kept.popitem(last=False)
            found = Warm(number, self._home)
        self._kept[number] = found
        return found

    def idle(self) -> bool:
        """Do something that makes later pictures quicker; whether there was something."""
        return any(model.idle() for model in reversed(self._kept.values()))

    def forget(self) -> None:
        """Let all go: memory is short."""
        self._kept.clear()


def sliders_of(sliders: list[Slider]) -> list[dict[str, Any]]:
    """Sliders as plain values. name, other: of both ends; found_as: what was measured to find it."""
    return [
        {"name": called(one.attribute.more), "other": called(one.attribute.less), "low": one.low, "high": one.high,
         "found_as": one.attribute.name}
        for one in sliders
    ]  # fmt: skip


def encoded(image: UInt8[np.ndarray, "h w c"]) -> Answer:
    """A picture, premultiplied where c is 4: small ones as their bytes, others as a WebP."""
    high, wide = image.shape[:2]
    raw = high <= RAW and wide <= RAW
    values: dict[str, Any] = {"width": wide, "height": high, "kind": "rgba" if raw else "webp"}
    return Answer(values, as_rgba(image) if raw else as_webp(image))


def as_rgba(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """Four bytes a pixel, straight alpha, row by row."""
    if image.shape[2] == 4:
        return straight(image).tobytes()
    out = np.full((*image.shape[:2], 4), 255, np.uint8)
    out[..., :3] = image
    return out.tobytes()


def as_webp(image: UInt8[np.ndarray, "h w c"]) -> bytes:
    """A WebP, lossy, without a recipe: it is looked at and gone."""
    file = io.BytesIO()
    picture = as_pil(image)
    if picture.mode == "L":
        picture = picture.convert("RGB")
    picture.save(file, "WEBP", quality=QUALITY, method=METHOD)
    return file.getvalue()


def _slide(explorer: Explorer, slides: dict[str, float]) -> None:
    """Move an explorer's sliders to where they are wished, all others to 0."""
    for name in explorer.strengths:
        explorer.slide(name, 0.0)
    for name, strength in slides.items():
        if strength:
            explorer.slide(name, strength)


def _begun(space: Space, where: int | tuple[tuple[int, float], ...], label: int | None, text: str | None) -> Points:
    """The point of a seed, or the one between several; of a single one with a weight it is that seed's own."""
    if isinstance(where, int):
        return space.points([where], label, text)
    some = [(seed, weight) for seed, weight in where if weight > 0]
    parents = space.points([seed for seed, _ in some], label, text)
    return parents if len(some) == 1 else blended(space, parents, [weight for _, weight in some])


def _together(some: list[Points]) -> Points:
    label = None if some[0].label is None else torch.cat([one.label for one in some if one.label is not None])
    text = None if some[0].text is None else tuple(said for one in some for said in one.text or ())
    return Points(torch.cat([one.z for one in some]), torch.cat([one.codes for one in some]), label, text)
