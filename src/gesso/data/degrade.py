"""Sources made from pictures: what is taken away here, a translation model learns to put back.

Every kind is a pure function of the pixels and a seed. Pictures are `h w c` uint8 as packs hold them: c = 1 grey,
3 RGB, 4 RGB premultiplied by alpha + alpha; what comes out is so, too.
"""

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from gesso.data.write import to_channels
from gesso.errors import GessoError, nearest

__all__ = ["CHANNELS", "degrade", "degrade_picture", "source_channels"]

Picture = UInt8[np.ndarray, "h w c"]
Rgba = UInt8[np.ndarray, "h w 4"]
Grey = UInt8[np.ndarray, "h w 1"]

CHANNELS = {"edges": 1, "grey": 1, "masks": 4}  # of what is made; the other kinds keep the picture's own
WHITE = np.full((1, 3), 255, np.uint8)

# Edges. Lightness runs from 0 to 100 (CIE L*), lengths are in pixels of the picture.
UP = 4  # lines are found and drawn at so many times the size
FINE, COARSE = 0.6, 0.96  # standard deviations of the two Gaussians
HUE = 0.6  # what a difference of colour counts for, against one of lightness
PART = 0.2  # of what is seen that may be dark enough for a line; faint pictures are looked at more closely for that
FAINT, STRONG = 0.7, 1.6  # difference of lightness from which on there is a line, at the least and at the most
FULL, LOUDEST = 0.26, 4.0  # where more than this part would be lines, only the stronger ones are drawn, up to this
RIVAL, REACH = 0.35, 1.25  # a line is at least this part of the strongest within reach, or hard edges were fat
SURE = 2.2  # how many times as strong a line must be somewhere
SHORTEST = 3.0
PEN = 1.1
INK = 0.92

SMALLER = 4  # low: times
SIGMA, SALT = 25 / 255, 0.004  # noise: standard deviation of 1, and share of the pixels that turn white
HOLES = (0.1, 0.3)  # masks: share of what is seen

# Layout.
COLOURS = 6
ALIKE = 10.0  # colours nearer than this in Lab are one
SAMPLES = 1024  # pixels by which the colours are found
TONE = (0.4, 0.9)  # a region's colour is the mean between these quantiles of its lightness: outlines do not count
SMALLEST = 0.006  # of the picture: smaller parts go to their neighbours
TURNS = 2  # of smoothing


def source_channels(kind: str, channels: int) -> int:
    """How many channels the source has that is made from a picture of so many (1, 3 or 4)."""
    return CHANNELS.get(kind, channels)


def degrade(kind: str, pixels: Picture, seed: int) -> Picture:
    """The source of one kind made from one picture; the same for the same pixels and seed (0 or more).

    Kinds: `edges`, a line drawing, dark on white; `grey`, its luma on white; `low`, averaged down to a quarter and
    enlarged; `noise`; `scratches`; `masks`, with holes; `layout`, at most six flat colours. Raises GessoError for
    any other.
    """
    if kind not in KINDS:
        raise GessoError(f"No source of the kind '{kind}' can be made.", nearest(kind, KINDS))
    return np.ascontiguousarray(KINDS[kind](pixels, np.random.default_rng(seed)))


def degrade_picture(kind: str, image: UInt8[np.ndarray, "*n h w c"], seed: int = 0) -> UInt8[np.ndarray, "*n h w s"]:
    """The sources of a packed picture, or of several (`n h w c`); what is random follows from seed and pixels.

    A picture's source is the same alone as among others, and from one day to the next; another seed makes another.
    """
    if image.ndim == 3:
        own = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8, salt=(seed % 2**64).to_bytes(8))
        return degrade(kind, image, int.from_bytes(own.digest()))
    shape = (*image.shape[:3], source_channels(kind, image.shape[3]))
    out = np.empty(shape, np.uint8)
    for i, picture in enumerate(image):
        out[i] = degrade_picture(kind, picture, seed)
    return out


def _rgba(pixels: Picture) -> Rgba:
    """Any picture as RGBA."""
    if pixels.shape[2] == 4:
        return pixels
    full = np.full((*pixels.shape[:2], 4), 255, np.uint8)
    full[..., :3] = pixels
    return full


def _alpha(pixels: Picture) -> Float[np.ndarray, "h w 1"]:
    """Alpha in [0, 1]; 1 where the picture has none."""
    if pixels.shape[2] == 4:
        return pixels[..., 3:].astype(np.float32) / 255
    return np.ones((*pixels.shape[:2], 1), np.float32)


def _recoloured(pixels: Picture, colours: Float[np.ndarray, "h w d"]) -> Picture:
    """The picture with other premultiplied colours in [0, 1], cut off at its alpha, which it keeps."""
    out = pixels.copy()
    most = pixels[..., 3:] if pixels.shape[2] == 4 else 255
    out[..., : colours.shape[2]] = np.clip(np.rint(colours * 255), 0, most)
    return out


def _colours(pixels: Picture) -> Float[np.ndarray, "h w d"]:
    """The channels that are colours, in [0, 1], premultiplied."""
    return pixels[..., : min(3, pixels.shape[2])].astype(np.float32) / 255


def _lab(rgba: Rgba) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "h w"]]:
    """CIE L*a*b* (L* in [0, 100]) of the colours without their alpha, and alpha in [0, 1]."""
    alpha = rgba[..., 3].astype(np.float32) / 255
    colours = rgba[..., :3].astype(np.float32) / 255 / np.maximum(alpha, 1 / 255)[..., None]
    return cv2.cvtColor(np.minimum(colours, 1), cv2.COLOR_RGB2Lab), alpha


def _half(alpha: Float[np.ndarray, "h w"]) -> float:
    """The alpha from which on a pixel counts as seen: half of the most there is, so that faint pictures count."""
    return max(float(alpha.max()) / 2, 1 / 510)


# --- edges ---


def _edges(pixels: Picture, _: np.random.Generator) -> Grey:
    """A line drawing: where the picture is darker than its surroundings, and along the outline of its alpha.

    The difference of two Gaussians, as in XDoG (Winnemöller et al., Computers & Graphics 36, 2012, eq. 1 to 5),
    taken over what is seen alone (normalised convolution), so that a transparent ground draws no lines of its own.
    Between colours of one lightness the more colourful side has the line. Lines begin where they are sure and go on
    where they are faint (Canny's hysteresis), and short ones are left out.
    """
    height, width = pixels.shape[:2]
    lab, alpha = _lab(_rgba(pixels))
    stack = np.dstack([lab, np.hypot(lab[..., 1], lab[..., 2]), np.ones_like(alpha)]) * alpha[..., None]
    twice = cv2.resize(stack, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    apart = _mean(twice, 2 * FINE) - _mean(twice, 2 * COARSE)
    dark = -apart[..., 0]
    dark += HUE * np.hypot(apart[..., 1], apart[..., 2]) * np.sign(dark + 0.3 * apart[..., 3])
    large = (UP * width, UP * height)
    dark = cv2.resize(dark, large, interpolation=cv2.INTER_CUBIC)
    body = cv2.GaussianBlur(cv2.resize(alpha, large, interpolation=cv2.INTER_CUBIC), (0, 0), 0.4 * UP) > _half(alpha)
    dark[~body] = 0
    reach = 2 * round(REACH * UP) + 1
    dark[dark < RIVAL * cv2.dilate(dark, np.ones((reach, reach), np.uint8))] = 0
    ink = np.maximum(_lines(dark, body), _outline(body))
    ink = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    return np.rint(255 * (1 - INK * ink)).astype(np.uint8)[..., None]


def _mean(stack: Float[np.ndarray, "h w 5"], sigma: float) -> Float[np.ndarray, "h w 4"]:
    """Gaussian means of four channels, each pixel weighing as much as the fifth says."""
    smooth = cv2.GaussianBlur(stack, (0, 0), sigma)
    return smooth[..., :4] / np.maximum(smooth[..., 4:], 1e-3)


def _lines(dark: Float[np.ndarray, "a b"], body: Bool[np.ndarray, "a b"]) -> Float[np.ndarray, "a b"]:
    """Ink in [0, 1]: how far a pixel is beyond the threshold, where that is part of a sure and long enough line."""
    if not body.any():
        return np.zeros(dark.shape, np.float32)
    usual, loud = np.quantile(dark[body], [1 - PART, 1 - FULL])
    weak = max(np.clip(usual, FAINT, STRONG), min(loud, LOUDEST))
    beyond = dark > weak
    count, number, facts, _ = cv2.connectedComponentsWithStats(beyond.astype(np.uint8), connectivity=8)
    peak = np.zeros(count, np.float32)
    np.maximum.at(peak, number[beyond], dark[beyond])
    drawn = (peak > SURE * weak) & (np.hypot(facts[:, 2], facts[:, 3]) >= SHORTEST * UP)
    drawn[0] = False
    return (np.clip((dark - weak) * (STRONG / weak), 0, 1) * drawn[number]).astype(np.float32)


def _outline(body: Bool[np.ndarray, "a b"]) -> Float[np.ndarray, "a b"]:
    """The contours of what is seen, a pen wide; none where that is all."""
    ink = np.zeros(body.shape, np.uint8)
    if not body.all():
        ringed = cv2.copyMakeBorder(body.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        contours, _ = cv2.findContours(ringed, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(-1, -1))
        cv2.polylines(ink, [line for line in contours if len(line) >= UP], True, (1,), round(PEN * UP))
    return ink.astype(np.float32)


# --- damage ---


def _grey(pixels: Picture, _: np.random.Generator) -> Grey:
    """Luma (ITU-R BT.601), what is transparent on white."""
    return to_channels(_rgba(pixels)[None], 1, WHITE)[0]


def _low(pixels: Picture, _: np.random.Generator) -> Picture:
    """Averaged over blocks of four by four (fewer where the sides are no multiples), enlarged bilinearly."""
    height, width, channels = pixels.shape
    small = (max(1, round(width / SMALLER)), max(1, round(height / SMALLER)))
    least = cv2.resize(pixels.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    large = cv2.resize(least, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(np.rint(large), 0, 255).astype(np.uint8).reshape(height, width, channels)


def _noise(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Gaussian noise on the colours, and some white pixels; alpha is kept, and what is transparent stays so."""
    alpha, colours = _alpha(pixels), _colours(pixels)
    colours = colours + rng.normal(0, SIGMA, colours.shape) * alpha
    salt = rng.random(alpha.shape) < SALT
    return _recoloured(pixels, np.where(salt, alpha, colours))


def _scratches(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Thin light or dark lines, most of them upright, and dust, as on old photographs."""
    height, width = pixels.shape[:2]
    alpha, colours = _alpha(pixels), _colours(pixels)
    side = max(height, width)
    for _ in range(int(rng.integers(4, 9))):
        steps = int(rng.integers(4, 12))
        angle = rng.normal(np.pi / 2, 0.35) + np.cumsum(rng.normal(0, 0.12, steps))
        stride = side * rng.uniform(0.4, 1.4) / steps
        path = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], 1) * stride, axis=0)
        path += rng.uniform(0, (width, height)) - path.mean(axis=0)
        colours = _scratched(colours, alpha, path, rng)
    for _ in range(int(rng.integers(4, 13))):
        speck = rng.uniform(0, (width, height)) + rng.normal(0, side / 120, (2, 2))
        colours = _scratched(colours, alpha, speck, rng)
    return _recoloured(pixels, colours)


def _scratched(
    colours: Float[np.ndarray, "h w d"],
    alpha: Float[np.ndarray, "h w 1"],
    path: Float[np.ndarray, "k 2"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "h w d"]:
    """One line along a path (x, y in pixels), of its own width, tone and strength."""
    height, width = colours.shape[:2]
    tone = rng.uniform(0.88, 1) if rng.random() < 0.7 else rng.uniform(0, 0.15)
    pen = max(1, round(UP * rng.uniform(0.5, 1.1) * max(height, width, 64) / 64))
    line = np.zeros((UP * height, UP * width), np.uint8)
    cv2.polylines(line, [np.rint(path * UP).astype(np.int32)], False, (255,), pen, cv2.LINE_AA)
    cover = cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    cover *= rng.uniform(0.65, 1)
    return colours * (1 - cover) + tone * alpha * cover


def _masks(pixels: Picture, rng: np.random.Generator) -> Rgba:
    """Holes, blobs or winding strokes, over 10 to 30 % of what is seen; nothing is left where they are.

    Blobs are where smooth noise is largest, strokes where it is nearest to zero.
    """
    out = _rgba(pixels).copy()
    height, width = out.shape[:2]
    field = cv2.GaussianBlur(
        rng.normal(size=(height, width)).astype(np.float32), (0, 0), max(height, width) / rng.uniform(8, 14)
    )
    field -= np.median(field)
    order = np.abs(field) if rng.random() < 0.5 else -field
    seen = out[..., 3] > 0
    places = np.flatnonzero(seen if seen.any() else ~seen)
    count = round(len(places) * rng.uniform(*HOLES))
    out.reshape(-1, 4)[places[np.argsort(order.ravel()[places], kind="stable")[:count]]] = 0
    return out


# --- layout ---


def _layout(pixels: Picture, rng: np.random.Generator) -> Picture:
    """At most six flat colours in coherent regions, a transparent ground counted as one of them.

    A median filter, k-means in Lab, alike colours joined, every pixel outvoted by its neighbourhood, and parts that
    are too small given to what surrounds them.
    """
    rgba = _rgba(pixels)
    lab, alpha = _lab(rgba)
    seen = alpha >= _half(alpha)
    out = np.zeros_like(rgba)
    if seen.any():
        smooth = _smooth(lab, alpha, seen)
        shades = _palette(smooth[seen], COLOURS - (not seen.all()), rng)
        region = np.full(seen.shape, -1)
        region[seen] = _nearest(smooth[seen], shades)
        region = _coherent(region, len(shades))
        for i in np.unique(region[seen]):
            where = region == i
            order = np.argsort(lab[where][:, 0], kind="stable")
            low, high = int(TONE[0] * len(order)), int(TONE[1] * len(order))
            middle = (rgba[where] / np.maximum(alpha[where], 1 / 255)[:, None])[order[low : max(high, low + 1)], :3]
            out[where, :3] = np.minimum(np.rint(middle.mean(axis=0)), 255)
            out[where, 3] = 255
    return out[..., : pixels.shape[2]]


def _smooth(
    lab: Float[np.ndarray, "h w 3"], alpha: Float[np.ndarray, "h w"], seen: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """Lab without its thin lines and grain; what is not seen takes part as the mean of what is near."""
    height, width = seen.shape
    unit = max(height, width) / 64
    weight = np.maximum(cv2.GaussianBlur(alpha, (0, 0), 2 * max(unit, 0.5)), 1e-3)
    near = cv2.GaussianBlur(lab * alpha[..., None], (0, 0), 2 * max(unit, 0.5)) / weight[..., None]
    filled = np.where(seen[..., None], lab, near) * np.array([2.55, 1, 1], np.float32) + np.array([0, 128, 128])
    middle = cv2.medianBlur(np.clip(np.rint(filled), 0, 255).astype(np.uint8), 3 if unit < 1.5 else 5)
    middle = (middle.astype(np.float32) - np.array([0, 128, 128], np.float32)) / np.array([2.55, 1, 1], np.float32)
    return cv2.GaussianBlur(middle, (0, 0), 0.35 * max(unit, 0.6))


def _palette(colours: Float[np.ndarray, "n 3"], most: int, rng: np.random.Generator) -> Float[np.ndarray, "k 3"]:
    """At most so many colours that stand for all: k-means++ with twice as many, then joined by Ward's rule."""
    if len(colours) > SAMPLES:
        colours = colours[rng.permutation(len(colours))[:SAMPLES]]
    shades = colours[[((colours - colours.mean(axis=0)) ** 2).sum(axis=1).argmin()]]
    far = ((colours - shades[0]) ** 2).sum(axis=1)
    while len(shades) < 2 * most and far.max() > 0:
        shades = np.vstack([shades, colours[rng.choice(len(far), p=far / far.sum())]])
        far = np.minimum(far, ((colours - shades[-1]) ** 2).sum(axis=1))
    shades, count = _settled(colours, shades, 8)
    while len(shades) > 1:
        apart = ((shades[:, None] - shades) ** 2).sum(axis=2)
        np.fill_diagonal(apart, np.inf)
        alike = apart.min() < ALIKE**2
        if len(shades) <= most and not alike:
            break
        cost = apart if alike else apart * (count[:, None] * count / (count[:, None] + count))
        i, j = np.unravel_index(cost.argmin(), cost.shape)
        shades[i] = (shades[i] * count[i] + shades[j] * count[j]) / (count[i] + count[j])
        shades, count = _settled(colours, np.delete(shades, j, axis=0), 1)
    return _settled(colours, shades, 4)[0]


def _settled(
    colours: Float[np.ndarray, "n 3"], shades: Float[np.ndarray, "k 3"], rounds: int
) -> tuple[Float[np.ndarray, "j 3"], Float[np.ndarray, " j"]]:
    """Rounds of k-means: the mean of the colours nearest to each shade, and how many; unused shades are left out."""
    count = np.ones(len(shades))
    for _ in range(rounds):
        own = _nearest(colours, shades)
        count = np.bincount(own, minlength=len(shades)).astype(np.float64)
        total = np.stack([np.bincount(own, colours[:, j], len(shades)) for j in range(3)], axis=1)
        shades, count = (total[count > 0] / count[count > 0, None]), count[count > 0]
    return shades, count


def _nearest(colours: Float[np.ndarray, "n 3"], shades: Float[np.ndarray, "k 3"]) -> Int[np.ndarray, " n"]:
    """The number of the shade nearest to each colour."""
    return ((shades**2).sum(axis=1) / 2 - colours @ shades.T).argmin(axis=1)


def _coherent(region: Int[np.ndarray, "h w"], count: int) -> Int[np.ndarray, "h w"]:
    """Regions (-1: the ground, which is kept) whose edges are smooth and whose parts are not too small."""
    seen, least = region >= 0, max(3, SMALLEST * region.size)
    sigma = max(0.6, max(region.shape) / 64)
    for _ in range(TURNS):
        votes = (region[..., None] == np.arange(count)).astype(np.float32)
        small = np.zeros(region.shape, bool)
        for i in range(count):
            _, part, facts, _ = cv2.connectedComponentsWithStats(votes[..., i].astype(np.uint8), connectivity=4)
            tiny = facts[:, cv2.CC_STAT_AREA] < least
            tiny[0] = False
            small |= tiny[part]
        if (seen & ~small).any():
            votes[small] = 0
        near = cv2.GaussianBlur(votes, (0, 0), sigma).reshape(votes.shape)
        # In the middle of a part too small to stay, only a wider look meets a neighbour.
        near += 1e-3 * cv2.GaussianBlur(votes, (0, 0), 4 * sigma).reshape(votes.shape)
        region = np.where(near.any(axis=2) & seen, near.argmax(axis=2), region)
    return region


KINDS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "edges": _edges,
    "grey": _grey,
    "low": _low,
    "noise": _noise,
    "scratches": _scratches,
    "masks": _masks,
    "layout": _layout,
}
