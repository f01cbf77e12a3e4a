"""Content Credentials and the labels: written in every format, read by the tools of others, and broken on purpose."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gesso.errors import GessoError
from gesso.marks.context import imprinting
from gesso.marks.credentials import MIME, read, read_bytes, same, sign
from gesso.marks.film import encode_film
from gesso.marks.identity import anchors, given, own
from gesso.marks.imprint import Imprint, MarkChoices, identify, imprint, read_choices, save_choices
from gesso.marks.label import Aigc, aigc_in, coded, dump
from gesso.marks.picture import encode
from gesso.marks.reading import aigc_of
from gesso.marks.recipe import Recipe, Rights, Work, read_recipe, read_source

c2pa = pytest.importorskip("c2pa")
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PICTURES = ("png", "jpg", "webp", "avif")
FILMS = ("gif", "apng", "webp", "mp4")
RECIPE = Recipe(
    gesso="0.1.0", run="0007-emoji-gan", number=7, model="ab" * 32, step=12, family="gan", seed=42, width=24, height=16,
    rights=Rights(
        data="emoji", fingerprint="cd" * 32, count=3, licences={"CC-BY-4.0": 2, "": 1}, commercial="unknown",
        derivatives="unknown", share_alike=(), attribution=True, creators=("Ada",), consent=0, unknown=1,
        verdict="Of 1 of 3 pictures the licence is unknown.",
    ),
)  # fmt: skip


def picture(seed=0, high=16, wide=24, channels=3):
    return np.random.default_rng(seed).integers(0, 255, (high, wide, channels), np.uint8)


def film(suffix, recipe=RECIPE):
    frames = [np.roll(picture(), number, 1) for number in range(3)]
    return encode_film(frames, suffix, 10, recipe)


def made(suffix, how="picture"):
    return encode(picture(), suffix, RECIPE) if how == "picture" else film(suffix)


@pytest.fixture(autouse=True)
def home(tmp_path):
    with imprinting(tmp_path / "home"):
        yield tmp_path / "home"


def their_own(data, suffix, trusted=""):
    """What the reader of C2PA itself says."""
    values = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    values |= {"trust": {"user_anchors": trusted}} if trusted else {}
    context = c2pa.Context(c2pa.Settings.from_dict(values))
    with c2pa.Reader(MIME[suffix], io.BytesIO(data), context=context) as reader:
        return reader.get_validation_state(), json.loads(reader.json())


WRITTEN = [(suffix, "picture") for suffix in PICTURES] + [(suffix, "film") for suffix in FILMS]


@pytest.mark.parametrize(("suffix", "how"), WRITTEN)
def test_valid_to_the_reader_of_c2pa(suffix, how, home):
    data = made(suffix, how)
    state, told = their_own(data, suffix)
    assert state == "Valid"
    assert their_own(data, suffix, anchors(home / "marks"))[0] == "Trusted"
    manifest = told["manifests"][told["active_manifest"]]
    by = {one["label"]: one["data"] for one in manifest["assertions"]}
    action = by["c2pa.actions.v2"]["actions"][0]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", IPTC + "trainedAlgorithmicMedia")
    assert by["gesso.model"]["model"] == RECIPE.model
    assert by["gesso.data"]["verdict"] == RECIPE.rights.verdict
    assert "thumbnail" not in json.dumps(told)
    assert manifest["claim_generator_info"][0]["name"] == "Gesso"


@pytest.mark.parametrize(("suffix", "how"), WRITTEN)
def test_one_flipped_bit_is_invalid(suffix, how):
    data = bytearray(made(suffix, how))
    for place in (60, 200) if suffix == "webp" else (len(data) - 40, len(data) - 90):  # where the pixels are
        data[place] ^= 4
        assert read_bytes(bytes(data)).state == "invalid"
        assert their_own(bytes(data), suffix)[0] == "Invalid"
        data[place] ^= 4
    assert their_own(bytes(data), suffix)[0] == "Valid"


@pytest.mark.parametrize("suffix", PICTURES)
def test_saved_again_there_are_none_or_they_do_not_hold(suffix, tmp_path):
    out, name = io.BytesIO(), {"jpg": "JPEG"}.get(suffix, suffix.upper())
    with Image.open(io.BytesIO(made(suffix))) as image:
        image.save(out, name, xmp=image.info.get("xmp", b""))
    assert read_bytes(out.getvalue()).state == "none"
    with pytest.raises(c2pa.C2paError):
        their_own(out.getvalue(), suffix)


def chunk(data):
    """Where a PNG's credentials are."""
    at = data.index(b"caBX") - 4
    return at, at + 12 + int.from_bytes(data[at : at + 4], "big")


def test_credentials_of_another_picture_do_not_hold():
    one, other = encode(picture(1), "png", RECIPE), encode(picture(2), "png", RECIPE)
    (begin, end), (from_, to) = chunk(one), chunk(other)
    swapped = one[:begin] + other[from_:to] + one[end:]
    assert their_own(swapped, "png")[0] == "Invalid"
    assert read_bytes(swapped).state == "invalid"


def test_the_same_but_for_the_signature():
    one, again, other = made("png"), made("png"), encode(picture(1), "png", RECIPE)
    assert one != again
    assert same(one, again)
    assert same(one, one)
    assert not same(one, other)
    assert not same(one, again[:-30] + bytes([again[-30] ^ 1]) + again[-29:])


def test_edits_name_what_they_were_made_from(tmp_path):
    given_, plain = tmp_path / "given.png", tmp_path / "plain.bmp"
    given_.write_bytes(made("png"))
    Image.fromarray(picture(5)).save(plain)
    work = Work(gesso="0.1.0", task="style", seed=1, width=24, height=16)
    data = encode(picture(3), "webp", work, source="compositeWithTrainedAlgorithmicMedia", parents=[given_, plain])
    state, told = their_own(data, "webp")
    assert state == "Valid"
    manifest = told["manifests"][told["active_manifest"]]
    actions = manifest["assertions"][0]["data"]["actions"]
    assert [one["action"] for one in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"] == IPTC + "compositeWithTrainedAlgorithmicMedia"
    roles = {one["title"]: one["relationship"] for one in manifest["ingredients"]}
    assert roles == {"given.png": "parentOf", "plain.bmp": "inputTo"}
    assert manifest["ingredients"][0]["active_manifest"] in told["manifests"], "whose own credentials are kept"
    composed = encode(picture(3), "png", work.model_copy(update={"task": "compose"}), source=None, parents=[given_])
    assert read_bytes(composed).actions == ("c2pa.created", "c2pa.placed")
    assert read_bytes(encode(picture(3), "png", work, source=None)).state == "none", "nobody says a machine made it"


def test_a_damaged_parent_is_named_alone(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(made("png")[:900])
    data = encode(picture(3), "png", None, source="composite", parents=[broken, tmp_path / "gone.png"])
    assert read_bytes(data).good
    assert read_bytes(data).parents == ("broken.png",)


@pytest.mark.skipif(sys.platform != "linux", reason="such names are Linux's")
def test_a_parent_with_a_name_that_is_no_unicode(tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff.png")
    odd.write_bytes(made("png"))
    assert read_bytes(encode(picture(3), "png", None, source="composite", parents=[odd])).parents == ("?.png",)


# --- who signs ---


def test_a_key_is_made_once_and_kept_from_others(tmp_path):
    first, again = own(tmp_path), own(tmp_path)
    assert first == again
    assert (tmp_path / "identity.pem").stat().st_mode & 0o077 == 0
    assert b"PRIVATE" not in (tmp_path / "certificate.pem").read_bytes()
    assert first.until > datetime.now(UTC) + timedelta(days=3000)


def certificate(tmp_path, key=None, days=30, signs=True, name="Ada's studio", begin=-40):
    """A key and a certificate of one's own, PEM files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key, now = key or ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    root = ec.generate_private_key(ec.SECP256R1())

    def made(who, whose, top):
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        found = (
            x509.CertificateBuilder(
                x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Root")]),
                x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, who)]), whose.public_key(),
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begin)).not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(top, None), True)
            .add_extension(x509.KeyUsage(signs and not top, key_cert_sign=top, crl_sign=top, **usage), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(whose.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
        )  # fmt: skip
        if not top:
            found = found.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return found.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "chain.pem").write_bytes(made(name, key, False) + made("Root", root, True))
    return tmp_path / "key.pem", tmp_path / "chain.pem"


def keys():
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    return {
        "es256": ec.generate_private_key(ec.SECP256R1()), "es384": ec.generate_private_key(ec.SECP384R1()),
        "es512": ec.generate_private_key(ec.SECP521R1()), "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ps256": rsa.generate_private_key(65537, 2048),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["es256", "es384", "es512", "ed25519", "ps256"])
def test_a_users_own_identity(tmp_path, kind):
    who = given(*certificate(tmp_path, keys()[kind]))
    assert (who.algorithm, who.name) == (kind, "Ada's studio")
    with imprinting(tmp_path / "home", key=tmp_path / "key.pem", certificate=tmp_path / "chain.pem"):
        data = made("png")
    assert their_own(data, "png")[0] == "Valid"
    assert read_bytes(data).signer == "Ada's studio"
    assert their_own(data, "png", who.anchors)[0] == "Trusted"
    assert read_bytes(data, (tmp_path / "chain.pem").read_text()).state == "trusted"


def test_identities_that_will_not_do(tmp_path):
    key, chain = certificate(tmp_path, days=-1)
    with pytest.raises(GessoError, match="expired on"):
        given(key, chain)
    key, chain = certificate(tmp_path, signs=False)
    with pytest.raises(GessoError, match="not one for signing"):
        given(key, chain)
    with pytest.raises(GessoError, match="no private key"):
        given(chain, chain)
    with pytest.raises(GessoError, match="no certificates"):
        given(key, key)
    with pytest.raises(GessoError, match="cannot be read"):
        given(tmp_path / "none.pem", chain)
    (tmp_path / "other").mkdir()
    with pytest.raises(GessoError, match="not that of the key"):
        given(certificate(tmp_path / "other")[0], chain)
    with imprinting(tmp_path / "home", key=key), pytest.raises(GessoError, match="go together"):
        made("png")


def test_a_key_with_a_passphrase(tmp_path, monkeypatch):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    secret = ec.generate_private_key(ec.SECP256R1())
    key, chain = certificate(tmp_path, secret)
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    with pytest.raises(GessoError, match="passphrase"):
        given(key, chain)
    monkeypatch.setenv("GESSO_KEY_PASSPHRASE", "word")
    key.touch()
    assert given(key, chain).algorithm == "es256"


def test_an_expired_certificate_does_not_hold(tmp_path):
    who = given(*certificate(tmp_path, days=4 / 86_400))
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "PNG")
    data = sign(out.getvalue(), "png", who, at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", source=None)
    assert read_bytes(data, who.anchors).state == "trusted"
    time.sleep(max(0.0, (who.until - datetime.now(UTC)).total_seconds()) + 1.1)
    found = read_bytes(data, who.anchors)
    assert found.state == "invalid"
    assert {"signingCredential.expired", "claimSignature.outsideValidity"} & {*found.problems}


def test_a_key_that_cannot_be_read_is_a_sentence(home, monkeypatch):
    made("png")
    if os.geteuid() == 0:  # root reads everything
        (home / "marks" / "identity.pem").write_bytes(b"nothing")
    else:
        (home / "marks" / "identity.pem").chmod(0)
    with pytest.raises(GessoError, match=r"identity\.pem.*move it away"):
        made("png")


def test_an_identity_is_renewed_in_time_and_what_it_signed_stays_trusted(home, monkeypatch):
    before = made("png")
    monkeypatch.setattr("gesso.marks.identity.RENEWED", timedelta(days=365 * 20))
    after = made("png")
    monkeypatch.undo()
    trusted = anchors(home / "marks")
    assert read_bytes(before, trusted).serial != read_bytes(after, trusted).serial
    assert read_bytes(before, trusted).state == read_bytes(after, trusted).state == "trusted"


# --- labels ---


def exiftool(path):
    told = subprocess.run(["exiftool", "-json", "-a", "-G1", str(path)], capture_output=True, check=True).stdout
    return json.loads(told)[0]


needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")


@needs_exiftool
@pytest.mark.parametrize(("suffix", "how"), [*WRITTEN, ("webm", "film")])
def test_labels_as_exiftool_reads_them(suffix, how, tmp_path):
    path = tmp_path / f"a.{suffix}"
    with imprinting(tmp_path / "home", producer="Ada Müller 工作室"):
        path.write_bytes(made(suffix, how))
    told = exiftool(path)
    found = [value for key, value in told.items() if key.rpartition(":")[2].lower() == "aigc"]
    assert len(found) == 1, "one label a file"
    (text,) = found if isinstance(found[0], str) else (json.dumps(found[0], separators=(",", ":")),)
    name = "Ada%20M%C3%BCller%20%E5%B7%A5%E4%BD%9C%E5%AE%A4"
    id = identify(RECIPE)
    assert text == (
        f'{{"Label":"1","ContentProducer":"{name}","ProduceID":"{id}","ReservedCode1":"",'
        f'"ContentPropagator":"{name}","PropagateID":"{id}","ReservedCode2":""}}'
    )
    assert all(" " < letter <= "~" for letter in text)
    if suffix not in ("mp4", "webm"):
        assert told["XMP-iptcExt:DigitalSourceType"] == IPTC + "trainedAlgorithmicMedia"
    assert aigc_of(path) == Aigc(Label="1", ContentProducer=name, ProduceID=id, ContentPropagator=name, PropagateID=id)
    assert path.read_bytes().count(b"ContentProducer") == 1


def test_whose_label_it_is(tmp_path):
    theirs = Aigc(Label="1", ContentProducer="someone", ProduceID="7")
    from gesso.marks.label import packet

    path = tmp_path / "theirs.webp"
    Image.fromarray(picture()).save(path, "WEBP", xmp=packet("1", None, aigc=theirs))
    work = Work(gesso="0.1.0", task="upscale", seed=0, width=24, height=16)
    kept, ours, none = tmp_path / "kept.png", tmp_path / "ours.png", tmp_path / "none.png"
    kept.write_bytes(encode(picture(), "png", work, source="algorithmicallyEnhanced", parents=[path]))
    ours.write_bytes(encode(picture(), "png", RECIPE, parents=[path]))
    none.write_bytes(encode(picture(), "png", work, source="composite"))
    assert aigc_of(kept) == theirs, "nobody's label is taken away"
    assert aigc_of(ours).ProduceID == identify(RECIPE)
    assert aigc_of(none) is None
    with imprinting(tmp_path / "home", profile="cn"):
        none.write_bytes(encode(picture(), "png", work, source="composite"))
    assert aigc_of(none) is not None


@pytest.mark.parametrize(
    "text",
    [
        '<TC260:AIGC>{"Label":"1","ContentProducer":"a"}</TC260:AIGC>',
        '<TC260:AIGC xmlns:TC260="x">{&quot;Label&quot;:&quot;1&quot;,&#34;ContentProducer&#34;:&quot;a&quot;}'
        "</TC260:AIGC>",
        '{"AIGC":{"Label":"1","ContentProducer":"a"}}',
        '{"Label":"1","ContentProducer":"a"}',
        '<rdf:Description TC260:AIGC="{&quot;Label&quot;:&quot;1&quot;,&quot;ContentProducer&quot;:&quot;a&quot;}"/>',
        """<rdf:Description TC260:AIGC='{"Label":"1","ContentProducer":"a"}'/>""",
    ],
)
def test_labels_of_others_in_every_form(text):
    assert aigc_in(text) == [Aigc(Label="1", ContentProducer="a")]


@pytest.mark.parametrize(
    "text", ["", "{", '{"Label":"9"}', '{"Label":' + "[" * 9000, "AIGC Label", '{"Label":1}' * 999]
)
def test_damaged_labels_are_none(text):
    assert aigc_in(text) == []


def test_codes_are_ascii_without_spaces():
    assert coded('a b\\"c%') == "a%20b%5C%22c%"
    assert dump(Aigc(Label="2", ContentProducer=coded("生成"))).isascii()


# --- the door ---


def test_maker_and_notice(tmp_path, home):
    save_choices(home, MarkChoices(creator="Ada <Müller>", rights="© 2026 & all"))
    path = tmp_path / "a.png"
    path.write_bytes(made("png"))
    from gesso.data.picture import open_picture
    from gesso.data.rights import read_rights

    with Image.open(path) as image:
        found = read_rights(path.read_bytes(), "PNG", dict(image.info), image)
    assert (found.creator, found.rights) == ("Ada <Müller>", "© 2026 & all")
    assert open_picture(path).image.shape == (16, 24, 3)
    assert read(path).assertions["stds.schema-org.CreativeWork"]["author"][0]["name"] == "Ada <Müller>"


def test_what_is_switched_off_is_left_out(tmp_path, home):
    off = {"credentials": False, "ledger": False, "watermark": False}
    with imprinting(home, **off):
        data = made("png")
    assert read_bytes(data).state == "none"
    assert not (home / "marks" / "ledger").exists()
    assert not (home / "marks" / "identity.pem").exists()
    assert encode(picture(), "png", RECIPE, bare=True) != data
    assert read_bytes(encode(picture(), "png", RECIPE, bare=True)).state == "none"


def test_the_recipe_may_be_left_out_and_the_marks_stay(tmp_path, home):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(picture(), "jpg", RECIPE, tell=False, quality=70))
    assert read_recipe(path) is None
    assert read_source(path) == "trainedAlgorithmicMedia"
    assert aigc_of(path).ProduceID == identify(RECIPE)
    entry = imprint().ledger.find(identify(RECIPE))
    assert entry["recipe"]["seed"] == 42
    assert entry["recipe"]["written"]["quality"] == 70
    assert entry["task"] == "sample"


def test_the_visible_label_by_profile(tmp_path):
    plain = picture(high=128, wide=160)
    for profile, text in (("cn", "AI生成"), ("eu", "AI-generated")):
        path = tmp_path / "a.png"
        with imprinting(tmp_path / "home", profile=profile, watermark=False):
            path.write_bytes(encode(plain, "png", RECIPE))
            frames = encode_film([plain, 255 - plain], "apng", 10, RECIPE)
        with Image.open(path) as image:
            changed = (np.asarray(image) != plain).any(axis=2)
        assert changed[100:, 80:].any()
        assert not changed[:64].any()
        assert read_recipe(path).written.label == text
        with Image.open(io.BytesIO(frames)) as moving:
            assert moving.n_frames == 2
            assert (np.asarray(moving.convert("RGB")) != plain).any()
    for source in (None, "algorithmicallyEnhanced"):
        with imprinting(tmp_path / "home", profile="cn"):
            path.write_bytes(encode(plain, "png", None, source=source))
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), plain)


def test_straight_colours_stay_where_nothing_is_put_on(tmp_path):
    image = picture(high=128, wide=160, channels=4)
    image[..., 3] = np.where(np.arange(160) < 80, 0, 255)
    with imprinting(tmp_path / "home", profile="eu", watermark=False):
        data = encode(image, "png", RECIPE, premultiplied=False)
    with Image.open(io.BytesIO(data)) as opened:
        after = np.asarray(opened)
    np.testing.assert_array_equal(after[:64], image[:64])
    assert (after != image).any()


def test_settings_are_kept_and_damaged_ones_are_a_sentence(home):
    save_choices(home, MarkChoices(profile="cn", keep_days=184))
    assert read_choices(home).profile == "cn"
    assert imprint().choices.keep_days == 184
    with imprinting(home, profile="eu"):
        assert (imprint().choices.profile, imprint().choices.keep_days) == ("eu", 184)
        with imprinting(home, watermark=False):
            assert (imprint().choices.profile, imprint().choices.watermark) == ("eu", False)
    with imprinting(Path("/nowhere")):
        assert imprint().choices == MarkChoices()
    (home / "marks" / "settings.json").write_text('{"profile": "mars"}')
    with pytest.raises(GessoError, match=r"settings\.json is damaged: profile"):
        imprint()
    assert Imprint(home, MarkChoices()).producer.startswith("Gesso-")


def test_what_says_it_by_its_credentials_alone_is_composed_as_such(tmp_path):
    from gesso.marks.work import mark_of

    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "PNG")
    who, at = own(tmp_path / "marks"), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    (tmp_path / "a.png").write_bytes(sign(out.getvalue(), "png", who, at=at, source="trainedAlgorithmicMedia"))
    (tmp_path / "b.png").write_bytes(out.getvalue())
    assert mark_of("composite", [tmp_path / "b.png"]) == "composite"
    assert mark_of("composite", [tmp_path / "a.png"]) == "compositeWithTrainedAlgorithmicMedia"
