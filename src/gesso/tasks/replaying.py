"""A picture made once more from its recipe, and compared with what it is."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gesso.errors import GessoError

if TYPE_CHECKING:
    import numpy as np

    from gesso.contract.task import Event
    from gesso.marks.recipe import Recipe, Work

__all__ = ["Replayed", "recipe_of", "replayed"]

FILMS = (".mp4", ".webm")
MOST = 50_000  # files that are looked through in a folder
NAMES = {".jpeg": ".jpg"}


@dataclass(frozen=True)
class Replayed:
    """identical: to the pixel; None where it could not be made again. largest: difference of a value, of 255. share: of
    pixels that differ. words: a sentence. made: where the new file is, where it was kept.
    """

    identical: bool | None
    words: str
    largest: int = 0
    share: float = 0.0
    made: str | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def recipe_of(path: Path, home: Path) -> "Recipe | Work":
    """The recipe that a picture carries, else what the ledger has by its bytes or its watermark.

    Raises GessoError where there is none.
    """
    from gesso.files import sha256_of
    from gesso.marks.imprint import Imprint, read_choices
    from gesso.marks.recipe import read_recipe

    found = read_recipe(path)
    if found is not None:
        return found
    ledger = Imprint(home, read_choices(home)).ledger
    entry = ledger.find(sha256_of(path), "sha256")
    if entry is None and path.suffix.lower() not in FILMS:
        from gesso.marks.watermark import detect

        marked = detect(pixels_of(path))
        entry = None if marked is None else ledger.find(f"{marked.payload:016x}")
    if entry is None:
        raise GessoError(f"{path.name} carries no recipe, and the ledger knows nothing of it.", "Nothing can be done.")
    return _validated(entry.get("recipe"), path)


def _validated(values: Any, path: Path) -> "Recipe | Work":
    from gesso.marks.recipe import Recipe, Work

    if not isinstance(values, dict):
        raise GessoError(f"What the ledger has of {path.name} is no recipe.", "Nothing can be done.")
    return (Recipe if "run" in values else Work).of(values)


def replayed(
    path: Path, recipe: "Recipe | Work", home: Path, look: Sequence[Path] = (), keep: Path | None = None
) -> "Iterator[Event | Replayed]":
    """Make a picture again and compare; the last is the Replayed. look: folders to find in what it was made from.

    keep: where to put what was made. Never raises for what cannot be made: that is said.
    """
    from gesso import tasks
    from gesso.contract.task import Result
    from gesso.files import write_bytes
    from gesso.marks.context import imprinting

    with tempfile.TemporaryDirectory(prefix="gesso-replay-") as folder:
        try:
            name, options = tasks.remake(recipe.model_dump(mode="json"), _finder(path, recipe, home, look))
            asked = tasks.task(name)
            _here(options, home)
            options |= _target(asked, path, recipe, Path(folder))
            made: Sequence[Path] = ()
            with imprinting(home, **_as_written(recipe)):
                events = tasks.events(asked, asked.Options.of(options), home)
            while True:
                with imprinting(home, **_as_written(recipe)):
                    event = next(events, None)
                if event is None:
                    break
                if isinstance(event, Result):
                    made = event.paths
                else:
                    yield event
            found, best = _compared(path, recipe, made)
        except GessoError as error:
            yield Replayed(None, f"It could not be made again: {error.problem}")
            return
        if keep is not None and best is not None:
            place = keep / f"{path.stem}-again{best.suffix}"
            write_bytes(place, best.read_bytes())
            found = Replayed(found.identical, found.words, found.largest, found.share, str(place))
        yield found


def pixels_of(path: Path) -> "np.ndarray":
    """A picture as a program sees it, premultiplied; raises GessoError when it cannot be read."""
    from gesso.data.picture import open_picture
    from gesso.marks.picture import multiplied

    return multiplied(open_picture(path).image)


def _here(options: dict[str, Any], home: Path) -> None:
    """Raises GessoError where a recipe, which anyone may have written, names a pipeline that was never downloaded."""
    from gesso import tasks
    from gesso.store import PRETRAINED

    if str(options.get("run") or "").strip().startswith(PRETRAINED):
        tasks.load(str(options["run"]).strip(), home, "cpu", download=False)


def _as_written(recipe: "Recipe | Work") -> dict[str, Any]:
    """Settings under which the same is done to the pixels, and nothing is signed or noted."""
    how = recipe.written
    label = (how.label if how else None) or ""
    return {
        "profile": "cn" if label else "none", "text": label, "corner": how.corner if how else None,
        "watermark": bool(how and how.watermark), "credentials": False, "ledger": False,
    }  # fmt: skip


def _target(asked: Any, path: Path, recipe: "Recipe | Work", folder: Path) -> dict[str, Any]:
    """Where it goes, as what kind of file."""
    suffix = NAMES.get(path.suffix.lower(), path.suffix.lower())
    fields = asked.Options.model_fields
    many = "format" in fields or asked.name == "gather"
    found: dict[str, Any] = {"out": folder if many else folder / f"again{suffix}"}
    if many and asked.name != "gather":
        found["format"] = suffix.lstrip(".")
    if asked.name == "gather":
        found["out"] = folder / f"again{suffix}"
    quality = recipe.written.quality if recipe.written else None
    return found | ({"quality": quality} if quality is not None and "quality" in fields else {})


def _finder(path: Path, recipe: "Recipe | Work", home: Path, look: Sequence[Path]) -> Any:
    from gesso.files import sha256_of
    from gesso.marks.imprint import Imprint, identify, read_choices

    def find(name: str, digest: str) -> Path | None:
        entry = Imprint(home, read_choices(home)).ledger.find(identify(recipe))
        inputs = {str(key): Path(str(place)) for key, place in ((entry or {}).get("inputs") or {}).items()}
        known = [inputs[Path(name).name]] if Path(name).name in inputs else []
        first = [*known, *(place.parent / Path(name).name for place in inputs.values())]
        near = [path.absolute().parent / Path(name).name, *(folder.expanduser() / Path(name).name for folder in look)]
        for one in (*first, *near, *_below([*look, home / "gallery", home / "studio"], Path(name).name)):
            try:
                if one.is_file() and (sha256_of(one) == digest or _upright(one) == digest):
                    return one
            except OSError:
                continue
        return None

    return find


def _upright(path: Path) -> str | None:
    """How recipes know a picture, where that is not by the file's own bytes."""
    from gesso.data.picture import open_picture

    try:
        return open_picture(path).sha256
    except GessoError:
        return None


def _below(folders: Sequence[Path], name: str) -> Iterator[Path]:
    """Files of a name in and below folders."""
    for folder in folders:
        for number, one in enumerate(folder.expanduser().rglob("*")):
            if number > MOST:
                break
            if one.name == name:
                yield one


def _compared(path: Path, recipe: "Recipe | Work", made: Sequence[Path]) -> tuple[Replayed, Path | None]:
    """The nearest of what was made, and how near it is."""
    from gesso.marks.imprint import identify
    from gesso.marks.recipe import read_recipe

    kind = NAMES.get(path.suffix.lower(), path.suffix.lower())
    same = [one for one in made if NAMES.get(one.suffix.lower(), one.suffix.lower()) == kind]
    wanted, right = _timeless(recipe), list[Path]()
    for one in same:
        try:
            found = read_recipe(one)
        except GessoError:
            continue
        if found is not None and identify(_timeless(found)) == identify(wanted):
            right.append(one)
    if not right:
        return Replayed(None, _why_not(recipe, same)), None
    ours = frames_of(path)
    results = [(_difference(ours, frames_of(one)), one) for one in right]
    (share, largest), best = min(results, key=lambda found: found[0])
    if largest == 0:
        return Replayed(True, "made again from its recipe, it is identical to the pixel."), best
    if largest < 0:
        return Replayed(False, "made again from its recipe, it has another size: it was changed since.", 255, 1.0), best
    words = f"made again from its recipe, {share:.1%} of its pixels differ, by at most {largest} of 255."
    return Replayed(False, words, largest, share), best


def _timeless(recipe: "Recipe | Work") -> "Recipe | Work":
    """A recipe without what may be another where it is made again: the version of Gesso, the device."""
    return recipe.model_copy(
        update={"gesso": "", **({"device": "", "rights": None} if hasattr(recipe, "device") else {})}
    )


def _why_not(recipe: "Recipe | Work", made: Sequence[Path]) -> str:
    from gesso.marks.recipe import Recipe, read_recipe

    for one in made:
        found = read_recipe(one)
        if isinstance(recipe, Recipe) and isinstance(found, Recipe) and found.model != recipe.model:
            return f"it could not be made again: the model of run {recipe.run} is another now (step {found.step:,})."
    return "it could not be made again: what its recipe comes to now is another picture."


def frames_of(path: Path) -> "list[np.ndarray]":
    """The pixels of a picture, or of every frame of a film, straight RGBA; raises GessoError when it cannot be read."""
    import numpy as np
    from PIL import Image, ImageSequence

    try:
        if path.suffix.lower() in FILMS:
            import av

            with av.open(str(path)) as film:
                return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        with Image.open(path) as image:
            return [np.asarray(frame.convert("RGBA")).copy() for frame in ImageSequence.Iterator(image)]
    except ImportError:
        raise GessoError("Films are compared by PyAV, which is not installed.", "pip install 'gesso[video]'") from None
    except Exception as error:
        raise GessoError(f"{path.name} cannot be read: {error}.") from None


def _difference(ours: "list[np.ndarray]", theirs: "list[np.ndarray]") -> tuple[float, int]:
    """The share of pixels that differ and the largest difference; -1 where the shapes do."""
    import numpy as np

    if len(ours) != len(theirs) or any(a.shape != b.shape for a, b in zip(ours, theirs, strict=False)):
        return 1.0, -1
    apart = [np.abs(a.astype(np.int16) - b) for a, b in zip(ours, theirs, strict=True)]
    return float(np.mean([one.any(axis=-1).mean() for one in apart])), int(max(one.max() for one in apart))
