"""A source -> a stream of entries: which files are pictures to be read, and what the source says of each."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gesso.data.arrays import IDX, find_arrays
from gesso.data.choices import FOUND
from gesso.data.containers import Container, Folder, Tar, open_container, printable
from gesso.data.pairing import SPLITS, find_couples
from gesso.data.rights import Reservation
from gesso.data.sniff import Unreadable
from gesso.data.tables import METADATA, read_dataset_json, read_tables
from gesso.data.worker import Entry
from gesso.errors import GessoError

__all__ = ["Source", "open_source"]

PAIRS = ({"A", "B"}, {"trainA", "trainB"}, {"trainA", "trainB", "testA", "testB"})
CAPTIONS = (".txt", ".caption")
MOST_CAPTION = 4000
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".tga", ".ppm", ".ico")


@dataclass
class Source:
    """Pictures to import. total: how many entries there will be. refused: (name, reason) of what has none.

    notes: sentences for the person, as about parts that were left aside. Call `close` when done.
    """

    kind: str
    total: int
    entries: Iterator[Entry]
    container: Container
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Let go of archives."""
        self.container.close()


def open_source(
    path: Path, label_column: str = "", split: str = "train", pairs: str = "none", swap: bool = False
) -> Source:
    """Find out what is at a path, and how to read it; raises GessoError when there is nothing to read.

    label_column: the column of the metadata that becomes the label. split: 'train', 'test' or 'all', of
    sources that come in parts. pairs: where the sources of the pictures are found; 'folders' gives every
    entry its partner, the picture being in the first of the two where `swap` says so.
    """
    if not path.exists():
        raise GessoError(f"There is nothing at {path}.", "Check the path; blossoms is the built-in source.")
    container: Container
    if path.is_file() and IDX.match(path.name):
        container = Folder(path.parent)
        head = path.name[: path.name.lower().index("images")]
        container.names = [name for name in container.names if name == path.name or name.startswith(head + "labels")]
        split = "all"
    else:
        container = open_container(path)
    try:
        container.title = path.name
        arrays = find_arrays(container, split, label_column)
        if arrays:
            if pairs in FOUND:
                raise GessoError(
                    f"{arrays.kind} holds no pairs ({pairs}).",
                    "Have them made from its pictures, as with --pairs edges.",
                )
            return Source(arrays.kind, arrays.total, arrays.entries(), container)
        if pairs == "folders" and isinstance(container, Tar):
            raise GessoError(
                f"{path} is a tar archive, which is read from front to back: pairs of folders are not read from one.",
                "Unpack it, and import the folder.",
            )
        layout = _Layout(container, path.name, label_column)
        if pairs == "folders":
            layout.couple(split, swap)
        else:
            layout.choose_split(split)
        return layout.source()
    except BaseException:
        container.close()
        raise


class _Layout:
    """Pictures in folders, with or without metadata: the rules by which each gets its label, text and columns."""

    def __init__(self, container: Container, title: str, label_column: str):
        self.container, self.title = container, title
        self.notes: list[str] = []
        self.table = read_tables(container)
        self.label_column = self.table.label_column(label_column, title)
        self.labels, self.files_used = self._dataset_json()
        self.reservation, self.reserved_in = self._reservation()
        own = {*self.files_used, *(n for n in container.names if posixpath.basename(n).lower() in METADATA)}
        names = [name for name in container.names if name not in own]
        self.captions = _captions(names)
        names = [name for name in names if name not in set(self.captions.values())]
        self.root = _root([*names, *own])
        self.names = names
        self.pairs: set[str] = set()  # the folders of pairs whose sides are labels
        self.in_splits = False
        self.partners: dict[str, str] = {}  # the source of each picture, where that is another file
        self.places: dict[str, str] = {}  # each picture's path within its folder of pairs

    def source(self) -> Source:
        kind = self.container.kind
        if self.table.rows:
            kind += " with metadata"
        elif self.labels:
            kind += " with dataset.json"
        elif self.pairs or self.partners:
            kind += " of pairs"
        return Source(kind, len(self.names), self._entries(), self.container, self.container.refused, self.notes)

    def _entries(self) -> Iterator[Entry]:
        for name in self.names:
            entry = Entry(printable(self._inner(name)), b"")
            self._describe(name, entry)
            self._fill(name, entry)
            if name in self.partners:
                entry.partner = Entry(printable(self._inner(self.partners[name])), b"")
                self._fill(self.partners[name], entry.partner)
            yield entry
        unused = len(self.table.rows) - len(self.table.used)
        if unused:
            self.notes.append(f"{unused:,} rows of the metadata name pictures that are not there.")

    def _fill(self, name: str, entry: Entry) -> None:
        """Where an entry's bytes are, and whether they are reserved."""
        try:
            entry.data = self.container.data(name)
        except Unreadable as error:
            entry.fault = str(error)
        if self.reservation:
            entry.reserved = self.reservation.covers(posixpath.relpath(name, self.reserved_in or "."))

    def _describe(self, name: str, entry: Entry) -> None:
        """Fill in what the source says of a picture: metadata first, then dataset.json, then folders."""
        path = posixpath.normpath(name)
        entry.label, entry.text, entry.columns = self.table.facts(path, self.label_column)
        inner = self.places.get(name) or self._inner(name)
        folders = inner.split("/")[:-1]
        if folders and SPLITS.get(folders[0].lower()) and self.in_splits:
            entry.columns.setdefault("split", folders.pop(0))
        if not entry.label and not self.label_column:
            entry.label = self.labels.get(path, "") if self.labels else printable(folders[0]) if folders else ""
        if len(folders) > 1:
            entry.columns.setdefault("folder", printable("/".join(folders)))
        if self.pairs and folders and inner.split("/")[0] in self.pairs:
            entry.columns["pair"] = printable(posixpath.splitext("/".join(inner.split("/")[1:]))[0])
            entry.label = entry.label[-1:]
        if not entry.text and name in self.captions:
            entry.text = self._caption(self.captions[name])

    def _caption(self, name: str) -> str:
        try:
            return " ".join(self.container.read(name, 1 << 20).decode("utf-8-sig", "replace").split())[:MOST_CAPTION]
        except Unreadable:
            return ""

    def _inner(self, name: str) -> str:
        """The name below the folder that holds everything."""
        return name.removeprefix(self.root)

    def _dataset_json(self) -> tuple[dict[str, str], list[str]]:
        """Labels by path from the dataset.json nearest to the root, and the names of such files."""
        files = [name for name in self.container.names if posixpath.basename(name) == "dataset.json"]
        if not files:
            return {}, []
        name = min(files, key=lambda n: n.count("/"))
        try:
            return read_dataset_json(self.container.read(name), name, posixpath.dirname(name)), files
        except Unreadable as error:
            raise GessoError(f"{name} cannot be used. {error}") from None

    def _reservation(self) -> tuple[Reservation | None, str]:
        """The rules of a tdmrep.json at the top, or in .well-known there, and the folder that they are about."""
        top = _root(self.container.names).rstrip("/")
        for place in (".well-known/tdmrep.json", "tdmrep.json"):
            for folder in dict.fromkeys(("", top)):
                text = _try_read(self.container, posixpath.join(folder, place))
                if text is None:
                    continue
                try:
                    return Reservation(text), folder
                except (ValueError, RecursionError):
                    self.notes.append(f"{place} could not be read, so it reserves nothing.")
        return None, ""

    def _find_pairs(self, names: list[str]) -> set[str]:
        """The folders of a set of pairs, {A, B} or {trainA, trainB, …}; empty when it is none."""
        tops = {inner.split("/")[0] for name in names if "/" in (inner := self._inner(name))}
        return tops if tops in PAIRS else set()

    def couple(self, split: str, swap: bool) -> None:
        """Keep the pictures of the part asked for that have a partner; refuse the files that have none."""
        couples = find_couples(self.names, self._inner, split, self.title, swap)
        self.names = [couple.picture for couple in couples.found]
        self.partners = {couple.picture: couple.source for couple in couples.found}
        self.places = {couple.picture: couple.below for couple in couples.found}
        self.container.refused += [(printable(self._inner(name)), reason) for name, reason in couples.refused]
        self._note_aside(couples.aside)

    def choose_split(self, split: str) -> None:
        """Keep the pictures of the part asked for; all, where the source does not come in parts."""
        names = self.names
        self.pairs = self._find_pairs(names)
        parts: dict[str, str] = {}
        for name in names:
            top = self._inner(name).split("/")[0] if "/" in self._inner(name) else ""
            parts[name] = SPLITS.get(top.lower().removesuffix("a").removesuffix("b") if self.pairs else top.lower(), "")
        kinds = {part for name, part in parts.items() if part or name.lower().endswith(PICTURES)}
        self.in_splits = bool(kinds) and "" not in kinds
        if not self.in_splits or split == "all":
            return
        chosen = [name for name in names if parts[name] in (split, "")]
        if not any(parts[name] for name in chosen):
            raise GessoError(f"There is no {split} part in {self.title}.", "Ask for another part with --split.")
        self.names = chosen
        self._note_aside(len(names) - len(chosen))

    def _note_aside(self, count: int) -> None:
        if count:
            self.notes.append(f"{count:,} files of the other part were left aside; --split all takes them too.")


def _root(names: list[str]) -> str:
    """The folder, with a final '/', that holds everything: archives are often packed with one around them."""
    root = ""
    while names:
        heads = {name[len(root) :].partition("/")[0] if "/" in name[len(root) :] else "" for name in names}
        head = heads.pop() if len(heads) == 1 else ""
        if not head:
            break
        root += head + "/"
    return root


def _captions(names: list[str]) -> dict[str, str]:
    """The text file of the same name beside each picture that has one."""
    texts = {posixpath.splitext(name)[0]: name for name in names if name.lower().endswith(CAPTIONS)}
    found = {}
    for name in names:
        stem, suffix = posixpath.splitext(name)
        if suffix.lower() in PICTURES and stem in texts:
            found[name] = texts[stem]
    return found


def _try_read(container: Container, name: str) -> str | None:
    """A small text file that may be hidden, or None where there is none."""
    try:
        if isinstance(container, Folder) or name in container.names:
            return container.read(name, 1 << 20).decode("utf-8-sig", "replace")
    except Unreadable:
        pass
    return None
