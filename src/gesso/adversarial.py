"""The game of a generator and a critic, played once for every family that plays it.

A concrete family makes pictures (`make`), says what its critic sees of real ones (`real`) and how it judges (`judged`);
here are the turns, the losses, the penalties, the figures, and the critic that stands on the primer.

One pass through the critic may serve both networks. Where a picture has a single judgement, of which both losses are
functions, the gradient at the made picture is scaled (`generator_share`). Where it has several (patches, heads, scales)
or where pictures of a batch are judged together, the generator's own gradient is led past the critic (`led_past`).
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import field_validator, model_validator
from torch import Tensor, nn

from gesso.augment import Augment
from gesso.conditioning import Asking, Conditions
from gesso.contract.family import Adam, Batch, Clock, Condition, Facts, Family, Turn
from gesso.losses import ADVERSARIAL, generator_share, gradient_penalty, led_past, r1_penalty, rightly_ranked
from gesso.nn import scale_gradient
from gesso.options import Field, Options
from gesso.primer.critic import PrimerCritic
from gesso.primer.frozen import load
from gesso.primer.own import Absent, network

__all__ = ["Adversarial", "AdversarialConfig", "Given", "Made", "Truncation", "primer_critic"]

Given = Sequence[Tensor]
Views = tuple[Float[Tensor, "n _ _ _"], ...]


class AdversarialConfig(Asking):
    """Choices that every family with a critic has."""

    critic: str = Field(default="own", description="The critic: the family's own, or heads that stand on the primer.")
    loss: Literal["minimax", "non-saturating", "hinge", "wasserstein", "relativistic"] = Field(
        default="relativistic", description="The game that generator and critic play."
    )
    network: str = Field(
        default="",
        description="File of your own network, ONNX or learned weights, for the critic in the primer's place.",
    )
    head_width: int = Field(default=64, ge=8, le=512, description="Channels of the heads on the primer.")
    eye_width: int = Field(default=32, ge=0, le=512, description="Channels of the eye for pixels beside them; 0: none.")
    latent: int = Field(default=128, ge=1, le=4096, description="Numbers that a picture is drawn from.")
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
    mismatched: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="Share of the critic's loss in which real pictures with the conditions of others count as made.",
    )

    @field_validator("network")
    @classmethod
    def _found_from_anywhere(cls, path: str) -> str:
        return str(Path(path).expanduser().absolute()) if path else ""

    @model_validator(mode="after")
    def _fits_the_primer(self) -> "AdversarialConfig":
        if self.network and self.critic != "primer":
            raise ValueError("a network of your own needs critic=primer")
        if self.critic == "primer" and (self.r1 or self.r2 or self.gradient_penalty):
            raise ValueError("the critic on the primer has no gradient penalty; leave r1, r2 and gradient_penalty out")
        return self


class Truncation(Options):
    """Choices when drawing from normal latents."""

    truncation: float = Field(
        default=1.0, gt=0, le=2, description="Spread of the latents: below 1 tamer, above 1 wilder."
    )


@dataclass
class Made:
    """Pictures that the generator made. views: as the critic sees them; more: the generator's own losses by name,
    already weighted, computed only where it learns.
    """

    views: Views
    more: Callable[[], dict[str, Tensor]] = field(default=dict)


def primer_critic(config: AdversarialConfig, facts: Facts, conditions: Conditions) -> PrimerCritic | Absent:
    """Heads on the primer or on a network of the user's own, and an eye for pixels."""
    path = Path(config.network)
    if config.network and not path.exists():
        return Absent(path)
    size, primer = (facts.height, facts.width), network(path) if config.network else load()
    asked = conditions.conditioner(config.head_width, spectral=True)
    return PrimerCritic(primer, size, facts.channels, config.head_width, config.eye_width, asked)


def others(given: Given) -> Int[Tensor, " n"]:
    """For each picture of a batch the number of the next that was asked for something else, or its own."""
    asked = torch.cat([tensor.reshape(len(tensor), -1) for tensor in given], 1)
    mine = torch.arange(len(asked), device=asked.device)
    following = (mine[:, None] + mine) % len(asked)
    differ = (asked[:, None] != asked[following]).any(2)
    return (mine + differ.int().argmax(1)) % len(asked)


Choices = TypeVar("Choices", bound=AdversarialConfig)
Handles = TypeVar("Handles", bound=Options)


class Adversarial(Family[Choices, Handles]):
    """A generator and a critic that learn by playing against each other.

    A concrete family sets `parts` by `players`. Its generator is called as generator(z, *given), its critic as
    critic(picture, *given), with the conditions as `Conditions.tensors` gives them.
    """

    ema = ("generator",)
    couples = False  # whether the critic judges pictures of a batch together (batch norm, minibatch deviation)
    several = False  # whether it gives several judgements a picture

    def __init__(self, config: Choices, facts: Facts):
        super().__init__(config, facts)
        self.conditions = Conditions(facts, config.labels, config.captions, config.text_encoder)
        self.takes = frozenset(self.conditions.kinds)
        self.game = ADVERSARIAL[config.loss]
        self.mismatched = config.mismatched if self.conditions.differ else 0.0

    def players(self, generator: nn.Module, critic: nn.Module) -> nn.ModuleDict:
        """All parts."""
        augment = Augment(self.config.augment, self.config.adaptive)
        return nn.ModuleDict({"generator": generator, "critic": critic, "augment": augment})

    @abstractmethod
    def make(self, batch: Batch, given: Given, clock: Clock, rng: torch.Generator) -> Made:
        """Pictures to the conditions of a batch. batch.image may be looked at for losses beside the game."""

    def real(self, batch: Batch, given: Given, clock: Clock) -> Views:
        """What the critic sees of the real pictures of a batch."""
        return (batch.image,)

    def judged(self, views: Sequence[Tensor], given: Given) -> list[Float[Tensor, "n _"]]:
        """The judgements of pictures, of each head or scale, at every place that it looks at."""
        judgement = self.parts["critic"](views[0], *given)
        return [y.flatten(1) for y in (judgement if isinstance(judgement, list) else [judgement[:, None]])]

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """One turn for both where that is exact, else the critic's and the generator's; lazy penalties on their own."""
        c = self.config
        lazy = [Turn("penalty", ("critic",), c.penalty_every)] if self._penalised and c.penalty_every > 1 else []
        exact = self._led or (not self.couples and c.loss != "hinge")  # a saturated hinge has no gradient to share
        if c.shared and exact and c.critic_steps == 1:
            return [Turn("both", ("generator", "critic")), *lazy]
        return [Turn("critic", ("critic",)), *lazy, Turn("generator", ("generator",), c.critic_steps)]

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The game; see `losses.py` for its equations."""
        if isinstance(self.parts["critic"], Absent):
            self.parts["critic"]()  # says what is missing
        given = self.conditions.tensors(batch, len(batch.image), batch.image.device)
        given = self.conditions.dropped(given, self.config.drop, rng)
        made = self.make(batch, given, clock, rng)
        real = self.real(batch, given, clock)
        if turn.name == "penalty":
            return self._penalty(real, made.views, given, rng, self.config.penalty_every)
        out = self._round(turn, real, made.views, given, rng)
        if turn.name != "critic":
            out |= made.more()
        if turn.name != "generator" and self._penalised and self.config.penalty_every == 1:
            out |= self._penalty(real, made.views, given, rng, 1)
        return out

    @property
    def _penalised(self) -> bool:
        return bool(self.config.r1 or self.config.r2 or self.config.gradient_penalty)

    @property
    def _led(self) -> bool:
        """Whether the generator's gradient is led past the critic, instead of a share of the critic's own."""
        return self.several or isinstance(self.parts["critic"], PrimerCritic)

    def _round(self, turn: Turn, real: Views, fake: Views, given: Given, rng: torch.Generator) -> dict[str, Tensor]:
        """One round of the game, for the critic, the generator or both."""
        known, seen = self._looked(real, [x.to(r.dtype) for x, r in zip(fake, real, strict=True)], rng)
        led, share = self._led and turn.name != "critic", []
        ways = seen
        if turn.name == "critic" or led:
            seen = [x.detach().requires_grad_(led) for x in seen]
        elif turn.name == "both":
            seen = [scale_gradient(x, share) for x in seen]
        judged_real, judged_fake, judged_wrong = self._compared(known, seen, given)
        out: dict[str, Tensor] = {}
        if turn.name != "generator":
            pairs = zip(judged_real, judged_fake, strict=True)
            out["critic"] = torch.stack([self.game.critic(r, f).mean() for r, f in pairs]).mean()
            if judged_wrong:
                pairs = zip(judged_real, judged_wrong, strict=True)
                loss = torch.stack([self.game.critic(r, w).mean() for r, w in pairs]).mean()
                out["mismatched"] = self.mismatched * loss
                out["critic"] = (1 - self.mismatched) * out["critic"]
            self._adapt(judged_real, judged_fake)
            out |= self._figures(judged_real, judged_fake)
        if turn.name != "critic":
            pairs = zip(judged_real, judged_fake, strict=True)
            loss = torch.stack([self.game.generator(r.detach(), f).mean() for r, f in pairs]).mean()
            out["generator"] = led_past(loss, seen, ways) if led else loss
        if turn.name == "both" and not led:
            less = 1 - self.mismatched if judged_wrong else 1.0
            share.append(generator_share(self.game, judged_real[0][:, 0], judged_fake[0][:, 0]) / less)
            out["generator"] = out["generator"].detach()
        return out

    def _looked(self, real: Sequence[Tensor], fake: Sequence[Tensor], rng: torch.Generator) -> tuple[list, list]:
        """What the learning part of the critic sees: augmented pictures, or the primer's maps of them."""
        critic, augment = self.parts["critic"], self.parts["augment"]
        changed = [augment(torch.cat([r, f]), rng).chunk(2) for r, f in zip(real, fake, strict=True)]
        if not isinstance(critic, PrimerCritic):
            return [r for r, _ in changed], [f for _, f in changed]
        ((changed_real, changed_fake),) = changed
        part = critic.part(real[0], rng)
        with torch.no_grad():
            known = critic.see(changed_real, real[0], part)
        return known, critic.see(changed_fake, fake[0], part)

    def _compared(self, known: list[Tensor], seen: list[Tensor], given: Given) -> tuple[list, list, list]:
        """Judgements of real pictures, of made ones, and of real ones with others' conditions where those count.

        In one batch, unless the critic judges the pictures of a batch together.
        """
        sets = [(known, tuple(given)), (seen, tuple(given))]
        if self.mismatched and given:
            which = others(given)
            sets.append((known, tuple(tensor[which] for tensor in given)))
        if self.couples:
            judged = [[y.float() for y in self._judged(views, asked)] for views, asked in sets]
        else:
            views = [torch.cat(parts) for parts in zip(*(views for views, _ in sets), strict=True)]
            asked = [torch.cat(parts) for parts in zip(*(asked for _, asked in sets), strict=True)]
            heads = [y.float().chunk(len(sets)) for y in self._judged(views, asked)]
            judged = [[head[i] for head in heads] for i in range(len(sets))]
        return judged[0], judged[1], judged[2] if len(judged) > 2 else []

    def _judged(self, seen: Sequence[Tensor], given: Given) -> list[Tensor]:
        critic = self.parts["critic"]
        return critic.judge(seen, *given) if isinstance(critic, PrimerCritic) else self.judged(seen, given)

    def _adapt(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> None:
        """The augmentation follows the critic, of the primer's the head that sees the whole picture."""
        critic = self.parts["critic"]
        which = len(critic.heads) - 1 if isinstance(critic, PrimerCritic) else 0
        augment = self.parts["augment"]
        assert isinstance(augment, Augment)
        augment.adapt(real[which].detach().mean(1), fake[which].detach().mean(1))

    def _figures(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> dict[str, Tensor]:
        """For the log, from judgements: how often the critic is right, and by how much.

        `accuracy`: share of pairs ranked rightly, 0.5 by chance; `gap`: mean judgement of real pictures less that of
        made ones. Where a judgement of zero means "as likely as not", `accuracy_real` and `accuracy_made` are the
        shares judged rightly of each. `strength`: of the augmentation, where it adapts.
        """
        r, f = (torch.stack([y.detach().mean(1) for y in side]).mean(0) for side in (real, fake))
        out = {"accuracy": rightly_ranked(r, f), "gap": r.mean() - f.mean()}
        if self.config.loss in ("minimax", "non-saturating", "hinge"):
            out |= {"accuracy_real": (r > 0).float().mean(), "accuracy_made": (f < 0).float().mean()}
        if self.config.adaptive:
            out["strength"] = self.parts["augment"].get_buffer("strength").clone()
        return out

    def _penalty(self, real: Views, fake: Views, given: Given, rng: torch.Generator, times: int) -> dict[str, Tensor]:
        """The penalties on the critic's gradient, at every view."""
        c, augment = self.config, self.parts["augment"]
        known = [augment(x, rng) for x in real]
        seen = [augment(x.detach().to(r.dtype), rng) for x, r in zip(fake, real, strict=True)]
        out: dict[str, Tensor] = {}

        def at(views: list[Tensor], which: int) -> Callable[[Tensor], Tensor]:
            """The critic, as a function of one of the views."""

            def critic(x: Tensor) -> Tensor:
                shown = [x if i == which else view for i, view in enumerate(views)]
                return torch.stack([y.mean(1) for y in self.judged(shown, given)]).sum(0)

            return critic

        for which, (r, f) in enumerate(zip(known, seen, strict=True)):
            terms: dict[str, Tensor] = {}
            if c.r1:
                terms["r1"] = r1_penalty(at(known, which), r).mean() * (times * c.r1 / 2)
            if c.r2:
                terms["r2"] = r1_penalty(at(seen, which), f).mean() * (times * c.r2 / 2)
            if c.gradient_penalty:
                penalty = gradient_penalty(at(known, which), r, f, rng)
                terms["gradient_penalty"] = penalty.mean() * (times * c.gradient_penalty)
            for name, term in terms.items():
                out[name] = out[name] + term if name in out else term
        return out

    def adam(self, part: str) -> Adam:
        """The critic may step faster than the generator (two time scales; Heusel et al. 2017)."""
        c = self.config
        return Adam(lr=c.critic_lr if part == "critic" else c.lr, betas=(c.beta1, c.beta2))

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Latents from N(0, 1)."""
        return torch.randn(n, self.config.latent, generator=rng, device=rng.device)

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, as far as the family takes them."""
        device = next(chain(self.parameters(), self.buffers())).device
        return self.conditions.tensors(asked, n, device)

    def judge(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, " n"]:
        """What the critic says; of one with several judgements, the mean of all."""
        given = self.inputs(condition, len(image))
        fields = {name: getattr(condition, name) for name in ("label", "text", "source", "mask")}
        views: Sequence[Tensor] = self.real(Batch(image, **fields), given, Clock(1, 1, 1))
        critic = self.parts["critic"]
        if isinstance(critic, PrimerCritic):
            views = critic.see(image, image)
        return torch.stack([y.mean(1) for y in self._judged(views, given)]).mean(0)
