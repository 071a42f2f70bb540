"""What settlement refuses."""

from service.errors import Conflict, Invalid, Malformed, NotFound
from service.web.refusals import FieldFault


class SettlementBatchUnknown(NotFound):
    """There is no such settlement batch."""

    code = "settlement-batch-unknown"


class SettlementDayNotOver(Conflict):
    """The business day is not over yet."""

    code = "settlement-day-not-over"


class SettlementBatchClosed(Conflict):
    """The settlement batch is in a state that does not allow this."""

    code = "settlement-batch-closed"


class SettlementExceptionsOpen(Conflict):
    """Some exceptions of the batch are not resolved yet."""

    code = "settlement-exceptions-open"


class PartnerFileInvalid(Invalid):
    """The file cannot be read as a settlement file."""

    code = "partner-file-invalid"


class PartnerFileTarget(Malformed):
    """The request does not say which batch the file is about, or there can be none."""

    code = "partner-file-target"


class ReconciliationRunUnknown(NotFound):
    """There is no such reconciliation run."""

    code = "reconciliation-run-unknown"


class ExceptionUnknown(NotFound):
    """There is no such exception."""

    code = "exception-unknown"


class ExceptionResolved(Conflict):
    """The exception is not open."""

    code = "exception-resolved"


class ResolutionNotAllowed(Conflict):
    """This exception cannot be resolved in that way."""

    code = "resolution-not-allowed"


class ResolutionOutdated(Conflict):
    """Another resolution has been proposed since."""

    code = "resolution-outdated"


class AssigneeUnknown(Invalid):
    """There is no such member of staff."""

    code = "assignee-unknown"


class LineFault(FieldFault):
    """One thing wrong with one line of a file."""

    place_name = "line"
