"""What each ingredient of the painter is worth: the primer, learned briefly without it, probed.

    python -m bench.ablation --cifar FOLDER [--steps 600]

Every run paints 4,000 plans from 8 views each, learns from them for so many steps of 128 plans, and is probed as
`bench.primer` does, on one draw. The whole painter is run with three seeds, which tells how much of a difference is
chance. Only the deep look is probed, so the quick one learns but once. Runs whose figures are there are not run again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench.data import ARCHIVES, OUT, SHARED
from bench.primer import cifar, features, groups, probe
from gesso.primer.frozen import load
from gesso.primer.painter import INGREDIENTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    sets = {"cifar": cifar(options.cifar)} if options.cifar else {}
    sets |= {name: groups(name) for name, file in ARCHIVES.items() if (SHARED / file).exists()}
    runs = [("", seed) for seed in range(3)] + [(name, 0) for name in INGREDIENTS]
    folder, path = OUT / "ablation", OUT / "ablation.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(line["without"], line["seed"]) for line in known if line["steps"] == options.steps}
    for without, seed in runs:
        if (without, seed) in done:
            continue
        words = ["--out", str(folder), "--plans", "4000", "--views", "8", "--batch", "128", "--half", "--spoilt", "20"]
        words += ["--looks", "deep", *([] if (folder / "quick.json").exists() else ["quick"])]
        words += ["--steps", str(options.steps), "--seed", str(seed), *(["--without", without] if without else [])]
        subprocess.run([sys.executable, "-m", "gesso.primer.learn", *words], check=True, stdout=subprocess.DEVNULL)
        primer, line = load(folder / "primer.safetensors"), {"without": without, "seed": seed, "steps": options.steps}
        for name, (x, y, draws) in sets.items():
            some, rest = draws[0]
            seen = features(primer, x)
            line[name] = round(100 * probe(seen[some], y[some], seen[rest], y[rest]), 1)
        print(json.dumps(line), flush=True)
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        for painted in folder.glob("paintings-*-no-*.npy"):
            painted.unlink()


if __name__ == "__main__":
    main()
