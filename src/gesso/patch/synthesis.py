"""A whole picture from the patches of another: search and vote in turns, from coarse to fine.

Expectation and maximisation in the manner of Kwatra et al. (SIGGRAPH 2005) and Simakov et al. (CVPR 2008), on fields by
PatchMatch (Barnes et al., SIGGRAPH 2009). Texture, style, retargeting and variations are settings of this.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gesso.patch.level import MOST, How, Level, Source, Target
from gesso.patch.pyramid import scales

__all__ = ["How", "Source", "Step", "Target", "final", "needed", "synthesise"]

PLANES = 6  # copies of source and target in memory at once, beside descriptions: as measured at 1024² and 4096²


class Step(NamedTuple):
    """A picture on its way, in [0, 1], and the share of the work that is done; the last has 1.

    energy: how unlike the source its patches are: mean squared difference of a pixel, summed over channels.
    """

    picture: Float[np.ndarray, "h w c"]
    done: float
    energy: float = 0.0


def synthesise(source: Source, target: Target, how: How, seed: int = 0) -> Iterator[Step]:
    """Make the target from the source's patches; yields the picture after every level, the last is the answer.

    The same arguments give the same bits, on any number of threads. Closing the iterator cancels the work.
    """
    rng = np.random.default_rng(seed)
    sizes = scales(min(source.picture.shape[:2]), how.coarse, how.ratio, how.start)
    counts = [how.steps_at(number, len(sizes)) for number in range(len(sizes))]
    work = np.cumsum([scale * scale * count for scale, count in zip(sizes, counts, strict=True)])
    level: Level | None = None
    for number, (scale, count) in enumerate(zip(sizes, counts, strict=True)):
        level = Level(source, target, how, scale, level, rng)
        for step in range(count):
            level.match(rng, soft=number > 0 and step == 0)
            level.vote(last=number == len(sizes) - 1 and step == count - 1)
        yield Step(level.picture.clip(0, 1), float(work[number] / work[-1]), level.energy)


def final(steps: Iterator[Step]) -> Float[np.ndarray, "h w c"]:
    """The answer alone."""
    *_, last = steps
    return last.picture


def needed(source: int, target: int, channels: int = 6) -> int:
    """About how many bytes the engine takes at most. source, target: pixels; channels: with guides."""
    both = source + target
    return 128 * min(both, MOST) + both * channels * PLANES * 4
