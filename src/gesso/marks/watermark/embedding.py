"""Laying the watermark into a picture: where it disturbs least, as strong as it must be, and read back at once."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from gesso.marks.watermark.carrier import RING, TILE, Waves, carrier, coefficients, moved, signs, spread
from gesso.marks.watermark.code import encoded
from gesso.marks.watermark.detection import best_place, certainty, read, refined, soft
from gesso.marks.watermark.view import Plane, activities, folded, lightness, masks, octaves, whitened

__all__ = ["embed"]

SMALLEST = 128  # pixels of the shorter side
FEW = 64  # colours that make a palette
SOME = 4096  # pixels that are looked at first
JUDGED = 1024  # pixels of each side in the middle of a large picture, by which its mark is judged
FAINTEST = 38.3  # decibels of PSNR; bytes being rounded takes some hundredths
STRENGTHS = ((0.7, 41.5), (1.0, 40.0), (1.4, FAINTEST))  # of what textures add, and the PSNR to keep, in turn
ENOUGH = 3.0  # certainty of the message after JPEG 50 that needs no more strength
JPEG = 50
PILOT = 0.95  # size of the pilot's waves beside the others'
ATTACK = 1.0  # noise to come, in amplitudes of the mark
DOUBT = 0.3  # and in variances of a sign
LARGEST = 3.0  # of a sign's weight

Picture = UInt8[np.ndarray, "h w c"]


def embed(image: Picture, payload: int) -> Picture | None:
    """A picture with 64 bits laid into it, None where it is too small, of few colours, or so flat that nothing holds.

    image: `h w c`; 1, 3 or 4 channels, premultiplied. The same picture and payload give the same bytes. Alpha, and
    colours where it is 0, stay as they are. PSNR is at least 38 dB.
    The picture itself is noise to the mark, but known (Costa 1983; Chen & Wornell 2001): the tile begins where
    the picture already speaks for it, and signs that it speaks against are raised at the cost of the others (improved
    spread spectrum; Malvar & Florêncio 2003). Then the least of three strengths that JPEG 50 cannot silence is taken.
    """
    if not 0 <= payload < 1 << 64:
        raise ValueError(f"a payload is 0 to 2⁶⁴ − 1, not {payload}")
    if min(image.shape[:2]) < SMALLEST or of_few_colours(image):
        return None
    middle = _middle(*image.shape[:2])
    light = lightness(image)
    bands, blurred = octaves(light)
    active = activities(bands, light)
    host = _seen(light[middle])
    solid = image[..., 3].astype(np.float32) / 255 if image.shape[2] == 4 else None
    waves, lasting, change = None, 0.0, np.zeros_like(light)
    for strength, psnr in STRENGTHS:
        if strength == 1 and lasting < ENOUGH / 1.7:  # a step that cannot reach it
            continue
        room = masks(active, blurred, strength)
        if solid is not None:
            room = [plane * solid for plane in room]
        if waves is None:
            trial = within(pattern(spread(encoded(payload)), room), psnr)
            waves = informed(payload, host, _seen((light + trial)[middle]))
        change = within(pattern(waves, room), psnr)
        lasting = _lasting(lightness(added(image[middle], change[middle])), payload)
        if lasting >= ENOUGH:
            break
    marked = added(image, change)
    found = read(lightness(marked[middle]))
    return marked if found and (found.payload, found.turned, found.mirrored) == (payload, 0, False) else None


def of_few_colours(image: Picture) -> bool:
    """Whether it is pixel art or the like, which is made of a palette and must keep it."""
    place = np.array([1, 1 << 8, 1 << 16, 1 << 24][: image.shape[2]], np.uint32)
    colours = image.reshape(-1, image.shape[2]).astype(np.uint32) @ place
    some = colours[:: max(len(colours) // SOME, 1)]
    return len(np.unique(some)) <= FEW and len(np.unique(colours)) <= FEW


def informed(payload: int, host: Waves, answer: Waves) -> Waves:
    """The waves of a payload, moved and weighed so that a host helps them most.

    host: waves of the picture as the detector sees them; answer: the same, with the plain mark at its beginning.
    """
    key, message = carrier(), encoded(payload)
    plain = spread(message)
    gain = np.maximum(np.bincount(key.ring, np.real((answer - host) * plain.conj())) / RING, 1e-9)
    noise = np.bincount(key.ring, np.abs(host) ** 2) / (2 * RING) + (ATTACK * gain) ** 2
    weights, gain = (gain / noise)[key.ring], gain[key.ring]
    half = np.zeros((TILE, TILE // 2 + 1), np.complex128)
    half[key.rows, key.columns] = host * plain.conj() * weights
    down, right = divmod(int(np.fft.irfft2(half, (TILE, TILE)).argmax()), TILE)
    speaks = signs(moved(host, down, right) / gain) * message * np.sqrt(2)  # in amplitudes of the mark
    share = at_signs(weights * gain)
    helped = (speaks * share).sum(axis=0) / share.sum(axis=0)
    best = max((_balanced(helped, part / 10) for part in range(11)), key=lambda c: _clearness(helped + c))
    return moved(spread(message, best, PILOT), -down, -right)


def at_signs(values: Float[np.ndarray, "1024"]) -> Float[np.ndarray, "4 n"]:
    """A value of each wave at the places of each sign."""
    key = carrier()
    return values[key.data].repeat(2)[key.slots]


def pattern(waves: Waves, room: list[Plane]) -> Plane:
    """What to add to a picture: the waves of each octave, repeated over it, as strong as there is room."""
    key = carrier()
    height, width = room[0].shape
    out = np.zeros((height, width), np.float32)
    for band, mask in enumerate(room):
        within_band = key.band == band
        half = np.zeros((TILE, TILE // 2 + 1), np.complex128)
        half[key.rows[within_band], key.columns[within_band]] = waves[within_band]
        tile = np.fft.irfft2(half, (TILE, TILE)) * (TILE * TILE / np.sqrt(2 * within_band.sum()))
        rows = np.tile(tile.astype(np.float32), (1, -(-width // TILE)))[:, :width]
        for top in range(0, height, TILE):
            part = mask[top : top + TILE]
            out[top : top + TILE] += part * rows[: len(part)]
    return out


def within(delta: Plane, psnr: float) -> Plane:
    """A change made weaker where it would leave less than a PSNR."""
    most = 255 / 10 ** (psnr / 20)
    return delta * min(1.0, most / max(float(np.sqrt(np.mean(delta * delta))), 1e-9))


def added(image: Picture, delta: Plane) -> Picture:
    """A picture with the same change in all colours, which stay bytes and, premultiplied, below alpha."""
    changed = image[..., :3] + delta[..., None]
    np.rint(changed, out=changed)
    if image.shape[2] < 4:
        return np.clip(changed, 0, 255, out=changed).astype(np.uint8)
    most = np.maximum(image[..., 3:], image[..., :3])
    return np.concatenate([np.clip(changed, 0, most, out=changed).astype(np.uint8), image[..., 3:]], axis=2)


def _balanced(helped: Float[np.ndarray, "n"], part: float) -> Float[np.ndarray, "n"]:
    """Weights of mean square 1 that make up for a part of what the host does to each sign."""
    low, high = 0.0, 20.0
    for _ in range(20):
        level = (low + high) / 2
        weights = np.clip(level - part * helped, 0, LARGEST)
        low, high = (low, level) if np.mean(weights**2) > 1 else (level, high)
    return np.clip(low - part * helped, 0, LARGEST)


def _clearness(says: Float[np.ndarray, "n"]) -> float:
    return float(says.mean() / np.sqrt(says.var() + DOUBT))


def _lasting(light: Plane, payload: int) -> float:
    """How certain a payload is after JPEG."""
    _, data = cv2.imencode(".jpg", np.clip(np.rint(light), 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, JPEG])
    again = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)
    place = best_place(_seen(again)[None])
    return certainty(soft(moved(place.waves, *refined(place))), payload)


def _seen(light: Plane) -> Waves:
    """The waves that the detector finds in a lightness."""
    return coefficients(folded(whitened(light)))[0]


def _middle(height: int, width: int) -> tuple[slice, slice]:
    """The part of a large picture that is read while its mark is made; it begins where a tile begins."""
    top, left = (max(n - JUDGED, 0) // 2 // TILE * TILE for n in (height, width))
    return slice(top, top + JUDGED), slice(left, left + JUDGED)
