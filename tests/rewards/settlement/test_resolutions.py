"""An exception is resolved by two people, and the redemption follows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service import clock
from service.ids import RECONCILIATION_EXCEPTION, REDEMPTION, uuid_of
from service.rewards.redemptions.invariants import STAFF_RESTS_ON
from service.rewards.settlement.exceptions import exception_by_id
from service.rewards.settlement.resolving import needs_two_people
from tests.rewards.settlement.counter import Counter, Row


def naming(redemption_id: str, **cells: str) -> Any:
    def plant(rows: list[Row]) -> None:
        rows.append({**rows[0], "redemption_id": redemption_id, "partner_reference": "their-1"})
        rows[-1] |= cells

    return plant


def waiting_exception(counter: Counter, **cells: str) -> tuple[str, dict[str, Any]]:
    """Return a redemption that is submitted here, and what the bank says of it."""
    counter.captured()
    redemption = counter.market.submitted(counter.customer(), counter.offered)
    [found] = counter.compared(counter.closed()["id"], naming(redemption, **cells))
    return redemption, found


def unexplained(counter: Counter, redemption_id: str) -> list[int]:
    """Return the numbers of a redemption's records for which the audit finds no reason."""
    uuid = uuid_of(REDEMPTION, redemption_id)
    with counter.market.runtime.database.raw_transaction() as connection:
        rows = connection.execute(STAFF_RESTS_ON).fetchall()
    return [no for redemption, no, *_ in rows if redemption == uuid]


class TestAResolution:
    def test_takes_two_people(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        one, two = uuid4(), uuid4()

        proposed = counter.proposed(found, "write_off", one).get_json()
        alone = counter.approved(found, proposed["resolution_no"], one)
        together = counter.approved(found, proposed["resolution_no"], two)

        assert (proposed["state"], proposed["needs_approval"]) == ("proposed", True)
        assert (alone.status_code, alone.get_json()["code"]) == (403, "same-person-approval")
        assert (together.status_code, together.get_json()["state"]) == (201, "resolved")

    def test_is_shown_with_who_did_what(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        counter.resolved(found, "accept_ours")
        path = f"/v1/reconciliation-exceptions/{found['id']}"

        to_bank = counter.get(path).get_json()["steps"]
        headers = counter.as_staff(uuid4(), "auditor")
        to_staff = counter.market.client.get(path, headers=headers).get_json()["steps"]

        assert [step["kind"] for step in to_staff] == ["opened", "proposed", "resolved"]
        assert len({step["actor_id"] for step in to_staff}) == 3
        assert {step["actor_id"] for step in to_bank} == {None}

    def test_that_was_proposed_before_counts_no_more(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        first = counter.proposed(found, "write_off", uuid4()).get_json()
        counter.proposed(found, "accept_ours", uuid4())

        refused = counter.approved(found, first["resolution_no"], uuid4())

        assert refused.get_json()["code"] == "resolution-outdated"

    def test_has_to_suit_the_exception(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)

        refused = counter.proposed(found, "accept_partner", uuid4())

        assert refused.get_json()["code"] == "resolution-not-allowed"

    def test_ends_it(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        counter.resolved(found, "write_off")

        again = counter.proposed(found, "accept_ours", uuid4())

        assert (again.status_code, again.get_json()["code"]) == (409, "exception-resolved")

    def test_of_a_proposal_that_is_not_there_is_unknown(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)

        assert counter.approved(found, 7, uuid4()).get_json()["code"] == "exception-unknown"

    def test_stays_when_a_new_file_says_the_same(self, counter: Counter) -> None:
        counter.captured(2)
        batch = counter.closed()
        first, second = counter.compared(batch["id"], list.clear)
        counter.resolved(first, "accept_ours")

        def other_header(rows: list[Row]) -> None:
            rows.clear()

        still_open = counter.compared(batch["id"], other_header, lines=0)

        assert [each["id"] for each in still_open] == [second["id"]]

    @pytest.mark.parametrize(
        ("minor", "points", "two"),
        [
            (None, None, True),
            (10_000, None, True),
            (10_000, 99, True),
            (2_999, 1000, True),
            (3_000, 100, False),
        ],
    )
    def test_takes_one_person_only_within_both_limits(
        self, counter: Counter, minor: int | None, points: int | None, *, two: bool
    ) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        settings = replace(
            counter.market.runtime.settings,
            two_people_above_minor=minor,
            two_people_above_points=points,
        )

        with counter.market.runtime.database.raw_transaction() as connection:
            exception = exception_by_id(connection, uuid_of(RECONCILIATION_EXCEPTION, found["id"]))

        assert needs_two_people(settings, exception) is two


class TestBelievingThePartner:
    def test_captures_what_it_has_captured(self, counter: Counter) -> None:
        redemption, found = waiting_exception(counter)

        answer = counter.resolved(found, "accept_partner")

        assert answer.status_code == 201
        assert counter.market.state(redemption) == "captured"
        assert unexplained(counter, redemption) == []
        tomorrow = counter.closed_tomorrow()
        [row] = counter.file(tomorrow["id"])
        assert (row["redemption_id"], row["partner_reference"]) == (redemption, "their-1")

    @pytest.mark.parametrize("state", ["declined", "voided"])
    def test_ends_what_it_has_ended(self, counter: Counter, state: str) -> None:
        redemption, found = waiting_exception(counter, state=state, record_type="")

        answer = counter.resolved(found, "accept_partner")

        assert answer.status_code == 201
        assert counter.market.state(redemption) == state

    def test_keeps_what_staff_say_among_staff(self, counter: Counter) -> None:
        redemption, found = waiting_exception(counter, state="declined", record_type="")

        counter.resolved(found, "accept_partner")

        with counter.market.runtime.database.raw_transaction() as connection:
            [(body,)] = connection.execute(
                "SELECT body FROM redemption_record WHERE redemption_id = %s AND kind = 'decline'",
                [uuid_of(REDEMPTION, redemption)],
            ).fetchall()
        assert body["reason"] == "other"
        assert body["evidence"].keys() == {"exception_id", "theirs"}

    def test_needs_the_quoted_terms(self, counter: Counter) -> None:
        redemption, found = waiting_exception(counter, terms_hash="0" * 64)

        refused = counter.resolved(found, "accept_partner")

        assert refused.get_json()["code"] == "resolution-not-allowed"
        assert counter.market.state(redemption) == "submitted"
        assert [each["id"] for each in counter.exceptions(found["batch_id"])] == [found["id"]]

    def test_captures_the_factor_that_it_has_set(self, counter: Counter) -> None:
        benefit = {"kind": "premium_factor", "factor": "0.95", "band_min": "0.9", "band_max": "1.1"}
        counter.offered = counter.market.offer(counter.partner_id, benefit=benefit)
        _, found = waiting_exception(counter, benefit_value="0.920")

        answer = counter.resolved(found, "accept_partner")

        assert answer.status_code == 201, answer.get_json()
        [row] = counter.file(counter.closed_tomorrow()["id"])
        assert row["benefit_value"] == "0.920"

    def test_captures_no_other_benefit_than_the_quoted(self, counter: Counter) -> None:
        redemption, found = waiting_exception(counter, benefit_value="-60")

        refused = counter.resolved(found, "accept_partner")

        assert refused.get_json()["code"] == "resolution-not-allowed"
        assert counter.market.state(redemption) == "submitted"

    def test_gives_back_what_we_captured_beyond_its_figure(self, counter: Counter) -> None:
        [redemption] = counter.captured()

        def less(rows: list[Row]) -> None:
            rows[0]["points"] = "60"

        [found] = counter.compared(counter.closed()["id"], less)
        assert found["amount_at_risk"]["points"] == 40
        answer = counter.resolved(found, "accept_partner")

        assert answer.status_code == 201
        assert counter.market.state(redemption) == "partially_reversed"

    def test_never_captures_more_afterwards(self, counter: Counter) -> None:
        counter.captured(points=60)

        def more(rows: list[Row]) -> None:
            rows[0]["points"] = "100"

        [found] = counter.compared(counter.closed()["id"], more)

        refused = counter.resolved(found, "accept_partner")

        assert refused.get_json()["code"] == "resolution-not-allowed"

    def test_reverses_what_it_has_declined(self, counter: Counter) -> None:
        [redemption] = counter.captured()

        def declined_there(rows: list[Row]) -> None:
            rows[0] |= {"state": "declined", "record_type": ""}

        [found] = counter.compared(counter.closed()["id"], declined_there)
        counter.resolved(found, "accept_partner")

        assert found["code"] == "STATE_MISMATCH"
        assert counter.market.state(redemption) == "reversed"

    def test_reverses_what_it_has_reversed(self, counter: Counter) -> None:
        [redemption] = counter.captured()

        def reversed_there(rows: list[Row]) -> None:
            rows.append({**rows[0], "state": "reversed", "record_type": "REVERSAL"})
            rows[-1] |= {"partner_reference": "their-reversal", "points": "30"}

        [found] = counter.compared(counter.closed()["id"], reversed_there)
        counter.resolved(found, "accept_partner")

        assert found["code"] == "MISSING_HERE"
        assert counter.market.state(redemption) == "partially_reversed"


class TestBelievingThePartnerAboutAReversal:
    """Of 100 points we have reversed 30; the bank says something else of that."""

    def compared(self, counter: Counter, **cells: str) -> tuple[str, dict[str, Any]]:
        [redemption] = counter.captured()
        counter.market.step(
            counter.offered, redemption, "reversals", {"reason": "cooling-off", "points": 30}
        )

        def otherwise(rows: list[Row]) -> None:
            [reversal] = [row for row in rows if row["record_type"] == "REVERSAL"]
            reversal |= cells

        [found] = counter.compared(counter.closed()["id"], otherwise)
        return redemption, found

    def test_reverses_what_it_has_reversed_beyond_ours(self, counter: Counter) -> None:
        redemption, found = self.compared(counter, points="45")

        answer = counter.resolved(found, "accept_partner")

        assert (found["code"], answer.status_code) == ("AMOUNT_MISMATCH", 201)
        assert reversed_points(counter, redemption) == 45

    def test_never_takes_back_what_she_has_again(self, counter: Counter) -> None:
        redemption, found = self.compared(counter, points="20")

        refused = counter.resolved(found, "accept_partner")

        assert refused.get_json()["code"] == "resolution-not-allowed"
        assert reversed_points(counter, redemption) == 30

    def test_reverses_nothing_twice_that_it_books_late(self, counter: Counter) -> None:
        later = (clock.now() + timedelta(days=2)).isoformat()
        redemption, found = self.compared(counter, occurred_at=later)

        answer = counter.resolved(found, "accept_partner")

        assert (found["code"], answer.status_code) == ("LATE", 201)
        assert reversed_points(counter, redemption) == 30


def reversed_points(counter: Counter, redemption: str) -> int:
    headers = counter.market.as_partner(counter.partner_id)
    shown = counter.market.client.get(f"/v1/redemptions/{redemption}", headers=headers)
    return int(shown.get_json()["reversed_points"])


class TestReversing:
    def test_gives_everything_back(self, counter: Counter) -> None:
        [redemption] = counter.captured()
        batch = counter.closed()
        [found] = counter.compared(batch["id"], list.clear)

        counter.resolved(found, "reverse")

        assert counter.market.state(redemption) == "reversed"
        accepted = counter.by_staff(f"/v1/settlement-batches/{batch['id']}/acceptances")
        assert accepted.status_code == 201
        assert counter.market.records(redemption)[-2:] == ["reversal", "settlement"]
        assert unexplained(counter, redemption) == []

    def test_is_refused_where_nothing_is_left(self, counter: Counter) -> None:
        [redemption] = counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        counter.market.step(counter.offered, redemption, "reversals", {"reason": "cooling-off"})

        refused = counter.resolved(found, "reverse")

        assert refused.get_json()["code"] == "resolution-not-allowed"


class TestAnAssignment:
    @pytest.mark.parametrize("owner", ["partner", "platform"])
    def test_says_who_looks_after_it(self, counter: Counter, owner: str) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)

        answer = assigned(counter, found, {"owner": owner, "reason": "it is theirs"})

        assert answer.get_json()["owner"] == {"kind": owner, "id": None}

    def test_to_nobody_is_refused(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)

        refused = assigned(counter, found, {"owner": "staff", "staff_id": f"stf_{uuid4().hex}"})

        assert refused.get_json()["code"] == "assignee-unknown"

    @pytest.mark.parametrize("body", [{"owner": "staff"}, {"owner": "partner", "staff_id": "x"}])
    def test_names_staff_exactly_for_staff(self, counter: Counter, body: dict[str, str]) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)

        assert assigned(counter, found, body).status_code == 422


class TestWhoMayLook:
    def test_a_partner_sees_its_own_only(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)
        other = counter.market.as_partner(counter.market.bank())
        client = counter.market.client

        one = client.get(f"/v1/reconciliation-exceptions/{found['id']}", headers=other)
        run = client.get(f"/v1/reconciliation-runs/{found['run_id']}", headers=other)
        many = client.get("/v1/reconciliation-exceptions", headers=other)

        assert one.get_json()["code"] == "exception-unknown"
        assert run.get_json()["code"] == "reconciliation-run-unknown"
        assert many.get_json()["items"] == []

    def test_a_partner_resolves_nothing(self, counter: Counter) -> None:
        counter.captured()
        [found] = counter.compared(counter.closed()["id"], list.clear)

        refused = counter.market.client.post(
            f"/v1/reconciliation-exceptions/{found['id']}/resolutions",
            json={"resolution": "write_off", "reason": "ours"},
            headers=counter.market.as_partner(counter.partner_id),
        )

        assert (refused.status_code, refused.get_json()["code"]) == (403, "role-missing")

    def test_pages_go_on_where_they_ended(self, counter: Counter) -> None:
        counter.captured(3)
        batch = counter.closed()
        found = {each["id"] for each in counter.compared(batch["id"], list.clear)}
        path, query = "/v1/reconciliation-exceptions", {"batch_id": batch["id"], "limit": 2}

        first = counter.get(path, **query).get_json()
        rest = counter.get(path, **query, cursor=first["next"]).get_json()

        assert {each["id"] for each in first["items"] + rest["items"]} == found
        assert (len(first["items"]), len(rest["items"])) == (2, 1)


def assigned(counter: Counter, found: dict[str, Any], body: dict[str, str]) -> Any:
    return counter.by_staff(f"/v1/reconciliation-exceptions/{found['id']}/assignments", body)
