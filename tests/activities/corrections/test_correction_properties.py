"""Whatever was reported first: corrected, it leaves what the right record alone would have left."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import clock
from service.activities.corrections.correcting import Desk, correct
from service.activities.corrections.restatements import Restatement, Withdrawal, read_correction
from service.activities.intake.candidates import activity_id
from service.runtime import Runtime
from tests.ledger.town import Town

# Days, lengths and distances that pass, that come too late, and that nobody can have done.
versions = st.lists(
    st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {
                "days_ago": st.sampled_from([1, 1, 2, 5, 20]),
                "minutes": st.sampled_from([30, 30, 45, 0, -5]),
                "distance_m": st.sampled_from([3000, 8200, 1, 90_000]),
            }
        ),
    ),
    min_size=2,
    max_size=4,
).filter(lambda chain: chain[0] is not None)
"""None: there never was such an act."""

Version = dict[str, Any] | None


def written(version: dict[str, Any]) -> dict[str, Any]:
    """Return when and how far; the hour leaves room for what else she did that day."""
    at = clock.start_of(clock.today() - timedelta(days=version["days_ago"])) + timedelta(hours=9)
    return {
        "started_at": at.isoformat(),
        "ended_at": (at + timedelta(minutes=version["minutes"])).isoformat(),
        "activity_data": {"distance_m": version["distance_m"]},
    }


def a_line(name: str, version: dict[str, Any]) -> dict[str, Any]:
    return {
        "external_id": name,
        "account_ref": "ann",
        "behavior": "metro_ride",
        **written(version),
    }


def another_ride() -> dict[str, Any]:
    """Return something else that she did, so that her lots are not empty."""
    at = clock.start_of(clock.today() - timedelta(days=1)) + timedelta(hours=15)
    other = {"days_ago": 1, "minutes": 30, "distance_m": 5000}
    times = {
        "started_at": at.isoformat(),
        "ended_at": (at + timedelta(minutes=30)).isoformat(),
    }
    return a_line("other", other) | times


def restate(town: Town, chain: list[Version]) -> None:
    """Correct the first version to the next, and so on; what says nothing new is left out."""
    citizen = town.citizens["ann"]
    assert town.source.id is not None
    last, revision = chain[0], 0
    for version in chain[1:]:
        if version == last:
            continue
        newest = activity_id(citizen.hex, town.source.id.bytes, "act", revision)
        _correct(town, citizen, UUID(hex=newest), version)
        last, revision = version, revision + (version is not None)


def _correct(town: Town, citizen: UUID, newest: UUID, version: Version) -> None:
    body = {"withdrawn": True} if version is None else written(version)
    asked = read_correction(msgspec.json.encode({"reason": "a test", **body}))
    assert isinstance(asked, Restatement | Withdrawal)
    with town.runtime.database.raw_transaction() as connection:
        rulebook = town.intake.shelf.rulebook(connection)
        desk = Desk(town.source, rulebook, town.runtime.keys)
        correct(connection, desk, citizen, newest, asked)


def spendable(town: Town) -> list[tuple[date, int, int]]:
    with town.runtime.database.raw_transaction() as connection:
        return connection.execute(
            "SELECT expires_on, available_points, available_g FROM lot WHERE citizen_id = %s"
            " AND available_g > 0 ORDER BY expires_on",
            [town.citizens["ann"]],
        ).fetchall()


def pending(town: Town) -> list[tuple[date, int, int]]:
    with town.runtime.database.raw_transaction() as connection:
        return connection.execute(
            "SELECT expires_on, points, reduction_g FROM pending_activity WHERE citizen_id = %s"
            " ORDER BY expires_on, points",
            [town.citizens["ann"]],
        ).fetchall()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chain=versions, delay_days=st.sampled_from([0, 0, 2]))
def test_corrections_leave_what_the_last_version_alone_would_have_left(
    chain: list[Version], delay_days: int, runtime: Runtime
) -> None:
    corrected = Town.founded(runtime, "ann", delay_days=delay_days)
    right = Town.founded(runtime, "ann", delay_days=delay_days)
    first, last = chain[0], chain[-1]
    assert first is not None

    corrected.report([another_ride(), a_line("act", first)])
    restate(corrected, chain)
    right.report([another_ride(), *([] if last is None else [a_line("act", last)])])

    assert spendable(corrected) == spendable(right)
    assert pending(corrected) == pending(right)
