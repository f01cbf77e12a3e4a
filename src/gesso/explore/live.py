"""One picture after the other while sliders are dragged: as little as can be is drawn anew.

What a seed, a label or a text comes to is computed once. Of a family whose pictures are made in stages (`Staged`),
those before the first that a slider changed are kept. Where onnxruntime draws the same quicker, it does.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.contract.steer import Staged, Styled
from gesso.errors import GessoError, nearest
from gesso.explore.graph import Graph
from gesso.explore.kept import called
from gesso.explore.sliders import Slider
from gesso.explore.space import Points, Space
from gesso.options import Options

__all__ = ["Explorer"]

NEAR = 1 / 255  # how far, of 2 from black to white, a graph may draw from what torch does: half a step of a byte
TRIED = 5  # drawings by which graph and torch are timed
ELSEWHERE = 2**31 - 1  # seed of the latent at which they are compared

Given = tuple[Tensor, ...]


@dataclass(frozen=True)
class _Step:
    """What the step before made, codes, latents and conditions → what the next needs. layers: of codes it looks at."""

    run: Callable[..., Sequence[Tensor]]
    layers: range


class _Chain:
    """Steps from codes to a picture, and what each made last."""

    def __init__(self, steps: Sequence[_Step]):
        self._steps = steps
        self.forget()

    def forget(self) -> None:
        """Draw all anew: latents or conditions are others."""
        self._made, self._codes = list[Given]([()] * len(self._steps)), None

    @torch.inference_mode()
    def draw(self, codes: Float[Tensor, "1 l d"], z: Tensor, given: Given) -> Float[Tensor, "c h w"]:
        """The picture, from the first step on whose codes changed."""
        first, self._codes = self._first(codes), None
        for number in range(first, len(self._steps)):
            before = self._made[number - 1] if number else ()
            made = tuple(self._steps[number].run(*before, codes, z, *given))
            self._made[number] = (made[0][0].clamp(-1, 1).cpu(),) if number + 1 == len(self._steps) else made
        self._codes = codes
        return self._made[-1][0]

    def _first(self, codes: Tensor) -> int:
        kept = self._codes
        if kept is None:
            return 0
        spans = [slice(step.layers.start, step.layers.stop) for step in self._steps]
        changed = (number for number, span in enumerate(spans) if not torch.equal(codes[:, span], kept[:, span]))
        return next(changed, len(spans))


class _Painter:
    """What draws a space: by torch, or by graphs where they are wanted, and draw the same.

    why: in which words graphs are not used; empty where they are.
    """

    def __init__(self, space: Space, begun: Points, graph: Literal["auto", "on", "off"], threads: int):
        self.space, self.points = space, begun
        self.chain, self.why = _Chain(self._plain(begun)), "Graphs are not wanted."
        if graph != "off":
            try:
                self.chain, self.why = self._quicker(graph == "on", threads), ""
            except GessoError as error:
                if graph == "on":
                    raise
                self.why = error.problem
        self.go(begun)

    def go(self, points: Points) -> None:
        """Draw another point from now on."""
        self.points = points
        self.given = self.space.family.inputs(points.condition, 1)
        self.chain.forget()

    def draw(self, codes: Float[Tensor, "1 l d"]) -> Float[Tensor, "c h w"]:
        """Of codes, with the point's latents and conditions."""
        return self.chain.draw(codes, self.points.z, self.given)

    def _plain(self, begun: Points) -> list[_Step]:
        family = self.space.family
        if isinstance(family, Staged):
            with torch.inference_mode(False):
                return [_Step(stage.module, stage.layers) for stage in family.stages(self.space.knobs)]

        def streamed(codes: Tensor, *given: Tensor) -> tuple[Tensor]:
            *_, last = self.space.stream(self.points.at(codes))
            return (last,)

        return [_Step(streamed, range(begun.codes.shape[1]))]

    def _quicker(self, wanted: bool, threads: int) -> _Chain:
        """Graphs, where they draw what torch draws, and sooner unless they are `wanted`; else raises GessoError."""
        space, plain, begun = self.space, self.chain, self.points
        if space.device.type != "cpu":
            raise GessoError(
                f"This model draws on {space.device.type}, and graphs are run on the CPU.", "Leave graph out."
            )
        given = space.family.inputs(begun.condition, 1)
        exported = _Chain(self._exported(begun, given, wanted, threads))
        rng = torch.Generator().manual_seed(ELSEWHERE)
        self.points = other = space.of(space.family.prior(1, rng), begun.label, begun.text)
        both = [chain.draw(other.codes, other.z, given) for chain in (plain, exported)]
        if not float((both[0] - both[1]).abs().max()) <= NEAR:
            raise GessoError("The graph does not draw what the model draws.", "Leave graph out.")
        if not wanted:
            took = [list[float](), list[float]()]
            for _ in range(TRIED):
                for chain, times in zip((plain, exported), took, strict=True):
                    chain.forget()
                    start = time.perf_counter()
                    chain.draw(other.codes, other.z, given)
                    times.append(time.perf_counter() - start)
            if statistics.median(took[1]) >= statistics.median(took[0]):
                raise GessoError("The graph is no quicker than the model.", "Leave graph out.")
        return exported

    def _exported(self, points: Points, given: Given, wanted: bool, threads: int) -> list[_Step]:
        space, family = self.space, self.space.family
        if isinstance(family, Staged):
            steps, state = list[_Step](), ()
            for stage in family.stages(space.knobs):
                example = (*state, points.codes, points.z, *given)
                steps.append(_Step(Graph(stage.module, example, threads), stage.layers))
                with torch.inference_mode():
                    state = stage.module(*example)
            return steps
        if isinstance(family, Styled):
            raise GessoError(f"A {family.name} is not exported from its styles.", "Leave graph out.")
        with torch.inference_mode():
            if not wanted and sum(1 for _ in space.stream(points)) > 1:
                raise GessoError("A drawing in many steps is a graph that takes too long to write.", "Leave graph out.")
        core = Graph(family.core(space.knobs)[0], (space.gathered(points.codes[:, 0], points.z), *given), threads)

        def drawn(codes: Tensor, z: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
            return core(space.gathered(codes[:, 0], z), *given)

        return [_Step(drawn, range(points.codes.shape[1]))]


class Explorer:
    """A model kept warm, that draws one picture at a time, as sliders are moved.

        explorer = Explorer(Space(model.family), sliders, seed=3)
        explorer.slide("larger", 1.5)
        picture = explorer.draw()  # c h w in [-1, 1]

    sliders: those with names (`kept` reads a run's). graph: draw by onnxruntime where it is installed, draws the same
    (to 1/255) and is quicker ("auto": tried out at once, which takes a second or so), always ("on") or never ("off").
    threads: of onnxruntime; 0: one a core; torch's are left as they are. previews: knobs by which `draw(half=True)`
    draws, where some are cheaper: fewer steps of a flow, an earlier stage of a progan.

    Weights must not change under it. With graph="on" raises GessoError where onnxruntime is not installed, and where
    the model cannot be exported or the graph draws something else.
    """

    def __init__(
        self,
        space: Space,
        sliders: Sequence[Slider] = (),
        seed: int = 0,
        graph: Literal["auto", "on", "off"] = "auto",
        threads: int = 1,
        previews: Options | None = None,
    ):
        self.space, self._asked = space, (seed, None, None)
        self._ends = {called(one.attribute.more): (one, 1) for one in sliders}
        self._ends |= {called(one.attribute.less): (one, -1) for one in sliders}
        self._moves = dict[str, tuple[Slider, float]]()
        self._begun = space.points([seed])
        self._painter = _Painter(space, self._begun, graph, threads)
        rough = None if previews is None else Space(space.family, previews)
        self._rough = None if rough is None else _Painter(rough, self._begun, graph, threads)

    @property
    def exported(self) -> bool:
        """Whether pictures are drawn by onnxruntime; where they are not, `why` says why."""
        return not self._painter.why

    @property
    def why(self) -> str:
        """Why they are drawn by torch; empty where they are not."""
        return self._painter.why

    @property
    def points(self) -> Points:
        """The point that is drawn, sliders and all: `Space.pictures` of it is what `draw` draws."""
        codes = self._begun.codes
        for slider, strength in self._moves.values():
            codes = codes + strength * slider.direction.to(codes)
        return self._begun.at(codes)

    @property
    def strengths(self) -> dict[str, float]:
        """How far sliders are moved, by the name of the end at which there is more; those at 0 are left out."""
        return {called(slider.attribute.more): strength for slider, strength in self._moves.values()}

    def go(self, where: int | Points, label: str | int | None = None, text: str | None = None) -> None:
        """To another seed, or to a given point; sliders stay where they are.

        label: its name or number; text: in words of the captions; neither, and a seed has its own, where it has some.
        Raises GessoError for what the model does not know, and for more than one point.
        """
        if isinstance(where, Points):
            if len(where) != 1:
                raise GessoError(f"One point is drawn at a time, not {len(where)}.", "Choose one: points[[0]].")
            self._asked = None
            self._go(where)
        elif self._asked != (where, label, text):
            known = self.space.family.facts.labels if "label" in self.space.family.asks else ()
            number = label if label is None or isinstance(label, int) else None
            if isinstance(label, str):
                if label not in known:
                    raise GessoError(f"The model knows no label '{label}'.", nearest(label, known))
                number = known.index(label)
            self._go(self.space.points([where], number, text))
            self._asked = (where, label, text)

    def slide(self, slider: str | Slider, strength: float) -> None:
        """Move a slider to a strength, from where it was; 0 is as if it were not there.

        slider: by the name of either end ("larger", "smaller"), or itself, whether it has a name here or not.

        Raises GessoError for a name that there is not, with the nearest that there is, for a strength beyond where it
        works, and for a slider of another model.
        """
        one, sign = (slider, 1) if isinstance(slider, Slider) else self._named(slider)
        name = called(one.attribute.more if sign > 0 else one.attribute.less)
        low, high = sorted((sign * one.low, sign * one.high))
        if not low <= strength <= high:
            raise GessoError(f"{name} works from {low:g} to {high:g}; {strength:g} is beyond.", "Choose less.")
        if one.direction.shape != self._begun.codes.shape[1:]:
            raise GessoError(f"The slider {name} is of another model.", "Find this one's: gesso directions RUN.")
        self._moves.pop(one.attribute.name, None)
        if strength:
            self._moves[one.attribute.name] = (one, sign * float(strength))

    def draw(self, half: bool = False) -> Float[Tensor, "c h w"]:
        """The picture, in [-1, 1]; the same tensor where nothing changed, so do not write into it.

        half: of half the sides, 2 × 2 pixels averaged, for while something is dragged. With `previews` it is drawn by
        those, which can be much cheaper; without, as the whole is, and only what comes after is saved: a quarter of
        the pixels are encoded and sent. No stage of a network is left out for it: of the default StyleGAN, only the
        last paints.
        """
        codes = self.points.codes
        if not half:
            return self._painter.draw(codes)
        return F.avg_pool2d((self._rough or self._painter).draw(codes), 2)

    def _named(self, words: str) -> tuple[Slider, int]:
        name = called(" ".join(words.casefold().split()))
        if name not in self._ends:
            remedy = nearest(name, self._ends) or "Find some: gesso directions RUN."
            raise GessoError(f"There is no slider '{name}'.", remedy)
        return self._ends[name]

    def _go(self, points: Points) -> None:
        self._painter.go(points)
        if self._rough is not None:
            self._rough.go(points)
        self._begun = points
