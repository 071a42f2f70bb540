"""The guide to redemptions says of states, steps and postings what `states` says."""

from collections.abc import Iterator
from pathlib import Path

from service.rewards.redemptions.invariants import possible_steps
from service.rewards.redemptions.states import POSTINGS, STEPS, Kind, State

GUIDE = (Path(__file__).parents[3] / "docs" / "redemptions.md").read_text(encoding="utf-8")
MODES = ("burn", "lock", "attest")


def table() -> Iterator[str]:
    """Return the table of steps: from, to, event, postings by mode."""
    for kind, step in STEPS.items():
        cells = [
            f"`{kind}`",
            listed(step.from_states) or "–",
            listed(step.to_states),
            f"`{step.event}`",
            *(", ".join(POSTINGS.get((kind, mode), ())) or "–" for mode in MODES),
        ]
        yield f"| {' | '.join(cells)} |"


def listed(states: frozenset[str]) -> str:
    return ", ".join(sorted(states))


def diagram() -> Iterator[str]:
    """Return the arrows of the diagram; what leaves a state as it is has none."""
    for kind, before, after in sorted(possible_steps()):
        if before != after:
            yield f"    {before or '[*]'} --> {after}: {kind}"


def test_the_table_is_that_of_the_states() -> None:
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `") and "redemption." in line]

    assert rows == list(table())


def test_the_diagram_is_that_of_the_states() -> None:
    arrows = [line for line in GUIDE.splitlines() if "-->" in line]

    assert arrows == list(diagram())


def test_every_state_and_step_is_known() -> None:
    reached = {state for step in STEPS.values() for state in step.to_states}

    assert reached == set(State.__args__)  # type: ignore[attr-defined]  # of a Literal
    assert set(STEPS) == set(Kind.__args__)  # type: ignore[attr-defined]
