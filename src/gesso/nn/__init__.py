"""Layers; each names the equation or paper that it comes from.

`blocks`: what most families use. `equalised`: equalised learning rates, pixel norm, minibatch deviation. `style`:
modulated convolutions and what belongs to them. `regional`: small networks that see their region alone. `patches`:
critics of patches. `unet`: of flows. `quantise`, `sequence`: of tokens.
"""

from gesso.nn.blocks import (
    AskedNorm,
    Decoder,
    Doubling,
    DownBlock,
    Match,
    Project,
    Scaled,
    UpBlock,
    channels_at,
    dcgan_init,
    levels,
    normalised,
    scale_gradient,
)

__all__ = [
    "AskedNorm",
    "Decoder",
    "Doubling",
    "DownBlock",
    "Match",
    "Project",
    "Scaled",
    "UpBlock",
    "channels_at",
    "dcgan_init",
    "levels",
    "normalised",
    "scale_gradient",
]
