"""All figures of a set of made pictures against real ones, as plain values: what `gesso measure` writes and shows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.conditional import agreement, classifier_score, frechet_joint
from gesso.measure.distances import Estimate, figures
from gesso.measure.features import Extractor, features_of, floats, same_form
from gesso.measure.own import Own
from gesso.measure.perceptual import diversity
from gesso.measure.pixels import ms_ssim, sliced_wasserstein

__all__ = ["BETTER", "NAMES", "Figure", "Set", "comparable", "report", "table", "within"]

Images = UInt8[np.ndarray, "n h w c"]
Labels = Int[np.ndarray, " n"]

PIXELS = 2000  # pictures of each set that are compared by pixels
PAIRS = 400  # that SSIM over scales is the mean of
SMALLEST_OF_SCALES = 32  # pixels from which there are scales to look at
BETTER = {
    "frechet": "lower", "frechet_infinity": "lower", "kid": "lower", "precision": "higher", "recall": "higher",
    "density": "higher", "coverage": "higher", "swd": "lower", "ms_ssim": "real", "diversity": "real",
    "frechet_joint": "lower", "classifier_score": "higher", "agreement": "higher",
}  # fmt: skip

NAMES = {
    "frechet": "Fréchet distance", "frechet_infinity": "  of endlessly many", "kid": "KID", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage", "swd": "sliced Wasserstein × 1000",
    "ms_ssim": "likeness within (MS-SSIM)", "diversity": "diversity (perceptual)",
    "frechet_joint": "Fréchet joint distance", "classifier_score": "classifier score",
    "agreement": "agreement with labels",
}  # fmt: skip


@dataclass(frozen=True)
class Set:
    """Pictures, n h w c bytes, in no particular order, and the numbers of their labels, None where there are none."""

    images: Images
    numbers: Labels | None = None

    def some(self, most: int) -> "Set":
        """The first of them."""
        return Set(self.images[:most], None if self.numbers is None else self.numbers[:most])


Figure = dict[str, Any]  # value; low, high: the interval of 95 %, where it is known; why: why there is none


def report(
    real: Set,
    made: Set,
    see: Extractor,
    unlike: Callable[[Tensor, Tensor], Tensor],
    labels: int = 0,
    processes: int = 1,
) -> dict[str, Figure]:
    """Every figure that these pictures allow. Those that need more of them say so in `why`.

    see: whose features; unlike: of pairs, for diversity; labels: how many there are, where both sets have numbers.
    Raises GessoError where the sets are of different sizes or channels, and below two pictures of either.
    """
    same_form(real.images, made.images)
    for name, one in (("real", real), ("made", made)):
        if len(one.images) < 2:
            raise GessoError(
                f"Figures need at least two pictures; there are {len(one.images)} {name} ones.", "Get more."
            )
        if len(one.images) > 2 and bool((one.images == one.images[:1]).all()):
            raise GessoError(f"All {name} pictures are the same one.", "There is nothing to measure about them.")
    x, y = (features_of(see, one.images, processes) for one in (real, made))
    found = figures(x, y)
    out: dict[str, Figure] = {}
    for name, value in found._asdict().items():
        least = 100 if name == "frechet_infinity" else 20 if name == "kid" else 6
        out[name] = _figure(value) if value is not None else _few(least)
    a, b = (floats(one.some(PIXELS).images) for one in (real, made))
    out["swd"] = _tried(lambda: _swd(a, b))
    out |= within(made, unlike)
    if labels > 1 and real.numbers is not None and made.numbers is not None:
        known = real.numbers >= 0
        numbers = [torch.from_numpy(np.asarray(n)) for n in (real.numbers[known], made.numbers)]
        out["frechet_joint"] = _tried(
            lambda: frechet_joint(x[torch.from_numpy(known)], numbers[0], y, numbers[1], labels)
        )
        if isinstance(see.network, Own) and see.network.labels == labels:
            logits = see.network.logits(y)
            out["classifier_score"] = _tried(lambda: classifier_score(logits))
            out["agreement"] = _tried(lambda: agreement(logits, numbers[1]))
    return out


def within(one: Set, unlike: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Figure]:
    """How alike the pictures of a set are: by SSIM over scales, and by a perceptual distance within labels."""
    return {
        "ms_ssim": _tried(lambda: _alike_within(floats(one.some(PIXELS).images))),
        "diversity": _tried(lambda: diversity(one.images, one.numbers, unlike)),
    }


def _swd(a: Tensor, b: Tensor) -> Figure:
    levels = sliced_wasserstein(a, b)
    return {"value": sum(levels) / len(levels), "levels": levels}


def _alike_within(x: Tensor) -> Estimate:
    """Mean similarity of pairs: high where a model draws the same again (Odena et al. 2017, section 4.2)."""
    if min(x.shape[2:]) < SMALLEST_OF_SCALES:
        raise GessoError(f"Pictures below {SMALLEST_OF_SCALES} pixels have no scales to compare.", "Draw larger ones.")
    half = min(len(x) // 2, PAIRS)
    if half < 2:
        raise GessoError("This figure needs at least 4 pictures.", "Draw more.")
    parts = zip(x[:half].split(50), x[half : 2 * half].split(50), strict=True)
    found = torch.cat([ms_ssim(a, b) for a, b in parts])
    error = 1.96 * float(found.std()) / half**0.5
    mean = float(found.mean())
    return Estimate(mean, mean - error, mean + error)


def _tried(compute: Callable[[], Any]) -> Figure:
    try:
        return _figure(compute())
    except GessoError as error:
        return {"value": None, "why": error.problem}


def _figure(value: Any) -> Figure:
    if isinstance(value, Estimate):
        return {"value": value.value, "low": value.low, "high": value.high}
    return value if isinstance(value, dict) else {"value": float(value)}


def _few(least: int) -> Figure:
    return {"value": None, "why": f"It takes at least {least} pictures."}


def table(reports: list[dict[str, Any]], names: Mapping[str, str]) -> str:
    """Reports (`measures.json`) beside each other, for a person; of several the best of each row has a star.

    names: figure → what to call it, in order. Where there is but one, the real pictures' own figures stand beside it.
    """
    heads = ["", *(one["run"] for one in reports)]
    if len(reports) == 1:
        heads = ["", "made", "real pictures", "better"]
    rows = []
    for name, called in names.items():
        found = [one["figures"].get(name) for one in reports]
        if all(figure is None for figure in found):
            continue
        best = _best(name, reports) if len(reports) > 1 else None
        cells = [called, *(_said(figure) + (" *" if best == i else "") for i, figure in enumerate(found))]
        if len(reports) == 1:
            real = reports[0]["real"].get(name)
            cells += [_said(real) if real else "", "as real" if BETTER[name] == "real" else BETTER[name]]
        rows.append(cells)
    wide = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in (heads, *rows)]
    first = reports[0]
    against = f"against {first['learned']:,} learned ones, by {first['extractor']}"
    foot = f"{first['count']:,} pictures of {first['size']}, {against}."
    if any(figure.get("low") is not None for one in reports for figure in one["figures"].values()):
        foot += " In brackets: 95 % confidence."
    return "\n".join([*lines, "", foot])


def _best(name: str, reports: list[dict[str, Any]]) -> int | None:
    """Which report has the best of a figure."""
    worth = []
    for one in reports:
        value = (one["figures"].get(name) or {}).get("value")
        if value is None:
            worth.append(math.inf)
        elif BETTER[name] == "real":
            real = (one["real"].get(name) or {}).get("value")
            worth.append(abs(value - real) if real is not None else math.inf)
        else:
            worth.append(value if BETTER[name] == "lower" else -value)
    least = min(worth)
    return worth.index(least) if math.isfinite(least) and worth.count(least) == 1 else None


def _said(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure["value"] is None:
        return "too few"
    text = f"{figure['value']:.3g}"
    return text if figure.get("low") is None else f"{text} ({figure['low']:.3g} to {figure['high']:.3g})"


def comparable(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Why two reports (`measures.json`) cannot stand beside each other, in a sentence; "" where they can."""
    for key, what in (("extractor", "by the features of"), ("data", "against the pictures of"), ("size", "at")):
        if one[key] != other[key]:
            return f"One was measured {what} {one[key]}, the other {what} {other[key]}."
    if one["count"] != other["count"]:
        return (
            f"One was measured on {one['count']:,} pictures, the other on {other['count']:,}, which moves the figures."
        )
    return ""
