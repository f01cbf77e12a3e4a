"""Data sets and runs as pages see them."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gesso.data import Pack, open_pack, pack_names
from gesso.data.terms import of_record
from gesso.errors import GessoError
from gesso.store import Run, list_runs

__all__ = ["dataset", "datasets", "drop", "run", "runs", "whole_dataset", "whole_run"]

_palettes: dict[str, list[str]] = {}  # by fingerprint: that of a set never changes


def datasets(home: Path) -> list[dict[str, Any]]:
    """All data sets, those that are damaged with what is wrong."""
    out = []
    for name in pack_names(home):
        try:
            out.append(dataset(open_pack(name, home)))
        except GessoError as error:
            out.append({"name": name, "problem": str(error)})
    return out


def dataset(pack: Pack) -> dict[str, Any]:
    """One, at a glance."""
    from gesso.data.editing import palette

    if pack.fingerprint not in _palettes:
        _palettes[pack.fingerprint] = palette(pack)
    picks = sorted({round(i * (pack.count - 1) / 3) for i in range(4)})
    return {
        "name": pack.name, "count": pack.count, "width": pack.width, "height": pack.height, "channels": pack.channels,
        "labels": list(pack.labels), "captions": sum(bool(text) for text in pack.captions), "pairs": pack.pairs,
        "fingerprint": pack.fingerprint, "created": pack.meta.get("created", ""), "bytes": size_of(pack.path),
        "rights": _rights(pack.rights()), "palette": _palettes[pack.fingerprint], "problem": None,
        "cover": [picture_url(pack, index) for index in picks],
    }  # fmt: skip


def whole_dataset(pack: Pack) -> dict[str, Any]:
    """One with the report of its import."""
    rejected = _json_lines(pack.path / "rejected.jsonl", 500)
    return {**dataset(pack), "report": pack.meta.get("summary", {}), "rejected": rejected}


def _rights(told: Mapping[str, Any]) -> dict[str, Any]:
    """What licences come to, at a glance. told: facts of a report (`gesso.data.terms`)."""
    glance = (
        "consent", "commercial", "derivatives", "attribution", "share_alike", "conflicts", "unknown", "verdict",
        "reasons",
    )  # fmt: skip
    return {
        "licences": dict(list(told["licences"].items())[:20]), "creators": told["creators"][:20],
        **{name: told[name] for name in glance},
    }  # fmt: skip


def picture_url(pack: Pack, index: int) -> str:
    """Where a page finds one of its pictures, for ever."""
    return f"/api/datasets/{pack.name}/pictures/{index}?v={pack.fingerprint[:8]}"


def item(pack: Pack, index: int) -> dict[str, Any]:
    """What is known of one of its pictures."""
    known = pack.items[index]
    size = known.get("size") or [pack.width, pack.height]
    words = ("label", "text", "source", "licence", "creator", "origin", "consent")
    return {
        "index": index, **{name: known.get(name) or "" for name in words}, "width": size[0], "height": size[1],
        "url": picture_url(pack, index),
    }  # fmt: skip


def runs(home: Path, jobs: Mapping[str, str]) -> list[dict[str, Any]]:
    """All runs, newest first, those that are damaged with what is wrong. jobs: running ones by the run's folder."""
    problems: list[str] = []
    found = [run(one, jobs) for one in reversed(list_runs(home, problems))]
    return [*found, *({"number": 0, "problem": problem} for problem in problems)]


def run(one: Run, jobs: Mapping[str, str]) -> dict[str, Any]:
    """One, at a glance."""
    record = one.record
    facts, total = record.get("facts") or {}, record.get("total") or 0
    samples = sorted(one.samples.glob("*.png")) if one.samples.is_dir() else []
    status = record.get("status", "new")
    working = one.holder() is not None
    if status == "training" and not working:  # killed: it can go on
        status = "stopped"
    spent = record.get("spent") or {}
    return {
        "number": one.number, "folder": one.root.name, "name": one.name, "family": one.family, "status": status,
        "created": record.get("created", ""), "total": total, "seen": _seen(one, samples),
        "minutes_spent": round(float(spent.get("seconds", 0)) / 60, 2) if isinstance(spent, dict) else None,
        "width": facts.get("width"), "height": facts.get("height"), "labels": list(facts.get("labels") or ()),
        "text": bool(facts.get("vocabulary")), "source": bool(facts.get("source")), "has_model": one.model.is_file(),
        "preview": f"/api/runs/{one.number}/samples/{samples[-1].name}" if samples else None,
        "best": record.get("best"), "warnings": record.get("warnings") or [], "stopped": record.get("stopped"),
        "bytes": size_of(one.root), "job": jobs.get(one.root.name), "problem": None,
    }  # fmt: skip


def whole_run(one: Run, jobs: Mapping[str, str]) -> dict[str, Any]:
    """One, with how it was begun, its grids, and its measures."""
    record = one.record
    samples = sorted(one.samples.glob("*.png")) if one.samples.is_dir() else []
    report, measures = of_record(record), None
    if (one.root / "measures.json").is_file():
        measures = json.loads((one.root / "measures.json").read_bytes())
    return {
        **run(one, jobs), "preset": record.get("preset"), "config": record.get("config") or {},
        "seed": record.get("seed"), "reasons": record.get("reasons") or [], "data": record.get("data") or {},
        "engine": record.get("engine") or {}, "measures": measures,
        "rights": None if report is None else {**_rights(report.facts()), "count": report.count},
        "samples": [
            {"seen": int(path.stem), "url": f"/api/runs/{one.number}/samples/{path.name}"}
            for path in samples if path.stem.isdecimal()
        ],
    }  # fmt: skip


def drop(folder: Path, trash: Path) -> None:
    """Out of sight in one step, then away."""
    trash.mkdir(parents=True, exist_ok=True)
    aside, number = trash / folder.name, 1
    while aside.exists():
        number += 1
        aside = trash / f"{folder.name}-{number}"
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:  # gone meanwhile
                continue
    return total


def _seen(one: Run, samples: list[Path]) -> int:
    """Pictures shown to it so far, as of its last save or grid."""
    try:
        latest = json.loads((one.root / "state" / "latest.json").read_bytes())
        saved = int(latest["facts"]["seen"])
    except (OSError, ValueError, KeyError, TypeError):
        saved = 0
    shown = int(samples[-1].stem) if samples and samples[-1].stem.isdecimal() else 0
    return max(saved, shown)


def _json_lines(path: Path, most: int) -> list[dict[str, Any]]:
    out = []
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                out.append(json.loads(line))
                if len(out) >= most:
                    break
    except (OSError, ValueError):
        return out
    return out
