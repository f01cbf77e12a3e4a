"""A folder of your own pictures, to a generator of your own, to pictures with their recipes inside.

python examples/own_folder.py ~/Pictures/flowers --minutes 10
"""

import argparse
from pathlib import Path

import gesso
from gesso.contract.task import Message, Progress


def show(event: object) -> None:
    """What the command line shows, in the plainest way: a task is a stream of events."""
    if isinstance(event, Message):
        print(event.text)
    elif isinstance(event, Progress) and event.left is not None:
        print(f"\r{event.done:,.0f} of {event.total:,.0f} {event.unit}, {event.left:.0f} s left ", end="", flush=True)


def main(*words: str) -> list[Path]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--home", type=Path, default=None, help="Gesso's home folder")
    options = parser.parse_args(words or None)

    pack = gesso.run(
        "import", home=options.home, source=str(options.folder), name="mine", size="64", replace=True,
        creator="me", licence="all rights reserved", on_event=show,
    )  # fmt: skip
    trained = gesso.run("train", home=options.home, dataset=pack.facts["name"], minutes=options.minutes, on_event=show)
    model = gesso.load(trained.facts["run"], home=options.home)
    paths = model.sample(16, seed=7, truncation=0.8).save(trained.paths[0] / "drawn")
    print(f"\n{len(paths)} pictures in {paths[0].parent}; 'gesso sample --like {paths[0]}' makes the first again")
    return paths


if __name__ == "__main__":
    main()
