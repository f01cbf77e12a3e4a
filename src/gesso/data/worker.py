"""What is done to one file, from its bytes to its final pixels; and the process that does it beside others.

`prepare` is a pure function. `main` is a child process that reads chunks of entries from its standard
input and writes the outcomes to its standard output, one frame an entry, so that when a decoder takes
the process down it is known which file did it. It imports no more than it needs.
"""

import hashlib
import os
import pickle
import signal
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from PIL import Image

from gesso.data.crop import Crop, Fitted, fit
from gesso.data.decode import MOST_BYTES, Decoded, decode, guarded
from gesso.data.duplicates import perceptual_hash
from gesso.data.rights import read_rights
from gesso.data.sniff import Unreadable

__all__ = ["Entry", "Outcome", "Painter", "Ready", "Recipe", "Shaped", "main", "prepare", "receive", "send"]

GREY_TOLERANCE = 2  # a JPEG's rounding may tint a grey picture by this much
MOST_TILES = 65_536
WITHDRAWN = "It was withdrawn, so it is passed over."
PAINTED = "CC0-1.0"  # licence of pictures that Gesso itself paints


class Painter(Protocol):
    """A picture that is painted when it is needed."""

    def paint(self) -> tuple[np.ndarray, dict[str, Any]]:
        """(`h w 3` uint8, what is known of it, with its `label` and `text`)."""
        ...


@dataclass
class Entry:
    """One file of a source, before anything is known of its content.

    source: its path within the source, for the report. data: where its bytes are: a path, the bytes,
    the pixels (`h w` or `h w c` uint8), or what paints them. columns: what else the source says of it.
    partner: the file of the picture that it is to be made from, where that is another one.
    """

    source: str
    data: Path | bytes | np.ndarray | Painter
    label: str = ""
    text: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    reserved: bool = False  # by a tdmrep.json beside it
    fault: str = ""  # why it could not be taken out of its source
    partner: "Entry | None" = None

    @property
    def weight(self) -> int:
        """Bytes that it holds in memory, its partner's with them."""
        own = self.data.nbytes if isinstance(self.data, np.ndarray) else 0
        return (len(self.data) if isinstance(self.data, bytes) else own) + (self.partner.weight if self.partner else 0)


@dataclass(frozen=True)
class Recipe:
    """What is done to every picture alike. width, height: of the result; tile: cut each picture into such pieces.

    halves: each file holds the source of a picture on the left and the picture on the right, the other way round
    where `swap` says so.
    """

    width: int
    height: int
    crop: Crop = "auto"
    tile: tuple[int, int] | None = None
    use_marked: bool = False
    halves: bool = False
    swap: bool = False
    withdrawn: frozenset[str] = frozenset()  # SHA-256 of files that are passed over


@dataclass
class Shaped:
    """Pixels in their final shape, and what decides on the channels that are kept of them."""

    pixels: bytes  # h w 4 uint8, premultiplied
    ground: tuple[int, int, int] | None
    transparent: bool
    grey: bool


@dataclass
class Ready(Shaped):
    """A picture in its final shape, with what is known of it, and its source where it has one."""

    item: dict[str, Any]
    phash: int  # 64 bits
    digest: bytes  # 8 bytes, equal where the pixels are
    source: Shaped | None


@dataclass
class Outcome:
    """What became of one entry: pictures (several from a sheet of sprites), or the reason why there are none."""

    source: str
    ready: list[Ready] = field(default_factory=list)
    reason: str = ""
    marked: bool = False  # left out for its do-not-train marks
    withdrawn: bool = False  # left out since it was withdrawn
    blank: int = 0  # tiles left out because there is nothing on them
    lost: bool = False  # it took its worker down


def prepare(entry: Entry, recipe: Recipe) -> Outcome:
    """Decode, shape and describe one entry. Never raises for what is wrong with a file. Use within `guarded`."""
    outcome = Outcome(entry.source)
    try:
        if entry.fault:
            raise Unreadable(entry.fault)
        if not isinstance(entry.data, Path | bytes | np.ndarray):
            pixels, known = entry.data.paint()
            label, text = known.pop("label"), known.pop("text")
            entry = replace(entry, data=pixels, label=label, text=text, columns={**known, "licence": PAINTED})
        data = _bytes(entry.data)
        facts: dict[str, Any] = {"source": entry.source}
        source: Image.Image | None = None
        if isinstance(data, np.ndarray):
            facts["sha256"] = hashlib.sha256(data.tobytes()).hexdigest()
            if facts["sha256"] in recipe.withdrawn:
                return _passed_over(outcome)
            decoded = Decoded(Image.fromarray(data), (data.shape[1], data.shape[0]), "pixels")
        else:
            facts["sha256"] = hashlib.sha256(data).hexdigest()
            if facts["sha256"] in recipe.withdrawn:
                return _passed_over(outcome)
            # Pairs are compared by their pixels, so that neither is decoded at less than its size.
            whole = recipe.tile or recipe.halves or entry.partner
            decoded = decode(data, entry.source, None if whole else (recipe.width, recipe.height))
            marks = _add_rights(data, decoded, entry, facts)
            if entry.partner:
                source, more = _partner(entry.partner, decoded.image.size, facts)
                marks += more
                if facts["paired_sha256"] in recipe.withdrawn:
                    return _passed_over(outcome)
            if marks:
                facts["marks"] = marks
            if marks and not recipe.use_marked:
                outcome.marked = True
                outcome.reason = f"Its maker says that no model may learn from it ({'; '.join(marks)})."
                return outcome
        image, facts["size"] = decoded.image, list(decoded.size)
        if recipe.halves:
            image, source = _halves(image, recipe.swap)
            facts["size"] = list(image.size)
        others = repeat(None) if source is None else (other for _, other in _pieces(source, recipe.tile))
        for (box, piece), other in zip(_pieces(image, recipe.tile), others, strict=False):
            if box is not None and _is_blank(piece):
                outcome.blank += 1
                continue
            item = {**facts, "tile": list(box)} if box is not None else dict(facts)
            outcome.ready.append(_finish(piece, other, item, list(decoded.converted), entry, recipe))
        if outcome.blank and not outcome.ready:
            outcome.reason = "There is nothing on any of its tiles."
    except Unreadable as error:
        outcome.reason = str(error)
    except MemoryError:
        outcome.reason = "There is not enough memory to decode it."
    except OSError as error:
        outcome.reason = f"It cannot be read: {(error.strerror or str(error)).lower()}."
    return outcome


def _passed_over(outcome: Outcome) -> Outcome:
    """What becomes of a file that was withdrawn."""
    outcome.withdrawn, outcome.reason = True, WITHDRAWN
    return outcome


def _bytes(data: Path | bytes | np.ndarray | Painter) -> bytes | np.ndarray:
    """The content of an entry; raises Unreadable for what is no ordinary file of a sensible size."""
    if isinstance(data, Path):
        status = data.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("It is not an ordinary file.")
        if status.st_size > MOST_BYTES:
            raise Unreadable(f"It is larger than {MOST_BYTES >> 20} megabytes.")
        return data.read_bytes()
    assert isinstance(data, bytes | np.ndarray)
    return data


def _add_rights(data: bytes, decoded: Decoded, entry: Entry, facts: dict[str, Any]) -> list[str]:
    rights = read_rights(data, decoded.kind, decoded.info, decoded.opened)
    for name in ("creator", "rights", "licence", "origin", "digital_source"):
        if getattr(rights, name):
            facts[name] = getattr(rights, name)
    return rights.marks + (["TDM reservation in tdmrep.json"] if entry.reserved else [])


def _partner(partner: Entry, size: tuple[int, int], facts: dict[str, Any]) -> tuple[Image.Image, list[str]]:
    """The source of a picture that is another file, and its do-not-train marks; raises Unreadable when it is no match.

    size: of the picture. What names the source is added to the facts, and so are its licence and its maker.
    """
    try:
        if partner.fault:
            raise Unreadable(partner.fault)
        data = _bytes(partner.data)
        assert isinstance(data, bytes)
        decoded = decode(data, partner.source)
    except (Unreadable, OSError) as error:
        reason = (error.strerror or str(error)) + "." if isinstance(error, OSError) else str(error)
        raise Unreadable(f"Its partner {partner.source} cannot be used: {reason[:1].lower()}{reason[1:]}") from None
    if decoded.image.size != size:
        (width, height), (wide, high) = size, decoded.image.size
        raise Unreadable(f"It has {width}x{height} pixels and its partner {wide}x{high}: a pair is of one size.")
    facts["paired_with"], facts["paired_sha256"] = partner.source, hashlib.sha256(data).hexdigest()
    theirs: dict[str, Any] = {}
    marks = _add_rights(data, decoded, partner, theirs)
    if theirs.get("licence") and theirs["licence"] != facts.get("licence"):  # of a pair both hold
        facts["licence"] = f"{facts.get('licence') or 'unknown'} AND {theirs['licence']}"
    if theirs.get("creator") and theirs["creator"] != facts.get("creator"):
        facts["creator"] = ", ".join(filter(None, (facts.get("creator"), theirs["creator"])))
    return decoded.image, marks


def _halves(image: Image.Image, swap: bool) -> tuple[Image.Image, Image.Image]:
    """(Picture, source): the right and the left half, the other way round where `swap` says so."""
    if image.width % 2:
        raise Unreadable(f"It is {image.width} pixels wide: two pictures side by side have an even width.")
    middle = image.width // 2
    left, right = image.crop((0, 0, middle, image.height)), image.crop((middle, 0, image.width, image.height))
    return (left, right) if swap else (right, left)


def _pieces(
    image: Image.Image, tile: tuple[int, int] | None
) -> Iterator[tuple[tuple[int, int, int, int] | None, Image.Image]]:
    """The picture, or its tiles from left to right and top to bottom with the box of each; rests are left out."""
    if tile is None:
        yield None, image
        return
    width, height = tile
    across, down = image.width // width, image.height // height
    if not across or not down:
        raise Unreadable(f"It is smaller ({image.width} x {image.height}) than one tile of {width} x {height}.")
    if across * down > MOST_TILES:
        raise Unreadable(f"It would be cut into more than {MOST_TILES:,} tiles.")
    for top in range(0, down * height, height):
        for left in range(0, across * width, width):
            box = (left, top, left + width, top + height)
            yield (left, top, width, height), image.crop(box)


def _is_blank(image: Image.Image) -> bool:
    """Whether a tile is of one colour, or wholly transparent whatever colours lie under that."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[1] == 0:
        return True
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in pairs)  # type: ignore[misc]


def _is_grey(pixels: np.ndarray) -> bool:
    """Whether red, green and blue are the same throughout, but for rounding."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return int((most - least).max()) <= GREY_TOLERANCE


def _finish(
    image: Image.Image,
    source: Image.Image | None,
    item: dict[str, Any],
    done: list[str],
    entry: Entry,
    recipe: Recipe,
) -> Ready:
    fitted = fit(image, recipe.width, recipe.height, recipe.crop)
    pixels = fitted.pixels
    if fitted.notes or done:
        item["converted"] = done + fitted.notes
    if entry.label:
        item["label"] = entry.label
    if entry.text:
        item["text"] = entry.text
    item = {**item, **{k: v for k, v in entry.columns.items() if v not in ("", None)}}
    made = _shaped(image, fitted)
    other = None
    if source is not None:
        other = _shaped(source, fit(source, recipe.width, recipe.height, recipe.crop, like=image))
    digest = hashlib.blake2b(made.pixels, digest_size=8).digest()
    return Ready(**vars(made), item=item, phash=perceptual_hash(pixels), digest=digest, source=other)


def _shaped(image: Image.Image, fitted: Fitted) -> Shaped:
    grey = image.mode == "L" or _is_grey(fitted.pixels)
    return Shaped(fitted.pixels.tobytes(), fitted.ground, fitted.transparent, grey)


def send(stream: IO[bytes], value: Any) -> None:
    """Write one value as a frame: 8 bytes of length, then the pickle. Between Gesso's own processes only."""
    data = pickle.dumps(value, protocol=5)
    stream.write(struct.pack("<Q", len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one frame written by `send`; raises EOFError when the other side is gone."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    (length,) = struct.unpack("<Q", head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Serve: a Recipe first, then lists of entries; answers each entry with an Outcome. Ends with its input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our input
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes elsewhere than into our frames
    try:
        recipe: Recipe = receive(source)
        send(target, True)
        with guarded():
            while True:
                for entry in receive(source):
                    send(target, prepare(entry, recipe))
    except (EOFError, BrokenPipeError, OSError):
        os._exit(0)
