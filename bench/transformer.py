"""A flow by a transformer in the place of the U-Net, before the same judge as `bench.families`.

    python -m bench.transformer --size 32 --seconds 300 [--dim 128 --depth 6] [--family flow:latents=8]

The transformer is a token for each place (of latents, or of patches of pixels), layers of attention and of a network
three times as wide, both modulated by the time (DiT with adaLN-Zero; Peebles & Xie 2023, section 3.2), and a linear
layer back. Time, judge, log and sheets are those of `bench.families`; the U-Net's row is what that prints.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import OUT, load
from bench.families import drawn, trained
from bench.judge import Jury, make_judge
from gesso.families import flow
from gesso.marks.picture import write_sheet

HEAD = 32  # numbers of a head


def normed(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],))


class Layer(nn.Module):
    """Attention, then a network for each token: n k d → n k d."""

    def __init__(self, dim: int, told: int):
        super().__init__()
        self.heads = dim // HEAD
        self.three, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, 3 * dim), nn.Linear(3 * dim, dim)
        self.told = nn.Linear(told, 6 * dim)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        shift, scale, gate, shift2, scale2, gate2 = self.told(told)[:, None].chunk(6, 2)
        parts = self.three(normed(x) * (1 + scale) + shift).chunk(3, 2)
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in parts)
        seen = F.scaled_dot_product_attention(normed(q), normed(k), v)
        x = x + gate * self.out(seen.transpose(1, 2).flatten(2))
        return x + gate2 * self.narrow(F.gelu(self.wide(normed(x) * (1 + scale2) + shift2)))


class Transformer(nn.Module):
    """In the place of `UNet`, for what is drawn without words."""

    def __init__(self, shape: tuple[int, int, int], patch: int, dim: int, depth: int, told: int):
        super().__init__()
        channels, height, width = shape
        self.patch, numbers = patch, channels * patch**2
        self.enter, self.leave = nn.Conv2d(numbers, dim, 1), nn.Conv2d(dim, numbers, 1)
        self.places = nn.Parameter(torch.randn(1, (height // patch) * (width // patch), dim) * 0.02)
        self.layers = nn.ModuleList(Layer(dim, told) for _ in range(depth))
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, told: Tensor, words: Tensor | None = None, there: Tensor | None = None) -> Tensor:
        y = self.enter(F.pixel_unshuffle(x, self.patch))
        size, y = y.shape[2:], y.flatten(2).transpose(1, 2) + self.places
        for layer in self.layers:
            y = layer(y, told)
        return F.pixel_shuffle(self.leave(normed(y).transpose(1, 2).unflatten(2, size)), self.patch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--family", default="flow", help="a flow with choices, such as flow:latents=0:patch=4")
    parser.add_argument("--seconds", type=float, default=300, help="CPU seconds of learning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dim", type=int, default=128, help="numbers of a token")
    parser.add_argument("--depth", type=int, default=6, help="layers")
    parser.add_argument("--log", type=Path, default=OUT / "families.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels, name = load(options.data, options.size)
    name = name if options.size == 32 else f"{name}-{options.size}"

    class Network(flow.Network):
        """That of a flow, with a transformer inside."""

        def __init__(self, config: flow.FlowConfig, shape: tuple[int, int, int], conditions: flow.Conditions):
            super().__init__(config, shape, conditions)
            patch = 1 if config.latents else config.patch
            self.unet = Transformer(shape, patch, options.dim, options.depth, 4 * config.width)

    flow.Network = Network
    jury = Jury(make_judge(images, labels, OUT / f"judge-{name}.safetensors"), images, images, None)
    family, used, seen = trained(options.family, images, options.seed, options.seconds)
    made = drawn(family)
    title = f"{options.family}+transformer:{options.dim}x{options.depth}"
    line = {"data": name, "family": title, "seed": options.seed, "cpu_s": round(used), "seen": seen}
    line |= {"images_per_s": round(seen / used, 1), **jury.report(made)}
    with options.log.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)
    sheet = options.log.with_suffix("") / f"{name}-{title.replace(':', '-')}-{options.seconds:.0f}-{options.seed}.png"
    write_sheet(sheet, [list(made[i : i + 8]) for i in range(0, 64, 8)])


if __name__ == "__main__":
    main()
