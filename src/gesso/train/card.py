"""The model card of a run: what it is, what it learned from, how to use it (Mitchell et al. 2019)."""

from typing import Any

from gesso.files import write_text
from gesso.store import Run


def write_card(run: Run, paper: str) -> None:
    """Write README.md into the folder of a run, from its record."""
    record, facts = run.record, run.record["facts"]
    size = f"{facts['width']}×{facts['height']}"
    kinds = {1: "grey", 3: "RGB", 4: "RGB with transparency"}
    last = max(run.samples.glob("*.png"), default=None)
    lines = [
        f"# {run.name} · {run.family}",
        "",
        *([f"![Drawn from fixed seeds](samples/{last.name})", ""] if last else []),
        f"- **What it is**: a generator of {kinds[facts['channels']]} pictures, {size} pixels, made with Gesso.",
        f"- **Learned from**: {record['data']['count']:,} pictures, data set '{record['data']['name']}' "
        f"(fingerprint {record['data']['fingerprint'][:12]}).",
        *([f"- **Classes**: {', '.join(facts['labels'])}."] if facts["labels"] else []),
        f"- **How**: family {run.family}, preset {record['preset'] or 'default'}, seed {record['seed']}, "
        f"{record['total']:,} pictures shown. After {paper}.",
        f"- **State**: {record['status']}.",
        f"- **Bit-exact**: {'yes' if record.get('bit_exact', True) else 'no, it was resumed on another machine'}.",
        "- **No weights of others**: it started from random numbers.",
        *_originality(record),
        "",
        "Draw with it:",
        "",
        f"    gesso sample {run.number} -n 64 --seed 7 --grid",
        "",
        *(f"> {reason}" for reason in record["reasons"]),
        "",
    ]
    write_text(run.root / "README.md", "\n".join(lines))


def _originality(record: dict[str, Any]) -> list[str]:
    """What `gesso originality` found."""
    found = record.get("originality")
    if not found:
        return []
    low, high = found["interval"]
    words = (
        f"- **Originality**: {found['share']:.1%} ({low:.1%} to {high:.1%} with 95 % confidence) of {found['count']:,} "
        f"pictures are near-copies of learned ones (likeness {found['limit']:.2f} or more)"
    )
    if found.get("held_out_copies") is not None:
        words += f"; of pictures held out {found['held_out_copies']:.1%} are as near"
    elif found.get("learned_share"):
        words += f"; of the learned ones themselves {found['learned_share']:.1%} have another as near"
    if found.get("data_copying") is not None:
        words += f"; test of data copying {found['data_copying']:+.1f} (below -3: copies), by {found['by']}"
    return [f"{words}."]
