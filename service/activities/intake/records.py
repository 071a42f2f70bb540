"""Reading activities back: as recorded, with every decision since, for the citizen herself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from service import ids
from service.activities.errors import ActivityUnknown
from service.activities.reasons import sentence
from service.messages import Language

READ = """
SELECT a.id, a.behavior, coalesce(p.name, 'citizen') AS source, a.external_id, a.tier,
       d.started_at, d.ended_at, d.activity_data, a.verdict, a.code, a.params, a.reduction_g,
       a.points, a.simulated, a.recorded_at,
       coalesce((
           SELECT json_agg(json_build_array(v.verdict, v.code, v.params, v.recorded_at)
                           ORDER BY v.seq)
           FROM verdict v WHERE v.citizen_id = %(citizen_id)s AND v.activity_id = a.id
       ), '[]') AS decisions,
       t.reduction_g AS issued_g, t.points AS issued_points, a.revision,
       (SELECT c.activity_id FROM correction c
        WHERE c.citizen_id = %(citizen_id)s AND c.corrected_id = a.id
          AND c.activity_id IS NOT NULL) AS replaced_by
FROM activity a
LEFT JOIN activity_detail d ON d.citizen_id = a.citizen_id AND d.activity_id = a.id
LEFT JOIN partner p ON p.id = a.source_id
LEFT JOIN transfer t ON t.citizen_id = a.citizen_id AND t.id = a.id
WHERE a.citizen_id = %(citizen_id)s
"""

ONE = READ + " AND a.id = %(activity_id)s"

PAGE = (
    READ
    + """
  AND (%(before)s::timestamptz IS NULL OR (a.recorded_at, a.id) < (%(before)s, %(before_id)s))
ORDER BY a.recorded_at DESC, a.id DESC LIMIT %(rows)s
"""
)


class Decision(NamedTuple):
    """A verdict, and when it was given."""

    verdict: str
    code: str | None
    params: dict[str, Any] | None
    recorded_at: str


@dataclass(frozen=True, slots=True)
class ActivityRecord:
    """One activity with all that was decided about it."""

    id: UUID
    behavior: str
    source: str
    external_id: str
    tier: str
    started_at: datetime | None
    """None, with `ended_at` and `activity_data`, once the person has been erased."""
    ended_at: datetime | None
    activity_data: dict[str, Any] | None
    verdict: str
    """The first; `decisions` holds the later ones."""
    code: str | None
    params: dict[str, Any] | None
    reduction_g: int
    points: int
    simulated: bool
    recorded_at: datetime
    decisions: list[list[Any]]
    issued_g: int | None
    issued_points: int | None
    revision: int
    replaced_by: UUID | None
    """The revision that its source put in its place."""

    @property
    def position(self) -> list[str | int]:
        """Where a list that is cut after this activity goes on."""
        return [self.recorded_at.isoformat(), self.id.hex]

    def view(self, language: Language) -> dict[str, Any]:
        """Return what the citizen is shown, reasons in her language."""
        first = Decision(self.verdict, self.code, self.params, self.recorded_at.isoformat())
        history = [first, *(Decision(*decision) for decision in self.decisions)]
        counts = history[-1].verdict in ("certified", "pending")
        return {
            "id": ids.public_id(ids.ACTIVITY, self.id),
            "behavior": self.behavior,
            "source": self.source,
            "external_id": self.external_id,
            "tier": self.tier,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "activity_data": self.activity_data,
            **_reason(history[-1], language),
            "reduction_g": _or(self.issued_g, self.reduction_g) if counts else 0,
            "points": _or(self.issued_points, self.points) if counts else 0,
            "simulated": self.simulated,
            "recorded_at": self.recorded_at,
            "revision": self.revision,
            **self._replacement(),
            "history": [
                {**_reason(decision, language), "recorded_at": decision.recorded_at}
                for decision in history
            ],
        }

    def _replacement(self) -> dict[str, str]:
        if self.replaced_by is None:
            return {}
        return {"replaced_by": ids.public_id(ids.ACTIVITY, self.replaced_by)}


def activity_of(
    connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID
) -> ActivityRecord:
    """Return one of a citizen's activities.

    Raises:
        ActivityUnknown: there is none, or it is another's; the answer is the same.
    """
    with connection.cursor(row_factory=class_row(ActivityRecord)) as cursor:
        found = cursor.execute(
            ONE, {"citizen_id": citizen_id, "activity_id": activity_id}
        ).fetchone()
    if found is None:
        raise ActivityUnknown("There is no such activity, or it is not yours to see.")
    return found


def activities_of(
    connection: psycopg.Connection[Any],
    citizen_id: UUID,
    after: Sequence[str | int] | None,
    rows: int,
) -> list[ActivityRecord]:
    """Return a citizen's activities, the newest first, from a position on."""
    before, before_id = after or (None, None)
    with connection.cursor(row_factory=class_row(ActivityRecord)) as cursor:
        return cursor.execute(
            PAGE,
            {"citizen_id": citizen_id, "before": before, "before_id": before_id, "rows": rows},
        ).fetchall()


def _reason(decision: Decision, language: Language) -> dict[str, Any]:
    verdict, code, params, _ = decision
    if code is None:
        return {"verdict": verdict}
    return {"verdict": verdict, "code": code, "detail": sentence(code, params, language)}


def _or(issued: int | None, previewed: int) -> int:
    return previewed if issued is None else issued
