"""What a source or a citizen is told: verdicts as JSON, with their reasons in her language."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from service import ids
from service.activities.intake.outcomes import Outcome
from service.activities.intake.parts import Feed
from service.activities.reasons import sentence
from service.messages import Language


class Item(msgspec.Struct, omit_defaults=True):
    """The verdict on one line."""

    line: int
    verdict: str
    external_id: str | None = None
    code: str | None = None
    detail: str | None = None
    activity_id: str | None = None
    reduction_g: int | None = None
    points: int | None = None
    first_verdict: str | None = None
    """Of a duplicate: what was decided when the record came first."""
    present_verdict: str | None = None
    """Of a duplicate that was corrected or taken back since; `code` says why."""


class FeedAnswer(msgspec.Struct):
    """The verdicts on a feed; grams and points are those certified now."""

    batch_id: str
    received: int
    certified: int
    pending: int
    duplicate: int
    conflict: int
    refused: int
    reduction_g: int
    points: int
    items: list[Item]


def feed_answer(feed: Feed, language: Language, *, minimal: bool) -> FeedAnswer:
    """Answer a feed.

    Args:
        feed: recorded.
        language: of the reasons.
        minimal: leave certified lines out of the items (RFC 7240 `return=minimal`).
    """
    outcomes = feed.outcomes
    counts = Counter([outcome.verdict for outcome in outcomes])
    certified = [outcome for outcome in outcomes if outcome.verdict == "certified"]
    told = (
        [outcome for outcome in outcomes if outcome.verdict != "certified"] if minimal else outcomes
    )
    return FeedAnswer(
        batch_id=ids.public_id(ids.ACTIVITY_BATCH, feed.batch_id),
        received=len(outcomes),
        certified=len(certified),
        pending=counts["pending"],
        duplicate=counts["duplicate"],
        conflict=counts["conflict"],
        refused=counts["refused"],
        reduction_g=sum([outcome.reduction_g or 0 for outcome in certified]),
        points=sum([outcome.points or 0 for outcome in certified]),
        items=_items(told, language),
    )


def _items(outcomes: Sequence[Outcome], language: Language) -> list[Item]:
    return [item(outcome, language) for outcome in outcomes]


def item(outcome: Outcome, language: Language) -> Item:
    """Answer one line."""
    code = outcome.code
    return Item(
        outcome.line,
        outcome.verdict,
        outcome.external_id,
        code,
        sentence(code, outcome.params, language) if code else None,
        f"act_{outcome.activity_id}" if outcome.activity_id else None,
        outcome.reduction_g,
        outcome.points,
        outcome.first_verdict,
        outcome.present_verdict,
    )
