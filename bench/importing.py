"""How fast pictures are imported, against the loop that one would write with Pillow alone, side by side in one run.

    python bench/importing.py                          paints flowers, writes them as files, imports those
    python bench/importing.py --source pictures.zip    a folder or ZIP of one's own

The plain loop opens, converts, resizes, stacks and saves. The import does this too, and checks every file,
hashes it, reads its rights, finds near-duplicates, draws a sheet and makes all of it durable. Both read the same
files. Prints JSON: pictures a second of each and their ratio (above 1, the import is faster), and the
processor time of each, which tells more than the clock where other work shares the machine.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from gesso.contract.task import Result
from gesso.data.blossoms import Blossom
from gesso.data.choices import pair_of
from gesso.tasks.import_ import Import

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif", ".tif", ".tiff"}


def paint(folder: Path, count: int, side: int, kind: str) -> None:
    for i in range(count):
        picture, _ = Blossom(i, 0, side, side).paint()
        Image.fromarray(picture).save(folder / f"{i:06d}.{kind}", quality=90)


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def plain(folder: Path, target: Path, width: int, height: int, mode: str) -> int:
    """The loop that one would write."""
    stack = []
    for path in pictures(folder):
        with Image.open(path) as image:
            stack.append(np.asarray(image.convert(mode).resize((width, height), Image.Resampling.LANCZOS)))
    np.save(target / "plain.npy", np.stack(stack))
    return len(stack)


def gesso(folder: Path, target: Path, width: int, height: int, mode: str, workers: int) -> int:
    """The import, all of it."""
    options = Import.Options(
        source=str(folder), name="bench", size=f"{width}x{height}", channels="rgba" if mode == "RGBA" else "rgb",
        replace=True, workers=workers,
    )  # fmt: skip
    *_, last = Import().run(options, target)
    assert isinstance(last, Result)
    return last.facts["accepted"]


def timed(work, *args) -> tuple[float, float]:
    """Pictures a second of one run, and the processors' milliseconds a picture, child processes included."""
    started, busy = time.perf_counter(), sum(os.times()[:4])
    count = work(*args)
    return count / (time.perf_counter() - started), 1000 * (sum(os.times()[:4]) - busy) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="a folder or ZIP of pictures; without it, flowers are painted")
    parser.add_argument("--size", default="64", help="pixels of the result, 64 or 64x48")
    parser.add_argument("--mode", choices=["RGB", "RGBA"], default="RGB")
    parser.add_argument("--count", type=int, default=400, help="flowers to paint")
    parser.add_argument("--side", type=int, default=256, help="pixels of a painted flower")
    parser.add_argument("--kind", choices=["png", "jpg", "webp"], default="png", help="format of the painted flowers")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 is one a core")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, in turn; the best counts")
    asked = parser.parse_args()
    width, height = pair_of(asked.size)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = root / "pictures"
        folder.mkdir()
        if asked.source is None:
            paint(folder, asked.count, asked.side, asked.kind)
        elif asked.source.is_dir():
            folder = asked.source
        else:
            with zipfile.ZipFile(asked.source) as archive:
                archive.extractall(folder)
        runs: dict[str, list[tuple[float, float]]] = {"plain": [], "gesso": []}
        for _ in range(asked.repeats):  # in turn, so that whatever else the machine does falls on both
            runs["plain"].append(timed(plain, folder, root, width, height, asked.mode))
            runs["gesso"].append(timed(gesso, folder, root, width, height, asked.mode, asked.workers))
        best = {name: max(rate for rate, _ in of) for name, of in runs.items()}
        busy = {name: min(milliseconds for _, milliseconds in of) for name, of in runs.items()}
        print(
            json.dumps(
                {
                    "pictures": len(pictures(folder)),
                    "size": [width, height],
                    "plain_per_second": round(best["plain"], 1),
                    "gesso_per_second": round(best["gesso"], 1),
                    "ratio": round(best["gesso"] / best["plain"], 3),
                    "plain_cpu_ms": round(busy["plain"], 3),
                    "gesso_cpu_ms": round(busy["gesso"], 3),
                    "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
                    f"Pillow {Image.__version__}",
                    "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
