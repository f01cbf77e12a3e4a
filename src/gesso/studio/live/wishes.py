"""What may be asked of the drawing process, checked before anything is done."""

from typing import Any

from pydantic import field_validator

from gesso.options import Field, Options

__all__ = ["LARGEST", "Draw", "Map", "Paint"]

LARGEST = 1024  # pixels of the shorter side of a painting that is finished live
SEEDS = 2**62
Seed = int


class Asked(Options):
    """What a run is asked to draw."""

    seed: Seed = Field(default=0, ge=0, lt=SEEDS, description="Seed of the picture.")
    label: str | None = Field(default=None, max_length=1000, description="What to draw; each seed's own if not given.")
    text: str | None = Field(default=None, max_length=4000, description="What to draw, in words of the captions.")
    slides: dict[str, float] = Field(default={}, max_length=100, description="Strengths of sliders by their names.")
    knobs: dict[str, Any] = Field(
        default={}, max_length=100, description="Choices of drawing that differ from the family's own."
    )

    @field_validator("label", "text")
    @classmethod
    def _said(cls, value: str | None) -> str | None:
        return value or None


class Draw(Asked):
    """One picture. With `mix` it is one between several seeds, as near to each as its weight says."""

    mix: tuple[tuple[Seed, float], ...] | None = Field(
        default=None, min_length=1, max_length=8, description="Seeds and weights, in place of the seed."
    )
    half: bool = Field(default=False, description="Of half the sides, for while something is dragged.")

    @field_validator("mix")
    @classmethod
    def _seeds(cls, value: tuple[tuple[Seed, float], ...] | None) -> tuple[tuple[Seed, float], ...] | None:
        if value is not None and not all(0 <= seed < SEEDS for seed, _ in value):
            raise ValueError("seeds are 0 or more")
        if value is not None and not (min(weight for _, weight in value) >= 0 and sum(w for _, w in value) > 0):
            raise ValueError("weights are 0 or more, and not all 0")
        return value


class Shown(Options):
    """Which pictures a map shows: of given seeds, in their order; around a seed; or new ones, like beside like."""

    seeds: tuple[Seed, ...] | None = Field(default=None, min_length=1, max_length=64, description="Seeds, row by row.")
    around: Seed | None = Field(default=None, ge=0, lt=SEEDS, description="The seed whose neighbours are shown.")
    change: float = Field(
        default=0.3, ge=0, le=1, description="How far neighbours are: 0 at the seed itself, 1 anywhere."
    )

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[Seed, ...] | None) -> tuple[Seed, ...] | None:
        if value is not None and not all(0 <= seed < SEEDS for seed in value):
            raise ValueError("seeds are 0 or more")
        return value


class Map(Asked):
    """Many pictures in one. seed: by which new ones and neighbours are drawn by lot."""

    map: Shown = Field(default=Shown(), description="Which pictures.")


class Paint(Options):
    """A painting, finished in the manner of a data set."""

    size: int | None = Field(
        default=None, ge=16, le=LARGEST,
        description="Shorter side of the finished picture in pixels; the data set's if not given.",
    )  # fmt: skip
    faithful: float = Field(
        default=0.5, ge=0, le=1, description="From faithful to the collection (0) to faithful to the painting (1)."
    )
    seed: Seed = Field(default=0, ge=0, lt=SEEDS, description="For another picture nearly as good.")
