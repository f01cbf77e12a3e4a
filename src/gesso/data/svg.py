"""SVG drawings -> pixels, by resvg, with nothing fetched from outside the file."""

import gzip
import io
import math
import re
import zlib
from xml.etree import ElementTree

from PIL import Image

from gesso.data.sniff import Unreadable, check_size

__all__ = ["draw"]

MOST_TEXT = 16 << 20  # bytes of SVG, unpacked
MOST_ELEMENTS = 200_000
UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
DEFAULT_SIDE = 512  # pixels of the long side when no target is known


def draw(data: bytes, want: tuple[int, int] | None) -> tuple[Image.Image, tuple[int, int], list[str]]:
    """An SVG (or SVGZ) -> (RGBA picture, its own width and height in pixels, what was done in words).

    want: width and height needed; it is drawn at twice that or a little more, to be reduced. Pictures
    that it refers to outside itself are left out. Raises Unreadable when it is too large or not whole.
    """
    import resvg_py

    text = _unpack(data)
    if len(text) > MOST_TEXT:
        raise Unreadable("It is an SVG of more than 16 megabytes.")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise Unreadable(f"It is an SVG that is not well-formed ({error}).") from None
    if root.tag.rpartition("}")[2] != "svg":
        raise Unreadable("It is an XML file, not a picture.")
    converted = ["drawn from SVG"]
    written, outside = _clean(root)
    if outside:
        converted.append("without the files that it refers to")
    if written:
        converted.append("its text in this machine's fonts")
    width, height = _size(root)
    longest, shortest = max(width, height), min(width, height)
    if longest / shortest > 64:
        raise Unreadable("It is an SVG more than 64 times as long as it is wide.")
    side = max(want) * 2 * min(longest / shortest, 4.0) if want else DEFAULT_SIDE
    scale = min(max(side, 64), 4096) / longest
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    check_size(across, down)
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=ElementTree.tostring(root, encoding="unicode"),
            width=across,
            height=down,
            skip_system_fonts=not written,
        )
    except Exception as error:
        raise Unreadable(f"It is an SVG that cannot be drawn ({' '.join(str(error).split())[:120]}).") from None
    with Image.open(io.BytesIO(bytes(png)), formats=["PNG"]) as image:
        return image.convert("RGBA"), (max(1, round(width)), max(1, round(height))), converted


def _unpack(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            return file.read(MOST_TEXT + 1)
    except (OSError, EOFError, zlib.error):
        raise Unreadable("It is a packed SVG that cannot be unpacked.") from None


def _clean(root: ElementTree.Element) -> tuple[bool, bool]:
    """Remove every reference that leads out of the file; returns whether there is text, and whether any was removed."""
    written = outside = False
    for count, element in enumerate(root.iter()):
        if count > MOST_ELEMENTS:
            raise Unreadable(f"It is an SVG of more than {MOST_ELEMENTS:,} elements.")
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        written |= tag in ("text", "tspan")
        for key in list(element.attrib):
            if key.rpartition("}")[2] == "href" and not element.attrib[key].strip().startswith(("#", "data:")):
                outside |= tag in ("image", "feImage", "use")
                del element.attrib[key]
    return written, outside


def _size(root: ElementTree.Element) -> tuple[float, float]:
    """The drawing's own width and height in pixels, from its attributes or its view box; 100 x 100 without any."""
    box = [float(n) for n in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", root.get("viewBox", ""))]
    inner = (box[2], box[3]) if len(box) == 4 and box[2] > 0 and box[3] > 0 else None
    width, height = _length(root.get("width")), _length(root.get("height"))
    if inner and width is None and height is None:
        width, height = inner
    elif inner and width is None and height is not None:
        width = height * inner[0] / inner[1]
    elif inner and height is None and width is not None:
        height = width * inner[1] / inner[0]
    width, height = width or 100.0, height or 100.0
    if not (math.isfinite(width) and math.isfinite(height) and min(width, height) > 1e-3 and max(width, height) < 1e7):
        raise Unreadable("It is an SVG without a sensible size.")
    return width, height


def _length(text: str | None) -> float | None:
    """A CSS length in pixels; None where it is missing or relative."""
    match = re.fullmatch(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-z]*)\s*", text or "")
    if not match or match[2] not in UNITS:
        return None
    value = float(match[1]) * UNITS[match[2]]
    return value if value > 0 else None
