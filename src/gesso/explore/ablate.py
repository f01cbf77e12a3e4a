"""What of a latent, or of what was asked, made a picture what it is: each is taken away, and it is drawn again."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gesso.contract.steer import Styled
from gesso.explore.seeing import seen
from gesso.explore.space import Points, Space

__all__ = ["Without", "without_layers", "without_numbers", "without_words"]

AT_ONCE = 32


@dataclass(frozen=True)
class Without:
    """What was taken away, the picture without it, in [-1, 1], and how much it changed: to the pixel (root mean square
    of [-1, 1]) and to the eye (as a share of how unlike two pictures of the model usually look).
    """

    name: str
    picture: Float[Tensor, "c h w"]
    pixels: float
    looks: float


def without_numbers(space: Space, point: Points, usual: Points, most: int = 8) -> list[Without]:
    """Of the codes' numbers those that mattered most, the first one first: each is set to its mean.

    Numbers count along the principal axes of the codes of many points (`usual`): the first is that along which pictures
    of the model differ most in their codes.
    """
    rows = usual.codes.flatten(1).double()
    mean = rows.mean(0)
    _, values, axes = torch.linalg.svd(rows - mean, full_matrices=False)
    axes = axes[values > 1e-3 * values.max()].float()
    if not isinstance(space.family, Styled):  # latents are even: no axis is more than another
        axes = torch.eye(rows.shape[1], device=rows.device)
    here = point.codes.flatten(1) - mean.float()
    codes = point.codes.flatten(1) - (here @ axes.T).T * axes
    names = [f"number {i + 1}" for i in range(len(axes))]
    return _most(space, point, usual, codes.unflatten(1, point.codes.shape[1:]), names, most)


def without_layers(space: Space, point: Points, usual: Points) -> list[Without]:
    """Of a family with codes for each layer, one after the other set to its mean; empty for others."""
    count, mean = point.codes.shape[1], usual.codes.mean(0)
    if count < 2:
        return []
    codes = point.codes.repeat(count, 1, 1)
    codes[range(count), range(count)] = mean
    return _changed(space, point, usual, codes, [f"layer {layer}" for layer in range(count)])


def without_words(
    space: Space, point: Points, usual: Points, words: Callable[[str], list[str]] = str.split
) -> list[Without]:
    """Of what was asked in words, each left out, in their order. Words that stand twice are left out one by one."""
    if not point.text:
        return []
    all_words, base, out = words(point.text[0]), space.pictures(point), list[Without]()
    scale = _scale(space, usual)
    for i, word in enumerate(all_words):
        rest = " ".join(all_words[:i] + all_words[i + 1 :])
        other = space.of(point.z, point.label, (rest,))
        out.append(_one(word, base, space.pictures(other), scale))
    return out


def _most(
    space: Space, point: Points, usual: Points, codes: Float[Tensor, "k l d"], names: list[str], most: int
) -> list[Without]:
    changed = _changed(space, point, usual, codes, names)
    return sorted(changed, key=lambda one: -one.looks)[:most]


def _changed(
    space: Space, point: Points, usual: Points, codes: Float[Tensor, "k l d"], names: list[str]
) -> list[Without]:
    base, scale, out = space.pictures(point), _scale(space, usual), list[Without]()
    for first in range(0, len(codes), AT_ONCE):
        some = codes[first : first + AT_ONCE]
        pictures = space.pictures(point[[0] * len(some)].at(some))
        out += [_one(name, base, one[None], scale) for name, one in zip(names[first:], pictures, strict=False)]
    return out


def _one(name: str, base: Tensor, other: Tensor, scale: float) -> Without:
    looks = float((seen(base) - seen(other)).norm()) / max(scale, 1e-6)
    return Without(name, other[0], float((base - other).square().mean().sqrt()), looks)


def _scale(space: Space, usual: Points) -> float:
    """How unlike two pictures of the model usually look."""
    keys = seen(space.pictures(usual[: min(len(usual), 64)]))
    return float(torch.pdist(keys).mean())
