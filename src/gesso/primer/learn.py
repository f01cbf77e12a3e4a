"""How the primer learns: `python -m gesso.primer.learn --out FOLDER`, from paintings alone.

Two views of a plan (see the painter) are to have like features at the deepest maps, unlike those of other plans
(contrast; Chen et al. 2020, "SimCLR", eq. 1), and every map is to give away, by a linear layer, the mean colours and
their spread in each of its cells, so that colour and texture stay in what the network knows.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from gesso.primer.network import Primer
from gesso.primer.painter import INGREDIENTS, paint
from gesso.primer.views import crop, recolour

WEIGHTS = "primer.safetensors"
VIEWS = 2  # paintings of each plan


class School(nn.Module):
    """The primer and the heads that it learns with, which are thrown away afterwards."""

    def __init__(self, primer: Primer, wide: int = 512, narrow: int = 128):
        super().__init__()
        self.primer = primer
        self.project = nn.ModuleList(
            nn.Sequential(nn.Linear(c, wide), nn.BatchNorm1d(wide), nn.ReLU(), nn.Linear(wide, narrow))
            for c in primer.widths[1:]
        )
        self.colours = nn.ModuleList(nn.Conv2d(c, 8, 1) for c in primer.widths[1:])

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> tuple[list[Tensor], Tensor]:
        """Projections (n d) of every pooled map but the first, and the loss of the colours."""
        maps = self.primer(x)[1:]
        projections = [head(m.mean((2, 3))) for head, m in zip(self.project, maps, strict=True)]
        colours = [
            F.smooth_l1_loss(head(m).float(), cells(x.float(), m.shape[-1]), beta=0.1)
            for head, m in zip(self.colours, maps, strict=True)
        ]
        return projections, torch.stack(colours).sum()


def contrast(z: Float[Tensor, "n d"], temperature: float) -> Tensor:
    """Mean cross-entropy of finding each row's partner, half of the rows away (Chen et al. 2020, eq. 1)."""
    z = F.normalize(z.float(), dim=1)
    likeness = (z @ z.T / temperature).fill_diagonal_(-1e9)
    partner = torch.arange(len(z)).roll(len(z) // 2)
    return F.cross_entropy(likeness, partner)


def cells(x: Float[Tensor, "n c h w"], count: int) -> Float[Tensor, "n C k k"]:
    """Mean and twice the standard deviation of each channel in k × k cells."""
    side = x.shape[-1] // count
    mean = F.avg_pool2d(x, side)
    spread = (F.avg_pool2d(x * x, side) - mean * mean).clamp(min=0).sqrt()
    return torch.cat([mean, 2 * spread], 1)


def painted(folder: Path, plans: int, size: int, without: tuple[str, ...]) -> np.ndarray:
    """`plans 2 size size 4` uint8, painted once and kept in the folder."""
    path = folder / f"paintings-{plans}-{size}{''.join('-no-' + name for name in without)}.npy"
    if not path.exists():
        half = path.with_suffix(".half")
        pictures = np.lib.format.open_memmap(half, "w+", np.uint8, (plans, VIEWS, size, size, 4))
        for first in range(0, plans, 2000):
            numbers = np.arange(first, min(first + 2000, plans))
            made, _ = paint(np.repeat(numbers, VIEWS), np.tile(np.arange(VIEWS), len(numbers)), size, without=without)
            pictures[numbers] = made.reshape(-1, VIEWS, size, size, 4)
        pictures.flush()
        half.rename(path)
    return np.load(path, mmap_mode="r")


def learn(asked: argparse.Namespace, paintings: np.ndarray) -> Iterator[tuple[int, Primer, dict[str, float]]]:
    """Step, network and losses, a hundred times a run and at its end."""
    torch.manual_seed(asked.seed)
    rng, pick = torch.Generator().manual_seed(asked.seed), np.random.default_rng(asked.seed)
    school = School(Primer()).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(school.parameters(), asked.lr, (0.9, 0.98), weight_decay=0.02, fused=True)
    for step in range(asked.steps):
        done = step / asked.steps
        optimizer.param_groups[0]["lr"] = asked.lr * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * done))
        pair = torch.from_numpy(paintings[np.sort(pick.integers(0, len(paintings), asked.batch))])
        pair = pair if asked.views else pair[:, :1].expand_as(pair)
        x = crop(torch.cat([pair[:, 0], pair[:, 1]]), asked.size, asked.least, rng)
        x = recolour(x, asked.strong, rng).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.half):
            projections, colours = school(x)
        deepest = contrast(projections[-1], asked.temperature)
        earlier = sum((contrast(z, asked.temperature) for z in projections[:-1]), torch.zeros(()))
        loss = deepest + asked.earlier * earlier + asked.colours * colours
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % max(asked.steps // 100, 1) == 0 or step + 1 == asked.steps:
            yield step + 1, school.primer, {"contrast": deepest.item(), "colours": colours.item()}


def options() -> argparse.ArgumentParser:
    """What can be asked of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the paintings, the weights and the log")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--plans", type=int, default=50_000, help="plans that are painted, twice each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=256, help="pairs a step")
    parser.add_argument("--size", type=int, default=32, help="pixels that the network is shown")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--least", type=float, default=0.3, help="the smallest part of a painting that is shown")
    parser.add_argument("--strong", type=float, default=0.7, help="share of the views whose colours change much")
    parser.add_argument("--earlier", type=float, default=0.0, help="weight of contrast at the earlier maps")
    parser.add_argument("--colours", type=float, default=1.0, help="weight of the colours of the cells")
    parser.add_argument("--views", action=argparse.BooleanOptionalAction, default=True, help="pairs are two paintings")
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
    parser.add_argument("--without", choices=INGREDIENTS, nargs="*", default=(), help="leave out of the paintings")
    return parser


def main() -> None:
    """Paint, learn, and write the weights with what they came from."""
    asked = options().parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    paintings = painted(asked.out, asked.plans, 64, tuple(asked.without))
    begun, log = time.monotonic(), []
    for step, primer, losses in learn(asked, paintings):
        log.append({"step": step, "seconds": round(time.monotonic() - begun)} | losses)
        print(json.dumps(log[-1]), flush=True)
        if step == asked.steps:
            save_file({name: tensor.contiguous() for name, tensor in primer.state_dict().items()}, asked.out / WEIGHTS)
    (asked.out / "log.json").write_text(json.dumps({"command": sys.argv[1:], "log": log}, indent=1))


if __name__ == "__main__":
    main()
