"""What a data set's own files say of its pictures: metadata.csv and .jsonl, StyleGAN's dataset.json."""

import csv
import io
import json
import posixpath
from collections.abc import Iterator
from typing import Any

from gesso.data.containers import Container, printable
from gesso.data.sniff import Unreadable
from gesso.errors import GessoError, nearest

__all__ = ["METADATA", "Table", "read_dataset_json", "read_tables"]

METADATA = ("metadata.csv", "metadata.jsonl")
NAMES = ("file_name", "filename", "file", "image", "path")  # the first is the convention, the others are common
SYNONYMS = {
    "text": ("text", "caption", "prompt", "description"),
    "licence": ("licence", "license"),
    "creator": ("creator", "author", "artist"),
    "consent": ("consent",),
    "origin": ("origin", "source", "source_url"),
}
# What Gesso itself writes of a picture; a column of that name is kept under `column_NAME`.
OWN = {"source", "sha256", "size", "converted", "label", "text", "marks", "tile", "rights", "pair"}
OWN |= {"paired_with", "paired_sha256", "digital_source"}
MOST_TEXT = 4000  # characters of a caption


class Table:
    """Rows by the path of their picture. columns: all names of columns but that of the file."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.columns: list[str] = []
        self.used: set[str] = set()

    def add(self, path: str, row: dict[str, Any]) -> None:
        """Keep a row; its columns are remembered in the order in which they first appear."""
        self.rows[path] = row
        self.columns += [key for key in row if key not in self.columns]

    def label_column(self, wanted: str, source: str) -> str:
        """The column that holds the label: the one wanted, else `label`, else none (empty).

        Raises GessoError when the one wanted is not there.
        """
        if not wanted:
            return "label" if "label" in self.columns else ""
        if wanted not in self.columns:
            remedy = nearest(wanted, self.columns) or "There is no metadata.csv or metadata.jsonl in it."
            raise GessoError(f"{source} has no column '{wanted}'.", remedy)
        return wanted

    def facts(self, path: str, label_column: str) -> tuple[str, str, dict[str, Any]]:
        """(label, text, other columns) of a picture; all empty when no row names it."""
        row = self.rows.get(path)
        if row is None:
            return "", "", {}
        self.used.add(path)
        return split_row(row, label_column)


def split_row(row: dict[str, Any], label_column: str) -> tuple[str, str, dict[str, Any]]:
    """(label, text, other columns under Gesso's names for them) of one row."""
    columns = {key: value for key, value in row.items() if value not in ("", None)}
    label = _word(columns.get(label_column)) if label_column else ""
    text_column = next((name for name in SYNONYMS["text"] if columns.get(name)), "")
    text = _word(columns.pop(text_column, ""))[:MOST_TEXT]
    for name in ("licence", "creator", "consent", "origin"):
        found = next((word for word in SYNONYMS[name] if word in columns), None)
        if found:
            columns[name] = _word(columns.pop(found))
    columns.pop("label", None) if label_column == "label" else None
    return label, text, {f"column_{key}" if key in OWN else key: value for key, value in columns.items()}


def _word(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def read_tables(container: Container) -> Table:
    """All metadata files of a container, each for the pictures beside and below it.

    Raises GessoError naming the file and the line that cannot be read.
    """
    table = Table()
    for name in container.names:
        base = posixpath.basename(name).lower()
        if base not in METADATA:
            continue
        try:
            text = container.read(name).decode("utf-8-sig")
        except Unreadable as error:
            raise GessoError(f"{name} cannot be used. {error}") from None
        except UnicodeDecodeError:
            raise GessoError(f"{name} is not text in UTF-8.", "Save it as UTF-8.") from None
        rows = _csv_rows(text, name) if base.endswith(".csv") else _json_rows(text, name)
        folder = posixpath.dirname(name)
        for line, row in rows:
            key = next((word for word in NAMES if word in row), None)
            file = row.pop(key) if key else None
            if not isinstance(file, str) or not file:
                raise GessoError(
                    f"{name}, line {line}, does not name a picture in a column 'file_name'.",
                    "Each line needs file_name, the path of its picture relative to the metadata file.",
                )
            table.add(posixpath.normpath(posixpath.join(folder, file.replace("\\", "/"))), row)
    return table


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            values: dict[str, Any] = {key.strip(): value for key, value in row.items() if key and value is not None}
            yield reader.line_num, values
    except csv.Error as error:
        raise GessoError(f"{name}, line {reader.line_num}, is not CSV: {error}.") from None


def _json_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise GessoError(f"{name}, line {number}, is not a JSON object.")
        yield number, row


def read_dataset_json(data: bytes, name: str, folder: str) -> dict[str, str]:
    """Labels by path from StyleGAN's dataset.json, `{"labels": [["path", 3], ...]}`; empty when it has none.

    folder: where the file lies; its paths are relative to it. Raises GessoError when it is not of that form.
    """
    wrong = GessoError(
        f'{printable(name)} is not of the form {{"labels": [["picture.png", 3], …]}}.', "Correct it, or remove it."
    )
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise wrong from None
    pairs = content.get("labels") if isinstance(content, dict) else False
    if pairs is None:
        return {}
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    if not isinstance(pairs, list):
        raise wrong
    labels = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise wrong
        path, label = pair
        if isinstance(label, list) and label and all(isinstance(n, int | float) for n in label):
            label = max(range(len(label)), key=label.__getitem__)  # one-hot
        if not isinstance(label, int | str):
            raise wrong
        labels[posixpath.normpath(posixpath.join(folder, path.replace("\\", "/")))] = str(label)
    return labels
