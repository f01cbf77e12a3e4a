"""Films: ways through latents, equal change in equal time, and files that play."""

import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso.contract.family import Facts
from gesso.errors import GessoError
from gesso.explore import Route, Space, frames_of
from gesso.explore.route import evenly
from gesso.families.gan import GAN
from gesso.families.stylegan import StyleGAN
from gesso.marks.film import FILMS, encode_film

SIDE = 16


class Waves(GAN):
    """Grey pictures whose brightness is a steep function of one latent."""

    def sample(self, z, condition, knobs):
        yield torch.tanh(3 * z[:, :1, None, None]).expand(-1, self.facts.channels, SIDE, SIDE)


def made(family=Waves, **more):
    torch.manual_seed(0)
    config = family.Config(width=8, critic_width=8, latent=8, **more)
    return Space(family(config, Facts(channels=3, height=SIDE, width=SIDE)))


def drawn(space, path, count, **how):
    steps, told = frames_of(space, path, count, **how), []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            assert told[-1][0] == told[-1][1]
            return end.value


@pytest.mark.parametrize("curve", ["smooth", "straight"])
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("family", [Waves, StyleGAN])
def test_ways_pass_their_keys(family, loop, curve):
    """At their times; a loop ends where it begins, and latents keep their length."""
    space = made(family)
    keys = space.points([3, 4, 5])
    path = Route(space, keys, loop, curve)
    parts = 3 if loop else 2
    at = path.at(torch.arange(parts + 1) / parts)
    torch.testing.assert_close(at.codes[:3], keys.codes, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(at.z[:3], keys.z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(at.codes[-1], keys.codes[0 if loop else 2], atol=1e-5, rtol=1e-5)
    if family is Waves:
        between = path.at(torch.tensor([0.4 / parts])).codes.norm()
        long = keys.codes.flatten(1).norm(dim=1)
        assert float(between) == pytest.approx(float(0.6 * long[0] + 0.4 * long[1]), rel=1e-4)


def test_a_curve_has_no_jerk_at_a_key():
    """Its speed before a key is that after it; of a straight way it is not."""
    space = made(StyleGAN)
    for curve, smooth in (("smooth", True), ("straight", False)):
        path = Route(space, space.points([3, 4, 5]), True, curve)
        step = 1e-3
        before, at, after = path.at(torch.tensor([1 / 3 - step, 1 / 3, 1 / 3 + step])).codes
        turn = float(((at - before) - (after - at)).norm() / (at - before).norm())
        assert (turn < 0.05) == smooth


def test_a_straight_way_between_latents_is_a_great_circle():
    """Half way between two that stand upright on each other lies their sum, of the same length."""
    space = made()
    z = torch.zeros(2, 8)
    z[0, 0] = z[1, 1] = 2.0
    middle = Route(space, space.of(z), False, "straight").at(torch.tensor([0.5])).codes[0, 0]
    torch.testing.assert_close(middle[:2], torch.full((2,), math.sqrt(2)))


def test_times_are_moved_to_where_as_much_happens():
    """All change lies in the first half: so do nearly all times."""
    times = torch.arange(4) / 4
    torch.testing.assert_close(evenly(times, torch.tensor([1.0, 1, 0, 0])), torch.tensor([0, 0.125, 0.25, 0.375]))
    torch.testing.assert_close(evenly(times, torch.ones(4)), times)
    assert torch.isfinite(evenly(times, torch.zeros(4))).all()


@pytest.mark.parametrize("loop", [False, True])
def test_equal_times_show_equal_changes(loop):
    """The spread of changes is less than half of what it is without; ends stay where they are."""
    space = made()
    path = Route(space, space.points([3, 4]), loop, "straight")

    def spread(images):
        change = images.diff(dim=0).square().mean((1, 2, 3)).sqrt()
        return float(change.std() / change.mean())

    plain, even = (drawn(space, path, 60, even=even) for even in (False, True))
    assert spread(even) < 0.5 * spread(plain)
    torch.testing.assert_close(even[0], plain[0])
    if not loop:
        torch.testing.assert_close(even[-1], plain[-1])


def test_a_loop_closes():
    """From the last picture to the first it is no further than between any two."""
    space = made(StyleGAN)
    images = drawn(space, Route(space, space.points([3, 4, 5]), True), 48)
    change = (images - images.roll(-1, 0)).square().mean((1, 2, 3)).sqrt()
    assert float(change[-1]) < 1.3 * float(change.mean())


def test_one_key_is_no_way():
    space = made()
    with pytest.raises(GessoError, match="goes nowhere"):
        Route(space, space.points([3]))


def frames(channels, count=9):
    """A square that moves."""
    out = np.full((count, SIDE, SIDE + 1, channels), 40, np.uint8)
    for number, frame in enumerate(out):
        frame[4:8, number : number + 4] = 120
        frame[..., 3:] = 255
    return [*out]


@pytest.mark.parametrize("suffix", FILMS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_films_play(suffix, channels):
    """All frames, in the time that they take, for ever, with their mark; the same bytes again."""
    data = encode_film(frames(channels), suffix, 12, scale=2)
    assert data == encode_film(frames(channels), suffix, 12, scale=2)
    if suffix != "gif":  # which cuts it into pieces
        assert b"rainedAlgorithmicMedia" in data
    if suffix in ("mp4", "webm"):
        av = pytest.importorskip("av")
        with av.open(io.BytesIO(data)) as film:
            assert film.duration / 1e6 == pytest.approx(9 / 12, abs=0.05)
            seen = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert len(seen) == 9
        assert seen[0].shape[:2] == (2 * SIDE, 2 * SIDE + 2)
        return
    film, took = Image.open(io.BytesIO(data)), 0.0
    assert film.info["loop"] == 0
    assert suffix != "gif" or b"rainedAlgorithmicMedia" in film.info["comment"]
    assert film.n_frames == 9
    assert film.size == (2 * SIDE + 2, 2 * SIDE)
    for number in range(9):
        film.seek(number)
        film.load()
        took += film.info["duration"]
        if suffix != "gif":
            image = np.asarray(film.convert("RGB"))
            assert (np.argwhere(image[10, :, 0] > 60)[0, 0]) == 2 * number
    assert took == pytest.approx(750, abs=10)


def test_other_films_are_not_written():
    with pytest.raises(GessoError, match="cannot be written"):
        encode_film(frames(3), "mov", 12)


def test_films_without_pyav_say_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(GessoError, match="PyAV") as told:
        encode_film(frames(3), "mp4", 12)
    assert "gesso[video]" in f"{told.value}"


def animated(few, **options):
    return gesso.run("animate", **({"run": "few", "seconds": 0.5, "fps": 10} | options), home=few)


def test_a_film_of_a_run(few, tmp_path):
    result = animated(few, seeds="1,5,1", loop=True, out=tmp_path / "walk.webp", sheet=True, scale=2)
    film, sheet, atlas = result.paths
    assert result.facts["seeds"] == [1, 5]
    with Image.open(film) as opened:
        assert opened.n_frames <= 5
        assert opened.size == (32, 32)
    told = json.loads(atlas.read_text())
    assert len(told["frames"]) == 5
    assert told["meta"]["image"] == sheet.name
    assert b"<gesso:recipe>" in film.read_bytes()
    again = animated(few, seeds="1,5,1", loop=True, out=tmp_path / "again.webp", scale=2)
    assert again.paths[0].read_bytes() == film.read_bytes()
    assert b"<gesso:recipe>" not in animated(few, recipe=False, out=tmp_path / "b.webp").paths[0].read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seeds": "1"}, "goes nowhere"),
        ({"seeds": "1,x"}, "names no seeds"),
        ({"seeds": "1,-2"}, "names no seeds"),
        ({"seconds": 0.01}, "a film has 2"),
        ({"seconds": 3600, "fps": 120}, "a film has 2"),
        ({"out": "walk.mov"}, "cannot be written"),
        ({"out": "."}, "is a folder"),
        ({"slide": ("larger=1",)}, "no sliders yet"),
        ({"label": "tree"}, "knows no labels"),
        ({"text": "a rose"}, "does not draw from text"),
    ],
)
def test_what_makes_no_film_is_said(few, options, said):
    with pytest.raises(GessoError) as told:
        animated(few, **options)
    assert said in f"{told.value}"
