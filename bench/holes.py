"""Large holes filled: likeness to what was there, beside what other libraries offer.

    python -m bench.holes [--peer FOLDER] [--side 512]

A hole of 24 × 28 % in the middle of each picture. In the hole: PSNR and SSIM against what was there; seconds by the
clock, warmed up, two threads. `gesso` is one filling, `gesso of 4` the one of lowest energy among four candidates.
peer: a folder with pypatchmatch and patchmatch-cython unpacked (pip download --no-deps). The sheet of all fillings is
bench/out/holes.png. Pictures of TUNED were looked at while the settings were found, those of HELD were not.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from bench.data import OUT
from bench.scratches import found
from bench.works import hole, painting, squared
from gesso.marks.picture import write_sheet
from gesso.patch import candidates, final, inpaint

TUNED = (
    "astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "china.jpg", "flower.jpg", "monet-water-lilies",
    "hokusai-the-great-wave",
)  # fmt: skip
HELD = (
    "gravel.png", "brick.png", "ihc.png", "hubble_deep_field.jpg", "motorcycle_left.png", "camera.png",
    "gogh-the-starry-night", "gogh-olive-orchard", "hoitsu-plum-tree", "kandinsky", "munch", "turner",
)  # fmt: skip
Filling = Callable[[np.ndarray, np.ndarray], np.ndarray]


def opened(name: str, side: int) -> np.ndarray:
    """A square picture, h w 3 in [0, 1]."""
    if "." not in name:
        return painting(side, name)
    return squared(Image.open(found(name)).convert("RGB"), side)


def bytes_of(picture: np.ndarray) -> np.ndarray:
    return (picture * 255 + 0.5).astype(np.uint8)


def best(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return min(candidates(picture, mask, 4), key=lambda step: step.energy).picture


def fillings(peer: Path | None) -> dict[str, Filling]:
    """Every way to fill a hole, by its name."""

    def opencv(how: int) -> Filling:
        return lambda p, m: cv2.inpaint(bytes_of(p), m.astype(np.uint8), 5, how).astype(np.float32) / 255

    out: dict[str, Filling] = {
        "gesso": lambda p, m: final(inpaint(p, m)), "gesso of 4": best,
        "Telea": opencv(cv2.INPAINT_TELEA), "Navier-Stokes": opencv(cv2.INPAINT_NS),
    }  # fmt: skip
    if peer is not None:
        sys.path.insert(0, str(peer))
        import patchmatch
        from patchmatch_cython import inpaint_pyramid

        out["pypatchmatch"] = lambda p, m: (
            np.asarray(patchmatch.inpaint(bytes_of(p), m.astype(np.uint8) * 255, patch_size=7)).astype(np.float32) / 255
        )
        out["patchmatch-cython"] = lambda p, m: np.asarray(inpaint_pyramid(bytes_of(p), m)).astype(np.float32) / 255
    return out


def measured(side: int, ways: dict[str, Filling]) -> list[dict[str, object]]:
    """The figures of every way on every picture."""
    mask, rows, sheet = hole(side), list[dict[str, object]](), []
    for fill in ways.values():
        fill(opened("coffee.png", 96), hole(96))
    for group, names in (("tuned", TUNED), ("held", HELD)):
        for name in names:
            truth, shown = opened(name, side), []
            spoilt = np.where(mask[..., None], 0.5, truth).astype(np.float32)
            for way, fill in ways.items():
                begun = time.perf_counter()
                made = fill(spoilt, mask)
                seconds = time.perf_counter() - begun
                _, likeness = structural_similarity(truth, made, channel_axis=2, data_range=1.0, full=True)
                error = np.square(truth - made)[mask].mean()
                rows.append({
                    "group": group, "picture": name, "way": way, "psnr": float(-10 * np.log10(error)),
                    "ssim": float(likeness[mask].mean()), "seconds": seconds,
                })  # fmt: skip
                shown.append(bytes_of(made))
            sheet.append([bytes_of(np.where(mask[..., None], 1, truth)), *shown])
            print(name, " ".join(f"{r['way']} {r['psnr']:.2f}/{r['ssim']:.3f}" for r in rows[-len(ways) :]), flush=True)
    small = [[cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) for image in row] for row in sheet]
    write_sheet(OUT / "holes.png", small, title="Holes", under=[["", *ways]] * len(small), source="composite")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--side", type=int, default=512)
    args = parser.parse_args()
    ways = fillings(args.peer)
    rows = measured(args.side, ways)
    (OUT / "holes.json").write_text(json.dumps(rows, indent=1))
    for group in ("tuned", "held"):
        for way in ways:
            own = [row for row in rows if row["group"] == group and row["way"] == way]
            means = {key: np.mean([float(str(row[key])) for row in own]) for key in ("psnr", "ssim", "seconds")}
            print(f"{group}, {way}: {means['psnr']:.2f} dB, SSIM {means['ssim']:.3f}, {means['seconds']:.2f} s")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
