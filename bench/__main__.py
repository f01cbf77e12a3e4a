"""All benchmarks, one after the other: `make bench`. Figures go to bench/out, and from there to docs/benchmarks.md."""

import subprocess
import sys

from bench.data import available


def main() -> None:
    jobs = [["bench.startup"], ["bench.throughput"], ["bench.importing"]]
    jobs += [["bench.race", "--data", name] for name in available()]
    jobs += [["bench.tables"], ["bench.distances"], ["bench.kills"], ["bench.health"]]
    jobs += [["bench.works"], ["bench.scratches"], ["bench.damage"], ["bench.upscale"]]
    jobs += [["bench.finish_speed"]]
    if available() != ["blossoms"]:  # these want real pictures
        jobs += [["bench.ladder"], ["bench.copies"], ["bench.originality"], ["bench.tiles"], ["bench.holes"]]
        jobs += [["bench.watermark"]]
    for module, *words in jobs:
        print(f"\n== python -m {' '.join([module, *words])}", flush=True)
        subprocess.run([sys.executable, "-m", module, *words], check=True)


if __name__ == "__main__":
    main()
