"""How a model learns and draws.

Every family, from the first GAN to tokens, is a set of *parts* (networks) that learn in *turns* and draw
by *sample*. The trainer, the sampler, measures, explorers and exporters know this page and nothing else:
a family that keeps it needs no other plumbing.

Images are `n c h w` floats in [-1, 1]: c = 1 (grey), 3 (RGB) or 4 (RGB + alpha, premultiplied), height and
width may differ. Time is an argument: whatever changes during a run is a pure function of the clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gesso.options import Field, Options


class Facts(Options):
    """What a family must know of the data; it comes from the data and is never configured."""

    channels: Literal[1, 3, 4] = Field(description="1 grey, 3 RGB, 4 RGB and premultiplied alpha.")
    height: int = Field(ge=8, le=2048, description="Height in pixels.")
    width: int = Field(ge=8, le=2048, description="Width in pixels.")
    labels: tuple[str, ...] = Field(default=(), description="Names of the classes, in the order of their numbers.")
    vocabulary: str = Field(default="", description="What `text.Vocabulary` learned from the captions; empty: none.")
    captions: tuple[str, ...] = Field(default=(), description="Some captions, to draw from where none is asked for.")
    source: Literal[0, 1, 3, 4] = Field(default=0, description="Channels of the pictures that are translated; 0: none.")
    count: int = Field(default=0, ge=0, description="How many pictures there are.")


class Learning(Options):
    """What every family's Config has: the size of a step and how it falls."""

    batch: int = Field(default=64, ge=1, le=4096, description="Pictures a step, over all processes.")
    lr: float = Field(default=2e-4, gt=0, le=1, description="Learning rate of Adam at its highest.")
    warmup: float = Field(default=0.0, ge=0, le=1, description="Share of the run over which the rate rises from zero.")
    decay: float = Field(
        default=0.0, ge=0, le=1, description="Share of the run, its last part, over which the rate falls to zero."
    )
    average: float = Field(
        default=0.05, ge=0, le=1, description="Half-life of the running average, as a share of the pictures seen."
    )
    average_most: int = Field(
        default=20_000, ge=0, description="The longest half-life of the running average, in pictures."
    )
    flip: bool = Field(default=False, description="Show pictures mirrored half of the time.")


@dataclass(frozen=True)
class Clock:
    """Where a run stands. step: optimizer steps done; seen: pictures shown; total: pictures in the whole run."""

    step: int
    seen: int
    total: int

    @property
    def fraction(self) -> float:
        """How much of the run is done, 0 to 1."""
        return min(self.seen / max(self.total, 1), 1.0)


@dataclass(frozen=True)
class Turn:
    """One backward pass and the parts that step on it, every `every`-th step (lazy regularisation).

    begin, end: the stretch of the run, as shares of it, over which their learning rate rises and falls. small: pictures
    of one backward pass on a CPU, of which the batch then makes several, a step each; 0: one with all of them. A GPU
    takes as long for a few as for all.
    """

    name: str
    parts: tuple[str, ...]
    every: int = 1
    begin: float = 0.0
    end: float = 1.0
    small: int = 0


@dataclass(frozen=True)
class Adam:
    """How a part steps (Kingma and Ba 2015; decoupled decay of Loshchilov and Hutter 2019)."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None  # largest gradient norm of the part


@dataclass
class Batch:
    """What a turn learns from, on the family's device. Fields that the data does not have are None."""

    image: Float[Tensor, "n c h w"]
    label: Int[Tensor, " n"] | None = None
    text: list[str] | None = None
    source: Float[Tensor, "n s h w"] | None = None
    mask: Float[Tensor, "n 1 h w"] | None = None


@dataclass
class Condition:
    """What a drawing is asked to be. Fields that are None are the family's to choose."""

    label: Int[Tensor, " n"] | None = None
    text: list[str] | None = None
    source: Float[Tensor, "n s h w"] | None = None
    mask: Float[Tensor, "n 1 h w"] | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)


Choices = TypeVar("Choices", bound=Learning)
Handles = TypeVar("Handles", bound=Options)


class Family(nn.Module, ABC, Generic[Choices, Handles]):
    """A model family. Concrete families are final; nothing may be overridden twice."""

    name: ClassVar[str]
    Config: ClassVar[type[Learning]]  # choices made when training
    Knobs: ClassVar[type[Options]]  # choices made when drawing
    presets: ClassVar[dict[str, dict]]  # name -> values of Config that belong together; "" is the default
    sizes: ClassVar[dict[int, dict]] = {}  # shorter side in pixels -> values of Config for pictures from there on
    needs: frozenset[str] = frozenset()  # of {"label", "text", "source", "pair"}: what a batch must carry
    takes: frozenset[str] = frozenset()  # what it uses where the data has it; an instance may use less
    ema: ClassVar[tuple[str, ...]]  # parts that keep a running average, used for drawing
    geometry: ClassVar[Literal["gaussian", "uniform"]] = "gaussian"
    paper: ClassVar[str]
    parts: nn.ModuleDict

    def __init__(self, config: Choices, facts: Facts):
        """config is of this family's Config; facts come from the data. Weights come from torch's global generator."""
        super().__init__()
        self.config = config
        self.facts = facts

    @classmethod
    def needed(cls, config: Learning) -> frozenset[str]:
        """What the data must have with such choices. A "pair" is a source of each picture, a "source" any other one."""
        return cls.needs

    @property
    def asks(self) -> frozenset[str]:
        """What a drawing may be asked by: of {"label", "text", "source"}."""
        there = {"label": bool(self.facts.labels), "text": bool(self.facts.vocabulary)}
        wanted = {"source" if what == "pair" else what for what in self.needs | self.takes}
        return frozenset(what for what in wanted if there.get(what, True))

    @property
    def alike(self) -> dict[str, Any]:
        """Knobs by which drawn pictures are of the kind that was learned from, and so can be compared with it."""
        return {}

    @property
    def obedient(self) -> dict[str, Any]:
        """Knobs where a label or a text is asked for, as far as they are not given: how it is best done."""
        return {}

    @abstractmethod
    def turns(self, clock: Clock) -> Sequence[Turn]:
        """The turns of one step, in order; growth and stages are pure functions of the clock."""

    @abstractmethod
    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """Named scalar losses of a turn, already weighted: the trainer adds them up and goes backward once.

        A detached entry is a figure for the log only.
        """

    @abstractmethod
    def adam(self, part: str) -> Adam:
        """How a part steps."""

    @abstractmethod
    def prior(self, n: int, rng: torch.Generator) -> Tensor:
        """n latents, on the generator's device. Drawing is a pure function of them."""

    @abstractmethod
    def sample(self, z: Tensor, condition: Condition, knobs: Handles) -> Iterator[Float[Tensor, "n c h w"]]:
        """Draw, as a stream of better and better pictures in [-1, 1]; the last is the answer.

        No picture may depend on another of its batch.
        """

    @abstractmethod
    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """What n pictures are asked to be, as the tensors that `core` takes after the latents; batch first."""

    @abstractmethod
    def core(self, knobs: Handles) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The graph to export, tensors to tensor, with example inputs (batch first): latents, then `inputs`."""


class Encoder(Family[Choices, Handles]):
    """A family that can also look: VAE, VQ, flow.

    exact: what it finds is all that its latents can say of a picture, so that no search would come nearer.
    """

    exact: ClassVar[bool] = False

    @abstractmethod
    def encode(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Tensor:
        """Latents that draw the pictures again, as nearly as the family can."""


@runtime_checkable
class Judge(Protocol):
    """A family that can say how real a picture looks to it: one with a critic."""

    def judge(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, " n"]:
        """The higher, the more real; with gradients. On which scale is the family's own affair."""
        ...
