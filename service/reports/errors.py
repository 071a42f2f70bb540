"""What reports refuse."""

from service.errors import Conflict, Invalid


class ReportPeriodInvalid(Invalid):
    """A report cannot be about these days."""

    code = "report-period-invalid"


class ReportDiffers(Conflict):
    """Under this key another report was made."""

    code = "report-differs"
