"""Ready pictures back in, to be looked at: a folder of them, all in the shape that they are compared in."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from gesso.data.decode import guarded
from gesso.data.worker import Entry, Recipe, prepare
from gesso.data.write import natural, to_channels
from gesso.errors import GessoError

__all__ = ["Read", "at_size", "read_pictures"]

WHITE = 255
SUFFIXES = frozenset(["png", "jpg", "jpeg", "webp", "avif", "gif", "tif", "tiff", "bmp"])


@dataclass
class Read:
    """Pictures of a folder. images: n h w c bytes, premultiplied where c is 4; paths: of the files, in order.

    sizes: how many pictures had which width and height. problems: a sentence a file that could not be read.
    """

    images: np.ndarray
    paths: list[Path]
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_pictures(folder: str | Path, width: int, height: int, channels: int) -> Read:
    """The pictures of a folder, or one picture, at a size and with so many channels; those below it are not looked for.

    Transparency is laid on white where it is not kept. Sheets (grid pictures of several, whose name says `seeds`) are
    left out. Raises GessoError where there is no such folder, and where no picture in it can be read.
    """
    place = Path(folder).expanduser()
    if not place.exists():
        raise GessoError(f"There is no folder {place}.", "Name a folder with pictures.")
    files = [place] if place.is_file() else sorted(place.iterdir(), key=lambda path: natural(path.name))
    named = [f for f in files if f.is_file() and f.suffix.lower().lstrip(".") in SUFFIXES and "_seeds" not in f.name]
    out = Read(np.empty((0, height, width, channels), np.uint8), [])
    parts: list[np.ndarray] = []
    recipe = Recipe(width, height, "auto", use_marked=True)  # what a machine made may say so; it is only looked at
    with guarded():
        for path in named:
            outcome = prepare(Entry(path.name, path), recipe)
            if not outcome.ready:
                out.problems.append(f"{path.name} is left out: {outcome.reason[:1].lower()}{outcome.reason[1:]}")
                continue
            ready = outcome.ready[0]
            rgba = np.frombuffer(ready.pixels, np.uint8).reshape(1, height, width, 4)
            parts.append(to_channels(rgba, channels, np.full((1, 3), WHITE, np.uint8)))
            out.paths.append(path)
            size = tuple(ready.item["size"])
            out.sizes[size] = out.sizes.get(size, 0) + 1
    if not parts:
        why = f" ({out.problems[0]})" if out.problems else ""
        raise GessoError(f"There is no picture that can be read in {place}{why}.", "Name a folder with pictures.")
    out.images = np.concatenate(parts)
    return out


def at_size(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bytes n h w c averaged down to a size; as they are where they have it."""
    if images.shape[1:3] == (height, width):
        return np.asarray(images)
    out = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for i, image in enumerate(images):
        for c in range(image.shape[2]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., c]))
            out[i, ..., c] = np.asarray(plane.resize((width, height), Image.Resampling.BOX))
    return out
