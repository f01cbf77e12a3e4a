"""The queue: what people ask of jobs, and what becomes of each."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gesso.errors import GessoError
from gesso.studio.database import Database, jobs, lines, previews
from gesso.studio.events import Events
from gesso.studio.folders import Folders, Missing, emptied, new_id, now
from gesso.studio.forms import form
from gesso.studio.gallery import Gallery
from gesso.studio.given import Given
from gesso.studio.jobs import workflow
from gesso.studio.jobs.running import Nursery, Process, Said
from gesso.studio.jobs.shown import shown

__all__ = ["Jobs"]

TRIES = 3  # starts without getting further
OVER = ("done", "failed", "cancelled")
LEFT = ("waiting", "running", "paused")


class Jobs:
    """All jobs of a home folder. Any thread may ask."""

    def __init__(self, database: Database, events: Events, folders: Folders, gallery: Gallery, given: Given):
        self._database, self._events, self._folders = database, events, folders
        self._gallery, self._given = gallery, given
        self._running, self._nursery = dict[str, Process](), Nursery()
        self._live = dict[str, dict[str, Any]]()  # progress of running jobs, newer than the database's
        self._lock, self._closing = threading.Lock(), False

    @contextmanager
    def working(self, url: str | None = None) -> Iterator[None]:
        """Work on them within; leaving, what runs is stopped where it can go on, and waits for the next time."""
        with workflow.launched(self, self._folders.home, url):
            self._top_up()
            self._nursery.prepare()
            try:
                yield
            finally:
                self._closing = True
                self._nursery.close()
                for process in [*self._running.values()]:
                    process.stop()
                for process in [*self._running.values()]:
                    process.wait(25)

    # What people ask

    def submit(self, task: str, options: Mapping[str, Any], priority: int = 0) -> dict[str, Any]:
        """A new job at the end of its lane; raises GessoError for options that do not fit."""
        asked, plain = form(task), {key: value for key, value in options.items() if value is not None}
        if "seed" in asked.kinds and "seed" not in plain and plain.get("like") is None:
            default = asked.task.Options.model_fields["seed"].default
            if default is None:  # a new one every time: chosen now, so that a second try draws the same
                plain["seed"] = int(new_id()[:7], 16)
        self._given.check(task, plain)
        row = {
            "id": new_id(), "task": task, "title": self._title(task, plain), "options": plain, "status": "waiting",
            "lane": asked.task.pace, "priority": priority, "created": now(), "tries": 0,
            "message": "",
        }  # fmt: skip
        with self._database.change() as connection:
            last = connection.scalar(sa.select(sa.func.max(jobs.c.place))) or 0.0
            connection.execute(jobs.insert().values(**row, place=last + 1))
        workflow.enqueue(row["lane"])
        return self._told(row["id"])

    def get(self, job: str) -> dict[str, Any]:
        """One job as pages see it; raises GessoError where there is none."""
        return shown(self._row(job), self._last_preview(job), self._live.get(job))

    def all(self, statuses: list[str] | None = None, limit: int = 200) -> list[dict[str, Any]]:
        """Jobs: those that run, those that wait in their order, then the others, newest first."""
        rank = sa.case((jobs.c.status == "running", 0), (jobs.c.status == "waiting", 1), else_=2)
        order = (rank, sa.case((jobs.c.status == "waiting", -jobs.c.priority), else_=0),
                 sa.case((jobs.c.status == "waiting", jobs.c.place), else_=0), jobs.c.created.desc())  # fmt: skip
        query = sa.select(jobs).order_by(*order).limit(limit)
        rows = self._database.rows(query if statuses is None else query.where(jobs.c.status.in_(statuses)))
        last = self._last_previews([row["id"] for row in rows])
        return [shown(row, last.get(row["id"]), self._live.get(row["id"])) for row in rows]

    def log(self, job: str) -> list[dict[str, Any]]:
        """What a job said, oldest first."""
        self._row(job)
        return self._database.rows(
            sa.select(lines.c.at, lines.c.level, lines.c.text)
            .where(lines.c.job == job)
            .order_by(lines.c.id)
            .limit(5000)
        )

    def previews(self, job: str) -> list[dict[str, Any]]:
        """Pictures on the way, oldest first: number, title, at, path."""
        return self._database.rows(sa.select(previews).where(previews.c.job == job).order_by(previews.c.id))

    def file(self, job: str, number: int) -> Path:
        """A file that came out; raises GessoError where there is none of that number."""
        files = (self._row(job)["result"] or {}).get("files", [])
        if not 0 <= number < len(files):
            raise Missing("There is no such file.", "Look at what the job made.")
        return Path(files[number]["path"])

    def pause(self, job: str) -> dict[str, Any]:
        """Stop it for now; a training saves before. Raises GessoError for a job that is over."""
        return self._wish(job, "pause", "paused")

    def cancel(self, job: str) -> dict[str, Any]:
        """Stop it for good; what it finished is kept."""
        return self._wish(job, "cancel", "cancelled")

    def resume(self, job: str) -> dict[str, Any]:
        """Let a paused job wait again, at its place."""
        row = self._row(job)
        if row["status"] != "paused":
            raise GessoError("This job is not paused.", "Only paused jobs go on; others can be begun again.")
        return self._wait_again(row)

    def retry(self, job: str) -> dict[str, Any]:
        """Begin a failed or cancelled job again, from its last checkpoint where it told one."""
        row = self._row(job)
        if row["status"] not in ("failed", "cancelled"):
            raise GessoError("This job has neither failed nor been cancelled.", "Ask for a new one instead.")
        return self._wait_again(row)

    def move(self, job: str, before: str | None) -> dict[str, Any]:
        """Put a waiting job before another of its lane, or to the end; it takes that one's priority."""
        row = self._row(job)
        if row["status"] not in ("waiting", "paused"):
            raise GessoError("Only jobs that wait can be moved.")
        other = self._row(before) if before else None
        with self._database.change() as connection:
            order = sa.select(jobs.c.id, jobs.c.place, jobs.c.priority).where(jobs.c.status.in_(("waiting", "paused")),
                                                                             jobs.c.id != job)  # fmt: skip
            rows = connection.execute(order.order_by(jobs.c.priority.desc(), jobs.c.place)).all()
            at = next((i for i, one in enumerate(rows) if other is not None and one.id == other["id"]), len(rows))
            near = rows[at] if at < len(rows) else rows[-1] if rows else None
            after = rows[at].place if at < len(rows) else None
            same = [one for one in rows[:at] if near is not None and one.priority == near.priority]
            low = same[-1].place if same else None
            if after is None:
                place = (connection.scalar(sa.select(sa.func.max(jobs.c.place))) or 0.0) + 1
            else:
                place = (low + after) / 2 if low is not None else after - 1
            priority = near.priority if near is not None else row["priority"]
            connection.execute(jobs.update().where(jobs.c.id == job).values(place=place, priority=priority))
        return self._told(job)

    def set_priority(self, job: str, priority: int) -> dict[str, Any]:
        """Higher ones are begun first."""
        self._row(job)
        self._set(job, priority=priority)
        return self._told(job)

    def forget(self, job: str) -> None:
        """Remove one that is over from the list; what it made stays."""
        if self._row(job)["status"] not in OVER:
            raise GessoError("This job is not over.", "Cancel it first.")
        with self._database.change() as connection:
            for table in (lines, previews):
                connection.execute(table.delete().where(table.c.job == job))
            connection.execute(jobs.delete().where(jobs.c.id == job))
        emptied(self._folders.job(job)).rmdir()
        self._events.tell("gone", {"kind": "job", "id": job})

    @property
    def halted(self) -> bool:
        """Whether nothing new is begun."""
        return (self._folders.studio / "paused").exists()

    def halt(self, halted: bool) -> None:
        """Begin nothing new, or go on."""
        mark = self._folders.studio / "paused"
        if halted:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)
            self._top_up()
        self._events.tell("queue", {"paused": halted})

    def counts(self) -> dict[str, int]:
        """How many there are in which status."""
        query = sa.select(jobs.c.status, sa.func.count().label("n")).group_by(jobs.c.status)
        return {row["status"]: row["n"] for row in self._database.rows(query)}

    # What workers do

    def take(self, lane: str, worker: str) -> str | None:
        """See `workflow.Worker`."""
        with self._lock, self._database.change() as connection:
            mine = sa.select(jobs.c.id).where(jobs.c.worker == worker, jobs.c.status == "running")
            if (job := connection.scalar(mine)) is not None:
                return job
            if self._closing or self.halted:
                return None
            first = sa.select(jobs.c.id).where(jobs.c.status == "waiting", jobs.c.lane == lane)
            job = connection.scalar(first.order_by(jobs.c.priority.desc(), jobs.c.place).limit(1))
            if job is not None:
                values = {"status": "running", "worker": worker, "started": now(), "wish": None}
                connection.execute(jobs.update().where(jobs.c.id == job).values(**values))
            return job

    def perform(self, job: str) -> None:
        """See `workflow.Worker`."""
        while True:
            with suppress(GessoError):
                row = self._row(job)
                if row["status"] != "running":
                    return
                if row["wish"] is not None:  # asked for just before the server died
                    self._stopped(row)
                    return
            if self._closing:
                self._set(job, status="waiting", worker=None)
                return
            if not self._once(job):
                self._live.pop(job, None)
                self._told(job)
                return

    def _once(self, job: str) -> bool:
        """Begin its process and follow it to its end; returns whether it is to be begun again."""
        row = self._row(job)
        if row["tries"] >= TRIES:
            self._failed(
                job, f"The job's process died {TRIES} times without getting any further.",
                "Perhaps there is not enough memory: choose a smaller size, close other programs, then begin it again.",
            )  # fmt: skip
            return False
        self._set(job, tries=row["tries"] + 1)
        self._told(job)
        try:
            results = self._folders.results(job, row["created"])
            if row["going"] is None:
                emptied(results)
            options = row["going"] or self._given.resolved(job, row["task"], row["options"], results)
            folder = self._folders.job(job)
            process = Process(self._nursery.take(), row["task"], options, self._folders.home, folder)
        except GessoError as error:
            self._failed(job, error.problem, error.remedy)
            return False
        except OSError as error:
            self._failed(job, f"The job could not be begun: {(error.strerror or str(error)).lower()}.", "Make room.")
            return False
        self._running[job] = process
        if self._closing or self._row(job)["wish"] is not None:
            process.stop()
        try:
            said = process.follow(lambda event: self._hear(job, event))
        except Exception as error:  # a job is never left running without a process
            self._failed(job, f"What the job made could not be taken down: {error}.", "Begin it again.")
            return False
        finally:
            self._running.pop(job, None)
        return self._ended(job, said)

    def _ended(self, job: str, said: Said) -> bool:
        row = self._row(job)
        if said.how == "done":
            self._set(
                job, status="done", ended=now(), tries=0, wish=None, progress=self._live.get(job, row["progress"])
            )
            self._refresh(row)
        elif said.how == "failed":
            for line in said.tail if said.code == 1 else ():
                self._say(job, line, "error")
            self._failed(job, self._within(said.more["problem"]), self._within(said.more["remedy"]))
        elif row["wish"] is not None:
            self._stopped(row)
        elif self._closing:
            self._set(job, status="waiting", worker=None, tries=0)
        else:
            how = f"by signal {-said.code}" if said.code < 0 else f"with code {said.code}"
            where = "from its last checkpoint" if row["going"] else "from its beginning"
            self._say(job, f"The job's process ended {how}; it is begun again {where}.", "warning")
            return True
        return False

    def _hear(self, job: str, event: dict[str, Any]) -> None:
        if "progress" in event:
            before = self._live.get(job)
            self._live[job] = event["progress"]
            self._events.tell("progress", {"id": job, "progress": event["progress"]})
            if before is None:
                self._set(job, progress=event["progress"])
            elif before["done"] < event["progress"]["done"] and self._row(job)["tries"] > 1:
                self._set(job, tries=1, progress=event["progress"])
        elif "message" in event:
            self._say(job, self._within(event["message"]), event["level"])
            self._told(job)
        elif "preview" in event:
            with self._database.change() as connection:
                values = {"job": job, "at": now(), "title": event["title"], "path": event["preview"]}
                connection.execute(previews.insert().values(**values))
            self._events.tell("preview", {"id": job, "preview": self.get(job)["preview"]})
        elif "checkpoint" in event:
            run = event["checkpoint"].get("resume")
            self._set(job, going=event["checkpoint"], run=run)
            self._told(job)
            self._events.tell("runs", {})
        elif "result" in event:
            result = event["result"]
            made, files = self._gallery.take_in(result["paths"], job)
            text = self._within(result["text"])
            self._set(job, result={"text": text, "pictures": made, "files": files, "facts": result["facts"]})
            self._say(job, text, "good")

    # Small things

    def _title(self, task: str, options: Mapping[str, Any]) -> str:
        named = next((options[key] for key in ("name", "dataset", "run", "data", "resume") if options.get(key)), "")
        return f"{task} {named}".strip() if isinstance(named, str) else task

    def _within(self, text: str) -> str:
        """A text without the places of this machine: pages know no paths."""
        return text.replace(f"{self._folders.home}/", "").replace(str(self._folders.home), "the home folder")

    def _row(self, job: str) -> dict[str, Any]:
        row = self._database.row(sa.select(jobs).where(jobs.c.id == job))
        if row is None:
            raise Missing("There is no such job any more.", "Look at the list of jobs.")
        return row

    def _set(self, job: str, **values: Any) -> None:
        with self._database.change() as connection:
            connection.execute(jobs.update().where(jobs.c.id == job).values(**values))

    def _say(self, job: str, text: str, level: str) -> None:
        with self._database.change() as connection:
            connection.execute(lines.insert().values(job=job, at=now(), level=level, text=text[:4000]))
            connection.execute(jobs.update().where(jobs.c.id == job).values(message=text[:1000]))

    def _failed(self, job: str, problem: str, remedy: str) -> None:
        self._set(job, status="failed", ended=now(), error={"problem": problem, "remedy": remedy}, tries=0, wish=None)
        self._say(job, f"{problem} {remedy}".strip(), "error")

    def _stopped(self, row: dict[str, Any]) -> None:
        values = {"wish": None, "worker": None, "tries": 0, "progress": self._live.get(row["id"], row["progress"])}
        if row["wish"] == "pause":
            self._set(row["id"], status="paused", **values)
        else:
            self._set(row["id"], status="cancelled", ended=now(), **values)
        self._live.pop(row["id"], None)
        self._told(row["id"])
        self._refresh(row)

    def _wish(self, job: str, wish: str, status: str) -> dict[str, Any]:
        with self._lock:
            row = self._row(job)
            if row["status"] in OVER or (wish == "pause" and row["status"] == "paused"):
                raise GessoError(f"This job is {row['status']}, and cannot be {status}.")
            if row["status"] == "running":
                self._set(job, wish=wish)
            else:
                self._set(job, status=status, wish=None, ended=now() if status == "cancelled" else None)
        if (process := self._running.get(job)) is not None:
            process.stop()
        return self._told(job)

    def _wait_again(self, row: dict[str, Any]) -> dict[str, Any]:
        self._set(row["id"], status="waiting", worker=None, error=None, ended=None, tries=0, wish=None, result=None)
        workflow.enqueue(row["lane"])
        return self._told(row["id"])

    def _top_up(self) -> None:
        """A worker for each that waits: those without one are jobs that were asked for just before the server died.

        A job whose worker is no longer known, as where the queue's file was removed, waits again.
        """
        known = workflow.unfinished()
        for row in self._database.rows(sa.select(jobs).where(jobs.c.status == "running")):
            if row["worker"] not in known:
                self._set(row["id"], status="waiting", worker=None)
        for row in self._database.rows(sa.select(jobs.c.lane).where(jobs.c.status == "waiting")):
            workflow.enqueue(row["lane"])

    def _refresh(self, row: dict[str, Any]) -> None:
        sets, runs = ("import", "rights", "withdraw"), ("train", "demo")
        kind = "datasets" if row["task"] in sets else "runs" if row["task"] in runs else None
        if kind is not None:
            self._events.tell(kind, {})

    def _told(self, job: str) -> dict[str, Any]:
        found = self.get(job)
        self._events.tell("job", found)
        return found

    def _last_preview(self, job: str) -> dict[str, Any] | None:
        return self._last_previews([job]).get(job)

    def _last_previews(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        newest = sa.select(sa.func.max(previews.c.id)).where(previews.c.job.in_(ids)).group_by(previews.c.job)
        return {row["job"]: row for row in self._database.rows(sa.select(previews).where(previews.c.id.in_(newest)))}
