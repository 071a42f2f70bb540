"""Work is queued with the transaction that causes it, and is done even if a worker is killed."""

import logging
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from uuid import uuid4

import pytest

from service.jobs.queue import JobUnknown, enqueue, failed_jobs, retry_failed
from service.jobs.tasks import Task
from service.jobs.worker import work
from service.runtime import Runtime


class Desk:
    """Remembers what jobs have asked for."""

    def __init__(self, fails: int = 0) -> None:
        self.done: list[str] = []
        self.fails = fails

    def note(self, _: Runtime, word: str) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError(word)
        self.done.append(word)


def queue(runtime: Runtime, task: str, word: str) -> None:
    with runtime.database.raw_transaction() as connection:
        enqueue(connection, task, word=word)


class AbandonedError(Exception):
    """The caller has changed its mind."""


class TestAJob:
    def test_is_done_after_the_commit(self, fresh_runtime: Runtime) -> None:
        desk = Desk()
        queue(fresh_runtime, "note", "hello")

        work(fresh_runtime, [Task("note", desk.note)], wait=False)

        assert desk.done == ["hello"]

    def test_is_done_once(self, fresh_runtime: Runtime) -> None:
        desk = Desk()
        queue(fresh_runtime, "note", "hello")

        for _ in range(2):
            work(fresh_runtime, [Task("note", desk.note)], wait=False)

        assert desk.done == ["hello"]

    def test_disappears_with_its_transaction(self, fresh_runtime: Runtime) -> None:
        desk = Desk()
        with (
            pytest.raises(AbandonedError),
            fresh_runtime.database.raw_transaction() as connection,
        ):
            abandon(connection)

        work(fresh_runtime, [Task("note", desk.note)], wait=False)

        assert desk.done == []

    @pytest.mark.usefixtures("quiet_failures")
    def test_is_tried_again_later(self, fresh_runtime: Runtime) -> None:
        desk = Desk(fails=1)
        queue(fresh_runtime, "note", "hello")

        work(fresh_runtime, [Task("note", desk.note)], wait=False)
        assert desk.done == []
        make_due(fresh_runtime)
        work(fresh_runtime, [Task("note", desk.note)], wait=False)

        assert desk.done == ["hello"]

    @pytest.mark.usefixtures("quiet_failures")
    def test_that_fails_too_often_is_visible_and_can_be_given_back(
        self, fresh_runtime: Runtime
    ) -> None:
        desk = Desk(fails=2)
        task = Task("note", desk.note, attempts=1)
        queue(fresh_runtime, "note", "hello")
        for _ in range(2):
            work(fresh_runtime, [task], wait=False)
            make_due(fresh_runtime)

        with fresh_runtime.database.raw_transaction() as connection:
            (failed,) = failed_jobs(connection)
            retry_failed(connection, failed.id)
        work(fresh_runtime, [task], wait=False)

        assert (failed.task, failed.arguments) == ("note", {"word": "hello"})
        assert desk.done == ["hello"]

    def test_that_has_not_failed_is_not_given_back(self, fresh_runtime: Runtime) -> None:
        with (
            pytest.raises(JobUnknown),
            fresh_runtime.database.raw_transaction() as connection,
        ):
            retry_failed(connection, 4711)


class TestAKilledWorker:
    def test_leaves_its_job_to_the_next_one(self, fresh_runtime: Runtime, tmp_path: Path) -> None:
        mark = tmp_path / uuid4().hex
        queue(fresh_runtime, "note", str(mark))
        kill_a_worker_at_work(fresh_runtime, mark)
        desk = Desk()

        silence_s = 0.5
        time.sleep(silence_s * 2)
        with fresh_runtime.database.raw_transaction() as connection:
            enqueue(connection, "jobs.rescue_stalled", timestamp="0")
        for _ in range(2):
            work(fresh_runtime, [Task("note", desk.note)], wait=False, stalled_after_s=silence_s)

        assert desk.done == [str(mark)]


class TestADuePeriodicTask:
    def test_runs_by_itself(self, fresh_runtime: Runtime) -> None:
        done: list[str] = []
        task = Task("tick", lambda _: done.append("tick"), cron="* * * * * *")

        deadline = time.monotonic() + 20
        while not done and time.monotonic() < deadline:
            work(fresh_runtime, [task], wait=False)

        assert done


@pytest.fixture
def quiet_failures(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what the queue writes about failed jobs out of the test's output."""
    caplog.set_level(logging.CRITICAL, logger="procrastinate")


def abandon(connection: object) -> None:
    enqueue(connection, "note", word="hello")  # type: ignore[arg-type]
    raise AbandonedError


def make_due(runtime: Runtime) -> None:
    """Let the time pass until the next try."""
    with runtime.database.raw_transaction() as connection:
        connection.execute("UPDATE procrastinate_jobs SET scheduled_at = NULL")


WORKER = """
import sys, time
from pathlib import Path
from service.jobs.tasks import Task
from service.jobs.worker import work
from service.runtime import open_runtime
from service.settings import settings_from

def hang(runtime, word):
    Path(word).touch()
    time.sleep(60)

work(open_runtime(settings_from()), [Task("note", hang)])
"""


def kill_a_worker_at_work(runtime: Runtime, mark: Path) -> None:
    """Start a worker in a process of its own, and kill it in the middle of a job."""
    settings = runtime.settings
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER)],
        cwd=Path(__file__).parents[2],
        env={
            "CARBON_HOME": str(settings.home),
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
        },
    )
    try:
        deadline = time.monotonic() + 30
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert mark.exists()
    finally:
        worker.kill()
        worker.wait()
