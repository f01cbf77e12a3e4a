"""Changing a data set by hand: the whole new state or the old one, and what follows from it."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gesso.data import open_pack
from gesso.data.editing import Changed, Crop, Drop, Set, copy, duplicates_of, edit, palette
from gesso.data.keeping import alone, folder_of
from gesso.data.pack import Pack, chunks, fingerprint
from gesso.errors import GessoError
from gesso.files import new_folder
from gesso.tasks.import_ import Import


def do(home, source, **options):
    list(Import().run(Import.Options.of({"source": str(source), "workers": 1, **options}), Path(home)))


def blotches(seed, size=(24, 24), mode="RGB"):
    """A picture like no other: soft coloured blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, len(mode)), np.uint8)
    bands = [Image.fromarray(coarse[..., i]).resize(size, Image.Resampling.BICUBIC) for i in range(len(mode))]
    return Image.merge(mode, bands) if len(mode) > 1 else bands[0]


def pictures(root, mode="RGB", count=6):
    for i in range(count):
        kind = ("cat 2", "cat 10")[i % 2]
        (root / kind).mkdir(parents=True, exist_ok=True)
        blotches(i, mode=mode).save(root / kind / f"{i}.png")
    return root


@pytest.fixture
def home(tmp_path):
    do(tmp_path, pictures(tmp_path / "in"), name="pets", size=24)
    return tmp_path


@pytest.fixture
def paired(tmp_path):
    do(tmp_path, pictures(tmp_path / "in"), name="pets", size=24, pairs="grey", channels="rgba")
    return tmp_path


def lines(pack, name):
    path = pack.path / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def caches(pack):
    """What others keep beside the pictures, and one file that is no one's business."""
    for name in ("own-0123-0.safetensors", "own-0123-0.json", "near-24x24-6.json", "mine.txt"):
        (pack.path / name).write_text("{}")
    (pack.path / "index").mkdir()
    (pack.path / "index" / "index.json").write_text("{}")


def kept_caches(pack):
    return {path.name for path in pack.path.iterdir()} & {
        "own-0123-0.safetensors", "own-0123-0.json", "near-24x24-6.json", "index"
    }  # fmt: skip


def now(home, name="pets"):
    return open_pack(name, home)


def change(home, *edits, name="pets"):
    return edit(home, name, now(home, name).fingerprint, edits)


# --- words ---


def test_words_change_nothing_but_themselves(home):
    before = now(home)
    caches(before)
    numbers = before.path.stat().st_ino, (before.path / "images.npy").stat().st_ino
    after = change(
        home, Set(pictures=(1, 2), text=" a cat ", licence="CC0\n1.0", creator="me", consent="yes"),
        Set(pictures=(2,), text="", creator="you"),
    )  # fmt: skip
    assert after.fingerprint == before.fingerprint
    after.verify()
    assert after.captions == ["", "a cat", "", "", "", ""]
    assert [item.get("creator") for item in after.items] == [None, "me", "you", None, None, None]
    assert after.items[1]["licence"] == "CC0 1.0"
    assert after.items[1]["edited"] == ["consent", "creator", "licence", "text"]
    assert "edited" not in after.items[0]
    assert "text" not in after.items[2]
    assert kept_caches(after) == {"own-0123-0.safetensors", "own-0123-0.json", "near-24x24-6.json", "index"}
    assert after.path.stat().st_ino != numbers[0]
    assert (after.path / "images.npy").stat().st_ino == numbers[1]
    assert (after.path / "mine.txt").exists()


def test_saying_what_is_said_already_writes_nothing(home):
    before, label = now(home).path.stat().st_ino, now(home).items[0]["label"]
    change(home, Set(pictures=(0,), label=label, text=""), Crop(pictures=(0,), box=(0, 0, 1, 1)))
    assert now(home).path.stat().st_ino == before


def test_labels_are_sorted_as_an_import_sorts_them(home):
    before = now(home)
    caches(before)
    assert before.labels == ("cat 2", "cat 10")
    first = [item["label"] for item in before.items].index("cat 2")
    after = change(home, Set(pictures=(first,), label="cat 3"), Set(pictures=((first + 1) % 6,), label=""))
    assert after.labels == ("cat 2", "cat 3", "cat 10")
    assert after.label_ids[first] == 1
    assert after.label_ids[(first + 1) % 6] == -1
    assert after.fingerprint != before.fingerprint
    after.verify()
    assert not kept_caches(after)


# --- which pictures ---


def test_dropped_pictures_are_gone_and_listed(home):
    before = now(home)
    caches(before)
    images, sources = before.images.copy(), [item["source"] for item in before.items]
    after = change(home, Drop(pictures=(1, 4, 1)), Set(pictures=(5,), text="the last"), Set(pictures=(4,), text="no"))
    assert after.count == 4 == len(after.items)
    np.testing.assert_array_equal(after.images, images[[0, 2, 3, 5]])
    assert after.captions == ["", "", "", "the last"]
    gone = [line for line in lines(after, "rejected.jsonl") if line["reason"] == "dropped by hand"]
    assert [line["source"] for line in gone] == [sources[1], sources[4]]
    assert after.meta["summary"]["dropped_by_hand"] == 2
    assert change(home, Drop(pictures=(0,))).meta["summary"]["dropped_by_hand"] == 3
    now(home).verify()
    assert not kept_caches(after)
    with Image.open(after.sheet) as sheet:
        assert sheet.size[0] > 24


def test_labels_of_dropped_pictures_go_with_them(home):
    last = [i for i, item in enumerate(now(home).items) if item["label"] == "cat 10"]
    after = change(home, Drop(pictures=tuple(last)))
    assert after.labels == ("cat 2",)
    assert set(after.label_ids) == {0}
    after.verify()


# --- parts of pictures ---


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_part_fills_the_picture(tmp_path, mode):
    do(tmp_path, pictures(tmp_path / "in", mode), name="pets", size=24)
    before = now(tmp_path)
    images = before.images.copy()
    after = change(tmp_path, Crop(pictures=(2,), box=(0.25, 0.5, 0.5, 0.5)))
    assert after.images.shape == images.shape
    np.testing.assert_array_equal(np.delete(after.images, 2, 0), np.delete(images, 2, 0))
    part = images[2, 12:, 6:18]
    shrunk = after.images[2].reshape(12, 2, 12, 2, -1).mean(axis=(1, 3))
    assert np.abs(shrunk - part).mean() < 3
    assert after.items[2]["cropped"] == [[0.25, 0.5, 0.5, 0.5]]
    if mode == "RGBA":
        assert (after.images[..., :3] <= after.images[..., 3:]).all()
    after.verify()


def test_no_colour_bleeds_out_of_what_is_transparent(tmp_path):
    image = np.zeros((24, 24, 4), np.uint8)
    image[...] = (255, 0, 0, 0)
    image[6:18, 6:18] = (0, 0, 255, 255)
    (tmp_path / "in").mkdir()
    for i in range(2):
        Image.fromarray(np.roll(image, i, 1)).save(tmp_path / "in" / f"{i}.png")
    do(tmp_path, tmp_path / "in", name="pets", size=24)
    after = change(tmp_path, Crop(pictures=(0, 1), box=(0.1, 0.1, 0.77, 0.77)))
    assert after.channels == 4
    assert not after.images[..., :2].any()
    assert (after.images[..., 2] <= after.images[..., 3]).all()


def test_sources_are_cut_alike(paired):
    before = now(paired)
    grey = before.sources[1].copy()
    after = change(paired, Crop(pictures=(1,), box=(0, 0, 0.5, 0.5)), Drop(pictures=(0,)))
    assert after.sources.shape[0] == 5 == after.count
    shrunk = after.sources[0].reshape(12, 2, 12, 2, -1).mean(axis=(1, 3))
    assert np.abs(shrunk - grey[:12, :12]).mean() < 3
    after.verify()


def test_a_part_of_a_part(home):
    twice = change(
        home, Crop(pictures=(0,), box=(0.5, 0, 0.5, 0.5)), Crop(pictures=(0,), box=(0, 0.5, 0.5, 0.5))
    ).images[0].copy()  # fmt: skip
    fresh = home / "again"
    do(fresh, home / "in", name="pets", size=24)
    once = change(fresh, Crop(pictures=(0,), box=(0.5, 0.25, 0.25, 0.25)))
    np.testing.assert_array_equal(twice, once.images[0])


def test_pixel_art_stays_crisp(tmp_path):
    (tmp_path / "in").mkdir()
    image = np.random.default_rng(0).integers(0, 2, (16, 16, 1), np.uint8) * np.uint8(255)
    Image.fromarray(image.repeat(3, 2)).save(tmp_path / "in" / "a.png")
    do(tmp_path, tmp_path / "in", name="pets", size=16)
    after = change(tmp_path, Crop(pictures=(0,), box=(0.25, 0.25, 0.5, 0.5)))
    np.testing.assert_array_equal(after.images[0], image[4:12, 4:12].repeat(2, 0).repeat(2, 1))


share = st.floats(0, 1)


@given(left=share, top=share, wide=st.floats(0.01, 1), high=st.floats(0.01, 1))
def test_any_box_is_a_part_or_a_sentence(left, top, wide, high):
    try:
        box = Crop.of({"pictures": [0], "box": (left, top, wide, high)}).box
    except GessoError:
        assert max(left + wide, top + high) > 1
    else:
        assert max(box[0] + box[2], box[1] + box[3]) <= 1 + 1e-6


# --- what cannot be ---


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([Drop(pictures=(6,))], "There is no picture 6 in 'pets'"),
        ([Set(pictures=(0,), text="a"), Set(pictures=(7,), text="b")], "There is no picture 7"),
        ([Drop(pictures=(0, 1, 2)), Drop(pictures=(3, 4, 5))], "Nothing would be left"),
        ([Crop(pictures=(0,), box=(0, 0, 0.01, 1))], "Less than a pixel"),
        ([Crop(pictures=(0,), box=(0, 0, 0.1, 0.1)), Crop(pictures=(0,), box=(0, 0, 0.1, 0.1))], "Less than a pixel"),
    ],
)
def test_what_cannot_be_changes_nothing(home, edits, said):
    before = now(home).path.stat().st_ino
    with pytest.raises(GessoError, match=said):
        change(home, *edits)
    assert now(home).path.stat().st_ino == before
    assert {path.name for path in (home / "datasets").iterdir()} == {"pets", ".pets.lock"}


@pytest.mark.parametrize(
    "values",
    [
        {"pictures": [], "box": (0, 0, 1, 1)}, {"pictures": [-1], "box": (0, 0, 1, 1)},
        {"pictures": [0], "box": (0, 0, 0, 1)}, {"pictures": [0], "box": (0.5, 0, 0.6, 1)},
        {"pictures": [0], "box": (float("nan"), 0, 1, 1)}, {"pictures": [0], "box": (0, 0, 1)},
    ],
)  # fmt: skip
def test_edits_that_are_none(values):
    with pytest.raises(GessoError):
        Crop.of(values)


@pytest.mark.parametrize("name", ["pet", "../pets", "/etc", "", ".", "pets/"])
def test_names_never_become_paths(home, name, monkeypatch):
    monkeypatch.chdir(home / "datasets")
    with pytest.raises(GessoError, match="There is no data set"):
        edit(home, name, "0" * 64, [Drop(pictures=(0,))])
    with pytest.raises(GessoError):
        copy(home, "pets", name.replace("pet", "../pet"))


def test_another_fingerprint_is_refused(home):
    old = now(home).fingerprint
    change(home, Drop(pictures=(0,)))
    with pytest.raises(Changed) as caught:
        edit(home, "pets", old, [Drop(pictures=(0,))])
    assert str(caught.value) == "The data set 'pets' was changed meanwhile. Load it again."
    assert now(home).count == 5


def test_an_import_that_comes_between_is_not_undone(home, monkeypatch):
    from gesso.data import editing

    def between(*given, **options):
        (home / "in" / "cat 2" / "0.png").unlink(missing_ok=True)
        do(home, home / "in", name="pets", size=24, replace=True)
        return sheet(*given, **options)

    sheet = editing.contact_sheet
    monkeypatch.setattr(editing, "contact_sheet", between)
    with pytest.raises(Changed):
        change(home, Drop(pictures=(1,)))
    assert now(home).count == 5


def test_a_failure_leaves_what_was_there(home, monkeypatch):
    before = now(home)
    monkeypatch.setattr("gesso.data.editing.contact_sheet", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        change(home, Drop(pictures=(0,)))
    before.verify()
    assert now(home).count == 6
    assert {path.name for path in (home / "datasets").iterdir()} == {"pets", ".pets.lock"}


def _number(home, number, gate):
    gate.wait()
    for text in ("a", "b", "c"):
        edit(home, "pets", now(home).fingerprint, [Set(pictures=(number,), text=f"{number}{text}")])


def test_two_processes_lose_nothing_of_each_other(home):
    ways = multiprocessing.get_context("spawn")
    gate = ways.Barrier(2)
    both = [ways.Process(target=_number, args=(home, number, gate)) for number in (0, 1)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
        assert one.exitcode == 0
    assert now(home).captions[:2] == ["0c", "1c"]
    assert now(home).meta["edited"]["times"] == 6


def test_who_comes_second_waits_and_then_is_told(home, monkeypatch):
    monkeypatch.setattr("gesso.data.keeping.PATIENCE", 0.05)
    with alone(folder_of(home, "pets"), "pets"), pytest.raises(GessoError, match=f"by process {os.getpid()}"):
        change(home, Drop(pictures=(0,)))


def test_killed_while_it_writes(home):
    before = now(home)
    code = (
        "import sys, time, pathlib\nfrom gesso.data import editing, open_pack\n"
        "editing.contact_sheet = lambda *a, **k: (print('there', flush=True), time.sleep(60))\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "editing.edit(home, 'pets', open_pack('pets', home).fingerprint, [editing.Drop(pictures=(0,))])"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "there\n"
    other.kill()
    other.wait()
    other.stdout.close()
    now(home).verify()
    assert now(home).fingerprint == before.fingerprint
    assert change(home, Drop(pictures=(1,))).count == 5
    assert {path.name for path in (home / "datasets").iterdir()} == {"pets", ".pets.lock"}


# --- copies ---


def test_a_copy_serves_what_the_edited_one_no_longer_does(home):
    old = now(home)
    caches(old)
    other = copy(home, "pets", "old pets".replace(" ", "-"))
    assert (other.name, other.meta["name"], other.fingerprint) == ("old-pets", "old-pets", old.fingerprint)
    assert len(kept_caches(other)) == 4
    images = other.images.copy()
    change(home, Crop(pictures=(0,), box=(0, 0, 0.5, 0.5)), Drop(pictures=(1,)))
    other = now(home, "old-pets")
    other.verify()
    np.testing.assert_array_equal(other.images, images)
    for taken in ("pets", "PETS", "old-pets"):
        with pytest.raises(GessoError, match="already"):
            copy(home, "pets", taken)
    with pytest.raises(GessoError, match="cannot be the name"):
        copy(home, "pets", "a/b")


def test_without_links_all_is_copied(home, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    when = (now(home).path / "images.npy").stat()
    other = copy(home, "pets", "b")
    made = (other.path / "images.npy").stat()
    assert made.st_ino != when.st_ino
    assert made.st_mtime_ns == when.st_mtime_ns  # by which an index knows the pictures
    other.verify()


# --- near-duplicates ---


@pytest.fixture
def twins(tmp_path):
    """Pictures 0 to 6: 0 is like 1 and 5, 2 is like 4."""
    (tmp_path / "in").mkdir()
    for i, seed in enumerate((1, 1, 2, 3, 2, 1, 4)):
        image = np.asarray(blotches(seed)).astype(int)
        Image.fromarray((image + (i % 3)).clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / f"{i}.png")
    do(tmp_path, tmp_path / "in", name="pets", size=24)
    return tmp_path


def test_duplicates_as_numbers(twins):
    assert duplicates_of(now(twins)) == [(0, 1), (0, 5), (2, 4)]


@pytest.mark.parametrize(
    ("edits", "left"),
    [
        ([Drop(pictures=(3,))], [(0, 1), (0, 4), (2, 3)]),
        ([Drop(pictures=(0,))], [(0, 4), (1, 3)]),
        ([Drop(pictures=(2,))], [(0, 1), (0, 4)]),
        ([Crop(pictures=(1,), box=(0, 0, 0.5, 0.5))], [(0, 5), (2, 4)]),
        ([Set(pictures=(0,), text="a")], [(0, 1), (0, 5), (2, 4)]),
        ([Drop(pictures=(1, 5, 4))], []),
    ],
)
def test_duplicates_after_edits(twins, edits, left):
    after = change(twins, *edits)
    assert duplicates_of(after) == left
    assert after.meta["summary"]["duplicates"] == len(left) == len(lines(after, "duplicates.jsonl"))


def test_duplicates_among_tiles_of_one_file(tmp_path):
    (tmp_path / "in").mkdir()
    sheet = np.hstack([np.asarray(blotches(seed)) for seed in (1, 2, 1, 3)])
    Image.fromarray(sheet).save(tmp_path / "in" / "sheet.png")
    do(tmp_path, tmp_path / "in", name="pets", tile="24", size=24)
    assert duplicates_of(now(tmp_path)) == [(0, 2)]
    assert duplicates_of(change(tmp_path, Drop(pictures=(1,)))) == [(0, 1)]
    assert duplicates_of(change(tmp_path, Drop(pictures=(0,)))) == []


def test_duplicates_that_an_import_left_out(twins):
    do(twins, twins / "in", name="few", size=24, drop_duplicates=True)
    assert lines(now(twins, "few"), "duplicates.jsonl")
    assert duplicates_of(now(twins, "few")) == []
    assert duplicates_of(change(twins, Drop(pictures=(0,)), name="few")) == []


def test_an_untidy_list_of_duplicates(twins):
    with (now(twins).path / "duplicates.jsonl").open("a") as file:
        file.write('not json\n[]\n{"first": 3}\n{"first": "0.png", "again": "nowhere.png"}\n')
    assert duplicates_of(now(twins)) == [(0, 1), (0, 5), (2, 4)]


# --- colours ---


def painted(tmp_path, images):
    """A pack of given pictures, without an import."""
    folder = tmp_path / "datasets" / "flat"
    with new_folder(folder, replace=True) as into:
        np.save(into / "images.npy", images)
        (into / "items.jsonl").write_text("{}\n" * len(images))
        meta = {"format": "gesso-pack", "version": 1, "count": len(images), "labels": [], "channels": images.shape[3],
                "height": images.shape[1], "width": images.shape[2]}  # fmt: skip
        mark = fingerprint(chunks(images), np.full(len(images), -1))
        (into / "pack.json").write_text(json.dumps({**meta, "fingerprint": mark}))
    return open_pack("flat", tmp_path)


def test_the_palette_of_flat_colours(tmp_path):
    images = np.zeros((10, 16, 16, 3), np.uint8)
    images[:6], images[6:9], images[9] = (200, 30, 40), (20, 90, 200), (240, 240, 230)
    assert palette(painted(tmp_path, images)) == ["#c81e28", "#145ac8", "#f0f0e6"]


def test_the_palette_of_shades(tmp_path):
    dice = np.random.default_rng(0)
    middles = np.array([(200, 40, 40), (40, 120, 200), (235, 230, 215)])
    which = dice.choice(3, (20, 16, 16), p=(0.5, 0.3, 0.2))
    images = np.clip(middles[which] + dice.normal(0, 4, (20, 16, 16, 3)), 0, 255).astype(np.uint8)
    pack = painted(tmp_path, images)
    found = palette(pack, 3)
    assert found == palette(pack, 3)
    for colour, middle in zip(found, middles, strict=True):
        assert np.abs(np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(int) - middle).max() < 6
    assert len(palette(pack, 2)) == 2
    assert palette(pack, 0) == []


@pytest.mark.parametrize(
    ("alpha", "colours"), [(255, ["#c81e28"]), (0, []), (120, [])], ids=["opaque", "clear", "half clear"]
)
def test_the_palette_looks_at_what_is_opaque(tmp_path, alpha, colours):
    images = np.zeros((3, 16, 16, 4), np.uint8)
    images[:, 4:8] = [*(value * alpha // 255 for value in (200, 30, 40)), alpha]
    assert palette(painted(tmp_path, images)) == colours


def test_the_palette_of_grey(tmp_path):
    assert palette(painted(tmp_path, np.full((2, 8, 8, 1), 128, np.uint8))) == ["#808080"]


def test_editing_streams(home, monkeypatch):
    """No more than some megabytes of pictures are in memory at once."""
    monkeypatch.setattr("gesso.data.editing.BLOCK", 2 * 24 * 24 * 3)
    read = []
    real = np.array
    monkeypatch.setattr("gesso.data.editing.np.array", lambda a, *rest: read.append(np.shape(a)) or real(a, *rest))
    after = change(home, Drop(pictures=(0,)))
    assert [shape[0] for shape in read if len(shape) == 4] == [2, 2, 1]
    after.verify()
    assert isinstance(after, Pack)
