"""SIGKILL at random moments of `gesso train`, again and again, against an undisturbed run of the same seed.

    python -m bench.kills [--kills 50] [--images 640k]

The trainer is the real command, started anew after every kill with --resume, and killed at a random moment of its
life: while it starts, learns, saves or draws. At the end the tensors of both runs' last states and models are
hashed: all must be equal. With --break-it the run is resumed with another seed for its batches, to see that the
comparison can fail.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.data import OUT
from gesso.store import Run


def gesso(home: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "gesso", "--home", str(home), *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"gesso ended with {process.returncode}: {said}")


def digest(run: Run) -> str:
    state, (model, _) = run.load_state(), run.load_model()
    assert state is not None
    whole = hashlib.sha256()
    for tensors in (state.tensors, model):
        for name in sorted(tensors):
            whole.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return whole.hexdigest()


def latest_moment(start: float, work: float, kills: int) -> float:
    """Seconds after its start within which a process is killed, so that `kills` lives do a part of the work.

    A life drawn evenly from 0 to start + s works for s²/2(start + s) seconds on the mean; kills · that = 0.25 · work.
    """
    a = 0.25 * work / kills
    return start + a + (a * a + 2 * a * start) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--images", default="640k")
    parser.add_argument("--break-it", action="store_true")
    options = parser.parse_args()
    home, rng = OUT / "kills", random.Random(0)
    shutil.rmtree(home, ignore_errors=True)
    finish(gesso(home, "import", "blossoms", "--name", "blossoms", "--size", "16", "--count", "400"))
    how = ["--images", options.images, "--threads", "1", "--precision", "float32", "--size", "16"]
    small = ["--set", "width=8", "--set", "critic_width=8", "--save-every", "0.5", "--preview-every", "1"]
    begun = time.monotonic()
    process = gesso(home, "train", "blossoms", *how, *small)
    while not list(home.glob("runs/0001-*/state/*.safetensors")) and process.poll() is None:
        time.sleep(0.01)
    start = time.monotonic() - begun  # until the first save
    finish(process)
    life = latest_moment(start, time.monotonic() - begun - start, options.kills)
    undisturbed = Run.open(home, 1)

    kills, restarts, moments = 0, 0, []
    process = gesso(home, "train", "blossoms", *how, *small)
    while len([*(home / "runs").glob("0002-*")]) == 0:  # what is killed before there is a run leaves none
        time.sleep(0.05)
    while True:
        wait = rng.uniform(0, life) if kills < options.kills else None
        try:
            process.wait(wait)
            finish(process)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            moments.append(round(wait or 0, 2))
        run = Run.open(home, 2)
        if options.break_it:
            run.update(seed=kills)
        process = gesso(home, "train", "--resume", "2", "--save-every", "0.5", "--preview-every", "1")
        restarts += 1
    same = digest(Run.open(home, 2)) == digest(undisturbed)
    orphans = [str(path) for path in (home / "runs").rglob(".gesso*")]
    result = {"kills": kills, "restarts": restarts, "identical": same, "orphans": orphans, "after_s": moments}
    (OUT / "kills.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result))
    sys.exit(0 if same != options.break_it and not orphans else 1)


if __name__ == "__main__":
    main()
