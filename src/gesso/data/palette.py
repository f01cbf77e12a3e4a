"""The main colours of a data set: means of what is near each other in OKLab (Ottosson 2020)."""

import numpy as np

from gesso.data.pack import Pack
from gesso.oklab import LMS_TO_LAB, RGB_TO_LMS

__all__ = ["palette"]

PICTURES, PLACES = 256, 64  # pictures that are looked at, and places in each
PIXELS = 4096  # of those that are opaque, at most
OPAQUE = 250  # alpha from which a pixel counts
ROUNDS = 24  # of k-means
SAME = 0.04  # distance in OKLab below which two colours are told as one: about what an eye tells apart side by side


def palette(pack: Pack, count: int = 8) -> list[str]:
    """The main colours as '#rrggbb', the commonest first; at most `count`, fewer where there are fewer.

    From some thousands of opaque pixels of a few hundred pictures; the same for the same pictures. Empty where
    everything is transparent.
    """
    pixels = _some(pack)
    if not len(pixels) or count < 1:
        return []
    known, times = np.unique(pixels, axis=0, return_counts=True)
    if len(known) <= count:  # flat colours are told as they are
        colours = known
    else:
        middles, times = _merged(*_clusters(_lab(pixels / 255), count))
        colours = np.rint(np.clip(_rgb(middles), 0, 1) * 255).astype(np.uint8)
    order = np.argsort(-times, kind="stable")
    return list(dict.fromkeys("#" + bytes(colour).hex() for colour in colours[order]))


def _some(pack: Pack) -> np.ndarray:
    """`m 3` uint8: pixels from all over the data set, without transparent ones."""
    dice = np.random.default_rng(0)
    rows = np.linspace(0, pack.count - 1, min(PICTURES, pack.count)).round().astype(int)
    shape = (len(rows), PLACES * max(1, PICTURES // len(rows)))
    y, x = dice.integers(0, pack.height, shape), dice.integers(0, pack.width, shape)
    found = np.asarray(pack.images[rows[:, None], y, x]).reshape(-1, pack.channels)
    if pack.channels == 4:
        found = found[found[:, 3] >= OPAQUE][:, :3]
    elif pack.channels == 1:
        found = found.repeat(3, axis=1)
    return found if len(found) <= PIXELS else found[np.sort(dice.permutation(len(found))[:PIXELS])]


def _lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] -> OKLab, `m 3`."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.transpose(RGB_TO_LMS)) @ np.transpose(LMS_TO_LAB)


def _rgb(lab: np.ndarray) -> np.ndarray:
    """OKLab -> sRGB, `m 3`; outside [0, 1] where a screen cannot show it."""
    linear = (lab @ np.linalg.inv(np.transpose(LMS_TO_LAB))) ** 3 @ np.linalg.inv(np.transpose(RGB_TO_LMS))
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def _clusters(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means from well-spread beginnings (Arthur and Vassilvitskii 2007): middles, and how many are near each."""
    dice = np.random.default_rng(0)
    middles = points[[int(dice.integers(len(points)))]]
    while len(middles) < count:
        away = _apart(points, middles).min(axis=1)
        if away.sum() <= 0:
            break
        middles = np.concatenate([middles, points[[int(dice.choice(len(points), p=away / away.sum()))]]])
    near = np.zeros(0, np.int64)
    for _ in range(ROUNDS):
        now = _apart(points, middles).argmin(axis=1)
        if np.array_equal(now, near):
            break
        near = now
        held = np.unique(near)
        middles = np.stack([points[near == which].mean(axis=0) for which in held])
        near = np.searchsorted(held, near)
    return middles, np.bincount(near, minlength=len(middles))


def _merged(middles: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with those joined that an eye would take for one colour."""
    while len(middles) > 1:
        apart = np.sqrt(_apart(middles, middles)) + np.diag(np.full(len(middles), np.inf))
        a, b = np.unravel_index(int(apart.argmin()), apart.shape)
        if apart[a, b] >= SAME:
            break
        middles[a] = (middles[a] * times[a] + middles[b] * times[b]) / (times[a] + times[b])
        times[a] += times[b]
        middles, times = np.delete(middles, b, axis=0), np.delete(times, b)
    return middles, times


def _apart(points: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Squared distances, `m k`."""
    return ((points[:, None] - middles[None]) ** 2).sum(axis=2)
