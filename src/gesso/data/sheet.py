"""A contact sheet: some pictures of a set at a glance."""

import numpy as np

__all__ = ["contact_sheet"]

LIGHT, DARK = 250, 232  # the squares under transparency
PAPER = 255
MOST = 64
LONGEST = 1100  # pixels of the sheet's long side, about


def contact_sheet(images: np.ndarray, most: int = MOST, sources: np.ndarray | None = None) -> np.ndarray:
    """Up to `most` pictures, evenly picked and in order, on white with small margins: `h w 3` uint8.

    images: `n h w c` uint8, c = 1, 3 or 4 (premultiplied; shown on light squares). Small pictures are
    shown at a whole multiple of their size, large ones reduced by a whole divisor. sources: `n h w s`, shown
    left of their pictures.
    """
    count = min(most, len(images))
    picks = np.linspace(0, len(images) - 1, count).round().astype(int) if count > 1 else np.zeros(count, int)
    height, width = images.shape[1], images.shape[2] * (1 if sources is None else 2)
    columns = max(1, min(count, round((count * height / width) ** 0.5)))
    rows = -(-count // columns)
    room = LONGEST / max(columns * width, rows * height)
    zoom, shrink = max(1, min(4, int(room))), max(1, round(1 / room))
    cells = [_cell(images[i], zoom, shrink) for i in picks]
    if sources is not None:
        between = np.full((cells[0].shape[0], max(2, cells[0].shape[1] // 32), 3), PAPER, np.uint8)
        lefts = [_cell(sources[i], zoom, shrink) for i in picks]
        cells = [np.hstack([left, between, cell]) for left, cell in zip(lefts, cells, strict=True)]
    high, wide = cells[0].shape[:2]
    gap = max(4, wide // 16)
    sheet = np.full((rows * (high + gap) + gap, columns * (wide + gap) + gap, 3), PAPER, np.uint8)
    for i, cell in enumerate(cells):
        top, left = gap + (i // columns) * (high + gap), gap + (i % columns) * (wide + gap)
        sheet[top : top + high, left : left + wide] = cell
    return sheet


def _cell(image: np.ndarray, zoom: int, shrink: int) -> np.ndarray:
    """One picture, `h w 3` uint8, on squares where it is transparent."""
    image = np.asarray(image)
    if shrink > 1:
        high, wide = image.shape[0] // shrink * shrink, image.shape[1] // shrink * shrink
        blocks = image[:high, :wide].reshape(high // shrink, shrink, wide // shrink, shrink, -1)
        image = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    image = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    if image.shape[2] == 1:
        return image.repeat(3, axis=2)
    if image.shape[2] == 3:
        return image
    square = max(4, image.shape[1] // 8)
    down, across = np.indices(image.shape[:2]) // square
    ground = np.where((down + across) % 2, DARK, LIGHT)[..., None]
    return np.minimum(image[..., :3] + (255 - image[..., 3:].astype(int)) * ground // 255, 255).astype(np.uint8)
