"""Soft shadows from a layer's alpha: where it falls, where it is cast along a floor, where it stands."""

import cv2
import numpy as np
from jaxtyping import Float

from gesso.scene.layers import Shadow
from gesso.scene.pixels import blurred
from gesso.scene.placing import Canvas, Placed
from gesso.scene.units import colour

__all__ = ["shadow_of"]

SQUASH = 0.42  # how flat the floor lies to the eye: height of a cast shadow to that of the thing
NEAR, FAR = 0.006, 0.05  # softness of a cast shadow at the foot and at its end, of the thing's longer side
SOLE = 0.035  # of the thing's width: half the depth of the dark line that it stands on

Plane = Float[np.ndarray, "h w"]


def shadow_of(thing: Placed, shadow: Shadow, canvas: Canvas) -> Placed | None:
    """The shadow of a placed layer as a layer of its own; None where it has none."""
    if not (shadow.opacity or shadow.contact or shadow.cast) or not (thing.image[..., 3] > 0.02).any():
        return None
    dx, dy, blur = (canvas.short(length) for length in (shadow.x, shadow.y, shadow.blur))
    sigma = max(blur, 0.0) / 2
    longest = max(thing.image.shape[:2])
    room = int(np.ceil(3 * sigma + max(abs(dx), abs(dy)))) + 2
    if shadow.contact or shadow.cast:
        reach = abs(np.tan(np.deg2rad(shadow.lean))) * SQUASH if shadow.cast else 0.0
        room = max(room, int(np.ceil(longest * (reach + 4 * FAR))) + 2)
    alpha = np.pad(thing.image[..., 3], room)
    clear = np.ones_like(alpha)
    if shadow.opacity:
        moved = cv2.warpAffine(alpha, np.array([[1, 0, dx], [0, 1, dy]], np.float64), alpha.shape[::-1])
        clear *= 1 - shadow.opacity * blurred(np.asarray(moved), sigma)
    if shadow.cast:
        clear *= 1 - shadow.cast * _cast(alpha, shadow.lean)
    if shadow.contact:
        clear *= 1 - shadow.contact * _contact(alpha)
    r, g, b, a = colour(shadow.colour)
    cover = (1 - clear) * a
    image = (cover[..., None] * np.array([r, g, b, 1], np.float32)).astype(np.float32)
    return Placed(image, thing.left - room, thing.top - room)


def _foot(alpha: Plane) -> int:
    """The row below the lowest one in which the thing is solid."""
    rows = np.flatnonzero((alpha > 0.5).any(axis=1))
    return int(rows[-1]) + 1 if len(rows) else alpha.shape[0]


def _cast(alpha: Plane, lean: float) -> Plane:
    """The thing's outline laid down on the floor behind it, softer and fainter the farther it is from the foot."""
    foot, longest = _foot(alpha), max(alpha.shape)
    sheer = np.tan(np.deg2rad(lean)) * SQUASH
    turn = np.array([[1, -sheer, sheer * foot], [0, SQUASH, foot * (1 - SQUASH)]], np.float64)
    laid = np.asarray(cv2.warpAffine(alpha, turn, alpha.shape[::-1], flags=cv2.INTER_AREA))
    rows = np.flatnonzero(laid.max(axis=1) > 0.02)
    far = np.clip((foot - np.arange(len(laid))) / max(foot - rows[0], 1), 0, 1)[:, None] if len(rows) else 0.0
    sharp, soft = blurred(laid, NEAR * longest), blurred(laid, FAR * longest)
    return ((sharp * (1 - far) + soft * far) * (1 - 0.75 * far)).astype(np.float32)


def _contact(alpha: Plane) -> Plane:
    """The dark line below a thing: wide and faint, narrow and dark, where its lowest edge is near the floor."""
    solid = alpha > 0.5
    columns = solid.any(axis=0)
    if not columns.any():
        return np.zeros_like(alpha)
    foot = _foot(alpha)
    lowest = np.where(columns, len(alpha) - np.argmax(solid[::-1], axis=0), 0)
    width = float(columns.sum())
    gap = (foot - lowest) / max(0.06 * width, 1.0)
    strength = np.where(columns, np.exp(-(gap**2)), 0).astype(np.float32)
    depth = max(SOLE * width, 1.0)
    y = np.arange(len(alpha), dtype=np.float32)[:, None] - foot + 0.3 * depth
    out = np.zeros_like(alpha)
    for share, wide in ((0.65, 0.45), (0.5, 1.6)):
        row = cv2.GaussianBlur(strength[None], (0, 0), depth * wide, borderType=cv2.BORDER_CONSTANT)
        out = 1 - (1 - out) * (1 - share * np.asarray(row) * np.exp(-0.5 * (y / (depth * wide)) ** 2))
    return out.astype(np.float32)
