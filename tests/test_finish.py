"""Finishing: what is looked for and found, what is kept, what is drawn, and that nothing is copied beyond the caps."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gesso.contract.finishing import FinishChoices
from gesso.data import open_pack
from gesso.data.pack import Pack, fingerprint
from gesso.data.picture import Opened
from gesso.errors import GessoError
from gesso.finish import Caps, Chosen, Collection, Copied, Drawing, Manner, index_of, known_index
from gesso.finish import choose as choosing
from gesso.finish.caps import _joined, copied, keep_below, pieces, votes_by_picture
from gesso.finish.choose import choose
from gesso.finish.collage import Wanted, laid_out, read_regions
from gesso.finish.draw import draw, drawn_of, prepare, shown
from gesso.finish.form import formed, ground_of
from gesso.finish.frames import chosen_for, finish_frames
from gesso.finish.index import DEPTH, Index, make_index
from gesso.finish.sources import changed_since, main_sources, source_map, taken_of
from gesso.finish.windows import CELLS, PARTS, count_of, turned_windows, windows_of, windows_of_all
from gesso.patch import threads
from gesso.patch.atlas import turned
from gesso.patch.field import Axes
from gesso.patch.frames import flicker
from gesso.patch.kernels import DEPTH as DESCRIBED
from gesso.patch.level import How, Level, Source, Target
from gesso.patch.pyramid import blurred, resized, scales

SIDE = 24  # pixels of the small collections' pictures


def blobs(height, width, seed=0, channels=3):
    """A picture with forms at several sizes, in [0, 1]."""
    dice, out = np.random.default_rng(seed), np.zeros((height, width, channels), np.float32)
    for size in (3, 6, 12):
        coarse = dice.random((-(-height // size) + 1, -(-width // size) + 1, channels)).astype(np.float32)
        out += resized(coarse, height, width) / 3
    return out.clip(0, 1)


def disc(height, width, dice):
    """How much of each pixel a disc somewhere in the middle covers."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot(y - height / 2 - dice.uniform(-2, 2), x - width / 2 - dice.uniform(-2, 2))
    return np.clip(dice.uniform(0.25, 0.38) * min(height, width) - far + 0.5, 0, 1).astype(np.float32)[..., None]


def images(count, channels=3, height=SIDE, width=SIDE, seed=0):
    """Pictures of a collection, bytes: full of forms, or textured discs on nothing."""
    dice, out = np.random.default_rng(seed), []
    for number in range(count):
        picture = blobs(height, width, 1000 * seed + number, min(channels, 3))
        if channels == 4:
            cover = disc(height, width, dice)
            picture = np.concatenate([picture * cover, cover], axis=2)
        out.append((picture * 255 + 0.5).astype(np.uint8))
    return np.stack(out)


def make_pack(home: Path, pictures: np.ndarray, items=None, name="things") -> Pack:
    """A data set as the import leaves it, but for what finishing does not read."""
    folder = home / "datasets" / name
    folder.mkdir(parents=True)
    known = [{"source": f"{i:03d}.png"} | (items[i] if items else {}) for i in range(len(pictures))]
    labels = sorted({item["label"] for item in known if item.get("label")})
    numbers = np.array([labels.index(item["label"]) if item.get("label") else -1 for item in known], np.int64)
    np.save(folder / "images.npy", pictures)
    write_items(folder, known)
    count, height, width, channels = pictures.shape
    meta = {
        "format": "gesso-pack", "version": 1, "count": count, "height": height, "width": width, "channels": channels,
        "labels": labels, "fingerprint": fingerprint(iter([pictures]), numbers),
    }  # fmt: skip
    (folder / "pack.json").write_text(json.dumps(meta), encoding="utf-8")
    return open_pack(name, home)


def write_items(folder: Path, items) -> None:
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")


def withdraw(pack: Pack, *numbers: int) -> Pack:
    """The data set, opened again, after some of its pictures were withdrawn."""
    write_items(pack.path, [i | ({"withdrawn": True} if n in numbers else {}) for n, i in enumerate(pack.items)])
    return open_pack(pack.path, pack.path)


def end_of(steps):
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def index_for(pictures: np.ndarray) -> Index:
    *_, index = make_index(pictures)
    assert isinstance(index, Index)
    return index


def floats(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255


def opened(image: np.ndarray, path="draft.png") -> Opened:
    return Opened(np.ascontiguousarray(image), Path(path), "0" * 64, "PNG")


def finished(collection: Collection, draft, height=SIDE, width=SIDE, *, turns="none", seed=0, **choices) -> Drawing:
    asked = FinishChoices.of({"turns": turns, **choices})
    manner = collection.manner(asked, height, width)
    *_, last = collection.finish(draft, height, width, manner, count=asked.pictures, turns=turns, seed=seed)
    return last


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    """A small collection of each number of channels, made when it is first asked for."""
    made = {}

    def of(channels: int) -> Collection:
        if channels not in made:
            pack = make_pack(tmp_path_factory.mktemp("home"), images(24, channels))
            made[channels] = Collection.of(pack, end_of(index_of(pack)))
        return made[channels]

    return of


# What is looked for


@pytest.mark.parametrize("shape", [(48, 48, 3), (40, 56, 4), (64, 36, 1)])
def test_windows_of_many_pictures_are_those_of_each(shape):
    pictures = images(3, shape[2], *shape[:2])
    for part in PARTS:
        together = windows_of_all(pictures, part)
        assert together.shape == (3, count_of(part), CELLS * CELLS * shape[2])
        for picture, own in zip(pictures, together, strict=True):
            np.testing.assert_allclose(own, windows_of(floats(picture), part).colours, atol=0.6 / 255)


@pytest.mark.parametrize("part", PARTS)
def test_windows_of_a_square_picture_lie_half_of_one_apart(part):
    found = windows_of(blobs(48, 48), part)
    assert len(found.colours) == (2 * part - 1) ** 2
    starts = np.arange(2 * part - 1) / (2 * part)
    boxes = [(top, left, 1 / part, 1 / part) for top in starts for left in starts]
    np.testing.assert_allclose(found.boxes, boxes)


def test_a_wide_picture_has_windows_as_large_as_the_collections_pictures():
    found = windows_of(blobs(24, 72), 1, (1.0, 1 / 3))
    np.testing.assert_allclose(found.boxes, [(0, left / 6, 1, 1 / 3) for left in range(5)])
    assert len(windows_of(blobs(24, 72), 2, (1.0, 1 / 3)).boxes) == 3 * 11


@given(st.floats(0.02, 1.0), st.floats(0.02, 1.0), st.sampled_from(PARTS))
@settings(max_examples=30)
def test_windows_cover_the_whole_picture(high, wide, part):
    boxes = windows_of(blobs(20, 26, channels=1), part, (high, wide)).boxes
    for axis in (0, 1):
        starts = np.unique(boxes[:, axis])
        side = boxes[0, 2 + axis]
        assert starts[0] == 0
        assert starts[-1] + side == pytest.approx(1)
        assert (np.diff(starts) <= side / 2 + 1e-9).all()
    assert len(boxes) == len(np.unique(boxes, axis=0))


def test_windows_have_the_colours_of_their_places():
    ramp = np.mgrid[:64, :64].transpose(1, 2, 0).astype(np.float32) / 64 + 0.5 / 64
    found = windows_of(ramp, 4)
    middles = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    np.testing.assert_allclose(found.colours.reshape(-1, CELLS * CELLS, 2).mean(1), middles, atol=0.01)


@pytest.mark.parametrize("turn", range(8))
def test_windows_turned_are_those_of_the_picture_turned(turn):
    picture = blobs(48, 48, 3)
    ways = [np.rot90(picture, quarter) for quarter in range(4)]
    ways += [way[:, ::-1] for way in ways]
    np.testing.assert_array_equal(turned(picture)[turn], ways[turn])
    for part in (1, 2):
        own = windows_of(np.ascontiguousarray(ways[turn]), part).colours
        other = turned_windows(windows_of(picture, part).colours, turn)
        far = np.abs(own[:, None] - other[None]).max(2)
        assert (far.min(0) < 1e-5).all(), "each is one of them, wherever it now lies"
    colours = windows_of(picture, 2).colours
    back = turned_windows(turned_windows(colours, turn), choosing._back(turn))
    np.testing.assert_array_equal(back, colours)


# The index


def by_looking(kind, colours, count, allowed=None):
    """The nearest windows in one long list, as (distance, number, window)."""
    wanted = (colours - kind.middle) @ kind.axes.T
    out = []
    for question in wanted.astype(np.float64):
        listed = []
        for number, window in itertools.product(*(range(n) for n in kind.codes.shape[:2])):
            if allowed is None or allowed[number]:
                code = kind.codes[number, window].astype(np.float64) * kind.unit
                listed.append((float(np.square(code - question).sum()) / colours.shape[1], number, window))
        out.append(sorted(listed)[:count])
    return out


def test_the_nearest_of_all_are_found_in_one_cell():
    index = index_for(images(12))
    assert (index.count, [kind.part for kind in index.kinds]) == (12, list(PARTS))
    for kind in index.kinds:
        assert len(kind.centres) == 1
        colours = windows_of(blobs(30, 30, 77), kind.part).colours[:3]
        found = kind.find(colours, 9)
        for row, wanted in enumerate(by_looking(kind, colours, 9)):
            np.testing.assert_allclose(found.distance[row], [far for far, _, _ in wanted], rtol=1e-4, atol=1e-7)
            names = {(number, window) for _, number, window in wanted}
            assert set(zip(found.number[row], found.window[row], strict=True)) == names


def test_distances_are_those_of_colours():
    pictures = images(30)
    for kind in index_for(pictures).kinds:
        full = windows_of_all(pictures, kind.part)
        colours = windows_of(blobs(40, 40, 5), kind.part).colours[:4]
        found = kind.find(colours, 5)
        real = np.square(full[found.number, found.window] - colours[:, None]).mean(2)
        assert (found.distance < 1.02 * real + 1e-4).all(), "what a few axes see is a part of what differs"
        assert (found.distance > 0.5 * real).all()
        nearest = np.square(full[None] - colours[:, None, None]).mean(3).min((1, 2))
        assert (real.min(1) < 1.25 * nearest).all()


def test_codes_are_the_coordinates_rounded():
    pictures = images(10, 4)
    for kind in index_for(pictures).kinds:
        exact = (windows_of_all(pictures, kind.part) - kind.middle) @ kind.axes.T
        assert np.abs(kind.codes * np.float32(kind.unit) - exact).max() <= 0.501 * kind.unit
        some = kind.axes[np.linalg.norm(kind.axes, axis=1) > 0]
        np.testing.assert_allclose(some @ some.T, np.eye(len(some)), atol=1e-4)


@pytest.fixture
def celled(monkeypatch):
    """An index in many cells, and its pictures."""
    monkeypatch.setattr("gesso.finish.index.FEW", 60)
    pictures = images(120)
    return index_for(pictures), pictures


def test_in_many_cells_most_is_found(celled):
    index, pictures = celled
    drafts = [resized(resized(floats(pictures[n]), 6, 6), SIDE, SIDE) + 0.02 for n in range(0, 120, 10)]
    for kind in index.kinds:
        assert len(kind.centres) > 40
        windows = kind.codes.shape[0] * kind.codes.shape[1]
        assert sorted(kind.order) == list(range(windows))
        assert (kind.starts[0], kind.starts[-1]) == (0, windows)
        colours = np.concatenate([windows_of(draft, kind.part).colours[:6] for draft in drafts])
        found = kind.find(colours, 8)
        assert (np.diff(found.distance, axis=1) >= 0).all()
        wanted = (colours - kind.middle) @ kind.axes.T
        flat = kind.codes.reshape(-1, DEPTH).astype(np.float32) * np.float32(kind.unit)
        far = np.square(flat[None] - wanted[:, None]).sum(2)
        nearest = np.argsort(far, axis=1)[:, :8]
        names = found.number * kind.codes.shape[1] + found.window
        first = np.mean([own[0] in others for own, others in zip(nearest, names, strict=True)])
        recall = np.mean([len({*own} & {*others}) / 8 for own, others in zip(nearest, names, strict=True)])
        assert first > 0.9
        assert recall > 0.6


@pytest.mark.parametrize("share", [0.5, 0.1, 1 / 120])
def test_only_what_is_allowed_is_found(celled, share):
    index, pictures = celled
    allowed = np.zeros(120, bool)
    allowed[np.random.default_rng(3).permutation(120)[: round(120 * share)]] = True
    for kind in index.kinds:
        colours = windows_of(floats(pictures[0]), kind.part).colours
        found = kind.find(colours, 24, allowed)
        there = found.number >= 0
        assert there.sum(1).min() == min(24, allowed.sum() * kind.codes.shape[1]), "as many as there are"
        assert allowed[found.number[there]].all()
        assert np.isinf(found.distance[~there]).all()
        if share == 1 / 120:
            few = by_looking(kind, colours[:2], 24, allowed)
            for row, wanted in enumerate(few):
                assert [n for n in found.window[row] if n >= 0] == [window for _, _, window in wanted]


def test_nothing_allowed_nothing_found():
    kind = index_for(images(4)).kinds[1]
    found = kind.find(windows_of(blobs(24, 24), 2).colours, 3, np.zeros(4, bool))
    assert (found.number == -1).all()
    assert np.isinf(found.distance).all()


def test_every_picture_finds_itself(celled):
    index, pictures = celled
    for kind in index.kinds:
        for number in range(0, 120, 17):
            colours = windows_of_all(pictures[number : number + 1], kind.part)[0]
            found = kind.find(colours, 1)
            assert (found.number[:, 0] == number).all()
            assert (found.window[:, 0] == np.arange(len(colours))).all()


def test_the_same_pictures_give_the_same_index(celled):
    index, pictures = celled
    again = index_for(pictures.copy())
    for kind, other in zip(index.kinds, again.kinds, strict=True):
        arrays = other.arrays()
        assert all(value.tobytes() == arrays[name].tobytes() for name, value in kind.arrays().items())


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 5])
def test_plain_pictures_can_be_looked_for(channels, count):
    plain = np.full((count, 20, 20, channels), 255, np.uint8)
    for kind in index_for(plain).kinds:
        found = kind.find(windows_of(floats(plain[0]), kind.part).colours, 3)
        assert (found.distance[found.number >= 0] < 1e-6).all()


def test_how_far_an_index_is_is_told():
    *said, _ = make_index(images(300, 1, 16, 16))
    assert [done for done, _ in said] == sorted({done for done, _ in said})
    assert said[-1][0] == said[-1][1] == 300 * sum(count_of(part) for part in PARTS)


# What is kept


@pytest.fixture
def pack(tmp_path):
    return make_pack(tmp_path, images(6))


def looked_at(monkeypatch):
    """A list that grows by one with every index that is made."""
    made = []
    monkeypatch.setattr("gesso.finish.kept.make_index", lambda pictures: made.append(1) or make_index(pictures))
    return made


def same(index: Index, other: Index) -> bool:
    pairs = [(kind.arrays(), own.arrays()) for kind, own in zip(index.kinds, other.kinds, strict=True)]
    return all(np.array_equal(one[name], two[name]) for one, two in pairs for name in one)


def test_an_index_is_made_once_and_then_read(pack, monkeypatch):
    made = looked_at(monkeypatch)
    assert known_index(pack) is None
    first = end_of(index_of(pack))
    second = end_of(index_of(pack))
    assert len(made) == 1
    assert same(first, second)
    assert same(first, index_for(pack.images))
    assert all(isinstance(kind.codes, np.memmap) and isinstance(kind.order, np.memmap) for kind in second.kinds)


def test_a_new_import_of_that_name_has_an_index_of_its_own(pack, monkeypatch, tmp_path):
    first = end_of(index_of(pack))
    other = make_pack(tmp_path / "other", images(7, seed=5))
    for file in ("pack.json", "images.npy", "items.jsonl"):
        shutil.copy(other.path / file, pack.path / file)
    again = open_pack("things", tmp_path)
    made = looked_at(monkeypatch)
    assert known_index(again) is None
    second = end_of(index_of(again))
    assert len(made) == 1
    assert second.count == 7
    assert not same(first, second)
    assert same(second, index_for(other.images))


HARM = {
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256))),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_index_is_made_anew(harm, pack, monkeypatch):
    whole = end_of(index_of(pack))
    files = sorted((pack.path / "index").iterdir())
    assert len(files) == 7 * len(PARTS) + 1
    for path in files:
        kept = path.read_bytes()
        HARM[harm](path)
        assert known_index(pack) is None, path.name
        path.write_bytes(kept)
        assert known_index(pack) is not None
    made = looked_at(monkeypatch)
    HARM[harm](files[0])
    assert same(end_of(index_of(pack)), whole)
    assert len(made) == 1
    assert known_index(pack) is not None


def test_an_index_of_fewer_pictures_is_none(pack):
    end_of(index_of(pack))
    codes = np.load(pack.path / "index" / "codes-2.npy")
    np.save(pack.path / "index" / "codes-2.npy", codes[:5])
    assert known_index(pack) is None


def test_touched_pictures_are_looked_at_again(pack):
    first = end_of(index_of(pack))
    path = pack.path / "images.npy"
    data = path.read_bytes()
    path.write_bytes(data)
    assert same(end_of(index_of(open_pack(pack.path, pack.path))), first)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(GessoError, match="not those that were imported"):
        end_of(index_of(open_pack(pack.path, pack.path)))


def test_what_a_killed_write_leaves_does_no_harm(pack, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("gesso.finish.kept.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            end_of(index_of(pack))
    assert known_index(pack) is None
    assert not (pack.path / "index").exists()
    left = pack.path / ".gesso-tmp-other-1-2-abcd"
    left.mkdir()
    (left / "codes-1.npy").write_bytes(b"half")
    whole = end_of(index_of(pack))
    assert same(end_of(index_of(pack)), whole)


# What is chosen


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=40)
def test_the_greedy_choice_is_nearly_the_best(seed, count):
    dice = np.random.default_rng(seed)
    distances = np.where(dice.random((7, 9)) < 0.5, dice.random((7, 9)), np.inf)
    most, weight = np.full(9, 1.0), dice.random(9)

    def gain(rows):
        return float(((most - np.minimum(most, distances[list(rows)].min(0))) * weight).sum())

    chosen = choosing._greedy(distances, most, weight, count)
    best = max(gain(rows) for rows in itertools.combinations(range(7), count))
    assert len({*chosen}) == count
    assert gain(chosen) >= (1 - 1 / np.e) * best - 1e-9
    assert gain(chosen[:1]) == pytest.approx(max(gain([row]) for row in range(7)))


def test_a_draft_of_two_pictures_is_drawn_with_both():
    pictures = images(20)
    draft = np.concatenate([floats(pictures[4])[:, :12], floats(pictures[11])[:, 12:]], axis=1)
    assert {one.number for one in choose(index_for(pictures), [draft], 2)} == {4, 11}


def test_choices_are_as_many_as_there_are_and_each_once():
    index, draft = index_for(images(5)), blobs(SIDE, SIDE, 9)
    every = choose(index, [draft], 40, turns=(0, 4))
    assert len({*every}) == len(every) == 10
    assert every[:3] == choose(index, [draft], 3, turns=(0, 4)), "more is more of the same"
    assert choose(index, [draft], 3, allowed=np.zeros(5, bool)) == []
    one = np.arange(5) == 2
    assert choose(index, [draft], 3, allowed=one) == [Chosen(2, 0)]


def test_luck_chooses_others_nearly_as_good():
    index, draft = index_for(images(30)), blobs(SIDE, SIDE, 99)
    chosen = [choose(index, [draft], 6, seed=seed) for seed in (0, 0, 1, 1, 2)]
    assert chosen[0] == chosen[1]
    assert chosen[2] == chosen[3]
    assert len({frozenset(one) for one in chosen}) == 3


@pytest.mark.parametrize("turn", range(8))
def test_what_is_there_only_turned_is_found_by_turning(turn, tmp_path):
    picture = images(1, seed=9)[0]
    others = images(8)
    others[5] = turned(picture)[turn]
    pack = make_pack(tmp_path, others)
    collection = Collection.of(pack, end_of(index_of(pack)))
    chosen = collection.choose([floats(picture)], SIDE, SIDE, 1, "all")
    assert chosen[0].number == 5
    unit = collection.unit(SIDE, SIDE)
    np.testing.assert_allclose(collection.pictures(chosen, unit)[0], floats(picture), atol=1e-6)
    if turn == 4:
        assert collection.choose([floats(picture)], SIDE, SIDE, 1, "mirror") == [Chosen(5, 4)]
    few = collection.choose([floats(picture)], SIDE, SIDE, 16, "mirror")
    assert {one.turn for one in few} == {0, 4}


def test_pictures_that_are_not_square_keep_their_sides(tmp_path):
    pack = make_pack(tmp_path, images(6, height=20, width=30))
    collection = Collection.of(pack, end_of(index_of(pack)))
    chosen = collection.choose([blobs(20, 30)], 20, 30, 40, "all")
    assert {one.turn for one in chosen} == {0, 2, 4, 6}
    assert {p.shape for p in collection.pictures(chosen, collection.unit(20, 30))} == {(20, 30, 3)}


# What is drawn, and how much of it is from one picture


def level_of(pictures, patch=5, height=SIDE, width=SIDE, seed=0):
    """A level at full size, its field at random, and how many pictures it is drawn with."""
    manner = Manner(patch=patch)
    draft = blobs(height, width, 50 + seed, pictures[0].shape[2])
    plan = prepare(draft, pictures, height, width, manner, range(len(pictures)))
    return Level(plan.source, plan.target, plan.how, 1.0, None, np.random.default_rng(seed))


def test_votes_of_pictures_are_together_all_votes():
    level = level_of([floats(p) for p in images(4)])
    level.match(np.random.default_rng(1))
    own = votes_by_picture(level, 4)
    _, weights = level.votes.cast(level.places.places, level.weight())
    np.testing.assert_allclose(own.sum(0), weights, rtol=1e-3, atol=1e-5)
    assert (own >= -1e-6).all()
    slow = np.zeros_like(own)
    weight, places = level.weight(), level.places.places
    for y, x in np.ndindex(weight.shape):
        slow[level.group[tuple(places[y, x])], y : y + 5, x : x + 5] += weight[y, x]
    np.testing.assert_allclose(own, slow, rtol=1e-3, atol=1e-4)


def filled(same_piece, sources):
    """Numbers of connected parts, by flooding one after another; -1 where nothing is drawn."""
    out, count = np.full(sources.shape, -1), 0
    for start in np.ndindex(sources.shape):
        if sources[start] < 0 or out[start] >= 0:
            continue
        out[start], waiting = count, [start]
        while waiting:
            y, x = waiting.pop()
            for other in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                inside = 0 <= other[0] < sources.shape[0] and 0 <= other[1] < sources.shape[1]
                if inside and sources[other] >= 0 and out[other] < 0 and same_piece((y, x), other):
                    out[other] = count
                    waiting.append(other)
        count += 1
    return out


def partition(numbers):
    """The same partition for the same parts, however they are numbered."""
    names = {}
    return [names.setdefault(n, len(names)) if n >= 0 else -1 for n in numbers.ravel().tolist()]


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_parts_joined_are_those_of_a_flood(seed):
    dice = np.random.default_rng(seed)
    ok = dice.random((9, 11)) < 0.8
    down = (dice.random((8, 11)) < 0.6) & ok[1:] & ok[:-1]
    across = (dice.random((9, 10)) < 0.6) & ok[:, 1:] & ok[:, :-1]

    def linked(a, b):
        first = min(a, b)
        return bool(down[first] if a[1] == b[1] else across[first])

    flooded = filled(linked, np.where(ok, 0, -1))
    assert partition(_joined(ok, down, across)) == partition(flooded)


@pytest.mark.parametrize("patch", [3, 5])
def test_pieces_are_those_of_a_flood(patch):
    level = level_of([floats(p) for p in images(3)], patch)
    dice = np.random.default_rng(patch)
    for _ in range(2):
        level.match(dice)
        level.vote()
    level.match(dice)
    half = patch // 2
    inner = np.zeros((SIDE, SIDE), bool)
    inner[half : SIDE - half, half : SIDE - half] = True  # where every pixel is the middle of a patch
    sources = np.where(inner, votes_by_picture(level, 3).argmax(0), -1)
    places = level.places.places.astype(int)

    def in_one_go(a, b):
        there, here = (places[p[0] - half, p[1] - half] - p for p in (a, b))
        return sources[a] == sources[b] and np.abs(there - here).max() <= 1

    numbers = pieces(level, sources)
    assert len({*numbers.ravel().tolist()}) > 4
    assert partition(numbers) == partition(filled(in_one_go, sources))


def test_shares_are_parts_of_what_is_drawn():
    level = level_of([floats(p) for p in images(3)])
    level.match(np.random.default_rng(0))
    drawn = np.random.default_rng(1).random((SIDE, SIDE)) < 0.7
    found = copied(level, 3, drawn)
    assert found.shares.sum() == pytest.approx(1)
    assert (found.sources[~drawn] == -1).all()
    for number, share in enumerate(found.shares):
        assert share == pytest.approx((found.sources == number).sum() / drawn.sum())
    assert 0 < found.piece <= found.shares.max()


def test_keeping_below_leaves_what_is_below():
    level = level_of([floats(p) for p in images(3)])
    before = level.places.places.copy()
    keep_below(level, 3, np.ones((SIDE, SIDE), bool), Caps(1, 1))
    np.testing.assert_array_equal(level.places.places, before)
    tight = keep_below(level, 3, np.ones((SIDE, SIDE), bool), Caps(0.4, 1))
    assert tight.shares.max() <= 0.4
    assert level.allowed[level.places.places[..., 0], level.places.places[..., 1]].all()


@pytest.mark.parametrize("channels", [1, 3])
def test_no_picture_gives_more_than_its_share(channels, collections):
    collection = collections(channels)
    for seed in range(40):  # the hardest drafts: pictures of the collection themselves
        draft = floats(collection.pack.images[seed % 24])
        caps = {"most_share": (0.5, 0.3)[seed % 2], "most_piece": (0.35, 0.2)[seed % 2]}
        made = finished(collection, draft, seed=seed, turns=("none", "mirror")[seed // 2 % 2], **caps).copied
        assert made is not None
        assert made.shares.sum() == pytest.approx(1)
        assert made.shares.max() <= caps["most_share"]
        assert made.piece <= caps["most_piece"]
        assert len({*made.numbers}) == len(made.numbers), "a picture and its mirror image are one"


def test_a_symmetric_picture_and_its_mirror_image_are_one(tmp_path):
    pictures = images(8)
    pictures[3] = np.maximum(pictures[3], pictures[3][:, ::-1])
    pack = make_pack(tmp_path, pictures)
    collection = Collection.of(pack, end_of(index_of(pack)))
    draft = floats(pictures[3])
    chosen = collection.choose([draft], SIDE, SIDE, 12, "mirror")
    assert {Chosen(3, 0), Chosen(3, 4)} <= {*chosen}
    made = finished(collection, draft, turns="mirror").copied
    assert made.numbers.count(3) == 1
    assert made.shares[made.numbers.index(3)] <= 0.5
    free = finished(collection, draft, turns="mirror", most_share=1, most_piece=1).copied
    assert free.shares[free.numbers.index(3)] > 0.9


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_without_caps_a_picture_of_the_collection_comes_back(channels, tmp_path):
    pack = make_pack(tmp_path, images(12, channels))
    collection = Collection.of(pack, end_of(index_of(pack)))
    for number in range(4):
        draft = floats(pack.images[number])
        free = finished(collection, draft, most_share=1, most_piece=1, pictures=4)
        assert np.abs(free.picture - draft).mean() < 0.02
        assert main_sources(free.copied)[0] == (number, pytest.approx(1, abs=0.2))
        capped = finished(collection, draft, pictures=4)
        assert np.abs(capped.picture - draft).mean() > 0.01
        assert main_sources(capped.copied)[0][1] < 0.6


def test_of_one_picture_all_is_from_it(tmp_path):
    pack = make_pack(tmp_path, images(1))
    made = finished(Collection.of(pack, end_of(index_of(pack))), blobs(8, 8, 3))
    assert made.copied.shares.tolist() == [1.0]
    assert made.copied.numbers == (0,)
    assert (made.copied.sources == 0).all()


@pytest.mark.parametrize("turns", ["none", "mirror"])
def test_same_seed_same_bits_on_any_threads(turns, collections):
    collection = collections(4)
    draft = floats(images(1, 4, 12, 12, seed=7)[0])
    with threads(1):
        first = finished(collection, draft, 48, 48, turns=turns, seed=5, complete=0.3, even=0.5)
    with threads(3):
        second = finished(collection, draft, 48, 48, turns=turns, seed=5, complete=0.3, even=0.5)
    np.testing.assert_array_equal(first.picture, second.picture)
    np.testing.assert_array_equal(first.copied.sources, second.copied.sources)


def test_other_seeds_make_other_pictures(collections):
    made = [finished(collections(3), blobs(8, 8, 1), seed=seed).picture for seed in range(3)]
    for one, other in itertools.combinations(made, 2):
        assert np.abs(one - other).mean() > 0.01


def test_every_step_is_better_and_within_bounds(collections):
    collection = collections(4)
    manner = collection.manner(FinishChoices(), 48, 48)
    steps = list(collection.finish(floats(images(1, 4, seed=2)[0]), 48, 48, manner, seed=1))
    assert len(steps) > 2
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert steps[-1].done == 1
    assert [step.copied is None for step in steps] == [True] * (len(steps) - 1) + [False]
    for step in steps:
        assert (step.picture[..., :3] <= step.picture[..., 3:] + 1e-6).all()
        assert step.picture.min() >= 0
        assert step.picture.max() <= 1
    sizes = [step.picture.shape[0] for step in steps]
    assert sizes == sorted(sizes)
    assert steps[-1].picture.shape == (48, 48, 4)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("shape", [(28, 40), (44, 26)])
def test_other_shapes(channels, shape, tmp_path):
    pack = make_pack(tmp_path, images(8, channels, 24, 32))
    collection = Collection.of(pack, end_of(index_of(pack)))
    made = finished(collection, floats(images(1, channels, shape[0] // 3, shape[1] // 3, seed=4)[0]), *shape)
    assert made.picture.shape == (*shape, channels)
    assert made.copied.sources.shape == shape
    assert np.isfinite(made.picture).all()


def test_nothing_spills_over_an_empty_border(collections):
    collection = collections(4)
    for seed in range(6):
        draft = np.zeros((SIDE, SIDE, 4), np.float32)
        draft[6:18, 6:18] = floats(images(1, 4, 12, 12, seed=30 + seed)[0])
        made = finished(collection, draft, 48, 48, seed=seed)
        border = np.ones((48, 48), bool)
        border[4:-4, 4:-4] = False
        assert made.picture[border].max() < 0.02
        assert made.picture[..., 3].max() > 0.9
        assert (made.copied.sources[made.picture[..., 3] < 0.02] == -1).all()


def test_drafts_that_are_followed_and_drafts_that_are_not(collections):
    draft = blobs(SIDE, SIDE, 200)
    far = []
    for faithful in (0.0, 0.5, 1.0):
        made = [finished(collections(3), draft, faithful=faithful, seed=s).picture for s in range(4)]
        far.append(np.mean([np.abs(blurred(one - draft, 2)).mean() for one in made]))
    assert far[2] < min(far[:2])


def test_what_does_not_fit_is_said(collections, tmp_path):
    with pytest.raises(GessoError, match="too small for patches of 15 pixels"):
        collections(3).manner(FinishChoices(patch=15), SIDE, SIDE)
    tiny = make_pack(tmp_path, images(4, 3, 8, 8))
    collection = Collection.of(tiny, end_of(index_of(tiny)))
    assert collection.manner(FinishChoices(patch=3), 16, 16).patch == 3
    with pytest.raises(GessoError, match=r"16×16 in the new one.*patches of 9"):
        collection.manner(FinishChoices(patch=9), 16, 80)


def test_manners():
    assert [Manner.of(side).patch for side in (16, 23, 24, 63, 64, 500)] == [3, 3, 5, 5, 7, 7]
    assert [Manner.of(side, 0.9).patch for side in (24, 63, 64)] == [5, 5, 5], "fine patches for fine drafts"
    assert Manner.of(64, 0.9, 9).patch == 9
    assert Manner.of(64, 0).begin < Manner.of(64, 0.5).begin < Manner.of(64, 1).begin <= 1
    assert Manner.of(64, 0).guide < Manner.of(64, 1).guide
    assert Manner.of(64, caps=Caps(0.2, 0.1)).caps == Caps(0.2, 0.1)


def test_what_counts_as_drawn():
    ground = np.full((20, 20, 3), 0.8, np.float32)
    assert drawn_of(ground).all(), "where nothing is drawn, all counts"
    ramp = ground - 0.005 * np.arange(20, dtype=np.float32)[:, None, None]
    for calm in (ground, ramp):
        picture = calm.copy()
        picture[5:12, 6:12] = 0.1
        drawn = drawn_of(picture)
        assert drawn[5:12, 6:12].all(), "a plain thing is drawn, even where it is calm"
        drawn[4:13, 5:13] = False
        assert not drawn.any()
    assert drawn_of(blobs(20, 20)).all(), "no calm ground"
    assert drawn_of(blobs(20, 20, channels=1)).all()
    clear = np.zeros((20, 20, 4), np.float32)
    clear[3:6, 3:6] = 1
    assert drawn_of(clear).sum() == 9
    over = shown(np.array([[[0.9, -1, 0.3, 0.5], [2, 2, 2, 2]]], np.float32))
    np.testing.assert_allclose(over, [[[0.5, 0, 0.3, 0.5], [1, 1, 1, 1]]])


# Films


def film(count, height=SIDE, width=SIDE, channels=3):
    """A drifting view of one picture that slowly changes: a loop."""
    wide = blobs(3 * height, 3 * width, 300, channels)
    out = []
    for frame in range(count):
        turn = 2 * np.pi * frame / count
        y, x = round(height + 2 * np.sin(turn)), round(width + 2 * np.cos(turn))
        out.append((wide[y : y + height, x : x + width] + 0.03 * np.sin(turn)).clip(0, 1).astype(np.float32))
    return out


def frames_of(collection, drafts, side=SIDE, **options):
    manner = collection.manner(FinishChoices(), side, side)
    return [one.picture for one in finish_frames(collection, drafts, side, side, manner, count=8, **options)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_film_that_stands_still_stands_still(channels, collections):
    draft = floats(images(1, channels, seed=11)[0])
    made = frames_of(collections(channels), [draft] * 4)
    assert len(made) == 4
    alone = [finished(collections(channels), draft, seed=seed, pictures=8).picture for seed in (1, 2)]
    far = np.abs(alone[0] - alone[1]).mean()
    assert np.mean([np.abs(one - other).mean() for one, other in itertools.pairwise(made[1:])]) < 0.4 * far


def test_a_film_flickers_less_than_its_frames_one_by_one(collections):
    collection, drafts = collections(3), film(6)
    made = frames_of(collection, drafts)
    alone = [finished(collection, draft, seed=n, pictures=8).picture for n, draft in enumerate(drafts)]
    assert flicker(drafts, made) < 0.5 * flicker(drafts, alone)


def test_a_loop_goes_on_with_its_first_frame(collections):
    drafts, seam = film(12), {}
    for loop in (False, True):
        made = frames_of(collections(3), drafts, loop=loop)
        assert len(made) == 12
        seam[loop] = flicker([drafts[-1], drafts[0]], [made[-1], made[0]])
    assert seam[True] < 0.95 * seam[False]


def test_a_film_is_drawn_with_the_same_pictures_and_caps(collections):
    collection, drafts = collections(3), film(4)
    chosen = chosen_for(collection, drafts, SIDE, SIDE, 8)
    assert len(chosen) == 8
    manner = collection.manner(FinishChoices(), SIDE, SIDE)
    for one in finish_frames(collection, drafts, SIDE, SIDE, manner, count=8):
        assert {*one.copied.numbers} == {picture.number for picture in chosen}
        assert one.copied.shares.max() <= 0.5
        assert one.copied.piece <= 0.35


# Collages


WORDS = [{"label": "leaf"}, {"group": "stone"}, {"text": "A red Apple, on a table"}, {"subgroup": "Leaf"}]


@pytest.fixture(scope="module")
def worded(tmp_path_factory):
    pack = make_pack(tmp_path_factory.mktemp("home"), images(24), WORDS * 6)
    return Collection.of(pack, end_of(index_of(pack)))


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("leaf", {0, 3}), ("LEAF ", {0, 3}), ("stone", {1}), ("apple", {2}), ("red apple", {2}), ("table", {2})],
)
def test_words_name_pictures(worded, word, wanted):
    assert {number % 4 for number in np.flatnonzero(worded.named(word))} == wanted


@pytest.mark.parametrize("word", ["lea", "app", "a red apple, on a chair", "none"])
def test_words_that_are_in_no_picture(worded, word):
    with pytest.raises(GessoError, match=f"No picture of 'things' has '{word}'"):
        worded.named(word)


LAYOUT = np.full((48, 48, 3), 255, np.uint8)
LAYOUT[4:44, 2:22] = (208, 48, 48)
LAYOUT[4:44, 26:46] = (48, 96, 208)


def laid(collection, regions, layout=LAYOUT, side=48, **choices):
    asked = FinishChoices.of(choices)
    draft, _ = formed(opened(layout), collection)
    manner = collection.manner(asked, side, side)
    found = laid_out(layout, draft, read_regions(regions), side, side, collection, asked, manner, 0)
    *_, last = draw(draft, found.pictures, side, side, manner, numbers=found.numbers, regions=found.regions)
    return found, last


def test_regions_are_drawn_with_their_own_pictures(worded):
    found, made = laid(worded, ["#d03030=leaf", "#3060d0=stone"])
    assert {*found.regions.of} == {0, 1, 2}
    for number, region in zip(found.numbers, found.regions.of, strict=True):
        assert region == 0 or worded.named(["leaf", "stone"][region - 1])[number]
    assert made.picture.shape == (48, 48, 3)
    sources = np.array(made.copied.numbers)[made.copied.sources]
    for word, across in (("leaf", slice(6, 18)), ("stone", slice(30, 42))):
        inner = sources[10:38, across]
        assert worded.named(word)[inner].mean() > 0.98, word


SAID = [
    (["#d03030=moon"], "has 'moon' as its label"),
    (["#00ff00=leaf"], "No part of the draft has the colour #00ff00"),
    (["#101010=leaf"], "The blob of 'leaf' is only 3×3 pixels"),
]


@pytest.mark.parametrize(("regions", "said"), SAID)
def test_regions_that_do_not_fit(regions, said, worded):
    layout = LAYOUT.copy()
    layout[0:3, 0:3] = 16
    with pytest.raises(GessoError, match=said):
        laid(worded, regions, layout)


@given(st.tuples(*[st.integers(0, 255)] * 3), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_regions_that_are_written_are_read(colour, word):
    text = "#{:02x}{:02x}{:02x}={}".format(*colour, word)
    if word.strip():
        assert read_regions([text]) == [Wanted(colour, word.strip())]
    else:
        with pytest.raises(GessoError, match="not of the form"):
            read_regions([text])


@given(st.text(max_size=200) | st.from_regex(r"(rgb|hsl|hsv|#)?[(]?[0-9a-f.,% ]{0,30}[)]?=\w"))
@settings(max_examples=200)
def test_any_text_is_a_region_or_a_sentence(text):
    try:
        (wanted,) = read_regions([text])
    except GessoError:
        with pytest.raises(GessoError, match="is not of the form colour=word"):
            read_regions([text])
    else:
        assert len(wanted.colour) == 3
        assert text.endswith(wanted.word) or wanted.word in text


def test_names_of_colours_are_read():
    assert read_regions([" red = big apple ", "rgb(1,2,3)=x=y"]) == [
        Wanted((255, 0, 0), "big apple"),
        Wanted((1, 2, 3), "x=y"),
    ]


# The form of drafts


def test_transparent_drafts_lie_on_the_ground_of_a_collection(tmp_path):
    pictures = images(6)
    pictures[:, 0] = pictures[:, -1] = pictures[:, :, 0] = pictures[:, :, -1] = (10, 200, 90)
    pack = make_pack(tmp_path, pictures)
    collection = Collection.of(pack, end_of(index_of(pack)))
    np.testing.assert_allclose(ground_of(collection) * 255, (10, 200, 90), atol=1)
    image = np.zeros((10, 10, 4), np.uint8)
    image[..., 0], image[:5, :, 3] = 250, 128
    picture, notes = formed(opened(image), collection)
    part = 128 / 255
    wanted = np.array([250, 0, 0]) * part + np.array([10, 200, 90]) * (1 - part)
    np.testing.assert_allclose(picture[0, 0] * 255, wanted, atol=0.6)
    np.testing.assert_allclose(picture[9, 9] * 255, (10, 200, 90), atol=0.6)
    assert notes == ["what is transparent lies on the collection's ground"]


def test_a_plain_ground_becomes_transparent(collections):
    image = np.full((40, 40, 3), (230, 240, 250), np.uint8)
    image[12:28, 10:30] = (200, 30, 40)
    picture, notes = formed(opened(image), collections(4))
    assert picture.shape == (40, 40, 4)
    assert picture[:8, :, 3].max() == 0
    assert picture[16:24, 14:26, 3].min() == 1
    assert (picture[..., :3] <= picture[..., 3:] + 1e-6).all()
    assert "plain ground" in notes[0]
    busy = (blobs(40, 40) * 255).astype(np.uint8)
    whole, notes = formed(opened(busy), collections(4))
    assert (whole[..., 3] == 1).all()
    np.testing.assert_allclose(whole[..., :3], floats(busy), atol=1e-6)
    assert notes == []


def test_drafts_in_the_form_of_a_collection(collections):
    clear = images(1, 4)[0]
    straight = clear.copy()
    straight[..., :3] = np.where(
        clear[..., 3:] > 0, clear[..., :3].astype(int) * 255 // np.maximum(clear[..., 3:], 1), 7
    )
    picture, notes = formed(opened(straight), collections(4))
    np.testing.assert_allclose(picture, floats(clear), atol=1.5 / 255)
    assert notes == []
    plain = images(1)[0]
    np.testing.assert_allclose(formed(opened(plain), collections(3))[0], floats(plain), atol=1e-6)
    grey, _ = formed(opened(plain), collections(1))
    np.testing.assert_allclose(grey[..., 0], floats(plain) @ np.array([0.299, 0.587, 0.114]), atol=1e-5)


# Where it is from


def copied_by_hand():
    sources = np.full((8, 8), -1)
    sources[:4, :4], sources[4:, :4], sources[4:, 4:6] = 0, 1, 2
    drawn = (sources >= 0).sum()
    shares = np.array([(sources == n).sum() for n in range(3)]) / drawn
    return Copied(sources, shares, 0.4, (5, 2, 9))


def test_sources_are_told_largest_first(pack, tmp_path):
    found = copied_by_hand()
    assert main_sources(found) == [(5, pytest.approx(0.4)), (2, pytest.approx(0.4)), (9, pytest.approx(0.2))]
    big = make_pack(tmp_path / "big", images(10, 1, 16, 16))
    taken = taken_of(found, big, {"faithful": 0.5})
    assert [(part.source, part.share) for part in taken.parts] == [("005.png", 0.4), ("002.png", 0.4), ("009.png", 0.2)]
    assert (taken.share, taken.piece, taken.data, taken.fingerprint) == (0.4, 0.4, "things", big.fingerprint)
    assert changed_since(taken, big, Path("it.png"), "Draw anew.") == ""
    with pytest.raises(GessoError, match=r"002\.png, which it\.png is partly from, was withdrawn\. Draw anew\."):
        changed_since(taken, withdraw(big, 2, 7), Path("it.png"), "Draw anew.")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_map_has_a_colour_a_picture(channels):
    found = copied_by_hand()
    plain = np.full((8, 8, channels), 0.5, np.float32)
    shows = source_map(found, plain)
    assert (shows.shape, shows.dtype) == ((8, 8, 3), np.uint8)
    tints = {n: {tuple(colour) for colour in shows[found.sources == n]} for n in (-1, 0, 1, 2)}
    assert all(len(own) == 1 for own in tints.values())
    assert len(set.union(*tints.values())) == 4
    assert tints[-1] == {(255, 255, 255)}


def test_withdrawn_pictures_are_not_used(tmp_path):
    pictures = images(8)
    pack = make_pack(tmp_path, pictures)
    index = end_of(index_of(pack))
    draft = floats(pictures[2])
    assert Collection.of(pack, index).choose([draft], SIDE, SIDE, 3)[0].number == 2
    collection = Collection.of(withdraw(pack, 2, 5), index)
    for count in (3, 40):
        assert not {2, 5} & {one.number for one in collection.choose([draft], SIDE, SIDE, count, "mirror")}
    assert not {2, 5} & {*finished(collection, draft).copied.numbers}
    with pytest.raises(GessoError, match="Every picture of 'things' was withdrawn"):
        Collection.of(withdraw(pack, *range(8)), index)


def test_only_some_rows_may_be_used(tmp_path):
    pictures = images(8)
    pack = make_pack(tmp_path, pictures, [{"label": "one"}] * 4 + [{"label": "two"}] * 4)
    collection = Collection.of(withdraw(pack, 1), end_of(index_of(pack)), np.array([0, 1, 6]))
    assert {one.number for one in collection.choose([blobs(24, 24)], SIDE, SIDE, 9)} == {0, 6}
    assert np.flatnonzero(collection.named("one")).tolist() == [0]
    with pytest.raises(GessoError, match="Every picture"):
        Collection.of(withdraw(pack, 1), end_of(index_of(pack)), np.array([1]))


# What the patch engine learned for it


def test_guides_in_the_middle_count_as_if_they_filled_the_patch():
    size, picture, guide = 3, blobs(20, 24, 1, 1), blobs(20, 24, 2, 2)
    axes = Axes.of(picture, size, np.random.default_rng(0), guide, 500)
    both = np.concatenate([axes.along.reshape(DESCRIBED - 1, -1), axes.across / size], axis=1)
    np.testing.assert_allclose(both[:11] @ both[:11].T, np.eye(11), atol=2e-3)  # 9 pixels and 2 guides: all of them
    assert (both[11:] == 0).all()
    described = axes.describe(picture, guide=guide)
    assert (described[..., -1] == 0).all()
    other, beyond = blobs(20, 24, 3, 1), blobs(20, 24, 4, 2)
    elsewhere = axes.describe(other, guide=beyond)
    windows, there = (np.lib.stride_tricks.sliding_window_view(p, (size, size), (0, 1)) for p in (picture, other))
    for (a, b), (c, d) in [((0, 0), (17, 21)), ((5, 7), (3, 2)), ((17, 21), (9, 9))]:
        pixels = np.square(windows[a, b] - there[c, d]).sum()
        middles = np.square(guide[a + 1, b + 1] - beyond[c + 1, d + 1]).sum()
        far = np.square(described[a, b] - elsewhere[c, d]).sum()
        assert far == pytest.approx(pixels + size**2 * middles, rel=0.02, abs=1e-3)


def test_a_guide_is_heard_in_the_middle_only_where_that_is_asked_for():
    picture, guide = blobs(30, 30, 1), np.zeros((30, 30, 1), np.float32)
    guide[12:18, 12:18] = 1
    for central in (True, False):
        how = How(patch=5, central=central)
        level = Level(Source(picture, guide), Target(30, 30, picture, guide), how, 1.0, None, np.random.default_rng(0))
        channels = 3 if central else 4
        assert level.axes.along.shape[1] == channels
        assert level.axes.across.shape == (DESCRIBED - 1, 1 if central else 0)
        for _ in range(4):
            level.match(np.random.default_rng(1))
        assert level.energy < 0.01


@pytest.mark.parametrize("searched", [0.45, 0.7, 1.0])
def test_beyond_a_scale_places_are_only_refined_and_stay_allowed(searched):
    picture, allowed = blobs(48, 60, 1), np.ones((48, 60), bool)
    allowed[:, 26:34] = False
    how = How(patch=5, searched=searched, central=True, guided=searched)
    source = Source(picture, 0.3 * blurred(picture, 2), allowed)
    begin = blobs(40, 44, 2)
    target, dice = Target(40, 44, begin, 0.3 * blurred(begin, 2)), np.random.default_rng(0)
    level = None
    for scale in scales(40, 16, 0.75):
        level = Level(source, target, how, scale, level, dice)
        assert level.light == (scale > searched)
        for step in range(3):
            level.match(dice, soft=step == 0)
            level.vote(last=scale == 1)
            assert level.allowed[level.places.places[..., 0], level.places.places[..., 1]].all()
    assert level.picture.shape == begin.shape
    assert np.isfinite(level.picture).all()
    spread = picture[allowed].min(0), picture[allowed].max(0)
    assert (level.picture >= spread[0] - 1e-4).all()
    assert (level.picture <= spread[1] + 1e-4).all()
