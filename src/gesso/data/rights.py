"""Who made a picture and what may be done with it, as far as the file itself says.

Read are EXIF, IPTC-IIM, XMP and Content Credentials (`manifests`), and the marks by which a maker says that no model
may learn from a picture: C2PA / CAWG training-mining assertions, PLUS DataMining, TDM reservation, and noai keywords.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any
from xml.etree import ElementTree

from PIL import Image, IptcImagePlugin

from gesso.data.licences import known
from gesso.data.manifests import read_manifests

__all__ = ["Embedded", "Reservation", "read_rights"]

MOST_XMP = 4 << 20  # bytes of XMP that are read
DC = "http://purl.org/dc/elements/1.1/"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
CC = "http://creativecommons.org/ns#"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
LONGEST = 500  # characters of each that are kept
DEEPEST = 6  # elements within each other of which a property's text is
WRAPPING = re.compile(rb"^[^<]*<\?xpacket[^<>]{0,999}\?>|<\?xpacket[^<>]{0,999}\?>")
# Where a picture comes from, the surest first.
ORIGINS = ("source", "photoshop source", "credit", "statement", "licensor")
PLACES = {
    (RIGHTS, "usageterms"): "terms",
    (RIGHTS, "webstatement"): "statement",
    (DC, "source"): "source",
    (PHOTOSHOP, "source"): "photoshop source",
    (PHOTOSHOP, "credit"): "credit",
    (PLUS, "licensorurl"): "licensor",
}
NOAI = re.compile(r"(?<![a-z])no[ _-]?(?:image[ _-]?)?ai(?![a-z])", re.IGNORECASE)


@dataclass
class Embedded:
    """What the file says. marks: each do-not-train mark in words; the rest empty where the file is silent.

    licence: one that Gesso knows, or what is said in the place where a licence is said. origin: where the picture comes
    from. digital_source: the IPTC's term for how it came to be, such as 'trainedAlgorithmicMedia'. places: what of
    else names a licence or an origin, by where it stood.
    """

    creator: str = ""
    rights: str = ""
    licence: str = ""
    origin: str = ""
    digital_source: str = ""
    marks: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    def place(self, name: str, value: str) -> None:
        """Remember what stands in a place, the first time."""
        if value:
            self.places.setdefault(name, value)


class Reservation:
    """A site's tdmrep.json: which of its paths are reserved from text and data mining (TDMRep, W3C group report).

    Raises ValueError when the text is not such a file.
    """

    def __init__(self, text: str):
        rules = json.loads(text)
        rules = [rules] if isinstance(rules, dict) else rules
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ValueError("not a list of rules")
        self.rules: list[tuple[str, bool]] = []
        for rule in rules:
            reserved = str(rule.get("tdm-reservation", rule.get("tdm_reservation", 0))) == "1"
            self.rules.append((str(rule.get("location", "/")), reserved))
        # As in robots.txt, the longest rule that fits a path decides.
        self.rules.sort(key=lambda rule: len(rule[0]), reverse=True)

    def covers(self, path: str) -> bool:
        """Whether a path, relative to the folder that the file lies in, is reserved."""
        for location, reserved in self.rules:
            pattern = location.removesuffix("$") + ("" if location.endswith("$") else "*")
            if re.match(translate(pattern if pattern.startswith(("/", "*")) else "/" + pattern), "/" + path):
                return reserved
        return False


def read_rights(data: bytes, kind: str, info: dict[str, Any], image: Image.Image | None) -> Embedded:
    """All that the bytes of one picture say of rights. Never raises: damaged metadata says nothing.

    info: Pillow's metadata. image: the opened picture, for its EXIF and IPTC; None for an SVG.
    """
    found = Embedded()
    text = {str(k).lower(): v for k, v in info.items() if isinstance(v, str)}
    for packet in _packets(data, kind, info):
        _read_xmp(packet, found)
    if image is not None:
        _read_exif(image, info, found)
        if kind in ("JPEG", "TIFF"):
            _read_iptc(image, found)
    for key, value in text.items():
        if key in ("tdm-reservation", "tdm:reservation", "tdmreservation") and value.strip() == "1":
            found.marks.append("TDM reservation")
        elif key in ("keywords", "robots", "subject", "comment", "description") and NOAI.search(value):
            found.marks.append("the keyword 'noai'")
        elif key in ("author", "artist"):
            found.creator = found.creator or value.strip()
        elif key in ("copyright", "rights"):
            found.rights = found.rights or value.strip()
        elif key in ("license", "licence"):
            found.licence = found.licence or value.strip()
        elif key == "source":
            found.place("source", value.strip())
    # An SVG carries its credentials as text.
    if b"c2pa" in data and (b"jumb" in data or (kind == "SVG" and b"manifest" in data)):
        _read_credentials(data, kind, found)
    _conclude(found)
    return found


def _read_credentials(data: bytes, kind: str, found: Embedded) -> None:
    """Add what Content Credentials say; metadata beside them is nearer to the file as it is, and comes first."""
    told = read_manifests(data, kind)
    found.marks += told.marks
    found.creator = found.creator or told.creator
    found.digital_source = found.digital_source or told.digital_source
    found.rights = found.rights or told.facts.get("rights", "")
    found.licence = found.licence or told.facts.get("license", "")
    for name, key in (
        ("terms", "usageterms"),
        ("statement", "webstatement"),
        ("source", "source"),
        ("credit", "credit"),
    ):
        found.place(name, told.facts.get(key, ""))


def _conclude(found: Embedded) -> None:
    """Decide on licence and origin, and bring all to one line of bearable length."""
    for name in ("statement", "terms"):
        if not found.licence and known(found.places.get(name, "")) is not None:
            found.licence = found.places[name]
    notice = known(found.rights)
    # That all rights are reserved is a notice, and no licence: who imports the pictures may have another.
    if not found.licence and notice is not None and notice.name not in ("all-rights-reserved", "unknown"):
        found.licence = found.rights
    found.origin = next((found.places[name] for name in ORIGINS if name in found.places), "")
    found.rights = found.rights or found.places.get("terms", "")
    found.marks = list(dict.fromkeys(found.marks))
    for name in ("creator", "rights", "licence", "origin"):
        setattr(found, name, " ".join(getattr(found, name).split())[:LONGEST])
    found.digital_source = re.sub(r"\W", "", found.digital_source.rstrip("/").rpartition("/")[2])[:60]


def _packets(data: bytes, kind: str, info: dict[str, Any]) -> list[bytes]:
    """The XMP packets of a file, those that Pillow unpacked and those that lie open in its bytes."""
    packets = []
    for key in ("xmp", "XML:com.adobe.xmp"):
        value = info.get(key)
        if value:
            packets.append(value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))
    if kind == "SVG":
        packets.append(data)
    elif not packets:
        start = data.find(b"<x:xmpmeta")
        end = data.find(b"</x:xmpmeta>", start)
        if 0 <= start < end:
            packets.append(data[start : end + 12])
    return [packet.strip(b"\x00") for packet in packets if len(packet) <= MOST_XMP]


def _read_xmp(packet: bytes, found: Embedded) -> None:
    """Add what an XMP packet says; one that is not well-formed is still searched for marks."""
    try:
        root = ElementTree.fromstring(WRAPPING.sub(b"", packet))
    except Exception:  # it is damaged, or names an encoding that does not exist
        if b"DMI-PROHIBITED" in packet:
            found.marks.append("PLUS DataMining (in damaged XMP)")
        return
    for space, name, value in _properties(root):
        low = name.lower()
        if space == PLUS and low == "datamining" and "DMI-PROHIBITED" in value.upper():
            found.marks.append(f"PLUS {value.rpartition('/')[2]}")
        elif low in ("reservation", "tdm-reservation", "tdmreservation", "tdm_reservation"):
            if value == "1" and ("tdm" in space.lower() or low != "reservation"):
                found.marks.append("TDM reservation")
        elif space == DC and low == "subject" and NOAI.search(value):
            found.marks.append("the keyword 'noai'")
        elif space == DC and low == "creator":
            found.creator = found.creator or value
        elif space == DC and low == "rights":
            found.rights = found.rights or value
        elif space == CC and low == "license":
            found.licence = found.licence or value
        elif space == IPTC and low == "digitalsourcetype":
            found.digital_source = found.digital_source or value
        elif (space, low) in PLACES:
            found.place(PLACES[space, low], value)


def _properties(root: ElementTree.Element) -> list[tuple[str, str, str]]:
    """(namespace, name, value) of every property in XMP, written as attribute, element, list or resource."""
    found = []
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        for key, value in element.attrib.items():
            space, _, name = key.removeprefix("{").rpartition("}")
            if name != "resource":
                found.append((space, name, value.strip()))
        space, _, name = element.tag.removeprefix("{").rpartition("}")
        resource = next((v for k, v in element.attrib.items() if k.endswith("}resource")), "")
        value = resource or ", ".join(_texts(element, DEEPEST))
        if value and name not in ("RDF", "Description", "xmpmeta", "svg", "metadata"):
            found.append((space, name, value.strip()))
    return found


def _texts(element: ElementTree.Element, depth: int) -> Iterator[str]:
    """The texts in an element and in those within it, so deep: XMP has no deeper ones, and time is bounded."""
    if text := (element.text or "").strip():
        yield text
    for inner in element if depth else ():
        if isinstance(inner.tag, str):
            yield from _texts(inner, depth - 1)
        if text := (inner.tail or "").strip():
            yield text


def _read_exif(image: Image.Image, info: dict[str, Any], found: Embedded) -> None:
    if not ("exif" in info or "Raw profile type exif" in info or image.format == "TIFF"):
        return
    try:
        exif = image.getexif()
        artist, notice, keywords = exif.get(0x013B), exif.get(0x8298), exif.get(0x9C9E)
    except Exception:  # EXIF is damaged in every way that there is
        return
    found.creator = found.creator or _plain(artist)
    found.rights = found.rights or _plain(notice)
    words = keywords.decode("utf-16-le", "replace") if isinstance(keywords, bytes) else ""
    if NOAI.search(words):
        found.marks.append("the keyword 'noai'")


def _read_iptc(image: Image.Image, found: Embedded) -> None:
    try:
        records = IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]
    except Exception:  # as above
        return
    found.creator = found.creator or _plain(records.get((2, 80)))
    found.rights = found.rights or _plain(records.get((2, 116)))
    found.place("photoshop source", _plain(records.get((2, 115))))
    found.place("credit", _plain(records.get((2, 110))))
    if NOAI.search(_plain(records.get((2, 25)))):
        found.marks.append("the keyword 'noai'")


def _plain(value: Any) -> str:
    """Metadata as text: bytes, text or a list of them."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_plain, value)))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""
