"""Whether pictures are new: likeness through changes, what near means, tests of copying, and the task."""

import io
import json
import math

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

from gesso import tasks
from gesso.contract.task import Message
from gesso.data import open_pack
from gesso.data.pack import Some
from gesso.data.reading import at_size, read_pictures
from gesso.errors import GessoError
from gesso.marks.credentials import same as same_file
from gesso.marks.recipe import read_recipe
from gesso.measure.alignment import difference, fits
from gesso.measure.copying import _standard_score, authenticity, cells, data_copying
from gesso.measure.nearest import Collection, ready
from gesso.measure.originality import LIMITS, Scale, finished, found, limit_of, residuals, scale, share_of
from gesso.store import Run


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """Sixty painted blossoms, n 32 32 3."""
    home = tmp_path_factory.mktemp("home")
    tasks.run("import", home=home, source="blossoms", name="flowers", size="32", count=60)
    return np.array(open_pack("flowers", home).images)


def shifted(images, down, right):
    out = np.broadcast_to(images[:, :1, :1], images.shape).copy()
    h, w = images.shape[1:3]
    out[:, down:, right:] = images[:, : h - down, : w - right]
    return out


def recoloured(images):
    return np.ascontiguousarray(255 - images[..., [2, 0, 1]] // 2)


def compressed(images, quality=85):
    out = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        out.append(np.array(Image.open(file)))
    return np.stack(out)


def cropped(images, rim=3):
    parts = [Image.fromarray(x[rim:-rim, rim:-rim]).resize(x.shape[1::-1], Image.Resampling.BICUBIC) for x in images]
    return np.stack([np.asarray(part) for part in parts])


CHANGES = {
    "same": lambda x: x,
    "mirrored": lambda x: np.ascontiguousarray(x[:, :, ::-1]),
    "shifted": lambda x: shifted(x, 3, 2),
    "recoloured": recoloured,
    "compressed": compressed,
    "cropped": cropped,
    "mirrored, shifted and recoloured": lambda x: recoloured(shifted(x[:, :, ::-1], 2, 1)),
}


def floats(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_found_and_a_new_one_is_not(flowers, change):
    learned, new = flowers[:40], flowers[40:52]
    collection = Collection.of(learned)
    (near,) = collection.nearest(CHANGES[change](learned[:12]))
    (strange,) = collection.nearest(new)
    assert (near.which == torch.arange(12)).all()
    assert near.likeness.min() > strange.likeness.max()


def test_the_place_is_told(flowers):
    x = floats(flowers[:4])
    fit = fits(x, floats(np.ascontiguousarray(shifted(flowers[:4], 2, 3)[:, :, ::-1])))
    assert fit.mirrored.tolist() == [1] * 4
    assert fit.down.tolist() == [2] * 4
    assert fit.right.tolist() == [-3] * 4
    assert (fit.likeness > 0.8).all()


def test_likeness_is_that_of_both_ways(flowers):
    x = floats(flowers[:6])
    apart = fits(x, x.roll(1, 0)).likeness
    torch.testing.assert_close(apart, fits(x.roll(1, 0), x).likeness, atol=0.1, rtol=0)  # sizes tried are no inverses
    assert (fits(x, x).likeness > 0.95).all()


def test_a_changed_colour_leaves_no_difference(flowers):
    left, seen = difference(floats(flowers[:1]), floats(recoloured(flowers[:1])), 0, 0, 0, 0)
    assert seen.all()
    assert left.max() < 0.1
    left, seen = difference(floats(flowers[:1]), floats(shifted(flowers[:1], 3, 0)), 0, 0, 3, 0)
    assert not seen[:3].any()
    assert left[seen].max() < 1e-3


@pytest.mark.parametrize("shape", [(32, 32, 1), (32, 32, 4), (24, 40, 3), (100, 20, 3)])
def test_other_shapes_and_channels(shape):
    h, w, c = shape
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (12, h // 4, w // 4, c))
    images = blocks.repeat(4, 1).repeat(4, 2).astype(np.uint8)
    images[..., :3] = np.minimum(images[..., :3], images[..., -1:])
    (near,) = Collection.of(images).nearest(images[:, :, ::-1])
    assert (near.which == torch.arange(12)).all()
    assert near.mirrored.all()


def test_plain_pictures_are_nobodys_copies(flowers):
    images = np.concatenate([flowers[:5], np.full((1, 32, 32, 3), 80, np.uint8)])
    collection = Collection.of(images)
    (near,) = collection.nearest(np.full((2, 32, 32, 3), [[[[80]]], [[[200]]]], np.uint8))
    assert near.which.tolist() == [-1, -1]
    assert near.likeness.tolist() == [0, 0]
    assert (
        residuals(collection, images[-1:], finished(found(collection, images[-1:], Scale(0.5, []))).near)[0].max()
        == 128
    )


def test_what_cannot_be_compared():
    with pytest.raises(GessoError, match="no pictures"):
        Collection.of(np.empty((0, 32, 32, 3), np.uint8))
    with pytest.raises(GessoError, match="12×8 pixels are too small"):
        Collection.of(np.zeros((3, 8, 12, 3), np.uint8))
    assert ready(np.zeros((1, 16, 200, 3), np.uint8)).shape[2] >= 16


def test_the_scale_is_between_the_limits_and_the_same_again(flowers):
    collection = Collection.of(flowers[:30])
    one, again = (finished(scale(collection, flowers[:30])) for _ in range(2))
    assert one == again
    assert LIMITS[0] <= one.limit <= LIMITS[1]
    assert len(one.among) == 30
    assert max(one.among) < 1  # none is compared with itself
    twice = np.concatenate([flowers[:10], flowers[:10]])
    assert finished(scale(Collection.of(twice), twice)).usual == 1
    assert finished(scale(Collection.of(flowers[:2]), flowers[:2])) == Scale(LIMITS[1], [])


def test_the_limit_is_what_different_pictures_reach():
    below = torch.linspace(0.3, 0.7, 101)
    variants = torch.full((300,), 0.97)  # the same figure again, in another colour
    assert limit_of(below) == limit_of(torch.cat([below, variants])) == pytest.approx(0.68, abs=1e-3)
    assert limit_of(below / 3) == LIMITS[0]
    assert limit_of(below + 0.19) == LIMITS[1]
    assert limit_of(variants) == LIMITS[1]


def test_copies_are_flagged_and_new_ones_are_not(flowers):
    collection = Collection.of(flowers[:40])
    kept = finished(scale(collection, flowers[:40]))
    new = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    seen = finished(found(collection, np.concatenate([flowers[:8], new]), kept))
    assert seen.copies.tolist() == [True] * 8 + [False] * 8
    shown = residuals(collection, flowers[:2], seen.near)
    assert shown[0].shape == (32, 32, 1)
    assert shown[0].min() > 250  # nothing is left of a copy


def test_share_and_interval():
    share, low, high = share_of(np.array([True] * 5 + [False] * 95))
    expected = scipy.stats.binomtest(5, 100).proportion_ci(method="wilson")
    assert (share, low, high) == pytest.approx((0.05, expected.low, expected.high), abs=1e-3)
    assert share_of(np.zeros(20, bool))[1] == 0


# Tests of copying


def cloud(n, seed, spread=1.0):
    return spread * torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def test_the_standard_score_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 40).astype(float), rng.integers(1, 10, 30).astype(float)
    told = scipy.stats.mannwhitneyu(b, a, use_continuity=False, method="asymptotic")
    score = _standard_score(torch.from_numpy(a), torch.from_numpy(b))
    assert 2 * scipy.stats.norm.sf(abs(score)) == pytest.approx(told.pvalue, rel=1e-6)
    assert score > 0


def test_a_copier_is_told_from_a_fair_model():
    learned, held = cloud(400, 0), cloud(200, 1)
    copies = learned[:200] + cloud(200, 3, 0.05)
    for others in (held, None):
        assert abs(data_copying(learned, others, cloud(200, 2))) < 3
        assert data_copying(learned, others, copies) < -5
        assert data_copying(learned, others, cloud(200, 2, 3.0)) > 3
    assert authenticity(learned, copies) < 0.05
    assert 0.35 < authenticity(learned, cloud(200, 2)) < 0.65
    assert authenticity(learned, cloud(200, 2) + 50) == 1


def test_authenticity_by_hand():
    learned = torch.tensor([[0.0], [1.0], [10.0]])
    made = torch.tensor([[0.5], [2.5], [11.0], [30.0]])  # nearest: 0 (1 away), 1 (1), 10 (9), 10 (9)
    assert authenticity(learned, made) == pytest.approx(2 / 4)


def test_cells_hold_what_is_near():
    x = torch.cat([cloud(30, 0, 0.1), cloud(30, 1, 0.1) + 5]).double()
    middles, place = cells(x, 2)
    assert len(set(place[:30].tolist())) == len(set(place[30:].tolist())) == 1
    assert place[0] != place[-1]
    torch.testing.assert_close(middles[place[0]], x[:30].mean(0))
    assert len(cells(torch.zeros(9, 2).double(), 3)[0]) == 1


def test_too_few_for_the_tests():
    with pytest.raises(GessoError, match="at least 10 pictures; there are 4"):
        data_copying(cloud(4, 0), None, cloud(20, 1))
    with pytest.raises(GessoError, match="cannot be compared"):
        data_copying(cloud(40, 0), None, torch.zeros(20, 5))


# Reading, holding out


def test_a_folder_is_read_with_a_sentence_for_what_is_no_picture(tmp_path, flowers):
    for i in range(3):
        Image.fromarray(flowers[i]).save(tmp_path / f"{i}.png")
    Image.fromarray(flowers[3]).resize((64, 64)).save(tmp_path / "10.png")
    Image.fromarray(flowers[3]).save(tmp_path / "a_seeds0-3.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing")
    (tmp_path / "notes.txt").write_text("no picture")
    read = read_pictures(tmp_path, 32, 32, 3)
    assert [path.name for path in read.paths] == ["0.png", "1.png", "2.png", "10.png"]
    assert (read.images[:3] == flowers[:3]).all()
    assert read.sizes == {(32, 32): 3, (64, 64): 1}
    assert len(read.problems) == 1
    assert read.problems[0].startswith("broken.png is left out: ")
    assert read_pictures(tmp_path / "0.png", 16, 16, 1).images.shape == (1, 16, 16, 1)
    for wrong, said in (("nowhere", "There is no folder"), ("notes.txt", "no picture that can be read")):
        with pytest.raises(GessoError, match=said):
            read_pictures(tmp_path / wrong, 32, 32, 3)


def test_smaller_pictures_are_means():
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    small = at_size(images, 2, 2).astype(float)
    assert np.abs(small - images.reshape(2, 2, 2, 2, 2, 3).mean((2, 4))).max() <= 0.5
    assert (at_size(images, 4, 4) == images).all()


def test_some_pictures_are_held_out(tmp_path):
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=40)
    pack = open_pack("flowers", tmp_path)
    rows, held = pack.split(0.25)
    assert len(held) == 10
    assert sorted([*rows, *held]) == list(range(40))
    assert len(pack.split(0.0)[0]) == 40
    some = Some(pack.images, rows)
    assert some.shape == (30, 16, 16, 3)
    assert (some[[2, 5]] == pack.images[rows[[2, 5]]]).all()


# The task

SMALL = ["width=4", "critic_width=4", "batch=8"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tasks.run("import", home=home, source="blossoms", name="flowers", size="32", count=50)
    options = {"dataset": "flowers", "size": "16", "set": SMALL, "precision": "float32", "threads": 1}
    tasks.run("train", home=home, images="200", hold_out=0.2, **options)
    return home


def test_a_run_learns_from_the_rest(trained):
    folder = Run.open(trained, 1)
    assert folder.record["data"]["count"] == folder.record["facts"]["count"] == 40
    learned = tasks.learned(folder, trained)
    assert learned.images.shape == (40, 16, 16, 3)
    assert learned.held.shape == (10, 16, 16, 3)
    assert len(learned.sources) == len(learned.numbers) == 40


def test_the_task_tells_and_writes(trained):
    result = tasks.run("originality", home=trained, run="1", count=20)
    folder = Run.open(trained, 1)
    sheet, told = result.paths
    assert sheet.is_file()
    kept = json.loads(told.read_text())
    assert len(kept["pictures"]) == kept["count"] == 20
    likeness = [one["likeness"] for one in kept["pictures"]]
    assert likeness == sorted(likeness, reverse=True)
    assert kept["pictures"][0]["picture"].startswith("seed ")
    assert folder.record["originality"]["share"] == kept["share"]
    assert kept["held_out"] == 10
    assert math.isfinite(kept["data_copying"])
    assert "near-copies" in (folder.root / "README.md").read_text()
    before = list((trained / "datasets" / "flowers").glob("near-*.json"))
    assert len(before) == 1
    again = tasks.run("originality", home=trained, run="1", count=20)
    assert again.facts == result.facts


def test_a_folder_of_learned_pictures_is_found_out(trained, tmp_path):
    learned = tasks.learned(Run.open(trained, 1), trained)
    for i in range(12):
        Image.fromarray(learned.images[i, :, ::-1]).resize((48, 48), Image.Resampling.BICUBIC).save(
            tmp_path / f"{i}.png"
        )
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    said = []
    result = tasks.run("originality", home=trained, run="1", images=tmp_path, on_event=said.append)
    assert result.facts["copies"] == 12
    assert {one["nearest"] for one in result.facts["pictures"]} == set(learned.sources[:12])
    words = " ".join(event.text for event in said if isinstance(event, Message))
    assert "torn.jpg is left out" in words
    assert "12 pictures are of other sizes (most of them 48×48)" in words


def test_what_the_task_refuses(trained, tmp_path):
    with pytest.raises(GessoError, match="No run is named"):
        tasks.run("originality", home=trained)
    with pytest.raises(GessoError, match="no picture that can be read"):
        tasks.run("originality", home=trained, run="1", images=tmp_path)
    with pytest.raises(GessoError, match="There is no network"):
        tasks.run("originality", home=trained, run="1", count=10, by="nothing.onnx")
    tasks.run("import", home=trained, source="blossoms", name="flowers", size="32", count=51, seed=3, replace=True)
    with pytest.raises(GessoError, match="has changed"):
        tasks.run("originality", home=trained, run="1")


def test_a_drawn_picture_says_how_like_it_is(trained, tmp_path):
    tasks.run("import", home=trained, source="blossoms", name="flowers", size="32", count=50, replace=True)
    result = tasks.run("sample", home=trained, run="1", count=2, seed=3, originality=True, out=tmp_path)
    recipes = [read_recipe(path) for path in result.paths]
    sources = tasks.learned(Run.open(trained, 1), trained).sources
    for recipe in recipes:
        assert 0 <= recipe.original.likeness <= 1
        assert recipe.original.nearest in sources
        assert recipe.original.copied == (recipe.original.likeness >= recipe.original.limit)
    assert result.facts["copies"] == sum(recipe.original.copied for recipe in recipes)
    assert "Near-copies of learned pictures" in result.text
    again = tasks.run("sample", home=trained, like=result.paths[0], out=tmp_path / "again.png")
    assert same_file(again.paths[0].read_bytes(), result.paths[0].read_bytes())
    plain = tasks.run("sample", home=trained, run="1", count=1, out=tmp_path / "plain.png")
    assert read_recipe(plain.paths[0]).original is None
