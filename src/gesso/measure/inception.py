"""The Inception network of the published Fréchet distances, from a weights file of the user's: Gesso ships none.

Inception-v3 (Szegedy et al. 2016, "Rethinking the Inception Architecture", figs. 5 to 7 and 10) as it was trained in
December 2015 with 1008 outputs, whose 2048 pooled numbers Heusel et al. 2017 compare. It differs from the paper in two
places: means in its blocks leave the border out, and the last block takes maxima instead. Figures depend on how
pictures are brought to 299 pixels (Parmar et al. 2022, "On Aliased Resizing"), so there are both forms: that of
torch-fidelity (TensorFlow 1's bilinear, which skips pixels) and that of clean-fid (bicubic, which does not).
"""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.errors import GessoError

__all__ = ["Form", "Inception", "load_inception"]

Form = Literal["torch-fidelity", "clean-fid"]
Kernel = tuple[int, int]
Step = tuple[tuple[str, int, Kernel], ...]  # convolutions side by side: the end of a name, channels, kernel
SIDE = 299  # pixels that it looks at
OUTPUTS = 1008  # classes of its training; the layer is in the file, and tells it from other Inceptions
EPSILON = 1e-3  # of its batch norms
ONE, THREE, FIVE, ACROSS, DOWN = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)
FORK: Step = (("a", 384, (1, 3)), ("b", 384, (3, 1)))

STEM: dict[str, tuple[int, Kernel, int, int]] = {  # channels, kernel, stride, padding
    "Conv2d_1a_3x3": (32, THREE, 2, 0),
    "Conv2d_2a_3x3": (32, THREE, 1, 0),
    "Conv2d_2b_3x3": (64, THREE, 1, 1),
    "Conv2d_3b_1x1": (80, ONE, 1, 0),
    "Conv2d_4a_3x3": (192, THREE, 1, 0),
}
POOLED = ("Conv2d_2b_3x3", "Conv2d_4a_3x3")  # behind these, maxima of 3×3 at every other pixel


def _chain(*steps: tuple[int, Kernel] | Step) -> list[Step]:
    return [(("", *step),) if isinstance(step[0], int) else step for step in steps]  # pyright: ignore[reportReturnType]


def _fine(pool: int) -> dict[str, list[Step]]:
    return {
        "branch1x1": _chain((64, ONE)),
        "branch5x5": _chain((48, ONE), (64, FIVE)),
        "branch3x3dbl": _chain((64, ONE), (96, THREE), (96, THREE)),
        "branch_pool": _chain((pool, ONE)),
    }


def _long(inner: int) -> dict[str, list[Step]]:
    return {
        "branch1x1": _chain((192, ONE)),
        "branch7x7": _chain((inner, ONE), (inner, ACROSS), (192, DOWN)),
        "branch7x7dbl": _chain((inner, ONE), (inner, DOWN), (inner, ACROSS), (inner, DOWN), (192, ACROSS)),
        "branch_pool": _chain((192, ONE)),
    }


WIDE: dict[str, list[Step]] = {
    "branch1x1": _chain((320, ONE)),
    "branch3x3": _chain((384, ONE), FORK),
    "branch3x3dbl": _chain((448, ONE), (384, THREE), FORK),
    "branch_pool": _chain((192, ONE)),
}
BLOCKS: dict[str, dict[str, list[Step]]] = {
    "Mixed_5b": _fine(32),
    "Mixed_5c": _fine(64),
    "Mixed_5d": _fine(64),
    "Mixed_6a": {
        "branch3x3": _chain((384, THREE)),
        "branch3x3dbl": _chain((64, ONE), (96, THREE), (96, THREE)),
    },
    "Mixed_6b": _long(128),
    "Mixed_6c": _long(160),
    "Mixed_6d": _long(160),
    "Mixed_6e": _long(192),
    "Mixed_7a": {
        "branch3x3": _chain((192, ONE), (320, THREE)),
        "branch7x7x3": _chain((192, ONE), (192, ACROSS), (192, DOWN), (192, THREE)),
    },
    "Mixed_7b": WIDE,
    "Mixed_7c": WIDE,
}
HALVING = ("Mixed_6a", "Mixed_7a")  # the last convolution of each branch skips every other pixel, as the maxima do
MAXIMA = (*HALVING, "Mixed_7c")


class Inception(nn.Module):
    """Pictures → the 2048 pooled numbers of the Inception network.

    tensors: its weights by the names that pytorch-fid and torch-fidelity give them. form: how pictures come to 299
    pixels. Raises GessoError where a tensor is missing or has another shape.
    """

    def __init__(self, tensors: Mapping[str, Tensor], form: Form = "torch-fidelity"):
        super().__init__()
        self.form: Form = form
        for name, shape in _shapes():
            found = tensors.get(name)
            if found is None or tuple(found.shape) != shape:
                what = "is missing" if found is None else f"is {_size(tuple(found.shape))}, not {_size(shape)}"
                raise GessoError(f"These are no weights of the Inception network of 2015: {name} {what}.", WANTED)
        for name in (name.removesuffix(".conv.weight") for name in tensors if name.endswith(".conv.weight")):
            gain, bias, mean, variance = (
                tensors[f"{name}.bn.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gain / (variance + EPSILON).sqrt()
            weight = tensors[f"{name}.conv.weight"].double() * scale[:, None, None, None]
            self.register_buffer(_key(name, "weight"), weight.float(), persistent=False)
            self.register_buffer(_key(name, "bias"), (bias - mean * scale).float(), persistent=False)

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 2048"]:
        """Of pictures in [-1, 1], grey, RGB or RGB with premultiplied alpha: what is transparent becomes grey.

        Raises GessoError for other channels.
        """
        x = resized(_bytes(x), self.form) / 128 - 1
        for name, (_, _, stride, pad) in STEM.items():
            x = self._conv(x, name, stride, (pad, pad))
            if name in POOLED:
                x = F.max_pool2d(x, 3, 2)
        for name, branches in BLOCKS.items():
            x = self._mixed(x, name, branches)
        return x.mean((2, 3))

    def _mixed(self, x: Tensor, block: str, branches: dict[str, list[Step]]) -> Tensor:
        halves, maps = block in HALVING, []
        for branch, steps in branches.items():
            y = _means(x, block) if branch == "branch_pool" else x
            for i, step in enumerate(steps):
                stride = 2 if halves and i == len(steps) - 1 else 1
                parts = [
                    self._conv(y, _name(block, branch, steps, i, end), stride, _border(kernel, stride))
                    for end, _, kernel in step
                ]
                y = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
            maps.append(y)
        if halves:
            maps.append(F.max_pool2d(x, 3, 2))
        return torch.cat(maps, 1)

    def _conv(self, x: Tensor, name: str, stride: int, pad: Kernel) -> Tensor:
        weight, bias = self.get_buffer(_key(name, "weight")), self.get_buffer(_key(name, "bias"))
        return F.relu_(F.conv2d(x, weight, bias, stride, pad))


def _key(name: str, part: str) -> str:
    return f"{name}.{part}".replace(".", "_")


def _means(x: Tensor, block: str) -> Tensor:
    if block in MAXIMA:
        return F.max_pool2d(x, 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _border(kernel: Kernel, stride: int) -> Kernel:
    return (kernel[0] // 2, kernel[1] // 2) if stride == 1 else (0, 0)


def _name(block: str, branch: str, steps: list[Step], i: int, end: str) -> str:
    return f"{block}.{branch}" if len(steps) == 1 else f"{block}.{branch}_{i + 1}{end}"


def _convolutions() -> Iterator[tuple[str, int, int, Kernel]]:
    """Name, channels before and behind, and kernel of each."""
    inside = 3
    for name, (outside, kernel, _, _) in STEM.items():
        yield name, inside, outside, kernel
        inside = outside
    for block, branches in BLOCKS.items():
        total = inside if block in HALVING else 0
        for branch, steps in branches.items():
            before = inside
            for i, step in enumerate(steps):
                for end, outside, kernel in step:
                    yield _name(block, branch, steps, i, end), before, outside, kernel
                before = sum(outside for _, outside, _ in step)
            total += before
        inside = total


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor that a weights file must hold."""
    for name, inside, outside, kernel in _convolutions():
        yield f"{name}.conv.weight", (outside, inside, *kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.bn.{part}", (outside,)
    yield "fc.weight", (OUTPUTS, 2048)
    yield "fc.bias", (OUTPUTS,)


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a number"


def _bytes(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
    """Colours from 0 to 255, rounded as they would be in a file: so the published figures are computed."""
    if x.shape[1] not in (1, 3, 4):
        raise GessoError(f"Inception cannot look at pictures of {x.shape[1]} channels.", "Give it grey, RGB or RGBA.")
    if x.shape[1] == 4:
        x = x[:, :3] + (1 - x[:, 3:]) / 2
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).expand(-1, 3, -1, -1)


def resized(x: Float[Tensor, "n 3 h w"], form: Form) -> Float[Tensor, "n 3 299 299"]:
    """Colours from 0 to 255, brought to 299 × 299 pixels as one or the other does it."""
    if form == "clean-fid":  # as Pillow does on numbers that are not rounded
        return F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 255)
    for axis in (2, 3):  # TensorFlow 1: no half pixels, no mean over those that are skipped
        last = x.shape[axis] - 1
        at = torch.arange(SIDE, device=x.device) * (x.shape[axis] / SIDE)
        first = at.long().clamp(max=last)
        share = (at - first).view(-1, *[1] * (3 - axis))
        low, high = x.index_select(axis, first), x.index_select(axis, (first + 1).clamp(max=last))
        x = low + share * (high - low)
    return x


WANTED = "It is offered as pt_inception-2015-12-05 and as weights-inception-2015-12-05."


def load_inception(path: Path, form: Form = "torch-fidelity") -> Inception:
    """The network from a weights file: what `torch.save` wrote (.pth, .pt; nothing in it is executed) or safetensors.

    Raises GessoError when the file is missing, cannot be read, or holds other weights.
    """
    if not path.is_file():
        raise GessoError(f"There is no file {path}.", WANTED)
    try:
        if path.suffix == ".safetensors":
            tensors = safetensors.torch.load_file(path)
        else:
            tensors = torch.load(path, "cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GessoError(f"{path} cannot be read as weights: {reason.rstrip('.')}.", WANTED) from None
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise GessoError(f"{path} does not hold weights by name.", WANTED)
    return Inception(tensors, form)
