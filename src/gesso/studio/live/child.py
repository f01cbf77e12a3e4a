"""The drawing process: `python -m gesso.studio.live.child HOME`. Answers what comes on its standard input.

A question is a JSON object with a `ticket`, by which it is answered; `do` says what is asked. Pictures are drawn in the
order in which they are asked for. What takes long (maps, paintings) goes on a step at a time, in turn, between them;
{"cancel": TICKET} ends it. The last answer to a ticket says so.
"""

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gesso.errors import GessoError
from gesso.studio.live.frames import Answer, read, whole

__all__ = ["Inbox", "Painter", "main"]

THREADS = 1  # of torch: of small pictures two are rarely quicker, and far slower where another task trains
QUIET = 0.3  # seconds without a question, after which something is prepared
PIPE = 1 << 20  # bytes that the pipe holds: a picture of 256 × 256 and more
SET_PIPE_SIZE, SET_DEATH_SIGNAL = 1031, 1  # of Linux
MEMORY = GessoError("There is not enough memory to draw that.", "Stop a training, or draw something smaller.")


class Inbox:
    """What has come, in order; filled by a thread that reads. At the end of the input the process ends."""

    def __init__(self) -> None:
        self._come, self._some = deque[Answer](), threading.Condition()

    def listen(self) -> None:
        """Read for ever."""
        try:
            while True:
                came = read(sys.stdin.buffer)
                with self._some:
                    self._come.append(came)
                    self._some.notify()
        except BaseException:  # the parent is gone, or writes nonsense: either way there is nobody to draw for
            os._exit(0)

    def take(self, wait: float | None) -> list[Answer]:
        """All that has come; waits so many seconds for something, for ever with None."""
        with self._some:
            if not self._come:
                self._some.wait(wait)
            came = [*self._come]
            self._come.clear()
        return came


class Painter:
    """Answers questions. say: called with every answer."""

    def __init__(self, home: Path, say: Callable[[dict[str, Any], bytes], None]):
        from gesso import tasks
        from gesso.studio.live.canvas import Canvas
        from gesso.studio.live.warm import Models

        tasks.families()
        self._models, self._canvas, self._say = Models(home), Canvas(home), say
        self._long = deque[tuple[int, Iterator[Answer | None]]]()
        self._families: list[dict[str, Any]] = []

    @property
    def busy(self) -> bool:
        """Whether something long is under way."""
        return bool(self._long)

    def serve(self, came: list[Answer]) -> None:
        """Answer what has come; what takes long only begins."""
        ended = {one.json["cancel"] for one in came if "cancel" in one.json}
        for ticket, drawing in [*self._long]:
            if ticket in ended:
                self._long.remove((ticket, drawing))
                close = getattr(drawing, "close", None)
                if close is not None:
                    close()
        for one in came:
            ticket = one.json.get("ticket")
            if isinstance(ticket, int) and ticket not in ended:
                self._guarded(ticket, lambda one=one, ticket=ticket: self._begin(ticket, one))

    def step(self) -> None:
        """Go on with what takes long, the next in turn."""
        ticket, drawing = self._long.popleft()
        self._guarded(ticket, lambda: self._go_on(ticket, drawing))

    def idle(self) -> bool:
        """Prepare something; whether there was something to prepare."""
        try:
            return self._models.idle()
        except Exception:  # it will be met again when it is asked for
            traceback.print_exc()
            return False

    def _begin(self, ticket: int, asked: Answer) -> None:
        answer = self._answer(asked)
        if isinstance(answer, Answer):
            self._say({"ticket": ticket, "last": True, "answer": answer.json}, answer.bytes)
        else:
            self._long.append((ticket, answer))

    def _go_on(self, ticket: int, drawing: Iterator[Answer | None]) -> None:
        try:
            made = next(drawing)
        except StopIteration:
            self._say({"ticket": ticket, "last": True}, b"")
            return
        if made is not None:
            self._say({"ticket": ticket, "last": False, "answer": made.json}, made.bytes)
        self._long.append((ticket, drawing))

    def _answer(self, asked: Answer) -> Answer | Iterator[Answer | None]:
        from gesso.studio.live import known
        from gesso.studio.live.wishes import Draw, Map, Paint

        do = asked.json.get("do")
        values = {key: value for key, value in asked.json.items() if key not in ("ticket", "do", "run", "data")}
        if do == "ping":
            return Answer({"pid": os.getpid()}, asked.bytes)
        if do == "families":
            self._families = self._families or known.families()
            return Answer({"families": self._families})
        if do in ("knobs", "open", "draw", "map"):
            number = asked.json.get("run")
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise GessoError("A run is named by its number.")
            wish = {"draw": Draw, "map": Map}[do].of(values) if do in ("draw", "map") else None
            warm = self._models.of(number)
            if isinstance(wish, Draw):
                return _drawn(warm, wish)
            if isinstance(wish, Map):
                return warm.map(wish)
            return Answer(known.about(warm) if do == "knobs" else known.ready(warm))
        if do in ("paint", "canvas"):
            name = asked.json.get("data")
            if not isinstance(name, str):
                raise GessoError("A data set is named by its name.")
            return (
                self._canvas.open(name) if do == "canvas" else self._canvas.paint(name, Paint.of(values), asked.bytes)
            )
        raise GessoError(f"The drawing process knows no '{str(do)[:40]}'.")

    def _guarded(self, ticket: int, work: Callable[[], None]) -> None:
        """Do something; what goes wrong becomes the last answer."""
        import torch

        try:
            work()
            return
        except GessoError as error:
            told = error
        except (MemoryError, torch.OutOfMemoryError):
            self._models.forget()
            self._canvas.forget()
            told = MEMORY
        except BrokenPipeError:
            raise
        except Exception as error:
            traceback.print_exc()
            told = GessoError(f"Drawing failed: {type(error).__name__}: {str(error)[:200]}.", "See the studio's log.")
        self._say({"ticket": ticket, "last": True, "problem": told.problem, "remedy": told.remedy}, b"")


def _drawn(warm: Any, wish: Any) -> Answer:
    from gesso.marks.picture import to_uint8
    from gesso.studio.live.warm import encoded

    begun = time.perf_counter()
    values, data = encoded(to_uint8(warm.draw(wish)[None])[0])
    took = round((time.perf_counter() - begun) * 1000, 2)
    return Answer({**values, "ms": took, "exported": warm.exported}, data)


def _alone() -> int:
    """Keep standard output for answers, and die with the parent; returns where answers go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our input
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes elsewhere
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        with suppress(OSError):
            import fcntl

            fcntl.fcntl(answers, SET_PIPE_SIZE, PIPE)
        with suppress(OSError):  # where memory runs out, this process goes before the server does
            Path("/proc/self/oom_score_adj").write_text("500")
    return answers


def main(home: str) -> None:
    """Answer until the input ends."""
    answers = os.fdopen(_alone(), "wb", buffering=0)

    def say(values: dict[str, Any], data: bytes) -> None:
        left = memoryview(whole(values, data))
        while left:
            left = left[answers.write(left) or 0 :]

    inbox = Inbox()
    threading.Thread(target=inbox.listen, daemon=True, name="gesso-inbox").start()
    import torch

    torch.set_num_threads(THREADS)
    painter, prepared = Painter(Path(home), say), False
    try:
        while True:
            came = inbox.take(0.0 if painter.busy else None if prepared else QUIET)
            if came:
                painter.serve(came)
                prepared = False
            elif not painter.busy:
                prepared = not painter.idle()
            if painter.busy:
                painter.step()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
