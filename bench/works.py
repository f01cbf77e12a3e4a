"""Time and memory of the works on single pictures, each in a process of its own.

    python -m bench.works [--threads 2]

Every work is done once on a small picture (so that its loops are compiled and read from the disk), then once on the
picture that is measured: seconds by the clock, seconds of the processors, and the most memory that the process held at
any time, the libraries included. Pictures are scikit-image's; paintings where they are there.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import skimage.data
from PIL import Image

from bench.data import OUT, SHARED
from gesso.patch import (
    final,
    inpaint,
    outpaint,
    panorama,
    retarget,
    stylise,
    synthesise_texture,
    threads,
    variation,
)  # fmt: skip
from gesso.patch.synthesis import Step

Array = np.ndarray


def photograph(side: int, name: str = "astronaut") -> Array:
    """A square of one of scikit-image's photographs, h w 3 in [0, 1]."""
    return squared(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"), side)


def painting(side: int, name: str = "gogh-the-starry-night") -> Array:
    """A square of a painting; of a photograph where the paintings are not there."""
    archive = SHARED / "paintings.zip"
    if not archive.exists():
        return photograph(side, "immunohistochemistry")
    with zipfile.ZipFile(archive) as files, files.open(next(n for n in files.namelist() if name in n)) as file:
        return squared(Image.open(file).convert("RGB"), side)


def squared(image: Image.Image, side: int) -> Array:
    """The middle square of an image, at a size."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    image = image.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32) / 255


def hole(side: int) -> Array:
    """24 × 28 % in the middle."""
    mask = np.zeros((side, side), bool)
    mask[round(0.36 * side) : round(0.64 * side), round(0.38 * side) : round(0.62 * side)] = True
    return mask


WORKS: dict[str, Callable[[int], Iterator[Step]]] = {
    "style": lambda side: stylise(photograph(side), [painting(side)]),
    "texture": lambda side: synthesise_texture(painting(side // 2), side, side),
    "tile": lambda side: synthesise_texture(painting(side // 2), side, side, wrap=(True, True)),
    "tile, turned patches": lambda side: synthesise_texture(
        painting(side // 2), side, side, wrap=(True, True), turns=True
    ),
    "panorama": lambda side: panorama(painting(side // 2), side // 2),
    "retarget to 0.6 width": lambda side: retarget(photograph(side, "chelsea"), side, round(0.6 * side)),
    "variation": lambda side: variation(photograph(side, "chelsea")),
    "inpaint a 24 × 28 % hole": lambda side: inpaint(photograph(side), hole(side)),
    "outpaint by a fifth": lambda side: outpaint(
        photograph(side * 5 // 6), side, side, side // 12, side // 12
    ),
}  # fmt: skip
SIZES = (256, 512, 1024)


def one(name: str, side: int, count: int) -> dict[str, float]:
    """Seconds and memory of one work, in this process."""
    with threads(count):
        final(WORKS[name](96))
        clock, spent = time.perf_counter(), time.process_time()
        final(WORKS[name](side))
        out = {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - spent}
    return out | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "SIDE"))
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one[0], int(args.one[1]), args.threads)))
        return
    found = []
    for name in WORKS:
        if args.only not in name:
            continue
        for side in SIZES:
            words = ["-m", "bench.works", "--threads", str(args.threads), "--one", name, str(side)]
            said = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout
            figures = {"work": name, "side": side, "threads": args.threads, **json.loads(said)}
            found.append(figures)
            print("{work}, {side}²: {seconds:.2f} s, {cpu:.2f} CPU s, {peak_gb:.2f} GB".format(**figures), flush=True)
    (OUT / f"works-{args.threads}.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
