"""The watermark: what it outlasts, what it costs, and whether it is found where there is none.

    python -m bench.watermark [--sides 512 256] [--every 1] [--alarms 2]

200 pictures: 80 squares of ten paintings, 54 of eighteen photographs (scikit-image, scikit-learn), 26 emoji and 20
flags made larger, with transparency, 20 sprites each of whose pixels became a square; photographs alone where the
others are not there. Each is marked with a random payload, laid on white, attacked, and looked at without a hint of
what was done to it. Each unmarked one meets `--alarms` of the same attacks in turn, so that all come equally often.
"""

import argparse
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image
from skimage.metrics import structural_similarity

from bench.data import OUT, SHARED
from gesso.marks.picture import multiplied, on_ground
from gesso.marks.watermark import detect, embed

Array = np.ndarray
PHOTOGRAPHS = (
    "astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "immunohistochemistry", "retina",
    "stereo_motorcycle", "camera", "moon", "coins", "brick", "grass", "gravel", "page", "clock", "china", "flower",
)  # fmt: skip
DRAWN = {"emoji": ("emoji64.zip", 26), "flags": ("flags128.zip", 20), "sprites": ("sprites32.zip", 20)}
LANCZOS, CUBIC, NEAREST = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.NEAREST


def pictures(side: int) -> list[tuple[str, Array]]:
    """Kind and picture, `h w 3` or premultiplied `h w 4`; always the same."""
    rng, out = np.random.default_rng(7), list[tuple[str, Array]]()
    for image in paintings():
        out += [("paintings", square) for square in squares(image, side, 8, rng)]
    for name in PHOTOGRAPHS:
        out += [("photographs", square) for square in squares(photograph(name), side, 3, rng)]
    for kind, (archive, count) in DRAWN.items():
        if not (SHARED / archive).exists():
            continue
        with zipfile.ZipFile(SHARED / archive) as files:
            names = sorted(name for name in files.namelist() if name.endswith(".png"))
            for number in rng.choice(len(names), count, replace=False):
                rgba = np.asarray(Image.open(io.BytesIO(files.read(names[number]))).convert("RGBA"))
                out.append((kind, enlarged(multiplied(rgba), side, NEAREST if kind == "sprites" else CUBIC)))
    return out


def paintings() -> Iterator[Image.Image]:
    if (SHARED / "paintings.zip").exists():
        with zipfile.ZipFile(SHARED / "paintings.zip") as files:
            for name in sorted(name for name in files.namelist() if name.endswith(".jpg")):
                yield Image.open(io.BytesIO(files.read(name))).convert("RGB")


def photograph(name: str) -> Image.Image:
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return Image.fromarray(load_sample_image(f"{name}.jpg"))
    found = getattr(skimage.data, name)()
    return Image.fromarray(found[0] if isinstance(found, tuple) else found).convert("RGB")


def squares(image: Image.Image, side: int, count: int, rng: np.random.Generator) -> Iterator[Array]:
    """A square of the shorter side, then smaller ones, all at one size."""
    short = min(image.size)
    for number in range(count):
        part = short if number == 0 else int(rng.integers(min(side, short * 2 // 3), short + 1))
        left, top = (int(rng.integers(0, n - part + 1)) for n in image.size)
        yield np.asarray(image.crop((left, top, left + part, top + part)).resize((side, side), LANCZOS))


def enlarged(image: Array, side: int, how: Image.Resampling) -> Array:
    planes = [np.asarray(Image.fromarray(image[..., i]).resize((side, side), how)) for i in range(4)]
    out = np.stack(planes, axis=2)
    out[..., :3] = np.minimum(out[..., :3], out[..., 3:])
    return out


def jpeg(image: Array, quality: int) -> Array:
    return recoded(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def webp(image: Array, quality: int) -> Array:
    return recoded(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])


def recoded(image: Array, suffix: str, options: list[int]) -> Array:
    return cv2.imdecode(cv2.imencode(suffix, image[..., ::-1], options)[1], cv2.IMREAD_COLOR)[..., ::-1]


def smaller(image: Array, scale: float) -> Array:
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def cropped(image: Array, area: float) -> Array:
    height, width = (int(n * area**0.5) for n in image.shape[:2])
    top, left = (image.shape[0] - height) // 3 + 1, (image.shape[1] - width) * 2 // 3 + 1
    return image[top : top + height, left : left + width]


def brighter(image: Array) -> Array:
    return np.clip((image.astype(np.float64) - 128) * 1.2 + 143, 0, 255).round().astype(np.uint8)


def noisy(image: Array) -> Array:
    noise = np.random.default_rng(8).normal(0, 8, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)


ATTACKS: dict[str, Callable[[Array], Array]] = {
    "none": lambda image: image,
    "JPEG 75": lambda image: jpeg(image, 75),
    "JPEG 50": lambda image: jpeg(image, 50),
    "JPEG 30": lambda image: jpeg(image, 30),
    "halved": lambda image: smaller(image, 0.5),
    "to 75 %": lambda image: smaller(image, 0.75),
    "crop to 80 % of the area": lambda image: cropped(image, 0.8),
    "crop to 50 % of the area": lambda image: cropped(image, 0.5),
    "contrast × 1.2, brightness + 15": brighter,
    "blur, σ 1": lambda image: cv2.GaussianBlur(image, (0, 0), 1),
    "noise, σ 8": noisy,
    "WebP 50": lambda image: webp(image, 50),
    "halved, JPEG 50": lambda image: jpeg(smaller(image, 0.5), 50),
}


def visible(image: Array) -> Array:
    return on_ground(image, np.uint8(255)) if image.shape[2] == 4 else image


def quality(before: Array, after: Array) -> tuple[float, float]:
    """PSNR in dB and SSIM of two pictures as one sees them."""
    error = np.mean((before.astype(np.float64) - after) ** 2)
    ssim = structural_similarity(before, after, channel_axis=2)
    return float(10 * np.log10(255**2 / max(error, 1e-9))), float(np.asarray(ssim))


def measured(side: int, every: int, alarms: int) -> dict[str, Any]:
    """Everything about pictures of one size."""
    rng = np.random.default_rng(11)
    kinds, psnr, ssim, unmarked = list[str](), list[float](), list[float](), list[str]()
    embedding, fast, whole = list[float](), list[float](), list[float]()
    right: dict[str, list[bool]] = {attack: [] for attack in ATTACKS}
    wrong, false = dict.fromkeys(ATTACKS, 0), {attack: [0, 0] for attack in ATTACKS}
    turn = 0
    for kind, image in pictures(side)[::every]:
        payload = int(rng.integers(0, 1 << 64, dtype=np.uint64))
        start = time.perf_counter()
        marked = embed(image, payload)
        embedding.append(time.perf_counter() - start)
        for _ in range(alarms):
            attack = list(ATTACKS)[turn % len(ATTACKS)]
            turn += 1
            attacked = np.ascontiguousarray(ATTACKS[attack](visible(image)))
            start = time.perf_counter()
            false[attack][0] += detect(attacked) is not None
            false[attack][1] += 1
            whole.append(time.perf_counter() - start)
        if marked is None:
            unmarked.append(kind)
            continue
        kinds.append(kind)
        for values, value in zip((psnr, ssim), quality(visible(image), visible(marked)), strict=True):
            values.append(value)
        for attack, do in ATTACKS.items():
            attacked = np.ascontiguousarray(do(visible(marked)))
            start = time.perf_counter()
            found = detect(attacked)
            if attack == "none":
                fast.append(time.perf_counter() - start)
            right[attack].append(found is not None and found.payload == payload)
            wrong[attack] += found is not None and found.payload != payload
    of = np.array(kinds)
    names = list(dict.fromkeys(kinds))
    rows = {
        attack: {"all": float(np.mean(hits))} | {name: float(np.mean(np.array(hits)[of == name])) for name in names}
        for attack, hits in right.items()
    }
    return {
        "side": side,
        "rate": rows,
        "wrong": wrong,
        "alarms": {attack: f"{count} of {tries}" for attack, (count, tries) in false.items()},
        "marked": {name: int(np.sum(of == name)) for name in names},
        "unmarked": {name: unmarked.count(name) for name in dict.fromkeys(unmarked)},
        "psnr": [min(psnr), float(np.median(psnr))],
        "ssim": [min(ssim), float(np.median(ssim))],
        "milliseconds": {
            name: round(1000 * float(np.median(times)), 1)
            for name, times in (("embed", embedding), ("detect", fast), ("detect, nothing there", whole))
            if times
        },
    }


def table(found: dict[str, Any]) -> str:
    """A Markdown table of one size, in per cent."""
    rates, wrong, alarms = found["rate"], found["wrong"], found["alarms"]
    names = list(next(iter(rates.values())))
    lines = [f"| {found['side']}² | " + " | ".join(names) + " | wrong payloads | false alarms |"]
    lines += ["| --- " * (len(names) + 3) + "|"]
    for attack, row in rates.items():
        said = [f"{100 * row[name]:.0f}" for name in names]
        lines.append(f"| {attack} | " + " | ".join(said) + f" | {wrong[attack]} | {alarms[attack]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--alarms", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for side in args.sides:
        found = measured(side, args.every, args.alarms)
        print(table(found))
        print({name: value for name, value in found.items() if name not in ("rate", "wrong", "alarms")}, flush=True)
        (OUT / f"watermark-{side}.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
