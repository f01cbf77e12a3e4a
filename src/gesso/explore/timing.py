"""When a film shows what: keys at their times, how fast it goes between them, strengths that change."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gesso.errors import GessoError

__all__ = ["Change", "Course", "Ease", "Pace", "eased", "frames_at", "keys_on_beats", "timed"]

Ease = Literal["linear", "in-out"]
SLOWEST = 0.15  # share of the loudest's pace at which a film goes on while nothing is heard
ENDLESS = 1e6  # seconds: no film is so long
LEAST = 1e-9  # what is taken to change between any two frames, as a share of all, so that times stay in order


def eased(share: Float[np.ndarray, " n"], ease: Ease) -> Float[np.ndarray, " n"]:
    """Shares of a way for shares of its time, 0 to 1: the same, or 3 t² - 2 t³, which is still at either end."""
    return share if ease == "linear" else share * share * (3 - 2 * share)


def timed(words: str, option: str) -> tuple[list[str], list[float] | None]:
    """Words like 1@0,5@2.5 as what is named and its seconds, or 1,5 and None.

    option: how they are called. Raises GessoError where only some have times, a time is none, the first is not at 0, or
    they do not increase.
    """
    pairs = [word.partition("@") for word in words.split(",")]
    names, times = [name.strip() for name, _, _ in pairs], list[float]()
    if not any(at for _, at, _ in pairs):
        return names, None
    for name, at, time in pairs:
        if not at:
            raise GessoError(f"{option} {words}: {name} has no time, others have.", "Give all a time, as in 1@0,5@2.5.")
        try:
            times.append(float(time))
        except ValueError:
            times.append(math.nan)
        if not abs(times[-1]) < ENDLESS:
            raise GessoError(f"{option} {words}: '{time}' is no time.", "Write seconds, as in 1@0,5@2.5.")
    if times[0] != 0:
        raise GessoError(f"{option} {words} begins at {times[0]:g} s.", "The first is at 0: 1@0,5@2.5.")
    for before, after in itertools.pairwise(times):
        if after <= before:
            raise GessoError(
                f"{option} {words}: {after:g} s comes after {before:g} s.", "Name them in the order of their times."
            )
    return names, times


def frames_at(times: Sequence[float], fps: float, count: int, loop: bool) -> list[int]:
    """The frame that is nearest to each time in seconds, of a film of so many; its end is its last frame.

    Raises GessoError for a time beyond the film, of a loop at its end, which is its first key, and for two times of one
    frame.
    """
    frames, last = [round(time * fps) for time in times], count - 1
    if not loop and frames[-1] == count:
        frames[-1] = last
    if frames[-1] > last:
        remedy = "A loop needs time to lead back: make --seconds longer." if loop else "Make --seconds longer."
        raise GessoError(f"{times[-1]:g} s is beyond the film, which takes {count / fps:g} s.", remedy)
    for number, (before, after) in enumerate(itertools.pairwise(frames)):
        if after <= before:
            raise GessoError(
                f"{times[number]:g} s and {times[number + 1]:g} s fall on one frame.",
                "Set them further apart, or choose more --fps.",
            )
    return frames


def keys_on_beats(beats: Sequence[float], keys: int, fps: float, count: int, loop: bool) -> list[int]:
    """The frames of so many keys: the first at the beginning, and one at every k-th beat, of a film of so many frames.

    k is the largest by which there are beats enough; the last key, of a loop the first again, comes at the end. beats:
    seconds. Raises GessoError where there are too few of them, or no key is between the first and the last.
    """
    last = count if loop else count - 1
    there = sorted({frame for beat in beats if 0 < (frame := round(beat * fps)) < last})
    between = keys - 1 if loop else keys - 2
    if not between:
        raise GessoError("No seed lies between the first and the last.", "Name three or more, or leave out --on-beats.")
    if len(there) < between:
        raise GessoError(
            f"{len(there)} beats were heard, and {between} seeds wait for one.", "Name fewer, or leave out --on-beats."
        )
    every = (len(there) + 1) // (between + 1)
    met = there[every - 1 :: every][:between]
    return [0, *met] if loop else [0, *met, last]


class Course(NamedTuple):
    """What a strength does over a film: it passes values, evenly spread or at their seconds; or it follows a sound.

    heard: from the first value, where least is heard, to the second, where most is.
    """

    values: tuple[float, ...]
    at: tuple[float, ...] | None = None
    heard: bool = False

    @classmethod
    def of(cls, words: str, option: str) -> "Course":
        """Of words like 1 or -1,2 or -1@0,2@1.5 or, following a sound, -1..2; raises GessoError for others."""
        low, heard, high = words.partition("..")
        names, times = ([low, high], None) if heard else timed(words, option)
        try:
            values = tuple(float(name) for name in names)
        except ValueError:
            values = (math.nan,)
        if not all(math.isfinite(value) for value in values):
            raise GessoError(
                f"{option} {words} does not say how far.", "Write for example -1,2 or -1@0,2@1.5 or, by a sound, -1..2."
            )
        return cls(values, None if times is None else tuple(times), bool(heard))

    def over(
        self, count: int, fps: float, loop: bool, ease: Ease, heard: Float[np.ndarray, " n"] | None = None
    ) -> Float[Tensor, " n"]:
        """The strength at each of so many frames; of a loop, it leads back to the first. heard: of each frame, 0 to 1.

        Raises GessoError as `frames_at`, and where there is no sound to follow.
        """
        if self.heard:
            if heard is None:
                raise GessoError(f"{self.values[0]:g}..{self.values[1]:g} follows a sound.", "Name one: --audio FILE.")
            return torch.from_numpy(self.values[0] + heard * (self.values[1] - self.values[0])).float()
        end = count if loop else count - 1
        stops: Sequence[float] = [] if self.at is None else frames_at(self.at, fps, count, loop)
        marks = [*self.values, self.values[0]] if loop else [*self.values]
        stops = [*stops, end][: len(marks)] if stops else np.linspace(0, end, len(marks)).tolist()
        leg, share = np.divmod(np.interp(np.arange(count), stops, np.arange(len(marks))), 1)
        found = np.interp(leg + eased(share, ease), np.arange(len(marks)), marks)
        return torch.from_numpy(found).float()


class Change:
    """How much has changed along a way up to each of its times, which increase from 0 to 1.

    change: between each time and the next.
    """

    def __init__(self, times: Float[Tensor, " m"], change: Float[Tensor, " n"]):
        self.times = times.double().numpy()
        sums = np.concatenate([[0.0], change.double().numpy().cumsum()])
        self.sums = sums + max(LEAST * sums[-1], 1e-12) * np.linspace(0, 1, len(sums))

    def by(self, times: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The share of all change that there was by then."""
        return np.interp(times, self.times, self.sums / self.sums[-1])

    def when(self, shares: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """By when there was such a share of it."""
        return np.interp(shares, self.sums / self.sums[-1], self.times)


@dataclass(frozen=True)
class Pace:
    """How fast a film goes along its way.

    keys: the frames of all keys, increasing, the first 0; None: each comes when it comes, the pace being the same
    before and after it. ease: how it goes from key to key. heard: how much is heard at each frame, 0 to 1: the more,
    the faster.
    """

    keys: tuple[int, ...] | None = None
    ease: Ease = "linear"
    heard: Float[np.ndarray, " n"] | None = None

    def times(self, parts: int, end: int, change: Change | None = None) -> Float[Tensor, " m"]:
        """Where on a way of so many parts, 0 to 1, each frame is, from the first to frame `end`, where the way ends.

        change: of the way; equal times then show equal changes, between two keys or, without their frames, on the whole
        way. Else all parts are as long.
        """
        places = np.linspace(0, 1, parts + 1)
        amounts, clock = places if change is None else change.by(places), self._clock(end)
        if self.keys is not None:
            stops = np.array([*self.keys, end][: parts + 1])
        elif self.ease == "linear":
            stops, amounts = np.array([0, end]), amounts[[0, -1]]
        else:
            stops = _apart(np.interp(amounts, clock, np.arange(end + 1)))
        leg = (np.searchsorted(stops, np.arange(end + 1), side="right") - 1).clip(0, len(stops) - 2)
        begin, length = clock[stops[leg]], clock[stops[leg + 1]] - clock[stops[leg]]
        share = eased(((clock - begin) / length).clip(0, 1), self.ease)
        found = amounts[leg] + share * (amounts[leg + 1] - amounts[leg])
        return torch.from_numpy(found if change is None else change.when(found)).float()

    @property
    def last(self) -> int | None:
        """The frame of the last key, after which a way that does not return stands still."""
        return None if self.keys is None else self.keys[-1]

    def _clock(self, end: int) -> Float[np.ndarray, " m"]:
        if self.heard is None:
            return np.arange(end + 1) / end
        passed = np.concatenate([[0.0], (SLOWEST + (1 - SLOWEST) * self.heard[:end]).cumsum()])
        return passed / passed[-1]


def _apart(frames: Float[np.ndarray, " k"]) -> np.ndarray:
    """The nearest whole numbers, no two the same, the first and the last in their places."""
    steps, last = np.arange(len(frames)), round(float(frames[-1]))
    if last < steps[-1]:
        raise GessoError(
            f"{last + 1} frames cannot pass {len(frames)} keys.", "Make the film longer, or name fewer seeds."
        )
    return np.minimum(np.maximum.accumulate(frames.round().astype(int) - steps) + steps, last - steps[::-1])
