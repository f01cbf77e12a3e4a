"""The server's side of live drawing: a child process that draws, started again when it dies. Imports no torch."""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from gesso.errors import GessoError
from gesso.studio.live.frames import LENGTH, LONGEST, Answer, whole

__all__ = ["Answer", "Drawer"]

STARTS, WITHIN = 3, 60.0  # so many starts in so many seconds, and no more
PATIENCE = 2.0  # seconds that the child has to end by itself
SLOW = 30.0  # seconds after which a start has failed
BUFFER = 4 << 20  # bytes read ahead
SAID = 20  # last lines of the child's that are kept
log = logging.getLogger("gesso.studio.live")


class Drawer:
    """The warm process that draws, as the server sees it. All calls belong to one event loop.

        drawer = Drawer(home)
        await drawer.start()
        answer = await drawer.ask({"do": "draw", "run": 7, "seed": 3})
        async for answer in drawer.stream({"do": "paint", "data": "flowers"}, png): ...
        await drawer.stop()

    Questions are sent at once, drawn in turn and answered when they are done; one that is cancelled is not drawn, or
    ends at its next step. `ask` and `stream` raise GessoError for what the process says cannot be done, and where it
    stopped. most: starts within a minute.
    """

    def __init__(self, home: Path, most: int = STARTS):
        self._home, self._most = home, most
        self._waiting = dict[int, asyncio.Queue[Answer | GessoError | None]]()
        self._tickets, self._started = 0, deque[float]()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._wanted = False

    @property
    def pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Begin to start the process; it imports in the background, and answers when it is ready."""
        if self._task is None:
            self._wanted = True
            self._task = asyncio.create_task(self._keep_alive(), name="gesso-drawer")

    async def stop(self) -> None:
        """End the process; those who wait for it are told."""
        self._wanted = False
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def ask(self, request: dict[str, Any], payload: bytes = b"") -> Answer:
        """The answer to a request; of one with several answers, the last."""
        found = Answer({})
        async with aclosing(self.stream(request, payload)) as answers:
            async for answer in answers:
                found = answer
        return found

    async def stream(self, request: dict[str, Any], payload: bytes = b"") -> AsyncGenerator[Answer, None]:
        """The answers to a request, as they come. Closing it ends the work on them."""
        await self._ready()
        self._tickets += 1
        ticket, done = self._tickets, False
        answers = self._waiting[ticket] = asyncio.Queue()
        try:
            await self._send({**request, "ticket": ticket}, payload)
            while True:
                answer = await answers.get()
                done = not isinstance(answer, Answer) or bool(answer.json.get("last"))
                if isinstance(answer, GessoError):
                    raise answer
                if answer is None:
                    return
                if "problem" in answer.json:
                    raise GessoError(str(answer.json["problem"]), str(answer.json.get("remedy", "")))
                if "answer" in answer.json:
                    yield Answer(answer.json["answer"], answer.bytes)
                if done:
                    return
        finally:
            self._waiting.pop(ticket, None)
            if not done:
                self._write({"cancel": ticket})

    async def _ready(self) -> None:
        """Wait for the process while it starts; raise GessoError where it will not within a moment."""
        if self._task is None or self._task.done():
            raise GessoError("The drawing process is not running.", "Start the studio again.")
        left = self._rest()
        if not self._up.is_set() and left > 0:
            raise GessoError(
                f"The drawing process stopped {self._most} times within a minute.",
                f"It is started again in {left:.0f} seconds; free some memory meanwhile.",
            )
        try:
            await asyncio.wait_for(self._up.wait(), SLOW)
        except TimeoutError:
            raise GessoError("The drawing process does not start.", "See the studio's log.") from None

    def _rest(self) -> float:
        """Seconds until it may be started once more."""
        while self._started and time.monotonic() - self._started[0] > WITHIN:
            self._started.popleft()
        return self._started[0] + WITHIN - time.monotonic() if len(self._started) >= self._most else 0.0

    def _write(self, values: dict[str, Any], payload: bytes = b"") -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(whole(values, payload))

    async def _send(self, values: dict[str, Any], payload: bytes) -> None:
        self._write(values, payload)
        process = self._process
        with suppress(ConnectionError):  # whoever reads will notice, and tell
            if process is not None and process.stdin is not None:
                await process.stdin.drain()

    async def _keep_alive(self) -> None:
        """Start the process, read from it until it ends, and begin anew."""
        try:
            while self._wanted:
                await asyncio.sleep(self._rest())
                self._started.append(time.monotonic())
                said = deque[str](maxlen=SAID)
                try:
                    process = await self._spawn()
                except OSError as error:
                    self._tell(f"could not be started ({error})")
                    await asyncio.sleep(1)
                    continue
                self._process = process
                self._up.set()
                listening = asyncio.create_task(self._listen(process, said))
                try:
                    await self._read(process)
                finally:
                    self._up.clear()
                    self._process = None
                    await self._bury(process)
                    await listening
                self._tell(f"stopped ({_why(process.returncode, said)})")
        finally:
            self._tell("stopped", again=False)

    async def _spawn(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gesso.studio.live.child", str(self._home), stdin=pipe, stdout=pipe, stderr=pipe,
            limit=BUFFER, env=environment,
        )  # fmt: skip

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand answers to those who wait for them, until there are no more."""
        source = process.stdout
        assert source is not None
        with suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            while True:
                parts = list[bytes]()
                for _ in range(2):
                    (length,) = LENGTH.unpack(await source.readexactly(LENGTH.size))
                    if length > LONGEST:
                        raise ValueError("no frame of ours")
                    parts.append(await source.readexactly(length))
                answer = Answer(json.loads(parts[0]), parts[1])
                waiting = self._waiting.get(answer.json["ticket"])
                if waiting is not None:
                    waiting.put_nowait(answer)

    async def _listen(self, process: asyncio.subprocess.Process, said: deque[str]) -> None:
        """Pass on what the process says to people."""
        source = process.stderr
        assert source is not None
        while True:
            try:
                line = await source.readline()
            except ValueError:  # a line of megabytes, which is passed over
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            said.append(text)
            log.info("drawing: %s", text)

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        """See the process end: by itself when its input does, by force when it does not."""
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except (TimeoutError, asyncio.CancelledError):
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _tell(self, how: str, again: bool = True) -> None:
        """Tell all who wait that there is no answer."""
        waiting = [*self._waiting.values()]
        log.log(logging.WARNING if again else logging.DEBUG, "the drawing process %s", how)
        for one in waiting:
            if again:
                problem = f"The drawing process {how}; it is being started again."
                one.put_nowait(GessoError(problem, "Try again in a moment."))
            else:
                one.put_nowait(GessoError(f"The drawing process {how}.", "Start the studio again."))


def _why(code: int | None, said: deque[str]) -> str:
    """Why a process ended, in words."""
    if code is not None and code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            return f"killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
    last = next((line for line in reversed(said) if line.strip()), "")
    return f"exit code {code}" + (f", {last[:200]}" if last else "")
