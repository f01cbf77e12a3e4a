"""The one training loop: what every family learns by.

`batches`: what a step learns from, a pure function of (seed, step). `learner`: one step. `engine`: what is
fastest on the device at hand. `loop`: the run from its first step to its last, through stops and kills.
"""

from gesso.train.batches import Batches
from gesso.train.engine import Engine, candidates, launch, pick_device, together
from gesso.train.learner import Learner, seeded
from gesso.train.loop import Schedule, run
from gesso.train.probe import choose, rate
from gesso.train.subject import Subject

__all__ = [
    "Batches",
    "Engine",
    "Learner",
    "Schedule",
    "Subject",
    "candidates",
    "choose",
    "launch",
    "pick_device",
    "rate",
    "run",
    "seeded",
    "together",
]
