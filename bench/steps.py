"""How long a step of a slider takes: milliseconds from the slider's move to the picture.

    python -m bench.steps [--families stylegan,gan,vae,flow] [--side 64] [--count 200]
    python -m bench.steps --home HOME --run RUN [--run RUN ...]

One picture at a time, one thread, four channels. Time does not depend on what weights are, so models of the default
choices have learned nothing, unless runs are named. All ways take turns within one process, and every step changes the
picture: `plain` is `Space.pictures` with the mapping every time, as a drawing from a seed is made; `eager` an Explorer
without a graph; `graph` one that onnxruntime draws for; `fine` moves the later half of the layers alone, where a family
has layers; `preview` draws a flow in four steps. Each has the median and the 95th percentile of the wall's time, and
the median of what the thread computed, which says more where others compute beside it; `share` is the graph's median
over the eager one's, of either, `built_s` how long an Explorer takes until it is ready, `load` how busy the machine was
before. Lines go to bench/out/steps.jsonl.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import gesso
from bench.data import OUT
from gesso import tasks
from gesso.contract.family import Facts, Family
from gesso.errors import GessoError
from gesso.explore import ATTRIBUTES, Explorer, Slider, Space

WARM = 20
PREVIEWS = {"flow": {"steps": 4}}


def made(name: str, side: int) -> Family:
    """A model of the default choices, that has learned nothing."""
    torch.manual_seed(0)
    kind = tasks.family(name)
    config = kind.Config.of(kind.sizes.get(side, {}))
    return kind(config, Facts(channels=4, height=side, width=side, count=1000)).eval()


def ways(space: Space) -> tuple[dict[str, Callable[[float], object]], dict[str, float], str]:
    """What takes a strength and draws, by name; seconds until each explorer was ready; why there is no graph."""
    shape = space.points([0]).codes.shape[1:]
    spread = space.points(range(32)).codes.std(0)
    direction = spread * torch.randn(shape, generator=torch.Generator().manual_seed(0)) / 4
    later = torch.arange(shape[0])[:, None] >= shape[0] // 2
    whole, fine = (Slider(ATTRIBUTES[0], way, 1.0, 1.0, -3.0, 3.0, {}) for way in (direction, direction * later))

    def plain(strength: float) -> object:
        points = space.points([1])
        return space.pictures(points.at(points.codes + strength * direction))

    def steps(explorer: Explorer, slider: Slider, half: bool = False) -> Callable[[float], object]:
        return lambda strength: (explorer.slide(slider, strength), explorer.draw(half))

    out: dict[str, Callable[[float], object]] = {"plain": plain}
    built, why = dict[str, float](), ""
    for name in ("eager", "graph"):
        begun = time.perf_counter()
        try:
            if name == "graph":  # of a drawing in many steps "auto" makes none; whether it is quicker is seen here
                why = "" if (tried := Explorer(space, seed=1)).exported or "quicker" in tried.why else tried.why
                if why:
                    continue
                begun = time.perf_counter()
            explorer = Explorer(space, seed=1, graph="on" if name == "graph" else "off")
        except GessoError as error:
            why = error.problem
            continue
        built[name] = round(time.perf_counter() - begun, 2)
        out[name] = steps(explorer, whole)
        if shape[0] > 1:
            out[f"{name} fine"] = steps(Explorer(space, seed=1, graph="on" if name == "graph" else "off"), fine)
    if space.family.name in PREVIEWS:
        rough = space.family.Knobs.of(PREVIEWS[space.family.name])
        out["preview"] = steps(Explorer(space, seed=1, graph="off", previews=rough), whole, True)
    return out, built, why


def measured(space: Space, count: int) -> dict:
    """Milliseconds of every way."""
    load = round(os.getloadavg()[0], 2)
    out, built, why = ways(space)
    wall, cpu = ({name: list[float]() for name in out} for _ in range(2))
    for number in range(WARM + count):
        for name, draw in out.items():
            begun, computed = time.perf_counter(), time.thread_time()
            draw(-1.0 if number % 2 else 1.0)
            cpu[name].append((time.thread_time() - computed) * 1000)
            wall[name].append((time.perf_counter() - begun) * 1000)
    line: dict = {"load": load, "count": count, "built_s": built, "no_graph": why}
    for name in out:
        times = sorted(wall[name][WARM:])
        line[name] = {
            "median_ms": round(statistics.median(times), 2),
            "p95_ms": round(times[int(0.95 * count)], 2),
            "cpu_ms": round(statistics.median(cpu[name][WARM:]), 2),
        }
    for kind in ("median_ms", "cpu_ms"):
        if "graph" in line:
            line[f"share of {kind}"] = round(line["graph"][kind] / line["eager"][kind], 3)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="stylegan,gan,vae,flow")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--run", action="append", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    names = [] if options.run else options.families.split(",")
    models = [("nothing", lambda name=name: made(name, options.side)) for name in names]
    models += [(run, lambda run=run: gesso.load(run, home=options.home).family) for run in options.run]
    for learned, model in models:
        family = model()
        facts = family.facts
        line = {"family": family.name, "learned": learned, "side": facts.height, "channels": facts.channels}
        line |= measured(Space(family), options.count)
        print(line, flush=True)
        with (OUT / "steps.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
