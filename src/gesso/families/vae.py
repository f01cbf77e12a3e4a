"""The variational autoencoder: convolutional, with β, free bits and a learned prior, and a critic for what it draws.

It also looks: `encode` gives the latents of a real picture, so that it can be changed and drawn again. Latents are
Gaussian numbers; where a prior is learned, couplings bring them to where the recogniser puts pictures (Chen et al.
2017, section 3.2, there an autoregressive flow).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.conditioning import AskedDecoder, Conditions
from gesso.contract.family import Adam, Batch, Clock, Condition, Encoder, Facts, Learning, Turn
from gesso.contract.known import Known
from gesso.contract.steer import Stage
from gesso.losses import gaussian_kl
from gesso.nn import Scaled, channels_at, levels
from gesso.nn.coupling import Couplings
from gesso.options import Field, Options
from gesso.reconstruction import Likeness, Rebuilding, patch_critic

CLEAN = 0.05  # standard deviation of errors that pictures without noise are taken to have
APART = 0.7  # share of chance in the latents from which candidates set out
SOUGHT = 100  # steps by which the latents of a picture are sought
MUTE = 0.01  # nats below which a latent number says nothing


class VAEConfig(Rebuilding, Learning):
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
    adversarial: float = Field(
        default=0.2,
        ge=0,
        le=10,
        description="How much a critic of patches has to say, as a share of all else; 0: nothing.",
    )
    likelihood: Literal["gaussian", "laplace"] = Field(
        default="gaussian", description="How errors of pixels are taken to fall."
    )
    couplings: int = Field(default=6, ge=0, le=64, description="Steps of the learned prior; 0: it stays Gaussian.")
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


class Artist(nn.Module):
    """Latents and conditions → pictures: the learned prior, where there is one, then the decoder."""

    def __init__(self, decoder: AskedDecoder, prior: "Prior | None"):
        super().__init__()
        self.decoder, self.prior = decoder, prior

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        return self.decoder(z if self.prior is None else self.prior(z, *given), *given)


class Painting(nn.Module):
    """The decoder, as `contract.steer.Stage` has it."""

    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder = decoder

    def forward(self, codes: Float[Tensor, "n 1 d"], z: Tensor, *given: Tensor) -> tuple[Float[Tensor, "n c h w"]]:
        """The picture alone."""
        return (self.decoder(codes[:, 0], *given).float(),)


class Prior(nn.Module):
    """Gaussian numbers and conditions → where the recogniser puts such pictures, and back."""

    def __init__(self, config: VAEConfig, conditions: Conditions):
        super().__init__()
        self.asked = conditions.conditioner(config.asked_width)
        self.flow = Couplings(config.latent, config.couplings, 128, config.asked_width if self.asked else 0)

    def _told(self, given: Sequence[Tensor]) -> Tensor | None:
        return self.asked(*given).vector if self.asked is not None else None

    def forward(self, e: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n d"]:
        """From Gaussian numbers."""
        return self.flow(e, self._told(given))

    def whence(self, z: Float[Tensor, "n d"], *given: Tensor) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Back, and the logarithm of the density."""
        return self.flow.whence(z, self._told(given))


class VAE(Encoder[VAEConfig, VAEKnobs]):
    """A recogniser that looks and a decoder that draws, tied by the evidence lower bound."""

    name = "vae"
    Config = VAEConfig
    Knobs = VAEKnobs
    takes = frozenset({"label", "text"})
    ema = ("recogniser", "decoder", "prior")
    paper = (
        "Kingma & Welling 2014; Higgins et al. 2017 (β); Kingma et al. 2016 (free bits); Rybkin et al. 2021 (optimal "
        "σ); Larsen et al. 2016 (critic); Dinh et al. 2017; Chen et al. 2017 (learned prior)"
    )
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "sharp": {"beta": 0.3},
        "tidy": {"beta": 4.0},
        "plain": {"perceptual": 0.0, "adversarial": 0.0, "couplings": 0},
    }

    def __init__(self, config: VAEConfig, facts: Facts):
        super().__init__(config, facts)
        self.conditions = Conditions(facts, config.labels, config.captions)
        self.takes = frozenset(self.conditions.kinds)
        parts: dict[str, nn.Module] = {
            "recogniser": Recogniser(config, facts, self.conditions),
            "decoder": AskedDecoder(self.conditions, config.latent, config.width, config.asked_width),
        }
        if config.couplings:
            parts["prior"] = Prior(config, self.conditions)
        self.parts = nn.ModuleDict({**parts, **patch_critic(config, facts.channels, facts.height, facts.width)})
        self.likeness = Likeness(config)

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """One for all; the critic joins late."""
        rest = (part for part in self.parts if part != "critic")
        return [Turn("elbo", (*rest, *self.config.heard(clock.fraction)))]

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The negative evidence lower bound in nats, divided by the number of pixel values, and what else is wanted.

        For the log alone: `nats`, the divergence from the prior; `active`, the share of latent numbers that carry
        more than MUTE nats beyond those that are free (active units; Burda et al. 2016, section 5.1, there told by the
        variance of their means, which free nats would mislead); `error`, the mean squared error of a pixel.
        The scale of the pixel errors is the one that fits the batch best (Rybkin et al. 2021, eq. 5; for the
        Laplace likelihood its counterpart), so that β = 1 needs no tuning.
        """
        given = self.conditions.tensors(batch, len(batch.image), batch.image.device)
        mean, log_variance = (t.float() for t in self.parts["recogniser"](batch.image, *given))
        noise = torch.randn(mean.shape, generator=rng, device=mean.device)
        z, real = mean + (0.5 * log_variance).exp() * noise, batch.image.float()
        drawn = self.parts["decoder"](z, *given).float()
        critic = self.parts["critic"] if "critic" in turn.parts else None
        unlike = self.likeness(real, drawn, critic, self._fit, rng)
        divergence = gaussian_kl(mean, log_variance).mean(0)  # one value a latent number
        bounded = torch.maximum(divergence, torch.tensor(self.config.free_bits, device=mean.device)).sum()
        nats = divergence.sum()
        if self.config.couplings:
            nats, free = self._beyond(z, noise, log_variance, given), self.config.free_bits * mean.shape[1]
            bounded = nats.clamp(min=free)
        return {
            **unlike,
            "prior": self.config.beta * bounded / real[0].numel(),
            "nats": nats.detach(),
            "active": (divergence.detach() > self.config.free_bits + MUTE).float().mean(),
            "error": F.mse_loss(drawn.detach(), real),
        }

    def _fit(self, drawn: Tensor, real: Tensor) -> Float[Tensor, ""]:
        """Nats that the errors of a pixel's value cost, at the scale that fits them best."""
        if self.config.likelihood == "gaussian":
            return 0.5 * (F.mse_loss(drawn, real) + 1e-6).log() + 0.5 * (1 + math.log(2 * math.pi))
        return (F.l1_loss(drawn, real) + 1e-6).log() + 1 + math.log(2)

    def _beyond(self, z: Tensor, noise: Tensor, log_variance: Tensor, given: Sequence[Tensor]) -> Float[Tensor, ""]:
        """How many nats more latents have in the posterior that they were drawn from than in the learned prior."""
        told = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(1)
        with torch.autocast(z.device.type, enabled=False):
            return (told - self._prior.whence(z, *given)[1]).mean()

    @property
    def _prior(self) -> Prior:
        prior = self.parts["prior"]
        assert isinstance(prior, Prior)
        return prior

    @property
    def _artist(self) -> Artist:
        decoder = self.parts["decoder"]
        assert isinstance(decoder, AskedDecoder)
        return Artist(decoder, self._prior if self.config.couplings else None)

    def adam(self, part: str) -> Adam:
        """The same for all, but for the critic, which remembers less."""
        return Adam(lr=self.config.lr, betas=(0.0 if part == "critic" else 0.9, 0.999), clip=1.0)

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Latents from N(0, 1)."""
        return torch.randn(n, self.config.latent, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: VAEKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the decoder."""
        yield self._artist(z * knobs.truncation, *self.inputs(condition, len(z))).float()

    def codes(self, z: Tensor, condition: Condition, knobs: VAEKnobs) -> Float[Tensor, "n 1 d"]:
        """Where the recogniser would put such pictures."""
        z = z * knobs.truncation
        return (self._prior(z, *self.inputs(condition, len(z))) if self.config.couplings else z)[:, None]

    def of_codes(
        self, codes: Float[Tensor, "n 1 d"], z: Tensor, condition: Condition, knobs: VAEKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the decoder."""
        yield self.parts["decoder"](codes[:, 0], *self.inputs(condition, len(z))).float()

    def stages(self, knobs: VAEKnobs) -> list[Stage]:
        """One: the decoder."""
        return [Stage(Painting(self.parts["decoder"]).eval(), range(1))]

    def encode(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, "n d"]:
        """The mean of the posterior."""
        given = self.inputs(condition, len(image))
        mean = self.parts["recogniser"](image, *given)[0].float()
        return self._prior.whence(mean, *given)[0] if self.config.couplings else mean

    def restore(
        self, z: Tensor, known: Known, condition: Condition, knobs: VAEKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """The likeliest latents of pictures that are as is known, sought downhill (Bora et al. 2017, eq. 3).

        From those of the pictures as they are, with a share of `z`, so that candidates differ: the more, the larger
        the truncation. The drawn picture is fitted to what is known, but for noise.
        """
        given, values = self.inputs(condition, len(z)), known.image[0].numel()
        error = 2 * max(known.noise, CLEAN) ** 2
        with torch.inference_mode(False), torch.enable_grad():
            mask = None if known.mask is None else known.mask.clone()
            known = replace(known, image=known.image.clone(), mask=mask)
            given = [x.clone() for x in given]
            guess = self.encode(known.image, condition).detach()
            e = ((1 - APART**2) ** 0.5 * guess + APART * knobs.truncation * z.clone()).requires_grad_()
            optimizer, artist = torch.optim.Adam([e], lr=0.1, betas=(0.9, 0.95)), self._artist
            for step in range(SOUGHT):
                drawn = artist(e, *given).float()
                apart = (known.fitted(drawn) - drawn).square().sum() / error + 0.5 * e.square().sum()
                (e.grad,) = torch.autograd.grad(apart / values, e)
                optimizer.step()
                if (step + 1) % (SOUGHT // 10) == 0:
                    last = artist(e, *given).detach().float()
                    yield last if known.noise else known.fitted(last).clamp(-1, 1)

    def varied(
        self, z: Tensor, image: Float[Tensor, "n c h w"], strength: float, condition: Condition, knobs: VAEKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """Their latents, part of which is drawn anew, with the spread that they had."""
        mixed = (1 - strength**2) ** 0.5 * self.encode(image, condition) + strength * z
        yield from self.sample(mixed, condition, knobs)

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, as far as the data has them."""
        return self.conditions.tensors(asked, n, next(self.parameters()).device)

    def core(self, knobs: VAEKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures."""
        drawing = Scaled(self._artist, knobs.truncation).eval()
        return drawing, (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))
