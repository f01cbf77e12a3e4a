"""The one error that a person is meant to read."""

import difflib
from collections.abc import Iterable


class GessoError(Exception):
    """A user's mistake, or a fault of the machine, in a sentence that says what to do.

    problem: what was wrong and where, one plain sentence.
    remedy: what to do about it, one plain sentence; may be empty.

    The command line prints both and ends with exit code 2; the studio shows them beside the form.
    """

    def __init__(self, problem: str, remedy: str = ""):
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


def nearest(wrong: str, known: Iterable[str]) -> str:
    """A sentence naming the known word nearest to a wrong one, or all of them when none is near."""
    words = [str(word) for word in known]
    close = difflib.get_close_matches(wrong.lower(), [w.lower() for w in words], n=1, cutoff=0.6)
    if close:
        word = next(w for w in words if w.lower() == close[0])
        return f"Did you mean '{word}'?"
    if not words:
        return ""
    shown = ", ".join(words[:12]) + (", …" if len(words) > 12 else "")
    return f"Known are: {shown}."
