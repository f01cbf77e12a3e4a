"""What XMP says of a picture, and the label that Chinese law asks for, in it or beside it.

The mark of the IPTC (`Iptc4xmpExt:DigitalSourceType`, Photo Metadata Standard 2023.1), maker and rights (Dublin Core),
the recipe, and the implicit label of GB 45438-2025, annex E: JSON of seven text values in printable ASCII, exactly one
a file, in XMP as `TC260:AIGC`.
"""

import json
import re
from typing import Any, Literal
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from pydantic import ConfigDict, ValidationError

from gesso.options import Field, Options

__all__ = ["AIGC", "SOURCES", "Aigc", "aigc_in", "coded", "dump", "packet", "source_in"]

AIGC = "http://www.tc260.org.cn/ns/AIGC/1.0/"
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
LONGEST = 4096  # characters of a label


class Aigc(Options):
    """The implicit label of GB 45438-2025, annex E. The names are the standard's own."""

    model_config = ConfigDict(extra="ignore")

    Label: Literal["1", "2", "3"] = Field(description="1: it is made by AI; 2: it may be; 3: it is suspected to be.")
    ContentProducer: str = Field(default="", max_length=500, description="Name or code of who made it.")
    ProduceID: str = Field(default="", max_length=500, description="Number of this content, by who made it.")
    ReservedCode1: str = Field(default="", max_length=1000, description="For who made it, to guard the label.")
    ContentPropagator: str = Field(default="", max_length=500, description="Name or code of who passes it on.")
    PropagateID: str = Field(default="", max_length=500, description="Number of this content, by who passes it on.")
    ReservedCode2: str = Field(default="", max_length=1000, description="For who passes it on, to guard the label.")


def coded(text: str) -> str:
    """A text in the characters that values of the label may have (GB 45438-2025, 6.1 c): others as %XX of UTF-8."""
    allowed = "".join(chr(code) for code in (0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F)))
    return quote(text, safe=allowed)


def dump(label: Aigc) -> str:
    """The label as one line of JSON in printable ASCII."""
    return json.dumps(label.model_dump(), separators=(",", ":"))


def packet(
    version: str,
    source: str | None,
    *,
    recipe: str | None = None,
    aigc: Aigc | None = None,
    creator: str = "",
    rights: str = "",
) -> bytes:
    """An XMP packet. source: a term of the IPTC's vocabulary of digital source types; recipe: as JSON."""
    inside = ""
    if source is not None:
        inside += f"<Iptc4xmpExt:DigitalSourceType>{SOURCES}{escape(source)}</Iptc4xmpExt:DigitalSourceType>"
    if aigc is not None:
        inside += f"<TC260:AIGC>{escape(dump(aigc), {chr(34): '&quot;'})}</TC260:AIGC>"
    if creator:
        inside += f"<dc:creator><rdf:Seq><rdf:li>{_plain(creator)}</rdf:li></rdf:Seq></dc:creator>"
    if rights:
        inside += f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{_plain(rights)}</rdf:li></rdf:Alt></dc:rights>'
    if recipe is not None:
        inside += f"<gesso:recipe>{escape(recipe)}</gesso:recipe>"
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:gesso="urn:gesso:recipe:1:"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' xmlns:TC260="{AIGC}" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<xmp:CreatorTool>Gesso {escape(version)}</xmp:CreatorTool>{inside}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def source_in(xmp: str) -> str | None:
    """The term of the digital source type in XMP, such as 'trainedAlgorithmicMedia'; None without one."""
    found = re.search(re.escape(SOURCES).replace("http", "https?", 1) + r"(\w{1,60})", xmp)
    return found[1] if found else None


def aigc_in(*texts: str) -> list[Aigc]:
    """All AIGC labels in texts by anyone: XMP packets, texts `AIGC`, EXIF comments; damaged ones are passed over."""
    found = list[Aigc]()
    for text in texts:
        text = text[: 1 << 20]
        inner = [*re.findall(r"<(?:\w+:)?AIGC[^>]{0,200}>([^<]{2,9000})</", text)]
        for mark in "\"'":  # an attribute, in either kind of quotes
            inner += re.findall(rf"\bTC260:AIGC\s*=\s*{mark}([^{mark}]{{2,9000}}){mark}", text)
        for one in inner or [text]:
            label = _label(unescape(one, {"&quot;": '"', "&apos;": "'", "&#34;": '"', "&#x22;": '"'}))
            if label is not None:
                found.append(label)
    return found


def _label(text: str) -> Aigc | None:
    if len(text) > LONGEST or "Label" not in text:
        return None
    try:
        values: Any = json.loads(text.strip())
        if isinstance(values, dict) and isinstance(values.get("AIGC"), dict | str):
            inner = values["AIGC"]
            values = json.loads(inner) if isinstance(inner, str) else inner
        return Aigc.model_validate(values)
    except (ValueError, RecursionError, ValidationError):
        return None


def _plain(text: str) -> str:
    """A text as XML may hold it."""
    return escape("".join(letter for letter in text if letter.isprintable()))
