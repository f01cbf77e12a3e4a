"""What can go wrong in a training, told from its figures: rules, each with what it sees and what to try.

A rule looks at the newest figures alone and answers in words, or with nothing. The limits stand between what broken
trainings showed and what healthy ones did (docs/health.md).
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["RULES", "History", "Line", "Rule"]

KEPT = 64  # figures of each name that are remembered
FEW = 12  # lines of the log over which a figure must stay where it is for a rule to speak of it
EARLY = 3000  # pictures shown before anything is said of what is drawn
NOTES = frozenset({"warning", "over", "best", "stop"})
Line = Mapping[str, Any]


class History:
    """The newest figures of a run, name by name, and the first ones."""

    def __init__(self, log: Iterable[Line] = ()):
        self._newest: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._first: dict[str, list[float]] = defaultdict(list)
        self.seen = 0  # pictures
        for line in log:
            self.add(line)

    def add(self, line: Line) -> None:
        """Take in a line of the log; notes, and figures that were no numbers, are left out."""
        self.seen = int(line.get("seen", self.seen))
        if NOTES & line.keys():
            return
        for name, value in line.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._newest[name].append(float(value))
                if len(self._first[name]) < FEW:
                    self._first[name].append(float(value))

    def last(self, name: str, count: int = 1) -> list[float]:
        """The newest `count` figures of a name, oldest first; none at all where there are not that many."""
        found = list(self._newest[name])[-count:] if name in self._newest else []
        return found if len(found) == count else []

    def first(self, name: str) -> float | None:
        """The median of the first FEW figures of a name, once they are there."""
        found = self._first.get(name, [])
        return median(found) if len(found) == FEW else None

    def ending(self, end: str) -> list[str]:
        """The names that end so."""
        return sorted(name for name in self._newest if name.endswith(end))


@dataclass(frozen=True)
class Rule:
    """One way to fail.

    name: short, as the log keeps it. sees: what there is to see, in a sentence, "" where all is well. remedy: what to
    try. look: whether it reads the figures of looks, not those of steps. calm: readings without before it is over.
    """

    name: str
    sees: Callable[[History], str]
    remedy: str
    look: bool = False

    @property
    def calm(self) -> int:
        """Readings in a row that see nothing, after which the trouble is over."""
        return 2 if self.look else 2 * FEW

    def says(self, history: History) -> str:
        """What there is to see; nothing yet of the first pictures, which never are good."""
        return "" if self.look and history.seen < EARLY else self.sees(history)

    def reads(self, line: Line) -> bool:
        """Whether a line of the log has something new for it."""
        return ("contrast" in line) == self.look


def _too_strong(history: History) -> str:
    found = history.last("accuracy", FEW)
    if not found or min(found) < 0.995:
        return ""
    return (
        f"The critic is never wrong (it ranks {median(found):.1%} of pairs of a real and a made picture rightly), so "
        "the generator cannot learn from it."
    )


def _too_weak(history: History) -> str:
    found = history.last("accuracy", 2 * FEW)
    if not found or max(found) > 0.55:
        return ""
    return (
        f"The critic knows no better than chance (it ranks {median(found):.0%} of pairs rightly), so the generator "
        "learns nothing from it."
    )


def _frozen(history: History) -> str:
    rates = history.last("rate", FEW)
    if not rates or min(rates) < 0.5:  # the rate is meant to be small at the end of a run
        return ""
    for name in history.ending("/update"):
        found = history.last(name, FEW)
        if found and max(found) < 1e-5:
            part = name.removesuffix("/update")
            return f"The {part} stands still: a step changes its weights by {median(found):.1g} of their size."
    return ""


def _diverging(history: History) -> str:
    for name in history.ending("/gradient"):
        found, first = history.last(name, 3), history.first(name)
        if found and first and min(found) > 100 * first:
            part = name.removesuffix("/gradient")
            return f"The {part}'s gradient has grown {median(found) / first:,.0f} times since the beginning."
    return ""


def _augmented(history: History) -> str:
    found = history.last("strength", FEW)
    if not found or min(found) < 0.84:
        return ""
    return "The augmentation is as strong as it may get, and the critic still knows the learned pictures by heart."


def _collapsed_posterior(history: History) -> str:
    found = history.last("active", FEW)
    if not found or max(found) > 0.1:
        return ""
    return f"Only {median(found):.0%} of the latent numbers say anything about a picture (posterior collapse)."


def _few_kinds(history: History) -> str:
    kinds, real = history.last("kinds", 2), history.last("kinds_real")
    if not kinds or not real or max(kinds) > 0.2 * real[-1]:
        return ""
    count = max(round(kinds[-1]), 1)
    what = "all but the same picture" if count == 1 else f"{count} kinds of pictures"
    return f"The generator draws {what}, where as many real ones are of {real[-1]:.0f} kinds (mode collapse)."


def _flat(history: History) -> str:
    found = history.last("contrast", 2)
    return f"The pictures have {found[-1]:.0%} of the contrast of the real ones." if found and max(found) < 0.5 else ""


def _off_colour(history: History) -> str:
    found = history.last("saturation", 2)
    if not found or not (max(found) < 0.5 or min(found) > 2):
        return ""
    strength = f"{found[-1]:.0%} of" if found[-1] < 1 else f"{found[-1]:.1f} times"
    return f"The pictures have {strength} the colour (saturation) of the real ones."


def _copies(history: History) -> str:
    found, real = history.last("copied"), history.last("copied_real")
    if not found or not real or found[-1] < real[-1] + 0.3:
        return ""
    return f"{found[-1]:.0%} of the pictures are all but copies of learned ones."


RULES: tuple[Rule, ...] = (
    Rule(
        "critic too strong",
        _too_strong,
        "Try a slower critic (--set critic_lr=…) or a faster generator (--set lr=…), --preset r3gan, or, for few "
        "pictures, --preset adaptive.",
    ),
    Rule(
        "critic too weak",
        _too_weak,
        "Try a faster critic (--set critic_lr=…), a wider one (--set critic_width=…), or a slower generator "
        "(--set lr=…).",
    ),
    Rule("frozen", _frozen, "Try a higher rate (--set lr=…; for a critic --set critic_lr=…)."),
    Rule(
        "diverging",
        _diverging,
        "Try a lower rate (--set lr=…; for a critic --set critic_lr=…), or for a GAN --set norm=spectral.",
    ),
    Rule(
        "augmentation at its limit",
        _augmented,
        "More pictures would help most; else a shorter run, or --preset primer.",
    ),
    Rule("posterior collapse", _collapsed_posterior, "Try a lower --set beta=…, or --preset sharp."),
    Rule(
        "few kinds",
        _few_kinds,
        "Try a lower rate of the generator (--set lr=…), --preset r3gan, or --preset primer.",
        look=True,
    ),
    Rule(
        "flat",
        _flat,
        "If it stays so, try --preset sharp for a VAE; for a GAN a lower rate (--set lr=…), or --preset primer.",
        look=True,
    ),
    Rule(
        "off colour",
        _off_colour,
        "If it stays so, try --preset sharp for a VAE; for a GAN a lower rate (--set lr=…), or --preset primer.",
        look=True,
    ),
    Rule(
        "copies",
        _copies,
        "More pictures would help most; else augmentation (--preset small, --preset adaptive), or a shorter run.",
        look=True,
    ),
)
