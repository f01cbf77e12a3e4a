"""StackGAN: from a text to a small picture, and from both to a large one (Zhang et al. 2017).

The first stage lays out forms and colours. The second sees what the first drew and reads the text again, word by word:
every place of the picture looks for the words that concern it (AttnGAN; Xu et al. 2018, section 3.1). What the text
leaves open is drawn from a normal distribution that the text chooses (conditioning augmentation; Zhang et al. 2017,
section 3.2). Both stages learn together, with judgements at each size (StackGAN++; Zhang et al. 2018, section 3.1):
learning in turn would leave the first half of a short run without a large picture. Real pictures with the texts of
others count as made (Reed et al. 2016, section 4.1), so that the critic must read.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gesso.adversarial import Adversarial, AdversarialConfig, Given, Made, Truncation, Views, primer_critic
from gesso.conditioning import Conditions
from gesso.contract.family import Batch, Clock, Condition, Facts, Learning
from gesso.errors import GessoError
from gesso.losses import gaussian_kl
from gesso.nn import AskedNorm, Doubling, Match, Scaled, UpBlock, channels_at, levels, normalised
from gesso.options import Field
from gesso.text import attend

SMALLEST = 8  # pixels of the shorter side of the small picture
FAR = -30.0  # a judgement that weighs nothing among others

Judged = tuple[Float[Tensor, " n"], Float[Tensor, "n m"] | None]


class StackGANConfig(AdversarialConfig):
    """Choices of a StackGAN."""

    critic: Literal["own", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="own", description="The critic: one network a size, or heads that stand on the primer."
    )
    latent: int = Field(default=64, ge=1, le=4096, description="Numbers that a picture is drawn from.")
    meaning: int = Field(
        default=64, ge=1, le=1024, description="Numbers that say what is asked, drawn around what the text says."
    )
    shrink: Literal[2, 4] = Field(default=2, description="How many times smaller the first stage draws.")
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of the generator, the unit that every level multiplies."
    )
    critic_width: int = Field(default=32, ge=4, le=512, description="Channels of the critic, likewise.")
    heads: int = Field(default=2, ge=1, le=16, description="Words that a place of the picture may heed at once.")
    batch: int = Field(
        default=32,
        ge=1,
        le=4096,
        description="Pictures a step, over all processes; unless set, 64 on a GPU and above 32 × 32 pixels.",
    )
    mismatched: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="Share of the critic's loss in which real pictures with the texts of others count as made.",
    )
    kl: float = Field(default=0.1, ge=0, description="Weight that keeps what the text says near a normal distribution.")
    agree: float = Field(default=1.0, ge=0, description="Weight that makes the small picture like the large one.")
    captions: bool = Field(default=True, description="Learn the captions.")
    labels: bool = Field(default=False, description="Learn the classes where the data has them, too.")
    drop: float = Field(
        default=0.1, ge=0, lt=1, description="Share of pictures that are learned as if nothing were asked of them."
    )


class StackGANKnobs(Truncation):
    """Choices when drawing."""

    variety: float = Field(
        default=1.0, ge=0, le=2, description="Spread of what the text leaves open: 0 draws its mean alone."
    )


class Stages(NamedTuple):
    """What both stages drew, and the mean and logarithm of the variance of what was asked, where something was."""

    small: Float[Tensor, "n c h w"]
    large: Float[Tensor, "n c H W"]
    mean: Float[Tensor, "n d"] | None
    log_variance: Float[Tensor, "n d"] | None


class Heed(nn.Module):
    """Every place of a map looks for the words that concern it (Xu et al. 2018, eq. 8 and 9)."""

    def __init__(self, channels: int, words: int, heads: int):
        super().__init__()
        self.heads, inside = heads, 16 * heads
        self.norm = nn.BatchNorm2d(channels)
        self.query, self.two = nn.Conv2d(channels, inside, 1), nn.Linear(words, 2 * inside)
        self.out = nn.Conv2d(inside, channels, 1)

    def forward(
        self, x: Float[Tensor, "n c h w"], words: Float[Tensor, "n t e"], there: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n c h w"]:
        """there: which words exist."""
        q = self.query(self.norm(x)).unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)  # n heads hw d
        k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in self.two(words).chunk(2, 2))  # n heads t d
        y = attend(q, k, v, there)
        return x + self.out(y.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]))


class Refine(nn.Module):
    """Two 3×3 convolutions beside the identity, modulated by what is asked."""

    def __init__(self, channels: int, asked: int):
        super().__init__()
        self.norms = nn.ModuleList(AskedNorm(channels, asked) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Float[Tensor, "n c h w"], vector: Float[Tensor, "n d"] | None) -> Float[Tensor, "n c h w"]:
        """As large as what came in."""
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.relu(norm(y, vector)))
        return x + y


class Generator(nn.Module):
    """Latents and conditions → a small picture → a large one."""

    def __init__(self, config: StackGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        c, self.latent = config, config.latent
        self.asked = conditions.conditioner(c.asked_width)
        self.meaning = nn.Linear(c.asked_width, 2 * c.meaning) if self.asked else None
        vector = c.meaning if self.asked else 0
        n, last = levels(facts.height, facts.width), c.shrink.bit_length() - 1
        widths = [channels_at(c.width, level) for level in range(n, 0, -1)]
        first = widths[: n - last + 1]
        self.start = (first[0], facts.height >> n, facts.width >> n)
        self.linear = nn.Linear(c.latent + vector, prod(self.start))
        self.first = nn.ModuleList(UpBlock(a, b, vector) for a, b in pairwise(first))
        self.small = Painter(first[-1], facts.channels, vector)
        self.join = nn.Conv2d(first[-1] + facts.channels, first[-1], 1)
        self.heed = Heed(first[-1], c.asked_width, c.heads) if "text" in conditions.kinds else None
        self.refine = Refine(first[-1], vector)
        second = widths[n - last : n]
        self.second = nn.ModuleList(UpBlock(a, b, vector) for a, b in pairwise(second))
        self.large = Painter(second[-1], facts.channels, vector, doubles=True)

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """The large picture, in [-1, 1]."""
        return self.stages(z, *given).large

    def stages(self, z: Float[Tensor, "n d"], *given: Tensor) -> Stages:
        """Both. z: latents, then what the meaning of the text is drawn by."""
        z, noise = z[:, : self.latent], z[:, self.latent :]
        asked = vector = mean = log_variance = None
        if self.asked is not None and self.meaning is not None:
            asked = self.asked(*given)
            mean, log_variance = self.meaning(asked.vector).chunk(2, 1)
            vector = mean + (0.5 * log_variance).exp() * noise
            z = torch.cat([z, vector], 1)
        x = self.linear(z).unflatten(1, self.start)
        for block in self.first:
            x = block(x, vector)
        small = torch.tanh(self.small(x, vector))
        x = self.join(torch.cat([F.relu(x), small], 1))
        if self.heed is not None and asked is not None and asked.words is not None and asked.there is not None:
            x = self.heed(x, asked.words, asked.there)
        x = self.refine(x, vector)
        for block in self.second:
            x = block(x, vector)
        return Stages(small, torch.tanh(self.large(x, vector)), mean, log_variance)


class Painter(nn.Module):
    """A map → colours, before they are held in [-1, 1]; at its own size, or doubled."""

    def __init__(self, inside: int, channels: int, asked: int, doubles: bool = False):
        super().__init__()
        self.norm = AskedNorm(inside, asked)
        self.conv = Doubling(inside, channels) if doubles else nn.Conv2d(inside, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "n i h w"], vector: Float[Tensor, "n d"] | None) -> Float[Tensor, "n c H W"]:
        """Pictures."""
        return self.conv(F.leaky_relu(self.norm(x, vector), 0.2))


class Eye(nn.Module):
    """Pictures of one size → how real each looks, and how real as what a text asks for (Zhang et al. 2018, eq. 3)."""

    def __init__(self, config: StackGANConfig, channels: int, height: int, width: int, asked: int):
        super().__init__()
        n = levels(height, width)
        widths = [channels, *(channels_at(config.critic_width, level, most=8) for level in range(1, n + 1))]
        self.layers = nn.ModuleList(normalised(nn.Conv2d(a, b, 4, 2, 1), True) for a, b in pairwise(widths))
        features = widths[-1] * (height >> n) * (width >> n)
        self.real = normalised(nn.Linear(features, 1), True)
        self.fits = normalised(nn.Linear(features, 1), True) if asked else None
        self.match = Match(asked, features, True) if asked else None

    def forward(self, x: Float[Tensor, "n c h w"], vector: Float[Tensor, "m d"] | None) -> Judged:
        """Each picture beside each of m texts, by projection (Miyato & Koyama 2018, eq. 3)."""
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        x = x.flatten(1)
        if self.fits is None or self.match is None:
            return self.real(x)[:, 0].float(), None
        table = self.fits(x) + x @ self.match(vector).T
        return self.real(x)[:, 0].float(), table.float()


class Critic(nn.Module):
    """An eye for each size; one reading of the texts serves both."""

    def __init__(self, config: StackGANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        self.asked = conditions.conditioner(config.asked_width, True)
        vector = config.asked_width if self.asked else 0
        self.eyes = nn.ModuleList(
            Eye(config, facts.channels, facts.height // by, facts.width // by, vector) for by in (config.shrink, 1)
        )

    def forward(self, views: Sequence[Tensor], *given: Tensor) -> list[Judged]:
        """views: the small pictures and the large ones, n each; given: the conditions of m pictures."""
        vector = self.asked(*given).vector if self.asked is not None else None
        return [eye(x, vector) for eye, x in zip(self.eyes, views, strict=True)]


class StackGAN(Adversarial[StackGANConfig, StackGANKnobs]):
    """From a text to a small picture to a large one."""

    name = "stackgan"
    Config = StackGANConfig
    Knobs = StackGANKnobs
    takes = frozenset({"label", "text"})
    several = True
    paper = "Zhang et al. 2017 and 2018; Reed et al. 2016; Xu et al. 2018"
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "small": {"augment": ["translation"]},
        "primer": {"critic": "primer", "augment": ["translation"]},
    }

    def __init__(self, config: StackGANConfig, facts: Facts):
        super().__init__(config, facts)
        if min(facts.height, facts.width) < config.shrink * SMALLEST:
            problem = f"Pictures of {facts.width}×{facts.height} pixels are too small for shrink={config.shrink}."
            raise GessoError(problem, f"Choose shrink=2, or pictures of {2 * SMALLEST} pixels and more.")
        critic = (Critic if config.critic == "own" else primer_critic)(config, facts, self.conditions)
        self.parts = self.players(Generator(config, facts, self.conditions), critic)

    @classmethod
    def needed(cls, config: Learning) -> frozenset[str]:
        """Captions, unless it was told to do without."""
        return frozenset({"text"} if isinstance(config, StackGANConfig) and config.captions else ())

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """Both stages; the critic on the primer sees the large picture alone."""
        generator = self.parts["generator"]
        assert isinstance(generator, Generator)
        stages = generator.stages(self.prior(len(batch.image), rng), *given)
        views = (stages.small, stages.large) if self.config.critic == "own" else (stages.large,)

        def more() -> dict[str, Tensor]:
            out: dict[str, Tensor] = {}
            if stages.mean is not None and stages.log_variance is not None and self.config.kl:
                out["kl"] = self.config.kl * gaussian_kl(stages.mean.float(), stages.log_variance.float()).mean()
            if self.config.agree:
                out["agree"] = self.config.agree * F.mse_loss(
                    stages.small, F.avg_pool2d(stages.large, self.config.shrink)
                )
            return out

        return Made(views, more)

    def real(self, batch: Batch, given: Given, clock: Clock) -> Views:
        """Real pictures at each size that the critic sees."""
        if self.config.critic != "own":
            return (batch.image,)
        return F.avg_pool2d(batch.image, self.config.shrink), batch.image

    def judged(self, views: Sequence[Tensor], given: Given) -> list[Float[Tensor, "n _"]]:
        """At each size, how real, and how real as what was asked for."""
        sizes: list[Judged] = self.parts["critic"](views, *given)
        return [y[:, None] for real, table in sizes for y in (real, *([] if table is None else [table.diagonal()]))]

    def _compared(self, known: list[Tensor], seen: list[Tensor], given: Given) -> tuple[list, list, list]:
        """As for every family, but a real picture is seen beside the texts of all others, and looked at once.

        The judgements of what others asked for are added up as a softmax adds. So the relativistic game's loss at wrong
        texts is the contrastive one, log(1 + Σ exp(wrong - right)) (Zhang et al. 2021, eq. 3), and those that are
        nearly right teach most. Who asked for the same counts as no other.
        """
        if self.config.critic != "own" or not given:
            return super()._compared(known, seen, given)
        n = len(known[0])
        asked = torch.cat([x.reshape(n, -1) for x in given], 1)
        same = (asked[:, None] == asked[None]).all(2)
        right, made, wrong = [], [], []
        for real, table in self.parts["critic"]([torch.cat(pair) for pair in zip(known, seen, strict=True)], *given):
            others = table[:n].masked_fill(same, FAR).logsumexp(1)
            right += [real[:n, None], table[:n].diagonal()[:, None]]
            made += [real[n:, None], table[n:].diagonal()[:, None]]
            wrong += [real[:n, None], others[:, None]]
        return right, made, wrong if self.mismatched else []

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Latents from N(0, 1): of the picture, then of what the text leaves open."""
        count = self.config.latent + (self.config.meaning if self.conditions else 0)
        return torch.randn(n, count, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: StackGANKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """The small picture, enlarged, and then the large one."""
        generator = self.parts["generator"]
        assert isinstance(generator, Generator)
        stages = generator.stages(z * self._spread(knobs).to(z), *self.inputs(condition, len(z)))
        yield F.interpolate(stages.small.float(), scale_factor=float(self.config.shrink))
        yield stages.large.float()

    def core(self, knobs: StackGANKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to large pictures."""
        rng = torch.Generator().manual_seed(0)
        drawing = Scaled(self.parts["generator"], self._spread(knobs))
        return drawing, (self.prior(1, rng), *self.inputs(Condition(), 1))

    def _spread(self, knobs: StackGANKnobs) -> Float[Tensor, " d"]:
        """How far the numbers of a latent may stray: of the picture, then of what the text leaves open."""
        meaning = self.config.meaning if self.conditions else 0
        return torch.tensor([knobs.truncation] * self.config.latent + [knobs.variety] * meaning)
