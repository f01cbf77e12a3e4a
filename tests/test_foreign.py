"""Settings out of pictures by other tools, in the forms that these write; and whatever strangers write instead."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from gesso.errors import GessoError
from gesso.marks.foreign import MOST, Settings, read_settings, settings_of
from gesso.marks.nodes import drawn_by
from gesso.marks.picture import write_picture
from gesso.marks.recipe import LONGEST, Recipe, Work, read_parameters

USER_COMMENT, MAKER_NOTE, SOFTWARE, EXIF_IFD, MAKE, MODEL = 0x9286, 0x927C, 0x0131, 0x8769, 0x010F, 0x0110

PARAMETERS = """masterpiece, a (red:1.2) fox
in the snow, "quoted"
Negative prompt: blurry, text: none
watermark
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 3458746777, Size: 512x768, \
Model hash: 7873076e72, Model: foxes_v2, VAE: "a, b: c.pt", Lora hashes: "one: 11, two: 22", \
Civitai resources: [{"type":"checkpoint","modelVersionId":1}], Version: v1.10.1"""

INVOKE = {
    "app_version": "5.4.2", "generation_mode": "txt2img", "positive_prompt": "a red fox", "negative_prompt": "blurry",
    "seed": 77, "steps": 30, "cfg_scale": 7.5, "scheduler": "euler_a", "width": 640, "height": 512,
    "model": {"key": "abc", "hash": "blake3:11", "name": "foxes", "base": "sdxl", "type": "main"},
}  # fmt: skip

OLD_INVOKE = {
    "model": "stable diffusion", "model_weights": "foxes-1.5", "app_version": "v2.2.0",
    "image": {"prompt": [{"prompt": "a red fox [blurry] [text]", "weight": 1}], "seed": 77, "steps": 30,
              "cfg_scale": 7.5, "sampler": "k_euler_a", "width": 640, "height": 512},
}  # fmt: skip

FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "foxes", "base_model_hash": "aeb7e9e689",
    "full_negative_prompt": ["blurry"], "full_prompt": ["a red fox", "cinematic"], "guidance_scale": 4.0,
    "metadata_scheme": "fooocus", "negative_prompt": "blurry", "performance": "Speed", "prompt": "a red fox",
    "resolution": "(896, 1152)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "123456789",
    "sharpness": 2.0, "steps": 30, "styles": "['Fooocus V2']", "version": "Fooocus v2.5.0",
}  # fmt: skip


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


GRAPH = {
    "3": node("KSampler", seed=156680208700286, steps=20, cfg=8, sampler_name="euler", scheduler="normal", denoise=1,
              model=["10", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
    "4": node("CheckpointLoaderSimple", ckpt_name="foxes.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
    "6": node("CLIPTextEncode", text="a red fox", clip=["4", 1]),
    "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    "10": node("LoraLoader", lora_name="snow.safetensors", model=["4", 0], clip=["4", 1]),
}  # fmt: skip

FLUX = {
    "1": node("SamplerCustomAdvanced", noise=["2", 0], guider=["3", 0], sampler=["4", 0], sigmas=["5", 0],
              latent_image=["6", 0]),
    "2": node("RandomNoise", noise_seed=["12", 0]),
    "3": node("BasicGuider", model=["7", 0], conditioning=["8", 0]),
    "4": node("KSamplerSelect", sampler_name="euler"),
    "5": node("BasicScheduler", scheduler="simple", steps=25, denoise=1, model=["7", 0]),
    "6": node("EmptySD3LatentImage", width=["13", 0], height=1024, batch_size=1),
    "7": node("UNETLoader", unet_name="flux1-dev.safetensors"),
    "8": node("FluxGuidance", guidance=3.5, conditioning=["9", 0]),
    "9": node("CLIPTextEncode", text=["11", 0], clip=["10", 0]),
    "10": node("DualCLIPLoader", clip_name1="a", clip_name2="b"),
    "11": node("PrimitiveString", value="a red fox"),
    "12": node("PrimitiveInt", value=42),
    "13": node("PrimitiveInt", value=832),
}  # fmt: skip


def png(path, **texts):
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        (info.add_text if value.isascii() else info.add_itxt)(key.replace("_METADATA", "-metadata"), value)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def jpeg(path, comment, root=False, **tags):
    exif = Image.Exif()
    (exif if root else exif.get_ifd(EXIF_IFD))[USER_COMMENT] = comment
    for tag, value in tags.items():
        exif[int(tag[1:])] = value
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


def core(found):
    return found.text, found.negative, found.seed, found.steps, found.guidance, found.sampler, found.model, (
        found.width, found.height,
    )  # fmt: skip


# --- each tool's own form ---


FOX = ('masterpiece, a (red:1.2) fox\nin the snow, "quoted"', "blurry, text: none\nwatermark", 3458746777, 20, 6.5,
       "DPM++ 2M Karras", "foxes_v2", (512, 768))  # fmt: skip


def test_a1111(tmp_path):
    found = read_settings(png(tmp_path / "a.png", parameters=PARAMETERS))
    assert found.tool == "a1111"
    assert core(found) == FOX
    assert found.raw["VAE"] == "a, b: c.pt"
    assert found.raw["Lora hashes"] == "one: 11, two: 22"
    assert found.raw["Civitai resources"] == '[{"type":"checkpoint","modelVersionId":1}]'
    assert found.raw["Version"] == "v1.10.1"


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
@pytest.mark.parametrize(
    "comment",
    [b"UNICODE\0" + PARAMETERS.encode("utf-16-be"), b"UNICODE\0" + PARAMETERS.encode("utf-16-le"),
     b"UNICODE\0\xff\xfe" + PARAMETERS.encode("utf-16-le"), b"ASCII\0\0\0" + PARAMETERS.encode(),
     bytes(8) + PARAMETERS.encode()],
    ids=["big", "little", "marked", "ascii", "undefined"],
)  # fmt: skip
def test_a1111_in_exif(tmp_path, suffix, comment):
    path = jpeg(tmp_path / f"a.{suffix}", comment)
    assert core(read_settings(path)) == FOX
    assert read_parameters(path).startswith("masterpiece")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Steps: 5, Seed: 1", ("", "", 1, 5)),
        ("a fox\nSteps: 5, Seed: 1, Size: 8x8", ("a fox", "", 1, 5)),
        ("Negative prompt: blurry\nSteps: 5", ("", "blurry", None, 5)),
        ("a fox\nNegative prompt: blurry", ("a fox", "blurry", None, None)),
        ("a fox\r\nNegative prompt: blurry\r\nSteps: 5", ("a fox", "blurry", None, 5)),
        ("a fox\nSteps: 5, Seed: 1\nTemplate: a {fox|hare}", ("a fox", "", 1, 5)),
        ("a fox\nSampler: x, Seed: 1, Size: 8x8", ("a fox", "", 1, None)),
        ("rule: of thirds, view: front\nSteps: 5, Seed: -1", ("rule: of thirds, view: front", "", None, 5)),
        ("狐\nSteps: 5, Seed: 18446744073709551615", ("狐", "", 2**64 - 1, 5)),
        ("a\nSteps: many, Seed: 2.5, CFG scale: nan, Size: no", ("a", "", None, None)),
        ('a\nSteps: 5, VAE: "not closed, Seed: 1', ("a", "", 1, 5)),
        ("{a|b} fox\nSteps: 5, Seed: 1", ("{a|b} fox", "", 1, 5)),
    ],
)
def test_a1111_in_other_shapes(tmp_path, text, expected):
    for found in (read_settings(png(tmp_path / "a.png", parameters=text)), settings_of(text)):
        assert found.tool == "a1111"
        assert (found.text, found.negative, found.seed, found.steps) == expected


def test_a_distilled_guidance_is_the_one_that_counts():
    line = "a\nSteps: 5, CFG scale: 1, Distilled CFG Scale: 3.5"
    assert settings_of(line).guidance == 3.5
    assert settings_of(line.replace("scale: 1", "scale: 4")).guidance == 4


RED = ("a red fox", "blurry", 77, 30, 7.5)


@pytest.mark.parametrize("model", [INVOKE["model"], {"model_name": "foxes", "base_model": "sdxl"}, "foxes"])
def test_invokeai(tmp_path, model):
    found = read_settings(png(tmp_path / "a.png", invokeai_metadata=json.dumps({**INVOKE, "model": model})))
    assert found.tool == "invokeai"
    assert core(found) == (*RED, "euler_a", "foxes", (640, 512))
    assert found.raw["generation_mode"] == "txt2img"


def test_invokeai_before_3(tmp_path):
    found = read_settings(png(tmp_path / "a.png", sd_METADATA=json.dumps(OLD_INVOKE)))
    assert found.tool == "invokeai"
    assert core(found) == ("a red fox", "blurry, text", *RED[2:], "k_euler_a", "foxes-1.5", (640, 512))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_fooocus(tmp_path, suffix):
    path, text = tmp_path / f"a.{suffix}", json.dumps(FOOOCUS)
    if suffix == "png":
        png(path, parameters=text, fooocus_scheme="fooocus")
    else:  # which Fooocus writes beside the other tags, as plain texts
        tags = {f"t{SOFTWARE}": "Fooocus v2.5.0", f"t{MAKER_NOTE}": "fooocus"}
        jpeg(path, text, root=True, **tags)
    found = read_settings(path)
    assert found.tool == "fooocus"
    expected = ("a red fox", "blurry", 123456789, 30, 4.0, "dpmpp_2m_sde_gpu", "foxes", (896, 1152))
    assert core(found) == expected
    assert found.raw == FOOOCUS


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_fooocus_in_the_form_of_a1111(tmp_path, suffix):
    path, text = tmp_path / f"a.{suffix}", PARAMETERS.replace("v1.10.1", "Fooocus v2.5.0")
    if suffix == "png":
        png(path, parameters=PARAMETERS, fooocus_scheme="a1111")
    else:
        jpeg(path, text, root=True)
    found = read_settings(path)
    assert (found.tool, core(found)) == ("fooocus", FOX)


def test_comfyui(tmp_path):
    found = read_settings(png(tmp_path / "a.png", prompt=json.dumps(GRAPH), workflow=json.dumps({"nodes": []})))
    assert found.tool == "comfyui"
    assert core(found) == (
        "a red fox", "blurry", 156680208700286, 20, 8.0, "euler", "foxes.safetensors", (512, 768)
    )  # fmt: skip
    assert found.raw == GRAPH


def test_comfyui_of_many_nodes(tmp_path):
    found = read_settings(png(tmp_path / "a.png", prompt=json.dumps(FLUX)))
    assert core(found) == ("a red fox", "", 42, 25, 3.5, "euler", "flux1-dev.safetensors", (832, 1024))


def test_comfyui_in_webp(tmp_path):
    exif = Image.Exif()
    exif[MODEL], exif[MAKE] = f"prompt:{json.dumps(GRAPH)}", "workflow:{}"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.webp", exif=exif)
    assert read_settings(tmp_path / "a.webp").seed == 156680208700286


def test_comfyui_with_a_line_of_its_own(tmp_path):
    """What the graph does not say is taken from the line beside it."""
    graph = {"1": node("KSampler", seed=["2", 0], steps=20, positive=["9", 0], latent_image=["9", 0]), "2": node("Odd")}
    found = read_settings(png(tmp_path / "a.png", prompt=json.dumps(graph), parameters=PARAMETERS))
    assert (found.tool, found.steps, found.seed, found.text) == ("comfyui", 20, FOX[2], FOX[0])
    assert found.raw == graph


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"6": node("ConditioningCombine", conditioning_1=["20", 0], conditioning_2=["21", 0])}, "one\ntwo"),
        ({"6": node("ControlNetApplyAdvanced", positive=["20", 0], negative=["7", 0], image=["9", 0])}, "one"),
        ({"6": node("CLIPTextEncodeSDXL", text_g="one", text_l="one", clip=["4", 1])}, "one"),
        ({"6": node("ConditioningZeroOut", conditioning=["20", 0])}, ""),
        ({"6": node("Reroute", any=["22", 0]), "22": node("Reroute", any=["20", 0])}, "one"),
        ({"6": node("CLIPTextEncode", text=["6", 0], clip=["6", 1])}, ""),  # which leads to itself
        ({"6": node("A", a=["22", 0]), "22": node("B", b=["6", 0], c=["22", 0])}, ""),
        ({"6": node("EffLoader", positive="one", negative="two")}, "one"),
        ({"6": node("CLIPTextEncode", text=["nowhere", 0])}, ""),
        ({"6": node("CLIPTextEncode", text=None, clip=3)}, ""),
    ],
)
def test_texts_are_followed(change, expected):
    more = {"20": node("CLIPTextEncode", text="one"), "21": node("CLIPTextEncode", text="two")}
    assert drawn_by({**GRAPH, **more, **change})["text"] == expected


def test_the_first_of_two_passes_counts():
    second = node("KSampler", seed=5, steps=9, cfg=2, positive=["6", 0], negative=["7", 0], latent_image=["31", 0])
    graph = {"30": second, "31": node("LatentUpscale", samples=["3", 0], width=1024, height=1536), **GRAPH}
    found = drawn_by(graph)
    assert (found["seed"], found["steps"], found["width"]) == (156680208700286, 20, 512)


def test_a_graph_that_draws_nothing():
    assert settings_of(json.dumps({"1": node("LoadImage", image="a.png")})).tool == "comfyui"
    assert drawn_by({"nodes": [], "links": []}) is None


# --- our own ---


def test_ours(tmp_path):
    recipe = Recipe(
        gesso="0.1.0", run="0007-emoji-flow", number=7, model="ab" * 32, step=12, family="flow", seed=42, text="a fox",
        knobs={"steps": 8, "guidance": 2.5, "negative": "rain", "solver": "heun"}, width=16, height=12,
    )  # fmt: skip
    image = np.zeros((12, 16, 3), np.uint8)
    for suffix in ("png", "jpg", "webp"):
        found = read_settings(write_picture(tmp_path / f"a.{suffix}", image, recipe))
        assert found.tool == "gesso"
        assert core(found) == ("a fox", "rain", 42, 8, 2.5, "heun", "0007-emoji-flow", (16, 12))
        assert Recipe.of(found.raw) == recipe
    work = Work(gesso="0.1.0", task="style", seed=3, width=16, height=12)
    found = read_settings(write_picture(tmp_path / "w.png", image, work))
    assert (found.tool, found.seed, found.raw["task"], found.model) == ("gesso", 3, "style", None)


def test_our_line_alone(tmp_path):
    found = settings_of("rose\nSteps: 8, Seed: 42, Size: 16x12, Model: 0007-emoji-gan, Generator: Gesso 0.1.0")
    assert (found.tool, found.text, found.seed, found.model) == ("gesso", "rose", 42, "0007-emoji-gan")


# --- nothing, and what strangers write ---


@pytest.mark.parametrize(
    "texts",
    [
        {}, {"parameters": ""}, {"parameters": "a photograph of a fox"}, {"prompt": "a fox"}, {"prompt": "{a|b}"},
        {"parameters": '{"sui_image_params": {"prompt": "a"}}'}, {"invokeai_metadata": "[]"}, {"Software": "GIMP"},
        {"invokeai_metadata": '{"other": 1}'}, {"sd_METADATA": '{"image": 3}'}, {"prompt": '{"class_type": 3}'},
    ],
)  # fmt: skip
def test_no_settings(tmp_path, texts):
    assert read_settings(png(tmp_path / "a.png", **texts)) is None


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"invokeai_metadata": "{"}, "What InvokeAI wrote into it is damaged: it is not JSON"),
        ({"invokeai_metadata": "[" * 100_000}, "not JSON"),
        ({"invokeai_metadata": '{"a":' * 100 + "1" + "}" * 100}, "nested too deep"),
        ({"prompt": '{"class_type": '}, "What ComfyUI wrote"),
        ({"prompt": '{"class_type": "' + "x" * MOST + '"}'}, "too long"),
        ({"parameters": "Steps: 5, " + "x" * MOST}, "too long"),
        ({"invokeai_metadata": "9" * 10_000}, "not JSON"),
    ],
)
def test_damaged_settings(tmp_path, texts, said):
    with pytest.raises(GessoError, match=said):
        read_settings(png(tmp_path / "a.png", **texts))


def test_what_is_damaged_hides_nothing_else(tmp_path):
    assert read_settings(png(tmp_path / "a.png", invokeai_metadata="{", parameters=PARAMETERS)).tool == "a1111"


def test_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    for path in (tmp_path / "a.png", tmp_path / "b.png"):
        with pytest.raises(GessoError):
            read_settings(path)


def test_odd_numbers_are_left_out():
    odd = {"positive_prompt": "a\ud800b", "seed": -5, "steps": 1e999, "cfg_scale": float("nan"), "width": True,
           "height": "12", "scheduler": ["x"], "model": {"name": "m" * 5000}, "big": 10**400}  # fmt: skip
    found = settings_of(json.dumps(odd))
    assert core(found) == ("a?b", "", None, None, None, None, "m" * 1000, (None, 12))
    assert found.raw["big"] == str(10**400)
    assert found.raw["steps"] is None
    assert Settings.model_validate_json(found.model_dump_json()) == found


def test_texts_are_cut_to_what_others_hold():
    found = settings_of("a" * (LONGEST + 9) + "\nSteps: 5, Seed: 1, Model: " + "m" * 2000)
    assert (len(found.text), len(found.model)) == (LONGEST, 1000)


@pytest.mark.parametrize(
    "text",
    [
        "Steps: 1, " + "a:," * 100_000, "Steps: 1, " + 'a:"' * 100_000, "Steps: 1, " + "a:[" * 100_000,
        "Steps: 1, a:" + "[" * 300_000, "Steps:" + " " * 900_000 + "1", "Steps: 1\n" * 100_000, ":" * 900_000,
    ],
    ids=range(7),
)  # fmt: skip
def test_long_lines_are_read_once(text):
    found = settings_of(text)
    assert found is None or len(found.raw) <= 256


def test_a_graph_of_many_links_is_walked_once():
    count = 3000
    graph = {str(i): node("N", **{f"i{k}": [str((i * 7 + k) % count), 0] for k in range(6)}) for i in range(count)}
    for i in range(20):
        graph[str(i)]["inputs"] |= {"positive": ["21", 0], "seed": ["22", 0], "latent_image": ["23", 0]}
    assert drawn_by(graph)["seed"] is None


plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | plain | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({*INVOKE, *OLD_INVOKE, *OLD_INVOKE["image"], *FOOOCUS, "image", "class_type"})


def sane(found):
    """It can be told as JSON, and read again."""
    if found is not None:
        assert Settings.model_validate_json(found.model_dump_json()) == found


@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from(["Steps: ", ", ", "\n", ":", '"', "[", "{", "}", "\\", "a"])).map("".join)
)
@example('Steps: 1, a: "\\ud800"')
def test_any_text_is_settings_or_a_sentence(text):
    try:
        sane(settings_of(text))
    except GessoError:
        assert text.lstrip()[:1] == "{"


@given(st.dictionaries(st.sampled_from(NAMES) | plain, values, max_size=8))
def test_any_json_is_settings_or_a_sentence(data):
    text = json.dumps(data)
    sane(settings_of(text))


inputs = st.sampled_from(
    ["positive", "negative", "seed", "steps", "cfg", "sampler_name", "model", "latent_image", "text", "guider", "noise",
     "conditioning", "width", "height", "ckpt_name", "value", "guidance", "sigmas", "any"]
)  # fmt: skip
links = st.tuples(st.sampled_from("01234"), st.integers(0, 2)).map(list)
graphs = st.dictionaries(
    st.sampled_from("01234"),
    st.fixed_dictionaries(
        {"class_type": st.sampled_from(["KSampler", "ZeroOut", "N"]), "inputs": st.dictionaries(inputs, links | values)}
    )
    | values,
    max_size=5,
)


@given(graphs)
def test_any_graph_is_settings(graph):
    sane(settings_of(json.dumps(graph)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["parameters", "prompt", "invokeai_metadata", "fooocus_scheme"]), plain))
def test_any_texts_of_a_picture(tmp_path, texts):
    try:
        sane(read_settings(png(tmp_path / "a.png", **texts)))
    except GessoError:
        assert (
            any(text.lstrip()[:1] in '{["-0123456789tfnNI' for text in texts.values()) or "invokeai_metadata" in texts
        )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), at=st.integers(0, 700))
def test_any_bytes_in_a_picture(tmp_path, data, at):
    whole = jpeg(tmp_path / "a.jpg", b"UNICODE\0" + PARAMETERS.encode("utf-16-be")).read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[:at] + data + whole[at:])
    with contextlib.suppress(GessoError):
        sane(read_settings(tmp_path / "b.jpg"))


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@given(
    prompt=st.lists(words, max_size=3), negative=st.none() | words, seed=st.integers(0, 2**64 - 1),
    steps=st.integers(1, 1000), more=st.dictionaries(st.sampled_from(["Model", "VAE", "Note"]), words),
)  # fmt: skip
def test_what_is_written_comes_back(prompt, negative, seed, steps, more):
    for line in [*prompt, negative or ""]:
        if line.lower().startswith(("steps:", "negative prompt:")):
            return
    line = {"Steps": steps, "Seed": seed} | {key: json.dumps(value, ensure_ascii=False) for key, value in more.items()}
    text = "\n".join(prompt) + (f"\nNegative prompt: {negative}" if negative else "")
    found = settings_of(text + "\n" + ", ".join(f"{key}: {value}" for key, value in line.items()))
    assert (found.text, found.negative, found.seed, found.steps) == ("\n".join(prompt), negative or "", seed, steps)
    assert {key: found.raw[key] for key in more} == more
