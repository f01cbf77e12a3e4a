"""The gallery of scenes: docs/pictures/works-scenes*.webp.

    python -m bench.show_scenes [--only advert]

Scikit-image and scikit-learn's photographs, paintings in the public domain, Gesso's own blossoms, and a figure drawn
here, chosen before anything was made, but for the coins' second ground; places and sizes were set by eye. Seed 0.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from bench.holes import opened
from bench.scratches import found
from bench.show import write
from bench.works import painting
from gesso.data.blossoms import paint_blossoms
from gesso.scene import Files, render, scene_of
from gesso.scene.rendering import Rendered

Array = np.ndarray
SERIF, SANS = "DejaVu Serif", "DejaVu Sans Bold"
FULL = {"width": "100%", "height": "100%", "fit": "cover"}
# The cup, its saucer and its spoon in scikit-image's coffee, traced by hand at twice its size, x and y in pixels.
SAUCER = (
    (157, 400), (163, 350), (184, 304), (217, 254), (262, 205), (300, 173), (340, 148), (400, 122), (820, 192),
    (862, 228), (897, 266), (928, 315), (950, 375), (957, 440), (953, 490), (936, 556), (904, 622), (853, 688),
    (790, 732), (720, 763), (640, 777), (560, 780), (470, 770), (400, 752), (342, 726), (290, 692), (238, 642),
    (200, 580), (171, 500), (158, 450),
)  # fmt: skip
RIM = ((580.4, 222.6), (378.0, 468.0), 95.2)
SPOON = ((800, 145), (812, 137), (828, 135), (841, 141), (847, 153), (844, 175), (834, 225), (800, 225))


def made(folder: Path, layers: list[dict[str, Any]], **more: Any) -> dict[str, Array]:
    """A scene's pictures by their names, h w 3 in [0, 1]; on chequered paper where they are transparent."""
    out = {}
    for event in render(scene_of({"layers": layers, **more}), Files(folder)):
        if isinstance(event, Rendered):
            out[event.plan.name] = chequered(event.image)
        elif event.note:
            print(event.note)
    return out


def chequered(image: Array) -> Array:
    """A picture of bytes on chequered paper."""
    if image.shape[2] == 3:
        return image.astype(np.float32) / 255
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] // 16
    paper = np.where((x + y) % 2, 0.93, 1.0)[..., None]
    alpha = image[..., 3:].astype(np.float32) / 255
    return (alpha * image[..., :3] / 255 + (1 - alpha) * paper).astype(np.float32)


def save(folder: Path, name: str, picture: Array) -> str:
    """A picture in [0, 1], or of bytes, as a file of the scene's."""
    values = picture if picture.dtype == np.uint8 else np.rint(picture * 255).astype(np.uint8)
    Image.fromarray(values).save(folder / name)
    return name


def cup(folder: Path) -> str:
    """The cup with its saucer, alone."""
    image = Image.open(found("coffee.png")).convert("RGB").resize((1200, 800), Image.Resampling.LANCZOS)
    mask = np.zeros((3200, 4800), np.uint8)
    for points in (SAUCER, SPOON):
        cv2.fillPoly(mask, [np.array(points) * 4], 255)
    (x, y), (wide, high), turn = RIM
    cv2.ellipse(mask, ((4 * x, 4 * y), (4 * wide, 4 * high), turn), 255, -1)
    soft = np.asarray(cv2.resize(cv2.GaussianBlur(mask, (0, 0), 5), (1200, 800), interpolation=cv2.INTER_AREA))
    return save(folder, "cup.png", np.dstack([np.asarray(image), soft])[20:796, 140:976])


def product(folder: Path) -> None:
    """One cup on four grounds, as variants of one scene."""
    grounds = ("hoitsu", "hokusai", "monet-water-lilies", "mondrian")
    for name in grounds:
        save(folder, f"{name}.png", painting(640, name))
    layers = [
        {"kind": "picture", "id": "ground", "picture": "hoitsu.png", **FULL},
        {"kind": "picture", "picture": cup(folder), "width": "62%", "y": "54%", "harmonise": 0.5,
         "shadow": {"x": "1.5%", "y": "2.5%", "blur": "5%", "opacity": 0.6}},
    ]  # fmt: skip
    variants = {name: {"ground": {"picture": f"{name}.png"}} for name in grounds}
    cells = list(made(folder, layers, size="640x640", variants=variants).values())
    write("scenes-product", [cells[:2], cells[2:]])


def advert(folder: Path) -> None:
    """One advert in three shapes, its ground brought to each by retargeting."""
    save(folder, "plum.png", painting(1024, "hoitsu"))
    layers = [
        {"kind": "picture", "id": "ground", "picture": "plum.png", **FULL, "fit": "retarget"},
        {"kind": "text", "id": "over", "text": "THE HOUSE BY THE LAKE", "font": SANS, "size": "2.6%", "tracking": 0.16,
         "x": "7%", "y": "9%", "anchor": "left", "align": "left", "colour": "#7a2a16"},
        {"kind": "text", "id": "headline", "text": "Coffee under the plum trees", "font": f"{SERIF} Bold",
         "size": "10.5%", "x": "7%", "y": "14.5%", "anchor": "top-left", "align": "left", "width": "62%",
         "height": "36%", "spacing": 1.1, "colour": "#2b1a10"},
        {"kind": "picture", "id": "cup", "picture": cup(folder), "width": "40%", "x": "26%", "y": "72%",
         "harmonise": 0.35, "shadow": {"x": "1.2%", "y": "2%", "blur": "5%", "opacity": 0.55}},
        {"kind": "colour", "id": "button", "colour": "#9e2a1c", "width": "33%", "height": "8%", "x": "78%", "y": "91%",
         "radius": "50%", "shadow": {"opacity": 0.3}},
        {"kind": "text", "id": "call", "text": "Keep a table", "font": SANS, "size": "3%", "x": "78%", "y": "91%",
         "colour": "#fff3df"},
    ]  # fmt: skip
    formats = {
        "square": "1024x1024",
        "story": {"size": "576x1024", "layers": {
            "over": {"size": "3.6%"}, "headline": {"width": "86%", "size": "14%", "height": "34%"},
            "cup": {"width": "66%", "x": "50%", "y": "66%"}, "button": {"x": "50%", "width": "64%", "height": "7%"},
            "call": {"x": "50%", "size": "5.5%"},
        }},
        "banner": {"size": "1608x536", "layers": {
            "over": {"x": "4%", "y": "14%", "size": "4%"},
            "headline": {"x": "4%", "y": "22%", "width": "38%", "height": "44%", "size": "16%"},
            "cup": {"x": "60%", "y": "52%", "width": "26%"},
            "button": {"x": "14%", "y": "83%", "width": "20%", "height": "14%"},
            "call": {"x": "14%", "y": "83%", "size": "5%"},
        }},
    }  # fmt: skip
    done = made(folder, layers, formats=formats)
    write("scenes-advert", [[done["square"], done["story"]], [done["banner"]]])


def walker(step: int, coat: str) -> Array:
    """One of four steps of a small figure with a lantern, 24 × 24 pixels, h w 4 bytes."""
    tones = {"k": "#1d1b26", "s": "#f1c8a0", "c": coat, "d": "#4a3b52", "l": "#ffd65a", "g": "#8a6a3a"}
    top = (
        "......kkkkk......", ".....kccccck.....", "....kccccccck....", "....kcksssskk....", "....kkskskssk....",
        "....kkssssssk....", ".....kkssssk.....", "....kccccccck....", "...kccccccccckk..", "...kcckccccckssg.",
        "...kcckccccck.kl.", "...kssckccck..lll", "....kkccccck..kl.", "....kccccccck....",
    )  # fmt: skip
    legs = (
        ("....kdddkdddk....", "....kddk.kddk....", "....kkkk.kkkk...."),
        ("...kddddkdddk....", "..kddkk..kddk....", "..kkk....kkkkk..."),
        ("....kkdddddk.....", ".....kddddk......", ".....kkkkkk......"),
        ("....kdddkkddk....", "....kddk..kddk...", "....kkkkk..kk...."),
    )
    out = np.zeros((24, 24, 4), np.uint8)
    down = 4 + step % 2
    for y, row in enumerate((*top, *legs[step])):
        for x, letter in enumerate(row):
            if letter in tones:
                red, green, blue = bytes.fromhex(tones[letter][1:])
                out[down + y - (step % 2 and y >= len(top)), 4 + x] = (red, green, blue, 255)
    return out


def sprites(folder: Path) -> None:
    """A walk in three coats as a sheet; and blossoms off their grounds, as a sheet on grass."""
    for row, coat in enumerate(("#c0392b", "#2f7f8f", "#6a8f3a")):
        for step in range(4):
            save(folder, f"walk-{row}-{step}.png", walker(step, coat))
    walk = {"kind": "sheet", "pictures": ["walk-*.png"], "columns": 4, "resample": "pixel", "width": "100%"}
    pixel = made(folder, [walk], size="768x576")["scene"]
    for number, image in enumerate(paint_blossoms(12, 224, seed=0)[0]):
        save(folder, f"blossom-{number:02}.png", image)
    grass = {"kind": "colour", "gradient": ["#86b35c", "#5f9149"], "angle": 90}
    picked = {
        "kind": "sheet", "pictures": ["blossom-*.png"], "columns": 4, "cell": "176x176", "gap": 14, "trim": True,
        "cutout": True, "holes": True, "shadow": {"x": 3, "y": 4, "blur": 8, "opacity": 0.4},
    }  # fmt: skip
    write("scenes-sprites", [[pixel, made(folder, [grass, picked], size="768x576")["scene"]]])


def seamless(folder: Path) -> None:
    """Laid on, seamlessly, and with the stronger gradients of both; a flower on a pond, a painted horse on a wall."""
    save(folder, "pond.png", painting(512, "monet-water-lilies"))
    save(folder, "wall.png", opened("brick.png", 512))
    flower = Image.open(found("flower.jpg")).convert("RGB").crop((140, 44, 476, 380))
    save(folder, "flower.png", np.asarray(flower))
    horse = Image.open(found("horse.png")).convert("L").resize((480, 394), Image.Resampling.LANCZOS)
    paint = np.array([0.78, 0.32, 0.24]) - np.array([0.42, 0.42, 0.42])  # what the paint adds to the wall
    save(folder, "horse.png", 0.45 + (1 - np.asarray(horse)[..., None] / 255) * paint)
    rows = []
    for ground, thing, place in (
        ("pond", "flower", {"width": "56%", "y": "46%", "crop": "circle"}), ("wall", "horse", {"width": "90%"}),
    ):  # fmt: skip
        rows.append([])
        for how in ({}, {"blend": "seamless"}, {"blend": "seamless", "mixed": True}):
            layers = [
                {"kind": "picture", "picture": f"{ground}.png"},
                {"kind": "picture", "picture": f"{thing}.png", **place, **how},
            ]
            rows[-1].append(made(folder, layers, size="512x512")["scene"])
    write("scenes-seamless", rows)


def belonging(folder: Path) -> None:
    """A house before a painted sky: as it is, in its light, with its strokes, and with both."""
    save(folder, "night.png", painting(512))
    house = opened("china.jpg", 512)
    light = cv2.GaussianBlur(house, (0, 0), 1).min(axis=2)
    near = (np.arange(512)[:, None] > 432) | (light < 0.5)  # what is dark, or red or green, is no sky
    near = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    soft = cv2.GaussianBlur(near.astype(np.float32), (0, 0), 1)
    save(folder, "house.png", np.dstack([house, soft]))
    cells = []
    for how in ({}, {"harmonise": 0.8}, {"stroke": 0.5}, {"harmonise": 0.8, "stroke": 0.5}):
        layers = [{"kind": "picture", "picture": "night.png"}, {"kind": "picture", "picture": "house.png", **how}]
        cells.append(made(folder, layers, size="512x512")["scene"])
    write("scenes-belonging", [cells[:2], cells[2:]])


def cutouts(folder: Path) -> None:
    """Coins off a shaded cloth, and an eye's ground off black, each on two grounds."""
    coins = Image.open(found("coins.png")).convert("RGB")
    save(folder, "coins.png", np.asarray(coins.resize((768, 606), Image.Resampling.LANCZOS)))
    eye = Image.open(found("retina.jpg")).convert("RGB").resize((512, 512), Image.Resampling.LANCZOS)
    save(folder, "eye.png", np.asarray(eye))
    save(folder, "sky.png", opened("hubble_deep_field.jpg", 768))
    save(folder, "gold.png", painting(768, "hoitsu"))
    save(folder, "storm.png", painting(768, "turner"))
    low = {"x": 3, "y": 5, "blur": 10, "opacity": 0.6}
    rows = []
    for thing, grounds in (("coins", ("#7b1f2b", "gold.png")), ("eye", ("sky.png", "storm.png"))):
        place = {"width": "92%"} if thing == "coins" else {"width": "62%", "x": "55%", "y": "46%"}
        layer = {"kind": "picture", "picture": f"{thing}.png", **place}
        rows.append([made(folder, [{"kind": "colour", "colour": "#f4f4f2"}, layer], size="512x512")["scene"]])
        for ground in grounds:
            below = {"kind": "colour", "colour": ground} if ground[0] == "#" else None
            below = below or {"kind": "picture", "picture": ground, **FULL}
            cut = {**layer, "cutout": True, "shadow": low if thing == "coins" else {"opacity": 0}}
            rows[-1].append(made(folder, [below, cut], size="512x512")["scene"])
    write("scenes-cutouts", rows)


SHEETS: dict[str, Callable[[Path], None]] = {
    "product": product, "advert": advert, "sprites": sprites, "seamless": seamless, "belonging": belonging,
    "cutouts": cutouts,
}  # fmt: skip


def scenes(only: str | None = None) -> None:
    """Make all sheets, or only one."""
    for name, make in SHEETS.items():
        if only in (None, name):
            begun = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder))
            print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SHEETS)
    scenes(parser.parse_args().only)


if __name__ == "__main__":
    main()
