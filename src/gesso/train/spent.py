"""What a run costs: time, the processor's time, and energy where the machine counts it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Meter"]

COUNTERS = Path("/sys/class/powercap")  # Intel's and AMD's running average power limit, under Linux


class Meter:
    """Counts from where it is made, on top of what earlier lives of the run spent.

    before: a `read` of theirs. counters: where the kernel shows the energy of each processor package, in microjoules;
    often only root may read it.
    """

    def __init__(self, before: Mapping[str, Any] | None = None, counters: Path = COUNTERS):
        self.before = dict(before or {})
        self._clock, self._processor = time.monotonic(), time.process_time()
        self._packages = {path: _number(path / "energy_uj") for path in sorted(counters.glob("*-rapl:?"))}
        self._packages = {path: value for path, value in self._packages.items() if value is not None}
        self._joules = 0.0

    def read(self) -> dict[str, float | None]:
        """Seconds, processor seconds, and joules of the processor packages; None where no counter can be read.

        Read it at least every few minutes: the counters begin again from zero.
        """
        for path, last in self._packages.items():
            now = _number(path / "energy_uj")
            if now is None or last is None:
                continue
            turn = _number(path / "max_energy_range_uj") or 0
            self._joules += (now - last if now >= last else now - last + turn) / 1e6
            self._packages[path] = now
        seconds = self.before.get("seconds", 0.0) + time.monotonic() - self._clock
        processor = self.before.get("cpu_seconds", 0.0) + time.process_time() - self._processor
        earlier: float | None = self.before.get("joules", 0.0)  # where a part was not counted, the whole is not known
        joules = round(earlier + self._joules, 1) if self._packages and earlier is not None else None
        return {"seconds": round(seconds, 1), "cpu_seconds": round(processor, 1), "joules": joules}


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
