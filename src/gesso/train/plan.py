"""What to train, decided once from the data, the budget and a few seconds of timing, with the reasons."""

from dataclasses import dataclass, field, replace

import numpy as np
from lightning_fabric import Fabric

from gesso.contract.family import Facts, Family, Learning
from gesso.data.pack import Some
from gesso.train.engine import Engine, candidates
from gesso.train.probe import choose

ENOUGH = 150_000  # pictures that a small GAN must be shown before its drafts hold together
STEADY = 10  # minutes after which a flow was measured to draw better than a GAN; after half of them it is as good
STEADY_IMAGES = 200_000  # pictures that it was shown by then
MANY = 1_000  # pictures below which no flow was measured
SMALL = 8_000  # pictures below which a critic learns a set by heart within minutes
FEWEST_A_CLASS = 12  # pictures of a class on the mean, below which classes teach nothing
FEW = 32 * 32  # pixels up to which small steps are the quicker way on a CPU
AT_ONCE = 64  # pictures a step of larger pictures, and on a GPU, which a few keep no busier than these
MARGIN = 0.94  # share of the minutes that goes into steps; the rest saves, draws and starts


@dataclass(frozen=True)
class View:
    """Pictures of a pack as training reads them; those without a class get one of their own.

    captions: of each, where they are learned. sources: of each its own where paired, else any other pictures.
    """

    images: np.ndarray | Some
    label_ids: np.ndarray
    captions: list[str] = field(default_factory=list)
    sources: np.ndarray | Some | None = None
    paired: bool = True


@dataclass(frozen=True)
class Plan:
    """What will be trained. total: pictures to show; rate: pictures a second when timed; reasons: sentences."""

    config: Learning
    facts: Facts
    engine: Engine
    total: int
    rate: float
    reasons: tuple[str, ...]


def classes(labels: tuple[str, ...], label_ids: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, str]:
    """The classes worth learning, the class of each picture, and a sentence where they differ from the data's."""
    if not labels:
        return (), label_ids, ""
    if len(label_ids) / len(labels) < FEWEST_A_CLASS:
        few = f"{len(label_ids)} pictures in {len(labels)} classes are too few a class to learn them"
        return (), label_ids, f"Classes are left aside: {few}."
    if (label_ids < 0).any():
        count = int((label_ids < 0).sum())
        ids = np.where(label_ids < 0, len(labels), label_ids)
        return (*labels, "unlabelled"), ids, f"{count} pictures without a class form the class 'unlabelled'."
    return labels, label_ids, ""


def sizes(height: int, width: int, wish: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Heights and widths to consider, the largest first: the pack's own and its halves down to 32 pixels."""
    if wish is not None:
        return [wish]
    out = [(height, width)]
    while min(out[-1]) >= 64 and all(side % 2 == 0 for side in out[-1]):
        out.append((out[-1][0] // 2, out[-1][1] // 2))
    return out


def pick_family(count: int, minutes: float, images: int | None, paired: bool) -> tuple[tuple[str, ...], str]:
    """Names of the families that suit so many pictures and such a budget, the best first, and why (docs/benchmarks.md).

    images: how many pictures to show, where that is the budget. paired: another set or a pair of each picture is there.
    """
    long = images >= STEADY_IMAGES if images else minutes >= STEADY
    if count < MANY or paired:
        return ("gan", "flow"), ""
    if long:
        return ("flow", "gan"), f"A flow is better than a GAN from about {STEADY} minutes on."
    return ("gan", "flow"), f"A flow takes about {STEADY} minutes, and would be better then."


def pick_preset(family: type[Family], count: int, pairs: str = "") -> tuple[str, str]:
    """The preset for so many pictures, and why. pairs: the kind of what each picture is paired with."""
    if pairs and pairs in family.presets:
        return pairs, f"Preset {pairs}: that is what the pictures are paired with."
    if "small" in family.presets and count < SMALL:
        why = f"{count:,} pictures are few, so the critic sees them shifted"
        return "small", f"Preset small: {why}."
    return "", ""


def suited(family: type[Family], config: Learning, device: str, size: tuple[int, int]) -> Learning:
    """The choices that suit the device (`cpu`, `cuda`, …) and the pictures' height and width, where none were made.

    Those of the family's own table of sizes, and as many pictures a step as keep the device busy.
    """
    fitting = [side for side in family.sizes if side <= min(size)]
    values = dict(family.sizes[max(fitting)]) if fitting else {}
    if device != "cpu" or size[0] * size[1] > FEW:
        values.setdefault("batch", max(config.batch, AT_ONCE))
    made = config.model_fields_set
    return type(config).of({**{k: v for k, v in values.items() if k not in made}, **config.model_dump(include=made)})


def make(
    family: type[Family],
    config: Learning,
    facts: Facts,
    view: View,
    fabric: Fabric,
    *,
    seconds: float | None,
    images: int | None,
    engine: Engine | None = None,
    threads: int | None = None,
    wish: tuple[int, int] | None = None,
    accumulate: int = 1,
) -> Plan:
    """Time this machine and fix size, engine and length.

    seconds or images: the budget. wish: a size that was asked for. engine: one that was asked for; else the
    fastest of those that suit the device.
    """
    engines = [engine] if engine else candidates(fabric.device.type, threads)
    probe = 1.5 if seconds is None or seconds >= 60 else max(seconds / 40, 0.1)
    *larger, smallest = sizes(facts.height, facts.width, wish)
    reasons: list[str] = []

    def timed(size: tuple[int, int]) -> Plan:
        then = suited(family, config, fabric.device.type, size)
        facts_then = facts.model_copy(update={"height": size[0], "width": size[1]})
        best, rate = choose(family, then, facts_then, view, fabric, engines, probe, accumulate)
        shown = images if images is not None else rate * (seconds or 0) * MARGIN
        return Plan(then, facts_then, best, max(round(shown / then.batch), 1) * then.batch, rate, ())

    for height, width in larger:
        made = timed((height, width))
        if made.total >= ENOUGH or images is not None:
            break
        reasons.append(
            f"At {width}×{height} this machine would show {made.total:,} pictures in the time given, too few to get "
            f"beyond blobs; a smaller size shows more (--size {width}x{height} insists)."
        )
        engines = [made.engine]
    else:
        made = timed(smallest)
    size = f"{made.facts.width}×{made.facts.height}"
    step = f"{made.config.batch} pictures a step"
    reasons.append(f"Size {size}, {step}, {made.engine.describe()}: {made.rate:,.0f} pictures/s when timed.")
    return replace(made, reasons=tuple(reasons))
