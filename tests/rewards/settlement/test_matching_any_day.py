"""Whatever is planted in a day's file, in whatever order: found once each, and nothing besides."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from service.ids import REDEMPTION, public_id
from service.rewards.settlement.matching import Stated, differences
from service.rewards.settlement.pairing import OurLine, paired
from service.rewards.settlement.partner_files import TheirLine

AT = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
SEEDS = range(40)

Planting = Callable[[TheirLine], list[TheirLine]]

PLANTINGS: dict[str, Planting] = {
    "MISSING_AT_PARTNER": lambda _: [],
    "AMOUNT_MISMATCH": lambda line: [line._replace(points=7)],
    "TERMS_MISMATCH": lambda line: [line._replace(terms_hash="0" * 64)],
    "SUBJECT_MISMATCH": lambda line: [line._replace(pairwise_subject="sub_other")],
    "STATE_MISMATCH": lambda line: [line._replace(state="declined", record_type="")],
    "UNKNOWN_REFERENCE": lambda line: [line._replace(partner_reference="never-heard-of")],
    "LATE": lambda line: [line._replace(occurred_at=datetime(2026, 4, 2, tzinfo=UTC))],
    "DUPLICATE_LINE": lambda line: [line, line],
    "MISSING_HERE": lambda line: [
        line,
        line._replace(
            redemption_id=f"rdm_{line.partner_reference.encode().hex():f>32}",
            partner_reference=f"strange-{line.partner_reference}",
        ),
    ],
}


def our_line(no: int) -> OurLine:
    """Return one of our lines; every fifth redemption has a capture and two reversals."""
    part = no % 5
    is_reversal = part in {1, 2}
    owner = no - part if is_reversal else no
    return OurLine(
        no,
        "REVERSAL" if is_reversal else "CAPTURE",
        UUID(int=owner + 1),
        UUID(int=1000 + no),
        "partially_reversed" if is_reversal else "captured",
        "partially_reversed" if is_reversal or part == 0 else "captured",
        f"ref-{no}",
        f"sub_{owner}",
        100 + no,
        "-50",
        3000,
        "2026-01-01T00:00:00+08:00",
        "2027-01-01T00:00:00+08:00",
        AT,
        date(2026, 3, 31),
        "a" * 64,
    )


def honest(ours: OurLine, *, with_type: bool) -> TheirLine:
    return TheirLine(
        0,
        ours.partner_reference,
        public_id(REDEMPTION, ours.redemption_id),
        "captured" if ours.record_type == "CAPTURE" else "reversed",
        ours.benefit_value,
        ours.effective_from,
        ours.effective_to,
        AT,
        ours.points,
        ours.terms_hash,
        ours.subject,
        ours.record_type if with_type else "",
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_with_planted_differences(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  a seed, not a secret
    ours = [our_line(no) for no in range(60)]
    # A state is told of a redemption, so it is planted where there is one line of it.
    single = [no for no in range(60) if no % 5 in {3, 4}]
    planted = {no: chance.choice(list(PLANTINGS)) for no in chance.sample(single, seed % 20)}
    theirs: list[TheirLine] = []
    for line in ours:
        said = honest(line, with_type=seed % 2 == 0)
        theirs += PLANTINGS[planted[line.line_no]](said) if line.line_no in planted else [said]
    chance.shuffle(theirs)
    numbered = [line._replace(no=no) for no, line in enumerate(theirs, 2)]

    found = list(differences(paired(ours, numbered), {}, set(), Stated(len(theirs))))

    assert sorted(each.code for each in found) == sorted(planted.values())
    assert len({(each.code, each.about) for each in found}) == len(found)


def without_redemption(line: TheirLine) -> TheirLine:
    return line._replace(redemption_id="")


def without_reference(line: TheirLine) -> TheirLine:
    return line._replace(partner_reference="")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("less", [without_redemption, without_reference])
def test_a_day_named_by_one_name_alone(seed: int, less: Callable[[TheirLine], TheirLine]) -> None:
    chance = random.Random(seed)  # noqa: S311  a seed, not a secret
    # Where the partner gives no references, neither side has any.
    has_none = less is without_reference
    lines = [our_line(no) for no in range(60)]
    ours = [line._replace(partner_reference="") if has_none else line for line in lines]
    theirs = [less(honest(line, with_type=True)) for line in ours]
    chance.shuffle(theirs)

    assert list(differences(paired(ours, theirs), {}, set(), Stated())) == []
