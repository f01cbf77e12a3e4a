"""What pages do through the API, in a real studio: bring, make, find again, change, export; and what must not work."""

import io
import json
import sys
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

import gesso
from gesso.errors import GessoError
from gesso.marks.credentials import same
from tests.serving import Server


@pytest.fixture(scope="module")
def drawn(client):
    """Four pictures of the run, in the gallery."""
    return client.wait(client.ask("sample", run="1", count=4, seed=7))["result"]["pictures"]


def picture(colour=(200, 30, 30), side=48, form="PNG", **more):
    """A file of one colour with a dark square in it."""
    image = Image.new("RGB", (side, side), colour)
    image.paste((20, 20, 20), (side // 4, side // 4, side // 2, side // 2))
    out = io.BytesIO()
    image.save(out, form, **more)
    return out.getvalue()


def sent(client, data, name="a.png"):
    return client.request("POST", "/api/uploads", params={"name": name}, content=data).json()


def test_a_folder_is_brought_looked_at_and_edited(client, tmp_path):
    for i in range(6):
        place = tmp_path / ("warm" if i % 2 else "cold")
        place.mkdir(exist_ok=True)
        (place / f"{i}.png").write_bytes(picture((40 * i, 90, 255 - 40 * i)))
    (tmp_path / "notes.txt").write_text("nothing")
    done = client.wait(client.import_pictures(tmp_path, "mine", size="32"))
    assert "6 pictures" in done["result"]["text"]
    found = client.get("/api/datasets/mine")
    assert found["labels"] == ["cold", "warm"]
    assert len(found["rejected"]) <= 1
    assert len(found["palette"]) > 1
    some = client.get("/api/datasets/mine/pictures", label="warm")
    assert some["total"] == 3
    image = Image.open(io.BytesIO(client.request("GET", some["pictures"][0]["url"]).content))
    assert image.size == (32, 32)

    index = some["pictures"][0]["index"]
    edits = [
        {"kind": "set", "pictures": [index], "text": "a red thing", "licence": "CC0"},
        {"kind": "drop", "pictures": [some["pictures"][1]["index"]]},
    ]
    wish = {"fingerprint": found["fingerprint"], "edits": edits}
    changed = client.request("PATCH", "/api/datasets/mine", json=wish).json()
    assert (changed["count"], changed["captions"]) == (5, 1)
    assert client.get("/api/datasets/mine/pictures", q="red cc0")["total"] == 1
    with pytest.raises(GessoError, match="changed meanwhile"):  # another tab, which has not heard of it
        client.request("PATCH", "/api/datasets/mine", json=wish)
    box = {"kind": "crop", "pictures": [0], "box": [0.25, 0.25, 0.5, 0.5]}
    client.request("PATCH", "/api/datasets/mine", json={"fingerprint": changed["fingerprint"], "edits": [box]})
    client.post("/api/datasets/mine/copy", {"name": "other"})
    client.request("DELETE", "/api/datasets/mine")
    assert [one["name"] for one in client.get("/api/datasets")] == ["few", "other"]


def test_a_zip_is_brought(client, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for i in range(4):
            archive.writestr(f"{i}.png", picture((60 * i, 10, 10)))
    client.wait(client.import_pictures(tmp_path / "all.zip", "zipped", size="16"))
    assert client.get("/api/datasets/zipped")["count"] == 4


@pytest.mark.parametrize("path", ["../../escape.png", "/etc/escape.png", "a/../../../escape.png", "..\\..\\escape.png"])
def test_no_file_of_an_import_leaves_its_stage(client, server, path):
    stage = client.post("/api/stages")["id"]
    client.request("PUT", f"/api/stages/{stage}/files", params={"path": path}, content=picture())
    found = [one.relative_to(server.home) for one in server.home.parent.rglob("escape.png")]
    assert [one.parts[:3] for one in found] == [("studio", "stages", stage)]
    client.request("DELETE", f"/api/stages/{stage}")


def test_an_upload_is_pixels_and_nothing_else(client):
    exif = Image.Exif()
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)  # where it was taken
    exif[0x010E] = "my secret"
    data = picture(form="JPEG", exif=exif) + b"<script>alert(1)</script>"
    row = sent(client, data, "<img src=x>.jpg")
    answer = client.request("GET", row["url"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for word in (b"secret", b"script", b"Exif"):
        assert word not in answer.content


def bomb():
    """A PNG that promises 30,000 × 30,000 pixels."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read"),
        (b"hello", "cannot be read"),
        (picture()[:90], "truncated|damaged|ends too early"),
        (bomb(), "megapixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>1</script>", "cannot be read"),
        (b"%PDF-1.4 hello", "cannot be read"),
        (b"\x80\x04\x95pickle", "cannot be read"),
    ],
    ids=["empty", "text", "cut off", "bomb", "broken svg", "pdf", "pickle"],
)
def test_what_is_no_picture_is_refused_in_words(client, data, said):
    with pytest.raises(GessoError, match=said):
        sent(client, data)
    assert client.get("/api/about")["version"] == gesso.__version__


def test_too_much_is_not_taken(client):
    def endless():
        for _ in range(80):
            yield bytes(1 << 20)

    with pytest.raises(GessoError, match="larger than 64 MB"):
        client.request("POST", "/api/uploads", params={"name": "a.png"}, content=endless())


def test_forms_are_the_same_squeezed_or_not(client):
    answers = [client.request("GET", "/api/tasks", headers={"accept-encoding": how}) for how in ("gzip", "identity")]
    assert [one.headers.get("content-encoding") for one in answers] == ["gzip", None]
    assert answers[0].json() == answers[1].json()
    assert {one["name"] for one in answers[0].json()} >= {"train", "sample", "gather"}


def test_pictures_are_found_again(client, drawn):
    assert [one["seed"] for one in client.get("/api/pictures", run=1, sort="oldest")["pictures"]][:4] == [7, 8, 9, 10]
    for wish, count in (
        ({"q": "9 gan"}, 1), ({"seed": 8}, 1), ({"family": "gan"}, 4), ({"family": "vae"}, 0), ({"q": "nowhere"}, 0),
        ({"min_side": 17}, 0), ({"max_side": 16, "shape": "square"}, 4), ({"shape": "wide"}, 0), ({"q": "100%"}, 0),
    ):  # fmt: skip
        assert client.get("/api/pictures", task="sample", **wish)["total"] == count, wish
    one = client.get(f"/api/pictures/{drawn[0]}")
    assert client.get("/api/pictures", colour=one["colours"][0])["total"] >= 1
    assert one["recipe"]["seed"] == 7
    assert "Seed: 7" in one["parameters"]
    thumb = client.request("GET", one["thumb"])
    assert thumb.headers["content-type"] == "image/webp"
    assert client.request("GET", one["url"]).content[:4] == b"\x89PNG"


def test_stars_boards_notes_and_the_trash(client, drawn):
    board = client.post("/api/boards", {"name": "Best"})["id"]
    client.request(
        "PATCH", f"/api/pictures/{drawn[0]}", json={"starred": True, "note": "the good one", "boards": [board]}
    )
    assert client.get("/api/pictures", starred=True)["total"] == 1
    assert client.get("/api/pictures", q="good one")["pictures"][0]["id"] == drawn[0]
    assert client.post("/api/pictures/mark", {"pictures": drawn, "add": board})["changed"] == 4
    assert client.get("/api/boards")[0]["count"] == 4
    client.post("/api/pictures/mark", {"pictures": drawn[1:], "remove": board})
    assert client.get("/api/pictures", board=board)["total"] == 1
    client.request("DELETE", f"/api/pictures/{drawn[3]}")
    assert client.get("/api/pictures", run=1, task="sample")["total"] == 3
    assert client.post(f"/api/pictures/{drawn[3]}/undelete")["missing"] is False
    assert client.get("/api/pictures", run=1, task="sample")["total"] == 4
    client.request("DELETE", f"/api/boards/{board}")
    assert client.get("/api/boards") == []


def test_again_is_the_same_picture_and_vary_another(client, drawn):
    def pixels(key):
        return np.asarray(Image.open(io.BytesIO(client.request("GET", f"/api/pictures/{key}/file").content)))

    again = client.wait(client.post(f"/api/pictures/{drawn[1]}/again", {}))["result"]["pictures"][0]
    assert (pixels(again) == pixels(drawn[1])).all()
    other = client.wait(client.post(f"/api/pictures/{drawn[1]}/again", {"seed": None}))["result"]["pictures"][0]
    assert (pixels(other) != pixels(drawn[1])).any()


def test_mixtures_are_made_again_with_the_choices_they_were_made_with(client, drawn):
    def files(job):
        made = client.wait(job)["result"]["pictures"][1:]
        return made, [client.request("GET", f"/api/pictures/{one}/file").content for one in made]

    how = {"run": "1", "seeds": "7,9", "how": "breed", "count": 2, "seed": 5, "set": ["truncation=0.6"]}
    made, first = files(client.ask("mix", **how))
    assert client.get(f"/api/pictures/{made[0]}")["again"] == {
        "task": "mix", "options": client.get(f"/api/pictures/{made[1]}")["again"]["options"]
    }  # fmt: skip
    again = files(client.post(f"/api/pictures/{made[0]}/again", {}))[1]
    assert all(same(one, other) for one, other in zip(again, first, strict=True))


def test_a_work_knows_what_it_was_made_from(client, drawn):
    large = client.wait(client.ask("upscale", picture=f"picture:{drawn[0]}", factor=4))["result"]["pictures"][0]
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[20:28, 20:28] = 255
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG")
    hole = sent(client, out.getvalue(), "mask.png")["id"]
    job = client.ask("inpaint", picture=f"picture:{large}", mask=f"upload:{hole}", seed=3)
    made = client.wait(job)["result"]["pictures"][0]
    found = client.get(f"/api/pictures/{made}")
    assert [one.get("id") for one in found["parents"]] == [large, None]
    assert found["parents"][1]["name"] == "mask.png"
    assert made in [one["id"] for one in client.get(f"/api/pictures/{large}")["children"]]
    assert large in [one["id"] for one in client.get(f"/api/pictures/{drawn[0]}")["children"]]
    assert found["again"]["options"]["picture"] == f"picture:{large}"
    again = client.wait(client.post(f"/api/pictures/{made}/again", {}))["result"]["pictures"][0]
    assert again != made
    restored = client.request("POST", "/api/recipes", params={"name": "x"},
                              content=client.request("GET", f"/api/pictures/{made}/file").content).json()  # fmt: skip
    assert restored["recipe"]["task"] == "inpaint"


def test_settings_come_out_of_another_tools_picture(client):
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    said.add_text(
        "parameters", "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 42, Size: 64x64"
    )
    row = sent(client, picture(pnginfo=said))
    assert row["recipe"]["tool"] == "a1111"
    assert (row["recipe"]["seed"], row["recipe"]["text"]) == (42, "a cat")


def test_a_selection_leaves_as_a_file(client, drawn):
    done = client.wait(client.ask("gather", pictures=[f"picture:{one}" for one in drawn], form="zip"))
    file = done["result"]["files"][0]
    with zipfile.ZipFile(io.BytesIO(client.request("GET", file["url"]).content)) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 4
        assert len(json.loads(archive.read("pictures.json"))["pictures"]) == 4


def test_a_scene_of_what_is_here(client, drawn):
    scene = {
        "layers": [
            {"kind": "colour", "colour": "#204060"}, {"kind": "picture", "picture": f"picture:{drawn[0]}", "width": 32},
        ], "formats": {"wide": {"size": "96x48"}, "tall": {"size": "48x96"}},
    }  # fmt: skip
    done = client.wait(client.ask("compose", scene=scene))
    assert len(done["result"]["pictures"]) == 2


def test_what_came_by_the_command_line_is_found(client, server):
    gesso.run("sample", run="1", count=1, seed=99, home=server.home)
    for _ in range(400):
        if client.get("/api/pictures", seed=99)["total"]:
            break
        time.sleep(0.1)
    assert client.get("/api/pictures", seed=99)["total"] == 1


def test_a_run_that_is_gone(client):
    for path in ("/api/runs/77", "/api/runs/77/log", "/api/runs/77/drawing"):
        with pytest.raises(GessoError, match="no run"):
            client.get(path)
    with pytest.raises(GessoError, match="no run"):
        client.wait(client.ask("sample", run="77"))


def test_events_are_told_again_from_where_one_was(client):
    listening = client.events()
    hello = next(listening)
    assert hello["event"] == "hello"
    done = client.wait(client.ask("list"))
    heard = []
    for event in listening:
        heard.append(event)
        if event["event"] == "job" and event["data"]["id"] == done["id"] and event["data"]["status"] == "done":
            break
    again = client.events(after=heard[0]["id"])
    next(again)
    assert [next(again)["id"] for _ in heard[1:]] == [event["id"] for event in heard[1:]]
    elsewhere = client.events(after="00000000-5")
    assert [next(elsewhere)["event"] for _ in range(2)] == ["hello", "reset"]
    for one in (listening, again, elsewhere):
        one.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files there")
def test_a_full_disk_is_told_and_costs_nothing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    with Server(tmp_path, largest=500_000) as server, server.client() as client:
        with pytest.raises(GessoError, match="could not be written"):
            sent(client, out.getvalue())
        made = list[str]()

        def fill():
            while len(made) < 2000:
                made.append(client.post("/api/boards", {"name": "x" * 120})["id"])

        with pytest.raises(GessoError, match="database could not be written"):
            fill()
        with pytest.raises(GessoError, match="could not be written"):
            client.ask("list")
        assert len(client.get("/api/boards")) == len(made) > 0
        assert not list((tmp_path / "studio" / "uploads").iterdir())
