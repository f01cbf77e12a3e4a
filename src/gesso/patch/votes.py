"""What was found, laid over each other: every pixel becomes the weighted mean of what its patches say of it."""

import numpy as np
from jaxtyping import Float, Float32

from gesso.patch.bands import bands, each, each_band
from gesso.patch.field import Places
from gesso.patch.kernels import vote, vote_back

__all__ = ["Votes"]

PARTS = 2  # in which the source votes; fixed, so that sums do not depend on the number of threads


class Votes:
    """The pixels of a source, ready to be laid down. values: h w c."""

    def __init__(self, values: Float[np.ndarray, "h w c"], patch: int):
        self.patch, self.channels = patch, values.shape[2]
        self.rows = np.ascontiguousarray(values.reshape(len(values), -1), np.float32)

    def cast(
        self, places: Places, weight: Float32[np.ndarray, "h w"]
    ) -> tuple[Float32[np.ndarray, "a b c"], Float32[np.ndarray, "a b"]]:
        """Sums of weighted pixels, and of weights: each (h + patch − 1) × (w + patch − 1)."""
        more = self.patch - 1
        high, wide = weight.shape[0] + more, weight.shape[1] + more
        parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}

        def work(start: int, end: int) -> None:
            total = np.zeros((end - start + more, wide * self.channels), np.float32)
            weights = np.zeros((end - start + more, wide), np.float32)
            vote(self.rows, places, weight, self.patch, start, end, total, weights)
            parts[start] = total, weights

        each_band(weight.shape[0], work)
        total, weights = np.zeros((high, wide * self.channels), np.float32), np.zeros((high, wide), np.float32)
        for start, _ in bands(weight.shape[0]):
            some, much = parts[start]
            total[start : start + len(some)] += some
            weights[start : start + len(some)] += much
        return total.reshape(high, wide, self.channels), weights

    def cast_back(
        self,
        places: Places,
        weight: Float32[np.ndarray, "h w"],
        total: Float32[np.ndarray, "a b c"],
        weights: Float32[np.ndarray, "a b"],
    ) -> None:
        """Add what the source's patches say where the target has what is most like them. places: in the target."""
        flat = total.reshape(len(total), -1)
        half = -(-weight.shape[0] // PARTS)
        sums: dict[int, tuple[np.ndarray, np.ndarray]] = {}

        def work(part: int) -> None:
            rows = slice(part * half, (part + 1) * half)
            mine = np.zeros_like(flat), np.zeros_like(weights)
            vote_back(self.rows[rows.start :], places[rows], weight[rows], self.patch, *mine)
            sums[part] = mine

        each(range(PARTS), work)
        for part in range(PARTS):
            flat += sums[part][0]
            weights += sums[part][1]
