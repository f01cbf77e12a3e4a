"""Who may import whom (docs/architecture.md), and what every source file owes its reader."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "gesso"
FILES = sorted(ROOT.rglob("*.py"))
LONGEST = 420  # lines of a file

ONE = {"errors", "options", "contract"}
TWO = {
    "files", "compiled", "memory", "nn", "text", "conditioning", "losses", "augment", "primer", "adversarial", "marks",
    "oklab", "pretrained", "reconstruction", "solvers", "translation",
}  # fmt: skip
LIBRARY = {
    "patch", "finish", "scene", "data", "store", "train", "sample", "redraw", "translate", "measure", "explore",
    "explain", "export",
}  # fmt: skip
MAY_IMPORT = {
    "errors": set(),
    "options": {"errors"},
    "contract": ONE,
    "files": ONE,
    "compiled": ONE,
    "memory": ONE,
    "oklab": set(),
    "nn": ONE,
    "losses": ONE,
    "solvers": ONE,
    "augment": ONE,
    "text": ONE | {"nn"},
    "conditioning": ONE | {"nn", "text"},
    "adversarial": ONE | {"nn", "text", "conditioning", "losses", "augment", "primer"},
    "primer": ONE | {"nn", "files", "compiled"},
    "marks": ONE | {"files"},
    "pretrained": ONE | {"files"},
    "reconstruction": ONE | {"nn", "losses", "primer"},
    "translation": ONE | {"nn", "adversarial"},
    "families": ONE | TWO,
    "patch": ONE | TWO,
    "finish": ONE | TWO | {"patch", "data", "scene"},
    "scene": ONE | TWO | {"patch", "data"},
    "data": ONE | TWO,
    "store": ONE | TWO,
    "sample": ONE | TWO,
    "redraw": ONE | TWO | {"sample", "data", "patch"},
    "translate": ONE | TWO | {"sample"},
    "train": ONE | TWO | {"data", "store", "sample"},
    "measure": ONE | TWO | {"sample", "store"},
    "explore": ONE | TWO | {"sample", "store"},
    "explain": ONE | TWO | {"sample", "measure", "explore"},
    "export": ONE | TWO | {"sample", "store"},
    "tasks": ONE | TWO | LIBRARY | {"families"},
    "cli": ONE | {"tasks", "store", "data", "studio"},
    "studio": ONE | {"tasks", "store", "data", "files", "marks", "sample", "explore", "finish"},
    "__init__": ONE | {"tasks"},
    "__main__": {"cli"},
}
APART = {"families", "tasks"}  # rooms whose files never import each other


def names_imported(tree: ast.AST) -> Iterator[str]:
    """Every module of the project that a file imports, at its top, within functions or for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "gesso")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            if (node.module or "").split(".")[0] == "gesso":
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    inside = ROOT.joinpath(*name.split(".")[1:])
                    yield name if inside.is_dir() or inside.with_suffix(".py").is_file() else str(node.module)


def breaches(path: Path, source: str) -> list[str]:
    """What a file imports against the rules. path: relative to the package."""
    unit, found = path.parts[0].removesuffix(".py"), []
    for name in names_imported(ast.parse(source)):
        _, *inner = name.split(".")
        if not inner:  # the package itself, for its version
            continue
        if inner[0] == unit:
            if unit in APART and len(inner) > 1 and path.name != "__init__.py":
                found.append(f"{path} imports its neighbour {name}")
        elif inner[0] not in MAY_IMPORT[unit]:
            found.append(f"{path} imports {name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file(path: Path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert not breaches(path.relative_to(ROOT), source)
    assert len(source.splitlines()) <= LONGEST, "a file stays readable in one sitting: make it a folder"
    assert not list(undocumented(tree, str(path.relative_to(ROOT))))


def undocumented(tree: ast.AST, where: str) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring."""
    if isinstance(tree, ast.Module) and not ast.get_docstring(tree):
        yield where
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            marks = {ast.unparse(mark) for mark in node.decorator_list}
            if not ast.get_docstring(node) and not marks & {"overload", "override"}:
                yield f"{where}: {node.name}"
            if isinstance(node, ast.ClassDef):
                yield from undocumented(node, f"{where}: {node.name}")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from undocumented(node, where)


def test_only_tasks_know_the_families():
    knowing = {
        path.relative_to(ROOT).parts[0]
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("gesso.families")
    }
    assert knowing <= {"tasks"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nn.py", "from gesso import train"),
        ("marks/a.py", "def f():\n    from gesso.data import open_pack"),
        ("families/gan.py", "import gesso.families.vae"),
        ("tasks/train.py", "from gesso.tasks.sample import Sample"),
        ("cli/show.py", "from gesso.train import loop"),
        ("sample.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gesso.store import Run"),
    ],
)
def test_the_rules_catch(path: str, source: str):
    assert breaches(Path(path), source)


def test_every_room_has_rules():
    assert {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES} <= set(MAY_IMPORT)
