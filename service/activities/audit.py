"""The audit's invariants about activities: what was decided, issued, capped, frozen and left."""

from typing import Final

from service.activities.certification.batches import DIGEST
from service.activities.corrections.audit import CHECKS as OF_CORRECTIONS
from service.activities.intake.candidates import METERED, SELF_RECORDED
from service.ledger.audit import Check
from service.methodologies import Library

# Of later decisions the one with the largest number holds. Not materialized: the server's helpers
# could not read it then, and each of these queries would have one core to itself.
LATEST: Final = """
latest AS NOT MATERIALIZED (
    SELECT DISTINCT ON (citizen_id, activity_id)
           citizen_id, activity_id, verdict, reduction_g, points, basis_id, rules_version
    FROM verdict ORDER BY citizen_id, activity_id, seq DESC
)
"""

COUNTS = "coalesce(latest.verdict IN ('certified', 'pending'), {first})"

# An act is certified once, by its first verdict or a later one, even if it is invalidated then.
ISSUES_EQUAL_CERTIFIED = """
WITH certified AS (
    SELECT a.citizen_id, a.id, coalesce(v.points, a.points) AS points,
           coalesce(v.reduction_g, a.reduction_g) AS reduction_g
    FROM activity a
    LEFT JOIN verdict v ON v.citizen_id = a.citizen_id AND v.activity_id = a.id
                        AND v.verdict = 'certified'
    WHERE a.verdict = 'certified' OR v.activity_id IS NOT NULL
), issued AS (
    SELECT citizen_id, id, points, reduction_g FROM transfer WHERE kind = 'issue'
)
SELECT citizen_id, id AS activity_id, certified.points, issued.points AS issued_points,
       certified.reduction_g, issued.reduction_g AS issued_g
FROM certified FULL JOIN issued USING (citizen_id, id)
WHERE certified.points IS DISTINCT FROM issued.points
   OR certified.reduction_g IS DISTINCT FROM issued.reduction_g
"""

DETAILS_BELONG = """
SELECT coalesce(a.citizen_id, d.citizen_id) AS citizen_id,
       coalesce(a.id, d.activity_id) AS activity_id, a.behavior,
       d.behavior AS detail_behavior, a.verdict, d.counted
FROM activity a
FULL JOIN activity_detail d ON d.citizen_id = a.citizen_id AND d.activity_id = a.id
LEFT JOIN erasure e ON e.citizen_id = a.citizen_id
WHERE (d.activity_id IS NULL AND e.citizen_id IS NULL)
   OR (d.activity_id IS NOT NULL
       AND (a.behavior, a.verdict <> 'refused') IS DISTINCT FROM (d.behavior, d.counted))
"""

LEFT_BEHIND = """
SELECT d.citizen_id, d.activity_id
FROM erasure_completion e JOIN activity_detail d ON d.citizen_id = e.citizen_id
"""

# The touching of ends is no overlap, and every trip takes a second at least: as intake decides.
# If any two trips overlap, two that follow each other do.
TRIPS_OVERLAP = f"""
WITH {LATEST}, trip AS (
    SELECT d.citizen_id, d.activity_id, d.started_at,
           lag(d.activity_id) OVER hers AS previous_activity_id,
           lag(greatest(d.ended_at, d.started_at + interval '1 second')) OVER hers
               AS previous_ended_at
    FROM activity_detail d
    LEFT JOIN latest ON latest.citizen_id = d.citizen_id AND latest.activity_id = d.activity_id
    WHERE d.is_trip AND {COUNTS.format(first="d.counted")}
    WINDOW hers AS (PARTITION BY d.citizen_id ORDER BY d.started_at, d.activity_id)
)
SELECT citizen_id, activity_id, started_at, previous_activity_id, previous_ended_at
FROM trip WHERE started_at < previous_ended_at
"""

# As `readings.py` decides: one meter's readings touch at most, and her own go with no other.
READINGS_OVERLAP = f"""
WITH {LATEST}, reading AS MATERIALIZED (
    SELECT d.citizen_id, d.behavior, d.activity_id, d.account_digest, a.tier, d.started_at,
           greatest(d.ended_at, d.started_at + interval '1 second') AS ended_at
    FROM activity_detail d
    JOIN activity a ON a.citizen_id = d.citizen_id AND a.id = d.activity_id
    LEFT JOIN latest ON latest.citizen_id = d.citizen_id AND latest.activity_id = d.activity_id
    WHERE d.behavior IN ({{metered}}) AND {COUNTS.format(first="d.counted")}
), followed AS (
    SELECT reading.*,
           lead(activity_id) OVER meter AS other_id, lead(started_at) OVER meter AS other_at
    FROM reading
    WINDOW meter AS (PARTITION BY citizen_id, behavior, account_digest
                     ORDER BY started_at, activity_id)
)
SELECT citizen_id, activity_id, other_id, other_at FROM followed WHERE other_at < ended_at
UNION ALL
SELECT own.citizen_id, own.activity_id, other.activity_id, other.started_at
FROM reading own
JOIN reading other ON other.citizen_id = own.citizen_id AND other.behavior = own.behavior
    AND other.activity_id <> own.activity_id
    AND other.started_at < own.ended_at AND own.started_at < other.ended_at
WHERE own.tier = '{SELF_RECORDED}'
"""

# First by a digest of the id, which takes a third of the time; then what it points at, in full.
# Of one citizen only the newest revision counts.
COUNTED_RECORDS: Final = f"""
WITH {LATEST}, counted AS NOT MATERIALIZED (
    SELECT a.source_id, a.external_id, a.citizen_id, a.id,
           hashtextextended(a.external_id, 0) AS digest
    FROM activity a
    LEFT JOIN latest ON latest.citizen_id = a.citizen_id AND latest.activity_id = a.id
    WHERE a.source_id IS NOT NULL AND {COUNTS.format(first="a.verdict <> 'refused'")}
), suspect AS MATERIALIZED (
    SELECT source_id, digest FROM counted GROUP BY source_id, digest HAVING count(*) > 1
)
"""

COUNTED_TWICE = f"""{COUNTED_RECORDS}
SELECT source_id, external_id, count(*) AS activities,
       (array_agg(id ORDER BY id))[:2] AS activity_ids
FROM suspect JOIN counted USING (source_id, digest)
WHERE (SELECT count(*) FROM suspect) > 0
GROUP BY source_id, external_id HAVING count(*) > 1
"""

# What a human let in on appeal is beyond the caps that refused it.
CAPS_EXCEEDED = f"""
WITH {LATEST}, cap (behavior, period, most) AS (VALUES {{caps}}), act AS (
    SELECT d.citizen_id, d.behavior, (d.started_at AT TIME ZONE 'Asia/Shanghai')::date AS day
    FROM activity_detail d
    LEFT JOIN latest ON latest.citizen_id = d.citizen_id AND latest.activity_id = d.activity_id
    WHERE d.counted AND coalesce(latest.verdict IN ('certified', 'pending'), true)
), daily AS (
    SELECT citizen_id, behavior, day, count(*) AS activities FROM act GROUP BY 1, 2, 3
)
SELECT citizen_id, behavior, period, first_day, most, sum(activities) AS activities
FROM (
    SELECT daily.citizen_id, daily.behavior, cap.period, cap.most, daily.activities,
           CASE cap.period WHEN 'day' THEN day ELSE date_trunc('month', day)::date END AS first_day
    FROM daily JOIN cap ON cap.behavior = daily.behavior
    WHERE cap.period = 'month' OR daily.activities > cap.most) AS within
GROUP BY citizen_id, behavior, period, first_day, most HAVING sum(activities) > most
"""

WAITING_IS_PENDING = f"""
WITH {LATEST}, undecided AS (
    SELECT a.citizen_id, a.id AS activity_id, a.points, a.reduction_g
    FROM activity a
    LEFT JOIN latest ON latest.citizen_id = a.citizen_id AND latest.activity_id = a.id
    WHERE coalesce(latest.verdict, a.verdict) = 'pending'
)
SELECT citizen_id, activity_id, undecided.points, p.points AS waiting_points,
       undecided.reduction_g, p.reduction_g AS waiting_g
FROM undecided FULL JOIN pending_activity p USING (citizen_id, activity_id)
WHERE undecided.points IS DISTINCT FROM p.points
   OR undecided.reduction_g IS DISTINCT FROM p.reduction_g
"""

FEEDS_ADD_UP = """
WITH said AS (
    SELECT id, sum(reduction_g) AS reduction_g, sum(points) AS points
    FROM activity_batch GROUP BY id
), found AS (
    SELECT batch_id AS id, sum(reduction_g) AS reduction_g, sum(points) AS points
    FROM activity WHERE verdict = 'certified' AND batch_id IS NOT NULL GROUP BY batch_id
)
SELECT id AS batch_id, said.reduction_g, found.reduction_g AS activities_g, said.points,
       found.points AS activities_points
FROM said FULL JOIN found USING (id)
WHERE coalesce(said.reduction_g, 0) <> coalesce(found.reduction_g, 0)
   OR coalesce(said.points, 0) <> coalesce(found.points, 0)
"""

BATCHES_ARE_FROZEN = f"""
SELECT b.id AS batch_id, b.activities, count(a.id) AS items, b.reduction_g,
       coalesce(sum(a.reduction_g), 0) AS items_g, b.points,
       coalesce(sum(a.points), 0) AS items_points
FROM certification_batch b
LEFT JOIN certification_batch_item i ON i.batch_id = b.id
LEFT JOIN activity a ON a.citizen_id = i.citizen_id AND a.id = i.activity_id
GROUP BY b.id
HAVING (b.activities, b.reduction_g, b.points, b.digest)
       IS DISTINCT FROM (count(a.id), sum(a.reduction_g), sum(a.points), {DIGEST})
"""

OUTCOMES_ADD_UP = """
WITH issued AS (
    SELECT v.cause_id AS batch_id, count(*) AS activities, sum(a.reduction_g) AS reduction_g,
           sum(a.points) AS points
    FROM verdict v
    JOIN certification_batch b ON b.id = v.cause_id
    JOIN activity a ON a.citizen_id = v.citizen_id AND a.id = v.activity_id
    WHERE v.verdict = 'certified'
    GROUP BY v.cause_id
)
SELECT o.batch_id, d.decision, b.activities, o.approved, o.issued,
       issued.activities AS issued_found, o.reduction_g, issued.reduction_g AS issued_g,
       o.points, issued.points AS issued_points
FROM certification_outcome o
JOIN certification_batch b ON b.id = o.batch_id
JOIN certification_decision d ON d.batch_id = o.batch_id
LEFT JOIN issued ON issued.batch_id = o.batch_id
WHERE (o.issued, o.reduction_g, o.points) IS DISTINCT FROM
      (coalesce(issued.activities, 0), coalesce(issued.reduction_g, 0), coalesce(issued.points, 0))
   OR o.approved <> CASE d.decision WHEN 'approved' THEN b.activities ELSE 0 END
   OR b.activities <> o.issued
      + (SELECT coalesce(sum(value::bigint), 0) FROM json_each_text(o.skipped))
"""

CLAIMS_COUNT = f"""
WITH {LATEST}
SELECT encode(c.key_digest, 'hex') AS key_digest, c.citizen_id, c.activity_id,
       coalesce(latest.verdict, a.verdict) AS verdict
FROM once_claim c
LEFT JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id
LEFT JOIN latest ON latest.citizen_id = c.citizen_id AND latest.activity_id = c.activity_id
WHERE coalesce(coalesce(latest.verdict, a.verdict) NOT IN ('certified', 'pending'), true)
"""

WITHOUT_GROUND = f"""
WITH {LATEST}, ground AS (
    SELECT basis_id, rules_version, any_value(id) AS activity_id FROM activity
    WHERE verdict <> 'refused' GROUP BY basis_id, rules_version
    UNION ALL
    SELECT basis_id, rules_version, activity_id FROM latest WHERE basis_id IS NOT NULL
)
SELECT basis_id, rules_version, activity_id FROM ground
WHERE NOT EXISTS (SELECT FROM quantification_basis b WHERE b.id = ground.basis_id)
   OR NOT EXISTS (SELECT FROM scheme_rules r WHERE r.version = ground.rules_version)
"""


def _caps() -> str:
    """Return the rows of a VALUES list: behavior, period, and the most that any version lets in."""
    most: dict[tuple[str, str], int] = {}
    for methodology in Library.load().methodologies:
        for cap in methodology.caps:
            key = methodology.behavior, cap.period
            most[key] = max(cap.limit, most.get(key, 0))
    return ", ".join(
        f"('{behavior}', '{period}', {limit})" for (behavior, period), limit in most.items()
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "issues-equal-certified",
        "Every issue is one certified activity, every certified activity one issue, with equal"
        " points and grams.",
        ISSUES_EQUAL_CERTIFIED,
    ),
    Check(
        "activities-have-details",
        "Every activity has its times and quantities, unless the person has left, and they agree.",
        DETAILS_BELONG,
    ),
    Check("erased-left-nothing", "Who has been erased left no times and quantities.", LEFT_BEHIND),
    Check(
        "trips-do-not-overlap",
        "No two trips of one citizen that count took place at the same time.",
        TRIPS_OVERLAP,
    ),
    Check(
        "readings-do-not-overlap",
        "No kilowatt-hour stands in two readings of one citizen that count.",
        READINGS_OVERLAP.format(metered=", ".join(f"'{each}'" for each in sorted(METERED))),
    ),
    Check(
        "records-count-once",
        "No record of a source counts for two citizens.",
        COUNTED_TWICE,
    ),
    Check(
        "caps-are-kept",
        "Nobody has more activities of a behavior in a day or month than its cap.",
        CAPS_EXCEEDED.format(caps=_caps()),
    ),
    Check(
        "waiting-is-pending",
        "What waits for certification is exactly what is pending, with equal points and grams.",
        WAITING_IS_PENDING,
    ),
    Check(
        "feeds-add-up",
        "Every feed certified what its activities say.",
        FEEDS_ADD_UP,
    ),
    Check(
        "batches-are-frozen",
        "Every certification batch is what it was when it was closed, to the digest.",
        BATCHES_ARE_FROZEN,
    ),
    Check(
        "outcomes-add-up",
        "Every decision on a batch brought about what its verdicts say.",
        OUTCOMES_ADD_UP,
    ),
    Check(
        "claims-count",
        "What may count only once is claimed by activities that count.",
        CLAIMS_COUNT,
    ),
    Check(
        "results-have-a-ground",
        "Every result names a basis and rules that are kept.",
        WITHOUT_GROUND,
    ),
    *OF_CORRECTIONS,
)
