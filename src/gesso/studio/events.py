"""What happens, told to every page that listens.

All events pass one ring in memory. A listener is a place in it, nothing more: one that has stalled costs a socket, and
a page that comes back is told what it missed from its last id on, or to look anew where that is too long ago.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["Events"]

KEPT = 4096  # events that can be told again
QUIET = 15.0  # seconds until a sign of life
PAUSE = 0.25  # seconds in which events are gathered, so that many listeners cost few wakings


class Events:
    """The ring, and who listens. boot: names this start of the server; ids of events are "boot-number"."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(4)
        self._ring = deque[tuple[int, bytes]](maxlen=KEPT)
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._closed = False

    def begin(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()

    def tell(self, kind: str, value: Any) -> None:
        """Tell everyone, from any thread. value: plain JSON."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._add, kind, json.dumps(value, ensure_ascii=True))

    def close(self) -> None:
        """Let every listener go."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def listen(self, after: str | None) -> AsyncIterator[bytes]:
        """Server-sent events, from the one after the given id on (from now on if that is none)."""
        boot, _, number = (after or "").partition("-")
        known = boot == self.boot and number.isdecimal()
        place = int(number) if known else self._number
        yield b"retry: 1000\n" + self._framed("hello", json.dumps({"boot": self.boot}), place)
        if after and not known:
            yield self._framed("reset", "{}", place)
        while not self._closed:
            news = self._news
            if place < self._number:
                oldest = self._ring[0][0]
                if place + 1 < oldest:
                    place = self._number
                    yield self._framed("reset", "{}", place)
                    continue
                parts = [frame for at, frame in self._ring if at > place]
                place = self._number
                yield b"".join(parts)
                await asyncio.sleep(PAUSE)
                continue
            try:
                await asyncio.wait_for(news.wait(), QUIET)
            except TimeoutError:
                yield b": here\n\n"

    def _add(self, kind: str, text: str) -> None:
        self._number += 1
        self._ring.append((self._number, self._framed(kind, text, self._number)))
        self._news.set()
        self._news = asyncio.Event()

    def _framed(self, kind: str, text: str, number: int) -> bytes:
        return f"id: {self.boot}-{number}\nevent: {kind}\ndata: {text}\n\n".encode()
