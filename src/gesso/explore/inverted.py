"""Pictures that were found, beside the run that they were found in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gesso.errors import GessoError
from gesso.explore.fit import with_weights
from gesso.explore.inversion import Found
from gesso.explore.space import Points, Space
from gesso.marks.picture import to_uint8
from gesso.store import load_tensors, save_tensors

__all__ = ["Kept", "keep_found", "kept_found"]

VERSION = 1  # of how pictures are found: what another one found is found again
FOLDER = "inverted"
WEIGHT = "weights."


@dataclass(frozen=True)
class Kept:
    """A picture that was found. points: one; far: as in `Found`; image: as it is drawn, bytes.

    part, weights: of the part that was fitted to it; None and empty where none was.
    """

    points: Points
    far: float
    part: str | None
    weights: dict[str, Tensor]
    image: UInt8[np.ndarray, "h w c"]

    @classmethod
    def of(cls, found: Found, space: Space, part: str | None, weights: dict[str, Tensor]) -> "Kept":
        """What was found, with the weights that were fitted to it."""
        there = _fitted(space, part, weights)
        return cls(found.points, found.far, part, weights, to_uint8(there.pictures(found.points))[0])

    def space(self, space: Space) -> Space:
        """Where it is drawn, and changed."""
        return _fitted(space, self.part, self.weights)


def _fitted(space: Space, part: str | None, weights: dict[str, Tensor]) -> Space:
    return space if part is None else Space(with_weights(space.family, part, weights), space.knobs)


def keep_found(root: Path, picture: str, how: dict[str, Any], found: Kept) -> None:
    """Write what was found into the folder of the run. picture: SHA-256 of its file; how: all that it depends on."""
    points = found.points
    tensors = {"z": points.z, "codes": points.codes, **{WEIGHT + name: one for name, one in found.weights.items()}}
    label = None if points.label is None else int(points.label[0])
    note = {"version": VERSION, "how": how, "far": found.far, "part": found.part, "label": label}
    note["text"] = points.text[0] if points.text else None
    save_tensors(root / FOLDER / f"{picture[:16]}.safetensors", tensors, note)


def kept_found(root: Path, picture: str, how: dict[str, Any], space: Space) -> Kept | None:
    """What was found of a picture in the same way; None where nothing is kept, or it cannot be read."""
    path = root / FOLDER / f"{picture[:16]}.safetensors"
    if not path.is_file():
        return None
    try:
        tensors, note = load_tensors(path)
    except GessoError:
        return None  # it is found again
    if note.get("version") != VERSION or note.get("how") != how:
        return None
    label = None if note["label"] is None else torch.tensor([note["label"]], device=space.device)
    text = None if note["text"] is None else (str(note["text"]),)
    points = Points(tensors["z"].to(space.device), tensors["codes"].to(space.device), label, text)
    weights = {name.removeprefix(WEIGHT): one for name, one in tensors.items() if name.startswith(WEIGHT)}
    part = note["part"]
    image = to_uint8(_fitted(space, part, weights).pictures(points))[0]
    return Kept(points, float(note["far"]), part, weights, image)
