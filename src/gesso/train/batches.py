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

    @property
    def sources(self) -> np.ndarray | Some | None:
        """h w s bytes: of each picture its source, or any number of others' pictures; None for none."""
        ...

    @property
    def paired(self) -> bool:
        """Whether each picture has its own source."""
        ...


class Batches:
    """Step → batch. Pictures come in a new order every epoch; several processes share each batch out evenly."""

    def __init__(self, pictures: Pictures, facts: Facts, seed: int, batch: int, flip: bool = False):
        """batch: pictures a step over all processes; facts.height and width: the size to learn, at most the pack's."""
        self.pictures, self.facts = pictures, facts
        self.seed, self.batch, self.flip = seed, batch, flip
        self._orders: dict[int, tuple[int, np.ndarray]] = {}  # of each stream: the epoch, and its order

    def indices(self, step: int) -> np.ndarray:
        """Which pictures step number `step` shows, `batch` of them."""
        return self._shuffled(step, len(self.pictures.images), 1)

    def sources(self, step: int) -> np.ndarray:
        """Which sources go with them: their own, or others in an order of their own."""
        assert self.pictures.sources is not None
        return self.indices(step) if self.pictures.paired else self._shuffled(step, len(self.pictures.sources), 4)

    def some_sources(self, count: int) -> np.ndarray:
        """Sources from all over, `count h w s` bytes at the size to learn, the same in every run.

        They come over again where there are fewer.
        """
        others = self.pictures.sources
        assert others is not None
        order = np.random.default_rng(0).permutation(len(others))
        x = to_float(others[np.resize(order, count)], self.facts)
        return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()

    def _shuffled(self, step: int, count: int, stream: int) -> np.ndarray:
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        out = np.empty(self.batch, dtype=np.int64)
        for epoch in np.unique(places // count):
            known, order = self._orders.get(stream, (-1, places))
            if epoch != known:
                order = np.random.default_rng([self.seed, stream, int(epoch)]).permutation(count)
                self._orders[stream] = int(epoch), order
            here = places // count == epoch
            out[here] = order[places[here] % count]
        return out

    def at(self, step: int, device: torch.device, rank: int = 0, world: int = 1) -> Batch:
        """The share of process `rank` in step number `step`."""
        mirrored = np.random.default_rng([self.seed, 2, step]).random(self.batch) < 0.5
        mine = slice(rank * self.batch // world, (rank + 1) * self.batch // world)
        chosen = self.indices(step)[mine]

        def shown(pictures: np.ndarray | Some, which: np.ndarray) -> Tensor:
            x = to_float(pictures[which], self.facts).to(device)
            if self.flip:
                x = torch.where(torch.from_numpy(mirrored[mine]).to(device)[:, None, None, None], x.flip(3), x)
            return x.contiguous(memory_format=torch.channels_last)

        label = torch.from_numpy(self.pictures.label_ids[chosen]).to(device) if self.facts.labels else None
        text = [self.pictures.captions[i] for i in chosen] if self.pictures.captions else None
        others = self.pictures.sources
        source = shown(others, self.sources(step)[mine]) if others is not None else None
        return Batch(image=shown(self.pictures.images, chosen), label=label, text=text, source=source)


def to_float(images: np.ndarray, facts: Facts) -> Float[Tensor, "n c h w"]:
    """Bytes n h w c of a pack to floats in [-1, 1], averaged down to the size in `facts` where that is smaller."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    if x.shape[2:] != (facts.height, facts.width):
        x = F.interpolate(x, (facts.height, facts.width), mode="area")
    return x
