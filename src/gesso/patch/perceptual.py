"""A pretrained network's eye on style, for those who have its weights: VGG-19 from a file, never needed.

Gatys, Ecker, Bethge, CVPR 2016: the style is the products of features with each other (equations 3 to 5), the content
the features themselves (equation 1). Here they refine what the patch engine has painted, instead of noise.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gesso.errors import GessoError
from gesso.patch.synthesis import Step

__all__ = ["VGG19", "read_vgg", "refined"]

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)  # Simonyan & Zisserman; 0: pooling
STYLE = (0, 3, 6, 11, 16)  # of WIDTHS: conv1_1, conv2_1, conv3_1, conv4_1, conv5_1
CONTENT = 12  # conv4_2
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures that published weights learned from
CONTENT_WEIGHT, SMOOTH_WEIGHT = 0.05, 1e-3
RATE = 0.02


class VGG19(nn.Module):
    """The convolutions of VGG-19 up to conv5_1 (Simonyan and Zisserman, ICLR 2015, table 1, column E)."""

    def __init__(self) -> None:
        super().__init__()
        layers, before = [], 3
        for width in WIDTHS:
            layers.append(nn.Conv2d(before, width, 3, padding=1) if width else nn.AvgPool2d(2))
            before = width or before
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> dict[int, Float[Tensor, "n c a b"]]:
        """Rectified features by the place of their layer, of pictures in [0, 1]."""
        mean, spread = (images.new_tensor(v)[:, None, None] for v in (MEAN, SPREAD))
        x, out = (images - mean) / spread, dict[int, Tensor]()
        for place, layer in enumerate(self.layers):
            x = F.relu(layer(x)) if isinstance(layer, nn.Conv2d) else layer(x)
            if place in STYLE or place == CONTENT:
                out[place] = x
        return out


def read_vgg(path: str | Path) -> VGG19:
    """VGG-19 with the weights of a .safetensors file, named as torchvision names them: features.0.weight and so on.

    Raises GessoError when it is no such file: a .pth is a pickle, which is never read.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise GessoError(f"There is no file {place}.", "Name a file of VGG-19's weights, or leave --network out.")
    try:
        found = load_file(place)
    except (SafetensorError, OSError):
        raise GessoError(
            f"{place.name} is no safetensors file.",
            "A .pth becomes one by safetensors.torch.save_file(torch.load(path, weights_only=True), new_path).",
        ) from None
    network = VGG19()
    tensors = [found[name] for name in _names(found)]
    own = list(network.parameters())
    if len(tensors) < len(own) or any(a.shape != b.shape for a, b in zip(own, tensors, strict=False)):
        raise GessoError(f"{place.name} holds no weights of VGG-19.", "Its first are named features.0.weight.")
    with torch.no_grad():
        for mine, given in zip(own, tensors, strict=False):
            mine.copy_(given)
    return network.eval().requires_grad_(False)


def _names(found: dict[str, Tensor]) -> list[str]:
    """The names of its convolutions' weights and biases, in their order."""
    numbers = sorted({int(name.split(".")[1]) for name in found if re.fullmatch(r"features\.\d+\.bias", name)})
    names = [f"features.{number}.{kind}" for number in numbers for kind in ("weight", "bias")]
    return [name for name in names if name in found]


def refined(
    picture: Float[np.ndarray, "h w 3"],
    content: Float[np.ndarray, "h w 3"],
    styles: Sequence[Float[np.ndarray, "a b 3"]],
    network: VGG19,
    *,
    weights: Sequence[float] = (),
    steps: int = 100,
) -> Iterator[Step]:
    """A painted picture brought nearer to its styles and its content, as a network sees them; yields every tenth step.

    picture, content, styles: in [0, 1]. weights: of the styles. steps: of Adam. Bits depend on torch's threads.
    """
    shares = [w / sum(weights) for w in weights] if weights else [1 / len(styles)] * len(styles)
    with torch.no_grad():
        seen = [network(_tensor(style)) for style in styles]
        aims = {
            at: torch.stack([s * _products(one[at]) for s, one in zip(shares, seen, strict=True)]).sum(0)
            for at in STYLE
        }
        forms = network(_tensor(content))[CONTENT]
    image = _tensor(picture).requires_grad_(True)
    optimizer = torch.optim.Adam([image], lr=RATE)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        found = network(image)
        far = [F.mse_loss(_products(found[at]), aims[at]) / aims[at].square().mean() for at in STYLE]
        kept = F.mse_loss(found[CONTENT], forms) / forms.square().mean().clamp_min(1e-12)
        rough = (image[..., 1:] - image[..., :-1]).abs().mean() + (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
        loss = torch.stack(far).sum() + CONTENT_WEIGHT * kept + SMOOTH_WEIGHT * rough
        torch.autograd.backward([loss])
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        if step % 10 == 0 or step == steps:
            out = image.detach()[0].permute(1, 2, 0).numpy().copy()
            yield Step(out, step / steps, float(loss.detach()))


def _products(features: Float[Tensor, "1 c h w"]) -> Float[Tensor, "c c"]:
    """Mean products of every feature with every other: Gram's matrix."""
    flat = features[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def _tensor(picture: Float[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32))
