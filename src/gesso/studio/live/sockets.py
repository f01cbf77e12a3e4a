"""Live drawing for browsers: two WebSockets, each with one request in flight, of which the latest wins."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gesso.errors import GessoError
from gesso.studio.live.frames import Answer, framed

__all__ = ["MOST_BINARY", "MOST_TEXT", "Artist", "Socket", "explore", "paint"]

MOST_TEXT, MOST_BINARY = 64 << 10, 4 << 20  # bytes of a frame that comes up


class Socket(Protocol):
    """What is used of a starlette WebSocket, which the caller has accepted."""

    async def receive(self) -> Any:
        """The next message."""
        ...

    async def send_text(self, data: str) -> None:
        """Send a text frame."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        ...


class Artist(Protocol):
    """What is used of a `Drawer`."""

    async def ask(self, request: dict[str, Any], payload: bytes = b"") -> Answer:
        """The last answer to a request."""
        ...

    def stream(self, request: dict[str, Any], payload: bytes = b"") -> AsyncGenerator[Answer, None]:
        """The answers to a request."""
        ...


@dataclass
class Wish:
    """A request as it came up. id: by which the page knows its answer."""

    id: int | None
    values: dict[str, Any]
    payload: bytes = b""


class Latest:
    """The one request that has come last and was not taken yet."""

    def __init__(self) -> None:
        self._wish: Wish | None = None
        self._come, self.closed = asyncio.Event(), False

    def put(self, wish: Wish) -> None:
        """Take the place of an older one."""
        self._wish = wish
        self._come.set()

    def close(self) -> None:
        """No more will come."""
        self.closed = True
        self._come.set()

    async def come(self) -> None:
        """Wait until there is one, or there will be none."""
        await self._come.wait()

    async def take(self) -> Wish | None:
        """The next; None at the end."""
        await self._come.wait()
        if self.closed:
            return None
        self._come.clear()
        wish, self._wish = self._wish, None
        return wish


async def explore(socket: Socket, drawer: Artist, number: int) -> None:
    """Draw pictures of a run as they are asked for, until the page goes away.

    First comes a text frame that says what the run can do, or why it cannot draw.
    """
    opened = False

    async def begin(id_: int | None) -> bool:
        nonlocal opened
        if not opened:
            try:
                answer = await drawer.ask({"do": "open", "run": number})
            except GessoError as error:
                await _sorry(socket, error, id_)
                return False
            await socket.send_text(json.dumps(answer.json, ensure_ascii=False))
            opened = True
        return True

    async def serve(wish: Wish, latest: Latest) -> None:
        if await begin(wish.id):
            do = "map" if "map" in wish.values else "draw"
            answer = await drawer.ask({**wish.values, "do": do, "run": number})
            await _show(socket, wish.id, answer)

    await _served(socket, serve, first=lambda: begin(None), paired=False)


async def paint(socket: Socket, drawer: Artist, dataset: str) -> None:
    """Finish paintings in the manner of a data set as they come, until the page goes away; a newer ends an older.

    While the index of a data set is first made, text frames say how far it is: {"id", "done": 0, "making"}.
    """

    async def prepare() -> None:
        with suppress(GessoError):  # which the first painting will meet, and tell
            await drawer.ask({"do": "canvas", "data": dataset})

    preparing = asyncio.create_task(prepare())

    async def serve(wish: Wish, latest: Latest) -> None:
        newer = asyncio.create_task(latest.come())
        request = {**wish.values, "do": "paint", "data": dataset}
        async with aclosing(drawer.stream(request, wish.payload)) as frames:
            step = asyncio.create_task(_next(frames))
            try:
                while True:
                    await asyncio.wait({step, newer}, return_when=asyncio.FIRST_COMPLETED)
                    answer = None if newer.done() else step.result()
                    if answer is None:
                        return
                    await _show(socket, wish.id, answer)
                    step = asyncio.create_task(_next(frames))
            finally:
                for task in (newer, step):
                    task.cancel()
                await asyncio.gather(newer, step, return_exceptions=True)

    try:
        await _served(socket, serve, paired=True)
    finally:
        preparing.cancel()
        with suppress(asyncio.CancelledError):
            await preparing


async def _next(frames: AsyncGenerator[Answer, None]) -> Answer | None:
    return await anext(frames, None)


async def _show(socket: Socket, id_: int | None, answer: Answer) -> None:
    """A picture as a binary frame, what is told without one as text."""
    values = {"id": id_, **answer.json}
    if answer.bytes:
        await socket.send_bytes(framed(values, answer.bytes))
    else:
        await socket.send_text(json.dumps(values))


async def _served(
    socket: Socket, serve: Callable[[Wish, Latest], Awaitable[None]], paired: bool,
    first: Callable[[], Awaitable[object]] | None = None,
) -> None:  # fmt: skip
    """Read requests and serve the latest, one at a time, until the page goes away."""
    latest = Latest()
    reading = asyncio.create_task(_read(socket, latest, paired))
    working = asyncio.create_task(_work(socket, serve, latest, first))
    try:
        await asyncio.wait({reading, working}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, working):
            task.cancel()
        ended = await asyncio.gather(reading, working, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception) and not _gone(error):
            raise error


async def _work(
    socket: Socket, serve: Callable[[Wish, Latest], Awaitable[None]], latest: Latest,
    first: Callable[[], Awaitable[object]] | None,
) -> None:  # fmt: skip
    if first is not None:
        await first()
    while (wish := await latest.take()) is not None:
        try:
            await serve(wish, latest)
        except GessoError as error:
            await _sorry(socket, error, wish.id)


async def _read(socket: Socket, latest: Latest, paired: bool) -> None:
    """Read frames until the page goes away. paired: a binary frame follows every text."""
    waiting: Wish | None = None
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            latest.close()
            return
        text, data = message.get("text"), message.get("bytes")
        try:
            if text is not None:
                wish = _wish(text)
                if paired:
                    waiting = wish
                else:
                    latest.put(wish)
            elif not paired:
                raise GessoError("A request is a text frame.", "Send JSON.")
            elif waiting is None:
                raise GessoError("A painting came without its request.", "Send the JSON first, then the PNG.")
            elif data is not None and len(data) > MOST_BINARY:
                waiting, id_ = None, waiting.id
                too = GessoError(f"The painting has more than {MOST_BINARY >> 20} MB.", "Paint on a smaller canvas.")
                await _sorry(socket, too, id_)
            else:
                latest.put(Wish(waiting.id, waiting.values, data or b""))
                waiting = None
        except GessoError as error:
            waiting = None
            await _sorry(socket, error, None)


def _wish(text: str) -> Wish:
    """A request out of a text frame; raises GessoError for what is none."""
    if len(text) > MOST_TEXT or len(text.encode(errors="replace")) > MOST_TEXT:
        raise GessoError(f"The request has more than {MOST_TEXT >> 10} KB.", "Ask for less at once.")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise GessoError("The request is not a JSON object.", 'Send for example {"id": 1, "seed": 7}.')
    id_ = values.pop("id", None)
    for name in ("do", "run", "data", "ticket", "cancel"):  # which are ours to say
        values.pop(name, None)
    return Wish(id_ if isinstance(id_, int) and not isinstance(id_, bool) else None, values)


async def _sorry(socket: Socket, error: GessoError, id_: int | None) -> None:
    await socket.send_text(json.dumps({"id": id_, "problem": error.problem, "remedy": error.remedy}))


def _gone(error: Exception) -> bool:
    """Whether an error is that of a page that went away: told by starlette by several kinds."""
    told = isinstance(error, RuntimeError) and ("websocket" in f"{error}" or "message has been" in f"{error}")
    return told or isinstance(error, ConnectionError) or type(error).__name__ == "WebSocketDisconnect"
