"""Saliency against closed forms, and the sheets and pages of `gesso explain`."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from gesso import tasks
from gesso.contract.family import Condition, Facts, Judge
from gesso.errors import GessoError
from gesso.families.gan import GAN
from gesso.marks.recipe import Original
from gesso.measure.saliency import integrated_gradients, occlusion, plain
from gesso.store import Run

SMALL = ["width=4", "critic_width=4", "batch=8"]


def test_integrated_gradients_of_a_line_and_of_a_square():
    x, weight = torch.randn(2, 3, 5, 4), torch.randn(3, 5, 4)
    start = torch.randn(2, 3, 5, 4)
    found = torch.stack(list(integrated_gradients(lambda z: (z * weight).sum((1, 2, 3)), x, start, 3)))
    torch.testing.assert_close(found, ((x - start) * weight).sum(1))
    found = torch.stack(list(integrated_gradients(lambda z: z.square().sum((1, 2, 3)), x, start, 3)))
    torch.testing.assert_close(found, (x.square() - start.square()).sum(1))


def test_integrated_gradients_add_up_to_what_changed():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1))
    x, start = torch.randn(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)

    def score(z):
        return network(z)[:, 0]

    (found,) = integrated_gradients(score, x, start, 200)
    assert float(found.sum()) == pytest.approx(float((score(x) - score(start)).detach()), abs=1e-3)


def test_occlusion_finds_the_place_that_matters():
    x = torch.zeros(1, 1, 16, 24)
    x[..., 4, 18] = 1.0

    (found,) = occlusion(lambda z: z[:, 0, 4, 18], x, torch.zeros_like(x), window=6, stride=1)
    at = np.unravel_index(int(found.argmax()), found.shape)
    assert abs(at[0] - 4) <= 1
    assert abs(at[1] - 18) <= 1
    assert float(found[12:].abs().max()) == float(found[:, :8].abs().max()) == 0
    (against,) = occlusion(lambda z: -z[:, 0, 4, 18], x, torch.zeros_like(x), window=6, stride=1)
    torch.testing.assert_close(against, -found)


def test_occlusion_of_what_shows_nothing_changes_nothing():
    x = torch.rand(1, 3, 16, 16)
    (found,) = occlusion(lambda z: z.sum((1, 2, 3)), x, x)
    assert float(found.abs().max()) == 0


def test_plain_keeps_colours_alone():
    x = torch.rand(2, 3, 24, 32)
    shown = plain(x)
    assert shown.shape == x.shape
    torch.testing.assert_close(shown.mean((2, 3)), x.mean((2, 3)), atol=0.05, rtol=0)
    assert shown.std((2, 3)).max() < 0.1


@pytest.mark.parametrize("way", [occlusion, integrated_gradients])
def test_a_judge_that_fails_is_told(way):
    x = torch.rand(1, 1, 8, 8)
    with pytest.raises(GessoError, match="not a finite number"):
        list(way(lambda z: z.sum((1, 2, 3)) * float("nan"), x, x))


@pytest.mark.parametrize("critic", ["strided", "residual", "primer"])
def test_a_gan_is_a_judge(critic):
    facts = Facts(channels=3, height=16, width=16, labels=("a", "b"), count=32)
    family = GAN(GAN.Config.of({"critic": critic, "width": 4, "critic_width": 4}), facts)
    assert isinstance(family, Judge)
    x = torch.rand(3, 3, 16, 16, requires_grad=True)
    said = family.judge(x, Condition(label=torch.tensor([0, 1, 1])))
    assert said.shape == (3,)
    said.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert not isinstance(tasks.family("vae"), Judge)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tasks.run("import", home=home, source="blossoms", name="flowers", size="16", count=150)
    options = {"dataset": "flowers", "precision": "float32", "threads": 1, "images": "60"}
    tasks.run("train", home=home, set=SMALL, **options)
    tasks.run("train", home=home, family="vae", set=["width=4"], **options)
    return home


def test_the_critic_is_explained(home, tmp_path):
    result = tasks.run("explain", home=home, run="1", judge="critic", count=2)
    assert len(result.facts["made"]) == len(result.facts["learned"]) == 2
    (sheet,) = result.paths
    assert sheet.name == "explain-critic.png"
    with Image.open(sheet) as picture:
        assert picture.width > 100
    Image.fromarray(tasks.learned(Run.open(home, 1), home).images[0]).save(tmp_path / "one.png")
    target = tmp_path / "out.png"
    given = {"images": tmp_path / "one.png", "method": "gradients", "out": target}
    result = tasks.run("explain", home=home, run="1", count=2, **given)
    assert len(result.facts["given"]) == 1
    assert target.is_file()


def test_labels_are_explained(home, monkeypatch):
    from gesso.measure import own

    monkeypatch.setattr(own, "STEPS", 12)
    monkeypatch.setattr(own, "PATCHES", 3000)
    result = tasks.run("explain", home=home, run="2", judge="labels", count=2)
    assert all(0 <= chance <= 1 for chance in result.facts["made"])


def test_what_explain_refuses(home, tmp_path):
    with pytest.raises(GessoError, match="vae has no critic"):
        tasks.run("explain", home=home, run="2", judge="critic", count=2)
    with pytest.raises(GessoError, match="No run is named"):
        tasks.run("explain", home=home)
    with pytest.raises(GessoError, match="There is no folder"):
        tasks.run("explain", home=home, run="1", images=tmp_path / "nowhere")
    with pytest.raises(GessoError, match="HTML file"):
        tasks.run("explain", home=home, run="1", out=tmp_path / "page.png")


class Reader(HTMLParser):
    """Counts tags, and notes where they do not close in the order in which they open."""

    def __init__(self, page):
        super().__init__()
        self.open, self.counts, self.wrong, self.links = [], {}, [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.parametrize("run", ["1", "2"])
def test_a_page_tells_how_a_picture_came_to_be(home, monkeypatch, run):
    from gesso.explain import story

    monkeypatch.setattr(story, "USUAL", 40)
    monkeypatch.setattr(story, "DISSECTED", 40)
    result = tasks.run("explain", home=home, run=run, seed=7)
    page, table = result.paths
    assert page == Run.open(home, run).root / "explain" / "seed-7.html"
    read = Reader(page.read_text("utf-8"))
    assert not read.wrong
    assert not read.open
    assert read.counts["h1"] == 1
    assert read.counts["h2"] >= 6
    assert read.counts["img"] > 20
    assert all(link.startswith("data:image/webp;base64,") for link in read.links), "nothing is from elsewhere"
    assert "script" not in read.counts
    assert len(result.facts["labels"]) == len(Run.open(home, run).record["facts"]["labels"]) - 1
    assert len(result.facts["causes"]) == 6
    assert 0 <= result.facts["reached"] <= 1
    lines = table.read_text().splitlines()
    assert lines[0].startswith("unit,")
    assert lines[-1].startswith("chance,")
    assert ("gives it away" in page.read_text("utf-8")) == (run == "1"), "a vae has no critic"
    again = tasks.run("explain", home=home, run=run, seed=7)
    assert again.facts == result.facts


def test_what_users_wrote_is_escaped(home, monkeypatch):
    from dataclasses import replace

    from gesso.explain import page_of, story
    from gesso.explore import Space

    monkeypatch.setattr(story, "USUAL", 40)
    monkeypatch.setattr(story, "DISSECTED", 40)
    model = tasks.load("1", home, "cpu")
    images = np.zeros((9, 16, 16, 3), np.uint8)
    known = story.Learned(images, ["<script>alert(1)</script>"] * 9, "<b>set</b>")
    space = Space(model.family)
    original = Original(likeness=0.9, limit=0.7, nearest="<img src=x>", copied=True)
    work, made = story.story_of(model, space, space.points([3]), 3, known, lambda _: original), None
    while made is None:
        try:
            next(work)
        except StopIteration as end:
            made = end.value
    page = page_of(replace(made, text="a <i>red</i> flower", label=None))
    for raw in ("<script>", "<b>set", "<img src=x>", "<i>red"):
        assert raw not in page
    assert "It is a near-copy" in page


def test_learned_pictures_on_a_page_bear_no_mark_of_a_machine(home, monkeypatch):
    from gesso.explain import story

    monkeypatch.setattr(story, "USUAL", 40)
    monkeypatch.setattr(story, "DISSECTED", 40)
    page = tasks.run("explain", home=home, run="1", seed=7).paths[0].read_text("utf-8")
    new = page[page.index("Is it new?") : page.index("What is special")]
    for part, marked in ((page[: page.index("Is it new?")], True), (new, False)):
        pictures = re.findall(r"base64,([^\"]+)", part)
        assert pictures
        for data in pictures:
            assert (b"trainedAlgorithmicMedia" in base64.b64decode(data)) == marked
