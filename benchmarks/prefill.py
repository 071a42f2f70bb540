"""Millions of stored activities, made by the database itself, so that size is what is measured."""

from datetime import date

import psycopg

from service.db import libpq_url
from service.ledger.commitments import COMMITMENT_IN_SQL

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

OPEN = """
INSERT INTO account (citizen_id) SELECT unnest(%(citizens)s::uuid[]) ON CONFLICT DO NOTHING
"""

COMMIT_TO = f"""
INSERT INTO transfer (citizen_id, id, kind, expires_on, points, reduction_g, recorded_at,
    commitment)
SELECT transfer.citizen_id, transfer.id, transfer.kind, transfer.expires_on, transfer.points,
       transfer.reduction_g, transfer.recorded_at, {COMMITMENT_IN_SQL}
FROM (
    SELECT citizen_id, id, 'issue' AS kind, date '2028-12-31' AS expires_on, points, reduction_g,
           recorded_at, NULL::uuid AS posting_id, 0::smallint AS line, NULL::uuid AS hold_id,
           NULL::smallint AS hold_line, NULL::uuid AS of_id, NULL::uuid AS party
    FROM activity WHERE citizen_id = ANY(%(citizens)s) AND batch_id = %(source)s
) AS transfer JOIN account USING (citizen_id)
ORDER BY transfer.citizen_id, transfer.id
"""

CITIZENS_IN_A_STATEMENT = 5_000


def store(url: str, citizen_ids: list[str], source_id: str, *, activities: int) -> int:
    """Store that many certified activities, evenly over the citizens; returns how many."""
    each = activities // len(citizen_ids)
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        for start in range(0, len(citizen_ids), CITIZENS_IN_A_STATEMENT):
            terms = {
                "citizens": citizen_ids[start : start + CITIZENS_IN_A_STATEMENT],
                "each": each,
                "source": source_id,
                "oldest": OLDEST,
                "days": DAYS,
            }
            with connection.transaction():
                connection.execute(OPEN, terms)
                connection.execute(WRITE, terms)
                connection.execute(COMMIT_TO, terms)
        connection.execute("VACUUM (ANALYZE) activity, activity_detail, transfer, lot, account")
    return each * len(citizen_ids)
