"""The same acts at the same moment from several sides: one of each counts, and nothing fails."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

from service.activities.audit import CHECKS as OF_ACTIVITIES
from service.activities.intake.candidates import Source, activity_id
from service.activities.intake.parts import Feed
from service.ledger.audit import run_audit
from service.ledger.invariants import CHECKS as OF_THE_LEDGER
from service.runtime import Runtime
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    a_source,
    an_invoice,
    citizens,
    noon,
    points_of,
    record,
    rows,
)
from tests.rivals import LOCK, a_rival, wait_until_one_waits

CALLERS = 20
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def at_once(acts: Sequence[Callable[[], Feed]]) -> list[Feed]:
    """Start every act at the same moment, each in a thread of its own."""
    barrier = Barrier(len(acts))

    def start(act: Callable[[], Feed]) -> Feed:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(start, acts))


def sent_at_once(runtime: Runtime, source: Source, feeds: Sequence[Sequence[bytes]]) -> list[Feed]:
    return at_once([lambda lines=lines: record(runtime, source, *lines) for lines in feeds])  # type: ignore[misc]


def answers(feeds: Sequence[Feed]) -> Counter[str]:
    """Count verdicts, and codes where there is one."""
    return Counter(outcome.code or outcome.verdict for feed in feeds for outcome in feed.outcomes)


def broken(runtime: Runtime) -> list[str]:
    findings = run_audit(runtime.database, [*OF_THE_LEDGER, *OF_ACTIVITIES])
    return [finding.name for finding in findings if finding.differences]


class TestTheSameLineTwentyTimesAtOnce:
    def test_counts_once(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        ride = a_ride()

        feeds = sent_at_once(runtime, source, [[ride]] * CALLERS)

        assert answers(feeds) == {"certified": 1, "duplicate": CALLERS - 1}
        assert len({feed.outcomes[0].activity_id for feed in feeds}) == 1
        assert points_of(runtime, citizen) == RIDE_8200_M_G


class TestTwentyTripsOfOneTimeAtOnce:
    def test_count_once(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        trips = [[a_ride(at=noon() + n * MINUTE)] for n in range(CALLERS)]

        feeds = sent_at_once(runtime, source, trips)

        assert answers(feeds) == {"certified": 1, "overlap": CALLERS - 1}
        assert points_of(runtime, citizen) == RIDE_8200_M_G


class TestACapUnderTwentyRequests:
    def test_lets_in_as_many_as_it_says(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        trips = [[a_ride(at=noon() + (n - 10) * HOUR / 2)] for n in range(CALLERS)]

        feeds = sent_at_once(runtime, source, trips)

        assert answers(feeds) == {"certified": 5, "daily-cap-reached": CALLERS - 5}
        assert points_of(runtime, citizen) == 5 * RIDE_8200_M_G


class TestOneInvoiceOfTwentyPeopleAtOnce:
    def test_counts_once(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        accounts = [f"card-{n}" for n in range(CALLERS)]
        citizens(runtime, source, accounts)
        document = uuid4().hex

        feeds = sent_at_once(runtime, source, [[an_invoice(document, each)] for each in accounts])

        assert answers(feeds) == {"certified": 1, "counted-before": CALLERS - 1}


class TestTwoLargeFeedsAtOnce:
    def test_that_share_everybody_double_nothing(self, fresh_runtime: Runtime) -> None:
        source = a_source(fresh_runtime)
        accounts = [f"card-{n}" for n in range(400)]
        citizens(fresh_runtime, source, accounts)
        rides = [a_ride(each, at=noon() + n * HOUR) for each in accounts for n in range(4)]
        one, other = rides, [*reversed(rides[: len(rides) // 2]), *rides[len(rides) // 2 :]]

        feeds = sent_at_once(fresh_runtime, source, [one, other])

        assert answers(feeds) == {"certified": len(rides), "duplicate": len(rides)}
        assert [len(feed.outcomes) for feed in feeds] == [len(rides)] * 2
        ((points, issued),) = rows(
            fresh_runtime,
            "SELECT (SELECT sum(available_points) FROM lot)::bigint,"
            " (SELECT sum(points) FROM transfer)::bigint",
        )
        assert (points, issued) == (len(rides) * RIDE_8200_M_G,) * 2
        assert broken(fresh_runtime) == []

    def test_that_overlap_and_share_documents_keep_every_rule(self, fresh_runtime: Runtime) -> None:
        source = a_source(fresh_runtime)
        accounts = [f"card-{n}" for n in range(400)]
        citizens(fresh_runtime, source, accounts)
        feeds = [_a_mixed_feed(accounts, shift) for shift in range(2)]

        answered = sent_at_once(fresh_runtime, source, feeds)

        found = answers(answered)
        assert set(found) == {"certified", "overlap", "counted-before"}
        assert found["overlap"] == found["counted-before"] * 2 == 800
        assert broken(fresh_runtime) == []


def _a_mixed_feed(accounts: Sequence[str], shift: int) -> list[bytes]:
    """Return four lines for each account; two such feeds overlap in all trips and documents."""
    lines = []
    for number, account in enumerate(accounts):
        lines += [a_ride(account, at=noon() + n * HOUR + shift * 9 * MINUTE) for n in (0, 2)]
        lines.append(an_invoice(f"own-{number}-{shift}", account))
        lines.append(an_invoice(f"shared-{(number + 7 * shift) % len(accounts)}", account))
    return lines


class TestARival:
    def test_that_closes_a_circle_of_locks_is_survived(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        first, second = sorted(citizens(runtime, source, ["card-1", "card-2"]))
        record(runtime, source, a_ride("card-1"), a_ride("card-2"))
        feed = [a_ride("card-1", at=noon() + HOUR), a_ride("card-2", at=noon() + HOUR)]

        with a_rival(runtime) as rival, ThreadPoolExecutor(1) as pool:
            rival.execute(LOCK, [second])
            answered = pool.submit(record, runtime, source, *feed)
            wait_until_one_waits(runtime)
            rival.execute(LOCK, [first])
            rival.commit()

        assert answers([answered.result()]) == {"certified": 2}
        for citizen in (first, second):
            assert points_of(runtime, citizen) == 2 * RIDE_8200_M_G

    def test_that_writes_the_same_activity_without_a_lock_is_survived(
        self, runtime: Runtime
    ) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        ride = a_ride()
        its_id = activity_id(citizen.hex, source.key, json.loads(ride)["external_id"])

        with a_rival(runtime) as rival, ThreadPoolExecutor(1) as pool:
            rival.execute(WRITE_ACTIVITY, [citizen, its_id])
            answered = pool.submit(record, runtime, source, ride)
            wait_until_one_waits(runtime)
            rival.commit()

        assert answers([answered.result()]) == {"conflict": 1}
        assert points_of(runtime, citizen) == 0

    def test_that_erases_a_citizen_comes_first(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        gone, here = citizens(runtime, source, ["card-1", "card-2"])
        record(runtime, source, a_ride("card-1"), a_ride("card-2"))
        feed = [a_ride("card-1", at=noon() + HOUR), a_ride("card-2", at=noon() + HOUR)]

        with a_rival(runtime) as rival, ThreadPoolExecutor(1) as pool:
            rival.execute("UPDATE account SET secret = NULL WHERE citizen_id = %s", [gone])
            answered = pool.submit(record, runtime, source, *feed)
            wait_until_one_waits(runtime)
            rival.commit()

        assert answers([answered.result()]) == {"source-link-missing": 1, "certified": 1}
        assert points_of(runtime, gone) == RIDE_8200_M_G
        assert points_of(runtime, here) == 2 * RIDE_8200_M_G


WRITE_ACTIVITY = """
INSERT INTO activity (citizen_id, id, external_id, behavior, tier, rules_version, evidence_digest,
    verdict, code, reduction_g, points, simulated)
VALUES (%s, %s, 'x', 'walk', 'signed', 1, '', 'refused', 'methodology-weak', 0, 0, true)
"""
