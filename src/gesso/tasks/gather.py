"""`gesso gather`: many pictures in one file."""

import hashlib
import json
import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.marks.recipe import Source, Work

TOLD = 24_000  # characters of names and sums that a recipe carries; more are told by one sum over all
MOST_FRAMES = 36_000
CARRIED = 1 << 20  # bytes that are copied at once
LIST = "pictures.json"
WORDS = {"zip": "pictures", "sprites": "sprites", "sheet": "sheet", "film": "film"}
STILL = ("webp", "gif", "apng")  # films whose pictures may each be shown as long as one likes


class GatherOptions(Options):
    """Gather pictures into a ZIP, a sprite sheet, a contact sheet or a film.

    A ZIP holds the files as they are, with a list of their names, sums and recipes. A sprite sheet is a PNG of even
    cells with an atlas in TexturePacker's form. A contact sheet shows all on white. A film shows one after the other.
    """

    pictures: tuple[Path, ...] = Field(
        min_length=1, max_length=100_000, description="The pictures, or folders of them."
    )
    form: Literal["zip", "sprites", "sheet", "film"] = Field(default="zip", description="What they are gathered into.")
    columns: int | None = Field(
        default=None, ge=1, le=4096, description="Pictures in a row of sprites or a sheet; about a square if not given."
    )
    padding: int = Field(default=0, ge=0, le=1000, description="Pixels between sprites.")
    side: int | None = Field(
        default=None, ge=8, le=8192, description="Pixels of the longer side of each picture; its own if not given."
    )
    fps: float = Field(default=12.0, ge=1, le=60, description="Pictures a second of a film.")
    hold: float | None = Field(
        default=None, gt=0, le=600, description="Seconds that a film shows each picture; one frame if not given."
    )
    fade: float = Field(default=0.0, ge=0, le=60, description="Seconds in which a film fades from each to the next.")
    format: Literal["png", "jpg", "webp", "avif", "mp4", "webm", "gif", "apng"] | None = Field(
        default=None, description="Kind of sheet (png if not given) or film (webp), where --out does not say it."
    )
    names: bool = Field(default=False, description="Write the name of each picture under it on a contact sheet.")
    out: Path | None = Field(default=None, description="The file, or a folder for it; HOME/gallery/DATE if not given.")
    recipe: bool = Field(default=True, description="Write into it which pictures it was made from, and how.")


class Gather(Task[GatherOptions]):
    """The task."""

    name = "gather"
    Options = GatherOptions
    positional = ("pictures",)
    example = "gesso gather walk-1.png walk-2.png --form sprites --out walk.png"

    def run(self, options: GatherOptions, home: Path) -> Iterator[Event]:
        """Read, gather, write; the Result names the file, and an atlas where there is one."""
        from gesso import tasks

        paths = tasks.pictures_in(options.pictures)
        for path in paths:
            if not path.is_file():
                raise GessoError(f"There is no file {path}.", "Name pictures, or folders of them.")
        target = _target(options, len(paths), home)
        made = {"zip": _zip, "sprites": _sprites, "sheet": _sheet, "film": _film}[options.form]
        written = yield from made(paths, target, options)
        if options.form != "zip":
            yield Preview(written[0], WORDS[options.form])
        count = "one picture" if len(paths) == 1 else f"{len(paths):,} pictures"
        facts = {"pictures": len(paths), "bytes": written[0].stat().st_size}
        yield Result(f"{written[0]}: {count}.", tuple(written), facts)


Made = Generator[Event, None, list[Path]]


def _target(options: GatherOptions, count: int, home: Path) -> Path:
    """The file to write; raises GessoError for a kind that the form cannot be."""
    from gesso import tasks
    from gesso.errors import nearest
    from gesso.marks.film import FILMS, check_film
    from gesso.marks.picture import SUFFIXES

    known = {"zip": ("zip",), "sprites": ("png",), "sheet": SUFFIXES, "film": FILMS}[options.form]
    out = tasks.destination(None, home, True) if options.out is None else options.out.expanduser()
    suffix = out.suffix.lstrip(".").lower()
    if options.out is None or out.is_dir() or not suffix:
        if out.exists() and not out.is_dir():
            raise GessoError(f"{out} is a file, not a folder.", "Name a folder, or a new file, with --out.")
        suffix = options.format or ("webp" if options.form == "film" else known[0])
        if options.form == "zip":
            suffix = "zip"
        out = out / f"{WORDS[options.form]}-{count}.{suffix}"
    if suffix not in known:
        what = {"zip": "A ZIP", "sprites": "A sprite sheet", "sheet": "A contact sheet", "film": "A film"}[options.form]
        raise GessoError(f"{what} cannot be written as '.{suffix}'.", nearest(suffix, known))
    if options.form == "film":
        check_film(suffix)
    return out


def _free(path: Path) -> Path:
    """The path, or one beside it (`name_2.zip`, …) that no file has yet."""
    place, number = path, 1
    while place.exists():
        number += 1
        place = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return place


def _unique(paths: Sequence[Path]) -> list[str]:
    """A name for each file that no other one has, on disks that know no case either."""
    import unicodedata

    taken, out = {LIST}, list[str]()
    for path in paths:
        own = name = unicodedata.normalize("NFC", path.name)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{Path(own).stem}_{number}{path.suffix}"
        taken.add(name.casefold())
        out.append(name)
    return out


# --- a ZIP ---


def _zip(paths: list[Path], target: Path, options: GatherOptions) -> Made:
    """All files as they are, one at a time, and the list of them."""
    import zipfile

    from gesso.files import writing

    target = _free(target)
    listed, total = list[dict[str, Any]](), sum(path.stat().st_size for path in paths)
    with (
        writing(target, total) as place,
        zipfile.ZipFile(place, "w", zipfile.ZIP_STORED, strict_timestamps=False) as file,
    ):
        for done, (path, name) in enumerate(zip(paths, _unique(paths), strict=True), 1):
            facts: dict[str, Any] = {"name": name, "sha256": _carried(path, name, file)}
            recipe = _recipe_of(path) if options.recipe else None
            listed.append(facts | ({} if recipe is None else {"recipe": recipe}))
            yield Progress(done, len(paths), "files")
        told = json.dumps({"pictures": listed}, indent=1, ensure_ascii=False).encode(errors="replace")
        file.writestr(zipfile.ZipInfo(LIST), told)
    return [target]


def _carried(path: Path, name: str, file: Any) -> str:
    """Copy a file into the ZIP; returns the SHA-256 of what was copied."""
    import zipfile

    digest = hashlib.sha256()
    try:
        about = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
        with path.open("rb") as source, file.open(about, "w", force_zip64=about.file_size >= 1 << 31) as into:
            while part := source.read(CARRIED):
                digest.update(part)
                into.write(part)
    except OSError as error:
        if error.filename is None or Path(error.filename) != path:
            raise
        raise GessoError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    return digest.hexdigest()


def _recipe_of(path: Path) -> dict[str, Any] | None:
    """The recipe that a picture carries, as plain values; None for one without, and for other files."""
    from gesso.marks.recipe import read_recipe

    try:
        found = read_recipe(path)
    except GessoError:
        return None
    return None if found is None else found.model_dump(mode="json", exclude_none=True)


# --- pictures as pixels ---


class _Read(NamedTuple):
    """A picture, `h w c` bytes, colours not multiplied by alpha; and the SHA-256 of its file."""

    image: "np.ndarray"
    sha256: str


def _read(path: Path, side: int | None, most: int | None = None) -> _Read:
    """A picture at the size that is asked for. most: pixels of its longer side at most."""
    from gesso.data.picture import open_picture
    from gesso.scene.pixels import as_bytes, as_layered, resized

    opened = open_picture(path)
    image, longest = opened.image, max(opened.image.shape[:2])
    wanted = min(side or longest, most or side or longest)
    if wanted == longest:
        return _Read(image, opened.sha256)
    high, wide = (max(round(length * wanted / longest), 1) for length in image.shape[:2])
    how = "pixel" if wanted % longest == 0 else "smooth"  # every pixel stays as sharp as it is
    return _Read(as_bytes(resized(as_layered(image), high, wide, how)), opened.sha256)


def _reading(
    paths: list[Path], what: str, side: int | None, most: int | None = None
) -> Generator[Event, None, list[_Read]]:
    """All pictures; raises GessoError before more memory is taken than there is."""
    from gesso.memory import afford

    out, held = list[_Read](), 0
    for done, path in enumerate(paths, 1):
        out.append(_read(path, side, most))
        held += out[-1].image.size
        if done == 1 or done % 64 == 0:
            left = (len(paths) - done) * held / done + 3 * len(paths) * held / done
            afford(left, f"{what} of {len(paths):,} pictures", "Take fewer, or smaller ones with --side.")
        yield Progress(done, len(paths), "pictures read")
    return out


def _columns(options: GatherOptions, count: int, high: int, wide: int) -> int:
    """How many in a row: as asked, else so that all are about a square."""
    return min(options.columns or max(math.ceil(math.sqrt(count * high / wide)), 1), count)


def _mark(paths: list[Path]) -> "Source | None":
    """The mark of what is made of pictures: the one that all of them bear, else that of a composite where some do."""
    from gesso.marks.recipe import read_source
    from gesso.marks.work import mark_of

    kinds = set[str | None]()
    for path in paths:
        try:
            kinds.add(read_source(path))
        except GessoError:  # a format that carries no such mark
            kinds.add(None)
    for same in ("trainedAlgorithmicMedia", "algorithmicallyEnhanced"):
        if kinds == {same}:
            return same
    composed = mark_of("composite", paths)
    return composed if composed != "composite" or composed in kinds else None


def _work(paths: list[Path], read: list[_Read], options: GatherOptions, high: int, wide: int) -> "Work":
    """How it was made; None where that is not to be told."""
    from gesso import __version__
    from gesso.marks.recipe import Work

    inputs = {name[-1000:]: one.sha256 for name, one in zip(_unique(paths), read, strict=True)}
    if len(json.dumps(inputs)) > TOLD:
        inputs = {f"{len(read)} pictures": hashlib.sha256("".join(one.sha256 for one in read).encode()).hexdigest()}
    told = {"form", "columns", "padding", "side", "names"} | (
        {"fps", "hold", "fade"} if options.form == "film" else set()
    )
    chosen = options.model_dump(mode="json", include=told)
    return Work(gesso=__version__, task="gather", inputs=inputs, options=chosen, seed=0, width=wide, height=high)


# --- what is made of them ---


def _sprites(paths: list[Path], target: Path, options: GatherOptions) -> Made:
    """All of them in even cells, each in the middle of its own, and the atlas."""
    import numpy as np

    from gesso import tasks
    from gesso.marks.picture import encode
    from gesso.sample import place
    from gesso.scene.sprites import Frame, atlas

    read = yield from _reading(paths, "A sprite sheet", options.side)
    high, wide = (max(one.image.shape[i] for one in read) for i in (0, 1))
    columns = _columns(options, len(read), high, wide)
    gap, rows = options.padding, math.ceil(len(read) / columns)
    size = rows * (high + gap) - gap, columns * (wide + gap) - gap
    if max(size) > tasks.LARGEST:
        raise GessoError(
            f"The sheet would be {size[1]:,}×{size[0]:,} pixels; a side has at most {tasks.LARGEST:,}.",
            "Take fewer pictures, other --columns, or a smaller --side.",
        )
    page, frames = np.zeros((*size, 4), np.uint8), list[Frame]()
    for number, (one, name) in enumerate(zip(read, _unique(paths), strict=True)):
        tall, broad = one.image.shape[:2]
        x = number % columns * (wide + gap) + (wide - broad) // 2
        y = number // columns * (high + gap) + (high - tall) // 2
        page[y : y + tall, x : x + broad, 3] = 255
        page[y : y + tall, x : x + broad, : one.image.shape[2]] = one.image
        frames.append(Frame(name, x, y, broad, tall, (0, 0), (broad, tall)))
    data = encode(page, "png", _work(paths, read, options, *size), tell=options.recipe, source=_mark(paths),
                  premultiplied=False, parents=paths)  # fmt: skip
    picture = place(target, data)
    told = json.dumps(atlas(frames, picture.name, size[1], size[0]), indent=1, ensure_ascii=False)
    return [picture, place(picture.with_suffix(".json"), told.encode(errors="replace"))]


def _sheet(paths: list[Path], target: Path, options: GatherOptions) -> Made:
    """All of them on white, in rows."""
    from gesso.marks.picture import WIDEST, encode, multiplied, sheet
    from gesso.sample import place

    columns = _columns(options, len(paths), 1, 1)
    read = yield from _reading(paths, "A contact sheet", options.side, max(WIDEST // columns, 8))
    images = [multiplied(one.image) for one in read]
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    said = [[path.stem for path in paths[i : i + columns]] for i in range(0, len(paths), columns)]
    page = sheet(rows, under=said if options.names else ())
    high, wide = page.shape[:2]
    most = {"webp": 16_383}.get(target.suffix.lstrip(".").lower(), 65_500)
    if max(high, wide) > most:
        raise GessoError(
            f"The sheet would be {wide:,}×{high:,} pixels; {target.suffix} holds {most:,} a side.",
            "Take fewer pictures, or more --columns.",
        )
    how = _work(paths, read, options, high, wide)
    return [place(target, encode(page, target.suffix, how, tell=options.recipe, source=_mark(paths), parents=paths))]


def _film(paths: list[Path], target: Path, options: GatherOptions) -> Made:
    """One after the other, in the middle of a ground that holds the largest."""
    from gesso.marks.film import encode_film
    from gesso.sample import place

    suffix = target.suffix.lstrip(".").lower()
    read = yield from _reading(paths, "A film", options.side)
    high, wide = (max(one.image.shape[i] for one in read) for i in (0, 1))
    whole = all(one.image.shape == (high, wide, 3) for one in read)
    frames, fps = [_framed(one.image, high, wide, 3 if whole else 4) for one in read], options.fps
    if options.hold and not options.fade and suffix in STILL:
        fps = 1 / options.hold
    else:
        frames = _timed(frames, options)
    if any(one.image.shape[:2] != (high, wide) for one in read):
        yield Message(f"The pictures are of several sizes: each lies in the middle of {wide}×{high} pixels.")
    how = _work(paths, read, options, high, wide)
    data = encode_film(frames, suffix, fps, how, tell=options.recipe, source=_mark(paths), parents=paths)
    return [place(target, data)]


def _framed(image: "np.ndarray", high: int, wide: int, channels: int) -> "np.ndarray":
    """A picture, premultiplied, in the middle of a larger ground of nothing."""
    import numpy as np

    from gesso.marks.picture import multiplied

    if channels == 3:
        return image
    out = np.zeros((high, wide, 4), np.uint8)
    tall, broad = image.shape[:2]
    y, x = (high - tall) // 2, (wide - broad) // 2
    out[y : y + tall, x : x + broad, 3] = 255
    out[y : y + tall, x : x + broad, : image.shape[2]] = multiplied(image)
    return out


def _timed(pictures: "list[np.ndarray]", options: GatherOptions) -> "list[np.ndarray]":
    """The frames of a film: each picture as long as it is held, and what leads from each to the next."""
    import numpy as np

    from gesso.memory import afford

    held = max(round((options.hold or 0) * options.fps), 1)
    between = round(options.fade * options.fps)
    count = len(pictures) * held + (len(pictures) - 1) * between
    if count > MOST_FRAMES:
        raise GessoError(f"That makes {count:,} frames; a film has at most {MOST_FRAMES:,}.", "Choose a lower --fps.")
    afford(3 * count * pictures[0].size, f"A film of {count:,} frames", "Make it shorter, or choose a smaller --side.")
    out = list[np.ndarray]()
    for picture, following in zip(pictures, [*pictures[1:], None], strict=True):
        out += [picture] * held
        if following is None:
            break
        for step in range(1, between + 1):
            share = np.float32(step / (between + 1))
            out.append(np.rint(picture * (1 - share) + following * share).astype(np.uint8))
    return out
