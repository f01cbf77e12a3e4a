"""`gesso marks`: what is written into and onto pictures, and in whose name."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    from gesso.marks.imprint import Imprint

Switch = Literal["on", "off"]
FILES = ("key", "certificate", "anchors")
SWITCHES = ("credentials", "watermark", "ledger")


class MarksOptions(Options):
    """Show and change what marks pictures get: whose law their label follows, who signs, what is kept.

    What is not named stays as it is; an empty text takes away what was said. Every picture that leaves Gesso is marked
    so from then on. docs/law.md tells what laws ask.
    """

    profile: Literal["none", "eu", "cn"] | None = Field(
        default=None, description="Whose law the visible label of made pictures follows; none: there is no label."
    )
    text: str | None = Field(
        default=None, max_length=40, description="Words of the visible label, instead of the law's."
    )
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right", "bottom"] | None = Field(
        default=None, description="Where the visible label is."
    )
    producer: str | None = Field(
        default=None, max_length=200, description="Name or code of who makes the pictures, for the AIGC label."
    )
    creator: str | None = Field(default=None, max_length=200, description="Maker that every picture names.")
    rights: str | None = Field(default=None, max_length=500, description="Copyright notice of every picture.")
    credentials: Switch | None = Field(default=None, description="Sign pictures with Content Credentials.")
    watermark: Switch | None = Field(default=None, description="Invisible watermark in pictures that a model drew.")
    ledger: Switch | None = Field(default=None, description="Keep a log of what was made.")
    keep_days: int | None = Field(default=None, ge=0, le=36_500, description="Days to keep the log; 0: for ever.")
    key: Path | None = Field(default=None, description="Private key to sign with, a PEM file.")
    certificate: Path | None = Field(
        default=None, description="Certificates of that key, a PEM file, the signer's first."
    )
    anchors: Path | None = Field(default=None, description="Certificates of further signers to trust, a PEM file.")
    own_identity: bool = Field(default=False, description="Sign with a key that Gesso made, not with your own.")


class Marks(Task[MarksOptions]):
    """The task."""

    name = "marks"
    Options = MarksOptions
    example = "gesso marks --profile eu --creator Ada"

    def run(self, options: MarksOptions, home: Path) -> Iterator[Event]:
        """Change what is named, and tell how it is then."""
        from gesso.marks.imprint import Imprint, MarkChoices, read_choices, save_choices

        before = read_choices(home)
        wanted = {
            name: value for name, value in options.model_dump(exclude={"own_identity"}).items() if value is not None
        }
        changes: dict[str, Any] = {name: value == "on" if name in SWITCHES else value for name, value in wanted.items()}
        changes |= {name: _place(changes[name]) for name in FILES if name in changes}
        if "text" in changes:
            changes["text"] = changes["text"].strip() or None
        if options.own_identity:
            if options.key is not None or options.certificate is not None:
                raise GessoError("--own-identity and --key exclude each other.", "Leave one of them out.")
            changes |= {"key": None, "certificate": None}
        after = MarkChoices.of({**before.model_dump(), **changes})
        found = Imprint(home, after)
        if after.credentials:
            _ = found.identity  # which says what is wrong with it, before anything is kept
        if changes.get("anchors") is not None:
            from gesso.marks.identity import check_anchors

            check_anchors(changes["anchors"])
        if after.text:
            from gesso.marks.visible import check_label

            check_label(after.text)
        if after != before:
            save_choices(home, after)
            yield Message("Kept.")
        yield Result("\n".join(_words(found)), (), _facts(found))


def _place(file: Path) -> Path | None:
    """A file wherever one is; None for an empty name."""
    return None if file == Path() else file.expanduser().absolute()


def _words(found: "Imprint") -> list[str]:
    """How things are, a sentence each."""
    from gesso.marks.imprint import PROFILES

    choices, told = found.choices, list[str]()
    label = choices.text or PROFILES[choices.profile]
    told.append(
        f"Visible label: '{label}', {choices.corner}." if label else "Visible label: none (--profile eu or cn)."
    )
    told.append(f"AIGC label: in the name of '{found.producer}'.")
    if choices.credentials:
        who = found.identity
        whose = "your own key" if choices.key is not None else "a key that Gesso made for you"
        told.append(f"Content Credentials: signed by {who.name}, with {whose}, good until {who.until:%Y-%m-%d}.")
    else:
        told.append("Content Credentials: none.")
    told.append(f"Watermark: {'in what a model drew' if choices.watermark else 'none'}.")
    kept = f"kept for {choices.keep_days:,} days" if choices.keep_days else "kept for ever"
    told.append(f"Ledger: {kept}, in {found.ledger.folder}." if choices.ledger else "Ledger: none.")
    named = [f"by {choices.creator}" if choices.creator else "", choices.rights]
    return [*told, *([f"Every picture says: {', '.join(filter(None, named))}."] if any(named) else [])]


def _facts(found: "Imprint") -> dict[str, Any]:
    facts = found.choices.model_dump(mode="json")
    if found.choices.credentials:
        who = found.identity
        facts["identity"] = {
            "name": who.name,
            "algorithm": who.algorithm,
            "until": f"{who.until:%Y-%m-%d}",
            "print": who.print,
        }
    return facts
