"""Data sets that come as arrays: CIFAR-10 and -100 (Python and binary form), MNIST and its relatives (idx).

CIFAR's Python form is made of pickles. They are read by an unpickler that knows arrays, text, numbers, lists
and dictionaries, builds the arrays itself, and refuses everything else by name: nothing in the file is called.
"""

import gzip
import io
import pickle
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gesso.data.containers import Container
from gesso.data.sniff import Unreadable
from gesso.data.worker import Entry
from gesso.errors import GessoError

__all__ = ["ArraySet", "find_arrays", "read_idx", "safe_unpickle"]

MOST_ARRAY = 1 << 30  # bytes of one file, unpacked
KINDS = {"u1": np.uint8, "i1": np.int8, "b1": np.uint8, "i4": np.int32, "i8": np.int64, "i2": np.int16, "u2": np.uint16}
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
IDX = re.compile(r"(?P<head>.*?)images[-.]idx3-ubyte(?P<gz>\.gz)?$", re.IGNORECASE)
CIFAR_FILES = ("data_batch_1", "data_batch_1.bin", "fine_label_names.txt")


@dataclass(frozen=True)
class ArraySet:
    """A data set found: its kind in words, how many pictures, and the pictures when asked for."""

    kind: str
    total: int
    entries: Callable[[], Iterator[Entry]]


def find_arrays(container: Container, split: str, label_column: str) -> ArraySet | None:
    """The CIFAR or MNIST data set in a container, or None. split: 'train', 'test' or 'all'.

    Raises GessoError when there is one, but not the part that was asked for.
    """
    found = _find_cifar(container, split, label_column) or _find_idx(container, split)
    if found and not found.total:
        raise GessoError(f"There is no {split} part of {found.kind} in it.", "Ask for another with --split.")
    return found


# --- CIFAR ---


def _find_cifar(container: Container, split: str, label_column: str) -> ArraySet | None:
    for folder in sorted({posixpath.dirname(name) for name in container.names}):
        here = {posixpath.basename(name) for name in container.names if posixpath.dirname(name) == folder}
        ten = [f"data_batch_{i}" for i in range(1, 6)]
        for suffix, marker in (("", "batches.meta"), (".bin", "batches.meta.txt")):
            if marker in here and here & {f"{b}{suffix}" for b in [*ten, "test_batch"]}:
                files = _of_split(split, [b + suffix for b in ten], ["test_batch" + suffix], here)
                return _cifar("CIFAR-10", container, folder, files, marker, label_column)
        for suffix, marker in (("", "meta"), (".bin", "fine_label_names.txt")):
            if marker in here and here & {f"train{suffix}", f"test{suffix}"}:
                files = _of_split(split, ["train" + suffix], ["test" + suffix], here)
                return _cifar("CIFAR-100", container, folder, files, marker, label_column)
    return None


def _of_split(split: str, train: list[str], test: list[str], here: set[str]) -> list[str]:
    wanted = {"train": train, "test": test, "all": train + test}[split]
    return [name for name in wanted if name in here]


def _cifar(kind: str, container: Container, folder: str, files: list[str], marker: str, label_column: str) -> ArraySet:
    hundred = kind == "CIFAR-100"
    if label_column not in ("", "label", *(("fine", "coarse") if hundred else ())):
        known = "Known are: label, fine, coarse." if hundred else "Its labels are known without that."
        raise GessoError(f"{kind} has no column '{label_column}'.", known)

    def whole(name: str) -> str:
        return posixpath.join(folder, name)

    def names(key: str, text_file: str) -> list[str]:
        if marker.endswith(".txt"):
            return container.read(whole(text_file)).decode("utf-8", "replace").split()
        meta = safe_unpickle(_content(container, whole(marker)), marker)
        found = meta.get(key) if isinstance(meta, dict) else None
        if not isinstance(found, list):
            raise GessoError(f"{marker} of {kind} is damaged: it does not name the labels.", "Download it again.")
        return [_text(name) for name in found]

    def entries() -> Iterator[Entry]:
        fine = names("fine_label_names" if hundred else "label_names", marker)
        coarse = names("coarse_label_names", "coarse_label_names.txt") if hundred else []
        for file in files:
            read = _cifar_binary if file.endswith(".bin") else _cifar_python
            pixels, labels, groups, titles = read(_content(container, whole(file)), file, hundred)
            for i, picture in enumerate(pixels):
                label = _name(fine, labels[i])
                group = _name(coarse, groups[i]) if hundred else ""
                columns = {"group": group, "file": titles[i] if titles else ""}
                yield Entry(
                    f"{file}#{i}",
                    picture,
                    group if label_column == "coarse" else label,
                    label.replace("_", " "),
                    columns,
                )

    size = 10_000 if not hundred else 0
    counts = {"train": 50_000, "train.bin": 50_000, "test": 10_000, "test.bin": 10_000}
    return ArraySet(kind, sum(size or counts[file] for file in files), entries)


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _name(names: list[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


Batch = tuple[np.ndarray, list[int], list[int], list[str]]


def _cifar_python(data: bytes, file: str, hundred: bool) -> Batch:
    """Pixels `n 32 32 3`, labels, groups and file names of one pickled batch."""
    batch = safe_unpickle(data, file)
    pixels = batch.get("data") if isinstance(batch, dict) else None
    labels: Any = batch.get("fine_labels" if hundred else "labels") if isinstance(batch, dict) else None
    groups: Any = batch.get("coarse_labels", []) if isinstance(batch, dict) else []
    titles: Any = batch.get("filenames", []) if isinstance(batch, dict) else []
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 2
        or pixels.shape[1] != 3072
        or not all(isinstance(part, list) for part in (labels, groups, titles))
        or len(labels) != len(pixels)
        or len(titles) not in (0, len(pixels))
        or (hundred and len(groups) != len(pixels))
    ):
        raise GessoError(f"{file} is damaged: it does not hold CIFAR's pictures and labels.", "Download it again.")
    numbers = [int(n) if isinstance(n, int) else -1 for n in labels]
    more = [int(n) if isinstance(n, int) else -1 for n in groups]
    return _planes(pixels), numbers, more, [_text(title) for title in titles]


def _cifar_binary(data: bytes, file: str, hundred: bool) -> Batch:
    """Pixels `n 32 32 3`, labels and groups of one binary batch: records of label bytes and 3,072 pixels."""
    heads = 2 if hundred else 1
    if not data or len(data) % (3072 + heads):
        raise GessoError(f"{file} is damaged: its length fits no number of pictures.", "Download it again.")
    records = np.frombuffer(data, np.uint8).reshape(-1, 3072 + heads)
    return _planes(records[:, heads:]), records[:, heads - 1].tolist(), records[:, 0].tolist(), []


def _planes(rows: np.ndarray) -> np.ndarray:
    """`n 3072` (three planes of 32 x 32) -> `n 32 32 3`."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


# --- an unpickler that calls nothing ---


class _Type:
    """Stands in for numpy.dtype: remembers the code of a simple type."""

    def __init__(self, code: Any = "", *_: Any):
        self.code = code.decode("latin1") if isinstance(code, bytes) else str(code)

    def __setstate__(self, state: Any) -> None:
        """The state holds byte order and fields; only little-endian and single bytes are known."""
        order = state[1] if isinstance(state, tuple) and len(state) > 2 else None
        if order not in ("<", "|", b"<", b"|"):
            raise pickle.UnpicklingError("an array of an unknown byte order")


class _Array:
    """Stands in for numpy.ndarray while its parts are read."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        """Build the array from (version, shape, type, column order, bytes), each of them checked."""
        try:
            _, shape, kind, columns, data = state
            dtype = np.dtype(KINDS[kind.code])
            raw = data.encode("latin1") if isinstance(data, str) else data
            if not isinstance(raw, bytes) or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError
            self.value = np.frombuffer(raw, dtype).reshape(shape, order="F" if columns else "C")
        except (KeyError, ValueError, TypeError, AttributeError):
            raise pickle.UnpicklingError("an array of a kind that is not read") from None


def _encode(text: Any, how: Any) -> bytes:
    if not isinstance(text, str) or how != "latin1":
        raise pickle.UnpicklingError("an unknown encoding")
    return text.encode("latin1")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]  # the one in Python: the other makes room as it is told
    def find_class(self, module: str, name: str) -> Any:
        """Only stand-ins; anything else is refused by its name."""
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """References to things outside the file are refused."""
        raise pickle.UnpicklingError("it asks for something outside itself")


def safe_unpickle(data: bytes, file: str) -> Any:
    """The plain values in a pickle: numbers, text, bytes, lists, tuples, dictionaries with text keys, arrays.

    Raises GessoError naming the file when it holds, or asks for, anything else. Text that Python 2 wrote
    is read as Latin-1.
    """
    try:
        return _plain(_Unpickler(io.BytesIO(data), encoding="latin1").load(), 0)
    except Exception as error:  # a hostile pickle may fail in any way
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise GessoError(
            f"{file} is a Python pickle that Gesso does not open: {why}.",
            "Use only the official files of the data set.",
        ) from None


def _plain(value: Any, depth: int) -> Any:
    """A copy in which arrays stand for their stand-ins; raises for what is not plain."""
    if depth > 8:
        raise pickle.UnpicklingError("it is nested too deeply")
    if isinstance(value, _Array):
        return value.value
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if type(value) in (list, tuple):
        return [_plain(item, depth + 1) for item in value]
    if type(value) is dict:
        return {
            key.decode("latin1") if isinstance(key, bytes) else str(key): _plain(item, depth + 1)
            for key, item in value.items()
        }
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")


# --- idx (MNIST) ---


def _find_idx(container: Container, split: str) -> ArraySet | None:
    found = [(name, match) for name in sorted(container.names) if (match := IDX.match(name))]
    if not found:
        return None
    chosen = []
    for name, match in found:
        test = any(word in posixpath.basename(match["head"]).lower() for word in ("t10k", "test"))
        if split == "all" or (split == "test") == test:
            labels = next((n for n in container.names if _labels_of(n, match["head"])), None)
            chosen.append((name, labels))
    fashion = any("fashion" in name.lower() for name in [container.title, *container.names])

    def entries() -> Iterator[Entry]:
        for name, labels in chosen:
            pixels = read_idx(_content(container, name), name)
            numbers = read_idx(_content(container, labels), labels) if labels else None
            if pixels.ndim != 3 or (numbers is not None and numbers.shape != pixels.shape[:1]):
                raise GessoError(f"{name} does not fit its labels.", "Download both again.")
            for i, picture in enumerate(pixels):
                number = int(numbers[i]) if numbers is not None else -1
                label = "" if number < 0 else FASHION[number] if fashion and number < 10 else str(number)
                yield Entry(f"{posixpath.basename(name)}#{i}", picture, label, label)

    total = 0
    for name, _ in chosen:
        head = _content(container, name)[:8]
        total += int.from_bytes(head[4:8], "big") if len(head) == 8 else 0
    return ArraySet("Fashion-MNIST" if fashion else "MNIST (idx files)", total, entries)


def _labels_of(name: str, head: str) -> bool:
    rest = name.removeprefix(head).lower()
    return name.startswith(head) and re.fullmatch(r"labels[-.]idx1-ubyte(\.gz)?", rest) is not None


def read_idx(data: bytes, file: str) -> np.ndarray:
    """The array in an idx file of bytes (LeCun's format): uint8 of one to three dimensions; raises GessoError."""
    if len(data) < 8 or data[:3] != b"\x00\x00\x08" or not 1 <= data[3] <= 3:
        raise GessoError(f"{file} is not an idx file of bytes.", "Use the official files of the data set.")
    rank = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    size = 1
    for n in shape:
        size *= n
    if size != len(data) - 4 - 4 * rank:
        raise GessoError(f"{file} is damaged: its length does not fit its header.", "Download it again.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _content(container: Container, name: str) -> bytes:
    """The bytes of a file, unpacked where it is gzipped; raises GessoError when it is damaged or too large."""
    try:
        data = container.read(name, MOST_ARRAY)
    except Unreadable as error:
        raise GessoError(f"{name} cannot be used. {error}") from None
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            data = file.read(MOST_ARRAY + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise GessoError(f"{name} is damaged: {error}.", "Download it again.") from None
    if len(data) > MOST_ARRAY:
        raise GessoError(f"{name} unpacks to more than {MOST_ARRAY >> 30} gigabyte.")
    return data
