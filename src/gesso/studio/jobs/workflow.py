"""What makes the queue durable: one DBOS workflow for each job that waits.

A workflow takes whichever job is first in its lane when its turn comes (so that people can reorder), and that choice is
a step of its own, recorded; then it does the job. Killed in between, it is recovered at the next start and goes on with
the very same job. Where nothing waits any more it ends with nothing done.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

os.environ.setdefault("DBOS_LOG_LEVEL", "ERROR")
from dbos import DBOS, DBOSConfig

__all__ = ["LANES", "Worker", "enqueue", "launched", "unfinished"]

LANES = {"moments": 0.3, "minutes": 1.0, "hours": 1.0}  # one job at a time in each, looked for every so many seconds


class Worker(Protocol):
    """Who knows the jobs."""

    def take(self, lane: str, worker: str) -> str | None:
        """The job that this worker has, or the first that waits in a lane and is now its own."""
        ...

    def perform(self, job: str) -> None:
        """Do it to its end, whichever that is."""


_workers: list[Worker] = []


@DBOS.workflow(name="gesso-job", max_recovery_attempts=None)
def _job(lane: str) -> None:
    taken = _take(lane, str(DBOS.workflow_id))
    if taken is not None:
        _perform(taken)


@DBOS.step(name="gesso-take")
def _take(lane: str, worker: str) -> str | None:
    return _workers[-1].take(lane, worker) if _workers else None


@DBOS.step(name="gesso-perform")
def _perform(job: str) -> None:
    _workers[-1].perform(job)


def enqueue(lane: str) -> None:
    """One more worker for a lane, where jobs are worked on now; else the next start sees to it."""
    if _workers:
        DBOS.enqueue_workflow(lane, _job, lane)


def unfinished() -> set[str]:
    """The workers that wait, or are at a job."""
    if not _workers:
        return set()
    return {found.workflow_id for found in DBOS.list_workflows(status=["PENDING", "ENQUEUED"])}


@contextmanager
def launched(worker: Worker, home: Path, url: str | None = None) -> Iterator[None]:
    """Work on jobs within, beginning with those that a dead server left. url: of PostgreSQL; SQLite if not given."""
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    address = f"sqlite:///{home / 'studio' / 'queue.sqlite'}" if url is None else url
    config: DBOSConfig = {
        "name": "gesso", "system_database_url": address, "application_version": "1", "executor_id": "studio",
        "log_level": "CRITICAL", "enable_otlp": False,
    }  # fmt: skip
    _workers.append(worker)
    DBOS(config=config)
    DBOS.launch()
    try:
        for lane, pause in LANES.items():
            DBOS.register_queue(lane, global_concurrency=1, polling_interval_sec=pause, on_conflict="always_update")
        yield
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=30)
        _workers.remove(worker)
