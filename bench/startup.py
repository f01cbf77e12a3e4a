"""How long `gesso` takes to answer, against a Python that does nothing: medians, one after the other in turn.

python -m bench.startup [--times 21]
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time

RUN = "import sys; from gesso.cli import main; sys.exit(main())"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import gesso": ["-c", "import gesso"],
    "gesso --version": ["-c", RUN, "--version"],
    "gesso --help": ["-c", RUN, "--help"],
    "gesso sample --help": ["-c", RUN, "sample", "--help"],
    "gesso train --help": ["-c", RUN, "train", "--help"],
    "gesso list": ["-c", RUN, "list"],
}


def seconds(words: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=21, help="runs of each")
    times = parser.parse_args().times
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(times + 1):
        for name, words in COMMANDS.items():
            took = seconds(words)
            if turn:  # the first fills the disk's cache
                taken[name].append(took)
    nothing = statistics.median(taken["python -c pass"])
    print(f"Python {platform.python_version()}, {platform.machine()}, median of {times}")
    for name, several in taken.items():
        median = statistics.median(several)
        print(f"  {name:22} {median:6.3f} s  {median / nothing:5.1f} x   (fastest {min(several):.3f} s)")


if __name__ == "__main__":
    main()
