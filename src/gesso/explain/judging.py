"""What the critic, or a classifier, looks at in pictures: judgements, and maps of what speaks for and against them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gesso.contract.family import Condition, Family, Judge
from gesso.errors import GessoError
from gesso.marks.picture import to_uint8
from gesso.measure.own import Own
from gesso.measure.saliency import integrated_gradients, occlusion, plain

__all__ = ["Judging", "by_classifier", "by_critic", "criticised", "heat"]

Judging = Callable[[Tensor, int, str], tuple[float, str, np.ndarray]]  # picture, label or -1, method → said, words, map


def mapped(score: Any, x: Float[Tensor, "1 c h w"], method: str) -> np.ndarray:
    """What of a picture speaks for a score, h w, by 'occlusion' or by 'gradients'."""
    way = occlusion if method == "occlusion" else integrated_gradients
    return next(way(score, x, plain(x))).numpy()


def by_critic(family: Family, labels: tuple[str, ...]) -> Judging:
    """A picture → what the critic says, in words, and the map. Raises GessoError where there is no critic."""
    if not isinstance(family, Judge):
        raise GessoError(
            f"The family {family.name} has no critic to be explained.", "Choose --judge labels, or a run of a GAN."
        )

    def judge(x: Tensor, number: int, method: str) -> tuple[float, str, np.ndarray]:
        def score(many: Tensor, label: int = number) -> Tensor:
            asked = torch.full((len(many),), label) if labels else None
            return family.judge(many, Condition(label=asked)).float()

        with torch.no_grad():
            if number < 0 and labels:  # as what it looks most real
                number = max(range(len(labels)), key=lambda label: float(score(x, label)))
            value = float(score(x, number))
        return value, f"{value:+.2f}", mapped(lambda many: score(many, number), x, method)

    return judge


def by_classifier(network: object, names: tuple[str, ...]) -> Judging:
    """A picture → how sure the classifier is of its label, or of the likeliest, in words, and the map.

    Raises GessoError where the network learned no labels.
    """
    if len(names) < 2 or not isinstance(network, Own) or not network.labels:
        raise GessoError("These pictures have no labels that a classifier could learn.", "Import them with labels.")

    def judge(x: Tensor, number: int, method: str) -> tuple[float, str, np.ndarray]:
        with torch.no_grad():
            chances = network.logits(network.features(x)).softmax(1)[0]
        asked = number if number >= 0 else int(chances.argmax())

        def score(many: Tensor) -> Tensor:
            return network.logits(network.features(many)).log_softmax(1)[:, asked]

        value = float(chances[asked])
        return value, f"{names[asked]} {value:.0%}", mapped(score, x, method)

    return judge


def criticised(
    family: Family,
    x: Float[Tensor, "1 c h w"],
    label: Int[Tensor, "1"] | None,
    others: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"] | None,
) -> tuple[float, UInt8[np.ndarray, "h w 3"]]:
    """The share of other pictures that look less real to a critic than one does, and where it finds what speaks for
    that one (red) and against it (blue). label, labels: what is asked of each.
    """
    value, _, found = by_critic(family, family.facts.labels if label is not None else ())(
        x, -1 if label is None else int(label[0]), "occlusion"
    )
    assert isinstance(family, Judge)
    with torch.no_grad():
        rows = range(0, len(others), 50)
        asked = [Condition(label=None if labels is None else labels[i : i + 50]) for i in rows]
        said = torch.cat([family.judge(others[i : i + 50], one) for i, one in zip(rows, asked, strict=True)])
    share = float((said < value).float().mean())
    return share, heat(to_uint8(x)[0], found / max(float(np.abs(found).max()), 1e-9))


def heat(image: UInt8[np.ndarray, "h w c"], found: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """A picture, pale and grey, under its map: red where that is above zero, blue where below. found: in [-1, 1]."""
    opaque = image[..., :3].astype(float)
    if image.shape[2] == 4:
        opaque = opaque + 255 - image[..., 3:].astype(float)
    grey = 255 - (255 - opaque.clip(0, 255).mean(2)) * 0.45
    strength = np.abs(found).clip(0, 1)[..., None] ** 0.7 * 0.85
    colour = np.where(found[..., None] > 0, np.array([200, 30, 40]), np.array([20, 80, 190]))
    return (grey[..., None] * (1 - strength) + colour * strength).round().astype(np.uint8)
