"""What the simulated month came to, told to the person at the terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from service.demo.citizens import Citizen
from service.demo.play import Judged

SHOWN_ACTIVITIES = 6


def tell_verdicts(judged: Sequence[Judged]) -> None:
    """Print how many records got which verdict on receipt, and why they were refused."""
    verdicts = Counter(each.verdict for each in judged)
    reasons = Counter(each.code or "" for each in judged if each.verdict == "refused")
    _heading(f"{len(judged):,} records were sent; on receipt they were")
    for verdict, count in verdicts.most_common():
        click.echo(f"  {verdict:<26}{count:>8,}")
    _heading("Refused on receipt, by reason")
    for reason, count in reasons.most_common():
        click.echo(f"  {reason:<26}{count:>8,}")


@dataclass
class Behavior:
    """What one behavior came to."""

    recorded: int = 0
    certified: int = 0
    pending: int = 0
    refused: int = 0
    reduction_g: int = 0
    points: int = 0

    def add(self, activity: dict[str, Any]) -> None:
        """Count one activity as its citizen sees it."""
        self.recorded += 1
        verdict = activity["verdict"]
        self.certified += verdict == "certified"
        self.pending += verdict == "pending"
        self.refused += verdict == "refused"
        if verdict == "certified":
            self.reduction_g += activity["reduction_g"]
            self.points += activity["points"]


def by_behavior(activities: Iterable[dict[str, Any]]) -> dict[str, Behavior]:
    """Add up what citizens see."""
    found: dict[str, Behavior] = {}
    for activity in activities:
        found.setdefault(activity["behavior"], Behavior()).add(activity)
    return found


def tell_behaviors(behaviors: dict[str, Behavior]) -> None:
    """Print what was recorded and certified of each behavior."""
    _heading("As its citizens see it, after verification")
    click.echo(
        f"  {'behavior':<20}{'recorded':>9}{'certified':>10}{'pending':>9}{'refused':>9}"
        f"{'g CO2e':>12}{'points':>12}"
    )
    for name, each in sorted(behaviors.items()):
        click.echo(
            f"  {name:<20}{each.recorded:>9,}{each.certified:>10,}{each.pending:>9,}"
            f"{each.refused:>9,}{each.reduction_g:>12,}{each.points:>12,}"
        )


def tell_citizen(
    citizen: Citizen, account: dict[str, Any], activities: Sequence[dict[str, Any]]
) -> None:
    """Print one account as she sees it, and some of what it is made of."""
    points, grams = account["points"], account["reduction_g"]
    _heading(f"One of them, {citizen.phone}, sees")
    click.echo(f"  points   {points['available']:,} available, {points['pending']:,} pending")
    for expiring in points["expiring"]:
        click.echo(f"           {expiring['points']:,} can be spent until {expiring['date']}")
    click.echo(f"  g CO2e   {grams['certified']:,} certified, {grams['pending']:,} pending")
    for activity in _telling(activities):
        amount = f"{activity['points']:>7,} points"
        reason = f"  {activity['detail']}" if "detail" in activity else ""
        click.echo(f"  {activity['behavior']:<18}{activity['verdict']:<10}{amount}{reason}")


def _telling(activities: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a few activities, those with a reason first."""
    return sorted(activities, key=lambda each: "detail" not in each)[:SHOWN_ACTIVITIES]


def tell_surprises(judged: Iterable[Judged]) -> None:
    """Print the records on which the service decided otherwise than it should."""
    for each in judged:
        if not each.is_as_expected:
            click.echo(
                f"  expected {each.act.expected}, was {each.outcome}: {each.act.record}", err=True
            )


def _heading(text: str) -> None:
    click.echo(f"\n{text}")
