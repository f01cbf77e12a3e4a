"""Pictures of every page of the studio, for docs/studio.md: dark and light, wide and narrow, English and Chinese.

    python -m bench.show_studio --home HOME --run RUN [--only gallery]

A real `gesso studio` of the home, looked at by Chromium (its fonts need Chinese: fonts-noto-cjk in Debian). Pages are
written to docs/pictures/studio as WebP, and as PNG to bench/out/studio, to be looked at.
"""

import argparse
import io
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tests.serving import Server

import gesso
from bench.data import OUT

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = Path(__file__).parents[1] / "docs" / "pictures" / "studio"
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
PAGES = ["pictures", "train", "explore", "canvas", "gallery", "verify", "jobs"]


def brush(page: "Page") -> None:
    """Paint a mask: a stroke over the right half of the picture."""
    box = page.locator("main canvas").first.bounding_box()
    assert box is not None
    side = min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + side * 0.02, y - side * 0.16)
    page.mouse.down()
    for right, down in ((0.1, -0.2), (0.18, -0.12), (0.14, -0.02)):
        page.mouse.move(x + side * right, y + side * down, steps=8)
    page.mouse.up()
    time.sleep(0.5)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--run", type=int, default=1)
    parser.add_argument("--data", default="")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    DOCS.mkdir(parents=True, exist_ok=True)
    (OUT / "studio").mkdir(parents=True, exist_ok=True)
    drawn = gesso.run(
        "sample", home=options.home, run=str(options.run), count=1, seed=1, out=OUT / "studio" / "signed"
    ).paths[0]
    with Server(options.home) as server, server.client() as client, sync_playwright() as play:
        places = {name: f"/{name}" for name in PAGES}
        places["train"] = f"/train/{options.run}"
        places["explore"] = f"/explore/{options.run}?seed=1"
        places["pictures"] = f"/pictures/{options.data}" if options.data else "/pictures"
        large = client.get("/api/pictures", task="upscale", sort="largest")["pictures"][0]["id"]
        places["canvas"] = f"/canvas?picture={large}"
        chromium = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                for language in ("en", "zh"):
                    context = chromium.new_context(viewport={"width": width, "height": height})
                    context.add_init_script(
                        f"localStorage.setItem('gesso.theme','{theme}');localStorage.setItem('gesso.language','{language}')"
                    )
                    page = context.new_page()
                    page.goto(server.signed)
                    for name, place in places.items():
                        if options.only and name != options.only:
                            continue
                        page.goto(server.address + place)
                        page.wait_for_selector("main h1")
                        time.sleep(2.5)
                        if name == "canvas":
                            brush(page)
                        if name == "verify":
                            page.locator("input[type=file]").set_input_files(drawn)
                            time.sleep(4)
                        shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                        stem = f"{name}-{size}-{theme}-{language}"
                        shown.save(OUT / "studio" / f"{stem}.png")
                        shown.save(DOCS / f"{stem}.webp", quality=80, method=6)
                        print(stem, (DOCS / f"{stem}.webp").stat().st_size, flush=True)
                    context.close()
        chromium.close()


if __name__ == "__main__":
    main()
