"""`gesso restore`: damage found and healed, tone corrected in part, and all of it told.

With a run, its model draws what is missing, as the pictures of its collection are: several candidates of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gesso.contract.task import Event, Message, Preview, Progress, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

if TYPE_CHECKING:
    import numpy as np

    from gesso.data.picture import Opened

LOSSY = (".jpg", ".jpeg", ".avif")
CELL = 720  # pixels: the longer side of a picture on the sheet
MODEL = ("run", "do", "count", "label", "text", "set")  # choices of what a run's model draws
DETAILS = 3  # places that the sheet shows enlarged
MEANT = {
    "scratches": "scratches", "cracks": "cracks", "dust": "dust and spots", "holes": "holes and tears",
    "stains": "stains",
}  # fmt: skip


class RestoreOptions(Options):
    """Find and heal scratches, cracks, dust and holes in a picture; correct noise, fading and yellowing in part.

    Cracks and stains are looked for when they are named: much that belongs to pictures looks like them. Beside the new
    picture come the mask of what was healed (white; change it and give it back with --mask), a sheet of before and
    after, and a report. What is not damaged for certain is left alone: look at the mask.

    With a run before the picture (gesso restore RUN PICTURE), a model of the collection that the picture is of draws
    candidates: of what a mask covers or was found damaged, or of the picture without noise, in colour, or larger.
    """

    run: str = Field(default="", description="A run of the family flow, vae or tokens, whose model restores.")
    picture: Path | None = Field(default=None, description="The picture.")
    do: Literal["fill", "denoise", "colourise", "enlarge"] = Field(
        default="fill", description="What the run's model does: fill what is masked or damaged, or one of the others."
    )
    count: int = Field(default=4, ge=1, le=1000, description="Candidates that the run's model draws.")
    label: str | None = Field(default=None, description="What it shows, where the run's model knows labels.")
    text: str | None = Field(default=None, description="What it shows, where the run's model knows texts.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of the run's model's drawing, name=value, such as steps=80; may be repeated."
    )
    out: Path | None = Field(default=None, description="The new picture; NAME-restored.png beside it if not given.")
    mask: Path | None = Field(
        default=None, description="What to heal, white on black, of the picture's size; found if not given."
    )
    find: str = Field(
        default="scratches,dust,holes",
        description="Kinds of damage to look for, with commas: scratches, cracks, dust, holes, stains; or none.",
    )
    sensitivity: float = Field(
        default=0.5, ge=0, le=1, description="How readily damage is seen: 0 almost never, 1 far too often."
    )
    conserve: bool = Field(
        default=False, description="Leave every pixel outside the mask as it is, to the bit; implies --no-tone."
    )
    tone: bool = Field(default=True, description="Correct noise, fading and yellowing where they are found.")
    noise: float = Field(default=0.5, ge=0, le=1, description="Share of the noise that is taken away; 0 for none.")
    fading: float = Field(default=0.7, ge=0, le=1, description="Share of lost contrast that is given back; 0 for none.")
    yellowing: float = Field(default=0.6, ge=0, le=1, description="Share of a yellow cast that is taken back; 0: none.")
    look: bool = Field(default=False, description="Only look: write the mask and the report, and change nothing.")
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of what is filled in.")
    recipe: bool = Field(default=True, description="Write into the picture how to make it again.")


class _Found(NamedTuple):
    """What is healed, what is lightened, and the figures of both."""

    mask: "np.ndarray"
    stains: "np.ndarray"
    figures: dict[str, dict[str, Any]]


class Restore(Task[RestoreOptions]):
    """The task."""

    name = "restore"
    Options = RestoreOptions
    positional = ("run", "picture")
    example = "gesso restore portrait.jpg --find scratches,dust --conserve"

    def run(self, options: RestoreOptions, home: Path) -> Iterator[Event]:
        """Find, heal, correct, write; the Result is the report in sentences, its facts are its figures."""
        import numpy as np

        from gesso.data.picture import open_picture
        from gesso.files import write_json
        from gesso.marks.picture import write_picture
        from gesso.marks.work import mark_of, target_of, write_work

        if options.picture is not None and options.run:
            yield from _by_model(options, options.picture, home)
            return
        picture = _without_model(options)
        target = target_of(options.out, picture, "restored", [options.mask] if options.mask else [])
        if options.conserve and target.suffix.lower() in LOSSY:
            raise GessoError(
                f"{target.name} cannot keep every pixel as it is: that format is lossy.",
                "Name a .png or .webp file, or leave out --conserve.",
            )
        opened = open_picture(picture)
        yield from (Message(f"{opened.path.name}: {note}.") for note in opened.notes)
        yield Message("Looking for damage …" if options.mask is None else f"The mask is {options.mask.name}.")
        found = _found(options, opened)
        paths = {kind: target.with_name(f"{target.stem}.{kind}") for kind in ("mask.png", "before-after.png")}
        report = target.with_name(f"{target.stem}.report.json")
        written: list[Path] = []
        if options.mask is None:
            shown = np.where(found.mask, np.uint8(255), np.uint8(0))[..., None]
            written.append(write_picture(paths["mask.png"], shown, source=None))
            yield Preview(paths["mask.png"], "what is healed, in white")
        facts: dict[str, Any] = {"picture": opened.path.name, "width": opened.image.shape[1]}
        facts |= {"height": opened.image.shape[0], "converted": opened.notes, "seed": options.seed}
        facts |= {"mask": options.mask.name if options.mask else paths["mask.png"].name, "found": found.figures}
        facts["healed"] = round(float(found.mask.mean()), 6)
        if options.look:
            write_json(report, facts)
            text = _sentences(facts, options) + " Nothing was changed."
            yield Result(text, (*written, report), facts)
            return
        image = yield from _healed(opened, found, options, facts)
        write_work(
            target, image, "restore", _inputs(opened, options),
            options.model_dump(exclude={"look", *MODEL}) | {"picture": opened.path}, seed=options.seed,
            source="algorithmicallyEnhanced", recipe=options.recipe, premultiplied=False, dpi=opened.dpi,
        )  # fmt: skip
        yield Preview(target, "the restored picture")
        page = _sheet(opened, image, found)
        mark = mark_of("algorithmicallyEnhanced", [opened.path])
        write_picture(paths["before-after.png"], page, source=mark)
        yield Preview(paths["before-after.png"], "before and after")
        changed = (image != opened.image).any(axis=2) & ~(found.mask | found.stains)
        facts["changed_outside"] = round(float(changed.mean()), 6)
        write_json(report, facts)
        yield Result(_sentences(facts, options), (target, *written, paths["before-after.png"], report), facts)


def _without_model(options: RestoreOptions) -> Path:
    """The picture; raises GessoError where there is none, or something was asked of a model that is not there."""
    for name in MODEL[1:]:
        if name in options.model_fields_set:
            raise GessoError(f"--{name} is asked of a run's model.", "Write the run first: gesso restore RUN PICTURE.")
    if options.picture is None and not options.run:
        raise GessoError("gesso restore needs PICTURE.", f"For example: {Restore.example}")
    return options.picture or Path(options.run)


def _by_model(options: RestoreOptions, picture: Path, home: Path) -> Iterator[Event]:
    """Candidates by a run's model; the Result names them, and a sheet with all."""
    from gesso import tasks
    from gesso.data.picture import open_picture
    from gesso.marks.picture import encode, sheet
    from gesso.redraw import Asked, candidates
    from gesso.sample import place

    model = tasks.load(options.run, home)
    yield from (Message(note, "warning") for note in model.notes)
    target = tasks.destination(options.out, home, options.count > 1)
    opened = open_picture(picture)
    yield from (Message(f"{opened.path.name} was converted: {note}.") for note in opened.notes)
    holes = _found(options, opened).mask if options.do == "fill" else None
    if holes is not None and not holes.any():
        raise GessoError(f"No damage is found in {opened.path.name}.", "Give a mask: white where it is to be filled.")
    knobs = tasks.knobs_of(model, options.set, options.text is not None or options.label is not None)
    asked = Asked(range(options.seed, options.seed + options.count), options.label, options.text, knobs)
    notes, drawings = candidates(model.family, opened, options.do, holes, asked)
    yield from (Message(note) for note in notes)
    kept = options.model_dump(include={"do", "find", "sensitivity"}, mode="json") | {"picture": opened.path.name}
    kept |= {"mask": options.mask.name} if options.mask else {}
    update = {"task": "restore", "inputs": {path.name: sha for path, sha in _inputs(opened, options).items()}}
    update |= {"options": kept}
    paths, images = list[Path](), list["np.ndarray"]()
    for drawn in drawings:
        how = model.recipe(drawn, knobs).model_copy(update=update)
        path = target if target.suffix else target / f"{opened.path.stem}-restored_seed{drawn.seed:010d}.png"
        data = encode(
            drawn.image, path.suffix.lstrip("."), how, tell=options.recipe, parents=[opened.path],
            source="compositeWithTrainedAlgorithmicMedia",
        )  # fmt: skip
        paths.append(place(path, data))
        images.append(drawn.image)
        yield Progress(len(paths), options.count, "candidates")
    title = f"{opened.path.name}, then {len(images[:8])} by {model.run}"
    page = encode(sheet([[_marked(opened, images[0], holes), *images[:8]]], captions=[title]), "png")
    first = place(paths[0].with_name(f"{opened.path.stem}-candidates.png"), page)
    yield Preview(first, "given, then the candidates")
    facts = {"run": model.run, "do": options.do, "count": len(paths), "seed": options.seed}
    said = f"{len(paths)} candidates" if len(paths) > 1 else "One candidate"
    yield Result(f"{said} by {model.run}, in {paths[0].parent}.", (*paths, first), facts)


def _marked(opened: "Opened", like: "np.ndarray", holes: "np.ndarray | None") -> "np.ndarray":
    """The picture as it was given, of the size and channels of another; where it is to be filled, red."""
    import numpy as np

    from gesso.patch.pyramid import resized
    from gesso.redraw import in_form

    given = opened.premultiplied
    if holes is not None:
        red = np.array([0.77, 0.17, 0.14, 1], np.float32)[: given.shape[2]]
        given = np.where(holes[..., None], red, given)
    return in_form(resized(given, *like.shape[:2]), like.shape[2])[0]


def _inputs(opened: "Opened", options: RestoreOptions) -> dict[Path, str]:
    from gesso.files import sha256_of

    given = {opened.path: opened.sha256}
    return given | ({options.mask: sha256_of(options.mask.expanduser())} if options.mask else {})


def _found(options: RestoreOptions, opened: "Opened") -> _Found:
    """The mask that was given, or what is found; transparent pixels are never damaged."""
    import cv2
    import numpy as np

    from gesso.data.picture import open_mask
    from gesso.patch.damage import find_damage
    from gesso.patch.restore import wide_parts

    size = opened.image.shape[:2]
    none = np.zeros(size, bool)
    if options.mask is not None:
        mask = open_mask(options.mask, *size)
        if mask.all() or not mask.any():
            how = "white: nothing is left to heal from" if mask.all() else "black"
            raise GessoError(
                f"The mask {options.mask.name} is all {how}.",
                "White is what is to be healed, black what stays.",
            )
        return _Found(mask, none, {"given": {"share": round(float(mask.mean()), 6)}})
    names = [] if options.find.strip() == "none" else [name.strip() for name in options.find.split(",") if name.strip()]
    picture = opened.colours
    if np.ptp(picture, axis=2).max() == 0:
        picture = picture[..., :1]
    masks = find_damage(picture, names, options.sensitivity)
    if opened.alpha is not None:
        masks = {kind: mask & (opened.alpha > 0) for kind, mask in masks.items()}
    figures: dict[str, dict[str, Any]] = {}
    for kind, mask in masks.items():
        parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
        figures[kind] = {"share": round(float(mask.mean()), 6), "parts": parts}
    stains = masks.pop("stains", none)
    healed = np.logical_or.reduce([none, *masks.values()])
    if healed.mean() > 0.5:
        raise GessoError(
            "More than half of the picture looks damaged, which is not believed.",
            "Lower --sensitivity, or give a mask.",
        )
    if wide_parts(healed).any():
        figures["wide"] = {"share": round(float(wide_parts(healed).mean()), 6)}
    return _Found(healed, stains, figures)


def _healed(opened: "Opened", found: _Found, options: RestoreOptions, facts: dict[str, Any]) -> Iterator[Event | Any]:
    """Heal and correct; yields how far it is, and returns the picture's bytes, h w c."""
    import numpy as np

    from gesso.patch.damage import unstained
    from gesso.patch.restore import heal
    from gesso.patch.tone import denoised, unfaded, unyellowed

    bytes_ = opened.image[..., :3]
    grey = bool((bytes_ == bytes_[..., :1]).all())
    picture = bytes_[..., : 1 if grey else 3].astype(np.float32) / 255
    hidden = None if opened.alpha is None else opened.alpha == 0
    out = picture
    if found.mask.any():
        for step in heal(picture, found.mask, hidden=hidden, seed=options.seed):
            yield Progress(round(100 * step.done), 100, "parts of the damage healed")
            out = step.picture
    if found.stains.any():
        out = unstained(out, found.stains)
    touched = found.mask | found.stains
    tone: dict[str, dict[str, float]] = {}
    if options.tone and not options.conserve:
        for kind, change in (("noise", denoised), ("fading", unfaded), ("yellowing", unyellowed)):
            made = change(out, getattr(options, kind))
            if made.figures:
                out, tone[kind] = made.picture, made.figures
                touched = np.ones_like(touched)
    facts["tone"] = tone
    seen = touched if hidden is None else touched & ~hidden
    new = np.round(out.clip(0, 1) * 255).astype(np.uint8)
    image = opened.image.copy()
    image[..., :3] = np.where(seen[..., None], new, bytes_)
    return image


def _sentences(facts: dict[str, Any], options: RestoreOptions) -> str:
    """The report, in sentences."""
    found = facts["found"]
    said = []
    if "given" in found:
        said.append(f"{found['given']['share']:.2%} of the picture is masked by {facts['mask']}.")
    else:
        seen = [f"{MEANT[kind]} {f['share']:.2%}" for kind, f in found.items() if kind in MEANT and f["share"] > 0]
        missed = [MEANT[kind] for kind, f in found.items() if kind in MEANT and f["share"] == 0]
        if seen:
            said.append(f"Found, of the picture: {', '.join(seen)}; the mask is {facts['mask']}.")
        if missed:
            said.append(f"Not found: {', '.join(missed)}.")
    if options.look:
        return " ".join(said)
    tone = facts["tone"]
    if "noise" in tone:
        said.append(f"Noise was reduced from {tone['noise']['before']} to {tone['noise']['after']} of 255.")
    if "fading" in tone:
        said.append(f"Contrast was stretched by {tone['fading']['factor'] - 1:.0%}.")
    if "yellowing" in tone:
        said.append(
            f"A yellow cast of {tone['yellowing']['before']:.0%} became one of {tone['yellowing']['after']:.0%}."
        )
    if options.tone and not options.conserve and not tone:
        said.append("Noise, fading and yellowing: nothing that called for a change.")
    outside = facts["changed_outside"]
    said.append(
        "Outside the mask every pixel is as it was." if outside == 0
        else f"Outside the mask {outside:.0%} of the pixels were changed, by the tone alone."
    )  # fmt: skip
    return " ".join(said)


def _sheet(opened: "Opened", image: "np.ndarray", found: _Found) -> "np.ndarray":
    """Before, what was healed (red) or lightened (amber), and after; below, the most damaged places, enlarged."""
    import cv2
    import numpy as np

    from gesso.marks.picture import multiplied, on_ground, sheet

    def flat(picture: "np.ndarray") -> "np.ndarray":
        return on_ground(multiplied(picture), np.uint8(244)) if picture.shape[2] == 4 else picture

    before, after = flat(opened.image), flat(image)
    mask = found.mask
    pale = (255 - (255 - before.mean(axis=2, keepdims=True)) * 0.5).astype(np.uint8).repeat(3, axis=2)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) if max(mask.shape) > CELL else mask
    pale[found.stains] = pale[found.stains] * 0.55 + np.array([232, 160, 48]) * 0.45
    pale[np.asarray(wide, bool)] = (196, 44, 36)
    height, width = mask.shape
    scale = CELL / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)

    def cell(picture: "np.ndarray") -> "np.ndarray":
        how = cv2.INTER_AREA if picture.shape[0] >= size[1] else cv2.INTER_CUBIC
        return cv2.resize(np.ascontiguousarray(picture), size, interpolation=how)

    said = f"healed: {float(mask.mean()):.2%}" if mask.any() else "nothing to heal"
    said += f", lightened: {float(found.stains.mean()):.2%}" if found.stains.any() else ""
    rows = [[cell(before), cell(pale), cell(after)]]
    under = [["before", said, "after"]]
    captions = [f"{width} by {height} pixels"]
    for y, x, high, long in _places(mask if mask.any() else found.stains):
        part = slice(y, y + high), slice(x, x + long)
        rows.append([cell(before[part]), cell(pale[part]), cell(after[part])])
        under.append(["before", "", "after"])
        captions.append(f"detail, {long} by {high} pixels at {x}, {y}")
    return sheet(rows, title=opened.path.name, captions=captions, under=under)


def _places(mask: "np.ndarray") -> list[tuple[int, int, int, int]]:
    """Windows of the picture's shape with most damage in them, which do not overlap: top, left, height, width."""
    import cv2
    import numpy as np

    height, width = mask.shape
    share = max(1 / 5, min(1.0, 120 / max(height, width)))
    high, long = max(round(height * share), 1), max(round(width * share), 1)
    left, out = mask.astype(np.float32), []
    if share > 0.5:
        return out
    for _ in range(DETAILS):
        sums = cv2.boxFilter(left, -1, (long, high), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
        sums = sums[: height - high + 1, : width - long + 1]
        y, x = np.unravel_index(int(sums.argmax()), sums.shape)
        if sums[y, x] < 4:
            break
        out.append((int(y), int(x), high, long))
        left[y : y + high, x : x + long] = 0
    return out
