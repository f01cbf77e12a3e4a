"""Where pictures change more evenly than among latents: the contract of families that have such a place."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

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
