"""What can be chosen for cut-outs, alike in the command and in Python; it imports nothing heavy."""

from gesso.options import Field, Options

__all__ = ["CutOptions"]


class CutOptions(Options):
    """How an object is taken off its background."""

    tolerance: float | None = Field(
        default=None,
        ge=1,
        le=60,
        description="How far from the background a colour may be and still be of it, ΔE; by its noise if not given.",
    )
    feather: float | None = Field(
        default=None, ge=0, le=50, description="How deep the edge is soft, in pixels; measured if not given."
    )
    holes: bool = Field(default=False, description="Take out background that shows through holes, too.")
    crop: bool = Field(default=True, description="Cut the picture to the object.")
    margin: int = Field(default=0, ge=0, le=1000, description="Transparent pixels around a cropped object.")
