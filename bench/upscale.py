"""Pictures made small and large again: PSNR and SSIM against what they were, and how far halos go.

    python -m bench.upscale [--tune FOLDER] [--side 512]

Small ones are area means (what a sensor of fewer pixels sees), rounded to bytes. Beside ours: OpenCV's cubic, Pillow's
Lanczos, and a variant that learns from the picture itself (Glasner, Bagon, Irani, ICCV 2009, in its simplest form:
every patch of the enlarged picture gets the detail that the most alike patch of the given one loses by being shrunk and
enlarged); both before and after back-projection. Halo: how far values leave the range of the original's 5×5 pixels
around them, the 99.9 % quantile, of 255. Pictures as in bench.scratches.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.data import OUT
from bench.scratches import HELD, TUNED, opened, pictures
from gesso.patch.field import Axes, Field
from gesso.patch.upscale import enlarged, shrunk, upscale
from gesso.patch.votes import Votes

PATCH = 5
Way = Callable[[np.ndarray, int, int], np.ndarray]


def by_opencv(small: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def by_pillow(small: np.ndarray, height: int, width: int) -> np.ndarray:
    planes = [Image.fromarray(np.ascontiguousarray(small[..., i]), "F") for i in range(3)]
    return np.stack([np.asarray(p.resize((width, height), Image.Resampling.LANCZOS)) for p in planes], axis=2)


def of_itself(small: np.ndarray, height: int, width: int, rounds: int = 8, share: float = 0.5) -> np.ndarray:
    """The picture's own detail at its own scale, laid on its enlargement where it looks alike."""
    rng = np.random.default_rng(0)
    factor = height / small.shape[0]
    less = (max(round(n / factor), PATCH + 1) for n in small.shape[:2])
    soft = enlarged(shrunk(small, *less), *small.shape[:2]).clip(0, 1)
    base = upscale(small, height, width)
    axes = Axes.of(soft, PATCH, rng)
    known, wanted = axes.describe(soft), axes.describe(enlarged(small, height, width))
    allowed = np.ones(known.shape[:2], bool)
    field = Field.random(np.ones(wanted.shape[:2], bool), allowed, rng)
    field.improve(wanted, known, 6, rng)
    spread = np.percentile(field.distance, 50) + 1e-6
    total, weights = Votes(small - soft, PATCH).cast(field.places, np.exp(-field.distance / spread) + 1e-6)
    out = base + np.float32(share) * total / weights[..., None]
    for _ in range(rounds):
        out += enlarged(small - shrunk(out, *small.shape[:2]), height, width)
    return out


WAYS: dict[str, Way] = {
    "cubic (OpenCV)": by_opencv,
    "Lanczos (Pillow)": by_pillow,
    "cubic (ours)": enlarged,
    "back-projected": lambda small, h, w: upscale(small, h, w, calm=False),
    "back-projected, calm (upscale)": upscale,
    "the same, sharp 0.3": lambda small, h, w: upscale(small, h, w, sharp=0.3),
    "of itself": of_itself,
}


def halo(out: np.ndarray, truth: np.ndarray) -> float:
    square = np.ones((5, 5), np.uint8)
    beyond = np.maximum(out - cv2.dilate(truth, square), cv2.erode(truth, square) - out)
    return float(np.quantile(beyond.max(axis=2), 0.999)) * 255


def measured(name: str, picture: np.ndarray, factor: int) -> dict:
    height, width = (n // factor * factor for n in picture.shape[:2])
    truth = np.ascontiguousarray(picture[:height, :width])
    small = np.round(shrunk(truth, height // factor, width // factor) * 255).astype(np.float32) / 255
    line: dict = {"picture": name, "factor": factor, "size": [height, width]}
    for kind, way in WAYS.items():
        begun = time.perf_counter()
        out = np.round(np.clip(way(small, height, width), 0, 1) * 255).astype(np.float32) / 255
        took = time.perf_counter() - begun
        line[kind] = {
            "psnr": round(float(peak_signal_noise_ratio(truth, out, data_range=1)), 3),
            "ssim": round(float(structural_similarity(truth, out, channel_axis=-1, data_range=1)), 4),
            "halo": round(max(halo(out, truth), 0), 2),
            "s": round(took, 3),
        }
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", type=Path, help="a folder of pictures; measures TUNED and these instead of HELD")
    parser.add_argument("--side", type=int, default=512)
    given = parser.parse_args()
    chosen = [*pictures(TUNED if given.tune else HELD, given.side)]
    if given.tune:
        chosen += [(path.name, opened(path, given.side)) for path in sorted(given.tune.glob("*.jpg"))]
    OUT.mkdir(exist_ok=True)
    for factor in (2, 4):
        lines = [measured(name, picture, factor) for name, picture in chosen]
        with (OUT / "upscale.jsonl").open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        print(f"\n{factor} times, {len(lines)} pictures, {'tuned' if given.tune else 'held out'}")
        for kind in WAYS:
            means = [np.mean([line[kind][f] for line in lines]) for f in ("psnr", "ssim", "halo", "s")]
            print("  {:32} {:.2f} dB  SSIM {:.4f}  halo {:.1f}  {:.2f} s".format(kind, *means), flush=True)


if __name__ == "__main__":
    main()
