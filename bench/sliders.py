"""Whether sliders do what their names say: on blossoms, whose factors are known, a judge reads what they change.

    python -m bench.sliders HOME RUN [RUN ...] [--count 1500]

The judge is a small network that learned to read the factors, as numbers, of 16,000 flowers that no generator saw; it
is kept in bench/out, and reads 2,000 other real flowers (`real`: correlation with the truth, the most that can be hoped
for). The sliders of each run are found as `gesso directions` finds them, without labels. Then 64 other seeds are drawn
at nine strengths, all over the slider's range: `correlation` is that of strength and what the judge reads of the factor
that the slider is named after, each seed beside its own mean; `moves` how far the factor moves over the range, in
standard deviations of real flowers; `others` how far the other factors move, as shares of that. Lines go to
bench/out/sliders.jsonl.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import gesso
from bench.data import OUT
from bench.judge import Block, to_float
from gesso.data.blossoms import COLOURS, GROUNDS, paint_blossoms
from gesso.explore import Slider, Space, find
from gesso.marks.picture import to_uint8

LEARNED, READ, SEEDS, STRENGTHS = 16_000, 2_000, 64, 9


def _colour(factors: dict, turn: Callable[[float], float]) -> float:
    return COLOURS[factors["colour"]][1] * turn(math.radians(factors["hue"]))


def _ground(factors: dict, turn: Callable[[float], float]) -> float:
    _, chroma, hue = GROUNDS[factors["ground"]][0]
    return chroma * turn(math.radians(hue))


FACTORS: dict[str, Callable[[dict], float]] = {
    "size": lambda f: f["radius"],
    "right": lambda f: f["x"],
    "low": lambda f: f["y"],
    "petals": lambda f: math.log(f["petals"]),
    "stem": lambda f: float(f["stem"]),
    "light": lambda f: f["lightness"],
    "red": lambda f: _colour(f, math.cos),
    "yellow": lambda f: _colour(f, math.sin),
    "ground light": lambda f: GROUNDS[f["ground"]][0][0],
    "ground red": lambda f: _ground(f, math.cos),
    "ground yellow": lambda f: _ground(f, math.sin),
}
NAMES = [*FACTORS]
OWN = {name: name for name in NAMES} | {"parts": "petals"}  # the factor of each attribute that has one


class Reader(nn.Module):
    """Pictures to a number a factor, in standard deviations of real flowers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(5, 48, 3, 1, 1), Block(48, 64), Block(64, 128), Block(128, 192))
        self.head = nn.Sequential(nn.Linear(192 * 6, 256), nn.ReLU(), nn.Linear(256, len(NAMES)))

    def forward(self, x: Tensor) -> Tensor:
        line = torch.linspace(-1, 1, x.shape[2]).expand(len(x), 1, x.shape[3], x.shape[2])
        maps = F.relu(self.body(torch.cat([x, line, line.transpose(2, 3)], 1)))
        seen = torch.cat([F.adaptive_avg_pool2d(maps, 2).flatten(1), maps.mean((2, 3)), maps.amax((2, 3))], 1)
        return self.head(seen)


def numbers(factors: list[dict]) -> Tensor:
    """n k."""
    return torch.tensor([[read(one) for read in FACTORS.values()] for one in factors], dtype=torch.float32)


def reader(side: int, steps: int = 4000) -> tuple[Reader, dict[str, float]]:
    """The judge of a size, trained from a fixed seed or read from bench/out, and how well it reads real flowers."""
    torch.manual_seed(0)
    judge, kept = Reader().to(memory_format=torch.channels_last), OUT / f"sliders-reader-{side}.safetensors"
    if kept.exists():
        judge.load_state_dict(load_file(kept))
    else:
        images, factors = paint_blossoms(LEARNED, side, seed=101)
        wanted, rng = numbers(factors), torch.Generator().manual_seed(0)
        wanted = (wanted - wanted.mean(0)) / wanted.std(0)
        optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
        for step in range(steps):
            pick = torch.randint(LEARNED, (64,), generator=rng)
            with torch.autocast("cpu", torch.bfloat16):
                seen = judge(to_float(images[pick.numpy()]))
            loss = F.smooth_l1_loss(seen.float(), wanted[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 200 == 0:
                print(f"reader, step {step} of {steps}: {loss.item():.3f}", flush=True)
        OUT.mkdir(exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in judge.state_dict().items()}, kept)
    images, factors = paint_blossoms(READ, side, seed=102)
    seen, truth = read(judge.eval(), images), numbers(factors)
    both = [float(torch.corrcoef(torch.stack([seen[:, i], truth[:, i]]))[0, 1]) for i in range(len(NAMES))]
    return judge, {name: round(value, 3) for name, value in zip(NAMES, both, strict=True)}


@torch.inference_mode()
def read(judge: Reader, images: np.ndarray) -> Tensor:
    """What the judge sees, n k."""
    parts = np.array_split(images, max(len(images) // 200, 1))
    return torch.cat([judge(to_float(part).contiguous(memory_format=torch.channels_last)) for part in parts])


def tried(space: Space, slider: Slider, judge: Reader, first: int) -> dict:
    """What a slider does, by the judge."""
    points = space.points(range(first, first + SEEDS))
    strengths = torch.linspace(slider.low, slider.high, STRENGTHS)
    rows = []
    for strength in strengths.tolist():
        moved = points.at(points.codes + strength * slider.direction.to(points.codes))
        rows.append(read(judge, to_uint8(space.pictures(moved))))
    seen = torch.stack(rows)  # s n k
    change = seen - seen.mean(0)
    mean = change.mean(1)
    slope = ((strengths - strengths.mean())[:, None] * mean).sum(0) / (strengths - strengths.mean()).square().sum()
    moves = slope * (slider.high - slider.low)
    line = {
        "slider": slider.attribute.more,
        "low": slider.low,
        "high": slider.high,
        "own": round(slider.correlation, 3),
    }
    if slider.attribute.name not in OWN:
        return line | {"moves": {name: round(float(value), 2) for name, value in zip(NAMES, moves, strict=True)}}
    number = NAMES.index(OWN[slider.attribute.name])
    x = strengths[:, None].expand(-1, SEEDS)
    line["factor"] = NAMES[number]
    line["correlation"] = round(
        float(torch.corrcoef(torch.stack([x.flatten(), change[..., number].flatten()]))[0, 1]), 3
    )
    line["moves"] = round(float(moves[number]), 2)
    shares = {name: round(float(value / moves[number]), 3) for name, value in zip(NAMES, moves, strict=True)}
    line["others"] = {name: share for name, share in shares.items() if name != NAMES[number]}
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--count", type=int, default=1500, help="pictures in which sliders are sought")
    parser.add_argument("--set", nargs="*", default=[], help="choices of drawing, such as truncation=0.7")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for ref in options.runs:
        model = gesso.load(ref, home=options.home)
        judge, real = reader(model.family.facts.height)
        print("real", real, flush=True)
        space = Space(model.family, model.family.Knobs.from_pairs(options.set))
        finding = find(space, options.count)
        while True:
            try:
                next(finding)
            except StopIteration as end:
                sliders: list[Slider] = end.value
                break
        for slider in sliders:
            line = {"run": model.run, "count": options.count, "set": options.set}
            line |= tried(space, slider, judge, options.count + 10_000)
            print(line, flush=True)
            with (OUT / "sliders.jsonl").open("a") as file:
                file.write(json.dumps(line | {"real": real}) + "\n")


if __name__ == "__main__":
    main()
