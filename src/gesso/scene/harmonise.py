"""Layers made to belong: colours, and strokes, taken from the scene around them."""

import cv2
import numpy as np
from jaxtyping import Float

from gesso.scene.pixels import Layered, blurred, unmultiplied

__all__ = ["harmonised", "stroked"]

AROUND = 0.12  # of the layer's longer side: how far around it the scene is looked at
LIGHT = 0.6  # lightness is the thing's own more than its colour cast is: so much of its shift is made
CALM, WILD = 0.65, 1.5  # how much the spread of lightness may be changed
PALE, VIVID = 0.6, 1.25  # how much the strength of colours may be changed
GREY = 14.0  # chroma, in CIE Lab, of what is nearly grey and so shows the light's colour
LEAST = 64.0  # pixels of scene that colours are taken from
FREEST = 0.6  # how little faithful strokes are to forms at most: beyond, houses are no longer seen to be houses
LONGEST = 1024  # pixels: strokes are taken from a scene no larger


def harmonised(image: Layered, scene: Layered, amount: float) -> Layered:
    """A layer in the light of the scene around it, by statistics in Lab (after Reinhard et al. 2001, eq. 10-11).

    Lightness takes the scene's mean, in part, and spread. Of colour, not the own mean is moved, which would turn
    red things grey in blue scenes, but its cast, told from what is nearly grey in it; it becomes the scene's mean.
    Colours become as strong as the scene's, within bounds. image, scene: of one shape, the layer and what lies below
    and around it. amount: 0 is as it was, 1 all the way. What is transparent has no say.
    """
    weight = blurred(image[..., 3], AROUND * max(image.shape[:2]) / 2) * scene[..., 3]
    inside = image[..., 3]
    if amount == 0 or weight.sum() < LEAST or inside.sum() < 1:
        return image
    own, other = _lab(unmultiplied(image)), _lab(unmultiplied(scene))
    mean, spread = _figures(own, inside)
    aim, width = _figures(other, weight)
    strength = np.hypot(own[..., 1], own[..., 2])
    nearly = inside * np.exp(-((strength / GREY) ** 2))
    cast = _figures(own, nearly)[0][1:] if nearly.sum() > 0.02 * inside.sum() else np.zeros(2)
    vivid = np.sqrt((aim[1:] ** 2 + width[1:] ** 2).sum() / max(float((mean[1:] ** 2 + spread[1:] ** 2).sum()), 1.0))
    ratio = np.clip(width[0] / max(spread[0], 1e-3), CALM, WILD)
    light = mean[0] + amount * LIGHT * (aim[0] - mean[0]) + (own[..., 0] - mean[0]) * (1 + amount * (ratio - 1))
    bright = np.clip((100 - own[..., :1]) / 40, 0.3, 1)  # highlights show the lamp rather than the room
    colours = (own[..., 1:] - cast) * (1 + amount * (np.clip(vivid, PALE, VIVID) - 1)) + cast
    colours = colours + amount * bright * (aim[1:] - cast)
    moved = np.dstack([light, colours]).astype(np.float32)
    made = np.clip(np.asarray(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB)), 0, 1)
    return np.dstack([made * image[..., 3:], image[..., 3]])


def stroked(image: Layered, scene: Layered, amount: float, seed: int) -> Layered:
    """A layer painted anew with the strokes of the scene that it lies in; its alpha stays, and so do its colours.

    image, scene: of one shape. amount: 0 is as it was, 1 freest. Where the scene is transparent it is taken
    to be of its mean colour; a layer on nothing stays as it is. Raises GessoError for layers smaller than strokes.
    """
    solid = scene[..., 3] > 0.5
    if amount == 0 or solid.sum() < LEAST:
        return image
    from gesso.patch import final, stylise

    style = unmultiplied(scene)
    style = np.where(solid[..., None], style, style[solid].mean(axis=0)).astype(np.float32)
    alpha, room = image[..., 3:], AROUND * max(image.shape[:2]) / 2
    fill = image[..., :3].sum((0, 1)) / max(float(alpha.sum()), 1.0)  # around it, its own colours go on
    fill = (blurred(image, room)[..., :3] + 0.01 * fill) / (blurred(image[..., 3], room)[..., None] + 0.01)
    content = (image[..., :3] + (1 - alpha) * fill).clip(0, 1).astype(np.float32)
    longest = max(style.shape[:2])
    if longest > LONGEST:
        size = [max(round(side * LONGEST / longest), 1) for side in style.shape[1::-1]]
        style = np.asarray(cv2.resize(style, size, interpolation=cv2.INTER_AREA))
    painted = final(stylise(content, [style], faithful=1 - FREEST * amount, colours="content", seed=seed))
    return np.dstack([painted * image[..., 3:], image[..., 3]]).astype(np.float32)


def _lab(colours: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(colours, np.float32), cv2.COLOR_RGB2Lab))


def _figures(colours: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, weighted."""
    total = weight.sum(dtype=np.float64)
    mean = np.einsum("hwc,hw->c", colours, weight, dtype=np.float64) / total
    return mean, np.sqrt(np.einsum("hwc,hw->c", (colours - mean) ** 2, weight, dtype=np.float64) / total)
