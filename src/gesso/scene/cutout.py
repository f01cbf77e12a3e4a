"""Objects taken off plain backgrounds, with soft edges and nothing of the old background in them."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from gesso.errors import GessoError
from gesso.scene.choices import CutOptions
from gesso.scene.pixels import blurred

__all__ = ["Cut", "CutOptions", "cut_out"]

Colours = Float[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]

PLAINEST = 7.0  # of the border's colours, in CIE Lab, from a smooth ground: more is no plain background
SHARE = 0.55  # of the border that must be ground
RING = 0.015  # of the shorter side: how deep the border is
TOLERANCES = (3.5, 12.0)  # ΔE: what noise alone may ask for
ROUNDS = 5
SOFTEST = 16  # pixels that an edge is looked for to be soft
SAMPLE = 40_000  # pixels that a ground is fitted to
HOLE = 2.5e-4  # of the picture: what is smaller, and like the ground, is no hole
SPECK = 0.002  # of the object: what is smaller, and apart from it, was dirt
CORNER, SHADED = 0.3, 4.0  # of the object; times the tolerance: what a corner that lenses darkened may take, and be
ALIKE = 0.035  # in [0, 1]: object and ground nearer than this cannot be unmixed
SCALE = np.array([0.8, 1.0, 1.0], np.float32)  # lightness counts a little less: grounds are shaded, seldom tinted


@dataclass
class Cut:
    """An object. image: h w 4 bytes, colours not multiplied by alpha. left, top: where it lay in the picture.

    spread: how far the border strays from a smooth ground, ΔE; share: of the border that was ground.
    """

    image: UInt8[np.ndarray, "h w 4"]
    left: int
    top: int
    spread: float
    share: float


def cut_out(image: UInt8[np.ndarray, "h w c"], options: CutOptions | None = None, name: str = "the picture") -> Cut:
    """Take the object off a plain, or gently shaded, background that surrounds it.

    The ground is a polynomial of second degree in x and y, fitted to the border and again to all that was found to be
    ground; what is connected to the border and near it in Lab is ground. Along the edge each pixel is unmixed into
    object and ground (C = α F + (1 − α) B, with B known and F from the object nearby), so no halo remains. image: h w c
    bytes, c = 3, or 4 where it has alpha already, which is kept. Raises GessoError, with the figure, when the border
    is not plain, when all is ground, or when the object already stands free.
    """
    chosen = options or CutOptions()
    if min(image.shape[:2]) < 8:
        raise GessoError(f"In {name} no object can be told from its background: it is too small.")
    given = image[..., 3].astype(np.float32) / 255 if image.shape[2] == 4 else None
    ring = _ring(image.shape[0], image.shape[1])
    if given is not None and float((given[ring] < 0.5).mean()) > 0.5:
        raise GessoError(f"The object in {name} stands free already: its border is transparent.", "Use it as it is.")
    colours = image[..., :3].astype(np.float32) / 255
    lab = _lab(colours)
    where, spread, share = _plain(lab, ring, name)
    away = _away(lab, _fitted(lab, where))
    tolerance = chosen.tolerance or float(np.clip(1.5 * np.percentile(away[where], 99) + 1.5, *TOLERANCES))
    for _ in range(ROUNDS):  # what is found to be ground tells more of it than the border does
        found = _shrunk(_flooded(away < tolerance), 3)
        if found.sum() <= where.sum():
            break
        where, away = found, _away(lab, _fitted(lab, found))
    near = away < tolerance
    ground = _cleaned(_flooded(near) | (_holes(near) if chosen.holes else False), away < SHADED * tolerance)
    if ground.all():
        raise GessoError(f"All of {name} looks like its background.", "Choose a smaller tolerance.")
    back = _fitted(colours, ground)
    feather = _softness(away, ground) if chosen.feather is None else chosen.feather
    alpha, clean = _unmixed(colours, back, ground, feather)
    if given is not None:
        alpha = alpha * given
    out = np.dstack([np.clip(clean, 0, 1), alpha])
    left = top = 0
    if chosen.crop:
        out, left, top = _cropped(out, chosen.margin)
    made = np.rint(out * 255).astype(np.uint8)
    made[made[..., 3] == 0] = 0
    return Cut(made, left, top, spread, share)


def _ring(height: int, width: int) -> Mask:
    """The border."""
    deep = max(round(RING * min(height, width)), 2)
    out = np.ones((height, width), bool)
    out[deep:-deep, deep:-deep] = False
    return out


def _lab(colours: Colours) -> Colours:
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2Lab))


def _away(lab: Colours, ground: Colours) -> Plane:
    """How far every pixel is from the ground there, ΔE with lightness counted a little less."""
    return np.sqrt((((lab - ground) * SCALE) ** 2).sum(axis=2))


def _terms(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The monomials up to second degree."""
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return y / height * 2 - 1, x / width * 2 - 1


def _solved(values: Colours, where: Mask) -> np.ndarray:
    """Coefficients of the smooth field through the values at some pixels: least squares, without strays."""
    rows, columns = np.nonzero(where)
    step = max(len(rows) // SAMPLE, 1)
    rows, columns = rows[::step], columns[::step]
    y, x = (2 * place / side - 1 for place, side in zip((rows, columns), where.shape, strict=True))
    terms, wanted = _terms(y, x), values[rows, columns].astype(np.float64)
    middle = np.median(wanted, axis=0)
    coefficients = np.zeros((6, 3))
    coefficients[0] = middle
    for _ in range(12):
        rest = np.linalg.norm(wanted - terms @ coefficients, axis=1)
        scale = max(1.4826 * float(np.median(rest)), 1e-4)
        weight = np.where(rest < 2.5 * scale, 1.0, 0.0) + 1e-9  # those that stray far have no say
        root = np.sqrt(weight)[:, None]
        ridge = np.diag([0, 1, 1, 1, 1, 1]) * 1e-3 * np.sqrt(weight.sum())  # few pixels: rather flat than wild
        full, aim = np.vstack([terms * root, ridge]), np.vstack([wanted * root, np.zeros((6, 3))])
        coefficients = np.linalg.lstsq(full, aim, rcond=None)[0]
    return coefficients


def _fitted(values: Colours, where: Mask) -> Colours:
    """The smooth field through the values at some pixels, everywhere."""
    y, x = _grid(*where.shape)
    return (_terms(y, x) @ _solved(values, where).astype(np.float32)).astype(np.float32)


def _plain(lab: Colours, ring: Mask, name: str) -> tuple[Mask, float, float]:
    """The border's pixels that are ground, how far those stray, and their share; GessoError where it is not plain."""
    away = _away(lab, _fitted(lab, ring))
    spread = 1.4826 * float(np.median(away[ring]))
    where = ring & (away < max(3 * spread, 4.0))
    share = float(where.sum() / ring.sum())
    if spread > PLAINEST or share < SHARE:
        told = f"its border strays from one smooth colour by {spread:.1f} ΔE ({PLAINEST:.0f} at most)"
        if spread <= PLAINEST:
            told = f"only {share:.0%} of its border is of one smooth colour ({SHARE:.0%} are needed)"
        raise GessoError(
            f"The background of {name} is not plain: {told}.", "Take it before a plain wall, or use a mask."
        )
    return where, spread, share


def _pieces(mask: Mask, diagonal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The number of the connected piece that each pixel belongs to, 0 for none, and the pieces' areas in pixels."""
    _, labels, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8 if diagonal else 4)
    return np.asarray(labels, np.intp), np.asarray(figures, np.int64)[:, cv2.CC_STAT_AREA]


def _flooded(near: Mask) -> Mask:
    """What is near the ground and connected to the border."""
    labels, areas = _pieces(near)
    keep = np.zeros(len(areas), bool)
    keep[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    keep[0] = False
    return keep[labels]


def _holes(near: Mask) -> Mask:
    """Larger pieces that are near the ground, wherever they lie."""
    labels, areas = _pieces(near)
    keep = areas >= max(HOLE * near.size, 9)
    keep[0] = False
    return keep[labels]


def _shrunk(mask: Mask, by: int) -> Mask:
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE).astype(bool)


def _cleaned(ground: Mask, like: Mask) -> Mask:
    """The ground with what is too small to be of the object, and with shaded corners, which are `like` the ground."""
    labels, areas = _pieces(~ground, diagonal=True)
    if len(areas) < 2:
        return ground
    largest = areas[1:].max()
    away = areas < SPECK * largest
    for corner in {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}:
        piece = labels == corner
        away[corner] |= areas[corner] < CORNER * largest and float(like[piece].mean()) > 0.9
    away[0] = False
    return ground | away[labels]


def _softness(away: Plane, ground: Mask) -> float:
    """How many pixels into the object its edge is soft: where its colours cease to come nearer to the ground's."""
    inward = np.asarray(cv2.distanceTransform((~ground).astype(np.uint8), cv2.DIST_L2, 5))
    middles = []
    for depth in range(1, SOFTEST + 5):
        there = (inward > depth - 0.5) & (inward <= depth + 0.5)
        if there.sum() < 20:
            break
        middles.append(float(np.median(away[there])))
    firm = [here >= 0.93 * max(middles[i : i + 5]) for i, here in enumerate(middles)]
    return float(min(firm.index(True) + 1, SOFTEST)) if middles else 1.0


def _unmixed(colours: Colours, back: Colours, ground: Mask, feather: float) -> tuple[Plane, Colours]:
    """Alpha, and the object's own colours, in [0, 1].

    Within `feather` pixels of the edge, on both sides, every pixel is taken for a mixture of the ground behind it and
    of the object's colour nearby. Where those two are alike, alpha follows the edge's shape instead.
    """
    if feather == 0:
        return (~ground).astype(np.float32), colours
    width = max(1.35 * feather, 1.0)  # a little more, so that nothing of the ground is taken for the object's
    inward = np.asarray(cv2.distanceTransform((~ground).astype(np.uint8), cv2.DIST_L2, 5))
    outward = np.asarray(cv2.distanceTransform(ground.astype(np.uint8), cv2.DIST_L2, 5))
    sure = _sure(inward, width)
    band = (inward <= width + 0.5) & (outward <= width + 0.5) & ~sure
    own = _nearby(colours, sure, width)
    along = own - back
    length = (along**2).sum(axis=2)
    mixed = np.clip(((colours - back) * along).sum(axis=2) / np.maximum(length, 1e-6), 0, 1)
    shape = np.clip((inward - outward) / 2 + 0.5, 0, 1)  # an edge one or two pixels soft
    trust = np.clip(np.sqrt(length) / ALIKE - 1, 0, 1)
    mixed = trust * mixed + (1 - trust) * shape
    mixed = np.clip((mixed - 0.02) / 0.96, 0, 1)  # noise of the ground is no object, noise of the object no ground
    alpha = np.where(band, mixed, ~ground).astype(np.float32)
    part = np.maximum(alpha, 1e-3)[..., None]
    clean = (colours - (1 - part) * back) / part
    firm = np.clip((alpha - 0.15) / 0.5, 0, 1)[..., None]  # what is hardly there takes the colour of what is beside it
    clean = np.clip(firm * clean + (1 - firm) * own, 0, 1)
    return alpha, np.where((band & (alpha < 1))[..., None], clean, colours)


def _sure(inward: Plane, width: float) -> Mask:
    """What is object and nothing else: all that lies deep in it, and the middles of what is too thin to be deep."""
    deep = inward > width
    far = np.asarray(cv2.distanceTransform((~deep).astype(np.uint8), cv2.DIST_L2, 5)) if deep.any() else np.inf
    ridge = (inward >= np.asarray(cv2.dilate(inward, np.ones((3, 3), np.uint8)))) & (inward > 0)
    return deep | (ridge & (far > 2 * width + 1))


def _nearby(colours: Colours, sure: Mask, width: float) -> Colours:
    """The object's colour nearest to every pixel, evened out a little along the edge."""
    apart = (~sure).astype(np.uint8)
    _, numbers = cv2.distanceTransformWithLabels(apart, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(numbers, np.intp)
    places = np.zeros((int(labels.max()) + 1, 2), np.int64)
    rows, columns = np.nonzero(sure)
    places[labels[rows, columns]] = np.stack([rows, columns], axis=1)
    nearest = places[labels]
    found = colours[nearest[..., 0], nearest[..., 1]]
    weight = sure.astype(np.float32)
    even = blurred(colours * weight[..., None], width)
    much = blurred(weight, width)[..., None]
    return np.where(much > 0.05, even / np.maximum(much, 1e-6), found)


def _cropped(image: np.ndarray, margin: int) -> tuple[np.ndarray, int, int]:
    """The picture cut to what is to be seen, with a margin; and where that lay."""
    seen = image[..., 3] > 1 / 255
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return image, 0, 0
    top, left = int(rows[0]), int(columns[0])
    cut = image[top : rows[-1] + 1, left : columns[-1] + 1]
    return np.pad(cut, [(margin, margin), (margin, margin), (0, 0)]), left - margin, top - margin
