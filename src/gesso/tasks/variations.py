"""`gesso variations`: other pictures with the same things in them."""

import time
from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.contract.work import WorkOptions
from gesso.options import Field


class VariationsOptions(WorkOptions):
    """Make other pictures with the same things in them, arranged anew.

    Each has its own seed: the first has --seed, the others count on.
    """

    picture: Path = Field(description="The picture.")
    count: int = Field(default=8, ge=1, le=1000, description="How many.")
    different: float = Field(
        default=0.5, ge=0, le=1, description="How different: from details to the whole arrangement."
    )


class Variations(Task[VariationsOptions]):
    """The task."""

    name = "variations"
    Options = VariationsOptions
    positional = ("picture",)
    example = "gesso variations photo.jpg -n 8 --different 0.7"

    def run(self, options: VariationsOptions, home: Path) -> Iterator[Event]:
        """Read, make, write; the Result names the pictures."""
        from gesso.data.picture import open_picture
        from gesso.marks.work import target_of, write_work
        from gesso.memory import afford
        from gesso.patch import final, needed, threads, variation

        target = target_of(options.out, options.picture, "variation")
        opened = open_picture(options.picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        picture, begun, paths = opened.premultiplied, time.monotonic(), list[Path]()
        high, wide = picture.shape[:2]
        afford(needed(high * wide, high * wide, 8), f"A variation of {wide}×{high} pixels", "Make the picture smaller.")
        with threads(options.threads):
            for number in range(options.count):
                seed = options.seed + number
                made = final(variation(picture, different=options.different, seed=seed))
                place = target if options.count == 1 else target.with_stem(f"{target.stem}-{number + 1}")
                write_work(
                    place, made, "variations", {opened.path: opened.sha256}, options.model_dump() | {"count": 1},
                    seed=seed, quality=options.quality, recipe=options.recipe, dpi=opened.dpi,
                )  # fmt: skip
                paths.append(place)
                pace = (time.monotonic() - begun) / (number + 1)
                yield Progress(number + 1, options.count, "pictures", pace * (options.count - number - 1))
        yield Preview(paths[0], "the first")
        many = f"{len(paths)} variations of {opened.path.name}, seeds {options.seed} to {options.seed + len(paths) - 1}"
        what = many if len(paths) > 1 else f"A variation of {opened.path.name}, seed {options.seed}"
        yield Result(f"{what}: {paths[0].name}{' …' if len(paths) > 1 else ''}.", tuple(paths), {"count": len(paths)})
