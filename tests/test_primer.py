"""The primer: what it is shown, how it learns, that it is used as it learned, and the critic that stands on it."""

import hashlib
import json
import math
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gesso.conditioning import Conditions
from gesso.contract.family import Batch, Clock, Facts, Turn
from gesso.errors import GessoError
from gesso.families.gan import GAN
from gesso.primer import learn
from gesso.primer.critic import SHARP, PrimerCritic
from gesso.primer.frozen import WEIGHTS, Frozen, as_rgba, load
from gesso.primer.network import THRESHOLD, Fine, Primer, folded
from gesso.primer.painter import paint
from gesso.primer.views import View, look


@pytest.fixture(scope="module")
def paintings():
    return paint(np.arange(40), np.zeros(40, int), 64)[0]


@pytest.fixture(scope="module")
def primer():
    """Not a learned one, but one whose norms have seen something."""
    torch.manual_seed(0)
    network = Primer(8, ((8, 16), (8, 24), (12, 32)), ((0, 8), (8, 16), (12, 24))).train()
    for _ in range(3):
        for way in ("deep", "quick"):
            network(torch.randn(8, 4, 32, 32), way)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.2)
    return network.eval()


@pytest.fixture(scope="module")
def frozen(primer):
    return Frozen({**folded(primer), "spreads": torch.tensor([1.0, 2.0, 0.5])})


def test_views_are_the_same_for_any_number_of_threads(paintings):
    one = look(list(paintings), View(), 3, threads=1)
    many = look(list(paintings), View(), 3, threads=3)
    assert torch.equal(one, many)
    assert one.shape == (40, 4, 32, 32)
    assert one.min() >= -1 - 1e-6
    assert one.max() <= 1 + 1e-6
    assert (one[:, :3] <= one[:, 3:] + 1e-6).all(), "premultiplied"
    assert not torch.equal(one, look(list(paintings), View(), 4, threads=1))


def test_a_view_of_all_is_the_painting(paintings):
    """Nothing cut off and the least change of colour: the painting at half its size, mirrored or not."""
    seen = look(list(paintings), View(least=0.999, strong=0.0), 0)
    small = torch.from_numpy(paintings).float().view(40, 32, 2, 32, 2, 4).mean((2, 4)).permute(0, 3, 1, 2) / 127.5 - 1
    apart = torch.minimum((seen - small).abs().mean((1, 2, 3)), (seen.flip(3) - small).abs().mean((1, 2, 3)))
    assert apart.median() < 0.08


def test_grey_views_where_colours_change_much(paintings):
    """About a fifth of the strongly changed views lose their colours."""
    seen = look(list(paintings) * 8, View(strong=1.0), 0)
    colourful = (seen[:, :3].amax(1) - seen[:, :3].amin(1)).mean((1, 2))
    assert 0.1 < (colourful < 0.12).float().mean() < 0.6


def test_the_fitted_filters_answer_evenly():
    """Unit spread and no mean on what they were fitted to; both signs of an answer, each above its threshold."""
    torch.manual_seed(0)
    fine, x = Fine(12), torch.cumsum(torch.randn(60, 4, 32, 32), 3) / 4
    fine.fit(x, torch.Generator().manual_seed(0))
    answers = fine.conv(x)[:, :, 1:-1, 1:-1]
    assert torch.allclose(answers.std((0, 2, 3)), torch.ones(12), atol=0.15)
    assert answers.mean((0, 2, 3)).abs().max() < 0.15
    both = fine(x)
    up, down = both.chunk(2, 1)
    assert not ((up > 0) & (down > 0)).any()
    raw = fine.conv(x)
    assert torch.allclose(up - down, raw - raw.clamp(-THRESHOLD, THRESHOLD), atol=1e-5)


def test_frozen_is_what_learned(primer, frozen):
    x = torch.randn(5, 4, 32, 48)
    with torch.no_grad():
        deep, quick = primer(x, "deep"), primer(x, "quick")
        for a, b in zip([primer.fine(x), *deep, *quick], [*frozen.maps(x), *frozen(x)], strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert [m.shape[-1] for m in [*deep, *quick]] == [12, 6, 3, 24, 12, 6]
    assert not frozen.state_dict()
    assert not list(frozen.parameters())
    assert frozen.features(torch.zeros(3, 1, 17, 23)).shape == (3, 4 * (16 + 16 + 24 + 32))


def test_what_the_primer_cannot_look_at(frozen):
    with pytest.raises(GessoError, match="15×20"):
        as_rgba(torch.zeros(1, 3, 20, 15))
    with pytest.raises(GessoError, match="2 channels"):
        as_rgba(torch.zeros(1, 2, 32, 32))
    with pytest.raises(GessoError, match="finite"):
        frozen.features(torch.full((1, 3, 32, 32), math.nan))
    grey, alpha = as_rgba(torch.full((1, 1, 16, 16), 0.5)), torch.randn(1, 4, 16, 16)
    assert grey[0, :, 0, 0].tolist() == [0.5, 0.5, 0.5, 1.0]
    assert as_rgba(alpha) is alpha


def test_the_shipped_primer_is_small_and_says_what_it_came_from():
    facts = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert WEIGHTS.stat().st_size <= 3_000_000
    assert {facts[look]["precision"] for look in ("deep", "quick")} == {"bfloat16"}
    assert all(f"--looks {look}" in facts[look]["command"] for look in ("deep", "quick"))


def test_contrast_in_closed_form():
    """Partners that agree, all others at right angles: log(1 + (n - 2) e^(-1/T))."""
    z = torch.eye(4).repeat(2, 1) * torch.tensor([1.0, 3.0, 2.0, 5.0] * 2)[:, None]
    assert learn.contrast(z, 0.5).item() == pytest.approx(math.log(1 + 6 * math.exp(-2)), rel=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_telling_plans_apart_is_cross_entropy(kind):
    rng = torch.Generator().manual_seed(0)
    y, plan = (20 * torch.randn(6, 50, generator=rng)).to(kind).requires_grad_(), torch.arange(6)
    loss = learn.telling(y, plan)
    loss.backward()
    other = y.detach().float().requires_grad_()
    wanted = torch.nn.functional.cross_entropy(other, plan, label_smoothing=0.1)
    wanted.backward()
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(y.grad.float(), other.grad, atol=1e-3, rtol=1e-2)


def test_cells_in_closed_form():
    x = torch.tensor([[0.0, 2.0, 4.0, 4.0], [0.0, 2.0, 4.0, 4.0], [1.0, 1, 0, 0], [1.0, 1, 0, 4]])[None, None]
    mean, spread = learn.cells(x, 2)[0]
    assert mean.tolist() == [[1.0, 4.0], [1.0, 1.0]]
    assert spread.flatten().tolist() == pytest.approx([2.0, 0.0, 0.0, 2 * math.sqrt(3)], abs=1e-6)


def test_learning_from_a_command(tmp_path, monkeypatch):
    """The weights are written with their hash and the command, load again, and cannot be swapped or damaged."""
    words = ["--out", str(tmp_path), "--plans", "24", "--views", "2", "--batch", "12", "--steps", "24", "--spoilt", "8"]
    monkeypatch.setattr(sys, "argv", ["learn", *words])
    learn.main()
    facts = json.loads((tmp_path / "primer.json").read_text())
    path = tmp_path / "primer.safetensors"
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    for way in ("deep", "quick"):
        assert "--steps 24" in facts[way]["command"]
        assert facts[way]["log"][0]["colours"] > facts[way]["log"][-1]["colours"]
    for way in ("deep", "quick"):
        unlike = load(path).get_buffer(f"unlike_{way}")
        assert torch.isfinite(unlike).all()
        assert (unlike >= 0).all()
    data = path.read_bytes()
    for way in ("quick", "deep"):  # one after the other, in another order: the same seed, the same weights
        monkeypatch.setattr(sys, "argv", ["learn", *words, "--looks", way])
        learn.main()
    assert path.read_bytes() == data
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(GessoError, match="damaged"):
        load(path)
    path.unlink()
    with pytest.raises(GessoError, match="cannot be read"):
        load(path)


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, (16, 16), 0), (3, (32, 48), 3), (4, (64, 64), 0)])
def test_the_critic_judges_everywhere_and_teaches_the_picture(frozen, channels, size, classes):
    torch.manual_seed(0)
    facts = Facts(channels=3, height=32, width=32, labels=tuple("abc"[:classes]))
    asked = Conditions(facts).conditioner(16)
    critic = PrimerCritic(frozen, size, channels, 16, 8, asked)
    given = [torch.tensor([0, classes - 1])] if classes else []
    x = torch.rand(2, channels, *size).mul(2).sub(1).requires_grad_()
    judged = critic(x, *given)
    assert len(judged) == 4
    assert all(y.shape[0] == 2 for y in judged)
    assert not any("primer" in name or "mix" in name for name in critic.state_dict())
    torch.stack([y.mean() for y in judged]).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().amax((0, 1)) > 0).float().mean() > 0.99, "no pixel is out of sight"
    again = PrimerCritic(frozen, size, channels, 16, 8, Conditions(facts).conditioner(16))
    again.load_state_dict(critic.state_dict())
    for a, b in zip(critic.eval()(x, *given), again.eval()(x, *given), strict=True):
        torch.testing.assert_close(a, b)


def test_the_eye_sees_the_grid_where_it_is(frozen):
    """Whatever augmentation does to what the primer sees, the eye sees the pictures, from a place on their grid."""
    critic, rng = PrimerCritic(frozen, (32, 48), 3, 16, 8), torch.Generator().manual_seed(0)
    x, plain = torch.rand(2, 3, 32, 48), torch.rand(2, 3, 32, 48)
    rows, columns = zip(*(critic.part(x, rng) for _ in range(60)), strict=True)
    assert {s.start for s in rows} == {0, 8, 16}
    assert {s.start for s in columns} == {0, 8, 16, 24}
    assert {s.stop - s.start for s in rows} == {16}
    part = (rows[0], columns[0])
    *maps, cells = critic.see(x, plain, part)
    torch.testing.assert_close(cells, SHARP * F.pixel_unshuffle(plain[:, :, rows[0], columns[0]], 2))
    for a, b in zip(maps, critic.see(x, x, part), strict=False):
        torch.testing.assert_close(a, b)


def test_each_turn_teaches_its_own_part(facts):
    """In a turn for both, each network learns what it learns in a turn of its own: neither's loss moves the other."""
    torch.manual_seed(0)
    family = GAN(GAN.Config.of({"critic": "primer", "width": 8, "latent": 8, "batch": 4}), facts)
    batch = Batch(image=torch.rand(4, 3, 16, 16) * 2 - 1, label=torch.tensor([0, 1, 0, 1]))
    start = {name: tensor.clone() for name, tensor in family.state_dict().items()}
    slopes: dict[str, dict[str, torch.Tensor]] = {}
    for name, parts in (("both", ("generator", "critic")), ("critic", ("critic",)), ("generator", ("generator",))):
        family.load_state_dict(start)
        family.zero_grad()
        for part, network in family.parts.items():
            network.requires_grad_(part in parts)
        losses = family.losses(Turn(name, parts), batch, Clock(0, 0, 100), torch.Generator().manual_seed(1))
        learned = {name: loss for name, loss in losses.items() if loss.requires_grad}  # the others are for the log
        assert set(learned) == {*parts, *(["mismatched"] if "critic" in parts else [])}
        torch.stack(list(learned.values())).sum().backward()
        slopes[name] = {k: p.grad.clone() for k, p in family.named_parameters() if p.grad is not None}
    for name, slope in slopes["both"].items():
        alone = slopes["critic" if "critic" in name else "generator"][name]
        torch.testing.assert_close(slope, alone, atol=1e-5, rtol=1e-3)
    assert len(slopes["both"]) == len(slopes["critic"]) + len(slopes["generator"])
