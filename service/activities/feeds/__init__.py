"""Feed adapters: an operator's own files as activity lines, every row of them accounted for.

One module per format. They know files and the line contract; they know no database, no HTTP and
no methodology. `carbon import` picks one from `FORMATS` and pushes its lines through the intake.
"""

from service.activities.feeds import (
    ev_sessions,
    home_pv,
    mobike,
    recycling_loads,
    shenzhen_card,
    valleybike,
)
from service.activities.feeds.lines import ActivityLine, Feed, ReadCounts
from service.activities.feeds.shift import shifted
from service.activities.feeds.tables import FeedColumnsMissing, FeedFileMissing, FeedUnreadable

FORMATS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        shenzhen_card.FEED,
        mobike.FEED,
        valleybike.FEED,
        ev_sessions.FEED,
        home_pv.FEED,
        recycling_loads.FEED,
    )
}

__all__ = [
    "FORMATS",
    "ActivityLine",
    "Feed",
    "FeedColumnsMissing",
    "FeedFileMissing",
    "FeedUnreadable",
    "ReadCounts",
    "shifted",
]
