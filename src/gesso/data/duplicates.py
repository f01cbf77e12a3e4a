"""Near-duplicates: pictures that a person would call the same.

A perceptual hash proposes pairs, a small thumbnail with its colours and its transparency decides. The
hash alone would call many flat icons equal, and knows no colour: a hand in another skin tone is another picture.
"""

from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np
from PIL import Image

from gesso.data.pack import chunks

__all__ = ["find_duplicates", "perceptual_hash"]

SIDE, KEPT = 32, 8  # of the hash: pixels a side, and coefficients a side
BANDS = 4  # hashes of at most BANDS - 1 different bits agree in one of the bands
MOST_BITS = 3
THUMB = 16  # pixels a side of the thumbnail that decides
MOST_APART = 12  # of 255, anywhere, of brightness, transparency or colour
MEAN_APART = 2.0  # of 255, over all of them
MEAN_BRIGHTNESS = 3.0  # of 255: pictures further apart than this in the mean of all channels are not compared
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
BLOCK = 4096  # comparisons at once


def perceptual_hash(pixels: np.ndarray) -> int:
    """The 64-bit hash of a picture (`h w 4` uint8 premultiplied, seen on white), bit for bit `imagehash.phash`.

    Which coefficients of the lowest 8 x 8 of a 32 x 32 cosine transform lie above their median. Done here
    with two products of matrices because imagehash needs SciPy, 0.5 s in each process, and seven times as long.
    """
    white = pixels[..., :3] + (255 - pixels[..., 3:])
    grey = Image.fromarray(white).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    table = _cosines()
    low = table @ np.asarray(grey, np.float64) @ table.T
    low[np.abs(low) < 1e-6] = 0  # rounding must not decide for flat pictures
    flat = low.reshape(-1)
    middle = np.sort(flat)[KEPT * KEPT // 2 - 1 : KEPT * KEPT // 2 + 1].mean()  # as numpy.median, but sooner
    bits = flat > middle
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@lru_cache(maxsize=1)
def _cosines() -> np.ndarray:
    """The first rows of the cosine transform (DCT-II, scaled as SciPy's), `KEPT SIDE`."""
    k, n = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
    return 2 * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))


def find_duplicates(images: np.ndarray, hashes: np.ndarray, digests: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs (earlier, later, mean difference of 255), each later picture once, with the earliest that it resembles.

    images: `n h w 4` uint8 premultiplied, read only where a pair is likely. hashes: `n` uint64 of
    `perceptual_hash`. digests: `n` uint64, equal where the pixels are equal. Time grows about linearly:
    only pictures whose hashes agree in one band of 16 bits are compared, and in a crowded band only those
    of nearly the same mean colour.
    """
    first: dict[int, int] = {}
    pairs: dict[int, tuple[int, float]] = {}
    for i, digest in enumerate(digests.tolist()):
        if (j := first.setdefault(digest, i)) != i:
            pairs[i] = (j, 0.0)
    alone = np.array([i for i in range(len(digests)) if i not in pairs], np.int64)
    thumbs = lru_cache(maxsize=4096)(partial(_thumb, images))
    means = np.concatenate([part.mean(axis=(1, 2, 3), dtype=np.float32) for part in chunks(images)])
    seen: set[tuple[int, int]] = set()
    for one, two in _candidates(hashes, alone, means):
        for a, b in zip(one.tolist(), two.tolist(), strict=True):
            if (a, b) in seen:
                continue
            seen.add((a, b))
            apart = _apart(thumbs(a), thumbs(b))
            if apart is not None and (b not in pairs or a < pairs[b][0]):
                pairs[b] = (a, round(apart, 3))
    return [(a, b, apart) for b, (a, apart) in sorted(pairs.items())]


def _apart(one: np.ndarray, other: np.ndarray) -> float | None:
    """The mean difference of two thumbnails; None where a person would see one.

    Brightness and transparency are compared pixel by pixel, colours over twice as large: JPEG moves those about.
    """
    apart = one - other
    light = np.abs(apart[..., :3] @ LUMA)
    alpha = np.abs(apart[..., 3])
    colour = np.abs(apart[..., :3].reshape(THUMB // 2, 2, THUMB // 2, 2, 3).mean(axis=(1, 3)))
    mean = float(light.mean() + alpha.mean() + colour.mean()) / 3
    near = max(light.max(), alpha.max(), colour.max()) <= MOST_APART and mean <= MEAN_APART
    return mean if near else None


def _candidates(hashes: np.ndarray, alone: np.ndarray, means: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Arrays of earlier and later pictures whose hashes are near and whose mean brightness is."""
    for band in range(BANDS):
        keys = (hashes[alone] >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        for group in np.split(alone[order], np.flatnonzero(np.diff(keys[order])) + 1):
            if len(group) > 1:
                yield from _near(group, hashes, means[group])


def _near(group: np.ndarray, hashes: np.ndarray, means: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs within a bucket: sorted by mean brightness, each is compared with those just above it."""
    order = np.argsort(means, kind="stable")
    group, means = group[order], means[order]
    ends = np.searchsorted(means, means + MEAN_BRIGHTNESS, side="right")
    for i, end in enumerate(ends.tolist()):
        others = group[i + 1 : end]
        for start in range(0, len(others), BLOCK):
            block = others[start : start + BLOCK]
            near = block[np.bitwise_count(hashes[block] ^ hashes[group[i]]) <= MOST_BITS]
            if len(near):
                yield np.minimum(near, group[i]), np.maximum(near, group[i])


def _thumb(images: np.ndarray, i: int) -> np.ndarray:
    """The thumbnail of one picture, `THUMB THUMB 4` float32."""
    height, width = images.shape[1:3]
    image = Image.frombytes("RGBa", (width, height), images[i].tobytes())
    return np.asarray(image.resize((THUMB, THUMB), Image.Resampling.BOX), np.float32)
