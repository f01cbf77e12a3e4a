"""Endless material from a sample: any size, seamless where wished, turned patches too; sets of Wang tiles; maps."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float

from gesso.errors import GessoError
from gesso.patch.atlas import atlas, turned
from gesso.patch.level import How, Source, Target
from gesso.patch.pyramid import resized, resized_mask, scales
from gesso.patch.quilt import quilted
from gesso.patch.synthesis import Step, synthesise

__all__ = ["height_map", "normal_map", "synthesise_texture", "wang_tiles"]

Picture = Float[np.ndarray, "h w c"]
HOW = How(ratio=0.7, first=10, steps=(6, 3), complete=0.3, keen=0.9, sharp=0.5, calm=0.03)
JOINED = replace(HOW, keen=1.0, sharp=1.0, calm=0.0, complete=0.0, trust=1.2)  # where it is joined to what there is
BASE = 56  # pixels of the sample's shorter side at the first level
BLOCK = 22  # side of a block of the first layout there
LEAST = 16  # pixels a side of a sample


def synthesise_texture(
    sample: Picture, height: int, width: int, *, wrap: tuple[bool, bool] = (False, False), turns: bool = False,
    keep: bool = False, fixed: tuple[Picture, np.ndarray] | None = None, seed: int = 0,
) -> Iterator[Step]:  # fmt: skip
    """A texture of any size from a sample; yields better and better pictures, the last `height width c`.

    sample: h w c in [0, 1], any number of channels (maps of a material are made alike by being further channels).
    wrap: seamless in y, in x. turns: use quarter turns and mirrored patches, too. keep: leave the sample as it is as
    far as possible and mend its borders only. fixed: a picture of the result's size and a mask h w of what stays of it.
    Raises GessoError for a sample that is too small.
    """
    high, wide = sample.shape[:2]
    if min(high, wide) < LEAST:
        raise GessoError(
            f"The sample is {wide}×{high} pixels: too small for a texture.",
            f"Use one of {LEAST} pixels or more a side, better of 128.",
        )
    scale = scales(min(high, wide), BASE, HOW.ratio)[0]
    at = [max(round(n * scale), HOW.patch + 1) for n in (high, wide, height, width)]
    rng = np.random.default_rng(seed)
    if keep:
        rows, columns = (np.minimum(np.arange(n) % old, old - 1) for n, old in zip(at[2:], at[:2], strict=True))
        places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).astype(np.int32)
    else:
        small = resized(sample, at[0], at[1]).astype(np.float32)
        held = None
        if fixed is not None:
            held = resized(fixed[0], at[2], at[3]).astype(np.float32), resized_mask(fixed[1], at[2], at[3], whole=True)
        places = quilted(small, at[2], at[3], wrap, BLOCK, rng, fixed=held)
    source = Source(sample)
    if turns:
        laid = atlas(turned(sample), scale)
        source = Source(laid.picture, allowed=laid.allowed)
    begin, stays = (None, None) if fixed is None else fixed
    how = replace(HOW if fixed is None else JOINED, start=scale, coarse=1, wrap=wrap)
    yield from synthesise(source, Target(height, width, begin=begin, fixed=stays, places=places), how, seed)


def wang_tiles(sample: Picture, side: int, seed: int = 0) -> Iterator[tuple[tuple[int, int, int, int], Picture]]:
    """A complete set of sixteen Wang tiles: every one with its edges' colours (north, east, south, west; 0 or 1).

    Tiles whose touching edges have one colour fit without a seam, however they are laid: Cohen, Shade, Hiller, Deussen,
    SIGGRAPH 2003. side: of a tile in pixels. All tiles share a corner; each edge's strip is shared by all that have it.
    """
    band = max(side // 8, 4)
    rng = np.random.default_rng(seed)
    if min(sample.shape[:2]) < 2 * band + LEAST:
        raise GessoError(f"The sample is too small for tiles of {side} pixels.", "Use a larger sample.")
    corner = _piece(sample, 2 * band, 2 * band, rng)
    uprights = [_strip(sample, corner, side, seed + 1 + k) for k in range(2)]
    levels = [
        _strip(sample.transpose(1, 0, 2), corner.transpose(1, 0, 2), side, seed + 3 + k).transpose(1, 0, 2)
        for k in range(2)
    ]
    for number in range(16):
        north, east, south, west = (number >> bit & 1 for bit in range(4))
        begin, stays = np.zeros((side, side, sample.shape[2]), np.float32), np.ones((side, side), bool)
        begin[:, :band], begin[:, -band:] = uprights[west][:, band:], uprights[east][:, :band]
        begin[:band], begin[-band:] = levels[north][band:], levels[south][:band]
        begin[:band, :band], begin[:band, -band:] = corner[band:, band:], corner[band:, :band]
        begin[-band:, :band], begin[-band:, -band:] = corner[:band, band:], corner[:band, :band]
        stays[band:-band, band:-band] = False
        picture = begin
        for step in synthesise_texture(sample, side, side, fixed=(begin, stays), seed=seed + 16 + number):
            picture = step.picture
        yield (north, east, south, west), np.where(stays[..., None], begin, picture)


def _piece(sample: Picture, height: int, width: int, rng: np.random.Generator) -> Picture:
    y, x = (int(rng.integers(0, n - m + 1)) for n, m in zip(sample.shape[:2], (height, width), strict=True))
    return np.ascontiguousarray(sample[y : y + height, x : x + width])


def _strip(sample: Picture, corner: Picture, side: int, seed: int) -> Picture:
    """What lies on both sides of an upright edge, between two corners: side × twice the band."""
    band = corner.shape[0] // 2
    begin, stays = np.zeros((side, 2 * band, sample.shape[2]), np.float32), np.zeros((side, 2 * band), bool)
    begin[:band], begin[-band:] = corner[band:], corner[:band]
    stays[:band] = stays[-band:] = True
    picture = begin
    for step in synthesise_texture(sample, side, 2 * band, fixed=(begin, stays), seed=seed):
        picture = step.picture
    return np.where(stays[..., None], begin, picture)


def height_map(texture: Float[np.ndarray, "h w 3"], wrap: tuple[bool, bool] = (True, True)) -> np.ndarray:
    """A guess at heights from light: what is brighter than its surroundings stands out; h w in [0, 1].

    Slow changes of light are left out (they are lighting rather than relief): a band of Gaussians, coarse to fine.
    """
    light = texture[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    more = max(texture.shape[:2]) // 2
    light = np.pad(light, [(more, more) if w else (0, 0) for w in wrap], mode="wrap") if any(wrap) else light
    out = np.zeros_like(light)
    sigma, last = 1.0, light
    while sigma < min(texture.shape[:2]) / 8:
        softer = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        out += (last - softer) * sigma**0.5
        last, sigma = softer, sigma * 2
    out = out[more : len(out) - more] if wrap[0] else out
    out = out[:, more : out.shape[1] - more] if wrap[1] else out
    low, high = np.quantile(out, [0.005, 0.995])
    return np.clip((out - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def normal_map(
    heights: Float[np.ndarray, "h w"], strength: float = 4.0, wrap: tuple[bool, bool] = (True, True)
) -> Float[np.ndarray, "h w 3"]:
    """Normals of a height map, in tangent space, y up (OpenGL, glTF): [0, 1] stands for [-1, 1].

    strength: how many pixels the full height is, over 8.
    """
    padded = np.pad(heights, [(1, 1), (1, 1)], mode="wrap")
    for axis, wraps in enumerate(wrap):
        if not wraps:
            edge = np.moveaxis(padded, axis, 0)
            edge[0], edge[-1] = edge[1], edge[-2]
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) * (4 * strength)
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * (4 * strength)
    normal = np.dstack([-across, down, np.ones_like(heights)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return (normal / 2 + 0.5).astype(np.float32)
