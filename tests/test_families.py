"""One test for every family: the contract, and nothing but the contract."""

import copy
import hashlib

import pytest
import torch

from gesso import tasks
from gesso.contract.family import Clock, Condition, Encoder, Facts
from gesso.families.gan import GAN
from gesso.train import Batches, Engine, Learner, seeded
from gesso.train.learner import cut
from tests.conftest import paint

SMALL = {"gan": {"width": 8, "critic_width": 8, "latent": 16}, "vae": {"width": 8, "latent": 8}}
CASES = [(name, preset) for name, family in tasks.families().items() for preset in family.presets]


def build(name, preset, fabric, facts, **more):
    family = tasks.family(name)
    torch.manual_seed(0)
    config = family.Config.of({**family.presets[preset], **SMALL[name], "batch": 8, **more})
    return Learner(family(config, facts), fabric, Engine())


def learn(learner, batches, first, last, total=12):
    for step in range(first, last):
        clock = Clock(step, step * batches.batch, total * batches.batch)
        learner.step(batches.at(step, torch.device("cpu")), clock, seed=5)


def digest(tensors):
    return {k: hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest() for k, v in tensors.items()}


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 16, 16), (3, 16, 24), (4, 16, 16)])
@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_part_learns_and_draws(name, preset, channels, height, width, fabric):
    facts = Facts(channels=channels, height=height, width=width, labels=("a", "b"), count=32)
    learner = build(name, preset, fabric, facts)
    before = copy.deepcopy(dict(learner.family.named_parameters()))
    batches = Batches(paint(32, channels, height, width), facts, seed=0, batch=8)
    learn(learner, batches, 0, 5 if preset == "wgan-gp" else 3)
    moved = {k for k, v in learner.family.named_parameters() if not torch.equal(v, before[k])}
    still = [k for k, v in before.items() if v.dim() > 1 and k not in moved]  # a bias may cancel out of a game
    assert not still
    family = learner.drawer()
    condition = Condition(label=torch.tensor([0, 1]))
    *_, image = family.sample(family.prior(2, seeded(torch.device("cpu"), 1)), condition, family.Knobs())
    assert image.shape == (2, channels, height, width)
    assert image.abs().max() <= 1
    assert torch.isfinite(image).all()


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_resumes_bit_for_bit(name, preset, fabric, facts, view):
    """Six steps in one go, and three, a save, a new process' worth of objects, three more: the same bits."""
    batches = Batches(view, facts, seed=0, batch=8, flip=True)
    whole = build(name, preset, fabric, facts, decay=0.5)
    learn(whole, batches, 0, 6)
    first = build(name, preset, fabric, facts, decay=0.5)
    learn(first, batches, 0, 3)
    kept = {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in first.state().items()}
    second = build(name, preset, fabric, facts, decay=0.5)
    learn(second, batches, 9, 10)  # something else first: nothing of it may remain
    second.load(kept)
    learn(second, Batches(view, facts, seed=0, batch=8, flip=True), 3, 6)
    assert digest(second.state()) == digest(whole.state())
    assert digest(second.model()) == digest(whole.model())


@pytest.mark.parametrize("name", list(tasks.families()))
def test_without_classes(name, fabric, view):
    """Data without labels, and labels that are not wanted: no class is asked for, and none matters."""
    plain = Facts(channels=3, height=16, width=16, count=32)
    for facts, more in ((plain, {}), (plain.model_copy(update={"labels": ("a", "b")}), {"labels": False})):
        learner = build(name, "", fabric, facts, **more)
        learn(learner, Batches(view, facts, seed=0, batch=8), 0, 2)
        family = learner.drawer()
        assert not family.asks
        z = family.prior(2, seeded(torch.device("cpu"), 1))
        *_, image = family.sample(z, Condition(), family.Knobs())
        assert image.shape == (2, 3, 16, 16)
        assert len(family.core(family.Knobs())[1]) == 1


@pytest.mark.parametrize("name", list(tasks.families()))
def test_drawing_is_pure_in_the_latents(name, fabric, facts, view):
    learner = build(name, "", fabric, facts)
    learn(learner, Batches(view, facts, seed=0, batch=8), 0, 1)
    family = learner.drawer()
    z, label = family.prior(4, seeded(torch.device("cpu"), 1)), torch.tensor([0, 1, 0, 1])
    with torch.inference_mode():
        *_, once = family.sample(z, Condition(label=label), family.Knobs())
        torch.manual_seed(99)
        *_, twice = family.sample(z, Condition(label=label), family.Knobs())
        *_, other = family.sample(z, Condition(label=1 - label), family.Knobs())
    assert torch.equal(once, twice)
    assert z.shape == family.prior(4, seeded(torch.device("cpu"), 2)).shape
    assert not torch.equal(once, other)


@pytest.mark.parametrize("name", list(tasks.families()))
def test_exports(name, fabric, facts):
    """The core is a graph of tensors that torch.export takes, and it draws what `sample` draws."""
    family = build(name, "", fabric, facts).drawer()
    graph, example = family.core(family.Knobs())
    exported = torch.export.export(graph.eval(), example).module()
    z = family.prior(1, seeded(torch.device("cpu"), 3))
    given = family.inputs(Condition(label=torch.tensor([1])), 1)
    *_, image = family.sample(z, Condition(label=torch.tensor([1])), family.Knobs())
    torch.testing.assert_close(exported(z, *given), image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(tasks.families()))
def test_averages_carry_buffers(name, fabric, facts, view):
    learner = build(name, "", fabric, facts)
    learn(learner, Batches(view, facts, seed=0, batch=8), 0, 2)
    for part, average in learner.average.items():
        pairs = list(zip(average.buffers(), learner.family.parts[part].buffers(), strict=True))
        assert pairs
        assert all(torch.equal(a, b) for a, b in pairs)
        assert any(
            not torch.equal(a, b)
            for a, b in zip(average.parameters(), learner.family.parts[part].parameters(), strict=True)
        )


def test_pieces_of_a_batch_add_up_to_its_gradient(fabric, facts, view):
    """Uneven pieces too: 8 pictures in 3 parts weigh 2, 3 and 3."""
    batch = Batches(view, facts, seed=0, batch=8).at(0, torch.device("cpu"))
    found = []
    for pieces in (1, 3):
        learner = build("gan", "", fabric, facts, norm="none", critic_width=8)
        learner.accumulate = pieces
        critic = learner.family.parts["critic"]
        learner.family.losses = lambda turn, share, clock, rng, critic=critic: {
            "loss": critic(share.image, share.label).square().mean()
        }
        turn = next(turn for turn in learner.family.turns(Clock(0, 0, 100)) if "critic" in turn.parts)
        learner._apply = lambda part: None
        logs = learner._turn(turn, 0, batch, Clock(0, 0, 100), 0)
        found.append([logs["loss"], *(p.grad for p in critic.parameters())])
    assert len(cut(batch, 3)) == 3
    for whole, summed in zip(*found, strict=True):
        torch.testing.assert_close(summed, whole, rtol=1e-4, atol=1e-7)


def test_an_encoder_finds_latents(fabric, facts, view):
    for name, family in tasks.families().items():
        if issubclass(family, Encoder):
            learner = build(name, "", fabric, facts)
            batch = Batches(view, facts, seed=0, batch=8).at(0, torch.device("cpu"))
            z = learner.drawer().encode(batch.image, Condition(label=batch.label))
            assert z.shape == learner.family.prior(8, seeded(torch.device("cpu"), 0)).shape


@pytest.mark.parametrize(
    "wrong",
    [{"norm": "batch", "critic": "residual"}, {"loss": "wasserstein", "norm": "none"}, {"norm": "batch", "r1": 1.0}],
)
def test_choices_that_do_not_fit_are_refused(wrong):
    from gesso.errors import GessoError

    with pytest.raises(GessoError):
        tasks.family("gan").Config.of(wrong)


@pytest.mark.parametrize(("loss", "turns"), [("relativistic", ["both"]), ("hinge", ["critic", "generator"])])
def test_only_where_it_is_exact_one_pass_serves_both(loss, turns, facts):
    """A hinge that is saturated has no gradient that the generator's could be made of."""
    family = GAN(GAN.Config.of({"loss": loss, "width": 8, "latent": 8, "batch": 4}), facts)
    assert [turn.name for turn in family.turns(Clock(0, 0, 100))] == turns
