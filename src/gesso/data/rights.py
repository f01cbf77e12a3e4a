"""Who made a picture and what may be done with it, as far as the file itself says.

Read are EXIF, IPTC-IIM and XMP, and the marks by which a maker says that no model may learn from a
picture: C2PA / CAWG training-mining assertions, PLUS DataMining, TDM reservation, and noai keywords.
"""

import json
import re
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any
from xml.etree import ElementTree

from PIL import Image, IptcImagePlugin

__all__ = ["Reservation", "Rights", "read_rights"]

MOST_XMP = 4 << 20  # bytes of XMP that are read
DC = "http://purl.org/dc/elements/1.1/"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
CC = "http://creativecommons.org/ns#"
MIME = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "SVGZ": "image/svg+xml",
    "SVG": "image/svg+xml",
    "ICO": "image/x-icon",
}
# The uses that are training; 'ai_inference' alone is not.
TRAINING = ("ai_generative_training", "ai_training", "data_mining", "ai_inference_and_training")
NOAI = re.compile(r"(?<![a-z])no[ _-]?(?:image[ _-]?)?ai(?![a-z])", re.IGNORECASE)


@dataclass
class Rights:
    """What the file says. marks: each do-not-train mark in words; the rest empty where the file is silent."""

    creator: str = ""
    rights: str = ""
    licence: str = ""
    marks: list[str] = field(default_factory=list)


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


def read_rights(data: bytes, kind: str, info: dict[str, Any], image: Image.Image | None) -> Rights:
    """All that the bytes of one picture say of rights. Never raises: damaged metadata says nothing.

    info: Pillow's metadata. image: the opened picture, for its EXIF and IPTC; None for an SVG.
    """
    found = Rights()
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
    # An SVG carries its credentials as text.
    if b"c2pa" in data and (b"jumb" in data or (kind == "SVG" and b"manifest" in data)):
        found.marks += _credentials(data, kind)
    found.marks = list(dict.fromkeys(found.marks))
    for name in ("creator", "rights", "licence"):
        setattr(found, name, " ".join(getattr(found, name).split())[:500])
    return found


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


def _read_xmp(packet: bytes, found: Rights) -> None:
    """Add what an XMP packet says; one that is not well-formed is still searched for marks."""
    try:
        root = ElementTree.fromstring(re.sub(rb"^[^<]*<\?xpacket.*?\?>|<\?xpacket.*?\?>", b"", packet, flags=re.DOTALL))
    except (ElementTree.ParseError, ValueError):
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
        elif (space == DC and low == "rights") or (space == RIGHTS and low == "usageterms"):
            found.rights = found.rights or value
        elif space == CC and low == "license":
            found.licence = found.licence or value


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
        value = resource or ", ".join(text.strip() for text in element.itertext() if text.strip())
        if value and name not in ("RDF", "Description", "xmpmeta", "svg", "metadata"):
            found.append((space, name, value.strip()))
    return found


def _read_exif(image: Image.Image, info: dict[str, Any], found: Rights) -> None:
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


def _read_iptc(image: Image.Image, found: Rights) -> None:
    try:
        records = IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]
    except Exception:  # as above
        return
    found.creator = found.creator or _plain(records.get((2, 80)))
    found.rights = found.rights or _plain(records.get((2, 116)))
    if NOAI.search(_plain(records.get((2, 25)))):
        found.marks.append("the keyword 'noai'")


def _plain(value: Any) -> str:
    """Metadata as text: bytes, text or a list of them."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_plain, value)))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""


def _credentials(data: bytes, kind: str) -> list[str]:
    """Do-not-train assertions in a file's Content Credentials, of any manifest in it: an edit does not lift a mark."""
    import io

    try:
        import c2pa

        settings = c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}})
        with c2pa.Context(settings) as context:
            reader = c2pa.Reader(MIME.get(kind, f"image/{kind.lower()}"), io.BytesIO(data), context=context)
            with reader:
                manifests = json.loads(reader.json()).get("manifests", {})
    except Exception as error:
        if b"training-mining" in data and (b"notAllowed" in data or b"constrained" in data):
            return [f"C2PA training-mining (in Content Credentials that cannot be read: {type(error).__name__})"]
        return []
    marks = []
    for manifest in manifests.values():
        for assertion in manifest.get("assertions", []):
            if ".training-mining" in str(assertion.get("label", "")):
                marks += _forbidden(assertion)
    return marks


def _forbidden(assertion: dict[str, Any]) -> list[str]:
    entries = (assertion.get("data") or {}).get("entries") or {}
    return [
        f"C2PA {assertion['label']}: {use.rpartition('.')[2]} {rule.get('use')}"
        for use, rule in entries.items()
        if use.rpartition(".")[2] in TRAINING
        and isinstance(rule, dict)
        and rule.get("use") in ("notAllowed", "constrained")
    ]
