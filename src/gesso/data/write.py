"""How a pack comes to be: pictures are streamed to disk as RGBA, then turned in place into the channels chosen.

Memory holds a few bytes a picture, whatever their number: the pixels go straight to the file that will be
images.npy (and those of their sources to what will be sources.npy), behind a header that is written last.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from gesso.data.pack import chunks, fingerprint

__all__ = ["PackWriter", "Written", "natural", "to_channels"]

HEADER = 128  # bytes before the pixels: room for any shape, a multiple of 64 as the format asks
TRANSPARENT_SHARE = 0.01  # 'auto' keeps alpha when more than this share of the pictures has real transparency


@dataclass(frozen=True)
class Written:
    """What the finished files hold: the shape, the labels in the order of their numbers, the fingerprint.

    source_channels: of the sources; 0 where there are none.
    """

    count: int
    channels: int
    labels: tuple[str, ...]
    fingerprint: str
    source_channels: int = 0


class PackWriter:
    """Streams pictures and what is known of them into a folder; `finish` makes it a data set but for pack.json.

    folder: where images.npy and items.jsonl are made. height, width: of every picture. paired: whether each is
    added with a source, for sources.npy.
    """

    def __init__(self, folder: Path, height: int, width: int, paired: bool = False):
        self.folder, self.height, self.width = folder, height, width
        self.count = 0
        self._images = _Pixels(folder / "images.npy", height, width)
        self._sources = _Pixels(folder / "sources.npy", height, width) if paired else None
        self._items = (folder / "items.jsonl").open("w", encoding="utf-8", newline="\n")
        self._label_of: list[int] = []
        self._labels: dict[str, int] = {}
        self._kept = np.zeros(0, np.int64)

    def add(self, pixels: bytes, item: dict[str, Any], ground: Sequence[int], transparent: bool, grey: bool) -> None:
        """Append one picture: h w 4 premultiplied bytes; ground: RGB to lay under it when alpha is not kept."""
        self._images.add(pixels, ground, transparent, grey)
        self._items.write(json.dumps(item) + "\n")
        label = item.get("label") or ""
        self._label_of.append(self._labels.setdefault(label, len(self._labels)) if label else -1)
        self.count += 1

    def add_source(self, pixels: bytes, ground: Sequence[int], transparent: bool, grey: bool) -> None:
        """Append the source of the picture that was added last, in the same form."""
        assert self._sources, "this writer takes no sources"
        self._sources.add(pixels, ground, transparent, grey)

    def flush(self) -> np.ndarray:
        """The pictures so far, `n h w 4` uint8 premultiplied, memory-mapped; add nothing while it is in use."""
        self._items.flush()
        return self._images.flush()

    def choose(self, channels: str, keep: np.ndarray | None = None) -> int:
        """1, 3 or 4 for 'auto', 'grey', 'rgb' or 'rgba'; auto looks at the pictures kept (`n` bool)."""
        return self._images.choose(keep) if channels == "auto" else {"grey": 1, "rgb": 3, "rgba": 4}[channels]

    def settle(self, channels: int, keep: np.ndarray | None = None) -> None:
        """Turn the pixels in place into `channels` (1, 3 or 4) and leave out what `keep` (`n` bool) does not want.

        Sources that were added get the channels that they have themselves. Nothing can be added after that.
        """
        self._kept = np.arange(self.count) if keep is None else np.flatnonzero(keep)
        if self._sources:
            if self._sources.count != self.count:
                raise ValueError(f"{self._sources.count} sources for {self.count} pictures")
            self._sources.settle(self._sources.choose(keep), self._kept)
        self._images.settle(channels, self._kept)
        self.close()
        if keep is not None:
            self._rewrite_items(keep)

    def make_sources(self, kind: str, workers: int) -> Iterator[int]:
        """Make the sources of all pictures, once these are settled; yields how many there are so far.

        kind: of `gesso.data.degrade`. workers: how many threads.
        """
        from gesso.data.degrade import degrade_picture, source_channels

        images, done = _open(self.folder / "images.npy"), 0
        shape = (*images.shape[:3], source_channels(kind, images.shape[3]))
        with (self.folder / "sources.npy").open("wb") as out, ThreadPoolExecutor(workers) as crew:
            out.write(bytes(HEADER))
            for part in chunks(images, 1 << 20):
                for made in crew.map(partial(degrade_picture, kind), np.array_split(part, min(len(part), workers))):
                    out.write(made.data)
                yield (done := done + len(part))
            out.seek(0)
            out.write(_header(shape))

    def finish(self) -> Written:
        """What the settled files hold: everything is read once more for the fingerprint."""
        used = {self._label_of[i] for i in self._kept}
        labels = tuple(sorted((label for label, i in self._labels.items() if i in used), key=natural))
        number = {self._labels[label]: i for i, label in enumerate(labels)}
        ids = np.array([number.get(self._label_of[i], -1) for i in self._kept], np.int64)
        images = _open(self.folder / "images.npy")
        if not (self.folder / "sources.npy").exists():
            return Written(len(ids), images.shape[3], labels, fingerprint(chunks(images), ids))
        sources = _open(self.folder / "sources.npy")
        mark = fingerprint(chunks(images), ids, chunks(sources))
        return Written(len(ids), images.shape[3], labels, mark, sources.shape[3])

    def close(self) -> None:
        """Close the files; safe to call twice."""
        self._images.close()
        if self._sources:
            self._sources.close()
        self._items.close()

    def _rewrite_items(self, keep: np.ndarray) -> None:
        path, new = self.folder / "items.jsonl", self.folder / "items.kept"
        with path.open(encoding="utf-8") as old, new.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(line for line, wanted in zip(old, keep, strict=True) if wanted)
        new.replace(path)


class _Pixels:
    """A .npy file of pictures on its way: RGBA is appended, then turned in place into the channels chosen."""

    def __init__(self, path: Path, height: int, width: int):
        self.path, self.height, self.width = path, height, width
        self.count = 0
        self._file: BinaryIO = path.open("w+b", buffering=1 << 20)
        self._file.write(bytes(HEADER))
        self._grounds = bytearray()  # 3 bytes a picture: what goes under its transparent pixels
        self._flags = bytearray()  # 1 byte a picture: 1 = has transparency of its own, 2 = is grey

    def add(self, pixels: bytes, ground: Sequence[int], transparent: bool, grey: bool) -> None:
        """Append one picture."""
        if len(pixels) != self.height * self.width * 4:
            raise ValueError(f"a picture of {len(pixels)} bytes in a pack of {self.height} x {self.width}")
        self._file.write(pixels)
        self._grounds.extend(bytes(ground))
        self._flags.append(transparent | grey << 1)
        self.count += 1

    def flush(self) -> np.ndarray:
        """Everything written so far, `n h w 4`, memory-mapped."""
        self._file.flush()
        return np.memmap(self._file, np.uint8, mode="r+", offset=HEADER, shape=(self.count, self.height, self.width, 4))

    def choose(self, keep: np.ndarray | None) -> int:
        """The channels that the pictures kept (`n` bool) need."""
        flags = np.frombuffer(bytes(self._flags), np.uint8)
        flags = flags if keep is None else flags[keep]
        if np.mean(flags & 1) > TRANSPARENT_SHARE:
            return 4
        return 1 if np.all(flags & 2) else 3

    def settle(self, channels: int, kept: np.ndarray) -> None:
        """Keep the pictures of these numbers, in so many channels, and write the header."""
        images = self.flush()
        grounds = np.frombuffer(bytes(self._grounds), np.uint8).reshape(-1, 3)
        # A picture's new place is never behind its old one, so one pass in order overwrites nothing unread.
        size = self.height * self.width * channels
        at = HEADER
        step = max(1, (1 << 24) // (self.height * self.width * 4))
        with self.path.open("r+b") as out:
            for start in range(0, len(kept), step):
                which = kept[start : start + step]
                out.seek(at)
                at += out.write(np.ascontiguousarray(to_channels(images[which], channels, grounds[which])).data)
            del images
            out.truncate(HEADER + len(kept) * size)
            out.seek(0)
            out.write(_header((len(kept), self.height, self.width, channels)))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()


def _open(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def to_channels(rgba: np.ndarray, channels: int, grounds: np.ndarray) -> np.ndarray:
    """`n h w 4` premultiplied uint8 -> `n h w c` uint8; grounds: `n 3` uint8, laid under what is transparent."""
    if channels == 4:
        return rgba
    rgb = rgba[..., :3]
    if rgba[..., 3].min(initial=255) < 255:
        clear = (255 - rgba[..., 3:]).astype(np.uint16)
        under = (clear * grounds[:, None, None, :] + 127) // 255
        rgb = np.minimum(rgb + under, 255).astype(np.uint8)
    if channels == 3:
        return rgb
    # Luma of ITU-R BT.601, as Pillow's own conversion to grey.
    return ((rgb @ np.array([19595, 38470, 7471], np.uint32) + 32768) >> 16).astype(np.uint8)[..., None]


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that puts '2' before '10' and ignores case where it can."""
    key: list[tuple[int, int, str]] = []
    for part in _runs(text.casefold()):
        key.append((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part))
    return [*key, (2, 0, text)]


def _runs(text: str) -> Iterator[str]:
    """The text cut where digits begin or end, at most 18 digits together."""
    run = ""
    for letter in text:
        digit = letter.isascii() and letter.isdigit()
        if run and (digit != (run[-1].isascii() and run[-1].isdigit()) or len(run) == 18):
            yield run
            run = ""
        run += letter
    if run:
        yield run


def _header(shape: tuple[int, ...]) -> bytes:
    """A .npy header, version 1.0, padded to HEADER bytes."""
    said = repr({"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape})
    body = said.encode("latin1").ljust(HEADER - npy.MAGIC_LEN - 2 - 1) + b"\n"
    return npy.magic(1, 0) + len(body).to_bytes(2, "little") + body
