"""Pictures made whole or drawn again by a model: what is known stays, other latents give other answers."""

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso import tasks
from gesso.contract.family import Condition, Facts
from gesso.contract.known import Known, Restorer
from gesso.errors import GessoError
from gesso.redraw import Asked, Damage, redrawn, restored
from gesso.solvers import constrained

SMALL = {
    "flow": {"width": 8, "asked_width": 8, "latents": 0},
    "tokens": {"width": 8, "inside": 16, "depth": 1, "heads": 2, "perceptual": 0.0},
    "vae": {"width": 8, "latent": 8, "asked_width": 8, "perceptual": 0.0},
}
RNG = np.random.default_rng(0)


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def made(name, channels=3, labels=("a", "b"), **more):
    torch.manual_seed(0)
    family = tasks.family(name)
    facts = Facts(channels=channels, height=16, width=16, labels=labels)
    return family(family.Config.of({**SMALL[name], **more}), facts).eval()


def picture(channels=3, height=16, width=16):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("what", [{"factor": 4}, {"grey": True}, {"mask": True}, {"grey": True, "mask": True}])
def test_what_fits_is_the_nearest_that_does(what, channels):
    """Fitting twice changes nothing, what fits stays, and the way there stands upright on what is left."""
    y, x = (torch.rand(2, channels, 16, 16, generator=seeded(s)) * 2 - 1 for s in (1, 2))
    if what.get("mask"):
        what = what | {"mask": torch.rand(2, 1, 16, 16, generator=seeded(3)) > 0.5}
    known = Known(y, **what)
    once = known.fitted(x)
    torch.testing.assert_close(known.fitted(once), once)
    torch.testing.assert_close(known.fitted(y), y)
    moved, left = once - x, once - y
    assert abs(float((moved * left).sum())) < 1e-3 * float(moved.norm() * left.norm() + 1)


def test_conditions_are_kept_and_the_rest_is_drawn():
    """Pictures of two correlated numbers, the first of which is known: the other has the conditional spread."""
    far = 0.9
    cov = torch.tensor([[1.0, far], [far, 1.0]])

    def velocity(z, t):  # of Gaussian pictures the best guess is known: E[x | z] = (1-t) C ((1-t)² C + t² I)⁻¹ z
        at = t[0]
        gain = (1 - at) * cov @ torch.linalg.inv((1 - at) ** 2 * cov + at**2 * torch.eye(2))
        return (z - z @ gain.T) / at

    def fitted(x, t):
        return torch.stack([torch.ones_like(x[..., 0]), x[..., 1]], -1)

    z = torch.randn(20, 200, 2, generator=seeded())
    *_, drawn = constrained(velocity, z, z, fitted, 1.0, 100)
    assert torch.equal(drawn[..., 0], torch.ones(20, 200))
    assert float(drawn[..., 1].mean()) == pytest.approx(far, abs=0.1)
    assert float(drawn[..., 1].std()) == pytest.approx((1 - far**2) ** 0.5, rel=0.35)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_holes_are_filled_and_all_else_is_as_it_was(name, channels):
    family, given = made(name, channels), picture(channels)
    holes = np.zeros((16, 16), bool)
    holes[4:10, 5:12] = True
    one, two, again = restored(family, given, Damage(holes), Asked([1, 2, 1], "a"))
    for drawn in (one, two):
        assert np.array_equal(drawn.image[~holes], given[~holes])
    assert np.array_equal(one.image, again.image)
    assert not np.array_equal(one.image[holes], two.image[holes])
    other = given.copy()
    other[holes] = 255 - other[holes]
    (same,) = restored(family, other, Damage(holes), Asked([1], "a"))
    assert np.array_equal(same.image, one.image)


@pytest.mark.parametrize("name", ["flow", "vae"])
def test_means_and_brightness_are_kept(name):
    family, small = made(name), picture(height=4, width=4) // 2 + 64
    (large,) = restored(family, small, Damage(factor=4), Asked([3]))
    means = large.image.reshape(4, 4, 4, 4, 3).mean((1, 3))
    assert np.abs(means - small).max() < 40  # what is clipped is lost
    grey = np.full((16, 16, 3), 128, np.uint8)
    (coloured,) = restored(family, grey, Damage(grey=True), Asked([3]))
    luma = coloured.image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - 128).mean() < 4
    assert np.ptp(coloured.image.astype(int), axis=2).max() > 0


@pytest.mark.parametrize("name", SMALL)
def test_of_a_picture_more_or_less_is_kept(name):
    family, given = made(name), picture()
    nothing, all_, other = (
        next(redrawn(family, given, strength, Asked([seed], "a"))).image.astype(int)
        for strength, seed in ((0.0, 1), (1.0, 1), (1.0, 2))
    )
    with torch.no_grad():
        image = torch.from_numpy(given).permute(2, 0, 1)[None].float() / 127.5 - 1
        ask = Condition(label=torch.tensor([0]))
        if name in ("tokens", "vae"):
            *_, best = family.sample(family.encode(image, ask), ask, family.Knobs())
        else:
            best = image
    expected = ((best[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).numpy()
    assert np.abs(nothing - expected).max() < 2
    assert not np.array_equal(all_, other)


def test_noise_is_taken_away_by_a_flow_that_knows_the_only_picture():
    family = made("flow", labels=())
    plain = torch.full((1, 3, 16, 16), 0.5)

    class Known(torch.nn.Module):
        def forward(self, z, r, t, *given):
            return (z - plain) / t[:, None, None, None]

    family.parts["network"] = Known()
    family.register_parameter("there", torch.nn.Parameter(torch.zeros(())))
    noisy = np.clip(191 + 25 * RNG.standard_normal((16, 16, 3)), 0, 255).astype(np.uint8)
    (drawn,) = restored(family, noisy, Damage(noise=25 / 255), Asked([1]))
    assert np.abs(drawn.image.astype(int) - 191).max() <= 1


def test_what_cannot_be_restored():
    with pytest.raises(GessoError, match="Tokens fill holes"):
        [*restored(made("tokens"), picture(), Damage(grey=True), Asked([1]))]
    facts = Facts(channels=3, height=16, width=16)
    gan = tasks.family("gan")
    assert not isinstance(gan(gan.Config(), facts), Restorer)
    with pytest.raises(GessoError, match="only draws new pictures"):
        [*redrawn(gan(gan.Config(), facts), picture(), 0.5, Asked([1]))]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run of a flow on the built-in pictures, of a few steps."""
    home = tmp_path_factory.mktemp("home")
    gesso.run("import", home=home, source="blossoms", name="flowers", count=24, size="32")
    tasks.run(
        "train", home=home, dataset="flowers", family="flow", images="64", set=["width=8", "batch=8"], watch=False,
        device="cpu",
    )  # fmt: skip
    return home


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_commands(home, tmp_path):
    given = save(tmp_path / "rose.png", picture(3, 64, 64))
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    hole = save(tmp_path / "mask.png", mask)
    result = gesso.run(
        "restore", home=home, run="flowers", picture=given, mask=hole, count=2, out=tmp_path / "out", seed=5
    )
    assert [path.name for path in result.paths] == [
        "rose-restored_seed0000000005.png", "rose-restored_seed0000000006.png", "rose-candidates.png",
    ]  # fmt: skip
    one, two = (read(path) for path in result.paths[:2])
    before = read(given)
    assert np.array_equal(one[mask == 0], before[mask == 0])
    assert not np.array_equal(one, two)
    again = gesso.run(
        "redraw", home=home, run="flowers", picture=[given], strength=0.3, count=1, out=tmp_path / "again.png"
    )
    assert read(again.paths[0]).shape == (32, 32, 3)
    small = save(tmp_path / "small.png", picture(3, 16, 16))
    large = gesso.run("restore", home=home, run="flowers", picture=small, do="enlarge", count=1, out=tmp_path / "l.png")
    assert read(large.paths[0]).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("options", "size", "said"),
    [
        ({"do": "enlarge"}, (64, 64), "enlarges to 32×32 alone"),
        ({"do": "colourise"}, (64, 40), "knows pictures of the shape 32×32"),
        ({"text": "a rose"}, (64, 64), "does not draw from text"),
        ({"label": "cactus"}, (64, 64), "knows no labels, so none can be 'cactus'"),
    ],
)
def test_mistakes(home, tmp_path, options, size, said):
    given = save(tmp_path / "rose.png", picture(3, *size))
    hole = save(tmp_path / "mask.png", np.full(size, 255, np.uint8) * (np.arange(size[1]) < 9).astype(np.uint8))
    with pytest.raises(GessoError, match=said):
        gesso.run("restore", home=home, run="flowers", picture=given, mask=hole, **options)


def test_a_mask_of_another_size_and_what_needs_a_run(home, tmp_path):
    given, hole = save(tmp_path / "a.png", picture(3, 64, 64)), save(tmp_path / "m.png", picture(3, 32, 32))
    with pytest.raises(GessoError, match=r"mask m\.png is 32×32, the picture 64×64"):
        gesso.run("restore", home=home, run="flowers", picture=given, mask=hole)
    with pytest.raises(GessoError, match="asked of a run's model"):
        gesso.run("restore", home=home, picture=given, count=3)
    with pytest.raises(GessoError, match="needs PICTURE"):
        gesso.run("restore", home=home)
