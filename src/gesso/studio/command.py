"""`gesso studio`: the studio, until it is stopped."""

import os
import socket
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from gesso.contract.task import Event, Message, Result, Task
from gesso.errors import GessoError
from gesso.options import Field, Options

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EXTRA = "pip install 'gesso[studio]'"


class StudioOptions(Options):
    """Open the studio in the browser.

    Everything of Gesso without a command line: pictures, training, sliders, a canvas, the gallery. It listens to this
    machine alone; --host opens it to others, who then need the password that GESSO_PASSWORD holds.
    """

    host: str = Field(default="127.0.0.1", description="Address to listen at; 0.0.0.0 for all of this machine.")
    port: int = Field(default=7788, ge=1, le=65535, description="Port to listen at.")
    database: str = Field(
        default="",
        description="URL of a PostgreSQL to keep gallery and jobs in; SQLite in the home if not given.",
    )
    open: bool = Field(default=True, description="Open the browser.")


class Studio(Task[StudioOptions]):
    """The command. It is none of the table's tasks: nobody asks the studio for a studio."""

    name = "studio"
    Options = StudioOptions
    example = "gesso studio"
    pace = "hours"

    def run(self, options: StudioOptions, home: Path) -> Iterator[Event]:
        """Serve until it is stopped; raises GessoError where it may not, or the port is taken."""
        password = os.environ.get("GESSO_PASSWORD") or None
        if options.host not in LOOPBACK and (password is None or len(password) < 8):
            raise GessoError(
                f"At {options.host} others can reach the studio, and no password is set.",
                "Set one of 8 letters or more in GESSO_PASSWORD, or leave out --host.",
            )
        try:
            import uvicorn

            from gesso.studio.app import made
            from gesso.studio.house import Settings, opened
        except ImportError as error:
            raise GessoError(f"The studio needs {error.name}, which is not here.", f"Install it: {EXTRA}") from None

        taken = _listen(options.host, options.port)
        settings = Settings(home, options.host, options.port, password, options.database or None)
        with taken, opened(settings) as house:
            shown = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host
            address = f"http://{f'[{shown}]' if ':' in shown else shown}:{options.port}"
            signed = f"{address}/?token={house.keys.token}"
            config = uvicorn.Config(
                made(house), log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=3,
                ws_max_size=8 << 20, ws_per_message_deflate=False,
            )  # fmt: skip
            server = uvicorn.Server(config)
            yield Message(f"The studio is at {signed}")
            yield Message("It runs until you press Ctrl-C; trainings then save, and go on the next time.")
            if options.open:
                threading.Thread(target=_open_browser, args=(server, signed), daemon=True).start()
            server.run(sockets=[taken])
        yield Result("The studio is closed.")


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises GessoError where the port is taken, or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        reason = (error.strerror or str(error)).lower()
        raise GessoError(f"Port {port} of {host} is not free: {reason}.", "Choose another with --port.") from None
    return listening


def _open_browser(server: object, address: str) -> None:
    import time

    until = time.monotonic() + 30
    while not getattr(server, "started", False) and time.monotonic() < until:
        time.sleep(0.05)
    webbrowser.open(address)
