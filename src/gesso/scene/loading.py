"""Where a scene's pictures and fonts come from: files beside it, and a callback for pictures that models draw."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from gesso.data.picture import open_picture
from gesso.errors import GessoError, nearest
from gesso.files import sha256_of
from gesso.marks.recipe import read_source
from gesso.scene.fonts import Face, broad, face, lacking

__all__ = ["Draw", "Files", "Loader"]

Bytes = UInt8[np.ndarray, "h w c"]  # colours not multiplied by alpha
Draw = Callable[[str, int, str | None], Bytes]
MOST_KEPT = 256 << 20  # bytes of pictures that are kept between formats


class Loader(Protocol):
    """What a scene is made from."""

    def picture(self, name: str) -> Bytes:
        """The picture of that name, h w c bytes, c = 3 or 4, colours not multiplied by alpha; raises GessoError."""
        ...

    def pictures(self, names: tuple[str, ...]) -> list[tuple[str, Bytes]]:
        """The pictures of some names or patterns, each with a short name; raises GessoError."""
        ...

    def drawn(self, run: str, seed: int, label: str | None) -> Bytes:
        """A picture that a model draws; raises GessoError."""
        ...

    def font(self, name: str | None, text: str) -> tuple[Face, str]:
        """The face for a text, by its name or, where that is None, by its letters; and the letters that it lacks."""
        ...


@dataclass
class Files:
    """A loader of files in and below a folder. draw: how generated pictures are had, where that is known.

    inputs: SHA-256 of every file that was read, by its name in the scene; sources: the marks found in pictures, such as
    trainedAlgorithmicMedia; notes: what was converted, in words.
    """

    folder: Path
    draw: Draw | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    _kept: dict[str, Bytes] = field(default_factory=dict, repr=False)

    def picture(self, name: str) -> Bytes:
        """The picture in a file of that name, seen from the folder."""
        if name in self._kept:
            return self._kept[name]
        place = self.folder / Path(name).expanduser()
        if not place.exists():
            raise GessoError(f"There is no file {place}.", self._near(place))
        opened = open_picture(place)
        self.inputs[name] = opened.sha256
        self.notes += [f"{name}: {note}." for note in opened.notes if f"{name}: {note}." not in self.notes]
        with suppress(GessoError):  # of a kind that carries no such mark
            self.sources |= {source} if (source := read_source(place)) else set()
        return self._keep(name, opened.image)

    def pictures(self, names: tuple[str, ...]) -> list[tuple[str, Bytes]]:
        """The pictures in files of some names, or that patterns such as walk/*.png find, in order."""
        out: list[str] = []
        for name in names:
            if not any(letter in name for letter in "*?["):
                out.append(name)
                continue
            try:
                found = sorted(path for path in self.folder.glob(name) if path.is_file())
            except (ValueError, NotImplementedError, OSError):
                raise GessoError(f"'{name[:80]}' is no pattern of files.", "Write for example walk/*.png.") from None
            if not found:
                raise GessoError(f"No file in {self.folder} is like {name[:80]}.", "Write for example walk/*.png.")
            out += [str(path.relative_to(self.folder)) for path in found]
        short = [Path(name).stem for name in out]
        unique = [name if short.count(stem) > 1 else stem for name, stem in zip(out, short, strict=True)]
        return [(title, self.picture(name)) for title, name in zip(unique, out, strict=True)]

    def drawn(self, run: str, seed: int, label: str | None) -> Bytes:
        """What `draw` draws; GessoError where no one can."""
        if self.draw is None:
            raise GessoError(f"Nobody here can draw pictures of run '{run}'.", "Draw them first, with gesso sample.")
        key = f"\0{run}\0{seed}\0{label}"
        return self._kept[key] if key in self._kept else self._keep(key, self.draw(run, seed, label))

    def font(self, name: str | None, text: str) -> tuple[Face, str]:
        """The face of a font file in the folder, or of a family of the system's."""
        found = broad(text) if name is None else face(name, self.folder)
        if found.path is not None:
            self.inputs[found.path.name] = sha256_of(found.path)
        return found, lacking(found, text)

    def _keep(self, key: str, image: Bytes) -> Bytes:
        if sum(one.nbytes for one in self._kept.values()) + image.nbytes > MOST_KEPT:
            self._kept.clear()
        self._kept[key] = image
        return image

    def _near(self, place: Path) -> str:
        """Which file might have been meant."""
        try:
            names = sorted(path.name for path in place.parent.iterdir() if path.is_file())[:5000]
        except OSError:
            return f"There is no folder {place.parent} either."
        said = nearest(place.name, names)
        return said if said.startswith("Did you") else f"Paths are seen from the scene's folder, {self.folder}."
