"""One test for every family: the contract, and nothing but the contract."""

import copy
import hashlib

import numpy as np
import pytest
import torch

from gesso import tasks
from gesso.adversarial import others
from gesso.contract.family import Clock, Condition, Encoder, Facts
from gesso.families.gan import GAN
from gesso.marks.picture import to_uint8
from gesso.sample import draw
from gesso.text import Vocabulary
from gesso.train import Batches, Engine, Learner, seeded
from gesso.train.learner import cut
from tests.conftest import CAPTIONS, paint

WORDS = Vocabulary.learn(CAPTIONS).dump()
SMALL = {
    "flow": {"width": 8, "eye": 8, "first": 0.05},
    "tokens": {"width": 8, "inside": 16, "depth": 1, "heads": 2, "side": 4},
    "gan": {"width": 8, "critic_width": 8, "latent": 16},
    "progan": {"width": 4, "critic_width": 4, "latent": 16},
    "stylegan": {"width": 4, "critic_width": 4, "latent": 16, "style": 16},
    "vae": {"width": 8, "latent": 8},
    "stackgan": {"width": 8, "critic_width": 8, "latent": 8, "meaning": 8, "asked_width": 16},
    "pix2pix": {"width": 8, "critic_width": 8, "blocks": 2},
    "cut": {"width": 8, "critic_width": 8, "blocks": 2, "patches": 16},
    "regions": {"width": 8, "region_width": 4, "critic_width": 8, "latent": 8},
}
CASES = [(name, preset) for name, family in tasks.families().items() for preset in family.presets]


def made_for(name, preset="", channels=3, height=16, width=16, classes=("small", "large"), **more):
    """A data set that has all that a family needs: (config, facts, pictures)."""
    family = tasks.family(name)
    config = family.Config.of({**family.presets[preset], **SMALL[name], "batch": 8, **more})
    needs = family.needed(config)
    source = 3 if needs & {"pair", "source"} else 0
    text = "text" in needs or ("text" in family.takes and getattr(config, "captions", False))
    facts = Facts(
        channels=channels, height=height, width=width, labels=classes, count=32, source=source,
        vocabulary=WORDS if text else "", captions=CAPTIONS if text else (),
    )  # fmt: skip
    return config, facts, paint(32, channels, height, width, source=source)


def build(name, preset, fabric, config, facts):
    torch.manual_seed(0)
    return Learner(tasks.family(name)(config, facts), fabric, Engine())


def learn(learner, batches, first, last, total=12):
    for step in range(first, last):
        clock = Clock(step, step * batches.batch, total * batches.batch)
        learner.step(batches.at(step, torch.device("cpu")), clock, seed=5)


def asked(family, batches, n, label=None):
    """What n drawings are asked to be, from the first batch."""
    batch = batches.at(0, torch.device("cpu"))
    label = batch.label[:n] if label is None and batch.label is not None else label
    text = batch.text and batch.text[:n]
    source = None if batch.source is None else batch.source[:n]
    fields = {"label": label, "text": text, "source": source}
    return Condition(**{name: value for name, value in fields.items() if name in family.asks})


def digest(tensors):
    return {k: hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest() for k, v in tensors.items()}


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 16, 16), (3, 16, 24), (4, 16, 16)])
@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_part_learns_and_draws(name, preset, channels, height, width, fabric):
    """From the first steps of a run, its middle and its last: a growing network has another size each time."""
    config, facts, view = made_for(name, preset, channels, height, width)
    learner = build(name, preset, fabric, config, facts)
    before = copy.deepcopy(dict(learner.family.named_parameters()))
    batches = Batches(view, facts, seed=0, batch=8)
    for first, last in ((0, 3), (4, 6), (10, 12)):
        learn(learner, batches, first, last)
    moved = {k for k, v in learner.family.named_parameters() if not torch.equal(v, before[k])}
    still = [k for k, v in before.items() if v.dim() > 1 and k not in moved]  # a bias may cancel out of a game
    assert not still
    family = learner.drawer()
    condition = asked(family, batches, 2)
    *_, image = family.sample(family.prior(2, seeded(torch.device("cpu"), 1)), condition, family.Knobs())
    assert image.shape == (2, channels, height, width)
    assert image.abs().max() <= 1
    assert torch.isfinite(image).all()


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_resumes_bit_for_bit(name, preset, fabric):
    """Six steps in one go, and three, a save, a new process' worth of objects, three more: the same bits."""
    config, facts, view = made_for(name, preset, decay=0.5)
    batches = Batches(view, facts, seed=0, batch=8, flip=True)
    whole = build(name, preset, fabric, config, facts)
    learn(whole, batches, 0, 6)
    first = build(name, preset, fabric, config, facts)
    learn(first, batches, 0, 3)
    kept = {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in first.state().items()}
    second = build(name, preset, fabric, config, facts)
    learn(second, batches, 9, 10)  # something else first: nothing of it may remain
    second.load(kept)
    learn(second, Batches(view, facts, seed=0, batch=8, flip=True), 3, 6)
    assert digest(second.state()) == digest(whole.state())
    assert digest(second.model()) == digest(whole.model())


@pytest.mark.parametrize("name", list(tasks.families()))
def test_without_classes(name, fabric):
    """Data without labels, and labels that are not wanted: no class is asked for, and none matters."""
    for classes, more in (((), {}), (("a", "b"), {"labels": False})):
        config, facts, view = made_for(name, classes=classes, **more)
        learner = build(name, "", fabric, config, facts)
        batches = Batches(view, facts, seed=0, batch=8)
        learn(learner, batches, 0, 2)
        family = learner.drawer()
        assert "label" not in family.asks
        z = family.prior(2, seeded(torch.device("cpu"), 1))
        *_, image = family.sample(z, asked(family, batches, 2), family.Knobs())
        assert image.shape == (2, 3, 16, 16)
        assert len(family.core(family.Knobs())[1]) == 1 + len(family.asks)


@pytest.mark.parametrize("name", list(tasks.families()))
def test_drawing_is_pure_in_the_latents(name, fabric):
    config, facts, view = made_for(name)
    learner = build(name, "", fabric, config, facts)
    batches = Batches(view, facts, seed=0, batch=8)
    learn(learner, batches, 0, 3)
    family = learner.drawer()
    z, condition = family.prior(4, seeded(torch.device("cpu"), 1)), asked(family, batches, 4)
    with torch.inference_mode():
        *_, once = family.sample(z, condition, family.Knobs())
        torch.manual_seed(99)
        *_, twice = family.sample(z, condition, family.Knobs())
        *_, turned = family.sample(z.flip(0), flipped(condition), family.Knobs())
    assert torch.equal(once, twice)
    torch.testing.assert_close(turned.flip(0), once)
    assert z.shape == family.prior(4, seeded(torch.device("cpu"), 2)).shape


def flipped(condition):
    """The same conditions in the opposite order."""
    turned = {k: v.flip(0) if isinstance(v, torch.Tensor) else v and v[::-1] for k, v in vars(condition).items()}
    return Condition(**turned | {"extra": {}})


@pytest.mark.parametrize("name", list(tasks.families()))
def test_what_is_asked_for_matters(name, fabric):
    """Another label, another text, another source: another picture."""
    config, facts, view = made_for(name)
    learner = build(name, "", fabric, config, facts)
    batches = Batches(view, facts, seed=0, batch=8)
    learn(learner, batches, 0, 4)
    family = learner.drawer()
    z, condition = family.prior(4, seeded(torch.device("cpu"), 1)), asked(family, batches, 4)
    *_, once = family.sample(z, condition, family.Knobs())
    others = {
        "label": lambda label: 1 - label,
        "text": lambda texts: [CAPTIONS[text == CAPTIONS[0]] for text in texts],
        "source": lambda source: -source,
    }
    for what in family.asks:
        other = copy.copy(condition)
        setattr(other, what, others[what](getattr(condition, what)))
        *_, then = family.sample(z, other, family.Knobs())
        assert (once != then).reshape(4, -1).any(1).all(), what


@pytest.mark.parametrize("name", list(tasks.families()))
def test_exports(name, fabric):
    """The core is a graph of tensors that torch.export takes, and it draws what `sample` draws."""
    config, facts, view = made_for(name)
    family = build(name, "", fabric, config, facts).drawer()
    graph, example = family.core(family.Knobs())
    exported = torch.export.export(graph.eval(), example).module()
    z = family.prior(1, seeded(torch.device("cpu"), 3))
    condition = asked(family, Batches(view, facts, seed=0, batch=8), 1)
    *_, image = family.sample(z, condition, family.Knobs())
    torch.testing.assert_close(exported(z, *family.inputs(condition, 1)), image, rtol=1e-4, atol=1e-5)
    if "truncation" in family.Knobs.model_fields:
        knobs = family.Knobs.of({"truncation": 0.5})
        *_, image = family.sample(z, condition, knobs)
        near = family.core(knobs)[0].eval()(z, *family.inputs(condition, 1))
        torch.testing.assert_close(near, image, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(tasks.families()))
def test_averages_carry_buffers(name, fabric):
    more = {"first": 0.2} if name == "flow" else {}
    config, facts, view = made_for(name, average=1.0, **more)
    learner = build(name, "", fabric, config, facts)
    for first in (0, 10):  # some parts learn early, some late
        learn(learner, Batches(view, facts, seed=0, batch=8), first, first + 2)
    for part, average in learner.average.items():
        pairs = list(zip(average.buffers(), learner.family.parts[part].buffers(), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs)
        assert any(
            not torch.equal(a, b)
            for a, b in zip(average.parameters(), learner.family.parts[part].parameters(), strict=True)
        )


def test_pieces_of_a_batch_add_up_to_its_gradient(fabric):
    """Uneven pieces too: 8 pictures in 3 parts weigh 2, 3 and 3."""
    config, facts, view = made_for("gan", norm="none", critic_width=8)
    batch = Batches(view, facts, seed=0, batch=8).at(0, torch.device("cpu"))
    found = []
    for pieces in (1, 3):
        learner = build("gan", "", fabric, config, facts)
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


def test_an_encoder_finds_latents(fabric):
    for name, family in tasks.families().items():
        if issubclass(family, Encoder):
            config, facts, view = made_for(name)
            drawer, batches = build(name, "", fabric, config, facts).drawer(), Batches(view, facts, seed=0, batch=8)
            z = drawer.encode(batches.at(0, torch.device("cpu")).image, asked(drawer, batches, 8))
            assert z.shape == drawer.prior(8, seeded(torch.device("cpu"), 0)).shape


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_labels_and_captions_go_together(name, fabric):
    config, facts, view = made_for(name, captions=True)
    learner = build(name, "", fabric, config, facts)
    batches = Batches(view, facts, seed=0, batch=8)
    learn(learner, batches, 0, 3)
    family = learner.drawer()
    assert family.asks == {"label", "text"}
    z, condition = family.prior(2, seeded(torch.device("cpu"), 1)), asked(family, batches, 2)
    *_, both = family.sample(z, condition, family.Knobs())
    *_, alone = family.sample(z, Condition(text=condition.text), family.Knobs())
    assert not torch.equal(both, alone)


def test_another_asked_for_something_else():
    """The next in the batch that did; a batch of one mind has no others."""
    label, text = torch.tensor([0, 0, 1, 1, 0]), torch.tensor([[5, 6]] * 4 + [[5, 7]])
    assert others((label,)).tolist() == [2, 2, 4, 4, 2]
    assert others((label, text)).tolist() == [2, 2, 4, 4, 0]
    assert others((torch.zeros(3),)).tolist() == [0, 1, 2]


def test_conditions_are_dropped_as_often_as_asked(fabric):
    """A third of each beside the share, where there are two: gone are 1/3, and half of the others."""
    config, facts, view = made_for("gan", captions=True, drop=0.5)
    family = build("gan", "", fabric, config, facts).family
    batch, rng = Batches(view, facts, seed=0, batch=32).at(0, torch.device("cpu")), torch.Generator().manual_seed(0)
    label, text = family.conditions.tensors(batch, 32)
    found = [family.conditions.dropped((label, text), 0.5, rng) for _ in range(20)]
    gone = torch.stack([labels == 2 for labels, _ in found]).float().mean()
    mute = torch.stack([(pieces == family.conditions.reader.ids([""])).all(1) for _, pieces in found]).float().mean()
    assert 0.6 < gone < 0.73
    assert 0.6 < mute < 0.73
    assert torch.equal(torch.where(found[0][0] == 2, label, found[0][0]), label)


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


@pytest.mark.parametrize(("labels", "differ"), [((), False), (("one",), False), (("one", "two"), True)])
def test_pictures_of_one_class_have_no_mismatch(labels, differ):
    """Else every real picture would count as made, too."""
    facts = Facts(channels=3, height=16, width=16, labels=labels)
    assert GAN(GAN.Config.of(SMALL["gan"]), facts).mismatched == (0.02 if differ else 0)


def test_the_seed_never_contradicts_what_is_asked(fabric):
    """Asked by a text, no label is chosen for it, nor a text for a label; a seed alone chooses a text."""
    family = build("gan", "", fabric, *made_for("gan", captions=True)[:2]).family
    by_text, by_label, by_both, free = (
        next(iter(draw(family, [3], **asked)))
        for asked in ({"texts": CAPTIONS[0]}, {"labels": "small"}, {"texts": CAPTIONS[0], "labels": "small"}, {})
    )
    assert (by_text.label, by_text.text) == (None, CAPTIONS[0])
    assert (by_label.label, by_label.text) == ("small", None)
    assert (by_both.label, by_both.text) == ("small", CAPTIONS[0])
    assert free.label is None
    assert free.text in CAPTIONS
    z = family.prior(1, torch.Generator().manual_seed(3))
    with torch.inference_mode():
        *_, expected = family.eval().sample(z, Condition(text=[CAPTIONS[0]]), family.Knobs())
    assert np.abs(to_uint8(expected)[0].astype(int) - by_text.image).max() <= 1
