"""Translation learned from pairs: from a line drawing to a picture, from grey to colour, from damaged to whole.

A generator paints the picture of a source; a critic sees source and picture together, patch by patch, and says whether
they belong together; beside that game, the picture has to be near the true one (Isola et al. 2017). One source has many
pictures: latents modulate the generator, and where `diversity` is set they are held to make a difference.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.adversarial import Given, Made
from gesso.contract.family import Batch, Clock, Facts
from gesso.options import Field
from gesso.primer.distance import Distance
from gesso.primer.frozen import SMALLEST
from gesso.translation import Translating, TranslationConfig


class Pix2PixConfig(TranslationConfig):
    """Choices of pix2pix."""

    l1: float = Field(default=20.0, ge=0, description="Weight of the mean difference from the true picture.")
    perceptual: float = Field(
        default=0.5,
        ge=0,
        description="Weight of how unlike the true one it looks to the primer (16 pixels and more).",
    )
    diversity: float = Field(
        default=0.0, ge=0, description="Weight of how much two latents must make of one source, where it is wished."
    )
    apart: float = Field(
        default=0.2, gt=0, le=2, description="Difference of two such pictures that is enough, in values from -1 to 1."
    )
    keep: bool = Field(
        default=False, description="Keep the source where nothing has to be painted: for pictures to be restored."
    )


class Pix2Pix(Translating[Pix2PixConfig]):
    """A generator that translates, and a critic that sees what it was given."""

    name = "pix2pix"
    Config = Pix2PixConfig
    needs = frozenset({"pair"})
    takes = frozenset({"label", "text"})
    paper = "Isola et al. 2017; Ronneberger et al. 2015; Johnson et al. 2016; Wang et al. 2018; Yang et al. 2019"
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "various": {"diversity": 10.0, "l1": 10.0, "perceptual": 0.25},
        "primer": {"critic": "primer", "augment": ["translation"]},
        "restore": {"backbone": "residual", "keep": True, "l1": 100.0},
        "paper": {
            "l1": 100.0, "perceptual": 0.0, "scales": 1, "width": 64, "critic_width": 64, "lr": 2e-4,
            "critic_lr": 2e-4, "beta1": 0.5, "beta2": 0.999,
        },
    }  # fmt: skip
    sizes: ClassVar[dict[int, dict]] = {
        8: {"batch": 8},
        128: {"batch": 8, "depth": 5},
        256: {"batch": 8, "depth": 6, "scales": 3},
    }

    def __init__(self, config: Pix2PixConfig, facts: Facts):
        alike = facts.source == facts.channels or (facts.source, facts.channels) == (4, 3)
        super().__init__(config, facts, facts.source + facts.channels, facts.channels if config.keep and alike else 0)
        seen = config.perceptual and min(facts.height, facts.width) >= SMALLEST
        self.distance = Distance(look="quick") if seen else None

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """One pass of the generator; a quarter of the sources are translated twice where that has to differ."""
        c, generator, source = self.config, self.parts["generator"], self.source(batch, len(batch.image))
        z = self.prior(len(source), rng)
        image = generator(z, *given, source)
        some = max(len(source) // 4, 1)
        other = self.prior(some, rng)

        def more() -> dict[str, Tensor]:
            out = {"l1": c.l1 * (image - batch.image).abs().mean()}
            if self.distance is not None:
                out["perceptual"] = c.perceptual * self.distance(image, batch.image.to(image.dtype)).mean()
            if c.diversity:
                second = generator(other, *(tensor[:some] for tensor in given), source[:some])
                out["diversity"] = c.diversity * (c.apart - unlike(image[:some], second)).relu().mean()
            return out

        return Made((self._seen(image, source),), more)

    def real(self, batch: Batch, given: Given, clock: Clock) -> tuple[Tensor, ...]:
        """The pictures, with their sources."""
        return (self._seen(batch.image, self.source(batch, len(batch.image))),)

    def _seen(self, image: Tensor, source: Tensor) -> Tensor:
        """What the critic is shown: of patches, source and picture together; of the primer's, the picture."""
        return image if self.config.critic == "primer" else torch.cat([source.to(image.dtype), image], 1)


def unlike(one: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """The mean difference of pictures, pair by pair.

    A generator that overlooks its latents is held to make it large (mode seeking; Mao et al. 2019, eq. 3), up to a
    bound, from which on more is not better (Yang et al. 2019, eq. 2).
    """
    return (one - other).float().abs().mean((1, 2, 3))
