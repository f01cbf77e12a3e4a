"""`gesso retarget`: the same picture in another shape, with what matters unharmed."""

import time
from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.contract.work import WorkOptions
from gesso.errors import GessoError
from gesso.options import Field


class RetargetOptions(WorkOptions):
    """Bring a picture to another shape without cropping or squeezing what is in it.

    What a mask protects stays as it is. --move takes what a mask covers to another place, and closes the gap.
    """

    picture: Path = Field(description="The picture.")
    size: str | None = Field(default=None, description="Size of the new picture, as in 1080x1080.")
    protect: Path | None = Field(default=None, description="A picture of the same size, white where it must stay.")
    move: Path | None = Field(default=None, description="A picture of the same size, white where it is to be moved.")
    by: str = Field(default="", description="How far it is moved, right and down, in pixels, as in 120,-40.")


class Retarget(Task[RetargetOptions]):
    """The task."""

    name = "retarget"
    Options = RetargetOptions
    positional = ("picture",)
    example = "gesso retarget photo.jpg --size 1080x1080 --protect face.png"

    def run(self, options: RetargetOptions, home: Path) -> Iterator[Event]:
        """Read, make, write; the Result names the picture."""
        from gesso.data.picture import open_mask, open_picture
        from gesso.files import sha256_of
        from gesso.marks.work import target_of, write_work
        from gesso.memory import afford
        from gesso.patch import needed, reshuffle, retarget, threads
        from gesso.tasks import read_pixels, working

        masks = [path for path in (options.protect, options.move) if path is not None]
        target = target_of(options.out, options.picture, "retarget", masks)
        if options.size is None and options.move is None:
            raise GessoError(
                "Neither a new size nor what to move is given.", "Give --size 1080x1080, or --move and --by."
            )
        opened = open_picture(options.picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        picture, begun = opened.premultiplied, time.monotonic()
        high, wide = picture.shape[:2]
        width, height = (wide, high) if options.size is None else read_pixels(options.size)
        afford(needed(high * wide, height * width), f"A picture of {width}×{height}", "Ask for a smaller --size.")
        with threads(options.threads):
            if options.move is not None:
                moved = open_mask(options.move, high, wide)
                right, down = _by(options.by)
                steps = reshuffle(picture, moved, down, right, seed=options.seed)
                picture = yield from working(steps, home, "retarget")
            if options.size is not None:
                protect = None if options.protect is None else open_mask(options.protect, high, wide)
                steps = retarget(picture, height, width, protect=protect, seed=options.seed)
                picture = yield from working(steps, home, "retarget")
        masks = [path.expanduser() for path in (options.protect, options.move) if path is not None]
        inputs = {opened.path: opened.sha256, **{path: sha256_of(path) for path in masks}}
        write_work(
            target, picture, "retarget", inputs, options.model_dump(), seed=options.seed,
            quality=options.quality, recipe=options.recipe, dpi=opened.dpi,
        )  # fmt: skip
        yield Preview(target, "in its new shape")
        facts = {"width": width, "height": height, "seconds": round(time.monotonic() - begun, 2)}
        yield Result(f"{target.name}: {wide}×{high} brought to {width}×{height}.", (target,), facts)


def _by(text: str) -> tuple[int, int]:
    """Right and down from words like 120,-40."""
    parts = text.split(",")
    try:
        right, down = (int(part) for part in parts)
    except ValueError:
        raise GessoError(f"--by {text or '?'} is no way.", "Write --by 120,-40: right and down, in pixels.") from None
    return right, down
