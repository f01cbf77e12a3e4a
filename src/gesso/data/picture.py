"""One picture in, as it is: what the works on single pictures begin with."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gesso.data.decode import MOST_BYTES, decode, guarded
from gesso.data.sniff import Unreadable
from gesso.errors import GessoError
from gesso.files import sha256_of

__all__ = ["Opened", "open_mask", "open_picture"]

Bytes = UInt8[np.ndarray, "h w c"]
Picture = Float[np.ndarray, "h w c"]


@dataclass
class Opened:
    """A picture and what is to be said of it.

    image: h w c bytes, upright sRGB; c = 3, or 4 where something of it is transparent (colours not multiplied by
    alpha). sha256: of the file. notes: what was converted on the way, in words. kind: the file's format, as in PNG.
    """

    image: Bytes
    path: Path
    sha256: str
    kind: str
    notes: list[str] = field(default_factory=list)
    dpi: float | None = None

    @property
    def colours(self) -> Picture:
        """Float32 colours in [0, 1], h w 3; what is transparent lies on white."""
        out = self.image[..., :3].astype(np.float32) / 255
        if self.image.shape[2] == 3:
            return out
        alpha = self.image[..., 3:].astype(np.float32) / 255
        return out * alpha + (1 - alpha)

    @property
    def premultiplied(self) -> Picture:
        """Float32 in [0, 1], h w 3, or h w 4 with colours multiplied by alpha."""
        out = self.image.astype(np.float32) / 255
        if out.shape[2] == 4:
            out[..., :3] *= out[..., 3:]
        return out

    @property
    def alpha(self) -> Float[np.ndarray, "h w"] | None:
        """Float32 alpha in [0, 1]; None where nothing is transparent."""
        return self.image[..., 3].astype(np.float32) / 255 if self.image.shape[2] == 4 else None


def open_picture(path: str | Path, what: str = "picture") -> Opened:
    """Read one picture of any format that Gesso reads (16 bits, CMYK, palettes, profiles and EXIF rotation included).

    what: its part in the work, for the sentence. Raises GessoError when there is none, or it cannot be read.
    """
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            raise GessoError(f"{place} is a folder; the {what} is one file.", "Name a picture in it.")
        if place.stat().st_size > MOST_BYTES:
            raise GessoError(f"{place} is larger than {MOST_BYTES >> 20} MB, which are not read.")
        data = place.read_bytes()
        with guarded():
            found = decode(data, place.name)
    except FileNotFoundError:
        raise GessoError(f"There is no file {place}.", f"Name the {what}.") from None
    except OSError as error:
        raise GessoError(f"{place} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except Unreadable as error:
        reason = str(error)
        raise GessoError(f"{place} cannot be read: {reason[:1].lower()}{reason[1:]}") from None
    image = np.asarray(found.image.convert("RGBA" if found.image.mode == "RGBA" else "RGB"))
    if image.shape[2] == 4 and (image[..., 3] == 255).all():
        image = image[..., :3]
    dpi = found.info.get("dpi")
    resolution = float(dpi[0]) if isinstance(dpi, tuple) and dpi and float(dpi[0]) > 1 else None
    return Opened(np.ascontiguousarray(image), place, sha256_of(place), found.kind, list(found.converted), resolution)


def open_mask(path: str | Path, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """A mask: True where the picture of it is white (or, where it has transparency, opaque and not black).

    Raises GessoError when it is not of that height and width, or cannot be read.
    """
    opened = open_picture(path, "mask")
    high, wide = opened.image.shape[:2]
    if (high, wide) != (height, width):
        raise GessoError(
            f"The mask {opened.path.name} is {wide}×{high}, the picture {width}×{height}.",
            "Make the mask at the picture's size: white where the work is to be done, black elsewhere.",
        )
    bright = opened.image[..., :3].max(axis=2) >= 128
    return bright if opened.alpha is None else bright & (opened.image[..., 3] >= 128)
