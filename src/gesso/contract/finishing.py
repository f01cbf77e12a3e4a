"""What every task that finishes drafts with a collection lets a user choose."""

from typing import Literal

from gesso.options import Field, Options

__all__ = ["FinishChoices"]


class FinishChoices(Options):
    """Choices of finishing."""

    faithful: float = Field(
        default=0.5, ge=0, le=1, description="From faithful to the collection (0) to faithful to the draft (1)."
    )
    patch: int | None = Field(
        default=None, ge=3, le=15, description="Side of the patches in pixels; by the size if not given."
    )
    complete: float = Field(
        default=0.0, ge=0, le=1, description="How much all of the pictures that are drawn with should be used."
    )
    even: float = Field(default=0.0, ge=0, le=1, description="How much it costs to use one place again and again.")
    turns: Literal["none", "mirror", "all"] = Field(
        default="none", description="Whether the collection's pictures are also used mirrored, or turned and mirrored."
    )
    pictures: int | None = Field(
        default=None, ge=2, le=64,
        description="How many pictures of the collection one is drawn with; 12 if not given, 24 for fine drafts.",
    )  # fmt: skip
    most_share: float = Field(
        default=0.5, ge=0.05, le=1, description="The most of what is drawn that may be from one picture."
    )
    most_piece: float = Field(
        default=0.35, ge=0.02, le=1, description="The most of what is drawn that may be one piece of one picture."
    )
