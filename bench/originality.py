"""Whether a model that knows nothing but its pictures is found out, and one that learned is not.

    python -m bench.originality [--minutes 9]

Fifty sprites (monsters and items) and a GAN with two latent numbers, whose critic sees no augmentation: it learns them
by heart. And the default on all sprites, for half as long. Each is asked `gesso originality`; the upper part of the
sheets becomes docs/pictures/originality-*.webp.
"""

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

import gesso
from bench.data import ARCHIVES, OUT, SHARED
from gesso.data import pack_names
from gesso.marks.picture import write_picture

HOME = OUT / "originality"
DOCS = Path(__file__).parents[1] / "docs" / "pictures"


def fifty() -> Path:
    """A folder of fifty of them, drawn once."""
    folder = OUT / "fifty"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(SHARED / ARCHIVES["sprites"]) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        names = [name for name in names if Path(name).name.startswith(("mon__", "item__")) and "tentacles" not in name]
        for i in np.random.default_rng(1).permutation(len(names))[:50]:
            (folder / Path(names[i]).name).write_bytes(archive.read(names[i]))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0)
    minutes = parser.parse_args().minutes
    sources = {"fifty": fifty(), "sprites": SHARED / ARCHIVES["sprites"]}
    for name, source in sources.items():
        if name not in pack_names(HOME):
            gesso.run("import", home=HOME, source=str(source), name=name, channels="rgb")
    heart = {"dataset": "fifty", "preset": "", "set": ["latent=2"], "minutes": minutes}
    for name, choices in (("by-heart", heart), ("healthy", {"dataset": "sprites", "minutes": minutes / 2})):
        trained = gesso.run("train", home=HOME, threads=1, **choices)
        result = gesso.run("originality", home=HOME, run=trained.facts["run"], shown=12)
        facts = {key: value for key, value in result.facts.items() if key != "pictures"}
        print(name, json.dumps(facts), flush=True)
        with (OUT / "originality.jsonl").open("a") as file:
            file.write(json.dumps({"model": name, **facts}) + "\n")
        sheet = np.asarray(Image.open(result.paths[0]).convert("RGB"))
        target = DOCS / f"originality-{name}.webp"
        write_picture(target, sheet, source="compositeWithTrainedAlgorithmicMedia")


if __name__ == "__main__":
    main()
