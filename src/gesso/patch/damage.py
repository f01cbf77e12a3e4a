"""Damage found in a picture: scratches and cracks, dust, holes and tears, stains; rather missed than imagined.

Lines are what stands out from a morphological opening or closing (top-hats: Meyer, 1979), on all channels at once, and
evenly so along a straight piece in one of sixteen directions; by hysteresis (Canny, 1986) they become regions, which
are kept when they are long, thin, of one colour along their length, and of a colour that is strange to what surrounds
them. Spots are small top-hats in calm surroundings. Holes are flat where the picture is not. Stains are soft regions
whose blue is absorbed against what is around.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gesso.errors import GessoError, nearest
from gesso.patch.pyramid import blurred, resized

__all__ = ["KINDS", "USUAL", "Kind", "find_damage", "unstained"]

Kind = Literal["scratches", "cracks", "dust", "holes", "stains"]
KINDS: tuple[Kind, ...] = get_args(Kind)
USUAL: tuple[Kind, ...] = ("scratches", "dust", "holes")  # cracks and stains are asked for by name
TEAR, HOLE = 4e-4, 4e-3  # shares of the picture from which on torn borders and holes within it are looked for
Picture = Float[np.ndarray, "h w c"]
Mask = Bool[np.ndarray, "h w"]
Plane = Float[np.ndarray, "h w"]
Box = tuple[slice, slice]

LEAST = 32  # pixels a side of a picture that is looked at
SIDE = 640  # pixels: larger pictures are looked at at several sizes
DIRECTIONS = 16
PIECE, SHORT = 21, 11  # pixels of a straight piece of a line; of a crack
FAINT = 0.02  # a standard deviation that is nothing
THICK, THIN, SPOT = 7, 5, 9  # pixels: nothing wider is a scratch; a crack; a spot
GAP = 4  # pixels between pieces of a network of cracks
NET, NET_WAYS = 3.0, 2.0  # a net is so many times longer than a scratch must be; and its lines than it
MANY = 0.05  # share of the pixels: where more is lines, lines are not damage
FLAT, ROUGH = 4.5 / 255, 2.5 / 255  # spans of values in 3×3 pixels: of what is flat; of a picture that is not


def find_damage(picture: Picture, kinds: Sequence[str] = USUAL, sensitivity: float = 0.5) -> dict[str, Mask]:
    """A mask h w for every kind of damage that is asked for, True where it is found.

    picture: h w c in [0, 1], c = 1 or 3. sensitivity: 0, nearly nothing is found, to 1, too much is.
    Raises GessoError for a kind that is not known.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise GessoError(f"There is no kind of damage '{kind}'.", nearest(kind, KINDS))
    if min(picture.shape[:2]) < LEAST:  # too small to tell damage from picture
        return {kind: np.zeros(picture.shape[:2], bool) for kind in kinds}
    picture, out = np.ascontiguousarray(picture, np.float32), dict[str, Mask]()
    small: dict[str, Callable[[Picture, float], Mask]] = {
        "scratches": lambda image, readily: _lines(image, readily, network=False),
        "cracks": lambda image, readily: _lines(image, readily, network=True),
        "dust": _dust,
    }
    even = _evened(picture)
    for kind in kinds:
        if kind in small:
            out[kind] = _at_scales(small[kind], even, sensitivity)
        else:
            out[kind] = (_holes if kind == "holes" else _stains)(picture, sensitivity)
    return out


def _evened(picture: Picture) -> Picture:
    """A picture whose lightest parts are white, where they nearly were: dust is white on yellowed paper, too."""
    high = np.quantile(picture.reshape(-1, picture.shape[2]), 0.998, axis=0).astype(np.float32)
    return (picture / np.maximum(high, 0.6)).clip(0, 1).astype(np.float32)


def _at_scales(finder: Callable[[Picture, float], Mask], picture: Picture, sensitivity: float) -> Mask:
    """What is found in the picture as it is and, where it is large, in smaller ones: thick lines of large scans."""
    out, (height, width), scale = finder(picture, sensitivity), picture.shape[:2], 2
    while max(height, width) / scale >= SIDE:
        found = finder(resized(picture, height // scale, width // scale), sensitivity)
        large = cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        out |= cv2.dilate(large, np.ones((scale + 1, scale + 1), np.uint8)) > 0
        scale *= 2
    return out


def _disc(side: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _standing_out(picture: Picture, side: int) -> tuple[Plane, Plane]:
    """How much brighter, and how much darker, in all channels, a pixel is than where a disc of that side fits."""
    least, most = (np.ascontiguousarray(p, np.float32) for p in (picture.min(axis=2), picture.max(axis=2)))
    bright = cv2.morphologyEx(least, cv2.MORPH_TOPHAT, _disc(side))
    return bright, cv2.morphologyEx(most, cv2.MORPH_BLACKHAT, _disc(side))


def _line(angle: float, piece: int) -> np.ndarray:
    """A kernel that averages along a straight piece."""
    kernel, half = np.zeros((piece, piece), np.float32), piece // 2
    dx, dy = np.cos(angle) * half, np.sin(angle) * half
    cv2.line(kernel, (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy)), 1.0, 1)
    return kernel / kernel.sum()


def _evidence(plane: Plane, piece: int, beside: int) -> tuple[Plane, Plane]:
    """How much brighter straight pieces are than those on both their sides, and that against how they all vary.

    At every pixel that of the direction in which the latter is most.
    """
    contrast, clear = np.zeros_like(plane), np.zeros_like(plane)
    square = plane * plane
    height, width = plane.shape
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        kernel = _line(angle, piece)
        mean = cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT)
        varies = cv2.filter2D(square, -1, kernel, borderType=cv2.BORDER_REFLECT) - mean * mean
        dx, dy = round(-np.sin(angle) * beside), round(np.cos(angle) * beside)
        means, all_vary = [], varies.copy()
        for sign in (1, -1):
            moved = np.array([[1, 0, sign * dx], [0, 1, sign * dy]], np.float32)
            means.append(cv2.warpAffine(mean, moved, (width, height), borderMode=cv2.BORDER_REFLECT))
            all_vary += cv2.warpAffine(varies, moved, (width, height), borderMode=cv2.BORDER_REFLECT) / 2
        much = mean - np.maximum(*means)
        against = much / np.sqrt(np.maximum(all_vary, 0) + FAINT**2)
        better = against > clear
        clear[better], contrast[better] = against[better], much[better]
    return contrast, clear


def _lines(picture: Picture, sensitivity: float, network: bool) -> Mask:
    """Scratches, bright or dark; or a network of cracks, which are dark, thinner, and straight for shorter pieces."""
    out, lenient = np.zeros(picture.shape[:2], bool), 0.5 + sensitivity
    shortest = max(24.0, 0.13 * min(picture.shape[:2])) * (1.5 - sensitivity)
    planes = picture.min(axis=2), 1 - picture.max(axis=2)
    much, sure = 0.2 - 0.14 * sensitivity, 3.2 - 2.4 * sensitivity
    thick, beside, piece = (THIN, 4, SHORT) if network else (THICK, 5, PIECE)
    for light, plane, hat in zip((True, False), planes, _standing_out(picture, thick), strict=True):
        if network and light:
            continue
        contrast, clear = _evidence(np.ascontiguousarray(plane), piece, beside)
        seed = (contrast > much) & (clear > sure) & (hat > much)
        low = (contrast > 0.5 * much) & (clear > 0.5 * sure) & (hat > 0.5 * much)
        low = cv2.morphologyEx(low.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
        for box, inside in _grown(seed, low):
            line = _looked_at(picture, box, inside, light)
            if line is not None and _is_scratch(line, light, network, shortest, lenient):
                out[box] |= inside
    if network:
        out = _networks(out, shortest, lenient)
    if out.mean() > MANY * lenient:  # the picture is made of lines
        return np.zeros_like(out)
    # where two cross, neither stands out
    closed = cv2.morphologyEx(np.pad(out, 8).astype(np.uint8), cv2.MORPH_CLOSE, _disc(9))[8:-8, 8:-8]
    return _with_rim(closed > 0)


def _networks(pieces: Mask, shortest: float, lenient: float) -> Mask:
    """Those pieces of cracks that, their gaps bridged, belong to a large net."""
    bridged = cv2.dilate(pieces.astype(np.uint8), _disc(2 * GAP + 1))
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(bridged, connectivity=8)
    labels = np.asarray(numbers, np.int32)
    long = np.bincount(labels[pieces], minlength=len(stats)) / 2  # pixels over a typical width
    far = np.hypot(stats[:, 2], stats[:, 3])
    kept = (far * lenient > NET * shortest) & (long * lenient > NET_WAYS * far)
    kept[0] = False
    return pieces & kept[labels]


def _with_rim(mask: Mask) -> Mask:
    """A mask with the soft rim of what it holds."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def _grown(seed: Mask, low: Mask) -> list[tuple[Box, Mask]]:
    """Connected regions of `low` that hold a seed: where they are, and their mask there."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((low | seed).astype(np.uint8), connectivity=8)
    out = []
    for number in np.unique(labels[seed]):
        x, y, w, h = stats[number, :4]
        box = slice(y, y + h), slice(x, x + w)
        out.append((box, labels[box] == number))
    return out


class _Line(NamedTuple):
    """What is told of a thin region: lengths in pixels, colours in [0, 1]."""

    far: float  # from end to end
    length: float  # along it
    thick: float
    contrast: float  # to what is beside it, the way that it should be
    spread: float  # of its colour along it
    extreme: float  # how near to white or black it is, in its worst channel
    chroma: float
    strange: float  # share of what is beside it that has its colour


def _looked_at(picture: Picture, box: Box, inside: Mask, light: bool) -> _Line | None:
    far = float(np.hypot(*inside.shape))
    if far < 16:
        return None
    deep = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    area, thick = int(inside.sum()), 2 * float(np.quantile(deep[inside], 0.9)) - 1
    edge = 6
    top, left = max(box[0].start - edge, 0), max(box[1].start - edge, 0)
    around = picture[top : box[0].stop + edge, left : box[1].stop + edge]
    mask = np.zeros(around.shape[:2], np.uint8)
    mask[box[0].start - top :, box[1].start - left :][: inside.shape[0], : inside.shape[1]] = inside
    ring = (cv2.dilate(mask, _disc(11)) > 0) & (cv2.dilate(mask, _disc(5)) == 0)
    if not ring.any():
        return None
    middle = cv2.distanceTransform(mask, cv2.DIST_L2, 5) >= min(1.5, (thick + 1) / 2)  # where its colour is least mixed
    own = around[middle if middle.sum() > 8 else mask > 0]
    colour, beside = np.median(own, axis=0), around[ring]
    contrast = float((colour - np.median(beside, axis=0)).mean()) * (1 if light else -1)
    return _Line(
        far, area / max(thick, 1.0), thick, contrast,
        spread=float(np.median(np.abs(own - colour).max(axis=1))),
        extreme=float(colour.min()) if light else 1 - float(colour.max()),
        chroma=float(colour.max() - colour.min()),
        strange=float((np.abs(beside - colour).max(axis=1) < max(0.25 * contrast, 0.04)).mean()),
    )  # fmt: skip


def _is_scratch(line: _Line, light: bool, network: bool, shortest: float, lenient: float) -> bool:
    """Whether a line is long, thin, of one colour, and strange to what is beside it. lenient: 1 is usual."""
    ways = line.length / line.far  # much more than 1 in a network
    if network:
        most = 0.6 if line.thick < 2.5 else 0.42  # thicker and darker ones are drawn
        return (
            line.thick < 3.5 * lenient
            and line.extreme * lenient > 0.42 and line.spread < 0.45 * lenient * line.contrast
            and line.chroma < 0.25 * lenient and 0.16 < line.contrast * lenient < most * lenient**2
            and line.strange < 0.08 * lenient
        )  # fmt: skip
    if light:
        return (
            line.far * lenient > 1.2 * shortest and ways < 5 * lenient and line.thick < 4 * lenient
            and line.extreme * lenient > 0.6 and line.spread < 0.3 * lenient * line.contrast
            and line.chroma < 0.2 * lenient and line.contrast * lenient > 0.13 and line.strange < 0.06 * lenient
        )  # fmt: skip
    return (
        line.far * lenient > 1.5 * shortest and line.thick < 4 * lenient
        and line.extreme * lenient > 0.62 and line.spread < min(0.2 * line.contrast, 0.055) * lenient
        and line.chroma < 0.11 * lenient and line.contrast * lenient > 0.16 and line.strange < 0.05 * lenient
    )  # fmt: skip


def _dust(picture: Picture, sensitivity: float) -> Mask:
    out, lenient = np.zeros(picture.shape[:2], bool), 0.5 + sensitivity
    for light, hat in zip((True, False), _standing_out(picture, SPOT), strict=True):
        usual = blurred(hat, 10)
        seed = hat > (0.12 + 3 * usual) / lenient
        low = hat > np.maximum(0.5 * (0.12 + 3 * usual) / lenient, 0.04)
        for box, inside in _grown(seed, low):
            high, wide = inside.shape
            area = int(inside.sum())
            if (
                max(high, wide) > SPOT + 2
                or area < 3
                or area < 0.45 * high * wide
                or max(high, wide) > 2.5 * min(high, wide)
            ):
                continue
            top, left = max(box[0].start - 8, 0), max(box[1].start - 8, 0)
            around = picture[top : box[0].stop + 8, left : box[1].stop + 8]
            own = np.ones(around.shape[:2], np.uint8)
            own[box[0].start - top :, box[1].start - left :][:high, :wide] = ~inside
            ring = cv2.erode(own, np.ones((5, 5), np.uint8)) > 0
            beside = around[ring]
            colour = np.median(picture[box][inside], axis=0)
            contrast = abs(float((colour - np.median(beside, axis=0)).mean()))
            others = float(np.quantile(hat[top : box[0].stop + 8, left : box[1].stop + 8][ring], 0.95))
            strange = float((np.abs(beside - colour).max(axis=1) < max(0.3 * contrast, 0.04)).mean())
            extreme = float(colour.min()) if light else 1 - float(colour.max())
            if contrast * lenient > max(0.15, 2.5 * others) and strange <= 0.01 * lenient and extreme * lenient > 0.62:
                out[box] |= inside
    return _with_rim(out)


def _holes(picture: Picture, sensitivity: float) -> Mask:
    height, width = picture.shape[:2]
    out, lenient, square = np.zeros((height, width), bool), 0.5 + sensitivity, np.ones((3, 3), np.uint8)
    spans = cv2.dilate(picture, square) - cv2.erode(picture, square)
    span = spans.reshape(height, width, -1).max(axis=2)
    if float(np.median(span)) < ROUGH:  # drawn flat, as a logo is: nothing can be told from flatness
        return out
    _, labels, stats, _ = cv2.connectedComponentsWithStats((span < FLAT).astype(np.uint8), connectivity=4)
    kept: list[tuple[Mask, np.ndarray, np.ndarray]] = []
    for number in range(1, len(stats)):
        x, y, w, h, area = stats[number]
        sides = np.array([x == 0, y == 0, x + w == width, y + h == height])
        least = TEAR if sides.any() else HOLE  # small flat lights within a picture are highlights, more often than not
        if area < max(48, least * height * width / lenient) or area > 0.25 * height * width or sides.sum() > 2:
            continue
        if (w == width or h == height) and sides.sum() >= 2:  # a margin rather than a tear
            continue
        found = _hole(picture, span, labels == number, lenient)
        if found is not None:
            kept.append((*found, sides))
    for region, colour, sides in kept:
        alike = [of for _, other, of in kept if np.abs(other - colour).max() < 0.03]
        if sides.any() and np.any(alike, axis=0).all():  # a mount: at all four sides
            continue
        out |= region
    return cv2.dilate(out.astype(np.uint8), square) > 0


def _hole(picture: Picture, span: Plane, inside: Mask, lenient: float) -> tuple[Mask, np.ndarray] | None:
    """The whole of a flat region and its colour, if its edge is sharp and its colour found nowhere else."""
    own = picture[inside]
    colour = np.median(own, axis=0)
    if float((np.quantile(own, 0.98, axis=0) - np.quantile(own, 0.02, axis=0)).max()) > FLAT:
        return None
    region = cv2.dilate(inside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    ring = (cv2.dilate(region.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~region
    differs = np.abs(picture - colour).max(axis=2)
    if not ring.any() or float((differs[ring] > 0.1).mean()) < 1 - 0.2 * lenient:
        return None
    elsewhere = (differs < 0.02) & ~region & (span >= FLAT)  # what is flat may be another hole, of the same ground
    if elsewhere.mean() > 0.004 * lenient:
        return None
    return _closed(region & (differs < 0.75 * max(float(np.median(differs[ring])), 0.1)) | inside), colour


def _closed(mask: Mask) -> Mask:
    """A mask without pinholes."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, cv2.FILLED) > 0


def _absorbed(picture: Picture) -> Plane:
    """How much more blue than red is absorbed than around: the log of a ratio, of the picture's size."""
    height, width = picture.shape[:2]
    scale = min(1.0, 160 / max(height, width))
    small = resized(picture, max(round(height * scale), 16), max(round(width * scale), 16))
    small = np.maximum(blurred(small, 2.0), 0.02)
    ratio = np.log(small[..., 0] / small[..., -1]).astype(np.float32)
    low, high = float(ratio.min()), float(ratio.max())
    steps = np.round((ratio - low) / max(high - low, 1e-6) * 255).astype(np.uint8)
    side = min(101, (min(small.shape[:2]) // 2) * 2 - 1)
    usual = cv2.medianBlur(np.pad(steps, side // 2, mode="symmetric"), side)
    inner = usual[side // 2 : -(side // 2), side // 2 : -(side // 2)]
    return resized(ratio - (inner.astype(np.float32) / 255 * (high - low) + low), height, width)


def _stains(picture: Picture, sensitivity: float) -> Mask:
    height, width = picture.shape[:2]
    out, lenient = np.zeros((height, width), bool), 0.5 + sensitivity
    if picture.shape[2] == 1:
        return out
    more = _absorbed(picture)
    noise = 1.4826 * float(np.median(np.abs(more)))
    seed = more > max(0.3, 4 * noise) / lenient
    for box, inside in _grown(seed, more > 0.5 * max(0.3, 4 * noise) / lenient):
        area = int(inside.sum())
        points = np.argwhere(inside)[:, ::-1].astype(np.int32)
        hull = max(float(cv2.contourArea(cv2.convexHull(points))), 1.0)
        share = area / (height * width)
        if 0.004 < share < 0.15 * lenient and area > 0.8 * hull and max(inside.shape) < 3 * min(inside.shape):
            out[box] |= inside
    return out


def unstained(picture: Picture, stain: Mask) -> Picture:
    """A stain lightened by what it absorbs, smoothly, so that the texture under it stays; only within the mask.

    picture: h w c in [0, 1]; grey ones are returned as they are.
    """
    if picture.shape[2] == 1 or not stain.any():
        return picture
    inner = cv2.distanceTransform(stain.astype(np.uint8), cv2.DIST_L2, 5)
    soft = np.clip(inner / max(4.0, 0.1 * float(inner.max())), 0, 1)[..., None]
    ring = (cv2.dilate(stain.astype(np.uint8), _disc(2 * max(8, int(inner.max() / 2)) + 1)) > 0) & ~stain
    if not ring.any():
        return picture
    around, own = np.median(picture[ring], axis=0), np.median(picture[stain], axis=0)
    gain = np.clip(around / np.maximum(own, 0.02), 1.0, 2.5)
    more = np.clip(_absorbed(picture), 0, None)
    typical = max(float(np.median(more[stain])), 1e-3)
    strength = np.clip(more / typical, 0, 1.25)[..., None] * soft
    lifted = picture[..., :3] * np.power(gain, strength)
    return np.where(stain[..., None], np.clip(lifted, 0, 1), picture).astype(np.float32)
