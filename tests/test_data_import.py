"""The import from end to end, and what it leaves when things go wrong."""

import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gesso.contract.task import Message, Preview, Progress, Result
from gesso.data import check_name, list_packs, open_pack, pack_names
from gesso.data.containers import open_container
from gesso.data.crew import Crew, prepare_all
from gesso.data.decode import guarded
from gesso.data.layouts import Source
from gesso.data.sheet import contact_sheet
from gesso.data.worker import Entry, Recipe
from gesso.errors import GessoError
from gesso.tasks.import_ import Import


def do(home, source, **options):
    return list(Import().run(Import.Options.of({"source": str(source), "workers": 1, **options}), Path(home)))


def saved(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def noise(seed, size=(20, 20), mode="RGB"):
    """A picture like no other: soft coloured blotches."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, len(mode)), np.uint8)
    bands = [Image.fromarray(coarse[..., i]).resize(size, Image.Resampling.BICUBIC) for i in range(len(mode))]
    return Image.merge(mode, bands) if len(mode) > 1 else bands[0]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "my pictures"
    for i in range(12):
        kind = ("cats", "dogs")[i % 2]
        (root / kind).mkdir(parents=True, exist_ok=True)
        noise(i).save(root / kind / f"{i}.png")
    return root


def rejected(pack):
    with (pack.path / "rejected.jsonl").open() as lines:
        return {row["source"]: row for row in map(json.loads, lines)}


def test_a_folder_becomes_a_pack(tmp_path, folder):
    events = do(tmp_path, folder, size=16)
    assert isinstance(events[-1], Result)
    assert isinstance(events[-2], Preview)
    assert any(isinstance(e, Message) for e in events)
    progress = [e for e in events if isinstance(e, Progress)]
    assert (progress[-1].done, progress[-1].total, progress[-1].unit) == (12, 12, "pictures")
    pack = open_pack("my-pictures", tmp_path)
    assert (pack.count, pack.height, pack.width, pack.channels) == (12, 16, 16, 3)
    assert pack.labels == ("cats", "dogs")
    assert pack.label_ids.tolist() == [0] * 6 + [1] * 6
    assert pack.images.shape == (12, 16, 16, 3)
    assert isinstance(pack.images, np.memmap)
    assert pack.items[0]["source"] == "cats/0.png"
    assert pack.items[0]["size"] == [20, 20]
    assert len(pack.items[0]["sha256"]) == 64
    assert events[-2].path == pack.sheet
    with Image.open(pack.sheet) as sheet:
        assert sheet.width > 16
    pack.verify()
    assert [p.name for p in list_packs(tmp_path)] == ["my-pictures"]
    assert sorted(p.name for p in (tmp_path / "datasets").iterdir()) == ["my-pictures"]


def test_the_same_pictures_give_the_same_fingerprint(tmp_path, folder):
    for name, workers in (("a", 1), ("b", 2)):
        do(tmp_path, folder, name=name, workers=workers)
    one, other = open_pack("a", tmp_path), open_pack("b", tmp_path)
    assert one.fingerprint == other.fingerprint
    assert (one.path / "items.jsonl").read_bytes() == (other.path / "items.jsonl").read_bytes()


def test_a_path_opens_a_pack_too(tmp_path, folder):
    do(tmp_path, folder, name="a")
    assert open_pack(tmp_path / "datasets" / "a", tmp_path / "elsewhere").name == "a"


# --- names ---


def test_a_name_in_use(tmp_path, folder):
    do(tmp_path, folder, name="flowers")
    before = open_pack("flowers", tmp_path).fingerprint
    with pytest.raises(GessoError, match="data set 'flowers' already"):
        do(tmp_path, folder, name="Flowers")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GessoError, match="no files"):
        do(tmp_path, tmp_path / "empty", name="flowers", replace=True)
    assert open_pack("flowers", tmp_path).fingerprint == before
    noise(99).save(folder / "cats" / "new.png")
    do(tmp_path, folder, name="flowers", replace=True)
    assert open_pack("flowers", tmp_path).count == 13
    assert [p.name for p in (tmp_path / "datasets").iterdir()] == ["flowers"]


@pytest.mark.parametrize("name", ["../x", "a/b", "con", "x" * 99])
def test_bad_names_leave_nothing(tmp_path, folder, name):
    with pytest.raises(GessoError, match="cannot be the name"):
        do(tmp_path, folder, name=name)
    assert not (tmp_path / "datasets").exists()


def test_names_come_from_the_source(tmp_path, folder):
    archive = tmp_path / "Été & Co. (1).zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.png", saved(noise(1)))
    do(tmp_path, archive)
    (name,) = pack_names(tmp_path)
    assert check_name(name) == "été-co.-1"


@pytest.mark.parametrize(
    ("files", "said"),
    [({}, "no files in it"), ({"a.txt": b"hello", "b.json": b"{}"}, "could be used"), ({"a.png": b""}, "empty")],
)
def test_nothing_usable_leaves_nothing(tmp_path, files, said):
    root = tmp_path / "x"
    root.mkdir()
    for name, content in files.items():
        (root / name).write_bytes(content)
    with pytest.raises(GessoError, match=said):
        do(tmp_path, root)
    assert list((tmp_path / "datasets").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": "big"}, "write one number"),
        ({"size": 4}, "between 8 and 2048"),
        ({"background": "mauvish"}, "no colour"),
        ({"label_column": "kind"}, "no column 'kind'"),
        ({"source": "/nowhere/at/all"}, "nothing at"),
        ({"tile": "9000"}, "between 4 and 2048"),
    ],
)
def test_mistakes_are_sentences(tmp_path, folder, options, said):
    with pytest.raises(GessoError, match=said):
        do(tmp_path, **{"source": folder, **options})


# --- channels ---


def root_of(tmp_path, images):
    root = tmp_path / "set"
    root.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        image.save(root / f"{i:03d}.png")
    return root


def test_channels_are_chosen_by_what_is_there(tmp_path):
    grey = [noise(i, mode="L") for i in range(3)]
    colour = [noise(i) for i in range(3)]
    clear = noise(7).convert("RGBA")
    clear.putalpha(noise(8, mode="L"))
    for images, expected in (
        (grey, 1),
        (grey + colour, 3),
        ([*colour, clear], 4),
        ([im.convert("RGBA") for im in colour], 3),
    ):
        for old in (tmp_path / "set").glob("*"):
            old.unlink()
        do(tmp_path, root_of(tmp_path, images), name=f"n{expected}", replace=True)
        pack = open_pack(f"n{expected}", tmp_path)
        assert pack.channels == expected
        assert pack.meta["alpha"] == ("premultiplied" if expected == 4 else None)
        if expected == 1:
            assert np.abs(pack.images[0, ..., 0].astype(int) - np.asarray(grey[0])).max() <= 1
        elif expected == 4:
            assert (pack.images[..., :3] <= pack.images[..., 3:]).all()
        else:
            assert (pack.images[-1] == np.asarray(colour[-1])).all()


def test_backgrounds(tmp_path):
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (4, 4, 12, 12))
    wide = Image.new("RGB", (32, 16), (0, 128, 0))
    root = root_of(tmp_path, [clear, wide])
    do(tmp_path, root, name="auto", channels="rgb", crop="pad", size=16)
    images = open_pack("auto", tmp_path).images
    assert images[0, 0, 0].tolist() == [255, 255, 255]
    assert images[1, 0, 0].tolist() == [0, 128, 0]
    do(tmp_path, root, name="given", channels="rgb", crop="pad", size=16, background="#102030")
    images = open_pack("given", tmp_path).images
    assert images[0, 0, 0].tolist() == images[1, 0, 0].tolist() == [16, 32, 48]
    do(tmp_path, root, name="kept", channels="rgba", crop="pad", size=16)
    assert open_pack("kept", tmp_path).images[:, 0, 0].max() == 0


def test_sizes(tmp_path, folder):
    do(tmp_path, folder, name="own")
    assert open_pack("own", tmp_path).images.shape[1:3] == (20, 20)
    noise(50, (31, 47)).save(folder / "odd.png")
    do(tmp_path, folder, name="mixed")
    assert open_pack("mixed", tmp_path).images.shape[1:3] == (64, 64)
    do(tmp_path, folder, name="wide", size="48x16")
    assert open_pack("wide", tmp_path).images.shape[1:3] == (16, 48)


# --- two hundred good, two hundred bad ---


def bad_files(rng):
    """200 files that are no whole pictures, each of some kind of damage."""
    good = [
        saved(noise(i, (40, 40)), kind) for i, kind in enumerate(("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"))
    ]

    def bomb(side):
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
        return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))

    makers = [
        lambda i: good[i % 7][: int(len(good[i % 7]) * rng.uniform(0.1, 0.8))],
        lambda i: bomb(int(rng.integers(9_000, 100_000))),
        lambda i: b"",
        lambda i: bytes(int(rng.integers(1, 4000))),
        lambda i: b"only words " * int(rng.integers(1, 50)),
        lambda i: pickle.dumps(["a"] * i),
        lambda i: b"<!doctype html><html><script>alert(1)</script></html>",
        lambda i: b"GIF89a=1/*" + b"<script>" * i + b"*/",
        lambda i: rng.bytes(int(rng.integers(20, 3000))),
        lambda i: b"\x89PNG\r\n\x1a\n" + rng.bytes(200),
        lambda i: good[0].replace(b"IHDR", b"IHDS"),
        lambda i: b"PK\x03\x04" + good[0],
        lambda i: b"<svg xmlns='http://www.w3.org/2000/svg'><rect",
        lambda i: json.dumps({"n": i}).encode(),
    ]
    return [makers[i % len(makers)](i) for i in range(200)]


def good_files():
    """200 whole pictures, a good part of them odd."""
    files = []
    exif = Image.Exif()
    exif[0x0112] = 6
    trailing = saved(noise(3)) + b"PK\x03\x04 a second file behind the first"
    for i in range(200):
        image = noise(1000 + i)
        files.append(
            [
                lambda im: saved(im),
                lambda im: saved(im.convert("CMYK"), "JPEG"),
                lambda im: saved(im.quantize(16)),
                lambda im: saved(im.convert("L").convert("1")),
                lambda im: saved(Image.fromarray(np.asarray(im.convert("L")).astype(np.uint16) * 257)),
                lambda im: saved(im, "GIF", save_all=True, append_images=[im.rotate(90)]),
                lambda im: saved(im, "JPEG", exif=exif),
                lambda im: saved(im.convert("LA")),
                lambda im: saved(im, "WEBP"),
                lambda im: trailing,
            ][i % 10](image)
        )
    return files


@pytest.mark.parametrize("workers", [1, 2])
def test_exactly_the_good_are_accepted(tmp_path, workers):
    root = tmp_path / "mixed"
    root.mkdir()
    for i, content in enumerate(good_files()):
        (root / f"good{i:03d}.png").write_bytes(content)
    for i, content in enumerate(bad_files(np.random.default_rng(5))):
        (root / f"bad{i:03d}.png").write_bytes(content)
    (root / "folder.png").mkdir()
    os.mkfifo(root / "pipe.png")
    (root / "dead.png").symlink_to(root / "nowhere")
    (root / "notes.txt").write_text("hello")
    locked = root / "locked.png"
    locked.write_bytes(saved(noise(1)))
    locked.chmod(0)
    readable = os.access(locked, os.R_OK)  # so it is for root
    do(tmp_path, root, size=16, workers=workers)
    pack = open_pack("mixed", tmp_path)
    accepted = {item["source"] for item in pack.items}
    assert accepted == {f"good{i:03d}.png" for i in range(200)} | ({"locked.png"} if readable else set())
    out = rejected(pack)
    expected = {f"bad{i:03d}.png" for i in range(200)} | {"folder.png/", "pipe.png", "dead.png", "notes.txt"}
    assert set(out) == expected | (set() if readable else {"locked.png"})
    assert all(row["reason"].endswith(".") and len(row["reason"]) > 10 for row in out.values())
    assert pack.meta["summary"]["converted"]["CMYK to sRGB"] == 20
    assert pack.meta["summary"]["converted"]["first of 2 frames"] == 20


def test_a_folder_that_may_not_be_read_is_named(tmp_path, folder, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    do(tmp_path, folder, name="a")
    pack = open_pack("a", tmp_path)
    assert pack.count == 6
    assert "cannot be read" in rejected(pack)["dogs/"]["reason"]


# --- sheets of sprites ---


def test_tiles(tmp_path):
    sheet = Image.new("RGBA", (70, 33), (0, 0, 0, 0))
    sheet.paste(noise(1, (16, 16)), (0, 0))
    sheet.paste(noise(2, (16, 16)), (48, 16))
    sheet.paste((255, 0, 0, 255), (16, 0, 32, 16))
    events = do(tmp_path, root_of(tmp_path, [sheet, noise(3, (8, 8))]), tile=16, name="tiles")
    pack = open_pack("tiles", tmp_path)
    assert pack.images.shape == (2, 16, 16, 3)
    assert [item["tile"] for item in pack.items] == [[0, 0, 16, 16], [48, 16, 16, 16]]
    assert (pack.images[0] == np.asarray(noise(1, (16, 16)))).all()
    assert pack.meta["summary"]["blank_tiles"] == 6
    assert "smaller" in rejected(pack)["001.png"]["reason"]
    assert any("6 tiles" in e.text for e in events if isinstance(e, Message))


# --- rights ---


def marked_png(seed):
    info = PngImagePlugin.PngInfo()
    info.add_text("tdm-reservation", "1")
    return saved(noise(seed), pnginfo=info)


def test_marked_pictures_are_left_out(tmp_path, folder):
    (folder / "cats" / "mine.png").write_bytes(marked_png(70))
    events = do(tmp_path, folder, name="a")
    pack = open_pack("a", tmp_path)
    assert pack.count == 12
    row = rejected(pack)["cats/mine.png"]
    assert row["kind"] == "marked"
    assert "TDM reservation" in row["reason"]
    assert any("no model may learn" in e.text for e in events if isinstance(e, Message))
    do(tmp_path, folder, name="b", use_marked=True)
    used = open_pack("b", tmp_path)
    assert used.count == 13
    assert [item["marks"] for item in used.items if "marks" in item] == [["TDM reservation"]]
    assert used.meta["summary"]["marked_but_used"] == 1


def test_all_marked_leaves_nothing(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").write_bytes(marked_png(1))
    with pytest.raises(GessoError, match="marked as not for training"):
        do(tmp_path, tmp_path / "x")


def test_rights_come_from_columns_then_files_then_flags(tmp_path):
    root = root_of(tmp_path, [noise(0), noise(1), noise(2)])
    exif = Image.Exif()
    exif[0x013B] = "Embedded"
    for i in (0, 1):
        noise(i).save(root / f"{i:03d}.png", exif=exif)
    (root / "metadata.csv").write_text("file_name,author,licence\n000.png,Column,CC0\n")
    do(tmp_path, root, name="a", creator="Flag", licence="MIT", consent="own work")
    items = open_pack("a", tmp_path).items
    assert [item["creator"] for item in items] == ["Column", "Embedded", "Flag"]
    assert [item["licence"] for item in items] == ["CC0", "MIT", "MIT"]
    assert {item["consent"] for item in items} == {"own work"}


# --- duplicates ---


def test_duplicates_are_reported_and_dropped_when_asked(tmp_path):
    images = [noise(i, (48, 48)) for i in range(6)]
    root = root_of(tmp_path, images)
    images[2].save(root / "zcopy.png")
    images[3].save(root / "zjpeg.jpg", quality=88)
    images[4].resize((96, 96), Image.Resampling.LANCZOS).save(root / "zlarge.png")
    events = do(tmp_path, root, name="a", size=48)
    pack = open_pack("a", tmp_path)
    assert pack.count == 9
    with (pack.path / "duplicates.jsonl").open() as lines:
        pairs = {(row["first"], row["again"]) for row in map(json.loads, lines)}
    assert pairs == {("002.png", "zcopy.png"), ("003.png", "zjpeg.jpg"), ("004.png", "zlarge.png")}
    assert any("--drop-duplicates" in e.text for e in events if isinstance(e, Message))
    do(tmp_path, root, name="b", size=48, drop_duplicates=True)
    dropped = open_pack("b", tmp_path)
    assert [item["source"] for item in dropped.items] == [f"{i:03d}.png" for i in range(6)]
    assert (dropped.images == pack.images[:6]).all()
    assert rejected(dropped)["zcopy.png"] == {
        "source": "zcopy.png",
        "kind": "duplicate",
        "reason": "It is nearly the same as 002.png.",
    }
    dropped.verify()


# --- workers ---


def test_a_file_that_kills_its_worker_costs_only_itself():
    entries = [Entry(f"{i}.png", saved(noise(i))) for i in range(70)]
    # A decoder that crashes, and one that never ends: what the other process finds when it asks for the pixels.
    entries[40].data = SimpleNamespace(paint=partial(os._exit, 3))
    entries[65].data = SimpleNamespace(paint=partial(time.sleep, 60))
    with Crew(Recipe(16, 16), workers=2, patience=2) as crew:
        outcomes = list(crew.run(entries))
    assert [o.source for o in outcomes] == [e.source for e in entries]
    lost = {o.source: o.reason for o in outcomes if o.lost}
    assert lost == {"40.png": "It made its decoder crash.", "65.png": "Decoding it took more than 2 seconds."}
    assert all(len(o.ready) == 1 for o in outcomes if not o.lost)


def test_workers_that_cannot_start_are_said(monkeypatch):
    monkeypatch.setattr("gesso.data.crew.CALL", "raise SystemExit(1)")
    entries = [Entry(f"{i}.png", saved(noise(i))) for i in range(64)]
    with pytest.raises(GessoError, match="could not be started"):
        list(prepare_all(entries, Recipe(16, 16), 2))


def test_workers_import_no_torch():
    heavy = "print([m for m in ('torch', 'scipy', 'c2pa') if m in sys.modules])"
    call = f"import sys, gesso.data.worker, gesso.data.importing; {heavy}"
    assert subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True).stdout == "[]\n"
    light = "import sys, gesso.tasks.import_; print([m for m in ('numpy', 'PIL', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", light], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_closing_the_import_leaves_nothing(tmp_path):
    events = Import().run(Import.Options(source="blossoms", size="16", count=5000, workers=2), tmp_path)
    for event in events:
        if isinstance(event, Progress):
            break
    events.close()
    assert list((tmp_path / "datasets").iterdir()) == []


def test_kill_9_leaves_the_old_pack_and_no_half_one(tmp_path):
    do(tmp_path, "blossoms", size=16, count=5, name="mine")
    before = open_pack("mine", tmp_path).fingerprint
    call = (
        "import sys; from pathlib import Path; from gesso.tasks.import_ import Import\n"
        "options = Import.Options(source='blossoms', size='16', count=200000, workers=2, name='mine', replace=True)\n"
        "for event in Import().run(options, Path(sys.argv[1])): print(event, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", call, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"Progress"):
                break
        process.send_signal(signal.SIGKILL)
    assert len(list((tmp_path / "datasets").iterdir())) == 2  # the old one, and what was being written
    assert pack_names(tmp_path) == ["mine"]
    assert open_pack("mine", tmp_path).fingerprint == before
    do(tmp_path, "blossoms", size=16, count=3, name="other")
    assert sorted(p.name for p in (tmp_path / "datasets").iterdir()) == ["mine", "other"]


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path, monkeypatch):
    count, side = 1200, 112

    def entries():
        rng = np.random.default_rng(0)
        for i in range(count):
            yield Entry(f"{i}", rng.integers(0, 255, (8, 8, 3), np.uint8))

    source = Source("noise", count, entries(), open_container(tmp_path))
    monkeypatch.setattr("gesso.data.importing._source", lambda options: source)
    tracemalloc.start()
    try:
        do(tmp_path, "noise", size=side, name="many")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    written = count * side * side * 4
    assert peak < written / 1.5  # buffers of some 32 megabytes, whatever the number
    assert open_pack("many", tmp_path).count == count


# --- packs that are not what they say ---


@pytest.fixture
def pack(tmp_path, folder):
    do(tmp_path, folder, name="flowers")
    return open_pack("flowers", tmp_path)


def test_no_such_pack_names_the_nearest(tmp_path, pack):
    with pytest.raises(GessoError, match="Did you mean 'flowers'"):
        open_pack("flower", tmp_path)
    with pytest.raises(GessoError, match="no data set"):
        open_pack("../..", tmp_path)
    with pytest.raises(GessoError, match="Make one first"):
        open_pack("x", tmp_path / "nowhere")


def change(pack, **values):
    meta = json.loads((pack.path / "pack.json").read_text())
    (pack.path / "pack.json").write_text(json.dumps({**meta, **values}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"version": 99}, "newer Gesso"),
        ({"version": "1"}, "newer Gesso"),
        ({"format": "other"}, "not that of a data set"),
        ({"count": 5}, "images.npy holds"),
        ({"count": -1}, "shape"),
        ({"height": 10**9}, "images.npy holds"),
        ({"channels": 2}, "shape"),
        ({"labels": [1]}, "labels"),
        ({"fingerprint": None}, "fingerprint"),
    ],
)
def test_packs_that_do_not_fit_are_refused(tmp_path, pack, values, said):
    change(pack, **values)
    with pytest.raises(GessoError, match=said):
        open_pack("flowers", tmp_path)
    assert list_packs(tmp_path) == []
    assert pack_names(tmp_path) == ["flowers"]


@pytest.mark.parametrize("name", ["pack.json", "images.npy", "items.jsonl"])
def test_damaged_packs_are_noticed(tmp_path, pack, name):
    data = (pack.path / name).read_bytes()
    for content in (None, b"", data[: len(data) // 2]):
        (pack.path / name).unlink() if content is None else (pack.path / name).write_bytes(content)
        with pytest.raises(GessoError):
            _ = open_pack("flowers", tmp_path).items


def test_planted_pickles_in_a_pack_are_not_opened(tmp_path, pack):
    np.save(pack.path / "images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(GessoError, match="images"):
        open_pack("flowers", tmp_path)


def test_a_changed_pixel_is_found_when_asked(tmp_path, pack):
    path = pack.path / "images.npy"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(GessoError, match="not those that were imported"):
        open_pack("flowers", tmp_path).verify()


# --- the sheet ---


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (100, 8, 8, 1), (7, 300, 200, 4), (64, 32, 96, 3), (3, 700, 20, 3)])
def test_sheets_of_any_shape(shape):
    images = np.random.default_rng(0).integers(0, 200, shape, np.uint8)
    if shape[3] == 4:
        images[..., 3] = 255
    sheet = contact_sheet(images)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert 16 < max(sheet.shape) < 2500


def test_one_picture_in_process_and_out_of_it_is_the_same():
    entries = [Entry(f"{i}.png", saved(noise(i, (40, 31)))) for i in range(65)]
    alone = list(prepare_all(entries, Recipe(16, 16), 1))
    crew = list(prepare_all(entries, Recipe(16, 16), 2))
    assert alone == crew
    with guarded():
        assert alone[0].ready[0].item["size"] == [40, 31]
