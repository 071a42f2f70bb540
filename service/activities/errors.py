"""How activities refuse a request as a whole; refusals of single lines are in `reasons.py`."""

from service.errors import Conflict, Forbidden, Invalid, Malformed, NotFound, TooLarge


class FeedEmpty(Malformed):
    """The feed is empty."""

    code = "feed-empty"


class FeedNotGzip(Malformed):
    """The feed cannot be unpacked."""

    code = "feed-not-gzip"


class FeedTooManyLines(TooLarge):
    """The feed has too many lines."""

    code = "feed-too-many-lines"


class ActivityUnknown(NotFound):
    """There is no such activity, or it is not yours."""

    code = "activity-unknown"


class ActivityConflict(Conflict):
    """This activity was recorded before with other content."""

    code = "activity-conflict"


class SourceSuspended(Forbidden):
    """This source may not report at present."""

    code = "source-suspended"


class BatchUnknown(NotFound):
    """There is no such certification batch."""

    code = "batch-unknown"


class BatchUndecided(Conflict):
    """The certification batch has not been decided."""

    code = "batch-undecided"


class BatchAlreadyDecided(Conflict):
    """The certification batch has been decided before."""

    code = "batch-already-decided"


class VerifierNotIndependent(Forbidden):
    """A verifier may not decide about her own organisation's acts."""

    code = "verifier-not-independent"


class CitizenNotActive(Forbidden):
    """This account does not take records at present."""

    code = "citizen-not-active"


class BatchDigestMismatch(Conflict):
    """The certification batch is not what was closed."""

    code = "batch-digest-mismatch"


class AppealUnknown(NotFound):
    """There is no such appeal."""

    code = "appeal-unknown"


class NotAppealable(Conflict):
    """Only a refusal can be appealed."""

    code = "not-appealable"


class AppealAlreadyMade(Conflict):
    """The refusal has been appealed before."""

    code = "appeal-already-made"


class AppealAlreadyDecided(Conflict):
    """The appeal has been decided before."""

    code = "appeal-already-decided"


class AppellantFrozen(Conflict):
    """The appellant's account is frozen."""

    code = "appellant-frozen"


class NothingToCertify(Conflict):
    """The activity gives no grams."""

    code = "nothing-to-certify"


class OverlapStands(Conflict):
    """Another trip of the same time counts."""

    code = "overlap-stands"


class RuleStands(Conflict):
    """A rule that no decision can set aside is against it."""

    code = "rule-stands"


class FactorEntryUnknown(NotFound):
    """There is no such factor entry."""

    code = "factor-entry-unknown"


class FactorAlreadyApproved(Conflict):
    """The factor has been approved before."""

    code = "factor-already-approved"


class SecondPersonNeeded(Conflict):
    """A second person has to approve this."""

    code = "second-person-needed"


class SourceNotNamed(Invalid):
    """The source is not named."""

    code = "source-not-named"


class InForceTooEarly(Invalid):
    """A number cannot come into force in the past."""

    code = "in-force-too-early"


class RulesInvalid(Invalid):
    """The rules cannot be like this."""

    code = "rules-invalid"


class CorrectionSuperseded(Conflict):
    """The record was corrected before with other content."""

    code = "correction-superseded"


class NotCorrectable(Conflict):
    """The scheme has taken this record back."""

    code = "not-correctable"


class CorrectedTooOften(Conflict):
    """The record was corrected too often."""

    code = "corrected-too-often"


class NothingCorrected(Conflict):
    """The correction changes nothing."""

    code = "nothing-corrected"


class RestatementNotCovered(Conflict):
    """No consent of the citizen covers the restated act."""

    code = "restatement-not-covered"


class NothingToInvalidate(Conflict):
    """The activity does not count."""

    code = "nothing-to-invalidate"


class InvalidationNotProposed(Conflict):
    """Nobody has proposed to invalidate the activity."""

    code = "invalidation-not-proposed"
