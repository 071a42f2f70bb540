"""What rewards refuse."""

from service.errors import Conflict, Forbidden, NotFound


class SamePersonApproval(Forbidden):
    """Who asked for it cannot approve it."""

    code = "same-person-approval"


def same_person_approval() -> SamePersonApproval:
    """Return the refusal to approve what oneself has entered or asked for."""
    return SamePersonApproval("A second person has to approve this. Please ask a colleague.")


class OfferUnknown(NotFound):
    """There is no such offer."""

    code = "offer-unknown"


class OfferVersionUnknown(NotFound):
    """The offer has no such version."""

    code = "offer-version-unknown"


class OfferNotActive(Conflict):
    """The offer is not open now."""

    code = "offer-not-active"


class OfferQuotaExhausted(Conflict):
    """Everything of this offer is taken."""

    code = "offer-quota-exhausted"


class CampaignBudgetExhausted(Conflict):
    """The offer's budget does not reach for another redemption."""

    code = "campaign-budget-exhausted"


class PersonLimitReached(Conflict):
    """The offer was taken as often as one person may."""

    code = "person-limit-reached"


class StateConflict(Conflict):
    """Its state has changed, or does not allow this."""

    code = "state-conflict"


class OfferNameTaken(Conflict):
    """The partner has another offer of this name."""

    code = "offer-name-taken"


class PartnerCannotOffer(Forbidden):
    """Only banks, insurers and merchants have offers."""

    code = "partner-cannot-offer"


class ChangeRequestRequired(Forbidden):
    """This changes only by a request that a second person approves."""

    code = "change-request-required"


class ChangeRequestUnknown(NotFound):
    """There is no such change request."""

    code = "change-request-unknown"


class ChangeRequestDecided(Conflict):
    """The change request has been decided."""

    code = "change-request-decided"


class LimitsBelowTaken(Conflict):
    """More than that is taken already."""

    code = "limits-below-taken"


class NotEligible(Conflict):
    """Something that the offer asks for is not met."""

    code = "not-eligible"
