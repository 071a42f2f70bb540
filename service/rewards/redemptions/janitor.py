"""Asking partners what became of redemptions that they never answered.

A partner is asked while no transaction is open and no lock is held. Each partner's questions go one
after the other in a thread of their own, so that one that hangs keeps no other waiting.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

import psycopg
import structlog

from service import clock
from service.ids import REDEMPTION, public_id
from service.partners.addresses import Reach
from service.partners.organisations import Partner, partners_by_id
from service.partners.outgoing import NoAnswer, fetch_json
from service.partners.profiles import Profile, profile_of
from service.retries import retried
from service.rewards.redemptions.following_up import follow_up
from service.rewards.redemptions.partner_answers import PartnerAnswer, answer_from, no_answer
from service.rewards.redemptions.steps import COLUMNS, Redemption
from service.runtime import Runtime

log = structlog.get_logger()

PATIENCE_S: Final = 10.0
"""For one answer."""
SILENT_IN_ROW: Final = 3
"""After so many questions without an answer a partner is taken to be silent in this run."""
PARTNER_S: Final = 45.0
"""For all questions to one partner in one run; the rest waits for the next, a minute later."""
MOST_OF_PARTNER: Final = 200
MOST: Final = 5_000
AT_ONCE: Final = 8
"""Partners that are asked at a time."""

# Everybody's longest overdue first, so that a partner with many does not push others out.
DUE: Final = """
SELECT id, partner_id, version, asked FROM (
    SELECT id, partner_id, version, asked,
           row_number() OVER (PARTITION BY partner_id ORDER BY deadline_at, id) AS place
    FROM redemption WHERE deadline_at <= %(now)s AND state IN ('submitted', 'unknown')) AS due
WHERE place <= %(most_of_partner)s ORDER BY place, id LIMIT %(most)s
"""

LOCK_ASKED: Final = f"""
SELECT {COLUMNS} FROM redemption
WHERE id = %s AND version = %s AND asked = %s AND state IN ('submitted', 'unknown')
FOR UPDATE
"""


class Question(NamedTuple):
    """A redemption as it stood when its partner was asked about it."""

    redemption_id: UUID
    partner_id: UUID
    version: int
    asked: int


def ask_partners(runtime: Runtime) -> int:
    """Ask about everything whose time is over; return how many questions that were."""
    questions = _due(runtime)
    with ThreadPoolExecutor(AT_ONCE, "ask-partner") as pool:
        groups = groupby(questions, key=attrgetter("partner_id"))
        asked = [pool.submit(_ask_partner, runtime, list(group)) for _, group in groups]
        return sum(each.result() for each in asked)


def _due(runtime: Runtime) -> list[Question]:
    """Return what has to be asked, partner by partner."""
    limits = {"now": clock.now(), "most_of_partner": MOST_OF_PARTNER, "most": MOST}
    with runtime.database.raw_transaction() as connection:
        due = [Question._make(row) for row in connection.execute(DUE, limits)]
    return sorted(due, key=attrgetter("partner_id"))


def _ask_partner(runtime: Runtime, questions: list[Question]) -> int:
    with runtime.database.raw_transaction() as connection:
        [partner] = partners_by_id(connection, [questions[0].partner_id]).values()
        profile = profile_of(connection, partner.id)
    return sum(
        _noted(runtime, question, answer)
        for question, answer in _answers(partner, profile, questions)
    )


def _answers(
    partner: Partner, profile: Profile, questions: list[Question]
) -> Iterator[tuple[Question, PartnerAnswer]]:
    """Yield what one partner answers, as long as it answers and there is time.

    The word of a suspended one counts as little here as it does when it calls us.
    """
    if profile.status_url is None or not partner.is_active:
        reason = "no-status-url" if partner.is_active else "partner-suspended"
        yield from ((question, no_answer(reason)) for question in questions)
        return
    until = time.monotonic() + PARTNER_S
    silent_in_row = 0
    for question in questions:
        if time.monotonic() > until:
            return
        if silent_in_row < SILENT_IN_ROW:
            answer = _answer(profile.status_url, profile.reach, question)
        else:
            answer = no_answer("silent-just-now")
        silent_in_row = silent_in_row + 1 if answer.verdict == "no_answer" else 0
        yield question, answer


def _answer(status_url: str, reach: Reach, question: Question) -> PartnerAnswer:
    redemption_id = public_id(REDEMPTION, question.redemption_id)
    mark = "&" if "?" in status_url else "?"
    url = f"{status_url}{mark}redemption_id={redemption_id}"
    try:
        status, body = fetch_json(url, reach, {}, PATIENCE_S)
    except NoAnswer as silence:
        return no_answer(silence.reason)
    return answer_from(redemption_id, status, body)


def _noted(runtime: Runtime, question: Question, answer: PartnerAnswer) -> bool:
    try:
        return retried(lambda: _follow_up(runtime, question, answer))
    except psycopg.Error as error:
        # The error's own words may quote a row, and so say who she is.
        redemption_id, reason = str(question.redemption_id), type(error).__name__
        log.warning("redemption_inquiry_failed", redemption_id=redemption_id, reason=reason)
        return False


def _follow_up(runtime: Runtime, question: Question, answer: PartnerAnswer) -> bool:
    """Do what the answer means; False: the redemption has gone on since the partner was asked."""
    redemption_id, _, version, asked = question
    with runtime.database.raw_transaction() as connection:
        row = connection.execute(LOCK_ASKED, (redemption_id, version, asked)).fetchone()
        if row is None:
            return False
        follow_up(connection, Redemption._make(row), answer)
        return True
