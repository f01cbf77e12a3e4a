"""What families share that translate pictures: two generators, a critic of patches, and how they are asked.

**A generator here is a filter.** Drawing, it is made of convolutions and of norms whose statistics are fixed (batch
norm in evaluation mode, in the place of the instance norm that such networks often have): what it paints at a place
depends on the source within `reach` pixels of that place, and on nothing else. So a picture of any size may be
translated in tiles that begin at multiples of `step` and look `reach` pixels beyond themselves: they fit without seams.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import model_validator
from torch import Tensor, nn

from gesso.adversarial import Adversarial, AdversarialConfig, Given, Truncation, primer_critic
from gesso.contract.family import Batch, Condition, Facts
from gesso.errors import GessoError
from gesso.nn import AskedNorm, Doubling, Scaled, UpBlock, channels_at
from gesso.nn.patches import PatchCritic
from gesso.options import Field

__all__ = [
    "ResidualTranslator", "Translating", "TranslationConfig", "Translator", "UNet", "as_channels",
    "unfollowed",
]  # fmt: skip

SMALLEST = 4  # pixels of the shorter side below which a training picture is not halved any further
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Translator(nn.Module):
    """A source of any size, and a vector, to a picture of that size in [-1, 1].

    step: what the sides of a map must be multiples of; other sources are continued by reflection, and the picture is
    cut back. reach: pixels beyond a tile's border, on each side, that what is painted within depends on. maps: channels
    of each of `stages`.
    """

    step: int
    reach: int
    maps: tuple[int, ...]

    def __init__(self, halvings: int, last: int, middle: int, first: int, kept: int):
        """last, middle, first: reach of what comes after the doublings, between, and before the halvings, in pixels of
        its own map. kept: channels of the source that may be kept where nothing is to be painted, 0 for none.
        """
        super().__init__()
        self.step, self.kept = 1 << halvings, kept
        reach = last
        for _ in range(halvings):  # of a doubling, each pixel comes of two, the nearest and a neighbour
            reach = -(-reach // 2) + 1
        self.reach = ((reach + middle + 2) << halvings) - 2 + first  # halving by 4×4: r becomes 2r + 2

    def forward(self, source: Float[Tensor, "n s h w"], vector: Float[Tensor, "n v"]) -> Float[Tensor, "n c h w"]:
        """The picture."""
        return self.painted(self.stages(source, vector), vector, source)

    @abstractmethod
    def stages(self, source: Float[Tensor, "n s h w"], vector: Float[Tensor, "n v"]) -> list[Tensor]:
        """The maps that are found on the way in; the first is the source, continued to multiples of `step`."""

    @abstractmethod
    def paint(self, stages: list[Tensor], vector: Float[Tensor, "n v"]) -> Float[Tensor, "n _ h w"]:
        """What those maps come to, before it is brought into [-1, 1]."""

    def painted(
        self, stages: list[Tensor], vector: Float[Tensor, "n v"], source: Float[Tensor, "n s h w"]
    ) -> Float[Tensor, "n c h w"]:
        """The picture of `stages`.

        Where the source may be kept, a last channel says how much of each pixel is painted anew.
        """
        high, wide = source.shape[2:]
        out = self.paint(stages, vector)[:, :, :high, :wide]
        if not self.kept:
            return torch.tanh(out)
        anew = torch.sigmoid(out[:, -1:])
        return torch.lerp(source[:, : self.kept].to(out.dtype), torch.tanh(out[:, :-1]), anew)


class UNet(Translator):
    """Halvings by 4×4 convolutions, doublings that also see the map of their size on the way in (Ronneberger et al.
    2015; Isola et al. 2017, section 3.2), and at the full size the source itself, so that no line is lost.

    vector: numbers of what the doublings are modulated by. depth: halvings; each of them doubles `reach`.
    """

    def __init__(self, inside: int, outside: int, width: int, depth: int, vector: int, kept: int = 0):
        super().__init__(depth, last=1, middle=0, first=0, kept=kept)
        widths = [channels_at(width, level) for level in range(1, depth + 1)]
        self.maps = (inside, *widths)
        self.look = nn.Conv2d(inside, widths[0], 4, 2, 1, padding_mode="reflect")
        self.downs = nn.ModuleList(Halving(a, b) for a, b in pairwise(widths))
        fed = [2 * wide for wide in widths[:-1]] + [widths[-1]]
        self.ups = nn.ModuleList(UpBlock(fed[i + 1], widths[i], vector) for i in reversed(range(depth - 1)))
        self.norm, fine = AskedNorm(fed[0], vector), max(width // 2, 4)
        self.up = Doubling(fed[0], fine)
        self.last = nn.Conv2d(fine + inside, outside + bool(kept), 3, padding=1, padding_mode="reflect")

    def stages(self, source: Float[Tensor, "n s h w"], vector: Float[Tensor, "n v"]) -> list[Tensor]:
        """The source, then the maps of each halving."""
        maps = [continued(source, self.step)]
        for layer in chain((self.look,), self.downs):
            maps.append(layer(maps[-1]))
        return maps

    def paint(self, stages: list[Tensor], vector: Float[Tensor, "n v"]) -> Float[Tensor, "n _ h w"]:
        """Up again from the smallest."""
        source, *skips, x = stages
        for up in self.ups:
            x = torch.cat([up(x, vector), skips.pop()], 1)
        x = F.leaky_relu(self.up(F.leaky_relu(self.norm(x, vector), 0.2)), 0.2)
        return self.last(torch.cat([x, source.to(x.dtype)], 1))


class Halving(nn.Module):
    """Leaky ReLU → 4×4 convolution of stride 2 → batch norm."""

    def __init__(self, inside: int, outside: int):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 4, 2, 1, bias=False, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Float[Tensor, "n i H W"]) -> Float[Tensor, "n o h w"]:
        """h = H / 2, w = W / 2."""
        return self.norm(self.conv(F.leaky_relu(x, 0.2)))


class ResidualTranslator(Translator):
    """7×7 convolution, two halvings, residual blocks, two doublings, 7×7 convolution (Johnson et al. 2016; Zhu et al.
    2017, section 7.1). The full size has half of `width` channels, the blocks have twice that.
    """

    def __init__(self, inside: int, outside: int, width: int, blocks: int, vector: int, kept: int = 0):
        super().__init__(2, last=3, middle=2 * blocks, first=3, kept=kept)
        fine = max(width // 2, 4)
        self.maps = (inside, width, *[2 * width] * (1 + blocks))
        self.look = nn.Conv2d(inside, fine, 7, padding=3, padding_mode="reflect")
        self.downs = nn.ModuleList([Halving(fine, width), Halving(width, 2 * width)])
        self.blocks = nn.ModuleList(Residual(2 * width, vector) for _ in range(blocks))
        self.ups = nn.ModuleList([UpBlock(2 * width, width, vector), UpBlock(width, fine, vector)])
        self.norm = AskedNorm(fine, vector)
        self.last = nn.Conv2d(fine, outside + bool(kept), 7, padding=3, padding_mode="reflect")

    def stages(self, source: Float[Tensor, "n s h w"], vector: Float[Tensor, "n v"]) -> list[Tensor]:
        """The source, the maps of both halvings, then those of every block."""
        source = continued(source, self.step)
        maps, x = [source], self.look(source)
        for down in self.downs:
            x = down(x)
            maps.append(x)
        for block in self.blocks:
            x = block(x, vector)
            maps.append(x)
        return maps

    def paint(self, stages: list[Tensor], vector: Float[Tensor, "n v"]) -> Float[Tensor, "n _ h w"]:
        """Up again from the last."""
        x = stages[-1]
        for up in self.ups:
            x = up(x, vector)
        return self.last(F.leaky_relu(self.norm(x, vector), 0.2))


class Residual(nn.Module):
    """Two 3×3 convolutions, each before its norm, beside the identity; what is asked for enters by the norms."""

    def __init__(self, channels: int, vector: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False, padding_mode="reflect")
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False, padding_mode="reflect")
        self.norms = nn.ModuleList([AskedNorm(channels, vector), AskedNorm(channels, vector)])

    def forward(self, x: Float[Tensor, "n c h w"], vector: Float[Tensor, "n v"]) -> Float[Tensor, "n c h w"]:
        """The map, and what is added to it."""
        y = F.relu(self.norms[0](self.first(x), vector))
        return x + self.norms[1](self.second(y), vector)


class Painter(nn.Module):
    """Latents and what is asked → a vector, by which a translator paints: what a family calls its generator."""

    def __init__(self, network: Translator, latent: int, width: int, asked: nn.Module | None):
        super().__init__()
        self.network, self.asked = network, asked
        self.mapping = nn.Sequential(nn.Linear(latent, width), nn.LeakyReLU(0.2), nn.Linear(width, width))

    def vector(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n v"]:
        """What the norms are modulated by."""
        out = self.mapping(z)
        return out if self.asked is None else out + self.asked(*given).vector

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]. given: the conditions, then the source."""
        *asked, source = given
        return self.network(source, self.vector(z, *asked))


class TranslationConfig(AdversarialConfig):
    """Choices that families have that translate pictures."""

    critic: Literal["patch", "primer"] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="patch", description="The critic: of patches, or heads that stand on the primer and see no source."
    )
    loss: Literal["minimax", "non-saturating", "hinge", "wasserstein", "relativistic"] = Field(
        default="non-saturating", description="The game that generator and critic play."
    )
    backbone: Literal["unet", "residual"] = Field(
        default="unet", description="Shape of the generator: unet keeps lines, residual keeps what is between them."
    )
    width: int = Field(default=32, ge=8, le=512, description="Channels of the generator at half of the full size.")
    depth: int = Field(
        default=4,
        ge=1,
        le=6,
        description="Halvings of the unet, as far as 4 pixels are left: each doubles what one pixel depends on.",
    )
    blocks: int = Field(default=6, ge=1, le=32, description="Residual blocks of the residual generator.")
    critic_width: int = Field(default=32, ge=8, le=512, description="Channels of the critic's first map.")
    scales: int = Field(default=2, ge=1, le=3, description="Scales of a picture at which the critic looks at patches.")
    diversity: float = Field(
        default=0.0, ge=0, description="Weight of how much two latents must make of one source, where it is wished."
    )
    apart: float = Field(
        default=0.2, gt=0, le=2, description="Difference of two such pictures that is enough, in values from -1 to 1."
    )
    latent: int = Field(default=8, ge=1, le=4096, description="Numbers that make one translation differ from another.")
    batch: int = Field(default=16, ge=1, le=4096, description="Pictures a step, over all processes.")

    @model_validator(mode="after")
    def _colours_stay_together(self) -> "TranslationConfig":
        if self.critic == "patch" and "colour" in self.augment:
            raise ValueError(
                "the critic of patches may see source and picture together, whose colours must not be changed apart; "
                "leave colour out of augment, or choose critic=primer"
            )
        return self


Choices = TypeVar("Choices", bound=TranslationConfig)


class Translating(Adversarial[Choices, Truncation]):
    """What is the same in families that translate: the parts, and how they are asked and drawn from."""

    Knobs = Truncation
    several = True  # a judgement a patch

    def __init__(self, config: Choices, facts: Facts, seen: int, kept: int = 0):
        """seen: channels that the critic of patches sees. kept: channels of the source that may be kept."""
        super().__init__(config, facts)
        if not facts.source:
            raise GessoError(
                f"The family {self.name} translates pictures, and this data has none to begin with.",
                "Import pairs (gesso import … --pairs edges), or choose another family.",
            )
        halvings = min(config.depth, max((min(facts.height, facts.width) // SMALLEST).bit_length() - 1, 1))
        kind, deep = (UNet, halvings) if config.backbone == "unet" else (ResidualTranslator, config.blocks)
        network = kind(facts.source, facts.channels, config.width, deep, config.asked_width, kept)
        generator = Painter(network, config.latent, config.asked_width, self.conditions.conditioner(config.asked_width))
        critic: nn.Module
        if config.critic == "primer":
            critic = primer_critic(config, facts, self.conditions)
        else:
            asked = self.conditions.conditioner(config.asked_width, spectral=True)
            critic = PatchCritic(seen, config.critic_width, config.scales, asked, config.asked_width)
        self.parts = self.players(generator, critic)

    def source(self, asked: Condition | Batch, n: int) -> Float[Tensor, "n s h w"]:
        """The pictures to translate; black ones of the learned size where none are given."""
        if asked.source is not None:
            return asked.source
        device = next(chain(self.parameters(), self.buffers())).device
        return torch.zeros(n, self.facts.source, self.facts.height, self.facts.width, device=device)

    def various(
        self, image: Float[Tensor, "n c h w"], source: Float[Tensor, "n s h w"], given: Given, rng: torch.Generator
    ) -> dict[str, Tensor]:
        """A loss where seeds are to matter: a quarter of the sources are translated once more, with other latents.

        A generator that overlooks its latents is held to make both differ (mode seeking; Mao et al. 2019, eq. 3), up to
        a bound, from which on more is not better (Yang et al. 2019, eq. 2).
        """
        c, some = self.config, max(len(source) // 4, 1)
        if not c.diversity:
            return {}
        other = self.parts["generator"](self.prior(some, rng), *(tensor[:some] for tensor in given), source[:some])
        apart = (image[:some] - other).float().abs().mean((1, 2, 3))
        return {"diversity": c.diversity * (c.apart - apart).relu().mean()}

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, as far as the family takes them, then the source."""
        return (*super().inputs(asked, n), self.source(asked, n))

    def sample(self, z: Tensor, condition: Condition, knobs: Truncation) -> Iterator[Float[Tensor, "n c h w"]]:
        """One pass of the generator."""
        yield self.parts["generator"](z * knobs.truncation, *self.inputs(condition, len(z))).float()

    def core(self, knobs: Truncation) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents, conditions and source to pictures."""
        drawing = Scaled(self.parts["generator"], knobs.truncation)
        return drawing, (torch.zeros(1, self.config.latent), *self.inputs(Condition(), 1))


def continued(x: Float[Tensor, "n c h w"], step: int) -> Float[Tensor, "n c H W"]:
    """A picture continued by reflection, to the right and below, until its sides are multiples of `step`."""
    for axis in (2, 3):
        side = x.shape[axis]
        if side % step:
            x = x.index_select(axis, mirrored(side, -(-side // step) * step).to(x.device))
    return x


def mirrored(side: int, wanted: int) -> Int[Tensor, " m"]:
    """Numbers of pixels, to and fro between both borders, `wanted` of them."""
    way = torch.arange(wanted) % max(2 * side - 2, 1)
    return torch.where(way < side, way, 2 * side - 2 - way)


def as_channels(x: Float[Tensor, "n c h w"], channels: int) -> Float[Tensor, "n k h w"]:
    """Pictures in [-1, 1] in another form, with gradients: what is transparent lies on white, grey is luma."""
    if x.shape[1] == channels:
        return x
    if x.shape[1] == 4:  # premultiplied: colour + (1 − alpha) · white, where white is 1 and nothing is −1
        x = x[:, :3] + (1 - x[:, 3:])
    if channels == 1:
        return (x * x.new_tensor(LUMA).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    x = x.expand(-1, 3, -1, -1)
    return torch.cat([x, torch.ones_like(x[:, :1])], 1) if channels == 4 else x


@contextmanager
def unfollowed(network: nn.Module) -> Iterator[None]:
    """While it lasts, the running statistics of batch norms do not follow what the network sees."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
