"""The partner confirms: what was held for a benefit is redeemed, or stays locked for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from service import clock
from service.ledger.holds import capture, release
from service.pipelining import Connection
from service.rewards.offers.catalogue import terms_of
from service.rewards.offers.counters import give_back_budget
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.carrying import grace_day
from service.rewards.redemptions.errors import (
    BenefitDiffers,
    CaptureExceedsHold,
    LateCaptureRefused,
    PartnerReferenceReused,
    TermsMismatch,
)
from service.rewards.redemptions.steps import (
    Actor,
    Record,
    Redemption,
    Written,
    record_id,
    rest_id,
    take,
)

FIND_BY_REFERENCE: Final = """
SELECT redemption_id, no, body FROM redemption_record
WHERE partner_id = %s AND kind = %s AND partner_reference = %s
"""


@dataclass(frozen=True, slots=True)
class CaptureWish:
    """What a partner confirms."""

    partner_reference: str
    terms_hash: str
    points: int | None = None
    """None: all that is held."""
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    benefit_actual: dict[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """What of it stands in the record, beside the columns."""
        said = {
            "terms_hash": self.terms_hash,
            "effective_from": self.effective_from and self.effective_from.isoformat(),
            "effective_to": self.effective_to and self.effective_to.isoformat(),
            "benefit_actual": self.benefit_actual,
        }
        return {name: value for name, value in said.items() if value is not None}


def capture_redemption(
    connection: Connection,
    redemption: Redemption,
    wish: CaptureWish,
    actor: Actor,
    evidence: dict[str, Any] | None = None,
) -> Written:
    """Carry out a capture; what is not captured of the points returns to its lots.

    Args:
        connection: inside the caller's transaction.
        redemption: locked by it.
        wish: what is confirmed.
        actor: who says so: the partner, or the janitor and the reconciler with their evidence.
        evidence: where it is not the partner's own call.

    Raises:
        StateConflict: it is neither submitted nor unknown, nor expired with its grace running.
        LateCaptureRefused: the grace is over.
        TermsMismatch, BenefitDiffers: it is not what was quoted.
        CaptureExceedsHold
    """
    now = clock.now()
    _require_in_time(redemption, now)
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    require_as_quoted(terms, wish)
    points = redemption.points if wish.points is None else wish.points
    if points > redemption.points or (points == 0) != (redemption.mode == "attest"):
        raise CaptureExceedsHold(
            "{asked} points are to be captured, and {held} are held.",
            asked=points,
            held=redemption.points,
        )
    this_id = record_id(redemption.id, redemption.version + 1)
    reduction_g = _move(connection, redemption, terms, points, this_id)
    subsidy_minor = _subsidy_of(redemption, points)
    if subsidy_minor < redemption.subsidy_minor:
        give_back_budget(connection, redemption.offer_id, redemption.subsidy_minor - subsidy_minor)
    matures_at = _maturity(terms, wish, now)
    captured = redemption._replace(
        state="captured",
        captured_points=points,
        captured_subsidy_minor=subsidy_minor,
        matures_at=matures_at,
        deadline_at=matures_at,
        needs_human=False,
    )
    record = Record(
        "capture",
        actor,
        points=points,
        reduction_g=reduction_g,
        subsidy_minor=subsidy_minor,
        posting_id=this_id if redemption.mode == "burn" else None,
        partner_reference=wish.partner_reference,
        body=wish.body() | ({"evidence": evidence} if evidence else {}),
    )
    return take(connection, captured, record)


def repeated_capture(
    connection: Connection, redemption: Redemption, wish: CaptureWish
) -> tuple[int, int] | None:
    """Return points and record number of a capture that was carried out before, by its reference.

    None: there is none, or it says something else. What only one of the two says is no difference:
    the janitor may have written it down, and knows less.

    Raises:
        PartnerReferenceReused: the reference is another redemption's.
    """
    found = connection.execute(
        FIND_BY_REFERENCE, (redemption.partner_id, "capture", wish.partner_reference)
    ).fetchone()
    if found is None:
        return None
    if found[0] != redemption.id:
        raise PartnerReferenceReused(
            "This partner_reference belongs to another record. Please choose a new one."
        )
    wanted = redemption.points if wish.points is None else wish.points
    said_before = found[2]
    differs = any(said_before.get(name, said) != said for name, said in wish.body().items())
    return None if differs or wanted != redemption.captured_points else (wanted, found[1])


def _require_in_time(redemption: Redemption, now: datetime) -> None:
    deadline_at = redemption.deadline_at
    is_over = redemption.closed_at is not None or (deadline_at is not None and deadline_at <= now)
    if redemption.state == "expired" and is_over:
        raise LateCaptureRefused(
            "The redemption has expired, and so has the grace in which it could be captured."
        )
    redemption.require_step("capture")


def require_as_quoted(terms: Terms, wish: CaptureWish) -> None:
    """Refuse a benefit that is not the one she was quoted.

    A changed benefit is a decline and a new quote, never a silent edit. An insurer sets the factor
    itself, within the band that it has filed.

    Raises:
        TermsMismatch: of other terms.
        BenefitDiffers
    """
    if wish.terms_hash != terms.terms_hash:
        raise TermsMismatch(
            "The quoted terms have the hash {terms_hash}.", terms_hash=terms.terms_hash
        )
    actual = wish.benefit_actual
    if actual is None:
        return
    quoted = terms.benefit
    if actual.get("kind", quoted["kind"]) != quoted["kind"]:
        raise BenefitDiffers("The quoted benefit is a {kind}.", kind=quoted["kind"])
    given = dict(actual)
    if quoted["kind"] == "premium_factor":
        _require_in_band(quoted, given.pop("factor", quoted["factor"]))
    if any(given[name] != quoted.get(name) for name in given):
        raise BenefitDiffers(
            "The quoted benefit is another. Please decline, and let her ask for a new quote."
        )


def _require_in_band(quoted: Mapping[str, Any], factor: str) -> None:
    if not Decimal(quoted["band_min"]) <= Decimal(factor) <= Decimal(quoted["band_max"]):
        raise BenefitDiffers(
            "The factor has to lie within the filed band, from {band_min} to {band_max}.",
            band_min=quoted["band_min"],
            band_max=quoted["band_max"],
        )


def _move(
    connection: Connection, redemption: Redemption, terms: Terms, points: int, this_id: UUID
) -> int:
    """Move what the mode moves, and return the grams that were redeemed."""
    citizen_id, hold_id = redemption.citizen_id, redemption.hold_id
    reduction_g = 0
    if redemption.mode == "burn":
        outcome = capture(
            connection, citizen_id, this_id, hold_id, points, redemption.partner_id
        ).raise_refusal()
        reduction_g = outcome.reduction_g
    rest = redemption.points - points
    if rest:
        release(
            connection, citizen_id, rest_id(this_id), hold_id, rest, grace_day(terms)
        ).raise_refusal()
    return reduction_g


def _subsidy_of(redemption: Redemption, points: int) -> int:
    """Return the part of the subsidy that the captured points stand for, rounded down."""
    if points == redemption.points:
        return redemption.subsidy_minor
    return redemption.subsidy_minor * points // redemption.points


def _maturity(terms: Terms, wish: CaptureWish, now: datetime) -> datetime | None:
    """Return when locked points are decided about: when the benefit ends, or as the terms say."""
    if terms.maturity is None:
        return None
    latest = now + timedelta(days=terms.maturity.days)
    return min(wish.effective_to, latest) if wish.effective_to else latest
