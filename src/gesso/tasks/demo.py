"""`gesso demo`: the whole way once, from pictures to a generator to a sheet of its drafts and what they become."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

COLUMNS, ROWS = 12, 3  # of the sheet
COUNT = 1600  # blossoms that are painted
NAME = "blossoms"


class DemoOptions(Options):
    """Make a generator from the built-in pictures and show what it draws.

    Paints a set of blossoms (or takes a folder of yours with --data), trains a small generator for a few minutes,
    finishes its drafts with patches of the collection, and puts all on one sheet.
    """

    data: str = Field(default="", description="A folder or an archive of pictures of your own.")
    minutes: float = Field(default=4, gt=0, le=100_000, description="Minutes to train.")
    size: str = Field(default="128", description="Size of the pictures in pixels, such as 128 or 128x96.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="The seed of the run and of the first picture drawn.")
    device: str = Field(default="auto", description="Where to compute: auto, cpu, cuda or mps.")


class Demo(Task[DemoOptions]):
    """The task."""

    name = "demo"
    Options = DemoOptions
    example = "gesso demo"
    pace = "hours"

    def run(self, options: DemoOptions, home: Path) -> Iterator[Event]:
        """Import, train, draw: each by its own task."""
        if options.data:
            source = {"source": options.data, "size": options.size}
            yield Message(f"1. Reading the pictures in {options.data} …")
        else:
            source = {"source": NAME, "name": f"{NAME}-{options.size}", "size": options.size, "count": COUNT}
            yield Message("1. Painting blossoms, the built-in pictures …")
        pack = yield from self._import(source, home)
        yield Message("2. Training a generator on them …")
        how = {"dataset": pack, "minutes": options.minutes, "seed": options.seed, "device": options.device}
        result = yield from _ask("train", how, home)
        yield Message("3. Drawing …")
        sheet = yield from self._sheet(pack, result.facts["run"], options.seed, home)
        yield Preview(sheet, "real pictures, drafts, and what they become")
        number = result.facts["number"]
        yield Result(
            f"Your generator is run {number}; what it draws: {sheet}\n"
            f"Next: draw more with 'gesso sample {number} -n 16 --seed 100', or make one of your own pictures with\n"
            "'gesso import FOLDER --name mine' and 'gesso train mine --minutes 15'.",
            paths=(sheet,),
            facts=result.facts,
        )

    def _import(self, source: dict, home: Path) -> Iterator[Event]:
        """The name of the data set; one that an earlier demo made is used again."""
        from gesso.data import pack_names

        name = source.get("name")
        if name in pack_names(home):
            yield Message(f"The data set '{name}' is already there.")
            return name
        result = yield from _ask("import", source, home)
        return result.facts["name"]

    def _sheet(self, pack_name: str, run_name: str, seed: int, home: Path) -> "Generator[Event, None, Path]":
        """Real pictures, rows of drafts, and under each row what the drafts become, where that makes them larger."""
        import numpy as np
        import torch

        from gesso import tasks
        from gesso.contract.family import Facts
        from gesso.contract.finishing import FinishChoices
        from gesso.data import open_pack
        from gesso.marks.picture import write_sheet
        from gesso.marks.work import to_bytes
        from gesso.sample import draw
        from gesso.store import Run

        torch.set_num_threads(1)
        model = tasks.load(run_name, home)
        pack = open_pack(pack_name, home)
        facts: Facts = model.family.facts
        real = list(pack.images[np.linspace(0, pack.count - 1, COLUMNS).astype(int)])
        seeds = range(seed, seed + ROWS * COLUMNS)
        drafts = [drawn.image for drawn in draw(model.family, seeds)]
        rows, captions = [real], ["Real"]
        larger = pack.height > facts.height or pack.width > facts.width
        collection = (yield from tasks.collection(pack)) if larger else None
        for start in range(0, len(drafts), COLUMNS):
            some = drafts[start : start + COLUMNS]
            rows.append(some)
            captions.append(
                "" if start else f"Drafts, {facts.width} by {facts.height} pixels, seeds {seeds[0]} to {seeds[-1]}"
            )
            if collection is None:
                continue
            size, finished = (pack.height, pack.width), []
            for draft in some:
                *_, last = collection.finish(
                    draft.astype(np.float32) / 255, *size, collection.manner(FinishChoices(), *size)
                )
                finished.append(to_bytes(last.picture))
                yield Progress(start + len(finished), len(drafts), "pictures finished")
            rows[-1] = [enlarged(draft, *size) for draft in some]
            rows.append(finished)
            captions.append("" if start else f"What they become with patches of '{pack.name}'")
        path = Run.open(home, run_name).root / "sheet.png"
        return write_sheet(path, rows, captions=captions, source="compositeWithTrainedAlgorithmicMedia")


def enlarged(image: "np.ndarray", height: int, width: int) -> "np.ndarray":
    """A draft as large as what it becomes, its pixels as they are."""
    import numpy as np

    rows, columns = (np.arange(n) * m // n for n, m in zip((height, width), image.shape[:2], strict=True))
    return image[rows][:, columns]


def _ask(name: str, options: dict, home: Path) -> Iterator[Event]:
    """Do another task, by its name in the table; returns its Result."""
    from gesso import tasks

    asked = tasks.task(name)
    for event in asked.run(asked.Options.of(options), home):
        if isinstance(event, Result):
            return event
        yield event
    raise GessoError(f"The task {name} ended without a result.")
