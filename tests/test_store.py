import json
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gesso import store
from gesso.errors import GessoError
from gesso.files import TEMPORARY
from gesso.store import Run

PYTHON = [sys.executable, "-c"]


def tensors(step: int) -> dict[str, torch.Tensor]:
    """Of every kind that a trainer has, and different at every step."""
    rng = torch.Generator().manual_seed(step)
    flat = torch.randn(24, generator=rng)
    return {
        "weight": torch.randn(4, 3, 5, 5, generator=rng).to(memory_format=torch.channels_last),
        "half": torch.randn(7, generator=rng).bfloat16(),
        "double": torch.randn(3, generator=rng).double(),
        "step": torch.tensor(step),
        "flag": torch.tensor(True),
        "none": torch.zeros(0, 3),
        "tied": flat,
        "tied again": flat,
        "slice": flat[8:16],
        "turned": flat.view(4, 6).t(),
        "parameter": torch.nn.Parameter(torch.randn(2, generator=rng)),
        "rng": torch.Generator().manual_seed(step).get_state(),
    }


def same(one: dict, other: dict) -> bool:
    """Equal names, types, shapes and bits."""
    return one.keys() == other.keys() and all(
        (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(a, b) for a, b in ((one[k], other[k]) for k in one)
    )


def save(run: Run, step: int) -> None:
    run.save_state(step, tensors(step), {"loss": step / 3}, {"w": torch.full((50,), float(step))}, {"seen": step * 2})


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path, "emoji", "dcgan", {"total": 1000})


@pytest.fixture
def saved(run) -> Run:
    for step in (50, 100, 200):
        save(run, step)
    return run


# The folder, its name and its record


def test_a_new_run_is_complete_and_numbered(tmp_path):
    first = Run.create(tmp_path, "emoji", "dcgan", {"seed": 7})
    second = Run.create(tmp_path, "emoji", "vae")
    assert (first.root.name, second.root.name) == ("0001-emoji-dcgan", "0002-emoji-vae")
    assert sorted(p.name for p in first.root.iterdir()) == ["run.json", "samples", "state"]
    assert (first.number, first.name, first.family, first.record["seed"]) == (1, "emoji", "dcgan", 7)
    assert json.loads((first.root / "run.json").read_text())["format"] == store.FORMAT
    assert first.samples.is_dir()
    assert first.load_state() is None
    with pytest.raises(GessoError, match="has no model yet"):
        first.load_model()


@pytest.mark.parametrize(
    "name", ["../../etc", "猫", "a" * 500, "CON", "x\0y\n", "  ", "Été à la mer", "-rf *", "a/b\\c:d"]
)
def test_whatever_the_name_the_folder_is_safe_and_the_name_is_kept(tmp_path, name):
    made = Run.create(tmp_path, name, "dcgan")
    assert made.root.parent == tmp_path / "runs"
    assert set(made.root.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(made.root.name) < 100
    found = Run.open(tmp_path, name if name.strip() else "1")
    assert (found.root, found.name) == (made.root, name)


def test_runs_made_at_once_never_share_a_number(tmp_path):
    code = (
        "import sys; from gesso.store import Run\n"
        "for i in range(6): Run.create(sys.argv[1], f'set {sys.argv[2]}', 'vae')"
    )
    makers = [subprocess.Popen([*PYTHON, code, str(tmp_path), str(n)]) for n in range(4)]
    assert [maker.wait() for maker in makers] == [0] * 4
    assert [run.number for run in store.list_runs(tmp_path)] == list(range(1, 25))
    assert not [p for p in (tmp_path / "runs").iterdir() if p.name.startswith(TEMPORARY)]


def test_a_run_is_found_by_all_its_names(tmp_path, monkeypatch):
    emoji = [Run.create(tmp_path, "emoji", family) for family in ("dcgan", "vae")]
    other = Run.create(tmp_path, "Emblem", "dcgan")
    for ref in ("1", "0001", "#1", 1, "0001-emoji-dcgan", "0001", "emoji-d", str(emoji[0].root), emoji[0].root):
        assert Run.open(tmp_path, ref).root == emoji[0].root, ref
    for ref in ("emoji", "EMOJI", "emo", "emoji-"):
        assert Run.open(tmp_path, ref).root == emoji[1].root, ref
    for ref in ("Emblem", "emblem", "emb"):
        assert Run.open(tmp_path, ref).root == other.root, ref
    with pytest.raises(GessoError, match="could be any of these runs: 0001-emoji-dcgan, 0002-emoji-vae, 0003-emblem"):
        Run.open(tmp_path, "em")
    monkeypatch.chdir(tmp_path / "runs")
    assert Run.open("elsewhere", "0003-emblem-dcgan").root.resolve() == other.root.resolve()


def test_a_run_that_is_not_there_names_the_nearest(tmp_path):
    with pytest.raises(GessoError, match="There is no run yet"):
        Run.open(tmp_path, "7")
    Run.create(tmp_path, "emoji", "dcgan")
    with pytest.raises(GessoError, match=r"There is no run 'emojy'.*Did you mean 'emoji'"):
        Run.open(tmp_path, "emojy")
    for ref in ("7", "0", "", "x" * 5000, "a\0b"):
        with pytest.raises(GessoError, match="There is no run '"):
            Run.open(tmp_path, ref)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"format": 99, "number": 1, "name": "emoji", "family": "dcgan"}', "written by a newer Gesso.*Update Gesso"),
        (b'{"format": 1, "number": 1, "na', "is damaged"),
        (b'{"format": 1, "number": "1", "name": "emoji", "family": "dcgan"}', "is damaged"),
        (b"[]", "is damaged"),
        (None, "There is no file"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_sentence(run, tmp_path, data, words):
    fine = Run.create(tmp_path, "cats", "vae")
    if data is None:
        (run.root / "run.json").unlink()
    else:
        (run.root / "run.json").write_bytes(data)
    with pytest.raises(GessoError, match=words):
        Run.open(tmp_path, "1")
    problems: list[str] = []
    assert [r.root for r in store.list_runs(tmp_path, problems)] == [fine.root]
    assert len(problems) == 1


def test_updates_from_several_processes_all_arrive(run, tmp_path):
    code = (
        "import sys; from gesso.store import Run; run = Run.open(sys.argv[1], 1)\n"
        "for n in range(15): run.update(**{sys.argv[2]: n})"
    )
    writers = [subprocess.Popen([*PYTHON, code, str(tmp_path), key]) for key in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    run.update(status="done")
    record = Run.open(tmp_path, 1).record
    assert (record["a"], record["b"], record["status"], record["total"]) == (14, 14, "done", 1000)
    assert run.record == record


# One trainer a run


@pytest.fixture
def trainer(run, tmp_path) -> Iterator[subprocess.Popen]:
    """Another process that holds the run's lock, with a forked child, as a data worker is."""
    code = (
        "import os, sys, time; from gesso.store import Run\n"
        "with Run.open(sys.argv[1], 1).lock():\n"
        "    child = os.fork() if hasattr(os, 'fork') else -1\n"
        "    if child: print(child, flush=True)\n"
        "    time.sleep(60)"
    )
    process = subprocess.Popen([*PYTHON, code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    if child > 0:
        os.kill(child, signal.SIGKILL)


def test_a_second_trainer_is_refused_at_once_and_a_dead_one_frees_the_lock(run, trainer):
    before = time.monotonic()
    with pytest.raises(GessoError, match=f"is being trained by process {trainer.pid} on .*, since 2"), run.lock():
        pytest.fail("two trainers")
    assert time.monotonic() - before < 5
    assert run.holder()["pid"] == trainer.pid
    trainer.send_signal(signal.SIGKILL)
    trainer.wait()
    with run.lock():  # though the dead trainer's child still lives
        assert run.holder()["pid"] == os.getpid()
        with pytest.raises(GessoError, match=f"process {os.getpid()}"), run.lock():
            pytest.fail("two trainers")
    assert run.holder() is None
    with run.lock():
        pass


def test_a_lock_file_with_rubbish_in_it_does_not_hold(run):
    (run.root / "state" / "lock").write_bytes(b"\xff{")
    assert run.holder() is None
    with run.lock():
        pass


# States and models


def test_a_state_comes_back_bit_for_bit(saved):
    state = saved.load_state()
    assert (state.step, state.facts, state.notes) == (200, {"loss": 200 / 3}, [])
    assert same(state.tensors, {name: t.detach() for name, t in tensors(200).items()})
    model, facts = saved.load_model()
    assert same(model, {"w": torch.full((50,), 200.0)})
    assert facts == {"seen": 400, "step": 200, "notes": []}
    assert not [p for p in saved.root.rglob("*") if p.name.startswith(TEMPORARY)]


def test_what_is_loaded_may_be_changed_and_outlives_the_file(saved):
    state = saved.load_state()
    state.tensors["weight"].add_(1)
    for step in (300, 400, 500):
        save(saved, step)
    assert torch.equal(state.tensors["weight"], tensors(200)["weight"] + 1)
    assert same(saved.load_state().tensors, {name: t.detach() for name, t in tensors(500).items()})


def test_numbers_and_facts_come_back(run):
    facts = {"rng": [3, [1, 2], None], "best": float("inf"), "name": "猫"}
    run.save_state(1, {"n": 2**40, "x": 0.1, "yes": True}, facts, {}, {})
    state = run.load_state()
    assert [state.tensors[k].item() for k in ("n", "x", "yes")] == [2**40, torch.tensor(0.1).item(), True]
    assert state.facts == facts
    json.loads((run.root / "state" / "latest.json").read_text(), parse_constant=pytest.fail)


def test_other_software_reads_our_files_and_we_read_theirs(saved, tmp_path):
    assert same(load_file(saved.model), saved.load_model()[0])
    save_file({"w": torch.ones(3)}, tmp_path / "theirs.safetensors")
    loaded, note = store.load_tensors(tmp_path / "theirs.safetensors", verify=False)
    assert same(loaded, {"w": torch.ones(3)})
    assert note == {}
    with pytest.raises(GessoError, match="do not match the SHA-256"):
        store.load_tensors(tmp_path / "theirs.safetensors")


def test_what_safetensors_cannot_hold_is_a_clear_error(run):
    for odd in (torch.zeros(2, dtype=torch.complex128), torch.eye(2).to_sparse()):
        with pytest.raises(TypeError, match="'odd'"):
            run.save_state(1, {"odd": odd}, {}, {}, {})
    assert run.load_state() is None


def test_two_states_are_kept(saved):
    states = sorted(p.name for p in (saved.root / "state").glob("0*.safetensors"))
    assert states == ["00000100.safetensors", "00000200.safetensors"]
    latest = json.loads((saved.root / "state" / "latest.json").read_text())
    assert (latest["step"], latest["file"]) == (200, "00000200.safetensors")
    with safe_open(saved.root / "state" / latest["file"], framework="pt") as file:
        assert file.metadata()["sha256"] == latest["sha256"]


def flip(path: Path, place: int, bit: int) -> bytes:
    """Turn one bit of a file over, in place; returns what the file held."""
    before = path.read_bytes()
    after = bytearray(before)
    after[place] ^= 1 << bit
    path.write_bytes(after)
    return before


def places(path: Path) -> list[tuple[int, int]]:
    """A bit of every fifth byte of the header, and of 60 bytes of the rest, the first and the last among them."""
    size = path.stat().st_size
    header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    rng = random.Random(0)
    spread = [*range(8), *range(8, header, 5), header, size - 1, *(rng.randrange(header, size) for _ in range(58))]
    return [(place, rng.randrange(8)) for place in spread]


def test_every_flipped_bit_of_a_state_is_noticed_and_the_one_before_is_taken(saved):
    path = saved.root / "state" / "00000200.safetensors"
    expected = {name: t.detach() for name, t in tensors(100).items()}
    for place, bit in places(path):
        before = flip(path, place, bit)
        state = saved.load_state()
        assert state.step == 100, f"bit {bit} of byte {place} went unnoticed"
        assert len(state.notes) == 1
        assert str(path) in state.notes[0]
        path.write_bytes(before)
    assert same(state.tensors, expected)
    assert saved.load_state().step == 200


def test_every_flipped_bit_of_a_model_is_noticed_and_the_one_before_is_taken(saved):
    for place, bit in places(saved.model):
        before = flip(saved.model, place, bit)
        model, facts = saved.load_model()
        assert (facts["step"], facts["seen"], len(facts["notes"])) == (100, 200, 1), f"bit {bit} of byte {place}"
        saved.model.write_bytes(before)
    assert same(model, {"w": torch.full((50,), 100.0)})
    assert saved.load_model()[1]["step"] == 200


@pytest.mark.parametrize("keep", [0, 1, 8, 9, 100, 0.5, -1])
def test_truncation_is_noticed(saved, keep):
    for path in (saved.root / "state" / "00000200.safetensors", saved.model):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    state = saved.load_state()
    assert (state.step, len(state.notes)) == (100, 1)
    assert saved.load_model()[1]["step"] == 100


@pytest.mark.parametrize("data", [None, b"", b"{}", b"\xff", b'{"step": "x"}', b'{"step": 999}', b'{"step": 100}'])
def test_a_damaged_or_old_manifest_loses_nothing(saved, data):
    latest = saved.root / "state" / "latest.json"
    latest.unlink() if data is None else latest.write_bytes(data)
    state = saved.load_state()
    old = data == b'{"step": 100}'  # a kill before the manifest moved on
    assert state.step == (100 if old else 200)
    assert len(state.notes) == (0 if old or data is None else 1)


def test_when_nothing_is_whole_the_error_says_what_to_do(saved):
    for path in [*saved.root.rglob("*.safetensors")]:
        flip(path, path.stat().st_size - 1, 0)
    with pytest.raises(GessoError, match=r"has no whole state.*00000200.*Train it anew"):
        saved.load_state()
    with pytest.raises(GessoError, match=r"has no whole model.*Resume the training"):
        saved.load_model()
    for path in [*saved.root.rglob("*.safetensors")]:
        path.unlink()
    with pytest.raises(GessoError, match="The state of step 200 is missing"):
        saved.load_state()


def test_after_falling_back_the_given_up_course_is_pruned(saved):
    flip(saved.root / "state" / "00000200.safetensors", 3000, 0)
    assert saved.load_state().step == 100
    save(saved, 150)
    states = sorted(p.name for p in (saved.root / "state").glob("0*.safetensors"))
    assert states == ["00000100.safetensors", "00000150.safetensors"]
    assert (saved.load_state().step, saved.load_state().notes) == (150, [])
    save(saved, 150)  # the same step again
    assert (saved.load_state().step, saved.load_state().notes) == (150, [])


def test_states_of_a_newer_gesso_are_refused_not_passed_over(run):
    path = run.root / "state" / "00000300.safetensors"
    store.save_tensors(path, {"x": 1}, {"format": store.FORMAT + 1, "step": 300, "facts": {}})
    with pytest.raises(GessoError, match=r"newer Gesso.*Update Gesso"):
        run.load_state()


# Files from strangers


def hostile(folder: Path, kind: str) -> Path:
    """A file named .safetensors that is none."""
    path = folder / "model.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"w": [1.0] * 10}))
    elif kind == "torch":
        torch.save({"w": torch.ones(3)}, path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.pkl", b"x")
    elif kind == "giant header":
        path.write_bytes(struct.pack("<Q", 2**62) + b"{" + b" " * 100)
    elif kind == "long header":
        path.write_bytes(struct.pack("<Q", 17 << 20) + b"{" + b" " * (18 << 20))
    else:
        spec = {
            "giant tensor": {"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
            "overflow": {"w": {"dtype": "F32", "shape": [2**33, 2**33], "data_offsets": [0, 16]}},
            "negative": {"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
            "overlap": {n: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for n in "ab"},
            "hole": {"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}},
            "type": {"w": {"dtype": "OBJ", "shape": [4], "data_offsets": [0, 16]}},
            "nested": None,
        }[kind]
        header = b'{"a":' * 5000 if spec is None else json.dumps(spec).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pickle", "a pickle, which can run programs"),
        ("torch", "may hold a pickle"),
        ("zip", "ZIP"),
        ("giant header", "ends within its header"),
        ("long header", "more than the"),
        ("giant tensor", "not a whole safetensors file"),
        ("overflow", "not a whole safetensors file"),
        ("negative", "not a whole safetensors file"),
        ("overlap", "not a whole safetensors file"),
        ("hole", "not a whole safetensors file"),
        ("type", "not a whole safetensors file"),
        ("nested", "not a whole safetensors file"),
    ],
)
def test_hostile_files_are_refused_with_a_sentence(tmp_path, kind, words):
    path = hostile(tmp_path, kind)
    for read in (lambda: store.check_tensors({}, path), lambda: store.load_tensors(path, verify=False)):
        with pytest.raises(GessoError, match=words) as caught:
            read()
        assert str(path) in caught.value.problem


def test_folders_pipes_and_nothing_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(GessoError, match="There is no file"):
            store.load_tensors(path)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"w": ((50,), torch.float32)}, None),
        ({"w": (torch.Size([50]), torch.float32)}, None),
        ({"w": ((49,), torch.float32)}, r"'w' is float32 \[50\] where float32 \[49\] is expected"),
        ({"w": ((50,), torch.bfloat16)}, "where bfloat16"),
        ({"w": ((50,), torch.float32), "v": ((1,), torch.int64)}, "lacks the tensor 'v'"),
        ({}, "an unknown tensor 'w'"),
    ],
)
def test_a_model_is_checked_by_its_header(saved, expected, words):
    if words is None:
        store.check_tensors(expected, saved.model)
        return
    with pytest.raises(GessoError, match=words):
        store.check_tensors(expected, saved.model)


def test_checking_takes_no_memory_for_the_tensors(tmp_path):
    """A sparse file of 8 GB with an honest header is checked, and this process grows by less than 50 MB."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**31], "data_offsets": [0, 2**33]}}).encode()
    path = tmp_path / "big.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 2**33)
    before = int(Path("/proc/self/statm").read_text().split()[1])
    store.check_tensors({"w": ((2**31,), torch.float32)}, path)
    after = int(Path("/proc/self/statm").read_text().split()[1])
    assert (after - before) * os.sysconf("SC_PAGE_SIZE") < 50 << 20


# The log


def test_the_log_tolerates_torn_lines_and_rewinds(run):
    for step in range(1, 6):
        run.log({"step": step, "loss": float("nan") if step == 3 else step / 2})
    run.log({"event": "resumed"})
    with (run.root / "log.jsonl").open("ab") as file:
        file.write(b'{"step": 6, "lo')
    assert [entry.get("step") for entry in run.read_log()] == [1, 2, 3, 4, 5, None]
    assert run.read_log()[2]["loss"] is None
    run.log({"step": 6})
    assert run.read_log()[-1] == {"step": 6}
    run.rewind_log(3)
    assert [entry.get("step") for entry in run.read_log()] == [1, 2, 3, None]
    run.log({"step": 4, "again": True})
    lines = (run.root / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines][-1] == {"step": 4, "again": True}
    assert len(lines) == 5


def test_a_log_that_is_not_there_is_empty(run):
    run.rewind_log(3)
    assert run.read_log() == []
    assert not (run.root / "log.jsonl").exists()


@pytest.mark.parametrize("torn", [b'{"step": 1', b"\n\n{", b"\x00" * 4096, b'{"step": 1}'])
def test_a_log_that_is_all_torn_starts_anew(run, torn):
    (run.root / "log.jsonl").write_bytes(torn)
    run.log({"step": 2})
    assert run.read_log() == [{"step": 2}]


# The fingerprint


def test_the_fingerprint_is_plain_and_comparable():
    now = store.fingerprint()
    assert json.loads(json.dumps(now)) == now
    assert now["torch"] == torch.__version__
    assert store.compare_fingerprints(now, dict(now)) == []
    then = {**now, "threads": now["threads"] + 1, "torch": "2.6.0"}
    del then["capability"]
    assert store.compare_fingerprints(now, then) == [
        f"torch: {torch.__version__}, was 2.6.0",
        f"capability: {now['capability']}, was unknown",
        f"threads: {now['threads']}, were {now['threads'] + 1}",
    ]


def test_the_store_needs_no_torch_to_list_runs(run, tmp_path):
    code = "import sys; from gesso.store import *; print(len(list_runs(sys.argv[1])), 'torch' in sys.modules)"
    out = subprocess.run([*PYTHON, code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["1", "False"]


def test_a_model_that_is_kept_already_leaves_no_second_name(tmp_path):
    """A save killed between keeping the old model and writing the new one, then another save."""
    run = Run.create(tmp_path, "set", "gan", {})
    tensors = {"parts.x": torch.arange(4.0)}
    run.save_state(1, tensors, {}, tensors, {})
    run._keep_model()  # as far as the killed save came
    run.save_state(2, tensors, {}, tensors, {})
    assert not list(run.root.rglob(".gesso*"))
    assert run.load_model()[1]["step"] == 2
