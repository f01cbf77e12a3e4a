"""Generators that are steered by styles (StyleGAN2; Karras et al. 2019, 2020).

A latent becomes a style w; every layer of the synthesis, from a small constant map up to the picture, is modulated by
it. So a picture's coarse layers may follow one latent and its fine layers another (mixing), and pulling w towards its
mean trades variety for safety (truncation). The default departs from the papers (preset "paper") where short runs on a
CPU need it: styles and maps are normalised over the batch, the smallest map comes of the style, tanh ends the picture.

**Drawing is a pure function of the latents.** What the layers' noise is in training, drawn anew for every picture, is
in drawing a mixture of eight fixed maps (from `noise_seed`), weighted by the first eight numbers of the latent on a
sphere: it has unit variance, every picture has its own, it changes smoothly between two latents, and it is a plain
graph, so that what is exported draws what the program draws.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
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
from gesso.contract.steer import Stage
from gesso.errors import GessoError
from gesso.nn import Project, channels_at, levels, normalised
from gesso.nn.equalised import EqualConv2d, EqualLinear, minibatch_deviation, pixel_norm
from gesso.nn.style import Constant, Halving, Level, Mapping, Modulated, halving, path_lengths, settled, twice
from gesso.options import Field, Options

R1 = 2e-4  # gamma times pictures a step, a pixel (Karras et al. 2020, ADA, appendix C)
MAPS = 8  # fixed maps of noise that a drawing mixes


class StyleGANConfig(AdversarialConfig):
    """Choices of a StyleGAN."""

    critic: Literal["strided", "residual", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="strided", description="Shape of the critic; or heads that stand on the primer."
    )
    norm: Literal["spectral", "equalised"] = Field(
        default="spectral",
        description="What holds the critic in check: its weights' norm, or r1, by default as strong as suits the size.",
    )
    deviation: bool = Field(default=False, description="Let the critic see how much the pictures of a batch differ.")
    latent: int = Field(default=128, ge=8, le=4096, description="Numbers that a picture is drawn from.")
    lr: float = Field(
        default=7e-3, gt=0, le=1, description="Learning rate of the generator, whose weights begin as N(0, 1)."
    )
    critic_lr: float = Field(default=2.4e-3, gt=0, le=1, description="Learning rate of the critic.")
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
    start: Literal["style", "constant"] = Field(
        default="style", description="The smallest map: of the style, by which forms soon differ; or learned, of none."
    )
    convolutions: int = Field(default=1, ge=1, le=2, description="Convolutions a level.")
    synthesis: Literal["skip", "residual"] = Field(
        default="residual", description="Paintings of all levels add up; or maps do, and the last is painted."
    )
    full: bool = Field(
        default=False, description="Maps of features at the full size, too; else the last doubling paints the picture."
    )
    batch_norm: bool = Field(
        default=True,
        description="Every map at mean zero and unit variance over the batch, so that pictures soon differ.",
    )
    enlarge: Literal["nearest", "bilinear"] = Field(default="nearest", description="How maps are enlarged.")
    bounded: bool = Field(
        default=True, description="Pictures end in tanh, which paints even grounds at once; else they are clipped."
    )
    noise: bool = Field(default=False, description="Noise in every layer, of a strength that is learned.")
    mixing: float = Field(
        default=0.0, ge=0, le=1, description="Share of pictures that are learned with two styles, coarse and fine."
    )
    path: float = Field(default=0.0, ge=0, description="Weight of the penalty on uneven lengths of paths; 0: none.")
    path_every: int = Field(
        default=8, ge=1, le=64, description="Apply it at every such step, as much stronger, on half of the batch."
    )
    batch: int = Field(
        default=32,
        ge=1,
        le=4096,
        description="Pictures a step, over all processes; unless set, 64 on a GPU and above 32 × 32 pixels.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "StyleGANConfig":
        if self.critic == "primer" and self.norm != "spectral":
            raise ValueError("the critic on the primer has norm=spectral")
        if self.critic == "primer" and self.deviation:
            raise ValueError("the critic on the primer judges every picture by itself; leave deviation out")
        return self


class Styling(Options):
    """Choices when drawing: how far styles may stray, of what they are mixed, and the noise in the layers."""

    truncation: float = Field(
        default=1.0, ge=0, le=2, description="Distance of styles from their mean: 0 on it, 1 as learned, 2 wild."
    )
    truncate_layers: int = Field(
        default=0, ge=0, description="Truncate only the first, coarse, so many layers; 0: all of them."
    )
    noise: bool = Field(default=True, description="Noise in every layer, where the model learned with some.")
    noise_seed: int = Field(default=0, ge=0, lt=2**63, description="Where the noise comes from.")
    mix_seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="Seed of a second latent, whose style the fine layers follow."
    )
    mix_from: int = Field(default=2, ge=1, description="The first layer that follows the second style, counted from 0.")


class Generator(nn.Module):
    """Mapping and synthesis. mean: of the styles, a running one; length: of the paths, likewise.

    layers: styles that a picture has; spans: those of each step. shapes: height and width of each noise.
    """

    mean: Tensor
    length: Tensor

    def __init__(self, config: StyleGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        self.asked = conditions.conditioner(config.style)
        asked = config.style if self.asked else 0
        self.mapping = Mapping(config.latent, config.style, config.mapping, asked, config.mapping_rate)
        self.level = nn.BatchNorm1d(config.style, affine=False) if config.batch_norm else nn.Identity()
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.width, level, config.most) for level in range(n, 0, -1)]
        widths += [config.width // 2] if config.full else []
        h, w = facts.height >> n, facts.width >> n
        start = (widths[0], h, w)
        of_style = nn.Sequential(EqualLinear(config.style, math.prod(start), gain=1.0), nn.Unflatten(1, start))
        self.start = of_style if config.start == "style" else Constant(start)
        steps: list[Level] = []
        residual = config.synthesis == "residual"
        for i, (a, b) in enumerate(pairwise([widths[0], *widths])):
            paints = facts.channels if not residual or (config.full and i == n) else 0
            steps.append(
                Level(
                    a, b, config.style, config.enlarge if i else None, paints, config.convolutions,
                    config.noise, config.batch_norm, residual,
                )
            )  # fmt: skip
        self.steps = nn.ModuleList(steps)
        last = (widths[-1], facts.channels, 3, config.style, config.enlarge, False)
        self.last = None if config.full else Modulated(*last)
        self.bounded = config.bounded
        self.colour = nn.Parameter(torch.zeros(facts.channels, 1, 1))
        ends = [0, *accumulate(len(step.convs) for step in steps)]
        self.layers = ends[-1] + (not config.full)
        self.spans = [range(*pair) for pair in pairwise([*ends, self.layers] if self.last else ends)]
        sizes = [(h << i, w << i) for i, step in enumerate(steps) for _ in step.convs]
        self.shapes = sizes if config.noise else []
        self.register_buffer("mean", torch.zeros(config.style))
        self.register_buffer("length", torch.zeros(()))

    def style(self, z: Float[Tensor, "n l"], *given: Tensor) -> Float[Tensor, "n d"]:
        """The styles of latents."""
        w = self.mapping(z, self.asked(*given).vector if self.asked else None)
        return w if self.training and len(w) == 1 else self.level(w)  # a single one has no spread

    def forward(self, styles: Float[Tensor, "n l d"], noises: Sequence[Tensor] = ()) -> Float[Tensor, "n c h w"]:
        """Pictures, beyond [-1, 1] where nothing bounds them. styles: one a layer; noises: n 1 h w, of `shapes`."""
        x = picture = None
        for number, span in enumerate(self.spans):
            some = noises[span.start : span.stop]
            x, picture = self.step(number, x, picture, styles[:, span.start : span.stop].unbind(1), some)
        assert picture is not None  # the last step paints where no other does
        return picture

    def step(
        self, number: int, x: Tensor | None, picture: Tensor | None, styles: Sequence[Tensor], noises: Sequence[Tensor]
    ) -> tuple[Tensor | None, Tensor | None]:
        """From the map and the picture before one of `spans` to those after it; styles and noises are its own."""
        if number < len(self.steps):
            x, picture = self.steps[number](self.start(styles[0]) if x is None else x, picture, styles, noises)
        elif self.last is not None:
            painted = self.last(x, styles[0])
            picture = painted if picture is None else twice(picture) + painted
        if number + 1 < len(self.spans) or picture is None:
            return x, picture
        picture = picture + self.colour
        return x, torch.tanh(picture) if self.bounded else picture


class Critic(nn.Module):
    """Convolutions that halve, down to 4 × 4 or so, and a linear judgement, with what is asked by projection."""

    def __init__(self, config: StyleGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.critic_width, level, config.most) for level in range(1, n + 1)]
        spectral, self.deviation = config.norm == "spectral", config.deviation
        self.look = halving(facts.channels, widths[0], spectral)
        self.blocks = nn.ModuleList(Halving(a, b, spectral, config.critic == "residual") for a, b in pairwise(widths))
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
        return self.paint(self.styles(z, *given), z)

    def styles(self, z: Float[Tensor, "n k"], *given: Tensor) -> Float[Tensor, "n l d"]:
        """Styles of all layers, mixed and truncated."""
        generator = self.generator
        styles = generator.style(z, *given)[:, None].expand(-1, generator.layers, -1)
        if self.fine < generator.layers:
            other = generator.style(self.get_buffer("second").expand(len(z), -1), *given)[:, None]
            styles = torch.cat([styles[:, : self.fine], other.expand(-1, generator.layers - self.fine, -1)], 1)
        return generator.mean + (styles - generator.mean) * self.get_buffer("psi")

    def paint(self, styles: Float[Tensor, "n l d"], z: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1] of styles, with the noise of latents."""
        return self.generator(styles, self.noises(z, range(self.maps))).clamp(-1, 1)

    def noises(self, z: Float[Tensor, "n k"], layers: range) -> list[Float[Tensor, "n 1 h w"]]:
        """The noise of latents in some layers."""
        shares = pixel_norm(z[:, :MAPS]) * MAPS**-0.5  # on the sphere: the mixture's variance is one
        maps = [self.get_buffer(f"map{number}") for number in layers if number < self.maps]
        return [torch.einsum("nm,mhw->nhw", shares, some)[:, None] for some in maps]


class Part(nn.Module):
    """One step of a drawing, as `contract.steer.Stage` has it."""

    def __init__(self, drawing: Drawing, number: int):
        super().__init__()
        self.drawing, self.number, steps = drawing, number, drawing.generator.steps
        self.painted = any(step.paint is not None for step in [*steps][:number])

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The map and the picture so far, where there are some, styles and latents → map and picture, or the last."""
        generator, held = self.drawing.generator, 1 + self.painted if self.number else 0
        x, picture = (*given[:held], None, None)[:2]
        styles, z = given[held : held + 2]
        span = generator.spans[self.number]
        some = styles[:, span.start : span.stop].unbind(1)
        x, picture = generator.step(self.number, x, picture, some, self.drawing.noises(z, span))
        made = (x, picture) if self.number + 1 < len(generator.spans) else (picture,)
        return tuple(one for one in made if one is not None)


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
            "critic": "residual", "norm": "equalised", "deviation": True, "loss": "non-saturating",
            "penalty_every": 16, "path": 0.25, "mixing": 0.9, "mapping": 8, "mapping_rate": 0.01,
            "latent": 512, "style": 512, "most": 8, "start": "constant", "batch_norm": False, "bounded": False,
            "convolutions": 2, "synthesis": "skip", "noise": True, "full": True, "enlarge": "bilinear", "batch": 64,
            "lr": 2e-3, "critic_lr": 2e-3, "decay": 0.0,
        },
    }  # fmt: skip
    sizes: ClassVar[dict[int, dict]] = {
        32: {}, 64: {}, 128: {"width": 24, "critic_width": 24, "most": 8},
        256: {"width": 16, "critic_width": 16, "most": 16},
    }  # fmt: skip

    def __init__(self, config: StyleGANConfig, facts: Facts):
        if config.norm == "equalised" and not (config.r1 or config.gradient_penalty):
            config = config.model_copy(update={"r1": R1 * facts.height * facts.width / config.batch})
        super().__init__(config, facts)
        self.couples = self.several = config.deviation  # led past a critic that couples: exact, and one pass of both
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

    def sample(self, z: Tensor, condition: Condition, knobs: Styling) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator."""
        drawing = Drawing(self.generator, knobs, self.config.latent).to(z.device)
        yield drawing(z, *self.inputs(condition, len(z))).float()

    def codes(self, z: Tensor, condition: Condition, knobs: Styling) -> Float[Tensor, "n l d"]:
        """Styles of all layers."""
        drawing = Drawing(self.generator, knobs, self.config.latent).to(z.device)
        return drawing.styles(z, *self.inputs(condition, len(z))).float()

    def of_codes(
        self, codes: Float[Tensor, "n l d"], z: Tensor, condition: Condition, knobs: Styling
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the synthesis."""
        yield Drawing(self.generator, knobs, self.config.latent).to(z.device).paint(codes, z).float()

    def stages(self, knobs: Styling) -> list[Stage]:
        """One a step of the synthesis, whose weights are computed once."""
        drawing = settled(Drawing(self.generator, knobs, self.config.latent)).to(self.generator.mean.device)
        return [Stage(Part(drawing, number).eval(), span) for number, span in enumerate(self.generator.spans)]

    def core(self, knobs: Styling) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures."""
        drawing = Drawing(self.generator, knobs, self.config.latent).eval()
        return drawing, (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))
