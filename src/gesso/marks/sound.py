"""Sounds that films follow: WAV by Python itself, all others by PyAV where that is installed."""

import itertools
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from gesso.errors import GessoError
from gesso.files import sha256_of

__all__ = ["Sound", "read_sound"]

LONGEST = 3600  # seconds
RATES = range(1000, 768_001)  # samples a second
SILENCE = 1e-4  # amplitude, -80 dB
CHANNELS = 2  # more are mixed down by PyAV


@dataclass(frozen=True)
class Sound:
    """Samples, -1 to 1, of one or two channels. rate: of them a second. sha256: of the file."""

    samples: Float[np.ndarray, "n c"]
    rate: int
    name: str
    sha256: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def lasting(self, seconds: float) -> Float[np.ndarray, "n c"]:
        """So much of it from its beginning, with silence at the end where it is shorter."""
        length = round(seconds * self.rate)
        return np.pad(self.samples[:length], ((0, max(length - len(self.samples), 0)), (0, 0)))


def read_sound(path: Path) -> Sound:
    """A sound from a file: WAV of 8 to 32 bits, or whatever PyAV reads, films with sound included.

    Raises GessoError for a file that is none, is broken, empty or silent, or longer than an hour, and where PyAV is
    needed and missing.
    """
    if not path.is_file():
        raise GessoError(f"There is no sound {path}.", "Name the file of one: --audio song.wav.")
    try:
        with path.open("rb") as file:
            found = _wave(file, path.stat().st_size) or _any(file, path)
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {error.strerror or error}.", "Give --audio another file.") from None
    samples, rate = found
    if not len(samples):
        raise GessoError(f"{path.name} is empty: it has no samples.", "Give --audio another file.")
    if len(samples) > LONGEST * rate:
        raise GessoError(f"{path.name} is longer than an hour.", "Cut it to what the film is to follow.")
    if not float(np.abs(samples).max()) > SILENCE:
        raise GessoError(f"{path.name} is silent.", "Give --audio a file in which something is heard.")
    return Sound(samples, rate, path.name, sha256_of(path))


def _wave(file: BinaryIO, size: int) -> tuple[Float[np.ndarray, "n c"], int] | None:
    """A WAV's samples and rate; None for all that Python does not read."""
    try:
        with wave.open(file) as opened:
            rate, channels, width = opened.getframerate(), opened.getnchannels(), opened.getsampwidth()
            if rate not in RATES or not 1 <= channels <= CHANNELS or not 1 <= width <= 4:
                return None
            data = opened.readframes(min(opened.getnframes(), LONGEST * rate + 1, size // (channels * width)))
    except (wave.Error, EOFError, RuntimeError):
        return None
    bytes_ = np.frombuffer(data[: len(data) // (channels * width) * channels * width], np.uint8).reshape(-1, width)
    if width == 1:  # the only unsigned ones
        return ((bytes_.astype(np.float32) - 128) / 128).reshape(-1, channels), rate
    whole = np.zeros((len(bytes_), 4), np.uint8)
    whole[:, 4 - width :] = bytes_
    return (whole.view("<i4").astype(np.float32) / 2**31).reshape(-1, channels), rate


def _any(file: BinaryIO, path: Path) -> tuple[Float[np.ndarray, "n c"], int]:
    """A file's samples and rate by PyAV."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise GessoError(
            f"{path.name} is no WAV of whole numbers, and for other sounds PyAV is needed, which is not installed.",
            "Install it (pip install 'gesso[video]'), or save the sound as WAV of 16 bits.",
        ) from None
    file.seek(0)
    parts, length = list[np.ndarray](), 0
    try:
        # a playlist may name other files and places: none of them is opened
        film: Any = av.open(file, options={"protocol_whitelist": "none"})
        with film as opened:
            if not opened.streams.audio:
                raise GessoError(f"{path.name} holds no sound.", "Give --audio a file in which something is heard.")
            stream = opened.streams.audio[0]
            rate, layout = stream.rate, "mono" if stream.channels == 1 else "stereo"
            change: Any = av.AudioResampler(format="fltp", layout=layout, rate=rate)
            for frame in itertools.chain(opened.decode(stream), [None]):
                for part in change.resample(frame):
                    parts.append(part.to_ndarray().T)
                    length += len(parts[-1])
                if length > LONGEST * rate:
                    break
    except (FFmpegError, ValueError):
        raise GessoError(f"{path.name} is no sound that can be read, or it is broken.", "Save it as WAV.") from None
    samples = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    return np.nan_to_num(samples.astype(np.float32)).clip(-1, 1), rate
