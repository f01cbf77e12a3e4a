"""The painter's dice: NumPy's generator of the calling thread as compiled code knows it, seeded for every picture."""

import numpy as np

from gesso.compiled import compiled, inlined

__all__ = ["bell", "between", "likely", "one_of", "seed", "unit"]


@compiled
def seed(number: int) -> None:
    """Begin the stream of a number."""
    np.random.seed(number % 4294967291)  # noqa: NPY002 - compiled code has no other generator that is this fast


@inlined
def unit() -> float:
    """A number in [0, 1)."""
    return np.random.random()  # noqa: NPY002


@inlined
def between(low: float, high: float) -> float:
    """A number between two others."""
    return low + (high - low) * unit()


@inlined
def one_of(n: int) -> int:
    """A whole number from 0 to n - 1."""
    return int(unit() * n)


@inlined
def likely(share: float) -> bool:
    """True in this share of the cases."""
    return unit() < share


@inlined
def bell() -> float:
    """A number from N(0, 1)."""
    return np.random.normal()  # noqa: NPY002
