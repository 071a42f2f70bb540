"""The worked examples beside this file, which a carbon accountant can check by hand."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from service.methodologies import EnteredFactor, Library, recompute

FILES = ("travel", "electric_vehicle", "household", "consumption")


def examples() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in FILES:
        text = (Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8")
        found.extend(yaml.safe_load(text))
    return found


def entries(example: dict[str, Any]) -> list[EnteredFactor]:
    return [
        EnteredFactor(
            entry_id=f"example-{number}",
            key=entry["key"],
            region=entry["region"],
            unit=entry["unit"],
            value=entry["value"],
            in_force_from=entry["from"],
            source="invented for the example",
        )
        for number, entry in enumerate(example.get("entered", ()))
    ]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example["name"]))
def test_an_example_comes_out_as_written(example: dict[str, Any]) -> None:
    library = Library.load(entries(example))

    binding = library.bind(example["behavior"], example["region"], example["day"])
    act = msgspec.convert(example["input"], binding.data_type)
    reason = binding.refusal_for(act)

    assert binding.quantify(act) == example["output"]
    assert (reason.code if reason else None) == example.get("reason")
    assert recompute(binding.basis.as_dict(), example["input"]) == example["output"]


def test_every_behavior_has_an_example() -> None:
    shown = {example["behavior"] for example in examples()}

    assert shown == set(Library.load().behaviors)


def test_every_certifying_methodology_has_an_example_that_certifies() -> None:
    shown = set()
    for example in examples():
        if example["output"] > 0:
            library = Library.load(entries(example))
            binding = library.bind(example["behavior"], example["region"], example["day"])
            shown.add(binding.methodology.name)

    assert shown == {m.name for m in Library.load().methodologies if m.certifies}


def test_examples_are_dated() -> None:
    assert all(type(example["day"]) is date for example in examples())
