"""How much memory there is, and a sentence before more is taken than that."""

from gesso.errors import GessoError

__all__ = ["afford", "free", "said"]

UNKNOWN = 64 << 30  # bytes taken to be free where the system does not say


def free() -> int | None:
    """Bytes of memory that may still be taken; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - no file of anyone's
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def afford(needed: float, what: str, remedy: str) -> str:
    """How much memory is needed, in words; raises GessoError, before it is taken, when less is free.

    needed: bytes. what: the beginning of the sentence, as in 'A texture of 4096×4096 pixels'.
    """
    there = free()
    most = UNKNOWN if there is None else there
    if needed > most:
        raise GessoError(f"{what} needs about {said(needed)} of memory; {said(most)} are free.", remedy)
    return said(needed)


def said(count: float) -> str:
    """Bytes in words."""
    value, unit = count / 1e6, "MB"
    for larger in ("GB", "TB", "PB"):
        if value >= 1000:
            value, unit = value / 1000, larger
    return f"{value:.0f} MB" if unit == "MB" else f"{value:,.1f} {unit}"
