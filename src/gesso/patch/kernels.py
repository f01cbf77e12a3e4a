"""The loops of the patch engine over pixels, compiled; each works on a band of rows and lets other threads run.

A patch is known by its place: the row and column of its first pixel. It is compared by its *description*, DEPTH
numbers: all but the last are coordinates of its pixels on a few axes (`gesso.patch.field`), the last one is the root
of what it costs to be used. So one sum of squares is distance and cost together.
"""

import numpy as np

from gesso.compiled import compiled, inlined

__all__ = ["DEPTH", "describe", "misfits", "refine", "search", "usage", "vote", "vote_back"]

DEPTH = 32
WORD = np.uint64(0xFFFFFFFF)


@compiled
def describe(planes, axes, offset, middles, across, size, start, end, out):
    """Coordinates of the patches that begin in rows start to end.

    planes: c h w. axes: DEPTH-1 c size size. offset: DEPTH-1, subtracted. middles: g h w, of which a patch has its
    middle pixel alone. across: DEPTH-1 g, their axes. out: h' w' DEPTH; the last is left alone.
    """
    channels, wide, depth = planes.shape[0], out.shape[1], axes.shape[0]
    sums = np.empty((depth, wide), np.float32)
    for y in range(start, end):
        for k in range(depth):
            sums[k] = -offset[k]
        for c in range(channels):
            for i in range(size):
                row = planes[c, y + i]
                for k in range(depth):
                    line = sums[k]
                    weights = axes[k, c, i]
                    for j in range(0, size - 3, 4):  # four at once: sums are read and written a quarter as often
                        w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
                        r0, r1, r2, r3 = row[j:], row[j + 1 :], row[j + 2 :], row[j + 3 :]
                        for x in range(wide):
                            line[x] += w0 * r0[x] + w1 * r1[x] + w2 * r2[x] + w3 * r3[x]
                    for j in range(size // 4 * 4, size):
                        weight, rest = weights[j], row[j:]
                        for x in range(wide):
                            line[x] += weight * rest[x]
        for c in range(middles.shape[0]):
            rest = middles[c, y + size // 2, size // 2 :]
            for k in range(depth):
                line, weight = sums[k], across[k, c]
                for x in range(wide):
                    line[x] += weight * rest[x]
        for x in range(wide):
            for k in range(depth):
                out[y, x, k] = sums[k, x]


@inlined
def _far(a, b):
    """The sum of squared differences of two descriptions."""
    total = np.float32(0)
    for k in range(DEPTH):
        difference = a[k] - b[k]
        total += difference * difference
    return total


@compiled
def search(target, source, field, distance, before, active, start, end, forward, reach, keen, seed):
    """One sweep of PatchMatch (Barnes et al., SIGGRAPH 2009, section 3.2) over rows start to end.

    target, source: descriptions. field: h w 2, for every patch of the target its place in the source; improved in
    place. distance: h w, of what was found. before: the field as it was, for neighbours beyond the band. active: which
    patches are looked at. forward: whether from the first to the last. reach: of the widest random try, in pixels.
    keen: a random place is taken when its distance is less than so much of the one there: below 1, neighbours stay
    together.
    """
    high, wide = distance.shape
    source_high, source_wide = source.shape[0], source.shape[1]
    step = 1 if forward else -1
    for number in range(end - start):
        y = start + number if forward else end - 1 - number
        dice = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(y + 1) * np.uint64(0xBF58476D1CE4E5B9)
        dice ^= dice >> np.uint64(29)
        dice = dice * np.uint64(0x94D049BB133111EB) | np.uint64(1)
        up = y - step
        for column in range(wide):
            x = column if forward else wide - 1 - column
            if not active[y, x]:
                continue
            patch = target[y, x]
            sy, sx = field[y, x, 0], field[y, x, 1]
            best = _far(patch, source[sy, sx])
            left = x - step
            if 0 <= left < wide:
                ty, tx = field[y, left, 0], field[y, left, 1] + step
                if 0 <= tx < source_wide and (ty != sy or tx != sx):
                    far = _far(patch, source[ty, tx])
                    if far < best:
                        best, sy, sx = far, ty, tx
            if 0 <= up < high:
                if start <= up < end:
                    ty, tx = field[up, x, 0] + step, field[up, x, 1]
                else:
                    ty, tx = before[up, x, 0] + step, before[up, x, 1]
                if 0 <= ty < source_high and (ty != sy or tx != sx):
                    far = _far(patch, source[ty, tx])
                    if far < best:
                        best, sy, sx = far, ty, tx
            around = reach
            while around >= 1:
                dice ^= dice << np.uint64(13)
                dice ^= dice >> np.uint64(7)
                dice ^= dice << np.uint64(17)
                top, bottom = max(0, sy - around), min(source_high - 1, sy + around)
                first, last = max(0, sx - around), min(source_wide - 1, sx + around)
                ty = top + np.int64(((dice >> np.uint64(32)) * np.uint64(bottom - top + 1)) >> np.uint64(32))
                tx = first + np.int64(((dice & WORD) * np.uint64(last - first + 1)) >> np.uint64(32))
                far = _far(patch, source[ty, tx])
                if far < best * keen:
                    best, sy, sx = far, ty, tx
                around //= 2
            distance[y, x] = best
            field[y, x, 0], field[y, x, 1] = sy, sx


@inlined
def _differ(target, y, x, source, sy, sx, size, channels, best):
    """The sum of squared differences of two patches' pixels; given up when it exceeds the best."""
    total = np.float32(0)
    for i in range(size):
        a, b = target[y + i], source[sy + i]
        for j in range(size * channels):
            difference = a[x * channels + j] - b[sx * channels + j]
            total += difference * difference
        if total > best:
            break
    return total


@compiled
def refine(target, source, allowed, field, distance, before, active, start, end, forward, size, channels):
    """A sweep that looks at pixels themselves and only at what neighbours found: for pictures too large to describe.

    target, source: pixels, rows flattened. The others as in `search`; allowed: places that may be used.
    """
    high, wide = distance.shape
    step = 1 if forward else -1
    for number in range(end - start):
        y = start + number if forward else end - 1 - number
        up = y - step
        for column in range(wide):
            x = column if forward else wide - 1 - column
            if not active[y, x]:
                continue
            sy, sx = field[y, x, 0], field[y, x, 1]
            best = _differ(target, y, x, source, sy, sx, size, channels, np.float32(3e38))
            left = x - step
            for which in range(2):
                if which == 0:
                    if left < 0 or left >= wide:
                        continue
                    ty, tx = field[y, left, 0], field[y, left, 1] + step
                else:
                    if up < 0 or up >= high:
                        continue
                    place = field[up, x] if start <= up < end else before[up, x]
                    ty, tx = place[0] + step, place[1]
                if ty < 0 or ty >= allowed.shape[0] or tx < 0 or tx >= allowed.shape[1] or not allowed[ty, tx]:
                    continue
                if ty != sy or tx != sx:
                    far = _differ(target, y, x, source, ty, tx, size, channels, best)
                    if far < best:
                        best, sy, sx = far, ty, tx
            distance[y, x] = best
            field[y, x, 0], field[y, x, 1] = sy, sx


@compiled
def vote(values, field, weight, size, start, end, total, weights):
    """Every patch of rows start to end lays its pixels where it is: adds to total and weights.

    values: the source's pixels, rows flattened: h (w c). total: rows (w c) from row start on; weights: rows w.
    """
    channels = total.shape[1] // weights.shape[1]
    run = size * channels
    for y in range(start, end):
        for x in range(weight.shape[1]):
            much = weight[y, x]
            if much <= 0:
                continue
            sy, sx = field[y, x, 0], field[y, x, 1] * channels
            for i in range(size):
                into, of = total[y - start + i], values[sy + i]
                for j in range(run):
                    into[x * channels + j] += much * of[sx + j]
                row = weights[y - start + i]
                for j in range(size):
                    row[x + j] += much


@compiled
def vote_back(values, field, weight, size, total, weights):
    """Every patch of the source lays its pixels where the target has what is nearest to it: completeness.

    Bidirectional similarity: Simakov et al., CVPR 2008. field: from places in the source to those in the target.
    """
    channels = total.shape[1] // weights.shape[1]
    run = size * channels
    for y in range(field.shape[0]):
        for x in range(field.shape[1]):
            much = weight[y, x]
            if much <= 0:
                continue
            ty, tx = field[y, x, 0], field[y, x, 1]
            for i in range(size):
                into, of = total[ty + i], values[y + i]
                for j in range(run):
                    into[tx * channels + j] += much * of[x * channels + j]
                row = weights[ty + i]
                for j in range(size):
                    row[tx + j] += much


@compiled
def usage(field, active, out):
    """How often every place of the source is used; out: h' w', added to."""
    for y in range(field.shape[0]):
        for x in range(field.shape[1]):
            if active[y, x]:
                out[field[y, x, 0], field[y, x, 1]] += np.float32(1)


@compiled
def misfits(planes, there, known, out):
    """For every place of a patch the sum of its squared differences from what is known; out: h' w', zero before.

    planes: c h w. there: c p p. known: p p.
    """
    size = known.shape[0]
    for y in range(out.shape[0]):
        line = out[y]
        for i in range(size):
            for j in range(size):
                if known[i, j]:
                    for c in range(planes.shape[0]):
                        row, value = planes[c, y + i, j:], there[c, i, j]
                        for x in range(out.shape[1]):
                            difference = row[x] - value
                            line[x] += difference * difference
