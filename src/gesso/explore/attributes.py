"""What can be seen of a picture, in figures: its subject's place, size, form and colours, and those of the ground.

A picture is read as a subject on a ground: the ground is a plane of colour (or the transparency) that runs in from the
border, the subject all that stands out from it. Colours are OKLab (Ottosson 2020), in which equal distances look
equally far. Where nothing stands out, figures of the whole remain.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.oklab import LMS_TO_LAB, RGB_TO_LMS

__all__ = ["ATTRIBUTES", "LOOK", "Attribute", "Look", "attributes", "looked_at", "oklab", "subject"]

PARTS = 256  # pictures that are looked at together
STANDS_OUT = (0.05, 0.12)  # distance in OKLab from the ground: what noise may ask for
SIDE = 64  # pixels of the shorter side at which larger pictures are looked at
OPAQUE = 0.98  # of a picture: from there on it is not its transparency that tells the subject
RIM = 0.06  # of the shorter side: how deep the border is that tells the ground
ROUNDS = 6  # of fitting the ground to what of the border is like it
ANGLES, RAYS = 128, 32  # at which an outline is looked for, and places along each
SMOOTH = 0.02  # waves of an outline, as a share of its radius, that are no parts
LOBES = (3, 26)  # waves of an outline that count as parts
FLOODED = 32  # pixels of the shorter side at which holes are looked for
FAR = 0.6  # of the sides: how long rays are


@dataclass(frozen=True)
class Attribute:
    """Something of a picture that can be more or less. more, less: what a picture then is, as one would say it.

    tied: what it belongs to, where its attributes cannot change without each other. least: standard deviation, below
    which pictures do not differ in it to the eye.
    """

    name: str
    more: str
    less: str
    tied: str = ""
    least: float = 0.005

    def goes_with(self, other: "Attribute") -> bool:
        """Whether the two cannot change without each other, or are one."""
        return self == other or bool(self.tied and self.tied == other.tied)


ATTRIBUTES = (
    Attribute("size", "larger", "smaller", "form"),
    Attribute("right", "further right", "further left"),
    Attribute("low", "lower", "higher"),
    Attribute("tall", "taller", "wider", "form"),
    Attribute("round", "rounder", "more ragged", "form"),
    Attribute("parts", "of more parts", "of fewer parts", "form", 0.5),
    Attribute("symmetry", "more symmetrical", "less symmetrical", "form"),
    Attribute("detail", "more detailed", "plainer"),
    Attribute("light", "lighter", "darker", "colour"),
    Attribute("red", "redder", "greener", "colour"),
    Attribute("yellow", "yellower", "bluer", "colour"),
    Attribute("colourful", "more colourful", "paler", "colour"),
    Attribute("ground light", "on a lighter ground", "on a darker ground", "ground"),
    Attribute("ground red", "on a redder ground", "on a greener ground", "ground"),
    Attribute("ground yellow", "on a yellower ground", "on a bluer ground", "ground"),
    Attribute("ground colourful", "on a more colourful ground", "on a greyer ground", "ground"),
)


def oklab(rgb: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Lightness, green to red, and blue to yellow, of sRGB in [0, 1] (Ottosson 2020)."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0) + 0.055) / 1.055) ** 2.4)
    cones, lab = rgb.new_tensor(RGB_TO_LMS), rgb.new_tensor(LMS_TO_LAB)
    seen = torch.einsum("ij,njhw->nihw", cones, linear).clamp(min=0) ** (1 / 3)
    return torch.einsum("ij,njhw->nihw", lab, seen)


def attributes(images: Float[Tensor, "n c h w"]) -> dict[str, Float[Tensor, " n"]]:
    """Figures of pictures in [-1, 1], by the names of ATTRIBUTES; only those that such pictures have.

    Lengths and places are shares of the sides, sizes the root of the share of the area; colours are OKLab. Pictures
    without colour have no figures of colours, pictures of which the ground is transparent none of their ground.
    """
    rows = [_of_some(some) for some in images.split(PARTS)]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


@dataclass(frozen=True)
class Look:
    """What of pictures is measured, and how: pictures in [-1, 1] → a figure for each, by the names of attributes."""

    attributes: tuple[Attribute, ...]
    figures: Callable[[Float[Tensor, "n c h w"]], dict[str, Float[Tensor, " n"]]]


def subject(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Where the subject of each picture is, in [0, 1]."""
    return torch.cat([looked_at(some)[1] for some in images.split(PARTS)])


LOOK = Look(ATTRIBUTES, attributes)


def looked_at(images: Tensor) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, "n h w"]]:
    """Colours, and where the subject is. Colours of what is transparent in part are of what is there."""
    x = (images.float().clamp(-1, 1) + 1) / 2
    shrink = min(x.shape[2:]) // SIDE
    x = F.avg_pool2d(x, shrink) if shrink > 1 else x
    rgb = x[:, :1].expand(-1, 3, -1, -1) if x.shape[1] < 3 else x[:, :3]
    if x.shape[1] == 4:
        rgb = (rgb / x[:, 3:].clamp(min=1 / 255)).clamp(max=1)
    lab = oklab(rgb)
    free = x[:, 3].mean((1, 2)) < OPAQUE if x.shape[1] == 4 else torch.zeros(len(x), dtype=torch.bool)
    if free.all():
        return lab, x[:, 3]
    ground, spread = _ground(lab)
    away = (lab - ground).norm(dim=1)
    least = (3 * spread).clamp(*STANDS_OUT)[:, None, None]
    apart = torch.sigmoid((away - least) / (0.25 * least))
    calm = F.avg_pool2d(F.pad(apart[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    found = _filled(apart * calm)
    return lab, torch.where(free[:, None, None], x[:, 3], found) if free.any() else found


def _ground(lab: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n 3 h w"], Float[Tensor, " n"]]:
    """A plane of colour that fits the border, but for what crosses it, and how far the border strays from it."""
    n, _, h, w = lab.shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    terms = torch.stack([torch.ones_like(x), x, y], -1).flatten(0, 1).to(lab)
    deep = max(round(min(h, w) * RIM), 1)
    rim = torch.ones(h, w, dtype=torch.bool, device=lab.device)
    rim[deep : h - deep, deep : w - deep] = False
    at, there = terms[rim.flatten()], lab[:, :, rim].transpose(1, 2)
    weight, errors = lab.new_ones(n, len(at)), lab.new_zeros(n, len(at))
    plane = lab.new_zeros(n, 3, 3)
    for _ in range(ROUNDS):
        weighted = at.T * weight[:, None]
        plane = torch.linalg.solve(weighted @ at + 1e-6 * torch.eye(3).to(lab), weighted @ there)
        errors = (at @ plane - there).norm(dim=2)
        usual = errors.median(1, keepdim=True).values.clamp(min=0.004)
        weight = 1 / (1 + (errors / (2 * usual)) ** 4)
    return (terms @ plane).transpose(1, 2).reshape(n, 3, h, w), errors.median(1).values


def _filled(mask: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """What cannot be reached from the border without crossing the mask belongs to it; looked for at FLOODED pixels."""
    h, w = mask.shape[1:]
    cell = max(min(h, w) // FLOODED, 1)
    free = 1 - F.max_pool2d(mask[:, None], cell, ceil_mode=True)
    reached = free.clone()
    reached[:, :, 1:-1, 1:-1] = 0
    for _ in range(2 * max(free.shape[2:])):
        spread = torch.minimum(F.max_pool2d(reached, 3, 1, 1), free)
        if torch.equal(spread, reached):
            break
        reached = spread
    closed = free - reached
    closed = F.interpolate(closed, scale_factor=cell, mode="nearest")[:, 0, :h, :w]
    return torch.maximum(mask, closed)


def _of_some(images: Float[Tensor, "n c h w"]) -> dict[str, Float[Tensor, " n"]]:
    lab, mask = looked_at(images)
    (h, w), out = mask.shape[1:], dict[str, Tensor]()
    y, x = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    x, y, coloured = x.to(lab), y.to(lab), images.shape[1] >= 3
    core = mask * _near(mask) ** 3  # the body of the subject, rather than what hangs on it
    total = core.sum((1, 2)).clamp(min=1e-6)
    out["right"], out["low"] = ((core * place).sum((1, 2)) / total for place in (x, y))
    outline = _outline(mask, out["right"], out["low"])
    middle = outline.median(1).values.clamp(min=1 / max(h, w))
    waves = torch.fft.rfft(outline / middle[:, None], dim=1)[:, LOBES[0] : LOBES[1] + 1].abs() / ANGLES
    power, count = waves.square(), torch.arange(LOBES[0], LOBES[1] + 1).to(lab)
    out["size"] = outline.square().mean(1).mul(math.pi).sqrt()
    out["round"] = -power.sum(1).sqrt()
    known = power.sum(1) + SMOOTH**2  # of an outline without waves nothing is counted
    out["parts"] = ((power * (count / LOBES[0]).log()).sum(1) / known).exp() * LOBES[0]
    spread_x, spread_y = ((core * (place - out[name][:, None, None]) ** 2).sum((1, 2)) / total
                          for place, name in ((x, "right"), (y, "low")))  # fmt: skip
    out["tall"] = 0.5 * ((spread_y * h * h + 1) / (spread_x * w * w + 1)).log()
    out["symmetry"] = -_unlike_its_mirror(lab, mask, out["right"])
    light = lab[:, 0]
    down, across = (torch.diff(light, dim=axis)[:, : h - 1, : w - 1] for axis in (1, 2))
    slope = (down.square() + across.square() + 1e-8).sqrt()
    inside = core[:, :-1, :-1].square()  # the outline is no detail
    out["detail"] = (slope * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1e-6)
    for name, where in (("", core), ("ground ", 1 - mask)):
        if name and images.shape[1] == 4:
            continue
        mean = (lab * where[:, None]).sum((2, 3)) / where.sum((1, 2)).clamp(min=1e-6)[:, None]
        out[f"{name}light"] = mean[:, 0]
        if coloured:
            out[f"{name}red"], out[f"{name}yellow"] = mean[:, 1], mean[:, 2]
            out[f"{name}colourful"] = mean[:, 1:].norm(dim=1)
    return {attribute.name: out[attribute.name] for attribute in ATTRIBUTES if attribute.name in out}


def _near(mask: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """How much of the subject is around each place, within an eighth of the shorter side."""
    reach = max(min(mask.shape[1:]) // 8, 1)
    return F.avg_pool2d(mask[:, None], 2 * reach + 1, 1, reach)[:, 0]


def _outline(mask: Tensor, right: Tensor, low: Tensor) -> Float[Tensor, "n a"]:
    """How far the subject reaches from its middle, at angles all around."""
    angle = torch.arange(ANGLES).to(mask) * (2 * math.pi / ANGLES)
    ray = (torch.arange(RAYS).to(mask) + 0.5) * (FAR / RAYS)
    x = right[:, None, None] + angle.cos()[:, None] * ray
    y = low[:, None, None] + angle.sin()[:, None] * ray
    seen = F.grid_sample(mask[:, None], torch.stack([x, y], -1) * 2 - 1, align_corners=False)[:, 0]
    return seen.sum(2) * (FAR / RAYS)


def _unlike_its_mirror(lab: Tensor, mask: Tensor, right: Tensor) -> Float[Tensor, " n"]:
    """Mean distance in OKLab of the subject from its own mirror image, about the upright through its middle."""
    n, _, h, w = lab.shape
    y, x = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    across = 2 * right[:, None, None] - x.to(lab)
    grid = torch.stack([across, y.to(lab).expand(n, -1, -1)], -1) * 2 - 1
    both = torch.cat([lab * mask[:, None], mask[:, None]], 1)
    other = F.grid_sample(both, grid, align_corners=False)
    union = torch.maximum(mask, other[:, 3])
    return ((both - other).norm(dim=1) * union).sum((1, 2)) / union.sum((1, 2)).clamp(min=1e-6)
