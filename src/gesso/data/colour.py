"""Any of Pillow's modes -> 8-bit sRGB, saying what was done."""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from gesso.data.sniff import Unreadable

__all__ = ["to_srgb"]

# Which colour space a profile must be of to be meant for a mode.
SPACE = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK", "LAB": "Lab "}


def to_srgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """A loaded picture of any mode -> (mode L, RGB or RGBA in sRGB, what was done in words).

    Alpha is not multiplied in. Raises Unreadable for a mode that means no picture.
    """
    done: list[str] = []
    mode, clear = image.mode, image.info.get("transparency")
    alpha: Image.Image | None = None
    if mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        image, alpha = _deep(image, clear, done)
    elif mode == "1":
        image = image.convert("L")
        done.append("1 bit to grey")
    elif mode in ("P", "PA"):
        palette = image.palette.mode if image.palette else "RGB"
        image = image.convert("RGBA" if mode == "PA" or clear is not None or palette == "RGBA" else "RGB")
        done.append("palette to colours")
    elif mode in ("LA", "La"):
        image = image.convert("LA") if mode == "La" else image
        done.append("grey with transparency")
    elif mode in ("L", "RGB") and clear is not None:
        image = image.convert("LA" if mode == "L" else "RGBA")
    elif mode == "RGBX":
        image = image.convert("RGB")
    elif mode == "RGBa":
        image = image.convert("RGBA")
    elif mode in ("YCbCr", "HSV"):
        image = image.convert("RGB")
        done.append(f"{mode} to sRGB")
    elif mode not in ("L", "RGB", "RGBA", "CMYK", "LAB"):
        raise Unreadable(f"Its pixels are of a kind ({mode}) that Gesso does not read.")
    if image.mode in ("LA", "RGBA") and (image.info.get("icc_profile") or image.mode == "LA"):
        alpha = image.getchannel("A")
        image = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
    image = _profiled(image, done)
    if alpha is None:
        return image, done
    image = image.convert("RGB")
    image.putalpha(alpha)
    return image, done


def _deep(image: Image.Image, clear: Any, done: list[str]) -> tuple[Image.Image, Image.Image | None]:
    """16-bit, 32-bit and floating pictures -> mode L, and the alpha that a transparent value gives."""
    profile = image.info.get("icc_profile")
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        scale, offset = 255 / 65535, 0.0
        done.append("16 bits to 8")
    elif image.mode == "F" and low >= 0 and high <= 1:
        scale, offset = 255.0, 0.0
        done.append("floating point to 8 bits")
    elif low >= 0 and high <= 255:
        scale, offset = 1.0, 0.0
        done.append("floating point to 8 bits" if image.mode == "F" else "32 bits to 8")
    elif image.mode == "F" and low >= 0 and high <= 65535:
        scale, offset = 255 / 65535, 0.0
        done.append("floating point to 8 bits")
    else:
        scale, offset = 255.0 / max(float(high) - float(low), 1e-12), float(low)
        done.append("stretched from its darkest to its lightest value to 8 bits")
    grey = np.clip((values.astype(np.float64) - offset) * scale + 0.5, 0, 255).astype(np.uint8)
    result = Image.fromarray(grey)
    if profile:
        result.info["icc_profile"] = profile
    alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)) if isinstance(clear, int) else None
    return result, alpha


def _profiled(image: Image.Image, done: list[str]) -> Image.Image:
    """Apply the picture's colour profile; without one, CMYK and Lab are turned by the common formulas."""
    profile, mode = image.info.get("icc_profile"), image.mode
    if isinstance(profile, bytes) and profile:
        try:
            # A sheet of many pictures from one camera shares one profile: the transform is made once.
            transform, name = _transform(profile, mode)
            if transform is not None:
                out = ImageCms.applyTransform(image, transform)
                image = out if out is not None else image
                done.append(f"{'CMYK' if mode == 'CMYK' else name} to sRGB")
                return image.convert("L") if mode == "L" else image
            if mode in ("L", "RGB"):
                return image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            done.append("its colour profile could not be used")
    if mode == "CMYK":
        done.append("CMYK to sRGB")
        return image.convert("RGB")
    if mode == "LAB":
        done.append("Lab to sRGB")
        lab = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return ImageCms.applyTransform(image, lab) or image
    return image


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> tuple[Any, str]:
    """The transform of a profile to sRGB and the profile's name; None instead where none is needed."""
    opened: Any = ImageCms.getOpenProfile(io.BytesIO(profile))
    name = (opened.profile.profile_description or "its colour profile").strip() or "its colour profile"
    if opened.profile.xcolor_space != SPACE.get(mode):
        raise ValueError("a profile for another kind of picture")
    if mode in ("RGB", "L") and "srgb" in name.lower():
        return None, name
    intent = ImageCms.Intent.PERCEPTUAL if mode == "CMYK" else ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags), name[:60]
