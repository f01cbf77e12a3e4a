"""Rights and marks as pages see them: what a file says and what of it holds, and what is put onto pictures here.

Files are looked at in the process of `pixels.Pool`: whatever is in one, the studio lives. Pages know no paths.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gesso.errors import GessoError

__all__ = ["PLAIN", "changed", "labelled", "settings_of", "unread", "verified"]

PLAIN = (
    "profile", "text", "corner", "producer", "creator", "rights", "credentials", "watermark", "ledger", "keep_days",
)  # fmt: skip
FILES = ("key", "certificate", "anchors")  # of these pages know only whether they are set
ENTRY = ("at", "id", "task", "suffix", "sha256", "source", "signed", "watermark", "label", "recipe")
DEEPEST = 32  # levels of what is told of a file
LONGEST = 20_000  # letters of a text in it


def verified(path: str, name: str, home: str, watermark: bool) -> dict[str, Any]:
    """All that is known of a file (`gesso.marks.verify`), under its name; never raises for what is in it.

    watermark: look for one in the pixels, which takes a second or two where there is none.
    """
    from gesso import tasks
    from gesso.marks.imprint import Imprint, read_choices
    from gesso.marks.verify import verify

    place, pixels = Path(path), None
    if watermark:
        try:
            pixels = tasks.pixels_of(place)
        except GessoError:  # no picture: there is nothing to look in
            pixels = None
    choices = read_choices(Path(home))
    found = verify(place, Imprint(Path(home), choices), pixels)
    own = [path for path in (choices.key, choices.certificate, choices.anchors) if path is not None]
    hidden = {str(place): name, **{str(path): path.name for path in own}, f"{Path(home)}{os.sep}": ""}
    return _plain(found.plain(), hidden, name)


def unread(path: str, name: str, problem: str) -> dict[str, Any]:
    """The same of a file that nothing could be known of, and why."""
    from gesso.marks.credentials import Credentials
    from gesso.marks.verify import Verified

    place = Path(path)
    return _plain(Verified(place, "unreadable", Credentials("none"), notes=(problem,)).plain(), {path: name}, name)


def settings_of(home: Path) -> dict[str, Any]:
    """What marks pictures of a home get: choices, which files are set, the words of laws, and who signs."""
    from gesso.marks.imprint import PROFILES, Imprint, read_choices

    choices = read_choices(home)
    by, identity, problem = Imprint(home, choices), None, None
    try:
        who = by.identity
        identity = {
            "name": who.name, "algorithm": who.algorithm, "print": who.print, "until": f"{who.until:%Y-%m-%d}",
            "own": choices.key is None and choices.certificate is None,
        }  # fmt: skip
        producer = by.producer
    except GessoError as error:
        problem, producer = {"problem": error.problem, "remedy": error.remedy}, choices.producer
    plain = choices.model_dump(mode="json")
    return {
        "choices": {name: plain[name] for name in PLAIN}, "files": {name: plain[name] is not None for name in FILES},
        "words": PROFILES, "producer": producer, "identity": identity, "problem": problem,
    }  # fmt: skip


def changed(home: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Keep some choices anew; what is not named stays. Raises GessoError for what does not fit, and keeps nothing."""
    from gesso.marks.imprint import Imprint, MarkChoices, read_choices, save_choices
    from gesso.marks.visible import check_label

    before = read_choices(home)
    wanted = {name: " ".join(value.split()) if isinstance(value, str) else value for name, value in changes.items()}
    if "text" in wanted:
        wanted["text"] = wanted["text"] or None
    after = MarkChoices.of({**before.model_dump(), **wanted})
    if after.text:
        check_label(after.text)
    if after.credentials and not before.credentials:
        _ = Imprint(home, after).identity  # which says what is wrong with it, before anything is kept
    if after != before:
        save_choices(home, after)
    return settings_of(home)


def labelled(text: str, corner: str) -> bytes:
    """A small picture with the visible label on it, a PNG; raises GessoError for a text that is none."""
    import io

    import numpy as np
    from PIL import Image

    from gesso.marks.visible import label

    y, x = np.mgrid[:200, :320].astype(np.float32)
    hills = (150 - 30 * np.sin(x / 52 + 0.6) - 10 * np.sin(x / 19), 172 + 16 * np.sin(x / 44 + 2.2))
    sky = np.array((168, 196, 214), np.float32) + (y / 200)[..., None] * np.array((62, 34, -6), np.float32)
    for ridge, colour in zip(hills, ((112, 138, 122), (72, 98, 84)), strict=True):
        over = np.clip(y - ridge + 0.5, 0, 1)[..., None]
        sky = sky * (1 - over) + np.array(colour, np.float32) * over
    sun = np.clip(24.5 - np.hypot(x - 226, y - 62), 0, 1)[..., None]
    sky = sky * (1 - sun) + np.array((250, 232, 196), np.float32) * sun
    picture = np.clip(sky + 0.5, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(label(picture, text, corner) if text.strip() else picture).save(out, "PNG")  # type: ignore[arg-type]
    return out.getvalue()


def _plain(found: dict[str, Any], hidden: Mapping[str, str], name: str) -> dict[str, Any]:
    """As pages get it: under the file's name, without paths, in values that JSON can say.

    hidden: paths of this machine, and what stands for them in sentences.
    """
    del found["path"]
    entry = found["ledger"]
    if entry is not None:
        inputs = [*(entry.get("inputs") or ())]
        found["ledger"] = {key: entry[key] for key in ENTRY if key in entry} | {"inputs": inputs}
    told = {"name": name, **_said(found)}
    for key in ("words", "notes"):
        for path, instead in hidden.items():
            told[key] = [one.replace(path, instead) for one in told[key]]
    return json.loads(json.dumps(told))


def _said(value: Any, depth: int = 0) -> Any:
    """A value as JSON can say it: what anyone wrote into a file may be endless, or no text at all."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dict | list | tuple) and depth >= DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {_text(key): _said(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_said(inner, depth + 1) for inner in value]
    return _text(value)


def _text(value: Any) -> str:
    text = str(value)
    return (text[:LONGEST] + "…" if len(text) > LONGEST else text).encode(errors="replace").decode()
