"""The loops that fill thin damage, compiled; each works on its own rows and lets other threads run."""

import numpy as np

from gesso.compiled import compiled, inlined

__all__ = ["biharmonic_of", "predict"]

WORD = np.uint64(0xFFFFFFFF)


@inlined
def _bend(values, beside, i):
    """The graph Laplacian at pixel i: the sum of differences to the neighbours that there are."""
    here, total = values[i], 0.0
    for k in range(4):
        j = beside[i, k]
        if j >= 0:
            total += values[j] - here
    return total


@compiled
def biharmonic_of(values, beside, missing, inner, tolerance, most):
    """Change the first `missing` values so that the Laplacian of the Laplacian is zero there; returns the iterations.

    Conjugate gradients (Hestenes & Stiefel, 1952) on BᵀB, where B is the Laplacian of missing pixels at `inner` ones.
    values: missing pixels, then those beside them (inner in all), then those beside these. beside: inner 4, the
    numbers of a pixel's neighbours, -1 for none. tolerance: of the residual, against the first one's norm.
    """
    curve = np.zeros(inner)
    residual, way = np.empty(missing), np.zeros(len(values))
    for i in range(inner):
        curve[i] = _bend(values, beside, i)
    size = 0.0
    for i in range(missing):
        residual[i] = -_bend(curve, beside, i)
        way[i] = residual[i]
        size += residual[i] * residual[i]
    enough = size * tolerance * tolerance + 1e-18
    for number in range(most):
        if size <= enough:
            return number
        steep = 0.0
        for i in range(inner):
            curve[i] = _bend(way, beside, i)
            steep += curve[i] * curve[i]
        far = size / max(steep, 1e-300)
        before, size = size, 0.0
        for i in range(missing):
            values[i] += far * way[i]
            residual[i] -= far * _bend(curve, beside, i)
            size += residual[i] * residual[i]
        for i in range(missing):
            way[i] = residual[i] + size / before * way[i]
    return most


@inlined
def _solve(matrix, right, count):
    """Solve a symmetric positive definite system in place, by Cholesky's factors; the answer is in `right`."""
    for i in range(count):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                matrix[i, i] = np.sqrt(max(total, np.float32(1e-12)))
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(count):
        total = right[i]
        for k in range(i):
            total -= matrix[i, k] * right[k]
        right[i] = total / matrix[i, i]
    for i in range(count - 1, -1, -1):
        total = right[i]
        for k in range(i + 1, count):
            total -= matrix[k, i] * right[k]
        right[i] = total / matrix[i, i]


@inlined
def _fits(missing, unknown, count, y, x, side, channels):
    """Whether a patch has all that another lacks."""
    for u in range(0, count, channels):
        p = unknown[u]
        if missing[y + p // side, x + p % side // channels]:
            return False
    return True


@inlined
def _far(aim, trust, rows, y, begin, size, side, limit):
    """The sum of weighted squared differences of two patches; given up when it exceeds the limit."""
    total = np.float32(0)
    for i in range(size):
        of, wish, much = (
            rows[y + i, begin : begin + side],
            aim[i * side : (i + 1) * side],
            trust[i * side : (i + 1) * side],
        )
        for j in range(side):
            difference = wish[j] - of[j]
            total += much[j] * difference * difference
        if total > limit:
            break
    return total


@compiled
def predict(
    rows, missing, holes, tops, lefts, first, last, size, channels, radius, strays, count, doubt, ridge, sharp, seed,
    start, out, weights,
):  # fmt: skip
    """What patches with gaps should look like, each by linear regression on the patches most like it.

    rows: pixels, h (w c), gaps filled provisionally. missing: h w. holes: missing pixels in every patch, by its first
    pixel. tops, lefts: of the patches to predict; first, last: which of them. size: a patch's side. radius: of the
    window that is searched; strays: how many places of the whole picture are tried besides. count: patches taken.
    doubt: the weight of provisional pixels in comparisons. ridge: of the regression, against the samples' mean square.
    sharp: how much nearer samples count more. start: the first row of out (rows (w c)) and weights (rows w), sums to
    be added to.
    """
    high, wide = missing.shape
    side, half = size * channels, (size - 1) / 2
    area = size * side
    known, unknown = np.empty(area, np.int64), np.empty(area, np.int64)
    aim, trust = np.empty(area, np.float32), np.empty(area, np.float32)
    mean, guess = np.empty(area, np.float32), np.empty(area, np.float32)
    far, share, right = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    at = np.empty((count, 2), np.int64)
    seen, whole = np.empty((count, area), np.float32), np.empty((count, area), np.float32)
    gram = np.empty((count, count), np.float32)
    for number in range(first, last):
        top, left = tops[number], lefts[number]
        n_known, n_unknown = 0, 0
        for i in range(size):
            for j in range(side):
                p = i * side + j
                gone = missing[top + i, left + j // channels]
                aim[p] = rows[top + i, left * channels + j]
                trust[p] = doubt if gone else np.float32(1)
                if gone:
                    unknown[n_unknown] = p
                    n_unknown += 1
                else:
                    known[n_known] = p
                    n_known += 1
        if n_known < channels * size:
            continue
        dice = (np.uint64(seed) + np.uint64(top) * np.uint64(wide) + np.uint64(left)) * np.uint64(0x9E3779B97F4A7C15)
        dice = (dice ^ (dice >> np.uint64(29))) * np.uint64(0x94D049BB133111EB) | np.uint64(1)
        y0, y1 = max(top - radius, 0), min(top + radius, high - size) + 1
        x0, x1 = max(left - radius, 0), min(left + radius, wide - size) + 1
        found, worst, worst_at = 0, np.float32(3e38), 0
        near = (y1 - y0) * (x1 - x0)
        next_y, next_x = y0, x0
        for place in range(near + strays):
            if place < near:
                y, x = next_y, next_x
                next_x += 1
                if next_x == x1:
                    next_y, next_x = next_y + 1, x0
            else:
                dice ^= dice << np.uint64(13)
                dice ^= dice >> np.uint64(7)
                dice ^= dice << np.uint64(17)
                y = np.int64(((dice >> np.uint64(32)) * np.uint64(high - size + 1)) >> np.uint64(32))
                x = np.int64(((dice & WORD) * np.uint64(wide - size + 1)) >> np.uint64(32))
                if y0 <= y < y1 and x0 <= x < x1:
                    continue
            if holes[y, x] > 0 and not _fits(missing, unknown, n_unknown, y, x, side, channels):
                continue
            total = _far(aim, trust, rows, y, x * channels, size, side, worst)
            if total >= worst:
                continue
            here = worst_at if found == count else found
            far[here], at[here, 0], at[here, 1] = total, y, x
            found = min(found + 1, count)
            if found == count:
                worst_at, worst = 0, far[0]
                for k in range(1, count):
                    if far[k] > worst:
                        worst, worst_at = far[k], k
        if found < 2:
            continue
        typical, sum_of = np.float32(1e-9), np.float32(0)
        for k in range(found):
            typical += far[k] / found
        for k in range(found):
            share[k] = np.exp(-sharp * far[k] / typical)
            sum_of += share[k]
        mean[:] = 0
        for k in range(found):
            share[k] /= sum_of
            for i in range(size):
                of, begin = rows[at[k, 0] + i], at[k, 1] * channels
                for j in range(side):
                    whole[k, i * side + j] = of[begin + j]
                    mean[i * side + j] += share[k] * of[begin + j]
        for k in range(found):
            root = np.sqrt(share[k])
            for p in range(area):
                whole[k, p] = root * (whole[k, p] - mean[p])
            for a in range(n_known):
                seen[k, a] = whole[k, known[a]]
        trace = np.float32(0)
        for k in range(found):
            mine = seen[k]
            for m in range(k + 1):
                other, total = seen[m], np.float32(0)
                for a in range(n_known):
                    total += mine[a] * other[a]
                gram[k, m] = total
            trace += gram[k, k]
            total = np.float32(0)
            for a in range(n_known):
                total += mine[a] * (aim[known[a]] - mean[known[a]])
            right[k] = total
        for k in range(found):
            gram[k, k] += ridge * trace / found + np.float32(1e-4)
        _solve(gram, right, found)
        guess[:] = mean
        for k in range(found):
            much = right[k]
            for p in range(area):
                guess[p] += much * whole[k, p]
        error = np.float32(0)
        for a in range(n_known):
            error += (aim[known[a]] - guess[known[a]]) ** 2
        sure = np.float32(n_known / area) ** 2 / (error / n_known + np.float32(1e-4))
        for i in range(size):
            for j in range(size):
                dy, dx = (i - half) / half, (j - half) / half
                much = sure * np.exp(np.float32(-1.5) * (dy * dy + dx * dx))
                weights[top - start + i, left + j] += much
                for c in range(channels):
                    p = i * side + j * channels + c
                    out[top - start + i, (left + j) * channels + c] += much * guess[p]
