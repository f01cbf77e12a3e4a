"""Generative adversarial networks, unconditional and conditional: by labels, by texts, or by both.

Two generators (DCGAN's and a small residual one), two critics with three kinds of norm, five games, and
gradient penalties at every step or lazily.
The default is meant for a quick start on a CPU: a batch-normalised residual generator against a spectrally
normalised critic, in a relativistic game, both learning from one backward pass.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from gesso.adversarial import Adversarial, AdversarialConfig, Given, Made, Truncation, primer_critic
from gesso.augment import OPERATIONS
from gesso.conditioning import AskedDecoder, Conditions
from gesso.contract.family import Batch, Clock, Condition, Facts
from gesso.nn import DownBlock, Project, Scaled, channels_at, dcgan_init, levels, normalised
from gesso.options import Field


class GANConfig(AdversarialConfig):
    """Choices of a GAN."""

    backbone: Literal["residual", "dcgan"] = Field(default="residual", description="Shape of the generator.")
    critic: Literal["strided", "residual", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="strided", description="Shape of the critic; or heads that stand on the primer."
    )
    norm: Literal["spectral", "batch", "none"] = Field(
        default="spectral", description="What holds the critic in check."
    )
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of the generator, the unit that every level multiplies."
    )
    critic_width: int = Field(default=32, ge=4, le=512, description="Channels of the critic, likewise.")
    batch: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Pictures a step, over all processes; unless set, 64 on a GPU and above 32 × 32 pixels.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "GANConfig":
        if self.norm == "batch" and self.critic == "residual":
            raise ValueError("the residual critic has no batch norm; choose norm=spectral or critic=strided")
        if self.critic == "primer" and self.norm != "spectral":
            raise ValueError("the critic on the primer has norm=spectral")
        if self.norm == "batch" and (self.r1 or self.r2 or self.gradient_penalty):
            raise ValueError("a gradient penalty needs a critic without batch norm; choose norm=none or norm=spectral")
        if self.loss == "wasserstein" and self.norm != "spectral" and not self.gradient_penalty:
            raise ValueError("the wasserstein loss needs norm=spectral or gradient_penalty=10")
        return self


def residual_generator(config: GANConfig, facts: Facts, conditions: Conditions) -> AskedDecoder:
    """The decoder that the VAE has, too."""
    return AskedDecoder(conditions, config.latent, config.width, config.asked_width)


class ResidualCritic(nn.Module):
    """4×4 stride-2 convolution → residual blocks that halve → linear, with what is asked by projection."""

    def __init__(self, config: GANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        n = levels(facts.height, facts.width)
        spectral = config.norm == "spectral"
        widths = [channels_at(config.critic_width, level) for level in range(1, n + 1)]
        gain = 1.0 if spectral else max(n - 1, 1) ** -0.5
        self.look = normalised(nn.Conv2d(facts.channels, widths[0], 4, stride=2, padding=1), spectral)
        self.blocks = nn.ModuleList(DownBlock(a, b, spectral, gain) for a, b in pairwise(widths))
        self.asked = conditions.conditioner(config.asked_width, spectral)
        features = widths[-1] * (facts.height >> n) * (facts.width >> n)
        self.judge = Project(features, config.asked_width if self.asked else 0, spectral)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> Float[Tensor, " n"]:
        """How real each picture looks."""
        x = self.look(x)  # n c h w -> n w h/2 w/2
        for block in self.blocks:
            x = block(x)
        return self.judge(F.leaky_relu(x, 0.2).flatten(1), self.asked(*given).vector if self.asked else None)


class DCGANGenerator(nn.Module):
    """Transposed 4×4 convolutions with batch norm (Radford et al. 2016); what is asked joins the latent."""

    def __init__(self, config: GANConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        n = levels(facts.height, facts.width)
        widths = [channels_at(config.width, level, most=8) for level in range(n, 0, -1)]
        self.asked = conditions.conditioner(config.latent)
        first = nn.ConvTranspose2d(config.latent, widths[0], (facts.height >> n, facts.width >> n), bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for a, b in pairwise(widths):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], facts.channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers).apply(dcgan_init)

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        if self.asked is not None:
            z = z * self.asked(*given).vector
        return self.layers(z[:, :, None, None])


class StridedCritic(nn.Module):
    """4×4 stride-2 convolutions (DCGAN's; Radford et al. 2016), with batch norm, spectral norm or neither."""

    def __init__(self, config: GANConfig, facts: Facts, conditions: Conditions):
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
        self.asked = conditions.conditioner(config.asked_width, spectral)
        features = widths[-1] * (facts.height >> n) * (facts.width >> n)
        self.judge = Project(features, config.asked_width if self.asked else 0, spectral)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> Float[Tensor, " n"]:
        """How real each picture looks."""
        return self.judge(self.layers(x).flatten(1), self.asked(*given).vector if self.asked else None)


GENERATORS = {"residual": residual_generator, "dcgan": DCGANGenerator}


CRITICS = {"strided": StridedCritic, "residual": ResidualCritic, "primer": primer_critic}


class GAN(Adversarial[GANConfig, Truncation]):
    """A generator and a critic that learn by playing against each other."""

    name = "gan"
    Config = GANConfig
    Knobs = Truncation
    takes = frozenset({"label", "text"})
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
        self.couples = config.norm == "batch"
        generator = GENERATORS[config.backbone](config, facts, self.conditions)
        self.parts = self.players(generator, CRITICS[config.critic](config, facts, self.conditions))

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """One pass of the generator."""
        return Made((self.parts["generator"](self.prior(len(batch.image), rng), *given),))

    def sample(self, z: Tensor, condition: Condition, knobs: Truncation) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator."""
        yield self.parts["generator"](z * knobs.truncation, *self.inputs(condition, len(z))).float()

    def core(self, knobs: Truncation) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures."""
        drawing = Scaled(self.parts["generator"], knobs.truncation)
        return drawing, (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))
