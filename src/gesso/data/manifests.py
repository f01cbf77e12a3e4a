"""What a file's Content Credentials (C2PA) say: who made it, by which kind of source, and what no model may do with it.

Assertions that are read: `stds.schema-org.CreativeWork` (C2PA 1), `c2pa.metadata` and `cawg.metadata` (JSON-LD of XMP's
properties), the actions' digital source type, and the training-mining assertions of C2PA and CAWG.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Manifest", "read_manifests"]

MIME = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "SVGZ": "image/svg+xml",
    "SVG": "image/svg+xml",
    "ICO": "image/x-icon",
}
# The uses that are training; 'ai_inference' alone is not.
TRAINING = ("ai_generative_training", "ai_training", "data_mining", "ai_inference_and_training")
METADATA = ("c2pa.metadata", "cawg.metadata")
DEEPEST = 4  # lists and objects within each other


@dataclass
class Manifest:
    """What the credentials say. marks: each do-not-train assertion in words; facts: the first of each property."""

    marks: list[str] = field(default_factory=list)
    creator: str = ""
    digital_source: str = ""
    facts: dict[str, str] = field(default_factory=dict)


def read_manifests(data: bytes, kind: str) -> Manifest:
    """The credentials in the bytes of one file, of all manifests in it, the active one first. Never raises.

    An edit does not lift a mark, so that those of earlier manifests count; damaged credentials are believed where they
    forbid. Nothing is fetched from elsewhere.
    """
    found = Manifest()
    try:
        import c2pa

        settings = c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}})
        with c2pa.Context(settings) as context:
            reader = c2pa.Reader(MIME.get(kind, f"image/{kind.lower()}"), io.BytesIO(data), context=context)
            with reader:
                store = json.loads(reader.json())
        manifests = store.get("manifests", {})
        active = manifests.get(store.get("active_manifest"))
        ordered = [*([active] if active else []), *(one for one in manifests.values() if one is not active)]
        for manifest in ordered:
            for assertion in manifest.get("assertions", []):
                _read(assertion, found, manifest is ordered[0])
    except Exception as error:
        if not found.marks and b"training-mining" in data and (b"notAllowed" in data or b"constrained" in data):
            found.marks = [f"C2PA training-mining (in Content Credentials that cannot be read: {type(error).__name__})"]
    return found


def _read(assertion: Any, found: Manifest, active: bool) -> None:
    """Add what one assertion says. active: whether it is of the manifest that is about the file as it is."""
    label, values = str(assertion.get("label", "")), assertion.get("data")
    if not isinstance(values, dict):
        return
    if ".training-mining" in label:
        found.marks += _forbidden(label, values)
    elif label.startswith("c2pa.actions"):
        kinds = [one.get("digitalSourceType") for one in values.get("actions") or [] if isinstance(one, dict)]
        found.digital_source = found.digital_source or next((_last(k) for k in kinds if isinstance(k, str) and k), "")
    elif active and label.startswith("stds.schema-org.CreativeWork"):
        authors = [one.get("name") for one in _several(values.get("author")) if isinstance(one, dict)]
        found.creator = found.creator or ", ".join(name for name in authors if isinstance(name, str))
    elif active and label.split("__")[0] in METADATA:
        for key, value in values.items():
            text = ", ".join(_texts(value, DEEPEST))
            if text and key != "@context":
                found.facts.setdefault(key.rpartition(":")[2].casefold(), text)
        found.creator = found.creator or found.facts.get("creator", "")
        found.digital_source = found.digital_source or _last(found.facts.get("digitalsourcetype", ""))


def _forbidden(label: str, values: dict[str, Any]) -> list[str]:
    entries = values.get("entries") or {}
    return [
        f"C2PA {label}: {use.rpartition('.')[2]} {rule.get('use')}"
        for use, rule in entries.items()
        if use.rpartition(".")[2] in TRAINING
        and isinstance(rule, dict)
        and rule.get("use") in ("notAllowed", "constrained")
    ]


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any, depth: int) -> Iterator[str]:
    """The texts in a value of JSON-LD: itself, those of a list, or those of an alternative by language."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner, depth - 1)


def _last(uri: str) -> str:
    """The term at the end of an address."""
    return uri.rstrip("/").rpartition("/")[2][:60]
