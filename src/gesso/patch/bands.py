"""Rows shared among threads: in bands whose bounds depend on the picture alone, so that threads change no bit."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

__all__ = ["BAND", "available", "bands", "each", "each_band", "threads"]

Part = TypeVar("Part")

BAND = 32  # rows
_count: ContextVar[int | None] = ContextVar("threads of the patch engine", default=None)


def available() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Within, the patch engine uses so many threads; with None, and without, as many as the process may."""
    token = _count.set(count)
    try:
        yield
    finally:
        _count.reset(token)


def bands(height: int) -> list[tuple[int, int]]:
    """First row and end of every band of a picture so many rows high."""
    return [(start, min(start + BAND, height)) for start in range(0, height, BAND)]


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="gesso-patch")


def each(parts: Sequence[Part], work: Callable[[Part], object]) -> None:
    """Call work(part) for every part, on several threads where there are several parts and processors."""
    count = _count.get() or available()
    if count == 1 or len(parts) == 1:
        for part in parts:
            work(part)
    else:
        list(_pool(count).map(work, parts))


def each_band(height: int, work: Callable[[int, int], object]) -> None:
    """Call work(start, end) for every band of a picture so many rows high; see `each`."""
    each(bands(height), lambda part: work(*part))
