"""Why a quote, or a step of a redemption, is refused."""

from service.errors import Conflict, Invalid, NotFound


class QuoteUnknown(NotFound):
    """There is no such quote."""

    code = "quote-unknown"


class QuoteExpired(Conflict):
    """The quote is no longer valid."""

    code = "quote-expired"


class QuoteTermsChanged(Conflict):
    """The offer's terms have changed since the quote."""

    code = "quote-terms-changed"


class QuoteUsed(Conflict):
    """The quote was accepted before."""

    code = "quote-used"


class RedemptionUnknown(NotFound):
    """There is no such redemption."""

    code = "redemption-unknown"


class LateCaptureRefused(Conflict):
    """The capture comes after the time in which it could."""

    code = "late-capture-refused"


class PersonNotVerified(Conflict):
    """Nobody has verified yet who you are."""

    code = "person-not-verified"


class TermsMismatch(Conflict):
    """The terms are not those of the quote."""

    code = "terms-mismatch"


class CaptureExceedsHold(Invalid):
    """More is captured than is held."""

    code = "capture-exceeds-hold"


class BenefitDiffers(Invalid):
    """The benefit is not the one that was quoted."""

    code = "benefit-differs"


class ReversalExceedsCapture(Invalid):
    """More is reversed than was captured."""

    code = "reversal-exceeds-capture"


class ReversalTooLate(Conflict):
    """The time in which the capture could be reversed is over."""

    code = "reversal-too-late"


class DisputeTooLate(Conflict):
    """The time in which it could be disputed is over."""

    code = "dispute-too-late"


class PartnerReferenceReused(Conflict):
    """The partner's reference belongs to another record."""

    code = "partner-reference-reused"


class RequestNumberReused(Conflict):
    """The request's number belongs to another record of the redemption."""

    code = "request-number-reused"
