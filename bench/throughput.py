"""Training throughput of the default recipe's networks: plainly computed, and on Gesso's engine, turn about.

    python -m bench.throughput [--data emoji] [--rounds 5]

Plain is what a careful newcomer writes: float32, channels first, a pass through the critic for each network's
turn, Adam as it comes. The engine adds, one after the other: channels last (or what is fastest here), fused
Adam, and one backward pass through the critic for both; last the critic on the primer, instead of the default's.
One thread; medians of rounds that alternate.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch

from bench.data import OUT, available, load
from gesso.contract.family import Clock, Facts
from gesso.families.gan import GAN
from gesso.train import Batches, Engine, Learner, candidates, launch
from gesso.train.plan import View


def plain_optimizers(learner: Learner) -> None:
    """Adam as it comes, not fused."""
    for part, optimizer in learner.optimizers.items():
        how = learner.family.adam(part)
        learner.optimizers[part] = torch.optim.AdamW(
            optimizer.param_groups[0]["params"], how.lr, how.betas, how.eps, how.weight_decay
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=available()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    images, _, name = load(options.data)
    facts = Facts.of({"channels": images.shape[3], "height": images.shape[1], "width": images.shape[2]})
    first, best = Engine(threads=1, channels_last=False), candidates("cpu", threads=1)[0]
    ways = {
        "plain": (first, {"shared": False}, False),
        "+ memory format and precision": (best, {"shared": False}, False),
        "+ fused Adam": (best, {"shared": False}, True),
        "+ one backward pass for both": (best, {"shared": True}, True),
        "that, critic on the primer": (best, {"critic": "primer", "augment": ["translation"]}, True),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    learners = {}
    for way, (engine, config, fused) in ways.items():
        engine.apply()
        torch.manual_seed(0)
        learners[way] = Learner(GAN(GAN.Config.of(config), facts), launch("cpu"), engine)
        if not fused:
            plain_optimizers(learners[way])
    size = GAN.Config.of({}).batch
    batches = Batches(View(images, np.full(len(images), -1)), facts, 0, size)
    for _ in range(options.rounds):
        for way, learner in learners.items():
            steps, begun = 0, time.process_time()
            while time.process_time() - begun < options.seconds:
                batch = batches.at(steps, torch.device("cpu"))
                if not learner.engine.channels_last:
                    batch.image = batch.image.contiguous()
                learner.step(batch, Clock(steps, steps * size, 10**9), 0)
                steps += 1
            rates[way].append(steps * size / (time.process_time() - begun))
    median = {way: statistics.median(found) for way, found in rates.items()}
    result = {
        "data": name,
        "engine": best.describe(),
        "images_per_cpu_s": {way: round(rate, 1) for way, rate in median.items()},
        "ratio": {way: round(rate / median["plain"], 2) for way, rate in median.items()},
    }
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "throughput.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
