"""Quality at equal CPU time: families against each other, on the same data and before the same judge.

    python -m bench.families --data emoji --families gan,stylegan --seconds 300,600 --seeds 0

Each family learns as `gesso train` would have it with this data; `stylegan:paper` asks for a preset, and
`stylegan:paper:lr=0.001:mixing=0.5` for choices on top of it. Rates fall towards the end of a run, so every length is a
run of its own. One thread. Time is the process's own CPU seconds spent learning, judging left out.

Prints Fréchet distance, recall, sliced Wasserstein distance and the other figures of `bench/judge.py`, and the Fréchet
distance of the primer's features, which `gesso measure` tells; appends them to bench/out/families.jsonl, and leaves a
sheet of 64 pictures of each run in bench/out/families.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from bench.data import OUT, load
from bench.judge import Jury, make_judge
from gesso import tasks
from gesso.contract.family import Clock, Condition, Facts, Family
from gesso.marks.picture import write_sheet
from gesso.measure.distances import Moments, frechet
from gesso.measure.features import extractor, features_of
from gesso.store.tensors import load_tensors, save_tensors
from gesso.train import Batches, Learner, candidates, launch
from gesso.train.plan import View, pick_preset, suited
from gesso.train.probe import spread

MADE = 2500  # pictures that are judged
TIMED = 80  # steps by which the length of a run is planned


def trained(recipe: str, images: np.ndarray, seed: int, seconds: float) -> tuple[Family, float, int]:
    """A family that has learned for so many CPU seconds, those that it took, and the pictures that it was shown."""
    name, *wishes = recipe.split(":")
    family = tasks.family(name)
    preset = wishes.pop(0) if wishes and "=" not in wishes[0] else pick_preset(family, len(images))[0]
    size = images.shape[1], images.shape[2]
    config = suited(family, family.Config.from_pairs(wishes, family.presets[preset]), "cpu", size)
    facts = Facts.of({"channels": images.shape[3], "height": size[0], "width": size[1]})
    engine = candidates("cpu", threads=1)[0]
    engine.apply()
    batches = Batches(View(images, np.full(len(images), -1)), facts, seed, config.batch, config.flip)

    def fresh() -> Learner:
        torch.manual_seed(seed)
        return Learner(family(config, facts), launch("cpu"), engine)

    def step(learner: Learner, number: int, clock: Clock) -> float:
        begun = time.process_time()
        learner.step(batches.at(number, torch.device("cpu")), clock, seed)
        return time.process_time() - begun

    learner, far = fresh(), 10**9  # as `train.probe` plans a run: steps all over it, since networks may grow
    timed = [step(learner, i, Clock(i, int(far * spread(i)), far)) for i in range(TIMED)]
    steps, used, learner = int(seconds / np.mean(timed[TIMED // 4 :])), 0.0, fresh()
    for number in range(steps):
        used += step(learner, number, Clock(number, number * config.batch, steps * config.batch))
    return learner.drawer(), used, steps * config.batch


def kept_family(recipe: str, images: np.ndarray, seed: int, seconds: float, kept: Path, again: bool = False) -> Family:
    """As `trained`, of the file where it is kept; else, or when learned again, it is kept there."""
    if kept.exists() and not again:
        tensors, note = load_tensors(kept)
        kind = tasks.family(recipe.split(":")[0])
        family = kind(kind.Config.of(note["config"]), Facts.of(note["facts"]))
        family.load_state_dict(tensors)
        return family.eval().requires_grad_(False)
    family, used, seen = trained(recipe, images, seed, seconds)
    note = {"config": family.config.model_dump(), "facts": family.facts.model_dump(), "cpu_s": used, "seen": seen}
    save_tensors(kept, family.state_dict(), note)
    return family


@torch.inference_mode()
def drawn(family: Family, count: int = MADE, **knobs: float) -> np.ndarray:
    """Pictures as bytes, n h w c."""
    rng, parts = torch.Generator().manual_seed(1), []
    for first in range(0, count, 250):
        z = family.prior(min(250, count - first), rng)
        *_, image = family.sample(z, Condition(), family.Knobs.of(knobs))
        parts.append(((image.clamp(-1, 1) + 1) * 127.5 + 0.5).byte().permute(0, 2, 3, 1))
    return torch.cat(parts).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="blossoms", help="emoji, sprites, blossoms, or an archive")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--families", default="gan,stylegan")
    parser.add_argument("--seconds", default="300,600", help="CPU seconds of the runs")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--log", type=Path, default=OUT / "families.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels, name = load(options.data, options.size)
    name = name if options.size == 32 else f"{name}-{options.size}"
    jury = Jury(make_judge(images, labels, OUT / f"judge-{name}.safetensors"), images, images, None)
    real = Moments.of(features_of(extractor(), images))
    sheets = options.log.with_suffix("")
    sheets.mkdir(parents=True, exist_ok=True)
    for seed in map(int, options.seeds.split(",")):
        for seconds in map(float, options.seconds.split(",")):
            for recipe in options.families.split(","):
                family, used, seen = trained(recipe, images, seed, seconds)
                made = drawn(family)
                line = {"data": name, "family": recipe, "seed": seed, "cpu_s": round(used), "seen": seen}
                line |= {"images_per_s": round(seen / used, 1), **jury.report(made)}
                line["fd_primer"] = round(frechet(Moments.of(features_of(extractor(), made)), real), 1)
                with options.log.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(line, flush=True)
                sheet = sheets / f"{name}-{recipe.replace(':', '-')}-{seconds:.0f}-{seed}.png"
                write_sheet(sheet, [list(made[i : i + 8]) for i in range(0, 64, 8)])


if __name__ == "__main__":
    main()
