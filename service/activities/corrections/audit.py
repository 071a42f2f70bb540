"""The audit's invariants about what was corrected and taken back."""

from typing import Final

from service.ledger.audit import Check

# Nothing follows an invalidation but that it is said again, with another reason.
INVALIDATED_IS_TAKEN_BACK: Final = """
WITH gone AS (
    SELECT citizen_id, activity_id, min(seq) AS seq FROM verdict
    WHERE verdict = 'invalidated' GROUP BY citizen_id, activity_id
), taken AS (
    SELECT citizen_id, of_id AS activity_id, points, reduction_g FROM posting
    WHERE kind = 'invalidate'
)
SELECT either.*, issued.points, issued.reduction_g
FROM (
    SELECT citizen_id, activity_id, gone.seq, gone.activity_id IS NULL AS stands,
           taken.points AS taken_points, taken.reduction_g AS taken_g
    FROM gone FULL JOIN taken USING (citizen_id, activity_id)) AS either
LEFT JOIN transfer issued ON issued.citizen_id = either.citizen_id
    AND issued.id = either.activity_id AND issued.kind = 'issue'
WHERE stands OR (issued.points, issued.reduction_g) IS DISTINCT FROM (taken_points, taken_g)
   OR EXISTS (
    SELECT FROM verdict later
    WHERE later.citizen_id = either.citizen_id AND later.activity_id = either.activity_id
      AND later.seq > either.seq AND later.verdict <> 'invalidated')
"""

# A record has one newest revision, reached step by step; an erasure takes words only.
REVISIONS_FOLLOW: Final = """
WITH corrected AS (
    SELECT citizen_id, corrected_id, activity_id, revision FROM correction
    WHERE activity_id IS NOT NULL
), replaced AS (
    SELECT citizen_id, activity_id, cause_id FROM verdict WHERE code = 'corrected'
)
SELECT coalesce(c.citizen_id, r.citizen_id) AS citizen_id,
       coalesce(c.corrected_id, r.activity_id) AS activity_id, c.activity_id AS replaced_by,
       c.revision, a.revision AS revision_found, latest.verdict
FROM corrected c
FULL JOIN replaced r ON r.citizen_id = c.citizen_id AND r.activity_id = c.corrected_id
    AND r.cause_id = c.activity_id
LEFT JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id
LEFT JOIN LATERAL (
    SELECT verdict FROM verdict v
    WHERE v.citizen_id = c.citizen_id AND v.activity_id = c.corrected_id
    ORDER BY seq DESC LIMIT 1) AS latest ON true
WHERE c.corrected_id IS NULL OR r.activity_id IS NULL OR a.revision IS DISTINCT FROM c.revision
   OR coalesce(latest.verdict NOT IN ('corrected', 'invalidated'), true)
UNION ALL
SELECT citizen_id, id, NULL, revision, NULL, verdict FROM activity a
WHERE revision > 0 AND NOT EXISTS (
    SELECT FROM correction c WHERE c.citizen_id = a.citizen_id AND c.activity_id = a.id)
"""

FALSE_BY_TWO: Final = """
SELECT citizen_id, activity_id, v.verdict, i.proposed_by, i.approved_by
FROM (SELECT citizen_id, activity_id, verdict FROM verdict WHERE code = 'found-false') v
FULL JOIN invalidation i USING (citizen_id, activity_id)
WHERE v.activity_id IS NULL OR i.activity_id IS NULL
"""

CHECKS: tuple[Check, ...] = (
    Check(
        "invalidated-is-taken-back",
        "What every invalidated activity gave was taken back or is owed, and nothing else.",
        INVALIDATED_IS_TAKEN_BACK,
    ),
    Check(
        "revisions-follow",
        "Every revision took the place of the one before it, which does not count any more.",
        REVISIONS_FOLLOW,
    ),
    Check(
        "found-false-by-two",
        "Whatever staff invalidated was decided by two people.",
        FALSE_BY_TWO,
    ),
)
