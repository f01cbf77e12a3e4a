"""A picture painted anew in the manner of others: their strokes and colours, its own forms."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from gesso.errors import GessoError
from gesso.patch.atlas import atlas
from gesso.patch.colour import grey, like_colours, ranked
from gesso.patch.level import How, Source, Target
from gesso.patch.pyramid import blurred, resized
from gesso.patch.synthesis import Step, synthesise

__all__ = ["stylise"]

Picture = Float[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w"]
HOW = How(ratio=0.7, coarse=12, start=0.15, first=6, steps=(6, 3), even=0.005, sharp=0.5, faint=0.5)
BASE = 512  # pixels of the shorter side up to which the content is followed, at stroke 1
LOOSE, STRICT = 0.35, 1.5  # weight of the guides at faithful 0 and 1
PULL = 1.3  # of fine details towards the content, at faithful 1
NEAR = 0.45  # the scale to begin at, where it begins with a picture that is nearly done
APART = 3.0  # how far apart regions of different styles are, in guides


def stylise(
    content: Picture,
    styles: Sequence[Picture],
    *,
    weights: Sequence[float] = (),
    faithful: float = 0.7,
    stroke: float = 1.0,
    colours: Literal["style", "content"] = "style",
    mask: Bool[np.ndarray, "h w"] | None = None,
    regions: Int[np.ndarray, "h w"] | None = None,
    keep: Plane | None = None,
    begin: tuple[Picture, Plane] | None = None,
    seed: int = 0,
) -> Iterator[Step]:
    """Paint the content in the manner of one style or several; yields better and better pictures of its size.

    content, styles: sRGB in [0, 1]. weights: how much of the picture each style makes, equal if not given. faithful: 0
    abstract to 1 faithful. stroke: size of strokes, 1 as in a picture of 512 pixels. colours: whose. mask: where the
    style is put on, everywhere if not given. regions: for every pixel which style it gets, by number. keep: h w, where
    forms are to be kept above all, 0 to 1, as faces. begin: a picture to stay near, and how near, h w (frames of a
    film). Guides after Hertzmann et al. (SIGGRAPH 2001), fusion with the content after Elad and Milanfar (2017).
    Raises GessoError for a style smaller than a patch and for weights and regions that do not fit the styles.
    """
    shares = _checked(content, styles, weights, regions)
    height, width = content.shape[:2]
    sized = [_sized(style, content, stroke) for style in styles]
    if colours == "content":
        wanted, sized = content, [like_colours(style, content, seed) for style in sized]
    else:
        wanted = _coloured(content, sized, shares, regions, seed)
    strength = LOOSE * (STRICT / LOOSE) ** faithful
    start = HOW.start or 1.0
    laid, number, allowed = atlas(sized, start)
    lights = ranked(grey(content), grey(laid)[allowed][None])
    guide_of_source = atlas([strength * _guide(grey(style)) for style in sized], start).picture
    guide = strength * _guide(lights)
    if regions is not None:
        for i in range(len(styles)):
            guide_of_source = np.dstack([guide_of_source, np.where(number == i, APART, 0).astype(np.float32)])
            guide = np.dstack([guide, np.where(regions == i, APART, 0).astype(np.float32)])
    pull = PULL * faithful**2 * _detail(grey(content))
    if keep is not None:
        pull = np.maximum(pull, 2 * keep)
    if begin is not None:
        near = begin[1][..., None]
        wanted = wanted * (1 - near) + begin[0] * near
        pull = np.maximum(pull, 4 * begin[1])
    start = start if begin is None else NEAR
    how = replace(HOW, start=start, guided=max(BASE / (stroke * min(height, width)), start))
    source = Source(laid, guide_of_source, allowed)
    if regions is None and len(styles) > 1:
        source = replace(source, group=number, shares=shares)
    target = Target(height, width, begin=wanted, guide=guide, pull=pull.astype(np.float32))
    soft = None if mask is None else _feathered(mask)[..., None]
    for step in synthesise(source, target, how, seed):
        if soft is None:
            yield step
        else:
            picture = resized(step.picture, height, width).clip(0, 1)
            yield Step(content * (1 - soft) + picture * soft, step.done)


def _checked(
    content: Picture, styles: Sequence[Picture], weights: Sequence[float], regions: np.ndarray | None
) -> tuple[float, ...]:
    """The shares of the styles, in all 1."""
    least = HOW.patch + 1
    for name, picture in [("content", content), *((f"style {i + 1}", style) for i, style in enumerate(styles))]:
        if min(picture.shape[:2]) < 2 * least:
            raise GessoError(
                f"The {name} is {picture.shape[1]}×{picture.shape[0]} pixels: too small to be seen in patches.",
                f"Use pictures of {2 * least} pixels or more a side.",
            )
    if not styles:
        raise GessoError("No style is given.", "Name one picture or several whose manner is wanted.")
    if weights and (len(weights) != len(styles) or min(weights) <= 0):
        raise GessoError(
            f"{len(weights)} weights are given for {len(styles)} styles.", "Give each style a weight above zero."
        )
    if regions is not None and int(regions.max()) >= len(styles):
        raise GessoError(f"The regions name style {int(regions.max()) + 1}, but there are {len(styles)}.")
    total = sum(weights) or 1
    return tuple(weight / total for weight in weights) if weights else (1 / len(styles),) * len(styles)


def _sized(style: Picture, content: Picture, stroke: float) -> Picture:
    """A style with the shorter side of the content, larger strokes where wished, never larger than it is unless the
    content is.
    """
    shorter, own = min(content.shape[:2]), min(style.shape[:2])
    side = max(min(shorter * max(stroke, 1.0), own), min(shorter, max(own, BASE)))
    scale = side / own
    return resized(style, round(style.shape[0] * scale), round(style.shape[1] * scale)).clip(0, 1)


def _coloured(
    content: Picture, styles: list[Picture], shares: tuple[float, ...], regions: np.ndarray | None, seed: int
) -> Picture:
    """The content in the colours of the styles: in each region those of its own, else those of their mixture."""
    if regions is None:
        rng = np.random.default_rng(seed)
        mixed = [
            style.reshape(-1, 3)[rng.integers(0, style.shape[0] * style.shape[1], max(round(32768 * share), 256))]
            for style, share in zip(styles, shares, strict=True)
        ]
        return like_colours(content, np.concatenate(mixed)[None], seed)
    out = content.copy()
    for i, style in enumerate(styles):
        here = regions == i
        if here.any():
            out[here] = like_colours(content, style, seed)[here]
    return out


def _guide(light: Plane) -> Float[np.ndarray, "h w 3"]:
    """What forms are followed by: light, and where it rises, both without grain."""
    light = blurred(light, max(1.0, 0.006 * min(light.shape)))
    rises = [cv2.Sobel(light, -1, *way, ksize=3, borderType=cv2.BORDER_REFLECT) / 2 for way in ((1, 0), (0, 1))]
    return np.dstack([light, *rises])


def _detail(light: Plane) -> Plane:
    """Where there is fine detail, 0 to 1: the places by which a picture is recognised."""
    unit = min(light.shape) / 512
    spread = np.sqrt(np.maximum(blurred((light - blurred(light, 4 * unit)) ** 2, 6 * unit), 0))
    return np.clip(spread / max(float(np.quantile(spread, 0.9)), 1e-3), 0, 1)


def _feathered(mask: Bool[np.ndarray, "h w"]) -> Plane:
    """A mask whose edge is soft to the inside, so that nothing outside is touched."""
    inner = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(inner / max(3.0, 0.01 * min(mask.shape)), 0, 1).astype(np.float32)
