"""The studio under stress: kills, a long queue, many listeners, and how quick it is in a real browser.

    python -m bench.studio kills [--each 10]      SIGKILL of a training's process, and of the server in the midst of one
    python -m bench.studio queue [--jobs 100]     as many jobs, the server killed three times meanwhile
    python -m bench.studio listeners              50 pages that listen and 5 that have stalled, during a training
    python -m bench.studio browser [--moves 200]  a slider's move to the picture on screen; the first page

Each begins a real `gesso studio` with a home of its own. `kills` compares the tensors of every run's last state and
model with those of an undisturbed run: all must be equal. Lines go to bench/out/studio.jsonl.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tests.serving import Server, child_of

import gesso
from bench.data import OUT
from bench.kills import digest
from gesso.store import Run

TINY: dict[str, Any] = {
    "family": "gan", "set": ["width=8", "critic_width=8", "latent=8", "batch=8"], "save_every": 0.3, "threads": 1,
    "images": "12k", "precision": "float32", "preview_every": 3,
}  # fmt: skip


def fresh(name: str) -> Path:
    """An empty home."""
    home = OUT / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return home


def wrote(line: dict[str, Any]) -> None:
    """Keep a figure, and show it."""
    line = {"load": round(os.getloadavg()[0], 2), **line}
    with (OUT / "studio.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


def until(look: Callable[[], Any], seconds: float = 120.0) -> Any:
    """What `look` finds, once it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise SystemExit("it did not come")


def kills(each: int) -> bool:
    """Whether every killed training ended where an undisturbed one does."""
    home, rng = fresh("studio-kills"), random.Random(0)
    gesso.run("import", source="blossoms", count=100, size="16", name="few", home=home)
    good = {"process": 0, "server": 0}
    with Server(home) as server, server.client() as client:
        client.wait(client.ask("train", dataset="few", **TINY))
        right = digest(Run.open(home, 1))

        def running(job: dict[str, Any]) -> Any:
            found = client.get(f"/api/jobs/{job['id']}")
            return found if found["run"] and found["progress"] and found["progress"]["done"] > 100 else None

        for number in range(2 * each):
            what = "process" if number < each else "server"
            job = client.ask("train", dataset="few", **TINY)
            until(lambda job=job: running(job))
            time.sleep(rng.uniform(0, 4))
            if what == "process":
                pid = child_of(server, job["id"])
                if pid is None:
                    raise SystemExit("the training ended before it was killed")
                os.kill(pid, 9)
            else:
                server.kill()
                server.start()
            done = client.wait(job)
            run = Run.open(home, done["run"])
            same = digest(run) == right and run.record["status"] == "finished"
            alone = len(client.get("/api/runs")) == number + 2
            good[what] += same and alone
            print(what, number, "good" if same and alone else "BAD", flush=True)
    wrote({"what": "kills", "of each": each, **good})
    return min(good.values()) == each


def queue(count: int) -> bool:
    """Whether each of many jobs was done once, the server killed three times meanwhile."""
    home = fresh("studio-queue")
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=home)
    gesso.run("train", dataset="few", family="gan", images="64", set=tuple(TINY["set"]), home=home)
    with Server(home) as server, server.client() as client:
        begun = time.monotonic()
        ids = [client.ask("sample", run="1", count=1, seed=seed)["id"] for seed in range(count)]
        for share in (0.2, 0.5, 0.8):
            until(lambda share=share: len(client.get("/api/jobs?status=done&limit=1000")["jobs"]) > share * count, 900)
            server.kill()
            server.start()
        done = [client.wait(job) for job in ids]
        found = client.get("/api/pictures", run=1, limit=1000)
        seeds = sorted(one["seed"] for one in found["pictures"])
        order = [job["id"] for job in sorted(done, key=lambda job: job["ended"])]
        line = {
            "what": "queue", "jobs": count, "done": sum(job["status"] == "done" for job in done),
            "pictures": found["total"], "each once": seeds == list(range(count)), "in order": order == ids,
            "seconds": round(time.monotonic() - begun, 1),
        }  # fmt: skip
    wrote(line)
    return line["done"] == count and line["each once"]


async def listened(server: Server, token: str, listeners: int, stalled: int, stop: asyncio.Event) -> dict[str, Any]:
    """Milliseconds of the API's answers while pages listen, and how many events these heard."""
    heard, headers = [0], {"authorization": f"Bearer {token}", "host": f"127.0.0.1:{server.port}"}
    ask = f"GET /api/events HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nauthorization: Bearer {token}\r\n\r\n".encode()

    async def listen() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ask)
        while line := await reader.readline():
            heard[0] += line.startswith(b"event:")

    def stall() -> socket.socket:
        found = socket.create_connection(("127.0.0.1", server.port))
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        found.sendall(ask)
        return found

    deaf = [stall() for _ in range(stalled)]
    tasks = [asyncio.create_task(listen()) for _ in range(listeners)]
    took = list[float]()
    async with httpx.AsyncClient(base_url=server.address, headers=headers, trust_env=False) as http:
        paths = ["/api/jobs", "/api/runs", "/api/pictures", "/api/datasets", "/api/runs/1/log", "/api/about"]
        while not stop.is_set():
            for path in paths:
                begun = time.perf_counter()
                (await http.get(path)).raise_for_status()
                took.append((time.perf_counter() - begun) * 1000)
                await asyncio.sleep(0.25)
    for task in tasks:
        task.cancel()
    for one in deaf:
        one.close()
    return {
        "median_ms": round(statistics.median(took), 1), "p95_ms": round(statistics.quantiles(took, n=20)[18], 1),
        "worst_ms": round(max(took), 1), "asked": len(took), "events heard": heard[0],
    }  # fmt: skip


def listeners(rounds: int) -> bool:
    """Whether trainings keep their pace while others listen, and answers theirs."""
    home = fresh("studio-listeners")
    gesso.run("import", source="blossoms", count=400, size="32", name="some", home=home)
    paces: dict[str, list[float]] = {"alone": [], "listened to": []}
    answers = list[dict[str, Any]]()
    with Server(home) as server, server.client() as client:
        token = (home / "studio" / "token").read_text()
        for number in range(2 * rounds):
            which = ("alone", "listened to")[number % 2]
            job = client.ask("train", dataset="some", family="gan", images="20k", preview_every=10, threads=2, seed=1)
            until(lambda job=job: (client.get(f"/api/jobs/{job['id']}")["progress"] or {}).get("done"))

            async def watch(which: str = which, job: dict[str, Any] = job) -> None:
                stop = asyncio.Event()
                told = None
                if which == "listened to":
                    told = asyncio.create_task(listened(server, token, 50, 5, stop))
                while client.get(f"/api/jobs/{job['id']}")["status"] == "running":
                    await asyncio.sleep(1)
                stop.set()
                if told is not None:
                    answers.append(await told)

            asyncio.run(watch())
            run = Run.open(home, number + 1)
            spent = [line["pictures/s"] for line in run.read_log() if "pictures/s" in line][-1]
            paces[which].append(spent)
            print(which, spent, flush=True)
    alone, heard = (statistics.median(paces[name]) for name in paces)
    line = {"what": "listeners", "pictures/s": paces, "slowed": round(1 - heard / alone, 3), "answers": answers}
    wrote(line)
    return line["slowed"] < 0.1 and max(one["p95_ms"] for one in answers) < 250


def browser(moves: int, home: Path, run: int) -> bool:
    """Whether a slider is quick in Chromium, and the first page light."""
    from playwright.sync_api import sync_playwright

    with Server(home) as server, sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(READY)
        moved, session = [0], page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", lambda event: moved.__setitem__(0, moved[0] + event["encodedDataLength"]))
        page.goto(server.signed)
        until(lambda: page.evaluate("window.readyAt"))
        loads, weights = list[float](), list[int]()
        for _ in range(5):
            session.send("Network.clearBrowserCache")
            moved[0] = 0
            page.goto(server.address)
            loads.append(until(lambda: page.evaluate("window.readyAt")))
            time.sleep(1)
            weights.append(int(moved[0]))
        page.goto(f"{server.address}/explore/{run}")
        page.wait_for_selector("main .named input[type=range]")
        time.sleep(4)  # the graph is written in a quiet moment
        took = sorted(page.evaluate(MOVES, moves))
        line = {
            "what": "browser", "moves": len(took), "median_ms": round(statistics.median(took), 1),
            "p95_ms": round(took[int(0.95 * len(took))], 1), "worst_ms": round(took[-1], 1),
            "ready_ms": [round(one) for one in loads], "bytes": max(weights),
        }  # fmt: skip
        chromium.close()
    wrote(line)
    quick = line["median_ms"] <= 30 and line["worst_ms"] <= 60
    return quick and max(line["ready_ms"]) <= 1000 and line["bytes"] <= 300e3


# When the first page has its heading, in milliseconds since it was asked for.
READY = """new MutationObserver((_, seen) => {
  if (document.querySelector('main h1')) { window.readyAt = performance.now(); seen.disconnect() }
}).observe(document, { childList: true, subtree: true })"""

# One move after the other: the slider's input event, to the animation frame that shows its picture.
MOVES = """async (moves) => {
  const slider = document.querySelector('main .named input[type=range]')
  const low = +slider.min, high = +slider.max, took = []
  for (let i = 0; i < moves; i++) {
    await new Promise((done) => setTimeout(done, 30 + 40 * Math.random()))
    const drawn = new Promise((done) =>
      addEventListener('gesso:drawn', (event) => done(event.detail.drawn), { once: true }))
    const begun = performance.now()
    slider.value = low + (high - low) * (0.5 + 0.45 * Math.sin(i * 0.7))
    slider.dispatchEvent(new Event('input', { bubbles: true }))
    took.push((await drawn) - begun)
  }
  return took
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "queue", "listeners", "browser"])
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--home", type=Path, help="with a run that has sliders, for the browser")
    parser.add_argument("--run", type=int, default=1)
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    good = {
        "kills": lambda: kills(options.each), "queue": lambda: queue(options.jobs),
        "listeners": lambda: listeners(options.rounds),
        "browser": lambda: browser(options.moves, options.home or OUT / "home", options.run),
    }[options.what]()  # fmt: skip
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
