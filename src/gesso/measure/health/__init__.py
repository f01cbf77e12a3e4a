"""The health of training."""

from gesso.measure.health.look import REAL, Eye
from gesso.measure.health.rules import RULES, History, Rule
from gesso.measure.health.watch import Health

__all__ = ["REAL", "RULES", "Eye", "Health", "History", "Rule"]
