"""What a consent, or its use, can be refused for."""

from service.errors import Conflict, Forbidden, Invalid


class ConsentMissing(Forbidden):
    """The citizen has given no such consent."""

    code = "consent-missing"


class ConsentExpired(Forbidden):
    """The consent has expired."""

    code = "consent-expired"


class ConsentRevoked(Forbidden):
    """The consent has been revoked."""

    code = "consent-revoked"


class ConsentScope(Forbidden):
    """The consent does not cover this."""

    code = "consent-scope"


class ConsentUsesExhausted(Forbidden):
    """The consent has been used as often as it allows."""

    code = "consent-uses-exhausted"


class ConsentExists(Conflict):
    """There is a live consent to this partner for this purpose."""

    code = "consent-exists"


class ConsentEnded(Conflict):
    """The consent has ended already."""

    code = "consent-ended"


class NothingToAcknowledge(Conflict):
    """The other side has not revoked this consent."""

    code = "nothing-to-acknowledge"


class ConsentTermsInvalid(Invalid):
    """A consent cannot be given on these terms."""

    code = "consent-terms-invalid"


class RecipientUnknown(Invalid):
    """No partner of this name may be given such a consent."""

    code = "recipient-unknown"
