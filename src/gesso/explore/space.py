"""Where a family is steered: its styles where it has some, else its latents, always as numbers around zero.

Everything here knows a family by its contract alone. Uniform latents are looked at through the normal distribution's
quantiles, so that a step from any of them stays within [0, 1].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.contract.family import Condition, Family
from gesso.contract.steer import Styled
from gesso.errors import GessoError
from gesso.options import Options
from gesso.sample import of_seed

__all__ = ["Points", "Space"]

BATCH = {"cpu": 32}
BATCH_ELSEWHERE = 256
EDGE = 1e-6  # uniform latents are kept that far from 0 and 1


@dataclass(frozen=True)
class Points:
    """Latents, the codes that they come to, n l d, and what is asked of each: numbers of labels, texts."""

    z: Tensor
    codes: Float[Tensor, "n l d"]
    label: Tensor | None = None
    text: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.z)

    def __getitem__(self, which: Sequence[int] | slice) -> "Points":
        rows = [*range(len(self))[which]] if isinstance(which, slice) else [*which]
        label = None if self.label is None else self.label[rows]
        text = None if self.text is None else tuple(self.text[row] for row in rows)
        return Points(self.z[rows], self.codes[rows], label, text)

    def at(self, codes: Float[Tensor, "n l d"]) -> "Points":
        """The same elsewhere."""
        return Points(self.z, codes, self.label, self.text)

    @property
    def condition(self) -> Condition:
        """What is asked."""
        return Condition(label=self.label, text=None if self.text is None else [*self.text])


class Space:
    """The codes of a family, and its pictures of them. knobs: of the family's Knobs.

    Raises GessoError for a family that draws from given pictures rather than from latents.
    """

    def __init__(self, family: Family, knobs: Options | None = None):
        if "source" in family.asks:
            raise GessoError(
                "This model translates pictures, and is steered by what it is given: gesso translate.",
                "Take one that draws from a seed: of every family but pix2pix and cut.",
            )
        self.family, self.knobs = family.eval(), knobs or family.Knobs()
        self.device = next(family.parameters()).device

    def points(self, seeds: Sequence[int], label: int | None = None, text: str | None = None) -> Points:
        """Of seeds; a label or a text that is not given is each seed's own, where the model knows some."""
        begun = [of_seed(self.family, seed) for seed in seeds]
        own = label is None and text is None
        numbers = [number if own else label for _, number, _ in begun]
        texts = [said if own else text for _, _, said in begun]
        known = [number for number in numbers if number is not None]
        words = tuple(said for said in texts if said is not None)
        z = torch.cat([latent for latent, _, _ in begun]).to(self.device)
        return self.of(z, torch.tensor(known, device=self.device) if known else None, words or None)

    @torch.inference_mode()
    def of(self, z: Tensor, label: Tensor | None = None, text: tuple[str, ...] | None = None) -> Points:
        """The points of latents."""
        out, bare = list[Tensor](), Points(z, z.reshape(len(z), 1, -1), label, text)
        for some in self._some(bare):
            if isinstance(self.family, Styled):
                out.append(self.family.codes(some.z, some.condition, self.knobs))
            else:
                out.append(self.spread(some.z)[:, None])
        return bare.at(torch.cat(out).clone())

    @torch.inference_mode()
    def pictures(self, points: Points) -> Float[Tensor, "n c h w"]:
        """What is drawn of them, in [-1, 1]."""
        out = list[Tensor]()
        for some in self._some(points):
            *_, last = self.stream(some)
            out.append(last.clamp(-1, 1).cpu())
        return torch.cat(out).clone()

    def stream(self, points: Points) -> Iterator[Float[Tensor, "n c h w"]]:
        """Better and better pictures of a few points, drawn together."""
        family = self.family
        if isinstance(family, Styled):
            yield from family.of_codes(points.codes, points.z, points.condition, self.knobs)
            return
        yield from family.sample(self.gathered(points.codes[:, 0], points.z), points.condition, self.knobs)

    def spread(self, z: Tensor) -> Float[Tensor, "n m"]:
        """Latents as numbers from a normal distribution."""
        flat = z.flatten(1)
        if self.family.geometry == "gaussian":
            return flat
        return torch.special.ndtri(flat.double().clamp(EDGE, 1 - EDGE)).float()

    def gathered(self, numbers: Float[Tensor, "n m"], like: Tensor) -> Tensor:
        """Latents of such numbers, of the shape and on the device of others."""
        numbers = numbers.to(like.device)
        even = numbers if self.family.geometry == "gaussian" else torch.special.ndtr(numbers.double()).float()
        return even.reshape(len(numbers), *like.shape[1:])

    def _some(self, points: Points) -> Iterator[Points]:
        size = BATCH.get(self.device.type, BATCH_ELSEWHERE)
        yield from (points[first : first + size] for first in range(0, len(points), size))
