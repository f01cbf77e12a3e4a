"""Every format and mode on purpose; every damage with its reason."""

import gzip
import io
import struct
import zlib
from contextlib import suppress

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageCms

from gesso.data.crop import fit, interest
from gesso.data.decode import decode, guarded
from gesso.data.duplicates import find_duplicates, perceptual_hash
from gesso.data.sniff import Unreadable, webp_size
from gesso.data.svg import draw

RED, BLUE = (220, 30, 40), (20, 60, 200)


def picture(width=24, height=16, mode="RGB"):
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def saved(image, kind, **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def read(data, name="x.bin", want=None):
    with guarded():
        return decode(data, name, want)


def sides(decoded):
    image = decoded.image.convert("RGB")
    return image.getpixel((2, 8)), image.getpixel((image.width - 3, 8))


def near(one, other, most=12):
    return all(abs(a - b) <= most for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
        ("AVIF", {"quality": 95}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("TGA", {}),
        ("ICO", {"sizes": [(24, 16)]}),
        ("JPEG2000", {"quality_mode": "dB", "quality_layers": [60]}),
        ("PCX", {}),
        ("SGI", {}),
        ("QOI", {}),
    ],
)
def test_every_format_is_read_by_its_bytes(kind, how):
    data = saved(picture(), kind, **how)
    decoded = read(data, "picture.tga" if kind == "TGA" else "wrong-name.txt")
    left, right = sides(decoded)
    assert decoded.size == (24, 16)
    assert near(left, RED)
    assert near(right, BLUE)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("1", "1 bit"),
        ("L", ""),
        ("LA", "grey with"),
        ("P", "palette"),
        ("RGBA", ""),
        ("I;16", "16 bits"),
        ("I", "bits"),
    ],
)
def test_modes_of_png(mode, said):
    grey = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (16, 1))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(grey.astype(np.int32) * 257)
    else:
        image = Image.fromarray(grey).convert(mode, dither=Image.Dither.NONE)
    decoded = read(saved(image, "PNG" if mode != "I" else "TIFF"))
    assert decoded.image.mode in ("L", "RGB", "RGBA")
    values = np.asarray(decoded.image.convert("L")).astype(int)
    expected = (grey > 127) * 255 if mode == "1" else grey
    assert np.abs(values - expected).max() <= 1
    assert said in "".join(decoded.converted)


def test_sixteen_bit_colour_is_said():
    rows = b"".join(b"\0" + b"\xff\xff\x00\x00\x80\x00" * 8 for _ in range(8))
    data = png((8, 8), 16, 2, rows)
    decoded = read(data)
    assert decoded.converted == ["16 bits a channel to 8"]
    assert decoded.image.getpixel((3, 3)) == (255, 0, 128)


def png(size, depth, colour, rows, more=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def test_floating_point_is_scaled():
    ramp = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (16, 1))
    for scale in (1, 65535):
        values = np.asarray(read(saved(Image.fromarray(ramp * scale), "TIFF")).image).astype(int)
        assert (values.min(), values.max()) == (0, 255)
    odd = np.asarray(read(saved(Image.fromarray(ramp * 7 - 3), "TIFF")).image)
    assert (odd.min(), odd.max()) == (0, 255)
    ramp[3, 3] = np.nan
    assert read(saved(Image.fromarray(ramp), "TIFF")).image.mode == "L"


def test_cmyk_becomes_srgb():
    decoded = read(saved(picture().convert("CMYK"), "JPEG", quality=95))
    assert decoded.converted == ["CMYK to sRGB"]
    assert near(sides(decoded)[0], RED, 20)


def test_palette_with_transparency():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (8, 0, 16, 16))
    decoded = read(saved(image, "PNG", transparency=0))
    assert decoded.image.mode == "RGBA"
    assert decoded.image.getpixel((2, 2))[3] == 0
    assert decoded.image.getpixel((12, 2)) == (0, 255, 0, 255)


def test_transparent_colour_of_rgb_and_grey():
    rgb = read(saved(picture(), "PNG", transparency=BLUE)).image
    assert [rgb.getpixel((x, 2))[3] for x in (2, 20)] == [255, 0]
    deep = Image.fromarray(np.array([[0, 500] * 8] * 16, np.uint16))
    grey = read(saved(deep, "PNG", transparency=500)).image
    assert [grey.getpixel((x, 2))[3] for x in (0, 1)] == [255, 0]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_animated_gives_the_first_frame(kind):
    frames = [Image.new("RGB", (16, 16), c) for c in (RED, BLUE, (0, 255, 0))]
    how = {"lossless": True} if kind == "WEBP" else {}
    decoded = read(saved(frames[0], kind, save_all=True, append_images=frames[1:], **how))
    assert near(decoded.image.convert("RGB").getpixel((8, 8)), RED)
    assert "first of 3" in decoded.converted[0]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation(kind, turn):
    upright = picture(24, 16)
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[turn]) if turn in back else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    decoded = read(saved(stored, kind, exif=exif))
    assert decoded.size == (24, 16)
    assert near(sides(decoded)[0], RED)
    assert near(sides(decoded)[1], BLUE)


def test_colour_profile_is_applied():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(saved(picture(), "PNG", icc_profile=profile)).converted == []
    swapped = _swapped_profile(profile)
    decoded = read(saved(picture(), "PNG", icc_profile=swapped))
    assert "to sRGB" in decoded.converted[0]
    left = sides(decoded)[0]
    assert left[2] > 150  # what was red there is blue here
    assert left[0] < 90
    transparent = picture().convert("RGBA")
    transparent.putalpha(77)
    kept = read(saved(transparent, "PNG", icc_profile=swapped))
    assert kept.image.getchannel("A").getextrema() == (77, 77)
    assert kept.image.getpixel((2, 2))[2] > 150


def _swapped_profile(profile):
    """sRGB with its red and blue primaries exchanged, under another name."""
    data = bytearray(profile.replace(b"sRGB", b"swap").replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be")))
    count = struct.unpack(">I", data[128:132])[0]
    tags = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = data[blue + 4 : blue + 12], data[red + 4 : red + 12]
    return bytes(data)


def test_damaged_profile_is_left_alone():
    decoded = read(saved(picture(), "PNG", icc_profile=b"nonsense" * 40))
    assert near(sides(decoded)[0], RED)
    assert decoded.converted == ["its colour profile could not be used"]


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="16"><rect width="12" height="16" fill="#dc1e28"/></svg>'
)


def test_svg_is_drawn():
    decoded = read(SVG.encode(), "x.svg", (48, 32))
    assert decoded.size == (24, 16)
    assert decoded.image.size == (144, 96)  # enough for any crop, twice over
    assert decoded.image.getpixel((10, 10)) == (*RED, 255)
    assert decoded.image.getpixel((130, 10))[3] == 0
    assert read(gzip.compress(SVG.encode()), "x.svgz").image.mode == "RGBA"


@pytest.mark.parametrize("reference", ['href="{}"', 'xlink:href="{}"', 'href="&here;"', 'href="file://{}"'])
def test_svg_reaches_nothing_outside(tmp_path, reference):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8), (0, 255, 0)).save(secret)
    image = f'<image {reference.format(secret)} width="24" height="16"/>'
    text = (
        f'<!DOCTYPE svg [<!ENTITY here "{secret}">]><svg xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" width="24" height="16">{image}</svg>'
    )
    drawn, _, said = draw(text.encode(), None)
    assert drawn.getchannel("A").getextrema() == (0, 0)
    assert "without the files that it refers to" in said


@pytest.mark.parametrize(
    "text",
    [
        "<svg",
        "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='100000'/>",
        "<svg xmlns='http://www.w3.org/2000/svg' width='1e300' height='1e300'/>",
        "<html><svg/></html>",
        "<!DOCTYPE s [" + '<!ENTITY a0 "aaaaaaaaaa">'
        + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
        + "]><svg xmlns='http://www.w3.org/2000/svg'><text>&a11;</text></svg>",
    ],
)  # fmt: skip
def test_svg_that_is_hostile_is_refused(text):
    with pytest.raises(Unreadable):
        read(text.encode(), "x.svg")


def bomb(width, height):
    return png((width, height), 8, 2, b"\0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 500, "nothing but zeros"),
        (b"hello, this is a note", "text file"),
        (b'{"a": 1}', "JSON"),
        (b"<!doctype html><html></html>", "web page"),
        (b"PK\x03\x04" + b"\0" * 50, "ZIP"),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "pickle"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
        (b"GIF89a/*<html><script>alert(1)</script>*/", "GIF"),
        (bomb(60_000, 60_000), "megapixels"),
        (bomb(9_000, 9_000), "megapixels"),
        (bomb(0, 5), "PNG"),
        (bomb(5, 5), "truncated"),
        (b"BM" + b"\xff" * 60, "truncated"),
        (b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0", "megapixels"),
        (b"P6 100000 100000 255\n", "megapixels"),
        (np.random.default_rng(0).bytes(3000), "no picture format"),
    ],
)
def test_what_is_no_picture_has_its_reason(data, reason):
    with pytest.raises(Unreadable, match=reason):
        read(data, "x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM", "TGA"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_is_refused(kind, share):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    data = saved(noise, kind)
    with pytest.raises(Unreadable):
        read(data[: int(len(data) * share)], "x.tga")


def test_a_flipped_bit_in_a_png_is_noticed():
    data = bytearray(saved(picture(), "PNG"))
    data[data.index(b"IDAT") + 8] ^= 4
    with pytest.raises(Unreadable, match="checksum"):
        read(bytes(data))


def test_random_damage_never_raises_anything_else():
    rng = np.random.default_rng(2)
    originals = [saved(picture(), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "AVIF")]
    for _ in range(200):
        data = bytearray(originals[rng.integers(len(originals))])
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        with suppress(Unreadable):
            assert read(bytes(data)).image.mode in ("L", "RGB", "RGBA")


def test_the_cap_of_pillow_is_put_back():
    before = Image.MAX_IMAGE_PIXELS
    read(saved(picture(), "PNG"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_webp_size_is_read_from_the_header():
    assert webp_size(saved(picture(), "WEBP", lossless=True)) == (24, 16)
    assert webp_size(saved(picture(), "WEBP", quality=80)) == (24, 16)
    assert webp_size(saved(picture(mode="RGBA"), "WEBP", exif=Image.Exif().tobytes(), quality=80)) == (24, 16)


# --- shapes ---


def test_crops():
    wide = picture(64, 32)
    centre = fit(wide, 32, 32, "centre").pixels
    assert near(centre[5, 2], (*RED, 255))
    assert near(centre[5, 30], (*BLUE, 255))
    squeezed = fit(wide, 16, 16, "none").pixels
    assert squeezed.shape == (16, 16, 4)
    padded = fit(wide, 32, 32, "pad")
    assert padded.pixels[0].max() == 0  # transparent until the channels are chosen
    assert near(padded.pixels[16, 2], (*RED, 255))
    assert padded.ground is not None
    assert "padded" in padded.notes
    assert not padded.transparent


def test_smart_crop_goes_where_something_is():
    image = Image.new("RGB", (90, 30), (240, 240, 240))
    image.paste(RED, (66, 8, 80, 22))
    assert interest(image, 1.0) > 0.8
    assert fit(image, 30, 30, "smart").pixels[15, :, 1].min() < 60
    assert interest(Image.new("RGB", (90, 30), RED), 1.0) == 0.5
    assert interest(image.transpose(Image.Transpose.ROTATE_270), 1.0) > 0.8


def test_auto_keeps_all_of_what_is_transparent():
    icon = Image.new("RGBA", (64, 32), (0, 0, 0, 0))
    icon.paste((*RED, 255), (0, 0, 6, 32))
    fitted = fit(icon, 32, 32)
    assert fitted.transparent
    assert fitted.pixels[16, 1, 3] == 255
    assert fitted.ground is None


def test_resizing_is_premultiplied_and_bleeds_no_colour():
    icon = Image.new("RGBA", (64, 64), (0, 255, 0, 0))  # green lies hidden under the transparency
    icon.paste((*RED, 255), (16, 16, 48, 48))
    pixels = fit(icon, 24, 24).pixels.astype(int)
    assert (pixels[..., :3] <= pixels[..., 3:]).all()
    assert (pixels[..., 1] <= pixels[..., 3] * 30 / 220 + 2).all()
    assert pixels[0, 0].max() == 0


def test_pixel_art_stays_crisp():
    art = Image.fromarray(np.random.default_rng(0).integers(0, 2, (16, 16), np.uint8) * 255)
    fitted = fit(art, 64, 64)
    assert "enlarged" in fitted.notes
    assert set(np.unique(fitted.pixels[..., 0])) == {0, 255}
    assert (fitted.pixels[::4, ::4, 0] == np.asarray(art)).all()


def test_sizes_need_not_be_square():
    for crop in ("auto", "centre", "smart", "pad", "none"):
        assert fit(picture(37, 91), 48, 20, crop).pixels.shape == (20, 48, 4)


# --- duplicates ---


def test_the_hash_is_that_of_imagehash():
    rng = np.random.default_rng(3)
    for size in (16, 32, 64, 100):
        coarse = rng.integers(0, 255, (6, 6, 3), np.uint8)
        image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        ours = perceptual_hash(np.asarray(image.convert("RGBA")))
        assert f"{ours:016x}" == str(imagehash.phash(image))


def found(pictures):
    images = np.stack(pictures)
    hashes = np.array([perceptual_hash(p) for p in images], np.uint64)
    digests = np.array([hash(p.tobytes()) & 0xFFFFFFFFFFFFFFFF for p in images], np.uint64)
    return [(a, b) for a, b, _ in find_duplicates(images, hashes, digests)]


def face(colour, seed=0):
    """An icon: a disc of one colour with two eyes."""
    y, x = np.mgrid[0:48, 0:48] - 23.5
    pixels = np.zeros((48, 48, 4), np.uint8)
    pixels[x**2 + y**2 < 400] = (*colour, 255)
    rng = np.random.default_rng(seed)
    for _ in range(2 + 3 * seed):
        at = rng.uniform(-12, 12, 2)
        pixels[(x - at[0]) ** 2 + (y - at[1]) ** 2 < 12] = (30, 20, 10, 255)
    return pixels


def test_colour_and_transparency_count():
    skins = [(255, 220, 170), (225, 180, 130), (190, 140, 100), (150, 100, 70), (90, 60, 40)]
    assert found([face(skin) for skin in skins]) == []
    white = face(skins[0])
    opaque = np.concatenate([white[..., :3] + (255 - white[..., 3:]), np.full((48, 48, 1), 255, np.uint8)], axis=2)
    assert found([white, opaque.astype(np.uint8)]) == []


def test_copies_are_found_and_named_once():
    one, other = face((255, 200, 0)), face((255, 200, 0), 1)
    large = Image.fromarray(opaque_of(one)).resize((200, 200), Image.Resampling.BICUBIC)
    again = fit(read(saved(large, "JPEG", quality=85)).image, 48, 48).pixels
    pictures = [opaque_rgba(one), opaque_rgba(other), again, opaque_rgba(one)]
    assert found(pictures) == [(0, 2), (0, 3)]


def opaque_of(pixels):
    return (pixels[..., :3] + (255 - pixels[..., 3:])).astype(np.uint8)


def opaque_rgba(pixels):
    return np.concatenate([opaque_of(pixels), np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)


def test_many_alike_do_not_take_for_ever():
    blank = np.zeros((16, 16, 4), np.uint8)
    tints = [blank + np.array([0, 0, i % 250, 255], np.uint8) for i in range(3000)]
    images = np.stack(tints)
    digests = np.arange(3000, dtype=np.uint64) % 250
    pairs = find_duplicates(images, np.zeros(3000, np.uint64), digests)
    assert len(pairs) >= 2750
