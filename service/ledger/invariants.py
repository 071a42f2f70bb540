"""What must hold in the ledger, each invariant as a query for the rows that break it.

All is derived again from transfers, which only grow: lots and debts are their sums, holds their
stories, answers to postings what the books allowed at that moment, and the log's entries their
commitments.
"""

from typing import Final

from service.ledger.audit import Check
from service.ledger.chart import ENTRANCES, PLACES, fold_in_sql, kinds_into, kinds_out_of
from service.ledger.commitments import COMMITMENT_IN_SQL

_COLUMNS: Final = tuple(
    f"{name}_{unit}" for name in (*ENTRANCES, *PLACES) for unit in ("points", "g")
)


def _sum_of(name: str, unit: str) -> str:
    """Return the SQL for a column of a lot, over sums by kind."""
    amount = "points" if unit == "points" else "reduction_g"
    return f"{fold_in_sql(name, amount)} AS {name}_{unit}"


_SUMS: Final = ",\n           ".join(
    _sum_of(name, unit) for name in (*ENTRANCES, *PLACES) for unit in ("points", "g")
)

# Sums of bigints are numeric: folding by kind first keeps the slow additions few.
LOTS_EQUAL_TRANSFERS: Final = f"""
WITH moved AS (
    SELECT citizen_id, expires_on, kind, sum(points) AS points, sum(reduction_g) AS reduction_g
    FROM transfer GROUP BY citizen_id, expires_on, kind
), fold AS (
    SELECT citizen_id, expires_on,
           {_SUMS}
    FROM moved GROUP BY citizen_id, expires_on
)
SELECT citizen_id, expires_on, to_jsonb(lot) AS lot, to_jsonb(fold) AS transfers
FROM lot FULL JOIN fold USING (citizen_id, expires_on)
WHERE ({", ".join(f"lot.{column}" for column in _COLUMNS)})
      IS DISTINCT FROM ({", ".join(f"fold.{column}" for column in _COLUMNS)})
"""


def _total(names: tuple[str, ...], unit: str) -> str:
    return " + ".join(f"{name}_{unit}" for name in names)


ONE_FATE: Final = f"""
SELECT citizen_id, expires_on, to_jsonb(lot) AS lot FROM lot
WHERE {_total(ENTRANCES, "points")} <> {_total(PLACES, "points")}
   OR {_total(ENTRANCES, "g")} <> {_total(PLACES, "g")}
   OR least({", ".join(_COLUMNS)}) < 0
"""

WITHOUT_ACCOUNT: Final = """
SELECT citizen_id, expires_on FROM lot
WHERE NOT EXISTS (SELECT FROM account WHERE account.citizen_id = lot.citizen_id)
"""


def _latest_day_at(moment: str) -> str:
    """Return, as SQL, the day that the service may have gone by at a recorded moment.

    It asks its own clock a little after the database's was read, and the two never agree quite.
    """
    return f"(({moment} + interval '1 minute') AT TIME ZONE 'Asia/Shanghai')::date"


EXPIRED_EARLY: Final = f"""
SELECT citizen_id, id, expires_on, recorded_at, points, reduction_g FROM transfer
WHERE kind = 'expire' AND {_latest_day_at("recorded_at")} <= expires_on
"""

DEBTS: Final = """
WITH owed AS (
    SELECT citizen_id, sum(points) AS points, sum(reduction_g) AS reduction_g
    FROM (
        SELECT citizen_id, points, reduction_g FROM posting
        WHERE kind = 'invalidate'
        UNION ALL
        SELECT citizen_id, -points, -reduction_g FROM transfer
        WHERE kind IN ('invalidate', 'recover')) AS change
    GROUP BY citizen_id
)
SELECT citizen_id, account.owed_points, owed.points AS transfers_owed_points,
       account.owed_g, owed.reduction_g AS transfers_owed_g
FROM account FULL JOIN owed USING (citizen_id)
WHERE coalesce(account.owed_points, 0) <> coalesce(owed.points, 0)
   OR coalesce(account.owed_g, 0) <> coalesce(owed.reduction_g, 0)
"""

# A line of a hold, a capture or a release: what follows from it takes no more than there is, in
# the same lot. `first` is what the story starts from, and a story without it is an orphan.
HOLDS: Final = """
WITH story AS MATERIALIZED (
    SELECT citizen_id, hold_id, hold_line, kind, posting_id, of_id, expires_on, points, reduction_g
    FROM transfer WHERE hold_id IS NOT NULL
), line AS (
    SELECT citizen_id, hold_id, hold_line, hold_id AS of_id,
           kind = 'hold' AS is_first, expires_on, points, reduction_g
    FROM story WHERE kind IN ('hold', 'release', 'capture')
    UNION ALL
    SELECT citizen_id, hold_id, hold_line, CASE kind WHEN 'capture' THEN posting_id ELSE of_id END,
           kind = 'capture', expires_on, points, reduction_g
    FROM story WHERE kind IN ('capture', 'restore', 'pool')
), fold AS (
    SELECT citizen_id, hold_id, hold_line, of_id,
           count(*) FILTER (WHERE is_first) AS firsts,
           count(DISTINCT expires_on) AS lots,
           coalesce(sum(points) FILTER (WHERE is_first), 0) AS points,
           coalesce(sum(reduction_g) FILTER (WHERE is_first), 0) AS reduction_g,
           coalesce(sum(points) FILTER (WHERE NOT is_first), 0) AS points_gone,
           coalesce(sum(reduction_g) FILTER (WHERE NOT is_first), 0) AS g_gone
    FROM line GROUP BY citizen_id, hold_id, hold_line, of_id
)
SELECT * FROM fold
WHERE firsts <> 1 OR lots <> 1 OR points_gone > points OR g_gone > reduction_g
   OR (points_gone = points AND g_gone <> reduction_g)
"""

POSTINGS: Final = """
WITH line AS (
    SELECT citizen_id, posting_id AS id, count(*) AS lines,
           count(*) FILTER (WHERE transfer.line = 0 AND transfer.id = posting_id) AS firsts,
           max(transfer.line) AS last_line,
           min(kind) FILTER (WHERE transfer.line = 0) AS first_kind,
           count(DISTINCT recorded_at) AS moments,
           sum(points) FILTER (WHERE kind NOT IN ('carry_out', 'carry_in')) AS points
    FROM transfer WHERE posting_id IS NOT NULL GROUP BY citizen_id, posting_id
), asked AS (
    SELECT posting.citizen_id, id, kind, points, code AS refusal
    FROM posting LEFT JOIN refusal
        ON refusal.citizen_id = posting.citizen_id AND refusal.posting_id = posting.id
)
SELECT citizen_id, id, asked.kind, asked.points, asked.refusal, line.lines AS transfers,
       line.points AS transfers_points, line.first_kind
FROM asked FULL JOIN line USING (citizen_id, id)
WHERE asked.id IS NULL
   OR (line.id IS NULL AND refusal IS NULL AND asked.kind <> 'invalidate')
   OR (line.id IS NOT NULL AND (
        refusal IS NOT NULL
        OR line.firsts <> 1 OR line.last_line <> line.lines - 1 OR line.moments <> 1
        OR line.first_kind <> CASE asked.kind WHEN 'extend' THEN 'carry_out' ELSE asked.kind END
        OR (asked.kind NOT IN ('invalidate', 'extend') AND asked.points <> line.points)))
"""

WITHOUT_POSTING: Final = """
SELECT citizen_id, id, kind, posting_id FROM transfer
WHERE (kind IN ('issue', 'expire', 'recover')) <> (posting_id IS NULL)
"""

CARRIED: Final = """
SELECT citizen_id, posting_id, sum(points) AS points, sum(reduction_g) AS reduction_g
FROM (
    SELECT citizen_id, posting_id,
           CASE kind WHEN 'carry_in' THEN points ELSE -points END AS points,
           CASE kind WHEN 'carry_in' THEN reduction_g ELSE -reduction_g END AS reduction_g
    FROM transfer WHERE kind IN ('carry_in', 'carry_out')) AS step
GROUP BY citizen_id, posting_id HAVING sum(points) <> 0 OR sum(reduction_g) <> 0
"""

CLAWED_BACK: Final = """
SELECT back.citizen_id, back.kind, back.of_id, back.points, back.reduction_g,
       issue.points AS issued_points, issue.reduction_g AS issued_g
FROM (
    SELECT citizen_id, kind, of_id, sum(points) AS points, sum(reduction_g) AS reduction_g
    FROM transfer WHERE kind IN ('invalidate', 'recover') GROUP BY citizen_id, kind, of_id
    UNION ALL
    SELECT citizen_id, 'asked', of_id, sum(points), sum(reduction_g)
    FROM posting WHERE kind = 'invalidate' GROUP BY citizen_id, of_id) AS back
LEFT JOIN transfer issue ON issue.citizen_id = back.citizen_id AND issue.id = back.of_id
    AND issue.kind = 'issue'
WHERE issue.id IS NULL OR back.points > issue.points OR back.reduction_g > issue.reduction_g
   OR (back.kind = 'asked'
       AND (back.points, back.reduction_g) <> (issue.points, issue.reduction_g))
"""


def _change(place: str, amount: str) -> str:
    """Return by how much a transfer changes a place, as SQL."""
    return (
        f"CASE WHEN transfer.kind IN ({kinds_into(place)}) THEN {amount}"
        f" WHEN transfer.kind IN ({kinds_out_of(place)}) THEN -({amount}) ELSE 0 END"
    )


# What was available, held or left at the moment of the refusal, from the transfers before it.
REFUSALS: Final = f"""
WITH refused AS (
    SELECT posting.citizen_id, id, kind, hold_id, of_id, expires_on, code AS refusal,
           refusal.recorded_at, (params ->> 'asked')::bigint AS asked,
           {_latest_day_at("refusal.recorded_at")} AS today
    FROM refusal JOIN posting
        ON posting.citizen_id = refusal.citizen_id AND posting.id = refusal.posting_id
), again AS (
    SELECT refused.*, (
        SELECT coalesce(sum(CASE
            WHEN refusal = 'insufficient-points' AND transfer.expires_on >= today
                THEN {_change("available", "transfer.points")}
            WHEN refusal = 'insufficient-grams' AND transfer.expires_on >= today
                THEN {_change("available", "transfer.reduction_g")}
            WHEN refusal = 'grams-owed' THEN
                CASE kind WHEN 'pool' THEN {_change("redeemed", "transfer.reduction_g")}
                          WHEN 'donate' THEN CASE WHEN transfer.expires_on >= today THEN
                              {_change("available", "transfer.reduction_g")} ELSE 0 END END
                + CASE WHEN transfer.kind IN ('invalidate', 'recover')
                       THEN transfer.reduction_g ELSE 0 END
            WHEN refusal = 'nothing-to-carry' AND transfer.expires_on = refused.expires_on
                 AND transfer.expires_on >= today
                THEN {_change("available", "transfer.points + transfer.reduction_g")}
            WHEN refusal = 'hold-exceeded' AND transfer.hold_id = refused.hold_id
                THEN {_change("held", "transfer.points")}
            WHEN refusal = 'capture-exceeded'
                 AND refused.of_id IN (transfer.posting_id, transfer.of_id)
                THEN {_change("redeemed", "transfer.points")}
            ELSE 0 END), 0)
        FROM transfer
        WHERE transfer.citizen_id = refused.citizen_id
          AND transfer.recorded_at < refused.recorded_at
        ) - CASE refusal WHEN 'grams-owed' THEN (
        SELECT coalesce(sum(claim.reduction_g), 0) FROM posting claim
        WHERE claim.citizen_id = refused.citizen_id AND claim.kind = 'invalidate'
          AND claim.recorded_at < refused.recorded_at) ELSE 0 END AS there_was
    FROM refused
)
SELECT citizen_id, id, kind, refusal, asked, there_was FROM again
WHERE CASE refusal WHEN 'nothing-to-carry' THEN there_was > 0
                   ELSE asked IS NULL OR (asked > 0 AND there_was >= asked) END
"""

COMMITTED: Final = f"""
SELECT transfer.citizen_id, transfer.id, transfer.kind, transfer.points, transfer.reduction_g,
       transfer.recorded_at, encode(transfer.commitment, 'hex') AS commitment
FROM transfer JOIN account ON account.citizen_id = transfer.citizen_id
WHERE account.secret IS NOT NULL
  AND transfer.commitment <> {COMMITMENT_IN_SQL}
"""

CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "commitments-equal-transfers",
        "What the log says of every transfer is what the transfer says.",
        COMMITTED,
    ),
    Check(
        "lots-equal-transfers",
        "Every lot is the sum of its transfers, place by place, in points and in grams.",
        LOTS_EQUAL_TRANSFERS,
    ),
    Check(
        "one-fate",
        "In every lot, what came in is in exactly one place, and nothing is negative.",
        ONE_FATE,
    ),
    Check("lots-have-accounts", "Every lot belongs to an account.", WITHOUT_ACCOUNT),
    Check("nothing-expires-early", "No point expired before its last day was over.", EXPIRED_EARLY),
    Check("debts-equal-claw-backs", "What is owed is what claw-backs have not got back.", DEBTS),
    Check(
        "holds-add-up",
        "Nothing is captured, released, restored or pooled that was not there before.",
        HOLDS,
    ),
    Check("postings-equal-transfers", "Every posting did what it answered.", POSTINGS),
    Check("transfers-have-postings", "Whatever somebody asked for has a posting.", WITHOUT_POSTING),
    Check("carried-points-arrive", "What is carried out of a lot is carried in.", CARRIED),
    Check(
        "claw-backs-have-issues",
        "What is taken back was issued, and is asked for in full.",
        CLAWED_BACK,
    ),
    Check("refusals-stand", "Every refusal was right at its moment.", REFUSALS),
)
