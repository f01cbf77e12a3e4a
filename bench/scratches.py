"""Scratches filled: PSNR within the mask, against what OpenCV and scikit-image offer.

    python -m bench.scratches [--tune FOLDER] [--side 512]

Twelve curved scratches of 1 to 6 pixels at 512 are laid over every picture, and cover some 5 to 10 % of it. The
pictures of HELD were chosen before anything was measured, and never looked at while the settings were found; TUNED, and
those of a folder named with --tune, are what they were found on. The same fillings are measured beside each other in
one run; times are of one call, warmed up, on as many threads as the machine has.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image
from skimage.metrics import structural_similarity
from skimage.restoration import inpaint_biharmonic

from bench.data import OUT
from gesso.patch.thin import biharmonic, heal_thin

TUNED = ("chelsea.png", "brick.png")  # and a folder of paintings
HELD = (
    "astronaut.png", "camera.png", "coffee.png", "coins.png", "hubble_deep_field.jpg", "ihc.png",
    "motorcycle_left.png", "retina.jpg", "rocket.jpg", "gravel.png", "china.jpg", "flower.jpg",
)  # fmt: skip
FOLDERS = (Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images")


def opened(path: Path, side: int) -> np.ndarray:
    """A picture, h w 3 in [0, 1], made smaller where its longer side exceeds `side`."""
    image = Image.open(path).convert("RGB")
    scale = side / max(image.size)
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32) / 255


def found(name: str) -> Path:
    return next(folder / name for folder in FOLDERS if (folder / name).is_file())


def pictures(names: tuple[str, ...], side: int) -> Iterator[tuple[str, np.ndarray]]:
    for name in names:
        yield name, opened(found(name), side)


def scratches(height: int, width: int, seed: int, count: int = 12) -> np.ndarray:
    """Curved scratches whose width changes along them: h w, True where they are."""
    rng, mask, unit = np.random.default_rng(seed), np.zeros((height, width), np.uint8), max(height, width) / 512
    for _ in range(count):
        knots = rng.uniform(0, 1, (3, 2)) * [width, height]
        t = np.linspace(0, 1, 60)[:, None]
        line = np.round((1 - t) ** 2 * knots[0] + 2 * t * (1 - t) * knots[1] + t * t * knots[2]).astype(int).tolist()
        begin, end = rng.uniform(1.5, 5, 2) * unit
        for i in range(59):
            thick = max(1, round(begin + (end - begin) * i / 59))
            cv2.line(mask, line[i], line[i + 1], 1, thick)
    return mask > 0


def by_opencv(how: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        image = np.round(picture * 255).astype(np.uint8)
        return cv2.inpaint(image, hole.astype(np.uint8), 5, how).astype(np.float32) / 255

    return fill


FILLINGS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Telea": by_opencv(cv2.INPAINT_TELEA),
    "Navier-Stokes": by_opencv(cv2.INPAINT_NS),
    "biharmonic (scikit-image)": lambda picture, hole: inpaint_biharmonic(picture, hole, channel_axis=-1),
    "biharmonic (ours)": biharmonic,
    "heal_thin": heal_thin,
}


def decibels(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(np.clip(a, 0, 1) - b)[mask].mean()))


def measured(name: str, picture: np.ndarray, seed: int) -> dict:
    hole = scratches(*picture.shape[:2], seed)
    damaged = np.where(hole[..., None], np.float32(1), picture)
    line: dict = {"picture": name, "size": list(picture.shape[:2]), "share": round(float(hole.mean()), 4)}
    for kind, fill in FILLINGS.items():
        begun = time.perf_counter()
        out = np.clip(fill(damaged, hole), 0, 1)
        took = time.perf_counter() - begun
        _, alike = structural_similarity(out, picture, channel_axis=-1, data_range=1, full=True)
        line[kind] = {
            "psnr": round(decibels(out, picture, hole), 3),
            "ssim": round(float(alike[hole].mean()), 4),
            "s": round(took, 3),
        }
    return line


def table(title: str, lines: list[dict]) -> dict:
    print(f"\n{title}: {len(lines)} pictures")
    means = {}
    for kind in FILLINGS:
        means[kind] = {f: round(float(np.mean([line[kind][f] for line in lines])), 3) for f in ("psnr", "ssim", "s")}
        print(f"  {kind:28} {means[kind]['psnr']:.2f} dB  SSIM {means[kind]['ssim']:.3f}  {means[kind]['s']:.2f} s")
    gains = [line["heal_thin"]["psnr"] - line["biharmonic (scikit-image)"]["psnr"] for line in lines]
    print(
        f"  heal_thin − biharmonic: mean {np.mean(gains):+.2f}, median {np.median(gains):+.2f}, least {min(gains):+.2f}"
    )
    return {"set": title, "means": means, "gains": [round(g, 3) for g in gains]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", type=Path, help="a folder of pictures; measures TUNED and these instead of HELD")
    parser.add_argument("--side", type=int, default=512)
    given = parser.parse_args()
    if given.tune:
        chosen = [*pictures(TUNED, given.side)]
        chosen += [(path.name, opened(path, given.side)) for path in sorted(given.tune.glob("*.jpg"))]
    else:
        chosen = [*pictures(HELD, given.side)]
    heal_thin(chosen[0][1][:64, :64], scratches(64, 64, 0, 2))  # compiles
    lines = []
    for number, (name, picture) in enumerate(chosen):
        lines.append(measured(name, picture, 1000 + number))
        print(json.dumps(lines[-1]), flush=True)
    end = table("tuned" if given.tune else "held out", lines)
    OUT.mkdir(exist_ok=True)
    with (OUT / "scratches.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in [*lines, end])


if __name__ == "__main__":
    main()
