"""The whole way once, as `make demo` goes it, in seconds."""

import pytest
from PIL import Image

from gesso import tasks
from gesso.contract.task import Message, Preview
from gesso.errors import GessoError


def test_demo_on_blossoms_then_again(tmp_path):
    events = []
    result = tasks.run("demo", home=tmp_path, minutes=0.03, size="16", on_event=events.append)
    with Image.open(result.paths[0]) as sheet:
        assert sheet.width > 200
    assert "gesso sample" in result.text
    assert any(isinstance(event, Preview) for event in events)
    assert any("blossoms" in event.text for event in events if isinstance(event, Message))
    again = tasks.run("demo", home=tmp_path, minutes=0.03, size="16")
    assert again.facts["number"] == 2


def test_demo_on_ones_own_pictures(tmp_path):
    from gesso.data.blossoms import paint_blossoms

    folder = tmp_path / "mine"
    folder.mkdir()
    for number, picture in enumerate(paint_blossoms(10, 40, 3)[0]):
        Image.fromarray(picture).save(folder / f"{number}.png")
    result = tasks.run("demo", home=tmp_path / "home", data=str(folder), minutes=0.02, size="16")
    assert result.paths[0].exists()


def test_train_says_why_and_leaves_a_model_card(tmp_path):
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=60)
    said = []
    result = tasks.run("train", home=tmp_path, dataset="flowers", images="320", on_event=said.append)
    words = " ".join(event.text for event in said if isinstance(event, Message))
    assert "Preset small" in words
    assert "pictures/s when timed" in words
    card = (result.paths[0] / "README.md").read_text()
    assert "60 pictures" in card
    assert "gesso sample 1" in card
    assert list((result.paths[0] / "samples").glob("*.png"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dataset": "flowres"}, "Did you mean 'flowers'"),
        ({"dataset": "flowers", "family": "gam"}, "Did you mean 'gan'"),
        ({"dataset": "flowers", "preset": "smal"}, "Did you mean 'small'"),
        ({"dataset": "flowers", "set": ["btach=3"]}, "Did you mean 'batch'"),
        ({"dataset": "flowers", "images": "many"}, "no number"),
        ({"dataset": "flowers", "size": "64"}, "fewer than --size 64"),
        ({"dataset": "flowers", "size": "big"}, "no size"),
        ({"dataset": "flowers", "device": "cuda"}, "no device 'cuda'"),
        ({"dataset": "flowers", "resume": "1"}, "either"),
        ({"dataset": "flowers", "minutes": 1, "images": "2k"}, "not both"),
        ({"resume": "7"}, "no run"),
    ],
)
def test_mistakes_are_one_sentence(flowers, options, said):
    with pytest.raises(GessoError, match=said):
        tasks.run("train", home=flowers, **options)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tasks.run("import", home=home, source="blossoms", name="flowers", size="16", count=24)
    return home


def test_a_changed_data_set_is_not_resumed_on(tmp_path):
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=24)
    tasks.run("train", home=tmp_path, dataset="flowers", images="128")
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=25, replace=True)
    with pytest.raises(GessoError, match="has changed"):
        tasks.run("train", home=tmp_path, resume="1")


def test_tensorboard_gets_the_figures(tmp_path):
    pytest.importorskip("tensorboard")
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=24)
    result = tasks.run("train", home=tmp_path, dataset="flowers", images="2k", tensorboard=True)
    assert [*(result.paths[0] / "tensorboard").glob("events*")]
