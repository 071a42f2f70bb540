"""A published version is never edited: each is held to the digest it was published with.

To publish a version or a factor value, add the line that the failing test shows to published.yaml.
A line that is already there is never changed.
"""

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from types import CodeType
from typing import Any

import yaml

from service.methodologies.factors import FactorVersion, shipped_factors
from service.methodologies.methodology import Methodology
from service.methodologies.registry import METHODOLOGIES
from service.methodologies.views import activity_data_schema

PUBLISHED = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8"))
CALLABLES = {"data_type", "quantifier", "checker"}


def sha256_of(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def methodology_digest(methodology: Methodology) -> str:
    """Digest of what a version says, what its data looks like, and the source of its functions."""
    said = {
        field.name: in_order(getattr(methodology, field.name))
        for field in fields(methodology)
        if field.name not in CALLABLES
    }
    sources = [*written(methodology.quantifier), *written(methodology.checker)]
    return sha256_of([said, activity_data_schema(methodology.data_type), sources])


def in_order(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return value if isinstance(value, str | int | None) else repr(value)


def written(function: Callable[..., Any]) -> Iterator[str]:
    """The source of a function, and of everything its own module lends to it."""
    yield inspect.getsource(function)
    module = sys.modules[function.__module__]
    for name in sorted(names_in(function.__code__)):
        lent = getattr(module, name, None)
        if inspect.isfunction(lent) and lent.__module__ == module.__name__:
            yield from written(lent)
        elif isinstance(lent, str | int | dict):
            yield f"{name} = {lent!r}"


def names_in(code: CodeType) -> set[str]:
    nested = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*(names_in(inner) for inner in nested))


def factor_digest(version: FactorVersion) -> str:
    return sha256_of(asdict(version))


def current_digests() -> dict[str, dict[str, str]]:
    return {
        "methodologies": {m.name: methodology_digest(m) for m in METHODOLOGIES},
        "factors": {
            version.version_id: factor_digest(version)
            for factor in shipped_factors().values()
            for version, _ in factor.versions()
        },
    }


def test_every_published_version_is_what_it_was() -> None:
    current = current_digests()

    changed = {
        name: current[kind].get(name, "gone")
        for kind, published in PUBLISHED.items()
        for name, digest in published.items()
        if current[kind].get(name) != digest
    }

    assert changed == {}, "a published version was edited: write a new one beside it"


def test_every_version_is_published() -> None:
    current = current_digests()

    unpublished = {
        name: digest
        for kind, digests in current.items()
        for name, digest in digests.items()
        if name not in PUBLISHED[kind]
    }

    assert unpublished == {}, "add these lines to published.yaml"


def test_an_edit_of_the_rule_changes_the_digest() -> None:
    metro = METHODOLOGIES[0]
    digests = {
        methodology_digest(metro),
        methodology_digest(replaced(metro, formula="reduction_g = 1")),
        methodology_digest(replaced(metro, quantifier=METHODOLOGIES[1].quantifier)),
        methodology_digest(replaced(metro, caps=())),
    }

    assert len(digests) == 4


def test_what_a_function_borrows_is_part_of_its_digest() -> None:
    by_name = {m.name: m for m in METHODOLOGIES}

    assert "M_PER_KM = 1000" in list(written(by_name["metro_ride_v1"].quantifier))
    assert any("def _per_item" in text for text in written(by_name["e_bill_v1"].quantifier))


def replaced(methodology: Methodology, **changes: Any) -> Methodology:
    values = {field.name: getattr(methodology, field.name) for field in fields(methodology)}
    return Methodology(**{**values, **changes})
