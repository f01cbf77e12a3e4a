"""A file's bytes -> one upright sRGB picture of 8 bits, or the reason why not.

Everything that pictures in the wild do is handled on purpose, and said: 16 bits, CMYK, palettes, single
bits, colour profiles, EXIF rotation, several frames. Nothing is decoded before its header was checked.
"""

import importlib
import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, UnidentifiedImageError

from gesso.data.colour import to_srgb
from gesso.data.sniff import MOST_PIXELS, Unreadable, check_size, sniff, webp_size

__all__ = ["MOST_BYTES", "Decoded", "decode", "guarded", "peek_size"]

MOST_BYTES = 256 << 20  # a picture file larger than this is not read
# Pillow's module for each format; the allow-list.
PLUGINS = {
    "AVIF": "Avif",
    "BMP": "Bmp",
    "GIF": "Gif",
    "ICNS": "Icns",
    "ICO": "Ico",
    "JPEG": "Jpeg",
    "JPEG2000": "Jpeg2K",
    "PCX": "Pcx",
    "PNG": "Png",
    "PPM": "Ppm",
    "PSD": "Psd",
    "QOI": "Qoi",
    "SGI": "Sgi",
    "TGA": "Tga",
    "TIFF": "Tiff",
    "WEBP": "WebP",
}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass
class Decoded:
    """One picture as it came out of its file.

    image: mode L, RGB or RGBA, upright, sRGB. size: width and height in the file, upright (an SVG's own).
    converted: what was done to it, in words. info: Pillow's metadata of the file, for the rights in it.
    """

    image: Image.Image
    size: tuple[int, int]
    kind: str
    converted: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    opened: Image.Image | None = None


@contextmanager
def guarded() -> Iterator[None]:
    """Within, Pillow's warnings are errors and its pixel cap is Gesso's; both are put back afterwards."""
    cap = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for harmless in (DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", harmless)
        # Untidy metadata is no reason to refuse whole pixels.
        warnings.filterwarnings(
            "ignore", message="(?i).*(metadata warning|corrupt exif|invalid app|truncated file read)"
        )
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = cap


def decode(data: bytes, name: str, want: tuple[int, int] | None = None) -> Decoded:
    """Decode the bytes of one file; raises Unreadable with the reason when they are no whole picture.

    name: the file's, for the few formats that have no magic bytes. want: width and height that will be
    needed; a JPEG or SVG is decoded at no much more than twice that. Use within `guarded`.
    """
    kind = sniff(data[:4096], name)
    try:
        if kind in ("SVG", "SVGZ"):
            from gesso.data.svg import draw

            image, size, converted = draw(data, want)
            return Decoded(image, size, "SVG", converted)
        return _raster(data, kind, want)
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"It begins like a {kind} picture, but its header is damaged.") from None
    except MemoryError:
        raise Unreadable(f"There is not enough memory to decode it as {kind}.") from None
    except Exception as error:  # decoders meet damaged bytes with every kind of error
        raise Unreadable(_reason(error, kind)) from None


def peek_size(data: bytes, name: str) -> tuple[int, int] | None:
    """Width and height from the header alone; None when they cannot be told."""
    try:
        with guarded():
            kind = sniff(data[:4096], name)
            if kind in ("SVG", "SVGZ"):
                return None
            with _open(data, kind) as image:
                return image.size
    except Exception:  # the picture will be read in earnest later, and refused there with its reason
        return None


def _open(data: bytes, kind: str) -> Image.Image:
    """Read the header only, with that format's plugin and no other."""
    if kind == "WEBP" and (size := webp_size(data)):
        check_size(*size)  # Pillow's plugin makes room for the canvas as it opens it
    importlib.import_module(f"PIL.{PLUGINS[kind]}ImagePlugin")
    return Image.open(io.BytesIO(data), formats=[kind])


def _raster(data: bytes, kind: str, want: tuple[int, int] | None) -> Decoded:
    image = _open(data, kind)
    check_size(*image.size)
    size, converted = image.size, []
    if kind == "PNG":
        _check_png(data)
    frames = _frames(image, kind)
    if frames > 1:
        converted.append(f"first of {frames} {'pages' if kind == 'TIFF' else 'frames'}")
    if want and kind == "JPEG":
        image.draft(None, (2 * want[0], 2 * want[1]))
    before = dict(image.info)
    deep = ";16" in str(getattr(image, "tile", "")) and not image.mode.startswith("I")
    image.load()
    check_size(*image.size)  # some headers only tell the truth when the pixels are read
    if kind in ("ICO", "ICNS", "TIFF"):
        size = image.size
    info = {str(key): value for key, value in {**image.info, **before}.items()}
    result, done = to_srgb(image)
    converted += (["16 bits a channel to 8"] if deep else []) + done
    turn = TURNS.get(_orientation(image, kind))
    if turn is not None:
        result = result.transpose(turn)
        converted.append("turned upright as its EXIF says")
        if turn in (TURNS[5], TURNS[6], TURNS[7], TURNS[8]):
            size = size[1], size[0]
    return Decoded(result, size, kind, converted, info, image)


def _frames(image: Image.Image, kind: str) -> int:
    """How many frames or pages the file has; 1 where one picture is made of several parts, as in ICO and PSD."""
    if kind not in ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "JPEG"):
        return 1
    try:
        count = int(getattr(image, "n_frames", 1))
        if count > 1 and image.tell() != 0:
            image.seek(0)
        return count
    except (EOFError, OSError, ValueError, SyntaxError):
        return 1  # the first one may be whole: loading it will tell


def _orientation(image: Image.Image, kind: str) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it cannot be read. Pillow turns TIFF itself."""
    if kind == "TIFF" or not ("exif" in image.info or "Raw profile type exif" in image.info):
        return 1
    try:
        found = image.getexif().get(0x0112, 1)
        return found if isinstance(found, int) else 1
    except Exception:  # damaged EXIF is no reason to refuse whole pixels
        return 1


def _check_png(data: bytes) -> None:
    """Raise Unreadable when a chunk is cut off or its checksum is wrong: Pillow does not look at those of pixels."""
    at, ended = 8, False
    view = memoryview(data)
    while at + 12 <= len(data) and not ended:
        length = int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        if at + 12 + length > len(data):
            break
        critical = not kind[0] & 0x20
        if critical and zlib.crc32(view[at + 4 : at + 8 + length]) != int.from_bytes(
            view[at + 8 + length : at + 12 + length], "big"
        ):
            raise Unreadable(f"Its data is damaged: the checksum of the {kind.decode('latin1')!r} part is wrong.")
        ended = kind == b"IEND"
        at += 12 + length
    if not ended:
        raise Unreadable("The file ends too early: it is truncated.")


def _reason(error: Exception, kind: str) -> str:
    text = " ".join(str(error).split())[:160].rstrip(".")
    low = text.lower()
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return "Its header promises more than 64 megapixels, which are not decoded."
    if "truncated" in low or "not enough" in low or "unexpected end" in low or isinstance(error, EOFError):
        return "The file ends too early: it is truncated."
    if not text or "cannot identify" in low:
        return f"It begins like a {kind} picture, but is damaged."
    return f"It begins like a {kind} picture, but cannot be decoded ({text})."
