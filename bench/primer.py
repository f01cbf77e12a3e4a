"""How well the primer sees: a linear probe of its frozen features, beside the same network untrained and raw pixels.

    python -m bench.primer [--weights primer.safetensors ...] [--cifar FOLDER]

FOLDER holds CIFAR-10 as it is offered, or `train` and `test` with a sub-folder a class: 8,000 training and 2,000 test
pictures at 32 pixels, three draws that share no picture. Emoji and sprites, where they are there, are probed for
their groups at 64 pixels, four fifths of them against the rest, three draws. Ridge regression on 2×2-pooled maps; its
weight is chosen on a fifth of the training pictures. Figures are means over the draws; untrained is the mean of three
draws of the network's first weights, too. `learned maps` leaves the wide look out, which is fitted in closed form.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import gesso
from bench.data import ARCHIVES, OUT, SHARED
from gesso.data import open_pack
from gesso.primer.frozen import WEIGHTS, Frozen, load
from gesso.primer.network import Primer, folded

RIDGES = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4)
DRAWS = 3
Draw = tuple[Tensor, Tensor]  # numbers of the training and of the test pictures


def pictures(source: Path, name: str, size: int, column: str, **more: str) -> tuple[Tensor, Tensor]:
    """n c s s bytes, in an order drawn from a fixed seed, and their classes."""
    home = OUT / "home"
    if not (home / "datasets" / name).exists():
        gesso.run("import", home=home, source=str(source), name=name, size=str(size), **more)
    pack = open_pack(name, home)
    known = np.array([i for i, item in enumerate(pack.items) if item.get(column)])
    known = known[np.random.default_rng(0).permutation(len(known))]
    classes = np.unique([str(pack.items[i][column]) for i in known], return_inverse=True)[1]
    return torch.from_numpy(np.asarray(pack.images)[known]).permute(0, 3, 1, 2), torch.from_numpy(classes).long()


def cifar(folder: Path) -> tuple[Tensor, Tensor, list[Draw]]:
    parts = []
    for split, count in (("train", 8000), ("test", 2000)):
        source = folder / split if (folder / split).is_dir() else folder
        x, y = pictures(source, f"{folder.name}-{split}", 32, "label", channels="rgb", split=split)
        parts.append((x[: DRAWS * count], y[: DRAWS * count]))
    (x, y), (u, v) = parts
    draws = [
        (torch.arange(8000 * i, 8000 * (i + 1)), torch.arange(2000 * i, 2000 * (i + 1)) + len(x)) for i in range(DRAWS)
    ]
    return torch.cat([x, u]), torch.cat([y, v]), draws


def groups(name: str) -> tuple[Tensor, Tensor, list[Draw]]:
    x, y = pictures(SHARED / ARCHIVES[name], f"{name}-64-probe", 64, "group")
    n, draws = len(x) * 4 // 5, []
    for seed in range(DRAWS):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        draws.append((order[:n], order[n:]))
    return x, y, draws


@torch.inference_mode()
def features(network: Frozen | None, x: Tensor) -> Tensor:
    """n d of byte pictures; pixels themselves without a network."""
    parts = [part.float() / 127.5 - 1 for part in x.split(250)]
    if network is None:
        return torch.cat(parts).flatten(1) if x.shape[-1] == 32 else F.avg_pool2d(torch.cat(parts), 2).flatten(1)
    return torch.cat([network.features(part.contiguous(memory_format=torch.channels_last)) for part in parts])


def probe(train: Tensor, classes: Tensor, test: Tensor, truth: Tensor) -> float:
    """Share of the test pictures that ridge regression on the features puts into the right class."""
    mean, spread = train.mean(0), train.std(0) + 1e-5
    train, test = ((x - mean) / spread for x in (train, test))
    target = F.one_hot(classes, int(classes.max()) + 1).float()
    target = target - target.mean(0)

    def fit(n: int, ridges: tuple[float, ...]) -> list[Tensor]:
        x = train[:n]
        inner, outer, one = x.T @ x, x.T @ target[:n], torch.eye(x.shape[1])
        return [torch.linalg.solve(inner + ridge * one, outer) for ridge in ridges]

    n = len(train) * 4 // 5
    right = [((train[n:] @ weight).argmax(1) == classes[n:]).float().mean() for weight in fit(n, RIDGES)]
    best = RIDGES[int(torch.stack(right).argmax())]
    return float(((test @ fit(len(train), (best * 1.25,))[0]).argmax(1) == truth).float().mean())


def untrained(seed: int) -> Frozen:
    torch.manual_seed(seed)
    primer = Primer().eval()
    return Frozen({**folded(primer), "spreads": torch.ones(3)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="*", default=[WEIGHTS])
    parser.add_argument("--cifar", type=Path)
    options = parser.parse_args()
    sets = {"cifar": cifar(options.cifar)} if options.cifar else {}
    sets |= {name: groups(name) for name, file in ARCHIVES.items() if (SHARED / file).exists()}
    for name, (x, y, draws) in sets.items():

        def score(network: Frozen | None, x: Tensor = x, y: Tensor = y, draws: list[Draw] = draws) -> list[float]:
            seen = features(network, x)
            wide = 0 if network is None else 4 * len(network.get_buffer("fine_weight"))
            found = [
                [
                    probe(part[some], y[some], part[rest], y[rest])
                    for part in ([seen, seen[:, wide:]] if wide else [seen])
                ]
                for some, rest in draws
            ]
            return [round(100 * float(share), 1) for share in np.mean(found, 0)]

        line: dict = {"data": name, "train": len(draws[0][0]), "test": len(draws[0][1]), "pixels": score(None)[0]}
        several = np.mean([score(untrained(seed)) for seed in range(3)], 0).round(1).tolist()
        line |= {"untrained": several[0], "untrained, learned maps": several[1]}
        for weights in options.weights:
            line[weights.stem], line[f"{weights.stem}, learned maps"] = score(load(weights))
        print(json.dumps(line), flush=True)
        with (OUT / "primer.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
