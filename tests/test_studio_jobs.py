"""The queue, in a real studio: what people ask of it, and what a kill does to it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

import gesso
from gesso.errors import GessoError
from tests.serving import Server, child_of

TINY = {"family": "gan", "set": ["width=8", "critic_width=8", "latent=8", "batch=8"], "save_every": 0.2, "threads": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("studio")
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=home)
    return home


@pytest.fixture(scope="module")
def server(home):
    with Server(home) as server:
        yield server


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def until(look, seconds=60.0):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.03)
    raise AssertionError("it did not come")


def at_work(client, job, done=1):
    """The job, once it runs and has got somewhere."""

    def look():
        found = client.get(f"/api/jobs/{job['id']}")
        assert found["status"] in ("waiting", "running"), found
        return found if found["run"] and found["progress"] and found["progress"]["done"] > done else None

    return until(look)


def children_of(server):
    """All processes that a studio has begun."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((place / "stat").read_text().rsplit(")", 1)[1].split()[1]) == server.process.pid:
                found.append(int(place.name))
    return found


def test_a_job_from_its_beginning_to_its_end(client):
    job = client.ask("list")
    assert job["status"] in ("waiting", "running", "done")
    done = client.wait(job)
    assert "few" in done["result"]["text"]
    assert done["result"]["facts"]["datasets"][0]["count"] == 40
    assert [line["level"] for line in client.get(f"/api/jobs/{job['id']}/log")["lines"]] == ["good"]
    client.request("DELETE", f"/api/jobs/{job['id']}")
    with pytest.raises(GessoError, match="no such job"):
        client.get(f"/api/jobs/{job['id']}")


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("train", {"dataset": "few", "minutes": 1, "images": "9"}, "not both"),
        ("train", {"dataset": "../few"}, "pattern"),
        ("train", {"dataset": "few", "out": "/tmp/x"}, "no 'out'"),
        ("train", {"dataset": "few", "seed": -1}, "greater than"),
        ("inpaint", {"picture": "/etc/passwd", "mask": "upload:0"}, "picture"),
        ("inpaint", {"picture": "picture:0", "mask": "upload:0"}, "no longer in the gallery"),
        ("import", {"source": "/etc", "name": "etc"}, "source"),
        ("sample", {"run": "diffusers:somewhere/far"}, "pattern"),
    ],
)
def test_what_does_not_fit_is_said_before_it_waits(client, task, options, said):
    before = len(client.get("/api/jobs")["jobs"])
    with pytest.raises(GessoError, match=said):
        client.ask(task, **options)
    assert len(client.get("/api/jobs")["jobs"]) == before


def test_a_failure_has_a_reason(client):
    with pytest.raises(GessoError, match="no data set 'nowhere'"):
        client.wait(client.ask("train", dataset="nowhere"))


def test_order_priority_pause_and_cancel(client):
    client.post("/api/queue/pause")
    jobs = [client.ask("list", name=str(i)) for i in range(4)]
    ids = [job["id"] for job in jobs]

    def waiting():
        return [job["id"] for job in client.get("/api/jobs?status=waiting")["jobs"]]

    assert waiting() == ids
    client.post(f"/api/jobs/{ids[3]}/move", {"before": ids[0]})
    assert waiting() == [ids[3], ids[0], ids[1], ids[2]]
    client.post(f"/api/jobs/{ids[3]}/move", {"before": None})
    assert waiting() == ids
    client.post(f"/api/jobs/{ids[2]}/priority", {"priority": 5})
    assert waiting() == [ids[2], ids[0], ids[1], ids[3]]
    client.post(f"/api/jobs/{ids[3]}/move", {"before": ids[0]})
    assert waiting() == [ids[2], ids[3], ids[0], ids[1]]
    assert client.post(f"/api/jobs/{ids[0]}/pause")["status"] == "paused"
    assert client.post(f"/api/jobs/{ids[1]}/cancel")["status"] == "cancelled"
    with pytest.raises(GessoError, match="is cancelled"):
        client.post(f"/api/jobs/{ids[1]}/pause")
    assert client.post("/api/queue/resume")["paused"] is False
    done = [client.wait(ids[i]) for i in (2, 3)]
    assert done[0]["started"] < done[1]["started"]
    assert client.get(f"/api/jobs/{ids[0]}")["status"] == "paused"
    client.post(f"/api/jobs/{ids[0]}/resume")
    client.wait(ids[0])
    client.post(f"/api/jobs/{ids[1]}/retry")
    client.wait(ids[1])


def test_a_training_pauses_and_goes_on(client):
    job = client.ask("train", dataset="few", images="4k", **TINY)
    run = at_work(client, job)["run"]
    client.post(f"/api/jobs/{job['id']}/pause")
    paused = until(lambda: (found := client.get(f"/api/jobs/{job['id']}"))["status"] == "paused" and found)
    assert paused["resumable"]
    client.post(f"/api/jobs/{job['id']}/resume")
    done = client.wait(job)
    assert done["run"] == run
    assert done["result"]["facts"]["run"] == run
    steps = [line["step"] for line in client.get(f"/api/runs/{int(run[:4])}/log")["lines"]]
    assert steps == sorted(steps)


def test_a_killed_process_is_begun_again_from_its_checkpoint(client, server):
    job = client.ask("train", dataset="few", images="4k", **TINY)
    run = at_work(client, job, 600)["run"]
    os.kill(child_of(server, job["id"]), signal.SIGKILL)
    done = client.wait(job)
    assert done["run"] == run
    assert any("signal 9" in line["text"] for line in client.get(f"/api/jobs/{job['id']}/log")["lines"])
    assert len([one for one in client.get("/api/runs") if one["folder"] == run and one["status"] == "finished"]) == 1


def test_a_killed_studio_goes_on_where_it_was(tmp_path):
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=tmp_path)
    with Server(tmp_path) as server, server.client() as client:
        job = client.ask("train", dataset="few", images="4k", **TINY)
        after = [client.ask("list", name="few") for _ in range(3)]
        run = at_work(client, job, 600)["run"]
        client.upload(tmp_path / "datasets" / "few" / "sheet.png")  # which begins another process
        orphans = children_of(server)
        assert len(orphans) >= 3
        server.kill()
        until(lambda: not [pid for pid in orphans if Path(f"/proc/{pid}").exists()])
        server.start()
        done = client.wait(job)
        assert done["run"] == run
        assert [one["folder"] for one in client.get("/api/runs")] == [run]
        assert all(client.wait(one)["status"] == "done" for one in after)


def test_a_stopped_studio_lets_jobs_wait(tmp_path):
    gesso.run("import", source="blossoms", count=40, size="16", name="few", home=tmp_path)
    with Server(tmp_path) as server, server.client() as client:
        job = client.ask("train", dataset="few", images="4k", **TINY)
        run = at_work(client, job)["run"]
        server.stop()
        server.start()
        assert client.wait(job)["run"] == run
        assert client.get(f"/api/jobs/{job['id']}")["tries"] == 0


def test_a_job_whose_process_dies_every_time_fails_with_a_reason(client, server):
    job = client.ask("train", dataset="few", images="60k", **TINY | {"save_every": 500})
    for _ in range(3):
        pid = until(lambda: child_of(server, job["id"]))
        os.kill(pid, signal.SIGKILL)
        until(lambda dead=pid: child_of(server, job["id"]) != dead)
    with pytest.raises(GessoError, match="died 3 times"):
        client.wait(job)


def test_two_studios_of_one_home(server, home):
    with pytest.raises(RuntimeError, match="runs already"):
        Server(home).start()
