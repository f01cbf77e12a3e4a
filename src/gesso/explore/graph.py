"""Networks written as graphs that onnxruntime runs on the CPU, where one small picture is drawn at a time.

What depends on weights alone is computed once, batch norms are merged into the convolutions before them, and nothing
stands between two of them; torch spends most of its time there.
"""

import copy
import io
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from gesso.errors import GessoError

__all__ = ["Graph"]

OPSET = 17
QUIET = 3  # onnxruntime tells errors alone


class Graph:
    """A module, written for inputs of the examples' shapes. threads: how many it is run by; 0: one a core.

    Raises GessoError where onnx or onnxruntime is not installed, and where the module is no plain graph of tensors.
    """

    def __init__(self, module: nn.Module, example: Sequence[Tensor], threads: int = 1):
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, QUIET
        try:
            written = _written(module, example)
            self._session = runtime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # exporters raise all kinds, onnxruntime classes of its own
            said = f"{error}".strip().partition("\n")[0][:120]
            raise GessoError(
                f"{type(module).__name__} could not be written as a graph: {said}", "Draw without: graph='off'."
            ) from error
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """What the module makes of tensors."""
        feed = {name: given[int(name.removeprefix("input"))].numpy() for name in self._inputs}
        return tuple(torch.from_numpy(made) for made in self._session.run(None, feed))


def _runtime() -> Any:
    try:
        import_module("onnx")
        return import_module("onnxruntime")
    except ImportError:
        raise GessoError(
            "Drawing by an exported graph needs onnx and onnxruntime, which are not installed.",
            "Run: pip install -c constraints.txt 'gesso[onnx]'",
        ) from None


def _written(module: nn.Module, example: Sequence[Tensor]) -> bytes:
    """The graph as ONNX. torch's older exporter takes a tenth of the newer one's time, and needs onnx alone."""
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch: that it is the older, and that shapes become constants
        if any(one.requires_grad for one in module.parameters()):  # these cannot become constants
            module = copy.deepcopy(module).requires_grad_(False)
        module = module.eval()
        given = tuple(tensor.detach().clone() for tensor in example)
        traced: Any = torch.jit.trace(module, given, check_trace=False)
        flips = any(node.kind() == "aten::flip" for node in traced.inlined_graph.nodes())
        # of flipped kernels the exporter does not know the shape, unless they are constants before
        return _exported(torch.jit.freeze(traced) if flips else module, given)


def _exported(module: Any, given: tuple[Tensor, ...]) -> bytes:
    file: Any = io.BytesIO()  # the types promise paths alone
    names = [f"input{number}" for number in range(len(given))]
    torch.onnx.export(module, given, file, dynamo=False, opset_version=OPSET, input_names=names)
    return file.getvalue()
