"""Races of redemptions over HTTP: a quota, a cap, a key, a capture, an end, a batch, a consent."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from typing import Any, Final
from uuid import UUID, uuid4

from checks.calling import Answer, Client
from checks.market import (
    PRICE,
    SUBSIDY_MINOR,
    TERMS,
    Ask,
    Bank,
    Customer,
    Market,
    OnOffer,
    capturing,
    code_of,
    declining,
    overdue_at_once,
    quoting,
    reserving,
    stepping,
    voiding,
)
from checks.processes import wait_until
from checks.race_http import insisted
from checks.race_ledger import AT_ONCE, at_once
from checks.verdict import Verdict
from service import clock
from service.ids import REDEMPTION, uuid_of
from service.rewards.redemptions.janitor import ask_partners
from service.rewards.redemptions.timers import run_due
from service.rewards.settlement.closing import close_first
from service.runtime import Runtime

ACCEPTANCES: Final = 20
CAPTURED: Final = 3
PERSON_CAP: Final = 3
HEAD_START_S: Final = 0.2
"""Of the requests, before a timer's; sometimes it comes first, sometimes last."""
CSV: Final = "text/csv"
EMPTY_FILE: Final = (
    b"partner_reference,redemption_id,state,benefit_value,effective_from,effective_to,occurred_at,"
    b"points,terms_hash,pairwise_subject,record_type\n"
)
COMPARED_WITHIN_S: Final = 20.0
DONE: Final = {201: "done", 200: "again"}

PLACES: Final = """
SELECT coalesce(sum(held_points), 0)::bigint, coalesce(sum(redeemed_points), 0)::bigint FROM lot
WHERE citizen_id = %s
"""
TAKEN: Final = "SELECT taken, budget_taken_minor FROM offer_counter WHERE offer_id = %s"
RECORDS: Final = """
SELECT redemption.state, array_agg(record.kind ORDER BY record.no)
FROM redemption JOIN redemption_record AS record ON record.redemption_id = redemption.id
WHERE redemption.id = %s GROUP BY redemption.id
"""

ENDS: Final = {
    ("capture",),
    ("decline",),
    ("void",),
    ("expiry",),
    ("expiry", "capture"),
}
"""What may follow a submission that is overdue; in its grace a capture still counts."""


class OfferRaces:
    """Races on a served house."""

    def __init__(
        self,
        market: Market,
        client: Client,
        verdict: Verdict,
        chance: random.Random,
        status_url: str,
    ) -> None:
        """Race against the service that `client` calls.

        Args:
            market: whose runtime is the service's.
            client: of its port.
            verdict: takes what is found.
            chance: gives timers a start.
            status_url: where a bank is asked that knows of nothing.
        """
        self._market = market
        self._client = client
        self._verdict = verdict
        self._chance = chance
        self._bank = market.bank(status_url)
        self._crowd = market.customers(self._bank, AT_ONCE)

    def last_unit(self, _number: int) -> None:
        """The last unit of a quota from everybody: one has it, everybody else is told why."""
        offered = self._market.put_on_offer(self._bank, quota=1)
        quotes = self._quotes([(each, offered) for each in self._crowd])
        asked = [
            reserving(each, quote, submit=False)
            for each, quote in zip(self._crowd, quotes, strict=True)
        ]
        self._require_told(
            "last_unit", self._at_once(asked), {"done": 1, "offer-quota-exhausted": AT_ONCE - 1}
        )
        self._require_taken("last_unit", offered, 1)

    def person_cap(self, _number: int) -> None:
        """A person's cap over two accounts: together they get as many as it says."""
        pair = self._market.customers(self._bank, 2)
        self._market.are_one_person(self._bank, pair)
        caps = {"per_citizen": None, "per_person": {"period": "day", "most": PERSON_CAP}}
        eligibility = {**TERMS["eligibility"], "person_required": True}
        offered = self._market.put_on_offer(self._bank, caps=caps, eligibility=eligibility)
        crowd = list(islice(cycle(pair), AT_ONCE))
        quotes = self._quotes([(each, offered) for each in crowd])
        asked = [
            reserving(each, quote, submit=False) for each, quote in zip(crowd, quotes, strict=True)
        ]
        told = {"done": PERSON_CAP, "person-limit-reached": AT_ONCE - PERSON_CAP}
        self._require_told("person_cap", self._at_once(asked), told)
        self._require_taken("person_cap", offered, PERSON_CAP)

    def one_key(self, _number: int) -> None:
        """One Idempotency-Key from everybody on a reservation: one, and identical answers."""
        customer, offered = self._customer(), self._market.put_on_offer(self._bank)
        [quote] = self._quotes([(customer, offered)])
        answers = self._at_once([reserving(customer, quote, submit=True)] * AT_ONCE)
        self._require_told("one_key", answers, {"done": AT_ONCE})
        distinct = {str(each.body) for each in answers}
        self._verdict.require(len(distinct) == 1, f"one_key: {len(distinct)} answers")
        self._require_places("one_key", customer, held=PRICE, redeemed=0)
        self._require_taken("one_key", offered, 1)

    def references(self, _number: int) -> None:
        """One redemption captured under many references: the first is the only one."""
        customer, offered = self._customer(), self._market.put_on_offer(self._bank)
        redemption = self._submitted(customer, offered)
        answers = self._at_once([capturing(offered, redemption) for _ in range(AT_ONCE)])
        self._require_told("references", answers, {"done": 1, "state-conflict": AT_ONCE - 1})
        self._require_places("references", customer, held=0, redeemed=PRICE)

    def ends(self, _number: int) -> None:
        """Capture, decline, void and the timer of what is overdue: one end, or one in its grace."""
        timers = overdue_at_once()
        offered = self._market.put_on_offer(self._bank, timers=timers)
        customer = self._customer()
        redemption = self._submitted(customer, offered)
        time.sleep(timers["submit_s"])
        ways = islice(cycle((capturing, declining, voiding)), AT_ONCE - 1)
        asked = [way(offered, redemption) for way in ways]
        answers = self._with_timer(asked, ask_partners)
        told = self._told("ends", answers, {"done", "state-conflict"})
        state, records = self._story(redemption)
        self._verdict.count(f"ends: by {' and '.join(records[2:])}")
        self._verdict.require(tuple(records[2:]) in ENDS, f"ends: {records}")
        ended = state in {"captured", "declined", "voided"}
        self._verdict.require(told["done"] == ended, f"ends: {dict(told)} and it is {state}")
        held, redeemed = PRICE * (state == "expired"), PRICE * (state == "captured")
        self._require_places("ends", customer, held=held, redeemed=redeemed)
        self._require_taken("ends", offered, int(state in {"expired", "captured"}))

    def lapse(self, _number: int) -> None:
        """Submission, her void and the timer of what is overdue: one of them."""
        timers = overdue_at_once()
        offered = self._market.put_on_offer(self._bank, timers={**timers, "submit_s": 3600})
        customer = self._customer()
        redemption = self._reserved(customer, offered)
        time.sleep(timers["reserve_s"])
        steps = islice(cycle(("submissions", "voids")), AT_ONCE - 1)
        asked = [stepping(customer.token, redemption, each, {}) for each in steps]
        answers = self._with_timer(asked, run_due)
        self._told("lapse", answers, {"done", "state-conflict"})
        state, records = self._story(redemption)
        known = {"submitted", "voided", "expired"}
        self._verdict.require(state in known, f"lapse: it is {state}")
        ends = [each for each in records if each in {"submission", "void", "expiry"}]
        self._verdict.count(f"lapse: by {' and '.join(ends)}")
        self._verdict.require(len(ends) == 1, f"lapse: {records}")
        is_waiting = state == "submitted"
        self._require_places("lapse", customer, held=PRICE if is_waiting else 0, redeemed=0)
        self._require_taken("lapse", offered, 1 if is_waiting else 0)

    def acceptance(self, _number: int) -> None:
        """A batch accepted by many at once: every redemption in it is settled once."""
        bank = self._market.bank()
        offered = self._market.put_on_offer(bank)
        customers = self._market.customers(bank, CAPTURED)
        redemptions = [self._captured(each, offered) for each in customers]
        path = f"/v1/settlement-batches/{self._compared_and_resolved(bank)}/acceptances"
        asked = [Ask(path, self._market.staff(), {}, uuid4().hex) for _ in range(ACCEPTANCES)]
        answers = self._at_once(asked)
        self._require_told("acceptance", answers, {"done": ACCEPTANCES})
        for each in redemptions:
            state, records = self._story(each)
            times = records.count("settlement")
            self._verdict.require(
                (state, times) == ("settled", 1), f"acceptance: {state}, settled {times} times"
            )

    def last_use(self, _number: int) -> None:
        """A consent with one use left from everybody: one is shown to the partner."""
        [citizen] = self._market.customers(self._market.bank(), 1)
        customer = self._market.consenting(self._bank, citizen.id, max_uses=1)
        offered = self._market.put_on_offer(self._bank, points=1)
        quotes = self._quotes([(customer, offered)] * AT_ONCE)
        answers = self._at_once([reserving(customer, each, submit=True) for each in quotes])
        told = {"done": 1, "consent-uses-exhausted": AT_ONCE - 1}
        self._require_told("last_use", answers, told)
        self._require_places("last_use", customer, held=1, redeemed=0)
        self._require_taken("last_use", offered, 1)

    # --- parts -----------------------------------------------------------------------------------

    def _customer(self) -> Customer:
        [customer] = self._market.customers(self._bank, 1)
        return customer

    def _quotes(self, wanted: Sequence[tuple[Customer, OnOffer]]) -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda each: self._made(quoting(*each)), wanted))

    def _reserved(self, customer: Customer, offered: OnOffer, *, submit: bool = False) -> str:
        [quote] = self._quotes([(customer, offered)])
        return self._made(reserving(customer, quote, submit=submit))

    def _submitted(self, customer: Customer, offered: OnOffer) -> str:
        return self._reserved(customer, offered, submit=True)

    def _captured(self, customer: Customer, offered: OnOffer) -> str:
        redemption = self._submitted(customer, offered)
        self._made(capturing(offered, redemption))
        return redemption

    def _compared_and_resolved(self, bank: Bank) -> str:
        """Close today as tomorrow does, compare it with an empty file, and resolve what differs."""
        today = clock.today()
        with clock.shifted(timedelta(days=1)):
            batch = close_first(self._market.runtime, bank.id, today)
        assert batch is not None
        path = f"/v1/partner-files?batch_id={batch.public_id}"
        sent = self._client.post(path, bank.token, EMPTY_FILE, CSV, Idempotency_Key=uuid4().hex)
        assert sent.status == 202, sent.body
        found = f"/v1/reconciliation-exceptions?batch_id={batch.public_id}"
        if not wait_until(
            lambda: len(self._client.get(found, bank.token).body["items"]) == CAPTURED,
            COMPARED_WITHIN_S,
        ):
            raise SystemExit("The job worker does not compare a partner's file.")
        for each in self._client.get(found, bank.token).body["items"]:
            self._resolve(f"/v1/reconciliation-exceptions/{each['id']}/resolutions")
        return batch.public_id

    def _resolve(self, path: str) -> None:
        said = {"resolution": "accept_ours", "reason": "as agreed on the telephone"}
        proposed = self._insisted(Ask(path, self._market.staff(), said, uuid4().hex))
        assert proposed.status == 201, proposed.body
        if proposed.body["needs_approval"]:
            approvals = f"{path}/{proposed.body['resolution_no']}/approvals"
            self._insisted(Ask(approvals, self._market.staff(), {}, uuid4().hex))

    def _made(self, ask: Ask) -> str:
        answer = self._insisted(ask)
        if answer.status != 201:
            raise AssertionError(f"{ask.path}: {answer.status} {answer.body}")
        return str(answer.body["id"])

    def _insisted(self, ask: Ask) -> Answer:
        return insisted(lambda: ask.send(self._client))

    def _at_once(self, asked: Sequence[Ask]) -> list[Answer]:
        return at_once([partial(self._insisted, each) for each in asked])

    def _with_timer(self, asked: Sequence[Ask], timer: Callable[[Runtime], int]) -> list[Answer]:
        """Ask everything at once, and let the timer run somewhere in between."""
        head_start_s = self._chance.uniform(0, HEAD_START_S)

        def run_timer() -> None:
            time.sleep(head_start_s)
            timer(self._market.runtime)

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_timer)
            answers = self._at_once(asked)
            running.result()
        return answers

    def _told(self, case: str, answers: Sequence[Answer], allowed: set[str]) -> Counter[str]:
        self._verdict.count(f"{case}: requests", len(answers))
        told = Counter(
            DONE.get(each.status) or code_of(each) or str(each.status) for each in answers
        )
        self._verdict.require(set(told) <= allowed, f"{case}: answered {dict(told)}")
        return told

    def _require_told(self, case: str, answers: Sequence[Answer], wanted: dict[str, int]) -> None:
        told = self._told(case, answers, set(wanted))
        self._verdict.require(told == wanted, f"{case}: answered {dict(told)}")

    def _require_places(self, case: str, customer: Customer, *, held: int, redeemed: int) -> None:
        found = self._row(PLACES, customer.id)
        self._verdict.require(
            found == (held, redeemed), f"{case}: (held, redeemed) is {found}, not {held, redeemed}"
        )

    def _require_taken(self, case: str, offered: OnOffer, times: int) -> None:
        found = self._row(TAKEN, offered.id)
        self._verdict.require(
            found == (times, times * SUBSIDY_MINOR), f"{case}: {found} is taken, not {times}"
        )

    def _story(self, redemption: str) -> tuple[str, list[str]]:
        state, records = self._row(RECORDS, uuid_of(REDEMPTION, redemption))
        return state, records

    def _row(self, query: str, value: UUID) -> tuple[Any, ...]:
        with self._market.runtime.database.raw_transaction() as connection:
            row: tuple[Any, ...] | None = connection.execute(query, [value]).fetchone()
        assert row is not None
        return row
