"""Seeds to pictures: pure, independent of company, and made again from what a picture says of itself."""

import itertools
import json
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import gesso
from gesso import tasks
from gesso.contract.family import Adam, Condition, Facts, Family, Learning
from gesso.contract.task import Message, Progress, Result
from gesso.errors import GessoError
from gesso.marks.credentials import same
from gesso.marks.recipe import read_recipe
from gesso.options import Field, Options
from gesso.sample import CHUNK, draw
from gesso.store import Run


class ToyKnobs(Options):
    truncation: float = Field(default=1.0, gt=0, le=2, description="Spread.")


class Toy(Family):
    """Small, but with all the layers whose kernels depend on the batch: linear, convolutions, norms, interpolation."""

    name: ClassVar[str] = "toy"
    Config = Learning
    Knobs = ToyKnobs
    presets: ClassVar[dict[str, dict]] = {"": {}}
    takes = frozenset({"label"})
    ema = ("generator",)
    paper = "none"

    def __init__(self, config, facts):
        super().__init__(config, facts)
        self.embed = nn.Embedding(max(len(facts.labels), 1), 16)
        layers = [nn.Linear(16, 48 * 16), nn.Unflatten(1, (48, 4, 4))]
        layers += [nn.ConvTranspose2d(48, 24, 4, 2, 1), nn.BatchNorm2d(24), nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(24, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU()]
        layers += [nn.Conv2d(16, facts.channels, 3, padding=1), nn.Tanh()]
        self.parts = nn.ModuleDict({"generator": nn.Sequential(*layers), "embed": self.embed})
        self.sizes: list[int] = []

    def turns(self, clock):
        return []

    def losses(self, turn, batch, clock, rng):
        return {}

    def adam(self, part):
        return Adam(1e-3)

    def prior(self, n, rng):
        return torch.randn(n, 16, generator=rng)

    def sample(self, z, condition, knobs):
        self.sizes.append(len(z))
        z = z * knobs.truncation
        if condition.label is not None:
            z = z + self.embed(condition.label)
        yield torch.zeros(len(z), self.facts.channels, 16, 16)  # a first, poorer picture
        yield self.parts["generator"](z)

    def inputs(self, asked, n):
        return ()

    def core(self, knobs):
        return self.parts["generator"], (torch.zeros(1, 16),)


def toy(labels=("rose", "tulip", "daisy"), channels=3):
    torch.manual_seed(0)
    family = Toy(Learning(), Facts(channels=channels, height=16, width=16, labels=labels, count=9))
    for module in family.modules():  # an untrained picture is nearly grey, where no bit could be seen to change
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.weight.data.mul_(2.5)
    return family


def save_run(home, name="emoji", labels=("rose", "tulip", "daisy"), channels=4, times=1.0):
    """A run in `home` as training leaves it."""
    family = toy(labels, channels)
    record = {"config": family.config.model_dump(mode="json"), "facts": family.facts.model_dump(mode="json")}
    run = Run.create(home, name, "toy", record)
    for parameter in family.parameters():
        parameter.data.mul_(times)
    run.save_state(10, {"a": torch.zeros(1)}, {}, dict(family.state_dict()), {})
    return run


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.FAMILIES, "toy", f"{__name__}:Toy")
    monkeypatch.delenv("GESSO_HOME", raising=False)
    save_run(tmp_path / "home")
    return tmp_path / "home"


def ask(home, **options):
    events = []
    result = gesso.run("sample", home=home, on_event=events.append, **options)
    return result, events


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_picture_is_the_same_in_any_company(layout):
    family = toy().to(memory_format=layout)
    alone = [next(draw(family, [seed])).image for seed in range(13)]
    together = list(draw(family, range(13)))
    shifted = {drawn.seed: drawn.image for drawn in draw(family, [99, 98, 97, *reversed(range(13))])}
    for seed, drawn in enumerate(together):
        assert drawn.seed == seed
        assert np.array_equal(drawn.image, alone[seed])
        assert np.array_equal(drawn.image, shifted[seed])
    assert len({image.tobytes() for image in alone}) == 13
    assert np.std(np.stack(alone)) > 20
    assert set(family.sizes) == {CHUNK["cpu"]}


def test_the_last_picture_of_the_stream_is_the_answer_and_moods_stay():
    family = toy()
    family.train()
    stream = draw(family, [1])
    assert next(stream).image.std() > 0
    assert family.training
    assert not torch.is_inference_mode_enabled()
    before = {key: value.clone() for key, value in family.state_dict().items()}
    list(draw(family, range(5)))
    assert all(torch.equal(before[key], value) for key, value in family.state_dict().items())


def test_labels_are_asked_for_or_drawn_from_the_seed():
    family = toy()
    left = [drawn.label for drawn in draw(family, range(40))]
    assert set(left) == {"rose", "tulip", "daisy"}
    assert left[17] == next(draw(family, [17])).label
    asked = next(draw(family, [17], left[17]))
    assert np.array_equal(asked.image, next(draw(family, [17])).image)
    other = next(draw(family, [17], next(label for label in family.facts.labels if label != left[17])))
    assert not np.array_equal(asked.image, other.image)
    mixed = list(draw(family, [1, 2, 3], ["rose", None, "daisy"]))
    assert [mixed[0].label, mixed[1].label, mixed[2].label] == ["rose", left[2], "daisy"]
    assert next(draw(toy(labels=()), [1])).label is None


def test_unknown_labels_name_the_nearest():
    with pytest.raises(GessoError, match="Did you mean 'tulip'"):
        next(draw(toy(), [1], "tulp"))
    with pytest.raises(GessoError, match="knows no labels"):
        next(draw(toy(labels=()), [1], "rose"))
    with pytest.raises(ValueError, match="2 seeds, but 1 labels"):
        next(draw(toy(), [1, 2], ["rose"]))


def test_the_python_way(home, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    model = gesso.load("emoji", home)
    assert torch.equal(torch.rand(1), expected), "loading spends none of the caller's luck"
    pictures = model.sample(n=5, seed=7, label="rose", truncation=0.5)
    assert [drawn.seed for drawn in pictures] == [7, 8, 9, 10, 11]
    assert {drawn.label for drawn in pictures} == {"rose"}
    assert pictures.images[0].mode == "RGBA"
    assert pictures.array.shape == (5, 16, 16, 4)
    assert pictures.grid().ndim == 3
    assert np.array_equal(pictures[2].image, model.sample(seed=9, label="rose", truncation=0.5)[0].image)
    assert not np.array_equal(pictures[0].image, model.sample(seed=7, label="rose")[0].image)
    paths = pictures[1:3].save(tmp_path / "out")
    assert [path.name for path in paths] == ["emoji-toy-0001_seed0000000008.png", "emoji-toy-0001_seed0000000009.png"]
    assert model.sample()[0].seed != model.sample()[0].seed
    with pytest.raises(GessoError, match="Did you mean 'truncation'"):
        model.sample(truncatoin=1)


def test_what_draws_is_what_was_saved(home):
    model = gesso.load(1, home)
    family = toy(channels=4)
    assert all(torch.equal(value, family.state_dict()[key]) for key, value in model.family.state_dict().items())
    assert not model.family.training
    assert (model.run, model.number, model.step, model.notes) == ("0001-emoji-toy", 1, 10, [])


def test_weights_that_do_not_fit_their_record(home):
    run = Run.open(home, 1)
    run.update(facts={**run.record["facts"], "channels": 3})
    with pytest.raises(GessoError, match="do not fit its record"):
        gesso.load(1, home)


def test_a_device_that_is_not_there(home):
    with pytest.raises(GessoError, match="no device 'tpu' here"):
        gesso.load(1, home, device="tpu")


def test_pictures_carry_what_makes_them_again(home, tmp_path):
    result, events = ask(home, run="emoji", count=6, seed=40, out=tmp_path / "a", set=("truncation=0.8",), grid=True)
    assert [e.done for e in events if isinstance(e, Progress)] == [1, 2, 3, 4, 5, 6]
    assert isinstance(events[-1], Result)
    assert len(result.paths) == 7
    assert json.loads(json.dumps(result.facts))["seed"] == 40
    grid, *singles = result.paths
    assert grid.name == "emoji-toy-0001_seeds0000000040-0000000045.png"
    recipe = read_recipe(singles[3])
    assert recipe is not None
    assert (recipe.seed, recipe.run, recipe.knobs) == (43, "0001-emoji-toy", {"truncation": 0.8})
    again, events = ask(home, like=singles[3], out=tmp_path / "b")
    assert same(again.paths[0].read_bytes(), singles[3].read_bytes())
    assert not [e for e in events if isinstance(e, Message)]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_like_in_every_format(home, tmp_path, suffix):
    first, _ = ask(home, run="1", count=1, seed=3, out=tmp_path / f"one.{suffix}", label="rose")
    again, _ = ask(home, like=first.paths[0], out=tmp_path / f"two.{suffix}")
    assert again.paths[0].name == f"two.{suffix}"
    assert same(again.paths[0].read_bytes(), first.paths[0].read_bytes())


def test_nothing_is_replaced(home, tmp_path):
    where = {"count": 1, "seed": 3, "out": tmp_path}
    first, _ = ask(home, run="1", label="rose", **where)
    kept = first.paths[0].read_bytes()
    same, _ = ask(home, run="1", label="rose", **where)
    assert same.paths == first.paths
    other, _ = ask(home, run="1", label="tulip", **where)
    assert other.paths[0].name == "emoji-toy-0001_seed0000000003_2.png"
    assert first.paths[0].read_bytes() == kept
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_by_default_they_go_to_the_gallery(home):
    result, _ = ask(home, run="emoji", count=2)
    first, second = result.paths
    assert first.parent.parent == home / "gallery"
    assert first != second


def test_a_recipe_may_be_left_out(home, tmp_path):
    result, _ = ask(home, run="emoji", count=1, recipe=False, out=tmp_path)
    assert read_recipe(result.paths[0]) is None
    with pytest.raises(GessoError, match="carries no recipe"):
        ask(home, like=result.paths[0])


def test_like_needs_the_very_model(home, tmp_path):
    result, _ = ask(home, run="emoji", count=1, seed=1, out=tmp_path)
    picture = result.paths[0]
    run = Run.open(home, 1)
    moved = run.root.rename(run.root.with_name("0009-other-toy"))
    again, _ = ask(home, like=picture, out=tmp_path / "again")
    with Image.open(again.paths[0]) as one, Image.open(picture) as other:
        assert one.tobytes() == other.tobytes()
    moved.rename(run.root)
    family = toy(channels=4)
    family.parts["generator"][0].weight.data.add_(1)
    run.save_state(20, {"a": torch.zeros(1)}, {}, dict(family.state_dict()), {})
    with pytest.raises(GessoError, match="has learned on since step 10"):
        ask(home, like=picture)
    with pytest.raises(GessoError, match=r"0001-emoji-toy, which drew .* is not in"):
        ask(tmp_path / "elsewhere", like=picture)


def test_mistakes_are_sentences(home, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for options, said in [
        ({"run": ""}, "No run is named"),
        ({"run": "emoij"}, "Did you mean 'emoji'"),
        ({"run": "1", "label": "ros"}, "Did you mean 'rose'"),
        ({"run": "1", "set": ("trunc=1",)}, "no option 'trunc'"),
        ({"run": "1", "count": 2, "out": tmp_path / "a.png"}, "do not fit into the one file"),
        ({"run": "1", "out": tmp_path / "notes.txt"}, "is a file, not a folder"),
        ({"like": tmp_path / "none.png"}, "There is no file"),
        ({"like": tmp_path / "none.png", "seed": 4}, "Leave out --seed"),
    ]:
        with pytest.raises(GessoError, match=said):
            ask(home, **options)


def test_closing_stops_at_once_and_keeps_what_is_whole(home, tmp_path):
    task = tasks.task("sample")
    stream = task.run(task.Options.of({"run": "1", "count": 1000, "out": tmp_path}), home)
    list(itertools.islice(stream, 3))
    stream.close()
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_damaged_model_gives_way_and_says_so(home, tmp_path):
    run = Run.open(home, 1)
    family = toy(channels=4)
    run.save_state(20, {"a": torch.zeros(1)}, {}, dict(family.state_dict()), {})
    data = bytearray(run.model.read_bytes())
    data[-5] ^= 1
    run.model.write_bytes(data)
    _, events = ask(home, run="1", count=1, out=tmp_path)
    assert any(isinstance(e, Message) and e.level == "warning" for e in events)


def test_condition_is_none_without_labels():
    seen = []
    family = toy(labels=())
    sample = family.sample
    family.sample = lambda z, condition, knobs: (seen.append(condition), sample(z, condition, knobs))[1]
    list(draw(family, [1]))
    assert seen == [Condition()]


def test_what_a_script_saves_has_the_marks_of_the_models_home(few, tmp_path):
    model = gesso.load("few", home=few)
    (path,) = model.sample(n=1, seed=3).save(tmp_path)
    from gesso.marks.imprint import Imprint, MarkChoices
    from gesso.marks.verify import verify

    assert verify(path, Imprint(few, MarkChoices())).verdict == "trusted"
