"""Every step in every state and every mode: either done, with just its postings, or refused."""

import pytest

from service.rewards.redemptions.states import STEPS as STATED
from tests.rewards.market import Market
from tests.rewards.redemptions.paths import POINTS, STEPS, WAY_INTO, brought_to

MODES = ("burn", "lock", "attest")

LEADS_TO: dict[tuple[str, str], str] = {
    ("reserved", "submission"): "submitted",
    ("reserved", "void by citizen"): "voided",
    ("reserved", "expiry"): "closed",
    ("submitted", "capture"): "captured",
    ("submitted", "decline"): "declined",
    ("submitted", "void by partner"): "voided",
    ("submitted", "void by citizen"): "submitted",
    ("submitted", "expiry"): "expired",
    ("submitted", "unknown"): "unknown",
    ("unknown", "capture"): "captured",
    ("unknown", "decline"): "declined",
    ("unknown", "void by partner"): "voided",
    ("unknown", "void by citizen"): "unknown",
    ("expired", "capture"): "captured",
    ("expired", "closure"): "closed",
    ("captured", "reversal"): "reversed",
    ("captured", "settlement"): "settled",
    ("settled", "reversal"): "reversed",
    ("settled", "dispute"): "disputed",
    ("partially_reversed", "reversal"): "reversed",
    ("partially_reversed", "settlement"): "partially_reversed",
    ("reversed", "settlement"): "reversed",
    ("disputed", "resolution"): "settled",
}
"""In every mode; by the service's and the partners' reference, not by the code."""

MATURES = ("captured", "settled", "partially_reversed")
"""Locks in these states."""

OTHER_REFUSALS = {("closed", "capture"): "late-capture-refused"}
"""Where the state alone would not say why."""

BY_PARTNER = {"capture", "decline", "void by partner", "reversal"}

REDEEMED = {"captured": POINTS, "settled": POINTS, "disputed": POINTS, "partially_reversed": 60}
HELD = dict.fromkeys(("reserved", "submitted", "unknown", "expired"), POINTS)
GIVEN_BACK = {"declined", "voided", "closed"}
"""States that take nothing of quota, budget and caps; a reversal gives none of them back."""


def places(mode: str, state: str, *, matured: bool = False) -> dict[str, int]:
    """Return where her 250 points are."""
    if mode == "attest":
        return {}
    in_force = REDEEMED.get(state, 0)
    place = "held" if mode == "lock" and not matured else "redeemed"
    taken = {"held": HELD.get(state, 0)}
    taken[place] = taken.get(place, 0) + in_force
    return {
        "available": 250 - sum(taken.values()),
        **{name: points for name, points in taken.items() if points},
    }


def taken(state: str) -> tuple[tuple[int, int], int]:
    """Return what is taken of quota and budget, and of her cap."""
    return ((0, 0), 0) if state in GIVEN_BACK else ((1, 3000), 1)


CELLS = [
    (mode, state, step)
    for mode in MODES
    for state in WAY_INTO
    for step in STEPS
    if (mode, state) != ("attest", "partially_reversed")
]


def leads_to(mode: str, state: str, step: str) -> str | None:
    if step == "maturity":
        return state if mode == "lock" and state in MATURES else None
    return LEADS_TO.get((state, step))


ALLOWED = [cell for cell in CELLS if leads_to(*cell)]
PLACES = sorted({cell[:2] for cell in CELLS})


@pytest.mark.parametrize(("mode", "state", "step"), ALLOWED)
def test_a_step_moves_what_it_should(market: Market, mode: str, state: str, step: str) -> None:
    case = brought_to(market, mode, state)
    records = market.records(case.id)

    refusal = STEPS[step](case)

    after = leads_to(mode, state, step) or ""
    assert refusal is None
    assert market.state(case.id) == ("expired" if after == "closed" else after)
    assert market.points(case.customer.id) == places(mode, after, matured=step == "maturity")
    assert (market.taken(case.offered), case.uses()) == taken(after)
    assert market.records(case.id)[:-1] == records


@pytest.mark.parametrize(("mode", "state"), PLACES)
def test_every_other_step_is_refused_and_moves_nothing(
    market: Market, mode: str, state: str
) -> None:
    case = brought_to(market, mode, state)
    before = case.books()
    refused = {step for step in STEPS if not leads_to(mode, state, step)}

    refusals = {step: STEPS[step](case) for step in refused}

    assert case.books() == before
    for step, code in refusals.items():
        unseen = state == "reserved" and step in BY_PARTNER
        usual = "redemption-unknown" if unseen else "state-conflict"
        assert code == OTHER_REFUSALS.get((state, step), usual), step


def test_the_states_say_the_same() -> None:
    stated = {
        (before, kind)
        for kind, step in STATED.items()
        for before in step.from_states
        if kind != "void_request"
    }
    tried = {(state, step.partition(" by ")[0]) for _, state, step in ALLOWED}

    assert stated == tried
