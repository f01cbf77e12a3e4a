"""Folders, archives, tables and arrays: what is read, and what is refused."""

import gzip
import io
import json
import os
import pickle
import posixpath
import stat
import struct
import sys
import tarfile
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gesso.data.arrays import read_idx, safe_unpickle
from gesso.data.containers import open_container, printable
from gesso.data.layouts import open_source
from gesso.data.pack import check_name, make_name
from gesso.data.tables import METADATA, read_dataset_json
from gesso.data.write import natural
from gesso.errors import GessoError


def png(colour=(200, 30, 40), size=(12, 12)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def fill(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            content = content if isinstance(content, bytes) else content.encode()
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def entries(path, label_column="", split="train"):
    source = open_source(path, label_column, split)
    try:
        return list(source.entries), source
    finally:
        source.close()


def labels(path, **how):
    return {entry.source: entry.label for entry in entries(path, **how)[0]}


# --- folders and metadata, in each kind of container ---


@pytest.fixture(params=["folder", "zip", "tar.gz", "tar"])
def packed(request, tmp_path):
    def pack(files):
        if request.param == "folder":
            return fill(tmp_path / "set", files)
        if request.param == "zip":
            return zipped(tmp_path / "set.zip", files)
        return tarred(tmp_path / f"set.{request.param}", files, "w:gz" if request.param == "tar.gz" else "w")

    return pack


def test_sub_folders_are_labels(packed):
    path = packed({"cats/a.png": png(), "cats/deep/b.png": png(), "dogs/a.png": png(), "c.png": png()})
    assert labels(path) == {"cats/a.png": "cats", "cats/deep/b.png": "cats", "dogs/a.png": "dogs", "c.png": ""}


def test_a_folder_around_everything_is_no_label(packed):
    path = packed({"my pictures/cats/a.png": png(), "my pictures/dogs/a.png": png()})
    assert labels(path) == {"cats/a.png": "cats", "dogs/a.png": "dogs"}


def test_litter_is_not_seen(packed):
    path = packed(
        {"a.png": png(), ".DS_Store": "x", "__MACOSX/._a.png": "x", "Thumbs.db": "x", "x/.hidden/b.png": png()}
    )
    assert labels(path) == {"a.png": ""}


def test_metadata_csv(packed):
    head = "\ufefffile_name,text,label,year,license,artist\r\n"
    table = head + 'a.png,"red, very",x,1900,CC0,Mo\r\nsub/b.png,blue,,,,\r\ngone.png,,,,,\r\n'
    path = packed({"metadata.csv": table, "a.png": png(), "sub/b.png": png(), "c.png": png()})
    found, source = entries(path)
    by_name = {entry.source: entry for entry in found}
    assert set(by_name) == {"a.png", "sub/b.png", "c.png"}
    assert by_name["a.png"].text == "red, very"
    assert by_name["a.png"].label == "x"
    assert by_name["a.png"].columns == {"year": "1900", "licence": "CC0", "creator": "Mo"}
    assert by_name["sub/b.png"].label == ""  # the column decides, also by being empty
    assert by_name["c.png"].text == ""
    assert source.notes == ["1 rows of the metadata name pictures that are not there."]


def test_metadata_jsonl_and_the_label_column(packed):
    rows = [{"file_name": "a.png", "kind": 3, "caption": "one"}, {"file_name": "./b.png", "kind": "five"}]
    path = packed({"metadata.jsonl": "\n".join(map(json.dumps, rows)) + "\n", "a.png": png(), "b.png": png()})
    assert labels(path, label_column="kind") == {"a.png": "3", "b.png": "five"}
    with pytest.raises(GessoError, match=r"no column 'kindd'\. Did you mean 'kind'"):
        entries(path, label_column="kindd")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metadata.csv", "text\nhello\n", "line 2, does not name a picture"),
        ("metadata.csv", 'file_name,text\na.png,"open\n', "not CSV"),
        ("metadata.csv", b"file_name\n\xff\xfe\n", "UTF-8"),
        ("metadata.jsonl", '{"file_name": "a.png"}\n[1]\n', "line 2, is not a JSON object"),
        ("metadata.jsonl", "{", "line 1"),
    ],
)
def test_metadata_that_cannot_be_read_is_named(tmp_path, name, text, said):
    with pytest.raises(GessoError, match=said):
        entries(fill(tmp_path, {name: text, "a.png": png()}))


def test_dataset_json(packed):
    said = json.dumps({"labels": [["00000/a.png", 6], ["00000/b.png", [0, 1, 0]], ["c.png", 0]]})
    path = packed({"dataset.json": said, "00000/a.png": png(), "00000/b.png": png(), "c.png": png()})
    assert labels(path) == {"00000/a.png": "6", "00000/b.png": "1", "c.png": "0"}


@settings(max_examples=40)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_dataset_json_of_any_form(value):
    for content in (value, {"labels": value}):
        try:
            found = read_dataset_json(json.dumps(content).encode(), "dataset.json", "")
        except GessoError:
            continue
        assert all(isinstance(word, str) for word in found.values())


def test_captions_beside_pictures(packed):
    path = packed({"a.png": png(), "a.txt": "a red\nsquare", "b.png": png(), "note.txt": "not a caption"})
    found, _ = entries(path)
    assert {e.source: e.text for e in found} == {"a.png": "a red square", "b.png": "", "note.txt": ""}


def test_parts_for_training_and_testing(packed):
    path = packed({"train/cats/a.png": png(), "train/dogs/b.png": png(), "test/cats/c.png": png()})
    found, source = entries(path)
    assert {e.source: e.label for e in found} == {"train/cats/a.png": "cats", "train/dogs/b.png": "dogs"}
    assert found[0].columns["split"] == "train"
    assert "--split all" in source.notes[0]
    assert len(labels(path, split="test")) == 1
    assert set(labels(path, split="all").values()) == {"cats", "dogs"}


def test_a_folder_called_train_among_others_is_a_label(packed):
    path = packed({"train/a.png": png(), "car/b.png": png()})
    assert set(labels(path).values()) == {"train", "car"}


@pytest.mark.parametrize("names", [("A", "B"), ("trainA", "trainB")])
def test_pairs(packed, names):
    one, two = names
    path = packed({f"{one}/1.png": png(), f"{two}/1.jpg": png(), f"{one}/2.png": png(), f"{two}/2.jpg": png()})
    found, source = entries(path)
    assert [(e.label, e.columns["pair"]) for e in sorted(found, key=lambda e: e.source)] == [
        ("A", "1"),
        ("A", "2"),
        ("B", "1"),
        ("B", "2"),
    ]
    assert "pairs" in source.kind


def test_tdmrep_at_the_top(packed):
    rules = json.dumps([{"location": "/kept/*", "tdm-reservation": 1}])
    path = packed({"tdmrep.json": rules, "kept/a.png": png(), "free/b.png": png()})
    found, _ = entries(path)
    reserved = {e.source: e.reserved for e in found}
    assert reserved["kept/a.png"]
    assert not reserved["free/b.png"]


def test_tdmrep_in_well_known(tmp_path):
    path = fill(tmp_path, {".well-known/tdmrep.json": '[{"location": "/", "tdm-reservation": 1}]', "a.png": png()})
    assert entries(path)[0][0].reserved


# --- what archives try ---


def test_names_that_climb_are_refused_and_nothing_is_written(tmp_path):
    names = ["../out.png", "/abs.png", "a/../../b.png", "C:\\x.png", "..\\win.png"]
    before = sorted(tmp_path.parent.iterdir())
    for path in (
        zipped(tmp_path / "x.zip", {**dict.fromkeys(names, png()), "good.png": png()}),
        tarred(tmp_path / "x.tar.gz", {**dict.fromkeys(names, png()), "good.png": png()}),
    ):
        found, source = entries(path)
        assert [e.source for e in found] == ["good.png"]
        assert len(source.refused) == len(names)
        assert all("leads out" in reason for _, reason in source.refused)
    assert sorted(tmp_path.parent.iterdir()) == before


def test_links_and_devices_are_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind, target in (
            ("s", tarfile.SYMTYPE, "/etc/passwd"),
            ("h", tarfile.LNKTYPE, "s"),
            ("d", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name + ".png")
            info.type, info.linkname = kind, target
            archive.addfile(info)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    for name, count in (("x.tar", 3), ("x.zip", 1)):
        found, source = entries(tmp_path / name)
        assert found == []
        assert len(source.refused) == count


def test_zip_bombs_are_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", {"bomb.bmp": bytes(40 << 20), "a.png": png()})
    found, source = entries(path)
    assert [e.source for e in found] == ["a.png"]
    assert "thousand times" in source.refused[0][1]


def test_an_archive_that_promises_too_much_is_refused(tmp_path, monkeypatch):
    from gesso.data import containers

    monkeypatch.setattr(containers, "ROOM", 1 << 20)
    data = {f"{i}.bmp": bytes(4 << 20) for i in range(4)}
    for path in (zipped(tmp_path / "x.zip", data), tarred(tmp_path / "x.tar.gz", data)):
        with pytest.raises(GessoError, match="times its size"):
            open_container(path)


def test_locked_damaged_and_nested(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"a.png": png()}).read_bytes()
    path = zipped(tmp_path / "x.zip", {"inner.zip": inner, "a.png": png(), "b.png": os.urandom(500)})
    data = bytearray(path.read_bytes())
    at = data.index(b"b.png") + 5
    data[at + 3] ^= 0xFF  # b.png fails its checksum now
    path.write_bytes(bytes(data))
    found, _ = entries(path)
    by_name = {e.source: e for e in found}
    assert "unpacked" in by_name["b.png"].fault
    assert by_name["inner.zip"].data[:2] == b"PK"  # the decoder will say what it is
    for broken in (b"PK\x03\x04nonsense", b"", b"\x1f\x8bnonsense"):
        (tmp_path / "y.zip").write_bytes(broken)
        with pytest.raises(GessoError):
            entries(tmp_path / "y.zip")
    (tmp_path / "z.zip").write_bytes(path.read_bytes()[:-30])
    with pytest.raises(GessoError):
        entries(tmp_path / "z.zip")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=6, unique=True))
def test_names_in_archives_may_be_anything(tmp_path, names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            if posixpath.basename(name).lower() in (*METADATA, "dataset.json"):
                continue  # these are read as tables, and a table of "x" is refused as a whole
            try:
                archive.writestr(name, b"x")
            except (UnicodeEncodeError, ValueError, IndexError):
                continue
    path = tmp_path / "names.zip"
    path.write_bytes(file.getvalue())
    found, source = entries(path, split="all")
    for name in [e.source for e in found] + [name for name, _ in source.refused]:
        assert name.isprintable()
        assert ".." not in name.split("/") or any(name == n for n, _ in source.refused)
        json.dumps(name).encode()


@pytest.mark.skipif(sys.platform == "win32", reason="names of bytes")
def test_file_names_that_are_no_text(tmp_path):
    (tmp_path / os.fsdecode(b"\xff\xfe.png")).write_bytes(png())
    (tmp_path / "new\nline.png").write_bytes(png())
    found, _ = entries(tmp_path)
    assert all(e.source.isprintable() for e in found)
    assert len(found) == 2


def test_loops_of_links_end(tmp_path):
    fill(tmp_path, {"a/x.png": png()})
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere")
    found, _ = entries(tmp_path)
    assert {e.source for e in found} == {"a/x.png", "dead.png"}


@given(st.text())
def test_printable(text):
    assert printable(text).isprintable()


def test_missing_and_unknown_sources(tmp_path):
    with pytest.raises(GessoError, match="nothing at"):
        open_source(tmp_path / "none")
    (tmp_path / "x.bin").write_bytes(b"whatever")
    with pytest.raises(GessoError, match="neither a folder nor an archive"):
        open_source(tmp_path / "x.bin")


# --- names of data sets ---


@given(st.text(max_size=100))
def test_any_text_makes_a_good_name(text):
    assert check_name(make_name(text))


@pytest.mark.parametrize("name", ["a", "Emoji-64", "v1.2_b", "花", "0", "x" * 64])
def test_good_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        ".x",
        "-x",
        "a b",
        "con",
        "NUL.txt",
        "com1",
        "x" * 65,
        "a\0",
        "a.",
        "\ud800",
        "é́/",
        "*",
    ],
)
def test_bad_names(name):
    with pytest.raises(GessoError, match="cannot be the name"):
        check_name(name)


@given(st.lists(st.text(alphabet="aB1290", max_size=8)))
def test_natural_order_is_an_order(words):
    turned = list(reversed(words))
    assert sorted(words, key=natural) == sorted(turned, key=natural)
    assert sorted(["10", "9", "1"], key=natural) == ["1", "9", "10"]


# --- CIFAR and MNIST ---


def cifar_files(hundred=False):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (10, 3072), np.uint8)
    if hundred:
        batch = {
            b"data": pixels,
            b"fine_labels": list(range(10)),
            b"coarse_labels": [0] * 5 + [1] * 5,
            b"filenames": [b"x.png"] * 10,
        }
        meta = {b"fine_label_names": [b"fine_%d" % i for i in range(100)], b"coarse_label_names": [b"fish", b"trees"]}
        return {"train": batch, "test": batch, "meta": meta}, pixels
    batch = {b"batch_label": b"1", b"labels": list(range(10)), b"data": pixels, b"filenames": [b"x.png"] * 10}
    meta = {b"num_cases_per_batch": 10, b"label_names": [b"kind%d" % i for i in range(10)], b"num_vis": 3072}
    return {"data_batch_1": batch, "data_batch_2": batch, "test_batch": batch, "batches.meta": meta}, pixels


@pytest.mark.parametrize("hundred", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar_python(packed, hundred, protocol):
    files, pixels = cifar_files(hundred)
    path = packed({f"cifar/{name}": pickle.dumps(content, protocol) for name, content in files.items()})
    found, source = entries(path)
    assert source.kind == ("CIFAR-100" if hundred else "CIFAR-10")
    assert len(found) == (10 if hundred else 20)
    assert found[3].label == ("fine_3" if hundred else "kind3")
    expected = pixels[3].reshape(3, 32, 32).transpose(1, 2, 0)
    assert (found[3].data == expected).all()
    if hundred:
        assert found[3].columns["group"] == "fish"
        assert entries(path, label_column="coarse")[0][9].label == "trees"
    assert len(entries(path, split="test")[0]) == 10


def test_cifar_binary(packed):
    _, pixels = cifar_files()
    records = b"".join(bytes([i]) + pixels[i].tobytes() for i in range(10))
    path = packed(
        {"c/data_batch_1.bin": records, "c/test_batch.bin": records, "c/batches.meta.txt": "cat\ndog\n" + "x\n" * 8}
    )
    found, _ = entries(path)
    assert [e.label for e in found[:3]] == ["cat", "dog", "x"]
    assert (found[2].data == pixels[2].reshape(3, 32, 32).transpose(1, 2, 0)).all()
    fine = b"".join(bytes([1, i]) + pixels[i].tobytes() for i in range(10))
    names = {"c/fine_label_names.txt": "a\nb\nc\n", "c/coarse_label_names.txt": "u\nv\n"}
    hundred, _ = entries(zipfile_of(path.parent, {"c/train.bin": fine, **names}))
    assert (hundred[2].label, hundred[2].columns["group"]) == ("c", "v")


def zipfile_of(folder, files):
    return zipped(folder / "other.zip", files)


class Evil:
    def __init__(self, call, *what):
        self.call, self.what = call, what

    def __reduce__(self):
        return self.call, self.what


@pytest.mark.parametrize(
    "value",
    [
        Evil(os.system, "touch planted"),
        Evil(eval, "1"),
        Evil(__import__, "os"),
        Evil(getattr, [], "x"),
        {b"data": Evil(exec, "x")},
        {1, 2},
        bytearray(3),
        np.array([1, "x"], dtype=object),
        np.float64(3),
        np.zeros(3, ">i4"),
        range(3),
        Image.new("L", (2, 2)),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_planted_pickles_are_refused(value, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GessoError, match="pickle that Gesso does not open"):
        safe_unpickle(pickle.dumps(value, protocol), "data_batch_1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_plain_pickles_are_read(protocol):
    value = {
        b"a": [1, 2.5, None, True, "text", b"bytes"],
        "b": (1, [2]),
        b"c": np.arange(6, dtype=np.uint8).reshape(2, 3),
    }
    found = safe_unpickle(pickle.dumps(value, protocol), "x")
    assert found["a"][:5] == [1, 2.5, None, True, "text"]
    assert found["b"] == [1, [2]]
    assert (found["c"] == value[b"c"]).all()
    column = np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3))
    assert (safe_unpickle(pickle.dumps(column, protocol), "x") == column).all()


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with suppress(GessoError):
        safe_unpickle(b"\x80\x02" + data, "x")


def test_a_pickle_that_asks_for_room_gets_none():
    data = b"\x80\x02]r" + struct.pack("<I", 0xFFFFFFF0) + b"."
    assert safe_unpickle(data, "x") == []
    with pytest.raises(GessoError):
        safe_unpickle(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.", "x")


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.mark.parametrize("packing", ["", ".gz"])
def test_mnist(packed, packing):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 28, 28), np.uint8)
    numbers = np.arange(7, dtype=np.uint8)
    squeeze = gzip.compress if packing else bytes
    files = {}
    for part in ("train", "t10k"):
        files[f"m/{part}-images-idx3-ubyte{packing}"] = squeeze(idx(pixels))
        files[f"m/{part}-labels-idx1-ubyte{packing}"] = squeeze(idx(numbers))
    path = packed(files)
    found, source = entries(path)
    assert source.total == len(found) == 7
    assert [e.label for e in found] == [str(i) for i in range(7)]
    assert (found[3].data == pixels[3]).all()
    assert len(entries(path, split="all")[0]) == 14
    if path.is_dir():
        one, _ = entries(path / "m" / f"t10k-images-idx3-ubyte{packing}")
        assert [e.label for e in one] == [str(i) for i in range(7)]


def test_fashion_mnist_has_names(tmp_path):
    pixels, numbers = np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8)
    root = tmp_path / "fashion"
    fill(root, {"train-images-idx3-ubyte": idx(pixels), "train-labels-idx1-ubyte": idx(numbers)})
    assert [e.label for e in entries(root)[0]][:3] == ["T-shirt", "trouser", "pullover"]


@given(st.binary(max_size=60))
def test_idx_of_any_bytes(data):
    for head in (b"", b"\0\0\x08\x01", b"\0\0\x08\x03\0\0\0\x01"):
        with suppress(GessoError):
            assert read_idx(head + data, "x").dtype == np.uint8
