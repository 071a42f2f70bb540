"""The worker process, composed: every package's tasks, done until it is told to stop."""

import click

from service import clock
from service.activities.jobs import TASKS as ACTIVITIES
from service.identity.consents.expiry import watch_expiry
from service.identity.erasure import finish_erasures
from service.jobs.tasks import Task
from service.jobs.worker import work
from service.ledger.expiry import expire_lapsed_lots
from service.ledger.notices import write_notices
from service.partners.webhooks.deliveries import forget_delivered
from service.rewards.redemptions.janitor import ask_partners
from service.rewards.redemptions.timers import run_due
from service.rewards.settlement.jobs import TASKS as SETTLEMENT
from service.runtime import Runtime
from service.web.idempotency import forget_old_answers


def expire_lots(runtime: Runtime) -> None:
    """Book the expiry of points whose last day is over."""
    expire_lapsed_lots(runtime.database, clock.today())


def tell_of_expiry(runtime: Runtime) -> None:
    """Tell citizens of points that expire soon."""
    write_notices(runtime.database, clock.today())


def forget_answers(runtime: Runtime) -> None:
    """Delete the answers to repeatable requests that nobody repeats any more."""
    with runtime.database.transaction() as session:
        forget_old_answers(session)


def forget_deliveries(runtime: Runtime) -> None:
    """Delete what was delivered to partners long ago."""
    forget_delivered(runtime.database)


TASKS: tuple[Task, ...] = (
    *ACTIVITIES,
    *SETTLEMENT,
    # Shanghai is whole hours from UTC, so one of these is at 00:05 there; the others catch up.
    Task("ledger.expire_lots", expire_lots, cron="5 * * * *"),
    Task("ledger.tell_of_expiry", tell_of_expiry, cron="25 0 * * *"),  # 08:25 in Shanghai
    Task("identity.finish_erasures", finish_erasures, cron="*/5 * * * *"),
    Task("identity.watch_consents", watch_expiry, cron="*/10 * * * *"),
    Task("rewards.run_timers", run_due, cron="* * * * *"),
    Task("rewards.ask_partners", ask_partners, cron="* * * * *"),
    Task("web.forget_answers", forget_answers, cron="41 * * * *"),
    Task("partners.forget_deliveries", forget_deliveries, cron="27 19 * * *"),
)


@click.command("worker", help="Do the work that waits in the queue, until SIGTERM or Ctrl-C.")
@click.pass_obj
def worker_command(runtime: Runtime) -> None:
    """Work until stopped."""
    work(runtime, TASKS)
