"""What a carbon report says of a citizen: sums and a grade, and never a trip, a time or a place.

It states facts, is issued to the person herself and carried by her. It is no credit score.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import psycopg
import rfc8785

from service.activities.totals import CertifiedTotals, ask_certified_totals, totals_from
from service.clock import day_of, start_of
from service.identity.consents.checking import pairwise_subject
from service.ids import CARBON_REPORT, PARTNER, public_id
from service.keys import KeyRing
from service.partners.organisations import partner_by_name
from service.reports.errors import ReportPeriodInvalid
from service.rewards.grades.assessing import assess
from service.rewards.grades.reviews import is_under_review

Part = Literal["totals", "category_totals", "grade", "active_days"]

REACHES_BACK: Final = timedelta(days=3660)
"""Ten years and their leap days: no points live longer."""
SUBJECT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """What a citizen wants to have in a report, and for whom."""

    first_day: date
    last_day: date
    include: frozenset[Part]
    rules: str | None
    """Of the grade."""
    audience: str | None
    """A partner's name; None: whoever she shows it to."""
    valid_days: int


def claims_of(
    connection: psycopg.Connection[Any],
    keys: KeyRing,
    issuer: str,
    citizen_id: UUID,
    report_id: UUID,
    wish: Wish,
    issued_at: datetime,
) -> dict[str, Any]:
    """Return the claims of a report.

    Args:
        connection: inside the caller's transaction.
        keys: their index key makes the subject.
        issuer: our own name.
        citizen_id: whose.
        report_id: by which it is asked about.
        wish: what she wants in it; days that are over, or today.
        issued_at: whole seconds.

    Raises:
        ReportPeriodInvalid: the period ends before it begins, or begins more than ten years ago.
        PartnerUnknown: nobody goes by the audience's name.
        GradeRulesNotInForce: of the grade that is to be in it.
    """
    _check(wish, day_of(issued_at))
    issued_at_s = int(issued_at.timestamp())
    return {
        "iss": issuer,
        **_between(connection, keys, citizen_id, report_id, wish.audience),
        "jti": public_id(CARBON_REPORT, report_id),
        "iat": issued_at_s,
        "exp": issued_at_s + int(timedelta(days=wish.valid_days).total_seconds()),
        "status_url": f"{issuer}/v1/carbon-reports/{public_id(CARBON_REPORT, report_id)}/status",
        "period": {"from": wish.first_day.isoformat(), "to": wish.last_day.isoformat()},
        **_facts(_totals(connection, citizen_id, wish), wish.include),
        **_grade(connection, citizen_id, wish),
    }


def digest_of(claims: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of claims, by which a report is known without keeping it."""
    return hashlib.sha256(rfc8785.dumps(dict(claims))).digest()


def _check(wish: Wish, issued_on: date) -> None:
    if wish.first_day > wish.last_day or issued_on - wish.first_day > REACHES_BACK:
        raise ReportPeriodInvalid("A period begins before it ends, and at most ten years ago.")


def _between(
    connection: psycopg.Connection[Any],
    keys: KeyRing,
    citizen_id: UUID,
    report_id: UUID,
    audience: str | None,
) -> dict[str, str]:
    """Return for whom it is and by what name the citizen goes in it.

    To a partner she goes by the name by which it knows her; otherwise by one of this report alone,
    which nobody without our key can connect with her or with another report.
    """
    if audience is None:
        message = b"carbon report\0" + report_id.bytes
        digest = hmac.digest(keys.index_key, message, "sha256")
        return {"sub": "sub_" + digest[:SUBJECT_BYTES].hex()}
    partner = partner_by_name(connection, audience)
    return {
        "aud": public_id(PARTNER, partner.id),
        "sub": pairwise_subject(keys, partner.id, citizen_id),
    }


def _totals(connection: psycopg.Connection[Any], citizen_id: UUID, wish: Wish) -> CertifiedTotals:
    until = start_of(wish.last_day + timedelta(days=1))
    return totals_from(
        ask_certified_totals(connection, citizen_id, start_of(wish.first_day), until)
    )


def _facts(totals: CertifiedTotals, include: frozenset[Part]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if "totals" in include:
        facts["reduction_g"] = totals.reduction_g
    if "category_totals" in include:
        facts["categories"] = {each.behavior: each.reduction_g for each in totals.behaviors}
    if "active_days" in include:
        facts["active_days"] = totals.days
    return facts


def _grade(connection: psycopg.Connection[Any], citizen_id: UUID, wish: Wish) -> dict[str, Any]:
    """Return the grade on the period's last day; disputed: she has asked a human to look at it."""
    if wish.rules is None:
        return {}
    found = assess(connection, citizen_id, wish.rules, wish.last_day).document
    disputed = is_under_review(connection, citizen_id, wish.rules)
    said = {name: found[name] for name in ("grade", "rules", "period")}
    return {"grade": {**said, "disputed": disputed}}
