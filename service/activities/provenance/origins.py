"""Where an issue comes from: everything needed to compute its grams again, and doing so."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row

from service.ledger.clawback import invalidation_id
from service.ledger.errors import TransferNotComputed
from service.methodologies import BasisUnreadable, Library, recompute
from service.methodologies.factors import FactorVersion
from service.units import exact_ratio, floor_of

# A human who lets an activity in on appeal certifies grams of her own, on a basis of their own.
READ_ORIGIN = """
SELECT a.citizen_id, a.id AS activity_id, a.behavior, a.external_id, a.revision, a.tier,
       a.simulated, a.recorded_at, coalesce(p.name, 'citizen') AS source,
       encode(a.evidence_digest, 'hex') AS evidence_digest,
       d.started_at, d.ended_at, encode(d.account_digest, 'hex') AS account_digest,
       d.activity_data::text AS activity_data,
       %(is_erased)s::bool AS is_erased,
       coalesce(v.reduction_g, a.reduction_g) AS reduction_g,
       coalesce(v.points, a.points) AS points,
       b.basis, r.version AS rules_version, r.points_per_g, r.expiry_years,
       r.in_force_from AS rules_in_force_from, r.source AS rules_source,
       gone.verdict AS gone_verdict, gone.code AS gone_code, gone.cause_id AS replaced_by,
       gone.recorded_at AS gone_at
FROM activity a
LEFT JOIN activity_detail d ON d.citizen_id = a.citizen_id AND d.activity_id = a.id
LEFT JOIN partner p ON p.id = a.source_id
LEFT JOIN LATERAL (
    SELECT reduction_g, points, basis_id, rules_version FROM verdict
    WHERE citizen_id = %(citizen_id)s AND activity_id = a.id AND basis_id IS NOT NULL
    ORDER BY seq DESC LIMIT 1) v ON true
LEFT JOIN LATERAL (
    SELECT verdict, code, cause_id, recorded_at FROM verdict
    WHERE citizen_id = %(citizen_id)s AND activity_id = a.id AND verdict = 'invalidated'
    ORDER BY seq DESC LIMIT 1) gone ON true
LEFT JOIN quantification_basis b ON b.id = coalesce(v.basis_id, a.basis_id)
LEFT JOIN scheme_rules r ON r.version = coalesce(v.rules_version, a.rules_version)
WHERE a.citizen_id = %(citizen_id)s AND a.id = %(activity_id)s
"""

IS_ERASED = "SELECT EXISTS (SELECT FROM erasure WHERE citizen_id = %s)"

FIND_CITIZEN = """
SELECT citizen_id FROM activity WHERE id = %(id)s
UNION SELECT citizen_id FROM transfer WHERE id = %(id)s
"""

EVIDENCE_IS_MADE_OF: Final = (
    "SHA-256 of UTF-8 text: behavior, started_at, ended_at (seconds since 1970), account digest or"
    " None, activity data as stored; joined by |"
)

Status = Literal["equal", "different", "erased"]


@dataclass(frozen=True, slots=True)
class Origin:
    """What was stored with an activity when it was certified."""

    citizen_id: UUID
    activity_id: UUID
    behavior: str
    external_id: str
    revision: int
    tier: str
    simulated: bool
    recorded_at: datetime
    source: str
    """The partner's name, or `citizen`."""
    evidence_digest: str
    started_at: datetime | None
    ended_at: datetime | None
    account_digest: str | None
    """Of the account the source knows her by, with our key; None also for what she recorded."""
    activity_data: str | None
    """JSON text exactly as stored; None after an erasure."""
    is_erased: bool
    reduction_g: int
    points: int
    basis: dict[str, Any] | None
    rules_version: int | None
    points_per_g: str | None
    expiry_years: int | None
    rules_in_force_from: date | None
    rules_source: str | None
    gone_verdict: str | None
    """`invalidated`, once it counts no more; why and when is beside it."""
    gone_code: str | None
    replaced_by: UUID | None
    """The activity that a correction put in its place."""
    gone_at: datetime | None

    @property
    def evidence(self) -> str | None:
        """The text whose digest was stored when the record came in; None after an erasure."""
        if self.started_at is None or self.ended_at is None:
            return None
        times = f"{self.started_at.timestamp()!r}|{self.ended_at.timestamp()!r}"
        return f"{self.behavior}|{times}|{self.account_digest}|{self.activity_data}"

    @property
    def evidence_matches(self) -> bool:
        """Whether times and quantities are still those that came in."""
        text = self.evidence
        return text is not None and _sha256(text) == self.evidence_digest


@dataclass(frozen=True, slots=True)
class Recomputation:
    """Grams and points as stored, and as they come out again."""

    status: Status
    stored_g: int
    recomputed_g: int | None
    """None where the stored basis and data lead to no result."""
    stored_points: int
    recomputed_points: int | None
    evidence_matches: bool


def origin_of(connection: psycopg.Connection[Any], citizen_id: UUID, activity_id: UUID) -> Origin:
    """Return what an issue rests on; it goes by its activity's id.

    Raises:
        TransferNotComputed: no activity stands behind this id, so nothing was computed.
    """
    row = connection.execute(IS_ERASED, [citizen_id]).fetchone()
    asked = {"citizen_id": citizen_id, "activity_id": activity_id, "is_erased": row and row[0]}
    with connection.cursor(row_factory=class_row(Origin)) as cursor:
        found = cursor.execute(READ_ORIGIN, asked).fetchone()
    if found is None:
        raise TransferNotComputed(
            "Only an issue is computed from an activity. This transfer moves what was issued."
        )
    return found


def citizen_behind(connection: psycopg.Connection[Any], some_id: UUID) -> UUID | None:
    """Return whose activity or transfer it is; reads every row, so it is for commands only."""
    row = connection.execute(FIND_CITIZEN, {"id": some_id}).fetchone()
    return row[0] if row else None


def recomputed(origin: Origin, stored_g: int, stored_points: int) -> Recomputation:
    """Compute an issue again from what is stored, and compare.

    Args:
        origin: of the issue.
        stored_g: grams that the ledger holds for it.
        stored_points: points that the ledger holds for it.
    """
    if origin.activity_data is None and origin.is_erased:
        return Recomputation("erased", stored_g, None, stored_points, None, evidence_matches=False)
    grams = _grams(origin)
    points = _points(origin, grams)
    is_equal = (grams, points) == (stored_g, stored_points) and origin.evidence_matches
    status: Status = "equal" if is_equal else "different"
    return Recomputation(status, stored_g, grams, stored_points, points, origin.evidence_matches)


def _grams(origin: Origin) -> int | None:
    if origin.activity_data is None or origin.basis is None:
        return None
    try:
        return recompute(origin.basis, msgspec.json.decode(origin.activity_data))
    except BasisUnreadable:
        return None


def _points(origin: Origin, grams: int | None) -> int | None:
    if grams is None or origin.points_per_g is None:
        return None
    return floor_of(grams, exact_ratio(origin.points_per_g))


def provenance(origin: Origin, library: Library, result: Recomputation) -> dict[str, Any]:
    """Return everything that recomputation needs, as plain data.

    Args:
        origin: of the issue.
        library: tells the formula, and the sources of the factors.
        result: of recomputing it here and now.
    """
    basis = origin.basis or {}
    return {
        "status": result.status,
        "activity": _activity(origin),
        "evidence": {
            "digest": origin.evidence_digest,
            "made_of": EVIDENCE_IS_MADE_OF,
            "text": origin.evidence,
            "matches": result.evidence_matches,
        },
        "methodology": _methodology(library, basis),
        "region": basis.get("region"),
        "factors": [_factor(library, ref) for ref in basis.get("factors", ())],
        "rounding": basis.get("rounding"),
        "rules": {
            "version": origin.rules_version,
            "in_force_from": origin.rules_in_force_from,
            "points_per_g": origin.points_per_g,
            "expiry_years": origin.expiry_years,
            "source": origin.rules_source,
        },
        "stored": {"reduction_g": result.stored_g, "points": result.stored_points},
        "recomputed": {"reduction_g": result.recomputed_g, "points": result.recomputed_points},
        "invalidation": _invalidation(origin),
    }


def _invalidation(origin: Origin) -> dict[str, Any] | None:
    """Return why what was issued has been taken back since, or None."""
    if origin.gone_verdict is None:
        return None
    return {
        "code": origin.gone_code,
        "recorded_at": origin.gone_at,
        "transfer_id": invalidation_id(origin.activity_id),
        "replaced_by": origin.replaced_by,
    }


def _activity(origin: Origin) -> dict[str, Any]:
    data = origin.activity_data
    return {
        "id": origin.activity_id,
        "behavior": origin.behavior,
        "source": origin.source,
        "external_id": origin.external_id,
        "revision": origin.revision,
        "evidence_tier": origin.tier,
        "started_at": origin.started_at,
        "ended_at": origin.ended_at,
        "activity_data": None if data is None else msgspec.json.decode(data),
        "recorded_at": origin.recorded_at,
        "simulated": origin.simulated,
    }


def _methodology(library: Library, basis: dict[str, Any]) -> dict[str, Any] | None:
    if not basis:
        return None
    methodology = library.methodology(basis["methodology"], basis["version"])
    return {
        "code": methodology.code,
        "version": methodology.version,
        "title": {"en": methodology.title_en, "zh": methodology.title_zh},
        "formula": methodology.formula,
        "uncertainty": methodology.uncertainty,
        "sources": list(methodology.sources),
        "href": f"/v1/methodologies/{methodology.code}/versions/{methodology.version}",
    }


def _factor(library: Library, ref: dict[str, Any]) -> dict[str, Any]:
    """Return a factor as it was used, with what its source says of it."""
    version = next(_versions(library, ref), None)
    return {
        **ref,
        "in_force_from": version.in_force_from if version else None,
        "sources": list(version.sources) if version else [],
        "grade": version.grade if version else None,
        "mark": version.mark if version else None,
        "uncertainty": version.uncertainty if version else None,
    }


def _versions(library: Library, ref: dict[str, Any]) -> Iterator[FactorVersion]:
    factor = library.factors.get(ref["key"])
    for version in factor.values.get(ref["region"], ()) if factor else ():
        if version.version_id == ref["version_id"]:
            yield version


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
