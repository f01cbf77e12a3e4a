"""Rights and marks in the studio: files verified, pictures made again, settings kept, labels not lost on the way."""

import io
import json
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gesso.errors import GessoError
from gesso.marks.context import imprinting
from gesso.marks.imprint import MarkChoices, save_choices
from gesso.marks.label import AIGC, Aigc, packet
from gesso.marks.reading import aigc_of
from gesso.marks.recipe import read_source
from gesso.studio.marks import _said, unread, verified


@pytest.fixture(scope="module")
def drawn(client):
    """A picture of the run, in the gallery: its id."""
    return client.wait(client.ask("sample", run="1", count=1, seed=7))["result"]["pictures"][0]


@pytest.fixture(scope="module")
def saved(client, drawn, tmp_path_factory):
    """The same, as a file."""
    return client.save(drawn, tmp_path_factory.mktemp("saved"))


def plain(form="PNG", **more):
    """A file of a picture that says nothing."""
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, form, **more)
    return out.getvalue()


def sent(client, data, name, **more):
    return client.request("POST", "/api/verify", params={"name": name, **more}, content=data).json()


def test_a_picture_of_this_home_is_trusted(client, drawn, saved):
    here, there = client.get(f"/api/pictures/{drawn}/verify"), client.verify(saved)
    assert here == there
    assert here["name"] == saved.name
    assert "path" not in here
    assert here["verdict"] == "trusted"
    assert (here["machine"], here["source"]) == ("signed", "trainedAlgorithmicMedia")
    assert here["recipe"]["seed"] == 7
    assert here["ledger"]["task"] == "sample"
    assert here["written"] is True
    assert here["words"][0] == "Unchanged since it was signed, by one who is trusted here."


def test_without_the_watermark_nobody_looks_for_it(client, drawn):
    assert client.get(f"/api/pictures/{drawn}/verify", watermark=False)["looked"] is False
    assert client.get(f"/api/pictures/{drawn}/verify")["looked"] is True


def test_no_path_of_this_machine_is_told(client, server, saved):
    told = json.dumps([client.verify(saved), client.get("/api/marks"), sent(client, b"nothing", "a.png")])
    assert str(server.home) not in told


def test_a_changed_picture_is_not_called_good(client, saved):
    data = bytearray(saved.read_bytes())
    data[data.index(b"IDAT") + 40] ^= 1
    found = sent(client, bytes(data), "mine.png")
    assert found["verdict"] == "changed"
    assert found["machine"] != "signed"
    assert found["written"] is False


@pytest.mark.parametrize(("name", "data", "verdict"), [
    ("plain.png", plain(), "unmarked"), ("plain.jpg", plain("JPEG"), "unmarked"),
    ("../../etc/passwd", b"root:x:0:0", "unmarked"), ("cut.png", plain()[:200], "unreadable"),
    ("..", plain(), "unmarked"), ("图.png", plain(), "unmarked"), ("no ending", b"", "unreadable"),
])  # fmt: skip
def test_any_file_gets_an_answer(client, name, data, verdict):
    found = sent(client, data, name)
    assert found["verdict"] == verdict
    assert found["credentials"]["state"] == "none"
    assert found["name"] == (name.rpartition("/")[2])
    assert found["words"]


def test_settings_of_another_tool_are_told(client):
    texts = PngInfo()
    texts.add_text("parameters", "a red fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12345, Size: 40x48")
    found = sent(client, plain(pnginfo=texts), "theirs.png", watermark=False)
    assert (found["verdict"], found["machine"]) == ("marked", "said")
    assert (found["settings"]["tool"], found["settings"]["seed"]) == ("a1111", 12345)


def test_too_much_is_refused_in_words(client):
    with pytest.raises(GessoError, match="larger than 64 MB"):
        client.request("POST", "/api/verify", params={"name": "a.png"}, content=bytes((64 << 20) + 1))


def test_nothing_of_it_is_kept(client, server):
    before = sorted(server.home.rglob("*"))
    sent(client, plain(), "gone.png")
    assert sorted(server.home.rglob("*")) == before


def test_what_kills_its_process_is_told_as_unreadable(tmp_path):
    found = unread(str(tmp_path / "a.png"), "a.png", "It took too much memory.")
    assert (found["verdict"], found["notes"]) == ("unreadable", ["It took too much memory."])


def test_what_cannot_be_read_here_is_named_without_its_path(tmp_path):
    (tmp_path / "a.png").write_bytes(plain())
    save_choices(tmp_path, MarkChoices.of({"anchors": str(tmp_path / "private" / "partners.pem")}))
    found = verified(str(tmp_path / "a.png"), "a.png", str(tmp_path), False)
    assert found["notes"] == ["partners.pem cannot be read: No such file or directory."]
    assert str(tmp_path) not in json.dumps(found)


def test_what_json_cannot_say_is_left_out():
    deep = []
    for _ in range(100):
        deep = [deep]
    said = _said({"nan": float("nan"), "half": "\ud800", "long": "x" * 30_000, "bytes": b"a", 3: (1, True), "d": deep})
    json.dumps(said, allow_nan=False).encode()
    assert (said["nan"], said["half"], said["3"], len(said["long"])) == (None, "?", [1, True], 20_001)


def test_it_is_made_again_and_is_identical(client, drawn):
    done = client.wait(client.post(f"/api/pictures/{drawn}/replay"))
    assert done["task"] == "replay"
    assert done["result"]["facts"]["pictures"][0]["identical"] is True


def test_settings_are_kept_and_followed(client, drawn):
    first = client.marks()
    assert first["choices"]["profile"] == "none"
    assert first["identity"]["own"] is True
    assert first["files"] == {"key": False, "certificate": False, "anchors": False}
    try:
        changed = client.set_marks(profile="eu", creator=" Ada\n Example ", corner="top-left", keep_days=200)
        assert changed == client.marks()
        assert changed["choices"] == {
            **first["choices"], "profile": "eu", "creator": "Ada Example", "corner": "top-left", "keep_days": 200,
        }  # fmt: skip
        made = client.wait(client.ask("sample", run="1", count=1, seed=8))["result"]["pictures"][0]
        found = client.get(f"/api/pictures/{made}/verify", watermark=False)
        assert found["recipe"]["written"]["label"] == "AI-generated"
        assert found["aigc"][0]["Label"] == "1"
    finally:
        client.set_marks(profile="none", creator="", corner="bottom-right", keep_days=0)
    assert client.marks() == first


@pytest.mark.parametrize(("wrong", "problem"), [
    ({"profile": "us"}, "profile does not fit"), ({"keep_days": -1}, "keep_days does not fit"),
    ({"text": "水印"}, "cannot draw"), ({"text": "A" * 39}, "too long"), ({"text": "A" * 41}, "text does not fit"),
    ({"key": "/etc/passwd"}, "There is no 'key' here"), ({"certificate": "upload:1"}, "no 'certificate' here"),
    ({"watermark": "perhaps"}, "watermark does not fit"),
])  # fmt: skip
def test_settings_that_do_not_fit_change_nothing(client, wrong, problem):
    before = client.marks()
    with pytest.raises(GessoError, match=problem):
        client.set_marks(**wrong, producer="not this")
    assert client.marks() == before


def test_keys_and_paths_are_no_choices_of_pages(client):
    tasks = {one["name"]: one["schema"]["properties"] for one in client.get("/api/tasks")}
    assert not {"key", "certificate", "anchors"} & tasks["marks"].keys()
    assert tasks["replay"].keys() == {"pictures"}
    with pytest.raises(GessoError, match="find does not fit"):
        client.ask("ledger", find="/etc/passwd")


def test_the_ledger_is_checked_and_taken_along(client, drawn):
    facts = client.wait(client.ask("ledger"))["result"]["facts"]
    assert facts["entries"] >= 1
    assert facts["problems"] == []
    table = client.request("GET", "/api/marks/ledger").text.splitlines()
    lines = client.request("GET", "/api/marks/ledger", params={"form": "jsonl"}).text.splitlines()
    assert len(table) == len(lines) + 1 == facts["entries"] + 1
    assert json.loads(lines[-1])["hash"] == facts["head"]


def test_the_certificate_is_had_and_the_key_is_not(client):
    answer = client.request("GET", "/api/marks/certificate")
    assert answer.text.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in answer.text
    assert answer.headers["content-disposition"].endswith('.pem"')


LABEL = Aigc(Label="1", ContentProducer="someone", ProduceID="42")
TOLD = packet("1", "trainedAlgorithmicMedia", aigc=LABEL)


def png(told):
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", told.decode())
    return plain(pnginfo=texts)


def aigc_alone():
    texts = PngInfo()
    texts.add_text("AIGC", json.dumps({"Label": "1", "ContentProducer": "someone", "ProduceID": "42"}))
    return plain(pnginfo=texts)


@pytest.mark.parametrize(("name", "data", "source", "label"), [
    ("a.png", png(TOLD), "trainedAlgorithmicMedia", LABEL),
    ("a.jpg", plain("JPEG", xmp=TOLD), "trainedAlgorithmicMedia", LABEL),
    ("a.webp", plain("WEBP", lossless=True, xmp=TOLD), "trainedAlgorithmicMedia", LABEL),
    ("b.png", aigc_alone(), None, LABEL), ("c.png", png(packet("1", "digitalCapture")), "digitalCapture", None),
    ("d.png", plain(), None, None),
])  # fmt: skip
def test_labels_are_not_lost_on_the_way(client, server, name, data, source, label):
    key = client.request("POST", "/api/uploads", params={"name": name}, content=data).json()["id"]
    kept = server.home / "studio" / "uploads" / f"{key}.png"
    assert kept.read_bytes().count(AIGC.encode()) == (1 if source or label else 0)
    assert (read_source(kept), aigc_of(kept)) == (source, label)


def test_the_word_of_credentials_is_not_lost_either(client, server, saved):
    data = saved.read_bytes()
    key = client.upload(saved).partition(":")[2]
    kept = server.home / "studio" / "uploads" / f"{key}.png"
    assert read_source(kept) == "trainedAlgorithmicMedia"
    assert b"caBX" in data
    assert not re.search(rb"caBX|parameters|gesso:recipe>", kept.read_bytes())  # it is another file: pixels and labels


def test_a_work_of_an_upload_says_what_that_said(client, server):
    upload = client.request("POST", "/api/uploads", params={"name": "a.png"}, content=png(TOLD)).json()["id"]
    made = client.wait(client.ask("upscale", picture=f"upload:{upload}", factor=2))["result"]["pictures"][0]
    found = client.get(f"/api/pictures/{made}/verify", watermark=False)
    assert found["source"] == "compositeWithTrainedAlgorithmicMedia"
    assert len(found["aigc"]) == 1


def test_others_get_nothing(server):
    for method, path in (("POST", "/api/verify?name=a.png"), ("GET", "/api/marks"), ("GET", "/api/marks/certificate")):
        assert httpx.request(method, server.address + path, trust_env=False).status_code == 401


def test_a_picture_is_verified_by_the_home_that_is_named(tmp_path, saved):
    with imprinting(tmp_path / "other"):
        found = verified(str(saved), "a.png", str(tmp_path / "new"), False)
    assert found["verdict"] == "valid"  # signed by one who is not known there
    assert found["ledger"] is None


def test_a_data_set_and_its_runs_tell_what_may_be_done(client, tmp_path):
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    rows = ["file_name,licence,creator", "0.png,CC-BY-NC-4.0,Ada", "1.png,CC0,", "2.png,CC0,", "3.png,,"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    client.wait(client.import_pictures(tmp_path, "mixed", size="32"))
    rights = client.get("/api/datasets/mixed")["rights"]
    assert (rights["commercial"], rights["attribution"], rights["unknown"]) == ("no", True, 1)
    assert rights["licences"]["CC0-1.0"] == 2
    assert "not allowed" in rights["verdict"]
    run = client.wait(client.ask("train", dataset="mixed", family="gan", minutes=0.02))["run"]
    learned = client.get(f"/api/runs/{int(run[:4])}")["rights"]
    assert learned["commercial"] == "no"
    assert learned["verdict"] == rights["verdict"]

    asked = client.wait(client.ask("withdraw", dataset="mixed", picture=["0"], dry_run=True))["result"]["facts"]
    assert [one["run"] for one in asked["runs"]] == [run]
    assert client.get("/api/datasets/mixed")["count"] == 4
    client.wait(client.ask("withdraw", dataset="mixed", picture=[asked["pictures"][0]["sha256"]]))
    left = client.get("/api/datasets/mixed")
    assert (left["count"], left["rights"]["attribution"]) == (3, False)
    assert client.get(f"/api/runs/{int(run[:4])}")["rights"]["commercial"] == "no"  # as it was when it was trained


def test_the_label_is_drawn_as_it_will_be(client):
    def drawn_with(**asked):
        data = client.request("GET", "/api/marks/label", params=asked).content
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)

    plainly, there = drawn_with(), drawn_with(text="AI生成", corner="top-left")
    apart = np.argwhere(np.abs(plainly - there).max(-1) > 0)
    assert len(apart) > 100
    assert apart[:, 0].max() < 100
    assert apart[:, 1].max() < 160
    with pytest.raises(GessoError, match="cannot draw '水'"):
        drawn_with(text="水印")
