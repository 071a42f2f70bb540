"""One document that both sides hash, and get the same."""

import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest

from service.ids import OFFER, public_id
from service.rewards.offers.terms import Terms
from tests.rewards.market import MODES, TERMS


def document(mode: str = "burn") -> dict[str, Any]:
    changes = MODES[mode]
    merged = {**TERMS, **changes, "offer_id": public_id(OFFER, uuid4())}
    for name in ("eligibility", "caps"):
        merged[name] = {**TERMS[name], **changes.get(name, {})}
    return merged


class TestTerms:
    @pytest.mark.parametrize("mode", MODES)
    def test_are_the_document_they_were_read_from(self, mode: str) -> None:
        stored = document(mode)

        assert Terms.from_document(stored).document == stored

    def test_have_the_hash_that_others_compute(self) -> None:
        terms = Terms.from_document(document())

        # RFC 8785 for members in ASCII, and no number that is not whole.
        text = json.dumps(terms.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert terms.terms_hash == hashlib.sha256(text.encode()).hexdigest()

    def test_have_one_hash_in_every_order(self) -> None:
        stored = document()
        backwards = dict(reversed(stored.items()))

        one, other = Terms.from_document(stored), Terms.from_document(backwards)

        assert one.terms_hash == other.terms_hash

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("points", 101),
            ("version", 2),
            ("benefit", {"kind": "rate_discount", "rate_delta_bp": -51}),
            ("valid_to", "2098-01-01T00:00:00+00:00"),
            ("title", {"zh": "优惠", "en": "Another"}),
        ],
    )
    def test_have_another_hash_when_anything_differs(self, member: str, value: Any) -> None:
        stored = document()

        one = Terms.from_document(stored)
        other = Terms.from_document({**stored, member: value})

        assert one.terms_hash != other.terms_hash
