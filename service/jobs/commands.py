"""`carbon jobs`: what no worker will try again, and giving it back to them."""

import json

import click

from service.jobs.queue import failed_jobs, retry_failed
from service.runtime import Runtime


@click.group("jobs")
def jobs_group() -> None:
    """Work that is done in the background."""


@jobs_group.command("failed")
@click.pass_obj
def failed_command(runtime: Runtime) -> None:
    """List the jobs that failed for good, one JSON object on each line."""
    with runtime.database.raw_transaction() as connection:
        found = failed_jobs(connection)
    for job in found:
        click.echo(json.dumps({**job._asdict(), "failed_at": job.failed_at.isoformat()}))


@jobs_group.command("retry")
@click.argument("job_id", type=int)
@click.pass_obj
def retry_command(runtime: Runtime, job_id: int) -> None:
    """Give failed job JOB_ID back to the workers."""
    with runtime.database.raw_transaction() as connection:
        retry_failed(connection, job_id)
    click.echo(f"Job {job_id} waits for a worker again.")
