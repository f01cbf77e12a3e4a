"""The model card of a run: what it is, what it learned from, how good it is, how to use it (Mitchell et al. 2019).

In the form that the Hugging Face Hub reads: facts for machines above, prose below.
"""

import json
from typing import Any

from gesso.data.terms import Report, of_record
from gesso.files import write_text
from gesso.store import Run

NAMES = {
    "frechet": "Fréchet distance", "frechet_infinity": "Fréchet distance of endlessly many", "kid": "KID",
    "precision": "precision", "recall": "recall", "coverage": "coverage", "density": "density",
    "swd": "sliced Wasserstein distance × 1000",
}  # fmt: skip
PLAIN = str.maketrans("<>[]`", "‹›()'")  # names come from strangers' files, and a card is shown as a page


def write_card(run: Run, paper: str) -> None:
    """Write README.md into the folder of a run, from its record."""
    record, facts = run.record, run.record["facts"]
    size = f"{facts['width']}×{facts['height']}"
    kinds = {1: "grey", 3: "RGB", 4: "RGB with transparency"}
    last = max(run.samples.glob("*.png"), default=None)
    terms = of_record(record)
    held = record["data"].get("held_out", 0.0)
    kept = f"; {held:.0%} of the set were held out" if held else ""
    lines = [
        *_for_machines(run, terms),
        f"# {run.name} · {run.family}",
        "",
        *([f"![Drawn from fixed seeds](samples/{last.name})", ""] if last else []),
        f"- **What it is**: a generator of {kinds[facts['channels']]} pictures, {size} pixels, made with Gesso.",
        f"- **Learned from**: {record['data']['count']:,} pictures, data set '{record['data']['name']}' "
        f"(fingerprint {record['data']['fingerprint'][:12]}){kept}.",
        *_rights(terms),
        *([f"- **Classes**: {', '.join(facts['labels'])}."] if facts["labels"] else []),
        f"- **How**: family {run.family}, preset {record['preset'] or 'default'}, seed {record['seed']}, "
        f"{record['total']:,} pictures shown. After {paper}.",
        f"- **State**: {record['status']}.",
        f"- **Bit-exact**: {'yes' if record.get('bit_exact', True) else 'no, it was resumed on another machine'}.",
        f"- **No weights of others**: it started from {_begin(record)}.",
        *_spent(record),
        *_measures(record),
        *_originality(record),
        *_warnings(record),
        "",
        "Draw with it:",
        "",
        f"    gesso sample {run.number} -n 64 --seed 7 --grid",
        "",
        *(f"> {reason}" for reason in record["reasons"]),
        "",
    ]
    write_text(run.root / "README.md", "\n".join(lines))


def _for_machines(run: Run, terms: Report | None) -> list[str]:
    """The Hub's facts, as YAML whose values are JSON, which YAML reads."""
    record = run.record
    labelled = bool(record["facts"]["labels"])
    facts: dict[str, Any] = {
        "library_name": "gesso",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gesso", run.family, *(["class-conditional"] if labelled else []), "generated-images"],
    }
    # The Hub's words for 'not one of the licences in my list': what may be done follows from the pictures.
    facts |= {"license": "other", "license_name": "by-its-data"} if terms else {"license": "unknown"}
    if terms:
        facts["data_licenses"] = {name or "none named": count for name, count in terms.licences.most_common(20)}
        facts["commercial_use"], facts["derivatives"] = terms.commercial, terms.derivatives
    measured = record.get("measures")
    if measured:
        figures = [
            {
                "type": name,
                "name": f"{NAMES[name]} ({measured['extractor']}, {measured['count']} pictures)",
                "value": value,
            }
            for name, value in measured["figures"].items()
            if name in NAMES and value is not None
        ]
        task = {"type": "unconditional-image-generation"}
        data = {"name": record["data"]["name"], "type": record["data"]["name"]}
        facts["model-index"] = [
            {"name": run.root.name, "results": [{"task": task, "dataset": data, "metrics": figures}]}
        ]
    return ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()), "---", ""]


def _rights(terms: Report | None) -> list[str]:
    """What is known of the pictures' rights, in words: no advice in law."""
    if terms is None:
        return ["- **Rights**: nothing was noted of the pictures' licences."]
    lines = [f"- **Rights**: {terms.verdict} {' '.join(terms.reasons)}".rstrip().translate(PLAIN)]
    if terms.attribution and terms.credits:
        names = [name for name, _ in terms.credits.most_common(100)]
        more = f" and {len(terms.credits) - 100:,} more" if len(terms.credits) > 100 else ""
        lines.append(f"- **To be named**: {', '.join(names)}{more}.".translate(PLAIN))
    return lines


def _begin(record: dict[str, Any]) -> str:
    """What it started from."""
    parent = record.get("fork")
    return f"what run {parent} had learned, which was trained with Gesso, too" if parent else "random numbers"


def _spent(record: dict[str, Any]) -> list[str]:
    """Time, and energy where the machine tells it."""
    spent = record.get("spent")
    if not spent:
        return []
    text = (
        f"{_clock(spent['seconds'])} on {record['engine']['device']}, {_clock(spent['cpu_seconds'])} of processor time"
    )
    joules = spent.get("joules")
    energy = f"about {joules / 3.6e6:.3g} kWh by the processor's own count" if joules else "the machine does not tell"
    return [f"- **Time**: {text}. **Energy**: {energy}."]


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _measures(record: dict[str, Any]) -> list[str]:
    """What `gesso measure` found."""
    found = record.get("measures")
    if not found:
        return []
    figures = [f"{NAMES[n]} {v:.3g}" for n, v in found["figures"].items() if n in NAMES and v is not None]
    return [
        f"- **Measured** at step {found['step']:,}, on {found['count']:,} pictures, "
        f"by the features of {found['extractor']}: "
        f"{', '.join(figures)}. Figures of other features or numbers of pictures cannot stand beside these."
    ]


def _warnings(record: dict[str, Any]) -> list[str]:
    """What was said of the run's health, and was so at its end."""
    return [f"- **Warning**: {one['text']}" for one in record.get("warnings", []) if one.get("over") is None]


def _originality(record: dict[str, Any]) -> list[str]:
    """What `gesso originality` found."""
    found = record.get("originality")
    if not found:
        return []
    low, high = found["interval"]
    words = (
        f"- **Originality** at step {found['step']:,}: {found['share']:.1%} ({low:.1%} to {high:.1%} with 95 % "
        f"confidence) of {found['count']:,} "
        f"pictures are near-copies of learned ones (likeness {found['limit']:.2f} or more)"
    )
    if found.get("held_out_copies") is not None:
        words += f"; of pictures held out {found['held_out_copies']:.1%} are as near"
    elif found.get("learned_share"):
        words += f"; of the learned ones themselves {found['learned_share']:.1%} have another as near"
    if found.get("data_copying") is not None:
        words += f"; test of data copying {found['data_copying']:+.1f} (below -3: copies), by {found['by']}"
    return [f"{words}."]
