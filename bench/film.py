"""A loop between a generator's pictures, finished as one film and frame by frame: how much each flickers.

    python -m bench.film --home HOME --data emoji --run 1 [--seeds 6 8 0] [--seconds 3]

Latents go from seed to seed and back to the first, on great circles (Shoemake 1985), 24 a second. Flicker is
`gesso.patch.frames.flicker`: how much a frame differs from the one before, moved to where its things are now.
Writes docs/pictures/finish-film.webp: the drafts above, then the film, then the frames finished one by one.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import gesso
from bench.data import OUT
from gesso.contract.family import Condition, Family
from gesso.contract.finishing import FinishChoices
from gesso.data import open_pack
from gesso.finish import Collection, index_of
from gesso.finish.frames import finish_frames
from gesso.marks.picture import to_uint8, write_picture
from gesso.measure.originality import finished
from gesso.patch.frames import flicker
from gesso.patch.pyramid import resized

PACE = 24  # frames a second
SHOWN = 12  # frames of the strip
CELL, GAP = 96, 4  # pixels
Array = np.ndarray


@torch.inference_mode()
def loop(family: Family, seeds: list[int], count: int) -> list[Array]:
    """So many drafts on the way from seed to seed and back to the first, h w c in [0, 1]."""
    ends = [family.prior(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    out = []
    for frame in range(count):
        way = frame * len(seeds) / count
        a, b, t = ends[int(way)], ends[(int(way) + 1) % len(seeds)], way % 1
        angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
        between = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
        *_, image = family.sample(between, Condition(label=None), family.Knobs())
        out.append(to_uint8(image)[0].astype(np.float32) / 255)
    return out


def white(picture: Array) -> Array:
    """A picture laid on white, h w 3."""
    picture = picture[..., :3] + 1 - picture[..., 3:] if picture.shape[2] == 4 else picture
    return np.broadcast_to(picture, (*picture.shape[:2], 3)).clip(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=OUT / "home")
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--run", default="1")
    parser.add_argument("--seeds", type=int, nargs="+", default=[6, 8, 0])
    parser.add_argument("--seconds", type=float, default=3)
    args = parser.parse_args()
    pack = open_pack(args.data, args.home)
    collection = Collection.of(pack, finished(index_of(pack)))
    drafts = loop(gesso.load(args.run, home=args.home).family, args.seeds, round(args.seconds * PACE))
    size = pack.height, pack.width
    manner = collection.manner(FinishChoices(), *size)
    begun = time.perf_counter()
    film = [white(made.picture) for made in finish_frames(collection, drafts, *size, manner, loop=True)]
    middle = time.perf_counter()
    apart = []
    for draft in drafts:
        *_, made = collection.finish(draft, *size, manner)
        apart.append(white(made.picture))
    large = [white(resized(draft, *size)) for draft in drafts]
    row = {
        "frames": len(drafts), "drafts": flicker(large, large), "film": flicker(large, film),
        "one by one": flicker(large, apart), "seam": flicker([large[-1], large[0]], [film[-1], film[0]]),
        "film_s": round(middle - begun, 1), "one_by_one_s": round(time.perf_counter() - middle, 1),
    }  # fmt: skip
    print(json.dumps(row))
    some = np.linspace(0, len(drafts), SHOWN, endpoint=False).astype(int)
    page = np.ones((3 * (CELL + GAP) - GAP, SHOWN * (CELL + GAP) - GAP, 3), np.float32)
    for line, pictures in enumerate((large, film, apart)):
        for place, number in enumerate(some):
            y, x = line * (CELL + GAP), place * (CELL + GAP)
            page[y : y + CELL, x : x + CELL] = resized(pictures[number], CELL, CELL)
    target = Path(__file__).parents[1] / "docs" / "pictures" / "finish-film.webp"
    image = (page.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    write_picture(target, image, source="compositeWithTrainedAlgorithmicMedia", quality=85)


if __name__ == "__main__":
    main()
