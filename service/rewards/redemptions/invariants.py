"""What must hold of redemptions: each invariant is a query for what breaks it.

All is derived again from the records, which only grow: the redemption's row is their fold, every
record follows from the one before as `states` says, and the ledger moved what they imply.
"""

from collections.abc import Iterator
from itertools import product
from typing import Final

from service.ledger.audit import Check
from service.rewards.redemptions.states import POSTINGS, STEPS


def _rows(rows: Iterator[tuple[str, ...]]) -> str:
    return ", ".join("(" + ", ".join(f"'{value}'" for value in row) + ")" for row in sorted(rows))


def possible_steps() -> Iterator[tuple[str, str, str]]:
    """Yield each kind with every state that it may come from and lead to; from nothing: ''."""
    for kind, step in STEPS.items():
        for before, after in product(step.from_states or {""}, step.to_states):
            if after == before or not _stays(kind, before):
                yield kind, before, after
    yield "settlement", "captured", "settled"


def _stays(kind: str, before: str) -> bool:
    """Say whether a kind of step leaves a state as it is, though it may lead to others as well."""
    return kind == "settlement" or (kind != "reversal" and before in STEPS[kind].to_states)


def _postings() -> Iterator[tuple[str, str, str]]:
    return ((kind, mode, way) for (kind, mode), ways in POSTINGS.items() for way in ways)


STEPS_IN_SQL: Final = _rows(possible_steps())
POSTINGS_IN_SQL: Final = _rows(_postings())
EVENTS_IN_SQL: Final = _rows((kind, step.event) for kind, step in STEPS.items())

# As `steps.record_id`: a UUID of version 8 out of SHA-256.
_DIGEST: Final = (
    "sha256(convert_to('redemption-record', 'UTF8') || '\\x1f'::bytea || uuid_send(redemption_id)"
    " || '\\x1f'::bytea || int4send(no))"
)
_DERIVED_ID: Final = (
    f"encode(set_byte(set_byte(substring({_DIGEST} FROM 1 FOR 16),"
    f" 6, get_byte({_DIGEST}, 6) & 15 | 128), 8, get_byte({_DIGEST}, 8) & 63 | 128), 'hex')::uuid"
)

# There are no foreign keys here: each would lock one row for everybody who redeems.
STRAYS: Final = """
SELECT 'record without redemption' AS stray, record.id FROM redemption_record record
WHERE NOT EXISTS (SELECT FROM redemption WHERE id = record.redemption_id)
UNION ALL
SELECT 'redemption without quote', redemption.id FROM redemption
WHERE NOT EXISTS (SELECT FROM quote WHERE id = quote_id)
UNION ALL
SELECT 'redemption without consent', redemption.id FROM redemption
WHERE NOT EXISTS (SELECT FROM consent WHERE consent.id = consent_id
                  AND consent.citizen_id = redemption.citizen_id
                  AND consent.partner_id = redemption.partner_id)
UNION ALL
SELECT 'quote without version', quote.id FROM quote
WHERE NOT EXISTS (SELECT FROM offer_version version
                  WHERE version.offer_id = quote.offer_id AND version.version = offer_version)
UNION ALL
SELECT 'words without record', words.record_id FROM dispute_words words
WHERE NOT EXISTS (SELECT FROM redemption_record WHERE id = words.record_id)
"""

NUMBERS: Final = f"""
SELECT redemption.id, redemption.version, count(record.no) AS records, min(no) AS first,
       max(no) AS last
FROM redemption LEFT JOIN redemption_record record ON redemption_id = redemption.id
GROUP BY redemption.id
HAVING count(record.no) <> redemption.version OR min(no) IS DISTINCT FROM 1
    OR max(no) IS DISTINCT FROM redemption.version
    OR count(*) FILTER (WHERE record.id <> {_DERIVED_ID}
                           OR record.partner_id <> redemption.partner_id) > 0
"""

_STORY: Final = """
story AS (
    SELECT record.*, coalesce(lag(state) OVER (PARTITION BY redemption_id ORDER BY no), '')
               AS state_before
    FROM redemption_record record
)
"""

STEPS_FOLLOW: Final = f"""
WITH step (kind, state_before, state) AS (VALUES {STEPS_IN_SQL}), {_STORY}
SELECT redemption_id, no, kind, state_before, state FROM story
WHERE (kind, state_before, state) NOT IN (SELECT kind, state_before, state FROM step)
"""

_AFTER_CAPTURE: Final = "'captured', 'settled', 'partially_reversed'"

ROWS_EQUAL_RECORDS: Final = f"""
WITH {_STORY}, fold AS (
    SELECT redemption_id,
           (array_agg(state ORDER BY no DESC))[1] AS state,
           count(*) FILTER (WHERE kind = 'capture') AS captures,
           coalesce(sum(points) FILTER (WHERE kind = 'reservation'), 0) AS points,
           coalesce(sum(subsidy_minor) FILTER (WHERE kind = 'reservation'), 0) AS subsidy_minor,
           coalesce(sum(points) FILTER (WHERE kind = 'capture'), 0) AS captured_points,
           coalesce(sum(subsidy_minor) FILTER (WHERE kind = 'capture'), 0)
               AS captured_subsidy_minor,
           coalesce(sum(points) FILTER (WHERE kind = 'reversal'), 0) AS reversed_points,
           coalesce(sum(subsidy_minor) FILTER (WHERE kind = 'reversal'), 0)
               AS reversed_subsidy_minor,
           count(*) FILTER (WHERE kind = 'maturity') AS maturities,
           max(body ->> 'at_maturity') FILTER (WHERE kind = 'maturity') AS matured_as,
           count(*) FILTER (WHERE kind IN ('decline', 'void', 'closure')
                               OR (kind = 'expiry' AND state_before = 'reserved')) AS closures,
           bool_or(kind = 'submission') AS was_submitted,
           bool_or(kind = 'void_request') AS was_void_requested
    FROM story GROUP BY redemption_id
)
SELECT redemption.id, to_jsonb(redemption) AS redemption, to_jsonb(fold) AS records
FROM redemption JOIN fold ON redemption_id = redemption.id
WHERE redemption.state <> fold.state OR maturities > 1 OR closures > 1
   OR (redemption.points, redemption.subsidy_minor, redemption.captured_points,
       redemption.captured_subsidy_minor, redemption.reversed_points) <>
      (fold.points, fold.subsidy_minor, fold.captured_points, fold.captured_subsidy_minor,
       fold.reversed_points)
   OR redemption.matured_as IS DISTINCT FROM fold.matured_as
   OR (redemption.closed_at IS NOT NULL) <> (closures = 1)
   OR (redemption.status_index IS NOT NULL) <> was_submitted
   OR (redemption.void_requested_at IS NOT NULL) <> was_void_requested
   OR (redemption.state_before IS NOT NULL) <> (redemption.state = 'disputed')
   OR captures <> (redemption.state IN ({_AFTER_CAPTURE}, 'disputed', 'reversed'))::int
   OR CASE redemption.state
        WHEN 'reversed' THEN fold.reversed_points <> fold.captured_points
            OR reversed_subsidy_minor <> fold.captured_subsidy_minor
        WHEN 'partially_reversed'
            THEN fold.reversed_points NOT BETWEEN 1 AND fold.captured_points - 1
        ELSE fold.reversed_points <> 0 END
"""

WATCHED: Final = f"""
SELECT id, state, mode, deadline_at, matures_at, matured_as, closed_at FROM redemption
WHERE (deadline_at IS NOT NULL) <> (
    state IN ('reserved', 'submitted', 'unknown')
    OR (state = 'expired' AND closed_at IS NULL)
    OR (mode = 'lock' AND matured_as IS NULL AND state IN ({_AFTER_CAPTURE})))
"""

# Points come home by release before a lock has matured, by restore once they were redeemed.
LEDGER_MOVED: Final = """
WITH said AS (
    SELECT record.*, redemption.citizen_id, redemption.mode, redemption.points AS held,
           maturity.no AS matured_no, maturity.body ->> 'at_maturity' AS matured_as
    FROM redemption_record record
    JOIN redemption ON redemption.id = record.redemption_id
    LEFT JOIN redemption_record maturity
        ON maturity.redemption_id = record.redemption_id AND maturity.kind = 'maturity'
), implied AS (
    SELECT redemption_id, citizen_id,
           max(posting_id::text) FILTER (WHERE kind = 'reservation') AS hold_id,
           coalesce(sum(points) FILTER (WHERE kind = 'reservation'), 0) AS held,
           coalesce(sum(CASE
               WHEN kind = 'capture' AND mode = 'burn' THEN points
               WHEN kind = 'maturity' AND matured_as = 'burn' THEN points END), 0) AS captured,
           coalesce(sum(CASE
               WHEN kind = 'capture' THEN held - points
               WHEN kind IN ('decline', 'void', 'expiry', 'closure') THEN points
               WHEN kind = 'maturity' AND matured_as = 'release' THEN points
               WHEN kind = 'reversal' AND mode = 'lock' AND coalesce(no < matured_no, true)
                   THEN points END), 0) AS released,
           coalesce(sum(points) FILTER (WHERE kind = 'reversal' AND (
               mode = 'burn' OR (matured_as = 'burn' AND no > matured_no))), 0) AS restored
    FROM said GROUP BY redemption_id, citizen_id
), moved AS (
    SELECT citizen_id, hold_id::text AS hold_id,
           coalesce(sum(points) FILTER (WHERE kind = 'hold'), 0) AS held,
           coalesce(sum(points) FILTER (WHERE kind = 'capture'), 0) AS captured,
           coalesce(sum(points) FILTER (WHERE kind = 'release'), 0) AS released,
           coalesce(sum(points) FILTER (WHERE kind = 'restore'), 0) AS restored
    FROM transfer WHERE hold_id IS NOT NULL GROUP BY citizen_id, hold_id
)
SELECT redemption_id, citizen_id, hold_id, to_jsonb(implied) AS records,
       to_jsonb(moved) AS ledger
FROM implied FULL JOIN moved USING (citizen_id, hold_id)
WHERE (coalesce(implied.held, 0), coalesce(implied.captured, 0), coalesce(implied.released, 0),
       coalesce(implied.restored, 0)) <>
      (coalesce(moved.held, 0), coalesce(moved.captured, 0), coalesce(moved.released, 0),
       coalesce(moved.restored, 0))
"""

# An ended redemption holds nothing; one that waits holds all; a lock what is not yet decided.
STILL_HELD: Final = f"""
WITH moved AS (
    SELECT citizen_id, hold_id, sum(CASE kind WHEN 'hold' THEN points ELSE -points END) AS held
    FROM transfer WHERE hold_id IS NOT NULL AND kind IN ('hold', 'release', 'capture')
    GROUP BY citizen_id, hold_id
)
SELECT redemption.id, redemption.state, mode, redemption.points, moved.held
FROM redemption JOIN redemption_record record
    ON record.redemption_id = redemption.id AND record.no = 1
LEFT JOIN moved ON moved.citizen_id = redemption.citizen_id AND moved.hold_id = record.posting_id
WHERE coalesce(moved.held, 0) <> CASE
    WHEN redemption.state IN ('reserved', 'submitted', 'unknown') THEN redemption.points
    WHEN redemption.state = 'expired' AND closed_at IS NULL THEN redemption.points
    WHEN mode = 'lock' AND matured_as IS NULL
         AND redemption.state IN ({_AFTER_CAPTURE}, 'disputed')
        THEN captured_points - reversed_points
    ELSE 0 END
"""

POSTINGS_EQUAL_RECORDS: Final = f"""
WITH way (kind, mode, posting_kind) AS (VALUES {POSTINGS_IN_SQL}), line AS (
    SELECT citizen_id, posting_id, kind, sum(points) AS points, sum(reduction_g) AS reduction_g
    FROM transfer WHERE posting_id IS NOT NULL AND kind IN ('hold', 'release', 'capture', 'restore')
    GROUP BY citizen_id, posting_id, kind
)
SELECT record.redemption_id, record.no, record.kind, redemption.mode, record.posting_id,
       record.points, record.reduction_g, line.kind AS posting_kind,
       line.points AS posting_points, line.reduction_g AS posting_g
FROM redemption_record record JOIN redemption ON redemption.id = record.redemption_id
LEFT JOIN line ON line.citizen_id = redemption.citizen_id AND line.posting_id = record.posting_id
WHERE CASE WHEN record.posting_id IS NULL THEN
        record.points > 0 AND NOT (record.kind = 'capture' AND redemption.mode = 'lock')
        AND NOT (record.kind = 'reversal' AND redemption.matured_as IS NOT DISTINCT FROM 'release')
    ELSE line.posting_id IS NULL OR record.posting_id <> record.id
        OR (record.points, record.reduction_g) <> (line.points, line.reduction_g)
        OR (record.kind, redemption.mode, line.kind)
            NOT IN (SELECT kind, mode, posting_kind FROM way) END
"""

REFERENCES_ONCE: Final = """
SELECT partner_id, kind, partner_reference, count(*) AS records FROM redemption_record
WHERE partner_reference IS NOT NULL
GROUP BY partner_id, kind, partner_reference HAVING count(*) > 1
"""

CAPTURED_AS_QUOTED: Final = """
SELECT record.redemption_id, record.no, record.body ->> 'terms_hash' AS captured,
       quote.terms_hash AS quoted, version.terms_hash AS of_version
FROM redemption_record record
JOIN redemption ON redemption.id = record.redemption_id
LEFT JOIN quote ON quote.id = redemption.quote_id
LEFT JOIN offer_version version
    ON version.offer_id = redemption.offer_id AND version.version = redemption.offer_version
WHERE record.kind = 'capture'
  AND (record.body ->> 'terms_hash' IS DISTINCT FROM quote.terms_hash
       OR quote.terms_hash IS DISTINCT FROM version.terms_hash
       OR record.partner_reference IS NULL)
"""

# A step that the service takes where a partner's word is needed names the answer that it rests on.
RESTS_ON_EVIDENCE: Final = f"""
WITH {_STORY}, fits (kind, state_before, answer) AS (VALUES
    ('expiry', 'submitted', 'none'), ('void', 'unknown', 'none'),
    ('void', 'unknown', 'voided'), ('void', 'submitted', 'voided'),
    ('decline', 'submitted', 'declined'), ('decline', 'unknown', 'declined'),
    ('capture', 'submitted', 'captured'), ('capture', 'unknown', 'captured'),
    ('unknown', 'submitted', 'pending'), ('unknown', 'submitted', 'contradictory'),
    ('unknown', 'submitted', 'no_answer'))
SELECT story.redemption_id, story.no, story.kind, state_before, body -> 'evidence' AS evidence
FROM story
WHERE actor_kind = 'service' AND (
    (kind IN ('capture', 'decline', 'void', 'unknown')
     OR (kind = 'expiry' AND state_before <> 'reserved'))
    AND NOT EXISTS (
        SELECT FROM inquiry JOIN fits USING (answer)
        WHERE inquiry.redemption_id = story.redemption_id
          AND to_jsonb(inquiry.no) = story.body -> 'evidence' -> 'inquiry'
          AND (fits.kind, fits.state_before) = (story.kind, story.state_before)))
"""

# A renewal stands in the place of what it renews. Who has left has taken the list of accesses with
# her.
CONSENTED: Final = """
SELECT record.redemption_id, record.no, redemption.consent_id, record.recorded_at
FROM redemption_record record
JOIN redemption ON redemption.id = record.redemption_id
JOIN consent named ON named.id = redemption.consent_id
WHERE record.kind = 'submission' AND NOT EXISTS (
    SELECT FROM consent given
    WHERE (given.citizen_id, given.partner_id, given.purpose)
        = (named.citizen_id, named.partner_id, named.purpose)
      AND (given.id = named.id OR named.state = 'renewed')
      AND record.recorded_at BETWEEN given.valid_from AND given.valid_to
      AND NOT EXISTS (
        SELECT FROM consent_change change
        WHERE change.consent_id = given.id AND change.kind IN ('revoked', 'expired', 'renewed')
          AND change.recorded_at < record.recorded_at - interval '1 minute')
      AND (EXISTS (SELECT FROM erasure WHERE erasure.citizen_id = redemption.citizen_id)
           OR EXISTS (
        SELECT FROM consent_access access
        WHERE access.citizen_id = redemption.citizen_id AND access.consent_id = given.id
          AND access.is_use
          AND access.about = 'rdm_' || replace(redemption.id::text, '-', ''))))
"""

# Time, the janitor and the reconciler are the service; nobody else ends what they do not own.
WHO_MAY: Final = """
SELECT record.redemption_id, record.no, record.kind, record.actor_kind, record.actor_id
FROM redemption_record record JOIN redemption ON redemption.id = record.redemption_id
WHERE CASE actor_kind
    WHEN 'citizen' THEN actor_id IS DISTINCT FROM redemption.citizen_id
        OR kind NOT IN ('reservation', 'submission', 'void_request', 'void', 'dispute')
        OR (kind = 'void' AND status_index IS NOT NULL)
    WHEN 'partner' THEN actor_id IS DISTINCT FROM redemption.partner_id
        OR kind NOT IN ('capture', 'decline', 'void', 'reversal', 'dispute')
    WHEN 'staff' THEN actor_id IS NULL
        OR kind NOT IN ('capture', 'decline', 'void', 'reversal', 'resolution')
    ELSE kind NOT IN ('capture', 'decline', 'void', 'expiry', 'unknown', 'closure', 'maturity',
                      'settlement') END
"""

# What staff do to a redemption rests on a forced resolution, a dispute or an exception; how many of
# them an exception takes depends on what is at risk, and its own steps say who they were.
STAFF_RESTS_ON: Final = """
SELECT record.redemption_id, record.no, record.kind, record.actor_id,
       record.body -> 'evidence' AS evidence
FROM redemption_record record
WHERE actor_kind = 'staff' AND kind <> 'resolution'
  AND NOT EXISTS (
    SELECT FROM forced_resolution forced
    JOIN forced_resolution_approval approval ON approval.forced_resolution_id = forced.id
    WHERE forced.redemption_id = record.redemption_id AND approval.approved_by = record.actor_id
      AND forced.proposed_by <> approval.approved_by AND forced.outcome = record.state
      AND 'frs_' || replace(forced.id::text, '-', '')
          = record.body -> 'evidence' ->> 'forced_resolution_id')
  AND NOT EXISTS (
    SELECT FROM redemption_record resolution
    WHERE resolution.redemption_id = record.redemption_id AND resolution.no = record.no - 1
      AND resolution.kind = 'resolution' AND resolution.actor_id = record.actor_id
      AND resolution.body ->> 'outcome' = 'reversed' AND record.kind = 'reversal')
  AND NOT EXISTS (
    SELECT FROM reconciliation_exception exception
    JOIN exception_step step ON step.exception_id = exception.id AND step.kind = 'resolved'
    WHERE exception.redemption_id = record.redemption_id AND step.actor_id = record.actor_id
      AND record.request_no
          = 'rcx_' || replace(exception.id::text, '-', '') || '/' || (step.no - 1))
"""

ONE_EVENT_EACH: Final = f"""
WITH told (kind, type) AS (VALUES {EVENTS_IN_SQL}), said AS (
    SELECT record.partner_id, 'rdm_' || replace(redemption_id::text, '-', '') AS object_id,
           no AS object_version, state, type
    FROM redemption_record record JOIN told USING (kind)
), event AS (
    SELECT partner_id, object_id, object_version, max(state) AS state, max(type) AS type,
           count(*) AS events
    FROM partner_event WHERE object = 'redemption' GROUP BY partner_id, object_id, object_version
)
SELECT partner_id, object_id, object_version, said.type AS record_type, event.type AS event_type,
       said.state, event.state AS event_state, event.events
FROM said FULL JOIN event USING (partner_id, object_id, object_version)
WHERE (said.type, said.state, 1) IS DISTINCT FROM (event.type, event.state, event.events)
"""

CHECKS: Final[tuple[Check, ...]] = (
    Check("redemptions-have-no-strays", "Whatever is referred to is there.", STRAYS),
    Check(
        "redemption-records-gapless",
        "A redemption's records are numbered from 1 to its version, each by its own id.",
        NUMBERS,
    ),
    Check(
        "redemption-steps-follow",
        "Every step was possible in the state before it, and led where it may.",
        STEPS_FOLLOW,
    ),
    Check(
        "redemptions-equal-records",
        "A redemption stands as its records say: no more is captured than was held, and no more"
        " reversed than was captured.",
        ROWS_EQUAL_RECORDS,
    ),
    Check(
        "redemptions-are-watched",
        "Whatever waits has a deadline, and nothing else has.",
        WATCHED,
    ),
    Check(
        "redemptions-equal-transfers",
        "Of every redemption the ledger has held, redeemed, released and restored what its records"
        " imply; nothing else is held.",
        LEDGER_MOVED,
    ),
    Check(
        "redemptions-hold-what-they-may",
        "What has ended holds nothing, what waits holds all.",
        STILL_HELD,
    ),
    Check(
        "redemption-postings-equal-records",
        "Every record that moved points moved the points and grams that it says, in the way of its"
        " mode.",
        POSTINGS_EQUAL_RECORDS,
    ),
    Check(
        "partner-references-once",
        "A partner's reference belongs to one record of its kind, for ever.",
        REFERENCES_ONCE,
    ),
    Check(
        "captures-as-quoted",
        "What was captured are the terms that were quoted.",
        CAPTURED_AS_QUOTED,
    ),
    Check(
        "redemptions-rest-on-evidence",
        "What a partner did not do itself rests on its answer; nothing that it was shown ended by"
        " time alone.",
        RESTS_ON_EVIDENCE,
    ),
    Check(
        "submissions-were-consented",
        "A partner was shown only what a consent in force allowed, and she can read that it was.",
        CONSENTED,
    ),
    Check("redemption-steps-by-whom", "Everybody took only steps of their own.", WHO_MAY),
    Check(
        "staff-steps-rest-on-resolutions",
        "What staff did to a redemption two of them forced, or a dispute or an exception resolved.",
        STAFF_RESTS_ON,
    ),
    Check(
        "one-event-for-each-record",
        "The partner was told of every record once, with its number and state.",
        ONE_EVENT_EACH,
    ),
)
