"""ComfyUI's graphs: which of their nodes drew the picture, and what it was given.

A graph is a dictionary of nodes, each with a `class_type` and `inputs`; an input is a value, or a link: the number of
another node and which of its outputs. Anyone may have written one, so every walk visits a node once and is bounded.
"""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["drawn_by"]

MOST = 4096  # nodes that are looked at
FEW = 64  # of nodes behind one value, and of texts
DRAWERS = 16  # of nodes that could have drawn it
TEXTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "clip_g", "prompt", "populated_text")
STRINGS = (*TEXTS, "string", "value", "String", "Text")
NUMBERS = ("seed", "noise_seed", "value", "int", "number", "Number", "float")
MODELS = ("ckpt_name", "unet_name", "model_name", "model_path")
ASIDE = {"clip", "vae", "model", "control_net", "image", "pixels", "mask", "samples", "latent", "clip_vision"}

Node = Mapping[str, Any]  # the inputs of a node
Nodes = dict[str, tuple[str, Node]]  # its class and its inputs, by its number


def drawn_by(graph: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the first drawing node of a graph was given, as far as it can be followed; None for what is no graph.

    By name: text, negative, seed, steps, guidance, sampler, model, width, height. Values may be of any kind.
    """
    nodes: Nodes = {}
    for number, node in list(graph.items())[:MOST]:
        if isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict):
            nodes[str(number)] = node["class_type"], node["inputs"]
    if not nodes:
        return None
    found = _drawer(nodes)
    if found is None:
        return {}
    inputs = nodes[found][1]
    guider = _inputs(nodes, inputs.get("guider"))
    asked = inputs.get("positive", guider.get("positive", guider.get("conditioning")))
    latent = inputs.get("latent_image")
    out: dict[str, Any] = {
        "text": _text(nodes, asked, "positive"),
        "negative": _text(nodes, inputs.get("negative", guider.get("negative")), "negative"),
        "seed": _given(nodes, inputs, ("seed", "noise_seed"), "noise"),
        "steps": _given(nodes, inputs, ("steps",), "sigmas"),
        "guidance": _behind(nodes, asked, ("guidance",)) or _given(nodes, inputs, ("cfg",), "guider"),
        "sampler": _given(nodes, inputs, ("sampler_name",), "sampler"),
        "model": _behind(nodes, inputs.get("model", guider.get("model")), MODELS),
    }
    for _, size in _upstream(nodes, latent):
        for wide, high in (("width", "height"), ("empty_latent_width", "empty_latent_height")):
            if "width" not in out and wide in size and high in size:
                out["width"], out["height"] = _value(nodes, size[wide], NUMBERS), _value(nodes, size[high], NUMBERS)
    return out


def _to(nodes: Nodes, value: object) -> str | None:
    """The number of the node that a value leads to; None for a value that is no link."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int) and str(value[0]) in nodes:
        return str(value[0])
    return None


def _inputs(nodes: Nodes, link: object) -> Node:
    """The inputs of the node that a link leads to."""
    number = _to(nodes, link)
    return {} if number is None else nodes[number][1]


def _upstream(nodes: Nodes, link: object, most: int = MOST) -> Iterator[tuple[str, Node]]:
    """The node that a link leads to and all behind it, the nearest first, each once."""
    waiting, seen = [_to(nodes, link)], set[str]()
    for number in waiting:  # which grows meanwhile
        if number is None or number in seen:
            continue
        seen.add(number)
        if len(seen) > most:
            return
        yield number, nodes[number][1]
        waiting += [_to(nodes, value) for value in nodes[number][1].values()]


def _drawer(nodes: Nodes) -> str | None:
    """The number of the node that drew first: one that samples, and has no other such node before it."""
    likely = [
        number
        for number, (_, inputs) in nodes.items()
        if inputs.keys() & {"positive", "guider", "conditioning"}
        and inputs.keys() & {"seed", "noise_seed", "noise", "steps", "sampler_name", "sampler"}
    ][:DRAWERS]
    likely = [number for number in likely if "latent_image" in nodes[number][1]] or likely
    for number in likely:
        before = {other for other, _ in _upstream(nodes, nodes[number][1].get("latent_image"))} - {number}
        if not before & set(likely):
            return number
    return likely[0] if likely else None


def _given(nodes: Nodes, inputs: Node, names: tuple[str, ...], through: str) -> Any:
    """An input of one of some names, else that of a node behind the input `through`."""
    for name in names:
        if inputs.get(name) is not None:
            return _value(nodes, inputs[name], (*names, *NUMBERS, *STRINGS))
    return _behind(nodes, inputs.get(through), names)


def _behind(nodes: Nodes, link: object, names: tuple[str, ...]) -> Any:
    """The first input of one of some names among the nodes behind a link; None without one."""
    for _, inputs in _upstream(nodes, link):
        for name in names:
            if inputs.get(name) is not None:
                return _value(nodes, inputs[name], (*names, *NUMBERS, *STRINGS))
    return None


def _value(nodes: Nodes, value: object, names: tuple[str, ...]) -> Any:
    """A value as it is, or the one that a link leads to, by way of nodes that only hold or pass it."""
    if _to(nodes, value) is None:
        return value
    for _, inputs in _upstream(nodes, value, FEW):
        for name in names:
            if isinstance(inputs.get(name), str | int | float):
                return inputs[name]
    return None


def _text(nodes: Nodes, link: object, wanted: str) -> str:
    """All texts behind a link to a conditioning. wanted: positive or negative, where a node has both."""
    if isinstance(link, str):
        return link
    waiting, seen, out = [link], set[str](), list[str]()
    for one in waiting:  # which grows meanwhile
        number = _to(nodes, one)
        if number is None or number in seen or len(out) >= FEW:
            continue
        seen.add(number)
        kind, inputs = nodes[number]
        if "zeroout" in kind.lower():  # a text that counts for nothing
            continue
        if "positive" in inputs and "negative" in inputs:
            if isinstance(inputs[wanted], str):
                out.append(inputs[wanted])
            waiting.append(inputs[wanted])
            continue
        said = [_value(nodes, inputs[name], STRINGS) for name in TEXTS if name in inputs]
        out += [text for text in said if isinstance(text, str)]
        if not said:
            waiting += [value for name, value in inputs.items() if name not in ASIDE]
    return "\n".join(dict.fromkeys(text for text in out if text.strip()))
