"""What is known of a file, in sentences."""

from typing import TYPE_CHECKING

from gesso.marks.recipe import Recipe

if TYPE_CHECKING:
    from gesso.marks.verify import Verified

__all__ = ["words"]

FIRST = {
    "trusted": "Unchanged since it was signed, by one who is trusted here.",
    "valid": "Unchanged since it was signed, by one who is not known here.",
    "changed": "NOT as it was signed.",
    "marked": "Not signed: what it says of itself anyone may have written.",
    "unmarked": "It says nothing of where it is from.",
    "unreadable": "It cannot be read.",
}
KINDS = {
    "trainedAlgorithmicMedia": "a model drew it",
    "compositeWithTrainedAlgorithmicMedia": "a model drew a part of it",
    "composite": "a program put it together from given pictures",
    "algorithmicallyEnhanced": "a program corrected a given picture",
}


def words(found: "Verified") -> list[str]:
    """Sentences, the verdict first, then credentials, machine, recipe, watermark, ledger, replay, notes."""
    told = [FIRST[found.verdict], *_signed(found), *_machine(found), *_made(found)]
    if found.watermark is not None:
        told.append(f"Watermark: there, of the picture {found.watermark}.")
    elif found.looked:
        told.append("Watermark: none found.")
    return [_harmless(one) for one in (*told, *_logged(found), *_replayed(found), *found.notes)]


def _harmless(text: str) -> str:
    """A sentence with a stranger's words in it as one line, which no terminal takes for a command."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _signed(found: "Verified") -> list[str]:
    from gesso.marks.verify import WHY

    one = found.credentials
    if one.state == "none":
        return ["Content Credentials: none."]
    if one.state == "unreadable":
        return [f"Content Credentials: there, but not to be read ({one.problems[0] if one.problems else 'damaged'})."]
    by = f"signed by {one.signer or 'someone unnamed'}" + (f", {one.at[:16].replace('T', ' ')} UTC" if one.at else "")
    if not one.good:
        codes = [code for code in one.problems if code != "signingCredential.untrusted"]
        why = "; ".join(dict.fromkeys(WHY.get(code, code) for code in codes)) or "they do not hold"
        return [f"Content Credentials: do not hold: {why} ({by})."]
    more = f" With {one.generator}." if one.generator else ""
    made = f" Made from {', '.join(one.parents[:6])}." if one.parents else ""
    data = one.assertions.get("gesso.data")
    verdict = str(data.get("verdict") or "") if isinstance(data, dict) else ""
    rights = f" Of its model's pictures: {verdict[:1].lower()}{verdict[1:]}" if verdict else ""
    return [f"Content Credentials: hold; {by}.{more}{made}{rights}"]


def _machine(found: "Verified") -> list[str]:
    kind = KINDS.get(found.source or "", found.source or "")
    told = []
    if found.machine == "signed":
        told.append(f"Made by a machine: {kind}, by the signer's word.")
    elif found.machine == "said":
        told.append(f"Made by a machine: {kind or 'it says so'}, by its own word.")
    elif kind:
        told.append(f"Of its making it says: {kind}.")
    for one in found.aigc[:3]:
        said = {"1": "is", "2": "may be", "3": "is suspected to be"}[one.Label]
        told.append(f"AIGC label: it {said} made by AI, by {one.ContentProducer or 'someone unnamed'}.")
    return told


def _made(found: "Verified") -> list[str]:
    if isinstance(found.recipe, Recipe):
        recipe = found.recipe
        return [f"Recipe: gesso {recipe.task}, run {recipe.run} at step {recipe.step:,}, seed {recipe.seed}."]
    if found.recipe is not None:
        given = ", ".join([*found.recipe.inputs][:4])
        return [f"Recipe: gesso {found.recipe.task}{f', of {given}' if given else ''}, seed {found.recipe.seed}."]
    if found.settings is not None:
        return [f"Settings of drawing, by {found.settings.tool}, seed {found.settings.seed}."]
    return ["Recipe: none."]


def _logged(found: "Verified") -> list[str]:
    entry = found.ledger
    if entry is None:
        return ["Ledger: nothing of it was made here, as far as the log goes."]
    when = str(entry.get("at", ""))[:16].replace("T", " ")
    if found.written:
        return [f"Ledger: this very file was written here on {when} UTC."]
    stripped = (
        " It was signed then; it is not now." if entry.get("signed") and found.credentials.state == "none" else ""
    )
    return [f"Ledger: such a picture was made here on {when} UTC, but not this very file.{stripped}"]


def _replayed(found: "Verified") -> list[str]:
    if found.replay is None:
        return []
    return [f"Replay: {found.replay['words']}"]
