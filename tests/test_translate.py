"""Translators as filters: any size, tiles that equal the whole; and the command that translates pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

import gesso
from gesso.contract.family import Batch, Clock, Facts
from gesso.contract.task import Message
from gesso.data import open_pack
from gesso.data.degrade import degrade_picture
from gesso.errors import GessoError
from gesso.families.cut import CUT
from gesso.families.pix2pix import Pix2Pix
from gesso.files import sha256_of
from gesso.marks.picture import straight
from gesso.marks.recipe import read_recipe, read_source
from gesso.store import Run
from gesso.translate import translated, windows
from gesso.translation import ResidualTranslator, UNet, as_channels, continued, mirrored, unfollowed


def network(kind, deep, kept=0):
    """A small one in evaluation mode, whose norms have statistics and gains as after learning."""
    torch.manual_seed(0)
    made = kind(3, 3, 8, deep, 4, kept)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.2, 0.5)
    return made.eval().requires_grad_(False)


NETWORKS = [(UNet, 1, 0), (UNet, 2, 3), (UNet, 3, 0), (ResidualTranslator, 1, 0), (ResidualTranslator, 3, 3)]


@pytest.mark.parametrize(("kind", "deep", "kept"), NETWORKS)
def test_a_tile_with_its_margin_is_a_piece_of_the_whole(kind, deep, kept):
    made, vector = network(kind, deep, kept), torch.randn(1, 4)
    margin = -(-made.reach // made.step) * made.step
    first, side = 2 * margin, 4 * made.step
    picture = torch.rand(1, 3, first + side + 2 * margin, first + side + 2 * margin) * 2 - 1
    whole = made(picture, vector)
    part = slice(first - margin, first + side + margin)
    tile = made(picture[:, :, part, part], vector)[:, :, margin:-margin, margin:-margin]
    torch.testing.assert_close(tile, whole[:, :, first : first + side, first : first + side], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "deep", "kept"), NETWORKS)
def test_nothing_further_than_the_reach_matters_and_what_is_nearer_does(kind, deep, kept):
    """From a change of one row on, all rows within most of `reach` change, and none beyond."""
    made, vector = network(kind, deep, kept), torch.randn(1, 4)
    height = 2 * (-(-made.reach // made.step) + 2) * made.step
    picture = torch.rand(1, 3, height, 4 * made.step) * 2 - 1
    changed = picture.clone()
    row = height // 2
    changed[:, :, row] += 100 * torch.randn(1, 3, 4 * made.step)
    apart = (made(picture, vector) - made(changed, vector)).abs().amax((0, 1, 3))
    touched = apart.nonzero()[:, 0]
    assert row - made.reach <= touched.min()
    assert touched.max() <= row + made.reach
    assert touched.max() - touched.min() > made.reach


@pytest.mark.parametrize(("kind", "deep"), [(UNet, 3), (ResidualTranslator, 2)])
@pytest.mark.parametrize("size", [(8, 8), (8, 41), (19, 23)])
def test_any_size_is_translated(kind, deep, size):
    out = network(kind, deep)(torch.rand(2, 3, *size), torch.randn(2, 4))
    assert out.shape == (2, 3, *size)
    assert out.abs().max() <= 1


def test_pictures_go_on_by_reflection():
    assert mirrored(3, 8).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert mirrored(1, 3).tolist() == [0, 0, 0]
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert continued(x, 4)[0, 0].tolist() == [[0, 1, 2, 1], [3, 4, 5, 4], [0, 1, 2, 1], [3, 4, 5, 4]]


def test_other_forms_of_pictures():
    clear, red = torch.full((1, 4, 2, 2), -1.0), torch.tensor([1.0, -1, -1, 1]).reshape(1, 4, 1, 1)
    assert torch.equal(as_channels(clear, 3), torch.ones(1, 3, 2, 2))
    assert as_channels(red, 3).flatten().tolist() == [1, -1, -1]
    assert as_channels(red, 1).item() == pytest.approx(2 * 0.299 - 1)
    assert as_channels(torch.zeros(1, 1, 1, 1), 4).flatten().tolist() == [0, 0, 0, 1]


def test_another_look_moves_no_statistics():
    made = network(ResidualTranslator, 2).train()
    before = {k: v.clone() for k, v in made.state_dict().items() if "running" in k}
    with unfollowed(made):
        made(torch.rand(2, 3, 16, 16), torch.randn(2, 4))
    assert all(torch.equal(made.state_dict()[k], v) for k, v in before.items())
    made(torch.rand(2, 3, 16, 16), torch.randn(2, 4))
    assert not any(torch.equal(made.state_dict()[k], v) for k, v in before.items())


def facts(**more):
    return Facts(**{"channels": 3, "height": 16, "width": 16, "source": 3, "count": 8, **more})


@pytest.mark.parametrize(("channels", "source"), [(3, 1), (4, 3), (1, 4), (3, 4)])
@pytest.mark.parametrize("family", [Pix2Pix, CUT])
def test_sources_and_pictures_may_differ_in_form(family, channels, source):
    small = {"width": 8, "critic_width": 8, "blocks": 1, "patches": 8}
    for preset in family.presets.values():
        config = family.Config.of({**preset, **{k: v for k, v in small.items() if k in family.Config.model_fields}})
        made, rng = family(config, facts(channels=channels, source=source)), torch.Generator().manual_seed(0)
        batch = Batch(torch.rand(4, channels, 16, 16), source=torch.rand(4, source, 16, 16))
        for turn in made.turns(Clock(0, 0, 100)):
            losses = made.losses(turn, batch, Clock(0, 0, 100), rng)
            assert all(torch.isfinite(loss) for loss in losses.values())


def test_a_model_that_keeps_begins_near_its_source():
    """What is damaged stays as it is until something better is known."""
    made = Pix2Pix(Pix2Pix.Config.of({**Pix2Pix.presets["restore"], "width": 8, "blocks": 1}), facts())
    source = torch.rand(1, 3, 16, 16) * 2 - 1
    image = made.parts["generator"](torch.randn(1, 8), source)
    plain = Pix2Pix(Pix2Pix.Config.of({"width": 8, "blocks": 1}), facts()).parts["generator"](torch.randn(1, 8), source)
    assert (image - source).abs().mean() < 0.7 * (plain - source).abs().mean()


def test_contrast_is_low_where_every_patch_is_in_its_place():
    torch.manual_seed(0)
    made, rng = CUT(CUT.Config.of({"width": 8, "blocks": 1}), facts()), torch.Generator().manual_seed(0)
    source, vector = torch.rand(2, 3, 16, 16) * 2 - 1, torch.zeros(2, 64)
    stages = made.parts["generator"].network.stages(source, vector)
    same, shifted = (float(made._contrast(stages, x, vector, rng).detach()) for x in (source, source.roll(5, 3)))
    assert same < shifted - 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(GessoError, match="leave colour out of augment"):
        Pix2Pix.Config.of({"augment": ["colour"]})
    assert Pix2Pix.Config.of({"augment": ["colour"], "critic": "primer"})
    with pytest.raises(GessoError, match="none to begin with"):
        Pix2Pix(Pix2Pix.Config.of({}), facts(source=0))


def ready(family=Pix2Pix, **more):
    """A family that draws, whose norms have learned something."""
    torch.manual_seed(0)
    made = family(family.Config.of({"width": 8, "critic_width": 8, "depth": 2, "blocks": 1}), facts(**more))
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(0.3)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("side", [8, 40, 64, 200])
def test_windows_cover_a_side_once_and_see_beyond_it(side):
    found = windows(side, step=4, reach=9, tile=48)
    painted = [range(look.start + part.start, look.start + part.stop) for look, part in found]
    assert [place for stretch in painted for place in stretch] == list(range(side))
    for (look, _), stretch in zip(found, painted, strict=True):
        assert look.stop - look.start == min(side, 48)
        assert look.start % 4 == 0
        assert look.start == 0 or stretch.start - look.start >= 9
        assert look.stop == side or look.stop - stretch.stop >= 9


@pytest.mark.parametrize("family", [Pix2Pix, CUT])
@pytest.mark.parametrize("size", [(70, 130), (161, 90)])
def test_tiles_show_no_seams(family, size):
    """Larger than a tile, with sides that nothing divides: what is made in parts is what is made at once."""
    made = ready(family)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    (parts,), (whole,) = (translated(made, picture, [3], tile=tile) for tile in (16, 1024))
    assert parts.image.shape == (*size, 3)
    assert np.abs(parts.image.astype(int) - whole.image).max() <= 1  # a rounding
    assert (parts.image == whole.image).mean() > 0.999


def test_seeds_make_translations_differ_and_the_same_seed_none():
    made, picture = ready(labels=("a", "b")), np.full((16, 20, 3), 90, np.uint8)
    drawn = translated(made, picture, [1, 2, 1], label="b")
    assert [one.seed for one in drawn] == [1, 2, 1]
    assert drawn[0].label == "b"
    assert np.array_equal(drawn[0].image, drawn[2].image)
    assert not np.array_equal(drawn[0].image, drawn[1].image)
    (alone,) = translated(made, picture, [2], label="b")
    assert np.array_equal(alone.image, drawn[1].image)


@pytest.mark.parametrize(("shape", "said"), [((16, 16, 1), "3 channels, not of 1"), ((7, 30, 3), "too few")])
def test_a_picture_that_does_not_fit_is_refused(shape, said):
    with pytest.raises(GessoError, match=said):
        translated(ready(), np.zeros(shape, np.uint8), [0])


# --- the task ---


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Runs that translate edges and grey pictures with noise in them, one that does not translate, and pictures."""
    home = tmp_path_factory.mktemp("home")
    short = {"images": "16", "threads": 1, "precision": "float32", "watch": False, "set": ("batch=8", "width=8")}
    for kind in ("edges", "noise"):
        gesso.run("import", home=home, source="blossoms", name=kind, size="16", count=24, pairs=kind)
        gesso.run("train", home=home, dataset=kind, family="pix2pix", **short)
    gesso.run("train", home=home, dataset="edges", family="gan", **short)
    folder = home / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (20, 30, 4), np.uint8)).save(folder / "a {odd} name.png")
    Image.fromarray(rng.integers(0, 256, (24, 24), np.uint8)).save(folder / "b.jpg")
    Image.fromarray(rng.integers(0, 256, (5, 9, 3), np.uint8)).save(folder / "tiny.png")
    (folder / "z.png").write_bytes(b"no picture")
    return home


def ask(home, run, *pictures, **options):
    events = []
    result = gesso.run("translate", home=home, run=run, picture=pictures, on_event=events.append, **options)
    return result, [event.text for event in events if isinstance(event, Message)]


def test_a_folder_goes_on_after_bad_files(home, tmp_path):
    result, said = ask(home, "1", home / "pictures", out=tmp_path / "out", count=2, seed=7)
    names = [f"{name}_translated_seed{seed:010d}.png" for name in ("a {odd} name", "b") for seed in (7, 8)]
    assert [path.name for path in result.paths] == names
    assert np.asarray(Image.open(result.paths[0])).shape[:2] == (20, 30)
    assert result.facts["left_out"] == ["tiny.png", "z.png"]
    assert any("tiny.png is left out" in text and "8 pixels" in text for text in said)
    assert any("is laid on white" in text for text in said)
    assert any("is turned to grey" in text for text in said)


def test_translations_carry_their_recipe_and_their_mark(home, tmp_path):
    picture = home / "pictures" / "b.jpg"
    (path,) = ask(home, "1", picture, out=tmp_path / "one.webp")[0].paths
    recipe = read_recipe(path)
    assert (recipe.task, recipe.seed, recipe.options["from_picture"]) == ("translate", 0, False)
    assert recipe.inputs == {"b.jpg": sha256_of(picture)}
    assert read_source(path) == "trainedAlgorithmicMedia"
    with pytest.raises(GessoError, match="gesso translate"):
        gesso.run("sample", home=home, like=path)
    (restored,) = ask(home, "2", picture, out=tmp_path / "restored.png")[0].paths
    assert read_source(restored) == "algorithmicallyEnhanced"
    (bare,) = ask(home, "2", picture, out=tmp_path / "bare.png", recipe=False)[0].paths
    assert read_recipe(bare) is None


def test_nothing_is_replaced_and_the_same_is_not_written_twice(home, tmp_path):
    picture = home / "pictures" / "b.jpg"
    (first,) = ask(home, "1", picture, out=tmp_path)[0].paths
    (again,) = ask(home, "1", picture, out=tmp_path)[0].paths
    (other,) = ask(home, "1", picture, out=tmp_path, size=16)[0].paths
    assert first == again
    assert other.stem == f"{first.stem}_2"
    assert np.asarray(Image.open(other)).shape[:2] == (16, 16)


def test_finished_pictures_become_sources_first(home, tmp_path):
    """What a model of edges makes of a picture is what it makes of the picture's edges."""
    pixels = open_pack("edges", home).images[0]
    Image.fromarray(straight(pixels) if pixels.shape[2] == 4 else pixels).save(tmp_path / "whole.png")
    Image.fromarray(degrade_picture("edges", pixels)[..., 0]).save(tmp_path / "edges.png")
    (made,) = ask(home, "1", tmp_path / "whole.png", from_picture=True, out=tmp_path / "made")[0].paths
    (drawn,) = ask(home, "1", tmp_path / "edges.png", out=tmp_path / "made")[0].paths
    assert np.array_equal(np.asarray(Image.open(made)), np.asarray(Image.open(drawn)))


@pytest.mark.parametrize(
    ("run", "pictures", "options", "said"),
    [
        ("3", ["b.jpg"], {}, "gesso sample 3"),
        ("1", ["tiny.png"], {}, "at least 8 pixels"),
        ("1", ["z.png"], {}, "cannot be read"),
        ("1", ["nowhere.png"], {}, "There is no file"),
        ("1", ["tiny.png", "z.png"], {}, "None of these"),
        ("1", ["b.jpg"], {"label": "rose"}, "knows no labels"),
        ("1", ["b.jpg"], {"text": "a rose"}, "does not draw from text"),
        ("1", ["b.jpg"], {"count": 2, "out": "one.png"}, "do not fit into the one file"),
        ("1", ["b.jpg"], {"size": 8192, "out": "one.gif"}, "of memory|no folder|not a folder"),
        ("nothing", ["b.jpg"], {}, "no run"),
    ],
)
def test_mistakes_are_sentences(home, tmp_path, monkeypatch, run, pictures, options, said):
    monkeypatch.setattr("gesso.memory.free", lambda: 1 << 31)
    if "out" in options:
        options = {**options, "out": tmp_path / options["out"]}
    with pytest.raises(GessoError, match=said):
        ask(home, run, *(home / "pictures" / name for name in pictures), **options)


def test_a_run_remembers_how_its_sources_were_made(home, tmp_path):
    """Its data set may be gone; sources that were imported as pairs cannot be made of a picture."""
    picture, folder = home / "pictures" / "b.jpg", Run.open(home, "2")
    (home / "datasets" / "noise").rename(home / "datasets" / "elsewhere")
    try:
        assert ask(home, "2", picture, from_picture=True, out=tmp_path)[0].paths
    finally:
        (home / "datasets" / "elsewhere").rename(home / "datasets" / "noise")
    data = folder.record["data"]
    folder.update(data={**data, "pairs": "folders"})
    try:
        with pytest.raises(GessoError, match="were not made from its pictures"):
            ask(home, "2", picture, from_picture=True)
    finally:
        folder.update(data=data)


@pytest.mark.parametrize("family", [Pix2Pix, CUT])
def test_only_where_it_is_wished_seeds_have_to_differ(family):
    """The loss is that of a bound not reached; a difference above the bound costs nothing."""
    source, rng = torch.rand(8, 3, 16, 16), torch.Generator().manual_seed(0)
    for more, least, most in (({}, None, None), ({"apart": 2.0}, 3.0, 4.0), ({"apart": 1e-6}, 0.0, 0.0)):
        made = family(
            family.Config.of({"width": 8, "blocks": 1, **({"diversity": 2.0, **more} if more else {})}), facts()
        )
        image = made.parts["generator"](made.prior(8, rng), source)
        out = made.various(image, source, (), rng)
        assert bool(out) == bool(more)
        if out:
            assert least <= float(out["diversity"].detach()) <= most
