"""Whose marks are put onto what is written: the settings of a home, its identity, its ledger.

Which home that is, the context says (`gesso.marks.context`): no function that draws needs to know.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import ValidationError

from gesso import __version__
from gesso.errors import GessoError
from gesso.files import read_json, write_json
from gesso.marks.context import current
from gesso.marks.identity import Identity, given, own
from gesso.marks.label import Aigc, coded, packet
from gesso.marks.ledger import Ledger
from gesso.marks.recipe import TRAINED, Recipe, Source, Work, Written, as_json
from gesso.marks.visible import Corner
from gesso.options import Field, Options

__all__ = [
    "PROFILES",
    "Imprint",
    "MarkChoices",
    "Profile",
    "Stamp",
    "identify",
    "imprint",
    "read_choices",
    "save_choices",
]

Profile = Literal["none", "eu", "cn"]
PROFILES: dict[str, str] = {"none": "", "eu": "AI-generated", "cn": "AI生成"}
WHOLE = {
    "sample",
    "mix",
    "drag",
    "redraw",
    "translate",
    "invert",
}  # tasks that draw every pixel: others keep given ones
Picture = UInt8[np.ndarray, "h w c"]


class MarkChoices(Options):
    """What is written into and onto pictures, and in whose name."""

    profile: Profile = Field(default="none", description="Whose law the visible label follows: none, eu or cn.")
    text: str | None = Field(
        default=None, max_length=40, description="Words of the visible label; the law's if not given."
    )
    corner: Corner = Field(default="bottom-right", description="Where the visible label is.")
    producer: str = Field(default="", max_length=200, description="Name or code of who makes the pictures, for labels.")
    creator: str = Field(default="", max_length=200, description="Name of the maker that every picture carries.")
    rights: str = Field(default="", max_length=500, description="Copyright notice that every picture carries.")
    credentials: bool = Field(default=True, description="Sign pictures with Content Credentials.")
    watermark: bool = Field(default=True, description="Put an invisible watermark into pictures that a model drew.")
    ledger: bool = Field(default=True, description="Keep a log of what was made.")
    keep_days: int = Field(default=0, ge=0, le=36_500, description="Days for which the log is kept; 0: for ever.")
    key: Path | None = Field(
        default=None, description="Private key to sign with, PEM; one of Gesso's own if not given."
    )
    certificate: Path | None = Field(default=None, description="Certificates of that key, PEM, the signer's first.")
    anchors: Path | None = Field(default=None, description="Certificates of further signers to trust, PEM.")


@dataclass(frozen=True)
class Imprint:
    """The marks of a home."""

    home: Path
    choices: MarkChoices

    @property
    def folder(self) -> Path:
        """Where settings, key and ledger are."""
        return self.home / "marks"

    @property
    def identity(self) -> Identity:
        """Who signs; made at first use. Raises GessoError where it cannot be had."""
        key, certificate = self.choices.key, self.choices.certificate
        if key is None and certificate is None:
            return own(self.folder)
        if key is None or certificate is None:
            raise GessoError(
                "A key and its certificate go together.", "Name both: gesso marks --key K --certificate C."
            )
        return given(key.expanduser(), certificate.expanduser())

    @property
    def ledger(self) -> Ledger:
        """What was made here."""
        return Ledger(self.folder / "ledger", self.choices.keep_days)

    @property
    def producer(self) -> str:
        """Who makes the pictures, by the settings, else by the certificate, else by nothing but the program."""
        if self.choices.producer:
            return self.choices.producer
        return f"Gesso-{self.identity.print}" if self.choices.credentials else "Gesso"

    def stamp(
        self, recipe: Recipe | Work | None, source: Source | None, parents: Sequence[Path] = (), bare: bool = False
    ) -> "Stamp":
        """What one work is to carry. parents: files that it was made from; bare: the recipe and the source alone."""
        return Stamp(self, recipe, source, tuple(parents), bare)


@dataclass
class Stamp:
    """The marks of one work, in the order in which they are put on: pixels, texts, signature, ledger."""

    by: Imprint
    recipe: Recipe | Work | None
    source: Source | None
    parents: tuple[Path, ...]
    bare: bool
    id: str = ""
    text: str | None = None
    watermark: bool = False
    aigc: Aigc | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.id = identify(self.recipe) if self.recipe is not None else ""
        if not self.bare and self._generated:
            words = self.by.choices.text or PROFILES[self.by.choices.profile]
            self.text = words or None

    @property
    def _generated(self) -> bool:
        """Whether the labels of laws are due: a model drew some of it or, by China's wider word, a program made it."""
        return self.source in TRAINED or (self.source == "composite" and self.by.choices.profile == "cn")

    def on(self, image: Picture) -> Picture:
        """A picture with the visible label and the watermark that are due. image: premultiplied where c = 4."""
        if not self.id:
            self.id = hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()[:16]
        if self.text:
            from gesso.marks.visible import label

            image = label(image, self.text, self.by.choices.corner)
        if not self.bare and self.source in TRAINED and self.by.choices.watermark and self._task in WHOLE:
            from gesso.marks.watermark import embed

            marked = embed(image, int(self.id, 16))
            self.watermark, image = marked is not None, image if marked is None else marked
        return image

    def on_frames(self, frames: Sequence[Picture]) -> Sequence[Picture]:
        """The frames of a film with the visible label that is due."""
        if not self.id:
            self.id = hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in frames)).hexdigest()[:16]
        if not self.text:
            return frames
        from gesso.marks.visible import label_frames

        return label_frames(frames, self.text, self.by.choices.corner)

    def written(self, quality: int | None = None) -> Recipe | Work | None:
        """The recipe, with what was done to the pixels."""
        if self.recipe is None or (quality is None and not self.text and not self.watermark):
            return self.recipe
        corner = self.by.choices.corner if self.text else None
        said = self.id if self.watermark else None
        how = Written(quality=quality, label=self.text, corner=corner, watermark=self.watermark, id=said)
        self.recipe = self.recipe.model_copy(update={"written": how})
        return self.recipe

    def label(self) -> Aigc | None:
        """The AIGC label that is due: that of another maker where one was there already, else our own."""
        if self.bare or self.aigc is not None:
            return self.aigc
        from gesso.marks.reading import aigc_of

        theirs = next((found for path in self.parents if (found := aigc_of(path)) is not None), None)
        if self._generated:
            name = coded(self.by.producer)  # who makes it passes it on first: annex E, note 1
            self.aigc = Aigc(
                Label="1", ContentProducer=name, ProduceID=self.id, ContentPropagator=name, PropagateID=self.id
            )
        elif theirs is not None:
            self.aigc = theirs
        return self.aigc

    def packet(self, recipe: Recipe | Work | None) -> bytes:
        """The XMP packet. recipe: None where it is to be left out."""
        choices, told = self.by.choices, None if recipe is None else as_json(recipe)
        if self.bare:
            return packet(__version__, self.source, recipe=told)
        return packet(
            __version__, self.source, recipe=told, aigc=self.label(), creator=choices.creator, rights=choices.rights
        )

    def seal(self, data: bytes, suffix: str) -> bytes:
        """The finished file: signed, and noted in the ledger where it has a recipe."""
        if self.bare:
            return data
        from gesso.marks.credentials import SIGNED, sign, unsigned_id

        choices = self.by.choices
        logged = choices.ledger and self.recipe is not None
        instance = unsigned_id(data, logged)
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        signed = choices.credentials and suffix in SIGNED and (self.source is not None or bool(self.parents))
        if signed:
            data = sign(
                data, suffix, self.by.identity, at=at, source=self.source, task=self._task,
                assertions=self._assertions(), parents=self._roles(), author=choices.creator,
                watermark=self.id if self.watermark else None, instance=instance,
            )  # fmt: skip
        if logged:
            self.by.ledger.add(self._entry(data, suffix, instance, signed))
        return data

    @property
    def _task(self) -> str:
        return self.recipe.task if self.recipe is not None else ""

    def _assertions(self) -> dict[str, Any]:
        """What is known of the model, of the rights of its data, and of what was taken from a collection."""
        if self.recipe is None:
            return {}
        found: dict[str, Any] = {"gesso.work": {"id": self.id, "task": self.recipe.task, "seed": self.recipe.seed}}
        if isinstance(self.recipe, Recipe):
            names = ("run", "family", "step", "model")
            found["gesso.model"] = {name: getattr(self.recipe, name) for name in names}
            if self.recipe.rights is not None:
                found["gesso.data"] = self.recipe.rights.model_dump(mode="json", exclude_none=True)
        if self.recipe.taken is not None:
            taken = self.recipe.taken
            found["gesso.taken"] = {"data": taken.data, "fingerprint": taken.fingerprint, "share": taken.share}
        if self.recipe.original is not None:
            found["gesso.originality"] = self.recipe.original.model_dump(mode="json", exclude_none=True)
        return found

    def _roles(self) -> list[Any]:
        """The first given picture was edited, the others were looked at; of a composition all were placed."""
        from gesso.marks.credentials import Parent

        if self._task in ("compose", "gather"):
            return [Parent(path, "componentOf") for path in self.parents]
        return [Parent(path, "inputTo" if number else "parentOf") for number, path in enumerate(self.parents)]

    def _entry(self, data: bytes, suffix: str, instance: str, signed: bool) -> Mapping[str, Any]:
        assert self.recipe is not None
        return {
            "kind": "made", "id": self.id, "task": self.recipe.task, "suffix": suffix,
            "sha256": hashlib.sha256(data).hexdigest(), "instance": instance, "source": self.source,
            "signed": self.by.identity.print if signed else None, "watermark": self.watermark, "label": self.text,
            "recipe": json.loads(as_json(self.recipe)),
            "inputs": {path.name: str(path.absolute()) for path in self.parents},
        }  # fmt: skip


def identify(recipe: Recipe | Work) -> str:
    """The id of a work, 16 hexadecimal digits: the same recipe has the same one, however it was written."""
    plain = recipe.model_copy(update={"written": None, "original": None})
    return hashlib.sha256(as_json(plain).encode()).hexdigest()[:16]


def imprint() -> Imprint:
    """The marks that hold now, of the home of the context (`context.imprinting`), else of the default home.

    Raises GessoError where its settings are damaged.
    """
    home, changes = current()
    choices = read_choices(home)
    return Imprint(home, MarkChoices.of({**choices.model_dump(), **changes}) if changes else choices)


def read_choices(home: Path) -> MarkChoices:
    """The settings of a home; raises GessoError where they are damaged."""
    path = home / "marks" / "settings.json"
    try:
        at = path.stat()
    except OSError:
        return MarkChoices()
    return _read_choices(path, at.st_mtime_ns, at.st_size, at.st_ino)


def save_choices(home: Path, choices: MarkChoices) -> None:
    """Keep the settings of a home; raises GessoError where they cannot be written."""
    values = choices.model_dump(mode="json", exclude_defaults=True)
    write_json(home / "marks" / "settings.json", values)


@lru_cache(maxsize=8)
def _read_choices(path: Path, *_: int) -> MarkChoices:
    remedy = "Mend it, or remove it: then the settings are what they are at first."
    values = read_json(path)
    try:
        return MarkChoices.model_validate(values)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "all of it"
        raise GessoError(f"{path} is damaged: {where[:60]} does not fit.", remedy) from None
