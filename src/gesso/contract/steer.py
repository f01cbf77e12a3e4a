"""Where pictures change more evenly than among latents: the contract of families that have such a place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from gesso.contract.family import Condition


@runtime_checkable
class Styled(Protocol):
    """A family that makes codes of latents, one a layer, and pictures of codes."""

    def codes(self, z: Tensor, condition: Condition, knobs: Any) -> Float[Tensor, "n l d"]:
        """What latents come to, as a drawing with such knobs uses it."""
        ...

    def of_codes(
        self, codes: Float[Tensor, "n l d"], z: Tensor, condition: Condition, knobs: Any
    ) -> Iterator[Float[Tensor, "n c h w"]]:
        """Draw, as `sample` does. z: for whatever a drawing takes from latents beside their codes."""
        ...


@dataclass(frozen=True)
class Stage:
    """A stretch of the way from codes to a picture, of which a drawing is kept as long as nothing before it changes.

    module: what the stage before made (of the first nothing), codes n l d, latents and `Family.inputs` → a tuple of
    tensors for the next; of the last, the picture alone, n c h w. A plain graph, to be exported. layers: those of the
    codes that it looks at.
    """

    module: nn.Module
    layers: range


@runtime_checkable
class Staged(Styled, Protocol):
    """A family whose pictures of codes are made in stages."""

    def stages(self, knobs: Any) -> Sequence[Stage]:
        """They draw as `of_codes` does, with the weights that there are now, on their device; nothing of it learns."""
        ...
