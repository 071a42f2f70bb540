"""What partners' matters can be refused for."""

from service.errors import Conflict, Invalid, NotFound


class PartnerUnknown(NotFound):
    """No partner goes by this name."""

    code = "partner-unknown"


class PartnerNameTaken(Conflict):
    """Another partner has this name."""

    code = "partner-name-taken"


class PartnerTermsInvalid(Invalid):
    """A partner cannot be registered on these terms."""

    code = "partner-terms-invalid"


class KeySetInvalid(Invalid):
    """The key set cannot be registered."""

    code = "key-set-invalid"
