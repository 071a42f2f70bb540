"""`carbon demo`: the simulated month, from the first registration to the audit."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import click

from service import clock
from service.activities.rules.rulebook import FRESH_FOR_S, SchemeRules
from service.demo.citizens import Citizen, SmsFile, move_in, phone_of
from service.demo.client import Service
from service.demo.month import CITIZEN, Act, month
from service.demo.play import Judged, play_day
from service.demo.rules import allow_a_month
from service.demo.sources import (
    RECYCLER,
    SETTLEMENT_DELAY_DAYS,
    Source,
    next_run,
    register_sources,
)
from service.demo.telling import (
    by_behavior,
    tell_behaviors,
    tell_citizen,
    tell_surprises,
    tell_verdicts,
)
from service.demo.verification import Verifier, employ_verifier, settle
from service.keys import KeyRing
from service.runtime import Runtime
from service.settings import settings_from

MOST_DAYS = 38
"""Within the lateness of the demonstration's rules."""


class NotAsExpectedError(click.ClickException):
    """The service decided otherwise than it should."""


@dataclass
class City:
    """The simulated city and what has happened in it."""

    service: Service
    sources: dict[str, Source]
    people: list[Citizen]
    rules: SchemeRules
    judged: list[Judged] = field(default_factory=list)


@click.command("demo", help="Play a simulated month of a small city against the running service.")
@click.option("--citizens", type=click.IntRange(4, 2_000), default=40, show_default=True)
@click.option("--days", type=click.IntRange(3, MOST_DAYS), default=30, show_default=True)
@click.option("--seed", type=click.IntRange(0, 9), default=1, show_default=True)
@click.pass_obj
@click.pass_context
def demo_command(
    context: click.Context, runtime: Runtime, *, citizens: int, days: int, seed: int
) -> None:
    """Play the month and tell what came of it."""
    settings = settings_from()
    service = Service(settings.port)
    context.call_on_close(service.close)
    service.require_ready()
    service.require_keys({key.kid for key in KeyRing.at(settings.home / "keys").signing})
    first_day = clock.today() - timedelta(days=days)
    run = next_run(runtime)
    click.echo(
        f"{citizens} citizens, {days} days from {first_day}, seed {seed}, run {run}, at "
        f"{service.address}"
    )
    city = _founded(runtime, service, first_day, citizens, seed, run)
    _play(city, month(seed, citizens, first_day, days))
    _verify(runtime, city, first_day, run)
    _tell(city)
    _audit(context)


def _founded(
    runtime: Runtime, service: Service, first_day: date, citizens: int, seed: int, run: int
) -> City:
    sms = SmsFile(runtime)
    rules = allow_a_month(runtime, first_day, run)
    click.echo(f"Rules version {rules.version}: records may come {rules.lateness_days} days late.")
    sources = register_sources(runtime, run)
    click.echo(f"Registered {', '.join(source.name for source in sources.values())}.")
    people = [
        move_in(service, sms, phone_of(seed, run, index), index, sources)
        for index in range(citizens)
    ]
    click.echo(
        f"{len(people)} citizens signed in and linked {len(people) * len(sources)} accounts."
    )
    time.sleep(FRESH_FOR_S)  # the service has read the new rules by now
    return City(service, sources, people, rules)


def _play(city: City, days: Sequence[Sequence[Act]]) -> None:
    for acts in days:
        judged = play_day(city.service, city.sources, city.people, acts)
        city.judged += judged
        verdicts = Counter(each.verdict for each in judged)
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        click.echo(f"  {acts[0].day}  {told}")


def _verify(runtime: Runtime, city: City, first_day: date, run: int) -> None:
    recycler = city.sources[RECYCLER].name
    token = employ_verifier(runtime, city.service, run)
    reported_by = frozenset({recycler, CITIZEN})
    verifier = Verifier(city.service, token, reported_by, rejects=(recycler, first_day))
    click.echo("The verifier waits for the day's batches to close and decides them …")
    settle(city.service, verifier, city.people, _points_not_due(city))
    said = list(verifier.decisions.values())
    click.echo(f"{said.count('approved')} batches approved, {said.count('rejected')} rejected.")


def _points_not_due(city: City) -> int:
    """Return the points of acts whose settlement delay is not over."""
    delays = {**SETTLEMENT_DELAY_DAYS, CITIZEN: city.rules.self_recorded_delay_days}
    return sum(
        each.points
        for each in city.judged
        if each.verdict == "pending"
        and each.act.day + timedelta(days=delays[each.act.reporter]) > clock.today()
    )


def _tell(city: City) -> None:
    activities = {each.index: each.activities(city.service) for each in city.people}
    accounts = {each.index: each.account(city.service) for each in city.people}
    tell_verdicts(city.judged)
    behaviors = by_behavior(each for hers in activities.values() for each in hers)
    tell_behaviors(behaviors)
    someone = max(city.people, key=lambda each: len(activities[each.index]))
    tell_citizen(someone, accounts[someone.index], activities[someone.index])
    available = sum(account["points"]["available"] for account in accounts.values())
    _compare(city.judged, sum(each.points for each in behaviors.values()), available)


def _compare(judged: Sequence[Judged], certified: int, available: int) -> None:
    """Refuse to call it a success when a verdict or a balance is not what it should be.

    Raises:
        NotAsExpectedError
    """
    surprises = [each for each in judged if not each.is_as_expected]
    tell_surprises(surprises)
    if surprises or certified != available:
        raise NotAsExpectedError(
            f"{len(surprises)} verdicts are not what they should be; {certified:,} points were "
            f"certified and {available:,} are in the accounts."
        )
    click.echo(
        f"\nEvery verdict is what it should be, and the {available:,} points in the accounts are "
        "those certified."
    )


def _audit(context: click.Context) -> None:
    """Run `carbon audit`, with the invariants of every package, as the command line has it."""
    root = context.find_root()
    assert isinstance(root.command, click.Group)  # noqa: S101  `carbon` itself
    audit = root.command.commands["audit"]
    click.echo("\nThe audit derives everything again:")
    context.invoke(audit)
