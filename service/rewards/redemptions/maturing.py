"""A lock matures: its points are redeemed now or go home, as the offer's terms say."""

from service import clock
from service.ledger.holds import capture, release
from service.ledger.postings import Outcome
from service.pipelining import Connection
from service.rewards.offers.catalogue import terms_of
from service.rewards.offers.terms import Terms
from service.rewards.redemptions.carrying import grace_day
from service.rewards.redemptions.steps import Actor, Record, Redemption, Written, record_id, take


def mature(connection: Connection, redemption: Redemption, actor: Actor) -> Written:
    """Decide about what is still locked, once; the benefit stays as it is.

    Args:
        connection: inside the caller's transaction.
        redemption: locked by it.
        actor: the service, whose timer has found it.

    Raises:
        StateConflict: nothing is locked, it has matured before, or its day has not come.
    """
    redemption.require_step("maturity")
    matures_at, is_decided = redemption.matures_at, redemption.matured_as is not None
    terms = terms_of(connection, redemption.offer_id, redemption.offer_version)
    if terms.maturity is None or is_decided or matures_at is None or matures_at > clock.now():
        raise redemption.state_conflict()
    outcome = _move(connection, redemption, terms, terms.maturity.at_maturity)
    matured = redemption._replace(matured_as=terms.maturity.at_maturity, deadline_at=None)
    record = Record(
        "maturity",
        actor,
        points=_locked(redemption),
        reduction_g=outcome.reduction_g,
        posting_id=record_id(redemption.id, redemption.version + 1),
        body={"at_maturity": terms.maturity.at_maturity},
    )
    return take(connection, matured, record)


def _locked(redemption: Redemption) -> int:
    """Return how many points are still locked."""
    return redemption.captured_points - redemption.reversed_points


def _move(
    connection: Connection, redemption: Redemption, terms: Terms, at_maturity: str
) -> Outcome:
    posting_id = record_id(redemption.id, redemption.version + 1)
    citizen_id, hold_id, points = redemption.citizen_id, redemption.hold_id, _locked(redemption)
    if at_maturity == "burn":
        party = redemption.partner_id
        moved = capture(connection, citizen_id, posting_id, hold_id, points, party)
    else:
        carry_to = grace_day(terms)
        moved = release(connection, citizen_id, posting_id, hold_id, points, carry_to)
    return moved.raise_refusal()
