"""A record that counts for two people counts for the one of whom it was recorded first."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from click.testing import CliRunner

from service.activities.corrections.commands import activity_group
from service.activities.corrections.double_records import Tidied, invalidate_double_records
from service.activities.intake.candidates import Source
from service.activities.jobs import TASKS
from service.app import create_app
from service.runtime import Runtime
from tests.activities.corrections.desk import (
    approve,
    broken,
    close,
    corrected,
    of_id,
    restated,
    spend,
)
from tests.activities.factories import (
    RIDE_8200_M_G,
    a_ride,
    a_source,
    activity_ids,
    citizens,
    points_of,
    record,
    verdicts_of,
)
from tests.rivals import LOCK, a_rival, wait_until_one_waits


def twice(
    runtime: Runtime, source: Source, one: str = "card-1", other: str = "card-2"
) -> tuple[UUID, UUID]:
    """Report one ride for two accounts; return its activities in the order in which they came."""
    line = json.loads(a_ride(one))
    (first,) = activity_ids(record(runtime, source, json.dumps(line).encode()))
    again = json.dumps(line | {"account_ref": other}).encode()
    (second,) = activity_ids(record(runtime, source, again))
    return first, second


class TestADoubleRecord:
    def test_stays_with_whom_it_was_recorded_first(self, fresh_runtime: Runtime) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        ann, bea = citizens(runtime, source, ["card-1", "card-2"])
        first, second = twice(runtime, source)
        before = broken(runtime)

        tidied = invalidate_double_records(runtime.database)

        assert before == ["records-count-once"]
        assert tidied == Tidied(records=1, invalidated=1)
        assert (points_of(runtime, ann), points_of(runtime, bea)) == (RIDE_8200_M_G, 0)
        assert verdicts_of(runtime, first) == []
        assert verdicts_of(runtime, second) == [("invalidated", "double-record")]
        assert broken(runtime) == []

    def test_is_tidied_in_chunks_and_once(self, fresh_runtime: Runtime) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        cards = [f"card-{number}" for number in range(10)]
        everybody = citizens(runtime, source, cards)
        for one, other in zip(cards[::2], cards[1::2], strict=True):
            twice(runtime, source, one, other)
        spend(runtime, everybody[1], 300)

        first = invalidate_double_records(runtime.database, chunk_records=2)
        again = invalidate_double_records(runtime.database)

        assert first == Tidied(records=5, invalidated=5)
        assert again == Tidied(records=0, invalidated=0)
        assert broken(runtime) == []

    def test_that_waits_is_refused(self, fresh_runtime: Runtime) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime, delay_days=1)
        ann, bea = citizens(runtime, source, ["card-1", "card-2"])
        _, second = twice(runtime, source)
        batch = close(runtime, source)

        invalidate_double_records(runtime.database)
        outcome = approve(runtime, batch)

        assert verdicts_of(runtime, second) == [("refused", "double-record")]
        assert outcome.skipped == {"double-record": 1}
        assert (points_of(runtime, ann), points_of(runtime, bea)) == (RIDE_8200_M_G, 0)
        assert broken(runtime) == []

    def test_goes_by_when_the_record_came_and_not_by_its_correction(
        self, fresh_runtime: Runtime
    ) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        ann, bea = citizens(runtime, source, ["card-1", "card-2"])
        first, second = twice(runtime, source)
        answer = corrected(create_app(runtime), source, first, restated())

        invalidate_double_records(runtime.database)

        assert points_of(runtime, ann) == answer["points"]
        assert points_of(runtime, bea) == 0
        assert verdicts_of(runtime, of_id(answer["activity_id"])) == []
        assert verdicts_of(runtime, second) == [("invalidated", "double-record")]
        assert broken(runtime) == []

    def test_is_only_counted_by_a_dry_run(self, fresh_runtime: Runtime) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        _, bea = citizens(runtime, source, ["card-1", "card-2"])
        twice(runtime, source)

        words = ["invalidate-duplicates", "--dry-run"]
        result = CliRunner().invoke(activity_group, words, obj=runtime, catch_exceptions=False)

        assert json.loads(result.output) == {"records": 1, "invalidated": 1, "dry_run": True}
        assert points_of(runtime, bea) == RIDE_8200_M_G

    def test_is_tidied_although_a_rival_closes_a_circle_of_locks(
        self, fresh_runtime: Runtime
    ) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        ann, bea = citizens(runtime, source, ["card-1", "card-2"])
        twice(runtime, source)

        with a_rival(runtime) as rival, ThreadPoolExecutor(1) as pool:
            rival.execute(LOCK, [max(ann, bea)])
            tidied = pool.submit(invalidate_double_records, runtime.database)
            wait_until_one_waits(runtime)
            rival.execute(LOCK, [min(ann, bea)])
            rival.commit()

        assert tidied.result() == Tidied(records=1, invalidated=1)
        assert (points_of(runtime, ann), points_of(runtime, bea)) == (RIDE_8200_M_G, 0)
        assert broken(runtime) == []

    def test_is_tidied_every_night(self, fresh_runtime: Runtime) -> None:
        runtime, source = fresh_runtime, a_source(fresh_runtime)
        _, bea = citizens(runtime, source, ["card-1", "card-2"])
        twice(runtime, source)
        (task,) = [each for each in TASKS if each.name == "corrections.tidy_double_records"]

        task.run(runtime)

        assert task.cron is not None
        assert points_of(runtime, bea) == 0
