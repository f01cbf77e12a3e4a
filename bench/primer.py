"""How well the primer sees: a linear probe of its frozen features, beside the same network untrained and raw pixels.

    python -m bench.primer --weights primer.safetensors --cifar FOLDER

FOLDER holds CIFAR-10 as it is offered, or `train` and `test` with a sub-folder a class. Ridge regression on the
2×2-pooled maps of the three deepest scales, 8,000 training and 2,000 test pictures drawn from a fixed seed; the ridge's
weight is chosen on a fifth of the training pictures.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

import gesso
from bench.data import OUT
from gesso.data import open_pack
from gesso.primer.network import Primer, as_rgba

RIDGES = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4)


def pictures(folder: Path, split: str, count: int) -> tuple[Tensor, Tensor]:
    """n 3 32 32 in [-1, 1] and their classes, drawn from a fixed seed."""
    home, name = OUT / "home", f"{folder.name}-{split}"
    if not (home / "datasets" / name).exists():
        source = folder / split if (folder / split).is_dir() else folder
        gesso.run("import", home=home, source=str(source), name=name, size="32", channels="rgb", split=split)
    pack = open_pack(name, home)
    labels = np.unique([item["label"] for item in pack.items], return_inverse=True)[1]
    pick = np.sort(np.random.default_rng(0).permutation(len(labels))[:count])
    x = torch.from_numpy(np.asarray(pack.images[pick])).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x, torch.from_numpy(labels[pick]).long()


@torch.inference_mode()
def features(network: Primer, x: Tensor) -> Tensor:
    """n d: the three deepest maps, pooled to 2 × 2."""
    network.eval()
    parts = []
    for part in x.split(500):
        maps = network(as_rgba(part).contiguous(memory_format=torch.channels_last))[-3:]
        parts.append(torch.cat([F.adaptive_avg_pool2d(m, 2).flatten(1) for m in maps], 1))
    return torch.cat(parts)


def probe(train: Tensor, classes: Tensor, test: Tensor, truth: Tensor) -> float:
    """Share of the test pictures that ridge regression on the features puts into the right class."""
    mean, spread = train.mean(0), train.std(0) + 1e-5
    train, test = ((x - mean) / spread for x in (train, test))
    target = F.one_hot(classes).float() - 1 / (int(classes.max()) + 1)

    def fit(n: int, ridge: float) -> Tensor:
        x = train[:n]
        return torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ target[:n])

    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    train, target, classes = train[order], target[order], classes[order]
    n = len(train) * 4 // 5
    right = [((train[n:] @ fit(n, ridge)).argmax(1) == classes[n:]).float().mean() for ridge in RIDGES]
    best = RIDGES[int(torch.stack(right).argmax())]
    return float(((test @ fit(len(train), best * 1.25)).argmax(1) == truth).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--cifar", type=Path, required=True)
    options = parser.parse_args()
    (x, y), (u, v) = pictures(options.cifar, "train", 8000), pictures(options.cifar, "test", 2000)
    torch.manual_seed(0)
    print(json.dumps({"pixels": probe(x.flatten(1), y, u.flatten(1), v)}))
    network = Primer().to(memory_format=torch.channels_last)
    print(json.dumps({"untrained": probe(features(network, x), y, features(network, u), v)}), flush=True)
    for weights in options.weights:
        network.load_state_dict(load_file(weights))
        print(json.dumps({str(weights): probe(features(network, x), y, features(network, u), v)}), flush=True)


if __name__ == "__main__":
    main()
