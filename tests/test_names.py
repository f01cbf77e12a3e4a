"""Names that people rely on: what the package exports, and the table of tasks."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import gesso
from gesso import tasks
from gesso.cli.words import read
from gesso.errors import GessoError

HEAVY = {"torch", "safetensors", "PIL", "cyclopts", "rich"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh process has imported after some code."""
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    return set(out.stdout.split())


def test_exported_names():
    assert gesso.__all__ == ["GessoError", "__version__", "load", "run"]
    assert all(getattr(gesso, name) is not None for name in gesso.__all__)
    assert gesso.GessoError is GessoError
    assert set(gesso.__all__) <= set(dir(gesso))
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        gesso.lode  # noqa: B018


def test_one_version():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["version"] == gesso.__version__


def test_the_front_page_needs_nothing_heavy():
    assert not loaded_by("import gesso, gesso.cli, gesso.tasks") & (HEAVY | {"numpy", "pydantic"})


def test_tasks_need_nothing_heavy_until_they_run():
    everything = "\n".join(f"import {entry.place.partition(':')[0]}" for entry in tasks.TASKS.values())
    assert not loaded_by(everything) & HEAVY


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_is_what_the_table_says(name):
    task = tasks.task(name)
    fields = task.Options.model_fields
    sentence = " ".join((task.Options.__doc__ or "").split("\n\n")[0].split())
    assert task.name == name
    assert tasks.TASKS[name].summary == sentence
    assert set(task.positional) <= set(fields)
    assert import_module(type(task).__module__).__doc__
    for key, field in fields.items():
        assert (field.description or "").strip().endswith("."), f"{key} needs a sentence"


@pytest.mark.parametrize("name", tasks.TASKS)
def test_the_example_works(name):
    task = tasks.task(name)
    program, command, *words = task.example.split()
    assert (program, command) == ("gesso", name)
    chosen = read(name, task, words)
    assert chosen is not None
    task.Options.of(chosen)


def test_families_are_what_the_table_says():
    assert {name: family.name for name, family in tasks.families().items()} == {name: name for name in tasks.FAMILIES}
    assert tasks.family("gan").name == "gan"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: tasks.task("smaple"), "There is no command 'smaple'. Did you mean 'sample'?"),
        (lambda: tasks.family("gann"), "There is no family 'gann'. Did you mean 'gan'?"),
        (lambda: gesso.run("sample", run="a", cuont=1), "There is no option 'cuont'. Did you mean 'count'?"),
    ],
)
def test_wrong_names_lead_to_right_ones(ask, said):
    with pytest.raises(GessoError) as caught:
        ask()
    assert str(caught.value) == said


def test_home(monkeypatch, tmp_path):
    monkeypatch.setenv("GESSO_HOME", str(tmp_path / "env"))
    assert tasks.find_home(tmp_path) == tmp_path
    assert tasks.find_home() == tmp_path / "env"
    monkeypatch.delenv("GESSO_HOME")
    assert tasks.find_home() == Path.home() / "gesso"
    assert tasks.find_home("~/x") == Path.home() / "x"
