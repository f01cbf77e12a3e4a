"""Finishing: how good, how much from one picture, and from which drafts.

    python -m bench.finish quality --home HOME --data emoji --run 1 [--count 400]
    python -m bench.finish drafts  --home HOME --data emoji --runs 1 2 5 6 7 [--blur 0 0.5 1]
    python -m bench.finish caps    --home HOME --data emoji --run 1 [--count 500]

HOME holds the data set and runs that learned from it. A run's drafts of seeds 0, 1, … are brought to the data set's own
size: by cubic enlargement; by the prototype's recipe, where `../shared/prototypes` is there (it knows no transparency,
so it gets drafts and pictures on white); and by `gesso.finish` with its defaults. All are laid on white and compared
with all real pictures by the primer's features and by those of the judge (`bench.judge`, learned at that size, with
fewer steps; in bfloat16, since that is a half of the time on processors that have it). Neither is asked by retrieval.

FD is the Fréchet distance; its interval, as those of precision, recall and of ratios, comes from leaving each of 20
parts of the drafts out, the same part on both sides of a ratio. FD∞ is that of endlessly many drafts. `real` is the
floor: as many real pictures, drawn at random, against all. Near-copies are told as by `gesso originality`. Shares are
of the drawn area. Seconds are of one thread's processor; `bench.finish_speed` has those by the clock.
Tables are printed; every figure goes to bench/out/finish.jsonl, too.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

import gesso
from bench.data import OUT, SHARED
from bench.judge import features as judged
from bench.judge import make_judge
from gesso.contract.finishing import FinishChoices
from gesso.data import open_pack
from gesso.data.pack import Pack
from gesso.finish import Caps, Collection, index_of
from gesso.marks.picture import on_ground
from gesso.measure import nearest
from gesso.measure.distances import Estimate, Moments, blockwise, frechet, frechet_infinity, precision_recall
from gesso.measure.features import extractor, features_of
from gesso.measure.originality import finished, found, known_scale, share_of
from gesso.measure.pairs import changing
from gesso.patch import threads
from gesso.patch.pyramid import blurred, resized
from gesso.store import Run

PROTOTYPE = SHARED.parent / "prototypes" / "patch"
BLOCKS = 20
JUDGE_STEPS = 200
Array = np.ndarray


@dataclass
class Made:
    """Finished pictures. images: n h w 3 bytes on white; seconds: each, of the processor; share, piece: the largest."""

    images: Array
    seconds: float
    share: Array = field(default_factory=lambda: np.zeros(0))
    piece: Array = field(default_factory=lambda: np.zeros(0))


def opened(home: Path, name: str) -> Collection:
    """A data set with its index, which is made where it is not there."""
    pack = open_pack(name, home)
    return Collection.of(pack, finished(index_of(pack)))


def drafts_of(home: Path, run: str, count: int) -> Array:
    """A run's pictures of seeds 0, 1, …: n h w c in [0, 1]."""
    return gesso.load(run, home=home, device="cpu").sample(count, seed=0).array.astype(np.float32) / 255


def on_white(pictures: Array) -> Array:
    """n h w c bytes, or values in [0, 1], as n h w 3 bytes."""
    if pictures.dtype != np.uint8:
        pictures = np.rint(pictures.clip(0, 1) * 255).astype(np.uint8)
    laid = on_ground(pictures, np.uint8(255)) if pictures.shape[3] == 4 else pictures
    return np.repeat(laid, 3, axis=3) if laid.shape[3] == 1 else np.ascontiguousarray(laid)


def cubic(drafts: Array, pack: Pack) -> Made:
    begun = time.process_time()
    large = np.stack([resized(draft, pack.height, pack.width) for draft in drafts])
    return Made(on_white(large), (time.process_time() - begun) / len(drafts))


def ours(drafts: Array, collection: Collection, choices: FinishChoices | None = None) -> Made:
    """With the defaults, or other choices."""
    choices = choices or FinishChoices()
    high, wide = collection.pack.height, collection.pack.width
    manner, pictures, copied = collection.manner(choices, high, wide), [], []
    *_, _ = collection.finish(drafts[0], high, wide, manner, count=choices.pictures)  # compiles
    begun = time.process_time()
    for draft in drafts:
        *_, last = collection.finish(draft, high, wide, manner, count=choices.pictures)
        pictures.append(last.picture)
        copied.append(last.copied)
    seconds = (time.process_time() - begun) / len(drafts)
    share, piece = np.array([c.shares.max() for c in copied]), np.array([c.piece for c in copied])
    return Made(on_white(np.stack(pictures)), seconds, share, piece)


def prototype(drafts: Array, pack: Pack) -> Made:
    """By the recipe of the prototype's refine.py, with its own engine."""
    sys.path.insert(0, str(PROTOTYPE))
    from pm import synth

    side = pack.width
    real = on_white(np.asarray(pack.images)).astype(np.float32) / 255
    given = on_white(drafts).astype(np.float32) / 255

    def looks(pictures: Array) -> Array:
        small = [resized(picture, 32, 32) for picture in pictures]
        return np.stack([resized(blurred(p, 1.2), 16, 16) for p in small]).reshape(len(small), -1)

    seen, made = looks(real), []
    begun = time.process_time()
    for number, draft in enumerate([given[0], *given]):
        if number == 1:  # the first one compiles
            begun = time.process_time()
        near = np.argsort(np.square(seen - looks(draft[None])[0]).sum(1))[:9]
        laid = real[near].reshape(3, 3, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(3 * side, 3 * side, 3)
        first = cv2.resize(draft, (side, side), interpolation=cv2.INTER_CUBIC)
        made.append(
            synth(
                laid, (side, side), init=first, start=len(draft) / side * 0.55, coarse=8, ratio=0.75, em=(8, 3),
                em_first=8, P=5, noise=0.0, guide_s=blurred(laid, side / 48), guide_t=blurred(first, side / 48),
                wg=0.35, exact_max=0, seed=1,
            )[0]
        )  # fmt: skip
    return Made(on_white(np.stack(made[1:])), (time.process_time() - begun) / len(drafts))


class Eyes:
    """What finished pictures are compared by. real: the data set's features, by the name of who sees them."""

    def __init__(self, pack: Pack, steps: int):
        images, mark = on_white(np.asarray(pack.images)), f"{pack.name}-{pack.fingerprint[:8]}"
        self.primer, self.judge, self.real = extractor("primer"), None, {}
        stored = OUT / f"finish-{mark}-primer.npy"
        if not stored.exists():
            np.save(stored, features_of(self.primer, images).numpy())
        self.real["primer"] = torch.from_numpy(np.load(stored))
        fine = [f"{item.get('label')}/{item.get('group')}/{item.get('subgroup')}" for item in pack.items]
        labels = np.unique(fine, return_inverse=True)[1].astype(np.int64)
        if labels.max() > 0:
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
                self.judge = make_judge(images, labels, OUT / f"finish-{mark}-judge-{steps}.safetensors", steps)
            self.real["judge"] = torch.from_numpy(judged(self.judge, images))

    def see(self, images: Array) -> dict[str, Tensor]:
        seen = {"primer": features_of(self.primer, images)}
        return seen if self.judge is None else seen | {"judge": torch.from_numpy(judged(self.judge, images))}

    def floor(self, count: int) -> dict[str, Tensor]:
        some = torch.from_numpy(np.random.default_rng(0).permutation(len(self.real["primer"]))[:count])
        return {name: real[some] for name, real in self.real.items()}

    def figures(self, seen: dict[str, Tensor]) -> dict[str, dict[str, Estimate | None]]:
        return {name: _figures(self.real[name], features) for name, features in seen.items()}

    def ratio(self, name: str, one: dict[str, Tensor], other: dict[str, Tensor]) -> Estimate:
        """Of two Fréchet distances."""
        live = changing(self.real[name], torch.cat([one[name], other[name]]))
        real = Moments.of(self.real[name][:, live])
        a, b = (x[name][:, live] for x in (one, other))
        return blockwise(
            lambda rows: frechet(real, Moments.of(a[rows])) / frechet(real, Moments.of(b[rows])), len(a), BLOCKS
        )


def _figures(real: Tensor, made: Tensor) -> dict[str, Estimate | None]:
    live = changing(real, made)
    a, b = real[:, live], made[:, live]
    moments = Moments.of(a)

    def share(which: int) -> Estimate:
        value, low, high = blockwise(lambda rows: precision_recall(a, b[rows])[which], len(b), BLOCKS)
        return Estimate(value, max(low, 0.0), min(high, 1.0))

    return {
        "fd": blockwise(lambda rows: frechet(moments, Moments.of(b[rows])), len(b), BLOCKS),
        "fd_infinity": frechet_infinity(b, moments) if len(b) >= 100 else None,
        "precision": share(0), "recall": share(1),
    }  # fmt: skip


def quality(args: argparse.Namespace) -> None:
    collection = opened(args.home, args.data)
    pack, drafts = collection.pack, drafts_of(args.home, args.run, args.count)
    made = {"cubic": cubic(drafts, pack)}
    if PROTOTYPE.exists() and pack.height == pack.width:
        made["prototype"] = prototype(drafts, pack)
    made["ours"] = ours(drafts, collection)
    eyes = Eyes(pack, args.judge_steps)
    seen = {name: eyes.see(one.images) for name, one in made.items()} | {"real": eyes.floor(len(drafts))}
    figures = {name: eyes.figures(one) for name, one in seen.items()}
    copies = {} if args.without_copies else near_copies(pack, made)
    for name, one in made.items():
        more = {"copies": copies.get(name), "seconds": one.seconds, **shares(one)}
        keep("quality", args, way=name, figures=figures[name], **more)
    keep("quality", args, way="real", figures=figures["real"], copies=copies.get("real"))
    for eye in eyes.real:
        print(f"\n{pack.name}, {len(drafts)} drafts of run {args.run}, by the {eye}:\n")
        rows = [[name, *map(said, figures[name][eye].values())] for name in figures]
        table(["", "FD", "FD∞", "precision", "recall"], rows)
        for other in [name for name in ("cubic", "prototype") if name in made]:
            ratio = eyes.ratio(eye, seen["ours"], seen[other])
            keep("ratio", args, eye=eye, other=other, ratio=ratio)
            print(f"\nFD, ours / {other}: {said(ratio)}", end="")
        print()
    print()
    rows = []
    for name, one in made.items():
        some = shares(one).values() if len(one.share) else ["", "", "", ""]
        rows.append([name, f"{one.seconds:.2f}", *(x if x == "" else f"{x:.2f}" for x in some), said(copies.get(name))])
    rows.append(["real", *[""] * 5, said(copies.get("real"))])
    table(["", "CPU s a picture", "share, mean", "share, most", "piece, mean", "piece, most", "near-copies"], rows)


def near_copies(pack: Pack, made: dict[str, Made]) -> dict[str, Estimate]:
    """Share of near-copies; `real`: of the collection's own pictures, of another of them."""
    images, folder = on_white(np.asarray(pack.images)), OUT / f"finish-near-{pack.name}"
    folder.mkdir(parents=True, exist_ok=True)
    learned = nearest.Collection.of(images)
    scale = finished(known_scale(learned, images, folder, f"{pack.fingerprint} on white"))
    out = {name: Estimate(*share_of(finished(found(learned, one.images, scale)).copies)) for name, one in made.items()}
    return out | {"real": Estimate(*share_of(np.array(scale.among) >= scale.limit))}


def shares(one: Made) -> dict[str, float]:
    if not len(one.share):
        return {}
    return {
        "share_mean": float(one.share.mean()), "share_most": float(one.share.max()),
        "piece_mean": float(one.piece.mean()), "piece_most": float(one.piece.max()),
    }  # fmt: skip


def drafts(args: argparse.Namespace) -> None:
    collection = opened(args.home, args.data)
    pack, eyes, rows = collection.pack, Eyes(collection.pack, args.judge_steps), []
    for run in args.runs:
        record = Run.open(args.home, run).record
        drafted = drafts_of(args.home, run, args.count)
        ways: dict[str, Array] = {"cubic": drafted}
        for sigma in args.blur:
            ways[f"{sigma:g}"] = np.stack([blurred(draft, sigma) for draft in drafted]) if sigma else drafted
        for blur, some in ways.items():
            one = cubic(some, pack) if blur == "cubic" else ours(some, collection)
            figures = eyes.figures(eyes.see(one.images))
            minutes = record.get("spent", {}).get("seconds", 0) / 60
            facts = {"run": run, "family": record["family"], "draft": drafted.shape[1], "minutes": round(minutes, 1)}
            keep("drafts", args, **facts, blur=blur, figures=figures, **shares(one))
            both = [said(figure) for eye in figures for figure in figures[eye].values()]
            rows.append([*(str(fact) for fact in facts.values()), blur, *both])
            print(*rows[-1], sep="  ", flush=True)
    print(f"\n{pack.name}, {args.count} drafts each\n")
    columns = ["FD", "FD∞", "precision", "recall"]
    named = [f"{column}, {eye}" for eye in eyes.real for column in columns]
    table(["run", "family", "draft", "minutes", "blur", *named], rows)


def caps(args: argparse.Namespace) -> None:
    collection = opened(args.home, args.data)
    some, rows = drafts_of(args.home, args.run, args.count), []
    for name, choices in (("as it comes", FinishChoices()), ("without", FinishChoices(most_share=1, most_piece=1))):
        if name == "without" and args.default_only:
            continue
        one = ours(some, collection, choices)
        over = {
            "over_share": int((one.share > Caps().share).sum()),
            "over_piece": int((one.piece > Caps().piece).sum()),
        }
        keep("caps", args, caps=name, seconds=one.seconds, **shares(one), **over)
        rows.append([name])
        for values, limit in ((one.share, Caps().share), (one.piece, Caps().piece)):
            most = np.quantile(values, (0.5, 0.95, 1.0))
            rows[-1] += [*(f"{x:.3f}" for x in most), f"{int((values > limit).sum())}"]
        rows[-1].append(f"{one.seconds:.2f}")
        worst = np.argsort(one.share)[::-1][:5]
        print(f"{name}: largest shares of seeds {', '.join(f'{i} ({one.share[i]:.3f})' for i in worst)}", flush=True)
    print(f"\n{args.data}, {len(some)} drafts of run {args.run}\n")
    parts = [f"{what}, {which}" for what in ("share", "piece") for which in ("median", "95 %", "most", "above its cap")]
    table(["caps", *parts, "CPU s a picture"], rows)


def keep(what: str, args: argparse.Namespace, **figures: Any) -> None:
    facts = {"what": what, "data": args.data, "count": args.count, **figures}
    facts.setdefault("run", getattr(args, "run", None))
    with (OUT / "finish.jsonl").open("a") as file:
        file.write(json.dumps(facts) + "\n")


def said(figure: Estimate | None) -> str:
    return "" if figure is None else "{:.3g} ({:.3g}–{:.3g})".format(*figure)


def table(head: list[str], rows: list[list[str]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for work in (quality, drafts, caps):
        one = commands.add_parser(work.__name__)
        one.set_defaults(work=work)
        one.add_argument("--home", type=Path, default=OUT / "home")
        one.add_argument("--data", default="emoji")
        one.add_argument("--count", type=int, default=500 if work is caps else 400)
        if work is drafts:
            one.add_argument("--runs", nargs="+", required=True)
            one.add_argument("--blur", nargs="+", type=float, default=[0.0, 0.5, 1.0], help="pixels of the draft")
        else:
            one.add_argument("--run", default="1")
        if work is caps:
            one.add_argument("--default-only", action="store_true")
        else:
            one.add_argument("--judge-steps", type=int, default=JUDGE_STEPS)
        if work is quality:
            one.add_argument("--without-copies", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    OUT.mkdir(exist_ok=True)
    with threads(1):
        args.work(args)


if __name__ == "__main__":
    main()
