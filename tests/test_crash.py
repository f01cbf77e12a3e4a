"""Kills, power cuts and full disks at every single point of a save, put there by strace.

A server process imports torch once and forks a child for each try; strace attaches to the child, which
then does one piece of work and dies at the chosen system call, or has it refused.
"""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gesso import files
from gesso.errors import GessoError
from gesso.store import Run

CALLS = ["write", "pwrite64", "writev", "ftruncate", "fsync", "fdatasync", "rename", "renameat", "renameat2"]
CALLS += ["link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"]
OLD, NEW = 100, 200


# What the child does


def tensors(step: int) -> dict:
    """Tensors that tell their step, of more than one page."""
    import torch

    return {"weight": torch.full((40, 50), float(step)), "step": torch.tensor(step)}


def save(run: Run, step: int) -> None:
    run.save_state(step, tensors(step), {"step": step}, {"w": tensors(step)["weight"]}, {"of": step})


def do_save(home: Path) -> None:
    save(Run.open(home, 1), NEW)


def do_update(home: Path) -> None:
    Run.open(home, 1).update(total=NEW)


def do_rewind(home: Path) -> None:
    Run.open(home, 1).rewind_log(1)


def do_create(home: Path) -> None:
    Run.create(home, "cats", "vae", {"total": NEW})


def do_replace(home: Path) -> None:
    with files.new_folder(home / "set", replace=True) as folder:
        for name in ("a", "b"):
            (folder / name).write_text(str(NEW))


def do_replace_without_exchange(home: Path) -> None:
    files._exchange = lambda *_: False  # as on disks and systems that cannot
    do_replace(home)


def do_write(home: Path) -> None:
    files.write_json(home / "value.json", NEW)


# What must hold afterwards: each returns what was found, OLD or NEW


def found_states(home: Path) -> set[int]:
    run = Run.open(home, 1)
    state = run.load_state()
    model, facts = run.load_model()
    assert state is not None
    assert state.notes == facts["notes"] == []
    for got, want in ((state.tensors, tensors(state.step)), (model, {"w": tensors(facts["of"])["weight"]})):
        assert got.keys() == want.keys()
        assert all(bool((got[name] == want[name]).all()) for name in want)
    assert state.facts == {"step": state.step}
    return {state.step, facts["of"]}


def found_update(home: Path) -> set[int]:
    return {Run.open(home, 1).record["total"]}


def found_log(home: Path) -> set[int]:
    return {{2: OLD, 1: NEW}[len(Run.open(home, 1).read_log())]}


def found_runs(home: Path) -> set[int]:
    folders = sorted(path for path in (home / "runs").iterdir() if path.name[0] != ".")
    if len(folders) == 1:
        return {OLD}
    made = Run.open(home, 2)
    assert made.samples.is_dir()
    return {made.record["total"]}


def found_folder(home: Path) -> set[int]:
    assert sorted(path.name for path in (home / "set").iterdir()) == ["a", "b"]
    return {int((home / "set" / name).read_text()) for name in ("a", "b")}


def found_value(home: Path) -> set[int]:
    return {files.read_json(home / "value.json")}


WORKS: dict[str, tuple[Callable[[Path], None], Callable[[Path], set[int]]]] = {
    "save": (do_save, found_states),
    "update": (do_update, found_update),
    "rewind": (do_rewind, found_log),
    "create": (do_create, found_runs),
    "replace": (do_replace, found_folder),
    "replace without exchange": (do_replace_without_exchange, found_folder),
    "write": (do_write, found_value),
}


REPLACES = ("replace", "replace without exchange")


def serve(home: Path) -> None:
    """For each line, the name of a work: fork a child, tell its number, let it wait for 'go', tell how it ended."""
    import torch

    torch.set_num_threads(1)
    for line in iter(sys.stdin.readline, ""):
        work = WORKS[line.strip()][0]
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            print("\nended", os.waitstatus_to_exitcode(status), flush=True)
            continue
        with contextlib.suppress(OSError, AttributeError):  # where only children may be traced (Yama), let anyone
            ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        try:
            work(home)
        except GessoError as error:
            os.write(1, f"refused {error}".encode())
            os._exit(2)
        os._exit(0)


# The bench


@dataclass
class Ending:
    """How a child ended. code: 0 done, 2 refused, -9 killed; said: its sentence; trace: strace's lines."""

    code: int
    said: str
    trace: list[str]


class Bench:
    """A home folder that is as new for each try, and a server whose children strace handles."""

    def __init__(self, folder: Path):
        self.folder, self.home, self.fresh = folder, folder / "home", folder / "fresh"
        run = Run.create(self.fresh, "emoji", "dcgan", {"total": OLD})
        for step in (50, OLD):
            save(run, step)
            run.log({"step": step // 50})
        (self.fresh / "set").mkdir()
        for name in ("a", "b"):
            (self.fresh / "set" / name).write_text(str(OLD))
        files.write_json(self.fresh / "value.json", OLD)
        command = [sys.executable, __file__, str(self.home)]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()

    def run(self, work: str, *inject: str) -> Ending:
        """Do a work in a fresh home under strace, with faults of strace's inject syntax."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.fresh, self.home)
        into, out = self.server.stdin, self.server.stdout
        assert into is not None
        assert out is not None
        into.write(work + "\n")
        into.flush()
        pid = out.readline().strip()
        trace = self.folder / "trace"
        calls = "trace=" + ",".join("?" + call for call in [*CALLS, "openat", "close"])
        options = [word for fault in inject for word in ("-e", f"inject={fault}")]
        command = ["strace", "-f", "-y", "-s", "0", "-o", str(trace), "-e", calls, *options, "-p", pid]
        strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert strace.stderr is not None
        attached = strace.stderr.readline()
        into.write("go\n")
        into.flush()
        said = ""
        while not (line := out.readline()).startswith("ended"):
            said += line
        strace.communicate()
        assert "attached" in attached, attached
        lines = [re.sub(r"^\d+ +", "", line) for line in trace.read_text().splitlines()]
        return Ending(int(line.split()[1]), said.strip(), lines)

    def points(self, work: str) -> list[tuple[str, int]]:
        """Every call of an undisturbed work as (name, how many of that name came before, and it)."""
        ending = self.run(work)
        assert ending.code == 0, ending.said
        counts: dict[str, int] = {}
        points = []
        for line in ending.trace:
            name = line.partition("(")[0]
            if name in CALLS:
                counts[name] = counts.get(name, 0) + 1
                points.append((name, counts[name]))
        return points

    def after(self, work: str) -> set[int]:
        """What is there after the next start, which sweeps; no temporary file may be."""
        for run in (self.home / "runs").iterdir():
            if (run / "run.json").is_file():
                with Run.open(self.home, run).lock():
                    pass
        files.sweep(self.home)
        left = [path for path in self.home.rglob("*") if path.name.startswith((files.TEMPORARY, files.ASIDE, ".tmp"))]
        assert left == []
        return WORKS[work][1](self.home)


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Iterator[Bench]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed on this machine; .ci/run installs it")
    bench = Bench(tmp_path_factory.mktemp("crash"))
    yield bench
    bench.close()


@pytest.mark.parametrize("work", WORKS)
def test_a_kill_at_any_call_leaves_the_old_or_the_new(bench, work):
    points = bench.points(work)
    assert bench.after(work) == {NEW}
    assert {name for name, _ in points} >= {"write", "fsync"}
    seen = []
    for name, number in points:
        ending = bench.run(work, f"{name}:signal=KILL:when={number}")
        assert ending.code == -9, f"{name} {number}: {ending}"
        found = bench.after(work)
        # A state and a model are two files: one may be a save ahead, each is whole.
        assert found in ({OLD}, {NEW}) or (work == "save" and found == {OLD, NEW}), f"a kill at {name} {number}"
        seen.append(found)
    assert seen[0] == {OLD}  # a kill before the first write changes nothing
    assert seen[-1] == {NEW}  # and one after the last rename loses nothing
    order = [max(found) for found in seen]
    assert order == sorted(order)  # once the new one is there, it stays


@pytest.mark.parametrize("work", WORKS)
def test_a_refusal_of_any_call_is_a_sentence_and_leaves_the_old_or_the_new(bench, work):
    refusals = 0
    for name, number in bench.points(work):
        if name in ("unlink", "unlinkat", "rmdir"):
            continue  # a full disk still removes
        why = "EIO" if "sync" in name else "ENOSPC"
        ending = bench.run(work, f"{name}:error={why}:when={number}")
        assert ending.code in (0, 2), f"{name} {number}: {ending}"  # 1 is a traceback
        assert any("(INJECTED)" in line for line in ending.trace)
        if ending.code == 2:
            refusals += 1
            assert re.match(rf"refused {re.escape(str(bench.home))}/\S+ could not be written", ending.said), ending.said
            assert files.TEMPORARY not in ending.said
            assert ("the disk is full" in ending.said) == (why == "ENOSPC")
            assert "bytes needed" in ending.said or work in ("create", *REPLACES), ending.said
        left = [path for path in bench.home.rglob("*") if path.name.startswith((files.TEMPORARY, ".tmp"))]
        assert left == []  # who lives cleans up at once
        found = bench.after(work)
        assert found in ({OLD}, {NEW}) or (work == "save" and found == {OLD, NEW})
    assert refusals >= 3


# Power cuts: what was not made durable in time may be lost, whatever came after it


def unsafe(trace: list[str]) -> list[str]:
    """What a power cut could break, from the calls of a work in their order (strace -y).

    A name may be given only to what is durable; each new name must be durable before the next is given
    and before anything old is removed.
    """
    dirty: set[str] = set()  # files with bytes, and folders with names, that are not durable
    named: dict[str, str] = {}  # folder -> a lasting name in it that is not durable
    problems = []
    for line in trace:
        call = line.partition("(")[0]
        if " = -1" in line or call == "close":
            continue
        handle = re.match(r"\w+\(\d+<([^>]*)>", line)
        paths = re.findall(r'"([^"]+)"', line)
        if call in ("write", "pwrite64", "writev", "ftruncate") and handle:
            dirty.add(handle[1])
        elif call in ("fsync", "fdatasync") and handle:
            dirty.discard(handle[1])
            named.pop(handle[1], None)
        elif call in ("mkdir", "mkdirat") or (call == "openat" and "O_CREAT" in line):
            dirty.add(str(Path(paths[0]).parent))
        elif call.startswith(("rename", "link")):
            source, target = paths
            inside = {path for path in dirty if path == source or path.startswith(source + "/")}
            dirty = {path.replace(source, target, 1) if path in inside else path for path in dirty}
            if passing(target):
                continue
            problems += [f"{target} is named before {path} is durable" for path in inside]
            problems += [f"{target} is named before {name} is durable" for name in named.values()]
            named[str(Path(target).parent)] = target
        elif call in ("unlink", "unlinkat", "rmdir") and (not passing(paths[0]) or files.ASIDE in paths[0]):
            problems += [f"{paths[0]} is removed before {name} is durable" for name in named.values()]
    return problems + [f"{name} is never durable" for name in named.values()]


def passing(path: str) -> bool:
    """Whether a path is temporary."""
    return any(part.startswith((files.TEMPORARY, files.ASIDE, ".tmp")) for part in Path(path).parts)


@pytest.mark.parametrize("work", WORKS)
def test_a_power_cut_at_any_moment_leaves_the_old_or_the_new(bench, work):
    trace = bench.run(work).trace
    assert unsafe(trace) == []
    syncs = [n for n, line in enumerate(trace) if line.startswith(("fsync", "fdatasync"))]
    if work in ("create", *REPLACES):  # whole folders are synced at the end, also what was durable already
        folders = [
            n for n in syncs if trace[n].count("/.gesso-tmp-") < 2 and not re.search(r"/(a|b|run.json)>", trace[n])
        ]
        for drop in (set(folders), set(syncs) - set(folders)):
            assert unsafe([line for n, line in enumerate(trace) if n not in drop])
    else:
        needless = [trace[n] for n in syncs if not unsafe(trace[:n] + trace[n + 1 :])]
        assert needless == []


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (['write(3</d/.gesso-tmp-1>, ""..., 9) = 9', 'rename("/d/.gesso-tmp-1", "/d/a") = 0'], "/d/a is named before"),
        (['rename("/d/.gesso-tmp-1", "/d/a") = 0'], "/d/a is never durable"),
        (['rename("/d/.gesso-tmp-1", "/d/a") = 0', 'unlink("/d/b") = 0', "fsync(3</d>) = 0"], "/d/b is removed before"),
        (['rename("/d/.gesso-tmp-1", "/d/a") = 0', 'rename("/e/.gesso-tmp-1", "/e/b") = 0'], "/e/b is named before"),
    ],
)
def test_the_judge_of_power_cuts_has_teeth(trace, words):
    assert any(words in problem for problem in unsafe(trace))


# A disk that is really full


@pytest.mark.parametrize("room", [0, 5_000, 15_000])
def test_a_full_disk_keeps_the_last_good_save(tmp_path, room):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        run = Run.create(disk, "emoji", "dcgan")
        for step in (1, 2):
            save(run, step)
        (disk / "ballast").write_bytes(bytes(disk_free(disk) - room))
        with pytest.raises(GessoError, match=r"the disk is full \([\d,]+ bytes needed, [\d,]+ free\)") as caught:
            save(run, 3)
        assert str(run.root) in caught.value.problem
        assert files.TEMPORARY not in str(caught.value)
        for _ in range(2):
            assert found_states(disk) in ({2}, {2, 3})
            (disk / "ballast").unlink(missing_ok=True)
        save(run, 3)
        assert found_states(disk) == {3}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def disk_free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@pytest.mark.parametrize("limit", [0, 100, 4_000, 8_200])
def test_a_file_size_limit_keeps_the_last_good_save(tmp_path, limit):
    resource = pytest.importorskip("resource", reason="file size limits are a thing of Unix")
    run = Run.create(tmp_path, "emoji", "dcgan")
    save(run, OLD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(GessoError, match=r"ulimit -f\) \([\d,]+ bytes needed") as caught:
            save(run, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(run.root / "state") in caught.value.problem
    assert found_states(tmp_path) == {OLD}
    assert not [path for path in run.root.rglob("*") if path.name.startswith((files.TEMPORARY, ".tmp"))]


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
