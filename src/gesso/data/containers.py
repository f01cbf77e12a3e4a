"""Where files come from: a folder, a ZIP or a tar archive, all read in place. Nothing is ever unpacked to disk."""

import os
import stat
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath

from gesso.data.decode import MOST_BYTES
from gesso.data.sniff import Unreadable
from gesso.errors import GessoError

__all__ = ["Container", "Folder", "Tar", "Zip", "open_container", "printable"]

MOST_ENTRIES = 2_000_000
MOST_UNPACKED = 256 << 30  # bytes that an archive may unpack to
MOST_RATIO = 300  # and how many times its own size, once that is more than ROOM
ROOM = 1 << 30
MOST_NOTES = 64 << 20  # bytes of text files kept from a tar archive, which cannot be read back and forth
NOTES = (".csv", ".jsonl", ".json", ".txt", ".caption")
LITTER = {"thumbs.db", "desktop.ini", "__macosx", "icon\r", "@eadir"}


class Container(ABC):
    """Files under relative names with '/', in a fixed order.

    names: of all ordinary files that are not hidden. refused: (name, reason) of what is none of these
    and is no litter of an operating system either.
    """

    kind: str
    title: str = ""  # what the person calls it

    def __init__(self) -> None:
        self.names: list[str] = []
        self.refused: list[tuple[str, str]] = []

    @abstractmethod
    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a file; raises Unreadable with the reason when it is larger than `most` or damaged."""

    def data(self, name: str) -> Path | bytes:
        """What a worker needs to have the bytes: a path where there is one."""
        return self.read(name)

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of the archive."""


def open_container(path: Path) -> Container:
    """The container at a path, told by its bytes; raises GessoError when there is none, or none that Gesso reads."""
    if path.is_dir():
        return Folder(path)
    try:
        if zipfile.is_zipfile(path):
            return Zip(path)
        if _is_tar(path):
            return Tar(path)
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    raise GessoError(
        f"{path} is neither a folder nor an archive that Gesso reads (ZIP, tar).",
        "Put the pictures into a folder, and import that.",
    )


def printable(name: str) -> str:
    """A file's name as text that can be shown and stored: undecodable bytes and control characters escaped."""
    if name.isprintable():
        return name
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Folder(Container):
    """A folder and all below it, in the order of its names; links to folders are followed once each."""

    kind = "folder"

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self._walk(path)
        self.names.sort()

    def _walk(self, root: Path) -> None:
        status = root.stat()
        seen = {(status.st_dev, status.st_ino)}
        todo = [(root, "")]
        while todo:
            here, prefix = todo.pop()
            try:
                entries = sorted(os.scandir(here), key=lambda entry: entry.name)
            except OSError as error:
                if not prefix:
                    raise GessoError(f"{here} cannot be read: {(error.strerror or str(error)).lower()}.") from None
                self.refused.append(
                    (printable(prefix), f"This folder cannot be read: {(error.strerror or '').lower()}.")
                )
                continue
            for entry in entries:
                name = prefix + entry.name
                if is_litter(entry.name):
                    continue
                try:
                    folder = entry.is_dir()
                    where = entry.stat() if folder else None
                except OSError as error:
                    self.refused.append((printable(name), f"It cannot be read: {(error.strerror or '').lower()}."))
                    continue
                if where is None:
                    self.names.append(name)
                elif (where.st_dev, where.st_ino) not in seen:
                    seen.add((where.st_dev, where.st_ino))
                    todo.append((here / entry.name, name + "/"))
            if prefix and not entries and "." in PurePosixPath(prefix).name:
                self.refused.append((printable(prefix), "It is an empty folder, not a file."))

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a file."""
        path = self.path / name
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("It is not an ordinary file.")
            if status.st_size > most:
                raise Unreadable(f"It is larger than {most >> 20} megabytes.")
            return path.read_bytes()
        except OSError as error:
            raise Unreadable(f"It cannot be read: {(error.strerror or str(error)).lower()}.") from None

    def data(self, name: str) -> Path:
        """The path: the worker reads it."""
        return self.path / name


class Zip(Container):
    """A ZIP archive, in the order of its names."""

    kind = "ZIP archive"

    def __init__(self, path: Path):
        super().__init__()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise GessoError(f"{path} is damaged: {error}.", "Download or pack it again.") from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        guard = _Guard(path)
        for info in self._zip.infolist():
            name = info.filename
            guard.count(info.file_size)
            reason = _bad_name(name)
            if info.is_dir() or (not reason and any(is_litter(part) for part in name.split("/"))):
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                reason = "It is a link; links in archives are not followed."
            elif info.flag_bits & 1:
                reason = "It is locked with a password."
            elif info.file_size > 16 << 20 and info.file_size > 1000 * max(info.compress_size, 1):
                reason = "It unpacks to more than a thousand times its size."
            elif name in self._members:
                reason = "Another file in the archive has the same name."
            if reason:
                self.refused.append((printable(name), reason))
            else:
                self._members[name] = info
        guard.check()
        self.names = sorted(self._members)

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a file, unpacked."""
        try:
            with self._zip.open(self._members[name]) as file:
                data = file.read(most + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            RuntimeError,
            NotImplementedError,
            ValueError,
        ) as error:
            raise Unreadable(f"It cannot be unpacked ({' '.join(str(error).split())[:120]}).") from None
        if len(data) > most:
            raise Unreadable(f"It is larger than {most >> 20} megabytes.")
        return data

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()


class Tar(Container):
    """A tar archive, packed or not, in its own order, so that it is read from front to back."""

    kind = "tar archive"

    def __init__(self, path: Path):
        super().__init__()
        self._members: dict[str, tarfile.TarInfo] = {}
        self._notes: dict[str, bytes] = {}
        guard, room = _Guard(path), MOST_NOTES
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115
            while (member := self._tar.next()) is not None:
                name = member.name.removeprefix("./")
                guard.count(member.size)
                guard.check()
                reason = _bad_name(name)
                if member.isdir() or (not reason and any(is_litter(part) for part in name.split("/"))):
                    continue
                if not member.isreg():
                    reason = "It is a link or a device; those in archives are not followed."
                elif name in self._members:
                    reason = "Another file in the archive has the same name."
                if reason:
                    self.refused.append((printable(name), reason))
                    continue
                self._members[name] = member
                if name.lower().endswith(NOTES) and member.size <= room:
                    self._notes[name] = self._content(member)
                    room -= member.size
        except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
            raise GessoError(f"{path} is damaged: {error}.", "Download or pack it again.") from None
        self.names = list(self._members)

    def _content(self, member: tarfile.TarInfo) -> bytes:
        file = self._tar.extractfile(member)
        return file.read() if file is not None else b""

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a file."""
        if name in self._notes:
            return self._notes[name]
        member = self._members[name]
        if member.size > most:
            raise Unreadable(f"It is larger than {most >> 20} megabytes.")
        try:
            return self._content(member)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"It cannot be unpacked ({' '.join(str(error).split())[:120]}).") from None

    def close(self) -> None:
        """Close the archive."""
        self._tar.close()


class _Guard:
    """Counts what an archive promises to unpack to, and refuses bombs."""

    def __init__(self, path: Path):
        self.path, self.packed = path, max(path.stat().st_size, 1)
        self.entries = self.bytes = 0

    def count(self, size: int) -> None:
        self.entries += 1
        self.bytes += max(size, 0)

    def check(self) -> None:
        problem = ""
        if self.entries > MOST_ENTRIES:
            problem = f"has more than {MOST_ENTRIES:,} entries"
        elif self.bytes > MOST_UNPACKED or (self.bytes > ROOM and self.bytes > MOST_RATIO * self.packed):
            problem = f"would unpack to {self.bytes:,} bytes, {self.bytes // self.packed:,} times its size"
        if problem:
            raise GessoError(f"{self.path} {problem}.", "If you trust it, unpack it yourself and import the folder.")


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems leave behind."""
    return name.startswith("._") or (name.startswith(".") and name not in (".", "..")) or name.lower() in LITTER


def _bad_name(name: str) -> str:
    """Why a name in an archive is refused, or nothing."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or (len(name) > 1 and name[1] == ":"):
        return "Its name leads out of the archive."
    return ""


def _is_tar(path: Path) -> bool:
    """Whether tarfile can open it; tarfile.is_tarfile would take an empty file for one."""
    with path.open("rb") as file:
        head = file.read(512)
    return (
        len(head) >= 2
        and (head[257:262] == b"ustar" or head[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7"))
        and tarfile.is_tarfile(path)
    )
