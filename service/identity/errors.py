"""What people's matters can be refused for."""

from service.errors import (
    Conflict,
    Forbidden,
    Invalid,
    LimitExceeded,
    NotFound,
    Unauthenticated,
    Unavailable,
)


class PhoneInvalid(Invalid):
    """The phone number cannot be used."""

    code = "phone-invalid"


class OtpTooSoon(LimitExceeded):
    """A code was sent to this number a moment ago."""

    code = "otp-too-soon"


class OtpLimitReached(LimitExceeded):
    """This number has been sent as many codes as it may be."""

    code = "otp-limit-reached"


class OtpCeilingReached(LimitExceeded):
    """The service is sending as many codes as it may."""

    code = "otp-ceiling-reached"


class OtpInvalid(Unauthenticated):
    """The one-time code is not accepted."""

    code = "otp-invalid"


class SmsUnavailable(Unavailable):
    """Messages cannot be sent just now."""

    code = "sms-unavailable"


class RefreshTokenInvalid(Unauthenticated):
    """The refresh token is not accepted."""

    code = "refresh-token-invalid"


class RefreshTokenReused(Unauthenticated):
    """The refresh token was used before, and the sign-in has been ended."""

    code = "refresh-token-reused"


class NumberIdle(Conflict):
    """The account of this number has long been idle and may be somebody else's."""

    code = "number-idle"


class DeviceUnknown(Conflict):
    """The account of this number was never used from this device."""

    code = "device-unknown"


class AccountFrozen(Forbidden):
    """The account is frozen."""

    code = "account-frozen"


class SpendingHeld(Forbidden):
    """Points rest for a while after a change of number or device."""

    code = "spending-held"


class RecentSignInNeeded(Forbidden):
    """This needs a sign-in of the last minutes."""

    code = "recent-sign-in-needed"


class PhoneInUse(Conflict):
    """The number belongs to another account."""

    code = "phone-in-use"


class CitizenUnknown(NotFound):
    """There is no such account, or it has been erased."""

    code = "citizen-unknown"


class CitizenStateConflict(Conflict):
    """The account is not in a state that allows this."""

    code = "citizen-state-conflict"


class SourceUnknown(Invalid):
    """No source goes by this name."""

    code = "source-unknown"


class AccountAlreadyLinked(Conflict):
    """The account is linked to somebody else."""

    code = "account-already-linked"


class TooManySourceLinks(Conflict):
    """No more accounts can be linked."""

    code = "too-many-source-links"


class SourceLinkUnknown(NotFound):
    """There is no such link, or it is not yours."""

    code = "source-link-unknown"


class StaffLoginRefused(Unauthenticated):
    """The name, password or second factor is not accepted."""

    code = "staff-login-refused"


class StaffLocked(LimitExceeded):
    """Too many failed logins; the account is locked for a while."""

    code = "staff-locked"


class StaffNameTaken(Conflict):
    """Another staff member has this name."""

    code = "staff-name-taken"


class StaffTermsInvalid(Invalid):
    """A staff member cannot be added on these terms."""

    code = "staff-terms-invalid"


class StaffUnknown(NotFound):
    """No staff member goes by this name."""

    code = "staff-unknown"
