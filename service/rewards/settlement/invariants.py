"""What must hold in settlement (INV-14), each invariant as a query for the rows that break it."""

from typing import Final

from service.ledger.audit import Check
from service.rewards.settlement.files import COLUMNS

SETTLED_WITHOUT_LINE: Final = """
SELECT redemption.id, redemption.state, accepted.lines
FROM redemption
JOIN redemption_record settled
    ON settled.redemption_id = redemption.id AND settled.kind = 'settlement'
LEFT JOIN LATERAL (
    SELECT count(*) AS lines FROM settlement_line line
    JOIN settlement_batch batch ON batch.id = line.batch_id
    WHERE line.redemption_id = redemption.id AND line.record_type = 'CAPTURE'
      AND line.superseded_by IS NULL AND batch.state = 'accepted'
) AS accepted ON true
WHERE accepted.lines <> 1
UNION ALL
SELECT id, state, 0 FROM redemption
WHERE state IN ('settled', 'disputed') AND NOT EXISTS (
    SELECT FROM redemption_record WHERE redemption_id = redemption.id AND kind = 'settlement')
"""

LINE_WITHOUT_SETTLEMENT: Final = """
SELECT line.batch_id, line.line_no, line.redemption_id,
       (SELECT count(*) FROM redemption_record
        WHERE redemption_id = line.redemption_id AND kind = 'settlement') AS settlements
FROM settlement_line line
JOIN settlement_batch batch ON batch.id = line.batch_id AND batch.state = 'accepted'
WHERE line.record_type = 'CAPTURE' AND line.superseded_by IS NULL
  AND 1 <> (SELECT count(*) FROM redemption_record
            WHERE redemption_id = line.redemption_id AND kind = 'settlement')
"""

TOTALS: Final = """
WITH by_payer AS (
    SELECT batch_id, record_type, payer, count(*) AS lines, sum(points) AS points,
           sum(reduction_g) AS reduction_g, sum(subsidy_minor) AS subsidy_minor
    FROM settlement_line GROUP BY batch_id, record_type, payer
), by_type AS (
    SELECT batch_id, record_type, sum(lines) AS lines, jsonb_build_object(
        'lines', sum(lines), 'points', sum(points), 'reduction_g', sum(reduction_g),
        'subsidy_minor', sum(subsidy_minor),
        'subsidy_minor_by_payer', jsonb_object_agg(payer, subsidy_minor)) AS sums
    FROM by_payer GROUP BY batch_id, record_type
), by_batch AS (
    SELECT batch_id, sum(lines) AS lines, jsonb_object_agg(record_type, sums) AS totals
    FROM by_type GROUP BY batch_id
)
SELECT batch.id, batch.lines, batch.totals, by_batch.totals AS totals_of_lines
FROM settlement_batch batch LEFT JOIN by_batch ON by_batch.batch_id = batch.id
WHERE batch.lines <> coalesce(by_batch.lines, 0)
   OR batch.totals <> coalesce(by_batch.totals, '{}')
"""

# The header, and each line as it was written, with its end.
FILES: Final = f"""
SELECT manifest.batch_id, encode(manifest.file_sha256, 'hex') AS file_sha256
FROM settlement_manifest manifest
WHERE manifest.file_sha256 <> sha256(convert_to('{",".join(COLUMNS)}' || E'\\n' || coalesce(
    (SELECT string_agg(written || E'\\n', '' ORDER BY line_no) FROM settlement_line line
     WHERE line.batch_id = manifest.batch_id), ''), 'UTF8'))
   OR manifest.sha256 <> sha256(convert_to(manifest.document, 'UTF8'))
"""

CHAIN: Final = """
SELECT batch_id, partner_id, no FROM (
    SELECT batch_id, partner_id, no, previous_sha256,
           lag(sha256) OVER chain AS before, lag(no, 1, 0) OVER chain AS no_before
    FROM settlement_manifest WINDOW chain AS (PARTITION BY partner_id ORDER BY no)
) AS link
WHERE no <> no_before + 1 OR previous_sha256 IS DISTINCT FROM before
"""

IN_THE_LOG: Final = """
SELECT batch.id, batch.state FROM settlement_batch batch
LEFT JOIN settlement_manifest manifest ON manifest.batch_id = batch.id
LEFT JOIN log_event event ON event.id = batch.id AND event.kind = 'settlement_manifest'
WHERE event.id IS NULL OR manifest.batch_id IS NULL
   OR event.content::jsonb ->> 'manifest_sha256' <> encode(manifest.sha256, 'hex')
"""

SUPERSEDED: Final = """
SELECT line.batch_id, line.line_no, batch.state FROM settlement_line line
JOIN settlement_batch batch ON batch.id = line.batch_id
WHERE (batch.state = 'superseded') <> (line.superseded_by IS NOT NULL)
"""

STATES: Final = """
SELECT batch.id, batch.state, batch.version FROM settlement_batch batch
LEFT JOIN settlement_batch_change change
    ON change.batch_id = batch.id AND change.version = batch.version
WHERE change.state IS DISTINCT FROM batch.state
   OR batch.version <> (SELECT count(*) FROM settlement_batch_change WHERE batch_id = batch.id)
UNION ALL
SELECT batch.id, batch.state, batch.version FROM settlement_batch batch
WHERE state IN ('matched', 'accepted') AND EXISTS (
    SELECT FROM reconciliation_exception
    WHERE batch_id = batch.id AND state IN ('open', 'proposed'))
"""

CHECKS: Final = (
    Check(
        "settled-once",
        "What is settled has exactly one capture line in exactly one accepted batch.",
        SETTLED_WITHOUT_LINE,
    ),
    Check(
        "accepted-lines-are-settled",
        "Each capture line of an accepted batch has settled its redemption, once.",
        LINE_WITHOUT_SETTLEMENT,
    ),
    Check("batch-totals", "A batch's totals are the sums of its lines.", TOTALS),
    Check(
        "settlement-files",
        "A batch's file and manifest are the bytes whose digests were signed.",
        FILES,
    ),
    Check("manifest-chain", "Each partner's manifests are one chain without a gap.", CHAIN),
    Check("manifests-in-log", "The log holds the digest of every manifest.", IN_THE_LOG),
    Check(
        "superseded-lines",
        "Lines count no more exactly where their batch was superseded.",
        SUPERSEDED,
    ),
    Check(
        "batch-states",
        "A batch stands as its last change says, and nothing is open in an accepted one.",
        STATES,
    ),
)
