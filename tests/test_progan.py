import copy

import pytest
import torch
import torch.nn.functional as F

from gesso.contract.family import Batch, Clock, Condition, Facts
from gesso.errors import GessoError
from gesso.families.progan import ProGAN, Standing, stage_at
from gesso.train import Batches, Engine, Learner
from tests.conftest import paint

TINY = {"width": 4, "critic_width": 4, "latent": 8, "batch": 8}


def made(facts, **more):
    torch.manual_seed(0)
    return ProGAN(ProGAN.Config.of({**TINY, **more}), facts)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, (1, 1.0)), (0.19, (1, 1.0)), (0.25, (2, 0.5)), (0.35, (2, 1.0)), (0.4, (3, 0.0)), (0.425, (3, 0.25)),
     (0.5, (3, 1.0)), (1.0, (3, 1.0))],
)  # fmt: skip
def test_growth_is_a_function_of_the_clock(fraction, expected):
    """Three stages, the last for 0.6 of the run: each other lasts 0.2, and fading in takes half of that."""
    assert stage_at(fraction, 3, last=0.6, fading=0.5) == pytest.approx(expected)


def test_growth_at_its_bounds():
    assert stage_at(0.0, 1) == (1, 1.0)
    assert stage_at(0.0, 5, last=1.0) == (5, 1.0)
    assert stage_at(0.4, 3, last=0.6, fading=0.0) == (3, 1.0)
    assert stage_at(0.9, 3, last=0.1, fading=1.0) == (3, 0.0)
    places = [stage_at(i / 1000, 5, 0.5, 0.7) for i in range(1001)]
    assert [at.stage for at in places] == sorted(at.stage for at in places)
    assert {at.stage for at in places} == {1, 2, 3, 4, 5}
    assert all(0 <= at.blend <= 1 for at in places)


@pytest.mark.parametrize("networks", ["quick", "paper"])
def test_a_new_stage_begins_as_the_old_picture_enlarged(networks, facts):
    family = made(facts, networks=networks).eval()
    z, label = torch.randn(2, 8), torch.tensor([0, 1])
    small = family.generator(z, label, at=Standing(2, 1.0))
    assert small.shape == (2, 3, 8, 8)
    assert torch.allclose(family.generator(z, label, at=Standing(3, 0.0)), F.interpolate(small, scale_factor=2.0))
    half = family.generator(z, label, at=Standing(3, 0.5))
    whole = family.generator(z, label, at=Standing(3, 1.0))
    unmixed = torch.lerp(F.interpolate(small.atanh(), scale_factor=2.0), whole.atanh(), 0.5).tanh()
    torch.testing.assert_close(half, unmixed, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("networks", ["quick", "paper"])
def test_the_critic_fades_alike(networks, facts):
    """At a blend of nothing it judges the smaller picture, whatever it is shown in detail."""
    family = made(facts, networks=networks, deviation=0).eval()
    critic = family.parts["critic"]
    x, label = torch.randn(2, 3, 16, 16), torch.tensor([0, 1])
    assert torch.allclose(critic(x, label, blend=0.0), critic(F.avg_pool2d(x, 2), label), atol=1e-6)
    assert not torch.allclose(critic(x, label, blend=0.5), critic(F.avg_pool2d(x, 2), label), atol=1e-3)


@pytest.mark.parametrize("critic", ["own", "primer"])
def test_real_pictures_are_those_of_the_stage(critic, facts):
    family = made(facts, critic=critic)
    image = torch.rand(2, 3, 16, 16) * 2 - 1
    family.generator.stand(Standing(2, 0.25))
    (seen,) = family.real(Batch(image), (), Clock(0, 0, 1))
    two, four = F.avg_pool2d(image, 2), F.avg_pool2d(image, 4)
    mixed = 0.25 * two + 0.75 * F.interpolate(four, scale_factor=2.0)
    expected = mixed if critic == "own" else F.interpolate(mixed, scale_factor=2.0)
    assert torch.allclose(seen, expected, atol=1e-6)


def test_it_draws_at_every_stage_that_it_has_reached(fabric, facts):
    """In the middle of a run it stands at the second of three stages, and so do copies of it."""
    learner = Learner(made(facts, last=0.6), fabric, Engine())
    batches = Batches(paint(32), facts, seed=0, batch=8)
    for step in (0, 3):
        learner.step(batches.at(step, torch.device("cpu")), Clock(step, step, 10), 0)
    family = copy.deepcopy(learner.drawer())
    assert family.generator.standing == Standing(2, 1.0)
    z, given = torch.randn(2, 8), Condition(label=torch.tensor([0, 1]))
    drawn = {}
    for stage in (0, 1, 2):
        *_, picture = family.sample(z, given, family.Knobs(stage=stage))
        assert picture.shape == (2, 3, 16, 16)
        side = 2 ** (3 - (stage or 2))
        assert torch.equal(picture, F.interpolate(picture[:, :, ::side, ::side], scale_factor=float(side)))
        drawn[stage] = picture
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.allclose(drawn[1], drawn[2], atol=1e-3)
    with pytest.raises(GessoError, match="this generator has 2"):
        next(iter(family.sample(z, given, family.Knobs(stage=3))))
    assert family.judge(drawn[0], given).shape == (2,)


@pytest.mark.parametrize("networks", ["quick", "paper"])
def test_earlier_stages_follow_without_leading(networks, facts):
    """What keeps them drawable teaches their last convolutions, and nothing else."""
    family = made(facts, networks=networks)
    generator = family.generator
    x, vector = generator.begin(torch.randn(2, 8), (torch.tensor([0, 1]),))
    maps = generator.maps(x, vector, 3)
    generator.followed(maps, vector, generator.painted(maps, vector), 1.0).backward()
    taught = {name for name, p in generator.named_parameters() if p.grad is not None}
    assert taught
    assert all(name.startswith(("paint.0.", "paint.1.")) for name in taught)


@pytest.mark.parametrize("networks", ["quick", "paper"])
def test_truncation_leads_to_the_mean(networks, facts):
    """Of first maps that were seen: with little of their own, pictures are nearly that of their mean."""
    family = made(Facts(channels=3, height=16, width=16), networks=networks).eval()
    z, generator = torch.randn(64, 8), family.generator
    for _ in range(1000):
        generator.remember(generator.begin(z, ())[0])
    assert torch.allclose(generator.get_buffer("mean"), generator.begin(z, ())[0].mean(0), atol=1e-3)
    spreads = []
    for truncation in (0.01, 0.5, 1.0):
        *_, picture = family.sample(z, Condition(), family.Knobs(truncation=truncation))
        spreads.append(picture.std(0).mean())
    assert spreads[0] < 0.05 * spreads[2]
    assert spreads[1] < 0.8 * spreads[2]


def test_growth_may_begin_later(facts):
    """At 8 pixels: of three stages, two share the run."""
    family = made(facts, first=8, last=0.6)
    batch = Batch(torch.zeros(2, 3, 16, 16), torch.tensor([0, 1]))
    found = []
    for seen in (0, 39, 100):
        family.make(batch, (batch.label,), Clock(0, seen, 100), torch.Generator())
        found.append(family.generator.standing.stage)
    assert found == [2, 2, 3]
    assert made(facts, first=999).growth.before(999) == 2
