"""What a flow's solvers cost and what they give: few jumps beside many steps, of one model.

    python -m bench.jumps --data emoji --size 64 --seconds 600 [--family flow:few=0.5] [--seed 0] [--again]

The family learns as in `bench.families` (one thread, so many CPU seconds) and is kept beside the log, so that a second
call only measures. Each way draws the same seeds; its time is the median of rounds that alternate between the ways,
seconds of the wall for 64 pictures, 4 at once, as `gesso sample` draws: measure where nothing else runs. The judge sees
1,000 pictures of each. Lines go to bench/out/jumps.jsonl, the first pictures of each way, a row each, into a sheet.
"""

import argparse
import json
import statistics
import time

import torch

from bench.data import OUT, load
from bench.families import drawn, kept_family
from bench.judge import Jury, make_judge
from gesso.contract.family import Condition, Family
from gesso.marks.picture import write_sheet

WAYS = {
    "jump 1": {"solver": "jump", "steps": 1},
    "jump 2": {"solver": "jump", "steps": 2},
    "jump 3": {"solver": "jump", "steps": 3},
    "jump 4": {"solver": "jump", "steps": 4},
    "euler 4": {"solver": "euler", "steps": 4},
    "heun 16": {"solver": "heun", "steps": 16},
    "euler 50": {"solver": "euler", "steps": 50},
    "heun 50": {"solver": "heun", "steps": 50},
}
TIMED, AT_ONCE, ROUNDS = 64, 4, 3  # as many at once as `gesso sample` draws


@torch.inference_mode()
def seconds(family: Family, way: dict) -> float:
    """Of the wall, for TIMED pictures."""
    rng, begun = torch.Generator().manual_seed(0), time.perf_counter()
    for _ in range(TIMED // AT_ONCE):
        for _ in family.sample(family.prior(AT_ONCE, rng), Condition(), family.Knobs.of(way)):
            pass
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--family", default="flow:few=0.5")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds of learning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="pictures that are judged")
    parser.add_argument("--again", action="store_true", help="learn again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels, name = load(options.data, options.size)
    name = name if options.size == 32 else f"{name}-{options.size}"
    state = OUT / f"jumps-{name}-{options.family.replace(':', '-')}-{options.seconds:.0f}-{options.seed}.safetensors"
    family = kept_family(options.family, images, options.seed, options.seconds, state, options.again)
    rounds = [[seconds(family, way) for way in WAYS.values()] for _ in range(ROUNDS)]
    jury, rows = Jury(make_judge(images, labels, OUT / f"judge-{name}.safetensors"), images, images, None), []
    for i, (title, way) in enumerate(WAYS.items()):
        made = drawn(family, options.count, **way)
        rows.append([*made[:12]])
        spent = statistics.median(r[i] for r in rounds)
        line = {"data": name, "family": options.family, "seed": options.seed, "cpu_s": options.seconds, "way": title}
        line |= {"ms_a_picture": round(1000 * spent / TIMED, 2), **jury.report(made)}
        with (OUT / "jumps.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)
    write_sheet(state.with_suffix(".png"), rows)


if __name__ == "__main__":
    main()
