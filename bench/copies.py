"""Whether copies that were planted are found, and strangers are not: recall at a share of false alarms.

    python -m bench.copies [--sets emoji-32 ...]

A thousand pictures are the learned ones. Two hundred of them are mirrored, moved by three pixels, turned in hue by 90
degrees, compressed (JPEG 60), and all of that together. Strangers: pictures of whole subgroups of which nothing was
learned, and whose names share no word with a learned one's (of emoji many differ in nothing but their skin, and of
sprites in a colour: those are copies, and would rightly be found). The level is what one stranger in a hundred
reaches; beside it stands the limit that `gesso originality` takes, which knows nothing of the strangers.
"""

import argparse
import io
import json
import time

import numpy as np
import torch
from PIL import Image

from bench.data import OUT, available, load
from gesso.data import open_pack
from gesso.measure.nearest import Collection
from gesso.measure.originality import Scale, finished, found, scale

LEARNED, PLANTED, STRANGERS = 1000, 200, 400
HELD = 0.3  # of the pictures, in whole subgroups, at most
DULL = frozenset(
    ["with", "skin", "tone", "light", "dark", "medium", "facing", "right", "left", "face", "person", "woman", "women"]
)


def mirrored(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[:, :, ::-1])


def moved(x: np.ndarray, by: int = 3) -> np.ndarray:
    """Down and to the right; the colour of the corner follows."""
    out = np.broadcast_to(x[:, :1, :1], x.shape).copy()
    out[:, by:, by:] = x[:, :-by, :-by]
    return out


def turned(x: np.ndarray, degrees: float = 90) -> np.ndarray:
    out = []
    for image in x:
        hsv = np.array(Image.fromarray(image).convert("HSV"))
        hsv[..., 0] = (hsv[..., 0].astype(int) + round(degrees / 360 * 256)) % 256
        out.append(np.array(Image.fromarray(hsv, "HSV").convert("RGB")))
    return np.stack(out)


def compressed(x: np.ndarray, quality: int = 60) -> np.ndarray:
    out = []
    for image in x:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        out.append(np.array(Image.open(file)))
    return np.stack(out)


KINDS = {
    "as it is": lambda x: x,
    "mirrored": mirrored,
    "moved": moved,
    "hue": turned,
    "JPEG 60": compressed,
    "all": lambda x: compressed(turned(moved(mirrored(x)))),
}


def words(item: dict) -> set[str]:
    text = str(item.get("text") or "").replace(":", " ").replace("-", " ").replace(",", " ").replace("_", " ")
    return {word for word in text.lower().split() if len(word) > 3} - DULL


def split(images: np.ndarray, labels: np.ndarray, items: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Learned pictures and strangers."""
    rng, held, count = np.random.default_rng(0), [], 0
    for label in rng.permutation(int(labels.max()) + 1):
        size = int((labels == label).sum())
        if count < HELD * len(images) and size <= 300:
            held.append(label)
            count += size
    apart = np.isin(labels, held)
    known = set().union(*(words(items[i]) for i in np.flatnonzero(~apart)))
    strange = [i for i in np.flatnonzero(apart) if not words(items[i]) & known]
    return images[rng.permutation(np.flatnonzero(~apart))[:LEARNED]], images[rng.permutation(strange)[:STRANGERS]]


def measure(name: str, size: int) -> dict:
    images, labels, short = load(name, size)
    learned, strangers = split(images, labels, open_pack(f"{short}-{size}", OUT / "home").items)
    collection, everything = Collection.of(learned), Scale(0.0, [])
    limit = finished(scale(collection, learned)).limit
    begun = time.process_time()
    apart = finished(found(collection, strangers, everything)).likeness
    pace = (time.process_time() - begun) / len(strangers)
    level = float(np.quantile(apart, 0.99))
    line: dict = {"data": f"{name}-{size}", "strangers": len(strangers), "level": round(level, 3), "limit": limit}
    line |= {"alarms at the limit": round(float((apart >= limit).mean()), 4), "ms a picture": round(1000 * pace)}
    for kind, change in KINDS.items():
        seen = finished(found(collection, change(learned[:PLANTED]), everything))
        line[kind] = {
            "recall": float((seen.likeness > level).mean()),
            "at the limit": float((seen.likeness >= limit).mean()),
            "the very one": float((seen.near.which.numpy() == np.arange(PLANTED)).mean()),
        }
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ready = [f"{name}-{size}" for name in available() for size in ((32, 64) if name == "emoji" else (32,))]
    parser.add_argument("--sets", nargs="*", default=ready)
    torch.set_num_threads(1)
    for chosen in parser.parse_args().sets:
        name, _, size = chosen.rpartition("-")
        line = measure(name, int(size))
        print(json.dumps(line), flush=True)
        with (OUT / "copies.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
