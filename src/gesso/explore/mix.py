"""New pictures of pictures that were drawn: blended, crossed layer by layer, bred, or their neighbours.

Everything stays where the family's latents lie: sums are brought back to the length of their parts, and what is
exchanged or added number by number has the same distribution as before.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.contract.steer import Styled
from gesso.errors import GessoError
from gesso.explore.space import Points, Space

__all__ = ["blended", "bred", "crossed", "near"]


def blended(space: Space, parents: Points, weights: Sequence[float]) -> Points:
    """One point between all of them, as near to each as its weight says; asked to be what the first is.

    Raises GessoError for weights that are not one a parent, negative, or all zero.
    """
    if len(weights) != len(parents) or min(weights) < 0 or sum(weights) <= 0:
        raise GessoError(
            f"{len(parents)} seeds need as many weights, none below 0 and not all 0.", "For example: --weights 2,1."
        )
    share = torch.tensor(weights, device=parents.codes.device) / sum(weights)
    codes = _sum(parents.codes.flatten(1), share, not isinstance(space.family, Styled)).reshape(parents.codes[:1].shape)
    first = parents[[0]]
    if not isinstance(space.family, Styled):
        return first.at(codes)
    return Points(_sum(parents.z.flatten(1), share, True).reshape(first.z.shape), codes, first.label, first.text)


def crossed(space: Space, parents: Points, layer: int) -> list[Points]:
    """For each parent but the first: coarse layers of the first, and from `layer` on those of the other.

    Raises GessoError for a family whose codes have no layers, and for a layer that there is not.
    """
    count = parents.codes.shape[1]
    if count < 2:
        raise GessoError(
            f"Pictures of the family {space.family.name} are not made layer by layer.",
            "Cross those of a stylegan; others can be blended or bred: --how blend, --how breed.",
        )
    if not 1 <= layer < count:
        raise GessoError(f"This model has {count} layers: --layer is 1 to {count - 1}.")
    first, out = parents[[0]], list[Points]()
    for number in range(1, len(parents)):
        out.append(first.at(torch.cat([first.codes[:, :layer], parents[[number]].codes[:, layer:]], 1)))
    return out


def bred(space: Space, parents: Points, count: int, change: float, seed: int) -> Points:
    """Children, each of two parents: every number of a latent is that of one of them, then some of it is new.

    change: share of what is new, 0 to 1. With one parent, or none that differ, children are neighbours.
    """
    rng = torch.Generator().manual_seed(seed)
    z, k = space.spread(parents.z).cpu(), len(parents)
    mother = torch.arange(count) % k
    father = (mother + 1 + torch.randint(max(k - 1, 1), (count,), generator=rng)) % k
    from_father = torch.rand(count, z.shape[1], generator=rng) < 0.5
    child = torch.where(from_father, z[father], z[mother])
    return space.of(space.gathered(_changed(child, change, rng), parents.z), *_asked(parents, mother))


def near(space: Space, parents: Points, count: int, change: float, seed: int) -> Points:
    """Neighbours, taking turns of which parent. change: how far away, 0 at the parent, 1 anywhere."""
    rng, which = torch.Generator().manual_seed(seed), torch.arange(count) % len(parents)
    moved = _changed(space.spread(parents.z).cpu()[which], change, rng)
    return space.of(space.gathered(moved, parents.z), *_asked(parents, which))


def _changed(z: Float[Tensor, "n m"], change: float, rng: torch.Generator) -> Float[Tensor, "n m"]:
    """Numbers from a normal distribution, partly drawn anew, from the same."""
    return (1 - change**2) ** 0.5 * z + change * torch.randn(z.shape, generator=rng)


def _asked(parents: Points, which: Tensor) -> tuple[Tensor | None, tuple[str, ...] | None]:
    some = parents[which.tolist()]
    return some.label, some.text


def _sum(parts: Float[Tensor, "k m"], share: Float[Tensor, " k"], round_: bool) -> Float[Tensor, " m"]:
    """Weighted sum; where latents have a length, of the weighted mean of their lengths."""
    mixed = share @ parts
    if not round_:
        return mixed
    return mixed * (share @ parts.norm(dim=1)) / mixed.norm().clamp(min=1e-6)
