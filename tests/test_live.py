"""One picture at a time: what an explorer draws, what it leaves out, and by what it draws."""

import sys
from itertools import cycle
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from gesso import tasks
from gesso.contract.steer import Staged
from gesso.errors import GessoError
from gesso.explore import ATTRIBUTES, Space, live
from gesso.explore.live import Explorer
from gesso.explore.sliders import Slider
from gesso.families.stylegan import Generator
from tests.conftest import CAPTIONS
from tests.test_families import made_for

FAMILIES = [name for name, family in tasks.families().items() if not family.needs & {"pair", "source"}]
STYLES = {
    "default": ("", {}),
    "paper": ("paper", {"most": 2}),
    "skip": ("", {"synthesis": "skip", "noise": True}),
    "full": ("", {"full": True, "convolutions": 2, "noise": True}),
}
ON_ONNX = "onnxruntime is not installed: pip install -c constraints.txt 'gesso[onnx]'"


def space_of(name, preset="", knobs=None, **more):
    """A family that has learned nothing, whose norms and noises yet do something."""
    torch.manual_seed(0)
    config, facts, _ = made_for(name, preset, **more)
    family = tasks.family(name)(config, facts).eval()
    for part, values in family.named_parameters():
        if part.endswith("strength"):
            values.data.fill_(0.3)
    for part, values in family.named_buffers():
        if part.endswith(("running_mean", "running_var", "generator.mean")):
            values.uniform_(0.5, 1.5)
    return Space(family, family.Knobs.of(knobs or {}))


def slider(space, attribute="size", layers=slice(None), low=-3.0, high=2.0):
    """A direction of some layers of the codes."""
    shape = space.points([0]).codes.shape[1:]
    direction = torch.zeros(shape)
    direction[layers] = torch.randn(shape, generator=torch.Generator().manual_seed(len(attribute)))[layers]
    known = {one.name: one for one in ATTRIBUTES}
    return Slider(known[attribute], direction, 1.0, 0.9, low, high, {})


@pytest.mark.parametrize("name", FAMILIES)
def test_it_draws_what_the_space_draws(name):
    space = space_of(name)
    one = slider(space)
    explorer = Explorer(space, [one], seed=3, graph="off")
    plain = explorer.draw()
    torch.testing.assert_close(plain, space.pictures(space.points([3]))[0], atol=1e-5, rtol=0)
    explorer.slide("larger", 1.5)
    moved, points = explorer.draw(), space.points([3])
    expected = space.pictures(points.at(points.codes + 1.5 * one.direction))[0]
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved, space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    assert float((moved - plain).abs().max()) > 1e-3
    explorer.go(4)
    torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    assert float((explorer.draw() - moved).abs().max()) > 1e-3
    explorer.slide(one, 0.0)
    torch.testing.assert_close(explorer.draw(), space.pictures(space.points([4]))[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("style", "graph"), [*((style, "off") for style in STYLES), ("default", "on"), ("skip", "on")])
def test_layers_that_did_not_change_are_kept(style, graph, monkeypatch):
    """Whichever layer a slider moves, the picture is that of the space, drawn from that layer on."""
    if graph == "on":
        pytest.importorskip("onnxruntime", reason=ON_ONNX)
    preset, more = STYLES[style]
    space = space_of("stylegan", preset, {"truncation": 0.8, "truncate_layers": 2}, **more)
    explorer, drawn = Explorer(space, graph=graph), list[int]()
    generator = space.family.generator
    if graph == "off":
        step = Generator.step
        monkeypatch.setattr(Generator, "step", lambda self, number, *a: drawn.append(number) or step(self, number, *a))
    first = explorer.draw()
    assert explorer.draw() is first
    last = len(generator.spans) - 1
    for layer in reversed(range(generator.layers)):
        begin = next(number for number, span in enumerate(generator.spans) if layer in span)
        for strength, steps in ((1.0, [*range(begin, last + 1)]), (1.0, []), (-0.5, [*range(begin, last + 1)])):
            before = explorer.draw()
            drawn.clear()
            explorer.slide(slider(space, layers=layer), strength)
            picture = explorer.draw()
            assert (picture is before) == (not steps)
            assert drawn == (steps if graph == "off" else [])
            torch.testing.assert_close(picture, space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
        explorer.slide(slider(space, layers=layer), 0.0)
    torch.testing.assert_close(explorer.draw(), first, atol=1e-5, rtol=0)


def test_what_changes_nothing_draws_nothing(monkeypatch):
    space = space_of("gan")
    explorer, calls = Explorer(space, [slider(space)], graph="off"), list[int]()
    sample = space.family.sample
    monkeypatch.setattr(space.family, "sample", lambda *asked: calls.append(1) or sample(*asked))
    first = explorer.draw()
    explorer.slide("smaller", 0.0)
    assert explorer.draw() is first
    explorer.slide("smaller", 1.0)
    moved = explorer.draw()
    explorer.slide("larger", -1.0)
    assert explorer.draw() is moved
    explorer.go(0)
    assert explorer.draw() is moved
    assert len(calls) == 2


def test_the_mapping_runs_for_another_seed_alone(monkeypatch):
    space = space_of("stylegan")
    one, calls = slider(space), list[int]()
    codes = space.family.codes
    monkeypatch.setattr(space.family, "codes", lambda *asked: calls.append(1) or codes(*asked))
    explorer = Explorer(space, [one], seed=1, graph="off")
    for strength in (0.5, 1.0, -1.0):
        explorer.slide("larger", strength)
        explorer.draw()
        explorer.go(1)
    assert len(calls) == 1
    explorer.go(2)
    explorer.draw()
    assert len(calls) == 2
    explorer.go(2, label="large")
    torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    assert explorer.points.label.tolist() == [1]
    assert len(calls) == 3


def test_labels_are_asked_for_by_name_or_number():
    """Where codes know nothing of them, too."""
    space = space_of("gan")
    explorer = Explorer(space, seed=3, graph="off")
    drawn = []
    for label in ("small", "large", 0, None):
        explorer.go(3, label=label)
        drawn.append(explorer.draw())
        torch.testing.assert_close(drawn[-1], space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[3], space.pictures(space.points([3]))[0])


def test_texts_are_asked_for():
    space = space_of("gan", captions=True)
    explorer, drawn = Explorer(space, seed=3, graph="off"), list[torch.Tensor]()
    for text in CAPTIONS:
        explorer.go(3, text=text)
        drawn.append(explorer.draw())
        torch.testing.assert_close(drawn[-1], space.pictures(space.points([3], text=text))[0], atol=1e-5, rtol=0)
    assert not torch.equal(*drawn)


EXPORTED = [
    ("stylegan", "", {}), ("stylegan", "paper", {"most": 2}), ("stylegan", "", {"captions": True}), ("gan", "", {}),
    ("gan", "dcgan", {}), ("gan", "", {"captions": True}), ("progan", "", {}), ("progan", "paper", {}), ("vae", "", {}),
    ("vae", "", {"captions": True}), ("regions", "", {}), ("stackgan", "", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "preset", "more"), EXPORTED)
def test_graphs_draw_what_the_model_draws(name, preset, more):
    pytest.importorskip("onnxruntime", reason=ON_ONNX)
    space = space_of(name, preset, **more)
    explorer = Explorer(space, [slider(space)], seed=5, graph="on")
    assert explorer.exported
    for seed, strength in ((5, 0.0), (5, 1.0), (6, 1.0)):
        explorer.go(seed)
        explorer.slide("larger", strength)
        torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_onnxruntime_torch_draws(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    space = space_of("vae")
    explorer = Explorer(space)
    assert not explorer.exported
    assert "not installed" in explorer.why
    torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    with pytest.raises(GessoError, match=r"pip install -c constraints\.txt"):
        Explorer(space, graph="on")


def test_a_graph_that_draws_something_else_is_not_used(monkeypatch):
    pytest.importorskip("onnxruntime", reason=ON_ONNX)
    space = space_of("gan")
    other = space_of("gan", batch=4).family
    other.parts["generator"].decoder.paint.bias.data += 0.05
    monkeypatch.setattr(space.family, "core", other.core)
    explorer = Explorer(space)
    assert "does not draw what" in explorer.why
    torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    with pytest.raises(GessoError, match="does not draw what"):
        Explorer(space, graph="on")


@pytest.mark.parametrize(("model", "graph"), [(1.0, 2.0), (2.0, 1.0)])
def test_the_quicker_one_draws(model, graph, monkeypatch):
    pytest.importorskip("onnxruntime", reason=ON_ONNX)
    clock = cycle([0.0, model, 0.0, graph])
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    space = space_of("gan")
    explorer = Explorer(space)
    assert explorer.exported == (graph < model)
    assert bool(explorer.why) == (graph > model)
    torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-4, rtol=0)


def test_drawings_of_many_steps_stay_as_they_are():
    pytest.importorskip("onnxruntime", reason=ON_ONNX)
    assert "many steps" in Explorer(space_of("flow")).why


class Untraceable(torch.nn.Module):
    """No graph of tensors."""

    def forward(self, *given):
        raise ValueError


def test_what_is_no_graph_is_said(monkeypatch):
    pytest.importorskip("onnxruntime", reason=ON_ONNX)
    space = space_of("gan")
    core = space.family.core
    monkeypatch.setattr(space.family, "core", lambda knobs: (Untraceable(), core(knobs)[1]))
    with pytest.raises(GessoError, match="Untraceable could not be written"):
        Explorer(space, graph="on")
    assert "could not be written" in Explorer(space).why


def test_previews_are_half_as_large():
    space = space_of("progan")
    explorer = Explorer(space, [slider(space)], graph="off")
    assert torch.equal(explorer.draw(half=True), F.avg_pool2d(explorer.draw(), 2))
    rough = space.family.Knobs(stage=1)
    explorer = Explorer(space, [slider(space)], graph="off", previews=rough)
    for strength in (0.0, 1.0):
        explorer.slide("larger", strength)
        expected = F.avg_pool2d(Space(space.family, rough).pictures(explorer.points), 2)[0]
        torch.testing.assert_close(explorer.draw(half=True), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(explorer.draw(), space.pictures(explorer.points)[0], atol=1e-5, rtol=0)
    explorer.go(9)
    expected = F.avg_pool2d(Space(space.family, rough).pictures(explorer.points), 2)[0]
    torch.testing.assert_close(explorer.draw(half=True), expected, atol=1e-5, rtol=0)


def test_sliders_are_told_by_name():
    space = space_of("gan")
    size, low = slider(space), slider(space, "low")
    explorer = Explorer(space, [size, low], graph="off")
    explorer.slide("Smaller", 1.5)
    explorer.slide(low, 0.5)
    name = low.attribute.more.replace(" ", "-")
    assert explorer.strengths == {"larger": -1.5, name: 0.5}
    moved = space.points([0]).codes - 1.5 * size.direction + 0.5 * low.direction
    torch.testing.assert_close(explorer.points.codes, moved)
    explorer.slide("smaller", 0.0)
    assert explorer.strengths == {name: 0.5}
    other = space.points([7])
    explorer.go(other)
    torch.testing.assert_close(explorer.points.codes, other.codes + 0.5 * low.direction)


@pytest.mark.parametrize(
    ("name", "strength", "said"),
    [
        ("lager", 1.0, "There is no slider 'lager'. Did you mean 'larger'?"),
        ("larger", 2.5, "larger works from -3 to 2; 2.5 is beyond."),
        ("smaller", 3.5, "smaller works from -2 to 3; 3.5 is beyond."),
        ("larger", float("nan"), "larger works from -3 to 2; nan is beyond."),
    ],
)
def test_what_no_slider_does_is_said(name, strength, said):
    space = space_of("gan")
    explorer = Explorer(space, [slider(space)], graph="off")
    explorer.slide("larger", 1.0)
    with pytest.raises(GessoError) as told:
        explorer.slide(name, strength)
    assert said in f"{told.value}"
    assert explorer.strengths == {"larger": 1.0}


def test_what_cannot_be_gone_to_is_said():
    space = space_of("gan")
    explorer = Explorer(space, graph="off")
    first = explorer.draw()
    with pytest.raises(GessoError, match=r"no slider 'larger'\. Find some"):
        explorer.slide("larger", 1.0)
    with pytest.raises(GessoError, match=r"no label 'lage'\. Did you mean 'large'"):
        explorer.go(1, label="lage")
    with pytest.raises(GessoError, match="One point is drawn at a time, not 2"):
        explorer.go(space.points([1, 2]))
    with pytest.raises(GessoError, match="of another model"):
        explorer.slide(slider(space_of("stylegan")), 1.0)
    assert explorer.draw() is first


def test_families_of_styles_have_stages():
    assert [name for name in FAMILIES if isinstance(space_of(name).family, Staged)] == ["stylegan", "vae"]
