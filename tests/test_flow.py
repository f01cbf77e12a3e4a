"""The flow: its losses on closed forms, its ways to draw, and what it says to what cannot be."""

import pytest
import torch
from torch import nn

from gesso.contract.family import Batch, Clock, Condition, Facts
from gesso.errors import GessoError
from gesso.families.flow import Drawing, Flow, FlowKnobs
from gesso.nn.unet import Look, UNet, waves

FACTS = Facts(channels=3, height=16, width=16, labels=("a", "b"))


def made(facts=FACTS, **more):
    torch.manual_seed(0)
    return Flow(Flow.Config.of({"width": 8, "latents": 0, "few_from": 0, **more}), facts)


class Known(nn.Module):
    """A network's place; what it says is a known function of the place and the times."""

    def __init__(self, of):
        super().__init__()
        self.of, self.scale = of, nn.Parameter(torch.ones(()))

    def forward(self, z, r, t, *given):
        return self.scale * self.of(z, r[:, None, None, None], t[:, None, None, None], *given)


def test_jumps_are_learned_without_error_where_the_mean_velocity_is_known():
    """Pictures all alike, x: the velocity (z - x) / t at every place, of which straight lines make the mean, too."""
    family = made(few=0.5, drop=0)
    x = torch.full((8, 3, 16, 16), 0.3)
    family.parts["network"] = Known(lambda z, r, t, *_: (z - 0.3) / t)
    losses = family.losses(family.turns(Clock(0, 0, 1))[0], Batch(x, torch.zeros(8).long()), Clock(0, 0, 1), seeded())
    assert losses["flow"].item() < 1e-4
    assert losses["error"].item() < 1e-6


def test_the_change_is_that_along_the_way():
    """Of u = z² + 3 r t: 2 z v + 3 r."""
    family = made(few=0.5)
    family.parts["network"] = Known(lambda z, r, t, *_: z**2 + 3 * r * t)
    z, v = torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16)
    r, t = torch.rand(4) / 2, torch.rand(4) / 2 + 0.5
    found = family._change(z, v, r, t, (), 2)
    torch.testing.assert_close(found, (2 * z * v + 3 * r[:, None, None, None])[:2])


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("solver", ["euler", "heun", "adaptive", "jump"])
def test_every_solver_ends_at_the_only_picture(solver):
    family = made(few=0.5)
    family.parts["network"] = Known(lambda z, r, t, *_: (z - 0.3) / t.clamp(min=1e-3))
    z = family.prior(2, seeded())
    *_, x = Drawing(family, FlowKnobs(solver=solver, tolerance=1e-3)).stream(z, torch.tensor([0, 1]))
    torch.testing.assert_close(x, torch.full_like(x, 0.3), atol=0.03, rtol=0)


def test_encoding_and_drawing_are_inverse():
    """A velocity that turns: what is looked at is drawn again."""
    family = made()
    family.parts["network"] = Known(lambda z, r, t, *_: torch.sin(2 * t) * z.roll(1, 3) - 0.5 * z)
    image = torch.rand(2, 3, 16, 16) - 0.5
    given = Condition(label=torch.tensor([0, 1]))
    z = family.encode(image, given)
    *_, again = family.sample(z, given, family.Knobs(solver="heun", steps=100))
    torch.testing.assert_close(again, image, atol=2e-3, rtol=0)


def test_guidance_leads_away_from_no_wish():
    family = made()
    family.parts["network"] = Known(lambda z, r, t, label: label.float()[:, None, None, None].expand_as(z))
    z, one = torch.zeros(1, 3, 16, 16), torch.ones(1)
    for guidance, expected in ((1.0, 0.0), (0.0, 2.0), (3.0, -4.0)):  # nobody's label is number 2
        said = Drawing(family, FlowKnobs(guidance=guidance)).velocity(z, one, one, (torch.tensor([0]),))
        assert torch.allclose(said, torch.tensor(expected))


def test_mistakes_are_sentences():
    plain = made(Facts(channels=3, height=16, width=16))
    for family, knobs, said in (
        (plain, {"guidance": 3.0}, "guidance has no meaning"),
        (plain, {"solver": "jump"}, "has learned no jumps"),
    ):
        with pytest.raises(GessoError, match=said):
            next(iter(family.sample(family.prior(1, seeded()), Condition(), family.Knobs.of(knobs))))
    with pytest.raises(GessoError, match="adaptive solver"):
        plain.core(plain.Knobs(solver="adaptive"))


def test_padding_of_a_text_changes_nothing():
    torch.manual_seed(0)
    look = Look(8, 6)
    nn.init.normal_(look.out.weight)
    x, words, there = torch.randn(2, 8, 4, 4), torch.randn(2, 5, 6), torch.tensor([[1, 1, 1, 0, 0]] * 2).bool()
    torch.testing.assert_close(look(x, words, there), look(x, words[:, :3], there[:, :3]))
    assert not torch.allclose(look(x, words, there), look(x, words.flip(1), there))


@pytest.mark.parametrize(("height", "width", "patch"), [(16, 24, 2), (32, 32, 4), (8, 8, 1)])
def test_a_network_of_any_size(height, width, patch):
    net = UNet(3, (8, 16), patch, 12)
    nn.init.normal_(net.leave.weight)
    x = torch.randn(2, 3, height, width)
    assert net(x, torch.randn(2, 12)).shape == x.shape
    one, two = waves(torch.tensor([0.1, 0.101]), 32)
    assert 0 < (one - two).abs().max() < 0.2  # near times look alike, and not the same


def test_jumps_are_learned_in_the_later_part_of_the_flows_time():
    """Until then the loss is that of velocities alone, every picture's as large as its error is."""
    family = made(few=0.5, few_from=0.5, latents=2, first=0.2, eye=8, perceptual=0.0)
    batch = Batch(torch.rand(8, 3, 16, 16, generator=seeded()), torch.zeros(8).long())
    weighed = []
    for seen in (20, 59, 61, 99):
        clock = Clock(0, seen, 100)
        (turn,) = family.turns(clock)
        assert (turn.name, turn.begin) == ("flow", 0.2)
        losses = family.losses(turn, batch, clock, seeded())
        weighed.append(losses["flow"].item() == pytest.approx(1.0, abs=0.01))  # errors, each divided by itself
    assert weighed == [False, False, True, True]
    assert family.turns(Clock(0, 19, 100))[0].name == "latents"


@pytest.mark.parametrize(("knobs", "shown"), [({}, 4), ({"steps": 3}, 1), ({"solver": "euler", "steps": 50}, 5)])
def test_a_few_canvases_are_shown_and_the_last_is_the_answer(knobs, shown):
    family = made(latents=2, eye=8, perceptual=0.0)
    drawing = Drawing(family, FlowKnobs(**knobs))
    z, label = family.prior(2, seeded()), torch.tensor([0, 1])
    with torch.no_grad():
        canvases = [*drawing.stream(z, label)]
        torch.testing.assert_close(canvases[-1].clamp(-1, 1), drawing(z, label))
    assert len(canvases) == shown
