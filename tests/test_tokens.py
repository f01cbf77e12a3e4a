"""Codes and the transformer that writes them: quantisers, orders, and drawing as the inverse of looking."""

import itertools
import math

import pytest
import torch

from gesso.contract.family import Batch, Clock, Condition, Facts, Turn
from gesso.errors import GessoError
from gesso.families.tokens import Drawing, Tokens, TokensKnobs, fallen
from gesso.nn.quantise import Scalars, VectorQuantiser
from gesso.text import Vocabulary

TEXTS = ("a small bright disc", "a large dark disc")
FACTS = Facts(
    channels=3, height=16, width=16, labels=("a", "b"), vocabulary=Vocabulary.learn(TEXTS).dump(), captions=TEXTS
)
TINY = {"width": 8, "inside": 24, "depth": 2, "heads": 2, "side": 4, "perceptual": 0.0}


def made(facts=FACTS, **more):
    torch.manual_seed(0)
    family = Tokens(Tokens.Config.of({**TINY, **more}), facts)
    for parameter in family.parts["transformer"].parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))  # so that codes depend on what came before
    return family.eval()


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


ASKED = Condition(label=torch.tensor([0, 1, 1]), text=[TEXTS[0], TEXTS[1], "disc"])


def test_scalars_number_every_vector_once():
    book = Scalars((4, 3, 2))
    codes = torch.arange(book.count)[None]
    vectors = book.vectors(codes)
    assert len({tuple(v) for v in vectors[0].T.tolist()}) == book.count == 24
    assert vectors.abs().max() == 1
    again = book(torch.atanh(vectors.clamp(-0.999, 0.999)))
    assert torch.equal(again.codes, codes)
    torch.testing.assert_close(again.vectors, vectors)


def test_scalars_pass_the_gradient_of_what_was_rounded():
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    book = Scalars()
    book(x).vectors.sum().backward()
    torch.testing.assert_close(x.grad, 1 - torch.tanh(x.detach()).square())


def test_vectors_are_the_nearest_and_follow():
    """Two clouds, two vectors: each ends at its cloud's mean, and the third, of no use, begins again."""
    torch.manual_seed(0)
    book = VectorQuantiser(3, 2, decay=0.5)
    cloud = torch.cat([torch.randn(64, 2) * 0.1 + 3, torch.randn(64, 2) * 0.1 - 3])
    x = cloud[torch.randperm(128)].T[None]
    for _ in range(60):
        out = book(x, follow=True)
    apart = torch.cdist(x[0].T, book.book)
    assert torch.equal(out.codes[0], torch.cdist(x[0].T, book.book).argmin(1))
    assert apart.min(1).values.mean() < 0.3
    assert len(out.codes.unique()) >= 2
    torch.testing.assert_close(book.vectors(out.codes), book.book[out.codes].movedim(-1, 1))
    still = book.book.clone()
    book(x)
    assert torch.equal(book.book, still)


def test_codes_fall_as_often_as_they_are_likely():
    logits = torch.tensor([0.1, 0.6, 0.3, 0.0]).log()
    u = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(fallen(logits.expand(1000, 4), u), minlength=4)
    assert counts.tolist() == pytest.approx([100, 600, 300, 0], abs=1)
    assert fallen(logits.expand(2, 4), torch.tensor([0.0, 0.9999])).tolist() == [0, 2]


@pytest.mark.parametrize("facts", [FACTS, Facts(channels=3, height=16, width=16)])
def test_what_is_kept_of_what_was_read_changes_nothing(facts):
    """Number after number, with keys and values kept, as all at once with a mask."""
    family = made(facts)
    reader, given = family.parts["transformer"], family.inputs(ASKED, 3)
    codes = torch.randint(0, reader.count, (3, family.count), generator=seeded())
    with torch.no_grad():
        whole = reader(codes, None, *given)
        past, there = reader.begin(3, *given)
        code = torch.full((3,), reader.count)
        for place in range(family.count):
            logits, past, there = reader.next(code, place, past, there)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-4, atol=1e-5)
            code = codes[:, place]


def test_in_order_nothing_is_seen_of_what_follows_and_at_once_nothing_of_the_hidden():
    family = made()
    reader, given = family.parts["transformer"], family.inputs(ASKED, 3)
    codes = torch.randint(0, reader.count, (3, family.count), generator=seeded())
    other = codes.clone()
    other[:, 5] = (other[:, 5] + 1) % reader.count
    with torch.no_grad():
        one, two = reader(codes, None, *given), reader(other, None, *given)
        assert torch.equal(one[:, :6], two[:, :6])
        assert not torch.allclose(one[:, 6:], two[:, 6:])
        known = torch.ones(3, family.count, dtype=torch.bool)
        seen = reader(codes, known, *given), reader(other, known, *given)
        assert not torch.allclose(*seen)
        known[:, 5] = False
        torch.testing.assert_close(reader(codes, known, *given), reader(other, known, *given))


def test_padding_of_a_text_says_nothing():
    family = made()
    reader, (label, text) = family.parts["transformer"], family.inputs(ASKED, 3)
    codes, longer = torch.zeros(3, family.count, dtype=torch.long), text[:, : int((text != 0).sum(1).max())]
    torch.testing.assert_close(reader(codes, None, label, text), reader(codes, None, label, longer))


def test_drawing_is_the_inverse_of_looking():
    """Latents of a picture's codes draw these codes again."""
    family = made()
    with torch.no_grad():
        image = torch.rand(3, 3, 16, 16, generator=seeded()) * 2 - 1
        z = family.encode(image, ASKED)
        *_, again = family.sample(z, ASKED, family.Knobs())
        codes = family.parts["tokenizer"].look(image).codes.flatten(1)
    assert 0 <= z.min() <= z.max() <= 1
    torch.testing.assert_close(again, family.parts["tokenizer"].paint(codes))


@pytest.mark.parametrize("steps", [1, 3, 16, 40])
def test_at_once_every_code_is_drawn_and_none_is_changed(steps):
    family = made()
    drawing = Drawing(family, TokensKnobs(order="parallel", steps=steps))
    z = family.prior(3, seeded())
    with torch.no_grad():
        states = [*drawing.at_once(*z.chunk(2, 1), family.inputs(ASKED, 3))]
    for (codes, known), (later, more) in itertools.pairwise(states):
        assert (more | ~known).all()
        assert torch.equal(codes[known], later[known])
    counts = [int(known[0].sum()) for _, known in states]
    assert counts == sorted(counts)
    assert counts[-1] == family.count
    assert len(states) == steps


def test_guidance_and_temperature():
    """Guidance of nothing forgets what was asked; a likeliest code alone leaves nothing to the latents."""
    family = made()
    z, nothing = family.prior(3, seeded()), Condition()
    *_, free = family.sample(z, nothing, family.Knobs())
    *_, forgot = family.sample(z, ASKED, family.Knobs(guidance=0.0))
    *_, led = family.sample(z, ASKED, family.Knobs(guidance=4.0))
    torch.testing.assert_close(forgot, free)
    assert not torch.allclose(led, free)
    *_, one = family.sample(z, ASKED, family.Knobs(top_k=1))
    *_, two = family.sample(family.prior(3, seeded(2)), ASKED, family.Knobs(top_k=1))
    assert torch.equal(one, two)
    plain = made(Facts(channels=3, height=16, width=16))
    with pytest.raises(GessoError, match="guidance has no meaning"):
        next(iter(plain.sample(plain.prior(1, seeded()), nothing, plain.Knobs(guidance=2.0))))


def test_first_the_tokenizer_learns_and_then_the_transformer():
    family = made(first=0.25)
    named = [family.turns(Clock(0, seen, 100))[0].name for seen in (0, 24, 25, 99)]
    assert named == ["tokenizer", "tokenizer", "transformer", "transformer"]
    batch = Batch(torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 0, 1]), [*TEXTS] * 2)
    losses = family.losses(Turn("transformer", ("transformer",)), batch, Clock(0, 30, 100), seeded())
    sum(losses.values()).backward()
    assert all(p.grad is None for p in family.parts["tokenizer"].parameters())
    assert losses["in order"].item() == pytest.approx(math.log(family.parts["transformer"].count), rel=0.5)


@pytest.mark.parametrize(
    ("facts", "knobs", "said"),
    [
        (Facts(channels=3, height=16, width=16, labels=("a", "b")), {"guidance": 3, "negative": "disc"}, "from text"),
        (FACTS, {"negative": "disc"}, "needs guidance above 1"),
        (FACTS, {"guidance": 3, "negative": "unicorn"}, "never say 'unicorn'"),
    ],
)
def test_a_negative_text_that_leads_nowhere_is_refused(facts, knobs, said):
    family = made(facts)
    with pytest.raises(GessoError, match=said):
        Drawing(family, family.Knobs.of(knobs))


def test_a_negative_text_is_led_away_from():
    """To be led away from the very thing that is asked for leaves it as it was."""
    family = made()
    z, asked = family.prior(2, seeded()), Condition(text=["disc", "disc"])
    *_, plain = family.sample(z, asked, family.Knobs())
    *_, same = family.sample(z, asked, family.Knobs(guidance=3, negative="disc"))
    *_, other = family.sample(z, asked, family.Knobs(guidance=3, negative="bright"))
    torch.testing.assert_close(same, plain)
    assert not torch.allclose(other, plain)
