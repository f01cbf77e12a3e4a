"""Seconds and memory of finishing, each case in a process of its own.

    python -m bench.finish_speed [--home HOME --data emoji --run 1] [--threads 2] [--only finish] [--count 20]

`index`: what making the index of a collection takes. `finish`: drafts of 32 pixels, first as `Collection.choose` finds
the pictures for them, then all of it, choice included. `query`: choosing from a thousand, ten thousand and a hundred
thousand pictures, which are put together of quarters of the built-in blossoms, so that no two are alike.

Blossoms are painted where they are not there yet (20,000 of 128 pixels and 1,700 of 256: a gigabyte, some minutes).
HOME: a data set of one's own and a run that learned from it, as a further collection. Without a run, drafts are two
pictures blended and blurred. Everything is done once before it is timed, so that loops are compiled; peak memory is
what the process held at most, the libraries (`nothing` being those alone) and what it saw of mapped files included.
Wants a quiet machine.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

import gesso
from bench.data import OUT
from gesso.contract.finishing import FinishChoices
from gesso.data import open_pack, pack_names
from gesso.data.pack import Pack
from gesso.finish import Collection, index_of, known_index
from gesso.finish.choose import choose
from gesso.finish.index import Index, make_index
from gesso.measure.originality import finished
from gesso.patch import threads
from gesso.patch.pyramid import blurred, resized

HOME = OUT / "home"
BLOSSOMS = {"blossoms-20000": (20_000, 128), "blossoms-256": (1700, 256), "blossoms-32": (4000, 32)}
SIDE, PICTURES = 32, 12  # pixels of a draft; pictures that one is drawn with
Array = np.ndarray


def blossoms(name: str) -> Pack:
    count, size = BLOSSOMS[name]
    if name not in pack_names(HOME):
        gesso.run("import", home=HOME, source="blossoms", name=name, count=count, size=str(size))
    return open_pack(name, HOME)


def opened(args: argparse.Namespace, name: str) -> Pack:
    return blossoms(name) if name in BLOSSOMS else open_pack(name, args.home)


def rough(images: Array, count: int) -> list[Array]:
    """Drafts: each of two pictures, blended and blurred."""
    some = np.random.default_rng(0).permutation(len(images))[: 2 * count]
    pairs = images[np.sort(some)].astype(np.float32).reshape(count, 2, *images.shape[1:]) / 255
    return [blurred(resized((a + b[:, ::-1]) / 2, SIDE, SIDE), 1.0) for a, b in pairs]


def drafts_for(args: argparse.Namespace, pack: Pack) -> list[Array]:
    if args.run and pack.name == args.data:
        made = gesso.load(args.run, home=args.home, device="cpu").sample(args.count, seed=0).array
        return list(made.astype(np.float32) / 255)
    return rough(pack.images, args.count)


def index(args: argparse.Namespace, name: str) -> dict[str, float]:
    pack = opened(args, name)
    begun = time.perf_counter()
    *_, made = make_index(pack.images)
    assert isinstance(made, Index)
    size = sum(array.nbytes for kind in made.kinds for array in kind.arrays().values())
    return {"pictures": pack.count, "index": time.perf_counter() - begun, "index_mb": size / 1e6}


def finish(args: argparse.Namespace, name: str, side: int) -> dict[str, float]:
    pack = opened(args, name)
    kept = known_index(pack)
    collection = Collection.of(pack, finished(index_of(pack)) if kept is None else kept)
    some, manner = drafts_for(args, pack), collection.manner(FinishChoices(), side, side)
    *_, _ = collection.finish(some[0], side, side, manner)
    asked, drawn = [], []
    for draft in some:
        begun = time.perf_counter()
        collection.choose([draft], side, side, PICTURES)
        asked.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        *_, _ = collection.finish(draft, side, side, manner)
        drawn.append(time.perf_counter() - begun)
    return {
        "pictures": pack.count, "draft": some[0].shape[0], "side": side, "query": float(np.mean(asked)),
        "seconds": float(np.mean(drawn)), "most": max(drawn), "index_was_there": kept is not None,
    }  # fmt: skip


def query(args: argparse.Namespace, count: int) -> dict[str, float]:
    images, rng = np.asarray(blossoms("blossoms-32").images), np.random.default_rng(0)
    half = SIDE // 2
    new = np.empty((count, *images.shape[1:]), np.uint8)
    for part in (np.s_[:, :half, :half], np.s_[:, :half, half:], np.s_[:, half:, :half], np.s_[:, half:, half:]):
        new[part] = images[part][rng.integers(0, len(images), count)]
    some, begun = rough(new, args.count), time.perf_counter()
    *_, made = make_index(new)
    assert isinstance(made, Index)
    seconds, asked = time.perf_counter() - begun, []
    choose(made, some[:1], PICTURES)
    for draft in some:
        begun = time.perf_counter()
        choose(made, [draft], PICTURES)
        asked.append(time.perf_counter() - begun)
    return {"pictures": count, "index": seconds, "query": float(np.mean(asked)), "most": max(asked)}


def one(args: argparse.Namespace, what: str, *words: str) -> dict[str, float]:
    """One case, in this process."""
    out: dict[str, float] = {}
    with threads(args.threads):
        if what == "index":
            out = index(args, words[0])
        elif what == "finish":
            out = finish(args, words[0], int(words[1]))
        elif what == "query":
            out = query(args, int(words[0]))
    return out | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def said(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,}" if isinstance(figure, int) else f"{figure:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--run", default="")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=20, help="drafts")
    parser.add_argument("--only", default="", help="cases that begin so")
    parser.add_argument("--one", nargs="+", metavar="WORD")
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    if args.one:
        print(json.dumps(one(args, *args.one)))
        return
    own = [args.data] if args.home else []
    side = {name: opened(args, name).height for name in own} | {name: size for name, (_, size) in BLOSSOMS.items()}
    large = [*own, "blossoms-20000", "blossoms-256"]
    cases = [["nothing"], *(["index", name] for name in large)]
    cases += [["finish", name, str(side[name])] for name in large] + [["finish", name, "256"] for name in own]
    cases += [["query", str(count)] for count in (1000, 10_000, 100_000)]
    for name in BLOSSOMS:
        blossoms(name)
    rest = ["--data", args.data, "--run", args.run, "--threads", str(args.threads), "--count", str(args.count)]
    rest += ["--home", str(args.home)] if args.home else []
    env = os.environ | {name: str(args.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    columns = {"pictures": "pictures", "index": "index, s", "query": "query, s", "seconds": "a picture, s",
               "most": "most, s", "peak_gb": "peak, GB"}  # fmt: skip
    print(f"| | {' | '.join(columns.values())} |\n|{' --- |' * (len(columns) + 1)}", flush=True)
    for case in [case for case in cases if " ".join(case).startswith(args.only)]:
        words = [sys.executable, "-m", "bench.finish_speed", *rest, "--one", *case]
        told = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout)
        if told.pop("index_was_there", True) is False:  # making it would count as memory of finishing: once more
            told = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout)
        with (OUT / "finish.jsonl").open("a") as file:
            file.write(json.dumps({"what": "speed", "case": case, "threads": args.threads, **told}) + "\n")
        cells = [said(told.get(key)) for key in columns]
        print(f"| {' '.join(case)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
