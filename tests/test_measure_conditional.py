"""Figures of pictures and their labels: closed forms, what swapped labels do, and what they refuse."""

import math

import numpy as np
import pytest
import torch

from gesso.errors import GessoError
from gesso.measure.conditional import agreement, classifier_score, frechet_joint, joined, spread
from gesso.measure.distances import Moments, frechet


def drawn(n, seed, labels=3, apart=4.0):
    """Features in clusters, one a label."""
    rng = torch.Generator().manual_seed(seed)
    numbers = torch.arange(n) % labels
    return torch.randn(n, 5, generator=rng) + apart * torch.eye(labels, 5)[numbers], numbers


def test_swapped_labels_show_only_in_the_joint_distance():
    (real, asked), (made, right) = drawn(300, 0), drawn(300, 1)
    wrong = right.roll(1)
    apart = frechet(Moments.of(real), Moments.of(made))
    good, bad = (frechet_joint(real, asked, made, numbers, 3) for numbers in (right, wrong))
    assert good < 2 * apart
    assert bad > 20 * good
    some = right.clone()
    some[:60] = wrong[:60]
    assert good < frechet_joint(real, asked, made, some, 3) < bad


def test_the_joint_distance_by_hand():
    (real, asked), (made, numbers) = drawn(90, 2), drawn(80, 3)
    scale = float(np.linalg.norm((real - real.mean(0)).numpy(), axis=1).mean())
    assert spread(real) == pytest.approx(scale, rel=1e-6)
    sets = []
    for x, labels in ((real, asked), (made, numbers)):
        beside = np.zeros((len(x), 3))
        beside[np.arange(len(x)), labels] = scale
        sets.append(Moments.of(torch.from_numpy(np.concatenate([x.double().numpy(), beside], 1))))
    assert frechet_joint(real, asked, made, numbers, 3) == pytest.approx(frechet(*sets), rel=1e-6)


def test_classifier_score_at_its_ends():
    sure = 100 * torch.eye(4).repeat(25, 1)
    found = classifier_score(sure[torch.randperm(100, generator=torch.Generator().manual_seed(0))])
    assert found.value == pytest.approx(4)
    assert found.low < 4
    assert classifier_score(sure[:1].repeat(50, 1)).value == pytest.approx(1)
    assert classifier_score(torch.zeros(50, 4)) == pytest.approx((1, 1, 1))


def test_classifier_score_by_hand():
    logits = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    expected = math.exp(np.mean([(row * np.log(row / p.mean(0))).sum() for row in p]))
    assert classifier_score(logits).value == pytest.approx(expected, rel=1e-9)


def test_agreement():
    logits = torch.tensor([[2.0, 1], [0, 1], [5, -1], [0, 3]])
    assert agreement(logits, torch.tensor([0, 1, 1, 1])) == 0.75


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: joined(torch.ones(3, 2), torch.tensor([0, -1, 1]), 2, 1.0), "have no label"),
        (lambda: joined(torch.ones(3, 2), torch.tensor([0, 2, 1]), 2, 1.0), "have no label"),
        (lambda: joined(torch.ones(3, 2), torch.tensor([0, 1]), 2, 1.0), "3 pictures, but 2 labels"),
        (lambda: classifier_score(torch.ones(9, 2)), "at least 10 pictures"),
        (lambda: agreement(torch.full((9, 2), math.nan), torch.zeros(9)), "not finite"),
    ],
)
def test_what_they_refuse(call, says):
    with pytest.raises(GessoError, match=says):
        call()
