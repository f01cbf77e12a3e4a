"""Generative adversarial networks, unconditional and class-conditional.

Two generators (DCGAN's and a small residual one), two critics with three kinds of norm, five games, and
gradient penalties at every step or lazily.
The default is meant for a quick start on a CPU: a batch-normalised residual generator against a spectrally
normalised critic, in a relativistic game, both learning from one backward pass.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import field_validator, model_validator
from torch import Tensor, nn

from gesso.augment import OPERATIONS, Augment
from gesso.contract.family import Adam, Batch, Clock, Condition, Facts, Family, Learning, Turn
from gesso.losses import ADVERSARIAL, generator_share, gradient_penalty, led_past, r1_penalty, rightly_ranked
from gesso.nn import Decoder, DownBlock, Project, channels_at, dcgan_init, levels, normalised, scale_gradient
from gesso.options import Field, Options
from gesso.primer.critic import PrimerCritic
from gesso.primer.frozen import load
from gesso.primer.own import Absent, network

Label = Int[Tensor, " n"] | None


class GANConfig(Learning):
    """Choices of a GAN."""

    backbone: Literal["residual", "dcgan"] = Field(default="residual", description="Shape of the generator.")
    critic: Literal["strided", "residual", "primer"] = Field(
        default="strided", description="Shape of the critic; or heads that stand on the primer."
    )
    loss: Literal["minimax", "non-saturating", "hinge", "wasserstein", "relativistic"] = Field(
        default="relativistic", description="The game that generator and critic play."
    )
    norm: Literal["spectral", "batch", "none"] = Field(
        default="spectral", description="What holds the critic in check."
    )
    latent: int = Field(default=128, ge=1, le=4096, description="Numbers that a picture is drawn from.")
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of the generator, the unit that every level multiplies."
    )
    critic_width: int = Field(default=32, ge=4, le=512, description="Channels of the critic, likewise.")
    network: str = Field(
        default="",
        description="File of your own network, ONNX or learned weights, for the critic in the primer's place.",
    )
    head_width: int = Field(default=64, ge=8, le=512, description="Channels of the heads on the primer.")
    eye_width: int = Field(default=32, ge=0, le=512, description="Channels of the eye for pixels beside them; 0: none.")
    batch: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Pictures a step, over all processes; unless set, 64 on a GPU and above 32 × 32 pixels.",
    )
    lr: float = Field(default=8e-4, gt=0, le=1, description="Learning rate of the generator.")
    critic_lr: float = Field(default=1.6e-3, gt=0, le=1, description="Learning rate of the critic.")
    decay: float = Field(
        default=0.2, ge=0, le=1, description="Share of the run, its last part, in which the rate falls."
    )
    beta1: float = Field(default=0.0, ge=0, lt=1, description="Adam's first memory.")
    beta2: float = Field(default=0.99, ge=0, lt=1, description="Adam's second memory.")
    r1: float = Field(default=0.0, ge=0, description="Weight gamma of the gradient penalty at real pictures.")
    r2: float = Field(default=0.0, ge=0, description="Weight gamma of the gradient penalty at made pictures.")
    gradient_penalty: float = Field(
        default=0.0, ge=0, description="Weight of WGAN-GP's penalty between both (10 in the paper)."
    )
    penalty_every: int = Field(
        default=1, ge=1, le=64, description="Apply the penalties at every such step, as much stronger."
    )
    critic_steps: int = Field(default=1, ge=1, le=10, description="Steps of the critic for one of the generator.")
    shared: bool = Field(
        default=True, description="One backward pass through the critic serves both, where that is exact."
    )
    augment: tuple[Literal["colour", "translation", "cutout"], ...] = Field(
        default=(), description="What is done to every picture before the critic sees it."
    )
    adaptive: bool = Field(default=False, description="Let the strength of augmentation follow how sure the critic is.")
    labels: bool = Field(default=True, description="Learn the classes where the data has them.")

    @field_validator("network")
    @classmethod
    def _found_from_anywhere(cls, path: str) -> str:
        return str(Path(path).expanduser().absolute()) if path else ""

    @model_validator(mode="after")
    def _fits(self) -> "GANConfig":
        if self.norm == "batch" and self.critic == "residual":
            raise ValueError("the residual critic has no batch norm; choose norm=spectral or critic=strided")
        if self.network and self.critic != "primer":
            raise ValueError("a network of your own needs critic=primer")
        if self.critic == "primer" and (self.norm != "spectral" or self.r1 or self.r2 or self.gradient_penalty):
            raise ValueError("the critic on the primer has norm=spectral and no gradient penalty")
        if self.norm == "batch" and (self.r1 or self.r2 or self.gradient_penalty):
            raise ValueError("a gradient penalty needs a critic without batch norm; choose norm=none or norm=spectral")
        if self.loss == "wasserstein" and self.norm != "spectral" and not self.gradient_penalty:
            raise ValueError("the wasserstein loss needs norm=spectral or gradient_penalty=10")
        return self


class GANKnobs(Options):
    """Choices when drawing."""

    truncation: float = Field(
        default=1.0, gt=0, le=2, description="Spread of the latents: below 1 tamer, above 1 wilder."
    )


class ResidualGenerator(Decoder):
    """The decoder of `nn.py`, as a generator."""

    def __init__(self, config: GANConfig, facts: Facts, classes: int):
        super().__init__(config.latent, config.width, (facts.channels, facts.height, facts.width), classes)


class ResidualCritic(nn.Module):
    """4×4 stride-2 convolution → residual blocks that halve → linear, with the class by projection."""

    def __init__(self, config: GANConfig, facts: Facts, classes: int):
        super().__init__()
        n = levels(facts.height, facts.width)
        spectral = config.norm == "spectral"
        widths = [channels_at(config.critic_width, level) for level in range(1, n + 1)]
        gain = 1.0 if spectral else max(n - 1, 1) ** -0.5
        self.look = normalised(nn.Conv2d(facts.channels, widths[0], 4, stride=2, padding=1), spectral)
        self.blocks = nn.ModuleList(DownBlock(a, b, spectral, gain) for a, b in pairwise(widths))
        self.judge = Project(widths[-1] * (facts.height >> n) * (facts.width >> n), classes, spectral)

    def forward(self, x: Float[Tensor, "n c h w"], label: Label) -> Float[Tensor, " n"]:
        """How real each picture looks."""
        x = self.look(x)  # n c h w -> n w h/2 w/2
        for block in self.blocks:
            x = block(x)
        return self.judge(F.leaky_relu(x, 0.2).flatten(1), label)


class DCGANGenerator(nn.Module):
    """Transposed 4×4 convolutions with batch norm (Radford et al. 2016); the class joins the latent."""

    def __init__(self, config: GANConfig, facts: Facts, classes: int):
        super().__init__()
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.width, level, most=8) for level in range(n, 0, -1)]
        self.embed = nn.Embedding(classes, config.latent) if classes else None
        first = nn.ConvTranspose2d(config.latent, widths[0], (facts.height >> n, facts.width >> n), bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for a, b in pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], facts.channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers).apply(dcgan_init)

    def forward(self, z: Float[Tensor, "n d"], label: Label) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        if self.embed is not None:
            z = z * self.embed(label)
        return self.layers(z[:, :, None, None])


class StridedCritic(nn.Module):
    """4×4 stride-2 convolutions (DCGAN's; Radford et al. 2016), with batch norm, spectral norm or neither."""

    def __init__(self, config: GANConfig, facts: Facts, classes: int):
        super().__init__()
        n = levels(facts.height, facts.width)
        spectral, batch = config.norm == "spectral", config.norm == "batch"
        widths = [channels_at(config.critic_width, level, most=8) for level in range(1, n + 1)]
        layers: list[nn.Module] = [
            normalised(nn.Conv2d(facts.channels, widths[0], 4, 2, 1, bias=False), spectral),
            nn.LeakyReLU(0.2),
        ]
        for a, b in pairwise(widths):
            layers.append(normalised(nn.Conv2d(a, b, 4, 2, 1, bias=not batch), spectral))
            layers += [nn.BatchNorm2d(b)] if batch else []
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)
        if not spectral:
            self.layers.apply(dcgan_init)
        self.judge = Project(widths[-1] * (facts.height >> n) * (facts.width >> n), classes, spectral)

    def forward(self, x: Float[Tensor, "n c h w"], label: Label) -> Float[Tensor, " n"]:
        """How real each picture looks."""
        return self.judge(self.layers(x).flatten(1), label)


GENERATORS = {"residual": ResidualGenerator, "dcgan": DCGANGenerator}


def on_primer(config: GANConfig, facts: Facts, classes: int) -> PrimerCritic | Absent:
    """Heads on the primer or on a network of the user's own, and an eye for pixels."""
    path = Path(config.network)
    if config.network and not path.exists():
        return Absent(path)
    size, primer = (facts.height, facts.width), network(path) if config.network else load()
    return PrimerCritic(primer, size, facts.channels, config.head_width, config.eye_width, classes)


CRITICS = {"strided": StridedCritic, "residual": ResidualCritic, "primer": on_primer}


class GAN(Family[GANConfig, GANKnobs]):
    """A generator and a critic that learn by playing against each other."""

    name = "gan"
    Config = GANConfig
    Knobs = GANKnobs
    takes = frozenset({"label"})
    ema = ("generator",)
    paper = (
        "Goodfellow et al. 2014; Radford et al. 2016; Miyato et al. 2018; Jolicoeur-Martineau 2018; Huang et al. 2024"
    )
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "small": {"augment": ["translation"]},
        "primer": {"critic": "primer", "augment": ["translation"]},
        "adaptive": {"augment": list(OPERATIONS), "adaptive": True},
        "r3gan": {
            "critic": "residual", "norm": "none", "r1": 0.5, "r2": 0.5, "penalty_every": 4, "batch": 64,
            "lr": 2e-4, "critic_lr": 2e-4,
        },
        "sngan": {"loss": "hinge", "batch": 64, "lr": 2e-4, "critic_lr": 4e-4, "beta2": 0.9},
        "wgan-gp": {
            "loss": "wasserstein", "norm": "none", "gradient_penalty": 10.0, "critic_steps": 5, "batch": 64,
            "lr": 2e-4, "critic_lr": 2e-4, "beta2": 0.9,
        },
        "dcgan": {
            "backbone": "dcgan", "loss": "non-saturating", "norm": "batch", "latent": 100, "width": 64,
            "critic_width": 64, "batch": 64, "lr": 2e-4, "critic_lr": 2e-4, "decay": 0.0, "beta1": 0.5, "beta2": 0.999,
        },
    }  # fmt: skip

    def __init__(self, config: GANConfig, facts: Facts):
        super().__init__(config, facts)
        self.classes = len(facts.labels) if config.labels else 0
        self.takes = self.takes if self.classes else frozenset()
        self.parts = nn.ModuleDict(
            {
                "generator": GENERATORS[config.backbone](config, facts, self.classes),
                "critic": CRITICS[config.critic](config, facts, self.classes),
                "augment": Augment(config.augment, config.adaptive),
            }
        )
        self.game = ADVERSARIAL[config.loss]

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """One turn for both where that is exact, else the critic's and the generator's; lazy penalties on their own."""
        c = self.config
        lazy = [Turn("penalty", ("critic",), c.penalty_every)] if self._penalised and c.penalty_every > 1 else []
        exact = c.norm != "batch" and c.loss != "hinge"  # a saturated hinge has no gradient to share
        if ((c.shared and exact) or c.critic == "primer") and c.critic_steps == 1:
            return [Turn("both", ("generator", "critic")), *lazy]
        return [Turn("critic", ("critic",)), *lazy, Turn("generator", ("generator",), c.critic_steps)]

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The game; see `losses.py` for its equations."""
        real, label = batch.image, batch.label if self.classes else None
        critic = self.parts["critic"]
        if isinstance(critic, Absent):
            critic()  # says what is missing
        if isinstance(critic, PrimerCritic):
            return self._judge_parts(critic, turn, real, label, rng)
        if turn.name == "penalty":
            return self._penalty(
                real, self._draw(len(real), label, rng).detach(), label, rng, self.config.penalty_every
            )
        if turn.name == "generator":
            judged_real, judged_fake = self._judge(real, self._draw(len(real), label, rng), label, rng)
            return {"generator": self.game.generator(judged_real.detach(), judged_fake).mean()}
        fake = self._draw(len(real), label, rng)
        share: list[Tensor] = []
        seen = scale_gradient(fake, share) if turn.name == "both" else fake.detach()
        judged_real, judged_fake = self._judge(real, seen, label, rng)
        share.append(generator_share(self.game, judged_real, judged_fake))
        self.parts["augment"].adapt(judged_real.detach(), judged_fake.detach())  # pyright: ignore[reportCallIssue]
        out = {"critic": self.game.critic(judged_real, judged_fake).mean()}
        if turn.name == "both":
            out["generator"] = self.game.generator(judged_real, judged_fake).mean().detach()
        out |= self._figures(judged_real.detach(), judged_fake.detach())
        if self._penalised and self.config.penalty_every == 1:
            out |= self._penalty(real, fake.detach(), label, rng, 1)
        return out

    def _figures(self, real: Float[Tensor, " n"], fake: Float[Tensor, " n"]) -> dict[str, Tensor]:
        """For the log, from judgements: how often the critic is right, and by how much.

        `accuracy`: share of pairs ranked rightly, 0.5 by chance; `gap`: mean judgement of real pictures less that of
        made ones. Where a judgement of zero means "as likely as not", `accuracy_real` and `accuracy_made` are the
        shares judged rightly of each. `strength`: of the augmentation, where it adapts.
        """
        out = {"accuracy": rightly_ranked(real, fake), "gap": real.mean() - fake.mean()}
        if self.config.loss in ("minimax", "non-saturating", "hinge"):
            out |= {"accuracy_real": (real > 0).float().mean(), "accuracy_made": (fake < 0).float().mean()}
        if self.config.adaptive:
            out["strength"] = self.parts["augment"].get_buffer("strength").clone()
        return out

    @property
    def _penalised(self) -> bool:
        return bool(self.config.r1 or self.config.r2 or self.config.gradient_penalty)

    def _draw(self, n: int, label: Label, rng: torch.Generator) -> Tensor:
        return self.parts["generator"](self.prior(n, rng), label)

    def _judge(self, real: Tensor, fake: Tensor, label: Label, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Judgements of real and made pictures; in one batch unless batch norm would mix them."""
        augment, critic = self.parts["augment"], self.parts["critic"]
        if self.config.norm == "batch":
            return critic(augment(real, rng), label).float(), critic(augment(fake, rng), label).float()
        both = augment(torch.cat([real, fake.to(real.dtype)]), rng)
        twice = None if label is None else torch.cat([label, label])
        judged_real, judged_fake = critic(both, twice).float().chunk(2)
        return judged_real, judged_fake

    def _judge_parts(
        self, critic: PrimerCritic, turn: Turn, real: Tensor, label: Label, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """The game at every place of every head; one look of the primer and one judgement serve both networks."""
        game, augment = self.game, self.parts["augment"]
        fake = self._draw(len(real), label, rng).to(real.dtype)
        changed_real, changed_fake = augment(torch.cat([real, fake]), rng).chunk(2)
        part = critic.part(real, rng)
        with torch.no_grad():
            known = critic.see(changed_real, real, part)
        maps = critic.see(changed_fake, fake, part)
        twice = None if label is None else torch.cat([label, label])
        both = [torch.cat([a, b.detach()]).requires_grad_() for a, b in zip(known, maps, strict=True)]
        judged = [y.float().chunk(2) for y in critic.judge(both, twice)]
        out: dict[str, Tensor] = {}
        if turn.name != "generator":
            out["critic"] = torch.stack([game.critic(r, f).mean() for r, f in judged]).mean()
            whole_real, whole_fake = judged[len(critic.heads) - 1]
            augment.adapt(whole_real.detach().mean(1), whole_fake.detach().mean(1))  # pyright: ignore[reportCallIssue]
            means = [torch.stack([maps[i].detach().mean(1) for maps in judged]).mean(0) for i in (0, 1)]
            out |= self._figures(means[0], means[1])
        if turn.name != "critic":
            loss = torch.stack([game.generator(r.detach(), f).mean() for r, f in judged]).mean()
            out["generator"] = led_past(loss, both, maps)
        return out

    def _penalty(self, real: Tensor, fake: Tensor, label: Label, rng: torch.Generator, times: int) -> dict[str, Tensor]:
        c, augment, critic = self.config, self.parts["augment"], self.parts["critic"]
        real, fake = augment(real, rng), augment(fake.to(real.dtype), rng)
        out: dict[str, Tensor] = {}
        if c.r1:
            out["r1"] = r1_penalty(lambda x: critic(x, label), real).mean() * (times * c.r1 / 2)
        if c.r2:
            out["r2"] = r1_penalty(lambda x: critic(x, label), fake).mean() * (times * c.r2 / 2)
        if c.gradient_penalty:
            penalty = gradient_penalty(lambda x: critic(x, label), real, fake, rng)
            out["gradient_penalty"] = penalty.mean() * (times * c.gradient_penalty)
        return out

    def adam(self, part: str) -> Adam:
        """The critic may step faster than the generator (two time scales; Heusel et al. 2017)."""
        c = self.config
        return Adam(lr=c.critic_lr if part == "critic" else c.lr, betas=(c.beta1, c.beta2))

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Latents from N(0, 1)."""
        return torch.randn(n, self.config.latent, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: GANKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator."""
        yield self.parts["generator"](z * knobs.truncation, condition.label if self.classes else None).float()

    def judge(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, " n"]:
        """What the critic says; of one with several heads, the mean of all places."""
        judged = self.parts["critic"](image, condition.label if self.classes else None)
        return judged if isinstance(judged, Tensor) else torch.stack([y.mean(1) for y in judged]).mean(0)

    def core(self, knobs: GANKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents (and classes) to pictures."""
        z = torch.zeros(1, self.config.latent)
        return self.parts["generator"], (z, torch.zeros(1, dtype=torch.long)) if self.classes else (z,)
