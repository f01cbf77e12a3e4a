"""Progressive growing (Karras et al. 2018): both networks begin at 4 × 4 pixels and grow, a doubling at a time.

What is large in a picture is learned first, on small pictures, of which a machine sees many a second. New layers fade
in: while they do, the picture is a mix of what they paint and of the smaller picture enlarged, and real pictures are
mixed alike. How far a run has grown is a pure function of its clock; the generator keeps it beside its weights, so that
it draws at the stage where it stands.

Any networks can grow. Those of the paper have equalised learning rates, pixel norm and minibatch deviation; the default
ones are `gan`'s, which learn faster on a CPU: residual blocks with batch norm against spectral norm.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.adversarial import Adversarial, AdversarialConfig, Given, Made, Views, primer_critic
from gesso.conditioning import Conditions
from gesso.contract.family import Batch, Clock, Condition, Facts
from gesso.errors import GessoError
from gesso.nn import AskedNorm, Doubling, Project, UpBlock, levels, normalised
from gesso.nn.equalised import EqualConv2d, EqualLinear, minibatch_deviation, pixel_norm
from gesso.options import Field, Options

FOLLOW = 0.01  # how far the running mean of first maps moves in a step


class ProGANConfig(AdversarialConfig):
    """Choices of a growing GAN."""

    critic: Literal["own", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="own", description="The critic: one that grows too, or heads that stand on the primer."
    )
    networks: Literal["quick", "paper"] = Field(
        default="quick", description="What grows: networks that are quick on a CPU, or the paper's."
    )
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of the generator at full size; twice as many a stage below."
    )
    critic_width: int = Field(default=32, ge=4, le=512, description="Channels of the critic, likewise.")
    most: int = Field(default=128, ge=4, le=2048, description="Channels that a stage of either network has at most.")
    depth: Literal[1, 2] = Field(default=1, description="Convolutions a stage of the paper's networks; it has 2.")
    deviation: int = Field(
        default=0, ge=0, le=64, description="Pictures a group of whose deviation the critic is told; 0: it is not told."
    )
    bounded: bool = Field(default=True, description="Pictures end in a tanh; the paper's are cut off when drawn.")
    first: int = Field(default=4, ge=4, le=2048, description="Pixels of the shorter side at which growth begins.")
    last: float = Field(
        default=0.8, gt=0, le=1, description="Share of the run at the full size; the other stages share the rest."
    )
    fading: float = Field(default=0.5, ge=0, le=1, description="Share of an early stage over which a new one fades in.")
    batch: int = Field(default=16, ge=1, le=4096, description="Pictures a step, over all processes.")


class ProGANKnobs(Options):
    """Choices when drawing."""

    truncation: float = Field(
        default=1.0, gt=0, le=2, description="How far pictures are from the mean one: below 1 tamer, above 1 wilder."
    )
    stage: int = Field(default=0, ge=0, description="Stage to draw at: 0 the newest, 1 the smallest, and so on.")


class Standing(NamedTuple):
    """How far growth has come. stage: 1 for the smallest pictures; blend: how far it has faded in, 0 to 1."""

    stage: int
    blend: float


def stage_at(fraction: float, stages: int, last: float = 0.6, fading: float = 0.5) -> Standing:
    """Where a network of so many stages stands after a fraction of its run, in [0, 1].

    The last stage has the share `last` of the run, the others equal shares of the rest. Each but the first fades in,
    linearly, over as much of the run as the share `fading` of an early stage.
    """
    if stages == 1 or last == 1:
        return Standing(stages, 1.0)
    place = fraction * (stages - 1) / (1 - last)  # in early stages' lengths
    stage = min(int(place), stages - 1) + 1
    within = place - (stage - 1)
    return Standing(stage, min(within / fading, 1.0) if stage > 1 and fading else 1.0)


def enlarged(x: Float[Tensor, "n c h w"], times: int = 2) -> Float[Tensor, "n c H W"]:
    """Every pixel as a square of times × times."""
    return F.interpolate(x, scale_factor=float(times)) if times > 1 else x


class Growth:
    """Sizes and channels of all stages, from the smallest pictures that `nn.levels` gives."""

    def __init__(self, facts: Facts):
        self.stages = levels(facts.height, facts.width) + 1
        self.first = (facts.height >> (self.stages - 1), facts.width >> (self.stages - 1))

    def widths(self, base: int, most: int) -> list[int]:
        """Channels of every stage, of a network with `base` at the full size and at most `most`."""
        return [min(base << (self.stages - 1 - stage), most) for stage in range(self.stages)]

    def before(self, side: int) -> int:
        """How many stages are smaller than pictures whose shorter side is `side`; the last is not counted."""
        return sum(min(self.first) << stage < side for stage in range(self.stages - 1))

    def times(self, stage: int) -> int:
        """How many times smaller than at full size a picture's sides are."""
        return 2 ** (self.stages - stage)


class Paint(nn.Module):
    """A map → the picture that a stage paints of it, unbounded; where there is a norm, leaky ReLU after it."""

    def __init__(self, conv: nn.Module, norm: AskedNorm | None = None):
        super().__init__()
        self.norm, self.conv = norm, conv

    def forward(self, x: Float[Tensor, "n i h w"], vector: Tensor | None) -> Float[Tensor, "n c H W"]:
        """vector: of what is asked for."""
        return self.conv(x if self.norm is None else F.leaky_relu(self.norm(x, vector), 0.2))


class Plain(nn.Sequential):
    """A stage of the paper: convolutions, each followed by leaky ReLU and pixel norm; without any, the map itself."""

    def forward(self, x: Float[Tensor, "n i h w"], vector: Tensor | None) -> Float[Tensor, "n o H W"]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """vector: of what is asked for, which has joined the latents."""
        for layer in self:
            x = pixel_norm(F.leaky_relu(layer(x), 0.2))
        return x


class Generator(nn.Module):
    """Latents → a small map → stages that double it; each can paint a picture of its size.

    Quick stages are residual blocks whose batch norms hear what is asked for; they paint from the map of half the
    picture's size, in the step that doubles it. In the paper's networks what is asked for joins the latents; these and
    the channels of every place, after every layer, are normalised, and 1×1 convolutions paint.
    """

    def __init__(self, config: ProGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        growth, self.bounded, self.paper = Growth(facts), config.bounded, config.networks == "paper"
        self.asked = conditions.conditioner(config.asked_width)
        asked = config.asked_width if self.asked else 0
        widths = growth.widths(config.width, config.most)
        if self.paper:
            blocks = [Plain(EqualConv2d(widths[0], widths[0], 3))]
            for a, b in pairwise(widths):
                more = [EqualConv2d(b, b, 3) for _ in range(config.depth - 1)]
                blocks.append(Plain(EqualConv2d(a, b, 3, sampling="up"), *more))
            paint = [Paint(EqualConv2d(width, facts.channels, 1, gain=1.0)) for width in widths]
        else:
            widths[0] = widths[1]  # the first two stages paint from the same map
            blocks = [Plain(), Plain(), *(UpBlock(a, b, asked) for a, b in pairwise(widths[1:]))]
            paint = [Paint(nn.Conv2d(widths[0], facts.channels, 3, padding=1), AskedNorm(widths[0], asked))]
            paint += [Paint(Doubling(width, facts.channels), AskedNorm(width, asked)) for width in widths[1:]]
        self.blocks, self.paint = nn.ModuleList(blocks), nn.ModuleList(paint)
        self.shape = (widths[0], *growth.first)
        inside, outside = config.latent, math.prod(self.shape)
        self.start = EqualLinear(inside + asked, outside) if self.paper else nn.Linear(inside, outside)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("stage", torch.tensor(growth.stages))
        self.register_buffer("blend", torch.tensor(1.0))

    @property
    def standing(self) -> Standing:
        """Where it stands; of one that never learned, the end."""
        return Standing(int(self.get_buffer("stage")), float(self.get_buffer("blend")))

    def stand(self, at: Standing) -> None:
        """Remember where it stands."""
        self.get_buffer("stage").fill_(at.stage)
        self.get_buffer("blend").fill_(at.blend)

    def begin(self, z: Float[Tensor, "n d"], given: Given) -> tuple[Float[Tensor, "n c h w"], Tensor | None]:
        """The first map, of the smallest pictures' size, and the vector of what is asked for."""
        vector = self.asked(*given).vector if self.asked is not None else None
        if not self.paper:
            return self.start(z).reshape(-1, *self.shape), vector
        z = pixel_norm(z) if vector is None else torch.cat([pixel_norm(z), vector.to(z.dtype)], 1)
        return pixel_norm(F.leaky_relu(self.start(z).reshape(-1, *self.shape), 0.2)), vector

    @torch.no_grad()
    def remember(self, x: Float[Tensor, "n c h w"]) -> None:
        """Keep a running mean of first maps, towards which truncation draws: latents have no length here."""
        self.get_buffer("mean").lerp_(x.float().mean(0), FOLLOW)

    def maps(self, x: Float[Tensor, "n c h w"], vector: Tensor | None, stage: int) -> list[Tensor]:
        """What every stage up to one paints from, n c h w each, from the first map."""
        out: list[Tensor] = []
        for block in list(self.blocks)[:stage]:
            x = block(x, vector)
            out.append(x)
        return out

    def painted(self, maps: list[Tensor], vector: Tensor | None, blend: float = 1.0) -> Float[Tensor, "n c h w"]:
        """The picture of the last of some maps, mixed with that of the one before it, enlarged."""
        picture = self.paint[len(maps) - 1](maps[-1], vector)
        if blend < 1:
            before = enlarged(self.paint[len(maps) - 2](maps[-2], vector))
            picture = torch.lerp(before.to(picture.dtype), picture, blend)  # autocast may enlarge in float32
        return torch.tanh(picture) if self.bounded else picture

    def forward(
        self, z: Float[Tensor, "n d"], *given: Tensor, at: Standing, truncation: float = 1.0
    ) -> Float[Tensor, "n c h w"]:
        """Pictures of the size of a stage."""
        x, vector = self.begin(z, given)
        if truncation != 1:
            mean = self.get_buffer("mean")[None].to(x.dtype)
            x = torch.lerp(pixel_norm(mean) if self.paper else mean, x, truncation)
        return self.painted(self.maps(x, vector, at.stage), vector, at.blend)

    def followed(
        self, maps: list[Tensor], vector: Tensor | None, picture: Float[Tensor, "n c h w"], blend: float
    ) -> Float[Tensor, ""]:
        """How far from a picture, averaged down, the earlier stages paint; only what paints learns by it.

        When a stage is over, what follows goes on learning without it; so it still can be drawn.
        """
        errors = [torch.zeros((), device=picture.device)]
        vector = None if vector is None else vector.detach()
        for number, x in enumerate(maps[: -1 if blend == 1 else -2]):
            small = F.avg_pool2d(picture.detach().float(), 2 ** (len(maps) - 1 - number))
            errors.append(F.mse_loss(self.painted([*maps[:number], x.detach()], vector).float(), small))
        return torch.stack(errors).sum()


class Critic(nn.Module):
    """A picture of a stage's size → a map → stages that halve it → a judgement; what is asked by projection.

    Quick ones halve in their first step already, and have spectral norm. It is told how much pictures of a group
    differ where config.deviation says so. What the paper averages after the rectifier is averaged before it here, in
    one step with the convolution, at less than half of the cost.
    """

    def __init__(self, config: ProGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        growth, quick = Growth(facts), config.networks == "quick"
        self.group, self.first = config.deviation, growth.first[0]
        widths = growth.widths(config.critic_width, config.most)
        if quick:
            widths[0] = widths[1]
            looks = [normalised(nn.Conv2d(facts.channels, widths[0], 3, 1, 1), True)]
            looks += [normalised(nn.Conv2d(facts.channels, width, 4, 2, 1), True) for width in widths[1:]]
            ways = [normalised(nn.Conv2d(b, a, 4, 2, 1), True) for a, b in pairwise(widths[1:])]
            blocks = [nn.ModuleList(), *(nn.ModuleList([way]) for way in ways)]
        else:
            looks = [EqualConv2d(facts.channels, width, 1) for width in widths]
            blocks: list[nn.ModuleList] = []
            for a, b in pairwise(widths):
                more = [EqualConv2d(b, b, 3) for _ in range(config.depth - 1)]
                blocks.append(nn.ModuleList([*more, EqualConv2d(b, a, 3, sampling="down")]))
        self.look, self.blocks = nn.ModuleList(looks), nn.ModuleList(blocks)
        end = (widths[0] + bool(self.group), widths[0], 3)
        self.end = normalised(nn.Conv2d(*end, padding=1), True) if quick else EqualConv2d(*end)
        self.end = self.end if self.group or not quick else nn.Identity()
        self.asked = conditions.conditioner(config.asked_width, quick)
        features = widths[0] * growth.first[0] * growth.first[1]
        self.judge = Project(features, config.asked_width if self.asked else 0, quick)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor, blend: float = 1.0) -> Float[Tensor, " n"]:
        """How real each picture looks; blend: how far the stage of its size has faded in."""
        number = (x.shape[2] // self.first).bit_length() - 1
        y = F.leaky_relu(self.look[number](x), 0.2)
        for i in reversed(range(number)):
            block = self.blocks[i]
            assert isinstance(block, nn.ModuleList)
            for layer in block:
                y = F.leaky_relu(layer(y), 0.2)
            if i == number - 1 and blend < 1:
                y = torch.lerp(F.leaky_relu(self.look[i](F.avg_pool2d(x, 2)), 0.2).to(y.dtype), y, blend)
        if self.group:
            y = minibatch_deviation(y, self.group)
        if not isinstance(self.end, nn.Identity):
            y = F.leaky_relu(self.end(y), 0.2)
        return self.judge(y.flatten(1), self.asked(*given).vector if self.asked else None)


class Drawing(nn.Module):
    """Latents and conditions → pictures of the full size, of a generator that stands still."""

    def __init__(self, generator: Generator, at: Standing, times: int, truncation: float):
        super().__init__()
        self.generator, self.at, self.times, self.truncation = generator, at, times, truncation

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1], their pixels as squares where the stage's size is not the full one."""
        picture = self.generator(z, *given, at=self.at, truncation=self.truncation)
        return enlarged(picture, self.times).clamp(-1, 1)


class ProGAN(Adversarial[ProGANConfig, ProGANKnobs]):
    """A generator and a critic that grow together."""

    name = "progan"
    Config = ProGANConfig
    Knobs = ProGANKnobs
    takes = frozenset({"label", "text"})
    paper = "Karras et al. 2018; Huang et al. 2024"
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "small": {"augment": ["translation"]},
        "primer": {"critic": "primer", "first": 16, "augment": ["translation"]},
        "paper": {
            "networks": "paper", "loss": "wasserstein", "gradient_penalty": 10.0, "latent": 512, "width": 64,
            "critic_width": 64, "most": 512, "depth": 2, "deviation": 4, "bounded": False, "last": 0.5, "lr": 1e-3,
            "critic_lr": 1e-3, "decay": 0.0,
        },
    }  # fmt: skip
    sizes: ClassVar[dict[int, dict]] = {
        32: {"batch": 16},
        64: {"batch": 64, "first": 16},
        128: {"batch": 64, "first": 16, "width": 24, "critic_width": 24, "most": 192},
        256: {"batch": 32, "first": 16, "width": 16, "critic_width": 16, "most": 256, "last": 0.6},
    }

    def __init__(self, config: ProGANConfig, facts: Facts):
        super().__init__(config, facts)
        self.growth = Growth(facts)
        self.couples = self.several = bool(config.deviation) and config.critic == "own"
        critic = primer_critic if config.critic == "primer" else Critic
        generator = Generator(config, facts, self.conditions)
        self.parts = self.players(generator, critic(config, facts, self.conditions))

    @property
    def generator(self) -> Generator:
        """The part that paints."""
        generator = self.parts["generator"]
        assert isinstance(generator, Generator)
        return generator

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """One pass of the generator at the stage that the clock says, where it stands from now on."""
        before = self.growth.before(self.config.first)
        at = stage_at(clock.fraction, self.growth.stages - before, self.config.last, self.config.fading)
        at = Standing(at.stage + before, at.blend)
        self.generator.stand(at)
        x, vector = self.generator.begin(self.prior(len(batch.image), rng), given)
        self.generator.remember(x)
        maps = self.generator.maps(x, vector, at.stage)
        picture = self.generator.painted(maps, vector, at.blend)
        return Made(self._shown(picture), lambda: {"earlier": self.generator.followed(maps, vector, picture, at.blend)})

    def real(self, batch: Batch, given: Given, clock: Clock) -> Views:
        """Pictures averaged down to the size where the generator stands, and mixed as those that it makes are."""
        at = self.generator.standing
        x = F.avg_pool2d(batch.image, self.growth.times(at.stage))
        return self._shown(torch.lerp(enlarged(F.avg_pool2d(x, 2)), x, at.blend) if at.blend < 1 else x)

    def _shown(self, x: Float[Tensor, "n c h w"]) -> Views:
        """As the critic looks at pictures of a stage: the primer, whose heads fit one size, at them enlarged."""
        times = self.growth.times(self.generator.standing.stage)
        return (enlarged(x, times) if self.config.critic == "primer" else x,)

    def judged(self, views: Sequence[Tensor], given: Given) -> list[Float[Tensor, "n _"]]:
        """One judgement a picture."""
        return [self.parts["critic"](views[0], *given, blend=self.generator.standing.blend)[:, None]]

    def sample(self, z: Tensor, condition: Condition, knobs: ProGANKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator; raises GessoError for a stage that it has not reached."""
        yield self._drawing(knobs)(z, *self.inputs(condition, len(z))).float()

    def core(self, knobs: ProGANKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures."""
        return self._drawing(knobs), (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))

    def _drawing(self, knobs: ProGANKnobs) -> Drawing:
        at = self.generator.standing
        if knobs.stage > at.stage:
            raise GessoError(
                f"There is no stage {knobs.stage}: this generator has {at.stage}.",
                f"Choose one from 1 to {at.stage}, or 0 for the newest.",
            )
        if 0 < knobs.stage < at.stage:
            at = Standing(knobs.stage, 1.0)
        return Drawing(self.generator, at, self.growth.times(at.stage), knobs.truncation)
