"""A draft brought into the form of a collection: its channels, and its ground where pictures are transparent."""

import numpy as np
from jaxtyping import Float

from gesso.data.picture import Opened
from gesso.errors import GessoError
from gesso.finish.collection import Collection
from gesso.scene.cutout import CutOptions, cut_out

__all__ = ["formed", "ground_of"]

LUMA = (0.299, 0.587, 0.114)
LOOKED_AT = 200  # pictures from whose borders the ground of a collection is known
Picture = Float[np.ndarray, "h w c"]


def formed(opened: Opened, collection: Collection) -> tuple[Picture, list[str]]:
    """The draft in [0, 1], with as many channels as the collection's pictures, and what was done, in words.

    Where those are transparent and the draft is not, its plain ground is taken away; where it has none it stays whole.
    """
    channels = collection.pack.channels
    if channels == 4:
        if opened.alpha is not None:
            return opened.premultiplied, []
        try:
            cut = cut_out(opened.image, CutOptions(crop=False), opened.path.name).image.astype(np.float32) / 255
        except GessoError:
            return np.concatenate([opened.colours, np.ones_like(opened.colours[..., :1])], axis=2), []
        cut[..., :3] *= cut[..., 3:]
        return cut, ["its plain ground is taken as transparent, as the collection's is"]
    if opened.alpha is None:
        colours, notes = opened.colours, []
    else:
        ground = ground_of(collection)
        colours = opened.premultiplied[..., :3] + (1 - opened.alpha[..., None]) * ground
        notes = ["what is transparent lies on the collection's ground"]
    if channels == 1:
        return (colours @ np.array(LUMA, np.float32))[..., None], notes
    return colours.astype(np.float32), notes


def ground_of(collection: Collection) -> Float[np.ndarray, "3"]:
    """The colour that the borders of a collection's pictures have most often; grey as three."""
    images = collection.pack.images[: LOOKED_AT * max(collection.pack.count // LOOKED_AT, 1)]
    some = np.asarray(images[:: max(len(images) // LOOKED_AT, 1)], np.float32) / 255
    border = np.concatenate([some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1]], axis=1)
    middle = np.median(border.reshape(-1, border.shape[2]), axis=0)
    return np.broadcast_to(middle[:3], 3) if len(middle) == 1 else middle[:3]
