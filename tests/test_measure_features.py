"""What figures are computed from: who sees, whatever the batches, and what it refuses."""

import hashlib
import math
import shutil

import numpy as np
import pytest
import torch

from gesso.errors import GessoError
from gesso.measure.distances import Moments, frechet
from gesso.measure.features import extractor, features, features_of, floats, moments, same_form
from gesso.primer.frozen import WEIGHTS, load


def pictures(n, channels=3, seed=0):
    return torch.rand(n, channels, 24, 20, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_primer_says_who_it_is():
    see = extractor()
    assert see.name == "primer"
    assert see.sha256 == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    torch.testing.assert_close(see(pictures(3)), load().features(pictures(3), 1))


def test_first_weights_are_the_same_in_every_run():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = extractor("random"), extractor("random")
    assert torch.equal(torch.get_rng_state(), before)
    assert first.sha256 == second.sha256
    assert first.sha256 != extractor().sha256
    torch.testing.assert_close(first(pictures(2)), second(pictures(2)), rtol=0, atol=0)
    assert first(pictures(2)).shape == extractor()(pictures(2)).shape
    assert first(pictures(2)).std(0).max() > 0


def test_weights_of_ones_own(tmp_path):
    for suffix in (".safetensors", ".json"):
        shutil.copy(WEIGHTS.with_suffix(suffix), tmp_path / f"mine{suffix}")
    see = extractor(str(tmp_path / "mine.safetensors"))
    assert see.name == "mine.safetensors"
    assert see.sha256 == extractor().sha256
    torch.testing.assert_close(see(pictures(2)), extractor()(pictures(2)))


def bytes_of(*shape):
    return np.zeros((2, *shape), np.uint8)


def test_figures_of_different_extractors_are_not_compared():
    x = pictures(4)
    primer, first = (moments(extractor(name), [x]) for name in ("primer", "random"))
    assert primer.seen_by == extractor().mark == f"primer:{extractor().sha256[:12]}"
    assert frechet(primer, moments(extractor(), [x, x])) < 1e6
    same_form(bytes_of(8, 9, 3), bytes_of(8, 9, 3))
    for call in (lambda: frechet(primer, first), lambda: primer + first):
        with pytest.raises(GessoError, match=r"Features of primer:\w{12} and of random:\w{12} cannot be compared"):
            call()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_stream_is_what_it_holds(channels, monkeypatch):
    monkeypatch.setattr("gesso.measure.features.BATCH", 5)
    see, x = extractor(), pictures(23, channels)
    whole = features(see, x.split(9))
    torch.testing.assert_close(whole, see(x), rtol=1e-4, atol=1e-5)
    streamed, once = moments(see, x.split(9)), Moments.of(whole)
    assert streamed.count == 23
    torch.testing.assert_close(streamed.mean, once.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(streamed.covariance, once.covariance, rtol=1e-3, atol=1e-5)


def test_any_number_of_processes_gives_the_same_bits(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (230, 16, 18, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    see, mapped = extractor(), np.load(tmp_path / "images.npy", mmap_mode="r")
    alone = features_of(see, mapped)
    assert torch.equal(alone, features_of(see, mapped, 2))
    torch.testing.assert_close(alone, see(floats(images)))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: features_of(extractor(), np.empty((0, 16, 16, 3), np.uint8)), "no pictures to measure"),
        (lambda: features_of(extractor(), np.zeros((5, 8, 8, 3), np.uint8)), "too small"),
        (lambda: extractor("own"), "learns from a data set"),
        (
            lambda: same_form(bytes_of(8, 9, 1), bytes_of(8, 9, 3)),
            "9×8 pixels, grey, the made ones of 9×8 pixels, RGB.",
        ),
        (lambda: same_form(bytes_of(8, 9, 3), bytes_of(8, 8, 3)), "the made ones of 8×8 pixels"),
        (lambda: extractor("no/such.onnx"), "There is no network no/such.onnx"),
        (lambda: extractor("onnx:~/nowhere.onnx"), "There is no network /"),
        (lambda: extractor()(pictures(2) * math.nan), "not finite"),
        (lambda: extractor()(torch.zeros(1, 3, 8, 8)), "too small"),
        (lambda: extractor()(torch.zeros(1, 2, 32, 32)), "2 channels"),
        (lambda: features(extractor(), []), "no pictures to measure"),
        (lambda: moments(extractor(), iter(())), "no pictures to measure"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(GessoError, match=says):
        call()


def test_another_kind_of_file(tmp_path):
    file = tmp_path / "network.pt"
    file.write_bytes(b"something")
    with pytest.raises(GessoError, match="no network that Gesso can read"):
        extractor(str(file))
