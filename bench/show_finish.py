"""The gallery of finished pictures: docs/pictures/finish-*.webp.

    python -m bench.show_finish drafts --home HOME --data emoji --run 1 [--name emoji] [--count 48]
    python -m bench.show_finish doodles --home HOME --data emoji

`drafts`: the first pictures of a run, nothing picked: each a column of the draft, the finished picture, the map of
where it is from, and the two pictures that most of it is from, above their colours of the map. Large pictures are shown
at 192 pixels, above their draft and map. As many files as it takes to keep each small.
`doodles`: eight sketches in flat colours, painted by this file, each finished more and more faithfully (0.3, 0.5, 0.8).
"""

import argparse
import io
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

import gesso
from bench.data import OUT
from gesso.contract.finishing import FinishChoices
from gesso.data import open_pack
from gesso.finish import Collection, index_of
from gesso.finish.draw import Drawing
from gesso.finish.sources import colour_of, main_sources, source_map
from gesso.marks.picture import GROUND, encode, multiplied, on_ground, write_picture
from gesso.marks.recipe import Source
from gesso.measure.originality import finished
from gesso.patch.pyramid import resized

PLACE = Path(__file__).parents[1] / "docs" / "pictures"
MOST = 200_000  # bytes of a file
LOSSLESS, QUALITIES = 100, (86, 80, 74, 68, 62)  # below the last, files are divided
CELL, LARGE, GAP, ACROSS, TALL = 128, 192, 10, 6, 2000  # pixels, but for how many lie across
FAITHFUL = (0.5, 0.7, 0.85)
DOODLES = {  # shapes of SVG on a square of 128
    "fish": """
        <path d="M84 66 L122 30 Q112 66 122 100 Z" fill="#ffa000"/>
        <path d="M36 38 Q58 4 82 46 Z M44 92 Q58 116 76 88 Z" fill="#ffa000"/>
        <path d="M6 68 C24 24 74 22 104 66 C74 112 24 110 6 68 Z" fill="#ffc107"/>
        <path d="M46 36 Q56 68 46 100 L56 102 Q66 68 56 34 Z M72 38 Q82 68 72 98 L82 92 Q92 68 82 44 Z" fill="#333"/>
        <circle cx="32" cy="58" r="7" fill="#222"/>
        """,
    "house": """
        <path d="M88 14 h16 v34 h-16 Z" fill="#8d4b32"/>
        <path d="M18 56 h92 v64 h-92 Z" fill="#ffe0a3"/>
        <path d="M64 8 L124 62 L114 68 L64 26 L14 68 L4 62 Z M64 20 L110 62 H18 Z" fill="#d84332"/>
        <path d="M52 78 h24 v42 h-24 Z" fill="#7b4a2a"/>
        <path d="M26 74 h18 v20 h-18 Z M84 74 h18 v20 h-18 Z" fill="#64b5f6"/>
        <circle cx="70" cy="100" r="2.6" fill="#ffd54f"/>
        """,
    "bird": """
        <path d="M8 62 L26 50 L26 66 Z" fill="#ff8f00"/>
        <path d="M84 78 L122 48 L120 72 L126 76 L86 100 Z" fill="#0288d1"/>
        <path d="M56 104 h6 v18 h-6 Z M72 104 h6 v18 h-6 Z" fill="#ff8f00"/>
        <path d="M20 56 C20 22 64 18 70 48 C98 56 104 84 88 100 C70 116 28 112 22 84 Z" fill="#40c4ff"/>
        <path d="M23 78 C34 82 50 92 58 110 C38 110 24 100 23 78 Z" fill="#b3e5fc"/>
        <path d="M50 68 C72 58 96 70 98 92 C76 100 54 94 50 68 Z" fill="#0288d1"/>
        <circle cx="40" cy="50" r="7" fill="#222"/>
        """,
    "mushroom": """
        <path d="M46 66 H82 C80 88 86 102 92 112 C80 124 48 124 36 112 C42 102 48 88 46 66 Z" fill="#f3e3c7"/>
        <path d="M6 70 C6 -12 122 -12 122 70 C104 82 24 82 6 70 Z" fill="#e53935"/>
        <path d="M46 76 H82 L83 86 Q64 92 45 86 Z" fill="#d9c19b"/>
        <circle cx="40" cy="34" r="10" fill="#fff"/><circle cx="78" cy="26" r="9" fill="#fff"/>
        <circle cx="66" cy="54" r="11" fill="#fff"/><circle cx="100" cy="54" r="8" fill="#fff"/>
        <circle cx="22" cy="60" r="7" fill="#fff"/>
        """,
    "boat": """
        <path d="M60 8 h6 v84 h-6 Z" fill="#6d4c33"/>
        <path d="M70 12 C96 32 110 58 112 82 H70 Z" fill="#ef5350"/>
        <path d="M56 22 C38 40 24 60 18 82 H56 Z" fill="#ffca28"/>
        <path d="M6 90 H122 C118 108 104 118 96 120 H34 C20 114 10 104 6 90 Z" fill="#8d5a34"/>
        <path d="M6 90 H122 L119 99 H10 Z" fill="#b9814f"/>
        """,
    "cat": """
        <path d="M14 8 Q40 14 54 38 L18 62 Z M114 8 Q88 14 74 38 L110 62 Z" fill="#fbc02d"/>
        <path d="M22 20 Q36 26 44 40 L26 50 Z M106 20 Q92 26 84 40 L102 50 Z" fill="#f7b7a3"/>
        <path d="M64 30 C108 30 120 60 118 80 C114 112 90 122 64 122 C38 122 14 112 10 80 C8 60 20 30 64 30 Z"
            fill="#fbc02d"/>
        <path d="M64 84 C92 84 96 118 64 122 C32 118 36 84 64 84 Z" fill="#fff0d9"/>
        <path d="M58 32 h12 l-6 26 Z M38 36 h10 l2 18 Z M80 36 h10 l-12 18 Z" fill="#ef8a1d"/>
        <circle cx="38" cy="72" r="11" fill="#333"/><circle cx="90" cy="72" r="11" fill="#333"/>
        <path d="M56 88 h16 l-8 10 Z" fill="#e5737a"/>
        """,
    "tree": """
        <path d="M54 76 H74 C74 96 78 110 86 122 H42 C50 110 54 96 54 76 Z" fill="#795035"/>
        <path d="M64 4 C84 4 94 16 94 26 C114 28 124 44 120 60 C122 82 100 92 84 86 C72 96 54 96 44 86
            C26 92 4 80 8 58 C6 42 18 28 34 28 C34 14 46 4 64 4 Z" fill="#558b2f"/>
        <path d="M60 12 C76 12 84 20 84 32 C72 44 46 44 40 34 C40 20 48 12 60 12 Z" fill="#7cb342"/>
        <path d="M20 52 C28 42 44 46 48 56 C46 70 26 72 20 52 Z" fill="#7cb342"/>
        """,
    "rocket": """
        <path d="M50 100 H78 C80 110 72 118 64 126 C56 118 48 110 50 100 Z" fill="#ff9800"/>
        <path d="M44 66 C26 74 18 92 20 112 L46 98 Z M84 66 C102 74 110 92 108 112 L82 98 Z" fill="#d32f2f"/>
        <path d="M64 2 C90 22 96 70 82 102 H46 C32 70 38 22 64 2 Z" fill="#f5f5f5"/>
        <path d="M64 2 C76 11 84 25 87 40 H41 C44 25 52 11 64 2 Z" fill="#d32f2f"/>
        <circle cx="64" cy="62" r="18" fill="#546e7a"/><circle cx="64" cy="62" r="13" fill="#29b6f6"/>
        """,
}
Array = np.ndarray


def opened(home: Path, name: str) -> Collection:
    pack = open_pack(name, home)
    return Collection.of(pack, finished(index_of(pack)))


def finish(collection: Collection, draft: Array, faithful: float = 0.5) -> Drawing:
    """A draft at the size of the collection's pictures."""
    high, wide = collection.pack.height, collection.pack.width
    choices = FinishChoices(faithful=faithful)
    *_, last = collection.finish(
        draft, high, wide, collection.manner(choices, high, wide), count=choices.pictures, turns=choices.turns
    )
    return last


def shown(picture: Array, side: int) -> Array:
    """A picture in [0, 1] as h w 3 bytes of that longer side, its pixels made larger or averaged, on a pale ground."""
    longer = max(picture.shape[:2])
    high, wide = (round(length * side / longer) for length in picture.shape[:2])
    if longer > side:
        picture = resized(picture, high, wide)
    else:
        picture = picture[np.arange(high) * longer // side][:, np.arange(wide) * longer // side]
    out = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    out = on_ground(out, np.array(GROUND, np.uint8)) if out.shape[2] == 4 else out
    return np.repeat(out, 3, axis=2) if out.shape[2] == 1 else out


def doodle(shapes: str, side: int) -> Array:
    """A sketch as h w 4 in [0, 1], premultiplied."""
    page = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128">{shapes}</svg>'
    png = resvg_py.svg_to_bytes(svg_string=page, width=side, height=side)
    with Image.open(io.BytesIO(bytes(png))) as image:
        return multiplied(np.asarray(image.convert("RGBA"))).astype(np.float32) / 255


def column(collection: Collection, draft: Array) -> Array:
    """A draft, what was made of it and of what: one below the other."""
    last = finish(collection, draft)
    assert last.copied is not None
    seen = source_map(last.copied, last.picture).astype(np.float32) / 255
    side = max(last.picture.shape[:2])
    side = min(side * -(-CELL // side), LARGE)
    half = side // 2
    sources = [source(collection, number, rank, half) for rank, (number, _) in enumerate(main_sources(last.copied)[:2])]
    sources += [np.full((half + bar(half), half, 3), 255, np.uint8)] * (2 - len(sources))  # of an empty picture, none
    large = side > CELL  # so draft and map are shown at half that size
    views = [shown(picture, half if large else side) for picture in (draft, last.picture, seen)]
    if large:
        return stacked([shown(last.picture, side), np.hstack(views[::2]), np.hstack(sources)])
    return stacked([*views, np.hstack(sources)])


def source(collection: Collection, number: int, rank: int, side: int) -> Array:
    """A picture that something is from, above a bar of its colour of the map."""
    picture = shown(collection.pack.images[number].astype(np.float32) / 255, side)
    colour = np.rint(np.array(colour_of(rank)) * 255).astype(np.uint8)
    return np.concatenate([picture, np.broadcast_to(colour, (bar(side), side, 3))])


def bar(side: int) -> int:
    """Its height."""
    return max(side // 12, 4)


def stacked(parts: list[Array]) -> Array:
    return np.concatenate([np.pad(p, ((0, GAP // 3), (0, 0), (0, 0)), constant_values=255) for p in parts])


def write(name: str, columns: list[Array], across: int, mark: Source) -> None:
    """Columns in rows, in as few files as are small enough."""
    rows = [columns[i : i + across] for i in range(0, len(columns), across)]
    lines = [np.hstack([np.pad(c, ((0, 2 * GAP), (0, GAP), (0, 0)), constant_values=255) for c in row]) for row in rows]
    lines = [np.pad(x, ((0, 0), (0, lines[0].shape[1] - x.shape[1]), (0, 0)), constant_values=255) for x in lines]
    for each in range(min(len(rows), max(TALL // lines[0].shape[0], 1)), 0, -1):
        pages = [np.vstack(lines[i : i + each])[: -2 * GAP, :-GAP] for i in range(0, len(lines), each)]
        fits = [quality_of(page, mark) for page in pages]
        if min(fits) >= 0:
            break
    for old in (PLACE / f"finish-{name}.webp", *PLACE.glob(f"finish-{name}-[0-9].webp")):
        old.unlink(missing_ok=True)
    for number, (page, quality) in enumerate(zip(pages, fits, strict=True)):
        path = PLACE / (f"finish-{name}.webp" if len(pages) == 1 else f"finish-{name}-{number + 1}.webp")
        write_picture(path, page, source=mark, quality=None if quality == LOSSLESS else max(quality, QUALITIES[-1]))
        print(f"{path.name}: {page.shape[1]}×{page.shape[0]}, {path.stat().st_size // 1000} KB", flush=True)


def quality_of(page: Array, mark: Source) -> int:
    """The best at which a page is small enough; -1 where none is."""
    for quality in (LOSSLESS, *QUALITIES):
        data = encode(page, "webp", source=mark, quality=None if quality == LOSSLESS else quality)
        if len(data) <= MOST:
            return quality
    return -1


def drafts(args: argparse.Namespace) -> None:
    collection = opened(args.home, args.data)
    given = gesso.load(args.run, home=args.home, device="cpu").sample(args.count, seed=0).array
    columns = [column(collection, draft.astype(np.float32) / 255) for draft in given]
    write(args.name or args.data, columns, ACROSS, "compositeWithTrainedAlgorithmicMedia")


def doodles(args: argparse.Namespace) -> None:
    collection, columns = opened(args.home, args.data), list[Array]()
    for shapes in DOODLES.values():
        sketch = doodle(shapes, CELL)
        made = [finish(collection, sketch, faithful).picture for faithful in FAITHFUL]
        columns.append(stacked([shown(picture, CELL) for picture in (sketch, *made)]))
    write(args.name or "doodles", columns, len(columns), "composite")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for work in (drafts, doodles):
        one = commands.add_parser(work.__name__)
        one.set_defaults(work=work)
        one.add_argument("--home", type=Path, default=OUT / "home")
        one.add_argument("--data", default="emoji")
        one.add_argument("--name", default="", help="of the files, after finish-")
        if work is drafts:
            one.add_argument("--run", default="1")
            one.add_argument("--count", type=int, default=48)
    args = parser.parse_args()
    args.work(args)


if __name__ == "__main__":
    main()
