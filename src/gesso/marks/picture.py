"""The one door through which every picture is written, whole or not at all, with its recipe and its marks."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin, features

from gesso import __version__
from gesso.errors import GessoError, nearest
from gesso.files import write_bytes
from gesso.marks.imprint import imprint
from gesso.marks.recipe import EXIF_IFD, USER_COMMENT, Recipe, Source, Work, as_json, parameters, user_comment

if TYPE_CHECKING:
    from torch import Tensor

    from gesso.marks.imprint import Stamp

__all__ = [
    "SUFFIXES",
    "Suffix",
    "encode",
    "multiplied",
    "sheet",
    "straight",
    "to_uint8",
    "write_picture",
    "write_sheet",
]

Suffix = Literal["png", "jpg", "webp", "avif"]
SUFFIXES: tuple[str, ...] = (*get_args(Suffix), "jpeg")
SOFTWARE, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0131, 0x011A, 0x011B, 0x0128
INCHES = 2

# A sheet's looks, in pixels.
PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (120, 120, 120)
GROUND = (244, 244, 242)  # under pictures that one can see through: pale, so that white things show
CELL = 96  # small pictures are enlarged by a whole number until about this large
WIDEST = 2400  # of a sheet: larger ones are made smaller
CJK = ("NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf")

Picture = UInt8[np.ndarray, "h w c"]


def to_uint8(images: "Float[Tensor, 'n c h w']") -> UInt8[np.ndarray, "n h w c"]:
    """Pictures in [-1, 1] as bytes, each value rounded to the nearest, ties to even; others are clipped."""
    import torch  # works on single pictures do without it

    scaled = images.detach().float().add(1).mul(127.5).clamp(0, 255).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def straight(image: Picture) -> Picture:
    """Colours divided by alpha, as files want them, from colours premultiplied by it; other pictures as they are."""
    if image.shape[2] != 4:
        return image
    colour, alpha = image[..., :3].astype(np.uint16), image[..., 3:].astype(np.uint16)
    divided = np.minimum((colour * 255 + alpha // 2) // np.maximum(alpha, 1), 255)
    return np.concatenate([np.where(alpha > 0, divided, 0), alpha], axis=2).astype(np.uint8)


def multiplied(image: Picture) -> Picture:
    """Colours multiplied by alpha, from straight ones; other pictures as they are."""
    if image.shape[2] != 4:
        return image
    colour, alpha = image[..., :3].astype(np.uint16), image[..., 3:]
    return np.concatenate([((colour * alpha + 127) // 255).astype(np.uint8), alpha], axis=2)


def as_pil(image: Picture, premultiplied: bool = True) -> Image.Image:
    """A Pillow picture: L, RGB or RGBA with straight alpha, from 1, 3 or 4 channels premultiplied by alpha or not."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"a picture is h w c uint8 with 1, 3 or 4 channels, not {image.shape} {image.dtype}")
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else straight(image) if premultiplied else image)


def encode(
    image: Picture,
    suffix: str,
    recipe: Recipe | Work | None = None,
    *,
    tell: bool = True,
    source: Source | None = "trainedAlgorithmicMedia",
    quality: int | None = None,
    premultiplied: bool = True,
    dpi: float | None = None,
    parents: Sequence[Path] = (),
    bare: bool = False,
) -> bytes:
    """A picture as the bytes of a file; the same picture and recipe give the same bytes, but for the signature.

    image: `h w c`; c = 1 grey, 3 RGB, 4 RGB premultiplied by alpha + alpha. suffix: png, jpg, webp or avif. tell:
    whether the file carries the recipe; the ledger of the home keeps it in any case. source: what made it, None for a
    picture that no machine made. quality: 1 to 100; without it WebP is lossless, JPEG 95 and AVIF 90. JPEG knows no
    alpha: the ground becomes white. premultiplied: whether colours are multiplied by alpha. dpi: dots an inch, for
    printers. parents: the files that it was made from. bare: only recipe and source, no labels, watermark, signature or
    entry in the ledger, as for parts of other files and for previews.
    Raises GessoError for any other suffix, and where the marks of the home cannot be put on.
    """
    suffix = suffix.lower().lstrip(".")
    if suffix not in SUFFIXES:
        raise GessoError(f"Pictures cannot be written as '.{suffix}'.", nearest(suffix, SUFFIXES))
    if suffix == "avif" and not features.check("avif"):
        raise GessoError("This Pillow was built without AVIF.", "Choose png, jpg or webp, or update Pillow.")
    stamp = imprint().stamp(recipe, source, parents, bare)
    image = _stamped(stamp, image, premultiplied)
    written = stamp.written(quality)
    recipe = written if tell else None
    packet, out, options = stamp.packet(recipe), io.BytesIO(), dict[str, Any]()
    if suffix == "png":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        if recipe is not None:
            texts.add_itxt("parameters", parameters(recipe))
            texts.add_text("gesso", as_json(recipe))
        options["pnginfo"] = texts
    else:
        exif = Image.Exif()
        exif[SOFTWARE] = f"Gesso {__version__}"
        if recipe is not None:
            exif.get_ifd(EXIF_IFD)[USER_COMMENT] = user_comment(parameters(recipe))
        if dpi is not None and suffix in ("webp", "avif"):  # which tell it by EXIF alone
            exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[RESOLUTION_UNIT] = dpi, dpi, INCHES
        options = {"xmp": packet, "exif": exif}
    if suffix in ("jpg", "jpeg"):
        if image.shape[2] == 4:
            image = on_ground(image if premultiplied else multiplied(image), np.uint8(255))
        options |= {"quality": quality or 95, "subsampling": 0}
    elif suffix == "webp":
        options |= {"lossless": quality is None, "quality": quality or 80, "exact": True}
    elif suffix == "avif":
        options |= {"quality": quality or 90, "subsampling": "4:4:4"}
    if dpi is not None and suffix not in ("webp", "avif"):
        options["dpi"] = (dpi, dpi)
    as_pil(image, premultiplied).save(out, {"jpg": "JPEG"}.get(suffix, suffix.upper()), **options)
    return stamp.seal(out.getvalue(), suffix)


def _stamped(stamp: "Stamp", image: Picture, premultiplied: bool) -> Picture:
    """A picture with the marks that lie in its pixels; straight colours change only where one can see them."""
    if premultiplied or image.shape[2] != 4:
        return stamp.on(image)
    shown = multiplied(image)
    marked = stamp.on(shown)
    return np.where((marked != shown).any(axis=2, keepdims=True), straight(marked), image)


def write_picture(
    path: str | Path,
    image: Picture,
    recipe: Recipe | Work | None = None,
    **how: Any,
) -> Path:
    """Write a picture whole or not at all, in the format that its suffix names; returns the path. See `encode`."""
    write_bytes(path, encode(image, Path(path).suffix, recipe, **how))
    return Path(path)


def write_sheet(
    path: str | Path,
    rows: Sequence[Sequence[Picture]],
    *,
    title: str = "",
    captions: Sequence[str] = (),
    under: Sequence[Sequence[str]] = (),
    source: Source | None = "trainedAlgorithmicMedia",
) -> Path:
    """Write many pictures as one: rows of them on white, small ones enlarged by a whole number. See `sheet`.

    Pass source=None for real pictures alone, compositeWithTrainedAlgorithmicMedia for real beside made ones.
    """
    return write_picture(path, sheet(rows, title=title, captions=captions, under=under), source=source)


def sheet(
    rows: Sequence[Sequence[Picture]],
    *,
    title: str = "",
    captions: Sequence[str] = (),
    under: Sequence[Sequence[str]] = (),
) -> Picture:
    """Many pictures as one, `h w 3`. captions: a line above each row. under: a word below each picture."""
    if not any(len(row) for row in rows):
        raise ValueError("a sheet needs a picture")
    largest = max(max(image.shape[:2]) for row in rows for image in row)
    columns = max(len(row) for row in rows)
    scale = max(CELL // largest, 1) if largest * columns <= WIDEST else WIDEST / (largest * columns)
    cells = [[_cell(image, scale) for image in row] for row in rows]
    wide = max(cell.width for row in cells for cell in row)
    high = max(cell.height for row in cells for cell in row)
    gap = max(wide // 24, 2)
    unit = max((columns * (wide + gap)) / 1100, 1.0)  # letters grow with the sheet, so that they can be read
    margin = round(24 * unit) if title or captions or under else gap
    label = _font(12 * unit, "".join(word for row in under for word in row))
    head, line, above = round(44 * unit) if title else 0, round(20 * unit) if under else 0, round(28 * unit)
    width = columns * (wide + gap) - gap + 2 * margin
    if title:
        width = max(width, round(_font(20 * unit, title).getlength(title)) + 2 * margin)
    said = [above + (gap + above // 3 if i else 0) if text else 0 for i, text in enumerate(captions[: len(rows)])]
    height = head + sum(said) + len(rows) * (high + line + gap) - gap + 2 * margin
    page = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(page)
    if title:
        pen.text((margin, margin - 4 * unit), title, fill=INK, font=_font(20 * unit, title))
    y = margin + head
    for number, row in enumerate(cells):
        if number < len(captions) and captions[number]:
            y += said[number]
            text = captions[number]
            pen.text((margin, y - 9 * unit), text, fill=FAINT, font=_font(14 * unit, text), anchor="ls")
        for i, cell in enumerate(row):
            x = margin + i * (wide + gap)
            page.paste(cell, (x + (wide - cell.width) // 2, y + (high - cell.height) // 2))
            if number < len(under) and i < len(under[number]):
                text = _shortened(under[number][i], label, wide)
                pen.text((x + wide / 2, y + high + 4 * unit), text, fill=FAINT, font=label, anchor="ma")
        y += high + line + gap
    return np.asarray(page)


def on_ground(image: Picture, ground: np.ndarray | np.uint8) -> Picture:
    """A premultiplied picture laid on a ground of colour `h w 3` (or one grey): colour + (1 − alpha) · ground."""
    clear = 255 - image[..., 3:].astype(np.uint16)
    laid = image[..., :3].astype(np.uint16) + (clear * np.asarray(ground, np.uint16) + 127) // 255
    return np.minimum(laid, 255).astype(np.uint8)


def _cell(image: Picture, scale: float) -> Image.Image:
    """One picture of a sheet at its size, on a pale ground where one can see through it."""
    high, wide = max(round(image.shape[0] * scale), 1), max(round(image.shape[1] * scale), 1)
    if scale >= 1:  # every pixel stays as sharp as it is
        image = image.repeat(int(scale), axis=0).repeat(int(scale), axis=1)
    elif image.shape[2] == 4:
        image = np.stack([_smaller(image[..., i], wide, high) for i in range(4)], axis=2)
    else:
        image = np.atleast_3d(np.asarray(as_pil(image).resize((wide, high), Image.Resampling.LANCZOS)))
    if image.shape[2] == 4:
        image = on_ground(image, np.array(GROUND, np.uint8))
    return as_pil(image).convert("RGB")


def _smaller(plane: UInt8[np.ndarray, "h w"], wide: int, high: int) -> UInt8[np.ndarray, "h w"]:
    return np.asarray(Image.fromarray(plane).resize((wide, high), Image.Resampling.LANCZOS))


def _font(size: float, text: str) -> Any:
    """Pillow's own font; one of the system's for letters that it does not have."""
    if not all(ord(letter) < 0x250 or letter in "–—’“”…→·×" for letter in text):
        for name in CJK:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


def _shortened(text: str, font: Any, wide: float) -> str:
    if font.getlength(text) <= wide:
        return text
    while text and font.getlength(text + "…") > wide:
        text = text[:-1]
    return text + "…"
