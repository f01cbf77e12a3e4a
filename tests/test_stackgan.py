"""StackGAN's own promises: two stages, texts that must be read, what the text leaves open."""

import math

import pytest
import torch

from gesso.contract.family import Batch, Clock, Condition, Facts, Turn
from gesso.errors import GessoError
from gesso.families.stackgan import StackGAN
from gesso.text import Vocabulary

TEXTS = ["a small red rose on sand", "a large blue lily", "a red lily on a stem", "a small rose"]
BOTH = Turn("both", ("generator", "critic"))


def made(facts=None, **more):
    facts = facts or Facts(channels=3, height=16, width=24, vocabulary=Vocabulary.learn(TEXTS).dump(), count=4)
    small = {"width": 8, "critic_width": 8, "latent": 8, "meaning": 8, "asked_width": 16, "batch": 4}
    torch.manual_seed(0)
    return StackGAN(StackGAN.Config.of({**small, **more}), facts)


def batch(family, text=TEXTS):
    image = (
        torch.rand(4, 3, family.facts.height, family.facts.width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    )
    return Batch(image, torch.tensor([0, 1, 0, 1]) if family.facts.labels else None, text)


def learned(family, turn=BOTH):
    return family.losses(turn, batch(family), Clock(0, 0, 100), torch.Generator().manual_seed(2))


def drawn(family, texts=TEXTS, seed=3, z=None, **knobs):
    z = family.prior(len(texts), torch.Generator().manual_seed(seed)) if z is None else z
    with torch.inference_mode():
        return list(family.eval().sample(z, Condition(text=texts), family.Knobs.of(knobs)))


@pytest.mark.parametrize(("shrink", "side"), [(2, 32), (4, 32), (4, 64)])
def test_a_small_picture_and_a_large_one(shrink, side):
    facts = Facts(channels=3, height=side, width=side, vocabulary=Vocabulary.learn(TEXTS).dump(), count=4)
    family = made(facts, shrink=shrink)
    first, last = drawn(family)
    assert first.shape == last.shape == (4, 3, side, side)
    small = first[:, :, ::shrink, ::shrink]
    torch.testing.assert_close(first, small.repeat_interleave(shrink, 2).repeat_interleave(shrink, 3))
    views = family.real(batch(family), (), Clock(0, 0, 1))
    assert [tuple(view.shape[2:]) for view in views] == [(side // shrink, side // shrink), (side, side)]


def test_the_large_picture_rests_on_the_small_one():
    """The second stage has no way to the latents but through what the first drew and laid out."""
    family = made()
    generator = family.parts["generator"]
    generator.linear.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    one, other = (drawn(family, seed=seed, variety=0.0)[-1] for seed in (1, 2))
    torch.testing.assert_close(one, other)


def test_words_are_heeded_where_they_matter():
    """The second stage reads the text itself: other words at the same meaning make another picture."""
    family = made()
    generator = family.parts["generator"]
    with torch.no_grad():
        generator.meaning.weight.zero_()
    small, large = (torch.stack(pair) for pair in zip(drawn(family), drawn(family, TEXTS[::-1]), strict=True))
    torch.testing.assert_close(small[0], small[1])
    assert not torch.allclose(large[0], large[1])


def test_what_the_text_leaves_open():
    family = made()
    z = family.prior(4, torch.Generator().manual_seed(3))
    other = torch.cat([z[:, :8], -z[:, 8:]], 1)  # the same latents, another shade of meaning
    torch.testing.assert_close(drawn(family, z=z, variety=0)[-1], drawn(family, z=other, variety=0)[-1])
    assert not torch.allclose(drawn(family, z=z)[-1], drawn(family, z=other)[-1])
    torch.testing.assert_close(
        drawn(family, z=z, truncation=0.5)[-1], drawn(family, z=z * torch.tensor([0.5] * 8 + [1.0] * 8))[-1]
    )
    for wrong in ({"variety": -0.1}, {"variety": 2.1}, {"truncation": 0}):
        with pytest.raises(GessoError):
            family.Knobs.of(wrong)


def test_losses():
    losses = learned(made(drop=0.0))
    assert {"critic", "generator", "mismatched", "kl", "agree"} <= set(losses)
    assert all(losses[name].requires_grad for name in ("critic", "generator", "mismatched", "kl", "agree"))
    assert {"mismatched", "kl", "agree"}.isdisjoint(learned(made(mismatched=0, kl=0, agree=0)))
    assert "kl" not in learned(made(), Turn("critic", ("critic",)))
    torch.testing.assert_close(learned(made(kl=2.0))["kl"], 2 * learned(made(kl=1.0))["kl"])


def test_the_critic_must_read():
    """Only the judgements of texts tell a right pair from a wrong one, and they learn to within a few steps."""
    family = made(drop=0.0, critic_lr=1e-2)
    critic = family.parts["critic"]
    pictures = torch.stack([torch.full((3, 16, 24), value) for value in (-0.9, -0.3, 0.3, 0.9)])
    views, given = [pictures[:, :, ::2, ::2], pictures], family.inputs(Condition(text=TEXTS), 4)
    adam = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(60):
        right, _, wrong = family._compared(views, views, given)
        adam.zero_grad()
        torch.stack(
            [torch.nn.functional.softplus(w - r).mean() for r, w in zip(right, wrong, strict=True)]
        ).sum().backward()
        adam.step()
    right, _, wrong = family._compared(views, views, given)
    for which in (0, 2):  # whether it is real does not depend on the text
        torch.testing.assert_close(right[which], wrong[which])
    for which in (1, 3):
        assert (right[which] > wrong[which]).all()


@pytest.mark.parametrize("mismatched", [0.5, 0])
def test_judged_at_less_cost_but_alike(mismatched):
    family = made(mismatched=mismatched).eval()
    real, fake = batch(family).image, -batch(family).image
    known, seen = ([x[:, :, ::2, ::2], x] for x in (real, fake))
    given = family.inputs(Condition(text=TEXTS), 4)
    right, fakes, wrong = family._compared(known, seen, given)
    for one, two in zip(right + fakes, family.judged(known, given) + family.judged(seen, given), strict=True):
        torch.testing.assert_close(one, two)
    if not mismatched:
        assert not wrong
        return
    others = [family.judged(known, [x.roll(k, 0) for x in given]) for k in (1, 2, 3)]
    for i, one in enumerate(wrong):
        expected = torch.stack([judged[i] for judged in others]).logsumexp(0) if i % 2 else right[i]
        torch.testing.assert_close(one, expected)
    loss = torch.stack([family.game.critic(r, w).mean() for r, w in zip(right[1::2], wrong[1::2], strict=True)])
    tables = [table for _, table in family.parts["critic"](known, *given)]
    contrast = torch.stack([torch.nn.functional.cross_entropy(table, torch.arange(4)) for table in tables])
    torch.testing.assert_close(loss, contrast)


@pytest.mark.parametrize("loss", ["relativistic", "hinge", "minimax", "non-saturating", "wasserstein"])
def test_the_same_text_is_no_wrong_one(loss):
    """Pictures that share a text are not told apart by it, in any game; and a batch of one text teaches no reading."""
    family = made(loss=loss, drop=0.0).eval()
    pictures = batch(family).image
    views = [pictures[:, :, ::2, ::2], pictures]
    texts = [TEXTS[0], TEXTS[0], TEXTS[1], TEXTS[1]]
    _, _, wrong = family._compared(views, views, family.inputs(Condition(text=texts), 4))
    other = family.judged(views, family.inputs(Condition(text=texts[2:] + texts[:2]), 4))
    torch.testing.assert_close(wrong[1], other[1] + math.log(2))
    losses = family.losses(BOTH, batch(family, [TEXTS[0]] * 4), Clock(0, 0, 100), torch.Generator().manual_seed(2))
    assert all(torch.isfinite(value) for value in losses.values())


def test_labels_and_texts_together():
    facts = Facts(
        channels=3, height=16, width=16, labels=("a", "b"), vocabulary=Vocabulary.learn(TEXTS).dump(), count=4
    )
    assert made(facts).takes == {"text"}
    family = made(facts, labels=True)
    assert family.takes == {"label", "text"}
    learned(family)
    family.eval()
    z = family.prior(2, torch.Generator().manual_seed(1))
    conditions = [
        Condition(), Condition(label=torch.tensor([0, 0])), Condition(label=torch.tensor([1, 1])),
        Condition(text=TEXTS[:2]), Condition(label=torch.tensor([0, 0]), text=TEXTS[:2]),
    ]  # fmt: skip
    pictures = [[*family.sample(z, condition, family.Knobs())][-1] for condition in conditions]
    for i, one in enumerate(pictures):
        assert all(not torch.allclose(one, other) for other in pictures[:i])


def test_what_it_needs():
    assert StackGAN.needed(StackGAN.Config()) == {"text"}
    assert not StackGAN.needed(StackGAN.Config(captions=False))
    plain = made(Facts(channels=3, height=16, width=16, count=4))
    assert not plain.asks
    assert "kl" not in learned(plain)
    with pytest.raises(GessoError, match="shrink=4"):
        made(shrink=4)
    with pytest.raises(GessoError, match="8×8"):
        made(Facts(channels=3, height=8, width=8, count=4))


def test_on_the_primer_the_large_picture_alone_is_judged():
    family = made(critic="primer")
    assert len(family.real(batch(family), (), Clock(0, 0, 1))) == 1
    losses = learned(family)
    (grad,) = torch.autograd.grad(losses["generator"], family.parts["generator"].small.conv.weight)
    assert grad.abs().sum() > 0  # the first stage learns from what the second makes of its picture
    assert family.judge(batch(family).image, Condition(text=TEXTS)).shape == (4,)


def test_a_text_encoder_from_a_folder(tmp_path):
    """It reads in the place of the one that is learned; when it has gone, the run says so once a text is asked for."""
    transformers = pytest.importorskip("transformers")
    (tmp_path / "words").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "rose", "lily"]))
    sizes = {"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertModel(transformers.BertConfig(**sizes, intermediate_size=16)).save_pretrained(tmp_path / "bert")
    transformers.BertTokenizerFast(str(tmp_path / "words"), model_max_length=12).save_pretrained(tmp_path / "bert")
    family = made(text_encoder=str(tmp_path / "bert"))
    losses = learned(family)
    torch.stack([loss for loss in losses.values() if loss.requires_grad]).sum().backward()
    assert family.parts["generator"].asked.text.project.weight.grad.abs().sum() > 0
    assert not any("embeddings" in name for name in family.state_dict())
    before = drawn(family)[-1]
    (tmp_path / "bert").rename(tmp_path / "elsewhere")
    after = made(text_encoder=str(tmp_path / "bert"))
    after.load_state_dict(family.state_dict())
    with pytest.raises(GessoError, match="bert, on which this model stands, is not there"):
        drawn(after)
    (tmp_path / "elsewhere").rename(tmp_path / "bert")
    again = made(text_encoder=str(tmp_path / "bert"))
    again.load_state_dict(family.state_dict())
    torch.testing.assert_close(drawn(again)[-1], before)
