"""Live drawing: the warm process draws what the commands draw, outlives what befalls it, and keeps browsers apart."""

import asyncio
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso import tasks
from gesso.errors import GessoError
from gesso.explore import ATTRIBUTES, Space, keep
from gesso.explore.sliders import Slider
from gesso.store import Run
from gesso.studio.live import canvas, maps, sockets, warm
from gesso.studio.live.frames import Answer, framed, read, taken, whole
from gesso.studio.live.process import Drawer
from gesso.studio.live.wishes import Draw, Map, Paint
from tests.conftest import CAPTIONS
from tests.test_families import made_for

LONG = 60  # seconds after which something hangs
NEAR = 2  # of 255
GAN, STYLEGAN, VAE, FLOW, CLEAR, TRANSLATES = range(1, 7)  # runs of the home
PLANTED = [
    ("stylegan", {}, {}), ("vae", {}, {"captions": True}), ("flow", {}, {}), ("progan", {}, {"channels": 4}),
    ("pix2pix", {}, {}),
]  # fmt: skip


def plant(home, name, preset="", **more):
    """A run of a family that has learned nothing, whose pictures yet differ."""
    torch.manual_seed(0)
    config, facts, _ = made_for(name, preset, **more)
    family = tasks.family(name)(config, facts).eval()
    for part, values in family.named_buffers():
        if part.endswith(("running_mean", "running_var", "generator.mean")):
            values.uniform_(0.5, 1.5)
    record = {"config": config.model_dump(mode="json"), "facts": facts.model_dump(mode="json")}
    run = Run.create(home, "few", name, record)
    run.save_state(1, {}, {}, dict(family.state_dict()), {})
    return run


@pytest.fixture(scope="session")
def home(few, tmp_path_factory):
    """That of conftest, with runs of more families, and sliders of a GAN and a StyleGAN."""
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(few, home)
    for name, _, more in PLANTED:
        plant(home, name, **more)
    for number in (GAN, STYLEGAN):
        steer(home, number)
    return home


def steer(home, number, attribute="size"):
    model = tasks.load(str(number), home)
    shape = Space(model.family).points([0]).codes.shape[1:]
    known = {one.name: one for one in ATTRIBUTES}
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(1)) / 4
    slider = Slider(known[attribute], direction, 1.0, 0.9, -3.0, 2.0, {})
    keep(Run.open(home, str(number)).root, [slider], model.sha256, {})


class Loop:
    """An event loop in a thread of its own, as the server's is."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __call__(self, work, timeout=LONG):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="session")
def run():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def drawer(home, run):
    drawer = Drawer(home, most=1000)
    run(drawer.start())
    yield drawer
    run(drawer.stop())


@pytest.fixture
def ask(drawer, run):
    return lambda request, payload=b"": run(drawer.ask(request, payload))


def pixels(answer):
    """The picture of an answer, h w 4, whichever way it came."""
    size = answer.json["height"], answer.json["width"]
    if answer.json["kind"] == "rgba":
        return np.frombuffer(answer.bytes, np.uint8).reshape(*size, 4)
    with Image.open(io.BytesIO(answer.bytes)) as image:
        assert (image.format, image.size[::-1]) == ("WEBP", size)
        return np.asarray(image.convert("RGBA"))


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


def alike(one, other, most=NEAR):
    return bool((np.abs(one.astype(int) - other.astype(int)) <= most).all())


def sampled(home, tmp_path, number, seed=5, **options):
    result = gesso.run(
        "sample", run=str(number), count=1, seed=seed, finish=False, out=tmp_path / "one.png", home=home, **options
    )
    return opened(result.paths[0])


# The process draws what the commands draw


TAME = {"truncation": 0.5}
SAME = [
    (GAN, {}, {}),
    (GAN, {"slides": {"larger": 1.5}}, {"slide": ("larger=1.5",)}),
    (GAN, {"knobs": TAME, "slides": {"smaller": 1}}, {"set": ("truncation=0.5",), "slide": ("smaller=1",)}),
    (STYLEGAN, {}, {}),
    (STYLEGAN, {"label": "large"}, {"label": "large"}),
    (STYLEGAN, {"slides": {"larger": -2.0}}, {"slide": ("larger=-2",)}),
    (STYLEGAN, {"knobs": TAME, "slides": {"larger": 1}}, {"set": ("truncation=0.5",), "slide": ("larger=1",)}),
    (VAE, {"text": CAPTIONS[1]}, {"text": (CAPTIONS[1],)}),
    (VAE, {"knobs": TAME}, {"set": ("truncation=0.5",)}),
    (FLOW, {"knobs": {"steps": 3}}, {"set": ("steps=3",)}),
    (FLOW, {"label": "small", "knobs": {"steps": 2}}, {"label": "small", "set": ("steps=2",)}),
    (CLEAR, {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("number", "wish", "options"), SAME)
def test_a_picture_is_that_of_sample(number, wish, options, home, ask, tmp_path):
    drawn = ask({"do": "draw", "run": number, "seed": 5, **wish})
    assert alike(pixels(drawn), sampled(home, tmp_path, number, **options))
    plain = ask({"do": "draw", "run": number, "seed": 6})
    assert not alike(pixels(drawn), pixels(plain))


@pytest.mark.parametrize(("number", "slides"), [(GAN, {}), (STYLEGAN, {}), (STYLEGAN, {"larger": 1.5}), (VAE, {}),
                                                (FLOW, {})])  # fmt: skip
def test_a_mixture_is_that_of_mix(number, slides, home, ask, tmp_path):
    knobs = {"steps": 2} if number == FLOW else {}
    chosen: dict = {"set": ("steps=2",)} if knobs else {}
    chosen |= {"slide": tuple(f"{name}={strength}" for name, strength in slides.items())}
    made = gesso.run("mix", run=str(number), seeds="3,4", how="blend", weights="2,1", out=tmp_path, home=home, **chosen)
    drawn = ask({"do": "draw", "run": number, "mix": [[3, 2], [4, 1]], "knobs": knobs, "slides": slides})
    assert alike(pixels(drawn), opened(made.paths[1]))
    still = ask({"do": "draw", "run": number, "mix": [[3, 2], [4, 1]], "knobs": knobs})
    assert alike(pixels(drawn), pixels(still)) == (not slides)
    one = ask({"do": "draw", "run": number, "mix": [[8, 0], [3, 1], [4, 0], [9, 0]], "knobs": knobs})
    alone = ask({"do": "draw", "run": number, "seed": 3, "knobs": knobs})
    assert one.bytes == alone.bytes


def test_choices_that_stay_get_an_explorer_and_those_that_are_dragged_do_not(home):
    model = warm.Warm(GAN, home)
    model.begin()
    assert model.idle()  # the family's own
    for step in range(20):
        dragged = model.draw(Draw.of({"seed": 1, "knobs": {"truncation": 0.5 + step / 100}}))
        assert not model.idle()
    moved = Draw.of({"seed": 1, "knobs": {"truncation": 0.69}, "slides": {"larger": 1}})
    for _ in range(warm.STAYED):
        before = model.draw(moved)
    assert model.idle()
    assert not model.idle()
    after = model.draw(moved)
    torch.testing.assert_close(after, before, atol=2 / 255, rtol=0)
    again = model.draw(Draw.of({"seed": 1, "knobs": {"truncation": 0.69}}))
    torch.testing.assert_close(again, dragged, atol=2 / 255, rtol=0)
    assert float((after - again).abs().max()) > 0.02


@pytest.mark.parametrize(("choice", "alone"), [({"truncation": 0.6}, True), ({"noise": False}, False)])
def test_choices_that_change_codes_alone_are_drawn_by_the_explorer_that_there_is(choice, alone, tmp_path):
    other = tmp_path / "home"
    loud = plant(other, "stylegan", "", noise=True)
    tensors, _ = loud.load_model()
    louder = {name: values + 0.3 if name.endswith("strength") else values for name, values in tensors.items()}
    loud.save_state(2, {}, {}, louder, {})
    model = warm.Warm(1, other)
    plain = model.draw(Draw.of({"seed": 3}))
    for _ in range(2 * warm.STAYED):
        drawn = model.draw(Draw.of({"seed": 3, "knobs": choice}))
    assert model.idle()  # the family's own
    assert model.idle() != alone
    space = Space(model.family, model.family.Knobs.of(choice))
    torch.testing.assert_close(drawn, space.pictures(space.points([3]))[0], atol=1e-5, rtol=0)
    assert float((drawn - plain).abs().max()) > 0.01


def test_half_is_half(ask):
    whole_, half = (pixels(ask({"do": "draw", "run": GAN, "seed": 2, "half": half})) for half in (False, True))
    assert half.shape == (8, 8, 4)
    assert alike(half[..., :3], whole_.reshape(8, 2, 8, 2, 4).mean((1, 3))[..., :3].round())


@pytest.mark.parametrize("size", [(256, 256), (257, 64), (64, 300)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_small_pictures_go_as_they_are_and_large_ones_as_webp(size, channels):
    image = np.full((*size, channels), 100, np.uint8)
    image[..., -1] = 200
    answer = warm.encoded(image)
    assert answer.json["kind"] == ("rgba" if max(size) <= 256 else "webp")
    expected = {1: (200, 200, 200, 255), 3: (100, 100, 200, 255), 4: (128, 128, 128, 200)}[channels]
    assert alike(pixels(answer), np.broadcast_to(np.array(expected), (*size, 4)), 5)


def test_a_run_that_learned_on_draws_anew(home, ask, tmp_path):
    other = tmp_path / "home"
    shutil.copytree(home, other)
    models = warm.Models(other)
    first = models.of(GAN)
    before = first.draw(Draw.of({"seed": 1}))
    assert models.of(GAN) is first
    assert [one.attribute.name for one in first.sliders] == ["size"]
    steer(other, GAN, "low")
    assert models.of(GAN) is first
    assert [one.attribute.name for one in first.sliders] == ["low"]
    run = Run.open(other, str(GAN))
    tensors, _ = run.load_model()
    moved = {name: values * 1.5 if values.is_floating_point() else values for name, values in tensors.items()}
    run.save_state(99, {}, {}, moved, {})
    assert models.of(GAN) is not first
    assert not torch.equal(models.of(GAN).draw(Draw.of({"seed": 1})), before)
    assert models.of(GAN).sliders == []
    shutil.rmtree(run.root)
    with pytest.raises(GessoError, match="There is no run '1'"):
        models.of(GAN)


def test_the_models_that_were_used_last_are_kept(home):
    models = warm.Models(home)
    first, second = models.of(GAN), models.of(VAE)
    assert models.of(GAN) is first
    models.of(FLOW)
    assert models.of(GAN) is first
    assert models.of(VAE) is not second


# What is told, and what cannot be done


def test_families_are_told(ask):
    told = {one["name"]: one for one in ask({"do": "families"}).json["families"]}
    assert set(told) == set(tasks.FAMILIES)
    assert told["pix2pix"]["needs"] == ["pair"]
    assert told["stylegan"]["config"]["properties"]["lr"]["description"]
    assert told["stylegan"]["knobs"]["properties"]["truncation"]["default"] == 1.0
    assert "small" in told["gan"]["presets"]
    assert told["stylegan"]["sizes"]["128"] == {"width": 24, "critic_width": 24, "most": 8}


def test_a_run_is_told(ask, home):
    told = ask({"do": "open", "run": STYLEGAN}).json
    assert (told["ready"], told["width"], told["height"], told["labels"]) == (True, 16, 16, ["small", "large"])
    assert told["knobs"]["truncation"] == 1.0
    assert told["sliders"] == [{"name": "larger", "other": "smaller", "low": -3.0, "high": 2.0, "found_as": "size"}]
    about = ask({"do": "knobs", "run": STYLEGAN}).json
    assert about["layers"] == Space(tasks.load(str(STYLEGAN), home).family).points([0]).codes.shape[1]
    assert about["knobs"]["properties"]["truncation"]["description"]
    assert not about["source"]
    assert ask({"do": "knobs", "run": TRANSLATES}).json["source"]


WRONG = [
    ({"do": "draw", "run": TRANSLATES}, "translates pictures"),
    ({"do": "open", "run": TRANSLATES}, "translates pictures"),
    ({"do": "map", "run": TRANSLATES}, "translates pictures"),
    ({"do": "draw", "run": 77}, "There is no run '77'"),
    ({"do": "draw", "run": "../1"}, "A run is named by its number"),
    ({"do": "draw", "run": True}, "A run is named by its number"),
    ({"do": "draw", "run": GAN, "seed": -1}, "seed = -1 does not fit"),
    ({"do": "draw", "run": GAN, "seed": "x"}, "seed = 'x' does not fit"),
    ({"do": "draw", "run": GAN, "sed": 1}, "There is no option 'sed'"),
    ({"do": "draw", "run": GAN, "label": "no such"}, "label"),
    ({"do": "draw", "run": GAN, "text": "a disc"}, "does not draw from text"),
    ({"do": "draw", "run": VAE, "text": "zzzz qqqq"}, "never say 'zzzz'"),
    ({"do": "draw", "run": GAN, "slides": {"lager": 1}}, "There is no slider 'lager'"),
    ({"do": "draw", "run": GAN, "slides": {"larger": 9}}, "9 is beyond"),
    ({"do": "draw", "run": GAN, "knobs": {"truncation": -1}}, "truncation = -1 does not fit"),
    ({"do": "draw", "run": GAN, "mix": []}, "mix"),
    ({"do": "draw", "run": GAN, "mix": [[1, 0], [2, 0]]}, "not all 0"),
    ({"do": "draw", "run": GAN, "mix": [[1, -1], [2, 2]]}, "weights"),
    ({"do": "draw", "run": GAN, "mix": [[1, float("nan")]]}, "mix"),
    ({"do": "draw", "run": GAN, "mix": [[-1, 1]]}, "seeds"),
    ({"do": "map", "run": GAN, "map": {"seeds": [1] * 65}}, "seeds"),
    ({"do": "map", "run": GAN, "map": {"around": 1, "change": 2}}, "change"),
    ({"do": "paint", "data": "none such", "size": 32}, "no PNG"),
    ({"do": "paint", "data": 7}, "A data set is named"),
    ({"do": "dance"}, "knows no 'dance'"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "said"), WRONG)
def test_what_cannot_be_done_is_said(request_, said, ask):
    with pytest.raises(GessoError, match=said):
        ask(request_)
    assert ask({"do": "draw", "run": GAN, "seed": 1}).json["width"] == 16


@pytest.mark.parametrize("name", ["nowhere", "../few", "/etc", "", "."])
def test_a_data_set_that_is_not_there_is_said(name, ask):
    with pytest.raises(GessoError):
        ask({"do": "paint", "data": name}, painting())
    with pytest.raises(GessoError):
        ask({"do": "canvas", "data": name})


# Maps


def test_a_map_shows_given_seeds_in_their_order(ask):
    seeds = [*range(100, 164)]
    answer = ask({"do": "map", "run": GAN, "map": {"seeds": seeds}})
    assert answer.json["seeds"] == seeds
    assert (answer.json["cell"], answer.json["columns"]) == ([16, 16], 8)
    shown = pixels(answer)
    assert shown.shape == (128, 128, 4)
    for cell in (0, 9, 63):
        row, column = divmod(cell, 8)
        own = pixels(ask({"do": "draw", "run": GAN, "seed": seeds[cell]}))
        there = shown[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert np.abs(there.astype(int) - own).mean() < 12  # a lossy WebP


def test_a_map_of_new_seeds_lays_like_beside_like(home):
    model = warm.Warm(GAN, home)
    *_, answer = model.map(Map.of({"seed": 3}))
    assert answer is not None
    assert len({*answer.json["seeds"]}) == 64
    *_, again = model.map(Map.of({"seed": 3}))
    assert again == answer
    *_, other = model.map(Map.of({"seed": 4}))
    assert other is not None
    assert other.json["seeds"] != answer.json["seeds"]


def test_a_map_around_a_seed_can_be_drawn_again_and_small_changes_are_small(home):
    model, apart = warm.Warm(GAN, home), dict[float, float]()
    own = model.draw(Draw.of({"seed": 5}))
    for change in (0.1, 0.6):
        *_, answer = model.map(Map.of({"map": {"around": 5, "change": change}}))
        assert answer is not None
        drawn = [model.draw(Draw.of({"mix": mix})) for mix in answer.json["mix"]]
        apart[change] = float(torch.stack([(one - own).abs().mean() for one in drawn]).mean())
        assert [mix[1][0] for mix in answer.json["mix"]] == answer.json["seeds"]
    assert 0 < apart[0.1] < apart[0.6] / 2
    *_, same = model.map(Map.of({"map": {"around": 5, "change": 0}}))
    assert same is not None
    torch.testing.assert_close(model.draw(Draw.of({"mix": same.json["mix"][7]})), own)


def test_arranging_brings_like_together():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8]
    plane = np.stack([y, x], 2).reshape(64, 2).astype(float)
    mixed = rng.permutation(64)
    order = maps.arranged(plane[mixed])
    assert sorted(order) == [*range(64)]

    def apart(points):
        grid = points.reshape(8, 8, 2)
        return (
            np.linalg.norm(np.diff(grid, axis=0), axis=2).mean() + np.linalg.norm(np.diff(grid, axis=1), axis=2).mean()
        )

    assert apart(plane[mixed][order]) < 1.3 * apart(plane)
    assert apart(plane[mixed]) > 3 * apart(plane)
    for count in (1, 2, 3, 10):
        assert sorted(maps.arranged(rng.random((count, 4)))) == [*range(count)]


def test_large_cells_are_made_smaller():
    assert maps.reduced(torch.zeros(2, 3, 256, 128)).shape == (2, 3, 128, 64)
    assert maps.reduced(torch.zeros(2, 3, 64, 128)).shape == (2, 3, 64, 128)
    assert maps.laid(np.ones((10, 4, 5, 3), np.uint8)).shape == (8, 40, 3)


# Paintings


def painting(side=24, wide=24, mode="RGB"):
    image = np.full((side, wide, 3), (90, 140, 60), np.uint8)
    image[4:14, 6:16] = (200, 60, 80)
    file = io.BytesIO()
    Image.fromarray(image).convert(mode).save(file, "PNG")
    return file.getvalue()


async def frames_of(drawer, request, payload=b""):
    return [answer async for answer in drawer.stream(request, payload)]


def test_a_painting_gets_better_until_it_is_that_of_finish(home, drawer, run, tmp_path):
    request = {"do": "paint", "data": "few", "size": 64, "faithful": 0.7, "seed": 2}
    frames = [one for one in run(frames_of(drawer, request, painting())) if one.bytes]
    done = [one.json["done"] for one in frames]
    assert done == sorted(done)
    assert len(done) > 2
    assert done[-1] == 1
    assert [one.json["width"] for one in frames] == sorted(one.json["width"] for one in frames)
    assert pixels(frames[-1]).shape == (64, 64, 4)
    (tmp_path / "p.png").write_bytes(painting())
    made = gesso.run(
        "finish", draft=(tmp_path / "p.png",), data="few", size="64", faithful=0.7, seed=2, pictures=canvas.PICTURES,
        out=tmp_path / "f.png", home=home,
    )  # fmt: skip
    expected = Image.open(io.BytesIO(warm.as_webp(opened(made.paths[0])[..., :3]))).convert("RGBA")
    assert np.array_equal(pixels(frames[-1]), np.asarray(expected))


def test_large_paintings_are_finished_at_a_smaller_size_first(home, monkeypatch):
    monkeypatch.setattr(canvas, "SMALL", 32)
    made = canvas.Canvas(home)
    frames = [one for one in made.paint("few", Paint.of({"size": 48}), painting(32, 48)) if one and one.bytes]
    sides = [(one.json["height"], one.json["width"]) for one in frames]
    assert (32, 48) in sides
    assert sides[-1] == (48, 72)
    assert sides == sorted(sides)
    done = [one.json["done"] for one in frames]
    assert done == sorted(done)
    assert done[sides.index((32, 48))] == canvas.FIRST
    assert done[-1] == 1


def test_the_index_is_made_once_and_its_making_is_told(home, tmp_path):
    other = tmp_path / "home"
    shutil.copytree(home, other)
    shutil.rmtree(other / "datasets" / "few" / "index", ignore_errors=True)
    made = canvas.Canvas(other)
    first = made.paint("few", Paint.of({"size": 32}), painting())
    making = next(one for one in first if one is not None)
    assert making.json["done"] == 0
    assert 0 < making.json["making"] <= 1
    first.close()  # a newer painting takes its turn, and the making goes on where it was
    second = [one.json for one in made.paint("few", Paint.of({"size": 32}), painting()) if one is not None]
    shares = [one["making"] for one in second if "making" in one]
    assert all(share > making.json["making"] for share in shares)
    assert second[-1]["done"] == 1
    third = [one.json for one in made.paint("few", Paint.of({"size": 32}), painting()) if one is not None]
    assert not any("making" in one for one in third)
    assert [one for one in made.open("few") if one][-1].json == {"width": 16, "height": 16, "channels": 3}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no PNG"),
        (b"GIF89a" + bytes(40), "no PNG"),
        (painting()[:60], "cannot be read"),
        (canvas.PNG + bytes(30), "0×0"),
        (canvas.PNG + bytes(8) + (100_000).to_bytes(4, "big") * 2 + bytes(9), "100000×100000"),
        (painting(8, 80), "80×8"),
        (canvas.PNG + bytes(canvas.MOST_BYTES), "more than 4 MB"),
    ],
)
def test_what_is_no_painting_is_said(data, said, ask):
    with pytest.raises(GessoError, match=said):
        ask({"do": "paint", "data": "few", "size": 32}, data)


# The process


def test_frames_come_back_as_they_were():
    values, data = {"id": 3, "text": "ärmel 🖌"}, bytes(range(256))
    assert taken(framed(values, data)) == (values, data)
    pipe = io.BytesIO(whole(values, data) + whole({}, b""))
    assert read(pipe) == (values, data)
    assert read(pipe) == ({}, b"")
    with pytest.raises(EOFError):
        read(pipe)
    for torn in (b"", b"\x05\0\0\0{}", whole(values, data)[:-1], b"\xff\xff\xff\xff"):
        with pytest.raises(EOFError):
            read(io.BytesIO(torn))


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_bytes_go_there_and_back(size, ask):
    data = np.random.default_rng(0).bytes(size)
    assert ask({"do": "ping"}, data).bytes == data


def test_many_ask_at_once_and_each_gets_its_own(drawer, run):
    async def all_of_them():
        return await asyncio.gather(
            *(drawer.ask({"do": "draw", "run": (GAN, STYLEGAN)[seed % 2], "seed": seed}) for seed in range(20)),
            drawer.ask({"do": "map", "run": GAN, "map": {"seeds": [1, 2]}}),
        )

    *drawn, mapped = run(all_of_them())
    assert mapped.json["seeds"] == [1, 2]
    for seed in (0, 7, 19):
        own = run(drawer.ask({"do": "draw", "run": (GAN, STYLEGAN)[seed % 2], "seed": seed}))
        assert alike(pixels(drawn[seed]), pixels(own))
    assert len({one.bytes for one in drawn}) == 20


def test_what_is_asked_beside_a_painting_does_not_wait_for_it(drawer, run):
    async def both():
        painted = drawer.stream({"do": "paint", "data": "few", "size": 64}, painting())
        first = await anext(painted)
        drawn = await drawer.ask({"do": "draw", "run": GAN, "seed": 1})
        rest = [one async for one in painted]
        return first, drawn, rest

    first, drawn, rest = run(both())
    assert first.json["done"] < 1
    assert drawn.json["width"] == 16
    assert rest[-1].json["done"] == 1


def test_a_painting_that_nobody_wants_ends(drawer, run):
    async def leave():
        painted = drawer.stream({"do": "paint", "data": "few", "size": 1024}, painting())
        await anext(painted)
        await painted.aclose()
        return await drawer.ask({"do": "ping"})

    assert run(leave()).json["pid"] == drawer.pid
    assert not drawer._waiting


def test_what_is_cancelled_is_not_drawn(home):
    said = []
    from gesso.studio.live.child import Painter

    painter = Painter(home, lambda values, data: said.append(values))
    ask = {"do": "draw", "run": GAN}
    painter.serve([Answer({"ticket": 1, **ask}), Answer({"ticket": 2, **ask}), Answer({"cancel": 1})])
    assert [one["ticket"] for one in said] == [2]
    painter.serve([Answer({"ticket": 3, "do": "map", "run": GAN})])
    painter.step()
    assert painter.busy
    painter.serve([Answer({"cancel": 3})])
    assert not painter.busy
    assert [one["ticket"] for one in said] == [2]


def test_the_next_request_works_after_the_process_was_killed(drawer, run):
    async def killed():
        painted = drawer.stream({"do": "paint", "data": "few", "size": 256}, painting(256, 256))
        await anext(painted)
        old = drawer.pid
        os.kill(old, signal.SIGKILL)
        with pytest.raises(GessoError, match=r"stopped \(killed by SIGKILL.*\); it is being started again"):
            async for _ in painted:
                pass
        answer = await drawer.ask({"do": "draw", "run": GAN, "seed": 4})
        return old, answer

    old, answer = run(killed())
    assert drawer.pid not in (None, old)
    assert answer.json["width"] == 16


def test_a_process_that_keeps_dying_is_let_rest(home, run):
    async def dying():
        drawer = Drawer(home, most=1)
        await drawer.start()
        with suppress(GessoError):
            await drawer.ask({"do": "ping"})
            os.kill(drawer.pid, signal.SIGKILL)
            await drawer.ask({"do": "ping"})
        with pytest.raises(GessoError, match="within a minute"):
            await drawer.ask({"do": "ping"})
        await drawer.stop()
        with pytest.raises(GessoError, match="not running"):
            await drawer.ask({"do": "ping"})

    run(dying())


def test_stopping_tells_those_who_wait_and_leaves_no_process(home, run):
    async def stopping():
        drawer = Drawer(home)
        await drawer.start()
        pid = (await drawer.ask({"do": "ping"})).json["pid"]
        painted = drawer.stream({"do": "paint", "data": "few", "size": 1024}, painting())
        await anext(painted)
        await drawer.stop()
        with pytest.raises(GessoError, match="stopped"):
            async for _ in painted:
                pass
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(run(stopping()), 0)


def test_the_process_ends_with_its_input_and_keeps_its_output_clean(home):
    child = subprocess.Popen(
        [sys.executable, "-m", "gesso.studio.live.child", str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(whole({"ticket": 1, "do": "paint", "data": "few", "size": 1024}, painting()))
        child.stdin.flush()
        assert read(child.stdout).json["ticket"] == 1
        child.stdin.close()
        assert child.wait(LONG) == 0


def test_the_server_side_imports_nothing_heavy():
    code = (
        "import sys, gesso.studio.live.process, gesso.studio.live.sockets; print({'torch', 'numpy'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# Sockets


class Page:
    """The other end of a WebSocket."""

    def __init__(self):
        self.up, self.down = asyncio.Queue(), asyncio.Queue()

    async def receive(self):
        return await self.up.get()

    async def send_text(self, data):
        self.down.put_nowait(json.loads(data))

    async def send_bytes(self, data):
        self.down.put_nowait(taken(data))

    def say(self, values):
        self.up.put_nowait(
            {"type": "websocket.receive", "text": values if isinstance(values, str) else json.dumps(values)}
        )

    def give(self, data):
        self.up.put_nowait({"type": "websocket.receive", "bytes": data})

    async def next(self):
        return await asyncio.wait_for(self.down.get(), LONG)

    def leave(self):
        self.up.put_nowait({"type": "websocket.disconnect", "code": 1001})


class Gate:
    """A drawer that waits, before it draws a seed, until it may; and tells what it was asked."""

    def __init__(self, drawer, seed):
        self.drawer, self.seed = drawer, seed
        self.open, self.asked = asyncio.Event(), asyncio.Queue()

    async def ask(self, request, payload=b""):
        self.asked.put_nowait(request)
        if request.get("seed") == self.seed:
            await self.open.wait()
        return await self.drawer.ask(request, payload)

    def stream(self, request, payload=b""):
        return self.drawer.stream(request, payload)


def talk(run, handler, conversation):
    """Have a conversation with a handler, which must end with the page."""

    async def whole_():
        page = Page()
        serving = asyncio.create_task(handler(page))
        try:
            return await conversation(page)
        finally:
            page.leave()
            await asyncio.wait_for(serving, LONG)

    return run(whole_())


def test_a_page_explores(run, drawer):
    async def conversation(page):
        ready = await page.next()
        page.say({"id": 7, "seed": 3, "label": None, "text": None, "slides": {"larger": 1}, "knobs": {}, "mix": None})
        drawn = await page.next()
        page.say({"id": 8, "map": {"seeds": None, "around": 3, "change": 0.2}})
        return ready, drawn, await page.next()

    ready, drawn, mapped = talk(run, lambda page: sockets.explore(page, drawer, GAN), conversation)
    assert ready["ready"]
    assert {"width", "height", "sliders", "knobs", "labels", "exported"} <= set(ready)
    assert (drawn.json["id"], drawn.json["kind"], len(drawn.bytes)) == (7, "rgba", 16 * 16 * 4)
    assert drawn.json["ms"] > 0
    assert (mapped.json["id"], mapped.json["kind"], len(mapped.json["seeds"])) == (8, "webp", 64)


def test_the_latest_request_wins(run, drawer):
    async def conversation(page):
        await page.next()
        await gate.asked.get()
        page.say({"id": 1, "seed": 1000})
        assert (await gate.asked.get())["seed"] == 1000  # under way, and held
        for number in range(2, 30):
            page.say({"id": number, "seed": number})
        while not page.up.empty():
            await asyncio.sleep(0)
        gate.open.set()
        return [(await page.next()).json["id"] for _ in range(2)], gate.asked.qsize()

    async def made():
        return Gate(drawer, 1000)

    gate = run(made())
    assert talk(run, lambda page: sockets.explore(page, gate, GAN), conversation) == ([1, 29], 1)


MALFORMED = [
    "", "{", "[]", "7", '"seed"', "null", "[" * 30_000, "x" * (sockets.MOST_TEXT + 1), '{"id": 1, "seed": "x"}',
    '{"id": 1, "no": 1}', '{"seed": NaN}', '{"id": 1, "slides": []}', '{"map": 3}', '{"mix": [[1]]}', b"\0\1",
]  # fmt: skip


@pytest.mark.parametrize("frame", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_frames_are_answered(frame, run, drawer):
    async def conversation(page):
        await page.next()
        (page.give if isinstance(frame, bytes) else page.say)(frame)
        error = await page.next()
        page.say({"id": 2, "seed": 1, "do": "ping", "run": 99, "ticket": 1, "cancel": 1})
        return error, await page.next()

    error, drawn = talk(run, lambda page: sockets.explore(page, drawer, GAN), conversation)
    assert error["problem"]
    assert set(error) == {"id", "problem", "remedy"}
    assert (drawn.json["id"], drawn.json["width"]) == (2, 16)


def test_a_run_that_is_not_there_is_told_and_drawn_once_it_is(run, drawer, home):
    async def conversation(page):
        told = await page.next()
        page.say({"id": 1, "seed": 1})
        again = await page.next()
        made = plant(home, "gan")
        page.say({"id": 2, "seed": 1})
        ready, drawn = await page.next(), await page.next()
        shutil.rmtree(made.root)
        page.say({"id": 3, "seed": 1})
        return told, again, ready, drawn, await page.next()

    number = len(list(Path(home, "runs").iterdir()))  # beside .lock
    told, again, ready, drawn, gone = talk(run, lambda page: sockets.explore(page, drawer, number), conversation)
    assert f"no run '{number}'" in told["problem"]
    assert (again["id"], again["problem"]) == (1, told["problem"])
    assert ready["ready"]
    assert drawn.json["id"] == 2
    assert (gone["id"], gone["problem"]) == (3, told["problem"])


def test_a_page_explores_on_after_the_process_was_killed(run, drawer):
    async def conversation(page):
        await page.next()
        os.kill(drawer.pid, signal.SIGKILL)
        page.say({"id": 1, "seed": 1})
        first = await page.next()
        page.say({"id": 2, "seed": 1})
        return first, await page.next()

    first, second = talk(run, lambda page: sockets.explore(page, drawer, GAN), conversation)
    assert "being started again" in first["problem"] if isinstance(first, dict) else first.json["id"] == 1
    assert second.json["id"] == 2


def test_a_page_paints_and_a_newer_painting_ends_the_older(run, drawer):
    async def conversation(page):
        page.say({"id": 1, "size": 1024, "faithful": 0.5, "seed": 0})
        page.give(painting(256, 256))
        while isinstance(first := await page.next(), dict):  # the index is made
            assert first.keys() == {"id", "done", "making"}
        page.say({"id": 2, "size": 64})
        page.give(painting())
        frames = [first]
        while frames[-1].json["id"] == 1 or frames[-1].json["done"] < 1:
            frames.append(await page.next())
        return frames

    frames = talk(run, lambda page: sockets.paint(page, drawer, "few"), conversation)
    first = [one.json["done"] for one in frames if one.json["id"] == 1]
    assert 1 not in first
    second = [one for one in frames if one.json["id"] == 2]
    assert second[-1].json == {"id": 2, "width": 64, "height": 64, "kind": "webp", "done": 1.0}
    ids = [one.json["id"] for one in frames]
    assert ids == sorted(ids)
    assert run(drawer.ask({"do": "ping"})).json["pid"] == drawer.pid


def test_malformed_paintings_are_answered(run, drawer):
    async def conversation(page):
        told = []
        page.give(painting())  # without its request
        told.append(await page.next())
        page.say("{")
        told.append(await page.next())
        page.say({"id": 3})
        page.give(b"no picture")
        told.append(await page.next())
        page.say({"id": 4})
        page.give(bytes(sockets.MOST_BINARY + 1))
        told.append(await page.next())
        page.say({"id": 5, "size": 5})
        page.give(painting())
        told.append(await page.next())
        page.say({"id": 6, "size": 32})
        page.give(painting(mode="RGBA"))
        while not (isinstance(last := await page.next(), Answer) and last.json["done"] == 1):
            assert not (isinstance(last, dict) and "problem" in last)
        return told, last

    told, last = talk(run, lambda page: sockets.paint(page, drawer, "few"), conversation)
    assert [one["id"] for one in told] == [None, None, 3, 4, 5]
    assert all(one["problem"] for one in told)
    assert last.json["id"] == 6


def test_a_page_that_does_not_read_holds_up_nobody(run, drawer):
    class Stalled(Page):
        async def send_bytes(self, data):
            await asyncio.sleep(3600)

    async def both():
        slow, quick = Stalled(), Page()
        serving = [asyncio.create_task(sockets.explore(page, drawer, GAN)) for page in (slow, quick)]
        for page in (slow, quick):
            await page.next()
        for number in range(50):
            slow.say({"id": number, "seed": number})
        quick.say({"id": 1, "seed": 1})
        drawn = await quick.next()
        waiting = len(drawer._waiting)
        for page in (slow, quick):
            page.leave()
        await asyncio.wait_for(asyncio.gather(*serving), LONG)
        return drawn, waiting

    drawn, waiting = run(both())
    assert drawn.json["id"] == 1
    assert waiting <= 1


@contextmanager
def served(home):
    """A real application with both sockets, as the studio has them."""
    from contextlib import asynccontextmanager

    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.testclient import TestClient

    drawer = Drawer(home)

    @asynccontextmanager
    async def lifespan(app):
        await drawer.start()
        yield
        await drawer.stop()

    async def explore(socket):
        await socket.accept()
        await sockets.explore(socket, drawer, int(socket.path_params["number"]))

    async def paint(socket):
        await socket.accept()
        await sockets.paint(socket, drawer, socket.path_params["name"])

    routes = [WebSocketRoute("/explore/{number}", explore), WebSocketRoute("/paint/{name}", paint)]
    with TestClient(Starlette(routes=routes, lifespan=lifespan)) as client:
        yield client


def test_both_sockets_work_in_an_application(home):
    with served(home) as client:
        with client.websocket_connect("/explore/1") as socket:
            assert socket.receive_json()["ready"]
            socket.send_json({"id": 1, "seed": 3})
            assert taken(socket.receive_bytes()).json["id"] == 1
        with client.websocket_connect("/paint/few") as socket:
            socket.send_json({"id": 2, "size": 32})
            socket.send_bytes(painting())
            while "bytes" not in (frame := socket.receive()) or frame["bytes"] is None:
                assert "making" in frame["text"]
            assert taken(frame["bytes"]).json["id"] == 2
