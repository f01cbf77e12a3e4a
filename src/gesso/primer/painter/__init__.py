"""The painter: a program that paints endless varied pictures from a seed, for the primer to learn from."""

from gesso.primer.painter.scenes import INGREDIENTS, SCENES, TOLD, paint

__all__ = ["INGREDIENTS", "SCENES", "TOLD", "paint"]
