"""What partners' matters can be refused for."""

from service.errors import Conflict, Invalid, NotFound, Unauthenticated


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


class AddressRefused(Invalid):
    """The address may not be called."""

    code = "endpoint-address-refused"


class SignatureMissing(Unauthenticated):
    """The message has to be signed."""

    code = "signature-missing"


class SignatureInvalid(Unauthenticated):
    """The message's signature does not hold."""

    code = "signature-invalid"


class KeyRotationRefused(Conflict):
    """Our signing keys cannot be changed in this way."""

    code = "key-rotation-refused"
