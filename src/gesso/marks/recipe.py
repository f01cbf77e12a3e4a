"""The recipe in a picture: how to make it again. And the mark: that a machine made it.

The recipe may be left out; the mark stays. PNG carries the recipe as text `gesso` (JSON), the other formats in XMP;
all carry the field's common `parameters` line beside it (AUTOMATIC1111's form, read by most tools) and the mark in
XMP. Whatever is read from a picture is treated as written by a stranger: bounded, checked, never executed.
"""

import json
import re
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast
from xml.sax.saxutils import unescape

from PIL import Image
from pydantic import ConfigDict, JsonValue, StringConstraints, ValidationError

from gesso.errors import GessoError
from gesso.marks.label import source_in
from gesso.options import Field, Options

__all__ = [
    "TRAINED",
    "Original",
    "Part",
    "Recipe",
    "Rights",
    "Source",
    "Taken",
    "Told",
    "Work",
    "Written",
    "as_json",
    "comment_of",
    "parameters",
    "read_parameters",
    "read_recipe",
    "read_source",
    "told_by",
    "xmp_of",
]

# Terms of the IPTC's vocabulary of digital source types.
Source = Literal[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "composite",  # made of pieces of given pictures by a program that learned from no others
    "algorithmicallyEnhanced",  # a given picture, corrected
]

TRAINED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")  # a model drew it, or some of it
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF")
FILMS = (".mp4", ".webm")
AHEAD = 1 << 22  # bytes at either end of a film that are searched
LONGEST = 32_768  # characters of a recipe as JSON; XMP in a JPEG must fit into 64 KB
LARGEST = 1 << 28  # bytes of a picture that is read for its recipe
USER_COMMENT, EXIF_IFD = 0x9286, 0x8769
XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
DAMAGED = "Without it, give the run, the seed and the options yourself."

Word = Annotated[str, StringConstraints(max_length=1000)]


class Told(NamedTuple):
    """What is in a picture's file besides pixels. texts: Pillow's info; exif: tags by number, those of both places."""

    texts: dict[Any, Any]
    exif: dict[int, Any]


class Original(Options):
    """How like a picture is to what its model learned from."""

    model_config = ConfigDict(extra="ignore")

    likeness: float = Field(ge=0, le=1, description="To the nearest learned picture: 1 for a copy.")
    limit: float = Field(ge=0, le=1, description="From which likeness on a picture is a near-copy.")
    nearest: Word | None = Field(default=None, description="File name of the nearest learned picture.")
    copied: bool = Field(description="Whether it is a near-copy.")


class Part(Options):
    """How much of a picture is from one picture of a collection."""

    model_config = ConfigDict(extra="ignore")

    source: Word = Field(description="File name of that picture.")
    share: float = Field(ge=0, le=1, description="Share of the drawn area.")


class Taken(Options):
    """What of a finished picture is from which pictures of a collection."""

    model_config = ConfigDict(extra="ignore")

    data: Word = Field(description="Name of the collection.")
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 over its pixels and labels.")
    share: float = Field(ge=0, le=1, description="Largest share of the drawn area that is from one picture.")
    piece: float = Field(ge=0, le=1, description="Largest connected piece that was taken in one go, as such a share.")
    usable: int = Field(default=0, ge=0, description="How many of its pictures might be used then.")
    parts: tuple[Part, ...] = Field(default=(), max_length=64, description="The pictures, largest shares first.")
    options: dict[str, JsonValue] = Field(default={}, description="Every choice of finishing.")


class Moved(Options):
    """Sliders that were moved."""

    model_config = ConfigDict(extra="ignore")

    sliders: dict[Word, float] = Field(max_length=64, description="The strength of each, by its name.")
    file: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file of sliders that they are of.")


class Written(Options):
    """What was done to the pixels when the file was written, so that they can be made again."""

    model_config = ConfigDict(extra="ignore")

    quality: int | None = Field(default=None, ge=1, le=100, description="Of the file's compression, where chosen.")
    label: Word | None = Field(default=None, description="Words of the visible label, where it has one.")
    corner: Word | None = Field(default=None, description="Where the visible label is.")
    watermark: bool = Field(default=False, description="Whether a watermark is in the pixels.")
    id: str | None = Field(default=None, pattern="^[0-9a-f]{16}$", description="What that watermark says.")


Name = Annotated[str, StringConstraints(max_length=120)]
Answer = Literal["yes", "no", "unknown"]


class Rights(Options):
    """What the licences of the pictures that a model learned from come to, as they say themselves."""

    model_config = ConfigDict(extra="ignore")

    data: Name = Field(description="Name of the data set, or of several.")
    fingerprint: str = Field(pattern="^([0-9a-f]{64})?$", description="SHA-256 over its pixels and labels.")
    count: int = Field(ge=0, description="How many pictures it learned from.")
    licences: dict[Name, int] = Field(
        max_length=13, description="How many are under which licence; the rest as others."
    )
    commercial: Answer = Field(description="Whether commercial use is allowed.")
    derivatives: Answer = Field(description="Whether other works may be made of them.")
    share_alike: tuple[Name, ...] = Field(default=(), max_length=8, description="Licences that want to go on.")
    conflict: bool = Field(default=False, description="Whether some of the licences do not go together.")
    attribution: bool = Field(default=False, description="Whether makers must be named.")
    creators: tuple[Name, ...] = Field(default=(), max_length=12, description="Makers, those to be named first.")
    consent: int = Field(default=0, ge=0, description="For how many of them consent is noted.")
    unknown: int = Field(default=0, ge=0, description="How many name no licence that is known.")
    verdict: Annotated[str, StringConstraints(max_length=400)] = Field(description="All of it in one sentence.")


class Recipe(Options):
    """How to make a picture again: the same model, seed and device give the same picture."""

    model_config = ConfigDict(extra="ignore")  # a newer Gesso may have written more

    gesso: Word = Field(description="Version of Gesso that drew it.")
    task: Word = Field(default="sample", description="Task that drew it.")
    run: Word = Field(description="Folder of the run, without its path.")
    number: int = Field(ge=0, description="Number of the run.")
    model: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file of weights.")
    step: int = Field(ge=0, description="Step of training at which the weights were saved.")
    family: Word = Field(description="Family of the model.")
    seed: int = Field(ge=0, lt=2**63, description="Seed of this very picture.")
    label: Word | None = Field(
        default=None, description="Label that was asked for or, where none was, drawn from the seed."
    )
    text: Word | None = Field(default=None, description="Text that was asked for or, where none was, drawn likewise.")
    knobs: dict[str, JsonValue] = Field(default={}, description="Every choice of drawing, those left alone included.")
    moved: Moved | None = Field(default=None, description="Sliders that were moved.")
    width: int = Field(ge=1, description="Width in pixels.")
    height: int = Field(ge=1, description="Height in pixels.")
    device: Word = Field(default="cpu", description="Kind of device that drew it.")
    precision: Word = Field(default="float32", description="Precision of the arithmetic.")
    inputs: dict[str, Word] | None = Field(
        default=None, description="SHA-256 of what it was made from beside the model, by its name."
    )
    options: dict[str, JsonValue] | None = Field(default=None, description="Choices of what was done to it before.")
    original: Original | None = Field(default=None, description="How like it is to learned pictures, where looked at.")
    taken: Taken | None = Field(default=None, description="What was taken from the collection, where it was finished.")
    rights: Rights | None = Field(default=None, description="What the data's licences come to, where that is known.")
    written: Written | None = Field(default=None, description="What was done to the pixels when they were written.")


class Work(Options):
    """How a picture was made from given pictures, without a model: the same files, options and seed make it again."""

    model_config = ConfigDict(extra="ignore")

    gesso: Word = Field(description="Version of Gesso that made it.")
    task: Word = Field(description="Task that made it.")
    inputs: dict[str, Word] = Field(default={}, description="SHA-256 of every file it was made from, by its name.")
    options: dict[str, JsonValue] = Field(default={}, description="Every choice, those left alone included.")
    seed: int = Field(ge=0, lt=2**63, description="Seed of this very picture.")
    width: int = Field(ge=1, description="Width in pixels.")
    height: int = Field(ge=1, description="Height in pixels.")
    original: Original | None = Field(default=None, description="How like it is to the collection's, where looked at.")
    taken: Taken | None = Field(default=None, description="What was taken from a collection, where one was used.")
    written: Written | None = Field(default=None, description="What was done to the pixels when they were written.")


def parameters(recipe: Recipe | Work) -> str:
    """The recipe in AUTOMATIC1111's form: a line for the prompt (the text, or the label), a line of `Key: value, …`."""
    if isinstance(recipe, Work):
        made = {"Steps": 1, "Seed": recipe.seed, "Size": f"{recipe.width}x{recipe.height}", "Task": recipe.task}
        return ", ".join(f"{key}: {value}" for key, value in (made | {"Generator": f"Gesso {recipe.gesso}"}).items())
    steps = recipe.knobs.get("steps", 1)
    values: dict[str, object] = {
        "Steps": steps if isinstance(steps, int) else 1,
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model hash": recipe.model[:10],
        "Model": recipe.run,
    }
    values |= {key.replace("_", " ").capitalize(): value for key, value in recipe.knobs.items() if key != "steps"}
    values["Generator"] = f"Gesso {recipe.gesso}"
    line = ", ".join(f"{key}: {_quoted(value)}" for key, value in values.items())
    prompt = " ".join((recipe.text or recipe.label or "").split())
    return f"{prompt}\n{line}".lstrip("\n")


def as_json(recipe: Recipe | Work) -> str:
    """The recipe as one line of JSON in ASCII, which every text chunk can hold; raises GessoError when too long."""
    values = recipe.model_dump()
    for name in ("text", "inputs", "options", "original", "taken", "moved", "rights", "written"):
        if values.get(name) is None and name in values:  # as before there was such a thing
            del values[name]
    text = json.dumps(values, allow_nan=False)
    if len(text) > LONGEST:
        raise GessoError(f"The recipe is {len(text):,} characters long; a picture holds {LONGEST:,}.")
    return text


def read_recipe(path: str | Path) -> Recipe | Work | None:
    """The recipe in a PNG, JPEG, WebP, AVIF, GIF, MP4 or WebM file, a Work where no model drew it; None without one.

    Raises GessoError when the file is none of these, or its recipe is damaged.
    """
    if Path(path).suffix.lower() in FILMS:
        text: object = _in_film(Path(path))
    else:
        info = told_by(path).texts
        text = info.get("gesso")
        if text is None:
            found = re.search(r"<gesso:recipe>([^<]*)</gesso:recipe>", xmp_of(info))
            text = unescape(found[1]) if found else None
    if text is None:
        return None
    problem = f"The recipe in {path} is damaged"
    if not isinstance(text, str) or len(text) > LONGEST:
        raise GessoError(f"{problem}: it is too long to be one.", DAMAGED)
    try:
        values = json.loads(text)
        kind = Work if isinstance(values, dict) and "run" not in values and "task" in values else Recipe
        return kind.model_validate(values)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "all of it"
        raise GessoError(f"{problem}: {where[:60]} does not fit.", DAMAGED) from None
    except (ValueError, RecursionError):
        raise GessoError(f"{problem}: it is not JSON.", DAMAGED) from None


def _in_gif(path: Path) -> bytes:
    """The XMP packet of a GIF, which Pillow does not look for."""
    with path.open("rb") as file:
        _, _, rest = file.read(AHEAD).partition(b"XMP DataXMP")
    end = rest.find(b"<?xpacket end=", 0, 1 << 20)
    return rest[: end + 14] if end >= 0 else b""


def _in_film(path: Path) -> str | None:
    """The recipe among the metadata of a film, which lie at its beginning or its end."""
    begin = b'{"gesso": '
    try:
        with path.open("rb") as file:
            data = file.read(AHEAD)
            size = file.seek(0, 2)
            file.seek(max(AHEAD, size - AHEAD))
            data += file.read()
    except OSError as error:
        raise GessoError(f"{path} cannot be read: {error.strerror}.") from None
    at = data.find(begin)
    if at < 0:
        return None
    text = data[at : at + LONGEST].decode(errors="replace")
    try:
        return text[: json.JSONDecoder().raw_decode(text)[1]]
    except (ValueError, RecursionError):
        return text


def read_parameters(path: str | Path) -> str | None:
    """The `parameters` line of a picture, by Gesso or any other tool; None when it has none."""
    told = told_by(path)
    text = told.texts.get("parameters")
    return text[:LONGEST] if isinstance(text, str) else comment_of(told.exif.get(USER_COMMENT))


def comment_of(value: object, most: int = LONGEST) -> str | None:
    """The text in EXIF's UserComment, at most so many characters; None where there is none.

    It begins with the name of its encoding; UTF-16 is of either order of bytes. Some tools write a plain text instead.
    """
    if isinstance(value, str):
        return value[:most] or None
    if not isinstance(value, bytes):
        return None
    kind, data = value[:8], value[8 : 8 + 4 * most]
    if kind == b"UNICODE\0":
        data = data[: 2 * most]
        swapped = data[:2] == b"\xff\xfe" or data[1::2].count(0) > data[::2].count(0)
        return data.decode("utf-16-le" if swapped else "utf-16-be", errors="replace").removeprefix("\ufeff")
    if kind in (b"ASCII\0\0\0", bytes(8)):
        return data.decode(errors="replace")[:most].rstrip("\0") or None
    return None


def read_source(path: str | Path) -> str | None:
    """The DigitalSourceType in a picture's XMP, such as 'trainedAlgorithmicMedia'; None without one."""
    return source_in(xmp_of(told_by(path).texts))


def user_comment(text: str) -> bytes:
    """Text as EXIF's UserComment holds it."""
    return b"UNICODE\0" + text.encode("utf-16-be", errors="replace")


def _quoted(value: object) -> str:
    """A value as AUTOMATIC1111 writes it: as JSON where it would otherwise end early."""
    text = " ".join(str(value).split())
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,:"]', text) else text


def xmp_of(info: dict[Any, Any]) -> str:
    """The XMP packet among what Pillow found; empty without one, cut where it is too long."""
    packet = next((info[key] for key in XMP_KEYS if info.get(key)), "")
    if isinstance(packet, bytes):
        packet = packet[: 1 << 20].decode(errors="replace")
    return packet[: 1 << 20] if isinstance(packet, str) else ""


def told_by(path: str | Path) -> Told:
    """What Pillow finds in a PNG, JPEG, WebP, AVIF or GIF file besides pixels, as it is: written by anyone, unchecked.

    Raises GessoError when the file is no such picture.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise GessoError(f"{path} is larger than {LARGEST >> 20} MB: too large to be read for its recipe.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its pixels, which are not read
            with Image.open(path, formats=FORMATS) as image:
                exif, info = image.getexif(), dict(image.info)
                if image.format == "GIF" and (packet := _in_gif(path)):
                    info["xmp"] = packet
                return Told(info, {**exif, **exif.get_ifd(EXIF_IFD)})
    except FileNotFoundError:
        raise GessoError(f"There is no file {path}.") from None
    except GessoError:
        raise
    except Exception as error:  # Pillow raises almost anything on hostile files
        reason = cast(str, getattr(error, "strerror", None)) or "it is not a whole PNG, JPEG, WebP, AVIF or GIF picture"
        raise GessoError(f"{path} cannot be read: {reason[:1].lower()}{reason[1:]}.") from None
