"""The whole story in a real browser, as a designer does it: bring, train, explore, repair, keep, find, verify."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving import Server

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed; Debian's is the package chromium")


def sprites(folder: Path, count: int = 48, side: int = 32) -> Path:
    """A folder of small creatures with transparency, a colour a kind."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side - 0.5
    for number in range(count):
        kind, wide = number % 3, rng.uniform(0.22, 0.42)
        body = (x / wide) ** 2 + (y / rng.uniform(0.25, 0.42)) ** 2 < 1
        eyes = ((np.abs(x) - 0.12) ** 2 + (y + 0.08) ** 2 < 0.003) & body
        colour = np.array([(214, 40, 70), (63, 120, 216), (90, 160, 70)][kind]) + rng.integers(-20, 20, 3)
        image = np.zeros((side, side, 4), np.uint8)
        image[body] = [*np.clip(colour, 0, 255), 255]
        image[eyes] = [20, 20, 20, 255]
        place = folder / ["imps", "ghosts", "slimes"][kind]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
    return folder


@pytest.fixture
def page(tmp_path):
    """A studio of an empty home, and its first page; nothing may be wrong on any page."""
    from playwright.sync_api import sync_playwright

    wrong = []
    with Server(tmp_path / "home") as server, sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        chromium = play.chromium.launch(executable_path=BROWSER, args=flags)
        page = chromium.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith((server.address, "blob:", "data:"))
                or wrong.append(f"asked elsewhere: {request.url}"))  # fmt: skip
        page.server = server
        page.goto(server.signed)
        yield page
        assert not wrong
        chromium.close()


def pixels(page, canvas="main canvas"):
    """What is on a canvas now, as text."""
    return page.locator(canvas).first.evaluate("one => one.toDataURL()")


def changes(page, before, act):
    """Do something, and wait until the canvas shows something else; returns what."""
    act()
    for _ in range(300):
        if (now := pixels(page)) != before:
            return now
        page.wait_for_timeout(50)
    raise AssertionError("the picture did not change")


def test_the_whole_story(page, tmp_path):
    from playwright.sync_api import expect

    server, folder = page.server, sprites(tmp_path / "sprites")

    def press(name, within=None, **how):
        (within or page).get_by_role("button", name=name, **how).first.click()

    # Pictures are brought.
    with page.expect_file_chooser() as chooser:
        press("Choose folder")
    chooser.value.set_files(str(folder))
    press("Import", page.get_by_role("dialog"), exact=True)
    page.get_by_role("dialog").get_by_role("link", name="Train on this").or_(
        page.get_by_role("dialog").get_by_role("button", name="Train on this")
    ).first.click()

    # A generator learns from them for a minute, and is watched.
    page.get_by_role("heading", name="New training").wait_for()
    press("1m", exact=True)
    press("Start training")
    page.wait_for_url("**/train/1")
    preview = page.get_by_role("img", name="Preview")
    preview.first.wait_for()
    first = preview.first.get_attribute("alt") or preview.first.get_attribute("aria-label")
    assert "pictures" in first

    # The power fails in the middle; the page recovers by itself, and the training goes on.
    with server.client() as client:
        seen = client.get("/api/runs/1")["seen"]
        server.kill()
        page.get_by_text("The studio is not running").wait_for()
        server.start()
        page.get_by_text("The studio is not running").wait_for(state="detached")
        page.get_by_text("Finished").first.wait_for(timeout=180_000)
        assert client.get("/api/runs/1")["seen"] > seen
        assert len(client.get("/api/runs")) == 1

    # A slider is moved, and the picture changes at once.
    page.get_by_role("link", name="Explore").last.click()
    page.wait_for_url("**/explore/1")
    page.get_by_role("button", name="Keep").wait_for()
    expect(page.get_by_text("Waking the model")).to_be_hidden(timeout=30_000)
    begun = pixels(page)
    other = changes(page, begun, lambda: press("Next seed"))
    slider = page.get_by_role("slider", name="Truncation")
    tamed = changes(page, other, lambda: slider.fill("0.4"))
    assert len({begun, other, tamed}) == 3
    press("Keep", exact=True)
    kept = page.get_by_role("group", name="Kept here").get_by_role("link").first.get_attribute("href").split("/")[-1]
    with server.client() as client:
        assert client.get(f"/api/pictures/{kept}")["recipe"]["knobs"]["truncation"] == 0.4
        large = client.wait(client.ask("upscale", picture=f"picture:{kept}", factor=4))["result"]["pictures"][0]

    # A mask is painted, and what it covers is filled.
    page.goto(f"{server.address}/canvas?picture={large}")
    picture = page.get_by_role("application", name="The picture")
    picture.wait_for()
    page.get_by_role("slider", name="Size").wait_for()
    remove = page.get_by_role("complementary", name="Tools").get_by_role("button", name="Remove").last
    box = picture.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 30, middle[1])
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1] + 10, steps=8)
    page.mouse.up()
    remove.click()
    press("Accept")

    # It is starred, found again by a search, and taken away as a ZIP.
    with server.client() as client:
        filled = client.get("/api/pictures", task="inpaint")["pictures"][0]
    page.goto(f"{server.address}/gallery/{filled['id']}")
    with page.expect_response("**/api/pictures/mark"):
        press("Star", exact=True)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_label("Note").fill("without a nose")
    page.goto(f"{server.address}/gallery")
    page.get_by_role("searchbox").fill("without nose")
    found = page.get_by_role("list", name="Pictures").get_by_role("listitem")
    expect(found).to_have_count(1, timeout=30_000)
    found.first.get_by_role("button").first.click()
    press("Export")
    with page.expect_download() as download:
        press("Export", page.get_by_role("dialog"))
    target = tmp_path / download.value.suggested_filename
    download.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        assert filled["name"] in archive.namelist()
        archive.extract(filled["name"], tmp_path)

    # Whoever is given it sees where it is from, and that it was not changed; of another that was, that too.
    given = tmp_path / filled["name"]
    data = bytearray(given.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 1
    given.with_name("other.png").write_bytes(data)
    page.keyboard.press("Escape")  # out of the export
    page.get_by_role("link", name="Verify").first.click()
    page.get_by_role("heading", name="Verify").wait_for()
    with page.expect_file_chooser() as chooser:
        press("Choose files")
    chooser.value.set_files([str(given), str(given.with_name("other.png"))])
    expect(page.get_by_text("Signed by someone trusted here, and unchanged")).to_be_visible()
    expect(page.get_by_text("This very file was written here")).to_be_visible()
    expect(page.get_by_role("button", name="other.png").filter(has_text="Changed")).to_be_visible()
