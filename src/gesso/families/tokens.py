"""Pictures as words: a tokenizer turns a picture into a few numbers, a transformer learns how they follow a text.

The first part of a run teaches the tokenizer, the rest the transformer (Ramesh et al. 2021, "DALL·E", section 2; the
tokenizer of van den Oord et al. 2017, or finite scalars by Mentzer et al. 2024). Text, label and picture are one
sequence. One transformer learns two orders: each number after those before it, as DALL·E does, and any numbers from any
others (MaskGIT; Chang et al. 2022, section 3), by which a picture is drawn in a few looks.

Latents are uniform: a number of the picture is where the latent falls among the probabilities. So a picture has latents
that draw it again (`encode`).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gesso.conditioning import LED, Conditions, Guidance, Guided
from gesso.contract.family import Adam, Batch, Clock, Condition, Encoder, Facts, Learning, Turn
from gesso.contract.known import Known
from gesso.errors import GessoError
from gesso.nn.autoencode import Looking, Painting, shrinkage
from gesso.nn.quantise import Quantised, Scalars, VectorQuantiser
from gesso.nn.sequence import Cache
from gesso.nn.sequence import Sequence as Transformer
from gesso.options import Field
from gesso.reconstruction import SMALL, Likeness, Rebuilding, patch_critic

GOLDEN = 0.6180339887498949  # steps of it fill [0, 1) evenly (Weyl 1916)
SHOWN = 8  # unfinished canvases that a drawing in order shows


class TokensConfig(Rebuilding, Learning):
    """Choices of the tokenizer and of the transformer."""

    code: Literal["scalars", "vectors"] = Field(
        default="scalars", description="What a number stands for: values of a few channels, or a learned vector."
    )
    codes: int = Field(default=512, ge=2, le=65536, description="Vectors of the book, where numbers stand for vectors.")
    side: int = Field(default=8, ge=2, le=64, description="Numbers along a picture's shorter side.")
    width: int = Field(default=32, ge=4, le=512, description="Channels of the tokenizer at half of the full size.")
    first: float = Field(default=0.3, gt=0, lt=1, description="Share of the run in which the tokenizer learns.")
    commitment: float = Field(default=0.25, ge=0, description="Weight that keeps vectors near those of the book.")
    inside: int = Field(default=128, ge=16, le=4096, description="Numbers of a vector in the transformer.")
    depth: int = Field(default=6, ge=1, le=64, description="Layers of the transformer.")
    heads: int = Field(default=4, ge=1, le=64, description="Places that each looks at, at once; divides `inside`.")
    batch: int = Field(default=32, ge=1, le=4096, description="Pictures a step, over all processes.")
    lr: float = Field(default=1e-3, gt=0, le=1, description="Learning rate of Adam at its highest.")
    decay: float = Field(
        default=0.3, ge=0, le=1, description="Share of the run, its last part, over which the rate falls to zero."
    )
    labels: bool = Field(default=True, description="Learn the classes where the data has them.")
    captions: bool = Field(default=True, description="Learn the captions where the data has them.")
    drop: float = Field(
        default=0.1, ge=0, lt=1, description="Share of pictures that are learned as if nothing were asked of them."
    )


class TokensKnobs(Guided):
    """Choices when drawing."""

    order: Literal["raster", "parallel"] = Field(
        default="raster", description="Number after number as one reads, or several at once where the model is surest."
    )
    steps: int = Field(default=10, ge=1, le=256, description="Looks by which a picture is drawn in parallel.")
    temperature: float = Field(default=1.0, gt=0, le=4, description="Below 1 tamer, above 1 wilder.")
    top_k: int = Field(default=0, ge=0, description="Only the likeliest so many numbers are drawn; 0: any.")


class Tokenizer(nn.Module):
    """A picture → a map of vectors → codes, and back."""

    def __init__(self, config: TokensConfig, facts: Facts):
        super().__init__()
        shrink = shrinkage(facts.height, facts.width, config.side)
        self.places = (facts.height // shrink, facts.width // shrink)
        book = Scalars() if config.code == "scalars" else VectorQuantiser(config.codes, 16, config.commitment)
        self.book, self.count = book, book.count
        self.down = Looking(facts.channels, config.width, shrink, book.width)
        self.up = Painting(facts.channels, config.width, shrink, book.width)

    def look(self, x: Float[Tensor, "n c h w"], follow: bool = False) -> Quantised:
        """The codes of pictures. follow: learned vectors move to what chose them."""
        return self.book(self.down(x), follow)

    def paint(self, codes: Int[Tensor, "n k"], known: Bool[Tensor, "n k"] | None = None) -> Float[Tensor, "n c h w"]:
        """Pictures of codes; where they are not known yet, of nothing."""
        vectors = self.book.vectors(codes.unflatten(1, self.places)).float()
        if known is not None:
            vectors = vectors * known.unflatten(1, self.places)[:, None]
        return self.up(vectors)


class Reader(nn.Module):
    """What is asked and what is known of a picture's codes → how likely each code is at each place."""

    def __init__(self, config: TokensConfig, facts: Facts, conditions: Conditions, places: int, count: int):
        super().__init__()
        self.kinds, self.places, self.count = conditions.kinds, places, count
        inside = config.inside
        self.label = nn.Embedding(conditions.null + 1, inside) if "label" in self.kinds else None
        self.text = None
        if "text" in self.kinds:
            ids = conditions.reader.ids(["a"])
            self.text = nn.Embedding(len(getattr(conditions.reader, "pieces", ())), inside)
            self.text_place = nn.Parameter(torch.randn(ids.shape[1], inside) * 0.02)
        self.embed = nn.Embedding(count + 2, inside)  # then: nothing before, and not known
        self.place, self.manner = nn.Parameter(torch.randn(places, inside) * 0.02), nn.Embedding(2, inside)
        for embedding in (self.label, self.text, self.embed, self.manner):
            if embedding is not None:
                nn.init.normal_(embedding.weight, 0.0, 0.02)
        self.read = Transformer(inside, config.depth, config.heads)
        self.head = nn.Linear(inside, count)

    def asked(self, *given: Tensor) -> tuple[Float[Tensor, "n t c"], Bool[Tensor, "n t"]] | None:
        """Vectors of what is asked, and which of them say something."""
        of, parts, there = dict(zip(self.kinds, given, strict=True)), list[Tensor](), list[Tensor]()
        if self.label is not None:
            parts.append(self.label(of["label"])[:, None])
            there.append(torch.ones_like(of["label"][:, None], dtype=torch.bool))
        if self.text is not None:
            parts.append(self.text(of["text"]) + self.text_place[: of["text"].shape[1]])
            said = of["text"] != 0
            there.append(torch.cat([torch.ones_like(said[:, :1]), said[:, 1:]], 1))
        return (torch.cat(parts, 1), torch.cat(there, 1)) if parts else None

    def forward(
        self, codes: Int[Tensor, "n k"], known: Bool[Tensor, "n k"] | None, *given: Tensor
    ) -> Float[Tensor, "n k v"]:
        """Logits. known: which codes may be seen, in any order; None: at each place those before it."""
        n, k = codes.shape
        if known is None:
            before = torch.cat([codes.new_full((n, 1), self.count), codes[:, :-1]], 1)
            x, sight = self.embed(before), torch.ones(k, k, dtype=torch.bool, device=codes.device).tril()
        else:
            hidden = torch.full_like(codes, self.count + 1)
            x, sight = self.embed(torch.where(known, codes, hidden)), codes.new_ones(k, k, dtype=torch.bool)
        x = x + self.place + self.manner.weight[int(known is not None)]
        sight = sight.expand(n, k, k)
        asked = self.asked(*given)
        if asked is None:
            return self.head(self.read(x, sight)[0])
        prefix, there = asked
        t = prefix.shape[1]
        above = torch.cat([there[:, None].expand(n, t, t), there.new_zeros(n, t, k)], 2)
        seen = torch.cat([above, torch.cat([there[:, None].expand(n, k, t), sight], 2)], 1)
        return self.head(self.read(torch.cat([prefix, x], 1), seen)[0][:, t:])

    def begin(self, n: int, *given: Tensor) -> tuple[Cache | None, Bool[Tensor, "n t"]]:
        """What is asked, read once, for drawing in order."""
        asked = self.asked(*given)
        if asked is None:
            return None, torch.ones(n, 0, dtype=torch.bool, device=self.place.device)
        prefix, there = asked
        return self.read(prefix, there[:, None].expand(-1, prefix.shape[1], -1))[1], there

    def next(
        self, code: Int[Tensor, " n"], place: int, past: Cache | None, there: Bool[Tensor, "n t"]
    ) -> tuple[Float[Tensor, "n v"], Cache, Bool[Tensor, "n u"]]:
        """Logits at a place, after the code before it; what has been read, and what of it may be seen."""
        x = self.embed(code)[:, None] + self.place[place] + self.manner.weight[0]
        there = torch.cat([there, there.new_ones(len(there), 1)], 1)
        y, kept = self.read(x, there[:, None], past)
        return self.head(y[:, 0]), kept, there


def fallen(logits: Float[Tensor, "*n v"], u: Float[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """The code at whose share of the probabilities, one after the other, u in [0, 1) falls."""
    heights = logits.softmax(-1).double().cumsum(-1)
    return (heights <= u.double()[..., None] * heights[..., -1:]).sum(-1).clamp(max=logits.shape[-1] - 1)


class Drawing(nn.Module):
    """Latents and conditions → pictures, with fixed knobs."""

    def __init__(self, family: "Tokens", knobs: TokensKnobs):
        super().__init__()
        tokenizer, reader = family.parts["tokenizer"], family.parts["transformer"]
        assert isinstance(tokenizer, Tokenizer)
        assert isinstance(reader, Reader)
        self.tokenizer, self.reader, self.knobs = tokenizer, reader, knobs
        self.guidance = Guidance(family.conditions, knobs, next(family.parameters()).device)

    def _guided(self, logits: Float[Tensor, "m *k v"]) -> Float[Tensor, "n *k v"]:
        """Led by the guidance, cooled, and cut to the likeliest."""
        logits = self.guidance.led(logits.float().log_softmax(-1)) / self.knobs.temperature
        if 0 < self.knobs.top_k < logits.shape[-1]:
            least = logits.topk(self.knobs.top_k, -1).values[..., -1:]
            logits = logits.masked_fill(logits < least, -math.inf)
        return logits

    def in_order(self, z: Float[Tensor, "n k"], given: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Codes so far, and which are known."""
        reader, n, k = self.reader, len(z), z.shape[1]
        past, there = reader.begin(n * self.guidance.looks, *self.guidance.asked(given))
        code = torch.full((n,), reader.count, device=z.device)
        codes = torch.zeros(n, k, dtype=torch.long, device=z.device)
        known = torch.zeros(n, k, dtype=torch.bool, device=z.device)
        for place in range(k):
            logits, past, there = reader.next(self.guidance.twice(code), place, past, there)
            code = fallen(self._guided(logits), z[:, place])
            codes = torch.cat([codes[:, :place], code[:, None], codes[:, place + 1 :]], 1)
            if place + 1 == k or (place + 1) % max(k // SHOWN, 1) == 0:
                known = torch.arange(k, device=z.device)[None].expand(n, k) <= place
                yield codes, known

    def at_once(
        self,
        z: Float[Tensor, "n k"],
        sure: Float[Tensor, "n k"],
        given: Sequence[Tensor],
        kept: tuple[Int[Tensor, "n k"], Bool[Tensor, "n k"]] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Codes so far: at each look those are kept of which the model is surest, give or take.

        kept: codes that are there from the beginning, and which of them.
        """
        n, k = z.shape
        codes = torch.zeros(n, k, dtype=torch.long, device=z.device)
        known = torch.zeros(n, k, dtype=torch.bool, device=z.device)
        if kept is not None:
            codes, known = kept
        open_ = (~known).sum(1, keepdim=True)
        both, chance = self.guidance.asked(given), -(-sure.clamp(1e-6, 1 - 1e-6).log()).log()  # Gumbel's
        for step in range(self.knobs.steps):
            logits = self._guided(self.reader(self.guidance.twice(codes), self.guidance.twice(known), *both))
            drawn = fallen(logits, (z + step * GOLDEN) % 1)
            fit = logits.log_softmax(-1).gather(2, drawn[..., None])[..., 0]
            left = 1 - (step + 1) / self.knobs.steps
            fit = (fit + self.knobs.temperature * left * chance).masked_fill(known, math.inf)
            still = (open_ * math.cos(math.pi / 2 * (1 - left)) + 1e-9).floor()  # places left open
            codes = torch.where(known, codes, drawn)
            order = fit.argsort(1, descending=True).argsort(1)
            known = order < k - still
            yield codes, known

    def stream(self, z: Float[Tensor, "n d"], *given: Tensor) -> Iterator[Float[Tensor, "n c h w"]]:
        """Canvases that fill."""
        first, second = z.chunk(2, 1)
        ways = self.in_order(first, given) if self.knobs.order == "raster" else self.at_once(first, second, given)
        for codes, known in ways:
            yield self.tokenizer.paint(codes, known).float()

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        *_, last = self.stream(z, *given)
        return last


class Tokens(Encoder[TokensConfig, TokensKnobs]):
    """A tokenizer that turns pictures into a few numbers, and a transformer that writes them after a text."""

    name = "tokens"
    Config = TokensConfig
    Knobs = TokensKnobs
    takes = frozenset({"label", "text"})
    ema = ("tokenizer", "transformer")
    exact = True
    geometry = "uniform"
    paper = "Ramesh et al. 2021; van den Oord et al. 2017; Mentzer et al. 2024; Chang et al. 2022; Vaswani et al. 2017"
    presets: ClassVar[dict[str, dict]] = {"": {}, "vectors": {"code": "vectors"}}
    sizes: ClassVar[dict[int, dict]] = {
        32: {},
        64: {"width": 24},
        128: {"width": 16, "side": 16},
        256: {"width": 16, "side": 16},
    }

    def __init__(self, config: TokensConfig, facts: Facts):
        super().__init__(config, facts)
        self.conditions = Conditions(facts, config.labels, config.captions)
        self.takes = frozenset(self.conditions.kinds)
        tokenizer = Tokenizer(config, facts)
        self.count = math.prod(tokenizer.places)
        reader = Reader(config, facts, self.conditions, self.count, tokenizer.count)
        critic = patch_critic(config, facts.channels, facts.height, facts.width)
        self.parts = nn.ModuleDict({"tokenizer": tokenizer, "transformer": reader, **critic})
        self.likeness = Likeness(config)

    @property
    def obedient(self) -> dict[str, Any]:
        """Led towards what is asked."""
        return LED if self.conditions.differ else {}

    def turns(self, clock: Clock) -> Sequence[Turn]:
        """The tokenizer's, then the transformer's."""
        first = self.config.first
        if clock.fraction < first:
            return [
                Turn("tokenizer", ("tokenizer", *self.config.heard(clock.fraction / first)), end=first, small=SMALL)
            ]
        return [Turn("transformer", ("transformer",), begin=first)]

    def losses(self, turn: Turn, batch: Batch, clock: Clock, rng: torch.Generator) -> dict[str, Tensor]:
        """The tokenizer's: how far pictures are from what is painted of their codes. The transformer's: nats a code."""
        tokenizer, reader, n = self._tokenizer, self.parts["transformer"], len(batch.image)
        if turn.name == "tokenizer":
            seen = tokenizer.look(batch.image, follow=True)
            painted = tokenizer.up(seen.vectors.to(batch.image.dtype))
            critic = self.parts["critic"] if "critic" in turn.parts else None
            out = self.likeness(batch.image, painted, critic, rng=rng)
            out["codes"] = torch.tensor(seen.codes.unique().numel() / tokenizer.count)
            return {**out, "commitment": seen.loss} if seen.loss.requires_grad else out
        with torch.no_grad():
            codes = tokenizer.look(batch.image).codes.flatten(1)
        given = self.conditions.dropped(self.inputs(batch, n), self.config.drop, rng)
        half = max(n // 2, 1)
        first = [x[:half] for x in given]
        logits = reader(codes[:half], None, *first).float()
        out = {"in order": F.cross_entropy(logits.flatten(0, 1), codes[:half].flatten())}
        if n > half:
            share = torch.cos(math.pi / 2 * torch.rand(n - half, 1, generator=rng, device=codes.device))
            order = torch.rand(n - half, self.count, generator=rng, device=codes.device).argsort(1).argsort(1)
            hidden = order < (share * self.count).ceil().clamp(min=1)
            logits = reader(codes[half:], ~hidden, *[x[half:] for x in given]).float()
            out["at once"] = F.cross_entropy(logits[hidden], codes[half:][hidden])
        return out

    def adam(self, part: str) -> Adam:
        """As usual for both."""
        if part != "transformer":
            return Adam(lr=self.config.lr, betas=(0.0 if part == "critic" else 0.9, 0.99), clip=1.0)
        return Adam(lr=self.config.lr, betas=(0.9, 0.96), weight_decay=0.02, clip=1.0)

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Uniform in [0, 1): where each code falls, then by how much the model may take itself to be surer."""
        return torch.rand(n, 2 * self.count, generator=rng, device=rng.device)

    def sample(self, z: Tensor, condition: Condition, knobs: TokensKnobs) -> Iterator[Float[Tensor, "n c h w"]]:
        """Canvases that fill."""
        yield from Drawing(self, knobs).to(z.device).stream(z, *self.inputs(condition, len(z)))

    def encode(self, image: Float[Tensor, "n c h w"], condition: Condition) -> Float[Tensor, "n d"]:
        """For each code the middle of its share of the probabilities, in order."""
        codes = self._tokenizer.look(image).codes.flatten(1)
        logits = self.parts["transformer"](codes, None, *self.inputs(condition, len(image))).float()
        heights = logits.softmax(-1).double().cumsum(-1)
        above = heights.gather(2, codes[..., None])[..., 0]
        below = torch.where(codes > 0, heights.gather(2, (codes - 1).clamp(min=0)[..., None])[..., 0], 0.0)
        u = ((above + below) / 2 / heights[..., -1]).float()
        return torch.cat([u, torch.full_like(u, 0.5)], 1)

    def restore(
        self, z: Tensor, known: Known, condition: Condition, knobs: TokensKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """Codes of places that are known whole are kept, and the others drawn, those first of which it is surest.

        Raises GessoError for anything but holes.
        """
        if known.mask is None or known.factor > 1 or known.grey:
            raise GessoError("Tokens fill holes, and no more.", "Give a mask, or restore with a flow or a vae.")
        tall, wide = self._tokenizer.places
        size = known.mask.shape[2] // tall, known.mask.shape[3] // wide
        whole = F.avg_pool2d(known.mask.float(), size).flatten(1) > 0.999
        for x in self._redrawn(z, known.image, whole, condition, knobs):
            yield known.fitted(x)

    def varied(
        self, z: Tensor, image: Float[Tensor, "n c h w"], strength: float, condition: Condition, knobs: TokensKnobs
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """Such a share of the codes is drawn anew, and the others are kept."""
        whole = z[:, self.count :].argsort(1).argsort(1) >= round(strength * self.count)
        yield from self._redrawn(z, image, whole, condition, knobs)

    def _redrawn(
        self, z: Tensor, image: Tensor, kept: Tensor, condition: Condition, knobs: TokensKnobs
    ) -> Iterator[Tensor]:
        drawing, given = Drawing(self, knobs).to(z.device), self.inputs(condition, len(z))
        seen, (first, second) = self._tokenizer.look(image).codes.flatten(1), z.chunk(2, 1)
        for codes, known in drawing.at_once(first, second, given, (seen, kept)):
            yield self._tokenizer.paint(codes, known).float()

    @property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = self.parts["tokenizer"]
        assert isinstance(tokenizer, Tokenizer)
        return tokenizer

    def inputs(self, asked: Condition | Batch, n: int) -> tuple[Tensor, ...]:
        """Labels, then pieces of texts, as far as the data has them."""
        return self.conditions.tensors(asked, n, next(self.parameters()).device)

    def core(self, knobs: TokensKnobs) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Latents and conditions to pictures, every step unrolled."""
        z = torch.full((1, 2 * self.count), 0.5)
        return Drawing(self, knobs).eval(), (z, *self.inputs(Condition(), 1))
