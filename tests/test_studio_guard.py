"""Who may talk to the studio: every route of it × who asks × from where × under which name."""

import asyncio
import itertools
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute

from gesso.errors import GessoError
from gesso.studio.app import made
from gesso.studio.guard import POLICY, Keys, own_hosts
from gesso.studio.house import Settings, opened

PORT = 7788
HOST = f"127.0.0.1:{PORT}"
ORIGINS = {"none": None, "own": f"http://{HOST}", "evil": "https://evil.example", "null": "null",
           "other port": "http://127.0.0.1:8000", "like ours": f"http://{HOST}.evil.example"}  # fmt: skip
HOSTS = {"own": HOST, "localhost": f"localhost:{PORT}", "rebound": f"rebound.example:{PORT}", "no port": "127.0.0.1"}

# What each route answers to whoever may ask, for ids that are nowhere and without a body. A new route needs a line.
ANSWERS = {
    ("POST", "/api/session"): 422,
    ("GET", "/api/about"): 200,
    ("GET", "/api/tasks"): 200,
    ("GET", "/api/families"): None,  # asks the drawing process, which is not begun here
    ("GET", "/api/jobs"): 200,
    ("GET", "/api/jobs/{job}"): 404,
    ("GET", "/api/jobs/{job}/log"): 404,
    ("GET", "/api/jobs/{job}/previews"): 200,
    ("GET", "/api/jobs/{job}/previews/{number}"): 404,
    ("GET", "/api/jobs/{job}/files/{number}"): 404,
    ("POST", "/api/jobs/{job}/pause"): 404,
    ("POST", "/api/jobs/{job}/resume"): 404,
    ("POST", "/api/jobs/{job}/cancel"): 404,
    ("POST", "/api/jobs/{job}/retry"): 404,
    ("POST", "/api/jobs/{job}/move"): 422,
    ("POST", "/api/jobs/{job}/priority"): 422,
    ("DELETE", "/api/jobs/{job}"): 404,
    ("GET", "/api/queue"): 200,
    ("POST", "/api/queue/pause"): 200,
    ("POST", "/api/queue/resume"): 200,
    ("GET", "/api/events"): None,  # never ends
    ("POST", "/api/uploads"): 422,
    ("GET", "/api/uploads/{key}"): 404,
    ("POST", "/api/recipes"): 422,
    ("POST", "/api/stages"): 201,
    ("PUT", "/api/stages/{key}/files"): 422,
    ("DELETE", "/api/stages/{key}"): 204,
    ("GET", "/api/datasets"): 200,
    ("GET", "/api/datasets/{name}"): 404,
    ("GET", "/api/datasets/{name}/pictures"): 404,
    ("GET", "/api/datasets/{name}/pictures/{index}"): 404,
    ("GET", "/api/datasets/{name}/duplicates"): 404,
    ("PATCH", "/api/datasets/{name}"): 422,
    ("POST", "/api/datasets/{name}/copy"): 422,
    ("DELETE", "/api/datasets/{name}"): 404,
    ("GET", "/api/runs"): 200,
    ("GET", "/api/runs/{number}"): 404,
    ("GET", "/api/runs/{number}/drawing"): 404,
    ("GET", "/api/runs/{number}/log"): 404,
    ("GET", "/api/runs/{number}/samples/{name}"): 404,
    ("GET", "/api/runs/{number}/card"): 404,
    ("DELETE", "/api/runs/{number}"): 404,
    ("GET", "/api/pictures"): 200,
    ("POST", "/api/pictures/mark"): 422,
    ("GET", "/api/pictures/{key}"): 404,
    ("GET", "/api/pictures/{key}/file"): 404,
    ("GET", "/api/pictures/{key}/thumb"): 404,
    ("PATCH", "/api/pictures/{key}"): 422,
    ("POST", "/api/pictures/{key}/again"): 422,
    ("DELETE", "/api/pictures/{key}"): 404,
    ("POST", "/api/pictures/{key}/undelete"): 404,
    ("POST", "/api/verify"): 422,
    ("GET", "/api/pictures/{key}/verify"): 404,
    ("POST", "/api/pictures/{key}/replay"): 404,
    ("GET", "/api/marks"): 200,
    ("PUT", "/api/marks"): 422,
    ("GET", "/api/marks/label"): 200,
    ("GET", "/api/marks/certificate"): 200,
    ("GET", "/api/marks/ledger"): 200,
    ("GET", "/api/boards"): 200,
    ("POST", "/api/boards"): 422,
    ("PATCH", "/api/boards/{key}"): 422,
    ("DELETE", "/api/boards/{key}"): 404,
    ("GET", "/assets/{name}"): 404,
    ("GET", "/{path:path}"): 404,
    ("GET", "/api/openapi.json"): 200,
}
SOCKETS = {"/api/live/explore/{number}", "/api/live/paint/{dataset}"}
PUBLIC = {("POST", "/api/session"), ("GET", "/assets/{name}"), ("GET", "/{path:path}")}
PARTS = {
    "job": "0",
    "key": "0",
    "name": "nowhere",
    "number": "1",
    "index": "0",
    "path:path": "no/where",
    "dataset": "x",
}


def answer_of(method, path):
    """What it answers to whoever may ask; the routes of tasks are alike."""
    if path.startswith("/api/tasks/"):
        return 422
    return ANSWERS[method, path]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with opened(Settings(tmp_path_factory.mktemp("home"), port=PORT, password="a long password")) as house:
        yield house


@pytest.fixture(scope="module")
def app(house):
    return made(house, work=False)


def inner(app):
    return app._app  # the application that the guard stands before


def flat(routes):
    """Routes one by one: some versions of FastAPI keep routers that were included as they are."""
    for route in routes:
        router = getattr(route, "original_router", None)
        yield from flat(router.routes) if router is not None else [route]


def routes_of(app):
    for route in flat(inner(app).routes):
        if not isinstance(route, WebSocketRoute):
            for method in sorted(route.methods - {"HEAD"}):
                yield method, route.path


def filled(path):
    for name, value in PARTS.items():
        path = path.replace("{" + name + "}", value)
    return path


async def asked(app, method, path, token, origin, host):
    headers = {"host": host}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if origin is not None:
        headers["origin"] = origin
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
        return await client.request(method, filled(path), headers=headers)


def test_every_route_has_a_line(app):
    there = {key for key in routes_of(app) if not key[1].startswith("/api/tasks/")}
    assert there == set(ANSWERS)
    assert {route.path for route in flat(inner(app).routes) if isinstance(route, WebSocketRoute)} == SOCKETS
    assert not [one for one in flat(inner(app).routes) if not isinstance(one, Route | WebSocketRoute)]


@pytest.mark.parametrize("who", ["nobody", "stranger", "owner"])
@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("host", HOSTS)
def test_every_route(app, house, who, origin, host):
    token = {"nobody": None, "stranger": "x" * 43, "owner": house.keys.token}[who]

    async def all_of_them():
        for method, path in routes_of(app):
            wrong = host in ("rebound", "no port") or origin in ("evil", "null", "other port", "like ours")
            wrong = wrong or (origin == "own" and host == "localhost")
            expected = answer_of(method, path)
            if wrong:
                expected = 403
            elif who != "owner" and (method, path) not in PUBLIC:
                expected = 401
            if expected is None:
                continue
            answer = await asked(app, method, path, token, ORIGINS[origin], HOSTS[host])
            assert answer.status_code == expected, (method, path)
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
            if expected >= 400 and "application/json" in answer.headers["content-type"]:
                assert answer.json()["problem"].endswith(".")

    asyncio.run(all_of_them())


async def knocked(app, path, headers):
    """What a WebSocket is answered: 'accept', or the code it is closed with."""
    said = []
    scope = {
        "type": "websocket", "path": filled(path), "raw_path": filled(path).encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "subprotocols": [],
        "scheme": "ws", "server": ("127.0.0.1", PORT), "client": ("127.0.0.1", 1), "root_path": "", "state": {},
    }  # fmt: skip
    steps = iter([{"type": "websocket.connect"}])

    async def receive():
        try:
            return next(steps)
        except StopIteration:
            raise asyncio.CancelledError from None

    async def send(message):
        said.append(message)
        if message["type"] == "websocket.accept":
            raise asyncio.CancelledError

    with suppress(asyncio.CancelledError):
        await app(scope, receive, send)
    return "accept" if said[0]["type"] == "websocket.accept" else said[0]["code"]


@pytest.mark.parametrize("path", sorted(SOCKETS))
def test_every_socket(app, house, path):
    cookies = {"nobody": None, "stranger": f"gesso-{PORT}=wrong", "owner": f"gesso-{PORT}={house.keys.token}"}

    async def all_of_them():
        for who, origin, host in itertools.product(cookies, ORIGINS, HOSTS):
            headers = {"host": HOSTS[host]}
            if cookies[who]:
                headers["cookie"] = cookies[who]
            if ORIGINS[origin]:
                headers["origin"] = ORIGINS[origin]
            may = who == "owner" and origin == "own" and host == "own"
            assert await knocked(app, path, headers) == ("accept" if may else 4403), (who, origin, host)

    asyncio.run(all_of_them())


def test_the_address_with_the_token_signs_in(app, house):
    async def visit(token):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
            return await client.get("/", params={"token": token})

    answer = asyncio.run(visit(house.keys.token))
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert f"gesso-{PORT}=" in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "set-cookie" not in asyncio.run(visit("x" * 43)).headers


def test_a_password_signs_in(app):
    async def sign_in(password):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
            return await client.post("/api/session", json={"password": password})

    right = asyncio.run(sign_in("a long password"))
    assert right.status_code == 204
    assert "set-cookie" in right.headers
    assert asyncio.run(sign_in("at once after it")).json()["problem"] == "Too many tries."


def test_a_password_is_not_guessed_quickly(tmp_path):
    now = iter([0.0, 0.1, 1.2])
    keys = Keys(tmp_path / "token", PORT, "a long password", lambda: next(now))
    assert not keys.is_password("guess")
    with pytest.raises(GessoError, match="Too many tries"):
        keys.is_password("a long password")
    assert keys.is_password("a long password")
    with pytest.raises(GessoError, match="no password"):
        Keys(tmp_path / "token", PORT).is_password("")


def test_the_token_is_its_owners_alone(tmp_path):
    place = tmp_path / "studio" / "token"
    first = Keys(place, PORT)
    assert place.stat().st_mode & 0o777 == 0o600
    assert Keys(place, PORT).token == first.token
    assert len(first.token) > 40


def test_hosts_are_exact():
    assert own_hosts("127.0.0.1", PORT) == {HOST, f"localhost:{PORT}", f"[::1]:{PORT}"}
    assert f"0.0.0.0:{PORT}" in own_hosts("0.0.0.0", PORT)
    assert not [host for host in own_hosts("0.0.0.0", PORT) if not host.endswith(f":{PORT}")]


@pytest.mark.parametrize("password", [None, "short"])
def test_others_are_not_let_in_without_a_password(tmp_path, monkeypatch, password):
    from gesso.studio.command import Studio, StudioOptions

    monkeypatch.delenv("GESSO_PASSWORD", raising=False)
    if password:
        monkeypatch.setenv("GESSO_PASSWORD", password)
    with pytest.raises(GessoError, match="no password is set"):
        next(iter(Studio().run(StudioOptions(host="0.0.0.0", open=False), tmp_path)))


def test_files_of_the_pages_stay_within_their_folder(app):
    async def ask(path):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}") as client:
            return (await client.get(path)).status_code

    for path in ("/assets/..%2f..%2fapp.py", "/..%2fapp.py", "/assets/%2e%2e/app.py", "/app.py", "/static/index.html"):
        assert asyncio.run(ask(path)) == 404, path
    assert Path(__file__).exists()
