"""Sounds that films follow: loudness, onsets, files, and films that carry them."""

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from gesso.errors import GessoError
from gesso.explore.sound import heard, loudness, onsets
from gesso.marks import sound as sounds
from gesso.marks.film import SOUNDING, encode_film
from gesso.marks.sound import Sound, read_sound

RATE = 8000


def sine(amplitude=0.5, hertz=400.0, seconds=1.0, rate=RATE):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate))[:, None]


def clicks(times, seconds=4.0, rate=RATE):
    out = np.zeros((round(seconds * rate), 1))
    out[[round(time * rate) for time in times]] = 0.8
    return out


def written(path: Path, samples, rate=RATE, width=2) -> Path:
    """A WAV of whole numbers."""
    whole = np.round(samples * (2 ** (8 * width - 1) - 1)).astype("<i8") + (128 if width == 1 else 0)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(whole.reshape(-1, 1).view(np.uint8)[:, :width].tobytes())
    return path


def test_the_loudness_of_a_sine_is_its_amplitude_by_the_root_of_two():
    times = np.array([0.0, 0.3, 0.5, 1.0, 1.2])
    loud = loudness(sine(0.5), RATE, times)
    np.testing.assert_allclose(loud[:4], 0.5 / np.sqrt(2), rtol=0.01)
    assert loud[4] == 0
    both = np.concatenate([sine(0.5), -sine(0.5)], 1)  # which would cancel, were they added
    np.testing.assert_allclose(loudness(both, RATE, times[:3]), 0.5 / np.sqrt(2), rtol=0.01)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_clicks_are_found_where_they_are(rate):
    """To a hundredth of a second, and nothing else."""
    times = [0.5, 1.0, 1.37, 2.2, 3.1]
    found = onsets(clicks(times, rate=rate), rate)
    assert len(found) == len(times)
    np.testing.assert_allclose(found, times, atol=0.01)


def test_notes_are_found_in_noise():
    """Notes that begin on another one and on noise; what only goes on is no onset."""
    rng = np.random.default_rng(0)
    sound = 0.01 * rng.standard_normal((4 * RATE, 1)) + sine(0.2, 220, 4)
    times = [0.8, 1.6, 2.4, 3.2]
    for number, time in enumerate(times):
        note = sine(0.4, 500 + 90 * number, 0.4) * np.exp(-8 * np.arange(0.4 * RATE) / RATE)[:, None]
        sound[round(time * RATE) : round(time * RATE) + len(note)] += note
    found = onsets(sound, RATE)
    assert len(found) == len(times)
    np.testing.assert_allclose(found, times, atol=0.02)


def test_silence_has_no_onsets():
    assert not len(onsets(np.zeros((RATE, 1)), RATE))
    assert not len(onsets(np.zeros((0, 1)), RATE))
    assert not len(onsets(sine()[:7], RATE))
    assert not len(onsets(sine(), RATE))  # which neither begins nor ends within


def test_what_is_heard_lies_between_least_and_most():
    loud = np.r_[np.zeros(30), np.ones(30)]
    found = heard(loud, 30.0)
    assert (found.min(), found.max()) == (0, 1)
    assert (np.diff(found) >= -1e-12).all()
    assert 0.3 < found[29] < 0.7
    round_ = heard(loud, 30.0, loop=True)  # the end leads on to the beginning
    assert abs(round_[-1] - round_[0]) <= np.abs(np.diff(round_)).max() + 1e-9
    assert (heard(np.full(20, 0.3), 30.0) == 1).all()
    assert len(heard(loud[:3], 60.0, loop=True)) == 3


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_waves_of_every_width_are_read(tmp_path, width, channels, monkeypatch):
    """By Python alone."""
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    samples = np.concatenate([sine(0.5), sine(0.3, 700)], 1)[:, :channels]
    sound = read_sound(written(tmp_path / "a.wav", samples, width=width))
    assert (sound.rate, sound.name, sound.seconds) == (RATE, "a.wav", 1.0)
    np.testing.assert_allclose(sound.samples, samples, atol=2.0 ** (2 - 8 * width) + 1e-6)
    assert sound.lasting(0.5).shape == (RATE // 2, channels)
    longer = sound.lasting(1.5)
    assert len(longer) == 1.5 * RATE
    assert not longer[RATE:].any()


def floats(path: Path) -> Path:
    """A WAV of floats, which Python does not read."""
    data = sine(0.5).astype("<f4").tobytes()
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + len(data), b"WAVEfmt ", 16, 3, 1, RATE, 4 * RATE, 4, 32)
    path.write_bytes(head + struct.pack("<4sI", b"data", len(data)) + data)
    return path


def test_other_sounds_are_read_by_pyav(tmp_path):
    pytest.importorskip("av")
    sound = read_sound(floats(tmp_path / "a.wav"))
    np.testing.assert_allclose(sound.samples, sine(0.5), atol=1e-6)


def test_without_pyav_other_sounds_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(GessoError, match="PyAV") as told:
        read_sound(floats(tmp_path / "a.wav"))
    assert "gesso[video]" in f"{told.value}"


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("none.wav", None, "There is no sound"),
        ("words.wav", b"not a sound at all", "no sound that can be read"),
        ("nothing.wav", b"", "no sound that can be read"),
        ("head.wav", b"RIFF\x24\x00\x00\x00WAVE", "no sound that can be read"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\na.wav\n#EXT-X-ENDLIST\n", "no sound that can be"),
        ("empty.wav", np.zeros((0, 1)), "is empty"),
        ("silent.wav", np.zeros((RATE, 1)), "is silent"),
        ("long.wav", sine(seconds=2), "longer than an hour"),
    ],
)
def test_what_is_no_sound_is_said(tmp_path, name, made, said, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr(sounds, "LONGEST", 1)
    written(tmp_path / "a.wav", sine(seconds=0.5))  # which a playlist would lead to
    if isinstance(made, bytes):
        (tmp_path / name).write_bytes(made)
    elif made is not None:
        written(tmp_path / name, made)
    with pytest.raises(GessoError, match=said):
        read_sound(tmp_path / name)


def test_a_picture_holds_no_sound(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_bytes(encode_film([np.zeros((16, 16, 3), np.uint8)] * 3, "mp4", 10))
    with pytest.raises(GessoError, match="holds no sound"):
        read_sound(tmp_path / "a.mp4")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix", SOUNDING)
def test_films_carry_their_sound(tmp_path, suffix, channels):
    """As long as they are, in time with the pictures, the channels apart; the same bytes again, but for AAC."""
    av = pytest.importorskip("av")
    samples = clicks([0.5, 1.25], 3.0, 44_100) + 0.2 * sine(1.0, 440, 3.0, 44_100)
    samples = np.concatenate([samples, 0.5 * sine(1.0, 300, 3.0, 44_100)], 1)[:, :channels].astype(np.float32)
    sound, frames = (
        Sound(samples, 44_100, "a.wav", "0" * 64),
        [np.full((16, 16, 3), 9 * k, np.uint8) for k in range(24)],
    )
    data = encode_film(frames, suffix, 12, sound=sound)
    if suffix != "mp4":  # FFmpeg's AAC is not exact: about one film of fifty differs
        assert data == encode_film(frames, suffix, 12, sound=sound)
    with av.open(io.BytesIO(data)) as film:
        assert film.duration / 1e6 == pytest.approx(2, abs=0.05)
        assert sum(1 for _ in film.decode(video=0)) == 24
    (tmp_path / f"a.{suffix}").write_bytes(data)
    back = read_sound(tmp_path / f"a.{suffix}")
    assert back.samples.shape[1] == channels
    assert back.seconds == pytest.approx(2, abs=0.05)
    found = onsets(back.samples[:, :1].astype(np.float64), back.rate)
    for time in (0.5, 1.25):
        assert np.abs(found - time).min() < 0.03
    loud = loudness(back.samples[:, -1:], back.rate, np.array([0.9]))
    assert float(loud[0]) == pytest.approx((0.5 if channels == 2 else 0.2) / np.sqrt(2), rel=0.1)
