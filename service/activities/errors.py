"""How activities refuse a request as a whole; refusals of single lines are in `reasons.py`."""

from service.errors import Conflict, Forbidden, Malformed, NotFound, TooLarge


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
