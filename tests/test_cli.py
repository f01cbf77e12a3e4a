"""The command line: words to options, events to lines, mistakes to sentences and exit codes."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from gesso import tasks
from gesso.cli import main
from gesso.cli.show import Show
from gesso.contract.task import Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

CLOSED: list[str] = []


class PlayOptions(Options):
    """Play a piece.

    It is heard
    by nobody.
    """

    piece: str = Field(description="What to play.")
    others: tuple[Path, ...] = Field(default=(), description="And then.")
    count: int = Field(default=3, ge=1, le=1_000, description="How often.")
    tempo: float = Field(default=1.0, gt=0, lt=10, description="How fast.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Luck.")
    mood: Literal["glad", "sad"] = Field(default="glad", description="How it sounds.")
    loud: bool = Field(default=False, description="Wake the neighbours.")
    recipe: bool = Field(default=True, description="Leave the notes.")
    out: Path | None = Field(default=None, description="Where to.")
    set: tuple[str, ...] = Field(default=(), description="More, name=value.")
    two_words: str | None = Field(default=None, description="Two.")


class Play(Task[PlayOptions]):
    """The task."""

    name = "play"
    Options = PlayOptions
    positional = ("piece", "others")
    example = "gesso play fugue --count 2"

    def run(self, options: PlayOptions, home: Path) -> Iterator:
        """Whatever the piece says."""
        try:
            yield Message("Tuning.")
            for i in range(options.count):
                yield Progress(i + 1, options.count, "bars", 2.0, {"bars_a_second": 1.5})
                if options.piece == "mistake":
                    raise GessoError("A string is broken.", "Buy a new one.")
                if options.piece == "fault":
                    raise RuntimeError("the house [bold]is on fire")
                if options.piece == "stop":
                    os.kill(os.getpid(), signal.SIGINT)
                if options.piece == "twice":
                    os.kill(os.getpid(), signal.SIGINT)
                    os.kill(os.getpid(), signal.SIGINT)
                if options.piece == "slow":
                    time.sleep(0.2)
            yield Preview(home / "a.png", "half")
            yield Message("Careful.", "warning")
            yield Result(f"Played {options.model_dump(mode='json')}", (home / "b.png",))
        finally:
            CLOSED.append(options.piece)


@pytest.fixture(autouse=True)
def table(monkeypatch, tmp_path):
    monkeypatch.setitem(tasks.TASKS, "play", tasks.Entry(f"{__name__}:Play", "Make", "Play a piece."))
    monkeypatch.setenv("GESSO_HOME", str(tmp_path))
    monkeypatch.delenv("GESSO_DEBUG", raising=False)
    CLOSED.clear()


@pytest.fixture
def say(capsys):
    """Runs a command; returns its exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        return code, *capsys.readouterr()

    return run


def chosen(text: str) -> dict:
    return eval(text.partition("Played ")[2].splitlines()[0])  # our own repr of plain values


def test_words_become_options(say):
    words = (
        "fugue a.mid b.mid -n 2 --tempo 0.5 --mood sad --loud --no-recipe -o x --set a=1 --set b=[1,2] --two-words z"
    )
    code, out, _ = say("play", *words.split())
    assert code == 0
    assert chosen(out) == {
        "piece": "fugue", "others": ["a.mid", "b.mid"], "count": 2, "tempo": 0.5, "seed": 0, "mood": "sad",
        "loud": True, "recipe": False, "out": "x", "set": ["a=1", "b=[1,2]"], "two_words": "z",
    }  # fmt: skip
    code, out, _ = say("play", "--count=5", "--piece", "fugue")
    assert chosen(out)["count"] == 5
    assert chosen(out) == PlayOptions(piece="fugue", count=5).model_dump(mode="json")


def test_home_may_stand_anywhere(say, tmp_path):
    for words in (
        ["--home", "/x", "play", "f"], ["--home=/x", "play", "f"], ["play", "f", "--home", "/x"],
        ["--home", "/y", "play", "f", "--home=/x"],
    ):  # fmt: skip
        assert "/x/b.png" in say(*words)[1]
    assert f"{tmp_path}/b.png" in say("play", "f")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["paly"], "There is no command 'paly'. Did you mean 'play'?"),
        (["--verbose"], "'--verbose' stands where a command should. Write the command first: gesso COMMAND …"),
        (["--home"], "--home needs a folder. Write for example gesso --home ~/pictures list."),
        (["play"], "gesso play needs PIECE. For example: gesso play fugue --count 2"),
        (["play", "f", "--cuont", "2"], "gesso play has no option '--cuont'. Did you mean '--count'?"),
        (["play", "f", "--xyz"], "gesso play has no option '--xyz'. See gesso play --help."),
        (["play", "f", "-n"], "-n needs a value. See gesso play --help."),
        (["play", "f", "-n", "0"], "count = 0 does not fit: it should be greater than or equal to 1."),
        (["play", "f", "--mood", "glat"], 'Did you mean "glad"?'),
        (["play", "f", "-n", "many"], 'unable to convert "many" into int'),
        (["play", "mistake"], "A string is broken. Buy a new one."),
    ],
)
def test_mistakes_are_sentences(say, words, said):
    code, out, err = say(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 2
    assert "Played" not in out


def test_a_fault_is_a_sentence_unless_it_is_looked_for(say, monkeypatch):
    code, _, err = say("play", "fault")
    assert code == 1
    assert "a fault of its own (RuntimeError: the house [bold]is on fire). Set GESSO_DEBUG=1" in err
    monkeypatch.setenv("GESSO_DEBUG", "1")
    with pytest.raises(RuntimeError, match="on fire"):
        main(["play", "fault"])


@pytest.mark.parametrize(("piece", "goes_on"), [("stop", True), ("twice", False)])
def test_ctrl_c_closes_the_task(say, piece, goes_on):
    before = signal.getsignal(signal.SIGINT)
    code, out, err = say("play", piece)
    assert code == 130
    assert list(CLOSED) == [piece]
    assert "Stopping when this step is done" in err
    assert err.strip().endswith("Stopped. What was finished is kept.")
    assert "Played" not in out
    assert signal.getsignal(signal.SIGINT) is before


def test_events_are_plain_lines_where_there_is_no_terminal(say, monkeypatch):
    monkeypatch.setattr("gesso.cli.show.FIRST", 0.0)
    code, out, err = say("play", "f", "-n", "1000")
    assert code == 0
    assert "\x1b" not in out + err
    lines = err.splitlines()
    assert lines == ["Tuning.", "1 of 1,000 bars  0%  0:02 left  bars a second 1.5", "Careful."]


def test_plain_progress_is_modest(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("gesso.cli.show.time.monotonic", lambda: now[0])
    show = Show()
    for second in range(100):
        now[0] = second
        show(Progress(second, 100, "pictures", 3700.0))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "2 of 100 pictures  2%  1:01:40 left"


def test_front_page(say):
    code, out, err = say("--help")
    assert (code, err) == (0, "")
    assert say()[1] == out
    for name, entry in tasks.TASKS.items():
        line = next(line for line in out.splitlines() if line.startswith(f"  {name} "))
        assert entry.summary[:30] in line
    assert "GESSO_HOME" in out


def test_page_of_a_command(say, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = say("play", "--help")
    assert code == 0
    assert say("help", "play")[1] == out
    lines = " ".join(out.split())
    for said in (
        "gesso play PIECE [OTHERS…] [OPTIONS]", "It is heard by nobody.",
        "-n, --count INT How often. 1 to 1,000, default 3",
        "How fast. above 0, below 10, default 1.0", "Luck. default 0", "glad | sad, default glad", "--loud Wake",
        "--recipe, --no-recipe Leave", "-o, --out PATH", "--two-words STR", "--home", "$ gesso play fugue --count 2",
    ):  # fmt: skip
        assert said in lines


def test_every_command_has_a_page(say):
    for name in tasks.TASKS:
        code, out, _ = say(name, "--help")
        assert code == 0
        assert f"gesso {name}" in out
        assert "object at 0x" not in out


def test_list(say, tmp_path):
    code, out, _ = say("list")
    assert code == 0
    assert "There is nothing" in out
    assert "gesso demo" in out


def gesso(*words: str, **more) -> subprocess.Popen:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\nimport tests.test_cli as t\n"
    code += "from gesso import tasks; tasks.TASKS['play'] = tasks.Entry('tests.test_cli:Play', 'Make', 'Play.')\n"
    code += "from gesso.cli import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, *words], **more)


def test_a_terminal_gets_a_bar():
    lead, follow = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "90", "NO_COLOR": "1"}
    with gesso("play", "slow", "-n", "4", stdout=subprocess.DEVNULL, stderr=follow, env=env) as process:
        os.close(follow)
        shown = b""
        while select.select([lead], [], [], 20)[0]:
            try:
                shown += os.read(lead, 4096)
            except OSError:
                break
        assert process.wait(20) == 0
    os.close(lead)
    text = shown.decode()
    assert "━" in text
    assert "2 of 4 bars" in text
    assert "bars a second 1.5" in text
    assert "\x1b[32m" not in text
    assert "\x1b[36m" not in text


def test_a_real_ctrl_c():
    with gesso("play", "slow", "-n", "500", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Tuning.\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip().endswith("Stopped. What was finished is kept.")
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_fault():
    words = [sys.executable, "-c", "import sys; from gesso.cli import main; sys.exit(main())", "--help"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
