"""The story of a picture as one HTML file: no scripts, nothing from elsewhere, light and dark, to be printed, too."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import PurePath

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gesso.explain.look import STYLE
from gesso.explain.story import Picture, Story, Trait, Unit
from gesso.explore.atlas import Atlas, cells
from gesso.marks.picture import encode, on_ground, to_uint8
from gesso.marks.recipe import Source

__all__ = ["page_of"]

COLUMNS, ROWS = 26, 17  # of the map
THUMB, GAP = 32, 3  # pixels of its pictures, and of their frames
DRAWN, LEARNED, HERE = (64, 120, 216), (226, 150, 42), (214, 40, 70)
LOSSY, FINE = 80, 92  # quality of the map, and of small pictures; the large one is lossless
DRAWN_BY: Source = "trainedAlgorithmicMedia"
SLIGHT = 0.05  # of how two pictures differ: what changes less is not shown


def page_of(story: Story) -> str:
    """The page, with all its pictures in it."""
    parts = [
        _head(story),
        _new(story),
        _like(story),
        _asked(story),
        _numbers(story),
        _parts(story),
        _critic(story),
        _map(story),
        _foot(story),
    ]
    title = f"How picture {story.seed} of {story.model.run} came to be"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="generator" content="Gesso">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(story: Story) -> str:
    model, facts = story.model, story.model.family.facts
    asked = f" It was asked for <q>{escape(story.text)}</q>." if story.text else ""
    asked = asked or (f" It was asked for the label <q>{escape(story.label)}</q>." if story.label else "")
    count = f"{facts.count or len(story.learned.images):,}"
    said = (
        f"A network of the family <b>{escape(model.family.name)}</b> drew this picture from {story.numbers:,} random "
        f"numbers, for which the seed {story.seed} stands.{asked} The same seed always gives the same picture. Before, "
        f"it had learned from the {count} pictures of <q>{escape(story.learned.name)}</q>. It holds none of them, only "
        "what they taught it; whether it remembers one all the same is looked at first."
    )
    size = f"{facts.width} × {facts.height} pixels"
    rows = {"Run": model.run, "Seed": str(story.seed), "Learned for": f"{model.step:,} steps", "Size": size}
    table = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows.items())
    return (
        f'<header><div class="hero">{_img(story.image, "the picture")}</div><div><h1>How this picture came to be</h1>'
        f"<p>{said}</p><dl>{table}</dl></div></header>"
    )


def _new(story: Story) -> str:
    original = story.original
    said = "These learned pictures look most like it."
    if original is not None:
        verdict = (
            "<b>It is a near-copy</b>: more like it than different pictures of the collection are like each other."
            if original.copied
            else "<b>It is new</b>: different pictures of the collection are as like each other, or more."
        )
        named = f" (<q>{escape(original.nearest)}</q>)" if original.nearest else ""
        said = (
            f"On a scale from 0 to 1 it is {original.likeness:.2f} like the learned picture that it is most like"
            f"{named}; from {original.limit:.2f} on one would call it a copy. {verdict} Below are the learned pictures "
            "that look most like it at first sight."
        )
    figures = [_figure(picture, escape(PurePath(name).stem), source=None) for picture, name in story.nearest]
    return _section("Is it new?", said, [_row(figures)])


def _like(story: Story) -> str:
    if not story.traits:
        said = "Nothing about it is unusual: in size, place, form and colour it is like most that this model draws."
        return _section("What is special about it?", said, [])
    said = "Beside 400 other pictures by the same model, this is what stands out."
    if any(trait.without is not None for trait in story.traits):
        said += " The picture on the right of each shows it with as much of that as usual, as the model would draw it."
    elif not story.sliders:
        said += f" With sliders it could be changed: <code>gesso directions {story.model.number}</code>"
    return _section(
        "What is special about it?", said, [f'<ul class="traits">{"".join(map(_trait, story.traits))}</ul>']
    )


def _trait(trait: Trait) -> str:
    more = trait.away > 0
    word = trait.attribute.more if more else trait.attribute.less
    share = trait.share if more else 1 - trait.share
    shown = f"{share:.0%}" if share < 0.995 else "nearly all"
    bar = f'<span class="bar"><i style="left:{100 * trait.share:.0f}%"></i></span>'
    without = "" if trait.without is None else _img(trait.without, f"less {word}", FINE)
    return (
        f"<li><div><b>{escape(word[:1].upper() + word[1:])}</b> than {shown} of the others"
        f"{bar}<small><span>{escape(trait.attribute.less)}</span><span>{escape(trait.attribute.more)}</span></small>"
        f"</div>{without}</li>"
    )


def _asked(story: Story) -> str:
    if story.words:
        most = max(story.words, key=lambda one: one.looks)
        said = (
            "Each word of what was asked is left out in turn, and the picture drawn again from the same numbers. The "
            f"stronger its colour, the more that changed; the word that matters most is <q>{escape(most.name)}</q>."
        )
        top = max(most.looks, 1e-6)
        words = " ".join(
            f'<span style="--weight:{100 * one.looks / top:.0f}%">{escape(one.name)}</span>' for one in story.words
        )
        figures = [
            _figure(to_uint8(one.picture)[0], f"without <q>{escape(one.name)}</q>", _changed(one.looks))
            for one in story.words
        ]
        return _section("Which words mattered?", said, [f'<p class="words">{words}</p>', _row(figures)])
    if story.labels:
        said = (
            "The same numbers, asked for another label: what stays is what the numbers decide, what changes is what "
            "the label does."
        )
        figures = [_figure(to_uint8(one.picture)[0], escape(one.name), _changed(one.looks)) for one in story.labels]
        return _section("What did the label do?", said, [_row(figures)])
    return ""


def _numbers(story: Story) -> str:
    rows = list[str]()
    if story.layers:
        rows.append(
            "<p>This family draws in layers, from coarse to fine. Each is set to what is usual in turn: the first ones "
            "decide form and place, the last ones colour and surface.</p>"
        )
        rows.append(
            _row(
                [_figure(to_uint8(one.picture)[0], f"{one.name} as usual", _changed(one.looks)) for one in story.layers]
            )
        )
    told = [one for one in story.causes if one.looks >= SLIGHT]
    where = "the numbers of its styles, sorted by how much pictures differ in them," if story.layers else "its numbers"
    if told:
        rows.append(f"<p>Of {where} these mattered most. Each is set to its mean; all others stay.</p>")
        rows.append(
            _row([_figure(to_uint8(one.picture)[0], f"without {one.name}", _changed(one.looks)) for one in told])
        )
    else:
        rows.append("<p>No single one of its numbers matters: they all do a little.</p>")
    asked = " and text" if story.text else " and label" if story.label else ""
    said = (
        f"The random numbers are all that tells this picture from any other of the same model{asked}. Take one away, "
        "and see what it did. 100% is how much two pictures of this model usually differ."
    )
    return _section("Which numbers mattered?", said, rows)


def _parts(story: Story) -> str:
    if story.table is None:
        return _section("What draws what?", f"{escape(story.no_units)}", []) if story.no_units else ""
    layer = story.table.layer
    said = (
        f"Inside the network, {layer.units} units each paint a map of {layer.size[1]} × {layer.size[0]} places, of "
        "which the picture is made. Some of them answer to something that has a name. Where one answers in this "
        "picture is red; beside it stands the picture when that unit is switched off, and when it answers twice as "
        "strongly."
    )
    if not story.units:
        return _section("What draws what?", said + " In this network none answers to one thing alone.", [])
    cards = "".join(map(_unit, story.units))
    return _section("What draws what?", said, [f'<div class="units">{cards}</div>'])


def _unit(unit: Unit) -> str:
    figures = [
        _figure(unit.where, "where it answers"),
        _figure(unit.off, "switched off"),
        _figure(unit.twice, "twice as strong"),
    ]
    return (
        f"<article><h3>Unit {unit.number}: {escape(unit.concept)}</h3><p>Of the places where it answers most, "
        f"{unit.share:.0%} are {escape(_called(unit.concept))}; by chance it would be {unit.chance:.0%}.</p>"
        f"{_row(figures)}</article>"
    )


def _called(concept: str) -> str:
    named = {"subject": "on the subject", "outline": "on its outline", "ground": "on the ground"}
    return named.get(concept, concept)


def _critic(story: Story) -> str:
    if story.critic is None:
        return ""
    share, found = story.critic
    said = (
        "While it learned, a second network, the critic, judged how real pictures look. The red parts speak for this "
        "one, the blue ones against it: there it gives itself away. As a whole it looks more real to the critic than "
        f"{share:.0%} of the model's other pictures."
    )
    figures = [_figure(story.image, "the picture"), _figure(found, "what the critic finds")]
    return _section("What gives it away?", said, [_row(figures)])


def _map(story: Story) -> str:
    atlas = story.atlas
    if atlas is None or story.around is None:
        return ""
    said = (
        "Pictures that look alike lie side by side: <b class='drawn'>drawn ones in blue</b>, "
        "<b class='learned'>learned ones in orange</b>, and <b class='here'>this one in red</b>. Where orange stands "
        "alone, there is something that the model has not learned to draw. Of the learned pictures, "
        f"{atlas.reached:.0%} have a drawn one as near as learned ones are to each other; of the drawn ones, "
        f"{atlas.likely:.0%} have such a learned one."
    )
    rows = [f'<div class="map">{_map_picture(atlas, story.around)}</div>']
    if story.missed:
        rows.append(
            "<h3>Learned from, but never drawn</h3>" + _row([_figure(one, source=None) for one in story.missed])
        )
    if story.strange:
        rows.append("<h3>Drawn, but unlike anything learned</h3>" + _row([_figure(one) for one in story.strange]))
    return _section("Where does it stand among others?", said, rows)


def _map_picture(atlas: Atlas, pictures: UInt8[np.ndarray, "n h w c"]) -> str:
    """Thumbnails in a grid, on a ground that is the bluer the more pictures are drawn there."""
    step = THUMB + 2 * GAP
    place = atlas.place.numpy()
    grid = cells(atlas.place, COLUMNS, ROWS).numpy()
    here = np.minimum((place[0] * [COLUMNS, ROWS]).astype(int), [COLUMNS - 1, ROWS - 1])
    grid[here[1], here[0]] = 0
    y, x = np.mgrid[: ROWS * step, : COLUMNS * step] / [[[ROWS * step]], [[COLUMNS * step]]]
    dense = np.zeros((ROWS * step, COLUMNS * step))
    for px, py in place[atlas.drawn.numpy()]:
        dense += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 0.03**2))
    dense = (dense / max(dense.max(), 1e-9))[..., None] ** 0.7
    page = (np.array([250, 249, 246]) * (1 - dense) + np.array([176, 203, 240]) * dense).round().astype(np.uint8)
    drawn = atlas.drawn.numpy()
    for row, column in np.argwhere(grid >= 0).tolist():
        number = int(grid[row, column])
        thumb = np.asarray(_opaque(pictures[number]).resize((THUMB, THUMB), Image.Resampling.LANCZOS))
        top, left = row * step + 1, column * step + 1
        colour = HERE if number == 0 else DRAWN if drawn[number] else LEARNED
        page[top : top + step - 2, left : left + step - 2] = colour
        page[top + GAP - 1 : top + GAP - 1 + THUMB, left + GAP - 1 : left + GAP - 1 + THUMB] = thumb
    return _img(page, "the map of drawn and learned pictures", LOSSY, "compositeWithTrainedAlgorithmicMedia")


def _foot(story: Story) -> str:
    asked = f" --text '{story.text}'" if story.text else f" --label '{story.label}'" if story.label else ""
    again = escape(f"gesso sample {story.model.number} -n 1 --seed {story.seed}{asked}")
    return (
        "<footer><p>Drawn and explained by Gesso, on this machine. The picture is made by a machine. Draw it again: "
        f"<code>{again}</code></p><p>Sizes, places and colours are measured on the pictures; how alike two look is "
        "what a small network sees of them, which learned from painted pictures only. What is taken away one by one "
        "need not add up: parts of a network work together.</p></footer>"
    )


def _section(title: str, said: str, rows: Sequence[str]) -> str:
    return f"<section><h2>{title}</h2><p>{said}</p>{''.join(rows)}</section>"


def _row(figures: Sequence[str]) -> str:
    return f'<div class="row">{"".join(figures)}</div>'


def _figure(picture: Picture, caption: str = "", more: str = "", source: Source | None = DRAWN_BY) -> str:
    said = f"<figcaption>{caption}{more and f'<br><small>{more}</small>'}</figcaption>" if caption else ""
    return f"<figure>{_img(picture, '', FINE, source)}{said}</figure>"


def _changed(looks: float) -> str:
    return f"changes it by {looks:.0%}" if looks >= 0.005 else "changes nothing"


def _opaque(picture: Picture) -> Image.Image:
    shown = on_ground(picture, np.uint8(255)) if picture.shape[2] == 4 else picture
    return Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown).convert("RGB")


def _img(picture: Picture, alt: str, quality: int | None = None, source: Source | None = DRAWN_BY) -> str:
    """source: its mark; None for a learned picture, which no machine made."""
    data = base64.b64encode(encode(picture, "webp", source=source, quality=quality, bare=True)).decode()
    return f'<img alt="{escape(alt)}" src="data:image/webp;base64,{data}">'
