"""Whether pictures are what they were asked to be: figures of pictures together with their labels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gesso.errors import GessoError
from gesso.measure.distances import Estimate, Moments, blockwise, checked, frechet

__all__ = ["agreement", "classifier_score", "frechet_joint", "joined"]

Features = Float[Tensor, "n d"]
Labels = Int[Tensor, " n"]


def frechet_joint(real: Features, real_labels: Labels, made: Features, made_labels: Labels, labels: int) -> float:
    """Fréchet joint distance: of features and labels together (DeVries et al. 2019, eq. 4).

    labels: how many there are; real_labels, made_labels: their numbers, what was asked for where a picture is made. It
    grows where pictures are unlike the real ones, and where they are alike but others than was asked. Raises GessoError
    for labels that are missing, fewer than two pictures, and features that are not finite.
    """
    scale = spread(real)
    parts = ((real, real_labels), (made, made_labels))
    a, b = (Moments.of(joined(x, numbers, labels, scale)) for x, numbers in parts)
    return frechet(a, b)


def spread(features: Features) -> float:
    """How far features are from their mean, on average: by it labels are scaled, so that they count as much.

    DeVries et al. 2019, section 4, divide the mean norms; those go with where zero happens to be, these don't.
    """
    x = checked(features, 1)
    return (x - x.mean(0)).norm(dim=1).mean().item()


def joined(features: Features, numbers: Labels, labels: int, scale: float) -> Float[Tensor, "n e"]:
    """Features, and beside them `scale` in the place of each picture's label; e = d + labels.

    scale: `spread` of the real features, the same for both sets. Raises GessoError where a label is missing.
    """
    if len(numbers) != len(features):
        raise GessoError(f"There are {len(features)} pictures, but {len(numbers)} labels.", "Give each its label.")
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < labels:
        raise GessoError("Some pictures have no label.", "Measure those that have one.")
    return torch.cat([features.double(), scale * F.one_hot(numbers.long(), labels).double()], 1)


def classifier_score(logits: Float[Tensor, "n k"], blocks: int = 10) -> Estimate:
    """How surely and how variously a classifier sees labels: exp of the mean of KL(p(y|x) ‖ p(y)), from 1 to k.

    Salimans et al. 2016, section 4, who take ImageNet's classifier; here it is one of the data's own labels
    (`own.Own.logits`). It says nothing of pictures within a label. The interval comes from leaving each of `blocks`
    parts out. Raises GessoError below one picture a block, and for numbers that are not finite.
    """
    log = checked(logits, blocks).log_softmax(1)

    def score(rows: Tensor) -> float:
        part = log[rows]
        mean = (part.exp().mean(0)).log()
        return (part.exp() * (part - mean)).sum(1).mean().exp().item()

    return blockwise(score, len(log), blocks)


def agreement(logits: Float[Tensor, "n k"], asked: Labels) -> float:
    """Share of pictures in which the classifier sees the label that was asked for (Shmelkov et al. 2018, "GAN-test").

    Raises GessoError where there are no pictures, and for numbers that are not finite.
    """
    return (checked(logits, 1).argmax(1) == asked).double().mean().item()
