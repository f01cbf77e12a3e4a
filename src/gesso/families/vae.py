"""The variational autoencoder: convolutional, with β and free bits, conditional where there are labels or captions.

Its pictures are softer than a GAN's, but it also looks: `encode` gives the latents of a real picture.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gesso.conditioning import AskedDecoder, Conditions
from gesso.contract.family import Adam, Batch, Clock, Condition, Encoder, Facts, Learning, Turn
from gesso.losses import gaussian_kl
from gesso.nn import channels_at, levels
from gesso.options import Field, Options
from gesso.primer.distance import Distance

MUTE = 0.01  # nats below which a latent number says nothing


class VAEConfig(Learning):
    """Choices of a VAE."""

    latent: int = Field(default=64, ge=1, le=4096, description="Numbers that a picture is drawn from.")
    width: int = Field(
        default=32, ge=4, le=512, description="Channels of both networks, the unit that every level multiplies."
    )
    lr: float = Field(default=1e-3, gt=0, le=1, description="Learning rate of Adam at its highest.")
    decay: float = Field(
        default=0.3, ge=0, le=1, description="Share of the run, its last part, over which the rate falls to zero."
    )
    beta: float = Field(
        default=1.0, ge=0, description="Weight of the divergence from the prior; above 1 tidier, below 1 sharper."
    )
    free_bits: float = Field(
        default=0.03, ge=0, description="Divergence a latent number may have without cost, in nats."
    )
    likelihood: Literal["gaussian", "laplace"] = Field(
        default="gaussian", description="How errors of pixels are taken to fall."
    )
    perceptual: float = Field(
        default=0.0, ge=0, description="Weight of how unlike pictures look to the primer, beside the errors of pixels."
    )
    labels: bool = Field(default=True, description="Learn the classes where the data has them.")
    captions: bool = Field(default=False, description="Learn the captions where the data has them.")
    asked_width: int = Field(
        default=64, ge=8, le=1024, description="Numbers of the vector that says what a picture is asked to be."
    )


class VAEKnobs(Options):
    """Choices when drawing."""

    truncation: float = Field(
        default=1.0, gt=0, le=2, description="Spread of the latents: below 1 tamer, above 1 wilder."
    )


class Recogniser(nn.Module):
    """Strided convolutions → mean and log variance of the latents; what is asked joins the last features."""

    def __init__(self, config: VAEConfig, facts: Facts, conditions: Conditions):
        super().__init__()
        n = levels(facts.height, facts.width)
        widths = [facts.channels, *(channels_at(config.width, level) for level in range(1, n + 1))]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        features = widths[-1] * (facts.height >> n) * (facts.width >> n)
        self.asked = conditions.conditioner(config.asked_width)
        self.join = nn.Linear(config.asked_width, features) if self.asked else None
        self.head = nn.Linear(features, 2 * config.latent)

    def forward(self, x: Float[Tensor, "n c h w"], *given: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, n d each."""
        x = self.layers(x).flatten(1)
        if self.asked is not None and self.join is not None:
            x = x + self.join(self.asked(*given).vector)
        mean, log_variance = self.head(x).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)


class VAE(Encoder[VAEConfig, VAEKnobs]):
    """A recogniser that looks and a decoder that draws, tied by the evidence lower bound."""

    name = "vae"
    Config = VAEConfig
    Knobs = VAEKnobs
    takes = frozenset({"label", "text"})
    ema = ("recogniser", "decoder")
    paper = (
        "Kingma & Welling 2014; Higgins et al. 2017 (β); Kingma et al. 2016 (free bits); Rybkin et al. 2021 (optimal σ)"
    )
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "sharp": {"beta": 0.3},
        "tidy": {"beta": 4.0},
        "perceptual": {"perceptual": 0.5},
    }

    def __init__(self, config: VAEConfig, facts: Facts):
        super().__init__(config, facts)
        self.conditions = Conditions(facts, config.labels, config.captions)
        self.takes = frozenset(self.conditions.kinds)
        self.parts = nn.ModuleDict(
            {
                "recogniser": Recogniser(config, facts, self.conditions),
                "decoder": AskedDecoder(self.conditions, config.latent, config.width, config.asked_width),
            }
        )
        self.distance = Distance(look="quick") if config.perceptual else None

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """Both networks learn in one turn."""
        return [Turn("elbo", ("recogniser", "decoder"))]

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The negative evidence lower bound in nats, divided by the number of pixel values.

        For the log alone: `nats`, the divergence from the prior; `active`, the share of latent numbers that carry
        more than MUTE nats beyond those that are free (active units; Burda et al. 2016, section 5.1, there told by the
        variance of their means, which free nats would mislead); `error`, the mean squared error of a pixel.
        The scale of the pixel errors is the one that fits the batch best (Rybkin et al. 2021, eq. 5; for the
        Laplace likelihood its counterpart), so that β = 1 needs no tuning.
        """
        given = self.conditions.tensors(batch, len(batch.image), batch.image.device)
        mean, log_variance = (t.float() for t in self.parts["recogniser"](batch.image, *given))
        noise = torch.randn(mean.shape, generator=rng, device=mean.device)
        drawn = self.parts["decoder"](mean + (0.5 * log_variance).exp() * noise, *given).float()
        error = drawn - batch.image.float()
        values = error[0].numel()
        if self.config.likelihood == "gaussian":
            fit = 0.5 * (error.square().mean() + 1e-6).log() + 0.5 * (1 + math.log(2 * math.pi))
        else:
            fit = (error.abs().mean() + 1e-6).log() + 1 + math.log(2)
        divergence = gaussian_kl(mean, log_variance).mean(0)  # one value a latent number
        bounded = torch.maximum(divergence, torch.tensor(self.config.free_bits, device=mean.device))
        looks = {}
        if self.distance is not None:
            looks["perceptual"] = self.config.perceptual * self.distance(drawn, batch.image).mean()
        return {
            "fit": fit,
            "prior": self.config.beta * bounded.sum() / values,
            "nats": divergence.sum().detach(),
            "active": (divergence.detach() > self.config.free_bits + MUTE).float().mean(),
            "error": error.detach().square().mean(),
            **looks,
        }

    def adam(self, part: str) -> Adam:
        """The same for both."""
        return Adam(lr=self.config.lr, betas=(0.9, 0.999), clip=1.0)

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Latents from N(0, 1)."""
        return torch.randn(n, self.config.latent, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: VAEKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the decoder."""
        yield self.parts["decoder"](z * knobs.truncation, *self.inputs(condition, len(z))).float()

    def encode(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, "n d"]:
        """The mean of the posterior."""
        return self.parts["recogniser"](image, *self.inputs(condition, len(image)))[0].float()

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, as far as the data has them."""
        return self.conditions.tensors(asked, n, next(self.parameters()).device)

    def core(self, knobs: VAEKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures."""
        return self.parts["decoder"], (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))
