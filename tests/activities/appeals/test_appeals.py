"""A refused act is looked at again by a human, who decides once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.activities.appeals.appeals import (
    AppealRecord,
    Ruling,
    appeals,
    decide_appeal,
    make_appeal,
)
from service.activities.certification.batches import close_due_batches, decide_batch
from service.activities.certification.carrying_out import carry_out
from service.activities.errors import (
    ActivityUnknown,
    AppealAlreadyDecided,
    AppealAlreadyMade,
    AppealUnknown,
    AppellantFrozen,
    NotAppealable,
    NothingToCertify,
    OverlapStands,
    RuleStands,
)
from service.activities.reasons import REFUSED
from service.errors import DomainError
from service.identity.actors import COMMAND_LINE
from service.identity.citizens import freeze
from service.methodologies import recompute
from service.runtime import Runtime
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    an_invoice,
    noon,
    points_of,
    record,
    rows,
    verdicts_of,
)

OPERATOR = uuid4()
TOO_LATE = noon(9)


def appeal(
    runtime: Runtime, citizen: UUID, act: UUID, statement: str = "I was there"
) -> AppealRecord:
    with runtime.database.raw_transaction() as connection:
        made, _ = make_appeal(connection, citizen, act, statement)
    return made


def decide(
    runtime: Runtime,
    made: AppealRecord,
    ruling: Ruling = "upheld",
    statement: str = "the operator confirms it",
    operator: UUID = OPERATOR,
) -> tuple[AppealRecord, bool]:
    with runtime.database.raw_transaction() as connection:
        return decide_appeal(
            connection, runtime.keys, "440300", made.id, ruling, statement, operator
        )


def a_refused_ride(runtime: Runtime) -> tuple[UUID, UUID]:
    """Return a citizen and a ride of hers that came too late."""
    source = a_source(runtime)
    citizen = a_citizen(runtime, source)
    feed = record(runtime, source, a_ride(at=TOO_LATE))
    assert feed.outcomes[0].code == "too-late"
    return citizen, activity_ids(feed)[0]


class TestAnAppeal:
    def test_is_open_until_it_is_decided(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)

        made = appeal(runtime, citizen, act)

        assert (made.state, made.refusal, made.activity_id) == ("open", "too-late", act)

    def test_is_one_however_often_it_is_sent(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)

        assert appeal(runtime, citizen, act) == appeal(runtime, citizen, act)

    def test_is_not_made_again_in_other_words(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)
        appeal(runtime, citizen, act)

        with pytest.raises(AppealAlreadyMade):
            appeal(runtime, citizen, act, "I insist")

    def test_of_another_citizens_act_finds_nothing(self, runtime: Runtime) -> None:
        _, act = a_refused_ride(runtime)

        with pytest.raises(ActivityUnknown):
            appeal(runtime, uuid4(), act)

    @pytest.mark.parametrize("delay_days", [0, 1])
    def test_is_for_refusals_only(self, runtime: Runtime, delay_days: int) -> None:
        source = a_source(runtime, delay_days=delay_days)
        citizen = a_citizen(runtime, source)
        (act,) = activity_ids(record(runtime, source, a_ride()))

        with pytest.raises(NotAppealable):
            appeal(runtime, citizen, act)

    def test_reaches_a_rejected_batch_as_well(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        citizen = a_citizen(runtime, source)
        (act,) = activity_ids(record(runtime, source, a_ride()))
        reject_what_waits(runtime, source.id)

        decided, _ = decide(runtime, appeal(runtime, citizen, act))

        assert decided.state == "upheld"
        assert verdicts_of(runtime, act) == [
            ("refused", "batch-rejected"),
            ("certified", "appeal-upheld"),
        ]
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_is_listed_for_its_citizen_and_by_state(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)
        made = appeal(runtime, citizen, act)

        assert listed(runtime, citizen_id=citizen) == [made]
        assert listed(runtime, citizen_id=citizen, state="upheld") == []
        assert listed(runtime, citizen_id=citizen, after=made.position) == []


class TestAnUpheldAppeal:
    def test_certifies_the_act_with_grams_that_can_be_recomputed(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)

        decide(runtime, appeal(runtime, citizen, act))

        ((grams, points, rules_version, basis, data),) = rows(
            runtime,
            "SELECT v.reduction_g, v.points, v.rules_version, b.basis, d.activity_data"
            " FROM verdict v JOIN quantification_basis b ON b.id = v.basis_id"
            " JOIN activity_detail d ON d.activity_id = v.activity_id WHERE v.activity_id = %s",
            act,
        )
        assert (grams, points, rules_version) == (RIDE_8200_M_G, RIDE_8200_M_G, 1)
        assert recompute(basis, data) == grams
        assert points_of(runtime, citizen) == points

    def test_is_answered_the_same_again_and_issues_once(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)
        made = appeal(runtime, citizen, act)

        first, is_new = decide(runtime, made)
        again, is_new_again = decide(runtime, made)

        assert (is_new, is_new_again) == (True, False)
        assert again == first
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_issues_once_when_two_decide_at_once(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)
        made = appeal(runtime, citizen, act)

        with ThreadPoolExecutor(3) as operators:
            answers = list(operators.map(lambda _: decide(runtime, made), range(3)))

        assert sorted(is_new for _, is_new in answers) == [False, False, True]
        assert points_of(runtime, citizen) == RIDE_8200_M_G

    def test_never_makes_two_trips_overlap(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        feed = record(runtime, source, a_ride(), a_ride(at=noon() + timedelta(minutes=10)))
        made = appeal(runtime, citizen, activity_ids(feed)[1])

        with pytest.raises(OverlapStands):
            decide(runtime, made)

        assert points_of(runtime, citizen) == RIDE_8200_M_G
        assert listed(runtime, citizen_id=citizen)[0].state == "open"

    def test_keeps_later_trips_from_overlapping_with_it(self, runtime: Runtime) -> None:
        source = a_source(runtime, delay_days=1)
        citizen = a_citizen(runtime, source)
        (act,) = activity_ids(record(runtime, source, a_ride()))
        reject_what_waits(runtime, source.id)
        decide(runtime, appeal(runtime, citizen, act))

        late = record(runtime, source, a_ride(at=noon() + timedelta(minutes=5)))

        assert late.outcomes[0].code == "overlap"

    def test_needs_a_methodology_for_the_place(self, runtime: Runtime) -> None:
        chengdu = a_source(runtime, region="510100")
        citizen = a_citizen(runtime, chengdu)
        (act,) = activity_ids(record(runtime, chengdu, a_ride()))

        with pytest.raises(NothingToCertify) as refusal:
            decide(runtime, appeal(runtime, citizen, act))

        assert refusal.value.members["reason"] == "region-not-covered"

    def test_never_counts_a_document_twice(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        invoice = uuid4().hex
        feed = record(runtime, source, an_invoice(invoice), an_invoice(invoice))

        assert stands(runtime, citizen, activity_ids(feed)[1]) == "counted-before"

    def test_keeps_to_the_cap_of_the_day(self, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        feed = record(runtime, source, *(an_invoice(uuid4().hex) for _ in range(6)))

        assert stands(runtime, citizen, activity_ids(feed)[5]) == "daily-cap-reached"

    def test_waits_while_the_account_is_frozen(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)
        made = appeal(runtime, citizen, act)
        with runtime.database.transaction() as session:
            freeze(session, citizen, COMMAND_LINE, "under investigation")

        with pytest.raises(AppellantFrozen):
            decide(runtime, made)


class TestADismissedAppeal:
    def test_leaves_the_refusal(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)

        decided, _ = decide(runtime, appeal(runtime, citizen, act), "dismissed", "nine days late")

        assert (decided.state, decided.answer) == ("dismissed", "nine days late")
        assert verdicts_of(runtime, act) == [("refused", "appeal-dismissed")]
        assert points_of(runtime, citizen) == 0

    @pytest.mark.parametrize(
        "other",
        [
            {"ruling": "upheld"},
            {"statement": "in other words"},
            {"operator": uuid4()},
        ],
    )
    def test_is_not_decided_again_on_other_terms(
        self, runtime: Runtime, other: dict[str, Any]
    ) -> None:
        citizen, act = a_refused_ride(runtime)
        made = appeal(runtime, citizen, act)
        decide(runtime, made, "dismissed")

        with pytest.raises(AppealAlreadyDecided):
            decide(runtime, made, **{"ruling": "dismissed", **other})

    def test_must_have_been_made(self, runtime: Runtime) -> None:
        citizen, act = a_refused_ride(runtime)
        made = appeal(runtime, citizen, act)
        unknown = AppealRecord(**{**{n: getattr(made, n) for n in made.__slots__}, "id": uuid4()})

        with pytest.raises(AppealUnknown):
            decide(runtime, unknown)

    @pytest.mark.parametrize("code", ["appeal-upheld", "appeal-dismissed"])
    def test_puts_nobodys_words_into_a_verdict(self, code: str) -> None:
        assert "{" not in "".join(REFUSED[code].values())


def listed(runtime: Runtime, *, after: Any = None, **filters: Any) -> list[AppealRecord]:
    with runtime.database.raw_transaction() as connection:
        return appeals(connection, after, 10, **filters)


def stands(runtime: Runtime, citizen: UUID, act: UUID) -> str:
    """Return the rule that keeps a human from upholding an appeal."""
    with pytest.raises(RuleStands) as refusal:
        decide(runtime, appeal(runtime, citizen, act))
    error: DomainError = refusal.value
    return str(error.members["reason"])


def reject_what_waits(runtime: Runtime, source_id: UUID | None) -> None:
    close_due_batches(runtime.database)
    query = "SELECT id FROM certification_batch WHERE source_id = %s"
    for (batch_id,) in rows(runtime, query, source_id):
        with runtime.database.raw_transaction() as connection:
            decide_batch(connection, batch_id, "rejected", "gates out of order", OPERATOR)
        carry_out(runtime.database, batch_id)
