"""Layers in a file that drawing programs open, and what shade and light make of them."""

import io
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from gesso import tasks
from gesso.contract.family import Facts
from gesso.errors import GessoError
from gesso.marks.openraster import Sheet, open_raster, shading
from gesso.marks.recipe import Recipe
from gesso.sample import Model
from gesso.tasks.sample import _in_layers


def model(name, channels=4, **choices):
    torch.manual_seed(0)
    family, facts = tasks.family(name), Facts(channels=channels, height=16, width=16, count=32)
    drawer = family(family.Config.of(choices), facts).eval()
    for parameter in drawer.parts["generator"].parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    return Model(drawer, "0001-toys-regions", 1, "0" * 64, 5)


def opened(data):
    """Names of the parts, and of every layer, the lowest first, its blend and its picture."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        stack = ElementTree.fromstring(file.read("stack.xml"))
        layers = [
            (layer.get("name"), layer.get("composite-op"), Image.open(io.BytesIO(file.read(layer.get("src")))))
            for layer in reversed(stack.findall("stack/layer"))
        ]
        merged = Image.open(io.BytesIO(file.read("mergedimage.png")))
        merged.load()
        return file.infolist(), layers, merged, stack


def test_shade_and_light_make_the_whole():
    rng = np.random.default_rng(0)
    whole, pasted = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    pasted[:8] = 0
    whole[8:16] = pasted[8:16]
    shade, light = shading(whole, pasted)
    again = np.round(pasted / 255 * shade) + light
    assert np.abs(again - whole).max() <= 1
    assert (shade[8:16] == 255).all()
    assert not light[8:16].any()


def test_a_file_is_as_the_format_wants_it():
    layers = [
        Sheet("Back", np.full((8, 6, 4), 255, np.uint8)),
        Sheet("Shade", np.zeros((8, 6, 3), np.uint8), "svg:multiply"),
    ]
    data = open_raster(layers[0].image, layers)
    parts, found, merged, stack = opened(data)
    assert parts[0].filename == "mimetype"
    assert parts[0].compress_type == zipfile.ZIP_STORED
    assert {part.filename for part in parts} >= {"stack.xml", "mergedimage.png", "Thumbnails/thumbnail.png"}
    assert [(name, blend) for name, blend, _ in found] == [("Back", "svg:src-over"), ("Shade", "svg:multiply")]
    assert (stack.get("w"), stack.get("h")) == ("6", "8")
    assert merged.size == (6, 8)
    assert open_raster(layers[0].image, layers) == data


def test_a_drawing_in_layers_is_the_drawing():
    """Background, foreground over it, times the shade, plus the light, as a drawing program lays them."""
    drawer = model("regions", width=8, region_width=4, critic_width=8, latent=8)
    (drawn,) = drawer.sample(1, seed=3)
    data = _in_layers(drawer, drawn, drawer.family.Knobs(), True)
    _, found, merged, _ = opened(data)
    assert [name for name, *_ in found] == ["Background", "Foreground", "Shade", "Light"]
    behind, front, shade, light = (np.asarray(picture.convert("RGBA"), np.float64) for *_, picture in found)
    cover = front[..., 3:] / 255
    pasted = front[..., :3] * cover + behind[..., :3] * (1 - cover)
    again = np.clip(pasted * shade[..., :3] / 255 + light[..., :3], 0, 255)
    assert np.abs(again - drawn.image[..., :3]).max() <= 3  # rounded in each layer
    assert np.array_equal(np.asarray(merged), drawn.image)
    assert Recipe.model_validate_json(merged.text["gesso"]).seed == 3
    assert b"gesso" not in data.partition(b"data/layer1.png")[2].partition(b"data/layer0.png")[0]


@pytest.mark.parametrize(("name", "channels", "choices"), [("gan", 4, {"width": 8}), ("regions", 3, {"width": 8})])
def test_what_has_no_layers_is_not_written_in_layers(name, channels, choices):
    drawer = model(name, channels, **choices)
    (drawn,) = drawer.sample(1, seed=3)
    with pytest.raises(GessoError, match="no layers"):
        _in_layers(drawer, drawn, drawer.family.Knobs(), True)
