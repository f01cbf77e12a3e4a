"""`gesso measure` and `gesso compare`: figures, what is written, what is refused; curves."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from gesso import tasks
from gesso.contract.task import Message, Preview
from gesso.errors import GessoError
from gesso.measure.distances import figures
from gesso.measure.features import extractor, features_of
from gesso.measure.plot import curves, draw_curves
from gesso.measure.report import BETTER, NAMES, Set, comparable, report, table, within
from gesso.primer.distance import Distance
from gesso.store import Run
from tests.conftest import paint

SMALL = ["width=4", "critic_width=4", "batch=8"]
QUICK = {"count": 40, "processes": 1}


@pytest.fixture(scope="module")
def unlike():
    return Distance(look="quick").eval()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two runs of one data set, one of them class-conditional, and one of another."""
    home = tmp_path_factory.mktemp("home")
    tasks.run("import", home=home, source="blossoms", name="flowers", size="32", count=120)
    tasks.run("import", home=home, source="blossoms", name="others", size="32", count=50, seed=5)
    options = {"precision": "float32", "threads": 1, "size": "32"}
    tasks.run("train", home=home, dataset="flowers", images="100", set=SMALL, preview_every=0.01, **options)
    tasks.run("train", home=home, dataset="flowers", images="60", family="vae", set=["width=4"], **options)
    tasks.run("train", home=home, dataset="others", images="60", set=SMALL, **options)
    return home


def noise(n, size=32, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def test_every_figure_has_a_name_and_a_direction():
    assert set(NAMES) == set(BETTER)


def test_a_report_has_what_the_functions_give(unlike):
    see = extractor("random")
    real, made = noise(120), noise(150, seed=1) // 2
    found = report(Set(real), Set(made), see, unlike)
    told = figures(features_of(see, real), features_of(see, made))
    for name in ("frechet", "precision", "recall", "density", "coverage"):
        assert found[name]["value"] == getattr(told, name)
    assert (found["kid"]["value"], found["kid"]["low"]) == (told.kid.value, told.kid.low)
    assert len(found["swd"]["levels"]) == 2
    assert found["ms_ssim"]["low"] < found["ms_ssim"]["value"] < found["ms_ssim"]["high"]
    assert "frechet_joint" not in found
    json.dumps(found, allow_nan=False)


def test_labels_give_more_figures(unlike):
    view = paint(60)
    found = report(
        Set(view.images, view.label_ids), Set(view.images, 1 - view.label_ids), extractor("random"), unlike, 2
    )
    right = report(Set(view.images, view.label_ids), Set(view.images, view.label_ids), extractor("random"), unlike, 2)
    assert found["frechet_joint"]["value"] > right["frechet_joint"]["value"] + 1e-6
    assert found["frechet"]["value"] == right["frechet"]["value"]


def test_few_pictures_say_how_many_it_takes(unlike):
    found = report(Set(noise(9)), Set(noise(8, seed=2)), extractor("random"), unlike)
    assert found["frechet_infinity"] == {"value": None, "why": "It takes at least 100 pictures."}
    assert found["kid"]["why"] == "It takes at least 20 pictures."
    assert found["precision"]["value"] is not None
    found = report(Set(noise(4)), Set(noise(3, seed=2)), extractor("random"), unlike)
    assert found["precision"]["why"] == "It takes at least 6 pictures."
    assert "4 pictures" in found["ms_ssim"]["why"]
    assert "too few" in table([as_file(found)], NAMES)


def test_small_pictures_have_no_scales(unlike):
    found = within(Set(noise(10, size=16)), unlike)
    assert found["ms_ssim"]["why"] == "Pictures below 32 pixels have no scales to compare."
    assert found["diversity"]["value"] > 0


@pytest.mark.parametrize(
    ("real", "made", "said"),
    [
        (noise(9), noise(9, size=16), "The real pictures are of 32×32 pixels, RGB, the made ones of 16×16"),
        (noise(9), noise(9, channels=1), "RGB, the made ones of 32×32 pixels, grey"),
        (noise(9), noise(1), "at least two pictures; there are 1 made"),
        (noise(9), np.zeros((9, 32, 32, 3), np.uint8), "All made pictures are the same one"),
        (np.full((9, 32, 32, 3), 7, np.uint8), noise(9), "All real pictures are the same one"),
    ],
)
def test_what_a_report_refuses(real, made, said, unlike):
    with pytest.raises(GessoError, match=said):
        report(Set(real), Set(made), extractor("random"), unlike)


def as_file(found, run="0001-a-gan", **more):
    facts = {"run": run, "data": "ab", "size": "32×32", "extractor": "random:00", "count": 9, "learned": 9, "real": {}}
    return {**facts, "figures": found, **more}


def test_the_best_of_a_row_has_a_star():
    one = as_file({"frechet": {"value": 3.0}, "recall": {"value": 0.2}, "diversity": {"value": 1.0}})
    two = as_file({"frechet": {"value": 5.0}, "recall": {"value": 0.4}, "diversity": {"value": 3.0}}, "0002-a-gan")
    for each in (one, two):
        each["real"] = {"diversity": {"value": 1.5}}
    lines = table([one, two], NAMES).splitlines()
    assert re.search(r"Fréchet distance +3 \* +5$", lines[1])
    assert re.search(r"recall +0.2 +0.4 \*$", lines[2])
    assert re.search(r"diversity .* 1 \* +3$", lines[3])


def test_what_cannot_stand_beside_each_other():
    one = as_file({})
    assert comparable(one, as_file({})) == ""
    assert "features of random:00, the other by the features of own:11" in comparable(
        one, as_file({}, extractor="own:11")
    )
    assert "moves the figures" in comparable(one, as_file({}, count=10))


LOG = [
    {"step": 1, "seen": 100, "critic": 0.3},
    {"step": 2, "seen": 200, "contrast": 0.5, "fd_primer": 9.0, "kinds": 5.0, "kinds_real": 10.0, "copied": 0.0},
    {"step": 3, "seen": 300, "warning": "flat", "text": "…"},
    {"step": 4, "seen": 400, "contrast": 0.9, "fd_primer": 4.0, "kinds": 9.0, "kinds_real": 10.0, "copied": None},
    {"step": 4, "seen": 400, "best": 4.0, "measure": "fd_primer"},
]  # fmt: skip


def test_curves_are_the_looks():
    found = curves(LOG)
    assert found == {"fd": [(200, 9.0), (400, 4.0)], "kinds": [(200, 0.5), (400, 0.9)], "copied": [(200, 0.0)]}


def test_curves_are_drawn(tmp_path):
    paths = draw_curves({"0001-a": curves(LOG), "0002-b": curves(LOG[:2])}, tmp_path / "plot", "Quality")
    assert [path.name for path in paths] == ["plot.png", "plot.svg"]
    with Image.open(paths[0]) as picture:
        assert picture.width > 800
    assert paths[1].read_text().lstrip().startswith("<?xml")
    assert draw_curves({"0001-花": curves(LOG)}, tmp_path / "花", "质量")[0].is_file()  # with or without such a font
    assert draw_curves({"0001-a": {}}, tmp_path / "none") == []
    assert not (tmp_path / "none.png").exists()


def test_measure_writes_figures_curves_and_card(home):
    said = []
    result = tasks.run("measure", home=home, run="1", on_event=said.append, **QUICK)
    root = Run.open(home, 1).root
    kept = json.loads((root / "measures.json").read_text())
    assert kept["figures"] == result.facts["figures"]
    assert kept["count"] == 40
    assert kept["extractor"].startswith("primer:")
    assert {path.name for path in result.paths} == {"measures.json", "measures.png", "measures.svg"}
    assert any(isinstance(event, Preview) for event in said)
    assert "Fréchet distance" in result.text
    card = (root / "README.md").read_text()
    assert f"{kept['figures']['frechet']['value']:.3g}" in card
    again = tasks.run("measure", home=home, run="1", **QUICK)
    assert again.facts["figures"] == result.facts["figures"]


def test_measure_by_a_network_of_the_pictures_own(home, monkeypatch):
    from gesso.measure import own

    monkeypatch.setattr(own, "STEPS", 12)
    monkeypatch.setattr(own, "PATCHES", 3000)
    result = tasks.run("measure", home=home, run="1", by="own", **QUICK)
    assert result.facts["extractor"].startswith("own:")


def test_measure_a_folder(home, tmp_path):
    learned = tasks.learned(Run.open(home, 2), home).images
    for i in range(30):
        Image.fromarray(learned[i]).save(tmp_path / f"{i}.png")
    result = tasks.run("measure", home=home, run="2", images=tmp_path)
    assert result.facts["figures"]["precision"]["value"] == 1
    assert not (Run.open(home, 2).root / "measures.json").exists()  # they are not the run's
    Image.fromarray(learned[0]).resize((64, 64)).save(tmp_path / "large.png")
    with pytest.raises(GessoError, match=r"1 pictures in .* are not of 32×32"):
        tasks.run("measure", home=home, run="2", images=tmp_path)


def test_compare_measures_what_is_missing(home, tmp_path):
    said = []
    result = tasks.run("compare", home=home, runs=["1", "2"], count=30, out=tmp_path, on_event=said.append)
    words = [event.text for event in said if isinstance(event, Message)]
    assert sum(word.startswith("Measuring ") for word in words) == 2  # the first run's figures were of other pictures
    assert [one["run"] for one in result.facts["reports"]] == ["0001-flowers-gan", "0002-flowers-vae"]
    assert "0002-flowers-vae" in result.text.splitlines()[0]
    assert all(path.is_file() for path in result.paths)
    again = []
    tasks.run("compare", home=home, runs=["1", "2"], count=30, out=tmp_path, on_event=again.append)
    assert not [event for event in again if isinstance(event, Message) and event.text.startswith("Measuring ")]
    tasks.run("measure", home=home, run="1", count=30, processes=1, set=["truncation=0.5"])
    anew = tasks.run("compare", home=home, runs=["1", "2"], count=30, out=tmp_path)
    assert anew.facts["reports"][0]["figures"] == result.facts["reports"][0]["figures"]  # not the truncated ones


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["1"], "two runs or more"),
        (["1", "0001"], "named twice"),
        (["1", "3"], "learned from 'flowers', run 0003-others-gan from other pictures"),
        (["1", "9"], "There is no run"),
    ],
)
def test_what_compare_refuses(home, runs, said):
    with pytest.raises(GessoError, match=said):
        tasks.run("compare", home=home, runs=runs, count=30)


def test_what_measure_refuses(home, tmp_path):
    with pytest.raises(GessoError, match="No run is named"):
        tasks.run("measure", home=home)
    with pytest.raises(GessoError, match="ships no Inception network"):
        tasks.run("measure", home=home, run="1", by="inception", **QUICK)
    weights = tmp_path / "wrong.pth"
    weights.write_bytes(b"not weights")
    with pytest.raises(GessoError):
        tasks.run("measure", home=home, run="1", by=f"inception:{weights}", **QUICK)


@pytest.mark.parametrize("channels", ["grey", "rgba"])
def test_other_forms_are_measured_too(tmp_path, channels):
    """Grey and transparent pictures, not square, through every task that looks at a run."""
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        blocks = rng.integers(0, 256, (4, 6, 1 if channels == "grey" else 4)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        Image.fromarray(blocks[..., 0] if channels == "grey" else blocks).save(folder / f"{i}.png")
    tasks.run("import", home=tmp_path, source=str(folder), name="blocks", size="48x32", channels=channels)
    tasks.run("train", home=tmp_path, dataset="blocks", images="40", set=SMALL, precision="float32", threads=1)
    measured = tasks.run("measure", home=tmp_path, run="1", count=24, processes=1)
    assert measured.facts["size"] == "48×32"
    assert all(figure["value"] is not None or figure["why"] for figure in measured.facts["figures"].values())
    assert 0 <= tasks.run("originality", home=tmp_path, run="1", count=10).facts["share"] <= 1
    page, *_ = tasks.run("explain", home=tmp_path, run="1", seed=1).paths
    assert page.stat().st_size > 10_000
