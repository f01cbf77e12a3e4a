"""Whether each rule of health warns of a training that was built to fail in its way, and leaves healthy ones alone.

    python -m bench.health [--only NAME ...] [--on] [--cost]

Every run is the product's own `gesso train`, for two minutes on one thread at most. A broken one ends with the warning
it was built for, or with the two minutes; a healthy one goes all the way. With --on the broken ones do, too.
"""

import argparse
import shutil
import time
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import gesso
from bench.data import OUT, available, load
from gesso import tasks
from gesso.contract.task import Message
from gesso.errors import GessoError
from gesso.store import Run

HOME = OUT / "home"
MINUTES = 2.0


class Case(NamedTuple):
    """A run: the rule that it is to set off, "" for none; its data; what is chosen for it."""

    rule: str
    data: str
    family: str = "gan"
    choices: tuple[str, ...] = ()
    preset: str | None = None


def cases() -> dict[str, Case]:
    main, last = (f"{available()[i]}-32" for i in (0, -1))
    return {
        "gan": Case("", main),
        "gan, blossoms": Case("", "blossoms-32"),
        "vae": Case("", main, "vae"),
        "critic too strong": Case(
            "critic too strong", main, choices=("loss=minimax", "norm=none", "critic_lr=2e-3", "lr=1e-5")
        ),
        "critic too weak": Case("critic too weak", main, choices=("critic_lr=1e-7",)),
        "frozen": Case("frozen", main, choices=("lr=1e-9",)),
        "diverging": Case("diverging", main, choices=("loss=non-saturating", "norm=none", "critic_lr=0.3")),
        "few kinds": Case("few kinds", main, choices=("latent=1",)),
        "posterior collapse": Case("posterior collapse", main, "vae", ("beta=200",)),
        "flat": Case("flat", last, "vae", ("beta=200",)),
        "off colour": Case("off colour", last, "vae", ("beta=200",)),
        "copies": Case("copies", "eight-32", preset=""),
        "augmentation": Case(
            "augmentation at its limit",
            "eight-32",
            choices=("lr=1e-5", "width=8", "critic_width=16"),
            preset="adaptive",
        ),
    }


def prepare() -> None:
    """The data sets, imported once."""
    for name in {*available(), "blossoms"}:
        load(name)
    if not (HOME / "datasets" / "eight-32").exists():  # too few to learn anything but them
        folder = OUT / "eight"
        folder.mkdir(parents=True, exist_ok=True)
        images = load(available()[-1])[0]
        for i in np.random.default_rng(0).permutation(len(images))[:8]:
            Image.fromarray(images[i]).save(folder / f"{i}.png")
        gesso.run("import", home=HOME, source=str(folder), name="eight-32", channels="rgb")


def go(case: Case, on: bool) -> dict[str, Any]:
    """One run, and what was said in it."""
    task, begun = tasks.task("train"), None
    options = task.Options.of(
        {"dataset": case.data, "family": case.family, "minutes": MINUTES, "threads": 1, "set": case.choices,
         "preset": case.preset}
    )  # fmt: skip
    said: list[dict[str, Any]] = []
    events = task.run(options, HOME)
    root = None
    try:
        for event in events:
            now = time.monotonic()
            if root is None and (HOME / "runs").exists() and isinstance(event, Message) and "to show" in event.text:
                root, begun = event.text.split()[1].rstrip(":"), now
            warnings = Run.open(HOME, root).record.get("warnings", []) if root and isinstance(event, Message) else []
            for warning in warnings[len(said) :]:
                said.append({"rule": warning["rule"], "seconds": now - (begun or now), **warning})
                print(f"    {now - (begun or now):5.1f} s  {warning['rule']}: {warning['text']}", flush=True)
            if not on and case.rule and any(one["rule"] == case.rule for one in said):
                break
    except GessoError as error:
        print(f"    {error}")
    finally:
        events.close()
    assert root is not None
    log = Run.open(HOME, root).read_log()
    shutil.copy(
        HOME / "runs" / root / "log.jsonl", OUT / f"health-{case.rule or 'healthy'}-{case.data}-{case.family}.jsonl"
    )
    return {
        "rule": case.rule,
        "data": case.data,
        "family": case.family,
        "choices": case.choices,
        "said": said,
        "seconds": time.monotonic() - (begun or 0),
        "seen": log[-1]["seen"] if log else 0,
    }


def cost(images: int = 40_000) -> None:
    """CPU seconds of the same training with the watch and without, turn about."""
    for turn in range(2):
        for watch in (True, False):
            begun = time.process_time()
            gesso.run("train", home=HOME, dataset=f"{available()[0]}-32", images=str(images), threads=1, watch=watch)
            print(f"turn {turn}, {'with' if watch else 'without'}: {time.process_time() - begun:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--on", action="store_true")
    parser.add_argument("--cost", action="store_true", help="measure what watching costs instead")
    options = parser.parse_args()
    prepare()
    if options.cost:
        cost()
        return
    for name, case in cases().items():
        if options.only and name not in options.only:
            continue
        print(name, flush=True)
        found = go(case, options.on)
        print(f"  {found['seconds']:.0f} s, {found['seen']:,} pictures")


if __name__ == "__main__":
    main()
