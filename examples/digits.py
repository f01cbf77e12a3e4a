"""Digits on demand: a class-conditional GAN on the handwritten digits that scikit-learn carries (8×8 pixels).

pip install -c constraints.txt 'gesso[examples]'
python examples/digits.py --minutes 2
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import gesso
from gesso.marks.picture import write_sheet


def main(*words: str) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--count", type=int, default=1797, help="how many of the 1,797 digits to learn from")
    parser.add_argument("--home", type=Path, default=None, help="Gesso's home folder")
    options = parser.parse_args(words or None)

    # A sub-folder a digit: its name becomes the label. Ink 0 to 16 becomes bytes, 8×8 becomes 16×16.
    digits = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        for number, (ink, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
            if number < options.count:
                path = Path(folder) / str(digit) / f"{number:04d}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray((ink * 255 / 16).astype(np.uint8)).resize((16, 16), Image.Resampling.BICUBIC).save(path)
        gesso.run("import", home=options.home, source=folder, name="digits", size="16", replace=True)

    trained = gesso.run("train", home=options.home, dataset="digits", minutes=options.minutes)
    model = gesso.load(trained.facts["run"], home=options.home)

    sheet = trained.paths[0] / "digits.png"
    rows = [[drawn.image for drawn in model.sample(10, seed=0, label=label)] for label in model.labels]
    write_sheet(sheet, rows, captions=[f"asked for {label}" for label in model.labels])
    print(f"See {sheet}")
    return sheet


if __name__ == "__main__":
    main()
