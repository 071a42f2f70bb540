"""What must hold of offers and redemptions: each invariant is a query for what breaks it."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import psycopg

from service.ledger.audit import Check, Finding
from service.rewards.offers.terms import Terms
from service.rewards.offers.usage import HOLDS, SUBSIDY_HELD

COUNTERS_EQUAL_REDEMPTIONS: Final = f"""
WITH counted AS (
    SELECT offer_id, count(*) AS taken, sum({SUBSIDY_HELD}) AS budget_taken_minor
    FROM redemption WHERE {HOLDS} GROUP BY offer_id
)
SELECT offer_id, offer_counter.taken AS counter, counted.taken AS redemptions,
       offer_counter.budget_taken_minor AS counter_minor,
       counted.budget_taken_minor AS redemptions_minor
FROM offer_counter FULL JOIN counted USING (offer_id)
WHERE (offer_counter.taken, offer_counter.budget_taken_minor) IS DISTINCT FROM
      (coalesce(counted.taken, 0), coalesce(counted.budget_taken_minor, 0))
"""

WITHIN_LIMITS: Final = f"""
SELECT offer_id, quota, budget_minor, count(*) AS redemptions,
       sum({SUBSIDY_HELD}) AS redemptions_minor
FROM redemption JOIN offer_counter USING (offer_id)
WHERE {HOLDS} GROUP BY offer_id, quota, budget_minor
HAVING count(*) > quota OR sum({SUBSIDY_HELD}) > budget_minor
"""

# A use that everybody has given back leaves a row with none.
USES_EQUAL_REDEMPTIONS: Final = f"""
WITH use AS (
    SELECT offer_id, 'citizen' AS holder_kind, uuid_send(citizen_id) AS holder,
           citizen_use_on AS starts_on
    FROM redemption WHERE {HOLDS} AND citizen_use_on IS NOT NULL
    UNION ALL
    SELECT offer_id, 'person', person_id, person_use_on
    FROM redemption WHERE {HOLDS} AND person_use_on IS NOT NULL
), counted AS (
    SELECT offer_id, holder_kind, holder, starts_on, count(*) AS taken
    FROM use GROUP BY offer_id, holder_kind, holder, starts_on
)
SELECT offer_id, holder_kind, encode(holder, 'hex') AS holder, starts_on,
       offer_use.taken AS counter, counted.taken AS redemptions, offer_use.most
FROM offer_use FULL JOIN counted USING (offer_id, holder_kind, holder, starts_on)
WHERE coalesce(offer_use.taken, 0) <> coalesce(counted.taken, 0)
   OR coalesce(counted.taken, 0) > coalesce(offer_use.most, 0)
"""

ATTESTED_ONCE: Final = f"""
SELECT offer_id, encode(person_id, 'hex') AS person_id, person_use_on, count(*) AS redemptions
FROM redemption WHERE mode = 'attest' AND {HOLDS}
GROUP BY offer_id, person_id, person_use_on
HAVING count(*) > 1 OR person_id IS NULL OR person_use_on IS NULL
"""

TERMS_AGREE: Final = """
SELECT redemption.id, redemption.offer_id, redemption.offer_version, quote.terms_hash AS quoted,
       offer_version.terms_hash AS of_version
FROM redemption
JOIN quote ON quote.id = redemption.quote_id
LEFT JOIN offer_version ON offer_version.offer_id = redemption.offer_id
    AND offer_version.version = redemption.offer_version
WHERE quote.terms_hash IS DISTINCT FROM offer_version.terms_hash
   OR (quote.offer_id, quote.offer_version, quote.citizen_id, quote.partner_id, quote.mode,
       quote.points) <> (redemption.offer_id, redemption.offer_version, redemption.citizen_id,
       redemption.partner_id, redemption.mode, redemption.points)
   OR redemption.subsidy_minor <> offer_version.subsidy_minor
"""

# A limit that changes is a decision too, and leaves the state as it is.
OFFERS_AS_DECIDED: Final = """
WITH decided AS (
    SELECT DISTINCT ON (offer_id) offer_id,
           CASE kind WHEN 'activation' THEN 'active' WHEN 'pause' THEN 'paused'
                     ELSE 'retired' END AS state
    FROM change_request JOIN change_decision ON change_request_id = id
    WHERE decision = 'approved' AND kind <> 'limits'
    ORDER BY offer_id, change_decision.recorded_at DESC
), activated AS (
    SELECT DISTINCT ON (offer_id) offer_id, offer_version
    FROM change_request JOIN change_decision ON change_request_id = id
    WHERE decision = 'approved' AND kind = 'activation'
    ORDER BY offer_id, change_decision.recorded_at DESC
)
SELECT offer.id, offer.state, decided.state AS decided, offer.active_version,
       activated.offer_version AS activated
FROM offer LEFT JOIN decided ON decided.offer_id = offer.id
LEFT JOIN activated ON activated.offer_id = offer.id
WHERE offer.state <> coalesce(decided.state, 'draft')
   OR offer.active_version IS DISTINCT FROM activated.offer_version
"""

TWO_PEOPLE: Final = """
SELECT id, offer_id, kind, requested_by
FROM change_request JOIN change_decision ON change_request_id = id
WHERE requested_by_kind = 'staff' AND requested_by = decided_by
"""

READ_VERSIONS: Final = """
SELECT offer_id, version, mode, points, subsidy_minor, terms_hash, terms FROM offer_version
ORDER BY offer_id, version
"""

CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "counters-equal-redemptions",
        "What is taken of an offer is what its redemptions hold, one by one.",
        COUNTERS_EQUAL_REDEMPTIONS,
    ),
    Check("offers-never-oversold", "No offer gave more than there was.", WITHIN_LIMITS),
    Check(
        "caps-equal-redemptions",
        "What somebody has taken in a period is what her redemptions hold, and no more than she"
        " may.",
        USES_EQUAL_REDEMPTIONS,
    ),
    Check(
        "attested-once",
        "An attest offer was used once by a verified person in a period.",
        ATTESTED_ONCE,
    ),
    Check(
        "redemptions-as-quoted", "Every redemption is of the terms that were quoted.", TERMS_AGREE
    ),
    Check("offers-as-decided", "Every offer is in the state that was decided.", OFFERS_AS_DECIDED),
    Check("changes-by-two", "Nobody approved what they asked for.", TWO_PEOPLE),
)


def examined_terms(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Hash the terms of every version again, which SQL alone cannot."""
    differing = list(_differing_versions(connection))
    first = {"offer_id": differing[0][0], "version": differing[0][1]} if differing else None
    says = "The terms of every version are those that were hashed."
    return [Finding("terms-equal-hashes", says, len(differing), first)]


def _differing_versions(connection: psycopg.Connection[Any]) -> Iterator[tuple[UUID, int]]:
    for offer_id, version, *stored, document in connection.execute(READ_VERSIONS):
        terms = Terms.from_document(document)
        said = [terms.mode, terms.points, terms.subsidy_minor, terms.terms_hash]
        if (terms.offer_id, terms.version, said) != (offer_id, version, stored):
            yield offer_id, version
