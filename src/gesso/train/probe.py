"""Timing a few steps before a run, so that its length and its engine are decided once and then stay."""

import time

import torch
from lightning_fabric import Fabric

from gesso.contract.family import Clock, Facts, Family, Learning
from gesso.train.batches import Batches, Pictures
from gesso.train.engine import Engine
from gesso.train.learner import Learner


def choose(
    family: type[Family],
    config: Learning,
    facts: Facts,
    pictures: Pictures,
    fabric: Fabric,
    engines: list[Engine],
    seconds: float = 2.0,
    accumulate: int = 1,
) -> tuple[Engine, float]:
    """The fastest of several engines, and its rate in pictures a second over all processes.

    seconds: for each engine. The networks timed are thrown away. Every process comes to the same choice.
    """
    rates = []
    for engine in engines:
        rates.append(rate(family, config, facts, pictures, fabric, engine, seconds, accumulate))
        if rates[-1] < 0.6 * max(rates) and len(rates) > 2:
            break
    best = max(range(len(rates)), key=rates.__getitem__)
    return engines[best], rates[best]


def rate(
    family: type[Family],
    config: Learning,
    facts: Facts,
    pictures: Pictures,
    fabric: Fabric,
    engine: Engine,
    seconds: float,
    accumulate: int = 1,
) -> float:
    """Pictures a second of a training step, over all processes."""
    engine.apply()
    torch.manual_seed(0)
    learner = Learner(family(config, facts), fabric, engine, accumulate)
    batches = Batches(pictures, facts, seed=0, batch=config.batch, flip=config.flip)
    total = 10**6 * config.batch  # far from the end: no rate has fallen yet

    def step(number: int) -> None:
        clock = Clock(number, number * config.batch, total)
        learner.step(batches.at(number, fabric.device, fabric.global_rank, fabric.world_size), clock, 0)
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()

    begun = time.perf_counter()
    step(0)  # the first chooses and compiles kernels
    first = time.perf_counter() - begun
    step(1)
    often = int(_agreed(fabric, max(min(seconds / max(time.perf_counter() - begun - first, 1e-4), 200), 2)))
    begun = time.perf_counter()
    for number in range(2, 2 + often):
        step(number)
    return config.batch * often / _agreed(fabric, time.perf_counter() - begun)


def _agreed(fabric: Fabric, value: float) -> float:
    """The mean over all processes."""
    mean = fabric.all_reduce(torch.tensor(value, dtype=torch.float32, device=fabric.device), reduce_op="mean")
    return float(mean) if isinstance(mean, torch.Tensor) else value
