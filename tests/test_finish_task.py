"""`gesso finish`, and the drafts of generators that `gesso sample` finishes: files in, files out, sentences."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gesso
from gesso import tasks
from gesso.contract.finishing import FinishChoices
from gesso.contract.task import Message, Preview, Progress
from gesso.data import open_pack
from gesso.errors import GessoError
from gesso.finish import Collection
from gesso.marks.credentials import same
from gesso.marks.recipe import Part, Recipe, Taken, Work, read_parameters, read_recipe, read_source
from gesso.marks.work import TRAINED, write_work
from gesso.store import Run
from gesso.tasks.finish import _size
from tests.test_finish import LAYOUT, WORDS, blobs, film, images, make_pack, withdraw
from tests.test_sample import toy


def save(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


def sketch(height=12, width=12, seed=99, channels=3):
    if channels == 4:
        return images(1, 4, height, width, seed)[0]
    return (blobs(height, width, seed) * 255).astype(np.uint8)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def place(tmp_path):
    """A home with two collections, and drafts."""
    make_pack(tmp_path / "home", images(12), WORDS * 3)
    make_pack(tmp_path / "home", images(8, 4), name="clear")
    save(tmp_path / "a.png", sketch())
    save(tmp_path / "b.png", sketch(seed=98))
    return tmp_path


def finish(place, *drafts, data="things", on_event=None, **options):
    given = {"data": data} if data else {}
    named = tuple(place / draft for draft in drafts or ("a.png",))
    return gesso.run("finish", home=place / "home", draft=named, on_event=on_event, **given, **options)


def test_a_finished_picture_says_what_it_is_and_what_is_from_where(place):
    before = (place / "a.png").read_bytes()
    result = finish(place, seed=4, faithful=0.6, most_share=0.4)
    assert result.paths == (place / "a-finished.png",)
    assert pixels(result.paths[0]).shape == (24, 24, 3)
    assert (place / "a.png").read_bytes() == before
    recipe = read_recipe(result.paths[0])
    assert isinstance(recipe, Work)
    assert (recipe.task, recipe.seed, recipe.width, recipe.height) == ("finish", 4, 24, 24)
    assert set(recipe.inputs) == {"a.png", "data set things"}
    pack = open_pack("things", place / "home")
    taken = recipe.taken
    assert isinstance(taken, Taken)
    assert (taken.data, taken.fingerprint) == ("things", pack.fingerprint)
    shares = [part.share for part in taken.parts]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == taken.share <= 0.4
    assert sum(shares) <= 1.001
    assert 0 < taken.piece <= 0.35
    assert {part.source for part in taken.parts} <= {item["source"] for item in pack.items}
    assert taken.options == FinishChoices(faithful=0.6, most_share=0.4).model_dump()
    (facts,) = result.facts["pictures"]
    assert [part["source"] for part in facts["sources"]][: len(shares)] == [part.source for part in taken.parts]
    assert not facts["over"]
    assert f"At most {taken.share:.0%} of what is drawn is from one picture ({taken.parts[0].source})" in result.text
    json.dumps(result.facts)
    assert "Task: finish" in (read_parameters(result.paths[0]) or "")
    assert read_source(result.paths[0]) == "composite"


def test_a_draft_of_a_generator_stays_one(place):
    write_work(place / "g.png", sketch(), "style", {}, {}, seed=0, source="trainedAlgorithmicMedia")
    made = finish(place, "g.png", map=True).paths[0]
    assert read_source(made) == "compositeWithTrainedAlgorithmicMedia"


@pytest.mark.parametrize(
    ("draft", "size", "shape"),
    [((12, 12), "", (24, 24)), ((12, 18), "", (24, 36)), ((18, 12), "32", (48, 32)), ((12, 18), "36x24", (24, 36)),
     ((12, 18), "37×24", (24, 37)), ((40, 40), "20", (20, 20)), ((1, 1), "", (24, 24))],
)  # fmt: skip
def test_sizes(draft, size, shape, place):
    save(place / "d.png", sketch(*draft))
    said = []
    made = finish(place, "d.png", size=size, on_event=said.append)
    assert pixels(made.paths[0]).shape == (*shape, 3)
    notes = [event.text for event in said if isinstance(event, Message)]
    assert any("larger than the collection's 24×24" in note for note in notes) == (size == "32")
    assert any("times larger" in note for note in notes) == (draft == (1, 1))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_kinds_of_files(suffix, place):
    result = finish(place, out=place / f"out.{suffix}", recipe=suffix != "avif")
    assert result.paths == (place / f"out.{suffix}",)
    assert (read_recipe(result.paths[0]) is None) == (suffix == "avif")
    assert read_source(result.paths[0]) == "composite"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("data", ["things", "clear"])
def test_drafts_of_other_modes(mode, data, place):
    if mode == "I;16":
        Image.fromarray(sketch()[..., 0].astype(np.uint16) * 257).save(place / "d.png")
    else:
        Image.fromarray(sketch(channels=4)).convert(mode).save(place / "d.png")
    made = pixels(finish(place, "d.png", data=data).paths[0])
    assert made.shape == (24, 24, 4 if data == "clear" else 3)


def test_candidates_count_on_their_seeds(place):
    result = finish(place, count=3, seed=5, out=place / "many")
    assert [path.name for path in result.paths] == [f"a-finished-{seed}.png" for seed in (5, 6, 7)]
    assert {path.parent for path in result.paths} == {place / "many"}
    assert [read_recipe(path).seed for path in result.paths] == [5, 6, 7]
    assert len({pixels(path).tobytes() for path in result.paths}) == 3
    one = finish(place, seed=6, out=place / "one.png").paths[0]
    assert same(one.read_bytes(), result.paths[1].read_bytes())
    assert "3 finished pictures" in result.text


def test_a_folder_of_drafts_in_the_order_of_their_names(place):
    folder = place / "drafts"
    folder.mkdir()
    for number in (10, 2, 1):
        save(folder / f"d{number}.png", sketch(seed=number))
    (folder / "notes.txt").write_text("no picture")
    said = []
    result = finish(place, "drafts", "b.png", out=place / "out", on_event=said.append)
    names = ["d1-finished.png", "d2-finished.png", "d10-finished.png", "b-finished.png"]
    assert [path.name for path in result.paths] == names
    assert [event.done for event in said if isinstance(event, Progress) and event.unit == "pictures"] == [1, 2, 3, 4]
    previews = [event for event in said if isinstance(event, Preview)]
    assert len(previews) == 4
    alone = finish(place, "drafts/d2.png", out=place / "alone.png").paths[0]
    assert same(alone.read_bytes(), result.paths[1].read_bytes()), "company changes nothing"


def test_the_index_is_made_once(place):
    told = []
    for _ in range(2):
        said = []
        finish(place, on_event=said.append)
        told.append(any("Making the index of 'things'" in e.text for e in said if isinstance(e, Message)))
    assert told == [True, False]


def test_the_map_shows_what_is_from_where(place):
    result = finish(place, data="clear", map=True, out=place / "x.webp")
    assert result.paths == (place / "x.webp", place / "x-sources.png")
    shows, made = pixels(result.paths[1]), pixels(result.paths[0])
    assert shows.shape == (24, 24, 3)
    assert (shows[made[..., 3] == 0] == 255).all()
    assert (shows[made[..., 3] > 200] != 255).any(1).all()
    assert read_source(result.paths[1]) == "composite"
    many = finish(place, map=True, count=2).paths
    assert [path.name for path in many][1::2] == ["a-finished-0-sources.png", "a-finished-1-sources.png"]


def test_originality_is_compared(place):
    save(place / "copy.png", images(12)[4])
    (facts,) = finish(place, "copy.png", originality=True, most_share=1, most_piece=1).facts["pictures"]
    assert facts["copy"]
    assert facts["likeness"] > 0.9
    recipe = read_recipe(place / "copy-finished.png")
    assert recipe.original.nearest == "004.png"
    (facts,) = finish(place, originality=True).facts["pictures"]
    assert not facts["copy"]


def test_what_is_more_than_wished_is_said(place):
    make_pack(place / "home", images(1), name="one")
    result = finish(place, data="one")
    assert result.facts["pictures"][0]["over"]
    assert "That is more than 50%: the collection has too few other pictures" in result.text
    assert read_recipe(result.paths[0]).taken.parts == (Part(source="000.png", share=1.0),)


# The same picture again


@pytest.mark.parametrize(
    "choices",
    [{}, {"seed": 3, "faithful": 0.2, "turns": "all", "pictures": 5, "patch": 3, "complete": 0.4, "even": 0.3},
     {"size": "30", "most_share": 1, "most_piece": 1}],
)  # fmt: skip
def test_like_gives_the_same_bytes(choices, place):
    first = finish(place, **choices).paths[0]
    again = finish(place, data="", like=first, out=place / "again.png", threads=1).paths[0]
    assert same(again.read_bytes(), first.read_bytes())
    third = finish(place, like=first, out=place / "third.png").paths[0]
    assert same(third.read_bytes(), first.read_bytes())


def test_like_of_one_of_several_candidates(place):
    paths = finish(place, count=2, map=True, originality=True).paths
    again = finish(place, data="", like=paths[2], out=place / "again.png").paths
    assert len(again) == 1
    np.testing.assert_array_equal(pixels(again[0]), pixels(paths[2]))
    assert read_recipe(again[0]).taken == read_recipe(paths[2]).taken


def test_like_of_a_collage(place):
    save(place / "layout.png", LAYOUT)
    regions = {"region": ("#d03030=leaf", "#3060d0=stone"), "size": "48"}
    first = finish(place, "layout.png", **regions).paths[0]
    again = finish(place, "layout.png", data="", like=first, out=place / "again.png").paths[0]
    assert same(again.read_bytes(), first.read_bytes())
    assert read_recipe(first).options["region"] == ["#d03030=leaf", "#3060d0=stone"]
    other = finish(place, "layout.png", size="48", out=place / "other.png").paths[0]
    assert (pixels(other) != pixels(first)).any()


def test_like_takes_everything_from_the_picture(place):
    made = finish(place).paths[0]
    for name, value in [("seed", 3), ("size", "32"), ("faithful", 0.1), ("count", 2), ("turns", "all")]:
        with pytest.raises(GessoError, match=f"--like takes everything from the picture, --{name} too"):
            finish(place, data="", like=made, **{name: value})
    with pytest.raises(GessoError, match="was not made of this draft"):
        finish(place, "b.png", data="", like=made)
    plain = finish(place, recipe=False, out=place / "plain.png").paths[0]
    styled = write_work(place / "s.png", sketch(), "style", {}, {}, seed=0)
    for path in (plain, styled):
        with pytest.raises(GessoError, match="was not made by `gesso finish`"):
            finish(place, data="", like=path)
    with pytest.raises(GessoError, match=r"There is no file .*none\.png"):
        finish(place, data="", like=place / "none.png")
    with pytest.raises(GessoError, match="drawn by no model, but made by `gesso finish`"):
        gesso.run("sample", home=place / "home", like=made)


def test_like_when_the_data_set_changed(place):
    made = finish(place).paths[0]
    with pytest.raises(GessoError, match=r"'clear' is not the one that .* was drawn with, or has changed"):
        finish(place, data="clear", like=made)
    folder = place / "home" / "datasets" / "things"
    folder.rename(place / "away")
    with pytest.raises(GessoError, match="no data set 'things'"):
        finish(place, data="", like=made)
    make_pack(place / "home", images(12, seed=3))
    with pytest.raises(GessoError, match="has changed since"):
        finish(place, data="", like=made)


def test_like_of_what_is_partly_withdrawn(place):
    made = finish(place).paths[0]
    pack = open_pack("things", place / "home")
    used = [part.source for part in read_recipe(made).taken.parts]
    number = next(n for n, item in enumerate(pack.items) if item["source"] == used[1])
    withdraw(pack, number)
    with pytest.raises(GessoError, match=f"{used[1]}, which .*a-finished.png is partly from, was withdrawn"):
        finish(place, data="", like=made)
    anew = finish(place, out=place / "anew.png")
    assert used[1] not in {part["source"] for part in anew.facts["pictures"][0]["sources"]}
    withdraw(pack, *range(12))
    with pytest.raises(GessoError, match="Every picture of 'things' was withdrawn"):
        finish(place)


# Films


@pytest.fixture
def frames(place):
    folder = place / "film"
    folder.mkdir()
    for number, frame in zip((1, 2, 10), film(3), strict=True):
        save(folder / f"f{number}.png", (frame * 255).astype(np.uint8))
    return folder


@pytest.mark.parametrize("loop", [False, True])
def test_frames_of_a_film(loop, frames, place):
    said = []
    result = finish(place, frames, film=True, loop=loop, size="24", out=place / "out", on_event=said.append, map=True)
    names = ["f1-finished.png", "f2-finished.png", "f10-finished.png"]
    assert [path.name for path in result.paths[::2]] == names
    assert all(path.stem.endswith("-sources") for path in result.paths[1::2])
    assert [event.done for event in said if isinstance(event, Progress) and event.unit == "frames"] == [1, 2, 3]
    assert result.text.startswith("3 frames.")
    recipe = read_recipe(result.paths[2])
    assert (recipe.options["film"], recipe.options["loop"]) == (True, loop)
    assert all(fact["share"] <= 0.5 for fact in result.facts["pictures"])


def test_a_film_again_from_the_recipe_of_a_frame(frames, place):
    first = finish(place, frames, film=True, out=place / "out").paths
    again = finish(place, frames, data="", like=first[1], out=place / "again").paths
    assert all(same(a.read_bytes(), b.read_bytes()) for a, b in zip(again, first, strict=True))


def test_frames_of_another_shape(frames, place):
    save(frames / "f3.png", sketch(12, 20))
    with pytest.raises(GessoError, match=r"f3\.png has another shape than f1\.png"):
        finish(place, frames, film=True)


# Words for what does not fit

SAID = [
    ({"drafts": ["none.png"]}, r"There is no file .*none\.png"),
    ({"drafts": ["empty"]}, "There is no picture in .*empty"),
    ({"drafts": ["text.png"]}, "cannot be read"),
    ({"drafts": ["a.png", "sub/a.jpg"], "out": "folder"}, "Two of the drafts have the same name"),
    ({"drafts": ["a.png", "a.jpg"]}, "Two of the drafts have the same name"),
    ({"drafts": ["a.png", "b.png"], "out": "one.png"}, r"Several pictures do not fit into the one file .*one\.png"),
    ({"count": 2, "out": "one.webp"}, "Several pictures do not fit"),
    ({"out": "notes"}, "notes is a file, not a folder"),
    ({"out": "x.doc"}, r"x\.doc names no kind of picture"),
    ({"out": "a.png"}, "is a picture that this is made from"),
    ({"data": "thing"}, "There is no data set 'thing'"),
    ({"data": ""}, "Name the data set to draw with"),
    ({"size": "wide"}, "--size wide is no size"),
    ({"size": "24x"}, "--size 24x is no size"),
    ({"size": "2x3x4"}, "is no size"),
    ({"size": "15"}, "a side has 16 to 4,096 pixels"),
    ({"size": "0x0"}, "a side has 16 to 4,096 pixels"),
    ({"size": "4097"}, "a side has 16 to 4,096 pixels"),
    ({"size": "48x24"}, "The draft is 12×12, of another shape than --size 48x24"),
    ({"size": "4096"}, r"A finished picture of 4096×4096 needs about .* of memory; .* are free"),
    ({"patch": 15}, "too small for patches of 15 pixels"),
    ({"patch": 2}, "patch = 2 does not fit"),
    ({"pictures": 1}, "pictures = 1 does not fit"),
    ({"most_share": 0.0}, "most_share = 0.0 does not fit"),
    ({"loop": True}, "--loop is for a --film"),
    ({"film": True, "count": 2}, "A film is finished once"),
    ({"film": True, "region": ("red=leaf",)}, "A film is finished once"),
    ({"region": ("red",)}, "--region red is not of the form colour=word"),
    ({"region": ("nored=leaf",)}, "--region nored=leaf is not of the form"),
    ({"region": ("red=leaf",)}, "No part of the draft has the colour #ff0000"),
    ({"region": ("#204060=moon",), "drafts": ["flat.png"]}, "No picture of 'things' has 'moon'"),
    ({"turns": "some"}, "turns = 'some' does not fit"),
]


@pytest.mark.parametrize(("wrong", "said"), SAID)
def test_what_does_not_fit_is_said(wrong, said, place, monkeypatch):
    for folder in ("empty", "sub"):
        (place / folder).mkdir()
    for name in ("a.jpg", "sub/a.jpg"):
        save(place / name, sketch())
    save(place / "flat.png", np.full((12, 12, 3), (0x20, 0x40, 0x60), np.uint8))
    (place / "notes").write_text("no folder")
    (place / "text.png").write_text("no picture")
    monkeypatch.setattr("gesso.memory.free", lambda: 1 << 28)
    wrong = {"drafts": ["a.png"], **wrong}
    if "out" in wrong:
        wrong["out"] = place / wrong["out"]
    before = sorted(path.name for path in place.rglob("*.png"))
    with pytest.raises(GessoError, match=said):
        finish(place, *wrong.pop("drafts"), **wrong)
    assert sorted(path.name for path in place.rglob("*.png")) == before, "nothing is written"


def test_no_draft_is_named(place):
    with pytest.raises(GessoError, match="Name a draft"):
        gesso.run("finish", home=place / "home", data="things")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A collection of wide pictures, as far as its size is asked for."""
    pack = make_pack(tmp_path_factory.mktemp("home"), images(2, 1, 24, 36))
    return Collection(pack, None, np.ones(2, bool))


@given(
    first=st.integers(1, 5000), second=st.integers(1, 5000), high=st.integers(1, 300), wide_as=st.integers(1, 300)
)  # fmt: skip
def test_sizes_that_are_read(first, second, high, wide_as, wide):
    for text in (f"{first}", f"{first}x{second}", f" {first} X {second} ", f"{first}×{second}"):
        try:
            height, width = _size(text, high, wide_as, wide)
        except GessoError:
            continue
        assert 16 <= height <= 4096
        assert 16 <= width <= 4096
        if text == f"{first}":
            assert min(height, width) == first
            assert height / width == pytest.approx(high / wide_as, rel=0.6 / min(height, width) + 1e-9)
        else:
            assert (width, height) == (first, second)
            assert 1 / 1.1 - 1e-9 <= height / width * wide_as / high <= 1.1 + 1e-9


@given(text=st.text("0123456789x×X-+. e", max_size=8))
def test_any_words_are_a_size_or_a_sentence(wide, text):
    try:
        found = _size(text, 20, 30, wide)
    except GessoError:
        with pytest.raises(GessoError, match=r"is no size|a side has|of another shape"):
            _size(text, 20, 30, wide)
    else:
        assert all(16 <= side <= 4096 for side in found)


# Drafts of a generator


def run_on(home: Path, name: str, channels: int, held_out: float = 0.0) -> Run:
    """A run that draws 16×16, as training on that data set leaves it."""
    family = toy((), channels)
    pack = open_pack(name, home)
    record = {
        "config": family.config.model_dump(mode="json"), "facts": family.facts.model_dump(mode="json"),
        "data": {"name": pack.name, "fingerprint": pack.fingerprint, "held_out": held_out},
    }  # fmt: skip
    run = Run.create(home, name, "toy", record)
    run.save_state(10, {"a": torch.zeros(1)}, {}, dict(family.state_dict()), {})
    return run


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.FAMILIES, "toy", "tests.test_sample:Toy")
    make_pack(tmp_path, images(10, 3, 32, 32))
    run_on(tmp_path, "things", 3)
    return tmp_path


def sample(home, **options):
    said = []
    return gesso.run("sample", home=home, on_event=said.append, **options), said


def test_drafts_are_finished_at_the_data_sets_size(home, tmp_path):
    result, said = sample(home, run="1", count=2, seed=7, out=tmp_path / "out")
    assert [pixels(path).shape for path in result.paths] == [(32, 32, 3)] * 2
    assert result.facts["finished"] == (32, 32)
    assert 0 < result.facts["largest_share"] <= 0.5
    assert any("Finishing at 32×32 with patches of 'things'" in e.text for e in said if isinstance(e, Message))
    assert "Finished with patches of 'things'" in result.text
    recipe = read_recipe(result.paths[0])
    assert isinstance(recipe, Recipe)
    assert (recipe.width, recipe.height, recipe.seed) == (32, 32, 7)
    assert recipe.taken.data == "things"
    assert recipe.taken.options == FinishChoices().model_dump()
    assert max(read_recipe(path).taken.share for path in result.paths) == result.facts["largest_share"]
    assert read_source(result.paths[0]) in TRAINED
    alone, _ = sample(home, run="1", count=1, seed=8, out=tmp_path / "alone.png")
    assert same(alone.paths[0].read_bytes(), result.paths[1].read_bytes())


def test_finishing_is_left_out_or_at_another_size(home, tmp_path):
    rough, said = sample(home, run="1", count=1, seed=7, finish=False, out=tmp_path / "rough.png")
    assert pixels(rough.paths[0]).shape == (16, 16, 3)
    assert "finished" not in rough.facts
    assert read_recipe(rough.paths[0]).taken is None
    assert not [e for e in said if isinstance(e, Message)]
    large, _ = sample(home, run="1", count=1, seed=7, size=48, turns="mirror", out=tmp_path / "large.png")
    assert pixels(large.paths[0]).shape == (48, 48, 3)
    assert read_recipe(large.paths[0]).taken.options["turns"] == "mirror"
    with pytest.raises(GessoError, match="--size is that of finished pictures"):
        sample(home, run="1", count=1, finish=False, size=48)
    with pytest.raises(GessoError, match="size = 15 does not fit"):
        sample(home, run="1", count=1, size=15)
    with pytest.raises(GessoError, match="too small for patches of 15"):
        sample(home, run="1", count=1, patch=15, size=24, out=tmp_path / "never")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("choices", [{}, {"size": 40, "faithful": 0.9, "pictures": 4, "turns": "all"}])
def test_a_finished_draft_is_drawn_again(choices, home, tmp_path):
    first, _ = sample(home, run="1", count=1, seed=3, out=tmp_path / "first.png", **choices)
    again, said = sample(home, like=first.paths[0], out=tmp_path / "again.png")
    assert same(again.paths[0].read_bytes(), first.paths[0].read_bytes())
    assert not [e for e in said if isinstance(e, Message) and e.level == "warning"]
    for name, value in [("size", 48), ("faithful", 0.4), ("turns", "mirror")]:
        with pytest.raises(GessoError, match=f"--like takes everything from the picture, --{name} too"):
            sample(home, like=first.paths[0], **{name: value})


def test_a_rough_draft_is_drawn_again_rough(home, tmp_path):
    first, _ = sample(home, run="1", count=1, seed=3, finish=False, out=tmp_path / "first.png")
    again, _ = sample(home, like=first.paths[0], out=tmp_path / "again.png")
    assert same(again.paths[0].read_bytes(), first.paths[0].read_bytes())


def test_a_run_of_the_data_sets_own_size_draws_as_before(tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.FAMILIES, "toy", "tests.test_sample:Toy")
    make_pack(tmp_path, images(10, 4, 16, 16))
    run_on(tmp_path, "things", 4)
    result, said = sample(tmp_path, run="1", count=1, seed=3, out=tmp_path / "plain.png")
    assert pixels(result.paths[0]).shape == (16, 16, 4)
    assert "finished" not in result.facts
    assert not [e for e in said if isinstance(e, Message)]
    large, _ = sample(tmp_path, run="1", count=1, seed=3, size=32, out=tmp_path / "large.png")
    assert pixels(large.paths[0]).shape == (32, 32, 4)


def test_a_data_set_that_is_gone_leaves_drafts_rough(home, tmp_path):
    finished, _ = sample(home, run="1", count=1, seed=3, out=tmp_path / "finished.png")
    (home / "datasets" / "things").rename(home / "away")
    result, said = sample(home, run="1", count=1, seed=3, out=tmp_path / "rough.png")
    assert pixels(result.paths[0]).shape == (16, 16, 3)
    warnings = [e.text for e in said if isinstance(e, Message) and e.level == "warning"]
    assert any("The drafts are not finished: There is no data set 'things'" in text for text in warnings)
    with pytest.raises(GessoError, match="no data set 'things'"):
        sample(home, run="1", count=1, size=48)
    with pytest.raises(GessoError, match="no data set 'things'"):
        sample(home, like=finished.paths[0])
    make_pack(home, images(10, 3, 32, 32, seed=4))
    _, said = sample(home, run="1", count=1, seed=3, out=tmp_path / "rough2.png")
    assert any(
        "has changed since run 0001-things-toy learned from it" in e.text for e in said if isinstance(e, Message)
    )


def test_withdrawn_pictures_are_not_drawn_with(home, tmp_path):
    first, _ = sample(home, run="1", count=1, seed=3, out=tmp_path / "first.png")
    pack = open_pack("things", home)
    used = [part.source for part in read_recipe(first.paths[0]).taken.parts]
    withdraw(pack, next(n for n, item in enumerate(pack.items) if item["source"] == used[0]))
    again, _ = sample(home, run="1", count=2, seed=3, out=tmp_path / "again")
    for path in again.paths:
        assert used[0] not in {part.source for part in read_recipe(path).taken.parts}
    with pytest.raises(GessoError, match=f"{used[0]}, which .*first.png is partly from, was withdrawn"):
        sample(home, like=first.paths[0])
    withdraw(pack, *range(10))
    with pytest.raises(GessoError, match="Every picture of 'things' was withdrawn"):
        sample(home, run="1", count=1)
    rough, _ = sample(home, run="1", count=1, finish=False, out=tmp_path / "rough.png")
    assert pixels(rough.paths[0]).shape == (16, 16, 3)


def test_held_out_pictures_are_not_drawn_with(home, tmp_path):
    run_on(home, "things", 3, held_out=0.5)
    _, held = open_pack("things", home).split(0.5)
    assert len(held) == 5
    result, _ = sample(home, run="2", count=3, seed=0, out=tmp_path / "out")
    for path in result.paths:
        assert not {part.source for part in read_recipe(path).taken.parts} & {f"{number:03d}.png" for number in held}


def test_finished_pictures_are_compared_and_shown_together(home, tmp_path):
    result, _ = sample(home, run="1", count=2, seed=0, originality=True, grid=True, out=tmp_path / "out")
    grid, *singles = result.paths
    assert pixels(grid).shape[0] >= 32
    assert result.facts["copies"] == 0
    recipe = read_recipe(singles[0])
    assert recipe.original is not None
    again, _ = sample(home, like=singles[0], out=tmp_path / "again.png")
    assert same(again.paths[0].read_bytes(), singles[0].read_bytes())


def test_a_trained_run_is_finished(tmp_path):
    home = tmp_path / "home"
    gesso.run("import", home=home, source="blossoms", name="flowers", size="32", count=20)
    small = ["width=4", "critic_width=4", "batch=8"]
    gesso.run(
        "train", home=home, dataset="flowers", size="16", set=small, images="16", precision="float32", threads=1,
        watch=False,
    )  # fmt: skip
    result, _ = sample(home, run="flowers", count=1, seed=1, out=tmp_path / "one.png")
    assert pixels(result.paths[0]).shape[:2] == (32, 32)
    again, _ = sample(home, like=result.paths[0], out=tmp_path / "two.png")
    assert same(again.paths[0].read_bytes(), result.paths[0].read_bytes())
