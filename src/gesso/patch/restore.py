"""Damage of any width healed: thin parts by regression, wide ones by the patch engine."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gesso.errors import GessoError
from gesso.patch.heal import fill_smoothly, inpaint
from gesso.patch.synthesis import Step
from gesso.patch.thin import WIDEST, heal_thin

__all__ = ["heal", "wide_parts"]

Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]


def wide_parts(mask: Mask, widest: float = WIDEST) -> Mask:
    """The parts of a mask that are wider than so many pixels: those that a disc of that width fits into."""
    deep = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    core = deep > widest / 2
    if not core.any():
        return core
    reach = int(widest / 2) + 2
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return mask & (cv2.dilate(core.astype(np.uint8), disc) > 0)


def heal(picture: Picture, mask: Mask, *, hidden: Mask | None = None, seed: int = 0) -> Iterator[Step]:
    """Fill what is masked; yields how far it is, the last picture is the answer. The rest stays as it is, to the bit.

    picture: h w c in [0, 1]. mask: h w. hidden: h w, pixels that are not shown and say nothing, as transparent ones.
    Thin parts come first, with the wide ones bridged smoothly; where both meet, thin parts are then filled once more.
    Raises GessoError when the mask is all of the picture, or nothing of it.
    """
    if mask.all() or not mask.any():
        raise GessoError(
            "The mask is all white: nothing is left to heal from." if mask.all() else "The mask is all black.",
            "White is what is to be healed, black what stays.",
        )
    unseen = mask if hidden is None else mask | hidden
    if unseen.all():
        raise GessoError("Nothing of the picture is both visible and outside the mask.", "Leave black what stays.")
    source = np.ascontiguousarray(picture, np.float32)
    wide = wide_parts(mask)
    thin = mask & ~wide
    out = fill_smoothly(source, unseen) if wide.any() or unseen is not mask else source
    if thin.any():
        out = heal_thin(out, thin, seed)
        yield Step(out, 0.3 if wide.any() else 0.99)
    if wide.any():
        filled = out
        for step in inpaint(out, wide, seed=seed):
            filled = step.picture
            yield Step(out, 0.3 + 0.6 * step.done)
        out = filled
        again = thin & (cv2.dilate(wide.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0)
        if again.any():
            out = heal_thin(out, again, seed)
    yield Step(np.where(mask[..., None], out.clip(0, 1), source).astype(np.float32), 1.0)
