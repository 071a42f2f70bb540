"""Millions of stored activities, made by the database itself, so that size is what is measured."""

from datetime import date

import psycopg

from service.db import libpq_url

OLDEST = date(2025, 6, 1)
DAYS = 300

WRITE = """
WITH made AS (
    SELECT citizen.id AS citizen_id, gen_random_uuid() AS activity_id,
           %(oldest)s::timestamptz + random() * %(days)s * interval '1 day' AS started_at
    FROM unnest(%(citizens)s::uuid[]) AS citizen (id), generate_series(1, %(each)s)
), activities AS (
    INSERT INTO activity (citizen_id, id, source_id, batch_id, external_id, behavior, tier,
        basis_id, rules_version, evidence_digest, verdict, reduction_g, points, simulated)
    SELECT citizen_id, activity_id, %(source)s, %(source)s, 'old-' || activity_id, 'metro_ride',
           'signed', %(source)s, 1, sha256(activity_id::text::bytea), 'certified', 383, 383, true
    FROM made ORDER BY citizen_id, activity_id
), details AS (
    INSERT INTO activity_detail (citizen_id, started_at, activity_id, ended_at, behavior, counted,
        is_trip, account_digest, activity_data)
    SELECT citizen_id, started_at, activity_id, started_at + interval '20 min', 'metro_ride', true,
           true, sha256(activity_id::text::bytea), '{"distance_m":8200}'
    FROM made ORDER BY citizen_id, started_at
), transfers AS (
    INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g)
    SELECT citizen_id, activity_id, 'issue', '2028-12-31', 383, 383
    FROM made ORDER BY citizen_id, activity_id
), accounts AS (
    INSERT INTO account (citizen_id) SELECT DISTINCT citizen_id FROM made
    ON CONFLICT DO NOTHING
)
INSERT INTO lot (citizen_id, expires_on, issued_points, issued_g, available_points, available_g)
SELECT citizen_id, '2028-12-31', 383 * count(*), 383 * count(*), 383 * count(*), 383 * count(*)
FROM made GROUP BY citizen_id ORDER BY citizen_id
ON CONFLICT (citizen_id, expires_on) DO UPDATE SET
    issued_points = lot.issued_points + excluded.issued_points,
    issued_g = lot.issued_g + excluded.issued_g,
    available_points = lot.available_points + excluded.available_points,
    available_g = lot.available_g + excluded.available_g
"""

CITIZENS_IN_A_STATEMENT = 5_000


def store(url: str, citizen_ids: list[str], source_id: str, *, activities: int) -> int:
    """Store that many certified activities, evenly over the citizens; returns how many."""
    each = activities // len(citizen_ids)
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        for start in range(0, len(citizen_ids), CITIZENS_IN_A_STATEMENT):
            connection.execute(
                WRITE,
                {
                    "citizens": citizen_ids[start : start + CITIZENS_IN_A_STATEMENT],
                    "each": each,
                    "source": source_id,
                    "oldest": OLDEST,
                    "days": DAYS,
                },
            )
        connection.execute("VACUUM (ANALYZE) activity, activity_detail, transfer, lot, account")
    return each * len(citizen_ids)
