"""The invisible watermark: its code, what it outlasts, what it leaves alone, and that it is not found elsewhere."""

import itertools

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from gesso.marks.picture import on_ground
from gesso.marks.watermark import Found, detect, embed
from gesso.marks.watermark.carrier import COPIES, TILE, carrier, coefficients, moved, signs, spread
from gesso.marks.watermark.code import CODED, crc24, decoded, encoded
from gesso.marks.watermark.detection import best_place, refined
from gesso.marks.watermark.embedding import pattern
from gesso.marks.watermark.view import folded

PAYLOAD = 0x0123_4567_89AB_CDEF


def photograph(height=256, width=256):
    return skimage.data.astronaut()[:height, :width]


def grey():
    return cv2.cvtColor(photograph(), cv2.COLOR_RGB2GRAY)[..., None]


def seen_through():
    """A premultiplied picture that fades from clear to solid, its middle clear."""
    colour = photograph(384, 384).astype(np.float64)
    alpha = np.clip(np.linspace(-60, 600, 384), 0, 255).round()[None, :, None].repeat(384, 0)
    alpha[150:220, 150:220] = 0
    return np.concatenate([np.floor(colour * alpha / 255), alpha], axis=2).astype(np.uint8)


PICTURES = {
    "rgb": photograph,
    "grey": grey,
    "rgba": seen_through,
    "wide": lambda: photograph(200, 512),
    "odd": lambda: photograph(333, 257),
    "painted": lambda: skimage.data.coffee()[:300, :300],
}


def visible(image):
    return on_ground(image, np.uint8(255)) if image.shape[2] == 4 else image


def psnr(before, after):
    error = np.mean((visible(before).astype(np.float64) - visible(after)) ** 2)
    return 10 * np.log10(255**2 / error)


def jpeg(image, quality):
    return np.atleast_3d(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], -1))


def marked(image, payload=PAYLOAD):
    out = embed(image, payload)
    assert out is not None
    return out


@pytest.fixture(scope="module")
def large():
    """A marked photograph of 512 × 512."""
    return marked(skimage.data.astronaut())


# The code


def long_division(data):
    """The remainder of a message by the polynomial, as RFC 4880 defines it, the start laid over its head."""
    number = int.from_bytes(data, "big") << 24
    number ^= 0xB704CE << (8 * len(data))
    for place in reversed(range(8 * len(data))):
        if number >> (place + 24) & 1:
            number ^= 0x1864CFB << place
    return number


@given(st.binary(min_size=3, max_size=12))
def test_the_checksum_is_the_remainder_of_a_division(data):
    assert crc24(data) == long_division(data)


def test_the_checksum_of_the_books():
    assert crc24(b"123456789") == 0x21CF02  # of CRC-24/OPENPGP


@given(st.integers(0, 2**64 - 1))
@settings(max_examples=30, deadline=None)
def test_what_is_encoded_is_decoded(payload):
    code = encoded(payload)
    assert code.shape == (CODED,)
    assert set(np.unique(code)) <= {-1, 1}
    assert decoded(code.astype(float)) == payload


def test_any_eleven_wrong_signs_are_mended():
    rng = np.random.default_rng(0)  # the code's free distance is 24
    for _ in range(30):
        code = encoded(PAYLOAD).astype(float)
        start = rng.integers(CODED - 40)
        code[start + rng.choice(40, 11, replace=False)] *= -1
        assert decoded(code) == PAYLOAD


def test_the_likeliest_message_is_found(monkeypatch):
    """Viterbi's way against all messages of a code so short that they can be listed."""
    from gesso.marks.watermark import code

    monkeypatch.setattr(code, "BITS", 8)
    monkeypatch.setattr(code, "CHECK", 0)
    monkeypatch.setattr(code, "STEPS", 8 + code.MEMORY)
    monkeypatch.setattr(code, "crc24", lambda _: 0)
    messages = list(itertools.product((0, 1), repeat=8))
    words = []
    for message in messages:  # a register that is shifted by hand
        register, word = 0, []
        for bit in (*message, *[0] * code.MEMORY):
            register = (register << 1 | bit) & 0x1FF
            word += [2 * ((register & g).bit_count() % 2) - 1 for g in code.GENERATORS]
        words.append(word)
    values = [int("".join(map(str, message)), 2) for message in messages]
    assert [list(encoded(value)) for value in values[:20]] == words[:20]
    rng = np.random.default_rng(1)
    for _ in range(60):
        soft = rng.normal(size=len(words[0]))
        assert decoded(soft) == values[int(np.argmax(np.array(words) @ soft))]


def test_noise_is_no_message():
    rng = np.random.default_rng(2)
    assert all(decoded(rng.normal(size=CODED)) is None for _ in range(200))


# The carrier


def test_every_wave_has_one_role_and_every_sign_four_waves():
    key = carrier()
    assert np.array_equal(np.sort(np.concatenate([key.pilot, key.data])), np.arange(1024))
    assert np.array_equal(np.sort(key.slots.ravel()), np.arange(2 * key.data.size))
    assert len({*zip(key.rows.tolist(), key.columns.tolist(), strict=True)}) == 1024
    rings = key.ring[key.data].repeat(2)[key.slots]
    assert np.array_equal(rings // 2, np.arange(COPIES)[:, None].repeat(CODED, 1))


def test_waves_carry_signs():
    message = encoded(PAYLOAD)
    assert np.allclose(signs(spread(message)) * np.sqrt(2), message)
    assert np.allclose(np.abs(spread(message)), 1)


@pytest.mark.parametrize("way", range(8))
def test_shift_and_turn_are_found(way):
    flat = [np.ones((2 * TILE, 2 * TILE), np.float32)] * 3
    picture = pattern(spread(encoded(PAYLOAD)), flat)
    picture = np.rot90(picture[:, ::-1] if way >= 4 else picture, way % 4)
    picture = np.roll(picture, (37, -20), (0, 1))
    place = best_place(coefficients(folded(np.ascontiguousarray(picture))))
    assert place.way == way
    assert place.score == pytest.approx(np.sqrt(512), rel=0.02)  # all that 256 waves can give
    says = signs(moved(place.waves, *refined(place))).sum(axis=0)
    assert np.array_equal(np.sign(says), encoded(PAYLOAD))


# Pictures


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_read_back_and_hardly_changes_anything(name):
    image = PICTURES[name]()
    before = image.copy()
    out = marked(image)
    assert np.array_equal(image, before)
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert psnr(image, out) >= 38
    found = detect(out)
    assert found is not None
    assert found == Found(PAYLOAD, found.score, 1.0, 0, False)
    assert np.array_equal(out, marked(image))


@pytest.mark.parametrize("payload", [0, 1, 2**63, 2**64 - 1])
def test_every_payload_fits(payload):
    found = detect(marked(photograph(), payload))
    assert found is not None
    assert found.payload == payload


@given(st.integers(0, 2**64 - 1))
@settings(max_examples=6, deadline=None)
def test_random_payloads(payload):
    found = detect(jpeg(marked(photograph(), payload), 75))
    assert found is not None
    assert found.payload == payload


@pytest.mark.parametrize("payload", [-1, 2**64])
def test_other_payloads_are_refused(payload):
    with pytest.raises(ValueError, match="payload"):
        embed(photograph(), payload)


@pytest.mark.parametrize(
    ("name", "attack", "scale"),
    [
        ("JPEG 50", lambda image: jpeg(image, 50), 1),
        ("JPEG 30", lambda image: jpeg(image, 30), 1),
        ("halved", lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 0.5),
        ("crop", lambda image: image[61:470, 33:490], 1),
        ("half the area", lambda image: image[61:423, 133:495], 1),
        ("darker", lambda image: (image * 0.7 + 5).astype(np.uint8), 1),
        ("grey", lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 1),
        ("an odd scale", lambda image: cv2.resize(image, (317, 316), interpolation=cv2.INTER_AREA), 317 / 512),
        ("larger", lambda image: cv2.resize(image, (730, 731), interpolation=cv2.INTER_CUBIC)[40:600, 90:690], 1.426),
    ],
)
def test_it_outlasts(large, name, attack, scale):
    found = detect(np.ascontiguousarray(attack(large)))
    assert found is not None
    assert found.payload == PAYLOAD
    assert found.scale == pytest.approx(scale, rel=0.004)


@pytest.mark.parametrize("turned", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turns_and_mirrors_are_told(large, turned, mirrored):
    image = np.ascontiguousarray(np.rot90(large[:, ::-1] if mirrored else large, turned))
    found = detect(image)
    assert found is not None
    assert found == (PAYLOAD, found.score, 1.0, turned, mirrored)


def test_alpha_and_what_is_clear_stay():
    image = seen_through()
    out = marked(image)
    clear = image[..., 3] == 0
    assert np.array_equal(out[..., 3], image[..., 3])
    assert np.array_equal(out[clear], image[clear])
    assert np.all(out[..., :3] <= out[..., 3:])
    assert not np.array_equal(out, image)


def test_pure_black_and_white_stay():
    image = photograph(320, 320).copy()
    image[:120], image[200:] = 255, 0
    out = marked(image)
    assert np.all(out[:100] == 255)
    assert np.all(out[220:] == 0)


def test_flat_colours_change_by_a_step_or_few():
    image = np.full((256, 256, 3), (90, 140, 200), np.uint8)
    image[:, :, 0] += np.arange(256, dtype=np.uint8)[:, None] // 3  # a sky, nearly
    out = marked(image)
    change = np.abs(out.astype(int) - image)
    assert change.max() <= 4
    assert psnr(image, out) >= 48


@pytest.mark.parametrize(
    "image",
    [
        photograph(127, 400),
        photograph(400, 127),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((256, 256, 3), np.uint8),
        np.full((256, 256, 1), 255, np.uint8),
        np.zeros((256, 256, 4), np.uint8),
        np.kron(np.indices((32, 32)).sum(0) % 2, np.ones((8, 8), int))[..., None].astype(np.uint8) * 255,
        photograph(320, 320) // 86 * 86,
    ],
    ids=["low", "narrow", "pixel", "black", "white", "clear", "chequers", "palette"],
)
def test_what_cannot_be_marked_is_left(image):
    assert embed(image, PAYLOAD) is None


def test_a_second_mark_takes_the_place_of_the_first(large):
    found = detect(marked(np.ascontiguousarray(large[3:, 5:]), 77))
    assert found is not None
    assert found.payload == 77


@pytest.mark.parametrize(
    "image",
    [
        photograph(300, 256),
        jpeg(photograph(), 50),
        seen_through(),
        np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8),
        np.full((160, 160, 3), 77, np.uint8),
        np.zeros((63, 500, 3), np.uint8),
        np.tile(np.random.default_rng(1).integers(0, 256, (128, 128, 1), np.uint8), (3, 3, 1)),
    ],
    ids=["photograph", "jpeg", "rgba", "noise", "flat", "low", "periodic"],
)
def test_nothing_is_found_where_nothing_is(image):
    assert detect(image) is None
