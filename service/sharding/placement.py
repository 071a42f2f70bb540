"""Where each table lives once Citus spreads the database over several machines, and why.

*Distributed* tables are cut by citizen: all of one person's rows are on one machine, so what she
does touches one. *Reference* tables are small and the same on every machine, for statements that
read them beside a citizen's rows. *Local* tables stay whole on the coordinator: they are found by
something other than the citizen's id, or are not hot.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Placement(StrEnum):
    """Where a table lives."""

    DISTRIBUTED = "distributed"
    REFERENCE = "reference"
    LOCAL = "local"


COLUMN: Final = "citizen_id"
"""By which distributed tables are cut; it leads each of their keys."""

ANCHOR: Final = "account"
"""The first distributed table; the others lie beside it, shard by shard."""

DISTRIBUTED: Final[Mapping[str, str]] = {
    ANCHOR: "its row is the lock under which a citizen's points move",
    "lot": "written with every transfer",
    "transfer": "the hot append of the ledger",
    "posting": "a caller's id is unique for its citizen, and its answer is hers",
    "refusal": "what a posting was refused with, beside the posting",
    "retirement": "what a citizen retires for, beside the posting",
    "notice": "what one citizen is told, made from her lots",
    "activity": "one row for each act; its key leads with the citizen",
    "activity_detail": "read for overlaps and caps under the citizen's lock",
    "verdict": "later decisions, beside the activity they are about",
    "pending_activity": "what waits, beside the activity; leaves under the citizen's lock",
    "correction": "a source's new word on one citizen's activity",
    "correction_reason": "beside its correction",
    "invalidation": "takes back one citizen's activity",
    "invalidation_proposal": "beside the invalidation that it asks for",
    "certification_batch_item": "as many rows as acts that wait; joined with them alone",
    "appeal": "one citizen's words about one of her activities",
    "appeal_decision": "beside its appeal, to which its foreign key leads",
}
"""In the order in which they are sent: whoever is referred to goes first."""

REFERENCE: Final[Mapping[str, str]] = {
    "partner": "its name stands beside every activity that is shown; few, and never deleted",
    "partner_change": "refers to partner; a few rows in a partner's life",
    "scheme_rules": "read beside an activity whose grams are computed again; a version a year",
    "entered_factor": "read into every process's rulebook; a few a year",
    "factor_approval": "refers to entered_factor, one for each",
    "quantification_basis": "read beside an activity; new only with a rule or a factor",
}
"""Likewise in order. A write goes to every machine, so only what is rarely written is here."""

LOCAL: Final[Mapping[str, str]] = {
    "activity_batch": "counts for a feed, which is a source's and of many citizens",
    "once_claim": "a bill or an order is one whoever reports it: its key is the thing's alone",
    "certification_batch": "of many citizens; a few a day",
    "certification_decision": "one for each certification batch",
    "certification_outcome": "one for each certification batch",
    "citizen": "found from a phone or a token; locked together with what identifies her",
    "citizen_identity": "found by its phone index, which is unique among all citizens",
    "citizen_secret": "of the identity, written once",
    "citizen_device": "of the identity, read at sign-in",
    "citizen_action": "what staff and she did to the account; few",
    "erasure": "few, and looked through as a whole",
    "erasure_completion": "one for each erasure",
    "refresh_family": "found by its id, which is unique among all citizens",
    "refresh_token": "found by its digest",
    "source_link": "a feed names accounts and asks whose they are: no citizen is known yet",
    "released_account": "found by a source's account",
    "one_time_code": "found by its request; nobody is known yet",
    "staff": "few",
    "client_assertion": "a partner's, and soon forgotten",
    "idempotency_key": "a caller's, who may be a partner or staff",
    "consent": "found by its id, and by the name under which a partner knows somebody",
    "consent_recipient": "beside its partner",
    "consent_change": "beside its consent",
    "consent_use": "beside its consent",
    "consent_access": "beside its consent; read by one citizen now and then",
    "person_link": "found by the person, who may hold several accounts",
    "partner_profile": "a partner's, read with its keys",
    "partner_event": "a partner's, in one gapless row",
    "event_sequencer": "the one lock under which a partner's events get their places",
    "webhook_endpoint": "a partner's; few",
    "webhook_delivery": "a partner's, and soon forgotten",
    "offer": "a partner's; its state is asked by everybody and changed by few",
    "offer_version": "beside its offer",
    "change_request": "beside its offer",
    "change_decision": "beside its change request",
    "offer_counter": "one for each offer, whoever takes of it",
    "offer_use": "by offer and person, who may hold several accounts",
    "grade_rules": "few",
    "grade_rules_approval": "one for each version of the rules",
    "grade_review": "few",
    "grade_review_decision": "one for each review",
    "carbon_report": "found by its id alone, by whoever was shown it",
    "quote": "found by its id, beside the offer that it quotes",
    "redemption": "found by its id by partners, who know no citizen",
    "redemption_record": "beside its redemption",
    "dispute_words": "few",
    "inquiry": "beside its redemption",
    "forced_resolution": "beside its redemption; few",
    "forced_resolution_approval": "one for each forced resolution",
    "settlement_batch": "of one partner's day, over many citizens",
    "settlement_batch_change": "beside its batch",
    "settlement_line": "beside its batch",
    "settlement_manifest": "one for each batch",
    "partner_file": "a partner's, beside the batch that it is about",
    "reconciliation_run": "one for each partner's file",
    "reconciliation_exception": "few",
    "exception_step": "beside its exception",
    "log_identity": "there is one log",
    "log_event": "the log's, written with an erasure or a key",
    "log_tile": "the log's, written by its one sealer",
    "log_bundle": "the log's, written by its one sealer",
    "log_seal": "the log's, written by its one sealer",
    "log_head": "the log's, written by its one sealer",
    "procrastinate_jobs": "the queue, which needs its sequence and its locks in one place",
    "procrastinate_events": "the queue's",
    "procrastinate_periodic_defers": "the queue's",
    "procrastinate_workers": "the queue's",
    "alembic_version": "the migrations' place in their row",
}


def placements() -> dict[str, Placement]:
    """Return the place of every table that has one."""
    return {
        **dict.fromkeys(REFERENCE, Placement.REFERENCE),
        **dict.fromkeys(DISTRIBUTED, Placement.DISTRIBUTED),
        **dict.fromkeys(LOCAL, Placement.LOCAL),
    }


def is_given_up(referring: Placement, referred: Placement) -> bool:
    """Say whether a foreign key ends where the database is spread over machines.

    Citus would take a local table that refers to a reference table under its own management, and
    every table connected with it. These three refer to partners, which nobody can delete.
    """
    return referring is Placement.LOCAL and referred is Placement.REFERENCE
