"""The pictures that the benchmarks learn from, imported as a user would."""

import os
from pathlib import Path

import numpy as np

import gesso
from gesso.data import open_pack

OUT = Path(__file__).parent / "out"
SHARED = Path(__file__).parents[2] / "shared" / "data"  # real pictures, where they are there
ARCHIVES = {"emoji": "emoji64.zip", "sprites": "sprites32.zip"}


def available() -> list[str]:
    """Names of the data sets to measure on: sprites and emoji where they are there, blossoms otherwise."""
    return [name for name, file in ARCHIVES.items() if (SHARED / file).exists()] or ["blossoms"]


def load(name: str, size: int = 32) -> tuple[np.ndarray, np.ndarray, str]:
    """Pictures n h w 3, numbers of their finest labels, and the data set's short name.

    name: emoji, sprites, blossoms, or the path of an archive or folder (CIFAR-10's own file, say).
    """
    short = Path(name).name.split(".")[0].lower() if os.sep in name else name
    home = OUT / "home"
    if not (home / "datasets" / f"{short}-{size}").exists():
        source = str(SHARED / ARCHIVES[name]) if name in ARCHIVES else name
        more = {"count": 8000} if name == "blossoms" else {}
        gesso.run("import", home=home, source=source, name=f"{short}-{size}", size=str(size), channels="rgb", **more)
    pack = open_pack(f"{short}-{size}", home)
    fine = [f"{item.get('label')}/{item.get('group')}/{item.get('subgroup')}" for item in pack.items]
    return np.asarray(pack.images), np.unique(fine, return_inverse=True)[1].astype(np.int64), short
