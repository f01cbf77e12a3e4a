"""How a layer meets what lies below: over it, multiplied, screened, or seamlessly by its gradients."""

import cv2
import numpy as np

from gesso.scene.pixels import Layered, unmultiplied
from gesso.scene.placing import Placed, window
from gesso.scene.poisson import fill, steps

__all__ = ["lay", "over"]


def over(top: Layered, below: Layered) -> Layered:
    """One picture over another, both premultiplied (Porter and Duff 1984): top + (1 − its alpha) · below."""
    return top + (1 - top[..., 3:]) * below


def lay(canvas: Layered, thing: Placed, blend: str, opacity: float = 1, mixed: bool = False) -> None:
    """Lay a picture on the canvas, in place. blend: normal, multiply, screen or seamless; opacity: in [0, 1].

    Multiply and screen follow the W3C's Compositing and Blending; what is transparent on either side changes nothing.
    """
    if blend == "seamless":  # with an edge of nothing, so that only sides cut off by the canvas are free
        thing = Placed(np.pad(thing.image, [(1, 1), (1, 1), (0, 0)]), thing.left - 1, thing.top - 1)
    found = window(canvas, thing.top, thing.left, *thing.image.shape[:2])
    if found is None:
        return
    rows, columns, y, x = found
    top, below = thing.image[y, x], canvas[rows, columns]
    if blend == "seamless":
        canvas[rows, columns] = _seamless(top, below, opacity, mixed)
        return
    if opacity < 1:
        top = top * np.float32(opacity)
    if blend == "normal":
        canvas[rows, columns] = over(top, below)
        return
    alpha, under = top[..., 3:], below[..., 3:]
    colours, others = top[..., :3], below[..., :3]
    if blend == "multiply":
        canvas[rows, columns, :3] = colours * (1 - under) + others * (1 - alpha) + colours * others
    else:
        canvas[rows, columns, :3] = colours + others - colours * others
    canvas[rows, columns, 3:] = alpha + under - alpha * under


def _seamless(top: Layered, below: Layered, opacity: float, mixed: bool) -> Layered:
    """A layer by its gradients, its edge taking the colours of the scene (Pérez et al. 2003, eq. 11 and 13).

    The edge is one pixel within half its alpha, so that every pixel of it has a colour of both. Sides that leave the
    canvas, or lie where the scene is transparent, hold nothing: there the layer's own gradients decide.
    """
    solid = (top[..., 3] >= 0.5).astype(np.uint8)
    inside = cv2.erode(solid, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE).astype(bool)
    known = below[..., 3] >= 0.5
    if not (solid.astype(bool) & ~inside & known).any():  # nothing holds it
        return over(top * np.float32(opacity), below)
    own, scene = unmultiplied(top), unmultiplied(below)
    right, down = steps(own)
    if mixed:
        right, down = (np.where(abs(b) > abs(a), b, a) for a, b in zip((right, down), steps(scene), strict=True))
    guess = np.where(inside[..., None], own, scene)
    made = np.clip(fill(guess, inside, right, down, absent=~known & ~inside), 0, 1)
    share = (top[..., 3:] * np.float32(opacity)) * inside[..., None]
    alpha = below[..., 3:] + share * (1 - below[..., 3:])
    colours = share * made + (1 - share) * below[..., :3]
    return np.dstack([colours, alpha]).astype(np.float32)
