"""What a file is, told by its first bytes and never by its name alone."""

import struct

__all__ = ["MOST_PIXELS", "Unreadable", "check_size", "sniff", "webp_size"]

MOST_PIXELS = 64 << 20  # 64 megapixels: more is a bomb, or no training picture

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"MM\x00*", "TIFF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"icns", "ICNS"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"8BPS", "PSD"),
    (b"qoif", "QOI"),
    (b"\x01\xda", "SGI"),
    (b"\x0a\x00\x01", "PCX"),
    (b"\x0a\x02\x01", "PCX"),
    (b"\x0a\x03\x01", "PCX"),
    (b"\x0a\x05\x01", "PCX"),
    *((b"P" + digit, "PPM") for digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"f", b"F", b"y")),
)

# Known things that are no pictures, or none that Gesso reads, each with what it is.
STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive (or an Office file)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet table"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xff\x0a", "a JPEG XL picture, which Gesso does not read: save it as PNG or JPEG"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture, which Gesso does not read: save it as PNG or JPEG"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound or video file"),
    (b"\x1aE\xdf\xa3", "a video file"),
    (b"SQLite format 3", "a database"),
    *((b"\x80" + bytes([version]), "a Python pickle, which is never opened") for version in range(2, 6)),
)

RAW_SUFFIXES = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw")


class Unreadable(Exception):
    """Why a file is left out, one sentence for the report."""


def sniff(head: bytes, name: str) -> str:
    """The kind of picture: Pillow's name of the format, 'SVG' or 'SVGZ'; raises Unreadable for what is none.

    head: the first bytes of the file, 4,096 or all of them. name: its name, used only for TGA (which has
    no magic bytes), for cameras' raw files (which look like TIFF) and for SVGZ.
    """
    suffix = "." + name.rpartition(".")[2].lower()
    if not head:
        raise Unreadable("The file is empty.")
    if suffix in RAW_SUFFIXES:
        raise Unreadable("It is a camera's raw file: develop it and save it as PNG, TIFF or JPEG.")
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF":
        if head[8:12] == b"WEBP":
            return "WEBP"
        raise Unreadable("It is a sound or video file, not a picture.")
    if head[4:8] == b"ftyp":
        return _box(head)
    if head[:2] == b"\x1f\x8b" and suffix in (".svgz", ".svg"):
        return "SVGZ"
    for magic, what in STRANGERS:
        if head.startswith(magic):
            raise Unreadable(f"It is {what}." if "picture" in what else f"It is {what}, not a picture.")
    if _is_svg(head):
        return "SVG"
    if suffix in (".tga", ".vda", ".icb", ".vst"):
        return "TGA"
    if not any(head):
        raise Unreadable("It holds nothing but zeros.")
    raise Unreadable(_text_or_not(head))


def _box(head: bytes) -> str:
    """The kind of an ISO base media file, from its brands."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[i : i + 4] for i in range(16, length - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}:
        raise Unreadable("It is a HEIC picture, which Gesso does not read: save it as JPEG, PNG or AVIF.")
    raise Unreadable("It is a video file, not a picture.")


def _is_svg(head: bytes) -> bool:
    text = _as_text(head)
    return text is not None and text.lstrip("\ufeff \t\r\n")[:1] == "<" and "<svg" in text.replace("<svg:svg", "<svg")


def _text_or_not(head: bytes) -> str:
    """A sentence about what is no picture: text of some kind, or unknown bytes."""
    text = _as_text(head)
    if text is None:
        return "Its first bytes are those of no picture format that Gesso reads."
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith(("<!doctype html", "<html")):
        return "It is a web page, not a picture."
    if start.startswith(("{", "[")):
        return "It is a JSON file, not a picture."
    return "It is a text file, not a picture."


def _as_text(head: bytes) -> str | None:
    """The bytes as text, or None where they are not text."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "replace")
    if b"\x00" in head:
        return None
    text = head.decode("utf-8", "replace")
    odd = sum(letter == "\ufffd" or (ord(letter) < 32 and letter not in "\t\r\n\f\x1b") for letter in text)
    return text if odd <= len(text) // 20 else None


def check_size(width: int, height: int) -> None:
    """Raise Unreadable when a header promises no pixels, or more than Gesso will decode."""
    if width < 1 or height < 1:
        raise Unreadable("Its header says that it has no pixels.")
    if width * height > MOST_PIXELS:
        raise Unreadable(f"Its header promises {width} x {height} pixels; more than 64 megapixels are not decoded.")


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in a WebP's header, read before any decoder makes room for them; None where unclear."""
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return None
