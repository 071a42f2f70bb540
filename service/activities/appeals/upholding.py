"""What an upheld appeal gives: the refused act, judged anew and certified under the citizen's lock.

The human overrules judgements of evidence: too late, too fast, of too low a tier, a rejected batch.
She does not overrule what keeps the books true: grams come from a published methodology with the
numbers of the act's day, no two trips overlap, a thing counts once, caps and exclusions hold.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from service import clock
from service.activities.corrections.records import decided_here
from service.activities.errors import NothingToCertify, OverlapStands, RuleStands
from service.activities.intake.candidates import (
    READING_DURATION_MAX_S,
    SELF_RECORDED,
    TRIP_DURATION_MAX_S,
    Candidate,
    day_at,
    read_data,
)
from service.activities.intake.claims import Claims
from service.activities.intake.lines import Unreadable
from service.activities.intake.neighbours import (
    ask_neighbours,
    neighbourhoods,
    read_excluding_behaviors,
    settle_standings,
)
from service.activities.intake.readings import READING_OVERLAP, Readings
from service.activities.intake.recording import STORE_BASIS
from service.activities.rules.rulebook import DayTerms, read_rulebook
from service.keys import KeyRing
from service.ledger.accounts import Accounts
from service.ledger.issuing import Issue, issue_lots
from service.methodologies import Binding, exclusion_for
from service.methodologies.reasons import Reason
from service.partners.organisations import partner_by_id

READ_ACT = """
SELECT a.external_id, a.behavior, a.source_id, a.simulated, a.tier, d.started_at, d.ended_at,
       encode(d.account_digest, 'hex'), d.activity_data::text
FROM activity a
JOIN activity_detail d ON d.citizen_id = a.citizen_id AND d.activity_id = a.id
WHERE a.citizen_id = %s AND a.id = %s
"""

CERTIFY = """
INSERT INTO verdict (citizen_id, activity_id, seq, verdict, code, cause_id,
    reduction_g, points, basis_id, rules_version)
SELECT %(citizen_id)s, %(activity_id)s, 1 + count(*), 'certified', 'appeal-upheld', %(appeal_id)s,
    %(reduction_g)s, %(points)s, %(basis_id)s, %(rules_version)s
FROM verdict WHERE citizen_id = %(citizen_id)s AND activity_id = %(activity_id)s
"""


class StoredAct(NamedTuple):
    """A refused act as it is kept."""

    external_id: str
    behavior: str
    source_id: UUID | None
    simulated: bool
    tier: str
    started_at: datetime
    ended_at: datetime
    account_digest: str | None
    activity_data: str


@dataclass(frozen=True, slots=True)
class Granted:
    """An act that passes, and what it rests on."""

    candidate: Candidate
    terms: DayTerms
    binding: Binding
    tier: str
    source_id: UUID | None


def grant(
    connection: psycopg.Connection[Any],
    keys: KeyRing,
    default_region: str,
    citizen_id: UUID,
    activity_id: UUID,
) -> Granted:
    """Judge a refused act anew, and claim what it may count only once.

    Args:
        connection: in a transaction that holds the citizen's lock.
        keys: for the digest of the claim.
        default_region: of acts whose source names none.
        citizen_id: whose act it is.
        activity_id: a refused one.

    Raises:
        NothingToCertify: no methodology of that day and place gives it a gram.
        OverlapStands: another trip of hers counts at that time.
        RuleStands: another rule is against it; `reason` names it.
    """
    granted = _judged(connection, default_region, citizen_id, activity_id)
    candidate = granted.candidate
    hoods = neighbourhoods(ask_neighbours(connection, [candidate]))
    settle_standings(connection, [candidate], hoods)
    hood = hoods[candidate.citizen_id]
    others = read_excluding_behaviors(connection, [candidate]).get(candidate.citizen_id)
    if hood.overlapping(candidate):
        raise OverlapStands("Another trip of hers counts at that time, and trips never overlap.")
    claims = Claims.taken(connection, keys, granted.source_id, [candidate])
    decided = decided_here(connection, citizen_id, activity_id)
    reason = (
        (Reason(decided, {}) if decided else None)
        or _impossible(candidate)
        or exclusion_for(granted.binding.methodology, others or frozenset())
        or hood.cap_reached(candidate)
        or claims.refusal(candidate)
        or _read_twice(connection, granted)
    )
    if reason is not None:
        raise RuleStands(
            "The rule {reason} is against this activity, and no decision can set it aside.",
            reason=reason.code,
        )
    return granted


def certify_granted(
    connection: psycopg.Connection[Any], accounts: Accounts, granted: Granted, appeal_id: UUID
) -> None:
    """Write the verdict with its grams and basis, and issue the points, under the same lock."""
    candidate, basis = granted.candidate, granted.binding.basis
    basis_id = basis.digest[:32]
    basis_json = msgspec.json.encode(basis.as_dict()).decode()
    connection.execute(STORE_BASIS, (basis_id, basis_json))
    connection.execute(
        CERTIFY,
        {
            "citizen_id": candidate.citizen_id,
            "activity_id": candidate.activity_id,
            "appeal_id": appeal_id,
            "reduction_g": candidate.reduction_g,
            "points": candidate.points,
            "basis_id": basis_id,
            "rules_version": granted.terms.rules.version,
        },
    )
    issue_lots(
        connection,
        accounts,
        [
            Issue(
                candidate.citizen_id,
                candidate.activity_id,
                granted.terms.expires_on,
                candidate.points,
                candidate.reduction_g,
            )
        ],
    )


def _judged(
    connection: psycopg.Connection[Any], default_region: str, citizen_id: UUID, activity_id: UUID
) -> Granted:
    """Quantify a stored act by the rules and numbers of its day."""
    found = connection.execute(READ_ACT, (citizen_id, activity_id)).fetchone()
    if found is None:
        raise _nothing("erased")
    act = StoredAct(*found)
    rulebook = read_rulebook(connection)
    start_s, end_s = act.started_at.timestamp(), act.ended_at.timestamp()
    day = day_at(start_s)
    terms = rulebook.terms_of(day)
    region = _region(connection, act.source_id, default_region)
    binding = rulebook.library.bind(act.behavior, region, day)
    data = read_data(binding.data_type, msgspec.Raw(act.activity_data.encode()))
    if terms is None or isinstance(data, Unreadable):
        raise _nothing("rules-not-in-force" if terms is None else data.code)
    grams = binding.quantify(data)
    if grams == 0:
        reason = binding.refusal or binding.refusal_for(data)
        raise _nothing(reason.code if reason else "reduction-zero")
    candidate = Candidate(
        line=1,
        citizen_id=citizen_id.hex,
        activity_id=activity_id.hex,
        external_id=act.external_id,
        behavior=act.behavior,
        started_at=act.started_at,
        ended_at=act.ended_at,
        start_s=start_s,
        end_s=end_s,
        data=data,
        data_json=act.activity_data,
        evidence_digest="",
        account_digest=act.account_digest,
        terms=terms,
        binding=binding,
        reduction_g=grams,
        points=grams * terms.points // terms.per_g,
        reason=None,
        is_frozen=False,
        simulated=act.simulated,
    )
    return Granted(candidate, terms, binding, act.tier, act.source_id)


def _nothing(reason: str) -> NothingToCertify:
    return NothingToCertify(
        "No published methodology gives this activity a gram ({reason}), so there is nothing to"
        " certify.",
        reason=reason,
    )


def _region(
    connection: psycopg.Connection[Any], source_id: UUID | None, default_region: str
) -> str:
    if source_id is None:
        return default_region
    return partner_by_id(connection, source_id).region or default_region


def _impossible(candidate: Candidate) -> Reason | None:
    """Return why nobody can have done this at that time, whatever a human says, or None."""
    if candidate.end_s < candidate.start_s:
        return Reason("ends-before-start", {})
    if candidate.end_s > clock.now().timestamp():
        return Reason("in-the-future", {})
    if candidate.is_trip and candidate.end_s - candidate.start_s > TRIP_DURATION_MAX_S:
        # The check for overlaps looks back no further.
        return Reason("duration-impossible", {"limit_s": str(TRIP_DURATION_MAX_S)})
    if candidate.is_reading and candidate.end_s - candidate.start_s > READING_DURATION_MAX_S:
        return Reason("duration-impossible", {"limit_s": str(READING_DURATION_MAX_S)})
    return None


def _read_twice(connection: psycopg.Connection[Any], granted: Granted) -> Reason | None:
    """Return that another reading of the same time counts, or None."""
    readings = Readings.around(connection, [granted.candidate])
    is_self_recorded = granted.tier == SELF_RECORDED
    if readings.beside(granted.candidate, is_self_recorded=is_self_recorded):
        return READING_OVERLAP
    return None
