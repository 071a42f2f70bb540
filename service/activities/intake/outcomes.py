"""The verdict on each line, as intake gives it; `answers.py` says it to the caller."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from service.activities.intake.candidates import Candidate
from service.activities.intake.lines import Unreadable
from service.methodologies.reasons import Reason


class Outcome(NamedTuple):
    """The verdict on one line."""

    line: int
    external_id: str | None
    verdict: str
    code: str | None = None
    params: Mapping[str, Any] | None = None
    activity_id: str | None = None
    reduction_g: int | None = None
    points: int | None = None
    first_verdict: str | None = None
    present_verdict: str | None = None
    """Of a repeat that was corrected or taken back since."""


class Known(NamedTuple):
    """What was recorded under a key before, or one of its revisions."""

    activity_id: str
    citizen_id: str
    evidence_digest: str
    verdict: str
    code: str | None
    params: dict[str, Any] | None
    reduction_g: int
    points: int
    present_verdict: str | None = None
    """If it was corrected or taken back: with its code, and without grams and points."""


def unstored(number: int, external_id: str | None, why: Unreadable) -> Outcome:
    """Answer a line of which nothing is kept."""
    return Outcome(number, external_id, "refused", why.code, why.params)


def outcome_of(candidate: Candidate, verdict: str, reason: Reason | None) -> Outcome:
    """Answer an act that has just been recorded."""
    counts = verdict != "refused"
    return Outcome(
        candidate.line,
        candidate.external_id,
        verdict,
        reason.code if reason else None,
        reason.params if reason else None,
        candidate.activity_id,
        candidate.reduction_g if counts else 0,
        candidate.points if counts else 0,
    )


def repeated(candidate: Candidate, revisions: Iterable[Known]) -> Outcome:
    """Answer an act whose key is known: the first verdict again, or that it contradicts.

    Args:
        candidate: what was sent now.
        revisions: what is recorded under its key, the newest first.
    """
    same = (each for each in revisions if each.evidence_digest == candidate.evidence_digest)
    before = next(same, None)
    if before is None:
        return _conflict(candidate)
    return Outcome(
        candidate.line,
        candidate.external_id,
        "duplicate",
        before.code,
        before.params,
        before.activity_id,
        before.reduction_g,
        before.points,
        before.verdict,
        before.present_verdict,
    )


def repeated_here(again: Candidate, before: Candidate, first: Outcome) -> Outcome:
    """Answer an act that stands twice in one part of a feed."""
    if before.evidence_digest != again.evidence_digest:
        return _conflict(again)
    return first._replace(line=again.line, verdict="duplicate", first_verdict=first.verdict)


def _conflict(candidate: Candidate) -> Outcome:
    return Outcome(
        candidate.line, candidate.external_id, "conflict", "conflict", None, candidate.activity_id
    )
