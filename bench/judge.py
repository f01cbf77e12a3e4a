"""One fixed feature network and the figures that stand on it, for the benchmarks of this folder only.

The network is a small residual classifier of the pictures' own finest labels, trained once a data set from a
fixed seed and kept in bench/out. No recipe under test ever sees it.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class Block(nn.Module):
    """Pre-activated residual block, halving."""

    def __init__(self, a: int, b: int):
        super().__init__()
        self.n1, self.c1 = nn.BatchNorm2d(a), nn.Conv2d(a, b, 3, 2, 1, bias=False)
        self.n2, self.c2 = nn.BatchNorm2d(b), nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(a, b, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.n1(x))
        return self.skip(F.avg_pool2d(y, 2)) + self.c2(F.relu(self.n2(self.c1(y))))


class Judge(nn.Module):
    """Classifier whose pooled last features (n, 128) are the space of every distance."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 32, 3, 1, 1), Block(32, 48), Block(48, 96), Block(96, 128))
        self.norm, self.head = nn.BatchNorm1d(128), nn.Linear(128, classes)

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x)).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.features(x)))


def to_float(images: np.ndarray) -> Tensor:
    """n h w c bytes to n c h w floats in [-1, 1]."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def make_judge(images: np.ndarray, labels: np.ndarray, cache: Path, steps: int = 900) -> Judge:
    """The judge of a data set: trained from seed 0 (a minute or two), or read from the cache."""
    torch.manual_seed(0)
    judge = Judge(images.shape[-1], int(labels.max()) + 1).to(memory_format=torch.channels_last)
    if cache.exists():
        judge.load_state_dict(load_file(cache))
        return judge.eval()
    x, y = to_float(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    rng = torch.Generator().manual_seed(0)
    for _ in range(steps):
        pick = torch.randint(len(x), (96,), generator=rng)
        dy, dx = torch.randint(-3, 4, (2,), generator=rng).tolist()
        picture = torch.roll(x[pick], (dy, dx), (2, 3))
        if torch.rand((), generator=rng) < 0.5:
            picture = picture.flip(3)
        loss = F.cross_entropy(judge(picture), y[pick], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    cache.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in judge.state_dict().items()}, cache)
    return judge.eval()


@torch.inference_mode()
def features(judge: Judge, images: np.ndarray) -> np.ndarray:
    """n 128, float64."""
    return np.concatenate(
        [judge.features(to_float(b)).numpy() for b in np.array_split(images, max(len(images) // 250, 1))]
    ).astype(np.float64)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017, eq. 6)."""
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.linalg.eigvals(ca @ cb).real.clip(min=0) ** 0.5
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * roots.sum())


def _nearest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.maximum(squared, 0)


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Share of made pictures inside the real manifold and the reverse (Kynkäänniemi et al. 2019, eqs. 1 and 2)."""
    real, fake = real[:2500], fake[:2500]
    reach_real = np.sort(_nearest(real, real), 1)[:, k]
    reach_fake = np.sort(_nearest(fake, fake), 1)[:, k]
    between = _nearest(real, fake)
    return float((between <= reach_real[:, None]).any(0).mean()), float((between <= reach_fake[None]).any(1).mean())


def sliced_wasserstein(real: np.ndarray, fake: np.ndarray, rng_seed: int = 0) -> float:
    """Mean sliced Wasserstein distance × 1000 of 7×7 patches on a Laplacian pyramid (Karras et al. 2018, section 5)."""
    rng = torch.Generator().manual_seed(rng_seed)
    n = min(len(real), len(fake), 2000)
    a, b = to_float(real[:n]).contiguous(), to_float(fake[:n]).contiguous()
    out = []
    while min(a.shape[2:]) >= 16:
        small = [F.avg_pool2d(x, 2) for x in (a, b)]
        bands = [x - F.interpolate(s, scale_factor=2.0, mode="bilinear") for x, s in zip((a, b), small, strict=True)]
        out.append(_swd(bands, rng))
        a, b = small
    out.append(_swd([a, b], rng))
    return 1000 * float(np.mean(out))


def _swd(bands: list[Tensor], rng: torch.Generator) -> float:
    n, c, h, w = bands[0].shape
    rows = torch.randint(0, h - 6, (n, 8), generator=rng)
    columns = torch.randint(0, w - 6, (n, 8), generator=rng)
    step = torch.arange(7)
    where = (
        torch.arange(n)[:, None, None, None],
        rows[:, :, None, None] + step[:, None],
        columns[:, :, None, None] + step,
    )
    patches = [x.permute(0, 2, 3, 1)[where].reshape(-1, 49, c) for x in bands]
    mean, spread = patches[0].mean((0, 1)), patches[0].std((0, 1)) + 1e-8  # of the real ones: lost contrast shows
    sets = [((patch - mean) / spread).reshape(len(patch), -1) for patch in patches]
    ways = F.normalize(torch.randn(sets[0].shape[1], 128, generator=rng), dim=0)
    p, q = (torch.sort(s @ ways, 0).values for s in sets)
    return float((p - q).abs().mean())


def saturation(images: np.ndarray) -> float:
    """Mean distance of a pixel's strongest colour from its weakest, of bytes n h w 3."""
    return float((images.max(-1).astype(np.float32) - images.min(-1)).mean())


def contrast(images: np.ndarray) -> float:
    """Mean standard deviation within a picture, of bytes n h w 3."""
    return float(images.astype(np.float32).std((1, 2)).mean())


class Jury:
    """The judge beside the real pictures (n h w c bytes), and the figures of made ones against them.

    learned, fresh: real pictures that a recipe learned from and that it never saw; with both, the share of made
    pictures whose nearest neighbour among equally many of each is a learned one (a copier's: 1; .5 where nothing is
    copied).
    """

    def __init__(self, judge: Judge, real: np.ndarray, learned: np.ndarray, fresh: np.ndarray | None):
        self.judge = judge
        order = np.random.default_rng(0).permutation(len(real))
        self.features, self.real = features(judge, real[order]), real[order[:2000]]
        self.colours = saturation(real), contrast(real)
        self.pair = None if fresh is None else [features(judge, x) for x in (learned[: len(fresh)], fresh)]

    def report(self, made: np.ndarray) -> dict[str, float]:
        """All figures."""
        seen = features(self.judge, made)
        precision, recall = precision_recall(self.features, seen)
        out = {
            "fd": round(frechet(self.features, seen), 3), "precision": round(precision, 3),
            "recall": round(recall, 3), "swd": round(sliced_wasserstein(self.real, made), 1),
            "saturation": round(saturation(made) / self.colours[0], 3),
            "contrast": round(contrast(made) / self.colours[1], 3),
        }  # fmt: skip
        if self.pair is not None:
            learned, fresh = (_nearest(seen, side).min(1) for side in self.pair)
            out["nearer to learned"] = round(float((learned < fresh).mean()), 3)
        return out
