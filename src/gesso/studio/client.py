"""The studio from a script: the same API that its pages use.

from gesso.studio import Client

with Client(home="~/gesso") as studio:
    job = studio.ask("sample", run="emoji", count=16)
    done = studio.wait(job)
    for picture in done["result"]["pictures"]:
        studio.save(picture, "out/")
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from gesso.errors import GessoError
from gesso.tasks import find_home

__all__ = ["Client"]

OVER = ("done", "failed", "cancelled")


class Client:
    """A studio that runs on this machine, or another.

    home: whose token signs in, where none is given. Raises GessoError with the studio's own sentence for whatever it
    refuses, and where no studio answers.
    """

    def __init__(
        self, address: str = "http://127.0.0.1:7788", token: str | None = None, home: str | Path | None = None,
        timeout: float = 60.0,
    ):  # fmt: skip
        if token is None:
            place = find_home(home) / "studio" / "token"
            try:
                token = place.read_text().strip()
            except OSError:
                problem = f"There is no token in {place.parent}."
                raise GessoError(problem, "Start the studio once: gesso studio.") from None
        headers = {"authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Any request of the API, such as ("GET", "/api/runs"); more: as httpx takes it (json, params, content)."""
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            problem = f"No studio answers at {self._http.base_url}: {error or type(error).__name__}."
            raise GessoError(problem, "Start it: gesso studio.") from None
        if answer.is_success:
            return answer
        try:
            said = answer.json()
            raise GessoError(said["problem"], said["remedy"])
        except (ValueError, KeyError, TypeError):
            raise GessoError(f"The studio answered with {answer.status_code} to {method} {path}.") from None

    def get(self, path: str, **params: Any) -> Any:
        """The JSON at a path of the API."""
        return self.request("GET", path, params=params or None).json()

    def post(self, path: str, value: Any = None, **params: Any) -> Any:
        """Send JSON to a path of the API; returns the JSON of its answer, None where that is empty."""
        answer = self.request("POST", path, json=value, params=params or None)
        return answer.json() if answer.content else None

    def ask(self, task: str, *, priority: int = 0, **options: Any) -> dict[str, Any]:
        """Ask for a task, with its options; returns the job, which waits."""
        return self.post(f"/api/tasks/{task}", options, priority=priority)

    def wait(self, job: dict[str, Any] | str, seconds: float = 3600.0) -> dict[str, Any]:
        """The job once it is over; raises GessoError with its reason where it failed, or is not over in that time."""
        key, until = job if isinstance(job, str) else job["id"], time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.get(f"/api/jobs/{key}")
            if found["status"] == "failed":
                raise GessoError(found["error"]["problem"], found["error"]["remedy"])
            if found["status"] in OVER:
                return found
            time.sleep(0.1)
        raise GessoError(f"Job {key} is not over after {seconds:g} s.", "Wait longer, or look at its log.")

    def events(self, after: str | None = None) -> Iterator[dict[str, Any]]:
        """What happens, for ever: {"id", "event", "data"}. after: the id of the last that was heard."""
        headers = {} if after is None else {"last-event-id": after}
        with self._http.stream("GET", "/api/events", headers=headers, timeout=None) as answer:
            event: dict[str, Any] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if not line and event:
                    yield event
                    event = {}
                elif name in ("id", "event"):
                    event[name] = value
                elif name == "data":
                    event[name] = json.loads(value)

    def upload(self, path: str | Path) -> str:
        """Send a picture; returns the reference by which options name it."""
        place = Path(path).expanduser()
        answer = self.request("POST", "/api/uploads", params={"name": place.name}, content=place.read_bytes())
        return f"upload:{answer.json()['id']}"

    def import_pictures(self, path: str | Path, name: str, **options: Any) -> dict[str, Any]:
        """Send a folder or an archive, and ask for its import; returns the job."""
        place = Path(path).expanduser()
        stage = self.post("/api/stages")["id"]
        files = [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.is_file())
        for one in files:
            inside = one.name if place.is_file() else one.relative_to(place).as_posix()
            with one.open("rb") as content:
                self.request("PUT", f"/api/stages/{stage}/files", params={"path": inside}, content=content)
        return self.ask("import", source=f"stage:{stage}", name=name, **options)

    def verify(self, path: str | Path, watermark: bool = True) -> dict[str, Any]:
        """All that a file says of where it is from, and whether it holds; it is sent there, and not kept."""
        place = Path(path).expanduser()
        asked = {"name": place.name, "watermark": watermark}
        return self.request("POST", "/api/verify", params=asked, content=place.read_bytes()).json()

    def marks(self) -> dict[str, Any]:
        """What marks pictures get there, and who signs."""
        return self.get("/api/marks")

    def set_marks(self, **choices: Any) -> dict[str, Any]:
        """Change some of it, such as profile="eu"; what is not named stays. Returns how it is then."""
        return self.request("PUT", "/api/marks", json=choices).json()

    def save(self, picture: str, folder: str | Path) -> Path:
        """Fetch a picture of the gallery into a folder, as it is; returns its path."""
        from gesso.files import write_bytes

        row = self.get(f"/api/pictures/{picture}")
        target = Path(folder).expanduser() / Path(row["name"]).name
        write_bytes(target, self.request("GET", f"/api/pictures/{picture}/file").content)
        return target
