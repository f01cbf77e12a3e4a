"""What the studio does with pixels, in a process of its own: whatever a picture does there, the studio lives.

Every function takes paths and plain values, and writes files whole or not at all.
"""

import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar

from gesso.errors import GessoError

__all__ = ["Pool", "lab", "look", "reencode", "settings", "thumb"]

P = ParamSpec("P")
T = TypeVar("T")
SIDE = 256  # pixels of a thumb's longer side
FILMS = {"mp4", "webm", "gif", "apng"}
TIMEOUT = 120.0  # seconds for one picture


class Pool:
    """One process that does such work, one piece at a time; a new one where the last died."""

    def __init__(self) -> None:
        self._lock, self._pool = Lock(), None

    def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a function of this module; raises what it raises, and GessoError when its process died."""
        with self._lock:
            pool = self._pool = self._pool or ProcessPoolExecutor(1, get_context("spawn"), _follow)
            future = pool.submit(work, *args, **kwargs)
        try:
            return future.result(TIMEOUT)
        except (BrokenProcessPool, TimeoutError):
            with self._lock:
                if self._pool is pool:
                    self._pool = None
            for process in list(getattr(pool, "_processes", {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            raise GessoError(
                "The picture could not be read: it took too much memory or time.", "Make it smaller."
            ) from None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None


def _follow() -> None:
    """End with the studio, however that ends."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def reencode(path: str, name: str, out: str) -> dict[str, Any]:
    """Pixels, as a PNG: what a page sent is never served as it came. Returns what is known of it.

    That a machine made it is kept, where it says so: the digital source type of the IPTC and the AIGC label, as XMP.
    Raises GessoError when it is no whole picture.
    """
    import numpy as np
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from gesso.data.picture import open_picture
    from gesso.files import sha256_of, write_bytes

    try:
        opened = open_picture(path)
    except GessoError as error:
        reason = error.problem.partition("cannot be read: ")[2] or error.problem
        raise GessoError(f"{name} cannot be read: {reason}", "Give a whole picture, such as a PNG or a JPEG.") from None
    data, texts = io.BytesIO(), PngInfo()
    if (told := _labels(Path(path))) is not None:
        texts.add_itxt("XML:com.adobe.xmp", told)
    Image.fromarray(np.ascontiguousarray(opened.image)).save(data, "PNG", compress_level=1, pnginfo=texts)
    write_bytes(out, data.getvalue())
    high, wide, channels = opened.image.shape
    return {
        "width": wide, "height": high, "channels": channels, "notes": opened.notes, "sha256": sha256_of(out),
    }  # fmt: skip


def _labels(path: Path) -> str | None:
    """An XMP packet with what a file says of being made by a machine, in XMP, EXIF or credentials; None without it."""
    from gesso import __version__
    from gesso.marks.credentials import read
    from gesso.marks.label import aigc_in, packet, source_in
    from gesso.marks.reading import said
    from gesso.marks.recipe import TRAINED, USER_COMMENT, comment_of, told_by, xmp_of

    try:
        told = told_by(path)  # whatever the file is called
        xmp, text = xmp_of(told.texts), told.texts.get("AIGC")
        labels = aigc_in(xmp, text if isinstance(text, str) else "", comment_of(told.exif.get(USER_COMMENT)) or "")
    except GessoError:
        xmp, labels = said(path)
    sources = [source_in(xmp), read(path).source if b"jumb" in path.read_bytes() else None]
    source = next((one for one in sources if one in TRAINED), next(filter(None, sources), None))
    if source is None and not labels:
        return None
    return packet(__version__, source, aigc=labels[0] if labels else None).decode()


def look(path: str) -> dict[str, Any]:
    """What the gallery keeps of a file: kind, size, SHA-256, colours as "#rrggbb" and in CIELAB, recipe."""
    from gesso.files import sha256_of

    place = Path(path)
    suffix = place.suffix.lower().lstrip(".")
    found: dict[str, Any] = {
        "kind": "file", "width": None, "height": None, "sha256": sha256_of(place), "colours": [], "lab": [],
        "recipe": None,
    }  # fmt: skip
    if suffix in ("html", "htm"):
        return {**found, "kind": "page"}
    if suffix in ("mp4", "webm"):
        return {**found, **_film(place)}
    if suffix in ("png", "jpg", "jpeg", "webp", "avif", "gif", "apng"):
        found |= _picture(place, suffix)
    return found


def settings(path: str) -> dict[str, Any] | None:
    """How a picture was made, by what it says itself; None where it says nothing."""
    from gesso.marks.foreign import read_settings

    try:
        found = read_settings(Path(path))
    except GessoError:
        return None
    return None if found is None else found.model_dump(mode="json")


def thumb(path: str, out: str, side: int = SIDE) -> None:
    """A small WebP of a picture, or of a film's first frame; small pictures stay as they are.

    Raises GessoError where there is nothing to be seen.
    """
    from PIL import Image

    from gesso.data.decode import guarded
    from gesso.files import write_bytes

    place, data = Path(path), io.BytesIO()
    with guarded():
        if place.suffix.lower() in (".mp4", ".webm"):
            image = _first_frame(place)
        else:
            try:
                image = Image.open(place, formats=("PNG", "JPEG", "WEBP", "AVIF", "GIF"))
                image.draft(None, (2 * side, 2 * side))
                image = image.convert("RGBA" if _see_through(image) else "RGB")
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning) as error:
                raise GessoError(f"{place.name} cannot be shown: {error}.") from None
        small = max(image.size) <= side
        if not small:
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
        image.save(data, "WEBP", lossless=small and max(image.size) <= 96, quality=88, method=2)
    write_bytes(out, data.getvalue())


def _see_through(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _picture(place: Path, suffix: str) -> dict[str, Any]:
    """Of a picture: its size, its colours, and the recipe that it carries."""
    from PIL import Image

    from gesso.data.decode import guarded
    from gesso.marks.recipe import read_recipe

    try:
        with guarded(), Image.open(place, formats=("PNG", "JPEG", "WEBP", "AVIF", "GIF")) as image:
            width, height = image.size
            kind = "film" if getattr(image, "n_frames", 1) > 1 else "picture"
            image.draft(None, (128, 128))
            colours, lab = _colours(image.convert("RGBA"))
    except Exception:  # what Pillow raises on damaged files has no common kind
        return {}
    found = {"kind": kind, "width": width, "height": height, "colours": colours, "lab": lab}
    try:
        recipe = read_recipe(place)
    except GessoError:
        recipe = None
    if recipe is not None:
        found["recipe"] = recipe.model_dump(mode="json", exclude_none=True)
    return found


def _colours(image: Any) -> tuple[list[str], list[list[float]]]:
    """Up to three colours that it has most of; what is transparent does not count."""
    import numpy as np
    from PIL import Image

    image.thumbnail((48, 48))
    pixels = np.asarray(image)
    solid = pixels[pixels[..., 3] > 127][:, :3]
    if not len(solid):
        return [], []
    flat = Image.fromarray(solid[None].copy()).quantize(6, Image.Quantize.MEDIANCUT)
    numbers, counts = np.unique(np.asarray(flat), return_counts=True)
    palette = np.array(flat.getpalette(), np.uint8).reshape(-1, 3)
    most = palette[numbers[np.argsort(-counts, kind="stable")][:3]]
    return ["#{:02x}{:02x}{:02x}".format(*map(int, one)) for one in most], [lab(*map(int, one)) for one in most]


def lab(red: int, green: int, blue: int) -> list[float]:
    """An sRGB colour, 0 to 255, in CIELAB (D65): equal distances look about equally large (CIE 1976)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in
              (red / 255, green / 255, blue / 255)]  # fmt: skip
    rows = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.072175), (0.0193339, 0.119192, 0.9503041))
    white = (0.95047, 1.0, 1.08883)
    xyz = [sum(a * b for a, b in zip(row, linear, strict=True)) / w for row, w in zip(rows, white, strict=True)]
    x, y, z = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in xyz)
    return [round(116 * y - 16, 3), round(500 * (x - y), 3), round(200 * (y - z), 3)]


def _film(place: Path) -> dict[str, Any]:
    try:
        image = _first_frame(place)
    except GessoError:
        return {"kind": "film"}
    colours, found = _colours(image.convert("RGBA"))
    return {"kind": "film", "width": image.width, "height": image.height, "colours": colours, "lab": found}


def _first_frame(place: Path) -> Any:
    """The first frame of a film; raises GessoError without the extra that reads it."""
    try:
        import av
    except ImportError:
        raise GessoError("Films cannot be shown without PyAV.", "Install it: pip install 'gesso[video]'.") from None
    with av.open(str(place)) as film:
        for frame in film.decode(video=0):
            return frame.to_image()
    raise GessoError(f"{place.name} has no frame.")
