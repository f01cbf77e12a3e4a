"""What a run learns from: captions, classes, pairs, a second data set; and from training to drawing with each."""

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso import tasks
from gesso.contract.family import Facts
from gesso.data import open_pack
from gesso.data.pack import Some
from gesso.errors import GessoError
from gesso.marks.recipe import read_recipe
from gesso.sample import slug
from gesso.store import Run
from gesso.text import Vocabulary
from gesso.train import Batches, Subject
from gesso.train.plan import View

SHORT = {"images": "96", "threads": 1, "precision": "float32", "watch": False, "minutes": None}
TINY = ("batch=8",)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Flowers with captions and labels, others, pictures that have neither, and pairs of edges."""
    home = tmp_path_factory.mktemp("home")
    gesso.run("import", home=home, source="blossoms", name="flowers", size="16", count=40)
    gesso.run("import", home=home, source="blossoms", name="edges", size="16", count=24, pairs="edges")
    folder = home / "plain"
    folder.mkdir()
    for i in range(20):
        Image.fromarray(np.full((16, 16, 3), 10 * i, np.uint8)).save(folder / f"{i}.png")
    gesso.run("import", home=home, source=str(folder), name="plain", size="16")
    return home


def subject(home, name, data, other=None, hold_out=0.0, **choices):
    family = tasks.family(name)
    pack = open_pack(data, home)
    config = family.Config.of({**family.presets[""], **choices})
    return Subject.of(family, config, pack, open_pack(other, home) if other else None, hold_out)


def test_facts_come_from_the_data(home):
    facts = subject(home, "stackgan", "flowers", hold_out=0.25).facts()
    pack = open_pack("flowers", home)
    rows, _ = pack.split(0.25)
    learned = {pack.captions[i] for i in rows}
    assert facts.count == 30
    assert set(facts.captions) == learned
    assert Vocabulary.of(facts.vocabulary).words
    assert facts.source == 0
    plain = subject(home, "gan", "flowers").facts()
    assert (plain.vocabulary, plain.captions, plain.labels) == ("", (), pack.labels[:0])  # too few a class
    assert subject(home, "gan", "flowers", captions=True).facts().vocabulary
    assert subject(home, "pix2pix", "edges").facts().source == 1
    assert subject(home, "cut", "flowers", "edges").facts().source == 3


@pytest.mark.parametrize(
    ("family", "data", "other", "said"),
    [
        ("stackgan", "plain", None, "learns from captions, and the data set 'plain' has none"),
        ("pix2pix", "plain", None, "learns from pairs, and the pictures of 'plain' have none"),
        ("pix2pix", "edges", "plain", "learns from pairs, not from another data set"),
        ("cut", "plain", None, "wants pictures of another data set, too"),
        ("gan", "plain", "flowers", "makes no use of another data set"),
    ],
)
def test_what_is_missing_is_said(home, family, data, other, said):
    with pytest.raises(GessoError, match=said) as caught:
        subject(home, family, data, other)
    assert caught.value.remedy
    with pytest.raises(GessoError, match=said):
        gesso.run("train", home=home, dataset=data, family=family, source=other or "", **SHORT)


def batches(paired, count=10, others=10, flip=False):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    sources = 20 * np.arange(others, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 1), np.uint8)
    sources[:, :, :4] = 255  # its left can be told from its right
    view = View(images, np.full(count, -1), [], Some(sources, np.arange(others)), paired)
    return Batches(view, Facts(channels=3, height=16, width=16, source=1), seed=0, batch=4, flip=flip)


def numbers(batch):
    """Which pictures, and which sources, a batch shows."""
    return [
        ((x[:, 0, 8, 8].double() + 1) * 127.5 / each).round().int().tolist()
        for x, each in ((batch.image, 1), (batch.source, 20))
    ]


def test_pairs_stay_together_and_others_do_not():
    device, together, loose = torch.device("cpu"), batches(True, flip=True), batches(False, others=7)
    seen = []
    for step in range(10):
        batch = together.at(step, device)
        image, source = numbers(batch)
        assert image == source
        seen += numbers(loose.at(step, device))[1]
    assert sorted(seen[:7]) == list(range(7)), "every other picture once an epoch"
    assert sorted(seen[:7]) != seen[:7]
    mirrored = [together.at(step, device).source[:, 0, 0, 0] < 1 for step in range(10)]
    assert 5 < torch.cat(mirrored).sum() < 35
    again = numbers(batches(False, others=7).at(6, device))[1]
    assert again == numbers(loose.at(6, device))[1], "a step is a pure function of its number"


def test_some_sources_are_bytes_at_the_size_to_learn():
    found = batches(True).some_sources(12)
    assert found.shape == (12, 16, 16, 1)
    which = (found[:, 8, 8, 0] / 20).astype(int).tolist()
    assert sorted(which[:10]) == list(range(10)) != which[:10]
    assert which[10:] == which[:2]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_from_captions_to_pictures_of_a_text(home, tmp_path):
    """Train on captions, draw two texts from the same seeds, and one of the pictures again."""
    done = gesso.run(
        "train", home=home, dataset="flowers", family="gan", set=(*TINY, "captions=true", "width=8"), **SHORT
    )
    run = str(done.facts["number"])
    texts = ("a small red rose", "a large white daisy")
    drawn = gesso.run("sample", home=home, run=run, text=texts, count=2, seed=5, out=tmp_path / "out", grid=True)
    grid, *paths = drawn.paths
    assert [path.stem.partition("_")[2] for path in paths] == [
        f"{name}_seed{seed:010d}" for name in ("a-small-red-rose", "a-large-white-daisy") for seed in (5, 6)
    ]
    assert pixels(grid).shape[1] > 2 * 16
    first = read_recipe(paths[0])
    assert (first.text, first.seed) == (texts[0], 5)
    again = gesso.run("sample", home=home, like=paths[0], out=tmp_path / "again.png")
    assert np.array_equal(pixels(again.paths[0]), pixels(paths[0]))
    own = gesso.run("sample", home=home, run=run, count=3, seed=1, out=tmp_path / "own")
    assert {read_recipe(path).text for path in own.paths} <= set(open_pack("flowers", home).captions)
    with pytest.raises(GessoError, match="never say 'zebra'"):
        gesso.run("sample", home=home, run=run, text=("a red zebra",), out=tmp_path / "none")
    with pytest.raises(GessoError, match="do not fit into the one file"):
        gesso.run("sample", home=home, run=run, text=texts, count=1, out=tmp_path / "one.png")


def test_texts_from_a_file_with_guidance(home, tmp_path):
    """A picture of a text that it is led to, away from another; its recipe draws it again."""
    small = ("batch=8", "width=8", "inside=16", "depth=1", "heads=2", "side=4", "perceptual=0")
    done = gesso.run("train", home=home, dataset="flowers", family="tokens", set=small, **SHORT)
    run, lines = str(done.facts["number"]), tmp_path / "texts.txt"
    lines.write_text("a small red rose\n\n  a large white daisy\n", encoding="utf-8")
    led = {"home": home, "run": run, "prompts": lines, "count": 1, "seed": 5, "guidance": 3.0, "negative": "red"}
    drawn = gesso.run("sample", out=tmp_path / "out", **led)
    first, second = (read_recipe(path) for path in drawn.paths)
    assert (first.text, second.text) == ("a small red rose", "a large white daisy")
    assert (first.knobs["guidance"], first.knobs["negative"]) == (3.0, "red")
    again = gesso.run("sample", home=home, like=drawn.paths[1], out=tmp_path / "again.png")
    assert np.array_equal(pixels(again.paths[0]), pixels(drawn.paths[1]))
    asked = gesso.load(run, home=home).sample(1, 5, text="a small red rose")
    assert (asked.knobs.guidance, gesso.load(run, home=home).sample(1, 5).knobs.guidance) == (2.0, 1.0)
    usual = gesso.run("sample", home=home, run=run, text=("a small red rose",), count=1, seed=5, out=tmp_path / "usual")
    assert np.array_equal(pixels(usual.paths[0]), asked.images[0])
    (tmp_path / "empty.txt").write_text("\n")
    for wrong, said in (
        ({"prompts": tmp_path / "empty.txt"}, "holds no text"),
        ({"prompts": tmp_path / "nowhere.txt"}, "cannot be read"),
        ({"negative": "zebra"}, "never say 'zebra'"),
        ({"guidance": 1.0}, "needs guidance above 1"),
    ):
        with pytest.raises(GessoError, match=said):
            gesso.run("sample", out=tmp_path / "none", **{**led, **wrong})


def test_guidance_of_a_family_without_it(home, tmp_path):
    done = gesso.run("train", home=home, dataset="plain", set=(*TINY, "width=8"), **SHORT)
    with pytest.raises(GessoError, match="gan has no guidance"):
        gesso.run("sample", home=home, run=str(done.facts["number"]), guidance=2.0, out=tmp_path)


def test_a_model_without_text_says_so(home, tmp_path):
    done = gesso.run("train", home=home, dataset="plain", set=(*TINY, "width=8"), **SHORT)
    with pytest.raises(GessoError, match="does not draw from text"):
        gesso.run("sample", home=home, run=str(done.facts["number"]), text=("red",), out=tmp_path)


def test_a_second_data_set_that_changed_stops_a_run(home):
    gesso.run("import", home=home, source="blossoms", name="behind", size="16", count=20, replace=True)
    done = gesso.run("train", home=home, dataset="plain", family="cut", source="behind", set=TINY, **SHORT)
    assert Run.open(home, done.facts["number"]).record["source"]["name"] == "behind"
    gesso.run("import", home=home, source="blossoms", name="behind", size="16", count=21, replace=True)
    with pytest.raises(GessoError, match="'behind' has changed"):
        gesso.run("train", home=home, resume=str(done.facts["number"]), threads=1)


@pytest.mark.parametrize("name", list(tasks.families()))
def test_a_page_about_every_family(name, home):
    page = gesso.run("families", home=home, name=name, time=False)
    family = tasks.family(name)
    for words in (family.name, family.paper, *filter(None, family.presets)):
        assert words in page.text
    for options in (family.Config, family.Knobs):
        for field in options.model_fields.values():
            assert field.description in page.text


def test_the_list_of_families_and_what_one_costs(home):
    page = gesso.run("families", home=home)
    assert [line.split()[0] for line in page.text.splitlines()[1 : 1 + len(tasks.FAMILIES)]] == list(tasks.FAMILIES)
    with pytest.raises(GessoError, match="no family 'stylgan'") as caught:
        gesso.run("families", home=home, name="stylgan")
    assert "stylegan" in str(caught.value)


def test_slugs():
    assert slug("A small, RED rose!") == "a-small-red-rose"
    assert slug("one two three four", 12) == "one-two"
    assert slug("x" * 50, 12) == "x" * 12
    assert slug("дом · 家") == "дом-家"


def test_what_a_translator_is_given_to_be_measured(home):
    done = gesso.run("train", home=home, dataset="edges", family="pix2pix", hold_out=0.25, set=TINY, **SHORT)
    model = gesso.load(done.facts["number"], home=home)
    pack = open_pack("edges", home)
    _, held = pack.split(0.25)
    given = tasks.sources(model, 30, home)
    assert np.array_equal(given[:6], pack.sources[held])
    assert np.array_equal(given[24:], given[:6])
    found = gesso.run("measure", home=home, run=str(done.facts["number"]), count=24, by="random")
    assert found.facts
    with pytest.raises(GessoError, match="translates pictures"):
        gesso.run("explain", home=home, run=str(done.facts["number"]))
    with pytest.raises(GessoError, match="gesso translate"):
        gesso.run("sample", home=home, run=str(done.facts["number"]))
