"""How near a model comes to pictures that it never saw (inversion), and how well they can then be changed.

    python -m bench.inversion --data emoji --size 32 --families gan,stylegan,vae,flow --seconds 600 [--count 20]

Each family learns nine tenths of the pictures as in `bench.families` (one thread, so many CPU seconds; kept beside the
log, and shared with `bench.priors`). Pictures of the other tenth are found again: `start` is the nearest of 1,024 that
the model drew, or what its encoder says; `shared` and `own` are what the search comes to with one style for all layers,
or one for each (of a family without layers `own` alone); `fitted` adds the fit of the part that paints. PSNR in dB,
SSIM (windows of 7) and the primer's distance, means over pictures, and seconds a picture, of the wall, one thread.

`slides`: by how much sliders of the model (`find`, 800 pictures) move pictures that were found, as a share of by how
much they move the model's own. Lines go to bench/out/inversion.jsonl; a sheet of the first eight pictures, nothing
picked, lies beside it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.data import OUT, load
from bench.families import kept_family
from bench.priors import Bench, Case, as_tensor, score
from gesso.contract.steer import Styled
from gesso.explore import Slider, Space, find
from gesso.explore.attributes import attributes
from gesso.explore.fit import fitted, painter_of, with_weights
from gesso.explore.inversion import Found, invert
from gesso.marks.picture import to_uint8, write_sheet
from gesso.measure.originality import finished
from gesso.primer.distance import Distance
from gesso.redraw import Damage

SHOWN = 8


def scores(truth: np.ndarray, made: np.ndarray, eye: Distance) -> dict[str, float]:
    """Of bytes h w 3."""
    psnr, ssim = score(Case(truth, truth, Damage()), made).tolist()
    with torch.no_grad():
        looks = float(eye(as_tensor(truth[None]), as_tensor(made[None])))
    return {"psnr": psnr, "ssim": ssim, "looks": looks}


def effects(space: Space, sliders: list[Slider], points: Any) -> list[float]:
    """By how much each slider moves what it is named for, from -1 to 1."""
    out = list[float]()
    for slider in sliders:
        ends = []
        for strength in (-1.0, 1.0):
            codes = points.codes + strength * slider.direction.to(points.codes)
            ends.append(attributes(space.pictures(points.at(codes)))[slider.attribute.name].mean())
        out.append(float(ends[1] - ends[0]))
    return out


def ways(space: Space, target: torch.Tensor, steps: int, fit: int) -> dict[str, tuple[Found, Any, float]]:
    """What each way comes to: what was found, the family that draws it, and the seconds."""
    out = dict[str, tuple[Found, Any, float]]()
    several = isinstance(space.family, Styled) and space.points([0]).codes.shape[1] > 1
    for way, layers, count in (("start", True, 0), ("shared", False, steps), ("own", True, steps)):
        if way == "shared" and not several:
            continue
        begun = time.perf_counter()
        found = finished(invert(space, target, steps=count, layers=layers))
        out[way] = found, space.family, time.perf_counter() - begun
    found, _, spent = out["own"]
    begun, painter = time.perf_counter(), painter_of(space, found.points)
    if painter is not None and fit:
        weights = finished(fitted(space, found.points, painter, target, fit))
        other = with_weights(space.family, painter.name, weights)
        picture = Space(other, space.knobs).pictures(found.points)
        out["fitted"] = Found(found.points, picture, found.far), other, spent + time.perf_counter() - begun
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="emoji", help="emoji, sprites, blossoms, or an archive")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--families", default="gan,stylegan,vae,flow")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds that each learns")
    parser.add_argument("--seed", type=int, default=0, help="of the learning")
    parser.add_argument("--count", type=int, default=20, help="held-out pictures")
    parser.add_argument("--steps", type=int, default=300, help="of the search")
    parser.add_argument("--fit", type=int, default=300, help="steps of the fit")
    parser.add_argument("--slides", type=int, default=800, help="pictures that sliders are found by; 0: none")
    parser.add_argument("--log", type=Path, default=OUT / "inversion.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, _, name = load(options.data, options.size)
    split = Bench(images, len(images), options.log, {})
    learned, held = split.learned, split.held[split.apart][: options.count]
    eye = Distance().eval()
    for recipe in options.families.split(","):
        stem = f"{name}-{options.size}-{recipe.replace(':', '-')}-{options.seconds:.0f}-{options.seed}"
        kept = OUT / f"priors-{stem}.safetensors"
        space = Space(kept_family(recipe, learned, options.seed, options.seconds, kept))
        sliders = finished(find(space, options.slides)) if options.slides else []
        usual = np.array(effects(space, sliders, space.points(range(5000, 5000 + len(held)))))
        rows, moved = dict[str, list[dict[str, float]]](), dict[str, list[list[float]]]()
        shown = {"held out": [*held[:SHOWN]]}
        for picture in held:
            for way, (found, family, spent) in ways(
                space, as_tensor(picture[None]), options.steps, options.fit
            ).items():
                made, there = to_uint8(found.picture)[0], Space(family, space.knobs)
                rows.setdefault(way, []).append({**scores(picture, made, eye), "s": spent, "far": found.far})
                moved.setdefault(way, []).append(effects(there, sliders, found.points))
                shown.setdefault(way, []).append(made)
        for way, lines in rows.items():
            line: dict[str, Any] = {"data": f"{name}-{options.size}", "family": recipe, "seconds": options.seconds}
            line |= {"way": way, "count": len(lines), "sliders": len(sliders)}
            line |= {key: round(float(np.mean([one[key] for one in lines])), 3) for key in lines[0]}
            if sliders:
                line["slides"] = round(float(np.mean(np.array(moved[way]).mean(0) / usual)), 3)
            print(line, flush=True)
            with options.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
        sheet = options.log.with_name(f"inversion-{stem}.png")
        write_sheet(sheet, [some[:SHOWN] for some in shown.values()], captions=[*shown],
                    source="compositeWithTrainedAlgorithmicMedia")  # fmt: skip


if __name__ == "__main__":
    main()
