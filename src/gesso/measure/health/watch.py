"""Watches a run: looks at its pictures, applies the rules, keeps count of the best."""

from collections.abc import Sequence
from typing import Any, Literal

from gesso.contract.family import Family
from gesso.measure.health.look import Eye
from gesso.measure.health.rules import NOTES, RULES, History, Line, Rule
from gesso.sample import Drawn

__all__ = ["Health"]


class Health:
    """What `gesso.train.run` asks for by the name of Watch. What it knows, it knows from the log alone.

    eye: looks at pictures. by: the figure by which one look is better than another, Fréchet distance or coverage.
    patience: looks in a row without a better one before it says stop; None never does.
    """

    def __init__(
        self,
        eye: Eye,
        by: Literal["fd", "coverage"] = "fd",
        patience: int | None = None,
        rules: Sequence[Rule] = RULES,
    ):
        self.eye, self.patience, self.rules = eye, patience, rules
        self.measure = f"{by}_{eye.see.name}" if eye.see else ""
        self.sign = -1 if by == "fd" else 1
        self.history = History()
        self.standing: dict[str, int] = {}  # troubles told of -> lines without since
        self.best: float | None = None
        self.waited = 0  # looks since the best

    def recall(self, log: Sequence[Line]) -> None:
        """Take up where a log ends, by reading it again; who was stopped and goes on has patience anew."""
        for line in log:
            if not NOTES & line.keys():
                self.read(line)
            elif "stop" in line:
                self.waited = 0
            if "looked_at" in line:
                self.eye.made = int(line["looked_at"])

    def look(self, family: Family, grid: Sequence[Drawn]) -> dict[str, float]:
        """Figures of what the family draws; see `Eye`."""
        return self.eye(family, grid)

    def read(self, line: Line) -> list[dict[str, Any]]:
        """Troubles that began or ended with this line, a best look, and that it is time to stop."""
        self.history.add(line)
        notes: list[dict[str, Any]] = []
        for rule in self.rules:
            if rule.reads(line):
                notes += self._apply(rule)
        value = line.get(self.measure)
        return notes if value is None else notes + self._judge(value)

    def _apply(self, rule: Rule) -> list[dict[str, Any]]:
        said = rule.says(self.history)
        if said and rule.name not in self.standing:
            self.standing[rule.name] = 0
            return [{"warning": rule.name, "text": f"{said} {rule.remedy}"}]
        if rule.name in self.standing:
            self.standing[rule.name] = 0 if said else self.standing[rule.name] + 1
            if self.standing[rule.name] >= rule.calm:
                del self.standing[rule.name]
                return [{"over": rule.name}]
        return []

    def _judge(self, value: float) -> list[dict[str, Any]]:
        if self.best is None or self.sign * value > self.sign * self.best:
            self.best, self.waited = value, 0
            return [{"best": value, "measure": self.measure}]
        self.waited += 1
        if self.patience is None or self.waited < self.patience:
            return []
        why = f"no better {self.measure} than {self.best:.3g} in {self.waited} looks"
        return [{"stop": why, "text": f"Stopped early: {why}."}]
