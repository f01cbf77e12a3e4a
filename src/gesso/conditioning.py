"""What a drawing is asked to be, as tensors and as a vector: labels, texts, or both together.

A family says which kinds of condition it takes; `Conditions` turns a batch's fields into tensors, batch first, and
`Conditioner` turns those into one vector a picture, by which networks modulate and critics project, and into a vector a
word for attention. What is not asked for is null: a label after the last, or a text without words; a share of the
conditions may be dropped in training, so that null means "whatever there is" (Ho & Salimans 2022, section 3.2).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import field_validator
from torch import Tensor, nn

from gesso.contract.family import Batch, Condition, Facts, Learning
from gesso.errors import GessoError
from gesso.nn import Decoder, normalised
from gesso.options import Field, Options
from gesso.text import PretrainedReader, Reader, Vocabulary, reading

__all__ = ["LED", "Asked", "AskedDecoder", "Asking", "Conditioner", "Conditions", "Guidance", "Guided"]

LED = {"guidance": 2.0}  # where something is asked: as good as without, and far more often what was asked


class Asking(Learning):
    """Choices of every family that learns what pictures are asked to be."""

    labels: bool = Field(default=True, description="Learn the classes where the data has them.")
    captions: bool = Field(default=False, description="Learn the captions where the data has them.")
    text_encoder: str = Field(
        default="", description="Folder of a pretrained text encoder in the place of one learned from the captions."
    )
    asked_width: int = Field(
        default=64, ge=8, le=1024, description="Numbers of the vector that says what a picture is asked to be."
    )
    drop: float = Field(
        default=0.0, ge=0, lt=1, description="Share of pictures that are learned as if nothing were asked of them."
    )

    @field_validator("text_encoder")
    @classmethod
    def _encoder_found_from_anywhere(cls, path: str) -> str:
        return str(Path(path).expanduser().absolute()) if path else ""


class Guided(Options):
    """Choices when drawing with guidance."""

    guidance: float = Field(
        default=1.0, ge=0, le=20, description="How much more than learned it is to be what is asked; 1: as learned."
    )
    negative: str = Field(default="", description="A text that drawings are led away from, by guidance above 1.")


class Asked(NamedTuple):
    """What pictures are asked to be. vector: of all conditions together; words: of each piece of a text, where there
    is one; there: which of them hold a piece.
    """

    vector: Float[Tensor, "n d"]
    words: Float[Tensor, "n t e"] | None = None
    there: Bool[Tensor, "n t"] | None = None


class Conditions:
    """Which conditions a family takes of those that the data has. kinds: of "label" and "text", in that order.

    folder: of a pretrained text encoder in the place of one that is learned from the captions.
    """

    def __init__(self, facts: Facts, labels: bool = True, text: bool = True, folder: str = ""):
        self.facts, self.folder = facts, folder
        there = {"label": labels and bool(facts.labels), "text": text and bool(facts.vocabulary)}
        self.kinds = tuple(kind for kind, wanted in there.items() if wanted)

    def __bool__(self) -> bool:
        return bool(self.kinds)

    @property
    def differ(self) -> bool:
        """Whether pictures can be asked for different things."""
        return "text" in self.kinds or ("label" in self.kinds and len(self.facts.labels) > 1)

    @property
    def null(self) -> int:
        """The number of no label."""
        return len(self.facts.labels)

    @cached_property
    def reader(self) -> Reader:
        """What turns texts into numbers of pieces."""
        return PretrainedReader(Path(self.folder)) if self.folder else Vocabulary.of(self.facts.vocabulary)

    def tensors(self, asked: Batch | Condition, n: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
        """The conditions of n pictures, in the order of `kinds`: numbers of labels, n; pieces of texts, n t.

        Raises GessoError where a drawing is asked for in words that no caption has.
        """
        out: list[Tensor] = []
        if "label" in self.kinds:
            nothing = torch.full((n,), self.null, device=device)
            out.append(nothing if asked.label is None else asked.label.to(device))
        if "text" in self.kinds:
            if isinstance(asked, Condition) and asked.text is not None:
                self.reader.check(asked.text)
            out.append(self.reader.ids([""] * n if asked.text is None else asked.text).to(device))
        return tuple(out)

    def dropped(self, given: Sequence[Tensor], share: float, rng: torch.Generator) -> tuple[Tensor, ...]:
        """The conditions, each of them null for a random share of the pictures, in [0, 1].

        Of two kinds of condition, a third of the pictures has one alone and a third the other, so that a drawing can
        be asked for by either: where both are always there, what both say is learned from the shorter.
        """
        if not given or (not share and len(given) == 1):
            return tuple(given)
        out: list[Tensor] = []
        alone = torch.rand(len(given[0]), generator=rng, device=given[0].device) * 3 if len(given) > 1 else None
        for number, (kind, tensor) in enumerate(zip(self.kinds, given, strict=True)):
            gone = torch.rand(len(tensor), generator=rng, device=tensor.device) < share
            if alone is not None:
                gone |= alone.long() == number
            nothing = tensor.new_tensor(self.null) if kind == "label" else self.reader.ids([""]).to(tensor)
            out.append(torch.where(gone.reshape(-1, *[1] * (tensor.dim() - 1)), nothing, tensor))
        return tuple(out)

    def conditioner(self, width: int, spectral: bool = False) -> "Conditioner | None":
        """What turns them into a vector of so many numbers; None where there are no conditions."""
        return Conditioner(self, width, spectral) if self.kinds else None


class Conditioner(nn.Module):
    """Numbers of labels and pieces of texts → `Asked`; of several kinds, the vectors add up.

    width: of the vectors. spectral: the label's vectors have spectral norm one, as a critic's have to.
    """

    def __init__(self, conditions: Conditions, width: int, spectral: bool = False):
        super().__init__()
        self.kinds, self.width = conditions.kinds, width
        labels, vocabulary = conditions.null + 1, conditions.facts.vocabulary
        self.label = normalised(nn.Embedding(labels, width), spectral) if "label" in self.kinds else None
        self.text = reading(vocabulary, conditions.folder, width)[1] if "text" in self.kinds else None

    def forward(self, *given: Int[Tensor, "n *t"]) -> Asked:
        """given: as `Conditions.tensors` gives them."""
        of = dict(zip(self.kinds, given, strict=True))
        vectors: list[Tensor] = []
        words = there = None
        if self.label is not None:
            vectors.append(self.label(of["label"]))
        if self.text is not None:
            words, sentence, there = self.text(of["text"])
            vectors.append(sentence)
        return Asked(torch.stack(vectors).sum(0), words, there)


class AskedDecoder(nn.Module):
    """The decoder of `nn`; what is asked for enters by its norms."""

    def __init__(self, conditions: Conditions, latent: int, width: int, asked_width: int):
        """latent: numbers of a latent; width: channels that every level multiplies; asked_width: of the vector."""
        super().__init__()
        facts = conditions.facts
        self.asked = conditions.conditioner(asked_width)
        shape = (facts.channels, facts.height, facts.width)
        self.decoder = Decoder(latent, width, shape, asked_width if self.asked else 0)

    def forward(self, z: Float[Tensor, "n d"], *given: Tensor) -> Float[Tensor, "n c h w"]:
        """Pictures in [-1, 1]."""
        return self.decoder(z, self.asked(*given).vector if self.asked else None)


class Guidance(nn.Module):
    """Leads what a network says away from what nobody asked for (Ho & Salimans 2022, eq. 6), or from another text.

    Raises GessoError where nothing can be asked, and where a text to be led away from would change nothing.
    """

    def __init__(self, conditions: Conditions, knobs: Guided, device: torch.device | None = None):
        super().__init__()
        self.scale = knobs.guidance
        if knobs.guidance != 1 and not conditions:
            raise GessoError("Nothing can be asked of this model, so guidance has no meaning.", "Leave guidance at 1.")
        if knobs.negative and "text" not in conditions.kinds:
            raise GessoError("This model does not draw from text.", "Leave the negative text out.")
        if knobs.negative and knobs.guidance <= 1:
            raise GessoError("A negative text needs guidance above 1.", "Add for example --guidance 3.")
        against = Condition(text=[knobs.negative]) if knobs.negative else Condition()
        self.kinds = len(conditions.kinds)
        for number, tensor in enumerate(conditions.tensors(against, 1, device)):
            self.register_buffer(f"against{number}", tensor)

    @property
    def looks(self) -> int:
        """How often a network has to look: twice with guidance."""
        return 1 if self.scale == 1 else 2

    def asked(self, given: Sequence[Tensor]) -> list[Tensor]:
        """The conditions of n pictures, and after them, with guidance, those that they are led away from."""
        if self.looks == 1:
            return [*given]
        return [torch.cat([x, self.get_buffer(f"against{i}").expand_as(x)]) for i, x in enumerate(given)]

    def twice(self, x: Float[Tensor, "n *k"]) -> Float[Tensor, "m *k"]:
        """What the network looks at, m = n or 2n."""
        return x if self.looks == 1 else torch.cat([x, x])

    def led(self, said: Float[Tensor, "m *k"]) -> Float[Tensor, "n *k"]:
        """What it said, once for each picture."""
        if self.looks == 1:
            return said
        wanted, unwanted = said.chunk(2)
        return unwanted + self.scale * (wanted - unwanted)
