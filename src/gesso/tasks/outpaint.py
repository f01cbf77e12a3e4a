"""`gesso outpaint`: a picture continued beyond its borders."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.contract.work import WorkOptions
from gesso.errors import GessoError
from gesso.options import Field

ACROSS = {"left": 0.0, "centre": 0.5, "right": 1.0}
DOWN = {"top": 0.0, "middle": 0.5, "bottom": 1.0}


class OutpaintOptions(WorkOptions):
    """Continue a picture beyond its borders.

    The given picture is in the new one, to the bit.
    """

    picture: Path = Field(description="The picture.")
    to: str = Field(description="Size of the new picture, as in 1920x1080.")
    across: Literal["left", "centre", "right"] = Field(default="centre", description="Where the given picture is.")
    down: Literal["top", "middle", "bottom"] = Field(default="middle", description="Where the given picture is.")
    at: str = Field(
        default="", description="Where it is instead, in pixels from the left and from the top, as in 120,40."
    )


class Outpaint(Task[OutpaintOptions]):
    """The task."""

    name = "outpaint"
    Options = OutpaintOptions
    positional = ("picture",)
    example = "gesso outpaint photo.jpg --to 1600x900"

    def run(self, options: OutpaintOptions, home: Path) -> Iterator[Event]:
        """Read, continue, write; the Result names the picture."""
        import numpy as np

        from gesso.data.picture import open_picture
        from gesso.marks.work import target_of, to_bytes, write_work
        from gesso.memory import afford
        from gesso.patch import needed, outpaint, threads
        from gesso.tasks import read_pixels, working

        target = target_of(options.out, options.picture, "outpaint")
        width, height = read_pixels(options.to, "--to")
        opened = open_picture(options.picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        high, wide = opened.image.shape[:2]
        if width < wide or height < high or (width, height) == (wide, high):
            raise GessoError(
                f"{opened.path.name} is {wide}×{high}: {width}×{height} does not go beyond it.",
                "Ask for a larger size; `gesso retarget` makes pictures smaller.",
            )
        afford(needed(high * wide, height * width), f"A picture of {width}×{height}", "Ask for a smaller size.")
        top, left = round((height - high) * DOWN[options.down]), round((width - wide) * ACROSS[options.across])
        if options.at:
            left, top = _place(options.at, width - wide, height - high)
        begun = time.monotonic()
        with threads(options.threads):
            picture = opened.image.astype(np.float32) / 255
            steps = outpaint(picture, height, width, top, left, seed=options.seed)
            made = to_bytes((yield from working(steps, home, "outpaint")))
        made[top : top + high, left : left + wide] = opened.image
        write_work(
            target, made, "outpaint", {opened.path: opened.sha256}, options.model_dump(), seed=options.seed,
            quality=options.quality, recipe=options.recipe, premultiplied=False, dpi=opened.dpi,
        )  # fmt: skip
        yield Preview(target, "continued")
        facts = {"top": top, "left": left, "seconds": round(time.monotonic() - begun, 2)}
        yield Result(f"{target.name}: {wide}×{high} continued to {width}×{height}.", (target,), facts)


def _place(text: str, right: int, low: int) -> tuple[int, int]:
    """Left and top from words like 120,40; raises GessoError where the picture would not be within the new one."""
    try:
        left, top = (int(word) for word in text.split(","))
    except ValueError:
        raise GessoError(f"--at {text} is no place.", "Write for example --at 120,40.") from None
    if not (0 <= left <= right and 0 <= top <= low):
        raise GessoError(f"At {text} the picture is not within the new one.", f"At most, --at is {right},{low}.")
    return left, top
