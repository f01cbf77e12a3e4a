"""A studio in a process of its own, as users run it: begun, killed, begun again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from gesso.studio import Client


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """`gesso studio` of a home folder."""

    def __init__(self, home: Path, port: int | None = None, largest: int | None = None, **environment: str):
        self.home, self.port, self.environment = home, port or free_port(), environment
        self.largest = largest  # bytes that a file may have, as on a disk that is nearly full
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: Any) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def signed(self) -> str:
        """The address that signs a browser in."""
        return f"{self.address}/?token={(self.home / 'studio' / 'token').read_text()}"

    def start(self) -> "Server":
        words = ["studio", "--home", str(self.home), "--port", str(self.port), "--no-open"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gesso", *words], env=os.environ | self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=self._limited if self.largest else None,
        )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(self._said())
            try:
                httpx.get(f"{self.address}/api/about", timeout=5, trust_env=False)
                return self
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError("the studio did not begin")

    def _limited(self) -> None:
        import resource

        assert self.largest is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest, self.largest))

    def client(self) -> Client:
        return Client(self.address, home=self.home)

    def kill(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._said()

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self._said()

    def _said(self) -> str:
        """What it wrote, once it has ended."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return ""
        with self.process.stdout as stream:
            return stream.read().decode()


def child_of(server: Server, job: str) -> int | None:
    """The process that does a job, while there is one."""
    try:
        pid = int(json.loads((server.home / "studio" / "jobs" / job / "lock").read_text())["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError):
        return None
    return pid
