"""`gesso upscale`: a picture made larger."""

import re
from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options


class UpscaleOptions(Options):
    """Make a picture 2 to 8 times larger, without halos.

    Nothing is invented: made small again, the result is nearly the picture that was given. Transparency is kept.
    """

    picture: Path = Field(description="The picture.")
    factor: float = Field(default=2, ge=1, le=8, description="How many times wider and higher it becomes.")
    size: str = Field(
        default="", description="Instead of the factor: 1600x1200 pixels, or the width alone, as 1600; at most 8 times."
    )
    out: Path | None = Field(default=None, description="The new picture; NAME-large.png beside it if not given.")
    sharp: float = Field(default=0, ge=0, le=1, description="How much edges are sharpened; 0.3 is plenty.")
    recipe: bool = Field(default=True, description="Write into the picture how to make it again.")


class Upscale(Task[UpscaleOptions]):
    """The task."""

    name = "upscale"
    Options = UpscaleOptions
    positional = ("picture", "factor")
    example = "gesso upscale sketch.png 4"

    def run(self, options: UpscaleOptions, home: Path) -> Iterator[Event]:
        """Read, enlarge, write; the Result names the picture."""
        import numpy as np

        from gesso.data.picture import open_picture
        from gesso.marks.work import target_of, write_work
        from gesso.patch.upscale import shrunk, upscale

        target = target_of(options.out, options.picture, "large")
        opened = open_picture(options.picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        old_height, old_width = opened.image.shape[:2]
        height, width = _size(options, old_height, old_width)
        source = opened.image.astype(np.float32) / 255
        if source.shape[2] == 4:  # what is transparent has no colour that could shine through at edges
            source[..., :3] *= source[..., 3:]
        large = upscale(source, height, width, sharp=options.sharp)
        image = np.round(large * 255).astype(np.uint8)
        if image.shape[2] == 4:
            image[..., :3] = np.minimum(image[..., :3], image[..., 3:])
        write_work(
            target, image, "upscale", {opened.path: opened.sha256},
            {"picture": opened.path, "size": f"{width}x{height}", "sharp": options.sharp}, seed=0,
            source="algorithmicallyEnhanced",
            recipe=options.recipe, dpi=opened.dpi,
        )  # fmt: skip
        yield Preview(target, "the larger picture")
        again = shrunk(image.astype(np.float32) / 255, old_height, old_width)
        error = float(np.sqrt(np.square(again - source).mean())) * 255
        text = f"{target.name}: {width}×{height} pixels, from {old_width}×{old_height}."
        text += f" Made small again it differs from the given one by {error:.1f} of 255."
        yield Result(text, (target,), {"width": width, "height": height, "again": round(error, 3)})


def _size(options: UpscaleOptions, height: int, width: int) -> tuple[int, int]:
    """The height and width that are asked for; raises GessoError for a size that is none, too small or too large."""
    if not options.size:
        return round(height * options.factor), round(width * options.factor)
    found = re.fullmatch(r"\s*(\d{1,6})\s*(?:[x×]\s*(\d{1,6})\s*)?", options.size)
    if found is None:
        raise GessoError(f"'{options.size}' is no size.", "Write for example 1600x1200, or 1600 for the width alone.")
    wide = int(found[1])
    high = int(found[2]) if found[2] else round(height * wide / width)
    if high < height or wide < width:
        raise GessoError(f"{wide}×{high} is smaller than the picture, {width}×{height}.", "Ask for a larger size.")
    if high > 8 * height or wide > 8 * width:
        raise GessoError(f"{wide}×{high} is more than 8 times the picture's {width}×{height}.", "Ask for less.")
    return high, wide
