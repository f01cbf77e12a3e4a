"""The painter: a program that paints endless varied pictures from a seed, for the primer to learn from."""

from gesso.primer.painter.scenes import INGREDIENTS, SCENES, paint

__all__ = ["INGREDIENTS", "SCENES", "paint"]
