"""Works on single pictures, written: with what they were made from, and that a program made them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gesso import __version__
from gesso.errors import GessoError, nearest
from gesso.marks.credentials import read
from gesso.marks.picture import SUFFIXES, write_picture
from gesso.marks.recipe import TRAINED, Original, Source, Taken, Work, read_source

__all__ = ["mark_of", "target_of", "to_bytes", "write_work"]

DULL = {"out", "recipe", "quality", "threads", "seed"}  # choices that change nothing of what is seen, or stand apart


def target_of(out: Path | None, given: Path, word: str, inputs: Sequence[Path] = ()) -> Path:
    """The file to write: the one named, or NAME-word.png beside the given picture.

    Raises GessoError for a kind of file that is not written, a folder, and a file that the work is made from.
    """
    target = given.expanduser().with_name(f"{given.stem}-{word}.png") if out is None else out.expanduser()
    suffix = target.suffix.lower().lstrip(".")
    if target.is_dir():
        target, suffix = target / f"{given.stem}-{word}.png", "png"
    if suffix not in SUFFIXES:
        raise GessoError(f"{target.name} names no kind of picture that is written.", nearest(suffix or "?", SUFFIXES))
    if any(
        target.exists() and other.expanduser().exists() and target.samefile(other.expanduser())
        for other in (given, *inputs)
    ):
        raise GessoError(
            f"{target} is a picture that this is made from, and is never written over.", "Name another file with --out."
        )
    return target


def to_bytes(picture: Float[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w c"]:
    """A picture in [0, 1] as bytes, each value rounded to the nearest."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def mark_of(source: Source, inputs: Sequence[Path]) -> Source:
    """The mark of a work: that of a composite with generated media where one of its inputs says it is such."""
    for path in inputs:
        try:
            known = read_source(path)
        except GessoError:  # a format that carries no such mark
            known = None
        if known in TRAINED or (known is None and read(path).source in TRAINED):
            return "compositeWithTrainedAlgorithmicMedia"
    return source


def write_work(
    path: Path,
    picture: UInt8[np.ndarray, "h w c"] | Float[np.ndarray, "h w c"],
    task: str,
    inputs: Mapping[Path, str],
    options: Mapping[str, Any],
    *,
    seed: int,
    source: Source = "composite",
    quality: int | None = None,
    recipe: bool = True,
    premultiplied: bool = True,
    dpi: float | None = None,
    original: Original | None = None,
    taken: Taken | None = None,
) -> Path:
    """Write what was made from given pictures, whole or not at all; returns the path.

    picture: bytes, or floats in [0, 1]. inputs: the files, and the SHA-256 of each. options: all that was chosen; paths
    become names. premultiplied: whether colours are multiplied by alpha. original, taken: where a collection was used.
    """
    image = picture if picture.dtype == np.uint8 else to_bytes(picture)
    chosen = {name: _plain(value) for name, value in options.items() if name not in DULL}
    work = Work(
        gesso=__version__, task=task, inputs={file.name: digest for file, digest in inputs.items()}, options=chosen,
        seed=seed, width=image.shape[1], height=image.shape[0], original=original, taken=taken,
    )  # fmt: skip
    return write_picture(
        path, image, work, tell=recipe, source=mark_of(source, list(inputs)), quality=quality,
        premultiplied=premultiplied, dpi=dpi, parents=list(inputs),
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
