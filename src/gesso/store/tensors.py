"""Tensors on disk: safetensors with a note and a SHA-256 over all of it, and nothing else.

The hash covers the note and every tensor's name, type, shape and bytes. It travels in the file's own
header, so that a file and its hash are always one: renaming the file is all it takes to be atomic.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso.errors import GessoError, nearest
from gesso.files import writing

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HEADER_MOST = 16 << 20  # bytes; a header takes about 100 a tensor
TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "BF16": "bfloat16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
}
DISGUISES = {  # first bytes of what people hold for weights
    b"PK\x03\x04": "a ZIP archive (as torch.save writes), which may hold a pickle, and a pickle can run programs",
    b"\x80\x02": "a pickle, which can run programs",
    b"\x80\x03": "a pickle, which can run programs",
    b"\x80\x04": "a pickle, which can run programs",
    b"\x80\x05": "a pickle, which can run programs",
    b"\x89HDF": "an HDF5 file",
    b"GGUF": "a GGUF file",
}

Scalar = bool | int | float


class Damaged(GessoError):
    """A file of tensors that is not what was written."""


def save_tensors(path: str | Path, tensors: "Mapping[str, Tensor | Scalar]", note: Mapping[str, Any]) -> str:
    """Write tensors and a note of JSON values as one safetensors file, atomically; returns the SHA-256.

    tensors: on any device, in any memory format, sharing memory or not (what is shared is written
    twice); numbers become 0-dim tensors. Raises GessoError when the disk refuses; the old file is untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = _plain(tensors)
    told = json.dumps(dict(note))
    digest = _digest(plain, told)
    metadata = {"format": "pt", "gesso": told, "sha256": digest}
    needed = sum(t.nbytes for t in plain.values()) + 8 + len(told) + 200 * (len(plain) + 1)
    with writing(path, needed) as temporary:
        try:
            save_file(plain, temporary, metadata)
        except SafetensorError as error:  # the system's refusal arrives as text only
            number = re.search(r"\(os error (\d+)\)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), str(error), str(temporary)) from error
    return digest


def load_tensors(path: str | Path, *, verify: bool = True) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """The tensors (on the CPU) and the note of a safetensors file; raises GessoError when it is missing or damaged.

    verify: compare the SHA-256 written with it. Without, a file that other software wrote is taken too
    (its note is empty); names and shapes are then the caller's to check, with `check_tensors`.
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    told = metadata.get("gesso", "{}")
    if verify and metadata != {"format": "pt", "gesso": told, "sha256": _digest(tensors, told)}:
        raise Damaged(f"{path} is damaged: its contents do not match the SHA-256 written with them.", RESTORE)
    try:
        note = json.loads(told)
    except ValueError:
        raise Damaged(f"{path} is damaged: its note is not JSON.", RESTORE) from None
    return tensors, note if isinstance(note, dict) else {}


def check_tensors(expected: "Mapping[str, tuple[Sequence[int], torch.dtype]]", path: str | Path) -> None:
    """Refuse a safetensors file whose tensors are not the expected names, shapes and types.

    expected: name -> (shape, dtype). Reads the header only, before memory is taken for any tensor.
    Raises GessoError naming the first thing that does not fit.
    """
    with _opened(path) as file:
        found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: (tuple(part.get_shape()), TYPES.get(part.get_dtype(), "?")) for name, part in found.items()}
    remedy = "It was made for another model or with other options."
    for name, (shape, dtype) in expected.items():
        if name not in shapes:
            raise GessoError(f"{path} lacks the tensor '{name}'.", remedy)
        want = (tuple(shape), str(dtype).removeprefix("torch."))
        if shapes[name] != want:
            is_, should = (f"{kind} {list(size)}" for size, kind in (shapes[name], want))
            raise GessoError(f"{path}: the tensor '{name}' is {is_} where {should} is expected.", remedy)
    for name in shapes:
        if name not in expected:
            raise GessoError(f"{path} holds an unknown tensor '{name}'.", nearest(name, expected) + " " + remedy)


RESTORE = "Restore it from a backup, or train again."


def _plain(tensors: "Mapping[str, Tensor | Scalar]") -> "dict[str, Tensor]":
    """Contiguous tensors on the CPU, none sharing memory with another; copies only where it must."""
    import torch

    plain, seen = {}, set()
    for name, value in tensors.items():
        tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value)
        if str(tensor.dtype).removeprefix("torch.") not in TYPES.values() or tensor.layout != torch.strided:
            raise TypeError(f"The tensor '{name}' ({tensor.dtype}, {tensor.layout}) has no place in safetensors.")
        tensor = tensor.detach().resolve_conj().resolve_neg().to("cpu").contiguous()
        place = tensor.untyped_storage().data_ptr()
        if place in seen:
            tensor = tensor.clone()
        seen.add(place)
        plain[name] = tensor
    return plain


def _digest(tensors: "Mapping[str, Tensor]", told: str) -> str:
    """SHA-256 over the note and each tensor's name, type, shape and bytes, in the order of the names."""
    import torch

    digest = hashlib.sha256(told.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode(errors="surrogatepass"))
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _opened(path: str | Path) -> Any:
    """An open safetensors file whose header was checked; raises GessoError on anything else."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():  # nor a pipe, which would never answer
        raise Damaged(f"There is no file {path}.", RESTORE)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        problem = f"{path} could not be read: {(error.strerror or '').lower()}."
        raise Damaged(problem, "Check its permissions.") from error
    header = int.from_bytes(start[:8], "little")
    room = path.stat().st_size - 8
    if start[8:] != b"{":
        for magic, what in DISGUISES.items():
            if start.startswith(magic):
                raise Damaged(f"{path} is not a safetensors file but {what}.", "Gesso reads safetensors only.")
        raise Damaged(f"{path} is not a safetensors file, or its first bytes are damaged.", RESTORE)
    if header > room:
        raise Damaged(f"{path} is not a whole safetensors file: it ends within its header.", RESTORE)
    if header > HEADER_MOST:
        raise Damaged(f"{path} has a header of {header:,} bytes, more than the {HEADER_MOST:,} that Gesso reads.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise Damaged(f"{path} is not a whole safetensors file: {error}.", RESTORE) from None
