"""Translation learned from pairs: from a line drawing to a picture, from grey to colour, from damaged to whole.

A generator paints the picture of a source; a critic sees source and picture together, patch by patch, and says whether
they belong together; beside that game, the picture has to be near the true one (Isola et al. 2017). One source has many
pictures: latents modulate the generator, and where `diversity` is set they are held to make a difference.
"""

from typing import ClassVar

import torch
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
    keep: bool = Field(
        default=False, description="Keep the source where nothing has to be painted: for pictures to be restored."
    )


class Pix2Pix(Translating[Pix2PixConfig]):
    """A generator that translates, and a critic that sees what it was given."""

    name = "pix2pix"
    Config = Pix2PixConfig
    needs = frozenset({"pair"})
    takes = frozenset({"label", "text"})
    paper = "Isola et al. 2017; Ronneberger et al. 2015; Johnson et al. 2016; Wang et al. 2018; Mao et al. 2019"
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
        """One pass of the generator."""
        c, source = self.config, self.source(batch, len(batch.image))
        image = self.parts["generator"](self.prior(len(source), rng), *given, source)

        def more() -> dict[str, Tensor]:
            out = {"l1": c.l1 * (image - batch.image).abs().mean()}
            if self.distance is not None:
                out["perceptual"] = c.perceptual * self.distance(image, batch.image.to(image.dtype)).mean()
            return out | self.various(image, source, given, rng)

        return Made((self._seen(image, source),), more)

    def real(self, batch: Batch, given: Given, clock: Clock) -> tuple[Tensor, ...]:
        """The pictures, with their sources."""
        return (self._seen(batch.image, self.source(batch, len(batch.image))),)

    def _seen(self, image: Tensor, source: Tensor) -> Tensor:
        """What the critic is shown: of patches, source and picture together; of the primer's, the picture."""
        return image if self.config.critic == "primer" else torch.cat([source.to(image.dtype), image], 1)
