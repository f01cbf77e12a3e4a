"""Whether a model draws what it is asked for: on blossoms, whose factors are known, a judge reads them off.

    python -m bench.control HOME RUN [RUN ...] --count 1200

The judge is a small network with a head a factor, trained once a size on 16,000 flowers that no generator saw, and
kept in bench/out. It reads 2,000 other real flowers (its own accuracy, the most that can be hoped for), and the
pictures that each run draws: of a run that takes text, to the captions of flowers it never saw; of one that takes
labels, to each label equally often. A line a run goes to bench/out/control.jsonl.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import gesso
from bench.data import OUT
from bench.judge import Block, to_float
from gesso.data.blossoms import COLOURS, GROUNDS, SPECIES, paint_blossoms
from gesso.sample import draw

LEARNED, READ = 16_000, 2_000
CLASSES: dict[str, list] = {
    "species": list(SPECIES),
    "colour": list(COLOURS),
    "second": ["", *COLOURS],
    "ground": list(GROUNDS),
    "size": ["small", "medium-sized", "large"],
    "stem": [False, True],
}


class Reader(nn.Module):
    """Pictures to logits, a head a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 48, 3, 1, 1), Block(48, 64), Block(64, 128), Block(128, 192))
        self.heads = nn.ModuleDict({name: nn.Linear(192 * 2, len(kinds)) for name, kinds in CLASSES.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = F.relu(self.body(x))
        seen = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        return {name: head(seen) for name, head in self.heads.items()}


def numbers(factors: list[dict]) -> dict[str, Tensor]:
    """The class of each picture, a factor; how large it is, as its caption says it."""
    for one in factors:
        words = one["text"].split()
        one["size"] = next(word for word in CLASSES["size"] if word in words)
    return {name: torch.tensor([kinds.index(one[name]) for one in factors]) for name, kinds in CLASSES.items()}


def reader(side: int, steps: int = 4000) -> Reader:
    """The judge of a size, trained from a fixed seed or read from bench/out."""
    torch.manual_seed(0)
    judge, kept = Reader().to(memory_format=torch.channels_last), OUT / f"control-reader-{side}.safetensors"
    if kept.exists():
        judge.load_state_dict(load_file(kept))
        return judge.eval()
    images, factors = paint_blossoms(LEARNED, side, seed=101)
    wanted, rng = numbers(factors), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        pick = torch.randint(LEARNED, (96,), generator=rng)
        with torch.autocast("cpu", torch.bfloat16):
            seen = judge(to_float(images[pick.numpy()]))
        loss = torch.stack([F.cross_entropy(seen[name].float(), wanted[name][pick]) for name in CLASSES]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"reader, step {step} of {steps}: {loss.item():.2f}", flush=True)
    OUT.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in judge.state_dict().items()}, kept)
    return judge.eval()


@torch.inference_mode()
def read(judge: Reader, images: np.ndarray) -> dict[str, Tensor]:
    """The class that the judge sees, a factor."""
    parts = [judge(to_float(part)) for part in np.array_split(images, max(len(images) // 200, 1))]
    return {name: torch.cat([part[name] for part in parts]).argmax(1) for name in CLASSES}


def accuracy(seen: dict[str, Tensor], asked: dict[str, Tensor]) -> dict[str, float]:
    """Share read as asked, a factor."""
    return {name: round(float((seen[name] == asked[name]).float().mean()), 4) for name in asked}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("home", type=Path)
    words.add_argument("runs", nargs="+")
    words.add_argument("--count", type=int, default=1200)
    words.add_argument("--by", choices=["text", "label"], help="what to ask by; a run's text where it takes one")
    words.add_argument("--set", nargs="*", default=[], help="choices of drawing, such as guidance=3")
    options = words.parse_args()
    torch.set_num_threads(1)
    for ref in options.runs:
        model = gesso.load(ref, home=options.home)
        side = model.family.facts.height
        judge = reader(side)
        images, factors = paint_blossoms(READ, side, seed=102)
        real = accuracy(read(judge, images), numbers(factors))
        seeds = range(options.count)
        knobs = model.family.Knobs.from_pairs(options.set)
        if "text" in model.family.asks and options.by != "label":
            factors = paint_blossoms(options.count, 8, seed=103)[1]
            made = draw(model.family, seeds, texts=[one["text"] for one in factors], knobs=knobs)
            asked = numbers(factors)
        else:
            labels = [model.labels[i % len(model.labels)] for i in seeds]
            made = draw(model.family, seeds, labels, knobs)
            asked = {"species": torch.tensor([CLASSES["species"].index(label) for label in labels])}
        seen = accuracy(read(judge, np.stack([drawn.image for drawn in made])), asked)
        shares = {name: round(seen[name] / real[name], 3) for name in seen}
        line = {"run": model.run, "step": model.step, "side": side, "count": options.count, "set": options.set}
        line["made"] = seen
        line |= {"real": {name: real[name] for name in seen}, "share": shares}
        print(json.dumps(line, indent=1))
        with (OUT / "control.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
