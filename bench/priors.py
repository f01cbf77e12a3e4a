"""Models as priors: given pictures put together again, and damaged ones restored, beside what needs no model.

    python -m bench.priors --data emoji --size 32 --families flow,vae,tokens --seconds 600 [--seed 0] [--again]

Each family learns nine tenths of the pictures as in `bench.families` (one thread, so many CPU seconds; `vae:sharp` and
`flow:few=0.5` ask for presets and choices), and is kept beside the log, so that a second call only measures. At most
200 of the other tenth are
- rebuilt: looked at by the family (`encode`), drawn again; of tokens also what share of codes learned pictures use;
- damaged and restored: a hole of a third of the side somewhere in the middle, strokes over a fifth of the picture
  (both given filled with grey), noise of 25/255 (clipped, as in files), colours taken away, made 2 and 4 times smaller
  (means of squares). Four candidates of each: `one` is the mean of their figures, `best` the figures of the one with
  the least squared error (which only who knows the truth can choose), `mean` those of their mean.

PSNR in dB and SSIM (windows of 7), means over pictures; PSNR ends at 58.9, where all that is wrong is rounding.
`inside`: of holes alone. `apart`: of pictures alone that have no twin among the learned ones (within 25 dB), since
collections repeat themselves. `nearest` tells what that is worth: the learned picture that fits best to what is known,
fitted to it. Lines go to bench/out/priors.jsonl; sheets of the first ten pictures, nothing picked, lie beside it.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity
from skimage.restoration import denoise_nl_means, inpaint_biharmonic

from bench.data import OUT, load
from bench.families import kept_family
from bench.upscale import by_opencv, by_pillow
from gesso.contract.family import Condition, Encoder, Family
from gesso.contract.known import LUMA, Known
from gesso.errors import GessoError
from gesso.families.tokens import Tokenizer
from gesso.marks.picture import to_uint8, write_sheet
from gesso.patch import final
from gesso.patch.restore import heal
from gesso.patch.tone import denoised
from gesso.patch.upscale import upscale
from gesso.redraw import Asked, Damage, restored

CANDIDATES, SHOWN = 4, 10
NOISE, RADIUS = 25 / 255, 2  # pixels; of 2, 3 and 5 the best for Telea on emoji of 32 pixels
TWINS = 25.0  # dB: pictures that are nearer than this are nearly the same
ROUNDING = 1 / 12  # mean squared error of rounding to bytes
REBUILT: dict[str, list[dict[str, Any]]] = {"flow": [{}, {"solver": "heun", "steps": 40}]}  # knobs; others: defaults

Pixels = np.ndarray  # bytes, h w 3
Floats = np.ndarray  # h w 3 in [0, 1]


class Case(NamedTuple):
    """A picture, what is left of it, and what is known of what was done to it."""

    truth: Pixels
    given: Pixels
    damage: Damage

    @property
    def holes(self) -> np.ndarray:
        """Where nothing is: h w."""
        return np.zeros(self.truth.shape[:2], bool) if self.damage.holes is None else self.damage.holes

    @property
    def seen(self) -> Pixels:
        """What is left, as a sheet shows it: of the true size, holes chequered."""
        large = self.given.repeat(self.damage.factor, 0).repeat(self.damage.factor, 1)
        checks = 150 + 70 * (np.add.outer(*[np.arange(len(large)) * 16 // len(large)] * 2) % 2)
        return np.where(self.holes[..., None], checks[..., None], large).astype(np.uint8)


def hole(side: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a third of the side, at most an eighth of it off the middle."""
    mask, third = np.zeros((side, side), bool), side // 3
    top, left = (side - third) // 2 + rng.integers(-(side // 8), side // 8 + 1, 2)
    mask[top : top + third, left : left + third] = True
    return mask


def strokes(side: int, rng: np.random.Generator) -> np.ndarray:
    """Straight strokes, a thirty-second to a tenth of the side wide, until they cover at least a fifth."""
    mask = np.zeros((side, side), np.uint8)
    while mask.mean() < 0.2:
        (y, x), (v, u) = rng.integers(0, side, (2, 2)).tolist()
        cv2.line(mask, (x, y), (u, v), 1, max(round(side / 32 * rng.uniform(1, 3)), 1))
    return mask > 0


def spoilt(kind: str, truth: Pixels, rng: np.random.Generator) -> Case:
    """A picture with one of the kinds of damage."""
    if kind in ("hole", "strokes"):
        mask = {"hole": hole, "strokes": strokes}[kind](len(truth), rng)
        return Case(truth, np.where(mask[..., None], np.uint8(127), truth), Damage(holes=mask))
    if kind == "noise":
        return Case(truth, as_bytes(truth / 255 + rng.normal(0, NOISE, truth.shape)), Damage(noise=NOISE))
    if kind == "grey":
        return Case(truth, as_bytes((truth / 255 @ LUMA)[..., None].repeat(3, 2)), Damage(grey=True))
    factor = int(kind.removeprefix("enlarge"))
    squares = truth.reshape(len(truth) // factor, factor, -1, factor, 3)
    return Case(truth, as_bytes(squares.mean((1, 3)) / 255), Damage(factor=factor))


Way = Callable[[Floats, np.ndarray, int], Floats]  # what is left, where nothing is, and the side that is wanted
FILL: dict[str, Way] = {
    "biharmonic": lambda p, holes, _: inpaint_biharmonic(p, holes, channel_axis=2),
    "Telea": lambda p, holes, _: cv2.inpaint(as_bytes(p), holes.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA) / 255,
    "gesso heal": lambda p, holes, _: final(heal(p, holes)),
}
MEANS: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "h": 0.6 * NOISE, "sigma": NOISE, "fast_mode": False}
CLEAN: dict[str, Way] = {
    "as it is": lambda p, *_: p,
    "non-local means": lambda p, *_: denoise_nl_means(p, channel_axis=2, **MEANS),  # as scikit-image advises
    "gesso denoised": lambda p, *_: denoised(p, 1.0).picture,  # which has to find the noise
}
COLOUR = {"as it is": CLEAN["as it is"]}
ENLARGE: dict[str, Way] = {
    "cubic": lambda p, _, side: by_opencv(p, side, side),
    "Lanczos": lambda p, _, side: by_pillow(p, side, side),
    "gesso upscale": lambda p, _, side: upscale(p, side, side),
}
PEERS = {"hole": FILL, "strokes": FILL, "noise": CLEAN, "grey": COLOUR, "enlarge2": ENLARGE, "enlarge4": ENLARGE}
UNSHOWN = ("as it is", "nearest", "Lanczos")


def as_floats(picture: Pixels) -> Floats:
    return picture.astype(np.float32) / 255


def as_bytes(picture: Floats) -> Pixels:
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def as_tensor(images: Pixels) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def score(case: Case, made: Pixels) -> np.ndarray:
    """PSNR and SSIM of a picture, and of its hole alone where it has one."""
    wrong = np.square(case.truth.astype(np.float32) - made.astype(np.float32))
    like = structural_similarity(case.truth, made, channel_axis=2, full=True)
    pairs = [(wrong.mean(), like[0])]
    pairs += [(wrong[case.holes].mean(), like[1][case.holes].mean())] if case.holes.any() else []
    return np.array([[10 * np.log10(255**2 / max(error, ROUNDING)), alike] for error, alike in pairs]).ravel()


def nearest(case: Case, learned: Pixels) -> Pixels:
    """The learned picture that fits best to what is known, fitted to it."""
    damage, given = case.damage, as_tensor(case.given[None]).expand(len(learned), -1, -1, -1)
    for axis in (2, 3):
        given = given.repeat_interleave(damage.factor, axis)
    holes = None if damage.holes is None else torch.from_numpy(~damage.holes).expand(len(learned), 1, -1, -1)
    known, x = Known(given, holes, damage.factor, damage.grey), as_tensor(learned)
    fitted = known.fitted(x)
    best = int((fitted - x).square().sum((1, 2, 3)).argmin())
    return to_uint8((x if damage.noise else fitted)[best : best + 1])[0]


@torch.inference_mode()
def rebuilt(family: Encoder, images: Pixels, knobs: dict[str, Any]) -> Pixels:
    """Pictures looked at, and drawn again."""
    z = family.encode(as_tensor(images), Condition())
    *_, drawn = family.sample(z, Condition(), family.Knobs.of(knobs))
    return to_uint8(drawn)


@torch.inference_mode()
def codes(family: Family, images: Pixels) -> dict[str, float]:
    """Share of the codes that pictures use, and the perplexity of how they do."""
    tokenizer = family.parts["tokenizer"]
    assert isinstance(tokenizer, Tokenizer)
    seen = torch.cat([tokenizer.look(part).codes.flatten() for part in as_tensor(images).split(100)])
    shares = torch.bincount(seen, minlength=tokenizer.count).double() / len(seen)
    used, perplexity = (shares > 0).double().mean().item(), (-torch.xlogy(shares, shares).sum()).exp().item()
    return {"codes": round(used, 4), "perplexity": round(perplexity, 1)}


class Bench:
    """The held-out pictures, which of them have no twin, and where figures go. facts: what every line tells."""

    def __init__(self, images: Pixels, count: int, log: Path, facts: dict[str, Any]):
        order, tenth = np.random.default_rng(0).permutation(len(images)), round(len(images) / 10)
        self.learned, self.held, self.log, self.facts = images[order[tenth:]], images[order[:tenth][:count]], log, facts
        flat = self.learned.reshape(len(self.learned), -1).astype(np.float32)
        least = [np.square(flat - one.reshape(1, -1)).mean(1).min() for one in self.held]
        self.apart = np.array(least) > 255**2 / 10 ** (TWINS / 10)

    def write(self, task: str, way: str, scores: Sequence[np.ndarray], **more: Any) -> None:
        """One line."""
        rows, line = np.stack(scores), more
        for suffix, some in (("", rows), ("_apart", rows[self.apart])):
            names = ("psnr", "ssim", "psnr_inside", "ssim_inside")[: rows.shape[1]]
            values = zip(names, some.mean(0).tolist(), strict=True) if len(some) else []
            line |= {name + suffix: round(value, 2 if name.startswith("psnr") else 4) for name, value in values}
        print(f"{task:9} {way:24}", *[f"{key} {value}," for key, value in line.items()], flush=True)
        line |= {"count": len(rows), "count_apart": int(self.apart.sum())}
        with self.log.open("a") as file:
            file.write(json.dumps({**self.facts, "task": task, "way": way, **line}) + "\n")

    def peers(self, kind: str, cases: list[Case]) -> dict[str, list[Pixels]]:
        """Measures what is made without a model; returns the first pictures, for the sheet."""
        made = {"nearest": [nearest(case, self.learned) for case in cases]}
        for way, repair in PEERS[kind].items():
            made[way] = [as_bytes(repair(as_floats(x.given), x.holes, len(x.truth))) for x in cases]
        for way, images in made.items():
            self.write(kind, way, [*map(score, cases, images)])
        return {way: images[:SHOWN] for way, images in made.items() if way not in UNSHOWN}

    def restore(self, kind: str, cases: list[Case], recipe: str, family: Family) -> list[Pixels]:
        """Measures the candidates of a family; returns those of the first pictures."""
        made, begun = list[Pixels](), time.process_time()
        for i, case in enumerate(cases):
            asked = Asked(range(CANDIDATES * i, CANDIDATES * (i + 1)))
            made.append(np.stack([drawn.image for drawn in restored(family, case.given, case.damage, asked)]))
        spent = round(1000 * (time.process_time() - begun) / len(made) / CANDIDATES, 1)
        each = [np.stack([score(case, one) for one in four]) for case, four in zip(cases, made, strict=True)]
        means = [as_bytes(four.mean(0) / 255) for four in made]
        self.write(kind, f"{recipe} one", [rows.mean(0) for rows in each], cpu_ms=spent)
        self.write(kind, f"{recipe} best", [rows[rows[:, 0].argmax()] for rows in each], cpu_ms=spent)
        self.write(kind, f"{recipe} mean", [*map(score, cases, means)], cpu_ms=spent)
        return made[:SHOWN]

    def rebuild(self, recipe: str, family: Family) -> list[Pixels]:
        """Measures what is drawn again; returns the first pictures."""
        assert isinstance(family, Encoder)
        cases, shown = [Case(truth, truth, Damage()) for truth in self.held], list[Pixels]()
        more = codes(family, self.learned) if "tokenizer" in family.parts else {}
        for knobs in REBUILT.get(family.name, [{}]):
            made = rebuilt(family, self.held, knobs)
            words = [recipe, *(f"{name}={value}" for name, value in knobs.items())]
            self.write("rebuild", " ".join(words), [*map(score, cases, made)], **more)
            shown = shown or [*made[:SHOWN]]
        return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="emoji", help="emoji, sprites, blossoms, or an archive")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--families", default="flow,vae,tokens")
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds that each learns")
    parser.add_argument("--seed", type=int, default=0, help="of the learning")
    parser.add_argument("--count", type=int, default=200, help="held-out pictures at most")
    parser.add_argument("--again", action="store_true", help="learn anew what was kept")
    parser.add_argument("--log", type=Path, default=OUT / "priors.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images, _, name = load(options.data, options.size)
    facts = {"data": f"{name}-{options.size}", "seconds": options.seconds, "seed": options.seed}
    options.log.parent.mkdir(parents=True, exist_ok=True)
    bench, families = Bench(images, options.count, options.log, facts), dict[str, tuple[Family, str]]()
    for recipe in options.families.split(","):
        stem = f"priors-{facts['data']}-{recipe.replace(':', '-')}-{options.seconds:.0f}-{options.seed}"
        kept = options.log.with_name(f"{stem}.safetensors")
        family = kept_family(recipe, bench.learned, options.seed, options.seconds, kept, options.again)
        families[recipe] = family, stem
        rows = {"held out": [*bench.held[:SHOWN]], f"{recipe}, drawn again": bench.rebuild(recipe, family)}
        sheet(options.log.with_name(f"{stem}-rebuild.png"), rows)
    for number, kind in enumerate(PEERS):  # the same damage, whoever restores it
        cases = [spoilt(kind, truth, np.random.default_rng([number, i])) for i, truth in enumerate(bench.held)]
        shown = bench.peers(kind, cases)
        for recipe, (family, stem) in families.items():
            try:
                made = bench.restore(kind, cases, recipe, family)
            except GessoError as error:
                print(f"{kind:9} {recipe}: {error}", flush=True)
                continue
            own = {f"{recipe}, {name}": [four[i] for four in made] for i, name in enumerate(("first", "second"))}
            damaged, truth = [case.seen for case in cases[:SHOWN]], [*bench.held[:SHOWN]]
            sheet(options.log.with_name(f"{stem}-{kind}.png"), {"damaged": damaged, **shown, **own, "truth": truth})


def sheet(path: Path, rows: dict[str, list[Pixels]]) -> None:
    """A row a way, what it is above it."""
    write_sheet(path, [*rows.values()], captions=[*rows], source="compositeWithTrainedAlgorithmicMedia")


if __name__ == "__main__":
    main()
