"""Time, memory and agreement of all distances of features, beside torch-fidelity's.

    python -m bench.measures --cifar FOLDER --peer FOLDER

The ten thousand test pictures of CIFAR-10, enlarged to 64 pixels, against themselves, mirrored and blurred, by the
primer's features, computed once for both. Ours: Fréchet distance, and that of endlessly many with its interval, KID
with its interval, precision, recall, density and coverage. Torch-fidelity's, with its own defaults: Fréchet distance,
KID of 100 subsets of 1000, precision and recall, by its functions of ready features. Each in a process of its own with
one thread; peak memory is what the process held at most, `nothing` being one that only reads the features. Then, on
fewer pictures and with one subset of all, where both compute the same: how far the figures are apart, and so the
Inception network's features with random weights.

peer: a folder with torch-fidelity and tqdm unpacked (pip download --no-deps). It imports torchvision at its start,
which has no CPU build, and uses nothing of it here: empty modules stand in its place.
"""

import argparse
import json
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bench.data import OUT
from bench.primer import pictures
from gesso.measure.distances import figures
from gesso.measure.features import extractor, features
from gesso.measure.inception import Inception, _shapes
from gesso.primer.distort import distort

COUNT, FEW = 10_000, 1500
STORED = OUT / "measures.npy"
SIDES = ("nothing", "gesso", "torch-fidelity")


def torch_fidelity(folder: Path) -> None:
    """Make it importable."""
    missing = ("", ".datasets", ".transforms", ".transforms.functional", ".models")
    for name in (f"torchvision{end}" for end in missing):
        sys.modules[name] = types.ModuleType(name)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, sys.modules[name])
    for name in ("CIFAR10", "CIFAR100", "STL10"):
        setattr(sys.modules["torchvision.datasets"], name, type(name, (), {}))
    sys.path.insert(0, str(folder))


def stored(cifar: Path) -> float:
    """Compute the features where they are not there; seconds of it."""
    if STORED.exists():
        return 0.0
    see, begun, found = extractor(), time.process_time(), []
    bytes_, _ = pictures(cifar / "test", "cifar-32-ladder", 32, "label", channels="rgb", split="test")
    rng = torch.Generator().manual_seed(0)
    for made in (False, True):
        parts = []
        for part in bytes_[:COUNT].split(100):
            x = part.float() / 127.5 - 1
            if made:
                x = distort(x.flip(3), "blur", torch.full((len(x),), 0.75), rng)
            parts.append(F.interpolate(x, scale_factor=2.0, mode="bilinear"))
        found.append(features(see, parts))
    np.save(STORED, torch.stack(found).numpy())
    return time.process_time() - begun


def theirs(real: torch.Tensor, made: torch.Tensor, subsets: int = 100, size: int = 1000) -> dict[str, float]:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    statistics = [fid_features_to_statistics(x) for x in (made, real)]
    quiet = {"verbose": False}
    found = fid_statistics_to_metric(*statistics, False)
    found |= kid_features_to_metric(made, real, kid_subsets=subsets, kid_subset_size=size, **quiet)
    return found | prc_features_to_metric(made, real, **quiet)


def peak() -> int:
    """MiB that this process held at most; the kernel's other count begins with what its parent held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024)


def side(name: str) -> dict:
    """One process's work."""
    torch.set_num_threads(1)
    real, made = torch.from_numpy(np.load(STORED))
    clock, cpu, found = time.perf_counter(), time.process_time(), {}
    if name == "gesso":
        found = figures(real, made)._asdict()
    elif name == "torch-fidelity":
        found = theirs(real, made)
    return {
        "side": name,
        "seconds": round(time.perf_counter() - clock, 1),
        "cpu seconds": round(time.process_time() - cpu, 1),
        "peak MiB": peak(),
        **found,
    }


def agreement() -> dict[str, float]:
    """Relative differences of figures that both compute alike."""
    real, made = torch.from_numpy(np.load(STORED))[:, :FEW]
    ours, others = figures(real, made), theirs(real, made, 1, FEW)
    assert ours.kid is not None
    pairs = {
        "frechet": (ours.frechet, others["frechet_inception_distance"]),
        "kid": (ours.kid.value, others["kernel_inception_distance_mean"]),
        "precision": (ours.precision, others["precision"]),
        "recall": (ours.recall, others["recall"]),
    }
    return {name: abs(float(a or 0) - b) / abs(b) for name, (a, b) in pairs.items()}


def inception() -> float:
    """Relative difference of the features with random weights, the worst of four sizes."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    rng, tensors = torch.Generator().manual_seed(0), {}
    for name, shape in sorted(_shapes()):
        tensors[name] = 0.2 * torch.randn(shape, generator=rng)
        if len(shape) > 1:
            tensors[name] *= 5 * (2 / tensors[name][0].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            tensors[name] = 0.7 + 0.6 * torch.rand(shape, generator=rng)
    norms = {name.replace("running_var", "num_batches_tracked"): torch.tensor(0) for name in tensors if "_var" in name}
    path = OUT / "inception-random.pth"
    torch.save(tensors | norms, path)
    peer = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=str(path))
    ours, worst = Inception(tensors), 0.0
    for h, w in ((32, 32), (64, 64), (40, 96), (512, 256)):
        x = torch.randint(0, 256, (2, 3, h, w), generator=rng, dtype=torch.uint8)
        with torch.inference_mode():
            a, b = ours.features(x.float() / 127.5 - 1), peer(x)[0]
        worst = max(worst, float((a - b).norm() / b.norm()))
    path.unlink()
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--side", choices=SIDES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peer:
        torch_fidelity(options.peer)
    if options.side:
        print(json.dumps(side(options.side)))
        return
    lines: list[dict] = [{"seconds of the features": round(stored(options.cifar), 1)}]
    sides = SIDES if options.peer else SIDES[:2]
    for turn in range(2):  # turn about, so that what else runs slows both
        for name in sides:
            command = [sys.executable, "-m", "bench.measures", "--side", name]
            command += ["--peer", str(options.peer)] if options.peer else []
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            lines.append({"turn": turn, **json.loads(done.stdout.splitlines()[-1])})
            print(json.dumps(lines[-1]), flush=True)
    if options.peer:
        lines.append({"relative differences": agreement() | {"inception features": inception()}})
    with (OUT / "measures.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    print(json.dumps(lines[0]), json.dumps(lines[-1]), sep="\n")


if __name__ == "__main__":
    main()
