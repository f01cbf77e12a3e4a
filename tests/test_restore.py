"""Damage found and healed, tone corrected, pictures made larger."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.restoration import inpaint_biharmonic

import gesso
from gesso.errors import GessoError
from gesso.marks.recipe import Work, read_recipe, read_source
from gesso.patch.bands import threads
from gesso.patch.damage import KINDS, find_damage, unstained
from gesso.patch.restore import heal, wide_parts
from gesso.patch.thin import biharmonic, heal_thin
from gesso.patch.tone import denoised, noise_of, unfaded, unyellowed
from gesso.patch.upscale import enlarged, shrunk, upscale


def painted(height: int = 120, width: int = 144) -> np.ndarray:
    """A picture that is neither flat nor noise: waves of colour, a disc, a little grain; h w 3 in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin(x / a + y / b) * 0.28 + 0.46 for a, b in ((9, 17), (13, -11), (21, 8))]
    picture = np.stack(waves, axis=2)
    picture[(y - height * 0.6) ** 2 + (x - width * 0.6) ** 2 < (height / 5) ** 2] *= 0.6
    grain = np.random.default_rng(1).normal(0, 0.006, picture.shape)
    return (np.round((picture + grain).clip(0.02, 0.9) * 255) / 255).astype(np.float32)


def scratch(height: int = 120, width: int = 144, thick: int = 2) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.line(mask, (10, 14), (width - 12, height - 30), 1, thick)
    cv2.line(mask, (30, height - 8), (width - 40, 6), 1, thick)
    return mask > 0


def decibels(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b)[mask].mean()))


def as_bytes(picture: np.ndarray) -> np.ndarray:
    return np.round(picture * 255).astype(np.uint8)


def save(path: Path, picture: np.ndarray) -> Path:
    image = picture if picture.dtype == np.uint8 else as_bytes(picture)
    Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image).save(path)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


# ---- thin damage


@pytest.mark.parametrize("where", ["inside", "border"])
def test_biharmonic_is_scikit_images(where):
    picture, mask = painted(), scratch(thick=4)
    if where == "border":
        mask = np.zeros_like(mask)
        mask[:3, 20:50] = mask[60:64, :9] = mask[-5:, -6:] = True
    damaged = np.where(mask[..., None], np.float32(0.5), picture)
    expected = inpaint_biharmonic(damaged, mask, channel_axis=-1)
    range_ = picture[~mask].min(axis=0), picture[~mask].max(axis=0)  # to which scikit-image clips
    np.testing.assert_allclose(biharmonic(damaged, mask)[mask].clip(*range_), expected[mask].clip(*range_), atol=1e-3)


def test_thin_damage_is_healed_better_than_smoothly():
    # a texture that repeats: what is smooth knows nothing of it
    y, x = np.mgrid[:120, :144]
    stripes = np.where((x // 4 + y // 6) % 2, 0.7, 0.3)[..., None].repeat(3, axis=2).astype(np.float32)
    for picture, much in ((stripes, 6.0), (painted(), -1.0)):
        mask = scratch(thick=3)
        damaged = np.where(mask[..., None], np.float32(1), picture)
        ours, smooth = (decibels(fill(damaged, mask), picture, mask) for fill in (heal_thin, biharmonic))
        assert ours > smooth + much
    assert (heal_thin(damaged, mask)[~mask] == picture[~mask]).all()


def test_what_is_in_the_hole_says_nothing():
    mask = scratch()
    fills = [heal_thin(np.where(mask[..., None], np.float32(v), painted()), mask) for v in (0.0, 1.0)]
    assert (fills[0] == fills[1]).all()


def test_threads_change_no_bit():
    picture, mask = painted(), scratch(thick=3)
    mask[40:60, 20:44] = True
    for work in (
        lambda: heal_thin(picture, scratch(), seed=3),
        lambda: [*heal(picture, mask, seed=3)][-1].picture,
        lambda: (
            denoised((picture + np.random.default_rng(0).normal(0, 0.05, picture.shape)).astype(np.float32)).picture
        ),
        lambda: upscale(picture, 333, 290),
    ):
        with threads(1):
            one = work()
        with threads(2):
            assert (work() == one).all()


@pytest.mark.parametrize("shape", [(1, 9, 3), (5, 4, 3), (8, 8, 1), (40, 7, 3)])
def test_tiny_pictures(shape):
    picture = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    mask = np.zeros(shape[:2], bool)
    mask[0, 1:3] = True
    out = heal_thin(picture, mask)
    assert np.isfinite(out).all()
    assert (out[~mask] == picture[~mask]).all()
    assert not any(found.any() for found in find_damage(picture, KINDS, 1.0).values())
    assert noise_of(picture) == 0
    assert upscale(picture, shape[0] * 3, shape[1] * 2).shape == (shape[0] * 3, shape[1] * 2, shape[2])


def test_wide_and_thin_part_ways():
    mask = scratch(thick=3)
    mask[40:70, 90:124] = True
    wide = wide_parts(mask)
    assert wide[45:65, 95:119].all()
    assert not wide_parts(scratch(thick=3)).any()
    assert (wide & ~mask).sum() == 0
    *_, last = heal(painted(), mask)
    assert last.done == 1
    assert (last.picture[~mask] == painted()[~mask]).all()
    assert np.isfinite(last.picture).all()


# ---- finding


def test_planted_damage_is_found():
    picture, mask = painted(240, 280), scratch(240, 280)
    spots = np.zeros((240, 280), np.uint8)
    for at in ((40, 200), (130, 30), (220, 150)):
        cv2.circle(spots, at[::-1], 2, 1, -1)
    hole = np.zeros((240, 280), np.uint8)
    cv2.ellipse(hole, (200, 120), (20, 14), 30, 0, 360, 1, -1)
    cv2.ellipse(hole, (0, 0), (24, 30), 0, 0, 360, 1, -1)
    noisy = np.random.default_rng(2).normal(0, 0.02, picture.shape).astype(np.float32)  # a scan is never flat
    for kind, damage in (("scratches", mask), ("dust", spots > 0), ("holes", hole > 0)):
        damaged = np.where(damage[..., None], np.float32(0.95), (picture + noisy).clip(0, 0.9))
        found = find_damage(damaged.astype(np.float32), (kind,))[kind]
        near = cv2.dilate(damage.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        assert (found & damage).sum() > 0.8 * damage.sum(), kind
        assert (found & ~near).sum() < 0.05 * damage.sum(), kind


def test_cracks_and_stains_are_found_and_lightened():
    picture = (painted(240, 280).mean(axis=2, keepdims=True) * np.array([0.4, 0.36, 0.3]) + 0.35).astype(np.float32)
    y, x = np.mgrid[:240, :280]
    seeds = np.random.default_rng(2).uniform(0, 1, (12, 2)) * [240, 280]
    far = np.sort([np.hypot(y - a, x - b) for a, b in seeds], axis=0)
    net = np.clip(1.6 - (far[1] - far[0]), 0, 1)[..., None] * 0.9  # the borders of cells
    cracked = (picture * (1 - net) + 0.2 * net).astype(np.float32)
    found = find_damage(cracked, ("cracks",))["cracks"]
    assert found[net[..., 0] > 0.3].mean() > 0.8
    assert found[cv2.dilate(net, np.ones((7, 7))) == 0].sum() == 0
    deep = np.clip((1.2 - np.hypot(y - 120, x - 140) / 40) / 0.4, 0, 1)[..., None]
    stained = (picture * (1 - deep * np.array([0.1, 0.25, 0.5]))).astype(np.float32)
    stain = find_damage(stained, ("stains",))["stains"]
    assert stain[deep[..., 0] > 0.9].mean() > 0.9
    out = unstained(stained, stain)
    assert (out[~stain] == stained[~stain]).all()
    assert np.abs(out - picture)[stain].mean() < 0.6 * np.abs(stained - picture)[stain].mean()


@pytest.mark.parametrize("size", [(120, 144), (240, 280)])
def test_undamaged_pictures_have_no_damage(size):
    y, x = np.mgrid[: size[0], : size[1]]
    ramp = np.dstack([x / size[1], y / size[0], (x + y) / sum(size)]).astype(np.float32)
    logo = np.where(((y - 60) ** 2 + (x - 60) ** 2 < 900)[..., None], np.float32([0.8, 0.1, 0.1]), np.float32(1))
    logo = logo.astype(np.float32)
    for picture in (painted(*size), ramp, logo, np.ones_like(ramp), np.zeros_like(ramp)):
        for kind, found in find_damage(picture).items():
            assert not found.any(), kind


def test_no_such_damage():
    with pytest.raises(GessoError, match="Did you mean 'scratches'"):
        find_damage(painted(), ("scratchs",))


# ---- tone


def test_clean_pictures_keep_their_tone_to_the_bit():
    wide = (np.linspace(0, 1, 144)[None, :, None] * np.ones((120, 1, 3))).astype(np.float32)
    for change in (denoised, unfaded, unyellowed):
        assert change(wide).picture is wide
        assert change(wide).figures == {}
    assert denoised(painted()).figures == {}
    grey = wide[..., :1]
    assert unyellowed(grey).picture is grey


@pytest.mark.parametrize("sigma", [8, 16, 30])
def test_noise_is_measured_and_halved(sigma):
    y, x = np.mgrid[:160, :192]
    clean = (0.5 + 0.3 * np.sin(x / 30) * np.cos(y / 40))[..., None].repeat(3, axis=2)
    noisy = (clean + np.random.default_rng(0).normal(0, sigma / 255, clean.shape)).clip(0, 1).astype(np.float32)
    assert noise_of(noisy) * 255 == pytest.approx(sigma, rel=0.25)
    less = denoised(noisy)
    assert less.figures["after"] < 0.75 * less.figures["before"]
    left = np.std(less.picture - clean) * 255
    assert 0.45 * sigma < left < 0.7 * sigma  # half of it stays, on purpose


def test_texture_is_not_noise():
    rough = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(160, 160, 3)).astype(np.float32), (0, 0), 1.6)
    rough = (0.5 + rough / rough.std() * 0.12).clip(0, 1).astype(np.float32)
    assert denoised(rough).figures == {}


def test_fading_and_yellowing_are_taken_back_in_part():
    rng = np.random.default_rng(0)
    grey = rng.uniform(0.05, 1, (80, 90, 1)) + rng.normal(0, 0.02, (80, 90, 3))
    clean = grey.clip(0, 0.99).astype(np.float32)
    faded = unfaded((clean * 0.4 + 0.35).astype(np.float32))
    assert 1 < faded.figures["factor"] <= 1.35
    assert 0.35 < np.ptp(faded.picture) < 0.7
    yellow = (clean * np.array([1, 0.93, 0.65])).astype(np.float32)
    back = unyellowed(yellow)
    assert 0 < back.figures["after"] < back.figures["before"]
    assert np.abs(back.picture - clean).mean() < np.abs(yellow - clean).mean()
    assert unyellowed(clean).figures == {}


# ---- larger


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_upscaled_and_shrunk_it_is_what_it_was(factor):
    small = shrunk(painted(), 40, 48)
    large = upscale(small, 40 * factor, 48 * factor)
    again, cubic = (shrunk(p, 40, 48) for p in (large, enlarged(small, 40 * factor, 48 * factor)))
    assert np.abs(again - small).mean() < 0.4 * np.abs(cubic - small).mean()
    assert np.abs(again - small).mean() < 2 / 255


def test_upscaling_beats_cubic_and_has_no_halos():
    y, x = np.mgrid[:120, :120]
    truth = np.where(((y - 60) ** 2 + (x - 60) ** 2 < 40**2)[..., None], 0.8, 0.2).repeat(3, axis=2).astype(np.float32)
    truth = cv2.GaussianBlur(truth, (0, 0), 0.7)
    small = shrunk(truth, 60, 60)
    ours, cubic = upscale(small, 120, 120), enlarged(small, 120, 120)
    everywhere = np.ones(truth.shape[:2], bool)
    assert decibels(ours, truth, everywhere) > decibels(cubic, truth, everywhere) + 1
    assert ours.max() < 0.8 + 0.07
    assert ours.min() > 0.2 - 0.07
    flat = np.full((9, 7, 3), 0.3, np.float32)
    np.testing.assert_allclose(upscale(flat, 40, 33), 0.3, atol=1e-6)
    with pytest.raises(GessoError, match="smaller than the picture"):
        upscale(flat, 5, 7)


# ---- the commands


def test_conserving_changes_no_byte_outside_the_mask(tmp_path):
    mask = scratch()
    image = np.dstack(
        [as_bytes(np.where(mask[..., None], np.float32(1), painted())), np.full(mask.shape, 255, np.uint8)]
    )
    image[90:, 100:, 3] = 120
    image[100:, 120:, 3] = 0  # colours under it are kept, too
    source, given = save(tmp_path / "old.png", image), save(tmp_path / "mine.png", as_bytes(mask))
    seen = gesso.run("restore", home=tmp_path, picture=source, mask=given, conserve=True)
    written = read(tmp_path / "old-restored.png")
    assert (written[~mask] == image[~mask]).all()
    assert (written[..., 3] == image[..., 3]).all()
    shown = mask & (image[..., 3] > 0)
    assert (written[shown] != image[shown]).any(axis=1).mean() > 0.9
    assert decibels(written[..., :3] / 255, painted(), shown) > 25
    assert seen.facts["changed_outside"] == 0
    assert json.loads((tmp_path / "old-restored.report.json").read_text()) == json.loads(json.dumps(seen.facts))
    assert read_source(tmp_path / "old-restored.png") == "algorithmicallyEnhanced"
    recipe = read_recipe(tmp_path / "old-restored.png")
    assert isinstance(recipe, Work)
    assert set(recipe.inputs) == {"old.png", "mine.png"}


def test_a_found_mask_is_shown_and_taken_back(tmp_path):
    damaged = np.where(scratch(240, 280)[..., None], np.float32(0.95), painted(240, 280))
    source = save(tmp_path / "a.png", damaged)
    looked = gesso.run("restore", home=tmp_path, picture=source, look=True)
    assert not (tmp_path / "a-restored.png").exists()
    assert looked.facts["healed"] > 0
    first = gesso.run("restore", home=tmp_path, picture=source, tone=False)
    mask = read(tmp_path / "a-restored.mask.png") > 127
    assert mask[scratch(240, 280)].mean() > 0.8
    assert (read(first.paths[0])[~mask] == as_bytes(damaged)[~mask]).all()
    assert decibels(read(first.paths[0]) / 255, painted(240, 280), scratch(240, 280)) > 25
    again = gesso.run(
        "restore",
        home=tmp_path,
        picture=source,
        mask=tmp_path / "a-restored.mask.png",
        out=tmp_path / "b.png",
        tone=False,
    )
    assert (read(again.paths[0]) == read(first.paths[0])).all()
    assert (tmp_path / "a-restored.before-after.png").is_file()


def test_a_clean_picture_comes_out_as_it_is(tmp_path):
    source = save(tmp_path / "clean.png", painted())
    done = gesso.run("restore", home=tmp_path, picture=source)
    assert (read(done.paths[0]) == as_bytes(painted())).all()
    assert "every pixel is as it was" in done.text


def test_grey_and_deep_pictures(tmp_path):
    grey = as_bytes(painted()[..., :1])
    source, mask = save(tmp_path / "grey.png", grey), save(tmp_path / "m.png", as_bytes(scratch()))
    done = gesso.run("restore", home=tmp_path, picture=source, mask=mask, conserve=True)
    written = read(done.paths[0])
    assert (written == written[..., :1]).all()
    assert (written[~scratch()] == grey[~scratch()]).all()
    Image.fromarray(painted()[..., 0].astype(np.float64).__mul__(65535).astype(np.uint16)).save(tmp_path / "deep.png")
    done = gesso.run("restore", home=tmp_path, picture=tmp_path / "deep.png", mask=mask)
    assert any("16" in note for note in done.facts["converted"])


@pytest.mark.parametrize(
    ("make", "options", "sentence"),
    [
        (lambda: np.zeros((5, 7), np.uint8), {}, r"mask.png is 7×5, the picture 144×120"),
        (lambda: np.full((120, 144), 255, np.uint8), {}, "all white: nothing is left"),
        (lambda: np.zeros((120, 144), np.uint8), {}, "all black"),
        (lambda: as_bytes(scratch()), {"conserve": True, "out": "x.jpg"}, "lossy"),
        (lambda: as_bytes(scratch()), {"out": "a.png"}, "never written over"),
        (None, {"find": "dusk"}, "Did you mean 'dust'"),
    ],
)
def test_what_cannot_be_restored(tmp_path, make, options, sentence):
    source = save(tmp_path / "a.png", painted())
    if make is not None:
        options = options | {"mask": save(tmp_path / "mask.png", make())}
    if "out" in options:
        options = options | {"out": tmp_path / options["out"]}
    before = sorted(tmp_path.iterdir())
    with pytest.raises(GessoError, match=sentence):
        gesso.run("restore", home=tmp_path, picture=source, **options)
    assert sorted(tmp_path.iterdir()) == before


def test_upscale_command(tmp_path):
    image = np.dstack([as_bytes(painted(20, 24)), np.full((20, 24), 255, np.uint8)])
    image[:, 12:] = [0, 255, 0, 0]  # a green that must not shine through
    source = save(tmp_path / "a.png", image)
    done = gesso.run("upscale", home=tmp_path, picture=source, factor=3)
    large = read(done.paths[0])
    assert large.shape == (60, 72, 4)
    assert (large[:, 45:, 3] == 0).all()
    shown = large[..., 3] > 40
    assert large[..., 1][shown].max() < 190
    assert done.facts["again"] < 3
    assert read(gesso.run("upscale", home=tmp_path, picture=source, size="50").paths[0]).shape == (42, 50, 4)
    for wrong, sentence in (("10", "smaller"), ("9x", "no size"), ("400x400", "more than 8 times")):
        with pytest.raises(GessoError, match=sentence):
            gesso.run("upscale", home=tmp_path, picture=source, size=wrong)


def test_stains_are_lightened_through_the_file(tmp_path):
    picture = (painted(240, 280) * 0.3 + 0.5).astype(np.float32)
    y, x = np.mgrid[:240, :280]
    deep = np.clip((1.2 - np.hypot(y - 120, x - 140) / 40) / 0.4, 0, 1)[..., None]
    stained = (picture * (1 - deep * np.array([0.1, 0.25, 0.5]))).astype(np.float32)
    source = save(tmp_path / "a.png", stained)
    done = gesso.run("restore", home=tmp_path, picture=source, find="stains", tone=False)
    assert done.facts["found"]["stains"]["share"] > 0.03
    assert done.facts["changed_outside"] == 0
    changed = (read(done.paths[0]) != as_bytes(stained)).any(axis=2)
    assert changed.any()
    assert deep[changed].min() > 0
