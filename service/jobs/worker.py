"""The worker: does jobs until it is told to stop, and picks up what a killed one left behind."""

from collections.abc import Iterable
from typing import Any

import procrastinate
from procrastinate.exceptions import UniqueViolation
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from service.db import APP_ROLE, CONNECT_ARGUMENTS, libpq_url
from service.jobs.queue import QUEUE
from service.jobs.tasks import Task
from service.runtime import Runtime

CONCURRENCY = 2
"""Jobs at a time in one worker, each in a thread of its own."""
POOL_SIZE = CONCURRENCY + 2
HEARTBEAT_S = 5
STALLED_AFTER_S = 20
"""Without a sign of life for so long, a worker counts as killed and its jobs are done again."""
STOP_WITHIN_S = 8
LOOK_FOR_JOBS_EVERY_S = 5
"""Notifications wake the worker at once; this is for those that got lost."""
KEPT_FOR_H = 24 * 30
"""How long jobs that were cancelled or aborted stay visible; failed ones stay until retried."""

RETRY_WAIT_BASE_S = 2
"""Waits before another try: 2, 4, 8 … seconds."""

RESCUE_CRON = "* * * * * */20"
TIDY_CRON = "17 3 * * *"


def work(
    runtime: Runtime,
    tasks: Iterable[Task],
    *,
    wait: bool = True,
    stalled_after_s: float = STALLED_AFTER_S,
) -> None:
    """Do jobs until SIGTERM or SIGINT, then finish the present ones and return.

    Args:
        runtime: handed to every job.
        tasks: all that this worker can do; a job of another task fails visibly.
        wait: False does what is in the queue and returns.
        stalled_after_s: see `STALLED_AFTER_S`.
    """
    app = procrastinate.App(connector=_connector(runtime))
    for task in tasks:
        _register(app, runtime, task)
    _register_housekeeping(app, stalled_after_s)
    app.run_worker(
        queues=[QUEUE],
        concurrency=CONCURRENCY,
        wait=wait,
        fetch_job_polling_interval=LOOK_FOR_JOBS_EVERY_S,
        shutdown_graceful_timeout=STOP_WITHIN_S,
        delete_jobs="successful",
        update_heartbeat_interval=HEARTBEAT_S,
        stalled_worker_timeout=stalled_after_s,
    )


def _connector(runtime: Runtime) -> procrastinate.PsycopgConnector:
    options = f"-c role={APP_ROLE} -c timezone=UTC"
    return procrastinate.PsycopgConnector(
        conninfo=libpq_url(runtime.settings.database_url),
        min_size=1,
        max_size=POOL_SIZE,
        kwargs={**CONNECT_ARGUMENTS, "options": options},
    )


def _register(app: procrastinate.App, runtime: Runtime, task: Task) -> None:
    def run(timestamp: int = 0, **arguments: Any) -> None:  # noqa: ARG001  the library's own
        task.run(runtime, **arguments)

    if task.cron is None:
        retry = procrastinate.RetryStrategy(
            max_attempts=task.attempts, exponential_wait=RETRY_WAIT_BASE_S
        )
        app.task(name=task.name, queue=QUEUE, retry=retry)(run)
    else:
        # The clock tries again. One of a kind waits and one works: a slow worker piles up none.
        due = app.task(name=task.name, queue=QUEUE)(run)
        app.periodic(cron=task.cron, queueing_lock=task.name, lock=task.name)(due)


def _register_housekeeping(app: procrastinate.App, stalled_after_s: float) -> None:
    async def rescue(context: JobContext, /, timestamp: int) -> None:  # noqa: ARG001
        manager = context.app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_s):
            await _do_again(manager, job)

    async def tidy(context: JobContext, /, timestamp: int) -> None:  # noqa: ARG001
        await context.app.job_manager.delete_old_jobs(
            nb_hours=KEPT_FOR_H, include_cancelled=True, include_aborted=True
        )

    for name, run, cron in (
        ("jobs.rescue_stalled", rescue, RESCUE_CRON),
        ("jobs.delete_old", tidy, TIDY_CRON),
    ):
        due = app.task(name=name, queue=QUEUE, pass_context=True)(run)
        app.periodic(cron=cron, queueing_lock=name)(due)


async def _do_again(manager: JobManager, job: Job) -> None:
    try:
        await manager.retry_job(job)
    except UniqueViolation:
        # Another one of its kind waits already, and waits for this one to end.
        await manager.finish_job(job, Status.ABORTED, delete_job=True)
