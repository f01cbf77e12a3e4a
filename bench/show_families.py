"""The gallery of families: docs/pictures/family-NAME.webp.

    python -m bench.show_families grid HOME RUN NAME [--count 60] [name=value ...]
    python -m bench.show_families texts HOME RUN NAME [PROMPT ...]
    python -m bench.show_families layers HOME RUN NAME
    python -m bench.show_families translated HOME RUN NAME [--count 36]

`grid`: the first pictures of a run, from seed 0 on, nothing picked; of one with labels, a row a label. `texts`: a row
for each prompt, of seeds 0 to 11. `layers`: of
each seed the foreground, the background and the whole. `translated`: above what is made of them, sources: held-out
ones, with the true pictures below, where there are some, else any.
"""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import gesso
from gesso import tasks
from gesso.data import open_pack
from gesso.data.reading import at_size
from gesso.marks.picture import sheet
from gesso.sample import Model, draw
from gesso.store import Run

PLACE = Path(__file__).parents[1] / "docs" / "pictures"
MOST = 195_000  # bytes of a file
QUALITIES = (90, 84, 78, 70, 60, 50)
ACROSS = 12
PROMPTS = (  # for models that learned blossoms
    "a large yellow daisy with 12 petals on a stem on pale blue",
    "a large pink rose on charcoal",
    "a medium sized red poppy on a stem on cream",
    "a small violet and orange tulip on a stem on sage",
    "a large white lily with 6 petals on night blue",
    "a small sky blue primrose with 5 petals on sand",
)

Rows = list[list[np.ndarray]]


def batched(numbers: range, size: int) -> Iterator[range]:
    """Stretches of so many numbers, the last of what is left."""
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


def grid(model: Model, count: int, home: Path, knobs: list[str]) -> Rows:
    """Rows of pictures."""
    chosen = model.family.Knobs.from_pairs(knobs)
    if model.labels:
        seeds = range(ACROSS)
        return [[one.image for one in draw(model.family, seeds, label, chosen)] for label in model.labels]
    return [[one.image for one in draw(model.family, some, None, chosen)] for some in batched(range(count), ACROSS)]


def texts(model: Model, count: int, home: Path, knobs: list[str]) -> Rows:
    """A row a prompt, a column a seed. knobs: the prompts."""
    prompts, seeds = knobs or PROMPTS, range(ACROSS)
    return [[one.image for one in draw(model.family, seeds, texts=prompt)] for prompt in prompts]


def layers(model: Model, count: int, home: Path, knobs: list[str]) -> Rows:
    """Rows of foregrounds, of backgrounds and of wholes, from the same seeds."""
    rows: Rows = []
    for some in batched(range(count), ACROSS):
        for layer in ("foreground", "background", "whole"):
            chosen = model.family.Knobs.from_pairs([*knobs, f"layer={layer}"])
            rows.append([one.image for one in draw(model.family, some, None, chosen)])
    return rows


def translated(model: Model, count: int, home: Path, knobs: list[str]) -> Rows:
    """Rows of sources, of what is made of them, and of the truth where it is known."""
    facts, record = model.family.facts, Run.open(home, model.run).record
    truth = None
    if record.get("source"):
        images = open_pack(record["source"]["name"], home).images
        chosen = np.random.default_rng(0).permutation(len(images))[:count]
        sources = at_size(images[np.sort(chosen)], facts.height, facts.width)
    else:
        pack, _ = tasks.learned_rows(Run.open(home, model.run), home)
        learned, held = pack.split(record["data"]["held_out"])
        some = np.random.default_rng(0).permutation(held if len(held) else learned)[:count]
        sources, truth = (at_size(x[some], facts.height, facts.width) for x in (pack.sources, pack.images))
        truth = truth if len(held) else None
    drawn = list(draw(model.family, range(len(sources)), None, model.family.Knobs.from_pairs(knobs), sources=sources))
    out: Rows = []
    for some in batched(range(len(sources)), ACROSS):
        out += [[sources[i] for i in some], [drawn[i].image for i in some]]
        out += [[truth[i] for i in some]] if truth is not None else []
    return out


def write(name: str, rows: Rows) -> Path:
    """A sheet, as good as fits."""
    image = Image.fromarray(sheet(rows))
    for quality in QUALITIES:
        data = io.BytesIO()
        image.save(data, "WEBP", quality=quality, method=6)
        if data.tell() <= MOST:
            break
    path = PLACE / f"family-{name}.webp"
    path.write_bytes(data.getvalue())
    return path


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=("grid", "texts", "layers", "translated"))
    words.add_argument("home", type=Path)
    words.add_argument("run")
    words.add_argument("name")
    words.add_argument("knobs", nargs="*")
    words.add_argument("--count", type=int, default=60)
    options = words.parse_args()
    model = gesso.load(options.run, home=options.home)
    make = {"grid": grid, "texts": texts, "layers": layers, "translated": translated}[options.what]
    print(write(options.name, make(model, options.count, options.home, options.knobs)))


if __name__ == "__main__":
    main()
