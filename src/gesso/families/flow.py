"""Flow matching: a network that says which way noise has to go to become a picture.

On the straight line z = (1 - t) x + t e from a picture x (time 0) to noise e (time 1) the velocity is e - x; the
network learns its mean at every place and time (Lipman et al. 2023, eq. 23; Liu et al. 2023, eq. 1), and drawing
follows it from noise back. Followed the other way it looks: `encode` gives the noise of a picture.

With `latents` the pictures are maps that a network makes of them and another paints again (Rombach et al. 2022, section
3): both learn in the first part of the run.

With `few` it also learns the mean velocity between two times, so that it draws in one jump or in a few (MeanFlow; Geng
et al. 2025, eq. 6): u = v - (t - r) du/dt, where du/dt is taken along the way that the picture goes.
"""

import warnings
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.conditioning import LED, Asking, Conditions, Guidance, Guided
from gesso.contract.family import Adam, Batch, Clock, Condition, Encoder, Facts, Turn
from gesso.contract.known import Known
from gesso.errors import GessoError
from gesso.nn import levels
from gesso.nn.autoencode import Looking, Painting, shrinkage
from gesso.nn.equalised import pixel_norm
from gesso.nn.unet import UNet, waves
from gesso.options import Field
from gesso.reconstruction import SMALL, Likeness, Rebuilding, patch_critic
from gesso.solvers import SOLVERS, constrained

LOOKED = 40  # steps by which a picture's noise is found
CONSTRAINED = 40  # steps in which what is known of a picture is filled in
SHOWN = 4  # canvases of a drawing that are shown, the last among them
SHAKEN = 0.15  # standard deviation by which latents are shaken, so that those that are drawn need not be exact
EVEN = 1e-3  # error below which pictures weigh the same, where jumps are learned


class FlowConfig(Rebuilding, Asking):
    """Choices of a flow."""

    latents: int = Field(default=8, ge=0, le=64, description="Numbers of a place of the latents; 0: pixels are drawn.")
    side: int = Field(default=8, ge=2, le=64, description="Places along the shorter side of the latents.")
    eye: int = Field(default=32, ge=4, le=512, description="Channels that make latents of pictures and back.")
    first: float = Field(default=0.3, gt=0, lt=1, description="Share of the run in which latents are learned.")
    width: int = Field(default=64, ge=8, le=512, description="Channels of the first level; more on those below.")
    patch: Literal[1, 2, 4] = Field(
        default=2, description="Pixels of a side of the patches that it works on, where pixels are drawn."
    )
    few: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the pictures by which jumps are learned, for drawing in few steps.",
    )
    few_from: float = Field(
        default=0.5, ge=0, lt=1, description="Share of the flow's time after which jumps are learned, if they are."
    )
    early: float = Field(
        default=-0.4, ge=-3, le=3, description="Mean of the times' logits: below 0 more is learned near the picture."
    )
    spread: float = Field(default=1.0, gt=0, le=3, description="Standard deviation of the times' logits.")
    batch: int = Field(default=32, ge=1, le=4096, description="Pictures a step, over all processes.")
    lr: float = Field(default=1e-3, gt=0, le=1, description="Learning rate of Adam at its highest.")
    warmup: float = Field(default=0.02, ge=0, le=1, description="Share of the run over which the rate rises from zero.")
    decay: float = Field(
        default=0.5, ge=0, le=1, description="Share of the run, its last part, over which the rate falls to zero."
    )
    drop: float = Field(
        default=0.1, ge=0, lt=1, description="Share of pictures that are learned as if nothing were asked of them."
    )


class FlowKnobs(Guided):
    """Choices when drawing."""

    steps: int = Field(
        default=0, ge=0, le=1000, description="Steps from noise to picture; 0: as many as suit the solver."
    )
    solver: Literal["auto", "euler", "heun", "adaptive", "jump"] = Field(
        default="auto", description="How the velocity is followed; jump: by means between two times, in few steps."
    )
    tolerance: float = Field(default=0.02, gt=0, le=1, description="Error that the adaptive solver allows a step.")
    truncation: float = Field(
        default=1.0, gt=0, le=2, description="Spread of the latents: below 1 tamer, above 1 wilder."
    )


class Network(nn.Module):
    """A noisy picture and two times, the end of the way and its beginning → the mean velocity between them."""

    def __init__(self, config: FlowConfig, shape: tuple[int, int, int], conditions: Conditions):
        super().__init__()
        channels, height, width = shape
        patch = 1 if config.latents else config.patch
        told = 4 * config.width
        self.asked = conditions.conditioner(config.asked_width)
        self.join = nn.Linear(config.asked_width, told) if self.asked else None
        self.wide = config.width
        self.times = nn.Sequential(nn.Linear(2 * config.width, told), nn.SiLU(), nn.Linear(told, told))
        deep = levels(height // patch, width // patch)
        widths = [config.width * min(1 + level, 3) for level in range(min(deep, 3) + 1)][: max(deep, 1) + 1]
        words = config.asked_width if "text" in conditions.kinds else 0
        self.unet = UNet(channels, widths, patch, told, words)

    def forward(
        self, z: Float[Tensor, "n c h w"], r: Float[Tensor, " n"], t: Float[Tensor, " n"], *given: Tensor
    ) -> Float[Tensor, "n c h w"]:
        """r ≤ t; where they are one, the velocity at that time."""
        told = self.times(torch.cat([waves(t, self.wide), waves(t - r, self.wide)], 1))
        words = there = None
        if self.asked is not None and self.join is not None:
            vector, words, there = self.asked(*given)
            told = told + self.join(vector)
        return self.unet(z, F.silu(told), words, there)


class Drawing(nn.Module):
    """Latents and conditions → pictures, by a solver with fixed knobs."""

    def __init__(self, family: "Flow", knobs: FlowKnobs):
        super().__init__()
        self.network, self.knobs = family.parts["network"], knobs
        self.shape, self.pictures = family.shape, family.pictures
        self.solver = knobs.solver
        if knobs.solver == "auto":
            self.solver = "jump" if family.config.few else "heun"
        if self.solver == "jump" and not family.config.few:
            raise GessoError("This model has learned no jumps.", "Choose solver=heun, or train with --preset few.")
        self.guidance = Guidance(family.conditions, knobs, next(family.parameters()).device)
        self.steps = knobs.steps or {"jump": 4, "heun": 16, "euler": 32, "adaptive": 0}[self.solver]

    def velocity(
        self, z: Float[Tensor, "n c h w"], r: Float[Tensor, " n"], t: Float[Tensor, " n"], given: Sequence[Tensor]
    ) -> Float[Tensor, "n c h w"]:
        """What the network says, led by the guidance."""
        lead = self.guidance
        return lead.led(self.network(lead.twice(z), lead.twice(r), lead.twice(t), *lead.asked(given)).float())

    def stream(self, z: Float[Tensor, "n d"], *given: Tensor) -> Iterator[Float[Tensor, "n c h w"]]:
        """Pictures that lose their noise; the last has none."""
        yield from self.canvases(z.unflatten(1, self.shape) * self.knobs.truncation, 1.0, given)

    def canvases(
        self, x: Float[Tensor, "n d _ _"], begin: float, given: Sequence[Tensor]
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """What `follow` comes to, as pictures: a few on the way, since each is painted of its latents, and the last."""
        steps, last = max(round(self.steps * begin), 1), x
        apart = max(steps // SHOWN, SHOWN)  # where there are few steps, none is shown: painting costs as much as a step
        for number, last in enumerate(self.follow(x, begin, given), 1):
            if number % apart == 0 and (number < steps or not self.steps):
                yield self.pictures(last)
        yield self.pictures(last)

    def follow(
        self, x: Float[Tensor, "n c h w"], begin: float, given: Sequence[Tensor]
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """From what has as much noise as there is at the time `begin`; in as many of the steps as are left."""
        steps = max(round(self.steps * begin), 1)
        if self.solver == "jump":
            for i in range(steps, 0, -1):
                t, r = (x.new_full((len(x),), begin * k / steps) for k in (i, i - 1))
                x = x - begin * self.velocity(x, r, t, given) / steps
                yield x
            return

        def v(y: Tensor, t: Tensor) -> Tensor:
            return self.velocity(y, t, t, given)

        if self.solver == "heun" and steps > 1:  # the last step is Euler's, since at 0 hardly anything was learned
            rest, near = begin / steps, x
            for near in SOLVERS["heun"](v, x, begin, rest, steps - 1):
                yield near
            yield from SOLVERS["euler"](v, near, rest, 0.0, 1)
        else:
            how = self.knobs.tolerance if self.solver == "adaptive" else steps
            yield from SOLVERS[self.solver](v, x, begin, 0.0, how)

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        *_, last = self.follow(z.unflatten(1, self.shape) * self.knobs.truncation, 1.0, given)
        return self.pictures(last).clamp(-1, 1)


class Flow(Encoder[FlowConfig, FlowKnobs]):
    """A network that says which way noise has to go to become a picture."""

    name = "flow"
    Config = FlowConfig
    Knobs = FlowKnobs
    takes = frozenset({"label", "text"})
    ema = ("network", "eye", "hand")
    exact = True
    paper = (
        "Lipman et al. 2023; Liu et al. 2023; Esser et al. 2024 (times); Ho & Salimans 2022; Geng et al. 2025 (jumps); "
        "Rombach et al. 2022 (latents)"
    )
    presets: ClassVar[dict[str, dict]] = {"": {}, "few": {"few": 0.5}, "pixels": {"latents": 0, "width": 48}}
    sizes: ClassVar[dict[int, dict]] = {
        32: {},
        64: {"eye": 24},
        128: {"side": 16, "eye": 16, "patch": 4},
        256: {"side": 16, "latents": 16, "eye": 16, "patch": 4},
    }

    def __init__(self, config: FlowConfig, facts: Facts):
        super().__init__(config, facts)
        self.conditions = Conditions(facts, config.labels, config.captions, config.text_encoder)
        self.takes = frozenset(self.conditions.kinds)
        self.shape, parts = (facts.channels, facts.height, facts.width), dict[str, nn.Module]()
        if config.latents:
            shrink = shrinkage(facts.height, facts.width, config.side)
            parts["eye"] = Looking(facts.channels, config.eye, shrink, config.latents)
            parts["hand"] = Painting(facts.channels, config.eye, shrink, config.latents)
            parts |= patch_critic(config, *self.shape)
            self.shape = (config.latents, facts.height // shrink, facts.width // shrink)
            self.likeness = Likeness(config)
        self.parts = nn.ModuleDict({"network": Network(config, self.shape, self.conditions), **parts})

    @property
    def obedient(self) -> dict[str, Any]:
        """Led towards what is asked."""
        return LED if self.conditions.differ else {}

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """Where there are latents, those first; then the flow."""
        first = self.config.first if self.config.latents else 0.0
        if clock.fraction < first:
            return [
                Turn("latents", ("eye", "hand", *self.config.heard(clock.fraction / first)), end=first, small=SMALL)
            ]
        return [Turn("flow", ("network",), begin=first)]

    def maps(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d _ _"]:
        """What the flow learns to draw: pictures, or latents, whose numbers at a place have a root mean square of 1."""
        return pixel_norm(self.parts["eye"](image).float()) if self.config.latents else image

    def pictures(self, x: Float[Tensor, "n d _ _"]) -> Float[Tensor, "n c h w"]:
        """What it drew, as pictures."""
        return self.parts["hand"](x).float() if self.config.latents else x

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The squared error of the velocity; where jumps are learned, of the mean one, each picture's at equal weight.

        Of latents: how unlike pictures are that are painted from them, a little shaken.

        For the log: `error`, that of velocities at one time, as a share of what would be without looking.
        """
        n, c = len(batch.image), self.config
        if turn.name == "latents":
            seen = self.maps(batch.image)
            seen = seen + SHAKEN * torch.randn(seen.shape, generator=rng, device=seen.device)
            painted = self.parts["hand"](seen.to(batch.image.dtype))
            critic = self.parts["critic"] if "critic" in turn.parts else None
            return self.likeness(batch.image, painted, critic, rng=rng)
        with torch.no_grad():
            x = self.maps(batch.image)
        given = self.conditions.dropped(self.inputs(batch, n), c.drop, rng)
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        both = torch.sigmoid(c.early + c.spread * torch.randn(2, n, generator=rng, device=x.device))
        late = clock.fraction >= turn.begin + c.few_from * (turn.end - turn.begin)
        pairs = round(c.few * n) if late else 0  # of these pictures the first have two times
        t, r = both[0].clone(), both[0].clone()
        t[:pairs], r[:pairs] = both[:, :pairs].amax(0), both[:, :pairs].amin(0)
        at = t[:, None, None, None]
        z, v = torch.lerp(x, noise, at), noise - x
        target = v
        if pairs:
            target = v.clone()
            target[:pairs] -= (t - r)[:pairs, None, None, None] * self._change(z, v, r, t, given, pairs)
        said = self.parts["network"](z, r, t, *given).float()
        errors = (said - target).square().mean((1, 2, 3))
        loss = errors
        if pairs:
            loss = errors / (errors.detach() + EVEN)
        plain = errors[pairs:].detach().mean() / v[pairs:].square().mean()
        return {"flow": loss.mean(), "error": plain}

    @torch.no_grad()
    def _change(
        self, z: Tensor, v: Tensor, r: Tensor, t: Tensor, given: Sequence[Tensor], pairs: int
    ) -> Float[Tensor, "n c h w"]:
        """du/dt of the first pictures, along v (Geng et al. 2025, eq. 8)."""
        few = [tensor[:pairs] for tensor in given]

        def along(z: Tensor, t: Tensor) -> Tensor:
            return self.parts["network"](z, r[:pairs], t, *few).float()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own: it scripts what forward mode needs
            return torch.func.jvp(along, (z[:pairs], t[:pairs]), (v[:pairs], torch.ones_like(t[:pairs])))[1]

    def adam(self, part: str) -> Adam:
        """As usual for transformers and U-Nets; the critic remembers less."""
        return Adam(lr=self.config.lr, betas=(0.0 if part == "critic" else 0.9, 0.99), clip=1.0)

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Noise, a number a value of a pixel or of the latents."""
        return torch.randn(n, prod(self.shape), generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: FlowKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """Follow the velocity from noise."""
        for x in Drawing(self, knobs).to(z.device).stream(z, *self.inputs(condition, len(z))):
            yield x.clamp(-1, 1)

    def encode(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, "n d"]:
        """The noise that becomes this picture, by following the velocity from it."""
        drawing, given = Drawing(self, FlowKnobs(solver="heun")), self.inputs(condition, len(image))
        x = self.maps(image.float())
        *_, z = SOLVERS["heun"](lambda y, t: drawing.velocity(y, t, t, given), x, 0.0, 1.0, LOOKED)
        return z.flatten(1)

    def restore(
        self, z: Tensor, known: Known, condition: Condition, knobs: FlowKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """From noise (see `solvers.constrained`); knobs choose the steps, guidance and truncation.

        What is known with noise is believed as far as the guess of each step is worse (Song et al. 2023, "ΠGDM", eq. 7,
        with its r). Of pixels, where only noise is to go, drawing begins at the picture itself, at the time when there
        is as much noise on the straight line.
        """
        drawing, given = Drawing(self, knobs).to(z.device), self.inputs(condition, len(z))
        x = luck = z.unflatten(1, drawing.shape) * knobs.truncation
        begin, steps, pixels = 1.0, knobs.steps or CONSTRAINED, not self.config.latents and known.whole
        if known.noise and pixels:
            begin = known.noise / (1 + known.noise)
            steps = max(round(steps * begin), 1)
            x = (1 - begin) * known.image

        def fitted(y: Tensor, t: float) -> Tensor:
            if known.noise and pixels:
                return y
            drawn = self.pictures(y)
            unsure = t**2 / (t**2 + (1 - t) ** 2)
            return self.maps(torch.lerp(drawn, known.fitted(drawn), unsure / (unsure + known.noise**2)))

        for aim in constrained(lambda y, t: drawing.velocity(y, t, t, given), x, luck, fitted, begin, steps):
            drawn = self.pictures(aim)
            yield (drawn if known.noise else known.fitted(drawn)).clamp(-1, 1)

    def varied(
        self, z: Tensor, image: Float[Tensor, "n c h w"], strength: float, condition: Condition, knobs: FlowKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """As much noise as `strength` says is laid over the pictures, and taken away again (Meng et al. 2022)."""
        drawing = Drawing(self, knobs).to(z.device)
        noisy = torch.lerp(self.maps(image), z.unflatten(1, drawing.shape), strength)
        for x in drawing.canvases(noisy, strength, self.inputs(condition, len(z))):
            yield x.clamp(-1, 1)

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, as far as the data has them."""
        return self.conditions.tensors(asked, n, next(self.parameters()).device)

    def core(self, knobs: FlowKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures, every step unrolled."""
        if knobs.solver == "adaptive":
            raise GessoError("The adaptive solver's steps cannot be written down in advance.", "Choose solver=heun.")
        z = torch.zeros(1, prod(self.shape))
        return Drawing(self, knobs).eval(), (z, *self.inputs(Condition(), 1))
