"""Putting a job into the queue, in the caller's own transaction: no commit, no job."""

from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from procrastinate.tasks import configure_task

from service.errors import NotFound

QUEUE = "carbon"

# Never opened: it is given the caller's connection with every job.
_manager = JobManager(SyncPsycopgConnector())

READ_FAILED = """
SELECT j.id, j.task_name, j.args, j.attempts,
       (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id) AS failed_at
FROM procrastinate_jobs j WHERE j.status = 'failed' ORDER BY j.id
"""

RETRY_FAILED = """
SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL)
FROM procrastinate_jobs WHERE id = %s AND status = 'failed'
"""


class JobUnknown(NotFound):
    """There is no failed job by this number."""

    code = "job-unknown"


class FailedJob(NamedTuple):
    """A job that was tried often enough and now waits for a human."""

    id: int
    task: str
    arguments: dict[str, Any]
    attempts: int
    failed_at: datetime


def enqueue(
    connection: psycopg.Connection[Any], task: str, *, lock: str | None = None, **arguments: str
) -> None:
    """Let a worker do a task as soon as the caller's transaction has been committed.

    Args:
        connection: inside the caller's transaction (`db.driver_connection` of a `Session`).
        task: a `Task`'s name.
        lock: jobs with the same lock are done one after the other.
        arguments: for the task's function, as JSON texts.
    """
    deferrer = configure_task(
        name=task, job_manager=_manager, queue=QUEUE, lock=lock, connection=connection
    )
    deferrer.defer(**arguments)


def failed_jobs(connection: psycopg.Connection[Any]) -> list[FailedJob]:
    """Return the jobs that no worker will try again, the oldest first."""
    return [FailedJob(*row) for row in connection.execute(READ_FAILED)]


def retry_failed(connection: psycopg.Connection[Any], job_id: int) -> None:
    """Give a failed job back to the workers.

    Raises:
        JobUnknown: it has not failed, or does not exist.
    """
    if connection.execute(RETRY_FAILED, [job_id]).fetchone() is None:
        raise JobUnknown("No failed job has the number {job_id}.", job_id=job_id)
