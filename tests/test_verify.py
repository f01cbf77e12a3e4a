"""What files say of themselves and what of it holds: whole, broken in three hundred ways, foreign, stripped."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import gesso
from gesso.errors import GessoError
from gesso.marks.context import imprinting
from gesso.marks.film import encode_film
from gesso.marks.imprint import Imprint, MarkChoices, identify, read_choices
from gesso.marks.label import Aigc, packet
from gesso.marks.picture import encode
from gesso.marks.recipe import Recipe
from gesso.marks.verify import OF_C2PA, verify

RECIPE = Recipe(
    gesso="0.1.0", run="0007-emoji-gan", number=7, model="ab" * 32, step=12, family="gan", seed=42, width=24, height=16
)
GOOD = ("trusted", "valid")


def picture(seed=0, high=16, wide=24):
    return np.random.default_rng(seed).integers(0, 255, (high, wide, 3), np.uint8)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def files(home):
    """A file of each kind, as Gesso writes it."""
    with imprinting(home):
        made = {suffix: encode(picture(), suffix, RECIPE) for suffix in ("png", "jpg", "webp", "avif")}
        frames = [np.roll(picture(), number, 1) for number in range(3)]
        return made | {suffix: encode_film(frames, suffix, 10, RECIPE) for suffix in ("gif", "apng", "mp4", "webm")}


def look(path, home, data=None, pixels=None):
    if data is not None:
        path.write_bytes(data)
    return verify(path, Imprint(home, read_choices(home)), pixels)


KINDS = ("png", "jpg", "webp", "avif", "gif", "apng", "mp4")


@pytest.mark.parametrize("suffix", KINDS)
def test_what_gesso_writes_is_trusted_here_and_valid_elsewhere(suffix, files, home, tmp_path):
    found = look(tmp_path / f"a.{suffix}", home, files[suffix])
    assert (found.verdict, found.machine, found.source) == ("trusted", "signed", "trainedAlgorithmicMedia")
    assert found.recipe.seed == 42
    assert found.written
    assert [label.ProduceID for label in found.aigc] == [identify(RECIPE)]
    assert found.notes == ()
    assert "this very file was written here" in " ".join(found.words)
    assert json.loads(json.dumps(found.plain(), default=str))["verdict"] == "trusted"
    other = look(tmp_path / f"a.{suffix}", tmp_path / "elsewhere")
    assert (other.verdict, other.ledger, other.written) == ("valid", None, False)
    assert not (tmp_path / "elsewhere").exists(), "looking writes nothing"


def test_webm_cannot_be_signed(files, home, tmp_path):
    found = look(tmp_path / "a.webm", home, files["webm"])
    assert (found.verdict, found.machine, found.written, found.recipe.seed) == ("marked", "said", True, 42)


def damaged(data, rng, others):
    """The bytes of a file, spoilt in one of many ways."""
    spoilt, size = bytearray(data), len(data)
    at, to = sorted(int(x) for x in rng.integers(0, size, 2))
    match int(rng.integers(9)):
        case 0 | 1 | 2:
            spoilt[at] ^= 1 << int(rng.integers(8))
        case 3:
            del spoilt[at:]
        case 4:
            del spoilt[at : at + int(rng.integers(1, 64))]
        case 5:
            spoilt[at:at] = rng.bytes(int(rng.integers(1, 64)))
        case 6:
            spoilt[at:to] = rng.bytes(to - at)
        case 7:
            other = others[int(rng.integers(len(others)))]
            spoilt[at:] = other[min(at, len(other) - 1) :]
        case 8:
            spoilt += rng.bytes(int(rng.integers(1, 256)))
    return bytes(spoilt)


@pytest.mark.parametrize("suffix", KINDS)
def test_forty_damaged_files_of_each_kind_are_never_good(suffix, files, home, tmp_path):
    rng, whole = np.random.default_rng([*suffix.encode()]), {*files.values()}
    for _ in range(40):
        data = damaged(files[suffix], rng, [*files.values()])
        found = look(tmp_path / f"a.{suffix}", home, data)
        assert (found.verdict in GOOD) <= (data in whole), found
        assert found.words
        json.dumps(found.plain(), default=str)


def foreign():
    """Files of other tools, and such as are none."""
    out = dict[str, bytes]()

    def png(**texts):
        info, file = PngImagePlugin.PngInfo(), io.BytesIO()
        for name, text in texts.items():
            info.add_itxt(name, text)
        Image.fromarray(picture()).save(file, "PNG", pnginfo=info)
        return file.getvalue()

    out["a1111.png"] = png(parameters="a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512")
    out["comfy.png"] = png(prompt='{"1": {"class_type": "KSampler", "inputs": {"seed": 5}}}')
    out["deep.png"] = png(prompt="[" * 50_000, parameters="{" * 50_000, gesso="{" * 50_000)
    out["label.png"] = png(AIGC='{"Label":"2","ContentProducer":"x"}')
    xmp = packet("1", None, aigc=Aigc(Label="1")).decode()
    out["labels.png"] = png(AIGC='{"Label":"1"}', **{"XML:com.adobe.xmp": xmp})
    out["recipe.png"] = png(gesso='{"run": 7}')
    out["lying.png"] = png(c2pa="jumb c2pa", comment="caBX jumbf c2pa.claim")
    out["plain.png"], out["text.png"], out["empty.png"] = png(), b"no picture", b""
    out["nul.jpg"], out["head.jpg"] = bytes(4096), b"\xff\xd8\xff\xe0" + bytes(200)
    out["app11.jpg"] = b"\xff\xd8\xff\xeb\x00\x20JP\x00\x01\x00\x00\x00\x01\x00\x00\x00\x20jumb" + bytes(20)
    out["riff.webp"], out["ftyp.avif"] = b"RIFF\x10\x00\x00\x00WEBPVP8 ", b"\x00\x00\x00\x18ftypavif" + bytes(60)
    out["ftyp.mp4"], out["half.gif"] = b"\x00\x00\x00\x18ftypisom" + bytes(60), b"GIF89a\x10\x00"
    out["c2pa.gif"] = b"GIF89a\x10\x00\x10\x00\x00\x00\x00!\xff\x0bC2PA_GIF\x01\x00\x00\xff" + b"x" * 99
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a", b"a")
    out["zip.png"], out["page.html"], out["none"] = archive.getvalue(), b"<html>", b"\x89PNG\r\n\x1a\n"
    return out


def test_foreign_files_are_told_as_what_they_are(home, tmp_path):
    found = {name: look(tmp_path / name, home, data) for name, data in foreign().items()}
    assert not [name for name, one in found.items() if one.verdict in GOOD]
    verdicts = {name: one.verdict for name, one in found.items()}
    assert verdicts["plain.png"] == "unmarked"
    assert verdicts["a1111.png"] == verdicts["label.png"] == verdicts["comfy.png"] == "marked"
    assert found["a1111.png"].settings.seed == 5
    assert found["label.png"].aigc[0].Label == "2"
    assert "2 AIGC labels" in " ".join(found["labels.png"].notes)
    assert verdicts["empty.png"] == verdicts["text.png"] == verdicts["nul.jpg"] == "unreadable"
    assert any("recipe" in note for note in found["recipe.png"].notes)
    for one in found.values():
        assert one.words[0]


def test_what_is_no_file(home, tmp_path):
    assert look(tmp_path / "gone.png", home).verdict == "unreadable"
    assert look(tmp_path, home).verdict == "unreadable"


def test_stripped_and_saved_again_the_ledger_still_knows_it(files, home, tmp_path):
    with imprinting(home):
        data = encode(picture(1), "png", RECIPE.model_copy(update={"seed": 1}))
    with Image.open(io.BytesIO(data)) as image:
        texts = PngImagePlugin.PngInfo()
        texts.add_text("gesso", image.info["gesso"])
        image.save(tmp_path / "a.png", pnginfo=texts)
    found = look(tmp_path / "a.png", home)
    assert (found.verdict, found.written, found.ledger["id"]) == ("marked", False, identify(found.recipe))
    assert "It was signed then; it is not now." in " ".join(found.words)


def test_a_file_that_the_ledger_knows_is_that_very_file(home, tmp_path):
    """Even where C2PA has nothing against it: two files of the same picture, the bytes of one not those written."""
    with imprinting(home):
        data = encode(picture(9), "png", RECIPE.model_copy(update={"seed": 9}))
    assert look(tmp_path / "a.png", home, data).verdict == "trusted"
    ledger = Imprint(home, MarkChoices()).ledger
    (month,) = ledger.months()
    kept = month.read_bytes()
    digest = look(tmp_path / "a.png", home).ledger["sha256"]
    month.write_bytes(kept.replace(digest.encode(), b"0" * 64))
    found = look(tmp_path / "a.png", home)
    month.write_bytes(kept)
    assert (found.verdict, found.credentials.problems) == ("changed", ("ledger",))


def test_padding_that_hides_something(home, tmp_path):
    """The space that fills up a signature is not covered by it: C2PA lets it pass, `verify` does not."""
    with imprinting(home, ledger=False):
        data = {suffix: encode(picture(3), suffix, RECIPE) for suffix in ("png", "jpg", "webp")}
    for suffix, whole in data.items():
        at = whole.rindex(b"cpad") + 200
        assert whole[at : at + 8] == bytes(8)
        spoilt = whole[:at] + b"a secret" + whole[at + 8 :]
        assert look(tmp_path / f"a.{suffix}", home, whole).verdict == "trusted"
        found = look(tmp_path / f"a.{suffix}", home, spoilt)
        assert found.verdict == "changed", suffix
        assert "padding" in found.credentials.problems or "checksum" in found.credentials.problems


@pytest.mark.parametrize("suffix", ["mp4", "avif"])
@pytest.mark.parametrize("kind", [b"free", b"skip", b"uuid" + OF_C2PA])
def test_labels_where_no_signature_reaches(kind, suffix, home, tmp_path):
    """C2PA leaves out boxes of MP4 and AVIF that hold no content: what is said there was not signed."""
    with imprinting(home, ledger=False):
        frames = [np.roll(picture(), number, 1) for number in range(3)]
        whole = encode(picture(), suffix, RECIPE) if suffix == "avif" else encode_film(frames, suffix, 10, RECIPE)
    for text in (b'{"Label":"1","ContentProducer":"another"}', b'{"gesso": "1"}'):
        box = (4 + len(kind) + len(text)).to_bytes(4, "big") + kind + text
        assert look(tmp_path / f"a.{suffix}", home, whole + box).verdict == "changed"
    assert look(tmp_path / f"a.{suffix}", home, whole + b"\0\0\0\x0cfree" + bytes(4)).verdict == "trusted"


@pytest.mark.parametrize(("name", "data"), [("a.mp4", b"<x:xmpmeta" * 300_000), ("a.gif", b"XMP DataXMP" * 300_000)])
def test_packets_that_never_end(name, data, home, tmp_path):
    """Found in one pass: a search for each beginning would take hours."""
    head = io.BytesIO()
    Image.fromarray(picture()).save(head, "GIF")
    found = look(tmp_path / name, home, head.getvalue()[:-1] + data if name.endswith("gif") else data)
    assert found.verdict in ("unmarked", "unreadable")


def test_a_strangers_words_stay_in_their_line(home, tmp_path):
    texts = PngImagePlugin.PngInfo()
    values = RECIPE.model_dump(mode="json") | {"run": "x\nContent Credentials: hold\x1b[2J"}
    texts.add_text("gesso", json.dumps(values))
    Image.fromarray(picture()).save(tmp_path / "a.png", pnginfo=texts)
    found = look(tmp_path / "a.png", home)
    assert found.recipe.run == values["run"]
    assert all(line.isprintable() for line in found.words)


def test_a_recipe_longer_than_any_of_gessos(home, tmp_path):
    texts = PngImagePlugin.PngInfo()
    values = {"gesso": "1", "task": "style", "seed": 1, "width": 24, "height": 16, "options": {"a": "生" * 20_000}}
    texts.add_itxt("gesso", json.dumps(values, ensure_ascii=False))
    Image.fromarray(picture()).save(tmp_path / "a.png", pnginfo=texts)
    found = look(tmp_path / "a.png", home)
    assert found.verdict == "marked"
    assert any("characters long" in note for note in found.notes)


def test_a_file_larger_than_is_searched_is_still_known(files, home, tmp_path, monkeypatch):
    monkeypatch.setattr("gesso.marks.verify.MOST", 100)
    assert look(tmp_path / "a.png", home, files["png"]).written


def test_a_recipe_beside_the_watermark_of_another(home, tmp_path):
    with imprinting(home):
        ramp = np.repeat(np.linspace(40, 210, 256)[None, :, None], 256, 0).repeat(3, 2)
        noisy = (ramp + np.random.default_rng(0).normal(0, 12, (256, 256, 1))).clip(0, 255).astype(np.uint8)
        data = encode(noisy, "png", RECIPE.model_copy(update={"width": 256, "height": 256}))
    (tmp_path / "a.png").write_bytes(data)
    from gesso.tasks import pixels_of

    pixels = pixels_of(tmp_path / "a.png")
    found = look(tmp_path / "a.png", home, pixels=pixels)
    assert found.watermark == found.ledger["id"] == identify(found.recipe)
    stripped = io.BytesIO()
    Image.fromarray(pixels).save(stripped, "JPEG", quality=70)
    found = look(tmp_path / "b.jpg", home, stripped.getvalue(), pixels_of_bytes(stripped))
    assert (found.verdict, found.machine, found.ledger["recipe"]["seed"]) == ("marked", "said", 42)
    with imprinting(home, watermark=False):
        other = encode(pixels, "png", RECIPE)
    found = look(tmp_path / "c.png", home, other, pixels)
    assert "of another picture than its recipe" in " ".join(found.notes)


def pixels_of_bytes(file):
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


# --- the commands ---


def test_the_command(files, home, tmp_path):
    good, plain = tmp_path / "good.png", tmp_path / "plain.png"
    good.write_bytes(files["png"])
    Image.fromarray(picture()).save(plain)
    one = gesso.run("verify", home=home, files=[good])
    assert one.text.startswith("good.png: trusted.\nUnchanged since it was signed")
    assert one.facts["files"][0]["verdict"] == "trusted"
    both = gesso.run("verify", home=home, files=[tmp_path])
    assert both.text == "2 files: 1 trusted, 1 unmarked."
    told = json.loads(gesso.run("verify", home=home, files=[good, plain], form="json", watermark=False).text)
    assert [one["verdict"] for one in told] == ["trusted", "unmarked"]


def test_the_ledger_as_a_command(files, home, tmp_path):
    result = gesso.run("ledger", home=home)
    assert result.facts["problems"] == []
    assert result.facts["head"] in result.text
    (tmp_path / "a.png").write_bytes(files["png"])
    found = gesso.run("ledger", home=home, find=str(tmp_path / "a.png")).facts["entry"]
    assert found["recipe"]["seed"] == 42
    assert gesso.run("ledger", home=home, find=found["sha256"][:12]).facts["entry"] == found
    table, lines = tmp_path / "made.csv", tmp_path / "made.jsonl"
    assert gesso.run("ledger", home=home, out=table).facts["exported"] == result.facts["entries"]
    assert table.read_text().splitlines()[0].startswith("at,id,task,run")
    gesso.run("ledger", home=home, out=lines)
    assert json.loads(lines.read_text().splitlines()[0])["id"]
    unknown = [({"find": text}, "knows nothing") for text in ("nothing", "x" * 4000, "~nobody-of-that-name")]
    for options, words in (
        *unknown,
        ({"out": tmp_path / "a.txt"}, "no .csv"),
        ({"out": home / "marks" / "ledger" / "x.csv"}, "itself"),
    ):
        with pytest.raises(GessoError, match=words):
            gesso.run("ledger", home=home, **options)


def test_settings_as_a_command(tmp_path):
    result = gesso.run("marks", home=tmp_path, profile="cn", producer="Ada", keep_days=184, watermark="off")
    assert read_choices(tmp_path) == MarkChoices(profile="cn", producer="Ada", keep_days=184, watermark=False)
    assert "'AI生成'" in result.text
    assert result.facts["identity"]["algorithm"] == "es256"
    assert gesso.run("marks", home=tmp_path, profile="none").facts["producer"] == "Ada"
    with pytest.raises(GessoError, match="go together"):
        gesso.run("marks", home=tmp_path, key=Path("nothing.pem"))
    with pytest.raises(GessoError):
        gesso.run("marks", home=tmp_path, text="𝄞")
    with pytest.raises(GessoError, match="no certificates"):
        gesso.run("marks", home=tmp_path, anchors=Path(__file__))
    assert read_choices(tmp_path).key is None, "what does not work is not kept"
    words = gesso.run("marks", home=tmp_path, creator="on", text="off", anchors="").facts
    assert (words["creator"], words["text"], words["anchors"]) == ("on", "off", None)
