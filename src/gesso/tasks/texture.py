"""`gesso texture`: material of any size from a sample; seamless tiles, Wang tiles, panoramas, maps."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.contract.work import WorkOptions
from gesso.errors import GessoError
from gesso.options import Field

if TYPE_CHECKING:
    import numpy as np

    from gesso.data.picture import Opened

GRID = 4  # Wang tiles in a row of their sheet


class TextureOptions(WorkOptions):
    """Make material of any size from a sample: seamless where wished, with maps for game engines.

    --tile makes a picture that can be laid beside itself; --wang sixteen that can be laid in any order without
    repeating; --panorama a 360° picture whose poles are whole.
    """

    sample: Path = Field(description="The sample, a picture of the material.")
    size: str = Field(default="1024x1024", description="Size of the new picture, as in 2048x1024; of one Wang tile.")
    tile: bool = Field(default=False, description="Seamless from side to side and from top to bottom.")
    wrap: Literal["none", "x", "y", "both"] = Field(default="none", description="Sides that are seamless.")
    turns: bool = Field(default=False, description="Use quarter turns and mirrored pieces, too.")
    keep: bool = Field(default=False, description="Keep the sample as it is and mend its borders only.")
    wang: bool = Field(default=False, description="Make a set of sixteen Wang tiles, with a sheet and a JSON of them.")
    panorama: bool = Field(default=False, description="Make a 360° panorama, equirectangular: twice as wide as high.")
    maps: bool = Field(default=False, description="Write height and normal maps beside it, guessed from light.")
    map: tuple[Path, ...] = Field(
        default=(), max_length=4, description="A map of the sample (height, normal, …) that is made along with it."
    )
    relief: float = Field(default=4.0, gt=0, le=64, description="How strong the relief of the normal map is.")


class Texture(Task[TextureOptions]):
    """The task."""

    name = "texture"
    Options = TextureOptions
    positional = ("sample",)
    example = "gesso texture bricks.jpg --size 1024 --tile --maps"

    def run(self, options: TextureOptions, home: Path) -> Iterator[Event]:
        """Read, make, write; the Result names the picture and its maps."""
        import numpy as np

        from gesso.data.picture import open_picture
        from gesso.marks.work import target_of
        from gesso.memory import afford
        from gesso.patch import needed, panorama, synthesise_texture, threads
        from gesso.tasks import read_pixels, working

        target = target_of(options.out, options.sample, "texture", options.map)
        width, height = read_pixels(options.size)
        if options.panorama and width != 2 * height:
            raise GessoError(
                f"A panorama is twice as wide as high, not {width}×{height}.", f"Ask for {2 * height}x{height}."
            )
        opened = open_picture(options.sample, "sample")
        maps = [open_picture(path, "map") for path in options.map]
        yield from (Message(f"{one.path.name}: {note}.") for one in (opened, *maps) for note in one.notes)
        sample = _stacked(opened, maps)
        high, wide = sample.shape[:2]
        taken = needed(high * wide * (8 if options.turns else 1), height * width, sample.shape[2])
        said = afford(taken, f"A texture of {width}×{height}", "Ask for a smaller --size.")
        if taken > 1 << 30:
            yield Message(f"{width}×{height} pixels: about {said} of memory.")
        begun = time.monotonic()
        wrap = ("y" in options.wrap or options.tile or options.wrap == "both",
                "x" in options.wrap or options.tile or options.wrap == "both")  # fmt: skip
        with threads(options.threads):
            if options.wang:
                yield from _wang(options, opened, maps, sample, target, width)
                return
            if options.panorama:
                wrap = (False, True)
                steps = panorama(sample, height, turns=options.turns, seed=options.seed)
            else:
                steps = synthesise_texture(
                    sample, height, width, wrap=wrap, turns=options.turns, keep=options.keep, seed=options.seed
                )
            made = yield from working(steps, home, "texture")
        paths = _write(options, opened, maps, np.asarray(made), target, wrap)
        yield Preview(paths[0], "made")
        sides = {(True, True): "all sides seamless", (False, True): "seamless in x", (True, False): "seamless in y"}
        text = f"{target.name}: {width}×{height}, {sides.get(wrap, 'not seamless')}."
        yield Result(text, tuple(paths), {"seconds": round(time.monotonic() - begun, 2)})


def _stacked(opened: "Opened", maps: "list[Opened]") -> "np.ndarray":
    """The sample and its maps as channels of one picture."""
    import numpy as np

    for one in maps:
        if one.image.shape[:2] != opened.image.shape[:2]:
            raise GessoError(
                f"The map {one.path.name} is {one.image.shape[1]}×{one.image.shape[0]}, "
                f"the sample {opened.image.shape[1]}×{opened.image.shape[0]}.",
                "Give maps of the sample's size.",
            )
    return np.concatenate([opened.premultiplied, *(one.colours for one in maps)], axis=2)


def _write(
    options: TextureOptions, opened: "Opened", maps: "list[Opened]", made: "np.ndarray", target: Path,
    wrap: tuple[bool, bool],
) -> list[Path]:  # fmt: skip
    """The picture, the maps that were made along, and those guessed; returns their paths."""
    from gesso.marks.work import write_work
    from gesso.patch import height_map, normal_map

    own = opened.image.shape[2]
    pieces = [(target, made[..., :own])]
    for i, one in enumerate(maps):
        pieces.append((target.with_stem(f"{target.stem}-{one.path.stem}"), made[..., own + 3 * i : own + 3 * i + 3]))
    if options.maps:
        heights = height_map(made[..., :3], wrap)
        pieces.append((target.with_stem(f"{target.stem}-height"), heights[..., None]))
        pieces.append((target.with_stem(f"{target.stem}-normal"), normal_map(heights, options.relief, wrap)))
    inputs = {one.path: one.sha256 for one in (opened, *maps)}
    for path, picture in pieces:
        write_work(
            path, picture, "texture", inputs, options.model_dump(), seed=options.seed, quality=options.quality,
            recipe=options.recipe,
        )  # fmt: skip
    return [path for path, _ in pieces]


def _wang(
    options: TextureOptions, opened: "Opened", maps: "list[Opened]", sample: "np.ndarray", target: Path, side: int
) -> Iterator[Event]:
    """Sixteen tiles, one sheet of them and which edges each has."""
    import numpy as np

    from gesso.files import write_json
    from gesso.patch import wang_tiles

    begun, tiles = time.monotonic(), dict[tuple[int, int, int, int], Any]()
    for edges, tile in wang_tiles(sample, side, options.seed):
        tiles[edges] = tile
        pace = (time.monotonic() - begun) / len(tiles)
        yield Progress(len(tiles), 16, "tiles", pace * (16 - len(tiles)))
    pictures = list(tiles.values())
    sheet = np.concatenate([np.concatenate(pictures[i : i + GRID], axis=1) for i in range(0, 16, GRID)])
    paths = _write(options, opened, maps, sheet, target, (False, False))
    words = ("north", "east", "south", "west")
    listed = [
        {"x": i % GRID * side, "y": i // GRID * side, **dict(zip(words, edges, strict=True))}
        for i, edges in enumerate(tiles)
    ]
    table = target.with_suffix(".json")
    write_json(table, {"image": target.name, "side": side, "tiles": listed})
    yield Preview(target, "sixteen tiles")
    yield Result(
        f"{target.name}: sixteen Wang tiles of {side} pixels; their edges are in {table.name}.",
        (*paths, table),
        {"tiles": listed},
    )
