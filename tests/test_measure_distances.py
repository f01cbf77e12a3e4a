"""Distances of features: closed forms, the papers' formulas written out, other libraries, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from gesso.errors import GessoError
from gesso.measure.distances import (
    Moments,
    _infinity,
    density_coverage,
    figures,
    frechet,
    frechet_infinity,
    kid,
    precision_recall,
    reach,
)


def drawn(n, d, seed, shift=0.0, scale=1.0):
    return shift + scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exact(mean, covariance):
    """Moments that are exactly these."""
    return Moments(2, torch.as_tensor(mean).double(), torch.as_tensor(covariance).double())


def test_frechet_of_gaussians_in_closed_form():
    """Where covariances commute: |difference of means|² + the squared differences of the standard deviations."""
    a, b = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 4.0, 1.0])
    turned = torch.linalg.qr(drawn(3, 3, 0)).Q
    first = exact([0.0, 0.0, 0.0], turned @ a.double().diag() @ turned.T)
    second = exact([1.0, -2.0, 0.5], turned @ b.double().diag() @ turned.T)
    expected = 1 + 4 + 0.25 + (a.sqrt() - b.sqrt()).square().sum().item()
    assert frechet(first, second) == pytest.approx(expected, rel=1e-12)
    assert frechet(first, first) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("n", "d"), [(200, 12), (20, 40)], ids=["many", "fewer than numbers"])
def test_frechet_as_it_is_mostly_computed(n, d):
    """With scipy's matrix root of the product, which is how torch-fidelity and clean-fid do it."""
    x, y = drawn(n, d, 1), drawn(n, d, 2, 0.3, 1.4) @ drawn(d, d, 3)
    a, b = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    root = np.trace(sqrtm(a @ b).real)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum().item() + np.trace(a) + np.trace(b) - 2 * root
    assert frechet(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("n", "d"), [(100, 8), (103, 60), (100, 100), (100, 130)])
def test_the_line_to_infinity_and_the_influence_of_a_picture(n, d):
    """The line through all and halves; the interval from how the distance moves as one picture counts for more."""
    x, real = drawn(n, d, 14, 0.2), Moments.of(drawn(400, d, 15))
    halves = x.tensor_split([n // 2])
    few = sum(1 / len(half) for half in halves) / 2
    at_halves, at_all = sum(frechet(Moments.of(half), real) for half in halves) / 2, frechet(Moments.of(x), real)
    found = frechet_infinity(x, real)
    assert found.value == pytest.approx(at_all - (at_halves - at_all) / n / (few - 1 / n), rel=1e-6)

    def with_more(i, by):
        weights = torch.full((n,), (1 - by) / n, dtype=torch.float64)
        weights[i] += by
        mean = weights @ x
        covariance = (x - mean).T @ ((x - mean) * weights[:, None]) * n / (n - 1)
        return frechet(exact(mean, covariance), real)

    step = 1e-5
    moved = np.array([(with_more(i, step) - with_more(i, -step)) / (2 * step) for i in range(n)])
    half = 1.96 * moved.std(ddof=1) / math.sqrt(n)
    assert (found.high - found.value, found.value - found.low) == pytest.approx((half, half), rel=0.02)


def test_moments_of_parts_are_those_of_the_whole():
    x = drawn(103, 5, 4, 100.0)  # far from zero, where sums of squares would lose digits
    whole, parts = Moments.of(x), [Moments.of(part) for part in x.split(10)]
    together = parts[0]
    for part in parts[1:]:
        together = together + part
    assert together.count == 103
    torch.testing.assert_close(together.mean, whole.mean)
    torch.testing.assert_close(together.covariance, torch.cov(x.T))


def test_frechet_at_infinity_has_no_bias_of_few_pictures():
    """Of one distribution the distance is zero; a few hundred pictures say much more."""
    d, real = 16, Moments.of(drawn(20_000, 16, 5))
    x = drawn(600, d, 6)
    few = frechet(Moments.of(x), real)
    estimate = frechet_infinity(x, real)
    assert few > 0.1
    assert abs(estimate.value) < few / 4
    assert estimate.low < 0 < estimate.high
    assert estimate.high - estimate.low < 1.5 * few
    shifted = frechet_infinity(x + 0.5, real)
    assert shifted.low < 0.25 * d < shifted.high


def test_the_interval_at_infinity_is_honest():
    """Nearly all intervals hold the truth, and they are not wide for nothing."""
    real = exact(torch.zeros(6), torch.eye(6))
    found = np.array([frechet_infinity(drawn(200, 6, 30 + seed, 0.5), real) for seed in range(40)])
    value, low, high = found.T
    assert np.mean((low <= 1.5) & (high >= 1.5)) > 0.85
    assert ((high - low) / 2).mean() < 3 * value.std()


def test_fewer_pictures_than_numbers():
    """Then the excess is no longer c / n; what is left is less, and both ways of computing agree."""
    x, real = drawn(150, 200, 12), Moments.of(drawn(5000, 200, 13))
    whole = frechet(Moments.of(x), real)
    assert _infinity(x, real)[0] == pytest.approx(whole, rel=1e-6)
    assert 0 < frechet_infinity(x, real).value < whole / 2


def test_kid_is_the_formula_over_all_pairs():
    x, y, d = drawn(40, 6, 7), drawn(50, 6, 8, 0.5), 6

    def k(a, b):
        return (float(a @ b) / d + 1) ** 3

    within = [
        sum(k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j) / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    between = sum(k(p, q) for p in x for q in y) / (len(x) * len(y))
    estimate = kid(x, y)
    assert estimate.value == pytest.approx(sum(within) - 2 * between, rel=1e-9)
    assert estimate.low < estimate.value < estimate.high


def test_kid_has_no_bias_and_an_honest_interval():
    """Over draws of one distribution its mean is zero, and nearly all intervals hold zero."""
    found = [kid(drawn(100, 8, 2 * seed), drawn(120, 8, 2 * seed + 1)) for seed in range(60)]
    values = np.array([estimate.value for estimate in found])
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
    assert np.mean([estimate.low <= 0 <= estimate.high for estimate in found]) > 0.85
    assert kid(drawn(100, 8, 0), drawn(100, 8, 1, 0.5)).low > 0


def by_hand(real, made, k):
    """The papers' formulas, one pair at a time: precision, recall, density, coverage."""

    def apart(a, b):
        return float((a - b).norm())

    def radius(z):
        return [sorted(apart(a, b) for b in z)[k] for a in z]  # the first is itself

    of_real, of_made = radius(real), radius(made)
    precision = np.mean([any(apart(y, x) <= r for x, r in zip(real, of_real, strict=True)) for y in made])
    recall = np.mean([any(apart(x, y) <= r for y, r in zip(made, of_made, strict=True)) for x in real])
    density = sum(apart(y, x) <= r for y in made for x, r in zip(real, of_real, strict=True)) / (k * len(made))
    coverage = np.mean([any(apart(y, x) <= r for y in made) for x, r in zip(real, of_real, strict=True)])
    return precision, recall, density, coverage


@pytest.mark.parametrize("k", [1, 3])
def test_manifolds_by_hand(k, monkeypatch):
    monkeypatch.setattr("gesso.measure.pairs.CHUNK", 7)  # so that there is more than one part
    real, made = drawn(40, 3, 9), drawn(30, 3, 10, 0.7, 0.6)
    precision, recall, density, coverage = by_hand(real, made, k)
    assert precision_recall(real, made, k) == pytest.approx((precision, recall))
    assert density_coverage(real, made, k) == pytest.approx((density, coverage))
    assert 0 < recall < 1


def as_torch_fidelity(real, made, k=3):
    """As it computes them: eigenvalues of the product, KID of one subset of all; and density and coverage."""
    a, b = real.numpy().astype(np.float64), made.numpy().astype(np.float64)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shared = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    fid = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * shared
    inside = [((z @ z.T / z.shape[1] + 1) ** 3, len(z)) for z in (a, b)]
    mmd = sum((m.sum() - np.trace(m)) / (n * (n - 1)) for m, n in inside)
    mmd -= 2 * ((a @ b.T / a.shape[1] + 1) ** 3).mean()
    near, far, fifth = (np.sort(np.linalg.norm(z[:, None] - z, axis=2), 1)[:, n] for z, n in ((a, k), (b, k), (a, 5)))
    between = np.linalg.norm(a[:, None] - b, axis=2)
    balls = between <= fifth[:, None]
    precision, recall = (between <= near[:, None]).any(0).mean(), (between <= far).any(1).mean()
    return fid, mmd, precision, recall, balls.sum() / (5 * len(b)), balls.any(1).mean()


@pytest.mark.parametrize("exact", [2000, 0], ids=["double", "single"])
def test_all_figures_at_once(exact, monkeypatch):
    """Those of each function, and what torch-fidelity and the papers say, in either precision of the pairs."""
    monkeypatch.setattr("gesso.measure.pairs.EXACT", exact)
    monkeypatch.setattr("gesso.measure.pairs.CHUNK", 37)
    turn = drawn(24, 24, 18)
    real, made = (
        3 + (drawn(300, 24, 16) @ turn).relu().float(),
        3 + (drawn(260, 24, 17, 0.1, 0.9) @ turn).relu().float(),
    )
    found = figures(real, made)
    assert found.frechet_infinity == frechet_infinity(made, Moments.of(real))
    assert found.kid == kid(real, made)
    assert (found.precision, found.recall) == precision_recall(real, made)
    assert (found.density, found.coverage) == density_coverage(real, made)
    fid, mmd, *shares = as_torch_fidelity(real, made)
    assert found.frechet == pytest.approx(fid, rel=1e-4)
    assert found.kid.value == pytest.approx(mmd, rel=1e-4)
    assert [found.precision, found.recall, found.density, found.coverage] == pytest.approx(shares, rel=1e-4)
    assert 0.1 < found.recall < 0.9


def test_figures_of_few_pictures():
    """What needs more pictures is left out; the rest is there."""
    few = figures(drawn(30, 4, 19), drawn(40, 4, 20))
    assert few.frechet_infinity is None
    assert few.kid == kid(drawn(30, 4, 19), drawn(40, 4, 20))
    assert few.frechet == frechet(Moments.of(drawn(30, 4, 19)), Moments.of(drawn(40, 4, 20)))
    assert figures(drawn(9, 4, 19), drawn(8, 4, 20)).kid is None
    assert figures(drawn(9, 4, 19), drawn(8, 4, 20)).recall is not None
    assert figures(drawn(5, 4, 19), drawn(8, 4, 20)).precision is None


def test_manifolds_at_their_ends():
    x = drawn(50, 4, 11)
    assert precision_recall(x, x) == (1.0, 1.0)
    assert density_coverage(x, x)[1] == 1.0
    assert precision_recall(x, x + 1000) == (0.0, 0.0)
    assert density_coverage(x, x + 1000) == (0.0, 0.0)
    half = torch.cat([x, x + 1000])  # two modes, of which one is drawn
    precision, recall = precision_recall(half, x)
    assert precision == 1.0
    assert recall == 0.5


def test_a_neighbour_is_another():
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert reach(line.double(), 1).tolist() == [1.0, 1.0, 4.0, 16.0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Moments.of(torch.empty(0, 3)), "at least 1 pictures; there are 0"),
        (lambda: frechet(Moments.of(torch.ones(1, 3)), Moments.of(torch.ones(4, 3))), "at least two pictures"),
        (lambda: frechet_infinity(torch.ones(40, 3), Moments.of(torch.ones(4, 3))), "at least 100 pictures"),
        (lambda: frechet(Moments.of(torch.ones(4, 3)), Moments.of(torch.ones(4, 2))), "of 3 and of 2 numbers"),
        (lambda: frechet_infinity(torch.ones(100, 2), Moments.of(torch.ones(4, 3))), "of 2 and of 3 numbers"),
        (lambda: figures(torch.ones(40, 2), torch.ones(40, 3)), "of 2 and of 3 numbers"),
        (lambda: precision_recall(torch.ones(9, 2), torch.ones(9, 3)), "of 2 and of 3 numbers"),
        (lambda: kid(torch.ones(19, 3), torch.ones(40, 3)), "at least 20 pictures"),
        (lambda: precision_recall(torch.ones(3, 2), torch.ones(9, 2)), "at least 4 pictures"),
        (lambda: density_coverage(torch.full((9, 2), math.nan), torch.ones(9, 2)), "not finite"),
    ],
)
def test_what_figures_refuse(call, says):
    with pytest.raises(GessoError, match=says):
        call()


def test_constant_pictures_have_figures():
    same = torch.ones(120, 3)
    assert frechet(Moments.of(same), Moments.of(same)) == 0
    assert frechet_infinity(same, Moments.of(same)).value == pytest.approx(0, abs=1e-12)
    assert kid(same, same).value == pytest.approx(0, abs=1e-12)
    assert precision_recall(same, same) == (1.0, 1.0)


def test_numbers_that_never_change_change_nothing():
    """They are left out of the work; the kernel still knows how many there were, and what they were."""
    real, made = drawn(130, 5, 21), drawn(120, 5, 22, 0.3)
    dull = torch.tensor([0.0, 3.0, -1.0, 0.0, 0.0])

    def widened(x):
        return torch.cat([x, dull.double().expand(len(x), 5)], 1)

    plain, wide = figures(real, made), figures(widened(real), widened(made))
    for name in ("frechet", "precision", "recall", "density", "coverage"):
        assert getattr(wide, name) == pytest.approx(getattr(plain, name), rel=1e-9)
    assert wide.frechet_infinity == pytest.approx(plain.frechet_infinity, rel=1e-9)
    x, y = widened(real), widened(made)
    k = [(a @ b.T / 10 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    inside = [(m.sum() - m.trace()) / (len(m) * (len(m) - 1)) for m in k[:2]]
    assert wide.kid.value == pytest.approx(float(sum(inside) - 2 * k[2].mean()), rel=1e-9)
    constant = torch.ones(130, 5)
    assert figures(constant, constant[:120]).frechet == 0
