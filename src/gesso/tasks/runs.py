"""`gesso list`: what there is in the home folder."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gesso.contract.task import Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options


class ListOptions(Options):
    """List the data sets and the runs of your home folder."""

    name: str = Field(default="", description="Only those whose name has this in it.")


class List(Task[ListOptions]):
    """The task."""

    name = "list"
    Options = ListOptions
    positional = ("name",)
    example = "gesso list"

    def run(self, options: ListOptions, home: Path) -> Iterator[Event]:
        """Read the records; the Result's facts hold `datasets` and `runs`, a dictionary each."""
        from gesso.data import open_pack, pack_names
        from gesso.store import list_runs

        wanted = options.name.casefold()
        packs, problems = [], []
        for name in pack_names(home):
            try:
                packs.append(open_pack(name, home))
            except GessoError as error:
                problems.append(str(error))
        runs = list_runs(home, problems)
        yield from (Message(problem, "warning") for problem in problems)
        sets: list[dict[str, Any]] = [
            {"name": p.name, "count": p.count, "width": p.width, "height": p.height, "channels": p.channels,
             "labels": len(p.labels)}
            for p in packs if wanted in p.name.casefold()
        ]  # fmt: skip
        trained: list[dict[str, Any]] = [
            {"number": r.number, "name": r.name, "family": r.family, "status": r.record.get("status", ""),
             "created": r.record.get("created", ""), "folder": str(r.root), "drawn": r.model.is_file()}
            for r in runs if wanted in r.root.name.casefold() or wanted in r.name.casefold()
        ]  # fmt: skip
        yield Result(_page(sets, trained, home, options.name), facts={"datasets": sets, "runs": trained})


def _page(sets: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]], home: Path, wanted: str) -> str:
    """Both lists for a person, in columns."""
    if not sets and not runs:
        if wanted:
            return f"Nothing in {home} has '{wanted}' in its name."
        return f"There is nothing in {home} yet. Begin with: gesso demo"
    colours = {1: "grey", 3: "colour", 4: "colour and alpha"}
    blocks = []
    if sets:
        rows = [
            (s["name"], f"{s['count']:,} pictures", f"{s['width']}×{s['height']}", colours.get(s["channels"], ""),
             f"{s['labels']} labels" if s["labels"] else "")
            for s in sets
        ]  # fmt: skip
        blocks.append(_block("Data sets", rows))
    if runs:
        rows = [
            (f"{r['number']:04d}", r["name"], r["family"], r["status"], _when(r["created"]),
             "" if r["drawn"] else "no model yet")
            for r in runs
        ]  # fmt: skip
        blocks.append(_block("Runs", rows))
    return "\n\n".join(blocks)


def _block(title: str, rows: Sequence[Sequence[str]]) -> str:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _when(text: str) -> str:
    """A day and a time, short; as it was where it is neither."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text
