"""Pictures of a pack as batches, each a pure function of the seed and the step: nothing needs to be remembered."""

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gesso.contract.family import Batch, Facts
from gesso.data.pack import Some


class Pictures(Protocol):
    """What training reads of a pack."""

    @property
    def images(self) -> np.ndarray | Some:
        """n h w c bytes, premultiplied where c is 4."""
        ...

    @property
    def label_ids(self) -> np.ndarray:
        """n class numbers, -1 for none."""
        ...

    @property
    def captions(self) -> list[str]:
        """n texts, empty for none."""
        ...


class Batches:
    """Step → batch. Pictures come in a new order every epoch; several processes share each batch out evenly."""

    def __init__(self, pictures: Pictures, facts: Facts, seed: int, batch: int, flip: bool = False):
        """batch: pictures a step over all processes; facts.height and width: the size to learn, at most the pack's."""
        self.pictures, self.facts = pictures, facts
        self.seed, self.batch, self.flip = seed, batch, flip
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> np.ndarray:
        """Which pictures step number `step` shows, `batch` of them."""
        count = len(self.pictures.images)
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        out = np.empty(self.batch, dtype=np.int64)
        for epoch in np.unique(places // count):
            if epoch != self._epoch:
                self._epoch = int(epoch)
                self._order = np.random.default_rng([self.seed, 1, int(epoch)]).permutation(count)
            here = places // count == epoch
            out[here] = self._order[places[here] % count]
        return out

    def at(self, step: int, device: torch.device, rank: int = 0, world: int = 1) -> Batch:
        """The share of process `rank` in step number `step`."""
        mirrored = np.random.default_rng([self.seed, 2, step]).random(self.batch) < 0.5
        mine = slice(rank * self.batch // world, (rank + 1) * self.batch // world)
        chosen = self.indices(step)[mine]
        image = to_float(self.pictures.images[chosen], self.facts).to(device)
        if self.flip:
            image = torch.where(torch.from_numpy(mirrored[mine]).to(device)[:, None, None, None], image.flip(3), image)
        label = torch.from_numpy(self.pictures.label_ids[chosen]).to(device) if self.facts.labels else None
        text = [self.pictures.captions[i] for i in chosen] if self.pictures.captions else None
        return Batch(image=image.contiguous(memory_format=torch.channels_last), label=label, text=text)


def to_float(images: np.ndarray, facts: Facts) -> Float[Tensor, "n c h w"]:
    """Bytes n h w c of a pack to floats in [-1, 1], averaged down to the size in `facts` where that is smaller."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    if x.shape[2:] != (facts.height, facts.width):
        x = F.interpolate(x, (facts.height, facts.width), mode="area")
    return x
