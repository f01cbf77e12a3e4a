"""`gesso withdraw`: pictures out of a data set, and the runs that learned from them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gesso.contract.task import Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    from gesso.data import Pack
    from gesso.store import Run

__all__ = ["Withdraw", "WithdrawOptions"]

TRIES = 10  # to take pictures out of a data set that others edit meanwhile
SHORTEST = 8  # hexadecimal digits by which a file may be named


class WithdrawOptions(Options):
    """Withdraw pictures: take them out of a data set, and list the runs that learned from them.

    The pictures are removed from the data set, later imports pass over the same files, and every run is named that saw
    them, itself or through the run that it began with. Runs stay as they are: train anew without them, or remove them.
    """

    dataset: str = Field(min_length=1, description="Name of the data set.")
    picture: tuple[str, ...] = Field(
        min_length=1,
        description="Pictures, each by its file name, its number in the data set (from 0), or 8 or more digits of the "
        "SHA-256 of its file.",
    )
    reason: str = Field(default="", max_length=300, description="Why, for the list of what was withdrawn.")
    dry_run: bool = Field(default=False, description="Only list the runs; change nothing.")


class Withdraw(Task[WithdrawOptions]):
    """The task."""

    name: ClassVar[str] = "withdraw"
    Options = WithdrawOptions
    positional: ClassVar[tuple[str, ...]] = ("dataset", "picture")
    example: ClassVar[str] = "gesso withdraw flowers roses/12.jpg --reason 'asked by its maker'"

    def run(self, options: WithdrawOptions, home: Path) -> Iterator[Event]:
        """Find pictures and runs, note it, then take the pictures out; the Result's facts name runs and pictures."""
        from gesso.data import open_pack
        from gesso.data.withdrawn import withdrawn_in

        pack = open_pack(options.dataset, home)
        known = withdrawn_in(home)
        files: dict[str, str] = {}
        for word in options.picture:
            files |= _found(word, pack, known)
        rows = _rows(pack, files)
        problems: list[str] = []
        witness = _Witness(home, files, known, problems)
        elsewhere = [other.name for other in witness.packs if other.name != pack.name and witness.holds(other)]
        yield from (Message(problem, "warning") for problem in problems)
        drawn = _drawn(home, pack.name, witness)
        removed = not options.dry_run and _carry_out(pack, witness, options.reason, home)
        facts = {
            "dataset": pack.name, "dry_run": options.dry_run, "removed": removed,
            "pictures": [{"sha256": sha256, "source": source} for sha256, source in sorted(files.items())],
            "rows": list(rows), "runs": witness.saw, "unknown": witness.unknown, "elsewhere": elsewhere,
            "drawn": drawn,
        }  # fmt: skip
        yield Result(_page(facts, pack.count), facts=facts)


def _drawn(home: Path, dataset: str, witness: "_Witness") -> dict[str, int]:
    """How many works in the ledger are by these runs, and how many have patches of these files in them.

    dataset: where the files are, or were.
    """
    from gesso.data.withdrawn import hashes_of
    from gesso.finish.sources import NAMED
    from gesso.marks.imprint import Imprint, read_choices

    runs, wanted = {one["run"] for one in witness.saw}, set(witness.files)
    places = {(dataset, name[-NAMED:]) for name in witness.files.values()}
    for pack in witness.packs:
        if pack.name != dataset and witness.holds(pack):
            places |= {(pack.name, str(item.get("source"))[-NAMED:]) for item in pack.items if hashes_of(item) & wanted}
    found = {"by_runs": 0, "with_patches": 0}
    for entry in Imprint(home, read_choices(home)).ledger.entries():
        recipe = _mapping(entry.get("recipe"))
        taken = _mapping(recipe.get("taken"))
        listed = taken.get("parts")
        parts = listed if isinstance(listed, list) else []
        found["by_runs"] += str(recipe.get("run")) in runs
        found["with_patches"] += any(
            (str(taken.get("data")), str(_mapping(one).get("source"))) in places for one in parts
        )
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    """A value of the ledger, which anyone may have edited, if it is a mapping; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _rows(pack: "Pack", files: Mapping[str, str]) -> tuple[int, ...]:
    """Numbers of the pictures of a data set that are of some files, or have one for their source."""
    from gesso.data.withdrawn import hashes_of

    return tuple(i for i, item in enumerate(pack.items) if hashes_of(item) & set(files))


def _found(word: str, pack: "Pack", known: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """The files that a word names, SHA-256 → name: of the data set, or withdrawn before."""
    from gesso.errors import nearest

    names = {"source": "sha256", "paired_with": "paired_sha256"}
    pairs = [
        (str(item.get(name) or ""), str(item.get(sha256)))
        for item in pack.items for name, sha256 in names.items() if item.get(sha256)
    ]  # fmt: skip
    found = {sha256: name for name, sha256 in pairs if name == word}
    if not found and re.fullmatch(r"\d{1,12}", word) and int(word) < pack.count:
        item = pack.items[int(word)]
        found = {str(item["sha256"]): str(item.get("source") or "")} if item.get("sha256") else {}
    if not found and re.fullmatch(rf"[0-9a-fA-F]{{{SHORTEST},64}}", word):
        begins = word.lower()
        found = {sha256: name for name, sha256 in pairs if sha256.startswith(begins)}
        found = found or {one: str(entry.get("source") or "") for one, entry in known.items() if one.startswith(begins)}
    if not found:
        found = {sha256: name for name, sha256 in pairs if name.rpartition("/")[2] == word}
    if not found:
        found = {
            one: word for one, entry in known.items() if word == entry.get("source") and entry.get("data") == pack.name
        }
    if len(found) > 1 and len(set(found.values())) > 1:
        shown = ", ".join(sorted(found.values())[:4])
        raise GessoError(f"'{word[:80]}' could be any of several pictures: {shown}.", "Give the whole name.")
    if not found:
        remedy = nearest(word, [name for name, _ in pairs]) or "Give a file name, a number or a SHA-256."
        raise GessoError(f"There is no picture '{word[:80]}' in '{pack.name}'.", remedy)
    return found


def _carry_out(pack: "Pack", witness: "_Witness", reason: str, home: Path) -> bool:
    """Note what is withdrawn, then take it out: cut short between the two, the same command does the rest.

    Returns whether nothing was left, so that the data set is removed. Where others edit it meanwhile it begins anew.
    """
    from gesso.data import open_pack
    from gesso.data.editing import Changed, Drop, edit
    from gesso.data.withdrawn import note, remove

    told = {"data": pack.name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}
    files = sorted(witness.files.items())
    note(home, [{"sha256": one, "source": name, **told, "runs": witness.saw_it(one)} for one, name in files])
    for left in reversed(range(TRIES)):
        rows = _rows(pack, witness.files)
        try:
            if len(rows) == pack.count:
                remove(home, pack.name, pack.fingerprint)
                return True
            if rows:
                edit(home, pack.name, pack.fingerprint, [Drop(pictures=rows, why="withdrawn")])
            return False
        except Changed:
            if not left:
                raise
            pack = open_pack(pack.name, home)
    return False


@dataclass
class _Told:
    """What one run saw of some files. how: by what that is known; before: what the run saw that it began with.

    why: what keeps it from being told of the others; empty where it saw none of them.
    """

    own: set[str]
    how: str
    before: set[str] = field(default_factory=set)
    why: str = ""


@dataclass
class _Witness:
    """Who saw some files, SHA-256 → name. known: what was withdrawn before; problems: sentences, added to.

    saw: the runs that did, each with the files and how that is known: 'list' (its own), 'data' (its data set is still
    here, as it was), 'noted' (when they were withdrawn before), or 'parent' (the run that it began with). unknown: the
    runs of which it cannot be told, with the reason.
    """

    home: Path
    files: Mapping[str, str]
    known: Mapping[str, dict[str, Any]]
    problems: list[str]
    saw: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from gesso.store import list_runs

        told: dict[str, _Told] = {}
        for run in list_runs(self.home, self.problems):  # parents come before their forks: numbers only rise
            found = told[run.root.name] = self._of(run, told)
            entry = {"run": run.root.name, "number": run.number, "family": run.family}
            if seen := found.own | found.before:
                how = (
                    {"how": found.how} if found.own else {"how": "parent", "parent": str(run.record.get("fork"))[:200]}
                )
                self.saw.append({**entry, **how, "pictures": sorted(seen)})
            if found.why and set(self.files) - seen:
                self.unknown.append({**entry, "why": found.why})

    @cached_property
    def packs(self) -> "list[Pack]":
        """The data sets that are here."""
        from gesso.data import list_packs

        return list_packs(self.home)

    def holds(self, pack: "Pack") -> bool:
        """Whether a data set has one of the files; one that is damaged is said to be."""
        try:
            return bool(self._among(pack, range(pack.count), True))
        except GessoError as error:
            self.problems.append(str(error))
            return False

    def saw_it(self, sha256: str) -> list[str]:
        """The runs that saw one of the files."""
        return [one["run"] for one in self.saw if sha256 in one["pictures"]]

    def _of(self, run: "Run", told: Mapping[str, _Told]) -> _Told:
        """What one run saw. told: of the runs before it."""
        from gesso.store.seen import read_seen

        wanted, seen = set(self.files), read_seen(run.root)
        if seen is not None:
            found = _Told(wanted & seen.own, "list", wanted & seen.before)
            if seen.whole:
                return found
        else:
            found = self._by_data(run.record)
            if not found.own:
                noted = {one for one in wanted if run.root.name in (self.known.get(one, {}).get("runs") or ())}
                found = _Told(noted, "noted", why=found.why)
        parent = run.record.get("fork")
        if isinstance(parent, str) and parent:
            known = told.get(parent)
            if known is None:
                found.why = found.why or f"The run {parent[:80]} that it began with is gone."
            else:
                found.before |= known.own | known.before
                if known.why:
                    found.why = found.why or f"It began with {parent[:80]}, of which it cannot be told."
        return found

    def _by_data(self, record: Mapping[str, Any]) -> _Told:
        """Of a run that is older than lists of pictures: by its data sets, where they are as they were."""
        parts = [part for part in (record.get("data"), record.get("source")) if isinstance(part, Mapping)]
        facts = record.get("facts")
        paired = isinstance(facts, Mapping) and bool(facts.get("source")) and len(parts) < 2
        found = _Told(set(), "data", why="" if parts else "Its record does not tell what it learned from.")
        for i, part in enumerate(parts):
            pack = next((one for one in self.packs if one.fingerprint == part.get("fingerprint")), None)
            if pack is None:
                name = str(part.get("name", ""))[:80]
                found.why = f"It is older than lists of pictures, and its data set '{name}' has changed or is gone."
                continue
            try:
                held = float(part.get("held_out") or 0.0) if i == 0 else 0.0
                found.own |= self._among(pack, pack.split(held)[0], paired)
            except (GessoError, TypeError, ValueError) as error:
                found.why = f"Its data set or its record cannot be read: {error}"[:300]
        return found

    def _among(self, pack: "Pack", rows: Iterable[int], paired: bool) -> set[str]:
        """The files that are among some pictures of a data set; raises GessoError where that is damaged."""
        from gesso.data.withdrawn import hashes_of

        return set(self.files) & {sha256 for i in rows for sha256 in hashes_of(pack.items[i], paired)}


HOW = {
    "list": "it learned from them", "data": "it learned from them: its data set is as it was",
    "noted": "it learned from them, as was noted when they were withdrawn",
}  # fmt: skip


def _page(facts: Mapping[str, Any], count: int) -> str:
    """What was done, and which runs saw the pictures, in words."""
    files, rows, name = len(facts["pictures"]), len(facts["rows"]), facts["dataset"]
    if facts["dry_run"]:
        lines = [f"{rows:,} of {count:,} pictures of '{name}' would be taken out (files: {files:,})."]
    elif facts["removed"]:
        lines = [f"All {rows:,} pictures of '{name}' are withdrawn, so the data set is removed."]
    elif rows:
        lines = [f"{rows:,} of {count:,} pictures of '{name}' are withdrawn (files: {files:,})."]
    else:
        lines = [f"No picture of '{name}' is of the {files:,} files named; they were withdrawn before."]
    if facts["runs"]:
        lines.append("Runs that saw them; train anew without them, or remove them:")
        for one in facts["runs"]:
            said = HOW.get(one["how"]) or f"through the run that it began with, {one['parent']}"
            some = f" ({len(one['pictures']):,} of the {files:,} files)" if len(one["pictures"]) < files else ""
            lines.append(f"  {one['run']}: {said}{some}")
    else:
        lines.append("No run is known to have seen them.")
    if facts["unknown"]:
        lines.append("Runs of which it cannot be told:")
        lines += [f"  {one['run']}: {one['why']}" for one in facts["unknown"]]
    if facts["elsewhere"]:
        lines.append(f"The same files are in other data sets, too: {', '.join(facts['elsewhere'])}.")
    drawn = facts["drawn"]
    if any(drawn.values()):
        by, patched = drawn["by_runs"], drawn["with_patches"]
        lines.append(f"Works in the ledger: {by:,} by these runs, {patched:,} with patches of it in them.")
    return "\n".join(lines)
