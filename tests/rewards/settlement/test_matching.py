"""A settlement day with planted differences: each is found, and none is invented."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest

from service import clock
from service.ids import REDEMPTION, public_id
from tests.rewards.settlement.counter import Counter, Plant, Row

LATER = (clock.now() + timedelta(days=2)).isoformat(timespec="seconds")


def change(**cells: str) -> Plant:
    """Plant other cells in the second line."""
    return lambda rows: rows[1].update(cells)


def extra(rows: list[Row]) -> None:
    stranger = public_id(REDEMPTION, uuid4())
    rows.append({**rows[1], "redemption_id": stranger, "partner_reference": "a-stranger"})


def unknown_reference_only(rows: list[Row]) -> None:
    rows.append({**rows[1], "redemption_id": "", "partner_reference": "a-stranger"})


PLANTED: dict[str, tuple[Plant, str]] = {
    "missing": (lambda rows: rows.pop(1), "MISSING_AT_PARTNER"),
    "extra": (extra, "MISSING_HERE"),
    "points": (change(points="99"), "AMOUNT_MISMATCH"),
    "benefit": (change(benefit_value="-60"), "AMOUNT_MISMATCH"),
    "no benefit": (change(benefit_value=""), "AMOUNT_MISMATCH"),
    "duplicate": (lambda rows: rows.append(dict(rows[1])), "DUPLICATE_LINE"),
    "duplicate at the top": (lambda rows: rows.insert(0, dict(rows[1])), "DUPLICATE_LINE"),
    "terms": (change(terms_hash="0" * 64), "TERMS_MISMATCH"),
    "effective_from": (change(effective_from="2026-02-02"), "TERMS_MISMATCH"),
    "effective_to": (change(effective_to=""), "TERMS_MISMATCH"),
    "declined": (change(state="declined"), "STATE_MISMATCH"),
    "declined without type": (change(state="declined", record_type=""), "STATE_MISMATCH"),
    "reversed": (change(state="reversed", record_type=""), "STATE_MISMATCH"),
    "reversal": (change(state="reversed", record_type="REVERSAL"), "STATE_MISMATCH"),
    "late": (change(occurred_at=LATER), "LATE"),
    "subject": (change(pairwise_subject="sub_" + "0" * 32), "SUBJECT_MISMATCH"),
    "reference": (change(partner_reference="another-1"), "UNKNOWN_REFERENCE"),
    "redemption": (change(redemption_id="rdm_unheard-of"), "UNKNOWN_REFERENCE"),
    "nothing but a reference": (unknown_reference_only, "UNKNOWN_REFERENCE"),
}


class TestADifference:
    @pytest.mark.parametrize("planted", PLANTED)
    def test_is_one_exception(self, counter: Counter, planted: str) -> None:
        plant, code = PLANTED[planted]
        counter.captured(3, effective_from=YEAR[0], effective_to=YEAR[1])
        batch = counter.closed()

        found = counter.compared(batch["id"], plant)

        assert [each["code"] for each in found] == [code]
        assert counter.seen(batch["id"])["state"] == "exceptions"

    def test_of_totals_is_one_exception(self, counter: Counter) -> None:
        counter.captured(2)
        batch = counter.closed()

        found = counter.compared(batch["id"], lines=3, points_total=200)

        assert [each["code"] for each in found] == ["TOTAL_MISMATCH"]
        assert found[0]["theirs"] == {"lines": 3, "points_total": 200}

    def test_is_found_beside_others(self, counter: Counter) -> None:
        counter.captured(6)
        batch = counter.closed()

        def plant(rows: list[Row]) -> None:
            rows.append(dict(rows[1]))
            rows[2]["points"] = "1"
            rows[3]["terms_hash"] = "f" * 64
            extra(rows)
            rows.pop(0)

        found = counter.compared(batch["id"], plant)

        assert sorted(each["code"] for each in found) == [
            "AMOUNT_MISMATCH",
            "DUPLICATE_LINE",
            "MISSING_AT_PARTNER",
            "MISSING_HERE",
            "TERMS_MISMATCH",
        ]

    def test_says_what_is_at_risk(self, counter: Counter) -> None:
        counter.captured(2)
        batch = counter.closed()

        [found] = counter.compared(batch["id"], lambda rows: rows.pop(0))

        assert found["amount_at_risk"] == {"points": 100, "subsidy_minor": 3000}
        assert found["owner"] == {"kind": "partner", "id": None}
        assert (found["age_days"], found["theirs"]) == (0, None)
        assert found["allowed_resolutions"] == ["accept_ours", "reverse", "write_off"]


YEAR = ("2026-01-01T00:00:00+08:00", "2027-01-01T00:00:00+08:00")


def shuffle(rows: list[Row]) -> None:
    rows.reverse()


def only_ids(rows: list[Row]) -> None:
    for row in rows:
        row |= {"partner_reference": "", "points": "", "terms_hash": "", "pairwise_subject": ""}


def only_references(rows: list[Row]) -> None:
    for row in rows:
        row |= {"redemption_id": "", "record_type": ""}


def as_days(rows: list[Row]) -> None:
    for row in rows:
        row |= {"effective_from": "2026-01-01", "effective_to": "2027-01-01"}


def other_writing(rows: list[Row]) -> None:
    for row in rows:
        row |= {"benefit_value": "-50.00", "terms_hash": row["terms_hash"].upper()}
        row["state"] = "settled"


def clocks_differ(rows: list[Row]) -> None:
    for row in rows:
        row["occurred_at"] = (clock.now() + timedelta(minutes=20)).isoformat()


class TestAnHonestFile:
    @pytest.mark.parametrize(
        "plant",
        [shuffle, only_ids, only_references, as_days, other_writing, clocks_differ],
    )
    def test_has_no_exception_however_it_is_written(
        self, counter: Counter, plant: Callable[[list[Row]], None]
    ) -> None:
        counter.captured(3, effective_from=YEAR[0], effective_to=YEAR[1])
        batch = counter.closed()

        assert counter.compared(batch["id"], plant) == []
        assert counter.seen(batch["id"])["state"] == "accepted"

    def test_agrees_about_reversals(self, counter: Counter) -> None:
        first, second = counter.captured(2)
        for share in ("0.3", "0.2"):
            body = {"reason": "repaid-early", "share": share}
            counter.market.step(counter.offered, first, "reversals", body)
        counter.market.step(counter.offered, second, "reversals", {"reason": "cooling-off"})
        batch = counter.closed()

        assert batch["lines"] == 5
        assert counter.compared(batch["id"]) == []

    def test_may_name_what_came_to_nothing(self, counter: Counter) -> None:
        counter.captured()
        declined = counter.market.submitted(counter.customer(), counter.offered)
        counter.market.step(counter.offered, declined, "declines", {"reason": "not-approved"})
        batch = counter.closed()

        def plant(rows: list[Row]) -> None:
            rows.append({**rows[0], "redemption_id": declined, "partner_reference": ""})
            rows[-1] |= {"state": "declined", "record_type": ""}

        assert counter.compared(batch["id"], plant) == []

    def test_of_a_day_without_a_line_is_empty(self, counter: Counter) -> None:
        with counter.next_morning():
            sent = counter.send([], business_date=counter.day)
            counter.work(sent.get_json()["run_id"])

        batch = counter.seen(sent.get_json()["batch_id"])
        assert (batch["state"], batch["lines"]) == ("accepted", 0)

    def test_that_is_sent_many_times_at_once_is_one(self, counter: Counter) -> None:
        with counter.next_morning(), ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(lambda _: counter.send([], business_date=counter.day), range(6))
            )

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.get_json()["run_id"] for answer in answers}) == 1


class TestASecondReversalThatWeDoNotKnow:
    """We have reversed 30 points as `r-1`; the bank says that it has reversed 20 more."""

    def reversed_once(self, counter: Counter) -> str:
        [redemption] = counter.captured()
        body = {"reason": "repaid-early", "points": 30, "partner_reference": "r-1"}
        counter.market.step(counter.offered, redemption, "reversals", body)
        return redemption

    @pytest.mark.parametrize("state", ["reversed", "partially_reversed"])
    def test_beside_the_first_is_missing_here(self, counter: Counter, state: str) -> None:
        self.reversed_once(counter)

        def second(rows: list[Row]) -> None:
            [first] = [row for row in rows if row["record_type"] == "REVERSAL"]
            rows.append({**first, "partner_reference": "r-2", "points": "20", "state": state})

        [found] = counter.compared(counter.closed()["id"], second)

        assert (found["code"], found["theirs"]["points"]) == ("MISSING_HERE", 20)

    @pytest.mark.parametrize(
        ("reference", "points", "code"),
        [
            ("r-2", "20", "MISSING_HERE"),
            ("r-1", "30", "DUPLICATE_LINE"),
            ("", "30", "DUPLICATE_LINE"),
        ],
    )
    def test_after_the_first_was_accepted_is_told_from_it(
        self, counter: Counter, reference: str, points: str, code: str
    ) -> None:
        redemption = self.reversed_once(counter)
        counter.compared(counter.closed()["id"])
        with counter.next_morning():
            counter.captured()

        def second(rows: list[Row]) -> None:
            rows.append({**rows[0], "redemption_id": redemption, "record_type": "REVERSAL"})
            said = {"partner_reference": reference, "points": points}
            rows[-1] |= {"state": "partially_reversed", **said}

        [found] = counter.compared(counter.closed_tomorrow()["id"], second)

        assert (found["code"], found["redemption_id"]) == (code, redemption)


class TestARedemptionBeyondTheBatch:
    def test_that_is_submitted_here_is_a_mismatch_of_states(self, counter: Counter) -> None:
        counter.captured()
        waiting = counter.market.submitted(counter.customer(), counter.offered)
        batch = counter.closed()

        [found] = counter.compared(batch["id"], naming(waiting))

        assert (found["code"], found["redemption_id"]) == ("STATE_MISMATCH", waiting)
        assert found["ours"]["state"] == "submitted"

    def test_of_a_day_to_come_is_late(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        with counter.next_morning():
            [tomorrows] = counter.captured()

        [found] = counter.compared(batch["id"], naming(tomorrows))

        assert (found["code"], found["redemption_id"]) == ("LATE", tomorrows)

    def test_that_was_late_is_not_missed_the_day_after(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        [late] = counter.captured()
        counter.compared(batch["id"], naming(late))
        second = counter.closed(counter.day + timedelta(days=1))

        assert counter.compared(second["id"], list.clear) == []

    def test_that_was_accepted_before_is_a_duplicate(self, counter: Counter) -> None:
        [settled] = counter.captured()
        counter.compared(counter.closed()["id"])
        with counter.next_morning():
            counter.captured()
        batch = counter.closed(counter.day + timedelta(days=1))

        [found] = counter.compared(batch["id"], naming(settled))

        assert (found["code"], found["redemption_id"]) == ("DUPLICATE_LINE", settled)

    def test_with_a_reversal_that_we_do_not_know_is_missing_here(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()

        def plant(rows: list[Row]) -> None:
            rows.append({**rows[0], "state": "reversed", "record_type": "REVERSAL"})
            rows[-1]["partner_reference"] = "their-reversal"

        [found] = counter.compared(batch["id"], plant)

        assert found["code"] == "MISSING_HERE"

    def test_of_another_bank_is_unknown(self, counter: Counter) -> None:
        counter.captured()
        other = counter.market.offer()
        theirs = counter.market.captured(counter.market.customer(other.partner_id), other)
        batch = counter.closed()

        [found] = counter.compared(batch["id"], naming(theirs))

        assert (found["code"], found["ours"]) == ("MISSING_HERE", None)


def naming(redemption_id: str) -> Plant:
    """Plant a line about another redemption."""

    def plant(rows: list[Row]) -> None:
        rows.append({**rows[0], "redemption_id": redemption_id, "partner_reference": "other-1"})

    return plant


class TestANewFile:
    def test_clears_what_it_puts_right(self, counter: Counter) -> None:
        counter.captured(2)
        batch = counter.closed()
        counter.compared(batch["id"], change(points="7"))

        assert counter.compared(batch["id"]) == []
        assert counter.seen(batch["id"])["state"] == "accepted"

    def test_keeps_the_age_of_what_it_says_again(self, counter: Counter) -> None:
        counter.captured(3)
        batch = counter.closed()
        [first] = counter.compared(batch["id"], change(points="7"))

        def both(rows: list[Row]) -> None:
            rows[1]["points"] = "7"
            rows.insert(0, rows.pop(2))
            rows.pop(1)

        with counter.next_morning(days=3):
            found = counter.compared(batch["id"], both)

        [again] = [each for each in found if each["code"] == "AMOUNT_MISMATCH"]
        assert (again["id"], again["age_days"], again["version"]) == (first["id"], 3, 1)
        assert len(found) == 2

    def test_overtakes_one_that_still_waits(self, counter: Counter) -> None:
        counter.captured(2)
        batch = counter.closed()
        waiting = counter.send([], batch_id=batch["id"]).get_json()

        counter.compared(batch["id"])
        counter.work(waiting["run_id"])

        run = counter.get(f"/v1/reconciliation-runs/{waiting['run_id']}").get_json()
        assert (run["state"], run["exceptions"]) == ("overtaken", None)
        assert counter.seen(batch["id"])["state"] == "accepted"

    def test_that_was_sent_before_is_the_same_file(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        rows = counter.their_rows(batch["id"])

        first = counter.send(rows, batch_id=batch["id"])
        counter.work(first.get_json()["run_id"])
        second = counter.send(rows, batch_id=batch["id"])

        assert (first.status_code, second.status_code) == (202, 202)
        assert first.get_json() == second.get_json()
        location = f"/v1/reconciliation-runs/{first.get_json()['run_id']}"
        assert first.headers["Location"] == location
        assert counter.get(location).get_json()["matched_lines"] == 1

    def test_about_an_accepted_batch_is_refused(self, counter: Counter) -> None:
        counter.captured()
        batch = counter.closed()
        counter.compared(batch["id"])

        refused = counter.send([], batch_id=batch["id"])

        assert (refused.status_code, refused.get_json()["code"]) == (409, "settlement-batch-closed")
