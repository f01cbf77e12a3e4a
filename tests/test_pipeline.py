"""Pretrained pipelines, on a tiny one with random weights that is saved in diffusers' own form."""

import json
import shutil
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import gesso
from gesso import pretrained, tasks
from gesso.contract.family import Batch, Clock, Condition, Turn
from gesso.errors import GessoError
from gesso.families.pipeline import Pipeline
from gesso.marks.credentials import same as same_file
from gesso.marks.recipe import read_recipe
from gesso.sample import draw
from gesso.store import Run

CLOCK = Clock(0, 0, 1)
TEXT = "a red flower"


def write_pipeline(folder: Path) -> None:
    """A latent diffusion model of a few thousand weights, whose words are letters, but for red and rose."""
    library = pretrained._library()
    import transformers

    with pretrained._quiet(library):
        letters = "abcdefghijklmnopqrstuvwxyz"
        pieces = [*letters, *(f"{x}</w>" for x in letters), "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
        words = folder.parent / "words"
        words.mkdir()
        (words / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
        (words / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
        tokens = transformers.CLIPTokenizer.from_pretrained(str(words), model_max_length=16)
        torch.manual_seed(0)
        config = transformers.CLIPTextConfig(
            vocab_size=len(pieces), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=16, bos_token_id=len(pieces) - 2, eos_token_id=len(pieces) - 1, pad_token_id=0,
        )  # fmt: skip
        unet = library.UNet2DConditionModel(
            sample_size=(8, 12), block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=4, norm_num_groups=4,
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        vae = library.AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, sample_size=16,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
        library.StableDiffusionPipeline(
            vae=vae, unet=unet, text_encoder=transformers.CLIPTextModel(config), tokenizer=tokens,
            scheduler=library.DDIMScheduler(steps_offset=1, clip_sample=False),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        ).save_pretrained(str(folder))  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipelines") / "Tiny One"
    write_pipeline(folder)
    return folder


@pytest.fixture(scope="module")
def model(saved):
    return gesso.load(f"diffusers:{saved}", device="cpu")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_: object, **__: object):
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copied"))


def image(model, seed: int = 3, text: str | None = TEXT, **knobs) -> np.ndarray:
    return model.sample(1, seed, text=text, **{"steps": 2, **knobs})[0].image


def looks(model) -> list[int]:
    """How often the network is asked from now on, a picture at a time or two."""
    seen: list[int] = []
    model.family.parts["unet"].register_forward_hook(lambda module, given, out: seen.append(len(given[0])))
    return seen


def test_what_it_is(model, saved):
    facts = model.family.facts
    assert (facts.channels, facts.height, facts.width) == (3, 16, 24)
    assert model.family.asks == {"text"}
    assert model.labels == ()
    assert (model.run, model.number, model.title) == (f"diffusers:{saved.resolve()}", 0, "diffusers-tiny-one")
    assert model.family.Knobs().model_dump() == {"steps": 50, "guidance": 7.5, "negative": ""}
    with pytest.raises(GessoError, match="steps = 0 does not fit"):
        model.family.Knobs.of({"steps": 0})
    assert model.family.prior(2, torch.Generator().manual_seed(0)).shape == (2, 4 * 8 * 12)
    assert all(not weight.requires_grad and weight.dtype == torch.float32 for weight in model.family.parameters())


def test_a_picture_depends_on_seed_text_and_knobs_alone(model):
    together = [drawn.image for drawn in model.sample(6, 1, text=TEXT, steps=2)]
    torch.rand(3)  # of the global generator nothing is taken
    assert all(np.array_equal(image(model, seed), one) for seed, one in enumerate(together, 1))
    assert len({one.tobytes() for one in together}) == 6
    plain = image(model)
    others = [
        image(model, text=None), image(model, text="a blue flower"), image(model, steps=3), image(model, guidance=3),
        image(model, guidance=1), image(model, negative="rose"),
    ]  # fmt: skip
    assert len({one.tobytes() for one in [plain, *others]}) == 7


def test_it_draws_what_diffusers_draws(model):
    z = model.family.prior(1, torch.Generator().manual_seed(3))
    expected = model.family.pipeline(
        TEXT, latents=z.reshape(1, 4, 8, 12), num_inference_steps=2, guidance_scale=4.0, negative_prompt="rose",
        output_type="np",
    ).images[0]  # fmt: skip
    np.testing.assert_allclose(image(model, guidance=4, negative="rose") / 255, expected, atol=0.003)


def test_repeats_are_drawn_once(model):
    seen = looks(model)
    image(model)  # one seed, filled up to a batch of four
    assert seen == [2, 2]
    image(model, guidance=1)
    assert seen == [2, 2, 1, 1]


def test_the_stream_shows_every_step_and_stops_when_closed(model):
    z = model.family.prior(2, torch.Generator().manual_seed(0))
    asked, knobs = Condition(text=["red", "blue"]), model.family.Knobs(steps=4)
    shown = list(model.family.sample(z, asked, knobs))
    assert len(shown) == 2 * (4 + 1) + 1
    assert all(x.shape == (2, 3, 16, 24) and x.abs().max() <= 1 for x in shown)
    assert not shown[4][1].any()
    assert torch.equal(shown[4][0], shown[-1][0])
    away = [float((x[0] - shown[-1][0]).abs().mean()) for x in shown[:5]]
    assert away[0] > 10 * away[3]
    threads, seen = threading.active_count(), looks(model)
    stream = model.family.sample(z, asked, knobs)
    next(stream)
    next(stream)
    assert len(seen) == 2  # no step is taken before it is asked for
    stream.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(seen) == 2
    assert threading.active_count() == threads
    assert torch.equal([*model.family.sample(z, asked, knobs)][-1], shown[-1])


def test_streams_do_not_get_into_each_others_way(model):
    z = model.family.prior(2, torch.Generator().manual_seed(0))
    knobs = model.family.Knobs(steps=3)
    alone = [[*model.family.sample(one[None], Condition(text=[TEXT]), knobs)] for one in z]
    streams = [model.family.sample(one[None], Condition(text=[TEXT]), knobs) for one in z]
    for (first, second), one, other in zip(zip(*streams, strict=True), *alone, strict=True):
        assert torch.equal(first, one)
        assert torch.equal(second, other)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers, on numpy and torch
def test_a_scheduler_that_draws_noise_draws_it_from_the_latents(saved):
    pipeline = pretrained.read(str(saved)).pipeline
    library = pretrained._library()
    pipeline.scheduler = library.EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    family = Pipeline(pipeline).eval().requires_grad_(False)
    knobs = family.Knobs(steps=3)
    first, second = ([one.image for one in draw(family, [1, 2], texts=TEXT, knobs=knobs)] for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_latents_that_cannot_be_shown_are_grey(model):
    assert not model.family._preview(torch.randn(1, 24, 16)).any()


def test_the_command_line_draws_and_draws_again(saved, tmp_path):
    asked = {"run": f"diffusers:{saved}", "text": [TEXT], "guidance": 5, "negative": "rose", "set": ["steps=2"]}
    first = gesso.run("sample", home=tmp_path, count=2, seed=7, device="cpu", **asked)
    assert [path.name for path in first.paths] == [
        f"diffusers-tiny-one_a-red-flower_seed{seed:010d}.png" for seed in (7, 8)
    ]
    recipe = read_recipe(first.paths[1])
    assert recipe is not None
    assert recipe.run == f"diffusers:{saved.resolve()}"
    assert recipe.knobs == {"steps": 2, "guidance": 5.0, "negative": "rose"}
    again = gesso.run("sample", home=tmp_path, like=first.paths[1], out=tmp_path / "again.png", device="cpu")
    assert same_file(again.paths[0].read_bytes(), first.paths[1].read_bytes())
    assert "step 0" not in again.text


def test_a_pipeline_that_has_changed_does_not_draw_again(copied, tmp_path):
    asked = {"run": f"diffusers:{copied}", "count": 1, "set": ["steps=1"], "device": "cpu"}
    drawn = gesso.run("sample", home=tmp_path, out=tmp_path / "a.png", **asked)
    config = copied / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"linear"', '"scaled_linear"'))
    with pytest.raises(GessoError, match="has changed since it drew"):
        gesso.run("sample", home=tmp_path, like=drawn.paths[0], device="cpu")


def test_a_folder_at_home_is_named_without_saying_whose_home(saved, monkeypatch):
    monkeypatch.setenv("HOME", str(saved.parent))
    monkeypatch.setenv("USERPROFILE", str(saved.parent))
    assert pretrained._find(str(saved)) == (saved.resolve(), "~/Tiny One")
    assert pretrained._find("~/Tiny One")[0] == saved.resolve()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "The text is empty"),
        ("  ", "The text is empty"),
        ("red " * 15, "has 15 pieces, and the pipeline reads 14"),
        ("red" + " " * 998, "more than 1,000 characters"),
        ("red \udc80", "is not UTF-8"),
    ],
)
def test_texts_that_cannot_be_drawn(model, text, problem):
    with pytest.raises(GessoError, match=problem):
        image(model, text=text)


def test_texts_that_just_fit(model):
    assert image(model, text="red " * 14, steps=1).shape == (16, 24, 3)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"negative": "red " * 15}, "has 15 pieces"),
        ({"negative": "rose", "guidance": 1}, "needs guidance above 1"),
        ({"negative": "\udc80"}, "is not UTF-8"),
        ({"truncation": 0.5}, "There is no option 'truncation'"),
        ({"label": "rose"}, "knows no labels"),
    ],
)
def test_wishes_that_have_no_effect(model, wish, problem):
    with pytest.raises(GessoError, match=problem):
        model.sample(1, 1, **wish)


def test_guidance_that_a_pipeline_does_not_know(model, monkeypatch):
    family = model.family
    known = {name: value for name, value in family.knows.items() if name not in ("guidance_scale", "negative_prompt")}
    monkeypatch.setattr(family, "knows", known)
    monkeypatch.setattr(family, "guide", "")
    with pytest.raises(GessoError, match="knows no negative text"):
        family._led(family.Knobs(negative="rose"))
    with pytest.raises(GessoError, match="knows no guidance"):
        family._led(family.Knobs(guidance=3))
    assert family._led(family.Knobs(guidance=1)) == {}


def test_a_pipeline_that_cannot_read_texts(saved):
    pipeline = pretrained.read(str(saved)).pipeline
    pipeline.tokenizer = None
    with pytest.raises(GessoError, match="A StableDiffusionPipeline cannot draw from a text alone: "):
        Pipeline(pipeline)


def index(folder: Path, **changes: object) -> None:
    place = folder / "model_index.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | changes))


def pickled(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (shutil.rmtree, "There is no folder"),
        (lambda folder: (folder / "model_index.json").unlink(), "is no pipeline: it has no model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "is damaged: it is not JSON"),
        (lambda folder: (folder / "model_index.json").write_text("[]"), "which is no pipeline of diffusers"),
        (lambda folder: index(folder, _class_name="NoSuchPipeline"), "'NoSuchPipeline', which is no pipeline of"),
        (lambda folder: index(folder, _class_name="UNet2DModel"), "'UNet2DModel', which is no pipeline of"),
        (
            lambda folder: index(folder, _class_name="StableDiffusionImg2ImgPipeline"),
            "does not draw pictures from text",
        ),
        (lambda folder: index(folder, _class_name="DDPMPipeline"), "does not draw pictures from text and noise"),
        (lambda folder: index(folder, _class_name=["mine", "MyPipeline"]), "brings code of its own"),
        (lambda folder: index(folder, unet=["mine", "UNet"]), "brings code of its own"),
        (lambda folder: index(folder, unet=["diffusers", "NoSuchModel"]), "cannot be read as a pipeline"),
        (lambda folder: index(folder, unet=[None, None]), "cannot be read as a pipeline"),
        (pickled, "are pickles, which may run any code and are never loaded"),
        (lambda folder: shutil.rmtree(folder / "vae"), "cannot be read as a pipeline"),
        (lambda folder: next((folder / "vae").glob("*.safetensors")).write_bytes(b"?"), "cannot be read as a pipeline"),
    ],
)
def test_folders_that_hold_no_such_pipeline(copied, spoil, problem):
    (copied / "unet" / "mine.py").write_text("raise SystemExit('code of a stranger has run')")
    spoil(copied)
    with pytest.raises(GessoError, match=problem) as error:
        gesso.load(f"diffusers:{copied}", device="cpu")
    assert error.value.remedy


@pytest.mark.parametrize("name", ["", "nothing", "a/b/c", "../x"])
def test_names_of_nothing(name):
    with pytest.raises(GessoError, match=r"Write diffusers:FOLDER, or diffusers:OWNER/NAME"):
        gesso.load(f"diffusers:{name}")


def test_the_hub_is_asked_once_and_never_by_a_picture(saved, monkeypatch, tmp_path):
    here: list[bool] = []

    library = pretrained._library()
    plain = library.DiffusionPipeline.load_config

    def config(name, **how):
        if name == "someone/tiny" and how["local_files_only"] and not here:
            raise OSError("not in the cache")
        return plain(str(saved) if name == "someone/tiny" else name, **how)

    def download(name, local_files_only, use_safetensors, trust_remote_code):
        assert (name, use_safetensors, trust_remote_code) == ("someone/tiny", True, False)
        if not local_files_only:
            here.append(True)
        return str(saved)

    monkeypatch.setattr(library.DiffusionPipeline, "load_config", config)
    monkeypatch.setattr(library.DiffusionPipeline, "download", download)
    with pytest.raises(GessoError, match="cannot be found among what was downloaded: not in the cache"):
        gesso.load("diffusers:someone/tiny", device="cpu", download=False)
    drawn = gesso.run(
        "sample", home=tmp_path, run="diffusers:someone/tiny", count=1, set=["steps=1"], out=tmp_path / "a.png",
        device="cpu",
    )  # fmt: skip
    assert len(here) == 1
    gesso.run("sample", home=tmp_path, like=drawn.paths[0], out=tmp_path / "b.png", device="cpu")
    gesso.load("diffusers:someone/tiny", device="cpu")
    assert len(here) == 1
    here.clear()
    with pytest.raises(GessoError, match="cannot be found among what was downloaded"):
        gesso.run("sample", home=tmp_path, like=drawn.paths[0], device="cpu")
    assert not here


def test_the_hub_that_cannot_be_reached(monkeypatch):
    def fail(name, local_files_only):
        raise OSError("no connection" if not local_files_only else "not in the cache")

    monkeypatch.setattr(pretrained._library().DiffusionPipeline, "load_config", fail)
    with pytest.raises(GessoError, match=r"cannot be had from the Hugging Face Hub: no connection\. Check the name"):
        gesso.load("diffusers:someone/tiny")


@pytest.mark.parametrize("missing", ["diffusers", "transformers"])
def test_without_the_library_it_says_what_to_install(saved, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(GessoError, match=r"pip install .* 'gesso\[diffusers\]'"):
        gesso.load(f"diffusers:{saved}")


def test_it_is_drawn_from_and_nothing_else(model, saved, tmp_path):
    family = model.family
    turn, rng = Turn("any", ()), torch.Generator()
    batch = Batch(torch.zeros(1, 3, 16, 24))
    for wish in (
        lambda: family.turns(CLOCK),
        lambda: family.losses(turn, batch, CLOCK, rng),
        lambda: family.adam("unet"),
    ):
        with pytest.raises(GessoError, match="drawn from, not trained"):
            wish()
    with pytest.raises(GessoError, match="not exported"):
        family.core(family.Knobs())
    with pytest.raises(GessoError, match="is a pretrained pipeline, which is drawn from"):
        Run.open(tmp_path, f"diffusers:{saved}")
    with pytest.raises(GessoError, match="no data set to finish its pictures with"):
        gesso.run("sample", home=tmp_path, run=f"diffusers:{saved}", size=64, device="cpu")
    assert "diffusers" not in tasks.FAMILIES
