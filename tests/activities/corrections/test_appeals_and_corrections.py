"""An appeal against a refusal that its source, or the scheme, has decided about since."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask

from service.activities.appeals.appeals import AppealRecord, Ruling, decide_appeal, make_appeal
from service.activities.corrections.invalidations import (
    approve_invalidation,
    propose_invalidation,
)
from service.activities.errors import NotAppealable, RuleStands
from service.runtime import Runtime
from tests.activities.corrections.desk import a_waiting_ride, correct, corrected, restated
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_citizen,
    a_ride,
    a_source,
    activity_ids,
    noon,
    points_of,
    record,
    verdicts_of,
)


def appeal(runtime: Runtime, citizen: UUID, act: UUID) -> AppealRecord:
    with runtime.database.raw_transaction() as connection:
        made, _ = make_appeal(connection, citizen, act, "I was there")
    return made


def decide(runtime: Runtime, made: AppealRecord, ruling: Ruling) -> AppealRecord:
    with runtime.database.raw_transaction() as connection:
        terms = (runtime.keys, "440300", made.id, ruling, "looked at", uuid4())
        return decide_appeal(connection, *terms)[0]


class TestAnAppealAgainstWhatWasCorrectedSince:
    def test_can_be_dismissed_and_not_upheld(self, app: Flask, runtime: Runtime) -> None:
        source = a_source(runtime)
        citizen = a_citizen(runtime, source)
        too_fast = json.loads(a_ride()) | {"ended_at": (noon() + timedelta(seconds=10)).isoformat()}
        (act,) = activity_ids(record(runtime, source, json.dumps(too_fast).encode()))
        made = appeal(runtime, citizen, act)
        corrected(app, source, act, restated(8200))

        with pytest.raises(NotAppealable):
            decide(runtime, made, "upheld")

        assert decide(runtime, made, "dismissed").state == "dismissed"
        assert verdicts_of(runtime, act) == [("corrected", "corrected")]
        assert points_of(runtime, citizen) == RIDE_8200_M_G


class TestAnAppealAgainstWhatTwoPeopleFoundFalse:
    def test_is_not_upheld_by_one(self, app: Flask, runtime: Runtime) -> None:
        source, citizen, act = a_waiting_ride(runtime)
        with runtime.database.raw_transaction() as connection:
            propose_invalidation(connection, citizen, act, "a broken gate", "olga")
            approve_invalidation(connection, citizen, act, "oleg")
        made = appeal(runtime, citizen, act)

        with pytest.raises(RuleStands):
            decide(runtime, made, "upheld")

        decide(runtime, made, "dismissed")
        assert correct(app, source, act, restated()).get_json()["code"] == "not-correctable"
