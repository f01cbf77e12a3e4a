"""`gesso compose`: a scene of pictures, colour and text, in many formats at once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError, nearest
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.marks.recipe import Source, Work
    from gesso.scene.layers import Scene
    from gesso.scene.loading import Files
    from gesso.scene.rendering import Rendered

TOLD = 24_000  # characters of a scene that recipes carry; longer ones are named by their file's SHA-256
TRAINED = {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"}


class ComposeOptions(Options):
    """Compose pictures, colour and text into one scene, in many formats at once.

    A scene is a JSON file of layers (picture, generated, colour, text, sheet), each with its place, and of formats
    such as square, story, banner or a4. Sprite sheets come with an atlas that game engines read.
    """

    scene: Path = Field(description="The scene, a JSON file; the paths in it are seen from its folder.")
    out: Path | None = Field(
        default=None, description="Folder for the pictures; HOME/gallery and the scene's name if not given."
    )
    only: tuple[str, ...] = Field(default=(), description="Only these formats or variants; may be repeated.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of what is drawn anew: strokes, retargeting.")
    format: Literal["png", "jpg", "webp", "avif"] = Field(
        default="png", description="Kind of file, where the scene does not say."
    )
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Of jpg, webp, avif, where the scene does not say."
    )
    recipe: bool = Field(default=True, description="Write into each picture how to make it again.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where generated layers are drawn."
    )


class Compose(Task[ComposeOptions]):
    """The task."""

    name = "compose"
    Options = ComposeOptions
    positional = ("scene",)
    example = "gesso compose advert.json --out adverts"

    def run(self, options: ComposeOptions, home: Path) -> Iterator[Event]:
        """Read, render, write; the Result names the pictures and atlases."""
        import time

        from gesso.files import sha256_of
        from gesso.scene import Files, plans, read_scene, render
        from gesso.scene.rendering import Step

        scene = read_scene(options.scene)
        folder = options.out or home / "gallery" / options.scene.stem
        if folder.exists() and not folder.is_dir():
            raise GessoError(f"{folder} is a file; the pictures need a folder.", "Name a folder with --out.")
        files = Files(options.scene.expanduser().absolute().parent, _drawer(home, options.device))
        files.inputs[options.scene.name] = sha256_of(options.scene.expanduser())
        wanted = _wanted(options.only, [plan.name for plan in plans(scene, files)])
        paths, begun, facts = list[Path](), time.monotonic(), dict[str, Any]()
        for event in render(scene, files, options.seed, wanted):
            if isinstance(event, Step):
                if event.note:
                    yield Message(event.note, "warning" if event.warns else "info")
                left = (event.total - event.done) * (time.monotonic() - begun) / max(event.done, 1)
                yield Progress(event.done, event.total, "layers", left if event.done else None)
                continue
            written = _write(event, scene, files, options, folder)
            paths += written
            facts[event.plan.name] = {
                "path": str(written[0]), "width": event.image.shape[1], "height": event.image.shape[0],
            }  # fmt: skip
            yield Preview(written[0], event.plan.name)
        yield from (Message(note) for note in files.notes)
        yield Result(_words(facts, folder), tuple(paths), facts)


def _drawer(home: Path, device: str) -> Any:
    """What draws generated layers: a run, a seed and a label → h w c bytes; each run is loaded once."""
    models: dict[str, Any] = {}

    def draw(run: str, seed: int, label: str | None) -> "np.ndarray":
        from gesso import tasks
        from gesso.marks.picture import straight
        from gesso.sample import draw as drawn

        if run not in models:
            models[run] = tasks.load(run, home, device)
        return straight(next(iter(drawn(models[run].family, [seed], label))).image)

    return draw


def _wanted(only: tuple[str, ...], names: list[str]) -> tuple[str, ...]:
    """The names of the pictures that are asked for: whole names, or those of a variant or a format."""
    out: list[str] = []
    for word in only:
        found = [name for name in names if name == word or name.startswith(f"{word}-") or name.endswith(f"-{word}")]
        if not found:
            raise GessoError(f"The scene has no format '{word}'.", nearest(word, names))
        out += found
    return tuple(out)


def _write(one: "Rendered", scene: "Scene", files: "Files", options: ComposeOptions, folder: Path) -> list[Path]:
    """Write a picture and, where sheets are in it, its atlas; returns their paths."""
    from gesso.files import write_json
    from gesso.marks.picture import write_picture
    from gesso.scene.sprites import atlas

    form = one.plan.format
    suffix, quality = form.file or options.format, form.quality or options.quality
    high, wide = one.image.shape[:2]
    most = {"jpg": 65_535, "webp": 16_383, "avif": 65_535}.get(suffix)
    if most is not None and max(high, wide) > most:
        raise GessoError(
            f"'{one.plan.name}' is {wide:,}×{high:,} pixels; {suffix} holds {most:,} a side.", "Choose png for it."
        )
    target = folder / f"{one.plan.name}.{suffix}"
    recipe = _recipe(one, scene, files, options)
    write_picture(
        target, one.image, recipe, tell=options.recipe, source=_source(scene, files), quality=quality,
        premultiplied=False, dpi=one.dpi, parents=[files.folder / name for name in files.inputs],
    )  # fmt: skip
    if not one.frames:
        return [target]
    table = target.with_suffix(".json")
    write_json(table, atlas(one.frames, target.name, wide, high))
    return [target, table]


def _recipe(one: "Rendered", scene: "Scene", files: "Files", options: ComposeOptions) -> "Work":
    from gesso import __version__
    from gesso.marks.recipe import Work
    from gesso.scene.reading import as_plain

    plain: dict[str, Any] = {"scene": as_plain(scene), "made": one.plan.name}
    if len(json.dumps([plain, files.inputs])) > TOLD:
        plain = {"scene": options.scene.name, "made": one.plan.name}
    inputs = (
        dict(files.inputs)
        if len(json.dumps(files.inputs)) < TOLD
        else {options.scene.name: files.inputs[options.scene.name]}
    )
    return Work(
        gesso=__version__, task="compose", inputs=inputs, options=plain, seed=options.seed,
        width=one.image.shape[1], height=one.image.shape[0],
    )  # fmt: skip


def _source(scene: "Scene", files: "Files") -> "Source | None":
    """The mark: models took part; or pixels were made that nobody gave; or neither."""
    from gesso.scene.layers import GeneratedLayer
    from gesso.scene.reading import changed

    sets = [form.layers for form in scene.formats.values()] or [{}]
    layers = [
        layer
        for variant in (scene.variants or {"": {}}).values()
        for change in sets
        for layer in changed(scene, variant, change)
    ]
    if files.sources & TRAINED or any(isinstance(layer, GeneratedLayer) for layer in layers):
        return "compositeWithTrainedAlgorithmicMedia"
    made = any(
        layer.blend == "seamless" or getattr(layer, "stroke", 0) or getattr(layer, "fit", "") == "retarget"
        for layer in layers
    )
    return "composite" if made or "composite" in files.sources else None


def _words(facts: dict[str, Any], folder: Path) -> str:
    shapes = ", ".join(f"{name} {one['width']}×{one['height']}" for name, one in list(facts.items())[:6])
    more = f" and {len(facts) - 6} more" if len(facts) > 6 else ""
    return f"{'One picture' if len(facts) == 1 else f'{len(facts)} pictures'} in {folder}: {shapes}{more}."
