"""The patch engine: its loops against formulas and plain searches, its works on small pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gesso.errors import GessoError
from gesso.patch import (
    candidates,
    final,
    height_map,
    inpaint,
    needed,
    normal_map,
    outpaint,
    panorama,
    reshuffle,
    retarget,
    stylise,
    stylise_frames,
    synthesise_texture,
    threads,
    variation,
    wang_tiles,
)  # fmt: skip
from gesso.patch.atlas import atlas, turned
from gesso.patch.colour import grey, guided, like_colours, ranked
from gesso.patch.field import FORBIDDEN, Axes, Field, inside, scaled_field
from gesso.patch.frames import flicker, follow
from gesso.patch.heal import fill_smoothly
from gesso.patch.kernels import DEPTH, usage
from gesso.patch.level import How, Source, Target
from gesso.patch.pyramid import resized, resized_mask, scales
from gesso.patch.quilt import quilted
from gesso.patch.synthesis import synthesise
from gesso.patch.votes import Votes


def rng(seed=0):
    return np.random.default_rng(seed)


def blobs(height, width, seed=0, channels=3):
    """A picture with forms at several sizes, in [0, 1]."""
    dice, out = rng(seed), np.zeros((height, width, channels), np.float32)
    for size in (3, 6, 12):
        coarse = dice.random((-(-height // size) + 1, -(-width // size) + 1, channels)).astype(np.float32)
        out += resized(coarse, height, width) / 3
    return out.clip(0, 1)


def stripes(height, width, period=8):
    y, x = np.mgrid[:height, :width]
    wave = 0.5 + 0.5 * np.sign(np.sin((x + y) * 2 * np.pi / period + 0.1))
    return np.dstack([wave, 1 - wave, 0.3 * np.ones_like(wave)]).astype(np.float32)


def patches(picture, size):
    windows = np.lib.stride_tricks.sliding_window_view(picture, (size, size), (0, 1))
    return windows.reshape(*windows.shape[:2], -1)


def test_descriptions_are_coordinates_on_principal_axes():
    picture = blobs(40, 50)
    axes = Axes.of(picture, 5, rng())
    along = axes.along.reshape(DEPTH - 1, -1)
    np.testing.assert_allclose(along @ along.T, np.eye(DEPTH - 1), atol=2e-3)
    described = axes.describe(picture)
    wanted = patches(picture, 5) @ along.T - axes.middle
    np.testing.assert_allclose(described[..., :-1], wanted, atol=1e-4)
    assert (described[..., -1] == 0).all()
    a, b = described[3, 4], described[30, 41]
    full = np.square(patches(picture, 5)[3, 4] - patches(picture, 5)[30, 41]).sum()
    assert 0.8 * full <= np.square(a - b).sum() <= 1.01 * full  # most of what differs is on the axes, never more


def test_axes_of_patches_with_fewer_numbers_than_axes():
    axes = Axes.of(blobs(20, 20, channels=1), 5, rng())
    assert (np.linalg.norm(axes.along.reshape(DEPTH - 1, -1), axis=1)[25:] == 0).all()


def nearest_by_looking(target, source):
    flat, from_ = target.reshape(-1, DEPTH).astype(np.float64), source.reshape(-1, DEPTH).astype(np.float64)
    return (flat**2).sum(1)[:, None] + (from_**2).sum(1)[None] - 2 * flat @ from_.T


def test_patchmatch_comes_near_the_exact_search():
    picture = blobs(70, 60)
    axes = Axes.of(picture, 5, rng())
    source, target = axes.describe(picture), axes.describe(blobs(64, 66, 1))
    allowed = np.ones(source.shape[:2], bool)
    field = Field.random(np.ones(target.shape[:2], bool), allowed, rng())
    field.improve(target, source, 6, rng())
    least = nearest_by_looking(target, source).min(1)
    assert least.mean() <= field.distance.mean() < 1.25 * least.mean()
    again = Field.random(np.ones(source.shape[:2], bool), allowed, rng())
    again.improve(source, source, 6, rng())
    assert (again.distance < 1e-9).mean() > 0.9  # of itself, nearly all is found where it is


def test_forbidden_places_are_not_used():
    picture = blobs(60, 60)
    axes = Axes.of(picture, 5, rng())
    source = axes.describe(picture)
    allowed = inside(np.arange(60)[None] * np.ones((60, 1)) < 30, 5)
    source[..., -1] = np.where(allowed, 0, FORBIDDEN)
    field = Field.random(np.ones(allowed.shape, bool), allowed, rng())
    field.improve(axes.describe(picture), source, 4, rng())
    assert allowed[field.places[..., 0], field.places[..., 1]].all()
    counts = np.zeros(allowed.shape, np.float32)
    usage(field.places, field.active, counts)
    assert counts.sum() == allowed.size
    assert (counts[~allowed] == 0).all()


@given(st.integers(1, 9), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_inside(size, seed):
    mask = rng(seed).random((12, 14)) < 0.9
    windows = np.lib.stride_tricks.sliding_window_view(mask, (size, size))
    assert (inside(mask, size) == windows.all((2, 3))).all()


def identity(high, wide):
    return np.moveaxis(np.mgrid[:high, :wide], 0, -1).astype(np.int32)


def test_votes_of_every_patch_for_itself_give_the_picture():
    picture, size = blobs(70, 41), 7
    places, weight = identity(64, 35), rng().random((64, 35)).astype(np.float32) + 0.1
    total, weights = Votes(picture, size).cast(places, weight)
    np.testing.assert_allclose(total / weights[..., None], picture, atol=1e-5)
    assert weights[30, 20] == pytest.approx(weight[24:31, 14:21].sum(), rel=1e-5)
    more, much = np.zeros_like(total), np.zeros_like(weights)
    Votes(picture, size).cast_back(places, weight, more, much)
    np.testing.assert_allclose(more, total, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(much, weights, rtol=1e-4)


def test_a_field_brought_to_another_level_points_to_the_same():
    allowed, dice = np.ones((60, 60), bool), rng()
    doubled = scaled_field(identity(30, 30), (60, 60), allowed, (30, 30), dice)
    assert np.abs(doubled - identity(60, 60)).max() <= 1
    hole = allowed.copy()
    hole[:, 30:] = False
    moved = scaled_field(identity(30, 30), (60, 60), hole, (30, 30), dice)
    assert hole[moved[..., 0], moved[..., 1]].all()


def test_scales():
    assert scales(100, 25, 0.5) == [0.25, 0.5, 1.0]
    assert scales(100, 25, 0.5, start=0.5) == [0.5, 1.0]
    assert scales(10, 25, 0.5) == [1.0]


def test_resizing():
    picture = blobs(20, 30, channels=6)
    assert resized(picture, 10, 15).shape == (10, 15, 6)
    np.testing.assert_allclose(resized(picture, 10, 15)[3, 4], picture[6:8, 8:10].mean((0, 1)), atol=1e-6)
    assert resized(picture[..., :1], 7, 9).shape == (7, 9, 1)
    mask = np.zeros((20, 20), bool)
    mask[:11] = True
    assert resized_mask(mask, 10, 10, whole=True).sum() == 50
    assert resized_mask(mask, 10, 10, whole=False).sum() == 60


def test_colours_are_moved_to_those_of_another():
    picture, other = blobs(60, 60) * 0.5, blobs(50, 70, 1) * np.array([1, 0.3, 0.6], np.float32)
    moved = like_colours(picture, other)
    for c in range(3):
        assert abs(np.median(moved[..., c]) - np.median(other[..., c])) < 0.05
    np.testing.assert_allclose(like_colours(picture, picture), picture, atol=0.03)
    light = ranked(grey(picture), grey(other))
    np.testing.assert_allclose(
        np.quantile(light, [0.1, 0.5, 0.9]), np.quantile(grey(other), [0.1, 0.5, 0.9]), atol=0.01
    )
    order = np.argsort(grey(picture).ravel())
    assert (np.diff(light.ravel()[order]) >= -1e-6).all()


def test_guided_filter_keeps_what_is_linear_in_its_guide():
    guide = grey(blobs(40, 40))
    plane = np.dstack([0.3 + 2 * guide, np.full_like(guide, 0.7)])
    np.testing.assert_allclose(guided(guide, plane, 3, 1e-9), plane, atol=1e-2)


def test_atlas():
    parts = [blobs(10, 12), blobs(8, 9, 1)]
    laid = atlas(parts, 0.5)
    assert laid.picture.shape[0] == 10
    assert laid.allowed.sum() == 10 * 12 + 8 * 9
    np.testing.assert_array_equal(laid.picture[laid.allowed & (laid.number == 1)].reshape(8, 9, 3), parts[1])
    assert {picture.shape for picture in turned(parts[0])} == {(10, 12, 3), (12, 10, 3)}
    assert len({picture.tobytes() for picture in turned(parts[0])}) == 8


@pytest.mark.parametrize("wrap", [(False, False), (True, True), (False, True)])
def test_quilting(wrap):
    sample = blobs(40, 50)
    places = quilted(sample, 61, 75, wrap, 16, rng())
    assert places.shape == (61, 75, 2)
    assert places.min() >= 0
    assert (places.max((0, 1)) < (40, 50)).all()
    steps = np.abs(np.diff(places, axis=1)).sum(2)
    assert (steps == 1).mean() > 0.8  # most pixels go on where their neighbour was


def test_quilting_fits_what_is_fixed():
    sample = stripes(48, 48)
    held = np.zeros((48, 48), bool)
    held[:, :12] = True
    places = quilted(sample, 48, 48, (False, False), 24, rng(), fixed=(sample, held))
    made = sample[places[..., 0], places[..., 1]]
    assert np.abs(made - sample)[:, :36].mean() < 0.05


def test_a_picture_begun_as_itself_stays():
    picture = blobs(72, 66)
    how = How(start=0.5, coarse=1, first=3, steps=(3, 2))
    made = final(synthesise(Source(picture), Target(72, 66, begin=picture), how))
    assert np.abs(made - picture).mean() < 0.02


def test_large_pictures_are_refined_without_descriptions(monkeypatch):
    picture = blobs(72, 66)
    how = How(start=0.5, coarse=1, first=3, steps=(3, 2))
    whole = final(synthesise(Source(picture), Target(72, 66, begin=picture), how))
    monkeypatch.setattr("gesso.patch.level.MOST", 5000)
    light = final(synthesise(Source(picture), Target(72, 66, begin=picture), how))
    assert not np.array_equal(light, whole)
    assert np.abs(light - picture).mean() < 0.02


def hole_in(height, width):
    mask = np.zeros((height, width), bool)
    mask[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = True
    return mask


WORKS = {
    "style": lambda: stylise(blobs(72, 70), [stripes(80, 76)], seed=3),
    "styles": lambda: stylise(blobs(72, 70), [stripes(80, 76), blobs(70, 70, 5)], weights=(1, 2), stroke=2),
    "content's colours": lambda: stylise(blobs(72, 70), [stripes(80, 76)], colours="content", faithful=0.2),
    "texture": lambda: synthesise_texture(blobs(66, 70), 90, 80, wrap=(True, True), turns=True, seed=3),
    "texture kept": lambda: synthesise_texture(blobs(66, 70), 66, 70, wrap=(True, False), keep=True),
    "retarget": lambda: retarget(blobs(70, 80), 80, 66, seed=3),
    "variation": lambda: variation(blobs(70, 72), seed=3),
    "inpaint": lambda: inpaint(blobs(90, 80), hole_in(90, 80), luck=0.3, seed=3),
    "outpaint": lambda: outpaint(blobs(66, 66), 80, 90, 7, 12, seed=3),
    "panorama": lambda: panorama(blobs(64, 64), 72, seed=3),
    "reshuffle": lambda: reshuffle(blobs(90, 80), hole_in(90, 80) & (np.arange(80) < 40), 10, 22),
}


@pytest.mark.parametrize("work", WORKS)
def test_same_seed_same_picture_on_any_threads(work):
    with threads(1):
        steps = list(WORKS[work]())
    with threads(3):
        again = final(WORKS[work]())
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == pytest.approx(1)
    last = steps[-1].picture
    assert np.isfinite(last).all()
    assert last.min() >= 0
    assert last.max() <= 1
    np.testing.assert_array_equal(last, again)


def test_other_seeds_make_other_pictures():
    made = [final(variation(blobs(64, 64), different=1, seed=seed)) for seed in (0, 1)]
    assert np.abs(made[0] - made[1]).mean() > 0.01


def test_tiles_have_no_seam():
    sample = blobs(96, 96, 4)
    made = final(synthesise_texture(sample, 96, 96, wrap=(True, True), seed=1))
    for axis in (0, 1):
        across = np.abs(made.take(0, axis) - made.take(-1, axis)).mean()
        within = np.abs(np.diff(made, axis=axis)).mean((1 - axis, 2))
        assert within.min() * 0.8 <= across <= within.max() * 1.2
    plain = final(synthesise_texture(sample, 96, 96, seed=1))
    assert np.abs(plain[0] - plain[-1]).mean() > 2 * np.abs(np.diff(plain, axis=0)).mean()


def test_keeping_a_sample_changes_only_what_must():
    sample = blobs(96, 96, 4)
    made = final(synthesise_texture(sample, 96, 96, wrap=(True, True), keep=True))
    assert np.abs(made - sample)[24:72, 24:72].max() < 0.02


def test_wang_tiles_fit():
    tiles = dict(wang_tiles(blobs(80, 80, 2), 48))
    assert len(tiles) == 16
    for edges, tile in tiles.items():
        for other, beside in tiles.items():
            if edges[1] == other[3]:  # east of one, west of the other: both sides are of one strip
                step = np.abs(tile[:, -1] - beside[:, 0]).mean()
                assert step < 3 * np.abs(np.diff(tile, axis=1)).mean()
    same = [tile[:, -6:] for edges, tile in tiles.items() if edges[1] == 0]
    assert all(np.array_equal(same[0][6:-6], strip[6:-6]) for strip in same)


def test_maps():
    flat = normal_map(np.full((8, 8), 0.5, np.float32))
    np.testing.assert_allclose(flat, np.broadcast_to([0.5, 0.5, 1.0], flat.shape), atol=1e-6)
    slope = normal_map(np.tile(np.arange(16, dtype=np.float32) / 160, (16, 1)), wrap=(False, False))
    assert (slope[:, 1:-1, 0] < 0.5).all()  # it rises to the right, so it looks to the left
    bumps = height_map(blobs(64, 64))
    assert bumps.min() == 0
    assert bumps.max() == 1


def test_panoramas_close():
    made = final(panorama(blobs(64, 64, 3), 96))
    assert made.shape == (96, 192, 3)
    step = np.abs(np.diff(made[40:56], axis=1)).mean()
    assert np.abs(made[40:56, 0] - made[40:56, -1]).mean() < 2 * step
    assert np.ptp(made[0], axis=0).max() < 0.35  # the pole is nearly one point


def test_retargeting_keeps_what_is_protected_to_the_bit():
    picture, mask = blobs(80, 120), np.zeros((80, 120), bool)
    mask[20:60, 30:62] = True
    made = final(retarget(picture, 80, 90, protect=mask))
    windows = np.lib.stride_tricks.sliding_window_view(made, (40, 32, 3))[:, :, 0]
    assert (windows == picture[20:60, 30:62]).all((2, 3, 4)).any()
    with pytest.raises(GessoError, match="What is protected is 100 pixels wide, the new picture only 90"):
        final(retarget(picture, 80, 90, protect=np.arange(120)[None] * np.ones((80, 1)) < 100))


def test_holes_in_a_regular_picture_are_filled_regularly():
    picture, hole = stripes(96, 96), hole_in(96, 96)
    spoilt = np.where(hole[..., None], 0.5, picture).astype(np.float32)
    made = final(inpaint(spoilt, hole))
    np.testing.assert_array_equal(made[~hole], picture[~hole])
    assert np.abs(made - picture)[hole].mean() < 0.1
    assert np.abs(fill_smoothly(spoilt, hole) - picture)[hole].mean() > 0.3  # which smoothness alone cannot


def test_what_was_in_the_hole_does_not_matter():
    picture, hole = blobs(80, 80), hole_in(80, 80)
    other = np.where(hole[..., None], rng(4).random((80, 80, 3)), picture).astype(np.float32)
    np.testing.assert_array_equal(final(inpaint(picture, hole)), final(inpaint(other, hole)))


def test_candidates_differ():
    picture, hole = blobs(96, 96, 6), hole_in(96, 96)
    found = list(candidates(picture, hole, 3))
    assert [round(step.done * 3) for step in found] == [1, 2, 3]
    assert min(step.energy for step in found) > 0
    for i in range(3):
        for j in range(i):
            assert np.abs(found[i].picture - found[j].picture)[hole].mean() > 0.02


def test_continued_pictures_hold_the_given_one():
    picture = blobs(64, 64)
    made = final(outpaint(picture, 80, 96, 5, 20))
    np.testing.assert_array_equal(made[5:69, 20:84], picture)


def test_moved_things_are_moved_and_their_place_is_filled():
    picture, what = blobs(90, 90), np.zeros((90, 90), bool)
    picture[30:50, 20:40] = (1, 0, 0)
    what[30:50, 20:40] = True
    made = final(reshuffle(picture, what, 5, 35))
    np.testing.assert_array_equal(made[35:55, 55:75], np.broadcast_to(np.float32([1, 0, 0]), (20, 20, 3)))
    assert (np.abs(made[30:50, 20:40] - (1, 0, 0)).sum(2) < 0.2).mean() < 0.05
    with pytest.raises(GessoError, match="nothing of it is in the picture"):
        final(reshuffle(picture, what, 500, 0))


def test_style_is_put_on_within_its_mask_only():
    content, mask = blobs(72, 70), hole_in(72, 70)
    made = final(stylise(content, [stripes(70, 70)], mask=mask))
    np.testing.assert_array_equal(made[~mask], content[~mask])
    assert np.abs(made - content)[mask].mean() > 0.02


def test_regions_take_their_own_styles():
    warm = blobs(80, 80, 1) * np.float32([1, 0.2, 0.1])
    cold = blobs(80, 80, 2) * np.float32([0.1, 0.2, 1])
    regions = (np.arange(80)[None] >= 40) * np.ones((80, 1), int)
    made = final(stylise(blobs(80, 80), [warm, cold], regions=regions))
    assert made[:, 4:36, 0].mean() > 2 * made[:, 4:36, 2].mean()
    assert made[:, 44:76, 2].mean() > 2 * made[:, 44:76, 0].mean()


def test_weights_are_shares_of_the_picture():
    warm = blobs(80, 80, 1) * np.float32([1, 0.2, 0.1])
    cold = blobs(80, 80, 1) * np.float32([0.1, 0.2, 1])
    reds = []
    for weights in ((8, 1), (1, 8)):
        made = final(stylise(blobs(80, 80), [warm, cold], weights=weights))
        reds.append((made[..., 0] > made[..., 2]).mean())
    assert reds[0] > 0.7
    assert reds[1] < 0.3


def test_faithfulness():
    content, style = blobs(90, 90), blobs(90, 90, 9)
    far = []
    for faithful in (0.0, 1.0):
        made = final(stylise(content, [style], faithful=faithful, colours="content"))
        far.append(np.abs(grey(made) - grey(content)).mean())
    assert far[1] < far[0]


def test_frames_flicker_less_than_each_by_itself():
    wide = blobs(96, 140, 3)
    frames = [np.ascontiguousarray(wide[:, 3 * i : 3 * i + 96]) for i in range(3)]
    style = stripes(90, 90)
    alone = [final(stylise(frame, [style])) for frame in frames]
    film = list(stylise_frames(frames, [style]))
    assert flicker(frames, film) < 0.8 * flicker(frames, alone)
    assert flicker(frames, frames) < 0.03
    found = follow(frames[0], frames[1], frames[0])
    assert found.sure.mean() > 0.5
    assert np.abs(found.picture - frames[1])[found.sure > 0.5].mean() < 0.03


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: stylise(blobs(60, 60), [blobs(10, 60)]), "The style 1 is 60×10 pixels: too small"),
        (lambda: stylise(blobs(60, 60), []), "No style is given"),
        (lambda: stylise(blobs(60, 60), [blobs(60, 60)], weights=(1, 2)), "2 weights are given for 1 styles"),
        (lambda: stylise(blobs(60, 60), [blobs(60, 60)], regions=np.ones((60, 60), int)), "The regions name style 2"),
        (lambda: synthesise_texture(blobs(8, 60), 50, 50), "The sample is 60×8 pixels: too small"),
        (lambda: wang_tiles(blobs(20, 20), 128), "too small for tiles of 128"),
        (lambda: inpaint(blobs(60, 60), np.ones((60, 60), bool)), "The mask is all white"),
        (lambda: inpaint(blobs(60, 60), np.zeros((60, 60), bool)), "The mask is all black"),
        (
            lambda: inpaint(blobs(60, 60), np.arange(60)[None] * np.ones((60, 1)) > 3),
            "leaves too little of the picture",
        ),
    ],
)
def test_bad_input_is_a_sentence(ask, said):
    with pytest.raises(GessoError, match=said):
        list(ask())


def test_memory_grows_with_pixels_and_descriptions_are_bounded():
    assert needed(10, 20) < needed(100, 200)
    assert needed(10**8, 10**8) < 2 * 10**8 * (128 + 6 * 6 * 4)


def vgg(path, seed=0):
    """Weights as torchvision names them, small random ones."""
    import torch
    from safetensors.torch import save_file

    from gesso.patch.perceptual import VGG19

    torch.manual_seed(seed)
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
    layers = [layer for layer in VGG19().layers if isinstance(layer, torch.nn.Conv2d)]
    tensors = {}
    for number, layer in zip(numbers, layers, strict=True):
        tensors[f"features.{number}.weight"] = torch.nn.init.kaiming_normal_(layer.weight.detach().clone())
        tensors[f"features.{number}.bias"] = torch.zeros_like(layer.bias)
    save_file(tensors, path)
    return path


def test_a_network_of_the_users_own_refines(tmp_path):
    from gesso.patch.perceptual import read_vgg, refined

    content, style = blobs(48, 52), stripes(50, 50)
    steps = list(refined(content, content, [style], read_vgg(vgg(tmp_path / "w.safetensors")), steps=30))
    assert [step.done for step in steps] == pytest.approx([1 / 3, 2 / 3, 1])
    assert steps[-1].energy < steps[0].energy
    assert steps[-1].picture.shape == content.shape
    assert 0.01 < np.abs(steps[-1].picture - content).mean() < 0.5


def test_what_is_no_network_is_said(tmp_path):
    import torch
    from safetensors.torch import save_file

    from gesso.patch.perceptual import read_vgg

    (tmp_path / "a.pth").write_bytes(b"no weights")
    save_file({"features.0.weight": torch.zeros(3)}, tmp_path / "b.safetensors")
    for file, said in (
        ("none.safetensors", "There is no file"),
        ("a.pth", "is no safetensors file"),
        ("b.safetensors", "holds no weights of VGG-19"),
    ):
        with pytest.raises(GessoError, match=said):
            read_vgg(tmp_path / file)
