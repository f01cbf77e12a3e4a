"""Timing a few steps before a run, so that its length and its engine are decided once and then stay.

A network may grow while it learns, and its steps with it: those that are timed are spread over the whole run.
"""

import time

import torch
from lightning_fabric import Fabric

from gesso.contract.family import Clock, Facts, Family, Learning
from gesso.train.batches import Batches, Pictures
from gesso.train.engine import Engine
from gesso.train.learner import Learner

GOLDEN = (5**0.5 - 1) / 2


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
    """Pictures a second of training, over all processes: of steps from everywhere in a run."""
    engine.apply()
    torch.manual_seed(0)
    learner = Learner(family(config, facts), fabric, engine, accumulate)
    batches = Batches(pictures, facts, seed=0, batch=config.batch, flip=config.flip)
    total = 10**6 * config.batch

    def step(number: int, done: float) -> None:
        clock = Clock(number, int(done * total), total)
        learner.step(batches.at(number, fabric.device, fabric.global_rank, fabric.world_size), clock, 0)
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()

    begun = time.perf_counter()
    step(0, 0.999)  # the first chooses and compiles kernels
    first = time.perf_counter() - begun
    step(1, 0.999)
    often = int(_agreed(fabric, max(min(seconds / max(time.perf_counter() - begun - first, 1e-4), 200), 2)))
    begun = time.perf_counter()
    for number in range(2, 2 + often):
        step(number, spread(number - 2))
    return config.batch * often / _agreed(fabric, time.perf_counter() - begun)


def spread(number: int) -> float:
    """A place in a run, in [0, 1), for each number from 0: however many are taken, they lie evenly.

    Steps by the golden section, from the middle: the sequence of lowest discrepancy of its kind (Niederreiter 1992,
    "Random Number Generation and Quasi-Monte Carlo Methods", chapter 3).
    """
    return (0.5 + number * GOLDEN) % 1


def _agreed(fabric: Fabric, value: float) -> float:
    """The mean over all processes."""
    mean = fabric.all_reduce(torch.tensor(value, dtype=torch.float32, device=fabric.device), reduce_op="mean")
    return float(mean) if isinstance(mean, torch.Tensor) else value
