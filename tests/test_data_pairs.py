"""Pairs in the import: sources that are found, sources that are made, and what a set of them holds."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, PngImagePlugin

from gesso.contract.task import Message, Progress, Result
from gesso.data import open_pack
from gesso.data.choices import FOUND, MADE, ImportOptions
from gesso.data.crop import fit
from gesso.data.degrade import CHANNELS, KINDS, degrade, degrade_picture, source_channels
from gesso.data.pack import chunks, fingerprint
from gesso.data.sheet import contact_sheet
from gesso.data.write import PackWriter
from gesso.errors import GessoError
from gesso.tasks.import_ import Import


def do(home, source, **options):
    return list(Import().run(Import.Options.of({"source": str(source), "workers": 1, **options}), Path(home)))


def blotches(seed, width=24, height=24, mode="RGB"):
    """A picture like no other: soft coloured blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, len(mode)), np.uint8)
    bands = [
        Image.fromarray(coarse[..., i]).resize((width, height), Image.Resampling.BICUBIC) for i in range(len(mode))
    ]
    return Image.merge(mode, bands) if len(mode) > 1 else bands[0]


def disc(side=48, colour=(220, 60, 40), ground=(250, 240, 220)):
    """`h w 3`: a disc on a plain ground."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    return np.where((np.hypot(x, y) < side * 0.35)[..., None], colour, ground).astype(np.uint8)


def cut_out(side=48):
    """`h w 4`, premultiplied: the disc on nothing."""
    image = np.dstack([disc(side), np.full((side, side), 255, np.uint8)])
    return np.where((disc(side) == (220, 60, 40)).all(axis=2)[..., None], image, 0).astype(np.uint8)


def save(root, pictures):
    for name, picture in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(root / name)
    return root


def rejected(pack):
    with (pack.path / "rejected.jsonl").open() as lines:
        return {row["source"]: row["reason"] for row in map(json.loads, lines)}


# --- what is made of one picture ---


def test_every_kind_that_can_be_asked_for_can_be_made():
    assert tuple(KINDS) == MADE
    assert ImportOptions.model_fields["pairs"].annotation.__args__ == ("none", *FOUND, *MADE)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shape_and_determinism(kind, channels):
    several = np.stack([np.asarray(blotches(i, 20, 28, "RGBA"))[..., :channels] for i in range(3)])
    if channels == 4:
        several[..., :3] = np.minimum(several[..., :3], several[..., 3:])
    made = degrade_picture(kind, several)
    assert (
        made.shape == (3, 28, 20, CHANNELS.get(kind, channels)) == (*several.shape[:3], source_channels(kind, channels))
    )
    assert made.dtype == np.uint8
    assert (degrade_picture(kind, several[2]) == made[2]).all()  # alone as among others
    assert (degrade_picture(kind, several.copy()) == made).all()
    one = degrade(kind, several[0], 7)
    assert (degrade(kind, several[0], 7) == one).all()
    if made.shape[3] == 4:
        assert (made[..., :3] <= made[..., 3:]).all()
    if kind in ("noise", "scratches", "masks"):
        assert (degrade(kind, several[0], 8) != one).any()
        assert (degrade_picture(kind, several[0], 1) != made[0]).any()


@pytest.mark.parametrize("kind", MADE)
@given(data=st.data())
def test_any_picture_can_be_degraded(kind, data):
    shape = data.draw(st.tuples(st.integers(8, 13), st.integers(8, 13), st.sampled_from([1, 3, 4])))
    pixels = data.draw(arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 120, 255])))
    if shape[2] == 4:
        pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    made = degrade(kind, pixels, 0)
    assert made.shape == (*shape[:2], source_channels(kind, shape[2]))
    assert made.shape[2] < 4 or (made[..., :3] <= made[..., 3:]).all()


def test_a_kind_that_is_not_known():
    with pytest.raises(GessoError, match=r"'edge' can be made\. Did you mean 'edges'"):
        degrade_picture("edge", disc())


def test_grey_is_luma_on_white():
    picture = np.asarray(blotches(1))
    assert (degrade("grey", picture, 0)[..., 0] == np.asarray(Image.fromarray(picture).convert("L"))).all()
    assert (degrade("grey", np.zeros((8, 8, 4), np.uint8), 0) == 255).all()


def test_low_keeps_what_is_flat_and_the_means_of_blocks():
    flat = np.full((16, 16, 3), (10, 200, 90), np.uint8)
    assert (degrade("low", flat, 0) == flat).all()
    halves = np.zeros((16, 16, 1), np.uint8)
    halves[:, 8:] = 200
    row = degrade("low", halves, 0)[8, :, 0]
    assert (row[:6] == 0).all()
    assert (row[10:] == 200).all()
    assert row[6:10].tolist() == [25, 75, 125, 175]  # half-pixel centres, a step of 200 over four pixels


def test_noise_is_as_strong_as_said():
    grey = np.full((96, 96, 3), 128, np.uint8)
    made = degrade("noise", grey, 0).astype(float)
    salt = (made == 255).all(axis=2)
    assert 0.001 < salt.mean() < 0.01
    assert abs(made[~salt].mean() - 128) < 1
    assert abs(made[~salt].std() - 25) < 1
    clear = cut_out()
    assert (degrade("noise", clear, 0)[..., 3] == clear[..., 3]).all()


def test_scratches_are_few_and_thin():
    grey = np.full((64, 64, 3), 128, np.uint8)
    for seed in range(8):
        touched = (degrade("scratches", grey, seed) != 128).any(axis=2)
        assert 0.01 < touched.mean() < 0.3
    clear = cut_out()
    assert (degrade("scratches", clear, 0)[..., 3] == clear[..., 3]).all()


@pytest.mark.parametrize("picture", [disc(), cut_out()], ids=["opaque", "cut out"])
def test_masks_keep_what_is_seen_and_hide_between_a_tenth_and_three(picture):
    seen = picture[..., 3] > 0 if picture.shape[2] == 4 else np.ones(picture.shape[:2], bool)
    for seed in range(12):
        made = degrade("masks", picture, seed)
        hole = (made == 0).all(axis=2) & seen
        assert 0.0999 <= hole.sum() / seen.sum() <= 0.3001
        assert (made[~hole][:, :3] == picture[~hole][:, :3]).all()
        assert (made[~hole & seen][:, 3] == 255).all()


@pytest.mark.parametrize("ground", [(250, 240, 220), (10, 40, 60)])
def test_edges_draw_the_outline_of_what_is_there(ground):
    drawn = degrade("edges", disc(ground=ground), 0)[..., 0]
    y, x = np.indices(drawn.shape) - (drawn.shape[0] - 1) / 2
    away = np.abs(np.hypot(x, y) - drawn.shape[0] * 0.35)
    assert (drawn[away > 3] == 255).all()
    line = np.where(away < 2, drawn, 255).min(axis=1)[10:-10]
    assert (line < 120).all()  # in every row that the outline crosses
    assert 0.02 < (drawn < 128).mean() < 0.12


def test_edges_of_one_lightness_are_seen():
    red, green = (200, 70, 70), (20, 134, 70)  # both of L* 50, but for a unit
    assert degrade("edges", disc(colour=red, ground=green), 0).min() < 100


def test_edges_of_what_is_cut_out_follow_its_alpha_alone():
    dark = degrade("edges", cut_out(), 0)
    assert 0.02 < (dark < 128).mean() < 0.12
    pale = cut_out()
    pale[..., :3] = pale[..., 3:]  # white on nothing: the same outline
    assert np.abs(degrade("edges", pale, 0).astype(int) - dark).max() <= 1
    assert (degrade("edges", np.zeros((16, 16, 4), np.uint8), 0) == 255).all()
    assert (degrade("edges", np.full((16, 16, 3), 90, np.uint8), 0) == 255).all()


def test_a_layout_is_few_flat_colours():
    made = degrade("layout", disc(), 0)
    assert np.unique(made.reshape(-1, 3), axis=0).tolist() == [[220, 60, 40], [250, 240, 220]]
    assert (made != disc()).any(axis=2).mean() < 0.03
    many = np.asarray(blotches(3, 48, 48))
    assert 2 <= len(np.unique(degrade("layout", many, 0).reshape(-1, 3), axis=0)) <= 6
    clear = np.dstack([many, np.full((48, 48), 255, np.uint8)]) * (cut_out()[..., 3:] > 0)
    colours = np.unique(degrade("layout", clear.astype(np.uint8), 0).reshape(-1, 4), axis=0)
    assert 2 <= len(colours) <= 6
    assert set(colours[:, 3]) == {0, 255}


def test_specks_do_not_stay_in_a_layout():
    picture = disc()
    picture[24, 24] = (0, 0, 255)
    picture[3, 3:5] = (0, 0, 255)
    assert (degrade("layout", picture, 0) == degrade("layout", disc(), 0)).mean() > 0.99


# --- sets of pairs that are made ---


@pytest.mark.parametrize("kind", MADE)
def test_made_pairs(tmp_path, kind):
    root = save(tmp_path / "set", {f"{i:02d}.png": blotches(i) for i in range(7)})
    events = do(tmp_path, root, pairs=kind, size=16)
    pack = open_pack("set", tmp_path)
    assert (pack.pairs, pack.source_channels) == (kind, source_channels(kind, 3))
    assert isinstance(pack.sources, np.memmap)
    assert (pack.sources == degrade_picture(kind, np.asarray(pack.images))).all()
    assert pack.meta["pairs"] == {"kind": kind, "channels": pack.source_channels}
    pack.verify()
    result = events[-1]
    assert isinstance(result, Result)
    assert "each with a source (" in result.text
    assert result.facts["pairs"] == kind
    assert [e.done for e in events if isinstance(e, Progress) and e.unit == "sources"][-1] == 7
    assert sorted(path.name for path in pack.path.iterdir()) == [
        "images.npy", "items.jsonl", "pack.json", "rejected.jsonl", "sheet.png", "sources.npy",
    ]  # fmt: skip


def test_the_same_sources_whatever_the_workers(tmp_path):
    root = save(tmp_path / "set", {f"{i:02d}.png": blotches(i) for i in range(9)})
    for name, workers in (("a", 1), ("b", 3)):
        do(tmp_path, root, name=name, pairs="scratches", size=16, workers=workers)
    assert open_pack("a", tmp_path).fingerprint == open_pack("b", tmp_path).fingerprint


def test_blossoms_zips_and_tiles_may_have_made_sources(tmp_path):
    do(tmp_path, "blossoms", count=5, size=32, pairs="edges")
    pack = open_pack("blossoms", tmp_path)
    assert pack.sources is not None
    assert pack.sources.shape == (5, 32, 32, 1)
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for i in range(2):
            data = io.BytesIO()
            blotches(i, 32, 16).save(data, "PNG")
            file.writestr(f"{i}.png", data.getvalue())
    do(tmp_path, archive, tile=16, pairs="grey")
    tiles = open_pack("x", tmp_path)
    assert tiles.count == 4
    assert (tiles.sources == degrade_picture("grey", np.asarray(tiles.images))).all()


def test_a_set_without_pairs_is_as_ever(tmp_path):
    root = save(tmp_path / "set", {f"{i}.png": blotches(i) for i in range(3)})
    do(tmp_path, root, size=16)
    pack = open_pack("set", tmp_path)
    assert (pack.pairs, pack.source_channels, pack.sources) == ("", 0, None)
    assert "pairs" not in pack.meta
    assert not (pack.path / "sources.npy").exists()
    assert pack.fingerprint == fingerprint(chunks(pack.images), pack.label_ids)
    # Made before there were pairs: a picture of known bytes without a label.
    old = fingerprint(iter([np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)]), np.full(1, -1))
    assert old == "d707b46ba37dd2a2ad01c9b3566522e40866a555cb01dbf3d289633dada9f0b9"


# --- sets of pairs that are found ---


@pytest.mark.parametrize(
    "names", [("A", "B"), ("a", "b"), ("trainA", "trainB"), ("source", "target"), ("Source", "Target")]
)
@pytest.mark.parametrize("swap", [False, True])
def test_folders(tmp_path, names, swap):
    first, second = names
    one = {f"{first}/{i}.png": blotches(i, mode="L") for i in range(3)}
    two = {f"{second}/{i}.webp": blotches(i + 10) for i in range(3)}
    root = tmp_path / "set"
    save(root, one)
    for name, picture in two.items():
        (root / name).parent.mkdir(exist_ok=True)
        picture.save(root / name, lossless=True)
    do(tmp_path, root, pairs="folders", swap=swap, size=24)
    pack = open_pack("set", tmp_path)
    greys, colours = (pack.images, pack.sources) if swap else (pack.sources, pack.images)
    assert greys.shape == (3, 24, 24, 1)
    assert (greys[..., 0] == [np.asarray(blotches(i, mode="L")) for i in range(3)]).all()
    assert (colours == [np.asarray(blotches(i + 10)) for i in range(3)]).all()
    assert pack.labels == ()
    assert pack.items[1]["source"] == (f"{first}/1.png" if swap else f"{second}/1.webp")
    assert pack.items[1]["paired_with"] == (f"{second}/1.webp" if swap else f"{first}/1.png")
    assert len(pack.items[1]["paired_sha256"]) == 64
    pack.verify()


def test_what_has_no_partner_or_no_like_one_is_named(tmp_path):
    root = save(
        tmp_path / "set",
        {
            "A/cats/1.png": blotches(1),
            "B/cats/1.png": blotches(11),
            "A/dogs/1.png": blotches(2),
            "B/dogs/1.png": blotches(12),
            "A/lonely.png": blotches(3),
            "B/alone.png": blotches(4),
            "A/large.png": blotches(5, 30, 24),
            "B/large.png": blotches(5),
            "B/cats/1.bmp": blotches(6),
            "A/broken.png": blotches(7),
            "B/broken.png": blotches(7),
            "other/1.png": blotches(8),
        },
    )
    (root / "A" / "broken.png").write_bytes(b"no picture")
    events = do(tmp_path, root, pairs="folders", size=24)
    pack = open_pack("set", tmp_path)
    assert [item["source"] for item in pack.items] == ["B/cats/1.bmp", "B/dogs/1.png"]
    assert pack.labels == ("cats", "dogs")
    assert (pack.sources == [np.asarray(blotches(i)) for i in (1, 2)]).all()
    reasons = rejected(pack)
    assert set(reasons) == {
        "A/lonely.png", "B/alone.png", "B/large.png", "B/cats/1.png", "B/broken.png", "other/1.png",
    }  # fmt: skip
    assert "no partner" in reasons["A/lonely.png"]
    assert "no partner" in reasons["B/alone.png"]
    assert reasons["B/large.png"] == "It has 24x24 pixels and its partner 30x24: a pair is of one size."
    assert "same name but for the suffix" in reasons["B/cats/1.png"]
    assert reasons["B/broken.png"].startswith("Its partner A/broken.png cannot be used: ")
    assert "neither of the two folders" in reasons["other/1.png"]
    assert any("6 files were left out" in e.text for e in events if isinstance(e, Message))


@pytest.mark.parametrize(("split", "expected"), [("train", [1]), ("test", [2]), ("all", [1, 2])])
@pytest.mark.parametrize("form", ["{part}{side}/{i}.png", "{part}/{side}/{i}.png", "{side}/{part}/{i}.png"])
def test_parts_of_pairs(tmp_path, split, expected, form):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for i, part in ((1, "train"), (2, "test")):
            for k, side in enumerate("AB"):
                data = io.BytesIO()
                blotches(10 * k + i).save(data, "PNG")
                file.writestr("around/" + form.format(part=part, side=side, i=i), data.getvalue())
    do(tmp_path, archive, pairs="folders", split=split, size=24)
    pack = open_pack("set", tmp_path)
    found = [np.asarray(blotches(i)) for i in expected]
    assert pack.count == len(expected)
    assert sorted(s.tobytes() for s in np.asarray(pack.sources)) == sorted(s.tobytes() for s in found)


def test_marks_of_a_source_count_for_its_picture(tmp_path):
    root = save(tmp_path / "set", {f"{side}/{i}.png": blotches(i) for side in "AB" for i in range(2)})
    marks = PngImagePlugin.PngInfo()
    marks.add_text("keywords", "noai")
    blotches(0).save(root / "A" / "0.png", pnginfo=marks)
    do(tmp_path, root, pairs="folders", size=24)
    assert [item["source"] for item in open_pack("set", tmp_path).items] == ["B/1.png"]


@pytest.mark.parametrize("swap", [False, True])
def test_side_by_side(tmp_path, swap):
    root = tmp_path / "set"
    pairs = [(np.asarray(blotches(i)), np.asarray(blotches(i + 10))) for i in range(3)]
    save(root, {f"{i}.png": Image.fromarray(np.hstack(pair)) for i, pair in enumerate(pairs)})
    save(root, {"odd.png": blotches(9, 49)})
    do(tmp_path, root, pairs="side-by-side", swap=swap, size=24)
    pack = open_pack("set", tmp_path)
    left, right = (pack.images, pack.sources) if swap else (pack.sources, pack.images)
    assert (left == [pair[0] for pair in pairs]).all()
    assert (right == [pair[1] for pair in pairs]).all()
    assert pack.items[0]["size"] == [24, 24]
    assert rejected(pack) == {"odd.png": "It is 49 pixels wide: two pictures side by side have an even width."}
    (root / "odd.png").unlink()
    do(tmp_path, root, pairs="side-by-side", name="own")
    assert open_pack("own", tmp_path).images.shape[1:] == (24, 24, 3)  # the size of a half


@pytest.mark.parametrize("crop", ["auto", "centre", "smart", "pad", "none"])
def test_both_of_a_pair_are_cut_alike(crop):
    """A source with its interest elsewhere, and without the picture's transparency, lies under it all the same."""
    picture = np.zeros((40, 90, 4), np.uint8)
    picture[10:30, 60:80] = (255, 0, 0, 255)
    source = np.full((40, 90, 3), 255, np.uint8)
    source[10:30, 60:80] = 0
    source[::2, :20] = 0
    first = Image.fromarray(picture)
    made = fit(first, 24, 24, crop).pixels
    other = fit(Image.fromarray(source), 24, 24, crop, like=first).pixels
    inside = made[..., 3] > 250
    assert (other[inside][:, :3] < 60).all()
    if crop == "smart":
        assert inside.any()
        assert (fit(Image.fromarray(source), 24, 24, crop).pixels != other).any()
    if crop == "auto":
        assert (other[..., 3] == fit(first.convert("RGB"), 24, 24, "pad").pixels[..., 3]).all()


def test_pairs_are_cut_alike_by_many_workers_too(tmp_path):
    root = tmp_path / "set"
    pictures = {f"{i:02d}": blotches(i, 48, 24, "RGBA") for i in range(70)}
    save(root, {f"A/{name}.png": blotches(int(name) + 100, 48, 24) for name in pictures})
    save(root, {f"B/{name}.png": picture for name, picture in pictures.items()})
    for name, workers in (("one", 1), ("two", 2)):
        do(tmp_path, root, name=name, pairs="folders", size=24, workers=workers)
    pack, other = open_pack("one", tmp_path), open_pack("two", tmp_path)
    assert pack.fingerprint == other.fingerprint
    assert (pack.channels, pack.source_channels) == (4, 3)
    expected = fit(blotches(103, 48, 24), 24, 24, like=pictures["03"]).pixels
    assert pack.sources is not None
    assert (pack.sources[3, 6:18] == expected[6:18, :, :3]).all()  # padded, as the picture's transparency has it
    assert (pack.sources[3, :6] == pack.sources[3, 0, 0]).all()


def test_dropped_duplicates_leave_the_pairs_as_they_were(tmp_path):
    root = tmp_path / "set"
    names = ["0", "1", "1z", "2", "3"]
    save(root, {f"A/{name}.png": blotches(20 + k, 48, 48) for k, name in enumerate(names)})
    save(root, {f"B/{name}.png": blotches(int(name[0]), 48, 48) for name in names})
    do(tmp_path, root, pairs="folders", size=48, drop_duplicates=True)
    pack = open_pack("set", tmp_path)
    assert [item["source"] for item in pack.items] == ["B/0.png", "B/1.png", "B/2.png", "B/3.png"]
    assert (pack.sources == [np.asarray(blotches(20 + k, 48, 48)) for k in (0, 1, 3, 4)]).all()
    assert (pack.images == [np.asarray(blotches(k, 48, 48)) for k in range(4)]).all()
    pack.verify()
    do(tmp_path, root / "B", name="made", pairs="noise", size=48, drop_duplicates=True)
    made = open_pack("made", tmp_path)
    assert made.count == 4
    assert (made.sources == degrade_picture("noise", np.asarray(made.images))).all()


def test_sources_keep_their_own_colours(tmp_path):
    root = tmp_path / "set"
    clear = blotches(1, mode="RGBA")
    save(root, {"A/1.png": clear, "B/1.png": blotches(2, mode="L")})
    do(tmp_path, root, pairs="folders", size=24)
    pack = open_pack("set", tmp_path)
    assert (pack.channels, pack.source_channels) == (1, 4)
    assert (pack.sources[..., :3] <= pack.sources[..., 3:]).all()


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pairs": "edge"}, "should be 'none', 'folders'"),
        ({"pairs": "folders"}, r"not hold two folders of pairs\. Put the sources into a folder A"),
        ({"pairs": "side-by-side", "tile": 8}, "cannot be cut into tiles"),
        ({"pairs": "side-by-side"}, "an? even width"),
        ({"pairs": "edges", "swap": True}, "folders or side-by-side"),
        ({"swap": True}, "folders or side-by-side"),
        ({"source": "blossoms", "pairs": "folders"}, "Blossoms hold no pairs"),
    ],
)
def test_mistakes_are_sentences(tmp_path, options, said):
    root = save(tmp_path / "set", {"A/1.png": blotches(1, 25), "A/2.png": blotches(2, 25)})
    with pytest.raises(GessoError, match=said):
        do(tmp_path, **{"source": root, **options})
    assert list((tmp_path / "datasets").iterdir() if (tmp_path / "datasets").exists() else []) == []


def test_no_such_part_of_pairs(tmp_path):
    root = save(tmp_path / "set", {"trainA/1.png": blotches(1), "trainB/1.png": blotches(2)})
    with pytest.raises(GessoError, match="no test part"):
        do(tmp_path, root, pairs="folders", split="test")


def test_files_of_arrays_hold_no_pairs(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3, *(2).to_bytes(4), *(28).to_bytes(4), *(28).to_bytes(4)])
        + np.random.default_rng(0).integers(0, 255, 2 * 28 * 28, np.uint8).tobytes()
    )
    with pytest.raises(GessoError, match=r"holds no pairs \(folders\)\. Have them made"):
        do(tmp_path, tmp_path, pairs="folders", name="x")
    do(tmp_path, tmp_path, pairs="low", name="x", size=28)
    pack = open_pack("x", tmp_path)
    assert pack.sources is not None
    assert pack.sources.shape == (2, 28, 28, 1)


def test_tar_archives_of_folders_are_refused(tmp_path):
    import tarfile

    root = save(tmp_path / "set", {"A/1.png": blotches(1), "B/1.png": blotches(2)})
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(root, "set")
    with pytest.raises(GessoError, match="Unpack it"):
        do(tmp_path, tmp_path / "set.tar.gz", pairs="folders")


def test_every_picture_needs_its_source(tmp_path):
    writer = PackWriter(tmp_path, 8, 8, paired=True)
    writer.add(bytes(256), {}, (255, 255, 255), False, False)
    with pytest.raises(ValueError, match="0 sources for 1 pictures"):
        writer.settle(3)
    writer.close()


# --- packs that are not what they say ---


@pytest.fixture
def pack(tmp_path):
    root = save(tmp_path / "set", {f"{i}.png": blotches(i) for i in range(3)})
    do(tmp_path, root, pairs="noise", size=16)
    return open_pack("set", tmp_path)


def test_a_changed_source_is_found_when_asked(tmp_path, pack):
    pack.verify()
    changed = np.load(pack.path / "sources.npy")
    changed[1, 2, 3] ^= 1
    np.save(pack.path / "sources.npy", changed)
    again = open_pack("set", tmp_path)
    assert fingerprint(chunks(again.images), again.label_ids, chunks(changed)) != again.fingerprint
    with pytest.raises(GessoError, match="pictures, sources or labels"):
        again.verify()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ({"kind": "noise", "channels": 1}, r"sources\.npy holds uint8 of shape \(3, 16, 16, 3\)"),
        ({"kind": "noise", "channels": 2}, "shape of its sources"),
        ({"kind": "noise", "channels": True}, "shape of its sources"),
        ({"channels": 3}, "what its pairs are"),
        ({"kind": "", "channels": 3}, "what its pairs are"),
        (None, "what its pairs are"),
        ("noise", "what its pairs are"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(tmp_path, pack, pairs, said):
    meta = json.loads((pack.path / "pack.json").read_text())
    (pack.path / "pack.json").write_text(json.dumps({**meta, "pairs": pairs}))
    with pytest.raises(GessoError, match=said):
        open_pack("set", tmp_path)


def test_missing_sources_are_noticed(tmp_path, pack):
    (pack.path / "sources.npy").unlink()
    with pytest.raises(GessoError, match=r"sources\.npy cannot be read"):
        open_pack("set", tmp_path)
    with pytest.raises(GessoError, match=r"sources\.npy cannot be read"):
        _ = pack.sources


def test_a_sheet_shows_sources_on_the_left():
    images = np.full((2, 10, 10, 3), 40, np.uint8)
    sources = np.full((2, 10, 10, 1), 200, np.uint8)
    sheet = contact_sheet(images, sources=sources)
    row = sheet[sheet.shape[0] // 4, :, 0]
    assert (np.flatnonzero(row == 200).min(), np.flatnonzero(row == 40).min()) == (5, 47)
    assert np.flatnonzero(row == 200).max() < np.flatnonzero(row == 40).max()
    assert contact_sheet(images).shape[1] < sheet.shape[1]
