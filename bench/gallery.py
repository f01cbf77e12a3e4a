"""Sheets of the race as pictures for docs/gallery.md, and its table of figures.

    python -m bench.race --data emoji --count 500 --recipes default:300,primer:300 --seeds 0
    python -m bench.gallery

Of every data set with a `--count`, the upper half of each recipe's sheet, of the first seed, becomes a picture in
docs/pictures, gallery-NAME-RECIPE.webp; figures are medians over seeds.
"""

import json
import statistics
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data import OUT
from gesso.marks.picture import write_picture

DOCS = Path(__file__).parents[1] / "docs" / "pictures"
GAP = 4  # pixels between a sheet's pictures
FIGURES = ("fd", "precision", "recall", "swd", "nearer to learned")


def main() -> None:
    print("| pictures | recipe | " + " | ".join(FIGURES) + " |\n|" + " --- |" * (len(FIGURES) + 2))
    for path in sorted((OUT / "race").glob("*-*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for recipe in dict.fromkeys(row["recipe"] for row in rows if "nearer to learned" in row):
            found = [row for row in rows if row["recipe"] == recipe]
            last = [row for row in found if row["cpu_s"] == max(r["cpu_s"] for r in found if r["seed"] == row["seed"])]
            shown = [f"{statistics.median(row[name] for row in last):.3g}" for name in FIGURES]
            print(f"| {path.stem} | {recipe} | " + " | ".join(shown) + " |")
            sheet = f"{path.stem}-{recipe.replace(':', '-')}"
            picture = Image.open(OUT / "race" / f"{sheet}-{min(row['seed'] for row in found)}.png").convert("RGB")
            picture = picture.crop((0, 0, picture.width, (picture.height + GAP) // 2))  # the upper half is enough
            write_picture(DOCS / f"gallery-{sheet}.webp", np.asarray(picture), source="trainedAlgorithmicMedia")


if __name__ == "__main__":
    main()
