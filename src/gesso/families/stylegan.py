"""Generators that are steered by styles (StyleGAN2; Karras et al. 2019, 2020).

A latent becomes a style w; every layer of the synthesis, from a small constant map up to the picture, is modulated by
it. So a picture's coarse layers may follow one latent and its fine layers another (mixing), and pulling w towards its
mean trades variety for safety (truncation).

**Drawing is a pure function of the latents.** What the layers' noise is in training, drawn anew for every picture, is
in drawing a mixture of eight fixed maps (from `noise_seed`), weighted by the first eight numbers of the latent on a
sphere: it has unit variance, every picture has its own, it changes smoothly between two latents, and it is a plain
graph, so that what is exported draws what the program draws.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from gesso.adversarial import Adversarial, AdversarialConfig, Given, Made, primer_critic
from gesso.augment import OPERATIONS
from gesso.conditioning import Conditions
from gesso.contract.family import Batch, Clock, Condition, Facts, Turn
from gesso.equalised import EqualConv2d, minibatch_deviation, pixel_norm
from gesso.errors import GessoError
from gesso.nn import Project, channels_at, levels, normalised
from gesso.options import Field, Options
from gesso.style import Mapping, Modulated, Noise, path_lengths

MAPS = 8  # fixed maps of noise that a drawing mixes


class StyleGANConfig(AdversarialConfig):
    """Choices of a StyleGAN."""

    critic: Literal["strided", "residual", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="strided", description="Shape of the critic; or heads that stand on the primer."
    )
    norm: Literal["spectral", "equalised"] = Field(
        default="spectral",
        description="What holds the critic in check: its weights' norm, or r1 beside equalised rates.",
    )
    deviation: bool = Field(default=False, description="Let the critic see how much the pictures of a batch differ.")
    latent: int = Field(default=128, ge=8, le=4096, description="Numbers that a picture is drawn from.")
    style: int = Field(default=128, ge=8, le=1024, description="Numbers of a style.")
    mapping: int = Field(default=2, ge=1, le=8, description="Layers from the latent to the style.")
    mapping_rate: float = Field(
        default=0.1, gt=0, le=1, description="How fast these learn, as a share of the synthesis' rate."
    )
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of the generator, the unit that every level multiplies."
    )
    most: int = Field(default=4, ge=1, le=64, description="The largest multiple of it, at the smallest maps.")
    critic_width: int = Field(default=32, ge=4, le=512, description="Channels of the critic, likewise.")
    convolutions: int = Field(default=1, ge=1, le=2, description="Convolutions a level.")
    synthesis: Literal["skip", "residual"] = Field(
        default="skip", description="Every level paints and the paintings add up; or the maps do, and the last paints."
    )
    full: bool = Field(
        default=False, description="Maps of features at the full size, too; else the last doubling paints the picture."
    )
    enlarge: Literal["nearest", "bilinear"] = Field(default="nearest", description="How maps are enlarged.")
    noise: bool = Field(default=True, description="Noise in every layer, of a strength that is learned.")
    mixing: float = Field(
        default=0.0, ge=0, le=1, description="Share of pictures that are learned with two styles, coarse and fine."
    )
    path: float = Field(default=0.0, ge=0, description="Weight of the penalty on uneven lengths of paths; 0: none.")
    path_every: int = Field(
        default=8, ge=1, le=64, description="Apply it at every such step, as much stronger, on half of the batch."
    )
    batch: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Pictures a step, over all processes; unless set, 64 on a GPU and above 32 × 32 pixels.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "StyleGANConfig":
        if self.norm == "equalised" and self.critic != "primer" and not (self.r1 or self.gradient_penalty):
            raise ValueError("a critic with norm=equalised needs a gradient penalty; choose r1=0.5 or norm=spectral")
        if self.critic == "primer" and self.norm != "spectral":
            raise ValueError("the critic on the primer has norm=spectral")
        if self.critic == "primer" and self.deviation:
            raise ValueError("the critic on the primer judges every picture by itself; leave deviation out")
        return self


class Styling(Options):
    """Choices when drawing: how far styles may stray, of what they are mixed, and the noise in the layers."""

    truncation: float = Field(
        default=1.0,
        ge=0,
        le=2,
        description="Distance of a style from the mean one: 0 the mean, 1 as learned, above wilder.",
    )
    truncate_layers: int = Field(
        default=0, ge=0, description="Truncate only the first, coarse, so many layers; 0: all of them."
    )
    noise: bool = Field(default=True, description="Noise in every layer, where the model learned with some.")
    noise_seed: int = Field(default=0, ge=0, lt=2**63, description="Where the noise comes from.")
    mix_seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="Seed of a second latent, whose style the fine layers follow."
    )
    mix_from: int = Field(default=3, ge=1, description="The first layer that follows the second style, counted from 0.")


class Level(nn.Module):
    """One size of the synthesis: modulated convolutions with noise and bias; and what this level paints.

    doubled: how the map is enlarged; None at the smallest. layers: how many styles it uses.
    """

    def __init__(
        self, config: StyleGANConfig, inside: int, outside: int, doubled: Literal["nearest", "bilinear"] | None
    ):
        super().__init__()
        first = Modulated(inside, outside, 3, config.style, doubled)
        more = config.convolutions - 1 if doubled else 0
        rest = [Modulated(outside, outside, 3, config.style) for _ in range(more)]
        self.convs = nn.ModuleList([first, *rest])
        self.noises = nn.ModuleList(Noise() for _ in self.convs) if config.noise else None
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(outside, 1, 1)) for _ in self.convs)
        self.layers = len(self.convs)
        around = config.synthesis == "residual" and doubled
        self.skip = EqualConv2d(inside, outside, 1, gain=1.0) if around else None

    def forward(
        self, x: Float[Tensor, "n i h w"], styles: Sequence[Tensor], noises: Sequence[Tensor]
    ) -> Float[Tensor, "n o H W"]:
        """styles: n d, one a layer; noises: n 1 H W, likewise, or none."""
        y = x
        for number, (conv, bias) in enumerate(zip(self.convs, self.biases, strict=True)):
            y = conv(y, styles[number])
            if self.noises is not None and noises:
                y = self.noises[number](y, noises[number])
            y = F.leaky_relu(y + bias.to(y.dtype), 0.2)
        if self.skip is None:
            return y
        return (y + F.interpolate(self.skip(x), scale_factor=2.0, mode="bilinear")) * 0.5**0.5


class Generator(nn.Module):
    """Mapping and synthesis. mean: of the styles, a running one; length: of the paths, likewise.

    layers: styles that a picture has. shapes: height and width of each layer's noise.
    """

    mean: Tensor
    length: Tensor

    def __init__(self, config: StyleGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        self.asked = conditions.conditioner(config.style)
        self.mapping = Mapping(
            config.latent, config.style, config.mapping, config.style if self.asked else 0, config.mapping_rate
        )
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.width, level, config.most) for level in range(n, 0, -1)]
        if config.full:
            widths.append(widths[-1] // 2)
        h, w = facts.height >> n, facts.width >> n
        self.start = nn.Parameter(torch.randn(1, widths[0], h, w))
        doubled: list[Literal["nearest", "bilinear"] | None] = [None, *[config.enlarge] * (len(widths) - 1)]
        ends = pairwise([widths[0], *widths])
        self.levels = nn.ModuleList(Level(config, a, b, way) for (a, b), way in zip(ends, doubled, strict=True))
        last = len(widths) - 1
        paints = config.synthesis == "skip"
        self.paints = nn.ModuleList(
            Modulated(width, facts.channels, 1, config.style, demodulate=False) if paints or (i == last and config.full)
            else nn.Identity()
            for i, width in enumerate(widths)
        )  # fmt: skip
        self.final = (
            None if config.full else Modulated(widths[-1], facts.channels, 3, config.style, config.enlarge, False)
        )
        self.colour = nn.Parameter(torch.zeros(facts.channels, 1, 1))
        sizes = [(h << i, w << i) for i, level in enumerate(self.levels) for _ in range(level.layers)]
        self.shapes = sizes if config.noise else []
        self.layers = len(sizes) + (not config.full)
        self.register_buffer("mean", torch.zeros(config.style))
        self.register_buffer("length", torch.zeros(()))

    def style(self, z: Float[Tensor, "n l"], *given: Tensor) -> Float[Tensor, "n d"]:
        """The styles of latents."""
        return self.mapping(z, self.asked(*given).vector if self.asked else None)

    def forward(self, styles: Float[Tensor, "n l d"], noises: Sequence[Tensor] = ()) -> Float[Tensor, "n c h w"]:
        """Pictures, as numbers that may leave [-1, 1]. styles: one a layer; noises: n 1 h w each, of `shapes`."""
        x, picture, used = self.start.expand(len(styles), -1, -1, -1), self.colour, 0
        for level, paint in zip(self.levels, self.paints, strict=True):
            until = used + level.layers
            x = level(x, styles[:, used:until].unbind(1), noises[used:until])
            if picture.dim() == 4:
                picture = F.interpolate(picture, scale_factor=2.0, mode="bilinear")
            if isinstance(paint, Modulated):
                picture = picture + paint(x, styles[:, until - 1])
            used = until
        if self.final is None:
            return picture
        fine = self.final(x, styles[:, -1])
        if picture.dim() == 4:
            picture = F.interpolate(picture, scale_factor=2.0, mode="bilinear")
        return picture + fine


class Halving(nn.Module):
    """A critic's level that halves: leaky ReLU, strided convolution; residual: one more before, and a way around."""

    def __init__(self, config: StyleGANConfig, inside: int, outside: int):
        super().__init__()
        self.halve = halving(config, inside, outside)
        self.first = self.around = None
        if config.critic == "residual" and config.norm == "spectral":
            self.first = normalised(nn.Conv2d(inside, inside, 3, padding=1), True)
            self.around = normalised(nn.Conv2d(inside, outside, 1, bias=False), True)
        elif config.critic == "residual":
            self.first, self.around = EqualConv2d(inside, inside, 3), EqualConv2d(inside, outside, 1, gain=1.0)

    def forward(self, x: Float[Tensor, "n i H W"]) -> Float[Tensor, "n o h w"]:
        """h = H / 2, w = W / 2."""
        y = F.leaky_relu(x, 0.2)
        if self.first is None or self.around is None:
            return self.halve(y)
        y = self.halve(F.leaky_relu(self.first(y), 0.2))
        return (y + self.around(F.avg_pool2d(x, 2))) * 0.5**0.5


def halving(config: StyleGANConfig, inside: int, outside: int) -> nn.Module:
    """A convolution that halves: of 4 × 4 and spectral norm one, or of 3 × 3, averaged, at an equalised rate."""
    if config.norm == "spectral":
        return normalised(nn.Conv2d(inside, outside, 4, 2, 1), True)
    return EqualConv2d(inside, outside, 3, sampling="down")


class Critic(nn.Module):
    """Convolutions that halve, down to 4 × 4 or so, and a linear judgement, with what is asked by projection."""

    def __init__(self, config: StyleGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.critic_width, level, config.most) for level in range(1, n + 1)]
        spectral, self.deviation = config.norm == "spectral", config.deviation
        self.look = halving(config, facts.channels, widths[0])
        self.blocks = nn.ModuleList(Halving(config, a, b) for a, b in pairwise(widths))
        self.last = None
        if config.deviation:
            last = (widths[-1] + 1, widths[-1], 3)
            self.last = normalised(nn.Conv2d(*last, padding=1), True) if spectral else EqualConv2d(*last)
        self.asked = conditions.conditioner(config.asked_width, spectral)
        features = widths[-1] * (facts.height >> n) * (facts.width >> n)
        self.judge = Project(features, config.asked_width if self.asked else 0, spectral)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> Float[Tensor, " n"]:
        """How real each picture looks."""
        x = self.look(x)  # n c h w -> n w h/2 w/2
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(x, 0.2)
        if self.last is not None:
            x = F.leaky_relu(self.last(minibatch_deviation(x)), 0.2)
        return self.judge(x.flatten(1), self.asked(*given).vector if self.asked else None)


class Drawing(nn.Module):
    """What draws: the generator, with the knobs as constants of the graph.

    Raises GessoError where a knob names a layer that there is not.
    """

    def __init__(self, generator: Generator, knobs: Styling, latent: int):
        super().__init__()
        count = generator.layers
        for name, value, most in (
            ("mix_from", knobs.mix_from if knobs.mix_seed is not None else 1, count - 1),
            ("truncate_layers", knobs.truncate_layers, count),
        ):
            if value > most:
                raise GessoError(
                    f"{name} = {value}: this generator has {count} layers, counted from 0 to {count - 1}.",
                    f"Choose {name} between 1 and {most}.",
                )
        self.generator = generator
        near = knobs.truncate_layers or count
        psi = torch.tensor([knobs.truncation if layer < near else 1.0 for layer in range(count)])
        self.register_buffer("psi", psi[:, None])
        self.maps = 0
        if knobs.noise:
            rng = torch.Generator().manual_seed(knobs.noise_seed)
            self.maps = len(generator.shapes)
            for number, shape in enumerate(generator.shapes):
                self.register_buffer(f"map{number}", torch.randn(MAPS, *shape, generator=rng))
        self.fine = knobs.mix_from if knobs.mix_seed is not None else count
        if knobs.mix_seed is not None:
            rng = torch.Generator().manual_seed(knobs.mix_seed)
            self.register_buffer("second", torch.randn(1, latent, generator=rng))

    def forward(self, z: Float[Tensor, "n l"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        generator = self.generator
        styles = generator.style(z, *given)[:, None].expand(-1, generator.layers, -1)
        if self.fine < generator.layers:
            other = generator.style(self.get_buffer("second").expand(len(z), -1), *given)[:, None]
            styles = torch.cat([styles[:, : self.fine], other.expand(-1, generator.layers - self.fine, -1)], 1)
        styles = generator.mean + (styles - generator.mean) * self.get_buffer("psi")
        shares = pixel_norm(z[:, :MAPS]) * MAPS**-0.5  # on the sphere: the mixture's variance is one
        noises = [
            torch.einsum("nm,mhw->nhw", shares, self.get_buffer(f"map{number}"))[:, None] for number in range(self.maps)
        ]
        return generator(styles, noises).clamp(-1, 1)


class StyleGAN(Adversarial[StyleGANConfig, Styling]):
    """A generator whose layers a style modulates, and a critic."""

    name = "stylegan"
    Config = StyleGANConfig
    Knobs = Styling
    takes = frozenset({"label", "text"})
    paper = "Karras et al. 2019; Karras et al. 2020 (StyleGAN2); Karras et al. 2020 (ADA)"
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "small": {"augment": ["translation"]},
        "adaptive": {"augment": list(OPERATIONS), "adaptive": True},
        "primer": {"critic": "primer", "augment": ["translation"]},
        "paper": {
            "critic": "residual", "norm": "equalised", "deviation": True, "loss": "non-saturating", "r1": 0.1,
            "penalty_every": 16, "path": 0.25, "mixing": 0.9, "mapping": 8, "mapping_rate": 0.01, "latent": 512,
            "style": 512, "width": 32, "critic_width": 32, "most": 8, "convolutions": 2, "full": True,
            "enlarge": "bilinear", "batch": 64, "lr": 2e-3, "critic_lr": 2e-3, "decay": 0.0,
        },
    }  # fmt: skip

    def __init__(self, config: StyleGANConfig, facts: Facts):
        super().__init__(config, facts)
        self.couples = config.deviation
        generator = Generator(config, facts, self.conditions)
        critic = (primer_critic if config.critic == "primer" else Critic)(config, facts, self.conditions)
        self.parts = self.players(generator, critic)

    @property
    def generator(self) -> Generator:
        """The part that paints."""
        generator = self.parts["generator"]
        assert isinstance(generator, Generator)
        return generator

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """As in `Adversarial`, and the paths' own."""
        c = self.config
        return [*super().turns(clock), *([Turn("path", ("generator",), c.path_every)] if c.path else [])]

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The game, or the penalty on paths: (‖J^T y‖ - a)², a their running mean (Karras et al. 2020, eq. 4)."""
        if turn.name != "path":
            return super().losses(turn, batch, clock, rng)
        n, generator = (len(batch.image) + 1) // 2, self.generator
        given = [tensor[:n] for tensor in self.inputs(batch, len(batch.image))]
        styles = self._styles(n, given, rng)
        lengths = path_lengths(generator(styles, self._noises(n, rng)), styles, rng)
        with torch.no_grad():
            begun = generator.length > 0
            generator.length.copy_(
                torch.where(begun, torch.lerp(generator.length, lengths.mean(), 0.01), lengths.mean())
            )
        uneven = (lengths - generator.length).square().mean()
        return {"path": uneven * (self.config.path * self.config.path_every)}

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """One pass of the generator; the mean style follows."""
        n = len(batch.image)
        return Made((self.generator(self._styles(n, given, rng), self._noises(n, rng)),))

    def _styles(self, n: int, given: Sequence[Tensor], rng: torch.Generator) -> Float[Tensor, "n l d"]:
        """Styles for every layer, for a share of the pictures of two latents, crossed at a random layer."""
        generator, mixing = self.generator, self.config.mixing
        first = generator.style(self.prior(n, rng), *given)
        with torch.no_grad():
            generator.mean.lerp_(first.detach().float().mean(0), 0.005)
        styles = first[:, None].expand(-1, generator.layers, -1)
        if not mixing:
            return styles
        second = generator.style(self.prior(n, rng), *given)[:, None]
        crossed = torch.randint(1, generator.layers, (n, 1, 1), generator=rng, device=rng.device)
        whole = torch.rand(n, 1, 1, generator=rng, device=rng.device) >= mixing
        coarse = torch.arange(generator.layers, device=rng.device)[:, None] < crossed
        return torch.where(whole | coarse, styles, second)

    def _noises(self, n: int, rng: torch.Generator) -> list[Tensor]:
        return [torch.randn(n, 1, *shape, generator=rng, device=rng.device) for shape in self.generator.shapes]

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n l"]:
        """Latents from N(0, 1)."""
        return torch.randn(n, self.config.latent, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: Styling) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator."""
        drawing = Drawing(self.generator, knobs, self.config.latent).to(z.device)
        yield drawing(z, *self.inputs(condition, len(z))).float()

    def core(self, knobs: Styling) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures."""
        drawing = Drawing(self.generator, knobs, self.config.latent).eval()
        return drawing, (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))
