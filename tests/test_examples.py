"""The examples, run on a handful of pictures each."""

import importlib.util
import io
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
BRIEF = ("--minutes", "0.03")


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """A few pictures in the form of CIFAR-10's official archive."""
    folder, rng = tmp_path_factory.mktemp("cifar"), np.random.default_rng(0)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:

        def put(name, value):
            data = pickle.dumps(value, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

        put("batches.meta", {"label_names": names, "num_cases_per_batch": 30, "num_vis": 3072})
        for number in range(1, 6):
            pictures = rng.integers(0, 256, (30, 3072), dtype=np.uint8)
            labels = [i % 10 for i in range(30)]
            names_of = [f"{number}_{i}.png" for i in range(30)]
            put(f"data_batch_{number}", {b"data": pictures, b"labels": labels, b"filenames": names_of})
    return folder


def test_gan_cifar10(cifar, tmp_path):
    drawn = example("gan_cifar10").main("--folder", str(cifar), *BRIEF, "--home", str(tmp_path))
    assert len(list(drawn.glob("*/*.png"))) == 80
    assert (drawn / "frog").is_dir()


def test_vae_cifar10(cifar, tmp_path):
    with Image.open(example("vae_cifar10").main("--folder", str(cifar), *BRIEF, "--home", str(tmp_path))) as sheet:
        assert sheet.width > 256


def test_digits(tmp_path):
    sheet = example("digits").main("--count", "150", *BRIEF, "--home", str(tmp_path))
    with Image.open(sheet) as picture:
        assert picture.height > 160


def test_own_folder(tmp_path):
    folder, rng = tmp_path / "mine", np.random.default_rng(0)
    folder.mkdir()
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)).save(folder / f"{number}.jpg")
    paths = example("own_folder").main(str(folder), *BRIEF, "--home", str(tmp_path / "home"))
    assert len(paths) == 16


def test_cifar_is_only_downloaded_when_asked_and_only_kept_when_right(tmp_path, monkeypatch):
    sys.path.insert(0, str(EXAMPLES))
    cifar10 = example("cifar10")
    with pytest.raises(SystemExit, match="--download"):
        cifar10.find(tmp_path)
    monkeypatch.setattr(cifar10.urllib.request, "urlopen", lambda address: io.BytesIO(b"not it" * 1000))
    with pytest.raises(SystemExit, match="damaged"):
        cifar10.find(tmp_path, download=True)
    assert list(tmp_path.iterdir()) == []
