"""What every work on single pictures lets a user choose."""

from pathlib import Path

from gesso.options import Field, Options

__all__ = ["WorkOptions"]


class WorkOptions(Options):
    """Choices that all works on single pictures share."""

    out: Path | None = Field(
        default=None, description="The new picture: png, jpg, webp or avif; beside the given one if not given."
    )
    seed: int = Field(default=0, ge=0, lt=2**62, description="Seed: the same one makes the same picture.")
    quality: int | None = Field(
        default=None, ge=1, le=100, description="Of jpg, webp, avif; webp is lossless if not given."
    )
    recipe: bool = Field(default=True, description="Write into the picture how to make it again.")
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads; all processors if not given. They change no bit."
    )
