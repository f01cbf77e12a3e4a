"""How the primer learns: `python -m gesso.primer.learn --out FOLDER`, from paintings alone.

Every plan of the painter is a class, painted from many views, and the deepest map is to say which plan it sees
(Dosovitskiy et al. 2014, "Exemplar networks"); two views of a plan are to be nearer to each other than to other plans
at every learned map (Chen et al. 2020, "SimCLR", eq. 1); and every map is to give away, by a linear layer, the mean
colours and their spread in each of its cells, so that colour and texture stay in what the network knows.
"""

import argparse
import hashlib
import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gesso.primer.distance import spoilt, weigh
from gesso.primer.frozen import Frozen
from gesso.primer.network import Look, Primer, folded
from gesso.primer.painter import INGREDIENTS, paint
from gesso.primer.views import View
from gesso.primer.views import look as views_of

SIZE = 64  # pixels of a painting
LEARNED: dict[Look, int] = {"deep": 3, "quick": 2}  # maps that have heads to learn by: of the quick look not the first
SHARES = (0.2, 0.2, 0.2, 0.28, 0.04, 0.03, 0.05)  # how often each scene of the painter is painted


class School(nn.Module):
    """One look of the primer and the heads that it learns with, which are thrown away afterwards."""

    look: Look

    def __init__(self, primer: Primer, look: Look, plans: int, wide: int = 512, narrow: int = 128):
        super().__init__()
        self.primer, self.look = primer, look
        widths = primer.widths[look][-LEARNED[look] :]
        self.project = nn.ModuleList(
            nn.Sequential(nn.Linear(c, wide), nn.BatchNorm1d(wide), nn.ReLU(), nn.Linear(wide, narrow)) for c in widths
        )
        self.colours = nn.ModuleList(nn.Conv2d(c, 8, 1) for c in widths)
        self.name = nn.Linear(widths[-1], plans)

    def forward(self, x: Float[Tensor, "n 4 h w"], plan: Int[Tensor, " n"], temperature: float) -> dict[str, Tensor]:
        """The losses, each a number; x: views of the same plans in both of its halves."""
        maps = self.primer(x, self.look)[-LEARNED[self.look] :]
        pooled = [m.mean((2, 3)) for m in maps]
        contrasts = [contrast(head(p), temperature) for head, p in zip(self.project, pooled, strict=True)]
        colours = [
            F.smooth_l1_loss(head(m).float(), cells(x.float(), m.shape[-1]), beta=0.1)
            for head, m in zip(self.colours, maps, strict=True)
        ]
        return {
            "plan": telling(self.name(pooled[-1]), plan),
            "contrast": contrasts[-1],
            "earlier contrast": torch.stack(contrasts[:-1]).sum(),
            "colours": torch.stack(colours).sum(),
        }


def telling(y: Float[Tensor, "n k"], plan: Int[Tensor, " n"], smoothing: float = 0.1) -> Tensor:
    """Mean cross-entropy with smoothed labels (Szegedy et al. 2016, section 7), without a table of logarithms.

    In float32 whatever y is: where the sum is rounded, the slopes of a row no longer add up to zero, all its classes
    drift together, and learning diverges after thousands of steps.
    """
    y = y.float()
    wanted = (1 - smoothing) * y.gather(1, plan[:, None])[:, 0] + smoothing * y.mean(1)
    return (torch.logsumexp(y, 1) - wanted).mean()


def contrast(z: Float[Tensor, "n d"], temperature: float) -> Tensor:
    """Mean cross-entropy of finding each row's partner, half of the rows away (Chen et al. 2020, eq. 1)."""
    z = F.normalize(z.float(), dim=1)
    likeness = (z @ z.T / temperature).fill_diagonal_(-1e9)
    return F.cross_entropy(likeness, torch.arange(len(z)).roll(len(z) // 2))


def cells(x: Float[Tensor, "n c h w"], count: int) -> Float[Tensor, "n C k k"]:
    """Mean and twice the standard deviation of each channel in k × k cells."""
    side = x.shape[-1] // count
    mean = F.avg_pool2d(x, side)
    spread = (F.avg_pool2d(x * x, side) - mean * mean).clamp(min=0).sqrt()
    return torch.cat([mean, 2 * spread], 1)


def painted(folder: Path, plans: int, views: int, without: tuple[str, ...]) -> np.ndarray:
    """`plans views 64 64 4` uint8, painted once and kept in the folder."""
    path = folder / f"paintings-{plans}-{views}{''.join('-no-' + name for name in without)}.npy"
    if not path.exists():
        half = path.with_suffix(".half")
        pictures = np.lib.format.open_memmap(half, "w+", np.uint8, (plans, views, SIZE, SIZE, 4))
        for first in range(0, plans, 100):
            numbers = np.arange(first, min(first + 100, plans))
            made, _ = paint(
                np.repeat(numbers, views), np.tile(np.arange(views), len(numbers)), SIZE, SHARES, without=without
            )
            pictures[numbers] = made.reshape(-1, views, SIZE, SIZE, 4)
        pictures.flush()
        half.rename(path)
    return np.load(path, mmap_mode="r")


def shown(paintings: np.ndarray, plans: np.ndarray, views: np.ndarray, how: View, number: int) -> Tensor:
    """Each plan as it is seen in each of `views` (k n), k · n in all."""
    pictures = [paintings[plan, view] for row in views for plan, view in zip(plans, row, strict=True)]
    return views_of(pictures, how, number, torch.get_num_threads()).contiguous(memory_format=torch.channels_last)


def learn(asked: argparse.Namespace, look: Look, paintings: np.ndarray) -> Iterator[tuple[int, Primer, dict]]:
    """Step, network and mean losses, fifty times a run and at its end."""
    torch.manual_seed(asked.seed)
    pick, how = np.random.default_rng(asked.seed), View(asked.size, asked.least, asked.strong)
    primer = Primer()
    school = School(primer, look, len(paintings)).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if look == "deep":
        first = np.arange(min(3000, len(paintings)))
        seen = shown(paintings, first, first[None] * 0, how, 0)
        primer.fine.fit(seen, torch.Generator().manual_seed(asked.seed))
    learned = [p for p in school.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in learned if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, asked.lr, (0.9, 0.98), fused=True)
    weights = {"plan": 1.0, "contrast": 0.5, "earlier contrast": 0.25, "colours": 1.0}
    told: list[dict[str, float]] = []
    for step in range(asked.steps):
        rate = asked.lr * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / asked.steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        plans = np.sort(pick.integers(0, len(paintings), asked.batch))
        x = shown(paintings, plans, pick.integers(0, paintings.shape[1], (2, asked.batch)), how, step + 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.half):
            losses = school(x, torch.from_numpy(plans).repeat(2), asked.temperature)
        loss = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told.append({name: value.item() for name, value in losses.items()})
        if (step + 1) % max(asked.steps // 50, 1) == 0 or step + 1 == asked.steps:
            means = {name: round(float(np.mean([t[name] for t in told])), 4) for name in told[0]}
            told.clear()
            yield step + 1, primer, means


@torch.no_grad()
def finished(primer: Primer, look: Look, paintings: np.ndarray) -> dict[str, Tensor]:
    """What is kept of a look: its folded weights at half precision; of the quick one also the spread of each map."""
    tensors = folded(primer.eval())
    if look == "quick":
        frozen = Frozen({**tensors, "spreads": torch.ones(len(primer.widths[look]))})
        some = np.arange(min(1000, len(paintings)))
        maps = frozen(shown(paintings, some, some[None] * 0, View(strong=0.5), 0))
        tensors["spreads"] = torch.stack([m.square().mean().sqrt() for m in maps])
    primer.train()
    own = ("fine", "deep") if look == "deep" else ("stem", "keep", "quick", "spreads")
    return {name: tensor.half().contiguous() for name, tensor in tensors.items() if name.startswith(own)}


def weights_of_unlikeness(primer: Frozen, look: Look, count: int = 500, times: int = 8) -> Float[Tensor, " d"]:
    """How much each channel counts in the perceptual distance (see `distance.weigh`), from paintings of new plans."""
    made, _ = paint(np.arange(count) + 1_000_000, np.zeros(count, int), SIZE, SHARES)
    x, rng = torch.from_numpy(made).permute(0, 3, 1, 2).float() / 127.5 - 1, torch.Generator().manual_seed(0)
    ground = 2 * torch.rand(count, 3, 1, 1, generator=rng)
    x = (x[:, :3] + (1 - x[:, 3:]) / 2 * ground).clamp(-1, 1).contiguous(memory_format=torch.channels_last)
    return weigh(*spoilt(primer, look, x, times, rng))


def options() -> argparse.ArgumentParser:
    """What can be asked of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the paintings, the weights and the log")
    parser.add_argument("--looks", choices=list(LEARNED), nargs="*", default=list(LEARNED), help="what learns")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--plans", type=int, default=10_000, help="plans that are painted")
    parser.add_argument("--views", type=int, default=16, help="paintings of each plan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=256, help="plans a step, two views of each")
    parser.add_argument("--size", type=int, default=32, help="pixels that the network is shown")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--least", type=float, default=0.2, help="the smallest part of a painting that is shown")
    parser.add_argument("--strong", type=float, default=0.5, help="share of the views whose colours change much")
    parser.add_argument("--spoilt", type=int, default=500, help="paintings that the distance learns from")
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
    parser.add_argument("--without", choices=INGREDIENTS, nargs="*", default=(), help="leave out of the paintings")
    return parser


def main() -> None:
    """Paint, learn one look after the other, and write the weights with what they came from.

    Each look is kept in a file of its own, and all in one once both have learned; with `--looks` they can learn in two
    processes at once.
    """
    asked = options().parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    words = [asked.out.name if word == str(asked.out) else word for word in sys.argv[1:]]
    begun = time.monotonic()
    paintings = painted(asked.out, asked.plans, asked.views, tuple(asked.without))
    painting = round(time.monotonic() - begun)
    for look in asked.looks:
        begun, log = time.monotonic(), []
        for step, primer, losses in learn(asked, look, paintings):
            log.append({"step": step, "seconds": round(time.monotonic() - begun), **losses})
            print(json.dumps({"look": look, **log[-1]}), flush=True)
            save_file(finished(primer, look, paintings), asked.out / f"{look}.safetensors")
        facts = {
            "command": shlex.join(["python", "-m", "gesso.primer.learn", *words]),
            "precision": "bfloat16" if asked.half else "float32",
            "torch": torch.__version__,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "seconds of painting": painting,
            "seconds": round(time.monotonic() - begun),
            "log": log[:: max(len(log) // 10, 1)],
        }
        (asked.out / f"{look}.json").write_text(json.dumps(facts, indent=1) + "\n")
    together(asked.out, asked.spoilt)


def together(folder: Path, count: int) -> None:
    """One file of both looks, and of how much each channel counts in the distance, once both have learned."""
    parts = [folder / f"{look}.safetensors" for look in LEARNED]
    if not all(path.with_suffix(".json").exists() for path in parts):
        return
    tensors = {name: tensor for path in parts for name, tensor in load_file(path).items()}
    path = folder / "primer.safetensors"
    primer = Frozen(tensors)
    save_file(tensors | {f"unlike.{look}": weights_of_unlikeness(primer, look, count) for look in LEARNED}, path)
    facts = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    facts |= {part.stem: json.loads(part.with_suffix(".json").read_text()) for part in parts}
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
