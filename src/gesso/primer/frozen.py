"""The primer as it is used: frozen, its norms folded into its convolutions, nothing in it learns or is saved."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gesso.errors import GessoError

__all__ = ["SMALLEST", "Frozen", "as_rgba", "load", "pooled"]

WEIGHTS = Path(__file__).parent / "primer.safetensors"
SMALLEST = 16  # pixels of the shorter side


class Frozen(nn.Module):
    """Pictures → maps of the quick look at 1/2, 1/4 and 1/8 of their size, every value at least zero.

    tensors: weights and biases by name, as `network.folded` gives them, and `spreads`, the root of the mean square of
    each of these maps over many paintings, by which what stands on them can weigh them. They are buffers that no state
    holds.
    """

    def __init__(self, tensors: Mapping[str, Tensor]):
        super().__init__()
        for name, tensor in tensors.items():
            if name != "spreads":
                self.register_buffer(name.replace(".", "_"), tensor.detach().float().clone(), persistent=False)
        self.spreads = tuple(float(x) for x in tensors["spreads"])
        skips = sorted(name for name in tensors if name.endswith("skip.weight"))
        self.blocks = {look: sum(name.startswith(look) for name in skips) for look in ("deep", "quick")}
        wide = [len(tensors[name]) for name in skips if name.startswith("quick")]
        self.widths = (len(tensors["stem.weight"]), *wide)
        self.strides = tuple(2 << i for i in range(len(self.widths)))

    def forward(self, x: Float[Tensor, "n 4 h w"]) -> list[Tensor]:
        """The quick look's maps, fine to coarse. x: pictures as `as_rgba` gives them."""
        x = F.relu_(self._conv(x, "stem", 2, 1))
        return self._through("quick", F.relu_(self._conv(x, "keep", 1).add_(x)))

    def maps(self, x: Float[Tensor, "n 4 h w"]) -> list[Tensor]:
        """The map of the wide look at 1/2 of the pictures' size, those of the deep look at 1/4, 1/8 and 1/16."""
        return self._through("deep", F.relu_(self._conv(x, "fine", 2, 2)))

    def features(self, x: Float[Tensor, "n c h w"], cells: int = 2) -> Float[Tensor, "n d"]:
        """All that the primer sees in pictures in [-1, 1], of any channels, as means over cells × cells parts.

        Raises GessoError for pictures that `as_rgba` refuses, and for numbers that are not finite.
        """
        x = as_rgba(x)
        if not bool(torch.isfinite(x).all()):
            raise GessoError("The primer was shown pictures with values that are not finite numbers.")
        return pooled(self.maps(x), cells)

    def _through(self, look: str, x: Tensor) -> list[Tensor]:
        maps = [x]
        for i in range(self.blocks[look]):
            x, name = maps[-1], f"{look}{i}"
            y = F.relu_(self._conv(F.relu_(self._conv(x, f"{name}_first", 2)), f"{name}_second", 1))
            beside = F.conv2d(F.avg_pool2d(x, 2, ceil_mode=True), self.get_buffer(f"{name}_skip_weight"))
            maps.append(F.relu_(self._conv(y, f"{name}_widen", 1).add_(beside)))
        return maps

    def _conv(self, x: Tensor, name: str, stride: int, pad: int | None = None) -> Tensor:
        weight = self.get_buffer(f"{name}_weight")
        pad = weight.shape[-1] // 2 if pad is None else pad
        return F.conv2d(x, weight, self.get_buffer(f"{name}_bias"), stride, pad)


def pooled(maps: list[Tensor], cells: int) -> Float[Tensor, "n d"]:
    """The means of each map over cells × cells parts, one after the other."""
    return torch.cat([F.adaptive_avg_pool2d(m.float(), cells).flatten(1) for m in maps], 1)


def load(path: Path = WEIGHTS) -> Frozen:
    """The primer that comes with Gesso, or another that `learn` wrote.

    Raises GessoError when its weights are missing, or are not those that the file beside them, of the same name and
    with the ending .json, was written with.
    """
    again = "Install Gesso again." if path == WEIGHTS else "Let it learn again."
    try:
        data, facts = path.read_bytes(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GessoError(f"The primer in {path.parent} cannot be read: {error}.", again) from None
    if hashlib.sha256(data).hexdigest() != facts.get("sha256"):
        raise GessoError(f"The primer's weights in {path} are damaged or not its own.", again)
    return Frozen(safetensors.torch.load(data))


def as_rgba(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 4 h w"]:
    """Pictures in [-1, 1] of 1 (grey), 3 (RGB) or 4 channels (RGB and premultiplied alpha) as the primer takes them.

    Raises GessoError for other channels and for pictures below 16 pixels.
    """
    n, c, h, w = x.shape
    if min(h, w) < SMALLEST:
        raise GessoError(f"Pictures of {w}×{h} pixels are too small for the primer.", "It needs 16 pixels each way.")
    if c == 4:
        return x
    if c not in (1, 3):
        raise GessoError(f"The primer cannot look at pictures of {c} channels.", "Give it grey, RGB or RGBA.")
    return torch.cat([x.expand(n, 3, h, w), x.new_ones(n, 1, h, w)], 1)
