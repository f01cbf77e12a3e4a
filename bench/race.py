"""Quality over CPU time: the default recipe against DCGAN, plain and fair, on the same data and the same judge.

    python -m bench.race --data DATASET --recipes plain,fair,default --seeds 0,1,2 --seconds 600

- `plain`: the DCGAN of the PyTorch examples as its authors run it: BCE, Adam 2e-4 with betas 0.5 and 0.999, batch
  64, float32, channels first, no running average. Its width is 64 there; `plain32` is half as wide, which learns
  faster in a short time and so is the stronger opponent.
- `fair`, `fair32`: the same on Gesso's engine: the fastest precision and memory format, fused Adam, running
  average, flips where the default has them.
- `default`: what `gesso train` does with this data, in a run of --seconds.
- the name of a preset, as `primer`: the same with that preset.
- `default:100`: as `default` in a run of 100 seconds. Its rates fall towards the end of a run, as `--minutes` plans
  it, so this, not a longer run's hundredth second, is what a user gets who has 100 seconds.

Every recipe has one thread. Time is the process's own CPU seconds spent learning, judging left out.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import OUT, load
from bench.judge import Jury, make_judge
from gesso.conditioning import Conditions
from gesso.contract.family import Clock, Facts
from gesso.families.gan import GAN, DCGANGenerator, StridedCritic
from gesso.train import Batches, Engine, Learner, candidates, launch
from gesso.train.plan import View, pick_preset

MADE = 2500  # pictures that are judged


class DCGAN:
    """The loop of the PyTorch examples, written as they describe it; `fair` puts it on Gesso's engine."""

    def __init__(self, facts: Facts, width: int, fair: bool, engine: Engine, flip: bool):
        config = GAN.Config.of({**GAN.presets["dcgan"], "width": width, "critic_width": width})
        self.latent, self.batch = config.latent, config.batch
        self.fair, self.engine, self.flip = fair, engine, flip and fair
        alone = Conditions(facts)
        self.generator, self.critic = DCGANGenerator(config, facts, alone), StridedCritic(config, facts, alone)
        if fair and engine.channels_last:
            self.generator.to(memory_format=torch.channels_last)
            self.critic.to(memory_format=torch.channels_last)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), fused=fair or None)
            for network in (self.generator, self.critic)
        ]
        self.average = copy.deepcopy(self.generator)

    def step(self, real: Tensor, seen: int, rng: torch.Generator) -> None:
        of_generator, of_critic = self.optimizers
        real = real if self.fair else real.contiguous()
        one, zero = torch.ones(len(real)), torch.zeros(len(real))
        bce = F.binary_cross_entropy_with_logits
        half = torch.autocast("cpu", torch.bfloat16, enabled=self.fair and self.engine.precision == "bfloat16")
        with half:
            fake = self.generator(torch.randn(len(real), self.latent, generator=rng), None)
            loss = bce(self.critic(real, None), one) + bce(self.critic(fake.detach(), None), zero)
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
        self.critic.requires_grad_(False)
        with half:
            loss = bce(self.critic(fake, None), one)
        of_generator.zero_grad()
        loss.backward()
        of_generator.step()
        self.critic.requires_grad_(True)
        if self.fair:
            self._follow(len(real), seen)

    @torch.no_grad()
    def _follow(self, shown: int, seen: int) -> None:
        weight = 1 - 0.5 ** (shown / min(20_000, 0.05 * (seen + shown)))
        for slow, fast in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            slow.lerp_(fast, weight)
        for slow, fast in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            slow.copy_(fast)

    def drawer(self) -> nn.Module:
        return copy.deepcopy(self.average if self.fair else self.generator).eval()


def trained(recipe: str, images: np.ndarray, seed: int, marks: list[float]) -> Iterator[tuple[float, int, np.ndarray]]:
    """At each mark: CPU seconds spent, pictures seen, and the pictures that the recipe then draws."""
    facts = Facts.of({"channels": images.shape[3], "height": images.shape[1], "width": images.shape[2]})
    engine = candidates("cpu", threads=1)[0]
    engine.apply()
    torch.manual_seed(seed)
    preset = recipe if recipe in GAN.presets else pick_preset(GAN, len(images))[0]
    config = GAN.Config.of(GAN.presets[preset])
    batches = Batches(View(images, np.full(len(images), -1)), facts, seed, config.batch, config.flip)
    rng = torch.Generator().manual_seed(seed)
    step: Callable[[int, float], None]
    draw: Callable[[], np.ndarray]
    if recipe == "default" or recipe in GAN.presets:
        learner = Learner(GAN(config, facts), launch("cpu"), engine)

        def step(number: int, done: float) -> None:
            total = int(number * config.batch / max(done, 1e-6)) if done else 10**9
            learner.step(batches.at(number, torch.device("cpu")), Clock(number, number * config.batch, total), seed)

        def draw() -> np.ndarray:
            return paint(learner.drawer().parts["generator"], config.latent)
    else:
        width = 32 if recipe.endswith("32") else 64
        dcgan = DCGAN(facts, width, recipe.startswith("fair"), engine, config.flip)
        batches.flip = dcgan.flip

        def step(number: int, done: float) -> None:
            dcgan.step(batches.at(number, torch.device("cpu")).image, number * dcgan.batch, rng)

        def draw() -> np.ndarray:
            return paint(dcgan.drawer(), dcgan.latent)

    number, used = 0, 0.0
    for mark in marks:
        while used < mark:
            begun = time.process_time()
            step(number, used / marks[-1])
            used += time.process_time() - begun
            number += 1
        yield used, number * config.batch, draw()


@torch.inference_mode()
def paint(generator: nn.Module, latent: int) -> np.ndarray:
    rng = torch.Generator().manual_seed(1)
    parts = [generator(torch.randn(250, latent, generator=rng), None) for _ in range(MADE // 250)]
    return ((torch.cat(parts).clamp(-1, 1) + 1) * 127.5 + 0.5).byte().permute(0, 2, 3, 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="blossoms", help="emoji, sprites, blossoms, or an archive")
    parser.add_argument("--recipes", default="default,plain32,fair32,default:60,default:100,plain")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds; the plain recipes stop at half")
    parser.add_argument("--count", type=int, help="learn from so many pictures, drawn once, not from all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels, name = load(options.data)
    judge = make_judge(images, labels, OUT / f"judge-{name}.safetensors")
    shown, fresh = images, None
    if options.count:
        order = np.random.default_rng(0).permutation(len(images))
        shown, fresh = images[order[: options.count]], images[order[options.count :][: options.count]]
        name = f"{name}-{options.count}"
    jury = Jury(judge, images, shown, fresh)
    (OUT / "race").mkdir(parents=True, exist_ok=True)
    for seed in map(int, options.seeds.split(",")):
        for recipe in options.recipes.split(","):
            kind, _, budget = recipe.partition(":")
            most = options.seconds / 2 if recipe.startswith("plain") else options.seconds
            marks = [options.seconds * share for share in (1 / 30, 1 / 15, 0.1, 1 / 6, 0.25, 1 / 3, 0.5, 0.75, 1.0)]
            marks = [float(budget)] if budget else [mark for mark in marks if mark <= most + 1e-9]
            with (OUT / "race" / f"{name}.jsonl").open("a") as file:
                for used, seen, made in trained(kind, shown, seed, marks):
                    line = {"data": name, "recipe": recipe, "seed": seed, "cpu_s": round(used), "seen": seen}
                    line |= {"images_per_s": round(seen / used, 1), **jury.report(made)}
                    file.write(json.dumps(line) + "\n")
                    file.flush()
                    print(line, flush=True)
            save_grid(made, OUT / "race" / f"{name}-{recipe.replace(':', '-')}-{seed}.png")


def save_grid(images: np.ndarray, path: Path) -> None:
    from gesso.marks.picture import write_sheet

    write_sheet(path, [list(images[i : i + 12]) for i in range(0, 96, 12)])


if __name__ == "__main__":
    main()
