"""Sliders beside the run that they are of, and drawing with them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from gesso.contract.family import Condition, Family
from gesso.errors import GessoError, nearest
from gesso.explore.attributes import Attribute
from gesso.explore.sliders import Slider
from gesso.explore.space import Points, Space
from gesso.files import sha256_of
from gesso.marks.recipe import Moved
from gesso.options import Options
from gesso.sample import Way
from gesso.store import load_tensors, save_tensors

__all__ = ["Steering", "Wish", "again", "called", "chosen", "keep", "kept", "wished"]

FILE = "sliders.safetensors"


@dataclass(frozen=True)
class Steering:
    """Sliders to move, by how much; and what a recipe tells of it."""

    moves: list[tuple[Slider, float]]
    moved: Moved

    def way(self, family: Family) -> Way:
        """How a family draws with them."""

        def draw(z: Tensor, condition: Condition, knobs: Options) -> Iterator[Tensor]:
            space = Space(family, knobs)
            points = space.of(z, condition.label, None if condition.text is None else tuple(condition.text))
            yield from space.stream(self.led(points))

        return draw

    def led(self, points: Points) -> Points:
        """Points where the sliders lead from given ones."""
        codes = points.codes
        for slider, strength in self.moves:
            codes = codes + strength * slider.direction.to(codes)
        return points.at(codes)


def keep(root: Path, sliders: Sequence[Slider], model: str, how: dict[str, Any]) -> str:
    """Write the sliders of a run into its folder; returns the SHA-256 of what was written.

    model: SHA-256 of the file of weights; how: by which choices they were found.
    """
    rows = [{key: value for key, value in asdict(one).items() if key != "direction"} for one in sliders]
    tensors: dict[str, Tensor] = {one.attribute.name: one.direction for one in sliders}
    return save_tensors(root / FILE, tensors, {"model": model, "how": how, "sliders": rows})


def kept(root: Path, model: str) -> list[Slider]:
    """The sliders of a run; raises GessoError where none were found, or an earlier model's."""
    remedy = f"Find them: gesso directions {root.name.partition('-')[0].lstrip('0') or root.name}"
    if not (root / FILE).is_file():
        raise GessoError(f"Run {root.name} has no sliders yet.", remedy)
    tensors, note = load_tensors(root / FILE)
    if note.get("model") != model:
        raise GessoError(f"Run {root.name} has learned on since its sliders were found.", remedy)
    if any(isinstance(row["attribute"], str) for row in note["sliders"]):
        raise GessoError(f"The sliders of run {root.name} are of an earlier Gesso.", remedy)
    named = [(Attribute(**row["attribute"]), row) for row in note["sliders"]]
    return [Slider(**{**row, "attribute": one}, direction=tensors[one.name]) for one, row in named]


def called(words: str) -> str:
    """A slider's name as it is written in a command: further-right."""
    return words.replace(",", "").replace(" ", "-")


class Wish(NamedTuple):
    """A slider as it is wished for: by what name, and its strengths, in those of the slider and as they were given."""

    name: str
    slider: Slider
    strengths: list[float]
    given: list[float]


def wished(root: Path, model: str, wishes: Sequence[str]) -> list[Wish]:
    """Sliders of a run as they are wished for: larger=1.5, or by the name of the other end, smaller=1.5; several
    strengths with commas.

    Raises GessoError as `kept`, for a slider that there is not, with the nearest that there is, and for a strength that
    is no number, or beyond where the slider works.
    """
    sliders, out = kept(root, model), list[Wish]()
    ends = {called(one.attribute.more): (one, 1) for one in sliders}
    ends |= {called(one.attribute.less): (one, -1) for one in sliders}
    for wish in wishes:
        words, _, numbers = wish.partition("=")
        name = called(" ".join(words.casefold().split()))
        try:
            given = [float(number) for number in numbers.split(",")]
        except ValueError:
            raise GessoError(f"'{wish}' does not say how far.", f"Write for example {name or 'larger'}=1.5.") from None
        if name not in ends:
            raise GessoError(f"This run has no slider '{name}'.", nearest(name, ends))
        slider, sign = ends[name]
        low, high = sorted((sign * slider.low, sign * slider.high))
        for strength in given:
            if not low <= strength <= high:
                raise GessoError(f"{name} works from {low:g} to {high:g}; {strength:g} is beyond.", "Choose less.")
        out.append(Wish(name, slider, [sign * strength for strength in given], given))
    return out


def chosen(root: Path, model: str, wishes: Sequence[str]) -> Steering:
    """Sliders of a run as they are wished for, each of one strength; raises GessoError as `wished`."""
    some = wished(root, model, wishes)
    for one in some:
        if len(one.given) > 1:
            raise GessoError(
                f"{one.name} has {len(one.given)} strengths.", "A picture has one: draw several, or a film."
            )
    moved = Moved(sliders={one.name: one.given[0] for one in some}, file=sha256_of(root / FILE))
    return Steering([(one.slider, one.strengths[0]) for one in some], moved)


def again(root: Path, model: str, moved: Moved) -> Steering:
    """The sliders that a recipe tells of; raises GessoError where they were found anew since."""
    steering = chosen(root, model, [f"{name}={strength!r}" for name, strength in moved.sliders.items()])
    if steering.moved.file != moved.file:
        raise GessoError(
            f"The sliders of run {root.name} were found anew since that picture was drawn.",
            "Its seed and its sliders still give nearly the same: gesso sample RUN --seed N --slide NAME=STRENGTH.",
        )
    return steering
