"""Real fonts: by file, or by family among those that the system has and those that come with Gesso's libraries."""

import os
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from gesso.errors import GessoError, nearest

__all__ = ["Face", "face", "families", "lacking", "opened"]

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
PLAIN = ("Regular", "Book", "Roman", "Normal", "Medium", "")
MOST_FACES = 20_000
NOBODY = "\U0010ffff"  # a letter that no font has
# Families with the letters of many scripts, tried where none is named and the built-in one lacks some.
BROAD = (
    "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "Arial Unicode MS", "Noto Sans", "DejaVu Sans",
)  # fmt: skip

Font = ImageFont.FreeTypeFont


class Face(NamedTuple):
    """One face of a font file; no path is Pillow's own."""

    path: Path | None
    number: int = 0


def face(name: str, folder: Path) -> Face:
    """The face of a name: a font file seen from `folder`, or a family with or without its style.

    Raises GessoError, naming the nearest family, when there is none or the file is no font.
    """
    if Path(name).suffix.lower() in SUFFIXES or "/" in name:
        place = folder / Path(name).expanduser()
        if not place.is_file():
            raise GessoError(
                f"There is no font file {place}.", "Give its path, or a family's name such as DejaVu Sans."
            )
        try:
            ImageFont.truetype(str(place), 16)
        except (OSError, ValueError):
            raise GessoError(f"{place} is no font that can be read.", "Give a TrueType or OpenType file.") from None
        return Face(place)
    known = families()
    key = " ".join(name.lower().split())
    for style in PLAIN:
        found = known.get(f"{key} {style.lower()}".strip())
        if found is not None:
            return found[1]
    said = nearest(key, sorted({title for title, _ in known.values()}))
    raise GessoError(f"There is no font '{name[:80]}' here.", said or "Give the path of a font file.")


def opened(face: Face, size: float) -> Font:
    """The face at a size in pixels. Raises GessoError when it cannot be drawn at that size."""
    try:
        if face.path is None:
            font = ImageFont.load_default(size)
            assert isinstance(font, Font)
            return font
        return ImageFont.truetype(str(face.path), size, index=face.number)
    except (OSError, ValueError) as error:
        raise GessoError(
            f"The font {face.path or 'of Pillow'} cannot be drawn at {size:.0f} pixels: {error}."
        ) from None


def lacking(face: Face, text: str) -> str:
    """The letters of a text that a face does not have, each once: those drawn as one that no font has."""
    font = opened(face, 24)

    def drawn(letter: str) -> tuple[tuple[int, int], bytes]:
        left, top, right, bottom = font.getbbox(letter)
        page = Image.new("1", (max(int(right - left), 1), max(int(bottom - top), 1)))
        ImageDraw.Draw(page).text((-left, -top), letter, fill=1, font=font)
        return page.size, page.tobytes()

    nothing = drawn(NOBODY)
    letters = dict.fromkeys(letter for letter in text if letter.isprintable() and not letter.isspace())
    return "".join(letter for letter in letters if drawn(letter) == nothing)


def broad(text: str) -> Face:
    """The first face, Pillow's own or one of the system's, that has most of a text's letters."""
    known = families()
    faces = [Face(None), *(known[name.lower()][1] for name in BROAD if name.lower() in known)]
    faces += [known[f"{name.lower()} regular"][1] for name in BROAD if f"{name.lower()} regular" in known]
    faces += [known[f"{name.lower()} book"][1] for name in BROAD if f"{name.lower()} book" in known]
    return min(faces, key=lambda one: len(lacking(one, text)))


@lru_cache(maxsize=1)
def families() -> dict[str, tuple[str, Face]]:
    """Every face that is there, by its family and style in small letters: its name as written, and the face."""
    out: dict[str, tuple[str, Face]] = {}
    for folder in _folders():
        for place in sorted(folder.rglob("*")):
            if place.suffix.lower() not in SUFFIXES or len(out) >= MOST_FACES:
                continue
            for index in range(64 if place.suffix.lower() in (".ttc", ".otc") else 1):
                try:
                    family, style = ImageFont.truetype(str(place), 16, index=index).getname()
                except (OSError, ValueError):
                    break
                title = f"{family or place.stem} {style or ''}".strip()
                out.setdefault(title.lower(), (title, Face(place, index)))
    return out


def _folders() -> list[Path]:
    """Where fonts are kept: the person's, the system's, and the few that come with matplotlib."""
    home = Path.home()
    if sys.platform == "win32":
        places = [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
        places.append(Path(os.environ.get("LOCALAPPDATA", str(home))) / "Microsoft/Windows/Fonts")
    elif sys.platform == "darwin":
        places = [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    else:
        shared = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
        places = [shared / "fonts", home / ".fonts", Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]
    found = find_spec("matplotlib")
    if found is not None and found.origin:
        places.append(Path(found.origin).parent / "mpl-data/fonts/ttf")
    return [place for place in places if place.is_dir()]
