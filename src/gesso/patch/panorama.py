"""Material all around: equirectangular pictures that close from side to side and are whole at the poles."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float

from gesso.patch.synthesis import Step
from gesso.patch.texture import synthesise_texture

__all__ = ["panorama"]

Picture = Float[np.ndarray, "h w c"]
FROM, TO = 45.0, 60.0  # degrees of latitude between which the caps take over from the belt


def panorama(sample: Picture, height: int, *, turns: bool = False, seed: int = 0) -> Iterator[Step]:
    """A 360° picture of a material, height × twice the height; yields better and better ones.

    The belt around the equator closes in x. Towards the poles equirectangular pictures are stretched, so each cap is
    made as a disc seen from above, its rim fixed to the belt, and laid over it: no pinch is seen in any direction.
    """
    width = 2 * height
    belt = sample
    for step in synthesise_texture(sample, height, width, wrap=(False, True), turns=turns, seed=seed):
        belt = step.picture
        yield step._replace(done=0.6 * step.done)
    for number, north in enumerate((True, False)):
        disc, stays = _disc(belt, north)
        made = disc
        side = len(disc)
        for step in synthesise_texture(sample, side, side, turns=turns, fixed=(disc, stays), seed=seed + 1 + number):
            made = step.picture
        belt = _laid(belt, np.where(stays[..., None], disc, made), north)
        yield Step(belt.clip(0, 1), 0.8 + 0.2 * number)


def _side(height: int) -> int:
    """Pixels of a disc from rim to rim, as fine as the belt is at its latitude."""
    return 2 * round(height * (90 - FROM + 4) / 180) + 1


def _disc(belt: Picture, north: bool) -> tuple[Picture, np.ndarray]:
    """The cap as seen from above the pole, by equal steps of latitude; and what of it stays."""
    height, width = belt.shape[:2]
    side = _side(height)
    y, x = np.mgrid[:side, :side].astype(np.float32) - side // 2
    row = np.hypot(x, y)
    column = (np.arctan2(x, y) / (2 * np.pi) % 1 * width).astype(np.float32)
    row = row - 0.5 if north else height - 0.5 - row
    disc = _sampled(belt, column, row)
    latitude = 90 - np.hypot(x, y) * 180 / height
    return disc, latitude < TO


def _laid(belt: Picture, disc: Picture, north: bool) -> Picture:
    """The belt with a disc laid over its cap, softly."""
    height, width = belt.shape[:2]
    rows = np.arange(height, dtype=np.float32) + 0.5
    away = rows if north else height - rows  # from the pole
    turn = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 * np.pi
    centre = len(disc) // 2
    x = centre + away[:, None] * np.sin(turn)[None]
    y = centre + away[:, None] * np.cos(turn)[None]
    out = cv2.remap(disc, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    latitude = 90 - away * 180 / height
    share = np.clip((latitude - FROM) / (TO - FROM), 0, 1).astype(np.float32)[:, None, None]
    return belt * (1 - share) + out.reshape(belt.shape) * share


def _sampled(belt: Picture, column: np.ndarray, row: np.ndarray) -> Picture:
    """The belt between its pixels, going on at the other side."""
    wide = np.concatenate([belt[:, -2:], belt, belt[:, :2]], axis=1)
    out = cv2.remap(wide, column + 1.5, row.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(*column.shape, -1)
