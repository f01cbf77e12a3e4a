"""One manner over the frames of a film: what moves keeps its strokes, so that nothing flickers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from gesso.patch.colour import grey
from gesso.patch.pyramid import blurred, resized
from gesso.patch.style import stylise
from gesso.patch.synthesis import final

__all__ = ["Followed", "flicker", "follow", "stylise_frames"]

Picture = Float[np.ndarray, "h w 3"]
STRAYS = 1.0  # pixels that flow there and back may differ by
CHANGES = 0.06  # of light that what is followed may differ by
NEAR = 0.9  # how near the strokes are kept where everything was followed


class Followed(NamedTuple):
    """A picture moved to where its things are now. sure: h w, 0 to 1, whether a pixel was followed."""

    picture: Picture
    sure: Float[np.ndarray, "h w"]


def follow(before: Picture, now: Picture, picture: Picture) -> Followed:
    """Move a picture that belongs to the frame before to where its things are in the frame now.

    By dense flow (Kroeger et al., ECCV 2016), there and back: where both disagree, or light changes, it is not sure.
    """
    old, new = ((grey(frame) * 255).astype(np.uint8) for frame in (before, now))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = finder.calc(new, old, np.empty(0)), finder.calc(old, new, np.empty(0))
    y, x = np.mgrid[: now.shape[0], : now.shape[1]].astype(np.float32)
    at = x + back[..., 0], y + back[..., 1]

    def moved(plane: np.ndarray) -> np.ndarray:
        return cv2.remap(plane, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    strays = np.hypot(*np.moveaxis(back + moved(forth), 2, 0))
    differs = np.abs(grey(moved(before)) - grey(now))
    inside = (at[0] >= 0) & (at[0] <= now.shape[1] - 1) & (at[1] >= 0) & (at[1] <= now.shape[0] - 1)
    sure = inside & (strays < STRAYS) & (differs < CHANGES)
    return Followed(moved(picture), blurred(sure.astype(np.float32), 1.5).clip(0, 1) * sure)


def stylise_frames(
    frames: Iterable[Picture], styles: Sequence[Picture], *, seed: int = 0, **choices: Any
) -> Iterator[Picture]:
    """Every frame in the manner of the styles, each beginning with the strokes of the one before it.

    choices: those of `stylise`. Yields a picture a frame, in their order.
    """
    before: tuple[Picture, Picture] | None = None
    for frame in frames:
        begin = None
        if before is not None:
            found = follow(before[0], frame, resized(before[1], *frame.shape[:2]))
            begin = found.picture, NEAR * found.sure
        made = final(stylise(frame, styles, begin=begin, seed=seed, **choices))
        before = frame, made
        yield made


def flicker(frames: Sequence[Picture], made: Sequence[Picture]) -> float:
    """How much pictures of a film differ from what is followed from the one before: mean absolute difference, [0, 1].

    Only pixels that were followed from frame to frame count.
    """
    total = count = 0.0
    for i in range(1, len(frames)):
        found = follow(frames[i - 1], frames[i], made[i - 1])
        total += float((np.abs(found.picture - made[i]).mean(axis=2) * found.sure).sum())
        count += float(found.sure.sum())
    return total / max(count, 1.0)
