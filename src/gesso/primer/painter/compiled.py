"""How the painter's functions are compiled: once, kept on disk, free of the interpreter's lock."""

from collections.abc import Callable
from typing import Any

from gesso.errors import GessoError

try:
    from numba import njit
except ImportError as error:
    raise GessoError(
        "Painting pictures needs numba, which is not installed.", "Run: pip install 'gesso[painter]'"
    ) from error

__all__ = ["Record", "Records", "compiled", "inlined"]

Record = Any  # an element of a structured array, whose fields are attributes to compiled code
Records = Any  # such an array

compiled: Callable[[Any], Any] = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
inlined: Callable[[Any], Any] = njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
