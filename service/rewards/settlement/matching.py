"""Comparing our lines with a partner's: pure, and in any order of the lines the same result.

A line is known by its redemption and record type, or else by the partner's reference. One
difference is one exception: where the states differ, nothing else of the pair is compared.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.clock import day_of
from service.ids import REDEMPTION, REDEMPTION_RECORD, public_id
from service.rewards.settlement.pairing import OurLine, Pair, Pairing, is_one_of_several, type_of
from service.rewards.settlement.partner_files import TheirLine

CLOCKS_DIFFER_BY: Final = timedelta(hours=1)
"""A partner's moment may be so much after ours and still be on our business date."""


MEANT: Final[Mapping[str, frozenset[str]]] = {
    "CAPTURE": frozenset({"captured", "settled"}),
    "REVERSAL": frozenset({"reversed", "partially_reversed"}),
    "ADJUST": frozenset(),
}
"""How a partner may call what a line tells of; by how much is compared with its points."""


class Elsewhere(NamedTuple):
    """A record that a partner names and that is not in the batch."""

    record_id: UUID
    record_type: str
    partner_reference: str
    points: int
    subsidy_minor: int
    is_accepted: bool
    """It stands in a batch that has been accepted."""


class Known(NamedTuple):
    """A redemption of this partner, in whatever state, of which a line is not in the batch."""

    redemption_id: UUID
    state: str
    points: int
    subsidy_minor: int
    is_captured: bool
    """It has a capture, here or there."""
    records: tuple[Elsewhere, ...]
    """None of the batch."""


class Difference(NamedTuple):
    """One exception to be."""

    code: str
    about: str
    redemption_id: UUID | None
    record_id: UUID | None
    ours: dict[str, Any] | None
    theirs: dict[str, Any] | None
    points: int
    """At risk."""
    subsidy_minor: int


class Stated(NamedTuple):
    """What a partner says its file comes to."""

    lines: int | None = None
    points: int | None = None


def differences(
    pairing: Pairing,
    known: Mapping[str, Known],
    told_before: AbstractSet[UUID],
    stated: Stated,
) -> Iterator[Difference]:
    """Yield what differs.

    Args:
        pairing: of a batch's lines and a file's.
        known: for leftover lines of the file, by redemption id or reference as written there.
        told_before: records that the partner named already in the file of an earlier day.
        stated: the totals that came with the file.
    """
    for pair in pairing.pairs:
        yield from _of_pair(pair)
    for ours in pairing.ours_alone:
        if ours.record_id not in told_before:
            yield _of_ours("MISSING_AT_PARTNER", ours, None)
    for ours, theirs in pairing.repeated:
        yield _of_ours("DUPLICATE_LINE", ours, theirs)
    yield from _of_strangers(pairing.theirs_alone, known)
    yield from _of_totals(pairing, stated)


def _of_pair(pair: Pair) -> Iterator[Difference]:
    ours, theirs = pair
    if not _same_state(ours, theirs):
        yield _of_ours("STATE_MISMATCH", ours, theirs)
        return
    for code, differs in COMPARISONS.items():
        if differs(ours, theirs):
            yield _of_ours(code, ours, theirs)


def _same_state(ours: OurLine, theirs: TheirLine) -> bool:
    """Say whether states agree: with the line's own moment, or with how it stands by now."""
    meant = {ours.state, ours.state_now} | MEANT[ours.record_type]
    return theirs.state in meant and theirs.record_type in (ours.record_type, "")


def _amount_differs(ours: OurLine, theirs: TheirLine) -> bool:
    if theirs.points is not None and theirs.points != ours.points:
        return True
    if ours.record_type != "CAPTURE" and theirs.benefit is None:
        return False
    return theirs.benefit != _number(ours.benefit_value)


def _terms_differ(ours: OurLine, theirs: TheirLine) -> bool:
    if theirs.terms_hash and theirs.terms_hash != ours.terms_hash:
        return True
    days = [
        (_day(ours.effective_from), _day(theirs.effective_from)),
        (_day(ours.effective_to), _day(theirs.effective_to)),
    ]
    is_said = ours.record_type == "CAPTURE" or any(their_day for _, their_day in days)
    return is_said and any(our_day != their_day for our_day, their_day in days)


def _reference_differs(ours: OurLine, theirs: TheirLine) -> bool:
    if theirs.redemption_id and theirs.redemption != ours.redemption_id:
        return True
    said = (ours.partner_reference, theirs.partner_reference)
    return all(said) and ours.partner_reference != theirs.partner_reference


def _subject_differs(ours: OurLine, theirs: TheirLine) -> bool:
    return bool(theirs.pairwise_subject) and theirs.pairwise_subject != ours.subject


def _is_late(ours: OurLine, theirs: TheirLine) -> bool:
    """Say whether a partner books on a later day, by more than two clocks may differ."""
    is_later_day = day_of(theirs.occurred_at) > ours.business_date
    return is_later_day and theirs.occurred_at - ours.occurred_at > CLOCKS_DIFFER_BY


COMPARISONS: Final[Mapping[str, Callable[[OurLine, TheirLine], bool]]] = {
    "AMOUNT_MISMATCH": _amount_differs,
    "TERMS_MISMATCH": _terms_differ,
    "SUBJECT_MISMATCH": _subject_differs,
    "UNKNOWN_REFERENCE": _reference_differs,
    "LATE": _is_late,
}
"""What is asked of a pair whose states agree."""


def _of_strangers(
    strangers: Sequence[TheirLine], known: Mapping[str, Known]
) -> Iterator[Difference]:
    """Yield what is wrong with lines that are none of the batch's."""
    seen: dict[tuple[str, str, str], int] = defaultdict(int)
    for theirs in strangers:
        key = (theirs.redemption_id, type_of(theirs), theirs.partner_reference)
        seen[key] += 1
        if seen[key] > 1:
            about = f"{'/'.join(key)}#{seen[key]}"
            yield _of_theirs("DUPLICATE_LINE", theirs, about, None)
            continue
        found = known.get(theirs.redemption_id) or known.get(theirs.partner_reference)
        if found is None:
            code = "MISSING_HERE" if theirs.redemption_id else "UNKNOWN_REFERENCE"
            yield _of_theirs(code, theirs, "/".join(key), None)
        else:
            yield from _of_known(theirs, "/".join(key), found)


def _of_known(theirs: TheirLine, about: str, known: Known) -> Iterator[Difference]:
    """Yield what is wrong with a line about a redemption that is not in the batch."""
    record = _record_of(theirs, known.records)
    if record is not None:
        code = "DUPLICATE_LINE" if record.is_accepted else "LATE"
        yield _of_theirs(code, theirs, about, known, record)
    elif not is_one_of_several(theirs) and _same_by_now(theirs.state, known.state):
        return
    elif type_of(theirs) == "REVERSAL" and known.is_captured:
        yield _of_theirs("MISSING_HERE", theirs, about, known)
    else:
        yield _of_theirs("STATE_MISMATCH", theirs, about, known)


def _record_of(theirs: TheirLine, records: Iterable[Elsewhere]) -> Elsewhere | None:
    """Return the record that a line is about, by its reference if it has one."""
    of_type = [each for each in records if each.record_type == type_of(theirs)]
    for record in of_type:
        if record.partner_reference == theirs.partner_reference:
            return record
    if is_one_of_several(theirs):
        of_type = [each for each in of_type if not each.partner_reference]
    return of_type[0] if of_type else None


def _same_by_now(theirs: str, ours: str) -> bool:
    return theirs == ours or {theirs, ours} <= {"captured", "settled"}


def _of_totals(pairing: Pairing, stated: Stated) -> Iterator[Difference]:
    """Yield that a file is not what its sender says; what it lacks of ours is another matter."""
    lines, points = len(pairing.theirs), sum(each.points or 0 for each in pairing.theirs)
    wrong_lines = stated.lines is not None and stated.lines != lines
    wrong_points = stated.points is not None and stated.points != points
    if wrong_lines or wrong_points:
        told = {"lines": stated.lines, "points_total": stated.points}
        found = {"lines": lines, "points_total": points}
        at_risk = abs((stated.points or points) - points)
        yield Difference("TOTAL_MISMATCH", "file", None, None, found, told, at_risk, 0)


def _of_ours(code: str, ours: OurLine, theirs: TheirLine | None) -> Difference:
    about = ours.record_id.hex
    if code == "DUPLICATE_LINE" and theirs is not None:
        about = f"{about}#{theirs.no}"
    points = ours.points
    if code == "AMOUNT_MISMATCH" and theirs is not None and theirs.points is not None:
        points = abs(ours.points - theirs.points)
    return Difference(
        code,
        about,
        ours.redemption_id,
        ours.record_id,
        ours.told(),
        theirs.told() if theirs else None,
        points,
        ours.subsidy_minor,
    )


def _of_theirs(
    code: str,
    theirs: TheirLine,
    about: str,
    known: Known | None,
    record: Elsewhere | None = None,
) -> Difference:
    amounts = record or known
    return Difference(
        code,
        about,
        known.redemption_id if known else None,
        record.record_id if record else None,
        _told(known, record) if known else None,
        theirs.told(),
        amounts.points if amounts else theirs.points or 0,
        amounts.subsidy_minor if amounts else 0,
    )


def _told(known: Known, record: Elsewhere | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "redemption_id": public_id(REDEMPTION, known.redemption_id),
        "state": known.state,
        "points": record.points if record else known.points,
    }
    if record is not None:
        told["record_id"] = public_id(REDEMPTION_RECORD, record.record_id)
        told["record_type"] = record.record_type
        told["partner_reference"] = record.partner_reference
    return told


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def _day(text: str) -> date | None:
    """Return the Asia/Shanghai day of a day or moment; None: it is not said."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.date() if moment.tzinfo is None else day_of(moment)
