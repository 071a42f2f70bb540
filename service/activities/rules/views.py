"""The library as it stands today, with what authorities have entered, ready to be shown."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg.rows import dict_row

from service.activities.rules.rulebook import Rulebook
from service.methodologies import factor_views, methodology_views

READ_PROPOSED = """
SELECT f.id::text AS entered, f.key, f.region, f.value, f.unit, f.in_force_from::text, f.source,
       f.grade
FROM entered_factor f
WHERE NOT EXISTS (SELECT FROM factor_approval a WHERE a.entered_factor_id = f.id)
ORDER BY f.in_force_from, f.id
"""


@dataclass(frozen=True, slots=True)
class Showcase:
    """One edition of the library on one day; making it takes tens of milliseconds."""

    edition: tuple[int, int]
    day: date
    methodologies: list[dict[str, Any]]
    factors: list[dict[str, Any]]

    @classmethod
    def of(cls, rulebook: Rulebook, day: date) -> "Showcase":
        """Work out the views of an edition."""
        return cls(
            rulebook.edition,
            day,
            methodology_views(rulebook.library, day),
            factor_views(rulebook.library, day),
        )

    def shows(self, rulebook: Rulebook, day: date) -> bool:
        """Say whether this is the edition and the day."""
        return (self.edition, self.day) == (rulebook.edition, day)


def proposed_factors(
    connection: psycopg.Connection[Any], known: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what authorities have entered and nobody has approved: shown, and used for nothing.

    Args:
        connection: inside the caller's transaction.
        known: the factors in use, whose description the entries share.
    """
    descriptions = {view["key"]: view["description"] for view in known}
    with connection.cursor(row_factory=dict_row) as cursor:
        entries = cursor.execute(READ_PROPOSED).fetchall()
    return [_proposed(entry, descriptions[entry["key"]]) for entry in entries]


def _proposed(entry: dict[str, Any], description: str) -> dict[str, Any]:
    place = f"{entry['key']}/{entry['region']}/{entry['in_force_from']}"
    return {
        "version_id": f"{place}/{entry['entered']}",
        "key": entry["key"],
        "description": description,
        "unit": entry["unit"],
        "region": entry["region"],
        "value": entry["value"],
        "year": None,
        "in_force_from": entry["in_force_from"],
        "in_force_to": None,
        "status": "awaiting-approval",
        "sources": [entry["source"]],
        "grade": entry["grade"],
        "mark": None,
        "uncertainty": "not stated",
        "note": None,
        "entered": entry["entered"],
    }
