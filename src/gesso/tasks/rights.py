"""`gesso rights`: what may be done with a data set and what was made of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from gesso.contract.task import Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    from gesso.data import Pack
    from gesso.data.terms import Report

__all__ = ["RightsOptions", "RightsTask"]

SAID = ("licence", "creator", "origin", "consent")


class RightsOptions(Options):
    """Tell what may be done with a data set and what is made of it, as its licences say.

    The strictest licence wins; pictures without a licence leave it open. Of a run it is told what its pictures said
    when it was trained. With --licence, --creator, --origin or --consent that is said of the pictures by hand; an empty
    text takes away what was said. It is no advice in law.
    """

    dataset: str = Field(
        min_length=1, max_length=400, description="Name of the data set; or a run, by its number or name."
    )
    licence: str | None = Field(default=None, max_length=500, description="Say that they are under this licence.")
    creator: str | None = Field(default=None, max_length=500, description="Say who made them.")
    origin: str | None = Field(default=None, max_length=500, description="Say where they come from.")
    consent: str | None = Field(default=None, max_length=500, description="Say whose consent there is for training.")
    only: str = Field(
        default="", max_length=300, description="Only the pictures whose label or file name has all these words in it."
    )

    @model_validator(mode="after")
    def _lines(self) -> Self:
        for name in SAID:
            value = getattr(self, name)
            if value is not None and not value.isprintable():
                raise ValueError(f"{name} is one line of text")
        return self


class RightsTask(Task[RightsOptions]):
    """The task."""

    name: ClassVar[str] = "rights"
    Options = RightsOptions
    positional: ClassVar[tuple[str, ...]] = ("dataset",)
    example: ClassVar[str] = "gesso rights flowers --only meadow --licence CC-BY-4.0 --creator Ada"

    def run(self, options: RightsOptions, home: Path) -> Iterator[Event]:
        """Say what is to be said, and count; the Result's facts are the report."""
        from gesso.data import open_pack, pack_names

        said = {name: getattr(options, name) for name in SAID if getattr(options, name) is not None}
        if options.dataset not in pack_names(home):
            yield from _of_run(options, home, bool(said))
            return
        pack = open_pack(options.dataset, home)
        chosen = _chosen(pack, options.only)
        if said:
            yield from _before(pack, chosen, said)
            pack = _changed(pack, chosen, said, home)
            chosen = range(pack.count)
        report = _counted(pack, chosen)
        what = f"The data set '{pack.name}'" if len(chosen) == pack.count else f"Some pictures of '{pack.name}'"
        facts = {**report.facts(), "dataset": pack.name, "changed": sorted(said)}
        yield Result(_page(f"{what}: {len(chosen):,} pictures", report), facts=facts)


def _of_run(options: RightsOptions, home: Path, said: bool) -> Iterator[Event]:
    """What a run's data said when it was trained."""
    from gesso.data import pack_names
    from gesso.data.terms import of_record
    from gesso.errors import nearest
    from gesso.store import Run

    try:
        run = Run.open(home, options.dataset)
    except GessoError:
        near = nearest(options.dataset, pack_names(home)) or "See what there is with: gesso list"
        raise GessoError(f"There is no data set and no run '{options.dataset[:80]}'.", near) from None
    if said or options.only:
        raise GessoError(
            f"'{run.root.name}' is a run: what its pictures said when it was trained is not changed.",
            f"Say it of its data set: gesso rights {run.name} …",
        )
    report = of_record(run.record)
    if report is None:
        problem = f"Nothing was noted of the licences when run {run.root.name} was trained."
        raise GessoError(problem, f"See its data set as it is now: gesso rights {run.name}")
    facts = {**report.facts(), "run": run.root.name, "number": run.number}
    yield Result(_page(f"Run {run.root.name}, as its pictures said when it was trained", report), facts=facts)


def _chosen(pack: "Pack", only: str) -> Sequence[int]:
    """Numbers of the pictures that are meant."""
    words = only.casefold().split()
    texts = (f"{item.get('label') or ''} {item.get('source') or ''}".casefold() for item in pack.items)
    found = [i for i, text in enumerate(texts) if all(word in text for word in words)]
    if not found:
        problem = f"No picture of '{pack.name}' has '{only[:80]}' in its label or file name."
        raise GessoError(problem, f"It has labels such as {', '.join(pack.labels[:5])}." if pack.labels else "")
    return found


def _counted(pack: "Pack", rows: Sequence[int]) -> "Report":
    from gesso.data.terms import report_of

    return report_of([pack.items[i] for i in rows], pack.name, pack.fingerprint)


def _before(pack: "Pack", rows: Sequence[int], said: dict[str, str]) -> Iterator[Event]:
    """What was said otherwise until now, so that nobody overwrites it unawares."""
    for name, value in said.items():
        other = Counter(str(pack.items[i][name]) for i in rows if pack.items[i].get(name))
        other.pop(value, None)
        if other:
            shown = ", ".join(f"'{text[:60]}' ({count:,})" for text, count in other.most_common(3))
            more = f" and {len(other) - 3:,} others" if len(other) > 3 else ""
            yield Message(
                f"The {name} of {sum(other.values()):,} pictures was another until now: {shown}{more}.", "warning"
            )


def _changed(pack: "Pack", rows: Sequence[int], said: dict[str, str], home: Path) -> "Pack":
    from gesso.data.editing import Set, edit

    return edit(home, pack.name, pack.fingerprint, [Set.of({"pictures": tuple(rows), **said})])


def _page(title: str, report: "Report") -> str:
    """The report in words."""
    lines = [title, f"  {report.verdict}", *(f"  - {reason}" for reason in report.reasons)]
    if report.attribution and len(report.credits) > 5:
        names: list[Any] = [name for name, _ in report.credits.most_common(100)]
        lines.append(f"  To be named: {', '.join(names)}" + (" …" if len(report.credits) > 100 else ""))
    if report.origins:
        places = ", ".join(f"{name} ({count:,})" for name, count in report.origins.most_common(5))
        lines.append(f"  They come from {places}" + (" …" if len(report.origins) > 5 else ""))
    return "\n".join(lines)
