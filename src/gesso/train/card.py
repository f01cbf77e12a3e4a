"""The model card of a run: what it is, what it learned from, how to use it (Mitchell et al. 2019)."""

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
        "",
        "Draw with it:",
        "",
        f"    gesso sample {run.number} -n 64 --seed 7 --grid",
        "",
        *(f"> {reason}" for reason in record["reasons"]),
        "",
    ]
    write_text(run.root / "README.md", "\n".join(lines))
