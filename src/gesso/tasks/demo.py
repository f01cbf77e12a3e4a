"""`gesso demo`: the whole way once, from pictures to a generator to a sheet of what it draws."""

from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

COLUMNS = 12  # of the sheet
NAME = "blossoms"


class DemoOptions(Options):
    """Make a generator from the built-in pictures and show what it draws.

    Paints a set of blossoms (or takes a folder of yours with --data), trains for a few minutes, and puts real
    pictures and generated ones on one sheet.
    """

    data: str = Field(default="", description="A folder or an archive of pictures of your own.")
    minutes: float = Field(default=4.5, gt=0, le=100_000, description="Minutes to train.")
    size: str = Field(default="32", description="Size of the pictures in pixels, such as 32 or 64x48.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="The seed of the run and of the first picture drawn.")
    device: str = Field(default="auto", description="Where to compute: auto, cpu, cuda or mps.")


class Demo(Task[DemoOptions]):
    """The task."""

    name = "demo"
    Options = DemoOptions
    example = "gesso demo"

    def run(self, options: DemoOptions, home: Path) -> Iterator[Event]:
        """Import, train, draw: each by its own task."""
        if options.data:
            source = {"source": options.data, "size": options.size}
            yield Message(f"1. Reading the pictures in {options.data} …")
        else:
            source = {"source": NAME, "name": f"{NAME}-{options.size}", "size": options.size}
            yield Message("1. Painting blossoms, the built-in pictures …")
        pack = yield from self._import(source, home)
        yield Message("2. Training a generator on them …")
        how = {"dataset": pack, "minutes": options.minutes, "seed": options.seed, "device": options.device}
        result = yield from _ask("train", how, home)
        yield Message("3. Drawing …")
        sheet = self._sheet(pack, result.facts["run"], options.seed, home)
        yield Preview(sheet, "real pictures above, generated ones below")
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

    def _sheet(self, pack_name: str, run_name: str, seed: int, home: Path) -> Path:
        """Two rows of real pictures above five of generated ones, each with its seed."""
        import numpy as np
        import torch

        from gesso.contract.family import Facts
        from gesso.data import open_pack
        from gesso.marks.picture import to_uint8, write_sheet
        from gesso.sample import draw
        from gesso.store import Run
        from gesso.tasks import load
        from gesso.train.batches import to_float

        torch.set_num_threads(1)
        model = load(run_name, home)
        pack = open_pack(pack_name, home)
        facts: Facts = model.family.facts
        some = np.linspace(0, pack.count - 1, 2 * COLUMNS).astype(int)
        real = list(to_uint8(to_float(pack.images[some], facts)))
        seeds = range(seed, seed + 5 * COLUMNS)
        made = [drawn.image for drawn in draw(model.family, seeds)]
        rows = [pictures[i : i + COLUMNS] for pictures in (real, made) for i in range(0, len(pictures), COLUMNS)]
        captions = ["Real", "", f"Generated, seeds {seeds[0]} to {seeds[-1]}", "", "", "", ""]
        path = Run.open(home, run_name).root / "sheet.png"
        return write_sheet(path, rows, captions=captions, source="compositeWithTrainedAlgorithmicMedia")


def _ask(name: str, options: dict, home: Path) -> Iterator[Event]:
    """Do another task, by its name in the table; returns its Result."""
    from gesso import tasks

    asked = tasks.task(name)
    for event in asked.run(asked.Options.of(options), home):
        if isinstance(event, Result):
            return event
        yield event
    raise GessoError(f"The task {name} ended without a result.")
