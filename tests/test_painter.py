"""The painter: the same numbers give the same picture, and every scene and ingredient shows."""

import numpy as np
import pytest

from gesso.primer.painter import INGREDIENTS, SCENES, TOLD, paint

PLANS = np.arange(24)


def only(scene: str) -> list[float]:
    return [float(name == scene) for name in SCENES]


def test_same_numbers_same_picture():
    pixels, owners = paint(PLANS, PLANS, 32, threads=1)
    assert pixels.shape == (24, 32, 32, 4)
    assert owners.shape == (24, 32, 32, 4)
    assert np.array_equal(pixels, paint(PLANS, PLANS, 32, threads=3)[0])
    last = paint(PLANS[-1:], PLANS[-1:], 32)[0]
    assert np.array_equal(pixels[-1:], last), "a picture depends on its own numbers alone"
    assert len({picture.tobytes() for picture in pixels}) == 24


def test_views_of_a_plan_are_kin():
    """Two views differ, and are yet nearer to each other in colour than to other plans."""
    first, second = (paint(PLANS, np.full(24, view), 32, shares=only("texture"))[0] for view in (0, 1))
    assert not (first == second).all((1, 2, 3)).any()
    a, b = (x[..., :3].reshape(24, -1, 3).astype(float).mean(1) for x in (first, second))
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    assert np.diag(apart).mean() < 0.75 * apart.mean()


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene(scene):
    pixels, owners = paint(PLANS, PLANS, 32, shares=only(scene))
    assert (pixels.std((1, 2)).max(1) > 3).mean() > 0.7, "there is something to see"
    assert (pixels[..., :3] <= pixels[..., 3:]).all(), "premultiplied"
    clear = (pixels[..., 3] == 0).any((1, 2))
    assert clear.any() == (scene == "icon")
    assert (owners[..., 0].max((1, 2)) > 0).any()
    assert (owners[..., 3] == SCENES.index(scene)).all()
    assert (owners.reshape(-1, 4).max(0)[1:] < TOLD).all()


@pytest.mark.parametrize("ingredient", INGREDIENTS)
def test_every_ingredient_can_be_left_out(ingredient):
    whole, less = paint(PLANS, PLANS, 32)[0], paint(PLANS, PLANS, 32, without=[ingredient])[0]
    assert (whole != less).any((1, 2, 3)).sum() > 4


def test_any_size_shows_the_same_scene():
    """But for grain, which is the film's, a picture is the same at any size."""
    large, small = (paint(PLANS, PLANS, size, shares=only("icon"))[0].astype(float) for size in (64, 32))
    reduced = large.reshape(24, 32, 2, 32, 2, 4).mean((2, 4))
    assert np.median(np.abs(reduced - small).mean((1, 2, 3))) < 8


def test_nothing_of_nothing():
    pixels, _ = paint(PLANS[:0], PLANS[:0], 16)
    assert len(pixels) == 0
