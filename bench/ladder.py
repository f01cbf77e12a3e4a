"""Whether features put pictures in the order of how badly they are spoilt: a ladder of known degradations.

    python -m bench.ladder [--cifar FOLDER] [--sets NAME ...] [--see NAME ...]

Emoji, sprites and CIFAR-10's test set at 32 pixels, RGB. In each of five draws 500 pictures are the real ones, and 500
others, clean or spoilt, those that are measured: by blur, noise, JPEG (`gesso.primer.distort`; 0.25, 0.5, 0.75, 1), by
labels that are never drawn (a fifth, two, three, four fifths of them; as many pictures), and by labels that change
places (of a tenth, a quarter, a half, of all pictures). The figure is the Fréchet distance of the features; for the
labels the joint one, of features and labels (`gesso.measure.conditional`), for all extractors alike.

Two numbers each: the share of pairs of different steps, the clean one among them, of which the worse is farther, over
all pairs of draws, for in use a figure stands beside that of other pictures; and Spearman's rank correlation of a
draw's five steps with their order, mean over the draws. `own` learned from a thousand pictures that are in no draw.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.data import ARCHIVES, OUT, SHARED
from bench.primer import pictures
from gesso.measure.conditional import joined, spread
from gesso.measure.features import extractor
from gesso.measure.own import own
from gesso.primer.distort import distort

COUNT, DRAWS, HELD, SIZE = 500, 5, 1000, 32
STRENGTHS, MISSING, SWAPPED = (0.25, 0.5, 0.75, 1.0), (0.2, 0.4, 0.6, 0.8), (0.1, 0.25, 0.5, 1.0)
See = Callable[[Tensor], Tensor]
SEEN = ("pixels", "random", "primer", "own", "own, no labels")


def sets(cifar: Path | None) -> dict[str, tuple[Path, str, dict[str, str]]]:
    """Where the pictures are, which column has their labels, what else the import is told."""
    found = {name: (SHARED / file, "group", {}) for name, file in ARCHIVES.items() if (SHARED / file).exists()}
    return found | ({"cifar": (cifar / "test", "label", {"split": "test"})} if cifar else {})


def frechet(a: Tensor, b: Tensor) -> float:
    """Of few pictures: tr (AB)½ is the sum of the singular values of the product of both centred sets."""
    a, b = a.double(), b.double()
    p, q = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b))
    if len(a) > a.shape[1]:
        p, q = (torch.linalg.qr(x, mode="r").R for x in (p, q))
    shared = torch.linalg.svdvals(p @ q.T).sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + p.square().sum() + q.square().sum() - 2 * shared)


def looks(see: See, x: Tensor) -> Tensor:
    parts = [see(part.float() / 127.5 - 1) for part in x.split(100)]
    return torch.cat(parts)


def eye(name: str, x: Tensor, y: Tensor) -> See:
    """An extractor. x, y: what `own` learns from, as bytes."""
    if name == "pixels":
        return lambda x: x.flatten(1)
    if not name.startswith("own"):
        return extractor(name)
    images, labels = x.permute(0, 2, 3, 1).contiguous().numpy(), None if name == "own, no labels" else y.numpy()
    mark = f"{len(x)}-{int(x.long().sum())}-{labels is None}"
    return own(images, labels, OUT / "own", mark)


def draw(see: See, x: Tensor, y: Tensor, seed: int) -> dict[str, list[float]]:
    """The distances of every kind's five steps."""
    rng, labels = torch.Generator().manual_seed(seed), int(y.max()) + 1
    order = torch.randperm(len(x), generator=rng)
    real, made, others = order[:COUNT], order[COUNT : 2 * COUNT], order[COUNT:]
    seen, clean = looks(see, x[real]), looks(see, x[made])
    begun, found = frechet(seen, clean), {}
    for kind in ("blur", "noise", "jpeg"):
        found[kind] = [begun]
        for strength in STRENGTHS:
            bad = distort(x[made].float() / 127.5 - 1, kind, torch.full((COUNT,), strength), rng)
            found[kind].append(frechet(seen, looks(see, (bad + 1) * 127.5)))
    which, found["modes"] = torch.randperm(labels, generator=rng), [begun]
    for share in MISSING:
        left = others[torch.isin(y[others], which[round(share * labels) :])]
        some = left[:COUNT] if len(left) >= COUNT else left[torch.randint(len(left), (COUNT,), generator=rng)]
        found["modes"].append(frechet(seen, looks(see, x[some])))
    scale = spread(seen)
    before, found["labels"] = joined(seen, y[real], labels, scale), []
    for share in (0.0, *SWAPPED):
        asked, some = y[made].clone(), torch.randperm(COUNT, generator=rng)[: round(share * COUNT)]
        asked[some] = asked[some.roll(1)]
        found["labels"].append(frechet(before, joined(clean, asked, labels, scale)))
    return found


def in_order(distances: np.ndarray) -> float:
    """Share of pairs; distances: draws steps."""
    farther = distances[:, None, None, :] > distances[None, :, :, None]  # draw draw lower higher
    steps = np.arange(distances.shape[1])
    return float(farther.mean((0, 1))[steps[:, None] < steps].mean())


def spearman(distances: np.ndarray) -> float:
    ranks = distances.argsort(1).argsort(1)
    return float(np.mean([np.corrcoef(row, np.arange(len(row)))[0, 1] for row in ranks]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--see", nargs="*", choices=SEEN, default=SEEN)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, (source, column, more) in sets(options.cifar).items():
        if options.sets and name not in options.sets:
            continue
        x, y = pictures(source, f"{name}-{SIZE}-ladder", SIZE, column, channels="rgb", **more)
        for seen in options.see:
            begun = time.process_time()
            see = eye(seen, x[-HELD:], y[-HELD:])
            learned = time.process_time() - begun
            rows = [draw(see, x[:-HELD], y[:-HELD], seed) for seed in range(DRAWS)]
            line: dict = {"data": name, "see": seen, "seconds before": round(learned, 1)}
            for kind in rows[0]:
                distances = np.array([row[kind] for row in rows])
                line[kind] = [round(in_order(distances), 3), round(spearman(distances), 3)]
                line[f"{kind}, times the clean"] = (distances.mean(0) / distances[:, 0].mean()).round(2).tolist()
            line["all"] = np.mean([line[kind] for kind in rows[0]], 0).round(3).tolist()
            print(json.dumps(line), flush=True)
            with (OUT / "ladder.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
