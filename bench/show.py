"""The gallery of works on single pictures: docs/pictures/works-*.webp.

    python -m bench.show [--only style]

Four results or more of each work, at 512 pixels or more, on pictures that were chosen before they were made:
scikit-image and scikit-learn's photographs, and paintings in the public domain. Seed 0, default settings unless the
caption says otherwise; nothing is picked.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench.damage import cracked, dusty, holed, scratched
from bench.holes import opened
from bench.scratches import found
from bench.works import hole, painting
from gesso.marks.picture import write_picture
from gesso.patch import (
    candidates,
    final,
    height_map,
    inpaint,
    normal_map,
    outpaint,
    panorama,
    reshuffle,
    retarget,
    stylise,
    synthesise_texture,
    variation,
    wang_tiles,
)  # fmt: skip
from gesso.patch.damage import find_damage
from gesso.patch.restore import heal
from gesso.patch.upscale import shrunk, upscale

PLACE = Path(__file__).parents[1] / "docs" / "pictures"
MOST = 190_000  # bytes of a file
GAP = 8
Array = np.ndarray


def whole(name: str, shorter: int) -> Array:
    """A photograph of that shorter side, in its own shape."""
    image = Image.open(found(name)).convert("RGB")
    scale = shorter / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32) / 255


def sheet(rows: list[list[Array]]) -> Array:
    """Pictures beside and below each other on white."""
    lines = []
    for row in rows:
        high = max(p.shape[0] for p in row)
        cells = [np.pad(p, ((0, high - p.shape[0]), (0, GAP), (0, 0)), constant_values=1) for p in row]
        lines.append(np.concatenate(cells, axis=1)[:, :-GAP])
    wide = max(line.shape[1] for line in lines)
    lines = [np.pad(line, ((0, GAP), (0, wide - line.shape[1]), (0, 0)), constant_values=1) for line in lines]
    return np.concatenate(lines)[:-GAP]


def write(name: str, rows: list[list[Array]]) -> None:
    """As the best WebP that is small enough."""
    image = (sheet(rows) * 255 + 0.5).astype(np.uint8)
    for quality in range(90, 10, -5):
        path = write_picture(PLACE / f"works-{name}.webp", image, source="composite", quality=quality)
        if path.stat().st_size <= MOST:
            break
    print(f"{path.name}: {image.shape[1]}×{image.shape[0]}, {path.stat().st_size // 1000} KB", flush=True)


def style() -> None:
    pairs = (
        ("astronaut.png", "gogh-the-starry-night"), ("china.jpg", "hokusai"), ("chelsea.png", "munch"),
        ("coffee.png", "monet"),
    )  # fmt: skip
    made = [final(stylise(opened(a, 512), [painting(512, b)])) for a, b in pairs]
    write("style", [made[:2], made[2:]])
    content, one, two = opened("astronaut.png", 512), painting(512), painting(512, "hokusai")
    regions = (np.arange(512)[None] >= 256) * np.ones((512, 1), int)
    more = [
        final(stylise(content, [one], faithful=0.1)), final(stylise(content, [one], stroke=2)),
        final(stylise(content, [painting(512, "munch")], colours="content")),
        final(stylise(content, [one, two], regions=regions)),
    ]  # fmt: skip
    write("style-choices", [more[:2], more[2:]])


def large() -> None:
    write("style-1024", [[final(stylise(opened("astronaut.png", 1024), [painting(1024)]))]])


def texture() -> None:
    names = ("gravel.png", "gogh-the-starry-night", "ihc.png", "brick.png")
    made = []
    for name in names:
        sample = np.ascontiguousarray(opened(name, 512)[128:384, 128:384])
        tile = final(synthesise_texture(sample, 256, 256, wrap=(True, True)))
        made.append(np.concatenate([np.concatenate([tile, tile], 1)] * 2))
    write("tiles", [made[:2], made[2:]])
    large = [
        final(synthesise_texture(np.ascontiguousarray(opened(name, 512)[128:384, 128:384]), 512, 512)) for name in names
    ]
    write("texture", [large[:2], large[2:]])


def material() -> None:
    sample = np.ascontiguousarray(opened("gravel.png", 512)[:256, :256])
    tile = final(synthesise_texture(sample, 512, 512, wrap=(True, True)))
    heights = height_map(tile)
    wang = dict(wang_tiles(sample, 128))
    dice = np.random.default_rng(0)
    level, upright = dice.integers(0, 2, (5, 4)), dice.integers(0, 2, (4, 5))
    laid = [
        np.concatenate([wang[level[y, x], upright[y, x + 1], level[y + 1, x], upright[y, x]] for x in range(4)], axis=1)
        for y in range(4)
    ]
    grey = np.repeat(heights[..., None], 3, axis=2)
    write("maps", [[tile, grey], [normal_map(heights), np.concatenate(laid)]])
    around = final(panorama(np.ascontiguousarray(opened("gogh-the-starry-night", 700)[60:316, 200:456]), 512))
    write("panorama", [[around]])


def shape() -> None:
    rows = []
    for name in ("rocket.jpg", "china.jpg", "chelsea.png", "coffee.png"):
        given = whole(name, 512)
        rows.append([given, final(retarget(given, 512, round(0.6 * given.shape[1])))])
    write("retarget", rows[:2])
    write("retarget-2", rows[2:])
    wide = []
    for name in ("rocket.jpg", "china.jpg"):
        given = whole(name, 512)[:, :600]
        wide.append([given, final(retarget(given, 512, 800))])
    write("retarget-wider", wide)


def other() -> None:
    rows = []
    for name in ("china.jpg", "monet", "hokusai", "rocket.jpg"):
        given = opened(name, 512)
        rows.append([given, *(final(variation(given, different=d)) for d in (0.3, 0.5, 1.0))])
    write("variations", rows[:2])
    write("variations-2", rows[2:])


def repair() -> None:
    mask, rows = hole(512), []
    for name in (
        "china.jpg",
        "flower.jpg",
        "chelsea.png",
        "rocket.jpg",
        "gogh-olive-orchard",
        "munch",
        "coffee.png",
        "astronaut.png",
    ):
        given = opened(name, 512)
        spoilt = np.where(mask[..., None], 1, given).astype(np.float32)
        rows.append([spoilt, final(inpaint(spoilt, mask))])
    write("inpaint", [rows[0] + rows[1], rows[2] + rows[3]])
    write("inpaint-2", [rows[4] + rows[5], rows[6] + rows[7]])
    given = opened("rocket.jpg", 512)
    four = [step.picture for step in candidates(given, mask, 4)]
    write("candidates", [four[:2], four[2:]])
    beyond = []
    for name in ("rocket.jpg", "china.jpg", "hokusai", "monet"):
        given = opened(name, 384)
        beyond.append(final(outpaint(given, 512, 680, 64, 148)))
    write("outpaint", [beyond[:2], beyond[2:]])


def moved() -> None:
    given = whole("rocket.jpg", 512)
    what = np.zeros(given.shape[:2], bool)
    cv2.fillPoly(
        view := what.astype(np.uint8), [np.array([[344, 458], [352, 160], [378, 118], [404, 160], [414, 458]])], 1
    )
    write("moved", [[given], [final(reshuffle(given, view > 0, 0, 150))]])


def mended() -> None:
    """Damage is painted on, found by the machine, healed."""
    rows = []
    damages = (lambda p, r: scratched(p, r, True), cracked, dusty, holed)
    for number, (name, damage) in enumerate(
        zip(("turner", "coffee.png", "astronaut.png", "kandinsky"), damages, strict=True)
    ):
        spoilt, _ = damage(opened(name, 512), np.random.default_rng(number))
        masks = find_damage(spoilt, ["scratches", "cracks", "dust", "holes"])
        mask = np.logical_or.reduce(list(masks.values()))
        rows.append([spoilt, final(heal(spoilt, mask)) if mask.any() else spoilt])
    write("restore", [rows[0] + rows[1], rows[2] + rows[3]])
    truth = [opened(name, 512) for name in ("chelsea.png", "china.jpg", "flower.jpg", "munch")]
    pairs = []
    for picture in truth:
        small = shrunk(picture, 128, 128)
        blocks = small.repeat(4, axis=0).repeat(4, axis=1)
        pairs.append([blocks, upscale(small, 512, 512)])
    write("upscale", [pairs[0] + pairs[1], pairs[2] + pairs[3]])


SHEETS: dict[str, Callable[[], None]] = {
    "style": style, "large": large, "texture": texture, "material": material, "shape": shape, "other": other,
    "repair": repair, "moved": moved, "mended": mended,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SHEETS)
    args = parser.parse_args()
    for name, make in SHEETS.items():
        if args.only in (None, name):
            begun = time.perf_counter()
            make()
            print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
