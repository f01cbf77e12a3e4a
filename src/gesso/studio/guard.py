"""Who may talk to the studio: whoever knows the token, from the studio's own pages, under its own name.

Every request passes here, HTTP and WebSocket alike. A page of another site can make a browser send requests, but not
with our Origin; a name that was rebound to this machine arrives with a Host that is not ours; neither has the cookie.
"""

import hmac
import math
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.cookies import SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gesso.errors import GessoError
from gesso.files import write_text

__all__ = ["OPEN", "POLICY", "Guard", "Keys", "own_hosts", "with_cookie"]

OPEN = {"/api/session"}  # what answers without a token, beside the pages themselves, which hold nothing of anyone's
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}  # fmt: skip
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PAUSE = 1.0  # seconds between two tries of a password, whoever tries


class Keys:
    """The token of a home folder, made once, and the password where there is one."""

    def __init__(
        self, place: Path, port: int, password: str | None = None, clock: Callable[[], float] = time.monotonic
    ):  # fmt: skip
        self.cookie = f"gesso-{port}"  # browsers do not tell the ports of one machine apart
        try:
            self.token = place.read_text().strip()
        except OSError:
            self.token = ""
        if len(self.token) < 32:
            self.token = secrets.token_urlsafe(32)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_text(place, self.token)
            place.chmod(0o600)
        self._password, self._clock, self._next = password, clock, -math.inf

    def is_token(self, given: str | None) -> bool:
        """Whether it is the token; takes as long for any."""
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def is_password(self, given: str) -> bool:
        """Whether it is the password; raises GessoError where there is none, and when tries come too quickly."""
        if self._password is None:
            problem = "This studio has no password."
            raise GessoError(problem, "Open it by the address that `gesso studio` printed.")
        now = self._clock()
        if now < self._next:
            raise GessoError("Too many tries.", "Wait a second, then try again.")
        self._next = now + PAUSE
        return hmac.compare_digest(given.encode(), self._password.encode())


def own_hosts(host: str, port: int) -> set[str]:
    """What a request's Host may be: exactly the names of this studio, with its port."""
    names = {*LOOPBACK}
    if host not in ("127.0.0.1", "localhost", "::1"):
        names |= {host, socket.gethostname(), socket.getfqdn()}
        with suppress(OSError):
            names |= {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)}
    found = {f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names}
    return {f"{name}:{port}".lower() for name in found} | ({name.lower() for name in found} if port == 80 else set())


class Guard:
    """The middleware. hosts: as of `own_hosts`."""

    def __init__(self, app: ASGIApp, keys: Keys, hosts: Iterable[str]):
        self._app, self._keys, self._hosts = app, keys, set(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it pass, or answer for it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is not None:
                await receive()
                await send({"type": "websocket.close", "code": 4403, "reason": refusal[1]})
                return
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"]] + [
                    (name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in there
                ]
            await send(message)

        answer = self._signed_in(scope) if refusal is None else _refused(*refusal)
        await (answer or self._app)(scope, receive, sealed)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        """Status, problem and remedy, where it may not pass."""
        if headers.get("host", "").lower() not in self._hosts or len(headers.getlist("host")) != 1:
            return 403, "This is not an address of the studio.", "Open it by the address that `gesso studio` printed."
        origin = headers.get("origin")
        if origin is not None:
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or host.lower() != headers["host"].lower():
                return 403, "Another site may not ask the studio for anything.", ""
        elif scope["type"] == "websocket" and "authorization" not in headers:
            return 403, "A live connection says where it comes from.", "Send an Origin, or the token."
        path = scope["path"]
        if path.startswith("/api/") and path not in OPEN and not self._known(headers):
            remedy = "Open the address that `gesso studio` printed, or give the password."
            return 401, "You are not signed in.", remedy
        return None

    def _known(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._keys.is_token(token.strip())
        cookie = SimpleCookie()
        try:
            cookie.load(headers.get("cookie", ""))
        except Exception:  # whatever a browser was made to send
            return False
        return self._keys.cookie in cookie and self._keys.is_token(cookie[self._keys.cookie].value)

    def _signed_in(self, scope: Scope) -> Response | None:
        """A redirect with the cookie, for whoever comes by the address with the token."""
        if scope["path"] != "/" or scope["method"] != "GET":
            return None
        token = QueryParams(scope["query_string"]).get("token")
        if token is None:
            return None
        answer = RedirectResponse("/", 303)
        if self._keys.is_token(token):
            with_cookie(answer, self._keys)
        return answer


def with_cookie(answer: Response, keys: Keys) -> Response:
    """The same answer, signing the browser in for a year."""
    answer.set_cookie(keys.cookie, keys.token, max_age=365 * 86400, httponly=True, samesite="strict", path="/")
    return answer


def _refused(status: int, problem: str, remedy: str) -> Response:
    return JSONResponse({"problem": problem, "remedy": remedy, "field": None}, status)
