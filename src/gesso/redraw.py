"""Given pictures through a model of a collection: made whole, or drawn again with a change.

A model draws at one size. A picture of another size is brought to it; what comes back keeps, of the picture at its own
size, everything that was known there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from gesso.contract.family import Condition, Facts, Family
from gesso.contract.known import Known, Restorer
from gesso.data.picture import Opened
from gesso.data.write import to_channels
from gesso.errors import GessoError
from gesso.marks.picture import to_uint8
from gesso.marks.work import to_bytes
from gesso.options import Options
from gesso.patch.heal import fill_smoothly
from gesso.patch.pyramid import resized, resized_mask
from gesso.patch.tone import noise_of
from gesso.sample import Drawn, draw

__all__ = ["Asked", "Damage", "Wish", "at_model", "candidates", "in_form", "redrawn", "restored"]

Pixels = UInt8[np.ndarray, "h w c"]
Wish = Literal["fill", "denoise", "colourise", "enlarge"]
NEAR = 1.02  # how much longer a side may be than a model's shape would have it


class Asked(NamedTuple):
    """What drawings are asked to be, one of each seed. knobs: of the family's Knobs."""

    seeds: Sequence[int]
    label: str | None = None
    text: str | None = None
    knobs: Options | None = None


class Damage(NamedTuple):
    """What is not known of a picture. holes: where nothing is; factor: how many times smaller it is than the model's
    pictures; grey: its colours; noise: standard deviation of the noise in it, in [0, 1].
    """

    holes: Bool[np.ndarray, "h w"] | None = None
    factor: int = 1
    grey: bool = False
    noise: float = 0.0


def restored(family: Family, picture: Pixels, damage: Damage, asked: Asked) -> Iterator[Drawn]:
    """Candidates for what a picture was before: one a seed, at the size that the model draws.

    picture: of the model's size, or `factor` times smaller, in its channels. Raises GessoError for a family that cannot
    restore, or not from such damage.
    """
    image = _floats(picture)
    if damage.holes is not None and not damage.holes.all():  # a guess, so that nothing of what is there is seen
        image = _floats(to_bytes(fill_smoothly(picture.astype(np.float32) / 255, damage.holes)))
    if damage.factor > 1:
        image = image.repeat_interleave(damage.factor, 2).repeat_interleave(damage.factor, 3)
    mask = None if damage.holes is None else torch.from_numpy(~damage.holes)[None, None]

    def how(restorer: Restorer, z: torch.Tensor, condition: Condition, knobs: Options) -> Iterator[torch.Tensor]:
        n, device = len(z), z.device
        known = Known(
            image.to(device).expand(n, -1, -1, -1),
            None if mask is None else mask.to(device).expand(n, -1, -1, -1),
            damage.factor, damage.grey, 2 * damage.noise,
        )  # fmt: skip
        return restorer.restore(z, known, condition, knobs)

    yield from _draw(family, image, asked, how)


def redrawn(family: Family, picture: Pixels, strength: float, asked: Asked) -> Iterator[Drawn]:
    """A picture drawn again, one a seed. strength: how much of it may change, 0 to 1.

    picture: of the model's size, in its channels. Raises GessoError for a family that cannot.
    """
    image = _floats(picture)

    def how(restorer: Restorer, z: torch.Tensor, condition: Condition, knobs: Options) -> Iterator[torch.Tensor]:
        return restorer.varied(z, image.to(z.device).expand(len(z), -1, -1, -1), strength, condition, knobs)

    yield from _draw(family, image, asked, how)


def _draw(
    family: Family, image: torch.Tensor, asked: Asked, how: Callable[..., Iterator[torch.Tensor]]
) -> Iterator[Drawn]:
    if not isinstance(family, Restorer):
        raise GessoError(
            f"A model of the family {family.name} only draws new pictures.",
            "Train one that can look at pictures: --family flow, vae or tokens.",
        )
    size = (family.facts.channels, family.facts.height, family.facts.width)
    if image.shape[1:] != size:
        raise ValueError(f"a picture of {tuple(image.shape[1:])}, where the model has {size}")
    restorer: Restorer = family
    yield from draw(
        family, asked.seeds, asked.label, asked.knobs, asked.text, how=lambda z, c, k: how(restorer, z, c, k), own=False
    )


def _floats(picture: Pixels) -> Float[torch.Tensor, "1 c h w"]:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1


def in_form(picture: Float[np.ndarray, "h w _"], channels: int) -> tuple[Pixels, dict[str, str]]:
    """A picture, h w 3 or 4 in [0, 1] and premultiplied, as bytes of so many channels; and what that changes of it."""
    pixels = to_bytes(picture)
    if pixels.shape[2] == 3:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=2)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])  # where resizing overshot
    notes = dict[str, str]()
    if channels < 4 and bool((pixels[..., 3] < 255).any()):
        notes["white"] = "is laid on white: the model knows no transparency"
    apart = pixels[..., :3].astype(np.int16)
    if channels == 1 and int((apart.max(axis=2) - apart.min(axis=2)).max()) > 8:
        notes["grey"] = "is turned to grey: the model learned from pictures without colour"
    return np.ascontiguousarray(to_channels(pixels[None], channels, np.full((1, 3), 255, np.uint8))[0]), notes


def at_model(opened: Opened, facts: Facts) -> tuple[Pixels, list[str]]:
    """A picture as one that the model might have drawn, and sentences about what that changed.

    Raises GessoError for one of another shape.
    """
    high, wide = opened.image.shape[:2]
    if not 1 / NEAR <= (high * facts.width) / (wide * facts.height) <= NEAR:
        raise GessoError(
            f"{opened.path.name} is {wide}×{high}: the model knows pictures of the shape {facts.width}×{facts.height}.",
            "Crop it to that shape, or bring it there with gesso retarget.",
        )
    form, notes = in_form(resized(opened.premultiplied, facts.height, facts.width), facts.channels)
    said = [f"{opened.path.name} {note}." for note in notes.values()]
    if (high, wide) != (facts.height, facts.width):
        said.append(f"{opened.path.name} is {wide}×{high}, and is looked at in {facts.width}×{facts.height} pixels.")
    return form, said


def candidates(
    family: Family, opened: Opened, wish: Wish, holes: Bool[np.ndarray, "h w"] | None, asked: Asked
) -> tuple[list[str], Iterator[Drawn]]:
    """What is to be said, and candidates for a picture made whole: of its own size, or enlarged, of the model's.

    holes: where it is to be filled. What was known at the picture's own size is kept: all outside the holes, and the
    brightness of a picture that is given colours. Raises GessoError where the picture does not suit the wish.
    """
    facts = family.facts
    high, wide = opened.image.shape[:2]
    if wish == "enlarge":
        factor, rest = divmod(facts.height, high)
        if rest or factor < 2 or facts.width != factor * wide:
            fit = " or ".join(
                f"{facts.width // k}×{facts.height // k}" for k in (2, 4, 8) if facts.height % k == facts.width % k == 0
            )
            raise GessoError(
                f"{opened.path.name} is {wide}×{high}; the model enlarges to {facts.width}×{facts.height} alone.",
                f"Bring the picture to {fit} first, or enlarge with gesso upscale.",
            )
        pixels, said = in_form(opened.premultiplied, facts.channels)
        damage = Damage(factor=factor)
        notes = [f"{opened.path.name} {note}." for note in said.values()]
        return notes, restored(family, pixels, damage, asked)
    pixels, notes = at_model(opened, facts)
    if wish == "denoise":
        noise = noise_of(pixels[..., :3].astype(np.float32) / 255)
        if noise <= 0:
            raise GessoError(f"No noise is found in {opened.path.name}.", "It needs none taken away.")
        notes.append(f"Noise of {255 * noise:.1f} of 255 is taken away.")
        return notes, restored(family, pixels, Damage(noise=noise), asked)
    if wish == "colourise":
        if facts.channels == 1:
            raise GessoError("This model knows no colours.", "Train one on pictures in colour.")
        damage = Damage(grey=True)
    else:
        assert holes is not None
        damage = Damage(resized_mask(holes, facts.height, facts.width, whole=False))
    own, _ = in_form(opened.premultiplied, facts.channels)
    drawings = restored(family, pixels, damage, asked)
    if own.shape == pixels.shape:
        return notes, drawings
    return notes, (replace(drawn, image=_at_own_size(drawn.image, own, damage, holes)) for drawn in drawings)


def _at_own_size(drawn: Pixels, own: Pixels, damage: Damage, holes: np.ndarray | None) -> Pixels:
    """What was drawn, at the size of the picture as it was given, with all that was known there."""
    high, wide = own.shape[:2]
    large = torch.from_numpy(resized(drawn.astype(np.float32) / 127.5 - 1, high, wide)).permute(2, 0, 1)[None]
    mask = None if holes is None else torch.from_numpy(~holes)[None, None]
    known = Known(_floats(own), mask, grey=damage.grey)
    return to_uint8(known.fitted(large).clamp(-1, 1))[0]
