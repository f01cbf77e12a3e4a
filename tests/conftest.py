import atexit
import os
import shutil
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share two cores with each other and with their children

import numpy as np
import pytest
import torch
from hypothesis import settings

from gesso.contract.family import Facts
from gesso.train import Engine, launch
from gesso.train.plan import View

os.environ["GESSO_HOME"] = tempfile.mkdtemp(prefix="gesso-tests-")  # whose key signs what no other home is named for
atexit.register(shutil.rmtree, os.environ["GESSO_HOME"], ignore_errors=True)
torch.set_num_threads(1)
settings.register_profile("gesso", derandomize=True, deadline=None)  # the same examples every time, on any machine
settings.load_profile("gesso")


LONGEST = {"studio_story", "studio_jobs", "studio_api", "processes", "measure", "families", "finish_task", "replay"}


def pytest_collection_modifyitems(items):
    """Files that take longest come first, so that two workers end together."""
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONGEST)


@pytest.fixture(scope="session")
def fabric():
    return launch("cpu")


@pytest.fixture(autouse=True)
def same_bits():
    """Every test begins with one thread and kernels that give the same bits every time."""
    Engine(threads=1).apply()
    torch.manual_seed(0)


CAPTIONS = ("a small bright disc", "a large dark disc")


def paint(count: int, channels: int = 3, height: int = 16, width: int = 16, classes: int = 2, source: int = 0) -> View:
    """Small bright or dark discs on a ramp, with captions: enough to learn from, in microseconds.

    source: channels of a source of each, its negative; 0 for none.
    """
    rng = np.random.default_rng(0)
    label = np.arange(count) % classes
    y, x = np.mgrid[:height, :width]
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) * (0.2 + 0.1 * label[:, None, None])) ** 2
    picture = np.where(disc[..., None], 220 - 120 * label[:, None, None, None], 40) + rng.integers(
        0, 20, (count, 1, 1, channels)
    )
    picture = picture.astype(np.uint8)
    sources = np.repeat(255 - picture[..., :1], source, axis=3) if source else None
    return View(picture, label.astype(np.int64), [CAPTIONS[i % 2] for i in label], sources)


@pytest.fixture
def facts():
    return Facts(channels=3, height=16, width=16, labels=("small", "large"), count=32)


@pytest.fixture
def view():
    return paint(32)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """A home with the data set `few`, and a run of it that has learned next to nothing."""
    import gesso

    home = tmp_path_factory.mktemp("home")
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=home)
    options = {"family": "gan", "images": "64", "set": ("width=8", "critic_width=8", "latent=8")}
    gesso.run("train", dataset="few", **options, home=home)
    return home


@pytest.fixture(scope="module")
def server(few, tmp_path_factory):
    """A real studio of a home with a data set and a run."""
    from tests.serving import Server

    home = tmp_path_factory.mktemp("studio") / "home"
    shutil.copytree(few, home)
    with Server(home) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client
