"""The flowers that Gesso paints."""

import numpy as np
import pytest

from gesso.data.blossoms import COLOURS, GROUNDS, SPECIES, Blossom, paint_blossoms
from gesso.data.brush import oklch


def test_the_same_seed_paints_the_same():
    one, known = paint_blossoms(8, 32, seed=7)
    again, known_again = paint_blossoms(5, 32, seed=7)
    assert one.shape == (8, 32, 32, 3)
    assert one.dtype == np.uint8
    assert (one[:5] == again).all()
    assert known[:5] == known_again
    assert (paint_blossoms(5, 32, seed=8)[0] != again).any()


def test_one_alone_is_as_among_many():
    many, _ = paint_blossoms(4, (40, 24), seed=1)
    alone, _ = Blossom(3, 1, 40, 24).paint()
    assert alone.shape == (24, 40, 3)
    assert (many[3] == alone).all()


def test_factors_are_whole_and_the_caption_says_them():
    images, factors = paint_blossoms(150, 16, seed=0)
    assert {f["species"] for f in factors} == set(SPECIES)
    assert {f["ground"] for f in factors} == set(GROUNDS)
    for f in factors:
        assert f["label"] == f["species"]
        assert f["colour"] in f["text"]
        assert f["species"] in f["text"]
        assert f["text"].endswith(f["ground"])
        assert 0.15 < f["radius"] < 0.45
    assert images.std(axis=(1, 2, 3)).min() > 8  # a flower is seen on each


@pytest.mark.parametrize("species", sorted(SPECIES))
def test_every_species_in_every_colour(species):
    from gesso.data import blossoms

    for colour in SPECIES[species]:
        factors = {**blossoms._choose(np.random.default_rng(0)), "species": species, "colour": colour, "stem": True}
        factors |= {"leaves": 2, "petals": blossoms.PETALS[species][1], "lightness": COLOURS[colour][0]}
        canvas = blossoms.Canvas(24, 24)
        blossoms._paint_ground(canvas, factors, np.random.default_rng(1))
        blossoms.PAINTERS[species](canvas, factors, np.random.default_rng(2))
        picture = canvas.picture()
        assert np.isfinite(canvas.colour).all()
        assert picture.std() > 5


def test_oklch_against_known_values():
    assert np.allclose(oklch(1, 0, 0), 1, atol=1e-3)
    assert np.allclose(oklch(0, 0, 0), 0, atol=1e-3)
    assert np.allclose(oklch(0.62796, 0.25768, 29.234), [1, 0, 0], atol=0.01)  # the red of sRGB
    assert oklch(0.6, 0.4, 150).min() >= 0
