"""What figures are computed from: pictures → features, by one of several networks.

Figures of two extractors say nothing beside each other, so each carries its name and the hash of its weights.
"""

import hashlib
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.distances import Moments
from gesso.measure.inception import Form, load_inception
from gesso.primer.frozen import WEIGHTS, Frozen, load
from gesso.primer.network import Primer, folded
from gesso.primer.own import OwnNetwork, network

__all__ = ["Extractor", "Network", "extractor", "features", "features_of", "floats", "moments", "same_form"]

CHANNELS = {1: "grey", 3: "RGB", 4: "RGB with transparency"}
BATCH = 100  # pictures that go through the network at a time
INCEPTION: dict[str, tuple[str, Form]] = {
    "inception": ("inception", "torch-fidelity"),
    "clean": ("inception-clean", "clean-fid"),
}  # how it is asked for: what it is called, how it brings pictures to its size


class Network(Protocol):
    """What an extractor looks with."""

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Of pictures in [-1, 1]. Raises GessoError for those that it cannot look at."""
        ...


@dataclass(frozen=True)
class Means:
    """Each map of a network as one mean over the whole picture: parts of it, as `Frozen.features` gives them, are four
    times as many numbers, whose spread hides what is wrong in some hundred pictures (measured: `bench.ladder`)."""

    maps: Frozen | OwnNetwork

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """See `Frozen.features`."""
        return self.maps.features(x, 1)


@dataclass(frozen=True)
class Extractor:
    """A network that sees, and who it is. name: as it was asked for; sha256: of its weights."""

    name: str
    sha256: str
    network: Network

    @property
    def mark(self) -> str:
        """Name and the beginning of the hash, as it stands beside every figure."""
        return f"{self.name}:{self.sha256[:12]}"

    @torch.inference_mode()
    def __call__(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of pictures in [-1, 1], grey, RGB or RGB with premultiplied alpha.

        Raises GessoError for pictures below 16 pixels, of other channels, and for numbers that are not finite.
        """
        if not bool(torch.isfinite(x).all()):
            raise GessoError("Some pictures hold values that are not finite numbers.", "Leave the damaged ones out.")
        parts = [self.network.features(part.contiguous(memory_format=torch.channels_last)) for part in x.split(BATCH)]
        return torch.cat(parts).float()


def extractor(choice: str = "primer") -> Extractor:
    """The one that a user asked for.

    choice: `primer`; `random`, the same network with its first weights, from a fixed seed; `inception:FILE` or
    `clean:FILE`, the network of the published figures from its weights, in the form of torch-fidelity or of clean-fid;
    or the path of an ONNX file or of weights that `gesso.primer.learn` wrote. Raises GessoError for files that are
    missing or cannot be read.
    """
    if choice == "primer":
        return Extractor(choice, _hash(WEIGHTS.read_bytes()), Means(load()))
    if choice == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            tensors = {**folded(Primer().eval()), "spreads": torch.ones(3)}
        weights = b"".join(tensors[name].detach().numpy().tobytes() for name in sorted(tensors))
        return Extractor(choice, _hash(weights), Means(Frozen(tensors)))
    kind, _, file = choice.partition(":")
    if kind in INCEPTION:
        name, form = INCEPTION[kind]
        if not file:
            raise GessoError("Gesso ships no Inception network.", f"Choose the file of its weights: {kind}:FILE.")
        weights = Path(file).expanduser()
        see = load_inception(weights, form)
        return Extractor(name, _hash(weights.read_bytes()), see)
    if choice == "own":
        raise GessoError("The extractor own learns from a data set's pictures.", "Name the data set, or choose primer.")
    path = Path(choice.removeprefix("onnx:")).expanduser()
    if not path.is_file():
        raise GessoError(f"There is no network {path}.", "Choose primer or random, or give the path of an ONNX file.")
    return Extractor(path.name, _hash(path.read_bytes()), Means(network(path)))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def features(see: Extractor, batches: Iterable[Float[Tensor, "n c h w"]]) -> Float[Tensor, "m d"]:
    """Of all pictures of a stream. Raises GessoError when there are none."""
    parts = [see(batch) for batch in batches]
    if not parts:
        raise GessoError("There are no pictures to measure.", "Draw or import some.")
    return torch.cat(parts)


def features_of(see: Extractor, images: UInt8[np.ndarray, "n h w c"], processes: int = 1) -> Float[Tensor, "n d"]:
    """Of all pictures of an array, which may be mapped from a file.

    processes: that share the work, each with one thread; 1 is this one. The features are the same bits for any number:
    pictures go through the network in the same company, on one thread. Raises GessoError when there are none, and what
    the extractor raises.
    """
    if not len(images):
        raise GessoError("There are no pictures to measure.", "Draw or import some.")
    batches = [slice(first, first + BATCH) for first in range(0, len(images), BATCH)]
    if processes == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return torch.cat([_look(see, images[batch]) for batch in batches])
        finally:
            torch.set_num_threads(threads)
    context = multiprocessing.get_context("spawn")  # a fork would take the threads' locks along
    with ProcessPoolExecutor(min(processes, len(batches)), context, _begin, (see,)) as pool:
        parts = pool.map(_theirs, (np.ascontiguousarray(images[batch]) for batch in batches))
        return torch.cat([torch.from_numpy(part) for part in parts])


SEE: list[Extractor] = []  # of a worker process


def _begin(see: Extractor) -> None:
    torch.set_num_threads(1)
    SEE.append(see)


def _theirs(images: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n d"]:
    return _look(SEE[0], images).numpy()


def _look(see: Extractor, images: UInt8[np.ndarray, "n h w c"]) -> Float[Tensor, "n d"]:
    return see(floats(images))


def floats(images: UInt8[np.ndarray, "n h w c"]) -> Float[Tensor, "n c h w"]:
    """Bytes as pictures in [-1, 1]."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def same_form(real: UInt8[np.ndarray, "n h w c"], made: UInt8[np.ndarray, "m H W C"]) -> None:
    """Raise GessoError unless both sets of pictures are of one size and of as many channels.

    A network sees them all, but its figures would say that they differ in form.
    """
    forms = [f"{x.shape[2]}×{x.shape[1]} pixels, {CHANNELS.get(x.shape[3], str(x.shape[3]))}" for x in (real, made)]
    if forms[0] != forms[1]:
        raise GessoError(
            f"The real pictures are of {forms[0]}, the made ones of {forms[1]}.", "Bring them to one size and mode."
        )


def moments(see: Extractor, batches: Iterable[Float[Tensor, "n c h w"]]) -> Moments:
    """Of all pictures of a stream, in the memory that one batch needs. Raises GessoError when there are none."""
    total: Moments | None = None
    for batch in batches:
        part = Moments.of(see(batch))
        part = replace(part, seen_by=see.mark)
        total = part if total is None else total + part
    if total is None:
        raise GessoError("There are no pictures to measure.", "Draw or import some.")
    return total
