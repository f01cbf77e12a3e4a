"""Whether the seams of tiles can be told from what is inside them.

    python -m bench.tiles [--side 256]

Of each of twenty samples a tile is made. Across its seam, and across every line inside, the mean absolute difference of
neighbouring pixels is taken: if the seam is like any other line, its rank among all lines is evenly spread between 0
and 1 over textures (Kolmogorov and Smirnov's test), and it lies within the range of the lines. As a check of the test,
the same is done for the samples themselves laid side by side, which have seams.
"""

import argparse
import json

import numpy as np
from scipy.stats import kstest

from bench.data import OUT
from bench.holes import opened
from gesso.marks.picture import write_sheet
from gesso.patch import final, synthesise_texture

WHOLE = (
    "brick.png", "grass.png", "gravel.png", "ihc.png", "hubble_deep_field.jpg", "coins.png", "camera.png", "flower.jpg",
    "china.jpg", "coffee.png",
)  # fmt: skip
PAINTED = (
    "gogh-houses", "gogh-olive", "gogh-the-starry", "hoitsu", "hokusai", "kandinsky", "mondrian", "monet", "munch",
    "turner",
)  # fmt: skip


def ranks(picture: np.ndarray) -> list[float]:
    """Where the seam stands among all lines, upright and level: 0 the smoothest, 1 the roughest."""
    out = []
    for axis in (0, 1):
        steps = np.abs(picture - np.roll(picture, 1, axis)).mean((1 - axis, 2))
        out.append(float((steps[1:] < steps[0]).mean() + 0.5 * (steps[1:] == steps[0]).mean()))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256)
    args = parser.parse_args()
    rows, sheet = [], []
    for name in (*WHOLE, *PAINTED):
        sample = np.ascontiguousarray(opened(name, 2 * args.side)[: args.side, : args.side])
        made = final(synthesise_texture(sample, args.side, args.side, wrap=(True, True)))
        rows.append({"sample": name, "ranks": ranks(made), "unmade": ranks(sample)})
        print(json.dumps(rows[-1]), flush=True)
        shown = np.roll(made, (args.side // 2, args.side // 2), (0, 1))
        sheet.append([(p * 255 + 0.5).astype(np.uint8) for p in (sample, shown)])
    for key in ("ranks", "unmade"):
        values = [rank for row in rows for rank in row[key]]
        test = kstest(values, "uniform")
        print(f"{key}: mean {np.mean(values):.3f}, KS {test.statistic:.3f}, p = {test.pvalue:.3g}")
    (OUT / "tiles.json").write_text(json.dumps(rows, indent=1))
    rows_of = [[image for pair in sheet[i : i + 5] for image in pair] for i in range(0, len(sheet), 5)]
    write_sheet(
        OUT / "tiles.png",
        rows_of,
        title="Samples, and tiles with their seams in the middle",
        source="composite",
    )


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
