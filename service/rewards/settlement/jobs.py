"""What a worker does for settlement: it closes days, and compares partners' files."""

from typing import Final
from uuid import UUID

from service.jobs.tasks import Task
from service.rewards.settlement.closing import close_due
from service.rewards.settlement.reconciling import reconcile
from service.rewards.settlement.uploads import RECONCILE
from service.runtime import Runtime


def close_days(runtime: Runtime) -> None:
    """Close every day that is over."""
    close_due(runtime)


def compare_file(runtime: Runtime, run_id: str) -> None:
    """Compare a partner's file with its batch."""
    reconcile(runtime, UUID(hex=run_id))


TASKS: Final = (
    # A quarter past midnight in Shanghai, and again until 06:15 for what was in the way.
    Task("settlement.close_days", close_days, cron="15 16-22 * * *"),
    Task(RECONCILE, compare_file),
)
