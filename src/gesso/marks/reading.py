"""What a file says besides its pixels, by anyone: texts, XMP, labels. All of it is unchecked, none of it believed."""

import re
from pathlib import Path
from typing import NamedTuple

from gesso.errors import GessoError
from gesso.marks.label import Aigc, aigc_in
from gesso.marks.recipe import USER_COMMENT, comment_of, told_by, xmp_of

__all__ = ["Said", "aigc_of", "said"]

PICTURES = ("png", "apng", "jpg", "jpeg", "webp", "avif", "gif")
AHEAD = 1 << 22  # bytes at either end of other files that are searched
LABEL = re.compile(rb"\{[^{}]{0,200}\"Label\"[^{}]{0,4000}\}")
LONGEST = 1_000_000  # bytes of a packet


class Said(NamedTuple):
    """xmp: the packet, empty without one; aigc: all labels, at most one in most files."""

    xmp: str
    aigc: tuple[Aigc, ...]


def said(path: Path) -> Said:
    """All that a picture or a film says; raises GessoError when it cannot be read."""
    if path.suffix.lower().lstrip(".") in PICTURES:
        told = told_by(path)
        xmp = xmp_of(told.texts)
        text = told.texts.get("AIGC")
        places = [xmp, text if isinstance(text, str) else "", comment_of(told.exif.get(USER_COMMENT)) or ""]
        labels = [label for place in places if "Label" in place for label in aigc_in(place)]
        return Said(xmp, tuple(labels))
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            data = file.read(AHEAD)
            if size > AHEAD:
                file.seek(max(AHEAD, size - AHEAD))
                data += file.read(AHEAD)
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {error.strerror}.") from None
    xmp = _packet(data).decode(errors="replace")
    labels = aigc_in(xmp) if "Label" in xmp else []
    if not labels:
        labels = [label for one in LABEL.findall(data)[:8] for label in aigc_in(one.decode(errors="replace"))]
    return Said(xmp, tuple(labels))


def aigc_of(path: Path) -> Aigc | None:
    """The AIGC label that a file carries; None without one, and where it cannot be read."""
    try:
        labels = said(path).aigc
    except GessoError:
        return None
    return labels[0] if labels else None


def _packet(data: bytes) -> bytes:
    """The XMP packet in bytes, found in one pass; empty without one."""
    begin, close = data.find(b"<x:xmpmeta"), b"</x:xmpmeta>"
    end = data.find(close, begin, begin + LONGEST) if begin >= 0 else -1
    return data[begin : end + len(close)] if end >= 0 else b""
