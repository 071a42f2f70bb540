"""What the ledger refuses."""

from service.errors import Conflict, Invalid


class ExpiryInFuture(Invalid):
    """Points cannot be expired before their day has passed."""

    code = "expiry-in-future"


class TransferNotComputed(Conflict):
    """No calculation stands behind this transfer."""

    code = "transfer-not-computed"
