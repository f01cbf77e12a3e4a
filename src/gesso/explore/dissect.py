"""What the units of a generator draw: which channel of a map answers to which colour, or part of the picture.

After Bau et al. 2019, "GAN Dissection", section 3.1 and 3.2: each unit's map is compared with where in the pictures
something is to be seen, over many of them; then it is switched off, or turned up, to see what it causes. What is to be
seen is told by colours and by the subject itself, so that no network for segmentation is needed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gesso.explore.attributes import OPAQUE, looked_at
from gesso.explore.layers import HALF, Layer, layer_of
from gesso.explore.space import Points, Space

__all__ = ["CONCEPTS", "Units", "answers", "concepts", "dissect", "switched"]

RARE = 0.004  # share of all places, below which nothing can be told of a concept
LOW, HIGH = 0.05, 0.995  # quantiles of a unit's answers that count as off, and as its strongest
BANDS = (  # OKLab: hue in degrees from, to, and the name where it is colourful
    (0, 45, "red"), (45, 75, "orange"), (75, 115, "yellow"), (115, 165, "green"), (165, 230, "cyan"),
    (230, 290, "blue"), (290, 335, "purple"), (335, 360, "pink"),
)  # fmt: skip
COLOURFUL = 0.05  # chroma in OKLab from which a colour has a name
DARK, LIGHT = 0.35, 0.85  # lightness of black and of white
CONCEPTS = ("subject", "outline", "ground", "black", "white", "grey", *(name for _, _, name in BANDS))


@dataclass(frozen=True)
class Units:
    """What the units of a layer answer to.

    found: of the places where a unit answers most, as many as there are of a concept, the share that shows it. chance:
    the share of all places that do. low, middle, high: answers of each unit that count as off, as usual, as strongest.
    """

    layer: Layer
    names: tuple[str, ...]
    found: Float[Tensor, "u k"]
    chance: Float[Tensor, " k"]
    low: Float[Tensor, " u"]
    middle: Float[Tensor, " u"]
    high: Float[Tensor, " u"]

    @property
    def lead(self) -> Float[Tensor, "u k"]:
        """How far each share is from chance (0) to all (1)."""
        return (self.found - self.chance) / (1 - self.chance)

    def best(self, unit: int) -> tuple[str, float, float]:
        """What a unit answers to most: the concept, the share that shows it, and what would be chance."""
        k = int(self.lead[unit].argmax())
        return self.names[k], float(self.found[unit, k]), float(self.chance[k])


def concepts(images: Float[Tensor, "n c h w"]) -> dict[str, Bool[Tensor, "n h w"]]:
    """Where pictures in [-1, 1] show what CONCEPTS name. What is transparent is ground, and has no colour."""
    lab, mask = looked_at(images)
    there = mask > 0.5
    near = F.max_pool2d(mask[:, None], 3, 1, 1)[:, 0] - (1 - F.max_pool2d(1 - mask[:, None], 3, 1, 1)[:, 0])
    free = images.shape[1] == 4 and float(images[:, 3].mean()) < 2 * OPAQUE - 1
    seen = there if free else torch.ones_like(there)
    chroma, hue = lab[:, 1:].norm(dim=1), torch.rad2deg(torch.atan2(lab[:, 2], lab[:, 1])) % 360
    named, light = chroma >= COLOURFUL, lab[:, 0]
    out = {"subject": there, "outline": near > 0.5, "ground": ~there}
    out |= {"black": seen & ~named & (light < DARK), "white": seen & ~named & (light > LIGHT)}
    out["grey"] = seen & ~named & (light >= DARK) & (light <= LIGHT)
    out |= {name: seen & named & (hue >= low) & (hue < high) for low, high, name in BANDS}
    return out


@torch.inference_mode()
def dissect(space: Space, points: Points, size: float = HALF) -> Units:
    """Compare the units of a layer with what the pictures of many points show; concepts that are rare are left out."""
    layer, images, maps = layer_of(space, points, size), list[Tensor](), list[Tensor]()
    for first in range(0, len(points), 32):
        some, image = answers(space, layer, points[first : first + 32])
        images.append(image)
        maps.append(some)
    answer = torch.cat(maps).transpose(0, 1).flatten(1)  # u places
    shown = concepts(torch.cat(images))
    masks = {name: F.adaptive_avg_pool2d(mask[:, None].float(), layer.size).flatten() for name, mask in shown.items()}
    names = tuple(name for name in CONCEPTS if RARE < float((masks[name] > 0.5).float().mean()) < 1 - RARE)
    order, rows, chance = answer.argsort(1, descending=True), list[Tensor](), list[float]()
    for name in names:
        there = (masks[name] > 0.5).float()
        count = int(there.sum())
        rows.append(there[order[:, :count]].mean(1))
        chance.append(count / len(there))
    some = answer[:, :: max(answer.shape[1] // 10**5, 1)]
    low, middle, high = (torch.quantile(some, q, dim=1) for q in (LOW, 0.5, HIGH))
    found = torch.stack(rows, 1) if rows else answer.new_zeros(len(answer), 0)
    return Units(layer, names, found, torch.tensor(chance), low, middle, high)


def answers(space: Space, layer: Layer, points: Points) -> tuple[Float[Tensor, "n u h w"], Float[Tensor, "n c H W"]]:
    """What the units of a layer answer when these are drawn, and the pictures."""
    seen = list[Tensor]()
    handle = layer.module.register_forward_hook(lambda _, __, out: seen.append(out.float().cpu()))
    try:
        images = space.pictures(points)
    finally:
        handle.remove()
    made = torch.cat(seen)
    return made[-len(points) :], images


@contextmanager
def switched(units: Units, which: Sequence[int], factor: float) -> Iterator[None]:
    """Within it, units answer so many times as strongly, counted from what is off: 0 off, 1 as they are, 2 twice."""

    def change(_: nn.Module, __: tuple, out: Tensor) -> Tensor:
        low = units.low[[*which]].to(out)[None, :, None, None]
        new = out.clone()
        new[:, [*which]] = low + factor * (out[:, [*which]] - low)
        return new

    handle = units.layer.module.register_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()
