import errno
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gesso import files
from gesso.errors import GessoError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def dead_token() -> str:
    """The token of a process that has just died."""
    code = "from gesso import files; print(files._token())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def limited(size: int):
    """The largest file that may be written, in bytes, as `ulimit -f` sets it."""
    resource = pytest.importorskip("resource", reason="file size limits are a thing of Unix")

    class Limit:
        def __enter__(self):
            self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, self.before[1]))

        def __exit__(self, *_):
            resource.setrlimit(resource.RLIMIT_FSIZE, self.before)

    return Limit()


def test_bytes_and_text_come_back_and_leave_nothing_else(tmp_path):
    data = os.urandom(100_000)
    files.write_bytes(tmp_path / "deep" / "er" / "a.bin", data)
    files.write_text(tmp_path / "deep" / "er" / "b.txt", "猫\r\nz\n")
    assert (tmp_path / "deep/er/a.bin").read_bytes() == data
    assert (tmp_path / "deep/er/b.txt").read_bytes() == "猫\r\nz\n".encode()
    assert names(tmp_path / "deep" / "er") == ["a.bin", "b.txt"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=PLAIN)
def test_json_comes_back_equal(tmp_path, value):
    files.write_json(tmp_path / "v.json", value)
    assert files.read_json(tmp_path / "v.json") == value


def test_json_carries_file_names_that_are_no_utf8(tmp_path):
    value = {"source": os.fsdecode(b"caf\xe9.png"), "label": "猫"}
    files.write_json(tmp_path / "v.json", value)
    assert files.read_json(tmp_path / "v.json") == value


def test_json_refuses_what_json_lacks_and_keeps_the_old_file(tmp_path):
    files.write_json(tmp_path / "v.json", [1])
    with pytest.raises(ValueError, match="Out of range"):
        files.write_json(tmp_path / "v.json", [float("nan")])
    assert files.read_json(tmp_path / "v.json") == [1]
    assert names(tmp_path) == ["v.json"]


@pytest.mark.parametrize("data", [b"", b'{"a": 1', b"\xff\xfe\xff", b"[" * 200_000])
def test_damaged_json_is_one_sentence(tmp_path, data):
    (tmp_path / "v.json").write_bytes(data)
    with pytest.raises(GessoError, match=re.escape(str(tmp_path / "v.json")) + " is damaged"):
        files.read_json(tmp_path / "v.json")
    with pytest.raises(GessoError, match="There is no file"):
        files.read_json(tmp_path / "w.json")


def test_writing_keeps_the_name_for_the_library_and_the_umask_for_the_file(tmp_path):
    with files.writing(tmp_path / "out" / "a.png") as temporary:
        assert temporary.name == "a.png"
        assert not (tmp_path / "out" / "a.png").exists()
        temporary.write_bytes(b"picture")
        temporary.chmod(0o600)  # as libraries do that go through tempfile
        (temporary.parent / ".tmpXyZ").write_bytes(b"what such a library leaves")
    assert names(tmp_path / "out") == ["a.png"]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"picture"
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "out" / "a.png").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


@pytest.mark.parametrize("error", [RuntimeError("library"), KeyboardInterrupt(), OSError(errno.ENOENT, "no", "other")])
def test_an_error_while_writing_leaves_the_old_and_passes(tmp_path, error):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def write_half() -> None:
        with files.writing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        write_half()
    assert caught.value is error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_library_that_writes_nothing_is_an_error(tmp_path):
    files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(GessoError, match="could not be written"), files.writing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("size", [0, 1, 4096, 99_999])
def test_a_file_size_limit_keeps_the_old_file_and_names_path_and_bytes(tmp_path, size):
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")
    with limited(size), pytest.raises(GessoError) as caught:
        files.write_bytes(path, b"n" * 100_000)
    assert str(path) in caught.value.problem
    assert "100,000 bytes needed" in caught.value.problem
    assert "ulimit -f" in caught.value.problem
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_file_size_limit_in_a_library_is_explained_too(tmp_path):
    path = tmp_path / "a.bin"
    with limited(1000), pytest.raises(GessoError, match="2,000 bytes needed"), files.writing(path, 2000) as temporary:
        temporary.write_bytes(b"n" * 2000)
    with limited(1000), pytest.raises(GessoError) as caught, files.new_folder(tmp_path / "set") as folder:
        files.write_bytes(folder / "images.npy", b"n" * 2000)
    assert str(tmp_path / "set" / "images.npy") in caught.value.problem
    assert files.TEMPORARY not in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "copy what matters"),
    ],
)
def test_each_refusal_has_its_sentence(tmp_path, monkeypatch, number, words):
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "write", refuse)
    with pytest.raises(GessoError) as caught:
        files.write_bytes(path, b"1234")
    monkeypatch.undo()
    assert words in str(caught.value).lower()
    assert str(path) in caught.value.problem
    assert "4 bytes needed" in caught.value.problem
    assert "untouched" in caught.value.remedy
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_in_the_way_is_explained(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "f").touch()
    for path in (tmp_path / "a", tmp_path / "f" / "x"):
        with pytest.raises(GessoError, match="could not be written"):
            files.write_bytes(path, b"1")
    assert names(tmp_path) == ["a", "f"]


def fill(folder: Path, word: str) -> None:
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text(word)
    (folder / "sub" / "b.txt").write_text(word)


@pytest.mark.parametrize("exchange", [True, False])
def test_new_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    final = tmp_path / "set"
    with files.new_folder(final) as folder:
        fill(folder, "one")
        assert not final.exists()
    with pytest.raises(GessoError, match="exists already"), files.new_folder(final):
        pytest.fail("the body must not run")
    with pytest.raises(ZeroDivisionError), files.new_folder(final, replace=True) as folder:
        (folder / "a.txt").write_text(str(1 / 0))
    assert (final / "sub" / "b.txt").read_text() == "one"
    with files.new_folder(final, replace=True) as folder:
        (folder / "c.txt").write_text("two")
        assert (final / "a.txt").read_text() == "one"
    assert names(final) == ["c.txt"]
    assert names(tmp_path) == ["set"]


def test_new_folder_never_overwrites_one_that_came_meanwhile(tmp_path):
    final = tmp_path / "set"

    def race() -> None:
        with files.new_folder(final) as folder:
            fill(folder, "mine")
            final.mkdir()
            fill(final, "theirs")

    with pytest.raises(GessoError, match="exists already"):
        race()
    assert (final / "a.txt").read_text() == "theirs"
    assert names(tmp_path) == ["set"]


def test_linux_exchanges_folders_in_one_step(tmp_path):
    if sys.platform != "linux":
        pytest.skip("renameat2 is Linux's")
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not files._exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("the disk of the temporary folder does not exchange")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()


def test_sweep_takes_what_the_dead_left_and_nothing_of_the_living(tmp_path):
    dead = dead_token()
    (tmp_path / (files.TEMPORARY + dead)).mkdir()
    (tmp_path / (files.TEMPORARY + dead) / "half").touch()
    (tmp_path / (files.TEMPORARY + dead + "f")).touch()
    host, pid, start, _ = files._token().split("-")
    recycled = f"{files.TEMPORARY}{host}-{pid}-{int(start) - 1}-00000000"  # our number, but of an earlier process
    (tmp_path / recycled).touch()
    keep = [
        files.TEMPORARY + files._token(),
        f"{files.TEMPORARY}zzzzzz-{dead.split('-', 1)[1]}",  # of another machine, just now
        files.TEMPORARY + "not-ours",
        "picture.png",
    ]
    for name in keep:
        (tmp_path / name).touch()
    stale = tmp_path / f"{files.TEMPORARY}zzzzzz-1-1-00000000"
    stale.touch()
    os.utime(stale, (0, 0))
    swept = files.sweep(tmp_path)
    assert names(tmp_path) == sorted(keep if int(start) else [*keep, recycled])
    assert len(swept) == (4 if int(start) else 3)
    assert files.sweep(tmp_path / "missing") == []


def test_sweep_puts_a_folder_back_that_a_dead_process_had_moved_aside(tmp_path):
    aside = tmp_path / f"{files.ASIDE}{dead_token()}-my-set"
    aside.mkdir()
    fill(aside, "old")
    half = tmp_path / (files.TEMPORARY + dead_token())
    half.mkdir()
    files.sweep(tmp_path)
    assert names(tmp_path) == ["my-set"]
    assert (tmp_path / "my-set" / "a.txt").read_text() == "old"
    again = tmp_path / f"{files.ASIDE}{dead_token()}-my-set"
    again.mkdir()
    files.sweep(tmp_path)  # the place is taken: the new one had arrived
    assert names(tmp_path) == ["my-set"]
    assert (tmp_path / "my-set" / "a.txt").read_text() == "old"


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "v.json"
    files.write_json(path, ["x" * 50_000, 0])
    code = (
        "import sys; from gesso import files\n"
        "for n in range(1, 120): files.write_json(sys.argv[1], ['x' * (n * 997 % 90_000), n])"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
    seen = set()
    while writer.poll() is None:
        seen.add(json.loads(path.read_bytes())[1])
    assert writer.returncode == 0
    assert files.read_json(path)[1] == 119
    assert len(seen) > 1


def test_sha256_of_a_known_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_files_needs_nothing_heavy():
    code = "import sys, gesso.files; print([m for m in ('torch', 'numpy', 'pydantic') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
