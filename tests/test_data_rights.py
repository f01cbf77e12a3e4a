"""Who made a picture, and whether a model may learn from it, as the file itself says."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image, PngImagePlugin

import gesso
from gesso.data import open_pack
from gesso.data.decode import decode, guarded
from gesso.data.licences import LICENCES, known
from gesso.data.manifests import Manifest, read_manifests
from gesso.data.rights import Reservation, read_rights

HEAD = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
SPACES = (
    'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:tdm="http://www.w3.org/ns/tdmrep/" xmlns:cc="http://creativecommons.org/ns#" '
    'xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
)
TAIL = "</rdf:RDF></x:xmpmeta>"
DMI = "http://ns.useplus.org/ldf/vocab/DMI-"


def xmp(inner="", attributes=""):
    return f'{HEAD}<rdf:Description rdf:about="" {SPACES} {attributes}>{inner}</rdf:Description>{TAIL}'.encode()


def saved(kind="PNG", **how):
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 40)).save(file, kind, **how)
    return file.getvalue()


def rights(data, name="x.png"):
    with guarded():
        decoded = decode(data, name)
        return read_rights(data, decoded.kind, decoded.info, decoded.opened)


def carry(kind, packet):
    """A picture of that format with an XMP packet."""
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return saved(pnginfo=info)
    return saved(kind, xmp=packet)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize(
    "value",
    [
        "PROHIBITED",
        "PROHIBITED-AIMLTRAINING",
        "PROHIBITED-GENAIMLTRAINING",
        "PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
        "PROHIBITED-SEECONSTRAINT",
    ],
)
def test_plus_data_mining(kind, value):
    written = [
        xmp(f"<plus:DataMining>{DMI}{value}</plus:DataMining>"),
        xmp(f'<plus:DataMining rdf:resource="{DMI}{value}"/>'),
        xmp(attributes=f'plus:DataMining="{DMI}{value}"'),
    ]
    for packet in written:
        assert rights(carry(kind, packet)).marks == [f"PLUS DMI-{value}"]


def test_what_is_allowed_or_silent_is_no_mark():
    for value in ("ALLOWED", "UNSPECIFIED"):
        assert rights(carry("PNG", xmp(f"<plus:DataMining>{DMI}{value}</plus:DataMining>"))).marks == []
    assert rights(saved()).marks == []
    assert rights(carry("JPEG", xmp("<tdm:reservation>0</tdm:reservation>"))).marks == []
    words = "<dc:subject><rdf:Bag><rdf:li>piano ai</rdf:li><rdf:li>Hanoi</rdf:li></rdf:Bag></dc:subject>"
    assert rights(carry("PNG", xmp(words))).marks == []


def test_damaged_xmp_that_forbids_is_believed():
    assert rights(carry("JPEG", xmp(f"<plus:DataMining>{DMI}PROHIBITED<broken"))).marks


def test_packets_with_their_wrapping():
    wrapped = (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        + xmp("<tdm:reservation>1</tdm:reservation>")
        + b'<?xpacket end="w"?>'
    )
    assert rights(carry("JPEG", wrapped)).marks == ["TDM reservation"]
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg"><metadata>'
        + xmp(f"<plus:DataMining>{DMI}PROHIBITED</plus:DataMining>")
        + b"</metadata></svg>"
    )
    assert rights(svg, "x.svg").marks == ["PLUS DMI-PROHIBITED"]


@pytest.mark.parametrize("key", ["tdm-reservation", "tdm:reservation", "TDM-Reservation"])
def test_tdm_in_png_text(key):
    info = PngImagePlugin.PngInfo()
    info.add_text(key, "1")
    assert rights(saved(pnginfo=info)).marks == ["TDM reservation"]


@pytest.mark.parametrize("word", ["noai", "noimageai", "NoAI", "no-ai, flowers"])
def test_keywords(word):
    info = PngImagePlugin.PngInfo()
    info.add_text("Keywords", word)
    assert rights(saved(pnginfo=info)).marks == ["the keyword 'noai'"]
    packet = xmp(f"<dc:subject><rdf:Bag><rdf:li>{word}</rdf:li></rdf:Bag></dc:subject>")
    assert rights(carry("WEBP", packet)).marks == ["the keyword 'noai'"]


def test_makers_in_xmp_exif_and_text():
    packet = xmp(
        "<dc:creator><rdf:Seq><rdf:li>Mina</rdf:li><rdf:li>Olu</rdf:li></rdf:Seq></dc:creator>"
        '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Mina</rdf:li></rdf:Alt></dc:rights>'
        '<cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/"/>'
    )
    found = rights(carry("JPEG", packet))
    assert (found.creator, found.rights) == ("Mina, Olu", "© Mina")
    assert found.licence.endswith("by/4.0/")
    exif = Image.Exif()
    exif[0x013B], exif[0x8298] = "Ada", "(c) Ada"
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        found = rights(saved(kind, exif=exif))
        assert (found.creator, found.rights) == ("Ada", "(c) Ada")
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Bo")
    info.add_text("Copyright", "all rights")
    found = rights(saved(pnginfo=info))
    assert (found.creator, found.rights) == ("Bo", "all rights")


TERMS = '<xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></xmpRights:UsageTerms>'
STATEMENT = "<xmpRights:WebStatement>{}</xmpRights:WebStatement>"
BY_NC = "https://creativecommons.org/licenses/by-nc/4.0/"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_licences_where_they_stand_in_xmp(kind):
    for inner in (STATEMENT.format(BY_NC), TERMS.format(f"Licensed under {BY_NC}"), f"<dc:rights>{BY_NC}</dc:rights>"):
        found = rights(carry(kind, xmp(inner)))
        assert known(found.licence) is LICENCES["CC-BY-NC-4.0"]
    assert rights(carry(kind, xmp(attributes=f'xmpRights:WebStatement="{BY_NC}"'))).licence == BY_NC
    both = rights(carry(kind, xmp('<cc:license rdf:resource="https://creativecommons.org/publicdomain/zero/1.0/"/>'
                                  + STATEMENT.format(BY_NC))))  # fmt: skip
    assert known(both.licence) is LICENCES["CC0-1.0"]  # the place that is for licences comes first


def test_a_statement_that_names_no_licence_is_where_it_comes_from():
    found = rights(carry("JPEG", xmp(STATEMENT.format("https://example.org/rights") + TERMS.format("Ask me."))))
    assert (found.licence, found.origin, found.rights) == ("", "https://example.org/rights", "Ask me.")


def test_that_all_rights_are_reserved_is_a_notice_and_no_licence():
    found = rights(carry("JPEG", xmp("<dc:rights>© Ada. All rights reserved.</dc:rights>")))
    assert (found.licence, found.rights) == ("", "© Ada. All rights reserved.")
    exif = Image.Exif()
    exif[0x8298] = "CC BY 4.0"
    assert rights(saved("JPEG", exif=exif)).licence == "CC BY 4.0"


@pytest.mark.parametrize(
    ("inner", "origin"),
    [
        (
            "<dc:source>https://example.org/1</dc:source><photoshop:Credit>Agency</photoshop:Credit>",
            "https://example.org/1",
        ),
        ("<photoshop:Credit>Agency</photoshop:Credit><photoshop:Source>Museum</photoshop:Source>", "Museum"),
        ("<photoshop:Credit>Agency</photoshop:Credit>", "Agency"),
        (
            '<plus:Licensor><rdf:Seq><rdf:li rdf:parseType="Resource"><plus:LicensorURL>https://l.org</plus:LicensorURL>'
            "</rdf:li></rdf:Seq></plus:Licensor>",
            "https://l.org",
        ),
    ],
)
def test_where_a_picture_comes_from(inner, origin):
    assert rights(carry("PNG", xmp(inner))).origin == origin


@pytest.mark.parametrize("value", ["{}trainedAlgorithmicMedia", "trainedAlgorithmicMedia"])
def test_what_says_that_a_machine_made_it(value):
    value = value.format("http://cv.iptc.org/newscodes/digitalsourcetype/")
    packet = xmp(f"<Iptc4xmpExt:DigitalSourceType>{value}</Iptc4xmpExt:DigitalSourceType>")
    assert rights(carry("WEBP", packet)).digital_source == "trainedAlgorithmicMedia"
    assert rights(carry("WEBP", xmp(attributes=f'Iptc4xmpExt:DigitalSourceType="{value}"'))).digital_source
    assert rights(saved()).digital_source == ""


def test_what_is_read_is_bounded():
    long = "x" * 100_000
    packet = xmp(f"<dc:source>{long}</dc:source><dc:creator>{long}</dc:creator>" + TERMS.format(long))
    found = rights(carry("PNG", packet))
    assert {len(found.origin), len(found.creator), len(found.rights)} == {500}


@pytest.mark.parametrize("encoding", ["foo", "hex", "zlib", "utf-7"])
def test_encodings_that_do_not_exist_are_borne(encoding):
    assert rights(carry("PNG", f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode())).licence == ""


@pytest.mark.parametrize(
    "packet", [b"<?xpacket " * 300_000, b"<a>x" * 120_000 + b"</a>" * 120_000], ids=["wrappings", "deep"]
)
def test_hostile_xmp_takes_no_longer_than_its_length(packet):
    assert read_rights(packet, "SVG", {}, None).marks == []


def test_columns_of_a_table(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(carry("PNG", xmp(STATEMENT.format(BY_NC))))
    (tmp_path / "in" / "b.png").write_bytes(carry("PNG", xmp("<photoshop:Source>Museum</photoshop:Source>")))
    (tmp_path / "in" / "metadata.csv").write_text(
        "file_name,license,author,source,consent,digital_source\na.png,CC0,Ada,https://example.org,yes,mine\nb.png,,,,,\n"
    )
    gesso.run("import", source=str(tmp_path / "in"), name="set", size="16", home=tmp_path)
    first, second = open_pack("set", tmp_path).items
    assert [first[name] for name in ("licence", "creator", "origin", "consent")] == [
        "CC0",
        "Ada",
        "https://example.org",
        "yes",
    ]
    assert first["source"] == "a.png"
    assert "digital_source" not in first  # only a file says that of itself
    assert second["origin"] == "Museum"


def test_iptc():
    def record(number, value):
        return bytes([0x1C, 2, number]) + len(value).to_bytes(2, "big") + value

    iim = record(80, b"Chi") + record(116, b"(c) Chi") + record(25, b"noai") + record(115, b"Museum")
    block = b"8BIM" + (0x0404).to_bytes(2, "big") + b"\0\0" + len(iim).to_bytes(4, "big") + iim + b"\0" * (len(iim) % 2)
    body = b"Photoshop 3.0\0" + block
    plain = saved("JPEG")
    data = plain[:2] + b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]
    found = rights(data)
    assert (found.creator, found.rights, found.marks) == ("Chi", "(c) Chi", ["the keyword 'noai'"])
    assert found.origin == "Museum"


def test_tdmrep_rules():
    rules = Reservation(
        json.dumps(
            [
                {"location": "/", "tdm-reservation": 1},
                {"location": "/free/*", "tdm-reservation": 0},
                {"location": "/free/not.png$", "tdm-reservation": 1},
            ]
        )
    )
    assert rules.covers("a/b.png")
    assert not rules.covers("free/b.png")
    assert rules.covers("free/not.png")
    assert not Reservation("[]").covers("a.png")
    for wrong in ("3", '["x"]', "{"):
        with pytest.raises(ValueError):  # noqa: PT011
            Reservation(wrong)


# --- Content Credentials ---


@pytest.fixture(scope="module")
def signer_files():
    """A certificate that signs, of an authority made for the occasion: (chain, key), both PEM."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text):
        return x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
        )

    def certificate(subject, key, issuer, issuer_key, authority):
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=authority, crl_sign=authority, **usage),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if not authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("Root", root_key, "Root", root_key, True)
    leaf = certificate("Signer", key, "Root", root_key, False)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return leaf.public_bytes(pem) + root.public_bytes(pem), secret


def signed(data, mime, label, use, files):
    prefix = label.split(".")[0]
    entries = {f"{prefix}.ai_generative_training": {"use": use}, f"{prefix}.ai_inference": {"use": "notAllowed"}}
    return with_credentials(data, mime, {"label": label, "data": {"entries": entries}}, files)


def with_credentials(data, mime, assertion, files, kind="digitalCapture"):
    import c2pa

    chain, key = files
    manifest = {
        "claim_generator_info": [{"name": "test", "version": "1"}],
        "title": "x",
        "format": mime,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"}]}},
            assertion,
        ],
    }  # fmt: skip
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
    target = io.BytesIO()
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
        builder.sign(signer, mime, io.BytesIO(data), target)
    return target.getvalue()


@pytest.mark.parametrize("label", ["c2pa.training-mining", "cawg.training-mining"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_content_credentials(kind, label, signer_files):
    mime = f"image/{kind.lower()}"
    forbidden = signed(saved(kind), mime, label, "notAllowed", signer_files)
    assert rights(forbidden).marks == [f"C2PA {label}: ai_generative_training notAllowed"]
    allowed = signed(saved(kind), mime, label, "allowed", signer_files)
    assert rights(allowed).marks == []


def test_credentials_that_are_damaged_are_believed_when_they_forbid(signer_files):
    data = signed(saved("JPEG"), "image/jpeg", "cawg.training-mining", "notAllowed", signer_files)
    at = data.index(b"jumb")
    broken = data[: at + 4] + b"\xff" * 8 + data[at + 12 :]
    assert rights(broken).marks


CONTEXT = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_credentials_name_maker_licence_and_kind(kind, signer_files):
    mime = f"image/{kind.lower()}"
    work = {"@context": "https://schema.org", "@type": "CreativeWork",
            "author": [{"@type": "Person", "name": "Ada"}, {"@type": "Person", "name": "Bo"}]}  # fmt: skip
    made = with_credentials(
        saved(kind), mime, {"label": "stds.schema-org.CreativeWork", "data": work, "kind": "Json"}, signer_files,
        "trainedAlgorithmicMedia",
    )  # fmt: skip
    found = rights(made)
    assert (found.creator, found.digital_source) == ("Ada, Bo", "trainedAlgorithmicMedia")
    facts = {"@context": CONTEXT, "dc:creator": ["Cy"], "xmpRights:WebStatement": BY_NC, "photoshop:Source": "Museum"}
    made = with_credentials(saved(kind), mime, {"label": "cawg.metadata", "data": facts, "kind": "Json"}, signer_files)
    found = rights(made)
    assert (found.creator, found.licence, found.origin, found.marks) == ("Cy", BY_NC, "Museum", [])
    assert found.digital_source == "digitalCapture"


def test_what_the_file_says_itself_comes_before_its_credentials(signer_files):
    facts = {"@context": CONTEXT, "dc:creator": ["Cy"]}
    data = carry("JPEG", xmp("<dc:creator>Ada</dc:creator>"))
    made = with_credentials(data, "image/jpeg", {"label": "cawg.metadata", "data": facts, "kind": "Json"}, signer_files)
    assert rights(made).creator == "Ada"


@pytest.mark.parametrize(
    "wrong", [3, None, [], {"assertions": [{"label": "cawg.metadata", "data": [1]}, {"label": 3}]}]
)
def test_odd_manifests_are_borne(wrong, monkeypatch):
    c2pa = pytest.importorskip("c2pa")

    class Odd:
        def __init__(self, *_, **__): ...
        def __enter__(self):
            return self

        def __exit__(self, *_): ...
        def json(self):
            return json.dumps({"active_manifest": "a", "manifests": {"a": wrong}})

    monkeypatch.setattr(c2pa, "Reader", Odd)
    assert read_manifests(b"", "PNG") == Manifest()
