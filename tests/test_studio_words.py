"""What the studio's pages say in Chinese of what Gesso itself says in English."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAID = ROOT / "web" / "src" / "lib" / "i18n" / "said.zh.json"


@cache
def texts() -> tuple[str, ...]:
    """All texts of the library, with {} for every value that is put into one."""
    out: list[str] = []
    for path in sorted((ROOT / "src" / "gesso").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)
                  if part is not node}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr) and id(node) not in inside:
                parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
                out.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                out.append(" ".join(node.value.split()))
    return tuple(out)


@cache
def said() -> dict[str, str]:
    words = json.loads(SAID.read_text(encoding="utf-8"))
    return {**words["values"], **words["sentences"]}


def test_every_sentence_is_one_that_gesso_says():
    every = "\n".join(texts())
    assert [english for english in said() if english not in every] == []


def test_every_translation_is_chinese_and_holds_the_same_values():
    for english, chinese in said().items():
        asked = set(re.findall(r"\{(\d?)\}", chinese))
        assert asked <= {str(number) for number in range(english.count("{}"))}, english
        assert re.search(r"[\u4e00-\u9fff]", chinese), english
        assert english.count("`") == chinese.count("`"), english


def choices() -> list[str]:
    """What is said of every choice of every family, in training and in drawing."""
    from gesso.studio.live import known

    forms = [one[form] for one in known.families() for form in ("config", "knobs")]
    return [about["description"] for form in forms for about in form["properties"].values()]


@pytest.mark.parametrize("what", ["health", "choices"])
def test_what_everybody_reads_is_translated(what):
    from gesso.measure.health.rules import RULES

    wanted = [rule.remedy for rule in RULES] if what == "health" else choices()
    assert sorted({one for one in wanted if one not in said()}) == []
