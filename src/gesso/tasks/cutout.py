"""`gesso cutout`: an object off its plain background."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from gesso.contract.task import Event, Message, Preview, Result, Task
from gesso.errors import GessoError
from gesso.options import Field
from gesso.scene.choices import CutOptions


class CutoutOptions(CutOptions):
    """Take an object off its plain background, with a soft edge and no halo.

    The background may be gently shaded, but must surround the object: it is told from the border.
    """

    picture: Path = Field(description="The picture.")
    out: Path | None = Field(
        default=None, description="The new picture, png, webp or avif; NAME-cutout.png beside it if not given."
    )
    recipe: bool = Field(default=True, description="Write into the picture how to make it again.")


class Cutout(Task[CutoutOptions]):
    """The task."""

    name = "cutout"
    Options = CutoutOptions
    positional = ("picture",)
    example = "gesso cutout mug.jpg --out mug.png --holes"

    def run(self, options: CutoutOptions, home: Path) -> Iterator[Event]:
        """Read, cut, write; the Result names the picture."""
        from gesso import __version__
        from gesso.data.picture import open_picture
        from gesso.marks.picture import write_picture
        from gesso.marks.recipe import Source, Work, read_source
        from gesso.marks.work import target_of
        from gesso.scene.cutout import cut_out

        target = target_of(options.out, options.picture, "cutout")
        if target.suffix.lower() in (".jpg", ".jpeg"):
            raise GessoError(f"{target.name} cannot be transparent: it is a JPEG.", "Name a .png, .webp or .avif file.")
        opened = open_picture(options.picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        chosen = CutOptions.of({name: getattr(options, name) for name in CutOptions.model_fields})
        cut = cut_out(opened.image, chosen, opened.path.name)
        high, wide = cut.image.shape[:2]
        recipe = Work(
            gesso=__version__, task="cutout", inputs={opened.path.name: opened.sha256}, options=chosen.model_dump(),
            seed=0, width=wide, height=high,
        )  # fmt: skip
        source = read_source(opened.path) if opened.kind in ("PNG", "JPEG", "WEBP", "AVIF") else None
        write_picture(
            target, cut.image, recipe, tell=options.recipe, source=cast("Source | None", source),
            premultiplied=False, dpi=opened.dpi, parents=[opened.path],
        )  # fmt: skip
        yield Preview(target, "the object")
        seen = float((cut.image[..., 3] > 127).sum()) / (opened.image.shape[0] * opened.image.shape[1])
        facts = {"seen": round(seen, 4), "border_spread": round(cut.spread, 2), "border_share": round(cut.share, 3)}
        text = f"{target.name}: {wide}×{high} pixels, {seen:.0%} of {opened.path.name}."
        yield Result(text, (target,), {**facts, "left": cut.left, "top": cut.top})
