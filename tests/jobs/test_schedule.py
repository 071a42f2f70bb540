"""What the worker does by the clock."""

from datetime import UTC, datetime

import pytest
from croniter import croniter  # type: ignore[import-untyped]  # the queue brings it, without types

from service.clock import SHANGHAI
from service.jobs.tasks import Task
from service.runtime import Runtime
from service.worker import TASKS

PERIODIC = [task for task in TASKS if task.cron is not None]


@pytest.mark.parametrize("task", PERIODIC, ids=lambda task: task.name)
def test_every_periodic_task_runs_with_nothing_to_do(runtime: Runtime, task: Task) -> None:
    task.run(runtime)


def test_names_are_used_once() -> None:
    names = [task.name for task in TASKS]

    assert sorted(names) == sorted(set(names))


def test_lots_expire_five_minutes_after_midnight_in_shanghai() -> None:
    (cron,) = [task.cron for task in TASKS if task.name == "ledger.expire_lots"]
    assert cron is not None

    due = croniter(cron, datetime(2026, 11, 1, 23, 59, tzinfo=SHANGHAI).astimezone(UTC))

    assert due.get_next(datetime).astimezone(SHANGHAI).isoformat() == "2026-11-02T00:05:00+08:00"
