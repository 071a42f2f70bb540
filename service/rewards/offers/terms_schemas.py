"""The terms of an offer as a partner enters them: every number said, none assumed.

What the terms promise is never defaulted. Only how long the steps of a redemption may take is, by
the kind of partner (see `drafting`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, get_args

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service.rewards.offers.terms import GradeName, Mode, Payer, Period
from service.web.query_values import Moment

MONEY_MOST: Final = 10**12
"""Fen: ten thousand million yuan."""
POINTS_MOST: Final = 10**9
DAY_S: Final = 86_400
TITLE: Final = validate.Length(min=1, max=100)
WORDS: Final = validate.Length(min=1, max=200)
NO_MARKUP: Final = validate.Regexp(r"[^<>]*\Z", error="Please write plain text, without < and >.")
DECIMAL: Final = validate.Regexp(
    r"[0-9]{1,4}(\.[0-9]{1,6})?\Z", error="Please write a decimal number as a string, like 0.95."
)
YEARS: Final = validate.Range(
    min=datetime(2020, 1, 1, tzinfo=UTC), max=datetime(2100, 1, 1, tzinfo=UTC)
)

MISSING: Final = "Missing data for required field."
UNKNOWN: Final = "Unknown field."

MEMBERS_OF_KIND: Final[Mapping[str, frozenset[str]]] = {
    "rate_discount": frozenset({"rate_delta_bp"}),
    "credit_line_uplift": frozenset({"uplift_percent"}),
    "interest_coupon": frozenset({"amount_minor", "currency"}),
    "premium_factor": frozenset({"factor", "band_min", "band_max"}),
    "goods": frozenset({"sku", "description"}),
    "voucher": frozenset({"amount_minor", "currency"}),
}
"""What each kind of benefit has to say, and nothing else."""

_OF_ANY_KIND: Final = frozenset().union(*MEMBERS_OF_KIND.values())

Faults = dict[str, Any]


class Truth(fields.Boolean):
    """True or false, and not what could be taken for it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **kwargs))


def whole(least: int, most: int, **options: Any) -> fields.Integer:
    """Return a field for a whole number between two limits, both possible."""
    return fields.Integer(strict=True, validate=validate.Range(min=least, max=most), **options)


def choice(kind: Any, **options: Any) -> fields.String:
    """Return a field for one of a `Literal`'s texts."""
    return fields.String(validate=validate.OneOf(get_args(kind)), **options)


class OfferTitleRequest(Schema):
    """What citizens read."""

    zh = fields.String(required=True, validate=[TITLE, NO_MARKUP])
    en = fields.String(required=True, validate=[TITLE, NO_MARKUP])


class BenefitTermsRequest(Schema):
    """What a citizen gets; the members depend on its kind."""

    kind = fields.String(required=True, validate=validate.OneOf(sorted(MEMBERS_OF_KIND)))
    rate_delta_bp = whole(
        -10_000, -1, metadata={"description": "rate_discount: basis points, below zero."}
    )
    uplift_percent = fields.String(
        validate=DECIMAL,
        metadata={"description": "credit_line_uplift: percent of the line.", "example": "20"},
    )
    amount_minor = whole(1, MONEY_MOST, metadata={"description": "interest_coupon, voucher: fen."})
    currency = fields.String(
        validate=validate.OneOf(["CNY"]), metadata={"description": "interest_coupon, voucher."}
    )
    factor = fields.String(
        validate=DECIMAL,
        metadata={"description": "premium_factor: of the premium.", "example": "0.95"},
    )
    band_min = fields.String(
        validate=DECIMAL,
        metadata={"description": "premium_factor: as filed for the product.", "example": "0.90"},
    )
    band_max = fields.String(
        validate=DECIMAL,
        metadata={"description": "premium_factor: as filed for the product.", "example": "1.10"},
    )
    sku = fields.String(
        validate=[validate.Length(min=1, max=64), NO_MARKUP], metadata={"description": "goods."}
    )
    description = fields.String(validate=[WORDS, NO_MARKUP], metadata={"description": "goods."})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _says_what_its_kind_says(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping) or "kind" not in data:
            return
        needed, given = MEMBERS_OF_KIND[data["kind"]], {*original} - {"kind"}
        faults: Faults = {name: [UNKNOWN] for name in given & _OF_ANY_KIND - needed}
        faults |= {name: [MISSING] for name in needed - given}
        if faults:
            raise ValidationError(faults)

    @validates_schema
    def _is_possible(self, data: dict[str, Any], **_: Any) -> None:
        given = set(data)
        if data["kind"] == "credit_line_uplift" and "uplift_percent" in given:
            _require_more_than_nothing("uplift_percent", data)
        if data["kind"] == "premium_factor" and MEMBERS_OF_KIND["premium_factor"] <= given:
            _require_more_than_nothing("band_min", data)
            _require_inside_band(data)


def _require_more_than_nothing(name: str, data: Mapping[str, str]) -> None:
    if Decimal(data[name]) == 0:
        raise ValidationError({name: ["Must be greater than 0."]})


def _require_inside_band(data: Mapping[str, str]) -> None:
    if Decimal(data["band_min"]) > Decimal(data["band_max"]):
        raise ValidationError({"band_max": ["The band ends where it begins, or above."]})
    if not Decimal(data["band_min"]) <= Decimal(data["factor"]) <= Decimal(data["band_max"]):
        raise ValidationError({"factor": ["The factor has to be inside the filed band."]})


class EligibilityTermsRequest(Schema):
    """Who may redeem the offer; null asks for nothing."""

    grade_rules = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=64),
        metadata={"description": "The rules by which a grade is earned, as GET /v1/grade-rules."},
    )
    grade_at_least = choice(GradeName, load_default=None, allow_none=True)
    reduction_g_at_least = whole(
        1,
        POINTS_MOST,
        load_default=None,
        allow_none=True,
        metadata={"description": "Certified grams of CO2e, in the rules' window or of all time."},
    )
    person_required = Truth(
        load_default=False, metadata={"description": "Only for verified natural persons."}
    )

    @validates_schema
    def _names_rules_for_a_grade(self, data: dict[str, Any], **_: Any) -> None:
        if data["grade_at_least"] is not None and data["grade_rules"] is None:
            raise ValidationError({"grade_rules": ["Please name the rules of this grade."]})


class CapTermsRequest(Schema):
    """How often in one period, by the calendar of Asia/Shanghai."""

    period = choice(Period, required=True)
    most = whole(1, 1_000_000, required=True)


class CapsRequest(Schema):
    """How often one account, and one natural person over all accounts, may redeem the offer."""

    per_citizen = fields.Nested(CapTermsRequest, load_default=None, allow_none=True)
    per_person = fields.Nested(CapTermsRequest, load_default=None, allow_none=True)


class TimersRequest(Schema):
    """How long the steps of a redemption may take; what is left out is as usual."""

    quote_s = whole(60, DAY_S, load_default=600)
    reserve_s = whole(60, 7 * DAY_S, load_default=900)
    submit_business_days = whole(
        1,
        90,
        load_default=None,
        allow_none=True,
        metadata={"description": "Or submit_s. Left out: ten, for an insurer thirty days."},
    )
    submit_s = whole(60, 180 * DAY_S, load_default=None, allow_none=True)
    unknown_business_days = whole(1, 90, load_default=5)
    grace_s = whole(0, 30 * DAY_S, load_default=3 * DAY_S)

    @validates_schema
    def _has_one_time_to_submit(self, data: dict[str, Any], **_: Any) -> None:
        if data["submit_s"] is not None and data["submit_business_days"] is not None:
            raise ValidationError({"submit_s": ["Please give one of the two times to submit."]})


class MaturityTermsRequest(Schema):
    """When locked points are decided about."""

    days = whole(1, 3_660, required=True)
    at_maturity = fields.String(
        required=True,
        validate=validate.OneOf(["burn", "release"]),
        metadata={"description": "Whether the points are then spent or hers again."},
    )


class ReversalTermsRequest(Schema):
    """How a capture can be taken back."""

    window_days = whole(0, 3_660, required=True, metadata={"description": "After the capture."})
    grace_days = whole(
        0,
        366,
        load_default=30,
        metadata={"description": "How long points live that come back after their last day."},
    )


class TermsRequest(Schema):
    """What the offer promises."""

    title = fields.Nested(OfferTitleRequest, required=True)
    mode = choice(
        Mode,
        required=True,
        metadata={
            "description": "`burn`: points are spent; `lock`: held until maturity; `attest`: none"
            " move."
        },
    )
    points = whole(
        0, POINTS_MOST, required=True, metadata={"description": "0 for `attest`, and only there."}
    )
    benefit = fields.Nested(BenefitTermsRequest, required=True)
    subsidy_minor = whole(
        0, MONEY_MOST, required=True, metadata={"description": "Fen, of the budget."}
    )
    payer = choice(Payer, required=True, metadata={"description": "Of the subsidy."})
    currency = fields.String(load_default="CNY", validate=validate.OneOf(["CNY"]))
    eligibility = fields.Nested(
        EligibilityTermsRequest, load_default=lambda: _defaults_of(EligibilityTermsRequest)
    )
    caps = fields.Nested(CapsRequest, load_default=lambda: _defaults_of(CapsRequest))
    timers = fields.Nested(TimersRequest, load_default=lambda: _defaults_of(TimersRequest))
    maturity = fields.Nested(
        MaturityTermsRequest,
        load_default=None,
        allow_none=True,
        metadata={"description": "For `lock`, and only there."},
    )
    reversal = fields.Nested(ReversalTermsRequest, required=True)
    valid_from = Moment(required=True, validate=YEARS)
    valid_to = Moment(required=True, validate=YEARS)

    @validates_schema
    def _fits_its_mode(self, data: dict[str, Any], **_: Any) -> None:
        mode, faults = data["mode"], Faults()
        if (data["points"] == 0) != (mode == "attest"):
            faults["points"] = ["An attest offer takes no points, and every other takes some."]
        if (data["maturity"] is None) == (mode == "lock"):
            faults["maturity"] = ["A lock offer says when its points mature, and no other does."]
        per_person = data["caps"]["per_person"]
        if mode == "attest" and (per_person is None or per_person["most"] != 1):
            faults["caps"] = {"per_person": ["An attest offer is for each person once a period."]}
        if faults:
            raise ValidationError(faults)

    @validates_schema
    def _knows_the_persons_it_counts(self, data: dict[str, Any], **_: Any) -> None:
        counts_persons = data["mode"] == "attest" or data["caps"]["per_person"] is not None
        if counts_persons and not data["eligibility"]["person_required"]:
            raise ValidationError(
                {"eligibility": {"person_required": ["A cap per person needs verified persons."]}}
            )

    @validates_schema
    def _ends_after_it_begins(self, data: dict[str, Any], **_: Any) -> None:
        if data["valid_from"] >= data["valid_to"]:
            raise ValidationError({"valid_to": ["The offer ends after it begins."]})


def _defaults_of(schema: type[Schema]) -> dict[str, Any]:
    defaults: dict[str, Any] = schema().load({})
    return defaults
