"""Whether a perceptual distance puts spoilt pictures in the order of how badly they are spoilt.

    python -m bench.distances

Emoji at 64 pixels, sprites at 32 (where they are there), and parts of paintings and of photographs (of scikit-image
and scikit-learn) at 128, twenty of each, are blurred, strewn with noise, compressed as JPEG, shifted, warped, turned
in hue, at five strengths each (`gesso.primer.distort`; 0, ¼, ½, ¾, 1). Two figures: the share of pairs of the same kind
of which the stronger is farther, and the same of pairs of different kinds whose strengths differ by a half or more. The
distance learned from paintings alone, spoilt in these and three more kinds; `untrained` is the same network with its
first weights, mean of three draws, every channel weighing the same, `untrained, weighed` with weights learned the same
way. PSNR and SSIM (Wang et al. 2004) beside them.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.data import ARCHIVES, OUT, SHARED
from bench.primer import pictures, untrained
from gesso.measure.pixels import ssim
from gesso.primer.distance import differences
from gesso.primer.distort import distort
from gesso.primer.frozen import Frozen, load
from gesso.primer.learn import weights_of_unlikeness
from gesso.primer.network import Look

KINDS = ("blur", "noise", "jpeg", "shift", "warp", "hue")
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
COUNT = 20


def parts(images: list[np.ndarray], side: int = 128) -> Tensor:
    """n 3 side side in [-1, 1], drawn evenly from the images, each a square of a random place and size."""
    rng, out = np.random.default_rng(0), []
    for i in range(COUNT):
        image = images[i % len(images)]
        edge = int(rng.uniform(side, min(image.shape[:2]) + 1))
        top, left = (int(rng.integers(0, length - edge + 1)) for length in image.shape[:2])
        crop = Image.fromarray(image[top : top + edge, left : left + edge, :3])
        out.append(np.array(crop.resize((side, side), Image.Resampling.LANCZOS)))
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).float() / 127.5 - 1


def photographs() -> list[np.ndarray]:
    from skimage import data
    from sklearn.datasets import load_sample_images

    own = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.hubble_deep_field()]
    return [*own, *load_sample_images().images]


def archive(name: str, size: int) -> Tensor:
    x, _ = pictures(SHARED / ARCHIVES[name], f"{name}-{size}-probe", size, "group")
    x = x[:COUNT].float() / 255
    return (2 * (x[:, :3] + 1 - x[:, 3:]) - 1).clamp(-1, 1)  # on white


def sets() -> dict[str, Tensor]:
    out = {
        name: archive(name, size)
        for name, size in (("emoji", 64), ("sprites", 32))
        if (SHARED / ARCHIVES[name]).exists()
    }
    source = SHARED / "paintings.zip"
    if source.exists():
        with zipfile.ZipFile(source) as file:
            names = [n for n in file.namelist() if Path(n).suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")]
            out["paintings"] = parts([np.array(Image.open(file.open(n)).convert("RGB")) for n in names])
    return out | {"photographs": parts(photographs())}


def psnr(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().mean((1, 2, 3))  # orders as PSNR does


def unlike(x: Tensor, y: Tensor) -> Tensor:
    return 1 - ssim(x, y)


def by(primer: Frozen, weights: Tensor, look: Look = "deep") -> Callable[[Tensor, Tensor], Tensor]:
    @torch.no_grad()
    def far(x: Tensor, y: Tensor) -> Tensor:
        halves = zip(x.split(10), y.split(10), strict=True)
        return torch.cat([differences(primer, a, b, look) @ weights for a, b in halves])

    return far


def order(distances: Tensor) -> tuple[float, float]:
    """Shares of pairs in order; distances: kinds strengths n."""
    strength = torch.tensor(STRENGTHS)
    gap = strength[:, None] - strength
    farther = (distances[:, :, None, None] > distances[None, None]).float().mean(-1)  # kind strength kind strength
    same = torch.stack([farther[k, :, k][gap > 0] for k in range(len(KINDS))]).mean()
    apart = torch.stack(
        [farther[k, :, j][gap >= 0.5] for k in range(len(KINDS)) for j in range(len(KINDS)) if j != k]
    ).mean()
    return round(float(same), 3), round(float(apart), 3)


def main() -> None:
    torch.set_num_threads(1)
    primer = load()
    learned, quick = (primer.get_buffer(f"unlike_{look}") for look in ("deep", "quick"))
    even = torch.ones_like(learned)
    measures = {"PSNR": [psnr], "SSIM": [unlike], "untrained": [], "untrained, weighed": []}
    for seed in range(3):
        random = untrained(seed)
        measures["untrained"].append(by(random, even))
        measures["untrained, weighed"].append(by(random, weights_of_unlikeness(random, "deep")))
    measures |= {"primer, unweighed": [by(primer, even)], "primer": [by(primer, learned)]}
    measures["primer, quick look"] = [by(primer, quick, "quick")]
    for name, x in sets().items():
        spoilt = []
        for kind in KINDS:
            rng = torch.Generator().manual_seed(0)
            spoilt.append([distort(x, kind, torch.full((len(x),), u), rng) for u in STRENGTHS])
        line: dict = {"data": name, "pictures": len(x), "size": x.shape[-1]}
        for measure, ways in measures.items():
            found = [order(torch.stack([torch.stack([far(x, y) for y in row]) for row in spoilt])) for far in ways]
            line[measure] = np.mean(found, 0).round(3).tolist()
        print(json.dumps(line), flush=True)
        with (OUT / "distances.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
