"""How long a film takes, and how even its pace is.

    python -m bench.motion HOME RUN [RUN ...] --seconds 10 --fps 30 [--starts 1,101,201]

Loops through four seeds each (the start and the three after it), with two threads, drawing alone (a film's file takes
milliseconds a frame more): seconds of the wall of frames as they come and at an even pace, and the spread of the change
from frame to frame (standard deviation over mean, root mean squares of pixels, the step from the last to the first
included), of a smooth and of a straight way; `last` is the step from the last frame to the first, over the mean. Lines
go to bench/out/motion.jsonl.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import gesso
from bench.data import OUT
from gesso.explore import Route, Space, frames_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--starts", default="1,101,201")
    options = parser.parse_args()
    torch.set_num_threads(2)
    count = round(options.seconds * options.fps)
    for ref in options.runs:
        model = gesso.load(ref, home=options.home)
        space, label = Space(model.family), 0 if model.labels else None
        for start in map(int, options.starts.split(",")):
            keys = space.points(range(start, start + 4), label)
            for curve in ("smooth", "straight"):
                line = {
                    "run": model.run,
                    "side": model.family.facts.height,
                    "frames": count,
                    "start": start,
                    "curve": curve,
                }
                for even in (False, True):
                    drawing, begun = frames_of(space, Route(space, keys, True, curve), count, even), time.perf_counter()
                    while True:
                        try:
                            next(drawing)
                        except StopIteration as end:
                            images = end.value
                            break
                    took = time.perf_counter() - begun
                    change = (images - images.roll(-1, 0)).square().mean((1, 2, 3)).sqrt()
                    name = "even" if even else "plain"
                    line |= {
                        f"{name}_s": round(took, 2),
                        f"{name}_spread": round(float(change.std() / change.mean()), 3),
                    }
                    line[f"{name}_last"] = round(float(change[-1] / change.mean()), 2)
                print(line, flush=True)
                with (OUT / "motion.jsonl").open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
