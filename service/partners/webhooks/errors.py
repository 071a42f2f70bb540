"""What is refused about endpoints."""

from service.errors import Conflict


class EndpointLimitReached(Conflict):
    """There are enough endpoints."""

    code = "endpoint-limit-reached"


class EndpointNotActive(Conflict):
    """Nothing is sent to this endpoint now."""

    code = "endpoint-not-active"
