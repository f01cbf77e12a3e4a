"""Which pictures a run learned from: learned.txt in its folder, the SHA-256 of a file a line.

    gesso-learned 1 COUNT whole|part
    <64 hexadecimal digits>            a picture that it learned from, or the source of one
    <64 hexadecimal digits> fork       one that the run learned from which it began

It is written before training begins and never changed. `part` says that it is not known all of what the run learned
from which it began. COUNT tells a file that was cut.
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FILE", "Seen", "read_seen"]

FILE = "learned.txt"
HEAD = re.compile(r"gesso-learned 1 (\d{1,12}) (whole|part)")
LINE = re.compile(r"([0-9a-f]{64})( fork)?")


@dataclass(frozen=True)
class Seen:
    """SHA-256 of what a run learned from: `own` itself, `before` the run that it began with. whole: all is known."""

    own: frozenset[str]
    before: frozenset[str] = frozenset()
    whole: bool = True

    def text(self) -> str:
        """As it stands in the file."""
        lines = sorted([*self.own, *(f"{one} fork" for one in self.before - self.own)])
        return "\n".join([f"gesso-learned 1 {len(lines)} {'whole' if self.whole else 'part'}", *lines, ""])


def read_seen(root: Path) -> Seen | None:
    """What the run in a folder learned from; None for a run that is older than such lists, and for a damaged list."""
    try:
        head, *lines = (root / FILE).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    told = HEAD.fullmatch(head)
    found = [LINE.fullmatch(line) for line in lines]
    if told is None or int(told[1]) != len(lines) or not all(found):
        return None
    pairs = [(match[1], match[2]) for match in found if match]
    own = frozenset(sha256 for sha256, fork in pairs if not fork)
    return Seen(own, frozenset(sha256 for sha256, fork in pairs if fork), told[2] == "whole")
