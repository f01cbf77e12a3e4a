"""The network that learns from the pictures themselves: what it learns, what is kept of it, whom it refuses."""

import json

import numpy as np
import pytest
import torch

from gesso.errors import GessoError
from gesso.measure import own as module
from gesso.measure.distances import Moments, frechet
from gesso.measure.own import Own, own, shrunk, twins, views
from gesso.primer.frozen import Frozen
from gesso.primer.network import Primer, folded


def discs(n, channels=3, height=24, width=20, seed=0):
    """Small bright discs and large dark ones, anywhere; their labels."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    y, x = np.mgrid[:height, :width]
    top, left = rng.uniform(0.35, 0.65, (2, n, 1, 1)) * np.array([height, width])[:, None, None, None]
    inside = np.hypot(y - top, x - left) < (min(height, width) * (0.15 + 0.15 * label))[:, None, None]
    colour = rng.integers(90, 250, (n, 1, 1, channels)) // (1 + label[:, None, None, None])
    pictures = np.where(inside[..., None], colour, 30 + rng.integers(0, 20, (n, height, width, 1)))
    if channels == 4:
        pictures[..., 3] = np.where(inside, 255, 0)
        pictures[..., :3] = np.minimum(pictures[..., :3], pictures[..., 3:])
    return pictures.astype(np.uint8), label.astype(np.int64)


def floats(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 12)
    monkeypatch.setattr(module, "BATCH", 24)
    monkeypatch.setattr(module, "PATCHES", 3000)


def test_the_same_pictures_give_the_same_network(tmp_path):
    images, label = discs(60)
    steps = []
    first = own(images, label, tmp_path / "a", "mark", tell=lambda done, of: steps.append((done, of)))
    assert steps[0] == (1, 12 + 60 // 20)
    assert steps[-1] == (15, 15)
    before = torch.get_rng_state()
    again = own(images, label, tmp_path / "b", "mark")
    assert torch.equal(torch.get_rng_state(), before)
    assert (first.name, first.sha256) == ("own", again.sha256)
    other = own(images, label, tmp_path / "b", "mark", seed=1)
    assert other.sha256 != first.sha256
    x = floats(images[:5])
    assert torch.equal(first(x), again(x))


def test_it_is_learned_once(tmp_path):
    images, label = discs(40)
    first = own(images, label, tmp_path, "mark")
    steps = []
    kept = own(images, label, tmp_path, "mark", tell=lambda *step: steps.append(step))
    assert not steps
    assert kept.sha256 == first.sha256
    assert torch.equal(kept(floats(images)), first(floats(images)))
    (weights,) = tmp_path.glob("*.safetensors")
    said = json.loads(weights.with_suffix(".json").read_text())
    assert said["sha256"] == first.sha256


@pytest.mark.parametrize("harm", ["weights", "json", "no json", "other", "cut"])
def test_what_is_damaged_is_learned_again(tmp_path, harm):
    images, label = discs(40)
    first = own(images, label, tmp_path, "mark")
    (weights,) = tmp_path.glob("*.safetensors")
    notes = weights.with_suffix(".json")
    if harm == "weights":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif harm == "cut":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif harm == "json":
        notes.write_text("[]")
    elif harm == "other":
        notes.write_text(notes.read_text().replace('"mark"', '"another"'))
    else:
        notes.unlink()
    steps = []
    again = own(images, label, tmp_path, "mark", tell=lambda *step: steps.append(step))
    assert steps
    assert again.sha256 == first.sha256


@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 16, 16), (3, 16, 40), (4, 70, 90), (3, 160, 160)], ids=str
)
def test_any_pictures(tmp_path, channels, height, width):
    images, _ = discs(30, channels, height, width)
    see = own(images, None, tmp_path, "mark")
    seen = see(floats(images))
    assert seen.shape[0] == 30
    assert bool(torch.isfinite(seen).all())
    spread = seen.std(0)
    assert 0.3 < spread.median() < 3  # every feature in units of its spread
    assert isinstance(see.network, Own)
    with pytest.raises(GessoError, match="no labels"):
        see.network.logits(seen)


def test_labels_are_learned(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 40)
    images, label = discs(120)
    label[:10] = -1  # some have none
    see = own(images, label, tmp_path, "mark")
    assert isinstance(see.network, Own)
    others, truth = discs(100, seed=1)
    seen = see(floats(others))
    right = (see.network.logits(seen).argmax(1).numpy() == truth).mean()
    assert right > 0.9
    real = Moments.of(see(floats(images)))
    noisy = (others + np.random.default_rng(2).normal(0, 30, others.shape)).clip(0, 255).astype(np.uint8)
    assert frechet(Moments.of(see(floats(noisy))), real) > 2 * frechet(Moments.of(seen), real)


def test_large_pictures_are_seen_twice():
    """As they are by the wide look, made smaller by the deep one."""
    x = torch.rand(2, 4, 100, 150)
    assert shrunk(x).shape == (2, 4, 64, 96)
    small = x[:, :, :64]
    assert shrunk(small) is small
    tall = torch.zeros(1, 3, 200, 80)
    tall[:, :, ::2] = 1  # lines finer than the deep look can see: the wide one sees them
    plain = torch.full_like(tall, 0.5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        frozen = Frozen(folded(Primer(8, ((4, 8),), ((0, 4), (4, 8))).eval()) | {"spreads": torch.ones(2)})
    a, b = (module._pooled(frozen, z) for z in (tall, plain))
    assert (a - b)[:, 16:].norm() < 0.1 * b[:, 16:].norm()
    assert (a - b)[:, :16].norm() > 0.2 * b[:, :16].norm()


def test_views_are_squares_of_the_picture():
    ramp = torch.linspace(-1, 1, 40).expand(200, 4, 30, 40).contiguous()
    rng = torch.Generator().manual_seed(0)
    seen = views(ramp, rng)
    assert seen.shape == (200, 4, 30, 30)
    run = seen[:, 0, 0, -1] - seen[:, 0, 0, 0]
    assert 0.3 < (run < 0).float().mean() < 0.7  # mirrored or not
    share = run.abs() / 2 * 40 / 30
    assert 0.45 < share.min() < 0.55
    assert 0.9 < share.max() < 1


def test_twins():
    z = torch.randn(64, 9, generator=torch.Generator().manual_seed(0))
    z = torch.linalg.qr(torch.cat([torch.ones(64, 1), z], 1)).Q[:, 1:] * 8  # of mean zero, not correlated
    assert twins(torch.cat([z, z])).item() == pytest.approx(0, abs=1e-2)
    assert twins(torch.cat([z, -z])).item() == pytest.approx(4, rel=0.05)
    flat = z[:, :1].expand(-1, 9)
    assert twins(torch.cat([flat, flat])).item() == pytest.approx(0.01 * 8, rel=0.1)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((29, 20, 20, 3), np.uint8), "at least 30 of them; there are 29"),
        (np.zeros((40, 15, 20, 3), np.uint8), "below 16 pixels"),
        (np.full((40, 20, 20, 3), 7, np.uint8), "of one colour"),
    ],
)
def test_what_it_refuses(tmp_path, images, says):
    with pytest.raises(GessoError, match=says):
        own(images, None, tmp_path, "mark")
    assert not list(tmp_path.iterdir())
