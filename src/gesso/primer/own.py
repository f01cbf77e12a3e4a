"""A network of the user's own in the primer's place: an ONNX file, computed in torch, so that it can teach.

Networks that look at pictures are chains of a few operations, which this module knows: convolutions, norms,
activations, sums and products, pooling. What follows the last map, a classifier's head say, is left out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.errors import GessoError
from gesso.primer.frozen import Frozen, as_rgba, load, pooled

__all__ = ["Absent", "OwnNetwork", "network"]

LOOKED = 64  # pixels of the pictures by which the maps are chosen and their spreads measured
MAPS = 4  # at most, each at half the size of the one before
HEAD = {"Flatten", "Reshape", "Squeeze", "Gemm", "MatMul", "Softmax", "LogSoftmax", "Shape", "Gather", "Unsqueeze"}
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of colours in [0, 1], as most networks were taught


class OwnNetwork(nn.Module):
    """Pictures → the last maps of a network at 1/2, 1/4, … of their size, as `frozen.Frozen` gives the primer's.

    path: an ONNX file whose one input is a batch of RGB pictures. mean, spread: what it wants taken from colours in
    [0, 1], and by what divided.

    Raises GessoError where the file cannot be read, or does something that is not known here before its last map.
    """

    def __init__(self, path: Path, mean: tuple[float, ...] = MEAN, spread: tuple[float, ...] = SPREAD):
        super().__init__()
        self.name = path.name
        self.nodes, tensors, self.input = _read(path)
        self.known = {name: f"tensor{i}" for i, name in enumerate(tensors)}
        for name, tensor in tensors.items():
            self.register_buffer(self.known[name], tensor, persistent=False)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(spread)[:, None, None], persistent=False)
        self.chosen: dict[str, int] = {}
        rng = torch.Generator().manual_seed(0)
        looked = torch.cumsum(torch.cumsum(torch.randn(8, 3, LOOKED, LOOKED, generator=rng), 2), 3)  # brown clouds
        with torch.no_grad():
            maps = self._choose(torch.tanh(looked / looked.std((1, 2, 3), keepdim=True)))
        self.widths = tuple(m.shape[1] for m in maps)
        self.strides = tuple(self.chosen.values())
        self.spreads = tuple(max(float(m.square().mean().sqrt()), 1e-6) for m in maps)

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> list[Tensor]:
        """The maps, fine to coarse. x: pictures as `as_rgba` gives them; what is transparent is grey."""
        seen = self._run(self._prepared(x), set(self.chosen))
        return [seen[name] for name in self.chosen]

    maps = forward

    def features(self, x: Float[Tensor, "n c h w"], cells: int = 2) -> Float[Tensor, "n d"]:
        """All maps, as means over cells × cells parts; see `Frozen.features`."""
        return pooled(self.maps(as_rgba(x)), cells)

    def _prepared(self, x: Tensor) -> Tensor:
        light, cover = (x[:, :3] + 1) / 2, (x[:, 3:] + 1) / 2
        return (light + (1 - cover) / 2 - self.get_buffer("mean")) / self.get_buffer("spread")

    def _choose(self, x: Tensor) -> list[Tensor]:
        """The last map at each half of the size."""
        seen = self._run(self._prepared(as_rgba(x)), None)
        last: dict[int, str] = {}
        for name, m in seen.items():
            if m.ndim == 4 and m.shape[2] == m.shape[3] and m.shape[2] >= 4:
                stride = round(LOOKED / m.shape[2])
                if stride > 1 and stride & (stride - 1) == 0:
                    last[stride] = name
        if not last:
            raise GessoError(f"{self.name} makes no maps of pictures.", "Choose a convolutional network.")
        self.chosen = {last[stride]: stride for stride in sorted(last)[:MAPS]}
        return [seen[name] for name in self.chosen]

    def _run(self, x: Tensor, wanted: set[str] | None) -> dict[str, Tensor]:
        """Values by name: of every node that can be computed, or until all that are wanted are there."""
        values, left = {self.input: x}, None if wanted is None else set(wanted)
        for node in self.nodes:
            inputs = [values.get(name, self._constant(name)) for name in node.input]
            operation = OPERATIONS.get(node.op_type)
            if node.op_type in HEAD or any(v is None and name for v, name in zip(inputs, node.input, strict=True)):
                continue  # and whatever stands on it is left out too
            if operation is None:
                raise GessoError(
                    f"{self.name} does {node.op_type}, which Gesso cannot follow.", "Choose a plainer network."
                )
            values[node.output[0]] = operation(node, *inputs)
            if left is not None:
                left.discard(node.output[0])
                if not left:
                    break
        return values

    def _constant(self, name: str) -> Tensor | None:
        return self.get_buffer(self.known[name]) if name in self.known else None


class Absent(nn.Module):
    """Stands where a critic stood whose network is not there any more: what draws needs no critic."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def forward(self, *_: object) -> Tensor:
        """Always raises GessoError."""
        raise GessoError(
            f"The network {self.path}, on which this run's critic stands, is not there.",
            "Put it back to train on; drawing needs no critic.",
        )

    def _load_from_state_dict(self, *_: object, **__: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the critic learned is passed over."""


def network(path: Path) -> Frozen | OwnNetwork:
    """A network of the user's own: an ONNX file (.onnx), or weights that `learn` wrote (.safetensors).

    Raises GessoError for files that cannot be read, and for other kinds.
    """
    if path.suffix == ".onnx":
        return OwnNetwork(path)
    if path.suffix == ".safetensors":
        return load(path)
    raise GessoError(f"{path} is no network that Gesso can read.", "Give it ONNX, or weights of gesso.primer.learn.")


class Node:
    """One operation of the file: its kind, the names that it takes and gives, and its settings."""

    def __init__(self, proto: Any, helper: Any):
        self.op_type: str = proto.op_type
        self.input, self.output = list(proto.input), list(proto.output)
        self.settings: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, name: str, otherwise: Any) -> Any:
        """A setting."""
        return self.settings.get(name, otherwise)


def _read(path: Path) -> tuple[list[Node], dict[str, Tensor], str]:
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError:
        raise GessoError(
            "Reading a network of your own needs onnx, which is not installed.",
            "Run: pip install -c constraints.txt 'gesso[onnx]'",
        ) from None
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # the library raises whatever its parser does
        raise GessoError(f"{path} cannot be read as ONNX: {error}.", "Export the network again.") from None
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for proto in graph.node:
        if proto.op_type == "Constant":
            value = next((a.t for a in proto.attribute if a.name == "value"), None)
            if value is not None:
                arrays[proto.output[0]] = numpy_helper.to_array(value)
    inputs = [i.name for i in graph.input if i.name not in arrays]
    if len(inputs) != 1:
        raise GessoError(f"{path} wants {len(inputs)} inputs.", "Choose a network that takes pictures alone.")
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    return [Node(p, helper) for p in graph.node if p.op_type != "Constant"], tensors, inputs[0]


def _padded(node: Node, x: Tensor, kernel: list[int], fill: float) -> Tensor:
    pads, way = node.get("pads", [0] * 4), node.get("auto_pad", b"NOTSET")
    if way in (b"SAME_UPPER", b"SAME_LOWER"):
        totals = [
            max((-(-size // step) - 1) * step + k - size, 0)
            for size, k, step in zip(x.shape[2:], kernel, node.get("strides", [1, 1]), strict=True)
        ]
        before = [t // 2 if way == b"SAME_UPPER" else t - t // 2 for t in totals]
        pads = [*before, *(t - b for t, b in zip(totals, before, strict=True))]
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=fill) if any(pads) else x


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    x = _padded(node, x, list(weight.shape[2:]), 0.0)
    steps, holes = node.get("strides", [1, 1]), node.get("dilations", [1, 1])
    return F.conv2d(x, weight, bias, steps, 0, holes, node.get("group", 1))


def _norm(node: Node, x: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return F.batch_norm(x, mean, variance, gain, bias, False, 0.0, node.get("epsilon", 1e-5))


def _pool(node: Node, x: Tensor) -> Tensor:
    kernel = node.get("kernel_shape", [2, 2])
    highest = node.op_type == "MaxPool"
    counts = bool(node.get("count_include_pad", 0))
    steps, up = node.get("strides", [1, 1]), bool(node.get("ceil_mode", 0))
    if highest:
        return F.max_pool2d(_padded(node, x, kernel, -torch.inf), kernel, steps, ceil_mode=up)
    if counts or not any(node.get("pads", [0])):
        return F.avg_pool2d(_padded(node, x, kernel, 0.0), kernel, steps, ceil_mode=up)
    return F.avg_pool2d(x, kernel, steps, node.get("pads", [0] * 4)[:2], up, count_include_pad=False)


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    least, most = (node.get(name, None) if v is None else float(v) for name, v in (("min", low), ("max", high)))
    return x.clamp(least, most)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Conv": _conv,
    "BatchNormalization": _norm,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": lambda node, x: x.mean((2, 3), keepdim=True),
    "ReduceMean": lambda node, x, axes=None: x.mean(
        node.get("axes", None) if axes is None else axes.tolist(), keepdim=bool(node.get("keepdims", 1))
    ),
    "Relu": lambda node, x: F.relu(x),
    "LeakyRelu": lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01)),
    "PRelu": lambda node, x, slope: F.relu(x) - slope * F.relu(-x),
    "Clip": _clip,
    "Elu": lambda node, x: F.elu(x, node.get("alpha", 1.0)),
    "Gelu": lambda node, x: F.gelu(x, approximate=node.get("approximate", b"none").decode()),
    "Erf": lambda node, x: torch.erf(x),
    "Sigmoid": lambda node, x: x.sigmoid(),
    "HardSigmoid": lambda node, x: (node.get("alpha", 0.2) * x + node.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda node, x: F.hardswish(x),
    "Tanh": lambda node, x: x.tanh(),
    "Softplus": lambda node, x: F.softplus(x),
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Div": lambda node, a, b: a / b,
    "Concat": lambda node, *parts: torch.cat(parts, node.get("axis", 1)),
    "Identity": lambda node, x: x,
    "Dropout": lambda node, x, *_: x,
}
