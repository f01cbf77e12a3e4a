"""What in a picture makes a judge say what it says: a number for every pixel, of any judge of pictures."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.errors import GessoError

__all__ = ["integrated_gradients", "occlusion", "plain"]

Pictures = Float[Tensor, "n c h w"]
Score = Callable[[Tensor], Tensor]  # n c h w -> n


def integrated_gradients(
    score: Score, x: Pictures, baseline: Pictures, steps: int = 32
) -> Iterator[Float[Tensor, "h w"]]:
    """How much each pixel adds to the score, one picture after the other (Sundararajan et al. 2017, eq. 1).

    The slope at `steps` places between the baseline and the picture (midpoints), times how far the pixel is from the
    baseline, added up over the channels. The pixels of a picture add up to score(x) - score(baseline). baseline: of a
    picture that shows nothing, as `plain` makes it. Raises GessoError where the score is no finite number.
    """
    for one, start in zip(x, baseline, strict=True):
        share = (torch.arange(steps) + 0.5) / steps
        with torch.enable_grad():
            along = (start + share[:, None, None, None] * (one - start)).detach().requires_grad_()
            said = score(along)
            _check(said)
            (slope,) = torch.autograd.grad(said.sum(), along)
        yield ((one - start) * slope.mean(0)).sum(0).detach()


@torch.no_grad()
def occlusion(
    score: Score, x: Pictures, baseline: Pictures, window: int = 0, stride: int = 0
) -> Iterator[Float[Tensor, "h w"]]:
    """How much the score falls when a window shows the baseline instead (Zeiler & Fergus 2014, section 4.2).

    One picture after the other; where windows lie over each other, the mean of what they say. Windows fade towards
    their rims: a hard edge would be seen, and judged, as such. window and stride: in pixels; 0 is three eighths of the
    shorter side, and a quarter of the window. Raises GessoError where the score is no finite number.
    """
    h, w = x.shape[2:]
    window = window or max(3 * min(h, w) // 8, 2)
    stride = stride or max(window // 4, 1)
    tops, lefts = (sorted({*range(0, side - window + 1, stride), side - window}) for side in (h, w))
    line = torch.sin(torch.pi * (torch.arange(window) + 0.5) / window) ** 2  # Hann's window
    fade = line[:, None] * line
    for one, start in zip(x, baseline, strict=True):
        before = score(one[None])
        _check(before)
        total, count = torch.zeros(h, w), torch.zeros(h, w)
        places = [(top, left) for top in tops for left in lefts]
        for part in (places[i : i + 64] for i in range(0, len(places), 64)):
            hidden = one.expand(len(part), *one.shape).clone()
            for picture, (top, left) in zip(hidden, part, strict=True):
                inside = (slice(None), slice(top, top + window), slice(left, left + window))
                picture[inside] += fade * (start[inside] - picture[inside])
            fall = before - score(hidden)
            for value, (top, left) in zip(fall, part, strict=True):
                total[top : top + window, left : left + window] += value * fade
                count[top : top + window, left : left + window] += fade
        yield total / count


def plain(x: Pictures) -> Pictures:
    """Pictures that show nothing: each its own, blurred until no more than its colours are left."""
    side = max(min(x.shape[2:]) // 2, 1)
    small = F.adaptive_avg_pool2d(F.avg_pool2d(x, side, max(side // 2, 1), ceil_mode=True), 2)
    return F.interpolate(small, size=x.shape[2:], mode="bilinear")


def _check(said: Tensor) -> None:
    if not bool(torch.isfinite(said).all()):
        raise GessoError("The judge's answer is not a finite number.", "Its weights may be damaged: train anew.")
