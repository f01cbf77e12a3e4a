"""What every task that draws given pictures anew with a model lets a user choose."""

from pathlib import Path
from typing import Literal

from gesso.options import Field, Options

__all__ = ["GivenChoices"]


class GivenChoices(Options):
    """Choices of drawing given pictures anew."""

    run: str = Field(description="The run: its number, its name, or its data set for the latest.")
    picture: tuple[Path, ...] = Field(min_length=1, description="Pictures to begin with, or folders of them.")
    out: Path | None = Field(
        default=None, description="Folder, or the file of a single picture; HOME/gallery/DATE if not given."
    )
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed of the first drawing of each picture.")
    count: int = Field(default=1, ge=1, le=10_000, description="Drawings of each picture; their seeds count on.")
    label: str | None = Field(default=None, description="What to make of it, where the model knows labels.")
    text: str | None = Field(default=None, description="What to make of it, where the model knows texts.")
    set: tuple[str, ...] = Field(
        default=(), description="A choice of drawing, name=value, such as truncation=0.7; may be repeated."
    )
    format: Literal["png", "jpg", "webp", "avif"] = Field(default="png", description="Kind of file.")
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Of jpg, webp, avif; webp is lossless if not given."
    )
    recipe: bool = Field(default=True, description="Write into each picture how to make it again.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="Where to compute.")
