"""The two forms of a modulated convolution: weights of each picture's own, grouped, against scale, convolve, scale.

    python -m bench.modulated

Milliseconds of a pass forward and backward, one thread, the median of many, for each precision and memory format that
`gesso train` would try. Prints a table and writes bench/out/modulated.json.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data import OUT
from gesso.nn.style import Modulated

SHAPES = [(64, 64, 16, 16), (16, 64, 32, 32)]  # pictures, channels in and out, height, width
STYLE = 128
SECONDS = 2.0  # for each figure


def grouped(x: Tensor, weight: Tensor, s: Tensor, demodulate: bool = True) -> Tensor:
    """As the papers write it (Karras et al. 2020, eqs. 1 and 3): every picture's own weights, in a grouped convolution.

    x: n i h w; weight: o i k k; s: scales, n i.
    """
    own = weight * s[:, None, :, None, None]  # n o i k k
    if demodulate:
        own = own * torch.rsqrt(own.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    n, o = own.shape[:2]
    y = F.conv2d(x.reshape(1, -1, *x.shape[2:]), own.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
    return y.reshape(n, o, *y.shape[2:])


def slow(layer: Modulated, x: Tensor, style: Tensor) -> Tensor:
    """A layer in that form."""
    return grouped(x, layer.taps(), layer.affine(style).float())


def timed(work: Callable[[], None]) -> float:
    """Median milliseconds."""
    for _ in range(3):
        work()
    spans, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begun = time.process_time()
        work()
        spans.append(time.process_time() - begun)
    return round(1000 * statistics.median(spans), 2)


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for (n, c, h, w), half, last in product(SHAPES, (False, True), (False, True)):
        torch.manual_seed(0)
        layout = torch.channels_last if last else torch.contiguous_format
        layer = Modulated(c, c, 3, STYLE).to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        x = torch.randn(n, c, h, w).contiguous(memory_format=layout).requires_grad_()
        style = torch.randn(n, STYLE)

        def step(form: Callable[[Tensor, Tensor], Tensor], x: Tensor = x, style: Tensor = style, half: bool = half):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                y = form(x, style)
            y.float().mean().backward()

        forms = {"grouped": partial(slow, layer), "scaled": layer}
        row: dict[str, object] = {"shape": f"{n}×{c}×{h}×{w}", "precision": "bfloat16" if half else "float32"}
        row |= {"channels last": last, **{f"{name} ms": timed(partial(step, form)) for name, form in forms.items()}}
        rows.append(row)
        print(row, flush=True)
    (OUT / "modulated.json").write_text(json.dumps({"torch": torch.__version__, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
