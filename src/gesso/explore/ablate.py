"""What of a latent, or of what was asked, made a picture what it is: each is taken away, and it is drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.contract.steer import Styled
from gesso.explore.seeing import seen
from gesso.explore.space import Points, Space

__all__ = ["Without", "usually", "with_labels", "without_layers", "without_numbers", "without_words"]

AT_ONCE = 32
ENOUGH = 64  # pictures by which it is known how unlike two usually look


@dataclass(frozen=True)
class Without:
    """What was taken away, the picture without it, in [-1, 1], and how much that changed it to the eye: 1 is how much
    two pictures of the model usually differ.
    """

    name: str
    picture: Float[Tensor, "1 c h w"]
    looks: float


def usually(images: Float[Tensor, "n c h w"]) -> float:
    """How unlike two pictures of a model look on the mean."""
    return max(float(torch.pdist(seen(images[:ENOUGH])).mean()), 1e-6)


def without_numbers(space: Space, point: Points, usual: Points, scale: float, most: int = 8) -> list[Without]:
    """Of the codes' numbers those that mattered most, the first one first: each is set to its mean.

    Of styles, numbers count along the principal axes of those of many points (`usual`): the first is that along which
    they differ most. scale: of `usually`.
    """
    rows = usual.codes.flatten(1).double()
    mean = rows.mean(0)
    axes = torch.eye(rows.shape[1], device=rows.device)  # latents are even: no axis is more than another
    if isinstance(space.family, Styled):
        _, values, found = torch.linalg.svd(rows - mean, full_matrices=False)
        axes = found[values > 1e-3 * values.max()].float()
    here = point.codes.flatten(1) - mean.float()
    codes = point.codes.flatten(1) - (here @ axes.T).T * axes
    names = [f"number {i + 1}" for i in range(len(axes))]
    changed = _changed(space, point, codes.unflatten(1, point.codes.shape[1:]), names, scale)
    return sorted(changed, key=lambda one: -one.looks)[:most]


def without_layers(space: Space, point: Points, usual: Points, scale: float) -> list[Without]:
    """Of a family with codes for each layer, one after the other set to its mean; empty for others."""
    count, mean = point.codes.shape[1], usual.codes.mean(0)
    if count < 2:
        return []
    codes = point.codes.repeat(count, 1, 1)
    codes[range(count), range(count)] = mean
    return _changed(space, point, codes, [f"layer {layer}" for layer in range(count)], scale)


def without_words(space: Space, point: Points, scale: float) -> list[Without]:
    """Of what was asked in words, each left out, in their order; words that stand twice, one by one."""
    words = point.text[0].split() if point.text else []
    rest = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    base = seen(space.pictures(point))
    others = (space.pictures(space.of(point.z, point.label, (text,))) for text in rest)
    return [_one(word, base, other, scale) for word, other in zip(words, others, strict=True)]


def with_labels(space: Space, point: Points, names: Sequence[str], scale: float) -> list[Without]:
    """Of a family that is asked by labels, the same latent with each other label in the place of its own."""
    if point.label is None:
        return []
    base, own = seen(space.pictures(point)), int(point.label[0])
    others = {i: space.of(point.z, torch.full_like(point.label, i)) for i in range(len(names)) if i != own}
    return [_one(names[i], base, space.pictures(other), scale) for i, other in others.items()]


def _changed(
    space: Space, point: Points, codes: Float[Tensor, "k l d"], names: list[str], scale: float
) -> list[Without]:
    base, out = seen(space.pictures(point)), list[Without]()
    for first in range(0, len(codes), AT_ONCE):
        some = codes[first : first + AT_ONCE]
        pictures = space.pictures(point[[0] * len(some)].at(some)).split(1)
        out += [_one(name, base, one, scale) for name, one in zip(names[first:], pictures, strict=False)]
    return out


def _one(name: str, base: Float[Tensor, "1 m"], other: Float[Tensor, "1 c h w"], scale: float) -> Without:
    return Without(name, other, float((base - seen(other)).norm()) / scale)
