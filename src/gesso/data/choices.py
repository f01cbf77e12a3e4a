"""What a person may choose when importing pictures. Light: the command line reads it to show its help."""

import re
from typing import Literal, Self

from pydantic import field_validator, model_validator

from gesso.options import Field, Options

__all__ = ["BUILT_IN", "FOUND", "MADE", "ImportOptions", "pair_of"]

BUILT_IN = "blossoms"  # the source that is no place
FOUND = ("folders", "side-by-side")  # pairs that the source holds
MADE = (
    "edges",
    "grey",
    "low",
    "noise",
    "scratches",
    "masks",
    "layout",
)  # pairs whose sources are made from the pictures


class ImportOptions(Options):
    """Turn a folder or an archive of pictures into a data set.

    A source is a folder (the names of its sub-folders become labels), a folder or ZIP with a metadata.csv or
    metadata.jsonl (columns file_name, text, label, …), a ZIP in StyleGAN's form, the files of CIFAR-10,
    CIFAR-100, MNIST and Fashion-MNIST as they are offered, or the word `blossoms`: flowers that Gesso paints.

    Every file comes back as accepted, converted (how) or left out (why); pictures whose makers say that no
    model may learn from them are left out.
    """

    source: str = Field(min_length=1, description="A folder or archive of pictures, or the word blossoms.")
    name: str = Field("", description="What to call the data set; without one, the name of the source.")
    size: str = Field(
        "auto",
        description="Pixels of every picture: 64, or 64x48 for width x height; auto keeps the size where all share "
        "one of at most 256, else 64.",
    )
    crop: Literal["auto", "centre", "smart", "pad", "none"] = Field(
        "auto",
        description="How a picture of another shape fits: centre cuts the edges, smart cuts where least is lost, pad "
        "keeps all and fills, none squeezes; auto pads what has transparency and cuts the rest.",
    )
    channels: Literal["auto", "grey", "rgb", "rgba"] = Field(
        "auto",
        description="Colours kept; auto is rgba if over 1 % of the pictures have transparency, grey if all are grey, "
        "else rgb.",
    )
    background: str = Field(
        "auto",
        description="Colour under transparency and padding when rgba is not kept, as white or #f4f0e8; auto is white, "
        "and for padding the mean colour of the picture's edge.",
    )
    tile: str = Field("", description="Cut every picture into tiles of this many pixels, as 32 or 32x32.")
    pairs: Literal[
        "none", "folders", "side-by-side", "edges", "grey", "low", "noise", "scratches", "masks", "layout"
    ] = Field(
        "none",
        description="Give every picture a source that a model learns to turn into it: from two folders of the same "
        "file names (A the sources, B the pictures; also trainA and trainB, source and target), from the left half of "
        "the same file, or made from the picture: its edges as a line drawing, grey, in low resolution, with noise, "
        "with scratches, with holes (masks), or as a layout of at most six flat colours.",
    )
    swap: bool = Field(
        False, description="The picture is the first of a pair, in A or on the left (pairs folders and side-by-side)."
    )
    label_column: str = Field("", description="The column of the metadata that holds the label; else 'label'.")
    split: Literal["train", "test", "all"] = Field(
        "train", description="Which part to take of a source that comes in parts for training and testing."
    )
    drop_duplicates: bool = Field(False, description="Keep only the first of pictures that are nearly the same.")
    use_marked: bool = Field(False, description="Take pictures that are marked as not for training, too.")
    licence: str = Field("", description="Licence of the pictures that do not name one themselves.")
    creator: str = Field("", description="Maker of the pictures that do not name one themselves.")
    consent: str = Field("", description="Whose consent there is for training, where no column says so.")
    replace: bool = Field(False, description="Replace a data set of the same name.")
    workers: int = Field(0, ge=0, le=256, description="Processes that decode; 0 is one a processor core.")
    count: int = Field(4000, ge=1, le=1_000_000, description="How many pictures to paint (blossoms only).")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of the painting (blossoms only).")

    @field_validator("size", "tile", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("size")
    @classmethod
    def _size(cls, value: str) -> str:
        if value != "auto":
            for side in pair_of(value):
                if not 8 <= side <= 2048:
                    raise ValueError("sides are between 8 and 2048 pixels")
        return value

    @field_validator("tile")
    @classmethod
    def _tile(cls, value: str) -> str:
        if value:
            for side in pair_of(value):
                if not 4 <= side <= 2048:
                    raise ValueError("sides of tiles are between 4 and 2048 pixels")
        return value

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.pairs in FOUND and self.source == BUILT_IN:
            raise ValueError(f"blossoms hold no pairs ({self.pairs}): have them made, as with --pairs edges")
        if self.pairs == "side-by-side" and self.tile:
            raise ValueError("pictures side by side cannot be cut into tiles: leave out --tile")
        if self.swap and self.pairs not in FOUND:
            raise ValueError("swap turns round the pairs of --pairs folders or side-by-side, and no others")
        return self


def pair_of(text: str) -> tuple[int, int]:
    """'64' or '64x48' -> (width, height); raises ValueError with a sentence when it is neither."""
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:[xX×*]\s*(\d{1,5})\s*)?", text)
    if not match:
        raise ValueError("write one number, or width x height as in 64x48")
    return int(match[1]), int(match[2] or match[1])
