"""What a run learns from, for its record: which files, and what their licences come to."""

from dataclasses import dataclass
from typing import Any

from gesso.data.terms import Report, of_record, report_of, together
from gesso.data.withdrawn import hashes_of
from gesso.store import Run
from gesso.store.seen import Seen, read_seen
from gesso.train.subject import Subject

__all__ = ["Provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from. data, source: the rights report of each of its data sets, as JSON values.

    whole: of both, and of what the run learned from which it begins; None where that is `data` alone. seen: the files.
    """

    data: dict[str, Any]
    source: dict[str, Any] | None
    whole: dict[str, Any] | None
    seen: Seen

    @classmethod
    def of(cls, subject: Subject, parent: Run | None = None) -> "Provenance":
        """Of what is learned from; held-out pictures are not. parent: the run that it begins with."""
        pack, other = subject.pack, subject.other
        data = report_of([pack.items[i] for i in subject.rows], pack.name, pack.fingerprint)
        source = report_of(other.items, other.name, other.fingerprint) if other else None
        before = _before(subject, parent) if parent else None
        whole = together([data, source, before]) if source or before else None
        return cls(data.facts(), source and source.facts(), whole and whole.facts(), _seen(subject, parent))


def _before(subject: Subject, parent: Run) -> Report | None:
    """What the pictures of the parent come to; None where it learned from the very same ones."""
    record = parent.record
    said = record.get("data") or {}
    same = said.get("fingerprint") == subject.pack.fingerprint and said.get("count") == len(subject.rows)
    # A fork without a report of the whole began with a run that learned from the very same ones, too.
    alone = "verdict" in (said.get("rights") or {}) and not record.get("rights")
    if same and not record.get("source") and (alone or not record.get("fork")):
        return None
    known = of_record(record)
    if known is None:
        known = Report.silent(
            str(record.get("name", "")), str(said.get("fingerprint", "")), int(said.get("count") or 1)
        )
    return known


def _seen(subject: Subject, parent: Run | None) -> Seen:
    paired = subject.view.sources is not None and subject.other is None
    own = {sha256 for i in subject.rows for sha256 in hashes_of(subject.pack.items[i], paired)}
    if subject.other is not None:
        own |= {sha256 for item in subject.other.items for sha256 in hashes_of(item, paired=False)}
    if parent is None:
        return Seen(frozenset(own))
    before = read_seen(parent.root)
    if before is None:
        return Seen(frozenset(own), whole=False)
    return Seen(frozenset(own), before.own | before.before, before.whole)
