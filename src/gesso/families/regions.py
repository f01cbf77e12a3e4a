"""Pictures drawn region by region: every region by a CNN of its own, their features fused, the whole drawn from all.

Regions by alpha: a foreground and a background, each from its half of the latent (LR-GAN; Yang et al. 2017). They are
laid on each other, and a fusing CNN that sees the features of both adds what pasting lacks: light, shadow, outline.
Real pictures of the whole are composites of one set's foregrounds over another's pictures (copy and paste; Remez et al.
2018; Arandjelović & Zisserman 2019). Data without alpha teaches by whole pictures alone, as in LR-GAN, and by pasting
what was made over real backgrounds.

Regions of a layout, by its colours, or the cells of a grid: small CNNs, one a region, that see nothing of the others,
and one CNN that sees all; weights of both at every place fuse their features (LGGAN; Tang et al. 2020, eqs. 4 to 8).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from gesso.adversarial import Adversarial, AdversarialConfig, Given, Made, Truncation, Views, primer_critic
from gesso.conditioning import Conditioner, Conditions
from gesso.contract.family import Batch, Clock, Condition, Facts, Learning
from gesso.errors import GessoError
from gesso.nn import AskedNorm, Doubling, Project, Scaled, UpBlock, channels_at, levels, normalised
from gesso.nn.regional import Coloured, Gridded, Layers, Painter, colours, composite, over, premultiplied
from gesso.options import Field

ALIKE = 0.02  # mean difference of pictures in [-1, 1] below which they hardly differ


class RegionsConfig(AdversarialConfig):
    """Choices of the family."""

    divide: Literal["alpha", "layout", "grid"] = Field(
        default="alpha",
        description="What the regions are: foreground and background, the colours of a layout, the cells of a grid.",
    )
    critic: Literal["own", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="own", description="Critics of their own for whole, foreground and background; or on the primer."
    )
    regions: int = Field(default=6, ge=2, le=8, description="Colours that a layout is divided by.")
    grid: int = Field(default=2, ge=2, le=4, description="Rows, and columns, of the grid.")
    latent: int = Field(default=64, ge=1, le=1024, description="Numbers that every region is drawn from.")
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of the foreground's CNN, and of what sees the whole."
    )
    region_width: int = Field(
        default=16, ge=4, le=256, description="Channels of the background's CNN, and of every other region's."
    )
    critic_width: int = Field(default=32, ge=4, le=512, description="Channels of the critics.")
    shadow: float = Field(
        default=0.5, ge=0, le=1, description="How dark a shadow real foregrounds cast on real backgrounds."
    )
    light: float = Field(
        default=0.5, ge=0, le=1, description="How far real foregrounds take the light of real backgrounds."
    )
    near: float = Field(
        default=1.0, ge=0, description="Weight of the distance to the true picture (L1), where there are pairs."
    )
    variety: float = Field(
        default=0.005, ge=0, description="Weight of the wish that latents matter, where there are pairs; 0: none."
    )
    batch: int = Field(default=16, ge=1, le=4096, description="Pictures a step, over all processes.")

    @model_validator(mode="after")
    def _fits(self) -> "RegionsConfig":
        if self.divide != "alpha" and "colour" in self.augment:
            raise ValueError("a picture and its source cannot change colour together; leave colour out of augment")
        return self

    @property
    def count(self) -> int:
        """How many regions there are."""
        return {"alpha": 2, "layout": self.regions, "grid": self.grid**2}[self.divide]


class LayerKnobs(Truncation):
    """Choices when drawing."""

    layer: Literal["whole", "foreground", "background"] = Field(
        default="whole", description="What to draw, where the regions are a foreground and a background."
    )
    foreground_seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="Keep the foreground of this seed, whatever the picture's own."
    )
    background_seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="Keep the background of this seed, whatever the picture's own."
    )


class LayeredGenerator(nn.Module):
    """A foreground and a background, each from its half of z, and a whole fused of both."""

    def __init__(self, config: RegionsConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        c = min(facts.channels, 3)
        self.opaque = facts.channels == 4
        self.asked = conditions.conditioner(config.asked_width)
        shape, asked = (facts.height, facts.width), config.asked_width if self.asked else 0
        self.foreground = Painter(config.latent, config.width, (c + 1, *shape), asked)
        self.background = Painter(config.latent, config.region_width, (c, *shape))
        inside, fused = config.width + config.region_width + 1, config.width
        looks: list[nn.Module] = []
        for width, apart in ((inside, 1), (fused, 2), (fused, 4)):
            looks += [nn.Conv2d(width, fused, 3, padding=apart, dilation=apart), nn.LeakyReLU(0.2)]
        self.fuse, self.correct = nn.Sequential(*looks), Doubling(fused, c)
        for weight in self.correct.parameters():
            nn.init.zeros_(weight)  # at first the whole is what was pasted

    def layers(self, z: Float[Tensor, "n d"], *given: Tensor) -> Layers:
        """All that the whole is made of. The features of each region are masked by the foreground's alpha."""
        vector = self.asked(*given).vector if self.asked else None
        front, behind = z.chunk(2, 1)
        front, behind = self.foreground.features(front, vector), self.background.features(behind, None)
        foreground = premultiplied(self.foreground.paint(front))
        background = torch.tanh(self.background.paint(behind))
        pasted = over(foreground, background)
        mask = F.avg_pool2d((foreground[:, -1:] + 1) / 2, 2)
        seen = self.fuse(torch.cat([front * mask, behind * (1 - mask), mask], 1))
        whole = (pasted + torch.tanh(self.correct(seen)) / 2).clamp(-1, 1)
        return Layers(foreground, background, pasted, whole)

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """The whole; with alpha where the data has it, everywhere 1."""
        return self.drawn("whole", z, *given)

    def drawn(self, layer: str, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """One of the layers, in the data's channels; a foreground of data without alpha lies over black."""
        layers = self.layers(z, *given)
        if layer == "foreground":
            return layers.foreground if self.opaque else layers.foreground[:, :-1]
        picture = layers.whole if layer == "whole" else layers.background
        return torch.cat([picture, torch.ones_like(picture[:, :1])], 1) if self.opaque else picture


class SourceGenerator(nn.Module):
    """A source picture and a latent → a picture, by CNNs of its regions and by one that sees it whole."""

    def __init__(self, config: RegionsConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        self.asked = conditions.conditioner(config.asked_width)
        asked, width, s = config.asked_width if self.asked else 0, config.width, facts.source
        depth = min(levels(facts.height, facts.width), 5)
        self.multiple = 2 ** max(depth, 2)
        divided, many = (Coloured, config.regions) if config.divide == "layout" else (Gridded, config.grid)
        self.local = divided(many, s, config.latent, config.region_width, asked)
        self.widen = nn.Conv2d(config.region_width, width, 1)
        widths = [channels_at(width, level) for level in range(1, depth + 1)]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise([s, *widths]))
        self.up = nn.ModuleList(UpBlock(b, a, asked) for a, b in reversed([*pairwise(widths)]))
        self.weigh = nn.Conv2d(2 * width, 2, 3, padding=1)
        self.join = nn.Conv2d(width + 4 * s, width, 3, padding=1)
        self.norms = nn.ModuleList(AskedNorm(width, asked) for _ in range(2))
        self.again, self.paint = nn.Conv2d(width, width, 3, padding=1), Doubling(width, facts.channels)
        self.alpha = facts.channels == 4

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]. given: the conditions, and last the source."""
        *conditions, plain = given
        vector = self.asked(*conditions).vector if self.asked else None
        h, w = plain.shape[2:]
        source = F.pad(plain, (0, -w % self.multiple, 0, -h % self.multiple), mode="replicate")
        local, whole = self.widen(self.local(source, z, vector)), self._whole(source, vector)
        weights = torch.softmax(self.weigh(torch.cat([local, whole], 1)), 1)
        mixed = weights[:, :1] * local + weights[:, 1:] * whole
        x = self.join(torch.cat([mixed, F.pixel_unshuffle(source, 2)], 1))
        x = x + self.again(F.leaky_relu(self.norms[0](x, vector), 0.2))
        raw = self.paint(F.leaky_relu(self.norms[1](x, vector), 0.2))[:, :, :h, :w]
        return premultiplied(raw) if self.alpha else torch.tanh(raw)

    def _whole(self, x: Tensor, vector: Tensor | None) -> Float[Tensor, "n f y x"]:
        """What the global CNN sees: down to a small map and up again."""
        steps: list[Tensor] = []
        for layer in self.down:
            x = F.leaky_relu(layer(x), 0.2)
            steps.append(x)
        for block, beside in zip(self.up, reversed(steps[:-1]), strict=True):
            x = block(x, vector) + beside
        return x


class Drawing(nn.Module):
    """A layered generator that draws one of its layers, from halves of z of which some are held."""

    def __init__(self, generator: LayeredGenerator, layer: str, held: Sequence[Float[Tensor, "1 d"] | None]):
        super().__init__()
        self.generator, self.layer, self.held = generator, layer, held

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """The layer, in the data's channels."""
        halves = [
            own if held is None else held.to(own).expand_as(own)
            for own, held in zip(z.chunk(2, 1), self.held, strict=True)
        ]
        return self.generator.drawn(self.layer, torch.cat(halves, 1), *given)


class StridedCritic(nn.Module):
    """Strided convolutions of spectral norm one; one judgement of the whole, and with `patches` one of every patch."""

    def __init__(self, channels: int, config: RegionsConfig, facts: Facts, asked: Conditioner | None, patches: bool):
        super().__init__()
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.critic_width, level, most=8) for level in range(1, n + 1)]
        steps = pairwise([channels, *widths])
        self.layers = nn.ModuleList(normalised(nn.Conv2d(a, b, 4, 2, 1, bias=False), True) for a, b in steps)
        self.place = min(n - 1, 1)  # patches are judged at a quarter of the size
        self.patch = normalised(nn.Conv2d(widths[self.place], 1, 1), True) if patches else None
        self.asked = asked
        features = widths[-1] * (facts.height >> n) * (facts.width >> n)
        self.judge = Project(features, config.asked_width if asked else 0, True)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> list[Float[Tensor, "n _"]]:
        """How real the whole looks and, where patches are judged, every patch."""
        patches: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), 0.2)
            if self.patch is not None and place == self.place:
                patches.append(self.patch(x).flatten(1))
        whole = self.judge(x.flatten(1), self.asked(*given).vector if self.asked else None)
        return [whole[:, None], *patches]


class Critics(nn.Module):
    """One critic a view: of an alpha's whole, foreground and background; else of a picture with its source."""

    def __init__(self, config: RegionsConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        c, nothing = min(facts.channels, 3), Conditions(facts, False, False)
        if config.divide == "alpha":
            front = c + 1 if facts.channels == 4 else c
            views = [(c, conditions), (front, conditions), (c, nothing)]
        else:
            views = [(facts.channels + facts.source, conditions)]
        primed, patches = config.critic == "primer", config.divide != "alpha"
        self.each = nn.ModuleList()
        if primed:
            shown = views if not patches else [(facts.channels, conditions)]
            self.each.extend(
                primer_critic(config, facts.model_copy(update={"channels": width}), asked) for width, asked in shown
            )
        if patches or not primed:
            self.each.extend(
                StridedCritic(width, config, facts, asked.conditioner(config.asked_width, spectral=True), patches)
                for width, asked in views
            )

    def forward(self, views: Sequence[Tensor], *given: Tensor) -> list[Float[Tensor, "n _"]]:
        """All judgements of as many views as are given, in the order of the critics."""
        return [y for critic, view in zip(self.each, views, strict=False) for y in critic(view, *given)]


class Regions(Adversarial[RegionsConfig, LayerKnobs]):
    """A generator of regions that are fused, and critics of the whole and of its layers."""

    name = "regions"
    Config = RegionsConfig
    Knobs = LayerKnobs
    needs = frozenset({"source"})
    takes = frozenset({"label", "text"})
    several = True
    paper = "Yang et al. 2017, 'LR-GAN'; Tang et al. 2020, 'LGGAN'; Remez et al. 2018; Arandjelović & Zisserman 2019"
    presets: ClassVar[dict[str, dict]] = {
        "": {"augment": ["translation"]},
        "layout": {"divide": "layout", "loss": "non-saturating", "latent": 16},
        "grid": {"divide": "grid", "loss": "non-saturating", "latent": 16},
        "primer": {"critic": "primer", "augment": ["translation"]},
    }
    sizes: ClassVar[dict[int, dict]] = {32: {}, 64: {}, 128: {"width": 24, "critic_width": 24}, 256: {"width": 16}}

    def __init__(self, config: RegionsConfig, facts: Facts):
        super().__init__(config, facts)
        self.layered, self.needs = config.divide == "alpha", self.needed(config)
        self.mismatched *= not self.layered  # a background fits every condition
        if not self.layered and not facts.source:
            raise GessoError(
                f"Regions of a {config.divide} need a source of each picture.",
                "Import the pictures with --pairs layout, or train with --set divide=alpha.",
            )
        kind = LayeredGenerator if self.layered else SourceGenerator
        generator = kind(config, facts, self.conditions)
        self.parts = self.players(generator, Critics(config, facts, self.conditions))

    @classmethod
    def needed(cls, config: Learning) -> frozenset[str]:
        """Other pictures as backgrounds, or a layout or picture that belongs to each."""
        assert isinstance(config, RegionsConfig)
        return frozenset({"source" if config.divide == "alpha" else "pair"})

    @property
    def asks(self) -> frozenset[str]:
        """Backgrounds are there to learn from: no drawing asks for one."""
        return super().asks - {"source"} if self.layered else super().asks

    @property
    def alike(self) -> dict[str, Any]:
        """Of pictures with transparency, figures were learned: without a ground."""
        return {"layer": "foreground"} if self.layered and self.facts.channels == 4 else {}

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """One pass of the generator, shown to its critics as a whole and in layers, or with its source."""
        generator, n = self.parts["generator"], len(batch.image)
        if isinstance(generator, LayeredGenerator):
            layers, behind = generator.layers(self.prior(n, rng), *given), self._backgrounds(batch)
            front = layers.foreground if self.facts.channels == 4 else over(layers.foreground, behind)
            return Made((layers.whole, front, layers.background))
        assert isinstance(generator, SourceGenerator)
        source = self._source(batch, n, batch.image.device)
        again = n // 2 if self.config.variety else 0  # so many are drawn from a second latent, too
        z = self.prior(n + again, rng)
        drawn = generator(z, *(torch.cat([x, x[:again]]) for x in (*given, source)))
        picture = drawn[:n]

        def more() -> dict[str, Tensor]:
            out = {"near": self.config.near * (picture.float() - batch.image).abs().mean()}
            if isinstance(generator.local, Coloured):
                out["palette"] = generator.local.spread(source)
            if again:  # Mao et al. 2019, "Mode Seeking Generative Adversarial Networks", eq. 1
                latents = (z[n:] - z[:again]).abs().mean(1)
                pictures = (drawn[n:] - drawn[:again]).float().abs().mean((1, 2, 3))
                out["variety"] = self.config.variety * (latents / (pictures + ALIKE)).mean()
            return out

        return Made(self._beside(picture, source), more)

    def real(self, batch: Batch, given: Given, clock: Clock) -> Views:
        """The same views of real pictures; the whole is a composite where there are foregrounds to make it of."""
        if not self.layered:
            return self._beside(batch.image, self._source(batch, len(batch.image), batch.image.device))
        behind = self._backgrounds(batch)
        if self.facts.channels < 4:
            return batch.image, batch.image, behind
        return composite(batch.image, behind, self.config.shadow, self.config.light), batch.image, behind

    def _backgrounds(self, batch: Batch) -> Float[Tensor, "n c h w"]:
        assert batch.source is not None
        return colours(batch.source, min(self.facts.channels, 3))

    def _source(self, asked: Batch | Condition, n: int, device: torch.device) -> Float[Tensor, "n s h w"]:
        if asked.source is not None:
            return asked.source.to(device)
        return torch.zeros(n, self.facts.source, self.facts.height, self.facts.width, device=device)

    def _beside(self, picture: Tensor, source: Tensor) -> Views:
        """What the critics of pairs see; heads on the primer see the picture alone."""
        pair = torch.cat([picture, source.to(picture.dtype)], 1)
        return (picture, pair) if self.config.critic == "primer" else (pair,)

    def judged(self, views: Sequence[Tensor], given: Given) -> list[Float[Tensor, "n _"]]:
        """The judgements of all critics, each on its view."""
        return self.parts["critic"](views, *given)

    def judge(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, " n"]:
        """What the critic of the whole says, of a picture with its source where it has one."""
        given = self.conditions.tensors(condition, len(image), image.device)
        views: Views = (colours(image, min(self.facts.channels, 3)),)
        if not self.layered:
            views = self._beside(image, self._source(condition, len(image), image.device))
        return torch.stack([y.flatten(1).mean(1) for y in self.judged(views, given)]).mean(0)

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, then the source, as far as the family takes them."""
        given = super().inputs(asked, n)
        if self.layered:
            return given
        return *given, self._source(asked, n, next(self.parts["generator"].parameters()).device)

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Latents from N(0, 1), of one region after the other; the foreground's, then the background's."""
        return torch.randn(n, self.config.count * self.config.latent, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: LayerKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator. Raises GessoError for layers where there are none."""
        yield self.core(knobs)[0](z, *self.inputs(condition, len(z))).float()

    def core(self, knobs: LayerKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and what is asked for to pictures, or to one of their layers."""
        generator = self.parts["generator"]
        example = torch.zeros(1, self.config.count * self.config.latent), *self.inputs(Condition(), 1)
        seeds = knobs.foreground_seed, knobs.background_seed
        if isinstance(generator, LayeredGenerator):
            halves = [self._half(seed, i, knobs) for i, seed in enumerate(seeds)]
            return Scaled(Drawing(generator, knobs.layer, halves), knobs.truncation), example
        if knobs.layer != "whole" or seeds != (None, None):
            problem = f"This model draws by the regions of a {self.config.divide}, which are no layers."
            raise GessoError(problem, "Leave out layer, foreground_seed and background_seed.")
        return Scaled(generator, knobs.truncation), example

    def _half(self, seed: int | None, which: int, knobs: LayerKnobs) -> Float[Tensor, "1 d"] | None:
        """The foreground's or the background's latent of a seed."""
        if seed is None:
            return None
        return self.prior(1, torch.Generator().manual_seed(seed)).chunk(2, 1)[which] * knobs.truncation
