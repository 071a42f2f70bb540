"""What rewards refuse."""

from service.errors import Forbidden


class SamePersonApproval(Forbidden):
    """Who asked for it cannot approve it."""

    code = "same-person-approval"


def same_person_approval() -> SamePersonApproval:
    """Return the refusal to approve what oneself has entered or asked for."""
    return SamePersonApproval("A second person has to approve this. Please ask a colleague.")
