"""What a worker does for activities: close what is due, carry out what was decided."""

from uuid import UUID

from service.activities.certification.batches import CARRY_OUT, close_due_batches
from service.activities.certification.carrying_out import carry_out
from service.activities.corrections.double_records import invalidate_double_records
from service.jobs.tasks import Task
from service.runtime import Runtime


def close_batches(runtime: Runtime) -> None:
    """Close everything that is due by now."""
    close_due_batches(runtime.database)


def carry_out_decision(runtime: Runtime, batch_id: str) -> None:
    """Issue or refuse what a decided batch holds."""
    carry_out(runtime.database, UUID(hex=batch_id))


def tidy_double_records(runtime: Runtime) -> None:
    """Take back what counts for two people."""
    invalidate_double_records(runtime.database)


TASKS = (
    # Often, so that nobody who tries the service out has to wait; with nothing due it reads one
    # partial index.
    Task("certification.close_due", close_batches, cron="* * * * * */15"),
    Task(CARRY_OUT, carry_out_decision),
    # A quarter past three at night in Shanghai.
    Task("corrections.tidy_double_records", tidy_double_records, cron="15 19 * * * 0"),
)
