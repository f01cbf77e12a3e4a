"""Paintings finished in the manner of a data set while they are painted, from coarse to fine."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gesso.contract.finishing import FinishChoices
from gesso.data import Pack, check_name, open_pack, pack_names
from gesso.data.decode import decode, guarded
from gesso.data.picture import Opened
from gesso.data.sniff import Unreadable
from gesso.errors import GessoError, nearest
from gesso.studio.live.frames import Answer
from gesso.studio.live.warm import as_webp
from gesso.studio.live.wishes import Paint

if TYPE_CHECKING:
    from gesso.finish import Collection, Drawing

__all__ = ["MOST_BYTES", "PICTURES", "Canvas"]

MOST_BYTES = 4 << 20  # of a painting's file
MOST_SIDE = 2048  # pixels of a painting
SHAPE = 4.0  # times that a painting is longer than wide at most
MOST_SETS = 2
PICTURES = 12  # of the collection that one painting is drawn with: twice as many take half as long again
SMALL = 256  # pixels of the shorter side: larger ones are finished at that first
FIRST = 0.3  # of the work is done then
PNG = b"\x89PNG\r\n\x1a\n"
WAIT = 0.02  # seconds between two looks whether the engine is compiled
Made = Generator[tuple[int, int], None, "Collection"]


class Canvas:
    """The data sets that were painted with last, and the engine that finishes."""

    def __init__(self, home: Path):
        self._home = home
        self._kept = OrderedDict[str, tuple[object, "Collection"]]()
        self._making = dict[str, tuple[object, Made]]()  # which goes on when a newer painting takes its turn
        self._engine = threading.Event()
        self._compiling: threading.Thread | None = None

    def open(self, name: str) -> Iterator[Answer | None]:
        """Make a data set ready to paint with; yields how far that is, at last what it is like."""
        collection = yield from self._collection(name)
        pack = collection.pack
        yield Answer({"width": pack.width, "height": pack.height, "channels": pack.channels})

    def paint(self, name: str, wish: Paint, data: bytes) -> Iterator[Answer | None]:
        """Finish a painting, given as a PNG; yields better and better pictures, the last has done = 1.

        It is the picture that `gesso finish` makes of the same file with as many pictures and the same choices. Raises
        GessoError for what is no painting, and where there is no such data set.
        """
        opened = read_painting(data)
        collection = yield from self._collection(name)
        from gesso.finish.form import formed

        draft, _ = formed(opened, collection)
        high, wide = draft.shape[:2]
        shorter = wish.size or min(collection.pack.height, collection.pack.width, SMALL)
        stages = [shorter] if shorter <= SMALL else [SMALL, shorter]
        choices, seen = FinishChoices(faithful=wish.faithful, pictures=PICTURES), 0
        for begun, size in zip((0.0, FIRST), stages, strict=False):
            height, width = (round(side * size / min(high, wide)) for side in (high, wide))
            collection.afford(choices, high, height, width)
            manner = collection.manner(choices, height, width)
            share = 1 - begun if size == shorter else FIRST
            for step in collection.finish(draft, height, width, manner, count=PICTURES, seed=wish.seed):
                finer = step.picture.shape[0] >= seen
                seen = max(step.picture.shape[0], seen)
                yield _frame(step, round(begun + share * step.done, 4)) if finer else None

    def forget(self) -> None:
        """Let all go: memory is short."""
        self._kept.clear()
        self._making.clear()

    def _collection(self, name: str) -> "Generator[Answer | None, None, Collection]":
        """A data set as it is now; where it has no index yet, that is made, and how far it is comes as an answer."""
        if self._compiling is None:  # beside all else, which it would otherwise hold up
            self._compiling = threading.Thread(target=self._compile, daemon=True, name="gesso-compile")
            self._compiling.start()
        while not self._engine.wait(WAIT):
            yield None
        pack = self._pack(name)
        mark = _mark(pack)
        while True:
            found = self._kept.get(name)
            if found is not None and found[0] == mark:
                self._kept.move_to_end(name)
                return found[1]
            if self._making.get(name, (None,))[0] != mark:
                self._making[name] = mark, _made(pack)
            try:
                done, total = next(self._making[name][1])
            except StopIteration as end:
                self._making.pop(name)
                while len(self._kept) >= MOST_SETS:
                    self._kept.popitem(last=False)
                self._kept[name] = mark, end.value
                continue
            except Exception:
                self._making.pop(name)
                raise
            yield Answer({"done": 0, "making": round(done / total, 4)})

    def _pack(self, name: str) -> Pack:
        known = pack_names(self._home)
        if check_name(name) not in known:
            raise GessoError(f"There is no data set '{name}'.", nearest(name, known) or "Import some pictures first.")
        return open_pack(name, self._home)

    def _compile(self) -> None:
        """Finish a picture of next to nothing, so that all the engine's loops are compiled."""
        with suppress(Exception):  # whatever it is, a painting will meet it, and say so
            from gesso.finish import draw

            rng = np.random.default_rng(0)
            pictures = [rng.random((32, 32, 3), np.float32) for _ in range(3)]
            manner = draw.Manner.of(32)
            for _ in draw.draw(pictures[0], pictures[1:], 32, 32, manner):
                pass
        self._engine.set()


def read_painting(data: bytes) -> Opened:
    """A painting out of a PNG's bytes; raises GessoError for all else."""
    if not data.startswith(PNG):
        raise GessoError("The painting is no PNG.", "Send the canvas as a PNG.")
    if len(data) > MOST_BYTES:
        raise GessoError(f"The painting has more than {MOST_BYTES >> 20} MB.", "Paint on a smaller canvas.")
    wide, high = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))  # of IHDR, before anything is decoded
    if not (min(wide, high) > 0 and max(wide, high) <= MOST_SIDE and max(wide, high) <= SHAPE * min(wide, high)):
        raise GessoError(
            f"A painting of {wide}×{high} is not finished live.",
            f"A side has at most {MOST_SIDE} pixels, and {SHAPE:g} times the other's.",
        )
    try:
        with guarded():
            found = decode(data, "painting.png")
    except Unreadable as error:
        reason = f"{error}"
        raise GessoError(f"The painting cannot be read: {reason[:1].lower()}{reason[1:]}") from None
    image = np.asarray(found.image.convert("RGBA" if found.image.mode == "RGBA" else "RGB"))
    if image.shape[2] == 4 and (image[..., 3] == 255).all():
        image = image[..., :3]
    sha256 = hashlib.sha256(data).hexdigest()
    return Opened(np.ascontiguousarray(image), Path("painting.png"), sha256, found.kind, [*found.converted])


def _made(pack: Pack) -> Made:
    from gesso.finish import Collection, index_of

    return Collection.of(pack, (yield from index_of(pack)))


def _mark(pack: Pack) -> object:
    """What a data set is known by: its files change when its pictures do, or what is known of them."""
    marks: list[object] = [pack.fingerprint]
    for name in ("pack.json", "items.jsonl", "images.npy"):
        with suppress(OSError):
            facts = (pack.path / name).stat()
            marks.append((name, facts.st_mtime_ns, facts.st_size, facts.st_ino))
    return marks


def _frame(step: "Drawing", done: float) -> Answer:
    from gesso.marks.work import to_bytes

    image = to_bytes(step.picture)
    values = {"width": image.shape[1], "height": image.shape[0], "kind": "webp", "done": done}
    return Answer(values, as_webp(image))
