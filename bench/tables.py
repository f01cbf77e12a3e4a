"""The figures of bench/out as the tables of docs/benchmarks.md: medians over seeds, and times to reach a figure.

python -m bench.tables
"""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator

from bench.data import OUT

FIGURES = ("fd", "recall", "swd")


def median_table(rows: list[dict]) -> str:
    """One line a recipe, one column a CPU time: FD / recall / SWD, medians over seeds."""
    cells: dict[tuple[str, int], list[dict]] = defaultdict(list)
    for row in rows:
        cells[row["recipe"], nearest_mark(row["cpu_s"], rows)].append(row)
    recipes = list(dict.fromkeys(recipe for recipe, _ in cells))
    marks = sorted({mark for _, mark in cells})
    lines = ["| recipe | img/s | " + " | ".join(f"{mark} s" for mark in marks) + " |"]
    lines.append("|" + " --- |" * (len(marks) + 2))
    for recipe in recipes:
        rate = statistics.median(
            r["images_per_s"] for (name, _), found in cells.items() if name == recipe for r in found
        )
        shown = []
        for mark in marks:
            found = cells.get((recipe, mark), [])
            shown.append(" / ".join(f"{statistics.median(r[f] for r in found):.3g}" for f in FIGURES) if found else "")
        lines.append(f"| {recipe} | {rate:.0f} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def nearest_mark(seconds: float, rows: Iterable[dict]) -> int:
    """Marks are passed by a fraction of a step: the whole ten seconds next to a time."""
    return round(seconds / 10) * 10


def time_to_reach(rows: list[dict], recipe: str, target: float) -> float:
    """CPU seconds after which the median over seeds is at or below a figure, interpolated between marks."""
    by_mark: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row["recipe"] == recipe:
            by_mark[nearest_mark(row["cpu_s"], rows)].append(row["fd"])
    before = (0.0, float("inf"))
    for mark in sorted(by_mark):
        fd = statistics.median(by_mark[mark])
        if fd <= target:
            if before[1] == float("inf"):
                return float(mark)
            share = (before[1] - target) / (before[1] - fd)
            return before[0] + share * (mark - before[0])
        before = (float(mark), fd)
    return float("inf")


def comparisons(rows: list[dict]) -> Iterator[str]:
    """How soon the default recipe stands where each peer stands halfway, and how both end."""
    most = nearest_mark(max(row["cpu_s"] for row in rows if row["recipe"] == "default"), rows)
    half = nearest_mark(most / 2, rows)

    def median(recipe: str, mark: int | None = None) -> float | None:
        found = [r["fd"] for r in rows if r["recipe"] == recipe and mark in (None, nearest_mark(r["cpu_s"], rows))]
        return statistics.median(found) if found else None

    short = [recipe for recipe in dict.fromkeys(row["recipe"] for row in rows) if recipe.startswith("default:")]
    for peer in dict.fromkeys(row["recipe"] for row in rows if not row["recipe"].startswith("default")):
        target = median(peer, half)
        if target is None:
            continue
        took = time_to_reach(rows, "default", target)
        ratio = f"1/{half / took:.1f}"
        yield f"- {peer} is at {target:.3g} after {half} s; default, in its long run, after {took:.0f} s: {ratio}"
        for recipe in short:
            yield f"  - in a run of {recipe.partition(':')[2]} s, default ends at {median(recipe):.3g}"
        if (end := median(peer, most)) is not None:
            yield f"  - at {most} s: {peer} {end:.3g}, default {median('default', most):.3g}"


def main() -> None:
    for path in sorted((OUT / "race").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        print(f"\n## {path.stem}: FD / recall / SWD, medians of seeds {sorted({r['seed'] for r in rows})}\n")
        print(median_table(rows))
        print()
        print("\n".join(comparisons(rows)))


if __name__ == "__main__":
    main()
