"""Films: ways through latents, equal change in equal time, and files that play."""

import io
import json
import math
import shutil
import wave

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso.contract.family import Facts
from gesso.contract.task import Message
from gesso.errors import GessoError
from gesso.explore import ATTRIBUTES, Route, Slider, Space, frames_of, keep
from gesso.explore.timing import Change, Course, Pace, frames_at, keys_on_beats, timed
from gesso.families.gan import GAN
from gesso.families.stylegan import StyleGAN
from gesso.families.vae import VAE
from gesso.marks.credentials import same as same_file
from gesso.marks.film import FILMS, encode_film
from gesso.marks.recipe import read_recipe
from gesso.options import Options

SIDE = 16


class Waves(GAN):
    """Grey pictures whose brightness is a steep function of one latent."""

    def sample(self, z, condition, knobs):
        yield torch.tanh(3 * z[:, :1, None, None]).expand(-1, self.facts.channels, SIDE, SIDE)


def made(family=Waves, **more):
    torch.manual_seed(0)
    narrow = {} if family is VAE else {"critic_width": 8}
    config = family.Config(width=8, latent=8, **narrow, **more)
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
    times = torch.arange(5) / 4

    def moved(*change):
        return Pace().times(1, 4, Change(times, torch.tensor(change)))

    torch.testing.assert_close(moved(1.0, 1, 0, 0)[:4], torch.tensor([0, 0.125, 0.25, 0.375]))
    for change in ((1.0, 1, 1, 1), (0.0, 0, 0, 0)):
        torch.testing.assert_close(moved(*change), times)


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


def steps(images, loop=False):
    """How unlike each picture is to the next."""
    change = (images - images.roll(-1, 0)).square().mean((1, 2, 3)).sqrt()
    return change if loop else change[:-1]


@pytest.mark.parametrize("loop", [False, True])
def test_keys_have_their_frames(loop):
    """Each is passed at its own; between them the pace is even; what is left at the end stands, or leads back."""
    space = made(StyleGAN)
    keys = space.points([3, 4, 5])
    images = drawn(space, Route(space, keys, loop), 48, pace=Pace(keys=(0, 8, 30)))
    torch.testing.assert_close(images[[0, 8, 30]], space.pictures(keys), atol=1e-4, rtol=0)
    change = steps(images, loop)
    for begin, end in ((0, 8), (8, 30), (30, 48))[: 2 + loop]:
        part = change[begin:end]
        assert float(part.std() / part.mean()) < 0.1
    assert float(change[:8].mean()) > 1.5 * float(change[8:30].mean())
    assert loop or not change[30:].any()


def test_what_moves_after_the_last_key_does_not_hurry_the_way():
    """A slider that begins to move there changes nothing before."""
    space = made(StyleGAN)
    path, pace = Route(space, space.points([3, 4])), Pace(keys=(0, 10))
    moves = (torch.arange(20.0) - 10).clamp(min=0)[:, None, None] * 0.2
    still, moving = drawn(space, path, 20, pace=pace), drawn(space, path, 20, pace=pace, moves=moves)
    torch.testing.assert_close(moving[:11], still[:11], atol=1e-5, rtol=0)
    assert float(steps(moving)[10:].min()) > 0


def test_ease_is_slow_at_keys():
    """A share of 3 t² - 2 t³ of a way after a share t of its time, from key to key."""
    times = Pace(keys=(0, 10, 20), ease="in-out").times(2, 20)
    t = torch.arange(11) / 10
    torch.testing.assert_close(times[:11], (3 * t**2 - 2 * t**3) / 2)
    torch.testing.assert_close(times[10:], 0.5 + (3 * t**2 - 2 * t**3) / 2)
    change = Change(torch.arange(21) / 20, torch.tensor([3.0] * 10 + [1.0] * 10))
    times = Pace(ease="in-out").times(2, 20, change)  # keys without frames: parts take as long as much changes in them
    assert float(times[15]) == pytest.approx(0.5)
    with pytest.raises(GessoError, match="cannot pass"):
        Pace(ease="in-out").times(4, 3)


@pytest.mark.parametrize("loop", [False, True])
def test_ease_lies_on_an_even_pace(loop):
    """Pictures change as the derivative of that share, 6 t (1 - t)."""
    space = made(StyleGAN)
    images = drawn(space, Route(space, space.points([3, 4]), loop), 41, pace=Pace((0, 20), "in-out"))
    t = (torch.arange(20) + 0.5) / 20
    change = steps(images, loop)[:20]
    torch.testing.assert_close(change / change.sum(), 6 * t * (1 - t) / 20, atol=0.01, rtol=0)
    assert loop == bool(steps(images, loop)[20:].any())


def test_the_louder_the_faster():
    """Twice as much of the way for twice the pace, in each part; never still."""
    heard = np.r_[np.zeros(10), np.ones(10)]
    times = Pace(heard=heard).times(1, 20).diff()
    torch.testing.assert_close(times[15] / times[5], torch.tensor(1 / 0.15), rtol=1e-3, atol=0)
    assert float(times.min()) > 0
    keyed = Pace(keys=(0, 5, 20), heard=heard).times(2, 20)
    torch.testing.assert_close(keyed[[5, 20]], torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(keyed[:6], torch.arange(6) / 10)


@pytest.mark.parametrize("family", [GAN, StyleGAN, VAE])
def test_truncation_changes(family):
    """Each picture is drawn with its own; one that stays is the knob."""
    space = made(family)
    half = Space(space.family, space.knobs.model_copy(update={"truncation": 0.5}))

    def film(space, **how):
        return drawn(space, Route(space, space.points([3, 4])), 6, even=False, **how)

    torch.testing.assert_close(film(space, truncation=torch.full((6,), 0.5)), film(half), atol=1e-5, rtol=0)
    moving = film(space, truncation=torch.linspace(1, 0.5, 6))
    torch.testing.assert_close(moving[0], film(space)[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(moving[-1], film(half)[-1], atol=1e-5, rtol=0)
    assert float((moving[3] - film(space)[3]).abs().max()) > 1e-4


def test_truncation_goes_with_labels_and_an_even_pace():
    torch.manual_seed(0)
    config = StyleGAN.Config(width=8, critic_width=8, latent=8)
    space = Space(StyleGAN(config, Facts(channels=3, height=SIDE, width=SIDE, labels=("a", "b"))))
    path = Route(space, space.points([3, 4], label=1), loop=True)
    change = steps(drawn(space, path, 24, truncation=Course((1.0, 0.6)).over(24, 12.0, True, "linear")), True)
    assert float(change.std() / change.mean()) < 0.2


def test_a_family_without_truncation_says_so():
    class Plain(GAN):
        Knobs = Options

    space = made(Plain)
    with pytest.raises(GessoError, match="has no truncation"):
        drawn(space, Route(space, space.points([3, 4])), 4, truncation=torch.ones(4))


def test_strengths_have_their_times():
    def over(words, count=11, loop=False, ease="linear", heard=None):
        return Course.of(words, "--slide").over(count, 10.0, loop, ease, heard).tolist()

    assert over("2", 3) == [2, 2, 2]
    assert over("-1,1", 5) == [-1, -0.5, 0, 0.5, 1]
    assert over("-1,1", 4, loop=True) == [-1, 0, 1, 0]
    assert over("0@0,1@0.2,-1@0.4", 8) == pytest.approx([0, 0.5, 1, 0, -1, -1, -1, -1])
    assert over("0@0,1@0.2", 4, loop=True) == pytest.approx([0, 0.5, 1, 0.5])
    assert over("0,1", ease="in-out") == pytest.approx([3 * t**2 - 2 * t**3 for t in np.arange(11) / 10])
    assert over("-1..2", 3, heard=np.array([0, 0.5, 1])) == [-1, 0.5, 2]
    with pytest.raises(GessoError, match="follows a sound"):
        over("-1..2")


def test_keys_fall_on_beats():
    """On every k-th, the largest that leaves one for each; the last key, or the first again, comes at the end."""
    beats = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert keys_on_beats(beats, 3, 10.0, 40, False) == [0, 20, 39]
    assert keys_on_beats(beats, 4, 10.0, 40, True) == [0, 10, 20, 30]
    assert keys_on_beats(beats, 8, 10.0, 40, True) == [0, 5, 10, 15, 20, 25, 30, 35]
    with pytest.raises(GessoError, match="7 beats were heard, and 8 seeds"):
        keys_on_beats(beats, 9, 10.0, 40, True)
    with pytest.raises(GessoError, match="between the first and the last"):
        keys_on_beats(beats, 2, 10.0, 40, False)


def test_times_have_their_frames():
    assert timed(" 1@0, 5@2.5", "--seeds") == (["1", "5"], [0, 2.5])
    assert timed("1,5", "--seeds") == (["1", "5"], None)
    assert frames_at([0.0, 1.02, 4.0], 10.0, 40, False) == [0, 10, 39]
    assert frames_at([0.0, 3.9], 10.0, 40, True) == [0, 39]
    with pytest.raises(GessoError, match="lead back"):
        frames_at([0.0, 4.0], 10.0, 40, True)
    with pytest.raises(GessoError, match="fall on one frame"):
        frames_at([0.0, 1.0, 1.01], 10.0, 40, False)


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
    assert same_file(data, encode_film(frames(channels), suffix, 12, scale=2))
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
    assert same_file(again.paths[0].read_bytes(), film.read_bytes())
    assert b"<gesso:recipe>" not in animated(few, recipe=False, out=tmp_path / "b.webp").paths[0].read_bytes()


@pytest.fixture(scope="module")
def steered(few, tmp_path_factory):
    """That home with a slider, of next to nothing, and a sound of four beats, the later ones louder."""
    home = tmp_path_factory.mktemp("steered") / "home"
    shutil.copytree(few, home)
    model = gesso.load("few", home)
    torch.manual_seed(0)
    size = next(one for one in ATTRIBUTES if one.more == "larger")
    keep(home / "runs" / model.run, [Slider(size, torch.randn(1, 8), 1.0, 0.9, -2.0, 2.0, {})], model.sha256, {})
    sound = np.zeros(8000)
    for number, time in enumerate((0.2, 0.4, 0.6, 0.8)):
        t = np.arange(800) / 8000
        sound[round(time * 8000) :][:800] = 0.2 * (number + 1) * np.sin(2 * np.pi * 440 * t) * np.exp(-20 * t)
    with wave.open(str(home / "song.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return home


def test_a_film_with_times(steered, tmp_path):
    """Its last time is its end; its recipe tells all; made again by it, it is the same."""
    options = {
        "seeds": "1@0,5@0.3,9@1", "ease": "in-out", "truncation": "1@0,0.5@0.8", "slide": ("smaller=-1@0,2@0.5",),
    }  # fmt: skip
    result = animated(steered, seconds=None, out=tmp_path / "a.webp", **options)
    assert (result.facts["frames"], result.facts["keys"]) == (10, [0, 0.3, 0.9])
    how = read_recipe(result.paths[0])
    told = how.options
    assert (told["seeds"], told["times"], told["seconds"]) == ([1, 5, 9], [0, 0.3, 1], 1)
    assert (told["ease"], told["truncation"], told["slide"]) == ("in-out", "1@0,0.5@0.8", ["smaller=-1@0,2@0.5"])
    seeds = ",".join(f"{seed}@{time}" for seed, time in zip(told["seeds"], told["times"], strict=True))
    same = {name: told[name] for name in ("seconds", "fps", "loop", "ease", "truncation", "slide", "scale")}
    again = animated(steered, out=tmp_path / "b.webp", seeds=seeds, **same)
    assert same_file(again.paths[0].read_bytes(), result.paths[0].read_bytes())


def test_a_loop_that_names_its_first_again_ends_there(few, tmp_path):
    result = animated(few, seeds="1@0,5@0.3,1@0.8", seconds=None, loop=True, out=tmp_path / "a.webp")
    assert (result.facts["seeds"], result.facts["frames"], result.facts["keys"]) == ([1, 5], 8, [0, 0.3])


def test_a_film_follows_a_sound(steered, tmp_path):
    """As long as it is, with it inside, seeds on its beats; another kind of film is silent, and says so."""
    av = pytest.importorskip("av")
    options = {
        "audio": steered / "song.wav", "seconds": None, "fps": 30, "seeds": "1,5,9,2", "on_beats": True, "loop": True,
        "slide": ("larger=-1..1",), "truncation": "0.7..1",
    }  # fmt: skip
    told = list[Message]()

    def heard(event):
        told.extend([event] if isinstance(event, Message) else [])

    result = animated(steered, out=tmp_path / "a.mp4", on_event=heard, **options)
    assert not told
    assert result.facts["frames"] == 30
    assert result.facts["keys"] == pytest.approx([0, 0.2, 0.4, 0.6], abs=1 / 30)
    with av.open(result.paths[0]) as film:
        assert film.streams.audio[0].codec_context.name == "aac"
        assert film.duration / 1e6 == pytest.approx(1, abs=0.05)
    silent = animated(steered, out=tmp_path / "a.webp", on_event=heard, **options)
    assert "silent" in told[0].text
    how = read_recipe(silent.paths[0])
    assert how.options["audio"] == "song.wav"
    assert how.options["on_beats"]
    assert len(how.inputs["song.wav"]) == 64


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seeds": "1"}, "goes nowhere"),
        ({"seeds": "1,x"}, "names no seeds"),
        ({"seeds": "1,-2"}, "names no seeds"),
        ({"seconds": 0.01}, "a film has 2"),
        ({"seconds": 3600, "fps": 120}, "a film has 2"),
        ({"out": "walk.mov"}, "cannot be written"),
        ({"slide": ("larger=1",)}, "no sliders yet"),
        ({"label": "tree"}, "knows no labels"),
        ({"text": "a rose"}, "does not draw from text"),
        ({"seeds": "1@0,5"}, "5 has no time"),
        ({"seeds": "1@0,5@x"}, "is no time"),
        ({"seeds": "1@0,5@nan"}, "is no time"),
        ({"seeds": "1@0,5@1e308", "seconds": None}, "is no time"),
        ({"seeds": "1@0,5@9999", "seconds": None}, "a film has 2"),
        ({"seeds": "1@0.1,5@0.3"}, "begins at 0.1 s"),
        ({"seeds": "1@0,5@0.3,9@0.3"}, "comes after"),
        ({"seeds": "1@0,5@0.3,9@0.7"}, "beyond the film, which takes 0.5 s"),
        ({"seeds": "1@0,5@0.01"}, "fall on one frame"),
        ({"seeds": "1@0"}, "goes nowhere"),
        ({"seeds": "1@0,5@2", "loop": True, "seconds": None}, "is not said"),
        ({"ease": "bouncy"}, "does not fit"),
        ({"truncation": "1,3"}, "does not fit"),
        ({"truncation": "1,x"}, "does not say how far"),
        ({"truncation": "1@0,0.5@7"}, "beyond the film"),
        ({"truncation": "1,0.5", "set": ("truncation=0.7",)}, "chosen twice"),
        ({"truncation": "0.5..1"}, "follows a sound"),
        ({"slide": ("larger",)}, "does not say how far"),
        ({"slide": ("larger=1@0,2",)}, "has no time"),
        ({"audio": "nowhere.wav"}, "There is no sound"),
        ({"audio": __file__}, "no sound that can be read"),
        ({"on_beats": True}, "Beats are of a sound"),
    ],
)
def test_what_makes_no_film_is_said(few, options, said):
    with pytest.raises(GessoError) as told:
        animated(few, **options)
    assert said in f"{told.value}"
