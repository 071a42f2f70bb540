"""What a partner is told of a grade: no more than the citizen has agreed to, and noted for her."""

from datetime import date
from typing import Any, Final
from uuid import UUID

import psycopg

from service.db import Database
from service.identity.consents.checking import consent_of_subject, log_access, refusal_of_use
from service.rewards.grades.assessing import assess
from service.rewards.grades.judging import Assessment

CLUSTER: Final = "tier"
OPERATION: Final = "grade.read"


def grade_for_partner(
    database: Database, partner_id: UUID, subject: str, rules_name: str, on: date
) -> dict[str, Any]:
    """Return a citizen's grade to a partner, in a transaction of its own; a use of her consent.

    Args:
        database: which counts the use when it commits.
        partner_id: who asks.
        subject: the citizen, as this partner knows her.
        rules_name: by which rules.
        on: Asia/Shanghai.

    Raises:
        ConsentMissing, ConsentExpired, ConsentRevoked, ConsentScope, ConsentUsesExhausted
        GradeRulesNotInForce
    """
    try:
        with database.pipelined_transaction() as connection:
            consent = consent_of_subject(connection, partner_id, subject, CLUSTER)
            log_access(connection, consent, OPERATION, is_use=True)
            found = assess(connection, consent.citizen_id, rules_name, on)
    except psycopg.errors.CheckViolation as error:
        refusal = refusal_of_use(error)
        if refusal is None:
            raise
        raise refusal from error
    return {"subject": subject, **_told(found, consent.data_clusters)}


def _told(assessment: Assessment, clusters: frozenset[str]) -> dict[str, Any]:
    document = assessment.document
    told = {name: document[name] for name in ("grade", "rules", "period")}
    facts = assessment.facts
    if "total_certified" in clusters:
        told["reduction_g"] = facts["reduction_g"]
    if "category_totals" in clusters:
        behaviors = facts["behaviors"].items()
        told["categories"] = {behavior: each["reduction_g"] for behavior, each in behaviors}
    return told
