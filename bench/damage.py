"""Damage found: precision and recall on damage that is painted on real pictures, and alarms on undamaged ones.

    python -m bench.damage [--tune FOLDER] [--side 640]

Painted: bright and dark curved scratches of changing width and opacity, a network of cracks (borders of Voronoi's
cells, bent), dust of irregular small spots, holes with ragged borders and a torn corner, each on a copy of its own. A
pixel counts as rightly found within two pixels of damage; damage counts as found where a found pixel is within two.
Pictures as in bench.scratches: what was chosen beforehand was never looked at while thresholds were found. Cracks of
the paintings themselves count as alarms, too.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from bench.data import OUT
from bench.scratches import HELD, TUNED, opened, pictures
from gesso.patch.damage import KINDS, find_damage

NEAR = np.ones((5, 5), np.uint8)
Painted = tuple[np.ndarray, np.ndarray]


def laid(picture: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A colour over a picture, as much as cover says; as a scanner would see it, in 256 steps."""
    soft = cv2.GaussianBlur(cover, (0, 0), 0.6)[..., None]
    return np.round((picture * (1 - soft) + colour * soft) * 255).astype(np.float32) / 255


def curve(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Points x, y along a gently bent line that crosses a good part of the picture."""
    while True:
        a, b = rng.uniform(0, 1, (2, 2)) * [width, height]
        if np.hypot(*(a - b)) > 0.35 * min(height, width):
            break
    middle = (a + b) / 2 + rng.normal(0, 0.08, 2) * np.hypot(*(a - b))
    t = np.linspace(0, 1, 80)[:, None]
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * middle + t * t * b


def scratched(picture: np.ndarray, rng: np.random.Generator, light: bool) -> Painted:
    height, width = picture.shape[:2]
    cover, unit = np.zeros((height, width), np.float32), max(1.0, max(height, width) / 640)
    for _ in range(5):
        points, opaque = curve(rng, height, width), rng.uniform(0.6, 1)
        wide = np.interp(np.linspace(0, 1, 80), np.linspace(0, 1, 6), rng.uniform(0.8, 3.4, 6)) * unit
        here = np.zeros_like(cover)
        for p, q, w in zip(points[:-1], points[1:], wide, strict=False):
            ends = [tuple(np.round(z * 16).astype(int).tolist()) for z in (p, q)]
            cv2.line(here, ends[0], ends[1], float(opaque * rng.uniform(0.85, 1)), max(1, round(w)), cv2.LINE_AA, 4)
        cover = np.maximum(cover, here)
    colour = np.array([0.93, 0.92, 0.88]) if light else np.array([0.08, 0.07, 0.06])
    return laid(picture, cover, colour.astype(np.float32)), cover > 0.3


def cracked(picture: np.ndarray, rng: np.random.Generator) -> Painted:
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = [cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), 6) * 40 for _ in range(2)]
    seeds = rng.uniform(0, 1, (max(height * width // 3000, 12), 2)) * [height, width]
    far = np.stack([np.hypot(y + bend[0] - a, x + bend[1] - b) for a, b in seeds])
    far.partition(1, axis=0)
    thin = np.clip(1.6 - (far[1] - far[0]), 0, 1).astype(np.float32)
    middle = rng.uniform(0.3, 0.7, 2) * [height, width]
    inside = np.clip(2 - np.hypot((y - middle[0]) / height, (x - middle[1]) / width) * 6, 0, 1)
    cover = (thin * inside * rng.uniform(0.7, 0.95)).astype(np.float32)
    return laid(picture, cover, np.array([0.1, 0.08, 0.06], np.float32)), cover > 0.3


def dusty(picture: np.ndarray, rng: np.random.Generator) -> Painted:
    height, width = picture.shape[:2]
    cover = np.zeros((height, width), np.float32)
    for _ in range(40):
        at, radius = rng.uniform(0, 1, 2) * [width, height], rng.uniform(1, 3.2)
        ring = at + np.stack([np.cos(t := np.linspace(0, 2 * np.pi, 9)[:-1]), np.sin(t)], 1) * rng.uniform(
            0.6, 1.3, (8, 1)
        ) * radius  # fmt: skip
        cv2.fillPoly(cover, [np.round(ring * 16).astype(np.int32)], float(rng.uniform(0.8, 1)), cv2.LINE_AA, 4)
    return laid(picture, cover, np.array([0.95, 0.95, 0.93], np.float32)), cover > 0.3


def holed(picture: np.ndarray, rng: np.random.Generator) -> Painted:
    height, width = picture.shape[:2]
    cover = np.zeros((height, width), np.float32)
    turn = np.linspace(0, 2 * np.pi, 40)[:-1]
    for number in range(3):
        corner = number == 0
        at = np.array([0, 0] if corner else rng.uniform(0.2, 0.8, 2) * [width, height])
        radius = rng.uniform(0.1, 0.18) * min(height, width) if corner else rng.uniform(0.03, 0.07) * min(height, width)
        ragged = np.interp(turn, np.linspace(0, 2 * np.pi, 14), rng.uniform(0.7, 1.3, 14)) * rng.uniform(0.93, 1.07, 39)
        ring = at + np.stack([np.cos(turn), np.sin(turn)], 1) * (ragged * radius)[:, None]
        cv2.fillPoly(cover, [np.round(ring * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    colour = np.array([1, 1, 1] if rng.uniform() < 0.5 else [0.55, 0.5, 0.42], np.float32)
    out = laid(picture, cover, colour)
    grain = rng.integers(-1, 2, picture.shape) / 255 * (cover > 0.99)[..., None]
    return np.clip(out + grain, 0, 1).astype(np.float32), cover > 0.3


def stained(picture: np.ndarray, rng: np.random.Generator) -> Painted:
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    at, radius = rng.uniform(0.3, 0.7, 2) * [height, width], rng.uniform(0.1, 0.16) * min(height, width)
    bend = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), radius / 4)
    far = np.hypot(y - at[0], x - at[1]) / radius + bend / bend.std() * 0.1
    deep = np.clip((1.15 - far) / 0.3, 0, 1)[..., None]
    return (picture * (1 - deep * np.array([0.12, 0.22, 0.4]))).astype(np.float32), deep[..., 0] > 0.3


PAINT: dict[str, tuple[str, Callable[[np.ndarray, np.random.Generator], Painted]]] = {
    "bright scratches": ("scratches", lambda picture, rng: scratched(picture, rng, True)),
    "dark scratches": ("scratches", lambda picture, rng: scratched(picture, rng, False)),
    "cracks": ("cracks", cracked),
    "dust": ("dust", dusty),
    "holes": ("holes", holed),
    "stains": ("stains", stained),
}


def scored(found: np.ndarray, truth: np.ndarray) -> dict:
    wide, reach = (cv2.dilate(m.astype(np.uint8), NEAR) > 0 for m in (truth, found))
    right = int((found & wide).sum())
    return {
        "precision": right / int(found.sum()) if found.any() else None,
        "recall": float((truth & reach).sum() / max(int(truth.sum()), 1)),
        "found": float(found.mean()),
    }


def measured(name: str, picture: np.ndarray, seed: int, sensitivity: float) -> dict:
    begun = time.perf_counter()
    clean = find_damage(picture, KINDS, sensitivity)
    took = time.perf_counter() - begun
    line: dict = {"picture": name, "seconds": round(took, 2)}
    line["alarms"] = {kind: round(float(mask.mean()), 5) for kind, mask in clean.items()}
    for number, (what, (kind, paint)) in enumerate(PAINT.items()):
        damaged, truth = paint(picture, np.random.default_rng(seed * 100 + number))
        found = find_damage(damaged, (kind,), sensitivity)[kind]
        line[what] = {k: None if v is None else round(v, 4) for k, v in scored(found, truth).items()}
    return line


def table(title: str, lines: list[dict]) -> None:
    print(f"\n{title}: {len(lines)} pictures, {np.mean([line['seconds'] for line in lines]):.2f} s a picture")
    for what in PAINT:
        sure = [line[what]["precision"] for line in lines if line[what]["precision"] is not None]
        some = np.mean([line[what]["recall"] for line in lines])
        said = f"{np.mean(sure):.2f} (in {len(sure)})" if sure else "none found"
        print(f"  {what:18} precision {said:14}  recall {some:.2f}")
    for kind in KINDS:
        shares = [line["alarms"][kind] for line in lines]
        quiet = sum(share == 0 for share in shares)
        print(f"  alarms, {kind:10} mean {np.mean(shares):.3%} of the pixels, most {max(shares):.3%}, none in {quiet}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", type=Path, help="a folder of pictures; measures TUNED and these instead of HELD")
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--sensitivity", type=float, default=0.5)
    given = parser.parse_args()
    chosen = [*pictures(TUNED if given.tune else HELD, given.side)]
    if given.tune:
        chosen += [(path.name, opened(path, given.side)) for path in sorted(given.tune.glob("*.jpg"))]
    lines = []
    for number, (name, picture) in enumerate(chosen):
        lines.append(measured(name, picture, 7 + number, given.sensitivity))
        print(json.dumps(lines[-1]), flush=True)
    table("tuned" if given.tune else "held out", lines)
    OUT.mkdir(exist_ok=True)
    with (OUT / "damage.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    main()
