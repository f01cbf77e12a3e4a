"""Content Credentials: who made a file, by what, from what, signed so that any later change shows (C2PA 2.2).

A picture that a model drew was *created*; one made from a given picture *opened* that and was *edited*, one put
together from several has *placed* them. What is known of the model and of its data's rights goes in as assertions of
Gesso's own. Thumbnails are left out. Nothing is fetched, neither here nor when credentials are read.
"""

import hashlib
import io
import json
import re
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from gesso import __version__
from gesso.errors import GessoError
from gesso.marks.identity import Identity
from gesso.marks.label import SOURCES

__all__ = ["MIME", "Credentials", "Parent", "read", "same", "sign", "unsigned_id"]

MIME = {
    "png": "image/png", "apng": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "avif": "image/avif", "gif": "image/gif", "mp4": "video/mp4", "tif": "image/tiff", "tiff": "image/tiff",
    "svg": "image/svg+xml", "heic": "image/heic", "heif": "image/heif", "wav": "audio/wav", "mp3": "audio/mpeg",
}  # fmt: skip
SIGNED = ("png", "apng", "jpg", "jpeg", "webp", "avif", "gif", "mp4")  # kinds that are written and can carry them
INSTANCE = re.compile(rb"xmp:iid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOST_PARENTS = 32  # that are named one by one
LARGEST_PARENT = 1 << 27  # bytes of a parent that is read
WATERMARK = "gesso.tiles.1"
_lock = threading.Lock()


@dataclass(frozen=True)
class Parent:
    """A file that a work was made from. role: parentOf (it was edited), componentOf (placed), inputTo (looked at)."""

    path: Path
    role: str


@dataclass(frozen=True)
class Credentials:
    """What a file's credentials say, and whether they hold.

    state: none (it carries none), valid, trusted (valid, and signed by one who is trusted here), invalid, unreadable.
    problems: codes of C2PA for what does not hold; actions: what was done; parents: names of what it was made from;
    assertions: by label, of the active manifest.
    """

    state: str
    signer: str = ""
    serial: str = ""
    at: str = ""
    generator: str = ""
    title: str = ""
    problems: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    source: str | None = None
    parents: tuple[str, ...] = ()
    assertions: Mapping[str, Any] = field(default_factory=dict)
    instance: str = ""

    @property
    def good(self) -> bool:
        """Whether they hold."""
        return self.state in ("valid", "trusted")


def sign(
    data: bytes,
    suffix: str,
    identity: Identity,
    *,
    at: str,
    source: str | None,
    task: str = "",
    assertions: Mapping[str, Any] | None = None,
    parents: Sequence[Parent] = (),
    watermark: str | None = None,
    author: str = "",
    instance: str | None = None,
) -> bytes:
    """The same file with Content Credentials, which must be the last thing that is done to it.

    suffix: of `SIGNED`. at: when, ISO 8601. source: term of the IPTC's digital source types. assertions: by label.
    watermark: the payload in the pixels, hexadecimal. instance: what `unsigned_id` made of the file.
    Raises GessoError where the key refuses.
    """
    import c2pa

    kept = [parent for parent in parents if parent.path.is_file()][:MOST_PARENTS]
    ingredients = [(f"from{number}", parent) for number, parent in enumerate(kept)]
    actions = _actions(at, source, task, ingredients)
    made: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]
    made += [{"label": label, "data": values} for label, values in (assertions or {}).items()]
    if watermark is not None:  # no soft binding of C2PA's own: for that, a watermark must be on its list of algorithms
        made.append({"label": "gesso.watermark", "data": {"method": WATERMARK, "id": watermark}})
    if author:
        person = {"@type": "Person", "name": author}
        work = {"@context": "https://schema.org", "@type": "CreativeWork", "author": [person]}
        made.append({"label": "stds.schema-org.CreativeWork", "data": work, "kind": "Json"})
    manifest = {
        "claim_generator_info": [{"name": "Gesso", "version": __version__}],
        "instance_id": instance or unsigned_id(data), "assertions": made,
    }  # fmt: skip
    out = io.BytesIO()
    try:
        with _lock:
            signer, context = _tools(identity)
            with c2pa.Builder(json.dumps(manifest), context) as builder:
                for label, parent in ingredients:
                    _add(builder, label, parent)
                builder.sign(signer, MIME[suffix], io.BytesIO(data), out)
    except c2pa.C2paError as error:
        raise GessoError(
            f"The Content Credentials could not be signed: {str(error)[:300]}.",
            "Let Gesso make a key of its own (gesso marks --own-identity), or leave them out (--credentials off).",
        ) from None
    return out.getvalue()


def unsigned_id(data: bytes, logged: bool = False) -> str:
    """The instance id of a file before it is signed: the same for the same bytes, but another for those in a ledger."""
    digest = hashlib.sha256(data + (b"logged" if logged else b"")).digest()
    return f"xmp:iid:{uuid.UUID(bytes=digest[:16], version=4)}"


def same(one: bytes, other: bytes) -> bool:
    """Whether two files are the same but for their signatures, which differ every time."""
    if one == other:
        return True
    if len(one) != len(other):
        return False
    ids = [INSTANCE.findall(data)[-1:] for data in (one, other)]  # a file's own comes after those of its parents
    return bool(ids[0]) and ids[0] == ids[1] and read_bytes(one).good and read_bytes(other).good


def read(path: Path, anchors: str = "") -> Credentials:
    """The credentials of a file, checked. anchors: certificates in PEM of those who are trusted. Never raises."""
    mime = MIME.get(path.suffix.lower().lstrip("."))
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(0)
            return _read(_sniffed(head) or mime or "image/png", file, anchors)
    except OSError:
        return Credentials("unreadable", problems=("file cannot be read",))


def read_bytes(data: bytes, anchors: str = "") -> Credentials:
    """The same, of a file's bytes."""
    return _read(_sniffed(data[:16]) or "image/png", io.BytesIO(data), anchors)


def _read(mime: str, stream: Any, anchors: str) -> Credentials:
    import c2pa

    try:
        with c2pa.Reader(mime, stream, context=_context(anchors)) as reader:
            told: Any = json.loads(reader.json())
            state = str(reader.get_validation_state())
    except Exception as error:  # whatever a hostile file makes of it
        kinds: Any = c2pa.C2paError
        if isinstance(error, kinds.ManifestNotFound | kinds.NotSupported):
            return Credentials("none")
        return Credentials("unreadable", problems=(_short(error),))
    try:
        return _credentials(told, state)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Credentials("unreadable", problems=("it is not in the form of C2PA",))


def _credentials(told: dict[str, Any], state: str) -> Credentials:
    manifest: dict[str, Any] = told["manifests"][told["active_manifest"]]
    signature = manifest.get("signature_info") or {}
    results = (told.get("validation_results") or {}).get("activeManifest") or {}
    problems = [str(one.get("code")) for one in results.get("failure", [])]
    assertions = {str(one.get("label")): one.get("data") for one in manifest.get("assertions", [])}
    actions = [one for label, data in assertions.items() if label.startswith("c2pa.actions") for one in data["actions"]]
    sources = [str(one["digitalSourceType"]) for one in actions if one.get("digitalSourceType")]
    known = {"Valid": "valid", "Trusted": "trusted"}.get(state, "invalid")
    parents = [str(one.get("title") or one.get("format") or "a file") for one in manifest.get("ingredients", [])]
    return Credentials(
        known, str(signature.get("issuer", ""))[:200], str(signature.get("cert_serial_number", ""))[:80],
        str(signature.get("time") or next((one["when"] for one in actions if one.get("when")), ""))[:40],
        _generator(manifest), str(manifest.get("title") or "")[:200], tuple(dict.fromkeys(problems)),
        tuple(str(one.get("action")) for one in actions)[:64], sources[-1].rpartition("/")[2] if sources else None,
        tuple(parents)[:64], assertions, str(manifest.get("instance_id") or ""),
    )  # fmt: skip


def _generator(manifest: dict[str, Any]) -> str:
    info = manifest.get("claim_generator_info") or []
    if info:
        return f"{info[0].get('name', '')} {info[0].get('version', '')}".strip()[:200]
    return str(manifest.get("claim_generator") or "")[:200]


def _actions(at: str, source: str | None, task: str, ingredients: list[tuple[str, Parent]]) -> list[dict[str, Any]]:
    """What was done, in order: opened and edited, or created and placed."""
    by: dict[str, Any] = {"when": at, "softwareAgent": {"name": "Gesso", "version": __version__}}
    how = {"parameters": {"gesso.task": task}} if task else {}
    kind = {"digitalSourceType": SOURCES + source} if source else {}
    named = {
        role: [label for label, parent in ingredients if parent.role == role] for role in ("parentOf", "componentOf")
    }
    looked = [label for label, parent in ingredients if parent.role == "inputTo"]

    def of(labels: list[str]) -> dict[str, Any]:
        return {"parameters": {**how.get("parameters", {}), "ingredientIds": labels}} if labels else how

    actions: list[dict[str, Any]] = []
    if named["parentOf"]:
        actions.append({"action": "c2pa.opened", "when": at, "parameters": {"ingredientIds": named["parentOf"]}})
        actions.append({"action": "c2pa.edited", **by, **kind, **of(looked)})
    else:
        made = {"digitalSourceType": SOURCES + (source or "composite")}
        actions.append({"action": "c2pa.created", **by, **made, **of(looked)})
    placed = named["componentOf"]
    return actions + [{"action": "c2pa.placed", "when": at, "parameters": {"ingredientIds": [one]}} for one in placed]


def _add(builder: Any, label: str, parent: Parent) -> None:
    """A parent with its own credentials where they can be read; else its name alone."""
    title = parent.path.name[-200:].encode(errors="replace").decode()  # C2PA takes no names that are no Unicode
    values = {"title": title, "relationship": parent.role, "label": label}
    mime = MIME.get(parent.path.suffix.lower().lstrip("."))
    with suppress(Exception):  # one that is damaged, or of a kind that C2PA does not know
        if mime is not None and parent.path.stat().st_size <= LARGEST_PARENT:
            with parent.path.open("rb") as file:
                builder.add_ingredient(json.dumps(values), _sniffed(file.read(16)) or mime, _again(file))
            return
    builder.add_ingredient(json.dumps(values), "application/octet-stream", io.BytesIO(b""))


def _again(file: Any) -> Any:
    file.seek(0)
    return file


def _sniffed(head: bytes) -> str | None:
    """The kind of a file by its first bytes: names lie."""
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return MIME["png"]
    if head[:3] == b"\xff\xd8\xff":
        return MIME["jpg"]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return MIME["webp"]
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return MIME["gif"]
    if head[4:8] == b"ftyp":
        return {b"avif": MIME["avif"], b"avis": MIME["avif"], b"heic": MIME["heic"]}.get(head[8:12], MIME["mp4"])
    return None


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200].replace("\n", " ")


@lru_cache(maxsize=4)
def _tools(identity: Identity) -> tuple[Any, Any]:
    """What signs, and its settings: no thumbnails, no second reading."""
    import c2pa

    algorithm = c2pa.C2paSigningAlg[identity.algorithm.upper()]
    signer = c2pa.Signer.from_callback(identity.sign, algorithm, identity.chain, None)
    values = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False, **_OFFLINE}}
    return signer, c2pa.Context(c2pa.Settings.from_dict(values))


_OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}


@lru_cache(maxsize=8)
def _context(anchors: str) -> Any:
    import c2pa

    values: dict[str, Any] = {"verify": {**_OFFLINE, "verify_trust": True}}
    if anchors.strip():
        values["trust"] = {"user_anchors": anchors}
    return c2pa.Context(c2pa.Settings.from_dict(values))
