"""What marks cost beside writing: a 512² PNG without and with each of them, in turns.

`python -m bench.marks`. Figures go to docs/benchmarks.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.watermark import pictures
from gesso.marks.context import imprinting
from gesso.marks.imprint import imprint
from gesso.marks.picture import write_picture
from gesso.marks.recipe import Recipe
from gesso.marks.verify import verify

OFF = {"credentials": False, "ledger": False, "watermark": False}
WAYS = {
    "nothing but the recipe (bare)": None,
    "labels in XMP": OFF,
    "and credentials": {**OFF, "credentials": True},
    "and the ledger: all but the watermark": {**OFF, "credentials": True, "ledger": True},
    "and a visible label": {**OFF, "credentials": True, "ledger": True, "profile": "cn"},
    "and the watermark": {"watermark": True},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    shown = some(8)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for suffix in ("png", "jpg", "webp"):
            table(home, shown, suffix, turns if suffix != "webp" else turns // 2)
        for suffix in ("png", "jpg"):
            with imprinting(home):
                path = write_picture(home / f"a.{suffix}", shown[0], recipe(0))
                taken = [timed(lambda path=path: verify(path, imprint())) for _ in range(turns)]
            print(f"verify of a {suffix} without looking for a watermark: {statistics.median(taken):.1f} ms")


def table(home: Path, shown: list[np.ndarray], suffix: str, turns: int) -> None:
    """Milliseconds of each way of writing, the ways in turns so that all see the same machine."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    sizes: dict[str, list[int]] = {way: [] for way in WAYS}
    for turn in range(turns + 2):
        for way, choices in WAYS.items():
            path, image = home / f"a.{suffix}", shown[turn % len(shown)]

            def write(choices=choices, path=path, image=image, turn=turn) -> None:
                with imprinting(home, **(choices or {})):
                    write_picture(path, image, recipe(turn), bare=choices is None)

            spent = timed(write)
            if turn >= 2:
                taken[way].append(spent)
                sizes[way].append(path.stat().st_size)
    base = taken[next(iter(WAYS))]
    print(f"\n512×512 {suffix}, {turns} turns, ms by medians (95 %)\n")
    for way, times in taken.items():
        more = statistics.median(a - b for a, b in zip(times, base, strict=True))
        worst = sorted(a - b for a, b in zip(times, base, strict=True))[int(len(times) * 0.95)]
        size = statistics.mean(sizes[way]) / 1024
        print(f"| {way} | {statistics.median(times):.1f} | +{more:.1f} ({worst:.1f}) | {size:.0f} KB |")


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def recipe(seed: int) -> Recipe:
    return Recipe(
        gesso="0.1.0", run="0007-paintings-stylegan", number=7, model="ab" * 32, step=120_000, family="stylegan",
        seed=seed, width=512, height=512,
    )  # fmt: skip


def some(count: int) -> list[np.ndarray]:
    """Pictures of 512×512: squares of paintings, where these are there, or of photographs."""
    found = [image for _, image in pictures(512) if image.shape[2] == 3]
    return found[:: len(found) // count][:count]


if __name__ == "__main__":
    main()
