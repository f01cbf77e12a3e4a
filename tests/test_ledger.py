"""The log of what was made: chained, searched, expired, cut short by a kill, written by many at once."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.errors import GessoError
from gesso.marks import ledger as module
from gesso.marks.ledger import FIRST, Ledger, digest

WORDS = st.dictionaries(
    st.sampled_from("abcd"), st.none() | st.booleans() | st.integers() | st.text(max_size=9), max_size=4
)


def filled(folder, count=5):
    ledger = Ledger(folder)
    made = [ledger.add({"id": f"{number:016x}", "sha256": f"{number:064x}"}) for number in range(count)]
    return ledger, made


def test_each_line_vouches_for_those_before(tmp_path):
    ledger, made = filled(tmp_path)
    assert made[0]["prev"] == FIRST
    assert [one["prev"] for one in made[1:]] == [one["hash"] for one in made[:-1]]
    assert ledger.check() == (5, [], made[-1]["hash"])
    assert [*ledger.entries()] == made
    assert ledger.find("0000000000000003") == made[3]
    assert ledger.find(f"{2:064x}", "sha256") == made[2]
    assert ledger.find("00") is None
    assert Ledger(tmp_path / "none").check() == (0, [], FIRST)


@given(WORDS)
def test_the_digest_is_of_the_canonical_form(entry):
    mixed = dict(reversed(entry.items())) | {"hash": "x"}
    assert digest(mixed) == digest(entry) == digest(json.loads(json.dumps(entry)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:2], lines[2].replace(b"0002", b"0009", 1), *lines[3:]], "was changed"),
        (lambda lines: [*lines[:2], *lines[3:]], "does not follow"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "does not follow"),
        (lambda lines: lines[1:], "does not follow"),
        (lambda lines: [*lines[:2], b"{nothing\n", *lines[2:]], "cannot be read"),
        (lambda lines: [*lines, b'{"id": "torn'], "cut short"),
    ],
)
def test_what_was_meddled_with_is_found(tmp_path, change, words):
    ledger, _ = filled(tmp_path)
    (path,) = ledger.months()
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert any(words in problem for problem in ledger.check().problems)


def test_a_torn_line_is_cut_and_the_chain_goes_on(tmp_path):
    ledger, made = filled(tmp_path)
    (path,) = ledger.months()
    with path.open("ab") as file:
        file.write(b'{"id": "torn')
    after = ledger.add({"id": "after"})
    assert after["prev"] == made[-1]["hash"]
    assert ledger.check() == (6, [], after["hash"])


def test_a_full_disk_adds_nothing(tmp_path, monkeypatch):
    ledger, made = filled(tmp_path)
    real, calls = os.write, []

    def full(handle, data):
        if len(data) < 80:  # the lock tells who holds it
            return real(handle, data)
        calls.append(len(data))
        if len(calls) == 1:
            return real(handle, data[:40])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "write", full)
    with pytest.raises(GessoError, match="disk"):
        ledger.add({"id": "lost", "text": "x" * 200})
    monkeypatch.undo()
    assert ledger.check() == (5, [], made[-1]["hash"])


def test_months_that_are_older_than_what_is_kept_go(tmp_path):
    old = Ledger(tmp_path)
    line = {"at": "2020-01-05T00:00:00Z", "id": "old", "prev": FIRST}
    line["hash"] = digest(line)
    (tmp_path / "2020-01.jsonl").write_text(json.dumps(line) + "\n")
    assert old.add({"id": "kept"})["prev"] == line["hash"]
    assert len(old.months()) == 2
    (tmp_path / f"{datetime.now(UTC):%Y-%m}.jsonl").unlink()
    Ledger(tmp_path, keep=184).add({"id": "new"})
    assert [path.stem for path in old.months()] == [f"{datetime.now(UTC):%Y-%m}"]
    first, second = old.entries()
    assert (first["kind"], first["months"], second["id"]) == ("expired", ["2020-01"], "new")
    assert old.check().problems == []
    assert old.check().entries == 2


def test_what_was_kept_cannot_be_passed_off_as_expired(tmp_path):
    head = FIRST
    for month in ("2020-01", "2020-02"):
        line = {"at": f"{month}-05T00:00:00Z", "id": month, "prev": head}
        head = line["hash"] = digest(line)
        (tmp_path / f"{month}.jsonl").write_text(json.dumps(line) + "\n")
    now = datetime.now(UTC).date()
    Ledger(tmp_path, keep=(now - date(2020, 2, 2)).days).add({"id": "new"})
    ledger = Ledger(tmp_path)
    assert ledger.months()[0].stem == "2020-02"
    assert ledger.check().problems == []
    ledger.months()[0].unlink()
    assert "does not follow" in " ".join(ledger.check().problems)


def test_a_month_that_begins_with_a_failed_write_goes_on_from_the_last(tmp_path):
    line = {"at": "2020-01-05T00:00:00Z", "id": "old", "prev": FIRST}
    line["hash"] = digest(line)
    (tmp_path / "2020-01.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / f"{datetime.now(UTC):%Y-%m}.jsonl").touch()
    assert Ledger(tmp_path).add({"id": "new"})["prev"] == line["hash"]
    assert Ledger(tmp_path).check().problems == []


def test_days_are_chosen_where_the_clock_was_set_back(tmp_path):
    (tmp_path / "2099-01.jsonl").touch()
    made = Ledger(tmp_path).add({"id": "new"})
    assert [*Ledger(tmp_path).entries(until=datetime.now(UTC).date())] == [made]


def test_days_are_chosen(tmp_path):
    ledger, made = filled(tmp_path, 2)
    today = datetime.now(UTC).date()
    assert [*ledger.entries(today, today)] == made
    assert [*ledger.entries(until=today - timedelta(days=1))] == []
    assert [*ledger.entries(since=date(2099, 1, 1))] == []


def test_several_processes_write_one_chain(tmp_path):
    code = "import sys; from pathlib import Path; from gesso.marks.ledger import Ledger\n"
    code += "for n in range(20): Ledger(Path(sys.argv[1])).add({'id': sys.argv[2] + str(n)})"
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "abc"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    checked = Ledger(tmp_path).check()
    assert (checked.entries, checked.problems) == (60, [])
    assert len({entry["id"] for entry in Ledger(tmp_path).entries()}) == 60
