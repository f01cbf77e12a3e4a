"""Where in a source every patch of a target is most alike: fields, found by PatchMatch on short descriptions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, UInt8

from gesso.patch.bands import each_band
from gesso.patch.kernels import DEPTH, describe, refine, search

__all__ = ["FORBIDDEN", "SAMPLED", "Axes", "Field", "Places", "inside", "leading", "scaled_field"]

FORBIDDEN = 1e15  # the last number of the description of a place that must not be used
SAMPLED = 3000  # patches from which the axes are learned
Picture = Float[np.ndarray, "h w c"]
Places = Int32[np.ndarray, "h w 2"]


def inside(allowed: Bool[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"], size: int) -> Bool[np.ndarray, "a b"]:
    """For every patch of that size whether all of its pixels are allowed: (h − size + 1) × (w − size + 1)."""
    sums = np.zeros((allowed.shape[0] + 1, allowed.shape[1] + 1), np.int32)
    sums[1:, 1:] = allowed.astype(np.int32).cumsum(0).cumsum(1)
    return sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size] == size * size


@dataclass(frozen=True)
class Axes:
    """The axes on which patches are described: the principal components of a source's patches.

    along: DEPTH-1 c size size, orthonormal with across: DEPTH-1 g, those of guides that are heard in the middle of a
    patch only. middle: DEPTH-1, where the mean patch lies on them.
    """

    along: Float32[np.ndarray, "d c p p"]
    across: Float32[np.ndarray, "d g"]
    middle: Float32[np.ndarray, " d"]
    size: int

    @classmethod
    def of(
        cls, picture: Picture, size: int, rng: np.random.Generator, guide: Picture | None = None, among: int = SAMPLED
    ) -> "Axes":
        """Learn them from so many patches of a picture; rounded, so that they do not depend on how the machine adds up.

        guide: h w g, heard in the middle of a patch only.
        """
        high, wide, channels = picture.shape
        ys, xs = (rng.integers(0, n - size + 1, among) for n in (high, wide))
        windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size), (0, 1))
        patches = windows[ys, xs].reshape(among, -1).astype(np.float64)
        own = patches.shape[1]
        if guide is not None:
            patches = np.concatenate([patches, size * guide[ys + size // 2, xs + size // 2]], axis=1)
        middle = patches.mean(0)
        patches -= middle
        vectors = leading(patches.T @ patches, DEPTH - 1, rng)
        largest = np.abs(vectors).argmax(1)
        vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
        vectors = np.round(vectors * 4096) / 4096
        along = np.zeros((DEPTH - 1, vectors.shape[1]), np.float32)
        along[: len(vectors)] = vectors
        offset = np.round(along.astype(np.float64) @ middle * 4096) / 4096
        shape = (DEPTH - 1, channels, size, size)
        return cls(
            np.ascontiguousarray(along[:, :own].reshape(shape)), np.ascontiguousarray(along[:, own:] * size),
            offset.astype(np.float32), size,
        )  # fmt: skip

    def describe(
        self, picture: Picture, out: np.ndarray | None = None, guide: Picture | None = None
    ) -> Float32[np.ndarray, "h w d"]:
        """The descriptions of all patches; the last number, of cost, is zero. out: an array to write them into."""
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)
        none = np.empty((0, 0, 0), np.float32)
        middles = none if guide is None else np.ascontiguousarray(guide.transpose(2, 0, 1), np.float32)
        high, wide = picture.shape[0] - self.size + 1, picture.shape[1] - self.size + 1
        out = np.empty((high, wide, DEPTH), np.float32) if out is None else out
        out[..., -1] = 0

        def work(start: int, end: int) -> None:
            describe(planes, self.along, self.middle, middles, self.across, self.size, start, end, out)

        each_band(high, work)
        return out


@dataclass
class Field:
    """For every patch of a target a place in a source, and how far it is.

    places: h w 2, row and column. distance: h w. active: h w, the patches that are looked for.
    """

    places: Places
    distance: Float32[np.ndarray, "h w"]
    active: Bool[np.ndarray, "h w"]
    sweeps: int = 0

    @classmethod
    def random(
        cls, active: Bool[np.ndarray, "h w"], allowed: Bool[np.ndarray, "a b"], rng: np.random.Generator
    ) -> "Field":
        """Places drawn among the allowed ones."""
        return cls(_drawn(active.shape, allowed, rng), np.zeros(active.shape, np.float32), active)

    def improve(
        self, target: np.ndarray, source: np.ndarray, sweeps: int, rng: np.random.Generator, keen: float = 1.0
    ) -> None:
        """So many sweeps of PatchMatch, there and back in turns. target, source: descriptions; keen: see `search`."""
        reach = max(source.shape[:2])
        for _ in range(sweeps):
            seed, forward, before = int(rng.integers(1 << 62)), self.sweeps % 2 == 0, self.places.copy()

            def work(
                start: int, end: int, before: np.ndarray = before, forward: bool = forward, seed: int = seed
            ) -> None:
                search(
                    target, source, self.places, self.distance, before, self.active, start, end, forward, reach,
                    np.float32(keen), seed,
                )  # fmt: skip

            each_band(len(self.distance), work)
            self.sweeps += 1

    def refine(self, target: Picture, source: Picture, allowed: Bool[np.ndarray, "a b"], size: int) -> None:
        """A sweep over the pixels themselves, among what neighbours found."""
        flat = [np.ascontiguousarray(p.reshape(len(p), -1), np.float32) for p in (target, source)]
        forward, before = self.sweeps % 2 == 0, self.places.copy()

        def work(start: int, end: int) -> None:
            refine(
                *flat, allowed, self.places, self.distance, before, self.active, start, end, forward, size,
                target.shape[2],
            )  # fmt: skip

        each_band(len(self.distance), work)
        self.sweeps += 1


def scaled_field(
    places: Places, shape: tuple[int, int], allowed: Bool[np.ndarray, "a b"], before: tuple[int, int],
    rng: np.random.Generator,
) -> Places:  # fmt: skip
    """A field brought to another level: neighbours stay neighbours, and forbidden places are drawn anew.

    shape: patches of the target now. allowed: places of the source now. before: places of the source then, h w.
    """
    (high, wide), (old_high, old_wide) = shape, places.shape[:2]
    down, across = old_high / high, old_wide / wide
    ys, xs = (np.arange(high) + 0.5) * down, (np.arange(wide) + 0.5) * across
    rows, columns = np.clip(ys.astype(int), 0, old_high - 1), np.clip(xs.astype(int), 0, old_wide - 1)
    out = places[rows][:, columns].astype(np.float64)
    grow_y, grow_x = allowed.shape[0] / before[0], allowed.shape[1] / before[1]
    # within a cell of the coarse field, places move as the target's patches do
    out[..., 0] = (out[..., 0] + 0.5) * grow_y - 0.5 + ((ys - rows - 0.5) / down)[:, None]
    out[..., 1] = (out[..., 1] + 0.5) * grow_x - 0.5 + ((xs - columns - 0.5) / across)[None]
    found = np.rint(out).astype(np.int32)
    found[..., 0] = np.clip(found[..., 0], 0, allowed.shape[0] - 1)
    found[..., 1] = np.clip(found[..., 1], 0, allowed.shape[1] - 1)
    wrong = ~allowed[found[..., 0], found[..., 1]]
    if wrong.any():
        found[wrong] = _drawn(shape, allowed, rng)[wrong]
    return found


def leading(matrix: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The eigenvectors of the largest eigenvalues, as rows: by orthogonal iteration, quicker than finding all.

    Golub and Van Loan, Matrix Computations, algorithm 8.2.8, with a few more vectors than are wanted.
    """
    wide = min(count + 9, len(matrix))
    basis = np.linalg.qr(rng.normal(size=(len(matrix), wide)))[0]
    for _ in range(6):
        basis = np.linalg.qr(matrix @ basis)[0]
    _, turn = np.linalg.eigh(basis.T @ matrix @ basis)
    return (basis @ turn[:, ::-1])[:, :count].T


def _drawn(shape: tuple[int, ...], allowed: Bool[np.ndarray, "a b"], rng: np.random.Generator) -> Places:
    ys, xs = np.nonzero(allowed)
    some = rng.integers(0, len(ys), shape)
    return np.stack([ys[some], xs[some]], axis=-1).astype(np.int32)
