"""How loops over pixels are compiled: once, kept on disk, free of the interpreter's lock."""

from collections.abc import Callable
from typing import Any

from numba import njit

__all__ = ["Record", "Records", "compiled", "inlined"]

Record = Any  # an element of a structured array, whose fields are attributes to compiled code
Records = Any  # such an array

compiled: Callable[[Any], Any] = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
inlined: Callable[[Any], Any] = njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
