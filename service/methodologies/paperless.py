"""Doing online what used to need paper or a journey: invoices, statements, bills, tickets."""

from datetime import date

from service.methodologies.activity_data import Identifier
from service.methodologies.factors import cited
from service.methodologies.limits import SCHEME_RULE
from service.methodologies.methodology import (
    ActivityData,
    Cap,
    FactorNeed,
    Factors,
    Methodology,
    OncePer,
    Quantify,
)

TARIFF = "; ".join(cited("S2", "S3"))
NATIONAL_TARIFF_FROM = date(2026, 2, 1)


class Document(ActivityData, frozen=True):
    """One electronic document.

    Attributes:
        document_id: its unique number.
    """

    document_id: Identifier


class BillPayment(ActivityData, frozen=True):
    """One utility bill paid online.

    Attributes:
        bill_account: the household's account at the utility.
    """

    bill_account: Identifier


class Booking(ActivityData, frozen=True):
    """One booking that was used.

    Attributes:
        order_id: of the platform.
    """

    order_id: Identifier


def e_invoice_v1(factors: Factors) -> Quantify:
    """Reduction from one electronic invoice, rounded down once."""
    return _per_item(factors)


def e_statement_v1(factors: Factors) -> Quantify:
    """Reduction from one electronic account statement, rounded down once."""
    return _per_item(factors)


def e_bill_v1(factors: Factors) -> Quantify:
    """Reduction from one utility bill paid online, rounded down once."""
    return _per_item(factors)


def online_ticket_v1(factors: Factors) -> Quantify:
    """Reduction from one admission ticket booked online, rounded down once."""
    return _per_item(factors)


def online_train_ticket_v1(factors: Factors) -> Quantify:
    """Reduction from one train ticket booked online, rounded down once."""
    return _per_item(factors)


def clinic_booking_v1(factors: Factors) -> Quantify:
    """Reduction from one visit to a clinic booked online, rounded down once."""
    return _per_item(factors)


def _per_item(factors: Factors) -> Quantify:
    grams_per_item = int(factors["reduction"])

    def reduction_g(_item: ActivityData) -> int:
        return grams_per_item

    return reduction_g


E_INVOICE_V1 = Methodology(
    code="e_invoice",
    version=1,
    behavior="e_invoice",
    title_en="Receiving an electronic invoice",
    title_zh="使用电子发票",
    formula="reduction_g = floor(e_invoice_reduction), for each document",
    conditions=("The invoice has a unique number and was issued to the citizen.",),
    exclusions=(),
    sources=cited("S2", "S41"),
    in_force_from=NATIONAL_TARIFF_FROM,
    data_type=Document,
    quantifier=e_invoice_v1,
    needs=(FactorNeed("reduction", "e_invoice_reduction", "nation"),),
    caps=(Cap("day", limit=5, source=TARIFF),),
    once=OncePer("document_id", "ever", source=SCHEME_RULE),
)

E_STATEMENT_V1 = Methodology(
    code="e_statement",
    version=1,
    behavior="e_statement",
    title_en="Receiving an electronic account statement",
    title_zh="使用电子账单",
    formula="reduction_g = floor(e_statement_reduction), for each document",
    conditions=("The statement has a unique number and replaces a posted one.",),
    exclusions=(),
    sources=cited("S41"),
    in_force_from=NATIONAL_TARIFF_FROM,
    data_type=Document,
    quantifier=e_statement_v1,
    needs=(FactorNeed("reduction", "e_statement_reduction", "nation"),),
    caps=(
        Cap("day", limit=5, source=f"As for electronic invoices, none being published: {TARIFF}"),
    ),
    once=OncePer("document_id", "ever", source=SCHEME_RULE, numbered_by="source"),
)

E_BILL_V1 = Methodology(
    code="e_bill",
    version=1,
    behavior="e_bill",
    title_en="Paying a utility bill online",
    title_zh="线上缴纳生活费用",
    formula="reduction_g = floor(e_bill_reduction), for each bill",
    conditions=("The bill is of at least 1 yuan.", "One bill per bill account and month."),
    exclusions=(
        (
            "The 262 g that another platform credits for the same act are not used: "
            "of two competing numbers the lower one is taken."
        ),
    ),
    sources=cited("S41", "S3"),
    in_force_from=NATIONAL_TARIFF_FROM,
    data_type=BillPayment,
    quantifier=e_bill_v1,
    needs=(FactorNeed("reduction", "e_bill_reduction", "nation"),),
    caps=(Cap("month", limit=10, source=TARIFF),),
    once=OncePer("bill_account", "month", source=TARIFF),
)

ONLINE_TICKET_V1 = Methodology(
    code="online_ticket",
    version=1,
    behavior="online_ticket",
    title_en="Booking an admission ticket online",
    title_zh="线上购票",
    formula="reduction_g = floor(online_ticket_reduction), for each order",
    conditions=("Credited after the ticket was used.",),
    exclusions=(),
    sources=cited("S3"),
    in_force_from=date(2022, 12, 1),
    data_type=Booking,
    quantifier=online_ticket_v1,
    needs=(FactorNeed("reduction", "online_ticket_reduction", "nation"),),
    caps=(Cap("month", limit=10, source=TARIFF),),
    once=OncePer("order_id", "ever", source=SCHEME_RULE, numbered_by="source"),
)

ONLINE_TRAIN_TICKET_V1 = Methodology(
    code="online_train_ticket",
    version=1,
    behavior="online_train_ticket",
    title_en="Booking a train ticket online",
    title_zh="线上购买火车票",
    formula="reduction_g = floor(online_train_ticket_reduction), for each order",
    conditions=("Credited after the journey.",),
    exclusions=(),
    sources=cited("S3"),
    in_force_from=date(2022, 12, 1),
    data_type=Booking,
    quantifier=online_train_ticket_v1,
    needs=(FactorNeed("reduction", "online_train_ticket_reduction", "nation"),),
    caps=(Cap("month", limit=10, source=TARIFF),),
    once=OncePer("order_id", "ever", source=SCHEME_RULE, numbered_by="source"),
)

CLINIC_BOOKING_V1 = Methodology(
    code="clinic_booking",
    version=1,
    behavior="clinic_booking",
    title_en="Booking a clinic visit online",
    title_zh="线上预约挂号",
    formula="reduction_g = floor(clinic_booking_reduction), for each visit",
    conditions=("Credited after the visit.",),
    exclusions=(),
    sources=cited("S3"),
    in_force_from=date(2022, 12, 1),
    data_type=Booking,
    quantifier=clinic_booking_v1,
    needs=(FactorNeed("reduction", "clinic_booking_reduction", "nation"),),
    caps=(Cap("month", limit=5, source=TARIFF),),
    once=OncePer("order_id", "ever", source=SCHEME_RULE, numbered_by="source"),
)
