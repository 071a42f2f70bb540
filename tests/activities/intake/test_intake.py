"""What becomes of reported acts: each check has its own code, and nothing counts twice."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service import clock
from service.activities.errors import CitizenNotActive
from service.activities.intake.candidates import Source
from service.activities.intake.parts import Feed
from service.activities.withdrawal import CONSEQUENCES
from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze
from service.identity.linking import end_link, link_account
from service.identity.source_links import account_digest, holders_of
from service.ids import uuid_of
from service.partners.organisations import partner_by_id
from service.runtime import Runtime
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_reading,
    a_ride,
    a_source,
    activity_ids,
    an_act,
    an_invoice,
    citizens,
    noon,
    points_of,
    record,
    record_own,
    rows,
)

CHENGDU = "510100"
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def codes(feed: Feed) -> list[str | None]:
    return [outcome.code for outcome in feed.outcomes]


def verdicts(feed: Feed) -> list[str]:
    return [outcome.verdict for outcome in feed.outcomes]


def the_code(runtime: Runtime, source: Source, *lines: bytes) -> str | None:
    """Return the reason why the last of the lines is refused."""
    outcome = record(runtime, source, *lines).outcomes[-1]
    assert outcome.verdict == "refused"
    return outcome.code


def changed(line: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode()


def link(runtime: Runtime, citizen: UUID, source: Source, account_ref: str) -> UUID:
    """Let a citizen link an account now, and return the link."""
    assert source.id is not None
    with runtime.database.raw_transaction() as connection:
        name = partner_by_id(connection, source.id).name
    with runtime.database.transaction() as session:
        link_account(session, runtime.keys, citizen, name, account_ref)
    with runtime.database.raw_transaction() as connection:
        digest = account_digest(runtime.keys, source.id, account_ref)
        return holders_of(connection, source.id, [digest])[digest][-1].link_id


def unlink(runtime: Runtime, citizen: UUID, link_id: UUID) -> None:
    with runtime.database.transaction() as session:
        end_link(session, citizen, link_id, CONSEQUENCES, keep_pending=False)


def a_stranger(runtime: Runtime) -> UUID:
    """Make a citizen who has no account at the source in question."""
    return a_citizen(runtime, a_source(runtime))


class TestACertifiedAct:
    def test_is_issued_on_receipt_from_a_signed_source(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)

        (outcome,) = record(runtime, source, a_ride()).outcomes

        assert (outcome.verdict, outcome.code) == ("certified", None)
        assert (outcome.reduction_g, outcome.points) == (RIDE_8200_M_G, RIDE_8200_M_G)
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_waits_where_the_source_has_a_settlement_delay(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=2)
        citizen = a_citizen(runtime, source)

        (outcome,) = record(runtime, source, a_ride()).outcomes

        assert (outcome.verdict, outcome.reduction_g) == ("pending", RIDE_8200_M_G)
        assert points_of(runtime, citizen) == 0

    def test_waits_with_a_reason_while_the_account_is_frozen(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "under investigation")

        (outcome,) = record(runtime, source, a_ride()).outcomes

        assert (outcome.verdict, outcome.code) == ("pending", "account-frozen")
        assert points_of(runtime, citizen) == 0


class TestTheSameRecordAgain:
    def test_answers_with_the_first_verdict(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        (first,) = record(runtime, source, ride := a_ride()).outcomes

        (again,) = record(runtime, source, ride).outcomes

        assert (again.verdict, again.first_verdict) == ("duplicate", "certified")
        assert again.activity_id == first.activity_id
        assert (again.reduction_g, again.points) == (first.reduction_g, first.points)
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_answers_a_refusal_with_its_reason(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        record(runtime, source, late := a_ride(at=noon(9)))

        (again,) = record(runtime, source, late).outcomes

        assert (again.verdict, again.first_verdict) == ("duplicate", "refused")
        assert (again.code, again.params) == ("too-late", {"days": "7"})

    def test_may_be_spelled_otherwise(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        record(runtime, source, ride := a_ride())
        members = dict(reversed(json.loads(ride).items()))
        members["started_at"] = noon().astimezone(clock.SHANGHAI).isoformat()

        feed = record(runtime, source, json.dumps(members, indent=None).encode())

        assert verdicts(feed) == ["duplicate"]

    @pytest.mark.parametrize(
        "change",
        [
            {"activity_data": {"distance_m": 8201}},
            {"ended_at": (noon() + timedelta(minutes=31)).isoformat()},
            {"behavior": "shared_bike_ride"},
            {"account_ref": "card-2"},
        ],
    )
    def test_with_other_content_is_a_conflict(
        self, runtime: Runtime, change: dict[str, Any]
    ) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        link(runtime, citizen, source, "card-2")
        record(runtime, source, ride := a_ride())

        (outcome,) = record(runtime, source, changed(ride, **change)).outcomes

        assert (outcome.verdict, outcome.code) == ("conflict", "conflict")
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_inside_one_feed_is_recorded_once(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        ride = a_ride()

        feed = record(runtime, source, ride, changed(ride, behavior="bus_ride"), ride)

        assert verdicts(feed) == ["certified", "conflict", "duplicate"]
        assert feed.outcomes[2].first_verdict == "certified"
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_from_another_source_is_another_record(self, runtime: Runtime) -> None:
        one, other = a_source(runtime), a_source(runtime)
        a_citizen(runtime, one)
        a_citizen(runtime, other)

        assert verdicts(record(runtime, one, ride := a_ride())) == ["certified"]
        assert verdicts(record(runtime, other, ride)) == ["certified"]


class TestAnAccount:
    def test_without_a_link_leaves_nothing_and_may_be_sent_again(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        (outcome,) = record(runtime, source, ride := a_ride()).outcomes
        assert (outcome.verdict, outcome.code) == ("refused", "source-link-missing")
        assert outcome.activity_id is None
        assert rows(runtime, "SELECT 1 FROM activity WHERE source_id = %s", source.id) == []

        a_citizen(runtime, source)

        assert verdicts(record(runtime, source, ride)) == ["certified"]

    def test_is_covered_back_to_the_lateness_limit(self, runtime: Runtime) -> None:
        source, citizen = a_source(runtime), a_stranger(runtime)

        link(runtime, citizen, source, "card-1")

        feed = record(runtime, source, a_ride(at=noon(6)), a_ride(at=noon(9)))
        assert codes(feed) == [None, "too-late"]

    def test_was_its_last_holders_before(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        first, second = a_stranger(runtime), a_stranger(runtime)
        with clock.shifted(timedelta(days=-3)):
            hers = link(runtime, first, source, "card-1")
        with clock.shifted(timedelta(days=-2)):
            unlink(runtime, first, hers)
            link(runtime, second, source, "card-1")

        before = record(runtime, source, a_ride(at=clock.now() - timedelta(days=2.5)))
        since = record(runtime, source, a_ride(at=clock.now() - timedelta(days=1)))

        assert codes(before) == ["source-link-missing"]
        assert verdicts(since) == ["certified"]
        assert (points_of(runtime, first), points_of(runtime, second)) == (0, RIDE_8200_M_G)

    def test_whose_link_has_ended_is_nobodys(self, runtime: Runtime) -> None:
        source, citizen = a_source(runtime), a_stranger(runtime)
        hers = link(runtime, citizen, source, "card-1")

        unlink(runtime, citizen, hers)

        assert codes(record(runtime, source, a_ride())) == ["source-link-missing"]

    def test_is_known_by_a_digest_only(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        account_ref = f"card-{uuid4().hex}"
        citizen = a_citizen(runtime, source, account_ref)

        record(runtime, source, a_ride(account_ref))

        ((stored,),) = rows(
            runtime,
            "SELECT json_agg(a)::text || json_agg(d)::text FROM activity a"
            " JOIN activity_detail d ON d.activity_id = a.id WHERE a.citizen_id = %s",
            citizen,
        )
        assert account_ref not in stored
        assert account_digest(runtime.keys, source.id or UUID(int=0), account_ref).hex() in stored


class TestAnActByItself:
    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (a_ride(at=clock.now() + HOUR), "in-the-future"),
            (a_ride(at=datetime.fromisoformat("2262-05-01T00:00:00Z")), "in-the-future"),
            (a_ride(at=noon(8)), "too-late"),
            (a_ride(at=datetime.fromisoformat("1970-01-02T00:00:00Z")), "rules-not-in-force"),
            (an_act("metro_ride", {"distance_m": 8200}, lasting=-MINUTE), "ends-before-start"),
            (an_act("metro_ride", {"distance_m": 8200}, lasting=MINUTE), "speed-impossible"),
            (an_act("metro_ride", {"distance_m": 1}, lasting=0 * MINUTE), "speed-impossible"),
            (an_act("metro_ride", {"distance_m": 8200}, lasting=49 * HOUR), "in-the-future"),
            (an_act("metro_ride", {"distance_m": 1}), "reduction-zero"),
            (an_act("walk", {"steps": 6000}), "methodology-weak"),
            (an_act("waste_recycling", {"mass_g": 900, "material": "paper"}), "methodology-weak"),
            (an_act("waste_recycling", {"mass_g": 9, "material": "glass"}), "material-not-covered"),
            (an_act("ev_drive", {"distance_m": 9000}), "parameter-missing"),
            (an_act("bus_ride", {}), "parameter-missing"),
        ],
    )
    def test_is_refused_for_its_own_reason_and_kept(
        self, runtime: Runtime, line: bytes, code: str
    ) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)

        (outcome,) = record(runtime, source, line).outcomes

        assert (outcome.verdict, outcome.code) == ("refused", code)
        assert (outcome.reduction_g, outcome.points) == (0, 0)
        assert rows(
            runtime, "SELECT verdict, code FROM activity WHERE citizen_id = %s", citizen
        ) == [("refused", code)]

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (a_ride(at=datetime.fromisoformat("1969-12-31T00:00:00Z")), "time-malformed"),
            (a_ride(at=datetime.fromisoformat("0001-01-01T00:00:00Z")), "time-malformed"),
            (a_ride(at=datetime.fromisoformat("9999-12-30T00:00:00Z")), "time-malformed"),
            (an_act("teleportation", {}), "behavior-unknown"),
            (an_act("metro_ride", {"distance_m": 200_001}), "number-out-of-range"),
            (an_act("metro_ride", {"distance_m": 0}), "number-out-of-range"),
            (an_act("metro_ride", {"distance_m": 10**30}), "number-out-of-range"),
            (an_act("metro_ride", {"distance_m": 8200.0}), "type-wrong"),
            (an_act("metro_ride", {"distance_m": "8200"}), "type-wrong"),
            (an_act("metro_ride", {"distance_m": True}), "type-wrong"),
            (an_act("metro_ride", {}), "field-missing"),
            (an_act("metro_ride", {"distance_m": 8200, "grams": 9}), "unknown-field"),
            (an_act("waste_recycling", {"mass_g": 9, "material": "gold"}), "type-wrong"),
        ],
    )
    def test_that_cannot_be_read_leaves_nothing(
        self, runtime: Runtime, line: bytes, code: str
    ) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)

        assert the_code(runtime, source, line) == code
        assert rows(runtime, "SELECT 1 FROM activity WHERE citizen_id = %s", citizen) == []

    def test_whose_quantity_is_named_twice_leaves_nothing(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        twice = a_ride().replace(b'"distance_m": 8200', b'"distance_m": 1, "distance_m": 8200')

        assert the_code(runtime, source, twice) == "duplicate-key"
        assert points_of(runtime, citizen) == 0

    def test_that_took_longer_than_a_day_is_no_trip(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        long = an_act("metro_ride", {"distance_m": 8200}, at=noon(4), lasting=25 * HOUR)

        assert the_code(runtime, source, long) == "duration-impossible"

    def test_of_a_place_without_a_methodology_is_refused(self, runtime: Runtime) -> None:
        source = a_source(runtime, region=CHENGDU)
        a_citizen(runtime, source)

        assert the_code(runtime, source, a_ride()) == "region-not-covered"

    def test_needs_its_operators_word(self, runtime: Runtime) -> None:
        citizen = a_stranger(runtime)

        outcome = record_own(runtime, citizen, a_ride())

        assert (outcome.verdict, outcome.code) == ("refused", "evidence-tier-too-low")


class TestTwoTrips:
    @pytest.mark.parametrize("minutes", [-29, -1, 0, 1, 29])
    def test_at_the_same_time_count_once_across_feeds(self, runtime: Runtime, minutes: int) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        record(runtime, source, a_ride())

        assert the_code(runtime, source, a_ride(at=noon() + minutes * MINUTE)) == "overlap"
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    @pytest.mark.parametrize("minutes", [-30, 30])
    def test_that_touch_both_count(self, runtime: Runtime, minutes: int) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)

        feed = record(runtime, source, a_ride(), a_ride(at=noon() + minutes * MINUTE))

        assert verdicts(feed) == ["certified", "certified"]

    def test_inside_one_feed_count_in_line_order(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        later, earlier = a_ride(at=noon() + 10 * MINUTE), a_ride()

        assert codes(record(runtime, source, later, earlier)) == [None, "overlap"]

    def test_of_two_sources_and_behaviors_count_once(self, runtime: Runtime) -> None:
        metro, bikes = a_source(runtime), a_source(runtime)
        citizen = a_citizen(runtime, metro)
        link(runtime, citizen, bikes, "bike-1")
        record(runtime, metro, a_ride())

        ride = an_act("shared_bike_ride", {"distance_m": 1500}, "bike-1", at=noon() - MINUTE)

        assert the_code(runtime, bikes, ride) == "overlap"

    def test_of_two_citizens_both_count(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizens(runtime, source, ["card-1", "card-2"])

        assert verdicts(record(runtime, source, a_ride("card-1"), a_ride("card-2"))) == [
            "certified",
            "certified",
        ]

    def test_beside_a_refused_one_count(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        too_fast = an_act("metro_ride", {"distance_m": 90_000})

        assert codes(record(runtime, source, too_fast, a_ride())) == ["speed-impossible", None]

    def test_of_a_long_ago_start_are_seen(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        all_day = an_act("metro_ride", {"distance_m": 8200}, at=noon(2), lasting=24 * HOUR)
        record(runtime, source, all_day)

        assert the_code(runtime, source, a_ride(at=noon() - 30 * MINUTE)) == "overlap"


class TestACap:
    def test_of_a_day_leaves_the_sixth_metro_ride_out(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        lines = [a_ride(at=noon() + n * HOUR) for n in range(6)]
        record(runtime, source, *lines[:2])

        feed = record(runtime, source, *lines[2:], a_ride(at=noon(2)))

        assert codes(feed) == [None, None, None, "daily-cap-reached", None]
        assert feed.outcomes[3].params == {"limit": "5", "behavior": "metro_ride"}
        assert points_of(runtime, citizen) == 6 * RIDE_8200_M_G

    def test_of_a_month_leaves_the_eleventh_bill_out(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        bills = [an_act("e_bill", {"bill_account": uuid4().hex}) for _ in range(11)]

        assert codes(record(runtime, source, *bills)) == [None] * 10 + ["monthly-cap-reached"]

    def test_counts_days_in_shanghai(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        midnight = clock.start_of(clock.today() - timedelta(days=1))
        before = [a_ride(at=midnight - (n + 1) * HOUR) for n in range(5)]
        after = [a_ride(at=midnight + n * HOUR) for n in range(5)]

        assert set(verdicts(record(runtime, source, *before, *after))) == {"certified"}

    def test_has_room_again_for_what_was_withdrawn(self, runtime: Runtime) -> None:
        source, other = a_source(runtime, delay_days=1), a_source(runtime)
        citizen = a_citizen(runtime, other)
        hers = link(runtime, citizen, source, "card-1")
        record(runtime, source, a_ride(), a_ride(at=noon() + HOUR))
        unlink(runtime, citizen, hers)

        feed = record(runtime, other, *(a_ride(at=noon() + n * HOUR) for n in range(6)))

        assert codes(feed) == [None] * 5 + ["daily-cap-reached"]


class TestWhatCountsOnce:
    def test_counts_for_the_first_citizen_only(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizens(runtime, source, ["card-1", "card-2"])
        document = uuid4().hex
        record(runtime, source, an_invoice(document, "card-1"))

        assert the_code(runtime, source, an_invoice(document, "card-2")) == "counted-before"

    def test_counts_for_one_source_only(self, runtime: Runtime) -> None:
        one, other = a_source(runtime), a_source(runtime)
        a_citizen(runtime, one)
        a_citizen(runtime, other)
        document = uuid4().hex
        record(runtime, one, an_invoice(document))

        assert the_code(runtime, other, an_invoice(document)) == "counted-before"

    def test_is_another_order_on_another_platform(self, runtime: Runtime) -> None:
        one, other = a_source(runtime), a_source(runtime)
        a_citizen(runtime, one)
        a_citizen(runtime, other)
        order = an_act("no_cutlery_order", {"order_id": uuid4().hex})
        record(runtime, one, order)

        assert codes(record(runtime, other, order)) == [None]

    def test_counts_in_every_month(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        a_citizen(runtime, source)
        account = {"bill_account": uuid4().hex}
        with clock.shifted(timedelta(days=-32)):
            record(runtime, source, an_act("e_bill", account, at=noon()))

        feed = record(runtime, source, an_act("e_bill", account), an_act("e_bill", account))

        assert codes(feed) == [None, "counted-before"]

    def test_is_free_again_when_its_act_is_refused(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizens(runtime, source, ["card-1", "card-2"])
        document = uuid4().hex
        full = [an_invoice(uuid4().hex, "card-1") for _ in range(5)]

        feed = record(
            runtime,
            source,
            *full,
            an_invoice(document, "card-1"),
            an_invoice(document, "card-2"),
            an_invoice(document, "card-2"),
        )

        assert codes(feed)[5:] == ["daily-cap-reached", None, "counted-before"]
        ((holder,),) = rows(
            runtime,
            "SELECT c.activity_id FROM once_claim c WHERE c.activity_id = ANY(%s)",
            activity_ids(feed)[5:],
        )
        assert holder == activity_ids(feed)[6]


class TestAHomeWithPanels:
    @pytest.mark.parametrize("in_one_feed", [True, False])
    def test_saves_no_electricity(self, fresh_runtime: Runtime, *, in_one_feed: bool) -> None:
        runtime = fresh_runtime
        enter_baseline(runtime)
        source = a_source(runtime)
        a_citizen(runtime, source)
        panels = a_reading()
        saving = an_act(
            "household_electricity", {"energy_wh": 200_000, "days": 30, "bill_account": "0755-1"}
        )

        if in_one_feed:
            feed = record(runtime, source, panels, saving)
        else:
            record(runtime, source, panels)
            feed = record(runtime, source, saving)

        assert codes(feed)[-1] == "pv-home-excluded"

    def test_is_one_only_with_panels(self, fresh_runtime: Runtime) -> None:
        enter_baseline(fresh_runtime)
        source = a_source(fresh_runtime)
        a_citizen(fresh_runtime, source)
        data = {"energy_wh": 200_000, "days": 30, "bill_account": "0755-1"}

        feed = record(fresh_runtime, source, an_act("household_electricity", data))

        assert verdicts(feed) == ["certified"]


def enter_baseline(runtime: Runtime) -> None:
    """Enter a made-up household baseline for Shenzhen, as two people of an authority would."""
    with psycopg.connect(runtime.settings.migration_database_url or "") as connection:
        connection.execute(
            "WITH entry AS (INSERT INTO entered_factor (id, key, region, value, unit,"
            " in_force_from, source, grade, proposed_by) VALUES (gen_random_uuid(),"
            " 'household_electricity_baseline', '440300', '8', 'kwh/household_day', '2026-01-01',"
            " 'made up for a test', 'A', 'ann') RETURNING id, proposed_by)"
            " INSERT INTO factor_approval SELECT id, proposed_by, 'bea', '{}' FROM entry"
        )


def test_an_activity_is_named_by_its_natural_key(runtime: Runtime) -> None:
    source = a_source(runtime)
    a_citizen(runtime, source)

    (found,) = activity_ids(record(runtime, source, a_ride()))

    assert found.version == 8
    assert uuid_of("act", f"act_{found.hex}") == found


class TestAnOwnRecordOfSomebodyWho:
    def test_was_frozen_a_moment_ago_is_refused(self, runtime: Runtime) -> None:
        citizen = a_citizen(runtime, a_source(runtime))
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "ticket 7")

        with pytest.raises(CitizenNotActive):
            record_own(runtime, citizen, a_reading())

        query = "SELECT count(*) FROM pending_activity WHERE citizen_id = %s"
        assert rows(runtime, query, citizen) == [(0,)]
