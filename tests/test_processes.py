"""The real command in processes of its own: several at once, kills, stops."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from gesso import tasks
from gesso.store import Run

SMALL = ["--size", "16", "--threads", "1", "--precision", "float32", "--set", "width=8", "--set", "critic_width=8"]
OFTEN = ["--save-every", "0.2", "--preview-every", "1000"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tasks.run("import", home=home, source="blossoms", name="blossoms", size="16", count=200)
    return home


def command(home, *words, module=("gesso",)):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GESSO_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-m", *module, *words],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def digest(run):
    state, (model, _) = run.load_state(), run.load_model()
    whole = hashlib.sha256()
    for tensors in (state.tensors, model):
        for name in sorted(tensors):
            whole.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return whole.hexdigest()


def test_kills_change_nothing(home):
    """Three SIGKILLs at moments drawn by lot; bench/kills.py does it fifty times. Then one Ctrl-C."""
    rng = random.Random(5)
    words = ["train", "blossoms", "--images", "6k", *SMALL, *OFTEN]
    _, said = command(home, *words).communicate(timeout=100)
    undisturbed = Run.open(home, "blossoms")
    assert undisturbed.record["status"] == "finished", said
    process = command(home, *words)
    deadline = time.monotonic() + 60
    while Run.open(home, "blossoms").number == undisturbed.number and time.monotonic() < deadline:
        time.sleep(0.05)
    run = Run.open(home, "blossoms")
    for _ in range(3):
        while run.load_state() is None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.communicate()
        process = command(home, "train", "--resume", str(run.number), *OFTEN)
    time.sleep(rng.uniform(2, 3))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, 130), said
    assert "Traceback" not in said
    _, said = command(home, "train", "--resume", str(run.number)).communicate(timeout=100)
    assert Run.open(home, run.number).record["status"] == "finished", said
    assert digest(run) == digest(undisturbed)


def test_two_processes_learn_one_model(home):
    launch = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "gesso")
    process = command(home, "train", "blossoms", "--images", "640", *SMALL, module=launch)
    said = process.communicate(timeout=100)
    run = Run.open(home, "blossoms")
    assert process.returncode == 0, said
    assert run.record["processes"] == 2
    assert run.record["status"] == "finished"
    assert said[1].count("pictures to show") == 1
    alone = command(home, "train", "--resume", str(run.number))
    _, said = alone.communicate(timeout=60)
    assert alone.returncode == 2
    assert "2 processes" in said
