"""What a file says of itself, and what of that holds: credentials, labels, recipe, watermark, ledger.

Nothing in a file is believed because it is there: only a signature that fits the file proves anything, and it proves
no more than that its holder said so. Labels and recipes are told as what they are, words that anyone can write.
"""

import hashlib
import re
import zlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from gesso.errors import GessoError
from gesso.files import sha256_of
from gesso.marks.credentials import Credentials, read
from gesso.marks.foreign import Settings, read_settings
from gesso.marks.identity import anchors
from gesso.marks.imprint import Imprint, identify
from gesso.marks.label import Aigc, source_in
from gesso.marks.reading import PICTURES, said
from gesso.marks.recipe import TRAINED, Recipe, Work, read_recipe

__all__ = ["Verdict", "Verified", "verify"]

Verdict = Literal["trusted", "valid", "changed", "marked", "unmarked", "unreadable"]
MOST = 1 << 28  # bytes of a file that are searched for its padding, and for what its signature does not cover
OF_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # of boxes in MP4 and AVIF that hold credentials
TELLING = re.compile(rb'"Label"|"gesso"|<x:xmpmeta|AIGC')  # how labels and recipes begin
WHY = {  # codes of C2PA (specification 2.2, section 15.2) in words
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.bmffHash.mismatch": "the file was changed after it was signed",
    "assertion.boxesHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "what the credentials say was changed after they were signed",
    "assertion.missing": "a part of the credentials is missing",
    "claimSignature.mismatch": "the signature does not fit what it signs",
    "claimSignature.missing": "there is no signature",
    "claimSignature.outsideValidity": "the certificate was not valid when it signed",
    "signingCredential.expired": "the certificate has expired",
    "signingCredential.invalid": "the certificate is none that may sign",
    "signingCredential.revoked": "the certificate was revoked",
    "algorithm.unsupported": "the signature is of an unknown kind",
    "ledger": "it is not, byte for byte, what was written here",
    "padding": "something is hidden where the signature is filled up",
    "uncovered": "a recipe or a label was put where the signature does not reach",
    "checksum": "the part that holds the credentials is damaged",
}


@dataclass(frozen=True)
class Verified:
    """All that is known of a file.

    verdict: trusted (signed by one who is trusted here, unchanged), valid (signed by another, unchanged), changed
    (signed, and not as it was signed), marked (not signed, but it says something), unmarked, unreadable. machine:
    whether a machine made it, and by whose word: "signed", "said" or "" (unknown). aigc: labels of GB 45438-2025.
    settings: of drawing, by any tool. watermark: the id in its pixels; None where there is none, or nobody looked.
    ledger: what the log here has of it; written: whether it is that very file.
    """

    path: Path
    verdict: Verdict
    credentials: Credentials
    machine: Literal["signed", "said", ""] = ""
    source: str | None = None
    aigc: tuple[Aigc, ...] = ()
    recipe: Recipe | Work | None = None
    settings: Settings | None = None
    watermark: str | None = None
    looked: bool = False
    ledger: dict[str, Any] | None = None
    written: bool = False
    notes: tuple[str, ...] = ()
    replay: dict[str, Any] | None = field(default=None)

    @property
    def words(self) -> list[str]:
        """All of it as sentences, the verdict first."""
        from gesso.marks.words import words

        return words(self)

    def plain(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found = asdict(self) | {
            "path": str(self.path), "words": self.words, "aigc": [one.model_dump() for one in self.aigc],
            "recipe": self.recipe and self.recipe.model_dump(mode="json", exclude_none=True),
            "settings": self.settings and self.settings.model_dump(mode="json", exclude={"raw"}),
            "credentials": asdict(self.credentials),
        }  # fmt: skip
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def verify(path: Path, by: Imprint, pixels: UInt8[np.ndarray, "h w c"] | None = None) -> Verified:
    """All that a file says, and whether it holds. Never raises for what is in the file.

    by: whose ledger and trusted signers count. pixels: premultiplied where c = 4, to look for a watermark; without them
    nobody looks.
    """
    notes = list[str]()
    try:
        data = _bytes(path)
    except OSError as error:
        problem = f"It cannot be read: {error.strerror or error}."
        return Verified(path, "unreadable", Credentials("none"), notes=(problem,))
    credentials = _credentials(path, data, by, notes)
    xmp, aigc, unread = "", (), not data
    try:
        xmp, aigc = said(path)
    except GessoError as error:
        unread = True
        notes.append(_sentence(error))
    recipe, settings = _recipe(path, notes), None
    id = _id_of(recipe, notes) if recipe is not None else None
    if recipe is None and path.suffix.lower().lstrip(".") in PICTURES:
        try:
            settings = read_settings(path)
        except GessoError as error:
            notes += [] if _sentence(error) in notes else [_sentence(error)]
    watermark = None
    if pixels is not None:
        from gesso.marks.watermark import detect

        found = detect(pixels)
        watermark = None if found is None else f"{found.payload:016x}"
    if len(aigc) > 1:
        notes.append(f"It carries {len(aigc)} AIGC labels; the standard allows one.")
    source = (credentials.source if credentials.good else None) or source_in(xmp)
    entry, written = _in_ledger(by, path, data, (watermark, id), notes)
    if credentials.good and not written and _known(by, credentials.instance):
        credentials = replace(credentials, state="invalid", problems=(*credentials.problems, "ledger"))
    if id is not None and watermark is not None and id != watermark:
        notes.append("Its watermark is of another picture than its recipe.")
    machine: Literal["signed", "said", ""] = ""
    if credentials.good and (credentials.source in TRAINED or aigc):
        machine = "signed"
    elif source in TRAINED or aigc or watermark or settings is not None or isinstance(recipe, Recipe):
        machine = "said"
    if credentials.state == "unreadable" and b"jumb" not in data:  # it is no file that could carry any
        credentials = Credentials("none")
    silent = not (source or aigc or recipe or settings or watermark or entry)
    verdict: Verdict = "marked" if not silent else "unreadable" if unread else "unmarked"
    if credentials.state != "none":
        verdict = {"trusted": "trusted", "valid": "valid"}.get(credentials.state, "changed")  # type: ignore[assignment]
    return Verified(
        path, verdict, credentials, machine, source, aigc, recipe, settings, watermark, pixels is not None, entry,
        written, tuple(notes),
    )  # fmt: skip


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST + 1)


def _credentials(path: Path, data: bytes, by: Imprint, notes: list[str]) -> Credentials:
    """The credentials of a file; what C2PA leaves out of the signature is looked at, too."""
    more = [] if by.choices.anchors is None else [by.choices.anchors.expanduser()]
    try:
        trusted = anchors(by.folder, *more)
    except GessoError as error:
        notes.append(_sentence(error))
        trusted = ""
    found = read(path, trusted)
    looked = {"padding": _padded(data), "checksum": _broken(data), "uncovered": bool(TELLING.search(_free(data)))}
    hidden = [name for name, there in looked.items() if there]
    if found.good and hidden:
        return replace(found, state="invalid", problems=(*found.problems, *hidden))
    return found


def _padded(data: bytes) -> bool:
    """Whether anything but zeros fills up a signature (COSE header `pad`), which the signature itself cannot cover."""
    for found in re.finditer(rb"(?:cpad|dpad2)([\x40-\x57]|\x58.|\x59..|\x5a.{4}|\x5b.{8})", _joined(data), re.DOTALL):
        size = found[1][0] - 0x40 if len(found[1]) == 1 else int.from_bytes(found[1][1:], "big")
        if any(found.string[found.end() : found.end() + size]):
            return True
    return False


def _joined(data: bytes) -> bytes | bytearray:
    """The credentials of a file in one piece, where its format cuts them up; any other file as it is."""
    out, place = bytearray(), 2
    if data[:3] == b"\xff\xd8\xff":  # JPEG: segments APP11, of which all but the first repeat the head of the box
        while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != b"\xda":
            size = int.from_bytes(data[place + 2 : place + 4], "big")
            if data[place + 1] == 0xEB and data[place + 4 : place + 6] == b"JP":
                out += data[place + 12 + (8 if out else 0) : place + 2 + size]
            place += 2 + max(size, 2)
        return out
    if data[:3] == b"GIF" and (place := data.find(b"!\xff\x0bC2PA_GIF") + 14) > 13:  # GIF: blocks of 255 bytes
        while place < len(data) and data[place]:
            out += data[place + 1 : place + 1 + data[place]]
            place += 1 + data[place]
        return out
    return data


def _broken(data: bytes) -> bool:
    """Whether a PNG's chunk of credentials does not fit its checksum."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    place = 8
    while place + 12 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if kind == b"caBX":
            body = data[place + 4 : place + 8 + size]
            return zlib.crc32(body) != int.from_bytes(data[place + 8 + size : place + 12 + size], "big")
        place += 12 + size
    return False


def _free(data: bytes) -> bytes | bytearray:
    """What an MP4 or AVIF has in boxes without content, which no signature covers (C2PA 2.2, section 18.7)."""
    out, place, before = bytearray(), 0, False
    if data[4:8] != b"ftyp":
        return out
    while place + 8 <= len(data):
        size, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = place + size if size >= head else len(data)  # 0: up to the end of the file
        more = kind == b"uuid" and data[place + head : place + head + 16] == OF_C2PA
        if kind in (b"free", b"skip", b"mfra") or (more and before):
            out += data[place + head : end]
        before |= more
        place = end
    return out


def _id_of(recipe: Recipe | Work, notes: list[str]) -> str | None:
    """What a picture's watermark should say: as its recipe notes, for a newer Gesso may have made another of it."""
    try:
        return (recipe.written.id if recipe.written else None) or identify(recipe)
    except GessoError as error:  # longer, written as Gesso writes it, than any of Gesso's
        notes.append(_sentence(error))
    return None


def _recipe(path: Path, notes: list[str]) -> Recipe | Work | None:
    try:
        return read_recipe(path)
    except GessoError as error:
        if "is no" not in error.problem and _sentence(error) not in notes:
            notes.append(_sentence(error))
    return None


def _in_ledger(
    by: Imprint, path: Path, data: bytes, ids: tuple[str | None, ...], notes: list[str]
) -> tuple[dict[str, Any] | None, bool]:
    """What the log has of a file: that very one by its SHA-256, else that of its watermark or its recipe."""
    try:
        digest = sha256_of(path) if len(data) > MOST else hashlib.sha256(data).hexdigest()
        entry = by.ledger.find(digest, "sha256")
        if entry is not None:
            return entry, True
        for id in ids:
            if id is not None and (entry := by.ledger.find(id)) is not None:
                return entry, False
    except (GessoError, OSError) as error:
        notes.append(f"The ledger cannot be read: {error}.")
    return None, False


def _known(by: Imprint, instance: str) -> bool:
    """Whether a file of that instance was written here: then that very file is known, too."""
    try:
        return bool(instance) and by.ledger.find(instance, "instance") is not None
    except (GessoError, OSError):
        return False


def _sentence(error: GessoError) -> str:
    return error.problem
