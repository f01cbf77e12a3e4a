"""`gesso style`: a picture, or the frames of a film, painted in the manner of others."""

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
    from gesso.patch import Step

MOST = 8192  # pixels of the longer side


class StyleOptions(WorkOptions):
    """Paint a picture in the manner of others: their strokes and colours, its own forms.

    Several styles are mixed, or put on region by region. A folder of frames is painted so that nothing flickers.
    """

    content: Path = Field(description="The picture to paint, or a folder of frames.")
    style: tuple[Path, ...] = Field(min_length=1, max_length=16, description="One picture or several to learn from.")
    weight: tuple[float, ...] = Field(
        default=(), description="How much of the picture each style makes, in their order; equal if not given."
    )
    faithful: float = Field(default=0.7, ge=0, le=1, description="From abstract to faithful to the picture's forms.")
    stroke: float = Field(
        default=1.0, ge=0.25, le=4, description="Size of strokes; 1 as on a picture of 512 pixels, 2 twice that."
    )
    colours: Literal["style", "content"] = Field(default="style", description="Whose colours the picture gets.")
    mask: Path | None = Field(default=None, description="A picture, white where the style is put on.")
    keep: Path | None = Field(default=None, description="A picture, white where forms are kept above all, as faces.")
    regions: Path | None = Field(
        default=None,
        description="A picture of as many flat colours as styles, darkest for the first, region by region.",
    )
    size: int | None = Field(
        default=None,
        ge=64,
        le=MOST,
        description="Longer side of the new picture, in pixels; as the content if not given.",
    )
    network: Path | None = Field(
        default=None, description="A file of VGG-19's weights, where you have one: it then refines what was painted."
    )
    network_steps: int = Field(default=100, ge=1, le=10_000, description="Steps of that refinement.")


class Style(Task[StyleOptions]):
    """The task."""

    name = "style"
    Options = StyleOptions
    positional = ("content", "style")
    example = "gesso style photo.jpg painting.jpg --out painted.png"

    def run(self, options: StyleOptions, home: Path) -> Iterator[Event]:
        """Read, paint, write; the Result names the picture or the folder of frames."""
        from gesso.data.picture import open_picture
        from gesso.files import sha256_of
        from gesso.marks.work import target_of, write_work
        from gesso.patch import stylise, threads
        from gesso.tasks import working

        if options.content.expanduser().is_dir():
            yield from _film(options)
            return
        target = target_of(options.out, options.content, "style", options.style)
        opened = open_picture(options.content, "content")
        styles = [open_picture(path, "style") for path in options.style]
        yield from (Message(f"{one.path.name}: {note}.") for one in (opened, *styles) for note in one.notes)
        colours = _sized(opened.colours, options.size)
        yield from _memory(colours, styles)
        begun = time.monotonic()
        with threads(options.threads):
            choices = _choices(options, opened, colours)
            steps = stylise(colours, [one.colours for one in styles], seed=options.seed, **choices)
            painted = yield from working(steps, home, "style")
            if options.network is not None:
                painted = yield from working(_refined(options, painted, colours, styles), home, "style")
        if opened.alpha is not None:
            painted = _with_alpha(painted, _sized(opened.alpha[..., None], options.size))
        masks = [path.expanduser() for path in (options.mask, options.keep, options.regions) if path is not None]
        inputs = {one.path: one.sha256 for one in (opened, *styles)} | {path: sha256_of(path) for path in masks}
        if options.network is not None:
            inputs[options.network] = sha256_of(options.network.expanduser())
        write_work(
            target, painted, "style", inputs, options.model_dump(), seed=options.seed, quality=options.quality,
            recipe=options.recipe, dpi=opened.dpi,
        )  # fmt: skip
        yield Preview(target, "painted")
        names = " and ".join(one.path.name for one in styles)
        high, wide = painted.shape[:2]
        text = f"{target.name}: {opened.path.name} in the manner of {names}, {wide}×{high}."
        yield Result(text, (target,), {"width": wide, "height": high, "seconds": round(time.monotonic() - begun, 2)})


def _refined(
    options: StyleOptions, painted: "np.ndarray", content: "np.ndarray", styles: "list[Opened]"
) -> "Iterator[Step]":
    """What was painted, refined by a network that the user has."""
    from gesso.patch.colour import like_colours
    from gesso.patch.perceptual import read_vgg, refined

    assert options.network is not None
    seen = [one.colours for one in styles]
    if options.colours == "content":
        seen = [like_colours(one, content, options.seed) for one in seen]
    network = read_vgg(options.network)
    return refined(painted, content, seen, network, weights=options.weight, steps=options.network_steps)


def _choices(options: StyleOptions, opened: "Opened", colours: "np.ndarray") -> dict[str, Any]:
    """What `stylise` is told, with masks brought to the size of the picture."""
    import numpy as np

    from gesso.data.picture import open_mask
    from gesso.patch.pyramid import resized_mask

    high, wide = colours.shape[:2]
    out: dict[str, Any] = {
        "weights": options.weight, "faithful": options.faithful, "stroke": options.stroke, "colours": options.colours
    }  # fmt: skip
    for name in ("mask", "keep"):
        path = getattr(options, name)
        if path is not None:
            mask = resized_mask(open_mask(path, *opened.image.shape[:2]), high, wide, whole=False)
            if not mask.any():
                raise GessoError(f"The mask {path.name} is all black.", "White is where it is meant.")
            out[name] = mask if name == "mask" else mask.astype(np.float32)
    if options.regions is not None:
        out["regions"] = _regions(options.regions, opened.image.shape[:2], (high, wide), len(options.style))
    return out


def _regions(path: Path, own: tuple[int, ...], size: tuple[int, int], count: int) -> "np.ndarray":
    """Which style each pixel gets: the flat colours of a picture, from dark to light."""
    import cv2
    import numpy as np

    from gesso.data.picture import open_picture

    opened = open_picture(path, "picture of regions")
    if opened.image.shape[:2] != tuple(own):
        raise GessoError(
            f"The regions {path.name} are {opened.image.shape[1]}×{opened.image.shape[0]}.",
            f"Make them {own[1]}×{own[0]}, as the content.",
        )
    light = (opened.image[..., :3].astype(np.int64) @ np.array([299, 587, 114])) // 1000
    levels = np.unique(np.round(light / 8).astype(int))
    if len(levels) != count:
        raise GessoError(
            f"The regions {path.name} have {len(levels)} flat greys for {count} styles.",
            "Paint one grey a style, without soft edges, the darkest for the first.",
        )
    number = np.searchsorted(levels, np.round(light / 8).astype(int))
    return cv2.resize(number.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int64)


def _sized(picture: "np.ndarray", longer: int | None) -> "np.ndarray":
    """A picture with that longer side."""
    from gesso.patch.pyramid import resized

    if longer is None:
        return picture
    scale = longer / max(picture.shape[:2])
    return resized(picture, *(max(round(n * scale), 1) for n in picture.shape[:2])).clip(0, 1)


def _with_alpha(colours: "np.ndarray", alpha: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.concatenate([colours * alpha, alpha], axis=2)


def _memory(colours: "np.ndarray", styles: "list[Opened]") -> Iterator[Event]:
    """Say how much memory it takes where that is much; raise GessoError where there is not so much."""
    from gesso.memory import afford
    from gesso.patch import needed

    high, wide = colours.shape[:2]
    if max(high, wide) > MOST:
        raise GessoError(f"The content is {wide}×{high}; at most {MOST} a side are painted.", f"Give --size {MOST}.")
    taken = 0
    for one in styles:
        own = one.image.shape
        scale = min(min(high, wide), max(min(own[:2]), 512)) / min(own[:2])  # styles are not enlarged beyond that
        taken += round(own[0] * scale) * round(own[1] * scale)
    count = needed(taken, high * wide)
    said = afford(count, f"Painting {wide}×{high} pixels", "Give a smaller --size.")
    if count > 1 << 30:
        yield Message(f"{wide}×{high} pixels: about {said} of memory.")


def _film(options: StyleOptions) -> Iterator[Event]:
    """Every frame of a folder, in the order of their names, painted into another folder."""
    from gesso.data.picture import open_picture
    from gesso.data.reading import SUFFIXES
    from gesso.data.write import natural
    from gesso.marks.work import write_work
    from gesso.patch import stylise_frames, threads

    if options.network is not None:
        raise GessoError("A film is not refined by a network: its frames would flicker.", "Leave --network out.")
    folder = options.content.expanduser()
    frames = [path for path in folder.iterdir() if path.suffix.lower().lstrip(".") in SUFFIXES]
    frames.sort(key=lambda path: natural(path.name))
    if not frames:
        raise GessoError(f"There is no picture in {folder}.", "Name a folder of frames.")
    target = options.out.expanduser() if options.out else folder.with_name(f"{folder.name}-style")
    if target.exists() and (not target.is_dir() or target.samefile(folder)):
        raise GessoError(f"{target} cannot take the frames.", "Name another folder with --out.")
    styles = [open_picture(path, "style") for path in options.style]
    opened = open_picture(frames[0], "frame")
    yield from _memory(_sized(opened.colours, options.size), styles)
    begun, paths = time.monotonic(), list[Path]()
    digests: dict[str, str] = {}

    def read() -> "Iterator[np.ndarray]":
        for path in frames:
            one = open_picture(path, "frame")
            digests[path.name] = one.sha256
            if one.image.shape[:2] != opened.image.shape[:2]:
                raise GessoError(f"{path.name} has another size than {frames[0].name}.", "Give all frames one size.")
            yield _sized(one.colours, options.size)

    with threads(options.threads):
        choices = _choices(options, opened, _sized(opened.colours, options.size))
        made = stylise_frames(read(), [one.colours for one in styles], seed=options.seed, **choices)
        for done, (path, painted) in enumerate(zip(frames, made, strict=True), 1):
            inputs = {path: digests[path.name]} | {one.path: one.sha256 for one in styles}
            place = target / f"{path.stem}.png"
            write_work(place, painted, "style", inputs, options.model_dump(), seed=options.seed, recipe=options.recipe)
            paths.append(place)
            pace = (time.monotonic() - begun) / done
            yield Progress(done, len(frames), "frames", pace * (len(frames) - done))
    yield Preview(paths[-1], "the last frame")
    yield Result(f"{len(paths)} frames in {target}.", tuple(paths), {"frames": len(paths), "folder": str(target)})
