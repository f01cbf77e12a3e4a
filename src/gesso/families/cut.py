"""Translation learned without pairs: pictures of one set become pictures of another, and keep their places.

A generator paints and a critic knows the other set. What a patch of a picture shows has to be told, by the generator's
own maps, from what all other patches of the same source show (patchwise contrast; Park et al. 2020): so a leg stays a
leg, in its place, whatever it is made of, and no second generator has to find the way back.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.adversarial import Given, Made
from gesso.contract.family import Adam, Batch, Clock, Facts, Turn
from gesso.options import Field
from gesso.translation import Painter, Translating, TranslationConfig, as_channels, continued, unfollowed


class CUTConfig(TranslationConfig):
    """Choices of CUT."""

    backbone: Literal["unet", "residual"] = Field(default="residual", description="Shape of the generator.")
    contrast: float = Field(default=1.0, ge=0, description="Weight of what keeps patches in their places.")
    identity: float = Field(
        default=1.0, ge=0, description="Weight of the same for pictures of the set itself, which need no change."
    )
    patches: int = Field(default=64, ge=2, le=1024, description="Places of each map that are compared.")
    temperature: float = Field(default=0.07, gt=0, le=10, description="The lower, the more sharply they are compared.")
    compared: int = Field(default=64, ge=8, le=1024, description="Numbers that a patch is compared by.")
    mirrored: bool = Field(
        default=False,
        description="In half of the steps compare with the mirrored picture: no matter which way it looks.",
    )


class CUT(Translating[CUTConfig]):
    """A generator whose maps know a patch again, and a critic of what it makes."""

    name = "cut"
    Config = CUTConfig
    needs = frozenset({"source"})
    takes = frozenset({"label", "text"})
    paper = "Park et al. 2020; Johnson et al. 2016; Isola et al. 2017; Mao et al. 2019"
    presets: ClassVar[dict[str, dict]] = {
        "": {},
        "small": {"augment": ["translation"]},
        "various": {"augment": ["translation"], "diversity": 5.0},
        "fastcut": {"contrast": 10.0, "identity": 0.0, "mirrored": True},
        "primer": {"critic": "primer", "augment": ["translation"]},
    }
    sizes: ClassVar[dict[int, dict]] = {
        8: {"batch": 8},
        128: {"batch": 8, "blocks": 9},
        256: {"batch": 8, "blocks": 9, "scales": 3},
    }

    def __init__(self, config: CUTConfig, facts: Facts):
        super().__init__(config, facts, facts.channels)
        maps = self._painter.network.maps
        self.looked = (0, 1, 2, 3, 3 + config.blocks // 2) if config.backbone == "residual" else range(len(maps))
        self.parts["heads"] = Heads([maps[i] for i in self.looked], config.compared)

    @property
    def _painter(self) -> Painter:
        generator = self.parts["generator"]
        assert isinstance(generator, Painter)
        return generator

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """As in any such game; the heads learn with the generator."""
        return [
            Turn(turn.name, (*turn.parts, "heads"), turn.every) if "generator" in turn.parts else turn
            for turn in super().turns(clock)
        ]

    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """One pass of the generator, and another look, by the same network, at what came out."""
        c, painter, source = self.config, self._painter, self.source(batch, len(batch.image))
        vector = painter.vector(self.prior(len(source), rng), *given)
        stages = painter.network.stages(source, vector)
        image = painter.network.painted(stages, vector, source)

        def more() -> dict[str, Tensor]:
            out: dict[str, Tensor] = {}
            if c.contrast:
                out["contrast"] = c.contrast * self._contrast(stages, image, vector, rng)
            if c.identity:
                own = as_channels(batch.image, self.facts.source).to(image.dtype)
                with unfollowed(painter):
                    known = painter.network.stages(own, vector)
                    same = painter.network.painted(known, vector, own)
                out["identity"] = c.identity * self._contrast(known, same, vector, rng)
            return out | self.various(image, source, given, rng)

        return Made((image,), more)

    def _contrast(
        self, stages: list[Tensor], image: Float[Tensor, "n c h w"], vector: Tensor, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """How badly the patches of a picture tell their own source from its other patches (eq. 4), over some maps.

        stages: the maps of the sources. Negatives are patches of the same source alone.
        """
        c, network = self.config, self._painter.network
        image = continued(as_channels(image, self.facts.source), network.step)
        turned = c.mirrored and bool(torch.rand((), generator=rng, device=rng.device) < 0.5)
        with unfollowed(network):
            again = network.stages(image.flip(3) if turned else image, vector)
        terms: list[Tensor] = []
        for number, i in enumerate(self.looked):
            known, seen = stages[i], again[i].flip(3) if turned else again[i]
            places = torch.randperm(known[0, 0].numel(), generator=rng, device=known.device)[: c.patches]
            query = self.parts["heads"](number, seen.flatten(2)[:, :, places])
            key = self.parts["heads"](number, known.flatten(2)[:, :, places]).detach()
            alike = query @ key.transpose(1, 2) / c.temperature  # n p p
            right = torch.arange(len(places), device=known.device).expand(len(alike), -1)
            terms.append(F.cross_entropy(alike.transpose(1, 2), right))  # over all keys of a query
        return torch.stack(terms).mean()

    def adam(self, part: str) -> Adam:
        """The heads step as the generator does."""
        return super().adam("generator" if part == "heads" else part)


class Heads(nn.Module):
    """Places of maps → numbers of length one, by which places are compared: two layers a map (Chen et al. 2020)."""

    def __init__(self, maps: Sequence[int], size: int):
        """maps: channels of each."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, size), nn.ReLU(), nn.Linear(size, size)) for channels in maps
        )

    def forward(self, number: int, x: Float[Tensor, "n c p"]) -> Float[Tensor, "n p d"]:
        """Of the map of that number; in float32, whatever the layers compute in."""
        return F.normalize(self.layers[number](x.transpose(1, 2)).float(), dim=-1)
