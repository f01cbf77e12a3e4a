"""`gesso inpaint`: what a mask covers, made of what is around it."""

import time
from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.contract.work import WorkOptions
from gesso.options import Field


class InpaintOptions(WorkOptions):
    """Fill what a mask covers with what is around it: objects removed, holes closed.

    Every pixel outside the mask stays as it is, to the bit. Several candidates are written best first.
    """

    picture: Path = Field(description="The picture.")
    mask: Path = Field(description="A picture of the same size, white where it is to be filled.")
    count: int = Field(default=1, ge=1, le=16, description="How many candidates that really differ.")
    grow: int = Field(default=0, ge=0, le=64, description="Fill so many pixels around the mask, too.")


class Inpaint(Task[InpaintOptions]):
    """The task."""

    name = "inpaint"
    Options = InpaintOptions
    positional = ("picture",)
    example = "gesso inpaint photo.jpg --mask mask.png -n 4"

    def run(self, options: InpaintOptions, home: Path) -> Iterator[Event]:
        """Read, fill, write; the Result names the pictures, best first."""
        import cv2
        import numpy as np

        from gesso.data.picture import open_mask, open_picture
        from gesso.files import sha256_of
        from gesso.marks.work import target_of, to_bytes, write_work
        from gesso.memory import afford
        from gesso.patch import candidates, needed, threads
        from gesso.patch.heal import check_hole

        target = target_of(options.out, options.picture, "inpaint", [options.mask])
        opened = open_picture(options.picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        hole = open_mask(options.mask, *opened.image.shape[:2])
        if options.grow:
            hole = cv2.dilate(hole.astype(np.uint8), np.ones((2 * options.grow + 1,) * 2, np.uint8)) > 0
        check_hole(hole)
        high, wide = hole.shape
        afford(needed(high * wide, high * wide), f"Filling {wide}×{high} pixels", "Make the picture smaller.")
        begun, found = time.monotonic(), []
        with threads(options.threads):
            for step in candidates(opened.image.astype(np.float32) / 255, hole, options.count, options.seed):
                found.append(step)
                left = (time.monotonic() - begun) / len(found) * (options.count - len(found))
                yield Progress(len(found), options.count, "candidates", left)
        found.sort(key=lambda step: step.energy)
        inputs = {opened.path: opened.sha256, options.mask: sha256_of(options.mask.expanduser())}
        paths = []
        for number, step in enumerate(found, 1):
            image = np.where(hole[..., None], to_bytes(step.picture), opened.image)
            place = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
            write_work(
                place, image, "inpaint", inputs, options.model_dump(), seed=options.seed, quality=options.quality,
                recipe=options.recipe, premultiplied=False, dpi=opened.dpi,
            )  # fmt: skip
            paths.append(place)
        yield Preview(paths[0], "the best")
        share = float(hole.mean())
        more = f" {len(paths) - 1} other candidates beside it." if len(paths) > 1 else ""
        yield Result(
            f"{target.name}: {share:.1%} of {opened.path.name} filled.{more}", tuple(paths),
            {"filled": round(share, 4), "energies": [round(step.energy, 6) for step in found]},
        )  # fmt: skip
